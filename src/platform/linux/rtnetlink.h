/*
 * What is said to the kernel about virtual functions of network devices: rtnetlink(7), and
 * IFLA_VFINFO_LIST of linux/if_link.h. Answers are bytes of somebody else's: everything in them is
 * checked.
 */
#ifndef VR_PLATFORM_RTNETLINK_H
#define VR_PLATFORM_RTNETLINK_H

#include "base/err.h"
#include "vireo/host_sriov.h"
#include <stddef.h>

/* One question and its answer; tests replace it. */
struct vr_rtnl {
    /* Send @len bytes, wait for the answer. Its length, or a negative errno. */
    long (*ask)(void *opaque, const void *question, size_t len, void *ret_answer, size_t size);
    void *opaque;
};
/* This host's kernel. */
struct vr_rtnl vr_rtnl_host(void);

struct vr_rtnl_vf {
    bool there;
    struct vireo_vf_settings settings;
    bool has_stats;
    struct vireo_vf_stats stats;
};

enum { VR_RTNL_QUESTION = 256, VR_RTNL_ANSWER = 128 << 10, VR_RTNL_VFS = 65535 };

/* Build the questions: all of interface @ifindex with its virtual functions, with their counters or
 * without; change the one setting @bit of virtual function @vf. The length. */
size_t vr_rtnl_ask_vfs(uint8_t buf[VR_RTNL_QUESTION], uint32_t ifindex, bool stats);
size_t vr_rtnl_set_vf(uint8_t buf[VR_RTNL_QUESTION], uint32_t ifindex, unsigned vf, unsigned bit,
                      const struct vireo_vf_settings *settings);
/*
 * Read the answer to vr_rtnl_ask_vfs: virtual function i goes to ret_vfs[i]; those from @cap on
 * are left out. -EPROTO: no proper answer; else what the kernel refused with, the kernel's own
 * words in @err.
 */
int vr_rtnl_read_vfs(const void *answer, size_t len, struct vr_rtnl_vf *ret_vfs, unsigned cap,
                     struct vr_error *err) VR_MUST;
/* Read the answer to a change. */
int vr_rtnl_read_ack(const void *answer, size_t len, struct vr_error *err) VR_MUST;

/* Both, asked of @rtnl. @ret_vfs is cleared first. The list of some 200 functions with counters is
 * more than an attribute holds (64 KiB): then they come without. */
int vr_rtnl_vfs(const struct vr_rtnl *rtnl, uint32_t ifindex, struct vr_rtnl_vf *ret_vfs,
                unsigned cap, struct vr_error *err) VR_MUST;
int vr_rtnl_change(const struct vr_rtnl *rtnl, uint32_t ifindex, unsigned vf, unsigned bit,
                   const struct vireo_vf_settings *settings, struct vr_error *err) VR_MUST;
/* Does @is hold the setting @bit of @want? What the driver does not tell counts as yes. */
bool vr_vf_setting_is(const struct vireo_vf_settings *is, const struct vireo_vf_settings *want,
                      unsigned bit);

#endif
