/*
 * Counters of a thread: Windows shows programs one, the cycles that its processors spent on it,
 * user and kernel mode together (MSDN QueryThreadCycleTime). The hardware's other counters are for
 * drivers and administrators' traces.
 */
#include "base/alloc.h"
#include "platform/windows/win.h"
#include "vireo/host_counters.h"

#include <errno.h>

struct vireo_counters {
    HANDLE thread;
    uint64_t start;
};

int vireo_counters_open(struct vireo_counters **ret_counters, struct vr_error *err)
{
    ULONG64 now = 0;
    if (!QueryThreadCycleTime(GetCurrentThread(), &now)) {
        return vr_err(err, -EOPNOTSUPP,
                      "counters: this host does not count the cycles of a thread "
                      "(QueryThreadCycleTime: Windows error %lu)",
                      GetLastError());
    }
    struct vireo_counters *c = vr_zalloc(sizeof(*c));
    if (!c) {
        return vr_err(err, -ENOMEM, "counters: no memory");
    }
    c->thread = OpenThread(THREAD_QUERY_LIMITED_INFORMATION, FALSE, GetCurrentThreadId());
    if (!c->thread) {
        DWORD error = GetLastError();
        free(c);
        return vr_win_err(err, error, "counters: this thread");
    }
    c->start = now;
    *ret_counters = c;
    return 0;
}

void vireo_counters_close(struct vireo_counters *counters)
{
    if (counters) {
        CloseHandle(counters->thread);
        free(counters);
    }
}

void vireo_counters_read(const struct vireo_counters *counters, struct vireo_counts *ret_counts)
{
    ULONG64 now = 0;
    *ret_counts = (struct vireo_counts){.counted = {false}};
    if (QueryThreadCycleTime(counters->thread, &now)) {
        ret_counts->counted[VIREO_COUNT_CYCLES] = true;
        ret_counts->count[VIREO_COUNT_CYCLES] = now - counters->start;
    }
}
