/* What a device is made of: regions with the windows that can be mapped (the sparse mmap
 * capability of linux/vfio.h), and interrupts; and the calls about the latter. */
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/linux/vfio_priv.h"

#include <errno.h>
#include <linux/vfio.h>
#include <stdio.h>

static int info_ioctl(const struct vireo_vfio *dev, unsigned long request, void *arg)
{
    return dev->space->sys.ioctl(dev->space->sys.opaque, dev->fd, request, arg);
}

/* ---- Regions ---- */

/* Take the areas of a sparse capability of @len bytes at @cap. */
static int info_sparse(struct vireo_vfio_region *region, const uint8_t *cap, size_t len)
{
    struct vfio_region_info_cap_sparse_mmap head;
    uint64_t page = vr_vfio_page(), end = 0;
    if (len < sizeof(head)) {
        return -EPROTO;
    }
    memcpy(&head, cap, sizeof(head));
    if (head.nr_areas > (len - sizeof(head)) / sizeof(struct vfio_region_sparse_mmap_area)) {
        return -EPROTO;
    }
    struct vireo_vfio_window *windows = vr_zalloc_array(head.nr_areas, sizeof(*windows));
    if (!windows) {
        return -ENOMEM;
    }
    region->windows = windows;
    for (uint32_t i = 0; i < head.nr_areas; i++) {
        struct vfio_region_sparse_mmap_area area;
        memcpy(&area, cap + sizeof(head) + i * sizeof(area), sizeof(area));
        if (area.size == 0) {
            continue;
        }
        if (area.offset < end || !vr_in_range(area.offset, area.size, region->len_bytes) ||
            !vr_is_aligned(area.offset, page)) {
            return -EPROTO;
        }
        end = area.offset + area.size;
        windows[region->window_count++] =
            (struct vireo_vfio_window){.off = area.offset, .len = vr_align_up(area.size, page)};
    }
    return 0;
}

static int info_whole(struct vireo_vfio_region *region)
{
    struct vireo_vfio_window *window = vr_zalloc(sizeof(*window));
    if (!window) {
        return -ENOMEM;
    }
    window->len = vr_align_up(region->len_bytes, vr_vfio_page());
    region->windows = window;
    region->window_count = 1;
    return 0;
}

/* @info is the head of an @answer of @len bytes. */
static int info_capabilities(struct vireo_vfio_region *region, const struct vfio_region_info *info,
                             const uint8_t *answer, size_t len)
{
    size_t off, left;
    bool caps = info->flags & VFIO_REGION_INFO_FLAG_CAPS;
    int r = caps ? vr_vfio_capability(answer, len, sizeof(*info), info->cap_offset,
                                      VFIO_REGION_INFO_CAP_TYPE, &off, &left)
                 : -ENOENT;
    if (r == 0) {
        struct vfio_region_info_cap_type type;
        if (left < sizeof(type)) {
            return -EPROTO;
        }
        memcpy(&type, answer + off, sizeof(type));
        region->type = type.type;
        region->subtype = type.subtype;
    } else if (r != -ENOENT) {
        return r;
    }
    if (!(info->flags & VFIO_REGION_INFO_FLAG_MMAP)) {
        return 0;
    }
    r = caps ? vr_vfio_capability(answer, len, sizeof(*info), info->cap_offset,
                                  VFIO_REGION_INFO_CAP_SPARSE_MMAP, &off, &left)
             : -ENOENT;
    return r == 0 ? info_sparse(region, answer + off, left) : r == -ENOENT ? info_whole(region) : r;
}

static int info_region(struct vireo_vfio *dev, unsigned index)
{
    struct vr_vfio_region_state *state = &dev->regions[index];
    struct vfio_region_info info = {.index = index};
    void *answer;
    size_t len;
    state->pub.index = index;
    int r = vr_vfio_ask(&dev->space->sys, dev->fd, VFIO_DEVICE_GET_REGION_INFO, &info, sizeof(info),
                        &answer, &len);
    if (r == -EINVAL) {
        return 0; /* the VGA region of what is no VGA, and indexes without a region */
    }
    if (r < 0) {
        return r;
    }
    memcpy(&info, answer, sizeof(info));
    /* Offsets have to fit what pread and mmap take, also when rounded to pages. */
    if (info.offset > INT64_MAX / 2 || info.size > INT64_MAX / 2 || info.index != index) {
        r = -EPROTO;
    } else {
        state->off = info.offset;
        state->pub.len_bytes = info.size;
        state->pub.readable = info.flags & VFIO_REGION_INFO_FLAG_READ;
        state->pub.writable = info.flags & VFIO_REGION_INFO_FLAG_WRITE;
        r = info.size ? info_capabilities(&state->pub, &info, answer, len) : 0;
    }
    free(answer);
    return r;
}

