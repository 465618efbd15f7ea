/* Traps, interrupts and the timer against the rules of the manual written out once more; snapshots;
 * small programs. */
#include "rv_fixture.h"

/* --- Traps and interrupts --- */

static void exceptions_by_the_book(void **state)
{
    static const uint8_t privs[] = {RV_U, RV_S, RV_M};
    static const uint8_t causes[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 15};
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    for (unsigned n = 0; n < 5000; n++) {
        uint64_t cause = causes[rnd(f) % VR_COUNT(causes)], tval = rnd(f), pc = rnd(f) & ~1ull;
        h->priv = RV_M;
        set(h, CSR_MSTATUS, rnd(f));
        set(h, CSR_MEDELEG, rnd(f));
        set(h, CSR_MTVEC, rnd(f));
        set(h, 0x105, rnd(f));
        h->priv = privs[rnd(f) % 3];
        h->cpu.pc = pc;
        uint64_t st = h->mstatus, was = h->priv;
        rv_trap(h, cause, tval);
        if (was != RV_M && h->medeleg >> cause & 1) {
            assert_int_equal(h->priv, RV_S);
            assert_int_equal(h->cpu.pc, h->stvec & ~3ull);
            assert_int_equal(h->sepc, pc);
            assert_int_equal(h->scause, cause);
            assert_int_equal(h->stval, tval);
            assert_int_equal(h->mstatus >> 8 & 1, was == RV_S);
            assert_int_equal(h->mstatus >> 5 & 1, st >> 1 & 1);
            assert_int_equal(h->mstatus >> 1 & 1, 0);
            assert_int_equal((h->mstatus ^ st) & ~0x122ull, 0);
        } else {
            assert_int_equal(h->priv, RV_M);
            assert_int_equal(h->cpu.pc, h->mtvec & ~3ull);
            assert_int_equal(h->mepc, pc);
            assert_int_equal(h->mcause, cause);
            assert_int_equal(h->mtval, tval);
            assert_int_equal(h->mstatus >> 11 & 3, was);
            assert_int_equal(h->mstatus >> 7 & 1, st >> 3 & 1);
            assert_int_equal(h->mstatus >> 3 & 1, 0);
            assert_int_equal((h->mstatus ^ st) & ~0x1888ull, 0);
        }
    }
}

static void interrupts_by_the_book(void **state)
{
    static const uint8_t privs[] = {RV_U, RV_S, RV_M};
    static const uint8_t order[] = {11, 3, 7, 9, 1, 5};
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    unsigned taken = 0;
    for (unsigned n = 0; n < 20000; n++) {
        h->priv = RV_M;
        set(h, CSR_MSTATUS, rnd(f));
        set(h, CSR_MIDELEG, rnd(f));
        set(h, CSR_MIE, rnd(f));
        set(h, CSR_MIP, rnd(f) & rnd(f));
        set(h, CSR_MTVEC, rnd(f));
        set(h, 0x105, rnd(f));
        for (unsigned i = 0; i < 6; i++) {
            if (order[i] != RV_SSI && order[i] != RV_STI) {
                rv_hart_irq(h, order[i], rnd(f) % 4 == 0);
            }
        }
        h->priv = privs[rnd(f) % 3];
        h->cpu.pc = rnd(f) & ~1ull;
        uint64_t mip = rv_mip(h), pc = h->cpu.pc, st = h->mstatus;
        unsigned was = h->priv;

        int due = -1;
        bool to_s = false;
        for (unsigned to_m = 2; due < 0 && to_m-- > 0;) {
            bool enabled =
                to_m ? was < RV_M || (st >> 3 & 1) : was < RV_S || (was == RV_S && (st >> 1 & 1));
            for (unsigned i = 0; enabled && due < 0 && i < 6; i++) {
                if (mip >> order[i] & h->mie >> order[i] & 1 &&
                    (h->mideleg >> order[i] & 1) == !to_m) {
                    due = order[i];
                    to_s = !to_m;
                }
            }
        }
        bool took = rv_interrupt(h);
        assert_int_equal(took, due >= 0);
        if (!took) {
            assert_int_equal(h->cpu.pc, pc);
            assert_int_equal(h->mstatus, st);
            continue;
        }
        taken++;
        uint64_t vec = to_s ? h->stvec : h->mtvec;
        assert_int_equal(h->priv, to_s ? RV_S : RV_M);
        assert_int_equal(to_s ? h->scause : h->mcause, RV_BIT(63) | (unsigned)due);
        assert_int_equal(to_s ? h->sepc : h->mepc, pc);
        assert_int_equal(h->cpu.pc, (vec & ~3ull) + (vec & 1 ? 4 * (unsigned)due : 0));
    }
    assert_true(taken > 5000);
}

