#include "test.h"

#include "tree.h"
#include "vireo/host_pci.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define DEVICES "sys/bus/pci/devices/"
#define GROUPS  "sys/kernel/iommu_groups/"

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

/* The verdict on @addr in @t; one of the reasons holds @what ("": there is none of that weight). */
static void judge(const struct tree *t, const char *addr, enum vireo_ready verdict,
                  const char *what)
{
    struct vireo_pci *pci = scan(t);
    struct vireo_readiness ready;
    enum vireo_ready gravest = VIREO_READY;
    bool found = *what == 0;
    assert_int_equal(vireo_pci_readiness(pci, at(addr), &ready, NULL), 0);
    for (size_t i = 0; i < ready.reason_count; i++) {
        found = found || strstr(ready.reasons[i].what, what);
        gravest = ready.reasons[i].weight > gravest ? ready.reasons[i].weight : gravest;
        assert_true(ready.reasons[i].weight == VIREO_READY || ready.reasons[i].todo[0]);
        assert_true(strlen(ready.reasons[i].todo) < sizeof(ready.reasons[i].todo) - 1);
        assert_true(strlen(ready.reasons[i].what) < sizeof(ready.reasons[i].what) - 1);
    }
    if (!found || ready.verdict != verdict) {
        for (size_t i = 0; i < ready.reason_count; i++) {
            print_message("# %d %s: %s\n", ready.reasons[i].weight, ready.reasons[i].what,
                          ready.reasons[i].todo);
        }
        fail_msg("%s: verdict %d, '%s' %s", addr, ready.verdict, what,
                 found ? "is there" : "is not");
    }
    assert_int_equal(gravest, verdict);
    vireo_pci_destroy(pci);
}

