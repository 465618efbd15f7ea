/*
 * The RISC-V instruction table and what turns its rows into IR. Inside cpu/riscv (and its tests)
 * only.
 */
#ifndef VR_CPU_RISCV_DECODE_H
#define VR_CPU_RISCV_DECODE_H

#include "cpu/ir/ir.h"
#include "cpu/riscv/hart.h"

struct rv_insn;
typedef void (*rv_emit_fn)(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);

/* One instruction of 32 bits. @emit stands for the operand format too: each format has one. */
struct rv_insn {
    const char *name;
    uint32_t match, mask;
    rv_emit_fn emit;
    uint16_t op;       /* enum vr_ir_opcode */
    uint8_t sub;       /* enum vr_fpx, enum vr_amo, enum rv_helper, or a shift, as @op needs it */
    uint8_t arg;       /* RV_FP_* flags, or log2 of an access size */
    uint8_t ext, ext2; /* both must be on; RV_EXT_i: always */
};

/* rv_insn.arg of floating point rows: which operands are in f registers, and what the row needs. */
enum {
    RV_FP_D = 1,      /* rd is an f register */
    RV_FP_A = 2,      /* rs1 */
    RV_FP_B = 4,      /* rs2, which is an operand */
    RV_FP_RM = 8,     /* has a rounding mode */
    RV_FP_B_USED = 16 /* rs2 is an operand at all */
};

extern const struct rv_insn rv_insns[];
extern const unsigned rv_insn_count;

/* The rows that a configuration has, by major opcode and funct3 (OP-FP: by funct5). */
enum { RV_KEYS = 32 * 8 + 32, RV_KEY_ROWS = 2048 };
struct rv_decoder {
    uint16_t first[RV_KEYS + 1];
    uint16_t row[RV_KEY_ROWS];
};
/* Free with free(). NULL: no memory. */
struct rv_decoder *rv_decoder_create(const struct rv_config *config);
/* The row of a 32-bit instruction; NULL: illegal. */
const struct rv_insn *rv_decoder_find(const struct rv_decoder *d, uint32_t insn);

/* The 32-bit instruction that means the same as the 16-bit one (its extensions are then checked
 * like any other's); 0: illegal. */
uint32_t rv_expand(const struct rv_config *config, uint16_t half);

/* Formats (decode_emit.c, decode_fp.c). */
void rv_emit_lui(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_auipc(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_jal(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_jalr(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_branch(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_load(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_store(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_imm(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_shift(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_reg(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_unary(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_bit(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_zero(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_fence(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_lr(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_sc(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_amo(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_amocas(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_csr(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_helper(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_system(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_illegal(struct vr_builder *b, uint32_t bits);
void rv_emit_fload(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_fstore(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_fp(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_fma(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);
void rv_emit_fli(struct vr_builder *b, const struct rv_insn *row, uint32_t insn);

/* Fields of an instruction word. */
static inline unsigned rv_rd(uint32_t insn)
{
    return insn >> 7 & 31;
}
static inline unsigned rv_rs1(uint32_t insn)
{
    return insn >> 15 & 31;
}
static inline unsigned rv_rs2(uint32_t insn)
{
    return insn >> 20 & 31;
}
static inline unsigned rv_funct3(uint32_t insn)
{
    return insn >> 12 & 7;
}
/* Where a result for integer register rd goes. */
static inline unsigned rv_dest(uint32_t insn)
{
    unsigned rd = rv_rd(insn);
    return rd ? rd : VR_SLOT_SINK;
}
static inline int64_t rv_imm_i(uint32_t insn)
{
    return (int32_t)insn >> 20;
}
static inline int64_t rv_imm_s(uint32_t insn)
{
    return ((int32_t)(insn & 0xfe000000) >> 20) | (int32_t)(insn >> 7 & 31);
}

#endif
