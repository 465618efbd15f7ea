/* Physical memory protection (Privileged ISA 3.7): TOR, NA4, NAPOT, locks, MPRV, walks, edges. */
#include "priv.inc"
#define CFG(entry, val) \
    csrr t4, pmpcfg0; li t5, 0xff << ((entry) * 8); not t5, t5; and t4, t4, t5; \
    li t5, (val) << ((entry) * 8); or t4, t4, t5; csrw pmpcfg0, t4
#define ADDR(csrno, label, off) lla t4, label; addi t4, t4, off; srli t4, t4, 2; csrw csrno, t4
#define NAPOT(csrno, label, bytes) \
    lla t4, label; srli t4, t4, 2; li t5, (bytes) / 8 - 1; or t4, t4, t5; csrw csrno, t4
#define P_R 1
#define P_W 2
#define P_X 4
#define P_TOR 8
#define P_NA4 0x10
#define P_NAPOT 0x18
#define P_L 0x80
main:
    /* Entry 7 opens everything; 0-3 are the ones under test. */
    li a0, -1
    csrw pmpaddr7, a0
    li a0, 0x1f << 56
    csrw pmpcfg0, a0
    csrr a1, pmpcfg0
    EXPECT_REG(a1, a0)
    csrw pmpaddr0, zero
    EXPECT_CSR(pmpaddr0, 0)
    li a1, -1                          /* 54 bits */
    csrw pmpaddr0, a1
    csrr a1, pmpaddr0
#ifndef ORACLE_QEMU /* keeps bits 63:54 */
    EXPECT_BITS(a1, 0xffc0000000000000, 0)
