/*
 * Deterministic mode in snapshots: what decides about the schedule, and is nobody else's state. How
 * far the life is, whose slice it is in the beat that is under way, which vCPUs wait, when each
 * timer falls due, and what sources offered that their devices had no room for yet: it has come in,
 * and is on the tape if there is one, so nobody else has it any more.
 *
 * Sections behind the devices': "deterministic", then a "timer" for each that is armed, then a
 * "held" for each source that holds something (since version 2). A machine that is deterministic
 * begins anew with a snapshot that has none of them; one that is not deterministic reads over them.
 */
#include "base/alloc.h"
#include "base/log.h"
#include "core/det_priv.h"
#include "core/snap.h"

#include <errno.h>

enum { DET_TIMERS_MAX = 4096, DET_SOURCES_MAX = 4096, DET_HELD_MAX = 1 << 20, DET_VERSION = 2 };

struct det_state {
    uint64_t steps, beat, seed, random, hash_at, slice, waits;
    uint32_t hash_nr, at, timers, held;
    bool mid, ran;
};

struct det_held {
    uint32_t src, kind, len;
    bool again;
    uint8_t *bytes;
};

#define VR_SELF struct det_state
static const struct vr_field det_state_fields[] = {
    VR_STATE(steps, "steps since power-on"),
    VR_STATE(beat, "number of the beat"),
    VR_STATE(seed, "of the guest's entropy"),
    VR_STATE(random, "blocks of entropy that were given"),
    VR_STATE(hash_at, "steps at which the next state hash is due"),
    VR_STATE(slice, "steps left of the slice", .max = DET_SLICE_ALONE),
    VR_STATE(waits, "vCPUs that have nothing to do, a bit each"),
    VR_STATE(hash_nr, "state hashes so far"),
    VR_STATE(at, "whose slice it is", .max = VR_MAX_VCPUS),
    VR_STATE(timers, "sections of timers that follow", .max = DET_TIMERS_MAX),
    VR_STATE(mid, "in the middle of a beat"),
    VR_STATE(ran, "a vCPU ran in this beat"),
    VR_STATE(held, "sections of what sources hold that follow", .max = DET_SOURCES_MAX, .since = 2),
    VR_FIELD_END,
};
#undef VR_SELF

#define VR_SELF struct det_held
static const struct vr_field det_held_fields[] = {
    VR_STATE(src, "which source, in the order in which they were made", .max = DET_SOURCES_MAX),
    VR_STATE(kind, "of input, as on tapes", .min = VR_DET_DATA, .max = VR_DET_SIZE),
    VR_STATE(len, "bytes of it", .min = 1, .max = DET_HELD_MAX),
    VR_STATE(again, "the device has asked for it since"),
    VR_STATE_BUF(bytes, len, "what the device had no room for", .max = DET_HELD_MAX),
    VR_FIELD_END,
};
#undef VR_SELF

#define VR_SELF struct vr_clock_due
static const struct vr_field det_timer_fields[] = {
    VR_STATE(rank, "which timer, in the order in which they were made"),
    VR_STATE(at_ns, "when it falls due, guest time"),
    VR_FIELD_END,
};
#undef VR_SELF

static struct det_state det_state(const struct vr_det *d)
{
    struct det_state s = {.steps = d->steps,
                          .beat = d->beat,
                          .seed = d->seed,
                          .random = d->random,
                          .hash_at = d->hash_at,
                          .hash_nr = d->hash_nr,
                          .mid = d->mid};
    if (d->mid) {
        s.at = d->at;
        s.slice = d->slice;
        s.ran = d->ran;
    }
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        s.waits |= (uint64_t)!det_has_work(d->m->vcpus[i]) << i;
    }
    return s;
}

static int det_put_held(const struct vr_det *d, struct vr_snap *snap, struct vr_error *err)
{
    int r = 0;
    for (const struct vr_det_src *s = d->srcs; s && r == 0; s = s->next) {
        if (s->held) {
            const struct det_held held = {.src = s->id,
                                          .kind = s->held_kind,
                                          .len = (uint32_t)s->held_len,
                                          .again = s->again,
                                          .bytes = s->held};
            r = vr_snap_save(snap, "held", 1, &held, det_held_fields, err);
        }
    }
    return r;
}

