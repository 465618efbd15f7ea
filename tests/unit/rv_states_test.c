/*
 * A thousand states of a program, on every engine: registers, CSRs, counts and memory must be the
 * same.
 *
 * The program rewrites four routines, which lie in its own page, in another, and across the borders
 * of two, one at a time; half of the time through a second mapping of the same memory. It computes
 * in integers and floating point, writes memory through both mappings, at any alignment and over
 * page borders, does atomics, and takes an exception. After 4 rounds it calls out: that is where
 * states are taken.
 */
#include "rv_fixture.h"

#include "cpu/jit/jit.h"

enum {
    STATES = 1000,
    CODE = 0x1000,
    TABLE = 0x4000, /* Sv39's root */
    DATA = 0xb000,  /* first the routines' addresses */
    USED = 0x10000, /* of RAM */
};

/* clang-format off */
static const uint32_t program[] = {
    /* _start */
    0x18061073, /* 000: csrw satp,a2 */
    0x12000073, /* 004: sfence.vma */
    0x00050413, /* 008: mv s0,a0 */
    0x00058913, /* 00c: mv s2,a1 */
    0xc0000c37, /* 010: lui s8,0xc0000 */
    0x00000a13, /* 014: li s4,0 */
    0x00000513, /* 018: li a0,0 */
    /* loop */
    0x00d41293, /* 01c: sll t0,s0,0xd */
    0x00544433, /* 020: xor s0,s0,t0 */
    0x00745293, /* 024: srl t0,s0,0x7 */
    0x00544433, /* 028: xor s0,s0,t0 */
    0x01141293, /* 02c: sll t0,s0,0x11 */
    0x00544433, /* 030: xor s0,s0,t0 */
    0x00347313, /* 034: and t1,s0,3 */
    0x00331313, /* 038: sll t1,t1,0x3 */
    0x01230333, /* 03c: add t1,t1,s2 */
    0x00033303, /* 040: ld t1,0(t1) */
    0x01445393, /* 044: srl t2,s0,0x14 */
    0x03439393, /* 048: sll t2,t2,0x34 */
    0x0203d393, /* 04c: srl t2,t2,0x20 */
    0x00050e37, /* 050: lui t3,0x50 */
    0x513e0e1b, /* 054: addw t3,t3,1299 */
    0x01c3e3b3, /* 058: or t2,t2,t3 */
    0x00030e93, /* 05c: mv t4,t1 */
    0x00447f13, /* 060: and t5,s0,4 */
    0x000f0463, /* 064: beqz t5,6c <1> */
    0x018e8eb3, /* 068: add t4,t4,s8 */
    0x007e9023, /* 06c: sh t2,0(t4) */
    0x0103d393, /* 070: srl t2,t2,0x10 */
    0x007e9123, /* 074: sh t2,2(t4) */
    0x0000100f, /* 078: fence.i */
    0x000300e7, /* 07c: jalr t1 */
    0x00093303, /* 080: ld t1,0(s2) */
    0x000300e7, /* 084: jalr t1 */
    0x00893303, /* 088: ld t1,8(s2) */
    0x000300e7, /* 08c: jalr t1 */
    0x01093303, /* 090: ld t1,16(s2) */
    0x000300e7, /* 094: jalr t1 */
    0x01893303, /* 098: ld t1,24(s2) */
    0x000300e7, /* 09c: jalr t1 */
    0xd2247553, /* 0a0: fcvt.d.l fa0,s0 */
    0x02a5f5d3, /* 0a4: fadd.d fa1,fa1,fa0 */
    0x4015f653, /* 0a8: fcvt.s.d fa2,fa1 */
    0x10c676d3, /* 0ac: fmul.s fa3,fa2,fa2 */
    0x1ab57753, /* 0b0: fdiv.d fa4,fa0,fa1 */
    0x5a05f7d3, /* 0b4: fsqrt.d fa5,fa1 */
    0x7ae57843, /* 0b8: fmadd.d fa6,fa0,fa4,fa5 */
    0x02d41293, /* 0bc: sll t0,s0,0x2d */
    0x0342d293, /* 0c0: srl t0,t0,0x34 */
    0x00129293, /* 0c4: sll t0,t0,0x1 */
    0x012282b3, /* 0c8: add t0,t0,s2 */
    0x0402b383, /* 0cc: ld t2,64(t0) */
    0x008383b3, /* 0d0: add t2,t2,s0 */
    0x0472b023, /* 0d4: sd t2,64(t0) */
    0x01828e33, /* 0d8: add t3,t0,s8 */
    0x042e6e83, /* 0dc: lwu t4,66(t3) */
    0x04be3427, /* 0e0: fsd fa1,72(t3) */
    0xff82ff13, /* 0e4: and t5,t0,-8 */
    0x040f0f13, /* 0e8: add t5,t5,64 */
    0x207f3faf, /* 0ec: amoxor.d t6,t2,(t5) */
    0x008f26af, /* 0f0: amoadd.w a3,s0,(t5) */
    0x100f372f, /* 0f4: lr.d a4,(t5) */
    0x19ff37af, /* 0f8: sc.d a5,t6,(t5) */
    0x00003803, /* 0fc: ld a6,0(zero) */
    0x03d45633, /* 100: divu a2,s0,t4 */
    0x02742ab3, /* 104: mulhsu s5,s0,t2 */
    0x03d46b33, /* 108: rem s6,s0,t4 */
    0x00c50533, /* 10c: add a0,a0,a2 */
    0x001a0a13, /* 110: add s4,s4,1 */
    0x003a7293, /* 114: and t0,s4,3 */
    0xf00292e3, /* 118: bnez t0,1c <loop> */
    0x00000073, /* 11c: ecall */
    0xefdff06f, /* 120: j 1c <loop> */
    0x00000013, /* 124: nop */
    /* handler */
    0x14102d73, /* 128: csrr s10,sepc */
    0x004d0d13, /* 12c: add s10,s10,4 */
    0x141d1073, /* 130: csrw sepc,s10 */
    0x14202df3, /* 134: csrr s11,scause */
    0x14302cf3, /* 138: csrr s9,stval */
    0x01bb8bb3, /* 13c: add s7,s7,s11 */
    0x10200073, /* 140: sret */
};
/* clang-format on */
enum { HANDLER = 0x128 };

