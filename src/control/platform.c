/* The host as JSON, from the facts of vireo/platform.h. One row of a table is one part. */
#include "control/platform.h"
#include "base/bits.h"
#include "base/text.h"
#include "vireo/host_pci.h"
#include "vireo/platform.h"

#include <errno.h>
#include <string.h>

/* "unknown", "no" or "yes" as null, false or true. */
static json_t *platform_answer(enum vireo_answer answer)
{
    return answer == VIREO_UNKNOWN ? json_null() : json_boolean(answer == VIREO_YES);
}

/* A size; what has no limit is null. */
static json_t *platform_bytes(uint64_t bytes)
{
    return bytes > INT64_MAX ? json_null() : json_integer((json_int_t)bytes);
}

static json_t *platform_os(const struct vireo_platform *host)
{
    return json_pack("{s:s, s:s, s:s, s:s}", "kind", vireo_os_name(host->os), "name", host->os_name,
                     "version", host->os_version, "kernel", host->kernel_version);
}

static json_t *platform_cpu_list(const struct vireo_cpus *cpu)
{
    static const char *const kinds[] = {"alike", "little", "big"};
    json_t *list = json_array();
    for (uint32_t i = 0; i < cpu->count; i++) {
        const struct vireo_cpu *c = &cpu->list[i];
        json_array_append_new(
            list, json_pack("{s:i, s:i, s:i, s:i, s:i, s:s, s:b}", "id", (int)c->id, "package",
                            (int)c->package, "core", (int)c->core, "node", (int)c->node, "capacity",
                            (int)c->capacity, "kind", kinds[c->kind], "usable", c->usable));
    }
    return list;
}

static json_t *platform_caches(const struct vireo_cpus *cpu)
{
    static const char *const kinds[] = {"unified", "data", "code"};
    json_t *list = json_array();
    for (uint32_t i = 0; i < cpu->cache_count; i++) {
        const struct vireo_cache *c = &cpu->caches[i];
        json_array_append_new(list, json_pack("{s:i, s:s, s:I, s:i, s:i, s:i, s:i}", "level",
                                              (int)c->level, "kind", kinds[c->kind], "size_bytes",
                                              (json_int_t)c->size_bytes, "line_bytes",
                                              (int)c->line_bytes, "ways", (int)c->ways, "count",
                                              (int)c->count, "shared_by", (int)c->shared_by));
    }
    return list;
}

static json_t *platform_cpu(const struct vireo_platform *host)
{
    const struct vireo_cpus *cpu = &host->cpu;
    json_t *features = json_array();
    for (uint32_t i = 0; i < cpu->feature_count; i++) {
        json_array_append_new(features, json_string(cpu->features[i]));
    }
    return json_pack(
        "{s:s, s:s, s:s, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:i, s:o, s:o, s:o, "
        "s:{s:s, s:o, s:o}, s:o}",
        "arch", cpu->arch_name, "vendor", cpu->vendor, "model", cpu->model, "family",
        (int)cpu->family, "model_number", (int)cpu->model_number, "stepping", (int)cpu->stepping,
        "count", (int)cpu->count, "usable_count", (int)cpu->usable_count, "quota_milli",
        (int)cpu->quota_milli, "packages", (int)cpu->packages, "cores", (int)cpu->cores,
        "threads_per_core", (int)cpu->threads_per_core, "line_bytes", (int)cpu->line_bytes,
        "features", features, "caches", platform_caches(cpu), "list", platform_cpu_list(cpu),
        "virtualization", "name", cpu->virt_name, "present", platform_answer(cpu->virt),
        "nested_paging", platform_answer(cpu->nested_paging), "protection_keys",
        platform_answer(cpu->protection_keys));
}

