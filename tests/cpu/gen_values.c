/* Edge values: integers around powers of two; floats at zero, subnormal, one, largest, infinite,
 * NaN. */
#include "gen_values.h"
#include <stddef.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const uint16_t half_edge[] = {
    0x0000, 0x8000, 0x0001, 0x8001, 0x03ff, 0x0400, 0x8400, 0x3c00, 0xbc00, 0x3bff, 0x3c01,
    0x7bff, 0xfbff, 0x7c00, 0xfc00, 0x7e00, 0xfe00, 0x7d00, 0x7c01, 0xfdff, 0x3555, 0x4248,
    0x5640, 0x63ff, 0x6400, 0x7800, 0x3800, 0xb800, 0x0200, 0x4100, 0x57ff, 0xd800};
static const uint32_t single_edge[] = {
    0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x00800000, 0x80800000, 0x3f800000,
    0xbf800000, 0x3f7fffff, 0x3f800001, 0x7f7fffff, 0xff7fffff, 0x7f800000, 0xff800000, 0x7fc00000,
    0xffc00000, 0x7fa00000, 0x7f800001, 0xffbfffff, 0x3eaaaaab, 0x40490fdb, 0x4b000000, 0x4b7fffff,
    0x4b800000, 0x4f000000, 0xcf000000, 0x4effffff, 0x4f800000, 0x5f000000, 0xdf000000, 0x5f7fffff,
    0x5f800000, 0x3f000000, 0xbf000000, 0x3fc00000, 0x40200000, 0x477fe000, 0x477ff000, 0x33000000,
    0x33800000, 0x387fc000, 0x38800000, 0x0d000000, 0x00400000, 0x1f800000, 0x20000000, 0x5f3504f3};
static const uint64_t double_edge[] = {
    0x0000000000000000, 0x8000000000000000, 0x0000000000000001, 0x8000000000000001,
    0x000fffffffffffff, 0x0010000000000000, 0x8010000000000000, 0x3ff0000000000000,
    0xbff0000000000000, 0x3fefffffffffffff, 0x3ff0000000000001, 0x7fefffffffffffff,
    0xffefffffffffffff, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000,
    0xfff8000000000000, 0x7ff4000000000000, 0x7ff0000000000001, 0xfff7ffffffffffff,
    0x3fd5555555555555, 0x400921fb54442d18, 0x4330000000000000, 0x433fffffffffffff,
    0x4340000000000000, 0x41e0000000000000, 0xc1e0000000000000, 0x41dfffffffc00000,
    0x41dfffffffe00000, 0xc1e0000000100000, 0x41efffffffe00000, 0x41f0000000000000,
    0x43e0000000000000, 0xc3e0000000000000, 0x43dfffffffffffff, 0x43efffffffffffff,
    0x43f0000000000000, 0x3fe0000000000000, 0xbfe0000000000000, 0x3ff8000000000000,
    0x4004000000000000, 0x47efffffe0000000, 0x47effffff0000000, 0x380fffffc0000000,
    0x3810000000000000, 0x36a0000000000000, 0x3690000000000000, 0x40effc0000000000,
    0x40effe0000000000, 0x3e60000000000000, 0x3e70000000000000, 0x1ff0000000000000,
    0x2000000000000000, 0x5fe6a09e667f3bcd, 0x0008000000000000, 0xc1dfffffffffffff};

/* What to choose, and the value itself, must not come from the same bits. */
static uint64_t mix(uint64_t r)
{
    r = (r ^ (r >> 31)) * 0x9fb21c651e98df25ull;
    return r ^ (r >> 28);
}

uint64_t value_x(uint64_t r)
{
    uint64_t s = mix(r);
    unsigned k = (unsigned)(s >> 8) % 64;

    switch (r % 12) {
    case 0:
        return 0;
    case 1:
        return ~0ull;
    case 2:
        return 1;
    case 3:
        return 1ull << k;
    case 4:
        return (1ull << k) - 1;
    case 5:
        return (1ull << k) + 1;
    case 6:
        return 0 - (1ull << k);
    case 7:
        return s % 129 - 64;
    case 8:
        return (uint64_t)(int64_t)(int32_t)s;
    case 9:
        return s & 0xffffffff;
    case 10: { /* the ends of each width */
        static const uint64_t ends[] = {0x7fffffffffffffff,
                                        0x8000000000000000,
                                        0x7fffffff,
                                        0xffffffff80000000,
                                        0xffffffff,
                                        0x80000000,
                                        0x7fff,
                                        0xffffffffffff8000,
                                        0x8000,
                                        0xffff,
                                        0x7f,
                                        0x80,
                                        0xff,
                                        0xffffffffffffff80,
                                        0x100000000};

        return ends[(s >> 8) % COUNT(ends)];
    }
    default:
        return s;
    }
}

uint64_t value_f(uint64_t r)
{
    uint64_t s = mix(r);
    uint64_t pick = s >> 40;

    switch (r % 16) {
    case 0:
    case 1:
    case 2:
        return 0xffffffffffff0000ull | half_edge[pick % COUNT(half_edge)];
    case 3:
        return 0xffffffffffff0000ull | (s & 0xffff);
    case 4:
    case 5:
    case 6:
        return 0xffffffff00000000ull | single_edge[pick % COUNT(single_edge)];
    case 7:
        return 0xffffffff00000000ull | (s & 0xffffffff);
    case 8: /* near one another, so that sums cancel */
        return 0xffffffff00000000ull | (0x3f800000 + (s & 0xff));
    case 9:
    case 10:
    case 11:
        return double_edge[pick % COUNT(double_edge)];
    case 12:
        return 0x3ff0000000000000ull + (s & 0xff) + ((s >> 8 & 7) << 52);
    case 13: /* badly boxed */
        return (s & 0xfffffffe00000000ull) | single_edge[pick % COUNT(single_edge)];
    case 14:
        return (s & 0xffff0000ull) | 0xffffffff00000000ull | half_edge[pick % COUNT(half_edge)];
    default:
        return s;
    }
}
