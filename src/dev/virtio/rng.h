/* The virtio entropy device. */
#ifndef VR_DEV_VIRTIO_RNG_H
#define VR_DEV_VIRTIO_RNG_H

#include "core/dev.h"

extern const struct vr_dev_class vr_virtio_rng_mmio_class, vr_virtio_rng_pci_class;

#endif