int det_put(struct vr_det *d, struct vr_snap *snap, struct vr_error *err)
{
    struct vr_clock_due *due = vr_zalloc_array(DET_TIMERS_MAX, sizeof(*due));
    if (!due) {
        return vr_err(err, -ENOMEM, "no memory for the timers of a snapshot");
    }
    struct det_state s = det_state(d);
    s.timers = vr_clock_armed(d->clock, due, DET_TIMERS_MAX);
    vr_assert(s.timers <= DET_TIMERS_MAX);
    for (const struct vr_det_src *src = d->srcs; src; src = src->next) {
        s.held += src->held != NULL;
    }
    int r = vr_snap_save(snap, "deterministic", DET_VERSION, &s, det_state_fields, err);
    for (unsigned i = 0; r == 0 && i < s.timers; i++) {
        r = vr_snap_save(snap, "timer", 1, &due[i], det_timer_fields, err);
    }
    free(due);
    return r < 0 ? r : det_put_held(d, snap, err);
}

/* Nobody holds anything. */
static void det_let_go(struct vr_det *d)
{
    for (struct vr_det_src *s = d->srcs; s; s = s->next) {
        free(s->held);
        s->held = NULL;
        s->held_len = 0;
        s->again = false;
    }
}

/* What sources held, behind what devices did as they were loaded. @d NULL: read over it. */
static int det_get_held(struct vr_machine *m, struct vr_det *d, struct vr_snap *snap,
                        unsigned count, struct vr_error *err)
{
    int r = 0;
    for (unsigned i = 0; r == 0 && i < count; i++) {
        struct det_held held = {0};
        r = vr_snap_load(snap, "held", 1, &held, det_held_fields, err);
        struct vr_det_src *s = r == 0 && d ? d->srcs : NULL;
        while (s && s->id != held.src) {
            s = s->next;
        }
        if (s) {
            free(s->held);
            s->held = held.bytes;
            s->held_len = held.len;
            s->held_kind = (enum vr_det_kind)held.kind;
            s->again = held.again;
            held.bytes = NULL;
        } else if (r == 0) {
            vr_log(
                m->env.log, VR_WARN, "deterministic",
                "%u bytes that had come in for input %u are lost: this machine has no such input",
                held.len, held.src);
        }
        free(held.bytes);
    }
    return r;
}

/* All of them are set, or none is armed. */
static int det_get_timers(struct vr_clock *clock, struct vr_snap *snap, unsigned count, bool set,
                          struct vr_error *err)
{
    struct vr_clock_due due;
    int r = 0;
    if (set) {
        vr_clock_cancel_all(clock);
    }
    for (unsigned i = 0; r == 0 && i < count; i++) {
        r = vr_snap_load(snap, "timer", 1, &due, det_timer_fields, err);
        if (r == 0 && set && !vr_clock_arm_rank(clock, due.rank, due.at_ns)) {
            r = vr_err(err, -EPROTO, "the snapshot's machine has a timer that this one lacks");
        }
    }
    return r;
}

/* Of a snapshot that knows no schedule: a life begins, with what the machine is. */
static void det_begin(struct vr_det *d)
{
    d->mid = false;
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        d->m->vcpus[i]->idle = false;
    }
}

int det_get(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err)
{
    struct vr_det *d = m->env.det;
    struct det_state s;
    if (snap->pos == snap->len) {
        if (d) {
            det_begin(d);
        }
        return 0;
    }
    int r = vr_snap_load(snap, "deterministic", DET_VERSION, &s, det_state_fields, err);
    if (r == 0 && (s.at > m->vcpu_count || (m->vcpu_count < 64 && s.waits >> m->vcpu_count))) {
        r = vr_err(err, -ERANGE, "deterministic: the snapshot speaks of CPUs that are not there");
    }
    for (unsigned i = 0; r == 0 && i < m->vcpu_count; i++) {
        m->vcpus[i]->ops->settle(m->vcpus[i]);
    }
    r = r < 0 ? r : det_get_timers(m->env.clock, snap, s.timers, d, err);
    if (r == 0 && d) {
        det_let_go(d);
    }
    r = r < 0 ? r : det_get_held(m, d, snap, s.held, err);
    if (r < 0 || !d) {
        return r;
    }
    d->steps = s.steps;
    d->beat = s.beat;
    d->seed = d->tape ? d->seed : s.seed; /* a tape has its own */
    d->random = s.random;
    d->hash_at = s.hash_at;
    d->hash_nr = s.hash_nr;
    d->mid = s.mid;
    d->at = s.at;
    d->slice = s.slice;
    d->ran = s.ran;
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        m->vcpus[i]->idle = s.waits >> i & 1;
        atomic_store(&m->vcpus[i]->attention, !(s.waits >> i & 1));
    }
    return 0;
}
