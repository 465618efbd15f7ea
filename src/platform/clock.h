/* The host's clocks. */
#ifndef VR_PLATFORM_CLOCK_H
#define VR_PLATFORM_CLOCK_H

#include <stdint.h>

uint64_t vr_monotonic_ns(void); /* never goes back; what vr_cond_wait_until compares with */
uint64_t vr_realtime_ns(void);  /* since 1970-01-01 UTC; may jump */

#endif
