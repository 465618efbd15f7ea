/*
 * Virtio SCSI controller: disks and CD-ROM drives (dev/scsi) that come and go.
 *
 * A request is lun[8], le64 id, three bytes that order tasks, and the CDB; then data for the unit.
 * The answer is le32 sense length, le32 residual, le16, status, response, sense data; then data of
 * the unit. Data is never copied where it goes to or comes from a disk.
 *
 * All requests run at once, ordered ones as well, as the control mode page says (unrestricted
 * reordering). What is in flight to the host cannot be called back: a task that is aborted ends
 * when its step under way does, and the task management request is answered then.
 *
 * Left out: INOUT (no command here has data both ways), T10_PI, the well-known REPORT LUNS unit
 * (drivers ask unit 0).
 * Specification: VIRTIO 1.3, section 5.6.
 */
#include "dev/virtio/scsi_impl.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "dev/virtio/class.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

enum {
    REQUEST_HEAD = 19, /* before the CDB */
    ANSWER_HEAD = 12,  /* before the sense data */
    CDB_SIZE_MAX = 255,
    SENSE_SIZE_MAX = 4096,
    ID = 8,
};

/* struct virtio_scsi_config (5.6.4) */
enum {
    C_QUEUES = 0,
    C_SEG_MAX = 4,
    C_MAX_SECTORS = 8,
    C_CMD_PER_LUN = 12,
    C_EVENT_SIZE = 16,
    C_SENSE_SIZE = 20,
    C_CDB_SIZE = 24,
    C_MAX_CHANNEL = 28,
    C_MAX_TARGET = 30,
    C_MAX_LUN = 32,
    CONFIG_LEN = 36,
};

bool scsi_decode_lun(const uint8_t *bytes, unsigned *ret_target, unsigned *ret_lun)
{
    unsigned lun = bytes[2] << 8 | bytes[3];
    *ret_target = bytes[1];
    *ret_lun = lun & 0x3fff;
    return bytes[0] == 1 && (lun < 256 || lun >> 14 == 1) && !bytes[4] && !bytes[5] && !bytes[6] &&
           !bytes[7];
}

int scsi_find(const struct scsi *s, unsigned target, unsigned lun, bool *ret_target)
{
    bool known = false;
    int found = -1;
    for (int i = 0; i < VR_VIRTIO_SCSI_UNITS; i++) {
        if (s->lun[i].host.kind && !s->unit[i].leaving && s->unit[i].target == target) {
            known = true;
            found = s->unit[i].lun == lun ? i : found;
        }
    }
    if (ret_target) {
        *ret_target = known;
    }
    return found;
}

/* --- Requests --- */

/* The command's pieces live as long as it does. */
static struct scsi_cmd *scsi_cmd_new(const struct vr_chain *chain)
{
    size_t count = chain->read_count + chain->write_count;
    size_t size = sizeof(struct scsi_cmd) + count * (2 * sizeof(struct iovec) + sizeof(uint64_t));
    struct scsi_cmd *c = vr_zalloc(size);
    if (c) {
        c->iov = (struct iovec *)(c + 1);
        c->gpa = (uint64_t *)(c->iov + 2 * count);
        c->read_count = chain->read_count;
        c->write_count = chain->write_count;
        memcpy(c->iov, chain->iov, count * sizeof(*c->iov));
        memcpy(c->gpa, chain->gpa, count * sizeof(*c->gpa));
    }
    return c;
}

/* Where data for the unit, and data for the initiator, is among the pieces. */
static void scsi_cmd_data(struct scsi_cmd *c, const struct vr_chain *chain)
{
    struct iovec *out = c->iov + c->read_count + c->write_count, *in = out + c->read_count;
    uint64_t out_off = REQUEST_HEAD + (uint64_t)c->s->cdb_size;
    uint64_t in_off = ANSWER_HEAD + (uint64_t)c->s->sense_size;
    c->req.out = out;
    c->req.out_bytes = chain->read_bytes - out_off;
    c->req.out_count = vr_iov_slice(c->iov, c->read_count, out_off, c->req.out_bytes, out, NULL);
    c->req.in = in;
    c->req.in_bytes = chain->write_bytes - in_off;
    c->req.in_count =
        vr_iov_slice(c->iov + c->read_count, c->write_count, in_off, c->req.in_bytes, in, NULL);
}

