/*
 * Writing A64 machine code: one function an instruction form. Arm ARM (DDI 0487) C4.1 "A64
 * instruction set encoding" and the pages of C6.2 and C7.2.
 */
#ifndef VR_CPU_JIT_ARM64_ASM_H
#define VR_CPU_JIT_ARM64_ASM_H

#include "cpu/jit/asm.h"

enum {
    X0,
    X1,
    X2,
    X3,
    X4,
    X5,
    X6,
    X7,
    X8,
    X9,
    X10,
    X11,
    X12,
    X13,
    X14,
    X15,
    X16,
    X17,
    X19 = 19,
    X20,
    X21,
    X22,
    X23,
    X24,
    X25,
    X26,
    X27,
    X28,
    X29,
    X30,
    XZR = 31, /* SP in address operands and immediate arithmetic */
    SP = 31,
    NO_REG = -1
};

/* Conditions, C1.2.4; ^ 1 inverts. */
enum {
    CC_EQ,
    CC_NE,
    CC_HS,
    CC_LO,
    CC_MI,
    CC_PL,
    CC_VS,
    CC_VC,
    CC_HI,
    CC_LS,
    CC_GE,
    CC_LT,
    CC_GT,
    CC_LE
};

/* d = a op b: 64-bit opcodes; asm_rrr clears the size bit for 32-bit ones. */
#define A64_ADD    0x8b000000u
#define A64_SUB    0xcb000000u
#define A64_SUBS   0xeb000000u
#define A64_AND    0x8a000000u
#define A64_BIC    0x8a200000u
#define A64_ORR    0xaa000000u
#define A64_ORN    0xaa200000u
#define A64_EOR    0xca000000u
#define A64_EON    0xca200000u
#define A64_LSLV   0x9ac02000u
#define A64_LSRV   0x9ac02400u
#define A64_ASRV   0x9ac02800u
#define A64_RORV   0x9ac02c00u
#define A64_UDIV   0x9ac00800u
#define A64_SDIV   0x9ac00c00u
#define A64_MUL    0x9b007c00u
#define A64_SMULH  0x9b407c00u
#define A64_UMULH  0x9bc07c00u
/* d = op a */
#define A64_CLZ    0xdac01000u
#define A64_RBIT   0xdac00000u
#define A64_REV    0xdac00c00u
/* d = a op imm: arithmetic (12 bits), and logic (bit masks) */
#define A64_ADDI   0x91000000u
#define A64_SUBI   0xd1000000u
#define A64_ADDSI  0xb1000000u
#define A64_SUBSI  0xf1000000u
#define A64_ANDI   0x92000000u
#define A64_ORRI   0xb2000000u
#define A64_EORI   0xd2000000u
/* Bit fields; conditional selection */
#define A64_UBFM   0xd3400000u
#define A64_SBFM   0x93400000u
#define A64_BFM    0xb3400000u
#define A64_CSEL   0x9a800000u
#define A64_CSINC  0x9a800400u
#define A64_CSINV  0xda800000u
/* Loads and stores with an unsigned, scaled offset; with a register (| Xm << 16). Bits 31..30 are
 * log2 of the width. */
#define A64_LDRB   0x39400000u
#define A64_LDR_W  0xb9400000u
#define A64_STR_W  0xb9000000u
#define A64_LDR_X  0xf9400000u
#define A64_STR_X  0xf9000000u
#define A64_STRB   0x39000000u
#define A64_LDRH   0x79400000u
#define A64_STRH   0x79000000u
#define A64_LDRSW  0xb9800000u
#define A64_LDR_D  0xfd400000u
#define A64_STR_D  0xfd000000u
#define A64_STR_RX 0x38206800u /* | log2 width << 30 */
#define A64_LDR_RX 0x38606800u /* zero-extended */
#define A64_LDS_RX 0x38a06800u /* sign-extended to 64 bits */
#define A64_FP_RX  0x04000000u /* in those: an FP register */

static inline void asm_rrr(struct vr_asm *s, bool w, uint32_t op, int d, int a, int b)
{
    asm_u32(s, (w ? op : op & ~(1u << 31)) | (unsigned)b << 16 | (unsigned)a << 5 | (unsigned)d);
}

