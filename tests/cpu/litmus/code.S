/* Code of another hart: hart 0 writes it, sends an IPI, hart 1 does fence.i and runs it (Zifencei). */
#define HARTS 2
#include "litmus.inc"
#define ROUNDS 1500
main:
    START
    lla s0, routine
    lla s1, answer
    li s2, 0
    li s3, CLINT_MSIP
    bnez s7, other
1:  slli a0, s2, 20
    li a1, 0x513                      /* addi a0, zero, round */
    or a0, a0, a1
    sw a0, 0(s0)
    sd zero, 0(s1)
    fence rw, rw
    li a0, 1
    sw a0, 4(s3)                      /* IPI to hart 1 */
2:  ld a0, 0(s1)
    beqz a0, 2b
    addi a0, a0, -1
    EXPECT_REG(a0, s2)
    addi s2, s2, 1
    li a0, ROUNDS
    bne s2, a0, 1b
    j pass
other:
    li a0, 8
    csrw mie, a0
3:  wfi
    csrr a0, mip
    andi a0, a0, 8
    beqz a0, 3b
    sw zero, 4(s3)
    fence rw, rw
    fence.i
    jalr s0
    addi a0, a0, 1
    sd a0, 0(s1)
    j 3b
    .balign 64
    .option push
    .option norvc
routine:
    addi a0, zero, 0
    ret
    .option pop
    .section .data
    .balign 64
answer: .dword 0