static void returns(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    struct vr_ir ir = {.op = VR_IR_helper_end, .imm = 0x30200073};
    h->mepc = 0x4000;
    h->mstatus = RV_MSTATUS_MPIE | RV_MSTATUS_MPRV | (uint64_t)RV_S << 11;
    assert_false(rv_helpers[RV_H_MRET](&h->cpu, &ir));
    assert_int_equal(h->priv, RV_S);
    assert_int_equal(h->cpu.pc, 0x4000);
    assert_int_equal(h->mstatus, RV_MSTATUS_MIE | RV_MSTATUS_MPIE);
    assert_false(rv_helpers[RV_H_MRET](&h->cpu, &ir)); /* from S: illegal */
    assert_int_equal(h->priv, RV_M);
    assert_int_equal(h->mcause, RV_CAUSE_ILLEGAL);

    ir.imm = 0x10200073;
    h->priv = RV_S;
    h->sepc = 0x5000;
    h->mstatus = RV_MSTATUS_SPIE | RV_MSTATUS_SPP | RV_MSTATUS_MPRV;
    assert_false(rv_helpers[RV_H_SRET](&h->cpu, &ir));
    assert_int_equal(h->priv, RV_S);
    assert_int_equal(h->cpu.pc, 0x5000);
    assert_int_equal(h->mstatus, RV_MSTATUS_SIE | RV_MSTATUS_SPIE);
    h->mstatus |= RV_MSTATUS_TSR;
    assert_false(rv_helpers[RV_H_SRET](&h->cpu, &ir));
    assert_int_equal(h->priv, RV_M);
    assert_int_equal(h->mtval, 0x10200073);
}

static void timer_follows_the_clock(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    set(h, CSR_STIMECMP, 1000); /* STCE is off: nothing comes of it */
    vr_clock_step(f->clock, 200000);
    rv_attention(&h->cpu);
    assert_int_equal(rv_mip(h), 0);
    set(h, CSR_MENVCFG, RV_ENVCFG_STCE);
    assert_int_equal(rv_mip(h), RV_BIT(RV_STI)); /* long past */
    set(h, CSR_STIMECMP, 3000);
    assert_int_equal(rv_mip(h), 0);
    atomic_store(&h->cpu.vcpu.attention, false);
    vr_clock_step(f->clock, 99900);
    assert_false(atomic_load(&h->cpu.vcpu.attention));
    assert_int_equal(get(h, CSR_MIP), 0);
    vr_clock_step(f->clock, 100);
    assert_true(atomic_load(&h->cpu.vcpu.attention));
    rv_attention(&h->cpu);
    assert_int_equal(rv_mip(h), RV_BIT(RV_STI));
    set(h, CSR_MIP, 0); /* stimecmp alone clears it */
    assert_int_equal(rv_mip(h), RV_BIT(RV_STI));
    set(h, CSR_STIMECMP, UINT64_MAX);
    assert_int_equal(rv_mip(h), 0);
    assert_int_equal(vr_clock_next(f->clock), UINT64_MAX);
}

/* --- Snapshots, names --- */

static void every_byte_is_declared(void **state)
{
    size_t at = 0;
    (void)state;
    for (const struct vr_field *fl = rv_hart_fields(); fl->name; fl++) {
        size_t len = (size_t)fl->count * fl->elem_size;
        if (fl->offset < at || fl->offset - at >= 8) {
            fail_msg("%s: bytes %zu..%u are undeclared, or rows out of order", fl->name, at,
                     fl->offset);
        }
        assert_true(strlen(fl->help) > 0);
        at = fl->offset + len;
    }
    assert_true(sizeof(struct rv_hart) - at < 8);
}

