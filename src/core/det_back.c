/*
 * Ways back: marks that a replay leaves behind, going to a step of it, and looking for the last
 * moment at which a debugger's points were met.
 *
 * A mark is the machine's state at the beginning of a beat, one at which TLBs are emptied (see
 * in_hash), so that nothing is lost that decides how the guest goes on. Its RAM is a list of pages,
 * which it shares with the mark before it where they are the same; pages of zeroes take no room.
 * When marks have grown too large every second one goes, and from then on they are left half as
 * often.
 *
 * All but the driver's part (det_back_beat and what follows it there) runs on the debugger's
 * thread, while the machine stands.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/det_priv.h"
#include "core/ram_fork.h"
#include "core/snap.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BACK_BYTES_MAX (UINT64_C(2) << 30)
enum { BACK_MARKS_MAX = 512, BACK_EVERY = 4 }; /* hashes a mark; each, near where it goes to */

struct back_page {
    unsigned refs;
    uint8_t bytes[VR_PAGE_SIZE];
};

struct back_ram {
    struct vr_ram *ram;
    struct back_page **page; /* NULL: zeroes */
};

struct det_mark {
    struct det_mark *newer;
    uint64_t steps, tape_at, hashes_ok;
    uint64_t last_end[VR_MAX_VCPUS];
    struct vr_snap snap;
    struct back_ram *ram;
    unsigned ram_count;
};

/* --- Pages --- */

static uint64_t back_pages(const struct back_ram *r)
{
    return r->ram->len >> VR_PAGE_SHIFT;
}

static void back_unref(struct vr_det *d, struct back_page *p)
{
    if (p && --p->refs == 0) {
        d->mark_bytes -= sizeof(*p);
        free(p);
    }
}

/* The page as it is now (not all zeroes), as @older (or NULL) has it if that is the same. */
static bool back_keep(struct vr_det *d, const uint8_t *now, struct back_page *older,
                      struct back_page **ret_page)
{
    if (older && memcmp(older->bytes, now, VR_PAGE_SIZE) == 0) {
        older->refs++;
        *ret_page = older;
        return true;
    }
    struct back_page *p = malloc(sizeof(*p));
    if (p) {
        p->refs = 1;
        memcpy(p->bytes, now, VR_PAGE_SIZE);
        d->mark_bytes += sizeof(*p);
        *ret_page = p;
    }
    return p;
}

static bool back_keep_ram(struct vr_det *d, struct back_ram *r, const struct back_ram *older)
{
    for (uint64_t off = 0; (off = vr_ram_next_page(r->ram, off)) < r->ram->len;
         off += VR_PAGE_SIZE) {
        uint64_t i = off >> VR_PAGE_SHIFT;
        if (!back_keep(d, r->ram->hva + off, older ? older->page[i] : NULL, &r->page[i])) {
            return false;
        }
    }
    return true;
}

/* --- Marks --- */

static void mark_free(struct vr_det *d, struct det_mark *k)
{
    for (unsigned i = 0; i < k->ram_count && k->ram; i++) {
        for (uint64_t p = 0; k->ram[i].page && p < back_pages(&k->ram[i]); p++) {
            back_unref(d, k->ram[i].page[p]);
        }
        if (k->ram[i].page) {
            d->mark_bytes -= back_pages(&k->ram[i]) * sizeof(struct back_page *);
        }
        free(k->ram[i].page);
    }
    free(k->ram);
    vr_snap_fini(&k->snap);
    free(k);
    d->mark_count--;
}

static bool mark_fill(struct vr_det *d, struct det_mark *k, const struct det_mark *older,
                      struct vr_error *err)
{
    while (vr_machine_ram(d->m, k->ram_count, NULL)) {
        k->ram_count++;
    }
    k->ram = vr_zalloc_array(k->ram_count, sizeof(*k->ram));
    for (unsigned i = 0; k->ram && i < k->ram_count; i++) {
        struct back_ram *r = &k->ram[i];
        r->ram = vr_machine_ram(d->m, i, NULL);
        r->page = vr_zalloc_array(back_pages(r), sizeof(struct back_page *));
        if (!r->page) {
            return false;
        }
        d->mark_bytes += back_pages(r) * sizeof(struct back_page *);
        if (!back_keep_ram(d, r, older ? &older->ram[i] : NULL)) {
            return false;
        }
    }
    return k->ram && vr_machine_put(d->m, &k->snap, false, err) == 0;
}

