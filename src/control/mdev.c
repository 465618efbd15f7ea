/* The host's mediated devices, gathered and as JSON. */
#include "control/mdev.h"

#include "base/alloc.h"

#include <errno.h>

static json_t *mdev_name(const char *name)
{
    json_t *s = *name ? json_string(name) : NULL;
    return s ? s : json_null();
}

int vr_query_mdevs(const char *root, struct vr_mdevs *ret_all, struct vr_error *err)
{
    struct vr_mdevs all = {0};
    size_t types, devices;
    int r = vireo_mdev_types(root, NULL, 0, &types, err);
    r = r < 0 ? r : vireo_mdev_list(root, NULL, 0, &devices, err);
    if (r < 0) {
        return r;
    }
    all.types = vr_zalloc_array(types, sizeof(*all.types));
    all.devices = vr_zalloc_array(devices, sizeof(*all.devices));
    r = all.types && all.devices ? 0 : vr_err(err, -ENOMEM, "no memory for mediated devices");
    r = r < 0 ? r : vireo_mdev_types(root, all.types, types, &all.type_count, err);
    r = r < 0 ? r : vireo_mdev_list(root, all.devices, devices, &all.device_count, err);
    if (r < 0) {
        vr_query_mdevs_free(&all);
        return r;
    }
    /* Some may have come between the two looks. */
    all.type_count = all.type_count < types ? all.type_count : types;
    all.device_count = all.device_count < devices ? all.device_count : devices;
    *ret_all = all;
    return 0;
}

void vr_query_mdevs_free(struct vr_mdevs *all)
{
    free(all->types);
    free(all->devices);
}

json_t *vr_query_mdevs_json(const struct vr_mdevs *all)
{
    json_t *types = json_array(), *devices = json_array();
    for (size_t i = 0; i < all->type_count; i++) {
        const struct vireo_mdev_type *t = &all->types[i];
        json_array_append_new(
            types, json_pack("{s:s, s:s, s:o, s:o, s:o, s:I}", "parent", t->parent, "type", t->type,
                             "name", mdev_name(t->name), "description", mdev_name(t->description),
                             "api", mdev_name(t->api), "available", (json_int_t)t->available));
    }
    for (size_t i = 0; i < all->device_count; i++) {
        const struct vireo_mdev *d = &all->devices[i];
        json_array_append_new(devices,
                              json_pack("{s:s, s:s, s:s, s:i, s:b}", "uuid", d->uuid, "parent",
                                        d->parent, "type", d->type, "iommu_group", d->iommu_group,
                                        "in_use", (int)d->in_use));
    }
    return json_pack("{s:{s:o, s:o}}", "mdev", "types", types, "devices", devices);
}
