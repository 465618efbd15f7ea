/*
 * Floating point with the host's FPU in front: vr_fast_x has the signature and the results of vr_x
 * in cpu/fp/fp.h, flags included, and is meant for the interpreter.
 *
 * The host computes the same IEEE 754 result when it rounds to nearest even; what it cannot give
 * cheaply is the flags. So the fast path takes a result only when all flags but NX are known to
 * stay clear: it is finite, not a NaN, and either zero for an evident reason or far enough from the
 * least normal number for underflow to be out of the question. Then only NX is open. If it is
 * already set, and programs rarely clear it, there is nothing to find out. If not, the result is
 * taken when a residual shows it to be exact. Everything else goes to the integer code, which is
 * always right.
 *
 * The host must round to nearest and honour subnormals, as C programs do unless they ask otherwise.
 * Its sticky exception flags are clobbered. Residuals are computed in integers, or in sums and
 * differences alone, or from products that are exact, so that contraction of a * b + c into one
 * operation would not change anything; the build turns it off all the same (-ffp-contract=off).
 * Hosts that compute in a wider format than the operands' (FLT_EVAL_METHOD != 0) use integers only.
 */
#ifndef VR_CPU_FP_FP_FAST_H
#define VR_CPU_FP_FP_FAST_H

#include "cpu/fp/fp.h"

#include <float.h>
#include <string.h>

#ifdef __FAST_MATH__
#error "floating point of the guest needs strict IEEE arithmetic: do not build with -ffast-math"
#endif

#if FLT_EVAL_METHOD == 0 && FLT_MANT_DIG == 24 && DBL_MANT_DIG == 53
#define VR_FP_HOST 1
#else
#define VR_FP_HOST 0
#endif

#define VR_FP_LIKELY(x) __builtin_expect(!!(x), 1)

static inline double vr_f64_host(uint64_t bits)
{
    double d;

    memcpy(&d, &bits, sizeof(d));
    return d;
}

static inline uint64_t vr_f64_bits(double d)
{
    uint64_t bits;

    memcpy(&bits, &d, sizeof(bits));
    return bits;
}

static inline float vr_f32_host(uint32_t bits)
{
    float f;

    memcpy(&f, &bits, sizeof(f));
    return f;
}

static inline uint32_t vr_f32_bits(float f)
{
    uint32_t bits;

    memcpy(&bits, &f, sizeof(bits));
    return bits;
}

/* The exponent field. */
static inline uint32_t vr_f64_exp(uint64_t bits)
{
    return (uint32_t)(bits >> 52) & 0x7ff;
}

static inline uint32_t vr_f32_exp(uint32_t bits)
{
    return bits >> 23 & 0xff;
}

/* Finite, and at least twice the least normal number: not inexact and tiny, however rounded. */
static inline bool vr_f64_is_safe(uint64_t bits)
{
    return vr_f64_exp(bits) - 2 < 0x7fd;
}

static inline bool vr_f32_is_safe(uint32_t bits)
{
    return vr_f32_exp(bits) - 2 < 0xfd;
}

/* The significand of a normal number as an integer. */
static inline uint64_t vr_f64_sig(uint64_t bits)
{
    return (bits & 0x000fffffffffffff) | 0x0010000000000000;
}

static inline uint64_t vr_f32_sig(uint32_t bits)
{
    return (bits & 0x007fffff) | 0x00800000;
}

/* Knuth's TwoSum: s == x + y exactly. Sums do not underflow, and an overflow on the way would give
 * a NaN, which compares unequal. */
static inline bool vr_f64_sum_is_exact(double x, double y, double s)
{
    double y2 = s - x;
    double x2 = s - y2;

    return (x - x2) + (y - y2) == 0;
}

static inline bool vr_f32_sum_is_exact(float x, float y, float s)
{
    float y2 = s - x;
    float x2 = s - y2;

    return (x - x2) + (y - y2) == 0;
}

static inline uint64_t vr_fast_f64_add(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        double x = vr_f64_host(a);
        double y = vr_f64_host(b);
        double s = x + y;

        /* A sum that is subnormal or zero is exact. */
        if (VR_FP_LIKELY(vr_f64_exp(vr_f64_bits(s)) < 0x7ff) &&
            (VR_FP_LIKELY(*flags & VR_FF_NX) || vr_f64_sum_is_exact(x, y, s))) {
            return vr_f64_bits(s);
        }
    }
    return vr_f64_add(a, b, rm, flags);
}

