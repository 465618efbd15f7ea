/*
 * Virtio network card: one pair of queues and a control queue.
 *
 * Each frame follows a 12-byte header {u8 flags, u8 gso_type, le16 hdr_len, gso_size, csum_start,
 * csum_offset, num_buffers}, cut into descriptors as the driver likes. Sent frames go to the
 * backend as iovecs into guest RAM. With CSUM the driver may leave a TCP or UDP checksum to us: it
 * is computed here and put in as an extra iovec, the guest's memory stays as it is. With GUEST_CSUM
 * we tell the driver which received checksums are right (DATA_VALID), after looking.
 *
 * A received frame waits in the backend while the driver has no buffers, and is dropped when it can
 * never fit. With MRG_RXBUF it may spread over several chains, which the driver sees all at once.
 *
 * Left out: segmentation offload, VLAN filters, more queue pairs, announcements.
 * Specification: VIRTIO 1.2, section 5.1.
 */
#include "dev/virtio/net.h"

#include "backend/net/net.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "dev/virtio/class.h"
#include "dev/virtio/net_csum.h"
#include "dev/virtio/net_filter.h"

#include <errno.h>

enum {
    QUEUE_SIZE = 256,
    CONTROL_SIZE = 64,
    HEADER = 12,
    ETH_HEADER = 14,
    VLAN_TAG = 4,
    TX_IOVS = VR_CHAIN_SEGS_MAX + 2, /* the checksum cuts one piece in three */
    ID = 1,
};

enum { Q_RX = 0, Q_TX = 1, Q_CONTROL = 2, QUEUES = 3 };

enum {
    F_CSUM = 1 << 0,
    F_GUEST_CSUM = 1 << 1,
    F_MTU = 1 << 3,
    F_MAC = 1 << 5,
    F_MRG_RXBUF = 1 << 15,
    F_STATUS = 1 << 16,
    F_CTRL_VQ = 1 << 17,
    F_CTRL_RX = 1 << 18,
    F_CTRL_MAC_ADDR = 1 << 23,
};

enum { C_MAC = 0, C_STATUS = 6, C_PAIRS = 8, C_MTU = 10, CONFIG_LEN = 12 };
enum { STATUS_LINK_UP = 1 };

/* The header's fields that we use. */
enum { H_FLAGS = 0, H_GSO_TYPE = 1, H_CSUM_START = 6, H_CSUM_OFFSET = 8, H_BUFFERS = 10 };
enum { FLAG_NEEDS_CSUM = 1, FLAG_DATA_VALID = 2, GSO_NONE = 0 };

enum { CTRL_RX = 0, CTRL_MAC = 1, MAC_TABLE_SET = 0, MAC_ADDR_SET = 1, CTRL_OK = 0, CTRL_ERR = 1 };

/* Chains that one received frame fills. */
struct net_rx {
    struct vr_chain first; /* kept until the header is complete */
    struct vr_virtq_tag tag[QUEUE_SIZE];
    uint32_t written[QUEUE_SIZE];
};

