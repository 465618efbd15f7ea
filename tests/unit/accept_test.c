/* Clients of a listening socket, also when the host has no descriptor left. */
#include "base/err.h"
#include "test.h"

#include "core/accept.h"
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <uv.h>

enum { CLIENTS = 40 };

struct world {
    char dir[32], path[48];
    struct vr_loop *loop;
    struct vr_unix sock;
    struct vr_accept *accept;
    int client[CLIENTS];
    unsigned connected, taken;
    bool end_at_first;
};

static void on_client(void *opaque, int fd)
{
    struct world *w = opaque;
    w->taken++;
    close(fd);
    if (w->end_at_first) {
        vr_accept_close(w->accept);
        w->accept = NULL;
    }
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    strcpy(w->dir, "/tmp/vireo-accept-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/s", w->dir);
    assert_int_equal(vr_loop_create(&w->loop, NULL), 0);
    assert_int_equal(vr_unix_listen(w->path, &w->sock, NULL), 0);
    assert_int_equal(vr_accept_open(w->loop, &w->sock, on_client, w, &w->accept, NULL), 0);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    for (unsigned i = 0; i < w->connected; i++) {
        close(w->client[i]);
    }
    vr_accept_close(w->accept);
    vr_loop_destroy(w->loop);
    vr_unix_close(&w->sock);
    assert_int_equal(rmdir(w->dir), 0);
    free(w);
    return 0;
}

static void come(struct world *w, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        uint64_t pid;
        int *fd = &w->client[w->connected];
        assert_int_equal(vr_unix_connect(w->path, fd, &pid, NULL), 0);
        w->connected++;
    }
}

static void all_are_taken_in_a_few_a_turn(void **state)
{
    struct world *w = *state;
    come(w, CLIENTS);
    vr_loop_turn(w->loop, 0);
    assert_in_range(w->taken, 1, CLIENTS - 1); /* others on the loop have their turn */
    while (w->taken < CLIENTS) {
        vr_loop_turn(w->loop, -1);
    }
    vr_loop_turn(w->loop, 0);
    assert_int_equal(w->taken, CLIENTS);
}

/* One waits, and the loop sleeps nevertheless; with descriptors again it is taken in. */
static void no_descriptors_left(void **state)
{
    struct world *w = *state;
    struct rlimit old, small;
    struct pollfd ready = {.fd = uv_backend_fd(vr_loop_uv(w->loop)), .events = POLLIN};
    come(w, 1);
    int lowest = dup(0);
    assert_true(lowest >= 0);
    close(lowest);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    small = old;
    small.rlim_cur = (rlim_t)lowest; /* what is free is above it */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    vr_loop_turn(w->loop, 0);
    vr_loop_turn(w->loop, 0);
    int waits_ms = uv_backend_timeout(vr_loop_uv(w->loop)), woken = poll(&ready, 1, 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
    assert_int_equal(w->taken, 0);
    assert_int_equal(woken, 0);
    assert_in_range(waits_ms, 1, 1000);
    while (w->taken == 0) {
        vr_loop_turn(w->loop, -1);
    }
    assert_int_equal(w->taken, 1);
}

static void closed_by_the_first_client(void **state)
{
    struct world *w = *state;
    w->end_at_first = true;
    come(w, 3);
    for (unsigned i = 0; i < 5; i++) {
        vr_loop_turn(w->loop, 0);
    }
    assert_int_equal(w->taken, 1);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WORLD_TEST(all_are_taken_in_a_few_a_turn),
        WORLD_TEST(no_descriptors_left),
        WORLD_TEST(closed_by_the_first_client),
    };
    return cmocka_run_group_tests_name("accept", tests, NULL, NULL);
}
