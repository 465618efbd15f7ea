/* Windows' list of processors: machines that are not here, and lists that are damaged. */
#include "test.h"

#include "platform/windows/topology.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <windows.h>

enum { LIST = 65536 };

struct list {
    uint64_t bytes[LIST / 8];
    size_t len;
};

static void put(uint8_t *at, size_t off, uint64_t val, unsigned width)
{
    memcpy(at + off, &val, width);
}

/* One record with @count masks from @masks_at on; its start. */
static uint8_t *record(struct list *l, int relation, size_t masks_at, unsigned count,
                       const GROUP_AFFINITY *masks)
{
    uint8_t *at = (uint8_t *)l->bytes + l->len;
    size_t size = masks_at + count * sizeof(*masks);
    assert_true(l->len + size <= LIST);
    memset(at, 0, size);
    put(at, 0, (uint64_t)relation, 4);
    put(at, 4, size, 4);
    memcpy(at + masks_at, masks, count * sizeof(*masks));
    l->len += size;
    return at;
}

/* MSDN's layout: a core's and a package's masks begin at 32, counted at 30. */
static void add_core(struct list *l, WORD group, KAFFINITY mask, uint8_t class)
{
    GROUP_AFFINITY m = {.Mask = mask, .Group = group};
    uint8_t *at = record(l, RelationProcessorCore, 32, 1, &m);
    put(at, 9, class, 1);
    put(at, 30, 1, 2);
}

static void add_package(struct list *l, unsigned count, const GROUP_AFFINITY *masks)
{
    put(record(l, RelationProcessorPackage, 32, count, masks), 30, count, 2);
}

static void add_node(struct list *l, uint32_t number, WORD group, KAFFINITY mask)
{
    GROUP_AFFINITY m = {.Mask = mask, .Group = group};
    put(record(l, RelationNumaNode, 32, 1, &m), 8, number, 4);
}

/* A cache's mask is at 40; before Windows 11 its count, at 38, is 0. */
static void add_cache(struct list *l, uint8_t level, PROCESSOR_CACHE_TYPE type, uint32_t size,
                      unsigned count, const GROUP_AFFINITY *masks)
{
    uint8_t *at = record(l, RelationCache, 40, count, masks);
    put(at, 8, level, 1);
    put(at, 9, 8, 1);
    put(at, 10, 64, 2);
    put(at, 12, size, 4);
    put(at, 16, (uint64_t)type, 4);
    put(at, 38, count > 1 ? count : 0, 2);
}

/* Two packages of 48 cores of two threads: 192 processors in three groups, two nodes, the second
 * package in two groups. */
static struct list *big_server(void)
{
    struct list *l = calloc(1, sizeof(*l));
    assert_non_null(l);
    const GROUP_AFFINITY first[] = {{.Mask = UINT64_MAX, .Group = 0},
                                    {.Mask = 0xffffffff, .Group = 1}};
    const GROUP_AFFINITY second[] = {{.Mask = 0xffffffff00000000, .Group = 1},
                                     {.Mask = UINT64_MAX, .Group = 2}};
    add_package(l, 2, first);
    add_cache(l, 3, CacheUnified, 96 << 20, 2, first);
    add_cache(l, 3, CacheUnified, 96 << 20, 2, second);
    for (unsigned i = 0; i < 96; i++) {
        const GROUP_AFFINITY both = {.Mask = (KAFFINITY)3 << 2 * (i % 32), .Group = (WORD)(i / 32)};
        add_cache(l, 1, CacheData, 32768, 1, &both);
        add_cache(l, 1, CacheInstruction, 32768, 1, &both);
        add_core(l, both.Group, both.Mask, 0);
    }
    add_package(l, 2, second);
    add_node(l, 0, 0, UINT64_MAX);
    add_node(l, 3, 2, UINT64_MAX);
    return l;
}

static void free_lists(struct vireo_cpus *cpus)
{
    free((void *)(uintptr_t)cpus->list);
    free((void *)(uintptr_t)cpus->caches);
}

