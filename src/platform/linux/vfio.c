/*
 * A device under VFIO: opening and closing, access to its regions, resets. linux/vfio.h and
 * Documentation/driver-api/vfio.rst of Linux; what a region's index means for PCI is fixed there.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/linux/iommufd_abi.h"
#include "platform/linux/vfio_priv.h"
#include "platform/pci.h"

#include <errno.h>
#include <stdio.h>

static int vfio_ioctl(struct vireo_vfio *dev, unsigned long request, void *arg)
{
    return dev->space->sys.ioctl(dev->space->sys.opaque, dev->fd, request, arg);
}

/* ---- Open and close ---- */

static int vfio_read_info(struct vireo_vfio *dev, struct vr_error *err)
{
    struct vfio_device_info info = {.argsz = sizeof(info)};
    int r = vfio_ioctl(dev, VFIO_DEVICE_GET_INFO, &info);
    if (r < 0) {
        return vr_err(err, r, "%s: VFIO tells nothing of it: %s", dev->name, strerror(-r));
    }
    if (!(info.flags & VFIO_DEVICE_FLAGS_PCI)) {
        return vr_err(err, -ENOTSUP, "%s is no PCI device for VFIO (flags 0x%x)", dev->name,
                      info.flags);
    }
    dev->can_reset = info.flags & VFIO_DEVICE_FLAGS_RESET;
    r = vr_vfio_read_regions(dev, info.num_regions, err);
    return r < 0 ? r : vr_vfio_read_irqs(dev, info.num_irqs, err);
}

static int vfio_open(struct vireo_vfio_space *space, const char *folder, const char *name,
                     struct vireo_vfio **ret_dev, struct vr_error *err)
{
    struct vireo_vfio *dev = vr_zalloc(sizeof(*dev));
    if (!dev) {
        return vr_err(err, -ENOMEM, "%s: no memory to open it", name);
    }
    dev->space = space;
    snprintf(dev->name, sizeof(dev->name), "%s", name);
    int r = vr_vfio_space_join(space, folder, name, &dev->fd, &dev->group, err);
    if (r < 0) {
        free(dev);
        return r;
    }
    r = vfio_read_info(dev, err);
    if (r < 0) {
        vireo_vfio_close(dev);
        return r;
    }
    *ret_dev = dev;
    return 0;
}

int vireo_vfio_open(struct vireo_vfio_space *space, struct vireo_pci_addr addr,
                    struct vireo_vfio **ret_dev, struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE], folder[VR_SYSFS_PATH], path[VR_SYSFS_PATH];
    char driver[VIREO_PCI_DRIVER_SIZE];
    vireo_pci_addr_format(addr, name);
    snprintf(folder, sizeof(folder), VR_PCI_DEVICES "/%s", name);
    if (!vr_sysfs_exists(&space->fs, folder)) {
        return vr_err(err, -ENODEV, "%s: this host has no such PCI device", name);
    }
    int r = vr_sysfs_link(&space->fs, vr_pci_path(path, addr, "driver"), driver, sizeof(driver));
    if (r < 0 || !vr_pci_is_vfio_driver(driver)) {
        return vr_err(err, -ENODEV, "%s: %s%s has it, not vfio-pci: 'vireo platform vfio bind %s'",
                      name, r < 0 ? "no driver" : "the host's driver ", r < 0 ? "" : driver, name);
    }
    return vfio_open(space, folder, name, ret_dev, err);
}

int vireo_vfio_open_mdev(struct vireo_vfio_space *space, const char *uuid,
                         struct vireo_vfio **ret_dev, struct vr_error *err)
{
    char folder[VR_SYSFS_PATH];
    if (!vr_is_uuid(uuid)) {
        return vr_err(err, -EINVAL, "'%.40s' is no UUID", uuid);
    }
    snprintf(folder, sizeof(folder), "sys/bus/mdev/devices/%.36s", uuid);
    if (!vr_sysfs_exists(&space->fs, folder)) {
        return vr_err(err, -ENODEV, "%s: this host has no such mediated device", uuid);
    }
    return vfio_open(space, folder, uuid, ret_dev, err);
}

