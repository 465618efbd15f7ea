/* Memory files: what of one is in use (lseek(2), SEEK_DATA; fstat(2)) and what is given back
 * (fallocate(2), FALLOC_FL_PUNCH_HOLE). Of a private view, what was copied on write is read off
 * /proc/self/pagemap (proc(5); Documentation/admin-guide/mm/pagemap.rst). */
#include "platform/posix/shmem.h"
#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SHMEM_ENTRIES = 4096 };
#define SHMEM_PRESENT (UINT64_C(1) << 63)
#define SHMEM_SWAPPED (UINT64_C(1) << 62)
#define SHMEM_OF_FILE (UINT64_C(1) << 61)

/* Look at the pages of a view in [off, end): the first that is our own copy, or @end; with
 * @ret_count, count them all. False: the kernel does not tell. */
static bool shmem_own_pages(const struct vireo_shmem *mem, uint64_t off, uint64_t end,
                            uint64_t *ret_first, uint64_t *ret_count)
{
    uint64_t entry[SHMEM_ENTRIES], page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t at = off / page, to = (end + page - 1) / page, base = (uintptr_t)mem->hva / page;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool found = false, good = fd >= 0;
    *ret_first = end;
    while (good && at < to && (!found || ret_count)) {
        size_t want = to - at < SHMEM_ENTRIES ? (size_t)(to - at) : SHMEM_ENTRIES;
        ssize_t got = pread(fd, entry, want * 8, (off_t)((base + at) * 8));
        good = got >= 8;
        for (size_t i = 0; good && i < (size_t)got / 8; i++, at++) {
            bool own = entry[i] & (SHMEM_PRESENT | SHMEM_SWAPPED) && !(entry[i] & SHMEM_OF_FILE);
            if (own && !found) {
                found = true;
                *ret_first = at * page;
            }
            if (own && ret_count) {
                ++*ret_count;
            }
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

static uint64_t shmem_view_next(const struct vireo_shmem *mem, uint64_t off)
{
    off_t at = lseek(mem->base_fd, (off_t)(mem->base_off + off), SEEK_DATA);
    uint64_t next = at < 0 ? errno == ENXIO ? mem->len : off : (uint64_t)at - mem->base_off, own;
    next = next < mem->len ? next : mem->len;
    if (next > off && !shmem_own_pages(mem, off, next, &own, NULL)) {
        return off;
    }
    return next > off && own < next ? own : next;
}

uint64_t vireo_shmem_next_data(const struct vireo_shmem *mem, uint64_t off)
{
    if (off >= mem->len) {
        return mem->len;
    }
    if (mem->base_fd >= 0) {
        return shmem_view_next(mem, off);
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
    uint64_t first, own = 0;
    if (mem->base_fd >= 0) {
        bool told = shmem_own_pages(mem, 0, mem->len, &first, &own);
        return told ? own * (uint64_t)sysconf(_SC_PAGESIZE) : UINT64_MAX;
    }
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
    if (mem->base_fd >= 0) {
        return vr_shmem_discard_view(mem, off, len, err);
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

int vireo_shmem_changed(const struct vireo_shmem *mem, uint64_t piece_bytes, bool *ret_changed,
                        struct vr_error *err)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), off = 0;
    if (mem->base_fd < 0 || piece_bytes == 0 || !vr_is_aligned(piece_bytes, page)) {
        return vr_err(err, -EINVAL, "memory: not a view of a file, in pieces of whole pages");
    }
    memset(ret_changed, 0, (mem->len + piece_bytes - 1) / piece_bytes * sizeof(*ret_changed));
    while (off < mem->len) {
        uint64_t own;
        if (!shmem_own_pages(mem, off, mem->len, &own, NULL)) {
            return vr_err(err, -ENOTSUP,
                          "memory: this host does not tell which pages were written: is /proc "
                          "mounted?");
        }
        if (own < mem->len) {
            ret_changed[own / piece_bytes] = true;
        }
        off = (own / piece_bytes + 1) * piece_bytes;
    }
    return 0;
}
