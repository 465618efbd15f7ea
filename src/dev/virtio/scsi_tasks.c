/* Virtio SCSI: task management, asynchronous notifications and events. VIRTIO 1.3, 5.6.6.2 and
 * 5.6.6.3; SAM-5, chapter 7. */
#include "dev/virtio/scsi_impl.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <string.h>

enum { T_TMF = 0, T_AN_QUERY = 1, T_AN_SUBSCRIBE = 2 };
enum {
    ABORT_TASK = 0,
    ABORT_TASK_SET = 1,
    CLEAR_ACA = 2,
    CLEAR_TASK_SET = 3,
    I_T_NEXUS_RESET = 4,
    LOGICAL_UNIT_RESET = 5,
    QUERY_TASK = 6,
    QUERY_TASK_SET = 7,
};
enum { TMF_BYTES = 24, AN_BYTES = 16, AN_ANSWER = 5 };
enum { E_NONE = 0, E_TRANSPORT_RESET = 1, EVENT_BYTES = 16 };
#define E_MISSED UINT32_C(0x80000000)
enum { REASON_RESCAN = 1, REASON_REMOVED = 2 };

/* --- Task management --- */

void scsi_task_ended(struct scsi *s, struct scsi_tmf *tmf)
{
    struct vr_virtq *q = &s->vq[SCSI_Q_CONTROL];
    if (--tmf->waits) {
        return;
    }
    if (tmf->epoch == q->host.epoch) {
        *tmf->response = SCSI_S_OK;
        vr_dma_wrote(s->dev.env->mem, &s->dev.dma, tmf->response_gpa, 1);
        vr_virtq_push(q, tmf->tag, 1);
        vr_virtq_notify(q);
    }
    free(tmf);
}

struct task_filter {
    unsigned target, lun;
    bool whole_target, one;
    uint64_t id; /* of the one */
};

static bool task_meant(const struct scsi *s, const struct scsi_cmd *c, const struct task_filter *f)
{
    const struct scsi_unit *unit = &s->unit[c->unit];
    return c->epoch == s->vq[c->queue].host.epoch && unit->target == f->target &&
           (f->whole_target || unit->lun == f->lun) && (!f->one || c->id == f->id);
}

/* Let the tasks that are meant end as soon as they can, with @response. True: @tmf waits for
 * some; false: there were none, it is over. */
static bool tasks_end(struct scsi *s, const struct task_filter *f, uint8_t response,
                      struct scsi_tmf *tmf)
{
    for (struct scsi_cmd *c = s->cmds; c; c = c->next) {
        if (task_meant(s, c, f) && !c->tmf) { /* else another one ends it already */
            c->response = response;
            c->tmf = tmf;
            tmf->waits++;
        }
    }
    return tmf->waits != 0;
}

static bool tasks_any(const struct scsi *s, const struct task_filter *f)
{
    for (const struct scsi_cmd *c = s->cmds; c; c = c->next) {
        if (task_meant(s, c, f)) {
            return true;
        }
    }
    return false;
}

static void units_reset(struct scsi *s, const struct task_filter *f)
{
    for (unsigned i = 0; i < VR_VIRTIO_SCSI_UNITS; i++) {
        const struct scsi_unit *unit = &s->unit[i];
        if (s->lun[i].host.kind && unit->target == f->target &&
            (f->whole_target || unit->lun == f->lun)) {
            vr_scsi_lun_reset(&s->lun[i]);
        }
    }
}

/* The answer; -1: when the tasks have ended. */
static int task_manage(struct scsi *s, const uint8_t *msg, struct scsi_tmf *tmf)
{
    uint32_t what = vr_load_le32(msg + 4);
    bool known = false;
    struct task_filter f = {.id = vr_load_le64(msg + 16),
                            .one = what == ABORT_TASK || what == QUERY_TASK,
                            .whole_target = what == I_T_NEXUS_RESET};
    int unit =
        scsi_decode_lun(msg + 8, &f.target, &f.lun) ? scsi_find(s, f.target, f.lun, &known) : -1;
    if (!known) {
        return SCSI_S_BAD_TARGET;
    }
    if (unit < 0 && what != I_T_NEXUS_RESET) {
        return SCSI_S_INCORRECT_LUN;
    }
    switch (what) {
    case ABORT_TASK:
    case ABORT_TASK_SET:
    case CLEAR_TASK_SET:
        return tasks_end(s, &f, SCSI_S_ABORTED, tmf) ? -1 : SCSI_S_OK;
    case I_T_NEXUS_RESET:
    case LOGICAL_UNIT_RESET:
        units_reset(s, &f);
        return tasks_end(s, &f, SCSI_S_RESET, tmf) ? -1 : SCSI_S_OK;
    case QUERY_TASK:
    case QUERY_TASK_SET:
        return tasks_any(s, &f) ? SCSI_S_FUNCTION_SUCCEEDED : SCSI_S_OK;
    default: /* there is no ACA either */
        return SCSI_S_FUNCTION_REJECTED;
    }
}

