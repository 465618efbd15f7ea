/* Before images: the owner's and the readers' side of one index. */
#include "backend/block/past.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/file.h"
#include "platform/lock.h"
#include "vireo/host_barrier.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/*
 * The index, in the host's byte order: it never leaves the host. Behind a page with the head comes
 * a word a unit, its newest entry plus 1 (0: none); then the entries.
 */
#define PAST_MAGIC UINT64_C(0x3154534150525656)

enum {
    PAST_HEAD = 4096,
    PAST_LOST = INT32_MAX, /* in place of an entry's number: what the unit was is not known */
    PAST_MORE = 1024,      /* entries besides PAST_EACH a unit */
    PAST_EACH = 32,
};

struct past_head {
    uint64_t magic, size_bytes;
};

struct past_entry {
    _Atomic uint32_t moment, older, what, slot; /* slot: in units of the file */
};

struct past_layout {
    uint64_t units, entries, entries_at, len;
};

static bool past_layout(uint64_t size_bytes, struct past_layout *l)
{
    uint64_t units;
    if (!vr_align_up_ok(size_bytes, VR_PAST_UNIT, &units) || size_bytes == 0) {
        return false;
    }
    l->units = units / VR_PAST_UNIT;
    l->entries = l->units * PAST_EACH + PAST_MORE;
    l->entries = l->entries < PAST_LOST - 1 ? l->entries : PAST_LOST - 1;
    l->entries_at = PAST_HEAD + vr_align_up(l->units * sizeof(uint32_t), PAST_HEAD);
    l->len = vr_align_up(l->entries_at + l->entries * sizeof(struct past_entry), PAST_HEAD);
    return l->units < UINT32_MAX;
}

/* ---- The owner ---- */

struct vr_past {
    struct vireo_shmem index;
    struct past_layout at;
    uint64_t size_bytes;
    _Atomic uint32_t *newest_of;
    struct past_entry *entry;
    int index_fd, kept_fd, file;
    _Atomic unsigned refs;
    _Atomic uint32_t newest; /* moment that somebody may read; 0: nobody reads */
    struct vr_mutex lock;    /* guards what follows, and writing the index */
    uint32_t moment;         /* the last one */
    uint32_t *live;          /* moments that somebody may read */
    unsigned live_count, live_cap;
    uint32_t entries, slots; /* taken */
    uint64_t kept, lost;
    uint8_t *buf; /* a unit */
};

struct vr_past *vr_past_get(struct vr_past *p)
{
    atomic_fetch_add(&p->refs, 1);
    return p;
}

void vr_past_put(struct vr_past *p)
{
    if (!p || atomic_fetch_sub(&p->refs, 1) > 1) {
        return;
    }
    vr_file_close(p->kept_fd);
    vr_file_close(p->index_fd);
    vr_file_close(p->file);
    vireo_shmem_destroy(&p->index);
    vr_mutex_fini(&p->lock);
    free(p->live);
    free(p->buf);
    free(p);
}

int vr_past_file(const char *dir, const char *what, int *ret_file, int *ret_read_only,
                 struct vr_error *err)
{
    int r = vr_file_temp(dir, ret_file);
    r = r < 0 ? r : vr_file_reopen(*ret_file, ret_read_only);
    return r < 0 ? vr_err(err, r, "a file for %s, in %s: %s", what, dir ? dir : "$TMPDIR",
                          strerror(-r))
                 : 0;
}

int vr_past_memory(const char *name, uint64_t len, struct vireo_shmem *ret_mem, int *ret_read_only,
                   struct vr_error *err)
{
    int r = vireo_shmem_create(name, len, NULL, ret_mem, err);
    if (r < 0) {
        return r;
    }
    r = ret_mem->fd < 0 ? -ENOTSUP : vr_file_reopen(ret_mem->fd, ret_read_only);
    return r < 0 ? vr_err(err, r, "memory that processes share: %s", strerror(-r))
                 : vireo_memfd_seal(ret_mem->fd, VIREO_SEAL_SIZE, err);
}

int vr_past_map(int fd, uint64_t len, struct vireo_map *ret_map, struct vr_error *err)
{
    const struct vireo_map_opts opts = {.prot = VIREO_PROT_READ,
                                        .flags = VIREO_MAP_SHARED,
                                        .file = true,
                                        .fd = fd,
                                        .node = VIREO_NODE_ANY};
    return vireo_map_create((size_t)len, &opts, ret_map, err);
}

