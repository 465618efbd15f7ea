/* The virtio SCSI controller: addresses, tasks that are ended, units that come and go, under load
 * and over snapshots. VIRTIO 1.3, section 5.6; SAM-4. */
#include "scsi_rig.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>

/* --- Addresses --- */

static void nobody_there(void **state)
{
    struct scsi_fixture *f = *state;
    scsi_start(f, 0);
    struct cmd c = {.target = 9, .cdb = (const uint8_t[]){0x12}, .cdb_len = 1, .in_len = 36};
    cmd_run(f, &c, 0);
    assert_int_equal(c.response, BAD_TARGET);
    assert_int_equal(scsi_plug(f, T_DISK, 3, &f->plain, false), 0);
    assert_int_equal(scsi_plug(f, T_DISK, 300, &f->plain, false), 0);
    assert_sense(ask(f, 0, CDB(0x00), 0), 6, 0x3f, 0x0e); /* units came */
    c = ask(f, 0, CDB(0xa0, 0, 0, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64);
    assert_int_equal(c.used, RESPONSE + 32);
    assert_memory_equal(c.in, "\0\0\0\x18\0\0\0\0\0\0\0\0\0\0\0\0\0\3\0\0\0\0\0\0\x41\x2c", 26);
    assert_int_equal(ask(f, 0, CDB(0xa0, 0, 1, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64).used, RESPONSE + 8);
    assert_sense(ask(f, 0, CDB(0xa0, 0, 3, 0, 0, 0, 0, 0, 0, 64, 0, 0), 64), 5, 0x24, 0);
    c = (struct cmd){
        .lun = 7, .cdb = (const uint8_t[]){0x12, 0, 0, 0, 36}, .cdb_len = 5, .in_len = 36};
    cmd_run(f, &c, 0);
    assert_good(c);
    assert_int_equal(c.in[0], 0x7f);
    c = (struct cmd){.lun = 7, .cdb = (const uint8_t[]){0x00}, .cdb_len = 1};
    cmd_run(f, &c, 0);
    assert_sense(c, 5, 0x25, 0);
    c = (struct cmd){
        .lun = 300, .cdb = (const uint8_t[]){0x12, 0, 0, 0, 36}, .cdb_len = 5, .in_len = 36};
    cmd_run(f, &c, 0);
    assert_int_equal(c.in[0], 0);
}

static void the_configuration(void **state)
{
    struct scsi_fixture *f = *state;
    struct vd *d = &f->d;
    assert_int_equal(vd_get(d, VD_DEVICE_ID), 8);
    assert_true(vd_negotiate(d, 0));
    assert_int_equal(vd_config(d, 0, 4), 3);
    assert_int_equal(vd_config(d, 20, 4), 96);
    assert_int_equal(vd_config(d, 24, 4), 32);
    assert_int_equal(f->dev->guest_errors, 0);
    vr_dev_write(f->dev, 0, VD_CONFIG + 20, 4, 18);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 12);
    assert_int_equal(vd_config(d, 20, 4), 18);
    assert_int_equal(vd_config(d, 24, 4), 12);
    vr_dev_write(f->dev, 0, VD_CONFIG + 20, 4, 5000);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 0);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 256);
    vr_dev_write(f->dev, 0, VD_CONFIG, 4, 1);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 2, 6);
    assert_int_equal(f->dev->guest_errors, 5);
    vd_queue(d, REQUEST, 16);
    vd_driver_ok(d);
    vr_dev_write(f->dev, 0, VD_CONFIG + 24, 4, 16); /* too late */
    assert_int_equal(f->dev->guest_errors, 6);
    uint8_t head[31] = {1, 0, 0x40};
    struct vd_buf bufs[] = {vd_out(d, head, 31), vd_in(d, 30)};
    vd_add(d, REQUEST, bufs, 2);
    vd_kick(d, REQUEST);
    assert_true(scsi_done(f, REQUEST, NULL));
    const uint8_t *a = vd_hva(d, bufs[1].gpa);
    assert_int_equal(vr_load_le32(a), 18);
    assert_int_equal(SENSE(a[14], a[24], a[25]), SENSE(6, 0x29, 0));
    bufs[0].len = 30; /* too short */
    vd_add(d, REQUEST, bufs, 2);
    vd_kick(d, REQUEST);
    assert_true(vd_needs_reset(d));
    vd_start(d, 0, 16);
    assert_int_equal(vd_config(d, 24, 4), 32); /* a reset forgets */
}

