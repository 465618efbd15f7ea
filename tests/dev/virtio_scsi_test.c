/* The virtio SCSI controller: requests in all modes of the ring, what each command answers, hostile
 * commands, disks, discs and trays. VIRTIO 1.3, section 5.6; SPC-4, SBC-3, MMC-6. */
#include "scsi_rig.h"

#include "base/bits.h"

#include <errno.h>
#include <stdlib.h>

static void data_in_every_mode(void **state)
{
    static const unsigned cuts[] = {0, 1000, 512, 333, 200};
    struct scsi_fixture *f = *state;
    uint8_t pattern[4096];
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        scsi_start(f, vd_modes[m].features);
        for (unsigned i = 0; i < VR_COUNT(cuts); i++) {
            for (unsigned k = 0; k < sizeof(pattern); k++) {
                pattern[k] = (uint8_t)(k * 7 + i + m);
            }
            const uint8_t block = (uint8_t)(16 * i + m);
            struct cmd w = {.cdb = (const uint8_t[]){0x2a, 0, 0, 0, 0, block, 0, 0, 8, 0},
                            .cdb_len = 10,
                            .out = pattern,
                            .out_len = sizeof(pattern)};
            cmd_run(f, &w, cuts[i]);
            assert_good(w);
            assert_int_equal(w.used, RESPONSE);
            assert_int_equal(w.residual, 0);
            assert_memory_equal(f->disk.data + 512 * block, pattern, sizeof(pattern));
            struct cmd r = {.cdb = (const uint8_t[]){0x28, 0, 0, 0, 0, block, 0, 0, 8, 0},
                            .cdb_len = 10,
                            .in_len = sizeof(pattern)};
            cmd_run(f, &r, cuts[i]);
            assert_good(r);
            assert_int_equal(r.used, RESPONSE + sizeof(pattern));
            assert_memory_equal(r.in, pattern, sizeof(pattern));
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

static void reads_and_writes_of_all_lengths(void **state)
{
    struct scsi_fixture *f = *state;
    uint8_t data[1024];
    memset(data, 0x5a, sizeof(data));
    scsi_start(f, 0);
    f->disk.data[512 * 9] = 1;
    assert_int_equal(*ask(f, 0, CDB(0x08, 0, 0, 9, 1, 0), 512).in, 1);
    assert_int_equal(*ask(f, 0, CDB(0xa8, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0), 512).in, 1);
    assert_int_equal(*ask(f, 0, CDB(0x88, 0, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 1, 0, 0), 512).in, 1);
    assert_good(give(f, 0, CDB(0x0a, 0, 0, 20, 2, 0), data, 1024));
    assert_good(give(f, 0, CDB(0xaa, 0, 0, 0, 0, 30, 0, 0, 0, 2, 0, 0), data, 1024));
    assert_good(give(f, 0, CDB(0x8a, 0, 0, 0, 0, 0, 0, 0, 0, 40, 0, 0, 0, 2, 0, 0), data, 1024));
    for (unsigned at = 20; at <= 40; at += 10) {
        assert_memory_equal(f->disk.data + 512 * at, data, 1024);
    }
    assert_int_equal(f->disk.flushes, 0);
    assert_good(give(f, 0, CDB(0x2a, 8, 0, 0, 0, 0, 0, 0, 2, 0), data, 1024)); /* FUA */
    assert_int_equal(f->disk.flushes, 1);
    assert_good(give(f, 0, CDB(0x2e, 0, 0, 0, 0, 0, 0, 0, 2, 0), data, 1024)); /* and verify */
    assert_int_equal(f->disk.flushes, 2);
    assert_good(ask(f, 0, CDB(0x35, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0));
    assert_good(ask(f, 0, CDB(0x91), 0));
    assert_int_equal(f->disk.flushes, 4);
    assert_good(ask(f, 0, CDB(0x2f, 0, 0, 0, 0, 0, 0, 0, 5, 0), 0));
    assert_good(ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 0, 0), 0)); /* no blocks */
    /* READ (6) of 0 blocks means 256. */
    assert_int_equal(ask(f, 0, CDB(0x08, 0, 0, 0, 0, 0), 256 * 512).used, RESPONSE + 256 * 512);
}

/* Numbers that wrap, end behind the end, or say more than there are buffers for. */
static void hostile_numbers(void **state)
{
    static const uint8_t bad[][16] = {
        {0x28, 0, 0, 0, 0x08, 0, 0, 0, 1},    /* the first behind */
        {0x28, 0, 0, 0, 0x07, 0xff, 0, 0, 2}, /* over the end */
        {0x28, 0, 0xff, 0xff, 0xff, 0xff, 0, 0xff, 0xff},
        {0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1},
        {0x88, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
        {0x88, 0, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1},
        {0x88, 0, 0, 0x80, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0xa8, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff},
        {0x8a, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1},
        {0x2a, 0, 0, 0, 0x08, 0, 0, 0, 1},
        {0x41, 0, 0, 0, 0x07, 0xff, 0, 0, 2},
        {0x93, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2},
        {0x8f, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 2},
        {0x35, 0, 0, 0, 0x08, 0x01, 0, 0, 0},
    };
    struct scsi_fixture *f = *state;
    uint8_t data[1024] = {0};
    scsi_start(f, 0);
    f->disk.submitted = 0;
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        struct cmd c = {.cdb = bad[i], .cdb_len = 16, .out = data, .out_len = 1024, .in_len = 1024};
        cmd_run(f, &c, 0);
        assert_sense(c, 5, 0x21, 0);
        assert_int_equal(c.residual, 2048);
    }
    /* More than the buffers hold: nothing is done. */
    struct cmd c = ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 3, 0), 1024);
    assert_int_equal(c.response, OVERRUN);
    c = give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 3, 0), data, 1024);
    assert_int_equal(c.response, OVERRUN);
    c = ask(f, 0, CDB(0x12, 0, 0, 0, 36, 0), 20);
    assert_int_equal(c.response, OVERRUN);
    c = give(f, 0, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 3, 0), data, 100);
    assert_int_equal(c.response, OVERRUN);
    c = give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 24, 0), data, 8);
    assert_int_equal(c.response, OVERRUN);
    assert_int_equal(f->disk.submitted, 0);
    /* Less than that is fine. */
    c = ask(f, 0, CDB(0x12, 0, 0, 0, 5, 0), 20);
    assert_good(c);
    assert_int_equal(c.used, RESPONSE + 5);
    assert_int_equal(c.residual, 15);
    assert_false(vd_needs_reset(&f->d));
}

