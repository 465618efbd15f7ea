/*
 * The host end of a shared directory: a file server that speaks FUSE.
 *
 * A request is one FUSE message in iovecs, its reply is written into others. Requests are
 * asynchronous, like a disk's: submit returns at once; done(req, len) is called later, on the
 * loop's thread or a worker's (backend/work.h) with no locks held, exactly once. Iovecs and the
 * request belong to the caller until done. Requests may complete in any order. Threads: submit from
 * any thread; everything else while nothing is in flight, but for reset.
 */
#ifndef VR_BACKEND_FS_FS_H
#define VR_BACKEND_FS_FS_H

#include "backend/work.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct vr_fs;

struct vr_fs_req {
    const struct iovec *in, *out;
    unsigned in_count, out_count;
    /* @len bytes of @out were written; 0: there is no reply to this one, or no room for it. */
    void (*done)(struct vr_fs_req *req, uint32_t len);
    void *opaque;      /* the caller's */
    bool urgent;       /* waits for none that is not, whatever those do */
    struct vr_job job; /* the backend's */
    void *session;     /* the same */
};

struct vr_fs_ops {
    const char *name; /* "dir" */
    void (*submit)(struct vr_fs *fs, struct vr_fs_req *req);
    void (*reset)(struct vr_fs *fs);
    /* While it drains, nothing may wait without end. May be NULL. */
    void (*drain)(struct vr_fs *fs, bool begin);
    int (*save)(struct vr_fs *fs, uint8_t **ret_buf, uint32_t *ret_len, struct vr_error *err);
    int (*load)(struct vr_fs *fs, const uint8_t *buf, uint32_t len, struct vr_error *err);
    void (*close)(struct vr_fs *fs); /* nothing is in flight */
};

/* Embedded first in each backend's struct; read-only for users. */
struct vr_fs {
    const struct vr_fs_ops *ops;
    struct vr_flight *flight; /* fs.c's: what is in flight */
};

enum vr_fs_cache {
    VR_FS_CACHE_AUTO,   /* the guest looks again after a second: the host may change files */
    VR_FS_CACHE_ALWAYS, /* nobody else changes files: the guest keeps what it knows */
    VR_FS_CACHE_NEVER,  /* the guest always looks */
};

struct vr_fs_dir_opts {
    const char *path;
    bool read_only;
    enum vr_fs_cache cache;
    bool host_locks;   /* the guest's locks are the host's, seen by its programs and other guests */
    uint32_t uid, gid; /* who owns, in the guest, what belongs to the user who runs us */
    uint32_t fds_max;  /* descriptors of the host; 0: a share of what this process may have */
    uint32_t nodes_max; /* files that the guest may know of at a time; 0: 512 Ki */
    struct vr_log *log; /* NULL: silent */
};

/* Share a directory of the host: see docs/shares.md for what the guest sees. -ENOENT, -ENOTDIR,
 * -EACCES, -EPERM, -ENOTSUP, -ENOMEM, -EMFILE. @loop must outlive it. */
int vr_fs_open_dir(const struct vr_fs_dir_opts *opts, struct vr_loop *loop, struct vr_fs **ret_fs,
                   struct vr_error *err) VR_MUST;
void vr_fs_close(struct vr_fs *fs); /* waits for requests in flight; NULL is fine */
void vr_fs_submit(struct vr_fs *fs, struct vr_fs_req *req);
/* The guest's session is over: what it opened is closed, as soon as what is in flight is done.
 * Requests that wait for a lock end. May be called with a device lock held. */
void vr_fs_reset(struct vr_fs *fs);
/* Wait until nothing is in flight; done has been called for all. A request that waits for a lock
 * ends with EINTR. No device lock held. On the loop's thread, or where the loop has none, done is
 * called from here. */
void vr_fs_drain(struct vr_fs *fs);
/* The session as bytes, and back; drained. What was opened is found again by its path: a file that
 * is not there any more answers ESTALE, which is logged. @ret_buf: free() it. -ENOMEM, -E2BIG;
 * load: -EINVAL when no session looks like that. */
enum { VR_FS_SAVED_MAX = 128 << 20 };
int vr_fs_save(struct vr_fs *fs, uint8_t **ret_buf, uint32_t *ret_len,
               struct vr_error *err) VR_MUST;
int vr_fs_load(struct vr_fs *fs, const uint8_t *buf, uint32_t len, struct vr_error *err) VR_MUST;

/* For backends. */
int vr_fs_init(struct vr_fs *fs, const struct vr_fs_ops *ops, struct vr_loop *loop,
               struct vr_error *err) VR_MUST;
void vr_fs_fini(struct vr_fs *fs);
void vr_fs_complete(struct vr_fs *fs, struct vr_fs_req *req, uint32_t len);
/* From a worker that holds no lock: see vr_flight_complete_here. */
void vr_fs_complete_here(struct vr_fs *fs, struct vr_fs_req *req, uint32_t len);
/* The request that a job is of. */
struct vr_fs_req *vr_fs_req_of(struct vr_job *job);

#endif