/* --- Tasks --- */

static uint8_t task(struct scsi_fixture *f, uint32_t what, uint8_t target, uint16_t lun,
                    uint64_t id, bool now)
{
    uint8_t msg[24] = {0};
    vr_store_le32(msg + 4, what);
    msg[8] = 1;
    msg[9] = target;
    msg[10] = (uint8_t)(0x40 | lun >> 8);
    msg[11] = (uint8_t)lun;
    vr_store_le64(msg + 16, id);
    struct vd_buf bufs[] = {vd_out(&f->d, msg, sizeof(msg)), vd_in(&f->d, 1)};
    vd_add(&f->d, CONTROL, bufs, 2);
    vd_kick(&f->d, CONTROL);
    assert_int_equal(vd_used(&f->d, CONTROL, NULL, NULL), now);
    if (!now) {
        mem_blk_release(&f->disk, UINT32_MAX);
        assert_true(scsi_done(f, CONTROL, NULL));
    }
    return *vd_hva(&f->d, bufs[1].gpa);
}

static void tasks_are_ended(void **state)
{
    enum { QUERY = 6, QUERY_SET = 7, CLEAR_ACA = 2 };
    static const struct {
        uint32_t what;
        uint8_t first, other; /* answers to the two requests */
    } rows[] = {{0, ABORTED, OK},
                {1, ABORTED, ABORTED},
                {3, ABORTED, ABORTED},
                {5, RESET, RESET},
                {4, RESET, RESET}};
    struct scsi_fixture *f = *state;
    struct cmd read = {
        .cdb = (const uint8_t[]){0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, .cdb_len = 10, .in_len = 512};
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        scsi_start(f, 0);
        assert_int_equal(task(f, QUERY, 0, 0, 5, true), OK);
        f->disk.hold = true;
        uint64_t first = cmd_add(f, REQUEST, &read, 5, 0);
        uint64_t other = cmd_add(f, REQUEST + 1, &read, 6, 0);
        assert_int_equal(task(f, QUERY, 0, 0, 5, true), SUCCEEDED);
        assert_int_equal(task(f, QUERY_SET, 0, 0, 0, true), SUCCEEDED);
        assert_int_equal(task(f, QUERY, 0, 0, 7, true), OK);
        assert_int_equal(task(f, QUERY, 2, 0, 5, true), OK);
        f->disk.hold = false;
        assert_int_equal(task(f, rows[i].what, 0, 0, 5, false), OK);
        assert_true(scsi_done(f, REQUEST, NULL));
        assert_true(scsi_done(f, REQUEST + 1, NULL));
        cmd_answer(f, &read, first);
        assert_int_equal(read.response, rows[i].first);
        cmd_answer(f, &read, other);
        assert_int_equal(read.response, rows[i].other);
        struct cmd c = ask(f, 0, CDB(0x00), 0);
        assert_int_equal(c.sense, rows[i].what >= 4 ? SENSE(6, 0x29, 0) : 0);
    }
    assert_int_equal(task(f, 0, 0, 0, 99, true), OK); /* nothing to abort */
    assert_int_equal(task(f, CLEAR_ACA, 0, 0, 0, true), REJECTED);
    assert_int_equal(task(f, 8, 0, 0, 0, true), REJECTED);
    assert_int_equal(task(f, 5, 0, 9, 0, true), INCORRECT_LUN);
    assert_int_equal(task(f, 5, 9, 0, 0, true), BAD_TARGET);
    assert_int_equal(task(f, 4, 0, 9, 0, true), OK); /* a nexus has no lun */
}

static void control_requests_of_all_kinds(void **state)
{
    struct scsi_fixture *f = *state;
    struct vd *d = &f->d;
    uint8_t msg[24] = {1};
    for (uint8_t type = 1; type <= 2; type++) { /* asynchronous notifications: none */
        scsi_start(f, 0);
        msg[0] = type;
        struct vd_buf bufs[] = {vd_out(d, msg, 16), vd_in(d, 5)};
        assert_int_equal(vd_do(d, CONTROL, bufs, 2), 5);
        assert_memory_equal(vd_hva(d, bufs[1].gpa), "\0\0\0\0\0", 5);
    }
    for (unsigned i = 0; i < 4; i++) {
        scsi_start(f, 0);
        msg[0] = i == 0 ? 3 : 0;
        struct vd_buf bufs[] = {vd_out(d, msg, i == 1 ? 23 : i == 2 ? 3 : 24), vd_in(d, 1)};
        vd_add(d, CONTROL, bufs, i == 3 ? 1 : 2);
        vd_kick(d, CONTROL);
        assert_true(vd_needs_reset(d));
    }
}

