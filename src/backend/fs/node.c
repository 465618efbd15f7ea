/* Nodes: the files that the guest knows. How they keep within the descriptors that this process may
 * have is told in server.h. */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NODE_HASH_MIN = 256 };

/* --- Descriptors --- */

static void node_make_busy(struct fs_session *s, struct fs_node *n)
{
    if (n->idle) {
        *(n->newer ? &n->newer->older : &s->newest) = n->older;
        *(n->older ? &n->older->newer : &s->oldest) = n->newer;
        n->idle = false;
    }
}

/* Its descriptor may be closed, if it can be opened again. */
static void node_make_idle(struct fs_session *s, struct fs_node *n)
{
    if (!n->idle && n->fd >= 0 && n->pins == 0 && !n->lost && n != s->root) {
        n->idle = true;
        n->newer = NULL;
        n->older = s->newest;
        *(s->newest ? &s->newest->newer : &s->oldest) = n;
        s->newest = n;
    }
}

static void node_close(struct fs_session *s, struct fs_node *n)
{
    node_make_busy(s, n);
    if (n->fd >= 0 && n != s->root) {
        vr_file_close(n->fd);
        s->d->fds--;
    }
    n->fd = -1;
}

int fs_fd_take_locked(struct fs_session *s)
{
    if (s->d->fds >= s->d->fds_max && s->oldest) {
        node_close(s, s->oldest);
    }
    if (s->d->fds >= s->d->fds_max) {
        return -ENFILE;
    }
    s->d->fds++;
    return 0;
}

int fs_fd_take(struct fs_session *s)
{
    vr_mutex_lock(&s->d->lock);
    int r = fs_fd_take_locked(s);
    vr_mutex_unlock(&s->d->lock);
    return r;
}

void fs_fd_give(struct dir_fs *d)
{
    vr_mutex_lock(&d->lock);
    d->fds--;
    vr_mutex_unlock(&d->lock);
}

/* --- The hash: by device and inode --- */

static struct fs_node **node_place(const struct fs_session *s, dev_t dev, ino_t ino)
{
    uint64_t key = ((uint64_t)ino ^ (uint64_t)dev << 40) * UINT64_C(0x9e3779b97f4a7c15);
    struct fs_node **at = &s->hash[(key >> 32) & (s->hash_size - 1)];
    while (*at && ((*at)->ino != ino || (*at)->dev != dev)) {
        at = &(*at)->hash_next;
    }
    return at;
}

static void node_unhash(struct fs_session *s, struct fs_node *n)
{
    if (n->hashed) {
        struct fs_node **at = node_place(s, n->dev, n->ino);
        *at = n->hash_next;
        n->hashed = false;
    }
}

static void node_hash(struct fs_session *s, struct fs_node *n)
{
    struct fs_node **at = node_place(s, n->dev, n->ino);
    n->hash_next = NULL;
    n->hashed = true;
    *at = n;
}

/* A larger table, when there is memory for one. */
static void node_hash_grow(struct fs_session *s)
{
    struct fs_node **old = s->hash, **hash = NULL;
    size_t size = s->hash_size;
    if (s->node_count <= size || !(hash = vr_zalloc_array(size * 2, sizeof(*hash)))) {
        return;
    }
    s->hash = hash;
    s->hash_size = size * 2;
    for (size_t i = 0; i < size; i++) {
        for (struct fs_node *n = old[i], *next; n; n = next) {
            next = n->hash_next;
            node_hash(s, n);
        }
    }
    free(old);
}

/* --- Life --- */

static void node_free(struct fs_session *s, struct fs_node *n)
{
    node_unhash(s, n);
    node_close(s, n);
    fs_locks_free_locked(s->d, n);
    fs_ids_remove(&s->nodes, n->id);
    s->node_count--;
    s->d->nodes--;
    free(n->name);
    free(n);
}

void fs_node_ref_locked(struct fs_node *n)
{
    n->refs++;
}

/* Free it when nobody knows it any more, and then perhaps its parent, and so on. */
static void node_check(struct fs_session *s, struct fs_node *n)
{
    while (n && n != s->root && n->refs == 0 && n->lookups == 0) {
        struct fs_node *parent = n->parent;
        node_free(s, n);
        n = parent;
        if (n) {
            n->refs--;
        }
    }
}

void fs_node_unref_locked(struct fs_session *s, struct fs_node *n)
{
    n->refs--;
    node_check(s, n);
}

