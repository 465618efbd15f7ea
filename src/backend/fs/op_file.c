/* Operations on opened files. Data goes between the file and guest memory in one
 * system call, with no copy of ours. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "core/iov.h"
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_IOVS = 1024,         /* of one system call (IOV_MAX) */
    FILE_COPY_MAX = 64 << 20, /* of one COPY_FILE_RANGE, which may do less than it is asked for */
};

/* The part [off, off + len) of the request or reply, as iovecs of the call; 0: too many. */
static unsigned file_iov(const struct iovec *all, unsigned count, uint64_t off, uint64_t len,
                         struct iovec **ret_iov)
{
    *ret_iov = vr_zalloc_array(count, sizeof(**ret_iov));
    return *ret_iov ? vr_iov_slice(all, count, off, len, *ret_iov, NULL) : 0;
}

int op_read(struct fs_call *c)
{
    const struct fuse_read_in *in = (const void *)c->arg;
    const struct vr_fs_req *req = c->req;
    struct fs_handle *h;
    struct iovec *iov;
    size_t head = sizeof(struct fuse_out_header);
    int r = fs_handle_get(c, in->fh, false, &h);
    if (r < 0) {
        return r;
    }
    if (in->offset > INT64_MAX) {
        return -EINVAL;
    }
    if (c->out_bytes < head + in->size) {
        return -ERANGE;
    }
    unsigned count = file_iov(req->out, req->out_count, head, in->size, &iov);
    if (count > FILE_IOVS) {
        count = FILE_IOVS;
    }
    ssize_t done = 0;
    if (count) {
        do {
            done = preadv(h->fd, iov, (int)count, (off_t)in->offset);
        } while (done < 0 && errno == EINTR);
        done = done < 0 ? -errno : done;
    } else if (in->size) {
        done = -ENOMEM;
    }
    free(iov);
    if (done < 0) {
        return (int)done;
    }
    c->reply_len = (size_t)done;
    return 0;
}

static ssize_t file_write(struct fs_handle *h, const struct fuse_write_in *in,
                          const struct iovec *iov, unsigned count)
{
    /* A program that appends does so behind what others appended, on the host as well. */
    bool append = (in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE);
    ssize_t done;
    do {
        done = append ? vr_jail_append(h->fd, iov, count)
                      : pwritev(h->fd, iov, (int)count, (off_t)in->offset);
        done = done < 0 && !append ? -errno : done;
    } while (done == -EINTR);
    return done;
}

int op_write(struct fs_call *c)
{
    const struct fuse_write_in *in = (const void *)c->arg;
    const struct vr_fs_req *req = c->req;
    struct fuse_write_out out = {.size = 0};
    struct fs_handle *h;
    struct iovec *iov;
    int r = fs_handle_get(c, in->fh, false, &h);
    if (r < 0) {
        return r;
    }
    if (c->in_bytes - c->data_off != in->size || in->offset > INT64_MAX) {
        return -EINVAL;
    }
    if (in->write_flags & FUSE_WRITE_KILL_SUIDGID) {
        r = fs_owner_kill_priv(c, h->fd);
        if (r < 0) {
            return r;
        }
    }
    unsigned count = file_iov(req->in, req->in_count, c->data_off, in->size, &iov);
    count = count > FILE_IOVS ? FILE_IOVS : count;
    ssize_t done = count ? file_write(h, in, iov, count) : in->size ? -ENOMEM : 0;
    free(iov);
    if (done < 0) {
        return (int)done;
    }
    out.size = (uint32_t)done;
    return fs_reply(c, &out, sizeof(out));
}

int op_release(struct fs_call *c)
{
    const struct fuse_release_in *in = (const void *)c->arg;
    struct fs_handle *h;
    int r = fs_handle_get(c, in->fh, false, &h);
    if (r < 0 && r != -ESTALE) {
        return r;
    }
    if (r == 0 && (in->release_flags & FUSE_RELEASE_FLOCK_UNLOCK)) {
        fs_locks_drop(c, h->node, in->lock_owner, true);
    }
    fs_handle_remove(c->s, in->fh);
    return 0;
}

int op_flush(struct fs_call *c)
{
    const struct fuse_flush_in *in = (const void *)c->arg;
    struct fs_handle *h;
    int r = fs_handle_get(c, in->fh, false, &h);
    if (r == 0) {
        fs_locks_drop(c, h->node, in->lock_owner, false);
    }
    return r;
}

static int file_sync(struct fs_call *c, bool dir)
{
    const struct fuse_fsync_in *in = (const void *)c->arg;
    struct fs_handle *h;
    int r = fs_handle_get(c, in->fh, dir, &h);
    if (r == 0) {
        r = in->flags & FUSE_FSYNC_FDATASYNC ? fdatasync(h->fd) : fsync(h->fd);
        r = r < 0 ? -errno : 0;
    }
    return r;
}

int op_fsync(struct fs_call *c)
{
    return file_sync(c, false);
}

int op_fsyncdir(struct fs_call *c)
{
    return file_sync(c, true);
}

int op_fallocate(struct fs_call *c)
{
    const struct fuse_fallocate_in *in = (const void *)c->arg;
    struct fs_handle *h;
    int r = fs_handle_get(c, in->fh, false, &h);
    return r < 0 ? r : vr_jail_allocate(h->fd, in->mode, in->offset, in->length);
}

int op_lseek(struct fs_call *c)
{
    const struct fuse_lseek_in *in = (const void *)c->arg;
    struct fs_handle *h;
    int r = fs_handle_get(c, in->fh, false, &h);
    if (r < 0) {
        return r;
    }
    if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE) {
        return -EINVAL; /* the others are the guest's own affair */
    }
    int64_t at = vr_jail_seek(h->fd, in->offset, in->whence == SEEK_HOLE);
    struct fuse_lseek_out out = {.offset = (uint64_t)at};
    return at < 0 ? (int)at : fs_reply(c, &out, sizeof(out));
}

int op_copy(struct fs_call *c)
{
    const struct fuse_copy_in *in = (const void *)c->arg;
    struct fs_handle *from, *to;
    int r = fs_handle_get(c, in->fh_in, false, &from);
    r = r < 0 ? r : fs_handle_get_of(c, in->fh_out, in->nodeid_out, false, &to);
    if (r < 0) {
        return r;
    }
    if (in->flags) {
        return -EINVAL;
    }
    size_t len = in->len < FILE_COPY_MAX ? (size_t)in->len : FILE_COPY_MAX;
    ssize_t done = vr_jail_copy(from->fd, in->off_in, to->fd, in->off_out, len);
    struct fuse_write_out out = {.size = (uint32_t)done};
    return done < 0 ? (int)done : fs_reply(c, &out, sizeof(out));
}
