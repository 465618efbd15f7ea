/* What reaches a deterministic machine from outside: sources, the tape, idle time. See det.h. */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/det_priv.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *in_kind_name(unsigned kind)
{
    switch (kind) {
    case VR_DET_DATA:
        return "data";
    case VR_DET_OPEN:
        return "a change of who is there";
    case VR_DET_SIZE:
        return "a screen's size";
    case VR_DET_DISK:
        return "a disk request";
    case VR_DET_SOURCES:
        return "the list of sources";
    case VR_DET_HASH:
        return "a state hash";
    case VR_DET_IDLE:
        return "idle time";
    case VR_DET_REQUEST:
        return "a request";
    case VR_DET_END:
        return "the end";
    default:
        return "something unknown";
    }
}

/* The replay is over, or has failed: an end, or a pause to look at it. */
static void in_stop(struct vr_det *d, unsigned code, const char *reason)
{
    vr_machine_request_as(d->m, d->hold || d->m->debug ? VR_REQ_PAUSE : VR_REQ_QUIT, code, reason);
    d->stop = true;
}

/* --- Divergence --- */

/* The replay came to something else than the recording. */
static void VR_PRINTF(2, 3) in_differs(struct vr_det *d, const char *fmt, ...)
{
    char what[200];
    va_list ap;
    if (d->diverged) {
        return;
    }
    d->diverged = true;
    va_start(ap, fmt);
    (void)vsnprintf(what, sizeof(what), fmt, ap);
    va_end(ap);
    vr_log(d->m->env.log, VR_ERROR, "replay",
           "differs from the recording at step %" PRIu64 ", beat %" PRIu64 ", guest time %" PRIu64
           " ns: %s; %" PRIu64 " state hashes before were the same",
           d->steps, d->beat, vr_clock_now(d->clock), what, d->hashes_ok);
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        const struct vr_vcpu *v = d->m->vcpus[i];
        vr_log(d->m->env.log, VR_ERROR, "replay", "hart %u: %s", i,
               v->idle      ? "waits"
               : d->at == i ? "its turn"
                            : "ready");
    }
    in_stop(d, VR_DET_DIFFERS, "host-error");
}

/* --- The tape --- */

static void in_put(struct vr_det *d, unsigned src, enum vr_det_kind kind, const void *buf,
                   size_t len, const void *more, size_t more_len)
{
    const struct vr_tape_rec rec = {.kind = (uint16_t)kind,
                                    .src = (uint16_t)src,
                                    .beat = d->beat,
                                    .steps = d->steps,
                                    .data = buf,
                                    .len = len};
    vr_tape_put(d->tape, &rec, more, more_len);
}

/* Put a record of our own on the tape. */
static void in_put_own(struct vr_det *d, enum vr_det_kind kind, const void *buf, size_t len)
{
    in_put(d, 0, kind, buf, len, NULL, 0);
}

/* What is on the tape so far is kept whatever happens to us; or it cannot be, and that ends it. */
static void in_flush(struct vr_det *d)
{
    int r = d->recording ? vr_tape_flush(d->tape) : 0;
    if (r < 0) {
        d->recording = false;
        vr_log(d->m->env.log, VR_ERROR, "record", "cannot be written: %s: the machine ends",
               strerror(-r));
        vr_machine_request_as(d->m, VR_REQ_QUIT, VR_DET_UNWRITTEN, "host-error");
        d->stop = true;
    }
}

/* Replaying: the next record, if it is of this beat. */
static bool in_next(const struct vr_det *d, struct vr_tape_rec *ret_rec)
{
    return d->replaying && vr_tape_get(d->tape, d->tape_at, ret_rec) && ret_rec->beat == d->beat;
}

void det_in_end(struct vr_det *d)
{
    struct vr_tape_rec rec;
    if (!d->replaying || d->diverged) {
        return;
    }
    if (d->over) { /* and was held */
        vr_machine_request_as(d->m, VR_REQ_QUIT, 0, "host-ui");
        d->stop = true;
        return;
    }
    bool any = vr_tape_get(d->tape, d->tape_at, &rec);
    if (any && rec.beat < d->beat) {
        in_differs(d, "the recording has %s at beat %" PRIu64 " that this run did not ask for",
                   in_kind_name(rec.kind), rec.beat);
        return;
    }
    if (any && !(rec.kind == VR_DET_END && rec.beat == d->beat)) {
        return;
    }
    d->over = true;
    vr_log(d->m->env.log, any ? VR_INFO : VR_WARN, "replay",
           "%s at step %" PRIu64 "; %" PRIu64 " state hashes were the same",
           any ? "the recording ends" : "the recording was cut off, and ends", d->steps,
           d->hashes_ok);
    in_stop(d, 0, "host-ui");
}

