/*
 * Everything that a process has once, from many threads at a time: the first looks at the host,
 * what works, handlers, timers, maps, code. The thread sanitizer's build (tools/run_tests.py) is
 * the judge of what this test cannot see.
 */
#include "test.h"

#include "platform/host.h"
#include "platform/lock.h"
#include "vireo/host_barrier.h"
#include "vireo/host_code.h"
#include "vireo/host_counters.h"
#include "vireo/host_fault.h"
#include "vireo/host_memory.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"
#include <errno.h>
#include <stdatomic.h>
#include <string.h>

enum { THREADS = 8, ROUNDS = 40 };

struct crowd {
    struct vr_mutex lock;
    struct vr_cond go;
    unsigned ready;
    void (*run)(struct crowd *crowd, unsigned id);
    const void *answers[THREADS];
    struct vireo_timers *timers;
    atomic_uint count;
    unsigned char words[2];
    atomic_bool flag;
};

struct member {
    struct crowd *crowd;
    unsigned id;
};

static void member_main(void *arg)
{
    struct member *m = arg;
    struct crowd *c = m->crowd;
    vr_mutex_lock(&c->lock);
    if (++c->ready == THREADS) {
        vr_cond_broadcast(&c->go);
    }
    while (c->ready < THREADS) {
        vr_cond_wait(&c->go, &c->lock);
    }
    vr_mutex_unlock(&c->lock);
    c->run(c, m->id);
}

/* All at once. */
static void crowd_run(struct crowd *c, void (*run)(struct crowd *crowd, unsigned id))
{
    struct vireo_thread *t[THREADS];
    struct member m[THREADS];
    c->run = run;
    c->ready = 0;
    vr_mutex_init(&c->lock);
    vr_cond_init(&c->go);
    for (unsigned i = 0; i < THREADS; i++) {
        m[i] = (struct member){.crowd = c, .id = i};
        assert_int_equal(vireo_thread_create("crowd", member_main, &m[i], &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        vireo_thread_join(t[i]);
    }
    vr_cond_fini(&c->go);
    vr_mutex_fini(&c->lock);
}

static void look(struct crowd *c, unsigned id)
{
    const struct vireo_platform *host;
    struct vireo_memory memory;
    assert_int_equal(vireo_platform_get(&host, NULL), 0);
    assert_int_equal(host->os, vireo_host_os());
    assert_int_equal(host->cpu.arch, vireo_host_arch());
    c->answers[id] = host;
    assert_int_equal(vireo_platform_memory(&memory, NULL), 0);
    assert_true(memory.total_bytes == host->memory.total_bytes);
    for (uint32_t i = 0; i < host->cpu.feature_count; i++) {
        assert_true(vireo_platform_has(host, host->cpu.features[i]));
    }
}

/* The first test: nobody has looked yet. */
static void the_first_look_is_everybodys(void **state)
{
    struct crowd c = {.ready = 0};
    (void)state;
    crowd_run(&c, look);
    for (unsigned i = 1; i < THREADS; i++) {
        assert_ptr_equal(c.answers[i], c.answers[0]);
    }
}

static void try_all(struct crowd *c, unsigned id)
{
    const struct vireo_caps *caps = vireo_platform_caps();
    assert_true(caps->accelerated == (caps->has_kvm || caps->has_hvf || caps->has_whpx));
    assert_true(caps->jit.detail[0] != 0 && caps->io_uring.detail[0] != 0);
    c->answers[id] = caps;
}

static void what_works_is_tried_once(void **state)
{
    struct crowd c = {.ready = 0};
    (void)state;
    crowd_run(&c, try_all);
    for (unsigned i = 1; i < THREADS; i++) {
        assert_ptr_equal(c.answers[i], c.answers[0]);
    }
}

static bool mend(void *opaque, struct vireo_fault *fault)
{
    struct vireo_map *map = opaque;
    uint8_t *at = fault->hva;
    return at >= map->hva && at < map->hva + map->len &&
           vireo_map_protect(map, 0, map->len, VIREO_PROT_READ | VIREO_PROT_WRITE, NULL) == 0;
}

static void map_and_fault(struct crowd *c, unsigned id)
{
    struct vireo_map_opts o = {.prot = VIREO_PROT_NONE, .node = VIREO_NODE_ANY};
    (void)id;
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct vireo_map map;
        int handler;
        assert_int_equal(vireo_map_create(65536, &o, &map, NULL), 0);
        assert_int_equal(vireo_fault_add(mend, &map, &handler, NULL), 0);
        *(volatile uint8_t *)map.hva = 1;
        vireo_fault_remove(handler);
        assert_int_equal(vireo_map_advise(&map, 0, map.len, VIREO_ADVICE_DONTNEED, NULL), 0);
        assert_int_equal(map.hva[0], 0);
        vireo_map_destroy(&map);
        atomic_fetch_add(&c->count, 1);
    }
}

static void faults_and_maps_do_not_meet(void **state)
{
    struct crowd c = {.ready = 0};
    (void)state;
    crowd_run(&c, map_and_fault);
    assert_int_equal(atomic_load(&c.count), THREADS * ROUNDS);
}

static void make_code(struct crowd *c, unsigned id)
{
    size_t len;
    const void *sample = vr_jit_sample(&len);
    (void)id;
    for (unsigned i = 0; i < ROUNDS && sample; i++) {
        struct vireo_jitmem mem;
        assert_int_equal(vireo_jitmem_create(4096, &mem, NULL), 0);
        assert_int_equal(vireo_jitmem_publish(&mem, 64, sample, len, NULL), 0);
        int (*fn)(void) = (int (*)(void))(uintptr_t)(mem.rx + 64);
        assert_int_equal(fn(), 42);
        vireo_jitmem_destroy(&mem);
        atomic_fetch_add(&c->count, 1);
    }
}

static void code_is_made_by_all(void **state)
{
    struct crowd c = {.ready = 0};
    size_t len;
    (void)state;
    crowd_run(&c, make_code);
    assert_int_equal(atomic_load(&c.count), vr_jit_sample(&len) ? THREADS * ROUNDS : 0);
}

static void tick(void *opaque, uint64_t times)
{
    (void)times;
    atomic_fetch_add((atomic_uint *)opaque, 1);
}

static void arm_timers(struct crowd *c, unsigned id)
{
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct vireo_timer *t;
        atomic_uint ticks = 0;
        assert_int_equal(vireo_timer_create(c->timers, tick, &ticks, &t, NULL), 0);
        vireo_timer_arm(t, 0, id % 2 ? 1000 : 0);
        while (atomic_load(&ticks) == 0) {
            vireo_thread_yield();
        }
        vireo_timer_destroy(t);
        atomic_fetch_add(&c->count, 1);
    }
}

