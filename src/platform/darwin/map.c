/* Memory by mmap(2), mprotect(2), madvise(2), mlock(2), and by Mach where POSIX has no words:
 * vm_allocate() for a place that must be free and for 2 MiB pages of x86-64 (mach/vm_statistics.h),
 * vm_region_recurse_64() for what is mapped somewhere. Darwin has no NUMA nodes. */
#include "platform/posix/map.h"
#include "base/bits.h"
#include "platform/darwin/shm.h"
#include "platform/map.h"
#include "vireo/platform.h"

#include <errno.h>
#include <inttypes.h>
#include <mach/mach.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int map_why_not(size_t len, int r, struct vr_error *err)
{
    return vr_err(err, r, "map: %zu bytes: %s", len, strerror(-r));
}

/* Take [hva, hva + len), where nothing is mapped yet. */
static int map_reserve(void *hva, size_t len, struct vr_error *err)
{
    vm_address_t at = (vm_address_t)hva;
    kern_return_t r = vm_allocate(mach_task_self(), &at, len, VM_FLAGS_FIXED);
    if (r == KERN_NO_SPACE) {
        return vr_err(err, -EEXIST, "map: something is mapped at %p", hva);
    }
    return r == KERN_SUCCESS ? 0 : map_why_not(len, -ENOMEM, err);
}

/* @len is whole pages. Where an alignment is asked for, more is mapped, and the rest given back. */
static int map_place(size_t len, const struct vireo_map_opts *o, size_t page, uint8_t **ret_hva,
                     struct vr_error *err)
{
    size_t align = o->align_bytes > page && o->align_bytes > o->huge_bytes ? o->align_bytes : 0;
    bool ours = false; /* the place at @at is */
    void *at = o->hva;
    int flags = o->flags & VIREO_MAP_SHARED ? MAP_SHARED : MAP_PRIVATE;
    int fd = o->file ? o->fd : o->huge_bytes ? VM_FLAGS_SUPERPAGE_SIZE_2MB : -1;
    flags |= o->file ? 0 : MAP_ANONYMOUS;
    flags |= o->flags & VIREO_MAP_NORESERVE ? MAP_NORESERVE : 0;
    if (align) {
        int r = vr_map_reserve(len, align, &at, err);
        if (r < 0) {
            return r;
        }
        ours = true;
    } else if (o->flags & VIREO_MAP_FIXED) {
        int r = map_reserve(at, len, err);
        if (r < 0) {
            return r;
        }
        ours = true;
    }
    flags |= ours || (o->flags & VIREO_MAP_REPLACE) ? MAP_FIXED : 0;
    void *hva =
        mmap(at, len, vr_map_host_prot(o->prot), flags, fd, o->file ? (off_t)o->file_off : 0);
    if (hva == MAP_FAILED) {
        int r = errno == EINVAL && !o->file ? -ENOMEM : -errno;
        if (ours) {
            munmap(at, len);
        }
        return map_why_not(len, r, err);
    }
    *ret_hva = hva;
    return 0;
}

int vr_map_lock_why_not(size_t len, int r, struct vr_error *err)
{
    struct rlimit limit = {0};
    getrlimit(RLIMIT_MEMLOCK, &limit);
    return vr_err(err, r,
                  "map: the host does not let us lock %zu bytes: %s (limit %llu): raise it "
                  "(ulimit -l), or sysctl vm.global_user_wire_limit",
                  len, strerror(-r), (unsigned long long)limit.rlim_cur);
}

static int map_huge_check(const struct vireo_map_opts *o, struct vr_error *err)
{
    if (o->huge_bytes == 0) {
        return 0;
    }
    if (vireo_host_arch() != VIREO_ARCH_X86_64 || o->huge_bytes != 2 << 20) {
        return vr_err(err, -ENOMEM,
                      "map: pages of %" PRIu64 " KiB: Darwin has 2048 KiB on Intel processors, and "
                      "none on its own",
                      o->huge_bytes >> 10);
    }
    return 0;
}

