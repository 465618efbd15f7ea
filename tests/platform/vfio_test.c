/* Devices of VFIO, on a made-up kernel: what it is asked, and what becomes of its lies. */
#include "test.h"

#include "vfio_kernel.h"

#include "base/bits.h"
#include "platform/linux/iommufd_abi.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const struct vireo_pci_addr ADDR = {.bus = 1, .device = 0x10};
static const enum vireo_vfio_way ways[] = {VIREO_VFIO_GROUP, VIREO_VFIO_IOMMUFD};

static void with_iommufd(struct kernel *k)
{
    tree_write(&k->tree, "dev/iommu", "");
    tree_write(&k->tree, "dev/vfio/devices/vfio3", "");
    tree_dir(&k->tree, "sys/bus/pci/devices/0000:01:10.0/vfio-dev/vfio3");
}

static int space_by(struct kernel *k, enum vireo_vfio_way way, struct vireo_vfio_space **ret_space,
                    struct vr_error *err)
{
    struct vireo_vfio_options o = {.root = k->tree.root, .way = way};
    struct vr_vfio_sys sys = kernel_sys(k);
    return vr_vfio_space_create(&o, &sys, ret_space, err);
}

struct open {
    struct kernel k;
    struct vireo_vfio_space *space;
    struct vireo_vfio *dev;
};

