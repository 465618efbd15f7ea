/*
 * The MMIO transport, version 2: 0x100 bytes of registers, then the configuration space.
 * A device class uses it by VR_VIRTIO_MMIO_WINDOW and vr_virtio_mmio_describe.
 */
#ifndef VR_DEV_VIRTIO_MMIO_H
#define VR_DEV_VIRTIO_MMIO_H

#include "dev/virtio/virtio.h"

enum { VR_VIRTIO_MMIO_LEN = 0x200 };

extern const struct vr_virtio_transport vr_virtio_mmio;
extern const struct vr_reg vr_virtio_mmio_regs[];

bool vr_virtio_mmio_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val);
bool vr_virtio_mmio_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val);
int vr_virtio_mmio_describe(struct vr_dev *dev, struct vr_fdt *fdt, const struct vr_fdt_at *at);

#define VR_VIRTIO_MMIO_WINDOW                                                          \
    {                                                                                  \
        .name = "virtio-mmio", .len = VR_VIRTIO_MMIO_LEN, .regs = vr_virtio_mmio_regs, \
        .read = vr_virtio_mmio_read, .write = vr_virtio_mmio_write                     \
    }

/* The device's interrupt wire, for the board. */
struct vr_irq *vr_virtio_mmio_irq(struct vr_dev *dev);

#endif
