/* CLINT and ACLINT SSWI: time, deadlines, software interrupts. */
#include "dev/irqchip/aclint_sswi.h"
#include "dev/irqchip/clint.h"
#include "rig.h"
#include <errno.h>

enum { MTIMECMP = 0x4000, MTIME = 0xbff8 };

static void connect(struct vr_dev *dev, struct sink *soft, struct sink *timer, unsigned harts)
{
    for (unsigned i = 0; i < harts; i++) {
        soft[i] = timer[i] = (struct sink){0};
        vr_irq_connect(vr_clint_msip(dev, i), sink_set, &soft[i], 3);
        vr_irq_connect(vr_clint_mtip(dev, i), sink_set, &timer[i], 7);
    }
}

static void time_runs_at_10_mhz(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    vr_clock_step(rig.env.clock, 12345);
    struct vr_dev *dev = rig_dev(&rig, &vr_clint_class, NULL);
    assert_int_equal(vr_dev_read(dev, 0, MTIME, 8), 0);
    vr_clock_step(rig.env.clock, 1000);
    assert_int_equal(vr_dev_read(dev, 0, MTIME, 8), 10);
    assert_int_equal(vr_clint_mtime(dev), 10);
    vr_dev_write(dev, 0, MTIME, 8, 0x1234567800000000);
    assert_int_equal(vr_dev_read(dev, 0, MTIME + 4, 4), 0x12345678);
    vr_clock_step(rig.env.clock, 700);
    assert_int_equal(vr_dev_read(dev, 0, MTIME, 4), 7);
    vr_dev_write(dev, 0, MTIME + 4, 4, 1);
    assert_int_equal(vr_clint_mtime(dev), 0x100000007);
    vr_dev_reset(dev);
    assert_int_equal(vr_clint_mtime(dev), 0);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void timer_rises_on_its_tick(void **state)
{
    struct rig rig;
    struct sink soft[4], timer[4];
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_clint_class, "harts=4");
    connect(dev, soft, timer, 4);
    vr_clock_step(rig.env.clock, UINT64_C(1000000000000));
    assert_int_equal(timer[2].rises, 0); /* resets to never */
    uint64_t mtime = vr_clint_mtime(dev);
    vr_dev_write(dev, 0, MTIMECMP + 16, 8, mtime + 50);
    assert_int_equal(vr_clint_when_ns(dev, mtime + 50), UINT64_C(1000000005000));
    vr_clock_step(rig.env.clock, 4999);
    assert_false(timer[2].level);
    vr_clock_step(rig.env.clock, 1);
    assert_true(timer[2].level);
    assert_int_equal(timer[2].pin, 7);
    assert_int_equal(timer[0].rises + timer[1].rises + timer[3].rises, 0);
    /* By halves, as a 32-bit guest does: high to the far future first. */
    vr_dev_write(dev, 0, MTIMECMP + 20, 4, 0xffffffff);
    assert_false(timer[2].level);
    vr_dev_write(dev, 0, MTIMECMP + 16, 4, (uint32_t)(mtime + 60));
    vr_dev_write(dev, 0, MTIMECMP + 20, 4, (mtime + 60) >> 32);
    assert_int_equal(vr_dev_read(dev, 0, MTIMECMP + 16, 8), mtime + 60);
    vr_clock_step(rig.env.clock, 999);
    assert_false(timer[2].level);
    vr_clock_step(rig.env.clock, 1);
    assert_true(timer[2].level);
    /* Time set forward and back moves the others' deadlines too. */
    vr_dev_write(dev, 0, MTIMECMP, 8, UINT64_C(1) << 60);
    vr_dev_write(dev, 0, MTIME, 8, UINT64_C(1) << 60);
    assert_true(timer[0].level);
    vr_dev_write(dev, 0, MTIME, 8, (UINT64_C(1) << 60) - 3);
    assert_false(timer[0].level);
    vr_clock_step(rig.env.clock, 300);
    assert_true(timer[0].level);
    vr_dev_reset(dev);
    assert_false(timer[0].level);
    assert_false(timer[2].level);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void timer_falls_when_time_wraps(void **state)
{
    struct rig rig;
    struct sink soft[1], timer[1];
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_clint_class, NULL);
    connect(dev, soft, timer, 1);
    vr_dev_write(dev, 0, MTIMECMP, 8, UINT64_MAX - 1);
    vr_dev_write(dev, 0, MTIME, 8, UINT64_MAX - 5);
    vr_clock_step(rig.env.clock, 399);
    assert_false(timer[0].level);
    vr_clock_step(rig.env.clock, 1);
    assert_true(timer[0].level);
    vr_clock_step(rig.env.clock, 199);
    assert_true(timer[0].level);
    vr_clock_step(rig.env.clock, 1);
    assert_false(timer[0].level);
    assert_int_equal(vr_clint_mtime(dev), 0);
    vr_dev_write(dev, 0, MTIMECMP, 8, 0);
    assert_true(timer[0].level);
    assert_int_equal(vr_clint_when_ns(dev, UINT64_MAX), UINT64_MAX);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void software_interrupts_reach_their_hart(void **state)
{
    struct rig rig;
    struct sink soft[3], timer[3];
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_clint_class, "harts=3");
    connect(dev, soft, timer, 3);
    vr_dev_write(dev, 0, 4, 4, 0xfffffffe);
    assert_int_equal(soft[1].rises, 0);
    vr_dev_write(dev, 0, 4, 4, 1);
    assert_true(soft[1].level);
    assert_int_equal(soft[1].pin, 3);
    assert_int_equal(vr_dev_read(dev, 0, 4, 4), 1);
    assert_int_equal(vr_dev_read(dev, 0, 0, 8), UINT64_C(1) << 32);
    vr_dev_write(dev, 0, 0, 8, 1);
    assert_true(soft[0].level);
    assert_false(soft[1].level);
    assert_int_equal(dev->guest_errors, 0);
    /* No hart 3: nothing happens, and it is counted. */
    vr_dev_write(dev, 0, 12, 4, 1);
    vr_dev_write(dev, 0, MTIMECMP + 24, 8, 0);
    assert_int_equal(vr_dev_read(dev, 0, 12, 4), 0);
    assert_int_equal(vr_dev_read(dev, 0, 0x8000, 4), 0);
    assert_int_equal(dev->guest_errors, 4);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void restored_deadlines_hold(void **state)
{
    struct rig rig;
    struct sink soft[2], timer[2];
    (void)state;
    rig_init(&rig);
    struct vr_dev *a = rig_dev(&rig, &vr_clint_class, "harts=2");
    vr_dev_write(a, 0, MTIME, 8, 1000);
    vr_dev_write(a, 0, MTIMECMP, 8, 1010);
    vr_dev_write(a, 0, 4, 4, 1);
    struct vr_dev *b = rig_dev(&rig, &vr_clint_class, "harts=2");
    connect(b, soft, timer, 2);
    assert_int_equal(rig_copy(a, b), 0);
    assert_true(soft[1].level);
    vr_clock_step(rig.env.clock, 999);
    assert_false(timer[0].level);
    vr_clock_step(rig.env.clock, 1);
    assert_true(timer[0].level);
    vr_dev_destroy(a);
    vr_dev_destroy(b);
    rig_fini(&rig);
}

static void options_are_checked(void **state)
{
    struct rig rig;
    struct vr_dev *dev;
    (void)state;
    rig_init(&rig);
    assert_int_equal(vr_dev_create(&vr_clint_class, "x", "harts=65", &rig.env, &dev, NULL),
                     -ERANGE);
    assert_int_equal(vr_dev_create(&vr_clint_class, "x", "harts=0", &rig.env, &dev, NULL), -ERANGE);
    rig_fini(&rig);
}

static void sswi_pulses(void **state)
{
    struct rig rig;
    struct sink s[2] = {{0}};
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_aclint_sswi_class, "harts=2");
    vr_irq_connect(vr_aclint_sswi_ssip(dev, 0), sink_set, &s[0], 1);
    vr_irq_connect(vr_aclint_sswi_ssip(dev, 1), sink_set, &s[1], 1);
    vr_dev_write(dev, 0, 4, 4, 1);
    vr_dev_write(dev, 0, 4, 4, 1);
    vr_dev_write(dev, 0, 4, 4, 0);
    assert_int_equal(s[1].rises, 2);
    assert_int_equal(s[1].falls, 2);
    assert_int_equal(s[0].rises, 0);
    assert_int_equal(vr_dev_read(dev, 0, 4, 4), 0);
    assert_int_equal(dev->guest_errors, 0);
    vr_dev_write(dev, 0, 8, 4, 1);
    assert_int_equal(dev->guest_errors, 1);
    rig_storm(&rig, dev, 0x100, 20000);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

/* THREATS 19: any register, any width, any value. */
static void random_accesses_do_no_harm(void **state)
{
    struct rig rig;
    struct sink soft[5], timer[5];
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_clint_class, "harts=5");
    connect(dev, soft, timer, 5);
    rig_storm(&rig, dev, 32, 20000);
    rig_storm(&rig, dev, 0x10000, 20000);
    vr_dev_reset(dev);
    assert_int_equal(vr_dev_read(dev, 0, MTIMECMP, 8), UINT64_MAX);
    for (unsigned i = 0; i < 5; i++) {
        assert_false(soft[i].level);
        assert_false(timer[i].level);
    }
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(time_runs_at_10_mhz),
        cmocka_unit_test(timer_rises_on_its_tick),
        cmocka_unit_test(timer_falls_when_time_wraps),
        cmocka_unit_test(software_interrupts_reach_their_hart),
        cmocka_unit_test(restored_deadlines_hold),
        cmocka_unit_test(options_are_checked),
        cmocka_unit_test(sswi_pulses),
        cmocka_unit_test(random_accesses_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
