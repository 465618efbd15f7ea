/*
 * System instructions: what they check and do. RISC-V ISA manual, volume II, 3.3 and 12.2; volume
 * I, Zicbom, Zicboz, Zawrs.
 */
#include "base/bits.h"
#include "cpu/ir/steps.h"
#include "cpu/riscv/priv.h"

#include <string.h>

enum { CACHE_BLOCK = 64 };

uint32_t rv_fetch_bits(struct rv_hart *hart)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < 2; i++) {
        struct vr_xlate x;
        const void *half;
        if (rv_walk(hart, hart->cpu.pc + 2 * i, 2, VR_EXEC, &x) != RV_WALK_OK ||
            !(half = vr_mem_phys(&hart->cpu, x.gpa, 2, false))) {
            return 0;
        }
        bits |= (uint32_t)vr_load_le16(half) << 16 * i;
        if ((bits & 3) != 3) {
            break;
        }
    }
    return bits;
}

/* @ir: a helper op, which holds the instruction; another op's is read again. */
bool rv_illegal_bits(struct rv_hart *hart, const struct vr_ir *ir)
{
    bool has = ir && (ir->op == VR_IR_helper || ir->op == VR_IR_helper_end);
    rv_trap(hart, RV_CAUSE_ILLEGAL, has ? (uint32_t)ir->imm : rv_fetch_bits(hart));
    return false;
}

static bool sys_illegal(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    return rv_illegal_bits(RV_HART(cpu), ir);
}

static bool sys_ecall(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    (void)ir;
    if (hart->priv == RV_S && hart->config.builtin_sbi && hart->sbi) {
        if (vr_outside(cpu)) {
            return false;
        }
        bool on = hart->sbi(hart->sbi_opaque, hart);
        if (!on) { /* it may have stopped: rv_attention waits */
            atomic_store(&cpu->vcpu.attention, true);
        }
        return on;
    }
    rv_trap(hart, RV_CAUSE_ECALL_U + hart->priv, 0);
    return false;
}

static bool sys_ebreak(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    (void)ir;
    rv_trap(RV_HART(cpu), RV_CAUSE_BREAKPOINT, cpu->pc);
    return false;
}

static bool sys_mret(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    uint64_t st = hart->mstatus;
    enum rv_priv to = (enum rv_priv)(st >> RV_MPP_SHIFT & 3);
    if (hart->priv != RV_M) {
        return rv_illegal_bits(hart, ir);
    }
    st &= ~(RV_MSTATUS_MIE | RV_MSTATUS_MPP | (to != RV_M ? RV_MSTATUS_MPRV : 0));
    st |= st & RV_MSTATUS_MPIE ? RV_MSTATUS_MIE : 0;
    hart->mstatus = st | RV_MSTATUS_MPIE;
    cpu->pc = hart->mepc;
    rv_set_priv(hart, to);
    rv_recheck(hart);
    return false;
}

static bool sys_sret(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    uint64_t st = hart->mstatus;
    enum rv_priv to = st & RV_MSTATUS_SPP ? RV_S : RV_U;
    if (hart->priv < RV_S || (hart->priv == RV_S && st & RV_MSTATUS_TSR)) {
        return rv_illegal_bits(hart, ir);
    }
    st &= ~(RV_MSTATUS_SIE | RV_MSTATUS_SPP | RV_MSTATUS_MPRV);
    st |= st & RV_MSTATUS_SPIE ? RV_MSTATUS_SIE : 0;
    hart->mstatus = st | RV_MSTATUS_SPIE;
    cpu->pc = hart->sepc;
    rv_set_priv(hart, to);
    rv_recheck(hart);
    return false;
}

/* Sleeps until an enabled interrupt is pending, whether or not it can be taken. It also ends when
 * the engine has something else to look at, as the manual allows; attention is not cleared, so
 * nothing is missed. */
static bool sys_wfi(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    if (hart->priv == RV_U || (hart->priv == RV_S && hart->mstatus & RV_MSTATUS_TW)) {
        return rv_illegal_bits(hart, ir);
    }
    if (vr_outside(cpu)) {
        return false;
    }
    if (!rv_due_m(hart) && !rv_due_s(hart)) {
        vr_vcpu_sleep(&cpu->vcpu);
    }
    return true;
}

/* pause, wrs.nto, wrs.sto: other harts are waited for. The wait may end at any time: it lasts as
 * long as host threads that want to run do, and the loop around it looks again. wrs.nto may be
 * refused to lesser modes as wfi is. */
