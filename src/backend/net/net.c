/* The part of a network's host end that does not depend on its kind. */
#include "backend/net/net_impl.h"

#include "base/alloc.h"

#include <errno.h>
#include <stdlib.h>

enum { NET_WAITING_MAX = 1 << 20 }; /* bytes */

static bool net_is_up(const struct vr_net *net)
{
    return net->backend_up && !atomic_load(&net->down);
}

static void net_tell_device(const struct vr_net *net, bool up)
{
    if (net->device.on_link) {
        net->device.on_link(net->device.opaque, up);
    }
}

/* --- Deterministic mode (core/det.h) --- */

static bool net_det_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct vr_net *net = opaque;
    const struct iovec iov = {.iov_base = (void *)(uintptr_t)frame, .iov_len = len};
    net->full = !vr_frameq_push(&net->waiting, &iov, 1, len);
    vr_det_woke(&net->src);
    return !net->full;
}

static size_t net_det_take(void *opaque, enum vr_det_kind kind, const uint8_t *buf, size_t len)
{
    struct vr_net *net = opaque;
    if (kind == VR_DET_OPEN) {
        net->told_up = buf[0] != 0;
        net_tell_device(net, net->told_up);
    }
    bool took = kind != VR_DET_DATA || len > VR_NET_FRAME_MAX || !net->device.on_frame ||
                net->device.on_frame(net->device.opaque, buf, len);
    return took ? len : 0;
}

static void net_det_poll(void *opaque)
{
    struct vr_net *net = opaque;
    const uint8_t *frame, up = net_is_up(net);
    size_t len;
    if (up != net->told_up && !vr_det_replaying(net->src.det)) {
        net->told_up = up;
        vr_det_input(&net->src, VR_DET_OPEN, &up, 1);
    }
    while (!net->src.held && (frame = vr_frameq_front(&net->waiting, &len)) != NULL) {
        vr_det_input(&net->src, VR_DET_DATA, frame, len);
        vr_frameq_pop(&net->waiting);
    }
    if (net->full && !net->waiting.count) {
        net->full = false;
        net->ops->resume(net);
    }
}

void vr_net_init(struct vr_net *net, const struct vr_net_ops *ops, struct vr_loop *loop)
{
    net->ops = ops;
    net->loop = loop;
    vr_mutex_init(&net->stats_lock);
    vr_frameq_init(&net->waiting, NET_WAITING_MAX);
    net->src = (struct vr_det_src){
        .name = "network", .take = net_det_take, .poll = net_det_poll, .opaque = net};
    vr_det_add(loop, &net->src);
}

void vr_net_fini(struct vr_net *net)
{
    vr_frameq_fini(&net->waiting);
    vr_mutex_fini(&net->stats_lock);
}

void vr_net_count_tx(struct vr_net *net, uint64_t frames, uint64_t bytes, uint64_t dropped)
{
    vr_mutex_lock(&net->stats_lock);
    net->stats.tx_frames += frames;
    net->stats.tx_bytes += bytes;
    net->stats.tx_dropped += dropped;
    vr_mutex_unlock(&net->stats_lock);
}

void vr_net_count_rx(struct vr_net *net, uint64_t frames, uint64_t bytes, uint64_t dropped)
{
    vr_mutex_lock(&net->stats_lock);
    net->stats.rx_frames += frames;
    net->stats.rx_bytes += bytes;
    net->stats.rx_dropped += dropped;
    vr_mutex_unlock(&net->stats_lock);
}

void vr_net_close(struct vr_net *net)
{
    if (net) {
        vr_det_remove(&net->src);
        net->ops->close(net);
    }
}

/* --- The cable --- */

static bool net_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct vr_net *net = opaque;
    if (atomic_load(&net->down)) {
        vr_net_count_rx(net, 0, 0, 1);
        return true;
    }
    bool took = net->src.det ? net_det_frame(net, frame, len)
                             : net->device.on_frame(net->device.opaque, frame, len);
    if (took) {
        vr_net_count_rx(net, 1, len, 0);
    }
    return took;
}