/* The driver resets the device while its requests, and one to end them, are under way. */
static void reset_in_the_middle(void **state)
{
    struct scsi_fixture *f = *state;
    uint8_t block[512] = {1}, msg[24] = {0, 0, 0, 0, 5, 0, 0, 0, 1, 0, 0x40};
    struct cmd write = {.cdb = (const uint8_t[]){0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0},
                        .cdb_len = 10,
                        .out = block,
                        .out_len = 512};
    scsi_start(f, 0);
    f->disk.hold = true;
    for (unsigned i = 0; i < 20; i++) {
        cmd_add(f, REQUEST + i % 3, &write, i, 0);
    }
    struct vd_buf bufs[] = {vd_out(&f->d, msg, sizeof(msg)), vd_in(&f->d, 1)};
    vd_add(&f->d, CONTROL, bufs, 2);
    vd_kick(&f->d, CONTROL);
    vd_start(&f->d, 0, 64);
    f->disk.hold = false;
    mem_blk_release(&f->disk, UINT32_MAX);
    for (unsigned i = 0; i < 50; i++) {
        vr_loop_turn(f->loop, 0);
    }
    for (unsigned queue = 0; queue < 5; queue++) {
        assert_false(vd_used(&f->d, queue, NULL, NULL));
    }
    assert_int_equal(f->disk.flushes, 0); /* their second step is not taken */
    scsi_start(f, 0);
}

/* --- Units come and go --- */

static struct vd_buf event_buffer(struct scsi_fixture *f)
{
    struct vd_buf in = vd_in(&f->d, 16);
    vd_add(&f->d, EVENT, &in, 1);
    vd_kick(&f->d, EVENT);
    return in;
}

static void assert_event(struct scsi_fixture *f, struct vd_buf in, uint32_t event, uint8_t target,
                         uint32_t reason)
{
    const uint8_t *e = vd_hva(&f->d, in.gpa);
    assert_true(vd_used(&f->d, EVENT, NULL, NULL));
    assert_int_equal(vr_load_le32(e), event);
    assert_int_equal(e[4], event & 0xff ? 1 : 0);
    assert_int_equal(e[5], target);
    assert_int_equal(e[6] | e[7], 0); /* Linux takes these for the number as they are */
    assert_int_equal(vr_load_le32(e + 12), reason);
}

static void hot_plug(void **state)
{
    struct scsi_fixture *f = *state;
    scsi_start(f, F_HOTPLUG);
    struct vd_buf in = event_buffer(f);
    assert_false(vd_used(&f->d, EVENT, NULL, NULL));
    for (unsigned round = 0; round < 100; round++) {
        assert_int_equal(scsi_plug(f, 5, 0, &f->plain, false), 0);
        assert_event(f, in, 1, 5, 1);
        in = event_buffer(f);
        assert_int_equal(scsi_plug(f, 5, 0, &f->plain, false), -EEXIST);
        assert_sense(ask(f, 5, CDB(0x00), 0), 6, 0x29, 0);
        assert_good(ask(f, 5, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512));
        assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), 0);
        assert_event(f, in, 1, 5, 2);
        in = event_buffer(f);
        struct cmd c = {.target = 5, .cdb = (const uint8_t[]){0x00}, .cdb_len = 1};
        cmd_run(f, &c, 0);
        assert_int_equal(c.response, BAD_TARGET);
        assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), -ENOENT);
    }
    /* Of MMC devices no event tells (5.6.6.3): they answer so when they are asked. */
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, NULL, NULL), 0);
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, &f->disc.blk, NULL), 0);
    assert_false(vd_used(&f->d, EVENT, NULL, NULL));
    assert_sense(ask(f, 1, CDB(0x00), 0), 6, 0x28, 0);
    assert_int_equal(scsi_plug(f, 5, 0, &f->plain, false), 0);
    assert_event(f, in, 1, 5, 1);
    /* Events without a buffer are not lost without a word. */
    assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), 0);
    in = event_buffer(f);
    assert_event(f, in, 0x80000000, 0, 0);
    in = vd_in(&f->d, 15);
    vd_add(&f->d, EVENT, &in, 1);
    assert_int_equal(scsi_plug(f, 5, 0, &f->plain, false), 0);
    assert_true(vd_needs_reset(&f->d));
    assert_int_equal(vr_virtio_scsi_unplug(f->dev, 5, 0, NULL), 0);
    scsi_start(f, 0); /* who did not ask is not told */
    event_buffer(f);
    assert_int_equal(scsi_plug(f, 5, 0, &f->plain, false), 0);
    assert_false(vd_used(&f->d, EVENT, NULL, NULL));
    for (unsigned t = 6; t < VR_VIRTIO_SCSI_UNITS + 2; t++) {
        int r = scsi_plug(f, t % 16, t / 16 * 9, &f->plain, false);
        assert_true(r == 0 || t >= VR_VIRTIO_SCSI_UNITS);
    }
    assert_int_equal(scsi_plug(f, 4, 0, &f->plain, false), -ENOSPC);
    assert_int_equal(scsi_plug(f, 16, 0, &f->plain, false), -EINVAL);
    assert_int_equal(scsi_plug(f, 4, 16384, &f->plain, false), -EINVAL);
    assert_int_equal(scsi_plug(f, 4, 0, NULL, false), -EINVAL);
}

