/* Message passing and coherence of one location: MP (fences; release/acquire), CoRR, LB. */
#define HARTS 2
#include "litmus.inc"
#define ROUNDS 4000
main:
    START
    lla s0, data
    lla s1, flag
    li s2, 1                          /* round */
1:  MEET
    bnez s7, reader
    JITTER
    /* Writer: data, then flag: by a fence on odd rounds, by release on even ones. */
    sd s2, 0(s0)
    andi a0, s2, 1
    beqz a0, 2f
    fence w, w
    sd s2, 0(s1)
    j 3f
2:  amoswap.d.rl zero, s2, (s1)
3:  MEET
    j next
reader:
    JITTER
    andi a0, s2, 1
    beqz a0, 4f
    ld a1, 0(s1)
    fence r, r
    j 5f
4:  lr.d.aq a1, (s1)
5:  ld a2, 0(s0)
    LINE
    bne a1, s2, 6f                    /* flag not there yet: anything goes */
    bne a2, s2, bad                   /* flag seen, data old: forbidden */
6:  /* CoRR: two reads of one place never go back in time. */
    ld a1, 0(s0)
    ld a2, 0(s0)
    LINE
    bltu a2, a1, bad
    MEET
next:
    addi s2, s2, 1
    li a0, ROUNDS
    bne s2, a0, 1b

    /* LB with dependencies: x = y = 1 out of thin air is forbidden. */
    li s2, ROUNDS
7:  MEET
    bnez s7, 9f
    sd zero, 0(s0)
    sd zero, 0(s1)
9:  MEET
    JITTER
    bnez s7, 10f
    ld a0, 0(s0)
    sd a0, 0(s1)
    j 11f
10: ld a0, 0(s1)
    sd a0, 0(s0)
11: MEET
    LINE
    bnez a0, bad
    addi s2, s2, -1
    bnez s2, 7b
    MEET
    bnez s7, park
    j pass
bad:
    j fail
park:
    j park
    .section .data
    .balign 64
data: .dword 0
    .balign 4096
flag: .dword 0
