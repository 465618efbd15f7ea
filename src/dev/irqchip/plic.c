/*
 * PLIC: the platform-level interrupt controller of SiFive, with 95 sources and up to 128 contexts
 * (a context is one privilege mode of one hart).
 *
 *     0x000000 + 4 * source      priority   0 (never) to 7
 *     0x001000                   pending    one bit a source, read only
 *     0x002000 + 0x80 * context  enable     one bit a source
 *     0x200000 + 0x1000 * context  threshold  only greater priorities interrupt
 *     0x200004 + 0x1000 * context  claim (read) and complete (write)
 *
 * Each source has a gateway for a level-triggered wire. While the gateway is open and the wire is
 * high, it makes the source pending and shuts. A claim takes the pending bit away; a completion
 * opens the gateway again, and if the wire is still high, the source is pending at once. What is
 * pending stays so when the wire falls before the claim. A completion by a context for which the
 * source is not enabled is ignored. The threshold masks the wire to the hart only; a claim does not
 * look at it.
 *
 * Registers are 4 bytes wide; other widths are guest errors.
 * Specification: RISC-V PLIC specification 1.0.0; SiFive FU540-C000 manual, chapter 10.
 */
#include "dev/irqchip/plic.h"

#include <errno.h>
#include <inttypes.h>

enum {
    PRIORITY = 0,
    PENDING = 0x1000,
    ENABLE = 0x2000,
    ENABLE_STRIDE = 0x80,
    CONTEXT = 0x200000,
    CONTEXT_STRIDE = 0x1000,
    WORDS = (VR_PLIC_SOURCES + 32) / 32,
    MAP_WORDS = ENABLE_STRIDE / 4, /* words of a bit map that the layout has room for */
    MAP_SOURCES = 1024,
    PRIORITY_MAX = 7,
};

struct plic {
    struct vr_dev dev;
    uint32_t sources, contexts;            /* config */
    uint8_t priority[VR_PLIC_SOURCES + 1]; /* state, from here on */
    uint8_t threshold[VR_PLIC_CONTEXTS];
    uint32_t level[WORDS], pending[WORDS];
    uint32_t claimed[WORDS]; /* the gateway is shut, and the source is not pending */
    uint32_t enable[VR_PLIC_CONTEXTS * WORDS];
    struct vr_irq out[VR_PLIC_CONTEXTS];
};
#define PLIC(d) ((struct plic *)(d))

/* The valid source bits of word @w: 1 to sources. */
static uint32_t plic_mask(const struct plic *s, unsigned w)
{
    unsigned first = w * 32, past = s->sources + 1;
    uint32_t mask = past >= first + 32 ? UINT32_MAX
                    : past > first     ? (UINT32_C(1) << (past - first)) - 1
                                       : 0;
    return w == 0 ? mask & ~UINT32_C(1) : mask;
}

static bool plic_bit(const uint32_t *map, unsigned source)
{
    return map[source / 32] >> source % 32 & 1;
}

/* The pending and enabled source of the highest priority, the lowest number first; 0: none. */
static unsigned plic_best(const struct plic *s, unsigned context)
{
    unsigned best = 0;
    uint8_t best_priority = 0;
    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t bits = s->pending[w] & s->enable[context * WORDS + w];
        for (; bits; bits &= bits - 1) {
            unsigned source = w * 32 + (unsigned)__builtin_ctz(bits);
            if (s->priority[source] > best_priority) {
                best = source;
                best_priority = s->priority[source];
            }
        }
    }
    return best;
}

static void plic_update(struct plic *s, unsigned context)
{
    unsigned best = plic_best(s, context);
    vr_irq_set(&s->out[context], s->priority[best] > s->threshold[context]);
}

static void plic_update_all(struct plic *s)
{
    for (unsigned i = 0; i < s->contexts; i++) {
        plic_update(s, i);
    }
}

/* Something about @source changed: look at the contexts that listen to it. */
static void plic_update_source(struct plic *s, unsigned source)
{
    for (unsigned i = 0; i < s->contexts; i++) {
        if (plic_bit(&s->enable[i * WORDS], source)) {
            plic_update(s, i);
        }
    }
}

