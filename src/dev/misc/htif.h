/* The word by which bare-metal test programs report: see htif.c. */
#ifndef VR_DEV_MISC_HTIF_H
#define VR_DEV_MISC_HTIF_H

#include "core/dev.h"

extern const struct vr_dev_class vr_htif_class;

#endif
