/*
 * Harts without a machine around them: CSRs, traps, interrupts, PMP, page walks, timer, snapshots.
 * Where the manual gives a rule, the rule is written out here once more, as literally as can be,
 * and compared.
 */
#include "test.h"

#include "base/bits.h"
#include "core/machine.h"
#include "core/snap.h"
#include "cpu/riscv/priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define RAM_BASE UINT64_C(0x80000000)
#define RAM_LEN  UINT64_C(0x100000)

struct fixture {
    struct vr_space *mem;
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_clock *clock;
    struct rv_hart *hart;
    uint64_t seed;
    unsigned calls;
};

static uint64_t rnd(struct fixture *f) /* splitmix64 */
{
    uint64_t z = f->seed += 0x9e3779b97f4a7c15;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static uint64_t test_time(void *opaque)
{
    return vr_clock_now(((struct fixture *)opaque)->clock) / 100;
}

static struct rv_hart *new_hart(struct fixture *f, const struct rv_config *config)
{
    struct rv_hart *hart;
    assert_int_equal(rv_hart_create(NULL, 3, config, f->mem, f->clock, test_time, f, &hart, NULL),
                     0);
    return hart;
}

static void drop_hart(struct rv_hart *hart)
{
    hart->cpu.vcpu.ops->destroy(&hart->cpu.vcpu);
}

static void use_config(struct fixture *f, const struct rv_config *config)
{
    drop_hart(f->hart);
    f->hart = new_hart(f, config);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct rv_config config;
    assert_non_null(f);
    assert_int_equal(vr_space_create("mem", UINT64_MAX, &f->mem, NULL), 0);
    assert_int_equal(vr_ram_create("ram", RAM_LEN, &f->ram, NULL), 0);
    f->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_BASE, .len = RAM_LEN, .ram = f->ram};
    assert_int_equal(vr_space_add(f->mem, &f->region, NULL), 0);
    assert_int_equal(vr_clock_create(VR_CLOCK_STEPPED, &f->clock, NULL), 0);
    rv_config_default(&config);
    f->hart = new_hart(f, &config);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    drop_hart(f->hart);
    vr_clock_destroy(f->clock);
    vr_space_remove(f->mem, &f->region);
    vr_space_destroy(f->mem);
    vr_ram_destroy(f->ram);
    free(f);
    return 0;
}

static uint64_t get(struct rv_hart *hart, unsigned csr)
{
    uint64_t v = 0;
    if (!rv_csr_read(hart, csr, &v)) {
        fail_msg("csr %03x cannot be read", csr);
    }
    return v;
}

static void set(struct rv_hart *hart, unsigned csr, uint64_t v)
{
    if (!rv_csr_write(hart, csr, v)) {
        fail_msg("csr %03x cannot be written", csr);
    }
}

/* --- CSRs --- */

enum {
    CSR_SSTATUS = 0x100,
    CSR_SIE = 0x104,
    CSR_SENVCFG = 0x10a,
    CSR_SIP = 0x144,
    CSR_STIMECMP = 0x14d,
    CSR_SATP = 0x180,
    CSR_MSTATUS = 0x300,
    CSR_MISA = 0x301,
    CSR_MEDELEG = 0x302,
    CSR_MIDELEG = 0x303,
    CSR_MIE = 0x304,
    CSR_MTVEC = 0x305,
    CSR_MCOUNTEREN = 0x306,
    CSR_MENVCFG = 0x30a,
    CSR_MSTATEEN0 = 0x30c,
    CSR_MEPC = 0x341,
    CSR_MIP = 0x344,
    CSR_PMPCFG0 = 0x3a0,
    CSR_PMPADDR0 = 0x3b0,
    CSR_MSECCFG = 0x747,
    CSR_TIME = 0xc01,
    CSR_SEED = 0x015,
};

