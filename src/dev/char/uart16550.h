/* The board's side of the 16550A UART. */
#ifndef VR_DEV_CHAR_UART16550_H
#define VR_DEV_CHAR_UART16550_H

#include "core/dev.h"

struct vr_chr;

enum { VR_UART16550_CLOCK_HZ = 3686400 };

extern const struct vr_dev_class vr_uart16550_class;

/* Plug the host end in; NULL unplugs. Waits for the loop; no lock held. @chr must stay open
 * until it is unplugged or the device is destroyed. */
void vr_uart16550_attach(struct vr_dev *dev, struct vr_chr *chr);
struct vr_irq *vr_uart16550_irq(struct vr_dev *dev);

#endif
