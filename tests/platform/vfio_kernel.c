#include "test.h"

#include "vfio_kernel.h"

#include "base/bits.h"
#include "platform/linux/iommufd_abi.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FD_FIRST = 5000, CONFIG_AT = 0x70000, BAR_AT = 0x100000, ROM_AT = 0x60000, ROM = 1000 };

static bool kernel_fails(struct kernel *k)
{
    return ++k->calls == k->fail_at;
}

static int kernel_fd(struct kernel *k, char kind)
{
    for (int i = 0; i < KERNEL_FDS; i++) {
        if (!k->kinds[i]) {
            k->kinds[i] = kind;
            k->open_fds++;
            return FD_FIRST + i;
        }
    }
    fail_msg("too many descriptors");
    return -EMFILE;
}

static int kernel_open(void *opaque, int dir_fd, const char *path, int flags)
{
    struct kernel *k = opaque;
    (void)dir_fd;
    (void)flags;
    if (kernel_fails(k)) {
        return k->fail_code;
    }
    char kind = strcmp(path, "dev/vfio/vfio") == 0            ? 'c'
                : strcmp(path, "dev/vfio/10") == 0            ? 'g'
                : strcmp(path, "dev/iommu") == 0              ? 'i'
                : strcmp(path, "dev/vfio/devices/vfio3") == 0 ? 'd'
                                                              : 0;
    if (kind == 'g') {
        for (int i = 0; i < KERNEL_FDS; i++) {
            if (k->kinds[i] == 'g') {
                return -EBUSY;
            }
        }
    }
    return kind ? kernel_fd(k, kind) : -ENOENT;
}

static void kernel_close(void *opaque, int fd)
{
    struct kernel *k = opaque;
    int i = fd - FD_FIRST;
    assert_true(i >= 0 && i < KERNEL_FDS && k->kinds[i]);
    k->bound = k->bound && k->kinds[i] != 'd';
    k->kinds[i] = 0;
    k->open_fds--;
}

static char kernel_kind(const struct kernel *k, int fd)
{
    int i = fd - FD_FIRST;
    assert_true(i >= 0 && i < KERNEL_FDS && k->kinds[i]);
    return k->kinds[i];
}

/* ---- Addresses ---- */

static int kernel_map_dma(struct kernel *k, uint64_t iova, uint64_t len)
{
    assert_true(k->map_count < KERNEL_MAPS);
    k->maps[k->map_count].iova = iova;
    k->maps[k->map_count++].len = len;
    return 0;
}

static uint64_t kernel_unmap_dma(struct kernel *k, uint64_t iova, uint64_t len)
{
    uint64_t done = 0;
    for (unsigned i = 0; i < k->map_count;) {
        if (k->maps[i].iova >= iova && k->maps[i].iova - iova < len) {
            done += k->maps[i].len;
            k->maps[i] = k->maps[--k->map_count];
        } else {
            i++;
        }
    }
    return k->loses_dma ? 0 : done;
}

static const struct vfio_iova_range kernel_ranges[] = {{0, 0xfedfffff},
                                                       {0xfef00000, 0x7fffffffffff}};

static int kernel_iommu_info(struct kernel *k, struct vfio_iommu_type1_info *info)
{
    struct vfio_iommu_type1_info_cap_iova_range cap = {
        .header = {.id = VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE, .version = 1}, .nr_iovas = 2};
    struct vfio_info_cap_header other = {.id = 77, .next = 40};
    info->flags = VFIO_IOMMU_INFO_PGSIZES;
    info->iova_pgsizes = 0x40201000;
    if (k->no_ranges) {
        return 0;
    }
    info->flags |= VFIO_IOMMU_INFO_CAPS;
    uint32_t need = 40 + sizeof(cap) + sizeof(kernel_ranges), room = info->argsz;
    info->argsz = need;
    info->cap_offset = 0;
    if (room >= need) {
        info->cap_offset = 32;
        memcpy((uint8_t *)info + 32, &other, sizeof(other));
        memcpy((uint8_t *)info + 40, &cap, sizeof(cap));
        memcpy((uint8_t *)info + 40 + sizeof(cap), kernel_ranges, sizeof(kernel_ranges));
    }
    return 0;
}

