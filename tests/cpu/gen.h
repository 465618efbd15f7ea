/* Random instruction sequences for the comparison with an independent model (see batch.h). */
#ifndef TESTS_CPU_GEN_H
#define TESTS_CPU_GEN_H

#include "batch.h"
#include "isa.h"
#include <stdbool.h>

enum gen_mode {
    GEN_SEQ,   /* 8-40 valid instructions with data flow, loops, forward jumps */
    GEN_WORDS, /* one arbitrary instruction word: is it decoded, or illegal, alike? */
};

struct gen {
    uint64_t seed;
    uint32_t features;
    enum gen_mode mode;
    bool align_faults; /* also misaligned atomics (the oracle must enforce alignment) */
    bool no_lrsc;      /* no LR/SC: traps between the two may end the reservation */
    uint64_t rng;
    uint64_t hits[512]; /* by table index: how often generated */
    uint64_t insns;     /* in all */
};

void gen_init(struct gen *g, uint64_t seed, uint32_t features, enum gen_mode mode);

/* Case number @index of the seed: depends on nothing generated before. @code has BATCH_CODE_MAX
 * bytes. */
void gen_case(struct gen *g, uint64_t index, struct batch_case *ret_case, uint8_t *code);

/* How many table entries of the feature set were generated, of how many; names of the missing to
 * @out. */
unsigned gen_coverage(const struct gen *g, unsigned *ret_total, char *out, size_t out_len);

#endif
