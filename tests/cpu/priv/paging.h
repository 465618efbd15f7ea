/*
 * Address translation (Privileged ISA 10.3-10.6; Svnapot, Svpbmt, Svadu/Svade, Svinval), for
 * LEVELS 3 (Sv39), 4 (Sv48), 5 (Sv57). Data is reached by MPRV; code in S and U through gigapages.
 *
 * VA 0x40000000 -> table l1 -> table l0; 0x80000000 identity (S code), 0xc0000000 the same memory with U.
 */
#include "priv.h"

#define V 0x01
#define R 0x02
#define W 0x04
#define X 0x08
#define U 0x10
#define G 0x20
#define A 0x40
#define D 0x80
#define AD (A | D)
#define NAPOT (1 << 63)
#define PBMT(n) ((n) << 61)
#define ADUE (1 << 61)
#define PBMTE (1 << 62)
#define SATP_MODE ((LEVELS + 5) << 60)

/* table[idx] = target | flags; uses a6, a7. */
#define PTE(table, idx, target, flags) \
    lla a6, target; srli a6, a6, 2; li a7, flags; or a6, a6, a7; lla a7, table; \
    addi a7, a7, ((idx) % 256) * 8; .if (idx) >= 256; li t4, ((idx) / 256) * 2048; add a7, a7, t4; .endif; \
    sd a6, 0(a7)
#define RAW_PTE(table, idx, value) \
    li a6, value; lla a7, table; addi a7, a7, ((idx) % 256) * 8; sd a6, 0(a7)
#define SET0(flags) PTE(l0, 0, data0, flags); sfence.vma
#define GET0(reg) lla reg, l0; ld reg, 0(reg)

main:
    /* The tree. */
    PTE(l2, 1, l1, V)
    PTE(l1, 0, l0, V)
    RAW_PTE(l2, 2, (0x80000000 >> 2) | V | R | W | X | AD)
    RAW_PTE(l2, 3, (0x80000000 >> 2) | V | R | W | X | U | AD)
#if LEVELS == 5
    PTE(root, 0, l3, V)
    PTE(l3, 0, l2, V)
#elif LEVELS == 4
    PTE(root, 0, l2, V)
#endif
    li a0, SATP_MODE
#if LEVELS == 3
    lla a1, l2
#else
    lla a1, root
