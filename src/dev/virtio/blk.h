/* The board's side of the virtio disk. */
#ifndef VR_DEV_VIRTIO_BLK_H
#define VR_DEV_VIRTIO_BLK_H

#include "core/dev.h"

struct vr_blk;

extern const struct vr_dev_class vr_virtio_blk_mmio_class, vr_virtio_blk_pci_class;

/* Put the disk in (or take it out: NULL), before the guest's driver looks at the device. Waits for
 * requests in flight to the old one; not on the loop's thread, no lock held. @blk must stay open
 * until it is taken out or the device is destroyed. */
void vr_virtio_blk_attach(struct vr_dev *dev, struct vr_blk *blk);

#endif
