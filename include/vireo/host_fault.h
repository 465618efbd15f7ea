/*
 * Faults that instructions of this process raise: who expects one looks at it first, and what
 * nobody claims goes to whoever was there before (an earlier handler, or the host's default, which
 * ends the process as if we had not been there).
 *
 * And the requests by which a user, a terminal or a service manager ends a program.
 *
 * Handlers belong to the process, and so do these functions: a library that uses them should say so
 * to its own users.
 *
 * Source on POSIX hosts: sigaction(2), sigaltstack(2), sigwait(3).
 */
#ifndef VIREO_HOST_FAULT_H
#define VIREO_HOST_FAULT_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

enum vireo_fault_kind {
    VIREO_FAULT_ACCESS,     /* memory that is not there, or not for this use (SIGSEGV) */
    VIREO_FAULT_BUS,        /* memory that the host cannot provide, or badly aligned (SIGBUS) */
    VIREO_FAULT_ILLEGAL,    /* no such instruction (SIGILL) */
    VIREO_FAULT_ARITHMETIC, /* a division by zero and the like (SIGFPE) */
    VIREO_FAULT_TRAP,       /* a breakpoint or a single step (SIGTRAP) */
    VIREO_FAULT_ABORT,      /* abort(3), or SIGABRT sent: to be seen, not to be dealt with */
};

struct vireo_fault {
    enum vireo_fault_kind kind;
    int host_number, host_code; /* POSIX: signal and si_code */
    void *hva;                  /* what was accessed, or the instruction */
    uintptr_t pc, sp;           /* of the thread; the handler may change pc, when @can_set_pc */
    bool can_set_pc;            /* pc and sp are known */
    void *host_context;         /* POSIX: ucontext_t, for those who know it */
};

/* Look at @fault, in the faulting thread, on its alternate stack where it has one; only what is
 * async-signal-safe. True: dealt with, the thread goes on at fault->pc. */
typedef bool vireo_fault_fn(void *opaque, struct vireo_fault *fault);

enum { VIREO_FAULT_HANDLERS = 16 };

/* Ask @fn about every fault, before those that were added earlier. *ret_id names it. -ENOSPC: too
 * many; what the host says. From any thread. */
VIREO_API int vireo_fault_add(vireo_fault_fn *fn, void *opaque, int *ret_id,
                              struct vr_error *err) VIREO_MUST;
/* Not asked any more: on return no thread is in it (so not from a handler). With the last one, the
 * handlers from before are back, unless somebody else has changed them since. */
VIREO_API void vireo_fault_remove(int id);

/* An alternate stack of at least @len bytes, with a page below that faults, for the calling thread,
 * so that running out of stack can be dealt with. Give it back on the same thread. -EBUSY: it has
 * one; -ENOMEM; -ENOTSUP: not on this host (tvOS). */
struct vireo_fault_stack {
    void *hva;
    uint64_t len;
};
VIREO_API int vireo_fault_stack_set(uint64_t len, struct vireo_fault_stack *ret_stack,
                                    struct vr_error *err) VIREO_MUST;
VIREO_API void vireo_fault_stack_clear(struct vireo_fault_stack *stack);

/* ---- Being asked to end -------------------------------------------------------------------- */

struct vireo_endsig;

/*
 * For programs: hold back SIGINT, SIGTERM, SIGHUP and SIGQUIT in the calling thread (and so in
 * those it creates later; call it before any other thread is there), and call fn(opaque, signum)
 * for each that arrives, on a thread of its own. Those that the process was told to ignore (nohup)
 * stay ignored. SIGPIPE is ignored from now on. -ENOMEM, -EAGAIN.
 */
VIREO_API int vireo_endsig_start(void (*fn)(void *opaque, int signum), void *opaque,
                                 struct vireo_endsig **ret_sig, struct vr_error *err) VIREO_MUST;
/* fn is not called any more; the signals stay held back. NULL is fine. Not from fn. */
VIREO_API void vireo_endsig_stop(struct vireo_endsig *sig);
/* Die of @signum, so that whoever waits for us sees it. Does not return. */
VIREO_API void vireo_endsig_die(int signum) __attribute__((noreturn));

#ifdef __cplusplus
}
#endif

#endif
