/*
 * CLINT: the core-local interruptor of SiFive cores. One software interrupt bit and one timer
 * compare register a hart, and the common counter mtime, which runs at 10 MHz.
 *
 *     0x0000 + 4 * hart   msip       bit 0 is the hart's machine software interrupt
 *     0x4000 + 8 * hart   mtimecmp   the machine timer interrupt is high while mtime >= mtimecmp
 *     0xbff8              mtime      writable; a write moves every hart's deadline
 *
 * The same layout serves the ACLINT's MSWI and MTIMER devices. Habits: both 64-bit registers take
 * 4-byte halves, each of which acts at once. mtimecmp resets to all ones (the specification leaves
 * it open), so that no interrupt waits at power-on; mtime resets to zero. mtime may wrap, and then
 * the interrupt falls: a second timer deadline takes care of it.
 *
 * Specifications: SiFive FU540-C000 manual, chapter 9; RISC-V ACLINT specification 1.0-rc4,
 * chapters 2, 3.
 */
#include "dev/irqchip/clint.h"

#include <inttypes.h>

enum { MSIP = 0, MTIMECMP = 0x4000, MTIME = 0xbff8 };

struct clint_hart {
    struct clint *clint;
    struct vr_timer timer; /* when mtip changes next */
    struct vr_irq msip, mtip;
};

struct clint {
    struct vr_dev dev;
    void (*on_set)(void *opaque); /* mtime was; may be NULL */
    void *on_set_opaque;
    uint32_t harts;        /* config */
    uint64_t mtime_offset; /* state, from here on: mtime minus the clock's ticks */
    uint64_t mtimecmp[VR_CLINT_HARTS];
    bool msip[VR_CLINT_HARTS];
    struct clint_hart hart[VR_CLINT_HARTS];
};
#define CLINT(d) ((struct clint *)(d))

static uint64_t clint_ticks(struct vr_dev *d)
{
    return vr_clock_now(d->env->clock) / VR_CLINT_TICK_NS;
}

/* Harts read the time without the lock; the offset changes only when the guest writes mtime. */
static uint64_t clint_offset(struct clint *s)
{
    return __atomic_load_n(&s->mtime_offset, __ATOMIC_RELAXED);
}

static void clint_set_mtime(struct clint *s, uint64_t mtime)
{
    __atomic_store_n(&s->mtime_offset, mtime - clint_ticks(&s->dev), __ATOMIC_RELAXED);
}

uint64_t vr_clint_mtime(struct vr_dev *dev)
{
    return clint_ticks(dev) + clint_offset(CLINT(dev));
}

/* Clock time of @delta ticks after @ticks; UINT64_MAX when it lies beyond the clock's end. */
static uint64_t clint_after(uint64_t ticks, uint64_t delta)
{
    if (delta > UINT64_MAX / VR_CLINT_TICK_NS - ticks) {
        return UINT64_MAX;
    }
    return (ticks + delta) * VR_CLINT_TICK_NS;
}

uint64_t vr_clint_when_ns(struct vr_dev *dev, uint64_t mtime)
{
    uint64_t ticks = clint_ticks(dev);
    uint64_t now = ticks + clint_offset(CLINT(dev));
    return now >= mtime ? ticks * VR_CLINT_TICK_NS : clint_after(ticks, mtime - now);
}

/* Drive a hart's timer wire and set the timer for its next change. */
static void clint_update(struct clint *s, unsigned hart)
{
    uint64_t ticks = clint_ticks(&s->dev), mtime = ticks + clint_offset(s);
    uint64_t cmp = s->mtimecmp[hart];
    bool due = mtime >= cmp;
    uint64_t delta = due ? 0 - mtime : cmp - mtime; /* due: high until mtime wraps to 0 */
    uint64_t at_ns = delta ? clint_after(ticks, delta) : UINT64_MAX;
    if (at_ns != UINT64_MAX) {
        vr_timer_arm(&s->hart[hart].timer, at_ns);
    } else {
        vr_timer_cancel(&s->hart[hart].timer);
    }
    vr_irq_set(&s->hart[hart].mtip, due);
}

static void clint_fire(void *arg)
{
    struct clint_hart *h = arg;
    clint_update(h->clint, (unsigned)(h - h->clint->hart));
}

/* After mtime was set. */
static void clint_update_all(struct clint *s)
{
    for (unsigned i = 0; i < s->harts; i++) {
        clint_update(s, i);
        vr_irq_set(&s->hart[i].msip, s->msip[i]);
    }
    if (s->on_set) {
        s->on_set(s->on_set_opaque);
    }
}

static bool clint_has(struct vr_dev *d, unsigned hart)
{
    if (hart < CLINT(d)->harts) {
        return true;
    }
    vr_guest_error(d, "access to hart %u of %u", hart, (unsigned)CLINT(d)->harts);
    return false;
}

