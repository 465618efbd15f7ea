#include "base/err.h"
#include "test.h"

#include "core/clock.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"
#include <stdatomic.h>
#include <stdlib.h>

static struct vr_clock *new_clock(enum vr_clock_kind kind)
{
    struct vr_clock *c;
    assert_int_equal(vr_clock_create(kind, &c, NULL), 0);
    return c;
}

/* --- Stepped --- */

struct note {
    struct vr_timer timer;
    unsigned order, times;
    uint64_t at;
    uint64_t again_ns; /* re-arm after so long */
    struct vr_timer *cancels;
    unsigned *count;
};

static void note_fire(void *arg)
{
    struct note *n = arg;
    n->times++;
    n->order = (*n->count)++;
    n->at = vr_clock_now(n->timer.clock);
    assert_false(n->timer.armed);
    if (n->again_ns) {
        vr_timer_arm(&n->timer, n->at + n->again_ns);
    }
    if (n->cancels) {
        vr_timer_cancel(n->cancels);
    }
}

static void note_init(struct note *n, struct vr_clock *c, unsigned *count)
{
    *n = (struct note){.count = count};
    vr_timer_init(&n->timer, c, NULL, note_fire, n);
}

static void timers_fire_in_order_at_their_time(void **state)
{
    struct vr_clock *c = new_clock(VR_CLOCK_STEPPED);
    struct note n[5];
    unsigned count = 0;
    static const uint64_t at[5] = {50, 10, 30, 10, 30};
    static const unsigned want[5] = {4, 0, 2, 1, 3}; /* equal deadlines: as armed */
    (void)state;
    for (unsigned i = 0; i < 5; i++) {
        note_init(&n[i], c, &count);
        vr_timer_arm(&n[i].timer, at[i]);
    }
    assert_int_equal(vr_clock_next(c), 10);
    vr_clock_step(c, 9);
    assert_int_equal(count, 0);
    vr_clock_step(c, 1);
    assert_int_equal(count, 2);
    vr_clock_step(c, 1000);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(n[i].order, want[i]);
        assert_int_equal(n[i].at, at[i]);
        assert_int_equal(n[i].times, 1);
    }
    assert_int_equal(vr_clock_now(c), 1010);
    assert_int_equal(vr_clock_next(c), UINT64_MAX);
    vr_timer_arm(&n[0].timer, 5); /* past: at once, that is at the next step */
    assert_int_equal(n[0].times, 1);
    vr_clock_step(c, 0);
    assert_int_equal(n[0].times, 2);
    assert_int_equal(n[0].at, 1010);
    vr_clock_destroy(c);
}

static void fire_may_arm_and_cancel(void **state)
{
    struct vr_clock *c = new_clock(VR_CLOCK_STEPPED);
    struct note tick, killer, victim;
    unsigned count = 0;
    (void)state;
    note_init(&tick, c, &count);
    note_init(&killer, c, &count);
    note_init(&victim, c, &count);
    tick.again_ns = 10;
    killer.cancels = &victim.timer;
    vr_timer_arm(&tick.timer, 10);
    vr_timer_arm(&killer.timer, 55);
    vr_timer_arm(&victim.timer, 55); /* due at the same time, armed later */
    vr_clock_step(c, 100);
    assert_int_equal(tick.times, 10);
    assert_int_equal(tick.at, 100);
    assert_int_equal(killer.times, 1);
    assert_int_equal(victim.times, 0);
    assert_false(victim.timer.armed);
    killer.cancels = &killer.timer; /* itself, while it fires */
    vr_timer_arm(&killer.timer, 105);
    vr_clock_step(c, 5);
    assert_int_equal(killer.times, 2);
    vr_timer_fini(&tick.timer);
    vr_timer_fini(&killer.timer);
    vr_timer_fini(&victim.timer);
    vr_clock_step(c, 1000);
    assert_int_equal(tick.times, 10);
    vr_clock_destroy(c);
}

