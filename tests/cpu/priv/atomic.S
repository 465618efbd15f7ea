/* LR/SC, AMO, compare and swap (Unprivileged ISA chapter 14; Zacas, Zabha; Zalrsc). */
#include "priv.inc"
#define AMOCAS_W(rd, rs2, rs1) .insn r 0x2f, 2, 0x14, rd, rs1, rs2
#define AMOCAS_D(rd, rs2, rs1) .insn r 0x2f, 3, 0x14, rd, rs1, rs2
#define AMOCAS_Q(rd, rs2, rs1) .insn r 0x2f, 4, 0x14, rd, rs1, rs2
#define AMOADD_B(rd, rs2, rs1) .insn r 0x2f, 0, 0x00, rd, rs1, rs2
#define AMOADD_H(rd, rs2, rs1) .insn r 0x2f, 1, 0x00, rd, rs1, rs2
#define AMOCAS_H(rd, rs2, rs1) .insn r 0x2f, 1, 0x14, rd, rs1, rs2
main:
    lla s0, cell
    lla s1, other
    li a0, 5
    sd a0, 0(s0)
    /* The plain pair. */
    lr.d a1, (s0)
    EXPECT(a1, 5)
    lr.d a1, (s0)
    li a2, 6
    sc.d a3, a2, (s0)
    EXPECT(a3, 0)
    ld a1, 0(s0)
    EXPECT(a1, 6)
    /* SC without a reservation fails and writes nothing; its rd is not zero. */
    sc.d a3, a0, (s0)
    EXPECT_NOT(a3, 0)
    ld a1, 0(s0)
    EXPECT(a1, 6)
    /* Any SC ends the reservation, also one to another address. */
    lr.d a1, (s0)
    sc.d a3, a0, (s1)
    EXPECT_NOT(a3, 0)
    sc.d a3, a0, (s0)
    EXPECT_NOT(a3, 0)
    ld a1, 0(s0)
    EXPECT(a1, 6)
    /* The last LR counts. */
    lr.d a1, (s1)
    lr.d a1, (s0)
    sc.d a3, a0, (s1)
    EXPECT_NOT(a3, 0)
    /* W form: sign-extends, touches four bytes. */
    li a0, 0x11223344f5667788
    sd a0, 0(s0)
    lr.w a1, (s0)
    EXPECT(a1, 0xfffffffff5667788)
    lr.w a1, (s0)
    li a2, 0x99
    sc.w a3, a2, (s0)
    EXPECT(a3, 0)
    ld a1, 0(s0)
    EXPECT(a1, 0x1122334400000099)
    /* rd = x0, and rd = rs2, rd = rs1. */
    lr.w zero, (s0)
    sc.w zero, a0, (s0)
    ld a1, 0(s0)
    EXPECT(a1, 0x11223344f5667788)
    li a2, 77
    lr.d a1, (s0)
    sc.d a2, a2, (s0)
    EXPECT(a2, 0)
    ld a1, 0(s0)
    EXPECT(a1, 77)
    mv a4, s0
    lr.d a4, (a4)
    EXPECT(a4, 77)
    mv a4, s0
    lr.d a1, (a4)
    sc.d a4, a0, (a4)
    EXPECT(a4, 0)
    /* A constrained loop ends well. */
    sd zero, 0(s0)
    li a5, 1000
1:  lr.d a1, (s0)
    addi a1, a1, 1
    sc.d a3, a1, (s0)
    bnez a3, 1b
    addi a5, a5, -1
    bnez a5, 1b
    ld a1, 0(s0)
    EXPECT(a1, 1000)
    /* A trap between LR and SC: the SC may fail, not break; xRET of the trap handler may end it. */
    li a0, 1
    sd a0, 0(s0)
    lr.d a1, (s0)
    LINE
    lla s10, 2f
    ecall
2:  li a2, 2
    sc.d a3, a2, (s0)
    ld a1, 0(s0)
    LINE
    seqz a4, a3
    addi a4, a4, 1
    bne a1, a4, 99f                   /* 2 if it succeeded, 1 if not */

    /* SC of another size or at another place in the word: may succeed or fail, but says which. */
    li a0, 0x1111111122222222
    li a2, 0x33
#ifndef ORACLE_QEMU /* writes, and says that it failed */
    sd a0, 0(s0)
    lr.d a1, (s0)
    sc.w a3, a2, (s0)
    ld a1, 0(s0)
    LINE
    beqz a3, 3f
    bne a1, a0, 99f
    j 4f
3:  li a4, 0x1111111100000033
    bne a1, a4, 99f
4:
#endif
    sd a0, 0(s0)
    lr.w a1, (s0)
    addi s2, s0, 4
    sc.w a3, a2, (s2)
    ld a1, 0(s0)
    LINE
    beqz a3, 5f
    bne a1, a0, 99f
    j 6f
5:  li a4, 0x0000003322222222
    bne a1, a4, 99f
6:  lr.w a1, (s0)
    sc.d a3, a2, (s0)
    ld a1, 0(s0)
    LINE
    beqz a3, 7f
    bne a1, a0, 99f
    j 8f
