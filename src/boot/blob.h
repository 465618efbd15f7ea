/*
 * Files that a machine starts from, read whole: kernels, firmware, initial RAM disks.
 *
 * A file is bad input like any other: size limits first, and one clear line for whatever is wrong.
 */
#ifndef VR_BOOT_BLOB_H
#define VR_BOOT_BLOB_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_blob {
    uint8_t *data; /* owned; NULL after vr_blob_drop */
    size_t len;
    size_t max_bytes;  /* what it may be, decompressed or not */
    bool unpacked;     /* data is what the gzip file holds */
    int fd;            /* the file, kept open; valid when path is set */
    uint64_t mtime_ns; /* when it was last written, as its file system says */
    char *path;        /* for messages */
};

/* Read @path, which is called @what in messages ("kernel"). -ENOENT, -EACCES, -EISDIR, -EINVAL
 * (empty, not a regular file), -EFBIG (more than @max_bytes), -ENOMEM. */
int vr_blob_read(const char *what, const char *path, size_t max_bytes, struct vr_blob *ret_blob,
                 struct vr_error *err) VR_MUST;
/* If @blob is gzip, replace it by what it holds: all members, at most max_bytes (-EFBIG). -EINVAL:
 * damaged. RFC 1952. After a failure it is as it was. */
int vr_blob_gunzip(const char *what, struct vr_blob *blob, struct vr_error *err) VR_MUST;
/* Give the memory back, but stay able to read the same file again, even if its name is another's by
 * then. */
void vr_blob_drop(struct vr_blob *blob);
/* After a drop: read again, and decompress again what was decompressed. -ESTALE: the file has
 * changed: written since, or another length. A blob that was not dropped stays as it is; one that
 * could not be read stays dropped. */
int vr_blob_reload(const char *what, struct vr_blob *blob, struct vr_error *err) VR_MUST;
void vr_blob_fini(struct vr_blob *blob);

#endif
