/* The APLIC's registers, and what it saves: see aplic.c. Section numbers are the specification's.
 */
#include "dev/irqchip/aplic_priv.h"

enum {
    DOMAINCFG = 0,
    SOURCECFG = 0x4,
    MSIADDRCFG = 0x1bc0,
    SETIP = 0x1c00,
    SETIPNUM = 0x1cdc,
    IN_CLRIP = 0x1d00,
    CLRIPNUM = 0x1ddc,
    SETIE = 0x1e00,
    SETIENUM = 0x1edc,
    CLRIE = 0x1f00,
    CLRIENUM = 0x1fdc,
    SETIPNUM_LE = 0x2000,
    GENMSI = 0x3000,
    TARGET = 0x3004,
    IDC = 0x4000,
    IDC_STRIDE = 32,
    MAP_SOURCES = 1023, /* that the layout has room for */
    MAP_WORDS = 32,
};

/* The bits of word @w that are sources active in @domain. */
static uint32_t aplic_active(const struct aplic *s, unsigned domain, unsigned w)
{
    uint32_t active = 0;
    for (unsigned i = 0; i < 32; i++) {
        active |= (uint32_t)aplic_has(s, domain, w * 32 + i) << i;
    }
    return active;
}

/* --- Registers of a domain --- */

static uint32_t aplic_read_domaincfg(struct aplic *s, unsigned domain, unsigned i)
{
    (void)i;
    return CFG_FIXED | (s->on[domain] ? CFG_IE : 0) | (s->messages[domain] ? CFG_DM : 0);
}

static void aplic_write_domaincfg(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)i;
    aplic_set_mode(s, domain, val & CFG_IE, s->direct && s->msi ? val & CFG_DM : s->msi);
}

static uint32_t aplic_read_sourcecfg(struct aplic *s, unsigned domain, unsigned i)
{
    return i < s->sources ? s->sourcecfg[domain * APLIC_NUMBERS + i + 1] : 0;
}

static void aplic_write_sourcecfg(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    if (i < s->sources) {
        aplic_configure(s, domain, i + 1, val);
    }
}

static uint32_t aplic_read_msiaddrcfg(struct aplic *s, unsigned domain, unsigned i)
{
    (void)domain;
    return s->msiaddr[i];
}

static void aplic_write_msiaddrcfg(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)domain;
    if (s->msi && !(s->msiaddr[MSIADDR_MH] & MSIADDR_LOCKED)) {
        s->msiaddr[i] = val & msiaddr_mask[i];
    }
}

static uint32_t aplic_read_target(struct aplic *s, unsigned domain, unsigned i)
{
    return aplic_has(s, domain, i + 1) ? s->target[i + 1] : 0;
}

static void aplic_write_target(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    if (aplic_has(s, domain, i + 1)) {
        unsigned hart = s->target[i + 1] >> TARGET_HART_SHIFT;
        s->target[i + 1] = aplic_target(s, domain, val);
        if (hart < s->harts) {
            aplic_update_hart(s, domain, hart); /* it may have no reason any more */
        }
        aplic_deliver(s, domain, i + 1);
    }
}

static uint32_t aplic_read_genmsi(struct aplic *s, unsigned domain, unsigned i)
{
    (void)i;
    return s->messages[domain] ? s->genmsi[domain] : 0;
}

static void aplic_write_genmsi(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)i;
    if (s->messages[domain]) {
        s->genmsi[domain] = val & (TARGET_HART | TARGET_EIID);
        aplic_send(s, domain, val >> TARGET_HART_SHIFT, val & TARGET_EIID);
    }
}

/* The words of setip, in_clrip, setie: of the sources active in @domain. */
static uint32_t aplic_word(const struct aplic *s, unsigned domain, const uint32_t *map, unsigned w)
{
    return w < APLIC_WORDS ? map[w] & aplic_active(s, domain, w) : 0;
}