int vr_vfio_read_regions(struct vireo_vfio *dev, unsigned count, struct vr_error *err)
{
    if (count <= VFIO_PCI_CONFIG_REGION_INDEX || count > VR_VFIO_REGIONS_MAX) {
        return vr_err(err, -EPROTO, "%s: the kernel tells of %u regions", dev->name, count);
    }
    dev->regions = vr_zalloc_array(count, sizeof(*dev->regions));
    if (!dev->regions) {
        return vr_err(err, -ENOMEM, "%s: no memory for its regions", dev->name);
    }
    dev->region_count = count;
    for (unsigned i = 0; i < count; i++) {
        int r = info_region(dev, i);
        if (r < 0) {
            return vr_err(err, r, "%s: the kernel's answer on its %s (region %u): %s", dev->name,
                          vireo_vfio_region_name(i), i, strerror(-r));
        }
    }
    return 0;
}

void vr_vfio_free_regions(struct vireo_vfio *dev)
{
    for (size_t i = 0; i < dev->region_count; i++) {
        free((void *)(uintptr_t)dev->regions[i].pub.windows);
    }
    free(dev->regions);
}

size_t vireo_vfio_region_count(const struct vireo_vfio *dev)
{
    return dev->region_count;
}

const struct vireo_vfio_region *vireo_vfio_region(const struct vireo_vfio *dev, unsigned index)
{
    return index < dev->region_count ? &dev->regions[index].pub : NULL;
}

/* ---- Interrupts ---- */

int vr_vfio_read_irqs(struct vireo_vfio *dev, unsigned count, struct vr_error *err)
{
    enum { IRQS_MAX = 1 << 16 };
    for (unsigned k = 0; k < VIREO_VFIO_IRQ_KINDS && k < count; k++) {
        struct vfio_irq_info info = {.argsz = sizeof(info), .index = k};
        int r = info_ioctl(dev, VFIO_DEVICE_GET_IRQ_INFO, &info);
        if (r == -EINVAL) {
            continue; /* this device has none of that kind */
        }
        if (r == 0 && info.count > IRQS_MAX) {
            r = -EPROTO;
        }
        if (r < 0) {
            return vr_err(err, r, "%s: the kernel's answer on its %s interrupts: %s", dev->name,
                          vireo_vfio_irq_name((enum vireo_vfio_irq_kind)k), strerror(-r));
        }
        dev->irqs[k] = (struct vireo_vfio_irq){
            .count = info.flags & VFIO_IRQ_INFO_EVENTFD ? info.count : 0,
            .maskable = info.flags & VFIO_IRQ_INFO_MASKABLE,
            .automasked = info.flags & VFIO_IRQ_INFO_AUTOMASKED,
            .no_resize = info.flags & VFIO_IRQ_INFO_NORESIZE,
        };
    }
    return 0;
}

static int irq_check(const struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned first,
                     unsigned count, struct vr_error *err)
{
    if ((unsigned)kind >= VIREO_VFIO_IRQ_KINDS) {
        return vr_err(err, -EINVAL, "%s: no such kind of interrupt: %d", dev->name, (int)kind);
    }
    if (dev->irqs[kind].count == 0) {
        return vr_err(err, -ENOTSUP, "%s has no %s interrupts", dev->name,
                      vireo_vfio_irq_name(kind));
    }
    if (!vr_in_range(first, count, dev->irqs[kind].count)) {
        return vr_err(err, -ERANGE, "%s has %u %s interrupts: %u from %u are too many", dev->name,
                      dev->irqs[kind].count, vireo_vfio_irq_name(kind), count, first);
    }
    return 0;
}

int vireo_vfio_irq(const struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                   struct vireo_vfio_irq *ret_irq, struct vr_error *err)
{
    if ((unsigned)kind >= VIREO_VFIO_IRQ_KINDS) {
        return irq_check(dev, kind, 0, 0, err);
    }
    *ret_irq = dev->irqs[kind];
    return 0;
}

