/* CSR existence, access rights and WARL behaviour (Privileged ISA 20240411, chapters 2 and 3). */
#include "priv.inc"
main:
    /* Read-only identification: any value, writes trap. */
    csrr a0, mvendorid
    csrr a0, marchid
    csrr a0, mimpid
    csrr a0, mhartid
    EXPECT(a0, 0)
    csrr a0, mconfigptr
    EXPECT_TRAP(C_ILLEGAL, csrw mvendorid, zero)
    EXPECT_TRAP(C_ILLEGAL, csrw mhartid, zero)
    EXPECT_TRAP(C_ILLEGAL, csrrwi zero, mimpid, 0)
    EXPECT_TRAP(C_ILLEGAL, csrrsi zero, marchid, 1)
    csrrsi a0, marchid, 0           /* no write: allowed */
    csrrs a0, marchid, zero
    csrrci a0, marchid, 0
    /* A register operand other than x0 is a write, even of zero. */
    li a1, 0
    EXPECT_TRAP(C_ILLEGAL, csrrs a0, marchid, a1)
    EXPECT_TRAP(C_ILLEGAL, csrrc a0, marchid, a1)

    /* misa: MXL 2, I M A F D C S U. */
    csrr a0, misa
    srli a1, a0, 62
    EXPECT(a1, 2)
    EXPECT_BITS(a0, 0x14112d, 0x14112d)
    csrw misa, zero                 /* WARL: may be ignored, must stay legal */
    csrr a1, misa
    srli a1, a1, 62
    EXPECT(a1, 2)
    csrw misa, a0
    EXPECT_CSR_BITS(misa, 0x100, 0x100)

    /* Not there. */
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x5c0)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x0ff)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x004)      /* uie of the old N extension */
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x8ff)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0xc80)      /* cycleh: RV32 only */
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0xb80)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x310)      /* mstatush: RV32 only */
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x3a1)      /* odd pmpcfg: RV32 only */
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x3a3)
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x7b0)      /* dcsr outside debug mode */
    EXPECT_TRAP(C_ILLEGAL, csrr a0, 0x7b1)
    EXPECT_TRAP(C_ILLEGAL, csrw 0xc00, zero)    /* cycle is read-only */

    /* Privilege of the access. */
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, mstatus)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, mhartid)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrw mscratch, a0)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, sstatus)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, mstatus)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrw sscratch, a0)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, csrr a0, satp)
    EXPECT_OK_IN(S_MODE, csrr a0, sstatus)
    EXPECT_OK_IN(S_MODE, csrw sscratch, a0)

    /* mscratch, sscratch: all bits. */
    li a0, 0x123456789abcdef0
    csrw mscratch, a0
    EXPECT_CSR(mscratch, 0x123456789abcdef0)
    li a1, -1
    csrrw a2, mscratch, a1
    EXPECT(a2, 0x123456789abcdef0)
    EXPECT_CSR(mscratch, -1)
    csrrci a2, mscratch, 31
    EXPECT(a2, -1)
    EXPECT_CSR(mscratch, -32)
    csrrsi a2, mscratch, 5
    EXPECT_CSR(mscratch, -27)
    csrrwi a2, mscratch, 17
    EXPECT(a2, -27)
    EXPECT_CSR(mscratch, 17)
    li a0, 0x12
    csrrs a0, mscratch, a0           /* rd == rs1 */
    EXPECT(a0, 17)
    EXPECT_CSR(mscratch, 0x13)
    li a0, 3
    csrrc a0, mscratch, a0
    EXPECT(a0, 0x13)
    EXPECT_CSR(mscratch, 0x10)
    li a0, 77
    csrrw a0, mscratch, a0
    EXPECT(a0, 0x10)
    EXPECT_CSR(mscratch, 77)
    csrw sscratch, a1
    EXPECT_CSR(sscratch, -1)

    /* mepc, sepc: bit 0 is always 0; with C, bit 1 is kept. */
