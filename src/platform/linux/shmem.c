/* Memory files: what of one is in use (lseek(2), SEEK_DATA; fstat(2)) and what is given back
 * (fallocate(2), FALLOC_FL_PUNCH_HOLE). Of a private view, what was copied on write is read off
 * /proc/self/pagemap (proc(5); Documentation/admin-guide/mm/pagemap.rst); which of the file's pages
 * are in memory, by mincore(2). */
#include "platform/posix/shmem.h"
#include "base/bits.h"
#include "base/err.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Entries that are read at once: few at first, for what is looked for is often near. */
enum { SHMEM_ENTRIES_FIRST = 64, SHMEM_ENTRIES = 4096, SHMEM_ENTRIES_GROW = 8 };
#define SHMEM_PRESENT (UINT64_C(1) << 63)
#define SHMEM_SWAPPED (UINT64_C(1) << 62)
#define SHMEM_OF_FILE (UINT64_C(1) << 61)

/* Call @own with the offset of each page of a view in [off, end) that is our own copy, until it
 * returns false. False: the kernel does not tell. */
static bool shmem_each_own(const struct vireo_shmem *mem, uint64_t off, uint64_t end,
                           bool (*own)(void *arg, uint64_t off), void *arg)
{
    uint64_t entry[SHMEM_ENTRIES], page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t at = off / page, to = (end + page - 1) / page, base = (uintptr_t)mem->hva / page;
    size_t most = SHMEM_ENTRIES_FIRST;
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0;
    while (good && at < to) {
        size_t want = to - at < most ? (size_t)(to - at) : most;
        ssize_t got = pread(fd, entry, want * 8, (off_t)((base + at) * 8));
        good = got >= 8;
        for (size_t i = 0; good && i < (size_t)got / 8; i++, at++) {
            bool is_own = entry[i] & (SHMEM_PRESENT | SHMEM_SWAPPED) && !(entry[i] & SHMEM_OF_FILE);
            if (is_own && !own(arg, at * page)) {
                to = 0; /* enough */
                break;
            }
        }
        most =
            most * SHMEM_ENTRIES_GROW < SHMEM_ENTRIES ? most * SHMEM_ENTRIES_GROW : SHMEM_ENTRIES;
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

static bool shmem_first(void *arg, uint64_t off)
{
    *(uint64_t *)arg = off;
    return false;
}

static uint64_t shmem_view_next(const struct vireo_shmem *mem, uint64_t off)
{
    off_t at = lseek(mem->base_fd, (off_t)(mem->base_off + off), SEEK_DATA);
    uint64_t next = at < 0 ? errno == ENXIO ? mem->len : off : (uint64_t)at - mem->base_off;
    uint64_t own = next = next < mem->len ? next : mem->len;
    if (next > off && !shmem_each_own(mem, off, next, shmem_first, &own)) {
        return off;
    }
    return own < next ? own : next;
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

/* Does the kernel tell us which of the file's pages are in memory? Who may not write a file is told
 * that all are (mm/mincore.c, can_do_mincore). */
static bool shmem_may_look(const struct vireo_shmem *mem)
{
    struct stat st;
    return fstat(mem->base_fd, &st) == 0 && (st.st_uid == geteuid() || geteuid() == 0);
}

/* Of the pages of a view: how many are its own, and how many are the file's, in memory. */
static bool shmem_view_used(const struct vireo_shmem *mem, uint64_t *ret_own, uint64_t *ret_file)
{
    uint64_t entry[SHMEM_ENTRIES], page = (uint64_t)sysconf(_SC_PAGESIZE);
    uint64_t to = (mem->len + page - 1) / page, base = (uintptr_t)mem->hva / page;
    unsigned char in_memory[SHMEM_ENTRIES];
    bool look = shmem_may_look(mem);
    int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0;
    *ret_own = *ret_file = 0;
    for (uint64_t at = 0, n; good && at < to; at += n) {
        n = to - at < SHMEM_ENTRIES ? to - at : SHMEM_ENTRIES;
        good = pread(fd, entry, (size_t)n * 8, (off_t)((base + at) * 8)) == (ssize_t)(n * 8) &&
               (!look || mincore((char *)mem->hva + at * page, (size_t)(n * page), in_memory) == 0);
        for (uint64_t i = 0; good && i < n; i++) {
            bool own = entry[i] & (SHMEM_PRESENT | SHMEM_SWAPPED) && !(entry[i] & SHMEM_OF_FILE);
            *ret_own += own;
            *ret_file += !own && (look ? in_memory[i] & 1 : (entry[i] & SHMEM_PRESENT) != 0);
        }
    }
    if (fd >= 0) {
        close(fd);
    }
    return good;
}

uint64_t vireo_shmem_used(const struct vireo_shmem *mem, uint64_t *ret_shared)
{
    struct stat st;
    uint64_t own = 0, file = 0, page = (uint64_t)sysconf(_SC_PAGESIZE);
    bool told = mem->base_fd >= 0 ? shmem_view_used(mem, &own, &file) : fstat(mem->fd, &st) == 0;
    if (ret_shared) {
        *ret_shared = told ? file * page : 0;
    }
    if (!told) {
        return UINT64_MAX;
    }
    uint64_t bytes = mem->base_fd >= 0 ? (own + file) * page : (uint64_t)st.st_blocks * 512;
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

struct shmem_pieces {
    uint64_t bytes;
    bool *changed;
};

static bool shmem_note_piece(void *arg, uint64_t off)
{
    const struct shmem_pieces *p = arg;
    p->changed[off / p->bytes] = true;
    return true;
}

int vireo_shmem_changed(const struct vireo_shmem *mem, uint64_t piece_bytes, bool *ret_changed,
                        struct vr_error *err)
{
    struct shmem_pieces p = {.bytes = piece_bytes, .changed = ret_changed};
    if (mem->base_fd < 0 || piece_bytes == 0 ||
        !vr_is_aligned(piece_bytes, (uint64_t)sysconf(_SC_PAGESIZE))) {
        return vr_err(err, -EINVAL, "memory: not a view of a file, in pieces of whole pages");
    }
    memset(ret_changed, 0, (mem->len + piece_bytes - 1) / piece_bytes * sizeof(*ret_changed));
    if (!shmem_each_own(mem, 0, mem->len, shmem_note_piece, &p)) {
        return vr_err(err, -ENOTSUP,
                      "memory: this host does not tell which pages were written: is /proc "
                      "mounted?");
    }
    return 0;
}
