/* The driver of deterministic mode: beats, slices, and how it stops. See det.h. */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/det_priv.h"
#include "core/hash.h"
#include "platform/random.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/* --- Time within a slice --- */

void vr_det_at(struct vr_det *d, uint64_t done)
{
    d->done = done;
    vr_clock_set(d->clock, d->begin_ns + done);
}

uint64_t vr_det_more(struct vr_det *d, uint64_t done, uint64_t left)
{
    uint64_t now = d->begin_ns + done, next = vr_clock_next(d->clock);
    if (d->stop || d->ops || next <= now) {
        return 0;
    }
    return left < next - now ? left : next - now;
}

/* --- Entropy --- */

static void det_random(struct vr_det *d, uint8_t *buf, size_t len)
{
    while (len) {
        uint8_t block[8], bytes[8];
        size_t n = len < sizeof(bytes) ? len : sizeof(bytes);
        vr_store_le64(block, d->random++);
        vr_store_le64(bytes, vr_hash64(block, sizeof(block), d->seed));
        memcpy(buf, bytes, n);
        buf += n;
        len -= n;
    }
}

int vr_env_random(struct vr_env *env, void *buf, size_t len, struct vr_error *err)
{
    if (!env->det) {
        return vr_random_bytes(buf, len, err);
    }
    det_random(env->det, buf, len);
    return 0;
}

/* --- Work behind an instruction --- */

void vr_det_soon(struct vr_det *d, struct vr_det_op *op)
{
    op->next = NULL;
    *d->ops_last = op;
    d->ops_last = &op->next;
}

static void det_run_ops(struct vr_det *d)
{
    if (d->ops) {
        vr_clock_step(d->clock, DET_IO_NS);
    }
    while (d->ops) {
        struct vr_det_op *op = d->ops;
        d->ops = op->next;
        d->ops_last = d->ops ? d->ops_last : &d->ops;
        op->run(op);
    }
    vr_loop_run_posted(d->loop);
}

/* --- Beats --- */

bool det_has_work(const struct vr_vcpu *v)
{
    return !v->idle || atomic_load(&v->attention);
}

bool vr_det_crowded(const struct vr_det *d)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        busy += det_has_work(d->m->vcpus[i]);
    }
    return busy > 1;
}

/* Steps until a timer falls due, at most d->slice; those that are due are fired. */
static uint64_t det_until_timer(struct vr_det *d)
{
    uint64_t now = vr_clock_now(d->clock);
    if (vr_clock_next(d->clock) <= now) {
        vr_clock_step(d->clock, 0);
    }
    uint64_t next = vr_clock_next(d->clock);
    /* One that is armed for the past again and again must not keep the guest from running. */
    uint64_t left = next <= now ? 1 : next - now;
    return left < d->slice ? left : d->slice;
}

/* A part of the slice of vCPU d->at, at most to the next timer. True: the slice is over. */
static bool det_run_slice(struct vr_det *d)
{
    struct vr_vcpu *v = d->m->vcpus[d->at];
    uint64_t whole = det_until_timer(d), limit = det_back_limit(d, v, whole);
    d->begin_ns = vr_clock_now(d->clock);
    d->done = 0;
    v->idle = v->yielded = false;
    atomic_store(&v->kicked, false);
    uint64_t done = v->ops->run_steps(v, limit);
    vr_assert(done <= limit);
    d->steps += done;
    d->slice -= done;
    d->done = 0;
    d->ran = true;
    vr_clock_set(d->clock, d->begin_ns + done);
    bool over = d->slice == 0 || v->idle || v->yielded;
    bool met = det_back_ran(d, v, done);
    if ((met || limit < whole) && done < whole && !over && !d->ops && !d->stop &&
        vr_clock_next(d->clock) > vr_clock_now(d->clock)) {
        return false; /* somebody looks; of its life nothing is due */
    }
    vr_clock_step(d->clock, 0);
    det_run_ops(d);
    return over;
}

