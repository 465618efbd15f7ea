/* The board's side of the virtio console. */
#ifndef VR_DEV_VIRTIO_CONSOLE_H
#define VR_DEV_VIRTIO_CONSOLE_H

#include "core/dev.h"

struct vr_chr;

enum { VR_VIRTIO_CONSOLE_PORTS = 2 };

extern const struct vr_dev_class vr_virtio_console_mmio_class;

/* Plug the host end of @port in (0 is the console, hvc0 in Linux; 1 is a named port,
 * /dev/virtio-ports/NAME); NULL unplugs. No lock held. @chr must stay open until it is unplugged or
 * the device is destroyed. */
void vr_virtio_console_attach(struct vr_dev *dev, unsigned port, struct vr_chr *chr);

#endif
