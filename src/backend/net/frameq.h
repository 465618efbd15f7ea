/* A queue of frames, bounded in bytes, that grows by need. No locks. */
#ifndef VR_BACKEND_NET_FRAMEQ_H
#define VR_BACKEND_NET_FRAMEQ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct vr_frameq {
    uint8_t *buf;
    size_t cap, max; /* bytes */
    size_t pos, end; /* of the queued frames, each behind its length */
    unsigned count;
};

void vr_frameq_init(struct vr_frameq *q, size_t max);
void vr_frameq_fini(struct vr_frameq *q);
/* Copies; false: no room, or no memory. @len: the iovecs' sum. */
bool vr_frameq_push(struct vr_frameq *q, const struct iovec *iov, unsigned count, size_t len);
/* The oldest frame, or NULL. Valid until the next push or pop. */
const uint8_t *vr_frameq_front(const struct vr_frameq *q, size_t *ret_len);
void vr_frameq_pop(struct vr_frameq *q);

#endif