static void csr_fields_hold_what_they_may(void **state)
{
    static const struct {
        unsigned csr;
        uint64_t write, read;
    } cases[] = {
        {CSR_MSTATUS, 0, 0x0000000a00000000},
        {CSR_MSTATUS, UINT64_MAX, 0x8000000a007e79aa},
        {CSR_MSTATUS, 0x1000, 0x0000000a00001800}, /* MPP 2 is none: it stays 3 */
        {CSR_MSTATUS, 0, 0x0000000a00000000},
        {CSR_MSTATUS, 0x4000, 0x0000000a00004000}, /* FS clean: not SD */
        {CSR_SSTATUS, UINT64_MAX, 0x80000002000c6122},
        {CSR_SSTATUS, 0, 0x0000000200000000},
        {CSR_MISA, 0, 0x800000000014112d},
        {CSR_MEDELEG, UINT64_MAX, 0xb3ff},
        {CSR_MIDELEG, UINT64_MAX, 0x222},
        {CSR_MIE, UINT64_MAX, 0xaaa},
        {CSR_MIP, UINT64_MAX, 0x222},
        {CSR_MIP, 0, 0},
        {CSR_MTVEC, UINT64_MAX, UINT64_MAX - 2},
        {CSR_MEPC, UINT64_MAX, UINT64_MAX - 1},
        {CSR_MCOUNTEREN, UINT64_MAX, 0xffffffff},
        {CSR_MENVCFG, UINT64_MAX, 0xe0000000000000f1},
        {CSR_MENVCFG, 0x20, 0x30}, /* CBIE 2 is none: it stays 3 */
        {CSR_MSTATEEN0, UINT64_MAX, 0xc000000000000000},
        {0x30d, UINT64_MAX, 0x8000000000000000},
        {CSR_MSECCFG, UINT64_MAX, 0x300},
        {CSR_SENVCFG, UINT64_MAX, 0xf1},
        {CSR_SATP, 0x8ffff00000000fff, 0x801ff00000000fff}, /* nine ASID bits */
        {CSR_SATP, 0x9000000000000123, 0x9000000000000123},
        {CSR_SATP, 0xa000000000000123, 0xa000000000000123},
        {CSR_SATP, 0xb000000000000456, 0xa000000000000123}, /* no such mode: no effect */
        {CSR_SATP, 0x1000000000000456, 0xa000000000000123},
        {CSR_SATP, 0, 0},
        {0x7a0, UINT64_MAX, 0},
        {0x323, UINT64_MAX, 0}, /* mhpmevent3 */
        {0xb1f, UINT64_MAX, 0}, /* mhpmcounter31 */
        {0x320, UINT64_MAX, 5}, /* mcountinhibit: CY, IR */
        {CSR_PMPADDR0, UINT64_MAX, 0x003fffffffffffff},
        {CSR_PMPCFG0, 0x7a, 0x18}, /* bits 5 and 6 are 0; no write without read */
        {CSR_PMPCFG0, 0x9f, 0x9f},
        {CSR_PMPCFG0, 0, 0x9f}, /* locked */
        {CSR_PMPADDR0, 0, 0x003fffffffffffff},
    };
    struct fixture *f = *state;
    for (unsigned i = 0; i < VR_COUNT(cases); i++) {
        set(f->hart, cases[i].csr, cases[i].write);
        uint64_t v = get(f->hart, cases[i].csr);
        if (v != cases[i].read) {
            fail_msg("case %u: csr %03x: wrote %llx, read %llx, not %llx", i, cases[i].csr,
                     (unsigned long long)cases[i].write, (unsigned long long)v,
                     (unsigned long long)cases[i].read);
        }
    }
}

/* Whatever is written where: the number's rules hold, and the state stays one that a snapshot may
 * have. */