static int kernel_ioas_ranges(struct vr_ioas_iova_ranges *ask)
{
    uint32_t room = ask->num_iovas;
    assert_int_equal(ask->size, sizeof(*ask));
    if (ask->ioas_id != 42) {
        return -ENOENT;
    }
    ask->num_iovas = 2;
    ask->out_iova_alignment = 4096;
    memcpy((void *)(uintptr_t)ask->allowed_iovas, kernel_ranges,
           (room < 2 ? room : 2) * sizeof(kernel_ranges[0]));
    return room < 2 ? -EMSGSIZE : 0;
}

/* ---- The device ---- */

static int kernel_region(struct vfio_region_info *info)
{
    struct {
        struct vfio_info_cap_header header;
        uint32_t nr, reserved;
        struct vfio_region_sparse_mmap_area areas[2];
    } sparse = {.header = {.id = VFIO_REGION_INFO_CAP_SPARSE_MMAP, .version = 1},
                .nr = 2,
                .areas = {{0, 0x2000}, {0x4000, 0x4000}}};
    uint32_t need = sizeof(*info) + sizeof(sparse), room = info->argsz;
    switch (info->index) {
    case VFIO_PCI_BAR0_REGION_INDEX:
        info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
                      VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS;
        info->size = KERNEL_BAR;
        info->offset = BAR_AT;
        info->argsz = need;
        info->cap_offset = 0;
        if (room >= need) {
            info->cap_offset = sizeof(*info);
            memcpy((uint8_t *)info + sizeof(*info), &sparse, sizeof(sparse));
        }
        return 0;
    case VFIO_PCI_ROM_REGION_INDEX:
        info->flags = VFIO_REGION_INFO_FLAG_READ;
        info->size = ROM;
        info->offset = ROM_AT;
        return 0;
    case VFIO_PCI_CONFIG_REGION_INDEX:
        info->flags = VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE;
        info->size = 256;
        info->offset = CONFIG_AT;
        return 0;
    case VFIO_PCI_VGA_REGION_INDEX:
        return -EINVAL;
    default:
        info->size = 0;
        return 0;
    }
}

static int kernel_irq_info(const struct kernel *k, struct vfio_irq_info *info)
{
    static const unsigned counts[] = {1, 0, KERNEL_MSIX, 1, 1};
    if (info->index >= (k->no_req ? 4 : 5)) {
        return -EINVAL;
    }
    info->count = counts[info->index];
    info->flags = VFIO_IRQ_INFO_EVENTFD |
                  (info->index == 0 ? VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED
                                    : VFIO_IRQ_INFO_NORESIZE);
    return 0;
}

static int kernel_set_irqs(struct kernel *k, const struct vfio_irq_set *set)
{
    bool fds = set->flags & VFIO_IRQ_SET_DATA_EVENTFD;
    int32_t fd = -1;
    assert_int_equal(set->argsz, sizeof(*set) + (fds ? set->count * 4 : 0));
    assert_true(set->index < 5);
    if (fds && set->count) {
        memcpy(&fd, set->data, sizeof(fd));
    }
    if (set->flags & VFIO_IRQ_SET_ACTION_TRIGGER) {
        if (fds && set->start == 0) {
            k->irq_fds[set->index] = fd;
        } else if (!fds && set->count == 0) {
            k->irq_fds[set->index] = -1;
        } else if (!fds && k->irq_fds[set->index] >= 0) {
            uint64_t one = 1;
            assert_int_equal(write(k->irq_fds[set->index], &one, sizeof(one)), 8);
        }
    } else if (fds) {
        k->unmask_fd = fd;
    } else {
        k->masked = set->flags & VFIO_IRQ_SET_ACTION_MASK;
    }
    return 0;
}

static int kernel_hot_info(const struct kernel *k, struct vfio_pci_hot_reset_info *info)
{
    if (info->argsz < sizeof(*info) + 2 * sizeof(info->devices[0])) {
        info->count = 2;
        return -ENOSPC;
    }
    info->flags = k->bound ? VR_VFIO_HOT_RESET_DEV_ID | VR_VFIO_HOT_RESET_OWNED : 0;
    info->count = 2;
    for (unsigned i = 0; i < 2; i++) {
        info->devices[i] = (struct vfio_pci_dependent_device){
            .group_id = k->bound ? i : 10, .bus = 1, .devfn = (uint8_t)(0x80 + i)};
    }
    return 0;
}

