/* One random instruction, or the few that belong together, of each operand kind. */
#include "gen_build.h"

uint64_t rnd(struct gen *g)
{
    /* splitmix64 */
    uint64_t z = (g->rng += 0x9e3779b97f4a7c15ull);

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

unsigned below(struct gen *g, unsigned n)
{
    return (unsigned)(rnd(g) % n);
}

bool one_in(struct gen *g, unsigned n)
{
    return below(g, n) == 0;
}

static void put16(struct build *b, uint16_t v)
{
    if (b->n < BATCH_CODE_MAX / 2 - 2) {
        b->hw[b->n++] = v;
    }
}

void emit_word(struct build *b, uint32_t w)
{
    put16(b, (uint16_t)w);
    if ((w & 3) == 3) {
        put16(b, (uint16_t)(w >> 16));
    }
}

/* Registers. */
static unsigned xd(struct build *b)
{
    return one_in(b->g, 24) ? 0 : b->pool[below(b->g, b->pool_n)];
}

static unsigned xs(struct build *b)
{
    unsigned r = below(b->g, 40);

    return r == 0 ? 0 : r == 1 ? b->base : r == 2 ? b->lc : b->pool[below(b->g, b->pool_n)];
}

static unsigned xd_not(struct build *b, unsigned a, unsigned c)
{
    unsigned r;

    do {
        r = b->pool[below(b->g, b->pool_n)];
    } while (r == a || r == c);
    return r;
}

static unsigned xc(struct build *b)
{
    return b->cpool[below(b->g, b->cpool_n)] - 8;
}

static unsigned fr(struct build *b)
{
    return b->fpool[below(b->g, b->fpool_n)];
}

static unsigned fc(struct build *b)
{
    return b->cfpool[below(b->g, b->cfpool_n)] - 8;
}

static uint32_t imm12(struct build *b)
{
    static const int16_t edge[] = {0, 1,   -1,  2,    2047, -2048, -2047, 7,
                                   8, 255, 256, -128, 31,   32,    63};

    if (one_in(b->g, 2)) {
        return (uint32_t)edge[below(b->g, sizeof(edge) / sizeof(edge[0]))] & 0xfff;
    }
    return (uint32_t)rnd(b->g) & 0xfff;
}

static unsigned rm_any(struct build *b)
{
    static const uint8_t rms[] = {0, 1, 2, 3, 4, 7, 7, 7};

    return rms[below(b->g, sizeof(rms))];
}

/* The value of a base register is known: offsets can be chosen by the address they give. */
static uint64_t base_val(const struct build *b, unsigned r)
{
    return b->c->x[r];
}

/* A signed 12-bit offset from register r for an access of size bytes: aligned mostly. */
static int mem_off(struct build *b, unsigned r, unsigned size, bool aligned)
{
    struct gen *g = b->g;
    uint64_t v = base_val(b, r);
    int off;

    if (!aligned && one_in(g, 6)) { /* around the border of the two pages */
        int64_t to = (int64_t)(BATCH_SCRATCH + 0x1000 - v);

        off = (int)to - (int)below(g, size + 1);
    } else if (one_in(g, 3)) { /* few addresses, so that stores and loads meet */
        off = (int)(below(g, 4) * 16) - 32;
    } else {
        off = (int)below(g, 4080) - 2032;
    }
    if (aligned || !one_in(g, 3)) {
        off -= (int)((v + (uint64_t)(int64_t)off) & (size - 1));
    }
    return off < -2048 ? -2048 + (int)size : off > 2047 ? 2040 : off;
}

static uint32_t enc_i(uint32_t match, unsigned rd, unsigned rs1, int imm)
{
    return match | rd << 7 | rs1 << 15 | ((uint32_t)imm & 0xfff) << 20;
}

void emit_addi(struct build *b, unsigned rd, unsigned rs1, int imm)
{
    emit_word(b, enc_i(0x13, rd, rs1, imm));
}

static uint32_t enc_s(uint32_t match, unsigned rs2, unsigned rs1, int imm)
{
    uint32_t u = (uint32_t)imm & 0xfff;

    return match | (u & 31) << 7 | rs1 << 15 | rs2 << 20 | (u >> 5) << 25;
}

/* A later group, near enough for the shortest branch. */
static unsigned target(struct build *b)
{
    unsigned t = b->groups + 1 + below(b->g, 5);

    return t > b->target_groups ? b->target_groups : t;
}

static void add_fix(struct build *b, unsigned at, unsigned origin, unsigned fmt, unsigned group)
{
    struct fixup *f = &b->fix[b->fixes];

    if (b->fixes < GROUPS_MAX) {
        *f = (struct fixup){(uint16_t)at, (uint16_t)origin, (uint8_t)fmt, (uint8_t)group, 0};
        f->odd = fmt == FMT_JALR && one_in(b->g, 4);
        b->fixes++;
    }
}

/* rt = an address in scratch, fit for an access of size bytes. */
static unsigned put_address(struct build *b, unsigned size, unsigned avoid)
{
    unsigned rt = xd_not(b, avoid, NO_REG);
    int off = mem_off(b, b->base, size, true);

    if (b->g->align_faults && size > 1 && one_in(b->g, 300)) {
        off += 1 + (int)below(b->g, size - 1);
    }
    emit_addi(b, rt, b->base, off > 2047 ? 2040 : off);
    return rt;
}

static void gen_amo(struct build *b, const struct isa_insn *in)
{
    struct gen *g = b->g;
    uint32_t aqrl = below(g, 4) << 25;
    unsigned rt, rd = xd(b), rs2 = xs(b);

    /*
     * Compare and swap into x0 is left out: QEMU 10.0 writes the result to its own constant zero
     * then (wrong results, hangs, a division by zero in the emulator). tests/cpu/priv/atomic.S
     * covers it.
     */
    if (in->fmt == FMT_CAS && rd == 0) {
        rd = b->pool[0];
    }
    if (in->fmt == FMT_CAS && in->memsz == 16) {
        /* Pairs must not hold a reserved register. */
        unsigned pair[2], tries = 0;

        for (unsigned i = 0; i < 2; i++) {
            do {
                pair[i] = below(g, 16) * 2;
            } while ((i == 0 && pair[i] == 0) || pair[i] == 2 || pair[i] == (b->base & ~1u) ||
                     pair[i] == (b->lc & ~1u));
        }
        rd = pair[0];
        rs2 = pair[1];
        do {
            rt = b->pool[below(g, b->pool_n)];
        } while ((rt & ~1u) == rd && tries++ < 20);
        emit_addi(b, rt, b->base, mem_off(b, b->base, 16, true));
        if ((rt & ~1u) != rd && one_in(g, 2)) {
            emit_word(b, enc_i(0x3003, rd, rt, 0));
            emit_word(b, enc_i(0x3003, rd + 1, rt, 8));
        }
    } else {
        rt = put_address(b, in->memsz, rd);
        if (in->fmt == FMT_CAS && one_in(g, 2)) {
            static const uint16_t load[4] = {0x0003, 0x1003, 0x2003, 0x3003};
            unsigned k = in->memsz == 1 ? 0 : in->memsz == 2 ? 1 : in->memsz == 4 ? 2 : 3;

            emit_word(b, enc_i(load[k], rd, rt, 0));
        }
    }
    emit_word(b, in->match | rd << 7 | rt << 15 | rs2 << 20 | aqrl);
}

static void gen_lrsc(struct build *b, const struct isa_insn *in)
{
    struct gen *g = b->g;
    bool d = in->memsz == 8;
    uint32_t lr = d ? 0x1000302f : 0x1000202f, sc = d ? 0x1800302f : 0x1800202f;
    unsigned rd = xd_not(b, NO_REG, NO_REG), rt = xd_not(b, rd, NO_REG), rs2;

    emit_addi(b, rt, b->base, mem_off(b, b->base, in->memsz, true));
    emit_word(b, lr | rd << 7 | rt << 15 | below(g, 4) << 25);
    if (one_in(g, 2)) {
        emit_addi(b, rd, rd, (int)below(g, 9) - 4);
    }
    rd = xd_not(b, rt, NO_REG);
    rs2 = xs(b);
    emit_word(b, sc | rd << 7 | rt << 15 | rs2 << 20 | below(g, 4) << 25);
    if (one_in(g, 4)) { /* the first SC ended the reservation, whatever it gave */
        rd = xd(b);
        emit_word(b, sc | rd << 7 | rt << 15 | rs2 << 20);
    }
}

static void gen_csr(struct build *b, const struct isa_insn *in)
{
    struct gen *g = b->g;
    unsigned csr = 1 + below(g, 3), rs = xs(b), f3 = in->match >> 12 & 7;
    bool write = (f3 & 3) == 1, wild = one_in(g, 50);

    if (!wild && !write && csr != 1) {
        /* Setting or clearing bits of frm can make it invalid: the next rm=dyn would trap. */
        rs = 0;
    }
    if (in->fmt == FMT_CSR && !wild && write && csr != 1) {
        unsigned mode = below(g, 5), junk = below(g, 8);

        rs = xd_not(b, NO_REG, NO_REG);
        emit_addi(b, rs, 0,
                  (int)(csr == 2 ? mode | junk << 3 : mode << 5 | below(g, 32) | junk << 8));
    } else if (in->fmt == FMT_CSRI) {
        rs = csr == 2 ? below(g, 5) : csr == 3 && !wild ? below(g, 32) : below(g, 32);
        if (!write && csr != 1 && !wild) {
            rs = 0;
        }
    }
    emit_word(b, in->match | xd(b) << 7 | rs << 15 | csr << 20);
}

static void gen_jalr(struct build *b, const struct isa_insn *in)
{
    struct gen *g = b->g;
    unsigned rt = one_in(g, 6) && b->lc != 1 ? 1 : xd_not(b, NO_REG, NO_REG), origin = b->n;
    unsigned t = target(b);

    emit_word(b, 0x17 | rt << 7); /* auipc rt, 0 */
    if (in->fmt == FMT_JALR) {
        unsigned link = below(g, 4);

        add_fix(b, b->n, origin, FMT_JALR, t);
        emit_word(b, in->match |
                         (link == 0                 ? 0
                          : link == 1 && b->lc != 1 ? 1
                                                    : xd(b))
                             << 7 |
                         rt << 15);
    } else {
        add_fix(b, b->n, origin, FMT_I, t);
        emit_word(b, enc_i(0x13, rt, rt, 0));
        emit_word(b, in->match | rt << 7);
    }
}

void emit_fault(struct build *b)
{
    struct gen *g = b->g;
    static const uint32_t loads[] = {0x0003, 0x1003, 0x2003, 0x3003, 0x2007, 0x3007};
    static const uint32_t stores[] = {0x0023, 0x1023, 0x2023, 0x3023, 0x2027, 0x3027};
    unsigned rt = xd_not(b, NO_REG, NO_REG), k = below(g, 6);
    int64_t to = (int64_t)(BATCH_SCRATCH - base_val(b, b->base));

    if (one_in(g, 8)) {
        emit_word(b, 0x10010037 | rt << 7); /* lui: just behind the code area */
        emit_word(b, 0x67 | rt << 15 | xd(b) << 7);
        return;
    }
    if (one_in(g, 2)) {
        to += (int64_t)BATCH_SCRATCH_LEN - (int64_t)below(g, 8);
        emit_addi(b, rt, b->base, 2047);
        emit_addi(b, rt, rt, (int)(to - 2047 > 2047 ? 2047 : to - 2047));
        if (to > 4094) {
            emit_addi(b, rt, rt, (int)(to - 4094));
        }
    } else {
        to -= (int64_t)below(g, 8) + 1;
        emit_addi(b, rt, b->base, -2048);
        emit_addi(b, rt, rt, (int)(to + 2048 < -2048 ? -2048 : to + 2048));
        if (to < -4096) {
            emit_addi(b, rt, rt, (int)(to + 4096));
        }
    }
    if (one_in(g, 2)) {
        emit_word(b, enc_i(loads[k], k < 4 ? xd(b) : fr(b), rt, 0));
    } else {
        emit_word(b, enc_s(stores[k], k < 4 ? xs(b) : fr(b), rt, 0));
    }
}

/* Offsets of compressed memory forms. */
static uint32_t clo(const struct isa_insn *in, uint32_t r)
{
    uint32_t u = in->memsz == 4 ? r & 0x7c : r & 0xf8;

    return in->memsz == 4 ? (u >> 3 & 7) << 10 | (u >> 2 & 1) << 6 | (u >> 6 & 1) << 5
                          : (u >> 3 & 7) << 10 | (u >> 6 & 3) << 5;
}

static uint32_t clspo(const struct isa_insn *in, uint32_t r)
{
    return in->memsz == 4 ? (r >> 5 & 1) << 12 | (r >> 2 & 7) << 4 | (r >> 6 & 3) << 2
                          : (r >> 5 & 1) << 12 | (r >> 3 & 3) << 5 | (r >> 6 & 7) << 2;
}

static uint32_t csspo(const struct isa_insn *in, uint32_t r)
{
    return in->memsz == 4 ? (r >> 2 & 15) << 9 | (r >> 6 & 3) << 7
                          : (r >> 3 & 7) << 10 | (r >> 6 & 7) << 7;
}

static uint32_t ci_imm(uint32_t r)
{
    return (r >> 5 & 1) << 12 | (r & 31) << 2;
}

static void gen_rvc(struct build *b, const struct isa_insn *in)
{
    struct gen *g = b->g;
    uint32_t m = in->match, r = (uint32_t)rnd(g), bc = b->base - 8;
    unsigned p, c1 = xc(b), c2 = xc(b), d = xd(b), d2 = xd_not(b, NO_REG, NO_REG);

    switch ((enum isa_fmt)in->fmt) {
    case FMT_CADDI4SPN:
        emit_word(b, m | ((r & 0xff) ? (r & 0xff) : 1) << 5 | xc(b) << 2);
        break;
    case FMT_CLS:
        emit_word(b, m | clo(in, r) | bc << 7 | xc(b) << 2);
        break;
    case FMT_CLSF:
        emit_word(b, m | clo(in, r) | bc << 7 | fc(b) << 2);
        break;
    case FMT_CLB:
        emit_word(b, m | (r & 3) << 5 | bc << 7 | xc(b) << 2);
        break;
    case FMT_CLH:
        emit_word(b, m | (r & 1) << 5 | bc << 7 | xc(b) << 2);
        break;
    case FMT_CI: {
        unsigned rd = xd(b);

        if (rd == 0 && in->match == 0x2001) {
            rd = b->pool[0];
        }
        emit_word(b, m | ci_imm(r) | rd << 7);
        break;
    }
    case FMT_CLUI:
        emit_word(b, m | ci_imm(r & 63 ? r : 1) | xd_not(b, 2, NO_REG) << 7);
        break;
    case FMT_CADDI16SP: {
        /* There and back, so that sp keeps its value for later groups; an address use between. */
        int v = ((int)(r % 31) + 1) * 16;

        for (p = 0; p < 2; p++) {
            uint32_t u = (uint32_t)((p ^ (r >> 8 & 1)) ? -v : v);

            emit_word(b, m | (u >> 9 & 1) << 12 | (u >> 4 & 1) << 6 | (u >> 6 & 1) << 5 |
                             (u >> 7 & 3) << 3 | (u >> 5 & 1) << 2);
            if (p == 0) {
                emit_word(b, 0x8002 | b->pool[0] << 7 | 2 << 2); /* c.mv pool0, sp */
            }
        }
        break;
    }
    case FMT_CSH:
        emit_word(b, m | ci_imm(r) | xd(b) << 7);
        break;
    case FMT_CSHP:
    case FMT_CANDI:
        emit_word(b, m | ci_imm(r) | xc(b) << 7);
        break;
    case FMT_CA:
        emit_word(b, m | c1 << 7 | c2 << 2);
        break;
    case FMT_CU:
        emit_word(b, m | xc(b) << 7);
        break;
    case FMT_CLSP:
        emit_word(b, m | clspo(in, r) | b->pool[below(g, b->pool_n)] << 7);
        break;
    case FMT_CLSPF:
        emit_word(b, m | clspo(in, r) | fr(b) << 7);
        break;
    case FMT_CSSP:
        emit_word(b, m | csspo(in, r) | xs(b) << 2);
        break;
    case FMT_CSSPF:
        emit_word(b, m | csspo(in, r) | fr(b) << 2);
        break;
    case FMT_CMV:
        emit_word(b, m | d << 7 | d2 << 2);
        break;
    case FMT_CMOP:
        emit_word(b, m | (r & 7) << 8);
        break;
    case FMT_CJ:
    case FMT_CB:
        add_fix(b, b->n, b->n, in->fmt, target(b));
        emit_word(b, m | (in->fmt == FMT_CB ? xc(b) << 7 : 0));
        break;
    case FMT_CJR:
        gen_jalr(b, in);
        break;
    default:
        break;
    }
}

static void gen_rv32(struct build *b, const struct isa_insn *in)
{
    struct gen *g = b->g;
    uint32_t m = in->match, r = (uint32_t)rnd(g), imm = imm12(b);
    /* Drawn one by one: in an expression the order would be the compiler's. */
    unsigned d = xd(b), s1 = xs(b), s2 = xs(b), rm = rm_any(b);
    unsigned fd = fr(b), f1 = fr(b), f2 = fr(b), f3 = fr(b);
    unsigned base = one_in(g, 8) ? 2 : b->base;

    switch ((enum isa_fmt)in->fmt) {
    case FMT_R:
    case FMT_MOPRR:
        m |= in->fmt == FMT_R ? 0 : (uint32_t)rnd(g) & ~in->mask & 0xfe000000;
        emit_word(b, m | d << 7 | s1 << 15 | s2 << 20);
        break;
    case FMT_R1:
    case FMT_MOPR:
        m |= in->fmt == FMT_R1 ? 0 : (uint32_t)rnd(g) & ~in->mask & 0xfff00000;
        emit_word(b, m | d << 7 | s1 << 15);
        break;
    case FMT_I:
        emit_word(b, m | d << 7 | s1 << 15 | imm << 20);
        break;
    case FMT_SH6:
        emit_word(b, m | d << 7 | s1 << 15 | (r & 63) << 20);
        break;
    case FMT_SH5:
        emit_word(b, m | d << 7 | s1 << 15 | (r & 31) << 20);
        break;
    case FMT_U:
        emit_word(b, m | d << 7 | (r & 0xfffff000));
        break;
    case FMT_LOAD:
    case FMT_FLOAD:
        emit_word(b,
                  enc_i(m, in->fmt == FMT_LOAD ? d : fd, base, mem_off(b, base, in->memsz, false)));
        break;
    case FMT_STORE:
    case FMT_FSTORE:
        emit_word(
            b, enc_s(m, in->fmt == FMT_STORE ? s2 : f2, base, mem_off(b, base, in->memsz, false)));
        break;
    case FMT_B:
        add_fix(b, b->n, b->n, FMT_B, target(b));
        emit_word(b, m | s1 << 15 | s2 << 20);
        break;
    case FMT_J:
        add_fix(b, b->n, b->n, FMT_J, target(b));
        emit_word(b, m | d << 7);
        break;
    case FMT_JALR:
        gen_jalr(b, in);
        break;
    case FMT_FENCE:
        emit_word(b, m | (r & 255) << 20 | (r >> 8 & 7 ? 0 : 0x80000000u));
        break;
    case FMT_NONE:
        emit_word(b, m);
        break;
    case FMT_AMO:
    case FMT_CAS:
        gen_amo(b, in);
        break;
    case FMT_LR:
    case FMT_SC:
        gen_lrsc(b, in);
        break;
    case FMT_CSR:
    case FMT_CSRI:
        gen_csr(b, in);
        break;
    case FMT_CBO:
        base = xd_not(b, NO_REG, NO_REG);
        emit_addi(b, base, b->base, mem_off(b, b->base, 1, false));
        emit_word(b, m | base << 15);
        break;
    case FMT_F3:
        emit_word(b, m | fd << 7 | f1 << 15 | f2 << 20 | rm << 12);
        break;
    case FMT_F3N:
        emit_word(b, m | fd << 7 | f1 << 15 | f2 << 20);
        break;
    case FMT_F4:
        emit_word(b, m | fd << 7 | f1 << 15 | f2 << 20 | f3 << 27 | rm << 12);
        break;
    case FMT_F2:
        emit_word(b, m | fd << 7 | f1 << 15 | rm << 12);
        if (in->ext & ISA_ZFA) {
            /* QEMU 10.0 drops fround and froundnx, flags and all, when nobody reads the result. */
            emit_word(b, enc_s(0x3027, fd, b->base, (int)(r & 63) * 8));
        }
        break;
    case FMT_XF:
        emit_word(b, m | d << 7 | f1 << 15 | rm << 12);
        break;
    case FMT_XFN:
        emit_word(b, m | d << 7 | f1 << 15);
        break;
    case FMT_FX:
        emit_word(b, m | fd << 7 | s1 << 15 | rm << 12);
        break;
    case FMT_FXN:
        emit_word(b, m | fd << 7 | s1 << 15);
        break;
    case FMT_XFF:
        emit_word(b, m | d << 7 | f1 << 15 | f2 << 20);
        break;
    case FMT_FLI:
        emit_word(b, m | fd << 7 | (r & 31) << 15);
        break;
    default:
        break;
    }
}

void emit_insn(struct build *b, const struct isa_insn *in)
{
    if ((in->match & 3) == 3) {
        gen_rv32(b, in);
    } else {
        gen_rvc(b, in);
    }
}
