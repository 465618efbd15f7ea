/*
 * Virtio network card: up to eight pairs of queues, and a control queue (net_ctrl.c).
 *
 * Each frame follows a header {u8 flags, u8 gso_type, le16 hdr_len, gso_size, csum_start,
 * csum_offset, num_buffers}, and with HASH_REPORT {le32 hash, le16 what was hashed, le16 0}, cut
 * into descriptors as the driver likes. Sent frames go to the backend as iovecs into guest RAM.
 * With CSUM the driver may leave a TCP or UDP checksum to us: it is computed here and put in as an
 * extra iovec, the guest's memory stays as it is. With GUEST_CSUM we tell the driver which received
 * checksums are right (DATA_VALID), after looking.
 *
 * A large packet that the driver leaves to us to cut (TSO, UFO) goes to a backend that takes large
 * ones as it is, which is what makes it fast; for others it is cut in software (net_packet.c), as
 * are datagrams (USO) always. A large TCP packet that comes in is handed on as one to a driver that
 * takes it (GUEST_TSO4/6).
 *
 * A received frame waits in the backend while the driver has no buffers, and is dropped when it can
 * never fit. With MRG_RXBUF it may spread over several chains, which the driver sees all at once.
 * It goes to the pair on which the guest last sent of its flow, or by RSS to where the driver's
 * table says.
 *
 * Left out: GUEST_UFO, GUEST_USO (nothing here makes such packets), HASH_TUNNEL, UDP_TUNNEL,
 * RSS_CONTEXT, DEVICE_STATS, RSC_EXT, STANDBY, IPsec, flow filters.
 * Specification: VIRTIO 1.3, section 5.1.
 */
#include "base/alloc.h"
#include "base/bits.h"
#include "dev/virtio/class.h"
#include "dev/virtio/net_priv.h"

#include <errno.h>

enum {
    ID = 1,
};

/* struct virtio_net_config (5.1.4) */
enum {
    C_MAC = 0,
    C_STATUS = 6,
    C_PAIRS = 8,
    C_MTU = 10,
    C_SPEED = 12,
    C_DUPLEX = 16,
    C_RSS_KEY = 17,
    C_RSS_TABLE = 18,
    C_HASH_TYPES = 20,
    CONFIG_LEN = 24,
};
enum { STATUS_LINK_UP = 1, STATUS_ANNOUNCE = 2, DUPLEX_FULL = 1 };

static bool net_on_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct net *s = opaque;
    vr_dev_lock(&s->dev);
    bool took = net_rx(s, frame, len);
    vr_dev_unlock(&s->dev);
    return took;
}

static void net_set_link(struct net *s, bool up)
{
    if (s->link_up != up) {
        s->link_up = up;
        if (vr_virtio_has(&s->v, NET_F_STATUS)) {
            vr_virtio_config_changed(&s->v);
        }
    }
}

static void net_on_link(void *opaque, bool up)
{
    struct net *s = opaque;
    vr_dev_lock(&s->dev);
    net_set_link(s, up);
    vr_dev_unlock(&s->dev);
}

/* --- The device --- */

static void net_handle(struct vr_dev *d, unsigned queue)
{
    struct net *s = NET(d);
    if (queue == net_control_queue(s)) {
        if (vr_virtio_has(&s->v, NET_F_CTRL_VQ)) {
            net_control_all(s, queue);
        }
    } else if (queue >= 2u * s->queues) {
        return; /* the control queue's place under other features */
    } else if (queue % 2) {
        net_tx_all(s, queue);
    } else if (s->net) {
        vr_net_resume(s->net);
    }
}

static void net_queue_stopped(struct vr_dev *d, unsigned queue)
{
    if (net_is_data_queue(NET(d), queue)) {
        net_coal_stopped(NET(d), queue);
    }
}

static uint64_t net_features(struct vr_dev *d)
{
    const struct net *s = NET(d);
    return NET_F_CSUM | NET_F_GUEST_CSUM | NET_F_CTRL_GUEST_OFFLOADS | NET_F_MAC |
           NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6 | NET_F_GUEST_ECN | NET_F_HOST_TSO4 |
           NET_F_HOST_TSO6 | NET_F_HOST_ECN | NET_F_HOST_UFO | NET_F_HOST_USO | NET_F_MRG_RXBUF |
           NET_F_STATUS | NET_F_CTRL_VQ | NET_F_CTRL_RX | NET_F_CTRL_VLAN | NET_F_CTRL_RX_EXTRA |
           NET_F_GUEST_ANNOUNCE | NET_F_CTRL_MAC_ADDR | NET_F_NOTF_COAL | NET_F_VQ_NOTF_COAL |
           (s->mtu ? NET_F_MTU : 0) | (s->queues > 1 ? NET_F_MQ : 0) |
           (s->queues > 1 && s->rss ? NET_F_RSS : 0) | (s->hash ? NET_F_HASH_REPORT : 0) |
           (s->speed ? NET_F_SPEED_DUPLEX : 0);
}

