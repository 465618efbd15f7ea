/* The board's side of the i6300esb watchdog. */
#ifndef VR_DEV_TIMER_I6300ESB_H
#define VR_DEV_TIMER_I6300ESB_H

#include "core/dev.h"

extern const struct vr_dev_class vr_i6300esb_class;

/* The names of enum vr_watchdog, as its `action` option takes them; NULL past the end. */
const char *vr_watchdog_name(unsigned action);

#endif
