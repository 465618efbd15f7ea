/* Code that is written while it is there: fence.i, jumps into the middle, pages of code and data. */
#include "priv.inc"
#define LI_A0(n) ((n) << 20 | 0x513)
#define RET 0x8082
main:
    lla s0, patch
    li s1, 0
    li s2, 200
    /* The same place, patched and called over and over. */
1:  slli a1, s1, 20
    li a2, 0x513
    or a1, a1, a2
    sw a1, 0(s0)
    fence.i
    jalr s0
    EXPECT_REG(a0, s1)
    addi s1, s1, 1
    bne s1, s2, 1b
    /* One halfword of a 4-byte instruction. */
    li a1, 0x1230
    sh a1, 2(s0)
    fence.i
    jalr s0
    EXPECT(a0, 0x123)
    /* One byte. */
    li a1, 0x45
    sb a1, 3(s0)
    fence.i
    jalr s0
    EXPECT(a0, 0x453)
    /* By other means: AMO, a store that straddles two pages, FP store, cbo.zero is in cbo.S. */
    li a1, LI_A0(0x222)
    amoswap.w zero, a1, (s0)
    fence.i
    jalr s0
    EXPECT(a0, 0x222)
    li a0, MSTATUS_FS
    csrs mstatus, a0
    li a1, (RET << 32) | LI_A0(0x333)
    fmv.d.x f0, a1
    fsd f0, 0(s0)
    fence.i
    jalr s0
    EXPECT(a0, 0x333)
    lr.w a2, (s0)
    li a1, LI_A0(0x444)
    sc.w a2, a1, (s0)
    EXPECT(a2, 0)
    fence.i
    jalr s0
    EXPECT(a0, 0x444)
    lla s3, border
    li a1, (RET << 32) | LI_A0(0x555)
    sd a1, 0(s3)                     /* over the page border, misaligned */
    fence.i
    jalr s3
    EXPECT(a0, 0x555)
    li a1, (RET << 32) | LI_A0(0x666)
    sd a1, 0(s3)
    fence.i
    jalr s3
    EXPECT(a0, 0x666)
    li a1, 0x7770                    /* second page only: the tail of the instruction */
    sh a1, 2(s3)
    fence.i
    jalr s3
    EXPECT(a0, 0x777)
    /* A block that patches what follows in itself. */
    li s4, 3
2:  lla a1, 3f
    li a2, LI_A0(0x100)
    slli a3, s4, 20
    add a2, a2, a3
    sw a2, 0(a1)
    fence.i
    .balign 4
    .option push
    .option norvc
3:  li a0, 0
    .option pop
    addi a3, s4, 0x100
    EXPECT_REG(a0, a3)
    addi s4, s4, -1
    bnez s4, 2b
    /* Entry in the middle of an instruction: its second half is one of its own. */
    lla a1, middle
    li a0, 0
    jalr a1
    EXPECT(a0, 0x50)
    lla a1, middle + 2
    li a0, 0
    jalr a1
    EXPECT(a0, 1)
    lla a1, middle
    li a0, 0
    jalr a1
    EXPECT(a0, 0x50)
    /* Data and code on one page: stores beside the running code change nothing of it. */
    lla s5, beside
    li s6, 300
4:  sd s6, 0(s5)
    ld a1, 0(s5)
    bne a1, s6, 5f
    addi s6, s6, -1
    bnez s6, 4b
    j 6f
5:  LINE
    j fail
6:  /* A whole routine is copied, run, overwritten by another, run: like an overlay. */
    li s6, 20
7:  lla a1, over_a
    call copy_overlay
    lla a2, overlay
    jalr a2
    EXPECT(a0, 10)
    lla a1, over_b
    call copy_overlay
    lla a2, overlay
    jalr a2
    EXPECT(a0, 45)
    addi s6, s6, -1
    bnez s6, 7b
    j pass

copy_overlay:
    lla a2, overlay
    li a3, 8
1:  lw a4, 0(a1)
    sw a4, 0(a2)
    addi a1, a1, 4
    addi a2, a2, 4
    addi a3, a3, -1
    bnez a3, 1b
    fence.i
    ret
    .balign 8
    .option push
    .option norvc
over_a:
    li a0, 0
    li a5, 4
1:  add a0, a0, a5
    addi a5, a5, -1
    bnez a5, 1b
    ret
    nop
    nop
over_b:
    li a0, 0
    li a5, 9
1:  add a0, a0, a5
    addi a5, a5, -1
    bnez a5, 1b
    ret
    nop
    nop
    .balign 64
overlay: .skip 64
    .balign 8
patch:
    li a0, 0
    .half RET
    .half RET
    .balign 8
beside: .dword 0
    .balign 8
    /* Upper half 0x0505 is c.addi a0, 1; as the end of an addi it is imm 0x050 and rs1 = a0 or a1. */
middle:
    .half 0x0513, 0x0505
    .half RET
    .balign 4096
    .skip 4094
border: .skip 16