#endif
    srli a1, a1, 12
    or s4, a0, a1
    csrw satp, s4
    csrr a0, satp
    EXPECT_REG(a0, s4)
    sfence.vma
    csrw MENVCFG, zero
    li s0, 0x40000000
    lla s1, data0
    li a0, 0x1111111111111111
    sd a0, 0(s1)
    li a0, 0x2222222222222222
    lla s2, data1
    sd a0, 0(s2)

    /* M-mode is not translated. */
    EXPECT_TRAP(C_LOAD, ld a2, 0x100(zero))

    /* Permissions, seen from S. */
    SET0(V | R | W | X | AD)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x1111111111111111)
    EXPECT_OK_AS(S_MODE, sd a2, 8(s0))
    EXPECT_TRAP_AS(U_MODE, C_LOAD_PAGE, ld a2, 16(s0))
    addi a3, s0, 16
    EXPECT_TVAL_REG(a3)
    EXPECT_TRAP_AS(U_MODE, C_STORE_PAGE, sd a2, 16(s0))
    SET0(V | R | AD)
    EXPECT_OK_AS(S_MODE, lw a2, 4(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sw a2, 4(s0))
    addi a3, s0, 4
    EXPECT_TVAL_REG(a3)
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, amoadd.w a2, a2, (s0))
    EXPECT_TVAL_REG(s0)
    EXPECT_OK_AS(S_MODE, lr.w a2, (s0))
    SET0(V | X | AD)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lw a2, 4(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sw a2, 4(s0))
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lr.d a2, (s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, amoswap.d a2, a2, (s0))
    li a0, MSTATUS_MXR
    csrs mstatus, a0
    EXPECT_OK_AS(S_MODE, lw a2, 4(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sw a2, 4(s0))
    csrc mstatus, a0
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lw a2, 4(s0))
    /* Reserved: W without R; not valid. */
    SET0(V | W | AD)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lw a2, 4(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sw a2, 4(s0))
    SET0(V | W | X | AD)
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sw a2, 4(s0))
    SET0(R | W | X | AD)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lw a2, 4(s0))
    /* A pointer at the last level. */
    PTE(l0, 0, data0, V); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lw a2, 4(s0))
    /* U pages: U always, S with SUM for data, never for code. */
    SET0(V | R | W | X | U | AD)
    EXPECT_OK_AS(U_MODE, ld a2, 0(s0))
    EXPECT_OK_AS(U_MODE, sd a2, 0(s0))
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd a2, 0(s0))
    li a0, MSTATUS_SUM
    csrs mstatus, a0
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT_OK_AS(S_MODE, sd a2, 0(s0))
    csrc mstatus, a0
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))

    /* A and D, Svade: a clear bit faults, and stays clear. */
    SET0(V | R | W | X | D)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    SET0(V | R | W | X | A)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd a2, 0(s0))
    GET0(a3)
    EXPECT_BITS(a3, 0x3ff, V | R | W | X | A)
    /* Svadu: menvcfg.ADUE makes the walker set them. */
    li a0, ADUE
    csrs MENVCFG, a0
    LINE
    csrr a1, MENVCFG
    and a1, a1, a0
    beqz a1, skip_adue
    SET0(V | R | W | X)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    GET0(a3)
    EXPECT_BITS(a3, 0x3ff, V | R | W | X | A)
    EXPECT_OK_AS(S_MODE, sd a2, 0(s0))          /* D through a TLB entry made by a load */
    GET0(a3)
    EXPECT_BITS(a3, 0x3ff, V | R | W | X | AD)
    SET0(V | R | W | X)
    EXPECT_OK_AS(S_MODE, sd a2, 0(s0))
    GET0(a3)
    EXPECT_BITS(a3, 0x3ff, V | R | W | X | AD)
    SET0(V | R | W)
    EXPECT_OK_AS(S_MODE, amoor.d a2, zero, (s0))
    GET0(a3)
    EXPECT_BITS(a3, 0x3ff, V | R | W | AD)
    SET0(V | R)                                  /* a refused store sets nothing but perhaps A */
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd a2, 0(s0))
    GET0(a3)
    EXPECT_BITS(a3, D, 0)
    SET0(V | R | W | U)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    GET0(a3)
    EXPECT_BITS(a3, 0x3ff, V | R | W | U)
    li a0, ADUE
    csrc MENVCFG, a0
skip_adue:
    /* After ADUE went away, sfence makes the fault come back. */
    SET0(V | R | W | X | A)
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd a2, 0(s0))

    /* Reserved PTE bits 60:54; PBMT without PBMTE; N with a wrong pattern. */
    SET0(V | R | W | AD | (1 << 54))
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    SET0(V | R | W | AD | (1 << 60))
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    SET0(V | R | W | AD | PBMT(1))
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    SET0(V | R | W | AD | (3 << 8))              /* RSW: free for software */
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    li a0, PBMTE
    csrs MENVCFG, a0
    EXPECT_CSR_BITS(MENVCFG, PBMTE, PBMTE)
    SET0(V | R | W | AD | PBMT(1))
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    SET0(V | R | W | AD | PBMT(2))
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    SET0(V | R | W | AD | PBMT(3))
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    PTE(l1, 0, l0, V | PBMT(1)); SET0(V | R | W | AD)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    csrc MENVCFG, a0
    /* Pointers must have D, A, U and N clear. */
    PTE(l1, 0, l0, V | D); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    PTE(l1, 0, l0, V | A); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    PTE(l1, 0, l0, V | U); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    PTE(l1, 0, l0, V | NAPOT); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s0))
    PTE(l1, 0, l0, V); sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))

    /* Svnapot, 64 KiB: the low four bits of the PPN read 8 and are replaced by the VPN's. */
    lla a6, napot
    srli a6, a6, 2
    li a7, V | R | W | AD | NAPOT | (8 << 10)
    or a6, a6, a7
    lla a7, l0
    li a4, 16
