#include "test.h"

#include "tree.h"
#include "vireo/host_pci.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES "sys/bus/pci/devices/"
#define DEV     DEVICES "0000:03:00.0/"

static struct vireo_pci *scan(const struct tree *t)
{
    struct vireo_pci_options o = {.root = t->root, .ids_path = ""};
    struct vireo_pci *pci = NULL;
    struct vr_error err = {0};
    if (vireo_pci_scan(&o, &pci, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return pci;
}

static const struct vireo_pci_device *find(const struct vireo_pci *pci, const char *text)
{
    struct vireo_pci_addr addr;
    assert_int_equal(vireo_pci_addr_parse(text, &addr, NULL), 0);
    return vireo_pci_find(pci, addr);
}

/* One device at 03:00.0. */
static struct tree one_device(void)
{
    struct tree t = tree_empty();
    tree_write(&t, DEV "vendor", "0x10de\n");
    tree_write(&t, DEV "device", "0x2204\n");
    tree_write(&t, DEV "class", "0x030000\n");
    tree_write(&t, DEV "numa_node", "1\n");
    tree_write(&t, DEV "driver_override", "(null)\n");
    tree_link(&t, DEV "iommu_group", "../../../kernel/iommu_groups/17");
    tree_link(&t, DEV "driver", "../../../bus/pci/drivers/nouveau");
    tree_write(&t, DEV "boot_vga", "1\n");
    tree_write(&t, DEV "resource",
               "0x00000000f6000000 0x00000000f6ffffff 0x0000000000040200\n"
               "0x00000000e0000000 0x00000000efffffff 0x000000000014220c\n"
               "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
               "0x0000000000000000 0x0000000001ffffff 0x000000002014220c\n"
               "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
               "0x000000000000e000 0x000000000000e07f 0x0000000000040101\n"
               "0x00000000f7000000 0x00000000f707ffff 0x0000000000046200\n");
    return t;
}

static void a_device_is_told_whole(void **state)
{
    struct tree t = one_device();
    struct vireo_pci *pci = scan(&t);
    const struct vireo_pci_device *dev = find(pci, "03:00.0");
    (void)state;
    assert_int_equal(vireo_pci_count(pci), 1);
    assert_ptr_equal(dev, vireo_pci_at(pci, 0));
    assert_null(vireo_pci_at(pci, 1));
    assert_null(find(pci, "03:00.1"));
    assert_null(vireo_pci_problem(pci, 0));
    assert_int_equal(dev->vendor_id, 0x10de);
    assert_int_equal(dev->device_id, 0x2204);
    assert_int_equal(dev->class_code, 0x030000);
    assert_int_equal(dev->kind, VIREO_PCI_GPU);
    assert_int_equal(dev->gpu_maker, VIREO_GPU_MAKER_NVIDIA);
    assert_int_equal(dev->gpu_type, VIREO_GPU_DISCRETE);
    assert_int_equal(dev->gpu_aperture_bytes, 256 << 20);
    assert_int_equal(dev->numa_node, 1);
    assert_int_equal(dev->iommu_group, 17);
    assert_string_equal(dev->driver, "nouveau");
    assert_string_equal(dev->driver_override, "");
    assert_string_equal(dev->vendor_name, "");
    assert_true(dev->boot_vga && !dev->can_reset && !dev->is_vf);
    assert_int_equal(dev->bars[0].kind, VIREO_BAR_MEM32);
    assert_int_equal(dev->bars[0].start, 0xf6000000);
    assert_int_equal(dev->bars[0].len_bytes, 16 << 20);
    assert_false(dev->bars[0].prefetchable);
    assert_int_equal(dev->bars[1].kind, VIREO_BAR_MEM64);
    assert_true(dev->bars[1].prefetchable);
    assert_int_equal(dev->bars[2].kind, VIREO_BAR_NONE);
    assert_int_equal(dev->bars[3].start, 0); /* the firmware gave it no place */
    assert_int_equal(dev->bars[3].len_bytes, 32 << 20);
    assert_int_equal(dev->bars[5].kind, VIREO_BAR_IO);
    assert_int_equal(dev->bars[5].len_bytes, 128);
    assert_int_equal(dev->rom_bytes, 512 << 10);
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

static void kinds_follow_from_numbers(void **state)
{
    static const struct {
        const char *vendor, *class_code, *addr;
        enum vireo_pci_kind kind;
        enum vireo_gpu_maker maker;
        enum vireo_gpu_type type;
    } cases[] = {
        {"0x8086", "0x030000", "0000:00:02.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_INTEL,
         VIREO_GPU_INTEGRATED},
        {"0x8086", "0x030000", "0000:05:00.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_INTEL,
         VIREO_GPU_DISCRETE},
        {"0x1002", "0x030000", "0000:06:00.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_AMD,
         VIREO_GPU_INTEGRATED},
        {"0x1022", "0x108000", "0000:06:00.2", VIREO_PCI_OTHER, 0, 0},
        {"0x1002", "0x038000", "0000:07:00.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_AMD,
         VIREO_GPU_DISCRETE},
        {"0x1002", "0x120000", "0000:08:00.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_AMD,
         VIREO_GPU_DISCRETE},
        {"0x8086", "0x120000", "0000:00:0b.0", VIREO_PCI_NPU, 0, 0},
        {"0x1234", "0x030000", "0000:00:01.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_VIRTUAL,
         VIREO_GPU_VIRTUAL},
        {"0x1a03", "0x030000", "0000:09:00.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_OTHER,
         VIREO_GPU_INTEGRATED},
        {"0x17cb", "0x030000", "0000:0a:00.0", VIREO_PCI_GPU, VIREO_GPU_MAKER_MOBILE,
         VIREO_GPU_UNKNOWN},
        {"0x8086", "0x020000", "0000:0b:00.0", VIREO_PCI_NETWORK, 0, 0},
        {"0x8086", "0x0d8000", "0000:0c:00.0", VIREO_PCI_NETWORK, 0, 0},
        {"0x144d", "0x010802", "0000:0d:00.0", VIREO_PCI_STORAGE, 0, 0},
        {"0x10de", "0x040300", "0000:0e:00.1", VIREO_PCI_AUDIO, 0, 0},
        {"0x8086", "0x0c0330", "0000:00:14.0", VIREO_PCI_USB, 0, 0},
        {"0x8086", "0x060400", "0000:00:1c.0", VIREO_PCI_BRIDGE, 0, 0},
    };
    struct tree t = tree_empty();
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), DEVICES "%s/vendor", cases[i].addr);
        tree_write(&t, path, cases[i].vendor);
        snprintf(path, sizeof(path), DEVICES "%s/class", cases[i].addr);
        tree_write(&t, path, cases[i].class_code);
        snprintf(path, sizeof(path), DEVICES "%s/device", cases[i].addr);
        tree_write(&t, path, "0x0001\n");
    }
    struct vireo_pci *pci = scan(&t);
    assert_int_equal(vireo_pci_count(pci), sizeof(cases) / sizeof(cases[0]));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct vireo_pci_device *dev = find(pci, cases[i].addr);
        assert_non_null(dev);
        assert_int_equal(dev->kind, cases[i].kind);
        assert_int_equal(dev->gpu_maker, cases[i].maker);
        assert_int_equal(dev->gpu_type, cases[i].type);
        assert_int_equal(dev->iommu_group, -1);
        assert_int_equal(dev->numa_node, -1);
    }
    for (size_t i = 1; i < vireo_pci_count(pci); i++) {
        assert_true(
            vireo_pci_addr_compare(vireo_pci_at(pci, i - 1)->addr, vireo_pci_at(pci, i)->addr) < 0);
    }
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