/* Its path is now @dir/@name; NULL: it has none. */
static void node_place_at(struct fs_session *s, struct fs_node *n, struct fs_node *dir,
                          const char *name)
{
    struct fs_node *old = n->parent;
    if (n == s->root || n == dir || (old == dir && dir && strcmp(n->name, name) == 0)) {
        return;
    }
    char *copy = dir ? strdup(name) : NULL;
    free(n->name);
    n->name = copy;
    n->parent = copy ? dir : NULL;
    n->lost = !copy; /* without memory for a name, it keeps its descriptor */
    if (n->lost) {
        node_make_busy(s, n);
    } else {
        dir->refs++;
        node_make_idle(s, n);
    }
    if (old) {
        fs_node_unref_locked(s, old);
    }
}

static struct fs_node *node_new(struct fs_session *s)
{
    if (s->d->nodes >= s->d->nodes_max) {
        return NULL;
    }
    struct fs_node *n = vr_zalloc(sizeof(*n));
    if (n) {
        n->fd = -1;
        n->lost = true;
        s->node_count++;
        s->d->nodes++;
    }
    return n;
}

static void node_cancel(struct fs_session *s, struct fs_node *n)
{
    s->node_count--;
    s->d->nodes--;
    free(n);
}

int fs_nodes_init(struct fs_session *s)
{
    struct stat st;
    int r = vr_jail_stat(vr_jail_root(s->d->jail), &st);
    s->hash = vr_zalloc_array(NODE_HASH_MIN, sizeof(*s->hash));
    s->hash_size = NODE_HASH_MIN;
    struct fs_node *n = r == 0 && s->hash ? vr_zalloc(sizeof(*n)) : NULL;
    if (n) {
        n->id = fs_ids_add(&s->nodes, n);
    }
    if (!n || !n->id) {
        free(n);
        free(s->hash);
        s->hash = NULL;
        return r < 0 ? r : -ENOMEM;
    }
    n->fd = vr_jail_root(s->d->jail);
    n->dev = st.st_dev;
    n->ino = st.st_ino;
    n->type = S_IFDIR;
    s->node_count++;
    s->d->nodes++;
    s->root = n;
    node_hash(s, n);
    return 0;
}

void fs_nodes_fini(struct fs_session *s)
{
    for (uint32_t i = 0; i < s->nodes.count; i++) {
        if (s->nodes.slot[i].thing) {
            node_free(s, s->nodes.slot[i].thing);
        }
    }
    fs_ids_fini(&s->nodes);
    free(s->hash);
    s->hash = NULL;
}

/* --- Use --- */

void fs_node_hold(struct fs_call *c, struct fs_node *n)
{
    vr_assert(c->held_count < FS_HELD);
    c->held[c->held_count++] = n;
    n->refs++;
    n->pins++;
    node_make_busy(c->s, n);
}

void fs_node_release(struct fs_call *c, unsigned keep)
{
    vr_mutex_lock(&c->d->lock);
    while (c->held_count > keep) {
        struct fs_node *n = c->held[--c->held_count];
        n->pins--;
        node_make_idle(c->s, n);
        fs_node_unref_locked(c->s, n);
    }
    vr_mutex_unlock(&c->d->lock);
}

/* The highest folder above @n (or @n) that has no descriptor; its parent has one. NULL: it is a
 * folder too deep, or lost. */
static struct fs_node *node_first_closed(struct fs_node *n)
{
    for (unsigned depth = 0; depth < FS_DEPTH; depth++) {
        if (!n->parent) {
            return NULL;
        }
        if (n->parent->fd >= 0) {
            return n;
        }
        n = n->parent;
    }
    return NULL;
}

/* Open @n again, below its parent, both referenced. The lock is not held. */
static int node_reopen(struct fs_session *s, struct fs_node *n, struct fs_node *parent,
                       const char *name)
{
    struct stat st;
    int fd, r = fs_fd_take(s);
    if (r < 0) {
        return r;
    }
    r = vr_jail_find(s->d->jail, parent->fd, name, &fd, &st);
    vr_mutex_lock(&s->d->lock);
    bool same = r == 0 && st.st_dev == n->dev && st.st_ino == n->ino;
    if (same && n->fd < 0) {
        n->fd = fd;
    } else {
        if (r == 0) {
            vr_file_close(fd);
        }
        s->d->fds--;
    }
    vr_mutex_unlock(&s->d->lock);
    /* Somebody on the host put another file in its place. */
    return r == -ENOENT || (r == 0 && !same) ? -ESTALE : r;
}