int vireo_map_create(size_t len, const struct vireo_map_opts *opts, struct vireo_map *ret_map,
                     struct vr_error *err)
{
    size_t page = vr_map_page();
    uint64_t whole;
    uint8_t *hva = NULL;
    int r = vr_map_check(len, opts, page, err);
    r = r < 0 ? r : map_huge_check(opts, err);
    if (r < 0) {
        return r;
    }
    if (opts->node != VIREO_NODE_ANY) {
        return vr_err(err, -ENODEV, "map: memory cannot be bound to node %d: Darwin has no nodes",
                      opts->node);
    }
    if (!vr_align_up_ok(len, opts->huge_bytes ? opts->huge_bytes : page, &whole)) {
        return map_why_not(len, -ENOMEM, err);
    }
    r = map_place((size_t)whole, opts, page, &hva, err);
    if (r < 0) {
        return r;
    }
    /* Wiring is the only call that brings pages in and says so when it cannot. */
    if ((opts->flags & (VIREO_MAP_POPULATE | VIREO_MAP_LOCKED)) && mlock(hva, (size_t)whole) < 0) {
        r = vr_map_lock_why_not((size_t)whole, -errno, err);
        vr_map_take_back(hva, (size_t)whole, opts);
        return r;
    }
    if ((opts->flags & VIREO_MAP_POPULATE) && !(opts->flags & VIREO_MAP_LOCKED)) {
        munlock(hva, (size_t)whole);
    }
    *ret_map = (struct vireo_map){
        .hva = hva, .len = (size_t)whole, .page_bytes = opts->huge_bytes ? opts->huge_bytes : page};
    return 0;
}

/* Private zeroes read as zero again: a fresh mapping takes the place of the old one, which
 * MADV_DONTNEED of Darwin does not do. What is of a file or shared is only advised. */
static int map_drop(uint8_t *at, uint8_t *end)
{
    while (at < end) {
        vm_address_t start = (vm_address_t)at;
        vm_size_t len;
        natural_t depth = UINT32_MAX;
        vm_region_submap_info_data_64_t info;
        mach_msg_type_number_t count = VM_REGION_SUBMAP_INFO_COUNT_64;
        if (vm_region_recurse_64(mach_task_self(), &start, &len, &depth,
                                 (vm_region_recurse_info_t)&info, &count) != KERN_SUCCESS ||
            start > (vm_address_t)at) {
            return -ENOMEM; /* a hole */
        }
        uint8_t *next = (uint8_t *)start + len < end ? (uint8_t *)start + len : end;
        bool shared = info.share_mode == SM_SHARED || info.share_mode == SM_TRUESHARED;
        if (info.external_pager || shared) {
            if (madvise(at, (size_t)(next - at), MADV_DONTNEED) < 0) {
                return -errno;
            }
        } else if (mmap(at, (size_t)(next - at), info.protection,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED) {
            return -errno;
        }
        at = next;
    }
    return 0;
}

int vireo_map_advise(const struct vireo_map *map, size_t off, size_t len, enum vireo_advice advice,
                     struct vr_error *err)
{
    static const int host[] = {
        [VIREO_ADVICE_NORMAL] = MADV_NORMAL,
        [VIREO_ADVICE_RANDOM] = MADV_RANDOM,
        [VIREO_ADVICE_SEQUENTIAL] = MADV_SEQUENTIAL,
        [VIREO_ADVICE_WILLNEED] = MADV_WILLNEED,
    };
    if ((unsigned)advice > VIREO_ADVICE_MERGE) {
        return vr_err(err, -EINVAL, "map: unknown advice %d", (int)advice);
    }
    int r = vr_map_check_range(map, off, len, vr_map_page(), err);
    if (r < 0) {
        return r;
    }
    if (advice == VIREO_ADVICE_DONTNEED) {
        size_t whole = vr_align_up(len, vr_map_page());
        r = map_drop(map->hva + off, map->hva + off + whole);
    } else if ((unsigned)advice < VR_COUNT(host)) {
        r = madvise(map->hva + off, len, host[advice]) < 0 ? -errno : 0;
    } else {
        return vr_err(err, -EINVAL, "map: advice %d: Darwin has no such thing", (int)advice);
    }
    return r < 0 ? vr_err(err, r, "map: advice %d: %s", (int)advice, strerror(-r)) : 0;
}

int vireo_map_node(const struct vireo_map *map, size_t off, int *ret_node, struct vr_error *err)
{
    (void)ret_node;
    if (off >= map->len) {
        return vr_err(err, -ERANGE, "map: %zu does not lie in %zu", off, map->len);
    }
    return vr_err(err, -ENOTSUP, "map: where a page is: Darwin has no nodes");
}

int vireo_memfd_create(const char *name, uint64_t len, uint64_t huge_bytes, int *ret_fd,
                       struct vr_error *err)
{
    if (len == 0 || (huge_bytes && (!vr_is_pow2(huge_bytes) || !vr_is_aligned(len, huge_bytes)))) {
        return vr_err(err, -EINVAL, "memory file '%s': the size makes no sense", name);
    }
    if (huge_bytes) {
        return vr_err(err, -ENOMEM, "memory file '%s': Darwin has none of huge pages", name);
    }
    return vr_shm_open(name, len, ret_fd, err);
}

int vireo_memfd_seal(int fd, unsigned seals, struct vr_error *err)
{
    (void)fd;
    (void)seals;
    return vr_err(err, -ENOTSUP, "memory file: sealing: Darwin has no seals; map it read-only");
}
