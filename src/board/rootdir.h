/* A directory as a guest's root file system. */
#ifndef VR_BOARD_ROOTDIR_H
#define VR_BOARD_ROOTDIR_H

#include "base/err.h"

/* The newest kernel in @dir/boot; the path is the caller's. -ENOENT: none; -ENOMEM. */
int vr_rootdir_kernel(const char *dir, char **ret_path, struct vr_error *err) VR_MUST;

#endif
