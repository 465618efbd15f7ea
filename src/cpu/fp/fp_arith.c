/*
 * Floating-point add, subtract, multiply, divide, square root and fused multiply-add, in integers.
 *
 * RISC-V ISA manual vol. I, chapter F 2.2, D, Zfh; IEEE 754-2019 sections 5.4.1, 6, 7. Each
 * operation is written once on the unpacked form, computes its result exactly or with a sticky bit
 * that is as good for rounding, and is instantiated for the three formats at the end of the file.
 */
#include "cpu/fp/fp.h"
#include "cpu/fp/fp_core.h"

/* The sum of two zeros, or of x and -x. */
FP_INLINE uint64_t fp_zero_sum(struct fp_fmt f, bool sign_a, bool sign_b, unsigned rm)
{
    return fp_signed(f, sign_a == sign_b ? sign_a : rm == VR_RDN, 0);
}

FP_INLINE uint64_t fp_add(struct fp_fmt f, uint64_t bits_a, uint64_t bits_b, unsigned rm,
                          uint32_t *flags)
{
    struct fp_num a = fp_unpack(f, bits_a);
    struct fp_num b = fp_unpack(f, bits_b);
    uint64_t sum;
    int shift;

    if (__builtin_expect(a.kind != FP_FINITE || b.kind != FP_FINITE, 0)) {
        if (fp_is_nan(a) || fp_is_nan(b)) {
            return fp_nan_result(f, a.kind == FP_SNAN || b.kind == FP_SNAN, flags);
        }
        if (a.kind == FP_INF) {
            return b.kind == FP_INF && a.sign != b.sign ? fp_invalid(f, flags) : bits_a;
        }
        if (b.kind == FP_INF) {
            return bits_b;
        }
        if (a.kind == FP_ZERO) {
            return b.kind == FP_ZERO ? fp_zero_sum(f, a.sign, b.sign, rm) : bits_b;
        }
        return bits_a;
    }
    if (a.exp < b.exp || (a.exp == b.exp && a.sig < b.sig)) {
        struct fp_num t = a;

        a = b;
        b = t;
    }
    /* One bit of room for the carry. With a distance of at most 1, where cancellation can be deep,
     * nothing is lost to the sticky bit; beyond, cancellation takes at most one bit. */
    a.sig >>= 1;
    b.sig = fp_shr_jam(b.sig >> 1, a.exp - b.exp);
    sum = a.sign == b.sign ? a.sig + b.sig : a.sig - b.sig;
    if (sum == 0) {
        return fp_zero_sum(f, a.sign, b.sign, rm);
    }
    shift = __builtin_clzll(sum);
    return fp_round_pack(f, a.sign, a.exp + 1 - shift, sum << shift, rm, flags);
}

FP_INLINE uint64_t fp_sub(struct fp_fmt f, uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    /* Inverting the sign of a NaN does no harm: none is passed on. */
    return fp_add(f, a, b ^ fp_sign_bit(f), rm, flags);
}

FP_INLINE uint64_t fp_mul(struct fp_fmt f, uint64_t bits_a, uint64_t bits_b, unsigned rm,
                          uint32_t *flags)
{
    struct fp_num a = fp_unpack(f, bits_a);
    struct fp_num b = fp_unpack(f, bits_b);
    bool sign = a.sign != b.sign;
    int32_t exp = a.exp + b.exp + 1;
    vr_u128 product;

    if (__builtin_expect(a.kind != FP_FINITE || b.kind != FP_FINITE, 0)) {
        if (fp_is_nan(a) || fp_is_nan(b)) {
            return fp_nan_result(f, a.kind == FP_SNAN || b.kind == FP_SNAN, flags);
        }
        if (a.kind == FP_INF || b.kind == FP_INF) {
            return a.kind == FP_ZERO || b.kind == FP_ZERO ? fp_invalid(f, flags)
                                                          : fp_signed(f, sign, fp_inf_bits(f));
        }
        return fp_signed(f, sign, 0);
    }
    product = (vr_u128)a.sig * b.sig;
    if (!(product >> 127)) {
        product <<= 1;
        exp--;
    }
    return fp_round_pack(f, sign, exp, fp_jam_high(product), rm, flags);
}

FP_INLINE uint64_t fp_div(struct fp_fmt f, uint64_t bits_a, uint64_t bits_b, unsigned rm,
                          uint32_t *flags)
{
    struct fp_num a = fp_unpack(f, bits_a);
    struct fp_num b = fp_unpack(f, bits_b);
    bool sign = a.sign != b.sign;
    bool less;
    vr_u128 dividend;
    uint64_t quotient;

    if (__builtin_expect(a.kind != FP_FINITE || b.kind != FP_FINITE, 0)) {
        if (fp_is_nan(a) || fp_is_nan(b)) {
            return fp_nan_result(f, a.kind == FP_SNAN || b.kind == FP_SNAN, flags);
        }
        if (a.kind == b.kind) {
            return fp_invalid(f, flags); /* 0 / 0 and inf / inf */
        }
        if (a.kind == FP_INF) {
            return fp_signed(f, sign, fp_inf_bits(f));
        }
        if (b.kind == FP_INF || a.kind == FP_ZERO) {
            return fp_signed(f, sign, 0);
        }
        *flags |= VR_FF_DZ;
        return fp_signed(f, sign, fp_inf_bits(f));
    }
    less = a.sig < b.sig;
    dividend = (vr_u128)a.sig << (less ? 64 : 63); /* so that the quotient has 64 bits */
    quotient = (uint64_t)(dividend / b.sig);
    quotient |= (uint64_t)dividend != quotient * b.sig;
    return fp_round_pack(f, sign, a.exp - b.exp - less, quotient, rm, flags);
}

