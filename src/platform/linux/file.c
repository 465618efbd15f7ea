/* Opening, locking, reading from memory and holes as Linux has them: open file description locks,
 * RWF_NOWAIT of preadv2(2), fallocate(2), the block layer's ioctls. */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/uio.h>
#include <sys/vfs.h>
#include <unistd.h>

static int file_block_info(int fd, struct vr_file_info *info)
{
    unsigned opt = 0, phys = 0;
    uint64_t size = 0;
    if (ioctl(fd, BLKGETSIZE64, &size) < 0) {
        return -errno;
    }
    info->size_bytes = size;
    if (ioctl(fd, BLKIOOPT, &opt) < 0 || opt == 0) {
        opt = ioctl(fd, BLKPBSZGET, &phys) < 0 ? 0 : phys;
    }
    info->io_bytes = opt;
    return 0;
}

static bool file_in_memory(int fd)
{
    struct statfs fs;
    return fstatfs(fd, &fs) == 0 && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

int vr_file_open(const char *path, bool read_only, int *ret_fd, struct vr_file_info *ret_info)
{
    struct vr_file_info info;
    int r = vr_file_stat(path, &info);
    if (r < 0) {
        return r;
    }
    if (info.kind == VR_FILE_DIR) {
        return -EISDIR;
    }
    if (info.kind == VR_FILE_OTHER) {
        return -EINVAL;
    }
    /* O_NONBLOCK: should the path have become a FIFO since, opening it must not wait. */
    int flags = O_CLOEXEC | O_NOCTTY | O_NONBLOCK | (read_only ? O_RDONLY : O_RDWR);
    if (info.kind == VR_FILE_BLOCK && !read_only) {
        flags |= O_EXCL;
    }
    int fd = open(path, flags);
    if (fd < 0) {
        return -errno;
    }
    struct stat st;
    if (fstat(fd, &st) < 0) {
        r = -errno;
    } else if (S_ISBLK(st.st_mode)) {
        info.kind = VR_FILE_BLOCK;
        r = file_block_info(fd, &info);
    } else if (S_ISREG(st.st_mode)) {
        info.kind = VR_FILE_REGULAR;
        info.size_bytes = (uint64_t)st.st_size;
        info.in_memory = file_in_memory(fd);
    } else {
        r = S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL;
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_fd = fd;
    *ret_info = info;
    return 0;
}

/* open(2): O_TMPFILE; file systems without it have a name for a moment. */
int vr_file_temp(const char *dir, int *ret_fd)
{
    const char *tmp = getenv("TMPDIR");
    char path[4096];
    dir = dir ? dir : tmp && tmp[0] == '/' ? tmp : "/var/tmp";
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
        if ((size_t)snprintf(path, sizeof(path), "%s/vireo-XXXXXX", dir) >= sizeof(path)) {
            return -ENAMETOOLONG;
        }
        fd = mkostemp(path, O_CLOEXEC);
        if (fd >= 0) {
            unlink(path);
        }
    }
    if (fd < 0) {
        return -errno;
    }
    *ret_fd = fd;
    return 0;
}

int vr_file_reopen(int fd, int *ret_fd)
{
    char path[40];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    int again = open(path, O_RDONLY | O_CLOEXEC);
    if (again < 0) {
        return errno == ENOENT ? -ENOTSUP : -errno; /* no /proc */
    }
    *ret_fd = again;
    return 0;
}

int vr_file_lock(int fd, bool shared)
{
    struct flock lock = {.l_type = shared ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET};
    int r;
    do {
        r = fcntl(fd, F_OFD_SETLK, &lock);
    } while (r < 0 && errno == EINTR);
    if (r == 0) {
        return 0;
    }
    if (errno == EAGAIN || errno == EACCES) {
        return -EBUSY;
    }
    return errno == EINVAL || errno == EOPNOTSUPP || errno == ENOSYS ? -ENOLCK : -errno;
}

int vr_file_readv_now(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    size_t len = 0;
    for (unsigned i = 0; i < count; i++) {
        len += iov[i].iov_len;
    }
    if (count > IOV_MAX) {
        return -EAGAIN;
    }
    ssize_t got = preadv2(fd, iov, (int)count, (off_t)off_bytes, RWF_NOWAIT);
    if (got < 0) {
        return errno == EINTR ? -EAGAIN : errno == ENOSYS || errno == EINVAL ? -EOPNOTSUPP : -errno;
    }
    return (size_t)got == len ? 0 : -EAGAIN;
}

int vr_file_unlock(int fd)
{
    struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
    return fcntl(fd, F_OFD_SETLK, &lock) < 0 ? -errno : 0;
}

bool vr_file_can_discard(int fd, const struct vr_file_info *info)
{
    if (info->kind == VR_FILE_REGULAR) {
        /* Past the end there is nothing to lose, and a file system that cannot says so here too. */
        return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)info->size_bytes,
                         4096) == 0;
    }
    struct stat st;
    if (info->kind != VR_FILE_BLOCK || fstat(fd, &st) < 0) {
        return false;
    }
    /* A partition's queue is its disk's. */
    const char *const places[] = {"queue", "../queue"};
    for (unsigned i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
        char name[96];
        unsigned long long max = 0;
        snprintf(name, sizeof(name), "/sys/dev/block/%u:%u/%s/discard_max_bytes", major(st.st_rdev),
                 minor(st.st_rdev), places[i]);
        FILE *f = fopen(name, "re");
        if (f) {
            bool known = fscanf(f, "%llu", &max) == 1;
            fclose(f);
            return known && max > 0;
        }
    }
    return false;
}

static int file_fallocate(int fd, int mode, uint64_t off_bytes, uint64_t len_bytes)
{
    int r;
    do {
        r = fallocate(fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)off_bytes, (off_t)len_bytes);
    } while (r < 0 && errno == EINTR);
    if (r == 0) {
        return 0;
    }
    return errno == ENOSYS || errno == ENOTSUP ? -EOPNOTSUPP : -errno;
}

static int file_ioctl_range(int fd, unsigned long what, uint64_t off_bytes, uint64_t len_bytes)
{
    uint64_t range[2] = {off_bytes, len_bytes};
    if (ioctl(fd, what, range) == 0) {
        return 0;
    }
    return errno == ENOTTY || errno == ENOTSUP ? -EOPNOTSUPP : -errno;
}

int vr_file_discard(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes)
{
    if (kind == VR_FILE_BLOCK) {
        return file_ioctl_range(fd, BLKDISCARD, off_bytes, len_bytes);
    }
    return file_fallocate(fd, FALLOC_FL_PUNCH_HOLE, off_bytes, len_bytes);
}

int vr_file_zero(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes,
                 bool may_unmap)
{
    if (kind == VR_FILE_BLOCK) {
        return file_ioctl_range(fd, BLKZEROOUT, off_bytes, len_bytes);
    }
    if (may_unmap) {
        int r = file_fallocate(fd, FALLOC_FL_PUNCH_HOLE, off_bytes, len_bytes);
        if (r != -EOPNOTSUPP) {
            return r;
        }
    }
    return file_fallocate(fd, FALLOC_FL_ZERO_RANGE, off_bytes, len_bytes);
}