/* An input, as frames are: a deterministic machine asks for it at its next beat. */
static void net_tell_link(struct vr_net *net)
{
    if (net->src.det) {
        vr_det_woke(&net->src);
    } else {
        net_tell_device(net, net_is_up(net));
    }
}

static void net_link(void *opaque, bool up)
{
    struct vr_net *net = opaque;
    net->backend_up = up;
    net_tell_link(net);
}

struct net_cable {
    struct vr_net *net;
    bool up;
};

static void net_set_link_here(void *arg)
{
    const struct net_cable *c = arg;
    atomic_store(&c->net->down, !c->up);
    net_tell_link(c->net);
}

void vr_net_set_link(struct vr_net *net, bool up)
{
    struct net_cable cable = {.net = net, .up = up};
    vr_loop_call(net->loop, net_set_link_here, &cable);
}

void vr_net_get_cable(const struct vr_net *net, bool *ret_out, bool *ret_up)
{
    *ret_out = atomic_load(&net->down);
    *ret_up = net->src.det ? net->told_up : net_is_up(net);
}

struct net_saved {
    struct vr_net *net;
    bool out, up;
};

static void net_set_cable_here(void *arg)
{
    const struct net_saved *s = arg;
    atomic_store(&s->net->down, s->out);
    s->net->told_up =
        s->up; /* a deterministic machine hears of what is otherwise now as an input */
    net_tell_device(s->net, s->net->src.det ? s->up : net_is_up(s->net));
}

void vr_net_set_cable(struct vr_net *net, bool out, bool up)
{
    struct net_saved saved = {.net = net, .out = out, .up = up};
    vr_loop_call(net->loop, net_set_cable_here, &saved);
}

void vr_net_attach(struct vr_net *net, const struct vr_net_user *user)
{
    net->device = user ? *user : (struct vr_net_user){0};
    net->user =
        user ? (struct vr_net_user){.on_frame = net_frame, .on_link = net_link, .opaque = net}
             : (struct vr_net_user){0};
    net->backend_up = true;
    net->told_up = net_is_up(net);
    net_tell_device(net, net->told_up);
    if (user) {
        net->ops->resume(net);
    }
}

void vr_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    if (net && atomic_load(&net->down)) {
        vr_net_count_tx(net, 0, 0, 1);
    } else if (net && !(net->src.det && vr_det_muted(net->src.det))) {
        net->ops->send(net, iov, count, len);
    }
}

void vr_net_resume(struct vr_net *net)
{
    if (net && net->src.det) {
        vr_det_resume(&net->src);
    } else if (net) {
        net->ops->resume(net);
    }
}

void vr_net_stats(struct vr_net *net, struct vr_net_stats *ret_stats)
{
    vr_mutex_lock(&net->stats_lock);
    *ret_stats = net->stats;
    vr_mutex_unlock(&net->stats_lock);
}

/* --- A replay's --- */

static void net_replay_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    (void)iov;
    (void)count;
    vr_net_count_tx(net, 1, len, 0);
}

static void net_replay_resume(struct vr_net *net)
{
    (void)net;
}

static void net_replay_close(struct vr_net *net)
{
    vr_net_fini(net);
    free(net);
}

static const struct vr_net_ops net_replay_ops = {
    .name = "replay",
    .send = net_replay_send,
    .resume = net_replay_resume,
    .close = net_replay_close,
};

int vr_net_open_replay(struct vr_loop *loop, bool takes_large, struct vr_net **ret_net,
                       struct vr_error *err)
{
    struct vr_net *net = vr_zalloc(sizeof(*net));
    if (!net) {
        return vr_err(err, -ENOMEM, "network: no memory");
    }
    vr_net_init(net, &net_replay_ops, loop);
    net->takes_large = takes_large;
    *ret_net = net;
    return 0;
}
