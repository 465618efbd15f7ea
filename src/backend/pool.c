/* Worker threads. They start as jobs wait for one. */
#include "backend/work.h"
#include "base/alloc.h"
#include "platform/lock.h"
#include "platform/spin.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdatomic.h>

enum { POOL_MAX = 16 };

struct pool_worker {
    struct vr_pool *pool;
    struct vireo_thread *thread;
    struct vr_cond wake;        /* it has a job, or stop */
    struct vr_job *_Atomic job; /* to do next; given under the lock, seen without it */
    bool asleep;                /* has to be woken; under the lock */
    struct vr_spin spin;        /* its own */
    struct pool_worker *next_idle;
};

struct vr_pool {
    const char *name;
    void (*run)(void *opaque, struct vr_job *job);
    void *opaque;
    struct vr_mutex lock;
    struct vr_job *first, **last; /* for whom nobody is idle */
    struct pool_worker *idle;     /* the last one to become so first */
    unsigned max, worker_count;
    bool stop;
    struct pool_worker workers[POOL_MAX];
};

static struct vr_job *pool_next_locked(struct vr_pool *p)
{
    struct vr_job *job = p->first;
    if (job) {
        p->first = job->next;
        if (!p->first) {
            p->last = &p->first;
        }
    }
    return job;
}

static bool pool_is_called(void *arg)
{
    return atomic_load_explicit(&((struct pool_worker *)arg)->job, memory_order_relaxed);
}

/* Wait for a job or the end, as one of the idle ones; the lock is let go meanwhile. */
static void pool_wait_locked(struct pool_worker *w)
{
    struct vr_pool *p = w->pool;
    w->next_idle = p->idle;
    p->idle = w;
    vr_mutex_unlock(&p->lock);
    uint64_t began_ns = vireo_monotonic_ns();
    bool seen = vr_spin_wait(&w->spin, began_ns, pool_is_called, w);
    vr_mutex_lock(&p->lock);
    w->asleep = !seen;
    while (!pool_is_called(w) && !p->stop) {
        vr_cond_wait(&w->wake, &p->lock);
    }
    w->asleep = false;
    vr_spin_learn(&w->spin, vireo_monotonic_ns() - began_ns);
}

static void pool_worker(void *arg)
{
    struct pool_worker *w = arg;
    struct vr_pool *p = w->pool;
    vr_mutex_lock(&p->lock);
    for (;;) {
        struct vr_job *job = atomic_load_explicit(&w->job, memory_order_relaxed);
        job = job ? job : pool_next_locked(p);
        atomic_store_explicit(&w->job, NULL, memory_order_relaxed);
        if (job) {
            vr_mutex_unlock(&p->lock);
            p->run(p->opaque, job);
            vr_mutex_lock(&p->lock);
        } else if (p->stop) {
            break;
        } else {
            pool_wait_locked(w);
        }
    }
    vr_mutex_unlock(&p->lock);
}

static int pool_add_worker(struct vr_pool *p, struct vr_job *job, struct vr_error *err)
{
    struct pool_worker *w = &p->workers[p->worker_count];
    w->pool = p;
    atomic_init(&w->job, job);
    vr_spin_init(&w->spin);
    vr_cond_init(&w->wake);
    int r = vireo_thread_create(p->name, pool_worker, w, &w->thread, err);
    if (r < 0) {
        vr_cond_fini(&w->wake);
    } else {
        p->worker_count++;
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
    vr_mutex_lock(&p->lock);
    int r = pool_add_worker(p, NULL, err);
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
    struct pool_worker *w = p->idle;
    bool wake = w && w->asleep;
    if (w) {
        p->idle = w->next_idle;
        atomic_store_explicit(&w->job, job, memory_order_relaxed);
    } else if (p->worker_count == p->max || pool_add_worker(p, job, NULL) < 0) {
        p->max = p->worker_count; /* should the host refuse a thread, those there are do it all */
        *p->last = job;
        p->last = &job->next;
    }
    vr_mutex_unlock(&p->lock);
    if (wake) {
        vr_cond_signal(&w->wake);
    }
}

void vr_pool_destroy(struct vr_pool *p)
{
    if (!p) {
        return;
    }
    vr_mutex_lock(&p->lock);
    vr_assert(!p->first);
    p->stop = true;
    for (unsigned i = 0; i < p->worker_count; i++) {
        vr_cond_signal(&p->workers[i].wake);
    }
    vr_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->worker_count; i++) {
        vireo_thread_join(p->workers[i].thread);
        vr_cond_fini(&p->workers[i].wake);
    }
    vr_mutex_fini(&p->lock);
    free(p);
}
