/* The Windows Hypervisor Platform: is it there, does it run guests? Nothing links to it. */
#ifndef VR_PLATFORM_WIN_WHPX_H
#define VR_PLATFORM_WIN_WHPX_H

#include "vireo/platform.h"
#include <stddef.h>

/* Make a partition with one virtual processor and let it run a few instructions, for at most a
 * quarter of a second. @ret_whpx says how far that went. @dll: another library to ask, for tests;
 * NULL: the system's WinHvPlatform.dll. */
void vr_whpx_try(const wchar_t *dll, struct vireo_ability *ret_whpx);

#endif
