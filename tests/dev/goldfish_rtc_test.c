/* Goldfish RTC: time, setting it, the alarm. */
#include "dev/timer/goldfish_rtc.h"
#include "rig.h"

enum {
    TIME_LOW = 0x00,
    TIME_HIGH = 0x04,
    ALARM_LOW = 0x08,
    ALARM_HIGH = 0x0c,
    IRQ_ENABLED = 0x10,
    ALARM_CLEAR = 0x14,
    ALARM_STATUS = 0x18,
    IRQ_CLEAR = 0x1c
};

struct rtc_rig {
    struct rig rig;
    struct vr_dev *dev;
    struct sink irq;
};

static void open_rtc(struct rtc_rig *r, const char *opts)
{
    rig_init(&r->rig);
    r->irq = (struct sink){0};
    r->dev = rig_dev(&r->rig, &vr_goldfish_rtc_class, opts);
    vr_irq_connect(vr_goldfish_rtc_irq(r->dev), sink_set, &r->irq, 11);
}

static void close_rtc(struct rtc_rig *r)
{
    vr_dev_destroy(r->dev);
    rig_fini(&r->rig);
}

static uint32_t get(struct rtc_rig *r, unsigned reg)
{
    return (uint32_t)vr_dev_read(r->dev, 0, reg, 4);
}

static void put(struct rtc_rig *r, unsigned reg, uint32_t val)
{
    vr_dev_write(r->dev, 0, reg, 4, val);
}

static uint64_t now(struct rtc_rig *r)
{
    uint64_t low = get(r, TIME_LOW);
    return low | (uint64_t)get(r, TIME_HIGH) << 32;
}

static void alarm_at(struct rtc_rig *r, uint64_t at)
{
    put(r, ALARM_HIGH, (uint32_t)(at >> 32));
    put(r, ALARM_LOW, (uint32_t)at);
}

static void time_runs_and_latches(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, "epoch_ns=0x17fffffffff");
    assert_int_equal(get(&r, TIME_LOW), 0xffffffff);
    vr_clock_step(r.rig.env.clock, 1);
    assert_int_equal(get(&r, TIME_HIGH), 0x17f); /* latched before the carry */
    assert_int_equal(now(&r), 0x18000000000);
    vr_clock_step(r.rig.env.clock, 1000000000);
    assert_int_equal(now(&r), 0x18000000000 + 1000000000);
    assert_int_equal(r.dev->guest_errors, 0);
    close_rtc(&r);
}

static void guest_sets_the_time(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, "epoch_ns=1000");
    vr_clock_step(r.rig.env.clock, 500);
    put(&r, TIME_HIGH, 0x1234);
    put(&r, TIME_LOW, 0x80000000);
    assert_int_equal(now(&r), 0x123480000000);
    vr_clock_step(r.rig.env.clock, 77);
    assert_int_equal(now(&r), 0x123480000000 + 77);
    vr_dev_reset(r.dev);
    assert_int_equal(now(&r), 1577);
    close_rtc(&r);
}

/* The machine was loaded from a snapshot of some time ago. */
static void time_goes_on_over_a_snapshot(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, "epoch_ns=1000");
    put(&r, IRQ_ENABLED, 1);
    alarm_at(&r, 5000);
    vr_goldfish_rtc_advance(r.dev, 3000, 77000);
    assert_int_equal(now(&r), 4000);
    assert_false(r.irq.level);
    vr_goldfish_rtc_advance(r.dev, 3000, 77000);
    assert_int_equal(now(&r), 7000);
    assert_true(r.irq.level); /* it was missed */
    vr_dev_reset(r.dev);
    assert_int_equal(now(&r), 77000);
    close_rtc(&r);
}

static void alarm_rings_once(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, "epoch_ns=0x200000000");
    put(&r, IRQ_ENABLED, 1);
    alarm_at(&r, 0x200000064);
    assert_int_equal(get(&r, ALARM_STATUS), 1);
    assert_int_equal(get(&r, ALARM_LOW), 0x64);
    assert_int_equal(get(&r, ALARM_HIGH), 2);
    vr_clock_step(r.rig.env.clock, 99);
    assert_false(r.irq.level);
    vr_clock_step(r.rig.env.clock, 1);
    assert_true(r.irq.level);
    assert_int_equal(r.irq.pin, 11);
    assert_int_equal(get(&r, ALARM_STATUS), 0);
    put(&r, IRQ_CLEAR, 1);
    assert_false(r.irq.level);
    vr_clock_step(r.rig.env.clock, 1000000);
    assert_int_equal(r.irq.rises, 1);
    close_rtc(&r);
}

