/*
 * Overlays: what a clone writes lies in a file of its own; the rest it reads from the disk that it
 * was forked from, as that was (frozen.h).
 *
 * The file is as long as the disk and sparse; a unit (64 KiB) is in it whole or not at all, and a
 * bit in shared memory says so. The first write to a unit brings the rest of it along. A unit of
 * zeroes is one with its bit set, and a hole. Nothing of this has a name or a format: the file goes
 * with the process, or with the last clone of this clone, which reads it on.
 */
#include "backend/block/block_impl.h"
#include "backend/block/frozen.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "platform/file.h"
#include "platform/lock.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <string.h>

enum {
    OVERLAY_SECTOR = 512,
    OVERLAY_THREADS = 4,
    OVERLAY_LOCKS = 32, /* of units that come into the file: unit % OVERLAY_LOCKS */
    OVERLAY_IOV = 64,
};

struct overlay_blk {
    struct vr_blk blk;
    struct vr_frozen *under; /* descriptors of our own */
    struct vr_frozen_view *view;
    int data, data_fd; /* the file, and for reading only; -1: a disk that is only read */
    int map_fd;        /* of the map, for reading only */
    struct vireo_shmem map;
    _Atomic uint32_t *has;
    struct vr_mutex lock[OVERLAY_LOCKS];
    struct vr_past *past; /* NULL: was never frozen */
    struct vr_pool *pool;
};

static bool overlay_has(const struct overlay_blk *o, uint64_t unit)
{
    return o->has && vr_frozen_bit(o->has, unit);
}

static void overlay_set(struct overlay_blk *o, uint64_t unit)
{
    atomic_fetch_or(&o->has[unit / 32], UINT32_C(1) << unit % 32);
}

/* A part of a request: inside one unit, or a run of units that lie in the same place. */
struct overlay_part {
    uint64_t off, len;
    const struct iovec *iov;
    unsigned count;
};

static uint64_t overlay_unit_len(const struct overlay_blk *o, uint64_t unit)
{
    uint64_t left = o->blk.size_bytes - unit * VR_PAST_UNIT;
    return left < VR_PAST_UNIT ? left : VR_PAST_UNIT;
}

/* Cut @req at @done: to the end of its unit, or, reading, as far as units lie on the same side. */
static uint64_t overlay_cut(const struct overlay_blk *o, const struct vr_blk_req *req,
                            uint64_t done)
{
    uint64_t off = req->off_bytes + done, end = req->off_bytes + req->len_bytes;
    uint64_t unit = off / VR_PAST_UNIT;
    bool has = overlay_has(o, unit);
    do {
        unit++;
    } while (req->op == VR_BLK_READ && unit * VR_PAST_UNIT < end && overlay_has(o, unit) == has);
    uint64_t to = unit * VR_PAST_UNIT;
    return (to < end ? to : end) - off;
}

static int overlay_read(struct overlay_blk *o, const struct overlay_part *p)
{
    return overlay_has(o, p->off / VR_PAST_UNIT)
               ? vr_file_readv(o->data, p->iov, p->count, p->off)
               : vr_frozen_read(o->view, p->iov, p->count, p->off, p->len);
}

/* What the unit is, for those who read us as we were. */
static int overlay_was(void *opaque, uint64_t off, uint8_t *buf, uint32_t len)
{
    struct overlay_blk *o = opaque;
    if (!overlay_has(o, off / VR_PAST_UNIT)) {
        return VR_PAST_NOTHING;
    }
    int r = vr_file_read(o->data, buf, len, off);
    return r < 0 ? r : VR_PAST_KEPT;
}

