/*
 * Processors, cores, packages and caches by sysfs: Linux Documentation/admin-guide/cputopology.rst,
 * Documentation/ABI/testing/sysfs-devices-system-cpu. Any file may be missing or damaged: then a
 * processor is a core of its own in the first package, and a cache that cannot be read is not
 * there.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/host.h"
#include "platform/sysfs.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CPU_CACHE_INDEXES = 16 };

#define CPU_DIR "sys/devices/system/cpu/cpu%u/"

/* While reading: the list, and what the indexes in it stand for. */
struct cpu_reader {
    const struct vr_sysfs *fs;
    struct vireo_cpu *list;
    uint32_t count;
    uint64_t *package_ids; /* of each package index */
    uint32_t *core_firsts; /* the first processor of each core index */
    uint32_t packages, cores, threads;
    struct vireo_cache *caches;
    uint32_t cache_count;
};

static uint32_t cpu_package(struct cpu_reader *rd, uint32_t cpu)
{
    uint64_t id;
    uint32_t i = 0;
    if (vr_sysfs_u64(rd->fs, VR_SYSFS_AT(CPU_DIR "topology/physical_package_id", cpu), UINT64_MAX,
                     &id) < 0) {
        id = 0; /* -1 means that the firmware does not say */
    }
    while (i < rd->packages && rd->package_ids[i] != id) {
        i++;
    }
    if (i == rd->packages) {
        rd->package_ids[rd->packages++] = id;
    }
    return i;
}

/* @online: siblings that are not do not count. */
static int cpu_core(struct cpu_reader *rd, uint32_t cpu, const struct vireo_cpuset *online,
                    uint32_t *ret_core)
{
    struct vireo_cpuset siblings = {.bits = NULL};
    uint32_t first = cpu, threads = 0, i = 0;
    int r =
        vr_sysfs_cpus(rd->fs, VR_SYSFS_AT(CPU_DIR "topology/thread_siblings_list", cpu), &siblings);
    if (r == -ENOMEM) {
        return r;
    }
    if (r == 0 && vireo_cpuset_has(&siblings, cpu)) {
        for (uint32_t s = vireo_cpuset_next(&siblings, 0); s != UINT32_MAX;
             s = vireo_cpuset_next(&siblings, s + 1)) {
            if (vireo_cpuset_has(online, s)) {
                first = threads++ == 0 ? s : first;
            }
        }
    }
    vireo_cpuset_fini(&siblings);
    rd->threads = threads > rd->threads ? threads : rd->threads;
    while (i < rd->cores && rd->core_firsts[i] != first) {
        i++;
    }
    if (i == rd->cores) {
        rd->core_firsts[rd->cores++] = first;
    }
    *ret_core = i;
    return 0;
}

/* Cache number @index of @cpu, counted once: at the first online processor that shares it. */
static int cpu_cache(struct cpu_reader *rd, uint32_t cpu, unsigned index,
                     const struct vireo_cpuset *online)
{
#define CPU_CACHE CPU_DIR "cache/index%u/"
    char text[64];
    uint64_t level, size, v;
    struct vireo_cache cache = {.count = 1};
    struct vireo_cpuset shared = {.bits = NULL};
    if (vr_sysfs_u64(rd->fs, VR_SYSFS_AT(CPU_CACHE "level", cpu, index), UINT64_MAX, &level) < 0 ||
        level == 0 || level > 16 ||
        vr_sysfs_text(rd->fs, VR_SYSFS_AT(CPU_CACHE "size", cpu, index), text, sizeof(text)) < 0 ||
        vr_parse_size(text, &size) < 0 || size == 0) {
        return 0;
    }
    cache.level = (uint32_t)level;
    cache.size_bytes = size;
    if (vr_sysfs_text(rd->fs, VR_SYSFS_AT(CPU_CACHE "type", cpu, index), text, sizeof(text)) >= 0) {
        cache.kind = strcmp(text, "Data") == 0          ? VIREO_CACHE_DATA
                     : strcmp(text, "Instruction") == 0 ? VIREO_CACHE_CODE
                                                        : VIREO_CACHE_UNIFIED;
    }
    if (vr_sysfs_u64(rd->fs, VR_SYSFS_AT(CPU_CACHE "coherency_line_size", cpu, index), UINT64_MAX,
                     &v) == 0 &&
        v <= 65536) {
        cache.line_bytes = (uint32_t)v;
    }
    if (vr_sysfs_u64(rd->fs, VR_SYSFS_AT(CPU_CACHE "ways_of_associativity", cpu, index), UINT64_MAX,
                     &v) == 0 &&
        v <= 65536) {
        cache.ways = (uint32_t)v;
    }
    uint32_t first = cpu;
    int r = vr_sysfs_cpus(rd->fs, VR_SYSFS_AT(CPU_CACHE "shared_cpu_list", cpu, index), &shared);
    if (r == -ENOMEM) {
        return r;
    }
    for (uint32_t s = r < 0 ? UINT32_MAX : vireo_cpuset_next(&shared, 0); s != UINT32_MAX;
         s = vireo_cpuset_next(&shared, s + 1)) {
        if (vireo_cpuset_has(online, s)) {
            first = cache.shared_by++ == 0 ? s : first;
        }
    }
    vireo_cpuset_fini(&shared);
    cache.shared_by = cache.shared_by ? cache.shared_by : 1;
    if (first == cpu) {
        vr_host_add_cache(rd->caches, &rd->cache_count, &cache);
    }
    return 0;
#undef CPU_CACHE
}

