/*
 * SCSI disks: what of the block command set Linux's sd and Windows' disk drivers use. Blocks are
 * the image's sectors; logical block provisioning (UNMAP, WRITE SAME with UNMAP) is offered where
 * the host can punch holes.
 *
 * Specification: SBC-3 (T10/1799-D).
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "dev/scsi/scsi_impl.h"

#include <string.h>

enum {
    UNMAP_RANGES = 256,         /* of one UNMAP */
    SAME_BLOCKS = 1 << 17,      /* of one WRITE SAME: 64 MiB */
    PATTERN_BYTES = 256 * 1024, /* written at a time */
    UNMAP_BLOCKS = 1 << 22,
    CACHING_PAGE = 0x08,
    CACHING_LEN = 20,
    CONTROL_PAGE = 0x0a,
    CONTROL_LEN = 12,
};

/* 2^n blocks are one that the host handles as a whole. */
static unsigned disk_exponent(const struct vr_scsi_lun *lun)
{
    uint32_t best = lun->host.blk->optimal_bytes / scsi_block_bytes(lun);
    unsigned exp = 0;
    while (best >> (exp + 1) && exp < 3) {
        exp++;
    }
    return exp;
}

static bool disk_capacity16(struct vr_scsi_req *r)
{
    const struct vr_scsi_lun *lun = r->lun;
    uint8_t data[32] = {0};
    if ((r->cdb[1] & 0x1f) != 0x10 || scsi_blocks(lun) == 0) {
        return scsi_fail(r, SCSI_BAD_FIELD); /* other service actions */
    }
    scsi_put(data, 8, scsi_blocks(lun) - 1);
    scsi_put(data + 8, 4, scsi_block_bytes(lun));
    data[13] = (uint8_t)disk_exponent(lun);
    data[14] = lun->host.blk->discard ? 0x80 : 0;
    return scsi_reply(r, data, sizeof(data), scsi_get(r->cdb + 10, 4));
}

static bool disk_start_stop(struct vr_scsi_req *r)
{
    return scsi_good(r); /* nothing spins */
}

/* VERIFY without data: the blocks are there. */
static bool disk_verify(struct vr_scsi_req *r)
{
    bool sixteen = r->cdb[0] == 0x8f;
    uint64_t block = scsi_get(r->cdb + 2, sixteen ? 8 : 4);
    uint64_t count = sixteen ? scsi_get(r->cdb + 10, 4) : scsi_get(r->cdb + 7, 2);
    if (r->cdb[1] & 6) {
        return scsi_fail(r, SCSI_BAD_FIELD); /* comparing with what we are sent */
    }
    if (!vr_in_range(block, count, scsi_blocks(r->lun))) {
        return scsi_fail(r, SCSI_OUT_OF_RANGE);
    }
    return scsi_good(r);
}

/* --- UNMAP (5.28) --- */

static bool disk_unmap_list(struct vr_scsi_req *r, const uint8_t *list, unsigned count)
{
    uint32_t block_bytes = scsi_block_bytes(r->lun);
    r->range = vr_zalloc_array(count, sizeof(*r->range));
    if (!r->range) {
        return scsi_fail(r, SCSI_OUT_OF_MEMORY);
    }
    for (unsigned i = 0; i < count; i++) {
        uint64_t block = scsi_get(list + 16 * i, 8), blocks = scsi_get(list + 16 * i + 8, 4);
        if (!vr_in_range(block, blocks, scsi_blocks(r->lun))) {
            return scsi_fail(r, SCSI_OUT_OF_RANGE);
        }
        if (blocks) {
            r->range[r->range_count++] = (struct vr_scsi_range){.off_bytes = block * block_bytes,
                                                                .len_bytes = blocks * block_bytes};
        }
    }
    if (r->range_count == 0) {
        return scsi_good(r);
    }
    r->flush_after = r->lun->write_through;
    return scsi_next_range(r, VR_BLK_DISCARD);
}

