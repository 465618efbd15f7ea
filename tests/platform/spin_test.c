/* How long a thread looks before it sleeps. */
#include "test.h"

#include "platform/spin.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <stdatomic.h>

static bool never(void *arg)
{
    ++*(unsigned *)arg;
    return false;
}

static bool is_set(void *arg)
{
    return atomic_load((atomic_bool *)arg);
}

static bool has_neighbours(void)
{
    struct vireo_cpuset set;
    assert_int_equal(vireo_place_get(&set, NULL), 0);
    bool has = vireo_cpuset_count(&set) > 1;
    vireo_cpuset_fini(&set);
    return has;
}

static void short_waits_widen_the_window_and_long_ones_close_it(void **state)
{
    (void)state;
    if (!has_neighbours()) {
        skip_because("one processor: nobody ever looks");
    }
    struct vr_spin spin;
    vr_spin_init(&spin);
    assert_int_equal(spin.window_ns, 0);
    uint32_t last = 0;
    for (unsigned i = 0; i < 20; i++) {
        vr_spin_learn(&spin, VR_SPIN_MAX_NS - 1);
        assert_true(spin.window_ns >= last && spin.window_ns <= VR_SPIN_MAX_NS);
        last = spin.window_ns;
    }
    assert_int_equal(last, VR_SPIN_MAX_NS);
    vr_spin_learn(&spin, 1000); /* as long as it is: enough */
    assert_int_equal(spin.window_ns, last);
    for (unsigned i = 0; i < 3; i++) {
        vr_spin_learn(&spin, 4000000); /* the tick of an idle guest */
    }
    assert_int_equal(spin.window_ns, 0);
}

static void a_closed_window_costs_one_look(void **state)
{
    unsigned looks = 0;
    struct vr_spin spin = {0};
    (void)state;
    assert_false(vr_spin_wait(&spin, vireo_monotonic_ns(), never, &looks));
    assert_int_equal(looks, 1);
}

static void looking_ends_with_the_window(void **state)
{
    unsigned looks = 0;
    struct vr_spin spin = {.window_ns = 20000};
    (void)state;
    uint64_t began = vireo_monotonic_ns();
    assert_false(vr_spin_wait(&spin, began, never, &looks));
    assert_true(vireo_monotonic_ns() - began >= 20000);
    assert_true(looks > 1);
    /* One that is over already. */
    looks = 0;
    assert_false(vr_spin_wait(&spin, began, never, &looks));
    assert_true(looks < 100);
}

static void setter(void *arg)
{
    atomic_store((atomic_bool *)arg, true);
}

static void what_another_thread_does_is_seen(void **state)
{
    struct vr_spin spin = {.window_ns = 1000000000};
    (void)state;
    for (unsigned i = 0; i < 50; i++) {
        atomic_bool flag = false;
        struct vireo_thread *t;
        assert_int_equal(vireo_thread_create("set", setter, &flag, &t, NULL), 0);
        assert_true(vr_spin_wait(&spin, vireo_monotonic_ns(), is_set, &flag));
        vireo_thread_join(t);
    }
}

static void alone(void *arg)
{
    uint32_t cpu = *(const uint32_t *)arg;
    struct vr_spin spin;
    assert_int_equal(vireo_place_self_on(cpu, NULL), 0);
    vr_spin_init(&spin);
    for (unsigned i = 0; i < 20; i++) {
        vr_spin_learn(&spin, 5000);
    }
    assert_int_equal(spin.window_ns, 0);
}

static void on_one_processor_nobody_looks(void **state)
{
    struct vireo_cpuset set;
    struct vireo_thread *t;
    (void)state;
    assert_int_equal(vireo_place_get(&set, NULL), 0);
    uint32_t cpu = vireo_cpuset_next(&set, 0);
    vireo_cpuset_fini(&set);
    assert_int_equal(vireo_thread_create("alone", alone, &cpu, &t, NULL), 0);
    vireo_thread_join(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_waits_widen_the_window_and_long_ones_close_it),
        cmocka_unit_test(a_closed_window_costs_one_look),
        cmocka_unit_test(looking_ends_with_the_window),
        cmocka_unit_test(what_another_thread_does_is_seen),
        cmocka_unit_test(on_one_processor_nobody_looks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