static void alarm_cancelled_late_masked_never(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, "epoch_ns=1000");
    put(&r, IRQ_ENABLED, 1);
    alarm_at(&r, 1100);
    put(&r, ALARM_CLEAR, 1);
    assert_int_equal(get(&r, ALARM_STATUS), 0);
    vr_clock_step(r.rig.env.clock, 200);
    assert_int_equal(r.irq.rises, 0);
    alarm_at(&r, 5); /* past: at once */
    assert_true(r.irq.level);
    put(&r, IRQ_CLEAR, 1);
    put(&r, IRQ_ENABLED, 0);
    alarm_at(&r, 1300);
    vr_clock_step(r.rig.env.clock, 100);
    assert_false(r.irq.level);
    put(&r, IRQ_ENABLED, 1); /* it was kept */
    assert_true(r.irq.level);
    put(&r, IRQ_CLEAR, 0);
    alarm_at(&r, UINT64_MAX);
    vr_clock_step(r.rig.env.clock, UINT64_C(1) << 62);
    assert_false(r.irq.level);
    assert_int_equal(get(&r, ALARM_STATUS), 1);
    close_rtc(&r);
}

static void setting_the_time_moves_the_alarm(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, NULL);
    put(&r, IRQ_ENABLED, 1);
    alarm_at(&r, 5000);
    put(&r, TIME_LOW, 4000);
    vr_clock_step(r.rig.env.clock, 999);
    assert_false(r.irq.level);
    vr_clock_step(r.rig.env.clock, 1);
    assert_true(r.irq.level);
    put(&r, IRQ_CLEAR, 1);
    alarm_at(&r, 0x900000000);
    put(&r, TIME_HIGH, 0x10);
    assert_true(r.irq.level);
    close_rtc(&r);
}

static void restored_alarm_rings(void **state)
{
    struct rtc_rig r;
    struct sink irq = {0};
    (void)state;
    open_rtc(&r, "epoch_ns=1000");
    put(&r, IRQ_ENABLED, 1);
    alarm_at(&r, 1500);
    put(&r, ALARM_HIGH, 7); /* by itself moves nothing */
    /* Another host, started at another time: the guest's time goes on. */
    struct vr_dev *b = rig_dev(&r.rig, &vr_goldfish_rtc_class, "epoch_ns=777777");
    vr_irq_connect(vr_goldfish_rtc_irq(b), sink_set, &irq, 0);
    assert_int_equal(rig_copy(r.dev, b), 0);
    vr_clock_step(r.rig.env.clock, 499);
    assert_false(irq.level);
    vr_clock_step(r.rig.env.clock, 1);
    assert_true(irq.level);
    assert_int_equal(vr_dev_read(b, 0, TIME_LOW, 4), 1500);
    vr_dev_destroy(b);
    close_rtc(&r);
}

/* THREATS 1 and 19: any register, any width, any value. */
static void random_accesses_do_no_harm(void **state)
{
    struct rtc_rig r;
    (void)state;
    open_rtc(&r, "epoch_ns=1700000000000000000");
    rig_storm(&r.rig, r.dev, 0x24, 50000);
    (void)vr_dev_read(r.dev, 0, 1, 4);
    uint64_t errors = r.dev->guest_errors;
    (void)vr_dev_read(r.dev, 0, TIME_LOW, 8);
    (void)vr_dev_read(r.dev, 0, 0x20, 4);
    assert_int_equal(r.dev->guest_errors, errors + 2);
    vr_dev_reset(r.dev);
    assert_false(r.irq.level);
    close_rtc(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_runs_and_latches),
        cmocka_unit_test(guest_sets_the_time),
        cmocka_unit_test(time_goes_on_over_a_snapshot),
        cmocka_unit_test(alarm_rings_once),
        cmocka_unit_test(alarm_cancelled_late_masked_never),
        cmocka_unit_test(setting_the_time_moves_the_alarm),
        cmocka_unit_test(restored_alarm_rings),
        cmocka_unit_test(random_accesses_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