/* The first @len bytes of the writable pieces were written. */
static void scsi_cmd_wrote(struct scsi_cmd *c, uint64_t len)
{
    struct scsi *s = c->s;
    for (unsigned i = c->read_count; i < c->read_count + c->write_count && len; i++) {
        uint64_t n = c->iov[i].iov_len < len ? c->iov[i].iov_len : len;
        vr_dma_wrote(s->dev.env->mem, &s->dev.dma, c->gpa[i], n);
        len -= n;
    }
}

/* Answer, and let go of it; the interrupt is the caller's. */
static void scsi_finish(struct scsi *s, struct scsi_cmd *c)
{
    struct vr_virtq *q = &s->vq[c->queue];
    struct vr_scsi_req *r = &c->req;
    if (c->epoch == q->host.epoch) {
        uint8_t head[ANSWER_HEAD + VR_SCSI_SENSE_LEN] = {0};
        uint8_t response = c->response ? c->response : r->overrun ? SCSI_S_OVERRUN : SCSI_S_OK;
        bool done = response == SCSI_S_OK;
        size_t sense = done ? r->sense_len : 0, room = s->sense_size;
        uint64_t moved = done ? r->out_moved + r->in_moved : 0;
        uint64_t rest = r->out_bytes + r->in_bytes - moved;
        sense = sense < room ? sense : room;
        vr_store_le32(head, (uint32_t)sense);
        vr_store_le32(head + 4, (uint32_t)rest);
        head[10] = done ? (uint8_t)r->status : 0;
        head[11] = response;
        memcpy(head + ANSWER_HEAD, r->sense, sense);
        vr_iov_put(c->iov + c->read_count, c->write_count, 0, head, ANSWER_HEAD + sense);
        uint64_t answer = ANSWER_HEAD + (uint64_t)s->sense_size;
        uint64_t written = answer + (done ? r->in_moved : 0);
        scsi_cmd_wrote(c, answer + r->in_moved);
        vr_virtq_push(q, c->tag, (uint32_t)written);
    }
    if (c->link) {
        *c->link = c->next;
        if (c->next) {
            c->next->link = c->link;
        }
        s->in_flight[c->queue]--;
        s->lun[c->unit].host.in_flight--;
    }
    if (c->tmf) {
        scsi_task_ended(s, c->tmf);
    }
    vr_scsi_end(r);
    free(c);
}

/* On the loop's thread: a step of a command has ended. */
static void scsi_io_done(struct vr_blk_req *io, int result)
{
    struct scsi_cmd *c = (struct scsi_cmd *)vr_scsi_req_of(io);
    struct scsi *s = c->s;
    unsigned queue = c->queue;
    vr_dev_lock(&s->dev);
    if (io->op == VR_BLK_READ) { /* also when it failed half way, or nobody waits for it */
        scsi_cmd_wrote(c, UINT64_MAX);
    }
    if (s->unit[c->unit].leaving) {
        c->response = c->response ? c->response : SCSI_S_BAD_TARGET;
    }
    bool ours = c->epoch == s->vq[queue].host.epoch && !c->response;
    if (!ours || vr_scsi_continue(&c->req, result)) {
        scsi_finish(s, c);
        vr_virtq_notify(&s->vq[queue]);
        if (s->stalled[queue]) {
            vr_virtio_handle(&s->v, queue);
        }
    }
    vr_dev_unlock(&s->dev);
}

static void scsi_report(struct scsi *s, struct scsi_cmd *c, unsigned target)
{
    uint16_t luns[VR_VIRTIO_SCSI_UNITS];
    unsigned count = 0;
    for (unsigned i = 0; i < VR_VIRTIO_SCSI_UNITS; i++) {
        if (s->lun[i].host.kind && !s->unit[i].leaving && s->unit[i].target == target) {
            luns[count++] = s->unit[i].lun;
        }
    }
    vr_scsi_report_luns(&c->req, luns, count);
}

