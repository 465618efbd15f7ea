/* The beginning and the end of a session, and what the guest forgets in between. */
#include "backend/fs/server.h"
#include "core/iov.h"

#include <errno.h>
#include <string.h>

enum { SESSION_PAGE = 4096 };

int op_init(struct fs_call *c)
{
    struct fuse_init_in in = {.major = 0};
    struct fuse_init_out out = {
        .major = FUSE_MAJOR,
        .minor = FUSE_MINOR,
        .max_background = 64,
        .congestion_threshold = 48,
        .max_write = FS_WRITE_MAX,
        .time_gran = 1,
        .max_pages = FS_WRITE_MAX / SESSION_PAGE,
    };
    size_t len = c->extra_len < sizeof(in) ? c->extra_len : sizeof(in);
    if (len < 16) { /* up to the flags: as it was before 7.36 */
        return -EINVAL;
    }
    memcpy(&in, c->extra, len);
    if (in.major > FUSE_MAJOR) { /* it shall try again with ours */
        return fs_reply(c, &out, sizeof(out));
    }
    if (in.major < FUSE_MAJOR || in.minor < FUSE_MINOR_MIN) {
        return -EPROTO;
    }
    uint32_t flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS |
                     FUSE_READDIRPLUS_AUTO | FUSE_ASYNC_DIO | FUSE_PARALLEL_DIROPS |
                     FUSE_MAX_PAGES | FUSE_HANDLE_KILLPRIV_V2;
    flags |= c->d->host_locks ? FUSE_POSIX_LOCKS | FUSE_FLOCK_LOCKS : 0;
    flags |= c->d->cache == VR_FS_CACHE_ALWAYS ? FUSE_WRITEBACK_CACHE | FUSE_CACHE_SYMLINKS
                                               : FUSE_AUTO_INVAL_DATA;
    /* A second INIT, after a DESTROY or not, is the beginning of a session of its own. */
    if (c->s->ready) {
        fs_new_session(c->d);
    }
    out.flags = in.flags & flags;
    out.minor = in.minor < FUSE_MINOR ? in.minor : FUSE_MINOR;
    out.max_readahead = in.max_readahead;
    vr_mutex_lock(&c->d->lock);
    struct fs_session *s = c->d->session;
    if (s) {
        s->minor = out.minor;
        s->flags = out.flags;
        s->ready = true;
    }
    vr_mutex_unlock(&c->d->lock);
    return s ? fs_reply(c, &out, sizeof(out)) : -ENOMEM;
}

int op_destroy(struct fs_call *c)
{
    fs_new_session(c->d);
    return 0;
}

int op_forget(struct fs_call *c)
{
    const struct fuse_forget_in *in = (const void *)c->arg;
    fs_node_forget(c->s, c->h.nodeid, in->nlookup);
    return 0;
}

int op_batch_forget(struct fs_call *c)
{
    const struct fuse_batch_forget_in *in = (const void *)c->arg;
    struct fuse_forget_one one;
    size_t off = c->data_off;
    for (uint32_t i = 0; i < in->count; i++, off += sizeof(one)) {
        if (vr_iov_get(c->req->in, c->req->in_count, off, &one, sizeof(one)) < sizeof(one)) {
            return -EINVAL;
        }
        fs_node_forget(c->s, one.nodeid, one.nlookup);
    }
    return 0;
}
