/* SCSI units: commands of every device type (SPC-4), sense data, unit attentions, and who knows
 * which command. */
#include "dev/scsi/scsi_impl.h"

#include "base/err.h"
#include "core/iov.h"

#include <stdlib.h>
#include <string.h>

static const struct {
    uint8_t bit;
    uint32_t sense;
} scsi_attentions[] = {
    {VR_SCSI_AT_RESET, SCSI_WAS_RESET},
    {VR_SCSI_AT_MEDIUM, SCSI_MEDIUM_CHANGED},
    {VR_SCSI_AT_CAPACITY, SCSI_CAPACITY_CHANGED},
    {VR_SCSI_AT_LUNS, SCSI_LUNS_CHANGED},
};

/* Fixed format (SPC-4, 4.5.3). */
static void scsi_sense_data(uint32_t sense, uint8_t *ret_data)
{
    memset(ret_data, 0, VR_SCSI_SENSE_LEN);
    ret_data[0] = 0x70;
    ret_data[2] = (uint8_t)(sense >> 16);
    ret_data[7] = VR_SCSI_SENSE_LEN - 8;
    ret_data[12] = (uint8_t)(sense >> 8);
    ret_data[13] = (uint8_t)sense;
}

bool scsi_good(struct vr_scsi_req *r)
{
    r->status = VR_SCSI_GOOD;
    return true;
}

bool scsi_fail(struct vr_scsi_req *r, uint32_t sense)
{
    r->status = VR_SCSI_CHECK_CONDITION;
    r->sense_len = VR_SCSI_SENSE_LEN;
    scsi_sense_data(sense, r->sense);
    return true;
}

bool scsi_reply(struct vr_scsi_req *r, const uint8_t *data, size_t len, uint64_t alloc)
{
    len = len < alloc ? len : (size_t)alloc;
    if (len > r->in_bytes) {
        r->overrun = true;
        return true;
    }
    r->in_moved = vr_iov_put(r->in, r->in_count, 0, data, len);
    return scsi_good(r);
}

bool scsi_params(struct vr_scsi_req *r, uint8_t *ret_buf, size_t len)
{
    if (len > r->out_bytes) {
        r->overrun = true;
        return false;
    }
    r->out_moved = vr_iov_get(r->out, r->out_count, 0, ret_buf, len);
    return true;
}

uint32_t scsi_block_bytes(const struct vr_scsi_lun *lun)
{
    return lun->host.kind == VR_SCSI_CDROM ? 2048 : lun->host.blk->sector_bytes;
}

uint64_t scsi_blocks(const struct vr_scsi_lun *lun)
{
    return lun->host.blk ? lun->host.blk->size_bytes / scsi_block_bytes(lun) : 0;
}

/* The oldest thing to tell, or NO_SENSE; it is told then. */
static uint32_t scsi_take_attention(struct vr_scsi_lun *lun)
{
    for (unsigned i = 0; i < VR_COUNT(scsi_attentions); i++) {
        if (lun->attention & scsi_attentions[i].bit) {
            lun->attention &= (uint8_t)~scsi_attentions[i].bit;
            return scsi_attentions[i].sense;
        }
    }
    return SCSI_NO_SENSE;
}

bool scsi_test_ready(struct vr_scsi_req *r)
{
    return scsi_good(r);
}

