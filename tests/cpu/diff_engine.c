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
#include "cpu/riscv/hart.h"
#include "cpu/riscv/priv.h"
#include "diff.h"
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define HANDLER 0x30000000ull

struct engine {
    struct vr_space *space;
    struct vr_clock *clock;
    struct vr_ram *code, *scratch, *handler;
    struct vr_region region[3];
    struct rv_hart *hart;
    const struct batch *batch;
    struct batch_result *out;
    uint32_t at;
    bool under_way;
    atomic_uint progress; /* cases over, for the watch */
    atomic_bool stop;
};

static uint64_t engine_time(void *opaque)
{
    (void)opaque;
    return 0;
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

    memset(r, 0, sizeof(*r));
    memcpy(r->x, &cpu->r[0], sizeof(r->x));
    memcpy(r->f, &cpu->r[32], sizeof(r->f));
    r->pc = e->hart->sepc;
    r->fcsr = (uint32_t)csr(e, 0x003);
    r->cause = cause_of(e, c);
    r->hash = batch_hash((const uint64_t *)e->scratch->hva, BATCH_SCRATCH_LEN / 8);
}

static void case_begin(struct engine *e)
{
    const struct batch_case *c = &e->batch->c[e->at];
    struct rv_hart *hart = e->hart;
    uint64_t off = c->pc - BATCH_CODE;

    memcpy(e->code->hva + off, e->batch->code + (size_t)e->at * BATCH_CODE_MAX, c->code_bytes);
    vr_ram_wrote(e->space, e->code, off, c->code_bytes);
    batch_fill((uint64_t *)e->scratch->hva, BATCH_SCRATCH_LEN / 8, c->scratch_seed);
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

static int engine_open(struct engine *e, struct vr_error *err)
{
    static const uint8_t ecall[4] = {0x73, 0, 0, 0};
    struct rv_config config;
    int rc;

    rv_config_default(&config);
    config.builtin_sbi = true;
    if ((rc = vr_space_create("cpu_diff", UINT64_MAX, &e->space, err)) ||
        (rc = vr_clock_create(VR_CLOCK_STEPPED, &e->clock, err)) ||
        (rc = engine_map(e, 0, "code", BATCH_CODE, BATCH_CODE_LEN, &e->code, err)) ||
        (rc = engine_map(e, 1, "scratch", BATCH_SCRATCH, BATCH_SCRATCH_LEN, &e->scratch, err)) ||
        (rc = engine_map(e, 2, "handler", HANDLER, VR_PAGE_SIZE, &e->handler, err)) ||
        (rc = rv_hart_create(NULL, 0, &config, e->space, e->clock, engine_time, NULL, &e->hart,
                             err))) {
        return rc;
    }
    memcpy(e->handler->hva, ecall, sizeof(ecall));
    rv_hart_set_sbi(e->hart, case_over, e);
    rv_hart_reset(e->hart);
    e->hart->stvec = HANDLER;
    e->hart->medeleg = 0xb1ff;
    e->hart->senvcfg = RV_ENVCFG_CBIE | RV_ENVCFG_CBCFE | RV_ENVCFG_CBZE;
    e->hart->mstatus |= RV_MSTATUS_FS;
    rv_hart_start(e->hart, RV_S, HANDLER, 0, 0);
    return 0;
}

static void engine_close(struct engine *e)
{
    if (e->hart) {
        e->hart->cpu.vcpu.ops->destroy(&e->hart->cpu.vcpu);
    }
    for (unsigned i = 0; e->space && i < 3; i++) {
        if (e->region[i].ram) {
            vr_space_remove(e->space, &e->region[i]);
        }
    }
    vr_space_destroy(e->space);
    vr_ram_destroy(e->code);
    vr_ram_destroy(e->scratch);
    vr_ram_destroy(e->handler);
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
        if (same >= 30) {
            vr_vcpu_kick(&e->hart->cpu.vcpu);
        }
    }
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
        pthread_t watch;

        atomic_store(&vcpu->kicked, false);
        atomic_store(&e->stop, false);
        if (pthread_create(&watch, NULL, engine_watch, e)) {
            return -EAGAIN;
        }
        vcpu->ops->run(vcpu);
        atomic_store(&e->stop, true);
        pthread_join(watch, NULL);
        if (e->at == b->count) {
            return 0;
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
    int rc = engine_open(&e, &err);

    if (rc) {
        fprintf(stderr, "cpu_diff: %s\n", err.msg);
        rc = 5;
    } else {
        rc = diff_main(argc, argv, &r);
    }
    engine_close(&e);
    return rc;
}
