/* Mediated devices, in trees as the kernel's mtty and Intel's i915 show them. */
#include "test.h"

#include "tree.h"
#include "vireo/host_mdev.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define IGD     "sys/class/mdev_bus/0000:00:02.0/mdev_supported_types/"
#define MTTY    "sys/class/mdev_bus/mtty/mdev_supported_types/"
#define DEVICES "sys/bus/mdev/devices/"

static const char ONE[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001",
                  TWO[] = "11111111-509f-382f-3c1e-e6bfe0fa1002";

static void type(const struct tree *t, const char *folder, const char *name, const char *available)
{
    char path[160];
    snprintf(path, sizeof(path), "%savailable_instances", folder);
    tree_write(t, path, available);
    snprintf(path, sizeof(path), "%sname", folder);
    tree_write(t, path, name);
    snprintf(path, sizeof(path), "%sdevice_api", folder);
    tree_write(t, path, "vfio-pci\n");
    snprintf(path, sizeof(path), "%screate", folder);
    tree_write(t, path, "");
    snprintf(path, sizeof(path), "%sdevices", folder);
    tree_dir(t, path);
}

static struct tree host(void)
{
    struct tree t = tree_empty();
    type(&t, IGD "i915-GVTg_V5_4/", "GVTg_V5_4\n", "1\n");
    type(&t, IGD "i915-GVTg_V5_8/", "GVTg_V5_8\n", "0\n");
    tree_write(&t, IGD "i915-GVTg_V5_4/description",
               "low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4\n");
    type(&t, MTTY "mtty-1/", "Single port serial\n", "24\n");
    tree_link(&t, MTTY "mtty-1/devices/83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", "../../../one");
    tree_link(&t, IGD "i915-GVTg_V5_4/devices/11111111-509f-382f-3c1e-e6bfe0fa1002", "../two");
    tree_write(&t, DEVICES "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/remove", "");
    tree_link(&t, DEVICES "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/iommu_group", "../../groups/12");
    return t;
}

static void types_are_listed(void **state)
{
    struct tree t = host();
    struct vireo_mdev_type types[3];
    size_t count = 0;
    (void)state;
    assert_int_equal(vireo_mdev_types(t.root, types, 3, &count, NULL), 0);
    assert_int_equal(count, 3);
    assert_string_equal(types[0].parent, "0000:00:02.0");
    assert_string_equal(types[0].type, "i915-GVTg_V5_4");
    assert_string_equal(types[0].name, "GVTg_V5_4");
    assert_string_equal(types[0].api, "vfio-pci");
    assert_string_equal(types[0].description, "low_gm_size: 128MB\nhigh_gm_size: 512MB\nfence: 4");
    assert_int_equal(types[0].available, 1);
    assert_int_equal(types[1].available, 0);
    assert_string_equal(types[2].parent, "mtty");
    assert_int_equal(types[2].available, 24);
    assert_string_equal(types[2].description, "");
    assert_int_equal(vireo_mdev_types(t.root, types, 1, &count, NULL), 0);
    assert_int_equal(count, 3);
    tree_destroy(&t);
    t = tree_empty(); /* most hosts have none */
    assert_int_equal(vireo_mdev_types(t.root, NULL, 0, &count, NULL), 0);
    assert_int_equal(count, 0);
    assert_int_equal(vireo_mdev_list(t.root, NULL, 0, &count, NULL), 0);
    assert_int_equal(count, 0);
    tree_destroy(&t);
    assert_int_equal(vireo_mdev_types("/nonexistent", NULL, 0, &count, NULL), -ENOENT);
}

static void devices_are_listed(void **state)
{
    struct tree t = host();
    struct vireo_mdev list[2];
    size_t count = 0;
    (void)state;
    assert_int_equal(vireo_mdev_list(t.root, list, 2, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_string_equal(list[0].uuid, TWO);
    assert_string_equal(list[0].type, "i915-GVTg_V5_4");
    assert_int_equal(list[0].iommu_group, -1);
    assert_string_equal(list[1].uuid, ONE);
    assert_string_equal(list[1].parent, "mtty");
    assert_int_equal(list[1].iommu_group, 12);
    assert_false(list[1].in_use);
    assert_int_equal(vireo_mdev_list(t.root, list, 1, &count, NULL), 0);
    assert_int_equal(count, 2);
    tree_destroy(&t);
}

static void refused(int r, int want, const struct vr_error *err, const char *says)
{
    assert_int_equal(r, want);
    if (!strstr(err->msg, says)) {
        fail_msg("no '%s' in '%s'", says, err->msg);
    }
}

static void devices_are_made_and_taken_away(void **state)
{
    static const char NEW[] = "AAAAAAAA-509f-382f-3c1e-e6bfe0fa1003";
    struct tree t = host();
    struct vr_error err = {0};
    char uuid[VIREO_UUID_SIZE] = "";
    (void)state;
    /* A tree is no kernel: the name arrives, the device does not come. */
    refused(vireo_mdev_create(t.root, "mtty", "mtty-1", NEW, uuid, &err), -EIO, &err, "no device");
    assert_string_equal(tree_read(&t, MTTY "mtty-1/create"),
                        "aaaaaaaa-509f-382f-3c1e-e6bfe0fa1003");
    assert_string_equal(uuid, "");
    refused(vireo_mdev_create(t.root, "mtty", "mtty-1", ONE, uuid, &err), -EEXIST, &err, "already");
    refused(vireo_mdev_create(t.root, "mtty", "mtty-1", "83b8f4f2", uuid, &err), -EINVAL, &err,
            "no UUID");
    refused(vireo_mdev_create(t.root, "mtty", "mtty-9", NULL, uuid, &err), -ENOENT, &err, "mtty-9");
    refused(vireo_mdev_create(t.root, "mtty", "../../x", NULL, uuid, &err), -ENOENT, &err, "../x");
    refused(vireo_mdev_create(t.root, "", "", NULL, uuid, &err), -ENOENT, &err, "makes no");
    refused(vireo_mdev_create(t.root, "0000:00:02.0", "i915-GVTg_V5_8", NULL, uuid, &err), -ENOSPC,
            &err, "none of type");
    tree_remove(&t, MTTY "mtty-1/create");
    refused(vireo_mdev_create(t.root, "mtty", "mtty-1", NEW, uuid, &err), -ENOENT, &err, "create");
    assert_int_equal(vireo_mdev_destroy(t.root, ONE, &err), 0);
    assert_string_equal(tree_read(&t, DEVICES "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/remove"), "1");
    refused(vireo_mdev_destroy(t.root, TWO, &err), -ENODEV, &err, "no such");
    refused(vireo_mdev_destroy(t.root, "..", &err), -EINVAL, &err, "no UUID");
    tree_destroy(&t);
}

/* Random names are names, and differ. */
static void a_name_can_be_chosen_by_chance(void **state)
{
    struct tree t = host();
    char first[64];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        char name[64];
        assert_int_equal(vireo_mdev_create(t.root, "mtty", "mtty-1", NULL, NULL, NULL), -EIO);
        snprintf(name, sizeof(name), "%s", tree_read(&t, MTTY "mtty-1/create"));
        assert_int_equal(strlen(name), 36);
        assert_true(name[14] == '4' && strchr("89ab", name[19]));
        assert_true(i == 0 || strcmp(first, name) != 0);
        snprintf(first, sizeof(first), "%s", name);
        tree_write(&t, MTTY "mtty-1/create", "");
    }
    tree_destroy(&t);
}

static void damaged_trees_are_left_out(void **state)
{
    static char huge[9000];
    struct tree t = host();
    struct vireo_mdev_type types[8];
    struct vireo_mdev list[8];
    size_t count = 0;
    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    tree_write(&t, IGD "i915-GVTg_V5_4/available_instances", "several");
    tree_write(&t, IGD "i915-GVTg_V5_8/available_instances", huge);
    tree_write_bytes(&t, MTTY "mtty-1/name", "a\0b", 3);
    tree_write(&t, MTTY "mtty-1/description", huge);
    tree_write(&t, MTTY "mtty-1/device_api", "");
    tree_dir(&t, MTTY "mtty-3");
    tree_write(&t, "sys/class/mdev_bus/file", "no folder");
    tree_dir(&t, "sys/class/mdev_bus/"
                 "a-name-of-more-than-sixty-four-characters-that-no-kernel-gives-to-anything");
    tree_dir(&t, "sys/class/mdev_bus/empty");
    tree_link(&t, MTTY "mtty-1/devices/hello", "x");
    tree_link(&t, DEVICES "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001/iommu_group", "many");
    assert_int_equal(vireo_mdev_types(t.root, types, 8, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_string_equal(types[0].type, "mtty-1");
    assert_true(!types[0].name[0] && !types[0].description[0] && !types[0].api[0]);
    assert_int_equal(vireo_mdev_list(t.root, list, 8, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list[1].iommu_group, -1);
    tree_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_listed),
        cmocka_unit_test(devices_are_listed),
        cmocka_unit_test(devices_are_made_and_taken_away),
        cmocka_unit_test(a_name_can_be_chosen_by_chance),
        cmocka_unit_test(damaged_trees_are_left_out),
    };
    return cmocka_run_group_tests_name("mdev", tests, NULL, NULL);
}
