/*
 * Floating-point comparison, minimum and maximum, classification and the constants of fli.
 *
 * RISC-V ISA manual vol. I, chapters F 2.2 ("Floating-Point Compare", "Classify"), Zfh, Zfa. The
 * formats order like sign-magnitude integers, so nothing needs to be unpacked.
 */
#include "cpu/fp/fp.h"
#include "cpu/fp/fp_core.h"

/* Maps non-NaN bits to integers that order alike, except that -0 comes just below +0. */
FP_INLINE int64_t fp_order(struct fp_fmt f, uint64_t bits)
{
    uint64_t magnitude = bits & ~fp_sign_bit(f);

    return bits & fp_sign_bit(f) ? -(int64_t)magnitude - 1 : (int64_t)magnitude;
}

FP_INLINE bool fp_both_zero(struct fp_fmt f, uint64_t a, uint64_t b)
{
    return ((a | b) & ~fp_sign_bit(f)) == 0;
}

/* Whether a comparison with these operands is false for a NaN; raises NV as due. */
FP_INLINE bool fp_unordered(struct fp_fmt f, uint64_t a, uint64_t b, bool quiet, uint32_t *flags)
{
    if (!fp_is_nan_bits(f, a) && !fp_is_nan_bits(f, b)) {
        return false;
    }
    if (!quiet || fp_is_snan_bits(f, a) || fp_is_snan_bits(f, b)) {
        *flags |= VR_FF_NV;
    }
    return true;
}

FP_INLINE bool fp_eq(struct fp_fmt f, uint64_t a, uint64_t b, uint32_t *flags)
{
    return !fp_unordered(f, a, b, true, flags) && (a == b || fp_both_zero(f, a, b));
}

FP_INLINE bool fp_lt(struct fp_fmt f, uint64_t a, uint64_t b, bool quiet, uint32_t *flags)
{
    return !fp_unordered(f, a, b, quiet, flags) && !fp_both_zero(f, a, b) &&
           fp_order(f, a) < fp_order(f, b);
}

FP_INLINE bool fp_le(struct fp_fmt f, uint64_t a, uint64_t b, bool quiet, uint32_t *flags)
{
    return !fp_unordered(f, a, b, quiet, flags) &&
           (fp_both_zero(f, a, b) || fp_order(f, a) <= fp_order(f, b));
}

/* `max`: the greater one instead of the lesser; `number`: a NaN yields the other operand. */
FP_INLINE uint64_t fp_min_max(struct fp_fmt f, uint64_t a, uint64_t b, bool max, bool number,
                              uint32_t *flags)
{
    if (fp_unordered(f, a, b, true, flags)) {
        if (number && !fp_is_nan_bits(f, a)) {
            return a;
        }
        if (number && !fp_is_nan_bits(f, b)) {
            return b;
        }
        return fp_nan(f);
    }
    return (fp_order(f, a) < fp_order(f, b)) != max ? a : b;
}

FP_INLINE unsigned fp_class(struct fp_fmt f, uint64_t bits)
{
    bool sign = (bits & fp_sign_bit(f)) != 0;
    uint64_t magnitude = bits & ~fp_sign_bit(f);

    if (magnitude > fp_inf_bits(f)) {
        return bits & fp_quiet_bit(f) ? 1u << 9 : 1u << 8;
    }
    if (magnitude == fp_inf_bits(f)) {
        return sign ? 1u << 0 : 1u << 7;
    }
    if (magnitude >> f.frac_bits) {
        return sign ? 1u << 1 : 1u << 6;
    }
    if (magnitude) {
        return sign ? 1u << 2 : 1u << 5;
    }
    return sign ? 1u << 3 : 1u << 4;
}