static uint32_t aplic_inputs(const struct aplic *s, unsigned domain, unsigned w)
{
    uint32_t inputs = 0;
    for (unsigned i = 0; i < 32; i++) {
        if (aplic_has(s, domain, w * 32 + i)) {
            inputs |= (uint32_t)aplic_input(s, domain, w * 32 + i) << i;
        }
    }
    return inputs;
}

/* Do @fn to each active source of word @w whose bit is one. */
static void aplic_each(struct aplic *s, unsigned domain, unsigned w, uint32_t bits, bool val,
                       void (*fn)(struct aplic *, unsigned, unsigned, bool))
{
    for (bits &= w < APLIC_WORDS ? aplic_active(s, domain, w) : 0; bits; bits &= bits - 1) {
        fn(s, domain, w * 32 + (unsigned)__builtin_ctz(bits), val);
    }
}

static void aplic_number(struct aplic *s, unsigned domain, uint64_t source, bool val,
                         void (*fn)(struct aplic *, unsigned, unsigned, bool))
{
    if (aplic_has(s, domain, source)) {
        fn(s, domain, (unsigned)source, val);
    }
}

static uint32_t aplic_read_setip(struct aplic *s, unsigned domain, unsigned w)
{
    return aplic_word(s, domain, s->pending, w);
}

static void aplic_write_setip(struct aplic *s, unsigned domain, unsigned w, uint32_t val)
{
    aplic_each(s, domain, w, val, true, aplic_set_pending);
}

static void aplic_write_setipnum(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)i;
    aplic_number(s, domain, val, true, aplic_set_pending);
}

static uint32_t aplic_read_in_clrip(struct aplic *s, unsigned domain, unsigned w)
{
    return w < APLIC_WORDS ? aplic_inputs(s, domain, w) : 0;
}

static void aplic_write_in_clrip(struct aplic *s, unsigned domain, unsigned w, uint32_t val)
{
    aplic_each(s, domain, w, val, false, aplic_set_pending);
}

static void aplic_write_clripnum(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)i;
    aplic_number(s, domain, val, false, aplic_set_pending);
}

static uint32_t aplic_read_setie(struct aplic *s, unsigned domain, unsigned w)
{
    return aplic_word(s, domain, s->enable, w);
}

static void aplic_write_setie(struct aplic *s, unsigned domain, unsigned w, uint32_t val)
{
    aplic_each(s, domain, w, val, true, aplic_set_enable);
}

static void aplic_write_setienum(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)i;
    aplic_number(s, domain, val, true, aplic_set_enable);
}

static void aplic_write_clrie(struct aplic *s, unsigned domain, unsigned w, uint32_t val)
{
    aplic_each(s, domain, w, val, false, aplic_set_enable);
}

static void aplic_write_clrienum(struct aplic *s, unsigned domain, unsigned i, uint32_t val)
{
    (void)i;
    aplic_number(s, domain, val, false, aplic_set_enable);
}

static uint32_t aplic_read_zero(struct aplic *s, unsigned domain, unsigned i)
{
    (void)s;
    (void)domain;
    (void)i;
    return 0;
}

/* --- A hart's interrupt delivery control, 4.8.1 --- */

static uint32_t aplic_read_idelivery(struct aplic *s, unsigned domain, unsigned hart)
{
    return s->delivery[domain * VR_APLIC_HARTS + hart];
}

static void aplic_write_idelivery(struct aplic *s, unsigned domain, unsigned hart, uint32_t val)
{
    if (hart < s->harts && val <= 1) {
        s->delivery[domain * VR_APLIC_HARTS + hart] = val;
        aplic_update_hart(s, domain, hart);
    }
}

static uint32_t aplic_read_iforce(struct aplic *s, unsigned domain, unsigned hart)
{
    return s->force[domain * VR_APLIC_HARTS + hart];
}

static void aplic_write_iforce(struct aplic *s, unsigned domain, unsigned hart, uint32_t val)
{
    if (hart < s->harts && val <= 1) {
        s->force[domain * VR_APLIC_HARTS + hart] = val;
        aplic_update_hart(s, domain, hart);
    }
}