/* Give @n, which is held, a descriptor. */
static int node_open(struct fs_session *s, struct fs_node *n)
{
    for (;;) {
        vr_mutex_lock(&s->d->lock);
        if (n->fd >= 0) {
            vr_mutex_unlock(&s->d->lock);
            return 0;
        }
        struct fs_node *top = node_first_closed(n), *parent = top ? top->parent : NULL;
        char *name = top ? strdup(top->name) : NULL;
        if (!name) {
            vr_mutex_unlock(&s->d->lock);
            return top ? -ENOMEM : -ESTALE;
        }
        top->refs++;
        parent->refs++;
        parent->pins++;
        node_make_busy(s, parent);
        vr_mutex_unlock(&s->d->lock);
        int r = node_reopen(s, top, parent, name);
        free(name);
        vr_mutex_lock(&s->d->lock);
        parent->pins--;
        node_make_idle(s, parent);
        fs_node_unref_locked(s, parent);
        node_make_idle(s, top);
        fs_node_unref_locked(s, top);
        vr_mutex_unlock(&s->d->lock);
        if (r < 0) {
            return r;
        }
    }
}

int fs_node_get(struct fs_call *c, uint64_t id, struct fs_node **ret_node)
{
    vr_mutex_lock(&c->d->lock);
    struct fs_node *n = fs_ids_get(&c->s->nodes, id);
    bool open = n && n->fd >= 0;
    if (n) {
        fs_node_hold(c, n);
    }
    vr_mutex_unlock(&c->d->lock);
    int r = !n ? -ESTALE : open ? 0 : node_open(c->s, n);
    if (r == 0) {
        *ret_node = n;
    }
    return r;
}

/* The node of what was found as @dir/@name; takes @fd. The lock is held. */
static int node_known(struct fs_call *c, struct fs_node *dir, const char *name, int fd,
                      const struct stat *st, struct fs_node **ret_node)
{
    struct fs_session *s = c->s;
    struct fs_node *n = *node_place(s, st->st_dev, st->st_ino);
    if (n && n->type != (st->st_mode & S_IFMT)) {
        node_unhash(s, n); /* the host deleted that one, and used its number again */
        n = NULL;
    }
    bool fresh = !n;
    if (fresh) {
        n = node_new(s);
        if (n && !(n->id = fs_ids_add(&s->nodes, n))) {
            node_cancel(s, n);
            n = NULL;
        }
    }
    if (!n || n->fd >= 0) {
        vr_file_close(fd);
        s->d->fds--;
    } else {
        n->fd = fd;
    }
    if (!n) {
        return -ENOMEM;
    }
    if (fresh) {
        n->dev = st->st_dev;
        n->ino = st->st_ino;
        n->type = st->st_mode & S_IFMT;
        node_hash_grow(s);
        node_hash(s, n);
    }
    fs_node_hold(c, n);
    /* Of several links to a file, the last one that was looked at counts. */
    node_place_at(s, n, dir, name);
    *ret_node = n;
    return 0;
}

/* The node of what was seen as @dir/@name, held, if there is one and it is open: its descriptor
 * keeps the number of its inode from being used for another file. */
static bool node_seen(struct fs_call *c, struct fs_node *dir, const char *name,
                      const struct stat *st, struct fs_node **ret_node)
{
    vr_mutex_lock(&c->d->lock);
    struct fs_node *n = *node_place(c->s, st->st_dev, st->st_ino);
    bool seen = n && n->fd >= 0 && n->type == (st->st_mode & S_IFMT);
    if (seen) {
        fs_node_hold(c, n);
        node_place_at(c->s, n, dir, name);
        *ret_node = n;
    }
    vr_mutex_unlock(&c->d->lock);
    return seen;
}

int fs_node_find(struct fs_call *c, struct fs_node *dir, const char *name,
                 struct fs_node **ret_node, struct stat *ret_stat)
{
    /* Most files that a guest asks for it knows already: then looking is enough. */
    int fd, r = vr_jail_stat_at(c->d->jail, dir->fd, name, ret_stat);
    if (r == 0 && node_seen(c, dir, name, ret_stat, ret_node)) {
        return 0;
    }
    if (r < 0 && r != -EXDEV) {
        return r;
    }
    r = fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    r = vr_jail_find(c->d->jail, dir->fd, name, &fd, ret_stat);
    if (r < 0) {
        fs_fd_give(c->d);
        return r;
    }
    vr_mutex_lock(&c->d->lock);
    r = node_known(c, dir, name, fd, ret_stat, ret_node);
    vr_mutex_unlock(&c->d->lock);
    return r;
}

