/*
 * How a machine uses its host: from which pages its memory comes, on which NUMA node it lies, and
 * on which processors its threads run. What SIMD the host has is always used; there is nothing to
 * set.
 *
 *     struct vireo_host_use use = {.huge_bytes = 2 << 20, .node = 0, .policy = VIREO_PLACE_LOCAL};
 *     if (vireo_config_use_host(config, &use, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.msg);
 *     }
 *
 * Functions may be called from any thread.
 */
#ifndef VIREO_HOST_USE_H
#define VIREO_HOST_USE_H

#include "vireo/error.h"
#include "vireo/host_memory.h"
#include "vireo/host_thread.h"
#include "vireo/platform.h"
#include "vireo/version.h"

#ifdef __cplusplus
extern "C" {
#endif

struct vireo_host_use {
    uint64_t huge_bytes; /* memory in pages of this size that the host has set aside; 0: plain */
    int node;            /* memory on this NUMA node only; VIREO_NODE_ANY. Zero is node 0! */
    enum vireo_place_policy policy; /* where its CPUs' threads run */
};

/* Can @host (vireo_platform_get) do that for @memory_bytes of memory? 0, or with a message that
 * says what to do: -ENOSYS: no such node, none of its processors is for this process (LOCAL), or no
 * pages of this size; -ENOMEM: too few of them are free (at the moment of detection).
 */
VIREO_API int vireo_host_use_check(const struct vireo_host_use *use,
                                   const struct vireo_platform *host, uint64_t memory_bytes,
                                   struct vr_error *err) VIREO_MUST;
/* The processors for thread @index of @count: by the policy, where LOCAL is the node of the memory
 * if that is set. The caller frees the set. Errors: vireo_place_plan's, -ENOSYS. */
VIREO_API int vireo_host_use_cpus(const struct vireo_host_use *use,
                                  const struct vireo_platform *host, uint32_t index, uint32_t count,
                                  struct vireo_cpuset *ret_set, struct vr_error *err) VIREO_MUST;

#ifdef __cplusplus
}
#endif

#endif