static inline uint64_t vr_fast_f64_sub(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    return vr_fast_f64_add(a, b ^ (uint64_t)1 << 63, rm, flags);
}

static inline uint32_t vr_fast_f32_add(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        float x = vr_f32_host(a);
        float y = vr_f32_host(b);
        float s = x + y;

        if (VR_FP_LIKELY(vr_f32_exp(vr_f32_bits(s)) < 0xff) &&
            (VR_FP_LIKELY(*flags & VR_FF_NX) || vr_f32_sum_is_exact(x, y, s))) {
            return vr_f32_bits(s);
        }
    }
    return vr_f32_add(a, b, rm, flags);
}

static inline uint32_t vr_fast_f32_sub(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags)
{
    return vr_fast_f32_add(a, b ^ (uint32_t)1 << 31, rm, flags);
}

/* Whether a product of normal numbers with a normal result is exact: of its 105 or 106 bits the low
 * 53 are zero. (With 105 bits 52 would do. Those rare cases are left to the integer code.) */
static inline bool vr_f64_mul_is_exact(uint64_t a, uint64_t b)
{
    return vr_f64_exp(a) && vr_f64_exp(b) && (vr_f64_sig(a) * vr_f64_sig(b)) << 11 == 0;
}

static inline uint64_t vr_fast_f64_mul(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        double x = vr_f64_host(a);
        double y = vr_f64_host(b);
        double p = x * y;

        if (VR_FP_LIKELY(vr_f64_is_safe(vr_f64_bits(p)))) {
            if (VR_FP_LIKELY(*flags & VR_FF_NX) || vr_f64_mul_is_exact(a, b)) {
                return vr_f64_bits(p);
            }
        } else if (p == 0 && (x == 0 || y == 0)) {
            return vr_f64_bits(p);
        }
    }
    return vr_f64_mul(a, b, rm, flags);
}

static inline uint32_t vr_fast_f32_mul(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        float x = vr_f32_host(a);
        float y = vr_f32_host(b);
        float p = x * y;

        if (VR_FP_LIKELY(vr_f32_is_safe(vr_f32_bits(p)))) {
            if (VR_FP_LIKELY(*flags & VR_FF_NX) || (double)x * (double)y == (double)p) {
                return vr_f32_bits(p);
            }
        } else if (p == 0 && (x == 0 || y == 0)) {
            return vr_f32_bits(p);
        }
    }
    return vr_f32_mul(a, b, rm, flags);
}

/* Whether q, the nearest to a / b, is exact: a - q * b == 0, in units of the last place of q * b.
 * That residual is at most half of b's significand, so its low 64 bits tell. */
static inline bool vr_f64_div_is_exact(uint64_t a, uint64_t b, uint64_t q)
{
    uint32_t shift = vr_f64_exp(a) + 1075 - vr_f64_exp(b) - vr_f64_exp(q); /* 51 to 54 */

    return vr_f64_exp(a) && vr_f64_exp(b) &&
           vr_f64_sig(a) << (shift & 63) == vr_f64_sig(q) * vr_f64_sig(b);
}

static inline uint64_t vr_fast_f64_div(uint64_t a, uint64_t b, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        double x = vr_f64_host(a);
        double y = vr_f64_host(b);
        double q = x / y;

        /* A safe quotient has operands that are finite and not zero. */
        if (VR_FP_LIKELY(vr_f64_is_safe(vr_f64_bits(q)))) {
            if (VR_FP_LIKELY(*flags & VR_FF_NX) || vr_f64_div_is_exact(a, b, vr_f64_bits(q))) {
                return vr_f64_bits(q);
            }
        } else if (q == 0 && x == 0) {
            return vr_f64_bits(q);
        }
    }
    return vr_f64_div(a, b, rm, flags);
}

static inline uint32_t vr_fast_f32_div(uint32_t a, uint32_t b, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        float x = vr_f32_host(a);
        float y = vr_f32_host(b);
        float q = x / y;

        if (VR_FP_LIKELY(vr_f32_is_safe(vr_f32_bits(q)))) {
            if (VR_FP_LIKELY(*flags & VR_FF_NX) || (double)q * (double)y == (double)x) {
                return vr_f32_bits(q);
            }
        } else if (q == 0 && x == 0) {
            return vr_f32_bits(q);
        }
    }
    return vr_f32_div(a, b, rm, flags);
}

