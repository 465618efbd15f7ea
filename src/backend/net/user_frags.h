/*
 * IPv4 fragments from the guest, put together before the user-mode stack sees them: libslirp 4.7
 * crashes on fragments that overlap in certain ways. At most VR_NET_FRAGS datagrams are under way
 * at a time, so memory has a bound; the oldest makes room, and half a minute ends each (RFC 791
 * section 3.2 recommends 15 seconds). Fragments that overlap end their datagram, as RFC 5722 has it
 * for IPv6.
 */
#ifndef VR_BACKEND_NET_USER_FRAGS_H
#define VR_BACKEND_NET_USER_FRAGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { VR_NET_FRAGS = 16 };

struct vr_net_datagram; /* one under way */

struct vr_net_frags {
    struct vr_net_datagram *datagrams[VR_NET_FRAGS]; /* allocated when used first */
};

void vr_net_frags_fini(struct vr_net_frags *frags); /* a zeroed struct is fine */
/* @frame: Ethernet, an IPv4 header without options, and payload, all lengths checked. Returns the
 * whole frame when this was its last missing piece (valid until the next call), else NULL. */
const uint8_t *vr_net_frags_add(struct vr_net_frags *frags, const uint8_t *frame, uint64_t now_ns,
                                size_t *ret_len);

#endif