static json_t *platform_memory(const struct vireo_platform *host)
{
    struct vireo_memory now = host->memory;
    json_t *huge = json_array(), *nodes = json_array();
    /* A copy of another host has no page size, and no now. */
    if (now.page_bytes && vireo_platform_memory(&now, NULL) < 0) {
        now = host->memory;
    }
    for (uint32_t i = 0; i < now.huge_count; i++) {
        json_array_append_new(huge, json_pack("{s:o, s:o, s:o}", "page_bytes",
                                              platform_bytes(now.huge[i].page_bytes), "total",
                                              platform_bytes(now.huge[i].total), "free",
                                              platform_bytes(now.huge[i].free)));
    }
    for (uint32_t i = 0; i < host->node_count; i++) {
        const struct vireo_node *n = &host->nodes[i];
        json_array_append_new(nodes, json_pack("{s:i, s:o, s:o, s:i}", "id", (int)n->id,
                                               "total_bytes", platform_bytes(n->total_bytes),
                                               "free_bytes", platform_bytes(n->free_bytes),
                                               "cpu_count", (int)n->cpu_count));
    }
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:o, s:o}", "page_bytes",
                     platform_bytes(now.page_bytes), "total_bytes", platform_bytes(now.total_bytes),
                     "free_bytes", platform_bytes(now.free_bytes), "available_bytes",
                     platform_bytes(now.available_bytes), "limit_bytes",
                     platform_bytes(now.limit_bytes), "limit_used_bytes",
                     platform_bytes(now.limit_used_bytes), "transparent_huge", now.transparent_huge,
                     "huge_pages", huge, "nodes", nodes);
}

static json_t *platform_caps(const struct vireo_platform *host)
{
    const struct vireo_caps *caps = vireo_platform_caps();
    const struct {
        const char *name;
        const struct vireo_ability *ability;
    } rows[] = {
        {"kvm", &caps->kvm},           {"hvf", &caps->hvf},
        {"whpx", &caps->whpx},         {"io_uring", &caps->io_uring},
        {"counters", &caps->counters}, {"protection_keys", &caps->protection_keys},
        {"jit", &caps->jit},
    };
    json_t *all = json_pack("{s:b}", "accelerated", caps->accelerated);
    (void)host;
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        const struct vireo_ability *a = rows[i].ability;
        json_object_set_new(all, rows[i].name,
                            json_pack("{s:b, s:b, s:s}", "present", a->present, "works", a->works,
                                      "detail", a->detail));
    }
    return all;
}

static json_t *platform_paths(const struct vireo_platform *host)
{
    static const char *const names[] = {
        [VIREO_PATH_CONFIG] = "config",
        [VIREO_PATH_DATA] = "data",
        [VIREO_PATH_CACHE] = "cache",
        [VIREO_PATH_RUNTIME] = "runtime",
    };
    json_t *all = json_object();
    char path[4096];
    (void)host;
    for (unsigned i = 0; i < VR_COUNT(names); i++) {
        bool known = vireo_platform_path((enum vireo_path)i, path, sizeof(path), NULL) == 0;
        json_object_set_new(all, names[i], known ? json_string(path) : json_null());
    }
    return all;
}

/* How many devices could go to a guest now, and what the others wait for, the first's in words. */
static unsigned platform_ready(const struct vireo_pci *pci, char *todo, size_t size)
{
    unsigned ready = 0;
    for (size_t i = 0; i < vireo_pci_count(pci); i++) {
        struct vireo_readiness r;
        const struct vireo_pci_device *dev = vireo_pci_at(pci, i);
        if (dev->kind == VIREO_PCI_BRIDGE || vireo_pci_readiness(pci, dev->addr, &r, NULL) < 0) {
            continue;
        }
        ready += r.verdict == VIREO_READY;
        for (size_t k = 0; k < r.reason_count && !*todo; k++) {
            if (r.reasons[k].weight != VIREO_READY) {
                snprintf(todo, size, "%s%s%s", r.reasons[k].what, *r.reasons[k].todo ? ": " : "",
                         r.reasons[k].todo);
            }
        }
    }
    return ready;
}

