/* Affinity by the bare sched_setaffinity(2), whose masks may be of any size; priorities by
 * sched_setscheduler(2) and setpriority(2), which on Linux are a thread's (credentials(7)). */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "platform/host.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <sched.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

int vireo_place_self(const struct vireo_cpuset *set, struct vr_error *err)
{
    if (vireo_cpuset_count(set) == 0) {
        return vr_err(err, -EINVAL, "affinity: the set of processors is empty");
    }
    if (syscall(SYS_sched_setaffinity, 0, (size_t)set->words * 8, set->bits) < 0) {
        char list[64];
        int r = -errno;
        vireo_cpuset_format(set, list, sizeof(list));
        return vr_err(err, r, "affinity: processors %s: %s", list,
                      r == -EINVAL ? "none of them is online and allowed to this process"
                                   : strerror(-r));
    }
    return 0;
}

/* CFS and EEVDF: @nice -20 .. 19. */
static int priority_nice(int nice, struct vr_error *err)
{
    struct sched_param none = {.sched_priority = 0};
    if (syscall(SYS_sched_setscheduler, 0, SCHED_OTHER, &none) < 0 ||
        setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), nice) < 0) {
        int r = -errno;
        struct rlimit limit = {0};
        getrlimit(RLIMIT_NICE, &limit);
        return vr_err(err, r,
                      r == -EPERM || r == -EACCES
                          ? "priority: nice %d is not allowed: needs CAP_SYS_NICE, or a limit "
                            "(ulimit -e, LimitNICE=) of %d; it is %llu"
                          : "priority: nice %d is refused (limit would be %d, is %llu)",
                      nice, 20 - nice, (unsigned long long)limit.rlim_cur);
    }
    return 0;
}

static int priority_realtime(struct vr_error *err)
{
    struct rlimit limit = {0};
    /* Above what waits, below the kernel's own threads (50). */
    struct sched_param param = {.sched_priority = 10};
    if (syscall(SYS_sched_setscheduler, 0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param) == 0) {
        return 0;
    }
    int r = -errno;
    getrlimit(RLIMIT_RTPRIO, &limit);
    if (r == -EPERM) {
        return vr_err(err, r,
                      "priority: realtime is not allowed: needs CAP_SYS_NICE, or a limit (ulimit "
                      "-r, LimitRTPRIO=) of 10, which is %llu, and a cgroup with realtime budget",
                      (unsigned long long)limit.rlim_cur);
    }
    return vr_err(err, r, "priority: realtime: %s", strerror(-r));
}

int vireo_priority_self(enum vireo_priority priority, struct vr_error *err)
{
    switch (priority) {
    case VIREO_PRIORITY_LOW:
        return priority_nice(10, err);
    case VIREO_PRIORITY_NORMAL:
        return priority_nice(0, err);
    case VIREO_PRIORITY_HIGH:
        return priority_nice(-10, err);
    case VIREO_PRIORITY_REALTIME:
        return priority_realtime(err);
    default:
        return vr_err(err, -EINVAL, "priority: unknown: %d", (int)priority);
    }
}
