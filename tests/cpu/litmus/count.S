/* Shared counters, exact totals: AMO, LR/SC (word, double), a lock by amoswap and by LR/SC, CAS, bytes. */
#define HARTS 4
#include "litmus.inc"
#define EACH 5000
#define TOTAL(label, want) LINE; ld t5, label; li t6, want; beq t5, t6, 9f; j fail; 9:
main:
    START
    MEET
    li s2, EACH
    lla s0, counters
    lla s3, lock
    lla s4, lock2
1:  li a0, 1
    amoadd.d zero, a0, 0(s0)          /* 0: AMO double */
    addi a1, s0, 12
    amoadd.w zero, a0, (a1)           /* upper word of 1 */
    addi a1, s0, 16
2:  lr.d a2, (a1)                     /* 2: LR/SC double */
    addi a2, a2, 1
    sc.d a3, a2, (a1)
    bnez a3, 2b
    addi a1, s0, 24
3:  lr.w a2, (a1)                     /* 3: LR/SC word, beside one that others write */
    addi a2, a2, 1
    sc.w a3, a2, (a1)
    bnez a3, 3b
    addi a1, s0, 28
    amoadd.w zero, a0, (a1)
    /* 4: plain increments under an amoswap lock. */
4:  amoswap.w.aq a2, a0, (s3)
    bnez a2, 4b
    ld a2, 32(s0)
    addi a2, a2, 1
    sd a2, 32(s0)
    amoswap.w.rl zero, zero, (s3)
    /* 5: under an LR/SC lock with a plain store as unlock. */
5:  lr.w.aq a2, (s4)
    bnez a2, 5b
    sc.w a2, a0, (s4)
    bnez a2, 5b
    ld a2, 40(s0)
    addi a2, a2, 1
    sd a2, 40(s0)
    fence rw, w
    sw zero, 0(s4)
    /* 6: compare and swap. */
    addi a1, s0, 48
    ld a2, 0(a1)
6:  addi a4, a2, 1
    mv a5, a2
    .insn r 0x2f, 3, 0x14, a2, a1, a4 /* amocas.d a2, a4, (a1) */
    bne a2, a5, 6b
    /* 7: neighbouring bytes by plain stores are independent: each hart owns one. */
    add a1, s0, s7
    lbu a2, 56(a1)
    addi a2, a2, 1
    sb a2, 56(a1)
    /* 8: one byte each of a word that all hit with AMOs on bytes. */
    addi a1, s0, 64
    add a1, a1, s7
    .insn r 0x2f, 0, 0x00, zero, a1, a0 /* amoadd.b */
    addi s2, s2, -1
    bnez s2, 1b
    MEET
    bnez s7, park
    TOTAL(counters, EACH * HARTS)
    TOTAL(counters + 8, (EACH * HARTS) << 32)
    TOTAL(counters + 16, EACH * HARTS)
    TOTAL(counters + 24, (EACH * HARTS) << 32 | (EACH * HARTS))
    TOTAL(counters + 32, EACH * HARTS)
    TOTAL(counters + 40, EACH * HARTS)
    TOTAL(counters + 48, EACH * HARTS)
    TOTAL(counters + 56, (EACH & 255) * 0x01010101)
    TOTAL(counters + 64, (EACH & 255) * 0x01010101)
    j pass
park:
    j park
    .section .data
    .balign 4096
counters: .dword 0, 0, 0, 0, 0, 0, 0, 0, 0
    .balign 64
lock: .word 0
    .balign 64
lock2: .word 0
