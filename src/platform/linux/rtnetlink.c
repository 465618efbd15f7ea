/*
 * rtnetlink(7) and netlink(7): messages of a header (struct nlmsghdr) and attributes (struct
 * nlattr), each in multiples of 4 bytes, numbers as the host has them. Virtual functions:
 * IFLA_VFINFO_LIST holds IFLA_VF_INFO, which hold IFLA_VF_* (linux/if_link.h).
 */
#include "platform/linux/rtnetlink.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { NL_HEADER = 16, NL_ATTR = 4, NL_LINK = 16 /* struct ifinfomsg */, NL_SEQ = 1 };

/* ---- Reading ---- */

/* Bytes of a message that are still to be read. */
struct nl_in {
    const uint8_t *at;
    size_t len;
    bool bad;
};

struct nl_attr {
    unsigned type;
    struct nl_in in;
};

static size_t nl_round(size_t len)
{
    return (len + 3) & ~(size_t)3;
}

/* The next attribute; false at the end, or when it is malformed (then in->bad). */
static bool nl_next(struct nl_in *in, struct nl_attr *ret_attr)
{
    uint16_t len, type;
    if (in->bad || in->len == 0) {
        return false;
    }
    if (in->len < NL_ATTR) {
        in->bad = true;
        return false;
    }
    memcpy(&len, in->at, sizeof(len));
    memcpy(&type, in->at + 2, sizeof(type));
    if (len < NL_ATTR || len > in->len) {
        in->bad = true;
        return false;
    }
    ret_attr->type = type & NLA_TYPE_MASK;
    ret_attr->in = (struct nl_in){.at = in->at + NL_ATTR, .len = len - (size_t)NL_ATTR};
    size_t step = nl_round(len) < in->len ? nl_round(len) : in->len;
    in->at += step;
    in->len -= step;
    return true;
}

/* Copy what the attribute holds into a struct of @size; false: it holds less. Longer is a newer
 * kernel's. */
static bool nl_copy(const struct nl_attr *attr, void *ret_to, size_t size)
{
    if (attr->in.len < size) {
        return false;
    }
    memcpy(ret_to, attr->in.at, size);
    return true;
}

static bool nl_stats(struct nl_in in, struct vireo_vf_stats *stats)
{
    struct nl_attr attr;
    uint64_t v;
    while (nl_next(&in, &attr)) {
        uint64_t *to = attr.type == IFLA_VF_STATS_RX_PACKETS   ? &stats->rx_packets
                       : attr.type == IFLA_VF_STATS_TX_PACKETS ? &stats->tx_packets
                       : attr.type == IFLA_VF_STATS_RX_BYTES   ? &stats->rx_bytes
                       : attr.type == IFLA_VF_STATS_TX_BYTES   ? &stats->tx_bytes
                       : attr.type == IFLA_VF_STATS_BROADCAST  ? &stats->broadcast
                       : attr.type == IFLA_VF_STATS_MULTICAST  ? &stats->multicast
                       : attr.type == IFLA_VF_STATS_RX_DROPPED ? &stats->rx_dropped
                       : attr.type == IFLA_VF_STATS_TX_DROPPED ? &stats->tx_dropped
                                                               : NULL;
        if (to && !nl_copy(&attr, &v, sizeof(v))) {
            return false;
        }
        if (to) {
            *to = v;
        }
    }
    return !in.bad;
}

/* -1 is how drivers say "I do not know" in these two. */
static void nl_flag(struct vireo_vf_settings *s, unsigned bit, uint32_t setting, bool *ret_flag)
{
    if (setting <= 1) {
        s->known |= bit;
        *ret_flag = setting;
    }
}

