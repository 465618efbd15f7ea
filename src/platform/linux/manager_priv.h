/* A manager over system calls that tests replace. */
#ifndef VR_PLATFORM_MANAGER_PRIV_H
#define VR_PLATFORM_MANAGER_PRIV_H

#include "platform/linux/vfio_priv.h"
#include "vireo/host_manager.h"

/* vireo_manager_create over @sys, which is copied. */
int vr_manager_create(const struct vireo_manager_options *options, const struct vr_vfio_sys *sys,
                      struct vireo_manager **ret_manager, struct vr_error *err) VR_MUST;

#endif
