/*
 * The engine lockstep: what it compares, what it finds, and what it must not do twice.
 *
 * A miscompile is made here, in code memory: the immediate of a compiled `lui` is changed to
 * another.
 */
#include "rv_fixture.h"

#include "cpu/jit/jit_priv.h"
#include "dev/misc/htif.h"
#include "vireo/host_thread.h"

enum { CODE = 0x1000, DATA = 0x8000, IMM = 0x12345000, WRONG = 0x12346000 };

struct told {
    struct fixture *f;
    unsigned times;
    char text[64 << 10];
};

static void on_differ(void *opaque, unsigned cpu, const char *report)
{
    struct told *t = opaque;
    assert_int_equal(cpu, 3);
    t->times++;
    snprintf(t->text, sizeof(t->text), "%s", report);
    vr_vcpu_kick(&t->f->hart->cpu.vcpu);
}

static bool stop_call(void *opaque, struct rv_hart *hart)
{
    struct fixture *f = opaque;
    f->calls++;
    hart->cpu.pc += 4;
    vr_vcpu_kick(&hart->cpu.vcpu);
    return false;
}

/* A hart whose engines are compared; NULL: no JIT on this host. */
static struct told *compared(struct fixture *f)
{
    struct rv_config config = f->hart->config;
    struct vr_error err = {0};
    if (vr_jit_available(&err) < 0) {
        print_message("# skipped: %s\n", err.msg);
        return NULL;
    }
    struct told *t = calloc(1, sizeof(*t));
    assert_non_null(t);
    t->f = f;
    config.builtin_sbi = config.jit = config.lockstep = true;
    config.jit_opts = (struct vr_jit_opts){.hot = 1, .differ = on_differ, .differ_opaque = t};
    use_config(f, &config);
    rv_hart_set_sbi(f->hart, stop_call, f);
    return t;
}

static void put(struct fixture *f, uint64_t off, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vr_store_le32(f->ram->hva + off + 4 * i, words[i]);
    }
    vr_ram_wrote(f->mem, f->ram, off, 4 * count);
}

static void go(struct fixture *f)
{
    atomic_store(&f->hart->cpu.vcpu.kicked, false);
    vr_interp_run(&f->hart->cpu.vcpu);
}

static void run_at(struct fixture *f, uint64_t gpa, uint64_t a0, uint64_t a1)
{
    rv_hart_start(f->hart, RV_S, gpa, a0, a1);
    go(f);
}

static struct vr_jit_stats stats(const struct fixture *f)
{
    struct vr_jit_stats s;
    vr_jit_get_stats(&f->hart->cpu, &s);
    return s;
}

/* a0 rounds of: read, change and write a doubleword at a1; the constant into t1. */
static const uint32_t loop[] = {
    0x0005b283, /* ld t0, 0(a1) */
    0x12345337, /* lui t1, 0x12345 */
    0x006282b3, /* add t0, t0, t1 */
    0x0055b023, /* sd t0, 0(a1) */
    0xfff50513, /* addi a0, a0, -1 */
    0xfe0516e3, /* bnez a0, loop */
    0x00000073, /* ecall */
};

static void both_engines_run_and_agree(void **state)
{
    struct fixture *f = *state;
    struct told *t = compared(f);
    if (!t) {
        skip();
    }
    put(f, CODE, loop, VR_COUNT(loop));
    run_at(f, RAM_BASE + CODE, 100000, RAM_BASE + DATA);
    assert_int_equal(f->calls, 1);
    assert_int_equal(t->times, 0);
    assert_int_equal(f->hart->cpu.pc, RAM_BASE + CODE + sizeof(loop));
    assert_int_equal(vr_load_le64(f->ram->hva + DATA), UINT64_C(100000) * IMM);
    assert_int_equal(f->hart->cpu.icount, 6 * 100000 + 1);
    struct vr_jit_stats s = stats(f);
    assert_true(s.compared > 500000);
    assert_true(s.stretches > 1);
    assert_int_equal(s.unrepeated, 0);
    free(t);
}

/* Change the constant of the compiled code; how often it was there. */
static unsigned miscompile(struct fixture *f)
{
    const struct vr_jit *jit = f->hart->cpu.jit;
    const uint32_t right = IMM, wrong = WRONG;
    unsigned count = 0;
    for (size_t at = jit->first; at + sizeof(right) <= jit->used; at++) {
        if (memcmp(jit->mem.rw + at, &right, sizeof(right)) == 0) {
            memcpy(jit->mem.rw + at, &wrong, sizeof(wrong));
            count++;
        }
    }
    vireo_icache_flush(jit->mem.rw, jit->mem.rx, jit->used);
    return count;
}

