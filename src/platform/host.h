/* The parts of host detection, as vireo/platform.h shows them together. Systems: linux/, windows/;
 * the processor: x86/, arm64/, riscv/ features.c. */
#ifndef VR_PLATFORM_HOST_H
#define VR_PLATFORM_HOST_H

#include "base/err.h"
#include "vireo/host_thread.h"
#include "vireo/platform.h"

enum { VR_FEATURES_MAX = 192, VR_HOST_CACHES = 64 };

/* The processor that we run on, by asking it. */
struct vr_cpu_id {
    char vendor[32], model[64];
    uint32_t family, model_number, stepping;
    const char *features[VR_FEATURES_MAX]; /* static strings */
    uint32_t feature_count;
    const char *virt_name; /* static */
    enum vireo_answer virt, nested_paging, protection_keys;
};
void vr_cpu_identify(struct vr_cpu_id *ret_id);
/* Put right in @id what the host's kernel knows better than the processor: features that are not to
 * be used, nested paging. */
void vr_host_correct_cpu(struct vr_cpu_id *id);
/* Both together, once in a process; never freed. Any thread. -ENOMEM. */
int vr_host_cpu_id(const struct vr_cpu_id **ret_id, struct vr_error *err) VR_MUST;
bool vr_cpu_id_has(const struct vr_cpu_id *id, const char *feature);

/* Position-independent code of this processor: a function without arguments that returns 42; by it
 * one sees whether made code runs. NULL: Vireo makes no code for this processor. */
const void *vr_jit_sample(size_t *ret_len);

/* Each fills its part of a zeroed @host from the files below @root, "" for this host. What cannot
 * be read stays unknown; an error only where nothing is known then. Other systems than Linux read
 * themselves only: -ENOTSUP from vr_host_read_os where @root is not "". */
int vr_host_read_os(const char *root, struct vireo_platform *host, struct vr_error *err) VR_MUST;
int vr_host_read_cpus(const char *root, struct vireo_platform *host, struct vr_error *err) VR_MUST;
int vr_host_read_nodes(const char *root, struct vireo_platform *host, struct vr_error *err) VR_MUST;
int vr_host_read_memory(const char *root, struct vireo_memory *ret_memory,
                        struct vr_error *err) VR_MUST;

/* Count @cache in @list (VR_HOST_CACHES long, *@count used), beside those like it, by level. */
void vr_host_add_cache(struct vireo_cache *list, uint32_t *count, const struct vireo_cache *cache);

/* Processors that the calling thread may run on. -ENOMEM and what the host says. */
int vr_host_affinity(struct vireo_cpuset *ret_set) VR_MUST;
struct vr_sysfs; /* platform/sysfs.h */
/* The tightest limits of this process's cgroup (v2) and of those above it: thousandths of a
 * processor, 0: none; bytes, UINT64_MAX: none, and how many of them are used. */
void vr_host_cgroup_cpu(const struct vr_sysfs *fs, uint32_t *ret_quota_milli);
void vr_host_cgroup_memory(const struct vr_sysfs *fs, uint64_t *ret_limit, uint64_t *ret_used);

#endif