static void damaged_attributes_are_told(void **state)
{
    static const char *const attrs[] = {"vendor",   "device",          "class",    "numa_node",
                                        "boot_vga", "sriov_totalvfs",  "revision", "sriov_numvfs",
                                        "resource", "subsystem_vendor"};
    static char huge[10000];
    (void)state;
    memset(huge, '1', sizeof(huge) - 1);
    for (size_t i = 0; i < sizeof(attrs) / sizeof(attrs[0]); i++) {
        const char *const texts[] = {
            "", "\n", "xyz\n", huge, "\x01\x02\xff", "-5", "99999999999999999999"};
        for (size_t k = 0; k < sizeof(texts) / sizeof(texts[0]) + 1; k++) {
            struct tree t = one_device();
            char path[128];
            unsigned before = tree_open_files();
            snprintf(path, sizeof(path), DEV "%s", attrs[i]);
            if (k < sizeof(texts) / sizeof(texts[0])) {
                tree_write(&t, path, texts[k]);
            } else {
                tree_write(&t, path, "");
                tree_remove(&t, path);
                tree_dir(&t, path);
            }
            struct vireo_pci *pci = scan(&t);
            assert_int_equal(vireo_pci_count(pci), 0);
            assert_non_null(strstr(vireo_pci_problem(pci, 0), "0000:03:00.0"));
            assert_non_null(strstr(vireo_pci_problem(pci, 0), attrs[i]));
            assert_null(vireo_pci_problem(pci, 1));
            vireo_pci_destroy(pci);
            assert_int_equal(tree_open_files(), before);
            tree_destroy(&t);
        }
    }
}

