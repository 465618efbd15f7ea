/* Machines: run states and requests, with vCPUs that only spin or only sleep. */
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

static void cpu_run(struct vr_vcpu *v)
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

static void cpu_reset(struct vr_vcpu *v)
{
    CPU(v)->pc = 0;
}

static int cpu_save(struct vr_vcpu *v, struct vr_snap *snap, struct vr_error *err)
{
    char name[16];
    snprintf(name, sizeof(name), "cpu%u", v->index);
    return vr_snap_save(snap, name, 1, v, cpu_fields, err);
}

static int cpu_load(struct vr_vcpu *v, struct vr_snap *snap, struct vr_error *err)
{
    char name[16];
    snprintf(name, sizeof(name), "cpu%u", v->index);
    return vr_snap_load(snap, name, 1, v, cpu_fields, err);
}

static void cpu_destroy(struct vr_vcpu *v)
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

static void dev_tick(void *arg)
{
    struct toy_dev *t = arg;
    t->count++;
    vr_timer_arm(&t->timer, t->timer.node.at + 50000);
}

static void dev_button(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    d->env->request(d->env->opaque, (enum vr_request)(val & 0xff), (unsigned)(val >> 8));
}

static int dev_init(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    vr_timer_init(&DEV(d)->timer, d->env->clock, &d->lock, dev_tick, d);
    return 0;
}

static void dev_reset(struct vr_dev *d)
{
    vr_timer_arm(&DEV(d)->timer, vr_clock_now(d->env->clock) + 50000);
}

static int dev_loaded(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    dev_reset(d);
    return 0;
}

static void dev_fini(struct vr_dev *d)
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

static int board_on_reset(void *opaque, struct vr_error *err)
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
static void board_init_on(struct board *b, unsigned cpus, int fd)
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

static void board_init(struct board *b, unsigned cpus)
{
    board_init_on(b, cpus, -1);
}

static struct toy_cpu *cpu_of(struct board *b, unsigned i)
{
    return CPU(vr_machine_vcpu(b->m, i));
}

/* Until the spinning vCPU 0 has turned: then the machine really runs. */
static void wait_turning(struct board *b)
{
    unsigned long start = atomic_load(&cpu_of(b, 0)->turns);
    uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000000);
    while (atomic_load(&cpu_of(b, 0)->turns) == start) {
        assert_true(vireo_monotonic_ns() < until);
    }
}

static void assert_still(struct board *b)
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

/* --- Tests --- */

static void parts_are_found(void **state)
{
    struct board b;
    struct vr_error err = {0};
    struct vr_dev *twin;
    (void)state;
    board_init(&b, 2);
    assert_string_equal(vr_machine_name(b.m), "test");
    assert_ptr_equal(vr_machine_find_dev(b.m, "toy0"), b.dev);
    assert_null(vr_machine_find_dev(b.m, "toy1"));
    assert_ptr_equal(vr_machine_dev(b.m, 0), b.dev);
    assert_null(vr_machine_dev(b.m, 1));
    assert_non_null(vr_machine_vcpu(b.m, 1));
    assert_null(vr_machine_vcpu(b.m, 2));
    assert_int_equal(vr_dev_create(&dev_class, "toy0", NULL, vr_machine_env(b.m), &twin, &err), 0);
    assert_int_equal(vr_machine_add_dev(b.m, twin, &err), -EEXIST);
    vr_dev_destroy(twin);
    assert_int_equal(vr_machine_add_ram(b.m, "more", RAM, 0x1000, VR_REGION_RAM, NULL, &err),
                     -EEXIST);
    assert_int_equal(vr_machine_add_ram(b.m, "more", 0, 7, VR_REGION_RAM, NULL, &err), -EINVAL);
    assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
    assert_int_equal(vr_machine_pause(b.m), -EINVAL);
    assert_int_equal(vr_machine_resume(b.m), -EINVAL);
    assert_false(vr_machine_wait(b.m, 0, NULL));
    vr_machine_destroy(b.m); /* never started */
    vr_machine_destroy(NULL);
}

