/*
 * Guest time and timers.
 *
 * Time is read without a lock: {running, base} change only when the machine starts and stops, and a
 * sequence counter tells a reader that they did. Timers wait in a heap under the clock's lock,
 * which is a leaf: nothing of ours is taken under it. So a due timer is taken off the heap, then
 * its own lock is taken, and only then it is known whether it was cancelled meanwhile.
 *
 * A real clock has one timer of the host, on a thread of its own, for the earliest of the guest's.
 */
#include "core/clock.h"
#include "base/err.h"

#include "base/alloc.h"
#include "platform/lock.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>

/* The host's timer for one wait; guests set deadlines centuries away, which must not wrap. */
static const uint64_t clock_longest_ns = UINT64_C(3600) * 1000000000;

struct vr_clock {
    enum vr_clock_kind kind;
    struct vr_mutex lock;
    struct vr_cond idle; /* `firing` became NULL */
    struct vr_heap queue;
    struct vr_timer *timers; /* all, newest first */
    uint64_t next_rank;
    uint64_t waiting_until;  /* the alarm comes by itself then, in guest ns; 0: it is under way */
    struct vr_timer *firing; /* off the heap, its fire() is about to run, runs, or will not */
    bool cancelled;          /* cancelled or re-armed since it was taken off */
    struct vireo_timers *alarms; /* real clocks */
    struct vireo_timer *alarm;
    _Atomic unsigned seq; /* odd: base and running are changing */
    _Atomic bool running;
    _Atomic uint64_t base; /* running: guest minus host monotonic; else guest time */
};

static struct vr_timer *timer_of(struct vr_heap_node *node)
{
    return (struct vr_timer *)(void *)((char *)node - offsetof(struct vr_timer, node));
}

/* From here to clock_write_end readers wait; the host's time, read in between, is past whatever any
 * of them took for the present. */
static void clock_write_begin_locked(struct vr_clock *c)
{
    atomic_fetch_add(&c->seq, 1);
}

static void clock_write_end_locked(struct vr_clock *c, bool running, uint64_t base)
{
    atomic_store_explicit(&c->running, running, memory_order_release);
    atomic_store_explicit(&c->base, base, memory_order_release);
    atomic_fetch_add_explicit(&c->seq, 1, memory_order_release);
}

/* Time stands at @now_ns. */
static void clock_put_locked(struct vr_clock *c, uint64_t now_ns)
{
    clock_write_begin_locked(c);
    clock_write_end_locked(c, false, now_ns);
}

uint64_t vr_clock_now(struct vr_clock *c)
{
    for (;;) {
        unsigned seq = atomic_load_explicit(&c->seq, memory_order_acquire);
        bool running = atomic_load_explicit(&c->running, memory_order_acquire);
        uint64_t base = atomic_load_explicit(&c->base, memory_order_acquire);
        uint64_t host = running ? vireo_monotonic_ns() : 0;
        if (VR_LIKELY(!(seq & 1) && atomic_load_explicit(&c->seq, memory_order_acquire) == seq)) {
            return base + host;
        }
    }
}

/* Fire @t, which is due: off the heap, and on if nobody cancels it before its lock is had. */
static void clock_fire_locked(struct vr_clock *c, struct vr_timer *t)
{
    struct vr_mutex *lock = t->lock;
    vr_heap_remove(&c->queue, &t->node);
    vr_assert(!c->firing);
    c->firing = t;
    c->cancelled = false;
    vr_mutex_unlock(&c->lock);
    if (lock) {
        vr_mutex_lock(lock);
    }
    vr_mutex_lock(&c->lock);
    bool go = !c->cancelled;
    if (go) {
        t->armed = false;
    }
    vr_mutex_unlock(&c->lock);
    if (go) {
        t->fire(t->arg);
    }
    if (lock) {
        vr_mutex_unlock(lock);
    }
    vr_mutex_lock(&c->lock);
    c->firing = NULL;
    vr_cond_broadcast(&c->idle);
}

