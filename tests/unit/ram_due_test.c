/* Memory that is checked when it is needed: nobody gets a byte before, whoever overwrites waits for
 * nobody, what is bad is no memory; many threads at once; the thread in the background. */
#include "test.h"

#include "base/bits.h"
#include "core/clock.h"
#include "core/machine.h"
#include "core/ram_due.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>

enum { P = VR_PAGE_SIZE, PARTS = 8, PAGES = 32, AT = 0x10000 };

/* The bytes of a part get there as it is checked, so that who is too early sees it. */
struct rig {
    struct vr_space *s;
    struct vr_view_cache c;
    struct vr_ram *ram;
    struct vr_region region;
    bool bad[PARTS];
    atomic_uint checked[PARTS], told, done;
    struct vr_mutex gate; /* held: checks wait, */
    uint64_t main;        /* but for this thread's; 0: all */
    atomic_uint waiting;
    char why[256];
};

/* Uneven, so that ranges begin and end in different ones. */
static const uint64_t ends[PARTS] = {P, 3 * P, 4 * P, 9 * P, 16 * P, 17 * P, 30 * P, PAGES *P};

static int rig_check(void *opaque, size_t i, struct vr_error *err)
{
    struct rig *g = opaque;
    if (!g->main || vireo_thread_host_id() != g->main) {
        atomic_fetch_add(&g->waiting, 1);
        vr_mutex_lock(&g->gate);
        vr_mutex_unlock(&g->gate);
    }
    atomic_fetch_add(&g->checked[i], 1);
    if (g->bad[i]) {
        return vr_err(err, -EPROTO, "part %zu", i);
    }
    memset(g->ram->hva + (i ? ends[i - 1] : 0), (int)i + 1, ends[i] - (i ? ends[i - 1] : 0));
    return 0;
}

static void rig_bad(void *opaque, const struct vr_error *why)
{
    struct rig *g = opaque;
    atomic_fetch_add(&g->told, 1);
    snprintf(g->why, sizeof(g->why), "%s", why->msg);
}

static void rig_done(void *opaque)
{
    struct rig *g = opaque;
    atomic_fetch_add(&g->done, 1);
}

static void rig_begin(struct rig *g)
{
    struct vr_error err = {0};
    *g = (struct rig){.region = {.kind = VR_REGION_RAM}};
    vr_mutex_init(&g->gate);
    assert_int_equal(vr_space_create("mem", 0xffffffff, &g->s, &err), 0);
    assert_int_equal(vr_ram_create("ram", PAGES * P, &g->ram, &err), 0);
    g->region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = AT, .len = PAGES * P, .ram = g->ram};
    assert_int_equal(vr_space_add(g->s, &g->region, &err), 0);
    const struct vr_ram_due_how how = {.count = PARTS,
                                       .end = ends,
                                       .check = rig_check,
                                       .bad = rig_bad,
                                       .done = rig_done,
                                       .opaque = g};
    assert_int_equal(vr_ram_due_begin(g->ram, &how, &err), 0);
}

static void rig_end(struct rig *g)
{
    vr_view_cache_drop(g->s, &g->c);
    vr_space_remove(g->s, &g->region);
    vr_ram_destroy(g->ram);
    vr_space_destroy(g->s);
    assert_int_equal(g->done, 1);
    vr_mutex_fini(&g->gate);
}

/* How many parts were checked, each at most @most times. */
static unsigned rig_checked(struct rig *g, unsigned most)
{
    unsigned sum = 0;
    for (unsigned i = 0; i < PARTS; i++) {
        sum += g->checked[i] > 0;
        assert_true(g->checked[i] <= most);
    }
    return sum;
}

