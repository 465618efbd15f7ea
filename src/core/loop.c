/*
 * The I/O loop: libuv's loop, a queue of posted calls, and (mostly) a thread that turns it.
 */
#include "core/loop.h"
#include "base/err.h"

#include "base/alloc.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <uv.h>

struct loop_call {
    void (*fn)(void *);
    void *arg;
};

struct loop_queue {
    struct loop_call *calls;
    size_t count, cap;
};

enum { LOOP_CALLS = 256 }; /* posted calls there is room for from the start */

struct vr_loop {
    uv_loop_t uv;
    uv_async_t async; /* posted work waits, or stop */
    uv_timer_t limit; /* ends a turn */
    struct vireo_thread *thread;
    _Atomic uint64_t host_id; /* of the thread */
    struct vr_det *det;
    void (*body)(void *arg);
    void *body_arg;
    struct vr_mutex lock; /* guards what follows */
    uint64_t posts;
    struct vr_cond room; /* the queue was emptied */
    struct loop_queue posted;
    struct loop_queue running; /* the loop thread's, between turns of the queue */
    bool stop;
};

/* Run what was posted, in order; what the calls post themselves comes in the next round. */
void vr_loop_run_posted(struct vr_loop *l)
{
    vr_mutex_lock(&l->lock);
    struct loop_queue work = l->posted;
    l->posted = l->running;
    l->running = (struct loop_queue){0};
    vr_cond_broadcast(&l->room);
    vr_mutex_unlock(&l->lock);
    for (size_t i = 0; i < work.count; i++) {
        work.calls[i].fn(work.calls[i].arg);
    }
    work.count = 0;
    vr_mutex_lock(&l->lock);
    vr_assert(!l->running.calls);
    l->running = work;
    vr_mutex_unlock(&l->lock);
}

static bool loop_has_posted(struct vr_loop *l)
{
    vr_mutex_lock(&l->lock);
    bool any = l->posted.count != 0;
    vr_mutex_unlock(&l->lock);
    return any;
}

static void loop_on_async(uv_async_t *async)
{
    struct vr_loop *l = async->data;
    vr_loop_run_posted(l);
    vr_mutex_lock(&l->lock);
    bool stop = l->stop;
    vr_mutex_unlock(&l->lock);
    if (stop) {
        uv_stop(&l->uv);
    }
}

static void loop_on_limit(uv_timer_t *timer)
{
    (void)timer; /* its only work is to end the wait */
}

int vr_loop_create(struct vr_loop **ret_loop, struct vr_error *err)
{
    struct vr_loop *l = vr_zalloc(sizeof(*l));
    if (l) {
        l->posted.calls = vr_zalloc_array(LOOP_CALLS, sizeof(struct loop_call));
        l->running.calls = vr_zalloc_array(LOOP_CALLS, sizeof(struct loop_call));
    }
    if (!l || !l->posted.calls || !l->running.calls) {
        if (l) {
            free(l->posted.calls);
            free(l->running.calls);
        }
        free(l);
        return vr_err(err, -ENOMEM, "event loop: no memory");
    }
    l->posted.cap = l->running.cap = LOOP_CALLS;
    int r = uv_loop_init(&l->uv);
    if (r == 0) {
        r = uv_async_init(&l->uv, &l->async, loop_on_async);
        if (r < 0) {
            vr_assert(uv_loop_close(&l->uv) == 0);
        }
    }
    if (r < 0) {
        free(l->posted.calls);
        free(l->running.calls);
        free(l);
        return vr_err(err, r, "event loop: %s", uv_strerror(r));
    }
    uv_timer_init(&l->uv, &l->limit);
    l->async.data = l;
    l->uv.data = l;
    vr_mutex_init(&l->lock);
    vr_cond_init(&l->room);
    *ret_loop = l;
    return 0;
}

static void loop_main(void *opaque)
{
    struct vr_loop *l = opaque;
    atomic_store(&l->host_id, vireo_thread_host_id());
    vr_mutex_lock(&l->lock); /* vr_loop_start has stored l->thread */
    bool stop = l->stop;
    vr_mutex_unlock(&l->lock);
    if (l->body) {
        l->body(l->body_arg);
    } else if (!stop) {
        uv_run(&l->uv, UV_RUN_DEFAULT);
    }
}

int vr_loop_start_with(struct vr_loop *l, const char *name, void (*body)(void *), void *arg,
                       struct vr_error *err)
{
    vr_assert(!l->thread);
    l->body = body;
    l->body_arg = arg;
    vr_mutex_lock(&l->lock);
    int r = vireo_thread_create(name, loop_main, l, &l->thread, err);
    vr_mutex_unlock(&l->lock);
    return r;
}

int vr_loop_start(struct vr_loop *l, struct vr_error *err)
{
    return vr_loop_start_with(l, "vr-loop", NULL, NULL, err);
}

bool vr_loop_ending(struct vr_loop *l)
{
    vr_mutex_lock(&l->lock);
    bool stop = l->stop;
    vr_mutex_unlock(&l->lock);
    return stop;
}

void vr_loop_wake(struct vr_loop *l)
{
    uv_async_send(&l->async);
}

