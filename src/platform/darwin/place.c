/*
 * Darwin lets no thread choose its processors: thread_policy_set() of Mach has affinity tags
 * (mach/thread_policy.h), which are hints about sharing a cache, and none on Apple's processors.
 * What programs say instead is how urgent a thread's work is: pthread_set_qos_class_self_np(3),
 * from which the kernel chooses kinds of cores, too; and time constraints for realtime.
 */
#include "base/bits.h"
#include "base/err.h"
#include "platform/darwin/sysctl.h"
#include "platform/host.h"

#include <errno.h>
#include <mach/mach.h>
#include <mach/mach_time.h>
#include <mach/thread_policy.h>
#include <pthread.h>
#include <string.h>
#include <sys/qos.h>

int vr_host_affinity(struct vireo_cpuset *ret_set)
{
    struct vireo_cpuset set = {.bits = NULL};
    uint32_t count = vr_sysctl_u32("hw.logicalcpu");
    int r = count ? 0 : -ENODATA;
    for (uint32_t i = 0; i < count && r == 0; i++) {
        r = vireo_cpuset_add(&set, i);
    }
    if (r < 0) {
        vireo_cpuset_fini(&set);
        return r;
    }
    *ret_set = set;
    return 0;
}

int vireo_place_self(const struct vireo_cpuset *set, struct vr_error *err)
{
    struct vireo_cpuset all;
    uint32_t inside = 0;
    if (vireo_cpuset_count(set) == 0) {
        return vr_err(err, -EINVAL, "affinity: the set of processors is empty");
    }
    int r = vireo_place_get(&all, err);
    if (r < 0) {
        return r;
    }
    uint32_t count = vireo_cpuset_count(&all);
    for (uint32_t cpu = vireo_cpuset_next(&all, 0); cpu != UINT32_MAX;
         cpu = vireo_cpuset_next(&all, cpu + 1)) {
        inside += vireo_cpuset_has(set, cpu);
    }
    vireo_cpuset_fini(&all);
    if (inside == 0) {
        char list[64];
        vireo_cpuset_format(set, list, sizeof(list));
        return vr_err(err, -EINVAL, "affinity: processors %s: this host has none of them", list);
    }
    if (inside < count) {
        return vr_err(err, -ENOTSUP,
                      "affinity: %s lets no thread choose among its processors; say how urgent "
                      "its work is (vireo_priority_self), and the kernel chooses kinds of cores",
                      vireo_os_name(vireo_host_os()));
    }
    return 0; /* all of them: as it is */
}

static int priority_qos(qos_class_t qos, struct vr_error *err)
{
    /* Back from realtime, should it be there; a thread that never was is not changed by this. */
    thread_standard_policy_data_t standard = {.no_data = 0};
    (void)thread_policy_set(pthread_mach_thread_np(pthread_self()), THREAD_STANDARD_POLICY,
                            (thread_policy_t)&standard, THREAD_STANDARD_POLICY_COUNT);
    int r = pthread_set_qos_class_self_np(qos, 0);
    if (r == EPERM) {
        return vr_err(err, -EPERM,
                      "priority: this thread has left the classes of service for good, by "
                      "pthread_setschedparam or realtime; make a new one");
    }
    return r ? vr_err(err, -r, "priority: %s", strerror(r)) : 0;
}

/* 1 ms of computing in each 10 ms, done within 5 ms: enough for a timer or a sound queue. A thread
 * that takes more is ranked as an ordinary one by the kernel. */
static int priority_realtime(struct vr_error *err)
{
    mach_timebase_info_data_t base;
    if (mach_timebase_info(&base) != KERN_SUCCESS || base.numer == 0) {
        return vr_err(err, -EIO, "priority: realtime: the host's clock has no scale");
    }
    uint64_t ms = UINT64_C(1000000) * base.denom / base.numer;
    thread_time_constraint_policy_data_t policy = {.period = (uint32_t)(10 * ms),
                                                   .computation = (uint32_t)ms,
                                                   .constraint = (uint32_t)(5 * ms),
                                                   .preemptible = TRUE};
    kern_return_t r =
        thread_policy_set(pthread_mach_thread_np(pthread_self()), THREAD_TIME_CONSTRAINT_POLICY,
                          (thread_policy_t)&policy, THREAD_TIME_CONSTRAINT_POLICY_COUNT);
    if (r != KERN_SUCCESS) {
        return vr_err(err, -EPERM, "priority: realtime: %s", mach_error_string(r));
    }
    return 0;
}

int vireo_priority_self(enum vireo_priority priority, struct vr_error *err)
{
    switch (priority) {
    case VIREO_PRIORITY_LOW:
        return priority_qos(QOS_CLASS_UTILITY, err);
    case VIREO_PRIORITY_NORMAL:
        return priority_qos(QOS_CLASS_DEFAULT, err);
    case VIREO_PRIORITY_HIGH:
        return priority_qos(QOS_CLASS_USER_INTERACTIVE, err);
    case VIREO_PRIORITY_REALTIME:
        return priority_realtime(err);
    default:
        return vr_err(err, -EINVAL, "priority: unknown: %d", (int)priority);
    }
}
