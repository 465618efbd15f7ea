/* VM generation ID: what it begins with, when it changes, and that the guest hears of it. */
#include "core/snap.h"
#include "dev/misc/vmgenid.h"
#include "rig.h"

struct genid_rig {
    struct rig rig;
    struct vr_dev *dev;
    struct sink irq;
};

static void open_genid(struct genid_rig *r)
{
    rig_init(&r->rig);
    r->irq = (struct sink){0};
    r->dev = rig_dev(&r->rig, &vr_vmgenid_class, "low=0x1122334455667788,high=0x99aabbccddeeff00");
    vr_irq_connect(vr_vmgenid_irq(r->dev), sink_set, &r->irq, 12);
}

static void close_genid(struct genid_rig *r)
{
    vr_dev_destroy(r->dev);
    rig_fini(&r->rig);
}

static void it_reads_at_any_width_and_is_not_written(void **state)
{
    struct genid_rig r;
    (void)state;
    open_genid(&r);
    assert_int_equal(vr_dev_read(r.dev, 0, 0, 8), 0x1122334455667788);
    assert_int_equal(vr_dev_read(r.dev, 0, 8, 8), 0x99aabbccddeeff00);
    assert_int_equal(vr_dev_read(r.dev, 0, 4, 4), 0x11223344);
    assert_int_equal(vr_dev_read(r.dev, 0, 15, 1), 0x99);
    vr_dev_write(r.dev, 0, 0, 8, 1);
    assert_int_equal(vr_dev_read(r.dev, 0, 0, 8), 0x1122334455667788);
    close_genid(&r);
}

static void a_new_generation_is_told_by_one_pulse_and_outlives_a_reset(void **state)
{
    struct genid_rig r;
    struct vr_error err;
    (void)state;
    open_genid(&r);
    assert_int_equal(r.irq.rises, 0);
    assert_int_equal(vr_vmgenid_renew(r.dev, &err), 0);
    assert_int_equal(r.irq.rises, 1);
    assert_false(r.irq.level);
    uint64_t low = vr_dev_read(r.dev, 0, 0, 8), high = vr_dev_read(r.dev, 0, 8, 8);
    assert_true(low != 0x1122334455667788 && high != 0x99aabbccddeeff00);
    vr_dev_reset(r.dev);
    assert_int_equal(vr_dev_read(r.dev, 0, 0, 8), low);
    assert_int_equal(vr_dev_read(r.dev, 0, 8, 8), high);
    assert_int_equal(vr_vmgenid_renew(r.dev, &err), 0);
    assert_true(vr_dev_read(r.dev, 0, 0, 8) != low);
    close_genid(&r);
}

/* A migrated machine is the same one: whoever forks or restores says otherwise. */
static void saving_and_loading_keep_it(void **state)
{
    struct genid_rig a, b;
    struct vr_error err;
    struct vr_snap snap;
    (void)state;
    open_genid(&a);
    open_genid(&b);
    vr_snap_init(&snap);
    assert_int_equal(vr_vmgenid_renew(a.dev, &err), 0);
    assert_int_equal(vr_dev_save(a.dev, &snap, &err), 0);
    assert_int_equal(vr_dev_load(b.dev, &snap, &err), 0);
    assert_int_equal(vr_dev_read(b.dev, 0, 0, 8), vr_dev_read(a.dev, 0, 0, 8));
    vr_dev_reset(b.dev);
    assert_int_equal(vr_dev_read(b.dev, 0, 8, 8), vr_dev_read(a.dev, 0, 8, 8));
    assert_int_equal(b.irq.rises, 0);
    vr_snap_fini(&snap);
    close_genid(&a);
    close_genid(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_reads_at_any_width_and_is_not_written),
        cmocka_unit_test(a_new_generation_is_told_by_one_pulse_and_outlives_a_reset),
        cmocka_unit_test(saving_and_loading_keep_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
