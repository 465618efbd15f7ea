/* The MMIO transport: registers, the handshake and its order, configuration space. VIRTIO 1.2,
 * sections 2.1, 3.1 and 4.2. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "core/fdt.h"
#include "echo_device.h"

static int setup(void **state)
{
    return vd_setup(state, &vr_virtio_echo_mmio_class, NULL);
}

/* Does doing @what count as an error of the guest's? */
#define ERRS(what)                                           \
    do {                                                     \
        uint64_t before_ = f->dev->guest_errors;             \
        what;                                                \
        assert_int_equal(f->dev->guest_errors, before_ + 1); \
    } while (0)

static void identity(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_get(d, VD_MAGIC), 0x74726976);
    assert_int_equal(vd_get(d, VD_VERSION), 2);
    assert_int_equal(vd_get(d, VD_DEVICE_ID), 42);
    assert_int_equal(vd_get(d, 0x0c), 0x65726956);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(vd_get(d, VD_SHM_LEN + 4 * i), UINT32_MAX);
    }
    assert_int_equal(vd_offered(d), VR_VIRTIO_F_VERSION_1 | VR_VIRTIO_F_INDIRECT_DESC |
                                        VR_VIRTIO_F_EVENT_IDX | VR_VIRTIO_F_NOTIFICATION_DATA |
                                        VR_VIRTIO_F_RING_RESET | ECHO_FEATURE | ECHO_NEEDS_FEATURE);
    vd_set(d, VD_DEVICE_FEATURES_SEL, 2);
    assert_int_equal(vd_get(d, VD_DEVICE_FEATURES), 0);
    vd_set(d, VD_DEVICE_FEATURES_SEL, UINT32_MAX);
    assert_int_equal(vd_get(d, VD_DEVICE_FEATURES), 0);
    assert_int_equal(f->dev->guest_errors, 0);
}

static void registers_take_one_width_and_direction(void **state)
{
    struct vd_fixture *f = *state;
    for (unsigned off = 0; off < 0x100; off++) {
        for (unsigned width = 1; width <= 8; width *= 2) {
            if (width != 4 || off % 4) {
                ERRS(assert_int_equal(vr_dev_read(f->dev, 0, off, width), 0));
                ERRS(vr_dev_write(f->dev, 0, off, width, 1));
            }
        }
    }
    static const unsigned write_only[] = {VD_DEVICE_FEATURES_SEL,
                                          VD_DRIVER_FEATURES,
                                          VD_DRIVER_FEATURES_SEL,
                                          VD_QUEUE_SEL,
                                          VD_QUEUE_SIZE,
                                          VD_QUEUE_NOTIFY,
                                          VD_ACK,
                                          VD_DESC};
    static const unsigned read_only[] = {VD_MAGIC,           VD_VERSION, VD_DEVICE_ID,
                                         VD_DEVICE_FEATURES, VD_ISR,     VD_GENERATION};
    for (unsigned i = 0; i < VR_COUNT(write_only); i++) {
        ERRS(vd_get(&f->d, write_only[i]));
    }
    for (unsigned i = 0; i < VR_COUNT(read_only); i++) {
        ERRS(vd_set(&f->d, read_only[i], 0));
    }
}

static void handshake(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_true(vd_negotiate(d, ECHO_FEATURE));
    assert_int_equal(vd_get(d, VD_STATUS), 11);
    vd_set(d, VD_STATUS, 15);
    assert_int_equal(vd_get(d, VD_STATUS), 15);
    assert_int_equal(ECHO(f->dev)->readies, 1);
    assert_int_equal(f->dev->guest_errors, 0);
    /* Bits are not cleared one by one. */
    ERRS(vd_set(d, VD_STATUS, 3));
    assert_int_equal(vd_get(d, VD_STATUS), 15);
    ERRS(vd_set(d, VD_STATUS, 0x10f)); /* eight bits */
    ERRS(vd_set(d, VD_STATUS, 0x1f));  /* an unknown one */
    assert_int_equal(vd_get(d, VD_STATUS), 15);
    vd_set(d, VD_STATUS, 15 | VR_VIRTIO_FAILED);
    assert_int_equal(vd_get(d, VD_STATUS), 15 | VR_VIRTIO_FAILED);
    vd_set(d, VD_STATUS, 0);
    assert_int_equal(vd_get(d, VD_STATUS), 0);
    /* DRIVER_OK before FEATURES_OK. */
    ERRS(vd_set(d, VD_STATUS, 7));
    assert_int_equal(vd_get(d, VD_STATUS), 3);
}

