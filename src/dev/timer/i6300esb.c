/*
 * The watchdog of Intel's 6300ESB I/O controller hub: a PCI function with a timer of two stages.
 *
 *     configuration space  0x60  what the first stage does, its clock, whether the second one acts
 *                          0x68  on; watchdog or free running; locked
 *     BAR 0                0x00  preload of the first stage
 *                          0x04  preload of the second stage
 *                          0x08  the first stage ran out; write 1: its interrupt is served
 *                          0x0c  reload; the second stage ran out, some time
 *
 * Switched on it counts down from the first preload value. A driver that lives reloads it, which
 * begins the first stage again. At its end comes an interrupt, and the second stage begins; at the
 * end of that WDT_TOUT# falls, which here does what the `action` option says, and it stands until
 * it is reloaded. Free running, there is one stage, whose end turns WDT_TOUT# over, again and
 * again: of which here only the first time can be seen, and then it stands, too.
 *
 * Preload values and reload are taken after 0x80 and 0x86 were written to 0x0c, each time. A locked
 * register 0x68 stays as it is until a reset. That the second stage ran out is remembered over
 * resets, until the guest clears it.
 *
 * Habits: one count is 2^15 or 2^5 periods of 33 MHz; a preload value of 0 counts as 1. The
 * interrupt is the function's INTA, where the chip had a line of its own; there is no SMI, so that
 * choice interrupts nobody. BAR 0 is 4 KiB long instead of 16 bytes.
 * Specification: Intel 6300ESB I/O Controller Hub datasheet (300641), chapter 16.
 */
#include "dev/timer/i6300esb.h"

#include "base/bits.h"
#include "dev/pci/pci.h"
#include <errno.h>
#include <string.h>

enum {
    CONFIG = 0x60, /* of configuration space */
    CONFIG_INT = 3,
    CONFIG_INT_IRQ = 0,
    CONFIG_FAST = 4,     /* WDT_PRE_SEL: the clock of 1 MHz */
    CONFIG_QUIET = 0x20, /* WDT_OUTPUT: WDT_TOUT# stays high */
    LOCK = 0x68,
    LOCK_LOCKED = 1,
    LOCK_ON = 2,
    LOCK_FREE = 4,
    /* In BAR 0 */
    PRELOAD = 0,
    STATUS = 8,
    RELOAD = 0xc,
    RELOAD_RELOAD = 0x100,
    RELOAD_TIMEOUT = 0x200,
    KEY1 = 0x80,
    KEY2 = 0x86,
    PRELOAD_MAX = 0xfffff,
};

struct i6300esb {
    struct vr_dev dev;
    char action[12];   /* config */
    struct vr_pci pci; /* state, from here on */
    uint32_t preload[2];
    uint8_t keys;  /* how many were given: 2 opens the next write */
    uint8_t stage; /* 0: it stands; 1, 2 */
    uint8_t lock;  /* register 0x68, as it counts */
    bool interrupt, timeout;
    uint64_t end_ns; /* of the stage, on the clock */
    bool timed_out;  /* host: what a reset leaves in `timeout` */
    unsigned act;    /* enum vr_watchdog */
    struct vr_timer timer;
};
#define ESB(d) ((struct i6300esb *)(d))

static const char *const esb_actions[VR_WATCHDOGS] = {
    [VR_WATCHDOG_RESET] = "reset",       [VR_WATCHDOG_SHUTDOWN] = "shutdown",
    [VR_WATCHDOG_POWEROFF] = "poweroff", [VR_WATCHDOG_PAUSE] = "pause",
    [VR_WATCHDOG_NONE] = "none",
};

const char *vr_watchdog_name(unsigned action)
{
    return action < VR_WATCHDOGS ? esb_actions[action] : NULL;
}

static unsigned esb_config(const struct i6300esb *s)
{
    return vr_pci_get(&s->pci, CONFIG, 2);
}

static void esb_sync(struct i6300esb *s)
{
    bool irq = (esb_config(s) & CONFIG_INT) == CONFIG_INT_IRQ;
    vr_pci_set_intx(&s->pci, s->interrupt && irq);
}

/* --- The timer --- */