/* Every opcode, with bytes of every kind behind it: an answer each, and the units live on. */
static void every_command_is_answered(void **state)
{
    static const uint8_t fill[] = {0x00, 0xff, 0x80, 0x01, 0x10};
    struct scsi_fixture *f = *state;
    uint8_t data[4096];
    uint64_t seed = 11;
    for (unsigned op = 0; op < 256; op++) {
        scsi_start(f, 0); /* the tray may be out */
        for (unsigned i = 0; i < 12; i++) {
            uint8_t cdb[32];
            memset(cdb, i < VR_COUNT(fill) ? fill[i] : 0, sizeof(cdb));
            for (unsigned k = 0; k < sizeof(cdb) && i >= VR_COUNT(fill); k++) {
                cdb[k] = rig_random(&seed) % 3 ? 0 : (uint8_t)rig_random(&seed);
            }
            for (unsigned k = 0; k < sizeof(data); k++) {
                data[k] = rig_random(&seed) % 4 ? 0 : (uint8_t)rig_random(&seed);
            }
            cdb[0] = (uint8_t)op;
            struct cmd c = {.target = (uint8_t)(i % 3),
                            .cdb = cdb,
                            .cdb_len = 32,
                            .out = data,
                            .out_len = (uint32_t)(rig_random(&seed) % sizeof(data)),
                            .in_len = (uint32_t)(rig_random(&seed) % sizeof(data))};
            cmd_run(f, &c, 0);
            assert_true(c.response == OK || c.response == OVERRUN);
            assert_true(c.used <= RESPONSE + c.in_len);
            assert_true(c.residual <= c.in_len + c.out_len);
        }
        assert_false(vd_needs_reset(&f->d));
    }
}

