/* Store buffering: with fence rw, rw (or AMOs with .aqrl) one of the two must see the other's store. */
#define HARTS 2
#include "litmus.inc"
#define ROUNDS 6000
main:
    START
    lla s0, x
    lla s1, y
    beqz s7, 1f
    mv a0, s0
    mv s0, s1
    mv s1, a0
1:  lla s3, seen
    slli a0, s7, 3
    add s3, s3, a0                    /* own result */
    li s2, 1
2:  MEET
    JITTER
    andi a0, s2, 1
    beqz a0, 3f
    sd s2, 0(s0)
    fence rw, rw
    ld a1, 0(s1)
    j 4f
3:  amoswap.d.aqrl zero, s2, (s0)
    lr.d.aqrl a1, (s1)
4:  sd a1, 0(s3)
    MEET
    bnez s7, 5f
    ld a1, 0(s3)
    ld a2, 8(s3)
    LINE
    beq a1, s2, 5f
    bne a2, s2, bad
5:  MEET
    addi s2, s2, 1
    li a0, ROUNDS
    bne s2, a0, 2b
    bnez s7, park
    j pass
bad:
    j fail
park:
    j park
    .section .data
    .balign 4096
x:  .dword 0
    .balign 4096
y:  .dword 0
seen: .dword 0, 0
