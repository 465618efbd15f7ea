/*
 * A guest's network stack, as small as tests of a network need it: it builds and reads Ethernet,
 * ARP, IPv4, UDP, TCP and ICMP by hand, one packet at a time, so that it can also build them wrong.
 */
#ifndef VR_TESTS_NET_PEER_H
#define VR_TESTS_NET_PEER_H

#include "backend/net/net.h"

enum { PEER_FRAMES = 512, PEER_FRAME_LEN = 2048 };

struct peer {
    struct vr_loop *loop;
    struct vr_net *net;
    bool threaded;        /* the loop turns itself */
    bool full;            /* refuse frames */
    uint32_t ip, gateway; /* host order */
    uint8_t mac[6], gateway_mac[6];
    struct {
        uint8_t b[PEER_FRAME_LEN];
        size_t len;
    } frames[PEER_FRAMES]; /* that came and were not taken yet */
    unsigned count;
    unsigned refused;
};

struct peer_tcp {
    uint16_t sport, dport;
    uint32_t ip;
    uint32_t seq, ack; /* what we send next, what we expect next */
};

/* @opts as for vr_net_open_user. */
void peer_init(struct peer *p, const char *opts);
void peer_fini(struct peer *p);
/* A turn of the loop, at most @timeout_ms long. */
void peer_turn(struct peer *p, int timeout_ms);
void peer_send(struct peer *p, const void *frame, size_t len);
/* Take the first frame that @match accepts; the others stay. False: none within five seconds. */
bool peer_expect(struct peer *p, bool (*match)(const uint8_t *frame, size_t len, void *opaque),
                 void *opaque, uint8_t *ret_frame, size_t *ret_len);
/* Let everything that was sent be looked at, and forget what came. */
void peer_flush(struct peer *p);

/* Builders: return the frame's length; checksums are right. */
size_t peer_arp(const struct peer *p, uint8_t *frame, uint32_t target);
size_t peer_ipv4(const struct peer *p, uint8_t *frame, unsigned proto, uint32_t to,
                 const void *payload, size_t len);
size_t peer_udp(const struct peer *p, uint8_t *frame, uint16_t sport, uint32_t to, uint16_t dport,
                const void *payload, size_t len);
size_t peer_tcp(const struct peer *p, uint8_t *frame, const struct peer_tcp *t, unsigned flags,
                const void *payload, size_t len);
void peer_fix_ipv4_sum(uint8_t *frame);

/* Ask the gateway for its link address, so that both know each other. */
void peer_meet(struct peer *p);
/* DHCP by the book; returns the address, or 0. */
uint32_t peer_dhcp(struct peer *p);
/* Three-way handshake as client. False: refused, or no answer. */
bool peer_connect(struct peer *p, struct peer_tcp *t);
/* The same as server: wait for a SYN to @port. */
bool peer_accept(struct peer *p, struct peer_tcp *t, uint16_t port);
void peer_tcp_send(struct peer *p, struct peer_tcp *t, const void *buf, size_t len);
/* Receive exactly @len bytes, acknowledging them. */
bool peer_tcp_recv(struct peer *p, struct peer_tcp *t, void *buf, size_t len);

#endif
