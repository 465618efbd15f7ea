/*
 * A token bucket: so much a second, and a tenth of a second's worth at once after a rest. Time is
 * the caller's, so nothing here waits.
 *
 * It is kept as the moment at which all that was let through would have been paid for (ITU-T I.371,
 * "virtual scheduling algorithm" of GCRA). What is larger than the bucket goes through as one, and
 * is paid for afterwards.
 */
#ifndef VR_BACKEND_THROTTLE_H
#define VR_BACKEND_THROTTLE_H

#include <stdint.h>

enum { VR_THROTTLE_BURST_NS = 100000000 };

struct vr_throttle {
    uint64_t rate; /* a second; 0: no limit */
    uint64_t paid_ns;
};

/* How long to wait at @now_ns until something may go; 0: now. */
uint64_t vr_throttle_wait(const struct vr_throttle *t, uint64_t now_ns);
/* @amount goes. */
void vr_throttle_take(struct vr_throttle *t, uint64_t now_ns, uint64_t amount);

#endif