static void what_a_disk_is(void **state)
{
    struct scsi_fixture *f = *state;
    scsi_start(f, 0);
    struct cmd c = ask(f, 0, CDB(0x12, 0, 0, 0, 36, 0), 36);
    assert_good(c);
    assert_memory_equal(c.in, "\0\0\5\x12\x1f\0\0\2VIREO   disk            1   ", 36);
    c = ask(f, 0, CDB(0x12, 1, 0, 0, 100, 0), 100);
    assert_memory_equal(c.in, "\0\0\0\6\0\x80\x83\xb0\xb1\xb2", 10);
    c = ask(f, 0, CDB(0x12, 1, 0x80, 0, 100, 0), 100);
    assert_memory_equal(c.in, "\0\x80\0\5SN 12", 9);
    c = ask(f, 0, CDB(0x12, 1, 0x83, 0, 100, 0), 100);
    assert_memory_equal(c.in, "\0\x83\0\x11\2\1\0\x0dVIREO   SN 12", 21);
    c = ask(f, 0, CDB(0x12, 1, 0xb0, 0, 100, 0), 100);
    assert_int_equal(c.used, RESPONSE + 64);
    assert_int_equal(c.in[21], 0x40); /* unmaps 2^22 blocks */
    c = ask(f, 2, CDB(0x12, 1, 0xb0, 0, 100, 0), 100);
    assert_int_equal(c.in[21], 0); /* this one not */
    assert_sense(ask(f, 0, CDB(0x12, 1, 0x81, 0, 100, 0), 100), 5, 0x24, 0);
    assert_sense(ask(f, 0, CDB(0x12, 0, 1, 0, 100, 0), 100), 5, 0x24, 0);
    assert_sense(ask(f, 2, CDB(0x12, 1, 0x80, 0, 100, 0), 100), 5, 0x24, 0); /* no serial */
    c = ask(f, 0, CDB(0x25), 8);
    assert_memory_equal(c.in, "\0\0\7\xff\0\0\2\0", 8);
    c = ask(f, 0, CDB(0x9e, 0x10, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32);
    assert_memory_equal(c.in, "\0\0\0\0\0\0\7\xff\0\0\2\0\0\3\x80", 15);
    assert_sense(ask(f, 0, CDB(0x9e, 0x12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32), 32), 5, 0x24, 0);
    c = ask(f, 0, CDB(0x1a, 0, 0x3f, 0, 255, 0), 255);
    assert_good(c);
    assert_int_equal(c.in[0] + 1, c.used - RESPONSE);
    assert_int_equal(c.in[2], 0x10);
    assert_int_equal(c.in[3], 8);
    assert_int_equal(c.in[12], 0x08);
    assert_int_equal(c.in[14], 0x04);
    c = ask(f, 0, CDB(0x5a, 8, 0x08, 0, 0, 0, 0, 0, 255, 0), 255);
    assert_int_equal(c.used, RESPONSE + 28);
    assert_memory_equal(c.in, "\0\x1a\0\x10\0\0\0\0\x08\x12\4", 11);
    assert_sense(ask(f, 0, CDB(0x1a, 0, 0xc8, 0, 255, 0), 255), 5, 0x39, 0); /* saved values */
    assert_sense(ask(f, 0, CDB(0x1a, 0, 0x01, 0, 255, 0), 255), 5, 0x24, 0);
    c = ask(f, 0, CDB(0x03, 0, 0, 0, 252, 0), 252);
    assert_memory_equal(c.in, "\x70\0\0\0\0\0\0\x0a", 8);
    assert_sense(ask(f, 0, CDB(0xff), 0), 5, 0x20, 0);
}

static void the_write_cache(void **state)
{
    struct scsi_fixture *f = *state;
    uint8_t list[24] = {0, 0, 0, 0, 0x08, 0x12}, data[512] = {0};
    scsi_start(f, 0);
    assert_good(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24));
    assert_good(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), data, 512));
    assert_int_equal(f->disk.flushes, 1);
    assert_int_equal(ask(f, 0, CDB(0x1a, 8, 0x08, 0, 255, 0), 255).in[6], 0);
    list[6] = 4;
    assert_good(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24));
    assert_good(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), data, 512));
    assert_int_equal(f->disk.flushes, 1);
    list[6] = 5; /* the read cache is not ours to change */
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x26, 0);
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 23, 0), list, 23), 5, 0x1a, 0);
    list[3] = 8; /* a block descriptor that is not there */
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x1a, 0);
    list[3] = 255;
    assert_sense(give(f, 0, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x1a, 0);
    assert_sense(give(f, 0, CDB(0x15, 0x11, 0, 0, 24, 0), list, 24), 5, 0x24, 0);
    assert_sense(give(f, 1, CDB(0x15, 0x10, 0, 0, 24, 0), list, 24), 5, 0x20, 0);
}

