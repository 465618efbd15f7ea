/* Traps, delegation and returns (Privileged ISA 3.1.6, 3.1.8, 3.1.14-16, 3.3, 4.1). */
#include "priv.inc"
#define S_RESET lla t4, s_info; li t5, -1; sd t5, 0(t4); sd t5, 8(t4); sd t5, 16(t4)
#define EXPECT_S(off, val) LINE; lla t5, s_info; ld t5, off(t5); li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_S_REG(off, reg) LINE; lla t5, s_info; ld t5, off(t5); mv t6, reg; beq t5, t6, 9f; j fail; 9:
#define EXPECT_S_BITS(off, mask, val) LINE; lla t5, s_info; ld t5, off(t5); li t6, mask; \
    and t5, t5, t6; li t6, val; beq t5, t6, 9f; j fail; 9:
main:
    /* ecall from each mode; mepc is its own address, mtval 0. */
    EXPECT_TRAP(C_ECALL_M, ecall)
    EXPECT_TVAL(0)
    EXPECT_STATUS_BITS(MSTATUS_MPP, MSTATUS_MPP)
    EXPECT_TRAP_IN(S_MODE, C_ECALL_S, nop)
    EXPECT_STATUS_BITS(MSTATUS_MPP, 1 << 11)
    EXPECT_TRAP_IN(U_MODE, C_ECALL_U, nop)
    EXPECT_STATUS_BITS(MSTATUS_MPP, 0)
    /* ebreak, both sizes. mtval may be 0 or the address. */
    EXPECT_TRAP(C_BREAK, .option push; .option norvc; ebreak; .option pop)
    EXPECT_TRAP(C_BREAK, c.ebreak)
    EXPECT_TRAP_IN(U_MODE, C_BREAK, ebreak)
    /* An illegal instruction's bits are in mtval (or 0). */
    EXPECT_TRAP(C_ILLEGAL, .half 0)
    EXPECT_TVAL(0)
    EXPECT_TRAP(C_ILLEGAL, .half 0xffff; .half 0xffff)
    EXPECT_TRAP(C_ILLEGAL, .half 0x1057; .half 0x0000)  /* vector, without V */
    EXPECT_TVAL_INSN(0x1057)
    EXPECT_TRAP(C_ILLEGAL, csrw mvendorid, a0)
    EXPECT_TVAL_INSN(0xf1151073)

    /* mret: MPP, MPIE, MIE. MPP = M keeps MPRV; a lower one clears it. */
    li a0, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP
    csrc mstatus, a0
    li a0, MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_MPRV
    csrs mstatus, a0
    lla a1, 1f
    csrw mepc, a1
    mret
1:  EXPECT_CSR_BITS(mstatus, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP, MSTATUS_MIE | MSTATUS_MPIE)
    EXPECT_CSR_BITS(mstatus, MSTATUS_MPRV, MSTATUS_MPRV)
    li a0, MSTATUS_MIE | MSTATUS_MPIE | MSTATUS_MPP
    csrc mstatus, a0
    li a0, MSTATUS_MPP
    csrs mstatus, a0                /* MPRV still set, MPP = M: no effect on data */
    lla a1, 2f
    csrw mepc, a1
    li a0, MSTATUS_MPP
    csrc mstatus, a0
    li a0, 1 << 11
    csrs mstatus, a0                /* to S: MPRV must go */
    li s11, __LINE__
    lla s10, 3f
    mret
2:  ecall
3:  EXPECT_CAUSE(C_ECALL_S)
    EXPECT_STATUS_BITS(MSTATUS_MPRV | MSTATUS_MPIE | MSTATUS_MIE, 0)
    /* A trap saves MIE in MPIE and clears MIE. */
    csrsi mstatus, MSTATUS_MIE
    EXPECT_TRAP(C_ECALL_M, ecall)
    EXPECT_STATUS_BITS(MSTATUS_MIE | MSTATUS_MPIE, MSTATUS_MPIE)
    csrci mstatus, MSTATUS_MIE
    EXPECT_TRAP(C_ECALL_M, ecall)
    EXPECT_STATUS_BITS(MSTATUS_MIE | MSTATUS_MPIE, 0)

    /* sret from M and S: SPP, SPIE, SIE. */
    li a0, MSTATUS_SPP | MSTATUS_SIE
    csrc mstatus, a0
    li a0, MSTATUS_SPIE
    csrs mstatus, a0
    lla a1, 4f
    csrw sepc, a1
    lla s10, 5f
    sret                            /* to U */
4:  ecall
5:  EXPECT_CAUSE(C_ECALL_U)
    EXPECT_STATUS_BITS(MSTATUS_SPP | MSTATUS_SIE | MSTATUS_SPIE, MSTATUS_SIE | MSTATUS_SPIE)
    li a0, MSTATUS_SPIE
    csrc mstatus, a0
    li a0, MSTATUS_SPP | MSTATUS_MPRV
    csrs mstatus, a0
    lla a1, 6f
    csrw sepc, a1
    lla s10, 8f
    LINE
    sret                            /* to S; also clears MPRV */
