/*
 * What each integer, memory and system instruction means, by operand format.
 * RISC-V ISA manual, volume I, chapters 2 to 15, 28 (B), and volume II for the system instructions.
 *
 * An instruction always emits at least one op: the engine counts instructions by them.
 */
#include "cpu/riscv/decode.h"

static int64_t emit_imm_b(uint32_t insn)
{
    uint32_t v =
        (insn & 0x80000000) | (insn & 0x80) << 23 | (insn & 0x7e000000) >> 1 | (insn & 0xf00) << 12;
    return (int32_t)v >> 19;
}

static int64_t emit_imm_j(uint32_t insn)
{
    uint32_t v = (insn & 0x80000000) | (insn & 0xff000) << 11 | (insn & 0x100000) << 2 |
                 (insn & 0x7fe00000) >> 9;
    return (int32_t)v >> 11;
}

static bool emit_hint(struct vr_builder *b, uint32_t insn)
{
    if (rv_rd(insn)) {
        return false;
    }
    vr_emit(b, VR_IR_nop, 0, 0, 0, 0, 0);
    return true;
}

/* The op before, if it just set @slot to a value that is known but for the block's address (pcrel),
 * or wholly (li); else NULL. Control reaches an op only from the one before it. */
static const struct vr_ir *emit_known(const struct vr_builder *b, unsigned slot)
{
    const struct vr_ir *last = b->count ? &b->ir[b->count - 1] : NULL;
    bool known = last && (last->op == VR_IR_li || last->op == VR_IR_pcrel) && last->d == slot;
    return known ? last : NULL;
}

void rv_emit_lui(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    (void)row;
    if (!emit_hint(b, insn)) {
        vr_emit(b, VR_IR_li, rv_rd(insn), 0, 0, 0, (int32_t)(insn & 0xfffff000));
    }
}

void rv_emit_auipc(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    (void)row;
    if (!emit_hint(b, insn)) {
        vr_emit(b, VR_IR_pcrel, rv_rd(insn), 0, 0, 0, b->at + (int32_t)(insn & 0xfffff000));
    }
}

static void emit_jump(struct vr_builder *b, unsigned rd, int64_t target)
{
    if (rd) {
        vr_emit(b, VR_IR_jal, rd, 0, 0, b->insn_len, target);
    } else {
        vr_emit(b, VR_IR_jmp, 0, 0, 0, 0, target);
    }
    b->ended = true;
}

void rv_emit_jal(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    (void)row;
    emit_jump(b, rv_rd(insn), b->at + emit_imm_j(insn));
}

void rv_emit_jalr(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    const struct vr_ir *base = emit_known(b, rv_rs1(insn));
    (void)row;
    if (base && base->op == VR_IR_pcrel) { /* auipc before it: a far call or jump */
        emit_jump(b, rv_rd(insn), (int64_t)((uint64_t)(base->imm + rv_imm_i(insn)) & ~UINT64_C(1)));
        return;
    }
    vr_emit(b, VR_IR_jalr, rv_dest(insn), rv_rs1(insn), 0, b->insn_len, rv_imm_i(insn));
    b->ended = true;
}

void rv_emit_branch(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, row->op, 0, rv_rs1(insn), rv_rs2(insn), 0, b->at + emit_imm_b(insn));
    b->ended = true;
}

void rv_emit_load(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, row->op, rv_dest(insn), rv_rs1(insn), 0, 0, rv_imm_i(insn));
}

void rv_emit_store(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, row->op, 0, rv_rs1(insn), rv_rs2(insn), 0, rv_imm_s(insn));
}

void rv_emit_imm(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned d = rv_rd(insn), a = rv_rs1(insn);
    int64_t imm = rv_imm_i(insn);
    const struct vr_ir *base = emit_known(b, a);
    if (emit_hint(b, insn)) {
        return;
    }
    if (base && row->op == VR_IR_addi) { /* lui or auipc before it */
        vr_emit(b, (enum vr_ir_opcode)base->op, d, 0, 0, 0, base->imm + imm);
    } else if (base && row->op == VR_IR_addiw && base->op == VR_IR_li) {
        vr_emit(b, VR_IR_li, d, 0, 0, 0, (int32_t)(uint32_t)(base->imm + imm));
    } else if (row->op == VR_IR_addi && a == 0) {
        vr_emit(b, VR_IR_li, d, 0, 0, 0, imm);
    } else if (row->op == VR_IR_addi && imm == 0) {
        vr_emit(b, VR_IR_mov, d, a, 0, 0, 0);
    } else if (row->op == VR_IR_addiw && imm == 0) {
        vr_emit(b, VR_IR_sext32, d, a, 0, 0, 0);
    } else {
        vr_emit(b, row->op, d, a, 0, 0, imm);
    }
}

