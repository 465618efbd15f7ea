/* Code memory: works, is bounded, and no page of the process is ever writable and executable. */
#include "os.h"
#include "test.h"

#include "platform/host.h"
#include "vireo/host_code.h"
#include "vireo/host_counters.h"
#include "vireo/host_thread.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Wine's own libraries have some; Linux programs have none. */
static unsigned bad_at_start;

static void assert_no_page_is_written_and_run(void)
{
    assert_int_equal(os_count_written_and_run(), bad_at_start);
}

static int run_at(const uint8_t *at)
{
    int (*fn)(void);
    memcpy(&fn, &at, sizeof(fn));
    return fn();
}

static void made_code_runs(void **state)
{
    struct vireo_jitmem m;
    size_t len;
    const void *code = vr_jit_sample(&len);
    (void)state;
    assert_no_page_is_written_and_run();
    if (!code) {
        skip_because("Vireo makes no code for this processor");
    }
    assert_int_equal(vireo_jitmem_create(10000, &m, NULL), 0);
    assert_int_equal(m.len % os_page(), 0);
    assert_true(m.len >= 10000 && (const uint8_t *)m.rw != m.rx);
    assert_no_page_is_written_and_run();
    for (size_t off = 0; off + len <= m.len; off += 1024) {
        assert_int_equal(vireo_jitmem_publish(&m, off, code, len, NULL), 0);
        assert_int_equal(run_at(m.rx + off), 42);
    }
    assert_no_page_is_written_and_run();
    vireo_jitmem_destroy(&m);
    vireo_jitmem_destroy(&m);
}

static void bounds_hold(void **state)
{
    struct vireo_jitmem m = {.len = 3};
    struct vr_error err;
    uint8_t bytes[64] = {0};
    (void)state;
    assert_int_equal(vireo_jitmem_create(0, &m, &err), -EINVAL);
    assert_int_equal(vireo_jitmem_create(SIZE_MAX, &m, &err), -ENOMEM);
    assert_int_equal(vireo_jitmem_create(SIZE_MAX / 4, &m, &err), -ENOMEM);
    assert_int_equal(m.len, 3); /* untouched */
    assert_int_equal(vireo_jitmem_create(1, &m, &err), 0);
    assert_int_equal(vireo_jitmem_publish(&m, m.len - 64, bytes, 64, &err), 0);
    assert_int_equal(vireo_jitmem_publish(&m, m.len - 63, bytes, 64, &err), -ERANGE);
    assert_int_equal(vireo_jitmem_publish(&m, m.len, bytes, 0, &err), 0);
    assert_int_equal(vireo_jitmem_publish(&m, SIZE_MAX, bytes, 64, &err), -ERANGE);
    assert_int_equal(vireo_jitmem_flush(&m, 1, SIZE_MAX, &err), -ERANGE);
    vireo_jitmem_destroy(&m);
}

static void the_run_side_cannot_be_written(void **state)
{
    struct vireo_jitmem m;
    (void)state;
    assert_int_equal(vireo_jitmem_create(4096, &m, NULL), 0);
    assert_true(os_touch_faults((uint8_t *)(uintptr_t)m.rx, true));
    assert_false(os_touch_faults(m.rw, true));
    vireo_jitmem_destroy(&m);
}

struct race {
    struct vireo_jitmem mem;
    atomic_bool stop;
    atomic_uint runs;
};

static void race_run(void *arg)
{
    struct race *r = arg;
    while (!atomic_load(&r->stop)) {
        assert_int_equal(run_at(r->mem.rx), 42);
        atomic_fetch_add(&r->runs, 1);
    }
}

/* New functions appear behind one that another thread runs; maps are looked at meanwhile. */
static void others_run_while_code_is_made(void **state)
{
    struct race r = {.stop = false};
    struct vireo_thread *t;
    size_t len;
    const void *code = vr_jit_sample(&len);
    (void)state;
    if (!code) {
        skip_because("Vireo makes no code for this processor");
    }
    assert_int_equal(vireo_jitmem_create(65536, &r.mem, NULL), 0);
    assert_int_equal(vireo_jitmem_publish(&r.mem, 0, code, len, NULL), 0);
    assert_int_equal(vireo_thread_create("race", race_run, &r, &t, NULL), 0);
    for (size_t off = 64; off + len <= r.mem.len; off += 64) {
        assert_int_equal(vireo_jitmem_publish(&r.mem, off, code, len, NULL), 0);
        assert_int_equal(run_at(r.mem.rx + off), 42);
        if (off % 8192 == 0) {
            assert_no_page_is_written_and_run();
        }
    }
    while (atomic_load(&r.runs) == 0) {
        vireo_thread_yield();
    }
    atomic_store(&r.stop, true);
    vireo_thread_join(t);
    vireo_jitmem_destroy(&r.mem);
}

static void counters_count_or_say_why_not(void **state)
{
    struct vireo_counters *c;
    struct vireo_counts a, b;
    struct vr_error err = {0};
    volatile unsigned sum = 0;
    (void)state;
    int r = vireo_counters_open(&c, &err);
    if (r < 0) {
        assert_int_equal(err.code, r);
        assert_true(strlen(err.msg) > 20);
        return;
    }
    vireo_counters_read(c, &a);
    for (unsigned i = 0; i < 100000; i++) {
        sum += i;
    }
    vireo_counters_read(c, &b);
    assert_int_not_equal(sum, 0);
    bool any = false;
    for (unsigned i = 0; i < VIREO_COUNT_EVENTS; i++) {
        any |= b.counted[i];
        assert_true(!b.counted[i] || b.count[i] >= a.count[i]);
    }
    assert_true(any);
    if (a.counted[VIREO_COUNT_INSTRUCTIONS]) {
        assert_true(b.count[VIREO_COUNT_INSTRUCTIONS] - a.count[VIREO_COUNT_INSTRUCTIONS] > 100000);
    }
    vireo_counters_close(c);
    vireo_counters_close(NULL);
}

int main(void)
{
    bad_at_start = os_count_written_and_run();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(made_code_runs),
        cmocka_unit_test(bounds_hold),
        cmocka_unit_test(the_run_side_cannot_be_written),
        cmocka_unit_test(others_run_while_code_is_made),
        cmocka_unit_test(counters_count_or_say_why_not),
    };
    return cmocka_run_group_tests_name("jitmem", tests, NULL, NULL);
}