struct net {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[QUEUES];
    char mac[18]; /* config */
    uint16_t mtu;
    struct vr_net_filter filter[1]; /* state */
    struct vr_net *net;             /* host, from here on */
    bool link_up;
    struct iovec *tx_iov; /* TX_IOVS */
    struct net_rx *rx;
    struct vr_virtio_net_stats stats;
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define NET(d) ((struct net *)(d))

/* Complete the checksum that the driver left open (5.1.6.2.2) in the list at s->tx_iov; false: it
 * lies outside the frame. @sum is 2 bytes that live until the frame is sent. */
static bool net_tx_sum(struct net *s, unsigned *count, size_t len, const uint8_t *header,
                       uint8_t *sum)
{
    uint64_t start = vr_load_le16(header + H_CSUM_START);
    uint64_t field = start + vr_load_le16(header + H_CSUM_OFFSET);
    if (!vr_in_range(field, 2, len)) {
        return false;
    }
    /* The field holds the pseudo header's sum, and so counts as part of the data. */
    uint16_t val = (uint16_t)~vr_net_sum(s->tx_iov, *count, start);
    vr_store_be16(sum, val ? val : 0xffff); /* 0 means "none" in UDP; both are zero in the sum */
    unsigned at = 0;
    uint64_t off = field;
    while (off >= s->tx_iov[at].iov_len) {
        off -= s->tx_iov[at++].iov_len;
    }
    /* Behind the checksum: the rest of its last piece, then the pieces after that. */
    unsigned last = at;
    uint64_t end = off + 2;
    while (last < *count && end >= s->tx_iov[last].iov_len) {
        end -= s->tx_iov[last++].iov_len;
    }
    struct iovec rest[1];
    unsigned tail = last < *count ? *count - last : 0, before = at + (off > 0);
    if (tail) {
        rest[0].iov_base = (uint8_t *)s->tx_iov[last].iov_base + end;
        rest[0].iov_len = s->tx_iov[last].iov_len - (size_t)end;
        memmove(&s->tx_iov[before + 1], &s->tx_iov[last], tail * sizeof(s->tx_iov[0]));
        s->tx_iov[before + 1] = rest[0];
    }
    if (off > 0) {
        s->tx_iov[at].iov_len = (size_t)off;
    }
    s->tx_iov[before] = (struct iovec){.iov_base = sum, .iov_len = 2};
    *count = before + 1 + tail;
    s->stats.tx_summed++;
    return true;
}

/* Send one frame; false: it is not one that may be sent. */
static bool net_tx(struct net *s, const struct vr_chain *chain)
{
    uint8_t header[HEADER], sum[2];
    uint64_t len = chain->read_bytes - HEADER;
    vr_chain_read(&s->vq[Q_TX], chain, 0, header, sizeof(header));
    if (header[H_GSO_TYPE] != GSO_NONE || len < ETH_HEADER || len > VR_NET_FRAME_MAX) {
        return false;
    }
    unsigned count = vr_iov_slice(chain->iov, chain->read_count, HEADER, len, s->tx_iov, NULL);
    if (header[H_FLAGS] & FLAG_NEEDS_CSUM) {
        if (!vr_virtio_has(&s->v, F_CSUM) || !net_tx_sum(s, &count, (size_t)len, header, sum)) {
            return false;
        }
    }
    if (s->net) {
        vr_net_send(s->net, s->tx_iov, count, (size_t)len);
    }
    s->stats.tx_frames++;
    s->stats.tx_bytes += len;
    return true;
}

static void net_tx_all(struct net *s)
{
    struct vr_virtq *q = &s->vq[Q_TX];
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        if (chain->read_bytes < HEADER) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "frame without header");
            return;
        }
        if (!net_tx(s, chain)) {
            s->stats.tx_bad++;
            vr_guest_error(&s->dev, "frame of %u bytes refused",
                           (unsigned)(chain->read_bytes - HEADER));
        }
        vr_virtq_push(q, chain->tag, 0);
    }
    vr_virtq_notify(q);
}

/* Fill chains with the frame behind room for the header. Returns how many, all popped; 0: there are
 * not enough now; -1: it can never fit. */
static int net_rx_fill(struct net *s, const uint8_t *frame, size_t len)
{
    struct vr_virtq *q = &s->vq[Q_RX];
    struct net_rx *rx = s->rx;
    bool merge = vr_virtio_has(&s->v, F_MRG_RXBUF);
    size_t done = 0;
    unsigned count = 0;
    for (; done < len || count == 0; count++) {
        struct vr_chain *chain = count ? s->v.host.chain : &rx->first;
        bool whole_ring = count == q->size;
        if (whole_ring || (count && !merge) || !vr_virtq_pop(q, chain)) {
            for (unsigned i = count; i-- > 0;) {
                vr_virtq_unpop(q, rx->tag[i]);
            }
            return whole_ring || (count && !merge) ? -1 : 0;
        }
        uint64_t off = count ? 0 : HEADER;
        if (chain->write_bytes <= off) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "receive buffer of %u bytes", (unsigned)chain->write_bytes);
            return 0;
        }
        size_t n = vr_chain_write(q, chain, off, frame + done, len - done);
        rx->tag[count] = chain->tag;
        rx->written[count] = (uint32_t)(off + n);
        done += n;
    }
    return (int)count;
}

