/*
 * Address spaces: the region list, and the flat views built from it.
 *
 * Writers change the list under the lock and build a new view; readers hold references to old ones.
 * A region removed from the list is handed back (release) when the last view that shows it is
 * dropped.
 */
#include "core/space.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "core/space_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

int vr_space_create(const char *name, uint64_t limit, struct vr_space **ret_space,
                    struct vr_error *err)
{
    struct vr_space *s = vr_zalloc(sizeof(*s));
    struct vr_view *view = vr_zalloc(sizeof(*view));
    if (!s || !view) {
        free(s);
        free(view);
        return vr_err(err, -ENOMEM, "address space '%s': no memory", name);
    }
    snprintf(s->name, sizeof(s->name), "%s", name);
    s->limit = limit;
    view->refs = 1;
    s->view = view;
    atomic_init(&s->gen, 1);
    vr_mutex_init(&s->lock);
    vr_mutex_init(&s->change_lock);
    vr_mutex_init(&s->code_lock);
    *ret_space = s;
    return 0;
}

/* Drop one reference; regions that nobody holds any more are pushed on *@gone. */
static void space_view_put_locked(struct vr_view *view, struct vr_region **gone)
{
    if (!view || --view->refs) {
        return;
    }
    for (size_t i = 0; i < view->count; i++) {
        struct vr_region *r = view->flat[i].region;
        if (--r->refs == 0 && !r->mapped) {
            r->next = *gone;
            *gone = r;
        }
    }
    free(view);
}

static void space_release(struct vr_region *gone)
{
    while (gone) {
        struct vr_region *r = gone;
        gone = r->next;
        r->next = NULL;
        if (r->release) {
            r->release(r); /* may free it */
        }
    }
}

void vr_space_destroy(struct vr_space *s)
{
    if (!s) {
        return;
    }
    struct vr_region *gone = NULL;
    vr_mutex_lock(&s->lock);
    vr_assert(s->view->refs == 1); /* a cache was not dropped */
    for (struct vr_region *r = s->regions, *next; r; r = next) {
        next = r->next;
        r->next = NULL;
        r->mapped = false;
        if (r->refs == 0) {
            r->next = gone;
            gone = r;
        }
    }
    space_view_put_locked(s->view, &gone);
    vr_mutex_unlock(&s->lock);
    space_release(gone);
    vr_mutex_fini(&s->lock);
    vr_mutex_fini(&s->change_lock);
    vr_mutex_fini(&s->code_lock);
    free(s);
}

static int space_edge_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* The winner at @gpa. */
static struct vr_region *space_top(const struct vr_space *s, uint64_t gpa)
{
    struct vr_region *best = NULL;
    for (struct vr_region *r = s->regions; r; r = r->next) {
        if (gpa - r->gpa < r->len && gpa >= r->gpa && (!best || r->prio > best->prio)) {
            best = r;
        }
    }
    return best;
}

/* Between two neighbouring region edges one region wins throughout; pieces of one region are
 * joined. */
static struct vr_view *space_build_locked(const struct vr_space *s)
{
    size_t regions = 0;
    for (const struct vr_region *r = s->regions; r; r = r->next) {
        regions++;
    }
    uint64_t *edges = vr_zalloc_array(regions * 2, sizeof(*edges));
    struct vr_view *view = vr_zalloc(sizeof(*view) + regions * 2 * sizeof(view->flat[0]));
    if (!edges || !view) {
        free(edges);
        free(view);
        return NULL;
    }
    size_t n = 0;
    for (const struct vr_region *r = s->regions; r; r = r->next) {
        edges[n++] = r->gpa;
        edges[n++] = r->gpa + r->len;
    }
    qsort(edges, n, sizeof(*edges), space_edge_cmp);
    for (size_t i = 0; i + 1 < n; i++) {
        uint64_t from = edges[i], len = edges[i + 1] - from;
        struct vr_region *top = len ? space_top(s, from) : NULL;
        if (!top) {
            continue;
        }
        struct vr_flat *last = view->count ? &view->flat[view->count - 1] : NULL;
        if (last && last->region == top && last->gpa + last->len == from) {
            last->len += len;
        } else {
            view->flat[view->count++] =
                (struct vr_flat){.gpa = from, .len = len, .region = top, .off = from - top->gpa};
        }
    }
    free(edges);
    for (size_t i = 0; i < view->count; i++) {
        view->flat[i].region->refs++;
    }
    view->refs = 1;
    return view;
}

