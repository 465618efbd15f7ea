/*
 * Floating-point conversions: between the formats, to and from integers, rounding to integral
 * values.
 *
 * RISC-V ISA manual vol. I, chapters F 2.2 ("Conversion and Move", with the table of saturated
 * results), D, Zfh, Zfa.
 */
#include "cpu/fp/fp.h"
#include "cpu/fp/fp_core.h"

FP_INLINE uint64_t fp_convert(struct fp_fmt to, struct fp_fmt from, uint64_t bits, unsigned rm,
                              uint32_t *flags)
{
    struct fp_num a = fp_unpack(from, bits);

    switch (a.kind) {
    case FP_ZERO:
        return fp_signed(to, a.sign, 0);
    case FP_INF:
        return fp_signed(to, a.sign, fp_inf_bits(to));
    case FP_QNAN:
    case FP_SNAN:
        return fp_nan_result(to, a.kind == FP_SNAN, flags);
    case FP_FINITE:
        break;
    }
    return fp_round_pack(to, a.sign, a.exp, a.sig, rm, flags);
}

/* A magnitude below 2^64, rounded to an integer. */
struct fp_integer {
    uint64_t magnitude;
    bool inexact;
};

/* Rounds a finite operand with exp < 64. */
FP_INLINE struct fp_integer fp_to_integer(struct fp_num a, unsigned rm)
{
    const uint64_t half = (uint64_t)1 << 63;
    struct fp_integer r;
    uint64_t frac;

    if (a.exp >= 0) {
        r.magnitude = a.sig >> (63 - a.exp);
        frac = a.exp == 63 ? 0 : a.sig << (a.exp + 1);
    } else {
        r.magnitude = 0;
        frac = a.exp == -1 ? a.sig : 1; /* below one half all fractions are alike */
    }
    r.inexact = frac != 0;
    r.magnitude += fp_rounds_up(rm, a.sign, r.magnitude & 1, frac, half);
    return r;
}

/* To an integer of `width` bits; a signed result is in two's complement in 64 bits. */
FP_INLINE uint64_t fp_to_int(struct fp_fmt f, uint64_t bits, int width, bool is_signed, unsigned rm,
                             uint32_t *flags)
{
    const uint64_t max = UINT64_MAX >> (64 - width + is_signed);
    const uint64_t min_magnitude = is_signed ? max + 1 : 0;
    struct fp_num a = fp_unpack(f, bits);
    struct fp_integer r;

    if (a.kind == FP_ZERO) {
        return 0;
    }
    if (a.kind != FP_FINITE || a.exp > 63) {
        *flags |= VR_FF_NV;
        return a.sign && !fp_is_nan(a) ? 0 - min_magnitude : max;
    }
    r = fp_to_integer(a, rm);
    if (r.magnitude > (a.sign ? min_magnitude : max)) {
        *flags |= VR_FF_NV;
        return a.sign ? 0 - min_magnitude : max;
    }
    if (r.inexact) {
        *flags |= VR_FF_NX;
    }
    return a.sign ? 0 - r.magnitude : r.magnitude;
}

FP_INLINE uint64_t fp_from_int(struct fp_fmt f, uint64_t v, bool is_signed, unsigned rm,
                               uint32_t *flags)
{
    bool sign = is_signed && v >> 63;
    uint64_t magnitude = sign ? 0 - v : v;
    int shift;

    if (magnitude == 0) {
        return 0;
    }
    shift = __builtin_clzll(magnitude);
    return fp_round_pack(f, sign, 63 - shift, magnitude << shift, rm, flags);
}

