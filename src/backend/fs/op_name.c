/* Operations on names: look up, make, remove, rename; and on what a file is. */
#include "backend/fs/server.h"
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

/* A name in a folder, and what a new file there will be. */
struct op_new {
    struct fs_node *dir;
    const char *name;
    struct fs_owner owner;
    const char *target; /* of a symbolic link */
    int flags;          /* of open(2) */
    int fd;
};

void fs_valid(const struct dir_fs *d, uint64_t *ret_s, uint32_t *ret_ns)
{
    *ret_s = d->cache == VR_FS_CACHE_ALWAYS ? 86400 : d->cache == VR_FS_CACHE_AUTO ? 1 : 0;
    *ret_ns = 0;
}

void fs_entry_out(struct fs_call *c, struct fs_node *n, const struct stat *st,
                  struct fuse_entry_out *ret_out)
{
    *ret_out = (struct fuse_entry_out){.nodeid = n->id};
    fs_valid(c->d, &ret_out->entry_valid, &ret_out->entry_valid_nsec);
    fs_valid(c->d, &ret_out->attr_valid, &ret_out->attr_valid_nsec);
    fs_attr_fill(c->d, n->fd, st, &ret_out->attr);
}

static int name_find(struct fs_call *c, struct fs_node *dir, const char *name,
                     struct fs_node **ret_node, struct stat *ret_stat)
{
    int r = fs_node_find(c, dir, name, ret_node, ret_stat);
    return r == -EACCES && fs_lift(c, dir) ? fs_node_find(c, dir, name, ret_node, ret_stat) : r;
}

/* Look @name up for the guest. */
static int name_entry(struct fs_call *c, struct fs_node *dir, const char *name,
                      struct fs_node **ret_node)
{
    struct stat st;
    struct fuse_entry_out out;
    if (c->out_bytes < sizeof(struct fuse_out_header) + sizeof(out)) {
        return -ERANGE; /* a reply that does not arrive would be forgotten by nobody */
    }
    int r = name_find(c, dir, name, ret_node, &st);
    if (r < 0) {
        return r;
    }
    fs_entry_out(c, *ret_node, &st, &out);
    r = fs_reply(c, &out, sizeof(out));
    if (r == 0) {
        fs_node_looked_up(c, *ret_node);
    }
    return r;
}

/* The folder that the request is about, and the next name in it. */
static int name_dir(struct fs_call *c, struct fs_node **ret_dir, const char **ret_name)
{
    int r = fs_name(c, ret_name);
    return r < 0 ? r : fs_node_get(c, c->h.nodeid, ret_dir);
}

int op_lookup(struct fs_call *c)
{
    struct fs_node *dir, *n;
    const char *name;
    int r = name_dir(c, &dir, &name);
    return r < 0 ? r : name_entry(c, dir, name, &n);
}

/* --- What a file is --- */

static int name_attr_reply(struct fs_call *c, int handle)
{
    struct stat st;
    struct fuse_attr_out out = {.dummy = 0};
    int r = vr_jail_stat(handle, &st);
    if (r < 0) {
        return r;
    }
    fs_valid(c->d, &out.attr_valid, &out.attr_valid_nsec);
    fs_attr_fill(c->d, handle, &st, &out.attr);
    return fs_reply(c, &out, sizeof(out));
}

int op_getattr(struct fs_call *c)
{
    struct fs_node *n;
    int r = fs_node_get(c, c->h.nodeid, &n);
    return r < 0 ? r : name_attr_reply(c, n->fd);
}

static int setattr_size(struct fs_call *c, struct fs_node *n, const struct fuse_setattr_in *in)
{
    struct fs_handle *h;
    if (c->d->read_only) {
        return -EROFS;
    }
    if (in->size > INT64_MAX) {
        return -EFBIG;
    }
    if (in->valid & FATTR_FH) {
        int r = fs_handle_get(c, in->fh, false, &h);
        return r < 0 ? r : ftruncate(h->fd, (off_t)in->size) < 0 ? -errno : 0;
    }
    int fd, r = fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    r = fs_open(c, n, O_WRONLY, &fd);
    if (r == 0) {
        r = ftruncate(fd, (off_t)in->size) < 0 ? -errno : 0;
        vr_file_close(fd);
    }
    fs_fd_give(c->d);
    return r;
}

