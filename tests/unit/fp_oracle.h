/*
 * An independent answer to what a floating-point operation should give, for fp_test.c: the
 * operation is done by the host in a wider format, once rounded down and once up, and the pair is
 * then rounded to the format in question by the definitions of IEEE 754, with floor and ceil.
 *
 * The pair decides every comparison of the exact result with a number of the wider format, such as
 * the midpoint of two neighbours, so that no double rounding can happen. The wider format needs one
 * bit more than the one tested.
 */
#ifndef VR_TEST_FP_ORACLE_H
#define VR_TEST_FP_ORACLE_H

#include "cpu/fp/fp.h"

#include <fenv.h>
#include <float.h>
#include <math.h>

struct fmt {
    int exp_bits;
    int frac_bits;
};

enum { F16, F32, F64, FORMATS };
static const struct fmt formats[FORMATS] = {{5, 10}, {8, 23}, {11, 52}};

enum { ARITH_ADD, ARITH_SUB, ARITH_MUL, ARITH_DIV, ARITH_SQRT, ARITH_FMA, ARITH_SAME };

struct answer {
    uint64_t bits;
    uint32_t flags;
};

static uint64_t sign_bit(struct fmt f)
{
    return 1ull << (f.exp_bits + f.frac_bits);
}

static uint64_t inf_bits(struct fmt f)
{
    return ((1ull << f.exp_bits) - 1) << f.frac_bits;
}

static uint64_t nan_bits(struct fmt f)
{
    return inf_bits(f) | 1ull << (f.frac_bits - 1);
}

static bool is_nan(struct fmt f, uint64_t bits)
{
    return (bits & (sign_bit(f) - 1)) > inf_bits(f);
}

static bool is_snan(struct fmt f, uint64_t bits)
{
    return is_nan(f, bits) && (bits & nan_bits(f)) != nan_bits(f);
}

static bool is_neg(struct fmt f, uint64_t bits)
{
    return (bits & sign_bit(f)) != 0;
}

static int exp_min(struct fmt f)
{
    return 2 - (1 << (f.exp_bits - 1));
}

/* The value of some bits of a format. */
static long double to_wide(struct fmt f, uint64_t bits)
{
    uint64_t frac = bits & ((1ull << f.frac_bits) - 1);
    int exp = (int)(bits >> f.frac_bits & ((1ull << f.exp_bits) - 1));
    long double v;

    if (is_nan(f, bits)) {
        return NAN;
    }
    if (exp == (1 << f.exp_bits) - 1) {
        v = INFINITY;
    } else if (exp == 0) {
        v = ldexpl((long double)frac, exp_min(f) - f.frac_bits);
    } else {
        v = ldexpl((long double)(frac | 1ull << f.frac_bits), exp - 1 + exp_min(f) - f.frac_bits);
    }
    return is_neg(f, bits) ? -v : v;
}

/* The bits of a number that the format has. */
static uint64_t from_wide(struct fmt f, long double v)
{
    uint64_t sign = signbit(v) ? sign_bit(f) : 0;
    uint64_t bits;
    int exp;

    v = fabsl(v);
    if (v == 0) {
        return sign;
    }
    if (isinf(v)) {
        return sign | inf_bits(f);
    }
    exp = ilogbl(v);
    if (exp < exp_min(f)) {
        return sign | (uint64_t)ldexpl(v, f.frac_bits - exp_min(f));
    }
    /* The significand's leading one makes the exponent field one more. */
    bits = (uint64_t)(exp - exp_min(f)) << f.frac_bits;
    bits += (uint64_t)ldexpl(v, f.frac_bits - exp);
    return sign | bits;
}

/* An exact result, known to lie between two neighbours of the wider format (or to be one). */
struct pair {
    long double lo;
    long double hi;
};

static int host_mode(unsigned rm)
{
    static const int modes[] = {FE_TONEAREST, FE_TOWARDZERO, FE_DOWNWARD, FE_UPWARD};

    return modes[rm];
}

static long double wide_op(int op, long double x, long double y, long double z, unsigned rm)
{
    volatile long double a = x;
    volatile long double b = y;
    volatile long double c = z;
    volatile long double r = x;

    fesetround(host_mode(rm));
    switch (op) {
    case ARITH_ADD:
        r = a + b;
        break;
    case ARITH_SUB:
        r = a - b;
        break;
    case ARITH_MUL:
        r = a * b;
        break;
    case ARITH_DIV:
        r = a / b;
        break;
    case ARITH_SQRT:
        r = sqrtl(a);
        break;
    case ARITH_FMA:
        r = fmal(a, b, c);
        break;
    default:
        break;
    }
    fesetround(FE_TONEAREST);
    return r;
}

/* The multiple of 2^quantum to which the rounding mode takes the exact result. */
static long double to_grid(struct pair p, int quantum, unsigned rm, bool *ret_inexact)
{
    long double down = floorl(ldexpl(p.lo, -quantum));
    long double up = ceill(ldexpl(p.hi, -quantum));
    bool take_up;

    *ret_inexact = down != up;
    if (down == up) {
        return ldexpl(down, quantum);
    }
    switch (rm) {
    case VR_RDN:
        take_up = false;
        break;
    case VR_RUP:
        take_up = true;
        break;
    case VR_RTZ:
        take_up = down < 0;
        break;
    default: {
        long double middle = ldexpl(down + 0.5L, quantum);

        if (p.lo == middle && p.hi == middle) {
            take_up = rm == VR_RMM ? down >= 0 : fmodl(down, 2) != 0;
        } else {
            take_up = p.lo >= middle;
        }
    }
    }
    /* From below, zero is reached as -0. */
    return take_up ? copysignl(ldexpl(up, quantum), up == 0 ? -1.0L : up) : ldexpl(down, quantum);
}

