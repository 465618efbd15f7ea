/*
 * Writing x86-64 machine code: one function an instruction form. Intel SDM (325462) volume 2,
 * chapter 2 "Instruction Format" (REX, VEX, ModRM, SIB) and chapters 3 to 6.
 */
#ifndef VR_CPU_JIT_X86_64_ASM_H
#define VR_CPU_JIT_X86_64_ASM_H

#include "cpu/jit/asm.h"

enum { RAX, RCX, RDX, RBX, RSP, RBP, RSI, RDI, R8, R9, R10, R11, R12, R13, R14, R15, NO_REG = -1 };

/* Arithmetic of opcode group 1, by its number; shifts of group 2. */
enum { ALU_ADD = 0, ALU_OR = 1, ALU_ADC = 2, ALU_AND = 4, ALU_SUB = 5, ALU_XOR = 6, ALU_CMP = 7 };
enum { SHIFT_ROL = 0, SHIFT_ROR = 1, SHIFT_SHL = 4, SHIFT_SHR = 5, SHIFT_SAR = 7 };

/* Condition codes. */
enum {
    CC_B = 2,
    CC_AE = 3,
    CC_E = 4,
    CC_NE = 5,
    CC_BE = 6,
    CC_A = 7,
    CC_S = 8,
    CC_P = 10,
    CC_NP = 11,
    CC_L = 12,
    CC_GE = 13,
    CC_LE = 14,
    CC_G = 15,
};

/* VEX prefix fields: implied prefix and opcode map. */
enum { PP_NONE = 0, PP_66 = 1, PP_F3 = 2, PP_F2 = 3 };
enum { MAP_0F = 1, MAP_0F38 = 2, MAP_0F3A = 3 };

/* Let the four bytes at @site, an operand relative to what follows them, lead to @target. */
static inline void asm_patch(struct vr_asm *s, size_t site, size_t target)
{
    uint32_t rel = (uint32_t)(target - (site + 4));
    if (site + 4 <= s->end) {
        memcpy(s->base + site, &rel, sizeof(rel));
    }
}

static inline bool asm_is_i8(int64_t v)
{
    return v == (int8_t)v;
}

static inline bool asm_is_i32(int64_t v)
{
    return v == (int32_t)v;
}

/* A memory operand: base + index << scale + disp. base NO_REG: relative to the code memory's start,
 * at offset disp. */
struct vr_asm_mem {
    int base, index;
    unsigned scale;
    int32_t disp;
};

static inline struct vr_asm_mem asm_at(int base, int64_t disp)
{
    return (struct vr_asm_mem){.base = base, .index = NO_REG, .disp = (int32_t)disp};
}

static inline struct vr_asm_mem asm_at_index(int base, int index, unsigned scale, int64_t disp)
{
    return (struct vr_asm_mem){.base = base, .index = index, .scale = scale, .disp = (int32_t)disp};
}

/* ModRM, SIB and displacement; @tail: bytes of the instruction that follow (an immediate). */
static inline void asm_modrm_mem(struct vr_asm *s, int reg, struct vr_asm_mem m, unsigned tail)
{
    unsigned r = (unsigned)(reg & 7) << 3;
    if (m.base == NO_REG) { /* rip-relative */
        asm_u8(s, r | 5);
        asm_u32(s, (uint32_t)((int64_t)m.disp - (int64_t)(s->at + 4 + tail)));
        return;
    }
    unsigned mod = m.disp == 0 && (m.base & 7) != RBP ? 0 : asm_is_i8(m.disp) ? 1 : 2;
    if (m.index != NO_REG || (m.base & 7) == RSP) {
        unsigned index = m.index == NO_REG ? 4u : (unsigned)m.index & 7;
        asm_u8(s, mod << 6 | r | 4);
        asm_u8(s, m.scale << 6 | index << 3 | ((unsigned)m.base & 7));
    } else {
        asm_u8(s, mod << 6 | r | ((unsigned)m.base & 7));
    }
    if (mod == 1) {
        asm_u8(s, (uint8_t)m.disp);
    } else if (mod == 2) {
        asm_u32(s, (uint32_t)m.disp);
    }
}

