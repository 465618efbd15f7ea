/* The inside of a struct vireo_thread on POSIX hosts, and what each of them does its own way. */
#ifndef VR_PLATFORM_THREAD_POSIX_H
#define VR_PLATFORM_THREAD_POSIX_H

#include "vireo/host_thread.h"
#include <pthread.h>

struct vireo_thread {
    pthread_t id;
    char name[16]; /* what Linux shows, with the NUL */
    void (*fn)(void *);
    void *arg;
};

/* Of the calling thread. */
void vr_thread_set_name(const char *name);

#endif