static void snapshots(void **state)
{
    struct fixture *f = *state;
    struct rv_config config = f->hart->config;
    struct rv_hart *a = f->hart, *b = new_hart(f, &config);
    struct vr_snap snap;
    struct vr_error err;

    for (unsigned n = 0; n < 4096 * 4; n++) {
        unsigned csr = n & 0xfff;
        if (csr < 0x3a0 || csr >= 0x3a4) {
            (void)rv_csr_write(a, csr, rnd(f));
        }
    }
    for (unsigned i = 1; i < VR_SLOT_TEMP; i++) {
        a->cpu.r[i] = rnd(f);
    }
    a->cpu.pc = rnd(f) & ~1ull;
    a->cpu.icount = 12345;
    rv_set_priv(a, RV_S);
    vr_snap_init(&snap);
    assert_int_equal(a->cpu.vcpu.ops->save(&a->cpu.vcpu, &snap, &err), 0);
    assert_int_equal(b->cpu.vcpu.ops->load(&b->cpu.vcpu, &snap, &err), 0);
    for (const struct vr_field *fl = rv_hart_fields(); fl->name; fl++) {
        if (fl->role == VR_ROLE_STATE &&
            memcmp((char *)a + fl->offset, (char *)b + fl->offset, fl->count * fl->elem_size)) {
            fail_msg("%s differs after load", fl->name);
        }
    }
    assert_ptr_equal(b->cpu.dtlb - b->cpu.tlb, a->cpu.dtlb - a->cpu.tlb);
    vr_snap_fini(&snap);

    /* State that no hart can be in. */
    for (unsigned i = 0; i < 7; i++) {
        uint64_t satp = a->satp, mstatus = a->mstatus;
        vr_snap_init(&snap);
        a->satp = i == 0 ? UINT64_C(15) << 60 : i == 1 ? UINT64_C(1) << 60 : satp;
        a->priv = i == 2 ? 2 : RV_S;
        a->mstatus = i == 3 ? UINT64_C(2) << RV_MPP_SHIFT : mstatus;
        a->pmpaddr[3] = i == 4 ? UINT64_MAX : 0;
        a->cpu.pc |= i == 5;
        atomic_store(&a->lines, i == 6 ? 0x1f : 0);
        assert_int_equal(a->cpu.vcpu.ops->save(&a->cpu.vcpu, &snap, &err), 0);
        assert_int_equal(b->cpu.vcpu.ops->load(&b->cpu.vcpu, &snap, &err), -ERANGE);
        assert_int_equal(b->priv, RV_M); /* as after reset */
        assert_int_equal(atomic_load(&b->lines), 0);
        a->satp = satp;
        a->priv = RV_S;
        a->cpu.pc &= ~UINT64_C(1);
        a->mstatus = mstatus;
        vr_snap_fini(&snap);
    }
    drop_hart(b);
    config.ext &= ~(UINT64_C(1) << RV_EXT_zkr);
    b = new_hart(f, &config);
    a->pmpaddr[3] = 0;
    a->cpu.pc &= ~UINT64_C(1);
    vr_snap_init(&snap);
    assert_int_equal(a->cpu.vcpu.ops->save(&a->cpu.vcpu, &snap, &err), 0);
    assert_int_equal(b->cpu.vcpu.ops->load(&b->cpu.vcpu, &snap, &err), -EPROTO);
    vr_snap_fini(&snap);
    drop_hart(b);
}

static void names(void **state)
{
    struct rv_config config;
    char buf[RV_ISA_STRING_MAX];
    (void)state;
    rv_config_default(&config);
    size_t n = rv_isa_string(&config, buf);
    assert_int_equal(strlen(buf), n);
    assert_memory_equal(buf, "rv64imafdc_zicbom_zicboz_zicntr_", 32);
    n = rv_isa_extensions(&config, buf);
    assert_string_equal(buf, "i");
    assert_string_equal(buf + 2, "m");
    assert_int_equal(buf[n - 1], 0);
    config.ext = 1 << RV_EXT_i | 1 << RV_EXT_m | UINT64_C(1) << RV_EXT_zba;
    rv_isa_string(&config, buf);
    assert_string_equal(buf, "rv64im_zba");
    n = rv_isa_extensions(&config, buf);
    assert_int_equal(n, 8);
    assert_memory_equal(buf, "i\0m\0zba", 8);
}