#ifndef ORACLE_QEMU /* 10.0 keeps bit 0 */
    csrw mepc, a1
    EXPECT_CSR_BITS(mepc, 0xffff, 0xfffe)
    csrw sepc, a1
    EXPECT_CSR_BITS(sepc, 0xffff, 0xfffe)
#endif
    li a0, 0x80001002
    csrw mepc, a0
    EXPECT_CSR(mepc, 0x80001002)
    csrw mepc, zero
    /* mcause, scause: interrupt bit and code. */
    li a0, 0x8000000000000007
    csrw mcause, a0
    EXPECT_CSR(mcause, 0x8000000000000007)
    csrw scause, a0
    EXPECT_CSR(scause, 0x8000000000000007)
    li a0, 0x80001003
    csrw mtval, a0
    EXPECT_CSR(mtval, 0x80001003)
    csrw stval, a0
    EXPECT_CSR(stval, 0x80001003)

    /* mtvec, stvec: direct and vectored; a reserved mode never shows. */
    csrr s0, mtvec
    li a0, 0x80002001
    csrw mtvec, a0
    csrr a1, mtvec
    csrw mtvec, s0
    EXPECT(a1, 0x80002001)
    li a0, 0x80002002
    csrw mtvec, a0
    csrr a1, mtvec
    csrw mtvec, s0
    andi a1, a1, 2
    EXPECT(a1, 0)
    li a0, 0x80003001
    csrw stvec, a0
    EXPECT_CSR(stvec, 0x80003001)
    li a0, 0x80003003
    csrw stvec, a0
    EXPECT_CSR_BITS(stvec, 2, 0)
    csrw stvec, zero
    EXPECT_CSR(stvec, 0)

    /* mstatus: MPP never holds 2; UXL, SXL read 2; SD mirrors FS; reserved bits read 0. */
    li a0, MSTATUS_MPP
    csrc mstatus, a0
    li a1, 2 << 11
    csrs mstatus, a1
    EXPECT_CSR_BITS(mstatus, 1 << 12, 0)  /* 2 became a legal value without bit 12, i.e. 0 or 1 */
    csrs mstatus, a0
    EXPECT_CSR_BITS(mstatus, MSTATUS_MPP, MSTATUS_MPP)
    EXPECT_CSR_BITS(mstatus, 0xf << 32, 0xa << 32)
    li a0, MSTATUS_FS
    csrc mstatus, a0
    EXPECT_CSR_BITS(mstatus, 0x8000000000006000, 0)
    csrs mstatus, a0
    EXPECT_CSR_BITS(mstatus, 0x8000000000006000, 0x8000000000006000)
    li a1, 0x2000
    csrc mstatus, a1
    EXPECT_CSR_BITS(mstatus, 0x8000000000006000, 0x4000)
    li a0, 0x5   /* bits 0 and 2 are reserved (WPRI) */
    csrs mstatus, a0
    EXPECT_CSR_BITS(mstatus, 5, 0)
    EXPECT_CSR_BITS(mstatus, 3 << 36, 0)  /* SBE, MBE: little-endian only, or at reset */
    /* sstatus is a window: M-mode bits are hidden, writes do not reach them. */
    li a0, MSTATUS_MPIE
    csrs mstatus, a0
    li a1, -1
    csrc sstatus, a1
    EXPECT_CSR_BITS(mstatus, MSTATUS_MPIE | MSTATUS_MPP, MSTATUS_MPIE | MSTATUS_MPP)
    EXPECT_CSR_BITS(mstatus, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_SPIE, 0)
    li a0, MSTATUS_SUM | MSTATUS_MXR | MSTATUS_SPP | MSTATUS_SPIE | MSTATUS_FS
    csrs sstatus, a0
    EXPECT_CSR_BITS(sstatus, 0x80000000000c6120, 0x80000000000c6120)
    EXPECT_CSR_BITS(sstatus, MSTATUS_MPIE | MSTATUS_MPP | MSTATUS_TVM | MSTATUS_MPRV, 0)
    EXPECT_CSR_BITS(sstatus, 3 << 32, 2 << 32)
    li a0, MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR | MSTATUS_MPRV
    csrs sstatus, a0
    EXPECT_CSR_BITS(mstatus, MSTATUS_TVM | MSTATUS_TW | MSTATUS_TSR | MSTATUS_MPRV, 0)
    li a0, -1
    csrc sstatus, a0

    /* medeleg, mideleg: ecall from M can not be delegated; machine interrupts stay. */
    csrw medeleg, a1
    EXPECT_CSR_BITS(medeleg, 0xb1ff | (1 << 11), 0xb1ff)
    csrw medeleg, zero
    EXPECT_CSR(medeleg, 0)
    csrw mideleg, a1
    EXPECT_CSR_BITS(mideleg, 0xaaa, 0x222)
    csrw mideleg, zero

    /* mie, sie; mip: only the software-writable bits change. */
    csrw mie, a1
    EXPECT_CSR_BITS(mie, 0xfff, 0xaaa)
    EXPECT_CSR(sie, 0)              /* nothing delegated */
    li a0, 0x222
    csrw mideleg, a0
    EXPECT_CSR_BITS(sie, 0xfff, 0x222)
    csrw sie, zero
    EXPECT_CSR_BITS(mie, 0xfff, 0x888)
    csrw mie, zero
    csrw mip, a1
    EXPECT_CSR_BITS(mip, 0x808, 0)  /* MEIP and MSIP follow their wires only */
    EXPECT_CSR_BITS(mip, 0x202, 0x202)
    EXPECT_CSR_BITS(sip, 0x202, 0x202)
    csrw sip, zero                  /* from S only SSIP can be cleared */
    EXPECT_CSR_BITS(mip, 0x202, 0x200)
    csrw mip, zero
    EXPECT_CSR_BITS(mip, 0x202, 0)
    csrw mideleg, zero

    /* satp: an unsupported mode leaves it as it was. */
    li a0, 0x8000000000080123
    csrw satp, a0
    EXPECT_CSR(satp, 0x8000000000080123)
    li a0, 0x3000000000000777
    csrw satp, a0
    EXPECT_CSR(satp, 0x8000000000080123)
    csrw satp, zero

    /* Counter enables. */
    csrw mcounteren, a1
    EXPECT_CSR_BITS(mcounteren, 7, 7)
    csrw scounteren, a1
    EXPECT_CSR_BITS(scounteren, 7, 7)
    csrw mcounteren, zero
    EXPECT_CSR(mcounteren, 0)
    csrw mcountinhibit, a1
    EXPECT_CSR_BITS(mcountinhibit, 7, 5)
    csrw mcountinhibit, zero
    csrr a0, 0xb03                  /* mhpmcounter3 and mhpmevent3 exist, may be zero */
    csrr a0, 0x323
