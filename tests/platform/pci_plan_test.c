#include "test.h"

#include "tree.h"
#include "vireo/host_pci.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define DEVICES "sys/bus/pci/devices/"
#define PROBE   "sys/bus/pci/drivers_probe"

static struct vireo_pci *scan(const struct tree *t)
{
    struct vireo_pci_options o = {.root = t->root, .ids_path = ""};
    struct vireo_pci *pci = NULL;
    assert_int_equal(vireo_pci_scan(&o, &pci, NULL), 0);
    return pci;
}

static struct vireo_pci_addr at(const char *text)
{
    struct vireo_pci_addr addr;
    assert_int_equal(vireo_pci_addr_parse(text, &addr, NULL), 0);
    return addr;
}

enum what { CREATE, SET, DELETE, BIND, BIND_GROUP, UNBIND };

static int make(const struct tree *t, enum what what, const char *addr, unsigned count,
                struct vireo_plan **ret_plan, struct vr_error *err)
{
    struct vireo_pci *pci = scan(t);
    int r = what == CREATE   ? vireo_plan_sriov_create(pci, at(addr), count, ret_plan, err)
            : what == SET    ? vireo_plan_sriov_set(pci, at(addr), count, ret_plan, err)
            : what == DELETE ? vireo_plan_sriov_delete(pci, at(addr), ret_plan, err)
            : what == UNBIND
                ? vireo_plan_vfio_unbind(pci, at(addr), false, ret_plan, err)
                : vireo_plan_vfio_bind(pci, at(addr), what == BIND_GROUP, ret_plan, err);
    vireo_pci_destroy(pci); /* a plan outlives its scan */
    return r;
}

static void refused(const struct tree *t, enum what what, const char *addr, unsigned count,
                    int code, const char *says)
{
    struct vireo_plan *plan = NULL;
    struct vr_error err = {0};
    assert_int_equal(make(t, what, addr, count, &plan, &err), code);
    assert_null(plan);
    if (!strstr(err.msg, says)) {
        fail_msg("no '%s' in '%s'", says, err.msg);
    }
}

/* The kernel's part, played after each write. */
struct kernel {
    const struct tree *tree;
    const char *host_driver; /* what it would bind; NULL: nothing */
    bool vfio_refuses;
    char log[2048]; /* what was written, in order: "file=text;" */
};

static void kernel_obeys(void *opaque, size_t i, const struct vireo_step *step)
{
    struct kernel *k = opaque;
    char path[160], target[128], override[64];
    const char *file = strrchr(step->path, '/') + 1;
    (void)i;
    if (step->kind != VIREO_STEP_WRITE) {
        return;
    }
    size_t len = strlen(k->log);
    snprintf(k->log + len, sizeof(k->log) - len, "%s=%s;", file, step->text);
    snprintf(path, sizeof(path), "%s\n", step->text);
    assert_string_equal(tree_read(k->tree, step->path), path); /* it landed */
    snprintf(path, sizeof(path), DEVICES "%s/driver", step->text);
    if (strcmp(file, "unbind") == 0) {
        char full[256];
        snprintf(full, sizeof(full), "%s/%s", k->tree->root, path);
        assert_int_equal(unlink(full), 0);
    } else if (strcmp(file, "drivers_probe") == 0) {
        char of[128];
        snprintf(of, sizeof(of), DEVICES "%s/driver_override", step->text);
        snprintf(override, sizeof(override), "%s", tree_read(k->tree, of));
        override[strcspn(override, "\n")] = 0;
        const char *driver = *override ? override : k->host_driver;
        if (driver && !(k->vfio_refuses && strcmp(driver, "vfio-pci") == 0)) {
            snprintf(target, sizeof(target), "../../../../bus/pci/drivers/%s", driver);
            tree_link(k->tree, path, target);
        }
    }
}

