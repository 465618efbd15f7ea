/* Smaia, Ssaia: which interrupt is next, virtual interrupts, and the way to an interrupt file. */
#include "rv_fixture.h"

enum {
    CSR_SISELECT = 0x150,
    CSR_SIREG = 0x151,
    CSR_STOPEI = 0x15c,
    CSR_MVIEN = 0x308,
    CSR_MVIP = 0x309,
    CSR_MISELECT = 0x350,
    CSR_MIREG = 0x351,
    CSR_MTOPEI = 0x35c,
    CSR_STOPI = 0xdb0,
    CSR_MTOPI = 0xfb0,
    IPRIO0 = 0x30,
    IPRIO2 = 0x32,
    SSIP = 1 << RV_SSI,
    STIP = 1 << RV_STI,
    SEIP = 1 << RV_SEI,
    MSIP = 1 << RV_MSI,
    MTIP = 1 << RV_MTI,
    MEIP = 1 << RV_MEI,
};

/* An interrupt file that remembers how it was used. */
struct file {
    uint32_t top;
    unsigned claims, uses, sel;
    uint64_t reg, mask, val;
};

static uint32_t file_top(void *chip, unsigned index, bool claim)
{
    struct file *f = &((struct file *)chip)[index];
    uint32_t top = f->top;
    if (claim) {
        f->claims++;
        f->top = 0;
    }
    return top;
}

static bool file_reg(void *chip, unsigned index, unsigned sel, uint64_t mask, uint64_t val,
                     uint64_t *ret_old)
{
    struct file *f = &((struct file *)chip)[index];
    f->uses++;
    f->sel = sel;
    f->mask = mask;
    f->val = val;
    *ret_old = f->reg;
    f->reg = (f->reg & ~mask) | (val & mask);
    return true;
}

/* files[0] at M, files[1] at S. */
static void connect(struct rv_hart *hart, struct file files[2], bool imsic)
{
    for (unsigned i = 0; i < 2; i++) {
        struct vr_irq_file f = {
            .chip = files, .index = i, .top = file_top, .reg = imsic ? file_reg : NULL};
        rv_hart_set_irq_file(hart, i ? RV_S : RV_M, &f);
    }
}

static uint64_t topi(unsigned irq, unsigned priority)
{
    return irq << 16 | priority;
}

/* One CSR instruction, as the engine would run it: op 1 swaps, 2 sets, 3 clears. */
static bool csr_insn(struct rv_hart *hart, unsigned csr, unsigned op, unsigned rs1, unsigned rd)
{
    struct vr_ir ir = {.op = VR_IR_helper_end,
                       .c = RV_H_CSR,
                       .d = rd ? (uint8_t)rd : VR_SLOT_SINK,
                       .a = (uint8_t)rs1,
                       .imm = csr << 20 | rs1 << 15 | op << 12 | rd << 7 | 0x73};
    return rv_helpers[RV_H_CSR](&hart->cpu, &ir);
}

static bool readable(struct rv_hart *hart, unsigned csr)
{
    uint64_t v;
    return rv_csr_read(hart, csr, &v);
}

/* --- mtopi, stopi --- */

static void top_by_default(void **state)
{
    static const uint8_t order[] = {RV_MEI, RV_MSI, RV_MTI, RV_SEI, RV_SSI, RV_STI};
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    struct file files[2] = {{.top = 7 << 16 | 7}, {.top = 255 << 16 | 255}};
    connect(hart, files, true);
    assert_int_equal(get(hart, CSR_MTOPI), 0);
    set(hart, CSR_MIE, 0xaaa);
    for (unsigned i = 6; i-- > 0;) {
        if (order[i] == RV_SSI) {
            set(hart, CSR_MIP, SSIP);
        } else {
            rv_hart_irq(hart, order[i], true);
        }
        assert_int_equal(get(hart, CSR_MTOPI), topi(order[i], order[i] == RV_MEI ? 7 : 255));
    }
    assert_int_equal(get(hart, CSR_STOPI), 0); /* nothing is delegated */
    set(hart, CSR_MIDELEG, 0x222);
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SEI, 255));
    rv_hart_irq(hart, RV_SEI, false);
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SSI, 255));
    set(hart, CSR_MIP, 0);
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_STI, 255));
    set(hart, CSR_SIE, 0);
    assert_int_equal(get(hart, CSR_STOPI), 0);
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_MEI, 7));
    /* mstatus.MIE is no matter; an interrupt file that has nothing left is the last of all. */
    files[0].top = 0;
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_MEI, 255));
}

