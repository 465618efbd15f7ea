/* Fault handlers on POSIX hosts: signals, chaining, alternate stacks. */
#include "fault_box.h"

#include "vireo/host_thread.h"
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static void a_handler_knows_the_signal_and_leaves_no_trace(void **state)
{
    struct box b;
    struct sigaction before, after;
    int id;
    (void)state;
    box_make(&b);
    assert_int_equal(sigaction(SIGSEGV, NULL, &before), 0);
    assert_int_equal(vireo_fault_add(mend, &b, &id, NULL), 0);
    *(volatile uint8_t *)(b.map.hva + 5 * PAGE + 3) = 9;
    assert_int_equal(atomic_load(&b.mended), 1);
    assert_int_equal(b.last.host_number, SIGSEGV);
    assert_int_equal(b.last.host_code, SEGV_ACCERR);
    vireo_fault_remove(id);
    assert_int_equal(sigaction(SIGSEGV, NULL, &after), 0);
    assert_ptr_equal(after.sa_sigaction, before.sa_sigaction);
    vireo_map_destroy(&b.map);
}

static sigjmp_buf back;
static volatile sig_atomic_t chained;

static void earlier(int signum, siginfo_t *info, void *context)
{
    (void)info;
    (void)context;
    chained = signum;
    siglongjmp(back, 1);
}

static void unclaimed_faults_go_to_who_was_before(void **state)
{
    struct sigaction old, ours = {.sa_sigaction = earlier, .sa_flags = SA_SIGINFO};
    struct box b, none = {.order = 0};
    int id;
    (void)state;
    box_make(&b);
    sigemptyset(&ours.sa_mask);
    assert_int_equal(sigaction(SIGSEGV, &ours, &old), 0);
    assert_int_equal(vireo_fault_add(refuse, &none, &id, NULL), 0);
    chained = 0;
    if (sigsetjmp(back, 1) == 0) {
        *(volatile uint8_t *)b.map.hva = 1;
        fail();
    }
    assert_int_equal(chained, SIGSEGV);
    assert_int_equal(atomic_load(&none.asked), 1);
    vireo_fault_remove(id);
    assert_int_equal(sigaction(SIGSEGV, &old, NULL), 0);
    vireo_map_destroy(&b.map);
}

static int end_of_child(void (*fn)(void))
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        alarm(20);
        fn();
        _exit(3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void die_by_fault(void)
{
    struct box none = {.order = 0};
    volatile uint8_t *closed = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int id;
    signal(SIGSEGV, SIG_DFL);
    if (vireo_fault_add(refuse, &none, &id, NULL) == 0) {
        *closed = 1;
    }
}

static void die_by_kill(void)
{
    struct box none = {.order = 0};
    int id;
    signal(SIGSEGV, SIG_DFL);
    if (vireo_fault_add(refuse, &none, &id, NULL) == 0) {
        raise(SIGSEGV);
    }
}

static bool last_words(void *opaque, struct vireo_fault *fault)
{
    const char *words = opaque;
    if (fault->kind == VIREO_FAULT_ABORT && write(STDOUT_FILENO, words, strlen(words)) < 0) {
        _exit(4);
    }
    return true; /* abort goes on all the same */
}

static void die_by_abort(void)
{
    int id;
    signal(SIGABRT, SIG_DFL);
    if (vireo_fault_add(last_words, "# the end is seen\n", &id, NULL) == 0) {
        abort();
    }
}

static void an_abort_is_seen_and_still_ends_it(void **state)
{
    char said[32] = "";
    int out[2], saved = dup(STDOUT_FILENO);
    (void)state;
    assert_int_equal(pipe(out), 0);
    fflush(stdout);
    assert_int_equal(dup2(out[1], STDOUT_FILENO), STDOUT_FILENO);
    int status = end_of_child(die_by_abort);
    assert_int_equal(dup2(saved, STDOUT_FILENO), STDOUT_FILENO);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    assert_true(read(out[0], said, sizeof(said) - 1) > 0);
    assert_string_equal(said, "# the end is seen\n");
    close(out[0]);
    close(out[1]);
    close(saved);
}

struct ends {
    int seen[2]; /* a pipe: a byte for each */
    atomic_int signum;
};

static void on_end(void *opaque, int signum)
{
    struct ends *e = opaque;
    atomic_store(&e->signum, signum);
    if (write(e->seen[1], "", 1) != 1) {
        _exit(7);
    }
}

/* In a child, since the signals stay held back. */
static void be_asked_to_end(void)
{
    static const int asks[] = {SIGINT, SIGTERM, SIGQUIT};
    struct ends e;
    struct vireo_endsig *sig;
    char byte;
    signal(SIGHUP, SIG_IGN);
    if (pipe(e.seen) < 0 || vireo_endsig_start(on_end, &e, &sig, NULL) < 0) {
        _exit(4);
    }
    kill(getpid(), SIGHUP); /* as nohup has it: nobody hears of it */
    for (unsigned i = 0; i < sizeof(asks) / sizeof(asks[0]); i++) {
        kill(getpid(), asks[i]);
        if (read(e.seen[0], &byte, 1) != 1 || atomic_load(&e.signum) != asks[i]) {
            _exit(6);
        }
    }
    vireo_endsig_stop(sig);
    vireo_endsig_die(SIGTERM);
}

static void requests_to_end_are_heard(void **state)
{
    (void)state;
    int status = end_of_child(be_asked_to_end);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

static void nobody_claims_and_the_default_follows(void **state)
{
    (void)state;
    int status = end_of_child(die_by_fault);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
    status = end_of_child(die_by_kill);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV);
}

static bool overflow_seen(void *opaque, struct vireo_fault *fault)
{
    (void)opaque;
    (void)fault;
    _exit(5);
}

static unsigned overflow(volatile uint8_t *above)
{
    volatile uint8_t page[PAGE];
    page[0] = above ? above[0] : 0;
    return page[0] + (above == NULL || above[0] < 200 ? overflow(page) : 0u) + page[PAGE - 1];
}

static void run_out_of_stack(void)
{
    struct vireo_fault_stack stack, second;
    struct vr_error err;
    stack_t none = {.ss_flags = SS_DISABLE};
    int id;
    sigaltstack(&none, NULL); /* a sanitizer's */
    signal(SIGSEGV, SIG_DFL);
    if (vireo_fault_add(overflow_seen, NULL, &id, NULL) == 0 &&
        vireo_fault_stack_set(1, &stack, NULL) == 0 &&
        vireo_fault_stack_set(1, &second, &err) == -EBUSY) {
        vireo_fault_stack_clear(&stack);
        if (vireo_fault_stack_set(65536, &stack, NULL) == 0) {
            _exit((int)overflow(NULL));
        }
    }
}

static void running_out_of_stack_is_seen(void **state)
{
    (void)state;
    int status = end_of_child(run_out_of_stack);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_knows_the_signal_and_leaves_no_trace),
        cmocka_unit_test(unclaimed_faults_go_to_who_was_before),
        cmocka_unit_test(nobody_claims_and_the_default_follows),
        cmocka_unit_test(an_abort_is_seen_and_still_ends_it),
        cmocka_unit_test(requests_to_end_are_heard),
        cmocka_unit_test(running_out_of_stack_is_seen),
    };
    return cmocka_run_group_tests_name("fault", tests, NULL, NULL);
}
