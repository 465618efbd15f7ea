/*
 * Frames from a hostile guest to the user-mode network (THREATS 11): the filter, the reassembly of
 * fragments, and libslirp behind them. Input: frames, each behind its length (16 bits, big-endian).
 * Destinations are bent to two sockets of our own, and checksums made right, so that the fuzzer
 * gets deep and no packet leaves this host.
 */
#include "fuzz.h"

#include "backend/net/net.h"
#include "base/bits.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FRAME_MAX = 4096, HEAD = 34 };

struct host {
    int tcp, udp;
    uint16_t tcp_port, udp_port;
};

static int host_socket(int type, uint16_t *ret_port)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof(at);
    int fd = socket(AF_INET, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, len) < 0 ||
        getsockname(fd, (struct sockaddr *)&at, &len) < 0 ||
        (type == SOCK_STREAM && listen(fd, 8) < 0)) {
        abort();
    }
    *ret_port = ntohs(at.sin_port);
    return fd;
}

static uint32_t sum_of(uint32_t sum, const uint8_t *p, size_t len)
{
    for (size_t i = 0; i + 1 < len; i += 2) {
        sum += vr_load_be16(p + i);
    }
    return len & 1 ? sum + (uint32_t)p[len - 1] * 256 : sum;
}

static uint16_t fold(uint32_t sum)
{
    while (sum >> 16) {
        sum = (sum & 0xFFFF) + (sum >> 16);
    }
    return (uint16_t)~sum;
}

/* Send it to us, and make its checksums right where it has room for them. False: not to be sent. */
static bool bend(const struct host *h, uint8_t *frame, size_t len)
{
    if (len < HEAD) {
        return true;
    }
    unsigned type = vr_load_be16(frame + 12);
    if (type == 0x86DD) {
        return frame[20] != 6 && frame[20] != 17; /* would reach this host's own IPv6 services */
    }
    if (type != 0x0800) {
        return true;
    }
    uint8_t *p = frame + HEAD;
    size_t total = vr_load_be16(frame + 16),
           room = total > 20 && total - 20 <= len - HEAD ? total - 20 : len - HEAD;
    vr_store_be32(frame + 30, 0x0A000202);
    if (frame[23] == 6 && room >= 20) {
        vr_store_be16(p + 2, h->tcp_port);
        vr_store_be16(p + 16, 0);
        vr_store_be16(p + 16, fold(sum_of(sum_of(6 + (uint32_t)room, frame + 26, 8), p, room)));
    } else if (frame[23] == 17 && room >= 8) {
        if (vr_load_be16(p + 2) != 67 && vr_load_be16(p + 2) != 69) {
            vr_store_be16(p + 2, h->udp_port);
        }
        vr_store_be16(p + 6, 0); /* no checksum */
    } else if (frame[23] == 1 && room >= 8) {
        vr_store_be16(p + 2, 0);
        vr_store_be16(p + 2, fold(sum_of(0, p, room)));
    }
    vr_store_be16(frame + 24, 0);
    vr_store_be16(
        frame + 24,
        fold(sum_of(0, frame + 14,
                    (size_t)(frame[14] & 15) * 4 <= len - 14 ? (size_t)(frame[14] & 15) * 4 : 20)));
    return true;
}

static bool take_frame(void *opaque, const uint8_t *frame, size_t len)
{
    uint8_t *last = opaque;
    for (size_t i = 0; i < len; i++) {
        *last ^= frame[i]; /* every byte is there */
    }
    return *last & 1;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct host h;
    struct vr_loop *loop;
    struct vr_net *net;
    uint8_t last = 0;
    if (vr_loop_create(&loop, NULL) < 0 || vr_net_open_user(NULL, loop, &net, NULL) < 0) {
        abort();
    }
    h.tcp = host_socket(SOCK_STREAM, &h.tcp_port);
    h.udp = host_socket(SOCK_DGRAM, &h.udp_port);
    const struct vr_net_user user = {.on_frame = take_frame, .opaque = &last};
    vr_net_attach(net, &user);
    for (unsigned count = 0; len >= 2 && count < 64; count++) {
        size_t n = vr_load_be16(data) % FRAME_MAX;
        uint8_t frame[FRAME_MAX];
        data += 2;
        len -= 2;
        n = n < len ? n : len;
        memcpy(frame, data, n);
        data += n;
        len -= n;
        if (bend(&h, frame, n)) {
            struct iovec iov = {.iov_base = frame, .iov_len = n};
            vr_net_send(net, &iov, 1, n);
        }
        vr_loop_turn(loop, 0);
        int fd = accept4(h.tcp, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd >= 0) {
            (void)!send(fd, "welcome", 7, MSG_NOSIGNAL);
            close(fd);
        }
        vr_net_resume(net);
        vr_loop_turn(loop, 0);
    }
    vr_net_close(net);
    vr_loop_destroy(loop);
    close(h.tcp);
    close(h.udp);
    return 0;
}

