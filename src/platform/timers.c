/* Timers on a thread that waits for the earliest: nanosecond deadlines on every host, by the waits
 * of its locks (platform/lock.h). */
#include "base/alloc.h"
#include "base/err.h"
#include "base/heap.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stddef.h>

/* One wait; deadlines may be centuries away, which must not wrap in the host's clocks. */
static const uint64_t timers_longest_ns = UINT64_C(3600) * 1000000000;

struct vireo_timers {
    struct vr_mutex lock;
    struct vr_cond wake; /* the thread: something to look at */
    struct vr_cond idle; /* `firing` became NULL */
    struct vr_heap queue;
    uint64_t waiting_until; /* the thread's wait ends by itself then */
    bool quit;
    struct vireo_timer *firing;
    unsigned count;
    struct vireo_thread *thread;
};

struct vireo_timer {
    struct vireo_timers *timers;
    struct vr_heap_node node;
    uint64_t period_ns;
    void (*fire)(void *opaque, uint64_t times);
    void *opaque;
};

/* Fire @t, which is due at @now; a periodic one is armed again first, so that fire may disarm it.
 */
static void timers_fire_locked(struct vireo_timers *ts, struct vireo_timer *t, uint64_t now)
{
    uint64_t times = 1, at = t->node.at;
    vr_heap_remove(&ts->queue, &t->node);
    if (t->period_ns) {
        times += (now - at) / t->period_ns;
        uint64_t ahead, next;
        bool fits = !__builtin_mul_overflow(times, t->period_ns, &ahead) &&
                    !__builtin_add_overflow(at, ahead, &next);
        vr_heap_add(&ts->queue, &t->node, fits ? next : UINT64_MAX);
    }
    ts->firing = t;
    vr_mutex_unlock(&ts->lock);
    t->fire(t->opaque, times);
    vr_mutex_lock(&ts->lock);
    ts->firing = NULL;
    vr_cond_broadcast(&ts->idle);
}

static void timers_main(void *opaque)
{
    struct vireo_timers *ts = opaque;
    vireo_thread_be_punctual();
    vr_mutex_lock(&ts->lock);
    while (!ts->quit) {
        struct vr_heap_node *first = ts->queue.first;
        if (!first) {
            ts->waiting_until = UINT64_MAX;
            vr_cond_wait(&ts->wake, &ts->lock);
        } else {
            uint64_t now = vireo_monotonic_ns();
            if (first->at <= now) {
                char *timer = (char *)first - offsetof(struct vireo_timer, node);
                timers_fire_locked(ts, (struct vireo_timer *)(void *)timer, now);
            } else {
                uint64_t ns = first->at - now;
                ts->waiting_until = first->at;
                (void)vr_cond_wait_until(&ts->wake, &ts->lock,
                                         now + (ns < timers_longest_ns ? ns : timers_longest_ns));
            }
        }
        ts->waiting_until = 0;
    }
    vr_mutex_unlock(&ts->lock);
}

int vireo_timers_create(const char *name, struct vireo_timers **ret_timers, struct vr_error *err)
{
    struct vireo_timers *ts = vr_zalloc(sizeof(*ts));
    if (!ts) {
        return vr_err(err, -ENOMEM, "timers: no memory");
    }
    vr_mutex_init(&ts->lock);
    vr_cond_init(&ts->wake);
    vr_cond_init(&ts->idle);
    int r = vireo_thread_create(name, timers_main, ts, &ts->thread, err);
    if (r < 0) {
        vireo_timers_destroy(ts);
        return r;
    }
    *ret_timers = ts;
    return 0;
}

void vireo_timers_destroy(struct vireo_timers *ts)
{
    if (!ts) {
        return;
    }
    vr_mutex_lock(&ts->lock);
    vr_assert(ts->count == 0); /* a timer outlives its thread */
    ts->quit = true;
    vr_cond_signal(&ts->wake);
    vr_mutex_unlock(&ts->lock);
    vireo_thread_join(ts->thread);
    vr_cond_fini(&ts->wake);
    vr_cond_fini(&ts->idle);
    vr_mutex_fini(&ts->lock);
    free(ts);
}

bool vireo_timers_is_current(const struct vireo_timers *ts)
{
    return vireo_thread_is_current(ts->thread);
}

int vireo_timer_create(struct vireo_timers *ts, void (*fire)(void *opaque, uint64_t times),
                       void *opaque, struct vireo_timer **ret_timer, struct vr_error *err)
{
    struct vireo_timer *t = vr_zalloc(sizeof(*t));
    if (!t) {
        return vr_err(err, -ENOMEM, "timer: no memory");
    }
    *t = (struct vireo_timer){.timers = ts, .fire = fire, .opaque = opaque};
    vr_mutex_lock(&ts->lock);
    ts->count++;
    vr_mutex_unlock(&ts->lock);
    *ret_timer = t;
    return 0;
}

static void timer_off_locked(struct vireo_timer *t)
{
    if (t->node.queued) {
        vr_heap_remove(&t->timers->queue, &t->node);
    }
    t->period_ns = 0;
}

void vireo_timer_arm(struct vireo_timer *t, uint64_t at_ns, uint64_t period_ns)
{
    struct vireo_timers *ts = t->timers;
    vr_mutex_lock(&ts->lock);
    timer_off_locked(t);
    t->period_ns = period_ns;
    vr_heap_add(&ts->queue, &t->node, at_ns);
    if (at_ns < ts->waiting_until) { /* else the thread looks in time anyway */
        ts->waiting_until = 0;
        vr_cond_signal(&ts->wake);
    }
    vr_mutex_unlock(&ts->lock);
}

void vireo_timer_disarm(struct vireo_timer *t)
{
    vr_mutex_lock(&t->timers->lock);
    timer_off_locked(t);
    vr_mutex_unlock(&t->timers->lock);
}

void vireo_timer_destroy(struct vireo_timer *t)
{
    if (!t) {
        return;
    }
    struct vireo_timers *ts = t->timers;
    vr_mutex_lock(&ts->lock);
    timer_off_locked(t);
    vr_assert(ts->firing != t || !vireo_thread_is_current(ts->thread));
    while (ts->firing == t) {
        vr_cond_wait(&ts->idle, &ts->lock);
    }
    ts->count--;
    vr_mutex_unlock(&ts->lock);
    free(t);
}

void vireo_measure(void (*fn)(void *opaque), void *opaque, unsigned times,
                   struct vireo_measure *ret_measure)
{
    struct vireo_measure m = {.best_ns = UINT64_MAX};
    uint64_t clock_ns = UINT64_MAX, sum = 0;
    times = times ? times : 1;
    for (unsigned i = 0; i < 8; i++) { /* what reading the clock costs is not the call's */
        uint64_t start = vireo_monotonic_ns(), ns = vireo_monotonic_ns() - start;
        clock_ns = ns < clock_ns ? ns : clock_ns;
    }
    for (unsigned i = 0; i < times; i++) {
        uint64_t start = vireo_monotonic_ns();
        fn(opaque);
        uint64_t ns = vireo_monotonic_ns() - start;
        ns = ns > clock_ns ? ns - clock_ns : 0;
        m.best_ns = ns < m.best_ns ? ns : m.best_ns;
        m.worst_ns = ns > m.worst_ns ? ns : m.worst_ns;
        sum += ns;
    }
    m.mean_ns = sum / times;
    *ret_measure = m;
}
