/* The arm64 back end: registers, and slow paths. See emit.h. */
#include "cpu/jit/arm64/emit.h"
#include "base/bits.h"

#include <assert.h>

/* The registers that compilers use most, by their allocation order (RISC-V psABI). */
int emit_gpr(unsigned slot)
{
    static const int8_t map[32] = {
        [1] = X19,  [2] = X20,  [5] = X5,   [6] = X6,   [7] = X7,   [8] = X21,  [9] = X22,
        [10] = X8,  [11] = X9,  [12] = X10, [13] = X11, [14] = X12, [15] = X13, [16] = X14,
        [17] = X15, [18] = X23, [19] = X24, [20] = X25, [28] = X16, [29] = X17,
    };
    return slot < 32 && map[slot] ? map[slot] : NO_REG;
}

int emit_fpr(unsigned slot)
{
    unsigned f = slot - VR_SLOT_F0; /* f0..f23 */
    return f < 24 ? (int)f + 8 : NO_REG;
}

void emit_get(struct emit *e, int reg, unsigned slot)
{
    int h = emit_gpr(slot), x = emit_fpr(slot);
    if (slot == VR_SLOT_ZERO) {
        asm_li(&e->s, reg, 0);
    } else if (h != NO_REG) {
        asm_mov(&e->s, reg, h);
    } else if (x != NO_REG) {
        asm_fmov_to_x(&e->s, reg, x);
    } else {
        asm_mem(&e->s, A64_LDR_X, reg, EMIT_FIELD(r) + slot * sizeof(uint64_t));
    }
}

int emit_src_sp(struct emit *e, unsigned slot, int scratch)
{
    int h = emit_gpr(slot);
    if (h != NO_REG) {
        return h;
    }
    emit_get(e, scratch, slot);
    return scratch;
}

int emit_src(struct emit *e, unsigned slot, int scratch)
{
    return slot == VR_SLOT_ZERO ? XZR : emit_src_sp(e, slot, scratch);
}

int emit_dst(unsigned slot, int scratch)
{
    int h = emit_gpr(slot);
    return h != NO_REG ? h : scratch;
}

void emit_put(struct emit *e, unsigned slot, int reg)
{
    int h = emit_gpr(slot), x = emit_fpr(slot);
    if (slot == VR_SLOT_SINK || slot == VR_SLOT_ZERO) {
        return;
    }
    if (h != NO_REG) {
        asm_mov(&e->s, h, reg);
    } else if (x != NO_REG) {
        asm_fmov_from_x(&e->s, x, reg);
    } else {
        asm_mem(&e->s, A64_STR_X, reg, EMIT_FIELD(r) + slot * sizeof(uint64_t));
    }
}

size_t emit_attention(struct emit *e)
{
    static_assert(offsetof(struct vr_cpu, vcpu.attention) < 4096, "in reach of ldrb");
    asm_mem(&e->s, A64_LDRB, X1, EMIT_FIELD(vcpu.attention));
    return asm_cbz(&e->s, false, true, X1);
}

void emit_tlb_entry(struct emit *e, int reg, int va, size_t *ret_off)
{
    size_t off = offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb) +
                 offsetof(struct vr_tlb, entry);
    static_assert(sizeof(struct vr_tlb_entry) == 32, "an entry's size is a shift");
    asm_bits(&e->s, A64_UBFM, X1, va, VR_PAGE_SHIFT, VR_TLB_BITS);
    asm_add_imm(&e->s, reg, EMIT_CPU, (int64_t)(off & ~(size_t)0xfff), reg);
    asm_rrr_lsl(&e->s, A64_ADD, reg, reg, X1, 5);
    *ret_off = off & 0xfff;
}

void emit_call_op(struct emit *e)
{
    asm_li(&e->s, X1, (uintptr_t)e->ip);
    asm_li(&e->s, X2, emit_info(e, 0));
    asm_bl_to(&e->s, e->shared->op);
}

