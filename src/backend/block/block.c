/* What all image formats share: requests are checked, and are jobs in flight. */
#include "backend/block/block_impl.h"
#include "backend/block/frozen.h"
#include "base/bits.h"
#include "core/iov.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { TRY_MAX = 64 << 10 }; /* bytes; copying more takes longer than to wake a thread for it */

static struct vr_blk_req *block_req(struct vr_job *job)
{
    return (struct vr_blk_req *)((char *)job - offsetof(struct vr_blk_req, job));
}

static void block_done(struct vr_job *job, int result)
{
    block_req(job)->done(block_req(job), result);
}

int vr_blk_init(struct vr_blk *blk, const struct vr_blk_ops *ops, const char *path,
                struct vr_loop *loop, struct vr_error *err)
{
    struct vr_flight *flight;
    char *copy = strdup(path);
    if (!copy || vr_flight_create(loop, &flight, NULL) < 0) {
        free(copy);
        return vr_err(err, -ENOMEM, "disk %s: no memory", path);
    }
    blk->ops = ops;
    blk->path = copy;
    blk->flight = flight;
    blk->src = (struct vr_det_src){.name = "disk", .opaque = blk};
    vr_det_add(loop, &blk->src);
    return 0;
}

void vr_blk_fini(struct vr_blk *blk)
{
    vr_det_remove(&blk->src);
    vr_blk_limits_destroy(atomic_load(&blk->throttle));
    atomic_store(&blk->throttle, NULL);
    vr_flight_destroy(blk->flight);
    free(blk->path);
    blk->flight = NULL;
    blk->path = NULL;
}

static void block_count(struct vr_blk *blk, const struct vr_blk_req *req, int result)
{
    uint64_t ns = vireo_monotonic_ns() - req->begin_ns;
    bool bytes = result >= 0 && req->op != VR_BLK_FLUSH;
    atomic_fetch_add_explicit(&blk->done[req->op].count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&blk->done[req->op].failed, result < 0, memory_order_relaxed);
    atomic_fetch_add_explicit(&blk->done[req->op].bytes, bytes ? req->len_bytes : 0,
                              memory_order_relaxed);
    atomic_fetch_add_explicit(&blk->done[req->op].ns, ns, memory_order_relaxed);
    if (result >= 0 && (req->op == VR_BLK_WRITE || req->op == VR_BLK_WRITE_ZEROES)) {
        uint64_t end = req->off_bytes + req->len_bytes;
        uint64_t old = atomic_load_explicit(&blk->written_end, memory_order_relaxed);
        while (old < end &&
               !atomic_compare_exchange_weak_explicit(&blk->written_end, &old, end,
                                                      memory_order_relaxed, memory_order_relaxed)) {
        }
    }
}

uint64_t vr_blk_written_end(const struct vr_blk *blk)
{
    return atomic_load_explicit(&blk->written_end, memory_order_relaxed);
}

void vr_blk_complete(struct vr_blk *blk, struct vr_blk_req *req, int result)
{
    block_count(blk, req, result);
    vr_flight_complete(blk->flight, &req->job, result); /* @blk and @req may be gone after */
}

void vr_blk_stats(const struct vr_blk *blk, struct vr_blk_count ret_counts[VR_BLK_OPS])
{
    for (unsigned op = 0; op < VR_BLK_OPS; op++) {
        ret_counts[op] = (struct vr_blk_count){
            .count = atomic_load_explicit(&blk->done[op].count, memory_order_relaxed),
            .failed = atomic_load_explicit(&blk->done[op].failed, memory_order_relaxed),
            .bytes = atomic_load_explicit(&blk->done[op].bytes, memory_order_relaxed),
            .ns = atomic_load_explicit(&blk->done[op].ns, memory_order_relaxed),
            .invalid = atomic_load_explicit(&blk->done[op].invalid, memory_order_relaxed),
        };
    }
}

static void block_run(void *opaque, struct vr_job *job)
{
    struct vr_blk *blk = opaque;
    struct vr_blk_req *req = block_req(job);
    int result = blk->ops->run(blk, req);
    block_count(blk, req, result);
    vr_flight_complete_here(blk->flight, job, result); /* @blk and @req may be gone after */
}

int vr_blk_pool_create(struct vr_blk *blk, unsigned max, struct vr_pool **ret_pool,
                       struct vr_error *err)
{
    return vr_pool_create("vireo-disk", max, block_run, blk, ret_pool, err);
}

