/* What each system tries for vireo_platform_caps. */
#ifndef VR_PLATFORM_CAPS_H
#define VR_PLATFORM_CAPS_H

#include "vireo/platform.h"

/* Fill @caps but for counters, jit and the summary: hypervisors, io_uring, protection keys; what
 * another system has is not present, and says whose it is. */
void vr_caps_host(struct vireo_caps *caps);

#endif
