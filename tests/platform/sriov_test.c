/* Virtual functions one by one: settings as text, rtnetlink's messages, and a made-up kernel that
 * answers them. */
#include "test.h"

#include "base/bits.h"
#include "platform/linux/rtnetlink.h"
#include "platform/pci.h"
#include "tree.h"

#include <errno.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEVICES "sys/bus/pci/devices/"

enum { VFS = 2, IFINDEX = 7 };

/* ---- A kernel ---- */

struct kernel {
    struct tree tree;
    struct vireo_vf_settings vfs[VFS];
    unsigned asked, changed;
    unsigned refuse_at; /* the change, from 1, that is refused with @refuse; 0: none */
    int refuse;
    bool deaf;  /* says yes and does nothing */
    bool words; /* errors have text */
    bool no_vfs;
    bool too_long; /* with counters */
};

struct out {
    uint8_t *buf;
    size_t len;
};

static size_t put(struct out *o, unsigned type, const void *data, size_t len)
{
    size_t at = o->len;
    struct nlattr head = {.nla_len = (uint16_t)(4 + len), .nla_type = (uint16_t)type};
    memcpy(o->buf + at, &head, 4);
    if (len) {
        memcpy(o->buf + at + 4, data, len);
    }
    o->len += 4 + ((len + 3) & ~(size_t)3);
    return at;
}

static void close_at(struct out *o, size_t at)
{
    vr_store_le16(o->buf + at, (uint16_t)(o->len - at));
}

static size_t answer_vfs(const struct vireo_vf_settings *vfs, unsigned count, uint8_t *buf)
{
    struct out o = {.buf = buf, .len = 32};
    put(&o, IFLA_IFNAME, "eth0", 5);
    size_t list = put(&o, IFLA_VFINFO_LIST, NULL, 0);
    for (unsigned i = 0; i < count; i++) {
        const struct vireo_vf_settings *s = &vfs[i];
        struct ifla_vf_mac mac = {.vf = i};
        struct ifla_vf_vlan vlan = {.vf = i, .vlan = s->vlan, .qos = s->qos};
        struct ifla_vf_rate rate = {.vf = i, s->min_mbps, s->max_mbps};
        struct ifla_vf_spoofchk spoof = {.vf = i, s->spoof_check},
                                trust = {.vf = i, i ? UINT32_MAX : s->trusted},
                                state = {.vf = i, s->link};
        uint64_t packets = 1000 + i;
        memcpy(mac.mac, s->mac, 6);
        size_t info = put(&o, IFLA_VF_INFO, NULL, 0);
        put(&o, IFLA_VF_MAC, &mac, sizeof(mac));
        put(&o, IFLA_VF_VLAN, &vlan, sizeof(vlan));
        put(&o, IFLA_VF_RATE, &rate, sizeof(rate));
        put(&o, IFLA_VF_SPOOFCHK, &spoof, sizeof(spoof));
        put(&o, IFLA_VF_TRUST, &trust, sizeof(trust));
        put(&o, IFLA_VF_LINK_STATE, &state, sizeof(state));
        size_t stats = put(&o, IFLA_VF_STATS, NULL, 0);
        put(&o, IFLA_VF_STATS_RX_PACKETS, &packets, 8);
        put(&o, IFLA_VF_STATS_PAD, NULL, 0);
        close_at(&o, stats);
        close_at(&o, info);
    }
    close_at(&o, list);
    struct nlmsghdr head = {
        .nlmsg_len = (uint32_t)o.len, .nlmsg_type = RTM_NEWLINK, .nlmsg_seq = 1};
    memcpy(buf, &head, sizeof(head));
    return o.len;
}

static size_t answer_error(int code, const char *words, uint8_t *buf)
{
    struct nlmsghdr head = {
        .nlmsg_type = NLMSG_ERROR, .nlmsg_seq = 1, .nlmsg_flags = words ? NLM_F_ACK_TLVS : 0};
    struct nlmsgerr error = {.error = code, .msg = {.nlmsg_len = 60}};
    struct out o = {.buf = buf, .len = 16 + 4 + 60}; /* the question comes back */
    memset(buf, 0, o.len);
    memcpy(buf + 16, &error, sizeof(error));
    if (words) {
        put(&o, NLMSGERR_ATTR_MSG, words, strlen(words) + 1);
    }
    head.nlmsg_len = (uint32_t)o.len;
    memcpy(buf, &head, sizeof(head));
    return o.len;
}

