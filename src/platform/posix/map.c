/* What memory maps do alike on Linux and Darwin: mmap(2), mprotect(2), msync(2), mlock(2). */
#include "platform/posix/map.h"
#include "base/bits.h"
#include "base/err.h"
#include "platform/map.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int vr_map_host_prot(unsigned prot)
{
    return (prot & VIREO_PROT_READ ? PROT_READ : 0) | (prot & VIREO_PROT_WRITE ? PROT_WRITE : 0) |
           (prot & VIREO_PROT_EXEC ? PROT_EXEC : 0);
}

size_t vr_map_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

int vr_map_reserve(size_t len, size_t align, void **ret_hva, struct vr_error *err)
{
    uint64_t room;
    int r = -ENOMEM;
    if (vr_add_ok(len, align, &room)) {
        uint8_t *all =
            mmap(NULL, room, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (all != MAP_FAILED) {
            uint8_t *start = all + (vr_align_up((uintptr_t)all, align) - (uintptr_t)all);
            size_t before = (size_t)(start - all), after = align - before;
            if (before) {
                munmap(all, before);
            }
            if (after) {
                munmap(start + len, after);
            }
            *ret_hva = start;
            return 0;
        }
        r = -errno;
    }
    return vr_err(err, r, "map: %zu bytes: %s", len, strerror(-r));
}

void vr_map_take_back(uint8_t *hva, size_t len, const struct vireo_map_opts *o)
{
    const int none = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED;
    if (!(o->flags & VIREO_MAP_REPLACE) || mmap(hva, len, PROT_NONE, none, -1, 0) == MAP_FAILED) {
        munmap(hva, len);
    }
}

void vireo_map_destroy(struct vireo_map *map)
{
    if (map->hva) {
        munmap(map->hva, map->len);
    }
    *map = (struct vireo_map){.hva = NULL};
}

int vireo_map_protect(const struct vireo_map *map, size_t off, size_t len, unsigned prot,
                      struct vr_error *err)
{
    int r = vr_map_check_prot(prot, err);
    r = r < 0 ? r : vr_map_check_range(map, off, len, vr_map_page(), err);
    if (r == 0 && mprotect(map->hva + off, len, vr_map_host_prot(prot)) < 0) {
        r = -errno;
        return vr_err(err, r, "map: protection 0x%x: %s", prot, strerror(-r));
    }
    return r;
}

int vireo_map_sync(const struct vireo_map *map, size_t off, size_t len, struct vr_error *err)
{
    int r = vr_map_check_range(map, off, len, vr_map_page(), err);
    if (r == 0 && msync(map->hva + off, len, MS_SYNC) < 0) {
        r = -errno;
        return vr_err(err, r, "map: writing to the file: %s", strerror(-r));
    }
    return r;
}

int vireo_map_lock(const struct vireo_map *map, size_t off, size_t len, bool lock,
                   struct vr_error *err)
{
    int r = vr_map_check_range(map, off, len, vr_map_page(), err);
    if (r == 0 && (lock ? mlock(map->hva + off, len) : munlock(map->hva + off, len)) < 0) {
        return vr_map_lock_why_not(len, -errno, err);
    }
    return r;
}