static void what_is_used_is_checked_before(void **state)
{
    struct rig g;
    uint8_t buf[4 * P];
    struct iovec iov[4];
    uint64_t val;
    (void)state;
    rig_begin(&g);
    assert_int_equal(vr_space_read(g.s, &g.c, AT + 3 * P, 4, &val), 0);
    assert_int_equal(val, 0x03030303);
    assert_int_equal(rig_checked(&g, 1), 1);
    /* From the last byte of one to the first of the next. */
    assert_int_equal(vr_dma_read(g.s, &g.c, AT + 9 * P - 1, buf, 2), 0);
    assert_true(buf[0] == 4 && buf[1] == 5);
    assert_int_equal(rig_checked(&g, 1), 3);
    assert_int_equal(vr_dma_map(g.s, &g.c, AT + 16 * P, P, true, iov, 4), 1);
    assert_int_equal(*(uint8_t *)iov[0].iov_base, 6);
    assert_int_equal(*(uint8_t *)vr_dma_ptr(g.s, &g.c, AT, 8, true), 1);
    assert_int_equal(rig_checked(&g, 1), 5);
    /* Overwriting needs nothing. */
    memset(buf, 0x77, sizeof(buf));
    assert_int_equal(vr_dma_write(g.s, &g.c, AT + 20 * P, buf, sizeof(buf)), 0);
    assert_int_equal(vr_space_write(g.s, &g.c, AT + 31 * P, 8, 1), 0);
    assert_int_equal(rig_checked(&g, 1), 5);
    assert_int_equal(vr_ram_due_all(g.ram, NULL), 0);
    assert_int_equal(rig_checked(&g, 1), PARTS);
    rig_end(&g);
}

static void what_is_bad_is_no_memory(void **state)
{
    struct rig g;
    uint8_t buf[2 * P];
    struct iovec iov[4];
    uint64_t val;
    struct vr_error err = {0};
    (void)state;
    rig_begin(&g);
    g.bad[3] = g.bad[6] = true; /* pages 4 to 8, 17 to 29 */
    assert_int_equal(vr_space_read(g.s, &g.c, AT + 4 * P, 8, &val), -EFAULT);
    assert_string_equal(g.why, "part 3");
    assert_int_equal(vr_dma_read(g.s, &g.c, AT + 4 * P - 1, buf, 2), -EFAULT);
    assert_int_equal(vr_dma_read(g.s, &g.c, AT + 9 * P - 1, buf, 2), -EFAULT);
    assert_int_equal(vr_dma_map(g.s, &g.c, AT + 29 * P, 2 * P, false, iov, 4), -EFAULT);
    assert_null(vr_dma_ptr(g.s, &g.c, AT + 8 * P, 64, false));
    assert_int_equal(vr_dma_read(g.s, &g.c, AT + 9 * P, buf, 2), 0);
    assert_int_equal(vr_ram_due_all(g.ram, &err), -EPROTO);
    assert_int_equal(g.told, 1);
    assert_int_equal(rig_checked(&g, 1), 6); /* up to the bad one, and what was asked for */
    assert_int_equal(vr_ram_due_run(g.ram, &err), 0);
    rig_end(&g); /* whether the thread got to its end or not */
    assert_int_equal(g.told, 1);
}

struct reader {
    struct rig *g;
    unsigned seed, bad;
    struct vireo_thread *thread;
};

static void reader_main(void *opaque)
{
    struct reader *r = opaque;
    struct vr_view_cache c = {0};
    uint8_t buf[3 * P];
    for (unsigned i = 0; i < 4000; i++) {
        r->seed = r->seed * 1664525 + 1013904223;
        uint64_t off = (r->seed >> 8) % (PAGES * P - sizeof(buf));
        unsigned part = 0;
        r->bad += vr_dma_read(r->g->s, &c, AT + off, buf, sizeof(buf)) != 0;
        for (unsigned k = 0; k < sizeof(buf); k += 97) {
            while (off + k >= ends[part]) {
                part++;
            }
            r->bad += buf[k] != part + 1;
        }
    }
    vr_view_cache_drop(r->g->s, &c);
}

static void many_at_once(void **state)
{
    (void)state;
    for (unsigned round = 0; round < 20; round++) {
        struct rig g;
        struct reader r[3];
        struct vr_error err = {0};
        rig_begin(&g);
        vr_mutex_lock(&g.gate);
        if (round % 2) {
            assert_int_equal(vr_ram_due_run(g.ram, &err), 0);
        }
        for (unsigned i = 0; i < VR_COUNT(r); i++) {
            r[i] = (struct reader){.g = &g, .seed = round * 7 + i};
            assert_int_equal(vireo_thread_create("reader", reader_main, &r[i], &r[i].thread, &err),
                             0);
        }
        vr_mutex_unlock(&g.gate);
        for (unsigned i = 0; i < VR_COUNT(r); i++) {
            vireo_thread_join(r[i].thread);
            assert_int_equal(r[i].bad, 0);
        }
        assert_int_equal(vr_ram_due_all(g.ram, &err), 0);
        assert_int_equal(rig_checked(&g, VR_COUNT(r) + 2), PARTS);
        rig_end(&g);
    }
}