static void csr_numbers_rule_access(void **state)
{
    static const uint8_t privs[] = {RV_U, RV_S, RV_M};
    struct fixture *f = *state;
    unsigned readable = 0;
    for (unsigned n = 0; n < 60000; n++) {
        struct rv_hart *hart = f->hart;
        unsigned csr = n & 0xfff;
        uint64_t v;
        hart->priv = privs[rnd(f) % 3];
        bool low = hart->priv < (csr >> 8 & 3);
        bool r = rv_csr_read(hart, csr, &v);
        readable += r;
        assert_false(r && low);
        bool w = rv_csr_write(hart, csr, rnd(f) & rnd(f));
        assert_false(w && (low || csr >> 10 == 3));
        hart->priv = RV_M;
        if (!rv_csr_legal(hart)) {
            fail_msg("writing csr %03x made impossible state", csr);
        }
        if (csr >= 0x3a0 && csr < 0x3c0) { /* no lock for ever */
            memset(hart->pmpcfg, 0, sizeof(hart->pmpcfg));
            rv_pmp_update(hart);
        }
    }
    assert_true(readable > 500);
}

static void csr_conditions(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    uint64_t v;

    assert_false(rv_csr_read(hart, 0x001, &v)); /* FS off */
    hart->mstatus = RV_BIT(13);
    assert_true(rv_csr_write(hart, 0x003, 0xffff));
    assert_int_equal(get(hart, 0x003), 0xff);
    assert_int_equal(get(hart, 0x002), 7);
    assert_int_equal(hart->mstatus & RV_MSTATUS_FS, RV_MSTATUS_FS);

    hart->priv = RV_S;
    assert_false(rv_csr_read(hart, CSR_TIME, &v));
    hart->mcounteren = 2;
    assert_true(rv_csr_read(hart, CSR_TIME, &v));
    assert_false(rv_csr_read(hart, 0xc00, &v));
    hart->priv = RV_U;
    assert_false(rv_csr_read(hart, CSR_TIME, &v));
    hart->scounteren = 2;
    assert_true(rv_csr_read(hart, CSR_TIME, &v));

    hart->priv = RV_S;
    assert_false(rv_csr_read(hart, CSR_STIMECMP, &v)); /* STCE is off */
    hart->menvcfg = RV_ENVCFG_STCE;
    assert_true(rv_csr_read(hart, CSR_STIMECMP, &v));
    hart->mcounteren = 0;
    assert_false(rv_csr_read(hart, CSR_STIMECMP, &v));

    assert_false(rv_csr_read(hart, CSR_SENVCFG, &v));
    assert_false(rv_csr_read(hart, 0x10c, &v));
    hart->mstateen[0] = RV_STATEEN_ENVCFG;
    assert_true(rv_csr_read(hart, CSR_SENVCFG, &v));
    hart->mstateen[0] = RV_STATEEN_SE;
    assert_true(rv_csr_read(hart, 0x10c, &v));

    assert_true(rv_csr_read(hart, CSR_SATP, &v));
    hart->mstatus = RV_MSTATUS_TVM;
    assert_false(rv_csr_read(hart, CSR_SATP, &v));

    hart->mseccfg = RV_MSECCFG_USEED;
    assert_false(rv_csr_write(hart, CSR_SEED, 0));
    hart->mseccfg = RV_MSECCFG_SSEED;
    assert_true(rv_csr_write(hart, CSR_SEED, 0));
    hart->priv = RV_U;
    assert_false(rv_csr_write(hart, CSR_SEED, 0));
    hart->priv = RV_M;
    v = get(hart, CSR_SEED);
    assert_int_equal(v >> 30, 2);               /* ES16 */
    assert_false(rv_csr_read(hart, 0x3a1, &v)); /* odd pmpcfg: RV32 only */
}

/* One CSR instruction, as the engine would run it. */
static bool csr_insn(struct rv_hart *hart, unsigned csr, unsigned funct3, unsigned rs1, unsigned rd)
{
    struct vr_ir ir = {.op = VR_IR_helper_end,
                       .c = RV_H_CSR,
                       .d = rd ? (uint8_t)rd : VR_SLOT_SINK,
                       .a = funct3 & 4 ? 0 : (uint8_t)rs1,
                       .imm = csr << 20 | rs1 << 15 | funct3 << 12 | rd << 7 | 0x73};
    return rv_helpers[RV_H_CSR](&hart->cpu, &ir);
}

