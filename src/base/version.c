/* The version that the build file states. */
#include <vireo/version.h>

#include "vr_config.h"

const char *vireo_version(void)
{
    return VR_VERSION;
}