FP_INLINE uint64_t fp_round_integral(struct fp_fmt f, uint64_t bits, unsigned rm, bool raise_nx,
                                     uint32_t *flags)
{
    struct fp_num a = fp_unpack(f, bits);
    struct fp_integer r;
    int shift;

    if (fp_is_nan(a)) {
        return fp_nan_result(f, a.kind == FP_SNAN, flags);
    }
    if (a.kind != FP_FINITE || a.exp >= f.frac_bits) {
        return bits;
    }
    r = fp_to_integer(a, rm);
    if (r.inexact && raise_nx) {
        *flags |= VR_FF_NX;
    }
    if (r.magnitude == 0) {
        return fp_signed(f, a.sign, 0);
    }
    shift = __builtin_clzll(r.magnitude);
    return fp_round_pack(f, a.sign, 63 - shift, r.magnitude << shift, rm, flags); /* exact */
}

int32_t vr_f64_cvtmod_i32(uint64_t bits, uint32_t *flags)
{
    struct fp_num a = fp_unpack(FP_F64, bits);
    uint64_t low = 0;

    (void)fp_to_int(FP_F64, bits, 32, true, VR_RTZ, flags);
    if (a.kind != FP_FINITE || a.exp > 63 + 31) {
        return 0;
    }
    if (a.exp > 63) {
        low = a.sig << (a.exp - 63);
    } else if (a.exp >= 0) {
        low = a.sig >> (63 - a.exp);
    }
    return (int32_t)(uint32_t)(a.sign ? 0 - low : low);
}

uint64_t vr_f32_to_f64(uint32_t a, uint32_t *flags)
{
    return fp_convert(FP_F64, FP_F32, a, VR_RNE, flags);
}

uint64_t vr_f16_to_f64(uint16_t a, uint32_t *flags)
{
    return fp_convert(FP_F64, FP_F16, a, VR_RNE, flags);
}

uint32_t vr_f16_to_f32(uint16_t a, uint32_t *flags)
{
    return (uint32_t)fp_convert(FP_F32, FP_F16, a, VR_RNE, flags);
}

uint32_t vr_f64_to_f32(uint64_t a, unsigned rm, uint32_t *flags)
{
    return (uint32_t)fp_convert(FP_F32, FP_F64, a, rm, flags);
}

uint16_t vr_f64_to_f16(uint64_t a, unsigned rm, uint32_t *flags)
{
    return (uint16_t)fp_convert(FP_F16, FP_F64, a, rm, flags);
}

uint16_t vr_f32_to_f16(uint32_t a, unsigned rm, uint32_t *flags)
{
    return (uint16_t)fp_convert(FP_F16, FP_F32, a, rm, flags);
}

#define FP_DEFINE_INT(fmt, FMT, type, name, int_type, width, is_signed)   \
    int_type vr_##fmt##_to_##name(type a, unsigned rm, uint32_t *flags)   \
    {                                                                     \
        return (int_type)fp_to_int(FMT, a, width, is_signed, rm, flags);  \
    }                                                                     \
    type vr_##fmt##_from_##name(int_type v, unsigned rm, uint32_t *flags) \
    {                                                                     \
        return (type)fp_from_int(FMT, (uint64_t)v, is_signed, rm, flags); \
    }

#define FP_DEFINE(fmt, FMT, type)                                 \
    FP_DEFINE_INT(fmt, FMT, type, i32, int32_t, 32, true)         \
    FP_DEFINE_INT(fmt, FMT, type, u32, uint32_t, 32, false)       \
    FP_DEFINE_INT(fmt, FMT, type, i64, int64_t, 64, true)         \
    FP_DEFINE_INT(fmt, FMT, type, u64, uint64_t, 64, false)       \
    type vr_##fmt##_round(type a, unsigned rm, uint32_t *flags)   \
    {                                                             \
        return (type)fp_round_integral(FMT, a, rm, false, flags); \
    }                                                             \
    type vr_##fmt##_roundnx(type a, unsigned rm, uint32_t *flags) \
    {                                                             \
        return (type)fp_round_integral(FMT, a, rm, true, flags);  \
    }

FP_DEFINE(f16, FP_F16, uint16_t)
FP_DEFINE(f32, FP_F32, uint32_t)
FP_DEFINE(f64, FP_F64, uint64_t)
