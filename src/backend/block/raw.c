/* Raw images: the disk's bytes are the file's bytes, or a block device's. */
#include "backend/block/block_impl.h"
#include "backend/block/frozen.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <string.h>

enum {
    RAW_SECTOR = 512,
    RAW_THREADS = 4, /* requests of one disk that run at a time */
    RAW_PROBE = 512,
};

struct raw_blk {
    struct vr_blk blk;
    int fd;
    enum vr_file_kind kind;
    bool in_memory;
    atomic_bool no_now; /* vr_file_readv_now said -EOPNOTSUPP */
    struct vr_pool *pool;
    struct vr_past *past; /* NULL: was never frozen */
};

static int raw_was(void *opaque, uint64_t off, uint8_t *buf, uint32_t len)
{
    int r = vr_file_read(((struct raw_blk *)opaque)->fd, buf, len, off);
    return r < 0 ? r : VR_PAST_KEPT;
}

/* On a worker thread. */
static int raw_run(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct raw_blk *raw = (struct raw_blk *)blk;
    if (req->len_bytes == 0 && req->op != VR_BLK_FLUSH) {
        return 0;
    }
    if (raw->past && req->op != VR_BLK_READ && req->op != VR_BLK_FLUSH) {
        vr_past_keep(raw->past, req->off_bytes, req->len_bytes, raw_was, raw);
    }
    switch (req->op) {
    case VR_BLK_READ:
        return vr_file_readv(raw->fd, req->iov, req->iov_count, req->off_bytes);
    case VR_BLK_WRITE:
        return vr_file_writev(raw->fd, req->iov, req->iov_count, req->off_bytes);
    case VR_BLK_FLUSH:
        return blk->read_only ? 0 : vr_file_sync(raw->fd);
    case VR_BLK_DISCARD:
        return vr_file_discard(raw->fd, raw->kind, req->off_bytes, req->len_bytes);
    case VR_BLK_WRITE_ZEROES:
        return vr_file_write_zeroes(raw->fd, raw->kind, req->off_bytes, req->len_bytes,
                                    req->may_unmap);
    }
    return -EINVAL;
}

/* Without waiting: all of it where there is no medium, else reads of what the host has cached. */
static int raw_try(struct vr_blk *blk, struct vr_blk_req *req)
{
    struct raw_blk *raw = (struct raw_blk *)blk;
    if (raw->in_memory && req->op <= VR_BLK_FLUSH && !raw->past) {
        return raw_run(blk, req);
    }
    if (req->op != VR_BLK_READ || atomic_load_explicit(&raw->no_now, memory_order_relaxed)) {
        return -EAGAIN;
    }
    int r = vr_file_readv_now(raw->fd, req->iov, req->iov_count, req->off_bytes);
    if (r == -EOPNOTSUPP) {
        atomic_store_explicit(&raw->no_now, true, memory_order_relaxed);
        return -EAGAIN;
    }
    return r;
}

static void raw_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    vr_pool_submit(((struct raw_blk *)blk)->pool, &req->job);
}

/* Readers share this opening, and with it the lock: while one lives, nobody else may write the
 * image, even when we are gone. */
static int raw_freeze(struct vr_blk *blk, struct vr_frozen *f, struct vr_error *err)
{
    struct raw_blk *raw = (struct raw_blk *)blk;
    int r = 0;
    if (!raw->past && !blk->read_only) {
        r = vr_past_create(blk->size_bytes, f->dir, &raw->past, err);
    }
    return r < 0 ? r : vr_frozen_put(f, raw->fd, false, -1, raw->past, err);
}

static int raw_lock(const struct raw_blk *raw, const char *path, bool read_only,
                    struct vr_error *err);

static int raw_hold(struct vr_blk *blk, bool hold, struct vr_error *err)
{
    struct raw_blk *raw = (struct raw_blk *)blk;
    if (hold) {
        return raw_lock(raw, blk->path, blk->read_only, err);
    }
    if (raw->past && vr_past_is_read(raw->past)) {
        return vr_err(err, -EBUSY, "disk %s: clones of this machine still read it", blk->path);
    }
    int r = blk->read_only ? 0 : vr_file_sync(raw->fd);
    r = r < 0 ? r : vr_file_unlock(raw->fd);
    return r < 0 ? vr_err(err, r, "disk %s: cannot let it go: %s", blk->path, strerror(-r)) : 0;
}