/* True: it is over. */
static bool scsi_begin(struct scsi *s, struct scsi_cmd *c, const uint8_t *head)
{
    unsigned target, lun;
    bool known = false;
    int unit = scsi_decode_lun(head, &target, &lun) ? scsi_find(s, target, lun, &known) : -1;
    memcpy(c->req.cdb, head + REQUEST_HEAD,
           s->cdb_size < VR_SCSI_CDB_LEN ? s->cdb_size : VR_SCSI_CDB_LEN);
    if (!known) {
        c->response = SCSI_S_BAD_TARGET;
        return true;
    }
    if (c->req.cdb[0] == VR_SCSI_REPORT_LUNS) {
        scsi_report(s, c, target);
        return true;
    }
    if (unit < 0) {
        vr_scsi_absent(&c->req);
        return true;
    }
    c->unit = (unsigned)unit;
    c->req.lun = &s->lun[unit];
    c->link = &s->cmds;
    c->next = s->cmds;
    if (c->next) {
        c->next->link = &c->next;
    }
    s->cmds = c;
    s->in_flight[c->queue]++;
    c->req.lun->host.in_flight++;
    return vr_scsi_start(&c->req, scsi_io_done);
}

static void scsi_request(struct scsi *s, unsigned queue, const struct vr_chain *chain)
{
    struct vr_virtq *q = &s->vq[queue];
    uint8_t head[REQUEST_HEAD + CDB_SIZE_MAX] = {0};
    size_t head_len = REQUEST_HEAD + s->cdb_size;
    if (chain->read_bytes < head_len ||
        chain->write_bytes < ANSWER_HEAD + (uint64_t)s->sense_size) {
        vr_tally(&q->host.stats.errors, 1);
        vr_virtio_break(&s->v, "request of %" PRIu64 " bytes with room for %" PRIu64,
                        chain->read_bytes, chain->write_bytes);
        return;
    }
    struct scsi_cmd *c = scsi_cmd_new(chain);
    if (!c) { /* the host has no memory now: come again */
        uint8_t busy[ANSWER_HEAD] = {[11] = SCSI_S_BUSY};
        vr_chain_write(q, chain, 0, busy, sizeof(busy));
        vr_virtq_push(q, chain->tag, sizeof(busy));
        return;
    }
    vr_chain_read(q, chain, 0, head, head_len);
    c->s = s;
    c->queue = queue;
    c->tag = chain->tag;
    c->epoch = q->host.epoch;
    c->id = vr_load_le64(head + SCSI_LUN_BYTES);
    scsi_cmd_data(c, chain);
    if (scsi_begin(s, c, head)) {
        scsi_finish(s, c);
    }
}

static void scsi_handle(struct vr_dev *d, unsigned queue)
{
    struct scsi *s = SCSI(d);
    struct vr_virtq *q = &s->vq[queue];
    if (queue == SCSI_Q_CONTROL) {
        scsi_control(s);
        return;
    }
    if (queue == SCSI_Q_EVENT) {
        scsi_event_missed(s);
        return;
    }
    s->stalled[queue] = false;
    while (s->in_flight[queue] < SCSI_QUEUE_SIZE) {
        if (!vr_virtq_pop(q, s->v.host.chain)) {
            vr_virtq_notify(q);
            return;
        }
        scsi_request(s, queue, s->v.host.chain);
    }
    s->stalled[queue] = true;
    vr_virtq_notify(q);
}

static bool scsi_queue_busy(struct vr_dev *d, unsigned queue)
{
    return SCSI(d)->in_flight[queue] != 0;
}

/* --- Configuration --- */

static uint64_t scsi_features(struct vr_dev *d)
{
    (void)d;
    return SCSI_F_HOTPLUG; /* what CHANGE would tell of does not change while a disk is plugged */
}