/* True: the chain was answered. False: later, or the driver broke a rule. */
static bool task_request(struct scsi *s, struct vr_virtq *q, const struct vr_chain *chain)
{
    uint8_t msg[TMF_BYTES], answer[AN_ANSWER] = {0};
    size_t len = vr_chain_read(q, chain, 0, msg, sizeof(msg));
    uint32_t type = len >= 4 ? vr_load_le32(msg) : UINT32_MAX;
    bool tmf_type = type == T_TMF;
    size_t want = tmf_type ? TMF_BYTES : AN_BYTES, room = tmf_type ? 1 : AN_ANSWER;
    if (type > T_AN_SUBSCRIBE || len < want || chain->write_bytes < room) {
        vr_tally(&q->host.stats.errors, 1);
        vr_virtio_break(&s->v, "control request %u of %zu bytes", type, len);
        return false;
    }
    if (!tmf_type) { /* no asynchronous events of units: none asked for is given */
        vr_virtq_push(q, chain->tag, (uint32_t)vr_chain_write(q, chain, 0, answer, AN_ANSWER));
        return true;
    }
    struct scsi_tmf *tmf = vr_zalloc(sizeof(*tmf));
    int r = tmf ? task_manage(s, msg, tmf) : SCSI_S_FUNCTION_REJECTED;
    if (r < 0) {
        tmf->tag = chain->tag;
        tmf->epoch = q->host.epoch;
        tmf->response = vr_chain_writable(chain)->iov_base;
        tmf->response_gpa = chain->gpa[chain->read_count];
        return true;
    }
    free(tmf);
    answer[0] = (uint8_t)r;
    vr_virtq_push(q, chain->tag, (uint32_t)vr_chain_write(q, chain, 0, answer, 1));
    return true;
}

void scsi_control(struct scsi *s)
{
    struct vr_virtq *q = &s->vq[SCSI_Q_CONTROL];
    while (vr_virtq_pop(q, s->v.host.chain) && task_request(s, q, s->v.host.chain)) {
    }
    vr_virtq_notify(q);
}

/* --- Events --- */

static void event_send(struct scsi *s, uint32_t event, const struct scsi_unit *unit,
                       uint32_t reason)
{
    struct vr_virtq *q = &s->vq[SCSI_Q_EVENT];
    struct vr_chain *chain = s->v.host.chain;
    uint8_t msg[EVENT_BYTES] = {0};
    if (!vr_virtio_running(&s->v) || !vr_virtq_pop(q, chain)) {
        s->events_missed = true;
        return;
    }
    if (chain->write_bytes < EVENT_BYTES) {
        vr_tally(&q->host.stats.errors, 1);
        vr_virtio_break(&s->v, "event buffer of %u bytes", (unsigned)chain->write_bytes);
        return;
    }
    vr_store_le32(msg, event | (s->events_missed ? E_MISSED : 0));
    if (unit) {
        msg[4] = 1;
        msg[5] = unit->target;
        /* As short as it can be: Linux takes the two bytes for the number. */
        msg[6] = (uint8_t)(unit->lun < 256 ? 0 : 0x40 | unit->lun >> 8);
        msg[7] = (uint8_t)unit->lun;
    }
    vr_store_le32(msg + 12, reason);
    s->events_missed = false;
    vr_virtq_push(q, chain->tag, (uint32_t)vr_chain_write(q, chain, 0, msg, sizeof(msg)));
    vr_virtq_notify(q);
}

void scsi_event_missed(struct scsi *s)
{
    if (s->events_missed) {
        event_send(s, E_NONE, NULL, 0);
    }
}

/* Before the driver runs there is nothing to tell: it will look. */
static bool event_wanted(const struct scsi *s, uint64_t feature)
{
    return (s->v.status & VR_VIRTIO_DRIVER_OK) && vr_virtio_has(&s->v, feature);
}

void scsi_tell_plugged(struct scsi *s, unsigned unit, bool here)
{
    for (unsigned i = 0; i < VR_VIRTIO_SCSI_UNITS; i++) {
        if (i != unit && s->lun[i].host.kind && s->unit[i].target == s->unit[unit].target) {
            s->lun[i].attention |= VR_SCSI_AT_LUNS;
        }
    }
    if (event_wanted(s, SCSI_F_HOTPLUG)) {
        event_send(s, E_TRANSPORT_RESET, &s->unit[unit], here ? REASON_RESCAN : REASON_REMOVED);
    }
}
