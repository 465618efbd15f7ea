/* The test finisher has no wires; only its class is public. */
#ifndef VR_DEV_MISC_SIFIVE_TEST_H
#define VR_DEV_MISC_SIFIVE_TEST_H

#include "core/dev.h"

extern const struct vr_dev_class vr_sifive_test_class;

#endif