static void open_by(struct open *o, enum vireo_vfio_way way)
{
    struct vr_error err = {0};
    *o = (struct open){0};
    kernel_make(&o->k);
    with_iommufd(&o->k);
    if (space_by(&o->k, way, &o->space, &err) < 0 ||
        vireo_vfio_open(o->space, ADDR, &o->dev, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

static void close_all(struct open *o)
{
    vireo_vfio_close(o->dev);
    vireo_vfio_space_destroy(o->space);
    kernel_destroy(&o->k);
}

#define REFUSED(want, says, call)                      \
    do {                                               \
        struct vr_error e_ = {0}, *err = &e_;          \
        assert_int_equal(call, want);                  \
        assert_int_equal(e_.code, want);               \
        if (!strstr(e_.msg, says)) {                   \
            fail_msg("no '%s' in '%s'", says, e_.msg); \
        }                                              \
    } while (0)

/* ---- Ways ---- */

static void the_way_is_chosen_by_what_the_host_has(void **state)
{
    struct kernel k = {0};
    struct vireo_vfio_space *space;
    (void)state;
    kernel_make(&k);
    assert_int_equal(space_by(&k, VIREO_VFIO_AUTO, &space, NULL), 0);
    assert_int_equal(vireo_vfio_space_way(space), VIREO_VFIO_GROUP);
    vireo_vfio_space_destroy(space);
    tree_write(&k.tree, "dev/iommu", ""); /* alone it is not enough */
    assert_int_equal(space_by(&k, VIREO_VFIO_AUTO, &space, NULL), 0);
    assert_int_equal(vireo_vfio_space_way(space), VIREO_VFIO_GROUP);
    vireo_vfio_space_destroy(space);
    with_iommufd(&k);
    assert_int_equal(space_by(&k, VIREO_VFIO_AUTO, &space, NULL), 0);
    assert_int_equal(vireo_vfio_space_way(space), VIREO_VFIO_IOMMUFD);
    vireo_vfio_space_destroy(space);
    assert_int_equal(space_by(&k, VIREO_VFIO_GROUP, &space, NULL), 0);
    assert_int_equal(vireo_vfio_space_way(space), VIREO_VFIO_GROUP);
    vireo_vfio_space_destroy(space);
    REFUSED(-EINVAL, "no such way", space_by(&k, (enum vireo_vfio_way)7, &space, err));
    assert_string_equal(vireo_vfio_way_name(VIREO_VFIO_IOMMUFD), "iommufd");
    assert_string_equal(vireo_vfio_way_name((enum vireo_vfio_way)9), "auto");
    vireo_vfio_space_destroy(NULL);
    vireo_vfio_close(NULL);
    kernel_destroy(&k);
}

/* A chosen way that fails is an error, not the other way. */
static void there_is_no_silent_fallback(void **state)
{
    struct kernel k = {0};
    struct vireo_vfio_space *space = NULL;
    (void)state;
    kernel_make(&k);
    with_iommufd(&k);
    k.fail_at = 1;
    k.fail_code = -EACCES;
    REFUSED(-EACCES, "/dev/iommu", space_by(&k, VIREO_VFIO_AUTO, &space, err));
    assert_null(space);
    k.calls = 0;
    k.fail_code = -ENOENT;
    REFUSED(-ENODEV, "modprobe", space_by(&k, VIREO_VFIO_GROUP, &space, err));
    kernel_destroy(&k);
}

static void a_device_is_described(void **state)
{
    (void)state;
    for (size_t w = 0; w < VR_COUNT(ways); w++) {
        struct open o;
        struct vireo_vfio_irq irq;
        open_by(&o, ways[w]);
        assert_string_equal(vireo_vfio_name(o.dev), "0000:01:10.0");
        assert_true(vireo_vfio_can_reset(o.dev));
        assert_int_equal(vireo_vfio_region_count(o.dev), 9);
        const struct vireo_vfio_region *bar = vireo_vfio_region(o.dev, 0);
        assert_int_equal(bar->len_bytes, KERNEL_BAR);
        assert_true(bar->readable && bar->writable);
        assert_int_equal(bar->window_count, 2);
        assert_int_equal(bar->windows[1].off, 0x4000);
        assert_int_equal(bar->windows[1].len, 0x4000);
        assert_int_equal(vireo_vfio_region(o.dev, 1)->len_bytes, 0);
        assert_int_equal(vireo_vfio_region(o.dev, VIREO_VFIO_VGA)->len_bytes, 0);
        assert_int_equal(vireo_vfio_region(o.dev, VIREO_VFIO_ROM)->window_count, 0);
        assert_null(vireo_vfio_region(o.dev, 9));
        assert_string_equal(vireo_vfio_region_name(VIREO_VFIO_ROM), "option ROM");
        assert_string_equal(vireo_vfio_region_name(99), "own");
        assert_int_equal(vireo_vfio_irq(o.dev, VIREO_VFIO_MSIX, &irq, NULL), 0);
        assert_int_equal(irq.count, KERNEL_MSIX);
        assert_true(irq.no_resize && !irq.maskable);
        REFUSED(-EINVAL, "no such kind", vireo_vfio_irq(o.dev, VIREO_VFIO_IRQ_KINDS, &irq, err));
        close_all(&o);
    }
}

/* ---- Access ---- */

static void registers_are_read_and_written(void **state)
{
    struct open o;
    uint64_t v = 1;
    char bytes[1200];
    size_t len = 0;
    (void)state;
    open_by(&o, VIREO_VFIO_GROUP);
    assert_int_equal(vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 0, 2, &v, NULL), 0);
    assert_int_equal(v, 0x8086);
    assert_int_equal(vireo_vfio_write(o.dev, VIREO_VFIO_CONFIG, 4, 2, 0x0407, NULL), 0);
    assert_int_equal(o.k.config[4] | o.k.config[5] << 8, 0x0407);
    assert_int_equal(vireo_vfio_read(o.dev, 0, 8, 8, &v, NULL), 0);
    assert_true(v == 0x5a5a5a5a5a5a5a5a);
    REFUSED(-EINVAL, "not a width", vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 0, 8, &v, err));
    REFUSED(-EINVAL, "not a width", vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 0, 3, &v, err));
    REFUSED(-EINVAL, "not a width", vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 0, 0, &v, err));
    REFUSED(-EINVAL, "not aligned", vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 2, 4, &v, err));
    REFUSED(-ERANGE, "outside", vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 256, 4, &v, err));
    REFUSED(-ERANGE, "outside",
            vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, UINT64_MAX - 3, 4, &v, err));
    REFUSED(-ERANGE, "has no BAR 2", vireo_vfio_read(o.dev, 2, 0, 4, &v, err));
    REFUSED(-ERANGE, "region 4000", vireo_vfio_read(o.dev, 4000, 0, 4, &v, err));
    REFUSED(-EACCES, "cannot be written", vireo_vfio_write(o.dev, VIREO_VFIO_ROM, 0, 4, 0, err));
    REFUSED(-EINVAL, "does not fit",
            vireo_vfio_write(o.dev, VIREO_VFIO_CONFIG, 4, 2, 0x10000, err));
    assert_int_equal(
        vireo_vfio_read_bytes(o.dev, VIREO_VFIO_ROM, 8, bytes, sizeof(bytes), &len, NULL), 0);
    assert_int_equal(len, 992);
    assert_true(bytes[0] == 'r' && bytes[991] == 'r');
    o.k.gone = true;
    v = 77;
    REFUSED(-EIO, "has the device gone", vireo_vfio_read(o.dev, VIREO_VFIO_CONFIG, 0, 4, &v, err));
    assert_int_equal(v, 77);
    REFUSED(-EIO, "has the device gone", vireo_vfio_write(o.dev, VIREO_VFIO_CONFIG, 0, 4, 0, err));
    assert_int_equal(vireo_vfio_read_bytes(o.dev, VIREO_VFIO_ROM, 0, bytes, 8, &len, NULL), 0);
    assert_int_equal(len, 0);
    close_all(&o);
}

