/* The board's side of the IMSICs. */
#ifndef VR_DEV_IRQCHIP_IMSIC_H
#define VR_DEV_IRQCHIP_IMSIC_H

#include "core/dev.h"
#include "core/irq_file.h"

enum { VR_IMSIC_HARTS = 64, VR_IMSIC_IDS = 255, VR_IMSIC_PAGE = 0x1000 };

extern const struct vr_dev_class vr_imsic_class;

/* The interrupt file of @hart (below the `harts` option). */
struct vr_irq_file vr_imsic_file(struct vr_dev *dev, unsigned hart);
/* Its external interrupt wire, for vr_irq_connect. */
struct vr_irq *vr_imsic_out(struct vr_dev *dev, unsigned hart);

#endif