/* Have the alarm come for the earliest timer, or now where one is due. */
static void clock_arm_locked(struct vr_clock *c)
{
    uint64_t now = vr_clock_now(c), at = c->queue.first->at, ns = at > now ? at - now : 0;
    c->waiting_until = at;
    vireo_timer_arm(c->alarm,
                    vireo_monotonic_ns() + (ns < clock_longest_ns ? ns : clock_longest_ns), 0);
}

static void clock_alarm(void *opaque, uint64_t times)
{
    struct vr_clock *c = opaque;
    (void)times;
    vr_mutex_lock(&c->lock);
    c->waiting_until = 0;
    while (atomic_load_explicit(&c->running, memory_order_relaxed) && c->queue.first &&
           c->queue.first->at <= vr_clock_now(c)) {
        clock_fire_locked(c, timer_of(c->queue.first));
    }
    c->waiting_until = UINT64_MAX;
    if (atomic_load_explicit(&c->running, memory_order_relaxed) && c->queue.first) {
        clock_arm_locked(c);
    }
    vr_mutex_unlock(&c->lock);
}

int vr_clock_create(enum vr_clock_kind kind, struct vr_clock **ret_clock, struct vr_error *err)
{
    struct vr_clock *c = vr_zalloc(sizeof(*c));
    if (!c) {
        return vr_err(err, -ENOMEM, "clock: no memory");
    }
    c->kind = kind;
    c->waiting_until = UINT64_MAX;
    vr_mutex_init(&c->lock);
    vr_cond_init(&c->idle);
    if (kind == VR_CLOCK_REAL) {
        int r = vireo_timers_create("vr-clock", &c->alarms, err);
        r = r < 0 ? r : vireo_timer_create(c->alarms, clock_alarm, c, &c->alarm, err);
        if (r < 0) {
            vr_clock_destroy(c);
            return r;
        }
    }
    *ret_clock = c;
    return 0;
}

void vr_clock_destroy(struct vr_clock *c)
{
    if (!c) {
        return;
    }
    vireo_timer_destroy(c->alarm);
    vireo_timers_destroy(c->alarms);
    vr_assert(!c->queue.first && !c->firing); /* a timer outlives its clock */
    vr_cond_fini(&c->idle);
    vr_mutex_fini(&c->lock);
    free(c);
}

void vr_clock_start(struct vr_clock *c)
{
    if (c->kind != VR_CLOCK_REAL) {
        return;
    }
    vr_mutex_lock(&c->lock);
    if (!atomic_load_explicit(&c->running, memory_order_relaxed)) {
        uint64_t now = atomic_load_explicit(&c->base, memory_order_relaxed);
        clock_write_begin_locked(c);
        clock_write_end_locked(c, true, now - vireo_monotonic_ns());
        if (c->queue.first) {
            clock_arm_locked(c);
        }
    }
    vr_mutex_unlock(&c->lock);
}

void vr_clock_stop(struct vr_clock *c)
{
    if (c->kind != VR_CLOCK_REAL) {
        return;
    }
    vr_assert(!vireo_timers_is_current(c->alarms));
    vr_mutex_lock(&c->lock);
    if (atomic_load_explicit(&c->running, memory_order_relaxed)) {
        uint64_t base = atomic_load_explicit(&c->base, memory_order_relaxed);
        clock_write_begin_locked(c);
        clock_write_end_locked(c, false, base + vireo_monotonic_ns());
    }
    while (c->firing) {
        vr_cond_wait(&c->idle, &c->lock);
    }
    vr_mutex_unlock(&c->lock);
}

void vr_clock_set(struct vr_clock *c, uint64_t now_ns)
{
    vr_mutex_lock(&c->lock);
    vr_assert(!atomic_load_explicit(&c->running, memory_order_relaxed));
    clock_put_locked(c, now_ns);
    vr_mutex_unlock(&c->lock);
}

void vr_clock_step(struct vr_clock *c, uint64_t ns)
{
    vr_assert(c->kind == VR_CLOCK_STEPPED);
    vr_mutex_lock(&c->lock);
    uint64_t now = vr_clock_now(c);
    uint64_t end = ns > UINT64_MAX - now ? UINT64_MAX : now + ns;
    while (c->queue.first && c->queue.first->at <= end) {
        if (c->queue.first->at > now) {
            now = c->queue.first->at;
            clock_put_locked(c, now);
        }
        clock_fire_locked(c, timer_of(c->queue.first));
    }
    clock_put_locked(c, end);
    vr_mutex_unlock(&c->lock);
}

