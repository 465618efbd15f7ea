/*
 * Common part of the bare-metal tests: M-mode programs linked at 0x80000000, in the manner of the
 * RISC-V architecture tests. Each is one .S file that includes this and has its code after `main:`.
 *
 * Ends by the sifive-test finisher at 0x100000: 0x5555 pass, 0x3333 | code << 16 fail, where code is
 * the source line of the check that failed; details go to the 16550 at 0x10000000.
 *
 * Registers: s11 line of the check under way, s10 where to go on after the next trap (0: a trap is a
 * failure), t4-t6 scratch of the macros. All other registers belong to the test.
 *
 * A trap to M-mode is recorded in trap_info and goes on at s10 in M-mode, with MPRV and MIE cleared.
 */
#ifndef VIREO_PRIV_H
#define VIREO_PRIV_H

/* clang-format off */
#define U_MODE 0
#define S_MODE 1
#define M_MODE 3

#define MSTATUS_SIE   0x2
#define MSTATUS_MIE   0x8
#define MSTATUS_SPIE  0x20
#define MSTATUS_MPIE  0x80
#define MSTATUS_SPP   0x100
#define MSTATUS_MPP   0x1800
#define MSTATUS_FS    0x6000
#define MSTATUS_MPRV  0x20000
#define MSTATUS_SUM   0x40000
#define MSTATUS_MXR   0x80000
#define MSTATUS_TVM   0x100000
#define MSTATUS_TW    0x200000
#define MSTATUS_TSR   0x400000

#define C_FETCH_ALIGN 0
#define C_FETCH       1
#define C_ILLEGAL     2
#define C_BREAK       3
#define C_LOAD_ALIGN  4
#define C_LOAD        5
#define C_STORE_ALIGN 6
#define C_STORE       7
#define C_ECALL_U     8
#define C_ECALL_S     9
#define C_ECALL_M     11
#define C_FETCH_PAGE  12
#define C_LOAD_PAGE   13
#define C_STORE_PAGE  15

/* CSRs that binutils 2.40 does not name. */
#define STIMECMP      0x14d
#define MENVCFG       0x30a
#define SENVCFG       0x10a
#define MSTATEEN0     0x30c
#define SSTATEEN0     0x10c
#define SEED          0x015
#define TSELECT       0x7a0
#define TDATA1        0x7a1

#define CLINT_MSIP     0x2000000
#define CLINT_MTIMECMP 0x2004000
#define CLINT_MTIME    0x200bff8

/* trap_info: offsets. */
#define TI_CAUSE  0
#define TI_EPC    8
#define TI_TVAL   16
#define TI_STATUS 24
#define TI_COUNT  32

#define LINE li s11, __LINE__

/* reg == constant; reg must not be t5 or t6 unless t5. */
#define EXPECT(reg, val) \
    LINE; mv t5, reg; li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_REG(reg, other) \
    LINE; mv t5, reg; mv t6, other; beq t5, t6, 9f; j fail; 9:
/* (reg & mask) == val */
#define EXPECT_BITS(reg, mask, val) \
    LINE; li t6, mask; and t5, reg, t6; li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_NOT(reg, val) \
    LINE; mv t5, reg; li t6, val; bne t5, t6, 9f; j fail; 9:
#define EXPECT_CSR(csr, val) \
    LINE; csrr t5, csr; li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_CSR_BITS(csr, mask, val) \
    LINE; csrr t5, csr; li t6, mask; and t5, t5, t6; li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_MEM(label, val) \
    LINE; lla t5, label; ld t5, 0(t5); li t6, val; beq t5, t6, 9f; j fail; 9:
/* The last trap's fields. */
#define EXPECT_CAUSE(val) \
    LINE; lla t5, trap_info; ld t5, TI_CAUSE(t5); li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_TVAL(val) \
    LINE; lla t5, trap_info; ld t5, TI_TVAL(t5); li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_TVAL_REG(reg) \
    LINE; lla t5, trap_info; ld t5, TI_TVAL(t5); mv t6, reg; beq t5, t6, 9f; j fail; 9:
#define EXPECT_EPC_REG(reg) \
    LINE; lla t5, trap_info; ld t5, TI_EPC(t5); mv t6, reg; beq t5, t6, 9f; j fail; 9:
/* mtval of an illegal instruction: its bits, or 0. */
#define EXPECT_TVAL_INSN(val) \
    LINE; lla t5, trap_info; ld t5, TI_TVAL(t5); beqz t5, 9f; li t6, val; beq t5, t6, 9f; j fail; 9:
#define EXPECT_STATUS_BITS(mask, val) \
    LINE; lla t5, trap_info; ld t5, TI_STATUS(t5); li t6, mask; and t5, t5, t6; li t6, val; \
    beq t5, t6, 9f; j fail; 9:

/* The instruction(s) must trap, here and now, with this cause. */
#define EXPECT_TRAP(cause, ...) \
    LINE; lla s10, 8f; 7: __VA_ARGS__; j fail_no_trap; \
    8: lla t4, trap_info; ld t5, TI_CAUSE(t4); li t6, cause; beq t5, t6, 9f; j fail; 9:; \
    lla t6, 7b; ld t5, TI_EPC(t4); beq t5, t6, 9f; j fail; 9:
/* As above, but the trap may come from a later one of the instructions. */
#define EXPECT_TRAP_ANY(cause, ...) \
    LINE; lla s10, 8f; __VA_ARGS__; j fail_no_trap; \
    8: lla t4, trap_info; ld t5, TI_CAUSE(t4); li t6, cause; beq t5, t6, 9f; j fail; 9:

/* Run instructions in a lower mode, then ecall back. t4 is lost before they run. */
#define IN_MODE(mode, ...) \
    LINE; lla s10, 8f; li t4, MSTATUS_MPP | MSTATUS_MPIE; csrc mstatus, t4; li t4, (mode) << 11; csrs mstatus, t4; \
    lla t4, 7f; csrw mepc, t4; mret; 7: __VA_ARGS__; ecall; 8:
#define EXPECT_TRAP_IN(mode, cause, ...) \
    IN_MODE(mode, __VA_ARGS__); EXPECT_CAUSE(cause)
#define EXPECT_OK_IN(mode, ...) \
    IN_MODE(mode, __VA_ARGS__); EXPECT_CAUSE(8 + (mode))
/* Jump to the address in reg in a mode: for fetch tests. Goes on after the next trap. */
#define JUMP_MODE(mode, reg) \
    LINE; lla s10, 8f; li t4, MSTATUS_MPP | MSTATUS_MPIE; csrc mstatus, t4; li t4, (mode) << 11; csrs mstatus, t4; \
    csrw mepc, reg; mret; 8:
/* A data access as if in a mode, from M-mode by MPRV. */
#define AS_MODE(mode, ...) \
    LINE; lla s10, 8f; li t4, MSTATUS_MPP; csrc mstatus, t4; \
    li t4, ((mode) << 11) | MSTATUS_MPRV; csrs mstatus, t4; __VA_ARGS__; \
    li t4, MSTATUS_MPRV; csrc mstatus, t4; li s10, 0; lla t4, trap_info; li t5, -1; \
    sd t5, TI_CAUSE(t4); 8: nop
#define EXPECT_OK_AS(mode, ...) \
    AS_MODE(mode, __VA_ARGS__); EXPECT_CAUSE(-1)
#define EXPECT_TRAP_AS(mode, cause, ...) \
    AS_MODE(mode, __VA_ARGS__); EXPECT_CAUSE(cause)

    .option norelax
    .option arch, +svinval, +zicbom, +zicboz
    .section .text
    .globl _start
_start:
    csrr t0, mhartid
    lla t1, mtrap
    csrw mtvec, t1
    csrw mie, zero
    csrw medeleg, zero
    csrw mideleg, zero
    csrw satp, zero
    li t1, MSTATUS_MIE | MSTATUS_SIE | MSTATUS_MPRV | MSTATUS_SUM | MSTATUS_MXR | MSTATUS_TVM | \
        MSTATUS_TW | MSTATUS_TSR
    csrc mstatus, t1
    li t1, -1
    csrw pmpaddr0, t1
    li t1, 0x1f
    csrw pmpcfg0, t1
    li s10, 0
    li s11, 0
    lla sp, stacks
    addi t1, t0, 1
    slli t1, t1, 12
    add sp, sp, t1