static void raw_close(struct vr_blk *blk)
{
    struct raw_blk *raw = (struct raw_blk *)blk;
    vr_pool_destroy(raw->pool);
    vr_past_put(raw->past);
    vr_file_close(raw->fd); /* and with it the lock */
    if (blk->flight) {
        vr_blk_fini(blk);
    }
    free(raw);
}

static int raw_file(struct vr_blk *blk)
{
    return ((struct raw_blk *)blk)->fd;
}

static const struct vr_blk_ops raw_ops = {
    .name = "raw",
    .submit = raw_submit,
    .try = raw_try,
    .run = raw_run,
    .close = raw_close,
    .freeze = raw_freeze,
    .file = raw_file,
    .hold = raw_hold,
};

/* Formats by the bytes they begin with. */
static const struct {
    uint16_t off, len;
    const char *magic, *what, *hint;
} raw_magics[] = {
#define RAW_CONVERT \
    "; only raw images work: convert it (qemu-img convert -O raw), or say format=raw"
#define RAW_UNPACK "; unpack it first, or say format=raw"
    {0, 4, "QFI\xfb", "a qcow2 image", RAW_CONVERT},
    {0, 4, "QED\0", "a QED image", RAW_CONVERT},
    {0, 4, "KDMV", "a VMDK image", RAW_CONVERT},
    {0, 4, "COWD", "a VMDK image", RAW_CONVERT},
    {0, 21, "# Disk DescriptorFile", "a VMDK descriptor", RAW_CONVERT},
    {64, 4, "\x7f\x10\xda\xbe", "a VDI image", RAW_CONVERT},
    {0, 8, "vhdxfile", "a VHDX image", RAW_CONVERT},
    {0, 8, "conectix", "a VHD image", RAW_CONVERT},
    {0, 6, "LUKS\xba\xbe", "LUKS-encrypted",
     "; Vireo does not decrypt: say format=raw to give it to the guest as it is"},
    {0, 3, "\x1f\x8b\x08", "gzip-compressed", RAW_UNPACK},
    {0, 6, "\xfd\x37zXZ\0", "xz-compressed", RAW_UNPACK},
    {0, 4, "\x28\xb5\x2f\xfd", "zstd-compressed", RAW_UNPACK},
};

/* -ENOTSUP when the image begins like something that is not raw. */
static int raw_probe(const struct raw_blk *raw, uint64_t size_bytes, const char *path,
                     struct vr_error *err)
{
    uint8_t head[RAW_PROBE] = {0};
    size_t len = size_bytes < sizeof(head) ? (size_t)size_bytes : sizeof(head);
    int r = vr_file_read(raw->fd, head, len, 0);
    if (r < 0) {
        return vr_err(err, r, "disk %s: reading its first bytes: %s", path, strerror(-r));
    }
    for (unsigned i = 0; i < VR_COUNT(raw_magics); i++) {
        if (memcmp(head + raw_magics[i].off, raw_magics[i].magic, raw_magics[i].len) == 0) {
            return vr_err(err, -ENOTSUP, "disk %s: looks like %s%s", path, raw_magics[i].what,
                          raw_magics[i].hint);
        }
    }
    return 0;
}