static inline void asm_rr(struct vr_asm *s, bool w, uint32_t op, int d, int a)
{
    asm_rrr(s, w, op, d, a, 0);
}

/* The second operand shifted left by @n. */
static inline void asm_rrr_lsl(struct vr_asm *s, uint32_t op, int d, int a, int b, unsigned n)
{
    asm_rrr(s, true, op | n << 10, d, a, b);
}

static inline void asm_mov(struct vr_asm *s, int d, int a)
{
    if (d != a) {
        asm_rrr(s, true, A64_ORR, d, XZR, a);
    }
}

static inline void asm_mov32(struct vr_asm *s, int d, int a)
{
    asm_rrr(s, false, A64_ORR, d, XZR, a);
}

/* Bit fields: bits [lsb, lsb + n) of a, zero- or sign-extended (64 bits). */
static inline void asm_bits(struct vr_asm *s, uint32_t op, int d, int a, unsigned lsb, unsigned n)
{
    asm_u32(s, op | lsb << 16 | (lsb + n - 1) << 10 | (unsigned)a << 5 | (unsigned)d);
}

static inline void asm_sxtw(struct vr_asm *s, int d, int a)
{
    asm_bits(s, A64_SBFM, d, a, 0, 32);
}

static inline void asm_lsl(struct vr_asm *s, int d, int a, unsigned n)
{
    asm_u32(s, A64_UBFM | (-n & 63) << 16 | (63 - n) << 10 | (unsigned)a << 5 | (unsigned)d);
}

static inline void asm_extr(struct vr_asm *s, bool w, int d, int a, unsigned n) /* rotate right */
{
    asm_rrr(s, true, (w ? 0x93c00000u : 0x13800000u) | n << 10, d, a, a);
}

static inline void asm_csel(struct vr_asm *s, uint32_t op, unsigned cc, int d, int a, int b)
{
    asm_rrr(s, true, op | cc << 12, d, a, b);
}

static inline void asm_cset(struct vr_asm *s, unsigned cc, int d)
{
    asm_csel(s, A64_CSINC, cc ^ 1, d, XZR, XZR);
}

/* A 12-bit immediate. */
static inline void asm_rri(struct vr_asm *s, bool w, uint32_t op, int d, int a, unsigned imm)
{
    asm_u32(s, (w ? op : op & ~(1u << 31)) | imm << 10 | (unsigned)a << 5 | (unsigned)d);
}

static inline void asm_li(struct vr_asm *s, int d, uint64_t v)
{
    unsigned zeros = 0, ones = 0;
    for (unsigned i = 0; i < 64; i += 16) {
        zeros += (v >> i & 0xffff) == 0;
        ones += (v >> i & 0xffff) == 0xffff;
    }
    bool neg = ones > zeros, first = true;
    for (unsigned i = 0; i < 64; i += 16) {
        uint32_t part = (uint32_t)(v >> i & 0xffff);
        if (part != (neg ? 0xffffu : 0u)) {
            uint32_t op = !first ? 0xf2800000u : neg ? 0x92800000u : 0xd2800000u;
            part = first && neg ? ~part & 0xffff : part;
            asm_u32(s, op | (i / 16) << 21 | part << 5 | (unsigned)d);
            first = false;
        }
    }
    if (first) {
        asm_u32(s, (neg ? 0x92800000u : 0xd2800000u) | (unsigned)d);
    }
}

/* d = a + v; @t: a register for what is no immediate, which is not a. SP as d or a: only there. */
static inline void asm_add_imm(struct vr_asm *s, int d, int a, int64_t v, int t)
{
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    uint32_t op = v < 0 ? A64_SUBI : A64_ADDI;
    if (u < 0x1000) {
        if (u || d != a) {
            asm_rri(s, true, op, d, a, (unsigned)u);
        }
    } else if (u < 0x1000000) {
        asm_rri(s, true, op | 1u << 22, d, a, (unsigned)(u >> 12));
        if (u & 0xfff) {
            asm_rri(s, true, op, d, d, (unsigned)(u & 0xfff));
        }
    } else {
        asm_li(s, t, (uint64_t)v);
        asm_rrr(s, true, A64_ADD, d, a, t);
    }
}