void rv_emit_shift(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    if (!emit_hint(b, insn)) {
        vr_emit(b, row->op, rv_rd(insn), rv_rs1(insn), 0, 0, insn >> 20 & 63);
    }
}

void rv_emit_reg(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned d = rv_rd(insn), a = rv_rs1(insn), rb = rv_rs2(insn);
    if (emit_hint(b, insn)) {
        return;
    }
    if (row->op == VR_IR_add && (a == 0 || rb == 0)) {
        vr_emit(b, VR_IR_mov, d, a | rb, 0, 0, 0);
    } else if (row->op == VR_IR_shadduw && row->sub == 0 && rb == 0) {
        vr_emit(b, VR_IR_zext32, d, a, 0, 0, 0);
    } else {
        vr_emit(b, row->op, d, a, rb, row->sub, 0);
    }
}

void rv_emit_unary(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    if (!emit_hint(b, insn)) {
        vr_emit(b, row->op, rv_rd(insn), rv_rs1(insn), 0, 0, 0);
    }
}

/* bclri, bseti, binvi: an immediate with one bit set, or one clear. */
void rv_emit_bit(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    uint64_t bit = UINT64_C(1) << (insn >> 20 & 63);
    if (!emit_hint(b, insn)) {
        vr_emit(b, row->op, rv_rd(insn), rv_rs1(insn), 0, 0,
                (int64_t)(row->op == VR_IR_andi ? ~bit : bit));
    }
}

/* Zimop: may-be-operations of the future write zero until they get a meaning. */
void rv_emit_zero(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    (void)row;
    if (!emit_hint(b, insn)) {
        vr_emit(b, VR_IR_li, rv_rd(insn), 0, 0, 0, 0);
    }
}

/* pred and succ: I O R W from bit 3 down; fm 8 is fence.tso, which leaves store-load pairs alone.
 */
void rv_emit_fence(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned pred = insn >> 24 & 15, succ = insn >> 20 & 15, fm = insn >> 28;
    bool store_load = (pred & 5) && (succ & 10) && fm != 8;
    (void)row;
    vr_emit(b, VR_IR_fence, 0, 0, 0, 0, store_load ? 0 : 1);
}

void rv_emit_lr(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, row->op, rv_dest(insn), rv_rs1(insn), 0, 0, 0);
}

void rv_emit_sc(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, row->op, rv_dest(insn), rv_rs1(insn), rv_rs2(insn), 0, 0);
}

void rv_emit_amo(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, VR_IR_amo, rv_dest(insn), rv_rs1(insn), rv_rs2(insn),
            row->sub | (unsigned)row->arg << 4, 0);
}

/* rd is an operand too, so x0 stays x0: the op reads zero from it and drops the result. */
void rv_emit_amocas(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, VR_IR_amocas, rv_rd(insn), rv_rs1(insn), rv_rs2(insn), row->arg, 0);
}

void rv_emit_csr(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned a = rv_funct3(insn) & 4 ? 0 : rv_rs1(insn);
    (void)row;
    vr_emit(b, VR_IR_helper_end, rv_dest(insn), a, 0, RV_H_CSR, insn);
    b->ended = true;
}

void rv_emit_helper(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, VR_IR_helper, VR_SLOT_SINK, rv_rs1(insn), 0, row->sub, insn);
}

void rv_emit_system(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    vr_emit(b, VR_IR_helper_end, VR_SLOT_SINK, rv_rs1(insn), rv_rs2(insn), row->sub, insn);
    b->ended = true;
}

void rv_emit_illegal(struct vr_builder *b, uint32_t bits)
{
    vr_emit(b, VR_IR_helper_end, VR_SLOT_SINK, 0, 0, RV_H_ILLEGAL, bits);
    b->ended = true;
}
