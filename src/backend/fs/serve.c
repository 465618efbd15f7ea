/* A request: taken apart and checked, given to its operation, answered. What is read of it is
 * copied once, and the copy is what counts. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "core/iov.h"

#include <errno.h>
#include <string.h>

/* What an operation's struct is, and whether more follows. */
struct serve_op {
    fs_op *run;
    uint8_t arg_len;
    bool extra;    /* names or values, copied */
    bool data;     /* data, left where it is */
    bool no_reply; /* whatever happens */
    bool early;    /* before INIT, too */
};

#define ARG(type)   .arg_len = sizeof(struct fuse_##type)
#define OP(fn)      .run = op_##fn
#define OP_NAME(fn) .run = op_##fn, .extra = true
static const struct serve_op serve_ops[FUSE_OPS] = {
    [FUSE_LOOKUP] = {OP_NAME(lookup)},
    [FUSE_FORGET] = {OP(forget), ARG(forget_in), .no_reply = true},
    [FUSE_GETATTR] = {OP(getattr), ARG(getattr_in)},
    [FUSE_SETATTR] = {OP(setattr), ARG(setattr_in)},
    [FUSE_READLINK] = {OP(readlink)},
    [FUSE_SYMLINK] = {OP_NAME(symlink)},
    [FUSE_MKNOD] = {OP_NAME(mknod), ARG(mknod_in)},
    [FUSE_MKDIR] = {OP_NAME(mkdir), ARG(mkdir_in)},
    [FUSE_UNLINK] = {OP_NAME(unlink)},
    [FUSE_RMDIR] = {OP_NAME(rmdir)},
    [FUSE_RENAME] = {OP_NAME(rename), ARG(rename_in)},
    [FUSE_LINK] = {OP_NAME(link), ARG(link_in)},
    [FUSE_OPEN] = {OP(open), ARG(open_in)},
    [FUSE_READ] = {OP(read), ARG(read_in)},
    [FUSE_WRITE] = {OP(write), ARG(write_in), .data = true},
    [FUSE_STATFS] = {OP(statfs)},
    [FUSE_RELEASE] = {OP(release), ARG(release_in)},
    [FUSE_FSYNC] = {OP(fsync), ARG(fsync_in)},
    [FUSE_SETXATTR] = {OP_NAME(setxattr), ARG(setxattr_in)},
    [FUSE_GETXATTR] = {OP_NAME(getxattr), ARG(getxattr_in)},
    [FUSE_LISTXATTR] = {OP(listxattr), ARG(getxattr_in)},
    [FUSE_REMOVEXATTR] = {OP_NAME(removexattr)},
    [FUSE_FLUSH] = {OP(flush), ARG(flush_in)},
    [FUSE_INIT] = {OP(init), .extra = true, .early = true},
    [FUSE_OPENDIR] = {OP(opendir), ARG(open_in)},
    [FUSE_READDIR] = {OP(readdir), ARG(read_in)},
    [FUSE_RELEASEDIR] = {OP(releasedir), ARG(release_in)},
    [FUSE_FSYNCDIR] = {OP(fsyncdir), ARG(fsync_in)},
    [FUSE_GETLK] = {OP(getlk), ARG(lk_in)},
    [FUSE_SETLK] = {OP(setlk), ARG(lk_in)},
    [FUSE_SETLKW] = {OP(setlk), ARG(lk_in)},
    [FUSE_ACCESS] = {OP(access), ARG(access_in)},
    [FUSE_CREATE] = {OP_NAME(create), ARG(create_in)},
    [FUSE_INTERRUPT] = {OP(interrupt), ARG(interrupt_in)},
    [FUSE_DESTROY] = {OP(destroy), .early = true},
    [FUSE_BATCH_FORGET] = {OP(batch_forget), ARG(batch_forget_in), .data = true, .no_reply = true},
    [FUSE_FALLOCATE] = {OP(fallocate), ARG(fallocate_in)},
    [FUSE_READDIRPLUS] = {OP(readdirplus), ARG(read_in)},
    [FUSE_RENAME2] = {OP_NAME(rename2), ARG(rename2_in)},
    [FUSE_LSEEK] = {OP(lseek), ARG(lseek_in)},
    [FUSE_COPY_FILE_RANGE] = {OP(copy), ARG(copy_in)},
    [FUSE_SYNCFS] = {OP(syncfs), ARG(syncfs_in)},
};

static uint64_t serve_bytes(const struct iovec *iov, unsigned count)
{
    uint64_t sum = 0; /* a chain's, below 2^32 */
    for (unsigned i = 0; i < count; i++) {
        sum += iov[i].iov_len;
    }
    return sum;
}

static const struct serve_op *serve_op_of(const struct fs_call *c)
{
    return c->h.opcode < FUSE_OPS && serve_ops[c->h.opcode].run ? &serve_ops[c->h.opcode] : NULL;
}

