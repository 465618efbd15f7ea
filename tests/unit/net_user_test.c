/* The user-mode network, seen from a guest that makes its packets by hand, and from a host. */
#include "test.h"

#include "base/bits.h"
#include "net_peer.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/* A host socket bound to 127.0.0.1, any port. */
static int host_socket(int type, uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
    if (type == SOCK_STREAM) {
        assert_int_equal(listen(fd, 16), 0);
    }
    *ret_port = ntohs(at.sin_port);
    return fd;
}

/* Turn the guest's network until @fd is ready for @what. */
static void wait_fd(struct peer *p, int fd, short what)
{
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(5000000000);
    struct pollfd pfd = {.fd = fd, .events = what};
    while (poll(&pfd, 1, 0) == 0) {
        assert_true(vireo_monotonic_ns() < end_ns);
        peer_turn(p, 10);
    }
}

static int setup(void **state)
{
    struct peer *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    peer_init(p, NULL);
    peer_meet(p);
    *state = p;
    return 0;
}

static int teardown(void **state)
{
    struct peer *p = *state;
    peer_fini(p);
    free(p);
    return 0;
}

static void dhcp_gives_the_first_address(void **state)
{
    struct peer *p = *state;
    assert_int_equal(peer_dhcp(p), 0x0A00020F);
}

static bool is_echo_reply(const uint8_t *frame, size_t len, void *opaque)
{
    return len >= 34 + 24 && vr_load_be16(frame + 12) == 0x0800 && frame[23] == 1 &&
           frame[34] == 0 && memcmp(frame + 42, opaque, 16) == 0;
}