/* What the guest sees of @n. */
static int name_owner(const struct fs_call *c, const struct fs_node *n, struct fs_owner *ret_owner)
{
    struct stat st;
    int r = vr_jail_stat(n->fd, &st);
    if (r == 0) {
        fs_owner_get(c->d, n->fd, &st, ret_owner);
    }
    return r;
}

static int setattr_owner(struct fs_call *c, struct fs_node *n, const struct fuse_setattr_in *in)
{
    struct stat st;
    struct fs_owner o;
    int r = vr_jail_stat(n->fd, &st);
    if (r < 0) {
        return r;
    }
    fs_owner_get(c->d, n->fd, &st, &o);
    if (in->valid & FATTR_MODE) {
        o.mode = (o.mode & S_IFMT) | (in->mode & 07777);
        if (fs_owner_stranger(c, o.gid)) {
            o.mode &= ~(uint32_t)S_ISGID;
        }
    } else if (S_ISREG(o.mode) && (in->valid & (FATTR_UID | FATTR_GID))) {
        fs_owner_drop_priv(c, &o);
    }
    o.uid = in->valid & FATTR_UID ? in->uid : o.uid;
    o.gid = in->valid & FATTR_GID ? in->gid : o.gid;
    r = fs_owner_set(c->d, n->fd, &o, false);
    return r == -EPERM && S_ISLNK(st.st_mode) ? fs_link_give(c, n, &o) : r;
}

static int setattr_times(struct fs_call *c, struct fs_node *n, const struct fuse_setattr_in *in)
{
    struct timespec t[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_nsec = UTIME_OMIT}};
    if (in->valid & FATTR_ATIME_NOW) {
        t[0].tv_nsec = UTIME_NOW;
    } else if (in->valid & FATTR_ATIME) {
        t[0] = (struct timespec){.tv_sec = (time_t)in->atime, .tv_nsec = in->atimensec};
    }
    if (in->valid & FATTR_MTIME_NOW) {
        t[1].tv_nsec = UTIME_NOW;
    } else if (in->valid & FATTR_MTIME) {
        t[1] = (struct timespec){.tv_sec = (time_t)in->mtime, .tv_nsec = in->mtimensec};
    }
    return vr_jail_times(c->d->jail, n->fd, t);
}

int op_setattr(struct fs_call *c)
{
    const struct fuse_setattr_in *in = (const void *)c->arg;
    struct fs_node *n;
    int r = fs_node_get(c, c->h.nodeid, &n);
    if (r == 0 && c->d->read_only) {
        r = -EROFS;
    }
    if (r == 0 && (in->valid & (FATTR_MODE | FATTR_UID | FATTR_GID))) {
        r = setattr_owner(c, n, in);
    }
    if (r == 0 && (in->valid & FATTR_SIZE)) {
        r = setattr_size(c, n, in);
    }
    if (r == 0 && (in->valid & FATTR_KILL_SUIDGID)) {
        r = fs_owner_kill_priv(c, n->fd);
    }
    if (r == 0 && (in->valid & (FATTR_ATIME | FATTR_MTIME | FATTR_ATIME_NOW | FATTR_MTIME_NOW))) {
        r = setattr_times(c, n, in);
    }
    return r < 0 ? r : name_attr_reply(c, n->fd);
}

int op_access(struct fs_call *c)
{
    const struct fuse_access_in *in = (const void *)c->arg;
    struct fs_node *n;
    struct fs_owner o;
    int r = fs_node_get(c, c->h.nodeid, &n);
    r = r < 0 ? r : name_owner(c, n, &o);
    if (r < 0) {
        return r;
    }
    unsigned shift = c->h.uid == o.uid ? 6 : c->h.gid == o.gid ? 3 : 0, mask = in->mask & 7;
    bool any_x = S_ISDIR(o.mode) || (o.mode & 0111);
    if ((mask & W_OK) && c->d->read_only) {
        return -EROFS;
    }
    bool may = c->h.uid == 0 ? !(mask & X_OK) || any_x : (o.mode >> shift & mask) == mask;
    return may ? 0 : -EACCES;
}