static uint64_t esb_stage_ns(const struct i6300esb *s, unsigned stage)
{
    uint64_t count = s->preload[stage - 1] ? s->preload[stage - 1] : 1;
    uint64_t periods = count << (esb_config(s) & CONFIG_FAST ? 5 : 15);
    return periods * 1000 / 33; /* at most 2^35 periods */
}

static void esb_begin(struct i6300esb *s, unsigned stage)
{
    s->stage = (uint8_t)stage;
    if (stage) {
        s->end_ns = vr_clock_now(s->dev.env->clock) + esb_stage_ns(s, stage);
        vr_timer_arm(&s->timer, s->end_ns);
    } else {
        vr_timer_cancel(&s->timer);
    }
}

/* A stage ended. */
static void esb_fire(void *arg)
{
    struct i6300esb *s = arg;
    if (s->stage == 1 && !(s->lock & LOCK_FREE)) {
        s->interrupt = true;
        esb_begin(s, 2);
        esb_sync(s);
    } else {
        s->timeout = s->timed_out = s->timeout || s->stage == 2;
        esb_begin(s, 0);
        if (!(esb_config(s) & CONFIG_QUIET) && s->dev.env->request) {
            s->dev.env->request(s->dev.env->opaque, VR_REQ_WATCHDOG, s->act);
        }
    }
}

/* --- Registers --- */

/* Were both keys written right before? They open one register, once. */
static bool esb_open(struct i6300esb *s)
{
    bool open = s->keys == 2;
    s->keys = 0;
    return open;
}

static uint64_t esb_read_preload(struct vr_dev *d, unsigned stage)
{
    return ESB(d)->preload[stage];
}

static void esb_write_preload(struct vr_dev *d, unsigned stage, uint64_t val)
{
    if (esb_open(ESB(d))) {
        ESB(d)->preload[stage] = val & PRELOAD_MAX;
    } else {
        vr_guest_error(d, "a preload value without its keys");
    }
}

static uint64_t esb_read_status(struct vr_dev *d, unsigned index)
{
    (void)index;
    return ESB(d)->interrupt;
}

static void esb_write_status(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    if (val & 1) {
        ESB(d)->interrupt = false;
        esb_sync(ESB(d));
    }
}

static uint64_t esb_read_reload(struct vr_dev *d, unsigned index)
{
    (void)index;
    return ESB(d)->timeout ? RELOAD_TIMEOUT : 0;
}

static void esb_write_reload(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct i6300esb *s = ESB(d);
    (void)index;
    if (val == KEY1) {
        s->keys = 1;
        return;
    }
    if (val == KEY2 && s->keys == 1) {
        s->keys = 2;
        return;
    }
    if (!esb_open(s)) {
        vr_guest_error(d, "a reload without its keys");
        return;
    }
    if (val & RELOAD_TIMEOUT) {
        s->timeout = s->timed_out = false;
    }
    if (val & RELOAD_RELOAD && s->lock & LOCK_ON) {
        esb_begin(s, 1);
    }
}

/* The guest wrote to configuration space outside of capabilities. */
static void esb_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    struct i6300esb *s = ESB(pci->host.dev);
    if (off < CONFIG + 2 && off + width > CONFIG) {
        esb_sync(s);
    }
    if (off > LOCK || off + width <= LOCK) {
        return;
    }
    uint8_t was = s->lock, now = pci->config[LOCK];
    if (was & LOCK_LOCKED) {
        pci->config[LOCK] = was;
        return;
    }
    s->lock = now;
    if ((was ^ now) & LOCK_ON) {
        esb_begin(s, now & LOCK_ON ? 1 : 0);
    }
}

/* --- Life --- */

static const struct vr_pci_reg esb_config_regs[] = {
    VR_PCI_REG(CONFIG, 2, "WDT_CONFIG", "interrupt, clock, output",
               .wmask = CONFIG_INT | CONFIG_FAST | CONFIG_QUIET),
    VR_PCI_REG(LOCK, 1, "WDT_LOCK", "on, free running, locked",
               .wmask = LOCK_LOCKED | LOCK_ON | LOCK_FREE),
    VR_PCI_REG_END,
};

static const struct vr_pci_class esb_pci = {
    .vendor = 0x8086,
    .device = 0x25ab,
    .subvendor = 0x8086,
    .subdevice = 0x25ab,
    .class_code = 0x088000, /* system peripheral, other */
    .intx = true,
    .bar = {{.kind = VR_PCI_BAR_MEM32, .window = 1}},
    .written = esb_written,
};

