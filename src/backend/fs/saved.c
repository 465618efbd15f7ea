/*
 * A session as bytes, little-endian: what was negotiated; each node with its number, parent, name
 * and count; each handle. Nothing of the host's: on loading, all is found again by its path, which
 * may be a copy of the directory on another host. What is read is checked as if an enemy had
 * written it.
 *
 * Numbers ascend, so that reading takes time in proportion to the length.
 */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

enum {
    SAVED_VERSION = 1,
    SAVED_HEAD = 5 * 4,
    SAVED_NODE = 3 * 8 + 4 + 1,
    SAVED_HANDLE = 8 + 8 + 4 + 1
};

/* --- Saving --- */

struct saved_out {
    uint8_t *buf;
    size_t len, room;
};

static void saved_put(struct saved_out *o, uint64_t val, unsigned width)
{
    vr_assert(o->room - o->len >= width);
    vr_store_le(o->buf + o->len, width, val);
    o->len += width;
}

static void saved_put_node(struct saved_out *o, const struct fs_node *n)
{
    size_t len = n->parent ? strlen(n->name) : 0;
    saved_put(o, n->id, 8);
    saved_put(o, n->parent ? n->parent->id : 0, 8);
    saved_put(o, n->lookups, 8);
    saved_put(o, n->type, 4);
    saved_put(o, len, 1);
    memcpy(o->buf + o->len, n->name ? n->name : "", len);
    o->len += len;
}

static void saved_put_handle(struct saved_out *o, const struct fs_handle *h)
{
    saved_put(o, h->id, 8);
    saved_put(o, h->node->id, 8);
    saved_put(o, h->flags, 4);
    saved_put(o, h->dir, 1);
}

/* May it be saved at all? */
static int saved_check(const struct dir_fs *d, const struct fs_session *s, struct vr_error *err)
{
    unsigned locks = 0, deleted = 0;
    for (uint32_t i = 0; i < s->nodes.count; i++) {
        const struct fs_node *n = s->nodes.slot[i].thing;
        locks += n && n->locks;
    }
    for (uint32_t i = 0; i < s->handles.count; i++) {
        const struct fs_handle *h = s->handles.slot[i].thing;
        deleted += h && h->node != s->root && !h->node->parent;
    }
    if (locks) {
        return vr_err(err, -EBUSY,
                      "share %s: the guest holds locks on %u files of the host, which cannot be "
                      "saved; share it without 'locks', or wait until they are released",
                      d->path, locks);
    }
    if (deleted) {
        return vr_err(err, -EBUSY,
                      "share %s: the guest has %u files open that were deleted: they cannot be "
                      "found again later; end the programs that use them",
                      d->path, deleted);
    }
    return 0;
}

static int saved_write(const struct dir_fs *d, const struct fs_session *s, struct saved_out *o,
                       struct vr_error *err)
{
    uint64_t room = SAVED_HEAD;
    uint32_t nodes = 0, handles = 0;
    for (uint32_t i = 0; i < s->nodes.count; i++) {
        const struct fs_node *n = s->nodes.slot[i].thing;
        room += n ? SAVED_NODE + (n->name ? strlen(n->name) : 0) : 0;
        nodes += n && n != s->root;
    }
    for (uint32_t i = 0; i < s->handles.count; i++) {
        handles += s->handles.slot[i].thing != NULL;
    }
    room += (uint64_t)handles * SAVED_HANDLE + 4;
    if (room > VR_FS_SAVED_MAX) {
        return vr_err(err, -E2BIG, "share %s: the guest knows too many files to be saved", d->path);
    }
    o->room = (size_t)room;
    o->buf = vr_zalloc(o->room);
    if (!o->buf) {
        return vr_err(err, -ENOMEM, "share %s: no memory", d->path);
    }
    saved_put(o, SAVED_VERSION, 4);
    saved_put(o, s->ready, 4);
    saved_put(o, s->minor, 4);
    saved_put(o, s->flags, 4);
    saved_put(o, nodes, 4);
    /* Slots are in the order of the lower halves, which is the order meant. */
    for (uint32_t i = 0; i < s->nodes.count; i++) {
        if (s->nodes.slot[i].thing && s->nodes.slot[i].thing != s->root) {
            saved_put_node(o, s->nodes.slot[i].thing);
        }
    }
    saved_put(o, handles, 4);
    for (uint32_t i = 0; i < s->handles.count; i++) {
        if (s->handles.slot[i].thing) {
            saved_put_handle(o, s->handles.slot[i].thing);
        }
    }
    return 0;
}

