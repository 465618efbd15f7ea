/* The APLIC with harts that have no IMSIC, and Smaia, Ssaia (RISC-V AIA 1.0, chapters 4 and 5): `virt,aia=aplic`. */
#include "priv.inc"
#include "aia.inc"
#define SOURCE 60                   /* no device has it */
#define PRIO   5
main:
    li s0, APLIC_M
    li s1, APLIC_S
    li s2, CLINT_MTIMECMP
    li a0, -1
    sd a0, 0(s2)

    /* A detached source at M level: software makes it pending. */
    AIA_W(s0, SOURCECFG(SOURCE), 1)
    AIA_W(s0, TARGET(SOURCE), PRIO)
    AIA_W(s0, SETIENUM, SOURCE)
    AIA_W(s0, IDELIVERY, 1)
    AIA_W(s0, DOMAINCFG, 0x100)
    EXPECT_CSR_BITS(mip, 0x800, 0)
    EXPECT_CSR(MTOPI, 0)
    AIA_W(s0, SETIPNUM, SOURCE)
    EXPECT_CSR_BITS(mip, 0x800, 0x800)
    EXPECT_CSR(MTOPI, 0)            /* not enabled in mie */
    li a0, 0x800
    csrw mie, a0
    csrr a0, MTOPI
    srli a0, a0, 16
    EXPECT(a0, 11)
#ifndef ORACLE_QEMU                 /* QEMU 10 leaves the controller's number out */
    EXPECT_CSR(MTOPI, 11 << 16 | PRIO)
#endif
    AIA_R(a0, s0, TOPI)
    EXPECT(a0, SOURCE << 16 | PRIO)
    /* Taken, claimed, gone. */
    LINE
    lla s10, 1f
    csrsi mstatus, MSTATUS_MIE
    nop
    nop
    j fail_no_trap
1:  EXPECT_CAUSE(1 << 63 | 11)
    AIA_R(a0, s0, CLAIMI)
    EXPECT(a0, SOURCE << 16 | PRIO)
    EXPECT_CSR_BITS(mip, 0x800, 0)
    EXPECT_CSR(MTOPI, 0)
    AIA_R(a0, s0, CLAIMI)
    EXPECT(a0, 0)
    /* Masked by the threshold, which only smaller numbers pass. */
    AIA_W(s0, SETIPNUM_LE, SOURCE)
    AIA_W(s0, ITHRESHOLD, PRIO)
    EXPECT_CSR_BITS(mip, 0x800, 0)
    AIA_W(s0, ITHRESHOLD, PRIO + 1)
    EXPECT_CSR_BITS(mip, 0x800, 0x800)

    /* A timer interrupt with a smaller number comes first; without one, after. */
    sd zero, 0(s2)
    li a0, 0x880
    csrw mie, a0
    csrr a0, MTOPI
    srli a0, a0, 16
    EXPECT(a0, 11)
    li a0, 0x30
    csrw MISELECT, a0
    li a0, 1 << 56
    csrw MIREG, a0
    EXPECT_CSR(MIREG, 1 << 56)
    EXPECT_CSR(MTOPI, 7 << 16 | 1)
    EXPECT_TRAP_IN(U_MODE, 1 << 63 | 7, 77: nop; j 77b)
    csrw MIREG, zero
    EXPECT_TRAP_IN(U_MODE, 1 << 63 | 11, 77: nop; j 77b)
    li a0, -1
    sd a0, 0(s2)
    csrw mie, zero
    li a0, 0x31                     /* odd ones are for RV32 */
    csrw MISELECT, a0
    EXPECT_TRAP(C_ILLEGAL, csrr a0, MIREG)
    li a0, 0x70                     /* there are no interrupt files */
    csrw MISELECT, a0
    EXPECT_TRAP(C_ILLEGAL, csrr a0, MIREG)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, MTOPEI)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, STOPEI)

    /* Handed down: the root forgets it, the child begins anew, and S is interrupted. */
    AIA_W(s0, SOURCECFG(SOURCE), 0x400)
    EXPECT_CSR_BITS(mip, 0x800, 0)
    AIA_R(a0, s0, TOPI)
    EXPECT(a0, 0)
    AIA_W(s1, SOURCECFG(SOURCE), 1)
    AIA_W(s1, TARGET(SOURCE), PRIO)
    AIA_W(s1, SETIENUM, SOURCE)
    AIA_W(s1, IDELIVERY, 1)
    AIA_W(s1, DOMAINCFG, 0x100)
    EXPECT_CSR_BITS(mip, 0xa00, 0)
    AIA_W(s1, SETIPNUM, SOURCE)
    EXPECT_CSR_BITS(mip, 0xa00, 0x200)
    li a0, 0x200
    csrw mideleg, a0
    csrw mie, a0
    lla a0, svec
    csrw stvec, a0
    csrr a0, STOPI
    srli a0, a0, 16
    EXPECT(a0, 9)
    EXPECT_CSR(MTOPI, 0)
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT_CSR(scause, 1 << 63 | 9)
    AIA_R(a0, s1, CLAIMI)
    EXPECT(a0, SOURCE << 16 | PRIO)
    EXPECT_CSR(STOPI, 0)
    /* A spurious one, for a test. */
    AIA_W(s1, IFORCE, 1)
    EXPECT_CSR_BITS(mip, 0x200, 0x200)
    AIA_R(a0, s1, CLAIMI)
    EXPECT(a0, 0)
    EXPECT_CSR_BITS(mip, 0x200, 0)

    /* Virtual interrupts: S has what M gives it. */
    csrw mideleg, zero
    csrw mie, zero
    li a0, 0x200
    csrw MVIEN, a0
    EXPECT_CSR(MVIEN, 0x200)
    csrw MVIP, a0
    EXPECT_CSR_BITS(mip, 0x200, 0)
    EXPECT_CSR_BITS(sip, 0x200, 0x200)
    csrw sie, a0
    EXPECT_CSR(sie, 0x200)
    EXPECT_CSR_BITS(mie, 0x200, 0)
#ifndef ORACLE_QEMU                 /* QEMU 10 does not take it */
    csrw scause, zero
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT_CSR(scause, 1 << 63 | 9)
#endif
    csrw MVIP, zero
    EXPECT_CSR(STOPI, 0)
    csrw MVIEN, zero
    j pass

    .balign 4
svec:
    ecall
