/* Holes (lseek(2), SEEK_DATA) and shared blocks (ioctl_ficlonerange(2)) of files. */
#include "platform/newfile.h"

#include <errno.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <unistd.h>

uint64_t vr_newfile_next_data(int fd, uint64_t off_bytes, uint64_t len_bytes)
{
    if (off_bytes >= len_bytes) {
        return len_bytes;
    }
    off_t at = lseek(fd, (off_t)off_bytes, SEEK_DATA);
    if (at < 0) {
        return errno == ENXIO ? len_bytes : off_bytes;
    }
    return (uint64_t)at < len_bytes ? (uint64_t)at : len_bytes;
}

int vr_newfile_clone(int from, uint64_t from_off_bytes, int to, uint64_t to_off_bytes,
                     uint64_t len_bytes)
{
    struct file_clone_range range = {.src_fd = from,
                                     .src_offset = from_off_bytes,
                                     .src_length = len_bytes,
                                     .dest_offset = to_off_bytes};
    if (len_bytes == 0 || ioctl(to, FICLONERANGE, &range) == 0) {
        return 0;
    }
    return errno == ENOSPC || errno == EDQUOT || errno == EIO ? -errno : -EOPNOTSUPP;
}
