/*
 * cpu_diff: Vireo's engine on the second side of the comparison.
 *
 * One hart, no devices: code and scratch are RAM at the batch's addresses, translation is off, and
 * U-mode runs on physical addresses. Traps are delegated to S, whose handler is a lone ecall; it
 * calls case_over() here through the hook for a built-in SBI, which reads the state (no guest code
 * has touched a register since the trap) and starts the next case.
 */
#include "base/err.h"
#include "core/clock.h"
#include "core/space.h"
#include "cpu/jit/jit.h"
#include "cpu/riscv/hart.h"
#include "cpu/riscv/priv.h"
#include "diff.h"
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLER    0x30000000ull
#define TABLES     0x40000000ull
#define TABLES_LEN 0x5000ull /* a root, one middle table, a last one for each region */

enum { PTE_V = 1, PTE_R = 2, PTE_W = 4, PTE_X = 8, PTE_U = 16, PTE_AD = 0xc0 };

struct engine {
    struct vr_space *space;
    struct vr_clock *clock;
    struct vr_ram *code, *scratch, *handler, *tables;
    struct vr_region region[4];
    struct rv_hart *hart;
    const struct batch *batch;
    struct batch_result *out;
    uint32_t at;
    bool under_way;
    atomic_uint progress; /* cases over, for the watch */
    atomic_bool stop;
    bool single, paged, irq, jit, lockstep;
    struct vr_jit_opts jit_opts;
    uint64_t interrupts;  /* taken */
    unsigned differences; /* between the two engines of lockstep */
};

static uint64_t engine_time(void *opaque)
{
    (void)opaque;
    return 0;
}

/* Where byte @off of code, or of scratch, lies in its RAM: pages in another order when paged. */
static uint64_t code_off(const struct engine *e, uint64_t off)
{
    uint64_t pages = BATCH_CODE_LEN >> 12, page = off >> 12;

    return e->paged ? ((page * 5 + 3) % pages) << 12 | (off & 0xfff) : off;
}

static uint64_t scratch_off(const struct engine *e, uint64_t off)
{
    return e->paged ? off ^ 0x1000 : off;
}

static uint32_t cause_of(const struct engine *e, const struct batch_case *c)
{
    switch (e->hart->scause) {
    case RV_CAUSE_BREAKPOINT:
        return e->hart->sepc == c->pc + c->end_off ? CAUSE_END : CAUSE_BREAK;
    case RV_CAUSE_ILLEGAL:
        return CAUSE_ILLEGAL;
    case RV_CAUSE_FETCH_ACCESS:
    case RV_CAUSE_LOAD_ACCESS:
    case RV_CAUSE_STORE_ACCESS:
    case RV_CAUSE_FETCH_PAGE:
    case RV_CAUSE_LOAD_PAGE:
    case RV_CAUSE_STORE_PAGE:
        return CAUSE_ACCESS;
    case RV_CAUSE_FETCH_MISALIGNED:
    case RV_CAUSE_LOAD_MISALIGNED:
    case RV_CAUSE_STORE_MISALIGNED:
        return CAUSE_ALIGN;
    default:
        return CAUSE_OTHER;
    }
}

static uint64_t csr(struct engine *e, unsigned n)
{
    uint64_t v = 0;

    if (!rv_csr_read(e->hart, n, &v)) {
        fprintf(stderr, "engine: csr 0x%x is not readable\n", n);
    }
    return v;
}

static void case_result(struct engine *e)
{
    const struct batch_case *c = &e->batch->c[e->at];
    struct batch_result *r = &e->out[e->at];
    struct vr_cpu *cpu = &e->hart->cpu;
    uint64_t scratch[BATCH_SCRATCH_LEN / 8];

    memset(r, 0, sizeof(*r));
    memcpy(r->x, &cpu->r[0], sizeof(r->x));
    memcpy(r->f, &cpu->r[32], sizeof(r->f));
    r->pc = e->hart->sepc;
    r->fcsr = (uint32_t)csr(e, 0x003);
    r->cause = cause_of(e, c);
    static_assert(BATCH_SCRATCH_LEN == 0x2000, "two pages");
    memcpy(&scratch[0], e->scratch->hva + scratch_off(e, 0), 0x1000);
    memcpy(&scratch[0x1000 / 8], e->scratch->hva + scratch_off(e, 0x1000), 0x1000);
    r->hash = batch_hash(scratch, BATCH_SCRATCH_LEN / 8);
}