static void timers_are_shared(void **state)
{
    struct crowd c = {.ready = 0};
    (void)state;
    assert_int_equal(vireo_timers_create("race", &c.timers, NULL), 0);
    crowd_run(&c, arm_timers);
    vireo_timers_destroy(c.timers);
    assert_int_equal(atomic_load(&c.count), THREADS * ROUNDS);
}

static void place_and_count(struct crowd *c, unsigned id)
{
    struct vireo_cpuset mine;
    struct vireo_counters *counters;
    struct vireo_counts counts;
    (void)id;
    assert_int_equal(vireo_place_get(&mine, NULL), 0);
    assert_int_equal(vireo_place_self_on(vireo_cpuset_next(&mine, 0), NULL), 0);
    assert_int_equal(vireo_place_self(&mine, NULL), 0);
    vireo_cpuset_fini(&mine);
    if (vireo_counters_open(&counters, NULL) == 0) {
        vireo_counters_read(counters, &counts);
        vireo_counters_close(counters);
    }
    atomic_fetch_add(&c->count, 1);
}

static void threads_place_themselves(void **state)
{
    struct crowd c = {.ready = 0};
    (void)state;
    crowd_run(&c, place_and_count);
    assert_int_equal(atomic_load(&c.count), THREADS);
}

/* Dekker's question, which only a full barrier answers: of two that each set their own word and
 * then look at the other's, at least one sees it set. */
static void dekker(struct crowd *c, unsigned id)
{
    enum { TURNS = 20000 };
    if (id > 1) {
        return;
    }
    for (unsigned i = 1; i <= TURNS; i++) {
        unsigned char turn = (unsigned char)(i % 250 + 1);
        __atomic_store_n(&c->words[id], turn, __ATOMIC_RELAXED);
        vireo_barrier_full();
        bool saw = __atomic_load_n(&c->words[!id], __ATOMIC_RELAXED) == turn;
        /* The later of the two knows both answers: count 1 for arrival, 1000 for "seen". */
        unsigned n = atomic_fetch_add(&c->count, 1 + (saw ? 1000u : 0)) + 1 + (saw ? 1000u : 0);
        if (n % 1000 == 2) {
            assert_true(n >= 1000);
            atomic_store(&c->count, 0);
            atomic_store(&c->flag, !atomic_load(&c->flag));
        } else {
            bool before = i % 2 == 0;
            while (atomic_load(&c->flag) == before) {
                vireo_thread_yield();
            }
        }
    }
}

static void a_full_barrier_is_one(void **state)
{
    struct crowd c = {.ready = 0};
    (void)state;
    crowd_run(&c, dekker);
    vireo_barrier_acquire();
    vireo_barrier_release();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_look_is_everybodys),
        cmocka_unit_test(what_works_is_tried_once),
        cmocka_unit_test(faults_and_maps_do_not_meet),
        cmocka_unit_test(code_is_made_by_all),
        cmocka_unit_test(timers_are_shared),
        cmocka_unit_test(threads_place_themselves),
        cmocka_unit_test(a_full_barrier_is_one),
    };
    return cmocka_run_group_tests_name("race", tests, NULL, NULL);
}
