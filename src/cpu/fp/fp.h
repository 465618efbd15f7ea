/*
 * Exact RISC-V floating point: binary16, binary32 and binary64 as pure functions.
 *
 * RISC-V ISA manual vol. I, chapters F 2.2, D, Zfh, Zfa; IEEE 754-2019. Operands and results are
 * raw bits, so that no host floating point can touch a value in passing. Every result that is a NaN
 * is the canonical one, tininess is detected after rounding, and the flags are those of fflags.
 *
 * The functions here use integer arithmetic only: they are right on any host, in any host rounding
 * mode, and leave the host's floating-point flags alone. cpu/fp/fp_fast.h has the same functions
 * with the host's FPU in front (vr_fast_*).
 *
 * Common to all:
 *   rm     one of enum vr_rm. The caller has resolved DYN and refused the reserved values.
 *   flags  sticky: raised flags are OR-ed in, none is ever cleared.
 * NaN boxing belongs to the caller; the helpers below do it.
 */
#ifndef VR_CPU_FP_FP_H
#define VR_CPU_FP_FP_H

#include <stdbool.h>
#include <stdint.h>

/* Rounding modes, encoded as in the rm field of an instruction and in fcsr.frm. */
enum vr_rm {
    VR_RNE = 0, /* to nearest, ties to even */
    VR_RTZ = 1, /* towards zero */
    VR_RDN = 2, /* down */
    VR_RUP = 3, /* up */
    VR_RMM = 4, /* to nearest, ties away from zero */
};

/* Accrued exceptions, encoded as in fcsr.fflags. */
enum vr_fflag {
    VR_FF_NX = 1,  /* inexact */
    VR_FF_UF = 2,  /* underflow */
    VR_FF_OF = 4,  /* overflow */
    VR_FF_DZ = 8,  /* divide by zero */
    VR_FF_NV = 16, /* invalid operation */
};

#define VR_F16_NAN 0x7e00u
#define VR_F32_NAN 0x7fc00000u
#define VR_F64_NAN 0x7ff8000000000000u

/* NaN boxing of the narrower formats in a 64-bit register (chapter D, "NaN Boxing of Narrower
 * Values"): a value that is not boxed reads as the canonical NaN. Transfers (fmv, fsw, fsh) do not
 * use these: they take the low bits as they are. */
static inline uint32_t vr_f32_unbox(uint64_t reg)
{
    return reg >= 0xffffffff00000000u ? (uint32_t)reg : VR_F32_NAN;
}

static inline uint16_t vr_f16_unbox(uint64_t reg)
{
    return reg >= 0xffffffffffff0000u ? (uint16_t)reg : (uint16_t)VR_F16_NAN;
}

static inline uint64_t vr_f32_box(uint32_t bits)
{
    return 0xffffffff00000000u | bits;
}

static inline uint64_t vr_f16_box(uint16_t bits)
{
    return 0xffffffffffff0000u | bits;
}

/* Arithmetic (fp_arith.c). fma is a * b + c with one rounding; the other three members of its
 * family are had by inverting the sign bit of a and of c. */
uint64_t vr_f64_add(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags);
uint64_t vr_f64_sub(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags);
uint64_t vr_f64_mul(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags);
uint64_t vr_f64_div(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags);
uint64_t vr_f64_sqrt(uint64_t a, unsigned rm, uint32_t *flags);
uint64_t vr_f64_fma(uint64_t a, uint64_t b, uint64_t c, unsigned rm, uint32_t *flags);
uint32_t vr_f32_add(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags);
uint32_t vr_f32_sub(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags);
uint32_t vr_f32_mul(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags);
uint32_t vr_f32_div(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags);
uint32_t vr_f32_sqrt(uint32_t a, unsigned rm, uint32_t *flags);
uint32_t vr_f32_fma(uint32_t a, uint32_t b, uint32_t c, unsigned rm, uint32_t *flags);
uint16_t vr_f16_add(uint16_t a, uint16_t b, unsigned rm, uint32_t *flags);
uint16_t vr_f16_sub(uint16_t a, uint16_t b, unsigned rm, uint32_t *flags);
uint16_t vr_f16_mul(uint16_t a, uint16_t b, unsigned rm, uint32_t *flags);
uint16_t vr_f16_div(uint16_t a, uint16_t b, unsigned rm, uint32_t *flags);
uint16_t vr_f16_sqrt(uint16_t a, unsigned rm, uint32_t *flags);
uint16_t vr_f16_fma(uint16_t a, uint16_t b, uint16_t c, unsigned rm, uint32_t *flags);

