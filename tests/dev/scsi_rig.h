/* A virtio SCSI controller with two disks and a CD-ROM drive, and commands for them: what the tests
 * of it share. */
#ifndef VR_TEST_SCSI_RIG_H
#define VR_TEST_SCSI_RIG_H

#include "virtq_driver.h"

#include "dev/virtio/scsi.h"
#include "virtio_fakes.h"

enum { CONTROL, EVENT, REQUEST };
enum { DISK = 1 << 20, BLOCKS = DISK / 512, DISC = 64 * 2048 };
enum { OK = 0, OVERRUN = 1, ABORTED = 2, BAD_TARGET = 3, RESET = 4, SUCCEEDED = 10, REJECTED = 11 };
enum { INCORRECT_LUN = 12 };
enum { GOOD = 0, CHECK = 2 };
enum { F_HOTPLUG = 2 };
enum { RESPONSE = 108 };
#define SENSE(key, asc, ascq) ((unsigned)(key) << 16 | (asc) << 8 | (ascq))

/* Units of the fixture. */
enum { T_DISK, T_CDROM, T_PLAIN };

struct scsi_fixture {
    struct rig rig;
    struct vr_loop *loop;
    struct mem_blk disk, disc, plain;
    struct vr_dev *dev;
    struct vd d;
};

/* One command and what came of it. */
struct cmd {
    uint8_t target;
    uint16_t lun;
    const uint8_t *cdb;
    unsigned cdb_len;
    const void *out;
    uint32_t out_len, in_len;
    /* Answer. */
    uint8_t response, status;
    unsigned sense;
    uint32_t residual, used;
    uint8_t *in;
};

#define CDB(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

/* Each evaluates the command once. */
#define assert_good(c)                       \
    do {                                     \
        const struct cmd got_ = (c);         \
        assert_int_equal(got_.response, OK); \
        assert_int_equal(got_.sense, 0);     \
        assert_int_equal(got_.status, GOOD); \
    } while (0)
#define assert_sense(c, key, asc, ascq)                      \
    do {                                                     \
        const struct cmd got_ = (c);                         \
        assert_int_equal(got_.response, OK);                 \
        assert_int_equal(got_.sense, SENSE(key, asc, ascq)); \
        assert_int_equal(got_.status, CHECK);                \
    } while (0)

int scsi_plug(struct scsi_fixture *f, unsigned target, unsigned lun, struct mem_blk *blk,
              bool cdrom);
int scsi_setup(void **state);
int scsi_teardown(void **state);
/* Negotiate, and hear from every unit that it is new. */
void scsi_start(struct scsi_fixture *f, uint64_t features);
/* The next chain of @queue came back; false: it never did. */
bool scsi_done(struct scsi_fixture *f, unsigned queue, uint32_t *ret_len);
/* The chain of a command, in pieces of @cut bytes (0: whole), published on @queue; where its answer
 * will be. */
uint64_t cmd_add(struct scsi_fixture *f, unsigned queue, const struct cmd *c, uint64_t id,
                 unsigned cut);
void cmd_answer(struct scsi_fixture *f, struct cmd *c, uint64_t gpa);
/* Publish it, wait, and take the answer. */
void cmd_run(struct scsi_fixture *f, struct cmd *c, unsigned cut);
/* A command with data to the initiator (in .in), or from it. */
struct cmd ask(struct scsi_fixture *f, uint8_t target, const uint8_t *cdb, unsigned len,
               uint32_t in_len);
struct cmd give(struct scsi_fixture *f, uint8_t target, const uint8_t *cdb, unsigned len,
                const void *out, uint32_t out_len);

#endif