/* addi a0, a0, 1; ret */
static const uint32_t routine[] = {0x00150513, 0x00008067};
static const uint64_t routine_at[] = {CODE + 0x800, 0x6800, 0x7ffe, 0x9ffc};

struct states {
    struct fixture *f;
    unsigned count;
    uint64_t hash[STATES];
};

static uint64_t mix(uint64_t h, uint64_t v)
{
    h = (h ^ v) * UINT64_C(0x9e3779b97f4a7c15);
    return h ^ h >> 32;
}

static uint64_t state_hash(const struct fixture *f)
{
    const struct rv_hart *hart = f->hart;
    uint64_t h = 0;
    for (const struct vr_field *row = rv_hart_fields(); row->name; row++) {
        /* Temporaries are the engine's own affair. */
        unsigned count = row->offset == offsetof(struct rv_hart, cpu.r) ? VR_SLOT_TEMP : row->count;
        for (unsigned i = 0; row->role == VR_ROLE_STATE && i < count; i++) {
            h = mix(h, vr_field_get(hart, row, i));
        }
    }
    for (unsigned i = 0; i < USED; i += 8) {
        h = mix(h, vr_load_le64(f->ram->hva + i));
    }
    return h;
}

static bool take_state(void *opaque, struct rv_hart *hart)
{
    struct states *s = opaque;
    s->hash[s->count++] = state_hash(s->f);
    if (s->count == STATES) {
        vr_vcpu_kick(&hart->cpu.vcpu);
    }
    return true;
}

static void run_states(struct fixture *f, const struct rv_config *config, struct states *s)
{
    uint8_t *ram = f->ram->hva;
    *s = (struct states){.f = f};
    use_config(f, config);
    rv_hart_set_sbi(f->hart, take_state, s);
    memset(ram, 0, USED);
    for (unsigned i = 0; i < VR_COUNT(program); i++) {
        vr_store_le32(ram + CODE + 4 * i, program[i]);
    }
    for (unsigned i = 0; i < VR_COUNT(routine_at); i++) {
        vr_store_le64(ram + DATA + 8 * i, RAM_BASE + routine_at[i]);
        vr_store_le32(ram + routine_at[i], routine[0]);
        vr_store_le32(ram + routine_at[i] + 4, routine[1]);
    }
    /* Gigabyte pages: RAM where it is, and a gigabyte below. */
    vr_store_le64(ram + TABLE + 8 * 2, RAM_BASE >> 2 | 0xcf);
    vr_store_le64(ram + TABLE + 8 * 1, RAM_BASE >> 2 | 0xcf);
    vr_ram_wrote(f->mem, f->ram, 0, USED);
    f->hart->stvec = RAM_BASE + CODE + HANDLER;
    f->hart->mstatus |= RV_MSTATUS_FS;
    f->hart->cpu.r[12] = UINT64_C(8) << 60 | (RAM_BASE + TABLE) >> 12;
    rv_hart_start(f->hart, RV_S, RAM_BASE + CODE, 0x243f6a8885a308d3, RAM_BASE + DATA);
    atomic_store(&f->hart->cpu.vcpu.kicked, false);
    vr_interp_run(&f->hart->cpu.vcpu);
    assert_int_equal(s->count, STATES);
    assert_int_equal(f->hart->scause, RV_CAUSE_LOAD_PAGE);
}

static void states_are_the_same_on_every_engine(void **state)
{
    static const char *const engines[] = {"jit", "jit-warm", "jit-small", "lockstep"};
    struct fixture *f = *state;
    struct rv_config config = f->hart->config;
    struct vr_error why = {0};
    struct states *interp = malloc(sizeof(*interp)), *other = malloc(sizeof(*other));
    assert_non_null(interp);
    assert_non_null(other);
    config.builtin_sbi = true;
    run_states(f, &config, interp);
    for (unsigned i = 1; i < STATES; i++) { /* the program does get on */
        assert_true(interp->hash[i] != interp->hash[i - 1]);
    }
    if (vr_jit_available(&why) < 0) {
        free(interp);
        free(other);
        skip_because("%s", why.msg);
    }
    for (unsigned e = 0; e < VR_COUNT(engines); e++) {
        struct rv_config with = config;
        engine_named(&with, engines[e]);
        run_states(f, &with, other);
        for (unsigned i = 0; i < STATES; i++) {
            if (interp->hash[i] != other->hash[i]) {
                fail_msg("%s: state %u of %u is another one", engines[e], i, (unsigned)STATES);
            }
        }
    }
    free(interp);
    free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(states_are_the_same_on_every_engine, setup, teardown),
    };
    return cmocka_run_group_tests_name("rv_states", tests, NULL, NULL);
}