static void requests_end_a_machine(void **state)
{
    static const struct vr_exit ends[] = {
        {VR_REQ_POWEROFF, 0}, {VR_REQ_FAIL, 7}, {VR_REQ_PANIC, 0}, {VR_REQ_QUIT, 42}};
    struct board b;
    struct vr_exit got;
    struct vr_error err = {0};
    (void)state;
    board_init(&b, 2);
    for (unsigned i = 0; i < VR_COUNT(ends); i++) { /* the same machine, again and again */
        assert_int_equal(vr_machine_start(b.m, &err), 0);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
        assert_int_equal(vr_machine_start(b.m, &err), -EBUSY);
        wait_turning(&b);
        assert_false(vr_machine_wait(b.m, 1000, &got));
        if (i & 1) {
            vr_machine_request(b.m, ends[i].why, ends[i].code);
        } else { /* from a device, under its lock */
            vr_dev_write(b.dev, 0, BUTTON, 4, ends[i].why | ends[i].code << 8);
        }
        vr_machine_request(b.m, VR_REQ_FAIL, 99); /* too late */
        assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
        assert_int_equal(got.why, ends[i].why);
        assert_int_equal(got.code, ends[i].code);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
        assert_still(&b);
        vr_machine_request(b.m, VR_REQ_FAIL, 99); /* after the end: dropped */
        assert_int_equal(b.resets, i + 1);
    }
    vr_machine_destroy(b.m);
}

static void a_request_before_the_start_waits_for_it(void **state)
{
    struct board b;
    struct vr_exit got;
    (void)state;
    board_init(&b, 1);
    vr_machine_request(b.m, VR_REQ_QUIT, 5);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_QUIT);
    assert_int_equal(got.code, 5);
    vr_machine_destroy(b.m);
}

static void wait_resets(struct board *b, unsigned resets)
{
    uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000000);
    for (;;) {
        /* A pause comes after the reset under way, and lets us look. */
        assert_int_equal(vr_machine_pause(b->m), 0);
        bool there = b->resets >= resets;
        assert_int_equal(vr_machine_resume(b->m), 0);
        if (there) {
            return;
        }
        assert_true(vireo_monotonic_ns() < until);
    }
}

/* --- Watchdogs --- */

struct heard {
    atomic_uint bites, stops;
    char action[16]; /* of the last bite */
};

static void hear(void *opaque, const struct vr_event *event)
{
    struct heard *h = opaque;
    if (strcmp(event->name, "WATCHDOG") == 0) {
        assert_string_equal(event->field[0].key, "action");
        (void)snprintf(h->action, sizeof(h->action), "%s", event->field[0].text);
        atomic_fetch_add(&h->bites, 1);
    }
    atomic_fetch_add(&h->stops, strcmp(event->name, "STOP") == 0);
}

static void press(void *opaque)
{
    atomic_fetch_add((atomic_uint *)opaque, 1);
}

static void watchdogs_bite_as_told(void **state)
{
    struct board b;
    struct vr_exit got;
    struct heard h = {.bites = 0};
    (void)state;
    board_init(&b, 2);
    vr_machine_on_event(b.m, hear, &h);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    wait_turning(&b);
    for (unsigned i = 0; i < 100; i++) { /* told once, however often */
        vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_NONE);
    }
    assert_in_range(atomic_load(&h.bites), 1, 50);
    assert_string_equal(h.action, "none");
    assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);

    atomic_uint pressed = 0;
    vr_machine_on_button(b.m, press, &pressed);
    h.action[0] = '\0';
    for (uint64_t start = vireo_monotonic_ns(); !atomic_load(&pressed);) { /* once a second */
        vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_SHUTDOWN);
        assert_false(vr_machine_wait(b.m, 1000000, NULL));
        assert_true(vireo_monotonic_ns() - start < UINT64_C(60000000000));
    }
    assert_string_equal(h.action, "shutdown");
    assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);

    vr_machine_panicked(b.m); /* a reset saves a kernel that hangs in its panic, too */
    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_RESET);
    assert_string_equal(h.action, "reset");
    wait_resets(&b, 2);
    assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
    wait_turning(&b);

    unsigned stops = atomic_load(&h.stops);
    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_PAUSE);
    while (vr_machine_state(b.m) == VR_STATE_RUNNING) {
        assert_false(vr_machine_wait(b.m, 100000, NULL));
    }
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    assert_int_equal(vr_machine_resume(b.m), 0); /* comes after all that belongs to the pause */
    assert_int_equal(atomic_load(&h.stops), stops + 1);
    assert_int_equal(vr_machine_pause(b.m), 0);
    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_PAUSE);
    assert_still(&b);
    assert_int_equal(vr_machine_resume(b.m), 0);

    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_POWEROFF);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_POWEROFF);
    vr_machine_destroy(b.m);
}