/* An opcode is one byte, or 0x0f and another as 0x0fxx. */
static inline void asm_opcode(struct vr_asm *s, unsigned op)
{
    if (op > 0xff) {
        asm_u8(s, op >> 8);
    }
    asm_u8(s, op & 0xff);
}

/* @byte_reg: reg is an 8-bit register operand, which needs REX for sil, dil and the like. */
static inline void asm_rex(struct vr_asm *s, bool w, int reg, int index, int base, bool byte_reg)
{
    unsigned rex = (w ? 8u : 0) | ((unsigned)(reg & 8) >> 1) |
                   (index != NO_REG ? (unsigned)(index & 8) >> 2 : 0) |
                   (base != NO_REG ? (unsigned)(base & 8) >> 3 : 0);
    if (rex || byte_reg) {
        asm_u8(s, 0x40 | rex);
    }
}

static inline void asm_rr(struct vr_asm *s, bool w, unsigned op, int reg, int rm)
{
    asm_rex(s, w, reg, NO_REG, rm, false);
    asm_opcode(s, op);
    asm_u8(s, 0xc0 | (unsigned)(reg & 7) << 3 | ((unsigned)rm & 7));
}

static inline void asm_rm(struct vr_asm *s, bool w, unsigned op, int reg, struct vr_asm_mem m)
{
    asm_rex(s, w, reg, m.index, m.base, false);
    asm_opcode(s, op);
    asm_modrm_mem(s, reg, m, 0);
}

/* The same with a prefix that stands before REX (0x66, 0xf2, 0xf3, 0xf0). */
static inline void asm_prr(struct vr_asm *s, unsigned prefix, bool w, unsigned op, int reg, int rm)
{
    asm_u8(s, prefix);
    asm_rr(s, w, op, reg, rm);
}

static inline void asm_mov(struct vr_asm *s, int d, int a)
{
    if (d != a) {
        asm_rr(s, true, 0x8b, d, a);
    }
}

static inline void asm_mov32(struct vr_asm *s, int d, int a)
{
    asm_rr(s, false, 0x8b, d, a);
}

static inline void asm_load(struct vr_asm *s, int d, struct vr_asm_mem m)
{
    asm_rm(s, true, 0x8b, d, m);
}

static inline void asm_store(struct vr_asm *s, struct vr_asm_mem m, int a)
{
    asm_rm(s, true, 0x89, a, m);
}

static inline void asm_lea(struct vr_asm *s, bool w, int d, struct vr_asm_mem m)
{
    asm_rm(s, w, 0x8d, d, m);
}

static inline void asm_movsxd(struct vr_asm *s, int d, int a)
{
    asm_rr(s, true, 0x63, d, a);
}

static inline void asm_li(struct vr_asm *s, int d, uint64_t v)
{
    if (v == 0) {
        asm_rr(s, false, 0x33, d, d);
    } else if (v <= UINT32_MAX) {
        asm_rex(s, false, 0, NO_REG, d, false);
        asm_u8(s, 0xb8 | ((unsigned)d & 7));
        asm_u32(s, (uint32_t)v);
    } else if (asm_is_i32((int64_t)v)) {
        asm_rex(s, true, 0, NO_REG, d, false);
        asm_u8(s, 0xc7);
        asm_u8(s, 0xc0 | ((unsigned)d & 7));
        asm_u32(s, (uint32_t)v);
    } else {
        asm_rex(s, true, 0, NO_REG, d, false);
        asm_u8(s, 0xb8 | ((unsigned)d & 7));
        asm_u64(s, v);
    }
}

static inline void asm_alu(struct vr_asm *s, bool w, unsigned alu, int d, int a)
{
    asm_rr(s, w, alu << 3 | 3, d, a);
}

