/* Errors, text and versions of Windows. MSDN: "System Error Codes", FormatMessageW,
 * MultiByteToWideChar, GetSystemInfo. */
#include "platform/windows/win.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#ifndef ERROR_DYNAMIC_CODE_BLOCKED
#define ERROR_DYNAMIC_CODE_BLOCKED 1655
#endif

int vr_win_errno(DWORD error)
{
    static const struct {
        DWORD error;
        int code;
    } known[] = {
        {ERROR_FILE_NOT_FOUND, -ENOENT},
        {ERROR_PATH_NOT_FOUND, -ENOENT},
        {ERROR_INVALID_NAME, -ENOENT},
        {ERROR_BAD_NETPATH, -ENOENT},
        {ERROR_MOD_NOT_FOUND, -ENOENT},
        {ERROR_ACCESS_DENIED, -EACCES},
        {ERROR_WRITE_PROTECT, -EACCES},
        {ERROR_DYNAMIC_CODE_BLOCKED, -EACCES},
        {ERROR_PRIVILEGE_NOT_HELD, -EPERM},
        {ERROR_NOT_ENOUGH_MEMORY, -ENOMEM},
        {ERROR_OUTOFMEMORY, -ENOMEM},
        {ERROR_COMMITMENT_LIMIT, -ENOMEM},
        {ERROR_COMMITMENT_MINIMUM, -ENOMEM},
        {ERROR_NO_SYSTEM_RESOURCES, -ENOMEM},
        {ERROR_WORKING_SET_QUOTA, -ENOMEM},
        {ERROR_NOT_ENOUGH_QUOTA, -ENOMEM},
        {ERROR_PAGEFILE_QUOTA, -ENOMEM},
        {ERROR_TOO_MANY_OPEN_FILES, -EMFILE},
        {ERROR_INVALID_HANDLE, -EBADF},
        {ERROR_INVALID_PARAMETER, -EINVAL},
        {ERROR_INVALID_ADDRESS, -EINVAL},
        {ERROR_FILE_INVALID, -EINVAL},
        {ERROR_SHARING_VIOLATION, -EBUSY},
        {ERROR_LOCK_VIOLATION, -EBUSY},
        {ERROR_USER_MAPPED_FILE, -EBUSY},
        {ERROR_BUSY, -EBUSY},
        {ERROR_FILE_EXISTS, -EEXIST},
        {ERROR_ALREADY_EXISTS, -EEXIST},
        {ERROR_DISK_FULL, -ENOSPC},
        {ERROR_HANDLE_DISK_FULL, -ENOSPC},
        {ERROR_FILE_TOO_LARGE, -EFBIG},
        {ERROR_FILENAME_EXCED_RANGE, -ENAMETOOLONG},
        {ERROR_DIRECTORY, -ENOTDIR},
        {ERROR_NOT_SUPPORTED, -ENOTSUP},
        {ERROR_CALL_NOT_IMPLEMENTED, -ENOTSUP},
        {ERROR_INVALID_FUNCTION, -ENOTSUP},
        {ERROR_MAX_THRDS_REACHED, -EAGAIN},
    };
    for (unsigned i = 0; i < VR_COUNT(known); i++) {
        if (known[i].error == error) {
            return known[i].code;
        }
    }
    return -EIO;
}

/* Without the line end and full stop that Windows puts behind them. */
static void win_words(DWORD error, char *ret_text, size_t size)
{
    wchar_t wide[160];
    DWORD n = FormatMessageW(FORMAT_MESSAGE_FROM_SYSTEM | FORMAT_MESSAGE_IGNORE_INSERTS |
                                 FORMAT_MESSAGE_MAX_WIDTH_MASK,
                             NULL, error, 0, wide, VR_COUNT(wide), NULL);
    wide[n < VR_COUNT(wide) ? n : 0] = 0;
    while (n && wcschr(L" .\r\n", wide[n - 1])) {
        wide[--n] = 0;
    }
    vr_win_utf8(wide, ret_text, size);
}

int vr_win_err(struct vr_error *err, DWORD error, const char *fmt, ...)
{
    char what[sizeof(err->msg)], words[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    win_words(error, words, sizeof(words));
    return vr_err(err, vr_win_errno(error), "%s: %s (Windows error %lu)", what,
                  words[0] ? words : "no words for it", error);
}

int vr_win_wide(const char *text, wchar_t **ret_wide)
{
    int n = MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, NULL, 0);
    if (n <= 0) {
        return -EILSEQ;
    }
    wchar_t *wide = vr_zalloc_array((size_t)n, sizeof(*wide));
    if (!wide) {
        return -ENOMEM;
    }
    MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text, -1, wide, n);
    *ret_wide = wide;
    return 0;
}

void vr_win_utf8(const wchar_t *wide, char *ret_text, size_t size)
{
    size_t at = 0;
    while (*wide) {
        int units = IS_HIGH_SURROGATE(wide[0]) && IS_LOW_SURROGATE(wide[1]) ? 2 : 1;
        char one[8];
        int n = WideCharToMultiByte(CP_UTF8, 0, wide, units, one, sizeof(one), NULL, NULL);
        if (n <= 0 || at + (size_t)n >= size) {
            break;
        }
        memcpy(ret_text + at, one, (size_t)n);
        at += (size_t)n;
        wide += units;
    }
    ret_text[at] = 0;
}

void (*vr_win_proc(const wchar_t *dll, const char *name))(void)
{
    HMODULE module = GetModuleHandleW(dll);
    return module ? (void (*)(void))GetProcAddress(module, name) : NULL;
}

uint64_t vr_win_page(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwPageSize;
}

uint64_t vr_win_granule(void)
{
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return info.dwAllocationGranularity;
}