/* From a clock whose second timer of four is gone to one that never had it. */
static void deadlines_move_to_a_clock_with_the_same_timers(void **state)
{
    struct vr_clock *from = new_clock(VR_CLOCK_STEPPED), *to = new_clock(VR_CLOCK_STEPPED);
    struct note was[4], is[3];
    struct vr_clock_due due[3];
    unsigned count = 0;
    (void)state;
    for (unsigned i = 0; i < 4; i++) {
        note_init(&was[i], from, &count);
        vr_timer_arm(&was[i].timer, 40 - i * 10);
    }
    vr_timer_fini(&was[1].timer);
    vr_timer_cancel(&was[2].timer);
    assert_int_equal(vr_clock_armed(from, due, 3), 2);
    assert_true(due[0].rank == 0 && due[0].at_ns == 40 && due[1].rank == 2 && due[1].at_ns == 10);
    assert_int_equal(vr_clock_armed(from, due, 1), 2);
    assert_true(due[0].rank == 0 && due[0].at_ns == 40);
    for (unsigned i = 0; i < 3; i++) {
        note_init(&is[i], to, &count);
    }
    assert_true(vr_clock_arm_rank(to, 0, 40));
    assert_true(vr_clock_arm_rank(to, 2, 10));
    assert_false(vr_clock_arm_rank(to, 3, 10));
    assert_false(vr_clock_arm_rank(to, UINT64_MAX, 10));
    vr_clock_step(to, 10);
    assert_true(is[2].times == 1 && is[0].times == 0);
    vr_clock_step(to, 30);
    assert_true(is[0].times == 1 && is[1].times == 0 && is[2].times == 1);
    for (unsigned i = 0; i < 4; i++) {
        vr_timer_fini(&was[i].timer);
    }
    vr_clock_destroy(from);
    vr_clock_destroy(to);
}

static void zeroed_timers_are_harmless(void **state)
{
    struct vr_timer t = {0};
    (void)state;
    vr_timer_cancel(&t);
    vr_timer_fini(&t);
    vr_clock_destroy(NULL);
}

static void time_ends_without_wrapping(void **state)
{
    struct vr_clock *c = new_clock(VR_CLOCK_STEPPED);
    struct note n;
    unsigned count = 0;
    (void)state;
    note_init(&n, c, &count);
    vr_clock_set(c, UINT64_MAX - 100);
    vr_timer_arm(&n.timer, UINT64_MAX);
    vr_clock_step(c, 1000);
    assert_int_equal(vr_clock_now(c), UINT64_MAX);
    assert_int_equal(n.times, 1);
    vr_clock_destroy(c);
}

enum { MANY = 200 };

/* Random arming and cancelling against a list that is searched. */
static void random_timers_match_a_list(void **state)
{
    static struct note n[MANY];
    struct vr_clock *c = new_clock(VR_CLOCK_STEPPED);
    uint64_t seed = 4242, due[MANY];
    unsigned count = 0, times[MANY] = {0};
    (void)state;
    for (unsigned i = 0; i < MANY; i++) {
        note_init(&n[i], c, &count);
        due[i] = 0;
    }
    for (unsigned step = 0; step < 30000; step++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(seed >> 33) % MANY;
        uint64_t now = vr_clock_now(c);
        if (seed >> 62 == 0) {
            vr_timer_cancel(&n[i].timer);
            due[i] = 0;
        } else {
            due[i] = now + 1 + (seed >> 40) % 500;
            vr_timer_arm(&n[i].timer, due[i]);
        }
        uint64_t next = UINT64_MAX;
        for (unsigned j = 0; j < MANY; j++) {
            next = due[j] && due[j] < next ? due[j] : next;
        }
        assert_int_equal(vr_clock_next(c), next);
        if (step % 4 == 0) {
            vr_clock_step(c, (seed >> 20) % 20);
            for (unsigned j = 0; j < MANY; j++) {
                if (due[j] && due[j] <= vr_clock_now(c)) {
                    times[j]++;
                    assert_int_equal(n[j].at, due[j]);
                    due[j] = 0;
                }
                assert_int_equal(n[j].times, times[j]);
                assert_int_equal(n[j].timer.armed, due[j] != 0);
            }
        }
    }
    for (unsigned i = 0; i < MANY; i++) {
        vr_timer_fini(&n[i].timer);
    }
    vr_clock_destroy(c);
}

