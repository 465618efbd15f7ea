/* Maps, for those who need more than vireo_map_create says. */
#ifndef VR_PLATFORM_WIN_MAP_H
#define VR_PLATFORM_WIN_MAP_H

#include "base/err.h"
#include "vireo/host_memory.h"
#include <stdbool.h>
#include <stddef.h>

/* vireo_map_create; @watch: of plain zeroes, pages that are written are remembered for
 * GetWriteWatch (large ones never are). */
int vr_win_map(size_t len, const struct vireo_map_opts *opts, bool watch, struct vireo_map *ret_map,
               struct vr_error *err) VR_MUST;

#endif