/* True: taken (or dropped). False: offer it again after vr_net_resume. */
static bool net_rx(struct net *s, const uint8_t *frame, size_t len)
{
    struct vr_virtq *q = &s->vq[Q_RX];
    if (s->v.host.paused) {
        return false;
    }
    if (!vr_virtio_running(&s->v) || !q->ready || len < ETH_HEADER) {
        s->stats.rx_not_ready++;
        return true;
    }
    if (!vr_net_filter_pass(s->filter, frame)) {
        s->stats.rx_filtered++;
        return true;
    }
    if (vr_virtio_has(&s->v, F_MTU) && len > (size_t)s->mtu + ETH_HEADER + VLAN_TAG) {
        s->stats.rx_too_big++; /* 5.1.4.1 */
        return true;
    }
    int count = net_rx_fill(s, frame, len);
    if (count <= 0) {
        s->stats.rx_waits += count == 0;
        s->stats.rx_too_big += count < 0;
        return count < 0 || !vr_virtio_running(&s->v);
    }
    uint8_t header[HEADER] = {0};
    if (vr_virtio_has(&s->v, F_GUEST_CSUM) && vr_net_csum_valid(frame, len)) {
        header[H_FLAGS] = FLAG_DATA_VALID;
    }
    vr_store_le16(header + H_BUFFERS, (uint16_t)count);
    vr_chain_write(q, &s->rx->first, 0, header, sizeof(header));
    for (int i = 0; i < count; i++) {
        vr_virtq_push(q, s->rx->tag[i], s->rx->written[i]);
    }
    vr_virtq_notify(q);
    s->stats.rx_frames++;
    s->stats.rx_bytes += len;
    return true;
}

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
        if (vr_virtio_has(&s->v, F_STATUS)) {
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

static bool net_command(struct net *s, const struct vr_chain *chain, uint8_t class, uint8_t command)
{
    struct vr_virtq *q = &s->vq[Q_CONTROL];
    if (class == CTRL_RX && vr_virtio_has(&s->v, F_CTRL_RX)) {
        return vr_net_filter_rx(s->filter, q, chain, 2, command);
    }
    if (class == CTRL_MAC && command == MAC_TABLE_SET && vr_virtio_has(&s->v, F_CTRL_RX)) {
        return vr_net_filter_mac_table(s->filter, q, chain, 2);
    }
    if (class == CTRL_MAC && command == MAC_ADDR_SET && vr_virtio_has(&s->v, F_CTRL_MAC_ADDR)) {
        return vr_net_filter_mac_addr(s->filter, q, chain, 2);
    }
    return false;
}

static void net_control_all(struct net *s)
{
    struct vr_virtq *q = &s->vq[Q_CONTROL];
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        uint8_t head[2];
        if (chain->write_bytes == 0 ||
            vr_chain_read(q, chain, 0, head, sizeof(head)) != sizeof(head)) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "control command without %s",
                            chain->write_bytes ? "class" : "room for its answer");
            return;
        }
        uint8_t ack = net_command(s, chain, head[0], head[1]) ? CTRL_OK : CTRL_ERR;
        if (ack == CTRL_ERR) {
            vr_guest_error(&s->dev, "control command %u.%u refused", head[0], head[1]);
        }
        vr_virtq_push(q, chain->tag, (uint32_t)vr_chain_write(q, chain, 0, &ack, 1));
    }
    vr_virtq_notify(q);
}

static void net_handle(struct vr_dev *d, unsigned queue)
{
    struct net *s = NET(d);
    if (queue == Q_TX) {
        net_tx_all(s);
    } else if (queue == Q_CONTROL && vr_virtio_has(&s->v, F_CTRL_VQ)) {
        net_control_all(s);
    } else if (queue == Q_RX && s->net) {
        vr_net_resume(s->net);
    }
}

static uint64_t net_features(struct vr_dev *d)
{
    return F_CSUM | F_GUEST_CSUM | F_MAC | F_MRG_RXBUF | F_STATUS | F_CTRL_VQ | F_CTRL_RX |
           F_CTRL_MAC_ADDR | (NET(d)->mtu ? F_MTU : 0);
}

