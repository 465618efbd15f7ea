/* What compiled code calls: memory beyond the TLB, helpers, ops that it has no code for. */
#include "base/bits.h"
#include "cpu/interp/fpx.h"
#include "cpu/jit/jit_priv.h"
#include "cpu/jit/mirror.h"

enum { INFO_OFF = 0xfff };

static unsigned info_left(uint32_t info)
{
    return info >> 12 & 0xff;
}

static void run_exact_pc(struct vr_cpu *cpu, uint32_t info)
{
    cpu->pc = cpu->page_va + (info & INFO_OFF);
}

/* Where to go on: cpu->pc is exact, the last instruction is complete or has trapped. */
static const void *run_next(struct vr_cpu *cpu)
{
    const struct vr_jit *jit = cpu->jit;
    const void *leave = jit->mem.rx + jit->exit_off;
    uint64_t pc = cpu->pc;
    unsigned i = (unsigned)(pc >> VR_PAGE_SHIFT) & (VR_TLB_SIZE - 1);
    if (cpu->mode == VR_NO_MODE ||
        atomic_load_explicit(&cpu->vcpu.attention, memory_order_relaxed) ||
        cpu->itlb->entry[i].tag[VR_EXEC] != ((pc & ~(uint64_t)(VR_PAGE_SIZE - 1)) | cpu->ictx)) {
        return leave;
    }
    uint32_t code = cpu->itlb->code[i][(pc & (VR_PAGE_SIZE - 1)) >> 1];
    cpu->page_va = pc & ~(uint64_t)(VR_PAGE_SIZE - 1);
    return code ? jit->mem.rx + code : leave;
}

/* An instruction in the middle of a block trapped, or ended it: the rest did not retire. */
static const void *run_stopped(struct vr_cpu *cpu, uint32_t info)
{
    cpu->icount -= info_left(info) + (cpu->trapped ? 1u : 0u);
    cpu->trapped = false;
    return run_next(cpu);
}

struct jit_loaded vr_jit_load(struct vr_cpu *cpu, uint64_t va, uint32_t info)
{
    struct jit_loaded x = {0, NULL};
    run_exact_pc(cpu, info);
    if (VR_UNLIKELY(!vr_mem_load(cpu, va, 1u << (info >> 20), &x.val))) {
        x.next = run_stopped(cpu, info);
    }
    return x;
}

const void *vr_jit_store(struct vr_cpu *cpu, uint64_t va, uint64_t val, uint32_t info)
{
    unsigned width = 1u << (info >> 20);
    run_exact_pc(cpu, info);
    return VR_LIKELY(vr_mem_store(cpu, va, width, val & vr_width_mask(width)))
               ? NULL
               : run_stopped(cpu, info);
}

void vr_jit_mirror_fault(struct vr_cpu *cpu, uint64_t va, bool write)
{
    vr_mirror_fault(cpu, va, write);
}

const void *vr_jit_op(struct vr_cpu *cpu, const struct vr_ir *ir, uint32_t info)
{
    run_exact_pc(cpu, info);
    vr_jit_fp_sync(cpu);
    return vr_op_eval(cpu, ir) ? NULL : run_stopped(cpu, info);
}

const void *vr_jit_helper(struct vr_cpu *cpu, const struct vr_ir *ir, uint32_t info)
{
    run_exact_pc(cpu, info);
    vr_jit_fp_sync(cpu);
    return cpu->isa->helpers[ir->c](cpu, ir) ? NULL : run_stopped(cpu, info);
}

const void *vr_jit_helper_end(struct vr_cpu *cpu, const struct vr_ir *ir, uint32_t info)
{
    uint64_t next = cpu->page_va + (info & INFO_OFF) + info_left(info);
    run_exact_pc(cpu, info);
    vr_jit_fp_sync(cpu);
    if (cpu->isa->helpers[ir->c](cpu, ir)) {
        cpu->pc = next;
    } else if (cpu->trapped) {
        cpu->icount--;
    }
    cpu->trapped = false;
    return run_next(cpu);
}

const void *vr_jit_fp_on(struct vr_cpu *cpu, uint32_t info)
{
    run_exact_pc(cpu, info);
    if (cpu->frm != 0) { /* compiled code rounds to nearest; the interpreter does the others */
        cpu->interp_once = true;
        cpu->icount -= info_left(info) + 1;
        return cpu->jit->mem.rx + cpu->jit->exit_off;
    }
    if (!cpu->isa->fp_check(cpu)) {
        return run_stopped(cpu, info);
    }
    vr_jit_fp_sync(cpu);
    cpu->fp_live = true;
    return NULL;
}
