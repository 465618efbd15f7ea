#include "base/err.h"
#include "test.h"

#include "base/bits.h"
#include "core/loop.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"
#include <uv.h>

static struct vr_loop *new_loop(bool start)
{
    struct vr_loop *l;
    assert_int_equal(vr_loop_create(&l, NULL), 0);
    if (start) {
        assert_int_equal(vr_loop_start(l, NULL), 0);
    }
    return l;
}

struct order {
    struct vr_loop *loop;
    unsigned next, from; /* next: what must come now */
    unsigned errors;
};

struct step {
    struct order *order;
    unsigned value;
};

static void step_run(void *arg)
{
    struct step *s = arg;
    s->order->errors += s->order->next != s->value;
    s->order->next = s->value + 1;
    s->order->errors += !vr_loop_here(s->order->loop);
}

static void posts_run_in_order(void **state)
{
    static struct step steps[5000];
    for (int own_thread = 0; own_thread < 2; own_thread++) {
        struct order order = {.loop = new_loop(own_thread)};
        (void)state;
        for (unsigned i = 0; i < VR_COUNT(steps); i++) { /* more than there is room for at first */
            steps[i] = (struct step){.order = &order, .value = i};
            vr_loop_post(order.loop, step_run, &steps[i]);
        }
        if (!own_thread) {
            assert_int_equal(order.next, 0);
            vr_loop_turn(order.loop, 0);
            assert_int_equal(order.next, VR_COUNT(steps));
        }
        vr_loop_destroy(order.loop); /* runs what is left */
        assert_int_equal(order.next, VR_COUNT(steps));
        assert_int_equal(order.errors, 0);
    }
}

struct ask {
    struct vr_loop *loop;
    unsigned in, out, depth;
    bool here;
};

static void ask_run(void *arg)
{
    struct ask *a = arg;
    a->out = a->in * 2;
    a->here = vr_loop_here(a->loop);
    if (a->depth--) {
        vr_loop_call(a->loop, ask_run, a); /* on the loop's thread: at once */
    }
}

static void ask_many(void *arg)
{
    struct vr_loop *l = arg;
    for (unsigned i = 0; i < 500; i++) {
        struct ask a = {.loop = l, .in = i, .depth = i % 3};
        vr_loop_call(l, ask_run, &a);
        vr_assert(a.out == 2 * i && a.here);
    }
}

static void calls_wait_for_their_answer(void **state)
{
    struct vr_loop *l = new_loop(true);
    struct vireo_thread *t[3];
    (void)state;
    assert_false(vr_loop_here(l));
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vireo_thread_create("ask", ask_many, l, &t[i], NULL), 0);
    }
    ask_many(l);
    for (unsigned i = 0; i < 3; i++) {
        vireo_thread_join(t[i]);
    }
    vr_loop_destroy(l);
    l = new_loop(false); /* without a thread of its own, whoever calls is the loop */
    assert_true(vr_loop_here(l));
    ask_many(l);
    vr_loop_destroy(l);
    vr_loop_destroy(NULL);
}

struct chain {
    struct vr_loop *loop;
    unsigned left;
};

static void chain_run(void *arg)
{
    struct chain *c = arg;
    if (c->left && c->left--) {
        vr_loop_post(c->loop, chain_run, c);
    }
}

static void destroy_runs_what_posts_post(void **state)
{
    for (int own_thread = 0; own_thread < 2; own_thread++) {
        struct chain c = {.loop = new_loop(own_thread), .left = 100};
        (void)state;
        vr_loop_post(c.loop, chain_run, &c);
        vr_loop_destroy(c.loop);
        assert_int_equal(c.left, 0);
    }
}

static void turns_end_in_time(void **state)
{
    struct vr_loop *l = new_loop(false);
    struct chain c = {.loop = l};
    (void)state;
    uint64_t start = vireo_monotonic_ns();
    vr_loop_turn(l, 0);
    vr_loop_turn(l, 20);
    assert_true(vireo_monotonic_ns() - start >= 15000000);
    vr_loop_post(l, chain_run, &c);
    vr_loop_turn(l, -1); /* there is work: it does not wait */
    vr_loop_post(l, chain_run, &c);
    vr_loop_turn(l, 1000000);
    vr_loop_destroy(l);
}

struct handle {
    uv_timer_t timer;
    bool closed;
    unsigned fired;
};

static void handle_closed(uv_handle_t *h)
{
    ((struct handle *)h->data)->closed = true;
}

static void handle_fired(uv_timer_t *t)
{
    struct handle *h = t->data;
    if (++h->fired == 3) {
        uv_close((uv_handle_t *)t, handle_closed);
    }
}

static void handle_open(void *arg)
{
    struct handle *h = ((void **)arg)[1];
    h->timer.data = h;
    uv_timer_init(vr_loop_uv(((void **)arg)[0]), &h->timer);
    uv_timer_start(&h->timer, handle_fired, 1, 1);
}

/* A backend lives on the loop; destroy waits for a close under way. */
static void handles_live_on_the_loop(void **state)
{
    struct vr_loop *l = new_loop(false);
    struct handle h = {.closed = false};
    void *arg[2] = {l, &h};
    (void)state;
    vr_loop_call(l, handle_open, arg);
    while (h.fired < 3) {
        vr_loop_turn(l, -1);
    }
    vr_loop_destroy(l);
    assert_true(h.closed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(posts_run_in_order),
        cmocka_unit_test(calls_wait_for_their_answer),
        cmocka_unit_test(destroy_runs_what_posts_post),
        cmocka_unit_test(turns_end_in_time),
        cmocka_unit_test(handles_live_on_the_loop),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
