/* The board's side of the virtio input device: a power button. */
#ifndef VR_DEV_VIRTIO_INPUT_H
#define VR_DEV_VIRTIO_INPUT_H

#include "core/dev.h"

extern const struct vr_dev_class vr_virtio_input_mmio_class, vr_virtio_input_pci_class;

/* Press the button and let it go. -ENODEV: the guest has no driver for it that runs. Any thread, no
 * lock of the device held. */
int vr_virtio_input_press(struct vr_dev *dev, struct vr_error *err) VR_MUST;

#endif