/* 5.1.3.1: the control queue's commands need the control queue. */
static bool net_negotiated(struct vr_dev *d, uint64_t features)
{
    (void)d;
    return (features & F_CTRL_VQ) || !(features & (F_CTRL_RX | F_CTRL_MAC_ADDR));
}

static void net_config_read(struct vr_dev *d, uint8_t *config)
{
    const struct net *s = NET(d);
    memcpy(config + C_MAC, s->filter->mac, VR_NET_MAC);
    vr_store_le16(config + C_STATUS, s->net && s->link_up ? STATUS_LINK_UP : 0);
    vr_store_le16(config + C_PAIRS, 1);
    vr_store_le16(config + C_MTU, s->mtu);
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
}

static const uint16_t net_queue_sizes[QUEUES] = {QUEUE_SIZE, QUEUE_SIZE, CONTROL_SIZE};

static const struct vr_virtio_class net_class = {
    .name = "net",
    .device_id = ID,
    .queue_count = QUEUES,
    .queue_sizes = net_queue_sizes,
    .config_len = CONFIG_LEN,
    .features = net_features,
    .negotiated = net_negotiated,
    .config_read = net_config_read,
    .handle = net_handle,
    .reset = net_reset,
};

static void net_free(struct net *s)
{
    free(s->tx_iov);
    free(s->rx);
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
    s->tx_iov = vr_zalloc_array(TX_IOVS, sizeof(*s->tx_iov));
    s->rx = vr_zalloc(sizeof(*s->rx));
    int r = s->tx_iov && s->rx
                ? vr_virtio_init(d, &net_class, vr_virtio_transport_of(d), s->vq, err)
                : vr_err(err, -ENOMEM, "no memory");
    if (r < 0) {
        net_free(s);
    }
    return r;
}

/* On the loop's thread. */
static void net_unplug(void *arg)
{
    struct net *s = arg;
    if (s->net) {
        vr_net_attach(s->net, NULL);
    }
    vr_dev_lock(&s->dev);
    s->net = NULL;
    net_set_link(s, false);
    vr_dev_unlock(&s->dev);
}

static void net_fini(struct vr_dev *d)
{
    vr_virtio_halt(d);
    vr_virtio_on_loop(d, net_unplug, d);
    vr_virtio_fini(d);
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
    net_unplug(s);
    if (plug->net) {
        vr_dev_lock(&s->dev);
        s->net = plug->net;
        net_set_link(s, true);
        vr_dev_unlock(&s->dev);
        vr_net_attach(plug->net, &user);
    }
}

void vr_virtio_net_attach(struct vr_dev *dev, struct vr_net *net)
{
    struct net_plug plug = {.s = NET(dev), .net = net};
    vr_virtio_on_loop(dev, net_plug_in, &plug);
}

void vr_virtio_net_stats(struct vr_dev *dev, struct vr_virtio_net_stats *ret_stats)
{
    vr_dev_lock(dev);
    *ret_stats = NET(dev)->stats;
    vr_dev_unlock(dev);
}

#define VR_SELF struct net
#define NET_ROWS                                                                                  \
    VR_VIRTIO_FIELDS(vq),                                                                         \
        VR_CONFIG_STR(mac, "the card's address", .def_str = "52:56:52:00:00:01"),                 \
        VR_CONFIG(mtu, "largest packet told to the guest, bytes; 0: not told"),                   \
        VR_STATE_STRUCTS(filter, vr_net_filter_fields, "which received frames the driver wants"), \
        VR_HOST(net, "the host end, attached by the board"), VR_HOST(link_up, "of the host end"), \
        VR_HOST(tx_iov, "scratch"), VR_HOST(rx, "scratch"), VR_HOST(stats, "counters")

VR_VIRTIO_CLASSES(net, "virtio network card", 1, NET_ROWS, .init = net_init,
                  .reset = vr_virtio_reset, .loaded = vr_virtio_loaded,
                  .quiesce = vr_virtio_quiesce, .fini = net_fini, .counts = vr_virtio_counts);