#endif
    csrw pmpaddr0, zero
    lla s0, page
    li a0, 0x0123456789abcdef
    sd a0, 0(s0)
    sd a0, 8(s0)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT_OK_AS(U_MODE, sd a2, 0(s0))

    /* NA4: read only for S and U, M untouched. */
    ADDR(pmpaddr0, page, 8)
    CFG(0, P_NA4 | P_R)
    EXPECT_OK_AS(S_MODE, lw a2, 8(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sw a2, 8(s0))
    addi a3, s0, 8
    EXPECT_TVAL_REG(a3)
    EXPECT_TRAP_AS(U_MODE, C_STORE, amoadd.w a2, zero, (a3))
    EXPECT_OK_AS(U_MODE, lr.w a2, (a3))
    EXPECT_OK_AS(S_MODE, sw a2, 12(s0))
    EXPECT_OK_AS(S_MODE, sw a2, 4(s0))
    sw a2, 8(s0)
    /* An access that matches the entry only in part fails, whatever the entry allows. */
    CFG(0, P_NA4 | P_R | P_W | P_X)
    EXPECT_OK_AS(S_MODE, lw a2, 8(s0))
    EXPECT_TRAP_AS(S_MODE, C_LOAD, ld a2, 8(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 8(s0))
    li a2, 0x55
    EXPECT_TRAP_AS(U_MODE, C_LOAD, ld a2, 8(s0))
    EXPECT(a2, 0x55)
    CFG(0, P_NA4)
    EXPECT_TRAP_AS(S_MODE, C_LOAD, lbu a2, 11(s0))
    EXPECT_OK_AS(S_MODE, lbu a2, 12(s0))
    EXPECT_OK_AS(S_MODE, lbu a2, 7(s0))

    /* NAPOT 8 .. 4096 bytes. */
    NAPOT(pmpaddr0, page, 8)
    CFG(0, P_NAPOT | P_R)
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sb a2, 7(s0))
    EXPECT_OK_AS(S_MODE, sb a2, 8(s0))
    NAPOT(pmpaddr0, page, 64)
    EXPECT_TRAP_AS(S_MODE, C_STORE, sb a2, 63(s0))
    EXPECT_OK_AS(S_MODE, sb a2, 64(s0))
    NAPOT(pmpaddr0, page, 4096)
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 2040(s0))
    li a4, 4096
    add a4, a4, s0
    EXPECT_OK_AS(S_MODE, sd a2, 0(a4))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, -8(a4))
    CFG(0, 0)
    EXPECT_OK_AS(S_MODE, sd a2, -8(a4))

    /* TOR: [addr0, addr1). Entry 0 off as the lower bound; bound of entry 0 itself is 0. */
    ADDR(pmpaddr0, page, 16)
    ADDR(pmpaddr1, page, 32)
    CFG(1, P_TOR | P_R)
    EXPECT_OK_AS(S_MODE, sd a2, 8(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 16(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 24(s0))
    EXPECT_OK_AS(S_MODE, sd a2, 32(s0))
    EXPECT_OK_AS(S_MODE, ld a2, 24(s0))
    /* Lowest matching entry decides. */
    NAPOT(pmpaddr2, page, 4096)
    CFG(2, P_NAPOT)
    EXPECT_OK_AS(S_MODE, ld a2, 24(s0))
    EXPECT_TRAP_AS(S_MODE, C_LOAD, ld a2, 32(s0))
    CFG(2, 0)
    /* Upper bound not above the lower: matches nothing. */
    ADDR(pmpaddr1, page, 16)
    EXPECT_OK_AS(S_MODE, sd a2, 16(s0))
    CFG(1, 0)
    csrw pmpaddr0, zero
    csrw pmpaddr1, zero

    /* Fetch. */
    lla a0, stub
    JUMP_MODE(S_MODE, a0)
    EXPECT_CAUSE(C_ECALL_S)
    NAPOT(pmpaddr0, stub_page, 4096)
    CFG(0, P_NAPOT | P_R | P_W)
    JUMP_MODE(S_MODE, a0)
    EXPECT_CAUSE(C_FETCH)
    EXPECT_TVAL_REG(a0)
    EXPECT_EPC_REG(a0)
    EXPECT_OK_AS(S_MODE, lw a2, 0(a0))
    CFG(0, P_NAPOT | P_X)
    JUMP_MODE(U_MODE, a0)
    EXPECT_CAUSE(C_ECALL_U)
    EXPECT_TRAP_AS(S_MODE, C_LOAD, lw a2, 0(a0))
    /* A loop that loses its right to run: protection changes are seen after sfence.vma. */
    CFG(0, P_NAPOT | P_R | P_W | P_X)
    JUMP_MODE(S_MODE, a0)
    EXPECT_CAUSE(C_ECALL_S)
    CFG(0, P_NAPOT | P_R | P_W)
    sfence.vma
    JUMP_MODE(S_MODE, a0)
    EXPECT_CAUSE(C_FETCH)
    CFG(0, 0)
    csrw pmpaddr0, zero

    /* No entry matches: S and U fail, M does not. */
    li a0, 0
    csrw pmpcfg0, a0
    ADDR(pmpaddr0, page, 0)
    CFG(0, P_NA4 | P_R)
    EXPECT_OK_AS(S_MODE, lw a2, 0(s0))
    EXPECT_TRAP_AS(S_MODE, C_LOAD, lw a2, 4(s0))
    EXPECT_TRAP_AS(U_MODE, C_STORE, sw a2, 4(s0))
    lw a2, 4(s0)
    JUMP_MODE(S_MODE, s0)
    EXPECT_CAUSE(C_FETCH)
    li a0, 0x1f << 56
    csrw pmpcfg0, a0
    csrw pmpaddr0, zero

    /* The page walk's own reads are S-mode accesses: refused ones are access faults, of the kind of
     * the original access. Sv39, one gigapage for everything. */
    lla a0, table
    srli a1, a0, 12
    li a2, 8 << 60
    or s1, a1, a2
    li a2, (0x80000000 >> 2) | 0xcf
    sd a2, 16(a0)
    csrw satp, s1
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    NAPOT(pmpaddr0, table, 4096)
    CFG(0, P_NAPOT | P_W | P_R)
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    CFG(0, P_NAPOT)
    sfence.vma
    EXPECT_TRAP_AS(S_MODE, C_LOAD, ld a2, 0(s0))
    EXPECT_TVAL_REG(s0)
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 0(s0))
    lla a4, stub
    JUMP_MODE(S_MODE, a4)
    EXPECT_CAUSE(C_FETCH)
    /* A right to read is enough for the walk. */
    CFG(0, P_NAPOT | P_R)
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    /* The page itself refused: an access fault with the virtual address. */
    NAPOT(pmpaddr0, page, 4096)
    CFG(0, P_NAPOT | P_R)
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 0(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 0(s0))
    /* Part of a page: the fine grain survives translation. */
    NAPOT(pmpaddr0, page, 64)
    CFG(0, P_NAPOT)
    sfence.vma
    EXPECT_OK_AS(S_MODE, ld a2, 64(s0))
    EXPECT_TRAP_AS(S_MODE, C_LOAD, ld a2, 56(s0))
    EXPECT_OK_AS(S_MODE, sd a2, 72(s0))
    EXPECT_TRAP_AS(S_MODE, C_STORE, sd a2, 0(s0))
    CFG(0, 0)
    csrw satp, zero
    sfence.vma

    /* Locked entries bind M too, and can not be changed until reset; the address of a locked TOR's
     * lower bound is locked with it. */
    ADDR(pmpaddr1, page, 256)
    ADDR(pmpaddr2, page, 320)
    CFG(2, P_TOR | P_L | P_R)
    ld a2, 256(s0)
    EXPECT_TRAP(C_STORE, sd a2, 256(s0))
    addi a3, s0, 256
    EXPECT_TVAL_REG(a3)
    sd a2, 320(s0)
    csrr a4, pmpaddr2
    csrw pmpaddr2, zero
    csrr a5, pmpaddr2
    EXPECT_REG(a5, a4)
    csrr a4, pmpaddr1
    csrw pmpaddr1, zero
    csrr a5, pmpaddr1
    EXPECT_REG(a5, a4)
    CFG(2, 0)
    EXPECT_CSR_BITS(pmpcfg0, 0xff0000, (P_TOR | P_L | P_R) << 16)
    EXPECT_TRAP(C_STORE, sb a2, 319(s0))
    /* Locked without X: M can not run it. */
    NAPOT(pmpaddr0, stub_page, 4096)
    CFG(0, P_NAPOT | P_L | P_R)
    lla a0, stub
    LINE
    lla s10, 1f
    jr a0
1:  EXPECT_CAUSE(C_FETCH)
    EXPECT_EPC_REG(a0)
    lw a2, 0(a0)
    j pass

    .balign 4096
stub_page:
    nop
stub:
    ecall
    .balign 4096
    nop
    .section .bss
    .balign 4096
table: .skip 4096
page: .skip 8192