/* --- Sources --- */

void vr_det_add(struct vr_loop *loop, struct vr_det_src *src)
{
    struct vr_det *d = vr_loop_det(loop);
    if (d) {
        struct vr_det_src **last = &d->srcs;
        while (*last) {
            last = &(*last)->next;
        }
        src->det = d;
        src->id = d->src_count++;
        src->held = NULL;
        src->held_len = 0;
        src->again = false;
        src->next = NULL;
        *last = src;
    }
}

void vr_det_remove(struct vr_det_src *src)
{
    if (src->det) {
        struct vr_det_src **at = &src->det->srcs;
        while (*at != src) {
            at = &(*at)->next;
        }
        *at = src->next;
        free(src->held);
        src->held = NULL;
        src->det = NULL;
    }
}

static void in_hold(struct vr_det_src *src, enum vr_det_kind kind, const uint8_t *buf, size_t len)
{
    uint8_t *copy = malloc(len);
    vr_assert(copy); /* as much as was just read; a machine without it could not go on as it was */
    memcpy(copy, buf, len);
    free(src->held);
    src->held = copy;
    src->held_len = len;
    src->held_kind = kind;
}

static void in_offer(struct vr_det_src *src, enum vr_det_kind kind, const uint8_t *buf, size_t len)
{
    src->again = false;
    size_t took = src->take(src->opaque, kind, buf, len);
    vr_assert(took <= len);
    if (took < len) {
        in_hold(src, kind, buf + took, len - took);
    } else {
        free(src->held);
        src->held = NULL;
        src->held_len = 0;
    }
}

void vr_det_input(struct vr_det_src *src, enum vr_det_kind kind, const void *buf, size_t len)
{
    if (src->det->recording) {
        in_put(src->det, src->id, kind, buf, len, NULL, 0);
    }
    in_offer(src, kind, buf, len);
}

void vr_det_resume(struct vr_det_src *src)
{
    src->again = true;
}

bool vr_det_replaying(const struct vr_det *d)
{
    return d && d->replaying;
}

void vr_det_note(struct vr_det_src *src, enum vr_det_kind kind, const void *head, size_t head_len,
                 const void *data, size_t data_len)
{
    if (src->det->recording) {
        in_put(src->det, src->id, kind, head, head_len, data, data_len);
    }
}

const uint8_t *vr_det_told(struct vr_det_src *src, enum vr_det_kind kind, size_t *ret_len)
{
    struct vr_det *d = src->det;
    struct vr_tape_rec rec;
    if (!in_next(d, &rec) || rec.kind != kind || rec.src != src->id) {
        bool any = vr_tape_get(d->tape, d->tape_at, &rec);
        in_differs(d, "%s has %s here; the recording has %s at beat %" PRIu64, src->name,
                   in_kind_name(kind), any ? in_kind_name(rec.kind) : "nothing more",
                   any ? rec.beat : 0);
        return NULL;
    }
    d->tape_at++;
    *ret_len = rec.len;
    return rec.data;
}

/* --- A beat --- */

static void in_sources(struct vr_det *d, char *ret_text, size_t size)
{
    size_t len = 0;
    ret_text[0] = 0;
    for (const struct vr_det_src *s = d->srcs; s && len < size; s = s->next) {
        len += (size_t)snprintf(ret_text + len, size - len, "%s%s", len ? " " : "", s->name);
    }
}

/* The first record: who the sources are. */
static void in_begin(struct vr_det *d)
{
    char mine[1024];
    struct vr_tape_rec rec;
    in_sources(d, mine, sizeof(mine));
    if (d->recording) {
        in_put_own(d, VR_DET_SOURCES, mine, strlen(mine));
    } else if (!vr_tape_get(d->tape, 0, &rec) || rec.kind != VR_DET_SOURCES) {
        in_differs(d, "the recording does not say what its machine was made of");
    } else if (rec.len != strlen(mine) || memcmp(rec.data, mine, rec.len) != 0) {
        in_differs(d, "this machine has the sources '%s', the recorded one '%.*s'", mine,
                   (int)(rec.len < 100 ? rec.len : 100), (const char *)rec.data);
    } else {
        d->tape_at = 1;
    }
}