static void iprio_fields(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    for (unsigned sel = IPRIO0; sel <= 0x3f; sel++) {
        set(hart, CSR_MISELECT, sel);
        set(hart, CSR_SISELECT, sel);
        assert_int_equal(readable(hart, CSR_MIREG), sel % 2 == 0);
        assert_int_equal(readable(hart, CSR_SIREG), sel % 2 == 0);
        if (sel % 2 == 0) {
            set(hart, CSR_MIREG, UINT64_MAX);
            set(hart, CSR_SIREG, UINT64_MAX);
            assert_int_equal(get(hart, CSR_MIREG), sel == IPRIO0   ? 0xff00ff00ff00ff00
                                                   : sel == IPRIO2 ? 0xff00
                                                                   : 0);
            assert_int_equal(get(hart, CSR_SIREG), 0); /* nothing of it reaches S */
        }
    }
    set(hart, CSR_MIDELEG, SSIP | SEIP);
    set(hart, CSR_SISELECT, IPRIO0);
    set(hart, CSR_SIREG, UINT64_MAX);
    assert_int_equal(get(hart, CSR_SIREG), 0xff00);
    set(hart, CSR_SISELECT, IPRIO2);
    set(hart, CSR_SIREG, UINT64_MAX);
    assert_int_equal(get(hart, CSR_SIREG), 0); /* SEI has its controller's */
    /* No register there without an interrupt file, nor between. */
    static const uint16_t none[] = {0, 0x2f, 0x40, 0x6f, 0x70, 0x72, 0x80, 0xc0, 0x100, 0x1ff};
    for (unsigned i = 0; i < VR_COUNT(none); i++) {
        set(hart, CSR_MISELECT, none[i]);
        set(hart, CSR_SISELECT, none[i]);
        assert_int_equal(get(hart, CSR_MISELECT), none[i]);
        assert_false(readable(hart, CSR_MIREG) || readable(hart, CSR_SIREG));
    }
    set(hart, CSR_MISELECT, UINT64_MAX);
    assert_int_equal(get(hart, CSR_MISELECT), 0x1ff);
    /* An instruction changes the bits that it names. */
    set(hart, CSR_MISELECT, IPRIO0);
    hart->cpu.r[5] = 0x0f00;
    assert_true(csr_insn(hart, CSR_MIREG, 3, 5, 6));
    assert_int_equal(hart->cpu.r[6], 0xff00ff00ff00ff00);
    assert_int_equal(get(hart, CSR_MIREG), 0xff00ff00ff00f000);
    assert_true(rv_csr_legal(hart));
}