static void csr_instructions(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    uint64_t *x = hart->cpu.r;

    x[5] = 0xff00;
    assert_true(csr_insn(hart, 0x340, 1, 5, 6)); /* mscratch: swap */
    assert_int_equal(x[6], 0);
    x[5] = 0x0ff0;
    assert_true(csr_insn(hart, 0x340, 2, 5, 5)); /* set, rd = rs1 */
    assert_int_equal(x[5], 0xff00);
    assert_int_equal(hart->mscratch, 0xfff0);
    assert_true(csr_insn(hart, 0x340, 7, 0x10, 6)); /* clear immediate */
    assert_int_equal(x[6], 0xfff0);
    assert_int_equal(hart->mscratch, 0xffe0);
    assert_true(csr_insn(hart, 0x340, 5, 9, 0));
    assert_int_equal(hart->mscratch, 9);
    assert_int_equal(x[0], 0);

    assert_true(csr_insn(hart, 0xf14, 2, 0, 7)); /* reading a read-only one */
    assert_int_equal(x[7], 3);
    hart->cpu.pc = 0x1234;
    assert_false(csr_insn(hart, 0xf14, 1, 0, 0)); /* csrw to it: illegal, even of x0 */
    assert_int_equal(hart->mcause, RV_CAUSE_ILLEGAL);
    assert_int_equal(hart->mepc, 0x1234);
    assert_int_equal(hart->mtval, 0xf1401073);
    assert_false(csr_insn(hart, 0xf14, 6, 1, 0));
    assert_false(csr_insn(hart, CSR_SEED, 2, 0, 5)); /* seed must be written */
    assert_true(csr_insn(hart, CSR_SEED, 1, 0, 5));

    /* Set and clear of mip leave the wire's part of SEIP out. */
    rv_hart_irq(hart, RV_SEI, true);
    x[5] = 0x2;
    assert_true(csr_insn(hart, CSR_MIP, 2, 5, 6));
    assert_int_equal(x[6], 0x200);
    assert_int_equal(hart->mip_soft, 2);
    x[5] = 0x200;
    assert_true(csr_insn(hart, CSR_MIP, 2, 5, 6));
    rv_hart_irq(hart, RV_SEI, false);
    assert_int_equal(get(hart, CSR_MIP), 0x202);
    assert_true(csr_insn(hart, CSR_MIP, 3, 5, 6));
    assert_int_equal(get(hart, CSR_MIP), 2);
}

static void counters(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    hart->cpu.icount = 1001; /* 1000 retired before this one */
    set(hart, 0xb02, 50);
    hart->cpu.icount = 1002;
    assert_int_equal(get(hart, 0xb02), 50); /* the next instruction reads what was written */
    hart->cpu.icount = 1012;
    assert_int_equal(get(hart, 0xb02), 60);
    set(hart, 0x320, 4); /* IR stands, this instruction still counts */
    hart->cpu.icount = 2000;
    assert_int_equal(get(hart, 0xb02), 61);
    assert_int_equal(get(hart, 0xb00), 1999);
    set(hart, 0xb02, 7);
    assert_int_equal(get(hart, 0xb02), 7);
    set(hart, 0x320, 0);
    hart->cpu.icount = 2001;
    assert_int_equal(get(hart, 0xb02), 7);
    hart->cpu.icount = 2002;
    assert_int_equal(get(hart, 0xb02), 8);
}

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

/* --- PMP --- */

/* The rule of the manual, byte by byte. */
static uint8_t pmp_model(const struct rv_hart *h, uint64_t gpa, uint64_t len, unsigned priv)
{
    for (unsigned i = 0; i < RV_PMP_COUNT; i++) {
        uint64_t addr = h->pmpaddr[i];
        unsigned cfg = h->pmpcfg[i], matched = 0;
        for (uint64_t a = gpa; a < gpa + len; a++) {
            bool in = false;
            switch (cfg >> 3 & 3) {
            case 1:
                in = a >= (i ? h->pmpaddr[i - 1] << 2 : 0) && a < addr << 2;
                break;
            case 2:
                in = a >> 2 == addr;
                break;
            case 3: {
                unsigned ones = 0;
                while (addr >> ones & 1) {
                    ones++;
                }
                in = a >> (ones + 3) == addr << 2 >> (ones + 3);
                break;
            }
            default:
                break;
            }
            matched += in;
        }
        if (matched && matched != len) {
            return 0;
        }
        if (matched) {
            return priv == RV_M && !(cfg & 0x80) ? 7 : (uint8_t)((cfg & 1) | (cfg & 2) | (cfg & 4));
        }
    }
    return priv == RV_M ? 7 : 0;
}

