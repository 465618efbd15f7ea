/* Allocation whose size somebody else may have chosen: checked, zeroed, NULL on failure. */
#ifndef VR_BASE_ALLOC_H
#define VR_BASE_ALLOC_H

#include <stddef.h>
#include <stdlib.h>

/* @size zero bytes, to be freed with free(); NULL: no memory (callers return -ENOMEM). Size 0 gives
 * a pointer too, so that NULL always means failure. */
static inline void *vr_zalloc(size_t size)
{
    return calloc(1, size ? size : 1);
}

/* The same for @count elements of @size bytes; a product that wraps is a failure. */
static inline void *vr_zalloc_array(size_t count, size_t size)
{
    return calloc(count ? count : 1, size ? size : 1);
}

#endif
