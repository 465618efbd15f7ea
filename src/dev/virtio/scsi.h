/* The board's side of the virtio SCSI controller. */
#ifndef VR_DEV_VIRTIO_SCSI_H
#define VR_DEV_VIRTIO_SCSI_H

#include "core/dev.h"
#include "dev/scsi/scsi.h"

enum { VR_VIRTIO_SCSI_UNITS = 16 };

extern const struct vr_dev_class vr_virtio_scsi_mmio_class, vr_virtio_scsi_pci_class;

struct vr_virtio_scsi_unit {
    enum vr_scsi_kind kind;
    unsigned target, lun; /* target below VR_VIRTIO_SCSI_UNITS, lun below 16384 */
    struct vr_blk *blk;   /* NULL: a CD-ROM drive without a disc */
    const char *serial;   /* up to VR_SCSI_SERIAL_LEN characters; or NULL */
};

/* No lock of the device held; not on the loop's thread; a disk must stay open until it is taken
 * out or the device is destroyed. All of them at any time: a running guest's driver hears of it. */

/* -EEXIST: there is a unit at that address; -ENOSPC: there are VR_VIRTIO_SCSI_UNITS; -EINVAL. */
int vr_virtio_scsi_plug(struct vr_dev *dev, const struct vr_virtio_scsi_unit *unit,
                        struct vr_error *err) VR_MUST;
/* Waits for what is in flight. Requests that come later find nobody. -ENOENT: no such unit. */
int vr_virtio_scsi_unplug(struct vr_dev *dev, unsigned target, unsigned lun,
                          struct vr_error *err) VR_MUST;
/* Change the disc in a drive; NULL: take it out, whether the guest locked the tray or not. -ENOENT:
 * no CD-ROM drive there. */
int vr_virtio_scsi_medium(struct vr_dev *dev, unsigned target, unsigned lun, struct vr_blk *blk,
                          struct vr_error *err) VR_MUST;

#endif
