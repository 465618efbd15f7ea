/* The board's side of the memory balloon. */
#ifndef VR_DEV_VIRTIO_BALLOON_H
#define VR_DEV_VIRTIO_BALLOON_H

#include "core/dev.h"
#include "vireo/vm.h"

extern const struct vr_dev_class vr_virtio_balloon_mmio_class, vr_virtio_balloon_pci_class;

/* Any thread, no lock of the device held. */

/* What the driver shall keep in the balloon, from now on, after resets as well. */
void vr_virtio_balloon_target(struct vr_dev *dev, uint64_t bytes);
void vr_virtio_balloon_info(struct vr_dev *dev, struct vireo_balloon *ret_info);
/* Ask the driver for new statistics, and wait for them. -ETIMEDOUT: none came (no driver yet, or
 * one without statistics; or the machine is paused). */
int vr_virtio_balloon_ask(struct vr_dev *dev, uint64_t timeout_ns, struct vr_error *err) VR_MUST;

#endif
