/* Slices of steps; see steps.h. */
#include "cpu/ir/steps.h"
#include "base/alloc.h"
#include "core/det.h"

#include <errno.h>
#include <string.h>

struct vr_steps {
    uint64_t begin;     /* icount and traps when the slice began */
    bool one_next;      /* the next instruction is to run alone */
    bool alone;         /* the one that runs does */
    struct vr_block *b; /* room for the beginning of any block */
};

static uint64_t steps_progress(const struct vr_cpu *cpu)
{
    return cpu->icount + cpu->traps;
}

static bool steps_outside(struct vr_cpu *cpu)
{
    struct vr_steps *s = cpu->steps;
    if (s->alone) { /* it is counted already */
        vr_det_at(cpu->vcpu.det, steps_progress(cpu) - 1 - s->begin);
        return false;
    }
    s->one_next = true;
    cpu->trapped = true; /* so that the instruction does not count */
    cpu->interp_once = true;
    atomic_store(&cpu->vcpu.attention, true); /* so that compiled code is left */
    return true;
}

int vr_steps_create(struct vr_cpu *cpu, struct vr_error *err)
{
    struct vr_steps *s = vr_zalloc(sizeof(*s));
    if (s) {
        s->b = vr_zalloc(sizeof(*s->b) + (VR_BLOCK_IR_MAX + 1) * sizeof(s->b->ir[0]));
    }
    if (!s || !s->b) {
        free(s);
        return vr_err(err, -ENOMEM, "no memory for the steps of cpu %u", cpu->vcpu.index);
    }
    cpu->steps = s;
    cpu->outside = steps_outside;
    cpu->careful = true;
    return 0;
}

void vr_steps_destroy(struct vr_cpu *cpu)
{
    if (cpu->steps) {
        free(cpu->steps->b);
        free(cpu->steps);
        cpu->steps = NULL;
        cpu->outside = NULL;
        cpu->careful = cpu->trace != NULL;
    }
}

uint64_t vr_steps_run(struct vr_vcpu *vcpu, uint64_t steps)
{
    struct vr_cpu *cpu = (struct vr_cpu *)vcpu;
    struct vr_steps *s = cpu->steps;
    s->begin = steps_progress(cpu);
    s->alone = false;
    cpu->budget = cpu->icount + steps;
    vr_interp_run(vcpu);
    return steps_progress(cpu) - s->begin;
}

void vr_steps_yield(struct vr_cpu *cpu)
{
    cpu->vcpu.yielded = vr_det_crowded(cpu->vcpu.det);
}

struct vr_block *vr_steps_block(struct vr_cpu *cpu, struct vr_block *b)
{
    struct vr_steps *s = cpu->steps;
    uint64_t left = cpu->budget - cpu->icount;
    if (s->alone) {
        s->alone = false;
        left = cpu->vcpu.idle || cpu->vcpu.yielded
                   ? 0
                   : vr_det_more(cpu->vcpu.det, steps_progress(cpu) - s->begin, left);
        cpu->budget = cpu->icount + left;
    }
    if (left == 0) {
        return NULL;
    }
    if (s->one_next) {
        s->one_next = false;
        s->alone = true;
        left = 1;
    }
    if (b->insn_count <= left) {
        return b;
    }
    vr_block_prefix(b, (unsigned)left, s->b);
    return s->b;
}

bool vr_steps_fits(struct vr_cpu *cpu, const struct vr_block *b)
{
    const struct vr_steps *s = cpu->steps;
    return !s->one_next && !s->alone && b->insn_count <= cpu->budget - cpu->icount;
}
