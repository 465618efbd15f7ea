/* PLIC: gateways, priorities, thresholds, claim and complete. */
#include "dev/irqchip/plic.h"
#include "rig.h"
#include <errno.h>
#include <stdio.h>

enum { PENDING = 0x1000 };

static void set_priority(struct vr_dev *dev, unsigned source, uint32_t val)
{
    vr_dev_write(dev, 0, 4 * source, 4, val);
}

static void enable(struct vr_dev *dev, unsigned context, unsigned source)
{
    uint64_t off = 0x2000 + 0x80 * context + source / 32 * 4;
    vr_dev_write(dev, 0, off, 4, vr_dev_read(dev, 0, off, 4) | UINT32_C(1) << source % 32);
}

static void threshold(struct vr_dev *dev, unsigned context, uint32_t val)
{
    vr_dev_write(dev, 0, 0x200000 + 0x1000 * context, 4, val);
}

static unsigned claim(struct vr_dev *dev, unsigned context)
{
    return (unsigned)vr_dev_read(dev, 0, 0x200004 + 0x1000 * context, 4);
}

static void complete(struct vr_dev *dev, unsigned context, unsigned source)
{
    vr_dev_write(dev, 0, 0x200004 + 0x1000 * context, 4, source);
}

static bool pending(struct vr_dev *dev, unsigned source)
{
    return vr_dev_read(dev, 0, PENDING + source / 32 * 4, 4) >> source % 32 & 1;
}

static struct vr_dev *make(struct rig *rig, struct sink *out, unsigned contexts)
{
    char opts[32];
    rig_init(rig);
    snprintf(opts, sizeof(opts), "contexts=%u", contexts);
    struct vr_dev *dev = rig_dev(rig, &vr_plic_class, opts);
    for (unsigned i = 0; i < contexts; i++) {
        out[i] = (struct sink){0};
        vr_irq_connect(vr_plic_out(dev, i), sink_set, &out[i], i % 2 ? 9 : 11);
    }
    return dev;
}

static void finish(struct rig *rig, struct vr_dev *dev)
{
    vr_dev_destroy(dev);
    rig_fini(rig);
}

static void level_interrupt_life(void **state)
{
    struct rig rig;
    struct sink out[2];
    struct vr_dev *dev = make(&rig, out, 2);
    (void)state;
    set_priority(dev, 10, 1);
    enable(dev, 1, 10);
    vr_plic_set(dev, 10, true);
    assert_true(out[1].level);
    assert_int_equal(out[1].pin, 9);
    assert_false(out[0].level);
    assert_true(pending(dev, 10));
    assert_int_equal(claim(dev, 1), 10);
    assert_false(out[1].level);
    assert_false(pending(dev, 10));
    assert_int_equal(claim(dev, 1), 0);
    /* The wire is still high: pending again as soon as it is completed. */
    complete(dev, 1, 10);
    assert_true(out[1].level);
    assert_int_equal(claim(dev, 1), 10);
    vr_plic_set(dev, 10, false);
    complete(dev, 1, 10);
    assert_false(out[1].level);
    assert_int_equal(claim(dev, 1), 0);
    finish(&rig, dev);
}

static void gateway_is_shut_while_in_service(void **state)
{
    struct rig rig;
    struct sink out[2];
    struct vr_dev *dev = make(&rig, out, 2);
    (void)state;
    set_priority(dev, 3, 7);
    enable(dev, 0, 3);
    vr_plic_set(dev, 3, true);
    assert_int_equal(claim(dev, 0), 3);
    /* A pulse during service leaves no trace; a wire that is high at its end does. */
    vr_plic_set(dev, 3, false);
    vr_plic_set(dev, 3, true);
    assert_false(pending(dev, 3));
    vr_plic_set(dev, 3, false);
    complete(dev, 0, 3);
    assert_false(pending(dev, 3));
    vr_plic_set(dev, 3, true);
    assert_int_equal(claim(dev, 0), 3);
    vr_plic_set(dev, 3, false);
    vr_plic_set(dev, 3, true);
    complete(dev, 0, 3);
    assert_true(pending(dev, 3));
    /* What is pending stays so when the wire falls before the claim. */
    vr_plic_set(dev, 3, false);
    assert_true(out[0].level);
    assert_int_equal(claim(dev, 0), 3);
    complete(dev, 0, 3);
    assert_false(out[0].level);
    finish(&rig, dev);
}

