/*
 * The x86-64 back end: loads, stores and atomics.
 *
 * The TLB look-up (cpu/ir/cpu.h): the tag that an access needs is made from the address of its last
 * byte, so an access over a page border misses, and one compare decides everything.
 */
#include "cpu/jit/x86_64/emit.h"

static int64_t mem_set(const struct emit *e)
{
    return (int64_t)(offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb) +
                     offsetof(struct vr_tlb, entry)) -
           EMIT_BIAS;
}

/* Where an access goes: @va, which is rax or the register of slot a, plus the entry's addend in
 * rdx. The miss jumps to the place that is returned. Uses rcx and rdx. */
static size_t mem_look_up(struct emit *e, unsigned width, enum vr_access access, int *ret_va)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    int va = emit_src(e, ip->a, RAX);
    if (ip->imm) {
        asm_lea(s, true, RAX, asm_at(va, ip->imm));
        va = RAX;
    }
    asm_rorx(s, false, RCX, va, VR_PAGE_SHIFT - 3);
    asm_alu_imm(s, false, ALU_AND, RCX, (VR_TLB_SIZE - 1) << 3);
    if (width > 1) {
        asm_lea(s, true, RDX, asm_at(va, width - 1));
    } else {
        asm_mov(s, RDX, va);
    }
    asm_alu_imm(s, true, ALU_AND, RDX, -(int32_t)VR_PAGE_SIZE);
    asm_alu_mem(s, true, ALU_OR, RDX, EMIT_FIELD(dctx));
    asm_alu_mem(s, true, ALU_CMP, RDX,
                asm_at_index(RBP, RCX, 2,
                             mem_set(e) + (int64_t)offsetof(struct vr_tlb_entry, tag) +
                                 (int64_t)access * 8));
    size_t miss = asm_jcc(s, CC_NE);
    asm_load(
        s, RDX,
        asm_at_index(RBP, RCX, 2, mem_set(e) + (int64_t)offsetof(struct vr_tlb_entry, addend)));
    *ret_va = va;
    return miss;
}

static unsigned mem_log2(unsigned width)
{
    return width == 1 ? 0 : width == 2 ? 1 : width == 4 ? 2 : 3;
}

/* What the fast path reads with: an opcode and REX.W; 0: an FP register's own. */
static void mem_load(struct emit *e, unsigned width, unsigned op, bool w)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    int va, x = emit_xmm(ip->d), d = emit_dst(ip->d, RAX);
    size_t miss = mem_look_up(e, width, VR_READ, &va);
    struct vr_asm_mem at = asm_at_index(va, RDX, 0, 0);

    if (ip->op == VR_IR_ldbox32) {
        asm_rm(s, false, 0x8b, RAX, at);
        asm_li(s, RCX, UINT64_C(0xffffffff00000000));
        asm_alu(s, true, ALU_OR, RAX, RCX);
        emit_put(e, ip->d, RAX);
        e->box_result = true;
    } else if (ip->op == VR_IR_ldbox16) {
        asm_rm(s, false, 0x0fb7, RAX, at);
        asm_alu_imm(s, true, ALU_OR, RAX, -65536);
        emit_put(e, ip->d, RAX);
        e->box_result = true;
    } else if (x != NO_REG) {
        asm_vrm(s, MAP_0F, PP_F2, false, 0x10, x, 0, at); /* vmovsd */
    } else {
        asm_rm(s, w, op, d, at);
        emit_put(e, ip->d, d);
    }
    struct emit_slow *slow = emit_slow(e, SLOW_LOAD, miss);
    slow->info = emit_info(e, mem_log2(width));
    slow->reg = va;
    slow->resume = s->at;
}

