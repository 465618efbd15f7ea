/* CSRs: what fields hold, who may use them, what the instructions and the counters do. */
#include "rv_fixture.h"

/* --- CSRs --- */

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
        {CSR_MSTATEEN0, UINT64_MAX, 0xd800000000000000},
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

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(csr_fields_hold_what_they_may),
        T(csr_numbers_rule_access),
        T(csr_conditions),
        T(csr_instructions),
        T(counters),
    };
    return cmocka_run_group_tests_name("rv_csr", tests, NULL, NULL);
}
