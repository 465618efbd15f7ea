/* What the files of this folder share. */
#ifndef VR_DEV_SCSI_SCSI_IMPL_H
#define VR_DEV_SCSI_SCSI_IMPL_H

#include "base/bits.h"
#include "dev/scsi/scsi.h"

/* Sense key, additional sense code and qualifier (SPC-4, 4.5.6 and annex D) in one. */
#define SCSI_SENSE(key, asc, ascq) ((key) << 16 | (asc) << 8 | (ascq))
enum {
    SCSI_NO_SENSE = SCSI_SENSE(0, 0, 0),
    SCSI_NO_MEDIUM = SCSI_SENSE(2, 0x3a, 0x00),
    SCSI_TRAY_OPEN = SCSI_SENSE(2, 0x3a, 0x02),
    SCSI_WRITE_ERROR = SCSI_SENSE(3, 0x0c, 0x00),
    SCSI_READ_ERROR = SCSI_SENSE(3, 0x11, 0x00),
    SCSI_TARGET_FAILURE = SCSI_SENSE(4, 0x44, 0x00),
    SCSI_LIST_LENGTH = SCSI_SENSE(5, 0x1a, 0x00),
    SCSI_BAD_OPCODE = SCSI_SENSE(5, 0x20, 0x00),
    SCSI_OUT_OF_RANGE = SCSI_SENSE(5, 0x21, 0x00),
    SCSI_BAD_FIELD = SCSI_SENSE(5, 0x24, 0x00),
    SCSI_NO_LUN = SCSI_SENSE(5, 0x25, 0x00),
    SCSI_BAD_LIST = SCSI_SENSE(5, 0x26, 0x00),
    SCSI_NOT_SAVED = SCSI_SENSE(5, 0x39, 0x00),
    SCSI_REMOVAL_PREVENTED = SCSI_SENSE(5, 0x53, 0x02),
    SCSI_MEDIUM_CHANGED = SCSI_SENSE(6, 0x28, 0x00),
    SCSI_WAS_RESET = SCSI_SENSE(6, 0x29, 0x00),
    SCSI_CAPACITY_CHANGED = SCSI_SENSE(6, 0x2a, 0x09),
    SCSI_LUNS_CHANGED = SCSI_SENSE(6, 0x3f, 0x0e),
    SCSI_WRITE_PROTECTED = SCSI_SENSE(7, 0x27, 0x00),
    SCSI_SPACE_EXHAUSTED = SCSI_SENSE(7, 0x27, 0x07),
    SCSI_OUT_OF_MEMORY = SCSI_SENSE(4, 0x55, 0x00), /* system resource failure */
};

/* Big-endian, as everything in SCSI. */
static inline uint64_t scsi_get(const uint8_t *p, unsigned width)
{
    uint64_t v = 0;
    for (unsigned i = 0; i < width; i++) {
        v = v << 8 | p[i];
    }
    return v;
}

static inline void scsi_put(uint8_t *p, unsigned width, uint64_t v)
{
    while (width--) {
        p[width] = (uint8_t)v;
        v >>= 8;
    }
}

/* Commands: true when they are done. */
typedef bool scsi_fn(struct vr_scsi_req *r);

/* A command that a unit knows. */
struct scsi_op {
    uint8_t code;
    uint8_t flags;
    scsi_fn *fn;
};
enum {
    SCSI_OP_NO_ATTENTION = 1, /* works while there is one, and does not report it */
    SCSI_OP_MEDIUM = 2,       /* needs a medium */
};
extern const struct scsi_op scsi_disk_ops[], scsi_cdrom_ops[]; /* until fn is NULL */

bool scsi_good(struct vr_scsi_req *r);
bool scsi_fail(struct vr_scsi_req *r, uint32_t sense);
/* Data for the initiator: at most @alloc bytes of it. */
bool scsi_reply(struct vr_scsi_req *r, const uint8_t *data, size_t len, uint64_t alloc);
/* @len bytes of parameters, all of them. False: not as many, the request failed. */
bool scsi_params(struct vr_scsi_req *r, uint8_t *ret_buf, size_t len);

/* Blocks of a unit. */
uint32_t scsi_block_bytes(const struct vr_scsi_lun *lun);
uint64_t scsi_blocks(const struct vr_scsi_lun *lun);

/* For units of both kinds (scsi.c, scsi_rw.c). */
scsi_fn scsi_good, scsi_test_ready, scsi_request_sense, scsi_inquiry, scsi_mode_sense;
scsi_fn scsi_prevent, scsi_read, scsi_write, scsi_sync, scsi_capacity10;
/* Read [block, block + count). */
bool scsi_read_blocks(struct vr_scsi_req *r, uint64_t block, uint64_t count);
/* Do what is in r->range, one after the other: @op; then the flush, if it is due. */
bool scsi_next_range(struct vr_scsi_req *r, enum vr_blk_op op);

/* Mode pages of the kind, with their two-byte heads, as they are (or, @changeable, masks of what
 * can be changed), behind each other; returns their length. @page 0x3f: all. 0: there is none. */
size_t scsi_disk_mode(const struct vr_scsi_lun *lun, uint8_t page, bool changeable,
                      uint8_t *ret_pages);
size_t scsi_cdrom_mode(const struct vr_scsi_lun *lun, uint8_t page, bool changeable,
                       uint8_t *ret_pages);
enum { SCSI_MODE_ROOM = 128 };
/* Vital product data page of the kind's own, with its four-byte head; 0: there is none. */
size_t scsi_disk_vpd(const struct vr_scsi_lun *lun, uint8_t page, uint8_t *ret_page);
enum { SCSI_VPD_ROOM = 128 };

#endif
