/*
 * Affinity and priority of threads (MSDN "Processor Groups", SetThreadGroupAffinity,
 * SetThreadSelectedCpuSetMasks, "Scheduling Priorities").
 *
 * Windows numbers processors inside groups of up to 64; ours are 64 * group + number. One thread
 * runs in one group, unless the host (Windows 11, Server 2022) takes several masks.
 */
#include "base/bits.h"
#include "platform/host.h"
#include "platform/windows/win.h"
#include "vireo/host_thread.h"

#include <errno.h>

enum { PLACE_GROUPS = 64 };

/* The masks of @set, a group each; returns how many there are. */
static USHORT place_masks(const struct vireo_cpuset *set, GROUP_AFFINITY masks[PLACE_GROUPS])
{
    USHORT count = 0;
    for (uint32_t i = 0; i < set->words && i < PLACE_GROUPS; i++) {
        /* Numbers that no processor has are no error beside others, as on every host. */
        DWORD active = GetActiveProcessorCount((WORD)i);
        KAFFINITY mask = set->bits[i] & vr_mask(active);
        if (mask) {
            masks[count++] = (GROUP_AFFINITY){.Mask = mask, .Group = (WORD)i};
        }
    }
    return count;
}

static int place_many(GROUP_AFFINITY *masks, USHORT count, struct vr_error *err)
{
    typedef BOOL(WINAPI * select_fn)(HANDLE, PGROUP_AFFINITY, USHORT);
    select_fn select = (select_fn)vr_win_proc(L"kernel32.dll", "SetThreadSelectedCpuSetMasks");
    if (!select) {
        return vr_err(err, -ENOTSUP,
                      "affinity: processors of %u groups of 64: this Windows runs a thread in one "
                      "group; choose processors of one",
                      count);
    }
    return select(GetCurrentThread(), masks, count)
               ? 0
               : vr_win_err(err, GetLastError(), "affinity: processors of %u groups", count);
}

int vireo_place_self(const struct vireo_cpuset *set, struct vr_error *err)
{
    GROUP_AFFINITY masks[PLACE_GROUPS];
    USHORT count = place_masks(set, masks);
    char list[64];
    if (vireo_cpuset_count(set) == 0) {
        return vr_err(err, -EINVAL, "affinity: the set of processors is empty");
    }
    if (count > 1) {
        return place_many(masks, count, err);
    }
    if (count == 1 && SetThreadGroupAffinity(GetCurrentThread(), &masks[0], NULL)) {
        return 0;
    }
    DWORD error = count ? GetLastError() : ERROR_INVALID_PARAMETER;
    vireo_cpuset_format(set, list, sizeof(list));
    if (error == ERROR_INVALID_PARAMETER) {
        return vr_err(err, -EINVAL,
                      "affinity: processors %s: none of them is online and allowed to this process",
                      list);
    }
    return vr_win_err(err, error, "affinity: processors %s", list);
}

int vr_host_affinity(struct vireo_cpuset *ret_set)
{
    GROUP_AFFINITY mask;
    struct vireo_cpuset set = {.bits = NULL};
    if (!GetThreadGroupAffinity(GetCurrentThread(), &mask)) {
        return vr_win_errno(GetLastError());
    }
    for (uint32_t i = 0; i < 64; i++) {
        int r = mask.Mask >> i & 1 ? vireo_cpuset_add(&set, 64u * mask.Group + i) : 0;
        if (r < 0) {
            vireo_cpuset_fini(&set);
            return r;
        }
    }
    *ret_set = set;
    return 0;
}

int vireo_priority_self(enum vireo_priority priority, struct vr_error *err)
{
    static const int host[] = {
        [VIREO_PRIORITY_LOW] = THREAD_PRIORITY_LOWEST,
        [VIREO_PRIORITY_NORMAL] = THREAD_PRIORITY_NORMAL,
        [VIREO_PRIORITY_HIGH] = THREAD_PRIORITY_HIGHEST,
        [VIREO_PRIORITY_REALTIME] = THREAD_PRIORITY_TIME_CRITICAL,
    };
    if ((unsigned)priority >= VR_COUNT(host)) {
        return vr_err(err, -EINVAL, "priority: unknown: %d", (int)priority);
    }
    /* Time-critical threads of other classes still share their processor with the system's. */
    if (priority == VIREO_PRIORITY_REALTIME &&
        GetPriorityClass(GetCurrentProcess()) != REALTIME_PRIORITY_CLASS) {
        return vr_err(err, -EPERM,
                      "priority: realtime is not allowed: Windows gives it to whole processes; "
                      "start this one so (start /realtime), with the right \"Increase scheduling "
                      "priority\" (SeIncreaseBasePriorityPrivilege)");
    }
    return SetThreadPriority(GetCurrentThread(), host[priority])
               ? 0
               : vr_win_err(err, GetLastError(), "priority %d", host[priority]);
}