/* The thread is stuck in a part, as on a host that is too busy to let it run: nobody waits for it.
 */
static void nobody_waits_for_the_thread(void **state)
{
    struct rig g;
    struct vr_error err = {0};
    uint64_t val;
    (void)state;
    rig_begin(&g);
    vr_mutex_lock(&g.gate);
    g.main = vireo_thread_host_id();
    assert_int_equal(vr_ram_due_run(g.ram, &err), 0);
    while (!g.waiting) {
        vireo_thread_yield();
    }
    assert_int_equal(vr_space_read(g.s, &g.c, AT, 8, &val), 0);
    assert_int_equal(vr_ram_due_all(g.ram, &err), 0);
    vr_mutex_unlock(&g.gate);
    rig_end(&g);
}

static void ended_before_it_was_checked(void **state)
{
    struct rig g;
    struct vr_error err = {0};
    (void)state;
    rig_begin(&g);
    rig_end(&g); /* it never ran */
    rig_begin(&g);
    assert_int_equal(vr_ram_due_run(g.ram, &err), 0);
    rig_end(&g); /* at any moment */
}

/* What checks use of their machine: in the real world, to tell of damage. */
struct owner {
    struct vr_machine *m;
    struct vr_mutex gate;
    atomic_bool done;
};

static int owner_check(void *opaque, size_t i, struct vr_error *err)
{
    struct owner *o = opaque;
    (void)i;
    (void)err;
    vr_mutex_lock(&o->gate);
    vr_mutex_unlock(&o->gate);
    (void)vr_clock_now(vr_machine_clock(o->m));
    return 0;
}

static void owner_nothing_bad(void *opaque, const struct vr_error *why)
{
    (void)opaque;
    fail_msg("%s", why->msg);
}

static void owner_done(void *opaque)
{
    struct owner *o = opaque;
    (void)vr_clock_now(vr_machine_clock(o->m));
    atomic_store(&o->done, true);
}

/* Its devices are gone, its clock and its loops are not yet. */
static void owner_half_gone(void *opaque)
{
    struct owner *o = opaque;
    vr_mutex_unlock(&o->gate);
}

static void a_machine_ends_while_it_is_checked(void **state)
{
    enum { MANY = 16384 };
    static uint64_t end[MANY];
    struct owner o = {.m = NULL};
    struct vr_ram *ram;
    struct vr_error err = {0};
    (void)state;
    vr_mutex_init(&o.gate);
    for (unsigned i = 0; i < MANY; i++) {
        end[i] = (i + UINT64_C(1)) * P;
    }
    assert_int_equal(vr_machine_create("test", VR_CLOCK_REAL, true, NULL, &o.m, &err), 0);
    assert_int_equal(
        vr_machine_add_ram(o.m, "ram", AT, (uint64_t)MANY * P, VR_REGION_RAM, &ram, &err), 0);
    assert_int_equal(vr_machine_own(o.m, owner_half_gone, &o, &err), 0);
    const struct vr_ram_due_how how = {.count = MANY,
                                       .end = end,
                                       .check = owner_check,
                                       .bad = owner_nothing_bad,
                                       .done = owner_done,
                                       .opaque = &o};
    assert_int_equal(vr_ram_due_begin(ram, &how, &err), 0);
    vr_mutex_lock(&o.gate);
    assert_int_equal(vr_ram_due_run(ram, &err), 0);
    vr_machine_destroy(o.m);
    assert_true(o.done);
    vr_mutex_fini(&o.gate);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_used_is_checked_before),
        cmocka_unit_test(what_is_bad_is_no_memory),
        cmocka_unit_test(many_at_once),
        cmocka_unit_test(nobody_waits_for_the_thread),
        cmocka_unit_test(ended_before_it_was_checked),
        cmocka_unit_test(a_machine_ends_while_it_is_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