/* x0 holds what was loaded, as wide as it was. */
static void slow_loaded(struct emit *e, const struct vr_ir *ir)
{
    int d = emit_dst(ir->d, X0);
    switch (ir->op) {
    case VR_IR_ld8:
        asm_bits(&e->s, A64_SBFM, d, X0, 0, 8);
        break;
    case VR_IR_ld16:
        asm_bits(&e->s, A64_SBFM, d, X0, 0, 16);
        break;
    case VR_IR_ld32:
        asm_sxtw(&e->s, d, X0);
        break;
    case VR_IR_ldbox32:
        asm_logic_imm(&e->s, A64_ORRI, A64_ORR, d, X0, UINT64_C(0xffffffff00000000), X1);
        break;
    case VR_IR_ldbox16:
        asm_logic_imm(&e->s, A64_ORRI, A64_ORR, d, X0, ~UINT64_C(0xffff), X1);
        break;
    default:
        asm_mov(&e->s, d, X0);
        break;
    }
    emit_put(e, ir->d, d);
}

static void slow_op(struct emit *e, const struct emit_slow *slow)
{
    asm_li(&e->s, X1, (uintptr_t)slow->ir);
    asm_li(&e->s, X2, slow->info);
    asm_bl_to(&e->s, e->shared->op);
}

/* The result of the op is small or zero. FPSR.UFC is clear before every op, so it tells whether
 * this one underflowed. If it did, C finds the flags: Arm finds tininess before rounding, RISC-V
 * after (DDI 0487 D1.3.4 "Floating-point exceptions"; ISA manual, F 11.2). */
static void slow_tiny(struct emit *e, const struct emit_slow *slow)
{
    uint32_t ufc = 0, others = 0;
    bool fits = asm_mask(1u << 3, &ufc) && asm_mask(~UINT64_C(8), &others);
    vr_assert(fits);
    asm_mrs(&e->s, X0, A64_FPSR);
    asm_rr(&e->s, true, 0xf2000000u | ufc, XZR, X0); /* tst */
    size_t none = asm_bcc(&e->s, CC_EQ);
    asm_rr(&e->s, true, A64_ANDI | others, X0, X0);
    asm_msr(&e->s, A64_FPSR, X0);
    slow_op(e, slow);
    asm_b_to(&e->s, slow->resume);
    (void)asm_patch(&e->s, none, e->s.at);
    asm_b_to(&e->s, (size_t)slow->off); /* where the result is put away */
}

void emit_slow_path(struct emit *e, const struct emit_slow *slow)
{
    struct vr_asm *s = &e->s;
    emit_patch(s, slow->site, s->at);
    switch (slow->kind) {
    case SLOW_LOAD:
        asm_mov(s, X0, slow->reg);
        asm_li(s, X2, slow->info);
        asm_bl_to(s, e->shared->load);
        slow_loaded(e, slow->ir);
        break;
    case SLOW_STORE:
        asm_mov(s, X0, slow->reg);
        emit_get(e, X1, slow->ir->b);
        asm_li(s, X2, slow->info);
        asm_bl_to(s, e->shared->store);
        break;
    case SLOW_OP:
        slow_op(e, slow);
        break;
    case SLOW_TINY:
        slow_tiny(e, slow);
        return;
    case SLOW_FP_ON:
        asm_li(s, X2, slow->info);
        asm_bl_to(s, e->shared->fp_on);
        break;
    case SLOW_EXIT:
        if (slow->uncount) {
            asm_add_imm(s, EMIT_ICOUNT, EMIT_ICOUNT, -1, X1);
        }
        asm_li(s, X0, (uint64_t)slow->off);
        asm_b_to(s, e->shared->exit_off);
        return;
    case SLOW_FAR:
        emit_far(e, slow->off);
        return;
    case SLOW_END: /* not here */
    case SLOW_DIV:
    case SLOW_NAN64:
    case SLOW_NAN32:
        return;
    }
    asm_b_to(s, slow->resume);
}

/* All code memory is in reach of b; conditional jumps lead to slow paths, which are near. */
void emit_patch(struct vr_asm *s, size_t site, size_t target)
{
    bool reached = asm_patch(s, site, target);
    vr_assert(reached);
}

size_t emit_budget(struct emit *e)
{
    asm_add_imm(&e->s, X0, EMIT_ICOUNT, e->b->insn_count, X1);
    asm_mem(&e->s, A64_LDR_X, X1, EMIT_FIELD(budget));
    asm_rrr(&e->s, true, A64_SUBS, XZR, X0, X1);
    return asm_bcc(&e->s, CC_HI);
}

void emit_begin(struct emit *e)
{
    asm_add_imm(&e->s, EMIT_ICOUNT, EMIT_ICOUNT, e->b->insn_count, X1);
}
