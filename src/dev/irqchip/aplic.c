/*
 * APLIC: the advanced platform-level interrupt controller, with 95 sources and two interrupt
 * domains: the root for M level, and its child for S level. Each has a window of its own, with the
 * same registers:
 *
 *     0x0000  domaincfg      IE: deliver; DM: as messages
 *     0x0004  sourcecfg[i]   how source i's wire counts here, or D: it is the child's
 *     0x1bc0  msiaddrcfg     M only: where the harts' interrupt files are
 *     0x1c00  setip, setipnum, in_clrip, clripnum, setie, setienum, clrie, clrienum
 *     0x2000  setipnum_le    the same as setipnum, a port for messages
 *     0x3000  genmsi         send one message
 *     0x3004  target[i]      hart, and priority or identity
 *     0x4000 + 32 * hart     idelivery, iforce, ithreshold, topi, claimi
 *
 * A source is active in one domain at most, so its pending and enable bits and its target exist
 * once. Delivered directly, an interrupt goes by a wire to its hart while it is pending and
 * enabled; a smaller priority number wins, then a smaller source. As a message it is sent once and
 * is no longer pending.
 *
 * Habits: registers are little-endian only (BE is 0, setipnum_be is left out) and 4 bytes wide;
 * other widths are guest errors. A domain's index of a hart is the hart's number. Priorities have 8
 * bits. A source whose mode changes to a level that is asserted becomes pending; one that becomes
 * active aims at hart 0 with priority 1. genmsi is never busy. Which of the delivery modes there
 * are is an option; with both, DM can be changed. Devices may write messages to the S domain's
 * registers (setipnum_le is meant for it), not to the M domain's.
 * Specification: RISC-V Advanced Interrupt Architecture 1.0, chapter 4.
 */
#include "dev/irqchip/aplic_priv.h"

#include "base/bits.h"
#include "core/msi.h"
#include <errno.h>
#include <inttypes.h>

static bool aplic_bit(const uint32_t *map, unsigned source)
{
    return map[source / 32] >> source % 32 & 1;
}

static void aplic_put(uint32_t *map, unsigned source, bool bit)
{
    uint32_t mask = UINT32_C(1) << source % 32;
    map[source / 32] = bit ? map[source / 32] | mask : map[source / 32] & ~mask;
}

/* --- Sources --- */

unsigned aplic_mode(const struct aplic *s, unsigned domain, unsigned source)
{
    unsigned cfg = s->sourcecfg[domain * APLIC_NUMBERS + source];
    return cfg & SOURCE_D ? SM_INACTIVE : cfg;
}

bool aplic_has(const struct aplic *s, unsigned domain, uint64_t source)
{
    return source >= 1 && source <= s->sources && aplic_mode(s, domain, (unsigned)source);
}

/* The domain in which @source is active; VR_APLIC_DOMAINS: in none. */
static unsigned aplic_domain(const struct aplic *s, unsigned source)
{
    unsigned domain = 0;
    while (domain < VR_APLIC_DOMAINS && !aplic_mode(s, domain, source)) {
        domain++;
    }
    return domain;
}

static bool aplic_is_level(unsigned mode)
{
    return mode >= SM_LEVEL1;
}

/* The rectified input value of a wire. */
static bool aplic_rectify(unsigned mode, bool level)
{
    return mode >= SM_EDGE1 && level != (mode == SM_EDGE0 || mode == SM_LEVEL0);
}

bool aplic_input(const struct aplic *s, unsigned domain, unsigned source)
{
    return aplic_rectify(aplic_mode(s, domain, source), aplic_bit(s->level, source));
}

/* --- Delivery --- */

