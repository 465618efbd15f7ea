/* Whole transfers at an offset, by preadv(2) and pwritev(2). */
#include "platform/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BATCH = 64 }; /* iovecs a system call */

static enum vr_file_kind file_kind(mode_t mode)
{
    return S_ISREG(mode)   ? VR_FILE_REGULAR
           : S_ISBLK(mode) ? VR_FILE_BLOCK
           : S_ISDIR(mode) ? VR_FILE_DIR
                           : VR_FILE_OTHER;
}

int vr_file_stat(const char *path, struct vr_file_info *ret_info)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return -errno;
    }
    *ret_info = (struct vr_file_info){.kind = file_kind(st.st_mode),
                                      .size_bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0,
                                      .io_bytes = (uint32_t)st.st_blksize};
    return 0;
}

void vr_file_close(int fd)
{
    if (fd >= 0) {
        close(fd);
    }
}

int vr_file_dup(int fd, int *ret_fd)
{
    int again = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    if (again < 0) {
        return -errno;
    }
    *ret_fd = again;
    return 0;
}

int vr_file_len(int fd, uint64_t *ret_bytes)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    *ret_bytes = (uint64_t)st.st_size;
    return 0;
}

int vr_file_set_len(int fd, uint64_t len_bytes)
{
    if (len_bytes > INT64_MAX) {
        return -EFBIG;
    }
    return ftruncate(fd, (off_t)len_bytes) < 0 ? -errno : 0;
}

int vr_file_sync(int fd)
{
    int r;
    do {
        r = fdatasync(fd);
    } while (r < 0 && errno == EINTR);
    return r < 0 ? -errno : 0;
}

/* One direction's loop: @call is preadv or pwritev behind a common face. */
static int file_all(ssize_t (*call)(int, const struct iovec *, int, off_t), int fd,
                    const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    struct iovec part[FILE_BATCH];
    size_t skip = 0; /* bytes of iov[0] already moved */
    for (;;) {
        while (count && iov->iov_len == skip) {
            iov++;
            count--;
            skip = 0;
        }
        if (count == 0) {
            return 0;
        }
        unsigned n = count < FILE_BATCH ? count : FILE_BATCH;
        memcpy(part, iov, n * sizeof(*part));
        part[0].iov_base = (char *)part[0].iov_base + skip;
        part[0].iov_len -= skip;
        ssize_t got = call(fd, part, (int)n, (off_t)off_bytes);
        if (got < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -errno;
        }
        if (got == 0) {
            return -EIO; /* somebody cut the file */
        }
        off_bytes += (uint64_t)got;
        size_t left = (size_t)got;
        while (left) {
            size_t here = iov->iov_len - skip;
            if (left < here) {
                skip += left;
                break;
            }
            left -= here;
            iov++;
            count--;
            skip = 0;
        }
    }
}

int vr_file_readv(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    return file_all(preadv, fd, iov, count, off_bytes);
}

int vr_file_writev(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes)
{
    return file_all(pwritev, fd, iov, count, off_bytes);
}
