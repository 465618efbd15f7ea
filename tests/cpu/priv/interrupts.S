/* Interrupts: CLINT, Sstc, software bits, enables, priority, vectors (Privileged ISA 3.1.9, 3.2, 4.1.3; Sstc). */
#include "priv.inc"
#define IRQ(n) ((1 << 63) | (n))
main:
    lla a0, mvec
    csrw mtvec, a0
    li s0, CLINT_MSIP
    li s1, CLINT_MTIMECMP
    li s2, CLINT_MTIME
    li a0, -1
    sd a0, 0(s1)
    sw zero, 0(s0)
    csrw mcounteren, a0
    csrw scounteren, a0

    /* msip: pending follows the register; only bit 0 is kept. */
    EXPECT_CSR_BITS(mip, 8, 0)
    li a0, -1
    sw a0, 0(s0)
    EXPECT_CSR_BITS(mip, 8, 8)
    lwu a1, 0(s0)
    EXPECT(a1, 1)
    li a0, 8
    csrc mip, a0                    /* not writable */
    EXPECT_CSR_BITS(mip, 8, 8)
    sw zero, 0(s0)
    EXPECT_CSR_BITS(mip, 8, 0)

    /* Enabled in mie but MIE off: no interrupt in M; wfi goes on. */
    li a0, 8
    csrw mie, a0
    li a1, 1
    sw a1, 0(s0)
    wfi
    EXPECT_CSR_BITS(mip, 8, 8)
    /* MIE on: taken, between two instructions. */
    LINE
    lla s10, 1f
    csrsi mstatus, MSTATUS_MIE
    nop
    nop
    j fail_no_trap
1:  EXPECT_CAUSE(IRQ(3))
    EXPECT_TVAL(0)
    EXPECT_STATUS_BITS(MSTATUS_MIE | MSTATUS_MPIE, MSTATUS_MPIE)
    /* In U and S it is taken whatever MIE says. */
    LINE
    lla s10, 2f
    li t4, MSTATUS_MPP | MSTATUS_MPIE
    csrc mstatus, t4
    lla t4, spin
    csrw mepc, t4
    mret
2:  EXPECT_CAUSE(IRQ(3))
    sw zero, 0(s0)
    csrw mie, zero

    /* mtime moves at its own pace and reads whole and in halves; time follows. */
    ld a0, 0(s2)
3:  ld a1, 0(s2)
    beq a0, a1, 3b
    LINE
    bgtu a1, a0, 4f
    j fail
4:  csrr a0, time
    ld a1, 0(s2)
    csrr a2, time
    LINE
    bltu a1, a0, 5f
    bgeu a2, a1, 6f
5:  j fail
6:  lwu a3, 0(s2)
    lwu a4, 4(s2)
    slli a4, a4, 32
    or a3, a3, a4
    LINE
    bgeu a3, a1, 7f
    j fail
7:
    /* mtime can be set; what waits for it follows. */
    li a0, 1 << 40
    sd a0, 0(s1)
    EXPECT_CSR_BITS(mip, 0x80, 0)
    li a1, (1 << 40) + 5
    sd a1, 0(s2)
    ld a2, 0(s2)
    LINE
    bgeu a2, a1, 10f
    j fail
10: csrr a2, time
    LINE
    bgeu a2, a1, 11f
    j fail
11: EXPECT_CSR_BITS(mip, 0x80, 0x80)
    sd zero, 0(s2)
    EXPECT_CSR_BITS(mip, 0x80, 0)
    /* mtimecmp in the past: MTIP at once; writing it into the future clears it. */
    sd zero, 0(s1)
    EXPECT_CSR_BITS(mip, 0x80, 0x80)
    li a0, -1
    sd a0, 0(s1)
    EXPECT_CSR_BITS(mip, 0x80, 0)
    ld a1, 0(s1)
    EXPECT(a1, -1)
    sw zero, 0(s1)                  /* halves */
    ld a1, 0(s1)
    EXPECT(a1, 0xffffffff00000000)
    sw zero, 4(s1)
    EXPECT_CSR_BITS(mip, 0x80, 0x80)
    li a0, -1
    sd a0, 0(s1)
    /* A timer in the near future, waited for in wfi. */
    li a0, 0x80
    csrw mie, a0
    ld a1, 0(s2)
    li a2, 20000                    /* 2 ms */
    add a3, a1, a2
    sd a3, 0(s1)
    LINE
    lla s10, 8f
    csrsi mstatus, MSTATUS_MIE
