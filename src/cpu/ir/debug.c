/*
 * Debuggers at a CPU of Vireo's own engine.
 *
 * Breakpoints: blocks begin anew at a marked address, with a helper that compares pc with the
 * points. So compiled code goes on as it is, and what is not marked is not looked at. Watchpoints:
 * the TLB does not allow what is watched, page by page, so such accesses come here. Steps are
 * interpreted, from a block of one instruction.
 */
#include "cpu/ir/cpu.h"

enum { DEBUG_WATCHES = 1 << VR_DEBUG_WRITE | 1 << VR_DEBUG_READ | 1 << VR_DEBUG_ACCESS };

bool vr_cpu_debug_turn(struct vr_cpu *cpu)
{
    struct vr_debug_run *run = &cpu->vcpu.run;
    if (run->forget_code) {
        vr_code_flush(cpu);
    }
    if (run->forget_tlb) {
        vr_tlb_look_again(cpu);
    }
    run->forget_code = run->forget_tlb = false;
    if (!run->step) {
        run->turn = false;
        return true;
    }
    if (!run->stepped) {
        return true;
    }
    if (cpu->pc < run->step_begin || cpu->pc >= run->step_end) {
        vr_debug_stopped(&cpu->vcpu, (struct vr_debug_stop){.why = VR_DEBUG_STEPPED});
        return false;
    }
    return !vr_cpu_at_break(cpu);
}

struct vr_block *vr_cpu_debug_step(struct vr_cpu *cpu)
{
    cpu->vcpu.run.stepped = true;
    atomic_store(&cpu->vcpu.attention, true); /* look here again behind it */
    return vr_code_one(cpu);
}

/* As if the instruction at pc had not begun: it did not retire, and an exception's way out of the
 * block is taken. */
static void debug_stop_here(struct vr_cpu *cpu, enum vr_debug_kind kind, uint64_t va)
{
    cpu->trapped = true;
    vr_debug_stopped(&cpu->vcpu,
                     (struct vr_debug_stop){.why = VR_DEBUG_AT_POINT, .kind = kind, .va = va});
}

bool vr_cpu_at_break(struct vr_cpu *cpu)
{
    if (!cpu->vcpu.debug || cpu->vcpu.run.pass ||
        !vr_debug_find(cpu->vcpu.debug, 1 << VR_DEBUG_BREAK, cpu->pc, 1)) {
        return false;
    }
    debug_stop_here(cpu, VR_DEBUG_BREAK, cpu->pc);
    return true;
}

bool vr_cpu_at_watch(struct vr_cpu *cpu, uint64_t va, unsigned len, enum vr_access access)
{
    const struct vr_debug *d = cpu->vcpu.debug;
    unsigned kinds =
        1 << VR_DEBUG_ACCESS | 1 << (access == VR_WRITE ? VR_DEBUG_WRITE : VR_DEBUG_READ);
    const struct vr_debug_point *p =
        d->watch_count && !cpu->vcpu.run.pass ? vr_debug_find(d, kinds, va, len) : NULL;
    if (!p) {
        return false;
    }
    debug_stop_here(cpu, p->kind, va > p->va ? va : p->va);
    return true;
}

uint8_t vr_cpu_unwatched(const struct vr_cpu *cpu, uint64_t va)
{
    const struct vr_debug *d = cpu->vcpu.debug;
    uint8_t rights = 1 << VR_READ | 1 << VR_WRITE | 1 << VR_EXEC;
    va &= ~(uint64_t)(VR_PAGE_SIZE - 1);
    if (!d || !d->watch_count || !vr_debug_find(d, DEBUG_WATCHES, va, VR_PAGE_SIZE)) {
        return rights;
    }
    rights &= (uint8_t) ~(1 << VR_WRITE); /* of an atomic, too, which reads */
    if (vr_debug_find(d, 1 << VR_DEBUG_READ | 1 << VR_DEBUG_ACCESS, va, VR_PAGE_SIZE)) {
        rights &= (uint8_t) ~(1 << VR_READ);
    }
    return rights;
}
