/* Between posix/map.c and the map.c of each POSIX host. */
#ifndef VR_PLATFORM_POSIX_MAP_H
#define VR_PLATFORM_POSIX_MAP_H

#include "base/err.h"
#include "vireo/host_memory.h"
#include <stddef.h>
#include <stdint.h>

/* The host's page, bytes. */
size_t vr_map_page(void);
/* mmap(2)'s word for VIREO_PROT_* bits. */
int vr_map_host_prot(unsigned prot);
/* An empty place for @len bytes (whole pages) at a multiple of @align, so that the mapping itself
 * is made once, where it belongs. */
int vr_map_reserve(size_t len, size_t align, void **ret_hva, struct vr_error *err) VR_MUST;
/* The host's own: says why mlock(2) of @len bytes gave @r, and gives it. */
int vr_map_lock_why_not(size_t len, int r, struct vr_error *err);

/* A map made by @o turns out not to be had. What it replaced was the caller's place, and stays so,
 * with nothing there. */
void vr_map_take_back(uint8_t *hva, size_t len, const struct vireo_map_opts *o);

#endif
