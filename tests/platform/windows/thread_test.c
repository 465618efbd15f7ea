/* Threads on Windows: names, priorities, groups of processors, timed waits. */
#include "os.h"
#include "test.h"

#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

static void look_at_name(void *arg)
{
    typedef HRESULT(WINAPI * get_fn)(HANDLE, PWSTR *);
    get_fn get = (get_fn)(void (*)(void))GetProcAddress(GetModuleHandleW(L"kernelbase.dll"),
                                                        "GetThreadDescription");
    wchar_t *name = arg;
    PWSTR text = NULL;
    if (!get) {
        wcscpy(name, L"?");
    } else if (SUCCEEDED(get(GetCurrentThread(), &text))) {
        wcscpy(name, text);
        LocalFree(text);
    }
}

static void names_are_shown(void **state)
{
    struct vireo_thread *t;
    wchar_t name[64] = L"";
    (void)state;
    assert_int_equal(vireo_thread_create("gr\xc3\xbc\xc3\x9f", look_at_name, name, &t, NULL), 0);
    vireo_thread_join(t);
    if (wcscmp(name, L"?") == 0) {
        skip_because("this Windows (or Wine) shows no names of threads");
    }
    assert_int_equal(wcscmp(name, L"gr\u00fc\u00df"), 0);
}

static void prioritize(void *arg)
{
    struct vr_error err;
    (void)arg;
    assert_int_equal(vireo_priority_self(VIREO_PRIORITY_LOW, NULL), 0);
    assert_int_equal(GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_LOWEST);
    assert_int_equal(vireo_priority_self(VIREO_PRIORITY_HIGH, NULL), 0);
    assert_int_equal(GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_HIGHEST);
    assert_int_equal(vireo_priority_self(VIREO_PRIORITY_REALTIME, &err), -EPERM);
    assert_non_null(strstr(err.msg, "SeIncreaseBasePriorityPrivilege"));
    assert_int_equal(GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_HIGHEST);
    assert_int_equal(vireo_priority_self(VIREO_PRIORITY_NORMAL, NULL), 0);
    assert_int_equal(GetThreadPriority(GetCurrentThread()), THREAD_PRIORITY_NORMAL);
    assert_int_equal(vireo_priority_self((enum vireo_priority)9, &err), -EINVAL);
}

static void priorities_are_a_threads(void **state)
{
    struct vireo_thread *t;
    int before = GetThreadPriority(GetCurrentThread());
    (void)state;
    assert_int_equal(vireo_thread_create("priority", prioritize, NULL, &t, NULL), 0);
    vireo_thread_join(t);
    assert_int_equal(GetThreadPriority(GetCurrentThread()), before);
}

struct crowd {
    struct vr_mutex lock;
    struct vr_cond cond;
    unsigned waiting, woken, late;
};

static void wait_in_crowd(void *arg)
{
    struct crowd *c = arg;
    vr_mutex_lock(&c->lock);
    c->waiting++;
    if (vr_cond_wait_until(&c->cond, &c->lock, vireo_monotonic_ns() + UINT64_C(20000000000))) {
        c->woken++;
    } else {
        c->late++;
    }
    vr_mutex_unlock(&c->lock);
}

/* A signal wakes one; each waiter has an event of its own, and none is lost or counted twice. */
static void signals_wake_one_each(void **state)
{
    enum { CROWD = 8 };
    struct crowd c = {.waiting = 0};
    struct vireo_thread *t[CROWD];
    (void)state;
    vr_mutex_init(&c.lock);
    vr_cond_init(&c.cond);
    for (unsigned round = 0; round < 50; round++) {
        c.waiting = c.woken = 0;
        for (unsigned i = 0; i < CROWD; i++) {
            assert_int_equal(vireo_thread_create("crowd", wait_in_crowd, &c, &t[i], NULL), 0);
        }
        for (bool all = false; !all; vireo_thread_yield()) {
            vr_mutex_lock(&c.lock);
            all = c.waiting == CROWD;
            vr_mutex_unlock(&c.lock);
        }
        for (unsigned i = 0; i < CROWD / 2; i++) {
            vr_cond_signal(&c.cond);
        }
        for (bool all = false; !all; vireo_thread_yield()) {
            vr_mutex_lock(&c.lock);
            assert_true(c.woken <= CROWD / 2);
            all = c.woken == CROWD / 2;
            vr_mutex_unlock(&c.lock);
        }
        vr_cond_broadcast(&c.cond);
        for (unsigned i = 0; i < CROWD; i++) {
            vireo_thread_join(t[i]);
        }
        assert_int_equal(c.woken, CROWD);
    }
    assert_int_equal(c.late, 0);
    vr_cond_fini(&c.cond);
    vr_mutex_fini(&c.lock);
}

struct race {
    struct vr_mutex lock;
    struct vr_cond cond;
    bool stop;
};

static void signal_often(void *arg)
{
    struct race *r = arg;
    for (bool stop = false; !stop;) {
        vr_cond_signal(&r->cond);
        vr_mutex_lock(&r->lock);
        stop = r->stop;
        vr_mutex_unlock(&r->lock);
    }
}

/* Times that end just as signals come: the wait ends in either way, and the next one is whole. */
static void signals_race_with_time(void **state)
{
    struct race r = {.stop = false};
    struct vireo_thread *t;
    unsigned signalled = 0;
    (void)state;
    vr_mutex_init(&r.lock);
    vr_cond_init(&r.cond);
    assert_int_equal(vireo_thread_create("signals", signal_often, &r, &t, NULL), 0);
    vr_mutex_lock(&r.lock);
    for (unsigned i = 0; i < 2000; i++) {
        signalled += vr_cond_wait_until(&r.cond, &r.lock, vireo_monotonic_ns() + i % 100 * 100);
    }
    r.stop = true;
    vr_mutex_unlock(&r.lock);
    vireo_thread_join(t);
    vr_mutex_lock(&r.lock);
    uint64_t until = vireo_monotonic_ns() + 2000000;
    assert_false(vr_cond_wait_until(&r.cond, &r.lock, until)); /* no signal is left over */
    assert_true(vireo_monotonic_ns() >= until);
    vr_mutex_unlock(&r.lock);
    print_message("# %u of 2000 waits ended by a signal\n", signalled);
    vr_cond_fini(&r.cond);
    vr_mutex_fini(&r.lock);
}

static void processors_of_groups_are_checked(void **state)
{
    struct vireo_cpuset set = {.bits = NULL};
    struct vr_error err;
    (void)state;
    /* Group 70 is more than Windows has. */
    assert_int_equal(vireo_cpuset_add(&set, 70 * 64), 0);
    assert_int_equal(vireo_place_self(&set, &err), -EINVAL);
    vireo_cpuset_fini(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_shown),
        cmocka_unit_test(priorities_are_a_threads),
        cmocka_unit_test(signals_wake_one_each),
        cmocka_unit_test(signals_race_with_time),
        cmocka_unit_test(processors_of_groups_are_checked),
    };
    return cmocka_run_group_tests_name("win_thread", tests, NULL, NULL);
}