static int cpu_one(struct cpu_reader *rd, uint32_t at, const struct vireo_cpuset *online)
{
    struct vireo_cpu *c = &rd->list[at];
    uint64_t v;
    c->package = cpu_package(rd, c->id);
    int r = cpu_core(rd, c->id, online, &c->core);
    if (vr_sysfs_u64(rd->fs, VR_SYSFS_AT(CPU_DIR "cpu_capacity", c->id), UINT64_MAX, &v) == 0 &&
        v && v <= 1024) {
        c->capacity = (uint32_t)v;
    }
    for (unsigned i = 0; i < CPU_CACHE_INDEXES && r == 0; i++) {
        r = cpu_cache(rd, c->id, i, online);
    }
    return r;
}

/* Big and little, from capacities (arm64, riscv64, and x86 since Linux 6.12), or from the counters'
 * devices of x86 hybrids. */
static void cpu_kinds(struct cpu_reader *rd)
{
    struct vireo_cpuset little = {.bits = NULL};
    uint32_t most = 0, least = UINT32_MAX;
    for (uint32_t i = 0; i < rd->count; i++) {
        most = rd->list[i].capacity > most ? rd->list[i].capacity : most;
        least = rd->list[i].capacity < least ? rd->list[i].capacity : least;
    }
    bool by_capacity = least && least < most;
    if (!by_capacity && (vr_sysfs_cpus(rd->fs, "sys/devices/cpu_atom/cpus", &little) < 0 ||
                         vireo_cpuset_count(&little) == 0)) {
        return;
    }
    for (uint32_t i = 0; i < rd->count; i++) {
        struct vireo_cpu *c = &rd->list[i];
        bool slow = by_capacity ? c->capacity < most : vireo_cpuset_has(&little, c->id);
        c->kind = slow ? VIREO_CORE_LITTLE : VIREO_CORE_BIG;
    }
    vireo_cpuset_fini(&little);
}

static int cpu_nodes(struct cpu_reader *rd)
{
    struct vireo_cpuset nodes = {.bits = NULL};
    int r = vr_sysfs_cpus(rd->fs, "sys/devices/system/node/online", &nodes);
    if (r < 0) {
        return r == -ENOMEM ? r : 0;
    }
    r = 0;
    for (uint32_t n = vireo_cpuset_next(&nodes, 0); n != UINT32_MAX && r != -ENOMEM;
         n = vireo_cpuset_next(&nodes, n + 1)) {
        struct vireo_cpuset cpus = {.bits = NULL};
        r = vr_sysfs_cpus(rd->fs, VR_SYSFS_AT("sys/devices/system/node/node%u/cpulist", n), &cpus);
        for (uint32_t i = 0; r == 0 && i < rd->count; i++) {
            if (vireo_cpuset_has(&cpus, rd->list[i].id)) {
                rd->list[i].node = n;
            }
        }
        vireo_cpuset_fini(&cpus);
    }
    vireo_cpuset_fini(&nodes);
    return r == -ENOMEM ? r : 0;
}

