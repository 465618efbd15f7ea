/*
 * Fault handlers by sigaction(2) with SA_SIGINFO and SA_ONSTACK.
 *
 * A table of slots is read by the signal handler without locks: a slot is claimed by storing its
 * function last, and freed by waiting until no thread is inside (each counts itself in before it
 * reads the slots). Chaining: a fault that nobody claims is given to the handler from before, with
 * its flags honoured; when that was the default, it is restored and the instruction runs again,
 * which ends the process as if we had not been there.
 */
#include "platform/fault.h"
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP};

/* A signal's handler gets no argument of ours, and a process has one for each signal. */
static struct {
    pthread_mutex_t lock; /* add and remove */
    unsigned count;
    struct sigaction before[VR_COUNT(fault_signals)];
    atomic_uint inside; /* threads that look at the slots */
    struct {
        _Atomic(vireo_fault_fn *) fn;
        void *opaque;
        atomic_uint order; /* later ones are asked first */
    } slots[VIREO_FAULT_HANDLERS];
    unsigned orders;
} fault_state = {.lock = PTHREAD_MUTEX_INITIALIZER};

static bool fault_ask(struct vireo_fault *fault)
{
    unsigned below = UINT32_MAX;
    bool done = false;
    atomic_fetch_add(&fault_state.inside, 1);
    while (!done) {
        unsigned best = 0, at = 0;
        for (unsigned i = 0; i < VIREO_FAULT_HANDLERS; i++) {
            unsigned order = atomic_load(&fault_state.slots[i].order);
            if (atomic_load(&fault_state.slots[i].fn) && order > best && order < below) {
                best = order;
                at = i;
            }
        }
        if (best == 0) {
            break;
        }
        below = best;
        vireo_fault_fn *fn = atomic_load(&fault_state.slots[at].fn);
        done = fn && fn(fault_state.slots[at].opaque, fault);
    }
    atomic_fetch_sub(&fault_state.inside, 1);
    return done;
}

static void fault_chain(int signum, siginfo_t *info, void *context)
{
    const struct sigaction *before = NULL;
    for (unsigned i = 0; i < VR_COUNT(fault_signals); i++) {
        before = fault_signals[i] == signum ? &fault_state.before[i] : before;
    }
    if (before && (before->sa_flags & SA_SIGINFO) && before->sa_sigaction) {
        before->sa_sigaction(signum, info, context);
        return;
    }
    if (before && before->sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent by somebody; a fault of our own cannot be ignored */
    }
    if (before && before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signum);
        return;
    }
    /* The default ends the process when the instruction runs again; a sent signal is sent again. */
    signal(signum, SIG_DFL);
    if (info->si_code <= 0) {
        raise(signum);
    }
}

static enum vireo_fault_kind fault_kind(int signum)
{
    switch (signum) {
    case SIGSEGV:
        return VIREO_FAULT_ACCESS;
    case SIGBUS:
        return VIREO_FAULT_BUS;
    case SIGILL:
        return VIREO_FAULT_ILLEGAL;
    case SIGFPE:
        return VIREO_FAULT_ARITHMETIC;
    default:
        return VIREO_FAULT_TRAP;
    }
}

static void fault_handler(int signum, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t *pc = NULL;
    struct vireo_fault fault = {.kind = fault_kind(signum),
                                .host_number = signum,
                                .host_code = info->si_code,
                                .hva = info->si_addr,
                                .host_context = context};
    fault.can_set_pc = vr_fault_context(context, &pc, &fault.sp);
    fault.pc = fault.can_set_pc ? *pc : 0;
    /* What other processes send is no fault. */
    bool done = info->si_code > 0 && fault_ask(&fault);
    if (done && fault.can_set_pc) {
        *pc = fault.pc;
    }
    if (!done) {
        fault_chain(signum, info, context);
    }
    errno = saved;
}

