/*
 * The host end of a network card: whole Ethernet frames, both ways.
 *
 * Guest to host: vr_net_send from any thread; copies; drops (and counts) when the bounded queue is
 * full. Host to guest: on_frame on the loop's thread, no locks held; false: no room now, the
 * backend keeps at most a bounded queue and offers again after vr_net_resume; beyond it, drops and
 * counts.
 */
#ifndef VR_BACKEND_NET_H
#define VR_BACKEND_NET_H

#include "backend/net/frameq.h"
#include "base/err.h"
#include "core/det.h"
#include "core/loop.h"
#include "platform/lock.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct vr_net;

enum { VR_NET_FRAME_MAX = 65562 }; /* 64 KiB of payload, Ethernet header and two VLAN tags */

struct vr_net_user {
    bool (*on_frame)(void *opaque, const uint8_t *frame, size_t len);
    void (*on_link)(void *opaque, bool up); /* may be NULL */
    void *opaque;
};

struct vr_net_stats {
    uint64_t tx_frames, tx_bytes, tx_dropped; /* guest to host */
    uint64_t rx_frames, rx_bytes, rx_dropped; /* host to guest */
};

struct vr_net_ops {
    const char *name; /* "user", "stream" */
    void (*send)(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len);
    void (*resume)(struct vr_net *net);
    void (*close)(struct vr_net *net);
};

struct vr_net {
    const struct vr_net_ops *ops;
    bool takes_large; /* packets of up to 64 KiB, whatever the link's MTU: nobody need cut them */
    struct vr_loop *loop;
    struct vr_net_user user;   /* net.c's, once a device is attached; loop's thread */
    struct vr_net_user device; /* the device's */
    bool backend_up;           /* what the backend last said of the link */
    _Atomic bool down;         /* somebody pulled the cable: vr_net_set_link */
    struct vr_det_src src;     /* deterministic mode: frames wait until it is asked; */
    bool told_up;              /* what the device knows of the link */
    struct vr_frameq waiting;
    bool full;                  /* of them; the backend keeps more */
    struct vr_mutex stats_lock; /* of stats */
    struct vr_net_stats stats;
};

/* User-mode network (libslirp): the guest sees a network of its own with a gateway, a name server
 * and DHCP, and reaches through us what this process may reach; nothing reaches it but through
 * forwarded ports. @opts as after "--net user,", or NULL: hostfwd=[tcp|udp]:[HOST
 * ADDRESS]:PORT-[GUEST ADDRESS]:PORT   may repeat; see vr_net_user_add_forward restrict[=on|off]
 * nothing out, not even to this host; forwarded ports still work net=10.0.2.0/24 host=10.0.2.2
 * dns=10.0.2.3 dhcpstart=10.0.2.15 ipv6=on|off hostname=NAME The gateway's address reaches this
 * host's loopback. -ENOTSUP: built without libslirp. -EINVAL; -EADDRINUSE, -EACCES: a port cannot
 * be forwarded. @loop must outlive the network. */
int vr_net_open_user(const char *opts, struct vr_loop *loop, struct vr_net **ret_net,
                     struct vr_error *err) VR_MUST;
/* Whoever listens at the UNIX socket @path: a switch, another machine, passt. Frames go both ways,
 * each behind its length (be32). Should it hang up, the link is down until somebody is there again.
 * -ENOENT, -ECONNREFUSED: nobody listens; -EAGAIN: too many wait there; -EACCES. */
int vr_net_open_stream(const char *path, struct vr_loop *loop, struct vr_net **ret_net,
                       struct vr_error *err) VR_MUST;
/* For a replay: frames come from the tape, and what is sent goes nowhere. @takes_large: as the kind
 * that was recorded, so that the guest sees the same card. -ENOMEM. */
int vr_net_open_replay(struct vr_loop *loop, bool takes_large, struct vr_net **ret_net,
                       struct vr_error *err) VR_MUST;
/* Forward a port of this host to the guest: "[tcp|udp]:[HOST ADDRESS]:PORT-[GUEST ADDRESS]:PORT",
 * or short
 * "[HOST ADDRESS:]PORT:GUEST PORT[/tcp|/udp]". No host address: 127.0.0.1, so that only this host
 * gets in (0.0.0.0 lets everybody). No guest address: the first that DHCP gives. Host port 0: a
 * free one; @ret_port (may be NULL) says which. Errors as above. */
int vr_net_user_add_forward(struct vr_net *net, const char *spec, uint16_t *ret_port,
                            struct vr_error *err) VR_MUST;
void vr_net_close(struct vr_net *net); /* not from one of its own callbacks; NULL is fine */
/* Attach the device (or detach: NULL). With the loop's thread quiet or from it; on_link tells the
 * state. */
void vr_net_attach(struct vr_net *net, const struct vr_net_user *user);
/* Pull the cable out, or plug it in again: while it is out the device's link is down, and frames of
 * either way are dropped and counted. Any thread but one that holds the device's lock. */
void vr_net_set_link(struct vr_net *net, bool up);
/* For snapshots: is the cable out, and what does the device know of the link? While the machine
 * stands. And so it is again: the device knows @up at once, as if it had been attached so. On the
 * loop's thread, or from where vr_loop_call may be. */
void vr_net_get_cable(const struct vr_net *net, bool *ret_out, bool *ret_up);
void vr_net_set_cable(struct vr_net *net, bool out, bool up);
/* @len: the iovecs' sum. NULL net: swallowed. */
void vr_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len);
void vr_net_resume(struct vr_net *net);
void vr_net_stats(struct vr_net *net, struct vr_net_stats *ret_stats);

#endif