static void case_begin(struct engine *e)
{
    const struct batch_case *c = &e->batch->c[e->at];
    struct rv_hart *hart = e->hart;
    const uint8_t *code = e->batch->code + (size_t)e->at * BATCH_CODE_MAX;
    uint64_t scratch[BATCH_SCRATCH_LEN / 8];

    for (uint32_t i = 0; i < c->code_bytes; i += 2) {
        uint64_t off = code_off(e, c->pc - BATCH_CODE + i);

        memcpy(e->code->hva + off, code + i, 2);
        vr_ram_wrote(e->space, e->code, off, 2);
    }
    batch_fill(scratch, BATCH_SCRATCH_LEN / 8, c->scratch_seed);
    memcpy(e->scratch->hva + scratch_off(e, 0), &scratch[0], 0x1000);
    memcpy(e->scratch->hva + scratch_off(e, 0x1000), &scratch[0x1000 / 8], 0x1000);
    vr_ram_wrote(e->space, e->scratch, 0, BATCH_SCRATCH_LEN);
    vr_code_fence(&hart->cpu);
    memcpy(&hart->cpu.r[1], &c->x[1], 31 * sizeof(uint64_t));
    memcpy(&hart->cpu.r[32], c->f, sizeof(c->f));
    if (!rv_csr_write(hart, 0x003, c->fcsr)) {
        fprintf(stderr, "engine: fcsr is not writable\n");
    }
    hart->cpu.pc = c->pc;
    rv_set_priv(hart, RV_U);
}

/* The SBI hook: runs at the handler's ecall. */
static bool case_over(void *opaque, struct rv_hart *hart)
{
    struct engine *e = opaque;

    if (e->paged && !hart->satp) { /* starting a hart turns translation off */
        uint64_t satp = 8ull << RV_SATP_MODE_SHIFT | TABLES >> 12;

        if (!rv_csr_write(hart, 0x180, satp)) {
            fprintf(stderr, "engine: satp is not writable\n");
        }
        rv_fence_all(hart);
    }
    if (hart->scause & RV_CAUSE_INTERRUPT && e->under_way) {
        e->interrupts++;
        hart->scause = 0;
        rv_hart_irq(hart, RV_SEI, false);
        hart->cpu.pc = hart->sepc;
        rv_set_priv(hart, RV_U);
        return false;
    }
    if (e->under_way) {
        case_result(e);
        e->at++;
        atomic_fetch_add(&e->progress, 1);
    }
    e->under_way = e->at < e->batch->count;
    if (e->under_way) {
        case_begin(e);
    } else {
        hart->cpu.pc = HANDLER;
        vr_vcpu_kick(&hart->cpu.vcpu);
    }
    return false;
}

/* Lockstep's two engines differ: told of at once; the case has no result. */
static void engine_differ(void *opaque, unsigned cpu, const char *report)
{
    struct engine *e = opaque;

    (void)cpu;
    e->differences++;
    while (*report) {
        size_t len = strcspn(report, "\n");

        printf("# %.*s\n", (int)len, report);
        report += len + (report[len] == '\n');
    }
    vr_vcpu_kick(&e->hart->cpu.vcpu);
}

static int engine_map(struct engine *e, unsigned i, const char *name, uint64_t gpa, uint64_t len,
                      struct vr_ram **ret_ram, struct vr_error *err)
{
    int rc = vr_ram_create(name, len, ret_ram, err);

    if (rc) {
        return rc;
    }
    e->region[i] = (struct vr_region){
        .name = name, .kind = VR_REGION_RAM, .gpa = gpa, .len = len, .ram = *ret_ram};
    return vr_space_add(e->space, &e->region[i], err);
}

static void engine_pte(struct engine *e, unsigned table, unsigned idx, uint64_t gpa, uint64_t flags)
{
    uint64_t pte = gpa >> 2 | flags;

    memcpy(e->tables->hva + table * 0x1000 + idx * 8, &pte, sizeof(pte));
}