/* The unit is not in the file yet: put it there, with the part that is written; its lock held. */
static int overlay_bring(struct overlay_blk *o, uint64_t unit, const struct overlay_part *p)
{
    uint64_t len = overlay_unit_len(o, unit), off = unit * VR_PAST_UNIT;
    int r;
    if (p->len == len) {
        r = vr_file_writev(o->data, p->iov, p->count, p->off);
    } else {
        uint8_t *buf = vr_zalloc(len);
        struct iovec iov = {.iov_base = buf, .iov_len = (size_t)len};
        r = buf ? vr_frozen_read(o->view, &iov, 1, off, len) : -ENOMEM;
        if (r == 0) {
            (void)vr_iov_get(p->iov, p->count, 0, buf + (p->off - off), (size_t)p->len);
            r = vr_file_write(o->data, buf, (size_t)len, off);
        }
        free(buf);
    }
    if (r == 0) {
        overlay_set(o, unit);
    }
    return r;
}

static int overlay_write(struct overlay_blk *o, const struct overlay_part *p)
{
    uint64_t unit = p->off / VR_PAST_UNIT;
    if (!overlay_has(o, unit)) {
        struct vr_mutex *lock = &o->lock[unit % OVERLAY_LOCKS];
        vr_mutex_lock(lock);
        if (!overlay_has(o, unit)) {
            int r = overlay_bring(o, unit, p);
            vr_mutex_unlock(lock);
            return r;
        }
        vr_mutex_unlock(lock);
    }
    return vr_file_writev(o->data, p->iov, p->count, p->off);
}

/* Zeroes: whole units become holes, where the file system has any. */
static int overlay_zero(struct overlay_blk *o, const struct overlay_part *p)
{
    static const uint8_t zeroes[VR_PAST_UNIT];
    uint64_t unit = p->off / VR_PAST_UNIT;
    if (p->len != overlay_unit_len(o, unit)) {
        /* An iovec takes no const; nothing is written there. */
        struct iovec iov = {.iov_base = (void *)(uintptr_t)zeroes, .iov_len = (size_t)p->len};
        struct overlay_part part = {.off = p->off, .len = p->len, .iov = &iov, .count = 1};
        return overlay_write(o, &part);
    }
    struct vr_mutex *lock = &o->lock[unit % OVERLAY_LOCKS];
    vr_mutex_lock(lock);
    int r = vr_file_write_zeroes(o->data, VR_FILE_REGULAR, p->off, p->len, true);
    if (r == 0) {
        overlay_set(o, unit);
    }
    vr_mutex_unlock(lock);
    return r;
}

static int overlay_part(struct overlay_blk *o, const struct vr_blk_req *req,
                        const struct overlay_part *p)
{
    switch (req->op) {
    case VR_BLK_READ:
        return overlay_read(o, p);
    case VR_BLK_WRITE:
        return overlay_write(o, p);
    case VR_BLK_DISCARD:
        /* What lies below cannot be given back, and would show again. */
        return p->len == overlay_unit_len(o, p->off / VR_PAST_UNIT) ? overlay_zero(o, p) : 0;
    case VR_BLK_WRITE_ZEROES:
        return overlay_zero(o, p);
    case VR_BLK_FLUSH:
        break;
    }
    return 0;
}

/* On a worker thread. */
static int overlay_run(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct overlay_blk *o = (struct overlay_blk *)blk;
    struct iovec few[OVERLAY_IOV], *iov = few;
    int r = 0;
    if (req->op == VR_BLK_FLUSH || req->len_bytes == 0) {
        return 0; /* nothing of an overlay outlives its process */
    }
    if (o->past && req->op != VR_BLK_READ) {
        vr_past_keep(o->past, req->off_bytes, req->len_bytes, overlay_was, o);
    }
    if (req->iov_count > OVERLAY_IOV && !(iov = vr_zalloc_array(req->iov_count, sizeof(*iov)))) {
        return -ENOMEM;
    }
    for (uint64_t done = 0; r == 0 && done < req->len_bytes;) {
        struct overlay_part p = {
            .off = req->off_bytes + done, .len = overlay_cut(o, req, done), .iov = iov};
        if (req->op == VR_BLK_READ || req->op == VR_BLK_WRITE) {
            p.count = vr_iov_slice(req->iov, req->iov_count, done, p.len, iov, NULL);
        }
        r = overlay_part(o, req, &p);
        done += p.len;
    }
    if (iov != few) {
        free(iov);
    }
    return r;
}