static void pmp_by_the_book(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    for (unsigned n = 0; n < 3000; n++) {
        for (unsigned i = 0; i < RV_PMP_COUNT; i++) {
            h->pmpcfg[i] = rnd(f) % 3 ? 0 : rnd(f) & 0x9f;
            h->pmpaddr[i] = rnd(f) & 0x3f;
        }
        rv_pmp_update(h);
        for (unsigned k = 0; k < 20; k++) {
            uint64_t len = UINT64_C(1) << rnd(f) % 5, gpa = rnd(f) & 0xff & ~(len - 1);
            unsigned priv = rnd(f) % 2 ? RV_M : RV_S;
            uint8_t want = pmp_model(h, gpa, len, priv);
            uint8_t have = rv_pmp_rights(h, gpa, len, (enum rv_priv)priv);
            if (want != have) { /* R W X are 1 2 4 in both */
                fail_msg("[%llx, +%llu) in mode %u: %u, should be %u", (unsigned long long)gpa,
                         (unsigned long long)len, priv, have, want);
            }
        }
    }
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R; /* all of memory */
    h->pmpaddr[0] = vr_mask(54);
    rv_pmp_update(h);
    assert_int_equal(rv_pmp_rights(h, vr_mask(56) - 7, 8, RV_S), 1);
}

/* --- Page walks --- */

enum { V = 1, R = 2, W = 4, X = 8, U = 16, G = 32, A = 64, D = 128 };

static void put_pte(struct fixture *f, uint64_t gpa, uint64_t pte)
{
    vr_store_le64(f->ram->hva + (gpa - RAM_BASE), pte);
}

static uint64_t get_pte(struct fixture *f, uint64_t gpa)
{
    return vr_load_le64(f->ram->hva + (gpa - RAM_BASE));
}

/* Tables for va 0 with the leaf @pte at @level; returns where it stands. */
static uint64_t map_zero(struct fixture *f, unsigned levels, unsigned level, uint64_t pte)
{
    uint64_t table = RAM_BASE;
    memset(f->ram->hva, 0, 0x6000);
    for (unsigned l = levels - 1; l > level; l--, table += 0x1000) {
        put_pte(f, table, (table + 0x1000) >> 12 << 10 | V);
    }
    put_pte(f, table, pte);
    set(f->hart, CSR_SATP, (uint64_t)(levels + 5) << 60 | RAM_BASE >> 12);
    return table;
}

static void open_pmp(struct rv_hart *h)
{
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_W | RV_PMP_X;
    h->pmpaddr[0] = vr_mask(54);
    rv_pmp_update(h);
}

#define PPN(gpa) ((uint64_t)(gpa) >> 12 << 10)

