/* Where threads run. */
#include "os.h"
#include "test.h"

#include "base/bits.h"
#include "vireo/host_thread.h"
#include "vireo/host_use.h"
#include <errno.h>
#include <string.h>

static void pin(void *arg)
{
    uint32_t cpu = *(const uint32_t *)arg;
    struct vireo_cpuset now = {.bits = NULL};
    struct vr_error err;
    assert_int_equal(vireo_place_self_on(cpu, NULL), 0);
    assert_int_equal(os_current_cpu(), cpu);
    assert_int_equal(vireo_place_get(&now, NULL), 0);
    assert_int_equal(vireo_cpuset_count(&now), 1);
    assert_true(vireo_cpuset_has(&now, cpu));
    vireo_cpuset_fini(&now);
    /* Numbers beyond 1024, alone and beside a real one. */
    assert_int_equal(vireo_place_self_on(5000, &err), -EINVAL);
    assert_non_null(strstr(err.msg, "5000"));
    assert_int_equal(vireo_cpuset_add(&now, 5000), 0);
    assert_int_equal(vireo_cpuset_add(&now, cpu), 0);
    assert_int_equal(vireo_place_self(&now, NULL), 0);
    vireo_cpuset_fini(&now);
    assert_int_equal(vireo_place_self(&now, &err), -EINVAL);
    assert_int_equal(vireo_place_self_on(VIREO_CPU_MAX, &err), -ERANGE);
}

static void threads_stay_where_they_are_put(void **state)
{
    struct vireo_cpuset mine, after;
    (void)state;
    assert_int_equal(vireo_place_get(&mine, NULL), 0);
    for (uint32_t cpu = vireo_cpuset_next(&mine, 0); cpu != UINT32_MAX;
         cpu = vireo_cpuset_next(&mine, cpu + 1)) {
        struct vireo_thread *t;
        assert_int_equal(vireo_thread_create("pin", pin, &cpu, &t, NULL), 0);
        vireo_thread_join(t);
    }
    assert_int_equal(vireo_place_get(&after, NULL), 0);
    assert_int_equal(vireo_cpuset_count(&mine), vireo_cpuset_count(&after));
    vireo_cpuset_fini(&mine);
    vireo_cpuset_fini(&after);
}

static void kinds_have_processors(void **state)
{
    const struct vireo_platform *host;
    struct vireo_cpuset all, one;
    (void)state;
    assert_int_equal(vireo_platform_get(&host, NULL), 0);
    assert_int_equal(vireo_place_of_kind(VIREO_CORE_ALIKE, &all, NULL), 0);
    assert_true(vireo_cpuset_count(&all) >= host->cpu.usable_count);
    for (int kind = VIREO_CORE_LITTLE; kind <= VIREO_CORE_BIG; kind++) {
        int r = vireo_place_of_kind((enum vireo_core_kind)kind, &one, NULL);
        assert_true(r == 0 || r == -ENODEV);
        if (r == 0) {
            assert_true(vireo_cpuset_count(&one) <= vireo_cpuset_count(&all));
            vireo_cpuset_fini(&one);
        }
    }
    vireo_cpuset_fini(&all);
}

static uint32_t planned(const struct vireo_platform *h, enum vireo_place_policy policy, uint32_t i)
{
    struct vireo_cpuset set;
    assert_int_equal(vireo_place_plan(h, policy, i, 100, &set, NULL), 0);
    assert_int_equal(vireo_cpuset_count(&set), 1);
    uint32_t cpu = vireo_cpuset_next(&set, 0);
    vireo_cpuset_fini(&set);
    return cpu;
}

