/*
 * Ways back: marks that a replay leaves behind, and going to a step of it.
 *
 * A mark is the machine's state at the beginning of a beat. Its RAM is a list of pages, which it
 * shares with the mark before it where they are the same; pages of zeroes take no room. When marks
 * have grown too large every second one goes, and from then on they are left half as often.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/det_priv.h"
#include "core/snap.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define BACK_BYTES_MAX (UINT64_C(2) << 30)

struct back_page {
    unsigned refs;
    uint8_t bytes[VR_PAGE_SIZE];
};

struct back_ram {
    struct vr_ram *ram;
    struct back_page **page; /* NULL: zeroes */
};

struct back_held { /* by a source */
    uint8_t *bytes;
    size_t len;
    enum vr_det_kind kind;
    bool again;
};

struct det_mark {
    struct det_mark *newer;
    uint64_t steps, beat, tape_at, hash_at, hashes_ok, random;
    unsigned hash_nr;
    struct vr_snap snap;
    struct back_ram *ram;
    unsigned ram_count;
    uint64_t asleep;        /* bit by vCPU: has nothing to do */
    struct back_held *held; /* by number */
    unsigned held_count;
};

/* --- Pages --- */

static uint64_t back_pages(const struct back_ram *r)
{
    return r->ram->len >> VR_PAGE_SHIFT;
}

static void back_unref(struct vr_det *d, struct back_page *p)
{
    if (p && --p->refs == 0) {
        d->page_bytes -= sizeof(*p);
        free(p);
    }
}

static bool back_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, VR_PAGE_SIZE - 1) == 0;
}

/* The page as it is now, as @older (or NULL) has it if that is the same. */
static bool back_keep(struct vr_det *d, const uint8_t *now, struct back_page *older,
                      struct back_page **ret_page)
{
    if (older && memcmp(older->bytes, now, VR_PAGE_SIZE) == 0) {
        older->refs++;
        *ret_page = older;
        return true;
    }
    if (back_zero(now)) {
        return true;
    }
    struct back_page *p = malloc(sizeof(*p));
    if (p) {
        p->refs = 1;
        memcpy(p->bytes, now, VR_PAGE_SIZE);
        d->page_bytes += sizeof(*p);
        *ret_page = p;
    }
    return p;
}

static bool back_keep_ram(struct vr_det *d, struct back_ram *r, const struct back_ram *older)
{
    for (uint64_t i = 0; i < back_pages(r); i++) {
        uint64_t off = i << VR_PAGE_SHIFT;
        if (vr_is_aligned(off, UINT64_C(2) << 20)) {
            i = vireo_shmem_next_data(&r->ram->mem, off) >> VR_PAGE_SHIFT;
            off = i << VR_PAGE_SHIFT;
            if (i >= back_pages(r)) {
                break;
            }
        }
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
        free(k->ram[i].page);
    }
    for (unsigned i = 0; i < k->held_count && k->held; i++) {
        free(k->held[i].bytes);
    }
    free(k->held);
    free(k->ram);
    vr_snap_fini(&k->snap);
    free(k);
    d->mark_count--;
}

static bool mark_keep_held(const struct vr_det *d, struct det_mark *k)
{
    k->held = vr_zalloc_array(d->src_count + 1u, sizeof(*k->held));
    k->held_count = k->held ? d->src_count : 0;
    for (const struct vr_det_src *s = d->srcs; k->held && s; s = s->next) {
        struct back_held *h = &k->held[s->id];
        *h = (struct back_held){.kind = s->held_kind, .again = s->again};
        if (s->held) {
            h->bytes = malloc(s->held_len);
            if (!h->bytes) {
                return false;
            }
            memcpy(h->bytes, s->held, s->held_len);
            h->len = s->held_len;
        }
    }
    return k->held;
}

