/*
 * The generator. A sequence is a list of groups: a group is one instruction, or a few that belong
 * together (address then atomic, LR then SC, auipc then jalr). Jumps go to starts of groups only
 * and forward only; loops have a counter register of their own; so every sequence ends. Two
 * registers point into the scratch pages and are never overwritten; few others are used, so that
 * data flows.
 */
#include "gen_build.h"
#include "gen_values.h"
#include <stdio.h>
#include <string.h>

static void patch(struct build *b, const struct fixup *f)
{
    int off = ((int)b->start[f->group] - (int)f->origin) * 2;
    uint32_t u = (uint32_t)off, w;

    switch (f->fmt) {
    case FMT_B:
        w = (u >> 12 & 1) << 31 | (u >> 5 & 63) << 25 | (u >> 1 & 15) << 8 | (u >> 11 & 1) << 7;
        break;
    case FMT_J:
        w = (u >> 20 & 1) << 31 | (u >> 1 & 0x3ff) << 21 | (u >> 11 & 1) << 20 |
            (u >> 12 & 0xff) << 12;
        break;
    case FMT_CJ:
        w = (u >> 11 & 1) << 12 | (u >> 4 & 1) << 11 | (u >> 8 & 3) << 9 | (u >> 10 & 1) << 8 |
            (u >> 6 & 1) << 7 | (u >> 7 & 1) << 6 | (u >> 1 & 7) << 3 | (u >> 5 & 1) << 2;
        break;
    case FMT_CB:
        w = (u >> 8 & 1) << 12 | (u >> 3 & 3) << 10 | (u >> 6 & 3) << 5 | (u >> 1 & 3) << 3 |
            (u >> 5 & 1) << 2;
        break;
    default:
        w = ((u | f->odd) & 0xfff) << 20;
        break;
    }
    b->hw[f->at] |= (uint16_t)w;
    if ((b->hw[f->at] & 3) == 3) {
        b->hw[f->at + 1] |= (uint16_t)(w >> 16);
    }
}

/* Reserved and working registers of a case, and all starting values. */
static void pick_registers(struct build *b)
{
    struct gen *g = b->g;
    unsigned want_c = 2 + below(g, 2), want = 2 + below(g, 4);

    b->base = 8 + below(g, 8);
    do {
        b->lc = 3 + below(g, 29);
    } while (b->lc == b->base);
    while (b->cpool_n < want_c) {
        unsigned r = 8 + below(g, 8);
        bool seen = r == b->base || r == b->lc;

        for (unsigned i = 0; i < b->cpool_n; i++) {
            seen |= b->cpool[i] == r;
        }
        if (!seen) {
            b->cpool[b->cpool_n++] = r;
            b->pool[b->pool_n++] = r;
        }
    }
    for (unsigned i = 0; i < want; i++) {
        unsigned r;

        do {
            r = 1 + below(g, 31);
        } while (r == 2 || r == b->base || r == b->lc);
        b->pool[b->pool_n++] = r; /* twice in the pool only makes it more likely */
    }
    for (unsigned i = 0; i < 2 + below(g, 2); i++) {
        b->cfpool[b->cfpool_n++] = 8 + below(g, 8);
        b->fpool[b->fpool_n++] = b->cfpool[i];
    }
    for (unsigned i = 0; i < 2 + below(g, 2); i++) {
        b->fpool[b->fpool_n++] = below(g, 32);
    }
    for (unsigned i = 1; i < 32; i++) {
        b->c->x[i] = value_x(rnd(g));
    }
    for (unsigned i = 0; i < 32; i++) {
        b->c->f[i] = value_f(rnd(g));
    }
    b->c->x[b->base] = BATCH_SCRATCH + 0x1000 - below(g, 128);
    b->c->x[2] = BATCH_SCRATCH + 0xe00 + below(g, 16) * 16;
    b->c->x[2] += one_in(g, 8) ? below(g, 16) : 0;
    b->c->x[b->lc] = below(g, 4);
}

