/* Address spaces, against a model that knows for each page who wins. */
#include "base/err.h"
#include "test.h"

#include "base/bits.h"
#include "core/space.h"
#include "vireo/host_thread.h"
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static uint64_t rnd(uint64_t *seed)
{
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

static struct vr_space *new_space(uint64_t limit)
{
    struct vr_space *s;
    assert_int_equal(vr_space_create("test", limit, &s, NULL), 0);
    return s;
}

static struct vr_ram *new_ram(uint64_t len)
{
    struct vr_ram *ram;
    assert_int_equal(vr_ram_create("test", len, &ram, NULL), 0);
    return ram;
}

static void nothing_is_mapped_at_first(void **state)
{
    struct vr_space *s = new_space(UINT64_MAX);
    struct vr_view_cache cache = {0};
    uint64_t v = 5;
    (void)state;
    assert_int_equal(vr_space_view(s, &cache)->count, 0);
    assert_int_equal(vr_space_read(s, &cache, 0, 8, &v), -EFAULT);
    assert_int_equal(vr_space_write(s, &cache, UINT64_MAX, 1, 0), -EFAULT);
    assert_int_equal(v, 5);
    vr_view_cache_drop(s, &cache);
    vr_view_cache_drop(s, &cache);
    vr_space_destroy(s);
    vr_space_destroy(NULL);
}

static void bad_regions_are_refused(void **state)
{
    struct vr_space *s = new_space(0xffff);
    struct vr_ram *ram = new_ram(0x20000);
    struct vr_error err = {0};
    struct vr_region a = {
        .name = "a", .kind = VR_REGION_RAM, .gpa = 0x1000, .len = 0x2000, .ram = ram};
    struct vr_region b = {
        .name = "b", .kind = VR_REGION_RAM, .gpa = 0x2000, .len = 0x1000, .ram = ram};
    uint64_t gen = vr_space_gen(s);
    (void)state;
    assert_int_equal(vr_space_add(s, &a, &err), 0);
    assert_true(vr_space_gen(s) > gen);
    gen = vr_space_gen(s);
    assert_int_equal(vr_space_add(s, &b, &err), -EEXIST);
    assert_non_null(strstr(err.msg, "'a'"));
    assert_non_null(strstr(err.msg, "'b'"));
    b.gpa = 0x3000;
    b.len = 0;
    assert_int_equal(vr_space_add(s, &b, &err), -EINVAL);
    b.len = 0xd001;
    assert_int_equal(vr_space_add(s, &b, &err), -EINVAL);
    b.gpa = UINT64_MAX - 0xfff;
    b.len = 0x1000;
    assert_int_equal(vr_space_add(s, &b, &err), -EINVAL);
    assert_int_equal(vr_space_gen(s), gen);
    b.gpa = 0xf000; /* up to the last byte */
    assert_int_equal(vr_space_add(s, &b, &err), 0);
    assert_int_equal(vr_space_move(s, &b, 0xf001, &err), -EINVAL);
    assert_int_equal(vr_space_move(s, &b, 0x1800, &err), -EEXIST);
    assert_int_equal(b.gpa, 0xf000);
    assert_int_equal(vr_space_move(s, &b, 0xe800, &err), 0); /* over its own old place */
    vr_space_destroy(s);
    vr_ram_destroy(ram);
}

enum { REGIONS = 12, CELLS = 64, CELL = 0x1000 };

/* Random adds, moves and removes; after each, every cell of the view is whom the model says. */
static void random_maps_match_the_model(void **state)
{
    uint64_t seed = 88172645463325252u;
    struct vr_space *s = new_space((uint64_t)CELLS * CELL - 1);
    struct vr_ram *ram = new_ram((uint64_t)CELLS * CELL);
    struct vr_region r[REGIONS];
    struct vr_view_cache cache = {0};
    (void)state;
    memset(r, 0, sizeof(r));
    for (unsigned i = 0; i < REGIONS; i++) {
        r[i] = (struct vr_region){
            .name = "r", .kind = VR_REGION_RAM, .ram = ram, .prio = (int)(i % 4)};
    }
    for (unsigned step = 0; step < 4000; step++) {
        struct vr_region *x = &r[rnd(&seed) % REGIONS];
        uint64_t at = rnd(&seed) % CELLS;
        bool clash = false;
        uint64_t len = x->mapped ? x->len / CELL : 1 + rnd(&seed) % 20;
        for (unsigned i = 0; i < REGIONS; i++) {
            clash = clash || (&r[i] != x && r[i].mapped && r[i].prio == x->prio &&
                              at * CELL < r[i].gpa + r[i].len && r[i].gpa < (at + len) * CELL);
        }
        int want = at + len > CELLS ? -EINVAL : clash ? -EEXIST : 0;
        if (x->mapped && rnd(&seed) % 2) {
            vr_space_remove(s, x);
        } else if (x->mapped) {
            assert_int_equal(vr_space_move(s, x, at * CELL, NULL), want);
        } else {
            x->gpa = at * CELL;
            x->len = len * CELL;
            assert_int_equal(vr_space_add(s, x, NULL), want);
        }
        const struct vr_view *view = vr_space_view(s, &cache);
        for (unsigned c = 0; c < CELLS; c++) {
            uint64_t gpa = (uint64_t)c * CELL + rnd(&seed) % CELL;
            struct vr_region *top = NULL;
            for (unsigned i = 0; i < REGIONS; i++) {
                if (r[i].mapped && gpa >= r[i].gpa && gpa < r[i].gpa + r[i].len &&
                    (!top || r[i].prio > top->prio)) {
                    top = &r[i];
                }
            }
            const struct vr_flat *f = vr_view_find(view, gpa);
            assert_ptr_equal(f ? f->region : NULL, top);
            if (f) {
                assert_true(gpa >= f->gpa && gpa - f->gpa < f->len);
                assert_int_equal(f->off + (gpa - f->gpa), gpa - top->gpa);
            }
        }
        for (size_t i = 1; i < view->count; i++) { /* sorted, apart, and joined where they can be */
            const struct vr_flat *a = &view->flat[i - 1], *b = &view->flat[i];
            assert_true(a->gpa + a->len <= b->gpa);
            assert_false(a->region == b->region && a->gpa + a->len == b->gpa);
        }
    }
    vr_view_cache_drop(s, &cache);
    vr_space_destroy(s);
    vr_ram_destroy(ram);
}

static unsigned released;

static void note_release(struct vr_region *r)
{
    (void)r;
    released++;
}

static void regions_go_with_their_last_view(void **state)
{
    struct vr_space *s = new_space(UINT64_MAX);
    struct vr_ram *ram = new_ram(0x4000);
    struct vr_view_cache one = {0}, two = {0};
    struct vr_region a = {
        .name = "a", .kind = VR_REGION_RAM, .len = 0x1000, .ram = ram, .release = note_release};
    struct vr_region over = a;
    (void)state;
    released = 0;
    assert_int_equal(vr_space_add(s, &a, NULL), 0);
    (void)vr_space_view(s, &one);
    (void)vr_space_view(s, &two);
    vr_space_remove(s, &a);
    assert_int_equal(released, 0);
    assert_ptr_equal(one.view->flat[0].region, &a); /* the old view is intact */
    assert_int_equal(vr_space_view(s, &one)->count, 0);
    assert_int_equal(released, 0);
    vr_view_cache_drop(s, &two);
    assert_int_equal(released, 1);

    /* Wholly covered: no view shows it, so it goes at once. */
    over.prio = 1;
    over.len = 0x4000;
    assert_int_equal(vr_space_add(s, &over, NULL), 0);
    assert_int_equal(vr_space_add(s, &a, NULL), 0);
    vr_space_remove(s, &a);
    assert_int_equal(released, 2);
    vr_view_cache_drop(s, &one);
    vr_space_destroy(s); /* releases what is still mapped */
    assert_int_equal(released, 3);
    vr_ram_destroy(ram);
}

static void count_call(void *opaque)
{
    ++*(unsigned *)opaque;
}

static void listeners_hear_of_changes_until_forgotten(void **state)
{
    struct vr_space *s = new_space(UINT64_MAX);
    struct vr_ram *ram = new_ram(0x1000);
    struct vr_region a = {.name = "a", .kind = VR_REGION_RAM, .len = 0x1000, .ram = ram};
    unsigned calls = 0, others = 0;
    (void)state;
    vr_space_on_change(s, count_call, &calls);
    vr_space_on_change(s, count_call, &others);
    assert_int_equal(vr_space_add(s, &a, NULL), 0);
    assert_int_equal(vr_space_move(s, &a, 0x8000, NULL), 0);
    assert_int_equal(vr_space_add(s, &(struct vr_region){.name = "z", .len = 0, .ram = ram}, NULL),
                     -EINVAL);
    assert_int_equal(calls, 2);
    vr_space_forget(s, &calls);
    vr_space_remove(s, &a);
    assert_int_equal(calls, 2);
    assert_int_equal(others, 3);
    vr_space_destroy(s);
    vr_ram_destroy(ram);
}

/* --- Readers against a map that changes --- */

struct race {
    struct vr_space *space;
    struct vr_region *fixed;
    atomic_bool stop;
    atomic_ulong looks;
};

static void race_reader(void *opaque)
{
    struct race *race = opaque;
    struct vr_view_cache cache = {0};
    while (!atomic_load(&race->stop)) {
        const struct vr_view *view = vr_space_view(race->space, &cache);
        const struct vr_flat *f = vr_view_find(view, 0x100000);
        vr_assert(f && f->region == race->fixed); /* always there, whatever moves beside it */
        for (size_t i = 0; i < view->count; i++) {
            vr_assert(view->flat[i].region->ram != NULL); /* not freed */
            vr_assert(i == 0 || view->flat[i - 1].gpa + view->flat[i - 1].len <= view->flat[i].gpa);
        }
        atomic_fetch_add(&race->looks, 1);
    }
    vr_view_cache_drop(race->space, &cache);
}

static void free_region(struct vr_region *r)
{
    r->ram = NULL;
    free(r);
}

static void readers_see_whole_maps_while_they_change(void **state)
{
    struct vr_ram *ram = new_ram(0x10000);
    struct vr_region fixed = {
        .name = "f", .kind = VR_REGION_RAM, .gpa = 0x100000, .len = 0x1000, .ram = ram};
    struct race race = {.space = new_space(UINT64_MAX), .fixed = &fixed};
    struct vireo_thread *thread[3];
    uint64_t seed = 99;
    (void)state;
    assert_int_equal(vr_space_add(race.space, &fixed, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vireo_thread_create("reader", race_reader, &race, &thread[i], NULL), 0);
    }
    for (unsigned i = 0; i < 3000 || atomic_load(&race.looks) < 3000; i++) {
        struct vr_region *r = calloc(1, sizeof(*r));
        assert_non_null(r);
        *r = (struct vr_region){.name = "r",
                                .kind = VR_REGION_RAM,
                                .gpa = rnd(&seed) % 200 * 0x1000,
                                .len = 0x1000,
                                .ram = ram,
                                .prio = 1,
                                .release = free_region};
        assert_int_equal(vr_space_add(race.space, r, NULL), 0);
        if (i % 3 == 0) {
            assert_int_equal(vr_space_move(race.space, r, 0x200000, NULL), 0);
        }
        vr_space_remove(race.space, r);
    }
    atomic_store(&race.stop, true);
    for (unsigned i = 0; i < 3; i++) {
        vireo_thread_join(thread[i]);
    }
    vr_space_destroy(race.space);
    vr_ram_destroy(ram);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_mapped_at_first),
        cmocka_unit_test(bad_regions_are_refused),
        cmocka_unit_test(random_maps_match_the_model),
        cmocka_unit_test(regions_go_with_their_last_view),
        cmocka_unit_test(listeners_hear_of_changes_until_forgotten),
        cmocka_unit_test(readers_see_whole_maps_while_they_change),
    };
    return cmocka_run_group_tests_name("space", tests, NULL, NULL);
}
