/*
 * Compressed instructions, as the 32-bit instructions that they stand for.
 * RISC-V ISA manual, volume I, chapters "C" and "Zc*" (Zca, Zcd, Zcb), Zcmop, RV64.
 *
 * Hints expand to an instruction that writes x0; reserved encodings to 0.
 */
#include "cpu/riscv/decode.h"

enum {
    LOAD = 0x03,
    LOAD_FP = 0x07,
    OP_IMM = 0x13,
    OP_IMM_32 = 0x1b,
    STORE = 0x23,
    STORE_FP = 0x27,
    OP = 0x33,
    LUI = 0x37,
    OP_32 = 0x3b,
    BRANCH = 0x63,
    JALR = 0x67,
    JAL = 0x6f,
    C_NOP = OP_IMM,
};

static uint32_t c_r(uint32_t f7, unsigned rs2, unsigned rs1, uint32_t f3, unsigned rd, uint32_t op)
{
    return f7 << 25 | rs2 << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}

static uint32_t c_i(int32_t imm, unsigned rs1, uint32_t f3, unsigned rd, uint32_t op)
{
    return (uint32_t)imm << 20 | rs1 << 15 | f3 << 12 | rd << 7 | op;
}

static uint32_t c_s(uint32_t imm, unsigned rs2, unsigned rs1, uint32_t f3, uint32_t op)
{
    return c_r(imm >> 5, rs2, rs1, f3, imm & 31, op);
}

/* Bits [@lo, @lo + @n) of @c, moved to position @to. */
static uint32_t c_bits(uint32_t c, unsigned lo, unsigned n, unsigned to)
{
    return (c >> lo & ((1u << n) - 1)) << to;
}

/* The registers x8..x15 that three-bit fields name. */
static unsigned c_low(uint32_t c, unsigned at)
{
    return 8 + (c >> at & 7);
}

static int32_t c_imm6(uint32_t c)
{
    return (int32_t)(c_bits(c, 2, 5, 0) | c_bits(c, 12, 1, 5)) - (int32_t)c_bits(c, 12, 1, 6);
}

/* Offsets of word and doubleword accesses in quadrant 0. */
static uint32_t c_off_w(uint32_t c)
{
    return c_bits(c, 10, 3, 3) | c_bits(c, 6, 1, 2) | c_bits(c, 5, 1, 6);
}

static uint32_t c_off_d(uint32_t c)
{
    return c_bits(c, 10, 3, 3) | c_bits(c, 5, 2, 6);
}

/* Zcb: byte and halfword accesses. */
static uint32_t c_zcb_memory(uint32_t c)
{
    unsigned rs1 = c_low(c, 7), r2 = c_low(c, 2);
    uint32_t off_b = c_bits(c, 6, 1, 0) | c_bits(c, 5, 1, 1), off_h = c_bits(c, 5, 1, 1);
    switch (c >> 10 & 7) {
    case 0:
        return c_i((int32_t)off_b, rs1, 4, r2, LOAD);
    case 1: /* c.lhu, c.lh */
        return c_i((int32_t)off_h, rs1, c >> 6 & 1 ? 1 : 5, r2, LOAD);
    case 2:
        return c_s(off_b, r2, rs1, 0, STORE);
    case 3:
        return c >> 6 & 1 ? 0 : c_s(off_h, r2, rs1, 1, STORE);
    default:
        return 0;
    }
}

