/*
 * SCSI CD-ROM drives: one disc of one data track, what Linux's sr and Windows' cdrom drivers use.
 * Discs up to 900 MB are CDs, larger ones DVDs. The tray can be opened and closed by the guest, and
 * the host can change what lies in it.
 *
 * Specification: MMC-6 (T10/1836-D).
 */
#include "dev/scsi/scsi_impl.h"

#include "base/bits.h"

#include <string.h>

enum {
    CD_MAX_BLOCKS = 900 * 1000 * 1000 / 2048,
    PROFILE_CD = 0x0008,
    PROFILE_DVD = 0x0010,
    FRAMES = 75, /* a second */
    LEAD_IN = 2 * FRAMES,
    LEAD_OUT = 0xaa,
    MEDIA_CLASS = 4,
    ERROR_PAGE = 0x01,
    ERROR_LEN = 12,
    CAPS_PAGE = 0x2a,
    CAPS_LEN = 22,
};

static unsigned cdrom_profile(const struct vr_scsi_lun *lun)
{
    return !lun->host.blk || lun->open         ? 0
           : scsi_blocks(lun) <= CD_MAX_BLOCKS ? PROFILE_CD
                                               : PROFILE_DVD;
}

/* --- Reading --- */

/* READ CD (6.15): the user data of data sectors, which is all there is. */
static bool cdrom_read_cd(struct vr_scsi_req *r)
{
    uint8_t type = r->cdb[1] >> 2 & 7, what = r->cdb[9];
    if ((type && type != 2 && type != 4) || r->cdb[10]) { /* any, mode 1, mode 2 form 1 */
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (what == 0) {
        return scsi_good(r);
    }
    if (what != 0x10) { /* headers, error correction, ... */
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    return scsi_read_blocks(r, scsi_get(r->cdb + 2, 4), scsi_get(r->cdb + 6, 3));
}

static void cdrom_put_addr(uint8_t *p, uint64_t block, bool msf)
{
    if (msf) {
        block += LEAD_IN;
        p[1] = (uint8_t)(block / (60 * FRAMES));
        p[2] = (uint8_t)(block / FRAMES % 60);
        p[3] = (uint8_t)(block % FRAMES);
    } else {
        scsi_put(p, 4, block);
    }
}

/* READ TOC/PMA/ATIP (6.22): tracks, and sessions. */
static bool cdrom_read_toc(struct vr_scsi_req *r)
{
    bool msf = r->cdb[1] & 2;
    uint8_t format = r->cdb[2] & 0xf, first = r->cdb[6];
    uint8_t toc[20] = {0, 0, 1, 1};
    size_t len = 4;
    format = format ? format : r->cdb[9] >> 6; /* where older initiators put it */
    if (format > 1 || (format == 0 && first > 1 && first != LEAD_OUT)) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (format == 1 || first <= 1) {
        toc[len + 1] = 0x14; /* data track */
        toc[len + 2] = 1;
        cdrom_put_addr(toc + len + 4, 0, msf);
        len += 8;
    }
    if (format == 0) {
        toc[len + 1] = 0x14;
        toc[len + 2] = LEAD_OUT;
        cdrom_put_addr(toc + len + 4, scsi_blocks(r->lun), msf);
        len += 8;
    }
    scsi_put(toc, 2, len - 2);
    return scsi_reply(r, toc, len, scsi_get(r->cdb + 7, 2));
}

static bool cdrom_disc_information(struct vr_scsi_req *r)
{
    uint8_t info[34] = {0, 32, 0x0e /* complete */, 1, 1, 1, 1, 0x20 /* unrestricted */};
    if (r->cdb[1] & 7) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    memset(info + 16, 0xff, 8); /* no further lead-in */
    return scsi_reply(r, info, sizeof(info), scsi_get(r->cdb + 7, 2));
}

/* --- What the drive is --- */

/* GET CONFIGURATION (6.5). */
static bool cdrom_configuration(struct vr_scsi_req *r)
{
    static const struct {
        uint8_t code, flags; /* version, persistent, current */
        uint8_t len;
        uint8_t data[8];
    } features[] = {
        {0x00, 0x03, 8, {0x00, PROFILE_DVD, 0, 0, 0x00, PROFILE_CD, 0, 0}},
        {0x01, 0x0b, 8, {0, 0, 0, 1 /* SCSI */, 1}},
        {0x02, 0x07, 4, {2}},                      /* morphing: events are polled for */
        {0x03, 0x0b, 4, {0x29}},                   /* removable: tray, ejects, locks */
        {0x10, 0x00, 8, {0, 0, 8, 0, 0, 1, 0, 0}}, /* random readable: 2048 bytes a block */
        {0x1e, 0x08, 4, {0}},                      /* reads CDs */
        {0x1f, 0x08, 4, {0}},                      /* and DVDs */
    };
    unsigned profile = cdrom_profile(r->lun), type = r->cdb[1] & 3;
    unsigned start = (unsigned)scsi_get(r->cdb + 2, 2);
    uint8_t data[128] = {0};
    size_t len = 8;
    if (type == 3) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    for (unsigned i = 0; i < VR_COUNT(features); i++) {
        uint8_t code = features[i].code, flags = features[i].flags;
        flags |= (code == 0x10 && profile) || (code == 0x1e && profile == PROFILE_CD) ||
                 (code == 0x1f && profile == PROFILE_DVD);
        if (code < start || (type == 2 && code != start) || (type == 1 && !(flags & 1))) {
            continue;
        }
        data[len + 1] = code;
        data[len + 2] = flags;
        data[len + 3] = features[i].len;
        memcpy(data + len + 4, features[i].data, features[i].len);
        if (code == 0x00) { /* which profile is current */
            data[len + 6] = profile == PROFILE_DVD;
            data[len + 10] = profile == PROFILE_CD;
        }
        len += 4u + features[i].len;
    }
    scsi_put(data, 4, len - 4);
    scsi_put(data + 6, 2, profile);
    return scsi_reply(r, data, len, scsi_get(r->cdb + 7, 2));
}

/* GET EVENT STATUS NOTIFICATION (6.6), polled. */
static bool cdrom_events(struct vr_scsi_req *r)
{
    struct vr_scsi_lun *lun = r->lun;
    uint8_t data[8] = {0, 2, 0x80 /* no event of these classes */, 1 << MEDIA_CLASS};
    size_t len = 4;
    if (!(r->cdb[1] & 1)) {
        return scsi_fail(r, SCSI_BAD_FIELD);
    }
    if (r->cdb[4] & 1 << MEDIA_CLASS) {
        data[1] = 6;
        data[2] = MEDIA_CLASS;
        data[4] = lun->media_event;
        data[5] = (uint8_t)(lun->open | (lun->host.blk && !lun->open) << 1);
        len = 8;
        if (scsi_get(r->cdb + 7, 2) > 4) {
            lun->media_event = 0;
        }
    }
    return scsi_reply(r, data, len, scsi_get(r->cdb + 7, 2));
}

static bool cdrom_mechanism(struct vr_scsi_req *r)
{
    uint8_t data[8] = {0, r->lun->open ? 0x10 : 0};
    return scsi_reply(r, data, sizeof(data), scsi_get(r->cdb + 8, 2));
}

static bool cdrom_start_stop(struct vr_scsi_req *r)
{
    struct vr_scsi_lun *lun = r->lun;
    bool load_eject = r->cdb[4] & 2, start = r->cdb[4] & 1;
    if (r->cdb[4] >> 4 || !load_eject) { /* power conditions; spinning */
        return scsi_good(r);
    }
    if (!start && lun->locked && !lun->open) {
        return scsi_fail(r, SCSI_REMOVAL_PREVENTED);
    }
    if (lun->open == start) {
        lun->open = !start;
        lun->media_event = start && lun->host.blk ? 2 : 3;
        lun->attention |= start && lun->host.blk ? VR_SCSI_AT_MEDIUM : 0;
    }
    return scsi_good(r);
}

size_t scsi_cdrom_mode(const struct vr_scsi_lun *lun, uint8_t page, bool changeable,
                       uint8_t *ret_pages)
{
    size_t len = 0;
    memset(ret_pages, 0, SCSI_MODE_ROOM);
    if (page == ERROR_PAGE || page == 0x3f) {
        ret_pages[0] = ERROR_PAGE;
        ret_pages[1] = ERROR_LEN - 2;
        len += ERROR_LEN;
    }
    if (page == CAPS_PAGE || page == 0x3f) {
        uint8_t *p = ret_pages + len;
        p[0] = CAPS_PAGE;
        p[1] = CAPS_LEN - 2;
        if (!changeable) {
            p[2] = 0x3b;                               /* reads CD-R, CD-RW, DVD-ROM, DVD-R, ... */
            p[4] = 0x40;                               /* several sessions */
            p[6] = (uint8_t)(0x29 | lun->locked << 1); /* tray; locks; ejects */
            scsi_put(p + 8, 2, 16 * 176);              /* speed, KB/s */
            scsi_put(p + 14, 2, 16 * 176);
        }
        len += CAPS_LEN;
    }
    return len;
}

const struct scsi_op scsi_cdrom_ops[] = {
    {0x00, SCSI_OP_MEDIUM, scsi_test_ready},
    {0x03, SCSI_OP_NO_ATTENTION, scsi_request_sense},
    {0x08, SCSI_OP_MEDIUM, scsi_read},
    {0x12, SCSI_OP_NO_ATTENTION, scsi_inquiry},
    {0x1a, 0, scsi_mode_sense},
    {0x1b, 0, cdrom_start_stop},
    {0x1e, 0, scsi_prevent},
    {0x25, SCSI_OP_MEDIUM, scsi_capacity10},
    {0x28, SCSI_OP_MEDIUM, scsi_read},
    {0x35, SCSI_OP_MEDIUM, scsi_good},
    {0x43, SCSI_OP_MEDIUM, cdrom_read_toc},
    {0x46, SCSI_OP_NO_ATTENTION, cdrom_configuration},
    {0x4a, SCSI_OP_NO_ATTENTION, cdrom_events},
    {0x51, SCSI_OP_MEDIUM, cdrom_disc_information},
    {0x5a, 0, scsi_mode_sense},
    {0xa8, SCSI_OP_MEDIUM, scsi_read},
    {0xbd, 0, cdrom_mechanism},
    {0xbe, SCSI_OP_MEDIUM, cdrom_read_cd},
    {0, 0, NULL},
};