/* Sv39 tables for the batch's addresses: 0 root, 1 middle, 2 code, 3 scratch, 4 handler. */
static void engine_tables(struct engine *e)
{
    static const uint64_t base[3] = {BATCH_CODE, BATCH_SCRATCH, HANDLER};

    engine_pte(e, 0, 0, TABLES + 0x1000, PTE_V);
    for (unsigned i = 0; i < 3; i++) {
        engine_pte(e, 1, (unsigned)(base[i] >> 21), TABLES + (2 + i) * 0x1000, PTE_V);
    }
    for (unsigned i = 0; i < BATCH_CODE_LEN >> 12; i++) {
        engine_pte(e, 2, i, BATCH_CODE + code_off(e, (uint64_t)i << 12),
                   PTE_V | PTE_R | PTE_W | PTE_X | PTE_U | PTE_AD);
    }
    for (unsigned i = 0; i < BATCH_SCRATCH_LEN >> 12; i++) {
        engine_pte(e, 3, i, BATCH_SCRATCH + scratch_off(e, (uint64_t)i << 12),
                   PTE_V | PTE_R | PTE_W | PTE_U | PTE_AD);
    }
    engine_pte(e, 4, 0, HANDLER, PTE_V | PTE_R | PTE_X | PTE_AD);
}

static int engine_open(struct engine *e, struct vr_error *err)
{
    static const uint8_t ecall[4] = {0x73, 0, 0, 0};
    struct rv_config config;
    int rc;

    rv_config_default(&config);
    config.builtin_sbi = true;
    config.jit = e->jit;
    config.jit_opts = e->jit_opts;
    config.lockstep = e->lockstep;
    config.jit_opts.differ = engine_differ;
    config.jit_opts.differ_opaque = e;
    if ((rc = vr_space_create("cpu_diff", UINT64_MAX, &e->space, err)) ||
        (rc = vr_clock_create(VR_CLOCK_STEPPED, &e->clock, err)) ||
        (rc = engine_map(e, 0, "code", BATCH_CODE, BATCH_CODE_LEN, &e->code, err)) ||
        (rc = engine_map(e, 1, "scratch", BATCH_SCRATCH, BATCH_SCRATCH_LEN, &e->scratch, err)) ||
        (rc = engine_map(e, 2, "handler", HANDLER, VR_PAGE_SIZE, &e->handler, err)) ||
        (rc = engine_map(e, 3, "tables", TABLES, TABLES_LEN, &e->tables, err)) ||
        (rc = rv_hart_create(NULL, 0, &config, e->space, e->clock, engine_time, NULL, &e->hart,
                             err))) {
        return rc;
    }
    memcpy(e->handler->hva, ecall, sizeof(ecall));
    engine_tables(e);
    rv_hart_set_sbi(e->hart, case_over, e);
    rv_hart_reset(e->hart);
    e->hart->stvec = HANDLER;
    e->hart->medeleg = 0xb1ff;
    e->hart->senvcfg = RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE;
    e->hart->mstatus |= RV_MSTATUS_FS;
    e->hart->mie = RV_BIT(RV_SEI);
    e->hart->cpu.single = e->single;
    rv_hart_start(e->hart, RV_S, HANDLER, 0, 0);
    return 0;
}

static void engine_close(struct engine *e)
{
    if (e->hart) {
        e->hart->cpu.vcpu.ops->destroy(&e->hart->cpu.vcpu);
    }
    for (unsigned i = 0; e->space && i < 4; i++) {
        if (e->region[i].ram) {
            vr_space_remove(e->space, &e->region[i]);
        }
    }
    vr_space_destroy(e->space);
    vr_ram_destroy(e->code);
    vr_ram_destroy(e->scratch);
    vr_ram_destroy(e->handler);
    vr_ram_destroy(e->tables);
    vr_clock_destroy(e->clock);
}

/* Wild jumps of a shrunk case may never end: a case gets a few seconds. */
static void *engine_watch(void *opaque)
{
    struct engine *e = opaque;
    uint32_t seen = 0;
    unsigned same = 0;

    while (!atomic_load(&e->stop)) {
        usleep(100000);
        uint32_t now = atomic_load(&e->progress);

        same = now == seen ? same + 1 : 0;
        seen = now;
        if (same >= 60) {
            vr_vcpu_kick(&e->hart->cpu.vcpu);
        }
    }
    return NULL;
}