static void run(struct kernel *k, enum what what, const char *addr, unsigned count, const char *log)
{
    struct vireo_plan *plan = NULL;
    struct vr_error err = {0};
    k->log[0] = 0;
    if (make(k->tree, what, addr, count, &plan, &err) < 0 ||
        vireo_plan_run(plan, kernel_obeys, k, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    assert_string_equal(k->log, log);
    vireo_plan_destroy(plan);
}

static void a_device_goes_to_vfio_and_comes_back(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct kernel k = {.tree = &t, .host_driver = "igbvf"};
    (void)state;
    run(&k, BIND, "1:10.0", 0,
        "driver_override=vfio-pci;unbind=0000:01:10.0;drivers_probe=0000:01:10.0;");
    struct vireo_pci *pci = scan(&t);
    assert_string_equal(vireo_pci_find(pci, at("1:10.0"))->driver, "vfio-pci");
    vireo_pci_destroy(pci);
    run(&k, BIND, "1:10.0", 0, ""); /* nothing left to do */
    run(&k, UNBIND, "1:10.0", 0,
        "driver_override=;unbind=0000:01:10.0;drivers_probe=0000:01:10.0;");
    pci = scan(&t);
    assert_string_equal(vireo_pci_find(pci, at("1:10.0"))->driver, "igbvf");
    assert_string_equal(vireo_pci_find(pci, at("1:10.0"))->driver_override, "");
    vireo_pci_destroy(pci);
    run(&k, UNBIND, "1:10.0", 0, "");
    tree_destroy(&t);
}

static void a_group_goes_whole(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct kernel k = {.tree = &t};
    (void)state;
    /* 02:00.0 of the group is a bridge; nothing was bound to 03:01.0. */
    run(&k, BIND_GROUP, "3:1", 0, "driver_override=vfio-pci;drivers_probe=0000:03:01.0;");
    tree_link(&t, DEVICES "0000:00:1f.2/driver", "../../../bus/pci/drivers/igb");
    tree_write(&t, DEVICES "0000:00:1f.0/class", "0x0c0500\n");
    run(&k, BIND_GROUP, "0:1f.3", 0,
        "driver_override=vfio-pci;drivers_probe=0000:00:1f.0;"
        "driver_override=vfio-pci;unbind=0000:00:1f.2;drivers_probe=0000:00:1f.2;"
        "driver_override=vfio-pci;drivers_probe=0000:00:1f.3;");
    tree_destroy(&t);
}

/* The steps are told without anything being done. */
static void a_plan_changes_nothing(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct vireo_plan *plan = NULL;
    (void)state;
    assert_int_equal(make(&t, BIND, "1:10.0", 0, &plan, NULL), 0);
    assert_int_equal(vireo_plan_count(plan), 6);
    assert_null(vireo_plan_step(plan, 6));
    const struct vireo_step *step = vireo_plan_step(plan, 2);
    assert_int_equal(step->kind, VIREO_STEP_WRITE);
    assert_string_equal(step->path, DEVICES "0000:01:10.0/driver_override");
    assert_string_equal(step->text, "vfio-pci");
    assert_true(strlen(step->why) > 5);
    vireo_plan_destroy(plan);
    vireo_plan_destroy(NULL);
    assert_string_equal(tree_read(&t, DEVICES "0000:01:10.0/driver_override"), "(null)\n");
    assert_string_equal(tree_read(&t, PROBE), "");
    tree_destroy(&t);
}

static void virtual_functions_are_made_and_deleted(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct kernel k = {.tree = &t};
    (void)state;
    refused(&t, CREATE, "1:0", 3, -EBUSY, "has 2 virtual functions");
    run(&k, SET, "1:0", 2, "");
    run(&k, SET, "1:0", 7, "sriov_numvfs=0;sriov_numvfs=7;");
    assert_string_equal(tree_read(&t, DEVICES "0000:01:00.0/sriov_numvfs"), "7\n");
    run(&k, DELETE, "1:0", 0, "sriov_numvfs=0;");
    run(&k, DELETE, "1:0", 0, "");
    run(&k, CREATE, "1:0", 4, "sriov_numvfs=4;");
    tree_destroy(&t);
}

static void what_cannot_be_is_refused(void **state)
{
    struct tree t = tree_replay("q35.txt");
    (void)state;
    refused(&t, CREATE, "9:0", 1, -ENODEV, "no such PCI device");
    refused(&t, BIND, "9:0", 1, -ENODEV, "0000:09:00.0");
    refused(&t, UNBIND, "9:0", 1, -ENODEV, "no such PCI device");
    refused(&t, CREATE, "1:10.0", 1, -ENOTSUP, "of 0000:01:00.0");
    refused(&t, CREATE, "81:0", 1, -ENOTSUP, "has no SR-IOV");
    refused(&t, SET, "1:0", 8, -ERANGE, "7 virtual functions, not 8");
    refused(&t, CREATE, "1:0", 0, -ERANGE, "1 to 7");
    refused(&t, BIND, "1:0", 0, -EBUSY, "delete them first");
    refused(&t, BIND, "0:3", 0, -ENOTSUP, "bridge");
    tree_link(&t, DEVICES "0000:01:10.2/driver", "../../../../bus/pci/drivers/vfio-pci");
    refused(&t, DELETE, "1:0", 0, -EBUSY, "0000:01:10.2 is bound to vfio-pci");
    refused(&t, SET, "1:0", 1, -EBUSY, "unbind it first");
    tree_remove(&t, DEVICES "0000:01:10.2/driver");
    tree_remove(&t, DEVICES "0000:01:00.0/driver");
    refused(&t, SET, "1:0", 4, -ENOTSUP, "no driver");
    tree_remove(&t, "sys/bus/pci/drivers/vfio-pci");
    refused(&t, BIND, "81:0", 0, -ENODEV, "modprobe vfio-pci");
    tree_write(&t, "sys/kernel/iommu_groups/9/reserved_regions", "0x0 0xfff direct\n");
    refused(&t, BIND, "81:0", 0, -ENOTSUP, "firmware");
    tree_destroy(&t);
    t = tree_replay("firecracker.txt");
    refused(&t, BIND, "0:3", 0, -ENOTSUP, "no IOMMU group");
    tree_destroy(&t);
}

/* Fail at every step: what was before is there again, and the message says so. */
static void failures_are_undone(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct kernel k = {.tree = &t, .host_driver = "igbvf", .vfio_refuses = true};
    struct vireo_plan *plan = NULL;
    struct vr_error err;
    (void)state;
    /* vfio-pci does not take it. */
    assert_int_equal(make(&t, BIND, "1:10.0", 0, &plan, NULL), 0);
    assert_int_equal(vireo_plan_run(plan, kernel_obeys, &k, &err), -EIO);
    assert_non_null(strstr(err.msg, "driver is none"));
    assert_non_null(strstr(err.msg, "before is undone"));
    vireo_plan_destroy(plan);
    assert_string_equal(tree_read(&t, DEVICES "0000:01:10.0/driver_override"), "\n");
    assert_string_equal(tree_read(&t, PROBE), "0000:01:10.0\n");
    /* The kernel has no drivers_probe. */
    tree_link(&t, DEVICES "0000:01:10.2/driver", "../../../../bus/pci/drivers/igbvf");
    tree_remove(&t, PROBE);
    assert_int_equal(make(&t, BIND, "1:10.2", 0, &plan, NULL), 0);
    assert_int_equal(vireo_plan_run(plan, NULL, NULL, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "could not be undone whole"));
    vireo_plan_destroy(plan);
    /* SR-IOV: the old number comes back. */
    assert_int_equal(make(&t, SET, "1:0", 5, &plan, NULL), 0);
    const struct vireo_step *last = vireo_plan_step(plan, vireo_plan_count(plan) - 1);
    assert_int_equal(last->kind, VIREO_STEP_CHECK_TEXT);
    tree_remove(&t, DEVICES "0000:01:00.0/device");
    assert_int_equal(vireo_plan_run(plan, NULL, NULL, &err), -ENOENT);
    assert_null(strstr(err.msg, "undone")); /* nothing was done */
    vireo_plan_destroy(plan);
    tree_destroy(&t);
}

struct spoiler {
    const struct tree *tree;
    size_t when;
};

static void spoil(void *opaque, size_t i, const struct vireo_step *step)
{
    struct spoiler *s = opaque;
    (void)step;
    if (i == s->when) {
        tree_write(s->tree, DEVICES "0000:01:00.0/sriov_numvfs", "1\n");
    }
}

static void the_old_number_of_functions_comes_back(void **state)
{
    (void)state;
    for (size_t when = 2; when <= 4; when += 2) { /* the two writes */
        struct tree t = tree_replay("q35.txt");
        struct spoiler s = {.tree = &t, .when = when};
        struct vireo_plan *plan = NULL;
        struct vr_error err;
        assert_int_equal(make(&t, SET, "1:0", 5, &plan, NULL), 0);
        assert_int_equal(vireo_plan_run(plan, spoil, &s, &err), -EIO);
        assert_non_null(strstr(err.msg, "holds '1'"));
        assert_non_null(strstr(err.msg, "before is undone"));
        assert_string_equal(tree_read(&t, DEVICES "0000:01:00.0/sriov_numvfs"), "2\n");
        vireo_plan_destroy(plan);
        tree_destroy(&t);
    }
}

static void devices_that_changed_are_left_alone(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct vireo_plan *plan = NULL;
    struct vr_error err;
    (void)state;
    assert_int_equal(make(&t, BIND, "81:0", 0, &plan, NULL), 0);
    tree_write(&t, DEVICES "0000:81:00.0/vendor", "0x144d\n");
    assert_int_equal(vireo_plan_run(plan, NULL, NULL, &err), -EIO);
    assert_string_equal(tree_read(&t, DEVICES "0000:81:00.0/driver_override"), "(null)\n");
    tree_remove(&t, DEVICES "0000:81:00.0");
    assert_int_equal(vireo_plan_run(plan, NULL, NULL, &err), -ENOENT);
    vireo_plan_destroy(plan);
    tree_destroy(&t);
}

/* As nobody, who may read everything and write nothing. */
static void rights_are_asked_for(void **state)
{
    static const struct {
        enum what what;
        const char *addr;
    } cases[] = {{DELETE, "1:0"}, {BIND, "1:10.0"}, {UNBIND, "81:0"}};
    struct tree t = tree_replay("q35.txt");
    (void)state;
    if (geteuid() != 0) {
        tree_destroy(&t);
        skip_because("takes root, who can become somebody with fewer rights");
    }
    tree_link(&t, DEVICES "0000:81:00.0/driver", "../../../bus/pci/drivers/vfio-pci");
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct vireo_plan *plan = NULL;
        struct vr_error err = {0};
        assert_int_equal(seteuid(65534), 0);
        int made = make(&t, cases[i].what, cases[i].addr, 0, &plan, &err);
        int ran = made < 0 ? 0 : vireo_plan_run(plan, NULL, NULL, &err);
        assert_int_equal(seteuid(0), 0);
        assert_int_equal(made, 0);
        assert_int_equal(ran, -EACCES);
        assert_non_null(strstr(err.msg, "root's rights"));
        vireo_plan_destroy(plan);
    }
    tree_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_goes_to_vfio_and_comes_back),
        cmocka_unit_test(a_group_goes_whole),
        cmocka_unit_test(a_plan_changes_nothing),
        cmocka_unit_test(virtual_functions_are_made_and_deleted),
        cmocka_unit_test(what_cannot_be_is_refused),
        cmocka_unit_test(failures_are_undone),
        cmocka_unit_test(the_old_number_of_functions_comes_back),
        cmocka_unit_test(devices_that_changed_are_left_alone),
        cmocka_unit_test(rights_are_asked_for),
    };
    return cmocka_run_group_tests_name("pci_plan", tests, NULL, NULL);
}