static void windows_are_mapped(void **state)
{
    struct open o;
    void *a = NULL, *b;
    (void)state;
    open_by(&o, VIREO_VFIO_IOMMUFD);
    assert_int_equal(vireo_vfio_map(o.dev, 0, 0x4000, 0x2000, true, &a, NULL), 0);
    assert_int_equal(*(uint8_t *)a, 0x5a);
    assert_int_equal(vireo_vfio_map(o.dev, 0, 0, 0x1000, false, &b, NULL), 0);
    vireo_vfio_unmap(o.dev, a);
    vireo_vfio_unmap(o.dev, NULL);
    REFUSED(-EINVAL, "whole pages", vireo_vfio_map(o.dev, 0, 0x800, 0x1000, false, &a, err));
    REFUSED(-EINVAL, "whole pages", vireo_vfio_map(o.dev, 0, 0, 0, false, &a, err));
    REFUSED(-ERANGE, "no window", vireo_vfio_map(o.dev, 0, 0x1000, 0x2000, false, &a, err));
    REFUSED(-ERANGE, "no window", vireo_vfio_map(o.dev, 0, 0x2000, 0x1000, false, &a, err));
    REFUSED(-ERANGE, "no window",
            vireo_vfio_map(o.dev, 0, 0x4000, UINT64_MAX - 0xfff, false, &a, err));
    REFUSED(-ERANGE, "read and write it",
            vireo_vfio_map(o.dev, VIREO_VFIO_ROM, 0, 0x1000, false, &a, err));
    close_all(&o); /* b goes with it */
}

/* ---- Interrupts ---- */

static void interrupts_reach_their_eventfds(void **state)
{
    struct open o;
    int fds[6] = {-1, -1, -1, -1, -1, -1};
    uint64_t count = 0;
    (void)state;
    open_by(&o, VIREO_VFIO_GROUP);
    fds[0] = eventfd(0, EFD_CLOEXEC);
    assert_true(fds[0] >= 0);
    assert_int_equal(vireo_vfio_irq_enable(o.dev, VIREO_VFIO_MSIX, 0, fds, 5, NULL), 0);
    assert_int_equal(vireo_vfio_irq_trigger(o.dev, VIREO_VFIO_MSIX, 0, NULL), 0);
    assert_int_equal(read(fds[0], &count, 8), 8);
    assert_int_equal(count, 1);
    REFUSED(-EBUSY, "uses MSI-X", vireo_vfio_irq_enable(o.dev, VIREO_VFIO_INTX, 0, fds, 1, err));
    /* The other kinds may be on at the same time. */
    assert_int_equal(vireo_vfio_irq_enable(o.dev, VIREO_VFIO_IRQ_REQ, 0, fds, 1, NULL), 0);
    REFUSED(-ERANGE, "are too many", vireo_vfio_irq_enable(o.dev, VIREO_VFIO_MSIX, 0, fds, 6, err));
    REFUSED(-ERANGE, "are too many",
            vireo_vfio_irq_enable(o.dev, VIREO_VFIO_MSIX, UINT32_MAX, fds, 2, err));
    REFUSED(-ENOTSUP, "has no MSI ", vireo_vfio_irq_enable(o.dev, VIREO_VFIO_MSI, 0, fds, 1, err));
    REFUSED(-ENOTSUP, "cannot be masked",
            vireo_vfio_irq_mask(o.dev, VIREO_VFIO_MSIX, 0, true, err));
    assert_int_equal(vireo_vfio_irq_disable(o.dev, VIREO_VFIO_MSIX, NULL), 0);
    assert_int_equal(vireo_vfio_irq_disable(o.dev, VIREO_VFIO_MSIX, NULL), 0);
    assert_int_equal(o.k.irq_fds[VIREO_VFIO_MSIX], -1);
    fds[1] = -2;
    REFUSED(-EBADF, "-2 is no eventfd",
            vireo_vfio_irq_enable(o.dev, VIREO_VFIO_MSIX, 0, fds, 2, err));
    assert_int_equal(vireo_vfio_irq_enable(o.dev, VIREO_VFIO_INTX, 0, fds, 1, NULL), 0);
    assert_int_equal(vireo_vfio_irq_mask(o.dev, VIREO_VFIO_INTX, 0, true, NULL), 0);
    assert_true(o.k.masked);
    assert_int_equal(vireo_vfio_irq_mask(o.dev, VIREO_VFIO_INTX, 0, false, NULL), 0);
    assert_false(o.k.masked);
    assert_int_equal(vireo_vfio_intx_unmask_fd(o.dev, fds[0], NULL), 0);
    assert_int_equal(o.k.unmask_fd, fds[0]);
    struct kernel *k = &o.k;
    vireo_vfio_close(o.dev);
    assert_int_equal(k->irq_fds[VIREO_VFIO_INTX], -1); /* off before the file is closed */
    assert_int_equal(k->irq_fds[VIREO_VFIO_IRQ_REQ], -1);
    o.dev = NULL;
    close(fds[0]);
    close_all(&o);
}

