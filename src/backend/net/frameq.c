#include "backend/net/frameq.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

enum {
    FRAMEQ_FIRST = 16 * 1024,
    FRAMEQ_KEEP = 256 * 1024, /* memory that an empty queue holds on to */
};

void vr_frameq_init(struct vr_frameq *q, size_t max)
{
    *q = (struct vr_frameq){.max = max};
}

void vr_frameq_fini(struct vr_frameq *q)
{
    free(q->buf);
    *q = (struct vr_frameq){0};
}

/* Room for @need bytes at the end. */
static bool frameq_room(struct vr_frameq *q, size_t need)
{
    size_t used = q->end - q->pos;
    if (need > q->max || used > q->max - need) {
        return false;
    }
    if (q->cap - q->end >= need) {
        return true;
    }
    /* Moving to the front pays only when it frees much; else double. */
    if (q->pos && q->pos >= used && q->cap - used >= need) {
        memmove(q->buf, q->buf + q->pos, used);
        q->pos = 0;
        q->end = used;
        return true;
    }
    size_t cap = q->cap ? q->cap : FRAMEQ_FIRST;
    while (cap - used < need) {
        cap *= 2;
    }
    cap = cap <= q->cap ? cap * 2 : cap;
    uint8_t *buf = malloc(cap);
    if (!buf) {
        return false;
    }
    if (used) {
        memcpy(buf, q->buf + q->pos, used);
    }
    free(q->buf);
    q->buf = buf;
    q->cap = cap;
    q->pos = 0;
    q->end = used;
    return true;
}

bool vr_frameq_push(struct vr_frameq *q, const struct iovec *iov, unsigned count, size_t len)
{
    uint32_t head = (uint32_t)len;
    if (len > UINT32_MAX - sizeof(head) || !frameq_room(q, sizeof(head) + len)) {
        return false;
    }
    uint8_t *to = q->buf + q->end;
    memcpy(to, &head, sizeof(head));
    to += sizeof(head);
    size_t left = len;
    for (unsigned i = 0; i < count; i++) {
        vr_assert(iov[i].iov_len <= left);
        if (iov[i].iov_len) {
            memcpy(to, iov[i].iov_base, iov[i].iov_len);
        }
        to += iov[i].iov_len;
        left -= iov[i].iov_len;
    }
    vr_assert(left == 0);
    q->end += sizeof(head) + len;
    q->count++;
    return true;
}

const uint8_t *vr_frameq_front(const struct vr_frameq *q, size_t *ret_len)
{
    uint32_t len;
    if (q->count == 0) {
        return NULL;
    }
    memcpy(&len, q->buf + q->pos, sizeof(len));
    *ret_len = len;
    return q->buf + q->pos + sizeof(len);
}

void vr_frameq_pop(struct vr_frameq *q)
{
    size_t len;
    const uint8_t *frame = vr_frameq_front(q, &len);
    vr_assert(frame);
    q->pos = (size_t)(frame - q->buf) + len;
    if (--q->count == 0) {
        q->pos = q->end = 0;
        if (q->cap > FRAMEQ_KEEP) {
            free(q->buf);
            q->buf = NULL;
            q->cap = 0;
        }
    }
}
