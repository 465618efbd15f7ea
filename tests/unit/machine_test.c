/* Machines: run states and requests, with vCPUs that only spin or only sleep. */
#include "machine_rig.h"

static void parts_are_found(void **state)
{
    struct board b;
    struct vr_error err = {0};
    struct vr_dev *twin;
    (void)state;
    board_init(&b, 2);
    assert_string_equal(vr_machine_name(b.m), "test");
    assert_ptr_equal(vr_machine_find_dev(b.m, "toy0"), b.dev);
    assert_null(vr_machine_find_dev(b.m, "toy1"));
    assert_ptr_equal(vr_machine_dev(b.m, 0), b.dev);
    assert_null(vr_machine_dev(b.m, 1));
    assert_non_null(vr_machine_vcpu(b.m, 1));
    assert_null(vr_machine_vcpu(b.m, 2));
    assert_int_equal(vr_dev_create(&dev_class, "toy0", NULL, vr_machine_env(b.m), &twin, &err), 0);
    assert_int_equal(vr_machine_add_dev(b.m, twin, &err), -EEXIST);
    vr_dev_destroy(twin);
    assert_int_equal(vr_machine_add_ram(b.m, "more", RAM, 0x1000, VR_REGION_RAM, NULL, &err),
                     -EEXIST);
    assert_int_equal(vr_machine_add_ram(b.m, "more", 0, 7, VR_REGION_RAM, NULL, &err), -EINVAL);
    assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
    assert_int_equal(vr_machine_pause(b.m), -EINVAL);
    assert_int_equal(vr_machine_resume(b.m), -EINVAL);
    assert_false(vr_machine_wait(b.m, 0, NULL));
    vr_machine_destroy(b.m); /* never started */
    vr_machine_destroy(NULL);
}

static void requests_end_a_machine(void **state)
{
    static const struct vr_exit ends[] = {
        {VR_REQ_POWEROFF, 0}, {VR_REQ_FAIL, 7}, {VR_REQ_PANIC, 0}, {VR_REQ_QUIT, 42}};
    struct board b;
    struct vr_exit got;
    struct vr_error err = {0};
    (void)state;
    board_init(&b, 2);
    for (unsigned i = 0; i < VR_COUNT(ends); i++) { /* the same machine, again and again */
        assert_int_equal(vr_machine_start(b.m, &err), 0);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
        assert_int_equal(vr_machine_start(b.m, &err), -EBUSY);
        wait_turning(&b);
        assert_false(vr_machine_wait(b.m, 1000, &got));
        if (i & 1) {
            vr_machine_request(b.m, ends[i].why, ends[i].code);
        } else { /* from a device, under its lock */
            vr_dev_write(b.dev, 0, BUTTON, 4, ends[i].why | ends[i].code << 8);
        }
        vr_machine_request(b.m, VR_REQ_FAIL, 99); /* too late */
        assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
        assert_int_equal(got.why, ends[i].why);
        assert_int_equal(got.code, ends[i].code);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
        assert_still(&b);
        vr_machine_request(b.m, VR_REQ_FAIL, 99); /* after the end: dropped */
        assert_int_equal(b.resets, i + 1);
    }
    vr_machine_destroy(b.m);
}

static void a_request_before_the_start_waits_for_it(void **state)
{
    struct board b;
    struct vr_exit got;
    (void)state;
    board_init(&b, 1);
    vr_machine_request(b.m, VR_REQ_QUIT, 5);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_QUIT);
    assert_int_equal(got.code, 5);
    vr_machine_destroy(b.m);
}

static void wait_resets(struct board *b, unsigned resets)
{
    uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000000);
    for (;;) {
        /* A pause comes after the reset under way, and lets us look. */
        assert_int_equal(vr_machine_pause(b->m), 0);
        bool there = b->resets >= resets;
        assert_int_equal(vr_machine_resume(b->m), 0);
        if (there) {
            return;
        }
        assert_true(vireo_monotonic_ns() < until);
    }
}

/* --- Watchdogs --- */

struct heard {
    atomic_uint bites, stops;
    char action[16]; /* of the last bite */
};

static void hear(void *opaque, const struct vr_event *event)
{
    struct heard *h = opaque;
    if (strcmp(event->name, "WATCHDOG") == 0) {
        assert_string_equal(event->field[0].key, "action");
        (void)snprintf(h->action, sizeof(h->action), "%s", event->field[0].text);
        atomic_fetch_add(&h->bites, 1);
    }
    atomic_fetch_add(&h->stops, strcmp(event->name, "STOP") == 0);
}

static void press(void *opaque)
{
    atomic_fetch_add((atomic_uint *)opaque, 1);
}

