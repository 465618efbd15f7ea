/*
 * The network card's control queue: u8 class, u8 command, what the command needs; then, written by
 * us, the answer, a byte, and a result where there is one. A command that is malformed, unknown or
 * not negotiated is answered by 1 and changes nothing.
 *
 * Specification: VIRTIO 1.3, section 5.1.6.5.
 */
#include "base/bits.h"
#include "dev/virtio/net_priv.h"

enum { CTRL_OK = 0, CTRL_ERR = 1 };
enum {
    CLASS_RX = 0,
    CLASS_MAC = 1,
    CLASS_VLAN = 2,
    CLASS_ANNOUNCE = 3,
    CLASS_MQ = 4,
    CLASS_OFFLOADS = 5,
    CLASS_COAL = 6,
};
enum { MAC_TABLE_SET = 0, MAC_ADDR_SET = 1 };
enum { VLAN_ADD = 0, VLAN_DEL = 1 };
enum { ANNOUNCE_ACK = 0 };
enum { MQ_PAIRS_SET = 0, MQ_RSS_CONFIG = 1, MQ_HASH_CONFIG = 2 };
enum { OFFLOADS_SET = 0 };
enum { COAL_TX_SET = 0, COAL_RX_SET = 1, COAL_VQ_SET = 2, COAL_VQ_GET = 3 };

/* A command under way. */
struct ctrl {
    struct net *s;
    struct vr_virtq *q;
    const struct vr_chain *chain;
    uint64_t off;    /* of what was not read yet */
    uint32_t result; /* bytes written before the answer */
};

static bool ctrl_has(const struct ctrl *c, uint64_t feature)
{
    return vr_virtio_has(&c->s->v, feature);
}

/* Take @len bytes of the command; false: there are fewer. */
static bool ctrl_take(struct ctrl *c, void *buf, size_t len)
{
    bool got = vr_chain_read(c->q, c->chain, c->off, buf, len) == len;
    c->off += len;
    return got;
}

static bool ctrl_u16(struct ctrl *c, uint16_t *ret_val)
{
    uint8_t raw[2];
    bool got = ctrl_take(c, raw, sizeof(raw));
    *ret_val = got ? vr_load_le16(raw) : 0;
    return got;
}

static bool ctrl_u32(struct ctrl *c, uint32_t *ret_val)
{
    uint8_t raw[4];
    bool got = ctrl_take(c, raw, sizeof(raw));
    *ret_val = got ? vr_load_le32(raw) : 0;
    return got;
}

static bool ctrl_mac(struct ctrl *c, uint8_t command)
{
    struct vr_net_filter *f = c->s->filter;
    if (command == MAC_TABLE_SET && ctrl_has(c, NET_F_CTRL_RX)) {
        return vr_net_filter_mac_table(f, c->q, c->chain, c->off);
    }
    return command == MAC_ADDR_SET && ctrl_has(c, NET_F_CTRL_MAC_ADDR) &&
           vr_net_filter_mac_addr(f, c->q, c->chain, c->off);
}

static bool ctrl_announce(struct ctrl *c, uint8_t command)
{
    if (command != ANNOUNCE_ACK || !ctrl_has(c, NET_F_GUEST_ANNOUNCE)) {
        return false;
    }
    c->s->announce = false;
    return true;
}

static bool ctrl_offloads(struct ctrl *c, uint8_t command)
{
    uint32_t low, high;
    if (command != OFFLOADS_SET || !ctrl_has(c, NET_F_CTRL_GUEST_OFFLOADS) || !ctrl_u32(c, &low) ||
        !ctrl_u32(c, &high)) {
        return false;
    }
    uint64_t want = low | (uint64_t)high << 32;
    if (want & ~(c->s->v.driver_features & NET_GUEST_OFFLOADS)) {
        return false;
    }
    c->s->guest_offloads = want;
    return true;
}

/* --- Queues in use, and how packets are spread over them --- */

static bool ctrl_pairs(struct ctrl *c)
{
    uint16_t pairs;
    if (!ctrl_has(c, NET_F_MQ) || !ctrl_u16(c, &pairs) || pairs == 0 || pairs > c->s->queues) {
        return false;
    }
    c->s->pairs = pairs;
    c->s->steering->steer = false; /* automatic steering takes its place */
    memset(c->s->flow, 0, sizeof(c->s->flow));
    return true;
}

static bool ctrl_key(struct ctrl *c, struct net_rss *rss)
{
    uint8_t len;
    if (!ctrl_take(c, &len, 1) || len > VR_HASH_KEY) {
        return false;
    }
    memset(rss->key, 0, sizeof(rss->key));
    return ctrl_take(c, rss->key, len);
}

static bool ctrl_hash(struct ctrl *c)
{
    struct net_rss rss = *c->s->steering;
    if (!ctrl_has(c, NET_F_HASH_REPORT) || !ctrl_u32(c, &rss.types) || rss.types & ~VR_HASH_TYPES) {
        return false;
    }
    c->off += 8; /* reserved */
    rss.steer = false;
    if (!ctrl_key(c, &rss)) {
        return false;
    }
    *c->s->steering = rss;
    return true;
}

static bool ctrl_rss(struct ctrl *c)
{
    struct net_rss rss = *c->s->steering;
    uint16_t max_tx;
    if (!ctrl_has(c, NET_F_RSS) || !ctrl_u32(c, &rss.types) || rss.types & ~VR_HASH_TYPES ||
        !ctrl_u16(c, &rss.mask) || !ctrl_u16(c, &rss.unclassified) || rss.mask >= NET_RSS_TABLE ||
        !vr_is_pow2(rss.mask + 1u) || rss.unclassified >= c->s->queues) {
        return false;
    }
    memset(rss.table, 0, sizeof(rss.table));
    for (unsigned i = 0; i <= rss.mask; i++) {
        if (!ctrl_u16(c, &rss.table[i]) || rss.table[i] >= c->s->queues) {
            return false;
        }
    }
    if (!ctrl_u16(c, &max_tx) || max_tx == 0 || max_tx > c->s->queues || !ctrl_key(c, &rss)) {
        return false;
    }
    rss.steer = true;
    *c->s->steering = rss;
    c->s->pairs = max_tx;
    return true;
}

