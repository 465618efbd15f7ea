/* What this host offers to machines. */
#ifndef VR_CONTROL_HOST_H
#define VR_CONTROL_HOST_H

#include "base/err.h"
#include <stddef.h>
#include <stdint.h>

/* Why KVM does not run this guest, a few words. */
void vr_host_no_kvm(char *ret_text, size_t size);
/* Memory of this host, used or not; UINT64_MAX: it does not say. */
uint64_t vr_host_memory_bytes(void);

#endif
