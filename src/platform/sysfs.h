/*
 * The small files in which a kernel describes the host (sysfs, procfs), below a root that can be
 * replaced by a recorded copy.
 *
 * Paths are relative to the root ("sys/bus/pci/..."). The content is not trusted: a device may
 * vanish between two calls (-ENOENT, -ENODEV), and a recorded tree may hold anything. Every
 * function returns 0 or a negative errno, leaves ret_ untouched on failure and may be called from
 * any thread.
 */
#ifndef VR_PLATFORM_SYSFS_H
#define VR_PLATFORM_SYSFS_H

#include "base/err.h"
#include "vireo/host_thread.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_sysfs {
    int root_fd;
    bool replaced; /* not this host's own */
};

enum { VR_SYSFS_PATH = 1024, VR_SYSFS_TEXT = 16384 };

/* @root: the directory that holds sys/, proc/ and dev/; NULL and "": "/". */
int vr_sysfs_open(const char *root, struct vr_sysfs *ret_fs, struct vr_error *err) VR_MUST;
void vr_sysfs_close(struct vr_sysfs *fs);

/* A path in @buf by a printf format; returns @buf. One that does not fit becomes "", which no file
 * has for a name. VR_SYSFS_AT: the same in a buffer that lives to the end of the block. */
const char *vr_sysfs_path(char buf[VR_SYSFS_PATH], const char *fmt, ...) VR_PRINTF(2, 3);
#define VR_SYSFS_AT(...) vr_sysfs_path((char[VR_SYSFS_PATH]){0}, __VA_ARGS__)

/* The file's text without newlines and blanks at its end. -EFBIG: more than @size - 1 bytes;
 * -EILSEQ: control characters or NUL; -EISDIR, -EINVAL: no regular file. */
int vr_sysfs_text(const struct vr_sysfs *fs, const char *path, char *ret_text, size_t size) VR_MUST;
/* A whole number, decimal or 0x..., up to @max. -EINVAL: not one; -ERANGE: more. */
int vr_sysfs_u64(const struct vr_sysfs *fs, const char *path, uint64_t max,
                 uint64_t *ret_val) VR_MUST;
/* A list of processors or nodes that is all of the file; an empty file is the empty set. */
int vr_sysfs_cpus(const struct vr_sysfs *fs, const char *path,
                  struct vireo_cpuset *ret_set) VR_MUST;
/* The last component of a link's target. -EINVAL: not a link; -ENAMETOOLONG. */
int vr_sysfs_link(const struct vr_sysfs *fs, const char *path, char *ret_name, size_t size) VR_MUST;
bool vr_sysfs_exists(const struct vr_sysfs *fs, const char *path);

struct vr_sysfs_list {
    char **names;
    size_t count;
};

/* The names in a directory, sorted, without those that begin with a dot. -E2BIG: absurdly many. */
int vr_sysfs_list(const struct vr_sysfs *fs, const char *path,
                  struct vr_sysfs_list *ret_list) VR_MUST;
void vr_sysfs_list_free(struct vr_sysfs_list *list);

/* Write @text in one piece to a file that is there. */
int vr_sysfs_write(const struct vr_sysfs *fs, const char *path, const char *text) VR_MUST;
/* May this process open it for reading and writing? 0 or the reason. */
int vr_sysfs_access(const struct vr_sysfs *fs, const char *path) VR_MUST;

#endif