static uint64_t clint_read_msip(struct vr_dev *d, unsigned hart)
{
    return clint_has(d, hart) && CLINT(d)->msip[hart];
}

static void clint_write_msip(struct vr_dev *d, unsigned hart, uint64_t val)
{
    if (clint_has(d, hart)) {
        CLINT(d)->msip[hart] = val & 1;
        vr_irq_set(&CLINT(d)->hart[hart].msip, val & 1);
    }
}

static uint64_t clint_read_mtimecmp(struct vr_dev *d, unsigned hart)
{
    return clint_has(d, hart) ? CLINT(d)->mtimecmp[hart] : 0;
}

static void clint_write_mtimecmp(struct vr_dev *d, unsigned hart, uint64_t val)
{
    if (clint_has(d, hart)) {
        CLINT(d)->mtimecmp[hart] = val;
        clint_update(CLINT(d), hart);
    }
}

static uint64_t clint_read_mtime(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_clint_mtime(d);
}

static void clint_write_mtime(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    clint_set_mtime(CLINT(d), val);
    clint_update_all(CLINT(d));
}

static int clint_init(struct vr_dev *d, struct vr_error *err)
{
    struct clint *s = CLINT(d);
    (void)err;
    for (unsigned i = 0; i < VR_CLINT_HARTS; i++) {
        s->hart[i].clint = s;
        vr_timer_init(&s->hart[i].timer, d->env->clock, &d->lock, clint_fire, &s->hart[i]);
    }
    clint_set_mtime(s, 0);
    return 0;
}

static void clint_reset(struct vr_dev *d)
{
    clint_set_mtime(CLINT(d), 0);
    clint_update_all(CLINT(d));
}

static int clint_loaded(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    clint_update_all(CLINT(d));
    return 0;
}

static void clint_fini(struct vr_dev *d)
{
    for (unsigned i = 0; i < VR_CLINT_HARTS; i++) {
        vr_timer_fini(&CLINT(d)->hart[i].timer);
    }
}

static int clint_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    static const char compatible[] = "sifive,clint0\0riscv,clint0";
    (void)d;
    vr_fdt_begin(fdt, "clint@%" PRIx64, at->gpa[0]);
    vr_fdt_strs(fdt, "compatible", compatible, sizeof(compatible));
    vr_fdt_reg(fdt, at);
    vr_fdt_end(fdt);
    return 0;
}

struct vr_irq *vr_clint_msip(struct vr_dev *dev, unsigned hart)
{
    vr_assert(hart < CLINT(dev)->harts);
    return &CLINT(dev)->hart[hart].msip;
}

struct vr_irq *vr_clint_mtip(struct vr_dev *dev, unsigned hart)
{
    vr_assert(hart < CLINT(dev)->harts);
    return &CLINT(dev)->hart[hart].mtip;
}

void vr_clint_on_set(struct vr_dev *dev, void (*fn)(void *opaque), void *opaque)
{
    CLINT(dev)->on_set = fn;
    CLINT(dev)->on_set_opaque = opaque;
}

#define VR_SELF struct clint
static const struct vr_field clint_fields[] = {
    VR_HOST(on_set, "the board's"),
    VR_HOST(on_set_opaque, "the board's"),
    VR_CONFIG(harts, "how many harts it serves", .def = 1, .min = 1, .max = VR_CLINT_HARTS),
    VR_STATE(mtime_offset, "mtime minus the clock, in ticks"),
    VR_STATE_ARRAY(mtimecmp, "when each hart's timer interrupt rises", .def = UINT64_MAX),
    VR_STATE_ARRAY(msip, "each hart's software interrupt"),
    VR_HOST(hart, "timers and wires, set again by clint_loaded()"),
    VR_FIELD_END,
};
static const struct vr_reg clint_regs[] = {
    VR_REG(MSIP, 4, "msip", "software interrupt", .flex = true, .count = VR_CLINT_HARTS,
           .stride = 4, .read = clint_read_msip, .write = clint_write_msip),
    VR_REG(MTIMECMP, 8, "mtimecmp", "timer compare", .flex = true, .count = VR_CLINT_HARTS,
           .stride = 8, .read = clint_read_mtimecmp, .write = clint_write_mtimecmp),
    VR_REG(MTIME, 8, "mtime", "time in ticks of 100 ns", .flex = true, .read = clint_read_mtime,
           .write = clint_write_mtime),
    VR_REG_END,
};

const struct vr_dev_class vr_clint_class = {
    .name = "clint",
    .help = "core-local interruptor: timer and software interrupts of each hart",
    .size = sizeof(struct clint),
    .version = 1,
    .fields = clint_fields,
    .windows = {{.name = "clint", .len = 0x10000, .regs = clint_regs}},
    .init = clint_init,
    .reset = clint_reset,
    .loaded = clint_loaded,
    .fini = clint_fini,
    .describe = clint_describe,
};