static void links_and_names_may_lie(void **state)
{
    struct tree t = one_device();
    (void)state;
    tree_link(&t, DEV "iommu_group", "../../kernel/iommu_groups/minus1");
    tree_dir(&t, DEVICES "hello");
    tree_dir(&t, DEVICES "0000:3:0.0");
    tree_link(&t, DEVICES "0000:04:00.0", "../nowhere");
    tree_write(&t, DEVICES "0000:05:00.0", "a file");
    struct vireo_pci *pci = scan(&t);
    assert_int_equal(vireo_pci_count(pci), 0);
    unsigned problems = 0;
    while (vireo_pci_problem(pci, problems)) {
        problems++;
    }
    assert_int_equal(problems, 4); /* the dangling link is a device that went away */
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

static void what_is_missing_is_said(void **state)
{
    struct tree t = tree_empty();
    struct vireo_pci_options o = {.root = t.root};
    struct vireo_pci *pci = (void *)&t;
    struct vr_error err;
    unsigned before = tree_open_files();
    (void)state;
    assert_int_equal(vireo_pci_scan(&o, &pci, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "no PCI"));
    tree_write(&t, "sys/bus/pci/devices", "a file");
    assert_int_equal(vireo_pci_scan(&o, &pci, &err), -ENOTDIR);
    o.root = "/nonexistent";
    assert_int_equal(vireo_pci_scan(&o, &pci, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/nonexistent"));
    o.ids_path = "/nonexistent/pci.ids";
    assert_int_equal(vireo_pci_scan(&o, &pci, &err), -ENOENT);
    assert_ptr_equal(pci, &t); /* untouched */
    assert_int_equal(tree_open_files(), before);
    vireo_pci_destroy(NULL);
    tree_destroy(&t);
}

struct comings {
    struct tree tree;
    atomic_bool done;
};

static void *comings_and_goings(void *opaque)
{
    struct comings *c = opaque;
    char from[128], to[128];
    snprintf(from, sizeof(from), "%s/" DEVICES "0000:03:00.0", c->tree.root);
    snprintf(to, sizeof(to), "%s/elsewhere", c->tree.root);
    while (!atomic_load(&c->done)) {
        rename(from, to);
        rename(to, from);
    }
    return NULL;
}

/* A device that vanishes while it is read is there whole, or not at all. */
static void devices_may_vanish_at_any_time(void **state)
{
    struct comings c = {.tree = one_device()};
    pthread_t thread;
    (void)state;
    unsigned before = tree_open_files();
    assert_int_equal(pthread_create(&thread, NULL, comings_and_goings, &c), 0);
    for (unsigned i = 0; i < 2000; i++) {
        struct vireo_pci *pci = scan(&c.tree);
        const struct vireo_pci_device *dev = vireo_pci_at(pci, 0);
        if (dev) {
            assert_int_equal(dev->vendor_id, 0x10de);
            assert_int_equal(dev->kind, VIREO_PCI_GPU);
        }
        vireo_pci_destroy(pci);
    }
    atomic_store(&c.done, true);
    pthread_join(thread, NULL);
    assert_int_equal(tree_open_files(), before);
    tree_destroy(&c.tree);
}

static void a_cloud_machine_is_understood(void **state)
{
    struct tree t = tree_replay("firecracker.txt");
    struct vireo_pci *pci = scan(&t);
    (void)state;
    assert_int_equal(vireo_pci_count(pci), 6);
    assert_null(vireo_pci_problem(pci, 0));
    assert_int_equal(find(pci, "0:0")->kind, VIREO_PCI_BRIDGE);
    assert_int_equal(find(pci, "0:2")->kind, VIREO_PCI_STORAGE);
    const struct vireo_pci_device *net = find(pci, "0:3");
    assert_int_equal(net->kind, VIREO_PCI_NETWORK);
    assert_string_equal(net->driver, "virtio-pci");
    assert_int_equal(net->vendor_id, 0x1af4);
    assert_int_equal(net->iommu_group, -1);
    assert_int_equal(net->bars[0].kind, VIREO_BAR_MEM64);
    assert_int_equal(net->bars[0].len_bytes, 512 << 10);
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

/* Debian's kernel on QEMU's q35: VT-d, an igb with two virtual functions, NVMe on NUMA node 1. */
static void a_q35_machine_is_understood(void **state)
{
    struct tree t = tree_replay("q35.txt");
    struct vireo_pci *pci = scan(&t);
    (void)state;
    assert_int_equal(vireo_pci_count(pci), 15);
    assert_null(vireo_pci_problem(pci, 0));
    const struct vireo_pci_device *pf = find(pci, "1:0"), *vf = find(pci, "1:10.2");
    assert_int_equal(pf->kind, VIREO_PCI_NETWORK);
    assert_string_equal(pf->driver, "igb");
    assert_int_equal(pf->sriov_total, 7);
    assert_int_equal(pf->sriov_count, 2);
    assert_true(pf->sriov_autoprobe && !pf->is_vf && pf->can_reset);
    assert_int_equal(pf->iommu_group, 6);
    assert_true(vf->is_vf);
    assert_int_equal(vireo_pci_addr_compare(vf->physfn, pf->addr), 0);
    assert_int_equal(vf->device_id, 0x10ca);
    assert_int_equal(vf->sriov_total, 0);
    assert_string_equal(vf->iommu, "dmar0");
    const struct vireo_pci_device *nvme = find(pci, "81:0");
    assert_int_equal(nvme->kind, VIREO_PCI_STORAGE);
    assert_int_equal(nvme->numa_node, 1);
    assert_int_equal(nvme->bars[0].len_bytes, 16384);
    const struct vireo_pci_device *vga = find(pci, "0:1");
    assert_int_equal(vga->gpu_type, VIREO_GPU_VIRTUAL);
    assert_int_equal(vga->gpu_aperture_bytes, 16 << 20);
    assert_true(vga->boot_vga);
    assert_int_equal(find(pci, "0:3")->kind, VIREO_PCI_BRIDGE);
    vireo_pci_destroy(pci);
    tree_destroy(&t);
}

/* Whatever this host is: it is looked at, or the reason is clear. */
static void this_host_is_looked_at(void **state)
{
    struct vireo_pci *pci = NULL;
    struct vr_error err = {0};
    (void)state;
    int r = vireo_pci_scan(NULL, &pci, &err);
    if (r < 0) {
        assert_int_equal(r, -ENOENT);
        assert_non_null(strstr(err.msg, "no PCI"));
        return;
    }
    for (size_t i = 0; i < vireo_pci_count(pci); i++) {
        const struct vireo_pci_device *dev = vireo_pci_at(pci, i);
        assert_ptr_equal(vireo_pci_find(pci, dev->addr), dev);
    }
    vireo_pci_destroy(pci);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_device_is_told_whole),
        cmocka_unit_test(kinds_follow_from_numbers),
        cmocka_unit_test(damaged_attributes_are_told),
        cmocka_unit_test(links_and_names_may_lie),
        cmocka_unit_test(what_is_missing_is_said),
        cmocka_unit_test(devices_may_vanish_at_any_time),
        cmocka_unit_test(a_cloud_machine_is_understood),
        cmocka_unit_test(a_q35_machine_is_understood),
        cmocka_unit_test(this_host_is_looked_at),
    };
    return cmocka_run_group_tests_name("pci_scan", tests, NULL, NULL);
}
