/* Settings of virtual functions where there is no Linux to ask: a recorded tree has none. */
#include "platform/linux/rtnetlink.h"

#include <errno.h>

struct vr_rtnl vr_rtnl_host(void)
{
    return (struct vr_rtnl){0};
}

int vr_rtnl_vfs(const struct vr_rtnl *rtnl, uint32_t ifindex, struct vr_rtnl_vf *ret_vfs,
                unsigned cap, struct vr_error *err)
{
    (void)rtnl;
    (void)ifindex;
    (void)ret_vfs;
    (void)cap;
    return vr_err(err, -ENOTSUP, "settings of virtual functions are Linux's");
}

int vr_rtnl_change(const struct vr_rtnl *rtnl, uint32_t ifindex, unsigned vf, unsigned bit,
                   const struct vireo_vf_settings *settings, struct vr_error *err)
{
    (void)rtnl;
    (void)ifindex;
    (void)vf;
    (void)bit;
    (void)settings;
    return vr_err(err, -ENOTSUP, "settings of virtual functions are Linux's");
}