static int raw_open_error(int r, const char *path, bool read_only, struct vr_error *err)
{
    switch (r) {
    case -ENOENT:
        return vr_err(err, r, "disk %s: no such file; 'truncate -s 8G FILE' makes an empty disk",
                      path);
    case -EISDIR:
        return vr_err(err, r, "disk %s: is a directory; a disk is an image file or a block device",
                      path);
    case -EINVAL:
        return vr_err(err, r, "disk %s: neither a file nor a block device", path);
    case -EBUSY:
        return vr_err(err, r,
                      "disk %s: in use, mounted by this host or open elsewhere; free it, "
                      "or add ',ro' to read it only",
                      path);
    case -EACCES:
    case -EPERM:
    case -EROFS:
        if (!read_only) {
            return vr_err(err, r, "disk %s: may not be written: %s; add ',ro' to read it only",
                          path, strerror(-r));
        }
        return vr_err(err, r, "disk %s: may not be read: %s; look at its owner and mode", path,
                      strerror(-r));
    default:
        return vr_err(err, r, "disk %s: cannot open: %s", path, strerror(-r));
    }
}

static int raw_lock(const struct raw_blk *raw, const char *path, bool read_only,
                    struct vr_error *err)
{
    int r = vr_file_lock(raw->fd, read_only);
    if (r == -EBUSY) {
        return vr_err(err, r, "disk %s: in use by another Vireo; stop that one, %s", path,
                      read_only ? "or open it with ',ro' there too"
                                : "or open it with ',ro' here and there");
    }
    /* Reading needs no lock to be safe for the image. */
    if (r < 0 && !read_only) {
        return vr_err(err, r,
                      "disk %s: cannot be locked against a second writer: %s; add ',ro' or "
                      "move it to a local file system",
                      path, strerror(-r));
    }
    return 0;
}

/* Lock, then look at what was opened. */
static int raw_check(struct raw_blk *raw, const struct vr_blk_opts *opts,
                     const struct vr_file_info *info, struct vr_error *err)
{
    const char *path = opts->path;
    int r = opts->unheld ? 0 : raw_lock(raw, path, opts->read_only, err);
    if (r < 0) {
        return r;
    }
    if (info->size_bytes == 0) {
        return vr_err(err, -EINVAL, "disk %s: is empty; 'truncate -s 8G FILE' gives it a size",
                      path);
    }
    if (!opts->format) {
        r = raw_probe(raw, info->size_bytes, path, err);
        if (r < 0) {
            return r;
        }
    }
    if (info->size_bytes % RAW_SECTOR) {
        return vr_err(err, -EINVAL,
                      "disk %s: %" PRIu64 " bytes are not a multiple of %d: truncated? "
                      "'truncate -s %%%d FILE' rounds it up",
                      path, info->size_bytes, RAW_SECTOR, RAW_SECTOR);
    }
    return 0;
}

int vr_blk_open(const struct vr_blk_opts *opts, struct vr_loop *loop, struct vr_blk **ret_blk,
                struct vr_error *err)
{
    const char *path = opts->path;
    if (opts->format && strcmp(opts->format, "raw") != 0) {
        return vr_err(err, -ENOTSUP, "disk %s: format '%s' is not known; there is: raw", path,
                      opts->format);
    }
    struct raw_blk *raw = vr_zalloc(sizeof(*raw));
    if (!raw) {
        return vr_err(err, -ENOMEM, "disk %s: no memory", path);
    }
    struct vr_file_info info;
    int r = vr_file_open(path, opts->read_only, &raw->fd, &info);
    if (r < 0) {
        free(raw);
        return raw_open_error(r, path, opts->read_only, err);
    }
    raw->kind = info.kind;
    raw->in_memory = info.in_memory;
    r = raw_check(raw, opts, &info, err);
    if (r == 0) {
        r = vr_blk_init(&raw->blk, &raw_ops, path, loop, err);
    }
    if (r == 0) {
        raw->blk.size_bytes = info.size_bytes;
        raw->blk.sector_bytes = RAW_SECTOR;
        raw->blk.optimal_bytes = info.io_bytes;
        raw->blk.read_only = opts->read_only;
        raw->blk.discard = !opts->read_only && vr_file_can_discard(raw->fd, &info);
        r = vr_blk_pool_create(&raw->blk, RAW_THREADS, &raw->pool, err);
        if (r < 0) {
            vr_err_in(err, r, "disk %s", path);
        }
    }
    if (r < 0) {
        raw_close(&raw->blk);
        return r;
    }
    *ret_blk = &raw->blk;
    return 0;
}
