/*
 * Cores, packages, caches, NUMA nodes and efficiency classes: MSDN GetLogicalProcessorInformationEx
 * and SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX, whose records are of different lengths and in no
 * order.
 */
#include "platform/windows/topology.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/host.h"
#include "platform/windows/win.h"

#include <errno.h>

enum { TOPO_GROUP = 64 }; /* processors of a group, at most */

/* The records as MSDN has them; mingw-w64's headers lack what later versions of Windows put where
 * bytes were reserved. The masks of a record are its last member. */
struct topo_processors { /* a core or a package */
    uint8_t flags, efficiency_class, reserved[20];
    uint16_t mask_count;
    GROUP_AFFINITY masks[1];
};
struct topo_node {
    uint32_t number;
    uint8_t reserved[18];
    uint16_t mask_count; /* 0 before Windows 10 20H2: there is one */
    GROUP_AFFINITY masks[1];
};
struct topo_cache {
    uint8_t level, associativity;
    uint16_t line_bytes;
    uint32_t size_bytes;
    int32_t type; /* PROCESSOR_CACHE_TYPE */
    uint8_t reserved[18];
    uint16_t mask_count; /* as above */
    GROUP_AFFINITY masks[1];
};
struct topo_record {
    int32_t relationship; /* LOGICAL_PROCESSOR_RELATIONSHIP */
    uint32_t size;        /* of the whole record */
    union {
        struct topo_processors processors;
        struct topo_node node;
        struct topo_cache cache;
    } u;
};
_Static_assert(offsetof(struct topo_record, u.cache.masks) ==
                   offsetof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX, Cache.GroupMask),
               "as in winnt.h");
_Static_assert(offsetof(struct topo_record, u.processors.masks) ==
                   offsetof(SYSTEM_LOGICAL_PROCESSOR_INFORMATION_EX, Processor.GroupMask),
               "as in winnt.h");

struct topo_reader {
    const uint8_t *records;
    size_t len;
    struct vireo_cpu *list; /* sorted by id, once they are known */
    uint32_t count;
    struct vireo_cache *caches; /* VR_HOST_CACHES of them */
    struct vireo_cpus *cpus;
};

/* The record at *@off, which moves behind it; NULL: the end. */
static const struct topo_record *topo_next(const struct topo_reader *rd, size_t *off)
{
    const struct topo_record *record = (const struct topo_record *)(rd->records + *off);
    if (!vr_in_range(*off, offsetof(struct topo_record, u), rd->len) ||
        record->size < offsetof(struct topo_record, u) || record->size % sizeof(void *) ||
        !vr_in_range(*off, record->size, rd->len)) {
        return NULL;
    }
    *off += record->size;
    return record;
}

struct topo_masks {
    const GROUP_AFFINITY *masks;
    unsigned count;
};

/* The masks of a record, as many as lie inside it. */
static struct topo_masks topo_masks(const struct topo_record *record)
{
    struct topo_masks m = {.masks = record->u.processors.masks,
                           .count = record->u.processors.mask_count};
    if (record->relationship == RelationNumaNode) {
        m.masks = record->u.node.masks;
        m.count = record->u.node.mask_count ? record->u.node.mask_count : 1;
    } else if (record->relationship == RelationCache) {
        m.masks = record->u.cache.masks;
        m.count = record->u.cache.mask_count ? record->u.cache.mask_count : 1;
    }
    size_t from = (size_t)((const uint8_t *)m.masks - (const uint8_t *)record);
    size_t room = from < record->size ? (record->size - from) / sizeof(*m.masks) : 0;
    m.count = m.count < room ? m.count : (unsigned)room;
    return m;
}

static struct vireo_cpu *topo_cpu(const struct topo_reader *rd, uint32_t id)
{
    for (uint32_t i = 0; i < rd->count; i++) {
        if (rd->list[i].id == id) {
            return &rd->list[i];
        }
    }
    return NULL;
}

/* Call fn for each processor of the record that is in the list; returns how many there were. */
static uint32_t topo_each(const struct topo_reader *rd, const struct topo_record *record,
                          void (*fn)(struct vireo_cpu *cpu, uint32_t val), uint32_t val)
{
    struct topo_masks m = topo_masks(record);
    uint32_t found = 0;
    for (unsigned i = 0; i < m.count * TOPO_GROUP; i++) {
        const GROUP_AFFINITY *mask = &m.masks[i / TOPO_GROUP];
        struct vireo_cpu *cpu =
            mask->Mask >> i % TOPO_GROUP & 1
                ? topo_cpu(rd, (uint32_t)mask->Group * TOPO_GROUP + i % TOPO_GROUP)
                : NULL;
        if (cpu) {
            fn(cpu, val);
            found++;
        }
    }
    return found;
}

static void topo_set_core(struct vireo_cpu *cpu, uint32_t core)
{
    cpu->core = core;
}

static void topo_set_class(struct vireo_cpu *cpu, uint32_t class)
{
    cpu->capacity = class; /* for now; see topo_kinds */
}

static void topo_set_package(struct vireo_cpu *cpu, uint32_t package)
{
    cpu->package = package;
}

static void topo_set_node(struct vireo_cpu *cpu, uint32_t node)
{
    cpu->node = node;
}

static void topo_nothing(struct vireo_cpu *cpu, uint32_t val)
{
    (void)cpu;
    (void)val;
}