static void unmap_and_write_same(void **state)
{
    struct scsi_fixture *f = *state;
    uint8_t list[8 + 32] = {0, 38, 0, 32}, block[512];
    scsi_start(f, 0);
    memset(f->disk.data, 0x11, DISK);
    list[8 + 7] = 4; /* block 4, 2 blocks; block 100, 1 */
    list[8 + 11] = 2;
    list[24 + 7] = 100;
    list[24 + 11] = 1;
    assert_good(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40));
    assert_int_equal(f->disk.data[4 * 512], 0xdd); /* the fake's mark */
    assert_int_equal(f->disk.data[6 * 512 - 1], 0xdd);
    assert_int_equal(f->disk.data[6 * 512], 0x11);
    assert_int_equal(f->disk.data[100 * 512], 0xdd);
    list[24 + 4] = 1; /* behind the end: nothing happens, to the first either */
    list[8 + 7] = 50;
    assert_sense(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40), 5, 0x21, 0);
    assert_int_equal(f->disk.data[50 * 512], 0x11);
    assert_sense(give(f, 2, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40), 5, 0x20, 0);
    assert_sense(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 7, 0), list, 40), 5, 0x1a, 0);
    assert_good(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0), list, 0));
    /* Zeroes, with and without data; a pattern; to the end. */
    memset(block, 0, sizeof(block));
    assert_good(give(f, 0, CDB(0x41, 0x08, 0, 0, 0, 200, 0, 0, 3, 0), block, 512));
    assert_int_equal(f->disk.last_op, VR_BLK_WRITE_ZEROES);
    assert_good(ask(f, 0, CDB(0x93, 1, 0, 0, 0, 0, 0, 0, 0, 203, 0, 0, 0, 1, 0, 0), 0));
    for (unsigned i = 0; i < 4 * 512; i++) {
        assert_int_equal(f->disk.data[200 * 512 + i], 0);
    }
    for (unsigned i = 0; i < 512; i++) {
        block[i] = (uint8_t)i;
    }
    assert_good(give(f, 0, CDB(0x93, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0), block, 512));
    for (unsigned i = 768; i < BLOCKS; i++) { /* 640 KiB, in steps of 256 */
        assert_memory_equal(f->disk.data + 512 * i, block, 512);
    }
    assert_int_equal(f->disk.data[767 * 512], 0x11);
    assert_sense(give(f, 0, CDB(0x41, 0x02, 0, 0, 0, 0, 0, 0, 1, 0), block, 512), 5, 0x24, 0);
    f->disk.blk.read_only = true;
    assert_sense(give(f, 0, CDB(0x41, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512), 7, 0x27, 0);
    assert_sense(give(f, 0, CDB(0x42, 0, 0, 0, 0, 0, 0, 0, 40, 0), list, 40), 7, 0x27, 0);
    assert_sense(give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512), 7, 0x27, 0);
    assert_int_equal(ask(f, 0, CDB(0x1a, 8, 0x3f, 0, 255, 0), 255).in[2], 0x90);
    f->disk.blk.read_only = false;
}

