/* Memory without a name that is shared by descriptor. */
#ifndef VR_PLATFORM_DARWIN_SHM_H
#define VR_PLATFORM_DARWIN_SHM_H

#include "base/err.h"
#include <stdint.h>

/* @len zero bytes. @what: for the message. -ENOMEM; what shm_open(2) says. */
int vr_shm_open(const char *what, uint64_t len, int *ret_fd, struct vr_error *err) VR_MUST;

#endif