static void scsi_config_read(struct vr_dev *d, uint8_t *config)
{
    const struct scsi *s = SCSI(d);
    vr_store_le32(config + C_QUEUES, s->queues);
    vr_store_le32(config + C_SEG_MAX, SCSI_QUEUE_SIZE - 2);
    vr_store_le32(config + C_MAX_SECTORS, 0xffff);
    vr_store_le32(config + C_CMD_PER_LUN, 128);
    vr_store_le32(config + C_EVENT_SIZE, 16);
    vr_store_le32(config + C_SENSE_SIZE, s->sense_size);
    vr_store_le32(config + C_CDB_SIZE, s->cdb_size);
    vr_store_le16(config + C_MAX_TARGET, VR_VIRTIO_SCSI_UNITS - 1);
    vr_store_le32(config + C_MAX_LUN, 16383);
}

static bool scsi_config_write(struct vr_dev *d, uint32_t off, unsigned width, uint64_t val)
{
    struct scsi *s = SCSI(d);
    if (width != 4 || (s->v.status & VR_VIRTIO_DRIVER_OK)) {
        return false;
    }
    if (off == C_SENSE_SIZE && val <= SENSE_SIZE_MAX) {
        s->sense_size = (uint32_t)val;
        return true;
    }
    if (off == C_CDB_SIZE && val && val <= CDB_SIZE_MAX) {
        s->cdb_size = (uint32_t)val;
        return true;
    }
    return false;
}

static const uint16_t scsi_queue_sizes[SCSI_QUEUES] = {64,  64,  256, 256, 256,
                                                       256, 256, 256, 256, 256};

static const struct vr_virtio_class scsi_class = {
    .name = "scsi",
    .device_id = ID,
    .queue_count = SCSI_QUEUES,
    .queue_sizes = scsi_queue_sizes,
    .config_len = CONFIG_LEN,
    .features = scsi_features,
    .config_read = scsi_config_read,
    .config_write = scsi_config_write,
    .handle = scsi_handle,
    .queue_busy = scsi_queue_busy,
};

static int scsi_init(struct vr_dev *d, struct vr_error *err)
{
    int r = vr_virtio_init(d, &scsi_class, vr_virtio_transport_of(d), SCSI(d)->vq, err);
    if (r == 0) {
        SCSI(d)->v.host.queue_count = SCSI_Q_REQUEST + SCSI(d)->queues;
    }
    return r;
}

static void scsi_drain(struct scsi *s)
{
    for (unsigned i = 0; i < VR_VIRTIO_SCSI_UNITS; i++) {
        if (s->lun[i].host.blk) {
            vr_blk_drain(s->lun[i].host.blk);
        }
    }
}

static void scsi_quiesce(struct vr_dev *d)
{
    scsi_drain(SCSI(d));
    vr_virtio_quiesce(d);
}

static void scsi_fini(struct vr_dev *d)
{
    vr_virtio_halt(d);
    scsi_drain(SCSI(d));
    vr_assert(SCSI(d)->cmds == NULL);
    vr_virtio_fini(d);
}

/* --- Units come and go --- */

int vr_virtio_scsi_plug(struct vr_dev *dev, const struct vr_virtio_scsi_unit *u,
                        struct vr_error *err)
{
    struct scsi *s = SCSI(dev);
    int free = -1, r = 0;
    if (u->target >= VR_VIRTIO_SCSI_UNITS || u->lun > 0x3fff ||
        (u->serial && strlen(u->serial) > VR_SCSI_SERIAL_LEN) ||
        (u->kind == VR_SCSI_DISK && !u->blk)) {
        return vr_err(err, -EINVAL, "%s: no unit can be like that", dev->id);
    }
    vr_dev_lock(dev);
    for (int i = VR_VIRTIO_SCSI_UNITS - 1; i >= 0; i--) {
        free = s->lun[i].host.kind ? free : i;
    }
    if (scsi_find(s, u->target, u->lun, NULL) >= 0) {
        r = vr_err(err, -EEXIST, "%s: there is a unit at target %u, lun %u", dev->id, u->target,
                   u->lun);
    } else if (free < 0) {
        r = vr_err(err, -ENOSPC, "%s: it has %d units already", dev->id, VR_VIRTIO_SCSI_UNITS);
    } else {
        struct vr_scsi_lun *lun = &s->lun[free];
        s->unit[free] = (struct scsi_unit){.target = (uint8_t)u->target, .lun = (uint16_t)u->lun};
        lun->host = (struct vr_scsi_lun_host){.kind = u->kind, .blk = u->blk};
        snprintf(lun->host.serial, sizeof(lun->host.serial), "%s", u->serial ? u->serial : "");
        snprintf(lun->host.id, sizeof(lun->host.id), "%.15s-%u-%u", dev->id, u->target, u->lun);
        vr_scsi_lun_reset(lun);
        scsi_tell_plugged(s, (unsigned)free, true);
    }
    vr_dev_unlock(dev);
    return r;
}

