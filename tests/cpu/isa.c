/* Look-up, reserved-encoding rules and a small disassembler over the table of isa_table.c. */
#include "isa.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

static const char *const isa_ext_name[ISA_EXT_COUNT] = {
    "i",     "m",      "a",      "f",        "d",     "c",     "zba", "zbb",   "zbc",
    "zbs",   "zicond", "zfa",    "zfh",      "zacas", "zabha", "zcb", "zimop", "zcmop",
    "zawrs", "zicboz", "zicbom", "zifencei", "zicsr", "zbkb",  "zbkx"};

static unsigned bits(uint32_t v, unsigned hi, unsigned lo)
{
    return (v >> lo) & ((1u << (hi - lo + 1)) - 1);
}

static int32_t sext(uint32_t v, unsigned width)
{
    uint32_t sign = 1u << (width - 1);

    return (int32_t)((v ^ sign) - sign);
}

/* Free bits that the manual reserves although mask and match agree. */
static bool isa_reserved(const struct isa_insn *in, uint32_t w)
{
    unsigned rm = bits(w, 14, 12), rd = bits(w, 11, 7);

    switch (in->fmt) {
    case FMT_F3:
    case FMT_F4:
    case FMT_F2:
    case FMT_XF:
    case FMT_FX:
        return rm == 5 || rm == 6;
    case FMT_CAS:
        return in->memsz == 16 && ((rd & 1) || (bits(w, 24, 20) & 1));
    case FMT_CADDI4SPN:
        return bits(w, 12, 5) == 0;
    case FMT_CADDI16SP:
    case FMT_CLUI:
        return bits(w, 12, 12) == 0 && bits(w, 6, 2) == 0;
    case FMT_CLSP:
        return rd == 0;
    case FMT_CJR:
        return rd == 0;
    case FMT_CMV:
        return bits(w, 6, 2) == 0;
    case FMT_CI:
        return in->match == 0x2001 && rd == 0;
    default:
        return false;
    }
}

const struct isa_insn *isa_find(uint32_t insn, uint32_t features)
{
    bool rvc = (insn & 3) != 3;
    uint32_t w = rvc ? insn & 0xffff : insn;

    for (size_t i = 0; i < isa_count; i++) {
        const struct isa_insn *in = &isa_table[i];

        if ((in->ext & features) != in->ext || (w & in->mask) != in->match) {
            continue;
        }
        if (rvc == ((in->match & 3) != 3) && !isa_reserved(in, w)) {
            return in;
        }
    }
    return NULL;
}

bool isa_legal(uint32_t insn, uint32_t features, unsigned frm)
{
    const struct isa_insn *in = isa_find(insn, features);
    bool has_rm = in && (in->fmt == FMT_F3 || in->fmt == FMT_F4 || in->fmt == FMT_F2 ||
                         in->fmt == FMT_XF || in->fmt == FMT_FX);

    return in && !(has_rm && bits(insn, 14, 12) == 7 && frm > 4);
}

/* Branch and jump offsets. */
static int32_t off_b(uint32_t w)
{
    return sext(bits(w, 31, 31) << 12 | bits(w, 7, 7) << 11 | bits(w, 30, 25) << 5 |
                    bits(w, 11, 8) << 1,
                13);
}

static int32_t off_j(uint32_t w)
{
    return sext(bits(w, 31, 31) << 20 | bits(w, 19, 12) << 12 | bits(w, 20, 20) << 11 |
                    bits(w, 30, 21) << 1,
                21);
}

static int32_t off_cj(uint32_t w)
{
    return sext(bits(w, 12, 12) << 11 | bits(w, 11, 11) << 4 | bits(w, 10, 9) << 8 |
                    bits(w, 8, 8) << 10 | bits(w, 7, 7) << 6 | bits(w, 6, 6) << 7 |
                    bits(w, 5, 3) << 1 | bits(w, 2, 2) << 5,
                12);
}

static int32_t off_cb(uint32_t w)
{
    return sext(bits(w, 12, 12) << 8 | bits(w, 11, 10) << 3 | bits(w, 6, 5) << 6 |
                    bits(w, 4, 3) << 1 | bits(w, 2, 2) << 5,
                9);
}

static unsigned uimm_cl(const struct isa_insn *in, uint32_t w)
{
    return in->memsz == 4 ? bits(w, 12, 10) << 3 | bits(w, 6, 6) << 2 | bits(w, 5, 5) << 6
                          : bits(w, 12, 10) << 3 | bits(w, 6, 5) << 6;
}

static unsigned uimm_clsp(const struct isa_insn *in, uint32_t w)
{
    return in->memsz == 4 ? bits(w, 12, 12) << 5 | bits(w, 6, 4) << 2 | bits(w, 3, 2) << 6
                          : bits(w, 12, 12) << 5 | bits(w, 6, 5) << 3 | bits(w, 4, 2) << 6;
}

