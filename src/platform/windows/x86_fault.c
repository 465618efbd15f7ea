/* Where a CONTEXT of x86-64 keeps pc and sp (winnt.h). */
#include "platform/fault.h"
#include "platform/windows/win.h"

bool vr_fault_context(void *context, uintptr_t **ret_pc, uintptr_t *ret_sp)
{
    CONTEXT *c = context;
    *ret_pc = (uintptr_t *)&c->Rip;
    *ret_sp = (uintptr_t)c->Rsp;
    return true;
}