int vr_virtio_scsi_unplug(struct vr_dev *dev, unsigned target, unsigned lun, struct vr_error *err)
{
    struct scsi *s = SCSI(dev);
    vr_dev_lock(dev);
    int i = scsi_find(s, target, lun, NULL);
    struct vr_blk *blk = i < 0 ? NULL : s->lun[i].host.blk;
    if (i >= 0) {
        s->unit[i].leaving = true;
        scsi_tell_plugged(s, (unsigned)i, false);
    }
    vr_dev_unlock(dev);
    if (i < 0) {
        return vr_err(err, -ENOENT, "%s: no unit at target %u, lun %u", dev->id, target, lun);
    }
    if (blk) {
        vr_blk_drain(blk);
    }
    vr_dev_lock(dev);
    vr_assert(s->lun[i].host.in_flight == 0);
    s->lun[i].host = (struct vr_scsi_lun_host){.kind = VR_SCSI_NONE};
    vr_scsi_lun_reset(&s->lun[i]);
    s->unit[i] = (struct scsi_unit){.target = 0};
    vr_dev_unlock(dev);
    return 0;
}

int vr_virtio_scsi_medium(struct vr_dev *dev, unsigned target, unsigned lun, struct vr_blk *blk,
                          struct vr_error *err)
{
    struct scsi *s = SCSI(dev);
    vr_dev_lock(dev);
    int i = scsi_find(s, target, lun, NULL);
    bool drive = i >= 0 && s->lun[i].host.kind == VR_SCSI_CDROM;
    struct vr_blk *old = drive ? s->lun[i].host.blk : NULL;
    if (drive) {
        s->lun[i].host.blk = NULL; /* new requests find no disc */
    }
    vr_dev_unlock(dev);
    if (!drive) {
        return vr_err(err, -ENOENT, "%s: no CD-ROM drive at target %u, lun %u", dev->id, target,
                      lun);
    }
    if (old) {
        vr_blk_drain(old);
    }
    vr_dev_lock(dev);
    vr_scsi_lun_medium(&s->lun[i], blk);
    /* The unit attention alone tells: of an MMC device no event may (5.6.6.3). */
    vr_dev_unlock(dev);
    return 0;
}

#define VR_SELF struct scsi
#define SCSI_ROWS                                                                            \
    VR_VIRTIO_FIELDS(vq),                                                                    \
        VR_CONFIG(queues, "request queues", .def = 1, .min = 1, .max = SCSI_REQUEST_QUEUES), \
        VR_STATE(sense_size, "room for sense data in an answer", .def = 96,                  \
                 .max = SENSE_SIZE_MAX),                                                     \
        VR_STATE(cdb_size, "room for a command in a request", .def = 32, .min = 1,           \
                 .max = CDB_SIZE_MAX),                                                       \
        VR_STATE(events_missed, "an event found no buffer"),                                 \
        VR_STATE_STRUCTS(lun, vr_scsi_lun_fields, "units"),                                  \
        VR_HOST(unit, "addresses of the units, given by the board"),                         \
        VR_HOST(cmds, "nothing is in flight when a snapshot is made"),                       \
        VR_HOST(in_flight, "the same, counted"),                                             \
        VR_HOST(stalled, "false when nothing is in flight")

VR_VIRTIO_CLASSES(scsi, "virtio SCSI controller", 1, SCSI_ROWS, .init = scsi_init,
                  .reset = vr_virtio_reset, .loaded = vr_virtio_loaded, .quiesce = scsi_quiesce,
                  .fini = scsi_fini, .counts = vr_virtio_counts);
