/*
 * Files and block devices of the host as disks: whole transfers at an offset, holes, locks.
 *
 * Plain descriptors, no state. Every function returns 0 or a negative errno and may be called from
 * any thread.
 */
#ifndef VR_PLATFORM_FILE_H
#define VR_PLATFORM_FILE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#ifdef _WIN32
struct iovec {
    void *iov_base;
    size_t iov_len;
};
#else
#include <sys/uio.h>
#endif

enum vr_file_kind { VR_FILE_REGULAR, VR_FILE_BLOCK, VR_FILE_DIR, VR_FILE_OTHER };

struct vr_file_info {
    enum vr_file_kind kind;
    uint64_t size_bytes;
    uint32_t io_bytes; /* what the host likes as a request's size and alignment; 0 unknown */
    bool in_memory;    /* of a file system that has no medium: nothing is waited for */
};

/* What @path is, without opening it (opening some devices has effects). Block devices: no size. */
int vr_file_stat(const char *path, struct vr_file_info *ret_info) VR_MUST;
/* Open a regular file or a block device; -EISDIR and -EINVAL for what is neither. A block device is
 * opened for us alone when writable: -EBUSY when the host has mounted it. */
int vr_file_open(const char *path, bool read_only, int *ret_fd,
                 struct vr_file_info *ret_info) VR_MUST;
void vr_file_close(int fd);
/* A file without a name, empty, for reading and writing, in folder @dir (NULL: where this host
 * keeps large temporary files); its space is free again when nobody has it open. -ENOTSUP: not on
 * this host. */
int vr_file_temp(const char *dir, int *ret_fd) VR_MUST;
/* Another opening of what @fd is open for, to read only. -ENOTSUP: not on this host. */
int vr_file_reopen(int fd, int *ret_fd) VR_MUST;
/* Another descriptor of the same opening: it shares locks with @fd. */
int vr_file_dup(int fd, int *ret_fd) VR_MUST;
/* How long it is now; set how long it is: what comes anew reads as zeroes and takes no space. */
int vr_file_len(int fd, uint64_t *ret_bytes) VR_MUST;
int vr_file_set_len(int fd, uint64_t len_bytes) VR_MUST;

/* A lock on the whole file that lives as long as this opening of it: a shared one when @shared.
 * -EBUSY: somebody holds it. -ENOLCK: this file system has no locks. */
int vr_file_lock(int fd, bool shared) VR_MUST;
int vr_file_unlock(int fd) VR_MUST; /* fine where there is none */

/* All of it or an error; short transfers and EINTR are dealt with. -EIO when the file ends early.
 */
int vr_file_readv(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes) VR_MUST;
/* The same without waiting for a medium: -EAGAIN when not all of it is in the host's memory, and
 * then part of @iov may be written; -EOPNOTSUPP: this host or this file cannot tell. */
int vr_file_readv_now(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes) VR_MUST;
int vr_file_writev(int fd, const struct iovec *iov, unsigned count, uint64_t off_bytes) VR_MUST;
/* The same of one piece. */
static inline int vr_file_read(int fd, void *buf, size_t len, uint64_t off_bytes)
{
    const struct iovec iov = {.iov_base = buf, .iov_len = len};
    return vr_file_readv(fd, &iov, 1, off_bytes);
}
static inline int vr_file_write(int fd, const void *buf, size_t len, uint64_t off_bytes)
{
    /* An iovec takes no const; nothing is written there. */
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    return vr_file_writev(fd, &iov, 1, off_bytes);
}
int vr_file_sync(int fd) VR_MUST; /* data, and what is needed to find it again, is on the medium */

/* Would vr_file_discard do something? Changes nothing. */
bool vr_file_can_discard(int fd, const struct vr_file_info *info);
/* Give the host space back; contents become undefined. -EOPNOTSUPP: cannot. */
int vr_file_discard(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes) VR_MUST;
/* Make it read as zeroes without writing them out; @may_unmap: space may be given back.
 * -EOPNOTSUPP: cannot. */
int vr_file_zero(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes,
                 bool may_unmap) VR_MUST;
/* The same, but what the host cannot is written out. */
int vr_file_write_zeroes(int fd, enum vr_file_kind kind, uint64_t off_bytes, uint64_t len_bytes,
                         bool may_unmap) VR_MUST;

#endif
