/*
 * Floating point and integers with known answers: the same program runs on the host and in the
 * guest, and must say the same. Each line is a digest of many results, so that a wrong one names
 * its operation. NaNs count as one value (their sign is each CPU's own affair), and underflow is
 * left out of the flags (CPUs differ in when they see it).
 */
#include <fenv.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS = 6000 };

static uint64_t seed = 88172645463325252;
static uint64_t digest;

static uint64_t next(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * 2685821657736338717u;
}

static void mix(uint64_t v)
{
    digest = (digest ^ v) * 1099511628211u;
    digest ^= digest >> 29;
}

static void mix_f64(double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    mix(v != v ? 0x7ff8000000000000 : bits);
}

static void mix_f32(float v)
{
    uint32_t bits;
    memcpy(&bits, &v, 4);
    mix(v != v ? 0x7fc00000 : bits);
}

/* Operands near the limits are likelier than chance would have them. */
static double f64(void)
{
    static const uint64_t edge[] = {0,
                                    1,
                                    0x000fffffffffffff,
                                    0x0010000000000000,
                                    0x3ff0000000000000,
                                    0x3ff0000000000001,
                                    0x7fefffffffffffff,
                                    0x7ff0000000000000,
                                    0x4340000000000001};
    uint64_t r = next(), bits = next();
    if (r % 4 == 0) {
        bits = edge[(r >> 8) % 9] | (r & 1ull << 63);
    } else if (r % 4 < 3) { /* of similar size, so that sums round */
        bits = (bits & 0x800fffffffffffff) | (1023 - 30 + (r >> 8) % 60) << 52;
    }
    double v;
    memcpy(&v, &bits, 8);
    return v != v ? 1.5 : v;
}

static float f32(void)
{
    uint64_t r = next();
    uint32_t bits = (uint32_t)next();
    if (r % 4 < 3) {
        bits = (bits & 0x807fffff) | (uint32_t)(127 - 15 + (r >> 8) % 30) << 23;
    }
    float v;
    memcpy(&v, &bits, 4);
    return v != v ? 1.5f : v;
}

static void flags(void)
{
    static const int flag[] = {FE_INEXACT, FE_OVERFLOW, FE_INVALID, FE_DIVBYZERO};
    for (unsigned i = 0; i < 4; i++) {
        mix(fetestexcept(flag[i]) ? i : 9);
    }
    feclearexcept(FE_ALL_EXCEPT);
}

#define EACH(name, ...)                                                    \
    do {                                                                   \
        digest = 14695981039346656037u;                                    \
        feclearexcept(FE_ALL_EXCEPT);                                      \
        for (int i = 0; i < ROUNDS; i++) {                                 \
            volatile double a = f64(), b = f64(), c = f64();               \
            volatile float s = f32(), t = f32(), u = f32();                \
            (void)a, (void)b, (void)c, (void)s, (void)t, (void)u;          \
            __VA_ARGS__;                                                   \
            flags();                                                       \
        }                                                                  \
        printf("%s %s %016llx\n", mode, name, (unsigned long long)digest); \
    } while (0)

static void floats(const char *mode)
{
    EACH("add.d", mix_f64(a + b));
    EACH("sub.d", mix_f64(a - b));
    EACH("mul.d", mix_f64(a * b));
    EACH("div.d", mix_f64(a / b));
    EACH("sqrt.d", mix_f64(sqrt(fabs(a))));
    EACH("fma.d", mix_f64(fma(a, b, c)));
    EACH("add.s", mix_f32(s + t));
    EACH("mul.s", mix_f32(s * t));
    EACH("div.s", mix_f32(s / t));
    EACH("sqrt.s", mix_f32(sqrtf(fabsf(s))));
    EACH("fma.s", mix_f32(fmaf(s, t, u)));
    EACH("narrow", mix_f32((float)a));
    EACH("widen", mix_f64((double)s));
    EACH("to int", if (fabs(a) < 9e18) mix((uint64_t)(int64_t)a));
    EACH("to unsigned", if (s >= 0 && s < 1.8e19f) mix((uint64_t)s));
    EACH("from int", mix_f64((double)(int64_t)next()); mix_f32((float)(int64_t)next()));
    EACH("from unsigned", mix_f64((double)next()); mix_f32((float)(uint32_t)next()));
    EACH("compare", mix((a < b) | (a <= b) << 1 | (a == b) << 2 | (s > t) << 3));
}

