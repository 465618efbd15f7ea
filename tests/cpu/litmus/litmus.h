/*
 * Multi-hart tests: RISC-V's memory model (Unprivileged ISA chapter 17 and its litmus tests) and what
 * harts do to one another. Same convention as ../priv/priv.h: HARTS harts start at `main` with t0 = hart.
 *
 * RUN_TOGETHER: a barrier, so that each round starts at about the same time on all harts.
 */
#ifndef VIREO_LITMUS_H
#define VIREO_LITMUS_H
#include "../priv/priv.h"

/* All HARTS harts meet; uses a6, a7, t3 and s9 (count of meetings). */
#define MEET \
    lla a6, meet_count; li a7, 1; fence rw, rw; amoadd.w.aqrl zero, a7, (a6); addi s9, s9, HARTS; \
    8: lw a7, 0(a6); fence rw, rw; sub a7, a7, s9; bltz a7, 8b
/* Wait a pseudo-random short time, differently on each hart; uses s8 (seed), t3. */
#define JITTER \
    slli t3, s8, 13; xor s8, s8, t3; srli t3, s8, 7; xor s8, s8, t3; slli t3, s8, 17; \
    xor s8, s8, t3; andi t3, s8, 31; 8: addi t3, t3, -1; bgtz t3, 8b
#define START \
    csrr t0, mhartid; mv s7, t0; li s9, 0; addi s8, t0, 1; slli s8, s8, 20; addi s8, s8, 77

    .section .data
    .balign 64
meet_count: .word 0
    .section .text
#endif
