/* The board's side of the virtio file system. */
#ifndef VR_DEV_VIRTIO_FS_H
#define VR_DEV_VIRTIO_FS_H

#include "core/dev.h"

struct vr_fs;

extern const struct vr_dev_class vr_virtio_fs_mmio_class, vr_virtio_fs_pci_class;

enum { VR_VIRTIO_FS_TAG_MAX = 36 };

/* Plug in the file server, before the guest's driver looks at the device (or take it out: NULL).
 * Waits for requests in flight to the old one; not on the loop's thread, no lock held. @fs must
 * stay open until it is taken out or the device is destroyed. */
void vr_virtio_fs_attach(struct vr_dev *dev, struct vr_fs *fs);

#endif
