/*
 * The core of the software floating point: one unpacked form for all formats, unpacking into it,
 * and the one place where results are rounded and packed. Private to src/cpu/fp.
 *
 * Everything here is forced inline with a constant format, so that each public function becomes
 * straight code for its own width. A significand has its leading one in bit 63; a format has at
 * most 53 bits of it, which leaves 11 bits below for guard bits, the lowest of them sticky ("jam").
 */
#ifndef VR_CPU_FP_FP_CORE_H
#define VR_CPU_FP_FP_CORE_H

#include "cpu/fp/fp.h"

#define FP_INLINE static inline __attribute__((always_inline))

__extension__ typedef unsigned __int128 vr_u128;

/* An IEEE 754 binary interchange format: widths of the exponent and of the trailing significand. */
struct fp_fmt {
    int exp_bits;
    int frac_bits;
};

static const struct fp_fmt FP_F16 = {5, 10};
static const struct fp_fmt FP_F32 = {8, 23};
static const struct fp_fmt FP_F64 = {11, 52};

/* FP_FINITE (and not zero) is 0, and the NaNs come last: both are tested for often. */
enum fp_kind { FP_FINITE, FP_ZERO, FP_INF, FP_QNAN, FP_SNAN };

/* An unpacked operand. When FP_FINITE its magnitude is sig / 2^63 * 2^exp, sig >= 2^63. */
struct fp_num {
    uint64_t sig;
    int32_t exp;
    enum fp_kind kind;
    bool sign;
};

FP_INLINE int fp_bias(struct fp_fmt f)
{
    return (1 << (f.exp_bits - 1)) - 1;
}

FP_INLINE uint64_t fp_sign_bit(struct fp_fmt f)
{
    return (uint64_t)1 << (f.exp_bits + f.frac_bits);
}

FP_INLINE uint64_t fp_inf_bits(struct fp_fmt f)
{
    return (((uint64_t)1 << f.exp_bits) - 1) << f.frac_bits;
}

/* The quiet bit, set in the canonical NaN and clear in signaling ones. */
FP_INLINE uint64_t fp_quiet_bit(struct fp_fmt f)
{
    return (uint64_t)1 << (f.frac_bits - 1);
}

FP_INLINE uint64_t fp_nan(struct fp_fmt f)
{
    return fp_inf_bits(f) | fp_quiet_bit(f);
}

FP_INLINE uint64_t fp_invalid(struct fp_fmt f, uint32_t *flags)
{
    *flags |= VR_FF_NV;
    return fp_nan(f);
}

FP_INLINE uint64_t fp_signed(struct fp_fmt f, bool sign, uint64_t magnitude)
{
    return (sign ? fp_sign_bit(f) : 0) | magnitude;
}

FP_INLINE bool fp_is_nan_bits(struct fp_fmt f, uint64_t bits)
{
    return (bits & ~fp_sign_bit(f)) > fp_inf_bits(f);
}

FP_INLINE bool fp_is_snan_bits(struct fp_fmt f, uint64_t bits)
{
    return fp_is_nan_bits(f, bits) && !(bits & fp_quiet_bit(f));
}

FP_INLINE struct fp_num fp_unpack(struct fp_fmt f, uint64_t bits)
{
    const int exp_max = (1 << f.exp_bits) - 1;
    uint64_t frac = bits & (((uint64_t)1 << f.frac_bits) - 1);
    int exp = (int)(bits >> f.frac_bits) & exp_max;
    struct fp_num n;

    n.sign = (bits & fp_sign_bit(f)) != 0;
    n.exp = exp - fp_bias(f);
    n.sig = (uint64_t)1 << 63 | frac << (63 - f.frac_bits);
    n.kind = FP_FINITE;
    if (__builtin_expect(exp == 0, 0)) {
        if (frac == 0) {
            n.kind = FP_ZERO;
        } else {
            int shift = __builtin_clzll(frac);

            n.sig = frac << shift;
            n.exp = 1 - fp_bias(f) + (63 - f.frac_bits) - shift;
        }
    } else if (__builtin_expect(exp == exp_max, 0)) {
        if (frac == 0) {
            n.kind = FP_INF;
        } else {
            n.kind = frac & fp_quiet_bit(f) ? FP_QNAN : FP_SNAN;
        }
    }
    return n;
}

