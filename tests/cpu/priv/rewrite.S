/* Code rewritten thousands of times, loops in it, while it is hot (Zifencei): in this page, by its own loop,
 * across a page border. Every result is checked. */
#include "priv.inc"
#define RET 0x8082
#define ROUNDS 3000
main:
    lla s0, loop_count
    lla s1, loop_step
    lla s2, border
    li s3, 0
round:
    /* A routine with a loop: how often, and what it adds; here, in the page that runs. */
    andi s4, s3, 15
    addi s4, s4, 1
    andi s5, s3, 1023
    li a1, 0x793                      /* addi a5, zero, s4 */
    slli a2, s4, 20
    or a1, a1, a2
    sw a1, 0(s0)
    li a1, 0x50513                    /* addi a0, a0, s5 */
    slli a2, s5, 20
    or a1, a1, a2
    sw a1, 0(s1)
    fence.i
    call routine
    mul a3, s4, s5
    EXPECT_REG(a0, a3)
    /* A loop that rewrites what it runs next: adds s4, ..., 1. */
    li a0, 0
    mv a4, s4
    lla a6, self
1:  li a1, 0x50513                    /* addi a0, a0, a4 */
    slli a2, a4, 20
    or a1, a1, a2
    sw a1, 0(a6)
    fence.i
    .balign 4
    .option push
    .option norvc
self:
    addi a0, a0, 0
    .option pop
    addi a4, a4, -1
    bnez a4, 1b
    addi a3, s4, 1
    mul a3, a3, s4
    srli a3, a3, 1
    EXPECT_REG(a0, a3)
    /* Two bytes of it in either page. */
    li a1, RET << 32 | 0x513
    slli a2, s5, 20
    or a1, a1, a2
    sd a1, 0(s2)
    fence.i
    jalr s2
    EXPECT_REG(a0, s5)
    addi s3, s3, 1
    li a0, ROUNDS
    bne s3, a0, round
    j pass

    .balign 8
    .option push
    .option norvc
routine:
    li a0, 0
loop_count:
    addi a5, zero, 0
loop_step:
    addi a0, a0, 0
    addi a5, a5, -1
    bnez a5, loop_step
    ret
    .option pop
    .balign 4096
    .skip 4094
border: .skip 16
