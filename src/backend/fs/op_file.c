/* Operations on opened files and directories. Data goes between the file and guest memory in one
 * system call, with no copy of ours. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "core/iov.h"
#include "platform/file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    FILE_IOVS = 1024,         /* of one system call (IOV_MAX) */
    FILE_COPY_MAX = 64 << 20, /* of one COPY_FILE_RANGE, which may do less than it is asked for */
    FILE_DIR_BYTES = 32 << 10,
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

/* --- Directories --- */

int op_opendir(struct fs_call *c)
{
    struct fuse_open_out out = {.open_flags = 0};
    struct fs_node *n;
    int fd, r = fs_node_get(c, c->h.nodeid, &n);
    if (r == 0 && !S_ISDIR(n->type)) {
        r = -ENOTDIR;
    }
    r = r < 0 ? r : fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    r = fs_open(c, n, O_RDONLY, &fd);
    if (r < 0) {
        fs_fd_give(c->d);
        return r;
    }
    if (c->d->cache == VR_FS_CACHE_ALWAYS) {
        out.open_flags = FOPEN_CACHE_DIR | FOPEN_KEEP_CACHE;
    }
    r = fs_handle_open(c, n, fd, 0, true, &out.fh);
    if (r == 0 && (r = fs_reply(c, &out, sizeof(out))) < 0) {
        fs_handle_remove(c->s, out.fh);
    }
    return r;
}

int op_releasedir(struct fs_call *c)
{
    const struct fuse_release_in *in = (const void *)c->arg;
    struct fs_handle *h;
    int r = fs_handle_get(c, in->fh, true, &h);
    if (r == 0 || r == -ESTALE) {
        fs_handle_remove(c->s, in->fh);
        r = 0;
    }
    return r;
}

/* Put one entry into the reply, looked up if @plus. 1: it does not fit. */
static int dir_entry(struct fs_call *c, struct fs_handle *h, const struct vr_jail_entry *e,
                     size_t room, bool plus)
{
    struct fuse_entry_out entry = {.nodeid = 0};
    struct fuse_dirent dirent = {.ino = e->ino, .off = e->next, .type = e->type};
    static const uint8_t zeroes[8];
    size_t name_len = strlen(e->name), head = sizeof(dirent) + (plus ? sizeof(entry) : 0);
    size_t pad = -(head + name_len) & 7;
    struct fs_node *n;
    struct stat st;
    if (c->reply_len + head + name_len + pad > room) {
        return 1;
    }
    bool dots = strcmp(e->name, ".") == 0 || strcmp(e->name, "..") == 0;
    dirent.namelen = (uint32_t)name_len;
    if (plus && !dots) {
        int r = fs_node_find(c, h->node, e->name, &n, &st);
        if (r == -ENOENT) {
            return 0; /* just removed */
        }
        if (r == 0) {
            fs_entry_out(c, n, &st, &entry);
            dirent.type = IFTODT(entry.attr.mode);
            dirent.ino = entry.attr.ino;
        } /* else the guest looks for itself, and is told why not */
    } else if (e->type == DT_REG) {
        dirent.type = fs_owner_type_at(h->fd, e->name);
    }
    int r = plus ? fs_reply(c, &entry, sizeof(entry)) : 0;
    r = r < 0 ? r : fs_reply(c, &dirent, sizeof(dirent));
    r = r < 0 ? r : fs_reply(c, e->name, name_len);
    r = r < 0 ? r : fs_reply(c, zeroes, pad);
    if (r == 0 && entry.nodeid) {
        fs_node_looked_up(c, n);
    }
    return r;
}

static int dir_read(struct fs_call *c, struct fs_handle *h, uint64_t off, size_t room, bool plus)
{
    uint8_t *buf = vr_zalloc(FILE_DIR_BYTES);
    int r = buf ? 0 : -ENOMEM;
    while (r == 0) {
        struct vr_jail_entry e;
        size_t pos = 0;
        vr_mutex_lock(&h->lock);
        ssize_t len = vr_jail_read_dir(h->fd, off, buf, FILE_DIR_BYTES);
        vr_mutex_unlock(&h->lock);
        if (len <= 0) {
            r = (int)len;
            break;
        }
        while (r == 0 && vr_jail_next_entry(buf, (size_t)len, &pos, &e)) {
            r = dir_entry(c, h, &e, room, plus);
            off = r == 0 ? e.next : off;
            fs_node_release(c, 1); /* the folder stays */
        }
    }
    free(buf);
    return r < 0 && c->reply_len == 0 ? r : 0; /* what is there is sent first */
}

static int dir_list(struct fs_call *c, bool plus)
{
    const struct fuse_read_in *in = (const void *)c->arg;
    size_t head = sizeof(struct fuse_out_header);
    struct fs_handle *h;
    struct fs_node *n;
    int r = fs_handle_get(c, in->fh, true, &h);
    r = r < 0 || !plus ? r : fs_node_get(c, c->h.nodeid, &n); /* its entries are found from it */
    if (r < 0) {
        return r;
    }
    size_t room = c->out_bytes > head ? (size_t)(c->out_bytes - head) : 0;
    return dir_read(c, h, in->offset, in->size < room ? in->size : room, plus);
}

int op_readdir(struct fs_call *c)
{
    return dir_list(c, false);
}

int op_readdirplus(struct fs_call *c)
{
    return dir_list(c, true);
}
