/*
 * Ways back in a replay: from any moment of a recorded life to any other, and what a debugger finds
 * when it looks back.
 *
 * The guest's harts compute, exchange interrupts, write and run new code, set timers and wait. Its
 * life is recorded once, on the interpreter, and replayed on each engine; a moment reached in
 * any way has to be, bit for bit, what it was when it was reached first.
 */
#include "vm_guest.h"

#include "control/vm_priv.h"
#include "core/det.h"
#include "core/machine.h"
#include "core/vcpu.h"
#include "cpu/jit/jit.h"

#include <errno.h>

enum {
    LIFE = 3000000, /* steps, at least */
    MOMENTS = 24,
    JUMPS = 60,
    MEETINGS = 40,
    DATA = 0x100000, /* in RAM: of hart 0; 64 KiB behind it of hart 1 */
    WATCHED = 8,     /* there: written in each turn */
    CALLED = 0x1000, /* in RAM: code that is written anew */
};

/* clang-format off */
static const uint32_t program[] = {
    /* _start */
    0xf1402473, /* 000: csrrs s0,mhartid,zero */
    0x00000297, /* 004: auipc t0,0x0 */
    0x14828293, /* 008: addi t0,t0,328 */
    0x30529073, /* 00c: csrrw zero,mtvec,t0 */
    0x08800293, /* 010: addi t0,zero,136 */
    0x30429073, /* 014: csrrw zero,mie,t0 */
    0x020004b7, /* 018: lui s1,0x2000 */
    0x00341293, /* 01c: slli t0,s0,0x3 */
    0x02004937, /* 020: lui s2,0x2004 */
    0x00590933, /* 024: add s2,s2,t0 */
    0x0200cbb7, /* 028: lui s7,0x200c */
    0xff8b8b93, /* 02c: addi s7,s7,-8 */
    0x00241293, /* 030: slli t0,s0,0x2 */
    0x00548d33, /* 034: add s10,s1,t0 */
    0x0042c293, /* 038: xori t0,t0,4 */
    0x00548db3, /* 03c: add s11,s1,t0 */
    0x00001a37, /* 040: lui s4,0x1 */
    0x801a0a1b, /* 044: addiw s4,s4,-2047 */
    0x014a1a13, /* 048: slli s4,s4,0x14 */
    0x01041293, /* 04c: slli t0,s0,0x10 */
    0x005a0a33, /* 050: add s4,s4,t0 */
    0x04d40993, /* 054: addi s3,s0,77 */
    0x01499993, /* 058: slli s3,s3,0x14 */
    0x00000a93, /* 05c: addi s5,zero,0 */
    0x00080437, /* 060: lui s0,0x80 */
    0x0014041b, /* 064: addiw s0,s0,1 */
    0x00c41413, /* 068: slli s0,s0,0xc */
    0x005002b7, /* 06c: lui t0,0x500 */
    0x5132829b, /* 070: addiw t0,t0,1299 */
    0x00542023, /* 074: sw t0,0(s0) */
    0x000082b7, /* 078: lui t0,0x8 */
    0x0672829b, /* 07c: addiw t0,t0,103 */
    0x00542223, /* 080: sw t0,4(s0) */
    0xf14025f3, /* 084: csrrs a1,mhartid,zero */
    0x30046073, /* 088: csrrsi zero,mstatus,8 */
    /* loop */
    0x00d99293, /* 08c: slli t0,s3,0xd */
    0x0059c9b3, /* 090: xor s3,s3,t0 */
    0x0079d293, /* 094: srli t0,s3,0x7 */
    0x0059c9b3, /* 098: xor s3,s3,t0 */
    0x01199293, /* 09c: slli t0,s3,0x11 */
    0x0059c9b3, /* 0a0: xor s3,s3,t0 */
    0x001a8a93, /* 0a4: addi s5,s5,1 */
    0x7ff9f313, /* 0a8: andi t1,s3,2047 */
    /* work */
    0x1ff37393, /* 0ac: andi t2,t1,511 */
    0x00739393, /* 0b0: slli t2,t2,0x7 */
    0x014383b3, /* 0b4: add t2,t2,s4 */
    0x0003be03, /* 0b8: ld t3,0(t2) */
    0x013e0e33, /* 0bc: add t3,t3,s3 */
    0x01c3b023, /* 0c0: sd t3,0(t2) */
    0x013a3e2f, /* 0c4: amoadd.d t3,s3,(s4) */
    0xfff30313, /* 0c8: addi t1,t1,-1 */
    0xfe0350e3, /* 0cc: bge t1,zero,800000ac */
    0x0099d293, /* 0d0: srli t0,s3,0x9 */
    0x0ff2f293, /* 0d4: andi t0,t0,255 */
    0x00029c63, /* 0d8: bne t0,zero,800000f0 */
    0x01599313, /* 0dc: slli t1,s3,0x15 */
    0x02135313, /* 0e0: srli t1,t1,0x21 */
    0x01431313, /* 0e4: slli t1,t1,0x14 */
    0x51336313, /* 0e8: ori t1,t1,1299 */
    0x00642023, /* 0ec: sw t1,0(s0) */
    /* call */
    0x0000100f, /* 0f0: fence.i */
    0x000400e7, /* 0f4: jalr ra,0(s0) */
    0x00ab0b33, /* 0f8: add s6,s6,a0 */
    0x016a3423, /* 0fc: sd s6,8(s4) */
    0x0119d293, /* 100: srli t0,s3,0x11 */
    0x0032f293, /* 104: andi t0,t0,3 */
    0x00029663, /* 108: bne t0,zero,80000114 */
    0x00100313, /* 10c: addi t1,zero,1 */
    0x006da023, /* 110: sw t1,0(s11) */
    /* timer */
    0x0179d293, /* 114: srli t0,s3,0x17 */
    0x0ff2f293, /* 118: andi t0,t0,255 */
    0x000bb303, /* 11c: ld t1,0(s7) */
    0x00530333, /* 120: add t1,t1,t0 */
    0x00693023, /* 124: sd t1,0(s2) */
    0x0109f293, /* 128: andi t0,s3,16 */
    0x00028463, /* 12c: beq t0,zero,80000134 */
    0x10500073, /* 130: wfi */
    /* say */
    0x0ffaf293, /* 134: andi t0,s5,255 */
    0xf4029ae3, /* 138: bne t0,zero,8000008c */
    0x100002b7, /* 13c: lui t0,0x10000 */
    0x06158313, /* 140: addi t1,a1,97 */
    0x00628023, /* 144: sb t1,0(t0) */
    0xf45ff06f, /* 148: jal zero,8000008c */
    /* trap */
    0x34202c73, /* 14c: csrrs s8,mcause,zero */
    0x001c1c13, /* 150: slli s8,s8,0x1 */
    0x00e00c93, /* 154: addi s9,zero,14 */
    0x019c1c63, /* 158: bne s8,s9,80000170 */
    0x000bbc03, /* 15c: ld s8,0(s7) */
    0x00001cb7, /* 160: lui s9,0x1 */
    0x019c0c33, /* 164: add s8,s8,s9 */
    0x01893023, /* 168: sd s8,0(s2) */
    0x30200073, /* 16c: mret */
    /* soft */
    0x000d2023, /* 170: sw zero,0(s10) */
    0x30200073, /* 174: mret */};
