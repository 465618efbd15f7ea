/*
 * Division by a number that a loop does not change: an engine may make code for just that number, so
 * each loop here is first run with one divisor until it is hot, then with all the others.
 *
 * Quotient and remainder are right when q * d + r = n without overflow, |r| < |d|, and r has n's sign
 * (RISC-V ISA, unprivileged, "M" 7.2).
 */
#include "priv.inc"

#define TIMES 12

/* a6 = s2 = divisor, |divisor| > 1 as a word, too; the words' results are sums of 64 bits. */
.macro DIVIDES name
.balign 4096
\name:
    mv s7, ra
    li s5, TIMES
1:  lla s3, dividends
    lla s4, dividends_end
2:  ld a0, 0(s3)
    LINE
    /* The divisor in a register that compilers like, and in one that they do not. */
    divu a1, a0, a6
    remu a2, a0, s2
    mul a3, a1, a6
    add a3, a3, a2
    bne a3, a0, 8f
    mulhu a3, a1, a6
    bnez a3, 8f
    bgeu a2, a6, 8f
    LINE
    div a1, a0, s2
    rem a2, a0, a6
    mul a3, a1, a6
    mulh a4, a1, a6
    srai a5, a3, 63
    bne a5, a4, 8f
    add a3, a3, a2
    bne a3, a0, 8f
    beqz a2, 3f
    xor a4, a2, a0
    bltz a4, 8f
3:  srai a4, a2, 63
    xor a2, a2, a4
    sub a2, a2, a4
    srai a4, a6, 63
    xor a5, a6, a4
    sub a5, a5, a4
    bgeu a2, a5, 8f
    LINE
    divuw a1, a0, a6
    remuw s6, a0, s2
    slli a1, a1, 32
    srli a1, a1, 32
    slli a2, s6, 32
    srli a2, a2, 32
    slli a3, a6, 32
    srli a3, a3, 32
    bgeu a2, a3, 8f
    mul a3, a3, a1
    add a3, a3, a2
    slli a4, a0, 32
    srli a4, a4, 32
    bne a3, a4, 8f
    LINE
    sext.w a3, s6                     /* the result is a word, extended by its sign */
    bne a3, s6, 8f
    remw a2, a0, a6
    divw s6, a0, s2
    sext.w a3, a6
    mul a3, a3, s6
    add a3, a3, a2
    sext.w a4, a0
    bne a3, a4, 8f
    beqz a2, 3f
    xor a4, a2, a4
    bltz a4, 8f
3:  srai a4, a2, 63
    xor a2, a2, a4
    sub a2, a2, a4
    sext.w a3, a6
    srai a4, a3, 63
    xor a3, a3, a4
    sub a3, a3, a4
    bgeu a2, a3, 8f
    addi s3, s3, 8
    bne s3, s4, 2b
    addi s5, s5, -1
    bnez s5, 1b
    jr s7
8:  j fail
.endm

/* Each loop with its own divisor, then with all of them, then with those that are exceptions. */
.macro CHECK name, divisor
    li a6, \divisor
    mv s2, a6
    jal \name
    lla s8, divisors
4:  ld a6, 0(s8)
    beqz a6, 5f
    mv s2, a6
    jal \name
    addi s8, s8, 8
    j 4b
5:
.endm

main:
    CHECK by_2, 2
    CHECK by_3, 3
    CHECK by_7, 7
    CHECK by_10, 10
    CHECK by_64, 64
    CHECK by_641, 641
    CHECK by_1000003, 1000003
    CHECK by_max, 0x7fffffff
    CHECK by_pow30, 0x40000000
    CHECK by_more, 0x40000001
    CHECK by_minus, -5
    /* By zero and by minus one, where something else was expected. */
    li a6, 10
    li s5, TIMES
1:  li a0, 12345
    jal exceptions
    EXPECT(a1, 1234)
    EXPECT(a2, 5)
    EXPECT(a3, 1234)
    EXPECT(a4, 5)
    addi s5, s5, -1
    bnez s5, 1b
    li a6, 0
    jal exceptions
    EXPECT(a1, -1)
    EXPECT(a2, 12345)
    EXPECT(a3, -1)
    EXPECT(a4, 12345)
    li a6, -1
    li a0, -0x8000000000000000
    jal exceptions
    EXPECT(a1, -0x8000000000000000)
    EXPECT(a2, 0)
    EXPECT(a3, 0)
    EXPECT(a4, 0)
    li a0, -0x80000000
    jal exceptions
    EXPECT(a3, -0x80000000)
    EXPECT(a4, 0)
    li a6, 0x10000000a                 /* as a word it is what was expected, and only so */
    li a0, 12345
    jal exceptions
    EXPECT(a1, 0)
    EXPECT(a2, 12345)
    EXPECT(a3, 1234)
    EXPECT(a4, 5)
    j pass

.balign 4096
exceptions:
    div a1, a0, a6
    rem a2, a0, a6
    divw a3, a0, a6
    remw a4, a0, a6
    ret

    DIVIDES by_2
    DIVIDES by_3
    DIVIDES by_7
    DIVIDES by_10
    DIVIDES by_64
    DIVIDES by_641
    DIVIDES by_1000003
    DIVIDES by_max
    DIVIDES by_pow30
    DIVIDES by_more
    DIVIDES by_minus

.balign 8
divisors:
    .dword 2, 3, 5, 6, 7, 9, 10, 11, 12, 25, 125, 625, 28, 60, 127, 128, 255, 256, 257, 274177, 1000003, 65535, 65537
    .dword 0x7ffffffe, 0x7fffffff, 0x40000000, 0x3fffffff, 0x55555555, -2, -3, -10, -0x7fffffff, 0
dividends:
    .dword 0, 1, 2, 9, 10, 11, 99, 640, 641, 642, 1000002, 1000003, 0x7fffffff, 0x80000000, 0xffffffff, 0x100000000
    .dword -1, -2, -9, -10, -11, -641, -1000003, -0x80000000, -0x7fffffff, 0x7fffffffffffffff, -0x8000000000000000
    .dword -0x7fffffffffffffff, 0x123456789abcdef0, 0xfedcba9876543210, 0xaaaaaaaaaaaaaaab, 0x5555555555555556
    .dword 0xffffffff00000000, 0x00000000fffffffe, 0x8000000080000000, 0x7fffffff7fffffff
dividends_end:
