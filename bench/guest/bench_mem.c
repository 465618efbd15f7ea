/* Memory: bandwidth, latency, and what a software TLB feels. */
#include "bench.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define BIG (64u << 20)
static uint8_t *big;
static void big_init(void)
{
    if (!big) {
        big = mmap(NULL, BIG, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (big == MAP_FAILED) {
            perror("mmap");
            exit(1);
        }
        madvise(big, BIG, MADV_NOHUGEPAGE);
        for (size_t i = 0; i < BIG; i += 4096) {
            big[i] = 1;
        }
    }
}
/* libc memcpy of 1 MiB pieces inside 64 MiB; op = one MiB. Source and destination pages never fall
 * on the same index of a direct-mapped software TLB; in _alias they always do (both 1 MiB aligned).
 */
static uint64_t BENCH_NOINLINE b_memcpy(uint64_t n)
{
    big_init();
    while (n--) {
        memcpy(big + ((n * 2) & 30) * (1 << 20) + 37 * 4096,
               big + (32 + ((n * 5) & 31)) * (1 << 20), 1 << 20);
    }
    return big[12345];
}
static uint64_t BENCH_NOINLINE b_memcpy_alias(uint64_t n)
{
    big_init();
    while (n--) {
        memcpy(big + ((n * 2) & 31) * (1 << 20), big + (32 + ((n * 5) & 31)) * (1 << 20), 1 << 20);
    }
    return big[12345];
}
/* short copies and clears inside 64 KiB, 24..151 bytes; op = one copy */
static uint64_t BENCH_NOINLINE b_memcpy_small(uint64_t n)
{
    big_init();
    uint32_t s = 1;
    while (n--) {
        s = s * 1664525u + 1013904223u;
        memcpy(big + ((s >> 8) & 0x7fff), big + 65536 + ((s >> 16) & 0x7ff8), 24 + (s >> 25));
    }
    return big[12345];
}
static uint64_t BENCH_NOINLINE b_memset(uint64_t n)
{
    big_init();
    while (n--) {
        memset(big + (n & 63) * (1 << 20), (int)n, 1 << 20);
    }
    return big[12345];
}
/* triad a = b + s * c over 24 MiB of doubles, scalar; op = one element. _alias: arrays a multiple
 * of 8 MiB apart */
static inline __attribute__((always_inline, optimize("fp-contract=off"))) uint64_t
triad(uint64_t n, size_t skew)
{
    big_init();
    size_t N = 1 << 20;
    double *a = (double *)big, *b = a + N + skew, *c = b + N + skew * 2;
    for (size_t i = 0; i < N; i++) {
        b[i] = (double)i;
        c[i] = 1;
    }
    for (uint64_t k = 0; k < n; k += N) {
        for (size_t i = 0; i < N; i++) {
            a[i] = b[i] + 3.0 * c[i];
        }
    }
    return (uint64_t)a[77];
}
static uint64_t BENCH_NOINLINE __attribute__((optimize("fp-contract=off"))) b_triad(uint64_t n)
{
    return triad(n, 512 * 37);
}
static uint64_t BENCH_NOINLINE __attribute__((optimize("fp-contract=off")))
b_triad_alias(uint64_t n)
{
    return triad(n, 0);
}
/* 64-bit integer sum over 64 MiB; op = one load */
static uint64_t BENCH_NOINLINE b_sum64(uint64_t n)
{
    big_init();
    const uint64_t *p = (const uint64_t *)big;
    uint64_t s = 0;
    for (uint64_t k = 0; k < n; k += BIG / 8) {
        for (size_t i = 0; i < BIG / 8; i++) {
            s += p[i];
        }
    }
    return s;
}
static void chase_init(size_t bytes, size_t stride)
{
    size_t m = bytes / stride;
    uint32_t *perm = malloc(m * 4), s = 1;
    for (size_t i = 0; i < m; i++) {
        perm[i] = (uint32_t)i;
    }
    for (size_t i = m - 1; i > 0; i--) {
        s = s * 1664525u + 1013904223u;
        size_t j = (s >> 4) % i;
        uint32_t t = perm[i];
        perm[i] = perm[j];
        perm[j] = t;
    }
    size_t p = 0;
    for (size_t i = 0; i < m; i++) { /* spread over cache sets */
        size_t q = perm[i];
        *(void **)(big + p * stride + (p * 64 % stride & ~63ul)) =
            big + q * stride + (q * 64 % stride & ~63ul);
        p = q;
    }
    *(void **)(big + p * stride + (p * 64 % stride & ~63ul)) =
        big + perm[0] * stride + (perm[0] * 64 % stride & ~63ul);
    free(perm);
}
static uint64_t BENCH_NOINLINE chase_run(uint64_t n)
{
    void **p = (void **)big;
    while (n--) {
        p = *p;
    }
    return (uint64_t)(uintptr_t)p;
}
/* dependent loads, one per 4 KiB page over 64 MiB (16384 pages): TLB misses */
static uint64_t BENCH_NOINLINE b_chase64m(uint64_t n)
{
    static int i;
    big_init();
    if (!i) {
        i = 1;
        memset(big, 0, BIG);
        chase_init(BIG, 4096);
    }
    return chase_run(n);
}
/* dependent loads, 256 pages (1 MiB): fits most software TLBs */
static uint64_t BENCH_NOINLINE b_chase1m(uint64_t n)
{
    static int i;
    big_init();
    if (!i) {
        i = 1;
        chase_init(1 << 20, 4096);
    }
    return chase_run(n);
}
/* dependent loads in 16 KiB: latency of the fast path */
static uint64_t BENCH_NOINLINE b_chase16k(uint64_t n)
{
    static int i;
    big_init();
    if (!i) {
        i = 1;
        chase_init(16 << 10, 64);
    }
    return chase_run(n);
}
/* independent random 8-byte read-modify-write over 64 MiB; op = one update */
static uint64_t BENCH_NOINLINE b_gups(uint64_t n)
{
    big_init();
    uint64_t *t = (uint64_t *)big, x = 88172645463325252ull;
    while (n--) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        t[x & (BIG / 8 - 1)] ^= x;
    }
    return t[1];
}

const struct bench bench_mem[] = {
    {"memcpy", "mem", b_memcpy, 2},
    {"memcpy_alias", "mem", b_memcpy_alias, 2},
    {"memcpy_small", "mem", b_memcpy_small, 10000},
    {"memset", "mem", b_memset, 2},
    {"triad", "mem", b_triad, 4 << 20},
    {"triad_alias", "mem", b_triad_alias, 4 << 20},
    {"sum64", "mem", b_sum64, BIG / 8},
    {"chase16k", "mem", b_chase16k, 100000},
    {"chase1m", "mem", b_chase1m, 100000},
    {"chase64m", "mem", b_chase64m, 50000},
    {"gups", "mem", b_gups, 50000},
    {NULL, NULL, NULL, 0},
};
