/* What the host allows this process. */
#ifndef VR_PLATFORM_LIMITS_H
#define VR_PLATFORM_LIMITS_H

#include <stdint.h>

uint64_t vr_descriptor_limit(void); /* open files at a time; UINT64_MAX: no limit */
/* Raise it as far as this process may. For a program, which owns the process: not for a library. */
void vr_descriptor_limit_raise(void);

#endif