FP_INLINE uint64_t fp_sqrt(struct fp_fmt f, uint64_t bits, unsigned rm, uint32_t *flags)
{
    const int root_bits = f.frac_bits + 3;
    struct fp_num a = fp_unpack(f, bits);
    uint64_t rest = 0;
    uint64_t root = 0;
    uint64_t next = a.sig;
    uint64_t fits;
    bool odd = a.exp & 1;
    int i;

    if (fp_is_nan(a)) {
        return fp_nan_result(f, a.kind == FP_SNAN, flags);
    }
    if (a.kind == FP_ZERO) {
        return bits;
    }
    if (a.sign) {
        return fp_invalid(f, flags);
    }
    if (a.kind == FP_INF) {
        return bits;
    }
    /* Two bits of the radicand give one of the root, as in the pencil method. The first pair is
     * 01, 10 or 11: with an even exponent there is a single digit before the binary point. */
    for (i = 0; i < root_bits; i++) {
        uint64_t trial = root << 2 | 1;

        if (i == 0 && !odd) {
            rest = next >> 63;
            next <<= 1;
        } else {
            rest = rest << 2 | next >> 62;
            next <<= 2;
        }
        fits = rest >= trial;
        rest -= trial & (0 - fits); /* no branch: it would be mispredicted half of the time */
        root = root << 1 | fits;
    }
    root = root << (64 - root_bits) | (rest != 0); /* next has run dry */
    return fp_round_pack(f, false, (a.exp - odd) / 2, root, rm, flags);
}

FP_INLINE uint64_t fp_fma(struct fp_fmt f, uint64_t bits_a, uint64_t bits_b, uint64_t bits_c,
                          unsigned rm, uint32_t *flags)
{
    struct fp_num a = fp_unpack(f, bits_a);
    struct fp_num b = fp_unpack(f, bits_b);
    struct fp_num c = fp_unpack(f, bits_c);
    bool sign = a.sign != b.sign;
    int32_t exp = a.exp + b.exp;
    vr_u128 product;
    vr_u128 addend;
    int shift;

    if (__builtin_expect((a.kind | b.kind | c.kind) != FP_FINITE, 0)) {
        bool inf_product = a.kind == FP_INF || b.kind == FP_INF;
        bool zero_product = a.kind == FP_ZERO || b.kind == FP_ZERO;

        /* inf * 0 is invalid even when a quiet NaN is added, unless a factor is a NaN. */
        if (inf_product && zero_product) {
            return fp_invalid(f, flags);
        }
        if (fp_is_nan(a) || fp_is_nan(b) || fp_is_nan(c)) {
            return fp_nan_result(f, a.kind == FP_SNAN || b.kind == FP_SNAN || c.kind == FP_SNAN,
                                 flags);
        }
        if (inf_product) {
            return c.kind == FP_INF && c.sign != sign ? fp_invalid(f, flags)
                                                      : fp_signed(f, sign, fp_inf_bits(f));
        }
        if (c.kind == FP_INF) {
            return bits_c;
        }
        if (zero_product) {
            return c.kind == FP_ZERO ? fp_zero_sum(f, sign, c.sign, rm) : bits_c;
        }
    }
    /* Both in 127 bits, to leave room for the carry: exact, as a product has at most 106. */
    product = (vr_u128)a.sig * b.sig;
    if (product >> 127) {
        product >>= 1;
        exp++;
    }
    if (c.kind == FP_FINITE) {
        addend = (vr_u128)c.sig << 63;
        if (exp >= c.exp) {
            addend = fp_shr_jam128(addend, exp - c.exp);
        } else {
            product = fp_shr_jam128(product, c.exp - exp);
            exp = c.exp;
        }
        if (sign == c.sign) {
            product += addend;
        } else if (product > addend) {
            product -= addend;
        } else if (product < addend) {
            product = addend - product;
            sign = c.sign;
        } else {
            return fp_zero_sum(f, sign, c.sign, rm);
        }
    }
    shift = product >> 64 ? __builtin_clzll((uint64_t)(product >> 64))
                          : 64 + __builtin_clzll((uint64_t)product);
    return fp_round_pack(f, sign, exp + 1 - shift, fp_jam_high(product << shift), rm, flags);
}

#define FP_DEFINE(fmt, FMT, type)                                             \
    type vr_##fmt##_add(type a, type b, unsigned rm, uint32_t *flags)         \
    {                                                                         \
        return (type)fp_add(FMT, a, b, rm, flags);                            \
    }                                                                         \
    type vr_##fmt##_sub(type a, type b, unsigned rm, uint32_t *flags)         \
    {                                                                         \
        return (type)fp_sub(FMT, a, b, rm, flags);                            \
    }                                                                         \
    type vr_##fmt##_mul(type a, type b, unsigned rm, uint32_t *flags)         \
    {                                                                         \
        return (type)fp_mul(FMT, a, b, rm, flags);                            \
    }                                                                         \
    type vr_##fmt##_div(type a, type b, unsigned rm, uint32_t *flags)         \
    {                                                                         \
        return (type)fp_div(FMT, a, b, rm, flags);                            \
    }                                                                         \
    type vr_##fmt##_sqrt(type a, unsigned rm, uint32_t *flags)                \
    {                                                                         \
        return (type)fp_sqrt(FMT, a, rm, flags);                              \
    }                                                                         \
    type vr_##fmt##_fma(type a, type b, type c, unsigned rm, uint32_t *flags) \
    {                                                                         \
        return (type)fp_fma(FMT, a, b, c, rm, flags);                         \
    }

FP_DEFINE(f16, FP_F16, uint16_t)
FP_DEFINE(f32, FP_F32, uint32_t)
FP_DEFINE(f64, FP_F64, uint64_t)