FP_INLINE bool fp_is_nan(struct fp_num n)
{
    return n.kind >= FP_QNAN;
}

/* The result of an operation that has at least one NaN operand. */
FP_INLINE uint64_t fp_nan_result(struct fp_fmt f, bool any_signaling, uint32_t *flags)
{
    if (any_signaling) {
        *flags |= VR_FF_NV;
    }
    return fp_nan(f);
}

/* Shifts right; what falls out is kept as a sticky lowest bit. count >= 0, of any size. */
FP_INLINE uint64_t fp_shr_jam(uint64_t v, int count)
{
    if (count == 0) {
        return v;
    }
    if (count > 63) {
        return v != 0;
    }
    return v >> count | ((v << (64 - count)) != 0);
}

FP_INLINE vr_u128 fp_shr_jam128(vr_u128 v, int count)
{
    if (count == 0) {
        return v;
    }
    if (count > 127) {
        return v != 0;
    }
    return v >> count | ((v << (128 - count)) != 0);
}

/* The top 64 bits, with the lower ones jammed. */
FP_INLINE uint64_t fp_jam_high(vr_u128 v)
{
    return (uint64_t)(v >> 64) | ((uint64_t)v != 0);
}

/* Whether a magnitude is rounded up to the next one. `odd`: its last kept bit; `rest`: what was cut
 * off, below `half * 2`. */
FP_INLINE bool fp_rounds_up(unsigned rm, bool sign, bool odd, uint64_t rest, uint64_t half)
{
    switch (rm) {
    case VR_RTZ:
        return false;
    case VR_RDN:
        return sign && rest != 0;
    case VR_RUP:
        return !sign && rest != 0;
    case VR_RMM:
        return rest >= half;
    default:
        return rest > half || (rest == half && odd);
    }
}

FP_INLINE uint64_t fp_overflow(struct fp_fmt f, bool sign, unsigned rm, uint32_t *flags)
{
    bool to_max = rm == VR_RTZ || (rm == VR_RDN && !sign) || (rm == VR_RUP && sign);

    *flags |= VR_FF_OF | VR_FF_NX;
    return fp_signed(f, sign, fp_inf_bits(f) - to_max);
}

/*
 * Rounds the exact (or jammed) magnitude sig / 2^63 * 2^exp, sig >= 2^63, to the format, raising
 * NX, UF and OF as due. Underflow is raised for results that are inexact and tiny, where tiny
 * means: below the least normal number when rounded as if the exponent had no lower bound.
 */
FP_INLINE uint64_t fp_round_pack(struct fp_fmt f, bool sign, int32_t exp, uint64_t sig, unsigned rm,
                                 uint32_t *flags)
{
    const int drop = 63 - f.frac_bits;
    const uint64_t mask = ((uint64_t)1 << drop) - 1;
    const uint64_t half = (uint64_t)1 << (drop - 1);
    const int exp_min = 1 - fp_bias(f);
    bool tiny = false;
    uint64_t biased;
    uint64_t kept;

    if (__builtin_expect(exp > fp_bias(f), 0)) {
        return fp_overflow(f, sign, rm, flags);
    }
    /* The exponent field less one: adding the significand with its leading one makes up for it, and
     * a carry out of the significand moves on to the next binade by itself. */
    biased = (uint64_t)(exp - exp_min);
    if (__builtin_expect(exp < exp_min, 0)) {
        kept = sig >> drop;
        tiny = exp < exp_min - 1 || kept != (((uint64_t)2 << f.frac_bits) - 1) ||
               !fp_rounds_up(rm, sign, kept & 1, sig & mask, half);
        sig = fp_shr_jam(sig, exp_min - exp);
        biased = 0;
    }
    kept = sig >> drop;
    if (sig & mask) {
        *flags |= tiny ? VR_FF_NX | VR_FF_UF : VR_FF_NX;
        kept += fp_rounds_up(rm, sign, kept & 1, sig & mask, half);
    }
    kept += biased << f.frac_bits;
    if (__builtin_expect(kept >= fp_inf_bits(f), 0)) {
        return fp_overflow(f, sign, rm, flags);
    }
    return fp_signed(f, sign, kept);
}

#endif