int op_statfs(struct fs_call *c)
{
    struct fs_node *n;
    struct vr_jail_space space;
    int r = fs_node_get(c, c->h.nodeid, &n);
    r = r < 0 ? r : vr_jail_space(n->fd, &space);
    if (r < 0) {
        return r;
    }
    struct fuse_statfs_out out = {
        .blocks = space.blocks,
        .bfree = space.blocks_free,
        .bavail = space.blocks_avail,
        .files = space.files,
        .ffree = space.files_free,
        .bsize = space.block_bytes,
        .namelen = space.name_max,
        .frsize = space.fragment_bytes,
    };
    return fs_reply(c, &out, sizeof(out));
}

int op_syncfs(struct fs_call *c)
{
    return vr_jail_sync(c->d->jail);
}

/* --- New files --- */

/* Who a new file in @dir belongs to (of a set-group-ID folder: to its group). */
static int new_owner(struct fs_call *c, struct op_new *new, uint32_t mode, uint32_t rdev)
{
    struct fs_owner dir;
    int r = name_owner(c, new->dir, &dir);
    if (r < 0) {
        return r;
    }
    new->owner = (struct fs_owner){.uid = c->h.uid, .gid = c->h.gid, .mode = mode, .rdev = rdev};
    if (dir.mode & S_ISGID) {
        new->owner.gid = dir.gid;
        new->owner.mode |= S_ISDIR(mode) ? S_ISGID : 0;
        if (S_ISREG(mode) && (mode & S_IXGRP) && fs_owner_stranger(c, dir.gid)) {
            new->owner.mode &= ~(uint32_t)S_ISGID;
        }
    }
    return 0;
}

/* Make the file, with its descriptor in new->fd unless it is a folder or a symbolic link. */
static int new_on_host(struct fs_call *c, struct op_new *new)
{
    struct vr_jail *jail = c->d->jail;
    mode_t mode = fs_owner_host_mode(new->owner.mode);
    if (S_ISDIR(new->owner.mode)) {
        return vr_jail_mkdir(jail, new->dir->fd, new->name, mode);
    }
    if (S_ISLNK(new->owner.mode) && fs_owner_plain(c->d, &new->owner)) {
        return vr_jail_symlink(jail, new->dir->fd, new->name, new->target);
    }
    return vr_jail_create(jail, new->dir->fd, new->name, new->flags, mode, &new->fd);
}

/* Make it, owned as it should be; a descriptor has been taken for new->fd. */
static int new_make(struct fs_call *c, struct op_new *new)
{
    struct fs_node *n;
    struct stat st;
    new->fd = -1;
    int r = new_on_host(c, new);
    if (r == -EACCES && fs_lift(c, new->dir)) {
        r = new_on_host(c, new);
    }
    if (r < 0) {
        return r;
    }
    if (new->fd >= 0) {
        r = fs_owner_set(c->d, new->fd, &new->owner, true);
        if (r == 0 && new->target) {
            r = fs_link_write(new->fd, new->target);
        }
    } else if (S_ISDIR(new->owner.mode)) {
        r = fs_node_find(c, new->dir, new->name, &n, &st);
        r = r < 0 ? r : fs_owner_set(c->d, n->fd, &new->owner, true);
    }
    if (r < 0) { /* not half of it */
        (void)!vr_jail_unlink(c->d->jail, new->dir->fd, new->name, S_ISDIR(new->owner.mode));
    }
    return r;
}

/* Make it and tell the guest, which does not open it. */
static int new_entry(struct fs_call *c, struct op_new *new, uint32_t mode, uint32_t rdev)
{
    struct fs_node *n;
    int r = new_owner(c, new, mode, rdev);
    r = r < 0 ? r : fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    new->flags = O_RDWR;
    r = new_make(c, new);
    vr_file_close(new->fd);
    fs_fd_give(c->d);
    return r < 0 ? r : name_entry(c, new->dir, new->name, &n);
}

int op_mkdir(struct fs_call *c)
{
    const struct fuse_mkdir_in *in = (const void *)c->arg;
    struct op_new new = {.fd = -1};
    int r = name_dir(c, &new.dir, &new.name);
    return r < 0 ? r : new_entry(c, &new, S_IFDIR | (in->mode & 07777), 0);
}

