/* Priorities of threads on Linux. */
#include "test.h"

#include "vireo/host_thread.h"
#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static void prioritize(void *arg)
{
    struct vr_error err;
    (void)arg;
    id_t tid = (id_t)syscall(SYS_gettid);
    assert_int_equal(vireo_priority_self(VIREO_PRIORITY_LOW, NULL), 0);
    assert_int_equal(getpriority(PRIO_PROCESS, tid), 10);
    int r = vireo_priority_self(VIREO_PRIORITY_HIGH, &err);
    if (r == 0) {
        assert_int_equal(getpriority(PRIO_PROCESS, tid), -10);
    } else {
        assert_true(r == -EPERM || r == -EACCES);
        assert_non_null(strstr(err.msg, "CAP_SYS_NICE"));
        assert_int_equal(getpriority(PRIO_PROCESS, tid), 10);
    }
    r = vireo_priority_self(VIREO_PRIORITY_REALTIME, &err);
    if (r == 0) {
        /* The bare call: musl has none of its own for a thread. */
        assert_int_equal(syscall(SYS_sched_getscheduler, 0) & ~SCHED_RESET_ON_FORK, SCHED_FIFO);
        assert_int_equal(vireo_priority_self(VIREO_PRIORITY_NORMAL, NULL), 0);
        assert_int_equal(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
    } else {
        assert_int_equal(r, -EPERM);
        assert_non_null(strstr(err.msg, "ulimit -r"));
    }
    assert_int_equal(vireo_priority_self((enum vireo_priority)9, &err), -EINVAL);
}

static void priorities_are_a_threads(void **state)
{
    struct vireo_thread *t;
    int before = getpriority(PRIO_PROCESS, 0);
    (void)state;
    assert_int_equal(vireo_thread_create("priority", prioritize, NULL, &t, NULL), 0);
    vireo_thread_join(t);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid)), before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(priorities_are_a_threads),
    };
    return cmocka_run_group_tests_name("priority_linux", tests, NULL, NULL);
}