static uint32_t aplic_read_ithreshold(struct aplic *s, unsigned domain, unsigned hart)
{
    return s->threshold[domain * VR_APLIC_HARTS + hart];
}

static void aplic_write_ithreshold(struct aplic *s, unsigned domain, unsigned hart, uint32_t val)
{
    if (hart < s->harts) {
        s->threshold[domain * VR_APLIC_HARTS + hart] = val & TARGET_PRIORITY;
        aplic_update_hart(s, domain, hart);
    }
}

static uint32_t aplic_read_topi(struct aplic *s, unsigned domain, unsigned hart)
{
    return hart < s->harts ? aplic_top(s, domain, hart) : 0;
}

static uint32_t aplic_read_claimi(struct aplic *s, unsigned domain, unsigned hart)
{
    uint32_t top = aplic_read_topi(s, domain, hart);
    unsigned source = top >> 16;
    if (hart >= s->harts) {
        return 0;
    }
    if (!source) {
        s->force[domain * VR_APLIC_HARTS + hart] = false;
    } else {
        aplic_claim(s, domain, source);
    }
    aplic_update_hart(s, domain, hart);
    return top;
}

/* --- Tables --- */

/* Hooks know the register but not the window, so each is made for either domain. */
#define HOOK_READ_OF(name, m, D)                                          \
    static uint64_t aplic_##m##_read_##name(struct vr_dev *d, unsigned i) \
    {                                                                     \
        return aplic_read_##name(APLIC(d), D, i);                         \
    }
#define HOOK_WRITE_OF(name, m, D)                                                    \
    static void aplic_##m##_write_##name(struct vr_dev *d, unsigned i, uint64_t val) \
    {                                                                                \
        aplic_write_##name(APLIC(d), D, i, (uint32_t)val);                           \
    }
#define HOOK_READ(name)  HOOK_READ_OF(name, m, VR_APLIC_M) HOOK_READ_OF(name, s, VR_APLIC_S)
#define HOOK_WRITE(name) HOOK_WRITE_OF(name, m, VR_APLIC_M) HOOK_WRITE_OF(name, s, VR_APLIC_S)
#define HOOKS(name)      HOOK_READ(name) HOOK_WRITE(name)

HOOKS(domaincfg)
HOOKS(sourcecfg)
HOOK_READ_OF(msiaddrcfg, m, VR_APLIC_M)
HOOK_WRITE_OF(msiaddrcfg, m, VR_APLIC_M)
HOOKS(setip)
HOOK_WRITE(setipnum)
HOOKS(in_clrip)
HOOK_WRITE(clripnum)
HOOKS(setie)
HOOK_WRITE(setienum)
HOOK_WRITE(clrie)
HOOK_WRITE(clrienum)
HOOKS(genmsi)
HOOKS(target)
HOOKS(idelivery)
HOOKS(iforce)
HOOKS(ithreshold)
HOOK_READ(topi)
HOOK_READ(claimi)
HOOK_READ(zero)

#define VR_SELF struct aplic
const struct vr_field aplic_fields[] = {
    VR_CONFIG(harts, "how many harts it serves", .def = 1, .min = 1, .max = VR_APLIC_HARTS),
    VR_CONFIG(sources, "interrupt sources, from 1", .def = VR_APLIC_SOURCES, .min = 1,
              .max = VR_APLIC_SOURCES),
    VR_CONFIG(direct, "it can interrupt harts by wires", .def = 1),
    VR_CONFIG(msi, "it can interrupt harts by messages to their IMSICs"),
    VR_STATE_ARRAY(level, "wires that are high, a bit a source"),
    VR_STATE_ARRAY(pending, "sources that ask for service"),
    VR_STATE_ARRAY(enable, "sources that may interrupt"),
    VR_STATE_ARRAY(target, "each source's hart, and priority or identity"),
    VR_STATE_ARRAY(sourcecfg, "each source's mode or delegation: in domain M, then S"),
    VR_STATE_ARRAY(on, "each domain's interrupts are delivered"),
    VR_STATE_ARRAY(messages, "each domain delivers by messages"),
    VR_STATE_ARRAY(genmsi, "each domain's last extempore message"),
    VR_STATE_ARRAY(msiaddr, "where interrupt files are: mmsiaddrcfg, its h, smsiaddrcfg, its h"),
    VR_STATE_ARRAY(delivery, "each hart's interrupts reach it: of domain M, then S"),
    VR_STATE_ARRAY(force, "each hart's interrupt is high without a reason"),
    VR_STATE_ARRAY(threshold, "each hart's threshold: only smaller priorities interrupt; 0: all"),
    VR_HOST(out, "wires, driven again by aplic_loaded()"),
    VR_FIELD_END,
};

