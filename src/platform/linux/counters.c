/* Counters by perf_event_open(2), user mode only, which needs no rights up to
 * kernel.perf_event_paranoid 2. */
#include "base/alloc.h"
#include "base/err.h"
#include "vireo/host_counters.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

struct vireo_counters {
    int fds[VIREO_COUNT_EVENTS]; /* -1: not counted */
};

static const uint64_t counters_config[VIREO_COUNT_EVENTS] = {
    [VIREO_COUNT_CYCLES] = PERF_COUNT_HW_CPU_CYCLES,
    [VIREO_COUNT_INSTRUCTIONS] = PERF_COUNT_HW_INSTRUCTIONS,
    [VIREO_COUNT_CACHE_MISSES] = PERF_COUNT_HW_CACHE_MISSES,
    [VIREO_COUNT_BRANCH_MISSES] = PERF_COUNT_HW_BRANCH_MISSES,
};

static int counters_open_one(uint64_t config)
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

static int counters_why_not(int r, struct vr_error *err)
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

int vireo_counters_open(struct vireo_counters **ret_counters, struct vr_error *err)
{
    struct vireo_counters *c = vr_zalloc(sizeof(*c));
    int first = 0;
    bool any = false;
    if (!c) {
        return vr_err(err, -ENOMEM, "counters: no memory");
    }
    for (unsigned i = 0; i < VIREO_COUNT_EVENTS; i++) {
        c->fds[i] = counters_open_one(counters_config[i]);
        if (c->fds[i] < 0) {
            first = first ? first : c->fds[i];
            c->fds[i] = -1;
        } else {
            any = true;
        }
    }
    if (!any) {
        free(c);
        return counters_why_not(first, err);
    }
    *ret_counters = c;
    return 0;
}

void vireo_counters_close(struct vireo_counters *counters)
{
    if (!counters) {
        return;
    }
    for (unsigned i = 0; i < VIREO_COUNT_EVENTS; i++) {
        if (counters->fds[i] >= 0) {
            close(counters->fds[i]);
        }
    }
    free(counters);
}

void vireo_counters_read(const struct vireo_counters *counters, struct vireo_counts *ret_counts)
{
    struct vireo_counts c = {.count = {0}};
    for (unsigned i = 0; i < VIREO_COUNT_EVENTS; i++) {
        uint64_t v[3]; /* value, time enabled, time running */
        if (counters->fds[i] < 0 || read(counters->fds[i], v, sizeof(v)) != (ssize_t)sizeof(v) ||
            v[2] == 0) {
            continue;
        }
        c.counted[i] = true;
        c.count[i] = v[1] == v[2] ? v[0] : (uint64_t)((double)v[0] * (double)v[1] / (double)v[2]);
    }
    *ret_counts = c;
}
