/*
 * The RISC-V decoder against second opinions: the encoding table of tests/cpu (written from the
 * manual apart from it), binutils' disassembler for all compressed encodings, and the rules of the
 * IR.
 */
#include "test.h"

#include "cpu/isa.h"
#include "cpu/riscv/decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct fixture {
    struct rv_hart hart; /* only config and decoder are set */
    struct vr_builder b;
};

static void use_config(struct fixture *f, uint64_t ext)
{
    free(f->hart.decoder);
    f->hart.config.ext = ext;
    f->hart.decoder = rv_decoder_create(&f->hart.config);
    assert_non_null(f->hart.decoder);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    rv_config_default(&f->hart.config);
    use_config(f, f->hart.config.ext);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    free(f->hart.decoder);
    free(f);
    return 0;
}

static uint64_t random64(uint64_t *s) /* splitmix64 */
{
    uint64_t z = *s += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

/* Decode one instruction at offset @at of a fresh block. */
static unsigned decode(struct fixture *f, uint32_t insn, unsigned at)
{
    uint8_t code[4] = {(uint8_t)insn, (uint8_t)(insn >> 8), (uint8_t)(insn >> 16),
                       (uint8_t)(insn >> 24)};
    memset(&f->b, 0, sizeof(f->b));
    f->b.at = (uint16_t)at;
    f->b.temp = VR_SLOT_TEMP;
    return rv_decode(&f->hart.cpu, &f->b, code, 4);
}

static bool is_illegal(const struct fixture *f)
{
    const struct vr_ir *ir = &f->b.ir[0];
    return f->b.count == 1 && ir->op == VR_IR_helper_end && ir->c == RV_H_ILLEGAL;
}

static bool uses(const struct vr_ir *ir, char what)
{
    return strchr(vr_ir_uses(ir->op), what) != NULL;
}

/* What every op must keep to, whatever it was decoded from. */
static void check_ops(const struct fixture *f, uint32_t insn)
{
    const struct vr_builder *b = &f->b;
    if (b->count == 0 || b->count > 16) {
        fail_msg("%08x: %u ops", insn, b->count);
    }
    for (unsigned i = 0; i < b->count; i++) {
        const struct vr_ir *ir = &b->ir[i];
        bool last = i + 1 == b->count;
        if (ir->op >= VR_IR_COUNT || ir->at != b->at) {
            fail_msg("%08x: op %u at %u", insn, ir->op, ir->at);
        }
        if (uses(ir, 'T') != (last && b->ended)) {
            fail_msg("%08x: %s is %sthe end of the block", insn, vr_ir_name(ir->op),
                     last && b->ended ? "" : "not ");
        }
        if (uses(ir, 'D') && (ir->d == VR_SLOT_ZERO || ir->d >= VR_SLOTS)) {
            fail_msg("%08x: %s writes slot %u", insn, vr_ir_name(ir->op), ir->d);
        }
        if ((uses(ir, 'A') && ir->a >= VR_SLOT_SINK) || (uses(ir, 'B') && ir->b >= VR_SLOT_SINK) ||
            (uses(ir, 'C') && ir->c >= VR_SLOT_SINK)) {
            fail_msg("%08x: %s reads slots %u %u %u", insn, vr_ir_name(ir->op), ir->a, ir->b,
                     ir->c);
        }
        if ((!uses(ir, 'A') && ir->a) || (!uses(ir, 'B') && ir->b) ||
            (!uses(ir, 'C') && !uses(ir, 'c') && ir->c) || (!uses(ir, 'I') && ir->imm)) {
            fail_msg("%08x: %s has operands it does not use", insn, vr_ir_name(ir->op));
        }
    }
}

/* --- Tests --- */

static bool has_rounding(const struct rv_insn *row)
{
    return row->emit == rv_emit_fma || (row->emit == rv_emit_fp && row->arg & RV_FP_RM);
}

static void rows_round_trip(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 1;
    for (unsigned i = 0; i < rv_insn_count; i++) {
        const struct rv_insn *row = &rv_insns[i];
        assert_int_equal(row->match & ~row->mask, 0);
        for (unsigned n = 0; n < 200; n++) {
            uint32_t insn = ((uint32_t)random64(&seed) & ~row->mask) | row->match;
            if (has_rounding(row) && (insn >> 12 & 7) > 4) {
                insn |= 0x7000; /* dynamic */
            }
            const struct rv_insn *found = rv_decoder_find(f->hart.decoder, insn);
            if (found != row && strcmp(row->name, "fence") != 0) {
                fail_msg("%08x: %s found as %s", insn, row->name, found ? found->name : "illegal");
            }
            assert_int_equal(decode(f, insn, 0x40), 4);
            check_ops(f, insn);
            if (is_illegal(f)) {
                fail_msg("%08x: %s is illegal", insn, row->name);
            }
        }
    }
}

/* The other table and ours find the same instruction, in words near instructions and far from them.
 */
static void agrees_with_second_table(void **state)
{
    /* What that table leaves to system code. */
    static const char *const system[] = {
        "mret", "sret", "wfi", "sfence.vma", "sinval.vma", "sfence.w.inval", "sfence.inval.ir",
        "pause"};
    struct fixture *f = *state;
    uint64_t seed = 2;
    uint32_t features = ~(uint32_t)(ISA_ZBKB | ISA_ZBKX);
    unsigned legal = 0, count = 2000000;

    for (unsigned n = 0; n < count; n++) {
        uint32_t insn = (uint32_t)random64(&seed) | 3;
        if (n % 4) { /* an instruction, with some of its fixed bits changed */
            const struct rv_insn *row = &rv_insns[random64(&seed) % rv_insn_count];
            uint32_t change = (uint32_t)(random64(&seed) & random64(&seed) & random64(&seed));
            insn = ((insn & ~row->mask) | row->match) ^ (n % 4 == 1 ? change & ~3u : 0);
        }
        const struct isa_insn *want = isa_find(insn, features);
        const struct rv_insn *row = rv_decoder_find(f->hart.decoder, insn);
        decode(f, insn, 0);
        const char *name = is_illegal(f) ? "illegal" : row->name;
        bool known = true;
        for (unsigned i = 0; i < sizeof(system) / sizeof(system[0]); i++) {
            known = known && strcmp(name, system[i]) != 0;
        }
        legal += want != NULL;
        if (known && strcmp(name, want ? want->name : "illegal") != 0) {
            fail_msg("%08x: we say %s, the second table %s", insn, name,
                     want ? want->name : "illegal");
        }
    }
    assert_true(legal > count / 4);
}

static void random_words_keep_the_rules(void **state)
{
    struct fixture *f = *state;
    uint64_t seed = 3;
    for (unsigned n = 0; n < 2000000; n++) {
        uint32_t insn = (uint32_t)random64(&seed);
        unsigned len = decode(f, insn, (unsigned)(seed & 0xffe));
        assert_int_equal(len, (insn & 3) == 3 ? 4 : 2);
        check_ops(f, insn);
        if (is_illegal(f)) {
            assert_int_equal(f->b.ir[0].imm, len == 4 ? insn : insn & 0xffff);
        }
    }
}

static void reserved_is_illegal(void **state)
{
    static const uint32_t words[] = {
        0x00000000,           0xffffffff,           0x0000001f, 0x0000003f,
        0x0000007f,                                 /* longer than 32 bits */
        0x0000003b | 2 << 12,                       /* OP-32 funct3 2 */
        0x0000001b | 2 << 12,                       /* OP-IMM-32 funct3 2 */
        0x0200001b | 1 << 12,                       /* slliw with bit 5 of the shift */
        0x00000063 | 2 << 12,                       /* branch funct3 2, 3 */
        0x00000063 | 3 << 12, 0x00000003 | 7 << 12, /* load funct3 7 */
        0x00000023 | 4 << 12,                       /* store funct3 4 */
        0x00000067 | 1 << 12,                       /* jalr funct3 1 */
        0x1010202f,                                 /* lr.w with rs2 */
        0x0000402f,                                 /* amoadd of 128 bits */
        0x2800402f | 1 << 7,                        /* amocas.q with an odd register */
        0x2810402f,           0x0000100f | 1 << 13, /* MISC-MEM funct3 3 */
        0x0030200f,                                 /* cbo 3 */
        0x000020ff & ~0x70u,                        /* cbo.inval with rd */
        0x00005053 | 0x53,                          /* fadd.s with rounding mode 5, 6 */
        0x00006053,           0x06000053,           /* quad precision */
        0x58100053,                                 /* fsqrt.s with rs2 = 1 */
        0x20003053,                                 /* fsgnj.s with funct3 3 */
        0xf0200053,                                 /* fli.s with rs2 = 2 */
        0x00200073,                                 /* uret */
        0x7b200073,                                 /* dret */
        0x22000073,                                 /* hfence.vvma */
        0x62000073,                                 /* hfence.gvma */
        0x30200073 | 1 << 7,                        /* mret with rd */
        0x10500073 | 1 << 15,                       /* wfi with rs1 */
        0x12000073 | 1 << 7,                        /* sfence.vma with rd */
        0x00004073,                                 /* SYSTEM funct3 4, not Zimop */
        0x00000057,                                 /* vector */
        0x0000005b,           0x0000000b,           0x0000002b, 0x0000007b, /* custom */
    };
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        decode(f, words[i], 0);
        if (!is_illegal(f)) {
            fail_msg("%08x: decodes as %s", words[i], vr_ir_name(f->b.ir[0].op));
        }
    }
}