/* 0, or why the request must not reach the image. */
static int block_check(const struct vr_blk *blk, const struct vr_blk_req *req)
{
    if (req->op == VR_BLK_FLUSH) {
        return 0;
    }
    if (!vr_in_range(req->off_bytes, req->len_bytes, blk->size_bytes) ||
        (req->off_bytes | req->len_bytes) % blk->sector_bytes != 0) {
        return -EINVAL;
    }
    if (req->op == VR_BLK_READ || req->op == VR_BLK_WRITE) {
        uint64_t sum = 0;
        for (unsigned i = 0; i < req->iov_count; i++) {
            if (!vr_add_ok(sum, req->iov[i].iov_len, &sum)) {
                return -EINVAL;
            }
        }
        if (sum != req->len_bytes) {
            return -EINVAL;
        }
    }
    if (req->op != VR_BLK_READ && blk->read_only) {
        return -EROFS;
    }
    return req->op == VR_BLK_DISCARD && !blk->discard ? -EOPNOTSUPP : 0;
}

int vr_blk_try(struct vr_blk *blk, struct vr_blk_req *req)
{
    if (blk->src.det || !blk->ops->try || req->len_bytes > TRY_MAX || block_check(blk, req) < 0 ||
        vr_blk_limits_on(atomic_load(&blk->throttle))) {
        return -EAGAIN;
    }
    req->begin_ns = vireo_monotonic_ns();
    int r = blk->ops->try(blk, req);
    if (r != -EAGAIN) {
        block_count(blk, req, r);
    }
    return r;
}

static void block_enter(struct vr_blk *blk, struct vr_blk_req *req,
                        void (*done)(struct vr_job *job, int result))
{
    vr_flight_begin(blk->flight);
    req->next = NULL;
    req->job.done = done;
    req->begin_ns = vireo_monotonic_ns();
}

void vr_blk_begin(struct vr_blk *blk, struct vr_blk_req *req)
{
    int r = block_check(blk, req);
    if (r < 0) {
        atomic_fetch_add_explicit(&blk->done[req->op].invalid, 1, memory_order_relaxed);
        vr_blk_complete(blk, req, r);
    } else {
        blk->ops->submit(blk, req);
    }
}

static void block_done_here(struct vr_job *job, int result)
{
    (void)job;
    (void)result;
}

/* And wait for what it comes to; done() of the request's is not called. */
static int block_do(struct vr_blk *blk, struct vr_blk_req *req)
{
    block_enter(blk, req, block_done_here);
    vr_blk_begin(blk, req);
    vr_blk_drain(blk);
    return req->job.result;
}

/* --- Deterministic mode --- */

/* A replay needs no disk: the tape has what was read. */
static int block_told(struct vr_blk *blk, struct vr_blk_req *req)
{
    size_t len;
    const uint8_t *rec = vr_det_told(&blk->src, VR_DET_DISK, &len);
    int result = rec && len >= 4 ? (int)vr_load_le32(rec) : -EIO;
    if (result == 0 && req->op == VR_BLK_READ) {
        if (len - 4 != req->len_bytes) {
            return -EIO; /* the machine differs already, and the next hash says so */
        }
        (void)vr_iov_put(req->iov, req->iov_count, 0, rec + 4, len - 4);
    }
    return result;
}

/* What was read, in one piece; NULL: no memory. The caller's. */
static uint8_t *block_read_bytes(const struct vr_blk_req *req)
{
    uint8_t *bytes = malloc(req->len_bytes + 1);
    if (bytes) {
        (void)vr_iov_get(req->iov, req->iov_count, 0, bytes, (size_t)req->len_bytes);
    }
    return bytes;
}

/* Behind the instruction that asked for it. */
static void block_det_run(struct vr_det_op *op)
{
    struct vr_blk_req *req =
        (struct vr_blk_req *)(void *)((char *)op - offsetof(struct vr_blk_req, det_op));
    struct vr_blk *blk = req->blk;
    int result;
    if (vr_det_replaying(blk->src.det)) {
        result = block_told(blk, req);
    } else {
        result = block_do(blk, req);
        bool read = req->op == VR_BLK_READ && result == 0;
        uint8_t head[4], *bytes = read ? block_read_bytes(req) : NULL;
        vr_store_le32(head, (uint32_t)result);
        vr_det_note(&blk->src, VR_DET_DISK, head, sizeof(head), bytes,
                    bytes ? (size_t)req->len_bytes : 0);
        free(bytes);
    }
    req->done(req, result);
}

void vr_blk_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    if (blk->src.det) {
        req->blk = blk;
        req->det_op.run = block_det_run;
        vr_det_soon(blk->src.det, &req->det_op);
    } else {
        block_enter(blk, req, block_done);
        if (!vr_blk_limits_hold(atomic_load(&blk->throttle), req)) {
            vr_blk_begin(blk, req);
        }
    }
}

