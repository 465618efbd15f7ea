/*
 * Who wants to see faults: a table of slots that fault handlers read without locks. A slot is
 * claimed by storing its function last, and freed by waiting until no thread is inside (each counts
 * itself in before it reads the slots).
 */
#include "platform/fault.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <stdatomic.h>

/* Fault handlers belong to the process, and get no argument of ours. */
static struct {
    struct vr_mutex lock; /* add and remove */
    unsigned count;
    atomic_uint inside; /* threads that look at the slots */
    struct {
        _Atomic(vireo_fault_fn *) fn;
        void *opaque;
        atomic_uint order; /* later ones are asked first */
    } slots[VIREO_FAULT_HANDLERS];
    unsigned orders;
} fault_state = {.lock = {VR_MUTEX_INIT}};

void vr_fault_enter(void)
{
    atomic_fetch_add(&fault_state.inside, 1);
}

void vr_fault_leave(void)
{
    atomic_fetch_sub(&fault_state.inside, 1);
}

bool vr_fault_ask(struct vireo_fault *fault)
{
    unsigned below = UINT32_MAX;
    bool done = false;
    vr_fault_enter();
    while (!done) {
        unsigned best = 0, at = 0;
        for (unsigned i = 0; i < VIREO_FAULT_HANDLERS; i++) {
            unsigned order = atomic_load(&fault_state.slots[i].order);
            if (atomic_load(&fault_state.slots[i].fn) && order > best && order < below) {
                best = order;
                at = i;
            }
        }
        if (best == 0) {
            break;
        }
        below = best;
        vireo_fault_fn *fn = atomic_load(&fault_state.slots[at].fn);
        done = fn && fn(fault_state.slots[at].opaque, fault);
    }
    vr_fault_leave();
    return done;
}

int vireo_fault_add(vireo_fault_fn *fn, void *opaque, int *ret_id, struct vr_error *err)
{
    int r = 0;
    unsigned i = 0;
    vr_mutex_lock(&fault_state.lock);
    while (i < VIREO_FAULT_HANDLERS && atomic_load(&fault_state.slots[i].fn)) {
        i++;
    }
    if (i == VIREO_FAULT_HANDLERS) {
        r = vr_err(err, -ENOSPC, "fault handler: there are %d already", VIREO_FAULT_HANDLERS);
    } else if (fault_state.count == 0) {
        r = vr_fault_install(err);
    }
    if (r == 0) {
        fault_state.count++;
        fault_state.slots[i].opaque = opaque;
        atomic_store(&fault_state.slots[i].order, ++fault_state.orders);
        atomic_store(&fault_state.slots[i].fn, fn);
        *ret_id = (int)i;
    }
    vr_mutex_unlock(&fault_state.lock);
    return r;
}

void vireo_fault_remove(int id)
{
    vr_mutex_lock(&fault_state.lock);
    vr_assert(id >= 0 && id < VIREO_FAULT_HANDLERS && atomic_load(&fault_state.slots[id].fn));
    atomic_store(&fault_state.slots[id].fn, NULL);
    while (atomic_load(&fault_state.inside)) {
        vireo_thread_yield();
    }
    if (--fault_state.count == 0) {
        vr_fault_uninstall();
    }
    vr_mutex_unlock(&fault_state.lock);
}
