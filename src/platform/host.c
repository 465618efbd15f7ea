/* All facts of a host together, looked up once. */
#include "platform/host.h"
#include "base/alloc.h"
#include "platform/kvm.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

/* A host is one, and does not change: so are the facts. Set once; see vireo_platform_get. */
static _Atomic(struct vireo_platform *) host_facts;

/* The part of them that each start of a machine asks for, and that takes no look at all of the
 * host. Set once; see vr_host_cpu_id. */
static _Atomic(struct vr_cpu_id *) host_cpu_id;

int vr_host_cpu_id(const struct vr_cpu_id **ret_id, struct vr_error *err)
{
    struct vr_cpu_id *id = atomic_load_explicit(&host_cpu_id, memory_order_acquire);
    if (!id) {
        struct vr_cpu_id *first = NULL;
        id = vr_zalloc(sizeof(*id));
        if (!id) {
            return vr_err(err, -ENOMEM, "processors: no memory");
        }
        vr_cpu_identify(id);
        vr_host_correct_cpu(id);
        /* As in vireo_platform_get. */
        if (!atomic_compare_exchange_strong(&host_cpu_id, &first, id)) {
            free(id);
            id = first;
        }
    }
    *ret_id = id;
    return 0;
}

static bool host_has(const char *const *features, uint32_t count, const char *feature)
{
    for (uint32_t i = 0; i < count; i++) {
        if (strcmp(features[i], feature) == 0) {
            return true;
        }
    }
    return false;
}

bool vr_cpu_id_has(const struct vr_cpu_id *id, const char *feature)
{
    return host_has(id->features, id->feature_count, feature);
}

/* The processor itself: only this host's can be asked. */
static int host_identify(struct vireo_platform *host, struct vr_error *err)
{
    const struct vr_cpu_id *id = NULL;
    struct vireo_cpus *cpu = &host->cpu;
    int r = vr_host_cpu_id(&id, err);
    if (r < 0) {
        return r;
    }
    const char **features = vr_zalloc_array(id->feature_count, sizeof(*features));
    if (!features) {
        return vr_err(err, -ENOMEM, "processors: no memory");
    }
    memcpy(features, id->features, id->feature_count * sizeof(*features));
    cpu->features = features;
    cpu->feature_count = id->feature_count;
    cpu->arch = vireo_host_arch();
    snprintf(cpu->arch_name, sizeof(cpu->arch_name), "%s", vr_host_cpu());
    memcpy(cpu->vendor, id->vendor, sizeof(cpu->vendor));
    memcpy(cpu->model, id->model, sizeof(cpu->model));
    cpu->family = id->family;
    cpu->model_number = id->model_number;
    cpu->stepping = id->stepping;
    cpu->virt_name = id->virt_name;
    cpu->virt = id->virt;
    cpu->nested_paging = id->nested_paging;
    cpu->protection_keys = id->protection_keys;
    return 0;
}

int vireo_platform_read(const char *root, struct vireo_platform **ret_host, struct vr_error *err)
{
    struct vireo_platform *host = vr_zalloc(sizeof(*host));
    if (!host) {
        return vr_err(err, -ENOMEM, "host: no memory");
    }
    host->cpu.virt_name = "";
    int r = vr_host_read_os(root, host, err);
    r = r < 0 ? r : vr_host_read_cpus(root, host, err);
    r = r < 0 ? r : vr_host_read_nodes(root, host, err);
    r = r < 0 ? r : vr_host_read_memory(root, &host->memory, err);
    r = r < 0 || *root ? r : host_identify(host, err);
    if (r < 0) {
        vireo_platform_free(host);
        return *root ? vr_err_in(err, r, "%s", root) : r;
    }
    *ret_host = host;
    return 0;
}

void vireo_platform_free(struct vireo_platform *host)
{
    if (host) {
        free((void *)(uintptr_t)host->cpu.list);
        free((void *)(uintptr_t)host->cpu.caches);
        free((void *)(uintptr_t)host->cpu.features);
        free((void *)(uintptr_t)host->nodes);
        free(host);
    }
}

int vireo_platform_get(const struct vireo_platform **ret_host, struct vr_error *err)
{
    struct vireo_platform *host = atomic_load_explicit(&host_facts, memory_order_acquire);
    if (!host) {
        struct vireo_platform *first = NULL;
        int r = vireo_platform_read("", &host, err);
        if (r < 0) {
            return r;
        }
        /* Two threads may look at a time; the first one's answer is everybody's. */
        if (!atomic_compare_exchange_strong(&host_facts, &first, host)) {
            vireo_platform_free(host);
            host = first;
        }
    }
    *ret_host = host;
    return 0;
}

int vireo_platform_memory(struct vireo_memory *ret_memory, struct vr_error *err)
{
    return vr_host_read_memory("", ret_memory, err);
}

bool vireo_platform_has(const struct vireo_platform *host, const char *feature)
{
    return host_has(host->cpu.features, host->cpu.feature_count, feature);
}

void vr_host_add_cache(struct vireo_cache *list, uint32_t *count, const struct vireo_cache *cache)
{
    uint32_t at = 0;
    for (; at < *count; at++) {
        struct vireo_cache *c = &list[at];
        if (c->level == cache->level && c->kind == cache->kind &&
            c->size_bytes == cache->size_bytes && c->line_bytes == cache->line_bytes &&
            c->ways == cache->ways) {
            c->count++;
            c->shared_by = cache->shared_by > c->shared_by ? cache->shared_by : c->shared_by;
            return;
        }
        if (c->level > cache->level || (c->level == cache->level && c->kind > cache->kind)) {
            break;
        }
    }
    if (*count < VR_HOST_CACHES) {
        memmove(&list[at + 1], &list[at], (*count - at) * sizeof(*cache));
        list[at] = *cache;
        ++*count;
    }
}