/* One attribute of a virtual function. */
static bool nl_vf_attr(const struct nl_attr *attr, struct vr_rtnl_vf *vf, uint32_t *ret_index)
{
    struct vireo_vf_settings *s = &vf->settings;
    struct ifla_vf_mac mac;
    struct ifla_vf_vlan vlan;
    struct ifla_vf_rate rate;
    struct ifla_vf_spoofchk two; /* of the same shape: trust, link state */
    switch (attr->type) {
    case IFLA_VF_MAC:
        if (!nl_copy(attr, &mac, sizeof(mac))) {
            return false;
        }
        *ret_index = mac.vf;
        s->known |= VIREO_VF_MAC;
        memcpy(s->mac, mac.mac, sizeof(s->mac));
        return true;
    case IFLA_VF_VLAN:
        if (!nl_copy(attr, &vlan, sizeof(vlan))) {
            return false;
        }
        if (vlan.vlan < 4096 && vlan.qos < 8) {
            s->known |= VIREO_VF_VLAN;
            s->vlan = vlan.vlan;
            s->qos = vlan.qos;
        }
        return true;
    case IFLA_VF_RATE:
        if (!nl_copy(attr, &rate, sizeof(rate))) {
            return false;
        }
        s->known |= VIREO_VF_RATE;
        s->min_mbps = rate.min_tx_rate;
        s->max_mbps = rate.max_tx_rate;
        return true;
    case IFLA_VF_SPOOFCHK:
    case IFLA_VF_TRUST:
    case IFLA_VF_LINK_STATE:
        if (!nl_copy(attr, &two, sizeof(two))) {
            return false;
        }
        if (attr->type == IFLA_VF_SPOOFCHK) {
            nl_flag(s, VIREO_VF_SPOOF_CHECK, two.setting, &s->spoof_check);
        } else if (attr->type == IFLA_VF_TRUST) {
            nl_flag(s, VIREO_VF_TRUST, two.setting, &s->trusted);
        } else if (two.setting <= IFLA_VF_LINK_STATE_DISABLE) {
            s->known |= VIREO_VF_LINK;
            s->link = (enum vireo_vf_link)two.setting;
        }
        return true;
    case IFLA_VF_STATS:
        vf->has_stats = true;
        return nl_stats(attr->in, &vf->stats);
    default:
        return true;
    }
}

static int nl_vf_list(struct nl_in in, struct vr_rtnl_vf *ret_vfs, unsigned cap)
{
    struct nl_attr info, attr;
    while (nl_next(&in, &info)) {
        struct vr_rtnl_vf vf = {.there = true};
        uint32_t index = UINT32_MAX;
        if (info.type != IFLA_VF_INFO) {
            continue;
        }
        while (nl_next(&info.in, &attr)) {
            if (!nl_vf_attr(&attr, &vf, &index)) {
                return -EPROTO;
            }
        }
        if (info.in.bad || index == UINT32_MAX || (index < cap && ret_vfs[index].there)) {
            return -EPROTO;
        }
        if (index < cap) {
            ret_vfs[index] = vf;
        }
    }
    return in.bad ? -EPROTO : 0;
}

/* The kernel's own words behind an error, when it has some (netlink extended acknowledgement). */
static int nl_error(const uint8_t *body, size_t len, unsigned flags, struct vr_error *err)
{
    struct nlmsgerr head;
    struct nl_attr attr;
    if (len < sizeof(head)) {
        return vr_err(err, -EPROTO, "rtnetlink: the kernel's answer is cut short");
    }
    memcpy(&head, body, sizeof(head));
    if (head.error == 0) {
        return 0;
    }
    if (head.error > 0 || head.error < -4095) {
        return vr_err(err, -EPROTO, "rtnetlink: an error that is none: %d", head.error);
    }
    /* They follow the question, which is sent back whole or, capped, as its head alone. */
    size_t skip =
        flags & NLM_F_CAPPED ? sizeof(head) : sizeof(head.error) + nl_round(head.msg.nlmsg_len);
    struct nl_in in = {0};
    if ((flags & NLM_F_ACK_TLVS) && skip >= sizeof(head) && skip <= len) {
        in = (struct nl_in){.at = body + skip, .len = len - skip};
    }
    while (nl_next(&in, &attr)) {
        if (attr.type == NLMSGERR_ATTR_MSG && attr.in.len) {
            return vr_err(err, head.error, "%s: %.*s", strerror(-head.error),
                          (int)(attr.in.len < 120 ? attr.in.len : 120), (const char *)attr.in.at);
        }
    }
    return vr_err(err, head.error, "%s", strerror(-head.error));
}

