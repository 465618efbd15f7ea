/* The host's mediated devices as JSON values; docs/pci-json.md says what is in them. */
#ifndef VR_CONTROL_MDEV_H
#define VR_CONTROL_MDEV_H

#include "base/err.h"
#include "vireo/host_mdev.h"
#include <jansson.h>

/* All there are; free() them. */
struct vr_mdevs {
    struct vireo_mdev_type *types;
    struct vireo_mdev *devices;
    size_t type_count, device_count;
};
int vr_query_mdevs(const char *root, struct vr_mdevs *ret_all, struct vr_error *err) VR_MUST;
void vr_query_mdevs_free(struct vr_mdevs *all);
/* An object with the one member "mdev"; the caller owns it; NULL: no memory. */
json_t *vr_query_mdevs_json(const struct vr_mdevs *all);

#endif