1:  sd a6, 16 * 8(a7)
    addi a7, a7, 8
    addi a4, a4, -1
    bnez a4, 1b
    sfence.vma
    li a5, 0x40010000
    li a3, 0x5000
    add a5, a5, a3
    lla a4, napot
    add a4, a4, a3
    li a1, 0x7777
    sd a1, 0x18(a4)
    EXPECT_OK_AS(S_MODE, ld a2, 0x18(a5))
    EXPECT(a2, 0x7777)
    lla a7, l0
    ld a6, 16 * 8(a7)
    li a4, 4 << 10                               /* pattern 1100: reserved */
    or a6, a6, a4
    sd a6, 21 * 8(a7)
    sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0x18(a5))

    /* Superpages: 2 MiB and 1 GiB, aligned and not. */
    lla a6, data0
    li a7, ~0x1fffff
    and a6, a6, a7
    sub s5, s1, a6                               /* offset of data0 in its 2 MiB page */
    srli a6, a6, 2
    ori a6, a6, V | R | W | AD
    lla a7, l1
    sd a6, 3 * 8(a7)
    sfence.vma
    li a5, 0x40600000
    add a5, a5, s5
    EXPECT_OK_AS(S_MODE, ld a2, 0(a5))
    ld a3, 0(s1)
    EXPECT_REG(a2, a3)
    li a4, 1 << 10                               /* one page off */
    or a6, a6, a4
    sd a6, 3 * 8(a7)
    sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(a5))
    EXPECT_TVAL_REG(a5)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s1))           /* identity gigapage */
    EXPECT_REG(a2, a3)
    RAW_PTE(l2, 2, ((0x80000000 + 0x200000) >> 2) | V | R | W | X | AD)
    sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(s1))
    RAW_PTE(l2, 2, (0x80000000 >> 2) | V | R | W | X | AD)
    sfence.vma

    /* Non-canonical addresses. */
    li a5, 1 << (LEVELS * 9 + 11)
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(a5))
    EXPECT_TVAL_REG(a5)
    or a5, a5, s0
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd a2, 0(a5))
    li a5, 1 << (LEVELS * 9 + 12)
    or a5, a5, s0
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(a5))
    li a5, 1 << 63
    or a5, a5, s0
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a2, 0(a5))
    JUMP_MODE(S_MODE, a5)
    EXPECT_CAUSE(C_FETCH_PAGE)
    EXPECT_TVAL_REG(a5)
    EXPECT_EPC_REG(a5)
    /* The upper half exists: top entry of the root to data. */
#if LEVELS == 3
    RAW_PTE(l2 + 2048, 255, (0x80000000 >> 2) | V | R | W | X | AD)
    sfence.vma
    lla a5, data0
    li a6, 0x3fffffff
    and a5, a5, a6
    li a6, 0xffffffffc0000000
    or a5, a5, a6
    EXPECT_OK_AS(S_MODE, ld a2, 0(a5))
    EXPECT_REG(a2, a3)
