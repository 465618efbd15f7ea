/* Random bytes fit for keys. */
#ifndef VR_PLATFORM_RANDOM_H
#define VR_PLATFORM_RANDOM_H

#include "base/err.h"
#include <stddef.h>

/* Fill @buf from the host's generator; may wait early in the host's boot. -EIO and the like: there
 * is none. */
int vr_random_bytes(void *buf, size_t len, struct vr_error *err) VR_MUST;

#endif
