/* The board's side of the ACLINT SSWI device. */
#ifndef VR_DEV_IRQCHIP_ACLINT_SSWI_H
#define VR_DEV_IRQCHIP_ACLINT_SSWI_H

#include "core/dev.h"

enum { VR_SSWI_HARTS = 64 };

extern const struct vr_dev_class vr_aclint_sswi_class;

/* The wire of @hart. It only pulses: the hart sets mip.SSIP when it rises and ignores that it
 * falls. */
struct vr_irq *vr_aclint_sswi_ssip(struct vr_dev *dev, unsigned hart);

#endif
