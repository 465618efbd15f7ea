/*
 * Processors and caches by sysctl(3): hw.packages, hw.physicalcpu, hw.logicalcpu, and for each kind
 * of core hw.perflevelN.* (sys/sysctl.h; level 0 is the fastest). Darwin numbers no processors for
 * programs, since it lets none choose one; the numbers here are ours, by level.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/darwin/sysctl.h"
#include "platform/host.h"

#include <errno.h>
#include <stdio.h>

enum { TOPO_LEVELS = 8, TOPO_CACHES = 4 * TOPO_LEVELS, TOPO_CPUS = 4096 };

struct topo {
    uint32_t levels; /* at least 1 */
    bool named;      /* hw.perflevelN.* are there */
    struct {
        uint32_t logical, physical;
    } level[TOPO_LEVELS];
    uint32_t line_bytes;
    struct vireo_cache *caches;
    uint32_t cache_count;
};

/* "hw.perflevelN.WHAT", or "hw.WHAT" of hosts with one kind. */
static uint32_t topo_u32(const struct topo *t, uint32_t level, const char *what)
{
    char name[64];
    if (t->named) {
        snprintf(name, sizeof(name), "hw.perflevel%u.%s", level, what);
    } else {
        snprintf(name, sizeof(name), "hw.%s", what);
    }
    return vr_sysctl_u32(name);
}

static void topo_levels(struct topo *t)
{
    uint32_t levels = vr_sysctl_u32("hw.nperflevels");
    t->named = levels > 1 && levels <= TOPO_LEVELS;
    t->levels = t->named ? levels : 1;
    for (uint32_t i = 0; i < t->levels; i++) {
        t->level[i].logical = topo_u32(t, i, "logicalcpu");
        t->level[i].physical = topo_u32(t, i, "physicalcpu");
        if (t->level[i].physical == 0 || t->level[i].physical > t->level[i].logical) {
            t->level[i].physical = t->level[i].logical;
        }
    }
    t->line_bytes = vr_sysctl_u32("hw.cachelinesize");
}

/* How many processors share a cache of @level, where there is one kind: hw.cacheconfig, whose
 * entries begin with memory. */
static uint32_t topo_sharing(uint32_t level)
{
    uint64_t config[16] = {0};
    size_t len = sizeof(config);
    if (vr_sysctl_bytes("hw.cacheconfig", config, &len) && (level + 1) * sizeof(*config) <= len &&
        config[level] <= TOPO_CPUS) {
        return (uint32_t)config[level];
    }
    return 0;
}

static void topo_cache(struct topo *t, uint32_t at, uint32_t level, enum vireo_cache_kind kind,
                       uint32_t size_bytes, uint32_t shared_by)
{
    uint32_t logical = t->level[at].logical;
    if (size_bytes && logical && t->cache_count < TOPO_CACHES) {
        shared_by = shared_by && shared_by <= logical ? shared_by : 1;
        t->caches[t->cache_count++] =
            (struct vireo_cache){.level = level,
                                 .kind = kind,
                                 .size_bytes = size_bytes,
                                 .line_bytes = t->line_bytes,
                                 .count = (logical + shared_by - 1) / shared_by,
                                 .shared_by = shared_by};
    }
}

/* By level of cache, then by kind of core. */
static void topo_caches(struct topo *t)
{
    for (uint32_t i = 0; i < t->levels; i++) {
        uint32_t threads = t->level[i].physical ? t->level[i].logical / t->level[i].physical : 1;
        uint32_t shared = t->named ? threads : topo_sharing(1);
        topo_cache(t, i, 1, VIREO_CACHE_DATA, topo_u32(t, i, "l1dcachesize"), shared);
        topo_cache(t, i, 1, VIREO_CACHE_CODE, topo_u32(t, i, "l1icachesize"), shared);
    }
    for (uint32_t i = 0; i < t->levels; i++) {
        uint32_t shared = t->named ? topo_u32(t, i, "cpusperl2") : topo_sharing(2);
        topo_cache(t, i, 2, VIREO_CACHE_UNIFIED, topo_u32(t, i, "l2cachesize"), shared);
    }
    for (uint32_t i = 0; i < t->levels; i++) {
        uint32_t shared = t->named ? topo_u32(t, i, "cpusperl3") : topo_sharing(3);
        topo_cache(t, i, 3, VIREO_CACHE_UNIFIED, topo_u32(t, i, "l3cachesize"), shared);
    }
}

static void topo_list(const struct topo *t, struct vireo_cpu *list, uint32_t count,
                      uint32_t packages)
{
    uint32_t id = 0, core = 0;
    for (uint32_t i = 0; i < t->levels; i++) {
        uint32_t threads = t->level[i].physical ? t->level[i].logical / t->level[i].physical : 1;
        threads = threads ? threads : 1;
        for (uint32_t n = 0; n < t->level[i].logical && id < count; n++, id++) {
            list[id] = (struct vireo_cpu){
                .id = id,
                .package = (uint32_t)((uint64_t)id * packages / count),
                .core = core + n / threads,
                .kind = t->levels == 1 ? VIREO_CORE_ALIKE
                        : i == 0       ? VIREO_CORE_BIG
                                       : VIREO_CORE_LITTLE,
                .usable = true,
            };
        }
        core += (t->level[i].logical + threads - 1) / threads;
    }
}

int vr_host_read_cpus(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    struct topo t = {.levels = 0};
    struct vireo_cpus *cpus = &host->cpu;
    uint32_t count = 0;
    (void)root; /* refused by vr_host_read_os */
    topo_levels(&t);
    for (uint32_t i = 0; i < t.levels; i++) {
        count += t.level[i].logical <= TOPO_CPUS ? t.level[i].logical : 0;
        cpus->cores += t.level[i].physical;
        uint32_t threads = t.level[i].physical ? t.level[i].logical / t.level[i].physical : 0;
        cpus->threads_per_core =
            threads > cpus->threads_per_core ? threads : cpus->threads_per_core;
    }
    if (count == 0 || count > TOPO_CPUS) {
        return vr_err(err, -ENODATA,
                      "processors: the kernel does not tell how many (hw.logicalcpu)");
    }
    uint32_t packages = vr_sysctl_u32("hw.packages");
    struct vireo_cpu *list = vr_zalloc_array(count, sizeof(*list));
    t.caches = vr_zalloc_array(TOPO_CACHES, sizeof(*t.caches));
    cpus->list = list;
    cpus->caches = t.caches;
    if (!list || !t.caches) {
        return vr_err(err, -ENOMEM, "processors: no memory");
    }
    cpus->packages = packages && packages <= count ? packages : 1;
    topo_list(&t, list, count, cpus->packages);
    topo_caches(&t);
    cpus->count = count;
    cpus->usable_count = count;
    cpus->cache_count = t.cache_count;
    cpus->line_bytes = t.line_bytes;
    return 0;
}
