/*
 * The PCI transport (modern: no legacy registers). A device's struct ends with a struct
 * vr_virtio_pci, and its classes come from VR_VIRTIO_CLASSES (dev/virtio/class.h).
 */
#ifndef VR_DEV_VIRTIO_PCI_H
#define VR_DEV_VIRTIO_PCI_H

#include "dev/pci/msix.h"
#include "dev/pci/sriov.h"
#include "dev/virtio/virtio.h"

enum { VR_VIRTIO_PCI_LEN = 0x4000, VR_VIRTIO_PCI_ISR = 0x1000, VR_VIRTIO_PCI_DEVICE = 0x2000 };
enum { VR_VIRTIO_PCI_NOTIFY = 0x3000, VR_VIRTIO_PCI_NOTIFY_STEP = 4 };
/* Its windows: configuration space, the registers (BAR 4), the MSI-X table (BAR 1). */
enum { VR_VIRTIO_PCI_REGS = 1, VR_VIRTIO_PCI_MSIX = 2 };

struct vr_virtio_pci {
    struct vr_pci pci;
    struct vr_msix msix;
    struct vr_pci_sriov sriov;
    /* Options. */
    uint8_t vfs;       /* a PF with as many VFs */
    char sriov_pf[32]; /* a VF, of whom: for the board; "": it is none */
};

extern const struct vr_virtio_transport vr_virtio_pci;
extern const struct vr_field vr_virtio_pci_fields[];
extern const struct vr_reg vr_virtio_pci_regs[];

bool vr_virtio_pci_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val);
bool vr_virtio_pci_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val);

/* The last row of a device's table. */
#define VR_VIRTIO_PCI_FIELDS                                                             \
    {                                                                                    \
        .name = "bus",                                                                   \
        .offset = offsetof(VR_SELF, pci),                                                \
        .count = 1,                                                                      \
        .elem_size = offsetof(struct vr_virtio_pci, vfs),                                \
        .type = VR_STRUCT,                                                               \
        .role = VR_ROLE_STATE,                                                           \
        .sub = vr_virtio_pci_fields,                                                     \
        .help = "PCI transport",                                                         \
    },                                                                                   \
        {.name = "vfs",                                                                  \
         .offset = offsetof(VR_SELF, pci.vfs),                                           \
         .count = 1,                                                                     \
         .elem_size = 1,                                                                 \
         .type = VR_U8,                                                                  \
         .role = VR_ROLE_CONFIG,                                                         \
         .max = VR_PCI_VFS,                                                              \
         .help = "SR-IOV: how many virtual functions the guest can enable (the machine " \
                 "counts those that name this device)"},                                 \
    {                                                                                    \
        .name = "sriov_pf", .offset = offsetof(VR_SELF, pci.sriov_pf),                   \
        .count = sizeof(((VR_SELF *)0)->pci.sriov_pf), .elem_size = 1, .type = VR_STR,   \
        .role = VR_ROLE_CONFIG,                                                          \
        .help = "SR-IOV: be a virtual function of this device (net0, disk0, dev0, ...)", \
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