81: wfi
    j 81b
8:  EXPECT_CAUSE(IRQ(7))
    ld a4, 0(s2)
    LINE
    bgeu a4, a3, 9f
    j fail
9:  li a0, -1
    sd a0, 0(s1)
    csrw mie, zero

    /* Sstc: stimecmp drives STIP once menvcfg.STCE is set; STIP is then read-only. */
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, STIMECMP)
    csrw MENVCFG, zero
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, STIMECMP)
    li a0, 1 << 63
    csrw MENVCFG, a0
    EXPECT_CSR_BITS(MENVCFG, 1 << 63, 1 << 63)
    li a0, -1
    csrw STIMECMP, a0
    EXPECT_CSR(STIMECMP, -1)
    EXPECT_CSR_BITS(mip, 0x20, 0)
    csrw STIMECMP, zero
    EXPECT_CSR_BITS(mip, 0x20, 0x20)
    li a0, 0x20
    csrc mip, a0
    EXPECT_CSR_BITS(mip, 0x20, 0x20)
    li a0, -1
    csrw STIMECMP, a0
    EXPECT_CSR_BITS(mip, 0x20, 0)
    li a0, 0x20
    csrs mip, a0
    EXPECT_CSR_BITS(mip, 0x20, 0)
    EXPECT_OK_IN(S_MODE, csrr a0, STIMECMP)
    li a0, 2
    csrc mcounteren, a0             /* TM gates it in S */
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, STIMECMP)
    csrs mcounteren, a0
    /* delegated, taken in S */
    li a0, 0x222
    csrw mideleg, a0
    csrw mie, a0
    lla a0, svec
    csrw stvec, a0
    csrr a1, time
    li a2, 20000
    add a3, a1, a2
    csrw STIMECMP, a3
    LINE
    csrsi mstatus, MSTATUS_SIE
    lla s10, 12f
    li t4, MSTATUS_MPP | MSTATUS_MPIE
    csrc mstatus, t4
    li t4, 1 << 11
    csrs mstatus, t4
    lla t4, 11f
    csrw mepc, t4
    mret
11: wfi
    j 11b
12: EXPECT_CAUSE(C_ECALL_S)
    EXPECT_CSR(scause, IRQ(5))
    csrr a4, time
    LINE
    bgeu a4, a3, 13f
    j fail
