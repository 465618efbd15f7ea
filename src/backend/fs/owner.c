/*
 * Owners and modes. The process that runs us cannot give files away, and should not make
 * set-user-ID programs or devices on the host for a guest. So a file on the host belongs to our
 * user, with a mode that lets us work and gives others no right to write, and what differs for the
 * guest is kept in the attribute user.vireo.stat: "UID GID MODE RDEV", MODE octal and with the
 * type. A file without it is what it looks like, our user being `uid` and `gid` (root) in the
 * guest.
 *
 * What the host's user may not or should not make is a regular file with such an attribute:
 * devices, FIFOs, sockets (empty), and symbolic links of other owners (the text).
 *
 * Attributes that only root may set are kept under user.vireo.x.: security.*, trusted.*.
 */
#include "backend/fs/server.h"
#include "base/alloc.h"
#include "vireo/host_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define OWNER_XATTR "user.vireo.stat"
#define OWNER_OURS  "user.vireo."
#define OWNER_OTHER "user.vireo.x."
enum { OWNER_TEXT = 64, OWNER_NOBODY = 65534, OWNER_BITS = 07777 };

/* As it looks, without the attribute. */
static void owner_plain(const struct dir_fs *d, const struct stat *st, struct fs_owner *o)
{
    *o = (struct fs_owner){
        .uid = st->st_uid == d->user_uid ? d->uid
               : d->root_user            ? st->st_uid
                                         : OWNER_NOBODY,
        .gid = st->st_gid == d->user_gid ? d->gid
               : d->root_user            ? st->st_gid
                                         : OWNER_NOBODY,
        .mode = st->st_mode,
        .rdev = (uint32_t)st->st_rdev,
    };
    if (S_ISLNK(st->st_mode)) {
        o->mode = S_IFLNK | 0777;
    }
}

static bool owner_parse(const char *text, const struct stat *st, struct fs_owner *o)
{
    struct fs_owner got;
    int end = -1;
    if (text[strspn(text, "0123456789 ")] ||
        sscanf(text, "%10u %10u %7o %10u%n", &got.uid, &got.gid, &got.mode, &got.rdev, &end) != 4 ||
        end < 0 || text[end]) {
        return false;
    }
    mode_t type = got.mode & S_IFMT;
    bool special = type == S_IFLNK || type == S_IFCHR || type == S_IFBLK || type == S_IFIFO ||
                   type == S_IFSOCK;
    if (type != (st->st_mode & S_IFMT) && !(special && S_ISREG(st->st_mode))) {
        return false;
    }
    *o = got;
    return true;
}

static bool owner_may_have_xattr(const struct stat *st)
{
    return S_ISREG(st->st_mode) || S_ISDIR(st->st_mode);
}

/*
 * Reading an attribute costs more than all else that is asked of a file. So what was read is kept,
 * for the file and the time of its last change (ctime), which changes with its attributes, and
 * which no guest can set. Where time goes in ticks, a change may leave a ctime as it is, if the
 * last one was a moment ago: only what has been still for a while is kept.
 */
enum { OWNERS_ROWS_LOG2 = 12, OWNERS_IN_ROW = 4 };
#define OWNERS_STILL_NS INT64_C(100000000)

struct fs_owners {
    struct vr_mutex lock;
    struct owner_kept {
        ino_t ino; /* 0: nothing */
        struct timespec ctime;
        struct fs_owner owner;
    } kept[1 << OWNERS_ROWS_LOG2][OWNERS_IN_ROW]; /* in a row, the first one is the newest */
};

struct fs_owners *fs_owners_create(const struct vr_jail *jail)
{
    struct fs_owners *o = vr_jail_has_ctimes(jail) ? vr_zalloc(sizeof(*o)) : NULL;
    if (o) {
        vr_mutex_init(&o->lock);
    }
    return o;
}

void fs_owners_destroy(struct fs_owners *o)
{
    if (o) {
        vr_mutex_fini(&o->lock);
        free(o);
    }
}

static struct owner_kept *owner_row(struct fs_owners *o, ino_t ino)
{
    return o->kept[(uint64_t)ino * UINT64_C(0x9e3779b97f4a7c15) >> (64 - OWNERS_ROWS_LOG2)];
}

/* The place of @ino in its row; of one that is not there, the one to give up. */
static struct owner_kept *owner_place(struct fs_owners *o, ino_t ino)
{
    struct owner_kept *row = owner_row(o, ino);
    unsigned at = 0;
    while (at < OWNERS_IN_ROW - 1 && row[at].ino != ino) {
        at++;
    }
    return &row[at];
}

static bool owner_known(const struct dir_fs *d, const struct stat *st, struct fs_owner *ret_owner)
{
    if (!d->owners || st->st_dev != d->dev) {
        return false;
    }
    vr_mutex_lock(&d->owners->lock);
    const struct owner_kept *k = owner_place(d->owners, st->st_ino);
    bool known = k->ino == st->st_ino && k->ctime.tv_sec == st->st_ctim.tv_sec &&
                 k->ctime.tv_nsec == st->st_ctim.tv_nsec;
    if (known) {
        *ret_owner = k->owner;
    }
    vr_mutex_unlock(&d->owners->lock);
    return known;
}

