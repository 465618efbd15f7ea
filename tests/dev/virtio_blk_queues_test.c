/*
 * The virtio disk with several queues: each carries requests of its own, is reset alone, and waits
 * for what it has in flight; limits and topology that the guest is told.
 * Specification: VIRTIO 1.3, sections 2.6.1 and 5.2.
 */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/blk.h"
#include "virtio_fakes.h"

#include <errno.h>

enum { DISK = 1 << 20, QUEUES = 4, T_IN = 0, T_OUT = 1, T_GET_ID = 8 };
enum { F_SIZE_MAX = 1 << 1, F_SEG_MAX = 1 << 2, F_GEOMETRY = 1 << 4, F_FLUSH = 1 << 9 };
enum { F_TOPOLOGY = 1 << 10, F_MQ = 1 << 12 };

struct fixture {
    struct rig rig;
    struct vr_loop *loop;
    struct mem_blk disk;
    struct vr_dev *dev;
    struct vd d;
};

static void start(struct fixture *f, const char *opts)
{
    f->dev = rig_dev(&f->rig, VD_CLASS(blk), opts);
    vr_virtio_blk_attach(f->dev, &f->disk.blk);
    vd_init(&f->d, &f->rig, f->dev);
}

static int setup(void **state)
{
    static struct fixture f;
    rig_init(&f.rig);
    assert_int_equal(vr_loop_create(&f.loop, NULL), 0);
    f.rig.env.loop = f.loop;
    mem_blk_init(&f.disk, DISK, f.loop);
    start(&f, "queues=4," VD_OPTS);
    *state = &f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    mem_blk_release(&f->disk, UINT32_MAX);
    vr_dev_destroy(f->dev);
    mem_blk_fini(&f->disk);
    vr_loop_destroy(f->loop);
    rig_fini(&f->rig);
    return 0;
}

static void turn(struct fixture *f)
{
    for (unsigned i = 0; i < 20; i++) {
        vr_loop_turn(f->loop, 0);
    }
}

/* A request in @queue, not waited for; its data buffer. */
static struct vd_buf add(struct fixture *f, unsigned queue, uint32_t type, uint64_t sector,
                         uint8_t fill, uint8_t **ret_status)
{
    uint8_t raw[16] = {0}, bytes[512];
    vr_store_le32(raw, type);
    vr_store_le64(raw + 8, sector);
    memset(bytes, fill, sizeof(bytes));
    struct vd_buf data = type == T_OUT ? vd_out(&f->d, bytes, 512) : vd_in(&f->d, 512);
    struct vd_buf bufs[] = {vd_out(&f->d, raw, 16), data, vd_in(&f->d, 1)};
    *ret_status = vd_hva(&f->d, bufs[2].gpa);
    vd_add(&f->d, queue, bufs, 3);
    vd_kick(&f->d, queue);
    return data;
}