6:  ecall
8:  EXPECT_CAUSE(C_ECALL_S)
    EXPECT_STATUS_BITS(MSTATUS_SPP | MSTATUS_SIE | MSTATUS_SPIE | MSTATUS_MPRV, MSTATUS_SPIE)
    li a0, MSTATUS_SIE
    csrc mstatus, a0
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, sret)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, mret)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, mret)
    /* TSR, TW. */
    li a0, MSTATUS_TSR
    csrs mstatus, a0
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, sret)
    csrc mstatus, a0
    li a0, MSTATUS_TW
    csrs mstatus, a0
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, wfi)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, wfi)
    csrc mstatus, a0

    /* Jumps and branches: with C any even target is fine; bit 0 of jalr is dropped. */
    lla a1, 10f + 1
    jalr a2, 0(a1)
    j fail
    .balign 4
    c.nop
10: lla a3, 10b
    EXPECT_BITS(a3, 3, 2)

    /* Fetch from nowhere: mepc and mtval are the target; the link register was written. */
    li a1, 0x40
    LINE
    lla s10, 11f
    li a2, 0
    .option push
    .option norvc
    jalr a2, 0(a1)
11:
    .option pop
    EXPECT_CAUSE(C_FETCH)
    EXPECT_EPC_REG(a1)
    EXPECT_TVAL_REG(a1)
    lla a3, 11b
    EXPECT_REG(a2, a3)

    /* Loads and stores to nowhere: no register changed, mtval is the address. */
    li a1, 0x48
    li a2, 0x1234
    EXPECT_TRAP(C_LOAD, ld a2, 3(a1))
    EXPECT(a2, 0x1234)
    li a3, 0x4b
    EXPECT_TVAL_REG(a3)
    EXPECT_TRAP(C_LOAD, lbu a1, -1(a1))    /* rd is the base */
    EXPECT(a1, 0x48)
    EXPECT_TRAP(C_STORE, sb a2, 0(a1))
    EXPECT_TVAL_REG(a1)
    EXPECT_TRAP(C_STORE, amoadd.w a2, a2, (a1))
    EXPECT(a2, 0x1234)
    EXPECT_TVAL_REG(a1)
    EXPECT_TRAP(C_LOAD, lr.w a2, (a1))
    li a0, MSTATUS_FS
    csrs mstatus, a0
    EXPECT_TRAP(C_LOAD, fld f1, 0(a1))
    EXPECT_TRAP(C_STORE, fsw f1, 0(a1))
    EXPECT_TRAP(C_LOAD, c.ld a2, 0(a1))
    EXPECT_TRAP(C_STORE, c.sw a2, 4(a1))
    li a3, 0x4c
    EXPECT_TVAL_REG(a3)

    /* Delegation: from U and S to S; never downwards from M. */
    lla a0, s_trap
    csrw stvec, a0
    li a0, 0xb1ff & ~0x100
    csrw medeleg, a0
    S_RESET
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, ebreak)
    EXPECT_S(0, C_BREAK)
    EXPECT_S_BITS(24, MSTATUS_SPP | MSTATUS_SIE, 0)
    S_RESET
    EXPECT_TRAP_IN(S_MODE, C_ECALL_S, c.ebreak)
    EXPECT_S(0, C_BREAK)
    EXPECT_S_BITS(24, MSTATUS_SPP, MSTATUS_SPP)
    S_RESET
    li a1, 0x48
    li a3, 0x50
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: ld a2, 8(a1))
    EXPECT_S(0, C_LOAD)
    EXPECT_S_REG(16, a3)
    lla a4, 77b
    EXPECT_S_REG(8, a4)
    S_RESET
    EXPECT_TRAP_IN(S_MODE, C_ECALL_S, csrr a2, mscratch)
    EXPECT_S(0, C_ILLEGAL)
    S_RESET
    EXPECT_TRAP(C_BREAK, c.ebreak)          /* from M: to M */
    EXPECT_S(0, -1)
    EXPECT_TRAP(C_LOAD, ld a2, 0(a1))
    EXPECT_S(0, -1)
    /* SIE goes to SPIE on a delegated trap; M's bits stay. */
    csrsi mstatus, MSTATUS_SIE
    S_RESET
    EXPECT_TRAP_IN(S_MODE, C_ECALL_S, c.ebreak)
    EXPECT_S_BITS(24, MSTATUS_SPP | MSTATUS_SIE | MSTATUS_SPIE, MSTATUS_SPP | MSTATUS_SPIE)
    csrci mstatus, MSTATUS_SIE
    /* ecall from U, delegated. */
    li a0, 0x100
    csrw medeleg, a0
    S_RESET
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, ecall)
    EXPECT_S(0, C_ECALL_U)
    EXPECT_S(16, 0)
    S_RESET
    EXPECT_TRAP_IN(U_MODE, C_BREAK, ebreak)   /* not delegated now */
    EXPECT_S(0, -1)
    /* stvec vectored: exceptions go to its base. */
    lla a0, s_trap + 1
    csrw stvec, a0
    S_RESET
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, ecall)
    EXPECT_S(0, C_ECALL_U)
    csrw medeleg, zero
    /* The same for mtvec. */
    csrr s0, mtvec
    ori a0, s0, 1
    csrw mtvec, a0
    EXPECT_TRAP(C_BREAK, c.ebreak)
    csrw mtvec, s0

    /* FS off: every FP instruction and CSR is illegal, in each mode; state turns dirty when written. */
    li a0, MSTATUS_FS
    csrc mstatus, a0
    EXPECT_TRAP(C_ILLEGAL, fadd.s f0, f0, f0)
    EXPECT_TRAP(C_ILLEGAL, fmv.x.w a0, f0)
    EXPECT_TRAP(C_ILLEGAL, fld f0, 0(sp))
    EXPECT_TRAP(C_ILLEGAL, fsw f0, 0(sp))
    EXPECT_TRAP(C_ILLEGAL, c.fldsp f0, 0(sp))
    EXPECT_TRAP(C_ILLEGAL, csrr a0, fcsr)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, frm)
    EXPECT_TRAP(C_ILLEGAL, csrwi fflags, 0)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, fflags)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, fcvt.d.w f0, zero)
    /* initial -> dirty */
    li a0, MSTATUS_FS
    csrc mstatus, a0
    li a1, 0x2000
    csrs mstatus, a1
    fmv.x.w a2, f0                  /* reading may leave it */
    fmv.w.x f0, zero
    EXPECT_CSR_BITS(mstatus, 0x8000000000006000, 0x8000000000006000)
    csrc mstatus, a0
    csrs mstatus, a1
    csrwi frm, 0
    EXPECT_CSR_BITS(mstatus, 0x8000000000006000, 0x8000000000006000)
    csrc mstatus, a0
    csrs mstatus, a1
    addi a3, sp, -64
    fld f2, 0(a3)
    EXPECT_CSR_BITS(mstatus, 0x8000000000006000, 0x8000000000006000)
    csrc mstatus, a0
    csrs mstatus, a1
    li a4, 1
    fcvt.s.w f1, a4                  /* exact, but f1 written */
    EXPECT_CSR_BITS(mstatus, MSTATUS_FS, MSTATUS_FS)
    fmv.w.x f1, zero
    csrwi fflags, 0
    csrc mstatus, a0
    csrs mstatus, a1
    fdiv.s f3, f1, f1                /* 0/0: NV */
    csrr a5, fflags
    EXPECT(a5, 0x10)
    EXPECT_CSR_BITS(mstatus, MSTATUS_FS, MSTATUS_FS)
    csrwi fflags, 0
    csrc mstatus, a0
    csrs mstatus, a1
    feq.s a5, f1, f1                 /* no flag, no f register: may stay initial */
    li a4, 0x7f800001
    fmv.w.x f4, a4
    csrc mstatus, a0
    csrs mstatus, a1
    feq.s a5, f4, f4                 /* sNaN: NV is set, so dirty */
