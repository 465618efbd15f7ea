/* The host's clocks, by POSIX. */
#include "platform/clock.h"

#include <time.h>

static uint64_t clock_ns(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t vr_monotonic_ns(void)
{
    return clock_ns(CLOCK_MONOTONIC);
}

uint64_t vr_realtime_ns(void)
{
    return clock_ns(CLOCK_REALTIME);
}
