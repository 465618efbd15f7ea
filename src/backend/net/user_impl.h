/* The user-mode network from the inside: user.c moves frames, user_poll.c lets the stack wait for
 * sockets and time, user_forward.c opens ports. All on the loop's thread but where said. */
#ifndef VR_BACKEND_NET_USER_IMPL_H
#define VR_BACKEND_NET_USER_IMPL_H

#include "backend/net/frameq.h"
#include "backend/net/net_impl.h"
#include "backend/net/user_filter.h"
#include "backend/net/user_opts.h"
#include "platform/pollset.h"

#include <slirp/libslirp.h>
#include <uv.h>

struct vr_slirp_fd {
    unsigned want;  /* VR_POLL_* that the pollset waits for; 0: no member */
    unsigned got;   /* what is ready */
    uint64_t round; /* of vr_slirp_rearm in which it was wanted last */
    uint64_t since; /* the round in which it became a member */
};

struct vr_slirp {
    struct vr_net net;

    /* Loop's thread only. */
    Slirp *slirp;
    struct vr_net_filter filter;
    unsigned flows; /* host descriptors of connections */
    struct vr_pollset *set;
    struct vr_slirp_fd *fds; /* by descriptor */
    int fds_count;
    int *members; /* descriptors that were wanted last */
    unsigned member_count, member_cap;
    uint64_t round;
    uv_poll_t *poll;       /* of the pollset */
    uv_timer_t *timer;     /* the stack's time */
    uv_prepare_t *prepare; /* runs when the stack has run */
    bool polling, closing;
    unsigned idle_ticks;   /* left */
    uint64_t active_ns;    /* the last frame or event */
    uint64_t skew_ns;      /* the stack's clock is ahead by this */
    struct vr_frameq rx;   /* frames the device had no room for */
    struct vr_frameq work; /* being given to the stack */

    struct vr_mutex lock; /* of what follows */
    struct vr_frameq tx;
    bool tx_posted, resume_posted;
    unsigned refs; /* the owner, each post under way, each handle */
};

/* The stack has run: ask it again what it waits for before the loop sleeps. */
void vr_slirp_dirty(struct vr_slirp *u);
/* The same, and something has happened on the network. */
void vr_slirp_active(struct vr_slirp *u);
void vr_slirp_rearm(struct vr_slirp *u); /* ask at once */
/* End the stack. */
void vr_slirp_stop(struct vr_slirp *u);
/* While off, what arrives waits in the host's sockets. */
void vr_slirp_set_polling(struct vr_slirp *u, bool on);

/* The stack's callbacks for time and descriptors. */
int64_t vr_slirp_clock_ns(void *opaque);
void *vr_slirp_timer_new(SlirpTimerCb fn, void *arg, void *opaque);
void vr_slirp_timer_free(void *timer, void *opaque);
void vr_slirp_timer_mod(void *timer, int64_t expire_ms, void *opaque);
void vr_slirp_register_fd(int fd, void *opaque);
void vr_slirp_unregister_fd(int fd, void *opaque);
void vr_slirp_notify(void *opaque);

int vr_slirp_forward(struct vr_slirp *u, const struct vr_net_forward *forward, uint16_t *ret_port,
                     struct vr_error *err) VR_MUST;

#endif