/* clang-format on */

struct life {
    struct place program;
    char tape[80];
    unsigned harts;
    uint64_t end; /* steps */
};

static struct vireo_config *life_config(const struct life *l, const char *engine, const char *key)
{
    struct vr_error err;
    char harts[4];
    struct vireo_config *c = config_for(l->program.path);
    snprintf(harts, sizeof(harts), "%u", l->harts);
    assert_int_equal(vireo_config_set(c, "cpus", harts, &err), 0);
    assert_int_equal(vireo_config_set(c, "console", "mem", &err), 0);
    assert_int_equal(vireo_config_set(c, "engine", engine, &err), 0);
    if (strcmp(engine, "jit") == 0) {
        assert_int_equal(vireo_config_set(c, "jit", "hot=3", &err), 0);
    }
    assert_int_equal(vireo_config_set(c, "deterministic", "hashes=200000,idle=skip,hold", &err), 0);
    assert_int_equal(vireo_config_set(c, key, l->tape, &err), 0);
    return c;
}

static struct vireo_vm *life_start(const struct life *l, const char *engine, const char *key,
                                   bool run)
{
    struct vr_error err;
    struct vireo_vm *vm;
    struct vireo_config *c = life_config(l, engine, key);
    assert_int_equal(vireo_vm_create(c, &vm, &err), 0);
    vireo_config_destroy(c);
    assert_int_equal(run ? vireo_vm_start(vm, &err) : vr_machine_start_paused(vm->machine, &err),
                     0);
    return vm;
}

static uint64_t steps(struct vireo_vm *vm)
{
    struct vr_det_status s;
    vr_det_status(vm->machine, &s);
    return s.steps;
}

static uint64_t hash(struct vireo_vm *vm)
{
    uint64_t h = 0;
    struct vr_error err;
    assert_int_equal(vr_machine_hash(vm->machine, &h, &err), 0);
    return h;
}

static void go_to(struct vireo_vm *vm, uint64_t step)
{
    struct vr_error err = {0};
    int r = vr_det_goto(vm->machine, step, &err);
    if (r < 0 || steps(vm) != step) {
        fail_msg("step %llu: %s", (unsigned long long)step, err.msg);
    }
}