/* Swap in @view; the old one goes. */
static void space_publish_locked(struct vr_space *s, struct vr_view *view, struct vr_region **gone)
{
    struct vr_view *old = s->view;
    s->view = view;
    atomic_fetch_add_explicit(&s->gen, 1, memory_order_release);
    space_view_put_locked(old, gone);
}

static void space_tell_change(struct vr_space *s)
{
    vr_mutex_lock(&s->change_lock);
    for (unsigned i = 0; i < s->change_count; i++) {
        s->on_change[i].fn(s->on_change[i].opaque);
    }
    vr_mutex_unlock(&s->change_lock);
}

/* May @r stand at @gpa? */
static int space_check_locked(struct vr_space *s, const struct vr_region *r, uint64_t gpa,
                              struct vr_error *err)
{
    uint64_t end;
    if (r->len == 0 || !vr_add_ok(gpa, r->len, &end) || end - 1 > s->limit) {
        return vr_err(err, -EINVAL,
                      "region '%s' (0x%" PRIx64 " bytes at 0x%" PRIx64
                      ") does not fit address space '%s', which ends at 0x%" PRIx64,
                      r->name, r->len, gpa, s->name, s->limit);
    }
    if (r->kind == VR_REGION_DEV) {
        vr_assert(r->dev != NULL);
    } else {
        vr_assert(r->ram != NULL && vr_is_aligned(r->ram_off, VR_PAGE_SIZE));
        vr_assert(vr_in_range(r->ram_off, r->len, r->ram->len));
    }
    for (const struct vr_region *o = s->regions; o; o = o->next) {
        if (o != r && o->prio == r->prio && gpa < o->gpa + o->len && o->gpa < end) {
            return vr_err(err, -EEXIST,
                          "region '%s' at 0x%" PRIx64 " overlaps '%s' at 0x%" PRIx64
                          " in address space '%s'",
                          r->name, gpa, o->name, o->gpa, s->name);
        }
    }
    return 0;
}

int vr_space_add(struct vr_space *s, struct vr_region *r, struct vr_error *err)
{
    struct vr_region *gone = NULL;
    vr_mutex_lock(&s->lock);
    vr_assert(!r->mapped);
    int res = space_check_locked(s, r, r->gpa, err);
    if (res == 0) {
        r->next = s->regions;
        s->regions = r;
        struct vr_view *view = space_build_locked(s);
        if (view) {
            r->mapped = true;
            space_publish_locked(s, view, &gone);
        } else {
            s->regions = r->next;
            r->next = NULL;
            res = vr_err(err, -ENOMEM, "mapping '%s': no memory", r->name);
        }
    }
    vr_mutex_unlock(&s->lock);
    space_release(gone);
    if (res == 0) {
        space_tell_change(s);
    }
    return res;
}

int vr_space_move(struct vr_space *s, struct vr_region *r, uint64_t gpa, struct vr_error *err)
{
    struct vr_region *gone = NULL;
    vr_mutex_lock(&s->lock);
    vr_assert(r->mapped);
    int res = space_check_locked(s, r, gpa, err);
    if (res == 0) {
        uint64_t old = r->gpa;
        r->gpa = gpa;
        struct vr_view *view = space_build_locked(s);
        if (view) {
            space_publish_locked(s, view, &gone);
        } else {
            r->gpa = old;
            res = vr_err(err, -ENOMEM, "moving '%s': no memory", r->name);
        }
    }
    vr_mutex_unlock(&s->lock);
    space_release(gone);
    if (res == 0) {
        space_tell_change(s);
    }
    return res;
}

