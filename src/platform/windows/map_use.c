/* Maps in use: advice, writing back, locking, nodes. MSDN PrefetchVirtualMemory, FlushViewOfFile,
 * VirtualLock, VirtualUnlock, SetProcessWorkingSetSize, QueryWorkingSetEx. */
#include "base/bits.h"
#include "platform/map.h"
#include "platform/windows/win.h"

#include <errno.h>
#include <psapi.h>

/* Private zeroes are given back and made anew, part by part, as each is protected; pages of a file
 * only leave this process's working set: the file has their bytes. */
static int use_forget(uint8_t *hva, size_t len, struct vr_error *err)
{
    MEMORY_BASIC_INFORMATION part;
    for (uint8_t *at = hva, *end = hva + len, *next; at < end; at = next) {
        if (!VirtualQuery(at, &part, sizeof(part)) || part.State != MEM_COMMIT) {
            return vr_err(err, -EINVAL, "map: nothing is mapped at %p", (void *)at);
        }
        next = (uint8_t *)part.BaseAddress + part.RegionSize;
        next = next < end ? next : end;
        size_t here = (size_t)(next - at);
        if (part.Type != MEM_PRIVATE) {
            VirtualUnlock(at, here); /* fails by design: "not locked" is how pages leave */
        } else if (!VirtualFree(at, here, MEM_DECOMMIT) ||
                   !VirtualAlloc(at, here, MEM_COMMIT, part.Protect)) {
            return vr_win_err(err, GetLastError(), "map: giving %zu bytes back", here);
        }
    }
    return 0;
}

static int use_prefetch(uint8_t *hva, size_t len, struct vr_error *err)
{
    WIN32_MEMORY_RANGE_ENTRY range = {.VirtualAddress = hva, .NumberOfBytes = len};
    if (len && !PrefetchVirtualMemory(GetCurrentProcess(), 1, &range, 0)) {
        return vr_win_err(err, GetLastError(), "map: reading %zu bytes ahead", len);
    }
    return 0;
}

int vireo_map_advise(const struct vireo_map *map, size_t off, size_t len, enum vireo_advice advice,
                     struct vr_error *err)
{
    static const char *const why[] = {
        [VIREO_ADVICE_RANDOM] = "Windows decides itself how far to read ahead",
        [VIREO_ADVICE_SEQUENTIAL] = "Windows decides itself how far to read ahead",
        [VIREO_ADVICE_HUGE] = "Windows does not join pages; map with large ones (huge_bytes)",
        [VIREO_ADVICE_NO_DUMP] = "what a crash dump has is Windows Error Reporting's to decide",
        [VIREO_ADVICE_MERGE] = "Windows combines equal pages by itself, where it is set to",
    };
    int r = vr_map_check_range(map, off, len, vr_win_page(), err);
    if (r < 0) {
        return r;
    }
    switch (advice) {
    case VIREO_ADVICE_NORMAL:
    case VIREO_ADVICE_NO_HUGE:
        return 0; /* so it always is */
    case VIREO_ADVICE_WILLNEED:
        return use_prefetch(map->hva + off, len, err);
    case VIREO_ADVICE_DONTNEED:
        return use_forget(map->hva + off, len, err);
    default:
        if ((unsigned)advice >= VR_COUNT(why)) {
            return vr_err(err, -EINVAL, "map: unknown advice %d", (int)advice);
        }
        return vr_err(err, -ENOTSUP, "map: advice %d: %s", (int)advice, why[advice]);
    }
}

int vireo_map_sync(const struct vireo_map *map, size_t off, size_t len, struct vr_error *err)
{
    int r = vr_map_check_range(map, off, len, vr_win_page(), err);
    if (r == 0 && len && !FlushViewOfFile(map->hva + off, len)) {
        return vr_win_err(err, GetLastError(), "map: writing to the file");
    }
    return r;
}

/* A process may lock little less than its smallest working set, which it can make larger. */
static bool use_lock(void *hva, size_t len)
{
    SIZE_T least, most;
    if (VirtualLock(hva, len)) {
        return true;
    }
    DWORD error = GetLastError();
    if (error == ERROR_WORKING_SET_QUOTA &&
        GetProcessWorkingSetSize(GetCurrentProcess(), &least, &most) && most + len > most &&
        SetProcessWorkingSetSize(GetCurrentProcess(), least + len, most + len) &&
        VirtualLock(hva, len)) {
        return true;
    }
    SetLastError(error);
    return false;
}

int vireo_map_lock(const struct vireo_map *map, size_t off, size_t len, bool lock,
                   struct vr_error *err)
{
    int r = vr_map_check_range(map, off, len, vr_win_page(), err);
    if (r < 0 || len == 0) {
        return r;
    }
    if (lock && !use_lock(map->hva + off, len)) {
        DWORD error = GetLastError();
        if (error == ERROR_WORKING_SET_QUOTA) {
            return vr_err(err, -ENOMEM,
                          "map: the host does not let us lock %zu bytes: the working set may not "
                          "grow so far (a job's limit, or the right \"Increase a process working "
                          "set\")",
                          len);
        }
        return vr_win_err(err, error, "map: locking %zu bytes", len);
    }
    if (!lock && !VirtualUnlock(map->hva + off, len) && GetLastError() != ERROR_NOT_LOCKED) {
        return vr_win_err(err, GetLastError(), "map: unlocking %zu bytes", len);
    }
    return 0;
}

int vireo_map_node(const struct vireo_map *map, size_t off, int *ret_node, struct vr_error *err)
{
    if (off >= map->len) {
        return vr_err(err, -ERANGE, "map: %zu does not lie in %zu", off, map->len);
    }
    PSAPI_WORKING_SET_EX_INFORMATION page = {.VirtualAddress = map->hva + off};
    if (!K32QueryWorkingSetEx(GetCurrentProcess(), &page, sizeof(page))) {
        return vr_win_err(err, GetLastError(), "map: where a page is");
    }
    if (!page.VirtualAttributes.Valid) {
        return vr_err(err, -ENOENT, "map: where a page is: it is not in memory");
    }
    *ret_node = (int)page.VirtualAttributes.Node;
    return 0;
}