uint32_t aplic_top(const struct aplic *s, unsigned domain, unsigned hart)
{
    unsigned best = 0, priority = s->threshold[domain * VR_APLIC_HARTS + hart];
    priority = priority ? priority : TARGET_PRIORITY + 1;
    for (unsigned w = 0; w < APLIC_WORDS && !s->messages[domain]; w++) {
        for (uint32_t bits = s->pending[w] & s->enable[w]; bits; bits &= bits - 1) {
            unsigned source = w * 32 + (unsigned)__builtin_ctz(bits);
            if (s->target[source] >> TARGET_HART_SHIFT == hart &&
                (s->target[source] & TARGET_PRIORITY) < priority && aplic_has(s, domain, source)) {
                best = source;
                priority = s->target[source] & TARGET_PRIORITY;
            }
        }
    }
    return best ? best << 16 | priority : 0;
}

void aplic_update_hart(struct aplic *s, unsigned domain, unsigned hart)
{
    unsigned i = domain * VR_APLIC_HARTS + hart;
    bool may = s->on[domain] && !s->messages[domain] && s->delivery[i];
    vr_irq_set(&s->out[i], may && (s->force[i] || aplic_top(s, domain, hart)));
}

void aplic_send(struct aplic *s, unsigned domain, unsigned hart, unsigned eiid)
{
    const uint32_t *cfg = s->msiaddr;
    uint32_t high = cfg[MSIADDR_MH], low = domain == VR_APLIC_M ? MSIADDR_M : MSIADDR_S;
    uint64_t ppn = (uint64_t)(cfg[low + 1] & 0xfff) << 32 | cfg[low];
    unsigned lhxw = high >> 12 & 15, hhxw = high >> 16 & 7, hhxs = high >> 24 & 31;
    unsigned lhxs = cfg[low + 1] >> 20 & 7;
    uint64_t g = hart >> lhxw & vr_mask(hhxw), h = hart & vr_mask(lhxw);
    ppn = (ppn | g << (hhxs + 12) | h << lhxs) & vr_mask(44);
    (void)vr_msi_send(&s->dev, &(struct vr_msi){.addr = ppn << 12, .data = eiid});
}

void aplic_deliver(struct aplic *s, unsigned domain, unsigned source)
{
    unsigned hart = s->target[source] >> TARGET_HART_SHIFT;
    if (!s->messages[domain]) {
        if (hart < s->harts) {
            aplic_update_hart(s, domain, hart);
        }
    } else if (s->on[domain] && aplic_bit(s->pending, source) && aplic_bit(s->enable, source)) {
        aplic_put(s->pending, source, false);
        aplic_send(s, domain, hart, s->target[source] & TARGET_EIID);
    }
}

static void aplic_deliver_all(struct aplic *s, unsigned domain)
{
    for (unsigned i = 0; i < s->harts; i++) {
        aplic_update_hart(s, domain, i);
    }
    for (unsigned i = 1; s->messages[domain] && i <= s->sources; i++) {
        if (aplic_has(s, domain, i)) {
            aplic_deliver(s, domain, i);
        }
    }
}

/* A level that counts as it is: 4.7. As a message, it counts when it comes to be (@rose). */
static void aplic_level(struct aplic *s, unsigned domain, unsigned source, bool rose)
{
    bool input = aplic_input(s, domain, source);
    if (!input || !s->messages[domain] || rose) {
        aplic_put(s->pending, source, input);
    }
}

void vr_aplic_set(void *chip, unsigned pin, bool level)
{
    struct aplic *s = chip;
    vr_assert(pin >= 1 && pin <= s->sources);
    vr_dev_lock(&s->dev);
    unsigned domain = aplic_domain(s, pin);
    bool changed = aplic_bit(s->level, pin) != level;
    aplic_put(s->level, pin, level);
    if (domain < VR_APLIC_DOMAINS && changed) {
        bool input = aplic_input(s, domain, pin);
        if (aplic_is_level(aplic_mode(s, domain, pin))) {
            aplic_level(s, domain, pin, input);
        } else if (input) {
            aplic_put(s->pending, pin, true);
        }
        aplic_deliver(s, domain, pin);
    }
    vr_dev_unlock(&s->dev);
}

