/* Virtual machine generation ID: vmgenid.c. */
#ifndef VR_DEV_MISC_VMGENID_H
#define VR_DEV_MISC_VMGENID_H

#include "core/dev.h"

extern const struct vr_dev_class vr_vmgenid_class;

struct vr_irq *vr_vmgenid_irq(struct vr_dev *dev);
/* The machine goes on twice, or again: give it a new generation from the host's random numbers, and
 * tell the guest. Any thread, no lock held. -EIO and the like: the host has none. */
int vr_vmgenid_renew(struct vr_dev *dev, struct vr_error *err) VR_MUST;

#endif
