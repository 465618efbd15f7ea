/* Where Darwin's signal frame keeps pc and sp (mach/arm/_structs.h). In arm64e programs they are
 * signed pointers that only the system's macros may change: not known there. */
#include "platform/fault.h"

#include <sys/ucontext.h>

bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp)
{
#if __DARWIN_OPAQUE_ARM_THREAD_STATE64
    (void)ucontext;
    *ret_pc = NULL;
    *ret_sp = 0;
    return false;
#else
    ucontext_t *uc = ucontext;
    *ret_pc = (uintptr_t *)&uc->uc_mcontext->__ss.__pc;
    *ret_sp = (uintptr_t)uc->uc_mcontext->__ss.__sp;
    return true;
#endif
}