/* Minimum and maximum (fp_cmp.c). -0 is below +0. min and max are minimumNumber and maximumNumber:
 * one NaN yields the other operand. minm and maxm (Zfa) are minimum and maximum: a NaN yields the
 * canonical NaN. A signaling NaN raises NV in all four. */
uint64_t vr_f64_min(uint64_t a, uint64_t b, uint32_t *flags);
uint64_t vr_f64_max(uint64_t a, uint64_t b, uint32_t *flags);
uint64_t vr_f64_minm(uint64_t a, uint64_t b, uint32_t *flags);
uint64_t vr_f64_maxm(uint64_t a, uint64_t b, uint32_t *flags);
uint32_t vr_f32_min(uint32_t a, uint32_t b, uint32_t *flags);
uint32_t vr_f32_max(uint32_t a, uint32_t b, uint32_t *flags);
uint32_t vr_f32_minm(uint32_t a, uint32_t b, uint32_t *flags);
uint32_t vr_f32_maxm(uint32_t a, uint32_t b, uint32_t *flags);
uint16_t vr_f16_min(uint16_t a, uint16_t b, uint32_t *flags);
uint16_t vr_f16_max(uint16_t a, uint16_t b, uint32_t *flags);
uint16_t vr_f16_minm(uint16_t a, uint16_t b, uint32_t *flags);
uint16_t vr_f16_maxm(uint16_t a, uint16_t b, uint32_t *flags);

/* Comparisons (fp_cmp.c): a NaN makes them false. lt and le raise NV for any NaN; eq and the quiet
 * ltq and leq (Zfa) only for a signaling one. */
bool vr_f64_eq(uint64_t a, uint64_t b, uint32_t *flags);
bool vr_f64_lt(uint64_t a, uint64_t b, uint32_t *flags);
bool vr_f64_le(uint64_t a, uint64_t b, uint32_t *flags);
bool vr_f64_ltq(uint64_t a, uint64_t b, uint32_t *flags);
bool vr_f64_leq(uint64_t a, uint64_t b, uint32_t *flags);
bool vr_f32_eq(uint32_t a, uint32_t b, uint32_t *flags);
bool vr_f32_lt(uint32_t a, uint32_t b, uint32_t *flags);
bool vr_f32_le(uint32_t a, uint32_t b, uint32_t *flags);
bool vr_f32_ltq(uint32_t a, uint32_t b, uint32_t *flags);
bool vr_f32_leq(uint32_t a, uint32_t b, uint32_t *flags);
bool vr_f16_eq(uint16_t a, uint16_t b, uint32_t *flags);
bool vr_f16_lt(uint16_t a, uint16_t b, uint32_t *flags);
bool vr_f16_le(uint16_t a, uint16_t b, uint32_t *flags);
bool vr_f16_ltq(uint16_t a, uint16_t b, uint32_t *flags);
bool vr_f16_leq(uint16_t a, uint16_t b, uint32_t *flags);

/* fclass: one bit of ten set (0 -inf, 1 -normal, 2 -subnormal, 3 -0, 4 +0, 5 +subnormal, 6 +normal,
 * 7 +inf, 8 signaling NaN, 9 quiet NaN). */
unsigned vr_f64_class(uint64_t a);
unsigned vr_f32_class(uint32_t a);
unsigned vr_f16_class(uint16_t a);

/* fli (Zfa): the constant that the 5-bit index (the rs1 field) selects. */
uint64_t vr_f64_fli(unsigned index);
uint32_t vr_f32_fli(unsigned index);
uint16_t vr_f16_fli(unsigned index);