void aplic_set_pending(struct aplic *s, unsigned domain, unsigned source, bool pending)
{
    if (aplic_is_level(aplic_mode(s, domain, source)) &&
        (!s->messages[domain] || (pending && !aplic_input(s, domain, source)))) {
        return;
    }
    aplic_put(s->pending, source, pending);
    aplic_deliver(s, domain, source);
}

void aplic_set_enable(struct aplic *s, unsigned domain, unsigned source, bool enable)
{
    aplic_put(s->enable, source, enable);
    aplic_deliver(s, domain, source);
}

uint32_t aplic_target(const struct aplic *s, unsigned domain, uint32_t val)
{
    if (s->messages[domain]) {
        return val & (TARGET_HART | TARGET_EIID);
    }
    return (val & TARGET_HART) | (val & TARGET_PRIORITY ? val & TARGET_PRIORITY : 1);
}

void aplic_set_mode(struct aplic *s, unsigned domain, bool on, bool messages)
{
    s->on[domain] = on;
    if (messages != s->messages[domain]) {
        s->messages[domain] = messages;
        for (unsigned i = 1; i <= s->sources; i++) {
            if (aplic_has(s, domain, i)) {
                s->target[i] = aplic_target(s, domain, 0);
                if (aplic_is_level(aplic_mode(s, domain, i))) {
                    aplic_level(s, domain, i, false);
                }
            }
        }
    }
    aplic_deliver_all(s, domain);
}

/* A source that goes away leaves nothing behind. */
static void aplic_forget(struct aplic *s, unsigned source)
{
    aplic_put(s->pending, source, false);
    aplic_put(s->enable, source, false);
    s->target[source] = 0;
}

void aplic_configure(struct aplic *s, unsigned domain, unsigned source, uint32_t val)
{
    uint16_t *cfg = &s->sourcecfg[domain * APLIC_NUMBERS + source];
    unsigned was = aplic_domain(s, source);
    if (domain == VR_APLIC_S && !(s->sourcecfg[source] & SOURCE_D)) {
        return; /* not a part of this domain */
    }
    if (val & SOURCE_D) {
        *cfg = domain == VR_APLIC_M ? SOURCE_D : 0; /* the only child, number 0 */
    } else {
        unsigned mode = val & 7;
        *cfg = mode == SM_DETACHED || mode >= SM_EDGE1 ? (uint16_t)mode : SM_INACTIVE;
    }
    if (domain == VR_APLIC_M && !(*cfg & SOURCE_D)) {
        s->sourcecfg[APLIC_NUMBERS + source] = 0;
    }
    unsigned now = aplic_domain(s, source);
    unsigned hart = s->target[source] >> TARGET_HART_SHIFT;
    if (now != was) {
        aplic_forget(s, source);
        if (was < VR_APLIC_DOMAINS && hart < s->harts) {
            aplic_update_hart(s, was, hart);
        }
        if (now < VR_APLIC_DOMAINS) {
            s->target[source] = aplic_target(s, now, 0);
        }
    }
    if (now < VR_APLIC_DOMAINS) {
        if (aplic_is_level(aplic_mode(s, now, source))) {
            aplic_level(s, now, source, true);
        }
        aplic_deliver(s, now, source);
    }
}

void aplic_claim(struct aplic *s, unsigned domain, unsigned source)
{
    if (!aplic_is_level(aplic_mode(s, domain, source))) {
        aplic_put(s->pending, source, false);
    }
}

/* --- The hart's side --- */

static uint32_t aplic_file_top(void *chip, unsigned index, bool claim)
{
    struct aplic *s = chip;
    (void)claim; /* a hart claims through its registers here */
    vr_dev_lock(&s->dev);
    uint32_t top = aplic_top(s, index / VR_APLIC_HARTS, index % VR_APLIC_HARTS);
    vr_dev_unlock(&s->dev);
    return top;
}

