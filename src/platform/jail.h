/*
 * A directory of the host, opened so that nothing outside of it can be reached.
 *
 * What is in it is named by handles: descriptors that stand for a file, a directory or a symbolic
 * link without opening it (O_PATH). One is found from a directory's handle by one name, which is
 * neither "." nor ".." and has no '/' in it; a symbolic link is found, never followed. So there is
 * no path on which a "..", a link or a rename under way could lead out. Only regular files and
 * directories are ever opened: no device, FIFO or socket is, and nothing in a procfs, whose files
 * reach into this process.
 *
 * Functions return 0 (or a length) or a negative errno and may be called from any thread. In a
 * read-only jail all that would change something is -EROFS.
 *
 * Sources: open(2), openat2(2), path_resolution(7), proc(5), xattr(7).
 */
#ifndef VR_PLATFORM_JAIL_H
#define VR_PLATFORM_JAIL_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <sys/uio.h>

struct vr_jail;

/* What a directory looks like from inside. */
struct vr_jail_space {
    uint64_t blocks, blocks_free, blocks_avail, files, files_free;
    uint32_t block_bytes, fragment_bytes, name_max;
};

/* An entry of a directory. */
struct vr_jail_entry {
    uint64_t ino, next; /* next: the offset behind it */
    uint8_t type;       /* DT_REG, ... or DT_UNKNOWN */
    const char *name;
};

enum { VR_JAIL_NAME_MAX = 255, VR_JAIL_LINK_MAX = 4096, VR_JAIL_XATTR_MAX = 65536 };

/* Enter @path, which the user gave: symbolic links in it are followed. -ENOENT, -ENOTDIR, -EACCES,
 * -EPERM (a procfs), -ENOTSUP (this host has no /proc). */
int vr_jail_open(const char *path, bool read_only, struct vr_jail **ret_jail,
                 struct vr_error *err) VR_MUST;
void vr_jail_close(struct vr_jail *jail);     /* NULL is fine */
int vr_jail_root(const struct vr_jail *jail); /* the directory's handle; the jail's */
bool vr_jail_read_only(const struct vr_jail *jail);
/* Does the host keep user.* attributes here? */
bool vr_jail_has_xattrs(const struct vr_jail *jail);
/* Does whatever is changed of a file, attributes too, change its st_ctim, for all who see it? Known
 * of local file systems. */
bool vr_jail_has_ctimes(const struct vr_jail *jail);

bool vr_jail_name_ok(const char *name);
/* The handle of @name in @dir, and what it is. The caller closes it (vr_file_close). */
int vr_jail_find(struct vr_jail *jail, int dir, const char *name, int *ret_handle,
                 struct stat *ret_stat) VR_MUST;
/* What @name in @dir is, without a handle of it: a third of the price. -EXDEV: it is on another
 * file system, which this tells nothing of. */
int vr_jail_stat_at(const struct vr_jail *jail, int dir, const char *name,
                    struct stat *ret_stat) VR_MUST;
int vr_jail_stat(int handle, struct stat *ret_stat) VR_MUST;
/* Open the regular file or directory that @handle is. Of @flags count O_ACCMODE, O_TRUNC,
 * O_DSYNC and O_SYNC. -ENXIO: it is something else. */
int vr_jail_reopen(struct vr_jail *jail, int handle, int flags, int *ret_fd) VR_MUST;
/* Make a file that is not there (-EEXIST) and open it. */
int vr_jail_create(struct vr_jail *jail, int dir, const char *name, int flags, mode_t mode,
                   int *ret_fd) VR_MUST;
int vr_jail_mkdir(struct vr_jail *jail, int dir, const char *name, mode_t mode) VR_MUST;
int vr_jail_symlink(struct vr_jail *jail, int dir, const char *name, const char *target) VR_MUST;
int vr_jail_link(struct vr_jail *jail, int handle, int dir, const char *name) VR_MUST;
int vr_jail_unlink(struct vr_jail *jail, int dir, const char *name, bool is_dir) VR_MUST;
enum { VR_JAIL_NOREPLACE = 1, VR_JAIL_EXCHANGE = 2 };
int vr_jail_rename(struct vr_jail *jail, int from_dir, const char *from, int to_dir, const char *to,
                   unsigned flags) VR_MUST;
/* The link's text, not terminated; how long it is. */
ssize_t vr_jail_readlink(int handle, char *buf, size_t size) VR_MUST;
int vr_jail_chmod(struct vr_jail *jail, int handle, mode_t mode) VR_MUST;
int vr_jail_times(struct vr_jail *jail, int handle, const struct timespec times[2]) VR_MUST;
int vr_jail_space(int handle, struct vr_jail_space *ret_space) VR_MUST;
int vr_jail_sync(struct vr_jail *jail) VR_MUST; /* all that was written is on the medium */

/* Extended attributes; @size 0 asks for the length. */
ssize_t vr_jail_xattr_get(int handle, const char *name, void *buf, size_t size) VR_MUST;
ssize_t vr_jail_xattr_list(int handle, char *buf, size_t size) VR_MUST;
int vr_jail_xattr_set(struct vr_jail *jail, int handle, const char *name, const void *buf,
                      size_t size, int flags) VR_MUST;
int vr_jail_xattr_remove(struct vr_jail *jail, int handle, const char *name) VR_MUST;
/* An attribute of the entry @name of the directory @dir; a symbolic link is not followed. */
ssize_t vr_jail_xattr_at(int dir, const char *name, const char *attr, void *buf,
                         size_t size) VR_MUST;

/* Entries of an opened directory from offset @off on, as many as fit in @buf; returns how many
 * bytes of it hold entries, 0 at the end. Offsets are the host's; one that it never gave is
 * harmless. */
ssize_t vr_jail_read_dir(int fd, uint64_t off, void *buf, size_t size) VR_MUST;
/* The entry at *ret_pos of what read_dir returned; false at the end. */
bool vr_jail_next_entry(const void *buf, size_t len, size_t *ret_pos,
                        struct vr_jail_entry *ret_entry);

/* File data. */
ssize_t vr_jail_append(int fd, const struct iovec *iov, unsigned count) VR_MUST;
ssize_t vr_jail_copy(int from, uint64_t from_off, int to, uint64_t to_off, size_t len) VR_MUST;
enum { VR_JAIL_KEEP_SIZE = 1, VR_JAIL_PUNCH = 2, VR_JAIL_ZERO = 0x10 };
int vr_jail_allocate(int fd, unsigned mode, uint64_t off, uint64_t len) VR_MUST;
/* The next data (or hole) at or after @off; -ENXIO: none. */
int64_t vr_jail_seek(int fd, uint64_t off, bool hole) VR_MUST;

/* A lock of the opening @fd of a file against other openings of it, here and in other processes of
 * the host. On a range of bytes ([start, end], UINT64_MAX: to the end), or (flock) on the whole
 * file. -EAGAIN: somebody has one that conflicts. */
enum vr_jail_lock { VR_JAIL_UNLOCK, VR_JAIL_SHARED, VR_JAIL_EXCLUSIVE };
int vr_jail_lock(int fd, enum vr_jail_lock kind, uint64_t start, uint64_t end) VR_MUST;
int vr_jail_flock(int fd, enum vr_jail_lock kind) VR_MUST;
/* What would conflict, if anything: kind, range. VR_JAIL_UNLOCK: nothing does. */
int vr_jail_lock_test(int fd, enum vr_jail_lock *kind, uint64_t *start, uint64_t *end) VR_MUST;

#endif
