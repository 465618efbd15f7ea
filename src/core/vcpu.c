/*
 * Waking and stopping a virtual CPU.
 *
 * The sleeper raises `sleeping` and then looks at `attention`; the waker raises `attention` and
 * then looks at `sleeping`. All four are sequentially consistent, so one of them sees the other,
 * and a waker pays for the lock only when somebody sleeps.
 */
#include "core/vcpu.h"
#include "core/det.h"

#include "vireo/host_time.h"

#include <string.h>

void vr_vcpu_init(struct vr_vcpu *vcpu, const struct vr_cpu_ops *ops, struct vr_machine *machine,
                  unsigned index)
{
    vcpu->ops = ops;
    vcpu->machine = machine;
    vcpu->index = index;
    vcpu->thread = NULL;
    vcpu->in_run = false;
    vr_spin_init(&vcpu->spin);
    vcpu->debug = NULL;
    vcpu->run = (struct vr_debug_run){.turn = false};
    vcpu->det = machine ? vr_machine_det(machine) : NULL;
    vcpu->idle = false;
    atomic_init(&vcpu->kicked, false);
    atomic_init(&vcpu->attention, false);
    atomic_init(&vcpu->sleeping, false);
    atomic_init(&vcpu->protect_asked, 0);
    atomic_init(&vcpu->protect_done, 0);
    vr_mutex_init(&vcpu->lock);
    vr_cond_init(&vcpu->wake);
}

void vr_vcpu_fini(struct vr_vcpu *vcpu)
{
    vr_assert(!vcpu->thread);
    vr_cond_fini(&vcpu->wake);
    vr_mutex_fini(&vcpu->lock);
}

static void vcpu_wake(struct vr_vcpu *vcpu)
{
    if (atomic_load(&vcpu->sleeping)) {
        vr_mutex_lock(&vcpu->lock);
        vr_cond_signal(&vcpu->wake);
        vr_mutex_unlock(&vcpu->lock);
    }
}

void vr_vcpu_notify(struct vr_vcpu *vcpu)
{
    atomic_store(&vcpu->attention, true);
    vcpu_wake(vcpu);
}

void vr_vcpu_kick(struct vr_vcpu *vcpu)
{
    atomic_store(&vcpu->kicked, true);
    atomic_store(&vcpu->attention, true);
    if (vcpu->ops->kick) {
        vcpu->ops->kick(vcpu);
    }
    vcpu_wake(vcpu);
}

static bool vcpu_is_called(void *arg)
{
    struct vr_vcpu *vcpu = arg;
    return atomic_load(&vcpu->attention) || atomic_load(&vcpu->kicked);
}

void vr_vcpu_sleep(struct vr_vcpu *vcpu)
{
    if (vcpu->det) {
        if (!atomic_load(&vcpu->attention)) {
            vcpu->idle = true;
            atomic_store(&vcpu->kicked, true);
        }
        return;
    }
    uint64_t began_ns = vireo_monotonic_ns();
    if (!vr_spin_wait(&vcpu->spin, began_ns, vcpu_is_called, vcpu)) {
        vr_mutex_lock(&vcpu->lock);
        atomic_store(&vcpu->sleeping, true);
        while (!vcpu_is_called(vcpu)) {
            vr_cond_wait(&vcpu->wake, &vcpu->lock);
        }
        atomic_store(&vcpu->sleeping, false);
        vr_mutex_unlock(&vcpu->lock);
    }
    vr_spin_learn(&vcpu->spin, vireo_monotonic_ns() - began_ns);
}