static int esb_init(struct vr_dev *d, struct vr_error *err)
{
    struct i6300esb *s = ESB(d);
    while (s->act < VR_WATCHDOGS && strcmp(s->action, esb_actions[s->act]) != 0) {
        s->act++;
    }
    if (strcmp(s->action, "nmi") == 0) {
        return vr_err(
            err, -ENOTSUP,
            "action=nmi: not here, because RISC-V's non-maskable interrupts (Smrnmi) go to "
            "M-mode firmware, and no kernel hears of them; there are reset, shutdown, "
            "poweroff, pause, none");
    }
    if (s->act == VR_WATCHDOGS) {
        return vr_err(err, -EINVAL, "action=%s: expected reset, shutdown, poweroff, pause or none",
                      s->action);
    }
    vr_pci_init(d, &esb_pci);
    vr_pci_add_regs(&s->pci, esb_config_regs);
    vr_timer_init(&s->timer, d->env->clock, &d->lock, esb_fire, s);
    return 0;
}

static void esb_reset(struct vr_dev *d)
{
    ESB(d)->timeout = ESB(d)->timed_out;
    esb_begin(ESB(d), 0);
    vr_pci_reset(d);
}

static int esb_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct i6300esb *s = ESB(d);
    bool on = s->lock & LOCK_ON;
    if (s->lock != s->pci.config[LOCK] || (s->stage && !on)) {
        return vr_err(err, -ERANGE, "a watchdog in an impossible state");
    }
    int r = vr_pci_loaded(d, err);
    if (r < 0) {
        return r;
    }
    s->timed_out = s->timeout;
    if (s->stage) {
        vr_timer_arm(&s->timer, s->end_ns);
    } else {
        vr_timer_cancel(&s->timer);
    }
    esb_sync(s);
    return 0;
}

static void esb_fini(struct vr_dev *d)
{
    vr_timer_fini(&ESB(d)->timer);
    vr_pci_fini(d);
}

#define VR_SELF struct i6300esb
static const struct vr_field esb_fields[] = {
    VR_CONFIG_STR(action,
                  "what it does when it runs out: reset, shutdown (by the machine's power button), "
                  "poweroff, pause, none",
                  .def_str = "reset"),
    VR_PCI_FIELDS(pci),
    VR_STATE_ARRAY(preload, "preload value of each stage", .def = PRELOAD_MAX, .max = PRELOAD_MAX),
    VR_STATE(keys, "keys given", .max = 2),
    VR_STATE(stage, "stage under way; 0: it stands", .max = 2),
    VR_STATE(lock, "register 0x68", .max = 7),
    VR_STATE(interrupt, "the first stage ran out"),
    VR_STATE(timeout, "the second stage ran out, some time"),
    VR_STATE(end_ns, "when the stage ends"),
    VR_HOST(timed_out, "timeout, which a reset leaves as it is"),
    VR_HOST(act, "from action"),
    VR_HOST(timer, "from end_ns"),
    VR_FIELD_END,
};
static const struct vr_reg esb_regs[] = {
    VR_REG(PRELOAD, 4, "preload", "of each stage, 20 bits", .flex = true, .count = 2, .stride = 4,
           .read = esb_read_preload, .write = esb_write_preload),
    VR_REG(STATUS, 4, "status", "the first stage ran out", .flex = true, .read = esb_read_status,
           .write = esb_write_status),
    VR_REG(RELOAD, 4, "reload", "keys, reload, and: the second stage ran out", .flex = true,
           .read = esb_read_reload, .write = esb_write_reload),
    VR_REG_END,
};

const struct vr_dev_class vr_i6300esb_class = {
    .name = "i6300esb",
    .help = "Intel 6300ESB watchdog: resets a guest that hangs",
    .size = sizeof(struct i6300esb),
    .version = 1,
    .fields = esb_fields,
    .pci = offsetof(struct i6300esb, pci),
    .windows = {VR_PCI_CONFIG_WINDOW, {.name = "wdt", .len = 0x1000, .regs = esb_regs}},
    .init = esb_init,
    .reset = esb_reset,
    .loaded = esb_loaded,
    .fini = esb_fini,
};