/* ---- DMA ---- */

static void dma_stays_inside_the_limits(void **state)
{
    (void)state;
    for (size_t w = 0; w < VR_COUNT(ways); w++) {
        static _Alignas(4096) uint8_t mem[0x4000];
        struct open o;
        struct vireo_iova_range range;
        open_by(&o, ways[w]);
        struct vireo_vfio_space *s = o.space;
        assert_int_equal(vireo_vfio_iova_align(s), 4096);
        assert_true(vireo_vfio_iova_range(s, 1, &range));
        assert_true(range.first == 0xfef00000 && range.last == 0x7fffffffffff);
        assert_false(vireo_vfio_iova_range(s, 2, &range));
        assert_int_equal(vireo_vfio_dma_map(s, 0x10000, mem, 0x2000, true, NULL), 0);
        assert_int_equal(vireo_vfio_dma_map(s, 0x12000, mem, 0x1000, false, NULL), 0);
        assert_int_equal(vireo_vfio_dma_map(s, 0xf000, mem, 0x1000, false, NULL), 0);
        REFUSED(-EEXIST, "overlaps the mapping at 0x10000",
                vireo_vfio_dma_map(s, 0x11000, mem, 0x1000, true, err));
        REFUSED(-EEXIST, "overlaps", vireo_vfio_dma_map(s, 0xe000, mem, 0x2000, true, err));
        REFUSED(-EEXIST, "overlaps", vireo_vfio_dma_map(s, 0x0, mem, 0x100000, true, err));
        REFUSED(-ERANGE, "in no range", vireo_vfio_dma_map(s, 0xfee00000, mem, 0x1000, true, err));
        REFUSED(-ERANGE, "in no range", vireo_vfio_dma_map(s, 0xfedff000, mem, 0x2000, true, err));
        REFUSED(-ERANGE, "in no range",
                vireo_vfio_dma_map(s, 0x800000000000, mem, 0x1000, true, err));
        REFUSED(-EINVAL, "multiples of 0x1000",
                vireo_vfio_dma_map(s, 0x20800, mem, 0x1000, true, err));
        REFUSED(-EINVAL, "multiples", vireo_vfio_dma_map(s, 0x20000, mem + 1, 0x1000, true, err));
        REFUSED(-EINVAL, "multiples", vireo_vfio_dma_map(s, 0x20000, mem, 0x1001, true, err));
        REFUSED(-EINVAL, "multiples", vireo_vfio_dma_map(s, 0x20000, mem, 0, true, err));
        REFUSED(-EINVAL, "not wrap",
                vireo_vfio_dma_map(s, UINT64_MAX - 0xfff, mem, 0x2000, true, err));
        REFUSED(-EINVAL, "not wrap",
                vireo_vfio_dma_map(s, 0x20000, mem, UINT64_MAX - 0xfff, true, err));
        assert_int_equal(o.k.map_count, 3); /* the kernel saw none of these */
        REFUSED(-ENOENT, "no mapping", vireo_vfio_dma_unmap(s, 0x10000, 0x1000, err));
        REFUSED(-ENOENT, "no mapping", vireo_vfio_dma_unmap(s, 0x11000, 0x1000, err));
        assert_int_equal(vireo_vfio_dma_unmap(s, 0x10000, 0x2000, NULL), 0);
        o.k.loses_dma = true;
        REFUSED(-EIO, "unmapped 0x0 bytes", vireo_vfio_dma_unmap(s, 0x12000, 0x1000, err));
        o.k.loses_dma = false;
        o.k.fail_at = o.k.calls + 1;
        o.k.fail_code = -ENOMEM;
        REFUSED(-ENOMEM, "RLIMIT_MEMLOCK", vireo_vfio_dma_map(s, 0x30000, mem, 0x1000, true, err));
        o.k.fail_at = 0;
        /* With the last device all mappings go. */
        vireo_vfio_close(o.dev);
        o.dev = NULL;
        assert_int_equal(o.k.map_count, 0);
        assert_int_equal(vireo_vfio_iova_align(s), 0);
        assert_false(vireo_vfio_iova_range(s, 0, &range));
        REFUSED(-ENODEV, "open a device", vireo_vfio_dma_map(s, 0x10000, mem, 0x1000, true, err));
        REFUSED(-ENOENT, "no mapping", vireo_vfio_dma_unmap(s, 0xf000, 0x1000, err));
        close_all(&o);
    }
}

