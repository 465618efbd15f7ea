/* Networks over a UNIX stream socket (src/backend/net/stream.c): what goes through, in what order,
 * and what becomes of other sides that are slow, lie, or leave. */
#include "test.h"

#include "backend/net/net.h"
#include "base/bits.h"
#include "platform/unixsock.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAMES = 300, LEN = 1514, TURNS = 3000 };

struct world {
    char dir[32], path[48];
    struct vr_loop *loop;
    struct vr_unix sock;
    struct vr_net *net;
    int peer; /* the other side's connection */
    bool full, link, told;
    unsigned got; /* frames, each of which has to be the next */
};

static size_t frame_len(unsigned i)
{
    return 14 + i * 97 % (LEN - 13);
}

static void make_frame(uint8_t *frame, unsigned i)
{
    for (size_t at = 0; at < frame_len(i); at++) {
        frame[at] = (uint8_t)(i * 31 + at);
    }
}

static bool on_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct world *w = opaque;
    uint8_t want[LEN];
    if (w->full) {
        return false;
    }
    make_frame(want, w->got);
    assert_int_equal(len, frame_len(w->got));
    assert_memory_equal(frame, want, len);
    w->got++;
    return true;
}

static void on_link(void *opaque, bool up)
{
    struct world *w = opaque;
    w->link = up;
    w->told = true;
}

static void meet(struct world *w)
{
    struct pollfd p = {.fd = w->sock.fd, .events = POLLIN};
    for (unsigned i = 0; i < TURNS && poll(&p, 1, 0) == 0; i++) {
        vr_loop_turn(w->loop, 10);
    }
    w->peer = vr_unix_accept(&w->sock);
    assert_true(w->peer >= 0);
}