static void mem_store(struct emit *e, unsigned width)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    int va, x = emit_xmm(ip->b);
    size_t miss = mem_look_up(e, width, VR_WRITE, &va);
    struct vr_asm_mem at = asm_at_index(va, RDX, 0, 0);

    if (x != NO_REG && width == 8) {
        asm_vrm(s, MAP_0F, PP_F2, false, 0x11, x, 0, at);
    } else if (x != NO_REG && width == 4) {
        asm_vrm(s, MAP_0F, PP_F3, false, 0x11, x, 0, at);
    } else {
        int v = emit_src(e, ip->b, RCX);
        if (width == 2) {
            asm_u8(s, 0x66);
        }
        if (width == 1) {
            asm_rex(s, false, v, at.index, at.base, true);
            asm_u8(s, 0x88);
            asm_modrm_mem(s, v, at, 0);
        } else {
            asm_rm(s, width == 8, 0x89, v, at);
        }
    }
    struct emit_slow *slow = emit_slow(e, SLOW_STORE, miss);
    slow->info = emit_info(e, mem_log2(width));
    slow->reg = va;
    slow->resume = s->at;
}

/* amoswap and amoadd of words and doublewords; the others are loops, which C does as well. */
static bool mem_amo(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    struct vr_asm *s = &e->s;
    unsigned log2_width = ip->c >> 4, kind = ip->c & 15;
    bool w = log2_width == 3;
    int va;
    if (log2_width < 2 || (kind != VR_AMO_SWAP && kind != VR_AMO_ADD)) {
        return false;
    }
    int a = emit_src(e, ip->a, RAX);
    asm_rex(s, false, 0, NO_REG, a, true);
    asm_u8(s, 0xf6); /* test a8, imm8 */
    asm_u8(s, 0xc0 | ((unsigned)a & 7));
    asm_u8(s, w ? 7 : 3);
    size_t misaligned = asm_jcc(s, CC_NE);
    size_t miss = mem_look_up(e, 1, VR_WRITE, &va);
    asm_alu(s, true, ALU_ADD, RDX, va);
    emit_get(e, RAX, ip->b);
    if (kind == VR_AMO_ADD) {
        asm_u8(s, 0xf0);
        asm_rm(s, w, 0x0fc1, RAX, asm_at(RDX, 0)); /* lock xadd */
    } else {
        asm_rm(s, w, 0x87, RAX, asm_at(RDX, 0)); /* xchg */
    }
    if (!w) {
        asm_movsxd(s, RAX, RAX);
    }
    emit_put(e, ip->d, RAX);
    emit_slow(e, SLOW_OP, misaligned)->resume = s->at;
    emit_slow(e, SLOW_OP, miss)->resume = s->at;
    return true;
}

bool emit_mem_op(struct emit *e)
{
    switch (e->ip->op) {
    case VR_IR_ld8:
        return mem_load(e, 1, 0x0fbe, true), true;
    case VR_IR_ld8u:
        return mem_load(e, 1, 0x0fb6, false), true;
    case VR_IR_ld16:
        return mem_load(e, 2, 0x0fbf, true), true;
    case VR_IR_ld16u:
        return mem_load(e, 2, 0x0fb7, false), true;
    case VR_IR_ld32:
        return mem_load(e, 4, 0x63, true), true;
    case VR_IR_ld32u:
    case VR_IR_ldbox32:
        return mem_load(e, 4, 0x8b, false), true;
    case VR_IR_ld64:
        return mem_load(e, 8, 0x8b, true), true;
    case VR_IR_ldbox16:
        return mem_load(e, 2, 0, false), true;
    case VR_IR_st8:
        return mem_store(e, 1), true;
    case VR_IR_st16:
        return mem_store(e, 2), true;
    case VR_IR_st32:
        return mem_store(e, 4), true;
    case VR_IR_st64:
        return mem_store(e, 8), true;
    case VR_IR_amo:
        return mem_amo(e);
    case VR_IR_helper:
        asm_li(&e->s, RDX, (uintptr_t)e->ip);
        asm_li(&e->s, RCX, emit_info(e, 0));
        asm_call_to(&e->s, e->shared->helper);
        return true;
    default:
        return false;
    }
}
