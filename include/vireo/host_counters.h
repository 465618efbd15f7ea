/*
 * Hardware counters of one thread: what it does in user mode, from open on. Events that this host
 * does not count stay away; a counter that had to share the hardware is scaled up.
 *
 * Source on Linux: perf_event_open(2).
 */
#ifndef VIREO_HOST_COUNTERS_H
#define VIREO_HOST_COUNTERS_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vireo_counter {
    VIREO_COUNT_CYCLES,
    VIREO_COUNT_INSTRUCTIONS,
    VIREO_COUNT_CACHE_MISSES, /* of the last level */
    VIREO_COUNT_BRANCH_MISSES,
    VIREO_COUNT_EVENTS,
};

struct vireo_counters;

struct vireo_counts {
    bool counted[VIREO_COUNT_EVENTS];
    uint64_t count[VIREO_COUNT_EVENTS];
};

/* Count for the calling thread. At least one event is counted, or: -ENOENT, -EOPNOTSUPP: no
 * counters here (a VM often has none); -EACCES, -EPERM: not for us, the message says what to
 * change; -ENOSYS; -ENOMEM. Free by vireo_counters_close, on any thread. */
VIREO_API int vireo_counters_open(struct vireo_counters **ret_counters,
                                  struct vr_error *err) VIREO_MUST;
VIREO_API void vireo_counters_close(struct vireo_counters *counters); /* NULL is fine */
/* The counts since open; from any thread. */
VIREO_API void vireo_counters_read(const struct vireo_counters *counters,
                                   struct vireo_counts *ret_counts);

#ifdef __cplusplus
}
#endif

#endif