/* 5.2.1: numbers mix with those of external interrupts; equal ones are in the default order. */
static void priorities_rule(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    struct file files[2] = {{.top = 50 << 16 | 50}, {.top = 60 << 16 | 60}};
    connect(hart, files, true);
    set(hart, CSR_MIE, 0xaaa);
    set(hart, CSR_MIDELEG, SSIP | STIP | SEIP);
    rv_hart_irq(hart, RV_MEI, true);
    rv_hart_irq(hart, RV_MTI, true);
    rv_hart_irq(hart, RV_MSI, true);
    set(hart, CSR_MISELECT, IPRIO0);
    set(hart, CSR_MIREG, UINT64_C(51) << 8 * RV_MTI);
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_MEI, 50));
    set(hart, CSR_MIREG, UINT64_C(50) << 8 * RV_MTI);
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_MEI, 50));
    set(hart, CSR_MIREG, UINT64_C(49) << 8 * RV_MTI);
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_MTI, 49));
    set(hart, CSR_MIREG, UINT64_C(49) << 8 * RV_MTI | UINT64_C(49) << 8 * RV_MSI);
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_MSI, 49));
    /* Taken in that order. */
    hart->priv = RV_S;
    assert_true(rv_interrupt(hart));
    assert_int_equal(hart->mcause, RV_CAUSE_INTERRUPT | RV_MSI);
    /* At S: an SEI that the controller knows nothing of comes after all that have a number. */
    rv_hart_irq(hart, RV_SEI, true);
    hart->mip_soft = SSIP;
    hart->iprio_s[RV_SSI] = 255;
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SEI, 60));
    files[1].top = 0;
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SSI, 255));
    hart->iprio_s[RV_SSI] = 0;
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SEI, 255));
    /* Numbers of one level mean nothing at the other. */
    hart->iprio_m[RV_SSI] = 1;
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SEI, 255));
    hart->iprio_m[RV_SSI] = 0;
    hart->priv = RV_S;
    hart->mstatus |= RV_MSTATUS_SIE;
    rv_hart_irq(hart, RV_MEI, false);
    rv_hart_irq(hart, RV_MTI, false);
    rv_hart_irq(hart, RV_MSI, false);
    assert_true(rv_interrupt(hart));
    assert_int_equal(hart->scause, RV_CAUSE_INTERRUPT | RV_SEI);
}

/* --- mvien, mvip --- */

static void virtual_interrupts(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    set(hart, CSR_MVIEN, UINT64_MAX);
    assert_int_equal(get(hart, CSR_MVIEN), SSIP | SEIP);
    set(hart, CSR_MVIEN, 0);
    /* Off: mvip is another view of mip; STIP only while software sets it. */
    set(hart, CSR_MVIP, UINT64_MAX);
    assert_int_equal(get(hart, CSR_MVIP), SSIP | STIP | SEIP);
    assert_int_equal(get(hart, CSR_MIP), SSIP | STIP | SEIP);
    set(hart, CSR_MENVCFG, RV_ENVCFG_STCE);
    hart->stimecmp = UINT64_MAX;
    rv_timer_update(hart);
    assert_int_equal(get(hart, CSR_MVIP), SSIP | SEIP);
    set(hart, CSR_MVIP, 0);
    assert_int_equal(get(hart, CSR_MIP), 0);
    set(hart, CSR_MIP, SEIP);
    assert_int_equal(get(hart, CSR_MVIP), SEIP);
    set(hart, CSR_MENVCFG, 0);
    set(hart, CSR_MIP, 0);

    /* On, and not delegated: S sees mvip, and an enable bit of its own. */
    set(hart, CSR_MVIEN, SSIP | SEIP);
    set(hart, CSR_MVIP, SSIP | SEIP);
    assert_int_equal(get(hart, CSR_MIP), 0);
    assert_int_equal(get(hart, CSR_SIP), SSIP | SEIP);
    set(hart, CSR_SIE, UINT64_MAX);
    assert_int_equal(get(hart, CSR_SIE), SSIP | SEIP);
    assert_int_equal(get(hart, CSR_MIE), 0);
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SEI, 255));
    assert_int_equal(get(hart, CSR_MTOPI), 0);
    /* mip.SEIP is the wire alone, and software's writes are ignored. */
    set(hart, CSR_MIP, SEIP | SSIP);
    assert_int_equal(get(hart, CSR_MIP), SSIP);
    rv_hart_irq(hart, RV_SEI, true);
    assert_int_equal(get(hart, CSR_MIP), SSIP | SEIP);
    set(hart, CSR_MVIP, 0);
    assert_int_equal(get(hart, CSR_MIP), SSIP | SEIP);
    assert_int_equal(get(hart, CSR_SIP), 0);
    /* S may take its software interrupt back, and not the external one. */
    set(hart, CSR_MVIP, SSIP | SEIP);
    set(hart, CSR_SIP, 0);
    assert_int_equal(get(hart, CSR_MVIP), SEIP);
    assert_int_equal(get(hart, CSR_MIP), SSIP | SEIP);
    /* Trapped by M, and S interrupted besides. */
    set(hart, CSR_MIE, SEIP);
    assert_int_equal(get(hart, CSR_MTOPI), topi(RV_SEI, 255));
    assert_int_equal(get(hart, CSR_STOPI), topi(RV_SEI, 255));
    hart->priv = RV_U;
    assert_true(rv_interrupt(hart));
    assert_int_equal(hart->mcause, RV_CAUSE_INTERRUPT | RV_SEI);
    rv_hart_irq(hart, RV_SEI, false);
    hart->priv = RV_U;
    assert_true(rv_interrupt(hart));
    assert_int_equal(hart->scause, RV_CAUSE_INTERRUPT | RV_SEI);
    assert_int_equal(hart->priv, RV_S);
    /* Delegated: mip and mie again. */
    hart->priv = RV_M;
    set(hart, CSR_MIDELEG, SEIP);
    set(hart, CSR_MIE, 0);
    assert_int_equal(get(hart, CSR_SIP), 0);
    assert_int_equal(get(hart, CSR_SIE), SSIP); /* this one still is virtual */
    assert_true(rv_csr_legal(hart));
}

