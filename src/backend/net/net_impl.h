/* What the kinds of networks share. Each embeds struct vr_net first. */
#ifndef VR_BACKEND_NET_IMPL_H
#define VR_BACKEND_NET_IMPL_H

#include "backend/net/net.h"

void vr_net_init(struct vr_net *net, const struct vr_net_ops *ops, struct vr_loop *loop);
void vr_net_fini(struct vr_net *net);
/* Count @frames frames of @bytes bytes in all. Any thread. What user.on_frame takes is counted
 * there. */
void vr_net_count_tx(struct vr_net *net, uint64_t frames, uint64_t bytes, uint64_t dropped);
void vr_net_count_rx(struct vr_net *net, uint64_t frames, uint64_t bytes, uint64_t dropped);

#endif