/* Compare a with v. */
static inline void asm_cmp_imm(struct vr_asm *s, int a, int64_t v, int t)
{
    if (v >= 0 && v < 0x1000) {
        asm_rri(s, true, A64_SUBSI, XZR, a, (unsigned)v);
    } else if (v < 0 && v > -0x1000) {
        asm_rri(s, true, A64_ADDSI, XZR, a, (unsigned)-v);
    } else {
        asm_li(s, t, (uint64_t)v);
        asm_rrr(s, true, A64_SUBS, XZR, a, t);
    }
}

/* N:immr:imms of a 64-bit mask (DecodeBitMasks, J1): a run of ones, rotated, repeated. */
static inline bool asm_mask(uint64_t v, uint32_t *ret_field)
{
    unsigned size = 64, ones = 0, rot = 0;
    if (v == 0 || v == UINT64_MAX) {
        return false;
    }
    while (size > 2) {
        uint64_t half = (UINT64_C(1) << size / 2) - 1;
        if ((v & half) != (v >> size / 2 & half)) {
            break;
        }
        size /= 2;
    }
    uint64_t all = size == 64 ? UINT64_MAX : (UINT64_C(1) << size) - 1, part = v & all;
    for (uint64_t p = part; p; p &= p - 1) {
        ones++;
    }
    uint64_t run = (UINT64_C(1) << ones) - 1;
    while (rot < size && part != run) {
        part = (part << 1 | part >> (size - 1)) & all;
        rot++;
    }
    if (part != run) {
        return false;
    }
    *ret_field =
        (size == 64 ? 1u << 22 : 0) | rot << 16 | ((~(size * 2 - 1) & 0x3f) | (ones - 1)) << 10;
    return true;
}

/* Logic with a constant: the immediate form's opcode and the register form's. */
static inline void asm_logic_imm(struct vr_asm *s, uint32_t op_imm, uint32_t op, int d, int a,
                                 uint64_t v, int t)
{
    uint32_t field;
    if (asm_mask(v, &field)) {
        asm_rr(s, true, op_imm | field, d, a);
    } else {
        asm_li(s, t, v);
        asm_rrr(s, true, op, d, a, t);
    }
}

/* A load or store at base + off, a multiple of the width in reach (4096 widths). */
static inline void asm_mem(struct vr_asm *s, uint32_t op, int reg, int base, size_t off)
{
    asm_u32(s, op | (uint32_t)(off >> (op >> 30)) << 10 | (unsigned)base << 5 | (unsigned)reg);
}

/* Exclusive: x@reg is what is at x@at; then w@status is 0 if nobody came between and x@reg was
 * stored. */
static inline void asm_ldxr(struct vr_asm *s, bool w, int reg, int at)
{
    asm_u32(s, (w ? 0xc85f7c00u : 0x885f7c00u) | (unsigned)at << 5 | (unsigned)reg);
}

static inline void asm_stxr(struct vr_asm *s, bool w, int status, int reg, int at)
{
    asm_u32(s, (w ? 0xc8007c00u : 0x88007c00u) | (unsigned)status << 16 | (unsigned)at << 5 |
                   (unsigned)reg);
}

/* Pairs at base + off, a multiple of 8: stp, ldp of X registers; d: of D registers. */
static inline void asm_pair(struct vr_asm *s, bool load, bool d, int a, int b, int base, int off)
{
    asm_u32(s, (d ? 0x6d000000u : 0xa9000000u) | (load ? 1u << 22 : 0) |
                   ((unsigned)(off / 8) & 0x7f) << 15 | (unsigned)b << 10 | (unsigned)base << 5 |
                   (unsigned)a);
}

/* --- Jumps. What is returned is the place of the instruction, for asm_patch. --- */

static inline size_t asm_b(struct vr_asm *s)
{
    asm_u32(s, 0x14000000);
    return s->at - 4;
}

static inline size_t asm_bcc(struct vr_asm *s, unsigned cc)
{
    asm_u32(s, 0x54000000 | cc);
    return s->at - 4;
}

static inline size_t asm_cbz(struct vr_asm *s, bool w, bool not_zero, int a)
{
    asm_u32(s, (w ? 0xb4000000u : 0x34000000u) | (not_zero ? 1u << 24 : 0) | (unsigned)a);
    return s->at - 4;
}

