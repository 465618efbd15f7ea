/* Files that a machine starts from. */
#include "boot/blob.h"
#include "base/alloc.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static int blob_check(const char *what, const struct vr_blob *b, uint64_t *ret_len,
                      uint64_t *ret_mtime_ns, struct vr_error *err)
{
    struct stat st;
    if (fstat(b->fd, &st) < 0) {
        return vr_err(err, -errno, "%s %s: %s", what, b->path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        return vr_err(err, -EISDIR, "%s %s: is a directory, not a file", what, b->path);
    }
    if (!S_ISREG(st.st_mode)) {
        return vr_err(err, -EINVAL, "%s %s: is not a regular file", what, b->path);
    }
    if (st.st_size == 0) {
        return vr_err(err, -EINVAL, "%s %s: is empty", what, b->path);
    }
    if ((uint64_t)st.st_size > b->max_bytes) {
        return vr_err(err, -EFBIG, "%s %s: %lld bytes; at most %zu fit: give more memory with -m",
                      what, b->path, (long long)st.st_size, b->max_bytes);
    }
    *ret_len = (uint64_t)st.st_size;
    *ret_mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
    return 0;
}

/* Fill b->data from the open file. */
static int blob_fill(const char *what, struct vr_blob *b, struct vr_error *err)
{
    uint64_t len = 0, got = 0, mtime_ns = 0;
    int r = blob_check(what, b, &len, &mtime_ns, err);
    if (r < 0) {
        return r;
    }
    uint8_t *data = vr_zalloc(len);
    if (!data) {
        return vr_err(err, -ENOMEM, "%s %s: no memory for its %zu bytes", what, b->path,
                      (size_t)len);
    }
    while (got < len) {
        ssize_t n = pread(b->fd, data + got, len - got, (off_t)got);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            int code = n < 0 ? -errno : -EIO;
            free(data);
            return vr_err(err, code, "%s %s: %s", what, b->path,
                          n < 0 ? strerror(-code) : "shrank while it was read");
        }
        got += (uint64_t)n;
    }
    b->data = data;
    b->len = len;
    b->mtime_ns = mtime_ns;
    return 0;
}

int vr_blob_read(const char *what, const char *path, size_t max_bytes, struct vr_blob *ret_blob,
                 struct vr_error *err)
{
    struct vr_blob b = {.max_bytes = max_bytes, .path = strdup(path)};
    if (!b.path) {
        return vr_err(err, -ENOMEM, "%s %s: no memory", what, path);
    }
    b.fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (b.fd < 0) {
        int code = -errno;
        free(b.path);
        return vr_err(err, code, "%s %s: %s", what, path, strerror(-code));
    }
    int r = blob_fill(what, &b, err);
    if (r < 0) {
        vr_blob_fini(&b);
        return r;
    }
    *ret_blob = b;
    return 0;
}

struct blob_out {
    uint8_t *data;
    size_t len;
};

/* Room for more output, if @max_bytes allows any. */
static int blob_grow(struct blob_out *out, size_t max_bytes)
{
    size_t bigger = out->len < max_bytes / 2 ? out->len * 2 : max_bytes;
    uint8_t *p = realloc(out->data, bigger);
    if (!p) {
        return -ENOMEM;
    }
    *out = (struct blob_out){p, bigger};
    return 0;
}

/* All members of the file. A byte that would come after @max_bytes goes to `spare`, so that a
 * stream of just that length can come to its end. */
static int blob_inflate(z_stream *z, size_t max_bytes, struct blob_out *out)
{
    size_t len = 0;
    for (;;) {
        uint8_t spare;
        if (len == out->len && len < max_bytes) {
            int r = blob_grow(out, max_bytes);
            if (r < 0) {
                return r;
            }
        }
        size_t room = out->len - len;
        uInt step = room > 1 << 30 ? 1 << 30 : room ? (uInt)room : 1;
        z->next_out = room ? out->data + len : &spare;
        z->avail_out = step;
        int r = inflate(z, Z_NO_FLUSH);
        size_t got = step - z->avail_out;
        if (got && !room) {
            return -EFBIG;
        }
        len += got;
        if (r == Z_STREAM_END) {
            if (z->avail_in < 2 || z->next_in[0] != 0x1f || z->next_in[1] != 0x8b) {
                out->len = len;
                return 0;
            }
            (void)inflateReset(z);
        } else if (r != Z_OK || (z->avail_in == 0 && z->avail_out != 0)) {
            return -EINVAL;
        }
    }
}

int vr_blob_gunzip(const char *what, struct vr_blob *blob, struct vr_error *err)
{
    if (blob->len < 18 || blob->data[0] != 0x1f || blob->data[1] != 0x8b) {
        return 0;
    }
    if (blob->len > 1u << 31) {
        return vr_err(err, -EFBIG, "%s %s: a gzip file of %zu bytes is too large", what, blob->path,
                      blob->len);
    }
    z_stream z = {.next_in = blob->data, .avail_in = (uInt)blob->len};
    struct blob_out out = {.len = blob->max_bytes < 4 << 20 ? blob->max_bytes : 4 << 20};
    out.data = vr_zalloc(out.len);
    if (!out.data || inflateInit2(&z, 15 + 16) != Z_OK) {
        free(out.data);
        return vr_err(err, -ENOMEM, "%s %s: no memory to decompress it", what, blob->path);
    }
    int r = blob_inflate(&z, blob->max_bytes, &out);
    inflateEnd(&z);
    if (r < 0) {
        free(out.data);
        return vr_err(err, r, "%s %s: %s", what, blob->path,
                      r == -EFBIG    ? "decompresses to more than fits: give more memory with -m"
                      : r == -ENOMEM ? "no memory to decompress it"
                                     : "the gzip data is damaged or cut off");
    }
    free(blob->data);
    blob->data = out.data;
    blob->len = out.len;
    blob->unpacked = true;
    return 0;
}

void vr_blob_drop(struct vr_blob *blob)
{
    free(blob->data);
    blob->data = NULL;
}

int vr_blob_reload(const char *what, struct vr_blob *blob, struct vr_error *err)
{
    struct vr_blob was = *blob;
    if (blob->data || !blob->path) {
        return 0;
    }
    int r = blob_fill(what, blob, err);
    if (r == 0 && was.unpacked) {
        r = vr_blob_gunzip(what, blob, err);
    }
    if (r == 0 && (blob->len != was.len || blob->mtime_ns != was.mtime_ns)) {
        r = vr_err(err, -ESTALE, "%s %s: has changed since the machine was made", what, blob->path);
    }
    if (r < 0) { /* what the machine was planned for is not at hand */
        vr_blob_drop(blob);
        *blob = was;
    }
    return r;
}

void vr_blob_fini(struct vr_blob *blob)
{
    if (blob->path) {
        close(blob->fd);
    }
    free(blob->path);
    free(blob->data);
    *blob = (struct vr_blob){0};
}
