/*
 * Reservations between harts: another hart's store to the reserved place, of any size, makes SC fail
 * (with SAME_VALUE, see reserve_same.S: also when it writes what is there already); a 128-bit CAS is one
 * access.
 */
#define HARTS 2
#include "litmus.inc"
#define ROUNDS 2000
main:
    START
    lla s0, cell
    lla s1, turn
    li s2, 0
1:  MEET
    bnez s7, 3f
    li a0, 5
    sd a0, 0(s0)
    lr.d a1, (s0)
    li a2, 1
    sd a2, 0(s1)                      /* ask the other to store */
2:  ld a2, 0(s1)
    bnez a2, 2b
    fence rw, rw
    li a3, 9
    sc.d a4, a3, (s0)
    ld a5, 0(s0)
    LINE
#ifdef SAME_VALUE
    beqz a4, bad
    li a3, 5
#else
    beqz a4, bad
    li a3, 6
#endif
    bne a5, a3, bad
    j 5f
3:  ld a2, 0(s1)
    beqz a2, 3b
    fence rw, rw
#ifdef SAME_VALUE
    li a0, 5
#else
    li a0, 6
#endif
    andi a1, s2, 3                    /* by turns: double, word, byte, AMO */
    beqz a1, 31f
    li a3, 1
    beq a1, a3, 32f
    li a3, 2
    beq a1, a3, 33f
    amoswap.d zero, a0, (s0)
    j 4f
31: sd a0, 0(s0)
    j 4f
32: sw a0, 0(s0)
    j 4f
33: sb a0, 0(s0)
4:  fence rw, rw
    sd zero, 0(s1)
5:  MEET
    addi s2, s2, 1
    li a0, ROUNDS
    bne s2, a0, 1b

    /* Two halves of 128 bits, always swapped together, never seen torn. */
    li s2, ROUNDS * 4
    lla s0, wide
6:  bnez s7, 8f
    ld a0, 0(s0)
    ld a1, 8(s0)
7:  addi a2, a0, 1
    not a3, a2
    mv a4, a0
    mv a5, a1
    .insn r 0x2f, 4, 0x14, a0, s0, a2 /* amocas.q a0, a2, (s0) */
    bne a0, a4, 7b
    bne a1, a5, 7b
    j 10f
8:  li a0, 0                          /* a CAS that only reads */
    li a1, 0
    li a2, 0
    li a3, 0
    .insn r 0x2f, 4, 0x14, a0, s0, a2
    not a3, a1
    LINE
    bne a0, a3, bad
10: addi s2, s2, -1
    bnez s2, 6b
    MEET
    bnez s7, park
    LINE
    ld a0, 0(s0)
    li a1, ROUNDS * 4
    bne a0, a1, bad
    j pass
bad:
    j fail
park:
    j park
    .section .data
    .balign 64
cell: .dword 0
    .balign 4096
turn: .dword 0
    .balign 64
wide: .dword 0, -1
