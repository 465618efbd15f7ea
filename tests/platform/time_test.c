/* Clocks, timers, measuring. */
#include "test.h"

#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"
#include <stdatomic.h>

enum { MS = 1000000, MANY = 50, THREADS = 4, ROUNDS = 300 };

/* What a timer's calls leave behind, and a place to wait for them. */
struct seen {
    struct vr_mutex lock;
    struct vr_cond more;
    unsigned calls;
    uint64_t times, last_ns;
    struct vireo_timer *timer, *other;
    unsigned order[MANY], *next; /* of who shares */
    unsigned id;
};

static void seen_init(struct seen *s)
{
    *s = (struct seen){.calls = 0};
    vr_mutex_init(&s->lock);
    vr_cond_init(&s->more);
}

static void seen_fini(struct seen *s)
{
    vr_cond_fini(&s->more);
    vr_mutex_fini(&s->lock);
}

static void seen_fire(void *opaque, uint64_t times)
{
    struct seen *s = opaque;
    vr_mutex_lock(&s->lock);
    s->calls++;
    s->times += times;
    s->last_ns = vireo_monotonic_ns();
    vr_cond_broadcast(&s->more);
    vr_mutex_unlock(&s->lock);
}

static void seen_wait(struct seen *s, unsigned calls)
{
    vr_mutex_lock(&s->lock);
    while (s->calls < calls) {
        vr_cond_wait(&s->more, &s->lock);
    }
    vr_mutex_unlock(&s->lock);
}

static void clocks_go_forward(void **state)
{
    (void)state;
    uint64_t a = vireo_monotonic_ns(), real = vireo_realtime_ns();
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t b = vireo_monotonic_ns();
        assert_true(b >= a);
        a = b;
    }
    assert_true(real > UINT64_C(1700000000) * 1000000000); /* this was written after 2023 */
}

static void a_timer_fires_once_and_not_early(void **state)
{
    struct vireo_timers *ts;
    struct seen s;
    (void)state;
    seen_init(&s);
    assert_int_equal(vireo_timers_create("timers", &ts, NULL), 0);
    assert_int_equal(vireo_timer_create(ts, seen_fire, &s, &s.timer, NULL), 0);
    uint64_t at = vireo_monotonic_ns() + 3 * MS;
    vireo_timer_arm(s.timer, at, 0);
    seen_wait(&s, 1);
    assert_true(s.last_ns >= at);
    /* What is past fires at once, whatever waits for later. */
    vireo_timer_arm(s.timer, UINT64_MAX, 0);
    vireo_timer_arm(s.timer, 0, 0);
    seen_wait(&s, 2);
    vireo_timer_disarm(s.timer);
    vireo_timer_arm(s.timer, vireo_monotonic_ns() + UINT64_C(3600) * 1000 * MS, 0);
    vireo_timer_destroy(s.timer);
    vireo_timer_destroy(NULL);
    vireo_timers_destroy(ts);
    vireo_timers_destroy(NULL);
    assert_int_equal(s.calls, 2);
    assert_int_equal(s.times, 2);
    seen_fini(&s);
}

static void a_period_does_not_drift(void **state)
{
    struct vireo_timers *ts;
    struct seen s;
    (void)state;
    seen_init(&s);
    assert_int_equal(vireo_timers_create("timers", &ts, NULL), 0);
    assert_int_equal(vireo_timer_create(ts, seen_fire, &s, &s.timer, NULL), 0);
    uint64_t first = vireo_monotonic_ns() + MS;
    vireo_timer_arm(s.timer, first, MS / 5);
    seen_wait(&s, MANY);
    vireo_timer_destroy(s.timer);
    vireo_timers_destroy(ts);
    /* As many periods as have begun, late calls counted for all that they missed. */
    assert_true(s.times >= s.calls);
    assert_true(s.last_ns >= first + (s.times - 1) * (MS / 5));
    seen_fini(&s);
}

static void order_fire(void *opaque, uint64_t times)
{
    struct seen *s = opaque, *all = s - s->id;
    (void)times;
    vr_mutex_lock(&all->lock);
    all->order[all->calls++] = s->id;
    vr_cond_broadcast(&all->more);
    vr_mutex_unlock(&all->lock);
}

