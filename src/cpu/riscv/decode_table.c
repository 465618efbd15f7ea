/*
 * Every 32-bit RISC-V instruction that the engine knows, in the order of the ISA manual's listings
 * (volume I, "RV32/64G Instruction Set Listings" and the chapters of the later extensions; volume
 * II for the system instructions). Compressed ones are expanded to these by decode_c.c.
 *
 * Bits that an encoding leaves free are not in its mask; the first row that matches counts.
 */
#include "cpu/riscv/decode.h"

/* clang-format off */

#define F3(f3, op)           ((uint32_t)(f3) << 12 | (op))
#define F7(f7, f3, op)       ((uint32_t)(f7) << 25 | F3(f3, op))
#define F12(f12, f3, op)     ((uint32_t)(f12) << 20 | F3(f3, op))
#define MASK_OP              0x0000007fu
#define MASK_F3              0x0000707fu
#define MASK_F7              0xfe00707fu
#define MASK_F6              0xfc00707fu
#define MASK_F12             0xfff0707fu
#define MASK_ALL             0xffffffffu

enum { /* major opcodes, with the two low bits */
    LOAD = 0x03, LOAD_FP = 0x07, MISC_MEM = 0x0f, OP_IMM = 0x13, AUIPC = 0x17, OP_IMM_32 = 0x1b,
    STORE = 0x23, STORE_FP = 0x27, AMO = 0x2f, OP = 0x33, LUI = 0x37, OP_32 = 0x3b, MADD = 0x43,
    MSUB = 0x47, NMSUB = 0x4b, NMADD = 0x4f, OP_FP = 0x53, BRANCH = 0x63, JALR = 0x67, JAL = 0x6f,
    SYSTEM = 0x73,
};