uint64_t vr_loop_cpu_ns(struct vr_loop *l)
{
    return l->thread ? vireo_thread_cpu_ns(l->thread) : 0;
}

uint64_t vr_loop_host_id(const struct vr_loop *l)
{
    return atomic_load(&l->host_id);
}

void vr_loop_set_det(struct vr_loop *l, struct vr_det *det)
{
    l->det = det;
}

struct vr_det *vr_loop_det(const struct vr_loop *l)
{
    return l->det;
}

void vr_loop_turn(struct vr_loop *l, int timeout_ms)
{
    vr_assert(!l->thread || (l->body && vireo_thread_is_current(l->thread)));
    if (timeout_ms == 0) {
        uv_run(&l->uv, UV_RUN_NOWAIT);
        return;
    }
    if (timeout_ms > 0) {
        uv_update_time(&l->uv);
        uv_timer_start(&l->limit, loop_on_limit, (uint64_t)timeout_ms, 0);
    }
    uv_run(&l->uv, UV_RUN_ONCE);
    uv_timer_stop(&l->limit);
}

static void loop_no_handle_left(uv_handle_t *handle, void *opaque)
{
    struct vr_loop *l = opaque;
    bool ours = handle == (uv_handle_t *)&l->async || handle == (uv_handle_t *)&l->limit;
    vr_assert(ours || uv_is_closing(handle)); /* a backend was not closed */
}

void vr_loop_destroy(struct vr_loop *l)
{
    if (!l) {
        return;
    }
    if (l->thread) {
        vr_assert(!vireo_thread_is_current(l->thread));
        vr_mutex_lock(&l->lock);
        l->stop = true;
        vr_mutex_unlock(&l->lock);
        uv_async_send(&l->async);
        vireo_thread_join(l->thread);
        l->thread = NULL;
    }
    do {
        vr_loop_run_posted(l);
        uv_run(&l->uv, UV_RUN_NOWAIT);
    } while (loop_has_posted(l));
    uv_walk(&l->uv, loop_no_handle_left, l);
    uv_close((uv_handle_t *)&l->async, NULL);
    uv_close((uv_handle_t *)&l->limit, NULL);
    uv_run(&l->uv, UV_RUN_DEFAULT);
    vr_assert(uv_loop_close(&l->uv) == 0);
    free(l->posted.calls);
    free(l->running.calls);
    vr_cond_fini(&l->room);
    vr_mutex_fini(&l->lock);
    free(l);
}

static bool loop_grow(struct loop_queue *q)
{
    if (q->cap > SIZE_MAX / 2 / sizeof(*q->calls)) {
        return false;
    }
    size_t cap = q->cap ? q->cap * 2 : LOOP_CALLS;
    struct loop_call *calls = realloc(q->calls, cap * sizeof(*calls));
    if (!calls) {
        return false;
    }
    q->calls = calls;
    q->cap = cap;
    return true;
}

void vr_loop_post(struct vr_loop *l, void (*fn)(void *), void *arg)
{
    vr_mutex_lock(&l->lock);
    while (l->posted.count == l->posted.cap && !loop_grow(&l->posted)) {
        /* The host is out of memory: the one case in which a poster waits. */
        vr_assert(l->thread && !vireo_thread_is_current(l->thread));
        vr_cond_wait(&l->room, &l->lock);
    }
    l->posted.calls[l->posted.count++] = (struct loop_call){.fn = fn, .arg = arg};
    l->posts++;
    bool first = l->posted.count == 1;
    vr_mutex_unlock(&l->lock);
    if (first) { /* the others ride along */
        uv_async_send(&l->async);
    }
}

struct loop_wait {
    struct vr_loop *loop;
    void (*fn)(void *);
    void *arg;
    struct vr_mutex lock;
    struct vr_cond cond;
    bool done;
};

static void loop_do_call(void *opaque)
{
    struct loop_wait *w = opaque;
    w->fn(w->arg);
    vr_mutex_lock(&w->lock);
    w->done = true;
    vr_cond_signal(&w->cond);
    vr_mutex_unlock(&w->lock);
}

void vr_loop_call(struct vr_loop *l, void (*fn)(void *), void *arg)
{
    if (vr_loop_here(l)) {
        fn(arg);
        return;
    }
    struct loop_wait w = {.loop = l, .fn = fn, .arg = arg};
    vr_mutex_init(&w.lock);
    vr_cond_init(&w.cond);
    vr_loop_post(l, loop_do_call, &w);
    vr_mutex_lock(&w.lock);
    while (!w.done) {
        vr_cond_wait(&w.cond, &w.lock);
    }
    vr_mutex_unlock(&w.lock);
    vr_mutex_fini(&w.lock);
    vr_cond_fini(&w.cond);
}

bool vr_loop_here(const struct vr_loop *l)
{
    return !l->thread || vireo_thread_is_current(l->thread);
}

bool vr_loop_has_thread(const struct vr_loop *l)
{
    return l->thread != NULL;
}

uint64_t vr_loop_posts(struct vr_loop *l)
{
    vr_mutex_lock(&l->lock);
    uint64_t posts = l->posts;
    vr_mutex_unlock(&l->lock);
    return posts;
}

struct uv_loop_s *vr_loop_uv(struct vr_loop *l)
{
    return &l->uv;
}