/* Without an extension its instructions are illegal, and all others are what they were. */
static void extensions_gate(void **state)
{
    struct fixture *f = *state;
    uint64_t all = f->hart.config.ext, seed = 4;
    for (unsigned e = RV_EXT_m; e < RV_EXT_COUNT; e++) {
        use_config(f, all & ~(UINT64_C(1) << e));
        for (unsigned i = 0; i < rv_insn_count; i++) {
            const struct rv_insn *row = &rv_insns[i];
            uint32_t insn = ((uint32_t)random64(&seed) & ~row->mask) | row->match;
            const struct rv_insn *found = rv_decoder_find(f->hart.decoder, insn);
            bool gated = row->ext == e || row->ext2 == e;
            if (gated && found && strcmp(row->name, "pause") != 0) {
                fail_msg("%08x: %s is found without its extension", insn, row->name);
            }
            if (!gated && !found) {
                fail_msg("%08x: %s is lost", insn, row->name);
            }
        }
    }
    use_config(f, all & ~(UINT64_C(1) << RV_EXT_zca));
    decode(f, 0x0001, 0);
    assert_true(is_illegal(f));
    use_config(f, all);
}

static void short_code_is_asked_for_more(void **state)
{
    struct fixture *f = *state;
    static const uint8_t code[4] = {0x13, 0x05, 0x10, 0x00}; /* li a0, 1 */
    memset(&f->b, 0, sizeof(f->b));
    assert_int_equal(rv_decode(&f->hart.cpu, &f->b, code, 0), 0);
    assert_int_equal(rv_decode(&f->hart.cpu, &f->b, code, 1), 0);
    assert_int_equal(rv_decode(&f->hart.cpu, &f->b, code, 2), 0);
    assert_int_equal(f->b.count, 0);
    assert_int_equal(rv_decode(&f->hart.cpu, &f->b, code, 4), 4);
}

