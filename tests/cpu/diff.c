/*
 * Generate, run on both sides, compare, shrink, report.
 *
 * The oracle is a command that reads a batch on stdin and writes results to stdout (oracle_rv under
 * qemu-riscv64). It works on one chunk while the second side works on the same chunk here.
 */
#include "diff.h"
#include "gen.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* COVERED: so many sequences must hold every instruction. */
enum { CHUNK = 1000, SHRINK_ROUNDS = 48, SHRINK_SECONDS = 20, COVERED = 5000 };

struct command {
    const char *cmd;
    char in[64], out[64];
    pid_t pid;
};

struct options {
    uint64_t seed, start, count;
    uint32_t features;
    enum gen_mode mode;
    bool align_faults, no_lrsc, shrink;
    unsigned max_reports;
    const char *oracle, *against, *dump;
};

static int write_batch(const char *path, const struct batch *b)
{
    struct batch_head head = {BATCH_MAGIC, b->count, b->features};
    FILE *f = fopen(path, "wb");
    bool ok;

    if (!f) {
        return -errno;
    }
    ok = fwrite(&head, sizeof(head), 1, f) == 1;
    for (uint32_t i = 0; i < b->count && ok; i++) {
        size_t n = (b->c[i].code_bytes + 7u) & ~7u;

        ok = fwrite(&b->c[i], sizeof(b->c[i]), 1, f) == 1 &&
             fwrite(b->code + (size_t)i * BATCH_CODE_MAX, 1, n, f) == n;
    }
    return fclose(f) == 0 && ok ? 0 : -EIO;
}

static int command_start(struct runner *r, const struct batch *b, struct batch_result *out)
{
    struct command *k = r->priv;
    int fd, rc;

    (void)out;
    if (!k->in[0]) {
        snprintf(k->in, sizeof(k->in), "/tmp/cpu_diff.in.XXXXXX");
        snprintf(k->out, sizeof(k->out), "/tmp/cpu_diff.out.XXXXXX");
        fd = mkstemp(k->in);
        if (fd < 0 || close(fd) || (fd = mkstemp(k->out)) < 0 || close(fd)) {
            return -errno;
        }
    }
    rc = write_batch(k->in, b);
    if (rc) {
        return rc;
    }
    k->pid = fork();
    if (k->pid == 0) {
        int in = open(k->in, O_RDONLY), to = open(k->out, O_WRONLY | O_TRUNC);

        if (in < 0 || to < 0 || dup2(in, 0) < 0 || dup2(to, 1) < 0) {
            _exit(126);
        }
        execl("/bin/sh", "sh", "-c", k->cmd, (char *)NULL);
        _exit(127);
    }
    return k->pid < 0 ? -errno : 0;
}

static int command_finish(struct runner *r, const struct batch *b, struct batch_result *out)
{
    struct command *k = r->priv;
    struct batch_head head;
    int status = 0;
    FILE *f;
    bool ok;

    if (waitpid(k->pid, &status, 0) < 0 || status != 0) {
        fprintf(stderr, "%s: ended with status 0x%x\n", k->cmd, (unsigned)status);
        return -EIO;
    }
    f = fopen(k->out, "rb");
    if (!f) {
        return -errno;
    }
    ok = fread(&head, sizeof(head), 1, f) == 1 && head.magic == RESULT_MAGIC &&
         head.count == b->count && fread(out, sizeof(*out), b->count, f) == b->count;
    fclose(f);
    if (!ok) {
        fprintf(stderr, "%s: short or foreign answer\n", k->cmd);
    }
    return ok ? 0 : -EIO;
}

static void command_end(struct command *k)
{
    if (k->in[0]) {
        unlink(k->in);
        unlink(k->out);
    }
}

static int batch_alloc(struct batch *b, uint32_t cap, uint32_t features)
{
    b->c = calloc(cap, sizeof(*b->c));
    b->code = calloc(cap, BATCH_CODE_MAX);
    b->cap = cap;
    b->count = 0;
    b->features = features;
    return b->c && b->code ? 0 : -ENOMEM;
}

static void batch_free(struct batch *b)
{
    free(b->c);
    free(b->code);
}

static bool same(const struct batch_result *a, const struct batch_result *b)
{
    return a->cause == b->cause && a->pc == b->pc && a->fcsr == b->fcsr && a->hash == b->hash &&
           memcmp(a->x, b->x, sizeof(a->x)) == 0 && memcmp(a->f, b->f, sizeof(a->f)) == 0;
}

