/* Where Darwin's signal frame keeps pc and sp (mach/i386/_structs.h). */
#include "platform/fault.h"

#include <sys/ucontext.h>

bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp)
{
    ucontext_t *uc = ucontext;
    *ret_pc = (uintptr_t *)&uc->uc_mcontext->__ss.__rip;
    *ret_sp = (uintptr_t)uc->uc_mcontext->__ss.__rsp;
    return true;
}