/* Many mappings against a plain list, in random order. */
static void mappings_are_kept_as_a_set(void **state)
{
    enum { SLOTS = 24 };
    static _Alignas(4096) uint8_t mem[0x3000];
    struct open o;
    uint64_t lens[SLOTS] = {0};
    uint32_t seed = 1;
    (void)state;
    open_by(&o, VIREO_VFIO_GROUP);
    for (unsigned i = 0; i < 5000; i++) {
        seed = seed * 1664525 + 1013904223;
        unsigned slot = (seed >> 8) % SLOTS, pages = 1 + (seed >> 16) % 3;
        uint64_t iova = (uint64_t)slot * 0x1000;
        bool free = true, known = lens[slot] == pages * 0x1000;
        for (unsigned k = 0; k < SLOTS; k++) {
            free = free && (k + lens[k] / 0x1000 <= slot || k >= slot + pages || !lens[k]);
        }
        if (seed >> 31) {
            int r = vireo_vfio_dma_map(o.space, iova, mem, pages * 0x1000, true, NULL);
            assert_int_equal(r, free ? 0 : -EEXIST);
            lens[slot] = r == 0 ? pages * 0x1000 : lens[slot];
        } else {
            int r = vireo_vfio_dma_unmap(o.space, iova, pages * 0x1000, NULL);
            assert_int_equal(r, known ? 0 : -ENOENT);
            lens[slot] = r == 0 ? 0 : lens[slot];
        }
    }
    close_all(&o);
}

static void resets_say_what_they_take_along(void **state)
{
    (void)state;
    for (size_t w = 0; w < VR_COUNT(ways); w++) {
        struct open o;
        struct vireo_vfio_dependent list[2];
        size_t count = 0;
        open_by(&o, ways[w]);
        assert_int_equal(vireo_vfio_reset(o.dev, NULL), 0);
        assert_int_equal(o.k.resets, 1);
        assert_int_equal(vireo_vfio_hot_reset_info(o.dev, list, 2, &count, NULL), 0);
        assert_int_equal(count, 2);
        assert_true(list[1].ours && list[1].addr.device == 0x10 && list[1].addr.function == 1);
        assert_int_equal(list[1].group, ways[w] == VIREO_VFIO_GROUP ? 10 : -1);
        assert_int_equal(vireo_vfio_hot_reset(o.dev, NULL), 0);
        assert_int_equal(o.k.hot_resets, 1);
        o.k.no_reset = true;
        REFUSED(-ENOTSUP, "cannot be reset", vireo_vfio_hot_reset(o.dev, err));
        close_all(&o);
    }
}

/* A group can be opened once: its devices share it, and one address space. */
static void devices_of_a_group_share_it(void **state)
{
    static const struct vireo_pci_addr OTHER = {.bus = 1, .device = 0x10, .function = 2};
    static _Alignas(4096) uint8_t mem[0x1000];
    struct open o;
    struct vireo_vfio *other = NULL;
    struct vireo_vfio_dependent list[2];
    size_t count;
    (void)state;
    open_by(&o, VIREO_VFIO_GROUP);
    tree_link(&o.k.tree, "sys/bus/pci/devices/0000:01:10.2/driver", "../drivers/vfio-pci");
    tree_link(&o.k.tree, "sys/bus/pci/devices/0000:01:10.2/iommu_group", "../groups/10");
    assert_int_equal(vireo_vfio_dma_map(o.space, 0, mem, sizeof(mem), true, NULL), 0);
    unsigned before = o.k.open_fds;
    assert_int_equal(vireo_vfio_open(o.space, OTHER, &other, NULL), 0);
    assert_string_equal(vireo_vfio_name(other), "0000:01:10.2");
    assert_int_equal(o.k.open_fds, before + 1);
    assert_int_equal(vireo_vfio_hot_reset_info(other, list, 2, &count, NULL), 0);
    assert_true(list[0].ours && list[1].ours);
    vireo_vfio_close(o.dev);
    assert_int_equal(o.k.unset, 0);
    assert_int_equal(o.k.map_count, 1);
    /* The owner lets go of the space first: it lives as long as the device. */
    vireo_vfio_space_destroy(o.space);
    assert_true(o.k.open_fds > 0);
    vireo_vfio_close(other);
    assert_int_equal(o.k.unset, 1);
    assert_int_equal(o.k.map_count, 0);
    kernel_destroy(&o.k);
}