/* 5.1.3.1: each bit of the one needs one of the other. */
static const struct {
    uint64_t features, need;
} net_needs[] = {
    {NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6, NET_F_GUEST_CSUM},
    {NET_F_GUEST_ECN, NET_F_GUEST_TSO4 | NET_F_GUEST_TSO6},
    {NET_F_HOST_TSO4 | NET_F_HOST_TSO6 | NET_F_HOST_UFO | NET_F_HOST_USO, NET_F_CSUM},
    {NET_F_HOST_ECN, NET_F_HOST_TSO4 | NET_F_HOST_TSO6},
    {NET_F_CTRL_RX | NET_F_CTRL_VLAN | NET_F_GUEST_ANNOUNCE | NET_F_MQ | NET_F_CTRL_MAC_ADDR |
         NET_F_NOTF_COAL | NET_F_VQ_NOTF_COAL | NET_F_RSS | NET_F_CTRL_GUEST_OFFLOADS,
     NET_F_CTRL_VQ},
    {NET_F_CTRL_RX_EXTRA, NET_F_CTRL_RX},
};

static bool net_negotiated(struct vr_dev *d, uint64_t features)
{
    struct net *s = NET(d);
    for (unsigned i = 0; i < VR_COUNT(net_needs); i++) {
        if ((features & net_needs[i].features) && !(features & net_needs[i].need)) {
            return false;
        }
    }
    s->guest_offloads = features & NET_GUEST_OFFLOADS;
    s->filter->vlans_matter = features & NET_F_CTRL_VLAN;
    return true;
}

static void net_config_read(struct vr_dev *d, uint8_t *config)
{
    const struct net *s = NET(d);
    memcpy(config + C_MAC, s->filter->mac, VR_NET_MAC);
    vr_store_le16(config + C_STATUS, (uint16_t)((s->net && s->link_up ? STATUS_LINK_UP : 0) |
                                                (s->announce ? STATUS_ANNOUNCE : 0)));
    vr_store_le16(config + C_PAIRS, s->queues);
    vr_store_le16(config + C_MTU, s->mtu);
    vr_store_le32(config + C_SPEED, s->speed);
    config[C_DUPLEX] = DUPLEX_FULL;
    if (s->rss || s->hash) {
        config[C_RSS_KEY] = VR_HASH_KEY;
        vr_store_le16(config + C_RSS_TABLE, NET_RSS_TABLE);
        vr_store_le32(config + C_HASH_TYPES, VR_HASH_TYPES);
    }
}

/* "52:54:00:12:34:56"; false: not an address of one card. */
static bool net_parse_mac(const char *text, uint8_t *mac)
{
    for (unsigned i = 0; i < VR_NET_MAC; i++) {
        unsigned val = 0;
        for (unsigned j = 0; j < 2; j++, text++) {
            char c = *text;
            unsigned digit = c >= '0' && c <= '9'   ? (unsigned)(c - '0')
                             : c >= 'a' && c <= 'f' ? (unsigned)(c - 'a') + 10
                             : c >= 'A' && c <= 'F' ? (unsigned)(c - 'A') + 10
                                                    : 16;
            if (digit == 16) {
                return false;
            }
            val = val * 16 + digit;
        }
        if (*text++ != (i == VR_NET_MAC - 1 ? '\0' : ':')) {
            return false;
        }
        mac[i] = (uint8_t)val;
    }
    static const uint8_t zero[VR_NET_MAC];
    return !(mac[0] & 1) && memcmp(mac, zero, VR_NET_MAC) != 0;
}

static void net_reset(struct vr_dev *d)
{
    /* init checked it */
    (void)net_parse_mac(NET(d)->mac, NET(d)->filter->mac);
    net_coal_arm(NET(d));
}

static int net_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct net *s = NET(d);
    int r = vr_virtio_loaded(d, err);
    if (r < 0) {
        return r;
    }
    bool fits = s->pairs <= s->queues && !(s->guest_offloads & ~s->v.driver_features);
    for (unsigned i = 0; i < NET_FLOWS; i++) {
        fits = fits && s->flow[i] < s->queues;
    }
    for (unsigned i = 0; i < NET_RSS_TABLE; i++) {
        fits = fits && s->steering->table[i] < s->queues;
    }
    if (!fits || s->steering->unclassified >= s->queues) {
        return vr_err(err, -ERANGE,
                      "the guest uses queues or offloads that this card does not have (%u pairs)",
                      s->queues);
    }
    net_coal_arm(s);
    return 0;
}

