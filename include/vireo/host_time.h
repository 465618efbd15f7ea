/*
 * The host's clocks. Any thread, at any time; a call costs some tens of nanoseconds and never
 * fails.
 *
 * Source: clock_gettime(2).
 */
#ifndef VIREO_HOST_TIME_H
#define VIREO_HOST_TIME_H

#include "vireo/version.h"

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

VIREO_API uint64_t vireo_monotonic_ns(void); /* ns since some moment; never goes back */
VIREO_API uint64_t vireo_realtime_ns(void);  /* ns since 1970-01-01 UTC; may jump */

#ifdef __cplusplus
}
#endif

#endif