static void bad_configs_are_refused(void **state)
{
    struct fixture *f = *state;
    struct rv_config config = f->hart->config;
    struct rv_hart *hart;
    struct vr_error err;
    config.timebase_hz = 0;
    assert_int_equal(rv_hart_create(NULL, 0, &config, f->mem, f->clock, test_time, f, &hart, &err),
                     -EINVAL);
    config.timebase_hz = 1;
    config.satp_max = 11;
    assert_int_equal(rv_hart_create(NULL, 0, &config, f->mem, f->clock, test_time, f, &hart, &err),
                     -EINVAL);
}

/* --- Running --- */

static bool stop_call(void *opaque, struct rv_hart *hart)
{
    struct fixture *f = opaque;
    f->calls++;
    hart->cpu.pc += 4;
    vr_vcpu_kick(&hart->cpu.vcpu);
    return false;
}

/* Run @words in S-mode from RAM_BASE until an ecall. */
static void run(struct fixture *f, const uint32_t *words, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        vr_store_le32(f->ram->hva + 4 * i, words[i]);
    }
    vr_ram_wrote(f->mem, f->ram, 0, 4 * count);
    rv_hart_set_sbi(f->hart, stop_call, f);
    rv_hart_start(f->hart, RV_S, RAM_BASE, 0, 0);
    atomic_store(&f->hart->cpu.vcpu.kicked, false);
    vr_interp_run(&f->hart->cpu.vcpu);
}

static void use_sbi(struct fixture *f)
{
    struct rv_config config = f->hart->config;
    config.builtin_sbi = true;
    use_config(f, &config);
}

static void programs_run(void **state)
{
    static const uint32_t count[] = {
        0x00000513, /*    li a0, 0 */
        0x06400593, /*    li a1, 100 */
        0x00b50533, /* 1: add a0, a0, a1 */
        0xfff58593, /*    addi a1, a1, -1 */
        0xfe059ce3, /*    bnez a1, 1b */
        0xc0202673, /*    rdinstret a2 */
        0xc02026f3, /*    rdinstret a3 */
        0x00000073, /*    ecall */
    };
    static const uint32_t fp[] = {
        0x00100073,             /* ebreak: delegated, to stvec */
        0x00000013, 0x02b57553, /* fadd.d with FS off */
    };
    struct fixture *f = *state;
    use_sbi(f);
    run(f, count, VR_COUNT(count));
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->hart->cpu.r[10], 5050);
    assert_int_equal(f->hart->cpu.r[12], 302);
    assert_int_equal(f->hart->cpu.r[13], 303);
    assert_int_equal(f->hart->cpu.icount, 305);

    vr_store_le32(f->ram->hva + 0x100, 0x00000073);
    rv_hart_reset(f->hart);
    f->hart->stvec = RAM_BASE + 0x100;
    run(f, fp, VR_COUNT(fp));
    assert_int_equal(f->hart->scause, RV_CAUSE_BREAKPOINT);
    assert_int_equal(f->hart->sepc, RAM_BASE);
    assert_int_equal(f->hart->stval, RAM_BASE);
    assert_int_equal(f->hart->cpu.icount, 1); /* the ecall alone */
    rv_hart_reset(f->hart);
    f->hart->stvec = RAM_BASE + 0x100;
    run(f, fp + 1, 2);
    assert_int_equal(f->hart->scause, RV_CAUSE_ILLEGAL);
    assert_int_equal(f->hart->sepc, RAM_BASE + 4);
    assert_int_equal(f->hart->stval, 0x02b57553);
    assert_int_equal(f->hart->cpu.icount, 2);
}

/* A kernel's vDSO reads the time in user mode; firmware has to permit it, and the built-in SBI is
 * the firmware. */