int vr_past_create(uint64_t size_bytes, const char *dir, struct vr_past **ret_past,
                   struct vr_error *err)
{
    struct past_layout at;
    if (!past_layout(size_bytes, &at)) {
        return vr_err(err, -EFBIG, "the disk is too large");
    }
    struct vr_past *p = vr_zalloc(sizeof(*p));
    if (!p) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    atomic_init(&p->refs, 1);
    p->at = at;
    p->size_bytes = size_bytes;
    p->index_fd = p->kept_fd = p->file = -1;
    vr_mutex_init(&p->lock);
    p->buf = vr_zalloc(VR_PAST_UNIT);
    int r = p->buf ? vr_past_file(dir, "what a disk was", &p->file, &p->kept_fd, err)
                   : vr_err(err, -ENOMEM, "no memory");
    r = r < 0 ? r : vr_past_memory("vireo-past", at.len, &p->index, &p->index_fd, err);
    if (r < 0) {
        vr_past_put(p);
        return r;
    }
    uint8_t *hva = p->index.hva;
    *(struct past_head *)(void *)hva = (struct past_head){PAST_MAGIC, size_bytes};
    p->newest_of = (_Atomic uint32_t *)(void *)(hva + PAST_HEAD);
    p->entry = (struct past_entry *)(void *)(hva + at.entries_at);
    *ret_past = p;
    return 0;
}

void vr_past_fds(const struct vr_past *p, int *ret_index, int *ret_kept)
{
    *ret_index = p->index_fd;
    *ret_kept = p->kept_fd;
}

int vr_past_mark(struct vr_past *p, uint32_t *ret_moment, struct vr_error *err)
{
    int r = 0;
    vr_mutex_lock(&p->lock);
    if (p->live_count == p->live_cap) {
        unsigned cap = p->live_cap ? 2 * p->live_cap : 16;
        uint32_t *live = realloc(p->live, cap * sizeof(*live));
        p->live = live ? live : p->live;
        p->live_cap = live ? cap : p->live_cap;
        r = live ? 0 : vr_err(err, -ENOMEM, "no memory");
    }
    if (r == 0 && p->moment == UINT32_MAX) {
        r = vr_err(err, -EOVERFLOW, "the disk was forked too often");
    }
    if (r == 0) {
        p->live[p->live_count++] = *ret_moment = ++p->moment;
        atomic_store(&p->newest, p->moment);
    }
    vr_mutex_unlock(&p->lock);
    return r;
}

/* Nobody reads: forget everything. What cannot be given back is used again. */
static void past_clear_locked(struct vr_past *p)
{
    struct vr_error err;
    if (p->entries == 0 ||
        vireo_shmem_discard(&p->index, PAST_HEAD, p->at.len - PAST_HEAD, &err) < 0) {
        return;
    }
    p->entries = p->slots = 0;
    (void)!vr_file_set_len(p->file, 0);
}

void vr_past_drop(struct vr_past *p, uint32_t moment)
{
    uint32_t newest = 0;
    vr_mutex_lock(&p->lock);
    for (unsigned i = 0; i < p->live_count;) {
        if (p->live[i] == moment) {
            p->live[i] = p->live[--p->live_count];
        } else {
            newest = p->live[i] > newest ? p->live[i] : newest;
            i++;
        }
    }
    atomic_store(&p->newest, newest);
    if (newest == 0) {
        past_clear_locked(p);
    }
    vr_mutex_unlock(&p->lock);
}

bool vr_past_is_read(const struct vr_past *p)
{
    return atomic_load(&p->newest) != 0;
}

/* Need nothing be kept of @unit? */
static bool past_is_kept(const struct vr_past *p, uint64_t unit)
{
    uint32_t newest = atomic_load(&p->newest), at = atomic_load(&p->newest_of[unit]);
    return newest == 0 || at == PAST_LOST ||
           (at && atomic_load(&p->entry[at - 1].moment) >= newest);
}

/* Put the unit in p->buf into the file. */
static int past_write(struct vr_past *p, uint32_t len, uint32_t *ret_slot)
{
    int r = vr_file_write(p->file, p->buf, len, (uint64_t)p->slots * VR_PAST_UNIT);
    if (r == 0) {
        *ret_slot = p->slots++;
    }
    return r;
}