/* A case favours one kind of instruction, so that results meet their users. */
static bool in_theme(const struct isa_insn *in, unsigned theme)
{
    bool fp = (in->ext & ISA_F) != 0;

    switch (theme) {
    case 1: /* integer */
        return !fp && !in->memsz;
    case 2: /* memory */
        return in->memsz != 0 || in->fmt == FMT_I || in->fmt == FMT_R;
    case 3: /* single */
        return (fp && !(in->ext & (ISA_D | ISA_ZFH))) || in->fmt == FMT_CSR || in->fmt == FMT_CSRI;
    case 4: /* double */
        return (in->ext & ISA_D) || in->fmt == FMT_CSR || in->fmt == FMT_CSRI;
    case 5: /* half */
        return (in->ext & ISA_ZFH) || in->fmt == FMT_CSR || in->fmt == FMT_CSRI;
    case 6: /* compressed */
        return (in->ext & ISA_C) != 0;
    default:
        return true;
    }
}

static bool allowed(const struct gen *g, const struct isa_insn *in)
{
    return (in->ext & g->features) == in->ext && !(in->flags & IF_SYS) &&
           !(g->no_lrsc && (in->fmt == FMT_LR || in->fmt == FMT_SC));
}

/* Table indexes of what may be generated; returns how many. */
static unsigned choices(const struct gen *g, unsigned theme, uint16_t *ret_pick)
{
    unsigned n = 0;

    for (size_t i = 0; i < isa_count; i++) {
        const struct isa_insn *in = &isa_table[i];

        if (allowed(g, in) && in_theme(in, theme)) {
            ret_pick[n++] = (uint16_t)i;
        }
    }
    return n;
}

static void gen_seq(struct gen *g, struct batch_case *c, uint8_t *code)
{
    struct build b = {.g = g, .c = c};
    unsigned theme = below(g, 12), loop_start = 0, loop_left = 0;
    unsigned fault_at = one_in(g, 24) ? below(g, 30) : GROUPS_MAX;
    uint16_t pick[512];
    unsigned picks = choices(g, theme, pick);

    if (!picks) { /* none of that kind in this feature set */
        picks = choices(g, 0, pick);
    }
    pick_registers(&b);
    c->fcsr = (one_in(g, 2) ? 0 : below(g, 5)) << 5;
    c->fcsr |= one_in(g, 2) ? 0 : below(g, 32);
    b.target_groups = 8 + below(g, 33);
    while (b.groups < b.target_groups) {
        b.start[b.groups] = b.n;
        if (loop_left == 1) {
            int back;

            emit_addi(&b, b.lc, b.lc, -1);
            back = ((int)b.start[loop_start] - (int)b.n) * 2;
            emit_word(&b, 0x4063 | b.lc << 20 | ((uint32_t)back >> 12 & 1) << 31 |
                              ((uint32_t)back >> 5 & 63) << 25 | ((uint32_t)back >> 1 & 15) << 8 |
                              ((uint32_t)back >> 11 & 1) << 7); /* blt x0, lc, back */
            loop_left = 0;
        } else if (!loop_left && one_in(g, 16) && b.groups + 4 < b.target_groups) {
            emit_addi(&b, b.lc, 0, one_in(g, 40) ? 200 : 1 + (int)below(g, 4));
            loop_start = b.groups + 1;
            loop_left = 3 + below(g, 6);
            if (b.groups + loop_left >= b.target_groups) {
                loop_left = b.target_groups - b.groups - 1;
            }
            b.groups++;
            continue;
        } else if (b.groups == fault_at) {
            emit_fault(&b);
        } else {
            size_t i = pick[below(g, picks)];

            g->hits[i]++;
            emit_insn(&b, &isa_table[i]);
        }
        g->insns++;
        if (loop_left > 1) {
            loop_left--;
        }
        b.groups++;
    }
    b.start[b.groups] = b.n;
    c->end_off = b.n * 2;
    for (unsigned i = 0; i < b.fixes; i++) {
        patch(&b, &b.fix[i]);
    }
    b.hw[b.n++] = 0x0073; /* ebreak */
    b.hw[b.n++] = 0x0010;
    c->code_bytes = b.n * 2;
    memcpy(code, b.hw, c->code_bytes);
    /* Anywhere in the code area: now and then across a page. */
    c->pc = BATCH_CODE;
    if (one_in(g, 3)) {
        c->pc += 0x1000 * (1 + below(g, 8));
        c->pc -= below(g, c->code_bytes / 2) * 2;
    } else {
        c->pc += below(g, 0x7000) * 2;
    }
}

