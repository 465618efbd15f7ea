/* Machines in snapshots: what goes into another one, and what is refused. */
#include "machine_rig.h"

static void a_machine_continues_in_another(void **state)
{
    struct board a, b;
    struct vr_snap s;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    board_init(&b, 2);
    assert_int_equal(vr_machine_start(a.m, NULL), 0);
    wait_turning(&a);
    vr_snap_init(&s);
    assert_int_equal(vr_machine_save(a.m, &s, &err), 0); /* pauses, and lets it run again */
    assert_int_equal(vr_machine_state(a.m), VR_STATE_RUNNING);
    wait_turning(&a);
    assert_int_equal(vr_machine_pause(a.m), 0);
    a.ram->hva[12345] = 0x77;
    s.len = 0;
    assert_int_equal(vr_machine_save(a.m, &s, &err), 0);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_PAUSED);
    assert_int_equal(vr_machine_load(b.m, &s, &err), 0); /* never started */
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    assert_int_equal(b.resets, 0);
    assert_int_equal(vr_clock_now(vr_machine_clock(a.m)), vr_clock_now(vr_machine_clock(b.m)));
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(cpu_of(&a, i)->pc, cpu_of(&b, i)->pc);
    }
    assert_memory_equal(a.ram->hva, b.ram->hva, RAM_LEN);
    assert_int_equal(vr_dev_read(a.dev, 0, 0, 4), vr_dev_read(b.dev, 0, 0, 4));
    assert_int_equal(vr_machine_resume(b.m), 0);
    wait_turning(&b);
    s.pos = 0;
    assert_int_equal(vr_machine_load(b.m, &s, &err), 0); /* running: paused by it */
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
}

struct moment {
    struct board *b;
    unsigned calls;
    int says;
};

/* Nothing moves while RAM is taken or filled. */
static int at_the_moment(void *opaque, struct vr_error *err)
{
    struct moment *at = opaque;
    const char *name;
    at->calls++;
    assert_still(at->b);
    assert_ptr_equal(vr_machine_ram(at->b->m, 0, &name), at->b->ram);
    assert_string_equal(name, "ram");
    assert_null(vr_machine_ram(at->b->m, 1, &name));
    return at->says ? vr_err(err, at->says, "the file is full") : 0;
}

static void state_travels_without_ram(void **state)
{
    struct board a, b;
    struct vr_snap s, whole;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    assert_int_equal(vr_machine_start(a.m, NULL), 0);
    wait_turning(&a);
    a.ram->hva[RAM_LEN - 1] = 0x77;
    vr_snap_init(&s);
    vr_snap_init(&whole);
    struct moment save = {.b = &a, .says = -ENOSPC};
    assert_int_equal(vr_machine_save_state(a.m, &s, at_the_moment, &save, &err), -ENOSPC);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_RUNNING); /* no harm */
    wait_turning(&a);
    assert_int_equal(vr_machine_pause(a.m), 0);
    save.says = 0;
    s.len = 0;
    assert_int_equal(vr_machine_save_state(a.m, &s, at_the_moment, &save, &err), 0);
    assert_int_equal(save.calls, 2);
    assert_int_equal(vr_machine_save(a.m, &whole, &err), 0);
    assert_true(s.len < whole.len);
    /* Into a machine whose RAM is a view of this one's. */
    board_init_on(&b, 2, a.ram->mem.fd);
    struct moment load = {.b = &b, .says = -EIO};
    assert_int_equal(vr_machine_load_state(b.m, &s, at_the_moment, &load, &err), -EIO);
    assert_int_equal(vr_machine_resume(b.m), -EINVAL);
    s.pos = 0;
    load.says = 0;
    assert_int_equal(vr_machine_load_state(b.m, &s, at_the_moment, &load, &err), 0);
    assert_int_equal(load.calls, 2);
    assert_int_equal(cpu_of(&a, 1)->pc, cpu_of(&b, 1)->pc);
    assert_int_equal(b.ram->hva[RAM_LEN - 1], 0x77);
    b.ram->hva[RAM_LEN - 1] = 0x78;
    assert_int_equal(a.ram->hva[RAM_LEN - 1], 0x77);
    assert_int_equal(vr_machine_resume(b.m), 0);
    wait_turning(&b);
    /* The two kinds of stream are not taken for each other. */
    s.pos = 0;
    assert_int_equal(vr_machine_load(b.m, &s, &err), -EPROTO);
    assert_int_equal(vr_machine_load_state(b.m, &whole, NULL, NULL, &err), -EPROTO);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
    vr_snap_fini(&whole);
}

