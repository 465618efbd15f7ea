/* The test finisher: power off, reset, fail. */
#include "dev/misc/sifive_test.h"
#include "rig.h"

static void words_end_the_machine(void **state)
{
    static const struct {
        uint32_t word;
        unsigned width;
        enum vr_request what;
        unsigned code;
    } in[] = {
        {0x5555, 4, VR_REQ_POWEROFF, 0},      {0x7777, 4, VR_REQ_RESET, 0},
        {0x3333, 4, VR_REQ_FAIL, 0},          {0x00013333, 4, VR_REQ_FAIL, 1},
        {0xffff3333, 4, VR_REQ_FAIL, 0xffff}, {0x5555, 2, VR_REQ_POWEROFF, 0},
    };
    struct rig rig;
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_sifive_test_class, NULL);
    for (unsigned i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        vr_dev_write(dev, 0, 0, in[i].width, in[i].word);
        assert_int_equal(rig.request, in[i].what);
        assert_int_equal(rig.code, in[i].code);
        assert_int_equal(rig.requests, i + 1);
    }
    assert_int_equal(vr_dev_read(dev, 0, 0, 4), 0);
    assert_int_equal(dev->guest_errors, 0);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

static void other_words_do_nothing(void **state)
{
    static const uint32_t in[] = {0, 1, 0x55555555 ^ 1, 0x7776, 0x33330000, 0xffffffff};
    struct rig rig;
    (void)state;
    rig_init(&rig);
    struct vr_dev *dev = rig_dev(&rig, &vr_sifive_test_class, NULL);
    for (unsigned i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
        vr_dev_write(dev, 0, 0, 4, in[i]);
    }
    vr_dev_write(dev, 0, 4, 4, 0x5555);
    vr_dev_write(dev, 0, 0xffc, 4, 0x5555);
    assert_int_equal(rig.requests, 0);
    assert_int_equal(dev->guest_errors, 8);
    vr_dev_destroy(dev);
    rig.env.request = NULL; /* a machine that hears nothing */
    dev = rig_dev(&rig, &vr_sifive_test_class, NULL);
    vr_dev_write(dev, 0, 0, 4, 0x5555);
    rig_storm(&rig, dev, 8, 20000);
    vr_dev_destroy(dev);
    rig_fini(&rig);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_end_the_machine),
        cmocka_unit_test(other_words_do_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