static int run_both(struct runner *r[2], const struct batch *b, struct batch_result *out[2])
{
    int rc = r[0]->start(r[0], b, out[0]), rc1 = 0;

    if (rc) {
        return rc;
    }
    rc1 = r[1]->start(r[1], b, out[1]);
    rc = r[0]->finish(r[0], b, out[0]);
    if (!rc1) {
        rc1 = r[1]->finish(r[1], b, out[1]);
    }
    return rc ? rc : rc1;
}

/* Empty the instruction at off; false when it is empty already or the end. */
static bool blank(uint8_t *code, const struct batch_case *c, uint32_t off)
{
    static const uint8_t nop4[4] = {0x13, 0, 0, 0}, nop2[2] = {1, 0};
    unsigned len = isa_len((uint16_t)(code[off] | code[off + 1] << 8));
    const uint8_t *nop = len == 4 ? nop4 : nop2;

    if (off >= c->end_off || memcmp(code + off, nop, len) == 0) {
        return false;
    }
    if ((code[off + len] & 0x7f) == 0x63 && code[off + len + 3] & 0x80) {
        return false; /* counts down for the backward branch that follows */
    }
    memcpy(code + off, nop, len);
    return true;
}

/*
 * Make case 0 of @one smaller while both sides still differ and end in the same two ways: each
 * round tries every instruction, and each half, quarter... of them, emptied; the largest gain
 * stays.
 */
static void shrink(struct runner *r[2], struct batch *one, struct batch_result *res[2])
{
    uint32_t cause0 = res[0][0].cause, cause1 = res[1][0].cause;
    uint32_t offs[BATCH_CODE_MAX / 2], n = 0;
    time_t begin = time(NULL);
    struct batch v;
    struct batch_result *out[2];

    for (uint32_t o = 0; o < one->c[0].end_off;) {
        offs[n++] = o;
        o += isa_len((uint16_t)(one->code[o] | one->code[o + 1] << 8));
    }
    out[0] = calloc(4 * (size_t)n + 8, sizeof(*out[0]));
    out[1] = calloc(4 * (size_t)n + 8, sizeof(*out[1]));
    if (!out[0] || !out[1] || batch_alloc(&v, 4 * n + 8, one->features)) {
        abort();
    }
    for (unsigned round = 0; round < SHRINK_ROUNDS && time(NULL) - begin < SHRINK_SECONDS;
         round++) {
        bool better = false;

        v.count = 0;
        for (uint32_t span = n; span >= 1 && v.count + n + 2 < v.cap; span /= 2) {
            for (uint32_t at = 0; at < n && v.count + 1 < v.cap; at += span) {
                uint8_t *code = v.code + (size_t)v.count * BATCH_CODE_MAX;
                bool changed = false;

                memcpy(code, one->code, BATCH_CODE_MAX);
                for (uint32_t k = at; k < at + span && k < n; k++) {
                    changed |= blank(code, &one->c[0], offs[k]);
                }
                if (changed) {
                    v.c[v.count++] = one->c[0];
                }
            }
        }
        if (v.count == 0 || run_both(r, &v, out)) {
            break;
        }
        for (uint32_t i = 0; i < v.count && !better; i++) { /* largest spans come first */
            if (!same(&out[0][i], &out[1][i]) && out[0][i].cause == cause0 &&
                out[1][i].cause == cause1) {
                memcpy(one->code, v.code + (size_t)i * BATCH_CODE_MAX, BATCH_CODE_MAX);
                res[0][0] = out[0][i];
                res[1][0] = out[1][i];
                better = true;
            }
        }
        if (!better) {
            break;
        }
    }
    batch_free(&v);
    free(out[0]);
    free(out[1]);
}

static void report(struct runner *r[2], const struct options *o, uint64_t number,
                   const struct batch *b, uint32_t i, const struct batch_result *r0,
                   const struct batch_result *r1)
{
    const char *const names[2] = {r[0]->name, r[1]->name};
    struct batch_result c0 = *r0, c1 = *r1, *res[2] = {&c0, &c1};
    struct batch one;

    if (batch_alloc(&one, 1, b->features)) {
        return;
    }
    one.count = 1;
    one.c[0] = b->c[i];
    memcpy(one.code, b->code + (size_t)i * BATCH_CODE_MAX, BATCH_CODE_MAX);
    if (o->shrink && o->mode == GEN_SEQ) {
        shrink(r, &one, res);
    }
    printf("# difference: --mode %s --seed %" PRIu64 " --start %" PRIu64 " --count 1\n",
           o->mode == GEN_SEQ ? "seq" : "words", o->seed, number);
    report_case(names, &one, 0, &c0, &c1);
    fflush(stdout);
    batch_free(&one);
}