static void assert_says(const struct told *t, const char *what)
{
    if (!strstr(t->text, what)) {
        print_message("%s", strstr(t->text, "registers after"));
        fail_msg("no \"%s\" in:\n%s", what, t->text);
    }
}

static void a_miscompile_is_caught_and_told_of(void **state)
{
    struct fixture *f = *state;
    struct told *t = compared(f);
    if (!t) {
        skip();
    }
    put(f, CODE, loop, VR_COUNT(loop));
    run_at(f, RAM_BASE + CODE, 10, RAM_BASE + DATA);
    if (miscompile(f) == 0) {
        print_message("# skipped: this host's code holds constants in pieces\n");
        free(t);
        skip();
    }
    vr_store_le64(f->ram->hva + DATA, 0x1000);
    run_at(f, RAM_BASE + CODE, 1000, RAM_BASE + DATA);
    assert_int_equal(t->times, 1);
    assert_says(t, "cpu 3: compiled and interpreted code differ, within ");
    assert_says(t, "from pc 0000000080001000 on, mode S");
    assert_says(t, "0000000080001004  12345337  li x6, 0x12345000\n");
    assert_says(t, "\n !               x5  b60b2000         12347000         12346000\n");
    assert_says(t, "\n !               x6  12345000         12346000         12345000\n");
    assert_says(t, "\n                x10  3e8              3e7              3e7\n");
    assert_says(t, "\n !             8000  0000000000001000 0000000012347000 0000000012346000");
    assert_int_equal(f->calls, 1); /* the second run did not go on to its end */
    free(t);
}

static uint64_t counted_time(void *opaque)
{
    struct fixture *f = opaque;
    return ++f->calls;
}

/* Time is read once for each instruction that reads it. */
static void what_is_outside_happens_once(void **state)
{
    static const uint32_t code[] = {
        0xc01022f3, /* rdtime t0 */
        0x005585b3, /* add a1, a1, t0 */
        0xfff50513, /* addi a0, a0, -1 */
        0xfe051ae3, /* bnez a0, code */
        0x00000073, /* ecall */
    };
    struct fixture *f = *state;
    struct told *t = compared(f);
    if (!t) {
        skip();
    }
    f->hart->time = counted_time;
    f->hart->time_opaque = f;
    f->calls = 0;
    put(f, CODE, code, VR_COUNT(code));
    run_at(f, RAM_BASE + CODE, 1000, 0);
    assert_int_equal(t->times, 0);
    /* The last thousand calls, and none in between. */
    assert_int_equal(f->hart->cpu.r[11], 1000 * (f->calls - 1001) + 1000 * 1001 / 2);
    assert_true(stats(f).compared > 1000);
    free(t);
}

/* Faults, their handlers and the pages' accessed and dirty bits are part of what is compared. */
static void faults_are_compared(void **state)
{
    static const uint32_t code[] = {
        0x00058283, /* lb t0, 0(a1): faults: nothing there */
        0x00000013, /* nop */
        0xfff50513, /* addi a0, a0, -1 */
        0xfe051ae3, /* bnez a0, code */
        0x00000073, /* ecall */
    };
    static const uint32_t handler[] = {
        0x141023f3, /* csrr t2, sepc */
        0x00438393, /* addi t2, t2, 4 */
        0x14139073, /* csrw sepc, t2 */
        0x10200073, /* sret */
    };
    struct fixture *f = *state;
    struct told *t = compared(f);
    if (!t) {
        skip();
    }
    put(f, CODE, code, VR_COUNT(code));
    put(f, 2 * CODE, handler, VR_COUNT(handler));
    f->hart->stvec = RAM_BASE + 2 * CODE;
    uint64_t traps = f->hart->cpu.traps, icount = f->hart->cpu.icount;
    run_at(f, RAM_BASE + CODE, 1000, 0x100);
    assert_int_equal(t->times, 0);
    assert_int_equal(f->hart->cpu.traps - traps, 1000);
    assert_int_equal(f->hart->cpu.icount - icount, 7 * 1000 + 1);
    assert_int_equal(f->hart->scause, RV_CAUSE_LOAD_ACCESS);
    assert_true(stats(f).compared > 4000);
    free(t);
}

/* An instruction that compiled code leaves to the interpreter has done nothing yet: found by
 * fuzzing (FS became dirty). */
