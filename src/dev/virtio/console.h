/* The board's side of the virtio console. */
#ifndef VR_DEV_VIRTIO_CONSOLE_H
#define VR_DEV_VIRTIO_CONSOLE_H

#include "core/dev.h"

struct vr_chr;

enum { VR_VIRTIO_CONSOLE_PORTS = 8 };

extern const struct vr_dev_class vr_virtio_console_mmio_class, vr_virtio_console_pci_class;

/* Plug the host end of @port in (one that the option `ports` made); NULL unplugs. No lock held.
 * @chr must stay open until it is unplugged or the device is destroyed. */
void vr_virtio_console_attach(struct vr_dev *dev, unsigned port, struct vr_chr *chr);

#endif
