/* Threads on POSIX hosts: names and signals. */
#include "test.h"

#include "vireo/host_thread.h"
#include <pthread.h>
#include <signal.h>
#include <string.h>

struct box {
    char name[16];
    sigset_t blocked;
};

static void look_around(void *arg)
{
    struct box *b = arg;
    pthread_getname_np(pthread_self(), b->name, sizeof(b->name));
    pthread_sigmask(SIG_SETMASK, NULL, &b->blocked);
}

static void threads_have_names_and_no_signals(void **state)
{
    struct box b;
    struct vireo_thread *t;
    sigset_t before, after;
    (void)state;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    assert_int_equal(vireo_thread_create("a-name-longer-than-15", look_around, &b, &t, NULL), 0);
    assert_false(vireo_thread_is_current(t));
    vireo_thread_join(t);
    vireo_thread_join(NULL);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    assert_string_equal(b.name, "a-name-longer-t");
    assert_true(sigismember(&b.blocked, SIGINT) && sigismember(&b.blocked, SIGTERM) &&
                sigismember(&b.blocked, SIGWINCH) && sigismember(&b.blocked, SIGUSR1));
    assert_false(sigismember(&b.blocked, SIGSEGV) || sigismember(&b.blocked, SIGBUS) ||
                 sigismember(&b.blocked, SIGILL) || sigismember(&b.blocked, SIGFPE));
    assert_int_equal(sigismember(&before, SIGINT), sigismember(&after, SIGINT));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_have_names_and_no_signals),
    };
    return cmocka_run_group_tests_name("thread_posix", tests, NULL, NULL);
}