#define ROW(n, m, mask, emit, op, sub, arg, e, e2) \
    { n, m, mask, rv_emit_##emit, VR_IR_##op, sub, arg, RV_EXT_##e, RV_EXT_##e2 }
#define REG(n, f7, f3, opc, op, e)   ROW(n, F7(f7, f3, opc), MASK_F7, reg, op, 0, 0, e, i)
#define IMM(n, f3, opc, op)     ROW(n, F3(f3, opc), MASK_F3, imm, op, 0, 0, i, i)
#define SH6(n, f6, f3, op, e)   ROW(n, F3(f3, OP_IMM) | (uint32_t)(f6) << 26, MASK_F6, shift, op, 0, 0, e, i)
#define SH5(n, f7, f3, op, e)   ROW(n, F7(f7, f3, OP_IMM_32), MASK_F7, shift, op, 0, 0, e, i)
#define UN(n, f12, f3, opc, op, e)   ROW(n, F12(f12, f3, opc), MASK_F12, unary, op, 0, 0, e, i)
#define LD(n, f3, op)           ROW(n, F3(f3, LOAD), MASK_F3, load, op, 0, 0, i, i)
#define ST(n, f3, op)           ROW(n, F3(f3, STORE), MASK_F3, store, op, 0, 0, i, i)

/* Atomics: funct5 in bits 31:27; aq and rl are free, as every op is sequentially consistent. */
#define MASK_AMO                0xf800707fu
#define AMO1(n, f5, f3, kind, e)  ROW(n, F3(f3, AMO) | (uint32_t)(f5) << 27, MASK_AMO, amo, amo, \
                                      VR_AMO_##kind, f3, e, i)
#define AMOS(n, f5, kind) \
    AMO1(n ".w", f5, 2, kind, zaamo), AMO1(n ".d", f5, 3, kind, zaamo), \
    AMO1(n ".b", f5, 0, kind, zabha), AMO1(n ".h", f5, 1, kind, zabha)
#define CAS(n, f3, more, e)     ROW(n, F3(f3, AMO) | 5u << 27, MASK_AMO | (more), amocas, amocas, 0, f3, zacas, e)

/* System */
#define SYS(n, bits, mask, helper, e)  ROW(n, bits, mask, system, helper_end, RV_H_##helper, 0, e, i)
#define CSR(n, f3)              ROW(n, F3(f3, SYSTEM), MASK_F3, csr, helper_end, RV_H_CSR, 0, zicsr, i)
#define CBO(n, f12, e)          ROW(n, F12(f12, 2, MISC_MEM), 0xfff07fffu, helper, helper, RV_H_CBO, 0, e, i)

/* Floating point: format in bits 26:25 (0 S, 1 D, 2 H), funct5 in 31:27, rounding mode in funct3. */
#define FP(f5, fmt)             ((uint32_t)(f5) << 27 | (uint32_t)(fmt) << 25 | OP_FP)
#define MASK_FP                 0xfe00007fu /* rs2 and rm are operands */
#define MASK_FP_RM              0xfe00707fu /* rm selects */
#define MASK_FP_RS2             0xfff0007fu /* rs2 selects */
#define MASK_FP_BOTH            0xfff0707fu
#define FFF                     (RV_FP_D | RV_FP_A | RV_FP_B)
#define FF                      (RV_FP_D | RV_FP_A)
#define FX                      RV_FP_D
#define XF                      RV_FP_A
#define XFF                     (RV_FP_A | RV_FP_B)
#define RM                      RV_FP_RM
/* One op of the IR for each of S and D, an fpx one for H. */
#define ARITH(n, name, f5) \
    ROW(n ".s", FP(f5, 0), MASK_FP, fp, name##_s, 0, FFF | RM, f, i), \
    ROW(n ".d", FP(f5, 1), MASK_FP, fp, name##_d, 0, FFF | RM, d, i), \
    ROW(n ".h", FP(f5, 2), MASK_FP, fp, fpx, VR_FPX_##name##_h, FFF | RM, zfh, i)
#define SELECT(n, name, f5, rm, kind) \
    ROW(n ".s", FP(f5, 0) | F3(rm, 0), MASK_FP_RM, fp, name##_s, 0, kind, f, i), \
    ROW(n ".d", FP(f5, 1) | F3(rm, 0), MASK_FP_RM, fp, name##_d, 0, kind, d, i), \
    ROW(n ".h", FP(f5, 2) | F3(rm, 0), MASK_FP_RM, fp, fpx, VR_FPX_##name##_h, kind, zfh, i)
#define SELECT_FPX(n, name, f5, rm, kind, e) \
    ROW(n ".s", FP(f5, 0) | F3(rm, 0), MASK_FP_RM, fp, fpx, VR_FPX_##name##_s, kind, f, e), \
    ROW(n ".d", FP(f5, 1) | F3(rm, 0), MASK_FP_RM, fp, fpx, VR_FPX_##name##_d, kind, d, e), \
    ROW(n ".h", FP(f5, 2) | F3(rm, 0), MASK_FP_RM, fp, fpx, VR_FPX_##name##_h, kind, zfh, e)
#define FMA1(n, opc, neg) \
    ROW(n ".s", 0u << 25 | (opc), 0x0600007fu, fma, fma_s, neg, 0, f, i), \
    ROW(n ".d", 1u << 25 | (opc), 0x0600007fu, fma, fma_d, neg, 1, d, i), \
    ROW(n ".h", 2u << 25 | (opc), 0x0600007fu, fma, fpx, neg, 2, zfh, i)
/* Conversions, moves: rs2 selects; the rounding mode is free. */
#define CVT(n, f5, fmt, rs2, name, kind, e, e2) \
    ROW(n, FP(f5, fmt) | (uint32_t)(rs2) << 20, MASK_FP_RS2, fp, fpx, VR_FPX_##name, (kind) | RM, e, e2)
#define CVTS(f, fmt, e) \
    CVT("fcvt.w." #f, 24, fmt, 0, fcvt_w_##f, XF, e, i), \
    CVT("fcvt.wu." #f, 24, fmt, 1, fcvt_wu_##f, XF, e, i), \
    CVT("fcvt.l." #f, 24, fmt, 2, fcvt_l_##f, XF, e, i), \
    CVT("fcvt.lu." #f, 24, fmt, 3, fcvt_lu_##f, XF, e, i), \
    CVT("fcvt." #f ".w", 26, fmt, 0, fcvt_##f##_w, FX, e, i), \
    CVT("fcvt." #f ".wu", 26, fmt, 1, fcvt_##f##_wu, FX, e, i), \
    CVT("fcvt." #f ".l", 26, fmt, 2, fcvt_##f##_l, FX, e, i), \
    CVT("fcvt." #f ".lu", 26, fmt, 3, fcvt_##f##_lu, FX, e, i)
#define MOVE(n, f5, fmt, rs2, rm, op, kind, e) \
    ROW(n, FP(f5, fmt) | (uint32_t)(rs2) << 20 | F3(rm, 0), MASK_FP_BOTH, fp, op, 0, kind, e, i)
#define ONE(n, f5, fmt, rs2, rm, name, kind, e, e2) \
    ROW(n, FP(f5, fmt) | (uint32_t)(rs2) << 20 | F3(rm, 0), MASK_FP_BOTH, fp, fpx, VR_FPX_##name, kind, e, e2)

const struct rv_insn rv_insns[] = {
    /* RV32I, RV64I */
    ROW("lui", LUI, MASK_OP, lui, li, 0, 0, i, i),
    ROW("auipc", AUIPC, MASK_OP, auipc, pcrel, 0, 0, i, i),
    ROW("jal", JAL, MASK_OP, jal, jal, 0, 0, i, i),
    ROW("jalr", F3(0, JALR), MASK_F3, jalr, jalr, 0, 0, i, i),
    ROW("beq", F3(0, BRANCH), MASK_F3, branch, beq, 0, 0, i, i),
    ROW("bne", F3(1, BRANCH), MASK_F3, branch, bne, 0, 0, i, i),
    ROW("blt", F3(4, BRANCH), MASK_F3, branch, blt, 0, 0, i, i),
    ROW("bge", F3(5, BRANCH), MASK_F3, branch, bge, 0, 0, i, i),
    ROW("bltu", F3(6, BRANCH), MASK_F3, branch, bltu, 0, 0, i, i),
    ROW("bgeu", F3(7, BRANCH), MASK_F3, branch, bgeu, 0, 0, i, i),
    LD("lb", 0, ld8), LD("lh", 1, ld16), LD("lw", 2, ld32), LD("ld", 3, ld64),
    LD("lbu", 4, ld8u), LD("lhu", 5, ld16u), LD("lwu", 6, ld32u),
    ST("sb", 0, st8), ST("sh", 1, st16), ST("sw", 2, st32), ST("sd", 3, st64),
    IMM("addi", 0, OP_IMM, addi), IMM("slti", 2, OP_IMM, slti), IMM("sltiu", 3, OP_IMM, sltiu),
    IMM("xori", 4, OP_IMM, xori), IMM("ori", 6, OP_IMM, ori), IMM("andi", 7, OP_IMM, andi),
    SH6("slli", 0x00, 1, slli, i), SH6("srli", 0x00, 5, srli, i), SH6("srai", 0x10, 5, srai, i),
    REG("add", 0x00, 0, OP, add, i), REG("sub", 0x20, 0, OP, sub, i),
    REG("sll", 0x00, 1, OP, sll, i), REG("slt", 0x00, 2, OP, slt, i),
    REG("sltu", 0x00, 3, OP, sltu, i), REG("xor", 0x00, 4, OP, xor, i),
    REG("srl", 0x00, 5, OP, srl, i), REG("sra", 0x20, 5, OP, sra, i),
    REG("or", 0x00, 6, OP, or, i), REG("and", 0x00, 7, OP, and, i),
    ROW("pause", 0x0100000f, MASK_ALL, helper, helper, RV_H_WRS, 0, zihintpause, i),
    ROW("fence", F3(0, MISC_MEM), MASK_F3, fence, fence, 0, 0, i, i),
    SYS("ecall", 0x00000073, MASK_ALL, ECALL, i),
    SYS("ebreak", 0x00100073, MASK_ALL, EBREAK, i),
    IMM("addiw", 0, OP_IMM_32, addiw),
    SH5("slliw", 0x00, 1, slliw, i), SH5("srliw", 0x00, 5, srliw, i), SH5("sraiw", 0x20, 5, sraiw, i),
    REG("addw", 0x00, 0, OP_32, addw, i), REG("subw", 0x20, 0, OP_32, subw, i),
    REG("sllw", 0x00, 1, OP_32, sllw, i), REG("srlw", 0x00, 5, OP_32, srlw, i),
    REG("sraw", 0x20, 5, OP_32, sraw, i),

    /* Zifencei, Zicsr */
    ROW("fence.i", F3(1, MISC_MEM), MASK_F3, system, helper_end, RV_H_FENCE_I, 0, zifencei, i),
    CSR("csrrw", 1), CSR("csrrs", 2), CSR("csrrc", 3),
    CSR("csrrwi", 5), CSR("csrrsi", 6), CSR("csrrci", 7),

    /* M */
    REG("mul", 0x01, 0, OP, mul, m), REG("mulh", 0x01, 1, OP, mulh, m),
    REG("mulhsu", 0x01, 2, OP, mulhsu, m), REG("mulhu", 0x01, 3, OP, mulhu, m),
    REG("div", 0x01, 4, OP, div, m), REG("divu", 0x01, 5, OP, divu, m),
    REG("rem", 0x01, 6, OP, rem, m), REG("remu", 0x01, 7, OP, remu, m),
    REG("mulw", 0x01, 0, OP_32, mulw, m), REG("divw", 0x01, 4, OP_32, divw, m),
    REG("divuw", 0x01, 5, OP_32, divuw, m), REG("remw", 0x01, 6, OP_32, remw, m),
    REG("remuw", 0x01, 7, OP_32, remuw, m),

    /* A: Zalrsc, Zaamo; Zabha */
    ROW("lr.w", F3(2, AMO) | 2u << 27, 0xf9f0707fu, lr, lr32, 0, 0, zalrsc, i),
    ROW("lr.d", F3(3, AMO) | 2u << 27, 0xf9f0707fu, lr, lr64, 0, 0, zalrsc, i),
    ROW("sc.w", F3(2, AMO) | 3u << 27, MASK_AMO, sc, sc32, 0, 0, zalrsc, i),
    ROW("sc.d", F3(3, AMO) | 3u << 27, MASK_AMO, sc, sc64, 0, 0, zalrsc, i),
    AMOS("amoswap", 1, SWAP), AMOS("amoadd", 0, ADD), AMOS("amoxor", 4, XOR), AMOS("amoand", 12, AND),
    AMOS("amoor", 8, OR), AMOS("amomin", 16, MIN), AMOS("amomax", 20, MAX), AMOS("amominu", 24, MINU),
    AMOS("amomaxu", 28, MAXU),

    /* F, D, Zfh (Zfhmin) */
    ROW("flw", F3(2, LOAD_FP), MASK_F3, fload, ldbox32, 0, 0, f, i),
    ROW("fld", F3(3, LOAD_FP), MASK_F3, fload, ld64, 0, 0, d, i),
    ROW("flh", F3(1, LOAD_FP), MASK_F3, fload, ldbox16, 0, 0, zfhmin, i),
    ROW("fsw", F3(2, STORE_FP), MASK_F3, fstore, st32, 0, 0, f, i),
    ROW("fsd", F3(3, STORE_FP), MASK_F3, fstore, st64, 0, 0, d, i),
    ROW("fsh", F3(1, STORE_FP), MASK_F3, fstore, st16, 0, 0, zfhmin, i),
    FMA1("fmadd", MADD, 0), FMA1("fmsub", MSUB, VR_FMA_NEG_ADDEND),
    FMA1("fnmsub", NMSUB, VR_FMA_NEG_PRODUCT),
    FMA1("fnmadd", NMADD, VR_FMA_NEG_PRODUCT | VR_FMA_NEG_ADDEND),
    ARITH("fadd", fadd, 0), ARITH("fsub", fsub, 1), ARITH("fmul", fmul, 2), ARITH("fdiv", fdiv, 3),
    ROW("fsqrt.s", FP(11, 0), MASK_FP_RS2, fp, fsqrt_s, 0, FF | RM, f, i),
    ROW("fsqrt.d", FP(11, 1), MASK_FP_RS2, fp, fsqrt_d, 0, FF | RM, d, i),
    ROW("fsqrt.h", FP(11, 2), MASK_FP_RS2, fp, fpx, VR_FPX_fsqrt_h, FF | RM, zfh, i),
    SELECT("fsgnj", fsgnj, 4, 0, FFF), SELECT("fsgnjn", fsgnjn, 4, 1, FFF),
    SELECT("fsgnjx", fsgnjx, 4, 2, FFF),
    SELECT_FPX("fmin", fmin, 5, 0, FFF, i), SELECT_FPX("fmax", fmax, 5, 1, FFF, i),
    SELECT("fle", fle, 20, 0, XFF), SELECT("flt", flt, 20, 1, XFF), SELECT("feq", feq, 20, 2, XFF),
    ONE("fclass.s", 28, 0, 0, 1, fclass_s, XF, f, i), ONE("fclass.d", 28, 1, 0, 1, fclass_d, XF, d, i),
    ONE("fclass.h", 28, 2, 0, 1, fclass_h, XF, zfh, i),
    CVTS(s, 0, f), CVTS(d, 1, d), CVTS(h, 2, zfh),
    CVT("fcvt.s.d", 8, 0, 1, fcvt_s_d, FF, d, i), CVT("fcvt.d.s", 8, 1, 0, fcvt_d_s, FF, d, i),
    CVT("fcvt.s.h", 8, 0, 2, fcvt_s_h, FF, zfhmin, i), CVT("fcvt.h.s", 8, 2, 0, fcvt_h_s, FF, zfhmin, i),
    CVT("fcvt.d.h", 8, 1, 2, fcvt_d_h, FF, zfhmin, d), CVT("fcvt.h.d", 8, 2, 1, fcvt_h_d, FF, zfhmin, d),
    MOVE("fmv.x.w", 28, 0, 0, 0, sext32, XF, f), MOVE("fmv.x.d", 28, 1, 0, 0, mov, XF, d),
    MOVE("fmv.x.h", 28, 2, 0, 0, sext16, XF, zfhmin),
    MOVE("fmv.w.x", 30, 0, 0, 0, box32, FX, f), MOVE("fmv.d.x", 30, 1, 0, 0, mov, FX, d),
    MOVE("fmv.h.x", 30, 2, 0, 0, box16, FX, zfhmin),

    /* Zfa */
    ROW("fli.s", FP(30, 0) | 1u << 20, MASK_FP_BOTH, fli, li, 0, 0, zfa, f),
    ROW("fli.d", FP(30, 1) | 1u << 20, MASK_FP_BOTH, fli, li, 0, 1, zfa, d),
    ROW("fli.h", FP(30, 2) | 1u << 20, MASK_FP_BOTH, fli, li, 0, 2, zfa, zfh),
    SELECT_FPX("fminm", fminm, 5, 2, FFF, zfa), SELECT_FPX("fmaxm", fmaxm, 5, 3, FFF, zfa),
    CVT("fround.s", 8, 0, 4, fround_s, FF, zfa, f), CVT("froundnx.s", 8, 0, 5, froundnx_s, FF, zfa, f),
    CVT("fround.d", 8, 1, 4, fround_d, FF, zfa, d), CVT("froundnx.d", 8, 1, 5, froundnx_d, FF, zfa, d),
    CVT("fround.h", 8, 2, 4, fround_h, FF, zfa, zfh),
    CVT("froundnx.h", 8, 2, 5, froundnx_h, FF, zfa, zfh),
    ONE("fcvtmod.w.d", 24, 1, 8, 1, fcvtmod_w_d, XF, zfa, d),
    SELECT_FPX("fleq", fleq, 20, 4, XFF, zfa), SELECT_FPX("fltq", fltq, 20, 5, XFF, zfa),

    /* Zawrs */
    SYS("wrs.nto", 0x00d00073, MASK_ALL, WRS, zawrs),
    SYS("wrs.sto", 0x01d00073, MASK_ALL, WRS, zawrs),

    /* Zicond */
    REG("czero.eqz", 0x07, 5, OP, czeqz, zicond), REG("czero.nez", 0x07, 7, OP, cznez, zicond),

    /* Zimop */
    ROW("mop.r", 0x81c04073, 0xb3c0707fu, zero, li, 0, 0, zimop, i),
    ROW("mop.rr", 0x82004073, 0xb200707fu, zero, li, 0, 0, zimop, i),

    /* Zba */
    ROW("add.uw", F7(0x04, 0, OP_32), MASK_F7, reg, shadduw, 0, 0, zba, i),
    ROW("sh1add", F7(0x10, 2, OP), MASK_F7, reg, shadd, 1, 0, zba, i),
    ROW("sh1add.uw", F7(0x10, 2, OP_32), MASK_F7, reg, shadduw, 1, 0, zba, i),
    ROW("sh2add", F7(0x10, 4, OP), MASK_F7, reg, shadd, 2, 0, zba, i),
    ROW("sh2add.uw", F7(0x10, 4, OP_32), MASK_F7, reg, shadduw, 2, 0, zba, i),
    ROW("sh3add", F7(0x10, 6, OP), MASK_F7, reg, shadd, 3, 0, zba, i),
    ROW("sh3add.uw", F7(0x10, 6, OP_32), MASK_F7, reg, shadduw, 3, 0, zba, i),
    ROW("slli.uw", F3(1, OP_IMM_32) | 0x02u << 26, MASK_F6, shift, slliuw, 0, 0, zba, i),

    /* Zbb */
    REG("andn", 0x20, 7, OP, andn, zbb), REG("orn", 0x20, 6, OP, orn, zbb),
    REG("xnor", 0x20, 4, OP, xnor, zbb),
    UN("clz", 0x600, 1, OP_IMM, clz, zbb), UN("clzw", 0x600, 1, OP_IMM_32, clzw, zbb),
    UN("ctz", 0x601, 1, OP_IMM, ctz, zbb), UN("ctzw", 0x601, 1, OP_IMM_32, ctzw, zbb),
    UN("cpop", 0x602, 1, OP_IMM, cpop, zbb), UN("cpopw", 0x602, 1, OP_IMM_32, cpopw, zbb),
    REG("max", 0x05, 6, OP, max, zbb), REG("maxu", 0x05, 7, OP, maxu, zbb),
    REG("min", 0x05, 4, OP, min, zbb), REG("minu", 0x05, 5, OP, minu, zbb),
    UN("sext.b", 0x604, 1, OP_IMM, sext8, zbb), UN("sext.h", 0x605, 1, OP_IMM, sext16, zbb),
    UN("zext.h", 0x080, 4, OP_32, zext16, zbb),
    REG("rol", 0x30, 1, OP, rol, zbb), REG("rolw", 0x30, 1, OP_32, rolw, zbb),
    REG("ror", 0x30, 5, OP, ror, zbb), SH6("rori", 0x18, 5, rori, zbb),
    SH5("roriw", 0x30, 5, roriw, zbb), REG("rorw", 0x30, 5, OP_32, rorw, zbb),
    UN("orc.b", 0x287, 5, OP_IMM, orcb, zbb), UN("rev8", 0x6b8, 5, OP_IMM, rev8, zbb),

    /* Zbc */
    REG("clmul", 0x05, 1, OP, clmul, zbc), REG("clmulh", 0x05, 3, OP, clmulh, zbc),
    REG("clmulr", 0x05, 2, OP, clmulr, zbc),

    /* Zbs */
    REG("bclr", 0x24, 1, OP, bclr, zbs),
    ROW("bclri", F3(1, OP_IMM) | 0x12u << 26, MASK_F6, bit, andi, 0, 0, zbs, i),
    REG("bext", 0x24, 5, OP, bext, zbs), SH6("bexti", 0x12, 5, bexti, zbs),
    REG("binv", 0x34, 1, OP, binv, zbs),
    ROW("binvi", F3(1, OP_IMM) | 0x1au << 26, MASK_F6, bit, xori, 0, 0, zbs, i),
    REG("bset", 0x14, 1, OP, bset, zbs),
    ROW("bseti", F3(1, OP_IMM) | 0x0au << 26, MASK_F6, bit, ori, 0, 0, zbs, i),

    /* Zicbom, Zicboz */
    CBO("cbo.inval", 0, zicbom), CBO("cbo.clean", 1, zicbom), CBO("cbo.flush", 2, zicbom),
    CBO("cbo.zero", 4, zicboz),

    /* Zacas; with Zabha for bytes and halfwords. The 128-bit one takes even register pairs. */
    CAS("amocas.w", 2, 0, i), CAS("amocas.d", 3, 0, i), CAS("amocas.q", 4, 1u << 7 | 1u << 20, i),
    CAS("amocas.b", 0, 0, zabha), CAS("amocas.h", 1, 0, zabha),

    /* Volume II: trap return, waiting, memory management; Svinval */
    SYS("mret", 0x30200073, MASK_ALL, MRET, i),
    SYS("sret", 0x10200073, MASK_ALL, SRET, i),
    SYS("wfi", 0x10500073, MASK_ALL, WFI, i),
    SYS("sfence.vma", 0x12000073, 0xfe007fffu, SFENCE, i),
    SYS("sinval.vma", 0x16000073, 0xfe007fffu, SFENCE, svinval),
    SYS("sfence.w.inval", 0x18000073, MASK_ALL, SFENCE_INVAL, svinval),
    SYS("sfence.inval.ir", 0x18100073, MASK_ALL, SFENCE_INVAL, svinval),
};

const unsigned rv_insn_count = sizeof(rv_insns) / sizeof(rv_insns[0]);