#ifdef HARTS
    j main
#else
    beqz t0, main
1:  wfi
    j 1b
#endif

/* M-mode traps. t4-t6 are lost. */
    .balign 4
mtrap:
    csrr t4, mcause
    beqz s10, fail_trap
    lla t5, trap_info
    sd t4, TI_CAUSE(t5)
    csrr t4, mepc
    sd t4, TI_EPC(t5)
    csrr t4, mtval
    sd t4, TI_TVAL(t5)
    csrr t4, mstatus
    sd t4, TI_STATUS(t5)
    ld t4, TI_COUNT(t5)
    addi t4, t4, 1
    sd t4, TI_COUNT(t5)
    csrw mepc, s10
    li s10, 0
    li t4, MSTATUS_MPRV | MSTATUS_MPIE
    csrc mstatus, t4
    li t4, MSTATUS_MPP
    csrs mstatus, t4
    mret

pass:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
1:  j 1b

fail_trap:
    lla a0, text_trap
    call puts
    csrr a0, mcause
    call puthex
    csrr a0, mepc
    call puthex
    csrr a0, mtval
    call puthex
    j fail_end
fail_no_trap:
    lla a0, text_no_trap
    call puts
    j fail_end
fail:
    mv s8, t5
    mv s9, t6
    lla a0, text_fail
    call puts
    mv a0, s8
    call puthex
    mv a0, s9
    call puthex
    lla a0, text_last
    call puts
    lla s7, trap_info
    ld a0, TI_CAUSE(s7)
    call puthex
    ld a0, TI_EPC(s7)
    call puthex
    ld a0, TI_TVAL(s7)
    call puthex
fail_end:
    lla a0, text_line
    call puts
    mv a0, s11
    call putdec
    li a0, '\n'
    call putch
    li t0, 0x100000
    bnez s11, 1f
    li s11, 1
1:  slli t1, s11, 16
    li t2, 0x3333
    or t1, t1, t2
    sw t1, 0(t0)
1:  j 1b

putch:
    li t0, 0x10000000
1:  lbu t1, 5(t0)
    andi t1, t1, 0x20
    beqz t1, 1b
    sb a0, 0(t0)
    ret
puts:
    mv a5, a0
    mv a6, ra
2:  lbu a0, 0(a5)
    beqz a0, 3f
    call putch
    addi a5, a5, 1
    j 2b
3:  mv ra, a6
    ret
puthex:
    mv a5, a0
    mv a6, ra
    li a7, 60
2:  srl a0, a5, a7
    andi a0, a0, 15
    addi a0, a0, '0'
    li t2, '9'
    ble a0, t2, 3f
    addi a0, a0, 'a' - '9' - 1
3:  call putch
    addi a7, a7, -4
    bgez a7, 2b
    li a0, ' '
    call putch
    mv ra, a6
    ret
putdec:
    mv a6, ra
    li a5, 10000
    mv a7, a0
2:  divu a0, a7, a5
    remu a7, a7, a5
    addi a0, a0, '0'
    call putch
    li t2, 10
    divu a5, a5, t2
    bnez a5, 2b
    mv ra, a6
    ret

    .section .rodata
text_trap: .asciz "unexpected trap: cause epc tval "
text_no_trap: .asciz "expected trap did not come "
text_fail: .asciz "got want "
text_last: .asciz "last trap: cause epc tval "
text_line: .asciz "line "

    .section .data
    .balign 64
    .globl tohost, fromhost
tohost: .dword 0
    .balign 64
fromhost: .dword 0
    .balign 64
trap_info: .dword 0, 0, 0, 0, 0
    .section .bss
    .balign 4096
stacks: .skip 4096 * 8

    .section .text
    .balign 4
/* clang-format on */
#endif
