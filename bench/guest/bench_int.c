/* Integer, control flow and atomics, on one thread and on two. */
#include "bench.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* sieve of Eratosthenes, 1M bytes; op = one full sieve */
static uint8_t *sieve_buf;
static uint64_t BENCH_NOINLINE b_sieve(uint64_t n)
{
    const size_t N = 1 << 20;
    if (!sieve_buf) {
        sieve_buf = malloc(N);
    }
    uint64_t c = 0;
    while (n--) {
        memset(sieve_buf, 1, N);
        for (size_t i = 2; i * i < N; i++) {
            if (sieve_buf[i]) {
                for (size_t j = i * i; j < N; j += i) {
                    sieve_buf[j] = 0;
                }
            }
        }
        for (size_t i = 2; i < N; i++) {
            c += sieve_buf[i];
        }
    }
    return c;
}

/* sha256; op = one 64-byte block */
static const uint32_t K[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};
#define ROR(x, n) (((x) >> (n)) | ((x) << (32 - (n))))
static uint64_t BENCH_NOINLINE b_sha256(uint64_t n)
{
    uint32_t s[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    uint32_t w[64];
    for (int i = 0; i < 16; i++) {
        w[i] = i * 0x01010101u;
    }
    while (n--) {
        w[0] ^= s[0];
        for (int i = 16; i < 64; i++) {
            uint32_t s0 = ROR(w[i - 15], 7) ^ ROR(w[i - 15], 18) ^ (w[i - 15] >> 3);
            uint32_t s1 = ROR(w[i - 2], 17) ^ ROR(w[i - 2], 19) ^ (w[i - 2] >> 10);
            w[i] = w[i - 16] + s0 + w[i - 7] + s1;
        }
        uint32_t a = s[0], b = s[1], c = s[2], d = s[3], e = s[4], f = s[5], g = s[6], h = s[7];
        for (int i = 0; i < 64; i++) {
            uint32_t t1 =
                h + (ROR(e, 6) ^ ROR(e, 11) ^ ROR(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + w[i];
            uint32_t t2 = (ROR(a, 2) ^ ROR(a, 13) ^ ROR(a, 22)) + ((a & b) ^ (a & c) ^ (b & c));
            h = g;
            g = f;
            f = e;
            e = d + t1;
            d = c;
            c = b;
            b = a;
            a = t1 + t2;
        }
        s[0] += a;
        s[1] += b;
        s[2] += c;
        s[3] += d;
        s[4] += e;
        s[5] += f;
        s[6] += g;
        s[7] += h;
    }
    return s[0] ^ s[7];
}

/* crc32 by table; op = one byte */
static uint32_t crctab[256];
static uint64_t BENCH_NOINLINE b_crc32(uint64_t n)
{
    static uint8_t buf[16384];
    if (!crctab[1]) {
        for (uint32_t i = 0; i < 256; i++) {
            uint32_t c = i;
            for (int k = 0; k < 8; k++) {
                c = c & 1 ? 0xedb88320u ^ (c >> 1) : c >> 1;
            }
            crctab[i] = c;
        }
        for (size_t i = 0; i < sizeof buf; i++) {
            buf[i] = (uint8_t)(i * 7 + (i >> 8));
        }
    }
    uint32_t c = ~0u;
    while (n--) {
        c = crctab[(c ^ buf[n & 16383]) & 255] ^ (c >> 8);
    }
    return c;
}

/* quicksort of 20000 ints through a compare callback; op = one element */
static int cmp_int(const void *a, const void *b)
{
    int x = *(const int *)a, y = *(const int *)b;
    return x < y ? -1 : x > y;
}
static void BENCH_NOINLINE my_qsort(int *a, long lo, long hi,
                                    int (*volatile cmp)(const void *, const void *))
{
    while (lo < hi) {
        int p = a[(lo + hi) / 2];
        long i = lo, j = hi;
        while (i <= j) {
            while (cmp(&a[i], &p) < 0) {
                i++;
            }
            while (cmp(&a[j], &p) > 0) {
                j--;
            }
            if (i <= j) {
                int t = a[i];
                a[i] = a[j];
                a[j] = t;
                i++;
                j--;
            }
        }
        if (j - lo < hi - i) {
            my_qsort(a, lo, j, cmp);
            lo = i;
        } else {
            my_qsort(a, i, hi, cmp);
            hi = j;
        }
    }
}
static uint64_t BENCH_NOINLINE b_qsort(uint64_t n)
{
    enum { M = 20000 };
    static int a[M];
    uint64_t r = 0;
    uint32_t s = 12345;
    for (uint64_t k = 0; k < n; k += M) {
        for (int i = 0; i < M; i++) {
            s = s * 1664525u + 1013904223u;
            a[i] = (int)(s >> 1);
        }
        my_qsort(a, 0, M - 1, cmp_int);
        r += (uint64_t)a[M / 2];
    }
    return r;
}

/* linked list + state machine + 16-bit matrix, in the manner of CoreMark; op = one round */
struct node {
    struct node *next;
    int16_t v, k;
};
static uint16_t BENCH_NOINLINE cm_crc(uint16_t c, uint16_t d)
{
    for (int i = 0; i < 16; i++) {
        int x = (c ^ d) & 1;
        c >>= 1;
        d >>= 1;
        if (x) {
            c ^= 0xa001;
        }
    }
    return c;
}
static int BENCH_NOINLINE cm_state(const char *s, unsigned *cnt)
{
    int st = 0;
    for (; *s; s++) {
        char c = *s;
        switch (st) {
        case 0:
            if (c >= '0' && c <= '9') {
                st = 1;
            } else if (c == '+' || c == '-') {
                st = 2;
            } else if (c == '.') {
                st = 3;
            } else if (c != ',') {
                st = 7;
            }
            break;
        case 1:
            if (c == '.') {
                st = 3;
            } else if (c == ',') {
                st = 0;
            } else if (c < '0' || c > '9') {
                st = 7;
            }
            break;
        case 2:
            if (c >= '0' && c <= '9') {
                st = 1;
            } else if (c == '.') {
                st = 3;
            } else {
                st = 7;
            }
            break;
        case 3:
            if (c == 'e' || c == 'E') {
                st = 4;
            } else if (c == ',') {
                st = 0;
            } else if (c < '0' || c > '9') {
                st = 7;
            }
            break;
        case 4:
            st = (c == '+' || c == '-') ? 5 : 7;
            break;
        case 5:
            st = (c >= '0' && c <= '9') ? 6 : 7;
            break;
        case 6:
            if (c == ',') {
                st = 0;
            } else if (c < '0' || c > '9') {
                st = 7;
            }
            break;
        default:
            if (c == ',') {
                st = 0;
            }
            break;
        }
        cnt[st]++;
    }
    return st;
}
static uint64_t BENCH_NOINLINE b_coremarkish(uint64_t n)
{
    static struct node pool[128];
    static int16_t A[16][16], B[16][16];
    static int32_t C[16][16];
    uint16_t crc = 0;
    while (n--) {
        for (int i = 0; i < 128; i++) {
            pool[i].next = i < 127 ? &pool[i + 1] : NULL;
            pool[i].v = (int16_t)((i * 37 + crc) & 0x7f);
            pool[i].k = (int16_t)i;
        }
        struct node *head = pool, *rev = NULL;
        for (int f = 0; f < 12; f++) { /* search */
            for (struct node *p = head; p; p = p->next) {
                if (p->v == f * 9) {
                    crc = cm_crc(crc, (uint16_t)p->k);
                    break;
                }
            }
            rev = NULL;
            while (head) {
                struct node *t = head->next;
                head->next = rev;
                rev = head;
                head = t;
            }
            head = rev;
        }
        struct node *sorted = NULL; /* insertion sort */
        while (head) {
            struct node *t = head->next, **q = &sorted;
            while (*q && (*q)->v < head->v) {
                q = &(*q)->next;
            }
            head->next = *q;
            *q = head;
            head = t;
        }
        crc = cm_crc(crc, (uint16_t)sorted->k);
        for (int i = 0; i < 16; i++) {
            for (int j = 0; j < 16; j++) {
                A[i][j] = (int16_t)(i * j + crc);
                B[i][j] = (int16_t)(i - j);
            }
        }
        for (int i = 0; i < 16; i++) {
            for (int j = 0; j < 16; j++) {
                int32_t s = 0;
                for (int k = 0; k < 16; k++) {
                    s += A[i][k] * B[k][j];
                }
                C[i][j] = s;
            }
        }
        crc = cm_crc(crc, (uint16_t)C[3][5]);
        unsigned cnt[8] = {0};
        cm_state("5012,1234,-874,+122,35.54400,.1234500,-110.700,+0.64400,5.500e+3,-.123e-2,-87e+"
                 "832,+0.6e-12,T0.3e-1F,-T.T++Tq,1T3.4e4z,34.0e-T^",
                 cnt);
        cm_state("12,-3.4e+5,x,1.5,abc,+9,77.e,0.0e-9", cnt);
        crc = cm_crc(crc, (uint16_t)(cnt[0] + cnt[7]));
    }
    return crc;
}

/* multiply/divide/rotate mix, register only; op = one round */
static uint64_t BENCH_NOINLINE b_intmix(uint64_t n)
{
    uint64_t a = 0x9e3779b97f4a7c15ull, b = 0xdeadbeefcafef00dull, c = 7;
    while (n--) {
        a = (a ^ (b >> 29)) * 0xbf58476d1ce4e5b9ull;
        b = (b << 13 | b >> 51) + a;
        c = c * 6364136223846793005ull + (a % 1000003);
        b ^= c / ((a & 0xffff) | 1);
        a += (uint64_t)(((unsigned __int128)b * c) >> 64);
    }
    return a ^ b ^ c;
}

/* recursion: call/return pairs; op = one call */
static uint64_t BENCH_NOINLINE fib(unsigned n)
{
    return n < 2 ? 1 : fib(n - 1) + fib(n - 2);
}
static uint64_t BENCH_NOINLINE fib_count(unsigned n)
{
    return n < 2 ? 1 : 1 + fib_count(n - 1) + fib_count(n - 2);
}
static uint64_t BENCH_NOINLINE b_fib(uint64_t n)
{
    uint64_t r = 0, per = 242785; /* calls made by fib(25) */
    for (uint64_t k = 0; k < n; k += per) {
        r += fib(25);
    }
    return r + fib_count(3);
}

/* bytecode interpreter with computed goto; op = one bytecode */
static uint64_t BENCH_NOINLINE b_interp(uint64_t n)
{
    static const void *const lab[] = {&&add, &&sub, &&xor_, &&ldi, &&mul,
                                      &&jnz, &&shr, &&mov,  &&ld,  &&st};
    static uint8_t prog[256][4];
    static uint64_t mem[64];
    if (!prog[0][0]) {
        uint32_t s = 99;
        for (int i = 0; i < 255; i++) {
            s = s * 1103515245u + 12345u;
            uint8_t op = (uint8_t)((s >> 16) % 10);
            prog[i][0] = op;
            prog[i][1] = (s >> 8) & 7;
            prog[i][2] = (s >> 11) & 7;
            prog[i][3] = (s >> 20) & 63;
        }
        prog[0][0] = 3;
        prog[255][0] = 5;
        prog[255][1] = 8;
    }
    uint64_t r[9] = {1, 2, 3, 4, 5, 6, 7, 8, 1};
    const uint8_t(*pc)[4] = (const void *)prog;
    const uint8_t *i;
#define NEXT             \
    do {                 \
        if (!n--)        \
            return r[0]; \
        i = *pc++;       \
        goto *lab[i[0]]; \
    } while (0)
    NEXT;
add:
    r[i[1]] += r[i[2]];
    NEXT;
sub:
    r[i[1]] -= r[i[2]] + 1;
    NEXT;
xor_:
    r[i[1]] ^= r[i[2]];
    NEXT;
ldi:
    r[i[1]] = i[3];
    NEXT;
mul:
    r[i[1]] *= r[i[2]] | 1;
    NEXT;
jnz:
    if (i[1] == 8) {
        pc = (const void *)prog;
    } else if (r[i[1]] & 1) {
        pc++;
    }
    if (pc >= (const uint8_t(*)[4]) & prog[255]) {
        pc = (const void *)prog;
    }
    NEXT;
shr:
    r[i[1]] = r[i[1]] >> 3 | r[i[1]] << 61;
    NEXT;
mov:
    r[i[1]] = r[i[2]];
    NEXT;
ld:
    r[i[1]] = mem[i[3]];
    NEXT;
st:
    mem[i[3]] = r[i[1]];
    NEXT;
#undef NEXT
}

/* byte string loops (parse, compare, hash); op = one pass over ~1 KiB of text */
static uint64_t BENCH_NOINLINE b_strings(uint64_t n)
{
    static char text[1025];
    if (!text[0]) {
        for (int i = 0; i < 1024; i++) {
            text[i] = "the quick brown fox, jumps over 13 lazy dogs.\n"[i % 46];
        }
    }
    uint64_t h = 0;
    while (n--) {
        const char *p = text;
        while (*p) {
            uint32_t w = 5381;
            while (*p && *p != ' ' && *p != '\n' && *p != ',') {
                w = w * 33 + (uint8_t)*p++;
            }
            h += w;
            if (*p) {
                p++;
            }
        }
        text[5] = (char)('a' + (n & 7));
    }
    return h;
}

/* virtual calls through many small functions; op = one call */
static BENCH_NOINLINE uint64_t vf0(uint64_t x)
{
    return x * 1 + 0;
}
static BENCH_NOINLINE uint64_t vf1(uint64_t x)
{
    return x * 3 + 1;
}
static BENCH_NOINLINE uint64_t vf2(uint64_t x)
{
    return x * 5 + 2;
}
static BENCH_NOINLINE uint64_t vf3(uint64_t x)
{
    return x * 7 + 3;
}
static BENCH_NOINLINE uint64_t vf4(uint64_t x)
{
    return x * 9 + 4;
}
static BENCH_NOINLINE uint64_t vf5(uint64_t x)
{
    return x * 11 + 5;
}
static BENCH_NOINLINE uint64_t vf6(uint64_t x)
{
    return x * 13 + 6;
}
static BENCH_NOINLINE uint64_t vf7(uint64_t x)
{
    return x * 15 + 7;
}
static BENCH_NOINLINE uint64_t vf8(uint64_t x)
{
    return x * 17 + 8;
}
static BENCH_NOINLINE uint64_t vf9(uint64_t x)
{
    return x * 19 + 9;
}
static BENCH_NOINLINE uint64_t vf10(uint64_t x)
{
    return x * 21 + 10;
}
static BENCH_NOINLINE uint64_t vf11(uint64_t x)
{
    return x * 23 + 11;
}
static BENCH_NOINLINE uint64_t vf12(uint64_t x)
{
    return x * 25 + 12;
}
static BENCH_NOINLINE uint64_t vf13(uint64_t x)
{
    return x * 27 + 13;
}
static BENCH_NOINLINE uint64_t vf14(uint64_t x)
{
    return x * 29 + 14;
}
static BENCH_NOINLINE uint64_t vf15(uint64_t x)
{
    return x * 31 + 15;
}
static uint64_t (*const vft[16])(uint64_t) = {vf0, vf1, vf2,  vf3,  vf4,  vf5,  vf6,  vf7,
                                              vf8, vf9, vf10, vf11, vf12, vf13, vf14, vf15};
static uint64_t BENCH_NOINLINE b_vcall(uint64_t n)
{
    uint64_t x = 1;
    while (n--) {
        x = vft[(x >> 13 ^ n) & 15](x);
    }
    return x;
}

/* atomics, one thread; op = one atomic add + one compare and swap */
static uint64_t BENCH_NOINLINE b_atomic(uint64_t n)
{
    static uint64_t a, b;
    while (n--) {
        __atomic_fetch_add(&a, 1, __ATOMIC_SEQ_CST);
        uint64_t e = b;
        __atomic_compare_exchange_n(&b, &e, e + 1, 0, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
    }
    return a + b;
}

/* two threads hammering one mutex (futex contention on 2 harts); op = one lock */
static pthread_mutex_t mtx = PTHREAD_MUTEX_INITIALIZER;
static uint64_t mtx_count;
static void *mtx_thread(void *p)
{
    uint64_t n = *(uint64_t *)p;
    while (n--) {
        pthread_mutex_lock(&mtx);
        mtx_count++;
        pthread_mutex_unlock(&mtx);
    }
    return NULL;
}
static uint64_t BENCH_NOINLINE b_mutex2(uint64_t n)
{
    uint64_t h = n / 2 + 1;
    pthread_t t;
    pthread_create(&t, NULL, mtx_thread, &h);
    mtx_thread(&h);
    pthread_join(t, NULL);
    return mtx_count;
}
/* sha256 on two threads: SMP scaling; op = one block */
static void *sha_thread(void *p)
{
    *(uint64_t *)p = b_sha256(*(uint64_t *)p);
    return NULL;
}
static uint64_t BENCH_NOINLINE b_sha256x2(uint64_t n)
{
    uint64_t one = n / 2 + 1, two = one;
    pthread_t t;
    pthread_create(&t, NULL, sha_thread, &one);
    sha_thread(&two);
    pthread_join(t, NULL);
    return one + two;
}

const struct bench bench_int[] = {
    {"sieve", "int", b_sieve, 1},
    {"sha256", "int", b_sha256, 500},
    {"crc32", "int", b_crc32, 100000},
    {"qsort", "int", b_qsort, 20000},
    {"coremarkish", "int", b_coremarkish, 10},
    {"intmix", "int", b_intmix, 20000},
    {"fib", "int", b_fib, 242785},
    {"interp", "int", b_interp, 50000},
    {"strings", "int", b_strings, 50},
    {"vcall", "int", b_vcall, 50000},
    {"atomic", "int", b_atomic, 20000},
    {"mutex2", "smp", b_mutex2, 5000},
    {"sha256x2", "smp", b_sha256x2, 2000},
    {NULL, NULL, NULL, 0},
};
