/*
 * IMSICs: incoming message-signalled interrupts, one interrupt file a hart, all of one privilege
 * level (a machine has one such device for M and one for S).
 *
 *     hart * 0x1000   seteipnum_le   write: this identity is pending
 *
 * An interrupt file has a pending and an enable bit for each identity from 1 to 255; the lower
 * identity has the higher priority. Everything but seteipnum is the hart's: its CSRs lead to
 * vr_imsic_file. The wire is high while delivery is on and some identity below the threshold (0:
 * any) is pending and enabled.
 *
 * Habits: a file accepts no interrupts of an APLIC in direct mode (eidelivery 0x40000000), there
 * are no guest files, and seteipnum_be is left out, as on machines that are little-endian only. A
 * file whose hart there is not ignores messages. At reset everything is zero.
 * Specification: RISC-V Advanced Interrupt Architecture 1.0, chapter 3.
 */
#include "dev/irqchip/imsic.h"

#include <errno.h>
#include <inttypes.h>

enum {
    WORDS = (VR_IMSIC_IDS + 64) / 64,
    /* Indirectly accessed registers, 3.8 */
    EIDELIVERY = 0x70,
    EITHRESHOLD = 0x72,
    EIP0 = 0x80,
    EIE0 = 0xc0,
    SELECT_END = 0x100,
};

struct imsic {
    struct vr_dev dev;
    uint32_t harts;                /* config */
    bool delivery[VR_IMSIC_HARTS]; /* state, from here on */
    uint8_t threshold[VR_IMSIC_HARTS];
    uint64_t pending[VR_IMSIC_HARTS * WORDS], enable[VR_IMSIC_HARTS * WORDS];
    struct vr_irq out[VR_IMSIC_HARTS];
};
#define IMSIC(d) ((struct imsic *)(d))

/* The lowest identity that is pending, enabled and below the threshold; 0: none. */
static unsigned imsic_best(const struct imsic *s, unsigned hart)
{
    for (unsigned w = 0; w < WORDS; w++) {
        uint64_t bits = s->pending[hart * WORDS + w] & s->enable[hart * WORDS + w];
        if (bits) {
            unsigned id = w * 64 + (unsigned)__builtin_ctzll(bits);
            return s->threshold[hart] && id >= s->threshold[hart] ? 0 : id;
        }
    }
    return 0;
}

static void imsic_update(struct imsic *s, unsigned hart)
{
    vr_irq_set(&s->out[hart], s->delivery[hart] && imsic_best(s, hart));
}

static uint64_t imsic_read(struct vr_dev *d, unsigned hart)
{
    (void)d;
    (void)hart;
    return 0;
}

static void imsic_write(struct vr_dev *d, unsigned hart, uint64_t val)
{
    struct imsic *s = IMSIC(d);
    if (hart >= s->harts) {
        vr_guest_error(d, "message to hart %u of %u", hart, (unsigned)s->harts);
    } else if (val >= 1 && val <= VR_IMSIC_IDS) {
        s->pending[hart * WORDS + val / 64] |= UINT64_C(1) << val % 64;
        imsic_update(s, hart);
    } else {
        vr_guest_error(d, "identity %" PRIu64 ", there are 1 to %d", val, VR_IMSIC_IDS);
    }
}

/* --- The hart's side --- */

static uint32_t imsic_top(void *chip, unsigned hart, bool claim)
{
    struct imsic *s = chip;
    vr_dev_lock(&s->dev);
    unsigned id = imsic_best(s, hart);
    if (id && claim) {
        s->pending[hart * WORDS + id / 64] &= ~(UINT64_C(1) << id % 64);
        imsic_update(s, hart);
    }
    vr_dev_unlock(&s->dev);
    return id << 16 | id;
}

static uint64_t imsic_merge(uint64_t old, uint64_t mask, uint64_t val)
{
    return (old & ~mask) | (val & mask);
}

/* eip and eie: a word for 64 identities at each even number; there is no identity 0, and those
 * beyond 255 are read-only zeros. */
static uint64_t imsic_bits(uint64_t *map, unsigned hart, unsigned w, uint64_t mask, uint64_t val)
{
    if (w >= WORDS) {
        return 0;
    }
    uint64_t *word = &map[hart * WORDS + w], old = *word;
    *word = imsic_merge(old, w == 0 ? mask & ~UINT64_C(1) : mask, val);
    return old;
}