static void mediated_devices_are_opened_by_name(void **state)
{
    (void)state;
    for (size_t w = 0; w < VR_COUNT(ways); w++) {
        struct kernel k = {0};
        struct vireo_vfio_space *space;
        struct vireo_vfio *dev;
        uint64_t v = 0;
        kernel_make(&k);
        with_iommufd(&k);
        tree_link(&k.tree, "sys/bus/mdev/devices/" KERNEL_MDEV "/iommu_group", "../groups/10");
        tree_dir(&k.tree, "sys/bus/mdev/devices/" KERNEL_MDEV "/vfio-dev/vfio3");
        assert_int_equal(space_by(&k, ways[w], &space, NULL), 0);
        assert_int_equal(vireo_vfio_open_mdev(space, KERNEL_MDEV, &dev, NULL), 0);
        assert_string_equal(vireo_vfio_name(dev), KERNEL_MDEV);
        assert_int_equal(vireo_vfio_read(dev, VIREO_VFIO_CONFIG, 0, 2, &v, NULL), 0);
        assert_int_equal(v, 0x8086);
        vireo_vfio_close(dev);
        vireo_vfio_space_destroy(space);
        kernel_destroy(&k);
    }
}

/* ---- A kernel that fails, and one that lies ---- */

static void refusals_are_clear(void **state)
{
    struct kernel k = {.not_viable = true};
    struct vireo_vfio_space *space;
    struct vireo_vfio *dev = NULL;
    struct vireo_pci_addr none = {.bus = 9}, other = {.bus = 0x81};
    (void)state;
    kernel_make(&k);
    with_iommufd(&k);
    assert_int_equal(space_by(&k, VIREO_VFIO_GROUP, &space, NULL), 0);
    REFUSED(-ENOTSUP, "bind --group", vireo_vfio_open(space, ADDR, &dev, err));
    k.not_viable = false;
    k.no_pci = true;
    REFUSED(-ENOTSUP, "no PCI device", vireo_vfio_open(space, ADDR, &dev, err));
    k.no_pci = false;
    REFUSED(-ENODEV, "no such PCI device", vireo_vfio_open(space, none, &dev, err));
    REFUSED(-ENODEV, "'vireo platform vfio bind", vireo_vfio_open(space, other, &dev, err));
    k.fail_code = -EBUSY;
    k.fail_at = k.calls + 1;
    REFUSED(-EBUSY, "stop its guest", vireo_vfio_open(space, ADDR, &dev, err));
    k.fail_at = 0;
    tree_write(&k.tree, "dev/vfio/noiommu-10", "");
    REFUSED(-ENOTSUP, "unsafe mode", vireo_vfio_open(space, ADDR, &dev, err));
    tree_remove(&k.tree, "dev/vfio/noiommu-10");
    tree_link(&k.tree, "sys/bus/pci/devices/0000:01:10.0/iommu_group", "../../hello");
    REFUSED(-ENOTSUP, "no IOMMU group", vireo_vfio_open(space, ADDR, &dev, err));
    vireo_vfio_space_destroy(space);
    assert_int_equal(space_by(&k, VIREO_VFIO_IOMMUFD, &space, NULL), 0);
    tree_remove(&k.tree, "sys/bus/pci/devices/0000:01:10.0/vfio-dev");
    REFUSED(-ENODEV, "the way 'group'", vireo_vfio_open(space, ADDR, &dev, err));
    REFUSED(-EINVAL, "no UUID", vireo_vfio_open_mdev(space, "../../etc", &dev, err));
    REFUSED(-ENODEV, "no such mediated device",
            vireo_vfio_open_mdev(space, "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", &dev, err));
    assert_null(dev);
    vireo_vfio_space_destroy(space);
    kernel_destroy(&k);
}

static void count_line(void *opaque, const char *line)
{
    unsigned *count = opaque;
    assert_true(strlen(line) > 5);
    (*count)++;
}

static int try_once(struct kernel *k, enum vireo_vfio_way way, unsigned *ret_lines,
                    struct vr_error *err)
{
    struct vireo_vfio_space *space;
    *ret_lines = 0;
    int r = space_by(k, way, &space, err);
    if (r == 0) {
        r = vireo_vfio_try(space, ADDR, count_line, ret_lines, err);
        vireo_vfio_space_destroy(space);
    }
    assert_int_equal(k->open_fds, 0);
    return r;
}

