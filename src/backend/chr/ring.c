#include "backend/chr/ring.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum { RING_FIRST = 4096 };

void vr_ring_init(struct vr_ring *ring, size_t max)
{
    *ring = (struct vr_ring){.max = max};
}

void vr_ring_fini(struct vr_ring *ring)
{
    free(ring->buf);
    *ring = (struct vr_ring){0};
}

/* Where byte @at of the queue stands, and how many follow it in one piece. */
static uint8_t *ring_at(const struct vr_ring *ring, size_t at, size_t *ret_run)
{
    size_t i = (ring->pos + at) & (ring->cap - 1);
    *ret_run = ring->cap - i;
    return ring->buf + i;
}

/* Room for @len more bytes, or as much as there can be. */
static void ring_grow(struct vr_ring *ring, size_t len)
{
    size_t cap = ring->cap ? ring->cap : RING_FIRST;
    while (cap < ring->max && cap - ring->len < len) {
        cap *= 2;
    }
    if (cap <= ring->cap) {
        return;
    }
    uint8_t *buf = malloc(cap);
    if (buf) {
        ring->len = vr_ring_peek(ring, buf, ring->len);
        free(ring->buf);
        ring->buf = buf;
        ring->cap = cap;
        ring->pos = 0;
    }
}

size_t vr_ring_put(struct vr_ring *ring, const uint8_t *buf, size_t len)
{
    if (ring->cap - ring->len < len) {
        ring_grow(ring, len);
    }
    size_t room = ring->cap - ring->len, done = 0;
    len = len < room ? len : room;
    while (done < len) {
        size_t run;
        uint8_t *to = ring_at(ring, ring->len, &run);
        size_t n = len - done < run ? len - done : run;
        memcpy(to, buf + done, n);
        ring->len += n;
        done += n;
    }
    return len;
}

size_t vr_ring_peek(const struct vr_ring *ring, uint8_t *buf, size_t len)
{
    len = len < ring->len ? len : ring->len;
    for (size_t done = 0; done < len;) {
        size_t run;
        const uint8_t *from = ring_at(ring, done, &run);
        size_t n = len - done < run ? len - done : run;
        memcpy(buf + done, from, n);
        done += n;
    }
    return len;
}

void vr_ring_drop(struct vr_ring *ring, size_t len)
{
    vr_assert(len <= ring->len);
    ring->pos = ring->cap ? (ring->pos + len) & (ring->cap - 1) : 0;
    ring->len -= len;
}
