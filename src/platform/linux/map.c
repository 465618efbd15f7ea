/* Memory by mmap(2), mprotect(2), madvise(2), mbind(2) (by its bare system call: libnuma is not
 * needed), memfd_create(2) and its seals (fcntl(2)). */
#include "platform/posix/map.h"
#include "base/bits.h"
#include "base/err.h"
#include "platform/map.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/mempolicy.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

enum { MAP_HUGE_AT = 26 /* MAP_HUGE_SHIFT and MFD_HUGE_SHIFT */ };

static int map_flags(const struct vireo_map_opts *o)
{
    int flags = o->flags & VIREO_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE;
    flags |= o->file ? 0 : MAP_ANONYMOUS;
    flags |= o->flags & VIREO_MAP_REPLACE ? MAP_FIXED
             : o->flags & VIREO_MAP_FIXED ? MAP_FIXED_NOREPLACE
                                          : 0;
    flags |= o->flags & VIREO_MAP_NORESERVE ? MAP_NORESERVE : 0;
    if (o->huge_bytes && !o->file) { /* a file has its own */
        flags |= (int)(MAP_HUGETLB | (unsigned)__builtin_ctzll(o->huge_bytes) << MAP_HUGE_AT);
    }
    return flags;
}

static int map_why_not(size_t len, const struct vireo_map_opts *o, int r, struct vr_error *err)
{
    if (o->huge_bytes && (r == -ENOMEM || r == -EINVAL)) {
        return vr_err(err, -ENOMEM,
                      "map: %zu bytes in pages of %" PRIu64 " KiB: the host has not as many free; "
                      "write their number to /sys/kernel/mm/hugepages/hugepages-%" PRIu64
                      "kB/nr_hugepages",
                      len, o->huge_bytes >> 10, o->huge_bytes >> 10);
    }
    if (r == -EEXIST) {
        return vr_err(err, r, "map: something is mapped at %p", o->hva);
    }
    return vr_err(err, r, "map: %zu bytes: %s", len, strerror(-r));
}

/* @len is whole pages. Where an alignment is asked for, more is mapped, and the rest given back. */
static int map_place(size_t len, const struct vireo_map_opts *o, size_t page, uint8_t **ret_hva,
                     struct vr_error *err)
{
    size_t align = o->align_bytes > page && o->align_bytes > o->huge_bytes ? o->align_bytes : 0;
    void *at = o->hva;
    if (align) {
        int r = vr_map_reserve(len, align, &at, err);
        if (r < 0) {
            return r;
        }
    }
    int flags = map_flags(o) | (align ? MAP_FIXED : 0);
    void *hva = mmap(at, len, vr_map_host_prot(o->prot), flags, o->file ? o->fd : -1,
                     o->file ? (off_t)o->file_off : 0);
    if (hva == MAP_FAILED) {
        int r = -errno;
        if (align) {
            munmap(at, len);
        }
        return map_why_not(len, o, r, err);
    }
    if ((o->flags & VIREO_MAP_FIXED) && hva != o->hva) {
        munmap(hva, len); /* kernels before 4.17 take the flag for a hint */
        return map_why_not(len, o, -EEXIST, err);
    }
    *ret_hva = hva;
    return 0;
}

static int map_bind(uint8_t *hva, size_t len, int node, struct vr_error *err)
{
    unsigned long mask[VR_MAP_NODES / (8 * sizeof(unsigned long))] = {0};
    unsigned bits = 8 * sizeof(unsigned long);
    if (node == VIREO_NODE_ANY) {
        return 0;
    }
    mask[(unsigned)node / bits] |= 1ul << ((unsigned)node % bits);
    if (syscall(SYS_mbind, hva, len, MPOL_BIND, mask, (unsigned long)VR_MAP_NODES, MPOL_MF_STRICT) <
        0) {
        int r = errno == EINVAL ? -ENODEV : -errno;
        return vr_err(err, r, "map: memory cannot be bound to node %d: %s", node,
                      r == -ENODEV ? "no such node here" : strerror(-r));
    }
    return 0;
}

int vr_map_lock_why_not(size_t len, int r, struct vr_error *err)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    if (r == -EPERM || r == -ENOMEM || r == -EAGAIN) {
        return vr_err(err, r,
                      "map: the host does not let us lock %zu bytes (limit %llu): raise it "
                      "(ulimit -l, LimitMEMLOCK=) or give CAP_IPC_LOCK",
                      len, (unsigned long long)limit.rlim_cur);
    }
    return vr_err(err, r, "map: locking %zu bytes: %s", len, strerror(-r));
}

/* Touch every page, on its node; without a signal when the host has none left. */
static int map_populate(uint8_t *hva, size_t len, unsigned prot, struct vr_error *err)
{
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ  22
#define MADV_POPULATE_WRITE 23
#endif
    int advice = prot & VIREO_PROT_WRITE ? MADV_POPULATE_WRITE : MADV_POPULATE_READ;
    int r;
    do {
        r = madvise(hva, len, advice) < 0 ? -errno : 0;
    } while (r == -EINTR);
    if (r == -EINVAL) { /* before Linux 5.14: only a hint is there */
        r = madvise(hva, len, MADV_WILLNEED) < 0 ? -errno : 0;
    }
    return r < 0 ? vr_err(err, r, "map: filling %zu bytes: %s", len, strerror(-r)) : 0;
}