int fs_session_save(struct vr_fs *fs, uint8_t **ret_buf, uint32_t *ret_len, struct vr_error *err)
{
    struct dir_fs *d = (struct dir_fs *)fs;
    struct saved_out out = {.buf = NULL};
    vr_mutex_lock(&d->lock);
    int r = d->session ? saved_check(d, d->session, err)
                       : vr_err(err, -ENOMEM, "share %s: no memory", d->path);
    r = r < 0 ? r : saved_write(d, d->session, &out, err);
    vr_mutex_unlock(&d->lock);
    if (r == 0) {
        *ret_buf = out.buf;
        *ret_len = (uint32_t)out.len;
    }
    return r;
}

/* --- Loading --- */

struct saved_in {
    const uint8_t *buf;
    size_t len;
    bool bad; /* too short */
    struct fs_session *s;
    unsigned lost, lost_handles;
};

static uint64_t saved_get(struct saved_in *in, unsigned width)
{
    if (in->len < width) {
        in->bad = true;
        in->len = 0;
        return 0;
    }
    uint64_t val = vr_load_le(in->buf, width);
    in->buf += width;
    in->len -= width;
    return val;
}

static bool saved_type_ok(mode_t type)
{
    return type == S_IFREG || type == S_IFDIR || type == S_IFLNK || type == S_IFCHR ||
           type == S_IFBLK || type == S_IFIFO || type == S_IFSOCK;
}

/* Each node with its parent's number in `lookups` of the copy. */
struct saved_node {
    struct fs_node *node;
    uint64_t parent;
    bool settled;
};

static int saved_get_node(struct saved_in *in, uint32_t *last, struct saved_node *ret)
{
    char name[VR_JAIL_NAME_MAX + 1];
    uint64_t id = saved_get(in, 8), parent = saved_get(in, 8), lookups = saved_get(in, 8);
    mode_t type = (mode_t)saved_get(in, 4);
    size_t len = (size_t)saved_get(in, 1);
    if (in->bad || in->len < len) {
        return -EINVAL;
    }
    memcpy(name, in->buf, len);
    name[len] = '\0';
    in->buf += len;
    in->len -= len;
    bool named = vr_jail_name_ok(name) && strlen(name) == len;
    if ((uint32_t)id <= *last || !saved_type_ok(type) || (parent ? !named : len > 0)) {
        return -EINVAL;
    }
    *last = (uint32_t)id;
    vr_mutex_lock(&in->s->d->lock);
    ret->node = fs_node_add_locked(in->s, id, name);
    vr_mutex_unlock(&in->s->d->lock);
    if (!ret->node) {
        return -EINVAL; /* or there are more than may be */
    }
    ret->parent = parent;
    ret->node->type = type;
    ret->node->lookups = lookups;
    return 0;
}

/* Parents as pointers. They are folders, and no folder is in itself. */
static int saved_link(struct saved_in *in, struct saved_node *nodes, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct fs_node *n = nodes[i].node, *parent = NULL;
        if (nodes[i].parent) {
            parent = fs_ids_get(&in->s->nodes, nodes[i].parent);
            if (!parent || parent->type != S_IFDIR || parent == n) {
                return -EINVAL;
            }
            parent->refs++;
        }
        n->parent = parent;
    }
    return 0;
}

/* Find @n, after what it is in. Marks where it was with `lost` off, or a parent of none. */
static int saved_settle(struct saved_in *in, struct fs_node *n)
{
    struct fs_node *chain[FS_DEPTH];
    unsigned depth = 0;
    struct fs_session *s = in->s;
    for (struct fs_node *at = n; at && at != s->root && at->lost; at = at->parent) {
        if (depth == FS_DEPTH) {
            return -EINVAL; /* too deep, or a ring */
        }
        chain[depth++] = at;
    }
    while (depth) {
        struct fs_node *at = chain[--depth];
        bool found = at->parent && !(at->parent != s->root && at->parent->lost);
        if (!found || fs_node_settle(s, at) < 0) {
            in->lost++;
        }
    }
    return 0;
}