/* One VFIO_DEVICE_SET_IRQS; @fds NULL: no data. */
static int irq_set(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, uint32_t action,
                   unsigned first, const int *fds, unsigned count)
{
    size_t size = sizeof(struct vfio_irq_set) + (fds ? count * sizeof(int32_t) : 0);
    struct vfio_irq_set *set = vr_zalloc(size);
    if (!set) {
        return -ENOMEM;
    }
    set->argsz = (uint32_t)size;
    set->flags = action | (fds ? VFIO_IRQ_SET_DATA_EVENTFD : VFIO_IRQ_SET_DATA_NONE);
    set->index = kind;
    set->start = first;
    set->count = count;
    if (fds) {
        memcpy(set->data, fds, count * sizeof(int32_t));
    }
    int r = info_ioctl(dev, VFIO_DEVICE_SET_IRQS, set);
    free(set);
    return r;
}

static int irq_told(const struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, const char *what,
                    int r, struct vr_error *err)
{
    if (r > 0) { /* MSI: as many vectors could be had */
        return vr_err(err, -ENOSPC, "%s: %s %s: the host has only %d vectors for it", dev->name,
                      what, vireo_vfio_irq_name(kind), r);
    }
    return r < 0 ? vr_err(err, r, "%s: %s %s: %s", dev->name, what, vireo_vfio_irq_name(kind),
                          strerror(-r))
                 : 0;
}

int vireo_vfio_irq_enable(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned first,
                          const int *fds, unsigned count, struct vr_error *err)
{
    int r = irq_check(dev, kind, first, count, err);
    for (unsigned k = VIREO_VFIO_INTX; r == 0 && k <= VIREO_VFIO_MSIX; k++) {
        if (k != kind && kind <= VIREO_VFIO_MSIX && dev->irq_on[k]) {
            r = vr_err(err, -EBUSY, "%s uses %s: disable them before %s", dev->name,
                       vireo_vfio_irq_name((enum vireo_vfio_irq_kind)k), vireo_vfio_irq_name(kind));
        }
    }
    if (r < 0 || count == 0) {
        return r;
    }
    for (unsigned i = 0; i < count; i++) {
        if (fds[i] < -1) {
            return vr_err(err, -EBADF, "%s: %d is no eventfd", dev->name, fds[i]);
        }
    }
    r = irq_told(dev, kind, "enabling",
                 irq_set(dev, kind, VFIO_IRQ_SET_ACTION_TRIGGER, first, fds, count), err);
    if (r == 0) {
        dev->irq_on[kind] = true;
    }
    return r;
}

int vireo_vfio_irq_disable(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                           struct vr_error *err)
{
    int r = irq_check(dev, kind, 0, 0, err);
    if (r < 0 || !dev->irq_on[kind]) {
        return r;
    }
    r = irq_told(dev, kind, "disabling",
                 irq_set(dev, kind, VFIO_IRQ_SET_ACTION_TRIGGER, 0, NULL, 0), err);
    if (r == 0) {
        dev->irq_on[kind] = false;
    }
    return r;
}

int vireo_vfio_irq_mask(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned i,
                        bool mask, struct vr_error *err)
{
    int r = irq_check(dev, kind, i, 1, err);
    if (r < 0) {
        return r;
    }
    if (!dev->irqs[kind].maskable) {
        return vr_err(err, -ENOTSUP, "%s: its %s interrupts cannot be masked here", dev->name,
                      vireo_vfio_irq_name(kind));
    }
    return irq_told(dev, kind, mask ? "masking" : "unmasking",
                    irq_set(dev, kind, mask ? VFIO_IRQ_SET_ACTION_MASK : VFIO_IRQ_SET_ACTION_UNMASK,
                            i, NULL, 1),
                    err);
}

int vireo_vfio_intx_unmask_fd(struct vireo_vfio *dev, int fd, struct vr_error *err)
{
    int r = irq_check(dev, VIREO_VFIO_INTX, 0, 1, err);
    return r < 0 ? r
                 : irq_told(dev, VIREO_VFIO_INTX, "unmasking by eventfd",
                            irq_set(dev, VIREO_VFIO_INTX, VFIO_IRQ_SET_ACTION_UNMASK, 0, &fd, 1),
                            err);
}

int vireo_vfio_irq_trigger(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned i,
                           struct vr_error *err)
{
    int r = irq_check(dev, kind, i, 1, err);
    return r < 0 ? r
                 : irq_told(dev, kind, "triggering",
                            irq_set(dev, kind, VFIO_IRQ_SET_ACTION_TRIGGER, i, NULL, 1), err);
}