void vireo_vfio_close(struct vireo_vfio *dev)
{
    if (!dev) {
        return;
    }
    while (dev->views) {
        vireo_vfio_unmap(dev, dev->views->map.hva);
    }
    for (unsigned k = 0; k < VIREO_VFIO_IRQ_KINDS; k++) {
        if (dev->irq_on[k] && vireo_vfio_irq_disable(dev, (enum vireo_vfio_irq_kind)k, NULL) < 0) {
            continue; /* closing its file ends them as well */
        }
    }
    dev->space->sys.close(dev->space->sys.opaque, dev->fd);
    vr_vfio_space_leave(dev->space, dev->group);
    vr_vfio_free_regions(dev);
    free(dev);
}

const char *vireo_vfio_name(const struct vireo_vfio *dev)
{
    return dev->name;
}

bool vireo_vfio_can_reset(const struct vireo_vfio *dev)
{
    return dev->can_reset;
}

/* ---- Access ---- */

static const struct vr_vfio_region_state *vfio_region_at(struct vireo_vfio *dev, unsigned index,
                                                         struct vr_error *err)
{
    if (index >= dev->region_count || dev->regions[index].pub.len_bytes == 0) {
        vr_err(err, -ERANGE, "%s: has no %s (region %u)", dev->name, vireo_vfio_region_name(index),
               index);
        return NULL;
    }
    return &dev->regions[index];
}

static int vfio_gone(struct vireo_vfio *dev, unsigned index, uint64_t off, const char *what,
                     ssize_t r, struct vr_error *err)
{
    int code = r < 0 ? (int)r : -EIO;
    return vr_err(err, code, "%s: %s at 0x%llx of its %s: %s", dev->name, what,
                  (unsigned long long)off, vireo_vfio_region_name(index),
                  r < 0 ? strerror(-code)
                        : "the kernel moved fewer bytes: has the device gone, or is it off?");
}

static int vfio_may_access(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                           bool write, const struct vr_vfio_region_state **ret_region,
                           struct vr_error *err)
{
    const struct vr_vfio_region_state *region = vfio_region_at(dev, index, err);
    if (!region) {
        return -ERANGE;
    }
    if (!vr_is_pow2(width) || width > (index == VIREO_VFIO_CONFIG ? 4 : 8) ||
        !vr_is_aligned(off, width)) {
        return vr_err(err, -EINVAL, "%s: %u bytes at 0x%llx of its %s: not a width, or not aligned",
                      dev->name, width, (unsigned long long)off, vireo_vfio_region_name(index));
    }
    if (!vr_in_range(off, width, region->pub.len_bytes)) {
        return vr_err(err, -ERANGE, "%s: 0x%llx is outside of its %s", dev->name,
                      (unsigned long long)off, vireo_vfio_region_name(index));
    }
    if (!(write ? region->pub.writable : region->pub.readable)) {
        return vr_err(err, -EACCES, "%s: its %s cannot be %s", dev->name,
                      vireo_vfio_region_name(index), write ? "written" : "read");
    }
    *ret_region = region;
    return 0;
}

int vireo_vfio_read(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                    uint64_t *ret_val, struct vr_error *err)
{
    const struct vr_vfio_region_state *region = NULL;
    uint8_t bytes[8];
    int r = vfio_may_access(dev, index, off, width, false, &region, err);
    if (r < 0) {
        return r;
    }
    const struct vr_vfio_sys *sys = &dev->space->sys;
    ssize_t got = sys->read(sys->opaque, dev->fd, bytes, width, region->off + off);
    if (got != (ssize_t)width) {
        return vfio_gone(dev, index, off, "reading", got, err);
    }
    *ret_val = vr_load_le(bytes, width);
    return 0;
}

int vireo_vfio_write(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                     uint64_t val, struct vr_error *err)
{
    const struct vr_vfio_region_state *region = NULL;
    uint8_t bytes[8];
    int r = vfio_may_access(dev, index, off, width, true, &region, err);
    if (r < 0) {
        return r;
    }
    if (val & ~vr_width_mask(width)) {
        return vr_err(err, -EINVAL, "%s: 0x%llx does not fit %u bytes", dev->name,
                      (unsigned long long)val, width);
    }
    vr_store_le(bytes, width, val);
    const struct vr_vfio_sys *sys = &dev->space->sys;
    ssize_t put = sys->write(sys->opaque, dev->fd, bytes, width, region->off + off);
    return put == (ssize_t)width ? 0 : vfio_gone(dev, index, off, "writing", put, err);
}