/* A beat begins: inputs. False: nothing may run. */
static bool det_begin_beat(struct vr_det *d)
{
    det_in_end(d);
    if (d->stop) {
        return false;
    }
    d->beat++;
    d->ran = false;
    uint64_t now_ns = vireo_monotonic_ns();
    if (now_ns - d->polled_ns >= DET_POLL_NS) {
        d->polled_ns = now_ns;
        vr_loop_turn(d->loop, 0);
    }
    vr_loop_run_posted(d->loop);
    det_back_beat(d);
    det_in_beat(d);
    d->begun = true;
    return !d->stop;
}

/* Whose turn is it? False: the beat is over. */
static bool det_turn(struct vr_det *d)
{
    while (d->slice == 0 && d->at < d->m->vcpu_count) {
        if (det_has_work(d->m->vcpus[d->at])) {
            d->slice = vr_det_crowded(d) ? DET_SLICE : DET_SLICE_ALONE;
        } else {
            d->at++;
        }
    }
    return d->at < d->m->vcpu_count;
}

/* A whole beat, or what is left of it; or its beginning, when a request ends it. */
static void det_beat(struct vr_det *d)
{
    if (!d->mid) {
        if (!det_begin_beat(d)) {
            return;
        }
        d->at = 0;
        d->slice = 0;
    }
    for (d->mid = true; !det_back_stands(d) && det_turn(d);) {
        if (det_run_slice(d)) {
            d->slice = 0;
            d->at++;
        }
        if (d->stop) { /* whoever goes on begins a beat */
            d->mid = false;
            return;
        }
    }
    if (det_back_stands(d)) {
        return;
    }
    d->mid = false;
    if (d->ops) {
        det_run_ops(d);
    } else if (!d->ran) {
        det_in_idle(d, vr_clock_next(d->clock));
    }
}

/* May a beat begin, or go on where a debugger had it stop? Only then is it asked, so that a life
 * does not depend on when somebody wants it to stand. */
static bool det_may_run(struct vr_det *d)
{
    struct vr_machine *m = d->m;
    vr_mutex_lock(&m->lock);
    bool go = m->go && !d->stop && !det_back_stands(d);
    if ((go ? 1u : 0u) != m->in_run) {
        m->in_run = go;
        vr_cond_broadcast(&m->out_cond);
    }
    vr_mutex_unlock(&m->lock);
    return go;
}

static void det_main(void *opaque)
{
    struct vr_det *d = opaque;
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        atomic_store(&d->m->vcpus[i]->host_id, vireo_thread_host_id());
    }
    while (!vr_loop_ending(d->loop)) {
        if (det_may_run(d)) {
            det_beat(d);
        } else {
            vr_loop_turn(d->loop, -1);
        }
    }
}

/* --- The machine --- */

int vr_det_spawn(struct vr_det *d, struct vr_error *err)
{
    for (unsigned i = 0; i < d->m->vcpu_count; i++) {
        if (!d->m->vcpus[i]->ops->run_steps) {
            return vr_err(err, -ENOTSUP, "deterministic mode: the engine '%s' cannot run by steps",
                          d->m->vcpus[i]->ops->engine);
        }
    }
    return vr_loop_start_with(d->loop, "vr-det", det_main, d, err);
}

bool vr_det_here(const struct vr_det *d)
{
    return vr_loop_here(d->loop);
}

void vr_det_go(struct vr_det *d)
{
    if (d->m->pending.why == VR_REQ_NONE) { /* else what stopped it is still to be carried out */
        d->stop = false;
    }
    vr_loop_wake(d->loop);
}

void vr_det_wake(struct vr_det *d)
{
    vr_loop_wake(d->loop);
}

void vr_det_stop(struct vr_det *d)
{
    d->stop = true;
}

bool vr_det_ask(struct vr_det *d, enum vr_request what, unsigned code, const char *reason)
{
    if (!d->m->go || (what != VR_REQ_RESET && what != VR_REQ_POWEROFF)) {
        return false;
    }
    d->asked = (struct vr_exit){.why = what, .code = code, .reason = reason};
    return true;
}

bool vr_det_holds(const struct vr_det *d, enum vr_request what)
{
    return (d->hold || d->m->debug) &&
           (what == VR_REQ_POWEROFF || what == VR_REQ_FAIL || what == VR_REQ_PANIC);
}