/* Two packages of two cores of two threads; processor 6 is not for us. Siblings are n and n + 4. */
static void policies_fill_in_their_order(void **state)
{
    struct vireo_cpu cpus[8];
    struct vireo_platform h = {.cpu = {.count = 8, .list = cpus}};
    static const uint32_t spread[] = {0, 2, 1, 3, 4, 5, 7}, compact[] = {0, 4, 1, 5, 2, 3, 7};
    struct vireo_cpuset set;
    struct vr_error err;
    (void)state;
    for (uint32_t i = 0; i < 8; i++) {
        cpus[i] = (struct vireo_cpu){
            .id = i, .core = i % 4, .package = i % 4 / 2, .node = i % 4 / 2, .usable = i != 6};
    }
    for (uint32_t i = 0; i < VR_COUNT(spread); i++) {
        assert_int_equal(planned(&h, VIREO_PLACE_COMPACT, i), compact[i]);
        assert_int_equal(planned(&h, VIREO_PLACE_COMPACT, i + 7), compact[i]);
        assert_int_equal(planned(&h, VIREO_PLACE_SPREAD, i), spread[i]);
    }
    assert_int_equal(vireo_place_plan(&h, VIREO_PLACE_LOCAL, 0, 1, &set, NULL), 0);
    assert_int_equal(vireo_cpuset_count(&set), 4);
    assert_true(vireo_cpuset_has(&set, 5));
    vireo_cpuset_fini(&set);
    assert_int_equal(vireo_place_plan(&h, VIREO_PLACE_NONE, 0, 1, &set, NULL), 0);
    assert_int_equal(vireo_cpuset_count(&set), 7);
    vireo_cpuset_fini(&set);
    assert_int_equal(vireo_place_plan(&h, VIREO_PLACE_LOCAL, 1, 1, &set, &err), -EINVAL);
}

static void what_is_asked_of_a_host_is_checked(void **state)
{
    struct vireo_cpu cpus[4];
    struct vireo_node nodes[2] = {{.id = 0}, {.id = 8}};
    struct vireo_platform h = {.cpu = {.count = 4, .list = cpus}, .nodes = nodes, .node_count = 2};
    struct vireo_host_use use = {.node = VIREO_NODE_ANY};
    struct vireo_cpuset set;
    struct vr_error err;
    (void)state;
    for (uint32_t i = 0; i < 4; i++) {
        cpus[i] = (struct vireo_cpu){.id = i, .core = i, .node = i < 2 ? 0 : 8, .usable = i < 3};
    }
    h.memory.huge[h.memory.huge_count++] =
        (struct vireo_huge_pages){.page_bytes = 2 << 20, .total = 9, .free = 8};
    assert_int_equal(vireo_host_use_check(&use, &h, UINT64_MAX, NULL), 0);
    use = (struct vireo_host_use){.huge_bytes = 2 << 20, .node = 8, .policy = VIREO_PLACE_LOCAL};
    assert_int_equal(vireo_host_use_check(&use, &h, 16 << 20, NULL), 0);
    assert_int_equal(vireo_host_use_check(&use, &h, (16 << 20) + 1, &err), -ENOMEM);
    assert_non_null(strstr(err.msg, "9 of 2048 KiB are needed, 8 are free"));
    assert_int_equal(vireo_host_use_cpus(&use, &h, 1, 2, &set, NULL), 0);
    assert_int_equal(vireo_cpuset_count(&set), 1); /* processor 3 is not for us */
    assert_true(vireo_cpuset_has(&set, 2));
    vireo_cpuset_fini(&set);
    cpus[2].usable = false;
    assert_int_equal(vireo_host_use_check(&use, &h, 4096, &err), -ENOSYS);
    use.huge_bytes = 1 << 30;
    assert_int_equal(vireo_host_use_check(&use, &h, 4096, &err), -ENOSYS);
    assert_non_null(strstr(err.msg, "2048K"));
    use = (struct vireo_host_use){.node = 1};
    assert_int_equal(vireo_host_use_check(&use, &h, 4096, &err), -ENOSYS);
    h.node_count = 0; /* a host without nodes has one, all the same */
    use.node = 0;
    assert_int_equal(vireo_host_use_check(&use, &h, 4096, NULL), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_stay_where_they_are_put),
        cmocka_unit_test(kinds_have_processors),
        cmocka_unit_test(policies_fill_in_their_order),
        cmocka_unit_test(what_is_asked_of_a_host_is_checked),
    };
    return cmocka_run_group_tests_name("place", tests, NULL, NULL);
}
