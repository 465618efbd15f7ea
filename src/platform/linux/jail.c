/* Jails on Linux: O_PATH descriptors, opened through /proc/self/fd; openat2(2) where the kernel
 * has it (5.6), and without it openat(2) of one name that is not followed, which is no less safe:
 * there is nothing in one name to go astray. */
#include "platform/jail.h"
#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <unistd.h>

enum { JAIL_PROC_PATH = 32 };

struct vr_jail {
    int root;
    dev_t dev;
    bool read_only, xattrs;
    atomic_bool no_openat2;
};

/* The name by which the kernel knows what @fd is: a link that is followed in one step. */
static const char *jail_proc(char buf[JAIL_PROC_PATH], int fd)
{
    snprintf(buf, JAIL_PROC_PATH, "/proc/self/fd/%d", fd);
    return buf;
}

static bool jail_is_proc(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) < 0 || fs.f_type == PROC_SUPER_MAGIC;
}

static int jail_status(int result)
{
    return result < 0 ? -errno : 0;
}

static ssize_t jail_length(ssize_t result)
{
    return result < 0 ? -errno : result;
}

bool vr_jail_name_ok(const char *name)
{
    size_t len = strlen(name);
    return len > 0 && len <= VR_JAIL_NAME_MAX && !strchr(name, '/') && strcmp(name, ".") != 0 &&
           strcmp(name, "..") != 0;
}

int vr_jail_open(const char *path, bool read_only, struct vr_jail **ret_jail, struct vr_error *err)
{
    int proc = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    bool has_proc = proc >= 0 && jail_is_proc(proc);
    if (proc >= 0) {
        close(proc);
    }
    if (!has_proc) {
        return vr_err(err, -ENOTSUP, "share %s: this host has no /proc, which shares need", path);
    }
    int root = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (root < 0) {
        int r = -errno;
        return vr_err(err, r, "share %s: %s", path,
                      r == -ENOTDIR ? "is not a directory" : strerror(-r));
    }
    struct stat st;
    struct vr_jail *jail = vr_zalloc(sizeof(*jail));
    if (!jail || fstat(root, &st) < 0 || jail_is_proc(root)) {
        int r = !jail ? -ENOMEM : -EPERM;
        close(root);
        free(jail);
        return vr_err(err, r, "share %s: %s", path,
                      r == -ENOMEM ? "no memory" : "a procfs reaches into this process");
    }
    char proc_path[JAIL_PROC_PATH];
    jail->root = root;
    jail->dev = st.st_dev;
    jail->read_only = read_only;
    jail->xattrs =
        getxattr(jail_proc(proc_path, root), "user.vireo.probe", NULL, 0) >= 0 || errno == ENODATA;
    *ret_jail = jail;
    return 0;
}

void vr_jail_close(struct vr_jail *jail)
{
    if (jail) {
        close(jail->root);
        free(jail);
    }
}

int vr_jail_root(const struct vr_jail *jail)
{
    return jail->root;
}

bool vr_jail_read_only(const struct vr_jail *jail)
{
    return jail->read_only;
}

bool vr_jail_has_xattrs(const struct vr_jail *jail)
{
    return jail->xattrs;
}

bool vr_jail_has_ctimes(const struct vr_jail *jail)
{
    struct statfs fs;
    return fstatfs(jail->root, &fs) == 0 &&
           (fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
            fs.f_type == BTRFS_SUPER_MAGIC || fs.f_type == TMPFS_MAGIC);
}

