/* What this host offers to machines. */
#ifndef VR_CONTROL_HOST_H
#define VR_CONTROL_HOST_H

#include "base/err.h"
#include <stddef.h>

/* Why KVM does not run this guest, a few words. */
void vr_host_no_kvm(char *ret_text, size_t size);

#endif
