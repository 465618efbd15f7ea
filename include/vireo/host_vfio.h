/*
 * Devices of this host in the hands of this process: opened, read, mapped, interrupted, reset.
 *
 *     struct vireo_vfio_space *space;
 *     struct vireo_vfio *dev;
 *     struct vr_error err;
 *     if (vireo_vfio_space_create(NULL, &space, &err) < 0 ||
 *         vireo_vfio_open(space, addr, &dev, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.msg);
 *     }
 *     vireo_vfio_dma_map(space, 0x80000000, ram, ram_len, true, &err);
 *     vireo_vfio_read(dev, VIREO_VFIO_CONFIG, 0, 4, &ids, &err);
 *     vireo_vfio_close(dev);
 *     vireo_vfio_space_destroy(space);
 *
 * A device has to be bound to vfio-pci before (vireo/host_pci.h); the rights on its file in
 * /dev/vfio are all that is needed then. The memory that is mapped for DMA is locked, and counts
 * against RLIMIT_MEMLOCK.
 *
 * Linux has two ways to it: a file a group of devices with a container of DMA mappings
 * (Documentation/driver-api/vfio.rst), and since 6.6 a file a device with iommufd
 * (Documentation/userspace-api/iommufd.rst). Both give the same functions here.
 *
 * Threads: a space and its devices belong to one thread at a time; reading and writing regions, and
 * what is mapped, may be used from any number of threads while the device is open.
 *
 * Errors: as in vireo/vm.h. What the kernel answers is not believed: an answer that makes no sense
 * is -EPROTO. A device that has gone is -ENODEV or -EIO.
 */
#ifndef VIREO_HOST_VFIO_H
#define VIREO_HOST_VFIO_H

#include "vireo/host_pci.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Address spaces ----------------------------------------------------------------------- */

enum vireo_vfio_way {
    VIREO_VFIO_AUTO,    /* iommufd where the host has device files for it, else groups */
    VIREO_VFIO_GROUP,   /* /dev/vfio/GROUP, container of type1 version 2 */
    VIREO_VFIO_IOMMUFD, /* /dev/vfio/devices/vfioN and /dev/iommu */
};
/* "auto", "group", "iommufd": static storage. */
VIREO_API const char *vireo_vfio_way_name(enum vireo_vfio_way way);

struct vireo_vfio_options {
    /* The directory that holds sys/ and dev/; NULL: "/". */
    const char *root;
    /* AUTO is decided once, when the space is created; there is no second try by the other way. */
    enum vireo_vfio_way way;
};

/* What devices see as memory: mappings from their addresses (IOVA) to this process's memory. */
struct vireo_vfio_space;

/* @options NULL: all zero. Free it with vireo_vfio_space_destroy. -ENODEV: the host has no VFIO;
 * -EACCES; -ENOTSUP: what was answered is not the API that we know; -ENOMEM. */
VIREO_API int vireo_vfio_space_create(const struct vireo_vfio_options *options,
                                      struct vireo_vfio_space **ret_space, struct vr_error *err);
/* Devices that are still open keep the space until they are closed. NULL is fine. */
VIREO_API void vireo_vfio_space_destroy(struct vireo_vfio_space *space);
/* GROUP or IOMMUFD. */
VIREO_API enum vireo_vfio_way vireo_vfio_space_way(const struct vireo_vfio_space *space);

struct vireo_iova_range {
    uint64_t first, last; /* both inside */
};
/* Where devices may be given addresses: range @i, sorted; false past the end. Without a device
 * there are none. They change when a device joins. */
VIREO_API bool vireo_vfio_iova_range(const struct vireo_vfio_space *space, size_t i,
                                     struct vireo_iova_range *ret_range);
/* Addresses and sizes are multiples of this; 0 without a device. */
VIREO_API uint64_t vireo_vfio_iova_align(const struct vireo_vfio_space *space);

/*
 * Let the devices of @space reach @len bytes at @hva, under their address @iova; with @writable
 * they may write too. The memory has to stay mapped in the process until vireo_vfio_dma_unmap.
 * -EINVAL: not aligned, empty, or it wraps; -ERANGE: outside of the ranges above; -EEXIST: overlaps
 * a mapping; -ENODEV: no device is open; -ENOMEM: more locked memory than the limit (the message
 * says which); -ENOSPC: no further mapping.
 */
VIREO_API int vireo_vfio_dma_map(struct vireo_vfio_space *space, uint64_t iova, void *hva,
                                 uint64_t len, bool writable, struct vr_error *err);
