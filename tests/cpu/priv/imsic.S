/* IMSICs: messages of harts to themselves and to each other, and of the APLIC (RISC-V AIA 1.0, chapters 3, 4 and 7):
 * `virt,aia=aplic-imsic`, two harts. */
#define HARTS
#include "priv.inc"
#include "aia.inc"
/* Register sel of the file of this hart's M level, or S level. */
#define M_SET(sel, val) li t5, sel; csrw MISELECT, t5; li t6, val; csrw MIREG, t6
#define S_SET(sel, val) li t5, sel; csrw SISELECT, t5; li t6, val; csrw SIREG, t6
#define M_EXPECT(sel, val) li t5, sel; csrw MISELECT, t5; EXPECT_CSR(MIREG, val)
#define S_EXPECT(sel, val) li t5, sel; csrw SISELECT, t5; EXPECT_CSR(SIREG, val)
#define TOPEI(id) ((id) << 16 | (id))
main:
    li s0, IMSIC_M
    li s1, IMSIC_S
    li s2, APLIC_M
    li s3, 0x1000
    M_SET(0x70, 0)
    M_SET(0x72, 0)
    M_SET(0x80, 0)
    M_SET(0x82, 0)
    M_SET(0xc0, 0)
    M_SET(0xc2, 0)
    csrr a0, mhartid
    bnez a0, other

    /* A file's registers. */
    M_SET(0x70, 1)
    M_EXPECT(0x70, 1)
    M_SET(0xc0, -1)
    M_EXPECT(0xc0, -2)              /* no identity 0 */
    M_SET(0xc6, -1)
    M_EXPECT(0xc6, -1)              /* up to 255 */
#ifndef ORACLE_QEMU                 /* QEMU 10 has no registers beyond */
    M_SET(0xc8, -1)
    M_EXPECT(0xc8, 0)
#endif
    M_SET(0xc6, 0)
    li a0, 0x81
    csrw MISELECT, a0
    EXPECT_TRAP(C_ILLEGAL, csrr a0, MIREG)
#ifndef ORACLE_QEMU                 /* which traps */
    li a0, 0x71
    csrw MISELECT, a0
    EXPECT_CSR(MIREG, 0)
#endif

    /* Messages to itself: pending, in order, claimed by a write. */
    EXPECT_CSR_BITS(mip, 0x800, 0)
    li a0, 9
    sw a0, 0(s0)
    li a0, 3
    sw a0, 0(s0)
    M_EXPECT(0x80, 0x208)
    EXPECT_CSR_BITS(mip, 0x800, 0x800)
    EXPECT_CSR(MTOPEI, TOPEI(3))
    EXPECT_CSR(MTOPEI, TOPEI(3))    /* reading claims nothing */
    M_SET(0x72, 3)                  /* the threshold: only what is below */
    EXPECT_CSR(MTOPEI, 0)
    EXPECT_CSR_BITS(mip, 0x800, 0)
    M_SET(0x72, 0)
    li a0, 0x800
    csrw mie, a0
    LINE
    lla s10, 1f
    csrsi mstatus, MSTATUS_MIE
    nop
    nop
    j fail_no_trap
1:  EXPECT_CAUSE(1 << 63 | 11)
#ifndef ORACLE_QEMU                 /* QEMU 10 leaves the controller's number out */
    EXPECT_CSR(MTOPI, 11 << 16 | 3)
