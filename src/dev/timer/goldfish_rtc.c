/*
 * Goldfish RTC: a wall clock in nanoseconds since 1970 UTC, with one alarm.
 *
 * Reading TIME_LOW latches TIME_HIGH, so drivers read LOW first. Writing either half replaces that
 * half of the running time (drivers write HIGH first) and moves an armed alarm with it. Writing
 * ALARM_LOW arms the alarm with ALARM_HIGH as it stands, so drivers write ALARM_HIGH first. An
 * alarm in the past rings at once. The time runs on the guest's clock: it stands while the machine
 * is paused; a restored machine is advanced by its board. A reset puts the time back to the host's.
 *
 * Specification: Android emulator, GOLDFISH-VIRTUAL-HARDWARE.TXT, section "Goldfish real-time
 * clock".
 */
#include "dev/timer/goldfish_rtc.h"

#include <inttypes.h>

struct rtc {
    struct vr_dev dev;
    struct vr_timer timer;
    struct vr_irq irq;
    uint64_t epoch_ns; /* config */
    uint64_t base_ns;  /* state, from here on: wall time minus the clock */
    uint64_t alarm_ns, deadline_ns;
    uint32_t time_high;
    bool armed, irq_enabled, irq_pending;
};
#define RTC(d) ((struct rtc *)(d))

static uint64_t rtc_now(struct rtc *s)
{
    return s->base_ns + vr_clock_now(s->dev.env->clock);
}

static void rtc_update_irq(struct rtc *s)
{
    vr_irq_set(&s->irq, s->irq_enabled && s->irq_pending);
}

/* Ring if it is time, else set the timer for it; armed is set. */
static void rtc_check(struct rtc *s)
{
    uint64_t clock_ns = vr_clock_now(s->dev.env->clock), now = s->base_ns + clock_ns;
    vr_timer_cancel(&s->timer);
    if (s->deadline_ns <= now) {
        s->armed = false;
        s->irq_pending = true;
        rtc_update_irq(s);
    } else if (s->deadline_ns - now < UINT64_MAX - clock_ns) {
        vr_timer_arm(&s->timer, clock_ns + (s->deadline_ns - now));
    }
}

static void rtc_fire(void *arg)
{
    struct rtc *s = arg;
    if (s->armed) {
        rtc_check(s);
    }
}

static uint64_t rtc_read_time_low(struct vr_dev *d, unsigned index)
{
    uint64_t now = rtc_now(RTC(d));
    (void)index;
    RTC(d)->time_high = (uint32_t)(now >> 32);
    return (uint32_t)now;
}

static void rtc_set_time(struct rtc *s, uint64_t time_ns)
{
    s->base_ns += time_ns - rtc_now(s);
    if (s->armed) {
        rtc_check(s);
    }
}

static void rtc_write_time_low(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    rtc_set_time(RTC(d), (rtc_now(RTC(d)) & ~(uint64_t)UINT32_MAX) | (uint32_t)val);
}

static uint64_t rtc_read_time_high(struct vr_dev *d, unsigned index)
{
    (void)index;
    return RTC(d)->time_high;
}

static void rtc_write_time_high(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    rtc_set_time(RTC(d), (uint32_t)rtc_now(RTC(d)) | val << 32);
}

static uint64_t rtc_read_alarm_low(struct vr_dev *d, unsigned index)
{
    (void)index;
    return (uint32_t)RTC(d)->alarm_ns;
}

static void rtc_write_alarm_low(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct rtc *s = RTC(d);
    (void)index;
    s->alarm_ns = (s->alarm_ns & ~(uint64_t)UINT32_MAX) | (uint32_t)val;
    s->deadline_ns = s->alarm_ns;
    s->armed = true;
    rtc_check(s);
}

static uint64_t rtc_read_alarm_high(struct vr_dev *d, unsigned index)
{
    (void)index;
    return RTC(d)->alarm_ns >> 32;
}

static void rtc_write_alarm_high(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    RTC(d)->alarm_ns = (uint32_t)RTC(d)->alarm_ns | val << 32;
}

static void rtc_write_irq_enabled(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    (void)val;
    rtc_update_irq(RTC(d));
}

static void rtc_write_alarm_clear(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    (void)val;
    RTC(d)->armed = false;
    vr_timer_cancel(&RTC(d)->timer);
}

