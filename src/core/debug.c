/* Points, steps and stops. See core/debug.h. */
#include "core/debug.h"
#include "base/alloc.h"
#include "core/machine_priv.h"

#include <errno.h>
#include <string.h>

/* Everything that was translated or looked up is of other points. */
static void debug_forget(struct vr_machine *m, bool code, bool tlb)
{
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        struct vr_debug_run *run = &m->vcpus[i]->run;
        run->forget_code = run->forget_code || code;
        run->forget_tlb = run->forget_tlb || tlb;
        run->turn = true;
    }
}

struct debug_attaching {
    struct vr_machine *m;
    struct vr_debug *d; /* NULL: detach */
};

static void debug_set(void *arg)
{
    struct debug_attaching *a = arg;
    bool watched = a->m->debug && a->m->debug->watch_count;
    bool marked = a->m->debug != NULL;
    if (a->d && a->m->debug) {
        return; /* somebody else was quicker */
    }
    free(a->m->debug);
    a->m->debug = a->d;
    for (unsigned i = 0; i < a->m->vcpu_count; i++) {
        a->m->vcpus[i]->debug = a->d;
        vr_debug_let(a->m->vcpus[i], true, false);
    }
    debug_forget(a->m, marked, watched);
}

int vr_debug_attach(struct vr_machine *m, void (*on_stop)(void *opaque, struct vr_vcpu *vcpu),
                    void *opaque, struct vr_error *err)
{
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        if (!m->vcpus[i]->ops->debug) {
            return vr_err(err, -ENOTSUP, "machine '%s': its engine (%s) cannot be debugged",
                          m->name, m->vcpus[i]->ops->engine);
        }
    }
    struct debug_attaching a = {.m = m, .d = vr_zalloc(sizeof(*a.d))};
    if (!a.d) {
        return vr_err(err, -ENOMEM, "machine '%s': no memory for a debugger", m->name);
    }
    a.d->on_stop = on_stop;
    a.d->opaque = opaque;
    vr_machine_still(m, debug_set, &a);
    if (m->debug != a.d) {
        free(a.d);
        return vr_err(err, -EBUSY, "machine '%s' has a debugger already", m->name);
    }
    return 0;
}

void vr_debug_detach(struct vr_machine *m)
{
    struct debug_attaching a = {.m = m};
    vr_machine_still(m, debug_set, &a);
}

static bool debug_same(const struct vr_debug_point *a, const struct vr_debug_point *b)
{
    return a->kind == b->kind && a->va == b->va && (a->kind == VR_DEBUG_BREAK || a->len == b->len);
}

int vr_debug_add(struct vr_machine *m, const struct vr_debug_point *point)
{
    struct vr_debug *d = m->debug;
    if (point->len == 0 || point->va + (point->len - 1) < point->va) {
        return -EINVAL;
    }
    for (unsigned i = 0; i < d->count; i++) {
        if (debug_same(&d->point[i], point)) {
            return 0;
        }
    }
    if (d->count == VR_DEBUG_POINTS) {
        return -ENOSPC;
    }
    d->point[d->count++] = *point;
    if (point->kind != VR_DEBUG_BREAK) {
        d->watch_count++;
        debug_forget(m, false, true);
    } else if (!vr_debug_marks(d, point->va)) {
        unsigned half = (unsigned)(point->va >> 1) & (64 * VR_DEBUG_MARK_WORDS - 1);
        d->marks[half >> 6] |= UINT64_C(1) << (half & 63);
        debug_forget(m, true, false);
    }
    return 0;
}

void vr_debug_remove(struct vr_machine *m, const struct vr_debug_point *point)
{
    struct vr_debug *d = m->debug;
    for (unsigned i = 0; i < d->count; i++) {
        if (debug_same(&d->point[i], point)) {
            d->point[i] = d->point[--d->count];
            /* The mark stays: debuggers take breakpoints away at each stop, and put them back. */
            if (point->kind != VR_DEBUG_BREAK) {
                d->watch_count--;
                debug_forget(m, false, true);
            }
            return;
        }
    }
}

void vr_debug_let(struct vr_vcpu *vcpu, bool run, bool quiet)
{
    struct vr_debug_run *r = &vcpu->run;
    atomic_store(&r->held, !run && !vcpu->det);
    r->step = r->stepped = r->goal = r->pass = false;
    r->quiet = quiet && !vcpu->det;
    r->stop = (struct vr_debug_stop){.why = VR_DEBUG_NOT_STOPPED};
    r->turn = r->forget_code || r->forget_tlb;
}

void vr_debug_step(struct vr_vcpu *vcpu, uint64_t begin, uint64_t end, bool quiet)
{
    vr_debug_let(vcpu, true, quiet);
    if (vcpu->det) {
        vcpu->run.goal = vcpu->run.pass = true;
    } else {
        vcpu->run.step = vcpu->run.turn = true;
    }
    vcpu->run.step_begin = begin;
    vcpu->run.step_end = end;
}

const struct vr_debug_point *vr_debug_find(const struct vr_debug *d, unsigned kinds, uint64_t va,
                                           uint64_t len)
{
    uint64_t last = va + (len - 1);
    for (unsigned i = 0; i < d->count; i++) {
        const struct vr_debug_point *p = &d->point[i];
        if (kinds >> p->kind & 1 && p->va <= last && va <= p->va + (p->len - 1)) {
            return p;
        }
    }
    return NULL;
}

void vr_debug_stopped(struct vr_vcpu *vcpu, struct vr_debug_stop stop)
{
    struct vr_debug *d = vcpu->debug;
    vcpu->run.stop = stop;
    vcpu->run.step = false;
    atomic_store(&vcpu->run.held, !vcpu->det);
    atomic_store(&vcpu->kicked, true);
    atomic_store(&vcpu->attention, true);
    d->on_stop(d->opaque, vcpu);
}