/*
 * Square roots are checked rather than trusted, as they may come from a library. With a = r^2 +
 * rest, in units of the last place of r^2, r is the nearest root if it is within half a unit of its
 * own last place: (r - 1/2)^2 < a < (r + 1/2)^2, that is -r < rest <= r. (At a power of two the
 * spacing below is half as wide; a root is never rounded up to one, so there rest >= 0.)
 */
static inline bool vr_fp_root_is_nearest(uint64_t root, int64_t rest, uint64_t power)
{
    return rest <= (int64_t)root && (root == power ? rest >= 0 : rest > -(int64_t)root);
}

static inline uint64_t vr_fast_f64_sqrt(uint64_t a, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        if (VR_FP_LIKELY(a - 0x0010000000000000 < 0x7fe0000000000000)) { /* positive, normal */
            uint64_t r = vr_f64_bits(__builtin_sqrt(vr_f64_host(a)));
            uint64_t root = vr_f64_sig(r);
            uint32_t shift = vr_f64_exp(a) + 1075 - 2 * vr_f64_exp(r); /* 52 or 53 */
            int64_t rest = (int64_t)((vr_f64_sig(a) << (shift & 63)) - root * root);

            if (VR_FP_LIKELY((shift == 52 || shift == 53) &&
                             vr_fp_root_is_nearest(root, rest, (uint64_t)1 << 52)) &&
                (VR_FP_LIKELY(*flags & VR_FF_NX) || rest == 0)) {
                return r;
            }
        } else if (a << 1 == 0) {
            return a;
        }
    }
    return vr_f64_sqrt(a, rm, flags);
}

static inline uint32_t vr_fast_f32_sqrt(uint32_t a, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        if (VR_FP_LIKELY(a - 0x00800000 < 0x7f000000)) {
            uint32_t r = vr_f32_bits(__builtin_sqrtf(vr_f32_host(a)));
            uint64_t root = vr_f32_sig(r);
            uint32_t shift = vr_f32_exp(a) + 150 - 2 * vr_f32_exp(r); /* 23 or 24 */
            int64_t rest = (int64_t)((vr_f32_sig(a) << (shift & 63)) - root * root);

            if (VR_FP_LIKELY((shift == 23 || shift == 24) &&
                             vr_fp_root_is_nearest(root, rest, (uint64_t)1 << 23)) &&
                (VR_FP_LIKELY(*flags & VR_FF_NX) || rest == 0)) {
                return r;
            }
        } else if (a << 1 == 0) {
            return a;
        }
    }
    return vr_f32_sqrt(a, rm, flags);
}

/* With a host instruction that the compiler may count on; a library's fma is not relied upon. */
static inline uint64_t vr_fast_f64_fma(uint64_t a, uint64_t b, uint64_t c, unsigned rm,
                                       uint32_t *flags)
{
#ifdef __FP_FAST_FMA
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE && (*flags & VR_FF_NX))) {
        uint64_t r = vr_f64_bits(__builtin_fma(vr_f64_host(a), vr_f64_host(b), vr_f64_host(c)));

        if (VR_FP_LIKELY(vr_f64_is_safe(r))) {
            return r;
        }
    }
#endif
    return vr_f64_fma(a, b, c, rm, flags);
}

/*
 * The product is exact in binary64. Its sum with c is rounded twice, to 53 bits and then to 24, and
 * that is the same as once unless the first rounding ends on a tie of the second (such results go
 * to the integer code): the ties are themselves numbers of 53 bits, which rounding cannot step
 * across.
 */
static inline uint32_t vr_fast_f32_fma(uint32_t a, uint32_t b, uint32_t c, unsigned rm,
                                       uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        double p = (double)vr_f32_host(a) * (double)vr_f32_host(b);
        double y = (double)vr_f32_host(c);
        double s = p + y;
        float r = (float)s;

        if (VR_FP_LIKELY((vr_f64_bits(s) & 0x1fffffff) != 0x10000000 &&
                         vr_f32_is_safe(vr_f32_bits(r)))) {
            if (VR_FP_LIKELY(*flags & VR_FF_NX) ||
                ((double)r == s && vr_f64_sum_is_exact(p, y, s))) {
                return vr_f32_bits(r);
            }
        } else if (s == 0) {
            return vr_f32_bits(r); /* a sum does not underflow: exact */
        }
    }
    return vr_f32_fma(a, b, c, rm, flags);
}