int vireo_vfio_read_bytes(struct vireo_vfio *dev, unsigned index, uint64_t off, void *buf,
                          size_t len, size_t *ret_len, struct vr_error *err)
{
    const struct vr_vfio_sys *sys = &dev->space->sys;
    const struct vr_vfio_region_state *region = NULL;
    size_t done = 0;
    int r = vfio_may_access(dev, index, off, 1, false, &region, err);
    if (r < 0) {
        return r;
    }
    if (len > region->pub.len_bytes - off) {
        len = (size_t)(region->pub.len_bytes - off);
    }
    while (done < len) {
        ssize_t got = sys->read(sys->opaque, dev->fd, (uint8_t *)buf + done, len - done,
                                region->off + off + done);
        if (got == -EINTR) {
            continue;
        }
        if (got < 0 || (size_t)got > len - done) {
            return vfio_gone(dev, index, off + done, "reading", got < 0 ? got : 0, err);
        }
        if (got == 0) {
            break;
        }
        done += (size_t)got;
    }
    *ret_len = done;
    return 0;
}

/* ---- Mapped ---- */

int vireo_vfio_map(struct vireo_vfio *dev, unsigned index, uint64_t off, uint64_t len,
                   bool writable, void **ret_hva, struct vr_error *err)
{
    const struct vr_vfio_sys *sys = &dev->space->sys;
    const struct vr_vfio_region_state *region = vfio_region_at(dev, index, err);
    const struct vireo_vfio_window *window = NULL;
    uint64_t page = vr_vfio_page();
    if (!region) {
        return -ERANGE;
    }
    if (len == 0 || !vr_is_aligned(off | len, page) || len > SIZE_MAX) {
        return vr_err(err, -EINVAL, "%s: 0x%llx bytes at 0x%llx of its %s: not whole pages",
                      dev->name, (unsigned long long)len, (unsigned long long)off,
                      vireo_vfio_region_name(index));
    }
    for (size_t i = 0; i < region->pub.window_count; i++) {
        const struct vireo_vfio_window *w = &region->pub.windows[i];
        if (off >= w->off && vr_in_range(off - w->off, len, w->len)) {
            window = w;
        }
    }
    if (!window) {
        return vr_err(err, -ERANGE, "%s: no window of its %s holds 0x%llx bytes at 0x%llx; %s",
                      dev->name, vireo_vfio_region_name(index), (unsigned long long)len,
                      (unsigned long long)off,
                      region->pub.window_count ? "read and write that part" : "read and write it");
    }
    if (!region->pub.readable || (writable && !region->pub.writable)) {
        return vr_err(err, -EACCES, "%s: its %s cannot be %s", dev->name,
                      vireo_vfio_region_name(index), writable ? "written" : "read");
    }
    struct vr_vfio_view *view = vr_zalloc(sizeof(*view));
    if (!view) {
        return vr_err(err, -ENOMEM, "%s: no memory to map it", dev->name);
    }
    int r =
        sys->map(sys->opaque, dev->fd, region->off + off, (size_t)len,
                 VIREO_PROT_READ | (writable ? (unsigned)VIREO_PROT_WRITE : 0), &view->map, err);
    if (r < 0) {
        free(view);
        return vr_err_in(err, r, "%s: its %s", dev->name, vireo_vfio_region_name(index));
    }
    view->next = dev->views;
    dev->views = view;
    *ret_hva = view->map.hva;
    return 0;
}

void vireo_vfio_unmap(struct vireo_vfio *dev, void *hva)
{
    for (struct vr_vfio_view **at = &dev->views; hva && *at; at = &(*at)->next) {
        struct vr_vfio_view *view = *at;
        if (view->map.hva == hva) {
            *at = view->next;
            vireo_map_destroy(&view->map);
            free(view);
            return;
        }
    }
    vr_assert(!hva); /* not mapped here */
}

/* ---- Resets ---- */

