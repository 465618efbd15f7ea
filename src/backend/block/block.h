/*
 * The host end of a disk.
 *
 * Requests are asynchronous: submit returns at once; done(req, result) is called later, on the
 * loop's thread or a worker's (backend/work.h) with no locks held, exactly once. Result 0 or
 * negative errno. Buffers and the request belong to the caller until done. Requests may complete in
 * any order; a flush covers what completed before it was submitted. What takes no waiting can be
 * had at once (vr_blk_try): for small requests that is much less work than waking a thread.
 * Threads: submit and try from any thread; everything else while nothing is in flight.
 */
#ifndef VR_BACKEND_BLOCK_H
#define VR_BACKEND_BLOCK_H

#include "backend/work.h"
#include "core/det.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct vr_blk;
struct vr_blk_throttle; /* limits.c */
struct vr_clock;
struct vr_frozen;

enum vr_blk_op {
    VR_BLK_READ,
    VR_BLK_WRITE,
    VR_BLK_FLUSH,
    VR_BLK_DISCARD,      /* contents become undefined; host space is given back where possible */
    VR_BLK_WRITE_ZEROES, /* reads back as zeroes; may_unmap: host space may be given back */
};

struct vr_blk_req {
    enum vr_blk_op op;
    bool may_unmap;
    uint64_t off_bytes, len_bytes; /* READ/WRITE: len is the iovecs' sum */
    const struct iovec *iov;
    unsigned iov_count;
    void (*done)(struct vr_blk_req *req, int result);
    void *opaque;            /* the caller's */
    struct vr_blk_req *next; /* the backend's while in flight */
    struct vr_job job;       /* the same */
    struct vr_det_op det_op; /* the same, in deterministic mode: of @blk */
    struct vr_blk *blk;
    uint64_t begin_ns; /* the same */
};

enum { VR_BLK_OPS = VR_BLK_WRITE_ZEROES + 1 };

/* Requests that were completed, of one kind. */
struct vr_blk_count {
    uint64_t count, failed, bytes, ns; /* bytes of good ones; ns from submission on, summed */
    uint64_t invalid;                  /* of the failed ones: they were no requests to this disk */
};

/* What a disk may do in a second; 0: as it likes. */
enum { VR_BLK_LIMIT_ALL, VR_BLK_LIMIT_READ, VR_BLK_LIMIT_WRITE, VR_BLK_LIMITED };
struct vr_blk_limits {
    uint64_t bytes_s[VR_BLK_LIMITED], requests_s[VR_BLK_LIMITED];
};

struct vr_blk_ops {
    const char *name; /* "raw" */
    void (*submit)(struct vr_blk *blk, struct vr_blk_req *req);
    /* Do it now if nothing has to be waited for: 0 or an error; -EAGAIN: submit it. May be NULL. */
    int (*try)(struct vr_blk *blk, struct vr_blk_req *req);
    int (*run)(struct vr_blk *blk, struct vr_blk_req *req); /* for vr_blk_pool_create, or NULL */
    void (*close)(struct vr_blk *blk);                      /* nothing is in flight */
    /* What vr_blk_freeze does; NULL: cannot. */
    int (*freeze)(struct vr_blk *blk, struct vr_frozen *frozen, struct vr_error *err);
    int (*file)(struct vr_blk *blk); /* vr_blk_file, or NULL */
    /* What vr_blk_hold does; NULL: cannot be let go. */
    int (*hold)(struct vr_blk *blk, bool hold, struct vr_error *err);
};

/* Embedded first in each backend's struct; read-only for users. */
struct vr_blk {
    const struct vr_blk_ops *ops;
    char *path;              /* as the user gave it */
    uint64_t size_bytes;     /* multiple of sector_bytes */
    uint32_t sector_bytes;   /* 512 */
    uint32_t optimal_bytes;  /* preferred alignment and size of requests; 0 unknown */
    bool read_only, discard; /* discard: VR_BLK_DISCARD does something */
    struct {
        _Atomic uint64_t count, failed, bytes, ns, invalid;
    } done[VR_BLK_OPS];                       /* struct vr_blk_count as it is counted */
    _Atomic uint64_t written_end;             /* behind the last byte that was written */
    struct vr_flight *flight;                 /* block.c's: what is in flight */
    struct vr_blk_throttle *_Atomic throttle; /* NULL: never limited */
    struct vr_det_src src;                    /* deterministic mode: where it is done in turn */
};

struct vr_blk_opts {
    const char *path;
    const char *format; /* "raw": whatever it holds; NULL: refuse what looks like another format */
    bool read_only;
    bool unheld; /* another Vireo may still have it locked: vr_blk_hold comes before any request */
};