/* --- Real --- */

struct bell {
    struct vr_timer timer;
    struct vr_mutex lock;
    struct vr_cond cond;
    unsigned times;
    uint64_t at, host_at, period_ns;
};

static void bell_fire(void *arg) /* under its lock */
{
    struct bell *b = arg;
    b->times++;
    b->at = vr_clock_now(b->timer.clock);
    b->host_at = vireo_monotonic_ns();
    if (b->period_ns) {
        vr_timer_arm(&b->timer, b->timer.node.at + b->period_ns);
    }
    vr_cond_signal(&b->cond);
}

static void bell_init(struct bell *b, struct vr_clock *c)
{
    *b = (struct bell){.period_ns = 0};
    vr_mutex_init(&b->lock);
    vr_cond_init(&b->cond);
    vr_timer_init(&b->timer, c, &b->lock, bell_fire, b);
}

static void bell_arm(struct bell *b, uint64_t at_ns)
{
    vr_mutex_lock(&b->lock);
    vr_timer_arm(&b->timer, at_ns);
    vr_mutex_unlock(&b->lock);
}

static void bell_wait(struct bell *b, unsigned times)
{
    uint64_t until = vireo_monotonic_ns() + 20 * UINT64_C(1000000000);
    vr_mutex_lock(&b->lock);
    while (b->times < times && vr_cond_wait_until(&b->cond, &b->lock, until)) {
    }
    assert_true(b->times >= times);
    vr_mutex_unlock(&b->lock);
}

static void bell_fini(struct bell *b)
{
    vr_timer_fini(&b->timer);
    vr_mutex_fini(&b->lock);
    vr_cond_fini(&b->cond);
}

static void a_real_clock_fires_by_itself(void **state)
{
    struct vr_clock *c = new_clock(VR_CLOCK_REAL);
    struct bell near, far;
    (void)state;
    bell_init(&near, c);
    bell_init(&far, c);
    assert_int_equal(vr_clock_now(c), 0); /* stopped: time stands */
    assert_int_equal(vr_clock_now(c), 0);
    bell_arm(&far, UINT64_MAX); /* what an all-ones compare register asks for */
    bell_arm(&near, 2000000);
    uint64_t start = vireo_monotonic_ns();
    vr_clock_start(c);
    bell_wait(&near, 1);
    assert_true(near.at >= 2000000);
    assert_true(near.host_at - start >= 2000000);
    bell_arm(&near, 0); /* long past */
    bell_wait(&near, 2);
    near.period_ns = 100000;
    bell_arm(&near, vr_clock_now(c));
    bell_wait(&near, 12);
    vr_clock_stop(c);
    unsigned times = near.times; /* no lock: nothing fires any more */
    uint64_t now = vr_clock_now(c);
    assert_int_equal(vr_clock_now(c), now);
    vr_clock_set(c, 77);
    assert_int_equal(vr_clock_now(c), 77);
    vr_clock_stop(c);
    assert_int_equal(near.times, times);
    assert_int_equal(far.times, 0);
    bell_fini(&near);
    bell_fini(&far);
    vr_clock_destroy(c);
}