static void watchdogs_bite_as_told(void **state)
{
    struct board b;
    struct vr_exit got;
    struct heard h = {.bites = 0};
    (void)state;
    board_init(&b, 2);
    vr_machine_on_event(b.m, hear, &h);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    wait_turning(&b);
    for (unsigned i = 0; i < 100; i++) { /* told once, however often */
        vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_NONE);
    }
    assert_in_range(atomic_load(&h.bites), 1, 50);
    assert_string_equal(h.action, "none");
    assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);

    atomic_uint pressed = 0;
    vr_machine_on_button(b.m, press, &pressed);
    h.action[0] = '\0';
    for (uint64_t start = vireo_monotonic_ns(); !atomic_load(&pressed);) { /* once a second */
        vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_SHUTDOWN);
        assert_false(vr_machine_wait(b.m, 1000000, NULL));
        assert_true(vireo_monotonic_ns() - start < UINT64_C(60000000000));
    }
    assert_string_equal(h.action, "shutdown");
    assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);

    vr_machine_panicked(b.m); /* a reset saves a kernel that hangs in its panic, too */
    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_RESET);
    assert_string_equal(h.action, "reset");
    wait_resets(&b, 2);
    assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
    wait_turning(&b);

    unsigned stops = atomic_load(&h.stops);
    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_PAUSE);
    while (vr_machine_state(b.m) == VR_STATE_RUNNING) {
        assert_false(vr_machine_wait(b.m, 100000, NULL));
    }
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    assert_int_equal(vr_machine_resume(b.m), 0); /* comes after all that belongs to the pause */
    assert_int_equal(atomic_load(&h.stops), stops + 1);
    assert_int_equal(vr_machine_pause(b.m), 0);
    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_PAUSE);
    assert_still(&b);
    assert_int_equal(vr_machine_resume(b.m), 0);

    vr_machine_request(b.m, VR_REQ_WATCHDOG, VR_WATCHDOG_POWEROFF);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_POWEROFF);
    vr_machine_destroy(b.m);
}

static void resets_run_on_or_end(void **state)
{
    struct board b;
    struct vr_exit got;
    (void)state;
    board_init(&b, 3);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 2; i < 30; i++) {
        wait_turning(&b);
        vr_machine_request(b.m, VR_REQ_RESET, 0);
        wait_resets(&b, i);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
    }
    assert_int_equal(vr_machine_pause(b.m), 0); /* a reset while paused stays paused */
    unsigned resets = b.resets;
    vr_machine_request(b.m, VR_REQ_RESET, 0);
    while (vr_machine_pause(b.m) == 0 && b.resets == resets) {
    }
    assert_int_equal(b.resets, resets + 1);
    assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
    assert_still(&b);
    assert_int_equal(vr_machine_resume(b.m), 0);
    vr_machine_reboots(b.m, false);
    vr_machine_request(b.m, VR_REQ_RESET, 0);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_RESET);
    vr_machine_destroy(b.m);
}

/* What a guest asks for until it is stopped is one reset. */
static void a_reset_answers_all_who_asked_before(void **state)
{
    struct board b;
    (void)state;
    board_init(&b, 3);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 2; i < 50; i++) {
        wait_turning(&b);
        assert_int_equal(vr_machine_pause(b.m), 0);
        atomic_store(&cpu_of(&b, 2)->asks, true);
        atomic_store(&cpu_of(&b, 0)->asks, true);
        assert_int_equal(vr_machine_resume(b.m), 0);
        wait_resets(&b, i);
        for (unsigned k = 0; k < 20; k++) {
            wait_turning(&b);
        }
        assert_int_equal(b.resets, i);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_RUNNING);
    }
    vr_machine_destroy(b.m);
}

static void failed_resets_end_it(void **state)
{
    struct board b;
    struct vr_exit got;
    struct vr_error err = {0};
    (void)state;
    board_init(&b, 1);
    b.reset_says = -ENOENT;
    assert_int_equal(vr_machine_start(b.m, &err), -ENOENT);
    assert_string_equal(err.msg, "no kernel");
    assert_int_equal(vr_machine_state(b.m), VR_STATE_STOPPED);
    b.reset_says = 0;
    assert_int_equal(vr_machine_start(b.m, &err), 0);
    wait_turning(&b);
    assert_int_equal(vr_machine_pause(b.m), 0);
    b.reset_says = -ENOENT;
    assert_int_equal(vr_machine_resume(b.m), 0);
    vr_machine_request(b.m, VR_REQ_RESET, 0);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_FAIL);
    vr_machine_destroy(b.m);
}

static void paused_means_nothing_moves(void **state)
{
    struct board b;
    (void)state;
    board_init(&b, 4);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 0; i < 200; i++) {
        if (i % 20 == 0) {
            wait_turning(&b);
        }
        assert_int_equal(vr_machine_pause(b.m), 0);
        assert_int_equal(vr_machine_state(b.m), VR_STATE_PAUSED);
        assert_still(&b);
        assert_int_equal(vr_machine_pause(b.m), 0);
        assert_int_equal(vr_machine_resume(b.m), 0);
        assert_int_equal(vr_machine_resume(b.m), 0);
    }
    wait_turning(&b);
    vr_machine_destroy(b.m); /* while it runs */
}

/* --- Stress: everybody wants something --- */

struct stress {
    struct board *b;
    unsigned what;
    atomic_bool *stop;
};

