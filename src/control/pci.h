/* The host's PCI devices as JSON values; docs/pci-json.md says what is in them. */
#ifndef VR_CONTROL_PCI_H
#define VR_CONTROL_PCI_H

#include "base/err.h"
#include "vireo/host_sriov.h"
#include <jansson.h>

/* Name of view @i ("pci", "gpu", "iommu", "sriov"), static; NULL past the end. */
const char *vr_query_pci_view(unsigned i);
/* An object with the one member @view. The caller owns it. -EINVAL: no such view; -ENOMEM. */
int vr_query_pci(const struct vireo_pci *pci, const char *view, json_t **ret_json,
                 struct vr_error *err) VR_MUST;
/* The virtual functions of @addr; *ret_list is the caller's to free(). As vireo_sriov_list. */
int vr_query_vfs(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                 struct vireo_vf **ret_list, size_t *ret_count, struct vr_error *err) VR_MUST;
json_t *vr_query_vfs_json(const struct vireo_vf *list, size_t count);

#endif
