/*
 * Files that snapshots are made of: a new one that appears whole or not at all, holes, blocks that
 * two files share, and what tells one version of a file from the next. POSIX hosts only: who uses
 * it is built nowhere else.
 *
 * Every function returns 0 or a negative errno and may be called from any thread.
 */
#ifndef VR_PLATFORM_NEWFILE_H
#define VR_PLATFORM_NEWFILE_H

#include "base/err.h"
#include <stdint.h>

/*
 * A file that appears at `path` whole or not at all: written under another name in the same folder
 * and renamed when it is on the medium. Who makes one removes what dead processes left of theirs in
 * that folder.
 */
struct vr_newfile {
    int fd; /* for reading and writing; empty at first */
    char *path, *temp;
};
/* The owner alone may read and write it. Where @path is a link, what it leads to is meant. -ENOENT
 * (no such folder), -EACCES, -EISDIR, -EINVAL (a device or so, which no file may take the place
 * of),
 * ... */
int vr_newfile_create(const char *path, struct vr_newfile *ret_file) VR_MUST;
/* Let those read and write it who may read and write @fd, whose place it will take. */
int vr_newfile_rights(struct vr_newfile *file, int fd) VR_MUST;
/* Now it is there, in place of what was; when this fails, what was there still is. Ends @file, but
 * for *ret_fd, which is the caller's from then on; NULL: it is closed. */
int vr_newfile_commit(struct vr_newfile *file, int *ret_fd) VR_MUST;
void vr_newfile_drop(struct vr_newfile *file); /* never mind; after commit: nothing */
/* Remove a file, and have that on the medium. */
int vr_newfile_remove(const char *path) VR_MUST;

/* The first byte at or after @off_bytes for which there is room on the medium; what lies between
 * reads as zero. @len_bytes: none before that. Where the host cannot tell: @off_bytes. */
uint64_t vr_newfile_next_data(int fd, uint64_t off_bytes, uint64_t len_bytes);
/* Let @to have the bytes of @from without copying them; ranges in whole blocks of the file system.
 * -EOPNOTSUPP: this one does not share blocks, or not these. */
int vr_newfile_clone(int from, uint64_t from_off_bytes, int to, uint64_t to_off_bytes,
                     uint64_t len_bytes) VR_MUST;

struct vr_file_identity {
    uint64_t size_bytes, mtime_ns; /* size of regular files; 0 else */
};
int vr_newfile_identify(const char *path, struct vr_file_identity *ret_id) VR_MUST;

#endif