/* The request behind its header. */
static int serve_parse(struct fs_call *c, const struct serve_op *op)
{
    const struct vr_fs_req *req = c->req;
    size_t head = sizeof(c->h);
    if (c->h.len != c->in_bytes) {
        return -EINVAL;
    }
    if (!op) {
        return -ENOSYS; /* the kernel remembers, and does without it */
    }
    if (!c->s->ready && !op->early) {
        return -EIO;
    }
    if (c->in_bytes < head + op->arg_len) {
        return -EINVAL;
    }
    vr_assert(op->arg_len <= sizeof(c->arg));
    vr_iov_get(req->in, req->in_count, head, c->arg, op->arg_len);
    c->data_off = (unsigned)(head + op->arg_len);
    uint64_t rest = c->in_bytes - c->data_off;
    if (op->data) {
        return 0;
    }
    if (!op->extra) {
        return rest > sizeof(uint64_t) ? -EINVAL : 0; /* structs may have grown a little */
    }
    if (rest > FS_EXTRA_MAX) {
        return -E2BIG;
    }
    c->extra = vr_zalloc((size_t)rest + 1);
    if (!c->extra) {
        return -ENOMEM;
    }
    c->extra_len = vr_iov_get(req->in, req->in_count, c->data_off, c->extra, (size_t)rest);
    return 0;
}

int fs_text(struct fs_call *c, const char **ret_text)
{
    const char *text = (const char *)c->extra + c->extra_pos;
    size_t left = c->extra_len - c->extra_pos, len = strnlen(text, left);
    if (len == left) {
        return -EINVAL; /* without an end */
    }
    c->extra_pos += len + 1;
    *ret_text = text;
    return 0;
}

int fs_name(struct fs_call *c, const char **ret_name)
{
    const char *name;
    int r = fs_text(c, &name);
    if (r == 0 && strlen(name) > VR_JAIL_NAME_MAX) {
        return -ENAMETOOLONG;
    }
    if (r == 0 && !vr_jail_name_ok(name)) {
        return -EINVAL;
    }
    if (r == 0) {
        *ret_name = name;
    }
    return r;
}

int fs_reply(struct fs_call *c, const void *buf, size_t len)
{
    size_t at = sizeof(struct fuse_out_header) + c->reply_len;
    if (at + len > c->out_bytes) {
        return -ERANGE;
    }
    vr_iov_put(c->req->out, c->req->out_count, at, buf, len);
    c->reply_len += len;
    return 0;
}

/* Write the head of the reply and free the call; returns the reply's length. */
static uint32_t serve_end(struct fs_call *c, int result)
{
    struct dir_fs *d = c->d;
    struct vr_fs_req *req = c->req;
    const struct serve_op *op = serve_op_of(c);
    uint32_t len = 0;
    if (!(op && op->no_reply) && c->out_bytes >= sizeof(struct fuse_out_header)) {
        struct fuse_out_header out = {.error = result, .unique = c->h.unique};
        len = out.len = (uint32_t)(sizeof(out) + (result < 0 ? 0 : c->reply_len));
        vr_iov_put(req->out, req->out_count, 0, &out, sizeof(out));
    }
    fs_handle_release(c);
    fs_node_release(c, 0);
    vr_mutex_lock(&d->lock);
    fs_session_unref_locked(c->s);
    vr_mutex_unlock(&d->lock);
    free(c->extra);
    free(c);
    return len;
}

void fs_finish(struct fs_call *c, int result)
{
    struct dir_fs *d = c->d;
    struct vr_fs_req *req = c->req;
    vr_fs_complete(&d->fs, req, serve_end(c, result));
}

void fs_serve(struct dir_fs *d, struct vr_fs_req *req)
{
    struct fs_session *s = req->session;
    struct fs_call *c = vr_zalloc(sizeof(*c));
    if (!c) {
        vr_mutex_lock(&d->lock);
        fs_session_unref_locked(s);
        vr_mutex_unlock(&d->lock);
        vr_fs_complete_here(&d->fs, req, 0);
        return;
    }
    *c = (struct fs_call){
        .d = d,
        .s = s,
        .req = req,
        .in_bytes = serve_bytes(req->in, req->in_count),
        .out_bytes = serve_bytes(req->out, req->out_count),
    };
    if (vr_iov_get(req->in, req->in_count, 0, &c->h, sizeof(c->h)) < sizeof(c->h)) {
        c->out_bytes = 0; /* not even a header: whom to answer? */
        vr_fs_complete_here(&d->fs, req, serve_end(c, -EINVAL));
        return;
    }
    const struct serve_op *op = serve_op_of(c);
    int r = serve_parse(c, op);
    r = r < 0 ? r : op->run(c);
    if (r != FS_LATER) {
        struct vr_job *after = c->after; /* in flight: until it is done, @d is there */
        vr_fs_complete_here(&d->fs, req, serve_end(c, r));
        if (after) {
            fs_task_run(d, after);
        }
    }
}
