/*
 * Which interrupt is next, and the CSRs that the Advanced Interrupt Architecture adds for it
 * (Smaia, Ssaia). RISC-V Advanced Interrupt Architecture 1.0, chapters 2, 3 and 5.
 *
 * A hart whose controller is a PLIC has none of these registers: then mvien and every priority
 * number stay zero, and what follows comes down to the rules of the Privileged ISA. Choices where
 * the specification leaves one: bits 1 and 9 of mvien can be set; the priority of every interrupt
 * that can reach a level can be set there; *iselect holds 9 bits.
 */
#include "base/bits.h"
#include "cpu/riscv/priv.h"

enum { PRIORITY_REST = 256, PRIORITY_DEFAULT = 257 }; /* numbers beyond those of 8 bits */
enum { IPRIO_FIRST = 0x30, IPRIO_LAST = 0x3f, FILE_FIRST = 0x70, FILE_LAST = 0xff };

/* --- What is pending and enabled --- */

uint64_t rv_mvip(const struct rv_hart *hart)
{
    uint64_t own = hart->mvien & RV_BIT(RV_SSI),
             soft = RV_BIT(RV_SEI) | (RV_BIT(RV_SSI) & ~own) | (rv_stce(hart) ? 0 : RV_BIT(RV_STI));
    return (hart->mvip & own) | (hart->mip_soft & soft);
}

void rv_set_mvip(struct rv_hart *hart, uint64_t val)
{
    uint64_t own = hart->mvien & RV_BIT(RV_SSI),
             soft = RV_BIT(RV_SEI) | (RV_BIT(RV_SSI) & ~own) | (rv_stce(hart) ? 0 : RV_BIT(RV_STI));
    hart->mvip = (hart->mvip & ~own) | (val & own);
    hart->mip_soft = (hart->mip_soft & ~soft) | (val & soft);
    rv_recheck(hart);
}

uint64_t rv_due_m(const struct rv_hart *hart)
{
    return rv_mip(hart) & hart->mie & ~hart->mideleg;
}

uint64_t rv_due_s(const struct rv_hart *hart)
{
    uint64_t due = rv_mip(hart) & hart->mie & hart->mideleg;
    if (hart->mvien) {
        due |= rv_mvip(hart) & hart->sie_own & hart->mvien & ~hart->mideleg;
    }
    return due;
}

/* --- Priorities: 5.2.1, 5.4.1 --- */

/* Interrupts whose priority number can be set at a level. */
static uint64_t iprio_mask(const struct rv_hart *hart, bool s)
{
    return s ? (RV_BIT(RV_SSI) | RV_BIT(RV_STI)) & (hart->mideleg | hart->mvien)
             : (RV_MIP_S | RV_MIP_M) & ~RV_BIT(RV_MEI);
}

static bool iprio_used(const uint8_t *iprio)
{
    return vr_load_le64(iprio) | vr_load_le64(iprio + 8);
}

/* The controller's number for the external interrupt of a level. An SEI that software made pending
 * has none: it comes after those that have. */
static unsigned iprio_external(const struct rv_hart *hart, bool s)
{
    const struct vr_irq_file *f = s ? &hart->file_s : &hart->file_m;
    uint32_t top = f->top ? f->top(f->chip, f->index, false) : 0;
    return top ? top & 0x7ff : PRIORITY_REST;
}

/* Smaller is first. Every interrupt there is but the external one comes after it by default. */
static unsigned iprio_of(const struct rv_hart *hart, bool s, unsigned irq)
{
    if (irq == (s ? RV_SEI : RV_MEI)) {
        return iprio_external(hart, s);
    }
    uint8_t p = s ? hart->iprio_s[irq] : hart->iprio_m[irq];
    return p ? p : PRIORITY_DEFAULT;
}

unsigned rv_top_irq(const struct rv_hart *hart, bool s, uint64_t due)
{
    static const uint8_t order[] = {RV_MEI, RV_MSI, RV_MTI, RV_SEI, RV_SSI, RV_STI};
    bool set = iprio_used(s ? hart->iprio_s : hart->iprio_m);
    unsigned best = 0, least = UINT32_MAX;
    for (unsigned i = 0; i < VR_COUNT(order); i++) {
        if (due >> order[i] & 1) {
            unsigned p = set ? iprio_of(hart, s, order[i]) : 0;
            if (p < least) {
                best = order[i];
                least = p;
            }
        }
    }
    return best;
}

/* mtopi, stopi: 5.2.2, 5.4.2. */
static uint64_t aia_topi(const struct rv_hart *hart, bool s)
{
    uint64_t due = s ? rv_due_s(hart) : rv_due_m(hart);
    if (!due) {
        return 0;
    }
    unsigned irq = rv_top_irq(hart, s, due), p = iprio_of(hart, s, irq);
    return irq << 16 | (p > 255 ? 255 : p);
}

uint64_t rv_read_mtopi(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return aia_topi(hart, false);
}

uint64_t rv_read_stopi(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return aia_topi(hart, true);
}

/* --- Virtual interrupts: 5.3 --- */

