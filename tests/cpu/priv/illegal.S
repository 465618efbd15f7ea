/*
 * Reserved and absent encodings trap (Unprivileged ISA; C chapter's reserved rows; CSR rights are in
 * csr.S); hints and defined no-ops do not. Valid forms are compared with a model by cpu_diff.
 */
#include "priv.inc"
#define BAD32(w) EXPECT_TRAP(C_ILLEGAL, .word w); EXPECT_TVAL_INSN((w) & 0xffffffff)
#define BAD16(h) EXPECT_TRAP(C_ILLEGAL, .half h); EXPECT_TVAL_INSN(h)
#define FINE32(w) LINE; .word w
#define FINE16(h) LINE; .half h
main:
    li a0, MSTATUS_FS
    csrs mstatus, a0
    csrwi frm, 0
    /* All zeros, all ones, and longer formats. */
    BAD16(0x0000)
    BAD32(0xffffffff)
    BAD32(0x0000001f)
    BAD32(0x0000003f)
    BAD32(0x0000007f)
    /* Base opcodes with reserved funct3 or funct7. */
    BAD32(0x00007003)                  /* load, funct3 7 */
    BAD32(0x00004023)                  /* store, funct3 4 */
    BAD32(0x00002063)                  /* branch, funct3 2 */
    BAD32(0x00003063)
    BAD32(0x00001067)                  /* jalr, funct3 1 */
    BAD32(0x04001013)                  /* slli with bit 26 */
    BAD32(0x80001013)
    BAD32(0x04005013)
    BAD32(0xc0005013)
    BAD32(0x0200101b)                  /* slliw with shamt 32 */
    BAD32(0x0200501b)
    BAD32(0x4200501b)
    BAD32(0x0000201b)                  /* OP-IMM-32 funct3 2 */
    BAD32(0x0000301b)
    BAD32(0x0000401b)
    BAD32(0x40001033)                  /* sll with funct7 0x20 */
    BAD32(0x40002033)
    BAD32(0x04000033)
    BAD32(0x80000033)
    BAD32(0x0000203b)
    BAD32(0x0200103b)                  /* OP-32 funct7 1: mulhw is none */
    BAD32(0x0200203b)
    BAD32(0x0200303b)
    BAD32(0x0000300f)                  /* MISC-MEM funct3 3 */
    BAD32(0x0000400f)
    BAD32(0x0030200f)                  /* cbo 3 */
    BAD32(0x0050200f)
    BAD32(0x0000208f)                  /* cbo.inval with rd */
    /* System. */
    BAD32(0x00200073)                  /* uret of old */
    BAD32(0x00000173)                  /* ecall with rd */
    BAD32(0x00008073)                  /* ecall with rs1 */
    BAD32(0x10200173)                  /* sret with rd */
    BAD32(0x10508073)                  /* wfi with rs1 */
    BAD32(0x12000173)                  /* sfence.vma with rd */
    BAD32(0x7b200073)                  /* dret outside debug mode */
    BAD32(0x00004073)                  /* SYSTEM funct3 4: not a mop */
    BAD32(0x60004073)                  /* hypervisor loads: no H */
    BAD32(0x22000073)                  /* hfence.vvma */
    BAD32(0x62000073)                  /* hfence.gvma */
    /* Atomics. */
    BAD32(0x1010202f)                  /* lr.w with rs2 */
    BAD32(0x3000202f)                  /* funct5 6 */
    BAD32(0x0000502f)                  /* funct3 5 */
    BAD32(0x0000402f)                  /* amoadd.q */
    BAD32(0x1000002f)                  /* lr.b */
    /* Floating point. */
    BAD32(0x06000053)                  /* fadd.q */
    BAD32(0x00004007)                  /* flq */
    BAD32(0x00004027)
    BAD32(0x58100053)                  /* fsqrt.s with rs2 */
    BAD32(0x20003053)                  /* fsgnj funct3 3 */
    BAD32(0x28004053)                  /* fmin funct3 4 */
    BAD32(0xa0003053)                  /* fcmp funct3 3 */
    BAD32(0xe0002053)                  /* fclass row, funct3 2 */
    BAD32(0xc0400053)                  /* fcvt to an unknown integer type */
    BAD32(0x40000053)                  /* fcvt.s.s */
    BAD32(0x42100053)                  /* fcvt.d.d */
    BAD32(0xf0001053)                  /* fmv.w.x funct3 1 */
    BAD32(0x00005053)                  /* rm 5 */
    BAD32(0x00006043)                  /* fmadd.s rm 6 */
    BAD32(0x06000043)                  /* fmadd.q */
    /* Opcodes of extensions that are not there. */
    BAD32(0x00000057)                  /* V */
    BAD32(0x0d007057)                  /* vsetvli */
    BAD32(0x00000077)                  /* vector crypto */
    BAD32(0x0000000b)                  /* custom-0 */
    BAD32(0x0000002b)
    BAD32(0x0000005b)
    BAD32(0x0000007b)
    BAD32(0x0000006b)
    /* Bit manipulation: holes. */
    BAD32(0x60301013)                  /* between cpop and sext.b */
    BAD32(0x60601013)
    BAD32(0x28605013)                  /* orc.b with another pattern */
    BAD32(0x69805013)                  /* rev8 of RV32 */
    BAD32(0x0810403b)                  /* zext.h with rs2: packw (Zbkb) */
    BAD32(0x6030101b)                  /* after cpopw */
    /* Compressed. */
    BAD16(0x0004)                      /* c.addi4spn with imm 0 */
    BAD16(0x2001)                      /* c.addiw x0 */
    BAD16(0x6101)                      /* c.addi16sp 0 */
    BAD16(0x6201)                      /* c.lui x4, 0 (even: not a c.mop) */
    BAD16(0x4002)                      /* c.lwsp x0 */
    BAD16(0x6002)                      /* c.ldsp x0 */
    BAD16(0x8002)                      /* c.jr x0 */
    BAD16(0x9c79)                      /* Zcb's unary row: holes */
    BAD16(0x9c7d)
    BAD16(0x8c40)                      /* c.sh with bit 6 */

    /* Hints and no-ops. */
    li a1, 0x77
    FINE32(0x00000013)
    FINE32(0x12300013)                 /* addi x0, x0, imm */
    FINE32(0x00b50033)                 /* add x0, a0, a1 */
    FINE32(0x0010000f)                 /* pause */
    FINE32(0x8330000f)                 /* fence.tso */
    FINE32(0xf000000f)                 /* reserved fm: a plain fence */
    FINE32(0x0ff5858f)                 /* fence with rd, rs1 */
    FINE32(0x0000100f)                 /* fence.i */
    FINE32(0xfff5958f)                 /* fence.i with the ignored fields */
    FINE32(0x00056013)                 /* prefetch.i */
    FINE32(0x00156013)
    FINE32(0x00356013)
    FINE32(0x00200033)                 /* ntl.p1 */
    FINE16(0x0001)                     /* c.nop */
    FINE16(0x1001 | 4)                 /* c.nop with imm */
    FINE16(0x0581)                     /* c.addi a1, 0 */
    FINE16(0x4005)                     /* c.li x0 */
    FINE16(0x6005)                     /* c.lui x0 */
    FINE16(0x0006)                     /* c.slli x0, 1 */
    FINE16(0x802e)                     /* c.mv x0, a1 */
    FINE16(0x902e)                     /* c.add x0, a1 */
    FINE16(0x8181)                     /* c.srli a1, 0 */
    FINE16(0x6081)                     /* c.mop.1 */
    FINE16(0x6781)                     /* c.mop.15 */
    EXPECT(a1, 0x77)
    FINE32(0x81c045f3)                 /* mop.r.0 a1: writes 0 */
    EXPECT(a1, 0)
    li a1, 0x77
    FINE32(0x82b545f3)                 /* mop.rr.0 a1 */
    EXPECT(a1, 0)
    /* Custom read-only spaces and unknown CSRs stay illegal in each form. */
    EXPECT_TRAP(C_ILLEGAL, csrr a1, 0xcff)
    EXPECT_TRAP(C_ILLEGAL, csrwi 0x800, 0)
    EXPECT_TRAP(C_ILLEGAL, csrwi 0x7c0, 0)
    EXPECT_TRAP(C_ILLEGAL, csrwi 0x008, 1)  /* vstart */
    EXPECT_TRAP(C_ILLEGAL, csrr a1, 0x600)  /* hstatus */
    EXPECT_TRAP(C_ILLEGAL, csrr a1, 0x200)  /* vsstatus */
    j pass
