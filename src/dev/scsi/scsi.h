/*
 * SCSI logical units (disks and CD-ROMs) behind any transport: the transport brings a command
 * descriptor block and buffers, and takes back a status, sense data, and how many bytes went.
 *
 *     struct vr_scsi_req req = {.lun = lun, .in = ..., .out = ...};
 *     memcpy(req.cdb, ...);
 *     if (vr_scsi_start(&req, io_done, me)) { ... it is done; vr_scsi_end(&req) }
 *
 *     io_done(io, result): take the lock; if (vr_scsi_continue(io->opaque's request, result)) ...
 *
 * Everything runs under the transport's device lock; a unit's disk calls done without it.
 *
 * Specifications: SPC-4 (T10/1731-D), SBC-3 (T10/1799-D), MMC-6 (T10/1836-D).
 */
#ifndef VR_DEV_SCSI_SCSI_H
#define VR_DEV_SCSI_SCSI_H

#include "backend/block/block.h"
#include "base/field.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum vr_scsi_kind { VR_SCSI_NONE, VR_SCSI_DISK, VR_SCSI_CDROM };

enum { VR_SCSI_CDB_LEN = 32, VR_SCSI_SENSE_LEN = 18, VR_SCSI_SERIAL_LEN = 20 };

enum vr_scsi_status {
    VR_SCSI_GOOD = 0x00,
    VR_SCSI_CHECK_CONDITION = 0x02,
};

/* What a unit has to tell the next command, a bit each; lower bits first. */
enum vr_scsi_attention {
    VR_SCSI_AT_RESET = 1 << 0,    /* it was reset (or is new) */
    VR_SCSI_AT_MEDIUM = 1 << 1,   /* there may be another medium in it */
    VR_SCSI_AT_CAPACITY = 1 << 2, /* its size changed */
    VR_SCSI_AT_LUNS = 1 << 3,     /* units came or went */
    VR_SCSI_AT_ALL = 15,
};

struct vr_scsi_lun_host {
    enum vr_scsi_kind kind;
    struct vr_blk *blk; /* NULL: a drive without a medium, or no unit */
    char serial[VR_SCSI_SERIAL_LEN + 1];
    char id[32];        /* names it where it has no serial number */
    unsigned in_flight; /* requests of the transport's */
};

struct vr_scsi_lun {
    uint8_t attention;   /* enum vr_scsi_attention */
    bool write_through;  /* a write is stable when it is reported */
    bool locked, open;   /* CD-ROM: the tray may not open; is */
    uint8_t media_event; /* for GET EVENT STATUS NOTIFICATION */
    struct vr_scsi_lun_host host;
};
extern const struct vr_field vr_scsi_lun_fields[];

struct vr_scsi_range {
    uint64_t off_bytes, len_bytes;
};

struct vr_scsi_req {
    struct vr_scsi_lun *lun;
    uint8_t cdb[VR_SCSI_CDB_LEN]; /* zero behind what the initiator sent */
    const struct iovec *out, *in; /* data for the unit, data for the initiator */
    unsigned out_count, in_count;
    uint64_t out_bytes, in_bytes;
    /* Answer. */
    enum vr_scsi_status status;
    bool overrun; /* the command moves more than there are buffers for: nothing was done */
    uint8_t sense[VR_SCSI_SENSE_LEN];
    unsigned sense_len;
    uint64_t out_moved, in_moved;
    /* The unit's. */
    struct vr_blk_req io;
    void (*io_done)(struct vr_blk_req *io, int result);
    struct iovec *pieces; /* of the buffers, for the disk; owned */
    unsigned pieces_count;
    uint8_t *pattern; /* WRITE SAME: blocks to write; owned */
    uint64_t pattern_bytes;
    struct vr_scsi_range *range; /* what is left to do; owned */
    unsigned range_count, range_next;
    bool flush_after;
};

/* Begin. True: it is done. False: req->io is on its way; @io_done(&req->io) will be called without
 * locks on the loop's thread, and calls vr_scsi_continue. */
bool vr_scsi_start(struct vr_scsi_req *req, void (*io_done)(struct vr_blk_req *io, int result));
bool vr_scsi_continue(struct vr_scsi_req *req, int result); /* the same */
void vr_scsi_end(struct vr_scsi_req *req);                  /* let go of what it holds */
static inline struct vr_scsi_req *vr_scsi_req_of(struct vr_blk_req *io)
{
    return (struct vr_scsi_req *)((char *)io - offsetof(struct vr_scsi_req, io));
}

/* Power-on or reset of the unit: locks and modes are at their defaults, the next command hears. */
void vr_scsi_lun_reset(struct vr_scsi_lun *lun);
/* Another medium (NULL: none). Nothing is in flight. */
void vr_scsi_lun_medium(struct vr_scsi_lun *lun, struct vr_blk *blk);
/* What a command hears that is sent to a unit that is not there, beside one that is (INQUIRY,
 * REPORT LUNS; else an error). Always done. */
void vr_scsi_absent(struct vr_scsi_req *req);
/* REPORT LUNS of a target that has these units. Always done. */
void vr_scsi_report_luns(struct vr_scsi_req *req, const uint16_t *luns, unsigned count);
enum { VR_SCSI_REPORT_LUNS = 0xa0, VR_SCSI_REPORT_MAX = 64 };

#endif
