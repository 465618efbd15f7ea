/*
 * The two classes of a virtio device: vr_virtio_NAME_mmio_class ("virtio-NAME-mmio") and
 * vr_virtio_NAME_pci_class ("virtio-NAME-pci").
 *
 *     #define VR_SELF struct blk
 *     #define BLK_ROWS VR_VIRTIO_FIELDS(vq), VR_CONFIG(...), ..., VR_HOST(...)
 *     VR_VIRTIO_CLASSES(blk, "virtio disk", 1, BLK_ROWS, .init = blk_init, .reset = ...)
 *
 * The device's struct ends with `struct vr_virtio_pci pci;`, which the MMIO class leaves out, and
 * its init hook passes vr_virtio_transport_of(dev) to vr_virtio_init.
 */
#ifndef VR_DEV_VIRTIO_CLASS_H
#define VR_DEV_VIRTIO_CLASS_H

#include "dev/virtio/mmio.h"
#include "dev/virtio/pci.h"

static inline const struct vr_virtio_transport *vr_virtio_transport_of(const struct vr_dev *dev)
{
    return dev->cls->pci ? &vr_virtio_pci : &vr_virtio_mmio;
}

/* After the rows come the hooks, as designated initializers. */
#define VR_VIRTIO_CLASSES(sym, class_help, class_version, rows, ...)                               \
    static const struct vr_field sym##_mmio_fields[] = {rows, VR_FIELD_END};                       \
    static const struct vr_field sym##_pci_fields[] = {rows, VR_VIRTIO_PCI_FIELDS, VR_FIELD_END};  \
    const struct vr_dev_class vr_virtio_##sym##_mmio_class = {.name = "virtio-" #sym "-mmio",      \
                                                              .help = class_help,                  \
                                                              .size = offsetof(VR_SELF, pci),      \
                                                              .version = class_version,            \
                                                              .fields = sym##_mmio_fields,         \
                                                              .windows = {VR_VIRTIO_MMIO_WINDOW},  \
                                                              .describe = vr_virtio_mmio_describe, \
                                                              __VA_ARGS__};                        \
    const struct vr_dev_class vr_virtio_##sym##_pci_class = {.name = "virtio-" #sym "-pci",        \
                                                             .help = class_help,                   \
                                                             .size = sizeof(VR_SELF),              \
                                                             .pci = offsetof(VR_SELF, pci),        \
                                                             .version = class_version,             \
                                                             .fields = sym##_pci_fields,           \
                                                             .windows = VR_VIRTIO_PCI_WINDOWS,     \
                                                             __VA_ARGS__}

#endif