/* Words whose effect cannot be compared like this: control flow, system, lone SC, amocas into x0.
 */
static bool word_excluded(uint32_t w)
{
    unsigned op = w & 0x7f, f3 = w >> 13 & 7;

    if ((op & ~0x20u) == 0x07 && (w >> 20 & 31) == 8 && !(w >> 12 & 3 && !(w >> 14 & 1))) {
        return true; /* QEMU 10.0 runs whole-register vector loads and stores without V */
    }
    if (op == 0x0f && (w >> 12 & 7) == 2 && w >> 20 < 3) {
        return true; /* qemu-user has no way to allow the cache-block management of Zicbom */
    }
    if ((w & 3) == 3) {
        return op == 0x73 || op == 0x63 || op == 0x67 || op == 0x6f ||
               (op == 0x2f && (w >> 27 == 3 || (w >> 27 == 5 && !(w >> 7 & 31))));
    }
    if ((w & 3) == 1) {
        return f3 >= 5;
    }
    return (w & 3) == 2 && f3 == 4 && (w >> 2 & 31) == 0;
}

static void gen_word(struct gen *g, struct batch_case *c, uint8_t *code)
{
    uint32_t w;
    unsigned n;

    do {
        const struct isa_insn *in = &isa_table[below(g, (unsigned)isa_count)];
        unsigned how = below(g, 20);

        w = in->match | ((uint32_t)rnd(g) & ~in->mask & ((in->match & 3) == 3 ? ~0u : 0xffff));
        if (how < 10) {
            for (unsigned k = 0; k <= how / 3; k++) {
                w ^= 1u << below(g, (w & 3) == 3 ? 32 : 16);
            }
        } else if (how < 13) {
            w = (uint32_t)rnd(g) | 3;
        } else if (how < 16) {
            w = (uint32_t)rnd(g) & 0xffff;
        }
    } while (word_excluded(w));
    for (unsigned i = 0; i < 32; i++) {
        c->x[i] = i ? BATCH_SCRATCH + 0xf00 + i * 16 : 0;
        c->f[i] = value_f(rnd(g));
    }
    c->fcsr = below(g, 8) << 5; /* also the reserved rounding modes */
    n = isa_len((uint16_t)w);
    memcpy(code, &w, n);
    memcpy(code + n, "\x73\x00\x10\x00", 4);
    c->end_off = n;
    c->code_bytes = n + 4;
    c->pc = BATCH_CODE + below(g, 0x7000) * 2;
    g->insns++;
    const struct isa_insn *hit = isa_find(w, g->features);

    if (hit) {
        g->hits[hit - isa_table]++;
    }
}

void gen_init(struct gen *g, uint64_t seed, uint32_t features, enum gen_mode mode)
{
    memset(g, 0, sizeof(*g));
    g->seed = seed;
    g->features = features;
    g->mode = mode;
}

void gen_case(struct gen *g, uint64_t index, struct batch_case *ret_case, uint8_t *code)
{
    memset(ret_case, 0, sizeof(*ret_case));
    memset(code, 0, BATCH_CODE_MAX);
    g->rng = g->seed * 0x9e3779b97f4a7c15ull ^ (index + 1) * 0xd1342543de82ef95ull;
    rnd(g);
    ret_case->scratch_seed = rnd(g);
    if (g->mode == GEN_WORDS) {
        gen_word(g, ret_case, code);
    } else {
        gen_seq(g, ret_case, code);
    }
}

unsigned gen_coverage(const struct gen *g, unsigned *ret_total, char *out, size_t out_len)
{
    unsigned hit = 0, total = 0;
    size_t at = 0;

    out[0] = 0;
    for (size_t i = 0; i < isa_count; i++) {
        const struct isa_insn *in = &isa_table[i];

        if (!allowed(g, in)) {
            continue;
        }
        total++;
        if (g->hits[i]) {
            hit++;
        } else if (at + 16 < out_len) {
            at += (size_t)snprintf(out + at, out_len - at, " %s", in->name);
        }
    }
    *ret_total = total;
    return hit;
}
