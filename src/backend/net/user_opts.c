#include "backend/net/user_opts.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define OPTS_NET     0x0A000200u /* 10.0.2.0 */
#define OPTS_FORWARD "[tcp|udp]:[HOST ADDRESS]:PORT-[GUEST ADDRESS]:PORT"
#define OPTS_LOCAL   0x7F000001u

enum { OPTS_HOST = 2, OPTS_DNS = 3, OPTS_DHCP = 15, OPTS_PREFIX_MIN = 8, OPTS_PREFIX_MAX = 27 };

static bool opts_ipv4(const char *text, uint32_t *ret_ip)
{
    struct in_addr in;
    if (inet_pton(AF_INET, text, &in) != 1) {
        return false;
    }
    *ret_ip = ntohl(in.s_addr);
    return true;
}

static bool opts_port(const char *text, bool zero_too, uint16_t *ret_port)
{
    uint64_t v;
    if (!isdigit((unsigned char)text[0]) || vr_parse_u64(text, &v) < 0 || v > 65535 ||
        (v == 0 && !zero_too)) {
        return false;
    }
    *ret_port = (uint16_t)v;
    return true;
}

/* "[ADDRESS]:PORT", cut in place. */
static int opts_end(char *text, const char *whose, bool zero_too, uint32_t *ip, uint16_t *ret_port,
                    const char *whole, struct vr_error *err)
{
    char *colon = strrchr(text, ':');
    if (!colon) {
        return vr_err(err, -EINVAL, "forward '%s': no %s port; write it as " OPTS_FORWARD, whole,
                      whose);
    }
    *colon = '\0';
    if (text[0] && !opts_ipv4(text, ip)) {
        return vr_err(err, -EINVAL, "forward '%s': %s address '%s' is not like 127.0.0.1%s", whole,
                      whose, text, strchr(text, ':') ? " (IPv6 ports cannot be forwarded)" : "");
    }
    if (!opts_port(colon + 1, zero_too, ret_port)) {
        return vr_err(err, -EINVAL, "forward '%s': %s port '%s' is not a number from %d to 65535",
                      whole, whose, colon + 1, zero_too ? 0 : 1);
    }
    return 0;
}

/* "[ADDRESS:]PORT:PORT[/tcp|/udp]", cut in place. */
static int opts_short(char *text, struct vr_net_forward *f, const char *whole, struct vr_error *err)
{
    char *slash = strchr(text, '/'), *last = strrchr(text, ':');
    if (slash) {
        *slash++ = '\0';
        if (strcmp(slash, "udp") != 0 && strcmp(slash, "tcp") != 0) {
            return vr_err(err, -EINVAL, "forward '%s': '%s' is neither tcp nor udp", whole, slash);
        }
        f->udp = slash[0] == 'u';
    }
    if (!last) {
        return vr_err(err, -EINVAL,
                      "forward '%s': write it as [ADDRESS:]PORT:GUEST PORT, as in 2222:22", whole);
    }
    if (!opts_port(last + 1, false, &f->guest_port)) {
        return vr_err(err, -EINVAL, "forward '%s': guest port '%s' is not a number from 1 to 65535",
                      whole, last + 1);
    }
    *last = '\0';
    if (!strchr(text, ':')) {
        if (!opts_port(text, true, &f->host_port)) {
            return vr_err(err, -EINVAL,
                          "forward '%s': host port '%s' is not a number from 0 to 65535", whole,
                          text);
        }
        return 0;
    }
    return opts_end(text, "host", true, &f->host_ip, &f->host_port, whole, err);
}

static int opts_long(char *text, struct vr_net_forward *f, const char *whole, struct vr_error *err)
{
    char *colon = strchr(text, ':'), *dash = strchr(text, '-');
    if (!colon || !dash || colon > dash) {
        return vr_err(err, -EINVAL, "forward '%s': write it as " OPTS_FORWARD, whole);
    }
    *colon++ = '\0';
    *dash++ = '\0';
    if (text[0] && strcmp(text, "tcp") != 0 && strcmp(text, "udp") != 0) {
        return vr_err(err, -EINVAL, "forward '%s': '%s' is neither tcp nor udp", whole, text);
    }
    f->udp = text[0] == 'u';
    int r = opts_end(colon, "host", true, &f->host_ip, &f->host_port, whole, err);
    return r < 0 ? r : opts_end(dash, "guest", false, &f->guest_ip, &f->guest_port, whole, err);
}