/* One instruction of each kind, op by op. */
static void shapes(void **state)
{
    static const struct {
        uint32_t insn;
        const char *text;
    } cases[] = {
        {0x00100513, "li x10, 0x1"},         {0x00058513, "mov x10, x11"},
        {0x00a00533, "mov x10, x10"},        {0x00c58533, "add x10, x11, x12"},
        {0xfff58513, "addi x10, x11, -0x1"}, {0x00000013, "nop"},
        {0x0005851b, "sext32 x10, x11"},     {0x80000537, "li x10, -0x80000000"},
        {0x02b50533, "mul x10, x10, x11"},
    };
    struct fixture *f = *state;
    char text[128];
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        decode(f, cases[i].insn, 0);
        assert_int_equal(f->b.count, 1);
        vr_ir_print(&f->b.ir[0], text, sizeof(text));
        if (strcmp(text, cases[i].text) != 0) {
            fail_msg("%08x: %s, expected %s", cases[i].insn, text, cases[i].text);
        }
    }
    decode(f, 0xfe000ee3, 0x100); /* beqz x0, -4 */
    assert_int_equal(f->b.ir[0].op, VR_IR_beq);
    assert_int_equal(f->b.ir[0].imm, 0xfc);
    decode(f, 0xffdff06f, 0x100); /* j -4 */
    assert_int_equal(f->b.ir[0].op, VR_IR_jmp);
    assert_int_equal(f->b.ir[0].imm, 0xfc);
    decode(f, 0x800000ef, 0); /* jal ra, -1048576 */
    assert_int_equal(f->b.ir[0].op, VR_IR_jal);
    assert_int_equal(f->b.ir[0].imm, -1048576);
    assert_int_equal(f->b.ir[0].c, 4);
    decode(f, 0x00009082, 0x10); /* c.jalr ra: its link is 2 bytes on */
    assert_int_equal(f->b.ir[0].op, VR_IR_jalr);
    assert_int_equal(f->b.ir[0].c, 2);
    decode(f, 0x02b57553, 0); /* fadd.d fa0, fa0, fa1, dyn */
    assert_int_equal(f->b.count, 3);
    assert_int_equal(f->b.ir[0].op, VR_IR_fpcheck);
    assert_int_equal(f->b.ir[1].op, VR_IR_rmcheck);
    assert_int_equal(f->b.ir[2].op, VR_IR_fadd_d);
    f->b.ended = false;
    static const uint8_t again[4] = {0x53, 0x75, 0xb5, 0x02};
    assert_int_equal(rv_decode(&f->hart.cpu, &f->b, again, 4),
                     4); /* the second one checks nothing */
    assert_int_equal(f->b.count, 4);
}