/* Comparisons, minima and maxima: the rounding mode does not matter, nor does the host's. */
static inline bool vr_fast_f64_eq(uint64_t a, uint64_t b, uint32_t *flags)
{
    double x = vr_f64_host(a);
    double y = vr_f64_host(b);

    return __builtin_expect(__builtin_isunordered(x, y), 0) ? vr_f64_eq(a, b, flags) : x == y;
}

static inline bool vr_fast_f64_lt(uint64_t a, uint64_t b, uint32_t *flags)
{
    double x = vr_f64_host(a);
    double y = vr_f64_host(b);

    return __builtin_expect(__builtin_isunordered(x, y), 0) ? vr_f64_lt(a, b, flags) : x < y;
}

static inline bool vr_fast_f64_le(uint64_t a, uint64_t b, uint32_t *flags)
{
    double x = vr_f64_host(a);
    double y = vr_f64_host(b);

    return __builtin_expect(__builtin_isunordered(x, y), 0) ? vr_f64_le(a, b, flags) : x <= y;
}

static inline uint64_t vr_fast_f64_min(uint64_t a, uint64_t b, uint32_t *flags)
{
    double x = vr_f64_host(a);
    double y = vr_f64_host(b);

    return x < y ? a : x > y ? b : vr_f64_min(a, b, flags);
}

static inline uint64_t vr_fast_f64_max(uint64_t a, uint64_t b, uint32_t *flags)
{
    double x = vr_f64_host(a);
    double y = vr_f64_host(b);

    return x < y ? b : x > y ? a : vr_f64_max(a, b, flags);
}

static inline bool vr_fast_f32_eq(uint32_t a, uint32_t b, uint32_t *flags)
{
    float x = vr_f32_host(a);
    float y = vr_f32_host(b);

    return __builtin_expect(__builtin_isunordered(x, y), 0) ? vr_f32_eq(a, b, flags) : x == y;
}

static inline bool vr_fast_f32_lt(uint32_t a, uint32_t b, uint32_t *flags)
{
    float x = vr_f32_host(a);
    float y = vr_f32_host(b);

    return __builtin_expect(__builtin_isunordered(x, y), 0) ? vr_f32_lt(a, b, flags) : x < y;
}

static inline bool vr_fast_f32_le(uint32_t a, uint32_t b, uint32_t *flags)
{
    float x = vr_f32_host(a);
    float y = vr_f32_host(b);

    return __builtin_expect(__builtin_isunordered(x, y), 0) ? vr_f32_le(a, b, flags) : x <= y;
}

static inline uint32_t vr_fast_f32_min(uint32_t a, uint32_t b, uint32_t *flags)
{
    float x = vr_f32_host(a);
    float y = vr_f32_host(b);

    return x < y ? a : x > y ? b : vr_f32_min(a, b, flags);
}

static inline uint32_t vr_fast_f32_max(uint32_t a, uint32_t b, uint32_t *flags)
{
    float x = vr_f32_host(a);
    float y = vr_f32_host(b);

    return x < y ? b : x > y ? a : vr_f32_max(a, b, flags);
}

static inline uint64_t vr_fast_f32_to_f64(uint32_t a, uint32_t *flags)
{
    float x = vr_f32_host(a);

    return VR_FP_LIKELY(x == x) ? vr_f64_bits((double)x) : vr_f32_to_f64(a, flags);
}

static inline uint32_t vr_fast_f64_to_f32(uint64_t a, unsigned rm, uint32_t *flags)
{
    if (VR_FP_HOST && VR_FP_LIKELY(rm == VR_RNE)) {
        double x = vr_f64_host(a);
        float r = (float)x;

        if (VR_FP_LIKELY(vr_f32_is_safe(vr_f32_bits(r)))) {
            if (VR_FP_LIKELY(*flags & VR_FF_NX) || (double)r == x) {
                return vr_f32_bits(r);
            }
        } else if (x == 0) {
            return vr_f32_bits(r);
        }
    }
    return vr_f64_to_f32(a, rm, flags);
}