static bool sys_wrs(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    bool nto = (uint32_t)ir->imm == 0x00d00073;
    if (nto && hart->priv != RV_M && hart->mstatus & RV_MSTATUS_TW) {
        return rv_illegal_bits(hart, ir);
    }
    if (vr_outside(cpu)) {
        return false;
    }
    if (cpu->steps) {
        vr_steps_yield(cpu);
    } else {
        vireo_thread_yield();
    }
    return true;
}

/* sfence.vma, sinval.vma: rs1 an address or x0 for all, rs2 an ASID or x0 for all. */
static bool sys_sfence(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    if (hart->priv == RV_U || (hart->priv == RV_S && hart->mstatus & RV_MSTATUS_TVM)) {
        return rv_illegal_bits(hart, ir);
    }
    if (ir->a) {
        vr_tlb_flush_page(cpu, cpu->r[ir->a]);
    } else if (ir->b) {
        rv_fence_asid(hart, (unsigned)(cpu->r[ir->b] & vr_mask(RV_ASID_BITS)));
    } else {
        rv_fence_all(hart);
    }
    return true;
}

static bool sys_sfence_inval(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    struct rv_hart *hart = RV_HART(cpu);
    return hart->priv != RV_U || rv_illegal_bits(hart, ir);
}

static bool sys_fence_i(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    (void)ir;
    if (vr_outside(cpu)) {
        return false;
    }
    vr_code_fence(cpu);
    return true;
}

/* Is a cache-block instruction enabled by this field of menvcfg and senvcfg? */
static bool sys_cbo_on(const struct rv_hart *hart, uint64_t field)
{
    return hart->priv == RV_M ||
           (hart->menvcfg & field && (hart->priv == RV_S || hart->senvcfg & field));
}

/* Caches are coherent and invisible, so inval, clean and flush check their rights and do no more.
 */
static bool sys_cbo(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    static const uint64_t field[] = {RV_ENVCFG_CBIE, RV_ENVCFG_CBCFE, RV_ENVCFG_CBCFE, 0,
                                     RV_ENVCFG_CBZE};
    struct rv_hart *hart = RV_HART(cpu);
    unsigned kind = (uint32_t)ir->imm >> 20;
    uint64_t va = cpu->r[ir->a], block = vr_align_down(va, CACHE_BLOCK), gpa;
    struct vr_xlate x;

    if (!sys_cbo_on(hart, field[kind])) {
        return rv_illegal_bits(hart, ir);
    }
    /* The page's right decides first, so that a fault reports rs1 as it is. */
    enum rv_walk why =
        vr_tlb_hits(cpu, va, VR_WRITE) ? RV_WALK_OK : rv_walk(hart, va, 1, VR_WRITE, &x);
    if (why != RV_WALK_OK && kind != 4) {
        why = rv_walk(hart, va, 1, VR_READ, &x);
    }
    if (why != RV_WALK_OK) {
        rv_page_fault(hart, why, va, VR_WRITE);
        return false;
    }
    if (kind == 4) {
        void *p = vr_mem_ram(cpu, block, CACHE_BLOCK, VR_WRITE, &gpa);
        if (!p) {
            return false;
        }
        memset(p, 0, CACHE_BLOCK);
        vr_mem_wrote(cpu, block, gpa, CACHE_BLOCK);
    }
    return true;
}

static bool sys_break(struct vr_cpu *cpu, const struct vr_ir *ir)
{
    (void)ir;
    return !vr_cpu_at_break(cpu);
}

#define ROW(NAME, name) [RV_H_##NAME] = sys_##name
const vr_helper_fn rv_helpers[RV_H_COUNT] = {
    ROW(ILLEGAL, illegal), [RV_H_CSR] = rv_csr_helper,
    ROW(ECALL, ecall),     ROW(EBREAK, ebreak),
    ROW(MRET, mret),       ROW(SRET, sret),
    ROW(WFI, wfi),         ROW(WRS, wrs),
    ROW(SFENCE, sfence),   ROW(SFENCE_INVAL, sfence_inval),
    ROW(FENCE_I, fence_i), ROW(BREAK, break),
    ROW(CBO, cbo),
};

const char *const rv_helper_names[RV_H_COUNT] = {
    [RV_H_ILLEGAL] = "illegal", [RV_H_CSR] = "csr",
    [RV_H_ECALL] = "ecall",     [RV_H_EBREAK] = "ebreak",
    [RV_H_MRET] = "mret",       [RV_H_SRET] = "sret",
    [RV_H_WFI] = "wfi",         [RV_H_WRS] = "wrs",
    [RV_H_SFENCE] = "sfence",   [RV_H_SFENCE_INVAL] = "sfence.inval",
    [RV_H_FENCE_I] = "fence.i", [RV_H_BREAK] = "break",
    [RV_H_CBO] = "cbo",
};