static int kernel_device(struct kernel *k, unsigned long request, void *arg)
{
    struct vfio_device_info *info = arg;
    switch (request) {
    case VR_VFIO_BIND_IOMMUFD:
        assert_true(kernel_kind(k, ((struct vr_vfio_bind_iommufd *)arg)->iommufd) == 'i');
        k->bound = true;
        return 0;
    case VR_VFIO_ATTACH_PT:
        assert_true(k->bound);
        k->attached = ((struct vr_vfio_attach_pt *)arg)->pt_id == 42;
        return k->attached ? 0 : -ENOENT;
    case VFIO_DEVICE_GET_INFO:
        info->flags = (k->no_pci ? VFIO_DEVICE_FLAGS_PLATFORM : VFIO_DEVICE_FLAGS_PCI) |
                      (k->no_reset ? 0 : VFIO_DEVICE_FLAGS_RESET);
        info->num_regions = 9;
        info->num_irqs = 5;
        return 0;
    case VFIO_DEVICE_GET_REGION_INFO:
        return kernel_region(arg);
    case VFIO_DEVICE_GET_IRQ_INFO:
        return kernel_irq_info(k, arg);
    case VFIO_DEVICE_SET_IRQS:
        return kernel_set_irqs(k, arg);
    case VFIO_DEVICE_RESET:
        k->resets++;
        return 0;
    case VFIO_DEVICE_GET_PCI_HOT_RESET_INFO:
        return k->no_reset ? -ENODEV : kernel_hot_info(k, arg);
    case VFIO_DEVICE_PCI_HOT_RESET:
        assert_int_equal(((struct vfio_pci_hot_reset *)arg)->count, k->bound ? 0 : 1);
        k->hot_resets++;
        return 0;
    }
    return -ENOTTY;
}

static int kernel_answer(struct kernel *k, int fd, unsigned long request, void *arg)
{
    struct vfio_iommu_type1_dma_map *map = arg;
    struct vfio_iommu_type1_dma_unmap *unmap = arg;
    struct vr_ioas_map *ioas_map = arg;
    struct vr_ioas_unmap *ioas_unmap = arg;
    switch (kernel_kind(k, fd)) {
    case 'd':
        return kernel_device(k, request, arg);
    case 'g':
        if (request == VFIO_GROUP_GET_STATUS) {
            ((struct vfio_group_status *)arg)->flags = k->not_viable ? 0 : VFIO_GROUP_FLAGS_VIABLE;
            return 0;
        }
        if (request == VFIO_GROUP_SET_CONTAINER) {
            assert_true(kernel_kind(k, *(int *)arg) == 'c');
            k->container_set = true;
            return 0;
        }
        if (request == VFIO_GROUP_UNSET_CONTAINER) {
            k->unset++;
            k->container_set = k->iommu_set = false;
            k->map_count = 0;
            return 0;
        }
        assert_true(request == VFIO_GROUP_GET_DEVICE_FD);
        assert_true(k->iommu_set);
        assert_true(strcmp(arg, "0000:01:10.0") == 0 || strcmp(arg, "0000:01:10.2") == 0 ||
                    strcmp(arg, KERNEL_MDEV) == 0);
        return kernel_fd(k, 'd');
    default:
        break;
    }
    switch (request) {
    case VFIO_IOMMU_GET_INFO:
        return kernel_iommu_info(k, arg);
    case VFIO_IOMMU_MAP_DMA:
        return kernel_map_dma(k, map->iova, map->size);
    case VFIO_IOMMU_UNMAP_DMA:
        unmap->size = kernel_unmap_dma(k, unmap->iova, unmap->size);
        return 0;
    case VR_IOAS_ALLOC:
        ((struct vr_ioas_alloc *)arg)->out_ioas_id = 42;
        return 0;
    case VR_IOAS_IOVA_RANGES:
        return kernel_ioas_ranges(arg);
    case VR_IOAS_MAP:
        assert_true(ioas_map->flags & VR_IOAS_MAP_FIXED);
        return kernel_map_dma(k, ioas_map->iova, ioas_map->length);
    case VR_IOAS_UNMAP:
        ioas_unmap->length = kernel_unmap_dma(k, ioas_unmap->iova, ioas_unmap->length);
        return 0;
    }
    fail_msg("unknown ioctl %lx", request);
    return -ENOTTY;
}

static int kernel_ioctl(void *opaque, int fd, unsigned long request, void *arg)
{
    struct kernel *k = opaque;
    /* Taking things down does not fail: nobody could do anything about it. */
    bool down = request == VFIO_GROUP_UNSET_CONTAINER;
    if (!down && kernel_fails(k)) {
        return k->fail_code;
    }
    int r = kernel_answer(k, fd, request, arg);
    if (r == 0 && k->damage) {
        k->damage(k, kernel_kind(k, fd), request, arg);
    }
    return r;
}