static int saved_get_nodes(struct saved_in *in)
{
    uint32_t count = (uint32_t)saved_get(in, 4), last = FUSE_ROOT_ID;
    if (in->bad || count > in->len / SAVED_NODE || count > in->s->d->nodes_max) {
        return -EINVAL;
    }
    struct saved_node *nodes = vr_zalloc_array(count, sizeof(*nodes));
    int r = nodes ? 0 : -ENOMEM;
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        r = saved_get_node(in, &last, &nodes[i]);
    }
    r = r < 0 ? r : saved_link(in, nodes, count);
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        r = saved_settle(in, nodes[i].node);
    }
    free(nodes);
    return r;
}

static int saved_get_handle(struct saved_in *in, uint32_t *last)
{
    struct fs_session *s = in->s;
    uint64_t id = saved_get(in, 8), node = saved_get(in, 8);
    uint32_t flags = (uint32_t)saved_get(in, 4);
    uint64_t dir = saved_get(in, 1);
    struct fs_node *n = in->bad ? NULL : fs_ids_get(&s->nodes, node);
    bool fits = n && (dir == 1 ? n->type == S_IFDIR : dir == 0 && n->type == S_IFREG);
    if (!fits || (uint32_t)id <= *last) {
        return -EINVAL;
    }
    *last = (uint32_t)id;
    struct fs_call c = {.d = s->d, .s = s};
    int fd = -1, r = fs_node_get(&c, node, &n);
    r = r < 0 ? r : fs_fd_take(s);
    if (r == 0) {
        r = fs_open(&c, n, dir ? O_RDONLY : fs_open_flags(s, flags & ~(uint32_t)O_TRUNC), &fd);
        if (r < 0) {
            fs_fd_give(s->d);
            fd = -1;
        }
    }
    in->lost_handles += r < 0;
    r = fs_handle_put(s, id, n, fd, flags, dir);
    fs_node_release(&c, 0);
    return r;
}

static int saved_read(struct saved_in *in)
{
    struct fs_session *s = in->s;
    uint32_t version = (uint32_t)saved_get(in, 4), ready = (uint32_t)saved_get(in, 4), last = 0;
    s->ready = ready;
    s->minor = (uint32_t)saved_get(in, 4);
    s->flags = (uint32_t)saved_get(in, 4);
    if (version != SAVED_VERSION || ready > 1) {
        return -EINVAL;
    }
    if ((s->flags & FUSE_POSIX_LOCKS) && !s->d->host_locks) {
        return -EINVAL;
    }
    int r = saved_get_nodes(in);
    uint32_t handles = r < 0 ? 0 : (uint32_t)saved_get(in, 4);
    for (uint32_t i = 0; r == 0 && i < handles; i++) {
        r = saved_get_handle(in, &last);
    }
    return r < 0 ? r : in->bad || in->len ? -EINVAL : 0;
}

int fs_session_load(struct vr_fs *fs, const uint8_t *buf, uint32_t len, struct vr_error *err)
{
    struct dir_fs *d = (struct dir_fs *)fs;
    vr_mutex_lock(&d->lock);
    struct fs_session *old = d->session, *s = d->session = NULL;
    fs_session_unref_locked(old); /* drained: nobody else has it */
    s = fs_session_create(d);
    vr_mutex_unlock(&d->lock);
    struct saved_in in = {.buf = buf, .len = len, .s = s};
    int r = s ? saved_read(&in) : -ENOMEM;
    if (r < 0 && s) {
        vr_mutex_lock(&d->lock);
        fs_session_unref_locked(s);
        s = fs_session_create(d);
        vr_mutex_unlock(&d->lock);
    }
    d->session = s;
    if (r < 0) {
        return vr_err(err, r, "share %s: %s", d->path,
                      r == -ENOMEM ? "no memory" : "no session looks like what was saved");
    }
    if (in.lost || in.lost_handles) {
        vr_log(d->log, VR_WARN, "share",
               "%s: of the files that the guest knew, %u are not there any more; %u of them it had "
               "open",
               d->path, in.lost, in.lost_handles);
    }
    return 0;
}