static void the_host_fails(void **state)
{
    static const struct {
        int result;
        unsigned read, write;
    } rows[] = {
        {-EIO, SENSE(3, 0x11, 0), SENSE(3, 0x0c, 0)},
        {-ENOSPC, SENSE(7, 0x27, 7), SENSE(7, 0x27, 7)},
        {-ENOMEM, SENSE(4, 0x55, 0), SENSE(4, 0x55, 0)},
    };
    struct scsi_fixture *f = *state;
    uint8_t block[512] = {1};
    scsi_start(f, 0);
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        f->disk.fail = rows[i].result;
        struct cmd c = ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512);
        assert_int_equal(c.sense, rows[i].read);
        assert_int_equal(c.residual, 512);
        assert_int_equal(c.used, RESPONSE);
        c = give(f, 0, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), block, 512);
        assert_int_equal(c.sense, rows[i].write);
        assert_int_equal(ask(f, 0, CDB(0x35), 0).status, CHECK);
    }
    f->disk.fail = 0;
    assert_good(ask(f, 0, CDB(0x28, 0, 0, 0, 0, 0, 0, 0, 1, 0), 512));
}

static void a_disc(void **state)
{
    struct scsi_fixture *f = *state;
    scsi_start(f, 0);
    struct cmd c = ask(f, 1, CDB(0x12, 0, 0, 0, 36, 0), 36);
    assert_memory_equal(c.in, "\5\x80\5\x12\x1f", 5);
    c = ask(f, 1, CDB(0x25), 8);
    assert_memory_equal(c.in, "\0\0\0\x3f\0\0\x08\0", 8);
    f->disc.data[2048 * 16] = 1;
    assert_int_equal(*ask(f, 1, CDB(0x28, 0, 0, 0, 0, 16, 0, 0, 1, 0), 2048).in, 1);
    assert_int_equal(*ask(f, 1, CDB(0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0x10, 0, 0), 2048).in, 1);
    assert_sense(ask(f, 1, CDB(0xbe, 0, 0, 0, 0, 16, 0, 0, 1, 0xf8, 0, 0), 2352), 5, 0x24, 0);
    assert_sense(ask(f, 1, CDB(0x28, 0, 0, 0, 0, 64, 0, 0, 1, 0), 2048), 5, 0x21, 0);
    assert_sense(ask(f, 1, CDB(0x2a, 0, 0, 0, 0, 0, 0, 0, 1, 0), 0), 5, 0x20, 0);
    c = ask(f, 1, CDB(0x43, 0, 0, 0, 0, 0, 0, 0, 100, 0), 100);
    assert_int_equal(c.used, RESPONSE + 20);
    assert_memory_equal(c.in, "\0\x12\1\1\0\x14\1\0\0\0\0\0\0\x14\xaa\0\0\0\0\x40", 20);
    c = ask(f, 1, CDB(0x43, 2, 0, 0, 0, 0, 0xaa, 0, 100, 0), 100); /* minutes and seconds */
    assert_memory_equal(c.in, "\0\x0a\1\1\0\x14\xaa\0\0\0\2\x40", 12);
    c = ask(f, 1, CDB(0x43, 0, 1, 0, 0, 0, 0, 0, 12, 0), 12); /* sessions */
    assert_memory_equal(c.in, "\0\x0a\1\1\0\x14\1", 7);
    assert_sense(ask(f, 1, CDB(0x43, 0, 0, 0, 0, 0, 2, 0, 12, 0), 12), 5, 0x24, 0);
    c = ask(f, 1, CDB(0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0), 255);
    assert_int_equal(vr_load_le32(c.in) >> 24, c.used - RESPONSE - 4);
    assert_int_equal(c.in[7], 0x08);                            /* a CD */
    c = ask(f, 1, CDB(0x46, 2, 0, 3, 0, 0, 0, 0, 255, 0), 255); /* the tray */
    assert_int_equal(c.used, RESPONSE + 16);
    c = ask(f, 1, CDB(0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255, 0), 255);
    assert_int_equal(c.in[8], 0x2a);
    assert_good(ask(f, 1, CDB(0x51, 0, 0, 0, 0, 0, 0, 0, 34, 0), 34));
    assert_good(ask(f, 1, CDB(0xbd, 0, 0, 0, 0, 0, 0, 0, 0, 8), 8));
}