int op_mknod(struct fs_call *c)
{
    const struct fuse_mknod_in *in = (const void *)c->arg;
    struct op_new new = {.fd = -1};
    mode_t type = in->mode & S_IFMT;
    int r = name_dir(c, &new.dir, &new.name);
    bool device = type == S_IFCHR || type == S_IFBLK;
    if (r == 0 && !device && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK) {
        r = -EINVAL;
    }
    return r < 0 ? r : new_entry(c, &new, type | (in->mode & 07777), device ? in->rdev : 0);
}

int op_symlink(struct fs_call *c)
{
    struct op_new new = {.fd = -1};
    int r = name_dir(c, &new.dir, &new.name);
    r = r < 0 ? r : fs_text(c, &new.target);
    if (r == 0 && (!*new.target || strlen(new.target) >= VR_JAIL_LINK_MAX)) {
        r = *new.target ? -ENAMETOOLONG : -ENOENT;
    }
    return r < 0 ? r : new_entry(c, &new, S_IFLNK | 0777, 0);
}

/* Flags that are the same for all guests. */
int fs_open_flags(const struct fs_session *s, uint32_t flags)
{
    int f = (int)(flags & (O_ACCMODE | O_TRUNC | O_DSYNC | O_SYNC));
    /* A guest that caches writes reads around them, whatever the program asked for. */
    if ((s->flags & FUSE_WRITEBACK_CACHE) && (f & O_ACCMODE) == O_WRONLY) {
        f = (f & ~O_ACCMODE) | O_RDWR;
    }
    return f;
}

/* What the guest may do with its cache of an opened file. */
static uint32_t name_open_reply(const struct dir_fs *d)
{
    uint32_t flags = d->host_locks ? 0 : FOPEN_NOFLUSH;
    flags |= FOPEN_PARALLEL_DIRECT_WRITES;
    return flags | (d->cache == VR_FS_CACHE_NEVER ? 0 : FOPEN_KEEP_CACHE);
}

/* Open @n, which is a regular file also to the guest; a descriptor has been taken. */
static int name_open(struct fs_call *c, struct fs_node *n, uint32_t flags, uint32_t open_flags,
                     int *ret_fd)
{
    struct fs_owner o;
    int r = name_owner(c, n, &o);
    if (r < 0) {
        return r;
    }
    if (!S_ISREG(o.mode)) {
        return S_ISDIR(o.mode) ? -EISDIR : S_ISLNK(o.mode) ? -ELOOP : -ENXIO;
    }
    r = fs_open(c, n, fs_open_flags(c->s, flags), ret_fd);
    if (r == 0 && (flags & O_TRUNC) && (open_flags & FUSE_OPEN_KILL_SUIDGID)) {
        r = fs_owner_kill_priv(c, n->fd);
        if (r < 0) {
            vr_file_close(*ret_fd);
            *ret_fd = -1;
        }
    }
    return r;
}

/* The guest's number for @fd, which is given away. */
static int name_opened(struct fs_call *c, struct fs_node *n, int fd, uint32_t flags)
{
    struct fuse_open_out out = {.open_flags = name_open_reply(c->d)};
    int r = fs_handle_open(c, n, fd, flags, false, &out.fh);
    if (r == 0 && (r = fs_reply(c, &out, sizeof(out))) < 0) {
        fs_handle_remove(c->s, out.fh);
    }
    return r;
}

int op_open(struct fs_call *c)
{
    const struct fuse_open_in *in = (const void *)c->arg;
    struct fs_node *n;
    int fd, r = fs_node_get(c, c->h.nodeid, &n);
    r = r < 0 ? r : fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    r = name_open(c, n, in->flags, in->open_flags, &fd);
    if (r < 0) {
        fs_fd_give(c->d);
        return r;
    }
    return name_opened(c, n, fd, in->flags);
}