static void best_priority_then_lowest_number(void **state)
{
    static const struct {
        unsigned source, priority;
    } in[] = {{95, 3}, {33, 5}, {1, 2}, {64, 5}, {32, 5}, {31, 0}};
    struct rig rig;
    struct sink out[2];
    struct vr_dev *dev = make(&rig, out, 2);
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        set_priority(dev, in[i].source, in[i].priority);
        enable(dev, 0, in[i].source);
        vr_plic_set(dev, in[i].source, true);
    }
    assert_int_equal(claim(dev, 0), 32);
    assert_int_equal(claim(dev, 0), 33);
    assert_int_equal(claim(dev, 0), 64);
    assert_int_equal(claim(dev, 0), 95);
    assert_int_equal(claim(dev, 0), 1);
    assert_int_equal(claim(dev, 0), 0); /* priority 0 never interrupts */
    assert_true(pending(dev, 31));
    set_priority(dev, 31, 1);
    assert_true(out[0].level);
    assert_int_equal(claim(dev, 0), 31);
    finish(&rig, dev);
}

static void threshold_masks_the_wire_not_the_claim(void **state)
{
    struct rig rig;
    struct sink out[2];
    struct vr_dev *dev = make(&rig, out, 2);
    (void)state;
    set_priority(dev, 5, 4);
    enable(dev, 0, 5);
    enable(dev, 1, 5);
    threshold(dev, 0, 4);
    threshold(dev, 1, 3);
    vr_plic_set(dev, 5, true);
    assert_false(out[0].level);
    assert_true(out[1].level);
    threshold(dev, 0, 3);
    assert_true(out[0].level);
    threshold(dev, 0, 0xffffffff);
    assert_int_equal(vr_dev_read(dev, 0, 0x200000, 4), 7);
    assert_false(out[0].level);
    assert_int_equal(claim(dev, 0), 5);
    assert_false(out[1].level); /* one claim takes it from everybody */
    assert_int_equal(claim(dev, 1), 0);
    finish(&rig, dev);
}

static void completion_needs_the_source_enabled(void **state)
{
    struct rig rig;
    struct sink out[4];
    struct vr_dev *dev = make(&rig, out, 4);
    (void)state;
    set_priority(dev, 8, 1);
    enable(dev, 1, 8);
    vr_plic_set(dev, 8, true);
    assert_int_equal(claim(dev, 1), 8);
    complete(dev, 3, 8);
    assert_false(pending(dev, 8));
    complete(dev, 1, 0);
    complete(dev, 1, 9);
    complete(dev, 1, 96);
    complete(dev, 1, 0xffffffff);
    assert_false(pending(dev, 8));
    /* Masked while in service: the completion is lost until it is enabled again. */
    vr_dev_write(dev, 0, 0x2080, 4, 0);
    complete(dev, 1, 8);
    assert_false(pending(dev, 8));
    enable(dev, 1, 8);
    complete(dev, 1, 8);
    assert_true(pending(dev, 8));
    /* Another context that has it enabled may complete it. */
    assert_int_equal(claim(dev, 1), 8);
    enable(dev, 3, 8);
    complete(dev, 3, 8);
    assert_true(out[1].level && out[3].level);
    finish(&rig, dev);
}

static void what_is_not_there_reads_zero(void **state)
{
    struct rig rig;
    struct sink out[2];
    struct vr_dev *dev = make(&rig, out, 2);
    (void)state;
    set_priority(dev, 0, 7);
    set_priority(dev, 96, 7);
    set_priority(dev, 1023, 7);
    assert_int_equal(vr_dev_read(dev, 0, 0, 4), 0);
    assert_int_equal(vr_dev_read(dev, 0, 4 * 96, 4), 0);
    vr_dev_write(dev, 0, 0x2000, 4, 0xffffffff);
    vr_dev_write(dev, 0, 0x2008, 4, 0xffffffff);
    vr_dev_write(dev, 0, 0x200c, 4, 0xffffffff);
    assert_int_equal(vr_dev_read(dev, 0, 0x2000, 4), 0xfffffffe); /* no source 0 */
    assert_int_equal(vr_dev_read(dev, 0, 0x2008, 4), 0xffffffff); /* 64 to 95 */
    assert_int_equal(vr_dev_read(dev, 0, 0x200c, 4), 0);
    vr_dev_write(dev, 0, 0x2100, 4, 0xffffffff); /* no context 2 */
    assert_int_equal(vr_dev_read(dev, 0, 0x2100, 4), 0);
    vr_dev_write(dev, 0, PENDING, 4, 0xffffffff);
    assert_false(pending(dev, 5));
    uint64_t errors = dev->guest_errors;
    assert_int_equal(claim(dev, 2), 0);
    (void)vr_dev_read(dev, 0, 0x200000, 8);
    (void)vr_dev_read(dev, 0, 0x200000, 1);
    assert_int_equal(dev->guest_errors, errors + 3);
    assert_int_equal(vr_plic_len(8), 0x208000);
    finish(&rig, dev);
}