static int cpu_usable(struct cpu_reader *rd, struct vireo_cpus *cpus)
{
    struct vireo_cpuset mine = {.bits = NULL};
    int r = rd->fs->replaced ? -ENOENT : vr_host_affinity(&mine);
    for (uint32_t i = 0; i < rd->count; i++) {
        rd->list[i].usable = r < 0 || vireo_cpuset_has(&mine, rd->list[i].id);
        cpus->usable_count += rd->list[i].usable;
    }
    vireo_cpuset_fini(&mine);
    vr_host_cgroup_cpu(rd->fs, &cpus->quota_milli);
    uint64_t quota = ((uint64_t)cpus->quota_milli + 999) / 1000;
    if (quota && quota < cpus->usable_count) {
        cpus->usable_count = (uint32_t)quota;
    }
    cpus->usable_count = cpus->usable_count ? cpus->usable_count : 1;
    return r == -ENOMEM ? r : 0;
}

static int cpu_read_list(struct cpu_reader *rd, const struct vireo_cpuset *online,
                         struct vireo_cpus *cpus)
{
    uint32_t id = vireo_cpuset_next(online, 0);
    int r = 0;
    for (uint32_t i = 0; i < rd->count; i++, id = vireo_cpuset_next(online, id + 1)) {
        rd->list[i].id = id;
    }
    for (uint32_t i = 0; i < rd->count && r == 0; i++) {
        r = cpu_one(rd, i, online);
    }
    r = r < 0 ? r : cpu_nodes(rd);
    r = r < 0 ? r : cpu_usable(rd, cpus);
    cpu_kinds(rd);
    cpus->count = rd->count;
    cpus->packages = rd->packages;
    cpus->cores = rd->cores;
    cpus->threads_per_core = rd->threads ? rd->threads : 1;
    cpus->cache_count = rd->cache_count;
    for (uint32_t i = 0; i < rd->cache_count; i++) {
        if (rd->caches[i].level == 1 && rd->caches[i].kind != VIREO_CACHE_CODE) {
            cpus->line_bytes = rd->caches[i].line_bytes;
        }
    }
    return r;
}

static int cpu_read_all(const struct vr_sysfs *fs, struct vireo_platform *host,
                        struct vr_error *err)
{
    struct vireo_cpuset online = {.bits = NULL};
    int r = vr_sysfs_cpus(fs, "sys/devices/system/cpu/online", &online);
    if ((r < 0 || vireo_cpuset_count(&online) == 0) && r != -ENOMEM && !fs->replaced) {
        vireo_cpuset_fini(&online);
        r = vr_host_affinity(&online); /* sysfs is hidden here: those that we may use */
    }
    uint32_t count = vireo_cpuset_count(&online);
    if (r < 0 || count == 0) {
        vireo_cpuset_fini(&online);
        r = r < 0 ? r : -ENODATA;
        return vr_err(err, r, "processors: /sys/devices/system/cpu/online: %s", strerror(-r));
    }
    struct cpu_reader rd = {
        .fs = fs,
        .count = count,
        .list = vr_zalloc_array(count, sizeof(*rd.list)),
        .package_ids = vr_zalloc_array(count, sizeof(*rd.package_ids)),
        .core_firsts = vr_zalloc_array(count, sizeof(*rd.core_firsts)),
        .caches = vr_zalloc_array(VR_HOST_CACHES, sizeof(*rd.caches)),
    };
    host->cpu.list = rd.list;
    host->cpu.caches = rd.caches;
    r = rd.list && rd.package_ids && rd.core_firsts && rd.caches
            ? cpu_read_list(&rd, &online, &host->cpu)
            : -ENOMEM;
    free(rd.package_ids);
    free(rd.core_firsts);
    vireo_cpuset_fini(&online);
    return r < 0 ? vr_err(err, r, "processors: %s", strerror(-r)) : 0;
}

int vr_host_read_cpus(const char *root, struct vireo_platform *host, struct vr_error *err)
{
    struct vr_sysfs fs;
    int r = vr_sysfs_open(root, &fs, err);
    if (r == 0) {
        r = cpu_read_all(&fs, host, err);
        vr_sysfs_close(&fs);
    }
    return r;
}
