/* What all image formats share: requests are checked, counted while in flight, and completed on the
 * loop's thread. */
#include "backend/block/block_impl.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/lock.h"

#include <errno.h>
#include <string.h>

struct vr_blk_flight {
    struct vr_loop *loop;
    struct vr_mutex lock;
    struct vr_cond changed; /* something was completed, or nothing is in flight any more */
    struct vr_blk_req *first, **last; /* completed, done() not called yet */
    unsigned count;                   /* submitted, done() not returned yet */
    bool posted;                      /* a reap is on its way to the loop */
    bool orphan;                      /* the image is gone; that reap frees this */
};

static void flight_free(struct vr_blk_flight *f)
{
    vr_cond_fini(&f->changed);
    vr_mutex_fini(&f->lock);
    free(f);
}

int vr_blk_init(struct vr_blk *blk, const struct vr_blk_ops *ops, const char *path,
                struct vr_loop *loop, struct vr_error *err)
{
    struct vr_blk_flight *f = vr_zalloc(sizeof(*f));
    char *copy = strdup(path);
    if (!f || !copy) {
        free(f);
        free(copy);
        return vr_err(err, -ENOMEM, "disk %s: no memory", path);
    }
    f->loop = loop;
    vr_mutex_init(&f->lock);
    vr_cond_init(&f->changed);
    f->last = &f->first;
    blk->ops = ops;
    blk->path = copy;
    blk->flight = f;
    return 0;
}

void vr_blk_fini(struct vr_blk *blk)
{
    struct vr_blk_flight *f = blk->flight;
    vr_mutex_lock(&f->lock);
    vr_assert(f->count == 0 && !f->first);
    bool orphan = f->orphan = f->posted;
    vr_mutex_unlock(&f->lock);
    if (!orphan) {
        flight_free(f);
    }
    free(blk->path);
    blk->flight = NULL;
    blk->path = NULL;
}

/* Call done() for what is completed. */
static void flight_reap(void *arg)
{
    struct vr_blk_flight *f = arg;
    vr_mutex_lock(&f->lock);
    struct vr_blk_req *req = f->first;
    f->first = NULL;
    f->last = &f->first;
    vr_mutex_unlock(&f->lock);
    unsigned count = 0;
    while (req) {
        struct vr_blk_req *next = req->next;
        int result = req->result;
        req->next = NULL;
        req->done(req, result);
        req = next;
        count++;
    }
    vr_mutex_lock(&f->lock);
    f->count -= count;
    if (f->count == 0) {
        vr_cond_broadcast(&f->changed);
    }
    vr_mutex_unlock(&f->lock);
}

static void flight_posted_reap(void *arg)
{
    struct vr_blk_flight *f = arg;
    vr_mutex_lock(&f->lock);
    f->posted = false;
    bool orphan = f->orphan;
    vr_mutex_unlock(&f->lock);
    if (orphan) {
        flight_free(f);
    } else {
        flight_reap(f);
    }
}

void vr_blk_complete(struct vr_blk *blk, struct vr_blk_req *req, int result)
{
    struct vr_blk_flight *f = blk->flight;
    struct vr_loop *loop = f->loop;
    req->result = result;
    req->next = NULL;
    vr_mutex_lock(&f->lock);
    *f->last = req;
    f->last = &req->next;
    bool post = !f->posted;
    f->posted = true;
    vr_cond_broadcast(&f->changed);
    vr_mutex_unlock(&f->lock);
    /* From here on @req, and when another thread drains and closes, @blk may be gone; @f is kept by
     * `posted` until the post has run. */
    if (post) {
        vr_loop_post(loop, flight_posted_reap, f);
    }
}

/* 0, or why the request must not reach the image. */
static int block_check(const struct vr_blk *blk, const struct vr_blk_req *req)
{
    if (req->op == VR_BLK_FLUSH) {
        return 0;
    }
    if (!vr_in_range(req->off_bytes, req->len_bytes, blk->size_bytes) ||
        (req->off_bytes | req->len_bytes) % blk->sector_bytes != 0) {
        return -EINVAL;
    }
    if (req->op == VR_BLK_READ || req->op == VR_BLK_WRITE) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < req->iov_count; i++) {
            if (!vr_add_ok(sum, req->iov[i].iov_len, &sum)) {
                return -EINVAL;
            }
        }
        if (sum != req->len_bytes) {
            return -EINVAL;
        }
    }
    if (req->op != VR_BLK_READ && blk->read_only) {
        return -EROFS;
    }
    return req->op == VR_BLK_DISCARD && !blk->discard ? -EOPNOTSUPP : 0;
}

void vr_blk_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct vr_blk_flight *f = blk->flight;
    vr_mutex_lock(&f->lock);
    f->count++;
    vr_mutex_unlock(&f->lock);
    req->next = NULL;
    int r = block_check(blk, req);
    if (r < 0) {
        vr_blk_complete(blk, req, r);
    } else {
        blk->ops->submit(blk, req);
    }
}

void vr_blk_drain(struct vr_blk *blk)
{
    struct vr_blk_flight *f = blk->flight;
    vr_mutex_lock(&f->lock);
    while (f->count) {
        if (f->first) {
            /* On the loop's thread; here, when this is it or it has none. */
            vr_mutex_unlock(&f->lock);
            vr_loop_call(f->loop, flight_reap, f);
            vr_mutex_lock(&f->lock);
        } else {
            vr_cond_wait(&f->changed, &f->lock);
        }
    }
    vr_mutex_unlock(&f->lock);
}

void vr_blk_close(struct vr_blk *blk)
{
    if (blk) {
        vr_blk_drain(blk);
        blk->ops->close(blk);
    }
}

int vr_blk_open_raw(const char *path, bool read_only, struct vr_loop *loop, struct vr_blk **ret_blk,
                    struct vr_error *err)
{
    return vr_blk_open(&(struct vr_blk_opts){.path = path, .read_only = read_only}, loop, ret_blk,
                       err);
}