/* @owner was read after @st. */
static void owner_keep(const struct dir_fs *d, const struct stat *st, const struct fs_owner *owner)
{
    int64_t changed_ns = st->st_ctim.tv_sec * INT64_C(1000000000) + st->st_ctim.tv_nsec;
    if (!d->owners || st->st_dev != d->dev ||
        (int64_t)vireo_realtime_ns() - changed_ns < OWNERS_STILL_NS) {
        return;
    }
    vr_mutex_lock(&d->owners->lock);
    struct owner_kept *row = owner_row(d->owners, st->st_ino);
    struct owner_kept *old = owner_place(d->owners, st->st_ino);
    memmove(row + 1, row, (size_t)(old - row) * sizeof(*row));
    *row = (struct owner_kept){.ino = st->st_ino, .ctime = st->st_ctim, .owner = *owner};
    vr_mutex_unlock(&d->owners->lock);
}

/* What the attribute says of a file that looks like @owner: @text, of @len bytes, or an error.
 * true: that is how it is, false: nobody knows. */
static bool owner_said(const struct stat *st, char text[OWNER_TEXT], ssize_t len,
                       struct fs_owner *owner)
{
    if (len > 0) {
        text[len] = '\0';
        (void)owner_parse(text, st, owner); /* damaged: as if it were not there */
    }
    return len >= 0 || len == -ENODATA || len == -EOPNOTSUPP;
}

void fs_owner_get(const struct dir_fs *d, int handle, const struct stat *st,
                  struct fs_owner *ret_owner)
{
    char text[OWNER_TEXT];
    owner_plain(d, st, ret_owner);
    if (owner_may_have_xattr(st) && !owner_known(d, st, ret_owner)) {
        ssize_t len = vr_jail_xattr_get(handle, OWNER_XATTR, text, sizeof(text) - 1);
        if (owner_said(st, text, len, ret_owner)) {
            owner_keep(d, st, ret_owner);
        }
    }
}

mode_t fs_owner_host_mode(uint32_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFDIR:
        return (mode & 0755) | 0700;
    case S_IFREG:
        return (mode & 0755) | 0600;
    default:
        return 0600;
    }
}

bool fs_owner_plain(const struct dir_fs *d, const struct fs_owner *want)
{
    return want->uid == d->uid && want->gid == d->gid;
}

int fs_owner_set(const struct dir_fs *d, int handle, const struct fs_owner *want, bool fresh)
{
    struct stat st;
    struct fs_owner plain;
    char text[OWNER_TEXT];
    int r = vr_jail_stat(handle, &st);
    if (r < 0) {
        return r;
    }
    if (!owner_may_have_xattr(&st)) {
        owner_plain(d, &st, &plain);
        return want->uid == plain.uid && want->gid == plain.gid ? 0 : -EPERM;
    }
    mode_t mode = fs_owner_host_mode(want->mode);
    if (!fresh && (st.st_mode & OWNER_BITS) != mode) {
        r = vr_jail_chmod(d->jail, handle, mode);
        if (r < 0) {
            return r;
        }
        st.st_mode = (st.st_mode & S_IFMT) | mode;
    }
    owner_plain(d, &st, &plain);
    if (memcmp(&plain, want, sizeof(plain)) == 0) {
        r = fresh ? 0 : vr_jail_xattr_remove(d->jail, handle, OWNER_XATTR);
        return r == -ENODATA || r == -EOPNOTSUPP ? 0 : r;
    }
    int len =
        snprintf(text, sizeof(text), "%u %u %o %u", want->uid, want->gid, want->mode, want->rdev);
    r = vr_jail_xattr_set(d->jail, handle, OWNER_XATTR, text, (size_t)len, 0);
    if (r == -EOPNOTSUPP) {
        /* This file system keeps no attributes, which was said when it was opened. */
        r = fresh && (plain.mode & S_IFMT) == (want->mode & S_IFMT) ? 0 : -EPERM;
        if (!fresh && plain.uid == want->uid && plain.gid == want->gid) {
            r = 0; /* a mode, as near as the host's comes */
        }
    }
    return r;
}

bool fs_owner_stranger(const struct fs_call *c, uint32_t gid)
{
    return c->h.uid != 0 && c->h.gid != gid;
}

void fs_owner_drop_priv(const struct fs_call *c, struct fs_owner *o)
{
    o->mode &= ~(uint32_t)S_ISUID;
    if ((o->mode & S_IXGRP) || fs_owner_stranger(c, o->gid)) {
        o->mode &= ~(uint32_t)S_ISGID;
    }
}