/* Echo request to the gateway, with a payload to know the answer by. */
static size_t echo(struct peer *p, uint8_t *frame, const char *payload16)
{
    uint8_t icmp[24] = {8, 0, 0, 0, 0x12, 0x34, 0, 1};
    memcpy(icmp + 8, payload16, 16);
    uint32_t sum = 0;
    for (unsigned i = 0; i < sizeof(icmp); i += 2) {
        sum += vr_load_be16(icmp + i);
    }
    while (sum >> 16) {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    vr_store_be16(icmp + 2, (uint16_t)~sum);
    return peer_ipv4(p, frame, 1, p->gateway, icmp, sizeof(icmp));
}

static bool gateway_answers(struct peer *p)
{
    uint8_t frame[PEER_FRAME_LEN];
    char payload[] = "are you there? !";
    size_t len;
    peer_send(p, frame, echo(p, frame, payload));
    return peer_expect(p, is_echo_reply, payload, frame, &len);
}

static void gateway_answers_echo(void **state)
{
    assert_true(gateway_answers(*state));
}

static void tcp_reaches_this_host(void **state)
{
    struct peer *p = *state;
    struct peer_tcp t = {.sport = 1234, .ip = p->gateway, .seq = 100};
    int server = host_socket(SOCK_STREAM, &t.dport);
    assert_true(peer_connect(p, &t));
    wait_fd(p, server, POLLIN);
    int fd = accept(server, NULL, NULL);
    assert_true(fd >= 0);
    char buf[6000];
    peer_tcp_send(p, &t, "hello", 5);
    wait_fd(p, fd, POLLIN);
    assert_int_equal(recv(fd, buf, sizeof(buf), 0), 5);
    assert_memory_equal(buf, "hello", 5);
    for (unsigned i = 0; i < sizeof(buf); i++) {
        buf[i] = (char)(i * 7);
    }
    assert_int_equal(send(fd, buf, sizeof(buf), 0), sizeof(buf));
    char got[sizeof(buf)];
    assert_true(peer_tcp_recv(p, &t, got, sizeof(got)));
    assert_memory_equal(got, buf, sizeof(buf));
    close(fd);
    close(server);
}

static bool is_tcp_reset(const uint8_t *frame, size_t len, void *opaque)
{
    (void)opaque;
    return len >= 54 && vr_load_be16(frame + 12) == 0x0800 && frame[23] == 6 && (frame[47] & 4);
}

static void refused_connection_is_reset(void **state)
{
    struct peer *p = *state;
    uint8_t frame[PEER_FRAME_LEN];
    size_t len;
    struct peer_tcp t = {.sport = 1235, .ip = p->gateway, .seq = 100};
    int server = host_socket(SOCK_STREAM, &t.dport);
    close(server); /* now nobody listens there */
    peer_send(p, frame, peer_tcp(p, frame, &t, 0x02, NULL, 0));
    assert_true(peer_expect(p, is_tcp_reset, NULL, frame, &len));
}

static bool is_udp_to(const uint8_t *frame, size_t len, void *opaque)
{
    return len >= 42 && vr_load_be16(frame + 12) == 0x0800 && frame[23] == 17 &&
           vr_load_be16(frame + 36) == *(const uint16_t *)opaque;
}

static void udp_goes_both_ways(void **state)
{
    struct peer *p = *state;
    uint16_t port, mine = 4444;
    int server = host_socket(SOCK_DGRAM, &port);
    uint8_t frame[PEER_FRAME_LEN];
    size_t len;
    peer_send(p, frame, peer_udp(p, frame, mine, p->gateway, port, "ping", 4));
    wait_fd(p, server, POLLIN);
    char buf[16];
    struct sockaddr_in from;
    socklen_t from_len = sizeof(from);
    assert_int_equal(recvfrom(server, buf, sizeof(buf), 0, (struct sockaddr *)&from, &from_len), 4);
    assert_int_equal(sendto(server, "pong!", 5, 0, (struct sockaddr *)&from, from_len), 5);
    assert_true(peer_expect(p, is_udp_to, &mine, frame, &len));
    assert_int_equal(len, 42 + 5);
    assert_memory_equal(frame + 42, "pong!", 5);
    close(server);
}

static void forwarded_port_is_reached(void **state)
{
    struct peer *p = *state;
    uint16_t port = 0;
    struct vr_error err = {0};
    assert_int_equal(vr_net_user_add_forward(p->net, "tcp:127.0.0.1:0-:80", &port, &err), 0);
    assert_true(port > 0);
    assert_int_equal(peer_dhcp(p), p->ip);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&at, sizeof(at)), 0);
    struct peer_tcp t;
    assert_true(peer_accept(p, &t, 80));
    assert_int_equal(send(fd, "GET", 3, 0), 3);
    char buf[8];
    assert_true(peer_tcp_recv(p, &t, buf, 3));
    assert_memory_equal(buf, "GET", 3);
    peer_tcp_send(p, &t, "200", 3);
    wait_fd(p, fd, POLLIN);
    assert_int_equal(recv(fd, buf, sizeof(buf), 0), 3);
    assert_memory_equal(buf, "200", 3);
    close(fd);
}