/* Every second one goes but the first; the next ones come half as often. */
static void back_thin(struct vr_det *d)
{
    d->mark_every += d->mark_every <= UINT64_MAX / 2 ? d->mark_every : 0;
    for (struct det_mark *k = d->marks; k && k->newer; k = k->newer) {
        struct det_mark *gone = k->newer;
        k->newer = gone->newer;
        mark_free(d, gone);
    }
}

/* The newest one that is of @steps or earlier. */
static struct det_mark *back_mark(const struct vr_det *d, uint64_t steps)
{
    struct det_mark *found = NULL;
    for (struct det_mark *k = d->marks; k && k->steps <= steps; k = k->newer) {
        found = k;
    }
    return found;
}

/* Is it time for one behind @older (or NULL), if ever at this beat? */
static bool back_due(const struct vr_det *d, const struct det_mark *older)
{
    bool near = d->stop_at != UINT64_MAX && d->stop_at - d->steps < d->mark_first;
    return !older || d->steps - older->steps >= (near ? d->hash_steps : d->mark_every);
}

void det_back_beat(struct vr_det *d)
{
    struct vr_error err = {0};
    if (!d->replaying || d->steps < d->hash_at) {
        return; /* nearly always: before the marks are walked */
    }
    struct det_mark *older = back_mark(d, d->steps);
    if (!back_due(d, older)) {
        return;
    }
    struct det_mark *k = vr_zalloc(sizeof(*k));
    if (k) {
        d->mark_count++;
        k->steps = d->steps;
        k->tape_at = d->tape_at;
        k->hashes_ok = d->hashes_ok;
        memcpy(k->last_end, d->last_end, sizeof(k->last_end));
        vr_snap_init(&k->snap);
        if (mark_fill(d, k, older, &err)) {
            k->newer = older ? older->newer : NULL;
            *(older ? &older->newer : &d->marks) = k;
        } else {
            mark_free(d, k);
            k = NULL;
        }
    }
    if (!k) {
        vr_log(d->m->env.log, VR_WARN, "replay",
               "no memory to remember step %" PRIu64 "%s%s: going back there takes longer",
               d->steps, *err.msg ? ": " : "", err.msg);
    }
    if (d->mark_bytes > BACK_BYTES_MAX || d->mark_count > BACK_MARKS_MAX || !k) {
        back_thin(d);
    }
}

void det_back_init(struct vr_det *d)
{
    d->stop_at = UINT64_MAX;
    if (!vr_mul_ok(d->hash_steps, BACK_EVERY, &d->mark_first)) {
        d->mark_first = d->hash_steps;
    }
    d->mark_every = d->mark_first;
}

void det_back_fini(struct vr_det *d)
{
    while (d->marks) {
        struct det_mark *k = d->marks;
        d->marks = k->newer;
        mark_free(d, k);
    }
}

/* --- Standing --- */

static bool back_has_stopped(const struct vr_vcpu *v)
{
    return v->run.stop.why != VR_DEBUG_NOT_STOPPED;
}

bool det_back_stands(const struct vr_det *d)
{
    if (d->steps >= d->stop_at) {
        return true;
    }
    for (unsigned i = 0; d->m->debug && i < d->m->vcpu_count; i++) {
        if (back_has_stopped(d->m->vcpus[i])) {
            return true;
        }
    }
    return false;
}

uint64_t det_back_limit(const struct vr_det *d, const struct vr_vcpu *v, uint64_t limit)
{
    uint64_t to_stop = d->stop_at - d->steps;
    limit = limit < to_stop ? limit : to_stop;
    return (v->run.goal || v->run.pass) && limit > 1 ? 1 : limit;
}

/* A point was met, in a search: the moment to stand at. Who goes back meets an access before it is
 * undone, which is behind it; and a breakpoint before its instruction, from either side. */
static void back_note(struct vr_det *d, struct vr_vcpu *v)
{
    uint64_t at = d->steps + (v->run.stop.kind != VR_DEBUG_BREAK);
    if (at >= d->found_at || !d->found) {
        d->found = true;
        d->found_at = at;
        d->found_stop = v->run.stop;
        d->found_vcpu = v->index;
    }
    vr_debug_let(v, true, false);
    v->run.pass = true;
}