/* The one message of type @want in the answer: its body; or what the kernel refused. */
static int nl_message(const void *answer, size_t len, unsigned want, const uint8_t **ret_body,
                      size_t *ret_len, struct vr_error *err)
{
    struct nlmsghdr head;
    if (len < NL_HEADER) {
        return vr_err(err, -EPROTO, "rtnetlink: the kernel's answer is cut short");
    }
    memcpy(&head, answer, sizeof(head));
    if (head.nlmsg_len < NL_HEADER || head.nlmsg_len > len || head.nlmsg_seq != NL_SEQ) {
        return vr_err(err, -EPROTO, "rtnetlink: an answer to something else, or cut short");
    }
    const uint8_t *body = (const uint8_t *)answer + NL_HEADER;
    size_t body_len = head.nlmsg_len - (size_t)NL_HEADER;
    if (head.nlmsg_type == NLMSG_ERROR) {
        int r = nl_error(body, body_len, head.nlmsg_flags, err);
        if (r < 0 || want == NLMSG_ERROR) {
            return r;
        }
    }
    if (head.nlmsg_type != want) {
        return vr_err(err, -EPROTO, "rtnetlink: an answer of type %u, not %u", head.nlmsg_type,
                      want);
    }
    *ret_body = body;
    *ret_len = body_len;
    return 0;
}

int vr_rtnl_read_vfs(const void *answer, size_t len, struct vr_rtnl_vf *ret_vfs, unsigned cap,
                     struct vr_error *err)
{
    const uint8_t *body;
    size_t body_len;
    struct nl_attr attr;
    int r = nl_message(answer, len, RTM_NEWLINK, &body, &body_len, err);
    if (r < 0) {
        return r;
    }
    if (body_len < NL_LINK) {
        return vr_err(err, -EPROTO, "rtnetlink: a link without its head");
    }
    struct nl_in in = {.at = body + NL_LINK, .len = body_len - NL_LINK};
    while (r == 0 && nl_next(&in, &attr)) {
        if (attr.type == IFLA_VFINFO_LIST) {
            r = nl_vf_list(attr.in, ret_vfs, cap);
        }
    }
    return r < 0 || in.bad ? vr_err(err, -EPROTO, "rtnetlink: malformed attributes") : 0;
}

int vr_rtnl_read_ack(const void *answer, size_t len, struct vr_error *err)
{
    const uint8_t *body;
    size_t body_len;
    return nl_message(answer, len, NLMSG_ERROR, &body, &body_len, err);
}

/* ---- Writing ---- */

struct nl_out {
    uint8_t *buf; /* VR_RTNL_QUESTION bytes, zeroed; what is built here fits */
    size_t len;
};

static size_t nl_put(struct nl_out *out, unsigned type, const void *data, size_t len)
{
    size_t at = out->len;
    uint16_t head[2] = {(uint16_t)(NL_ATTR + len), (uint16_t)type};
    vr_assert(at + NL_ATTR + nl_round(len) <= VR_RTNL_QUESTION);
    memcpy(out->buf + at, head, sizeof(head));
    if (len) {
        memcpy(out->buf + at + NL_ATTR, data, len);
    }
    out->len += NL_ATTR + nl_round(len);
    return at;
}

/* The attribute at @at holds all that came behind it. */
static void nl_close(struct nl_out *out, size_t at)
{
    uint16_t len = (uint16_t)(out->len - at);
    memcpy(out->buf + at, &len, sizeof(len));
}