#define REG_RW(off, m, name, help, ...)                          \
    VR_REG(off, 4, #name, help, .read = aplic_##m##_read_##name, \
           .write = aplic_##m##_write_##name, ##__VA_ARGS__)
#define REG_RO(off, m, name, help, ...) \
    VR_REG(off, 4, #name, help, .read = aplic_##m##_read_##name, ##__VA_ARGS__)
#define REG_WO(off, m, name, as, help, ...)                                                     \
    VR_REG(off, 4, #name, help, .read = aplic_##m##_read_zero, .write = aplic_##m##_write_##as, \
           ##__VA_ARGS__)
#define MAP  .count = MAP_WORDS, .stride = 4
#define EACH .count = MAP_SOURCES, .stride = 4
#define IDCS .count = VR_APLIC_HARTS, .stride = IDC_STRIDE

#define REGS_TO_SOURCECFG(m)                                         \
    REG_RW(DOMAINCFG, m, domaincfg, "interrupts on, delivery mode"), \
        REG_RW(SOURCECFG, m, sourcecfg, "a source's mode, or its delegation", EACH)
#define REGS_FROM_SETIP(m)                                                                       \
    REG_RW(SETIP, m, setip, "pending; write ones to set", MAP),                                  \
        REG_WO(SETIPNUM, m, setipnum, setipnum, "make a source pending"),                        \
        REG_RW(IN_CLRIP, m, in_clrip, "inputs as they count; write ones to clear pending", MAP), \
        REG_WO(CLRIPNUM, m, clripnum, clripnum, "make a source no longer pending"),              \
        REG_RW(SETIE, m, setie, "enabled; write ones to set", MAP),                              \
        REG_WO(SETIENUM, m, setienum, setienum, "enable a source"),                              \
        REG_WO(CLRIE, m, clrie, clrie, "write ones to disable", MAP),                            \
        REG_WO(CLRIENUM, m, clrienum, clrienum, "disable a source"),                             \
        REG_WO(SETIPNUM_LE, m, setipnum_le, setipnum, "make a source pending, for messages"),    \
        REG_RW(GENMSI, m, genmsi, "send a message: hart and identity"),                          \
        REG_RW(TARGET, m, target, "a source's hart, and priority or identity", EACH),            \
        REG_RW(IDC, m, idelivery, "interrupts reach the hart", IDCS),                            \
        REG_RW(IDC + 0x04, m, iforce, "interrupt the hart without a reason", IDCS),              \
        REG_RW(IDC + 0x08, m, ithreshold, "smaller priorities interrupt", IDCS),                 \
        REG_RO(IDC + 0x18, m, topi, "the hart's best interrupt", IDCS),                          \
        REG_RO(IDC + 0x1c, m, claimi, "the same, and it is claimed", IDCS)

const struct vr_reg aplic_m_regs[] = {
    REGS_TO_SOURCECFG(m),
    REG_RW(MSIADDRCFG, m, msiaddrcfg, "mmsiaddrcfg, mmsiaddrcfgh, smsiaddrcfg, smsiaddrcfgh",
           .count = MSIADDRS, .stride = 4),
    REGS_FROM_SETIP(m),
    VR_REG_END,
};
const struct vr_reg aplic_s_regs[] = {
    REGS_TO_SOURCECFG(s),
    REGS_FROM_SETIP(s),
    VR_REG_END,
};
