/* The inside of a struct vireo_pci, for the files that fill it and look at it. */
#ifndef VR_PLATFORM_PCI_H
#define VR_PLATFORM_PCI_H

#include "platform/linux/rtnetlink.h"
#include "platform/sysfs.h"
#include "vireo/host_pci.h"

enum { VR_PCI_PROBLEMS = 16, VR_PCI_PROBLEM_SIZE = 160 };

struct vireo_pci {
    struct vr_sysfs fs;
    struct vr_rtnl rtnl;              /* ask NULL: another root has no kernel behind it */
    struct vireo_pci_device *devices; /* by address */
    size_t count;
    char problems[VR_PCI_PROBLEMS][VR_PCI_PROBLEM_SIZE];
    size_t problem_count;
    enum vireo_iommu_kind iommu_kind;
    struct vireo_iommu_group *groups; /* by number; owns their devices */
    size_t group_count;
};

#define VR_PCI_DEVICES "sys/bus/pci/devices"

/* "sys/bus/pci/devices/ADDR/ATTR" in @buf; returns @buf. */
const char *vr_pci_path(char buf[VR_SYSFS_PATH], struct vireo_pci_addr addr, const char *attr);

/* Fill in what follows from the numbers: kind, and what a GPU is. */
void vr_pci_classify(struct vireo_pci_device *dev);
/* Tell integrated from discrete, which takes the neighbours. */
void vr_pci_classify_gpus(struct vireo_pci_device *devices, size_t count);

/* Fill in IOMMU and groups; -ENOMEM. What fails half is freed by vr_pci_free_groups. */
int vr_pci_scan_groups(struct vireo_pci *pci, struct vr_error *err) VR_MUST;
void vr_pci_free_groups(struct vireo_pci *pci);
/* Is it one that hands devices to user space? */
bool vr_pci_is_vfio_driver(const char *driver);
/* Does a process have VFIO group @group (-1: none) open? That a second one may not is how it shows;
 * who lacks the rights to see that is told no. */
bool vr_vfio_group_busy(const struct vr_sysfs *fs, int group);

#endif