static long kernel_ask(void *opaque, const void *question, size_t len, void *ret_answer,
                       size_t size)
{
    struct kernel *k = opaque;
    const uint8_t *q = question;
    struct nlmsghdr head;
    struct ifinfomsg link;
    struct nlattr attr;
    struct ifla_vf_mac mac;
    struct ifla_vf_vlan vlan;
    memcpy(&head, q, sizeof(head));
    memcpy(&link, q + 16, sizeof(link));
    assert_true(head.nlmsg_len == len && len % 4 == 0 && head.nlmsg_flags & NLM_F_REQUEST);
    assert_int_equal(link.ifi_index, IFINDEX);
    assert_true(size >= 4096);
    if (head.nlmsg_type == RTM_GETLINK) {
        k->asked++;
        uint32_t mask;
        memcpy(&mask, q + 36, sizeof(mask)); /* IFLA_EXT_MASK */
        assert_true(mask & RTEXT_FILTER_VF);
        if (k->too_long && !(mask & RTEXT_FILTER_SKIP_STATS)) {
            return (long)answer_error(-EMSGSIZE, NULL, ret_answer);
        }
        return (long)answer_vfs(k->vfs, k->no_vfs ? 0 : VFS, ret_answer);
    }
    assert_int_equal(head.nlmsg_type, RTM_SETLINK);
    assert_true(head.nlmsg_flags & NLM_F_ACK);
    k->changed++;
    if (k->changed == k->refuse_at) {
        return (long)answer_error(k->refuse, k->words ? "not on this card" : NULL, ret_answer);
    }
    memcpy(&attr, q + 40, sizeof(attr)); /* list, info, then this */
    memcpy(&mac, q + 44, len - 44 < sizeof(mac) ? len - 44 : sizeof(mac));
    memcpy(&vlan, &mac, sizeof(vlan));
    assert_int_equal(attr.nla_len, len - 40);
    assert_true(mac.vf < VFS);
    struct vireo_vf_settings *s = &k->vfs[mac.vf];
    switch (k->deaf ? 0 : attr.nla_type) {
    case IFLA_VF_MAC:
        memcpy(s->mac, mac.mac, 6);
        break;
    case IFLA_VF_VLAN:
        s->vlan = vlan.vlan;
        s->qos = vlan.qos;
        break;
    case IFLA_VF_RATE:
        s->min_mbps = vlan.vlan;
        s->max_mbps = vlan.qos;
        break;
    case IFLA_VF_SPOOFCHK:
        s->spoof_check = vlan.vlan;
        break;
    case IFLA_VF_TRUST:
        s->trusted = vlan.vlan;
        break;
    case IFLA_VF_LINK_STATE:
        s->link = (enum vireo_vf_link)vlan.vlan;
        break;
    default:
        assert_true(k->deaf);
    }
    return (long)answer_error(0, NULL, ret_answer);
}

static void kernel_make(struct kernel *k)
{
    k->tree = tree_replay("q35.txt");
    tree_write(&k->tree, DEVICES "0000:01:00.0/net/eth0/ifindex", "7\n");
    tree_link(&k->tree, DEVICES "0000:01:00.0/virtfn0", "../0000:01:10.0");
    tree_link(&k->tree, DEVICES "0000:01:00.0/virtfn1", "../0000:01:10.2");
}

static struct vireo_pci *scan(struct kernel *k)
{
    struct vireo_pci_options o = {.root = k->tree.root, .ids_path = ""};
    struct vireo_pci *pci = NULL;
    assert_int_equal(vireo_pci_scan(&o, &pci, NULL), 0);
    assert_null(pci->rtnl.ask); /* another root has no kernel */
    pci->rtnl = (struct vr_rtnl){.ask = kernel_ask, .opaque = k};
    return pci;
}

static struct vireo_pci_addr at(const char *text)
{
    struct vireo_pci_addr addr;
    assert_int_equal(vireo_pci_addr_parse(text, &addr, NULL), 0);
    return addr;
}