/* Many clients at a time, before the stack has taken one of them: all are let in. */
static void forwarded_port_has_a_queue(void **state)
{
    enum { CLIENTS = 40 };
    struct peer *p = *state;
    struct vr_error err;
    uint16_t port = 0;
    int fds[CLIENTS];
    assert_int_equal(vr_net_user_add_forward(p->net, "tcp:127.0.0.1:0-:80", &port, &err), 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    for (unsigned i = 0; i < CLIENTS; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_true(fds[i] >= 0);
        int r = connect(fds[i], (struct sockaddr *)&at, sizeof(at));
        assert_true(r == 0 || errno == EINPROGRESS);
        struct pollfd ready = {.fd = fds[i], .events = POLLOUT};
        assert_int_equal(poll(&ready, 1, 500), 1);
    }
    for (unsigned i = 0; i < CLIENTS; i++) {
        close(fds[i]);
    }
}

static void forwarded_udp_port_is_reached(void **state)
{
    struct peer *p = *state;
    uint16_t port = 0, guest_port = 53;
    struct vr_error err = {0};
    uint8_t frame[PEER_FRAME_LEN];
    size_t len;
    assert_int_equal(vr_net_user_add_forward(p->net, "0:53/udp", &port, &err), 0);
    assert_true(port > 0);
    struct sockaddr_in at = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    assert_int_equal(sendto(fd, "query", 5, 0, (struct sockaddr *)&at, sizeof(at)), 5);
    assert_true(peer_expect(p, is_udp_to, &guest_port, frame, &len));
    assert_memory_equal(frame + 42, "query", 5);
    close(fd);
}

static void port_in_use_is_said(void **state)
{
    struct peer *p = *state;
    uint16_t port;
    struct vr_error err = {0};
    char spec[64], number[8];
    int server = host_socket(SOCK_STREAM, &port);
    snprintf(number, sizeof(number), "%u", port);
    snprintf(spec, sizeof(spec), "%u:22", port);
    assert_int_equal(vr_net_user_add_forward(p->net, spec, NULL, &err), -EADDRINUSE);
    assert_non_null(strstr(err.msg, number));
    assert_non_null(strstr(err.msg, "in use"));
    struct vr_net *net = NULL;
    snprintf(spec, sizeof(spec), "hostfwd=tcp:127.0.0.1:%u-:22", port);
    assert_int_equal(vr_net_open_user(spec, p->loop, &net, &err), -EADDRINUSE);
    assert_null(net);
    assert_non_null(strstr(err.msg, number));
    close(server);
    server = host_socket(SOCK_DGRAM, &port);
    snprintf(spec, sizeof(spec), "%u:22/udp", port);
    assert_int_equal(vr_net_user_add_forward(p->net, spec, NULL, &err), -EADDRINUSE);
    close(server);
    assert_int_equal(vr_net_user_add_forward(p->net, "192.0.2.1:0:22", NULL, &err), -EADDRNOTAVAIL);
}

static void restrict_cuts_everything(void **state)
{
    (void)state;
    struct peer *p = calloc(1, sizeof(*p));
    peer_init(p, "restrict,hostname=box");
    peer_meet(p);
    struct peer_tcp t = {.sport = 1234, .ip = p->gateway, .seq = 100};
    int server = host_socket(SOCK_STREAM, &t.dport);
    uint8_t frame[PEER_FRAME_LEN];
    peer_send(p, frame, peer_tcp(p, frame, &t, 0x02, NULL, 0));
    assert_int_equal(peer_dhcp(p), p->ip); /* answered after it, and still served */
    struct pollfd pfd = {.fd = server, .events = POLLIN};
    assert_int_equal(poll(&pfd, 1, 0), 0);
    close(server);
    peer_fini(p);
    free(p);
}

static void another_net_can_be_had(void **state)
{
    (void)state;
    struct peer *p = calloc(1, sizeof(*p));
    peer_init(p, "net=192.168.7.0/24,dhcpstart=192.168.7.100,host=192.168.7.1,ipv6=off");
    p->gateway = 0xC0A80701;
    p->ip = 0xC0A80764;
    assert_int_equal(peer_dhcp(p), p->ip);
    peer_meet(p);
    assert_true(gateway_answers(p));
    peer_fini(p);
    free(p);
}

/* THREATS 17: the device takes nothing; the host's data waits in the host's sockets. */
static void full_device_stops_the_host(void **state)
{
    struct peer *p = *state;
    struct peer_tcp t = {.sport = 1300, .ip = p->gateway, .seq = 100};
    int server = host_socket(SOCK_STREAM, &t.dport);
    assert_true(peer_connect(p, &t));
    wait_fd(p, server, POLLIN);
    int fd = accept(server, NULL, NULL);
    p->full = true;
    char buf[4096];
    memset(buf, 'x', sizeof(buf));
    assert_int_equal(send(fd, buf, sizeof(buf), 0), sizeof(buf));
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(5000000000);
    while (p->refused == 0) {
        assert_true(vireo_monotonic_ns() < end_ns);
        peer_turn(p, 10);
    }
    p->full = false;
    vr_net_resume(p->net);
    char got[sizeof(buf)];
    assert_true(peer_tcp_recv(p, &t, got, sizeof(got)));
    assert_memory_equal(got, buf, sizeof(buf));
    struct vr_net_stats stats;
    vr_net_stats(p->net, &stats);
    assert_int_equal(stats.rx_dropped, 0);
    close(fd);
    close(server);
}

static void flood_is_bounded_and_counted(void **state)
{
    struct peer *p = *state;
    uint8_t frame[PEER_FRAME_LEN], payload[1400] = {0};
    size_t len = peer_udp(p, frame, 9, 0x0A0002FF, 9, payload, sizeof(payload));
    struct vr_net_stats before, after;
    vr_net_stats(p->net, &before);
    for (unsigned i = 0; i < 5000; i++) {
        peer_send(p, frame, len); /* the loop does not turn meanwhile */
    }
    vr_net_stats(p->net, &after);
    assert_true(after.tx_dropped - before.tx_dropped > 4000);
    peer_flush(p);
    assert_true(gateway_answers(p));
}

/* THREATS 11. Each damaged frame is refused or ignored, and the network works after it. */
static void damaged_frames_do_no_harm(void **state)
{
    struct peer *p = *state;
    uint8_t good[PEER_FRAME_LEN], bad[PEER_FRAME_LEN];
    char payload[] = "0123456789abcdef";
    struct peer_tcp t = {.sport = 7, .dport = 9, .ip = p->gateway};
    size_t lens[4];
    for (unsigned kind = 0; kind < 4; kind++) {
        size_t len = kind == 0   ? peer_arp(p, good, p->gateway)
                     : kind == 1 ? echo(p, good, payload)
                     : kind == 2 ? peer_udp(p, good, 68, p->gateway, 67, payload, 16)
                                 : peer_tcp(p, good, &t, 0x02, payload, 16);
        lens[kind] = len;
        for (size_t cut = 0; cut < len; cut++) { /* tiny frames, headers beyond the frame */
            peer_send(p, good, cut);
        }
        for (size_t i = 14; i < len && i < 60; i++) { /* every header byte, extreme values */
            static const uint8_t values[] = {0, 1, 0x0F, 0x40, 0x46, 0x4F, 0x7F, 0x80, 0xF0, 0xFF};
            for (unsigned k = 0; k < VR_COUNT(values); k++) {
                memcpy(bad, good, len);
                bad[i] = values[k];
                if (kind && i < 34 && (i < 24 || i > 25)) {
                    peer_fix_ipv4_sum(bad);
                }
                peer_send(p, bad, len);
                if (i % 8 == 0) {
                    peer_flush(p);
                }
            }
        }
        peer_flush(p);
    }
    assert_true(lens[0] < lens[1]);
    assert_true(gateway_answers(p));
}

/* One fragment: @len bytes at @offset of the IP payload @whole. */
static void send_fragment(struct peer *p, uint16_t id, const uint8_t *whole, size_t offset,
                          size_t len, bool more)
{
    uint8_t frame[PEER_FRAME_LEN];
    size_t n = peer_ipv4(p, frame, 17, p->gateway, whole + offset, len);
    vr_store_be16(frame + 18, id);
    vr_store_be16(frame + 20, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
    peer_fix_ipv4_sum(frame);
    peer_send(p, frame, n);
}

static void fragments_are_put_together(void **state)
{
    struct peer *p = *state;
    uint16_t port;
    int server = host_socket(SOCK_DGRAM, &port);
    uint8_t udp[8 + 3001], got[4096];
    for (unsigned i = 0; i < sizeof(udp); i++) {
        udp[i] = (uint8_t)(i * 31);
    }
    vr_store_be16(udp, 4445);
    vr_store_be16(udp + 2, port);
    vr_store_be16(udp + 4, sizeof(udp));
    vr_store_be16(udp + 6, 0);
    static const unsigned char orders[][3] = {{0, 1, 2}, {2, 1, 0}, {1, 2, 0}, {2, 0, 1}};
    static const size_t cuts[] = {0, 1480, 2960, sizeof(udp)};
    for (unsigned o = 0; o < VR_COUNT(orders); o++) {
        for (unsigned i = 0; i < 3; i++) {
            unsigned k = orders[o][i];
            send_fragment(p, (uint16_t)(100 + o), udp, cuts[k], cuts[k + 1] - cuts[k], k < 2);
        }
        wait_fd(p, server, POLLIN);
        assert_int_equal(recv(server, got, sizeof(got), 0), 3001);
        assert_memory_equal(got, udp + 8, 3001);
    }
    /* Overlap, a second end, bytes beyond the end: none of these arrives. */
    send_fragment(p, 200, udp, 0, 1480, true);
    send_fragment(p, 200, udp, 1472, 1480, true);
    send_fragment(p, 200, udp, 1480, sizeof(udp) - 1480 < 1480 ? sizeof(udp) - 1480 : 1480, true);
    send_fragment(p, 201, udp, 1480, 1480, false);
    send_fragment(p, 201, udp, 0, 1480, false);
    send_fragment(p, 202, udp, 2960, sizeof(udp) - 2960, true);
    send_fragment(p, 202, udp, 0, 1480, true);
    send_fragment(p, 202, udp, 1480, 1480, false);
    /* 20 that never end push each other out; the last of them still can. */
    for (uint16_t id = 300; id < 320; id++) {
        send_fragment(p, id, udp, 0, 1480, true);
    }
    send_fragment(p, 319, udp, 1480, 1480, true);
    send_fragment(p, 319, udp, 2960, sizeof(udp) - 2960, false);
    wait_fd(p, server, POLLIN);
    assert_int_equal(recv(server, got, sizeof(got), 0), 3001);
    peer_flush(p);
    assert_int_equal(recv(server, got, sizeof(got), MSG_DONTWAIT), -1);
    close(server);
}

/* THREATS 11: overlapping, oversized and never completed fragments in every order. */
static void fragment_storm_does_no_harm(void **state)
{
    struct peer *p = *state;
    uint8_t frame[PEER_FRAME_LEN], payload[1480];
    memset(payload, 8, sizeof(payload));
    uint32_t seed = 1;
    for (unsigned i = 0; i < 40000; i++) {
        seed = seed * 1103515245 + 12345;
        size_t n = seed >> 16 & 1 ? sizeof(payload) : (seed >> 20 & 63) * 8;
        size_t len = peer_ipv4(p, frame, 17, p->gateway, payload, n);
        vr_store_be16(frame + 18, (uint16_t)(i / 50));
        vr_store_be16(frame + 20,
                      (uint16_t)((seed >> 8 & (i % 2 ? 7 : 0x1FFF)) | (i % 3 ? 0x2000 : 0)));
        peer_fix_ipv4_sum(frame);
        peer_send(p, frame, len);
        if (i % 200 == 0) {
            peer_flush(p);
        }
    }
    peer_flush(p);
    assert_true(gateway_answers(p));
}

static unsigned open_descriptors(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 4096; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

/* THREATS 11: half-open flows cost descriptors, and there is an end to that. */
static void half_open_flows_are_bounded(void **state)
{
    (void)state;
    struct rlimit old, small;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
    small = old;
    small.rlim_cur = 400;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &small), 0);
    struct peer *p = calloc(1, sizeof(*p));
    peer_init(p, NULL);
    peer_meet(p);
    unsigned before = open_descriptors();
    uint8_t frame[PEER_FRAME_LEN];
    for (unsigned i = 0; i < 20000; i++) {
        /* 192.0.2.0/24 is for documentation: nobody answers. */
        struct peer_tcp t = {.sport = (uint16_t)(1024 + i), .dport = 80, .ip = 0xC0000201};
        peer_send(p, frame,
                  i % 2 ? peer_tcp(p, frame, &t, 0x02, NULL, 0)
                        : peer_udp(p, frame, t.sport, t.ip, 9, "x", 1));
        if (i % 100 == 0) {
            peer_flush(p);
        }
    }
    peer_flush(p);
    assert_true(open_descriptors() - before <= 200);
    assert_true(open_descriptors() > before);
    int fd = dup(0);
    assert_true(fd >= 0); /* there are descriptors left for others */
    close(fd);
    assert_int_equal(peer_dhcp(p), p->ip);
    peer_fini(p);
    assert_true(open_descriptors() < before);
    free(p);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
}

/* THREATS 11: senders whose link address the stack does not know, and may not get to know. */
static void strangers_are_bounded(void **state)
{
    struct peer *p = *state;
    uint8_t frame[PEER_FRAME_LEN];
    uint32_t ip = p->ip;
    struct vr_net_stats before, after;
    vr_net_stats(p->net, &before);
    uint64_t start_ns = vireo_monotonic_ns();
    for (unsigned i = 0; i < 20000; i++) {
        p->ip = 0x0A000210 + i % 200;
        char payload[] = "who am I? nobody";
        peer_send(p, frame, echo(p, frame, payload));
        if (i % 100 == 0) {
            peer_flush(p);
        }
    }
    p->ip = ip;
    peer_flush(p);
    vr_net_stats(p->net, &after);
    uint64_t seconds = (vireo_monotonic_ns() - start_ns) / 1000000000 + 2;
    assert_true(after.tx_frames - before.tx_frames <= 64 * seconds);
    assert_true(gateway_answers(p));
}

/* A sleeping guest's network does not wake the host. */
static void idle_network_sleeps(void **state)
{
    struct peer *p = *state;
    assert_true(gateway_answers(p));
    /* Two ticks of a second are allowed after traffic; then a turn lasts until its limit. */
    uint64_t slept_ns = 0;
    for (unsigned turns = 0; turns < 8 && slept_ns < UINT64_C(1500000000); turns++) {
        uint64_t start_ns = vireo_monotonic_ns();
        peer_turn(p, 1600);
        slept_ns = vireo_monotonic_ns() - start_ns;
    }
    assert_true(slept_ns >= UINT64_C(1500000000));
}

struct sender {
    struct peer *p;
    unsigned count;
};

static void send_many(void *arg)
{
    struct sender *s = arg;
    uint8_t frame[PEER_FRAME_LEN];
    char payload[] = "from another one";
    for (unsigned i = 0; i < s->count; i++) {
        peer_send(s->p, frame, echo(s->p, frame, payload));
    }
}

struct counter {
    struct vr_mutex lock;
    struct vr_cond more;
    unsigned count;
};

static bool count_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct counter *c = opaque;
    (void)frame;
    (void)len;
    vr_mutex_lock(&c->lock);
    c->count++;
    vr_cond_broadcast(&c->more);
    vr_mutex_unlock(&c->lock);
    return true;
}