/* Each call of a whole life fails once: a clear error, and nothing stays open. */
static void any_call_may_fail(void **state)
{
    static const int codes[] = {-EIO, -ENODEV, -ENOMEM};
    (void)state;
    for (size_t w = 0; w < VR_COUNT(ways); w++) {
        struct kernel k = {0};
        unsigned lines;
        kernel_make(&k);
        with_iommufd(&k);
        if (try_once(&k, ways[w], &lines, NULL) < 0) {
            fail();
        }
        int calls = k.calls;
        assert_true(calls > 30 && lines > 8);
        assert_int_equal(k.resets, 1);
        for (k.fail_at = 1; k.fail_at <= calls; k.fail_at++) {
            struct vr_error err = {0};
            k.calls = 0;
            k.fail_code = codes[k.fail_at % 3];
            int r = try_once(&k, ways[w], &lines, &err);
            assert_true(r == 0 || (r < 0 && err.msg[0]));
        }
        kernel_destroy(&k);
    }
}

/* One bad answer each. */
static unsigned long lie_request;
static char lie_kind;
static void (*lie_how)(void *arg);

static void lie(struct kernel *k, char kind, unsigned long request, void *arg)
{
    (void)k;
    if (request == lie_request && kind == lie_kind) {
        lie_how(arg);
    }
}

static void lie_many_regions(void *arg)
{
    ((struct vfio_device_info *)arg)->num_regions = 1000000;
}
static void lie_no_regions(void *arg)
{
    ((struct vfio_device_info *)arg)->num_regions = 3;
}
static void lie_far_region(void *arg)
{
    ((struct vfio_region_info *)arg)->offset = UINT64_C(1) << 63;
}
static void lie_huge_region(void *arg)
{
    ((struct vfio_region_info *)arg)->size = UINT64_MAX;
}
static void lie_argsz_huge(void *arg)
{
    *(uint32_t *)arg = 0xfffffff0;
}
static void lie_argsz_small(void *arg)
{
    *(uint32_t *)arg = 3;
}
static void lie_argsz_grows(void *arg)
{
    *(uint32_t *)arg += 8;
}
static void lie_chain_loops(void *arg)
{
    struct vfio_region_info *info = arg;
    if (info->index == 0 && info->cap_offset) {
        struct vfio_info_cap_header *cap = (void *)((uint8_t *)arg + info->cap_offset);
        cap->id = 99;
        cap->next = info->cap_offset;
    }
}
static void lie_chain_leaves(void *arg)
{
    struct vfio_region_info *info = arg;
    if (info->index == 0 && info->cap_offset) {
        info->cap_offset = 0xfffffff8;
    }
}
static void lie_chain_in_head(void *arg)
{
    struct vfio_region_info *info = arg;
    if (info->index == 0 && info->cap_offset) {
        info->cap_offset = 8;
    }
}
static void lie_many_areas(void *arg)
{
    struct vfio_region_info *info = arg;
    if (info->index == 0 && info->cap_offset) {
        ((struct vfio_region_info_cap_sparse_mmap *)((uint8_t *)arg + info->cap_offset))->nr_areas =
            0xffffffff;
    }
}
static void lie_area_outside(void *arg)
{
    struct vfio_region_info *info = arg;
    if (info->index == 0 && info->cap_offset) {
        ((struct vfio_region_info_cap_sparse_mmap *)((uint8_t *)arg + info->cap_offset))
            ->areas[1]
            .size = UINT64_MAX - 0x3fff;
    }
}
static void lie_areas_overlap(void *arg)
{
    struct vfio_region_info *info = arg;
    if (info->index == 0 && info->cap_offset) {
        ((struct vfio_region_info_cap_sparse_mmap *)((uint8_t *)arg + info->cap_offset))
            ->areas[1]
            .offset = 0x1000;
    }
}
static void lie_many_irqs(void *arg)
{
    ((struct vfio_irq_info *)arg)->count = 0x80000000;
}
static void lie_many_iovas(void *arg)
{
    struct vfio_iommu_type1_info *info = arg;
    if (info->cap_offset) {
        ((struct vfio_iommu_type1_info_cap_iova_range *)((uint8_t *)arg + 40))->nr_iovas = 1 << 28;
    }
}
static void lie_iovas_turned(void *arg)
{
    struct vfio_iommu_type1_info *info = arg;
    if (info->cap_offset) {
        ((struct vfio_iommu_type1_info_cap_iova_range *)((uint8_t *)arg + 40))
            ->iova_ranges[1]
            .start = 0;
    }
}
static void lie_many_ioas(void *arg)
{
    ((struct vr_ioas_iova_ranges *)arg)->num_iovas = 1 << 30;
}
static void lie_odd_align(void *arg)
{
    ((struct vr_ioas_iova_ranges *)arg)->out_iova_alignment = 3;
}
static void lie_many_dependents(void *arg)
{
    ((struct vfio_pci_hot_reset_info *)arg)->count = 0xffffffff;
}

