/* Zeroes in a file: by the host, or written out where it cannot. */
#include "platform/file.h"

#include <errno.h>

enum { FILE_ZEROES = 64 * 1024 };

int vr_file_write_zeroes(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes,
                         bool may_unmap)
{
    static const uint8_t zeroes[FILE_ZEROES];
    int r = vr_file_zero(fd, kind, off_bytes, len_bytes, may_unmap);
    if (r != -EOPNOTSUPP) {
        return r;
    }
    r = 0;
    for (uint64_t left = len_bytes; r == 0 && left;) {
        size_t len = left < FILE_ZEROES ? (size_t)left : FILE_ZEROES;
        r = vr_file_write(fd, zeroes, len, off_bytes);
        off_bytes += len;
        left -= len;
    }
    return r;
}
