/* Cache-block operations (CMO extension chapters: Zicbom, Zicboz; menvcfg/senvcfg control). Block 64. */
#include "priv.inc"
#define CBO_INVAL(r) .insn i 0x0f, 2, x0, r, 0
#define CBO_CLEAN(r) .insn i 0x0f, 2, x0, r, 1
#define CBO_FLUSH(r) .insn i 0x0f, 2, x0, r, 2
#define CBO_ZERO(r)  .insn i 0x0f, 2, x0, r, 4
#define CBIE_FLUSH 0x10
#define CBIE_INVAL 0x30
#define CBCFE 0x40
#define CBZE 0x80
main:
    lla s0, block
    /* Always allowed in M. */
    csrw MENVCFG, zero
    csrw SENVCFG, zero
    call fill
    addi a0, s0, 64 + 5               /* any address in the block */
    CBO_ZERO(a0)
    li a2, 0x5a5a5a5a5a5a5a5a
    ld a1, 56(s0)
    EXPECT_REG(a1, a2)
    ld a1, 64(s0)
    EXPECT(a1, 0)
    ld a1, 120(s0)
    EXPECT(a1, 0)
    ld a1, 128(s0)
    EXPECT_REG(a1, a2)
    CBO_CLEAN(a0)
    CBO_FLUSH(a0)
    CBO_INVAL(a0)
    ld a1, 128(s0)
    EXPECT_REG(a1, a2)
    /* Lower modes need the enables: menvcfg for S; both for U. */
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, CBO_ZERO(a0))
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, CBO_CLEAN(a0))
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, CBO_FLUSH(a0))
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, CBO_INVAL(a0))
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, CBO_ZERO(a0))
    li a1, CBZE
    csrw MENVCFG, a1
    EXPECT_CSR_BITS(MENVCFG, 0xf0, CBZE)
    EXPECT_OK_IN(S_MODE, CBO_ZERO(a0))
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, CBO_ZERO(a0))
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, CBO_CLEAN(a0))
    csrw SENVCFG, a1
    EXPECT_OK_IN(U_MODE, CBO_ZERO(a0))
    csrw MENVCFG, zero
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, CBO_ZERO(a0))
    li a1, CBCFE
    csrw MENVCFG, a1
    csrw SENVCFG, zero
    EXPECT_OK_IN(S_MODE, CBO_CLEAN(a0))
    EXPECT_OK_IN(S_MODE, CBO_FLUSH(a0))
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, CBO_INVAL(a0))
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, CBO_CLEAN(a0))
    csrw SENVCFG, a1
    EXPECT_OK_IN(U_MODE, CBO_CLEAN(a0))
    EXPECT_OK_IN(U_MODE, CBO_FLUSH(a0))
    li a1, CBIE_FLUSH
    csrw MENVCFG, a1
    EXPECT_OK_IN(S_MODE, CBO_INVAL(a0))
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, CBO_INVAL(a0))
    csrw SENVCFG, a1
    EXPECT_OK_IN(U_MODE, CBO_INVAL(a0))
    li a1, CBIE_INVAL
    csrw MENVCFG, a1
    EXPECT_CSR_BITS(MENVCFG, 0x30, CBIE_INVAL)
    csrw SENVCFG, a1
    EXPECT_OK_IN(U_MODE, CBO_INVAL(a0))
    li a1, 0x20                       /* reserved: never shows */
    csrw MENVCFG, a1
    csrr a1, MENVCFG
    andi a1, a1, 0x30
#ifndef ORACLE_QEMU /* stores it as it is */
    EXPECT_NOT(a1, 0x20)
#endif
    /* Rights: cbo.zero is a store; the others need any of R, W (X): faults are store faults. */
    li a1, CBZE | CBCFE | CBIE_INVAL
    csrw MENVCFG, a1
    csrw SENVCFG, a1
    lla a3, table
    li a2, (0x80000000 >> 2) | 0xcf
    sd a2, 16(a3)
    li a2, (0x80000000 >> 2) | 0xc3   /* 0x40000000: read-only view */
    sd a2, 8(a3)
    srli a3, a3, 12
    li a2, 8 << 60
    or a3, a3, a2
    csrw satp, a3
    sfence.vma
    li a4, 0x40000000
    sub a4, s0, a4                    /* block, read-only */
    addi a5, a4, 3
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, CBO_ZERO(a5))
#ifndef ORACLE_QEMU /* gives the block's first byte; the manual wants rs1 */
    EXPECT_TVAL_REG(a5)
#endif
    EXPECT_OK_AS(S_MODE, CBO_CLEAN(a5))
    EXPECT_OK_AS(S_MODE, CBO_FLUSH(a5))
    li a5, 0x10000000
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, CBO_CLEAN(a5))
    EXPECT_TVAL_REG(a5)
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, CBO_ZERO(a5))
    csrw satp, zero
    sfence.vma
    li a5, 0x40
    EXPECT_TRAP(C_STORE, CBO_ZERO(a5))
    /* Zeroing code: an illegal instruction is what then runs. */
    lla a0, code
    jalr a0
    CBO_ZERO(a0)
    fence.i
    LINE
    lla s10, 1f
    jalr a0
    j fail_no_trap
1:  EXPECT_CAUSE(C_ILLEGAL)
    EXPECT_EPC_REG(a0)
    j pass
fill:
    li a2, 0x5a5a5a5a5a5a5a5a
    mv a0, s0
    li a1, 32
1:  sd a2, 0(a0)
    addi a0, a0, 8
    addi a1, a1, -1
    bnez a1, 1b
    ret
    .balign 64
code:
    ret
    .balign 64
    nop
    .section .bss
    .balign 4096
table: .skip 4096
block: .skip 4096