/* WFI and SBI's suspend go on for what S is due by mvien alone. */
static void virtual_interrupt_is_noticed(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    set(hart, CSR_MVIEN, SSIP);
    hart->sie_own = SSIP;
    hart->priv = RV_S;
    hart->mstatus |= RV_MSTATUS_SIE;
    atomic_store(&hart->cpu.vcpu.attention, false);
    rv_set_mvip(hart, SSIP);
    assert_true(atomic_load(&hart->cpu.vcpu.attention));
    atomic_store(&hart->cpu.vcpu.attention, false);
    struct vr_ir ir = {.op = VR_IR_helper, .c = RV_H_WFI, .imm = 0x10500073};
    assert_true(rv_helpers[RV_H_WFI](&hart->cpu, &ir)); /* it would sleep for ever */
    atomic_store(&hart->hsm, RV_HSM_SUSPENDED);
    rv_attention(&hart->cpu);
    assert_int_equal(atomic_load(&hart->hsm), RV_HSM_STARTED);
    assert_int_equal(hart->scause, RV_CAUSE_INTERRUPT | RV_SSI);
}

/* --- The interrupt file --- */

static void file_registers(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    struct file files[2] = {{.reg = 0x11}, {.reg = 0x22}};
    assert_false(readable(hart, CSR_MTOPEI) || readable(hart, CSR_STOPEI));
    connect(hart, files, false); /* an APLIC: priorities, and no interrupt file */
    assert_false(readable(hart, CSR_MTOPEI) || readable(hart, CSR_STOPEI));
    set(hart, CSR_MISELECT, 0x70);
    assert_false(readable(hart, CSR_MIREG));
    connect(hart, files, true);
    for (unsigned sel = 0; sel < 0x200; sel++) {
        bool is = (sel >= 0x70 && sel <= 0xff && (sel < 0x80 || sel % 2 == 0)) ||
                  (sel >= 0x30 && sel <= 0x3f && sel % 2 == 0);
        set(hart, CSR_MISELECT, sel);
        set(hart, CSR_SISELECT, sel);
        assert_int_equal(readable(hart, CSR_MIREG), is);
        assert_int_equal(readable(hart, CSR_SIREG), is);
    }
    set(hart, CSR_MISELECT, 0x80);
    set(hart, CSR_SISELECT, 0xc6);
    hart->cpu.r[5] = 0x30;
    assert_true(csr_insn(hart, CSR_MIREG, 2, 5, 6)); /* one step: old value, bits, new value */
    assert_int_equal(hart->cpu.r[6], 0x11);
    assert_int_equal(files[0].sel, 0x80);
    assert_int_equal(files[0].mask, 0x30);
    assert_int_equal(files[0].reg, 0x31);
    assert_true(csr_insn(hart, CSR_SIREG, 3, 5, 6));
    assert_int_equal(hart->cpu.r[6], 0x22);
    assert_int_equal(files[1].sel, 0xc6);
    assert_int_equal(files[1].reg, 0x02);
    assert_true(csr_insn(hart, CSR_SIREG, 1, 5, 0));
    assert_int_equal(files[1].mask, UINT64_MAX);
    assert_int_equal(files[1].reg, 0x30);
    unsigned uses = files[1].uses;
    assert_true(csr_insn(hart, CSR_SIREG, 2, 0, 6)); /* x0: a read */
    assert_int_equal(files[1].uses, uses + 1);
    assert_int_equal(files[1].mask, 0);
}