/* Two lives that should have been one are told apart by it. */
static void det_tell_end(struct vr_det *d)
{
    struct vr_error err;
    uint64_t state, all;
    if (det_hash_state(d->m, &state, &err) == 0) {
        det_hash_all(d->m, state, &all);
        vr_log(d->m->env.log, VR_INFO, "deterministic",
               "ended at step %" PRIu64 ", guest time %" PRIu64 " ns, state hash %016" PRIx64,
               d->steps, vr_clock_now(d->clock), all);
    }
}

void vr_det_ended(struct vr_det *d, const struct vr_exit *why)
{
    det_tell_end(d);
    det_in_close(d, why);
}

/* --- Life --- */

static int det_open_tape(struct vr_det *d, const struct vr_det_opts *o, struct vr_error *err)
{
    struct vr_tape_head head = {
        .seed = o->seed,
        .epoch_ns = o->epoch_ns,
        .hash_steps = o->hash_steps ? o->hash_steps : DET_HASH_STEPS,
        .about = o->about ? o->about : "",
    };
    int r = 0;
    if (o->record) {
        r = vr_tape_create(o->record, &head, &d->tape, err);
        d->recording = r == 0;
    } else if (o->replay) {
        r = vr_tape_open(o->replay, &d->tape, err);
        d->replaying = r == 0;
        if (r == 0) {
            vr_tape_head(d->tape, &head);
        }
    }
    if (r == 0) {
        d->hash_steps = head.hash_steps ? head.hash_steps : 1; /* of a hostile tape */
        d->seed = head.seed;
        d->epoch_ns = head.epoch_ns;
    }
    return r;
}

int vr_machine_set_det(struct vr_machine *m, const struct vr_det_opts *o, struct vr_error *err)
{
    vr_assert(!m->vcpu_count && !m->dev_count && m->own_loop_thread && !m->env.det);
    struct vr_det *d = vr_zalloc(sizeof(*d));
    if (!d) {
        return vr_err(err, -ENOMEM, "machine '%s': no memory", m->name);
    }
    *d = (struct vr_det){.m = m,
                         .clock = m->env.clock,
                         .loop = m->env.loop,
                         .paced = o->paced,
                         .hold = o->hold && o->replay};
    d->ops_last = &d->ops;
    int r = det_open_tape(d, o, err);
    det_back_init(d);
    if (r < 0) {
        free(d);
        return r;
    }
    m->env.det = d;
    vr_loop_set_det(m->env.loop, d);
    return 0;
}

struct vr_det *vr_machine_det(const struct vr_machine *m)
{
    return m->env.det;
}

uint64_t vr_det_epoch_ns(const struct vr_det *d)
{
    return d->epoch_ns;
}

void vr_det_destroy(struct vr_det *d)
{
    if (d) {
        vr_assert(!d->ops && !d->srcs);
        det_back_fini(d);
        vr_tape_close(d->tape);
        free(d);
    }
}

struct det_ask {
    struct vr_det *d;
    struct vr_det_status *ret_status;
};

static void det_status(void *arg)
{
    const struct det_ask *ask = arg;
    const struct vr_det *d = ask->d;
    struct vr_tape_rec rec;
    *ask->ret_status = (struct vr_det_status){
        .steps = d->steps,
        .beats = d->beat,
        .time_ns = vr_clock_now(d->clock),
        .recording = d->recording,
        .replaying = d->replaying,
        .tape_bytes = d->tape ? vr_tape_bytes(d->tape) : 0,
        .hashes_ok = d->hashes_ok,
        .at_end = d->replaying && (d->over || !vr_tape_get(d->tape, d->tape_at, &rec) ||
                                   (rec.kind == VR_DET_END && rec.steps == d->steps)),
        .marks = d->mark_count,
        .mark_bytes = d->mark_bytes,
    };
    if (d->replaying && vr_tape_get(d->tape, vr_tape_count(d->tape) - 1, &rec)) {
        ask->ret_status->end_steps = rec.steps;
    }
}

void vr_det_status(struct vr_machine *m, struct vr_det_status *ret_status)
{
    struct det_ask ask = {.d = m->env.det, .ret_status = ret_status};
    vr_machine_still(m, det_status, &ask);
}
