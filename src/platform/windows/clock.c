/* Clocks by QueryPerformanceCounter (MSDN "Acquiring high-resolution time stamps") and
 * GetSystemTimePreciseAsFileTime. */
#include "vireo/host_time.h"

#include "platform/windows/win.h"

enum { NS_PER_S = 1000000000, FILETIME_NS = 100 };

/* Seconds from 1601-01-01, where FILETIME begins, to 1970-01-01. */
#define CLOCK_EPOCH_S UINT64_C(11644473600)

uint64_t vireo_monotonic_ns(void)
{
    LARGE_INTEGER count, frequency;
    QueryPerformanceFrequency(&frequency); /* fixed at boot: read from a page of the process */
    QueryPerformanceCounter(&count);
    uint64_t per_s = (uint64_t)frequency.QuadPart, ticks = (uint64_t)count.QuadPart;
    /* In two parts: the product of the whole does not fit 64 bits after some minutes. */
    return ticks / per_s * NS_PER_S + ticks % per_s * NS_PER_S / per_s;
}

uint64_t vireo_realtime_ns(void)
{
    FILETIME time;
    GetSystemTimePreciseAsFileTime(&time);
    uint64_t units = (uint64_t)time.dwHighDateTime << 32 | time.dwLowDateTime;
    return units * FILETIME_NS - CLOCK_EPOCH_S * NS_PER_S;
}