void vr_blk_drain(struct vr_blk *blk)
{
    struct vr_blk_throttle *t = atomic_load(&blk->throttle);
    vr_blk_limits_drain(t, true);
    vr_flight_drain(blk->flight);
    vr_blk_limits_drain(t, false);
}

int vr_blk_check_limits(const struct vr_blk_limits *limits, struct vr_error *err)
{
    for (unsigned i = 0; i < 2; i++) {
        const uint64_t *rate = i ? limits->requests_s : limits->bytes_s;
        if (rate[VR_BLK_LIMIT_ALL] && (rate[VR_BLK_LIMIT_READ] || rate[VR_BLK_LIMIT_WRITE])) {
            return vr_err(err, -EINVAL,
                          "bps/iops/max total values and read/write values cannot be used at the "
                          "same time");
        }
    }
    return 0;
}

int vr_blk_set_limits(struct vr_blk *blk, struct vr_clock *clock,
                      const struct vr_blk_limits *limits, struct vr_error *err)
{
    struct vr_blk_throttle *t = atomic_load(&blk->throttle);
    int bad = vr_blk_check_limits(limits, err);
    if (bad < 0) {
        return bad;
    }
    if (blk->src.det) {
        return vr_err(err, -ENOTSUP,
                      "disk %s: the machine is deterministic: its disks take the time that they "
                      "take",
                      blk->path);
    }
    if (!t) {
        int r = vr_blk_limits_create(blk, clock, &t, err);
        if (r < 0) {
            return r;
        }
        atomic_store(&blk->throttle, t);
    }
    vr_blk_limits_set(t, limits);
    return 0;
}

void vr_blk_get_limits(const struct vr_blk *blk, struct vr_blk_limits *ret_limits)
{
    vr_blk_limits_get(atomic_load(&blk->throttle), ret_limits);
}

void vr_blk_close(struct vr_blk *blk)
{
    if (blk) {
        vr_blk_drain(blk);
        blk->ops->close(blk);
    }
}

int vr_blk_open_raw(const char *path, bool read_only, struct vr_loop *loop, struct vr_blk **ret_blk,
                    struct vr_error *err)
{
    return vr_blk_open(&(struct vr_blk_opts){.path = path, .read_only = read_only}, loop, ret_blk,
                       err);
}

int vr_blk_freeze(struct vr_blk *blk, const char *dir, struct vr_frozen **ret_frozen,
                  struct vr_error *err)
{
    struct vr_frozen *f;
    if (!blk->ops->freeze) {
        return vr_err(err, -ENOTSUP, "disk %s: of format %s, which cannot be forked", blk->path,
                      blk->ops->name);
    }
    int r = vr_frozen_create(blk->path, blk->size_bytes, blk->optimal_bytes, &f, err);
    if (r < 0) {
        return r;
    }
    f->dir = dir;
    r = blk->ops->freeze(blk, f, err);
    f->dir = NULL;
    if (r < 0) {
        vr_frozen_destroy(f);
        return vr_err_in(err, r, "disk %s", blk->path);
    }
    *ret_frozen = f;
    return 0;
}

int vr_blk_can_hand_over(const struct vr_blk *blk, struct vr_error *err)
{
    return blk->ops->hold ? 0
                          : vr_err(err, -ENOTSUP,
                                   "disk %s: of format %s, which cannot be handed to another Vireo",
                                   blk->path, blk->ops->name);
}

int vr_blk_hold(struct vr_blk *blk, bool hold, struct vr_error *err)
{
    int r = vr_blk_can_hand_over(blk, err);
    return r < 0 ? r : blk->ops->hold(blk, hold, err);
}

int vr_blk_do(struct vr_blk *blk, enum vr_blk_op op, uint64_t off_bytes, void *buf,
              uint64_t len_bytes)
{
    struct iovec iov = {.iov_base = buf, .iov_len = (size_t)len_bytes};
    bool data = op == VR_BLK_READ || op == VR_BLK_WRITE;
    struct vr_blk_req req = {.op = op,
                             .may_unmap = true,
                             .off_bytes = off_bytes,
                             .len_bytes = len_bytes,
                             .iov = data ? &iov : NULL,
                             .iov_count = data};
    return block_do(blk, &req); /* the host's access is nothing that a deterministic guest did */
}

int vr_blk_file(struct vr_blk *blk)
{
    return blk->ops->file ? blk->ops->file(blk) : -1;
}
