#include "backend/net/user_frags.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <string.h>

enum {
    FRAGS_ETH = 14,
    FRAGS_IP = 20,
    FRAGS_HEAD = FRAGS_ETH + FRAGS_IP,
    FRAGS_PAYLOAD_MAX = UINT16_MAX - FRAGS_IP,
    FRAGS_BLOCK = 8, /* what offsets count in */
    FRAGS_BLOCKS = (FRAGS_PAYLOAD_MAX + FRAGS_BLOCK - 1) / FRAGS_BLOCK,
    FRAGS_MORE = 0x2000,
    FRAGS_OFFSET = 0x1FFF,
};
#define FRAGS_TIME_NS (UINT64_C(30) * 1000000000)

struct vr_net_datagram {
    bool used;
    uint8_t key[11]; /* source, destination, identification, protocol */
    uint64_t start_ns;
    size_t len;    /* of the payload; 0: the last fragment has not come */
    size_t reach;  /* the end of what has come */
    size_t blocks; /* that have come */
    uint8_t have[FRAGS_BLOCKS / 8 + 1];
    uint8_t frame[FRAGS_HEAD + FRAGS_PAYLOAD_MAX]; /* headers of the fragment at offset 0 */
};

void vr_net_frags_fini(struct vr_net_frags *frags)
{
    for (unsigned i = 0; i < VR_NET_FRAGS; i++) {
        free(frags->datagrams[i]);
    }
    *frags = (struct vr_net_frags){0};
}

static void frags_key(const uint8_t *ip, uint8_t *ret_key)
{
    memcpy(ret_key, ip + 12, 8);
    memcpy(ret_key + 8, ip + 4, 2);
    ret_key[10] = ip[9];
}

/* The datagram that the fragment belongs to, begun if need be; NULL: no memory. */
static struct vr_net_datagram *frags_find(struct vr_net_frags *frags, const uint8_t *ip,
                                          uint64_t now_ns)
{
    uint8_t key[11];
    unsigned best = 0;
    frags_key(ip, key);
    for (unsigned i = 0; i < VR_NET_FRAGS; i++) {
        struct vr_net_datagram *d = frags->datagrams[i], *b = frags->datagrams[best];
        if (d && d->used && now_ns - d->start_ns >= FRAGS_TIME_NS) {
            d->used = false;
        }
        if (d && d->used && memcmp(d->key, key, sizeof(key)) == 0) {
            return d;
        }
        /* A free one that has memory, one that has none yet, the oldest. */
        bool better = !b ? d && !d->used : b->used && (!d || !d->used || d->start_ns < b->start_ns);
        best = better ? i : best;
    }
    struct vr_net_datagram *d = frags->datagrams[best];
    if (!d) {
        d = frags->datagrams[best] = vr_zalloc(sizeof(*d));
    }
    if (d) {
        memset(d->have, 0, sizeof(d->have));
        memcpy(d->key, key, sizeof(key));
        d->used = true;
        d->start_ns = now_ns;
        d->len = d->reach = d->blocks = 0;
    }
    return d;
}

/* Note that blocks [first, first + count) have come; false: one of them had before. */
static bool frags_mark(struct vr_net_datagram *d, size_t first, size_t count)
{
    for (size_t i = first; i < first + count; i++) {
        if (d->have[i / 8] & 1u << i % 8) {
            return false;
        }
        d->have[i / 8] |= (uint8_t)(1u << i % 8);
    }
    d->blocks += count;
    return true;
}

static uint16_t frags_sum(const uint8_t *head)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < FRAGS_IP; i += 2) {
        sum += vr_load_be16(head + i);
    }
    sum = (sum & 0xFFFF) + (sum >> 16);
    return (uint16_t) ~((sum & 0xFFFF) + (sum >> 16));
}

const uint8_t *vr_net_frags_add(struct vr_net_frags *frags, const uint8_t *frame, uint64_t now_ns,
                                size_t *ret_len)
{
    const uint8_t *ip = frame + FRAGS_ETH;
    unsigned flags = vr_load_be16(ip + 6);
    size_t len = vr_load_be16(ip + 2) - (size_t)FRAGS_IP;
    size_t offset = (size_t)(flags & FRAGS_OFFSET) * FRAGS_BLOCK;
    bool more = flags & FRAGS_MORE;
    if (len == 0 || (more && len % FRAGS_BLOCK) || offset + len > FRAGS_PAYLOAD_MAX) {
        return NULL;
    }
    struct vr_net_datagram *d = frags_find(frags, ip, now_ns);
    if (!d) {
        return NULL;
    }
    size_t end = offset + len;
    bool lies = (d->len && end > d->len) || (!more && (d->len || end < d->reach));
    if (lies || !frags_mark(d, offset / FRAGS_BLOCK, (len + FRAGS_BLOCK - 1) / FRAGS_BLOCK)) {
        d->used = false;
        return NULL;
    }
    if (!more) {
        d->len = end;
    }
    d->reach = end > d->reach ? end : d->reach;
    if (offset == 0) {
        memcpy(d->frame, frame, FRAGS_HEAD);
    }
    memcpy(d->frame + FRAGS_HEAD + offset, ip + FRAGS_IP, len);
    if (d->len == 0 || d->blocks != (d->len + FRAGS_BLOCK - 1) / FRAGS_BLOCK) {
        return NULL;
    }
    d->used = false;
    uint8_t *whole = d->frame + FRAGS_ETH;
    vr_store_be16(whole + 2, (uint16_t)(FRAGS_IP + d->len));
    vr_store_be16(whole + 6, 0);
    vr_store_be16(whole + 10, 0);
    vr_store_be16(whole + 10, frags_sum(whole));
    *ret_len = FRAGS_HEAD + d->len;
    return d->frame;
}
