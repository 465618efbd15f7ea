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

#include "base/err.h"
#include "core/loop.h"
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
    const char *name; /* "user" */
    void (*send)(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len);
    void (*resume)(struct vr_net *net);
    void (*close)(struct vr_net *net);
};

struct vr_net {
    const struct vr_net_ops *ops;
    struct vr_loop *loop;
    struct vr_net_user user;
    struct vr_net_stats stats;
};

/* User-mode network (libslirp): @opts as after "--net user":
 * "hostfwd=tcp:127.0.0.1:2222-:22,restrict,..." or NULL. hostfwd may repeat; `[tcp|udp]:[host
 * addr]:port-[guest addr]:port`. -ENOTSUP: built without libslirp. */
int vr_net_open_user(const char *opts, struct vr_loop *loop, struct vr_net **ret_net,
                     struct vr_error *err) VR_MUST;
void vr_net_close(struct vr_net *net);
void vr_net_attach(struct vr_net *net, const struct vr_net_user *user);
void vr_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len);
void vr_net_resume(struct vr_net *net);
void vr_net_stats(struct vr_net *net, struct vr_net_stats *ret_stats);

#endif
