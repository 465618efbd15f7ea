/* A queue of bytes that grows by need up to a bound. No locks. */
#ifndef VR_BACKEND_CHR_RING_H
#define VR_BACKEND_CHR_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_ring {
    uint8_t *buf;
    size_t cap, max; /* cap is a power of two, or 0 */
    size_t pos, len; /* of what is queued */
};

void vr_ring_init(struct vr_ring *ring, size_t max); /* @max: a power of two */
void vr_ring_fini(struct vr_ring *ring);
/* How many of @len bytes fitted. */
size_t vr_ring_put(struct vr_ring *ring, const uint8_t *buf, size_t len);
/* Copy out up to @len bytes, leaving them queued. */
size_t vr_ring_peek(const struct vr_ring *ring, uint8_t *buf, size_t len);
void vr_ring_drop(struct vr_ring *ring, size_t len);

#endif
