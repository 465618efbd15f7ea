/* A processor whose signal frames we do not know. */
#include "platform/fault.h"

bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp)
{
    (void)ucontext;
    *ret_pc = NULL;
    *ret_sp = 0;
    return false;
}
