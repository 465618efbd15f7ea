/*
 * Fault handlers by sigaction(2) with SA_SIGINFO and SA_ONSTACK.
 *
 * Chaining: a fault that nobody claims is given to the handler from before, with its flags
 * honoured; when that was the default, it is restored and the instruction runs again, which ends
 * the process as if we had not been there.
 */
#include "platform/fault.h"
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

static const int fault_signals[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGABRT};

/* What each signal did before; a process has one handler for each. */
static struct sigaction fault_before[VR_COUNT(fault_signals)];

static struct sigaction fault_before_of(int signum)
{
    unsigned i = 0;
    while (fault_signals[i] != signum) {
        i++;
    }
    return fault_before[i];
}

/* It may never come back (siglongjmp). */
static void fault_chain(int signum, siginfo_t *info, void *context, const struct sigaction *before)
{
    if ((before->sa_flags & SA_SIGINFO) && before->sa_sigaction) {
        before->sa_sigaction(signum, info, context);
        return;
    }
    if (before->sa_handler == SIG_IGN && info->si_code <= 0) {
        return; /* sent by somebody; a fault of our own cannot be ignored */
    }
    if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signum);
        return;
    }
    /* The default ends the process when the instruction runs again; a sent signal is sent again. */
    signal(signum, SIG_DFL);
    if (info->si_code <= 0) {
        raise(signum);
    }
}

static enum vireo_fault_kind fault_kind(int signum, int code)
{
#ifdef __APPLE__
    /* Darwin's for memory that is there, but not for this use (KERN_PROTECTION_FAILURE). */
    if (signum == SIGBUS && code != BUS_ADRALN) {
        return VIREO_FAULT_ACCESS;
    }
#else
    (void)code;
#endif
    switch (signum) {
    case SIGSEGV:
        return VIREO_FAULT_ACCESS;
    case SIGBUS:
        return VIREO_FAULT_BUS;
    case SIGILL:
        return VIREO_FAULT_ILLEGAL;
    case SIGFPE:
        return VIREO_FAULT_ARITHMETIC;
    case SIGABRT:
        return VIREO_FAULT_ABORT;
    default:
        return VIREO_FAULT_TRAP;
    }
}

static void fault_handler(int signum, siginfo_t *info, void *context)
{
    int saved = errno;
    uintptr_t *pc = NULL;
    struct vireo_fault fault = {.kind = fault_kind(signum, info->si_code),
                                .host_number = signum,
                                .host_code = info->si_code,
                                .hva = info->si_addr,
                                .host_context = context};
    fault.can_set_pc = vr_fault_context(context, &pc, &fault.sp);
    fault.pc = fault.can_set_pc ? *pc : 0;
    /* What is sent is no fault, but for SIGABRT, which always is: by abort(3), or by a watchdog. */
    bool ours = info->si_code > 0 || signum == SIGABRT;
    vr_fault_enter();
    bool done = ours && vr_fault_ask(&fault);
    struct sigaction before = fault_before_of(signum);
    vr_fault_leave();
    if (done && fault.can_set_pc) {
        *pc = fault.pc;
    }
    if (!done) {
        fault_chain(signum, info, context, &before);
    }
    errno = saved;
}

int vr_fault_install(struct vr_error *err)
{
    struct sigaction ours = {.sa_sigaction = fault_handler, .sa_flags = SA_SIGINFO | SA_ONSTACK};
    sigemptyset(&ours.sa_mask);
    for (unsigned i = 0; i < VR_COUNT(fault_signals); i++) {
        /* What was there must be known before ours can run. */
        if (sigaction(fault_signals[i], NULL, &fault_before[i]) < 0 ||
            sigaction(fault_signals[i], &ours, NULL) < 0) {
            int r = -errno;
            while (i-- > 0) {
                sigaction(fault_signals[i], &fault_before[i], NULL);
            }
            return vr_err(err, r, "fault handler: %s", strerror(-r));
        }
    }
    return 0;
}

void vr_fault_uninstall(void)
{
    for (unsigned i = 0; i < VR_COUNT(fault_signals); i++) {
        struct sigaction now;
        if (sigaction(fault_signals[i], NULL, &now) == 0 && (now.sa_flags & SA_SIGINFO) &&
            now.sa_sigaction == fault_handler) {
            sigaction(fault_signals[i], &fault_before[i], NULL);
        }
    }
}