int fs_owner_kill_priv(const struct fs_call *c, int handle)
{
    struct stat st;
    struct fs_owner o;
    const struct dir_fs *d = c->d;
    int r = vr_jail_stat(handle, &st);
    if (r < 0 || !S_ISREG(st.st_mode)) {
        return r;
    }
    char name[FS_XATTR_NAME];
    r = fs_xattr_name("security.capability", name);
    r = r < 0 ? r : vr_jail_xattr_remove(d->jail, handle, name);
    r = r == -ENODATA || r == -EOPNOTSUPP ? 0 : r;
    fs_owner_get(d, handle, &st, &o);
    uint32_t old = o.mode;
    fs_owner_drop_priv(c, &o);
    return r < 0 || o.mode == old ? r : fs_owner_set(d, handle, &o, false);
}

int fs_owner_type_at(const struct dir_fs *d, int dir, const char *name, uint32_t *ret_type)
{
    char text[OWNER_TEXT];
    struct stat st = {.st_mode = S_IFREG}, after;
    struct fs_owner o;
    int r = vr_jail_stat_at(d->jail, dir, name, &st);
    if (r < 0 && r != -EXDEV) {
        return r;
    }
    owner_plain(d, &st, &o);
    if (S_ISREG(st.st_mode) && !owner_known(d, &st, &o)) {
        ssize_t len = vr_jail_xattr_at(dir, name, OWNER_XATTR, text, sizeof(text) - 1);
        /* The name may have come to mean another file, and be back: then its ctime is new. */
        if (owner_said(&st, text, len, &o) && r == 0 &&
            vr_jail_stat_at(d->jail, dir, name, &after) == 0 && after.st_ino == st.st_ino &&
            after.st_ctim.tv_sec == st.st_ctim.tv_sec &&
            after.st_ctim.tv_nsec == st.st_ctim.tv_nsec) {
            owner_keep(d, &st, &o);
        }
    }
    *ret_type = IFTODT(o.mode);
    return 0;
}

void fs_attr_fill(const struct dir_fs *d, int handle, const struct stat *st,
                  struct fuse_attr *ret_attr)
{
    struct fs_owner o;
    fs_owner_get(d, handle, st, &o);
    *ret_attr = (struct fuse_attr){
        /* Numbers of other file systems that are mounted below must not meet ours. */
        .ino = st->st_dev == d->dev ? st->st_ino : st->st_ino ^ (uint64_t)st->st_dev << 44,
        .size = (uint64_t)st->st_size,
        .blocks = (uint64_t)st->st_blocks,
        .atime = (uint64_t)st->st_atim.tv_sec,
        .mtime = (uint64_t)st->st_mtim.tv_sec,
        .ctime = (uint64_t)st->st_ctim.tv_sec,
        .atimensec = (uint32_t)st->st_atim.tv_nsec,
        .mtimensec = (uint32_t)st->st_mtim.tv_nsec,
        .ctimensec = (uint32_t)st->st_ctim.tv_nsec,
        .mode = o.mode,
        .nlink = (uint32_t)st->st_nlink,
        .uid = o.uid,
        .gid = o.gid,
        .rdev = o.rdev,
        .blksize = (uint32_t)st->st_blksize,
    };
}

bool fs_lift(struct fs_call *c, struct fs_node *n)
{
    struct stat st;
    struct fs_owner o;
    struct dir_fs *d = c->d;
    if (d->read_only || !vr_jail_has_xattrs(d->jail) || vr_jail_stat(n->fd, &st) < 0 ||
        st.st_uid != d->user_uid || !owner_may_have_xattr(&st)) {
        return false;
    }
    mode_t now = st.st_mode & OWNER_BITS, mode = now | (S_ISDIR(st.st_mode) ? 0700 : 0600);
    fs_owner_get(d, n->fd, &st, &o);
    /* For the attribute, too, it has to be writable first. */
    return mode != now && vr_jail_chmod(d->jail, n->fd, mode) == 0 &&
           fs_owner_set(d, n->fd, &o, false) == 0;
}

int fs_open(struct fs_call *c, struct fs_node *n, int flags, int *ret_fd)
{
    int r = vr_jail_reopen(c->d->jail, n->fd, flags, ret_fd);
    return r == -EACCES && fs_lift(c, n) ? vr_jail_reopen(c->d->jail, n->fd, flags, ret_fd) : r;
}

int fs_xattr_name(const char *guest, char host[FS_XATTR_NAME])
{
    bool root = strncmp(guest, "security.", 9) == 0 || strncmp(guest, "trusted.", 8) == 0;
    if (!root && strncmp(guest, "user.", 5) != 0) {
        return -EOPNOTSUPP; /* system.posix_acl_*, for one */
    }
    if (strncmp(guest, OWNER_OURS, sizeof(OWNER_OURS) - 1) == 0) {
        return -EPERM;
    }
    int len = snprintf(host, FS_XATTR_NAME, "%s%s", root ? OWNER_OTHER : "", guest);
    return len >= FS_XATTR_NAME ? -ERANGE : 0;
}

const char *fs_xattr_guest(const char *host)
{
    size_t other = sizeof(OWNER_OTHER) - 1;
    if (strncmp(host, OWNER_OTHER, other) == 0) {
        return host + other;
    }
    bool ours = strncmp(host, OWNER_OURS, sizeof(OWNER_OURS) - 1) == 0;
    return !ours && strncmp(host, "user.", 5) == 0 ? host : NULL;
}
