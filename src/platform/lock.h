/* Mutexes and condition variables of the host; thin, so that each OS has one small file. Threads:
 * vireo/host_thread.h. */
#ifndef VR_PLATFORM_LOCK_H
#define VR_PLATFORM_LOCK_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

struct vr_mutex {
    pthread_mutex_t m;
};

struct vr_cond {
    pthread_cond_t c; /* waits on the monotonic clock */
};

void vr_mutex_init(struct vr_mutex *mutex);
void vr_mutex_fini(struct vr_mutex *mutex);
void vr_mutex_lock(struct vr_mutex *mutex);
bool vr_mutex_trylock(struct vr_mutex *mutex);
void vr_mutex_unlock(struct vr_mutex *mutex);

void vr_cond_init(struct vr_cond *cond);
void vr_cond_fini(struct vr_cond *cond);
void vr_cond_wait(struct vr_cond *cond, struct vr_mutex *mutex);
/* Until signalled or the monotonic clock (vireo_monotonic_ns) reaches @until_ns; false: time is up.
 */
bool vr_cond_wait_until(struct vr_cond *cond, struct vr_mutex *mutex, uint64_t until_ns);
void vr_cond_signal(struct vr_cond *cond);
void vr_cond_broadcast(struct vr_cond *cond);

#endif
