/* Alternate stacks by sigaltstack(2), which tvOS keeps from programs. */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#ifdef __APPLE__
#include <TargetConditionals.h>
#endif

#if defined(__APPLE__) && TARGET_OS_TV
int vireo_fault_stack_set(uint64_t len, struct vireo_fault_stack *ret_stack, struct vr_error *err)
{
    (void)len;
    (void)ret_stack;
    return vr_err(err, -ENOTSUP, "fault stack: tvOS gives programs none");
}

void vireo_fault_stack_clear(struct vireo_fault_stack *stack)
{
    vr_assert(!stack->hva);
}
#else
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
#endif