static unsigned uimm_cssp(const struct isa_insn *in, uint32_t w)
{
    return in->memsz == 4 ? bits(w, 12, 9) << 2 | bits(w, 8, 7) << 6
                          : bits(w, 12, 10) << 3 | bits(w, 9, 7) << 6;
}

static void print_rvc(char *b, size_t n, const struct isa_insn *in, uint64_t pc, uint32_t w)
{
    unsigned rd = bits(w, 11, 7), rs2 = bits(w, 6, 2);
    unsigned r1c = bits(w, 9, 7) + 8, r2c = bits(w, 4, 2) + 8;
    int32_t imm6 = sext(bits(w, 12, 12) << 5 | bits(w, 6, 2), 6);

    switch ((enum isa_fmt)in->fmt) {
    case FMT_CADDI4SPN:
        snprintf(b, n, "x%u, sp, %u", r2c,
                 bits(w, 12, 11) << 4 | bits(w, 10, 7) << 6 | bits(w, 6, 6) << 2 |
                     bits(w, 5, 5) << 3);
        break;
    case FMT_CLS:
    case FMT_CLSF:
        snprintf(b, n, "%c%u, %u(x%u)", in->fmt == FMT_CLS ? 'x' : 'f', r2c, uimm_cl(in, w), r1c);
        break;
    case FMT_CLB:
        snprintf(b, n, "x%u, %u(x%u)", r2c, bits(w, 6, 6) | bits(w, 5, 5) << 1, r1c);
        break;
    case FMT_CLH:
        snprintf(b, n, "x%u, %u(x%u)", r2c, bits(w, 5, 5) << 1, r1c);
        break;
    case FMT_CI:
    case FMT_CLUI:
        snprintf(b, n, "x%u, %d", rd, imm6);
        break;
    case FMT_CADDI16SP:
        snprintf(b, n, "sp, %d",
                 sext(bits(w, 12, 12) << 9 | bits(w, 6, 6) << 4 | bits(w, 5, 5) << 6 |
                          bits(w, 4, 3) << 7 | bits(w, 2, 2) << 5,
                      10));
        break;
    case FMT_CSH:
        snprintf(b, n, "x%u, %d", rd, imm6 & 63);
        break;
    case FMT_CSHP:
        snprintf(b, n, "x%u, %d", r1c, imm6 & 63);
        break;
    case FMT_CANDI:
        snprintf(b, n, "x%u, %d", r1c, imm6);
        break;
    case FMT_CA:
        snprintf(b, n, "x%u, x%u", r1c, r2c);
        break;
    case FMT_CU:
        snprintf(b, n, "x%u", r1c);
        break;
    case FMT_CJ:
        snprintf(b, n, "0x%" PRIx64, pc + (uint64_t)(int64_t)off_cj(w));
        break;
    case FMT_CB:
        snprintf(b, n, "x%u, 0x%" PRIx64, r1c, pc + (uint64_t)(int64_t)off_cb(w));
        break;
    case FMT_CLSP:
    case FMT_CLSPF:
        snprintf(b, n, "%c%u, %u(sp)", in->fmt == FMT_CLSP ? 'x' : 'f', rd, uimm_clsp(in, w));
        break;
    case FMT_CSSP:
    case FMT_CSSPF:
        snprintf(b, n, "%c%u, %u(sp)", in->fmt == FMT_CSSP ? 'x' : 'f', rs2, uimm_cssp(in, w));
        break;
    case FMT_CMV:
        snprintf(b, n, "x%u, x%u", rd, rs2);
        break;
    case FMT_CJR:
        snprintf(b, n, "x%u", rd);
        break;
    default:
        break;
    }
}