int vr_net_forward_parse(const char *text, struct vr_net_forward *ret_forward, struct vr_error *err)
{
    struct vr_net_forward f = {.host_ip = OPTS_LOCAL};
    char copy[96];
    size_t len = strlen(text);
    if (len >= sizeof(copy)) {
        return vr_err(err, -EINVAL, "forward '%.20s...': too long; write it as " OPTS_FORWARD,
                      text);
    }
    memcpy(copy, text, len + 1);
    int r = strchr(text, '-') ? opts_long(copy, &f, text, err) : opts_short(copy, &f, text, err);
    if (r == 0) {
        *ret_forward = f;
    }
    return r;
}

/* What is being read, and what was given. */
struct opts_reader {
    struct vr_net_user_opts o;
    bool has_host, has_dns, has_dhcp;
};

static int opts_net(struct opts_reader *p, const char *value, struct vr_error *err)
{
    char ip[32];
    uint64_t prefix;
    const char *slash = strchr(value, '/');
    if (!slash || (size_t)(slash - value) >= sizeof(ip)) {
        return vr_err(err, -EINVAL, "net=%s: write it as in 10.0.2.0/24", value);
    }
    snprintf(ip, sizeof(ip), "%.*s", (int)(slash - value), value);
    if (!opts_ipv4(ip, &p->o.net) || vr_parse_u64(slash + 1, &prefix) < 0) {
        return vr_err(err, -EINVAL, "net=%s: write it as in 10.0.2.0/24", value);
    }
    if (prefix < OPTS_PREFIX_MIN || prefix > OPTS_PREFIX_MAX) {
        return vr_err(err, -EINVAL, "net=%s: the prefix must be %d to %d bits long", value,
                      OPTS_PREFIX_MIN, OPTS_PREFIX_MAX);
    }
    p->o.mask = UINT32_MAX << (32 - prefix);
    if (p->o.net & ~p->o.mask) {
        return vr_err(err, -EINVAL, "net=%s: bits behind the prefix are set; as in 10.0.2.0/24",
                      value);
    }
    return 0;
}

static int opts_ip(const char *key, const char *value, uint32_t *ret_ip, bool *ret_given,
                   struct vr_error *err)
{
    if (!opts_ipv4(value, ret_ip)) {
        return vr_err(err, -EINVAL, "%s=%s: not an IPv4 address like 10.0.2.2", key, value);
    }
    *ret_given = true;
    return 0;
}

static int opts_hostname(struct opts_reader *p, const char *value, struct vr_error *err)
{
    size_t len = strlen(value);
    bool good = len > 0 && len <= VR_NET_HOSTNAME_MAX && value[0] != '-';
    for (size_t i = 0; i < len; i++) {
        good &= isalnum((unsigned char)value[i]) || value[i] == '-' || value[i] == '.';
    }
    if (!good) {
        return vr_err(err, -EINVAL,
                      "hostname=%.40s: 1 to %d letters, digits, dots and dashes are allowed", value,
                      VR_NET_HOSTNAME_MAX);
    }
    memcpy(p->o.hostname, value, len + 1);
    return 0;
}

static int opts_forward(struct opts_reader *p, const char *value, struct vr_error *err)
{
    if (p->o.forward_count == VR_NET_FORWARDS_MAX) {
        return vr_err(err, -EINVAL, "hostfwd: more than %d ports", VR_NET_FORWARDS_MAX);
    }
    if (!p->o.forwards) {
        p->o.forwards = vr_zalloc_array(VR_NET_FORWARDS_MAX, sizeof(*p->o.forwards));
        if (!p->o.forwards) {
            return vr_err(err, -ENOMEM, "hostfwd: no memory");
        }
    }
    int r = vr_net_forward_parse(value, &p->o.forwards[p->o.forward_count], err);
    p->o.forward_count += r == 0;
    return r;
}

static int opts_bool(const char *key, const char *value, bool *ret_value, struct vr_error *err)
{
    if (!value) {
        *ret_value = true;
        return 0;
    }
    return vr_parse_bool(value, ret_value) == 0
               ? 0
               : vr_err(err, -EINVAL, "%s=%s: say on or off", key, value);
}