static void lies_are_found_out(void **state)
{
    static const struct {
        char kind;
        unsigned long request;
        void (*how)(void *arg);
        const char *says;
    } lies[] = {
        {'d', VFIO_DEVICE_GET_INFO, lie_many_regions, "1000000 regions"},
        {'d', VFIO_DEVICE_GET_INFO, lie_no_regions, "3 regions"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_far_region, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_huge_region, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_argsz_huge, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_argsz_small, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_argsz_grows, "region"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_chain_loops, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_chain_leaves, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_chain_in_head, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_many_areas, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_area_outside, "BAR 0"},
        {'d', VFIO_DEVICE_GET_REGION_INFO, lie_areas_overlap, "BAR 0"},
        {'d', VFIO_DEVICE_GET_IRQ_INFO, lie_many_irqs, "INTx"},
        {'c', VFIO_IOMMU_GET_INFO, lie_many_iovas, "DMA addresses"},
        {'c', VFIO_IOMMU_GET_INFO, lie_iovas_turned, "DMA addresses"},
        {'c', VFIO_IOMMU_GET_INFO, lie_argsz_huge, "DMA addresses"},
        {'i', VR_IOAS_IOVA_RANGES, lie_many_ioas, "DMA addresses"},
        {'i', VR_IOAS_IOVA_RANGES, lie_odd_align, "DMA addresses"},
        {'d', VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, lie_many_dependents, "4294967295 dependent"},
    };
    (void)state;
    for (size_t w = 0; w < VR_COUNT(ways); w++) {
        struct kernel k = {.damage = lie};
        kernel_make(&k);
        with_iommufd(&k);
        for (size_t i = 0; i < VR_COUNT(lies); i++) {
            struct vr_error err = {0};
            unsigned lines;
            bool other = lies[i].kind == (ways[w] == VIREO_VFIO_GROUP ? 'i' : 'c');
            lie_kind = lies[i].kind;
            lie_request = lies[i].request;
            lie_how = lies[i].how;
            int r = try_once(&k, ways[w], &lines, &err);
            if (r != (other ? 0 : -EPROTO) || (r && !strstr(err.msg, lies[i].says))) {
                fail_msg("lie %zu: %d, '%s'", i, r, err.msg);
            }
        }
        kernel_destroy(&k);
    }
}

/* Any bytes in any answer: no crash, no leak, no lost error. */
static void scramble(struct kernel *k, char kind, unsigned long request, void *arg)
{
    uint32_t size;
    if (!arg || (kind == 'g' && request == VFIO_GROUP_SET_CONTAINER)) {
        return;
    }
    memcpy(&size, arg, sizeof(size));
    k->seed = k->seed * 1664525 + 1013904223;
    if ((k->seed >> 16) % 6 || size > 4096) {
        return;
    }
    for (unsigned n = 1 + (k->seed >> 24) % 4; n--;) {
        k->seed = k->seed * 1664525 + 1013904223;
        uint8_t *byte = (uint8_t *)arg + (k->seed >> 8) % (size < 24 ? size : 24);
        *byte = (uint8_t)(k->seed >> 4 & 1 ? *byte ^ 1u << (k->seed >> 29) : k->seed >> 24);
    }
}

static void damaged_answers_do_no_harm(void **state)
{
    unsigned failed = 0, worked = 0, lines;
    (void)state;
    struct kernel k = {0};
    kernel_make(&k);
    with_iommufd(&k);
    k.damage = scramble;
    for (unsigned i = 0; i < 1000; i++) {
        struct vr_error err = {0};
        k.seed = i * 7919;
        k.map_count = 0;
        k.config[4] = 0;
        if (try_once(&k, ways[i % 2], &lines, &err) < 0) {
            assert_true(err.code < 0 && err.msg[0]);
            failed++;
        } else {
            worked++;
        }
    }
    assert_true(failed > 100 && worked > 30);
    kernel_destroy(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_way_is_chosen_by_what_the_host_has),
        cmocka_unit_test(there_is_no_silent_fallback),
        cmocka_unit_test(a_device_is_described),
        cmocka_unit_test(registers_are_read_and_written),
        cmocka_unit_test(windows_are_mapped),
        cmocka_unit_test(interrupts_reach_their_eventfds),
        cmocka_unit_test(dma_stays_inside_the_limits),
        cmocka_unit_test(mappings_are_kept_as_a_set),
        cmocka_unit_test(resets_say_what_they_take_along),
        cmocka_unit_test(devices_of_a_group_share_it),
        cmocka_unit_test(mediated_devices_are_opened_by_name),
        cmocka_unit_test(refusals_are_clear),
        cmocka_unit_test(any_call_may_fail),
        cmocka_unit_test(lies_are_found_out),
        cmocka_unit_test(damaged_answers_do_no_harm),
    };
    return cmocka_run_group_tests_name("vfio", tests, NULL, NULL);
}
