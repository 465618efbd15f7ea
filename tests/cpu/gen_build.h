/* The sequence under construction: between gen.c (cases) and gen_emit.c (single instructions). */
#ifndef TESTS_CPU_GEN_BUILD_H
#define TESTS_CPU_GEN_BUILD_H

#include "gen.h"

#define GROUPS_MAX 64
#define NO_REG     32u

struct fixup {
    uint16_t at;     /* halfword index of the instruction */
    uint16_t origin; /* halfword index that the offset counts from */
    uint8_t fmt;
    uint8_t group; /* target */
    uint8_t odd;   /* jalr: set bit 0, which it must ignore */
};

struct build {
    struct gen *g;
    struct batch_case *c;
    uint16_t hw[BATCH_CODE_MAX / 2];
    unsigned n;
    unsigned start[GROUPS_MAX + 1];
    unsigned groups, target_groups;
    struct fixup fix[GROUPS_MAX];
    unsigned fixes;
    unsigned base, lc;
    unsigned pool[10], pool_n;  /* any register */
    unsigned cpool[4], cpool_n; /* x8-x15 of them */
    unsigned fpool[8], fpool_n;
    unsigned cfpool[4], cfpool_n;
};

uint64_t rnd(struct gen *g);
unsigned below(struct gen *g, unsigned n);
bool one_in(struct gen *g, unsigned n);

/* Append the group for one table entry, operands at random; also the ones below. */
void emit_insn(struct build *b, const struct isa_insn *in);
/* An access that leaves scratch, wholly or partly, or a jump off the map. */
void emit_fault(struct build *b);
void emit_addi(struct build *b, unsigned rd, unsigned rs1, int imm);
void emit_word(struct build *b, uint32_t w);

#endif