static void past_keep_locked(struct vr_past *p, uint64_t unit,
                             int (*was)(void *opaque, uint64_t off, uint8_t *buf, uint32_t len),
                             void *opaque)
{
    uint64_t off = unit * VR_PAST_UNIT, left = p->size_bytes - off;
    uint32_t len = left < VR_PAST_UNIT ? (uint32_t)left : VR_PAST_UNIT, slot = 0;
    int what = p->entries < p->at.entries ? was(opaque, off, p->buf, len) : -ENOSPC;
    if (what == VR_PAST_KEPT && vr_is_zero(p->buf, len)) {
        what = VR_PAST_ZERO;
    }
    if (what == VR_PAST_KEPT) {
        int r = past_write(p, len, &slot);
        what = r < 0 ? r : what;
    }
    if (what < 0) {
        p->lost++;
        atomic_store(&p->newest_of[unit], PAST_LOST);
        return;
    }
    p->kept++;
    struct past_entry *e = &p->entry[p->entries++];
    atomic_store_explicit(&e->moment, p->moment, memory_order_relaxed);
    atomic_store_explicit(&e->older, atomic_load(&p->newest_of[unit]), memory_order_relaxed);
    atomic_store_explicit(&e->what, (uint32_t)what, memory_order_relaxed);
    atomic_store_explicit(&e->slot, slot, memory_order_relaxed);
    atomic_store(&p->newest_of[unit], p->entries);
}

void vr_past_keep(struct vr_past *p, uint64_t off, uint64_t len,
                  int (*was)(void *opaque, uint64_t off, uint8_t *buf, uint32_t len), void *opaque)
{
    if (len == 0 || atomic_load(&p->newest) == 0) {
        return;
    }
    vr_assert(vr_in_range(off, len, p->size_bytes));
    for (uint64_t unit = off / VR_PAST_UNIT; unit <= (off + len - 1) / VR_PAST_UNIT; unit++) {
        if (past_is_kept(p, unit)) {
            continue;
        }
        vr_mutex_lock(&p->lock);
        if (!past_is_kept(p, unit)) {
            past_keep_locked(p, unit, was, opaque);
        }
        vr_mutex_unlock(&p->lock);
    }
    vireo_barrier_full(); /* the index says so before the image changes */
}

void vr_past_count(struct vr_past *p, uint64_t *ret_kept, uint64_t *ret_lost)
{
    vr_mutex_lock(&p->lock);
    *ret_kept = p->kept;
    *ret_lost = p->lost;
    vr_mutex_unlock(&p->lock);
}

/* ---- A reader ---- */

struct vr_past_view {
    struct vireo_map map;
    struct past_layout at;
    const _Atomic uint32_t *newest_of;
    const struct past_entry *entry;
    uint32_t moment;
};

int vr_past_open(int index, uint64_t size_bytes, uint32_t moment, struct vr_past_view **ret_view,
                 struct vr_error *err)
{
    struct past_layout at;
    uint64_t len;
    int r = vr_file_len(index, &len);
    if (r < 0 || !past_layout(size_bytes, &at) || len < at.len || at.len > SIZE_MAX) {
        return vr_err(err, -EINVAL, "what a disk was: this is no index of it");
    }
    struct vr_past_view *v = vr_zalloc(sizeof(*v));
    if (!v) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    r = vr_past_map(index, at.len, &v->map, err);
    if (r < 0) {
        free(v);
        return r;
    }
    const struct past_head *head = (const struct past_head *)(const void *)v->map.hva;
    if (head->magic != PAST_MAGIC || head->size_bytes != size_bytes) {
        vr_past_close(v);
        return vr_err(err, -EINVAL, "what a disk was: this is an index of something else");
    }
    v->at = at;
    v->moment = moment;
    v->newest_of = (const _Atomic uint32_t *)(const void *)(v->map.hva + PAST_HEAD);
    v->entry = (const struct past_entry *)(const void *)(v->map.hva + at.entries_at);
    *ret_view = v;
    return 0;
}

void vr_past_close(struct vr_past_view *v)
{
    if (v) {
        vireo_map_destroy(&v->map);
        free(v);
    }
}

int vr_past_look(const struct vr_past_view *v, uint64_t off, uint64_t *ret_off)
{
    uint64_t unit = off / VR_PAST_UNIT;
    if (unit >= v->at.units) {
        return -EIO;
    }
    uint32_t at = atomic_load(&v->newest_of[unit]), limit = at, what = VR_PAST_SAME, slot = 0;
    while (at) {
        /* An older entry has a lower number, so a damaged list ends, too. */
        if (at > v->at.entries || at > limit) {
            return -EIO; /* lost, or damaged */
        }
        const struct past_entry *e = &v->entry[at - 1];
        if (atomic_load_explicit(&e->moment, memory_order_relaxed) < v->moment) {
            break;
        }
        what = atomic_load_explicit(&e->what, memory_order_relaxed);
        slot = atomic_load_explicit(&e->slot, memory_order_relaxed);
        limit = at - 1;
        at = atomic_load_explicit(&e->older, memory_order_relaxed);
    }
    if (what > VR_PAST_NOTHING) {
        return -EIO;
    }
    *ret_off = (uint64_t)slot * VR_PAST_UNIT;
    return (int)what;
}
