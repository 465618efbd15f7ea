/* What vireo/host_fault.h asks of each system and processor. */
#ifndef VR_PLATFORM_FAULT_H
#define VR_PLATFORM_FAULT_H

#include "base/err.h"
#include "vireo/host_fault.h"
#include <stdbool.h>
#include <stdint.h>

/* Where pc and sp are in a ucontext_t. False: not known. */
bool vr_fault_context(void *ucontext, uintptr_t **ret_pc, uintptr_t *ret_sp);

/* For the system's handler: ask those who were added, the latest first. True: one dealt with it. */
bool vr_fault_ask(struct vireo_fault *fault);
/* Around what else the system's handler reads that install and uninstall write; may be nested. */
void vr_fault_enter(void);
void vr_fault_leave(void);
/* Put the system's handler in place, and take it away again unless somebody else has replaced it;
 * one call at a time. */
int vr_fault_install(struct vr_error *err) VR_MUST;
void vr_fault_uninstall(void);

#endif
