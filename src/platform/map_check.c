/* Requests for maps that make no sense anywhere. */
#include "base/bits.h"
#include "platform/map.h"

#include <errno.h>
#include <inttypes.h>

int vr_map_check_prot(unsigned prot, struct vr_error *err)
{
    if (prot & ~(unsigned)(VIREO_PROT_READ | VIREO_PROT_WRITE | VIREO_PROT_EXEC)) {
        return vr_err(err, -EINVAL, "map: unknown protection 0x%x", prot);
    }
    if ((prot & VIREO_PROT_WRITE) && (prot & VIREO_PROT_EXEC)) {
        return vr_err(err, -EACCES,
                      "map: memory is never writable and executable at one address; code memory "
                      "has two");
    }
    return 0;
}

int vr_map_check(size_t len, const struct vireo_map_opts *o, size_t page, struct vr_error *err)
{
    bool fixed = o->flags & (VIREO_MAP_FIXED | VIREO_MAP_REPLACE);
    int r = vr_map_check_prot(o->prot, err);
    if (r < 0) {
        return r;
    }
    if (len == 0 || (o->huge_bytes && (!vr_is_pow2(o->huge_bytes) || o->huge_bytes <= page)) ||
        (o->align_bytes && !vr_is_pow2(o->align_bytes)) || (fixed && !o->hva) ||
        (!fixed && o->hva) || !vr_is_aligned((uintptr_t)o->hva, page) ||
        (o->file && (o->fd < 0 || !vr_is_aligned(o->file_off, page) || o->file_off > INT64_MAX)) ||
        (fixed && o->align_bytes > page) || o->node < VIREO_NODE_ANY || o->node >= VR_MAP_NODES) {
        return vr_err(err, -EINVAL, "map: size, address, offset or alignment makes no sense");
    }
    return 0;
}

int vr_map_check_range(const struct vireo_map *map, size_t off, size_t len, size_t page,
                       struct vr_error *err)
{
    if (!vr_in_range(off, len, map->len)) {
        return vr_err(err, -ERANGE, "map: %zu bytes at %zu do not lie in %zu", len, off, map->len);
    }
    if (!vr_is_aligned(off, page)) {
        return vr_err(err, -EINVAL, "map: %zu is not the start of a page", off);
    }
    return 0;
}