static void restored_mid_service(void **state)
{
    struct rig rig;
    struct sink out[2], other[2] = {{0}};
    struct vr_dev *a = make(&rig, out, 2);
    (void)state;
    struct vr_dev *b = rig_dev(&rig, &vr_plic_class, "contexts=2");
    vr_irq_connect(vr_plic_out(b, 0), sink_set, &other[0], 0);
    set_priority(a, 20, 1);
    set_priority(a, 21, 1);
    enable(a, 0, 20);
    enable(a, 0, 21);
    vr_plic_set(a, 20, true);
    assert_int_equal(claim(a, 0), 20);
    vr_plic_set(a, 21, true);
    assert_int_equal(rig_copy(a, b), 0);
    assert_true(other[0].level);
    vr_plic_set(b, 20, true); /* the source drives its wire again: no news */
    assert_int_equal(claim(b, 0), 21);
    assert_int_equal(claim(b, 0), 0);
    complete(b, 0, 20);
    assert_int_equal(claim(b, 0), 20);
    /* Fewer sources than the snapshot speaks of: refused, and reset. */
    struct vr_dev *c = rig_dev(&rig, &vr_plic_class, "contexts=2,sources=20");
    assert_int_equal(rig_copy(a, c), -ERANGE);
    assert_int_equal(vr_dev_read(c, 0, 4 * 20, 4), 0);
    vr_dev_destroy(b);
    vr_dev_destroy(c);
    finish(&rig, a);
}

static void reset_forgets(void **state)
{
    struct rig rig;
    struct sink out[2];
    struct vr_dev *dev = make(&rig, out, 2);
    (void)state;
    set_priority(dev, 9, 1);
    enable(dev, 0, 9);
    vr_plic_set(dev, 9, true);
    vr_dev_reset(dev);
    assert_false(out[0].level);
    assert_false(pending(dev, 9));
    assert_int_equal(vr_dev_read(dev, 0, 36, 4), 0);
    finish(&rig, dev);
}

/* THREATS 19: any register, any width, any value, while the wires move. */
static void random_accesses_do_no_harm(void **state)
{
    struct rig rig;
    static struct sink out[VR_PLIC_CONTEXTS];
    struct vr_dev *dev = make(&rig, out, VR_PLIC_CONTEXTS);
    uint64_t seed = 42;
    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        unsigned source = 1 + (unsigned)(rig_random(&seed) % VR_PLIC_SOURCES);
        vr_plic_set(dev, source, i % 3 != 0);
        rig_storm(&rig, dev, i % 2 ? 0x400 : 0x202000, 200);
        (void)claim(dev, i % VR_PLIC_CONTEXTS);
    }
    struct vr_dev *twin = rig_dev(&rig, &vr_plic_class, "contexts=128");
    assert_int_equal(rig_copy(dev, twin), 0);
    for (unsigned i = 0; i < VR_PLIC_CONTEXTS; i++) {
        assert_int_equal(vr_plic_out(twin, i)->level, out[i].level);
        assert_int_equal(claim(twin, i), claim(dev, i));
    }
    vr_dev_destroy(twin);
    finish(&rig, dev);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(level_interrupt_life),
        cmocka_unit_test(gateway_is_shut_while_in_service),
        cmocka_unit_test(best_priority_then_lowest_number),
        cmocka_unit_test(threshold_masks_the_wire_not_the_claim),
        cmocka_unit_test(completion_needs_the_source_enabled),
        cmocka_unit_test(what_is_not_there_reads_zero),
        cmocka_unit_test(restored_mid_service),
        cmocka_unit_test(reset_forgets),
        cmocka_unit_test(random_accesses_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