static void timers_fire_in_order(void **state)
{
    struct vireo_timers *ts;
    static struct seen s[MANY];
    (void)state;
    seen_init(&s[0]);
    assert_int_equal(vireo_timers_create("timers", &ts, NULL), 0);
    uint64_t start = vireo_monotonic_ns() + 30 * MS;
    for (unsigned i = 0; i < MANY; i++) {
        s[i].id = i;
        assert_int_equal(vireo_timer_create(ts, order_fire, &s[i], &s[i].timer, NULL), 0);
    }
    for (unsigned i = 0; i < MANY; i++) {
        unsigned k = i * 37 % MANY; /* armed in another order than they are due */
        vireo_timer_arm(s[k].timer, start + k / 2 * 1000, 0);
    }
    seen_wait(&s[0], MANY);
    for (unsigned i = 0; i < MANY; i++) {
        assert_int_equal(s[0].order[i] / 2, i / 2);
        vireo_timer_destroy(s[i].timer);
    }
    vireo_timers_destroy(ts);
    seen_fini(&s[0]);
}

static void again_fire(void *opaque, uint64_t times)
{
    struct seen *s = opaque;
    seen_fire(s, times);
    if (s->calls < 10) {
        vireo_timer_arm(s->timer, 0, 0);
    } else {
        vireo_timer_disarm(s->other);
    }
}

static void timers_change_timers(void **state)
{
    struct vireo_timers *ts;
    struct seen s, other;
    (void)state;
    seen_init(&s);
    seen_init(&other);
    assert_int_equal(vireo_timers_create("timers", &ts, NULL), 0);
    assert_int_equal(vireo_timer_create(ts, seen_fire, &other, &s.other, NULL), 0);
    assert_int_equal(vireo_timer_create(ts, again_fire, &s, &s.timer, NULL), 0);
    vireo_timer_arm(s.other, vireo_monotonic_ns() + UINT64_C(600) * 1000 * MS, MS);
    vireo_timer_arm(s.timer, 0, 0);
    seen_wait(&s, 10);
    vireo_timer_destroy(s.timer); /* waits for the last call */
    vireo_timer_destroy(s.other);
    vireo_timers_destroy(ts);
    assert_int_equal(s.calls, 10);
    assert_int_equal(other.calls, 0);
    seen_fini(&other);
    seen_fini(&s);
}

static void churn(void *arg)
{
    struct vireo_timers *ts = arg;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct seen s;
        seen_init(&s);
        assert_int_equal(vireo_timer_create(ts, seen_fire, &s, &s.timer, NULL), 0);
        vireo_timer_arm(s.timer, vireo_monotonic_ns() + i % 7 * 1000, i % 3 ? 0 : 2000);
        if (i % 4 == 0) {
            vireo_timer_disarm(s.timer);
        } else if (i % 4 == 1) {
            seen_wait(&s, 1);
        }
        vireo_timer_destroy(s.timer);
        seen_fini(&s); /* nobody is in it any more */
    }
}

static void timers_come_and_go_in_threads(void **state)
{
    struct vireo_timers *ts;
    struct vireo_thread *t[THREADS];
    (void)state;
    assert_int_equal(vireo_timers_create("timers", &ts, NULL), 0);
    assert_false(vireo_timers_is_current(ts));
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(vireo_thread_create("churn", churn, ts, &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        vireo_thread_join(t[i]);
    }
    vireo_timers_destroy(ts);
}

static void spin(void *opaque)
{
    uint64_t end = vireo_monotonic_ns() + MS / 10;
    ++*(unsigned *)opaque;
    while (vireo_monotonic_ns() < end) {
    }
}

static void a_call_is_measured(void **state)
{
    struct vireo_measure m;
    unsigned calls = 0;
    (void)state;
    vireo_measure(spin, &calls, 9, &m);
    assert_int_equal(calls, 9);
    assert_true(m.best_ns > MS / 20 && m.best_ns <= m.mean_ns && m.mean_ns <= m.worst_ns);
    vireo_measure(spin, &calls, 0, &m);
    assert_int_equal(calls, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clocks_go_forward),
        cmocka_unit_test(a_timer_fires_once_and_not_early),
        cmocka_unit_test(a_period_does_not_drift),
        cmocka_unit_test(timers_fire_in_order),
        cmocka_unit_test(timers_change_timers),
        cmocka_unit_test(timers_come_and_go_in_threads),
        cmocka_unit_test(a_call_is_measured),
    };
    return cmocka_run_group_tests_name("time", tests, NULL, NULL);
}
