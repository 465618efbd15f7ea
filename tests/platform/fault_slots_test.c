/* Fault handlers, as on every host: pages mended, the order of handlers, many threads. */
#include "fault_box.h"

#include "vireo/host_thread.h"
#include <errno.h>

enum { THREADS = 4, ROUNDS = 200 };

static void a_missing_page_is_mended(void **state)
{
    struct box b;
    int id;
    (void)state;
    box_make(&b);
    assert_int_equal(vireo_fault_add(mend, &b, &id, NULL), 0);
    errno = 77;
    *(volatile uint8_t *)(b.map.hva + 5 * PAGE + 3) = 9;
    assert_int_equal(errno, 77);
    assert_int_equal(b.map.hva[5 * PAGE + 3], 9);
    assert_int_equal(atomic_load(&b.mended), 1);
    assert_int_equal(b.last.kind, VIREO_FAULT_ACCESS);
    assert_ptr_equal(b.last.hva, b.map.hva + 5 * PAGE + 3);
    if (b.last.can_set_pc) {
        assert_true(b.last.pc != 0 && b.last.sp != 0);
    }
    vireo_fault_remove(id);
    vireo_map_destroy(&b.map);
}

static void the_latest_is_asked_first(void **state)
{
    struct box b, none = {.order = 0};
    int mender, early, late, more[VIREO_FAULT_HANDLERS], count = 0;
    struct vr_error err;
    (void)state;
    box_make(&b);
    assert_int_equal(vireo_fault_add(refuse, &none, &early, NULL), 0);
    assert_int_equal(vireo_fault_add(mend, &b, &mender, NULL), 0);
    *(volatile uint8_t *)b.map.hva = 1;
    assert_int_equal(atomic_load(&none.asked), 0);
    assert_int_equal(vireo_fault_add(refuse, &none, &late, NULL), 0);
    *(volatile uint8_t *)(b.map.hva + PAGE) = 1;
    assert_int_equal(atomic_load(&none.asked), 1);
    vireo_fault_remove(late);
    *(volatile uint8_t *)(b.map.hva + 2 * PAGE) = 1;
    assert_int_equal(atomic_load(&none.asked), 1);
    assert_int_equal(atomic_load(&b.mended), 3);
    while (vireo_fault_add(refuse, &none, &more[count], &err) == 0) {
        count++;
    }
    assert_int_equal(err.code, -ENOSPC);
    assert_int_equal(count, VIREO_FAULT_HANDLERS - 2);
    while (count) {
        vireo_fault_remove(more[--count]);
    }
    vireo_fault_remove(early);
    vireo_fault_remove(mender);
    vireo_map_destroy(&b.map);
}

static void fault_often(void *arg)
{
    struct box *b = arg;
    struct vireo_map_opts o = {.prot = VIREO_PROT_NONE, .node = VIREO_NODE_ANY};
    for (unsigned i = 0; i < ROUNDS; i++) {
        struct box mine = {.order = 0};
        int id;
        assert_int_equal(vireo_map_create(PAGE, &o, &mine.map, NULL), 0);
        assert_int_equal(vireo_fault_add(mend, &mine, &id, NULL), 0);
        *(volatile uint8_t *)mine.map.hva = 1;
        vireo_fault_remove(id);
        vireo_map_destroy(&mine.map);
        atomic_fetch_add(&b->mended, 1);
    }
}

static void handlers_come_and_go_under_faults(void **state)
{
    struct box b = {.order = 0};
    struct vireo_thread *t[THREADS];
    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(vireo_thread_create("faults", fault_often, &b, &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        vireo_thread_join(t[i]);
    }
    assert_int_equal(atomic_load(&b.mended), THREADS * ROUNDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_missing_page_is_mended),
        cmocka_unit_test(the_latest_is_asked_first),
        cmocka_unit_test(handlers_come_and_go_under_faults),
    };
    return cmocka_run_group_tests_name("fault_slots", tests, NULL, NULL);
}
