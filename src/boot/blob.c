/* Files that a machine starts from. */
#include "boot/blob.h"
#include "base/alloc.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static int blob_read_fd(const char *what, const char *path, int fd, size_t max_bytes,
                        struct vr_blob *blob, struct vr_error *err)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return vr_err(err, -errno, "%s %s: %s", what, path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return vr_err(err, -EISDIR, "%s %s: is a directory, not a file", what, path);
    }
    if (!S_ISREG(st.st_mode)) {
        return vr_err(err, -EINVAL, "%s %s: is not a regular file", what, path);
    }
    if (st.st_size == 0) {
        return vr_err(err, -EINVAL, "%s %s: is empty", what, path);
    }
    if ((uint64_t)st.st_size > max_bytes) {
        return vr_err(err, -EFBIG, "%s %s: %lld bytes; at most %zu can be used", what, path,
                      (long long)st.st_size, max_bytes);
    }
    size_t len = (size_t)st.st_size, got = 0;
    uint8_t *data = vr_zalloc(len);
    if (!data) {
        return vr_err(err, -ENOMEM, "%s %s: no memory for its %zu bytes", what, path, len);
    }
    while (got < len) {
        ssize_t n = read(fd, data + got, len - got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int code = n < 0 ? -errno : -EIO;
            free(data);
            return vr_err(err, code, "%s %s: %s", what, path,
                          n < 0 ? strerror(-code) : "shrank while it was read");
        }
        got += (size_t)n;
    }
    *blob = (struct vr_blob){data, len};
    return 0;
}

int vr_blob_read(const char *what, const char *path, size_t max_bytes, struct vr_blob *ret_blob,
                 struct vr_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return vr_err(err, -errno, "%s %s: %s", what, path, strerror(errno));
    }
    int r = blob_read_fd(what, path, fd, max_bytes, ret_blob, err);
    close(fd);
    return r;
}

static int blob_inflate(z_stream *z, size_t max_bytes, struct vr_blob *out)
{
    for (;;) {
        if (z->total_out == out->len) {
            size_t bigger = out->len ? out->len * 2 : 4 << 20;
            bigger = bigger < max_bytes ? bigger : max_bytes;
            uint8_t *p = bigger > out->len ? realloc(out->data, bigger) : NULL;
            if (!p) {
                return bigger > out->len ? -ENOMEM : -EFBIG;
            }
            *out = (struct vr_blob){p, bigger};
        }
        size_t room = out->len - z->total_out;
        z->next_out = out->data + z->total_out;
        z->avail_out = room > 1 << 30 ? 1 << 30 : (uInt)room;
        int r = inflate(z, Z_NO_FLUSH);
        if (r == Z_STREAM_END) {
            out->len = z->total_out;
            return 0;
        }
        if (r != Z_OK || (z->avail_in == 0 && z->avail_out != 0)) {
            return -EINVAL;
        }
    }
}

int vr_blob_gunzip(const char *what, struct vr_blob *blob, size_t max_bytes, struct vr_error *err)
{
    if (blob->len < 18 || blob->data[0] != 0x1f || blob->data[1] != 0x8b) {
        return 0;
    }
    if (blob->len > 1u << 31) {
        return vr_err(err, -EFBIG, "%s: a gzip file of %zu bytes is too large", what, blob->len);
    }
    z_stream z = {.next_in = blob->data, .avail_in = (uInt)blob->len};
    struct vr_blob out = {NULL, 0};
    if (inflateInit2(&z, 15 + 16) != Z_OK) {
        return vr_err(err, -ENOMEM, "%s: no memory to decompress it", what);
    }
    int r = blob_inflate(&z, max_bytes, &out);
    inflateEnd(&z);
    if (r < 0) {
        free(out.data);
        return vr_err(err, r, "%s: %s", what,
                      r == -EFBIG    ? "decompresses to more than can be used"
                      : r == -ENOMEM ? "no memory to decompress it"
                                     : "the gzip data is damaged or cut off");
    }
    vr_blob_fini(blob);
    *blob = out;
    return 0;
}

void vr_blob_fini(struct vr_blob *blob)
{
    free(blob->data);
    *blob = (struct vr_blob){NULL, 0};
}