#define FP_DEFINE(fmt, FMT, type)                                \
    type vr_##fmt##_min(type a, type b, uint32_t *flags)         \
    {                                                            \
        return (type)fp_min_max(FMT, a, b, false, true, flags);  \
    }                                                            \
    type vr_##fmt##_max(type a, type b, uint32_t *flags)         \
    {                                                            \
        return (type)fp_min_max(FMT, a, b, true, true, flags);   \
    }                                                            \
    type vr_##fmt##_minm(type a, type b, uint32_t *flags)        \
    {                                                            \
        return (type)fp_min_max(FMT, a, b, false, false, flags); \
    }                                                            \
    type vr_##fmt##_maxm(type a, type b, uint32_t *flags)        \
    {                                                            \
        return (type)fp_min_max(FMT, a, b, true, false, flags);  \
    }                                                            \
    bool vr_##fmt##_eq(type a, type b, uint32_t *flags)          \
    {                                                            \
        return fp_eq(FMT, a, b, flags);                          \
    }                                                            \
    bool vr_##fmt##_lt(type a, type b, uint32_t *flags)          \
    {                                                            \
        return fp_lt(FMT, a, b, false, flags);                   \
    }                                                            \
    bool vr_##fmt##_le(type a, type b, uint32_t *flags)          \
    {                                                            \
        return fp_le(FMT, a, b, false, flags);                   \
    }                                                            \
    bool vr_##fmt##_ltq(type a, type b, uint32_t *flags)         \
    {                                                            \
        return fp_lt(FMT, a, b, true, flags);                    \
    }                                                            \
    bool vr_##fmt##_leq(type a, type b, uint32_t *flags)         \
    {                                                            \
        return fp_le(FMT, a, b, true, flags);                    \
    }                                                            \
    unsigned vr_##fmt##_class(type a)                            \
    {                                                            \
        return fp_class(FMT, a);                                 \
    }

FP_DEFINE(f16, FP_F16, uint16_t)
FP_DEFINE(f32, FP_F32, uint32_t)
FP_DEFINE(f64, FP_F64, uint64_t)

/*
 * The table of chapter Zfa, "Load-Immediate Instructions". Most entries are exact in every format
 * and written as binary16; the others depend on the format.
 */
static const uint16_t fp_fli_f16[32] = {
    0xbc00, /* -1.0 */
    0x0400, /* least positive normal number */
    0x0100, /* 2^-16, subnormal in binary16 */
    0x0200, /* 2^-15, subnormal in binary16 */
    0x1c00, /* 2^-8 */
    0x2000, /* 2^-7 */
    0x2c00, /* 0.0625 */
    0x3000, /* 0.125 */
    0x3400, /* 0.25 */
    0x3500, /* 0.3125 */
    0x3600, /* 0.375 */
    0x3700, /* 0.4375 */
    0x3800, /* 0.5 */
    0x3900, /* 0.625 */
    0x3a00, /* 0.75 */
    0x3b00, /* 0.875 */
    0x3c00, /* 1.0 */
    0x3d00, /* 1.25 */
    0x3e00, /* 1.5 */
    0x3f00, /* 1.75 */
    0x4000, /* 2.0 */
    0x4100, /* 2.5 */
    0x4200, /* 3.0 */
    0x4400, /* 4.0 */
    0x4800, /* 8.0 */
    0x4c00, /* 16.0 */
    0x5800, /* 2^7 */
    0x5c00, /* 2^8 */
    0x7800, /* 2^15 */
    0x7c00, /* 2^16, which is +inf in binary16 */
    0x7c00, /* +inf */
    0x7e00, /* canonical NaN */
};

uint16_t vr_f16_fli(unsigned index)
{
    return fp_fli_f16[index & 31];
}

uint32_t vr_f32_fli(unsigned index)
{
    uint32_t unused = 0;

    switch (index & 31) {
    case 1:
        return 0x00800000;
    case 29:
        return 0x47800000;
    default:
        return vr_f16_to_f32(fp_fli_f16[index & 31], &unused);
    }
}

uint64_t vr_f64_fli(unsigned index)
{
    uint32_t unused = 0;

    switch (index & 31) {
    case 1:
        return 0x0010000000000000;
    case 29:
        return 0x40f0000000000000;
    default:
        return vr_f16_to_f64(fp_fli_f16[index & 31], &unused);
    }
}