static void live(struct life *l, unsigned harts)
{
    l->harts = harts;
    place_program(&l->program, program, VR_COUNT(program));
    snprintf(l->tape, sizeof(l->tape), "%s/tape", l->program.dir);
    struct vireo_vm *vm = life_start(l, "interp", "record", true);
    while (steps(vm) < LIFE) {
    }
    vireo_vm_stop(vm, 0);
    assert_ended(vm, VIREO_END_STOP, 0);
    l->end = steps(vm);
    vireo_vm_destroy(vm);
}

static void forget(struct life *l)
{
    unlink(l->tape);
    place_remove(&l->program);
}

static uint64_t draw(uint64_t *random, uint64_t below)
{
    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return *random % below;
}

static bool engine_is_here(const char *engine)
{
    struct vr_error why = {0};
    if (strcmp(engine, "interp") == 0 || vr_jit_available(&why) == 0) {
        return true;
    }
    print_message("the interpreter alone: %s\n", why.msg);
    return false;
}

/* --- Moments --- */

static void jump_about(const struct life *l, const char *engine)
{
    uint64_t at[MOMENTS], was[MOMENTS], random = 88172645463325252u + l->harts;
    struct vireo_vm *vm = life_start(l, engine, "replay", false);
    uint64_t begin = hash(vm);
    at[0] = 0;
    for (unsigned i = 1; i < MOMENTS - 1; i++) { /* some of them neighbours */
        at[i] = i % 4 == 3 ? at[i - 1] + 1 : (uint64_t)i * LIFE / MOMENTS + draw(&random, 99999);
    }
    at[MOMENTS - 1] = l->end;
    for (unsigned i = 0; i < MOMENTS; i++) {
        go_to(vm, at[i]);
        was[i] = hash(vm);
    }
    for (unsigned n = 0; n < JUMPS; n++) {
        unsigned i = (unsigned)draw(&random, MOMENTS);
        go_to(vm, at[i]);
        if (hash(vm) != was[i]) {
            fail_msg("%s, %u harts: step %llu is another moment, after %u jumps", engine, l->harts,
                     (unsigned long long)at[i], n);
        }
        if (n % 3 == 0) { /* a few steps about it */
            uint64_t back = draw(&random, 1000) < at[i] ? draw(&random, 7) : 0;
            go_to(vm, at[i] - (back < at[i] ? back : at[i]));
            go_to(vm, at[i]);
            assert_int_equal(hash(vm), was[i]);
        }
    }
    struct vr_error err;
    assert_int_equal(vr_det_goto(vm->machine, l->end + 1, &err), -ERANGE);
    go_to(vm, 0);
    /* Its first beat has begun, which is all that differs from a machine that was never run. */
    assert_int_equal(hash(vm), was[0]);
    assert_true(begin != 0);
    vireo_vm_stop(vm, 0);
    vireo_vm_destroy(vm);
}

/* --- A debugger --- */

struct looker {
    struct vr_mutex lock;
    struct vr_cond met;
    bool stopped;
};

static void look_stopped(void *opaque, struct vr_vcpu *vcpu)
{
    struct looker *k = opaque;
    (void)vcpu;
    vr_mutex_lock(&k->lock);
    k->stopped = true;
    vr_cond_broadcast(&k->met);
    vr_mutex_unlock(&k->lock);
}

/* Go on until somebody stops. */
static struct vr_debug_stop look_on(struct looker *k, struct vireo_vm *vm, unsigned *ret_vcpu)
{
    k->stopped = false;
    assert_int_equal(vr_machine_resume(vm->machine), 0);
    vr_mutex_lock(&k->lock);
    while (!k->stopped) {
        vr_cond_wait(&k->met, &k->lock);
    }
    vr_mutex_unlock(&k->lock);
    assert_int_equal(vr_machine_pause(vm->machine), 0);
    struct vr_debug_stop stop = {.why = VR_DEBUG_NOT_STOPPED};
    for (unsigned i = 0; i < vm->cpus; i++) {
        struct vr_vcpu *v = vr_machine_vcpu(vm->machine, i);
        if (v->run.stop.why != VR_DEBUG_NOT_STOPPED) {
            stop = v->run.stop;
            *ret_vcpu = i;
        }
        vr_debug_let(v, true, false);
    }
    return stop;
}

struct meeting {
    uint64_t steps, hash;
    unsigned vcpu;
    enum vr_debug_kind kind;
};