/* Pairs that make a constant or a far jump: the second op does not wait for the first. */
static void pairs(void **state)
{
    static const struct {
        uint32_t first, second;
        unsigned op;
        int64_t imm;
    } cases[] = {
        {0x12345537, 0x67850513, VR_IR_li, 0x12345678},            /* lui a0; addi a0, a0 */
        {0x80000537, 0xfff5059b, VR_IR_li, 0x7fffffff},            /* lui a0; addiw a1, a0 */
        {0x80000537, 0xfff50593, VR_IR_li, -INT64_C(0x80000001)},  /* lui a0; addi a1, a0 */
        {0x00001517, 0xffc50513, VR_IR_pcrel, 0x100 + 0x1000 - 4}, /* auipc a0; addi a0, a0 */
        {0x00001517, 0xffc5051b, VR_IR_addiw, -4},                 /* auipc a0; addiw a0, a0 */
        {0x00001097, 0x00f080e7, VR_IR_jal, 0x100 + 0x1000 + 0xe}, /* auipc ra; jalr ra, 15(ra) */
        {0xfffff317, 0x00030067, VR_IR_jmp, 0x100 - 0x1000},       /* auipc t1; jr t1 */
        {0x00001097, 0x00030067, VR_IR_jalr, 0},                   /* auipc ra; jr t1 */
        {0x123450b7, 0x000080e7, VR_IR_jalr, 0},                   /* lui ra; jalr ra */
        {0x00001017, 0x00000067, VR_IR_jalr, 0},                   /* auipc x0; jr x0 */
        {0x00000517, 0x00000593, VR_IR_li, 0},                     /* auipc a0; li a1 */
    };
    struct fixture *f = *state;
    for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        uint8_t code[4];
        decode(f, cases[i].first, 0x100);
        for (unsigned k = 0; k < 4; k++) {
            code[k] = (uint8_t)(cases[i].second >> 8 * k);
        }
        f->b.at = 0x104;
        unsigned n = f->b.count;
        assert_int_equal(rv_decode(&f->hart.cpu, &f->b, code, 4), 4);
        const struct vr_ir *ir = &f->b.ir[n];
        if (f->b.count != n + 1 || ir->op != cases[i].op || ir->imm != cases[i].imm) {
            fail_msg("pair %u: %s %lld", i, vr_ir_name(ir->op), (long long)ir->imm);
        }
    }
}