static bool mark_fill(struct vr_det *d, struct det_mark *k, const struct det_mark *older,
                      struct vr_error *err)
{
    unsigned n = 0;
    for (const struct vr_machine_ram *ram = d->m->rams; ram; ram = ram->next) {
        k->ram_count += ram->region.kind == VR_REGION_RAM;
    }
    k->ram = vr_zalloc_array(k->ram_count, sizeof(*k->ram));
    for (const struct vr_machine_ram *ram = d->m->rams; k->ram && ram; ram = ram->next) {
        if (ram->region.kind == VR_REGION_RAM) {
            struct back_ram *r = &k->ram[n];
            r->ram = ram->ram;
            r->page = vr_zalloc_array(back_pages(r), sizeof(struct back_page *));
            if (!r->page || !back_keep_ram(d, r, older ? &older->ram[n] : NULL)) {
                return false;
            }
            n++;
        }
    }
    return k->ram && mark_keep_held(d, k) && vr_machine_put(d->m, &k->snap, false, err) == 0;
}

/* Every second one goes but the first; the next ones come half as often. */
static void back_thin(struct vr_det *d)
{
    d->mark_every *= 2;
    for (struct det_mark *k = d->marks; k && k->newer && k->newer->newer; k = k->newer) {
        struct det_mark *gone = k->newer;
        k->newer = gone->newer;
        mark_free(d, gone);
    }
}

void det_back_beat(struct vr_det *d)
{
    struct det_mark **last = &d->marks, *older = NULL;
    struct vr_error err = {0};
    if (!d->replaying || d->steps < d->mark_at) {
        return;
    }
    while (*last) {
        older = *last;
        last = &older->newer;
    }
    struct det_mark *k = vr_zalloc(sizeof(*k));
    if (k) {
        d->mark_count++;
        k->steps = d->steps;
        k->beat = d->beat;
        k->tape_at = d->tape_at;
        k->hash_at = d->hash_at;
        k->hash_nr = d->hash_nr;
        k->hashes_ok = d->hashes_ok;
        k->random = d->random;
        for (unsigned i = 0; i < d->m->vcpu_count; i++) {
            k->asleep |= (uint64_t)!det_has_work(d->m->vcpus[i]) << i;
        }
        vr_snap_init(&k->snap);
        if (mark_fill(d, k, older, &err)) {
            *last = k;
        } else {
            mark_free(d, k);
            k = NULL;
        }
    }
    if (!k) {
        vr_log(d->m->env.log, VR_WARN, "replay",
               "no memory to remember step %" PRIu64 "%s%s: going back begins before it", d->steps,
               *err.msg ? ": " : "", err.msg);
    }
    if (d->page_bytes > BACK_BYTES_MAX || !k) {
        back_thin(d);
    }
    d->mark_at = d->steps - d->steps % d->mark_every + d->mark_every;
}

uint64_t det_back_oldest(const struct vr_det *d)
{
    return d->marks ? d->marks->steps : UINT64_MAX;
}

void det_back_fini(struct vr_det *d)
{
    while (d->marks) {
        struct det_mark *k = d->marks;
        d->marks = k->newer;
        mark_free(d, k);
    }
}

/* --- Going there --- */

/* A vCPU that was restored looks at everything before its first instruction. One that sleeps has
 * none to come: it looks now, which arms its timer, and sleeps on. */
void det_back_settle(struct vr_det *d)
{
    for (unsigned i = 0; d->restored && i < d->m->vcpu_count; i++) {
        struct vr_vcpu *v = d->m->vcpus[i];
        v->idle = false;
        if (d->asleep >> i & 1) {
            atomic_store(&v->kicked, false);
            (void)v->ops->run_steps(v, 0);
            atomic_store(&v->attention, false);
            v->idle = true;
        }
    }
    d->restored = false;
}

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
        for (uint64_t i = 0; i < back_pages(r); i++) {
            uint8_t *to = r->ram->hva + (i << VR_PAGE_SHIFT);
            const uint8_t *from = r->page[i] ? r->page[i]->bytes : zeroes;
            if (memcmp(to, from, VR_PAGE_SIZE) != 0) {
                memcpy(to, from, VR_PAGE_SIZE);
                vr_ram_wrote(f->d->m->env.mem, r->ram, i << VR_PAGE_SHIFT, VR_PAGE_SIZE);
            }
        }
    }
    return 0;
}