/*
 * To integers: truncation is what C does, and what compilers ask for. Other modes are fast when the
 * operand is integral. `fits`: x truncates to a number in range (false for a NaN).
 */
#define VR_FAST_TO_INT(fmt, bits_type, host_type, name, int_type, fits)                         \
    static inline int_type vr_fast_##fmt##_to_##name(bits_type a, unsigned rm, uint32_t *flags) \
    {                                                                                           \
        host_type x = vr_##fmt##_host(a);                                                       \
                                                                                                \
        if (VR_FP_LIKELY(fits)) {                                                               \
            int_type v = (int_type)x;                                                           \
                                                                                                \
            if ((host_type)v == x) {                                                            \
                return v;                                                                       \
            }                                                                                   \
            if (VR_FP_LIKELY(rm == VR_RTZ)) {                                                   \
                *flags |= VR_FF_NX;                                                             \
                return v;                                                                       \
            }                                                                                   \
        }                                                                                       \
        return vr_##fmt##_to_##name(a, rm, flags);                                              \
    }

VR_FAST_TO_INT(f64, uint64_t, double, i32, int32_t, x > -0x80000001p0 && x < 0x1p31)
VR_FAST_TO_INT(f64, uint64_t, double, u32, uint32_t, x > -1.0 && x < 0x1p32)
VR_FAST_TO_INT(f64, uint64_t, double, i64, int64_t, x >= -0x1p63 && x < 0x1p63)
VR_FAST_TO_INT(f64, uint64_t, double, u64, uint64_t, x > -1.0 && x < 0x1p64)
VR_FAST_TO_INT(f32, uint32_t, float, i32, int32_t, x >= -0x1p31f && x < 0x1p31f)
VR_FAST_TO_INT(f32, uint32_t, float, u32, uint32_t, x > -1.0f && x < 0x1p32f)
VR_FAST_TO_INT(f32, uint32_t, float, i64, int64_t, x >= -0x1p63f && x < 0x1p63f)
VR_FAST_TO_INT(f32, uint32_t, float, u64, uint64_t, x > -1.0f && x < 0x1p64f)
#undef VR_FAST_TO_INT

/* From integers: exact when they are small enough, and then in any rounding mode. */
static inline uint64_t vr_fast_f64_from_i32(int32_t v, unsigned rm, uint32_t *flags)
{
    (void)rm;
    (void)flags;
    return vr_f64_bits((double)v);
}

static inline uint64_t vr_fast_f64_from_u32(uint32_t v, unsigned rm, uint32_t *flags)
{
    (void)rm;
    (void)flags;
    return vr_f64_bits((double)v);
}

/* `small`: v has no more bits than a significand. */
#define VR_FAST_FROM_INT(fmt, bits_type, host_type, name, int_type, small)                        \
    static inline bits_type vr_fast_##fmt##_from_##name(int_type v, unsigned rm, uint32_t *flags) \
    {                                                                                             \
        if (VR_FP_HOST && VR_FP_LIKELY((small) || (rm == VR_RNE && (*flags & VR_FF_NX)))) {       \
            return vr_##fmt##_bits((host_type)v);                                                 \
        }                                                                                         \
        return vr_##fmt##_from_##name(v, rm, flags);                                              \
    }

VR_FAST_FROM_INT(f64, uint64_t, double, i64, int64_t, (uint64_t)v + (1ull << 53) <= 1ull << 54)
VR_FAST_FROM_INT(f64, uint64_t, double, u64, uint64_t, v <= 1ull << 53)
VR_FAST_FROM_INT(f32, uint32_t, float, i32, int32_t, (uint32_t)v + (1u << 24) <= 1u << 25)
VR_FAST_FROM_INT(f32, uint32_t, float, u32, uint32_t, v <= 1u << 24)
VR_FAST_FROM_INT(f32, uint32_t, float, i64, int64_t, (uint64_t)v + (1u << 24) <= 1u << 25)
VR_FAST_FROM_INT(f32, uint32_t, float, u64, uint64_t, v <= 1u << 24)
#undef VR_FAST_FROM_INT

#endif