/* --- Compressed --- */

/* All 16-bit encodings: what the second table finds legal, we do. */
static void compressed_legality(void **state)
{
    struct fixture *f = *state;
    uint32_t features = ~(uint32_t)(ISA_ZBKB | ISA_ZBKX);
    unsigned legal = 0;
    for (uint32_t half = 0; half < 0x10000; half++) {
        if ((half & 3) == 3) {
            continue;
        }
        bool want = isa_find(half, features) != NULL;
        assert_int_equal(decode(f, half, 0), 2);
        check_ops(f, half);
        legal += want;
        if (want == is_illegal(f)) {
            fail_msg("%04x: we say %s", half, want ? "illegal" : vr_ir_name(f->b.ir[0].op));
        }
    }
    assert_true(legal > 40000);
}

/* Disassemble @count words (each at 4 * index); @text gets each first line, cut to 63 characters.
 */
static bool disassemble(const uint32_t *words, unsigned count, char (*text)[64])
{
    char path[] = "/tmp/rv_decode_XXXXXX", command[128], line[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *file = fdopen(fd, "wb");
    assert_non_null(file);
    for (unsigned i = 0; i < count; i++) {
        uint8_t b[4] = {(uint8_t)words[i], (uint8_t)(words[i] >> 8), (uint8_t)(words[i] >> 16),
                        (uint8_t)(words[i] >> 24)};
        assert_int_equal(fwrite(b, 1, 4, file), 4);
    }
    assert_int_equal(fclose(file), 0);
    snprintf(command, sizeof(command),
             "riscv64-linux-gnu-objdump -D -b binary -m riscv:rv64 %s 2>/dev/null", path);
    FILE *p = popen(command, "r");
    assert_non_null(p);
    unsigned lines = 0;
    while (fgets(line, sizeof(line), p)) {
        unsigned long at;
        char *tab = strchr(line, '\t'), *in = tab ? strchr(tab + 1, '\t') : NULL;
        if (!in || sscanf(line, "%lx:", &at) != 1 || at % 4 || at / 4 >= count) {
            continue;
        }
        char *comment = strstr(in, " #");
        in[strcspn(in, "\n")] = 0;
        if (comment) {
            *comment = 0;
        }
        snprintf(text[at / 4], sizeof(text[0]), "%.63s", in + 1);
        for (char *c = text[at / 4]; *c; c++) {
            *c = *c == '\t' ? ' ' : *c;
        }
        lines++;
    }
    pclose(p);
    unlink(path);
    return lines != 0;
}

/* The disassembler's words for a compressed instruction, as it writes the same in 32 bits. */
static void as_32_bits(char *text, uint32_t half)
{
    char old[64], rd[8], rest[16];
    snprintf(old, sizeof(old), "%.63s", text);
    if (sscanf(old, "mv %7[^,],%15s", rd, rest) == 2 && (half & 3) == 2) {
        snprintf(text, 64, "add %s,zero,%s", rd, rest);
    } else if ((half & 0xf07f) == 1 && half != 1 && sscanf(old, "add %7[^,],", rd) == 1) {
        snprintf(text, 64, "mv %s,%s", rd, rd);
    } else if (sscanf(old, "c.slli64 %15s", rest) == 1) {
        snprintf(text, 64, "sll %s,%s,0x0", rest, rest);
    } else if (sscanf(old, "c.srli64 %15s", rest) == 1) {
        snprintf(text, 64, "srl %s,%s,0x0", rest, rest);
    } else if (sscanf(old, "c.srai64 %15s", rest) == 1) {
        snprintf(text, 64, "sra %s,%s,0x0", rest, rest);
    } else if (sscanf(old, "c.nop %15s", rest) == 1) {
        snprintf(text, 64, "li zero,%s", rest);
    } else if (strcmp(old, "c.li zero,0") == 0) {
        snprintf(text, 64, "nop");
    } else if (sscanf(old, "c.slli zero,%15s", rest) == 1) {
        snprintf(text, 64, "sll zero,zero,%s", rest);
    } else if (sscanf(old, "c.mv zero,%15s", rest) == 1 ||
               sscanf(old, "c.add zero,%15s", rest) == 1) {
        snprintf(text, 64, "add zero,zero,%s", rest);
    } else if (strncmp(old, "c.li ", 5) == 0 || strncmp(old, "c.lui ", 6) == 0) {
        snprintf(text, 64, "%s", old + 2);
    }
}

/* The disassembler reads each compressed encoding and our 32-bit expansion of it the same way. It
 * knows neither Zcb nor Zcmop. */
static void compressed_against_disassembler(void **state)
{
    struct fixture *f = *state;
    struct rv_config config = f->hart.config;
    uint32_t *halves = calloc(0xc000, sizeof(uint32_t)), *words = calloc(0xc000, sizeof(uint32_t));
    char(*a)[64] = calloc(0xc000, 64), (*b)[64] = calloc(0xc000, 64);
    unsigned n = 0, same = 0;

    assert_true(halves && words && a && b);
    config.ext &= ~(UINT64_C(1) << RV_EXT_zcb | UINT64_C(1) << RV_EXT_zcmop);
    for (uint32_t half = 0; half < 0x10000; half++) {
        if ((half & 3) != 3) {
            halves[n] = half | 0x00010000; /* c.nop fills the slot */
            words[n++] = rv_expand(&config, (uint16_t)half);
        }
    }
    if (!disassemble(halves, n, a) || !disassemble(words, n, b)) {
        free(halves);
        free(words);
        free(a);
        free(b);
        skip_because("riscv64-linux-gnu-objdump is not here");
    }
    for (unsigned i = 0; i < n; i++) {
        uint32_t half = halves[i] & 0xffff;
        bool none = strncmp(a[i], ".2byte", 6) == 0 || strcmp(a[i], "unimp") == 0;
        none = none || half == 0x6101; /* c.addi16sp of 0: reserved, though it is shown */
        if (none != !words[i]) {
            fail_msg("%04x: %s, we expand to %08x", half, a[i], words[i]);
        }
        as_32_bits(a[i], half);
        if (!none && strcmp(a[i], b[i]) != 0) {
            fail_msg("%04x is %s, our %08x is %s", half, a[i], words[i], b[i]);
        }
        same += !none;
    }
    assert_true(same > 40000);
    free(halves);
    free(words);
    free(a);
    free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(rows_round_trip, setup, teardown),
        cmocka_unit_test_setup_teardown(agrees_with_second_table, setup, teardown),
        cmocka_unit_test_setup_teardown(random_words_keep_the_rules, setup, teardown),
        cmocka_unit_test_setup_teardown(reserved_is_illegal, setup, teardown),
        cmocka_unit_test_setup_teardown(extensions_gate, setup, teardown),
        cmocka_unit_test_setup_teardown(short_code_is_asked_for_more, setup, teardown),
        cmocka_unit_test_setup_teardown(shapes, setup, teardown),
        cmocka_unit_test_setup_teardown(pairs, setup, teardown),
        cmocka_unit_test_setup_teardown(compressed_legality, setup, teardown),
        cmocka_unit_test_setup_teardown(compressed_against_disassembler, setup, teardown),
    };
    return cmocka_run_group_tests_name("rv_decode", tests, NULL, NULL);
}
