/* Counters: mcycle, minstret, inhibit, enables, time; hpm (Privileged ISA 3.1.10-12; Zicntr, Zihpm). */
#include "priv.inc"
main:
    li a0, -1
    csrw mcounteren, a0
    csrw scounteren, a0
    csrw mcountinhibit, zero
    /* minstret counts each instruction once. The reads themselves and what lies between. */
    csrr a1, minstret
    csrr a2, minstret
    sub a3, a2, a1
    EXPECT(a3, 1)
    csrr a1, minstret
    nop
    c.nop
    nop
    csrr a2, minstret
    sub a3, a2, a1
    EXPECT(a3, 4)
    csrr a1, instret
    li a4, 10
1:  addi a4, a4, -1
    bnez a4, 1b
    csrr a2, instret
    sub a3, a2, a1
    EXPECT(a3, 22)
    /* A write takes effect for the instruction after it: the write itself is not counted. */
#ifndef ORACLE_QEMU /* one too many */
    li a0, 1000
    csrw minstret, a0
    csrr a1, minstret
    EXPECT(a1, 1000)
    li a0, -1
    csrw minstret, a0
    nop
    csrr a1, minstret
    EXPECT(a1, 0)
#endif
    /* An instruction that traps is not retired; the handler's are (14 to there, see priv.inc). */
    csrr a1, minstret
    LINE
    lla s10, 2f
    c.ebreak
2:  csrr a2, minstret
    csrr a3, minstret
    LINE
    lla s10, 3f
    ecall
3:  csrr a4, minstret
    sub a5, a4, a3
    sub a6, a2, a1
    EXPECT_REG(a5, a6)
    /* mcycle moves; writes stick. */
    csrr a1, mcycle
    csrr a2, mcycle
    LINE
    bltu a1, a2, 4f
    j fail
4:  li a0, 1 << 60
    csrw mcycle, a0
    csrr a1, mcycle
    LINE
    bgeu a1, a0, 5f
    j fail
5:  csrr a1, cycle
    csrr a2, mcycle
    LINE
    bgeu a2, a1, 6f
    j fail
6:
    /* Inhibit. */
    li a0, 5
    csrw mcountinhibit, a0
    csrr a1, minstret
    csrr a3, mcycle
    nop
    nop
    csrr a2, minstret
    csrr a4, mcycle
    EXPECT_REG(a1, a2)
    EXPECT_REG(a3, a4)
    li a0, 77
    csrw minstret, a0
    nop
    csrr a1, minstret
    EXPECT(a1, 77)
    csrw mcountinhibit, zero
    csrr a1, minstret
    csrr a2, minstret
    LINE
    bltu a1, a2, 7f
    j fail
7:  /* Enables: M's for S; M's and S's for U. */
    csrw mcounteren, zero
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, cycle)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, time)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, instret)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, hpmcounter3)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, cycle)
    csrr a0, cycle
    csrr a0, time
    li a0, 1
    csrw mcounteren, a0
    EXPECT_OK_IN(S_MODE, csrr a0, cycle)
    EXPECT_OK_IN(U_MODE, csrr a0, cycle)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, instret)
    li a0, 6
    csrw mcounteren, a0
    li a0, 2
    csrw scounteren, a0
    EXPECT_OK_IN(S_MODE, csrr a0, instret)
    EXPECT_OK_IN(U_MODE, csrr a0, time)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, instret)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, cycle)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrw instret, zero)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, minstret)
    /* Programmable counters: there, and whatever they count, an unused one stands still. */
    csrw 0x323, zero
    csrw 0xb03, zero
    csrr a0, 0xb03
    EXPECT(a0, 0)
    nop
    csrr a0, hpmcounter3
    EXPECT(a0, 0)
    j pass