#define FOUR NET_QUEUE_SIZE, NET_QUEUE_SIZE, NET_QUEUE_SIZE, NET_QUEUE_SIZE
static const uint16_t net_queue_sizes[NET_QUEUES] = {FOUR, FOUR, FOUR, FOUR, NET_QUEUE_SIZE};

static const struct vr_virtio_class net_class = {
    .name = "net",
    .device_id = ID,
    .queue_count = NET_QUEUES,
    .queue_sizes = net_queue_sizes,
    .config_len = CONFIG_LEN,
    .features = net_features,
    .negotiated = net_negotiated,
    .config_read = net_config_read,
    .handle = net_handle,
    .queue_stopped = net_queue_stopped,
    .reset = net_reset,
};

static void net_free(struct net *s)
{
    free(s->tx_iov);
    free(s->scratch);
    free(s->rx);
    s->scratch = NULL;
    s->tx_iov = NULL;
    s->rx = NULL;
}

static int net_init(struct vr_dev *d, struct vr_error *err)
{
    struct net *s = NET(d);
    if (!net_parse_mac(s->mac, s->filter->mac)) {
        return vr_err(err, -EINVAL,
                      "mac '%s' is not the address of a card: write it like 52:54:00:12:34:56",
                      s->mac);
    }
    if (s->mtu && s->mtu < 68) { /* 5.1.4.1 */
        return vr_err(err, -ERANGE, "mtu %u: at least 68, or 0 for none", s->mtu);
    }
    s->tx_iov = vr_zalloc_array(NET_TX_IOVS, sizeof(*s->tx_iov));
    s->scratch = vr_zalloc(VR_NET_FRAME_MAX);
    s->rx = vr_zalloc(sizeof(*s->rx));
    int r = s->tx_iov && s->scratch && s->rx
                ? vr_virtio_init(d, &net_class, vr_virtio_transport_of(d), s->vq, err)
                : vr_err(err, -ENOMEM, "no memory");
    if (r < 0) {
        net_free(s);
        return r;
    }
    s->v.host.queue_count = 2u * s->queues + 1;
    net_coal_init(s);
    return 0;
}

/* On the host end's loop. */
static void net_unplug_here(void *arg)
{
    struct net *s = arg;
    vr_net_attach(s->net, NULL);
    vr_dev_lock(&s->dev);
    s->net = NULL;
    net_set_link(s, false);
    vr_dev_unlock(&s->dev);
}

static void net_unplug(struct net *s)
{
    if (s->net) {
        vr_virtio_on_loop(s->net->loop, net_unplug_here, s);
    }
}

static void net_fini(struct vr_dev *d)
{
    vr_virtio_halt(d);
    net_unplug(NET(d));
    vr_virtio_fini(d);
    vr_timer_fini(&NET(d)->coal_timer);
    net_free(NET(d));
}

struct net_plug {
    struct net *s;
    struct vr_net *net;
};

static void net_plug_in(void *arg)
{
    const struct net_plug *plug = arg;
    struct net *s = plug->s;
    const struct vr_net_user user = {.on_frame = net_on_frame, .on_link = net_on_link, .opaque = s};
    vr_dev_lock(&s->dev);
    s->net = plug->net;
    net_set_link(s, true);
    vr_dev_unlock(&s->dev);
    vr_net_attach(plug->net, &user);
}

void vr_virtio_net_attach(struct vr_dev *dev, struct vr_net *net)
{
    struct net_plug plug = {.s = NET(dev), .net = net};
    net_unplug(NET(dev));
    if (net) {
        vr_virtio_on_loop(net->loop, net_plug_in, &plug);
    }
}

void vr_virtio_net_stats(struct vr_dev *dev, struct vr_virtio_net_stats *ret_stats)
{
    vr_dev_lock(dev);
    *ret_stats = NET(dev)->stats;
    vr_dev_unlock(dev);
}

/* A reverse ARP request (RFC 903) from the card: switches learn by it where the card is now, before
 * its driver does anything. */
static void net_send_rarp(struct net *s)
{
    enum { LEN = 60, TYPE = 12, PAYLOAD = 14 };
    static const uint8_t head[] = {0x80, 0x35, 0, 1, 8, 0, VR_NET_MAC, 4, 0, 3};
    uint8_t frame[LEN] = {0};
    memset(frame, 0xFF, VR_NET_MAC);
    memcpy(frame + VR_NET_MAC, s->filter->mac, VR_NET_MAC);
    memcpy(frame + TYPE, head, sizeof(head));
    memcpy(frame + PAYLOAD + 8, s->filter->mac, VR_NET_MAC);
    memcpy(frame + PAYLOAD + 18, s->filter->mac, VR_NET_MAC);
    const struct iovec iov = {.iov_base = frame, .iov_len = LEN};
    vr_net_send(s->net, &iov, 1, LEN);
}

