/* The options of a user-mode network, as text and as numbers. IPv4 addresses are in host order. */
#ifndef VR_BACKEND_NET_USER_OPTS_H
#define VR_BACKEND_NET_USER_OPTS_H

#include "base/err.h"
#include <stdbool.h>
#include <stdint.h>

struct vr_net_forward {
    bool udp;
    uint32_t host_ip, guest_ip; /* guest_ip 0: the first that DHCP gives */
    uint16_t host_port, guest_port;
};

enum { VR_NET_HOSTNAME_MAX = 32, VR_NET_FORWARDS_MAX = 256 };

struct vr_net_user_opts {
    bool restricted, ipv6;
    uint32_t net, mask, host, dns, dhcp_start;
    char hostname[VR_NET_HOSTNAME_MAX + 1];
    struct vr_net_forward *forwards;
    unsigned forward_count;
};

/* @text: see vr_net_open_user; NULL or "" gives the defaults. To be freed. */
int vr_net_user_opts_parse(const char *text, struct vr_net_user_opts *ret_opts,
                           struct vr_error *err) VR_MUST;
void vr_net_user_opts_free(struct vr_net_user_opts *opts);
/* @text: see vr_net_user_add_forward. */
int vr_net_forward_parse(const char *text, struct vr_net_forward *ret_forward,
                         struct vr_error *err) VR_MUST;

#endif
