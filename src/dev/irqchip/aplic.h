/* The board's side of the APLIC. */
#ifndef VR_DEV_IRQCHIP_APLIC_H
#define VR_DEV_IRQCHIP_APLIC_H

#include "core/dev.h"
#include "core/irq_file.h"

enum { VR_APLIC_SOURCES = 95, VR_APLIC_HARTS = 64, VR_APLIC_LEN = 0x8000 };
/* Interrupt domains, and windows of the device: the root, for machine level, and its child. */
enum vr_aplic_domain { VR_APLIC_M, VR_APLIC_S, VR_APLIC_DOMAINS };

extern const struct vr_dev_class vr_aplic_class;

/* The `set` of a wire that ends here: @chip is the APLIC's struct vr_dev, @pin a source, 1 to the
 * `sources` option. Takes the APLIC's lock. */
void vr_aplic_set(void *chip, unsigned pin, bool level);
/* The external interrupt wire of @hart (below the `harts` option) at @domain's level, for
 * vr_irq_connect; and whom the hart asks for that interrupt's priority. For harts without IMSICs.
 */
struct vr_irq *vr_aplic_out(struct vr_dev *dev, enum vr_aplic_domain domain, unsigned hart);
struct vr_irq_file vr_aplic_file(struct vr_dev *dev, enum vr_aplic_domain domain, unsigned hart);
/* What M-mode firmware does for a supervisor, where there is none: hand every source down to the S
 * domain and, where messages are sent, say at which addresses the harts' interrupt files begin. At
 * each reset. */
void vr_aplic_hand_down(struct vr_dev *dev, uint64_t m_files_gpa, uint64_t s_files_gpa);

/*
 * Its device tree. In struct vr_fdt_at, gpa[0] is the M domain, left out if its len is 0, and
 * gpa[1] the S domain; phandle is the M domain's, and the S domain's is one more. msi_parent is to
 * where the M domain sends messages, one more for S; or 0, and then irqs_extended holds, for each
 * hart, a pair for M and a pair for S.
 */

#endif