static void features_are_negotiated_once(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    ERRS(assert_false(vd_negotiate(d, 1u << 20))); /* not offered */
    assert_int_equal(vd_get(d, VD_STATUS), 3);
    ERRS(assert_false(vd_negotiate(d, ECHO_NEEDS_FEATURE))); /* not without the other */
    /* The driver may try again without a reset. */
    vd_set(d, VD_DRIVER_FEATURES_SEL, 0);
    vd_set(d, VD_DRIVER_FEATURES, ECHO_NEEDS_FEATURE | ECHO_FEATURE);
    vd_set(d, VD_STATUS, 11);
    assert_int_equal(vd_get(d, VD_STATUS), 11);
    uint64_t features = vr_virtio_of(f->dev)->driver_features;
    ERRS(vd_set(d, VD_DRIVER_FEATURES, 0));
    assert_int_equal(vr_virtio_of(f->dev)->driver_features, features);
    /* A legacy driver does not say VERSION_1. */
    vd_set(d, VD_STATUS, 0);
    vd_set(d, VD_STATUS, 3);
    ERRS(vd_set(d, VD_STATUS, 11));
    assert_int_equal(vd_get(d, VD_STATUS), 3);
    /* Words that do not exist. */
    vd_set(d, VD_DRIVER_FEATURES_SEL, 2);
    vd_set(d, VD_DRIVER_FEATURES, 0);
    ERRS(vd_set(d, VD_DRIVER_FEATURES, 1));
}

static void queue_set_up(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_true(vd_negotiate(d, 0));
    vd_set(d, VD_QUEUE_SEL, 1);
    assert_int_equal(vd_get(d, VD_QUEUE_SIZE_MAX), ECHO_SIZE);
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
    vd_set(d, VD_QUEUE_SEL, 2); /* there is none */
    assert_int_equal(vd_get(d, VD_QUEUE_SIZE_MAX), 0);
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
    ERRS(vd_set(d, VD_QUEUE_SIZE, 8));
    ERRS(vd_set(d, VD_QUEUE_READY, 1));
    ERRS(vd_set(d, VD_DESC, 0));
    vd_queue(d, 0, 8);
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 1);
    /* Nothing changes while it is enabled. */
    ERRS(vd_set(d, VD_QUEUE_SIZE, 16));
    ERRS(vd_set(d, VD_DESC, 0));
    ERRS(vd_set(d, VD_DRIVER + 4, 0));
    ERRS(vd_set(d, VD_DEVICE, 0));
    ERRS(vd_set(d, VD_QUEUE_READY, 2));
    vd_set(d, VD_QUEUE_READY, 1); /* as it is */
    vd_set(d, VD_QUEUE_READY, 0);
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
    assert_int_equal(ECHO(f->dev)->stops, 1);
    vd_queue(d, 0, 16);
    vd_driver_ok(d);
    struct vd_buf bufs[] = {vd_out(d, "hi", 2), vd_in(d, 2)};
    assert_int_equal(vd_do(d, 0, bufs, 2), 2);
}

static void a_disabled_queue_is_left_alone(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 8);
    struct vd_buf in = vd_in(d, 4);
    vd_add(d, 1, &in, 1);
    vd_kick(d, 1);
    assert_int_equal(ECHO(f->dev)->kept_count, 1);
    vd_set(d, VD_QUEUE_SEL, 1);
    vd_set(d, VD_QUEUE_READY, 0);
    ERRS(vd_set(d, VD_QUEUE_NOTIFY, 1));
    echo_release(f->dev, false);
    assert_false(vd_used(d, 1, NULL, NULL));
    assert_int_equal(vd_isr(d), 0);
    /* Enabled again, it starts at its beginning. */
    vd_queue(d, 1, 8);
    vd_add(d, 1, &in, 1);
    vd_kick(d, 1);
    echo_release(f->dev, false);
    assert_true(vd_used(d, 1, NULL, NULL));
}

static void nothing_moves_before_driver_ok(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_true(vd_negotiate(d, 0));
    vd_queue(d, 0, 8);
    struct vd_buf bufs[] = {vd_out(d, "early", 5), vd_in(d, 5)};
    vd_add(d, 0, bufs, 2);
    ERRS(vd_set(d, VD_QUEUE_NOTIFY, 0));
    assert_false(vd_used(d, 0, NULL, NULL));
    vd_driver_ok(d); /* what waits is found without another notification */
    assert_true(vd_used(d, 0, NULL, NULL));
    assert_memory_equal(vd_hva(d, bufs[1].gpa), "early", 5);
}

