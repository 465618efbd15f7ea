/* Settings of virtual functions as text: IEEE 802.1Q has VLANs 1 to 4094 and priorities 0 to 7;
 * the lowest bit of a MAC's first byte marks a group (IEEE 802). */
#include "base/bits.h"
#include "base/text.h"
#include "vireo/host_sriov.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { VF_VLAN_MAX = 4094, VF_QOS_MAX = 7 };

static const char *const vf_links[] = {"auto", "on", "off"};

const char *vireo_vf_link_name(enum vireo_vf_link link)
{
    return (unsigned)link < VR_COUNT(vf_links) ? vf_links[link] : "auto";
}

const char *vireo_vf_owner_name(enum vireo_vf_owner owner)
{
    static const char *const names[] = {"free", "host", "vfio", "guest"};
    return (unsigned)owner < VR_COUNT(names) ? names[owner] : "free";
}

static int vf_number(const char *text, uint64_t max, unsigned *ret_val)
{
    uint64_t v;
    int r = vr_parse_u64(text, &v);
    if (r == 0 && v > max) {
        return -ERANGE;
    }
    if (r == 0) {
        *ret_val = (unsigned)v;
    }
    return r;
}

static int vf_mac(struct vireo_vf_settings *s, const char *text)
{
    uint8_t mac[6];
    for (unsigned i = 0; i < 6; i++) {
        if (!isxdigit((unsigned char)text[0]) || !isxdigit((unsigned char)text[1]) ||
            text[2] != (i < 5 ? ':' : 0)) {
            return -EINVAL;
        }
        char digits[3] = {text[0], text[1], 0};
        mac[i] = (uint8_t)strtoul(digits, NULL, 16);
        text += 3;
    }
    if (mac[0] & 1) {
        return -EINVAL;
    }
    memcpy(s->mac, mac, sizeof(mac));
    return 0;
}

static int vf_vlan(struct vireo_vf_settings *s, const char *text)
{
    return vf_number(text, VF_VLAN_MAX, &s->vlan);
}

static int vf_qos(struct vireo_vf_settings *s, const char *text)
{
    return vf_number(text, VF_QOS_MAX, &s->qos);
}

static int vf_rate(struct vireo_vf_settings *s, const char *text)
{
    char min[24];
    const char *colon = strchr(text, ':');
    unsigned low = 0, high = 0;
    if (colon && (size_t)(colon - text) >= sizeof(min)) {
        return -EINVAL;
    }
    if (colon) {
        memcpy(min, text, (size_t)(colon - text));
        min[colon - text] = 0;
        int r = vf_number(min, UINT32_MAX, &low);
        if (r < 0) {
            return r;
        }
    }
    int r = vf_number(colon ? colon + 1 : text, UINT32_MAX, &high);
    if (r < 0 || (high && low > high)) {
        return r < 0 ? r : -EINVAL;
    }
    s->min_mbps = low;
    s->max_mbps = high;
    return 0;
}

static int vf_trust(struct vireo_vf_settings *s, const char *text)
{
    return vr_parse_bool(text, &s->trusted);
}

static int vf_spoof(struct vireo_vf_settings *s, const char *text)
{
    return vr_parse_bool(text, &s->spoof_check);
}

static int vf_link(struct vireo_vf_settings *s, const char *text)
{
    int i = vr_word(text, vf_links, VR_COUNT(vf_links));
    if (i < 0) {
        return -EINVAL;
    }
    s->link = (enum vireo_vf_link)i;
    return 0;
}

static const struct {
    const char *name;
    unsigned bit;
    int (*read)(struct vireo_vf_settings *s, const char *text);
    const char *form;
} vf_settings[] = {
    {"mac=", VIREO_VF_MAC, vf_mac, "six bytes as in 52:54:00:12:34:56, not of a group"},
    {"vlan=", VIREO_VF_VLAN, vf_vlan, "0 (none) to 4094"},
    {"qos=", VIREO_VF_VLAN, vf_qos, "0 to 7, together with vlan="},
    {"rate=", VIREO_VF_RATE, vf_rate, "MAX or MIN:MAX in Mbit/s, 0: none"},
    {"trust=", VIREO_VF_TRUST, vf_trust, "on or off"},
    {"spoofcheck=", VIREO_VF_SPOOF_CHECK, vf_spoof, "on or off"},
    {"link=", VIREO_VF_LINK, vf_link, "auto, on or off"},
};

const char *vireo_vf_setting_name(unsigned i)
{
    return i < VR_COUNT(vf_settings) ? vf_settings[i].name : NULL;
}

int vireo_vf_setting_parse(struct vireo_vf_settings *settings, const char *text,
                           struct vr_error *err)
{
    for (unsigned i = 0; i < VR_COUNT(vf_settings); i++) {
        const char *name = vf_settings[i].name;
        struct vireo_vf_settings s = *settings;
        bool qos = vf_settings[i].read == vf_qos;
        if (strncmp(text, name, strlen(name)) != 0) {
            continue;
        }
        /* A priority is a part of the tag: it comes behind the VLAN, or changes nothing. */
        if (qos ? !(s.known & VIREO_VF_VLAN) : s.known & vf_settings[i].bit) {
            return qos ? vr_err(err, -EINVAL, "'%.40s': vlan= has to come first", text)
                       : vr_err(err, -EEXIST, "'%.40s': said twice", text);
        }
        int r = vf_settings[i].read(&s, text + strlen(name));
        if (r < 0) {
            return vr_err(err, r, "'%.60s': %s", text, vf_settings[i].form);
        }
        s.known |= vf_settings[i].bit;
        *settings = s;
        return 0;
    }
    return vr_err(
        err, -EINVAL,
        "'%.40s' is no setting: mac=, vlan=, qos=, rate=, trust=, spoofcheck=, link=", text);
}

const char *vireo_vf_setting_format(const struct vireo_vf_settings *s, unsigned bit,
                                    char buf[VIREO_VF_SETTING_SIZE])
{
    buf[0] = 0;
    switch (bit) {
    case VIREO_VF_MAC:
        snprintf(buf, VIREO_VF_SETTING_SIZE, "mac=%02x:%02x:%02x:%02x:%02x:%02x", s->mac[0],
                 s->mac[1], s->mac[2], s->mac[3], s->mac[4], s->mac[5]);
        break;
    case VIREO_VF_VLAN:
        snprintf(buf, VIREO_VF_SETTING_SIZE, "vlan=%u qos=%u", s->vlan, s->qos);
        break;
    case VIREO_VF_RATE:
        snprintf(buf, VIREO_VF_SETTING_SIZE, "rate=%u:%u", s->min_mbps, s->max_mbps);
        break;
    case VIREO_VF_TRUST:
        snprintf(buf, VIREO_VF_SETTING_SIZE, "trust=%s", s->trusted ? "on" : "off");
        break;
    case VIREO_VF_SPOOF_CHECK:
        snprintf(buf, VIREO_VF_SETTING_SIZE, "spoofcheck=%s", s->spoof_check ? "on" : "off");
        break;
    case VIREO_VF_LINK:
        snprintf(buf, VIREO_VF_SETTING_SIZE, "link=%s", vireo_vf_link_name(s->link));
        break;
    default:
        break;
    }
    return buf;
}