/* @value: NULL when the option is a bare word. */
static int opts_one(struct opts_reader *p, const char *key, const char *value, struct vr_error *err)
{
    static const char *const names[] = {"hostfwd", "restrict",  "net",  "host",
                                        "dns",     "dhcpstart", "ipv6", "hostname"};
    if (strcmp(key, "restrict") == 0) {
        return opts_bool(key, value, &p->o.restricted, err);
    }
    if (strcmp(key, "ipv6") == 0) {
        return opts_bool(key, value, &p->o.ipv6, err);
    }
    bool known = false;
    for (unsigned i = 0; i < VR_COUNT(names); i++) {
        known |= strcmp(key, names[i]) == 0;
    }
    if (!known) {
        const char *near = vr_nearest(key, names, VR_COUNT(names));
        return near ? vr_err(err, -EINVAL, "no option '%s'; did you mean '%s'?", key, near)
                    : vr_err(err, -EINVAL,
                             "no option '%s'; there are hostfwd, restrict, net, host, dns, "
                             "dhcpstart, ipv6, hostname",
                             key);
    }
    if (!value) {
        return vr_err(err, -EINVAL, "'%s' needs a value: %s=...", key, key);
    }
    switch (key[0]) {
    case 'n':
        return opts_net(p, value, err);
    case 'd':
        return key[1] == 'n' ? opts_ip(key, value, &p->o.dns, &p->has_dns, err)
                             : opts_ip(key, value, &p->o.dhcp_start, &p->has_dhcp, err);
    default:
        if (strcmp(key, "host") == 0) {
            return opts_ip(key, value, &p->o.host, &p->has_host, err);
        }
        return strcmp(key, "hostname") == 0 ? opts_hostname(p, value, err)
                                            : opts_forward(p, value, err);
    }
}

/* Defaults that depend on the net, and what must fit together. */
static int opts_finish(struct opts_reader *p, struct vr_error *err)
{
    struct vr_net_user_opts *o = &p->o;
    o->host = p->has_host ? o->host : (o->net | OPTS_HOST);
    o->dns = p->has_dns ? o->dns : (o->net | OPTS_DNS);
    o->dhcp_start = p->has_dhcp ? o->dhcp_start : (o->net | OPTS_DHCP);
    const struct {
        const char *key;
        uint32_t ip;
    } parts[] = {{"host", o->host}, {"dns", o->dns}, {"dhcpstart", o->dhcp_start}};
    for (unsigned i = 0; i < VR_COUNT(parts); i++) {
        struct in_addr in = {.s_addr = htonl(parts[i].ip)};
        char ip[INET_ADDRSTRLEN] = "";
        inet_ntop(AF_INET, &in, ip, sizeof(ip));
        uint32_t rest = parts[i].ip & ~o->mask;
        if ((parts[i].ip & o->mask) != o->net || rest == 0 || rest == ~o->mask) {
            return vr_err(err, -EINVAL, "%s=%s: not an address inside the guest's net",
                          parts[i].key, ip);
        }
        for (unsigned k = 0; k < i; k++) {
            if (parts[k].ip == parts[i].ip) {
                return vr_err(err, -EINVAL, "%s and %s are both %s", parts[k].key, parts[i].key,
                              ip);
            }
        }
    }
    for (unsigned i = 0; i < o->forward_count; i++) {
        uint32_t ip = o->forwards[i].guest_ip;
        if (ip && (ip & o->mask) != o->net) {
            return vr_err(err, -EINVAL,
                          "hostfwd to guest port %u: the guest's address is outside its net",
                          o->forwards[i].guest_port);
        }
    }
    return 0;
}

int vr_net_user_opts_parse(const char *text, struct vr_net_user_opts *ret_opts,
                           struct vr_error *err)
{
    struct opts_reader p = {.o = {.ipv6 = true, .net = OPTS_NET, .mask = 0xFFFFFF00u}};
    int r = 0;
    while (text && *text && r == 0) {
        char word[160];
        size_t len = strcspn(text, ",");
        if (len >= sizeof(word)) {
            r = vr_err(err, -EINVAL, "option '%.20s...' is too long", text);
            break;
        }
        snprintf(word, sizeof(word), "%.*s", (int)len, text);
        text += len + (text[len] == ',');
        char *value = strchr(word, '=');
        if (value) {
            *value++ = '\0';
        }
        r = opts_one(&p, word, value, err);
    }
    if (r == 0) {
        r = opts_finish(&p, err);
    }
    if (r < 0) {
        vr_net_user_opts_free(&p.o);
        return vr_err_in(err, r, "network user");
    }
    *ret_opts = p.o;
    return 0;
}

void vr_net_user_opts_free(struct vr_net_user_opts *opts)
{
    free(opts->forwards);
    opts->forwards = NULL;
    opts->forward_count = 0;
}
