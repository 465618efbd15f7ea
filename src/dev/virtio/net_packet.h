/*
 * What a network card must know of the packets in Ethernet frames: where their headers are, the
 * Toeplitz hash of their addresses, and how a large one becomes many. Pure functions: no guest
 * memory, no state.
 *
 * Specifications: RFC 791, 8200 (IP), 793 (TCP), 768 (UDP); VIRTIO 1.3, section 5.1.6.4.3 (hash);
 * the segmentation types of 5.1.6.
 */
#ifndef VR_DEV_VIRTIO_NET_PACKET_H
#define VR_DEV_VIRTIO_NET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VR_PACKET_TCP = 6, VR_PACKET_UDP = 17, VR_PACKET_HEAD_MAX = 512 };

/* Where things are in a frame. */
struct vr_packet {
    uint8_t version;  /* of IP: 4, 6; 0: it is something else */
    uint8_t proto;    /* VR_PACKET_TCP, VR_PACKET_UDP; 0: neither, or a fragment */
    uint16_t l3, l4;  /* offsets of the IP header and of what is in it */
    uint16_t payload; /* of TCP's or UDP's payload */
    uint16_t next;    /* IPv6: offset of the byte that names what stands at l4 */
};

/* Looks at the first @len bytes of a frame, at most VR_PACKET_HEAD_MAX of them. */
void vr_packet_parse(const uint8_t *frame, size_t len, struct vr_packet *ret_packet);

/* Hash types (bits) and what is reported of a hash. */
enum {
    VR_HASH_IPV4 = 1 << 0,
    VR_HASH_TCPV4 = 1 << 1,
    VR_HASH_UDPV4 = 1 << 2,
    VR_HASH_IPV6 = 1 << 3,
    VR_HASH_TCPV6 = 1 << 4,
    VR_HASH_UDPV6 = 1 << 5,
    VR_HASH_TYPES = (1 << 6) - 1,
    VR_HASH_KEY = 40, /* bytes */
};
/* The hash of the packet by the most specific of the allowed @types; returns what was hashed
 * (VIRTIO_NET_HASH_REPORT_*), 0 if nothing. @key has VR_HASH_KEY bytes. */
uint16_t vr_packet_hash(const uint8_t *frame, const struct vr_packet *p, uint32_t types,
                        const uint8_t *key, uint32_t *ret_hash);
/* A quick hash that is the same for both directions of a flow. */
uint32_t vr_packet_flow(const uint8_t *frame, const struct vr_packet *p);

/* The sum, not complemented, of the pseudo header of @p with @len bytes from l4 on. */
uint16_t vr_packet_pseudo_sum(const uint8_t *frame, const struct vr_packet *p, size_t len);

enum vr_segment { VR_SEGMENT_TCP, VR_SEGMENT_UDP, VR_FRAGMENT_UDP };

/* Cut @frame of @len bytes into packets with at most @size bytes of payload each, complete with
 * checksums: TCP segments; UDP datagrams; IP fragments of one UDP datagram (@id names them in
 * IPv6). Calls @emit for each, with its headers and its payload. False: the frame is not one of
 * that kind, or @size is so small that nobody means it. */
bool vr_packet_segment(const uint8_t *frame, size_t len, const struct vr_packet *p,
                       enum vr_segment kind, size_t size, uint32_t id,
                       void (*emit)(void *opaque, const uint8_t *head, size_t head_len,
                                    const uint8_t *payload, size_t payload_len),
                       void *opaque);

#endif