static struct nl_out nl_begin(uint8_t buf[VR_RTNL_QUESTION], uint32_t ifindex)
{
    struct ifinfomsg link = {.ifi_index = (int)ifindex};
    memset(buf, 0, VR_RTNL_QUESTION);
    memcpy(buf + NL_HEADER, &link, sizeof(link));
    return (struct nl_out){.buf = buf, .len = NL_HEADER + sizeof(link)};
}

static size_t nl_end(struct nl_out *out, unsigned type, unsigned flags)
{
    struct nlmsghdr head = {.nlmsg_len = (uint32_t)out->len,
                            .nlmsg_type = (uint16_t)type,
                            .nlmsg_flags = (uint16_t)(NLM_F_REQUEST | flags),
                            .nlmsg_seq = NL_SEQ};
    memcpy(out->buf, &head, sizeof(head));
    return out->len;
}

size_t vr_rtnl_ask_vfs(uint8_t buf[VR_RTNL_QUESTION], uint32_t ifindex, bool stats)
{
    struct nl_out out = nl_begin(buf, ifindex);
    uint32_t mask = RTEXT_FILTER_VF | (stats ? 0 : RTEXT_FILTER_SKIP_STATS);
    nl_put(&out, IFLA_EXT_MASK, &mask, sizeof(mask));
    return nl_end(&out, RTM_GETLINK, 0);
}

size_t vr_rtnl_set_vf(uint8_t buf[VR_RTNL_QUESTION], uint32_t ifindex, unsigned vf, unsigned bit,
                      const struct vireo_vf_settings *s)
{
    struct nl_out out = nl_begin(buf, ifindex);
    struct ifla_vf_mac mac = {.vf = vf};
    struct ifla_vf_vlan vlan = {.vf = vf, .vlan = s->vlan, .qos = s->qos};
    struct ifla_vf_rate rate = {.vf = vf, .min_tx_rate = s->min_mbps, .max_tx_rate = s->max_mbps};
    struct ifla_vf_spoofchk two = {.vf = vf};
    size_t list = nl_put(&out, IFLA_VFINFO_LIST | NLA_F_NESTED, NULL, 0);
    size_t info = nl_put(&out, IFLA_VF_INFO | NLA_F_NESTED, NULL, 0);
    switch (bit) {
    case VIREO_VF_MAC:
        memcpy(mac.mac, s->mac, sizeof(s->mac));
        nl_put(&out, IFLA_VF_MAC, &mac, sizeof(mac));
        break;
    case VIREO_VF_VLAN:
        nl_put(&out, IFLA_VF_VLAN, &vlan, sizeof(vlan));
        break;
    case VIREO_VF_RATE:
        nl_put(&out, IFLA_VF_RATE, &rate, sizeof(rate));
        break;
    case VIREO_VF_TRUST:
        two.setting = s->trusted;
        nl_put(&out, IFLA_VF_TRUST, &two, sizeof(two));
        break;
    case VIREO_VF_SPOOF_CHECK:
        two.setting = s->spoof_check;
        nl_put(&out, IFLA_VF_SPOOFCHK, &two, sizeof(two));
        break;
    default:
        vr_assert(bit == VIREO_VF_LINK);
        two.setting = s->link;
        nl_put(&out, IFLA_VF_LINK_STATE, &two, sizeof(two));
        break;
    }
    nl_close(&out, info);
    nl_close(&out, list);
    return nl_end(&out, RTM_SETLINK, NLM_F_ACK);
}

/* ---- Asking ---- */

