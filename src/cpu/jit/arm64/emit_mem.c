/*
 * The arm64 back end: loads and stores.
 *
 * The TLB look-up (cpu/ir/cpu.h): the tag that an access needs is made from the address of its last
 * byte, so an access over a page border misses, and one compare decides everything. RISC-V orders
 * memory no more strictly than Arm does (RVWMO; DDI 0487 B2.3): plain accesses are plain ones.
 */
#include "cpu/jit/arm64/emit.h"

size_t emit_look_up(struct emit *e, unsigned width, enum vr_access access, int *ret_va)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    size_t off;
    int va = emit_src_sp(e, ip->a, X0);
    if (ip->imm) {
        asm_add_imm(s, X0, va, ip->imm, X1);
        va = X0;
    }
    emit_tlb_entry(e, X2, va, &off);
    asm_mem(s, A64_LDR_X, X3, X2, off + offsetof(struct vr_tlb_entry, tag) + access * 8u);
    asm_mem(s, A64_LDR_X, X4, EMIT_FIELD(dctx));
    asm_add_imm(s, X1, va, width - 1, X1);
    /* Contexts have 12 bits, as have offsets in a page: bfi puts the page above them. */
    asm_bits(s, A64_UBFM, X1, X1, VR_PAGE_SHIFT, 64 - VR_PAGE_SHIFT);
    asm_u32(s, A64_BFM | (64 - VR_PAGE_SHIFT) << 16 | (63 - VR_PAGE_SHIFT) << 10 | X1 << 5 | X4);
    asm_rrr(s, true, A64_SUBS, XZR, X3, X4);
    size_t miss = asm_bcc(s, CC_NE);
    asm_mem(s, A64_LDR_X, X2, X2, off + offsetof(struct vr_tlb_entry, addend));
    *ret_va = va;
    return miss;
}

static void mem_load(struct emit *e, unsigned log2_width, bool is_signed)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    int va, x = emit_fpr(ip->d), d = emit_dst(ip->d, X0);
    size_t miss = emit_look_up(e, 1u << log2_width, VR_READ, &va);
    uint32_t op = log2_width << 30 | (is_signed ? A64_LDS_RX : A64_LDR_RX);

    if (ip->op == VR_IR_ldbox32 || ip->op == VR_IR_ldbox16) {
        asm_rrr(s, true, op, X1, va, X2);
        asm_logic_imm(s, A64_ORRI, A64_ORR, X1, X1,
                      UINT64_MAX << (ip->op == VR_IR_ldbox32 ? 32 : 16), X2);
        emit_put(e, ip->d, X1);
        e->box_result = true;
    } else if (x != NO_REG) {
        asm_rrr(s, true, op | A64_FP_RX, x, va, X2);
    } else {
        asm_rrr(s, true, op, d, va, X2);
        emit_put(e, ip->d, d);
    }
    struct emit_slow *slow = emit_slow(e, SLOW_LOAD, miss);
    slow->info = emit_info(e, log2_width);
    slow->reg = va;
    slow->resume = s->at;
}

static void mem_store(struct emit *e, unsigned log2_width)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    int va, x = emit_fpr(ip->b);
    size_t miss = emit_look_up(e, 1u << log2_width, VR_WRITE, &va);
    uint32_t op = log2_width << 30 | A64_STR_RX;

    if (x != NO_REG) {
        asm_rrr(s, true, op | A64_FP_RX, x, va, X2);
    } else {
        asm_rrr(s, true, op, emit_src(e, ip->b, X1), va, X2);
    }
    struct emit_slow *slow = emit_slow(e, SLOW_STORE, miss);
    slow->info = emit_info(e, log2_width);
    slow->reg = va;
    slow->resume = s->at;
}

bool emit_mem_op(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_ld8:
        return mem_load(e, 0, true), true;
    case VR_IR_ld8u:
        return mem_load(e, 0, false), true;
    case VR_IR_ld16:
        return mem_load(e, 1, true), true;
    case VR_IR_ld16u:
    case VR_IR_ldbox16:
        return mem_load(e, 1, false), true;
    case VR_IR_ld32:
        return mem_load(e, 2, true), true;
    case VR_IR_ld32u:
    case VR_IR_ldbox32:
        return mem_load(e, 2, false), true;
    case VR_IR_ld64:
        return mem_load(e, 3, false), true;
    case VR_IR_st8:
        return mem_store(e, 0), true;
    case VR_IR_st16:
        return mem_store(e, 1), true;
    case VR_IR_st32:
        return mem_store(e, 2), true;
    case VR_IR_st64:
        return mem_store(e, 3), true;
    case VR_IR_lr32:
    case VR_IR_lr64:
    case VR_IR_sc32:
    case VR_IR_sc64:
    case VR_IR_amo:
    case VR_IR_amocas:
        return emit_atomic(e), true;
    case VR_IR_helper:
        asm_li(&e->s, X1, (uintptr_t)e->ip);
        asm_li(&e->s, X2, emit_info(e, 0));
        asm_bl_to(&e->s, e->shared->helper);
        return true;
    default:
        return false;
    }
}
