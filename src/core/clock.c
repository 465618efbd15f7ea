/*
 * Guest time and timers.
 *
 * Time is read without a lock: {running, base} change only when the machine starts and stops, and a
 * sequence counter tells a reader that they did. Timers wait in a pairing heap (Fredman, Sedgewick,
 * Sleator, Tarjan 1986) under the clock's lock, which is a leaf: nothing else is taken under it. So
 * a due timer is taken off the heap, then its own lock is taken, and only then it is known whether
 * it was cancelled meanwhile.
 */
#include "core/clock.h"
#include "base/err.h"

#include "base/alloc.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdatomic.h>

/* One wait of the thread; guests set deadlines centuries away, which must not wrap. */
static const uint64_t clock_longest_ns = UINT64_C(3600) * 1000000000;

struct vr_clock {
    enum vr_clock_kind kind;
    struct vr_mutex lock;
    struct vr_cond wake; /* the thread: something to look at */
    struct vr_cond idle; /* `firing` became NULL */
    struct vr_timer *root;
    uint64_t next_seq;
    uint64_t waiting_until; /* the thread's wait ends by itself then, in guest ns */
    bool quit;
    struct vr_timer *firing; /* off the heap, its fire() is about to run, runs, or will not */
    bool cancelled;          /* cancelled or re-armed since it was taken off */
    struct vireo_thread *thread;
    _Atomic unsigned seq; /* odd: base and running are changing */
    _Atomic bool running;
    _Atomic uint64_t base; /* running: guest minus host monotonic; else guest time */
};

static bool timer_before(const struct vr_timer *a, const struct vr_timer *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

/* Join two heaps (either may be NULL), whose roots have no siblings. */
static struct vr_timer *heap_meld(struct vr_timer *a, struct vr_timer *b)
{
    if (!a || !b) {
        return a ? a : b;
    }
    if (timer_before(b, a)) {
        struct vr_timer *t = a;
        a = b;
        b = t;
    }
    b->prev = a;
    b->sibling = a->child;
    if (a->child) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

/* Join the children of a node that goes: in pairs left to right, then the pairs right to left. */
static struct vr_timer *heap_pairs(struct vr_timer *child)
{
    struct vr_timer *pairs = NULL, *heap = NULL;
    while (child) {
        struct vr_timer *a = child, *b = a->sibling;
        child = b ? b->sibling : NULL;
        a->sibling = a->prev = NULL;
        if (b) {
            b->sibling = b->prev = NULL;
        }
        a = heap_meld(a, b);
        a->sibling = pairs; /* a stack, linked by the field that a root does not use */
        pairs = a;
    }
    while (pairs) {
        struct vr_timer *a = pairs;
        pairs = a->sibling;
        a->sibling = NULL;
        heap = heap_meld(heap, a);
    }
    return heap;
}

static void heap_remove_locked(struct vr_clock *c, struct vr_timer *t)
{
    if (t == c->root) {
        c->root = heap_pairs(t->child);
    } else {
        if (t->prev->child == t) {
            t->prev->child = t->sibling;
        } else {
            t->prev->sibling = t->sibling;
        }
        if (t->sibling) {
            t->sibling->prev = t->prev;
        }
        c->root = heap_meld(c->root, heap_pairs(t->child));
    }
    t->child = t->sibling = t->prev = NULL;
    t->queued = false;
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
    heap_remove_locked(c, t);
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

static void clock_main(void *opaque)
{
    struct vr_clock *c = opaque;
    vireo_thread_be_punctual();
    vr_mutex_lock(&c->lock);
    while (!c->quit) {
        bool running = atomic_load_explicit(&c->running, memory_order_relaxed);
        if (!running || !c->root) {
            c->waiting_until = UINT64_MAX;
            vr_cond_wait(&c->wake, &c->lock);
        } else {
            uint64_t now = vr_clock_now(c), at = c->root->at_ns;
            if (at <= now) {
                clock_fire_locked(c, c->root);
            } else {
                uint64_t ns = at - now < clock_longest_ns ? at - now : clock_longest_ns;
                c->waiting_until = at;
                (void)vr_cond_wait_until(&c->wake, &c->lock, vireo_monotonic_ns() + ns);
            }
        }
        c->waiting_until = 0;
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
    vr_mutex_init(&c->lock);
    vr_cond_init(&c->wake);
    vr_cond_init(&c->idle);
    if (kind == VR_CLOCK_REAL) {
        int r = vireo_thread_create("vr-clock", clock_main, c, &c->thread, err);
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
    vr_mutex_lock(&c->lock);
    c->quit = true;
    vr_cond_signal(&c->wake);
    vr_mutex_unlock(&c->lock);
    vireo_thread_join(c->thread);
    vr_assert(!c->root && !c->firing); /* a timer outlives its clock */
    vr_cond_fini(&c->wake);
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
        vr_cond_signal(&c->wake);
    }
    vr_mutex_unlock(&c->lock);
}

void vr_clock_stop(struct vr_clock *c)
{
    if (c->kind != VR_CLOCK_REAL) {
        return;
    }
    vr_assert(!vireo_thread_is_current(c->thread));
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
    while (c->root && c->root->at_ns <= end) {
        if (c->root->at_ns > now) {
            now = c->root->at_ns;
            clock_put_locked(c, now);
        }
        clock_fire_locked(c, c->root);
    }
    clock_put_locked(c, end);
    vr_mutex_unlock(&c->lock);
}

uint64_t vr_clock_next(struct vr_clock *c)
{
    vr_mutex_lock(&c->lock);
    uint64_t next = c->root ? c->root->at_ns : UINT64_MAX;
    vr_mutex_unlock(&c->lock);
    return next;
}

void vr_timer_init(struct vr_timer *t, struct vr_clock *clock, struct vr_mutex *lock,
                   void (*fire)(void *), void *arg)
{
    *t = (struct vr_timer){.clock = clock, .lock = lock, .fire = fire, .arg = arg};
}

static void timer_off_locked(struct vr_clock *c, struct vr_timer *t)
{
    if (t->queued) {
        heap_remove_locked(c, t);
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
    t->armed = t->queued = true;
    t->at_ns = at_ns;
    t->seq = c->next_seq++;
    c->root = heap_meld(c->root, t);
    if (at_ns < c->waiting_until) { /* else the thread looks in time anyway */
        c->waiting_until = 0;
        vr_cond_signal(&c->wake);
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
    vr_mutex_unlock(&c->lock);
}
