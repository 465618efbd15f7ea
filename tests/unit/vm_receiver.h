/* For tests of migrations: the side that receives, in this process, on a thread of its own. */
#ifndef VR_TESTS_VM_RECEIVER_H
#define VR_TESTS_VM_RECEIVER_H

#include "test.h"

#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/vm.h"

struct receiver {
    const char *uri;
    const struct vireo_config *changes;
    struct vireo_thread *thread;
    struct vr_mutex lock;
    struct vr_cond changed;
    bool listening, ended;
    struct vireo_vm *vm; /* what came; NULL: nothing did, and @err says why */
    struct vr_error err;
};

static inline void receiver_listens(void *opaque)
{
    struct receiver *rx = opaque;
    vr_mutex_lock(&rx->lock);
    rx->listening = true;
    vr_cond_broadcast(&rx->changed);
    vr_mutex_unlock(&rx->lock);
}

static inline void receiver_main(void *opaque)
{
    struct receiver *rx = opaque;
    (void)!vireo_vm_receive(rx->changes, rx->uri, receiver_listens, rx, &rx->vm, &rx->err);
    vr_mutex_lock(&rx->lock);
    rx->ended = true;
    vr_cond_broadcast(&rx->changed);
    vr_mutex_unlock(&rx->lock);
}

/* Receive at @rx->uri with @rx->changes. False: it does not listen; receiver_end tells why. */
static inline bool receiver_begin(struct receiver *rx)
{
    vr_mutex_init(&rx->lock);
    vr_cond_init(&rx->changed);
    assert_int_equal(vireo_thread_create("receive", receiver_main, rx, &rx->thread, NULL), 0);
    vr_mutex_lock(&rx->lock);
    while (!rx->listening && !rx->ended) {
        vr_cond_wait(&rx->changed, &rx->lock);
    }
    bool listening = rx->listening;
    vr_mutex_unlock(&rx->lock);
    return listening;
}

/* The machine that came, the caller's. */
static inline struct vireo_vm *receiver_end(struct receiver *rx)
{
    vireo_thread_join(rx->thread);
    vr_cond_fini(&rx->changed);
    vr_mutex_fini(&rx->lock);
    if (!rx->vm) {
        fail_msg("%s", rx->err.msg);
    }
    return rx->vm;
}

#endif
