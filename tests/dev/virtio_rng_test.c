/* The virtio entropy device. VIRTIO 1.2, section 5.4. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/rng.h"

static int setup(void **state)
{
    return vd_setup(state, VD_CLASS(rng), VD_OPTS);
}

/* Bits that are set among @len bytes. */
static unsigned ones(const uint8_t *p, size_t len)
{
    unsigned n = 0;
    for (size_t i = 0; i < len; i++) {
        n += (unsigned)__builtin_popcount(p[i]);
    }
    return n;
}

static void random_in_every_mode(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_get(d, VD_DEVICE_ID), 4);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        struct vd_buf bufs[64];
        vd_start(d, vd_modes[m].features, 64);
        struct vd_buf in = vd_in(d, 4096), other = vd_in(d, 4096);
        memset(vd_hva(d, in.gpa), 0, 4096);
        assert_int_equal(vd_do(d, 0, bufs, vd_split(in, 65, bufs, 64)), 4096);
        assert_int_equal(vd_do(d, 0, &other, 1), 4096);
        assert_memory_not_equal(vd_hva(d, in.gpa), vd_hva(d, other.gpa), 4096);
        /* Half of 32768 bits, by ten standard deviations. */
        assert_in_range(ones(vd_hva(d, in.gpa), 4096), 16384 - 905, 16384 + 905);
        assert_in_range(ones(vd_hva(d, other.gpa), 4096), 16384 - 905, 16384 + 905);
    }
    assert_int_equal(vd_stats(d, 0)->copied, 0);
    assert_int_equal(f->dev->guest_errors, 0);
}

static void one_request_is_bounded(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 16);
    struct vd_buf in = vd_in(d, 100000), bufs[16];
    assert_int_equal(vd_do(d, 0, bufs, vd_split(in, 9000, bufs, 16)), 16384);
    assert_in_range(ones(vd_hva(d, in.gpa), 16384), 65536 - 1810, 65536 + 1810);
    for (unsigned i = 16384; i < 100000; i++) {
        assert_int_equal(vd_hva(d, in.gpa)[i], 0xee);
    }
    struct vd_buf one = vd_in(d, 1);
    assert_int_equal(vd_do(d, 0, &one, 1), 1);
}

static void it_has_no_configuration(void **state)
{
    struct vd_fixture *f = *state;
    assert_int_equal(vd_config(&f->d, 0, 1), 0);
    vd_config_set(&f->d, 0, 1, 0);
    assert_int_equal(f->dev->guest_errors, 2);
}

/* Credit comes with time, a second's worth at most, and a reset renews nothing. */
static void a_rate(void **state)
{
    struct vd_fixture *f = *state;
    struct vr_dev *dev = rig_dev(&f->rig, &vr_virtio_rng_mmio_class, "rate=1000," VD_OPTS);
    struct vr_clock *clock = f->rig.env.clock;
    struct vd d;
    vd_init(&d, &f->rig, dev);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        uint32_t len, sum = 0;
        struct vd_buf in;
        vr_clock_step(clock, 5000000000);
        vd_start(&d, vd_modes[m].features, 16);
        in = vd_in(&d, 4096);
        assert_int_equal(vd_do(&d, 0, &in, 1), 1000); /* not five seconds' */
        for (unsigned i = 0; i < 3; i++) {
            vd_start(&d, vd_modes[m].features, 16);
            in = vd_in(&d, 4096);
            vd_add(&d, 0, &in, 1);
            vd_kick(&d, 0);
            assert_false(vd_used(&d, 0, NULL, NULL));
        }
        for (unsigned ms = 0; ms < 3000; ms++) { /* it comes by itself */
            vr_clock_step(clock, 1000000);
            while (vd_used(&d, 0, NULL, &len)) {
                assert_true(len >= 1 && len <= 200);
                sum += len;
                in = vd_in(&d, 4096);
                vd_add(&d, 0, &in, 1);
                vd_kick(&d, 0);
            }
        }
        assert_in_range(sum, 2900, 3001);
    }
    assert_int_equal(dev->guest_errors, 0);
    vr_dev_destroy(dev);
}

/* Answers that are shorter than what Linux asks for leave nothing of it over. */
static void short_answers_divide_64(void **state)
{
    struct vd_fixture *f = *state;
    static const struct {
        const char *opts;
        uint32_t len;
    } rates[] = {{"rate=1", 1}, {"rate=7", 4}, {"rate=50", 32}, {"rate=64", 64}, {"rate=99", 64}};
    for (unsigned i = 0; i < VR_COUNT(rates); i++) {
        struct vr_dev *dev = rig_dev(&f->rig, &vr_virtio_rng_mmio_class, rates[i].opts);
        struct vd d;
        vd_init(&d, &f->rig, dev);
        vd_start(&d, 0, 16);
        for (unsigned k = 0; k < 8; k++) {
            struct vd_buf in = vd_in(&d, 64);
            uint32_t len;
            vd_add(&d, 0, &in, 1);
            vd_kick(&d, 0);
            while (!vd_used(&d, 0, NULL, &len)) {
                vr_clock_step(f->rig.env.clock, 50000000);
            }
            assert_int_equal(len, rates[i].len);
        }
        vr_dev_destroy(dev);
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(random_in_every_mode),    T(one_request_is_bounded),
        T(it_has_no_configuration), T(a_rate),
        T(short_answers_divide_64),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
