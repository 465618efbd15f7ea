/* Threads, mutexes and condition variables of the host; thin, so that each OS has one small file.
 */
#ifndef VR_PLATFORM_THREAD_H
#define VR_PLATFORM_THREAD_H

#include "base/err.h"
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vr_thread;

struct vr_mutex {
    pthread_mutex_t m;
};

struct vr_cond {
    pthread_cond_t c; /* waits on the monotonic clock */
};

/* Start fn(arg) on a new thread named @name (cut to what the host shows). All signals are blocked
 * in it but for synchronous faults. -EAGAIN: the host has no more threads; -ENOMEM. Free by
 * vr_thread_join. */
int vr_thread_create(const char *name, void (*fn)(void *), void *arg, struct vr_thread **ret_thread,
                     struct vr_error *err) VR_MUST;
/* Ask the host to end the calling thread's timed waits on time, not tens of microseconds later. */
void vr_thread_be_punctual(void);
void vr_thread_join(struct vr_thread *thread); /* waits, frees; NULL is fine */
void vr_thread_yield(void); /* let another thread have the host CPU, if one wants it */
bool vr_thread_is_current(const struct vr_thread *thread);
/* CPU time that @thread has used, ns; UINT64_MAX if the host cannot tell. */
uint64_t vr_thread_cpu_ns(const struct vr_thread *thread);

void vr_mutex_init(struct vr_mutex *mutex);
void vr_mutex_fini(struct vr_mutex *mutex);
void vr_mutex_lock(struct vr_mutex *mutex);
bool vr_mutex_trylock(struct vr_mutex *mutex);
void vr_mutex_unlock(struct vr_mutex *mutex);

void vr_cond_init(struct vr_cond *cond);
void vr_cond_fini(struct vr_cond *cond);
void vr_cond_wait(struct vr_cond *cond, struct vr_mutex *mutex);
/* Until signalled or the monotonic clock (vr_monotonic_ns) reaches @until_ns; false: time is up. */
bool vr_cond_wait_until(struct vr_cond *cond, struct vr_mutex *mutex, uint64_t until_ns);
void vr_cond_signal(struct vr_cond *cond);
void vr_cond_broadcast(struct vr_cond *cond);

#endif
