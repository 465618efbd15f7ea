/* Judging whether a device can go to a guest: one look, by several files. */
#ifndef VR_PLATFORM_PCI_READY_H
#define VR_PLATFORM_PCI_READY_H

#include "platform/pci.h"

struct vr_ready {
    const struct vireo_pci *pci;
    const struct vireo_pci_device *dev;
    const struct vireo_iommu_group *group; /* NULL: none */
    struct vireo_readiness *out;
};

/* One more reason: @fmt and its arguments are the what, @todo is plain text. */
void vr_ready_add(struct vr_ready *c, enum vireo_ready weight, const char *todo, const char *fmt,
                  ...) VR_PRINTF(4, 5);
/* What is special about graphics cards; nothing for other devices. */
void vr_ready_gpu(struct vr_ready *c);

#endif
