/* Where a Linux signal frame of this processor keeps pc and sp (sys/ucontext.h). */
#include "platform/fault.h"

#include <ucontext.h>

bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp)
{
    ucontext_t *uc = ucontext;
    *ret_pc = (uintptr_t *)&uc->uc_mcontext.gregs[REG_RIP];
    *ret_sp = (uintptr_t)uc->uc_mcontext.gregs[REG_RSP];
    return true;
}