/* Compare with the tape, or put there, what the state is. */
static void in_hash(struct vr_det *d)
{
    uint8_t mine[16] = {0};
    struct vr_tape_rec rec;
    struct vr_error err = {0};
    uint64_t state = 0, all = 0;
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        d->m->vcpus[i]->ops->forget(d->m->vcpus[i]);
    }
    d->hash_at = vr_add_ok(d->steps - d->steps % d->hash_steps, d->hash_steps, &d->hash_at)
                     ? d->hash_at
                     : UINT64_MAX;
    unsigned nr = d->hash_nr++;
    if (!d->tape) {
        return;
    }
    int r = det_hash_state(d->m, &state, &err);
    if (r == 0 && nr % DET_HASH_FULL == 0) {
        det_hash_all(d->m, state, &all);
    }
    if (r < 0) {
        vr_log(d->m->env.log, VR_ERROR, "replay", "no state hash: %s", err.msg);
        return;
    }
    vr_store_le64(mine, state);
    vr_store_le64(mine + 8, all);
    if (d->recording) {
        in_put_own(d, VR_DET_HASH, mine, sizeof(mine));
        in_flush(d);
    } else if (!in_next(d, &rec) || rec.kind != VR_DET_HASH || rec.len != sizeof(mine)) {
        in_differs(d, "a state hash is due, and the recording has none here");
    } else if (memcmp(rec.data, mine, sizeof(mine)) != 0) {
        in_differs(d,
                   "the hash of %s is %016" PRIx64 ", in the recording %016" PRIx64
                   " (at its step %" PRIu64 "): %s",
                   vr_load_le64(rec.data) != state ? "registers and devices" : "memory",
                   vr_load_le64(rec.data) != state ? state : all,
                   vr_load_le64(rec.data) != state ? vr_load_le64(rec.data)
                                                   : vr_load_le64(rec.data + 8),
                   rec.steps,
                   nr == 0 ? "it began with another kernel, device or option"
                           : "it went another way since the last hash");
    } else {
        d->tape_at++;
        d->hashes_ok++;
    }
}

static void in_replay(struct vr_det *d)
{
    struct vr_tape_rec rec;
    while (!d->stop && in_next(d, &rec) && rec.kind <= VR_DET_SIZE) {
        struct vr_det_src *src = d->srcs;
        while (src && src->id != rec.src) {
            src = src->next;
        }
        if (!src || rec.steps != d->steps || rec.len == 0) {
            in_differs(d, "the recording has %s for source %u at its step %" PRIu64,
                       in_kind_name(rec.kind), rec.src, rec.steps);
            return;
        }
        d->tape_at++;
        in_offer(src, (enum vr_det_kind)rec.kind, rec.data, rec.len);
    }
    if (!d->stop && in_next(d, &rec) && rec.kind == VR_DET_END && rec.steps == d->steps) {
        det_in_end(d);
    }
    if (!d->stop && in_next(d, &rec) && rec.kind == VR_DET_REQUEST) {
        if (rec.len != 8) {
            in_differs(d, "a request in the recording is damaged");
            return;
        }
        d->tape_at++;
        vr_machine_request_as(d->m, (enum vr_request)vr_load_le32(rec.data),
                              vr_load_le32(rec.data + 4), "host-ui");
    }
}

/* What other threads asked for. */
static void in_asked(struct vr_det *d)
{
    vr_mutex_lock(&d->m->lock);
    struct vr_exit asked = d->asked;
    d->asked.why = VR_REQ_NONE;
    vr_mutex_unlock(&d->m->lock);
    if (asked.why != VR_REQ_NONE && !d->replaying) {
        uint8_t rec[8];
        vr_store_le32(rec, asked.why);
        vr_store_le32(rec + 4, asked.code);
        if (d->recording) {
            in_put_own(d, VR_DET_REQUEST, rec, sizeof(rec));
        }
        vr_machine_request_as(d->m, asked.why, asked.code, asked.reason);
    }
}