/* The answer of the kernel itself (port 0), whole. */
static long nl_receive(int fd, void *ret_answer, size_t size)
{
    for (;;) {
        struct sockaddr_nl from = {0};
        struct iovec iov = {.iov_base = ret_answer, .iov_len = size};
        struct msghdr msg = {
            .msg_name = &from, .msg_namelen = sizeof(from), .msg_iov = &iov, .msg_iovlen = 1};
        ssize_t got = recvmsg(fd, &msg, MSG_TRUNC);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if ((size_t)got > size) {
            return -EMSGSIZE;
        }
        if (from.nl_pid == 0) {
            return got;
        }
    }
}

static long nl_ask_host(void *opaque, const void *question, size_t len, void *ret_answer,
                        size_t size)
{
    struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
    struct timeval patience = {.tv_sec = 10};
    int on = 1;
    (void)opaque;
    int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
    if (fd < 0) {
        return -errno;
    }
    /* Kernels before 4.12 have no words for their errors, which is no reason to fail. */
    (void)setsockopt(fd, SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
    long r = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) < 0 ? -errno : 0;
    if (r == 0 && sendto(fd, question, len, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0) {
        r = -errno;
    }
    r = r < 0 ? r : nl_receive(fd, ret_answer, size);
    close(fd);
    return r;
}

struct vr_rtnl vr_rtnl_host(void)
{
    return (struct vr_rtnl){.ask = nl_ask_host};
}

static int nl_exchange(const struct vr_rtnl *rtnl, const uint8_t *question, size_t len,
                       uint8_t **ret_answer, size_t *ret_len, struct vr_error *err)
{
    uint8_t *answer = vr_zalloc(VR_RTNL_ANSWER);
    if (!answer) {
        return vr_err(err, -ENOMEM, "no memory for an answer of rtnetlink");
    }
    long got = rtnl->ask(rtnl->opaque, question, len, answer, VR_RTNL_ANSWER);
    if (got < 0 || got > VR_RTNL_ANSWER) {
        int code = got < 0 ? (int)got : -EPROTO;
        free(answer);
        return vr_err(err, code, "rtnetlink: %s", strerror(-code));
    }
    *ret_answer = answer;
    *ret_len = (size_t)got;
    return 0;
}

static int nl_vfs(const struct vr_rtnl *rtnl, uint32_t ifindex, bool stats,
                  struct vr_rtnl_vf *ret_vfs, unsigned cap, struct vr_error *err)
{
    uint8_t question[VR_RTNL_QUESTION], *answer = NULL;
    size_t len = vr_rtnl_ask_vfs(question, ifindex, stats);
    if (cap) {
        memset(ret_vfs, 0, cap * sizeof(*ret_vfs));
    }
    int r = nl_exchange(rtnl, question, len, &answer, &len, err);
    if (r < 0) {
        return r;
    }
    r = vr_rtnl_read_vfs(answer, len, ret_vfs, cap, err);
    free(answer);
    return r;
}

int vr_rtnl_vfs(const struct vr_rtnl *rtnl, uint32_t ifindex, struct vr_rtnl_vf *ret_vfs,
                unsigned cap, struct vr_error *err)
{
    struct vr_error first;
    int r = nl_vfs(rtnl, ifindex, true, ret_vfs, cap, &first);
    /* How kernels answer when it does not fit: some say so, some cut the length to 16 bits. */
    if (r == -EMSGSIZE || r == -EPROTO) {
        return nl_vfs(rtnl, ifindex, false, ret_vfs, cap, err);
    }
    return r < 0 ? vr_err(err, r, "%s", first.msg) : 0;
}

int vr_rtnl_change(const struct vr_rtnl *rtnl, uint32_t ifindex, unsigned vf, unsigned bit,
                   const struct vireo_vf_settings *settings, struct vr_error *err)
{
    uint8_t question[VR_RTNL_QUESTION], *answer = NULL;
    size_t len = vr_rtnl_set_vf(question, ifindex, vf, bit, settings);
    int r = nl_exchange(rtnl, question, len, &answer, &len, err);
    if (r < 0) {
        return r;
    }
    r = vr_rtnl_read_ack(answer, len, err);
    free(answer);
    return r;
}