static uint64_t imsic_reg_locked(struct imsic *s, unsigned hart, unsigned sel, uint64_t mask,
                                 uint64_t val)
{
    uint64_t old = 0;
    if (sel == EIDELIVERY) {
        old = s->delivery[hart];
        uint64_t now = imsic_merge(old, mask, val);
        s->delivery[hart] = now <= 1 ? now : old; /* WARL: no other value is supported */
    } else if (sel == EITHRESHOLD) {
        old = s->threshold[hart];
        s->threshold[hart] = imsic_merge(old, mask, val) & VR_IMSIC_IDS;
    } else if (sel >= EIE0) {
        old = imsic_bits(s->enable, hart, (sel - EIE0) / 2, mask, val);
    } else if (sel >= EIP0) {
        old = imsic_bits(s->pending, hart, (sel - EIP0) / 2, mask, val);
    }
    return old;
}

static bool imsic_reg(void *chip, unsigned hart, unsigned sel, uint64_t mask, uint64_t val,
                      uint64_t *ret_old)
{
    struct imsic *s = chip;
    if (sel < EIDELIVERY || sel >= SELECT_END || (sel >= EIP0 && sel % 2)) {
        return false;
    }
    vr_dev_lock(&s->dev);
    *ret_old = imsic_reg_locked(s, hart, sel, mask, val);
    if (mask) {
        imsic_update(s, hart);
    }
    vr_dev_unlock(&s->dev);
    return true;
}

struct vr_irq_file vr_imsic_file(struct vr_dev *dev, unsigned hart)
{
    vr_assert(hart < IMSIC(dev)->harts);
    return (struct vr_irq_file){.chip = dev, .index = hart, .top = imsic_top, .reg = imsic_reg};
}

struct vr_irq *vr_imsic_out(struct vr_dev *dev, unsigned hart)
{
    vr_assert(hart < IMSIC(dev)->harts);
    return &IMSIC(dev)->out[hart];
}

/* --- Life --- */

static void imsic_reset(struct vr_dev *d)
{
    for (unsigned i = 0; i < IMSIC(d)->harts; i++) {
        imsic_update(IMSIC(d), i);
    }
}

static int imsic_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct imsic *s = IMSIC(d);
    for (unsigned i = 0; i < VR_IMSIC_HARTS; i++) {
        if ((s->pending[i * WORDS] | s->enable[i * WORDS]) & 1) {
            return vr_err(err, -ERANGE, "hart %u has an interrupt 0, which cannot be", i);
        }
    }
    imsic_reset(d);
    return 0;
}

static int imsic_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "interrupt-controller@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "riscv,imsics");
    vr_fdt_reg(fdt, at);
    vr_fdt_empty(fdt, "interrupt-controller");
    vr_fdt_u32(fdt, "#interrupt-cells", 0);
    vr_fdt_u32(fdt, "#address-cells", 0);
    vr_fdt_empty(fdt, "msi-controller");
    vr_fdt_u32(fdt, "#msi-cells", 0);
    vr_fdt_u32(fdt, "riscv,num-ids", VR_IMSIC_IDS);
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct imsic
static const struct vr_field imsic_fields[] = {
    VR_CONFIG(harts, "how many harts it serves", .def = 1, .min = 1, .max = VR_IMSIC_HARTS),
    VR_STATE_ARRAY(delivery, "each file's interrupts reach its hart"),
    VR_STATE_ARRAY(threshold, "each file's threshold: only lower identities interrupt; 0: all"),
    VR_STATE_ARRAY(pending, "each file's identities that ask for service"),
    VR_STATE_ARRAY(enable, "each file's identities that may interrupt"),
    VR_HOST(out, "wires, driven again by imsic_loaded()"),
    VR_FIELD_END,
};
static const struct vr_reg imsic_regs[] = {
    VR_REG(0, 4, "seteipnum_le", "write an identity: it is pending", .count = VR_IMSIC_HARTS,
           .stride = VR_IMSIC_PAGE, .read = imsic_read, .write = imsic_write),
    VR_REG_END,
};

const struct vr_dev_class vr_imsic_class = {
    .name = "imsic",
    .help = "incoming message-signalled interrupts of each hart, for one privilege level",
    .size = sizeof(struct imsic),
    .version = 1,
    .fields = imsic_fields,
    .windows =
        {{.name = "imsic", .len = VR_IMSIC_HARTS * VR_IMSIC_PAGE, .msi = true, .regs = imsic_regs}},
    .reset = imsic_reset,
    .loaded = imsic_loaded,
    .describe = imsic_describe,
};