/* Take exactly one mapping back. -ENOENT: there is none with that start and length; -EIO: the
 * kernel unmapped something else. When the last device is closed all are taken back. */
VIREO_API int vireo_vfio_dma_unmap(struct vireo_vfio_space *space, uint64_t iova, uint64_t len,
                                   struct vr_error *err);

/* ---- Devices ------------------------------------------------------------------------------ */

struct vireo_vfio;

/*
 * Open the PCI device at @addr in @space. -ENODEV: no such device, or VFIO does not have it;
 * -EACCES, -EPERM: rights on its file; -EBUSY: another process uses its group or it; -ENOTSUP: the
 * host cannot isolate it, or it cannot share the space; -EPROTO.
 */
VIREO_API int vireo_vfio_open(struct vireo_vfio_space *space, struct vireo_pci_addr addr,
                              struct vireo_vfio **ret_dev, struct vr_error *err);
/* The mediated device @uuid (vireo/host_mdev.h). Errors as above; -EINVAL: no UUID. */
VIREO_API int vireo_vfio_open_mdev(struct vireo_vfio_space *space, const char *uuid,
                                   struct vireo_vfio **ret_dev, struct vr_error *err);
/* Interrupts end, its windows are unmapped. NULL is fine. */
VIREO_API void vireo_vfio_close(struct vireo_vfio *dev);

/* The kernel's name of it, "0000:01:00.0" or a UUID: valid while it is open. */
VIREO_API const char *vireo_vfio_name(const struct vireo_vfio *dev);
VIREO_API bool vireo_vfio_can_reset(const struct vireo_vfio *dev);
/* Back to the state after power-on, as far as the device can be. Interrupts stay set. -ENOTSUP: the
 * host knows no way; -EIO. */
VIREO_API int vireo_vfio_reset(struct vireo_vfio *dev, struct vr_error *err);

/* A device that a reset of the whole slot or bus would reset as well. */
struct vireo_vfio_dependent {
    struct vireo_pci_addr addr;
    int group; /* its IOMMU group; -1: not told (iommufd) */
    bool ours; /* this space has it, or nobody may use it */
};
enum { VIREO_VFIO_DEPENDENTS = 64 };
/*
 * Which devices a reset of the slot or bus takes along, at most @cap of them to @ret_list; the
 * number of all to *ret_count. -ENOTSUP: no such reset for this device.
 */
VIREO_API int vireo_vfio_hot_reset_info(struct vireo_vfio *dev,
                                        struct vireo_vfio_dependent *ret_list, size_t cap,
                                        size_t *ret_count, struct vr_error *err);
/* Do it. -EPERM: a device of it is not ours; -ENOTSUP; -EIO. */
VIREO_API int vireo_vfio_hot_reset(struct vireo_vfio *dev, struct vr_error *err);

/* ---- Regions ------------------------------------------------------------------------------ */

enum vireo_vfio_region_index {
    VIREO_VFIO_BAR0,
    VIREO_VFIO_BAR5 = 5,
    VIREO_VFIO_ROM,
    VIREO_VFIO_CONFIG,
    VIREO_VFIO_VGA,
    /* what follows is the device's own: see type and subtype */
};

/* A part of a region that can be mapped. */
struct vireo_vfio_window {
    uint64_t off, len; /* within the region; whole pages */
};

struct vireo_vfio_region {
    unsigned index;
    bool readable, writable;
    uint64_t len_bytes; /* 0: the device has no such region */
    size_t window_count;
    const struct vireo_vfio_window *windows; /* sorted, apart from each other */
    uint32_t type, subtype; /* of the device's own: linux/vfio.h, VFIO_REGION_TYPE_*; else 0 */
};

VIREO_API size_t vireo_vfio_region_count(const struct vireo_vfio *dev);
/* Region @index; NULL past the end. */
VIREO_API const struct vireo_vfio_region *vireo_vfio_region(const struct vireo_vfio *dev,
                                                            unsigned index);
/* "BAR 0", "option ROM", "configuration", "VGA", "own": static storage. */
VIREO_API const char *vireo_vfio_region_name(unsigned index);

/* One access of @width 1, 2, 4 or 8 bytes (configuration: not 8) at a multiple of that. -EINVAL:
 * width or alignment; -ERANGE: outside; -EACCES: not that way; -EIO, -ENODEV: it answers no more.
 */