static void resets_run_on_or_end(void **state)
{
    struct board b;
    struct vr_exit got;
    (void)state;
    board_init(&b, 3);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 2; i < 30; i++) {
        wait_turning(&b);
        vr_machine_request(b.m, VR_REQ_RESET, 0);
        wait_resets(&b, i);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
    }
    assert_int_equal(vr_machine_pause(b.m), 0); /* a reset while paused stays paused */
    unsigned resets = b.resets;
    vr_machine_request(b.m, VR_REQ_RESET, 0);
    while (vr_machine_pause(b.m) == 0 && b.resets == resets) {
    }
    assert_int_equal(b.resets, resets + 1);
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    assert_still(&b);
    assert_int_equal(vr_machine_resume(b.m), 0);
    vr_machine_reboots(b.m, false);
    vr_machine_request(b.m, VR_REQ_RESET, 0);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_RESET);
    vr_machine_destroy(b.m);
}

/* What a guest asks for until it is stopped is one reset. */
static void a_reset_answers_all_who_asked_before(void **state)
{
    struct board b;
    (void)state;
    board_init(&b, 3);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 2; i < 50; i++) {
        wait_turning(&b);
        assert_int_equal(vr_machine_pause(b.m), 0);
        atomic_store(&cpu_of(&b, 2)->asks, true);
        atomic_store(&cpu_of(&b, 0)->asks, true);
        assert_int_equal(vr_machine_resume(b.m), 0);
        wait_resets(&b, i);
        for (unsigned k = 0; k < 20; k++) {
            wait_turning(&b);
        }
        assert_int_equal(b.resets, i);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
    }
    vr_machine_destroy(b.m);
}

static void failed_resets_end_it(void **state)
{
    struct board b;
    struct vr_exit got;
    struct vr_error err = {0};
    (void)state;
    board_init(&b, 1);
    b.reset_says = -ENOENT;
    assert_int_equal(vr_machine_start(b.m, &err), -ENOENT);
    assert_string_equal(err.msg, "no kernel");
    assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
    b.reset_says = 0;
    assert_int_equal(vr_machine_start(b.m, &err), 0);
    wait_turning(&b);
    assert_int_equal(vr_machine_pause(b.m), 0);
    b.reset_says = -ENOENT;
    assert_int_equal(vr_machine_resume(b.m), 0);
    vr_machine_request(b.m, VR_REQ_RESET, 0);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_FAIL);
    vr_machine_destroy(b.m);
}

static void paused_means_nothing_moves(void **state)
{
    struct board b;
    (void)state;
    board_init(&b, 4);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        if (i % 20 == 0) {
            wait_turning(&b);
        }
        assert_int_equal(vr_machine_pause(b.m), 0);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
        assert_still(&b);
        assert_int_equal(vr_machine_pause(b.m), 0);
        assert_int_equal(vr_machine_resume(b.m), 0);
        assert_int_equal(vr_machine_resume(b.m), 0);
    }
    wait_turning(&b);
    vr_machine_destroy(b.m); /* while it runs */
}

/* --- Stress: everybody wants something --- */

struct stress {
    struct board *b;
    unsigned what;
    atomic_bool *stop;
};