static inline void asm_alu_mem(struct vr_asm *s, bool w, unsigned alu, int d, struct vr_asm_mem m)
{
    asm_rm(s, w, alu << 3 | 3, d, m);
}

static inline void asm_alu_imm(struct vr_asm *s, bool w, unsigned alu, int d, int32_t imm)
{
    asm_rex(s, w, 0, NO_REG, d, false);
    asm_u8(s, asm_is_i8(imm) ? 0x83 : 0x81);
    asm_u8(s, 0xc0 | alu << 3 | ((unsigned)d & 7));
    if (asm_is_i8(imm)) {
        asm_u8(s, (uint8_t)imm);
    } else {
        asm_u32(s, (uint32_t)imm);
    }
}

static inline void asm_alu_mem_imm(struct vr_asm *s, bool w, unsigned alu, struct vr_asm_mem m,
                                   int32_t imm)
{
    bool small = asm_is_i8(imm);
    asm_rex(s, w, 0, m.index, m.base, false);
    asm_u8(s, small ? 0x83 : 0x81);
    asm_modrm_mem(s, (int)alu, m, small ? 1 : 4);
    if (small) {
        asm_u8(s, (uint8_t)imm);
    } else {
        asm_u32(s, (uint32_t)imm);
    }
}

static inline void asm_cmp8_mem_imm(struct vr_asm *s, struct vr_asm_mem m, unsigned imm)
{
    asm_rex(s, false, 0, m.index, m.base, false);
    asm_u8(s, 0x80);
    asm_modrm_mem(s, ALU_CMP, m, 1);
    asm_u8(s, imm);
}

static inline void asm_test(struct vr_asm *s, bool w, int a, int b)
{
    asm_rr(s, w, 0x85, b, a);
}

static inline void asm_shift_imm(struct vr_asm *s, bool w, unsigned kind, int d, unsigned n)
{
    asm_rex(s, w, 0, NO_REG, d, false);
    asm_u8(s, 0xc1);
    asm_u8(s, 0xc0 | kind << 3 | ((unsigned)d & 7));
    asm_u8(s, n);
}

static inline void asm_shift_cl(struct vr_asm *s, bool w, unsigned kind, int d)
{
    asm_rex(s, w, 0, NO_REG, d, false);
    asm_u8(s, 0xd3);
    asm_u8(s, 0xc0 | kind << 3 | ((unsigned)d & 7));
}

/* neg (3), not (2), mul (4), imul (5), div (6), idiv (7) of opcode group 3. */
static inline void asm_group3(struct vr_asm *s, bool w, unsigned kind, int a)
{
    asm_rex(s, w, 0, NO_REG, a, false);
    asm_u8(s, 0xf7);
    asm_u8(s, 0xc0 | kind << 3 | ((unsigned)a & 7));
}

/* d = a * imm */
static inline void asm_imul_imm(struct vr_asm *s, int d, int a, int32_t imm)
{
    asm_rr(s, true, 0x69, d, a);
    asm_u32(s, (uint32_t)imm);
}

static inline void asm_cmov(struct vr_asm *s, unsigned cc, int d, int a)
{
    asm_rr(s, true, 0x0f40 | cc, d, a);
}

/* d = condition, as 0 or 1. d must be one of rax, rcx, rdx. */
static inline void asm_setcc(struct vr_asm *s, unsigned cc, int d)
{
    asm_u8(s, 0x0f);
    asm_u8(s, 0x90 | cc);
    asm_u8(s, 0xc0 | (unsigned)d);
    asm_rr(s, false, 0x0fb6, d, d); /* movzx */
}

/* Jumps with a 32-bit operand; the place of that is returned, for asm_patch. */
static inline size_t asm_jcc(struct vr_asm *s, unsigned cc)
{
    asm_u8(s, 0x0f);
    asm_u8(s, 0x80 | cc);
    asm_u32(s, 0);
    return s->at - 4;
}

