/* Worker threads of one disk. They start as requests wait for one, and stay until the disk closes:
 * an idle one costs a stack that nobody touches. */
#include "backend/block/block_impl.h"
#include "base/alloc.h"
#include "base/err.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <errno.h>

enum { POOL_MAX = 16 };

struct vr_blk_pool {
    struct vr_blk *blk;
    int (*run)(struct vr_blk *blk, struct vr_blk_req *req);
    struct vr_mutex lock;
    struct vr_cond work; /* a request came, or stop */
    struct vr_blk_req *first, **last;
    unsigned queued, idle, max, thread_count;
    bool stop;
    struct vireo_thread *threads[POOL_MAX];
};

static void pool_worker(void *arg)
{
    struct vr_blk_pool *p = arg;
    vr_mutex_lock(&p->lock);
    for (;;) {
        if (p->first) {
            struct vr_blk_req *req = p->first;
            p->first = req->next;
            if (!p->first) {
                p->last = &p->first;
            }
            p->queued--;
            vr_mutex_unlock(&p->lock);
            vr_blk_complete(p->blk, req, p->run(p->blk, req));
            vr_mutex_lock(&p->lock);
        } else if (p->stop) {
            break;
        } else {
            p->idle++;
            vr_cond_wait(&p->work, &p->lock);
            p->idle--;
        }
    }
    vr_mutex_unlock(&p->lock);
}

static int pool_add_thread(struct vr_blk_pool *p, struct vr_error *err)
{
    int r = vireo_thread_create("vireo-disk", pool_worker, p, &p->threads[p->thread_count], err);
    if (r == 0) {
        p->thread_count++;
    }
    return r;
}

int vr_blk_pool_create(struct vr_blk *blk, unsigned max,
                       int (*run)(struct vr_blk *blk, struct vr_blk_req *req),
                       struct vr_blk_pool **ret_pool, struct vr_error *err)
{
    vr_assert(max > 0 && max <= POOL_MAX);
    struct vr_blk_pool *p = vr_zalloc(sizeof(*p));
    if (!p) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    p->blk = blk;
    p->run = run;
    p->max = max;
    p->last = &p->first;
    vr_mutex_init(&p->lock);
    vr_cond_init(&p->work);
    vr_mutex_lock(&p->lock);
    int r = pool_add_thread(p, err);
    vr_mutex_unlock(&p->lock);
    if (r < 0) {
        vr_blk_pool_destroy(p);
        return r;
    }
    *ret_pool = p;
    return 0;
}

void vr_blk_pool_submit(struct vr_blk_pool *p, struct vr_blk_req *req)
{
    vr_mutex_lock(&p->lock);
    req->next = NULL;
    *p->last = req;
    p->last = &req->next;
    p->queued++;
    /* Should the host refuse another thread, those there are do it all. */
    if (p->queued > p->idle && p->thread_count < p->max && pool_add_thread(p, NULL) < 0) {
        p->max = p->thread_count;
    }
    vr_cond_signal(&p->work);
    vr_mutex_unlock(&p->lock);
}

void vr_blk_pool_destroy(struct vr_blk_pool *p)
{
    if (!p) {
        return;
    }
    vr_mutex_lock(&p->lock);
    vr_assert(!p->first);
    p->stop = true;
    vr_cond_broadcast(&p->work);
    vr_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->thread_count; i++) {
        vireo_thread_join(p->threads[i]);
    }
    vr_cond_fini(&p->work);
    vr_mutex_fini(&p->lock);
    free(p);
}
