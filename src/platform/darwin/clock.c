/* The clocks of Darwin, by clock_gettime_nsec_np(3). CLOCK_UPTIME_RAW is mach_absolute_time() in
 * nanoseconds: like CLOCK_MONOTONIC on Linux it stands still while the host sleeps. Darwin's own
 * CLOCK_MONOTONIC does not, and has microseconds only. */
#include "vireo/host_time.h"

#include <time.h>

uint64_t vireo_monotonic_ns(void)
{
    return clock_gettime_nsec_np(CLOCK_UPTIME_RAW);
}

uint64_t vireo_realtime_ns(void)
{
    return clock_gettime_nsec_np(CLOCK_REALTIME);
}