#ifndef ORACLE_QEMU /* has 16 of the 29 */
    csrr a0, 0xb1f
    csrr a0, 0x33f
#endif

    /* senvcfg.FIOM and menvcfg.FIOM. */
    li a0, 1
    csrw MENVCFG, a0
    EXPECT_CSR_BITS(MENVCFG, 1, 1)
    csrw MENVCFG, zero
    csrw SENVCFG, a0
    EXPECT_CSR_BITS(SENVCFG, 1, 1)
    csrw SENVCFG, zero

    /* TVM: satp and sfence.vma trap in S-mode, not in M. */
    li a0, MSTATUS_TVM
    csrs mstatus, a0
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, satp)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrw satp, zero)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, sfence.vma)
    csrr a0, satp
    sfence.vma
    li a0, MSTATUS_TVM
    csrc mstatus, a0
    EXPECT_OK_IN(S_MODE, csrr a0, satp)
    EXPECT_OK_IN(S_MODE, sfence.vma)
    EXPECT_TRAP_IN(U_MODE, C_ILLEGAL, sfence.vma)

    /* No triggers: tselect is absent, or says so through tdata1.type 0 (or a disabled trigger). */
    LINE
    lla s10, 1f
    csrr a0, TSELECT
    li s10, 0
    csrr a0, TDATA1
    li a1, 0
    csrw TDATA1, a1
1:  li s10, 0
    j pass