#endif
    csrrw a0, MTOPEI, zero
    EXPECT(a0, TOPEI(3))
    csrrw a0, MTOPEI, zero
    EXPECT(a0, TOPEI(9))
    csrrw a0, MTOPEI, zero
    EXPECT(a0, 0)
    EXPECT_CSR_BITS(mip, 0x800, 0)
    /* What is no identity is ignored. */
    sw zero, 0(s0)
    li a0, 256
    sw a0, 0(s0)
    M_EXPECT(0x80, 0)
    lwu a0, 0(s0)
    EXPECT(a0, 0)

    /* S has a file of its own. */
    S_SET(0x70, 1)
    S_SET(0xc0, 1 << 7)
    li a0, 7
    sw a0, 0(s1)
    M_EXPECT(0x80, 0)
    S_EXPECT(0x80, 1 << 7)
    EXPECT_CSR_BITS(mip, 0xa00, 0x200)
    li a0, 0x200
    csrw mideleg, a0
    csrw mie, a0
    lla a0, svec
    csrw stvec, a0
    li a0, 1 << 63 | 7 << 58        /* mstateen0: S may */
    csrw MSTATEEN0, a0
    csrw scause, zero
    EXPECT_TRAP_IN(U_MODE, C_ECALL_S, 77: nop; j 77b)
    EXPECT_CSR(scause, 1 << 63 | 9)
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a0, MTOPEI)
    li a1, 0
    EXPECT_OK_IN(S_MODE, csrrw a1, STOPEI, zero)
    EXPECT(a1, TOPEI(7))
    EXPECT_OK_IN(S_MODE, csrr a1, SIREG)
    EXPECT(a1, 0)
    li a0, 1 << 63 | 3 << 59        /* without the file */
    csrw MSTATEEN0, a0
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a1, STOPEI)
#ifndef ORACLE_QEMU                 /* QEMU 10 lets it through here */
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a1, SIREG)
#endif
    EXPECT_OK_IN(S_MODE, csrr a1, STOPI)
    li a0, 1 << 63 | 7 << 58
    csrw MSTATEEN0, a0
    li a0, 0x200                    /* M keeps the external interrupt to itself */
    csrw MVIEN, a0
    EXPECT_TRAP_IN(S_MODE, C_ILLEGAL, csrr a1, STOPEI)
    csrw MVIEN, zero
    EXPECT_OK_IN(S_MODE, csrr a1, STOPEI)
    csrw mideleg, zero

    /* The other hart, asked by a store, by the APLIC's genmsi, by a source of the APLIC: it answers each. */
    li a0, 0x800
    csrw mie, a0
    AIA_W(s2, MMSIADDRCFG, IMSIC_M >> 12)
    AIA_W(s2, MMSIADDRCFG + 4, 1 << 12)
    AIA_W(s2, DOMAINCFG, 0x104)
    AIA_W(s2, SOURCECFG(60), 1)
    AIA_W(s2, TARGET(60), 1 << 18 | 35)
    AIA_W(s2, SETIENUM, 60)
    add a2, s0, s3
    LINE
1:  lla a3, ready
    lw a3, 0(a3)
    beqz a3, 1b
    li a0, 33
    sw a0, 0(a2)
    li s4, 1
    call answer
    AIA_W(s2, GENMSI, 1 << 18 | 34)
    li s4, 2
    call answer
    AIA_W(s2, SETIPNUM, 60)
    li s4, 3
    call answer
    j pass

/* Wait until identity 40 comes s4 times over. */
answer:
    LINE
1:  wfi
    csrrw a0, MTOPEI, zero
    beqz a0, 1b
    EXPECT(a0, TOPEI(40))
    lla a1, asked
    ld a1, 0(a1)
    EXPECT_REG(a1, s4)
    ret

/* Hart 1: identities 33, 34, 35 in this order, each answered by 40 to hart 0. */
other:
    M_SET(0x70, 1)
    M_SET(0xc0, 0xe00000000)
    li a0, 0x800
    csrw mie, a0
    lla a0, ready
    li a1, 1
    fence
    sw a1, 0(a0)
    li s4, 33
2:  wfi
    csrrw a0, MTOPEI, zero
    beqz a0, 2b
    slli a1, s4, 16
    or a1, a1, s4
    EXPECT_REG(a0, a1)
    addi a1, s4, -32
    lla a2, asked
    sd a1, 0(a2)
    fence
    addi s4, s4, 1
    li a0, 40
    sw a0, 0(s0)
    j 2b

    .balign 4
svec:
    ecall
    .section .data
    .balign 8
asked: .dword 0
ready: .dword 0
