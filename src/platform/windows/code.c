/*
 * Code memory by one section with two views (MSDN CreateFileMappingW, MapViewOfFile): one to write,
 * one to run. The section itself may be either; no view is both. Programs under "arbitrary code
 * guard" (SetProcessMitigationPolicy, ProcessDynamicCodePolicy) may make no code at all.
 */
#include "vireo/host_code.h"

#include "base/bits.h"
#include "platform/windows/win.h"

#include <errno.h>

static int code_refused(DWORD error, size_t len, struct vr_error *err)
{
    int r = vr_win_errno(error);
    if (r == -EACCES) {
        return vr_err(err, r,
                      "code memory: this process may make no code: its dynamic code policy "
                      "(arbitrary code guard) forbids it; lift it for this program (Set-"
                      "ProcessMitigation -Disable DynamicCode)");
    }
    return vr_win_err(err, error, "code memory: %zu bytes", len);
}

int vireo_jitmem_create(size_t len, struct vireo_jitmem *ret_mem, struct vr_error *err)
{
    uint64_t whole;
    if (len == 0) {
        return vr_err(err, -EINVAL, "code memory: the size is 0");
    }
    if (!vr_align_up_ok(len, vr_win_page(), &whole) || whole > INT64_MAX) {
        return vr_err(err, -ENOMEM, "code memory: %zu bytes are more than any host has", len);
    }
    HANDLE section = CreateFileMappingW(INVALID_HANDLE_VALUE, NULL, PAGE_EXECUTE_READWRITE,
                                        (DWORD)(whole >> 32), (DWORD)whole, NULL);
    if (!section) {
        return code_refused(GetLastError(), len, err);
    }
    struct vireo_jitmem mem = {.len = (size_t)whole};
    mem.rw = MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, mem.len);
    mem.rx =
        mem.rw ? MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_EXECUTE, 0, 0, mem.len) : NULL;
    DWORD error = GetLastError();
    CloseHandle(section); /* the views keep it */
    if (!mem.rx) {
        vireo_jitmem_destroy(&mem);
        return code_refused(error, len, err);
    }
    *ret_mem = mem;
    return 0;
}

void vireo_jitmem_destroy(struct vireo_jitmem *mem)
{
    if (mem->rw) {
        UnmapViewOfFile(mem->rw);
    }
    if (mem->rx) {
        UnmapViewOfFile(mem->rx);
    }
    *mem = (struct vireo_jitmem){.rw = NULL};
}
