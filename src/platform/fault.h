/*
 * Faults that instructions of this process raise (SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP): who
 * expects one looks at it first, and what nobody claims goes to whoever was there before.
 *
 * Dispositions belong to the process, so these functions do, too.
 */
#ifndef VR_PLATFORM_FAULT_H
#define VR_PLATFORM_FAULT_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct vr_fault {
    int signum;
    int code;         /* si_code */
    void *hva;        /* what was accessed, or the instruction */
    uintptr_t pc, sp; /* of the thread; the handler may change pc, where the processor is known */
    bool can_set_pc;  /* it is */
    void *ucontext;   /* ucontext_t of the host, for those who know it */
};

/* Look at @fault, in the faulting thread, on its alternate stack where it has one; only what is
 * async-signal-safe. True: dealt with, the thread goes on at fault->pc. */
typedef bool vr_fault_fn(void *opaque, struct vr_fault *fault);

enum { VR_FAULT_HANDLERS = 16 };

/* Ask @fn about every fault, before those that were added earlier. *ret_id names it. -ENOSPC: too
 * many; what sigaction(2) says. From any thread. */
int vr_fault_add(vr_fault_fn *fn, void *opaque, int *ret_id, struct vr_error *err) VR_MUST;
/* Not asked any more: on return no thread is in it (so not from a handler). With the last one, the
 * dispositions from before are back, unless somebody else has changed them since. */
void vr_fault_remove(int id);

/* An alternate stack of at least @len bytes, with a page below that faults, for the calling thread,
 * so that running out of stack can be dealt with. Give it back on the same thread. -EBUSY: it has
 * one; -ENOMEM. */
struct vr_fault_stack {
    void *hva;
    uint64_t len;
};
int vr_fault_stack_set(uint64_t len, struct vr_fault_stack *ret_stack,
                       struct vr_error *err) VR_MUST;
void vr_fault_stack_clear(struct vr_fault_stack *stack);

/* Per processor: where pc and sp are in a ucontext_t. False: not known. */
bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp);

#endif
