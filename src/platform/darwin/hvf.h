/* Darwin's hypervisor, as seen from outside: is it there, does it make machines? */
#ifndef VR_PLATFORM_DARWIN_HVF_H
#define VR_PLATFORM_DARWIN_HVF_H

#include "vireo/platform.h"

/* Make a machine and destroy it. @ret_hvf says how far that went. */
void vr_hvf_try(struct vireo_ability *ret_hvf);

#endif