static void leaves(void **state)
{
    static const struct {
        uint64_t pte;
        unsigned level;
        uint8_t priv, access;
        uint64_t mstatus, menvcfg;
        enum rv_walk want;
    } cases[] = {
        {V | R | A | D, 0, RV_S, VR_READ, 0, 0, RV_WALK_OK},
        {V | R | A | D, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE},
        {V | R | A | D, 0, RV_S, VR_EXEC, 0, 0, RV_WALK_PAGE},
        {V | R | A | D, 0, RV_U, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | W | A | D, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_OK},
        {V | W | A | D, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE}, /* reserved */
        {V | W | X | A | D, 0, RV_S, VR_EXEC, 0, 0, RV_WALK_PAGE},
        {R | W | A | D, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* not valid */
        {V | X | A, 0, RV_S, VR_EXEC, 0, 0, RV_WALK_OK},
        {V | X | A, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | X | A, 0, RV_S, VR_READ, RV_MSTATUS_MXR, 0, RV_WALK_OK},
        {V | R | X | U | A, 0, RV_U, VR_EXEC, 0, 0, RV_WALK_OK},
        {V | R | X | U | A, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | X | U | A, 0, RV_S, VR_READ, RV_MSTATUS_SUM, 0, RV_WALK_OK},
        {V | R | X | U | A, 0, RV_S, VR_EXEC, RV_MSTATUS_SUM, 0, RV_WALK_PAGE},
        {V | R | W, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* Svade */
        {V | R | W | A, 0, RV_S, VR_READ, 0, 0, RV_WALK_OK},
        {V | R | W | A, 0, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE},
        {V | R | W, 0, RV_S, VR_READ, 0, RV_ENVCFG_ADUE, RV_WALK_OK},
        {V | R | W, 0, RV_S, VR_WRITE, 0, RV_ENVCFG_ADUE, RV_WALK_OK},
        {V | R | W | A | D, 1, RV_S, VR_WRITE, 0, 0, RV_WALK_OK},
        {V | R | W | A | D | 1 << 10, 1, RV_S, VR_WRITE, 0, 0, RV_WALK_PAGE}, /* out of line */
        {V | R | A | D | RV_BIT(54), 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},   /* reserved bits */
        {V | R | A | D | RV_BIT(60), 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | A | D | RV_BIT(61), 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* PBMT is off */
        {V | R | A | D | RV_BIT(61), 0, RV_S, VR_READ, 0, RV_ENVCFG_PBMTE, RV_WALK_OK},
        {V | R | A | D | RV_BIT(62), 0, RV_S, VR_READ, 0, RV_ENVCFG_PBMTE, RV_WALK_OK},
        {V | R | A | D | RV_BIT(61) | RV_BIT(62), 0, RV_S, VR_READ, 0, RV_ENVCFG_PBMTE,
         RV_WALK_PAGE},
        {V | R | A | D | RV_BIT(63) | 8 << 10, 0, RV_S, VR_READ, 0, 0, RV_WALK_OK}, /* 64 KiB */
        {V | R | A | D | RV_BIT(63) | 4 << 10, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | R | A | D | RV_BIT(63) | UINT64_C(8) << 19, 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V, 0, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* a pointer where a leaf is due */
        {V | U | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE}, /* bits of a leaf */
        {V | A | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | D | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | RV_BIT(63) | PPN(RAM_BASE + 0x5000), 1, RV_S, VR_READ, 0, 0, RV_WALK_PAGE},
        {V | PPN(0x1000), 1, RV_S, VR_READ, 0, 0, RV_WALK_ACCESS}, /* a table where nothing is */
    };
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    for (unsigned levels = 3; levels <= 5; levels++) {
        for (unsigned i = 0; i < VR_COUNT(cases); i++) {
            struct vr_xlate x;
            h->priv = RV_M;
            h->mstatus = cases[i].mstatus;
            h->menvcfg = cases[i].menvcfg;
            open_pmp(h);
            uint64_t at = map_zero(f, levels, cases[i].level, cases[i].pte);
            h->priv = cases[i].priv;
            enum rv_walk r = rv_walk(h, 0x123, 4, (enum vr_access)cases[i].access, &x);
            if (r != cases[i].want) {
                fail_msg("case %u, %u levels: %d, should be %d", i, levels, r, cases[i].want);
            }
            uint64_t after = get_pte(f, at);
            if (r == RV_WALK_OK) {
                assert_int_equal(x.gpa & 0xfff, 0x123);
                assert_true(x.prot >> cases[i].access & 1);
                assert_true(x.cacheable);
                assert_int_equal(!!(x.prot & 1 << VR_WRITE), (after & W) && (after & D));
                assert_int_equal(after, cases[i].pte | A | (cases[i].access == VR_WRITE ? D : 0));
            } else {
                assert_int_equal(after, cases[i].pte);
            }
        }
    }
}

static void addresses(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    struct vr_xlate x;
    open_pmp(h);
    /* A leaf at the top covers va 0 up to its size; what lies beyond is out of line or not
     * canonical. */
    for (unsigned levels = 3; levels <= 5; levels++) {
        unsigned bits = 12 + 9 * levels;
        h->priv = RV_M;
        map_zero(f, levels, levels - 1, V | R | A);
        h->priv = RV_S;
        uint64_t last = (UINT64_C(1) << (bits - 9)) - 8;
        assert_int_equal(rv_walk(h, last, 8, VR_READ, &x), RV_WALK_OK);
        assert_int_equal(x.gpa, last);
        assert_int_equal(x.page_bytes, UINT64_C(1) << (bits - 9));
        assert_int_equal(rv_walk(h, last + 8, 8, VR_READ, &x), RV_WALK_PAGE);
        assert_int_equal(rv_walk(h, UINT64_C(1) << (bits - 1), 8, VR_READ, &x), RV_WALK_PAGE);
        assert_int_equal(rv_walk(h, UINT64_C(1) << bits, 8, VR_READ, &x), RV_WALK_PAGE);
        assert_int_equal(rv_walk(h, RV_BIT(63), 8, VR_READ, &x), RV_WALK_PAGE);
        /* The upper half, through the last entry of the root. */
        put_pte(f, RAM_BASE + 511 * 8, V | R | A);
        assert_int_equal(rv_walk(h, UINT64_MAX - 7, 8, VR_READ, &x), RV_WALK_OK);
        assert_int_equal(x.gpa, last);
    }
    /* The 64 KiB of a NAPOT leaf: the low bits of its number say only how large it is. */
    h->priv = RV_M;
    uint64_t at = map_zero(f, 3, 0, V | R | A | RV_BIT(63) | (PPN(RAM_BASE + 0x40000) | 8 << 10));
    h->priv = RV_S;
    assert_int_equal(rv_walk(h, 0x18, 8, VR_READ, &x), RV_WALK_OK);
    assert_int_equal(x.gpa, RAM_BASE + 0x40018);
    assert_int_equal(x.page_bytes, 0x10000);
    for (unsigned i = 1; i < 16; i++) {
        put_pte(f, at + 8 * i, get_pte(f, at));
    }
    assert_int_equal(rv_walk(h, 0xf018, 8, VR_READ, &x), RV_WALK_OK);
    assert_int_equal(x.gpa, RAM_BASE + 0x4f018);
}

static void walks_are_checked_by_pmp(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    struct vr_xlate x;
    uint64_t page = RAM_BASE + 0x8000;
    /* Entry 0: half a page, read only. Entry 1: the tables. Entry 2: everything. */
    h->pmpaddr[0] = (page >> 2) | 0xff;
    h->pmpcfg[0] = RV_PMP_A_NAPOT | RV_PMP_R;
    h->pmpaddr[2] = vr_mask(54);
    h->pmpcfg[2] = RV_PMP_A_NAPOT | RV_PMP_R | RV_PMP_W | RV_PMP_X;
    rv_pmp_update(h);
    map_zero(f, 3, 0, V | R | W | X | A | D | PPN(page));
    h->priv = RV_S;
    assert_int_equal(rv_walk(h, 0x10, 8, VR_READ, &x), RV_WALK_OK);
    assert_false(x.cacheable); /* the page has two kinds of rights */
    assert_int_equal(x.prot, 1 << VR_READ);
    assert_int_equal(rv_walk(h, 0x10, 8, VR_WRITE, &x), RV_WALK_ACCESS);
    assert_int_equal(rv_walk(h, 0x800, 8, VR_WRITE, &x), RV_WALK_OK);
    assert_int_equal(rv_walk(h, 0x7fc, 8, VR_READ, &x), RV_WALK_ACCESS); /* across the border */
    h->pmpaddr[1] = (RAM_BASE >> 2) | 0x1ff;
    h->pmpcfg[1] = RV_PMP_A_NAPOT; /* the root page: nothing */
    rv_pmp_update(h);
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_ACCESS);
    h->pmpcfg[1] = RV_PMP_A_NAPOT | RV_PMP_R;
    rv_pmp_update(h);
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_OK);
    /* Setting A needs the right to write the leaf's table. */
    h->priv = RV_M;
    h->menvcfg = RV_ENVCFG_ADUE;
    uint64_t at = map_zero(f, 3, 2, V | R | W);
    h->priv = RV_S;
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_ACCESS);
    assert_int_equal(get_pte(f, at), V | R | W);
    /* M-mode sees no translation, and with MPRV that of MPP. */
    h->priv = RV_M;
    h->mstatus = RV_MSTATUS_MPRV | (uint64_t)RV_S << RV_MPP_SHIFT;
    assert_int_equal(rv_walk(h, 0x800, 8, VR_READ, &x), RV_WALK_ACCESS);
    assert_int_equal(rv_walk(h, 0x800, 2, VR_EXEC, &x), RV_WALK_OK);
    assert_int_equal(x.gpa, 0x800);
}

/* Contexts: an address space keeps its number, a fence changes it, and running out starts over. */
static void contexts(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *h = f->hart;
    h->priv = RV_S;
    set(h, CSR_SATP, UINT64_C(8) << 60 | UINT64_C(1) << 44);
    uint64_t one = h->cpu.dctx;
    set(h, CSR_SATP, UINT64_C(8) << 60 | UINT64_C(2) << 44);
    uint64_t two = h->cpu.dctx;
    assert_true(one != two && one > 1 && two > 1);
    set(h, CSR_SATP, UINT64_C(8) << 60 | UINT64_C(1) << 44);
    assert_int_equal(h->cpu.dctx, one);
    rv_fence_asid(h, 2);
    assert_int_equal(h->cpu.dctx, one);
    rv_fence_asid(h, 1);
    assert_true(h->cpu.dctx != one && h->cpu.dctx != two);
    rv_set_priv(h, RV_M);
    assert_int_equal(h->cpu.dctx, 1);
    rv_set_priv(h, RV_U);
    assert_true(h->cpu.dctx > 1);
    for (unsigned i = 0; i < 10000; i++) {
        uint64_t before = h->cpu.dctx;
        rv_fence_all(h);
        assert_true(h->cpu.dctx != before);
        assert_true(h->cpu.dctx > 1 && h->cpu.dctx < 4096);
    }
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
    for (unsigned i = 0; i < 6; i++) {
        uint64_t satp = a->satp, mstatus = a->mstatus;
        vr_snap_init(&snap);
        a->satp = i == 0 ? UINT64_C(15) << 60 : i == 1 ? UINT64_C(1) << 60 : satp;
        a->priv = i == 2 ? 2 : RV_S;
        a->mstatus = i == 3 ? UINT64_C(2) << RV_MPP_SHIFT : mstatus;
        a->pmpaddr[3] = i == 4 ? UINT64_MAX : 0;
        a->cpu.pc |= i == 5;
        assert_int_equal(a->cpu.vcpu.ops->save(&a->cpu.vcpu, &snap, &err), 0);
        assert_int_equal(b->cpu.vcpu.ops->load(&b->cpu.vcpu, &snap, &err), -ERANGE);
        assert_int_equal(b->priv, RV_M); /* as after reset */
        a->satp = satp;
        a->priv = RV_S;
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

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(csr_fields_hold_what_they_may),
        T(csr_numbers_rule_access),
        T(csr_conditions),
        T(csr_instructions),
        T(counters),
        T(exceptions_by_the_book),
        T(interrupts_by_the_book),
        T(returns),
        T(timer_follows_the_clock),
        T(pmp_by_the_book),
        T(leaves),
        T(addresses),
        T(walks_are_checked_by_pmp),
        T(contexts),
        T(every_byte_is_declared),
        T(snapshots),
        T(names),
        T(bad_configs_are_refused),
        T(programs_run),
    };
    return cmocka_run_group_tests_name("rv_hart", tests, NULL, NULL);
}
