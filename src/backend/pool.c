/* Worker threads. They start as jobs wait for one. */
#include "backend/work.h"
#include "base/alloc.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <errno.h>

enum { POOL_MAX = 16 };

struct vr_pool {
    const char *name;
    void (*run)(void *opaque, struct vr_job *job);
    void *opaque;
    struct vr_mutex lock;
    struct vr_cond work; /* a job came, or stop */
    struct vr_job *first, **last;
    unsigned queued, idle, max, thread_count;
    bool stop;
    struct vireo_thread *threads[POOL_MAX];
};

static void pool_worker(void *arg)
{
    struct vr_pool *p = arg;
    vr_mutex_lock(&p->lock);
    for (;;) {
        if (p->first) {
            struct vr_job *job = p->first;
            p->first = job->next;
            if (!p->first) {
                p->last = &p->first;
            }
            p->queued--;
            vr_mutex_unlock(&p->lock);
            p->run(p->opaque, job);
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

static int pool_add_thread(struct vr_pool *p, struct vr_error *err)
{
    int r = vireo_thread_create(p->name, pool_worker, p, &p->threads[p->thread_count], err);
    if (r == 0) {
        p->thread_count++;
    }
    return r;
}

int vr_pool_create(const char *name, unsigned max, void (*run)(void *opaque, struct vr_job *job),
                   void *opaque, struct vr_pool **ret_pool, struct vr_error *err)
{
    vr_assert(max > 0 && max <= POOL_MAX);
    struct vr_pool *p = vr_zalloc(sizeof(*p));
    if (!p) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    p->name = name;
    p->run = run;
    p->opaque = opaque;
    p->max = max;
    p->last = &p->first;
    vr_mutex_init(&p->lock);
    vr_cond_init(&p->work);
    vr_mutex_lock(&p->lock);
    int r = pool_add_thread(p, err);
    vr_mutex_unlock(&p->lock);
    if (r < 0) {
        vr_pool_destroy(p);
        return r;
    }
    *ret_pool = p;
    return 0;
}

void vr_pool_submit(struct vr_pool *p, struct vr_job *job)
{
    vr_mutex_lock(&p->lock);
    job->next = NULL;
    *p->last = job;
    p->last = &job->next;
    p->queued++;
    /* Should the host refuse another thread, those there are do it all. */
    if (p->queued > p->idle && p->thread_count < p->max && pool_add_thread(p, NULL) < 0) {
        p->max = p->thread_count;
    }
    vr_cond_signal(&p->work);
    vr_mutex_unlock(&p->lock);
}

void vr_pool_destroy(struct vr_pool *p)
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