struct vr_irq_file vr_aplic_file(struct vr_dev *dev, enum vr_aplic_domain domain, unsigned hart)
{
    vr_assert(hart < APLIC(dev)->harts);
    return (struct vr_irq_file){
        .chip = dev, .index = (unsigned)domain * VR_APLIC_HARTS + hart, .top = aplic_file_top};
}

struct vr_irq *vr_aplic_out(struct vr_dev *dev, enum vr_aplic_domain domain, unsigned hart)
{
    vr_assert(hart < APLIC(dev)->harts);
    return &APLIC(dev)->out[(unsigned)domain * VR_APLIC_HARTS + hart];
}

/* --- Life --- */

static int aplic_init(struct vr_dev *d, struct vr_error *err)
{
    struct aplic *s = APLIC(d);
    if (!s->direct && !s->msi) {
        return vr_err(err, -EINVAL, "direct=off, msi=off: it delivers interrupts by one at least");
    }
    for (unsigned i = 0; i < VR_APLIC_DOMAINS; i++) {
        s->messages[i] = !s->direct;
    }
    return 0;
}

static void aplic_drive(struct aplic *s)
{
    for (unsigned i = 0; i < VR_APLIC_DOMAINS * s->harts; i++) {
        aplic_update_hart(s, i / s->harts, i % s->harts);
    }
}

static void aplic_reset(struct vr_dev *d)
{
    for (unsigned i = 0; i < VR_APLIC_DOMAINS; i++) {
        APLIC(d)->messages[i] = !APLIC(d)->direct;
    }
    aplic_drive(APLIC(d));
}

void vr_aplic_hand_down(struct vr_dev *dev, uint64_t m_files_gpa, uint64_t s_files_gpa)
{
    struct aplic *s = APLIC(dev);
    uint32_t lhxw = 0;
    while (UINT32_C(1) << lhxw < s->harts) {
        lhxw++;
    }
    vr_dev_lock(dev);
    for (unsigned i = 1; i <= s->sources; i++) {
        aplic_configure(s, VR_APLIC_M, i, SOURCE_D);
    }
    if (s->msi) {
        s->msiaddr[MSIADDR_M] = (uint32_t)(m_files_gpa >> 12);
        s->msiaddr[MSIADDR_MH] = MSIADDR_LOCKED | lhxw << 12 | (uint32_t)(m_files_gpa >> 44);
        s->msiaddr[MSIADDR_S] = (uint32_t)(s_files_gpa >> 12);
        s->msiaddr[MSIADDR_SH] = (uint32_t)(s_files_gpa >> 44);
    }
    vr_dev_unlock(dev);
}

/* Could registers and wires have brought @source to this? */
static bool aplic_source_ok(const struct aplic *s, unsigned source)
{
    const uint16_t m = s->sourcecfg[source], child = s->sourcecfg[APLIC_NUMBERS + source];
    bool m_ok = m == SOURCE_D || m <= SM_DETACHED || (m >= SM_EDGE1 && m <= SM_LEVEL0);
    bool s_ok = child <= SM_DETACHED || (child >= SM_EDGE1 && child <= SM_LEVEL0);
    if (!m_ok || !s_ok || (child && m != SOURCE_D)) {
        return false;
    }
    unsigned domain = aplic_domain(s, source);
    bool pending = aplic_bit(s->pending, source), enable = aplic_bit(s->enable, source);
    if (domain == VR_APLIC_DOMAINS) {
        return !pending && !enable && !s->target[source];
    }
    if (s->target[source] != aplic_target(s, domain, s->target[source])) {
        return false;
    }
    if (aplic_is_level(aplic_mode(s, domain, source))) {
        bool input = aplic_input(s, domain, source);
        if (s->messages[domain] ? pending && !input : pending != input) {
            return false;
        }
    }
    return !(pending && enable && s->on[domain] && s->messages[domain]); /* it would be sent */
}