static void groups_are_those_of_the_kernel(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct vireo_pci *pci = scan(&t);
    size_t devices = 0;
    (void)state;
    assert_int_equal(vireo_iommu_kind(pci), VIREO_IOMMU_INTEL);
    assert_int_equal(vireo_iommu_group_count(pci), 12);
    for (size_t i = 0; i < 12; i++) {
        const struct vireo_iommu_group *group = vireo_iommu_group_at(pci, i);
        assert_int_equal(group->number, i); /* 10 comes after 9 */
        assert_ptr_equal(vireo_iommu_group_find(pci, (int)i), group);
        assert_string_equal(group->type, "DMA");
        assert_false(group->no_iommu || group->firmware_mapped || group->other_count);
        for (size_t k = 0; k < group->device_count; k++) {
            const struct vireo_pci_device *dev = vireo_pci_find(pci, group->devices[k]);
            assert_non_null(dev);
            assert_int_equal(dev->iommu_group, i);
            devices++;
        }
    }
    assert_int_equal(devices, vireo_pci_count(pci));
    assert_null(vireo_iommu_group_at(pci, 12));
    assert_null(vireo_iommu_group_find(pci, 12));
    assert_null(vireo_iommu_group_find(pci, -1));
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

static void iommus_are_told_apart(void **state)
{
    static const struct {
        const char *name;
        enum vireo_iommu_kind kind;
    } cases[] = {
        {"dmar1", VIREO_IOMMU_INTEL},
        {"ivhd0", VIREO_IOMMU_AMD},
        {"smmu3.0x0000000009050000", VIREO_IOMMU_ARM_SMMU_V3},
        {"smmu.0x2b400000", VIREO_IOMMU_ARM_SMMU},
        {"riscv-iommu@3010000.iommu", VIREO_IOMMU_RISCV},
        {"virtio3", VIREO_IOMMU_VIRTIO},
        {"apple-dart.0", VIREO_IOMMU_OTHER},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct tree t = tree_empty();
        char path[128];
        tree_dir(&t, "sys/bus/pci/devices");
        snprintf(path, sizeof(path), "sys/class/iommu/%s", cases[i].name);
        tree_link(&t, path, "../../devices/x");
        struct vireo_pci *pci = scan(&t);
        assert_int_equal(vireo_iommu_kind(pci), cases[i].kind);
        assert_int_equal(vireo_iommu_group_count(pci), 0);
        vireo_pci_destroy(pci);
        tree_destroy(&t);
    }
    assert_string_equal(vireo_iommu_kind_name(VIREO_IOMMU_RISCV), "RISC-V IOMMU");
    assert_string_equal(vireo_iommu_kind_name((enum vireo_iommu_kind)99), "other");
}

static void a_device_becomes_ready(void **state)
{
    struct tree t = tree_replay("q35.txt");
    (void)state;
    judge(&t, "1:10.0", VIREO_READY_AFTER, "igbvf uses it");
    judge(&t, "1:10.0", VIREO_READY_AFTER, "eth1 is up");
    tree_link(&t, DEVICES "0000:01:10.0/driver", "../../../../bus/pci/drivers/vfio-pci");
    judge(&t, "1:10.0", VIREO_READY, "eth1 is up");
    tree_dir(&t, "dev/vfio");
    judge(&t, "1:10.0", VIREO_READY_AFTER, "/dev/vfio/10 is not there");
    tree_write(&t, "dev/vfio/10", "");
    judge(&t, "1:10.0", VIREO_READY, "");
    tree_dir(&t, "sys/module/vfio_pci");
    judge(&t, "1:10.0", VIREO_READY_AFTER, "nothing makes DMA mappings");
    tree_dir(&t, "sys/module/vfio_iommu_type1");
    judge(&t, "1:10.0", VIREO_READY, "");
    tree_destroy(&t);
}

static void reasons_are_given(void **state)
{
    struct tree t = tree_replay("q35.txt");
    (void)state;
    judge(&t, "0:3", VIREO_READY_NOT, "bridge");
    judge(&t, "1:0", VIREO_READY_AFTER, "2 virtual functions");
    judge(&t, "0:1", VIREO_READY_AFTER, "console goes dark");
    /* A bridge of its group is no hindrance, a device that the host uses is. */
    judge(&t, "3:1", VIREO_READY_AFTER, "no driver");
    tree_link(&t, DEVICES "0000:00:1f.2/driver", "../../../bus/pci/drivers/vfio-pci");
    judge(&t, "0:1f.2", VIREO_READY, "");
    tree_link(&t, DEVICES "0000:00:1f.3/driver", "../../../bus/pci/drivers/i801_smbus");
    judge(&t, "0:1f.2", VIREO_READY_AFTER, "0000:00:1f.3 shares IOMMU group 5");
    tree_link(&t, DEVICES "0000:00:1f.3/driver", "../../../bus/pci/drivers/vfio-pci");
    tree_write(&t, GROUPS "5/reserved_regions",
               "0x0000000000000000 0x0000000000ffffff direct\n0x00000000fee00000 "
               "0x00000000feefffff msi\n");
    judge(&t, "0:1f.2", VIREO_READY_NOT, "firmware");
    tree_write(&t, GROUPS "5/reserved_regions", "");
    tree_write(&t, GROUPS "5/name", "vfio-noiommu\n");
    judge(&t, "0:1f.2", VIREO_READY_NOT, "unsafe");
    tree_remove(&t, "sys/bus/pci/drivers/vfio-pci");
    judge(&t, "3:1", VIREO_READY_AFTER, "not loaded");
    tree_link(&t, DEVICES "0000:81:00.0/driver", "../x/nvgrace-gpu-vfio-pci");
    judge(&t, "81:0", VIREO_READY, "");
    tree_write(&t, DEVICES "0000:03:01.0/vendor", "broken");
    tree_write(&t, DEVICES "0000:02:00.0/class", "0x020000");
    judge(&t, "2:0", VIREO_READY_AFTER, "could not be read");
    tree_destroy(&t);
}

static void without_an_iommu_nothing_goes(void **state)
{
    struct tree t = tree_replay("firecracker.txt");
    struct vireo_pci *pci = scan(&t);
    struct vireo_readiness ready = {.reason_count = 99};
    struct vr_error err;
    (void)state;
    assert_int_equal(vireo_iommu_kind(pci), VIREO_IOMMU_NONE);
    assert_int_equal(vireo_pci_readiness(pci, at("7:0"), &ready, &err), -ENODEV);
    assert_non_null(strstr(err.msg, "0000:07:00.0"));
    assert_int_equal(ready.reason_count, 99);
    vireo_pci_destroy(pci);
    judge(&t, "0:3", VIREO_READY_NOT, "no IOMMU");
    tree_destroy(&t);
    t = tree_replay("q35.txt");
    tree_remove(&t, DEVICES "0000:81:00.0/iommu_group");
    judge(&t, "81:0", VIREO_READY_NOT, "in no IOMMU group");
    tree_destroy(&t);
}

/* More reasons than fit: the verdict still knows the gravest, and nothing overflows. */
static void damaged_groups_do_no_harm(void **state)
{
    static char huge[9000];
    struct tree t = tree_replay("q35.txt");
    (void)state;
    memset(huge, 'x', sizeof(huge) - 1);
    tree_dir(&t, GROUPS "hello");
    tree_dir(&t, GROUPS "99999999999999999999");
    tree_dir(&t, GROUPS "77"); /* without devices */
    tree_write(&t, GROUPS "9/type", huge);
    tree_write(&t, GROUPS "9/reserved_regions", "\x01\xff");
    for (unsigned i = 0; i < 32; i++) {
        char path[128];
        snprintf(path, sizeof(path), GROUPS "9/devices/0000:90:%02x.0", i);
        tree_link(&t, path, "nowhere");
        snprintf(path, sizeof(path), GROUPS "9/devices/platform%u", i);
        tree_link(&t, path, "nowhere");
    }
    struct vireo_pci *pci = scan(&t);
    assert_int_equal(vireo_iommu_group_count(pci), 12);
    const struct vireo_iommu_group *group = vireo_iommu_group_find(pci, 9);
    assert_string_equal(group->type, "");
    assert_int_equal(group->device_count, 33);
    assert_int_equal(group->other_count, 32);
    struct vireo_readiness ready;
    assert_int_equal(vireo_pci_readiness(pci, at("81:0"), &ready, NULL), 0);
    assert_int_equal(ready.reason_count, VIREO_READY_REASONS);
    assert_int_equal(ready.verdict, VIREO_READY_AFTER);
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_are_those_of_the_kernel),
        cmocka_unit_test(iommus_are_told_apart),
        cmocka_unit_test(a_device_becomes_ready),
        cmocka_unit_test(reasons_are_given),
        cmocka_unit_test(without_an_iommu_nothing_goes),
        cmocka_unit_test(damaged_groups_do_no_harm),
    };
    return cmocka_run_group_tests_name("pci_ready", tests, NULL, NULL);
}