static void integers(void)
{
    const char *mode = "-";
    EACH("mul", uint64_t x = next(), y = next(); mix(x * y);
         mix((uint64_t)((unsigned __int128)x * y >> 64)));
    EACH("mulh", int64_t x = (int64_t)next(), y = (int64_t)next();
         mix((uint64_t)((__int128)x * y >> 64)));
    EACH("div", uint64_t x = next(), y = next() >> (i % 63) | 1; mix(x / y); mix(x % y));
    EACH(
        "sdiv", int64_t x = (int64_t)next(), y = (int64_t)next() >> (i % 63) | 1; if (y != -1) {
            mix((uint64_t)(x / y));
            mix((uint64_t)(x % y));
        });
    EACH("div32", uint32_t x = (uint32_t)next(), y = (uint32_t)next() >> (i % 31) | 1;
         mix(x / y * 3 + x % y));
    EACH("shift", uint64_t x = next(); mix(x << (i & 63)); mix(x >> (i & 63));
         mix((uint64_t)((int64_t)x >> (i & 63))));
    EACH("shift32", uint32_t x = (uint32_t)next(); mix(x << (i & 31));
         mix((uint64_t)(int64_t)((int32_t)x >> (i & 31))));
    EACH("bits", uint64_t x = next() >> (i & 63) | 1;
         mix((unsigned)__builtin_clzll(x) * 65u + (unsigned)__builtin_ctzll(x));
         mix((unsigned)__builtin_popcountll(x)); mix(__builtin_bswap64(x)));
    EACH("128", unsigned __int128 x = next(); x = x << 64 | 12345; x = x / (next() | 1);
         mix((uint64_t)x); mix((uint64_t)(x >> 64)));
    static uint8_t bytes[4096];
    EACH("unaligned", uint64_t v = next(); memcpy(bytes + v % 4000, &v, 8); uint32_t w;
         memcpy(&w, bytes + next() % 4000, 4); mix(w));
}

static void numerics(void)
{
    enum { N = 48 };
    static double m[N][N], inv[N][2 * N];
    for (int i = 0; i < N; i++) {
        for (int j = 0; j < N; j++) {
            m[i][j] = (double)(next() % 1000) / 7.0 + (i == j ? 1000.0 : 0.0);
            inv[i][j] = m[i][j];
            inv[i][j + N] = i == j;
        }
    }
    for (int k = 0; k < N; k++) {
        double pivot = inv[k][k];
        for (int j = 0; j < 2 * N; j++) {
            inv[k][j] /= pivot;
        }
        for (int i = 0; i < N; i++) {
            double factor = inv[i][k];
            for (int j = 0; i != k && j < 2 * N; j++) {
                inv[i][j] -= factor * inv[k][j];
            }
        }
    }
    digest = 0;
    for (int i = 0; i < N; i++) {
        for (int j = N; j < 2 * N; j++) {
            mix_f64(inv[i][j]);
        }
    }
    printf("inverse %016llx %a\n", (unsigned long long)digest, inv[0][N]);
    char text[64];
    digest = 0;
    for (int i = 0; i < 3000; i++) {
        double v = f64(), back;
        snprintf(text, sizeof(text), "%.17g", v);
        back = strtod(text, NULL);
        mix(back == v);
        mix_f64(back);
        snprintf(text, sizeof(text), "%.6e %g", v, v / 3);
        for (char *p = text; *p; p++) {
            mix((uint8_t)*p);
        }
    }
    printf("decimal %016llx\n", (unsigned long long)digest);
}

int main(void)
{
    static const struct {
        int mode;
        const char *name;
    } modes[] = {{FE_TONEAREST, "nearest"},
                 {FE_TOWARDZERO, "zero"},
                 {FE_UPWARD, "up"},
                 {FE_DOWNWARD, "down"}};
    for (int i = 0; i < 4; i++) {
        fesetround(modes[i].mode);
        floats(modes[i].name);
    }
    fesetround(FE_TONEAREST);
    integers();
    numerics();
    return 0;
}