static struct vireo_vf_settings settings(const char *text)
{
    struct vireo_vf_settings s = {0};
    char copy[200], *save = NULL;
    snprintf(copy, sizeof(copy), "%s", text);
    for (char *word = strtok_r(copy, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
        assert_int_equal(vireo_vf_setting_parse(&s, word, NULL), 0);
    }
    return s;
}

/* ---- Text ---- */

static void settings_are_read_and_written(void **state)
{
    static const struct {
        unsigned bit;
        const char *text, *out;
    } good[] = {
        {VIREO_VF_MAC, "mac=52:54:00:aB:Cd:eF", "mac=52:54:00:ab:cd:ef"},
        {VIREO_VF_MAC, "mac=00:00:00:00:00:00", "mac=00:00:00:00:00:00"},
        {VIREO_VF_VLAN, "vlan=4094 qos=7", "vlan=4094 qos=7"},
        {VIREO_VF_VLAN, "vlan=0", "vlan=0 qos=0"},
        {VIREO_VF_RATE, "rate=4294967295", "rate=0:4294967295"},
        {VIREO_VF_RATE, "rate=10:20", "rate=10:20"},
        {VIREO_VF_RATE, "rate=10:0", "rate=10:0"},
        {VIREO_VF_TRUST, "trust=yes", "trust=on"},
        {VIREO_VF_SPOOF_CHECK, "spoofcheck=off", "spoofcheck=off"},
        {VIREO_VF_LINK, "link=off", "link=off"},
    };
    static const struct {
        const char *text;
        int code;
    } bad[] = {
        {"", -EINVAL},
        {"mac", -EINVAL},
        {"colour=red", -EINVAL},
        {"mac=", -EINVAL},
        {"mac=52:54:00:12:34", -EINVAL},
        {"mac=52:54:00:12:34:56:78", -EINVAL},
        {"mac=52:54:00:12:34:5", -EINVAL},
        {"mac=52-54-00-12-34-56", -EINVAL},
        {"mac=53:54:00:12:34:56", -EINVAL}, /* a group */
        {"vlan=", -EINVAL},
        {"vlan=4095", -ERANGE},
        {"vlan=-1", -EINVAL},
        {"qos=3", -EINVAL}, /* alone */
        {"rate=", -EINVAL},
        {"rate=:", -EINVAL},
        {"rate=20:10", -EINVAL},
        {"rate=1:2:3", -EINVAL},
        {"rate=4294967296", -ERANGE},
        {"rate=11111111111111111111111111:1", -EINVAL},
        {"trust=perhaps", -EINVAL},
        {"link=up", -EINVAL},
    };
    char text[VIREO_VF_SETTING_SIZE];
    (void)state;
    for (size_t i = 0; i < VR_COUNT(good); i++) {
        struct vireo_vf_settings s = settings(good[i].text);
        assert_int_equal(s.known, good[i].bit);
        assert_string_equal(vireo_vf_setting_format(&s, good[i].bit, text), good[i].out);
    }
    for (size_t i = 0; i < VR_COUNT(bad); i++) {
        struct vireo_vf_settings s = {0}, zero = {0};
        struct vr_error err = {0};
        if (vireo_vf_setting_parse(&s, bad[i].text, &err) != bad[i].code || !err.msg[0]) {
            fail_msg("'%s': %d, '%s'", bad[i].text, err.code, err.msg);
        }
        assert_memory_equal(&s, &zero, sizeof(s));
    }
    struct vireo_vf_settings s = settings("vlan=3 trust=on");
    assert_int_equal(vireo_vf_setting_parse(&s, "vlan=4", NULL), -EEXIST);
    assert_int_equal(vireo_vf_setting_parse(&s, "qos=9", NULL), -ERANGE);
    assert_string_equal(vireo_vf_setting_format(&s, 1 << 20, text), "");
    for (unsigned i = 0; vireo_vf_setting_name(i); i++) {
        assert_true(strchr(vireo_vf_setting_name(i), '='));
    }
    assert_string_equal(vireo_vf_owner_name((enum vireo_vf_owner)9), "free");
}

/* ---- Listing ---- */

static void functions_are_listed(void **state)
{
    struct kernel k = {.vfs = {{.vlan = 5, .mac = {2, 3}}, {.link = VIREO_VF_LINK_OFF}}};
    struct vireo_vf list[4];
    size_t count = 0;
    (void)state;
    kernel_make(&k);
    tree_link(&k.tree, DEVICES "0000:01:10.2/driver", "../../../../bus/pci/drivers/vfio-pci");
    struct vireo_pci *pci = scan(&k);
    assert_int_equal(vireo_sriov_list(pci, at("1:0"), list, 4, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(list[0].addr.function, 0);
    assert_int_equal(list[0].owner, VIREO_VF_HOST);
    assert_string_equal(list[0].driver, "igbvf");
    assert_int_equal(list[0].settings.vlan, 5);
    assert_int_equal(list[0].settings.mac[1], 3);
    assert_int_equal(list[0].settings.known, 0x3f);
    assert_int_equal(list[1].index, 1);
    assert_int_equal(list[1].owner, VIREO_VF_VFIO);
    assert_int_equal(list[1].settings.link, VIREO_VF_LINK_OFF);
    assert_int_equal(list[1].settings.known, 0x3f & ~VIREO_VF_TRUST); /* "I do not know" */
    assert_true(list[1].has_stats && list[1].stats.rx_packets == 1001);
    assert_int_equal(vireo_sriov_list(pci, at("1:0"), list, 1, &count, NULL), 0);
    assert_int_equal(count, 2);
    assert_int_equal(vireo_sriov_list(pci, at("1:10.0"), list, 4, &count, NULL), -ENOTSUP);
    assert_int_equal(vireo_sriov_list(pci, at("9:0"), list, 4, &count, NULL), -ENODEV);
    /* Not of this host: nothing is known, which is no failure. */
    pci->rtnl = (struct vr_rtnl){0};
    tree_remove(&k.tree, DEVICES "0000:01:10.0/driver");
    tree_remove(&k.tree, DEVICES "0000:01:00.0/virtfn1");
    assert_int_equal(vireo_sriov_list(pci, at("1:0"), list, 4, &count, NULL), 0);
    assert_int_equal(count, 1);
    assert_int_equal(list[0].settings.known, 0);
    assert_int_equal(list[0].owner, VIREO_VF_FREE);
    tree_write(&k.tree, DEVICES "0000:01:00.0/sriov_numvfs", "many\n");
    assert_int_equal(vireo_sriov_list(pci, at("1:0"), list, 4, &count, NULL), -EINVAL);
    vireo_pci_destroy(pci);
    tree_destroy(&k.tree);
}

static void too_many_for_their_counters_are_listed_without(void **state)
{
    struct kernel k = {.too_long = true};
    struct vireo_vf list[2];
    size_t count = 0;
    (void)state;
    kernel_make(&k);
    struct vireo_pci *pci = scan(&k);
    assert_int_equal(vireo_sriov_list(pci, at("1:0"), list, 2, &count, NULL), 0);
    assert_int_equal(k.asked, 2);
    assert_int_equal(list[0].settings.known, 0x3f);
    vireo_pci_destroy(pci);
    tree_destroy(&k.tree);
}

/* ---- Setting ---- */

static int set(struct kernel *k, const char *addr, const char *text, struct vr_error *err)
{
    struct vireo_vf_settings s = settings(text);
    struct vireo_plan *plan;
    struct vireo_pci *pci = scan(k);
    int r = vireo_plan_vf_set(pci, at(addr), &s, &plan, err);
    vireo_pci_destroy(pci);
    if (r == 0) {
        r = vireo_plan_run(plan, NULL, NULL, err);
        vireo_plan_destroy(plan);
    }
    return r;
}

static void settings_are_set_and_read_back(void **state)
{
    struct kernel k = {0};
    struct vr_error err = {0};
    (void)state;
    kernel_make(&k);
    assert_int_equal(set(&k, "1:10.2",
                         "mac=52:54:00:00:00:09 vlan=7 qos=2 rate=5:50 spoofcheck=on link=on "
                         "trust=on",
                         &err),
                     0);
    assert_int_equal(k.changed, 6);
    assert_int_equal(k.vfs[1].mac[5], 9);
    assert_true(k.vfs[1].vlan == 7 && k.vfs[1].qos == 2 && k.vfs[1].spoof_check &&
                k.vfs[1].trusted && k.vfs[1].link == VIREO_VF_LINK_ON);
    assert_true(k.vfs[1].min_mbps == 5 && k.vfs[1].max_mbps == 50);
    assert_int_equal(k.vfs[0].vlan, 0); /* the other is left alone */
    /* What is as it should be needs no step (but trust, which this one does not tell). */
    assert_int_equal(set(&k, "1:10.2", "vlan=7 qos=2 link=on trust=on", &err), 0);
    assert_int_equal(k.changed, 7);
    tree_destroy(&k.tree);
}

static void says(const struct vr_error *err, const char *what)
{
    if (!strstr(err->msg, what)) {
        fail_msg("no '%s' in '%s'", what, err->msg);
    }
}

static void a_refusal_is_undone(void **state)
{
    static const struct {
        int refuse;
        const char *says;
    } cases[] = {{-EOPNOTSUPP, "the driver cannot do that"},
                 {-EINVAL, "does not take this value"},
                 {-EPERM, "root's rights"},
                 {-ENOMEM, "link=off of /sys/class/net/eth0, function 0"}};
    (void)state;
    for (size_t i = 0; i < VR_COUNT(cases); i++) {
        struct kernel k = {.refuse_at = 3, .refuse = cases[i].refuse, .words = i % 2 == 0};
        struct vr_error err = {0};
        kernel_make(&k);
        k.vfs[0].vlan = 4;
        assert_int_equal(set(&k, "1:10.0", "mac=02:00:00:00:00:01 vlan=7 link=off", &err),
                         cases[i].refuse);
        says(&err, cases[i].says);
        says(&err, "is undone");
        if (k.words) {
            says(&err, "not on this card");
        }
        assert_int_equal(k.vfs[0].vlan, 4);
        assert_int_equal(k.vfs[0].mac[0], 0);
        tree_destroy(&k.tree);
    }
}

static void what_a_driver_does_not_do_is_noticed(void **state)
{
    struct kernel k = {.deaf = true};
    struct vr_error err = {0};
    (void)state;
    kernel_make(&k);
    assert_int_equal(set(&k, "1:10.0", "vlan=7", &err), -EIO);
    says(&err, "it is 'vlan=0 qos=0'");
    tree_destroy(&k.tree);
}

static void what_cannot_be_set_is_refused(void **state)
{
    struct kernel k = {0};
    struct vr_error err;
    (void)state;
    kernel_make(&k);
    assert_int_equal(set(&k, "1:0", "vlan=7", &err), -ENOTSUP);
    says(&err, "no virtual function");
    assert_int_equal(set(&k, "9:0", "vlan=7", &err), -ENODEV);
    k.no_vfs = true;
    assert_int_equal(set(&k, "1:10.0", "vlan=7", &err), -ENOTSUP);
    says(&err, "tells nothing");
    tree_remove(&k.tree, DEVICES "0000:01:00.0/net");
    assert_int_equal(set(&k, "1:10.0", "vlan=7", &err), -ENOTSUP);
    says(&err, "no network interface");
    tree_remove(&k.tree, DEVICES "0000:01:00.0/virtfn0");
    assert_int_equal(set(&k, "1:10.0", "vlan=7", &err), -ENODEV);
    struct vireo_vf_settings s = settings("vlan=7");
    struct vireo_pci *pci = scan(&k);
    struct vireo_plan *plan;
    pci->rtnl = (struct vr_rtnl){0};
    assert_int_equal(vireo_plan_vf_set(pci, at("1:10.0"), &s, &plan, &err), -ENOTSUP);
    says(&err, "not in files");
    vireo_pci_destroy(pci);
    tree_destroy(&k.tree);
}

static void used_functions_go_when_told(void **state)
{
    struct kernel k = {0};
    struct vireo_plan *plan;
    (void)state;
    kernel_make(&k);
    tree_link(&k.tree, DEVICES "0000:01:10.2/driver", "../../../../bus/pci/drivers/vfio-pci");
    struct vireo_pci *pci = scan(&k);
    assert_int_equal(vireo_plan_sriov_delete(pci, at("1:0"), &plan, NULL), -EBUSY);
    assert_int_equal(vireo_plan_sriov_delete_used(pci, at("1:0"), &plan, NULL), 0);
    assert_int_equal(vireo_plan_run(plan, NULL, NULL, NULL), 0);
    assert_string_equal(tree_read(&k.tree, DEVICES "0000:01:00.0/sriov_numvfs"), "0\n");
    vireo_plan_destroy(plan);
    vireo_pci_destroy(pci);
    tree_destroy(&k.tree);
}

/* ---- Damaged messages ---- */

static void cut_and_damaged_answers_are_refused(void **state)
{
    static const struct vireo_vf_settings vfs[2] = {{.vlan = 5}, {.vlan = 6}};
    uint8_t good[4096];
    struct vr_rtnl_vf out[2];
    unsigned accepted = 0;
    size_t len = answer_vfs(vfs, 2, good);
    (void)state;
    memset(out, 0, sizeof(out));
    assert_int_equal(vr_rtnl_read_vfs(good, len, out, 2, NULL), 0);
    assert_int_equal(out[1].settings.vlan, 6);
    memset(out, 0, sizeof(out));
    assert_int_equal(vr_rtnl_read_vfs(good, len, out, 1, NULL), 0); /* the rest is left out */
    for (size_t cut = 0; cut < len; cut++) {
        uint8_t *exact = malloc(cut ? cut : 1); /* so that a look behind it is seen */
        assert_non_null(exact);
        memcpy(exact, good, cut);
        memset(out, 0, sizeof(out));
        assert_int_equal(vr_rtnl_read_vfs(exact, cut, out, 2, NULL), -EPROTO);
        assert_int_equal(vr_rtnl_read_ack(exact, cut, NULL), -EPROTO);
        free(exact);
    }
    for (uint32_t seed = 1; seed < 20000; seed++) {
        uint8_t bad[4096];
        struct vr_error err = {0};
        uint32_t v = seed;
        memcpy(bad, good, len);
        for (unsigned n = 1 + seed % 3; n--;) {
            v = v * 1664525 + 1013904223;
            bad[(v >> 8) % len] = (uint8_t)(v >> 24);
        }
        memset(out, 0, sizeof(out));
        int r = vr_rtnl_read_vfs(bad, len, out, 2, &err);
        assert_true(r == 0 || (r < 0 && err.msg[0]));
        accepted += r == 0;
    }
    assert_true(accepted > 1000 && accepted < 19000);
}

static void errors_have_the_kernels_words(void **state)
{
    uint8_t buf[512];
    struct vr_error err = {0};
    struct vr_rtnl_vf out;
    (void)state;
    size_t len = answer_error(-ENODEV, "there is no such card", buf);
    assert_int_equal(vr_rtnl_read_vfs(buf, len, &out, 1, &err), -ENODEV);
    says(&err, "there is no such card");
    assert_int_equal(vr_rtnl_read_ack(buf, answer_error(0, NULL, buf), &err), 0);
    /* An acknowledgement is no answer to a question. */
    assert_int_equal(vr_rtnl_read_vfs(buf, answer_error(0, NULL, buf), &out, 1, &err), -EPROTO);
    len = answer_error(5, NULL, buf);
    assert_int_equal(vr_rtnl_read_ack(buf, len, &err), -EPROTO);
    len = answer_error(INT32_MIN, NULL, buf);
    assert_int_equal(vr_rtnl_read_ack(buf, len, &err), -EPROTO);
    len = answer_error(-EBUSY, "x", buf);
    memset(buf + 20, 0xff, 4); /* the question's length */
    assert_int_equal(vr_rtnl_read_ack(buf, len, &err), -EBUSY);
}

/* This host's kernel is asked for what every host has: the loopback interface. */
static void the_real_kernel_answers(void **state)
{
    struct vr_rtnl rtnl = vr_rtnl_host();
    struct vr_error err = {0};
    struct vr_rtnl_vf out;
    struct vireo_vf_settings s = settings("vlan=7");
    (void)state;
    int r = vr_rtnl_vfs(&rtnl, 1, &out, 1, &err);
    if (r < 0) {
        fail_msg("%s", err.msg);
    }
    assert_false(out.there);
    assert_int_equal(vr_rtnl_vfs(&rtnl, INT32_MAX, &out, 1, &err), -ENODEV);
    r = vr_rtnl_change(&rtnl, 1, 0, VIREO_VF_VLAN, &s, &err);
    assert_true(r == -EOPNOTSUPP || r == -EPERM);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_are_read_and_written),
        cmocka_unit_test(functions_are_listed),
        cmocka_unit_test(too_many_for_their_counters_are_listed_without),
        cmocka_unit_test(settings_are_set_and_read_back),
        cmocka_unit_test(a_refusal_is_undone),
        cmocka_unit_test(what_a_driver_does_not_do_is_noticed),
        cmocka_unit_test(what_cannot_be_set_is_refused),
        cmocka_unit_test(used_functions_go_when_told),
        cmocka_unit_test(cut_and_damaged_answers_are_refused),
        cmocka_unit_test(errors_have_the_kernels_words),
        cmocka_unit_test(the_real_kernel_answers),
    };
    return cmocka_run_group_tests_name("sriov", tests, NULL, NULL);
}