/* Between the formats (fp_conv.c). Widening is exact, and so takes no rounding mode. */
uint64_t vr_f32_to_f64(uint32_t a, uint32_t *flags);
uint64_t vr_f16_to_f64(uint16_t a, uint32_t *flags);
uint32_t vr_f16_to_f32(uint16_t a, uint32_t *flags);
uint32_t vr_f64_to_f32(uint64_t a, unsigned rm, uint32_t *flags);
uint16_t vr_f64_to_f16(uint64_t a, unsigned rm, uint32_t *flags);
uint16_t vr_f32_to_f16(uint32_t a, unsigned rm, uint32_t *flags);

/* To integers (fp_conv.c). What does not fit, after rounding, saturates and raises NV alone; a NaN
 * gives the greatest value. fcvt.wu sign-extends its 32-bit result as fcvt.w does: the caller does
 * that. */
int32_t vr_f64_to_i32(uint64_t a, unsigned rm, uint32_t *flags);
uint32_t vr_f64_to_u32(uint64_t a, unsigned rm, uint32_t *flags);
int64_t vr_f64_to_i64(uint64_t a, unsigned rm, uint32_t *flags);
uint64_t vr_f64_to_u64(uint64_t a, unsigned rm, uint32_t *flags);
int32_t vr_f32_to_i32(uint32_t a, unsigned rm, uint32_t *flags);
uint32_t vr_f32_to_u32(uint32_t a, unsigned rm, uint32_t *flags);
int64_t vr_f32_to_i64(uint32_t a, unsigned rm, uint32_t *flags);
uint64_t vr_f32_to_u64(uint32_t a, unsigned rm, uint32_t *flags);
int32_t vr_f16_to_i32(uint16_t a, unsigned rm, uint32_t *flags);
uint32_t vr_f16_to_u32(uint16_t a, unsigned rm, uint32_t *flags);
int64_t vr_f16_to_i64(uint16_t a, unsigned rm, uint32_t *flags);
uint64_t vr_f16_to_u64(uint16_t a, unsigned rm, uint32_t *flags);

/* From integers (fp_conv.c). Zero gives +0. */
uint64_t vr_f64_from_i32(int32_t v, unsigned rm, uint32_t *flags);
uint64_t vr_f64_from_u32(uint32_t v, unsigned rm, uint32_t *flags);
uint64_t vr_f64_from_i64(int64_t v, unsigned rm, uint32_t *flags);
uint64_t vr_f64_from_u64(uint64_t v, unsigned rm, uint32_t *flags);
uint32_t vr_f32_from_i32(int32_t v, unsigned rm, uint32_t *flags);
uint32_t vr_f32_from_u32(uint32_t v, unsigned rm, uint32_t *flags);
uint32_t vr_f32_from_i64(int64_t v, unsigned rm, uint32_t *flags);
uint32_t vr_f32_from_u64(uint64_t v, unsigned rm, uint32_t *flags);
uint16_t vr_f16_from_i32(int32_t v, unsigned rm, uint32_t *flags);
uint16_t vr_f16_from_u32(uint32_t v, unsigned rm, uint32_t *flags);
uint16_t vr_f16_from_i64(int64_t v, unsigned rm, uint32_t *flags);
uint16_t vr_f16_from_u64(uint64_t v, unsigned rm, uint32_t *flags);

/* To an integer in the same format (Zfa fround, froundnx; fp_conv.c). The sign stays, also of a
 * zero result. Only roundnx raises NX. */
uint64_t vr_f64_round(uint64_t a, unsigned rm, uint32_t *flags);
uint64_t vr_f64_roundnx(uint64_t a, unsigned rm, uint32_t *flags);
uint32_t vr_f32_round(uint32_t a, unsigned rm, uint32_t *flags);
uint32_t vr_f32_roundnx(uint32_t a, unsigned rm, uint32_t *flags);
uint16_t vr_f16_round(uint16_t a, unsigned rm, uint32_t *flags);
uint16_t vr_f16_roundnx(uint16_t a, unsigned rm, uint32_t *flags);

/* fcvtmod.w.d (Zfa): truncate, then keep the low 32 bits; infinities and NaNs give 0. The flags are
 * those of fcvt.w.d with RTZ. */
int32_t vr_f64_cvtmod_i32(uint64_t a, uint32_t *flags);

#endif
