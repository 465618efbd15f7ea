/* Answers of rtnetlink about virtual functions, from any source. */
#include "fuzz.h"

#include "base/bits.h"
#include "platform/linux/rtnetlink.h"

#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>

static void keeps_error(int r, const struct vr_error *err)
{
    KEEPS(r == 0 ||
          (r < 0 && err->code == r && err->msg[0] && memchr(err->msg, 0, sizeof(err->msg))));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct vr_rtnl_vf vfs[4] = {0};
    struct vr_error err = {0};
    int r = vr_rtnl_read_vfs(data, len, vfs, VR_COUNT(vfs), &err);
    keeps_error(r, &err);
    for (size_t i = 0; r == 0 && i < VR_COUNT(vfs); i++) {
        char text[VIREO_VF_SETTING_SIZE];
        const struct vireo_vf_settings *s = &vfs[i].settings;
        KEEPS(vfs[i].there || !s->known);
        KEEPS(s->vlan < 4096 && s->qos < 8 && s->link <= VIREO_VF_LINK_OFF);
        for (unsigned bit = VIREO_VF_MAC; bit <= VIREO_VF_LINK; bit <<= 1) {
            KEEPS(strlen(vireo_vf_setting_format(s, bit, text)) < sizeof(text));
        }
    }
    keeps_error(vr_rtnl_read_ack(data, len, &err), &err);
    return 0;
}

/* An attribute at @off; how far it goes. */
static size_t seed_attr(uint8_t *buf, size_t off, unsigned type, const void *data, size_t len)
{
    vr_store_le16(buf + off, (uint16_t)(4 + len));
    vr_store_le16(buf + off + 2, (uint16_t)type);
    if (data) {
        memcpy(buf + off + 4, data, len);
    }
    return off + 4 + ((len + 3) & ~(size_t)3);
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    struct vireo_vf_settings s = {.vlan = 5, .max_mbps = 9};
    struct ifla_vf_mac mac = {.vf = n};
    uint64_t packets = 77;
    if (n > 7 || cap < 512) {
        return 0;
    }
    if (n >= 2) { /* the shape of a change is that of an answer */
        size_t len = vr_rtnl_set_vf(buf, 1, 0, 1u << (n - 2), &s);
        vr_store_le16(buf + 4, RTM_NEWLINK);
        return len;
    }
    memset(buf, 0, 512);
    size_t list = 32, info = list + 4;
    size_t off = seed_attr(buf, info + 4, IFLA_VF_MAC, &mac, sizeof(mac));
    size_t stats = off;
    off = seed_attr(buf, stats + 4, IFLA_VF_STATS_RX_PACKETS, &packets, 8);
    seed_attr(buf, stats, IFLA_VF_STATS, NULL, off - stats - 4);
    seed_attr(buf, info, IFLA_VF_INFO, NULL, off - info - 4);
    seed_attr(buf, list, IFLA_VFINFO_LIST, NULL, off - list - 4);
    struct nlmsghdr head = {
        .nlmsg_len = (uint32_t)off, .nlmsg_type = n ? NLMSG_ERROR : RTM_NEWLINK, .nlmsg_seq = 1};
    memcpy(buf, &head, sizeof(head));
    if (n) { /* an error with words */
        struct nlmsgerr error = {.error = -22, .msg = {.nlmsg_len = 16}};
        memcpy(buf + 16, &error, sizeof(error));
        off = seed_attr(buf, 36, NLMSGERR_ATTR_MSG, "words", 6);
        vr_store_le32(buf, (uint32_t)off);
        vr_store_le16(buf + 6, NLM_F_ACK_TLVS);
    }
    return off;
}
