/* Threads, as Linux has them: names, timer slack (prctl(2)), CPU clocks, and conditions that wait
 * on the monotonic clock. */
#include "base/err.h"
#include "platform/lock.h"
#include "platform/thread_posix.h"

#include <errno.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

void vr_thread_set_name(const char *name)
{
    pthread_setname_np(pthread_self(), name);
}

void vireo_thread_be_punctual(void)
{
    prctl(PR_SET_TIMERSLACK, 1UL);
}

uint64_t vireo_thread_host_id(void)
{
    return (uint64_t)gettid();
}

uint64_t vireo_thread_cpu_ns(const struct vireo_thread *thread)
{
    clockid_t clock;
    struct timespec ts;
    if (pthread_getcpuclockid(thread->id, &clock) != 0 || clock_gettime(clock, &ts) != 0) {
        return UINT64_MAX;
    }
    return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

void vr_cond_init(struct vr_cond *cond)
{
    pthread_condattr_t attr;
    vr_assert(pthread_condattr_init(&attr) == 0);
    vr_assert(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
    vr_assert(pthread_cond_init(&cond->c, &attr) == 0);
    pthread_condattr_destroy(&attr);
}

bool vr_cond_wait_until(struct vr_cond *cond, struct vr_mutex *mutex, uint64_t until_ns)
{
    struct timespec ts = {
        .tv_sec = (time_t)(until_ns / 1000000000u),
        .tv_nsec = (long)(until_ns % 1000000000u),
    };
    int r = pthread_cond_timedwait(&cond->c, &mutex->m, &ts);
    vr_assert(r == 0 || r == ETIMEDOUT);
    return r == 0;
}