static void stress_main(void *arg)
{
    struct stress *s = arg;
    for (unsigned i = 0; !atomic_load(s->stop); i++) {
        switch (s->what) {
        case 0:
            (void)vr_machine_pause(s->b->m);
            (void)vr_machine_resume(s->b->m);
            break;
        case 1:
            vr_machine_request(s->b->m, VR_REQ_RESET, 0);
            vr_vcpu_notify(vr_machine_vcpu(s->b->m, i % 4));
            break;
        default:
            vr_vcpu_kick(vr_machine_vcpu(s->b->m, i % 4)); /* spurious: run() is entered again */
            (void)vr_dev_read(s->b->dev, 0, 0, 4);
            break;
        }
    }
}

static void all_at_once(void **state)
{
    struct board b;
    atomic_bool stop = false;
    struct stress s[3];
    struct vireo_thread *t[3];
    struct vr_exit got;
    (void)state;
    board_init(&b, 4);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        s[i] = (struct stress){.b = &b, .what = i, .stop = &stop};
        assert_int_equal(vireo_thread_create("stress", stress_main, &s[i], &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        assert_false(vr_machine_wait(b.m, 2000000, NULL));
        (void)vr_machine_state(b.m);
    }
    vr_machine_request(b.m, VR_REQ_QUIT, 1);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_QUIT);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        vireo_thread_join(t[i]);
    }
    vr_machine_destroy(b.m);
}

static void many_machines_in_one_process(void **state)
{
    struct board b[6];
    struct vr_exit got;
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        board_init(&b[i], 2);
        assert_int_equal(vr_machine_start(b[i].m, NULL), 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        wait_turning(&b[i]);
        vr_machine_request(b[i].m, VR_REQ_QUIT, i);
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_true(vr_machine_wait(b[i].m, UINT64_MAX, &got));
        assert_int_equal(got.code, i);
        vr_machine_destroy(b[i].m);
    }
}

static void owned_first(void *opaque)
{
    *(unsigned *)opaque = *(unsigned *)opaque * 10 + 1;
}

static void owned_second(void *opaque)
{
    *(unsigned *)opaque = *(unsigned *)opaque * 10 + 2;
}

static void what_it_owns_goes_last_to_first(void **state)
{
    struct board b;
    unsigned order = 0;
    (void)state;
    board_init(&b, 1);
    assert_int_equal(vr_machine_own(b.m, owned_first, &order, NULL), 0);
    assert_int_equal(vr_machine_own(b.m, owned_second, &order, NULL), 0);
    vr_machine_destroy(b.m);
    assert_int_equal(order, 21);
}

/* --- Snapshots --- */

static void a_machine_continues_in_another(void **state)
{
    struct board a, b;
    struct vr_snap s;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    board_init(&b, 2);
    assert_int_equal(vr_machine_start(a.m, NULL), 0);
    wait_turning(&a);
    vr_snap_init(&s);
    assert_int_equal(vr_machine_save(a.m, &s, &err), 0); /* pauses, and lets it run again */
    assert_int_equal(vr_machine_state(a.m), VR_STATE_RUNNING);
    wait_turning(&a);
    assert_int_equal(vr_machine_pause(a.m), 0);
    a.ram->hva[12345] = 0x77;
    s.len = 0;
    assert_int_equal(vr_machine_save(a.m, &s, &err), 0);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_PAUSED);
    assert_int_equal(vr_machine_load(b.m, &s, &err), 0); /* never started */
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    assert_int_equal(b.resets, 0);
    assert_int_equal(vr_clock_now(vr_machine_clock(a.m)), vr_clock_now(vr_machine_clock(b.m)));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cpu_of(&a, i)->pc, cpu_of(&b, i)->pc);
    }
    assert_memory_equal(a.ram->hva, b.ram->hva, RAM_LEN);
    assert_int_equal(vr_dev_read(a.dev, 0, 0, 4), vr_dev_read(b.dev, 0, 0, 4));
    assert_int_equal(vr_machine_resume(b.m), 0);
    wait_turning(&b);
    s.pos = 0;
    assert_int_equal(vr_machine_load(b.m, &s, &err), 0); /* running: paused by it */
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
}