#endif

    /* Across two pages. */
    SET0(V | R | W | AD)
    PTE(l0, 1, data1, V | R | W | AD); sfence.vma
    li a0, 0x8877665544332211
    li a1, 0x40000ffd
    EXPECT_OK_AS(S_MODE, sd a0, 0(a1))
    lla a2, data0
    li a3, 0xffd
    add a2, a2, a3
    lbu a4, 0(a2)
    EXPECT(a4, 0x11)
    lbu a4, 2(a2)
    EXPECT(a4, 0x33)
    lla a2, data1
    lbu a4, 0(a2)
    EXPECT(a4, 0x44)
    lbu a4, 4(a2)
    EXPECT(a4, 0x88)
    EXPECT_OK_AS(S_MODE, ld a4, 0(a1))
    EXPECT_REG(a4, a0)
    EXPECT_OK_AS(S_MODE, lw a4, 1(a1))
    EXPECT(a4, 0x55443322)
    /* A fault on the second page: nothing changes, mtval is where the second page starts. */
    RAW_PTE(l0, 1, 0); sfence.vma
    li a4, 0x99
    li a5, 0x40001000
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, ld a4, 0(a1))
    EXPECT(a4, 0x99)
    EXPECT_TVAL_REG(a5)
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd zero, 0(a1))
    EXPECT_TVAL_REG(a5)
    lla a2, data0
    add a2, a2, a3
    lbu a4, 0(a2)
    EXPECT(a4, 0x11)
    lbu a4, 2(a2)
    EXPECT(a4, 0x33)
    PTE(l0, 1, data1, V | R | AD); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sd zero, 0(a1))
    EXPECT_TVAL_REG(a5)
    lbu a4, 0(a2)
    EXPECT(a4, 0x11)
    /* ... and on the first: mtval is the address. */
    RAW_PTE(l0, 0, 0); sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD_PAGE, lhu a4, 2(a1))
    addi a6, a1, 2
    EXPECT_TVAL_REG(a6)
    EXPECT_TRAP_AS(S_MODE, C_STORE_PAGE, sw a4, 1(a1))

    /* Fetch: U and S pages, X, an instruction across a page. */
    lla a0, code_s
    li a1, 0x40000000                           /* the same code through U's gigapage */
    add a2, a0, a1
    JUMP_MODE(S_MODE, a0)
    EXPECT_CAUSE(C_ECALL_S)
    JUMP_MODE(U_MODE, a2)
    EXPECT_CAUSE(C_ECALL_U)
    JUMP_MODE(U_MODE, a0)
    EXPECT_CAUSE(C_FETCH_PAGE)
    EXPECT_TVAL_REG(a0)
    JUMP_MODE(S_MODE, a2)
    EXPECT_CAUSE(C_FETCH_PAGE)
    li a6, MSTATUS_SUM | MSTATUS_MXR
    csrs mstatus, a6
    JUMP_MODE(S_MODE, a2)
    EXPECT_CAUSE(C_FETCH_PAGE)
    csrc mstatus, a6
    SET0(V | R | W | AD)
    JUMP_MODE(S_MODE, s0)
    EXPECT_CAUSE(C_FETCH_PAGE)
    SET0(V | X | D)                              /* A clear */
    JUMP_MODE(S_MODE, s0)
    EXPECT_CAUSE(C_FETCH_PAGE)
    SET0(V | X | A)                              /* execute only, D does not matter */
    lla a2, data0
    li a3, 0x00000073                            /* ecall */
    sw a3, 0(a2)
    fence.i
    JUMP_MODE(S_MODE, s0)
    EXPECT_CAUSE(C_ECALL_S)
    li a4, 0xffe
    add a5, a2, a4
    li a3, 0x0513                                /* addi a0, zero, 0x777 across the border */
    sh a3, 0(a5)
    lla a5, data1
    li a3, 0x7770
    sh a3, 0(a5)
    li a3, 0x00000073
    sh a3, 2(a5)
    sh zero, 4(a5)
    PTE(l0, 1, data1, V | R | X | A); sfence.vma; fence.i
    add a1, s0, a4
    JUMP_MODE(S_MODE, a1)
    EXPECT_CAUSE(C_ECALL_S)
    EXPECT(a0, 0x777)
    RAW_PTE(l0, 1, 0); sfence.vma
    li a0, 1
    JUMP_MODE(S_MODE, a1)
    EXPECT_CAUSE(C_FETCH_PAGE)
    EXPECT_EPC_REG(a1)
    addi a5, a1, 2
    EXPECT_TVAL_REG(a5)
    EXPECT(a0, 1)
    PTE(l0, 1, data1, V | R | W | A | D); sfence.vma  /* mapped, not executable */
    JUMP_MODE(S_MODE, a1)
    EXPECT_CAUSE(C_FETCH_PAGE)
    EXPECT_TVAL_REG(a5)
    /* The second half moves to another page: the old translation must not live on. */
    lla a5, data2
    li a3, 0x1230
    sh a3, 0(a5)
    li a3, 0x00000073
    sh a3, 2(a5)
    sh zero, 4(a5)
    PTE(l0, 1, data1, V | X | A); sfence.vma; fence.i
    JUMP_MODE(S_MODE, a1)
    EXPECT(a0, 0x777)
    PTE(l0, 1, data2, V | X | A); sfence.vma
    JUMP_MODE(S_MODE, a1)
    EXPECT_CAUSE(C_ECALL_S)
    EXPECT(a0, 0x123)

    /* sfence.vma by address and by ASID; Svinval. */
    lla s3, data1
    li a0, 0x2222222222222222
    sd a0, 0(s3)
    li a0, 0x1111111111111111
    sd a0, 0(s1)
    SET0(V | R | W | AD)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    PTE(l0, 0, data1, V | R | W | AD)
    sfence.vma s0, zero
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x2222222222222222)
    PTE(l0, 0, data0, V | R | W | AD)
    sfence.vma s0, zero
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x1111111111111111)
    PTE(l0, 0, data1, V | R | W | AD)
    li a0, 0
    sfence.vma zero, a0
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x2222222222222222)
    PTE(l0, 0, data0, V | R | W | AD)
    addi a3, s0, 0x123                           /* any address in the page */
    sfence.vma a3, a0
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x1111111111111111)
    PTE(l0, 0, data1, V | R | W | AD)
    sfence.w.inval
    sinval.vma s0, zero
    sfence.inval.ir
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x2222222222222222)
    EXPECT_TRAP_IN(U_MODE, C_FETCH_PAGE, nop)    /* U cannot run from the S gigapage */

    /* Address spaces: the same VA in two of them, without any fence between. */
    PTE(l0b, 0, data0, V | R | W | AD)
    PTE(l0, 0, data1, V | R | W | AD)
    PTE(l1b, 0, l0b, V)
    PTE(l2b, 1, l1b, V)
    RAW_PTE(l2b, 2, (0x80000000 >> 2) | V | R | W | X | AD)
