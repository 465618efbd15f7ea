/* Hardware counters of one thread. */
#ifndef VR_PLATFORM_PERF_H
#define VR_PLATFORM_PERF_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

enum vr_perf_event {
    VR_PERF_CYCLES,
    VR_PERF_INSTRUCTIONS,
    VR_PERF_CACHE_MISSES, /* of the last level */
    VR_PERF_BRANCH_MISSES,
    VR_PERF_EVENTS,
};

/* What the calling thread does in user mode, from open on. Events that this host does not count
 * stay away; a counter that had to share the hardware is scaled up. */
struct vr_perf {
    int fds[VR_PERF_EVENTS]; /* -1: not counted */
};

struct vr_perf_counts {
    bool counted[VR_PERF_EVENTS];
    uint64_t count[VR_PERF_EVENTS];
};

/* Count for the calling thread. At least one event is counted, or: -ENOENT, -EOPNOTSUPP: no
 * counters here (a VM often has none); -EACCES, -EPERM: not for us, the message says what to
 * change; -ENOSYS. */
int vr_perf_open(struct vr_perf *ret_perf, struct vr_error *err) VR_MUST;
void vr_perf_close(struct vr_perf *perf);
/* The counts since open; from any thread. */
void vr_perf_read(const struct vr_perf *perf, struct vr_perf_counts *ret_counts);

#endif