static void every_queue_carries_requests(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    assert_true(vd_offered(d) & F_MQ);
    assert_int_equal(vd_config(d, 34, 2), QUEUES);
    vd_set(d, VD_QUEUE_SEL, QUEUES); /* no such queue */
    assert_int_equal(vd_get(d, VD_QUEUE_SIZE_MAX), 0);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, vd_modes[m].features | F_MQ | F_FLUSH, 64);
        f->disk.hold = true;
        uint8_t *status[QUEUES * 4];
        for (unsigned i = 0; i < QUEUES * 4; i++) { /* in turn, so that they are mixed */
            (void)add(f, i % QUEUES, T_OUT, i, (uint8_t)(m * 16 + i), &status[i]);
        }
        assert_int_equal(f->disk.held, QUEUES * 4);
        f->disk.hold = false;
        mem_blk_release(&f->disk, UINT32_MAX);
        turn(f);
        for (unsigned i = 0; i < QUEUES * 4; i++) {
            assert_true(vd_used(d, i % QUEUES, NULL, NULL));
            assert_int_equal(*status[i], 0);
            assert_int_equal(f->disk.data[i * 512], m * 16 + i);
        }
        for (unsigned i = 0; i < QUEUES; i++) {
            struct vd_buf in = add(f, i, T_IN, i, 0, &status[0]);
            turn(f);
            assert_true(vd_used(d, i, NULL, NULL));
            assert_int_equal(*vd_hva(d, in.gpa), m * 16 + i);
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* 2.6.1: the reset lasts as long as the device may still write into the driver's buffers. */
static void a_queue_reset_waits_for_what_is_in_flight(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        uint8_t *status[2];
        vd_start(d, vd_modes[m].features | F_MQ | VR_VIRTIO_F_RING_RESET, 64);
        f->disk.hold = true;
        (void)add(f, 1, T_IN, 0, 0, &status[0]);
        (void)add(f, 2, T_IN, 0, 0, &status[1]);
        vd_set(d, VD_QUEUE_SEL, 1);
        vd_set(d, VD_QUEUE_RESET, 1);
        assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 1);
        mem_blk_release(&f->disk, UINT32_MAX);
        f->disk.hold = false;
        turn(f);
        assert_int_equal(vd_get(d, VD_QUEUE_RESET), 0);
        assert_false(vd_used(d, 1, NULL, NULL));
        assert_int_equal(*status[0], 0xee); /* not executed, as far as the driver sees */
        assert_true(vd_used(d, 2, NULL, NULL));
        assert_int_equal(*status[1], 0);
        vd_queue(d, 1, 16);
        (void)add(f, 1, T_IN, 0, 0, &status[0]);
        turn(f);
        assert_true(vd_used(d, 1, NULL, NULL));
        assert_int_equal(*status[0], 0);
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

/* Each queue has its own bound on what is in flight; one that stalls does not hold up another. */
static void a_full_queue_does_not_stop_the_others(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t *status;
    f->disk.hold = true;
    for (unsigned round = 0; round < 5; round++) {
        vd_start(d, F_MQ | VR_VIRTIO_F_INDIRECT_DESC, 64);
        for (unsigned i = 0; i < 64; i++) {
            (void)add(f, 0, T_IN, 0, 0, &status);
        }
    }
    assert_int_equal(f->disk.held, 256); /* four rounds; the fifth waits for them */
    (void)add(f, 3, T_IN, 0, 0, &status);
    assert_int_equal(f->disk.held, 257);
    f->disk.hold = false;
    mem_blk_release(&f->disk, UINT32_MAX);
    turn(f);
    for (unsigned i = 0; i < 64; i++) {
        assert_true(vd_used(d, 0, NULL, NULL));
    }
    assert_true(vd_used(d, 3, NULL, NULL));
    assert_int_equal(*status, 0);
}

static void snapshots_with_several_queues(void **state)
{
    struct fixture *f = *state;
    uint8_t *status;
    vd_start(&f->d, vd_modes[7].features | F_MQ, 64);
    for (unsigned i = 0; i < 40; i++) {
        (void)add(f, i % QUEUES, T_OUT, i, (uint8_t)i, &status);
        turn(f);
        assert_true(vd_used(&f->d, i % QUEUES, NULL, NULL));
        vr_dev_quiesce(f->dev);
        struct vr_dev *twin = rig_dev(&f->rig, VD_CLASS(blk), "queues=4," VD_OPTS);
        vr_virtio_blk_attach(twin, &f->disk.blk);
        assert_int_equal(rig_copy(f->dev, twin), 0);
        vr_dev_destroy(f->dev);
        f->dev = twin;
        vd_replace(&f->d, twin);
        vr_clock_step(f->rig.env.clock, 1000);
        assert_int_equal(f->disk.data[i * 512], i);
    }
}

static void limits_and_topology_are_told(void **state)
{
    struct fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_offered(d) & (F_SIZE_MAX | F_SEG_MAX | F_GEOMETRY | F_TOPOLOGY),
                     F_SEG_MAX | F_GEOMETRY | F_TOPOLOGY);
    assert_int_equal(vd_config(d, 12, 4), 510);
    assert_int_equal(vd_config(d, 16, 2), DISK / 512 / (16 * 63));
    assert_int_equal(vd_config(d, 18, 1), 16);
    assert_int_equal(vd_config(d, 19, 1), 63);
    f->disk.blk.optimal_bytes = 4096;
    assert_int_equal(vd_config(d, 24, 1), 3);
    assert_int_equal(vd_config(d, 26, 2), 8);
    assert_int_equal(vd_config(d, 28, 4), 8);
    vr_dev_destroy(f->dev);
    start(f, "size_max=65536,seg_max=30");
    assert_int_equal(vd_offered(d) & (F_SIZE_MAX | F_MQ), F_SIZE_MAX);
    assert_int_equal(vd_config(d, 8, 4), 65536);
    assert_int_equal(vd_config(d, 12, 4), 30);
    assert_int_equal(vd_config(d, 34, 2), 1);
    vd_set(d, VD_QUEUE_SEL, 1);
    assert_int_equal(vd_get(d, VD_QUEUE_SIZE_MAX), 0);
    struct vr_dev *dev;
    struct vr_error err;
    static const struct {
        const char *opts, *why;
    } bad[] = {{"queues=0", "queues"},
               {"queues=17", "queues"},
               {"seg_max=0", "seg_max"},
               {"seg_max=2000", "seg_max"},
               {"size_max=512", "at least 4096"}};
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_true(vr_dev_create(VD_CLASS(blk), "x", bad[i].opts, &f->rig.env, &dev, &err) < 0);
        assert_non_null(strstr(err.msg, bad[i].why));
    }
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        T(every_queue_carries_requests),          T(a_queue_reset_waits_for_what_is_in_flight),
        T(a_full_queue_does_not_stop_the_others), T(snapshots_with_several_queues),
        T(limits_and_topology_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