struct moment {
    struct board *b;
    unsigned calls;
    int says;
};

/* Nothing moves while RAM is taken or filled. */
static int at_the_moment(void *opaque, struct vr_error *err)
{
    struct moment *at = opaque;
    const char *name;
    at->calls++;
    assert_still(at->b);
    assert_ptr_equal(vr_machine_ram(at->b->m, 0, &name), at->b->ram);
    assert_string_equal(name, "ram");
    assert_null(vr_machine_ram(at->b->m, 1, &name));
    return at->says ? vr_err(err, at->says, "the file is full") : 0;
}

static void state_travels_without_ram(void **state)
{
    struct board a, b;
    struct vr_snap s, whole;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    assert_int_equal(vr_machine_start(a.m, NULL), 0);
    wait_turning(&a);
    a.ram->hva[RAM_LEN - 1] = 0x77;
    vr_snap_init(&s);
    vr_snap_init(&whole);
    struct moment save = {.b = &a, .says = -ENOSPC};
    assert_int_equal(vr_machine_save_state(a.m, &s, at_the_moment, &save, &err), -ENOSPC);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_RUNNING); /* no harm */
    wait_turning(&a);
    assert_int_equal(vr_machine_pause(a.m), 0);
    save.says = 0;
    s.len = 0;
    assert_int_equal(vr_machine_save_state(a.m, &s, at_the_moment, &save, &err), 0);
    assert_int_equal(save.calls, 2);
    assert_int_equal(vr_machine_save(a.m, &whole, &err), 0);
    assert_true(s.len < whole.len);
    /* Into a machine whose RAM is a view of this one's. */
    board_init_on(&b, 2, a.ram->mem.fd);
    struct moment load = {.b = &b, .says = -EIO};
    assert_int_equal(vr_machine_load_state(b.m, &s, at_the_moment, &load, &err), -EIO);
    assert_int_equal(vr_machine_resume(b.m), -EINVAL);
    s.pos = 0;
    load.says = 0;
    assert_int_equal(vr_machine_load_state(b.m, &s, at_the_moment, &load, &err), 0);
    assert_int_equal(load.calls, 2);
    assert_int_equal(cpu_of(&a, 1)->pc, cpu_of(&b, 1)->pc);
    assert_int_equal(b.ram->hva[RAM_LEN - 1], 0x77);
    b.ram->hva[RAM_LEN - 1] = 0x78;
    assert_int_equal(a.ram->hva[RAM_LEN - 1], 0x77);
    assert_int_equal(vr_machine_resume(b.m), 0);
    wait_turning(&b);
    /* The two kinds of stream are not taken for each other. */
    s.pos = 0;
    assert_int_equal(vr_machine_load(b.m, &s, &err), -EPROTO);
    assert_int_equal(vr_machine_load_state(b.m, &whole, NULL, NULL, &err), -EPROTO);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
    vr_snap_fini(&whole);
}

/* Whoever names the wrong snapshot does not lose the machine, nor its memory. */
static void what_it_does_not_take_leaves_it_as_it_was(void **state)
{
    struct board a, b;
    struct vr_snap s, other;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    board_init(&b, 3);
    vr_snap_init(&s);
    vr_snap_init(&other);
    struct moment none = {.b = &a};
    assert_int_equal(vr_machine_save_state(a.m, &s, NULL, NULL, &err), 0);
    assert_int_equal(vr_machine_save_state(b.m, &other, NULL, NULL, &err), 0);
    assert_int_equal(vr_machine_start(a.m, NULL), 0);
    wait_turning(&a);
    assert_int_equal(vr_machine_load_state(a.m, &other, at_the_moment, &none, &err), -EPROTO);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_RUNNING);
    wait_turning(&a);
    assert_int_equal(vr_machine_pause(a.m), 0);
    uint64_t pc = cpu_of(&a, 1)->pc, now_ns = vr_clock_now(vr_machine_clock(a.m));
    for (size_t len = 0; len < s.len; len += 1 + s.len / 100) { /* some of it was loaded already */
        struct vr_snap cut = {.buf = s.buf, .len = len};
        assert_int_equal(vr_machine_load_state(a.m, &cut, at_the_moment, &none, &err), -ENODATA);
        assert_int_equal(vr_machine_state(a.m), VR_STATE_PAUSED);
        assert_int_equal(cpu_of(&a, 1)->pc, pc);
        assert_int_equal(vr_clock_now(vr_machine_clock(a.m)), now_ns);
    }
    assert_int_equal(none.calls, 0);
    assert_int_equal(vr_machine_resume(a.m), 0);
    wait_turning(&a);
    struct moment bad = {.b = &a, .says = -EIO}; /* memory is half filled: that ends it */
    s.pos = 0;
    assert_int_equal(vr_machine_load_state(a.m, &s, at_the_moment, &bad, &err), -EIO);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_STOPPED);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
    vr_snap_fini(&other);
}