void fs_node_looked_up(struct fs_call *c, struct fs_node *n)
{
    vr_mutex_lock(&c->d->lock);
    n->lookups++;
    vr_mutex_unlock(&c->d->lock);
}

void fs_node_forget(struct fs_session *s, uint64_t id, uint64_t count)
{
    vr_mutex_lock(&s->d->lock);
    struct fs_node *n = fs_ids_get(&s->nodes, id);
    if (n && n != s->root) {
        n->lookups -= count < n->lookups ? count : n->lookups;
        node_check(s, n);
    }
    vr_mutex_unlock(&s->d->lock);
}

void fs_node_removed(struct fs_call *c, struct fs_node *n, struct fs_node *dir, const char *name)
{
    vr_mutex_lock(&c->d->lock);
    if (n->parent == dir && strcmp(n->name, name) == 0) {
        node_place_at(c->s, n, NULL, NULL);
    }
    vr_mutex_unlock(&c->d->lock);
}

void fs_node_moved(struct fs_call *c, struct fs_node *n, struct fs_node *dir, const char *name)
{
    vr_mutex_lock(&c->d->lock);
    node_place_at(c->s, n, dir, name);
    vr_mutex_unlock(&c->d->lock);
}

int fs_node_where(struct fs_call *c, struct fs_node *n, struct fs_node **ret_dir, char **ret_name)
{
    vr_mutex_lock(&c->d->lock);
    uint64_t dir = n->parent ? n->parent->id : 0;
    char *name = n->parent ? strdup(n->name) : NULL;
    vr_mutex_unlock(&c->d->lock);
    int r = !dir ? -ESTALE : !name ? -ENOMEM : fs_node_get(c, dir, ret_dir);
    if (r < 0) {
        free(name);
        return r;
    }
    *ret_name = name;
    return 0;
}

int fs_node_replace(struct fs_call *c, struct fs_node *n, int handle)
{
    struct stat st;
    int r = vr_jail_stat(handle, &st);
    if (r < 0) {
        return r;
    }
    vr_mutex_lock(&c->d->lock);
    /* Other requests may be using the number: it means the new file at once. */
    if (dup3(handle, n->fd, O_CLOEXEC) < 0) {
        r = -errno;
    } else {
        node_unhash(c->s, n);
        n->dev = st.st_dev;
        n->ino = st.st_ino;
        n->type = st.st_mode & S_IFMT;
        node_hash(c->s, n);
    }
    vr_mutex_unlock(&c->d->lock);
    return r;
}

/* --- Sessions that are restored --- */

struct fs_node *fs_node_add_locked(struct fs_session *s, uint64_t id, const char *name)
{
    struct fs_node *n = node_new(s);
    char *copy = n ? strdup(name) : NULL;
    if (!copy || !fs_ids_put(&s->nodes, id, n, s->d->nodes_max)) {
        free(copy);
        if (n) {
            node_cancel(s, n);
        }
        return NULL;
    }
    n->id = id;
    n->name = copy;
    return n;
}

int fs_node_settle(struct fs_session *s, struct fs_node *n)
{
    struct stat st;
    int fd, r = n->parent->fd < 0 ? -ESTALE : fs_fd_take(s);
    if (r < 0) {
        return r;
    }
    r = vr_jail_find(s->d->jail, n->parent->fd, n->name, &fd, &st);
    vr_mutex_lock(&s->d->lock);
    bool good = r == 0 && (st.st_mode & S_IFMT) == n->type && !*node_place(s, st.st_dev, st.st_ino);
    if (good) {
        n->fd = fd;
        n->dev = st.st_dev;
        n->ino = st.st_ino;
        n->lost = false;
        node_hash_grow(s);
        node_hash(s, n);
        node_make_idle(s, n);
    } else {
        if (r == 0) {
            vr_file_close(fd);
        }
        s->d->fds--;
    }
    vr_mutex_unlock(&s->d->lock);
    return good ? 0 : -ESTALE;
}