static void reset_is_complete(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, ECHO_FEATURE, 8);
    struct vd_buf in = vd_in(d, 4);
    vd_do(d, 0, &in, 1);
    vr_dev_write(f->dev, 0, VD_CONFIG, 4, 0x1234);
    assert_true(d->irq.level);
    vd_set(d, VD_STATUS, 0);
    assert_int_equal(vd_get(d, VD_STATUS), 0);
    assert_int_equal(vd_get(d, VD_ISR), 0);
    assert_false(d->irq.level);
    assert_int_equal(vd_config(d, 0, 4), 0);
    for (unsigned i = 0; i < 2; i++) {
        vd_set(d, VD_QUEUE_SEL, i);
        assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
    }
    assert_int_equal(vr_virtio_of(f->dev)->driver_features, 0);
    vd_start(d, 0, 8);
    vd_do(d, 0, &in, 1);
}

static void configuration_space(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vr_dev_write(f->dev, 0, VD_CONFIG, 4, 0xa1b2c3d4);
    assert_int_equal(vd_config(d, 0, 4), 0xa1b2c3d4);
    assert_int_equal(vd_config(d, 0, 2), 0xc3d4);
    assert_int_equal(vd_config(d, 3, 1), 0xa1);
    assert_int_equal(vd_config(d, 8, 8), UINT64_C(0x8877665544332211));
    assert_int_equal(vd_config(d, 12, 4), 0x88776655);
    assert_int_equal(f->dev->guest_errors, 0);
    ERRS(vd_config(d, 1, 2));
    ERRS(vd_config(d, 16, 1));
    ERRS(vd_config(d, 12, 8));
    ERRS(vr_dev_write(f->dev, 0, VD_CONFIG, 1, 0));
    ERRS(vr_dev_write(f->dev, 0, VD_CONFIG + 8, 8, 0));
    assert_int_equal(vd_config(d, 0, 4), 0xa1b2c3d4);
}

static void configuration_changes_are_told(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    uint32_t gen = vd_get(d, VD_GENERATION);
    vr_dev_lock(f->dev);
    vr_virtio_config_changed(vr_virtio_of(f->dev));
    vr_dev_unlock(f->dev);
    assert_int_not_equal(vd_get(d, VD_GENERATION), gen);
    assert_int_equal(vd_get(d, VD_ISR), 0); /* no driver is there to hear it */
    vd_start(d, 0, 8);
    gen = vd_get(d, VD_GENERATION);
    vr_dev_lock(f->dev);
    vr_virtio_config_changed(vr_virtio_of(f->dev));
    vr_dev_unlock(f->dev);
    assert_int_not_equal(vd_get(d, VD_GENERATION), gen);
    assert_true(d->irq.level);
    struct vd_buf in = vd_in(d, 4);
    vd_do(d, 0, &in, 1);
    assert_int_equal(vd_get(d, VD_ISR), VR_VIRTIO_ISR_CONFIG | VR_VIRTIO_ISR_USED);
    vd_set(d, VD_ACK, VR_VIRTIO_ISR_USED);
    assert_true(d->irq.level); /* the other is still there */
    vd_set(d, VD_ACK, VR_VIRTIO_ISR_CONFIG);
    assert_false(d->irq.level);
}

static void nobody_notifies_a_queue_that_is_not_there(void **state)
{
    struct vd_fixture *f = *state;
    vd_start(&f->d, 0, 8);
    ERRS(vd_set(&f->d, VD_QUEUE_NOTIFY, 2));
    ERRS(vd_set(&f->d, VD_QUEUE_NOTIFY, 65535));
    ERRS(vd_set(&f->d, VD_QUEUE_NOTIFY, UINT32_MAX));
    assert_false(vd_needs_reset(&f->d));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(identity),
        T(registers_take_one_width_and_direction),
        T(handshake),
        T(features_are_negotiated_once),
        T(queue_set_up),
        T(a_disabled_queue_is_left_alone),
        T(nothing_moves_before_driver_ok),
        T(reset_is_complete),
        T(configuration_space),
        T(configuration_changes_are_told),
        T(nobody_notifies_a_queue_that_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