7:  bne a1, a2, 99f
8:
    /* Misaligned: LR and SC/AMO have their own causes (or an access fault). No write. */
    li a0, 0x1234
    sd a0, 0(s0)
    addi s2, s0, 1
    EXPECT_TRAP(C_LOAD_ALIGN, lr.w a0, (s2))
    EXPECT_TVAL_REG(s2)
    EXPECT(a0, 0x1234)
    EXPECT_TRAP(C_STORE_ALIGN, sc.w a0, a0, (s2))
    EXPECT_TVAL_REG(s2)
    EXPECT_TRAP(C_STORE_ALIGN, amoadd.w a0, a0, (s2))
    EXPECT(a0, 0x1234)
    addi s2, s0, 4
    EXPECT_TRAP(C_STORE_ALIGN, amoswap.d a0, a0, (s2))
    EXPECT_TRAP(C_LOAD_ALIGN, lr.d a0, (s2))
    amoswap.w a0, a0, (s2)
    ld a1, 0(s0)
    EXPECT(a1, 0x0000123400001234)

    /* AMO: old value to rd (sign-extended), rd may be rs1 or rs2. */
    li a0, 0x80000000
    sw a0, 0(s0)
    li a1, 0x80000001
    amoadd.w a2, a1, (s0)
    EXPECT(a2, 0xffffffff80000000)
    lwu a2, 0(s0)
    EXPECT(a2, 1)
    li a0, -1
    sd a0, 0(s0)
    li a1, 1
    amomaxu.w a1, a1, (s0)
    EXPECT(a1, -1)
    amomin.d a1, zero, (s0)
    EXPECT(a1, -1)
    ld a2, 0(s0)
    EXPECT(a2, -1)
    mv a4, s0
    amominu.d a4, zero, (a4)
    EXPECT(a4, -1)
    ld a2, 0(s0)
    EXPECT(a2, 0)
    amoadd.d zero, s0, (s0)
    ld a2, 0(s0)
    EXPECT_REG(a2, s0)

    /* Zacas: success and failure; the old value always lands in rd. */
    li a0, 0x1111111180000000
    sd a0, 0(s0)
    li a1, 0x80000000                 /* only 32 bits are compared */
    li a2, 0x22
    AMOCAS_W(a1, a2, s0)
    EXPECT(a1, 0xffffffff80000000)
    ld a3, 0(s0)
    EXPECT(a3, 0x1111111100000022)
    li a1, 0x23
    AMOCAS_W(a1, zero, s0)
    EXPECT(a1, 0x22)
    ld a3, 0(s0)
    EXPECT(a3, 0x1111111100000022)
    mv a1, a3
    AMOCAS_D(a1, s1, s0)
    EXPECT_REG(a1, a3)
    ld a3, 0(s0)
    EXPECT_REG(a3, s1)
    /* 128 bits: even pairs. */
    li a0, 0xaaaa
    li a1, 0xbbbb
    sd a0, 0(s0)
    sd a1, 8(s0)
    li a2, 0xcccc
    li a3, 0xdddd
    AMOCAS_Q(a0, a2, s0)
    EXPECT(a0, 0xaaaa)
    EXPECT(a1, 0xbbbb)
    ld a4, 0(s0)
    EXPECT(a4, 0xcccc)
    ld a4, 8(s0)
    EXPECT(a4, 0xdddd)
    li a1, 0xdddc                     /* differs in the upper half: no write, both come back */
    li a0, 0xcccc
    AMOCAS_Q(a0, a2, s0)
    EXPECT(a0, 0xcccc)
    EXPECT(a1, 0xdddd)
    addi s2, s0, 8
    EXPECT_TRAP(C_STORE_ALIGN, AMOCAS_Q(a0, a2, s2))
    EXPECT_TRAP(C_ILLEGAL, AMOCAS_Q(a1, a2, s0))
    EXPECT_TRAP(C_ILLEGAL, AMOCAS_Q(a0, a3, s0))
#ifndef ORACLE_QEMU /* 10.0 writes its own zero when rd is x0 */
    /* rd = x0: compares with zero (the whole pair), writes no register. */
    sd zero, 0(s0)
    sd zero, 8(s0)
    li ra, 0x5a5a
    AMOCAS_Q(zero, a2, s0)
    EXPECT(ra, 0x5a5a)
    ld a4, 8(s0)
    EXPECT(a4, 0xdddd)
    AMOCAS_Q(zero, a2, s0)
    EXPECT(ra, 0x5a5a)
    sd zero, 0(s0)
    li a4, 9
    AMOCAS_D(zero, a4, s0)
    ld a5, 0(s0)
    EXPECT(a5, 9)
    AMOCAS_W(zero, s0, s0)
    ld a5, 0(s0)
    EXPECT(a5, 9)
    /* rs2 = x0: writes zero to both halves. */
    li a0, 9
    li a1, 0xdddd
    AMOCAS_Q(a0, zero, s0)
    ld a5, 0(s0)
    EXPECT(a5, 0)
    ld a5, 8(s0)
    EXPECT(a5, 0)
#endif
    /* Zabha: only its byte or half. */
    li a0, 0x11223344556677ff
    sd a0, 0(s0)
    li a1, 2
    AMOADD_B(a2, a1, s0)
    EXPECT(a2, -1)
    ld a3, 0(s0)
    EXPECT(a3, 0x1122334455667701)
    addi s2, s0, 7
    AMOADD_B(a2, a1, s2)
    EXPECT(a2, 0x11)
    addi s2, s0, 2
    li a1, 0xffff
    AMOADD_H(a2, a1, s2)
    EXPECT(a2, 0x5566)
    ld a3, 0(s0)
    EXPECT(a3, 0x1322334455657701)
    li a2, 0xfff5565                  /* 16 bits are compared */
    AMOCAS_H(a2, zero, s2)
    EXPECT(a2, 0x5565)
    ld a3, 0(s0)
    EXPECT(a3, 0x1322334400007701)
    addi s2, s0, 1
    EXPECT_TRAP(C_STORE_ALIGN, AMOADD_H(a2, a1, s2))
    j pass
99: j fail

    .section .data
    .balign 64
cell: .dword 0, 0
    .balign 4096
other: .dword 0, 0
