/* The host's PCI devices as JSON values; docs/pci-json.md says what is in them. */
#ifndef VR_CONTROL_PCI_H
#define VR_CONTROL_PCI_H

#include "base/err.h"
#include "vireo/host_pci.h"
#include <jansson.h>

/* Name of view @i ("pci", "gpu", "iommu", "sriov"), static; NULL past the end. */
const char *vr_query_pci_view(unsigned i);
/* An object with the one member @view. The caller owns it. -EINVAL: no such view; -ENOMEM. */
int vr_query_pci(const struct vireo_pci *pci, const char *view, json_t **ret_json,
                 struct vr_error *err) VR_MUST;

#endif
