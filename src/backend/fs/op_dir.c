/* Operations on directories: opening and listing them. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "vireo/host_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum { DIR_GONE = 0xff }; /* for a type: there is no such file any more */
/* What was looked at ahead is looked at again when the guest comes for it this much later. */
#define DIR_LOOKED_NS UINT64_C(10000000)

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
    } else if (!plus && dirent.type == DIR_GONE) {
        return 0;
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
 * files that were gone a moment (DIR_LOOKED_NS) before are left out. NULL: no memory. */
static struct fs_ahead *dir_ahead(struct fs_handle *h, uint64_t off)
{
    struct fs_ahead *a = h->ahead ? h->ahead : vr_zalloc(sizeof(*a));
    if (a && (a->off != off || off == 0)) { /* another place, or once more from the start */
        a->off = off;
        a->pos = a->len = a->looked = 0;
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

/* What the guest has at @e, which is another matter than what the host has (owner.c). */
static uint8_t dir_type(const struct dir_fs *d, const struct fs_handle *h,
                        const struct vr_jail_entry *e)
{
    uint32_t type = e->type;
    int r = type == DT_REG ? fs_owner_type_at(d, h->fd, e->name, &type) : 0;
    return r == -ENOENT ? DIR_GONE : r < 0 ? DT_UNKNOWN : (uint8_t)type;
}

/* While the guest is busy with a page of names, the thread that gave it looks at those of the next
 * one, which is most of the work there is with them. */
struct dir_look {
    struct fs_session *s;
    struct fs_handle *h;
    size_t len; /* of @h's entries */
};

static void dir_look_end(struct dir_fs *d, struct dir_look *look)
{
    vr_mutex_lock(&d->lock);
    fs_handle_unref_locked(look->s, look->h);
    fs_session_unref_locked(look->s);
    vr_mutex_unlock(&d->lock);
    free(look);
}

static void dir_look(struct dir_fs *d, void *arg)
{
    struct dir_look *look = arg;
    vr_mutex_lock(&look->h->lock);
    struct fs_ahead *a = look->h->ahead;
    if (a) {
        struct vr_jail_entry e;
        size_t at = a->pos, pos = at, end = at + look->len;
        a->looked_ns = vireo_monotonic_ns();
        a->looked = at;
        for (; at < end && vr_jail_next_entry(a->buf, a->len, &pos, &e); at = pos) {
            a->type[at / FS_AHEAD_UNIT] = dir_type(d, look->h, &e);
            a->looked = pos;
        }
    }
    vr_mutex_unlock(&look->h->lock);
    dir_look_end(d, look);
}

/* Without memory for it, it is not done. */
static void dir_look_later(struct fs_call *c, struct fs_handle *h, size_t len)
{
    struct dir_look *look = vr_zalloc(sizeof(*look));
    if (!look) {
        return;
    }
    *look = (struct dir_look){.s = c->s, .h = h, .len = len};
    vr_mutex_lock(&c->d->lock);
    c->s->refs++;
    h->refs++;
    vr_mutex_unlock(&c->d->lock);
    c->after = fs_task_begin(c->d, dir_look, look);
    if (!c->after) {
        dir_look_end(c->d, look);
    }
}

static int dir_read(struct fs_call *c, struct fs_handle *h, uint64_t off, size_t room, bool plus)
{
    vr_mutex_lock(&h->lock);
    struct fs_ahead *a = dir_ahead(h, off);
    int r = a ? 0 : -ENOMEM;
    bool fresh = a && a->looked && vireo_monotonic_ns() - a->looked_ns < DIR_LOOKED_NS;
    while (r == 0) {
        struct vr_jail_entry e;
        size_t at = a->pos, pos = at;
        if (vr_jail_next_entry(a->buf, a->len, &pos, &e)) {
            if (!plus) {
                e.type =
                    fresh && at < a->looked ? a->type[at / FS_AHEAD_UNIT] : dir_type(c->d, h, &e);
            }
            r = dir_entry(c, h, &e, room, plus);
            fs_node_release(c, 1); /* the folder stays */
            a->off = r == 0 ? e.next : a->off;
            a->pos = r == 0 ? pos : a->pos;
            continue;
        }
        ssize_t len = vr_jail_read_dir(h->fd, a->off, a->buf, sizeof(a->buf));
        a->pos = a->looked = 0;
        a->len = len > 0 ? (size_t)len : 0;
        if (len <= 0) {
            r = (int)len;
            break;
        }
    }
    if (a) {
        dir_ahead_done(c->d, h, a);
        /* Linux asks for attributes (@plus) at the start, then only if they were of use. */
        if (h->ahead && r >= 0 && c->reply_len && (!plus || off == 0)) {
            dir_look_later(c, h, room);
        }
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
