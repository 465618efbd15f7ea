/* Mutexes and condition variables of the host; thin, so that each OS has one small file. Threads:
 * vireo/host_thread.h. */
#ifndef VR_PLATFORM_LOCK_H
#define VR_PLATFORM_LOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef _WIN32
struct vr_mutex {
    void *lock; /* SRWLOCK */
};

struct vr_cond {
    void *lock; /* SRWLOCK */
    struct vr_cond_waiter *first, *last, *spare;
};

struct vr_once {
    void *once; /* INIT_ONCE */
};

/* In braces, where one is made before anything runs. */
#define VR_MUTEX_INIT .lock = NULL
#define VR_ONCE_INIT  .once = NULL
#else
#include <pthread.h>

struct vr_mutex {
    pthread_mutex_t m;
};

struct vr_cond {
    pthread_cond_t c; /* waits on the monotonic clock */
};

struct vr_once {
    pthread_once_t once;
};

#define VR_MUTEX_INIT .m = PTHREAD_MUTEX_INITIALIZER
#define VR_ONCE_INIT  .once = PTHREAD_ONCE_INIT
#endif

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

/* fn has been called once when this returns, whoever comes first. */
void vr_once(struct vr_once *once, void (*fn)(void));

#endif