int op_create(struct fs_call *c)
{
    const struct fuse_create_in *in = (const void *)c->arg;
    struct op_new new = {.fd = -1};
    struct fs_node *n = NULL;
    if (c->out_bytes < sizeof(struct fuse_out_header) + sizeof(struct fuse_entry_out) +
                           sizeof(struct fuse_open_out)) {
        return -ERANGE;
    }
    int r = name_dir(c, &new.dir, &new.name);
    r = r < 0 ? r : new_owner(c, &new, S_IFREG | (in->mode & 07777), 0);
    r = r < 0 ? r : fs_fd_take(c->s);
    if (r < 0) {
        return r;
    }
    new.flags = fs_open_flags(c->s, in->flags);
    r = new_make(c, &new);
    bool there = r == -EEXIST && !(in->flags & O_EXCL);
    if (r == 0 || there) {
        r = name_entry(c, new.dir, new.name, &n);
        if (r == 0 && there) {
            r = name_open(c, n, in->flags, in->open_flags, &new.fd);
        }
    }
    if (r < 0) {
        vr_file_close(new.fd);
        fs_fd_give(c->d);
    } else {
        r = name_opened(c, n, new.fd, in->flags);
    }
    if (r < 0 && c->reply_len) {
        fs_node_forget(c->s, n->id, 1); /* the guest will not hear of it */
    }
    return r;
}

/* --- Names that go and move --- */

static int name_remove(struct fs_call *c, bool is_dir)
{
    struct fs_node *dir, *n;
    struct stat st;
    const char *name;
    int r = name_dir(c, &dir, &name);
    r = r < 0 ? r : c->d->read_only ? -EROFS : name_find(c, dir, name, &n, &st);
    if (r < 0) {
        return r;
    }
    r = vr_jail_unlink(c->d->jail, dir->fd, name, is_dir);
    if (r == -EACCES && fs_lift(c, dir)) {
        r = vr_jail_unlink(c->d->jail, dir->fd, name, is_dir);
    }
    if (r == 0) {
        fs_node_removed(c, n, dir, name);
    }
    return r;
}

int op_unlink(struct fs_call *c)
{
    return name_remove(c, false);
}

int op_rmdir(struct fs_call *c)
{
    return name_remove(c, true);
}

static int name_rename(struct fs_call *c, uint64_t to_id, uint32_t flags)
{
    struct fs_node *dir, *to_dir, *n, *old = NULL;
    struct stat st;
    const char *name, *to;
    int r = name_dir(c, &dir, &name);
    r = r < 0 ? r : fs_name(c, &to);
    r = r < 0 ? r : fs_node_get(c, to_id, &to_dir);
    r = r < 0 ? r : c->d->read_only ? -EROFS : name_find(c, dir, name, &n, &st);
    if (r < 0) {
        return r;
    }
    r = name_find(c, to_dir, to, &old, &st);
    if (r < 0 && r != -ENOENT) {
        return r;
    }
    r = vr_jail_rename(c->d->jail, dir->fd, name, to_dir->fd, to, flags);
    bool lifted = r == -EACCES && fs_lift(c, dir);
    lifted |= r == -EACCES && fs_lift(c, to_dir);
    if (lifted) {
        r = vr_jail_rename(c->d->jail, dir->fd, name, to_dir->fd, to, flags);
    }
    if (r < 0 || n == old) { /* two links to one file: nothing happens (rename(2)) */
        return r;
    }
    if (old && !(flags & VR_JAIL_EXCHANGE)) {
        fs_node_removed(c, old, to_dir, to);
    } else if (old) {
        fs_node_moved(c, old, dir, name);
    }
    fs_node_moved(c, n, to_dir, to);
    return 0;
}

int op_rename(struct fs_call *c)
{
    const struct fuse_rename_in *in = (const void *)c->arg;
    return name_rename(c, in->newdir, 0);
}

int op_rename2(struct fs_call *c)
{
    const struct fuse_rename2_in *in = (const void *)c->arg;
    return name_rename(c, in->newdir, in->flags);
}

int op_link(struct fs_call *c)
{
    const struct fuse_link_in *in = (const void *)c->arg;
    struct fs_node *dir, *n;
    const char *name;
    int r = name_dir(c, &dir, &name);
    r = r < 0 ? r : fs_node_get(c, in->oldnodeid, &n);
    if (r < 0) {
        return r;
    }
    r = vr_jail_link(c->d->jail, n->fd, dir->fd, name);
    if (r == -EACCES && fs_lift(c, dir)) {
        r = vr_jail_link(c->d->jail, n->fd, dir->fd, name);
    }
    return r < 0 ? r : name_entry(c, dir, name, &n);
}