static void what_is_left_to_the_interpreter_is_not_begun(void **state)
{
    static const uint32_t code[] = {
        0xfff50513, /* addi a0, a0, -1 */
        0x02b57553, /* fadd.d fa0, fa0, fa1, dyn */
        0xfe051ce3, /* bnez a0, code */
        0x00000073, /* ecall */
    };
    struct fixture *f = *state;
    struct told *t = compared(f);
    if (!t) {
        skip();
    }
    put(f, CODE, code, VR_COUNT(code));
    for (unsigned frm = 0; frm < 8; frm++) {
        f->hart->mstatus = (f->hart->mstatus & ~RV_MSTATUS_FS) | UINT64_C(1) << 13;
        f->hart->cpu.frm = (uint8_t)frm;
        f->hart->stvec = RAM_BASE + CODE + 8;
        run_at(f, RAM_BASE + CODE, 100, 0);
        assert_int_equal(t->times, 0);
    }
    free(t);
}

/* An FP load from a device, which is outside, has marked the FP state as dirty before. Found by
 * fuzzing. */
static void what_is_outside_may_have_begun(void **state)
{
    static const uint32_t code[] = {
        0xfff50513, /* addi a0, a0, -1 */
        0x0005b507, /* fld fa0, 0(a1) */
        0xfe051ce3, /* bnez a0, code */
        0x00000073, /* ecall */
    };
    struct fixture *f = *state;
    struct vr_env env = {.clock = f->clock, .mem = f->mem};
    struct vr_dev *dev;
    struct told *t = compared(f);
    if (!t) {
        skip();
    }
    assert_int_equal(vr_dev_create(&vr_htif_class, "htif", NULL, &env, &dev, NULL), 0);
    assert_int_equal(vr_dev_map(dev, 0, f->mem, RAM_BASE + RAM_LEN, NULL), 0);
    put(f, CODE, code, VR_COUNT(code));
    for (unsigned i = 0; i < 10; i++) {
        f->hart->mstatus = (f->hart->mstatus & ~RV_MSTATUS_FS) | UINT64_C(1) << 13;
        run_at(f, RAM_BASE + CODE, 10, RAM_BASE + RAM_LEN);
        assert_int_equal(t->times, 0);
        assert_int_equal(f->hart->mstatus & RV_MSTATUS_FS, RV_MSTATUS_FS);
    }
    assert_true(stats(f).compared > 50);
    vr_dev_unmap(dev, 0, f->mem);
    vr_dev_destroy(dev);
    free(t);
}

struct scribbler {
    uint8_t *hva;
    atomic_bool stop;
};

static void scribble(void *opaque)
{
    struct scribbler *s = opaque;
    for (uint64_t n = 0; !atomic_load(&s->stop); n++) {
        __atomic_store_n((uint64_t *)(void *)s->hva, n, __ATOMIC_RELAXED);
    }
}

/* As a device would that writes memory which the guest reads. */
static void memory_that_others_write_is_no_difference(void **state)
{
    static const uint32_t code[] = {
        0x0005b283, /* ld t0, 0(a1) */
        0x0055b423, /* sd t0, 8(a1) */
        0xfff50513, /* addi a0, a0, -1 */
        0xfe051ae3, /* bnez a0, code */
        0x00000073, /* ecall */
    };
    struct fixture *f = *state;
    struct told *t = compared(f);
    struct scribbler s = {.hva = f->ram->hva + DATA};
    struct vireo_thread *thread;
    if (!t) {
        skip();
    }
    put(f, CODE, code, VR_COUNT(code));
    assert_int_equal(vireo_thread_create("scribbler", scribble, &s, &thread, NULL), 0);
    for (unsigned i = 0; i < 10000 && !stats(f).unrepeated; i++) {
        run_at(f, RAM_BASE + CODE, 1000, RAM_BASE + DATA);
    }
    atomic_store(&s.stop, true);
    vireo_thread_join(thread);
    assert_int_equal(t->times, 0);
    assert_true(stats(f).unrepeated > 0);
    free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(both_engines_run_and_agree, setup, teardown),
        cmocka_unit_test_setup_teardown(a_miscompile_is_caught_and_told_of, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_outside_happens_once, setup, teardown),
        cmocka_unit_test_setup_teardown(faults_are_compared, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_left_to_the_interpreter_is_not_begun, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_is_outside_may_have_begun, setup, teardown),
        cmocka_unit_test_setup_teardown(memory_that_others_write_is_no_difference, setup, teardown),
    };
    return cmocka_run_group_tests_name("lockstep", tests, NULL, NULL);
}