static void bad_snapshots_stop_it(void **state)
{
    struct board a, b;
    struct vr_snap s;
    struct vr_exit got;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    board_init(&b, 3);
    vr_snap_init(&s);
    assert_int_equal(vr_machine_save(a.m, &s, &err), 0); /* a machine that never ran can be saved */
    assert_int_equal(vr_machine_load(b.m, &s, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "2 CPUs"));
    assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
    assert_int_equal(vr_machine_start(a.m, &err), 0);
    for (size_t len = 0; len < s.len; len += 1 + s.len / 100) {
        struct vr_snap cut = {.buf = s.buf, .len = len};
        assert_int_equal(vr_machine_load(a.m, &cut, &err), -ENODATA);
        assert_int_equal(vr_machine_resume(a.m), -EINVAL);
        assert_true(vr_machine_wait(a.m, 0, &got)); /* whoever waits for its end is told */
        assert_int_equal(got.why, VR_REQ_FAIL);
    }
    s.pos = 0;
    struct vr_snap longer = {.buf = s.buf, .len = s.len, .cap = s.cap};
    assert_int_equal(vr_machine_load(a.m, &longer, &err), 0); /* a good one revives it */
    assert_int_equal(vr_machine_resume(a.m), 0);
    wait_turning(&a);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
}

/* --- Sleeping --- */

static void waker(void *arg)
{
    struct toy_cpu *cpu = arg;
    for (unsigned i = 1; i <= 3000; i++) {
        vr_vcpu_notify(&cpu->vcpu);
        uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000000);
        while (atomic_load(&cpu->turns) < i) { /* each notification is seen */
            vr_assert(vireo_monotonic_ns() < until);
        }
    }
    vr_vcpu_kick(&cpu->vcpu);
}

static void no_wake_up_is_lost(void **state)
{
    struct toy_cpu cpu = {.sleeps = true};
    struct vireo_thread *t;
    (void)state;
    vr_vcpu_init(&cpu.vcpu, &cpu_ops, NULL, 0);
    assert_int_equal(vireo_thread_create("waker", waker, &cpu, &t, NULL), 0);
    cpu_run(&cpu.vcpu);
    vireo_thread_join(t);
    assert_true(atomic_load(&cpu.turns) >= 3000);
    vr_vcpu_fini(&cpu.vcpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(requests_end_a_machine),
        cmocka_unit_test(a_request_before_the_start_waits_for_it),
        cmocka_unit_test(watchdogs_bite_as_told),
        cmocka_unit_test(resets_run_on_or_end),
        cmocka_unit_test(a_reset_answers_all_who_asked_before),
        cmocka_unit_test(failed_resets_end_it),
        cmocka_unit_test(paused_means_nothing_moves),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(many_machines_in_one_process),
        cmocka_unit_test(what_it_owns_goes_last_to_first),
        cmocka_unit_test(a_machine_continues_in_another),
        cmocka_unit_test(state_travels_without_ram),
        cmocka_unit_test(what_it_does_not_take_leaves_it_as_it_was),
        cmocka_unit_test(bad_snapshots_stop_it),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
