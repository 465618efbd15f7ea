/* Built without libslirp: there is no user-mode network, and the message says so. */
#include "backend/net/net_impl.h"

#include <errno.h>

int vr_net_open_user(const char *opts, struct vr_loop *loop, struct vr_net **ret_net,
                     struct vr_error *err)
{
    (void)opts;
    (void)loop;
    (void)ret_net;
    return vr_err(err, -ENOTSUP,
                  "network user: this Vireo was built without libslirp; install "
                  "libslirp-dev and build again, or use no network");
}

int vr_net_user_add_forward(struct vr_net *net, const char *spec, uint16_t *ret_port,
                            struct vr_error *err)
{
    (void)net;
    (void)spec;
    (void)ret_port;
    return vr_err(err, -ENOTSUP, "forwarding a port: this Vireo was built without libslirp");
}