static void builtin_sbi_opens_counters(void **state)
{
    static const uint32_t words[] = {
        0x00000297, /* auipc t0, 0 */
        0x01028293, /* addi t0, t0, 16 */
        0x14129073, /* csrw sepc, t0 */
        0x10200073, /* sret: to U */
        0xc0102573, /* rdtime a0 */
        0xc0002573, /* rdcycle a0 */
        0xc0202573, /* rdinstret a0 */
        0x00000073, /* ecall: delegated, to stvec */
    };
    struct fixture *f = *state;
    use_sbi(f);
    vr_store_le32(f->ram->hva + 0x100, 0x00000073);
    f->hart->stvec = RAM_BASE + 0x100;
    run(f, words, VR_COUNT(words));
    assert_int_equal(f->calls, 1);
    assert_int_equal(f->hart->scause, RV_CAUSE_ECALL_U);
    assert_int_equal(f->hart->sepc, RAM_BASE + 4 * (VR_COUNT(words) - 1));
}

/* Instructions on both sides of a border in the middle of a page, and across it. */
static void programs_stop_where_pmp_says(void **state)
{
    static const uint32_t words[] = {
        0x00150513, /* 1: addi a0, a0, 1 */
        0x00150513, /*    addi a0, a0, 1 */
        0x00000013, /*    nop */
        0x00000013, /*    nop */
        0xff1ff06f, /*    j 1b */
        0x00000073, /*    ecall */
    };
    struct fixture *f = *state;
    for (unsigned limit = 4; limit <= 20; limit += 4) {
        for (unsigned shift = 0; shift <= 2; shift += 2) {
            use_sbi(f);
            struct rv_hart *h = f->hart;
            memset(f->ram->hva, 0, 0x100);
            for (unsigned i = 0; i < VR_COUNT(words); i++) {
                vr_store_le32(f->ram->hva + shift + 4 * i, words[i]);
            }
            vr_store_le32(f->ram->hva + 0x2000, 0x00000073);
            h->stvec = RAM_BASE + 0x2000;
            h->pmpaddr[0] = RAM_BASE >> 2; /* entry 1: [start, limit) */
            h->pmpcfg[0] = 0;
            h->pmpaddr[1] = (RAM_BASE + limit) >> 2;
            h->pmpcfg[1] = RV_PMP_A_TOR | RV_PMP_R | RV_PMP_X;
            h->pmpaddr[2] = (RAM_BASE + 0x100) >> 2; /* entry 2: no right to execute */
            h->pmpcfg[2] = RV_PMP_A_TOR | RV_PMP_R;
            h->pmpaddr[3] = vr_mask(54);
            h->pmpcfg[3] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_X;
            rv_pmp_update(h);
            rv_hart_set_sbi(h, stop_call, f);
            rv_hart_start(h, RV_S, RAM_BASE + shift, 0, 0);
            atomic_store(&h->cpu.vcpu.kicked, false);
            vr_vcpu_notify(&h->cpu.vcpu);
            if (limit == 20 && shift == 0) {
                continue; /* it loops for ever */
            }
            vr_interp_run(&h->cpu.vcpu);
            unsigned good = (limit - shift) / 4;
            assert_int_equal(h->scause, RV_CAUSE_FETCH_ACCESS);
            assert_int_equal(h->sepc, RAM_BASE + shift + 4 * good);
            assert_int_equal(h->stval, RAM_BASE + limit);
            assert_int_equal(h->cpu.r[10], good > 2 ? 2 : good);
            assert_int_equal(h->cpu.icount, good + 1);
        }
    }
}

int main(void)
{
    if (engine_missing()) {
        return 0;
    }
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(exceptions_by_the_book),
        T(interrupts_by_the_book),
        T(returns),
        T(timer_follows_the_clock),
        T(every_byte_is_declared),
        T(snapshots),
        T(names),
        T(bad_configs_are_refused),
        T(programs_run),
        T(programs_stop_where_pmp_says),
        T(builtin_sbi_opens_counters),
    };
    return cmocka_run_group_tests_name("rv_hart", tests, NULL, NULL);
}