bool vr_virtio_net_announce(struct vr_dev *dev, bool moved)
{
    struct net *s = NET(dev);
    vr_dev_lock(dev);
    bool used = s->v.status & VR_VIRTIO_DRIVER_OK;
    bool can = used && vr_virtio_has(&s->v, NET_F_GUEST_ANNOUNCE | NET_F_STATUS);
    if (used && moved) {
        net_send_rarp(s);
    }
    if (can) {
        s->announce = true;
        vr_virtio_config_changed(&s->v);
    }
    vr_dev_unlock(dev);
    return can;
}

static void net_counts(struct vr_dev *d, struct vr_counts *to)
{
    struct vr_virtio_net_stats n;
    vr_virtio_net_stats(d, &n);
    const struct {
        const char *name, *help;
        uint64_t val;
    } rows[] = {
        {"tx_frames", "frames that the guest sent", n.tx_frames},
        {"tx_bytes", "bytes of them", n.tx_bytes},
        {"tx_bad", "frames that were refused", n.tx_bad},
        {"tx_summed", "checksums completed for the guest", n.tx_summed},
        {"tx_large", "large packets that the guest left to us to cut", n.tx_large},
        {"tx_segments", "packets into which they were cut here", n.tx_segments},
        {"rx_frames", "frames that the guest got", n.rx_frames},
        {"rx_bytes", "bytes of them", n.rx_bytes},
        {"rx_large", "large packets among them", n.rx_large},
        {"rx_filtered", "frames that the guest did not want", n.rx_filtered},
        {"rx_too_big", "frames that did not fit", n.rx_too_big},
        {"rx_not_ready", "frames that came while the guest was not ready", n.rx_not_ready},
        {"rx_waits", "times a frame waited for a buffer of the guest's", n.rx_waits},
    };
    for (unsigned i = 0; i < VR_COUNT(rows); i++) {
        to->put(to, -1, rows[i].name, true, rows[i].val, rows[i].help);
    }
    vr_dev_lock(d);
    bool up = NET(d)->net && NET(d)->link_up;
    vr_dev_unlock(d);
    to->put(to, -1, "link_up", false, up, "1 while the guest's end of the cable sees a link");
    vr_virtio_counts(d, to);
}

#define VR_SELF struct net
#define NET_ROWS                                                                                   \
    VR_VIRTIO_FIELDS(vq),                                                                          \
        VR_CONFIG_STR(mac, "the card's address", .def_str = "52:56:52:00:00:01"),                  \
        VR_CONFIG(mtu, "largest packet told to the guest, bytes; 0: not told"),                    \
        VR_CONFIG(queues, "pairs of queues", .def = 1, .min = 1, .max = NET_PAIRS),                \
        VR_CONFIG(speed, "of the link as the guest is told, Mbit/s; 0: not told", .def = 10000,    \
                  .max = INT32_MAX),                                                               \
        VR_CONFIG(rss, "offer to spread received packets over queues by a table of the driver's"), \
        VR_CONFIG(hash, "offer to report the hash of received packets"),                           \
        VR_STATE_STRUCTS(filter, vr_net_filter_fields, "which received frames the driver wants"),  \
        VR_STATE(guest_offloads, "what the driver takes of received packets, as feature bits",     \
                 .max = NET_GUEST_OFFLOADS),                                                       \
        VR_STATE(pairs, "pairs of queues in use", .def = 1, .min = 1, .max = NET_PAIRS),           \
        VR_STATE(announce, "the driver is asked to announce itself"),                              \
        VR_STATE_ARRAY(flow, "pairs by flow", .max = NET_PAIRS - 1),                               \
        VR_STATE_STRUCTS(steering, net_rss_fields, "receive-side scaling"),                        \
        VR_STATE_STRUCTS(coal, net_coal_fields, "coalescing of interrupts, by queue"),             \
        VR_STATE_STRUCTS(coal_new, net_coal_fields, "that of queues which are enabled anew"),      \
        VR_HOST(net, "the host end, attached by the board"), VR_HOST(link_up, "of the host end"),  \
        VR_HOST(coal_timer, "armed by what coal says"), VR_HOST(tx_iov, "scratch"),                \
        VR_HOST(scratch, "scratch"), VR_HOST(rx, "scratch"), VR_HOST(stats, "counters")

VR_VIRTIO_CLASSES(net, "virtio network card", 1, NET_ROWS, .init = net_init,
                  .reset = vr_virtio_reset, .loaded = net_loaded, .quiesce = vr_virtio_quiesce,
                  .fini = net_fini, .counts = net_counts);