/* vCPUs send while the loop's own thread answers; closing in the middle is safe. */
static void threads_may_send(void **state)
{
    struct peer *p = *state;
    struct counter c = {.count = 0};
    vr_mutex_init(&c.lock);
    vr_cond_init(&c.more);
    const struct vr_net_user user = {.on_frame = count_frame, .opaque = &c};
    vr_net_attach(p->net, &user);
    assert_int_equal(vr_loop_start(p->loop, NULL), 0);
    struct sender s = {.p = p, .count = 200};
    struct vireo_thread *threads[3];
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(vireo_thread_create("sender", send_many, &s, &threads[i], NULL), 0);
    }
    vr_mutex_lock(&c.lock);
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(10000000000);
    while (c.count < 600) {
        assert_true(vr_cond_wait_until(&c.more, &c.lock, end_ns));
    }
    vr_mutex_unlock(&c.lock);
    for (unsigned i = 0; i < 3; i++) {
        vireo_thread_join(threads[i]);
    }
    vr_net_attach(p->net, NULL);
    send_many(&s);
}

int main(void)
{
#define NET_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        NET_TEST(dhcp_gives_the_first_address),
        NET_TEST(gateway_answers_echo),
        NET_TEST(tcp_reaches_this_host),
        NET_TEST(refused_connection_is_reset),
        NET_TEST(udp_goes_both_ways),
        NET_TEST(forwarded_port_is_reached),
        NET_TEST(forwarded_port_has_a_queue),
        NET_TEST(forwarded_udp_port_is_reached),
        NET_TEST(port_in_use_is_said),
        cmocka_unit_test(restrict_cuts_everything),
        cmocka_unit_test(another_net_can_be_had),
        NET_TEST(full_device_stops_the_host),
        NET_TEST(flood_is_bounded_and_counted),
        NET_TEST(damaged_frames_do_no_harm),
        NET_TEST(fragments_are_put_together),
        NET_TEST(fragment_storm_does_no_harm),
        cmocka_unit_test(half_open_flows_are_bounded),
        NET_TEST(strangers_are_bounded),
        NET_TEST(idle_network_sleeps),
        NET_TEST(threads_may_send),
    };
    return cmocka_run_group_tests_name("net_user", tests, NULL, NULL);
}