/*
 * A translating oracle optimises across instructions, and may do it wrongly (QEMU 10.0 does, with
 * rotations and dead results). The judge is the same model one instruction at a time: true when it
 * agrees with the second side about case i, so that the difference is the oracle's own.
 */
static bool acquitted(struct runner *judge, const struct batch *b, uint32_t i,
                      const struct batch_result *second)
{
    struct batch one = {.count = 1, .cap = 1, .features = b->features, .c = &b->c[i]};
    struct batch_result res;

    one.code = b->code + (size_t)i * BATCH_CODE_MAX;
    return judge && judge->start(judge, &one, &res) == 0 && judge->finish(judge, &one, &res) == 0 &&
           same(&res, second);
}

static int compare(const struct options *o, struct runner *r[2], struct runner *judge)
{
    struct runner *strict[2] = {judge ? judge : r[0], r[1]};
    struct gen g;
    struct batch b;
    struct batch_result *out[2];
    uint64_t done = 0, diffs = 0, odd = 0, faults = 0, ended[8] = {0};
    unsigned total, hit;
    char missing[2048];

    gen_init(&g, o->seed, o->features, o->mode);
    g.align_faults = o->align_faults;
    g.no_lrsc = o->no_lrsc;
    out[0] = calloc(CHUNK, sizeof(*out[0]));
    out[1] = calloc(CHUNK, sizeof(*out[1]));
    if (!out[0] || !out[1] || batch_alloc(&b, CHUNK, o->features)) {
        return 5;
    }
    while (done < o->count) {
        b.count = 0;
        while (b.count < CHUNK && done + b.count < o->count) {
            gen_case(&g, o->start + done + b.count, &b.c[b.count],
                     b.code + (size_t)b.count * BATCH_CODE_MAX);
            b.count++;
        }
        if (run_both(r, &b, out)) {
            fprintf(stderr, "cpu_diff: a side failed to run cases %" PRIu64 "...\n",
                    o->start + done);
            return 5;
        }
        for (uint32_t i = 0; i < b.count; i++) {
            ended[out[0][i].cause & 7]++;
            if (o->mode == GEN_WORDS) {
                uint32_t w;

                memcpy(&w, b.code + (size_t)i * BATCH_CODE_MAX, 4);
                bool legal = isa_legal(w, o->features, b.c[i].fcsr >> 5);

                if (legal == (out[0][i].cause == CAUSE_ILLEGAL) && odd++ < 20) {
                    printf("# word %08x: %s, but %s by the table\n", w,
                           report_cause(out[0][i].cause), legal ? "legal" : "not");
                }
            }
            if (same(&out[0][i], &out[1][i])) {
                continue;
            }
            if (acquitted(judge, &b, i, &out[1][i])) {
                faults++;
            } else if (diffs++ < o->max_reports) {
                report(strict, o, o->start + done + i, &b, i, &out[0][i], &out[1][i]);
            }
        }
        done += b.count;
    }
    hit = gen_coverage(&g, &total, missing, sizeof(missing));
    printf("# %s against %s: %" PRIu64 " sequences compared, %" PRIu64
           " instructions, %u of %u kinds, %" PRIu64 " differences\n",
           r[1]->name, r[0]->name, done, g.insns, hit, total, diffs);
    printf("# ended:");
    for (unsigned i = 0; i < 7; i++) {
        if (ended[i]) {
            printf(" %s %" PRIu64, report_cause(i), ended[i]);
        }
    }
    printf("\n");
    if (faults) {
        printf("# in %" PRIu64
               " more the oracle contradicts itself: one instruction at a time it agrees\n",
               faults);
    }
    if (odd) {
        printf("# the table and the oracle disagree on whether %" PRIu64 " words are illegal\n",
               odd);
    }
    if (hit != total && o->mode == GEN_SEQ && o->count >= COVERED) {
        printf("# not generated:%s\n", missing);
    }
    batch_free(&b);
    free(out[0]);
    free(out[1]);
    return diffs || (hit != total && o->mode == GEN_SEQ && o->count >= COVERED) ? 1 : 0;
}