uint64_t vr_clock_next(struct vr_clock *c)
{
    vr_mutex_lock(&c->lock);
    uint64_t next = c->queue.first ? c->queue.first->at : UINT64_MAX;
    vr_mutex_unlock(&c->lock);
    return next;
}

void vr_timer_init(struct vr_timer *t, struct vr_clock *clock, struct vr_mutex *lock,
                   void (*fire)(void *), void *arg)
{
    *t = (struct vr_timer){.clock = clock, .lock = lock, .fire = fire, .arg = arg};
    if (clock) {
        vr_mutex_lock(&clock->lock);
        t->rank = clock->next_rank++;
        t->next = clock->timers;
        clock->timers = t;
        vr_mutex_unlock(&clock->lock);
    }
}

static void timer_off_locked(struct vr_clock *c, struct vr_timer *t)
{
    if (t->node.queued) {
        vr_heap_remove(&c->queue, &t->node);
    }
    if (c->firing == t) {
        c->cancelled = true;
    }
    t->armed = false;
}

void vr_timer_arm(struct vr_timer *t, uint64_t at_ns)
{
    struct vr_clock *c = t->clock;
    vr_mutex_lock(&c->lock);
    timer_off_locked(c, t);
    t->armed = true;
    vr_heap_add_ranked(&c->queue, &t->node, at_ns, t->rank);
    /* Else the alarm comes in time anyway, or time does not run. */
    if (at_ns < c->waiting_until && c->alarm &&
        atomic_load_explicit(&c->running, memory_order_relaxed)) {
        clock_arm_locked(c);
    }
    vr_mutex_unlock(&c->lock);
}

void vr_timer_cancel(struct vr_timer *t)
{
    struct vr_clock *c = t->clock;
    if (c) {
        vr_mutex_lock(&c->lock);
        timer_off_locked(c, t);
        vr_mutex_unlock(&c->lock);
    }
}

void vr_timer_fini(struct vr_timer *t)
{
    struct vr_clock *c = t->clock;
    if (!c) {
        return;
    }
    vr_mutex_lock(&c->lock);
    timer_off_locked(c, t);
    while (c->firing == t) {
        vr_cond_wait(&c->idle, &c->lock);
    }
    struct vr_timer **link = &c->timers;
    while (*link && *link != t) {
        link = &(*link)->next;
    }
    if (*link) { /* else it was ended before */
        *link = t->next;
    }
    vr_mutex_unlock(&c->lock);
}

/* --- All of them --- */

unsigned vr_clock_armed(struct vr_clock *c, struct vr_clock_due *ret_due, unsigned max)
{
    unsigned count = 0, armed = 0;
    vr_mutex_lock(&c->lock);
    for (const struct vr_timer *t = c->timers; t; t = t->next) {
        count++;
        armed += t->node.queued;
    }
    unsigned left = armed;
    for (const struct vr_timer *t = c->timers; t; t = t->next) {
        count--;
        if (t->node.queued && --left < max) {
            ret_due[left] = (struct vr_clock_due){count, t->node.at};
        }
    }
    vr_mutex_unlock(&c->lock);
    return armed;
}

void vr_clock_cancel_all(struct vr_clock *c)
{
    vr_mutex_lock(&c->lock);
    for (struct vr_timer *t = c->timers; t; t = t->next) {
        timer_off_locked(c, t);
    }
    vr_mutex_unlock(&c->lock);
}

bool vr_clock_arm_rank(struct vr_clock *c, uint64_t rank, uint64_t at_ns)
{
    uint64_t count = 0;
    vr_mutex_lock(&c->lock);
    for (const struct vr_timer *t = c->timers; t; t = t->next) {
        count++;
    }
    struct vr_timer *t = rank < count ? c->timers : NULL;
    for (; t && --count > rank; t = t->next) {
    }
    vr_mutex_unlock(&c->lock);
    if (t) {
        vr_timer_arm(t, at_ns);
    }
    return t;
}