/* The gateway of @source: pass a high wire on, once. */
static void plic_gateway(struct plic *s, unsigned source)
{
    unsigned w = source / 32;
    uint32_t bit = UINT32_C(1) << source % 32;
    if (s->level[w] & ~s->pending[w] & ~s->claimed[w] & bit) {
        s->pending[w] |= bit;
        plic_update_source(s, source);
    }
}

void vr_plic_set(void *chip, unsigned pin, bool level)
{
    struct plic *s = chip;
    vr_assert(pin >= 1 && pin <= s->sources);
    vr_dev_lock(&s->dev);
    if (level) {
        s->level[pin / 32] |= UINT32_C(1) << pin % 32;
        plic_gateway(s, pin);
    } else {
        s->level[pin / 32] &= ~(UINT32_C(1) << pin % 32);
    }
    vr_dev_unlock(&s->dev);
}

static uint64_t plic_read_priority(struct vr_dev *d, unsigned source)
{
    return source <= PLIC(d)->sources ? PLIC(d)->priority[source] : 0;
}

static void plic_write_priority(struct vr_dev *d, unsigned source, uint64_t val)
{
    if (source >= 1 && source <= PLIC(d)->sources) {
        PLIC(d)->priority[source] = val & PRIORITY_MAX;
        plic_update_source(PLIC(d), source);
    }
}

static uint64_t plic_read_pending(struct vr_dev *d, unsigned word)
{
    return word < WORDS ? PLIC(d)->pending[word] : 0;
}

static uint64_t plic_read_enable(struct vr_dev *d, unsigned index)
{
    unsigned context = index / MAP_WORDS, word = index % MAP_WORDS;
    return context < PLIC(d)->contexts && word < WORDS ? PLIC(d)->enable[context * WORDS + word]
                                                       : 0;
}

static void plic_write_enable(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct plic *s = PLIC(d);
    unsigned context = index / MAP_WORDS, word = index % MAP_WORDS;
    if (context < s->contexts && word < WORDS) {
        s->enable[context * WORDS + word] = (uint32_t)val & plic_mask(s, word);
        plic_update(s, context);
    }
}

static bool plic_has(struct vr_dev *d, unsigned context)
{
    if (context < PLIC(d)->contexts) {
        return true;
    }
    vr_guest_error(d, "access to context %u of %u", context, (unsigned)PLIC(d)->contexts);
    return false;
}

static uint64_t plic_read_threshold(struct vr_dev *d, unsigned context)
{
    return plic_has(d, context) ? PLIC(d)->threshold[context] : 0;
}

static void plic_write_threshold(struct vr_dev *d, unsigned context, uint64_t val)
{
    if (plic_has(d, context)) {
        PLIC(d)->threshold[context] = val & PRIORITY_MAX;
        plic_update(PLIC(d), context);
    }
}

static uint64_t plic_claim(struct vr_dev *d, unsigned context)
{
    struct plic *s = PLIC(d);
    unsigned source = plic_has(d, context) ? plic_best(s, context) : 0;
    if (source) {
        s->pending[source / 32] &= ~(UINT32_C(1) << source % 32);
        s->claimed[source / 32] |= UINT32_C(1) << source % 32;
        plic_update_source(s, source);
    }
    return source;
}

static void plic_complete(struct vr_dev *d, unsigned context, uint64_t val)
{
    struct plic *s = PLIC(d);
    if (plic_has(d, context) && val >= 1 && val <= s->sources &&
        plic_bit(&s->enable[context * WORDS], (unsigned)val)) {
        s->claimed[val / 32] &= ~(UINT32_C(1) << val % 32);
        plic_gateway(s, (unsigned)val);
    }
}

static void plic_reset(struct vr_dev *d)
{
    plic_update_all(PLIC(d));
}