void det_in_beat(struct vr_det *d)
{
    if (d->replaying ? d->tape_at == 0 : d->recording && !d->begun) {
        in_begin(d);
    }
    if (!d->stop && d->steps >= d->hash_at) {
        in_hash(d);
    }
    for (struct vr_det_src *s = d->srcs; s && !d->stop; s = s->next) {
        if (s->held && s->again) {
            uint8_t *held = s->held;
            s->held = NULL;
            in_offer(s, s->held_kind, held, s->held_len);
            free(held);
        }
    }
    if (d->stop) {
        return;
    }
    for (struct vr_det_src *s = d->srcs; s; s = s->next) {
        if (!s->held && s->poll) {
            s->poll(s->opaque); /* replaying: throws away what there is */
        }
    }
    if (d->replaying) {
        in_replay(d);
    }
    in_asked(d);
}

/* --- Idle time --- */

static bool in_must_run(struct vr_det *d)
{
    vr_mutex_lock(&d->m->lock);
    bool go = d->m->go && d->asked.why == VR_REQ_NONE;
    vr_mutex_unlock(&d->m->lock);
    return go;
}

/* Wait as long as the guest does; or until something comes. @passes: and that is guest time. */
static void in_wait(struct vr_det *d, uint64_t ns, bool passes)
{
    uint64_t begin = vireo_monotonic_ns(), passed = 0;
    if (d->recording) {
        in_flush(d);
    }
    d->woken = false;
    while (passed < ns && !d->woken && in_must_run(d)) {
        uint64_t ms = (ns - passed) / 1000000;
        vr_loop_turn(d->loop, ms == 0 ? 0 : ms > 3600000 ? 3600000 : (int)ms);
        passed = vireo_monotonic_ns() - begin;
    }
    d->polled_ns = vireo_monotonic_ns();
    if (!passes) {
        return;
    }
    if (passed < ns) {
        uint8_t rec[8];
        vr_store_le64(rec, passed);
        if (d->recording) {
            in_put_own(d, VR_DET_IDLE, rec, sizeof(rec));
        }
        ns = passed;
    }
    vr_clock_step(d->clock, ns);
}

void vr_det_woke(struct vr_det_src *src)
{
    if (src->det) {
        src->det->woken = true;
    }
}

void det_in_idle(struct vr_det *d, uint64_t next_ns)
{
    struct vr_tape_rec rec;
    uint64_t now = vr_clock_now(d->clock), ns = next_ns - now;
    if (d->replaying) {
        if (in_next(d, &rec) && rec.kind == VR_DET_IDLE && rec.len == 8 &&
            vr_load_le64(rec.data) <= ns) {
            d->tape_at++;
            vr_clock_step(d->clock, vr_load_le64(rec.data));
        } else if (next_ns != UINT64_MAX) {
            vr_clock_step(d->clock, ns);
        } else if (vr_tape_get(d->tape, d->tape_at, &rec) && rec.beat > d->beat) {
            d->beat = rec.beat - 1; /* it waited for that */
        }
    } else if (next_ns == UINT64_MAX || d->paced) {
        in_wait(d, ns, d->paced);
    } else {
        vr_clock_step(d->clock, ns);
    }
}

/* --- The end --- */

void det_in_close(struct vr_det *d, const struct vr_exit *why)
{
    if (d->recording) {
        uint8_t rec[8];
        vr_store_le32(rec, why->why);
        vr_store_le32(rec + 4, why->code);
        in_put_own(d, VR_DET_END, rec, sizeof(rec));
        in_flush(d);
    } else if (d->replaying && !d->over && !d->diverged) {
        struct vr_tape_rec rec;
        d->over = true;
        if (why->why == VR_REQ_QUIT) {
            return; /* the user has seen enough */
        }
        if (!vr_tape_get(d->tape, d->tape_at, &rec) || rec.kind != VR_DET_END ||
            rec.steps != d->steps) {
            in_differs(d, "the machine ended here, the recorded one did not");
            return;
        }
        vr_log(d->m->env.log, VR_INFO, "replay",
               "ended as recorded, at step %" PRIu64 "; %" PRIu64 " state hashes were the same",
               d->steps, d->hashes_ok);
    }
}