bool scsi_request_sense(struct vr_scsi_req *r)
{
    uint8_t data[VR_SCSI_SENSE_LEN];
    if (r->cdb[1] & 1) { /* descriptor format: everything here is fixed */
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    scsi_sense_data(scsi_take_attention(r->lun), data);
    return scsi_reply(r, data, sizeof(data), r->cdb[4]);
}

/* --- INQUIRY --- */

/* Text in a field of fixed length. */
static void scsi_text(uint8_t *to, size_t len, const char *text)
{
    size_t n = strlen(text);
    n = n < len ? n : len;
    memset(to, ' ', len);
    memcpy(to, text, n);
}

static size_t scsi_vpd_id(const struct vr_scsi_lun *lun, uint8_t *page)
{
    const char *name = *lun->host.serial ? lun->host.serial : lun->host.id;
    size_t len = strlen(name);
    page[4] = 2; /* ASCII */
    page[5] = 1; /* of the unit; T10 vendor identification */
    page[7] = (uint8_t)(8 + len);
    scsi_text(page + 8, 8, "VIREO");
    memcpy(page + 16, name, len);
    return 16 + len;
}

static bool scsi_inquiry_vpd(struct vr_scsi_req *r, uint8_t type)
{
    static const uint8_t disk_pages[] = {0x00, 0x80, 0x83, 0xb0, 0xb1, 0xb2};
    const struct vr_scsi_lun *lun = r->lun;
    uint8_t page[SCSI_VPD_ROOM] = {type, r->cdb[2]};
    size_t len = 0;
    if (r->cdb[2] == 0x00) {
        size_t count = lun->host.kind == VR_SCSI_DISK ? sizeof(disk_pages) : 3;
        len = 4;
        for (size_t i = 0; i < count; i++) {
            if (disk_pages[i] != 0x80 || *lun->host.serial) {
                page[len++] = disk_pages[i];
            }
        }
    } else if (r->cdb[2] == 0x80 && *lun->host.serial) {
        len = 4 + strlen(lun->host.serial);
        memcpy(page + 4, lun->host.serial, len - 4);
    } else if (r->cdb[2] == 0x83) {
        len = scsi_vpd_id(lun, page);
    } else if (lun->host.kind == VR_SCSI_DISK) {
        len = scsi_disk_vpd(lun, r->cdb[2], page);
    }
    if (len == 0) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    scsi_put(page + 2, 2, len - 4);
    return scsi_reply(r, page, len, scsi_get(r->cdb + 3, 2));
}

bool scsi_inquiry(struct vr_scsi_req *r)
{
    bool cdrom = r->lun->host.kind == VR_SCSI_CDROM;
    uint8_t type = cdrom ? 0x05 : 0x00;
    uint8_t data[36] = {type, cdrom ? 0x80 : 0x00 /* removable */, 0x05 /* SPC-3 */, 0x12, 31};
    if (r->cdb[1] & 1) {
        return scsi_inquiry_vpd(r, type);
    }
    if (r->cdb[2] || r->cdb[1]) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    data[7] = 0x02; /* queues commands */
    scsi_text(data + 8, 8, "VIREO");
    scsi_text(data + 16, 16, cdrom ? "CD-ROM" : "disk");
    scsi_text(data + 32, 4, "1");
    return scsi_reply(r, data, sizeof(data), scsi_get(r->cdb + 3, 2));
}

void vr_scsi_absent(struct vr_scsi_req *r)
{
    static const uint8_t nobody[36] = {0x7f, 0, 0x05, 0x02, 31}; /* no unit can be there */
    uint8_t sense[VR_SCSI_SENSE_LEN];
    if (r->cdb[0] == 0x12 && !(r->cdb[1] & 1) && r->cdb[2] == 0) {
        (void)scsi_reply(r, nobody, sizeof(nobody), scsi_get(r->cdb + 3, 2));
    } else if (r->cdb[0] == 0x03) {
        scsi_sense_data(SCSI_NO_LUN, sense);
        (void)scsi_reply(r, sense, sizeof(sense), r->cdb[4]);
    } else {
        (void)scsi_fail(r, SCSI_NO_LUN);
    }
}

void vr_scsi_report_luns(struct vr_scsi_req *r, const uint16_t *luns, unsigned count)
{
    uint8_t data[8 + 8 * VR_SCSI_REPORT_MAX] = {0};
    size_t len = 8;
    if (r->cdb[2] > 2) {
        (void)scsi_fail(r, SCSI_BAD_FIELD);
        return;
    }
    for (unsigned i = 0; i < count && r->cdb[2] != 1; i++) { /* 1: well-known units only */
        scsi_put(data + len, 2, luns[i] < 256 ? luns[i] : 0x4000 | luns[i]);
        len += 8;
    }
    scsi_put(data, 4, len - 8);
    (void)scsi_reply(r, data, len, scsi_get(r->cdb + 6, 4));
}

/* --- Mode pages --- */

bool scsi_mode_sense(struct vr_scsi_req *r)
{
    const struct vr_scsi_lun *lun = r->lun;
    bool disk = lun->host.kind == VR_SCSI_DISK, ten = r->cdb[0] == 0x5a;
    uint8_t control = r->cdb[2] >> 6, page = r->cdb[2] & 0x3f, subpage = r->cdb[3];
    uint8_t data[16 + SCSI_MODE_ROOM] = {0};
    size_t head = ten ? 8 : 4, at = head;
    if (control == 3) {
        return scsi_fail(r, SCSI_NOT_SAVED);
    }
    if (subpage && !(subpage == 0xff && page == 0x3f)) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (disk && !(r->cdb[1] & 8)) { /* a block descriptor */
        uint64_t blocks = scsi_blocks(lun);
        scsi_put(data + at, 4, blocks < UINT32_MAX ? blocks : UINT32_MAX);
        scsi_put(data + at + 5, 3, scsi_block_bytes(lun));
        at += 8;
    }
    size_t descriptors = at - head;
    size_t len = (disk ? scsi_disk_mode : scsi_cdrom_mode)(lun, page, control == 1, data + at);
    if (len == 0) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    at += len;
    /* Write protection; writes with FUA work. */
    uint8_t device = !disk ? 0 : lun->host.blk->read_only ? 0x90 : 0x10;
    if (ten) {
        scsi_put(data, 2, at - 2);
        data[3] = device;
        data[7] = (uint8_t)descriptors;
    } else {
        data[0] = (uint8_t)(at - 1);
        data[2] = device;
        data[3] = (uint8_t)descriptors;
    }
    return scsi_reply(r, data, at, ten ? scsi_get(r->cdb + 7, 2) : r->cdb[4]);
}

bool scsi_prevent(struct vr_scsi_req *r)
{
    r->lun->locked = r->cdb[4] & 1;
    return scsi_good(r);
}

/* --- Who knows what --- */

bool vr_scsi_start(struct vr_scsi_req *r, void (*io_done)(struct vr_blk_req *io, int result))
{
    struct vr_scsi_lun *lun = r->lun;
    const struct scsi_op *op = lun->host.kind == VR_SCSI_DISK ? scsi_disk_ops : scsi_cdrom_ops;
    r->io_done = io_done;
    while (op->fn && op->code != r->cdb[0]) {
        op++;
    }
    if (!(op->flags & SCSI_OP_NO_ATTENTION)) {
        uint32_t sense = scsi_take_attention(lun);
        if (sense != SCSI_NO_SENSE) {
            return scsi_fail(r, sense);
        }
    }
    if (!op->fn) {
        return scsi_fail(r, SCSI_BAD_OPCODE);
    }
    if ((op->flags & SCSI_OP_MEDIUM) && (!lun->host.blk || lun->open)) {
        return scsi_fail(r, lun->open ? SCSI_TRAY_OPEN : SCSI_NO_MEDIUM);
    }
    return op->fn(r);
}

void vr_scsi_end(struct vr_scsi_req *r)
{
    free(r->pieces);
    free(r->pattern);
    free(r->range);
    r->pieces = NULL;
    r->pattern = NULL;
    r->range = NULL;
}

void vr_scsi_lun_reset(struct vr_scsi_lun *lun)
{
    lun->attention = VR_SCSI_AT_RESET;
    lun->write_through = lun->locked = lun->open = false;
    lun->media_event = 0;
}

void vr_scsi_lun_medium(struct vr_scsi_lun *lun, struct vr_blk *blk)
{
    lun->host.blk = blk;
    lun->open = false;
    if (blk) {
        lun->attention |= VR_SCSI_AT_MEDIUM;
    }
    lun->media_event = blk ? 2 : 3; /* new medium; it was taken out */
}

#define VR_SELF struct vr_scsi_lun
const struct vr_field vr_scsi_lun_fields[] = {
    VR_STATE(attention, "what the next command is told, a bit each", .def = VR_SCSI_AT_RESET,
             .max = VR_SCSI_AT_ALL),
    VR_STATE(write_through, "writes are stable when they are reported"),
    VR_STATE(locked, "the medium may not be removed"),
    VR_STATE(open, "the tray is out"),
    VR_STATE(media_event, "what the next look for events of the medium finds", .max = 3),
    VR_HOST(host, "the disk and its names, given by the board; requests in flight"),
    VR_FIELD_END,
};
