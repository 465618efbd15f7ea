/* tohost: how bare-metal test programs report. */
#include "dev/misc/htif.h"
#include "rig.h"

static void odd_values_end_the_machine(void **state)
{
    static const struct {
        uint64_t value;
        unsigned width;
        enum vr_request what;
        unsigned code;
    } in[] = {
        {1, 8, VR_REQ_POWEROFF, 0},
        {1, 4, VR_REQ_POWEROFF, 0},
        {7, 8, VR_REQ_FAIL, 3},
        {1337 << 1 | 1, 4, VR_REQ_FAIL, 1337},
        {UINT64_MAX, 8, VR_REQ_FAIL, UINT32_MAX},
    };
    struct rig rig;
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_htif_class, NULL);
    for (unsigned i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        vr_dev_write(dev, 0, 0, in[i].width, in[i].value);
        assert_int_equal(rig.request, in[i].what);
        assert_int_equal(rig.code, in[i].code);
        assert_int_equal(rig.requests, i + 1);
        vr_dev_write(dev, 0, 0, 8, 0); /* like memory again */
        assert_int_equal(vr_dev_read(dev, 0, 0, 8), 0);
    }
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void even_values_are_only_stored(void **state)
{
    struct rig rig;
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_htif_class, NULL);
    vr_dev_write(dev, 0, 0, 8, 0x80001000);
    assert_int_equal(vr_dev_read(dev, 0, 0, 8), 0x80001000);
    assert_int_equal(vr_dev_read(dev, 0, 1, 1), 0x10);
    assert_int_equal(rig.requests, 0);
    assert_int_equal(dev->guest_errors, 1);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(odd_values_end_the_machine),
        cmocka_unit_test(even_values_are_only_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
