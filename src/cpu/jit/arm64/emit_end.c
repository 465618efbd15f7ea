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

static void end_far(struct emit *e, int64_t off)
{
    asm_mem(&e->s, A64_LDR_X, X0, EMIT_FIELD(page_va));
    asm_add_imm(&e->s, X0, X0, off, X1);
    emit_far_x0(e);
}

void emit_slow_far(struct emit *e, const struct emit_slow *slow)
{
    end_far(e, slow->off);
}

static bool end_is_near(int64_t off)
{
    return off >= 0 && off < VR_PAGE_SIZE;
}

/* Before the last instruction of a block that may go back: somebody may want this thread. */
static void end_check(struct emit *e)
{
    struct emit_slow *slow = emit_slow(e, SLOW_EXIT, emit_attention(e));
    slow->off = e->page_off + e->ip->at;
    slow->uncount = true;
}

static bool end_is_next(const struct vr_block *next, int64_t off)
{
    return next && end_is_near(off) && (next->gpa & (VR_PAGE_SIZE - 1)) == (uint64_t)off;
}

static void end_go(struct emit *e, int64_t off, const struct vr_block *next)
{
    if (!end_is_near(off)) {
        end_far(e, off);
    } else if (!end_is_next(next, off)) {
        emit_link(e, asm_b(&e->s), (unsigned)off);
    }
}

/* Links are b, which reaches all code; so a conditional jump goes around one. */
static void end_branch(struct emit *e, unsigned cc, const struct vr_block *next)
{
    const struct vr_ir *ip = e->ip;
    int64_t taken = (int64_t)e->page_off + ip->imm, on = (int64_t)e->page_off + e->b->len;
    if (end_is_near(taken) && taken <= (int64_t)e->page_off) {
        end_check(e);
    }
    int a = emit_src(e, ip->a, X0), b = emit_src(e, ip->b, X1);
    asm_rrr(&e->s, true, A64_SUBS, XZR, a, b);
    if (!end_is_near(taken)) {
        emit_slow(e, SLOW_FAR, asm_bcc(&e->s, cc))->off = taken;
        end_go(e, on, next);
        return;
    }
    if (end_is_next(next, taken) && end_is_near(on)) { /* the other way around */
        int64_t t = taken;
        taken = on;
        on = t;
        cc ^= 1;
    }
    size_t around = asm_bcc(&e->s, cc ^ 1);
    emit_link(e, asm_b(&e->s), (unsigned)taken);
    emit_patch(&e->s, around, e->s.at);
    end_go(e, on, next);
}

static void end_jalr(struct emit *e)
{
    const struct vr_ir *ip = e->ip;
    asm_add_imm(&e->s, X0, emit_src_sp(e, ip->a, X0), ip->imm, X1);
    asm_logic_imm(&e->s, A64_ANDI, A64_AND, X0, X0, ~UINT64_C(1), X1);
    if (ip->d != VR_SLOT_SINK) {
        emit_pcrel(e, ip->d, (int64_t)e->page_off + ip->at + ip->c);
    }
    emit_far_x0(e);
}

void emit_end_op(struct emit *e, const struct vr_block *next)
{
    const struct vr_ir *ip = e->ip;
    int64_t target = (int64_t)e->page_off + ip->imm;
    switch (ip->op) {
    case VR_IR_jmp:
    case VR_IR_jal:
        if (end_is_near(target) && target <= (int64_t)e->page_off) {
            end_check(e);
        }
        if (ip->op == VR_IR_jal) {
            emit_pcrel(e, ip->d, (int64_t)e->page_off + ip->at + ip->c);
        }
        end_go(e, target, next);
        break;
    case VR_IR_jalr:
        end_jalr(e);
        break;
    case VR_IR_beq:
        end_branch(e, CC_EQ, next);
        break;
    case VR_IR_bne:
        end_branch(e, CC_NE, next);
        break;
    case VR_IR_blt:
        end_branch(e, CC_LT, next);
        break;
    case VR_IR_bge:
        end_branch(e, CC_GE, next);
        break;
    case VR_IR_bltu:
        end_branch(e, CC_LO, next);
        break;
    case VR_IR_bgeu:
        end_branch(e, CC_HS, next);
        break;
    case VR_IR_helper_end:
        asm_li(&e->s, X1, (uintptr_t)ip);
        asm_li(&e->s, X2, JIT_INFO(e->page_off + ip->at, e->b->len - ip->at, 0));
        asm_b_to(&e->s, e->shared->helper_end);
        break;
    default:
        e->failed = true;
        break;
    }
}