/* Rounds a finite exact result that is not zero. */
static struct answer round_pair(struct fmt f, struct pair p, unsigned rm)
{
    bool negative = p.lo < 0;
    int exp = ilogbl(negative ? p.hi : p.lo);
    struct answer a = {0, 0};
    bool inexact;
    bool inexact_unbounded;
    long double v;
    long double unbounded;

    /* When lo is a zero or a power of two, hi may be in the next binade; neither matters, as the
     * magnitude nearer to zero gives the finer grid. */
    unbounded = to_grid(p, exp - f.frac_bits, rm, &inexact_unbounded);
    v = to_grid(p, (exp < exp_min(f) ? exp_min(f) : exp) - f.frac_bits, rm, &inexact);
    if (inexact) {
        a.flags |= VR_FF_NX;
        if (fabsl(unbounded) < ldexpl(1, exp_min(f))) {
            a.flags |= VR_FF_UF;
        }
    }
    if (fabsl(v) >= ldexpl(1, 2 - exp_min(f))) {
        bool away = rm == VR_RNE || rm == VR_RMM || rm == (negative ? VR_RDN : VR_RUP);

        a.flags = VR_FF_OF | VR_FF_NX;
        a.bits = (negative ? sign_bit(f) : 0) | (inf_bits(f) - !away);
    } else {
        a.bits = from_wide(f, v);
    }
    return a;
}

/* Whether long double can judge the format. */
static bool oracle_knows(int format)
{
    return LDBL_MANT_DIG >= formats[format].frac_bits + 3 && LDBL_MAX_EXP > 2 * 128 &&
           (format != F64 || LDBL_MAX_EXP >= 16384);
}

/* An arithmetic operation on operands of `from` with a result in `to`. */
static struct answer oracle(int op, struct fmt to, struct fmt from, const uint64_t v[3],
                            unsigned rm)
{
    static const int arity[] = {2, 2, 2, 2, 1, 3, 1};
    struct answer a = {nan_bits(to), 0};
    long double x = to_wide(from, v[0]);
    long double y = to_wide(from, v[1]);
    long double z = to_wide(from, v[2]);
    bool any_nan = false;
    struct pair p;
    int i;

    for (i = 0; i < arity[op]; i++) {
        any_nan |= is_nan(from, v[i]);
        if (is_snan(from, v[i])) {
            a.flags = VR_FF_NV;
        }
    }
    if (op == ARITH_FMA && ((isinf(x) && y == 0) || (x == 0 && isinf(y)))) {
        a.flags = VR_FF_NV;
    }
    if (any_nan) {
        return a;
    }
    p.lo = wide_op(op, x, y, z, VR_RDN);
    p.hi = wide_op(op, x, y, z, VR_RUP);
    if (isnan(p.lo)) {
        a.flags = VR_FF_NV;
    } else if (isinf(p.lo)) {
        a.flags = op == ARITH_DIV && !isinf(x) ? VR_FF_DZ : 0;
        a.bits = from_wide(to, p.lo);
    } else if (p.lo == 0 && p.hi == 0) {
        /* Only RDN has its own idea of the sign of x - x. */
        a.bits = from_wide(to, rm == VR_RDN ? p.lo : p.hi);
    } else {
        a = round_pair(to, p, rm);
    }
    return a;
}

/* From an integer, given as the value high * 2^32 + low. */
static struct answer oracle_from_int(struct fmt f, long double high, uint32_t low, unsigned rm)
{
    struct answer a = {0, 0};
    struct pair p;

    p.lo = wide_op(ARITH_ADD, high * 0x1p32L, low, 0, VR_RDN);
    p.hi = wide_op(ARITH_ADD, high * 0x1p32L, low, 0, VR_RUP);
    return p.lo == 0 && p.hi == 0 ? a : round_pair(f, p, rm);
}

/* To an integer between min and max (max + 1 is exact where max is not). */
static struct answer oracle_to_int(struct fmt f, uint64_t bits, int width, bool is_signed,
                                   unsigned rm)
{
    uint64_t max = UINT64_MAX >> (64 - width + is_signed);
    uint64_t min = is_signed ? ~max : 0;
    struct answer a = {max, VR_FF_NV};
    long double v = to_wide(f, bits);
    struct pair p = {v, v};
    bool inexact;

    if (isnan(v)) {
        return a;
    }
    if (!isinf(v)) {
        v = to_grid(p, 0, rm, &inexact);
        if (v >= (is_signed ? -ldexpl(1, width - 1) : 0) && v < ldexpl(1, width - is_signed)) {
            a.bits = v < 0 ? (uint64_t)(int64_t)v : (uint64_t)v;
            a.flags = inexact ? VR_FF_NX : 0;
            return a;
        }
    }
    a.bits = v < 0 ? min : max;
    return a;
}

/* To an integer in the same format. */
static struct answer oracle_round(struct fmt f, uint64_t bits, bool raise_nx, unsigned rm)
{
    struct answer a = {bits, 0};
    long double v = to_wide(f, bits);
    struct pair p = {v, v};
    bool inexact;

    if (isnan(v)) {
        a.bits = nan_bits(f);
        a.flags = is_snan(f, bits) ? VR_FF_NV : 0;
    } else if (!isinf(v)) {
        a.bits = from_wide(f, copysignl(to_grid(p, 0, rm, &inexact), v));
        a.flags = inexact && raise_nx ? VR_FF_NX : 0;
    }
    return a;
}

#endif
