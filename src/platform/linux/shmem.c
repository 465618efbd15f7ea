/* Memory files: what of one is in use (lseek(2), SEEK_DATA; fstat(2)) and what is given back
 * (fallocate(2), FALLOC_FL_PUNCH_HOLE). */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_memory.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

uint64_t vireo_shmem_next_data(const struct vireo_shmem *mem, uint64_t off)
{
    if (off >= mem->len) {
        return mem->len;
    }
    off_t at = lseek(mem->fd, (off_t)off, SEEK_DATA);
    if (at < 0) {
        return errno == ENXIO ? mem->len : off; /* cannot tell: look at everything */
    }
    return (uint64_t)at < mem->len ? (uint64_t)at : mem->len;
}

uint64_t vireo_shmem_used(const struct vireo_shmem *mem)
{
    struct stat st;
    if (fstat(mem->fd, &st) < 0) {
        return UINT64_MAX;
    }
    uint64_t bytes = (uint64_t)st.st_blocks * 512;
    return bytes < mem->len ? bytes : mem->len;
}

int vireo_shmem_discard(const struct vireo_shmem *mem, uint64_t off, uint64_t len,
                        struct vr_error *err)
{
    if (!vr_in_range(off, len, mem->len)) {
        return vr_err(err, -ERANGE, "memory: %" PRIu64 " bytes at %" PRIu64 " do not lie in it",
                      len, off);
    }
    /* A huge page that is not all in the range stays (and kernels differ in whether they zero its
     * part), so it is always zeroed here. */
    if (mem->map.page_bytes > (uint64_t)sysconf(_SC_PAGESIZE)) {
        memset((uint8_t *)mem->hva + off, 0, len);
    }
    if (len && fallocate(mem->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off,
                         (off_t)len) < 0) {
        int r = -errno;
        return vr_err(err, r, "giving memory back to the host: %s", strerror(-r));
    }
    return 0;
}