/* One name, below @dir, not followed. */
static int jail_openat(struct vr_jail *jail, int dir, const char *name, int flags, mode_t mode)
{
    flags |= O_NOFOLLOW | O_CLOEXEC;
    if (!vr_jail_name_ok(name)) {
        return -EINVAL;
    }
    if (!atomic_load_explicit(&jail->no_openat2, memory_order_relaxed)) {
        struct open_how how = {.flags = (unsigned)flags,
                               .mode = mode,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
        long fd = syscall(SYS_openat2, dir, name, &how, sizeof(how));
        if (fd >= 0) {
            return (int)fd;
        }
        if (errno != ENOSYS && errno != EPERM) { /* EPERM: also what some sandboxes say instead */
            return -errno;
        }
        if (errno == ENOSYS) {
            atomic_store_explicit(&jail->no_openat2, true, memory_order_relaxed);
        }
    }
    int fd = openat(dir, name, flags, mode);
    return fd < 0 ? -errno : fd;
}

int vr_jail_find(struct vr_jail *jail, int dir, const char *name, int *ret_handle,
                 struct stat *ret_stat)
{
    int fd = jail_openat(jail, dir, name, O_PATH, 0);
    if (fd < 0) {
        return fd;
    }
    int r = vr_jail_stat(fd, ret_stat);
    if (r == 0 && ret_stat->st_dev != jail->dev && jail_is_proc(fd)) {
        r = -EACCES;
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_handle = fd;
    return 0;
}

int vr_jail_stat_at(const struct vr_jail *jail, int dir, const char *name, struct stat *ret_stat)
{
    struct stat st;
    if (!vr_jail_name_ok(name)) {
        return -EINVAL;
    }
    if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) < 0) {
        return -errno;
    }
    if (st.st_dev != jail->dev) { /* a procfs, perhaps */
        return -EXDEV;
    }
    *ret_stat = st;
    return 0;
}

int vr_jail_stat(int handle, struct stat *ret_stat)
{
    return jail_status(fstat(handle, ret_stat));
}

