/* Memory that can be shared by file descriptor: guest RAM. */
#ifndef VR_PLATFORM_MEM_H
#define VR_PLATFORM_MEM_H

#include "base/err.h"
#include <stdint.h>

struct vr_shmem {
    void *hva; /* aligned to the host's page */
    uint64_t len;
    int fd; /* map it MAP_SHARED elsewhere to see the same bytes; -1 where the host has none */
};

/* @len bytes of zeroes, given to us by the host page by page as they are touched. @name shows in
 * the host's process listing. -ENOMEM (also when @len is beyond what the host can map), -EINVAL
 * (0). */
int vr_shmem_create(const char *name, uint64_t len, struct vr_shmem *ret_mem,
                    struct vr_error *err) VR_MUST;
void vr_shmem_destroy(struct vr_shmem *mem);

/* The first byte at or after @off that was ever written since it was last discarded, to a host
 * page's precision; mem->len: none. What lies between reads as zero, and need not be read, which
 * would make the host find memory for it. */
uint64_t vr_shmem_next_data(const struct vr_shmem *mem, uint64_t off);
/* Zero [off, off+len), whole pages, and give the memory back to the host. */
int vr_shmem_discard(const struct vr_shmem *mem, uint64_t off, uint64_t len,
                     struct vr_error *err) VR_MUST;

#endif
