/* A machine of parts that only tests have, for tests of machines: vCPUs that only spin or only
 * sleep, a device with a timer, and a board that holds them. */
#ifndef VR_TESTS_MACHINE_RIG_H
#define VR_TESTS_MACHINE_RIG_H

#include "base/err.h"
#include "test.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "core/machine.h"
#include "core/snap.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- A vCPU --- */

struct toy_cpu {
    struct vr_vcpu vcpu;
    bool sleeps;
    atomic_bool asks; /* for a reset, as long as it runs: a guest in a loop */
    atomic_ulong turns, entries;
    atomic_uint inside; /* run() is running */
    /* state */
    uint64_t pc;
};
#define CPU(v) ((struct toy_cpu *)(v))

#define VR_SELF struct toy_cpu
static const struct vr_field cpu_fields[] = {
    VR_STATE(pc, "instructions so far"),
    VR_FIELD_END,
};
#undef VR_SELF

static inline void cpu_run(struct vr_vcpu *v)
{
    atomic_fetch_add(&CPU(v)->entries, 1);
    vr_assert(atomic_fetch_add(&CPU(v)->inside, 1) == 0);
    while (!atomic_load(&v->kicked)) {
        atomic_store(&v->attention, false); /* before looking, as every engine must */
        atomic_fetch_add(&CPU(v)->turns, 1);
        CPU(v)->pc++; /* not atomic: whoever looks must have stopped us */
        if (atomic_load(&CPU(v)->asks)) {
            vr_machine_request(v->machine, VR_REQ_RESET, 0);
        }
        if (CPU(v)->sleeps) {
            vr_vcpu_sleep(v);
        }
    }
    atomic_fetch_sub(&CPU(v)->inside, 1);
}

static inline void cpu_reset(struct vr_vcpu *v)
{
    CPU(v)->pc = 0;
}

static inline int cpu_save(struct vr_vcpu *v, struct vr_snap *snap, struct vr_error *err)
{
    char name[16];
    snprintf(name, sizeof(name), "cpu%u", v->index);
    return vr_snap_save(snap, name, 1, v, cpu_fields, err);
}

static inline int cpu_load(struct vr_vcpu *v, struct vr_snap *snap, struct vr_error *err)
{
    char name[16];
    snprintf(name, sizeof(name), "cpu%u", v->index);
    return vr_snap_load(snap, name, 1, v, cpu_fields, err);
}

static inline void cpu_destroy(struct vr_vcpu *v)
{
    vr_vcpu_fini(v);
    free(v);
}

static const struct vr_cpu_ops cpu_ops = {
    .engine = "toy",
    .run = cpu_run,
    .reset = cpu_reset,
    .save = cpu_save,
    .load = cpu_load,
    .destroy = cpu_destroy,
};

/* --- A device: a counter that a timer turns, and a button that powers off --- */

struct toy_dev {
    struct vr_dev dev;
    uint32_t count;
    struct vr_timer timer;
};
#define DEV(d) ((struct toy_dev *)(d))

static inline void dev_tick(void *arg)
{
    struct toy_dev *t = arg;
    t->count++;
    vr_timer_arm(&t->timer, t->timer.node.at + 50000);
}

static inline void dev_button(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    d->env->request(d->env->opaque, (enum vr_request)(val & 0xff), (unsigned)(val >> 8));
}

static inline int dev_init(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    vr_timer_init(&DEV(d)->timer, d->env->clock, &d->lock, dev_tick, d);
    return 0;
}

static inline void dev_reset(struct vr_dev *d)
{
    vr_timer_arm(&DEV(d)->timer, vr_clock_now(d->env->clock) + 50000);
}

static inline int dev_loaded(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    dev_reset(d);
    return 0;
}

static inline void dev_fini(struct vr_dev *d)
{
    vr_timer_fini(&DEV(d)->timer);
}

#define VR_SELF struct toy_dev
static const struct vr_field dev_fields[] = {
    VR_STATE(count, "ticks"),
    VR_HOST(timer, "armed again"),
    VR_FIELD_END,
};
static const struct vr_reg dev_regs[] = {
    VR_REG_OF(0, 4, "COUNT", count, "ticks"),
    VR_REG(4, 4, "BUTTON", "a request", .write = dev_button),
    VR_REG_END,
};
static const struct vr_dev_class dev_class = {
    .name = "toy",
    .help = "a counter and a button",
    .size = sizeof(struct toy_dev),
    .version = 1,
    .fields = dev_fields,
    .windows = {{.name = "toy", .len = 0x1000, .regs = dev_regs}},
    .init = dev_init,
    .reset = dev_reset,
    .loaded = dev_loaded,
    .fini = dev_fini,
};