static uint32_t c_quadrant0(const struct rv_config *config, uint32_t c)
{
    unsigned rs1 = c_low(c, 7), r2 = c_low(c, 2);
    switch (c >> 13) {
    case 0: { /* c.addi4spn; 0 is the defined illegal instruction */
        uint32_t imm =
            c_bits(c, 11, 2, 4) | c_bits(c, 7, 4, 6) | c_bits(c, 6, 1, 2) | c_bits(c, 5, 1, 3);
        return imm ? c_i((int32_t)imm, 2, 0, r2, OP_IMM) : 0;
    }
    case 1:
        return RV_HAS(config, zcd) ? c_i((int32_t)c_off_d(c), rs1, 3, r2, LOAD_FP) : 0;
    case 2:
        return c_i((int32_t)c_off_w(c), rs1, 2, r2, LOAD);
    case 3:
        return c_i((int32_t)c_off_d(c), rs1, 3, r2, LOAD);
    case 4:
        return RV_HAS(config, zcb) ? c_zcb_memory(c) : 0;
    case 5:
        return RV_HAS(config, zcd) ? c_s(c_off_d(c), r2, rs1, 3, STORE_FP) : 0;
    case 6:
        return c_s(c_off_w(c), r2, rs1, 2, STORE);
    default:
        return c_s(c_off_d(c), r2, rs1, 3, STORE);
    }
}

/* Zcb: one operand. */
static uint32_t c_zcb_unary(uint32_t c, unsigned rd)
{
    switch (c >> 2 & 7) {
    case 0: /* c.zext.b */
        return c_i(255, rd, 7, rd, OP_IMM);
    case 1: /* c.sext.b */
        return c_i(0x604, rd, 1, rd, OP_IMM);
    case 2: /* c.zext.h */
        return c_i(0x080, rd, 4, rd, OP_32);
    case 3: /* c.sext.h */
        return c_i(0x605, rd, 1, rd, OP_IMM);
    case 4: /* c.zext.w */
        return c_r(0x04, 0, rd, 0, rd, OP_32);
    case 5: /* c.not */
        return c_i(-1, rd, 4, rd, OP_IMM);
    default:
        return 0;
    }
}

static uint32_t c_arith(const struct rv_config *config, uint32_t c)
{
    unsigned rd = c_low(c, 7), rs2 = c_low(c, 2);
    int32_t imm = c_imm6(c);
    switch (c >> 10 & 3) {
    case 0: /* c.srli */
        return c_i(imm & 63, rd, 5, rd, OP_IMM);
    case 1: /* c.srai */
        return c_i((imm & 63) | 0x400, rd, 5, rd, OP_IMM);
    case 2: /* c.andi */
        return c_i(imm, rd, 7, rd, OP_IMM);
    default:
        break;
    }
    switch ((c >> 10 & 4) | (c >> 5 & 3)) {
    case 0:
        return c_r(0x20, rs2, rd, 0, rd, OP); /* c.sub */
    case 1:
        return c_r(0, rs2, rd, 4, rd, OP); /* c.xor */
    case 2:
        return c_r(0, rs2, rd, 6, rd, OP); /* c.or */
    case 3:
        return c_r(0, rs2, rd, 7, rd, OP); /* c.and */
    case 4:
        return c_r(0x20, rs2, rd, 0, rd, OP_32); /* c.subw */
    case 5:
        return c_r(0, rs2, rd, 0, rd, OP_32); /* c.addw */
    case 6:                                   /* c.mul */
        return RV_HAS(config, zcb) ? c_r(1, rs2, rd, 0, rd, OP) : 0;
    default:
        return RV_HAS(config, zcb) ? c_zcb_unary(c, rd) : 0;
    }
}

static uint32_t c_jump(uint32_t c)
{
    uint32_t off = c_bits(c, 11, 1, 4) | c_bits(c, 9, 2, 8) | c_bits(c, 8, 1, 10) |
                   c_bits(c, 7, 1, 6) | c_bits(c, 6, 1, 7) | c_bits(c, 3, 3, 1) |
                   c_bits(c, 2, 1, 5);
    uint32_t sign = c >> 12 & 1 ? 0x801ff000 : 0; /* imm[20] and imm[19:11] of jal */
    return sign | c_bits(off, 1, 10, 21) | JAL;
}

static uint32_t c_branch(uint32_t c, uint32_t f3)
{
    uint32_t off =
        c_bits(c, 10, 2, 3) | c_bits(c, 5, 2, 6) | c_bits(c, 3, 2, 1) | c_bits(c, 2, 1, 5);
    uint32_t sign = c >> 12 & 1 ? 0xf0000080 : 0; /* imm[12], imm[10:8], imm[11] of a branch */
    return sign | c_bits(off, 5, 3, 25) | c_bits(off, 1, 4, 8) | c_low(c, 7) << 15 | f3 << 12 |
           BRANCH;
}

