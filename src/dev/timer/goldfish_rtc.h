/* The board's side of the Goldfish RTC. */
#ifndef VR_DEV_TIMER_GOLDFISH_RTC_H
#define VR_DEV_TIMER_GOLDFISH_RTC_H

#include "core/dev.h"

/* Option epoch_ns: the wall time when the clock stood at 0; the board passes the host's, so that
 * the device itself stays a function of its options and the clock. */
extern const struct vr_dev_class vr_goldfish_rtc_class;

/* The machine was loaded from a snapshot that is @ns old: the guest's time goes on as if it had
 * counted meanwhile, an alarm that was missed rings. After a reset it counts from @epoch_ns. */
void vr_goldfish_rtc_advance(struct vr_dev *dev, uint64_t ns, uint64_t epoch_ns);
struct vr_irq *vr_goldfish_rtc_irq(struct vr_dev *dev);

#endif
