/* Jobs in flight: counted, and done() called for each that is completed, by one thread at a time.
 */
#include "backend/work.h"
#include "base/alloc.h"
#include "platform/lock.h"

#include <errno.h>

struct vr_flight {
    struct vr_loop *loop;
    struct vr_mutex lock;
    struct vr_cond changed;       /* something was completed, or nothing is in flight any more */
    struct vr_job *first, **last; /* completed, done() not called yet */
    unsigned count;               /* begun, done() not returned yet */
    bool reaping;                 /* a thread calls done(), and goes on until all was called */
    bool posted;                  /* a reap is on its way to the loop */
    bool orphan;                  /* the owner is gone; that reap frees this */
};

static void flight_free(struct vr_flight *f)
{
    vr_cond_fini(&f->changed);
    vr_mutex_fini(&f->lock);
    free(f);
}

int vr_flight_create(struct vr_loop *loop, struct vr_flight **ret_flight, struct vr_error *err)
{
    struct vr_flight *f = vr_zalloc(sizeof(*f));
    if (!f) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    f->loop = loop;
    vr_mutex_init(&f->lock);
    vr_cond_init(&f->changed);
    f->last = &f->first;
    *ret_flight = f;
    return 0;
}

void vr_flight_destroy(struct vr_flight *f)
{
    if (!f) {
        return;
    }
    vr_mutex_lock(&f->lock);
    vr_assert(f->count == 0 && !f->first);
    bool orphan = f->orphan = f->posted;
    vr_mutex_unlock(&f->lock);
    if (!orphan) {
        flight_free(f);
    }
}

void vr_flight_begin(struct vr_flight *f)
{
    vr_mutex_lock(&f->lock);
    f->count++;
    vr_mutex_unlock(&f->lock);
}

/* Call done() for what is completed, until nothing is: whoever completes something meanwhile leaves
 * it to this thread. With the lock held, which is let go: @f may be gone after. */
static void flight_reap_locked(struct vr_flight *f)
{
    if (f->reaping) { /* another thread does */
        vr_mutex_unlock(&f->lock);
        return;
    }
    f->reaping = true;
    while (f->first) {
        struct vr_job *job = f->first;
        f->first = NULL;
        f->last = &f->first;
        vr_mutex_unlock(&f->lock);
        unsigned count = 0;
        while (job) {
            struct vr_job *next = job->next;
            job->next = NULL;
            job->done(job, job->result);
            job = next;
            count++;
        }
        vr_mutex_lock(&f->lock);
        f->count -= count;
    }
    f->reaping = false;
    if (f->count == 0) {
        vr_cond_broadcast(&f->changed);
    }
    vr_mutex_unlock(&f->lock);
}

static void flight_reap(void *arg)
{
    struct vr_flight *f = arg;
    vr_mutex_lock(&f->lock);
    flight_reap_locked(f);
}

static void flight_posted_reap(void *arg)
{
    struct vr_flight *f = arg;
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

static void flight_add_locked(struct vr_flight *f, struct vr_job *job, int result)
{
    job->result = result;
    job->next = NULL;
    *f->last = job;
    f->last = &job->next;
}

void vr_flight_complete(struct vr_flight *f, struct vr_job *job, int result)
{
    struct vr_loop *loop = f->loop;
    vr_mutex_lock(&f->lock);
    flight_add_locked(f, job, result);
    bool post = !f->posted;
    f->posted = true;
    vr_cond_broadcast(&f->changed);
    vr_mutex_unlock(&f->lock);
    /* From here on the job may be gone; the flight is kept by `posted` until the post has run. */
    if (post) {
        vr_loop_post(loop, flight_posted_reap, f);
    }
}

void vr_flight_complete_here(struct vr_flight *f, struct vr_job *job, int result)
{
    if (!vr_loop_has_thread(f->loop)) {
        vr_flight_complete(f, job, result);
        return;
    }
    vr_mutex_lock(&f->lock);
    flight_add_locked(f, job, result);
    flight_reap_locked(f);
}

void vr_flight_drain(struct vr_flight *f)
{
    vr_mutex_lock(&f->lock);
    while (f->count) {
        if (f->first && !f->reaping) {
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