/* Points forwards, each stepped over: then the same ones backwards. */
static void look_back(const struct life *l, const char *engine)
{
    static const struct vr_debug_point points[] = {
        {VR_DEBUG_BREAK, RAM + CALLED, 1},
        {VR_DEBUG_WRITE, RAM + DATA + WATCHED, 8},
        {VR_DEBUG_READ, RAM + DATA + 0x10000 + 0x80, 4},
    };
    struct meeting met[MEETINGS];
    struct vr_det_found found;
    struct looker k = {.stopped = false};
    struct vr_error err;
    vr_mutex_init(&k.lock);
    vr_cond_init(&k.met);
    struct vireo_vm *vm = life_start(l, engine, "replay", false);
    assert_int_equal(vr_debug_attach(vm->machine, look_stopped, &k, &err), 0);
    go_to(vm, LIFE / 2);
    for (unsigned i = 0; i < VR_COUNT(points); i++) {
        assert_int_equal(vr_debug_add(vm->machine, &points[i]), 0);
    }
    for (unsigned i = 0; i < MEETINGS; i++) {
        struct vr_debug_stop stop = look_on(&k, vm, &met[i].vcpu);
        assert_int_equal(stop.why, VR_DEBUG_AT_POINT);
        met[i].kind = stop.kind;
        bool access = stop.kind != VR_DEBUG_BREAK;
        if (!access) {
            met[i].steps = steps(vm);
            met[i].hash = hash(vm);
        }
        vr_debug_step(vr_machine_vcpu(vm->machine, met[i].vcpu), 0, 0, true);
        unsigned who;
        assert_int_equal(look_on(&k, vm, &who).why, VR_DEBUG_STEPPED);
        assert_int_equal(who, met[i].vcpu);
        if (access) {
            met[i].steps = steps(vm);
            met[i].hash = hash(vm);
        }
    }
    for (unsigned i = MEETINGS; i-- > 0;) {
        if (i < MEETINGS - 1 && met[i + 1].kind != VR_DEBUG_BREAK) {
            bool begin; /* undo the access that was met */
            assert_int_equal(vr_det_back_step(vm->machine, met[i + 1].vcpu, &begin, &err), 0);
            assert_false(begin);
            assert_int_equal(steps(vm), met[i + 1].steps - 1);
        }
        assert_int_equal(vr_det_back_continue(vm->machine, &found, &err), 0);
        assert_false(found.begin);
        assert_int_equal(steps(vm), met[i].steps);
        assert_int_equal(found.vcpu, met[i].vcpu);
        assert_int_equal(found.stop.kind, met[i].kind);
        assert_int_equal(hash(vm), met[i].hash);
    }
    for (unsigned i = 0; i < VR_COUNT(points); i++) {
        vr_debug_remove(vm->machine, &points[i]);
    }
    assert_int_equal(vr_det_back_continue(vm->machine, &found, &err), 0);
    assert_true(found.begin);
    assert_int_equal(steps(vm), 0);
    vr_debug_detach(vm->machine);
    go_to(vm, l->end);
    vireo_vm_stop(vm, 0);
    vireo_vm_destroy(vm);
    vr_cond_fini(&k.met);
    vr_mutex_fini(&k.lock);
}

static void every_way_leads_to_the_same_moment(void **state)
{
    (void)state;
    for (unsigned harts = 1; harts <= 2; harts++) {
        struct life l;
        live(&l, harts);
        jump_about(&l, "interp");
        look_back(&l, "interp");
        if (engine_is_here("jit")) {
            jump_about(&l, "jit");
            look_back(&l, "jit");
        }
        forget(&l);
    }
}

/* --- Who cannot --- */

static void others_do_not_go_back(void **state)
{
    struct life l = {.harts = 1};
    struct vr_error err;
    bool begin;
    (void)state;
    place_program(&l.program, program, VR_COUNT(program));
    snprintf(l.tape, sizeof(l.tape), "%s/tape", l.program.dir);
    struct vireo_vm *vm = life_start(&l, "interp", "record", false);
    assert_int_equal(vr_det_goto(vm->machine, 0, &err), -ENOTSUP);
    assert_int_equal(vr_det_back_step(vm->machine, 0, &begin, &err), -ENOTSUP);
    vireo_vm_stop(vm, 0);
    vireo_vm_destroy(vm);
    struct vireo_config *c = config_for(l.program.path);
    assert_int_equal(vireo_config_set(c, "console", "mem", &err), 0);
    assert_int_equal(vireo_vm_create(c, &vm, &err), 0);
    assert_int_equal(vr_machine_start_paused(vm->machine, &err), 0);
    assert_int_equal(vr_det_goto(vm->machine, 0, &err), -ENOTSUP);
    vireo_vm_stop(vm, 0);
    vireo_vm_destroy(vm);
    vireo_config_destroy(c);
    forget(&l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_leads_to_the_same_moment),
        cmocka_unit_test(others_do_not_go_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
