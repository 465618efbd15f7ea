#include "test.h"

#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"
#include <stdatomic.h>

enum { SECOND = 1000000000 };

struct box {
    struct vr_mutex lock;
    struct vr_cond cond;
    unsigned value;
    atomic_bool flag;
};

static void box_init(struct box *b)
{
    *b = (struct box){.value = 0};
    vr_mutex_init(&b->lock);
    vr_cond_init(&b->cond);
}

static void box_fini(struct box *b)
{
    vr_cond_fini(&b->cond);
    vr_mutex_fini(&b->lock);
}

static void add_many(void *arg)
{
    struct box *b = arg;
    for (unsigned i = 0; i < 20000; i++) {
        vr_mutex_lock(&b->lock);
        b->value++;
        vr_mutex_unlock(&b->lock);
    }
}

static void see_oneself(void *arg)
{
    struct box *b = arg;
    b->value = 1;
}

static void threads_are_told_apart(void **state)
{
    struct box b;
    struct vireo_thread *t;
    (void)state;
    box_init(&b);
    assert_int_equal(vireo_thread_create("a-name-longer-than-15", see_oneself, &b, &t, NULL), 0);
    assert_false(vireo_thread_is_current(t));
    vireo_thread_join(t);
    vireo_thread_join(NULL);
    assert_int_equal(b.value, 1);
    box_fini(&b);
}

static void mutexes_exclude(void **state)
{
    struct box b;
    struct vireo_thread *t[4];
    (void)state;
    box_init(&b);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vireo_thread_create("add", add_many, &b, &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        vireo_thread_join(t[i]);
    }
    assert_int_equal(b.value, 80000);
    assert_true(vr_mutex_trylock(&b.lock));
    assert_false(vr_mutex_trylock(&b.lock));
    vr_mutex_unlock(&b.lock);
    box_fini(&b);
}

static void answer(void *arg)
{
    struct box *b = arg;
    vr_mutex_lock(&b->lock);
    for (unsigned i = 0; i < 1000; i++) {
        while (b->value != 1) {
            vr_cond_wait(&b->cond, &b->lock);
        }
        b->value = 0;
        vr_cond_broadcast(&b->cond);
    }
    vr_mutex_unlock(&b->lock);
}

static void conditions_pass_a_ball(void **state)
{
    struct box b;
    struct vireo_thread *t;
    (void)state;
    box_init(&b);
    assert_int_equal(vireo_thread_create("answer", answer, &b, &t, NULL), 0);
    vr_mutex_lock(&b.lock);
    for (unsigned i = 0; i < 1000; i++) {
        b.value = 1;
        vr_cond_broadcast(&b.cond);
        while (b.value != 0) {
            assert_true(
                vr_cond_wait_until(&b.cond, &b.lock, vireo_monotonic_ns() + 20 * (uint64_t)SECOND));
        }
    }
    vr_mutex_unlock(&b.lock);
    vireo_thread_join(t);
    box_fini(&b);
}

static void waits_end_at_their_time(void **state)
{
    struct box b;
    (void)state;
    box_init(&b);
    vr_mutex_lock(&b.lock);
    uint64_t start = vireo_monotonic_ns();
    vireo_thread_be_punctual();
    while (vr_cond_wait_until(&b.cond, &b.lock, start + 5000000)) {
    }
    assert_true(vireo_monotonic_ns() >= start + 5000000);
    assert_false(vr_cond_wait_until(&b.cond, &b.lock, 0)); /* long past */
    vr_mutex_unlock(&b.lock);
    box_fini(&b);
}

static void burn(void *arg)
{
    struct box *b = arg;
    while (!atomic_load(&b->flag)) {
    }
}

static void cpu_time_is_counted(void **state)
{
    struct box b;
    struct vireo_thread *t;
    (void)state;
    box_init(&b);
    assert_int_equal(vireo_thread_create("burn", burn, &b, &t, NULL), 0);
    uint64_t until = vireo_monotonic_ns() + 20 * (uint64_t)SECOND;
    while (vireo_thread_cpu_ns(t) < 1000000) {
        assert_true(vireo_monotonic_ns() < until);
    }
    atomic_store(&b.flag, true);
    vireo_thread_join(t);
    box_fini(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_are_told_apart), cmocka_unit_test(mutexes_exclude),
        cmocka_unit_test(conditions_pass_a_ball), cmocka_unit_test(waits_end_at_their_time),
        cmocka_unit_test(cpu_time_is_counted),
    };
    return cmocka_run_group_tests_name("thread", tests, NULL, NULL);
}