static bool disk_unmap(struct vr_scsi_req *r)
{
    uint8_t list[8 + 16 * UNMAP_RANGES];
    uint64_t len = scsi_get(r->cdb + 7, 2);
    if (!r->lun->host.blk->discard) {
        return scsi_fail(r, SCSI_BAD_OPCODE);
    }
    if (r->lun->host.blk->read_only) {
        return scsi_fail(r, SCSI_WRITE_PROTECTED);
    }
    if (r->cdb[1] & 1) { /* anchored blocks */
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (len == 0) {
        return scsi_good(r);
    }
    if (len < 8) {
        return scsi_fail(r, SCSI_LIST_LENGTH);
    }
    len = len < sizeof(list) ? len : sizeof(list);
    if (!scsi_params(r, list, (size_t)len)) {
        return true;
    }
    uint64_t count = scsi_get(list + 2, 2) / 16;
    if (count > UNMAP_RANGES) {
        return scsi_fail(r, SCSI_BAD_LIST);
    }
    count = count < (len - 8) / 16 ? count : (len - 8) / 16;
    return disk_unmap_list(r, list + 8, (unsigned)count);
}

/* --- WRITE SAME (5.44, 5.45) --- */

static bool disk_write_same(struct vr_scsi_req *r)
{
    bool sixteen = r->cdb[0] == 0x93;
    const struct vr_scsi_lun *lun = r->lun;
    uint32_t block_bytes = scsi_block_bytes(lun);
    uint64_t block = scsi_get(r->cdb + 2, sixteen ? 8 : 4);
    uint64_t count = sixteen ? scsi_get(r->cdb + 10, 4) : scsi_get(r->cdb + 7, 2);
    bool no_data = sixteen && (r->cdb[1] & 1);
    if (lun->host.blk->read_only) {
        return scsi_fail(r, SCSI_WRITE_PROTECTED);
    }
    if ((r->cdb[1] & 0xf6) & ~0x08u) { /* protection, anchors, numbered blocks */
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (!vr_in_range(block, count, scsi_blocks(lun))) {
        return scsi_fail(r, SCSI_OUT_OF_RANGE);
    }
    count = count ? count : scsi_blocks(lun) - block; /* to the end */
    if (count > SAME_BLOCKS) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (count == 0) {
        return scsi_good(r);
    }
    uint64_t len = count * block_bytes;
    r->pattern_bytes = len < PATTERN_BYTES ? len : PATTERN_BYTES;
    r->pattern = vr_zalloc((size_t)r->pattern_bytes);
    r->range = vr_zalloc(sizeof(*r->range));
    r->pieces = vr_zalloc(sizeof(*r->pieces));
    if (!r->pattern || !r->range || !r->pieces) {
        return scsi_fail(r, SCSI_OUT_OF_MEMORY);
    }
    if (!no_data && !scsi_params(r, r->pattern, block_bytes)) {
        return true;
    }
    r->range[r->range_count++] =
        (struct vr_scsi_range){.off_bytes = block * block_bytes, .len_bytes = len};
    r->flush_after = lun->write_through;
    if (vr_is_zero(r->pattern, block_bytes)) {
        return scsi_next_range(r, VR_BLK_WRITE_ZEROES);
    }
    for (uint64_t at = block_bytes; at < r->pattern_bytes; at += block_bytes) {
        memcpy(r->pattern + at, r->pattern, block_bytes);
    }
    return scsi_next_range(r, VR_BLK_WRITE);
}

/* --- Modes --- */

size_t scsi_disk_mode(const struct vr_scsi_lun *lun, uint8_t page, bool changeable,
                      uint8_t *ret_pages)
{
    size_t len = 0;
    memset(ret_pages, 0, SCSI_MODE_ROOM);
    if (page == CACHING_PAGE || page == 0x3f) {
        ret_pages[0] = CACHING_PAGE;
        ret_pages[1] = CACHING_LEN - 2;
        ret_pages[2] = changeable || !lun->write_through ? 0x04 : 0; /* WCE */
        len += CACHING_LEN;
    }
    if (page == CONTROL_PAGE || page == 0x3f) {
        ret_pages[len] = CONTROL_PAGE;
        ret_pages[len + 1] = CONTROL_LEN - 2;
        ret_pages[len + 3] = changeable ? 0 : 0x10; /* commands may be reordered */
        len += CONTROL_LEN;
    }
    return len;
}

/* MODE SELECT: the write cache on or off. */
static bool disk_mode_select(struct vr_scsi_req *r)
{
    bool ten = r->cdb[0] == 0x55;
    uint8_t list[64], now[SCSI_MODE_ROOM];
    size_t len = ten ? (size_t)scsi_get(r->cdb + 7, 2) : r->cdb[4], at = ten ? 8 : 4;
    if (r->cdb[1] != 0x10) { /* pages, and not to be saved */
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (len == 0) {
        return scsi_good(r);
    }
    if (len < at || len > sizeof(list)) {
        return scsi_fail(r, SCSI_LIST_LENGTH);
    }
    if (!scsi_params(r, list, len)) {
        return true;
    }
    at += ten ? (size_t)scsi_get(list + 6, 2) : list[3]; /* block descriptors */
    if (at == len) {
        return scsi_good(r);
    }
    if (at > len || len - at != CACHING_LEN) {
        return scsi_fail(r, SCSI_LIST_LENGTH);
    }
    scsi_disk_mode(r->lun, CACHING_PAGE, false, now);
    list[at] &= 0x7f; /* "can be saved" means nothing here */
    now[2] = list[at + 2] & 0x04;
    if (memcmp(list + at, now, CACHING_LEN) != 0) {
        return scsi_fail(r, SCSI_BAD_LIST);
    }
    r->lun->write_through = !(now[2] & 0x04);
    return scsi_good(r);
}

/* --- Vital product data (6.5) --- */

size_t scsi_disk_vpd(const struct vr_scsi_lun *lun, uint8_t page, uint8_t *ret_page)
{
    bool discard = lun->host.blk->discard;
    switch (page) {
    case 0xb0: /* block limits */
        scsi_put(ret_page + 6, 2, UINT64_C(1) << disk_exponent(lun));
        scsi_put(ret_page + 12, 4, UINT64_C(1) << disk_exponent(lun));
        if (discard) {
            scsi_put(ret_page + 20, 4, UNMAP_BLOCKS);
            scsi_put(ret_page + 24, 4, UNMAP_RANGES);
            scsi_put(ret_page + 28, 4, UINT64_C(1) << disk_exponent(lun));
        }
        scsi_put(ret_page + 36, 8, SAME_BLOCKS);
        return 64;
    case 0xb1:           /* characteristics */
        ret_page[5] = 1; /* does not rotate */
        return 64;
    case 0xb2:                            /* provisioning */
        ret_page[5] = discard ? 0xe0 : 0; /* UNMAP, WRITE SAME (16) and (10) */
        ret_page[6] = discard ? 2 : 0;    /* thin */
        return 8;
    default:
        return 0;
    }
}

const struct scsi_op scsi_disk_ops[] = {
    {0x00, 0, scsi_test_ready},
    {0x03, SCSI_OP_NO_ATTENTION, scsi_request_sense},
    {0x08, 0, scsi_read},
    {0x0a, 0, scsi_write},
    {0x12, SCSI_OP_NO_ATTENTION, scsi_inquiry},
    {0x15, 0, disk_mode_select},
    {0x1a, 0, scsi_mode_sense},
    {0x1b, 0, disk_start_stop},
    {0x25, 0, scsi_capacity10},
    {0x28, 0, scsi_read},
    {0x2a, 0, scsi_write},
    {0x2e, 0, scsi_write}, /* and verify */
    {0x2f, 0, disk_verify},
    {0x35, 0, scsi_sync},
    {0x41, 0, disk_write_same},
    {0x42, 0, disk_unmap},
    {0x55, 0, disk_mode_select},
    {0x5a, 0, scsi_mode_sense},
    {0x88, 0, scsi_read},
    {0x8a, 0, scsi_write},
    {0x8e, 0, scsi_write},
    {0x8f, 0, disk_verify},
    {0x91, 0, scsi_sync},
    {0x93, 0, disk_write_same},
    {0x9e, 0, disk_capacity16},
    {0xa8, 0, scsi_read},
    {0xaa, 0, scsi_write},
    {0xae, 0, scsi_write},
    {0, 0, NULL},
};
