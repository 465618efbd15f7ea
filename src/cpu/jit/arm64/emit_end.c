/* The arm64 back end: the ends of blocks, and jumps to other pages. */
#include "cpu/jit/arm64/emit.h"

void emit_pcrel(struct emit *e, unsigned slot, int64_t off)
{
    int d = emit_dst(slot, X2);
    asm_mem(&e->s, A64_LDR_X, d, EMIT_FIELD(page_va));
    asm_add_imm(&e->s, d, d, off, X1);
    emit_put(e, slot, d);
}

void emit_far_x0(struct emit *e)
{
    struct vr_asm *s = &e->s;
    size_t code = offsetof(struct vr_cpu, tlb) + e->mode * sizeof(struct vr_tlb) +
                  offsetof(struct vr_tlb, code);
    size_t off, wanted = emit_attention(e);
    emit_tlb_entry(e, X2, X0, &off); /* x1: index */
    asm_mem(s, A64_LDR_X, X3, X2, off + offsetof(struct vr_tlb_entry, tag[VR_EXEC]));
    asm_logic_imm(s, A64_ANDI, A64_AND, X4, X0, ~(uint64_t)(VR_PAGE_SIZE - 1), X2);
    asm_mem(s, A64_STR_X, X4, EMIT_FIELD(page_va));
    asm_mem(s, A64_LDR_X, X2, EMIT_FIELD(ictx));
    asm_rrr(s, true, A64_ORR, X4, X4, X2);
    asm_rrr(s, true, A64_SUBS, XZR, X3, X4);
    size_t miss = asm_bcc(s, CC_NE);
    asm_add_imm(s, X2, EMIT_CPU, (int64_t)(code & ~(size_t)0xfff), X3);
    asm_rrr_lsl(s, A64_ADD, X2, X2, X1, 3);
    asm_mem(s, A64_LDR_X, X2, X2, code & 0xfff);
    asm_logic_imm(s, A64_ANDI, A64_AND, X1, X0, VR_PAGE_SIZE - 2, X3);
    asm_rrr_lsl(s, A64_ADD, X2, X2, X1, 1); /* 4 bytes a half word */
    asm_mem(s, A64_LDR_W, X1, X2, 0);
    asm_rrr(s, true, A64_ADD, X1, X1, EMIT_BASE);
    asm_br(s, X1);
    emit_patch(s, wanted, s->at);
    emit_patch(s, miss, s->at);
    asm_b_to(s, e->shared->exit_pc);
}

void emit_far(struct emit *e, int64_t off)
{
    asm_mem(&e->s, A64_LDR_X, X0, EMIT_FIELD(page_va));
    asm_add_imm(&e->s, X0, X0, off, X1);
    emit_far_x0(e);
}

size_t emit_jump(struct emit *e)
{
    return asm_b(&e->s);
}

static unsigned end_cc(unsigned op)
{
    switch (op) {
    case VR_IR_beq:
        return CC_EQ;
    case VR_IR_bne:
        return CC_NE;
    case VR_IR_blt:
        return CC_LT;
    case VR_IR_bge:
        return CC_GE;
    case VR_IR_bltu:
        return CC_LO;
    default:
        return CC_HS;
    }
}

/* Links are b, which reaches all code; so a conditional jump goes around one. */
void emit_end_branch(struct emit *e, int64_t taken, int64_t on, const struct vr_block *next)
{
    const struct vr_ir *ip = e->ip;
    unsigned cc = end_cc(ip->op);
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_SUBS, XZR, a, b);
    if (!emit_is_near(taken)) {
        emit_slow(e, SLOW_FAR, asm_bcc(&e->s, cc))->off = taken;
        emit_go(e, on, next);
        return;
    }
    if (emit_is_next(next, taken) && emit_is_near(on)) { /* the other way around */
        int64_t t = taken;
        taken = on;
        on = t;
        cc ^= 1;
    }
    size_t around = asm_bcc(&e->s, cc ^ 1);
    emit_link(e, asm_b(&e->s), (unsigned)taken);
    emit_patch(&e->s, around, e->s.at);
    emit_go(e, on, next);
}

void emit_end_jalr(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    asm_add_imm(&e->s, X0, emit_src_sp(e, ip->a, X0), ip->imm, X1);
    asm_logic_imm(&e->s, A64_ANDI, A64_AND, X0, X0, ~UINT64_C(1), X1);
    if (ip->d != VR_SLOT_SINK) {
        emit_pcrel(e, ip->d, (int64_t)e->page_off + ip->at + ip->c);
    }
    emit_far_x0(e);
}

/* How long the instruction is stands where others say how many follow. */
void emit_end_helper(struct emit *e, const struct vr_block *next)
{
    const struct vr_ir *ip = e->ip;
    (void)next; /* compiled code comes back through the TLB */
    asm_li(&e->s, X1, (uintptr_t)ip);
    asm_li(&e->s, X2, JIT_INFO(e->page_off + ip->at, e->b->len - ip->at, 0));
    asm_b_to(&e->s, e->shared->helper_end);
}