static void claim_is_one_step(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    struct file files[2] = {{.top = 3 << 16 | 3}, {.top = 9 << 16 | 9}};
    connect(hart, files, true);
    assert_true(csr_insn(hart, CSR_STOPEI, 2, 0, 6));
    assert_int_equal(hart->cpu.r[6], 9 << 16 | 9);
    assert_int_equal(files[1].claims, 0);
    hart->cpu.r[5] = 0;
    assert_true(csr_insn(hart, CSR_STOPEI, 2, 5, 6)); /* a write, though of no bit */
    assert_int_equal(hart->cpu.r[6], 9 << 16 | 9);
    assert_int_equal(files[1].claims, 1);
    assert_true(csr_insn(hart, CSR_MTOPEI, 1, 0, 6));
    assert_int_equal(hart->cpu.r[6], 3 << 16 | 3);
    assert_int_equal(files[0].claims, 1);
    assert_int_equal(get(hart, CSR_MTOPEI), 0);
}

/* 2.5: three bits of mstateen0; and 5.3: mvien keeps S out of its interrupt file. */
static void who_may(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    struct file files[2] = {{0}};
    set(hart, CSR_MSTATEEN0, UINT64_MAX);
    assert_int_equal(get(hart, CSR_MSTATEEN0), 0xd800000000000000);
    connect(hart, files, true);
    set(hart, CSR_MSTATEEN0, UINT64_MAX);
    assert_int_equal(get(hart, CSR_MSTATEEN0), 0xdc00000000000000);
    for (unsigned bits = 0; bits < 8; bits++) {
        bool imsic = bits & 1, aia = bits & 2, csrind = bits & 4;
        hart->priv = RV_M;
        set(hart, CSR_MSTATEEN0, (uint64_t)bits << 58);
        for (unsigned i = 0; i < 2; i++) {
            hart->priv = i ? RV_S : RV_M;
            assert_int_equal(readable(hart, CSR_STOPI), !i || aia);
            assert_int_equal(readable(hart, CSR_STOPEI), !i || imsic);
            assert_int_equal(readable(hart, CSR_SISELECT), !i || csrind);
            hart->siselect = IPRIO0;
            assert_int_equal(readable(hart, CSR_SIREG), !i || (csrind && aia));
            hart->siselect = 0x70;
            assert_int_equal(readable(hart, CSR_SIREG), !i || (csrind && imsic));
        }
        hart->priv = RV_S;
        assert_false(readable(hart, CSR_MTOPI) || readable(hart, CSR_MTOPEI) ||
                     readable(hart, CSR_MISELECT) || readable(hart, CSR_MIREG) ||
                     readable(hart, CSR_MVIEN) || readable(hart, CSR_MVIP));
        hart->priv = RV_U;
        assert_false(readable(hart, CSR_STOPI) || readable(hart, CSR_STOPEI) ||
                     readable(hart, CSR_SISELECT) || readable(hart, CSR_SIREG));
    }
    hart->priv = RV_M;
    set(hart, CSR_MVIEN, SEIP);
    assert_true(readable(hart, CSR_STOPEI) && readable(hart, CSR_SIREG));
    hart->priv = RV_S;
    assert_false(readable(hart, CSR_STOPEI) || readable(hart, CSR_SIREG));
    hart->siselect = IPRIO0;
    assert_true(readable(hart, CSR_SIREG));
}

