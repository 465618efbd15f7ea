/* What integer IR ops compute, as inline functions: used by the interpreter, and by whoever folds
 * constants. */
#ifndef VR_CPU_INTERP_OPS_H
#define VR_CPU_INTERP_OPS_H

#include <stdbool.h>
#include <stdint.h>

static inline uint64_t op_sext32(uint64_t v)
{
    return (uint64_t)(int64_t)(int32_t)(uint32_t)v;
}

static inline uint64_t op_mulh(uint64_t a, uint64_t b)
{
    return (uint64_t)(((__int128)(int64_t)a * (int64_t)b) >> 64);
}

static inline uint64_t op_mulhu(uint64_t a, uint64_t b)
{
    return (uint64_t)(((unsigned __int128)a * b) >> 64);
}

static inline uint64_t op_mulhsu(uint64_t a, uint64_t b)
{
    return op_mulhu(a, b) - ((int64_t)a < 0 ? b : 0);
}

/* Division never traps: by zero gives all ones and the dividend; the one overflow wraps (ISA
 * manual, M). */
static inline uint64_t op_div(uint64_t a, uint64_t b)
{
    if (b == 0) {
        return UINT64_MAX;
    }
    return b == UINT64_MAX ? 0 - a : (uint64_t)((int64_t)a / (int64_t)b);
}

static inline uint64_t op_rem(uint64_t a, uint64_t b)
{
    if (b == 0) {
        return a;
    }
    return b == UINT64_MAX ? 0 : (uint64_t)((int64_t)a % (int64_t)b);
}

static inline uint64_t op_divw(uint64_t a, uint64_t b)
{
    int64_t x = (int32_t)(uint32_t)a, y = (int32_t)(uint32_t)b;
    return y == 0 ? UINT64_MAX : op_sext32((uint64_t)(x / y));
}

static inline uint64_t op_remw(uint64_t a, uint64_t b)
{
    int64_t x = (int32_t)(uint32_t)a, y = (int32_t)(uint32_t)b;
    return op_sext32((uint64_t)(y == 0 ? x : x % y));
}

static inline uint64_t op_divuw(uint64_t a, uint64_t b)
{
    return (uint32_t)b == 0 ? UINT64_MAX : op_sext32((uint32_t)a / (uint32_t)b);
}

static inline uint64_t op_remuw(uint64_t a, uint64_t b)
{
    return op_sext32((uint32_t)b == 0 ? (uint32_t)a : (uint32_t)a % (uint32_t)b);
}

static inline uint64_t op_ror(uint64_t a, uint64_t n)
{
    return a >> (n & 63) | a << (-n & 63);
}

static inline uint64_t op_rorw(uint64_t a, uint64_t n)
{
    uint32_t v = (uint32_t)a;
    return op_sext32(v >> (n & 31) | v << (-n & 31));
}

static inline uint64_t op_brev8(uint64_t v)
{
    v = (v >> 1 & 0x5555555555555555) | (v & 0x5555555555555555) << 1;
    v = (v >> 2 & 0x3333333333333333) | (v & 0x3333333333333333) << 2;
    return (v >> 4 & 0x0f0f0f0f0f0f0f0f) | (v & 0x0f0f0f0f0f0f0f0f) << 4;
}

static inline uint64_t op_orcb(uint64_t v)
{
    uint64_t low7 = 0x7f7f7f7f7f7f7f7f;
    uint64_t top = ((v & low7) + low7) | v; /* bit 7 of each byte: the byte is not zero */
    top = top >> 7 & 0x0101010101010101;
    return top * 0xff;
}

/* The 128-bit carry-less product. */
static inline unsigned __int128 op_clmul_wide(uint64_t a, uint64_t b)
{
    unsigned __int128 sum = 0;
    for (unsigned i = 0; i < 64; i++) {
        sum ^= (b >> i & 1) ? (unsigned __int128)a << i : 0;
    }
    return sum;
}

#endif