static void print_rv32(char *b, size_t n, const struct isa_insn *in, uint64_t pc, uint32_t w)
{
    static const char *const rm_name[8] = {"rne", "rtz", "rdn", "rup", "rmm", "?", "?", "dyn"};
    unsigned rd = bits(w, 11, 7), rs1 = bits(w, 19, 15), rs2 = bits(w, 24, 20);
    const char *rm = rm_name[bits(w, 14, 12)];
    int32_t imm = sext(w >> 20, 12);

    switch ((enum isa_fmt)in->fmt) {
    case FMT_R:
    case FMT_MOPRR:
        snprintf(b, n, "x%u, x%u, x%u", rd, rs1, rs2);
        break;
    case FMT_R1:
    case FMT_MOPR:
        snprintf(b, n, "x%u, x%u", rd, rs1);
        break;
    case FMT_I:
        snprintf(b, n, "x%u, x%u, %d", rd, rs1, imm);
        break;
    case FMT_SH6:
        snprintf(b, n, "x%u, x%u, %u", rd, rs1, bits(w, 25, 20));
        break;
    case FMT_SH5:
        snprintf(b, n, "x%u, x%u, %u", rd, rs1, rs2);
        break;
    case FMT_U:
        snprintf(b, n, "x%u, 0x%x", rd, w >> 12);
        break;
    case FMT_LOAD:
    case FMT_JALR:
        snprintf(b, n, "x%u, %d(x%u)", rd, imm, rs1);
        break;
    case FMT_FLOAD:
        snprintf(b, n, "f%u, %d(x%u)", rd, imm, rs1);
        break;
    case FMT_STORE:
    case FMT_FSTORE:
        snprintf(b, n, "%c%u, %d(x%u)", in->fmt == FMT_STORE ? 'x' : 'f', rs2,
                 sext(bits(w, 31, 25) << 5 | rd, 12), rs1);
        break;
    case FMT_B:
        snprintf(b, n, "x%u, x%u, 0x%" PRIx64, rs1, rs2, pc + (uint64_t)(int64_t)off_b(w));
        break;
    case FMT_J:
        snprintf(b, n, "x%u, 0x%" PRIx64, rd, pc + (uint64_t)(int64_t)off_j(w));
        break;
    case FMT_AMO:
    case FMT_CAS:
    case FMT_SC:
        snprintf(b, n, "x%u, x%u, (x%u)%s%s", rd, rs2, rs1, w >> 26 & 1 ? " aq" : "",
                 w >> 25 & 1 ? " rl" : "");
        break;
    case FMT_LR:
        snprintf(b, n, "x%u, (x%u)", rd, rs1);
        break;
    case FMT_CSR:
        snprintf(b, n, "x%u, 0x%03x, x%u", rd, w >> 20, rs1);
        break;
    case FMT_CSRI:
        snprintf(b, n, "x%u, 0x%03x, %u", rd, w >> 20, rs1);
        break;
    case FMT_CBO:
        snprintf(b, n, "(x%u)", rs1);
        break;
    case FMT_F3:
        snprintf(b, n, "f%u, f%u, f%u, %s", rd, rs1, rs2, rm);
        break;
    case FMT_F3N:
        snprintf(b, n, "f%u, f%u, f%u", rd, rs1, rs2);
        break;
    case FMT_F4:
        snprintf(b, n, "f%u, f%u, f%u, f%u, %s", rd, rs1, rs2, w >> 27, rm);
        break;
    case FMT_F2:
        snprintf(b, n, "f%u, f%u, %s", rd, rs1, rm);
        break;
    case FMT_XF:
        snprintf(b, n, "x%u, f%u, %s", rd, rs1, rm);
        break;
    case FMT_XFN:
        snprintf(b, n, "x%u, f%u", rd, rs1);
        break;
    case FMT_FX:
        snprintf(b, n, "f%u, x%u, %s", rd, rs1, rm);
        break;
    case FMT_FXN:
        snprintf(b, n, "f%u, x%u", rd, rs1);
        break;
    case FMT_XFF:
        snprintf(b, n, "x%u, f%u, f%u", rd, rs1, rs2);
        break;
    case FMT_FLI:
        snprintf(b, n, "f%u, #%u", rd, rs1);
        break;
    default:
        break;
    }
}

unsigned isa_print(char *buf, size_t len, uint64_t pc, uint32_t insn, uint32_t features)
{
    unsigned size = isa_len((uint16_t)insn);
    const struct isa_insn *in = isa_find(insn, features);
    char ops[80] = "";

    if (!in) {
        snprintf(buf, len, "%-10s", "(unknown)");
    } else {
        if (size == 2) {
            print_rvc(ops, sizeof(ops), in, pc, insn & 0xffff);
        } else {
            print_rv32(ops, sizeof(ops), in, pc, insn);
        }
        snprintf(buf, len, "%-10s %s", in->name, ops);
    }
    return size;
}

void isa_feature_names(char *buf, size_t len, uint32_t features)
{
    size_t at = 0;

    buf[0] = 0;
    for (unsigned i = 0; i < ISA_EXT_COUNT; i++) {
        if ((features >> i & 1) && at < len) {
            int n = snprintf(buf + at, len - at, "%s%s", at ? " " : "", isa_ext_name[i]);

            at += n > 0 ? (size_t)n : 0;
        }
    }
}

uint32_t isa_feature_bit(const char *name)
{
    for (unsigned i = 0; i < ISA_EXT_COUNT; i++) {
        if (strcmp(name, isa_ext_name[i]) == 0) {
            return 1u << i;
        }
    }
    return 0;
}
