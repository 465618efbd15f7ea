/*
 * Several harts in a machine: starting, stopping, suspending, waking, and remote fences, through a
 * small SBI of the test's own. Calls (a7): 0 done, 1 start hart a0 at a1, 2 stop, 3 suspend, 4
 * fence all harts, 5 interrupt hart a0.
 */
#include "rv_engine.h"
#include "test.h"

#include "base/bits.h"
#include "core/machine.h"
#include "cpu/riscv/priv.h"

#include <stdlib.h>
#include <string.h>

#define RAM_BASE UINT64_C(0x80000000)
enum { HARTS = 4, WAIT_S = 60 };

struct fixture {
    struct vr_machine *m;
    struct vr_ram *ram;
    struct rv_hart *hart[HARTS];
    const uint32_t *code;
    size_t words;
    atomic_uint fences;
};

static uint64_t test_time(void *opaque)
{
    return vr_clock_now(vr_machine_clock(((struct fixture *)opaque)->m)) / 100;
}

static bool test_sbi(void *opaque, struct rv_hart *hart)
{
    struct fixture *f = opaque;
    uint64_t *x = hart->cpu.r;
    struct rv_hart *other = f->hart[x[10] % HARTS];
    uint8_t stopped = RV_HSM_STOPPED;
    switch (x[17]) {
    case 1: /* a0 = 0 when it was stopped */
        if (atomic_compare_exchange_strong(&other->hsm, &stopped, RV_HSM_START_PENDING)) {
            rv_hart_start(other, RV_S, x[11], x[10], 0);
            x[10] = 0;
        }
        return true;
    case 2:
        atomic_store(&hart->hsm, RV_HSM_STOPPED);
        return false;
    case 3:
        hart->cpu.pc += 4;
        atomic_store(&hart->hsm, RV_HSM_SUSPENDED);
        return false;
    case 4:
        rv_hart_fence(hart, UINT64_MAX, RV_REMOTE_SFENCE | RV_REMOTE_FENCE_I);
        atomic_fetch_add(&f->fences, 1);
        return true;
    case 5:
        rv_hart_irq(other, RV_SSI, true);
        return true;
    default:
        vr_machine_request(f->m, VR_REQ_QUIT, (unsigned)x[10]);
        return true;
    }
}

static int load(void *opaque, struct vr_error *err)
{
    struct fixture *f = opaque;
    (void)err;
    memset(f->ram->hva, 0, 0x10000);
    for (size_t i = 0; i < f->words; i++) {
        vr_store_le32(f->ram->hva + 4 * i, f->code[i]);
    }
    rv_hart_start(f->hart[0], RV_S, RAM_BASE, 0, 0);
    return 0;
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct rv_config config;
    assert_non_null(f);
    rv_config_default(&config);
    use_engine(&config);
    config.builtin_sbi = true;
    assert_int_equal(vr_machine_create("smp", VR_CLOCK_REAL, false, NULL, &f->m, NULL), 0);
    assert_int_equal(
        vr_machine_add_ram(f->m, "ram", RAM_BASE, 1 << 20, VR_REGION_RAM, &f->ram, NULL), 0);
    for (unsigned i = 0; i < HARTS; i++) {
        assert_int_equal(rv_hart_create(f->m, i, &config, vr_machine_mem(f->m),
                                        vr_machine_clock(f->m), test_time, f, &f->hart[i], NULL),
                         0);
        assert_int_equal(vr_machine_add_vcpu(f->m, &f->hart[i]->cpu.vcpu, NULL), 0);
        rv_hart_set_sbi(f->hart[i], test_sbi, f);
    }
    vr_machine_on_reset(f->m, load, f);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vr_machine_destroy(f->m);
    free(f);
    return 0;
}

static unsigned run(struct fixture *f, const uint32_t *code, size_t words)
{
    struct vr_exit why;
    f->code = code;
    f->words = words;
    assert_int_equal(vr_machine_start(f->m, NULL), 0);
    if (!vr_machine_wait(f->m, WAIT_S * UINT64_C(1000000000), &why)) {
        fail_msg("the guest hangs: hart 0 at %llx", (unsigned long long)f->hart[0]->cpu.pc);
    }
    assert_int_equal(why.why, VR_REQ_QUIT);
    return why.code;
}

/* Hart 0 starts the others, fences them all while one spins and fences too, one is suspended and
 * one waits, then interrupts them; they stop; one is started again and interrupts hart 0. */
