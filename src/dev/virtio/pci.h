/*
 * The PCI transport (modern: no legacy registers). A device's struct ends with a struct
 * vr_virtio_pci, and its classes come from VR_VIRTIO_CLASSES (dev/virtio/class.h).
 */
#ifndef VR_DEV_VIRTIO_PCI_H
#define VR_DEV_VIRTIO_PCI_H

#include "dev/pci/msix.h"
#include "dev/virtio/virtio.h"

enum { VR_VIRTIO_PCI_LEN = 0x4000, VR_VIRTIO_PCI_ISR = 0x1000, VR_VIRTIO_PCI_DEVICE = 0x2000 };
enum { VR_VIRTIO_PCI_NOTIFY = 0x3000, VR_VIRTIO_PCI_NOTIFY_STEP = 4 };
/* Its windows: configuration space, the registers (BAR 4), the MSI-X table (BAR 1). */
enum { VR_VIRTIO_PCI_REGS = 1, VR_VIRTIO_PCI_MSIX = 2 };

struct vr_virtio_pci {
    struct vr_pci pci;
    struct vr_msix msix;
};

extern const struct vr_virtio_transport vr_virtio_pci;
extern const struct vr_field vr_virtio_pci_fields[];
extern const struct vr_reg vr_virtio_pci_regs[];

bool vr_virtio_pci_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val);
bool vr_virtio_pci_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val);

/* The last row of a device's table. */
#define VR_VIRTIO_PCI_FIELDS                                                                 \
    {                                                                                        \
        .name = "bus", .offset = offsetof(VR_SELF, pci), .count = 1,                         \
        .elem_size = sizeof(struct vr_virtio_pci), .type = VR_STRUCT, .role = VR_ROLE_STATE, \
        .sub = vr_virtio_pci_fields, .help = "PCI transport",                                \
    }
#define VR_VIRTIO_PCI_WINDOWS               \
    {                                       \
        VR_PCI_CONFIG_WINDOW,               \
            {.name = "virtio-pci",          \
             .len = VR_VIRTIO_PCI_LEN,      \
             .regs = vr_virtio_pci_regs,    \
             .read = vr_virtio_pci_read,    \
             .write = vr_virtio_pci_write}, \
            VR_MSIX_WINDOW                  \
    }

#endif
