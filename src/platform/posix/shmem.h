/* Private views of files as memory, for the systems' shmem.c. */
#ifndef VR_PLATFORM_POSIX_SHMEM_H
#define VR_PLATFORM_POSIX_SHMEM_H

#include "base/err.h"
#include "vireo/host_memory.h"

/* vireo_shmem_discard for a view; the range was checked. Whole pieces of 2 MiB get fresh zeroes in
 * their place, the rest is zeroed. */
int vr_shmem_discard_view(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                          struct vr_error *err) VR_MUST;

#endif
