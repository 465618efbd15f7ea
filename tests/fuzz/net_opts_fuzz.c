/* The options of a user-mode network and of a forwarded port, as people or scripts type them. What
 * is accepted must keep what the rest relies on. */
#include "fuzz.h"

#include "backend/net/user_opts.h"
#include "base/bits.h"

#include <stdlib.h>
#include <string.h>

static void check_options(const char *text)
{
    struct vr_net_user_opts o;
    struct vr_error err = {0};
    if (vr_net_user_opts_parse(text, &o, &err) < 0) {
        KEEPS(err.code < 0 && err.msg[0] && memchr(err.msg, 0, sizeof(err.msg)));
        return;
    }
    const uint32_t ips[] = {o.host, o.dns, o.dhcp_start};
    for (unsigned i = 0; i < VR_COUNT(ips); i++) {
        KEEPS((ips[i] & o.mask) == o.net && (ips[i] & ~o.mask) != 0);
        KEEPS(ips[i] != ips[(i + 1) % VR_COUNT(ips)]);
    }
    KEEPS(strlen(o.hostname) <= VR_NET_HOSTNAME_MAX);
    for (unsigned i = 0; i < o.forward_count; i++) {
        KEEPS(o.forwards[i].guest_port != 0);
        KEEPS(!o.forwards[i].guest_ip || (o.forwards[i].guest_ip & o.mask) == o.net);
    }
    vr_net_user_opts_free(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    char *text = malloc(len + 1);
    if (!text) {
        abort();
    }
    memcpy(text, data, len);
    text[len] = '\0';
    check_options(text);
    struct vr_net_forward f;
    struct vr_error err = {0};
    if (vr_net_forward_parse(text, &f, &err) == 0) {
        KEEPS(f.guest_port != 0);
    } else {
        KEEPS(err.code < 0 && err.msg[0] && memchr(err.msg, 0, sizeof(err.msg)));
    }
    free(text);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static const char *const seeds[] = {
        "hostfwd=tcp:127.0.0.1:2222-:22,restrict,hostfwd=udp::53-10.0.2.20:53",
        "net=192.168.7.0/24,dhcpstart=192.168.7.100,host=192.168.7.1,dns=192.168.7.9",
        "restrict=off,ipv6=on,hostname=debian",
        "2222:22",
        "127.0.0.1:8080:80/tcp",
        "0:53/udp",
        "tcp:0.0.0.0:80-10.0.2.15:80",
    };
    if (n >= VR_COUNT(seeds) || strlen(seeds[n]) > cap) {
        return 0;
    }
    memcpy(buf, seeds[n], strlen(seeds[n]));
    return strlen(seeds[n]);
}