static int fault_install(struct vr_error *err)
{
    struct sigaction ours = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    for (unsigned i = 0; i < VR_COUNT(fault_signals); i++) {
        /* What was there must be known before ours can run. */
        if (sigaction(fault_signals[i], NULL, &fault_state.before[i]) < 0 ||
            sigaction(fault_signals[i], &ours, NULL) < 0) {
            int r = -errno;
            while (i-- > 0) {
                sigaction(fault_signals[i], &fault_state.before[i], NULL);
            }
            return vr_err(err, r, "fault handler: %s", strerror(-r));
        }
    }
    return 0;
}

int vireo_fault_add(vireo_fault_fn *fn, void *opaque, int *ret_id, struct vr_error *err)
{
    int r = 0;
    unsigned i = 0;
    pthread_mutex_lock(&fault_state.lock);
    while (i < VIREO_FAULT_HANDLERS && atomic_load(&fault_state.slots[i].fn)) {
        i++;
    }
    if (i == VIREO_FAULT_HANDLERS) {
        r = vr_err(err, -ENOSPC, "fault handler: there are %d already", VIREO_FAULT_HANDLERS);
    } else if (fault_state.count == 0) {
        r = fault_install(err);
    }
    if (r == 0) {
        fault_state.count++;
        fault_state.slots[i].opaque = opaque;
        atomic_store(&fault_state.slots[i].order, ++fault_state.orders);
        atomic_store(&fault_state.slots[i].fn, fn);
        *ret_id = (int)i;
    }
    pthread_mutex_unlock(&fault_state.lock);
    return r;
}

void vireo_fault_remove(int id)
{
    pthread_mutex_lock(&fault_state.lock);
    vr_assert(id >= 0 && id < VIREO_FAULT_HANDLERS && atomic_load(&fault_state.slots[id].fn));
    atomic_store(&fault_state.slots[id].fn, NULL);
    while (atomic_load(&fault_state.inside)) {
        sched_yield();
    }
    if (--fault_state.count == 0) {
        for (unsigned i = 0; i < VR_COUNT(fault_signals); i++) {
            struct sigaction now;
            if (sigaction(fault_signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
                now.sa_sigaction == fault_handler) {
                sigaction(fault_signals[i], &fault_state.before[i], NULL);
            }
        }
    }
    pthread_mutex_unlock(&fault_state.lock);
}

int vireo_fault_stack_set(uint64_t len, struct vireo_fault_stack *ret_stack, struct vr_error *err)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), whole;
    stack_t old;
    if (sigaltstack(NULL, &old) == 0 && !(old.ss_flags & SS_DISABLE)) {
        return vr_err(err, -EBUSY, "fault stack: this thread has one");
    }
    len = len < (uint64_t)SIGSTKSZ ? (uint64_t)SIGSTKSZ : len;
    if (!vr_align_up_ok(len, page, &whole) || !vr_add_ok(whole, page, &whole)) {
        return vr_err(err, -ENOMEM, "fault stack: too large");
    }
    char *all = mmap(NULL, whole, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (all == MAP_FAILED) {
        return vr_err(err, -ENOMEM, "fault stack: no memory");
    }
    stack_t stack = {.ss_sp = all + page, .ss_size = whole - page};
    if (mprotect(all + page, whole - page, PROT_READ | PROT_WRITE) < 0 ||
        sigaltstack(&stack, NULL) < 0) {
        int r = -errno;
        munmap(all, whole);
        return vr_err(err, r, "fault stack: %s", strerror(-r));
    }
    *ret_stack = (struct vireo_fault_stack){.hva = all, .len = whole};
    return 0;
}

void vireo_fault_stack_clear(struct vireo_fault_stack *stack)
{
    stack_t none = {.ss_flags = SS_DISABLE};
    if (stack->hva) {
        sigaltstack(&none, NULL);
        munmap(stack->hva, stack->len);
    }
    *stack = (struct vireo_fault_stack){.hva = NULL};
}