static void more_than_64_processors(void **state)
{
    struct list *l = big_server();
    struct vireo_cpus c = {.count = 0};
    (void)state;
    assert_int_equal(vr_win_topology(l->bytes, l->len, &c, NULL), 0);
    assert_int_equal(c.count, 192);
    assert_int_equal(c.cores, 96);
    assert_int_equal(c.packages, 2);
    assert_int_equal(c.threads_per_core, 2);
    assert_int_equal(c.cache_count, 3);
    assert_int_equal(c.caches[0].kind, VIREO_CACHE_DATA);
    assert_int_equal(c.caches[0].count, 96);
    assert_int_equal(c.caches[2].level, 3);
    assert_int_equal(c.caches[2].count, 2);
    assert_int_equal(c.caches[2].shared_by, 96);
    assert_int_equal(c.line_bytes, 64);
    for (uint32_t i = 0; i < 192; i++) {
        assert_int_equal(c.list[i].id, i);
        assert_int_equal(c.list[i].core, i / 2);
        assert_int_equal(c.list[i].package, i >= 96);
        assert_int_equal(c.list[i].kind, VIREO_CORE_ALIKE);
        assert_int_equal(c.list[i].node, i >= 128 ? 3 : 0);
    }
    free_lists(&c);
    free(l);
}

static void fast_and_slow_cores(void **state)
{
    struct list *l = calloc(1, sizeof(*l));
    struct vireo_cpus c = {.count = 0};
    (void)state;
    assert_non_null(l);
    add_core(l, 0, 0x30, 0); /* out of order, on purpose */
    add_core(l, 0, 0x3, 1);
    add_core(l, 0, 0xc, 1);
    assert_int_equal(vr_win_topology(l->bytes, l->len, &c, NULL), 0);
    assert_int_equal(c.count, 6);
    assert_int_equal(c.packages, 1);
    for (uint32_t i = 0; i < 6; i++) {
        assert_int_equal(c.list[i].kind, i < 4 ? VIREO_CORE_BIG : VIREO_CORE_LITTLE);
        assert_int_equal(c.list[i].capacity, 0);
    }
    free_lists(&c);
    free(l);
}

/* Cut short anywhere, or with any word of it wrong: fewer facts, but none outside the list. The
 * copy ends where its memory ends, so that reading on would fault. */
static void damaged_lists_do_no_harm(void **state)
{
    struct list *l = big_server();
    uint64_t seed = 3;
    SYSTEM_INFO info;
    struct vr_error err;
    (void)state;
    GetSystemInfo(&info);
    size_t room = (l->len + info.dwPageSize - 1) / info.dwPageSize * info.dwPageSize;
    uint8_t *all = VirtualAlloc(NULL, room + info.dwPageSize, MEM_RESERVE, PAGE_NOACCESS);
    assert_non_null(all);
    assert_non_null(VirtualAlloc(all, room, MEM_COMMIT, PAGE_READWRITE));
    for (unsigned i = 0; i < 3000; i++) {
        seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        size_t len = i % 2 ? l->len : (size_t)(seed >> 20) % l->len / 8 * 8;
        uint8_t *copy = all + room - len;
        memcpy(copy, l->bytes, len);
        for (unsigned k = 0; len && k < i % 4; k++) {
            seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
            put(copy, (size_t)(seed >> 33) % (len / 4) * 4,
                seed >> 24 & (i % 3 ? 0xff : 0xffffffff), 4);
        }
        struct vireo_cpus c = {.count = 0};
        int r = vr_win_topology(copy, len, &c, &err);
        assert_true(r == 0 || r == -ENODATA || r == -ENOMEM);
        for (uint32_t n = 1; r == 0 && n < c.count; n++) {
            assert_true(c.list[n].id > c.list[n - 1].id);
            assert_true(c.list[n].core < c.cores && c.list[n].package < c.packages);
        }
        free_lists(&c);
    }
    struct vireo_cpus c = {.count = 0};
    assert_int_equal(vr_win_topology(l->bytes, 0, &c, &err), -ENODATA);
    free_lists(&c);
    VirtualFree(all, 0, MEM_RELEASE);
    free(l);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_than_64_processors),
        cmocka_unit_test(fast_and_slow_cores),
        cmocka_unit_test(damaged_lists_do_no_harm),
    };
    return cmocka_run_group_tests_name("win_topology", tests, NULL, NULL);
}