/* While the clock thread wants the lock of a due timer, its owner cancels it under that lock. */
static void a_cancel_under_the_lock_is_final(void **state)
{
    struct vr_clock *c = new_clock(VR_CLOCK_REAL);
    struct bell b, other;
    (void)state;
    bell_init(&b, c);
    bell_init(&other, c);
    vr_clock_start(c);
    for (unsigned i = 0; i < 300; i++) {
        vr_mutex_lock(&b.lock);
        unsigned times = b.times;
        vr_timer_arm(&b.timer, vr_clock_now(c));
        for (unsigned spin = 0; spin < i * 10; spin++) {
            (void)vr_clock_now(c); /* time for the thread to get there */
        }
        vr_timer_cancel(&b.timer);
        assert_false(b.timer.armed);
        vr_mutex_unlock(&b.lock);
        bell_arm(&other, 0); /* fires after whatever came of the first */
        bell_wait(&other, i + 1);
        vr_mutex_lock(&b.lock);
        assert_int_equal(b.times, times);
        vr_mutex_unlock(&b.lock);
    }
    bell_fini(&b);
    bell_fini(&other);
    vr_clock_stop(c);
    vr_clock_destroy(c);
}

struct slow {
    struct vr_timer timer;
    atomic_bool begun, go_on, inside;
};

static void slow_fire(void *arg)
{
    struct slow *s = arg;
    atomic_store(&s->inside, true);
    atomic_store(&s->begun, true);
    while (!atomic_load(&s->go_on)) {
    }
    uint64_t until = vireo_monotonic_ns() + 2000000; /* whoever waits for us does wait */
    while (vireo_monotonic_ns() < until) {
    }
    atomic_store(&s->inside, false);
}

/* stop and fini return only when a fire() under way has returned. */
static void stop_and_fini_wait_for_fire(void **state)
{
    struct vr_clock *c = new_clock(VR_CLOCK_REAL);
    struct slow s = {.begun = false};
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        atomic_store(&s.begun, false);
        atomic_store(&s.go_on, false);
        vr_timer_init(&s.timer, c, NULL, slow_fire, &s);
        vr_clock_start(c);
        vr_timer_arm(&s.timer, 0);
        while (!atomic_load(&s.begun)) {
        }
        atomic_store(&s.go_on, true);
        if (i & 1) {
            vr_clock_stop(c);
        } else {
            vr_timer_fini(&s.timer);
        }
        assert_false(atomic_load(&s.inside));
    }
    vr_timer_fini(&s.timer);
    vr_clock_stop(c);
    vr_clock_destroy(c);
}

struct reader {
    struct vr_clock *clock;
    atomic_bool stop;
};

static void read_time(void *arg)
{
    struct reader *r = arg;
    uint64_t last = 0;
    while (!atomic_load(&r->stop)) {
        uint64_t now = vr_clock_now(r->clock);
        vr_assert(now >= last); /* starts and stops never turn it back */
        last = now;
    }
}

static void time_never_goes_back_over_pauses(void **state)
{
    struct reader r = {.clock = new_clock(VR_CLOCK_REAL)};
    struct vireo_thread *t[2];
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(vireo_thread_create("time", read_time, &r, &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < 3000; i++) {
        vr_clock_start(r.clock);
        vr_clock_stop(r.clock);
    }
    atomic_store(&r.stop, true);
    vireo_thread_join(t[0]);
    vireo_thread_join(t[1]);
    vr_clock_destroy(r.clock);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_at_their_time),
        cmocka_unit_test(fire_may_arm_and_cancel),
        cmocka_unit_test(deadlines_move_to_a_clock_with_the_same_timers),
        cmocka_unit_test(zeroed_timers_are_harmless),
        cmocka_unit_test(time_ends_without_wrapping),
        cmocka_unit_test(random_timers_match_a_list),
        cmocka_unit_test(a_real_clock_fires_by_itself),
        cmocka_unit_test(a_cancel_under_the_lock_is_final),
        cmocka_unit_test(stop_and_fini_wait_for_fire),
        cmocka_unit_test(time_never_goes_back_over_pauses),
    };
    return cmocka_run_group_tests_name("clock", tests, NULL, NULL);
}
