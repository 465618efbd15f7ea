/* The small text files in which a host describes itself (sysfs, procfs), below a directory that can
 * be replaced by a recorded copy. Nothing in them is believed. */
#ifndef VR_PLATFORM_HOSTFILE_H
#define VR_PLATFORM_HOSTFILE_H

#include "base/err.h"
#include "vireo/host_thread.h"
#include <stddef.h>
#include <stdint.h>

enum { VR_HOSTFILE_PATH = 1024 };

/* Read the whole file @root + @fmt... into @buf with a NUL, without the line ends at its end. @root
 * is "" for this host. Returns the length, or: -ENOENT and the like; -ENODATA: it is empty; -EFBIG:
 * it does not fit @size; -EILSEQ: it has bytes that are no text; -EINVAL: it is no plain file. */
int vr_hostfile_text(char *buf, size_t size, const char *root, const char *fmt, ...) VR_MUST
    VR_PRINTF(4, 5);
/* A number that is all of the file. -EINVAL, -ERANGE and those above. */
int vr_hostfile_u64(uint64_t *ret_val, const char *root, const char *fmt, ...) VR_MUST
    VR_PRINTF(3, 4);
/* A list of processors or nodes that is all of the file; an empty file is the empty set. */
int vr_hostfile_cpus(struct vireo_cpuset *ret_set, const char *root, const char *fmt, ...) VR_MUST
    VR_PRINTF(3, 4);

#endif