bool det_back_ran(struct vr_det *d, struct vr_vcpu *v, uint64_t done)
{
    struct vr_debug_run *run = &v->run;
    if (done) {
        d->last_end[v->index] = d->steps;
        d->said = d->steps > d->said ? d->steps : d->said;
        run->pass = false;
    }
    if (back_has_stopped(v)) {
        if (d->searching) {
            back_note(d, v);
        }
        return true;
    }
    if (run->goal && done) {
        uint64_t pc = 0;
        unsigned bytes;
        (void)v->ops->debug->get(v, v->ops->debug->pc, &pc, &bytes);
        if (pc < run->step_begin || pc >= run->step_end) {
            run->goal = false;
            run->stop = (struct vr_debug_stop){.why = VR_DEBUG_STEPPED};
            d->m->debug->on_stop(d->m->debug->opaque, v);
        }
    }
    return false;
}

bool vr_det_muted(const struct vr_det *d)
{
    return d->replaying && d->steps + d->done < d->said;
}

/* --- Going there --- */

struct back_fill {
    struct vr_det *d;
    const struct det_mark *k;
};

static int back_fill_ram(void *opaque, struct vr_error *err)
{
    static const uint8_t zeroes[VR_PAGE_SIZE];
    const struct back_fill *f = opaque;
    (void)err;
    for (unsigned n = 0; n < f->k->ram_count; n++) {
        const struct back_ram *r = &f->k->ram[n];
        uint64_t next = vr_ram_next_page(r->ram, 0);
        for (uint64_t i = 0, off = 0; i < back_pages(r); i++, off += VR_PAGE_SIZE) {
            bool there = off == next;
            if (there) {
                next = vr_ram_next_page(r->ram, off + VR_PAGE_SIZE);
            }
            const uint8_t *from = r->page[i] ? r->page[i]->bytes : zeroes;
            if ((r->page[i] || there) && memcmp(r->ram->hva + off, from, VR_PAGE_SIZE) != 0) {
                memcpy(r->ram->hva + off, from, VR_PAGE_SIZE);
                vr_ram_wrote(f->d->m->env.mem, r->ram, off, VR_PAGE_SIZE);
            }
        }
    }
    return 0;
}

static void back_nothing(void *arg)
{
    (void)arg;
}

/* The state of mark @k; with m->change held, halted. */
static int back_restore(struct vr_det *d, struct det_mark *k, struct vr_error *err)
{
    struct back_fill fill = {.d = d, .k = k};
    vr_loop_call(d->loop, back_nothing, NULL); /* what was posted in the life that is left */
    k->snap.pos = 0;
    int r = vr_machine_get(d->m, &k->snap, false, back_fill_ram, &fill, err);
    if (r < 0) {
        return vr_err_in(err, r, "going back to step %" PRIu64, k->steps);
    }
    d->beat--; /* it begins again */
    d->mid = false;
    d->tape_at = k->tape_at;
    d->hashes_ok = k->hashes_ok;
    memcpy(d->last_end, k->last_end, sizeof(d->last_end));
    d->over = d->stop = false;
    vr_mutex_lock(&d->m->lock);
    d->m->pending = (struct vr_exit){.why = VR_REQ_NONE};
    d->m->panicked = false;
    vr_mutex_unlock(&d->m->lock);
    return 0;
}

/* With m->change held, halted: run to @steps. It is let go meanwhile, for the guest's resets. */
static int back_run_to(struct vr_det *d, uint64_t steps, struct vr_error *err)
{
    struct vr_machine *m = d->m;
    if (d->steps == steps) {
        return 0;
    }
    vr_mutex_lock(&m->lock);
    d->stop_at = steps;
    vr_mutex_unlock(&m->lock);
    vr_machine_go(m);
    vr_mutex_unlock(&m->change);
    vr_mutex_lock(&m->lock);
    while (m->state == VR_STATE_RUNNING && (m->in_run || !det_back_stands(d))) {
        vr_cond_wait(&m->out_cond, &m->lock);
    }
    vr_mutex_unlock(&m->lock);
    vr_mutex_lock(&m->change);
    if (vr_machine_state(m) != VR_STATE_STOPPED) {
        vr_machine_halt(m);
        vr_machine_set_state(m, VR_STATE_PAUSED);
    }
    vr_mutex_lock(&m->lock);
    d->stop_at = UINT64_MAX;
    vr_mutex_unlock(&m->lock);
    return d->steps == steps
               ? 0
               : vr_err(err, -EIO, "the replay stopped at step %" PRIu64 " on the way to %" PRIu64,
                        d->steps, steps);
}

