/*
 * Operands for fp_test.c that are likely to meet the hard cases: the limits of the formats and of
 * the integer types, ties and near-ties, cancellation, exact results.
 */
#ifndef VR_TEST_FP_OPERANDS_H
#define VR_TEST_FP_OPERANDS_H

#include "cpu/fp/fp_fast.h"
#include "fp_oracle.h"

struct run {
    uint64_t rng;
    uint64_t compared;
};

/* splitmix64 */
static uint64_t rnd(struct run *run)
{
    uint64_t z = run->rng += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* A string of zeros and ones in a few runs: carries, ties and near-ties come from these. */
static uint64_t runs_of_bits(struct run *run)
{
    uint64_t r = rnd(run);
    uint64_t v = 0;
    int i;

    for (i = 0; i < 3; i++) {
        v ^= UINT64_MAX >> (r & 63);
        r >>= 6;
    }
    return r & 1 ? v : v + (r >> 1 & 3) - 1;
}

static uint64_t operand(struct run *run, struct fmt f)
{
    uint64_t frac_mask = (1ull << f.frac_bits) - 1;
    uint64_t r = rnd(run);
    uint64_t sign = r & 1 ? sign_bit(f) : 0;
    uint64_t bias = (1ull << (f.exp_bits - 1)) - 1;
    uint64_t frac = r & 2 ? rnd(run) & frac_mask : runs_of_bits(run) & frac_mask;
    uint64_t exp;

    r >>= 8;
    switch (r % 8) {
    case 0: /* the edges, and their neighbours one unit away */
        frac = r >> 3 & 3;
        switch (r >> 8 & 7) {
        case 0:
            return sign | frac; /* zero, least subnormals */
        case 1:
            return sign | ((1ull << f.frac_bits) - 2 + frac); /* greatest subnormal, least normal */
        case 2:
            return sign | (inf_bits(f) - 2 + frac); /* greatest normal, infinity, signaling NaN */
        case 3:
            return sign | (nan_bits(f) + frac);
        case 4:
            return sign | ((bias << f.frac_bits) - 2 + frac); /* one */
        case 5:
            return sign | inf_bits(f);
        default:
            /* any power of two */
            return sign | (((r >> 16) % (2 * bias) << f.frac_bits) + frac - (r >> 12 & 1));
        }
    case 1: /* subnormals and the least binades */
        return sign | ((r >> 3 & 3) << f.frac_bits) | frac;
    case 2: /* the greatest binades, infinities, NaNs */
        return sign | (inf_bits(f) - ((r >> 3 & 3) << f.frac_bits)) | frac;
    case 3:
    case 4: /* around one, where operands meet each other */
        exp = bias - 4 + (r >> 3 & 7);
        return sign | exp << f.frac_bits | frac;
    case 5: /* within a significand's width of one, and a bit more: integers, and roundings to them
             */
        exp = bias + (r >> 3) % 68;
        return sign | (exp < 2 * bias ? exp : bias) << f.frac_bits | frac;
    default:
        return rnd(run) & ((sign_bit(f) << 1) - 1);
    }
}

/* a * b or a / b in any format, for operands that are to have a given result. */
static uint64_t related(struct fmt f, bool divide, uint64_t a, uint64_t b, unsigned rm)
{
    uint32_t unused = 0;

    switch (f.exp_bits) {
    case 11:
        return divide ? vr_f64_div(a, b, rm, &unused) : vr_f64_mul(a, b, rm, &unused);
    case 8:
        return divide ? vr_f32_div((uint32_t)a, (uint32_t)b, rm, &unused)
                      : vr_f32_mul((uint32_t)a, (uint32_t)b, rm, &unused);
    default:
        return divide ? vr_f16_div((uint16_t)a, (uint16_t)b, rm, &unused)
                      : vr_f16_mul((uint16_t)a, (uint16_t)b, rm, &unused);
    }
}

/* An integer, or the low bits of one, of any length. */
static uint64_t integer_operand(struct run *run)
{
    uint64_t r = rnd(run);
    uint64_t v = r & 1 ? rnd(run) >> (r >> 1 & 63) : runs_of_bits(run);

    return r & 128 ? 0 - v : v;
}

/* A number within 2 of a power of two that bounds an integer type, in quarters. */
static uint64_t near_integer_limit(struct run *run, struct fmt f)
{
    static const int limits[] = {0, 31, 32, 63, 64};
    uint64_t r = rnd(run);
    double v = ldexp(1, limits[(r >> 8) % 5]) + ((double)(r & 15) - 8) / 4;
    uint32_t unused = 0;

    v = r & 16 ? -v : v;
    return f.exp_bits == 11  ? vr_f64_bits(v)
           : f.exp_bits == 8 ? vr_f32_bits((float)v)
                             : vr_f64_to_f16(vr_f64_bits(v), VR_RNE, &unused);
}

/* A number close to the least or the greatest normal one of a format. */
static uint64_t near_limit(struct run *run, struct fmt f)
{
    uint64_t r = rnd(run);

    return (r & 1 ? 1ull << f.frac_bits : inf_bits(f) - 1) + (r >> 1 & 3) - 2;
}

/* Fills in operands; at times ones that are related, for cancellation, ties and exact results. */
static void operands(struct run *run, struct fmt f, uint64_t v[3])
{
    uint64_t frac_mask = (1ull << f.frac_bits) - 1;
    uint64_t mask = (sign_bit(f) << 1) - 1;
    uint64_t r = rnd(run);
    unsigned rm = r >> 32 & 3;
    int i;

    for (i = 0; i < 3; i++) {
        v[i] = operand(run, f);
    }
    switch (r & 15) {
    case 0: /* neighbours, of either sign */
        v[1] = (v[0] ^ (r & 16 ? sign_bit(f) : 0)) + (r >> 8 & 7) - 3;
        break;
    case 1: /* few bits: exact results */
        v[0] &= ~(frac_mask >> f.frac_bits / 4);
        v[1] &= ~(frac_mask >> f.frac_bits / 4);
        break;
    case 2: /* a product about to be cancelled: c = -(a * b), give or take */
    case 3:
        v[2] = related(f, false, v[0], v[1], VR_RNE) ^ sign_bit(f);
        v[2] += (r >> 8 & 3) ? 0 : (r >> 16 & 3) - 1;
        break;
    case 4: /* a square, or nearly */
        v[1] = v[0];
        v[0] = related(f, false, v[0], v[0], rm);
        break;
    case 5: /* a product at the limits of the format */
        v[1] = related(f, true, near_limit(run, f), v[0], rm);
        v[2] = r & 16 ? 0 : v[2];
        break;
    case 6: /* a quotient at the limits of the format */
        v[0] = related(f, false, near_limit(run, f), v[1], rm);
        break;
    case 7:
        v[0] = near_integer_limit(run, f);
        break;
    case 8: /* at the limits of the next narrower format, in a wider one */
        if (f.exp_bits > 5) {
            struct fmt n = formats[f.exp_bits == 11 ? F32 : F16];

            v[0] = near_limit(run, n) & ((1ull << n.frac_bits) - 1);
            v[0] <<= f.frac_bits - n.frac_bits;
            v[0] |= (uint64_t)((r & 16 ? exp_min(n) - (int)(r >> 5 & 1) : 1 - exp_min(n)) + 1 -
                               exp_min(f))
                    << f.frac_bits;
            v[0] += runs_of_bits(run) >> (64 - f.frac_bits + n.frac_bits);
            v[0] ^= r & 64 ? sign_bit(f) : 0;
        }
        break;
    default:
        break;
    }
    for (i = 0; i < 3; i++) {
        v[i] &= mask;
    }
}

#endif
