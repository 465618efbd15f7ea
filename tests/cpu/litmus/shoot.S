/*
 * Page tables of another hart: a remote fence by IPI shows a changed mapping (Privileged ISA 10.2.1), and
 * the walker's update of A and D (Svadu) is atomic against software's changes of the same entry.
 */
#define HARTS 2
#include "litmus.inc"
#define ROUNDS 1500
#define LEAF 0xc7                     /* V R W A D */
#define BARE 0x07                     /* V R W */
main:
    START
    lla s0, l0
    lla s1, answer
    li s3, CLINT_MSIP
    li s4, 0x40000000                 /* the page under test */
    bnez s7, 1f
    lla a0, root
    lla a1, l1
    srli a1, a1, 2
    ori a1, a1, 1
    sd a1, 8(a0)
    lla a0, l1
    srli a1, s0, 2
    ori a1, a1, 1
    sd a1, 0(a0)
    lla a0, data0
    li a1, 10
    sd a1, 0(a0)
    srli s5, a0, 2
    addi s5, s5, LEAF                 /* entry for data0 */
    lla a0, data1
    li a1, 11
    sd a1, 0(a0)
    srli s6, a0, 2
    addi s6, s6, LEAF
    sd s5, 0(s0)
1:  MEET
    lla a0, root
    srli a0, a0, 12
    li a1, 8 << 60
    or a0, a0, a1
    csrw satp, a0
    sfence.vma
    li s2, 0
    bnez s7, other
2:  andi a0, s2, 1                    /* map data0 or data1, tell, ask */
    mv a1, s5
    beqz a0, 3f
    mv a1, s6
3:  sd a1, 0(s0)
    sd zero, 0(s1)
    fence rw, rw
    li a1, 1
    sw a1, 4(s3)
4:  ld a1, 0(s1)
    beqz a1, 4b
    addi a0, a0, 10
    EXPECT_REG(a1, a0)
    addi s2, s2, 1
    li a0, ROUNDS
    bne s2, a0, 2b
    li a1, -1                         /* tell the other to go on */
    sd a1, 8(s1)
    fence rw, rw
    li a1, 1
    sw a1, 4(s3)

    /* A and D against amoxor on a software bit and amoand on A and D. */
    addi s5, s5, BARE - LEAF
    sd s5, 0(s0)
    MEET
    li s2, ROUNDS * 8
    li s6, 0                          /* what the software bit should be */
5:  li a0, 0x100
    amoxor.d a1, a0, (s0)
    andi a2, a1, 0x100
    LINE
    bne a2, s6, bad
    xori s6, s6, 0x100
    li a0, ~0xc0
    amoand.d a1, a0, (s0)
    andi a2, a1, 0x100
    LINE
    bne a2, s6, bad
    addi s2, s2, -1
    bnez s2, 5b
    li a1, -2
    sd a1, 8(s1)
    MEET
    ld a0, 16(s1)                     /* the other's stores all arrived */
    lla a1, data0
    ld a1, 8(a1)
    EXPECT_REG(a0, a1)
    j pass

other:
    li a0, 8
    csrw mie, a0
6:  wfi
    csrr a0, mip
    andi a0, a0, 8
    beqz a0, 6b
    sw zero, 4(s3)
    fence rw, rw
    ld a0, 8(s1)
    bltz a0, 7f
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s4))
    sd a2, 0(s1)
    j 6b
7:  li a0, 1 << 61                    /* menvcfg.ADUE */
    csrs MENVCFG, a0
    sfence.vma
    MEET
    li a3, 0
8:  addi a3, a3, 1
    sfence.vma s4, zero
    EXPECT_OK_AS(S_MODE, sd a3, 8(s4))
    ld a0, 8(s1)
    li a1, -2
    bne a0, a1, 8b
    sd a3, 16(s1)
    MEET
park:
    j park
bad:
    j fail
    .section .bss
    .balign 4096
root: .skip 4096
l1: .skip 4096
l0: .skip 4096
data0: .skip 4096
data1: .skip 4096
answer: .skip 64
