/* Reads, writes and flushes of SCSI units: buffers of the initiator go to the disk as they are. */
#include "dev/scsi/scsi_impl.h"

#include "base/alloc.h"
#include "core/iov.h"

#include <errno.h>

/* Where the numbers are in a CDB: by the length of its group (SPC-4, 4.2.5). */
static void scsi_rw_range(const struct vr_scsi_req *r, uint64_t *ret_block, uint64_t *ret_count)
{
    const uint8_t *cdb = r->cdb;
    switch (cdb[0] >> 5) {
    case 0: /* 6 bytes */
        *ret_block = scsi_get(cdb + 1, 3) & 0x1fffff;
        *ret_count = cdb[4] ? cdb[4] : 256;
        break;
    case 4: /* 16 */
        *ret_block = scsi_get(cdb + 2, 8);
        *ret_count = scsi_get(cdb + 10, 4);
        break;
    case 5: /* 12 */
        *ret_block = scsi_get(cdb + 2, 4);
        *ret_count = scsi_get(cdb + 6, 4);
        break;
    default: /* 10 */
        *ret_block = scsi_get(cdb + 2, 4);
        *ret_count = scsi_get(cdb + 7, 2);
        break;
    }
}

static bool scsi_submit(struct vr_scsi_req *r, enum vr_blk_op op, uint64_t off, uint64_t len)
{
    r->io = (struct vr_blk_req){
        .op = op,
        .may_unmap = true,
        .off_bytes = off,
        .len_bytes = len,
        .iov = r->pieces,
        .iov_count = r->pieces_count,
        .done = r->io_done,
    };
    vr_blk_submit(r->lun->host.blk, &r->io);
    return false;
}

/* The first @len bytes of the initiator's buffer, as pieces. */
static bool scsi_pieces(struct vr_scsi_req *r, const struct iovec *iov, unsigned count,
                        uint64_t len)
{
    r->pieces = vr_zalloc_array(count, sizeof(*r->pieces));
    if (!r->pieces) {
        return false;
    }
    r->pieces_count = vr_iov_slice(iov, count, 0, len, r->pieces, NULL);
    return true;
}

/* Is it on the unit? Fails the request if not. */
static bool scsi_on_unit(struct vr_scsi_req *r, uint64_t block, uint64_t count)
{
    if (vr_in_range(block, count, scsi_blocks(r->lun))) {
        return true;
    }
    scsi_fail(r, SCSI_OUT_OF_RANGE);
    return false;
}

bool scsi_read_blocks(struct vr_scsi_req *r, uint64_t block, uint64_t count)
{
    if (!scsi_on_unit(r, block, count)) {
        return true;
    }
    if (count == 0) {
        return scsi_good(r);
    }
    uint64_t len = count * scsi_block_bytes(r->lun);
    if (len > r->in_bytes) {
        r->overrun = true;
        return true;
    }
    if (!scsi_pieces(r, r->in, r->in_count, len)) {
        return scsi_fail(r, SCSI_OUT_OF_MEMORY);
    }
    r->in_moved = len;
    return scsi_submit(r, VR_BLK_READ, block * scsi_block_bytes(r->lun), len);
}

bool scsi_read(struct vr_scsi_req *r)
{
    uint64_t block, count;
    scsi_rw_range(r, &block, &count);
    return scsi_read_blocks(r, block, count);
}

bool scsi_write(struct vr_scsi_req *r)
{
    uint64_t block, count;
    bool fua = r->cdb[0] >> 5 && (r->cdb[1] & 8);
    bool verify = r->cdb[0] == 0x2e || r->cdb[0] == 0xae || r->cdb[0] == 0x8e;
    scsi_rw_range(r, &block, &count);
    if (r->lun->host.blk->read_only) {
        return scsi_fail(r, SCSI_WRITE_PROTECTED);
    }
    if (!scsi_on_unit(r, block, count)) {
        return true;
    }
    uint64_t len = count * scsi_block_bytes(r->lun);
    if (len > r->out_bytes) {
        r->overrun = true;
        return true;
    }
    if (count == 0) {
        return scsi_good(r);
    }
    if (!scsi_pieces(r, r->out, r->out_count, len)) {
        return scsi_fail(r, SCSI_OUT_OF_MEMORY);
    }
    r->out_moved = len;
    r->flush_after = fua || verify || r->lun->write_through;
    return scsi_submit(r, VR_BLK_WRITE, block * scsi_block_bytes(r->lun), len);
}

bool scsi_sync(struct vr_scsi_req *r)
{
    uint64_t block, count;
    scsi_rw_range(r, &block, &count);
    /* All of it is written, whichever blocks are meant; 0: to the end. */
    if (!scsi_on_unit(r, block, count)) {
        return true;
    }
    return scsi_submit(r, VR_BLK_FLUSH, 0, 0);
}

bool scsi_capacity10(struct vr_scsi_req *r)
{
    uint8_t data[8];
    uint64_t last = scsi_blocks(r->lun) - 1;
    if (scsi_blocks(r->lun) == 0) {
        return scsi_fail(r, SCSI_NO_MEDIUM);
    }
    scsi_put(data, 4, last < UINT32_MAX ? last : UINT32_MAX);
    scsi_put(data + 4, 4, scsi_block_bytes(r->lun));
    return scsi_reply(r, data, sizeof(data), sizeof(data));
}

bool scsi_next_range(struct vr_scsi_req *r, enum vr_blk_op op)
{
    struct vr_scsi_range *range = &r->range[r->range_next];
    uint64_t off = range->off_bytes, len = range->len_bytes;
    if (op == VR_BLK_WRITE) { /* as much as there is pattern */
        len = len < r->pattern_bytes ? len : r->pattern_bytes;
        r->pieces[0] = (struct iovec){.iov_base = r->pattern, .iov_len = (size_t)len};
        r->pieces_count = 1;
    }
    range->off_bytes += len;
    range->len_bytes -= len;
    r->range_next += range->len_bytes == 0;
    return scsi_submit(r, op, off, len);
}

static uint32_t scsi_sense_of(const struct vr_scsi_req *r, int result)
{
    switch (result) {
    case -ENOSPC:
    case -EDQUOT:
        return SCSI_SPACE_EXHAUSTED;
    case -EROFS:
        return SCSI_WRITE_PROTECTED;
    case -EOPNOTSUPP:
        return SCSI_BAD_OPCODE;
    case -ENOMEM:
        return SCSI_OUT_OF_MEMORY;
    default:
        return r->io.op == VR_BLK_READ ? SCSI_READ_ERROR : SCSI_WRITE_ERROR;
    }
}

bool vr_scsi_continue(struct vr_scsi_req *r, int result)
{
    if (result < 0) {
        r->in_moved = r->out_moved = 0;
        return scsi_fail(r, scsi_sense_of(r, result));
    }
    if (r->range_next < r->range_count) {
        return scsi_next_range(r, r->io.op);
    }
    if (r->flush_after) {
        r->flush_after = false;
        r->pieces_count = 0;
        return scsi_submit(r, VR_BLK_FLUSH, 0, 0);
    }
    return scsi_good(r);
}