/* Let the jump at @site lead to @target. False: out of its reach. */
static inline bool asm_patch(struct vr_asm *s, size_t site, size_t target)
{
    int64_t rel = ((int64_t)target - (int64_t)site) / 4;
    uint32_t insn;
    if (site + 4 > s->end) {
        return true; /* asm_full */
    }
    memcpy(&insn, s->base + site, sizeof(insn));
    if ((insn & 0x7c000000) == 0x14000000) { /* b, bl */
        if (rel < -(1 << 25) || rel >= 1 << 25) {
            return false;
        }
        insn = (insn & 0xfc000000) | ((uint32_t)rel & 0x03ffffff);
    } else { /* b.cond, cbz, cbnz */
        if (rel < -(1 << 18) || rel >= 1 << 18) {
            return false;
        }
        insn = (insn & 0xff00001f) | ((uint32_t)rel & 0x7ffff) << 5;
    }
    memcpy(s->base + site, &insn, sizeof(insn));
    return true;
}

static inline void asm_b_to(struct vr_asm *s, size_t target)
{
    (void)asm_patch(s, asm_b(s), target);
}

static inline void asm_bl_to(struct vr_asm *s, size_t target)
{
    asm_u32(s, 0x94000000);
    (void)asm_patch(s, s->at - 4, target);
}

static inline void asm_br(struct vr_asm *s, int a)
{
    asm_u32(s, 0xd61f0000u | (unsigned)a << 5);
}

static inline void asm_blr(struct vr_asm *s, int a)
{
    asm_u32(s, 0xd63f0000u | (unsigned)a << 5);
}

static inline void asm_ret(struct vr_asm *s)
{
    asm_u32(s, 0xd65f03c0);
}

static inline void asm_dmb(struct vr_asm *s) /* ish */
{
    asm_u32(s, 0xd5033bbf);
}

/* --- Floating point: opcodes are those of single precision --- */
#define A64_FADD   0x1e202800u
#define A64_FSUB   0x1e203800u
#define A64_FMUL   0x1e200800u
#define A64_FDIV   0x1e201800u
#define A64_FMINNM 0x1e207800u
#define A64_FMAXNM 0x1e206800u
#define A64_FSQRT  0x1e21c000u
#define A64_FMOV   0x1e204000u
#define A64_FABS   0x1e20c000u
#define A64_FNEG   0x1e214000u

static inline void asm_fff(struct vr_asm *s, bool single, uint32_t op, int d, int a, int b)
{
    asm_u32(s, op | (single ? 0 : 1u << 22) | (unsigned)b << 16 | (unsigned)a << 5 | (unsigned)d);
}

static inline void asm_fcmp(struct vr_asm *s, bool single, bool signals, int a, int b)
{
    asm_fff(s, single, signals ? 0x1e202010u : 0x1e202000u, 0, a, b);
}

/* Bits as they are, 64 of them. */
static inline void asm_fmov_to_x(struct vr_asm *s, int d, int v)
{
    asm_u32(s, 0x9e660000u | (unsigned)v << 5 | (unsigned)d);
}

static inline void asm_fmov_from_x(struct vr_asm *s, int v, int a)
{
    asm_u32(s, 0x9e670000u | (unsigned)a << 5 | (unsigned)v);
}

/* fcvt?s, fcvt?u, scvtf, ucvtf between an integer register and an FP one: @sel is rmode << 3 |
 * opcode (C4.1, "Conversion between floating-point and integer"). */
static inline void asm_fcvt_int(struct vr_asm *s, bool single, bool w, unsigned sel, int d, int a)
{
    asm_u32(s, 0x1e200000u | (w ? 1u << 31 : 0) | (single ? 0 : 1u << 22) | sel << 16 |
                   (unsigned)a << 5 | (unsigned)d);
}

enum { A64_FPCR = 0, A64_FPSR = 1 };
static inline void asm_mrs(struct vr_asm *s, int d, unsigned which)
{
    asm_u32(s, 0xd53b4400u | which << 5 | (unsigned)d);
}

static inline void asm_msr(struct vr_asm *s, unsigned which, int a)
{
    asm_u32(s, 0xd51b4400u | which << 5 | (unsigned)a);
}

#endif
