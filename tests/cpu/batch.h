/*
 * The stream between generator, oracle and comparer. All little-endian, no padding surprises: every
 * member is naturally aligned. Shared by host code and the riscv64 oracle program.
 *
 *   batch_head, then count times: batch_case, code (code_bytes, a multiple of 2, padded to 8)
 *   answer: result_head, then count times: batch_result
 *
 * A case runs user-mode code at `pc` inside [BATCH_CODE, +BATCH_CODE_LEN) with all registers set,
 * and [BATCH_SCRATCH, +BATCH_SCRATCH_LEN) filled by batch_fill(scratch_seed). The code's last
 * instruction is an ebreak (`end_off` from the start): reaching it is the normal end. Everything
 * else that stops it is a trap, compared too. Pages around code and scratch are not mapped.
 */
#ifndef TESTS_CPU_BATCH_H
#define TESTS_CPU_BATCH_H

#include <stdint.h>

#define BATCH_MAGIC       0x3142524956ull /* "VIRB1" */
#define RESULT_MAGIC      0x3152524956ull
#define BATCH_CODE        0x10000000ull
#define BATCH_CODE_LEN    0x10000ull
#define BATCH_SCRATCH     0x20000000ull
#define BATCH_SCRATCH_LEN 0x2000ull
#define BATCH_CODE_MAX    1024u /* bytes a case */

struct batch_head {
    uint64_t magic;
    uint32_t count;
    uint32_t features; /* isa_ext bits that the cases may use */
};

struct batch_case {
    uint64_t x[32]; /* x[0] is ignored */
    uint64_t f[32];
    uint64_t pc;
    uint64_t scratch_seed;
    uint32_t fcsr;
    uint32_t code_bytes;
    uint32_t end_off; /* of the closing ebreak */
    uint32_t pad;
};

enum batch_cause {
    CAUSE_END = 0,   /* reached the closing ebreak */
    CAUSE_BREAK = 1, /* another ebreak */
    CAUSE_ILLEGAL = 2,
    CAUSE_ACCESS = 3, /* access or page fault, data or fetch */
    CAUSE_ALIGN = 4,  /* misaligned address */
    CAUSE_OTHER = 5,
    CAUSE_TIMEOUT = 6,
};

struct batch_result {
    uint64_t x[32];
    uint64_t f[32];
    uint64_t pc;
    uint64_t hash; /* of the scratch pages */
    uint32_t fcsr;
    uint32_t cause;
};

/* Fill and hash: n 64-bit words. */
static inline void batch_fill(uint64_t *p, unsigned n, uint64_t seed)
{
    uint64_t s = seed | 1;

    for (unsigned i = 0; i < n; i++) {
        s ^= s << 13;
        s ^= s >> 7;
        s ^= s << 17;
        p[i] = s;
    }
}

static inline uint64_t batch_hash(const uint64_t *p, unsigned n)
{
    uint64_t h = 0xcbf29ce484222325ull;

    for (unsigned i = 0; i < n; i++) {
        h = (h ^ p[i]) * 0x100000001b3ull;
        h ^= h >> 29;
    }
    return h;
}

#endif
