/* The part of a network's host end that does not depend on its kind. */
#include "backend/net/net_impl.h"

void vr_net_init(struct vr_net *net, const struct vr_net_ops *ops, struct vr_loop *loop)
{
    net->ops = ops;
    net->loop = loop;
    vr_mutex_init(&net->stats_lock);
}

void vr_net_fini(struct vr_net *net)
{
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
        net->ops->close(net);
    }
}

void vr_net_attach(struct vr_net *net, const struct vr_net_user *user)
{
    net->user = user ? *user : (struct vr_net_user){0};
    if (user && user->on_link) {
        user->on_link(user->opaque, true);
    }
    if (user) {
        net->ops->resume(net);
    }
}

void vr_net_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    if (net) {
        net->ops->send(net, iov, count, len);
    }
}

void vr_net_resume(struct vr_net *net)
{
    if (net) {
        net->ops->resume(net);
    }
}

void vr_net_stats(struct vr_net *net, struct vr_net_stats *ret_stats)
{
    vr_mutex_lock(&net->stats_lock);
    *ret_stats = net->stats;
    vr_mutex_unlock(&net->stats_lock);
}
