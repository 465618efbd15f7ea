/* Life of a CPU on Vireo's own engine. */
#include "cpu/ir/cpu.h"
#include "cpu/ir/steps.h"
#include "cpu/ir/trace.h"
#include "cpu/jit/jit.h"
#include "cpu/jit/lockstep.h"

int vr_cpu_init(struct vr_cpu *cpu, const struct vr_isa *isa, const struct vr_cpu_ops *ops,
                struct vr_machine *machine, unsigned index, struct vr_space *mem,
                struct vr_error *err)
{
    vr_vcpu_init(&cpu->vcpu, ops, machine, index);
    cpu->isa = isa;
    cpu->mem = mem;
    int r = vr_code_init(cpu, err);
    if (r < 0) {
        vr_vcpu_fini(&cpu->vcpu);
        return r;
    }
    vr_tlb_select(cpu, 0, 1, 0, 1);
    r = cpu->vcpu.det ? vr_steps_create(cpu, err) : 0;
    if (r < 0) {
        vr_cpu_fini(cpu);
    }
    return r;
}

void vr_cpu_fini(struct vr_cpu *cpu)
{
    vr_trace_stop(cpu);
    vr_lockstep_destroy(cpu);
    vr_steps_destroy(cpu);
    vr_jit_destroy(cpu);
    vr_code_fini(cpu);
    vr_vcpu_fini(&cpu->vcpu);
}
