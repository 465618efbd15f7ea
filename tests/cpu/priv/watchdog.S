/* The i6300esb watchdog on PCI Express: it is found, runs out, resets the machine, and says so afterwards
 * (Intel 6300ESB datasheet, chapter 16). */
#include "priv.inc"
#define ECAM   0x30000000
#define BAR    0x40000000
#define ID     0x25ab8086
main:
    /* Which slot of the root bus? */
    li s0, ECAM
    li s2, 32
    li s3, ID
    li s4, 1 << 15
    LINE
1:  lwu a0, 0(s0)
    beq a0, s3, 2f
    add s0, s0, s4
    addi s2, s2, -1
    bnez s2, 1b
    j fail
2:  lbu a0, 0x68(s0)
    EXPECT_BITS(a0, 3, 0)           /* off, not locked: after a reset, too */
    li s1, BAR
    sw s1, 0x10(s0)
    li a0, 2
    sh a0, 4(s0)
    lhu a0, 0xc(s1)
    andi a0, a0, 0x200
    bnez a0, again

    /* Writes without keys are ignored. */
    li a0, 7
    sw a0, 0(s1)
    li s5, 0x80
    li s6, 0x86
    li a1, 1000
    sh s5, 0xc(s1)
    sh s6, 0xc(s1)
    sw a1, 0(s1)
    sh s5, 0xc(s1)
    sh s6, 0xc(s1)
    sw a1, 4(s1)
    /* The fast clock, no interrupt, output on; start. It is kept alive for a while, for much longer than it has. */
    li a0, 7
    sh a0, 0x60(s0)
    li a0, 2
    sb a0, 0x68(s0)
    li a3, CLINT_MTIME
    ld a4, 0(a3)
    li a5, 100000                   /* 10 ms */
    add a4, a4, a5
    li a2, 0x100
3:  sh s5, 0xc(s1)
    sh s6, 0xc(s1)
    sh a2, 0xc(s1)
    ld a5, 0(a3)
    bltu a5, a4, 3b
    /* And now it hangs. */
4:  j 4b

/* After the reset: it is remembered, until it is cleared. */
again:
    li s5, 0x80
    li s6, 0x86
    sh s5, 0xc(s1)
    sh s6, 0xc(s1)
    li a0, 0x200
    sh a0, 0xc(s1)
    lhu a0, 0xc(s1)
    EXPECT_BITS(a0, 0x200, 0)
    j pass