void vr_space_remove(struct vr_space *s, struct vr_region *r)
{
    struct vr_region *gone = NULL;
    vr_mutex_lock(&s->lock);
    vr_assert(r->mapped);
    struct vr_region **link = &s->regions;
    while (*link != r) {
        vr_assert(*link != NULL);
        link = &(*link)->next;
    }
    *link = r->next;
    r->next = NULL;
    r->mapped = false;
    struct vr_view *view = space_build_locked(s);
    vr_assert(view != NULL); /* removal cannot fail: its caller is about to free the region */
    bool shown = r->refs != 0;
    space_publish_locked(s, view, &gone);
    if (!shown) { /* wholly covered by others: no view will ever let go of it */
        r->next = gone;
        gone = r;
    }
    vr_mutex_unlock(&s->lock);
    space_release(gone);
    space_tell_change(s);
}

uint64_t vr_space_gen(const struct vr_space *s)
{
    return atomic_load_explicit(&s->gen, memory_order_acquire);
}

static void space_listen(struct vr_mutex *lock, struct vr_listener *list, unsigned *count,
                         struct vr_listener one)
{
    vr_mutex_lock(lock);
    vr_assert(*count < VR_SPACE_LISTENERS);
    list[(*count)++] = one;
    vr_mutex_unlock(lock);
}

static void space_unlisten(struct vr_mutex *lock, struct vr_listener *list, unsigned *count,
                           const void *opaque)
{
    vr_mutex_lock(lock);
    unsigned n = 0;
    for (unsigned i = 0; i < *count; i++) {
        if (list[i].opaque != opaque) {
            list[n++] = list[i];
        }
    }
    *count = n;
    vr_mutex_unlock(lock);
}

void vr_space_on_change(struct vr_space *s, void (*fn)(void *), void *opaque)
{
    space_listen(&s->change_lock, s->on_change, &s->change_count,
                 (struct vr_listener){.fn = fn, .opaque = opaque});
}

void vr_space_on_code_written(struct vr_space *s, vr_code_written_fn fn, void *opaque)
{
    space_listen(&s->code_lock, s->on_code, &s->code_count,
                 (struct vr_listener){.code_fn = fn, .opaque = opaque});
}

void vr_space_forget(struct vr_space *s, void *opaque)
{
    space_unlisten(&s->change_lock, s->on_change, &s->change_count, opaque);
    space_unlisten(&s->code_lock, s->on_code, &s->code_count, opaque);
}

static void space_refresh(struct vr_space *s, struct vr_view_cache *cache)
{
    struct vr_region *gone = NULL;
    vr_mutex_lock(&s->lock);
    space_view_put_locked(cache->view, &gone);
    cache->view = s->view;
    cache->view->refs++;
    cache->gen = atomic_load_explicit(&s->gen, memory_order_relaxed);
    vr_mutex_unlock(&s->lock);
    space_release(gone);
}

const struct vr_view *vr_space_view(struct vr_space *s, struct vr_view_cache *cache)
{
    if (VR_UNLIKELY(!cache->view ||
                    cache->gen != atomic_load_explicit(&s->gen, memory_order_acquire))) {
        space_refresh(s, cache);
    }
    return cache->view;
}

void vr_view_cache_drop(struct vr_space *s, struct vr_view_cache *cache)
{
    struct vr_region *gone = NULL;
    if (!cache->view) {
        return;
    }
    vr_mutex_lock(&s->lock);
    space_view_put_locked(cache->view, &gone);
    *cache = (struct vr_view_cache){0};
    vr_mutex_unlock(&s->lock);
    space_release(gone);
}

const struct vr_flat *vr_view_find(const struct vr_view *view, uint64_t gpa)
{
    size_t lo = 0, hi = view->count;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        const struct vr_flat *f = &view->flat[mid];
        if (gpa < f->gpa) {
            hi = mid;
        } else if (gpa - f->gpa < f->len) {
            return f;
        } else {
            lo = mid + 1;
        }
    }
    return NULL;
}
