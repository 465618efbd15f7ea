/* The virtio input device with a power button. VIRTIO 1.2, section 5.8. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/input.h"

#include <errno.h>

static int setup(void **state)
{
    return vd_setup(state, VD_CLASS(input), VD_OPTS);
}

static unsigned ask(struct vd *d, unsigned select, unsigned subsel)
{
    vd_config_set(d, 0, 1, select);
    vd_config_set(d, 1, 1, subsel);
    return (unsigned)vd_config(d, 2, 1);
}

static void it_says_what_it_is(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_get(d, VD_DEVICE_ID), 18);
    assert_int_equal(vd_config(d, 2, 1), 0); /* nothing was asked */
    assert_int_equal(ask(d, 1, 0), 18);
    assert_int_equal(vd_config(d, 8, 1), 'V');
    assert_int_equal(vd_config(d, 8 + 17, 1), 'n');
    assert_int_equal(ask(d, 3, 0), 8);
    assert_int_equal(vd_config(d, 8, 2), 6); /* a virtual bus */
    /* The power key, and no other. */
    assert_int_equal(ask(d, 0x11, 1), 15);
    for (unsigned i = 0; i < 15; i++) {
        assert_int_equal(vd_config(d, 8 + i, 1), i == 14 ? 1 << 4 : 0);
    }
    /* No relative axes, no lamps, no such question. */
    assert_int_equal(ask(d, 0x11, 2), 0);
    assert_int_equal(ask(d, 0x11, 0x11), 0);
    assert_int_equal(ask(d, 0x12, 0), 0);
    assert_int_equal(ask(d, 0xff, 0xff), 0);
    assert_int_equal(f->dev->guest_errors, 0);
    vd_config_set(d, 2, 1, 5);
    vd_config_set(d, 0, 2, 1);
    vd_config_set(d, 8, 1, 1);
    assert_int_equal(f->dev->guest_errors, 3);
}

static void expect_event(struct vd *d, unsigned type, unsigned code, unsigned value,
                         const struct vd_buf *buf)
{
    uint16_t head;
    uint32_t len;
    assert_true(vd_used(d, 0, &head, &len));
    assert_int_equal(len, 8);
    const uint8_t *e = vd_hva(d, buf->gpa);
    assert_int_equal(vr_load_le16(e), type);
    assert_int_equal(vr_load_le16(e + 2), code);
    assert_int_equal(vr_load_le32(e + 4), value);
}

static void a_press_is_down_and_up(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    uint16_t head;
    uint32_t len;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        struct vd_buf bufs[8];
        struct vr_error err;
        vd_set(d, VD_STATUS, 0); /* reset */
        assert_int_equal(vr_virtio_input_press(f->dev, &err), -ENODEV);
        vd_start(d, vd_modes[m].features, 16);
        for (unsigned i = 0; i < 2; i++) {
            bufs[i] = vd_in(d, 8);
            vd_add(d, 0, &bufs[i], 1);
        }
        vd_kick(d, 0);
        assert_int_equal(vr_virtio_input_press(f->dev, &err), 0);
        expect_event(d, 1, 116, 1, &bufs[0]);
        expect_event(d, 0, 0, 0, &bufs[1]);
        assert_false(vd_used(d, 0, &head, &len));
        /* Impatience is no second press. */
        assert_int_equal(vr_virtio_input_press(f->dev, &err), 0);
        for (unsigned i = 2; i < 8; i++) {
            bufs[i] = vd_in(d, 64);
            vd_add(d, 0, &bufs[i], 1);
        }
        vd_kick(d, 0);
        expect_event(d, 1, 116, 0, &bufs[2]);
        expect_event(d, 0, 0, 0, &bufs[3]);
        assert_false(vd_used(d, 0, &head, &len));
        /* What waited when the driver began anew is forgotten. */
        assert_int_equal(vr_virtio_input_press(f->dev, &err), 0);
        for (unsigned i = 0; i < 4; i++) {
            assert_true(vd_used(d, 0, &head, &len));
        }
        struct vd_buf lamp = vd_out(d, "\x11\0\0\0\1\0\0\0", 8);
        assert_int_equal(vd_do(d, 1, &lamp, 1), 0);
        assert_int_equal(f->dev->guest_errors, 0);
    }
}

static void a_small_buffer_breaks_it(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    struct vr_error err;
    vd_start(d, 0, 16);
    struct vd_buf small = vd_in(d, 7);
    vd_add(d, 0, &small, 1);
    vd_kick(d, 0);
    assert_false(vd_needs_reset(d)); /* nothing to put there yet */
    assert_int_equal(vr_virtio_input_press(f->dev, &err), 0);
    assert_true(vd_needs_reset(d));
    assert_int_equal(vr_virtio_input_press(f->dev, &err), -ENODEV);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(it_says_what_it_is),
        T(a_press_is_down_and_up),
        T(a_small_buffer_breaks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
