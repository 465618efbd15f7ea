/* The seed CSR (Zkr: mseccfg.SSEED, USEED) and state enables (Smstateen: mstateen0). */
#include "priv.inc"
#define MSECCFG 0x747
main:
    /* Only read-write accesses; bits 31:30 tell the state, 2 = ES16 with 16 bits of entropy. */
    csrw MSECCFG, zero
    EXPECT_TRAP(C_ILLEGAL, csrr a0, SEED)
    EXPECT_TRAP(C_ILLEGAL, csrrsi a0, SEED, 0)
    EXPECT_TRAP(C_ILLEGAL, csrrci a0, SEED, 0)
    li s0, 0
    li s1, 1000
    li s2, -1
    li s3, 0
1:  csrrw a0, SEED, zero
    slli a1, a0, 32                   /* a 32-bit register: what is above does not matter */
    srli a1, a1, 62
    li a2, 2
    bne a1, a2, 2f
    slli a0, a0, 48
    srli a0, a0, 48
    or s0, s0, a0
    and s2, s2, a0
    addi s3, s3, 1
2:  addi s1, s1, -1
    bnez s1, 1b
    EXPECT(s0, 0xffff)                /* every bit was one */
    EXPECT(s2, 0)                     /* ... and zero */
    LINE
    li a0, 100
    bgeu s3, a0, 3f
    j fail
3:  csrrwi a0, SEED, 5
    li a1, 3
    csrrs a0, SEED, a1
    /* Lower modes by permission. */
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrrw a0, SEED, zero)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrrw a0, SEED, zero)
    li a0, 1 << 9
    csrw MSECCFG, a0
    EXPECT_CSR_BITS(MSECCFG, 3 << 8, 2 << 8)
    EXPECT_OK_IN(S_MODE, csrrw a0, SEED, zero)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, SEED)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrrw a0, SEED, zero)
    li a0, 1 << 8
    csrw MSECCFG, a0
    EXPECT_OK_IN(U_MODE, csrrw a0, SEED, zero)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrrw a0, SEED, zero)
    csrw MSECCFG, zero
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, MSECCFG)

    /* Smstateen: bit 63 for sstateen0, bit 62 for senvcfg (and menvcfg's henvcfg). */
    csrw MSTATEEN0, zero
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, SSTATEEN0)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, SENVCFG)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrw SENVCFG, zero)
    csrr a0, SENVCFG
    csrr a0, SSTATEEN0
    li a0, 1 << 62
    csrw MSTATEEN0, a0
    EXPECT_CSR_BITS(MSTATEEN0, 3 << 62, 1 << 62)
    EXPECT_OK_IN(S_MODE, csrr a0, SENVCFG)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, SSTATEEN0)
    li a0, 1 << 63
    csrw MSTATEEN0, a0
    EXPECT_OK_IN(S_MODE, csrr a0, SSTATEEN0)
    EXPECT_OK_IN(S_MODE, csrw SSTATEEN0, zero)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, SENVCFG)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, SSTATEEN0)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, MSTATEEN0)
    /* mstateen1-3 and sstateen1-3 exist. */
    csrr a0, 0x30d
    csrr a0, 0x30f
    csrr a0, 0x10d
    csrr a0, 0x10f
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, 0x10d)
    li a0, 1 << 63
    csrw 0x30d, a0
    EXPECT_OK_IN(S_MODE, csrr a0, 0x10d)
    li a0, -1
    csrw MSTATEEN0, a0
    j pass