static void without_aia(void **state)
{
    static const uint16_t csrs[] = {CSR_SISELECT, CSR_SIREG, CSR_STOPEI,   CSR_STOPI, CSR_MVIEN,
                                    CSR_MVIP,     CSR_MTOPI, CSR_MISELECT, CSR_MIREG, CSR_MTOPEI};
    struct fixture *f = *state;
    struct rv_config config = f->hart->config;
    config.ext &= ~(RV_BIT(RV_EXT_smaia) | RV_BIT(RV_EXT_ssaia));
    use_config(f, &config);
    for (unsigned i = 0; i < VR_COUNT(csrs); i++) {
        assert_false(readable(f->hart, csrs[i]));
    }
    set(f->hart, CSR_MSTATEEN0, UINT64_MAX);
    assert_int_equal(get(f->hart, CSR_MSTATEEN0), 0xc000000000000000);
}

/* --- Snapshots --- */

static void snapshot(void **state)
{
    struct fixture *f = *state;
    struct rv_hart *hart = f->hart;
    struct vr_snap snap;
    set(hart, CSR_MVIEN, SSIP | SEIP);
    set(hart, CSR_MVIP, SSIP);
    set(hart, CSR_SIE, SSIP);
    set(hart, CSR_MISELECT, IPRIO2);
    set(hart, CSR_MIREG, 0x1200);
    set(hart, CSR_SISELECT, IPRIO0);
    set(hart, CSR_SIREG, 0x3400);
    vr_snap_init(&snap);
    assert_int_equal(hart->cpu.vcpu.ops->save(&hart->cpu.vcpu, &snap, NULL), 0);
    struct rv_hart *twin = new_hart(f, &hart->config);
    assert_int_equal(twin->cpu.vcpu.ops->load(&twin->cpu.vcpu, &snap, NULL), 0);
    assert_int_equal(get(twin, CSR_STOPI), topi(RV_SSI, 0x34));
    assert_int_equal(get(twin, CSR_MIREG), 0x1200);
    assert_int_equal(get(twin, CSR_SIREG), 0x3400);
    vr_snap_fini(&snap);
    /* State that no instruction makes is refused. */
    uint64_t *const bad[] = {&hart->mvien, &hart->mvip, &hart->sie_own};
    for (unsigned i = 0; i < VR_COUNT(bad) + 2; i++) {
        uint64_t was = i < VR_COUNT(bad) ? *bad[i] : 0;
        if (i < VR_COUNT(bad)) {
            *bad[i] |= STIP;
        } else {
            (i == VR_COUNT(bad) ? hart->iprio_m : hart->iprio_s)[RV_MEI] = 1;
        }
        vr_snap_init(&snap);
        assert_int_equal(hart->cpu.vcpu.ops->save(&hart->cpu.vcpu, &snap, NULL), 0);
        assert_int_equal(twin->cpu.vcpu.ops->load(&twin->cpu.vcpu, &snap, NULL), -ERANGE);
        vr_snap_fini(&snap);
        if (i < VR_COUNT(bad)) {
            *bad[i] = was;
        } else {
            hart->iprio_m[RV_MEI] = hart->iprio_s[RV_MEI] = 0;
        }
    }
    drop_hart(twin);
}

int main(void)
{
    if (engine_missing()) {
        return 0;
    }
#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(top_by_default),
        T(iprio_fields),
        T(priorities_rule),
        T(virtual_interrupts),
        T(virtual_interrupt_is_noticed),
        T(file_registers),
        T(claim_is_one_step),
        T(who_may),
        T(without_aia),
        T(snapshot),
    };
    return cmocka_run_group_tests_name("rv_aia", tests, NULL, NULL);
}
