/* The host's clocks, by POSIX. */
#include "vireo/host_time.h"

#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t vireo_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t vireo_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}