static int begin(void **state)
{
    struct world *w = calloc(1, sizeof(*w));
    const struct vr_net_user user = {.on_frame = on_frame, .on_link = on_link, .opaque = w};
    assert_non_null(w);
    strcpy(w->dir, "/tmp/vireo-stream-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    snprintf(w->path, sizeof(w->path), "%s/s", w->dir);
    assert_int_equal(vr_loop_create(&w->loop, NULL), 0);
    assert_int_equal(vr_unix_listen(w->path, &w->sock, NULL), 0);
    assert_int_equal(vr_net_open_stream(w->path, w->loop, &w->net, NULL), 0);
    meet(w);
    vr_net_attach(w->net, &user);
    *state = w;
    return 0;
}

static int end(void **state)
{
    struct world *w = *state;
    vr_net_close(w->net);
    vr_loop_destroy(w->loop);
    vr_unix_close(&w->sock);
    if (w->peer >= 0) {
        close(w->peer);
    }
    assert_int_equal(rmdir(w->dir), 0);
    free(w);
    return 0;
}

/* The other side's bytes, as far as its socket takes them; @at goes on. */
static void peer_put(struct world *w, const uint8_t *buf, size_t len, size_t *at)
{
    if (*at == len) {
        return;
    }
    ssize_t n = send(w->peer, buf + *at, len - *at, MSG_DONTWAIT | MSG_NOSIGNAL);
    assert_true(n > 0 || errno == EAGAIN);
    *at += n > 0 ? (size_t)n : 0;
}

static size_t stream_of(uint8_t *buf, unsigned from, unsigned count)
{
    size_t len = 0;
    for (unsigned i = from; i < from + count; i++) {
        vr_store_be32(buf + len, (uint32_t)frame_len(i));
        make_frame(buf + len + 4, i);
        len += 4 + frame_len(i);
    }
    return len;
}

static void frames_arrive_whole_and_in_order_however_they_are_cut(void **state)
{
    struct world *w = *state;
    static uint8_t buf[FRAMES * (LEN + 4)];
    size_t len = stream_of(buf, 0, FRAMES), at = 0;
    for (unsigned cut = 1; at < len; cut = cut % 4001 + 1) {
        size_t to = at + cut < len ? at + cut : len;
        peer_put(w, buf, to, &at);
        vr_loop_turn(w->loop, 0);
    }
    for (unsigned i = 0; i < TURNS && w->got < FRAMES; i++) {
        vr_loop_turn(w->loop, 10);
    }
    assert_int_equal(w->got, FRAMES);
}

static void a_device_that_is_full_makes_the_other_side_wait(void **state)
{
    struct world *w = *state;
    static uint8_t buf[FRAMES * (LEN + 4)];
    size_t len = stream_of(buf, 0, FRAMES), at = 0;
    w->full = true;
    for (unsigned i = 0; i < 100; i++) {
        peer_put(w, buf, len, &at);
        vr_loop_turn(w->loop, 0);
    }
    assert_int_equal(w->got, 0);
    w->full = false;
    vr_net_resume(w->net);
    for (unsigned i = 0; i < TURNS && w->got < FRAMES; i++) {
        peer_put(w, buf, len, &at);
        vr_loop_turn(w->loop, 10);
    }
    assert_int_equal(w->got, FRAMES);
    struct vr_net_stats stats;
    vr_net_stats(w->net, &stats);
    assert_int_equal(stats.rx_frames, FRAMES);
    assert_int_equal(stats.rx_dropped, 0);
}

static void send_frame(struct world *w, unsigned i)
{
    uint8_t frame[LEN];
    make_frame(frame, i);
    const struct iovec iov[] = {{.iov_base = frame, .iov_len = 5},
                                {.iov_base = frame + 5, .iov_len = frame_len(i) - 5}};
    vr_net_send(w->net, iov, 2, frame_len(i));
}

/* Read frames until there are no more; returns how many. @next: the number that the next one has at
 * least. */
static unsigned peer_frames(struct world *w, unsigned last)
{
    static uint8_t in[1 << 16];
    uint8_t want[LEN];
    size_t have = 0;
    unsigned next = 0, count = 0;
    for (unsigned turns = 0; turns < TURNS && next <= last;) {
        ssize_t n = recv(w->peer, in + have, sizeof(in) - have, MSG_DONTWAIT);
        assert_true(n > 0 || (n < 0 && errno == EAGAIN));
        turns += n < 0;
        have += n > 0 ? (size_t)n : 0;
        size_t at = 0;
        while (have - at >= 4 && have - at - 4 >= vr_load_be32(in + at)) {
            size_t len = vr_load_be32(in + at);
            while (next <= last &&
                   (frame_len(next) != len ||
                    (make_frame(want, next), memcmp(want, in + at + 4, len) != 0))) {
                next++; /* it was dropped */
            }
            assert_true(next <= last);
            next++;
            count++;
            at += 4 + len;
        }
        have -= at;
        memmove(in, in + at, have);
        vr_loop_turn(w->loop, n < 0 ? 1 : 0);
        struct vr_net_stats stats;
        vr_net_stats(w->net, &stats);
        if (n < 0 && have == 0 && stats.tx_frames == count) {
            break;
        }
    }
    assert_int_equal(have, 0);
    return count;
}

static void what_the_other_side_does_not_read_waits_and_then_is_dropped_whole(void **state)
{
    struct world *w = *state;
    enum { MANY = 8000 };
    struct vr_net_stats stats;
    for (unsigned i = 0; i < MANY; i++) {
        send_frame(w, i);
    }
    vr_net_stats(w->net, &stats);
    assert_true(stats.tx_dropped > 0 && stats.tx_dropped < MANY);
    unsigned came = peer_frames(w, MANY - 1);
    vr_net_stats(w->net, &stats);
    assert_int_equal(came + stats.tx_dropped, MANY);
    assert_int_equal(stats.tx_frames, came);
    assert_true(came > (1 << 20) / LEN);
}

/* The link goes down, and when somebody is there again, up. */
static void lost_and_found(struct world *w)
{
    w->told = false;
    for (unsigned i = 0; i < TURNS && !w->told; i++) {
        vr_loop_turn(w->loop, 10);
    }
    assert_true(w->told && !w->link);
    send_frame(w, 0); /* goes nowhere */
    close(w->peer);
    meet(w);
    for (unsigned i = 0; i < TURNS && !w->link; i++) {
        vr_loop_turn(w->loop, 10);
    }
    assert_true(w->link);
    uint8_t buf[4 + LEN];
    size_t at = 0;
    w->got = 0;
    peer_put(w, buf, stream_of(buf, 0, 1), &at);
    for (unsigned i = 0; i < TURNS && !w->got; i++) {
        vr_loop_turn(w->loop, 10);
    }
    assert_int_equal(w->got, 1);
    send_frame(w, 1);
    uint8_t back[4 + LEN];
    assert_int_equal(recv(w->peer, back, sizeof(back), 0), 4 + frame_len(1));
}

static void the_other_side_leaves_and_comes_back(void **state)
{
    struct world *w = *state;
    static const uint8_t half[] = {0, 0, 0, 60, 1, 2, 3};
    size_t at = 0;
    peer_put(w, half, sizeof(half), &at);
    assert_int_equal(shutdown(w->peer, SHUT_RDWR), 0);
    lost_and_found(w);
}

static void lengths_that_no_frame_has_end_the_connection(void **state)
{
    struct world *w = *state;
    static const uint32_t lens[] = {0, VR_NET_FRAME_MAX + 1, UINT32_MAX};
    for (unsigned i = 0; i < VR_COUNT(lens); i++) {
        uint8_t head[4];
        size_t at = 0;
        vr_store_be32(head, lens[i]);
        peer_put(w, head, 4, &at);
        lost_and_found(w);
    }
}

static void frames_too_short_for_a_header_are_dropped(void **state)
{
    struct world *w = *state;
    uint8_t buf[64 + LEN] = {0, 0, 0, 1, 7, 0, 0, 0, 13};
    size_t len = 9 + 13, at = 0;
    len += stream_of(buf + len, 0, 1);
    peer_put(w, buf, len, &at);
    for (unsigned i = 0; i < TURNS && !w->got; i++) {
        vr_loop_turn(w->loop, 10);
    }
    struct vr_net_stats stats;
    vr_net_stats(w->net, &stats);
    assert_int_equal(w->got, 1);
    assert_int_equal(stats.rx_dropped, 2);
}

/* A frame is counted once, as what became of it. */
static void frames_are_dropped_while_the_cable_is_out(void **state)
{
    struct world *w = *state;
    struct vr_net_stats stats = {0};
    uint8_t buf[4 + LEN], frame[LEN];
    const struct iovec iov = {.iov_base = frame, .iov_len = frame_len(0)};
    size_t len = stream_of(buf, 0, 1), at = 0;
    make_frame(frame, 0);
    vr_net_set_link(w->net, false);
    assert_false(w->link);
    vr_net_send(w->net, &iov, 1, frame_len(0));
    peer_put(w, buf, len, &at);
    for (unsigned i = 0; i < TURNS && !stats.rx_dropped; i++) {
        vr_loop_turn(w->loop, 10);
        vr_net_stats(w->net, &stats);
    }
    assert_int_equal(stats.rx_dropped, 1);
    assert_int_equal(stats.rx_frames, 0);
    assert_int_equal(stats.rx_bytes, 0);
    assert_int_equal(stats.tx_dropped, 1);
    assert_int_equal(stats.tx_frames, 0);
    vr_net_set_link(w->net, true);
    assert_true(w->link);
    at = 0;
    peer_put(w, buf, len, &at);
    for (unsigned i = 0; i < TURNS && !w->got; i++) {
        vr_loop_turn(w->loop, 10);
    }
    vr_net_stats(w->net, &stats);
    assert_int_equal(w->got, 1);
    assert_int_equal(stats.rx_frames, 1);
    assert_int_equal(stats.rx_dropped, 1);
}

static void nobody_there_is_said(void **state)
{
    struct world *w = *state;
    struct vr_error err = {0};
    struct vr_net *net;
    char path[64];
    snprintf(path, sizeof(path), "%s/none", w->dir);
    assert_int_equal(vr_net_open_stream(path, w->loop, &net, &err), -ENOENT);
    assert_non_null(strstr(err.msg, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(frames_arrive_whole_and_in_order_however_they_are_cut),
        TEST(a_device_that_is_full_makes_the_other_side_wait),
        TEST(what_the_other_side_does_not_read_waits_and_then_is_dropped_whole),
        TEST(the_other_side_leaves_and_comes_back),
        TEST(lengths_that_no_frame_has_end_the_connection),
        TEST(frames_too_short_for_a_header_are_dropped),
        TEST(frames_are_dropped_while_the_cable_is_out),
        TEST(nobody_there_is_said),
    };
    return cmocka_run_group_tests_name("net_stream", tests, NULL, NULL);
}