static uint32_t c_quadrant1(const struct rv_config *config, uint32_t c)
{
    unsigned rd = c >> 7 & 31;
    int32_t imm = c_imm6(c);
    switch (c >> 13) {
    case 0: /* c.addi, c.nop */
        return c_i(imm, rd, 0, rd, OP_IMM);
    case 1: /* c.addiw */
        return rd ? c_i(imm, rd, 0, rd, OP_IMM_32) : 0;
    case 2: /* c.li */
        return c_i(imm, 0, 0, rd, OP_IMM);
    case 3:
        if (imm == 0) { /* Zcmop: c.mop.1, 3, .. 15 do nothing */
            return RV_HAS(config, zcmop) && (rd & 0x11) == 1 ? C_NOP : 0;
        }
        if (rd == 2) { /* c.addi16sp */
            imm = (int32_t)(c_bits(c, 6, 1, 4) | c_bits(c, 5, 1, 6) | c_bits(c, 3, 2, 7) |
                            c_bits(c, 2, 1, 5)) -
                  (int32_t)c_bits(c, 12, 1, 9);
            return c_i(imm, 2, 0, 2, OP_IMM);
        }
        return (uint32_t)imm << 12 | rd << 7 | LUI;
    case 4:
        return c_arith(config, c);
    case 5:
        return c_jump(c);
    case 6:
        return c_branch(c, 0);
    default:
        return c_branch(c, 1);
    }
}

static uint32_t c_quadrant2(const struct rv_config *config, uint32_t c)
{
    unsigned rd = c >> 7 & 31, rs2 = c >> 2 & 31;
    int32_t off_w = (int32_t)(c_bits(c, 12, 1, 5) | c_bits(c, 4, 3, 2) | c_bits(c, 2, 2, 6));
    int32_t off_d = (int32_t)(c_bits(c, 12, 1, 5) | c_bits(c, 5, 2, 3) | c_bits(c, 2, 3, 6));
    uint32_t soff_w = c_bits(c, 9, 4, 2) | c_bits(c, 7, 2, 6);
    uint32_t soff_d = c_bits(c, 10, 3, 3) | c_bits(c, 7, 3, 6);
    switch (c >> 13) {
    case 0: /* c.slli */
        return c_i(c_imm6(c) & 63, rd, 1, rd, OP_IMM);
    case 1:
        return RV_HAS(config, zcd) ? c_i(off_d, 2, 3, rd, LOAD_FP) : 0;
    case 2: /* c.lwsp */
        return rd ? c_i(off_w, 2, 2, rd, LOAD) : 0;
    case 3: /* c.ldsp */
        return rd ? c_i(off_d, 2, 3, rd, LOAD) : 0;
    case 4:
        if (!(c >> 12 & 1)) {
            if (rs2) { /* c.mv */
                return c_r(0, rs2, 0, 0, rd, OP);
            }
            return rd ? c_i(0, rd, 0, 0, JALR) : 0; /* c.jr */
        }
        if (rs2) { /* c.add */
            return c_r(0, rs2, rd, 0, rd, OP);
        }
        return rd ? c_i(0, rd, 0, 1, JALR) : 0x00100073; /* c.jalr, c.ebreak */
    case 5:
        return RV_HAS(config, zcd) ? c_s(soff_d, rs2, 2, 3, STORE_FP) : 0;
    case 6: /* c.swsp */
        return c_s(soff_w, rs2, 2, 2, STORE);
    default: /* c.sdsp */
        return c_s(soff_d, rs2, 2, 3, STORE);
    }
}

uint32_t rv_expand(const struct rv_config *config, uint16_t half)
{
    if (!RV_HAS(config, zca)) {
        return 0;
    }
    switch (half & 3) {
    case 0:
        return c_quadrant0(config, half);
    case 1:
        return c_quadrant1(config, half);
    default:
        return c_quadrant2(config, half);
    }
}