#ifndef ORACLE_QEMU /* leaves it initial */
    EXPECT_CSR_BITS(mstatus, MSTATUS_FS, MSTATUS_FS)
#endif
    EXPECT_CSR(fflags, 0x10)
    /* Dynamic rounding with an invalid frm, and reserved static modes. */
    csrwi frm, 5
    EXPECT_TRAP(C_ILLEGAL, fadd.s f0, f0, f0)
    EXPECT_TRAP(C_ILLEGAL, fcvt.w.d a0, f0)
    fadd.s f0, f0, f0, rne
    fsgnj.s f0, f0, f0
    csrwi frm, 7
    EXPECT_TRAP(C_ILLEGAL, fdiv.d f0, f0, f0)
    csrwi frm, 0
    EXPECT_TRAP(C_ILLEGAL, .word 0x00005053)   /* fadd.s rm=5 */
    EXPECT_TRAP(C_ILLEGAL, .word 0x00006053)   /* fadd.s rm=6 */
    j pass

    .balign 4
s_trap:
    lla t5, s_info
    csrr t4, scause
    sd t4, 0(t5)
    csrr t4, sepc
    sd t4, 8(t5)
    csrr t4, stval
    sd t4, 16(t5)
    csrr t4, sstatus
    sd t4, 24(t5)
    ecall

    .section .data
    .balign 8
s_info: .dword 0, 0, 0, 0