static void overlay_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    vr_pool_submit(((struct overlay_blk *)blk)->pool, &req->job);
}

static void overlay_close(struct vr_blk *blk)
{
    struct overlay_blk *o = (struct overlay_blk *)blk;
    vr_pool_destroy(o->pool);
    vr_past_put(o->past);
    vr_frozen_close(o->view);
    vr_frozen_destroy(o->under);
    vireo_shmem_destroy(&o->map);
    vr_file_close(o->map_fd);
    vr_file_close(o->data_fd);
    vr_file_close(o->data);
    for (unsigned i = 0; i < OVERLAY_LOCKS; i++) {
        vr_mutex_fini(&o->lock[i]);
    }
    if (blk->flight) {
        vr_blk_fini(blk);
    }
    free(o);
}

static int overlay_freeze(struct vr_blk *blk, struct vr_frozen *f, struct vr_error *err)
{
    struct overlay_blk *o = (struct overlay_blk *)blk;
    int r = vr_frozen_put_all(f, o->under, err);
    if (r < 0 || o->data < 0) {
        return r;
    }
    if (!o->past) {
        r = vr_past_create(blk->size_bytes, f->dir, &o->past, err);
    }
    return r < 0 ? r : vr_frozen_put(f, o->data_fd, true, o->map_fd, o->past, err);
}

static const struct vr_blk_ops overlay_ops = {
    .name = "overlay",
    .submit = overlay_submit,
    .run = overlay_run,
    .close = overlay_close,
    .freeze = overlay_freeze,
};

/* The file and the map of a disk that is written. */
static int overlay_make_files(struct overlay_blk *o, uint64_t size_bytes, const char *dir,
                              struct vr_error *err)
{
    int r = vr_past_file(dir, "what is written", &o->data, &o->data_fd, err);
    if (r == 0 && (r = vr_file_set_len(o->data, size_bytes)) < 0) {
        r = vr_err(err, r, "a file for what is written: %s", strerror(-r));
    }
    r = r < 0 ? r
              : vr_past_memory("vireo-overlay", vr_frozen_map_len(size_bytes), &o->map, &o->map_fd,
                               err);
    o->has = (_Atomic uint32_t *)o->map.hva;
    return r;
}

int vr_blk_open_overlay(const char *path, const struct vr_frozen *under, const char *dir,
                        bool read_only, struct vr_loop *loop, struct vr_blk **ret_blk,
                        struct vr_error *err)
{
    struct overlay_blk *o = vr_zalloc(sizeof(*o));
    if (!o) {
        return vr_err(err, -ENOMEM, "disk %s: no memory", path);
    }
    o->data = o->data_fd = o->map_fd = -1;
    for (unsigned i = 0; i < OVERLAY_LOCKS; i++) {
        vr_mutex_init(&o->lock[i]);
    }
    int r = vr_frozen_create(path, under->size_bytes, under->optimal_bytes, &o->under, err);
    r = r < 0 ? r : vr_frozen_put_all(o->under, under, err);
    r = r < 0 ? r : vr_frozen_open(o->under, &o->view, err);
    if (r == 0 && !read_only) {
        r = overlay_make_files(o, under->size_bytes, dir, err);
    }
    r = r < 0 ? r : vr_blk_init(&o->blk, &overlay_ops, path, loop, err);
    if (r == 0) {
        o->blk.size_bytes = under->size_bytes;
        o->blk.sector_bytes = OVERLAY_SECTOR;
        o->blk.optimal_bytes = under->optimal_bytes;
        o->blk.read_only = read_only;
        o->blk.discard = !read_only;
        r = vr_blk_pool_create(&o->blk, OVERLAY_THREADS, &o->pool, err);
    }
    if (r < 0) {
        overlay_close(&o->blk);
        return vr_err_in(err, r, "disk %s", path);
    }
    *ret_blk = &o->blk;
    return 0;
}