static void topo_add(struct topo_reader *rd, uint32_t id)
{
    uint32_t at = rd->count;
    if (topo_cpu(rd, id)) {
        return;
    }
    for (; at && rd->list[at - 1].id > id; at--) {
        rd->list[at] = rd->list[at - 1];
    }
    rd->list[at] = (struct vireo_cpu){.id = id};
    rd->count++;
}

/* All processors are in the records of cores. */
static int topo_list(struct topo_reader *rd, struct vr_error *err)
{
    const struct topo_record *record;
    size_t room = 0;
    for (size_t off = 0; (record = topo_next(rd, &off));) {
        room += record->relationship == RelationProcessorCore
                    ? (size_t)TOPO_GROUP * topo_masks(record).count
                    : 0;
    }
    rd->list = vr_zalloc_array(room, sizeof(*rd->list));
    rd->caches = vr_zalloc_array(VR_HOST_CACHES, sizeof(*rd->caches));
    rd->cpus->list = rd->list;
    rd->cpus->caches = rd->caches;
    if (!rd->list || !rd->caches) {
        return vr_err(err, -ENOMEM, "processors: no memory");
    }
    for (size_t off = 0; (record = topo_next(rd, &off));) {
        struct topo_masks m = topo_masks(record);
        for (unsigned i = 0;
             record->relationship == RelationProcessorCore && i < m.count * TOPO_GROUP; i++) {
            const GROUP_AFFINITY *mask = &m.masks[i / TOPO_GROUP];
            if (mask->Mask >> i % TOPO_GROUP & 1) {
                topo_add(rd, (uint32_t)mask->Group * TOPO_GROUP + i % TOPO_GROUP);
            }
        }
    }
    return rd->count ? 0 : vr_err(err, -ENODATA, "processors: the host lists none");
}

static void topo_cache(struct topo_reader *rd, const struct topo_record *record)
{
    const struct topo_cache *c = &record->u.cache;
    struct vireo_cache cache = {
        .level = c->level,
        .kind = c->type == CacheData          ? VIREO_CACHE_DATA
                : c->type == CacheInstruction ? VIREO_CACHE_CODE
                                              : VIREO_CACHE_UNIFIED,
        .size_bytes = c->size_bytes,
        .line_bytes = c->line_bytes,
        .ways = c->associativity == CACHE_FULLY_ASSOCIATIVE ? 0 : c->associativity,
        .count = 1,
        .shared_by = topo_each(rd, record, topo_nothing, 0)};
    if (cache.shared_by && cache.level && cache.level <= 16 && cache.size_bytes &&
        c->type != CacheTrace) {
        vr_host_add_cache(rd->caches, &rd->cpus->cache_count, &cache);
    }
}

static void topo_relation(struct topo_reader *rd, const struct topo_record *record)
{
    struct vireo_cpus *cpus = rd->cpus;
    uint32_t n;
    if (topo_masks(record).count == 0) {
        return; /* shorter than its kind needs */
    }
    switch (record->relationship) {
    case RelationProcessorCore:
        n = topo_each(rd, record, topo_set_core, cpus->cores);
        (void)topo_each(rd, record, topo_set_class, record->u.processors.efficiency_class);
        cpus->threads_per_core = n > cpus->threads_per_core ? n : cpus->threads_per_core;
        cpus->cores += n > 0;
        break;
    case RelationProcessorPackage:
        cpus->packages += topo_each(rd, record, topo_set_package, cpus->packages) > 0;
        break;
    case RelationNumaNode:
        (void)topo_each(rd, record, topo_set_node, record->u.node.number);
        break;
    case RelationCache:
        topo_cache(rd, record);
        break;
    default:
        break;
    }
}

/* A higher efficiency class is a faster core; how much faster, Windows does not say. */
static void topo_kinds(struct topo_reader *rd)
{
    uint32_t most = 0, least = UINT32_MAX;
    for (uint32_t i = 0; i < rd->count; i++) {
        most = rd->list[i].capacity > most ? rd->list[i].capacity : most;
        least = rd->list[i].capacity < least ? rd->list[i].capacity : least;
    }
    for (uint32_t i = 0; i < rd->count; i++) {
        struct vireo_cpu *c = &rd->list[i];
        c->kind = least == most         ? VIREO_CORE_ALIKE
                  : c->capacity == most ? VIREO_CORE_BIG
                                        : VIREO_CORE_LITTLE;
        c->capacity = 0;
    }
}

int vr_win_topology(const void *records, size_t len, struct vireo_cpus *cpus, struct vr_error *err)
{
    struct topo_reader rd = {.records = records, .len = len, .cpus = cpus};
    const struct topo_record *record;
    int r = topo_list(&rd, err);
    if (r < 0) {
        return r;
    }
    for (size_t off = 0; (record = topo_next(&rd, &off));) {
        topo_relation(&rd, record);
    }
    topo_kinds(&rd);
    for (uint32_t i = 0; i < cpus->cache_count; i++) {
        if (rd.caches[i].level == 1 && rd.caches[i].kind != VIREO_CACHE_CODE) {
            cpus->line_bytes = rd.caches[i].line_bytes;
        }
    }
    cpus->count = rd.count;
    cpus->packages = cpus->packages ? cpus->packages : 1;
    cpus->threads_per_core = cpus->threads_per_core ? cpus->threads_per_core : 1;
    return 0;
}
