/* The processors as GetLogicalProcessorInformationEx lists them. */
#ifndef VR_PLATFORM_WIN_TOPOLOGY_H
#define VR_PLATFORM_WIN_TOPOLOGY_H

#include "vireo/platform.h"
#include <stddef.h>

/*
 * Fill @cpus' list, caches and counts, all zeroed before, from @len bytes of
 * SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX records (RelationAll), which are not believed: a record
 * that does not fit is the end. A processor's id is 64 * group + its number there. The lists are
 * the caller's to free. -ENODATA: no processor in it; -ENOMEM.
 */
int vr_win_topology(const void *records, size_t len, struct vireo_cpus *cpus,
                    struct vr_error *err) VIREO_MUST;

#endif
