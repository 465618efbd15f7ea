/* The board's side of the PLIC. */
#ifndef VR_DEV_IRQCHIP_PLIC_H
#define VR_DEV_IRQCHIP_PLIC_H

#include "core/dev.h"

enum { VR_PLIC_SOURCES = 95, VR_PLIC_CONTEXTS = 128 };

extern const struct vr_dev_class vr_plic_class;

/* The `set` of a wire that ends here: @chip is the PLIC's struct vr_dev, @pin a source, 1 to the
 * `sources` option. Takes the PLIC's lock. */
void vr_plic_set(void *chip, unsigned pin, bool level);
/* The external interrupt wire of @context (below the `contexts` option), for vr_irq_connect. By
 * convention context 2 * hart is the hart's M mode and 2 * hart + 1 its S mode. */
struct vr_irq *vr_plic_out(struct vr_dev *dev, unsigned context);
/* How many bytes of the window the contexts take: for the memory map and the device tree. */
uint64_t vr_plic_len(unsigned contexts);

#endif
