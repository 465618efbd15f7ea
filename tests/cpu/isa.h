/*
 * A second opinion on RISC-V encodings, for tests only.
 *
 * The table in isa_table.c is written from the RISC-V Unprivileged ISA manual (version 20240411 and
 * the ratified Zacas, Zabha, Zfa, Zcb, Zimop chapters) and shares nothing with the decoder in
 * src/cpu: a slip in either shows up as a difference against the independent model.
 */
#ifndef TESTS_CPU_ISA_H
#define TESTS_CPU_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Extension bits: the feature mask of a batch says which of them the generator may use. */
enum isa_ext {
    ISA_I = 1u << 0,
    ISA_M = 1u << 1,
    ISA_A = 1u << 2,
    ISA_F = 1u << 3,
    ISA_D = 1u << 4,
    ISA_C = 1u << 5,
    ISA_ZBA = 1u << 6,
    ISA_ZBB = 1u << 7,
    ISA_ZBC = 1u << 8,
    ISA_ZBS = 1u << 9,
    ISA_ZICOND = 1u << 10,
    ISA_ZFA = 1u << 11,
    ISA_ZFH = 1u << 12,
    ISA_ZACAS = 1u << 13,
    ISA_ZABHA = 1u << 14,
    ISA_ZCB = 1u << 15,
    ISA_ZIMOP = 1u << 16,
    ISA_ZCMOP = 1u << 17,
    ISA_ZAWRS = 1u << 18,
    ISA_ZICBOZ = 1u << 19,
    ISA_ZICBOM = 1u << 20,
    ISA_ZIFENCEI = 1u << 21,
    ISA_ZICSR = 1u << 22,
    ISA_ZBKB = 1u << 23,
    ISA_ZBKX = 1u << 24,
};
#define ISA_EXT_COUNT 25

/* Operand kinds: how the free bits of an encoding are filled and printed. */
enum isa_fmt {
    FMT_R,      /* rd, rs1, rs2 */
    FMT_R1,     /* rd, rs1 */
    FMT_I,      /* rd, rs1, imm12 */
    FMT_SH6,    /* rd, rs1, shamt 0-63 */
    FMT_SH5,    /* rd, rs1, shamt 0-31 */
    FMT_U,      /* rd, imm20 */
    FMT_LOAD,   /* rd, imm12(rs1) */
    FMT_STORE,  /* rs2, imm12(rs1) */
    FMT_B,      /* rs1, rs2, target */
    FMT_J,      /* rd, target */
    FMT_JALR,   /* rd, imm12(rs1) */
    FMT_FENCE,  /* pred, succ */
    FMT_NONE,   /* no operands */
    FMT_AMO,    /* rd, rs2, (rs1), aq rl */
    FMT_CAS,    /* the same, rd is read too; .q takes even pairs */
    FMT_LR,     /* rd, (rs1) */
    FMT_SC,     /* rd, rs2, (rs1) */
    FMT_CSR,    /* rd, csr, rs1 */
    FMT_CSRI,   /* rd, csr, uimm5 */
    FMT_CBO,    /* (rs1) */
    FMT_MOPR,   /* rd, rs1 */
    FMT_MOPRR,  /* rd, rs1, rs2 */
    FMT_FLOAD,  /* fd, imm12(rs1) */
    FMT_FSTORE, /* fs2, imm12(rs1) */
    FMT_F3,     /* fd, fs1, fs2, rm */
    FMT_F3N,    /* fd, fs1, fs2 */
    FMT_F4,     /* fd, fs1, fs2, fs3, rm */
    FMT_F2,     /* fd, fs1, rm */
    FMT_XF,     /* rd, fs1, rm */
    FMT_XFN,    /* rd, fs1 */
    FMT_FX,     /* fd, rs1, rm */
    FMT_FXN,    /* fd, rs1 */
    FMT_XFF,    /* rd, fs1, fs2 */
    FMT_FLI,    /* fd, index */
    /* compressed */
    FMT_CADDI4SPN,
    FMT_CLS,  /* rd'/rs2', uimm(rs1'): size from memsz */
    FMT_CLSF, /* the same with fd' */
    FMT_CI,   /* rd, imm6 (c.addi, c.addiw, c.li) */
    FMT_CADDI16SP,
    FMT_CLUI,
    FMT_CSH,  /* c.slli: rd, shamt */
    FMT_CSHP, /* c.srli, c.srai: rd', shamt */
    FMT_CANDI,
    FMT_CA, /* rd', rs2' */
    FMT_CJ,
    FMT_CB,   /* rs1', target */
    FMT_CLSP, /* rd, uimm(sp) */
    FMT_CLSPF,
    FMT_CSSP, /* rs2, uimm(sp) */
    FMT_CSSPF,
    FMT_CMV, /* rd, rs2: c.mv, c.add */
    FMT_CJR, /* rs1 */
    FMT_CU,  /* rd' (Zcb unary) */
    FMT_CLB, /* Zcb byte load/store */
    FMT_CLH, /* Zcb half load/store */
    FMT_CNONE,
    FMT_CMOP, /* nothing to choose but n */
};

enum isa_flag {
    IF_LOAD = 1u << 0,
    IF_STORE = 1u << 1,
    IF_SYS = 1u << 2, /* leaves user code (ecall, ebreak, xRET, wfi): never generated at random */
};

struct isa_insn {
    const char *name;
    uint32_t match, mask;
    uint8_t fmt;
    uint8_t memsz; /* bytes a memory operand spans, 0 for none */
    uint16_t flags;
    uint32_t ext; /* every bit is needed */
};

extern const struct isa_insn isa_table[];
extern const size_t isa_count;

/* The entry that matches, or NULL. Bits 1:0 of insn tell the length; only low 16 bits count for
 * RVC. */
const struct isa_insn *isa_find(uint32_t insn, uint32_t features);

/* Whether insn may run while frm holds @frm: reserved modes make rm=dyn illegal. */
bool isa_legal(uint32_t insn, uint32_t features, unsigned frm);

/* Length in bytes of the instruction whose first halfword is given: 2 or 4. */
static inline unsigned isa_len(uint16_t half)
{
    return (half & 3) == 3 ? 4 : 2;
}

/* Prints one instruction at pc into buf; returns its length in bytes. */
unsigned isa_print(char *buf, size_t len, uint64_t pc, uint32_t insn, uint32_t features);

/* "+zba+zbb" style text of a feature mask. */
void isa_feature_names(char *buf, size_t len, uint32_t features);

/* One extension bit by its name, 0 when unknown. */
uint32_t isa_feature_bit(const char *name);

#endif