/* Open the image @opts->path. Takes a lock (shared when read-only) that lives as long as the image
 * is open, so that two Vireos never write one image. Only raw images work: content that begins like
 * qcow2, VMDK, ... is -ENOTSUP unless format says raw. -EBUSY (locked, or mounted by the host),
 * -EISDIR, -EACCES, -EROFS, -ENOENT, -EINVAL (size not a multiple of 512, or 0; not a file). @loop
 * must outlive the image. */
int vr_blk_open(const struct vr_blk_opts *opts, struct vr_loop *loop, struct vr_blk **ret_blk,
                struct vr_error *err) VR_MUST;
/* The same with no format given. */
int vr_blk_open_raw(const char *path, bool read_only, struct vr_loop *loop, struct vr_blk **ret_blk,
                    struct vr_error *err) VR_MUST;
/* A disk whose contents are those of @under (frozen.h, kept open as long as the disk needs it),
 * with what is written to it in a nameless file in folder @dir (NULL: where the host keeps
 * temporary files) that goes with the disk. @path is what messages call it. Nothing lasts, so a
 * flush does nothing. */
int vr_blk_open_overlay(const char *path, const struct vr_frozen *under, const char *dir,
                        bool read_only, struct vr_loop *loop, struct vr_blk **ret_blk,
                        struct vr_error *err) VR_MUST;
/* The disk as it is now, to be read while it is written on: see frozen.h. Nothing is in flight.
 * Files that keep what changes go to folder @dir, as above; they do so until vr_frozen_thaw says
 * that nobody reads it any more. -ENOTSUP: not with this format, or on
 * this host. */
int vr_blk_freeze(struct vr_blk *blk, const char *dir, struct vr_frozen **ret_frozen,
                  struct vr_error *err) VR_MUST;
/* Hand the image over to another Vireo: all that was written is on the medium, and the lock is let
 * go (!@hold), or taken (back) for the requests that follow. Nothing is in flight. -EBUSY: somebody
 * has it, or clones still read it; -ENOTSUP: not with this format; and host errors. */
int vr_blk_hold(struct vr_blk *blk, bool hold, struct vr_error *err) VR_MUST;
/* Can it be handed over? Says why not. */
int vr_blk_can_hand_over(const struct vr_blk *blk, struct vr_error *err) VR_MUST;
/* Waits for requests in flight, closes. NULL is fine. */
void vr_blk_close(struct vr_blk *blk);
/* Out of range, overflow or misaligned requests complete with -EINVAL, writes to a read-only image
 * with -EROFS, DISCARD where it does nothing with -EOPNOTSUPP; none of these reaches the file. */
void vr_blk_submit(struct vr_blk *blk, struct vr_blk_req *req);
/* Do @req now, if that takes no waiting for a medium: 0 or the error that done() would have heard,
 * done() is not called. -EAGAIN: it would have to wait, or is too large to hold up the caller;
 * submit it (a read's buffers may have been written to). May be called with a device lock held. */
int vr_blk_try(struct vr_blk *blk, struct vr_blk_req *req);
/* What was done so far, by enum vr_blk_op; each number by itself is right. Any thread. */
void vr_blk_stats(const struct vr_blk *blk, struct vr_blk_count ret_counts[VR_BLK_OPS]);
/* Where the last byte ends that was written since the image was opened, in bytes; 0: none was. Any
 * thread. */
uint64_t vr_blk_written_end(const struct vr_blk *blk);
/* -EINVAL: no limits of a disk: all together, and reads or writes by themselves, as QEMU has it. */
int vr_blk_check_limits(const struct vr_blk_limits *limits, struct vr_error *err) VR_MUST;
/* Limit the disk from now on, in time of @clock, which outlives it; requests that have to wait are
 * in flight meanwhile. Of flushes nothing waits; DISCARD and WRITE_ZEROES are writes of no bytes.
 * One caller at a time. -EINVAL as above; -ENOTSUP: in deterministic mode; -ENOMEM. */
int vr_blk_set_limits(struct vr_blk *blk, struct vr_clock *clock,
                      const struct vr_blk_limits *limits, struct vr_error *err) VR_MUST;
/* Any thread. */
void vr_blk_get_limits(const struct vr_blk *blk, struct vr_blk_limits *ret_limits);
/* Wait until nothing is in flight; done has been called for all. No device lock held. On the loop's
 * thread, or where the loop has none, done is called from here. */
void vr_blk_drain(struct vr_blk *blk);

/* Do one request and wait for it: a whole range of @buf (READ, WRITE), or none (others). Nothing
 * else is in flight, no device lock is held. What the request would complete with. */
int vr_blk_do(struct vr_blk *blk, enum vr_blk_op op, uint64_t off_bytes, void *buf,
              uint64_t len_bytes) VR_MUST;
/* A descriptor whose bytes are the disk's, as long as it is open; -1: there is none. */
int vr_blk_file(struct vr_blk *blk);

#endif
