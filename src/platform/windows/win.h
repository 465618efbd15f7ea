/* What the Windows files share: errors, UTF-16, handles as descriptors. */
#ifndef VR_PLATFORM_WIN_H
#define VR_PLATFORM_WIN_H

#define WIN32_LEAN_AND_MEAN
#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <windows.h>

/* The negative errno that comes nearest to an error of GetLastError(). */
int vr_win_errno(DWORD error);
/* Fill @err with the text, ": " and Windows' own words for @error; returns vr_win_errno(@error). */
int vr_win_err(struct vr_error *err, DWORD error, const char *fmt, ...) VR_PRINTF(3, 4) VR_COLD;

/* UTF-8 to a UTF-16 string for free(3). -EILSEQ: no UTF-8; -ENOMEM. */
int vr_win_wide(const char *text, wchar_t **ret_wide) VR_MUST;
/* UTF-16 to UTF-8, cut to whole characters that fit @size with the NUL; what is no UTF-16 becomes
 * U+FFFD. */
void vr_win_utf8(const wchar_t *wide, char *ret_text, size_t size);

/* A function that older Windows (or Wine) does not have, of a DLL that every process has loaded;
 * NULL: it is not there. Cast it to its type through void (*)(void). */
void (*vr_win_proc(const wchar_t *dll, const char *name))(void);

/* In Vireo's interfaces a descriptor is an int, and holds a HANDLE here: only its low 32 bits are
 * significant ("Interprocess Communication Between 32-bit and 64-bit Applications"), and none is
 * negative but INVALID_HANDLE_VALUE and the pseudo handles. */
static inline HANDLE vr_win_handle(int fd)
{
    return (HANDLE)(intptr_t)fd;
}

static inline int vr_win_fd(HANDLE handle)
{
    return (int)(intptr_t)handle;
}

/* Switch on a right of this process, like L"SeLockMemoryPrivilege"; false: its account does not
 * hold it. */
bool vr_win_privilege(const wchar_t *name);

uint64_t vr_win_page(void); /* bytes */
/* Addresses at which maps begin, and offsets of files in them, are multiples of this: 64 KiB. */
uint64_t vr_win_granule(void);

#endif