/* Whoever names the wrong snapshot does not lose the machine, nor its memory. */
static void what_it_does_not_take_leaves_it_as_it_was(void **state)
{
    struct board a, b;
    struct vr_snap s, other;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    board_init(&b, 3);
    vr_snap_init(&s);
    vr_snap_init(&other);
    struct moment none = {.b = &a};
    assert_int_equal(vr_machine_save_state(a.m, &s, NULL, NULL, &err), 0);
    assert_int_equal(vr_machine_save_state(b.m, &other, NULL, NULL, &err), 0);
    assert_int_equal(vr_machine_start(a.m, NULL), 0);
    wait_turning(&a);
    assert_int_equal(vr_machine_load_state(a.m, &other, at_the_moment, &none, &err), -EPROTO);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_RUNNING);
    wait_turning(&a);
    assert_int_equal(vr_machine_pause(a.m), 0);
    uint64_t pc = cpu_of(&a, 1)->pc, now_ns = vr_clock_now(vr_machine_clock(a.m));
    for (size_t len = 0; len < s.len; len += 1 + s.len / 100) { /* some of it was loaded already */
        struct vr_snap cut = {.buf = s.buf, .len = len};
        assert_int_equal(vr_machine_load_state(a.m, &cut, at_the_moment, &none, &err), -ENODATA);
        assert_int_equal(vr_machine_state(a.m), VR_STATE_PAUSED);
        assert_int_equal(cpu_of(&a, 1)->pc, pc);
        assert_int_equal(vr_clock_now(vr_machine_clock(a.m)), now_ns);
    }
    assert_int_equal(none.calls, 0);
    assert_int_equal(vr_machine_resume(a.m), 0);
    wait_turning(&a);
    struct moment bad = {.b = &a, .says = -EIO}; /* memory is half filled: that ends it */
    s.pos = 0;
    assert_int_equal(vr_machine_load_state(a.m, &s, at_the_moment, &bad, &err), -EIO);
    assert_int_equal(vr_machine_state(a.m), VR_STATE_STOPPED);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
    vr_snap_fini(&other);
}

static void bad_snapshots_stop_it(void **state)
{
    struct board a, b;
    struct vr_snap s;
    struct vr_exit got;
    struct vr_error err = {0};
    (void)state;
    board_init(&a, 2);
    board_init(&b, 3);
    vr_snap_init(&s);
    assert_int_equal(vr_machine_save(a.m, &s, &err), 0); /* a machine that never ran can be saved */
    assert_int_equal(vr_machine_load(b.m, &s, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "2 CPUs"));
    assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
    assert_int_equal(vr_machine_start(a.m, &err), 0);
    for (size_t len = 0; len < s.len; len += 1 + s.len / 100) {
        struct vr_snap cut = {.buf = s.buf, .len = len};
        assert_int_equal(vr_machine_load(a.m, &cut, &err), -ENODATA);
        assert_int_equal(vr_machine_resume(a.m), -EINVAL);
        assert_true(vr_machine_wait(a.m, 0, &got)); /* whoever waits for its end is told */
        assert_int_equal(got.why, VR_REQ_FAIL);
    }
    s.pos = 0;
    struct vr_snap longer = {.buf = s.buf, .len = s.len, .cap = s.cap};
    assert_int_equal(vr_machine_load(a.m, &longer, &err), 0); /* a good one revives it */
    assert_int_equal(vr_machine_resume(a.m), 0);
    wait_turning(&a);
    vr_machine_destroy(a.m);
    vr_machine_destroy(b.m);
    vr_snap_fini(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_continues_in_another),
        cmocka_unit_test(state_travels_without_ram),
        cmocka_unit_test(what_it_does_not_take_leaves_it_as_it_was),
        cmocka_unit_test(bad_snapshots_stop_it),
    };
    return cmocka_run_group_tests_name("machine_snap", tests, NULL, NULL);
}
