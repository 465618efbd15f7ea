/* Jobs and threads for them: each is done once, one at a time, where it should be, and whoever
 * drains may take everything away at once. */
#include "test.h"

#include "backend/work.h"
#include "base/bits.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"

#include <stdatomic.h>
#include <stdlib.h>

enum { SUBMITTERS = 3, JOBS = 2000, ROUNDS = 300 };

struct work {
    struct vr_loop *loop;
    struct vr_flight *flight;
    struct vr_pool *pool;
    unsigned done, on_loop, wrong; /* by done(): one at a time, so plain */
    atomic_bool busy;
    bool post; /* complete by the loop */
};

struct item {
    struct vr_job job;
    struct work *w;
    unsigned value, times;
};

static void item_run(void *opaque, struct vr_job *job)
{
    struct work *w = opaque;
    int result = (int)((struct item *)job)->value;
    if (w->post) {
        vr_flight_complete(w->flight, job, result);
    } else {
        vr_flight_complete_here(w->flight, job, result);
    }
}

static void item_done(struct vr_job *job, int result)
{
    struct item *item = (struct item *)job;
    struct work *w = item->w;
    w->wrong += atomic_exchange(&w->busy, true) || result != (int)item->value || item->times;
    item->times++;
    w->done++;
    w->on_loop += vr_loop_here(w->loop);
    atomic_store(&w->busy, false);
}

static void work_open(struct work *w, bool thread, unsigned max)
{
    *w = (struct work){0};
    assert_int_equal(vr_loop_create(&w->loop, NULL), 0);
    if (thread) {
        assert_int_equal(vr_loop_start(w->loop, NULL), 0);
    }
    assert_int_equal(vr_flight_create(w->loop, &w->flight, NULL), 0);
    assert_int_equal(vr_pool_create("work", max, item_run, w, &w->pool, NULL), 0);
}

static void work_close(struct work *w)
{
    vr_pool_destroy(w->pool);
    vr_flight_destroy(w->flight);
    vr_loop_destroy(w->loop);
}

static void submit(struct work *w, struct item *item, unsigned value)
{
    *item = (struct item){.job.done = item_done, .w = w, .value = value};
    vr_flight_begin(w->flight);
    vr_pool_submit(w->pool, &item->job);
}

struct submitter {
    struct work *w;
    struct item items[JOBS];
};

static void submit_all(void *arg)
{
    struct submitter *s = arg;
    for (unsigned i = 0; i < JOBS; i++) {
        submit(s->w, &s->items[i], i);
    }
}

static void each_is_done_once_and_one_at_a_time(void **state)
{
    (void)state;
    for (unsigned post = 0; post < 2; post++) {
        struct work w;
        struct vireo_thread *threads[SUBMITTERS];
        struct submitter *s = calloc(SUBMITTERS, sizeof(*s));
        work_open(&w, true, 4);
        w.post = post;
        for (unsigned i = 0; i < SUBMITTERS; i++) {
            s[i].w = &w;
            assert_int_equal(vireo_thread_create("submit", submit_all, &s[i], &threads[i], NULL),
                             0);
        }
        for (unsigned i = 0; i < SUBMITTERS; i++) {
            vireo_thread_join(threads[i]);
        }
        vr_flight_drain(w.flight);
        assert_int_equal(w.done, SUBMITTERS * JOBS);
        assert_int_equal(w.wrong, 0);
        if (post) {
            assert_int_equal(w.on_loop, w.done);
        }
        for (unsigned i = 0; i < SUBMITTERS * JOBS; i++) {
            assert_int_equal(s[i / JOBS].items[i % JOBS].times, 1);
        }
        work_close(&w);
        free(s);
    }
}

struct here {
    struct work *w;
    struct item item;
    struct vr_mutex lock;
    struct vr_cond done_cond;
    bool done;
};

static void here_done(struct vr_job *job, int result)
{
    struct here *h = (struct here *)((char *)job - offsetof(struct here, item.job));
    (void)result;
    vr_mutex_lock(&h->lock);
    h->w->on_loop += vr_loop_here(h->w->loop);
    h->done = true;
    vr_cond_signal(&h->done_cond);
    vr_mutex_unlock(&h->lock);
}

/* Nobody drains, and the loop is not asked. */
static void done_is_called_where_the_work_was(void **state)
{
    struct work w;
    (void)state;
    work_open(&w, true, 2);
    struct here h = {.w = &w, .item = {.job.done = here_done, .w = &w}};
    vr_mutex_init(&h.lock);
    vr_cond_init(&h.done_cond);
    for (unsigned i = 0; i < 200; i++) {
        h.done = false;
        vr_flight_begin(w.flight);
        vr_pool_submit(w.pool, &h.item.job);
        vr_mutex_lock(&h.lock);
        while (!h.done) {
            vr_cond_wait(&h.done_cond, &h.lock);
        }
        vr_mutex_unlock(&h.lock);
        assert_int_equal(w.on_loop, 0);
    }
    vr_flight_drain(w.flight);
    vr_cond_fini(&h.done_cond);
    vr_mutex_fini(&h.lock);
    work_close(&w);
}

/* Where somebody turns the loop, nothing is done between the turns. */
static void a_loop_that_is_turned_does_it_all(void **state)
{
    struct work w;
    struct item items[20];
    (void)state;
    work_open(&w, false, 2);
    for (unsigned i = 0; i < VR_COUNT(items); i++) {
        submit(&w, &items[i], i);
        assert_int_equal(w.done, 0);
    }
    while (w.done < VR_COUNT(items)) {
        vr_loop_turn(w.loop, 1000);
    }
    assert_int_equal(w.wrong, 0);
    work_close(&w);
}

/* Who drains takes the flight and the pool away while the last worker is on its way out. */
static void the_end_may_come_at_once(void **state)
{
    struct work w;
    struct item items[6];
    (void)state;
    for (unsigned round = 0; round < ROUNDS; round++) {
        work_open(&w, round % 4 != 3, 1 + round % 3);
        for (unsigned i = 0; i < VR_COUNT(items); i++) {
            submit(&w, &items[i], i);
        }
        vr_flight_drain(w.flight);
        assert_int_equal(w.done, VR_COUNT(items));
        assert_int_equal(w.wrong, 0);
        work_close(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_is_done_once_and_one_at_a_time),
        cmocka_unit_test(done_is_called_where_the_work_was),
        cmocka_unit_test(a_loop_that_is_turned_does_it_all),
        cmocka_unit_test(the_end_may_come_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