static inline size_t asm_jmp(struct vr_asm *s)
{
    asm_u8(s, 0xe9);
    asm_u32(s, 0);
    return s->at - 4;
}

static inline void asm_jmp_to(struct vr_asm *s, size_t target)
{
    asm_patch(s, asm_jmp(s), target);
}

static inline void asm_jcc_to(struct vr_asm *s, unsigned cc, size_t target)
{
    asm_patch(s, asm_jcc(s, cc), target);
}

static inline void asm_call_to(struct vr_asm *s, size_t target)
{
    asm_u8(s, 0xe8);
    asm_u32(s, 0);
    asm_patch(s, s->at - 4, target);
}

static inline void asm_jmp_reg(struct vr_asm *s, int a)
{
    asm_rex(s, false, 0, NO_REG, a, false);
    asm_u8(s, 0xff);
    asm_u8(s, 0xe0 | ((unsigned)a & 7));
}

static inline void asm_call_reg(struct vr_asm *s, int a)
{
    asm_rex(s, false, 0, NO_REG, a, false);
    asm_u8(s, 0xff);
    asm_u8(s, 0xd0 | ((unsigned)a & 7));
}

static inline void asm_push(struct vr_asm *s, int a)
{
    asm_rex(s, false, 0, NO_REG, a, false);
    asm_u8(s, 0x50 | ((unsigned)a & 7));
}

static inline void asm_pop(struct vr_asm *s, int a)
{
    asm_rex(s, false, 0, NO_REG, a, false);
    asm_u8(s, 0x58 | ((unsigned)a & 7));
}

static inline void asm_ret(struct vr_asm *s)
{
    asm_u8(s, 0xc3);
}

/* --- VEX --- */

static inline void asm_vex(struct vr_asm *s, unsigned map, unsigned pp, bool w, int reg, int v,
                           int index, int base)
{
    unsigned not_r = reg & 8 ? 0 : 0x80;
    unsigned not_x = index != NO_REG && index & 8 ? 0 : 0x40;
    unsigned not_b = base != NO_REG && base & 8 ? 0 : 0x20;
    asm_u8(s, 0xc4);
    asm_u8(s, not_r | not_x | not_b | map);
    asm_u8(s, (w ? 0x80u : 0) | (~(unsigned)v & 15) << 3 | pp);
}

static inline void asm_vrr(struct vr_asm *s, unsigned map, unsigned pp, bool w, unsigned op,
                           int reg, int v, int rm)
{
    asm_vex(s, map, pp, w, reg, v, NO_REG, rm);
    asm_u8(s, op);
    asm_u8(s, 0xc0 | (unsigned)(reg & 7) << 3 | ((unsigned)rm & 7));
}

static inline void asm_vrm(struct vr_asm *s, unsigned map, unsigned pp, bool w, unsigned op,
                           int reg, int v, struct vr_asm_mem m)
{
    asm_vex(s, map, pp, w, reg, v, m.index, m.base);
    asm_u8(s, op);
    asm_modrm_mem(s, reg, m, 0);
}

/* d = a rotated right by n (BMI2): leaves flags alone. */
static inline void asm_rorx(struct vr_asm *s, bool w, int d, int a, unsigned n)
{
    asm_vrr(s, MAP_0F3A, PP_F2, w, 0xf0, d, 0, a);
    asm_u8(s, n);
}

/* d = a shifted by n (BMI2): shlx PP_66, sarx PP_F3, shrx PP_F2. */
static inline void asm_shiftx(struct vr_asm *s, bool w, unsigned pp, int d, int a, int n)
{
    asm_vrr(s, MAP_0F38, pp, w, 0xf7, d, n, a);
}

/* d = ~a & b (BMI1). */
static inline void asm_andn(struct vr_asm *s, int d, int a, int b)
{
    asm_vrr(s, MAP_0F38, PP_NONE, true, 0xf2, d, a, b);
}

#endif