13: li a0, -1
    csrw STIMECMP, a0

    /* SSIP set by M, taken by S only when SIE (in S) or always in U; never in M. */
    csrci mstatus, MSTATUS_SIE
    csrw scause, zero
    li a0, 2
    csrs mip, a0
    csrsi mstatus, MSTATUS_MIE
    nop
    nop
    csrci mstatus, MSTATUS_MIE
    EXPECT_OK_IN(S_MODE, nop; nop)
    EXPECT_CSR(scause, 0)
    csrsi mstatus, MSTATUS_SIE
    EXPECT_TRAP_IN(S_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT_CSR(scause, IRQ(1))
    csrci mstatus, MSTATUS_SIE
    csrw scause, zero
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT_CSR(scause, IRQ(1))
    lla a0, 77b
    csrr a1, sepc
    EXPECT_REG(a1, a0)
    /* S clears it itself through sip. */
    EXPECT_OK_IN(S_MODE, csrci sip, 2)
    EXPECT_CSR_BITS(mip, 2, 0)
    EXPECT_OK_IN(S_MODE, csrsi sip, 2)
    EXPECT_CSR_BITS(mip, 2, 2)
    /* Not delegated: goes to M although S enabled it. */
    csrw mideleg, zero
    csrw scause, zero
    EXPECT_TRAP_IN(U_MODE, IRQ(1), 77: nop; j 77b)
    EXPECT_CSR(scause, 0)
    csrci mip, 2

    /* Priority at M: MEI, MSI, MTI, SEI, SSI, STI. */
    li a0, 1 << 9
    csrs mip, a0                    /* SEIP, by software */
    csrsi mip, 2
    csrw STIMECMP, zero
    sd zero, 0(s1)
    li a1, 1
    sw a1, 0(s0)
    li a0, 0xaaa
    csrw mie, a0
    EXPECT_CSR_BITS(mip, 0xaaa, 0x2aa)
    EXPECT_TRAP_IN(U_MODE, IRQ(3), 77: nop; j 77b)
    sw zero, 0(s0)
    EXPECT_TRAP_IN(U_MODE, IRQ(7), 77: nop; j 77b)
    li a0, -1
    sd a0, 0(s1)
    EXPECT_TRAP_IN(U_MODE, IRQ(9), 77: nop; j 77b)
    li a0, 1 << 9
    csrc mip, a0
    EXPECT_TRAP_IN(U_MODE, IRQ(1), 77: nop; j 77b)
    csrci mip, 2
    EXPECT_TRAP_IN(U_MODE, IRQ(5), 77: nop; j 77b)
    /* A machine interrupt comes before a delegated one of any kind. */
    li a0, 0x222
    csrw mideleg, a0
    sw a1, 0(s0)
    EXPECT_TRAP_IN(U_MODE, IRQ(3), 77: nop; j 77b)
    sw zero, 0(s0)
    csrw scause, zero
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT_CSR(scause, IRQ(5))
    li a0, -1
    csrw STIMECMP, a0
    csrw mie, zero
    csrw mideleg, zero

    /* Vectored mode, M: base + 4 * cause. */
    lla a0, mtable
    ori a0, a0, 1
    csrw mtvec, a0
    li s3, 0
    li a0, 8
    csrw mie, a0
    li a1, 1
    sw a1, 0(s0)
    EXPECT_TRAP_IN(U_MODE, IRQ(3), 77: nop; j 77b)
    EXPECT(s3, 3)
    sw zero, 0(s0)
    sd zero, 0(s1)
    li s3, 0
    li a0, 0x80
    csrw mie, a0
    EXPECT_TRAP_IN(U_MODE, IRQ(7), 77: nop; j 77b)
    EXPECT(s3, 7)
    li a0, -1
    sd a0, 0(s1)
    csrw mie, zero
    /* ... and S. */
    lla a0, stable
    ori a0, a0, 1
    csrw stvec, a0
    li a0, 0x222
    csrw mideleg, a0
    csrw mie, a0
    csrsi mip, 2
    li s3, 0
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT(s3, 21)
    EXPECT_CSR(scause, IRQ(1))
    csrci mip, 2
    /* A disabled source stays pending, wfi with a pending disabled-globally one does not hang. */
    csrw mie, zero
    csrsi mip, 2
    EXPECT_OK_IN(U_MODE, nop; nop)
    li a0, 2
    csrw mie, a0
    EXPECT_OK_IN(S_MODE, wfi; nop)
    /* Interrupts are seen soon after enabling through sie, sstatus and sret, without a loop. */
    lla a0, svec
    csrw stvec, a0
    csrw mie, zero
    csrsi mstatus, MSTATUS_SIE
    csrw scause, zero
    EXPECT_TRAP_IN(S_MODE, C_ECALL_S, csrsi sie, 2; nop; nop; nop; nop; c.ebreak)
    EXPECT_CSR(scause, IRQ(1))
    j pass

    .balign 4
spin:
    nop
    j spin
    .balign 4
svec:
    ecall
    .balign 4
mvec:
    j mtrap
    .balign 256
    .option push
    .option norvc
mtable:
    j mtrap
    j fail
    j fail
    j 3f
    j fail
    j fail
    j fail
    j 7f
    j fail
    j fail
    j fail
    j fail
3:  li s3, 3
    j mtrap
7:  li s3, 7
    j mtrap
    .balign 256
stable:
    j fail
    j 1f
    j fail
    j fail
    j fail
    j fail
1:  li s3, 21
    ecall
    .option pop
