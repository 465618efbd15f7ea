/* Threads by POSIX. Failing lock calls are bugs of ours, so they are asserted. */
#include "base/alloc.h"
#include "base/err.h"
#include "platform/lock.h"
#include "platform/thread_posix.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

static void *thread_main(void *opaque)
{
    struct vireo_thread *t = opaque;
    vr_thread_set_name(t->name);
    t->fn(t->arg);
    return NULL;
}

int vireo_thread_create(const char *name, void (*fn)(void *), void *arg,
                        struct vireo_thread **ret_thread, struct vr_error *err)
{
    struct vireo_thread *t = vr_zalloc(sizeof(*t));
    if (!t) {
        return vr_err(err, -ENOMEM, "thread '%s': no memory", name);
    }
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->fn = fn;
    t->arg = arg;
    /* Signals belong to the embedder's threads; only those a thread brings upon itself stay open.
     */
    sigset_t all, old;
    sigfillset(&all);
    sigdelset(&all, SIGSEGV);
    sigdelset(&all, SIGBUS);
    sigdelset(&all, SIGFPE);
    sigdelset(&all, SIGILL);
    sigdelset(&all, SIGTRAP);
    sigdelset(&all, SIGABRT);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    int r = pthread_create(&t->id, NULL, thread_main, t);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (r) {
        free(t);
        return vr_err(err, -r, "thread '%s': %s", name, strerror(r));
    }
    *ret_thread = t;
    return 0;
}

void vireo_thread_join(struct vireo_thread *thread)
{
    if (thread) {
        vr_assert(pthread_join(thread->id, NULL) == 0);
        free(thread);
    }
}

void vireo_thread_yield(void)
{
    sched_yield();
}

bool vireo_thread_is_current(const struct vireo_thread *thread)
{
    return pthread_equal(thread->id, pthread_self());
}

void vr_mutex_init(struct vr_mutex *mutex)
{
    vr_assert(pthread_mutex_init(&mutex->m, NULL) == 0);
}

void vr_mutex_fini(struct vr_mutex *mutex)
{
    vr_assert(pthread_mutex_destroy(&mutex->m) == 0);
}

void vr_mutex_lock(struct vr_mutex *mutex)
{
    vr_assert(pthread_mutex_lock(&mutex->m) == 0);
}

bool vr_mutex_trylock(struct vr_mutex *mutex)
{
    int r = pthread_mutex_trylock(&mutex->m);
    vr_assert(r == 0 || r == EBUSY);
    return r == 0;
}

void vr_mutex_unlock(struct vr_mutex *mutex)
{
    vr_assert(pthread_mutex_unlock(&mutex->m) == 0);
}

void vr_cond_fini(struct vr_cond *cond)
{
    vr_assert(pthread_cond_destroy(&cond->c) == 0);
}

void vr_cond_wait(struct vr_cond *cond, struct vr_mutex *mutex)
{
    vr_assert(pthread_cond_wait(&cond->c, &mutex->m) == 0);
}

void vr_cond_signal(struct vr_cond *cond)
{
    vr_assert(pthread_cond_signal(&cond->c) == 0);
}

void vr_cond_broadcast(struct vr_cond *cond)
{
    vr_assert(pthread_cond_broadcast(&cond->c) == 0);
}

void vr_once(struct vr_once *once, void (*fn)(void))
{
    vr_assert(pthread_once(&once->once, fn) == 0);
}
