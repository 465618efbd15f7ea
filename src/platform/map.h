/* What every host's maps (vireo/host_memory.h) refuse in the same words. */
#ifndef VR_PLATFORM_MAP_H
#define VR_PLATFORM_MAP_H

#include "base/err.h"
#include "vireo/host_memory.h"
#include <stddef.h>

enum { VR_MAP_NODES = 1024 };

/* -EINVAL: unknown bits; -EACCES: write and execute together. */
int vr_map_check_prot(unsigned prot, struct vr_error *err) VR_MUST;
/* -EINVAL, -EACCES: what vireo_map_create is never asked for; @page: the host's page, bytes. */
int vr_map_check(size_t len, const struct vireo_map_opts *o, size_t page,
                 struct vr_error *err) VR_MUST;
/* -ERANGE, -EINVAL: [off, off + len) is not in @map, or does not begin with a page. */
int vr_map_check_range(const struct vireo_map *map, size_t off, size_t len, size_t page,
                       struct vr_error *err) VR_MUST;

#endif