static int plic_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct plic *s = PLIC(d);
    for (unsigned w = 0; w < WORDS; w++) {
        uint32_t mask = plic_mask(s, w), used = s->level[w] | s->pending[w] | s->claimed[w];
        for (unsigned i = 0; i < VR_PLIC_CONTEXTS; i++) {
            used |= s->enable[i * WORDS + w];
        }
        if (used & ~mask) {
            return vr_err(err, -ERANGE, "interrupt sources beyond %u", (unsigned)s->sources);
        }
        if (s->pending[w] & s->claimed[w]) {
            return vr_err(err, -ERANGE, "an interrupt is both pending and claimed");
        }
    }
    plic_update_all(s);
    return 0;
}

uint64_t vr_plic_len(unsigned contexts)
{
    return CONTEXT + (uint64_t)contexts * CONTEXT_STRIDE;
}

static int plic_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    static const char compatible[] = "sifive,plic-1.0.0\0riscv,plic0";
    vr_fdt_begin(fdt, "plic@%" PRIx64, at->gpa[0]);
    vr_fdt_strs(fdt, "compatible", compatible, sizeof(compatible));
    vr_fdt_reg(fdt, at);
    vr_fdt_empty(fdt, "interrupt-controller");
    vr_fdt_u32(fdt, "#interrupt-cells", 1);
    vr_fdt_u32(fdt, "#address-cells", 0);
    vr_fdt_u32(fdt, "riscv,ndev", PLIC(d)->sources);
    vr_fdt_end(fdt);
    return 0;
}

struct vr_irq *vr_plic_out(struct vr_dev *dev, unsigned context)
{
    vr_assert(context < PLIC(dev)->contexts);
    return &PLIC(dev)->out[context];
}

#define VR_SELF struct plic
static const struct vr_field plic_fields[] = {
    VR_CONFIG(sources, "interrupt sources, from 1", .def = VR_PLIC_SOURCES, .min = 1,
              .max = VR_PLIC_SOURCES),
    VR_CONFIG(contexts, "privilege modes served: two a hart, M then S", .def = 2, .min = 1,
              .max = VR_PLIC_CONTEXTS),
    VR_STATE_ARRAY(priority, "each source's priority", .max = PRIORITY_MAX),
    VR_STATE_ARRAY(threshold, "each context's threshold", .max = PRIORITY_MAX),
    VR_STATE_ARRAY(level, "wires that are high, a bit a source"),
    VR_STATE_ARRAY(pending, "sources that ask for service"),
    VR_STATE_ARRAY(claimed, "sources in service: claimed and not completed"),
    VR_STATE_ARRAY(enable, "sources that each context listens to"),
    VR_HOST(out, "wires, driven again by plic_loaded()"),
    VR_FIELD_END,
};
static const struct vr_reg plic_regs[] = {
    VR_REG(PRIORITY, 4, "priority", "a source's priority, 0 is never", .count = MAP_SOURCES,
           .stride = 4, .read = plic_read_priority, .write = plic_write_priority),
    VR_REG(PENDING, 4, "pending", "a bit a source", .count = MAP_WORDS, .stride = 4,
           .read = plic_read_pending),
    VR_REG(ENABLE, 4, "enable", "a bit a source, 0x80 bytes a context",
           .count = VR_PLIC_CONTEXTS * MAP_WORDS, .stride = 4, .read = plic_read_enable,
           .write = plic_write_enable),
    VR_REG(CONTEXT, 4, "threshold", "greater priorities interrupt", .count = VR_PLIC_CONTEXTS,
           .stride = CONTEXT_STRIDE, .read = plic_read_threshold, .write = plic_write_threshold),
    VR_REG(CONTEXT + 4, 4, "claim", "read: claim the best source; write: complete it",
           .count = VR_PLIC_CONTEXTS, .stride = CONTEXT_STRIDE, .read = plic_claim,
           .write = plic_complete),
    VR_REG_END,
};

const struct vr_dev_class vr_plic_class = {
    .name = "plic",
    .help = "platform-level interrupt controller",
    .size = sizeof(struct plic),
    .version = 1,
    .fields = plic_fields,
    .windows = {{.name = "plic", .len = 0x600000, .regs = plic_regs}},
    .reset = plic_reset,
    .loaded = plic_loaded,
    .describe = plic_describe,
};