void rv_write_mvien(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    hart->mvien = val & RV_MVIEN;
    rv_recheck(hart);
}

uint64_t rv_read_mvip(struct rv_hart *hart, unsigned num)
{
    (void)num;
    return rv_mvip(hart);
}

void rv_write_mvip(struct rv_hart *hart, unsigned num, uint64_t val)
{
    (void)num;
    rv_set_mvip(hart, val);
}

/* --- Registers behind *iselect, and *topei --- */

/* Does Smstateen let the mode have what @bit of mstateen0 stands for? */
static bool aia_enabled(const struct rv_hart *hart, uint64_t bit)
{
    return hart->priv == RV_M || !RV_HAS(&hart->config, smstateen) || hart->mstateen[0] & bit;
}

/* May the S-level interrupt file be used? */
static bool aia_file_s_allowed(const struct rv_hart *hart)
{
    return hart->file_s.reg && aia_enabled(hart, RV_STATEEN_IMSIC) &&
           !(hart->priv == RV_S && hart->mvien & RV_BIT(RV_SEI));
}

static bool aia_select_is_iprio(uint64_t sel)
{
    return sel >= IPRIO_FIRST && sel <= IPRIO_LAST && sel % 2 == 0;
}

static bool aia_select_is_file(uint64_t sel)
{
    return sel >= FILE_FIRST && sel <= FILE_LAST && (sel < 0x80 || sel % 2 == 0);
}

bool rv_mireg_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return aia_select_is_iprio(hart->miselect) ||
           (hart->file_m.reg && aia_select_is_file(hart->miselect));
}

bool rv_siselect_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return aia_enabled(hart, RV_STATEEN_CSRIND);
}

bool rv_sireg_allowed(const struct rv_hart *hart, unsigned num)
{
    return rv_siselect_allowed(hart, num) &&
           (aia_select_is_iprio(hart->siselect)
                ? aia_enabled(hart, RV_STATEEN_AIA)
                : aia_select_is_file(hart->siselect) && aia_file_s_allowed(hart));
}

bool rv_mtopei_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return hart->file_m.reg;
}

bool rv_stopei_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return aia_file_s_allowed(hart);
}

bool rv_stopi_allowed(const struct rv_hart *hart, unsigned num)
{
    (void)num;
    return aia_enabled(hart, RV_STATEEN_AIA);
}

/* iprio registers of RV64: eight interrupts each, and interrupts 16 to 63 there are not. */
static uint64_t aia_swap_iprio(struct rv_hart *hart, bool s, unsigned sel, uint64_t mask,
                               uint64_t val)
{
    uint8_t *iprio = s ? hart->iprio_s : hart->iprio_m;
    uint64_t old = 0, may = iprio_mask(hart, s);
    unsigned first = (sel - IPRIO_FIRST) * 4;
    for (unsigned i = 0; i < 8 && first < RV_IPRIOS; i++) {
        if (may >> (first + i) & 1) {
            uint8_t *p = &iprio[first + i], m = (uint8_t)(mask >> 8 * i);
            old |= (uint64_t)*p << 8 * i;
            *p = (uint8_t)((*p & ~m) | ((uint8_t)(val >> 8 * i) & m));
        }
    }
    return old;
}

uint64_t rv_swap_ireg(struct rv_hart *hart, unsigned num, bool write, uint64_t mask, uint64_t val)
{
    bool s = num == RV_CSR_SIREG;
    uint64_t sel = s ? hart->siselect : hart->miselect, old = 0;
    const struct vr_irq_file *f = s ? &hart->file_s : &hart->file_m;
    mask = write ? mask : 0;
    if (aia_select_is_iprio(sel)) {
        old = aia_swap_iprio(hart, s, (unsigned)sel, mask, val);
    } else if (f->reg) {
        (void)f->reg(f->chip, f->index, (unsigned)sel, mask, val, &old);
    }
    return old;
}

/* What is written is no matter: a write claims what was read. */
uint64_t rv_swap_topei(struct rv_hart *hart, unsigned num, bool write, uint64_t mask, uint64_t val)
{
    const struct vr_irq_file *f = num == RV_CSR_STOPEI ? &hart->file_s : &hart->file_m;
    (void)mask;
    (void)val;
    return f->top ? f->top(f->chip, f->index, write) : 0;
}

bool rv_aia_legal(const struct rv_hart *hart)
{
    for (unsigned i = 0; i < RV_IPRIOS; i++) {
        if ((hart->iprio_m[i] && !(iprio_mask(hart, false) >> i & 1)) ||
            (hart->iprio_s[i] && i != RV_SSI && i != RV_STI)) {
            return false;
        }
    }
    return !(hart->mvien & ~RV_MVIEN) && !(hart->mvip & ~RV_BIT(RV_SSI)) &&
           !(hart->sie_own & ~RV_MVIEN);
}

void rv_hart_set_irq_file(struct rv_hart *hart, enum rv_priv priv, const struct vr_irq_file *file)
{
    *(priv == RV_M ? &hart->file_m : &hart->file_s) = *file;
}
