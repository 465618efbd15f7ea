/* The board's side of the Goldfish RTC. */
#ifndef VR_DEV_TIMER_GOLDFISH_RTC_H
#define VR_DEV_TIMER_GOLDFISH_RTC_H

#include "core/dev.h"

/* Option epoch_ns: the wall time when the clock stood at 0; the board passes the host's, so that
 * the device itself stays a function of its options and the clock. */
extern const struct vr_dev_class vr_goldfish_rtc_class;

struct vr_irq *vr_goldfish_rtc_irq(struct vr_dev *dev);

#endif