int vireo_vfio_reset(struct vireo_vfio *dev, struct vr_error *err)
{
    if (!dev->can_reset) {
        return vr_err(err, -ENOTSUP,
                      "%s: the host knows no way to reset it alone; a reset of its slot or bus may "
                      "do",
                      dev->name);
    }
    int r = vfio_ioctl(dev, VFIO_DEVICE_RESET, NULL);
    return r < 0 ? vr_err(err, r, "%s: its reset failed: %s: it may need the host's power cycle",
                          dev->name, strerror(-r))
                 : 0;
}

struct vfio_hot_answer {
    struct vfio_pci_hot_reset_info head;
    struct vfio_pci_dependent_device devices[VIREO_VFIO_DEPENDENTS];
};

static bool vfio_has_group(const struct vireo_vfio_space *space, uint32_t number)
{
    for (unsigned i = 0; i < space->group_count; i++) {
        if ((uint32_t)space->groups[i].number == number) {
            return true;
        }
    }
    return false;
}

int vireo_vfio_hot_reset_info(struct vireo_vfio *dev, struct vireo_vfio_dependent *ret_list,
                              size_t cap, size_t *ret_count, struct vr_error *err)
{
    struct vfio_hot_answer a = {.head = {.argsz = sizeof(a)}};
    int r = vfio_ioctl(dev, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, &a);
    if (r == -ENODEV || r == -ENOTTY) {
        return vr_err(err, -ENOTSUP, "%s: its slot and bus cannot be reset", dev->name);
    }
    if (r < 0) {
        return vr_err(err, r, "%s: what a reset of its bus takes along: %s", dev->name,
                      r == -ENOSPC ? "more devices than 64" : strerror(-r));
    }
    if (a.head.count > VIREO_VFIO_DEPENDENTS) {
        return vr_err(err, -EPROTO, "%s: the kernel tells of %u dependent devices in room for %d",
                      dev->name, a.head.count, VIREO_VFIO_DEPENDENTS);
    }
    /* The list behind the head has the group, or for iommufd a device id: 0 is "whole, not open",
     * -1 "somebody else's" (VFIO_PCI_DEVID_OWNED, _NOT_OWNED). */
    bool ids = a.head.flags & VR_VFIO_HOT_RESET_DEV_ID;
    for (size_t i = 0; i < a.head.count && i < cap; i++) {
        const struct vfio_pci_dependent_device *d = &a.devices[i];
        ret_list[i] = (struct vireo_vfio_dependent){
            .addr = {.domain = d->segment,
                     .bus = d->bus,
                     .device = (uint8_t)(d->devfn >> 3),
                     .function = d->devfn & 7},
            .group = ids || d->group_id > INT32_MAX ? -1 : (int)d->group_id,
            .ours = ids ? d->group_id != UINT32_MAX : vfio_has_group(dev->space, d->group_id),
        };
    }
    *ret_count = a.head.count;
    return 0;
}

int vireo_vfio_hot_reset(struct vireo_vfio *dev, struct vr_error *err)
{
    struct {
        struct vfio_pci_hot_reset head;
        int32_t fds[VR_VFIO_GROUPS];
    } a = {.head = {.argsz = sizeof(a.head)}};
    struct vireo_vfio_dependent list[VIREO_VFIO_DEPENDENTS];
    char name[VIREO_PCI_ADDR_SIZE];
    size_t count;
    int r = vireo_vfio_hot_reset_info(dev, list, VIREO_VFIO_DEPENDENTS, &count, err);
    for (size_t i = 0; r == 0 && i < count; i++) {
        if (!list[i].ours) {
            r = vr_err(err, -EPERM, "%s: a reset of its bus takes %s along, which is not ours",
                       dev->name, vireo_pci_addr_format(list[i].addr, name));
        }
    }
    if (r < 0) {
        return r;
    }
    /* The proof that they are ours: the groups' files; for iommufd none, it knows. */
    for (unsigned i = 0; i < dev->space->group_count; i++) {
        a.fds[a.head.count++] = dev->space->groups[i].fd;
    }
    a.head.argsz += a.head.count * (uint32_t)sizeof(a.fds[0]);
    r = vfio_ioctl(dev, VFIO_DEVICE_PCI_HOT_RESET, &a);
    return r < 0 ? vr_err(err, r, "%s: the reset of its slot or bus failed: %s", dev->name,
                          strerror(-r))
                 : 0;
}