static json_t *platform_devices(const struct vireo_platform *host)
{
    struct vireo_pci *pci;
    struct vr_error err;
    char todo[400] = "";
    unsigned gpus = 0, physical = 0, virtual = 0;
    (void)host;
    if (vireo_pci_scan(NULL, &pci, &err) < 0) {
        return json_pack("{s:i, s:i, s:s, s:i, s:i, s:i, s:i, s:s}", "pci", 0, "gpus", 0, "iommu",
                         "unknown", "iommu_groups", 0, "sriov_functions", 0, "virtual_functions", 0,
                         "passthrough_ready", 0, "todo", err.msg);
    }
    for (size_t i = 0; i < vireo_pci_count(pci); i++) {
        const struct vireo_pci_device *dev = vireo_pci_at(pci, i);
        gpus += dev->kind == VIREO_PCI_GPU;
        physical += dev->sriov_total > 0;
        virtual += dev->is_vf;
    }
    unsigned ready = platform_ready(pci, todo, sizeof(todo));
    json_t *all = json_pack(
        "{s:i, s:i, s:s, s:i, s:i, s:i, s:i, s:s}", "pci", (int)vireo_pci_count(pci), "gpus",
        (int)gpus, "iommu", vireo_iommu_kind_name(vireo_iommu_kind(pci)), "iommu_groups",
        (int)vireo_iommu_group_count(pci), "sriov_functions", (int)physical, "virtual_functions",
        (int)virtual, "passthrough_ready", (int)ready, "todo", todo);
    vireo_pci_destroy(pci);
    return all;
}

static const struct {
    const char *name;
    json_t *(*get)(const struct vireo_platform *host);
    bool running; /* of the running host only, not of a copy */
} platform_parts[] = {
    {"os", platform_os, false},          {"cpu", platform_cpu, false},
    {"memory", platform_memory, false},  {"caps", platform_caps, true},
    {"devices", platform_devices, true}, {"paths", platform_paths, true},
};

const char *vr_query_platform_part(unsigned i)
{
    return i < VR_COUNT(platform_parts) ? platform_parts[i].name : NULL;
}

/* The parts of @host into @all: @part, or all of them; of a copy those that can be read. Returns
 * whether there were any. */
static bool platform_collect(json_t *all, const struct vireo_platform *host, const char *part,
                             bool copy)
{
    bool found = false;
    for (unsigned i = 0; i < VR_COUNT(platform_parts); i++) {
        const char *name = platform_parts[i].name;
        if (part ? strcmp(part, name) == 0 : !copy || !platform_parts[i].running) {
            found |= json_object_set_new(all, name, platform_parts[i].get(host)) == 0;
        }
    }
    return found;
}

/* Is there such a part, and of a copy? */
static int platform_check(const char *part, bool copy, struct vr_error *err)
{
    const char *names[VR_COUNT(platform_parts)];
    for (unsigned i = 0; i < VR_COUNT(platform_parts); i++) {
        names[i] = platform_parts[i].name;
        if (part && strcmp(part, names[i]) == 0) {
            return !copy || !platform_parts[i].running
                       ? 0
                       : vr_err(err, -EINVAL,
                                "platform: '%s' is of the running host only: leave --root out",
                                part);
        }
    }
    if (!part) {
        return 0;
    }
    const char *near = vr_nearest(part, names, VR_COUNT(names));
    return vr_err(err, -EINVAL, "platform: no part '%s'%s%s%s", part,
                  near ? ": did you mean '" : "", near ? near : "",
                  near ? "'?" : "; 'vireo help platform' lists them");
}

int vr_query_platform(const char *root, const char *part, json_t **ret_json, struct vr_error *err)
{
    const struct vireo_platform *host;
    struct vireo_platform *copy = NULL;
    int r = platform_check(part, root, err);
    if (r < 0) {
        return r;
    }
    r = root ? vireo_platform_read(root, &copy, err) : vireo_platform_get(&host, err);
    if (r < 0) {
        return r;
    }
    json_t *all = json_object();
    bool found = platform_collect(all, root ? copy : host, part, root);
    vireo_platform_free(copy);
    if (!found) {
        json_decref(all);
        return vr_err(err, -ENOMEM, "host: no memory");
    }
    *ret_json = all;
    return 0;
}