int vireo_map_create(size_t len, const struct vireo_map_opts *opts, struct vireo_map *ret_map,
                     struct vr_error *err)
{
    size_t page = vr_map_page();
    uint64_t whole;
    uint8_t *hva = NULL;
    int r = vr_map_check(len, opts, page, err);
    if (r < 0) {
        return r;
    }
    if (!vr_align_up_ok(len, opts->huge_bytes ? opts->huge_bytes : page, &whole)) {
        return map_why_not(len, opts, -ENOMEM, err);
    }
    r = map_place((size_t)whole, opts, page, &hva, err);
    if (r < 0) {
        return r;
    }
    r = map_bind(hva, (size_t)whole, opts->node, err);
    if (r == 0 && (opts->flags & (VIREO_MAP_POPULATE | VIREO_MAP_LOCKED))) {
        r = map_populate(hva, (size_t)whole, opts->prot, err);
    }
    if (r == 0 && (opts->flags & VIREO_MAP_LOCKED) && mlock(hva, (size_t)whole) < 0) {
        r = vr_map_lock_why_not((size_t)whole, -errno, err);
    }
    if (r < 0) {
        vr_map_take_back(hva, (size_t)whole, opts);
        return r;
    }
    *ret_map = (struct vireo_map){
        .hva = hva, .len = (size_t)whole, .page_bytes = opts->huge_bytes ? opts->huge_bytes : page};
    return 0;
}

int vireo_map_advise(const struct vireo_map *map, size_t off, size_t len, enum vireo_advice advice,
                     struct vr_error *err)
{
    static const int host[] = {
        [VIREO_ADVICE_NORMAL] = MADV_NORMAL,         [VIREO_ADVICE_RANDOM] = MADV_RANDOM,
        [VIREO_ADVICE_SEQUENTIAL] = MADV_SEQUENTIAL, [VIREO_ADVICE_WILLNEED] = MADV_WILLNEED,
        [VIREO_ADVICE_DONTNEED] = MADV_DONTNEED,     [VIREO_ADVICE_HUGE] = MADV_HUGEPAGE,
        [VIREO_ADVICE_NO_HUGE] = MADV_NOHUGEPAGE,    [VIREO_ADVICE_NO_DUMP] = MADV_DONTDUMP,
        [VIREO_ADVICE_MERGE] = MADV_MERGEABLE,
    };
    if ((unsigned)advice >= VR_COUNT(host)) {
        return vr_err(err, -EINVAL, "map: unknown advice %d", (int)advice);
    }
    int r = vr_map_check_range(map, off, len, vr_map_page(), err);
    if (r == 0 && madvise(map->hva + off, len, host[advice]) < 0) {
        r = -errno;
        return vr_err(err, r, "map: advice %d: %s", (int)advice,
                      r == -EINVAL ? "the host's kernel does not know it" : strerror(-r));
    }
    return r;
}

int vireo_map_node(const struct vireo_map *map, size_t off, int *ret_node, struct vr_error *err)
{
    int node = -1;
    if (off >= map->len) {
        return vr_err(err, -ERANGE, "map: %zu does not lie in %zu", off, map->len);
    }
    void *page = map->hva + vr_align_down(off, vr_map_page());
    if (syscall(SYS_move_pages, 0, 1UL, &page, NULL, &node, 0) < 0) {
        int r = -errno;
        return vr_err(err, r, "map: where a page is: %s", strerror(-r));
    }
    if (node < 0) {
        return vr_err(err, node, "map: where a page is: %s", strerror(-node));
    }
    *ret_node = node;
    return 0;
}

int vireo_memfd_create(const char *name, uint64_t len, uint64_t huge_bytes, int *ret_fd,
                       struct vr_error *err)
{
    unsigned flags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
    if (len == 0 || (huge_bytes && (!vr_is_pow2(huge_bytes) || !vr_is_aligned(len, huge_bytes)))) {
        return vr_err(err, -EINVAL, "memory file '%s': the size makes no sense", name);
    }
    if (huge_bytes) {
        flags |= MFD_HUGETLB | (unsigned)__builtin_ctzll(huge_bytes) << MAP_HUGE_AT;
    }
    int fd = memfd_create(name, flags);
    if (fd < 0) {
        int r = -errno;
        return vr_err(err, r, "memory file '%s': %s", name,
                      huge_bytes ? "the host has no huge pages of this size" : strerror(-r));
    }
    if (len > INT64_MAX || ftruncate(fd, (off_t)len) < 0) {
        close(fd);
        return vr_err(err, -ENOMEM, "memory file '%s': %" PRIu64 " bytes do not fit", name, len);
    }
    *ret_fd = fd;
    return 0;
}

int vireo_memfd_seal(int fd, unsigned seals, struct vr_error *err)
{
    int host = (seals & VIREO_SEAL_SIZE ? F_SEAL_GROW | F_SEAL_SHRINK : 0) |
               (seals & VIREO_SEAL_WRITE ? F_SEAL_WRITE : 0);
    if (fcntl(fd, F_ADD_SEALS, host) < 0) {
        int r = -errno;
        return vr_err(err, r, "memory file: sealing: %s",
                      r == -EBUSY ? "somebody maps it for writing" : strerror(-r));
    }
    return 0;
}
