/*
 * What stands between a hostile guest and the user-mode network stack: frames whose headers lie are
 * dropped before the stack parses them, and what would make the stack hold memory or descriptors
 * without bound is limited. Pure bookkeeping; no clock and no stack of its own.
 *
 * Bounded here: flows (each has a host descriptor), IP fragments that wait for the rest, and
 * packets of senders whose link address the stack does not know (it holds its answers to them while
 * it asks). Not let through: IPv4 options, IPv6 extension headers, and what is neither ARP nor IP.
 */
#ifndef VR_BACKEND_NET_USER_FILTER_H
#define VR_BACKEND_NET_USER_FILTER_H

#include "backend/net/user_frags.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VR_NET_NEIGHBOURS = 16 };

struct vr_net_address {
    uint8_t b[16]; /* IPv4: the first 4, the rest zero */
};

enum { VR_NET_STATIONS = 4 }; /* addresses the stack itself answers for, at most, each family */

struct vr_net_filter {
    unsigned flows_max;
    struct vr_net_address stations[2][VR_NET_STATIONS]; /* IPv4, IPv6 */
    struct vr_net_address known[2][VR_NET_NEIGHBOURS];  /* whom the stack knows; zero: free */
    unsigned next[2];                                   /* the one to replace */
    uint64_t window_ns;                                 /* when the current second began */
    unsigned strangers;                                 /* packets of unknown senders in it */
    struct vr_net_frags frags;
};

enum vr_net_verdict {
    VR_NET_PASS,
    VR_NET_IGNORE, /* nothing the stack knows, or kept here for now: as if sent */
    VR_NET_REFUSE, /* malformed, or beyond a limit */
};

void vr_net_filter_init(struct vr_net_filter *f, unsigned flows_max);
/* @ip (4 or 16 bytes) is one of the stack's own; asking for it makes the asker known. */
void vr_net_filter_station(struct vr_net_filter *f, const uint8_t *ip, bool v6);
void vr_net_filter_fini(struct vr_net_filter *f);
/* A frame from the guest, @now_ns on any clock that never goes back, with @flows open. To be passed
 * on is what @frame and @len say afterwards; it is valid until the next call. */
enum vr_net_verdict vr_net_filter_in(struct vr_net_filter *f, const uint8_t **frame, size_t *len,
                                     uint64_t now_ns, unsigned flows);
/* A frame to the guest: does the stack ask for somebody's link address? */
void vr_net_filter_out(struct vr_net_filter *f, const uint8_t *frame, size_t len);

#endif
