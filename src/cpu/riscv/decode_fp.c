/*
 * What each floating point instruction means, by operand format.
 * RISC-V ISA manual, volume I: F, D, Zfh, Zfhmin, Zfa.
 *
 * The first FP instruction of a block checks that FP is on; a block is only entered at its start,
 * and what can turn FP off ends a block. The same holds for the dynamic rounding mode.
 */
#include "cpu/fp/fp.h"
#include "cpu/riscv/decode.h"

enum { FP_FMT_S, FP_FMT_D, FP_FMT_H };

static void fp_begin(struct vr_builder *b)
{
    if (!b->fp_checked) {
        vr_emit(b, VR_IR_fpcheck, 0, 0, 0, 0, 0);
        b->fp_checked = true;
    }
}

/* The rounding mode field; false: reserved, and the instruction is illegal. */
static bool fp_rounding(struct vr_builder *b, uint32_t insn)
{
    unsigned rm = rv_funct3(insn);
    if (rm == 5 || rm == 6) {
        rv_emit_illegal(b, insn);
        return false;
    }
    fp_begin(b);
    if (rm == VR_RM_DYN && !b->rm_checked) {
        vr_emit(b, VR_IR_rmcheck, 0, 0, 0, 0, 0);
        b->rm_checked = true;
    }
    return true;
}

void rv_emit_fload(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    fp_begin(b);
    vr_emit(b, row->op, VR_SLOT_F0 + rv_rd(insn), rv_rs1(insn), 0, 0, rv_imm_i(insn));
}

void rv_emit_fstore(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    fp_begin(b);
    vr_emit(b, row->op, 0, rv_rs1(insn), VR_SLOT_F0 + rv_rs2(insn), 0, rv_imm_s(insn));
}

void rv_emit_fp(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned d = row->arg & RV_FP_D ? VR_SLOT_F0 + rv_rd(insn) : rv_dest(insn);
    unsigned a = rv_rs1(insn) + (row->arg & RV_FP_A ? VR_SLOT_F0 : 0);
    unsigned rb = row->arg & RV_FP_B ? VR_SLOT_F0 + rv_rs2(insn) : 0;
    int64_t rm = 0;

    if (row->arg & RV_FP_RM) {
        if (!fp_rounding(b, insn)) {
            return;
        }
        rm = rv_funct3(insn);
    } else {
        fp_begin(b);
    }
    vr_emit(b, row->op, d, a, rb, row->sub, rm);
}

static unsigned fp_negated_h(struct vr_builder *b, unsigned slot)
{
    unsigned t = vr_temp(b);
    vr_emit(b, VR_IR_fpx, t, slot, slot, VR_FPX_fsgnjn_h, 0);
    return t;
}

/* sub: VR_FMA_NEG_*; arg: the format. */
void rv_emit_fma(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned d = VR_SLOT_F0 + rv_rd(insn), a = VR_SLOT_F0 + rv_rs1(insn);
    unsigned rb = VR_SLOT_F0 + rv_rs2(insn), c = VR_SLOT_F0 + (insn >> 27);
    int64_t imm = rv_funct3(insn) | row->sub;

    if (!fp_rounding(b, insn)) {
        return;
    }
    if (row->arg == FP_FMT_H) { /* its op changes no signs */
        a = imm & VR_FMA_NEG_PRODUCT ? fp_negated_h(b, a) : a;
        c = imm & VR_FMA_NEG_ADDEND ? fp_negated_h(b, c) : c;
        vr_emit(b, VR_IR_fpx, d, a, rb, VR_FPX_fma_h, (imm & 7) | (int64_t)c << 8);
    } else {
        vr_emit(b, row->op, d, a, rb, c, imm);
    }
}

/* arg: the format; the rs1 field picks the constant. */
void rv_emit_fli(struct vr_builder *b, const struct rv_insn *row, uint32_t insn)
{
    unsigned index = rv_rs1(insn);
    uint64_t v = row->arg == FP_FMT_S   ? vr_f32_box(vr_f32_fli(index))
                 : row->arg == FP_FMT_D ? vr_f64_fli(index)
                                        : vr_f16_box(vr_f16_fli(index));
    fp_begin(b);
    vr_emit(b, VR_IR_li, VR_SLOT_F0 + rv_rd(insn), 0, 0, 0, (int64_t)v);
}