static int aplic_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct aplic *s = APLIC(d);
    for (unsigned w = 0; w < APLIC_WORDS; w++) {
        for (unsigned i = w * 32; i < w * 32 + 32; i++) {
            bool any = aplic_bit(s->level, i) || aplic_bit(s->pending, i) ||
                       aplic_bit(s->enable, i) ||
                       (i < APLIC_NUMBERS &&
                        (s->target[i] || s->sourcecfg[i] || s->sourcecfg[APLIC_NUMBERS + i]));
            if (i == 0 || i > s->sources ? any : !aplic_source_ok(s, i)) {
                return vr_err(err, -ERANGE, "interrupt source %u is in an impossible state", i);
            }
        }
    }
    for (unsigned i = 0; i < VR_APLIC_DOMAINS; i++) {
        if (!(s->messages[i] ? s->msi : s->direct) || s->genmsi[i] & ~(TARGET_HART | TARGET_EIID)) {
            return vr_err(err, -ERANGE, "interrupt domain %u is in an impossible state", i);
        }
    }
    for (unsigned i = 0; i < MSIADDRS; i++) {
        if (s->msiaddr[i] & ~(s->msi ? msiaddr_mask[i] : 0)) {
            return vr_err(err, -ERANGE, "addresses of interrupt files that cannot be");
        }
    }
    aplic_drive(s);
    return 0;
}

/* --- Device tree --- */

/* One domain's node; @phandle 0: none. */
static void aplic_node(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at,
                       unsigned domain)
{
    uint32_t cells[VR_APLIC_HARTS * 2], child = at->phandle + 1;
    struct vr_fdt_at mine = {.gpa = {at->gpa[domain]},
                             .len = {at->len[domain]},
                             .phandle = at->phandle ? at->phandle + domain : 0};
    if (!at->msi_parent) {
        vr_assert(at->irqs_extended_count <= VR_APLIC_HARTS * 4);
        for (unsigned i = 0; i < at->irqs_extended_count / 2; i++) {
            cells[i] = at->irqs_extended[i / 2 * 4 + domain * 2 + i % 2];
        }
        mine.irqs_extended = cells;
        mine.irqs_extended_count = at->irqs_extended_count / 2;
    }
    vr_fdt_begin(fdt, "interrupt-controller@%" PRIx64, at->gpa[domain]);
    vr_fdt_str(fdt, "compatible", "riscv,aplic");
    vr_fdt_reg(fdt, &mine);
    if (at->msi_parent) {
        vr_fdt_u32(fdt, "msi-parent", at->msi_parent + domain);
    }
    vr_fdt_empty(fdt, "interrupt-controller");
    vr_fdt_u32(fdt, "#interrupt-cells", 2);
    vr_fdt_u32(fdt, "#address-cells", 0);
    vr_fdt_u32(fdt, "riscv,num-sources", APLIC(d)->sources);
    if (domain == VR_APLIC_M) {
        const uint32_t delegation[] = {child, 1, APLIC(d)->sources};
        vr_fdt_u32(fdt, "riscv,children", child);
        vr_fdt_cells(fdt, "riscv,delegation", delegation, VR_COUNT(delegation));
    }
    vr_fdt_end(fdt);
}

static int aplic_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    for (unsigned i = 0; i < VR_APLIC_DOMAINS; i++) {
        if (at->len[i]) {
            aplic_node(d, fdt, at, i);
        }
    }
    return 0;
}

const struct vr_dev_class vr_aplic_class = {
    .name = "aplic",
    .help = "advanced platform-level interrupt controller, for M and S level",
    .size = sizeof(struct aplic),
    .version = 1,
    .fields = aplic_fields,
    .windows = {{.name = "m", .len = VR_APLIC_LEN, .regs = aplic_m_regs},
                {.name = "s", .len = VR_APLIC_LEN, .msi = true, .regs = aplic_s_regs}},
    .init = aplic_init,
    .reset = aplic_reset,
    .loaded = aplic_loaded,
    .describe = aplic_describe,
};