/* With m->change held, halted. */
static int back_goto(struct vr_det *d, uint64_t steps, struct vr_error *err)
{
    struct det_mark *k = back_mark(d, steps);
    int r = 0;
    if (steps < d->steps) {
        r = k ? back_restore(d, k, err)
              : vr_err(err, -ERANGE, "step %" PRIu64 " is before the first one remembered", steps);
    }
    return r < 0 ? r : back_run_to(d, steps, err);
}

/* Of a machine that can go back: paused, with m->change held. Nobody's stop is pending. */
static int back_enter(struct vr_machine *m, struct vr_error *err)
{
    struct vr_det *d = m->env.det;
    if (!vr_det_replaying(d)) {
        return vr_err(err, -ENOTSUP,
                      "only a machine that replays a recording (--replay) can go back in it");
    }
    vr_mutex_lock(&m->change);
    if (vr_machine_state(m) == VR_STATE_STOPPED) {
        vr_mutex_unlock(&m->change);
        return vr_err(err, -EINVAL, "the machine has ended");
    }
    vr_machine_halt(m);
    vr_machine_set_state(m, VR_STATE_PAUSED);
    for (unsigned i = 0; i < m->vcpu_count; i++) {
        vr_debug_let(m->vcpus[i], true, false);
    }
    return 0;
}

uint64_t vr_det_steps(const struct vr_det *d)
{
    return d->steps;
}

bool vr_det_taped(const struct vr_det *d)
{
    return d && (d->recording || d->replaying);
}

int vr_det_goto(struct vr_machine *m, uint64_t steps, struct vr_error *err)
{
    int r = back_enter(m, err);
    if (r < 0) {
        return r;
    }
    struct vr_det *d = m->env.det;
    struct vr_tape_rec rec;
    bool any = vr_tape_get(d->tape, vr_tape_count(d->tape) - 1, &rec);
    d->searching = true; /* points are passed */
    if (!any || steps > rec.steps) {
        r = vr_err(err, -ERANGE, "step %" PRIu64 " is beyond the recording, which ends at %" PRIu64,
                   steps, any ? rec.steps : 0);
    } else {
        r = back_goto(d, steps, err);
    }
    d->searching = false;
    vr_mutex_unlock(&m->change);
    return r;
}

int vr_det_back_step(struct vr_machine *m, unsigned vcpu, bool *ret_begin, struct vr_error *err)
{
    vr_assert(vcpu < m->vcpu_count);
    int r = back_enter(m, err);
    if (r < 0) {
        return r;
    }
    struct vr_det *d = m->env.det;
    uint64_t last = d->last_end[vcpu];
    d->searching = true;
    r = back_goto(d, last ? last - 1 : 0, err);
    d->searching = false;
    vr_mutex_unlock(&m->change);
    if (r == 0) {
        *ret_begin = last == 0;
    }
    return r;
}

/* Look for the last moment before @end at which a point was met, from mark @k on. */
static int back_search(struct vr_det *d, struct det_mark *k, uint64_t end, struct vr_error *err)
{
    int r = back_restore(d, k, err);
    d->found = false;
    return r < 0 ? r : back_run_to(d, end, err);
}

int vr_det_back_continue(struct vr_machine *m, struct vr_det_found *ret_found, struct vr_error *err)
{
    int r = back_enter(m, err);
    if (r < 0) {
        return r;
    }
    struct vr_det *d = m->env.det;
    struct det_mark *k;
    uint64_t end = d->steps;
    d->searching = true;
    d->found = false;
    while (r == 0 && !d->found && end && (k = back_mark(d, end - 1)) != NULL) {
        r = back_search(d, k, end, err);
        end = k->steps;
    }
    struct vr_det_found found = {.begin = !d->found, .stop = d->found_stop, .vcpu = d->found_vcpu};
    uint64_t to = d->found ? d->found_at : d->marks ? d->marks->steps : d->steps;
    r = r < 0 ? r : back_goto(d, to, err);
    d->searching = d->found = false;
    vr_mutex_unlock(&m->change);
    if (r == 0) {
        *ret_found = found;
    }
    return r;
}