/* A unit leaves with requests in flight, of several steps. */
static void unplugged_under_load(void **state)
{
    struct scsi_fixture *f = *state;
    uint8_t block[512] = {1};
    struct cmd write = {.cdb = (const uint8_t[]){0x2a, 8, 0, 0, 0, 0, 0, 0, 1, 0},
                        .cdb_len = 10,
                        .out = block,
                        .out_len = 512};
    uint64_t gpa[30];
    scsi_start(f, F_HOTPLUG);
    for (unsigned i = 0; i < VR_COUNT(gpa); i++) {
        gpa[i] = cmd_add(f, REQUEST, &write, i, 0); /* the loop has not turned: they are on it */
    }
    assert_int_equal(vr_virtio_scsi_unplug(f->dev, 0, 0, NULL), 0);
    for (unsigned i = 0; i < VR_COUNT(gpa); i++) {
        assert_true(scsi_done(f, REQUEST, NULL));
        cmd_answer(f, &write, gpa[i]);
        assert_true(write.response == OK || write.response == BAD_TARGET);
    }
    assert_int_equal(scsi_plug(f, T_DISK, 0, &f->disk, false), 0);
    scsi_start(f, 0);
}

static void quiesced_and_restored(void **state)
{
    struct scsi_fixture *f = *state;
    scsi_start(f, F_HOTPLUG);
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 1, 0), 0));
    uint8_t list[24] = {0, 0, 0, 0, 0x08, 0x12}, block[512] = {1};
    assert_good(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24));
    struct cmd read = {
        .cdb = (const uint8_t[]){0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0}, .cdb_len = 10, .in_len = 512};
    cmd_add(f, REQUEST, &read, 1, 0);
    vr_dev_quiesce(f->dev);
    struct vr_dev *old = f->dev,
                  *twin = rig_dev(&f->rig, &vr_virtio_scsi_mmio_class, "queues=3," VD_OPTS);
    f->dev = twin;
    scsi_plug(f, T_DISK, 0, &f->disk, false);
    scsi_plug(f, T_CDROM, 0, &f->disc, true);
    scsi_plug(f, T_PLAIN, 0, &f->plain, false);
    assert_int_equal(rig_copy(old, twin), 0);
    vr_dev_destroy(old);
    f->d.dev = twin;
    assert_true(scsi_done(f, REQUEST, NULL));
    assert_sense(ask(f, 1, CDB(0x1b, 0, 0, 0, 2, 0), 0), 5, 0x53, 2); /* still locked */
    unsigned before = f->disk.flushes;
    assert_good(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512));
    assert_int_equal(f->disk.flushes, before + 1); /* still without a cache */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scsi_setup, scsi_teardown)
    const struct CMUnitTest tests[] = {
        T(nobody_there),         T(the_configuration),
        T(tasks_are_ended),      T(control_requests_of_all_kinds),
        T(reset_in_the_middle),  T(hot_plug),
        T(unplugged_under_load), T(quiesced_and_restored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
