/* Threads, as Darwin has them: names, latency (mach/thread_policy.h), CPU time (thread_info of
 * Mach), and conditions, which wait for a duration: no clock can be chosen. */
#include "base/err.h"
#include "platform/lock.h"
#include "platform/thread_posix.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <mach/mach.h>
#include <mach/thread_policy.h>

void vr_thread_set_name(const char *name)
{
    pthread_setname_np(name);
}

uint64_t vireo_thread_host_id(void)
{
    uint64_t id = 0;
    (void)pthread_threadid_np(NULL, &id);
    return id;
}

void vireo_thread_be_punctual(void)
{
    /* The host joins timers that lie close together unless a thread is of the first tier. */
    thread_latency_qos_policy_data_t policy = {.thread_latency_qos_tier = LATENCY_QOS_TIER_0};
    (void)thread_policy_set(pthread_mach_thread_np(pthread_self()), THREAD_LATENCY_QOS_POLICY,
                            (thread_policy_t)&policy, THREAD_LATENCY_QOS_POLICY_COUNT);
}

uint64_t vireo_thread_cpu_ns(const struct vireo_thread *thread)
{
    thread_basic_info_data_t info;
    mach_msg_type_number_t count = THREAD_BASIC_INFO_COUNT;
    if (thread_info(pthread_mach_thread_np(thread->id), THREAD_BASIC_INFO, (thread_info_t)&info,
                    &count) != KERN_SUCCESS) {
        return UINT64_MAX;
    }
    return ((uint64_t)info.user_time.seconds + (uint64_t)info.system_time.seconds) * 1000000000u +
           ((uint64_t)info.user_time.microseconds + (uint64_t)info.system_time.microseconds) *
               1000u;
}

void vr_cond_init(struct vr_cond *cond)
{
    vr_assert(pthread_cond_init(&cond->c, NULL) == 0);
}

bool vr_cond_wait_until(struct vr_cond *cond, struct vr_mutex *mutex, uint64_t until_ns)
{
    uint64_t now = vireo_monotonic_ns(), left = until_ns > now ? until_ns - now : 0;
    struct timespec ts = {
        .tv_sec = (time_t)(left / 1000000000u),
        .tv_nsec = (long)(left % 1000000000u),
    };
    int r = pthread_cond_timedwait_relative_np(&cond->c, &mutex->m, &ts);
    vr_assert(r == 0 || r == ETIMEDOUT);
    return r == 0;
}