int vr_jail_reopen(struct vr_jail *jail, int handle, int flags, int *ret_fd)
{
    struct stat st;
    char path[JAIL_PROC_PATH];
    flags &= O_ACCMODE | O_TRUNC | O_SYNC | O_DSYNC;
    if (jail->read_only && ((flags & O_ACCMODE) != O_RDONLY || (flags & O_TRUNC))) {
        return -EROFS;
    }
    if (fstat(handle, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode) && !S_ISDIR(st.st_mode)) {
        return -ENXIO;
    }
    int fd = open(jail_proc(path, handle), flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

int vr_jail_create(struct vr_jail *jail, int dir, const char *name, int flags, mode_t mode,
                   int *ret_fd)
{
    if (jail->read_only) {
        return -EROFS;
    }
    flags &= O_ACCMODE | O_SYNC | O_DSYNC;
    int fd = jail_openat(jail, dir, name, flags | O_CREAT | O_EXCL | O_NOCTTY, mode);
    if (fd < 0) {
        return fd;
    }
    *ret_fd = fd;
    return 0;
}

/* May @name be made or removed? */
static int jail_change(const struct vr_jail *jail, const char *name)
{
    return jail->read_only ? -EROFS : vr_jail_name_ok(name) ? 0 : -EINVAL;
}

int vr_jail_mkdir(struct vr_jail *jail, int dir, const char *name, mode_t mode)
{
    int r = jail_change(jail, name);
    return r < 0 ? r : jail_status(mkdirat(dir, name, mode));
}

int vr_jail_symlink(struct vr_jail *jail, int dir, const char *name, const char *target)
{
    int r = jail_change(jail, name);
    return r < 0 ? r : jail_status(symlinkat(target, dir, name));
}

int vr_jail_link(struct vr_jail *jail, int handle, int dir, const char *name)
{
    char path[JAIL_PROC_PATH];
    int r = jail_change(jail, name);
    return r < 0 ? r
                 : jail_status(
                       linkat(AT_FDCWD, jail_proc(path, handle), dir, name, AT_SYMLINK_FOLLOW));
}

int vr_jail_unlink(struct vr_jail *jail, int dir, const char *name, bool is_dir)
{
    int r = jail_change(jail, name);
    return r < 0 ? r : jail_status(unlinkat(dir, name, is_dir ? AT_REMOVEDIR : 0));
}

int vr_jail_rename(struct vr_jail *jail, int from_dir, const char *from, int to_dir, const char *to,
                   unsigned flags)
{
    int r = jail_change(jail, from);
    r = r < 0 ? r : jail_change(jail, to);
    r = r == 0 && (flags & ~(unsigned)(VR_JAIL_NOREPLACE | VR_JAIL_EXCHANGE)) ? -EINVAL : r;
    return r < 0 ? r : jail_status(syscall(SYS_renameat2, from_dir, from, to_dir, to, flags));
}

ssize_t vr_jail_readlink(int handle, char *buf, size_t size)
{
    return jail_length(readlinkat(handle, "", buf, size));
}

int vr_jail_chmod(struct vr_jail *jail, int handle, mode_t mode)
{
    char path[JAIL_PROC_PATH];
    return jail->read_only ? -EROFS : jail_status(chmod(jail_proc(path, handle), mode));
}

int vr_jail_times(struct vr_jail *jail, int handle, const struct timespec times[2])
{
    char path[JAIL_PROC_PATH];
    return jail->read_only ? -EROFS
                           : jail_status(utimensat(AT_FDCWD, jail_proc(path, handle), times, 0));
}

int vr_jail_space(int handle, struct vr_jail_space *ret_space)
{
    struct statfs fs;
    if (fstatfs(handle, &fs) < 0) {
        return -errno;
    }
    *ret_space = (struct vr_jail_space){
        .blocks = fs.f_blocks,
        .blocks_free = fs.f_bfree,
        .blocks_avail = fs.f_bavail,
        .files = fs.f_files,
        .files_free = fs.f_ffree,
        .block_bytes = (uint32_t)fs.f_bsize,
        .fragment_bytes = (uint32_t)(fs.f_frsize ? fs.f_frsize : fs.f_bsize),
        .name_max = (uint32_t)fs.f_namelen,
    };
    return 0;
}

int vr_jail_sync(struct vr_jail *jail)
{
    int fd = -1, r = vr_jail_reopen(jail, jail->root, O_RDONLY, &fd);
    if (r == 0) {
        r = jail_status(syncfs(fd));
        close(fd);
    }
    return r;
}

ssize_t vr_jail_xattr_get(int handle, const char *name, void *buf, size_t size)
{
    char path[JAIL_PROC_PATH];
    return jail_length(getxattr(jail_proc(path, handle), name, buf, size));
}

ssize_t vr_jail_xattr_list(int handle, char *buf, size_t size)
{
    char path[JAIL_PROC_PATH];
    return jail_length(listxattr(jail_proc(path, handle), buf, size));
}

int vr_jail_xattr_set(struct vr_jail *jail, int handle, const char *name, const void *buf,
                      size_t size, int flags)
{
    char path[JAIL_PROC_PATH];
    return jail->read_only ? -EROFS
                           : jail_status(setxattr(jail_proc(path, handle), name, buf, size, flags));
}

int vr_jail_xattr_remove(struct vr_jail *jail, int handle, const char *name)
{
    char path[JAIL_PROC_PATH];
    return jail->read_only ? -EROFS : jail_status(removexattr(jail_proc(path, handle), name));
}

ssize_t vr_jail_xattr_at(int dir, const char *name, const char *attr, void *buf, size_t size)
{
    char path[JAIL_PROC_PATH + VR_JAIL_NAME_MAX + 2];
    if (!vr_jail_name_ok(name)) {
        return -EINVAL;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", dir, name);
    return jail_length(lgetxattr(path, attr, buf, size));
}

/* What getdents64(2) writes. */
struct jail_dirent {
    uint64_t ino;
    int64_t next;
    uint16_t len;
    uint8_t type;
    char name[];
};

ssize_t vr_jail_read_dir(int fd, uint64_t off, void *buf, size_t size)
{
    if (off > INT64_MAX) {
        return -EINVAL;
    }
    if (lseek(fd, (off_t)off, SEEK_SET) < 0) {
        return -errno;
    }
    return jail_length(syscall(SYS_getdents64, fd, buf, size));
}

bool vr_jail_next_entry(const void *buf, size_t len, size_t *ret_pos,
                        struct vr_jail_entry *ret_entry)
{
    if (*ret_pos >= len) {
        return false;
    }
    const struct jail_dirent *d =
        (const struct jail_dirent *)(const void *)((const uint8_t *)buf + *ret_pos);
    *ret_entry = (struct vr_jail_entry){
        .ino = d->ino, .next = (uint64_t)d->next, .type = d->type, .name = d->name};
    *ret_pos += d->len;
    return true;
}

ssize_t vr_jail_append(int fd, const struct iovec *iov, unsigned count)
{
    return jail_length(pwritev2(fd, iov, (int)count, 0, RWF_APPEND));
}

ssize_t vr_jail_copy(int from, uint64_t from_off, int to, uint64_t to_off, size_t len)
{
    if (from_off > INT64_MAX || to_off > INT64_MAX) {
        return -EINVAL;
    }
    loff_t in = (loff_t)from_off, out = (loff_t)to_off;
    return jail_length(copy_file_range(from, &in, to, &out, len, 0));
}

int vr_jail_allocate(int fd, unsigned mode, uint64_t off, uint64_t len)
{
    if (off > INT64_MAX || len > INT64_MAX) {
        return -EINVAL;
    }
    if (mode & ~(unsigned)(VR_JAIL_KEEP_SIZE | VR_JAIL_PUNCH | VR_JAIL_ZERO)) {
        return -EOPNOTSUPP;
    }
    return jail_status(fallocate(fd, (int)mode, (off_t)off, (off_t)len));
}

int64_t vr_jail_seek(int fd, uint64_t off, bool hole)
{
    if (off > INT64_MAX) {
        return -EINVAL;
    }
    off_t at = lseek(fd, (off_t)off, hole ? SEEK_HOLE : SEEK_DATA);
    return at < 0 ? -errno : at;
}

static int jail_flock_of(enum vr_jail_lock kind, uint64_t start, uint64_t end,
                         struct flock *ret_lock)
{
    if (start > INT64_MAX || end < start) {
        return -EINVAL;
    }
    *ret_lock = (struct flock){
        .l_type = kind == VR_JAIL_UNLOCK   ? F_UNLCK
                  : kind == VR_JAIL_SHARED ? F_RDLCK
                                           : F_WRLCK,
        .l_whence = SEEK_SET,
        .l_start = (off_t)start,
        .l_len = end >= INT64_MAX ? 0 : (off_t)(end - start + 1),
    };
    return 0;
}

int vr_jail_lock(int fd, enum vr_jail_lock kind, uint64_t start, uint64_t end)
{
    struct flock lock;
    int r = jail_flock_of(kind, start, end, &lock);
    r = r < 0 ? r : jail_status(fcntl(fd, F_OFD_SETLK, &lock));
    return r == -EACCES ? -EAGAIN : r;
}

int vr_jail_flock(int fd, enum vr_jail_lock kind)
{
    static const int how[] = {LOCK_UN, LOCK_SH | LOCK_NB, LOCK_EX | LOCK_NB};
    return jail_status(flock(fd, how[kind]));
}

int vr_jail_lock_test(int fd, enum vr_jail_lock *kind, uint64_t *start, uint64_t *end)
{
    struct flock lock;
    int r = jail_flock_of(*kind, *start, *end, &lock);
    if (r == 0 && fcntl(fd, F_OFD_GETLK, &lock) < 0) {
        r = -errno;
    }
    if (r == 0) {
        *kind = lock.l_type == F_UNLCK   ? VR_JAIL_UNLOCK
                : lock.l_type == F_RDLCK ? VR_JAIL_SHARED
                                         : VR_JAIL_EXCLUSIVE;
        *start = (uint64_t)lock.l_start;
        *end = lock.l_len ? (uint64_t)(lock.l_start + lock.l_len - 1) : UINT64_MAX;
    }
    return r;
}