static void the_tray(void **state)
{
    struct scsi_fixture *f = *state;
    scsi_start(f, 0);
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 1, 0), 0)); /* locked */
    assert_sense(ask(f, 1, CDB(0x1b, 0, 0, 0, 2, 0), 0), 5, 0x53, 2);
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 0, 0), 0));
    assert_good(ask(f, 1, CDB(0x1b, 0, 0, 0, 2, 0), 0)); /* out */
    assert_sense(ask(f, 1, CDB(0x00), 0), 2, 0x3a, 2);
    assert_sense(ask(f, 1, CDB(0x28, 0, 0, 0, 0, 16, 0, 0, 1, 0), 2048), 2, 0x3a, 2);
    struct cmd c = ask(f, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8);
    assert_memory_equal(c.in, "\0\6\4\x10\3\1", 6); /* taken out, open */
    assert_memory_equal(ask(f, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8).in, "\0\6\4\x10\0\1",
                        6);
    assert_sense(ask(f, 1, CDB(0x4a, 0, 0, 0, 0x10, 0, 0, 0, 8, 0), 8), 5, 0x24, 0);
    assert_good(ask(f, 1, CDB(0x1b, 0, 0, 0, 3, 0), 0)); /* in */
    assert_sense(ask(f, 1, CDB(0x00), 0), 6, 0x28, 0);
    assert_good(ask(f, 1, CDB(0x00), 0));
    assert_memory_equal(ask(f, 1, CDB(0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8, 0), 8).in, "\0\6\4\x10\2\2",
                        6);
    /* The host takes it out, lock or not, and puts another in. */
    assert_good(ask(f, 1, CDB(0x1e, 0, 0, 0, 1, 0), 0));
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, NULL, NULL), 0);
    assert_sense(ask(f, 1, CDB(0x00), 0), 2, 0x3a, 0);
    assert_int_equal(ask(f, 1, CDB(0x46, 0, 0, 0, 0, 0, 0, 0, 255, 0), 255).in[7], 0);
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 1, 0, &f->disc.blk, NULL), 0);
    assert_sense(ask(f, 1, CDB(0x25), 8), 6, 0x28, 0);
    assert_good(ask(f, 1, CDB(0x25), 8));
    assert_int_equal(vr_virtio_scsi_medium(f->dev, 0, 0, NULL, NULL), -ENOENT); /* no drive */
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, scsi_setup, scsi_teardown)
    const struct CMUnitTest tests[] = {
        T(data_in_every_mode),
        T(reads_and_writes_of_all_lengths),
        T(hostile_numbers),
        T(every_command_is_answered),
        T(what_a_disk_is),
        T(the_write_cache),
        T(unmap_and_write_same),
        T(the_host_fails),
        T(a_disc),
        T(the_tray),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
