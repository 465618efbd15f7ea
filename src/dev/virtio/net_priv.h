/* What the parts of the virtio network card share: net.c (the device), net_tx.c and
 * net_rx.c (frames), net_ctrl.c (the control queue),
 * net_coal.c (coalescing of interrupts). Specification: VIRTIO 1.3, section 5.1. */
#ifndef VR_DEV_VIRTIO_NET_PRIV_H
#define VR_DEV_VIRTIO_NET_PRIV_H

#include "backend/net/net.h"
#include "dev/virtio/net.h"
#include "dev/virtio/net_filter.h"
#include "dev/virtio/net_packet.h"
#include "dev/virtio/pci.h"
#include "dev/virtio/virtio.h"

enum {
    NET_PAIRS = 8,
    NET_QUEUES = 2 * NET_PAIRS + 1,
    NET_QUEUE_SIZE = 256,
    NET_RSS_TABLE = 128,
    NET_FLOWS = 256,
    NET_HEADER = 12,
    NET_HEADER_HASH = 20,
    NET_ETH_HEADER = 14,
    NET_TX_IOVS = VR_CHAIN_SEGS_MAX + 2, /* the checksum cuts one piece in three */
};

/* The header's fields. */
enum {
    H_FLAGS = 0,
    H_GSO_TYPE = 1,
    H_HDR_LEN = 2,
    H_GSO_SIZE = 4,
    H_CSUM_START = 6,
    H_CSUM_OFFSET = 8,
    H_BUFFERS = 10,
    H_HASH = 12,
    H_HASH_REPORT = 16,
};
enum { TCP_SUM = 16, UDP_SUM = 6 }; /* where the checksum is in the header */
enum { FLAG_NEEDS_CSUM = 1, FLAG_DATA_VALID = 2 };
enum { GSO_NONE = 0, GSO_TCPV4 = 1, GSO_UDP = 3, GSO_TCPV6 = 4, GSO_UDP_L4 = 5, GSO_ECN = 0x80 };

/* The feature bits, as masks. */
#define NET_F(bit)                (UINT64_C(1) << (bit))
#define NET_F_CSUM                NET_F(0)
#define NET_F_GUEST_CSUM          NET_F(1)
#define NET_F_CTRL_GUEST_OFFLOADS NET_F(2)
#define NET_F_MTU                 NET_F(3)
#define NET_F_MAC                 NET_F(5)
#define NET_F_GUEST_TSO4          NET_F(7)
#define NET_F_GUEST_TSO6          NET_F(8)
#define NET_F_GUEST_ECN           NET_F(9)
#define NET_F_HOST_TSO4           NET_F(11)
#define NET_F_HOST_TSO6           NET_F(12)
#define NET_F_HOST_ECN            NET_F(13)
#define NET_F_HOST_UFO            NET_F(14)
#define NET_F_MRG_RXBUF           NET_F(15)
#define NET_F_STATUS              NET_F(16)
#define NET_F_CTRL_VQ             NET_F(17)
#define NET_F_CTRL_RX             NET_F(18)
#define NET_F_CTRL_VLAN           NET_F(19)
#define NET_F_CTRL_RX_EXTRA       NET_F(20)
#define NET_F_GUEST_ANNOUNCE      NET_F(21)
#define NET_F_MQ                  NET_F(22)
#define NET_F_CTRL_MAC_ADDR       NET_F(23)
#define NET_F_VQ_NOTF_COAL        NET_F(52)
#define NET_F_NOTF_COAL           NET_F(53)
#define NET_F_HOST_USO            NET_F(56)
#define NET_F_HASH_REPORT         NET_F(57)
#define NET_F_RSS                 NET_F(60)
#define NET_F_SPEED_DUPLEX        NET_F(63)
/* What CTRL_GUEST_OFFLOADS turns on and off. */
#define NET_GUEST_OFFLOADS \
    (NET_F_GUEST_CSUM | NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN)

/* How received packets are hashed, and where they go. */
struct net_rss {
    bool steer; /* by the table; else only the hash is reported */
    uint32_t types;
    uint16_t mask, unclassified;
    uint16_t table[NET_RSS_TABLE]; /* pairs */
    uint8_t key[VR_HASH_KEY];
};
extern const struct vr_field net_rss_fields[];

/* Interrupts of one queue that wait for company. */
struct net_coal {
    uint64_t deadline_ns; /* when they are due */
    uint32_t max_packets, max_usecs, pending;
    bool wanted; /* by the driver, for one of the pending packets */
};
extern const struct vr_field net_coal_fields[];

/* Chains that one received frame fills. */
struct net_rx {
    struct vr_chain first; /* kept until the header is complete */
    struct vr_virtq_tag tag[NET_QUEUE_SIZE];
    uint32_t written[NET_QUEUE_SIZE];
};

struct net {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[NET_QUEUES];
    char mac[18]; /* config */
    uint16_t mtu;
    uint16_t queues;
    uint32_t speed;
    bool rss, hash;
    struct vr_net_filter filter[1]; /* state, from here on */
    uint64_t guest_offloads;
    uint16_t pairs; /* in use */
    bool announce;
    uint8_t flow[NET_FLOWS]; /* the pair on which the guest last sent of a flow */
    struct net_rss steering[1];
    struct net_coal coal[2 * NET_PAIRS];
    struct net_coal coal_new[2]; /* parameters of receive and send queues that are enabled anew */
    struct vr_net *net;          /* host, from here on */
    bool link_up;
    struct vr_timer coal_timer;
    struct iovec *tx_iov; /* TX_IOVS */
    uint8_t *scratch;     /* VR_NET_FRAME_MAX */
    struct net_rx *rx;
    struct vr_virtio_net_stats stats;
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define NET(d) ((struct net *)(d))

static inline unsigned net_control_queue(const struct net *s)
{
    /* 5.1.2: its number depends on what was negotiated. */
    return s->v.driver_features & (NET_F_MQ | NET_F_RSS) ? 2u * s->queues : 2;
}

static inline bool net_is_data_queue(const struct net *s, unsigned queue)
{
    return queue < 2u * s->queues && queue != net_control_queue(s);
}

/* Bytes of the header before each frame. */
static inline size_t net_header_len(const struct net *s)
{
    return vr_virtio_has(&s->v, NET_F_HASH_REPORT) ? NET_HEADER_HASH : NET_HEADER;
}

/* net_tx.c */
void net_tx_all(struct net *s, unsigned queue);

/* net_rx.c */
/* A frame from the backend. True: taken (or dropped). False: to be offered again after
 * vr_net_resume. */
bool net_rx(struct net *s, const uint8_t *frame, size_t len);

/* net_ctrl.c */
void net_control_all(struct net *s, unsigned queue);

/* net_coal.c */
/* Show what was pushed to @queue, @packets of them, and interrupt the driver when it is due. */
void net_coal_notify(struct net *s, unsigned queue, uint32_t packets);
/* Set the parameters of @queue: what is due now is not kept back. */
void net_coal_set(struct net *s, unsigned queue, uint32_t max_packets, uint32_t max_usecs);
void net_coal_stopped(struct net *s, unsigned queue);
void net_coal_init(struct net *s);
void net_coal_arm(struct net *s); /* the timer, as the state says */

#endif