/* --- A board --- */

enum { RAM = 0x80000000, RAM_LEN = 0x100000, BUTTON = 4 };

struct board {
    struct vr_machine *m;
    struct vr_dev *dev;
    struct vr_ram *ram;
    atomic_uint resets; /* the control thread counts, also while we look */
    int reset_says;
};

static inline int board_on_reset(void *opaque, struct vr_error *err)
{
    struct board *b = opaque;
    b->resets++;
    for (unsigned i = 0; vr_machine_vcpu(b->m, i); i++) {
        assert_int_equal(atomic_load(&CPU(vr_machine_vcpu(b->m, i))->inside), 0);
        atomic_store(&CPU(vr_machine_vcpu(b->m, i))->asks, false); /* it begins anew */
    }
    return b->reset_says ? vr_err(err, b->reset_says, "no kernel") : 0;
}

/* @fd: RAM is a view of it; -1: zeroes. */
static inline void board_init_on(struct board *b, unsigned cpus, int fd)
{
    struct vr_error err = {0};
    *b = (struct board){.resets = 0};
    assert_int_equal(vr_machine_create("test", VR_CLOCK_REAL, true, NULL, &b->m, &err), 0);
    if (fd >= 0) {
        vr_machine_ram_view(b->m, fd, 0);
    }
    assert_int_equal(vr_machine_add_ram(b->m, "ram", RAM, RAM_LEN, VR_REGION_RAM, &b->ram, &err),
                     0);
    assert_int_equal(vr_machine_add_ram(b->m, "rom", 0x10000, 0x1000, VR_REGION_ROM, NULL, &err),
                     0);
    assert_int_equal(vr_dev_create(&dev_class, "toy0", NULL, vr_machine_env(b->m), &b->dev, &err),
                     0);
    assert_int_equal(vr_machine_add_dev(b->m, b->dev, &err), 0);
    assert_int_equal(vr_dev_map(b->dev, 0, vr_machine_mem(b->m), 0x1000, &err), 0);
    for (unsigned i = 0; i < cpus; i++) {
        struct toy_cpu *cpu = vr_zalloc(sizeof(*cpu));
        assert_non_null(cpu);
        cpu->sleeps = i & 1;
        vr_vcpu_init(&cpu->vcpu, &cpu_ops, b->m, i);
        assert_int_equal(vr_machine_add_vcpu(b->m, &cpu->vcpu, &err), 0);
    }
    vr_machine_on_reset(b->m, board_on_reset, b);
}

static inline void board_init(struct board *b, unsigned cpus)
{
    board_init_on(b, cpus, -1);
}

static inline struct toy_cpu *cpu_of(struct board *b, unsigned i)
{
    return CPU(vr_machine_vcpu(b->m, i));
}

/* Until the spinning vCPU 0 has turned: then the machine really runs. */
static inline void wait_turning(struct board *b)
{
    unsigned long start = atomic_load(&cpu_of(b, 0)->turns);
    uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000000);
    while (atomic_load(&cpu_of(b, 0)->turns) == start) {
        assert_true(vireo_monotonic_ns() < until);
    }
}

static inline void assert_still(struct board *b)
{
    uint64_t now = vr_clock_now(vr_machine_clock(b->m));
    uint64_t count = vr_dev_read(b->dev, 0, 0, 4);
    for (unsigned i = 0; vr_machine_vcpu(b->m, i); i++) {
        assert_int_equal(atomic_load(&cpu_of(b, i)->inside), 0);
    }
    uint64_t pc = cpu_of(b, 0)->pc;
    for (unsigned spin = 0; spin < 2000; spin++) {
        assert_int_equal(vr_clock_now(vr_machine_clock(b->m)), now);
    }
    assert_int_equal(cpu_of(b, 0)->pc, pc);
    assert_int_equal(vr_dev_read(b->dev, 0, 0, 4), count);
}

#endif
