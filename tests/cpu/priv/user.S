/*
 * User mode at work under Sv39, and what the supervisor takes back from it: pages that are moved, taken away, made
 * read-only, given to code, all behind translations that user mode has used before. Each is done again and again, so that
 * every engine has the user's code in its fastest form.
 *
 * VA 0x40000000 -> table l1 -> table l0; 0xc0000000 is 0x80000000 with U, where the user's code runs.
 */
#include "priv.inc"

#define V 0x01
#define R 0x02
#define W 0x04
#define X 0x08
#define U 0x10
#define AD 0xc0
#define ROUNDS 200
#define USER 0x40000000         /* from code's addresses to the user's */

/* table[idx] = target | flags; uses a6, a7. */
#define PTE(table, idx, target, flags) \
    lla a6, target; srli a6, a6, 2; li a7, flags; or a6, a6, a7; lla a7, table; sd a6, (idx) * 8(a7)
/* Run @routine in user mode until it traps. */
#define RUN(routine) \
    lla a0, routine; li a7, USER; add a0, a0, a7; csrw mepc, a0; li a0, MSTATUS_MPP; csrc mstatus, a0; \
    lla s10, 7f; mret; 7:
#define RUN_OK(routine)          LINE; RUN(routine); EXPECT_CAUSE(C_ECALL_U)
#define RUN_TRAP(routine, cause) LINE; RUN(routine); EXPECT_CAUSE(cause)
/* The user writes "li a2, s1 + more; ecall" where a1 leads, and runs it. */
#define REWRITE(more) \
    addi a3, s1, more; slli a3, a3, 20; li a2, 0x0000007300000613; or a2, a2, a3; RUN_OK(store); fence.i; \
    csrw mepc, a1; li a0, MSTATUS_MPP; csrc mstatus, a0; lla s10, 7f; mret; 7: EXPECT_CAUSE(C_ECALL_U); \
    addi a3, s1, more; EXPECT_REG(a2, a3)
#define FLUSH(reg)               sfence.vma reg, zero

main:
    PTE(root, 1, l1, V)
    PTE(l1, 0, l0, V)
    li a0, 0x80000000 >> 2 | V | R | W | X | AD | U
    lla a1, root
    sd a0, 3 * 8(a1)
    li a0, 8 << 60
    srli a1, a1, 12
    or a0, a0, a1
    csrw satp, a0
    sfence.vma
    csrw MENVCFG, zero              /* the walker sets no A, no D */
    lla s3, data0
    lla s4, data1
    li s0, 0x40000000
    li s1, 0
round:
    /* A page, and another in its place. */
    li a0, 0x1111
    add a0, a0, s1
    sd a0, 0(s3)
    li a1, 0x2222
    sub a1, a1, s1
    sd a1, 0(s4)
    PTE(l0, 0, data0, V | R | W | U | AD)
    sfence.vma
    mv a1, s0
    RUN_OK(load)
    ld a3, 0(s3)
    EXPECT_REG(a2, a3)
    PTE(l0, 0, data1, V | R | W | U | AD)
    FLUSH(s0)
    RUN_OK(load)
    ld a3, 0(s4)
    EXPECT_REG(a2, a3)
    /* Stores go where the page is. */
    addi a2, s1, 77
    RUN_OK(store)
    ld a3, 0(s4)
    EXPECT_REG(a3, a2)
    PTE(l0, 0, data0, V | R | W | U | AD)
    FLUSH(s0)
    addi a2, a2, 1
    RUN_OK(store)
    ld a3, 0(s3)
    EXPECT_REG(a3, a2)
    ld a3, 0(s4)
    addi a2, a2, -1
    EXPECT_REG(a3, a2)
    /* Read-only. */
    PTE(l0, 0, data0, V | R | U | AD)
    FLUSH(s0)
    RUN_OK(load)
    RUN_TRAP(store, C_STORE_PAGE)
    EXPECT_TVAL_REG(s0)
    RUN_OK(load)
    /* Without U, without V: gone for the user. */
    PTE(l0, 0, data0, V | R | W | AD)
    FLUSH(s0)
    RUN_TRAP(load, C_LOAD_PAGE)
    EXPECT_TVAL_REG(s0)
    PTE(l0, 0, data0, 0)
    FLUSH(s0)
    RUN_TRAP(load, C_LOAD_PAGE)
    RUN_TRAP(store, C_STORE_PAGE)
    /* D: only a store asks for it. */
    PTE(l0, 0, data0, V | R | W | U | 0x40)
    FLUSH(s0)
    RUN_OK(load)
    RUN_TRAP(store, C_STORE_PAGE)
    /* All of it flushed at once, by address space, and by another address space. */
    PTE(l0, 0, data1, V | R | W | U | AD)
    sfence.vma
    RUN_OK(load)
    ld a3, 0(s4)
    EXPECT_REG(a2, a3)
    PTE(l0, 0, data0, V | R | W | U | AD)
    li a4, 0
    sfence.vma zero, a4
    RUN_OK(load)
    ld a3, 0(s3)
    EXPECT_REG(a2, a3)
    csrr s5, satp
    li a0, 5 << 44
    or a0, a0, s5
    csrw satp, a0
    PTE(l0, 0, data1, V | R | W | U | AD)
    RUN_OK(load)
    ld a3, 0(s4)
    EXPECT_REG(a2, a3)
    csrw satp, s5
    sfence.vma
    /* Over a page border, the second page there, elsewhere, missing. */
    li a5, 0x123456789abcdef0
    lla a4, data0
    li a0, 4092
    add a4, a4, a0
    sw a5, 0(a4)
    srli a6, a5, 32
    sw a6, 0(s4)
    PTE(l0, 0, data0, V | R | W | U | AD)
    PTE(l0, 1, data1, V | R | W | U | AD)
    sfence.vma
    li a1, 0x40000ffc
    RUN_OK(load)
    li a5, 0x123456789abcdef0
    EXPECT_REG(a2, a5)
    PTE(l0, 1, data1, 0)
    li a0, 0x40001000
    FLUSH(a0)
    RUN_TRAP(store, C_STORE_PAGE)
    lla a4, data0
    li a0, 4092
    add a4, a4, a0
    lwu a3, 0(a4)
    li a5, 0x9abcdef0
    EXPECT_REG(a3, a5)
    /* Beyond the lower half, and at its ends. */
    li a1, 0x3ffffffff8
    RUN_TRAP(load, C_LOAD_PAGE)
    EXPECT_TVAL_REG(a1)
    li a1, 0x4000000000
    RUN_TRAP(load, C_LOAD_PAGE)
    EXPECT_TVAL_REG(a1)
    li a1, -8
    RUN_TRAP(store, C_STORE_PAGE)
    EXPECT_TVAL_REG(a1)
    li a1, 0
    RUN_TRAP(load, C_LOAD_PAGE)
    EXPECT_TVAL_REG(a1)
    /* A page of data becomes code, runs, and is written by the user again. */
    PTE(l0, 0, code, V | R | W | X | U | AD)
    FLUSH(s0)
    mv a1, s0
    REWRITE(0)
    REWRITE(1)
    addi s1, s1, 1
    li a0, ROUNDS
    bne s1, a0, round
    csrw satp, zero
    sfence.vma
    j pass

    .balign 4
load:
    ld a2, 0(a1)
    ecall
    .balign 4
store:
    sd a2, 0(a1)
    ecall

    .section .bss
    .balign 4096
root: .skip 4096
l1: .skip 4096
l0: .skip 4096
data0: .skip 4096
    .skip 4096
data1: .skip 4096
    .skip 4096
code: .skip 4096
