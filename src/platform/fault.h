/* What vireo/host_fault.h asks of each processor. */
#ifndef VR_PLATFORM_FAULT_H
#define VR_PLATFORM_FAULT_H

#include <stdbool.h>
#include <stdint.h>

/* Where pc and sp are in a ucontext_t. False: not known. */
bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp);

#endif