static int kernel_ioctl_value(void *opaque, int fd, unsigned long request, unsigned long value)
{
    struct kernel *k = opaque;
    assert_true(kernel_kind(k, fd) == 'c');
    if (kernel_fails(k)) {
        return k->fail_code;
    }
    switch (request) {
    case VFIO_GET_API_VERSION:
        return VFIO_API_VERSION;
    case VFIO_CHECK_EXTENSION:
        return value == VFIO_TYPE1v2_IOMMU;
    case VFIO_SET_IOMMU:
        assert_true(k->container_set);
        assert_int_equal(value, VFIO_TYPE1v2_IOMMU);
        k->iommu_set = true;
        return 0;
    }
    fail_msg("unknown ioctl %lx", request);
    return -ENOTTY;
}

static ssize_t kernel_read(void *opaque, int fd, void *buf, size_t len, uint64_t off)
{
    struct kernel *k = opaque;
    assert_true(kernel_kind(k, fd) == 'd');
    if (kernel_fails(k)) {
        return k->fail_code;
    }
    if (k->gone) {
        return 0;
    }
    if (off >= CONFIG_AT && vr_in_range(off - CONFIG_AT, len, sizeof(k->config))) {
        memcpy(buf, k->config + (off - CONFIG_AT), len);
    } else if (off >= ROM_AT && off < ROM_AT + ROM) {
        len = len > 100 ? 100 : len; /* by and by */
        memset(buf, 'r', len);
    } else if (off >= BAR_AT && off < BAR_AT + KERNEL_BAR) {
        memset(buf, 0x5a, len);
    } else {
        return -EINVAL;
    }
    return (ssize_t)len;
}

static ssize_t kernel_write(void *opaque, int fd, const void *buf, size_t len, uint64_t off)
{
    struct kernel *k = opaque;
    assert_true(kernel_kind(k, fd) == 'd');
    if (kernel_fails(k)) {
        return k->fail_code;
    }
    if (off >= CONFIG_AT && vr_in_range(off - CONFIG_AT, len, sizeof(k->config))) {
        memcpy(k->config + (off - CONFIG_AT), buf, len);
    }
    return k->gone ? 0 : (ssize_t)len;
}

static int kernel_map(void *opaque, int fd, uint64_t off, size_t len, unsigned prot,
                      struct vireo_map *ret_map, struct vr_error *err)
{
    struct kernel *k = opaque;
    struct vireo_map_opts o = {.prot = prot | VIREO_PROT_WRITE, .node = VIREO_NODE_ANY};
    assert_true(kernel_kind(k, fd) == 'd');
    if (kernel_fails(k)) {
        return vr_err(err, k->fail_code, "made up");
    }
    if (off < BAR_AT || !vr_in_range(off - BAR_AT, len, KERNEL_BAR)) {
        return vr_err(err, -EINVAL, "not a BAR");
    }
    int r = vireo_map_create(len, &o, ret_map, err);
    if (r == 0) {
        memset(ret_map->hva, 0x5a, len);
    }
    return r;
}

void kernel_make(struct kernel *k)
{
    static const uint8_t ids[] = {0x86, 0x80, 0xca, 0x10}; /* as in the tree */
    k->tree = tree_replay("q35.txt");
    tree_link(&k->tree, "sys/bus/pci/devices/0000:01:10.0/driver",
              "../../../../bus/pci/drivers/vfio-pci");
    tree_write(&k->tree, "dev/vfio/vfio", "");
    tree_write(&k->tree, "dev/vfio/10", "");
    memcpy(k->config, ids, sizeof(ids));
    for (unsigned i = 0; i < 5; i++) {
        k->irq_fds[i] = -1;
    }
    k->unmask_fd = -1;
}

void kernel_destroy(struct kernel *k)
{
    assert_int_equal(k->open_fds, 0);
    tree_destroy(&k->tree);
}

struct vr_vfio_sys kernel_sys(struct kernel *k)
{
    return (struct vr_vfio_sys){
        .open = kernel_open,
        .close = kernel_close,
        .ioctl = kernel_ioctl,
        .ioctl_value = kernel_ioctl_value,
        .read = kernel_read,
        .write = kernel_write,
        .map = kernel_map,
        .opaque = k,
    };
}