#if LEVELS == 5
    PTE(rootb, 0, l3b, V)
    PTE(l3b, 0, l2b, V)
#elif LEVELS == 4
    PTE(rootb, 0, l2b, V)
#endif
    sfence.vma
    li a0, 1 << 44
    or s5, s4, a0                                /* ASID 1, tree a */
    li a0, SATP_MODE | (2 << 44)
#if LEVELS == 3
    lla a1, l2b
#else
    lla a1, rootb
#endif
    srli a1, a1, 12
    or s6, a0, a1                                /* ASID 2, tree b */
    csrw satp, s5
    csrr a0, satp
    LINE
    bne a0, s5, no_asid
    li a3, 3
2:  csrw satp, s5
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x2222222222222222)
    csrw satp, s6
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x1111111111111111)
    addi a3, a3, -1
    bnez a3, 2b
    /* A fence for ASID 2 shows its change; ASID 1 may keep what it had. */
    PTE(l0b, 0, data2, V | R | W | AD)
    lla a4, data2
    li a0, 0x3333
    sd a0, 0(a4)
    li a0, 2
    sfence.vma zero, a0
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT(a2, 0x3333)
    /* Global pages in both. */
    PTE(l0, 2, data2, V | R | W | G | AD)
    PTE(l0b, 2, data2, V | R | W | G | AD)
    sfence.vma
    li a5, 0x40002000
    EXPECT_OK_AS(S_MODE, ld a2, 0(a5))
    csrw satp, s5
    EXPECT_OK_AS(S_MODE, ld a2, 0(a5))
    EXPECT(a2, 0x3333)
    PTE(l0, 2, data0, V | R | W | G | AD)
    PTE(l0b, 2, data0, V | R | W | G | AD)
    sfence.vma a5, zero                          /* all ASIDs: global entries too */
    EXPECT_OK_AS(S_MODE, ld a2, 0(a5))
    EXPECT(a2, 0x1111111111111111)
    csrw satp, s6
    EXPECT_OK_AS(S_MODE, ld a2, 0(a5))
    EXPECT(a2, 0x1111111111111111)
no_asid:
    /* Bare again: no translation at once (satp write alone orders bare accesses after sfence). */
    csrw satp, zero
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s1))
    EXPECT_TRAP_AS(S_MODE, C_LOAD, ld a2, 0x40(zero))
    EXPECT_TRAP_AS(U_MODE, C_STORE, sd a2, 0x40(zero))

    /* An access fault in the walk: the table lies where nothing is. */
    csrw satp, s4
    RAW_PTE(l2, 1, (0x40 << 10) | V)             /* 0x40000: no memory */
    sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD, ld a2, 0(s0))
    EXPECT_TVAL_REG(s0)
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 0(s0))
    JUMP_MODE(S_MODE, s0)
    EXPECT_CAUSE(C_FETCH)
    EXPECT_TVAL_REG(s0)
    csrw satp, zero
    sfence.vma
    j pass

    .balign 4
code_s:
    ecall

    .section .bss
    .balign 0x10000
napot: .skip 0x10000
root: .skip 4096
l3: .skip 4096
l2: .skip 4096
l1: .skip 4096
l0: .skip 4096
rootb: .skip 4096
l3b: .skip 4096
l2b: .skip 4096
l1b: .skip 4096
l0b: .skip 4096
data0: .skip 4096
    .skip 4096
data1: .skip 4096
    .skip 4096
data2: .skip 4096