static void rtc_write_irq_clear(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    (void)val;
    RTC(d)->irq_pending = false;
    rtc_update_irq(RTC(d));
}

static int rtc_init(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    vr_timer_init(&RTC(d)->timer, d->env->clock, &d->lock, rtc_fire, d);
    RTC(d)->base_ns = RTC(d)->epoch_ns;
    return 0;
}

static void rtc_reset(struct vr_dev *d)
{
    vr_timer_cancel(&RTC(d)->timer);
    RTC(d)->base_ns = RTC(d)->epoch_ns;
    rtc_update_irq(RTC(d));
}

static int rtc_loaded(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    vr_timer_cancel(&RTC(d)->timer);
    if (RTC(d)->armed) {
        rtc_check(RTC(d));
    }
    rtc_update_irq(RTC(d));
    return 0;
}

static void rtc_fini(struct vr_dev *d)
{
    vr_timer_fini(&RTC(d)->timer);
}

void vr_goldfish_rtc_advance(struct vr_dev *dev, uint64_t ns, uint64_t epoch_ns)
{
    vr_mutex_lock(&dev->lock);
    RTC(dev)->epoch_ns = epoch_ns;
    RTC(dev)->base_ns += ns;
    if (RTC(dev)->armed) {
        rtc_check(RTC(dev));
    }
    vr_mutex_unlock(&dev->lock);
}

struct vr_irq *vr_goldfish_rtc_irq(struct vr_dev *dev)
{
    return &RTC(dev)->irq;
}

static int rtc_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "rtc@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "google,goldfish-rtc");
    vr_fdt_reg(fdt, at);
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct rtc
static const struct vr_field rtc_fields[] = {
    VR_HOST(timer, "set again by rtc_loaded()"),
    VR_HOST(irq, "a wire, driven again by rtc_loaded()"),
    VR_CONFIG(epoch_ns, "wall time when the clock stood at 0, ns since 1970 UTC"),
    VR_STATE(base_ns, "wall time minus the clock; starts as epoch_ns"),
    VR_STATE(alarm_ns, "ALARM_HIGH:ALARM_LOW as last written"),
    VR_STATE(deadline_ns, "when an armed alarm rings; ALARM_HIGH alone does not move it"),
    VR_STATE(time_high, "high half of the last TIME_LOW read"),
    VR_STATE(armed, "the alarm will ring"),
    VR_STATE(irq_enabled, "the guest wants the interrupt"),
    VR_STATE(irq_pending, "the alarm rang and was not acknowledged"),
    VR_FIELD_END,
};
static const struct vr_reg rtc_regs[] = {
    VR_REG(0x00, 4, "TIME_LOW", "time, low half; a read latches TIME_HIGH",
           .read = rtc_read_time_low, .write = rtc_write_time_low),
    VR_REG(0x04, 4, "TIME_HIGH", "time, high half: reads as latched", .read = rtc_read_time_high,
           .write = rtc_write_time_high),
    VR_REG(0x08, 4, "ALARM_LOW", "alarm, low half; a write arms it", .read = rtc_read_alarm_low,
           .write = rtc_write_alarm_low),
    VR_REG(0x0c, 4, "ALARM_HIGH", "alarm, high half", .read = rtc_read_alarm_high,
           .write = rtc_write_alarm_high),
    VR_REG_OF(0x10, 4, "IRQ_ENABLED", irq_enabled, "bit 0 lets the alarm interrupt", .wmask = 1,
              .write = rtc_write_irq_enabled),
    VR_REG(0x14, 4, "ALARM_CLEAR", "any write disarms the alarm", .write = rtc_write_alarm_clear),
    VR_REG_OF(0x18, 4, "ALARM_STATUS", armed, "1 while the alarm is armed"),
    VR_REG(0x1c, 4, "IRQ_CLEAR", "any write acknowledges the interrupt",
           .write = rtc_write_irq_clear),
    VR_REG_END,
};

const struct vr_dev_class vr_goldfish_rtc_class = {
    .name = "goldfish-rtc",
    .help = "Goldfish real-time clock",
    .size = sizeof(struct rtc),
    .version = 1,
    .fields = rtc_fields,
    .windows = {{.name = "rtc", .len = 0x1000, .regs = rtc_regs}},
    .init = rtc_init,
    .reset = rtc_reset,
    .loaded = rtc_loaded,
    .fini = rtc_fini,
    .describe = rtc_describe,
};