VIREO_API int vireo_vfio_read(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                              uint64_t *ret_val, struct vr_error *err);
VIREO_API int vireo_vfio_write(struct vireo_vfio *dev, unsigned index, uint64_t off, unsigned width,
                               uint64_t val, struct vr_error *err);
/* @len bytes, in accesses of the kernel's choice: for ROMs. *ret_len is less than @len when the
 * region ends, or its content does. */
VIREO_API int vireo_vfio_read_bytes(struct vireo_vfio *dev, unsigned index, uint64_t off, void *buf,
                                    size_t len, size_t *ret_len, struct vr_error *err);

/*
 * Map [@off, @off + @len) of a region, whole pages inside of one window. It lives until
 * vireo_vfio_unmap or vireo_vfio_close. After the device has gone, or while its memory decoding is
 * off, touching it raises SIGBUS. -EINVAL: not whole pages; -ERANGE: no window holds that; -EACCES:
 * @writable, but the region is not.
 */
VIREO_API int vireo_vfio_map(struct vireo_vfio *dev, unsigned index, uint64_t off, uint64_t len,
                             bool writable, void **ret_hva, struct vr_error *err);
/* @hva as from vireo_vfio_map of @dev; NULL is fine. */
VIREO_API void vireo_vfio_unmap(struct vireo_vfio *dev, void *hva);

/* ---- Interrupts --------------------------------------------------------------------------- */

enum vireo_vfio_irq_kind {
    VIREO_VFIO_INTX,
    VIREO_VFIO_MSI,
    VIREO_VFIO_MSIX,
    VIREO_VFIO_IRQ_ERR, /* the device reported an error that it does not survive (AER) */
    VIREO_VFIO_IRQ_REQ, /* the host wants the device back: close it soon */
    VIREO_VFIO_IRQ_KINDS,
};
/* "INTx", "MSI", "MSI-X", "error", "request": static storage. */
VIREO_API const char *vireo_vfio_irq_name(enum vireo_vfio_irq_kind kind);

struct vireo_vfio_irq {
    unsigned count;  /* 0: the device has none */
    bool maskable;   /* vireo_vfio_irq_mask works */
    bool automasked; /* each one masks itself until it is unmasked: INTx, which is a level */
    bool no_resize;  /* to use more of them, disable first */
};
VIREO_API int vireo_vfio_irq(const struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                             struct vireo_vfio_irq *ret_irq, struct vr_error *err);

/*
 * From now on interrupts @first to @first + @count - 1 write to the eventfds @fds (-1: lost). They
 * fit KVM's irqfd as they are. The first call of a kind enables it; INTx, MSI and MSI-X exclude
 * each other: -EBUSY. -ERANGE: more than there are; -ENOTSUP: none of that kind; -EBADF: no
 * eventfd; -ENOSPC: the host has no vectors left.
 */
VIREO_API int vireo_vfio_irq_enable(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                                    unsigned first, const int *fds, unsigned count,
                                    struct vr_error *err);
/* All of a kind off. Fine when they are. */
VIREO_API int vireo_vfio_irq_disable(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                                     struct vr_error *err);
/* Hold one back, or let it through again. -ENOTSUP: not maskable. */
VIREO_API int vireo_vfio_irq_mask(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind, unsigned i,
                                  bool mask, struct vr_error *err);
/* Unmask INTx whenever somebody writes to the eventfd @fd (KVM's resample); -1: no longer. */
VIREO_API int vireo_vfio_intx_unmask_fd(struct vireo_vfio *dev, int fd, struct vr_error *err);
/* Have the kernel raise it as if the device had: a test of the wiring. */
VIREO_API int vireo_vfio_irq_trigger(struct vireo_vfio *dev, enum vireo_vfio_irq_kind kind,
                                     unsigned i, struct vr_error *err);

/* ---- All of it, once ---------------------------------------------------------------------- */

/*
 * Open the device at @addr, list its regions and interrupts, hold the ids in its configuration
 * against those of sysfs, look at its option ROM, map its first BAR that can be mapped and a page
 * for DMA, have an interrupt raised, reset it, and close it. @tell gets a line about each thing
 * that worked, or that the device does not have. The first thing that does not work is the error. A
 * driver or guest must not be using it.
 */
VIREO_API int vireo_vfio_try(struct vireo_vfio_space *space, struct vireo_pci_addr addr,
                             void (*tell)(void *opaque, const char *line), void *opaque,
                             struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif
