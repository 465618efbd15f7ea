/* Counters by perf_event_open(2), user mode only, which needs no rights up to
 * kernel.perf_event_paranoid 2. */
#include "platform/perf.h"
#include "base/bits.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const uint64_t perf_config[VR_PERF_EVENTS] = {
    [VR_PERF_CYCLES] = PERF_COUNT_HW_CPU_CYCLES,
    [VR_PERF_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
    [VR_PERF_CACHE_MISSES] = PERF_COUNT_HW_CACHE_MISSES,
    [VR_PERF_BRANCH_MISSES] = PERF_COUNT_HW_BRANCH_MISSES,
};

static int perf_open_one(uint64_t config)
{
    struct perf_event_attr attr = {
        .type = PERF_TYPE_HARDWARE,
        .size = sizeof(attr),
        .config = config,
        .read_format = PERF_FORMAT_TOTAL_TIME_ENABLED | PERF_FORMAT_TOTAL_TIME_RUNNING,
        .exclude_kernel = 1,
        .exclude_hv = 1,
    };
    long fd = syscall(SYS_perf_event_open, &attr, 0, -1, -1, (unsigned long)PERF_FLAG_FD_CLOEXEC);
    return fd < 0 ? -errno : (int)fd;
}

static int perf_why_not(int r, struct vr_error *err)
{
    switch (-r) {
    case ENOENT:
    case EOPNOTSUPP:
    case ENODEV:
        return vr_err(err, r,
                      "the host counts nothing in hardware (virtual machines often hide "
                      "the counters)");
    case EACCES:
    case EPERM:
        return vr_err(err, r,
                      "the host does not let this user count: needs "
                      "kernel.perf_event_paranoid <= 2 (sysctl) or CAP_PERFMON, and a "
                      "sandbox may forbid it");
    case ENOSYS:
        return vr_err(err, r,
                      "the host's kernel is built without perf events, or a sandbox "
                      "forbids them");
    default:
        return vr_err(err, r, "perf_event_open: %s", strerror(-r));
    }
}

int vr_perf_open(struct vr_perf *ret_perf, struct vr_error *err)
{
    struct vr_perf perf;
    int first = 0;
    bool any = false;
    for (unsigned i = 0; i < VR_PERF_EVENTS; i++) {
        perf.fds[i] = perf_open_one(perf_config[i]);
        if (perf.fds[i] < 0) {
            first = first ? first : perf.fds[i];
            perf.fds[i] = -1;
        } else {
            any = true;
        }
    }
    if (!any) {
        return perf_why_not(first, err);
    }
    *ret_perf = perf;
    return 0;
}

void vr_perf_close(struct vr_perf *perf)
{
    for (unsigned i = 0; i < VR_PERF_EVENTS; i++) {
        if (perf->fds[i] >= 0) {
            close(perf->fds[i]);
            perf->fds[i] = -1;
        }
    }
}

void vr_perf_read(const struct vr_perf *perf, struct vr_perf_counts *ret_counts)
{
    struct vr_perf_counts c = {.count = {0}};
    for (unsigned i = 0; i < VR_PERF_EVENTS; i++) {
        uint64_t v[3]; /* value, time enabled, time running */
        if (perf->fds[i] < 0 || read(perf->fds[i], v, sizeof(v)) != (ssize_t)sizeof(v) ||
            v[2] == 0) {
            continue;
        }
        c.counted[i] = true;
        c.count[i] = v[1] == v[2] ? v[0] : (uint64_t)((double)v[0] * (double)v[1] / (double)v[2]);
    }
    *ret_counts = c;
}