static void back_put_held(struct vr_det *d, const struct det_mark *k)
{
    for (struct vr_det_src *s = d->srcs; s; s = s->next) {
        const struct back_held *h = s->id < k->held_count ? &k->held[s->id] : NULL;
        free(s->held);
        s->held = NULL;
        s->held_len = 0;
        s->again = h && h->again;
        if (h && h->bytes) {
            s->held = malloc(h->len);
            vr_assert(s->held); /* as much as a keyboard or a frame: see in_hold */
            memcpy(s->held, h->bytes, h->len);
            s->held_len = h->len;
            s->held_kind = h->kind;
        }
    }
}

/* The state of mark @k; newer ones are left anew on the way on. */
static int back_restore(struct vr_det *d, struct det_mark *k, struct vr_error *err)
{
    while (k->newer) {
        struct det_mark *gone = k->newer;
        k->newer = gone->newer;
        mark_free(d, gone);
    }
    struct back_fill fill = {.d = d, .k = k};
    k->snap.pos = 0;
    int r = vr_machine_get(d->m, &k->snap, false, back_fill_ram, &fill, err);
    if (r < 0) {
        return vr_err_in(err, r, "going back to step %" PRIu64, k->steps);
    }
    back_put_held(d, k);
    d->steps = k->steps;
    d->beat = k->beat - 1; /* which begins again */
    d->tape_at = k->tape_at;
    d->hash_at = k->hash_at;
    d->hash_nr = k->hash_nr;
    d->hashes_ok = k->hashes_ok;
    d->random = k->random;
    d->at = 0;
    d->slice = 0;
    d->over = d->stop = false;
    d->asleep = k->asleep;
    d->restored = true;
    d->mark_at = k->steps - k->steps % d->mark_every + d->mark_every;
    return 0;
}

/* With m->change held, halted: run until @steps, or until it can go no farther. */
static void back_run_to(struct vr_det *d, uint64_t steps)
{
    struct vr_machine *m = d->m;
    vr_mutex_lock(&m->lock);
    d->stop_at = steps;
    d->arrived = false;
    m->pending = (struct vr_exit){.why = VR_REQ_NONE};
    m->go = true;
    vr_det_go(d);
    while (!d->arrived && !(d->stop && m->in_run == 0)) {
        vr_cond_wait(&m->out_cond, &m->lock);
    }
    vr_mutex_unlock(&m->lock);
    vr_machine_halt(m);
    vr_mutex_lock(&m->lock);
    d->stop_at = UINT64_MAX;
    vr_mutex_unlock(&m->lock);
}

static int back_goto(struct vr_det *d, uint64_t steps, struct vr_error *err)
{
    struct vr_tape_rec rec;
    bool any = vr_tape_get(d->tape, vr_tape_count(d->tape) - 1, &rec);
    if (!any || steps > rec.steps) {
        return vr_err(err, -ERANGE,
                      "step %" PRIu64 " is beyond the recording, which ends at %" PRIu64, steps,
                      any ? rec.steps : 0);
    }
    if (steps < d->steps) {
        struct det_mark *k = d->marks;
        while (k && k->newer && k->newer->steps <= steps) {
            k = k->newer;
        }
        if (!k || k->steps > steps) {
            return vr_err(err, -ERANGE,
                          "step %" PRIu64 " is before the oldest one remembered, %" PRIu64, steps,
                          det_back_oldest(d));
        }
        int r = back_restore(d, k, err);
        if (r < 0) {
            return r;
        }
    }
    if (steps != d->steps) {
        back_run_to(d, steps);
    }
    return d->steps == steps
               ? 0
               : vr_err(err, -EIO, "the replay stopped at step %" PRIu64 " on the way to %" PRIu64,
                        d->steps, steps);
}

int vr_det_goto(struct vr_machine *m, uint64_t steps, struct vr_error *err)
{
    struct vr_det *d = m->env.det;
    if (!d || !d->replaying) {
        return vr_err(err, -ENOTSUP,
                      "only a machine that replays a recording (--replay) can go to a "
                      "step of it");
    }
    vr_mutex_lock(&m->change);
    int r = 0;
    if (vr_machine_state(m) == VR_STATE_STOPPED) {
        r = vr_err(err, -EINVAL, "the machine has ended; run it with --replay FILE,hold");
    } else {
        vr_machine_halt(m);
        vr_machine_set_state(m, VR_STATE_PAUSED);
        r = back_goto(d, steps, err);
    }
    vr_mutex_unlock(&m->change);
    return r;
}