/* ARP for the gateway, then one packet of the kind; twice, the second answering the first. */
static const uint8_t seed_arp[] = {
    0, 42, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x52, 0x54, 0, 1,  2, 3, 8, 6, 0, 1, 8,  0, 6, 4,
    0, 1,  0x52, 0x54, 0,    1,    2,    3,    10,   0,    2, 15, 0, 0, 0, 0, 0, 0, 10, 0, 2, 2,
};

static size_t seed_ipv4(uint8_t *to, unsigned proto, unsigned frag, const uint8_t *payload,
                        size_t len)
{
    vr_store_be16(to, (uint16_t)(HEAD + len));
    to += 2;
    memset(to, 0, HEAD);
    memcpy(to, "\x52\x55\x0a\x00\x02\x02\x52\x54\x00\x01\x02\x03\x08\x00\x45", 15);
    vr_store_be16(to + 16, (uint16_t)(20 + len));
    vr_store_be16(to + 18, 7);
    vr_store_be16(to + 20, (uint16_t)frag);
    to[22] = 64;
    to[23] = (uint8_t)proto;
    vr_store_be32(to + 26, 0x0A00020F);
    memcpy(to + HEAD, payload, len);
    return 2 + HEAD + len;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    uint8_t syn[24] = {4,      0, 0,    80, 0, 0, 0, 1, 0, 0, 0, 0,
                       6 << 4, 2, 0x40, 0,  0, 0, 0, 0, 2, 4, 5, 0xB4};
    uint8_t data[24] = {4,      0,    0,    80, 0, 0, 0, 2, 0,   0,   0,   1,
                        5 << 4, 0x18, 0x40, 0,  0, 0, 0, 0, 'G', 'E', 'T', 10};
    uint8_t udp[24] = {0x10, 0, 0, 9, 0, 24};
    uint8_t echo[24] = {8, 0, 0, 0, 1, 2, 0, 1};
    uint8_t dhcp[8 + 300] = {0, 68, 0, 67, 1, 52, 0, 0, 1, 1, 6, 0, 9, 9, 9, 9};
    memcpy(dhcp + 8 + 28, "\x52\x54\x00\x01\x02\x03", 6);
    memcpy(dhcp + 8 + 236, "\x63\x82\x53\x63\x35\x01\x01\x37\x03\x01\x03\x06\xff", 13);
    size_t len = sizeof(seed_arp);
    if (cap < 4096 || n > 6) {
        return 0;
    }
    memcpy(buf, seed_arp, len);
    switch (n) {
    case 0:
        break;
    case 1:
        len += seed_ipv4(buf + len, 6, 0, syn, sizeof(syn));
        len += seed_ipv4(buf + len, 6, 0, data, sizeof(data));
        break;
    case 2:
        len += seed_ipv4(buf + len, 17, 0, udp, sizeof(udp));
        break;
    case 3:
        len += seed_ipv4(buf + len, 1, 0, echo, sizeof(echo));
        break;
    case 4:
        len += seed_ipv4(buf + len, 17, 0, dhcp, sizeof(dhcp));
        break;
    case 5: /* three fragments */
        len += seed_ipv4(buf + len, 17, 0x2000, udp, 8);
        len += seed_ipv4(buf + len, 17, 0x2001, udp + 8, 8);
        len += seed_ipv4(buf + len, 17, 2, udp + 16, 8);
        break;
    default: { /* IPv6: router solicitation */
        static const uint8_t rs[] = {
            0,    62, 0x33, 0x33, 0, 0, 0,  2,   0x52, 0x54, 0,    1,    2, 3, 0x86, 0xDD,
            0x60, 0,  0,    0,    0, 8, 58, 255, 0xFE, 0x80, 0,    0,    0, 0, 0,    0,
            0,    0,  0,    0,    0, 0, 0,  9,   0xFF, 2,    0,    0,    0, 0, 0,    0,
            0,    0,  0,    0,    0, 0, 0,  2,   133,  0,    0x7B, 0x9E, 0, 0, 0,    0,
        };
        memcpy(buf + len, rs, sizeof(rs));
        len += sizeof(rs);
    }
    }
    return len;
}