static bool ctrl_mq(struct ctrl *c, uint8_t command)
{
    return command == MQ_PAIRS_SET     ? ctrl_pairs(c)
           : command == MQ_RSS_CONFIG  ? ctrl_rss(c)
           : command == MQ_HASH_CONFIG ? ctrl_hash(c)
                                       : false;
}

/* --- Coalescing of interrupts --- */

/* For all queues of one direction: @rest 0 for receive, 1 for send queues. */
static bool ctrl_coal_all(struct ctrl *c, unsigned rest)
{
    struct net *s = c->s;
    uint32_t packets, usecs;
    if (!ctrl_has(c, NET_F_NOTF_COAL) || !ctrl_u32(c, &packets) || !ctrl_u32(c, &usecs)) {
        return false;
    }
    s->coal_new[rest] = (struct net_coal){.max_packets = packets, .max_usecs = usecs};
    for (unsigned i = rest; i < 2u * s->queues; i += 2) {
        net_coal_set(s, i, packets, usecs);
    }
    return true;
}

static bool ctrl_coal_one(struct ctrl *c, bool set)
{
    struct net *s = c->s;
    uint16_t queue, reserved;
    uint32_t packets, usecs;
    if (!ctrl_has(c, NET_F_VQ_NOTF_COAL) || !ctrl_u16(c, &queue) || !ctrl_u16(c, &reserved) ||
        !net_is_data_queue(s, queue) || !s->vq[queue].ready) {
        return false;
    }
    if (set) {
        if (!ctrl_u32(c, &packets) || !ctrl_u32(c, &usecs)) {
            return false;
        }
        net_coal_set(s, queue, packets, usecs);
        return true;
    }
    uint8_t raw[8];
    if (c->chain->write_bytes < sizeof(raw) + 1) {
        return false;
    }
    vr_store_le32(raw, s->coal[queue].max_packets);
    vr_store_le32(raw + 4, s->coal[queue].max_usecs);
    /* Behind the answer: ack, then command-specific-result (5.1.6.5). */
    vr_chain_write(c->q, c->chain, 1, raw, sizeof(raw));
    c->result = sizeof(raw);
    return true;
}

static bool ctrl_coal(struct ctrl *c, uint8_t command)
{
    return command == COAL_TX_SET   ? ctrl_coal_all(c, 1)
           : command == COAL_RX_SET ? ctrl_coal_all(c, 0)
           : command == COAL_VQ_SET ? ctrl_coal_one(c, true)
           : command == COAL_VQ_GET ? ctrl_coal_one(c, false)
                                    : false;
}

static bool ctrl_command(struct ctrl *c, uint8_t class, uint8_t command)
{
    struct net *s = c->s;
    switch (class) {
    case CLASS_RX:
        return ctrl_has(c, NET_F_CTRL_RX) &&
               vr_net_filter_rx(s->filter, c->q, c->chain, c->off, command,
                                ctrl_has(c, NET_F_CTRL_RX_EXTRA));
    case CLASS_MAC:
        return ctrl_mac(c, command);
    case CLASS_VLAN:
        return command <= VLAN_DEL && ctrl_has(c, NET_F_CTRL_VLAN) &&
               vr_net_filter_vlan(s->filter, c->q, c->chain, c->off, command == VLAN_ADD);
    case CLASS_ANNOUNCE:
        return ctrl_announce(c, command);
    case CLASS_MQ:
        return ctrl_mq(c, command);
    case CLASS_OFFLOADS:
        return ctrl_offloads(c, command);
    case CLASS_COAL:
        return ctrl_coal(c, command);
    default:
        return false;
    }
}

void net_control_all(struct net *s, unsigned queue)
{
    struct vr_virtq *q = &s->vq[queue];
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        struct ctrl c = {.s = s, .q = q, .chain = chain};
        uint8_t head[2];
        if (chain->write_bytes == 0 || !ctrl_take(&c, head, sizeof(head))) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "control command without %s",
                            chain->write_bytes ? "class" : "room for its answer");
            return;
        }
        uint8_t ack = ctrl_command(&c, head[0], head[1]) ? CTRL_OK : CTRL_ERR;
        if (ack == CTRL_ERR) {
            vr_guest_error(&s->dev, "control command %u.%u refused", head[0], head[1]);
        }
        uint32_t wrote = (uint32_t)vr_chain_write(q, chain, 0, &ack, 1);
        vr_virtq_push(q, chain->tag, wrote + (ack == CTRL_OK ? c.result : 0));
    }
    vr_virtq_notify(q);
}

#define VR_SELF struct net_rss
const struct vr_field net_rss_fields[] = {
    VR_STATE(steer, "the table decides where packets go"),
    VR_STATE(types, "what is hashed", .max = VR_HASH_TYPES),
    VR_STATE(mask, "of the hash, for the table", .max = NET_RSS_TABLE - 1),
    VR_STATE(unclassified, "pair for what is not hashed", .max = NET_PAIRS - 1),
    VR_STATE_ARRAY(table, "pairs", .max = NET_PAIRS - 1),
    VR_STATE_ARRAY(key, "key of the hash"),
    VR_FIELD_END,
};