static void stress_main(void *arg)
{
    struct stress *s = arg;
    for (unsigned i = 0; !atomic_load(s->stop); i++) {
        switch (s->what) {
        case 0:
            (void)vr_machine_pause(s->b->m);
            (void)vr_machine_resume(s->b->m);
            break;
        case 1:
            vr_machine_request(s->b->m, VR_REQ_RESET, 0);
            vr_vcpu_notify(vr_machine_vcpu(s->b->m, i % 4));
            break;
        default:
            vr_vcpu_kick(vr_machine_vcpu(s->b->m, i % 4)); /* spurious: run() is entered again */
            (void)vr_dev_read(s->b->dev, 0, 0, 4);
            break;
        }
    }
}

static void all_at_once(void **state)
{
    struct board b;
    atomic_bool stop = false;
    struct stress s[3];
    struct vireo_thread *t[3];
    struct vr_exit got;
    (void)state;
    board_init(&b, 4);
    assert_int_equal(vr_machine_start(b.m, NULL), 0);
    for (unsigned i = 0; i < 3; i++) {
        s[i] = (struct stress){.b = &b, .what = i, .stop = &stop};
        assert_int_equal(vireo_thread_create("stress", stress_main, &s[i], &t[i], NULL), 0);
    }
    for (unsigned i = 0; i < 50; i++) {
        assert_false(vr_machine_wait(b.m, 2000000, NULL));
        (void)vr_machine_state(b.m);
    }
    vr_machine_request(b.m, VR_REQ_QUIT, 1);
    assert_true(vr_machine_wait(b.m, UINT64_MAX, &got));
    assert_int_equal(got.why, VR_REQ_QUIT);
    atomic_store(&stop, true);
    for (unsigned i = 0; i < 3; i++) {
        vireo_thread_join(t[i]);
    }
    vr_machine_destroy(b.m);
}

static void many_machines_in_one_process(void **state)
{
    struct board b[6];
    struct vr_exit got;
    (void)state;
    for (unsigned i = 0; i < 6; i++) {
        board_init(&b[i], 2);
        assert_int_equal(vr_machine_start(b[i].m, NULL), 0);
    }
    for (unsigned i = 0; i < 6; i++) {
        wait_turning(&b[i]);
        vr_machine_request(b[i].m, VR_REQ_QUIT, i);
    }
    for (unsigned i = 0; i < 6; i++) {
        assert_true(vr_machine_wait(b[i].m, UINT64_MAX, &got));
        assert_int_equal(got.code, i);
        vr_machine_destroy(b[i].m);
    }
}

static void owned_first(void *opaque)
{
    *(unsigned *)opaque = *(unsigned *)opaque * 10 + 1;
}

static void owned_second(void *opaque)
{
    *(unsigned *)opaque = *(unsigned *)opaque * 10 + 2;
}

static void what_it_owns_goes_last_to_first(void **state)
{
    struct board b;
    unsigned order = 0;
    (void)state;
    board_init(&b, 1);
    assert_int_equal(vr_machine_own(b.m, owned_first, &order, NULL), 0);
    assert_int_equal(vr_machine_own(b.m, owned_second, &order, NULL), 0);
    vr_machine_destroy(b.m);
    assert_int_equal(order, 21);
}

/* --- Sleeping --- */

static void waker(void *arg)
{
    struct toy_cpu *cpu = arg;
    for (unsigned i = 1; i <= 3000; i++) {
        vr_vcpu_notify(&cpu->vcpu);
        uint64_t until = vireo_monotonic_ns() + UINT64_C(20000000000);
        while (atomic_load(&cpu->turns) < i) { /* each notification is seen */
            vr_assert(vireo_monotonic_ns() < until);
        }
    }
    vr_vcpu_kick(&cpu->vcpu);
}

static void no_wake_up_is_lost(void **state)
{
    struct toy_cpu cpu = {.sleeps = true};
    struct vireo_thread *t;
    (void)state;
    vr_vcpu_init(&cpu.vcpu, &cpu_ops, NULL, 0);
    assert_int_equal(vireo_thread_create("waker", waker, &cpu, &t, NULL), 0);
    cpu_run(&cpu.vcpu);
    vireo_thread_join(t);
    assert_true(atomic_load(&cpu.turns) >= 3000);
    vr_vcpu_fini(&cpu.vcpu);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parts_are_found),
        cmocka_unit_test(requests_end_a_machine),
        cmocka_unit_test(a_request_before_the_start_waits_for_it),
        cmocka_unit_test(watchdogs_bite_as_told),
        cmocka_unit_test(resets_run_on_or_end),
        cmocka_unit_test(a_reset_answers_all_who_asked_before),
        cmocka_unit_test(failed_resets_end_it),
        cmocka_unit_test(paused_means_nothing_moves),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(many_machines_in_one_process),
        cmocka_unit_test(what_it_owns_goes_last_to_first),
        cmocka_unit_test(no_wake_up_is_lost),
    };
    return cmocka_run_group_tests_name("machine", tests, NULL, NULL);
}