/* clang-format off */
static const uint32_t program[] = {
    /* _start */
    0x00200293, /* 000: li t0,2 */
    0x1042a073, /* 004: csrs sie,t0 */
    0x00100413, /* 008: li s0,1 */
    0x00040513, /* 00c: mv a0,s0 */
    0x00000597, /* 010: auipc a1,0x0 */
    0x0b458593, /* 014: add a1,a1,180 */
    0x00100893, /* 018: li a7,1 */
    0x00000073, /* 01c: ecall */
    0xfe0516e3, /* 020: bnez a0,0c <_start+0xc> */
    0x00140413, /* 024: add s0,s0,1 */
    0x00400293, /* 028: li t0,4 */
    0xfe5410e3, /* 02c: bne s0,t0,0c <_start+0xc> */
    0x00000497, /* 030: auipc s1,0x0 */
    0x11848493, /* 034: add s1,s1,280 */
    0x0004b303, /* 038: ld t1,0(s1) */
    0x00300293, /* 03c: li t0,3 */
    0xfe531ce3, /* 040: bne t1,t0,38 <_start+0x38> */
    0x12c00413, /* 044: li s0,300 */
    0x00400893, /* 048: li a7,4 */
    0x00000073, /* 04c: ecall */
    0xfff40413, /* 050: add s0,s0,-1 */
    0xfe041ae3, /* 054: bnez s0,48 <_start+0x48> */
    0x00100293, /* 058: li t0,1 */
    0x0054b423, /* 05c: sd t0,8(s1) */
    0x00100413, /* 060: li s0,1 */
    0x00040513, /* 064: mv a0,s0 */
    0x00500893, /* 068: li a7,5 */
    0x00000073, /* 06c: ecall */
    0x00140413, /* 070: add s0,s0,1 */
    0x00400293, /* 074: li t0,4 */
    0xfe5416e3, /* 078: bne s0,t0,64 <_start+0x64> */
    0x0104b303, /* 07c: ld t1,16(s1) */
    0x00300293, /* 080: li t0,3 */
    0xfe531ce3, /* 084: bne t1,t0,7c <_start+0x7c> */
    0x00200513, /* 088: li a0,2 */
    0x00000597, /* 08c: auipc a1,0x0 */
    0x0a458593, /* 090: add a1,a1,164 */
    0x00100893, /* 094: li a7,1 */
    0x00000073, /* 098: ecall */
    0xfe0516e3, /* 09c: bnez a0,88 <_start+0x88> */
    0x10500073, /* 0a0: wfi */
    0x144022f3, /* 0a4: csrr t0,sip */
    0x0022f293, /* 0a8: and t0,t0,2 */
    0xfe028ce3, /* 0ac: beqz t0,a4 <_start+0xa4> */
    0x02a00513, /* 0b0: li a0,42 */
    0x00000893, /* 0b4: li a7,0 */
    0x00000073, /* 0b8: ecall */
    0x10500073, /* 0bc: wfi */
    0xffdff06f, /* 0c0: j bc <_start+0xbc> */
    /* worker */
    0x00000497, /* 0c4: auipc s1,0x0 */
    0x08448493, /* 0c8: add s1,s1,132 */
    0x00200293, /* 0cc: li t0,2 */
    0x1042a073, /* 0d0: csrs sie,t0 */
    0x00100293, /* 0d4: li t0,1 */
    0x0054b02f, /* 0d8: amoadd.d zero,t0,(s1) */
    0x00200293, /* 0dc: li t0,2 */
    0x02550063, /* 0e0: beq a0,t0,80000100 <suspended> */
    0x00300293, /* 0e4: li t0,3 */
    0x02550263, /* 0e8: beq a0,t0,8000010c <waiter> */
    /* spin */
    0x00400893, /* 0ec: li a7,4 */
    0x00000073, /* 0f0: ecall */
    0x0084b283, /* 0f4: ld t0,8(s1) */
    0xfe028ae3, /* 0f8: beqz t0,ec <spin> */
    0x0200006f, /* 0fc: j 8000011c <done> */
    /* suspended */
    0x00300893, /* 100: li a7,3 */
    0x00000073, /* 104: ecall */
    0x0080006f, /* 108: j 80000110 <woken> */
    /* waiter */
    0x10500073, /* 10c: wfi */
    /* woken */
    0x144022f3, /* 110: csrr t0,sip */
    0x0022f293, /* 114: and t0,t0,2 */
    0xfe028ae3, /* 118: beqz t0,8000010c <waiter> */
    /* done */
    0x00100293, /* 11c: li t0,1 */
    0x01048493, /* 120: add s1,s1,16 */
    0x0054b02f, /* 124: amoadd.d zero,t0,(s1) */
    0x00200893, /* 128: li a7,2 */
    0x00000073, /* 12c: ecall */
    /* again */
    0x00000513, /* 130: li a0,0 */
    0x00500893, /* 134: li a7,5 */
    0x00000073, /* 138: ecall */
    0x00200893, /* 13c: li a7,2 */
    0x00000073, /* 140: ecall */
    0x00000013, /* 144: nop */
};
/* clang-format on */

static void harts_start_fence_wake_and_stop(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(run(f, program, VR_COUNT(program)), 42);
    assert_true(atomic_load(&f->fences) >= 300);
    for (unsigned i = 1; i < HARTS; i++) {
        assert_true(i == 2 || atomic_load(&f->hart[i]->hsm) == RV_HSM_STOPPED);
    }
}

/* The machine pauses and goes on at any point of it. */
static void pauses_disturb_nothing(void **state)
{
    struct fixture *f = *state;
    struct vr_exit why;
    f->code = program;
    f->words = VR_COUNT(program);
    assert_int_equal(vr_machine_start(f->m, NULL), 0);
    unsigned pauses = 0;
    while (!vr_machine_wait(f->m, 100000, &why)) {
        if (vr_machine_pause(f->m) == 0) {
            pauses++;
            (void)vr_machine_resume(f->m);
        }
        assert_true(pauses < 1000000);
    }
    assert_int_equal(why.why, VR_REQ_QUIT);
    assert_int_equal(why.code, 42);
}

int main(void)
{
    if (engine_missing()) {
        return 0;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(harts_start_fence_wake_and_stop, setup, teardown),
        cmocka_unit_test_setup_teardown(pauses_disturb_nothing, setup, teardown),
    };
    return cmocka_run_group_tests_name("rv_smp", tests, NULL, NULL);
}