static int dump(const struct options *o)
{
    struct gen g;
    struct batch b;
    int rc;

    gen_init(&g, o->seed, o->features, o->mode);
    if (batch_alloc(&b, (uint32_t)o->count, o->features)) {
        return 5;
    }
    while (b.count < o->count) {
        gen_case(&g, o->start + b.count, &b.c[b.count], b.code + (size_t)b.count * BATCH_CODE_MAX);
        b.count++;
    }
    rc = write_batch(o->dump, &b);
    batch_free(&b);
    return rc ? 5 : 0;
}

/* "zba,zfh" or "-zba" on top of what is there; "all" for everything, "none" to start empty. */
static bool parse_features(const char *text, uint32_t *ret_features)
{
    char copy[512], *save = NULL;

    snprintf(copy, sizeof(copy), "%s", text);
    for (char *t = strtok_r(copy, ", ", &save); t; t = strtok_r(NULL, ", ", &save)) {
        bool off = *t == '-';
        uint32_t bit = isa_feature_bit(t + off);

        if (strcmp(t, "all") == 0) {
            *ret_features = (1u << ISA_EXT_COUNT) - 1;
        } else if (strcmp(t, "none") == 0) {
            *ret_features = 0;
        } else if (!bit) {
            fprintf(stderr, "cpu_diff: unknown extension %s\n", t);
            return false;
        } else {
            *ret_features = off ? *ret_features & ~bit : *ret_features | bit;
        }
    }
    return true;
}

static const char usage[] =
    "usage: cpu_diff --oracle CMD [--judge CMD] [--against CMD] [--seed N] [--count N] [--start "
    "N]\n"
    "                [--features LIST] [--mode seq|words] [--reports N] [--no-shrink]\n"
    "                [--align-faults] [--no-lrsc] [--dump FILE]\n";

int diff_main(int argc, char **argv, struct runner *second)
{
    struct options o = {.seed = 1, .count = 1000, .max_reports = 10, .shrink = true};
    struct command k0 = {0}, k1 = {0}, k2 = {0};
    struct runner r0 = {"oracle", command_start, command_finish, &k0};
    struct runner r1 = {"against", command_start, command_finish, &k1};
    struct runner r2 = {"judge", command_start, command_finish, &k2};
    struct runner *r[2] = {&r0, second};
    int rc;

    o.features = (ISA_ZBKB - 1);
    for (int i = 1; i < argc; i++) {
        const char *a = argv[i], *v = i + 1 < argc ? argv[i + 1] : NULL;

        if (strcmp(a, "--no-shrink") == 0) {
            o.shrink = false;
            continue;
        }
        if (strcmp(a, "--no-lrsc") == 0) {
            o.no_lrsc = true;
            continue;
        }
        if (strcmp(a, "--align-faults") == 0) {
            o.align_faults = true;
            continue;
        }
        if (!v) {
            fputs(usage, stderr);
            return 2;
        }
        i++;
        if (strcmp(a, "--oracle") == 0) {
            o.oracle = v;
        } else if (strcmp(a, "--against") == 0) {
            o.against = v;
        } else if (strcmp(a, "--judge") == 0) {
            k2.cmd = v;
        } else if (strcmp(a, "--seed") == 0) {
            o.seed = strtoull(v, NULL, 0);
        } else if (strcmp(a, "--start") == 0) {
            o.start = strtoull(v, NULL, 0);
        } else if (strcmp(a, "--count") == 0) {
            o.count = strtoull(v, NULL, 0);
        } else if (strcmp(a, "--reports") == 0) {
            o.max_reports = (unsigned)strtoul(v, NULL, 0);
        } else if (strcmp(a, "--dump") == 0) {
            o.dump = v;
        } else if (strcmp(a, "--features") == 0) {
            if (!parse_features(v, &o.features)) {
                return 2;
            }
        } else if (strcmp(a, "--mode") == 0) {
            o.mode = strcmp(v, "words") == 0 ? GEN_WORDS : GEN_SEQ;
        } else {
            fputs(usage, stderr);
            return 2;
        }
    }
    if (o.dump) {
        return dump(&o);
    }
    if (o.against) {
        k1.cmd = o.against;
        r[1] = &r1;
    }
    if (!o.oracle || !r[1]) {
        fputs(usage, stderr);
        return 2;
    }
    k0.cmd = o.oracle;
    rc = compare(&o, r, k2.cmd ? &r2 : NULL);
    command_end(&k0);
    command_end(&k1);
    command_end(&k2);
    return rc;
}
