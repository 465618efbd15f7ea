/* Operations on directories: opening and listing them. */
#include "backend/fs/server.h"
#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

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
        int r = fs_owner_type_at(c->d, h->fd, e->name, &dirent.type);
        if (r == -ENOENT) {
            return 0; /* the same */
        }
        dirent.type = r < 0 ? DT_UNKNOWN : dirent.type;
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

/* Of the host, entries cost least when many are read at once, in their order; the guest takes a
 * page of them at a time. So what it did not get yet stays with the handle. It may have changed on
 * the host by the time it gets it, as in any buffer of a program that lists a folder (readdir(3));
 * files that are gone by then are left out. NULL: no memory. */
static struct fs_ahead *dir_ahead(struct fs_handle *h, uint64_t off)
{
    struct fs_ahead *a = h->ahead ? h->ahead : vr_zalloc(sizeof(*a));
    if (a && (a->off != off || off == 0)) { /* another place, or once more from the start */
        a->off = off;
        a->pos = a->len = 0;
    }
    return a;
}

/* Keep @a while there is something in it, and there are not too many. */
static void dir_ahead_done(struct dir_fs *d, struct fs_handle *h, struct fs_ahead *a)
{
    bool left = a->pos < a->len;
    vr_mutex_lock(&d->lock);
    if (left && !h->ahead && d->aheads < FS_AHEADS) {
        d->aheads++;
        h->ahead = a;
    } else if (!left && h->ahead) {
        d->aheads--;
        h->ahead = NULL;
    }
    vr_mutex_unlock(&d->lock);
    if (h->ahead != a) {
        free(a);
    }
}

static int dir_read(struct fs_call *c, struct fs_handle *h, uint64_t off, size_t room, bool plus)
{
    vr_mutex_lock(&h->lock);
    struct fs_ahead *a = dir_ahead(h, off);
    int r = a ? 0 : -ENOMEM;
    while (r == 0) {
        struct vr_jail_entry e;
        size_t pos = a->pos;
        if (vr_jail_next_entry(a->buf, a->len, &pos, &e)) {
            r = dir_entry(c, h, &e, room, plus);
            fs_node_release(c, 1); /* the folder stays */
            a->off = r == 0 ? e.next : a->off;
            a->pos = r == 0 ? pos : a->pos;
            continue;
        }
        ssize_t len = vr_jail_read_dir(h->fd, a->off, a->buf, sizeof(a->buf));
        a->pos = 0;
        a->len = len > 0 ? (size_t)len : 0;
        if (len <= 0) {
            r = (int)len;
            break;
        }
    }
    if (a) {
        dir_ahead_done(c->d, h, a);
    }
    vr_mutex_unlock(&h->lock);
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
