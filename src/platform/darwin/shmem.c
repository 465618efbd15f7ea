/* Memory files: Darwin tells nothing of holes in them, and makes none. */
#include "platform/posix/shmem.h"
#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>

/* Everything has to be looked at. */
uint64_t vireo_shmem_next_data(const struct vireo_shmem *mem, uint64_t off)
{
    return off < mem->len ? off : mem->len;
}

/* Zeroes are written, and the pages offered to the host, which
 * may drop them: they read as zero either way. */
uint64_t vireo_shmem_used(const struct vireo_shmem *mem, uint64_t *ret_shared)
{
    (void)mem;
    if (ret_shared) {
        *ret_shared = 0;
    }
    return UINT64_MAX;
}

int vireo_shmem_discard(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                        struct vr_error *err)
{
    if (!vr_in_range(off, len, mem->len)) {
        return vr_err(err, -ERANGE, "memory: %" PRIu64 " bytes at %" PRIu64 " do not lie in it",
                      len, off);
    }
    if (mem->base_fd >= 0) {
        return vr_shmem_discard_view(mem, off, len, err);
    }
    uint8_t *at = (uint8_t *)mem->hva + off;
    memset(at, 0, (size_t)len);
    (void)madvise(at, (size_t)len, MADV_FREE);
    return 0;
}

int vireo_shmem_changed(const struct vireo_shmem *mem, uint64_t piece_bytes, bool *ret_changed,
                        struct vr_error *err)
{
    (void)mem;
    (void)piece_bytes;
    (void)ret_changed;
    return vr_err(err, -ENOTSUP, "memory: macOS does not tell which pages were written");
}