/* Raises the external interrupt again and again; the hook lowers it when it was taken. */
static void *engine_disturb(void *opaque)
{
    struct engine *e = opaque;
    unsigned n = 0;

    while (!atomic_load(&e->stop)) {
        rv_hart_irq(e->hart, RV_SEI, true);
        usleep(n++ % 8 * 5);
    }
    rv_hart_irq(e->hart, RV_SEI, false);
    return NULL;
}

static int engine_start(struct runner *r, const struct batch *b, struct batch_result *out)
{
    struct engine *e = r->priv;
    struct vr_vcpu *vcpu = &e->hart->cpu.vcpu;

    e->batch = b;
    e->out = out;
    e->at = 0;
    e->under_way = false;
    for (;;) {
        pthread_t watch, disturb;

        atomic_store(&vcpu->kicked, false);
        atomic_store(&e->stop, false);
        if (pthread_create(&watch, NULL, engine_watch, e) ||
            (e->irq && pthread_create(&disturb, NULL, engine_disturb, e))) {
            return -EAGAIN;
        }
        vcpu->ops->run(vcpu);
        atomic_store(&e->stop, true);
        pthread_join(watch, NULL);
        if (e->irq) {
            pthread_join(disturb, NULL);
        }
        if (e->at == b->count || e->differences) {
            return e->differences ? -EPROTO : 0;
        }
        memset(&out[e->at], 0, sizeof(*out));
        out[e->at++].cause = CAUSE_TIMEOUT;
        e->under_way = false;
        e->hart->cpu.pc = HANDLER;
        rv_set_priv(e->hart, RV_S);
    }
}

static int engine_finish(struct runner *r, const struct batch *b, struct batch_result *out)
{
    (void)r;
    (void)b;
    (void)out;
    return 0;
}

int main(int argc, char **argv)
{
    struct engine e = {0};
    struct runner r = {"vireo", engine_start, engine_finish, &e};
    struct vr_error err = {0};
    char name[64] = "vireo";
    int rc;

    if (argc > 2 && strcmp(argv[1], "--engine") == 0) {
        e.single = strstr(argv[2], "single") != NULL;
        e.paged = strstr(argv[2], "paged") != NULL;
        e.irq = strstr(argv[2], "irq") != NULL;
        e.lockstep = strstr(argv[2], "lockstep") != NULL;
        e.jit = e.lockstep || strstr(argv[2], "jit") != NULL;
        e.jit_opts.hot = strstr(argv[2], "warm") ? 3 : 1; /* warm: the engines take turns */
        e.jit_opts.mirror = strstr(argv[2], "mirror") ? VR_JIT_MIRROR_ALWAYS : VR_JIT_MIRROR_OFF;
        e.jit_opts.code_bytes = strstr(argv[2], "small") ? VR_JIT_CODE_MIN : 0;
        snprintf(name, sizeof(name), "vireo (%s)", argv[2]);
        argc -= 2;
        argv += 2;
    }
    r.name = name;
    rc = engine_open(&e, &err);
    if (rc) {
        fprintf(stderr, "cpu_diff: %s\n", err.msg);
        rc = 5;
    } else {
        rc = diff_main(argc, argv, &r);
        if (e.irq) {
            printf("# %" PRIu64 " interrupts taken on the way\n", e.interrupts);
            rc = rc ? rc : e.interrupts == 0;
        }
    }
    if (e.jit && e.hart) {
        struct vr_jit_stats stats;

        vr_jit_get_stats(&e.hart->cpu, &stats);
        printf("# compiled %" PRIu64 " blocks, %" PRIu64 " instructions; entered %" PRIu64
               " times, flushed %" PRIu64 " times\n",
               stats.blocks, stats.insns, stats.exits, stats.flushes);
        if (e.jit_opts.mirror == VR_JIT_MIRROR_ALWAYS && stats.mirrored == 0) {
            fprintf(stderr, "engine: no mirror was used\n");
            rc = rc ? rc : 1;
        }
        if (e.lockstep) {
            printf("# lockstep: %" PRIu64 " instructions compared in %" PRIu64 " runs\n",
                   stats.compared, stats.stretches);
            rc = rc ? rc : stats.compared == 0 || stats.unrepeated != 0;
        }
        rc = rc ? rc : stats.exits == 0 || (e.jit_opts.code_bytes && stats.flushes < 20);
    }
    engine_close(&e);
    return rc;
}
