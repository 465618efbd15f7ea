/*
 * Plans for SR-IOV and VFIO: Documentation/PCI/pci-iov-howto.rst, and driver_override,
 * drivers_probe and unbind in Documentation/ABI/testing/sysfs-bus-pci of Linux.
 */
#include "platform/pci.h"
#include "platform/pci_plan.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const char change_probe_path[] = "sys/bus/pci/drivers_probe";

static void change_undo(struct vr_plan_entry *entry, unsigned i, const char *path, const char *text)
{
    if (entry) {
        snprintf(entry->undo[i].path, sizeof(entry->undo[i].path), "%s", path);
        snprintf(entry->undo[i].text, sizeof(entry->undo[i].text), "%s", text);
    }
}

static int change_find(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                       const struct vireo_pci_device **ret_dev, struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE];
    *ret_dev = vireo_pci_find(pci, addr);
    return *ret_dev ? 0
                    : vr_err(err, -ENODEV, "%s: this host has no such PCI device",
                             vireo_pci_addr_format(addr, name));
}

/* Another device may have come to that slot since the scan. */
static void change_same_device(struct vireo_plan *plan, const struct vireo_pci_device *dev)
{
    char id[8];
    snprintf(id, sizeof(id), "0x%04x", dev->vendor_id);
    vr_plan_add(plan, VIREO_STEP_CHECK_TEXT, dev->addr, "vendor", id, "the device is still there");
    snprintf(id, sizeof(id), "0x%04x", dev->device_id);
    vr_plan_add(plan, VIREO_STEP_CHECK_TEXT, dev->addr, "device", id, "it is the same one");
}

/* ---- SR-IOV ---- */

static void change_numvfs(struct vireo_plan *plan, const struct vireo_pci_device *dev,
                          unsigned before, unsigned count)
{
    char text[16], path[VR_SYSFS_PATH];
    snprintf(text, sizeof(text), "%u", count);
    struct vr_plan_entry *entry =
        vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, "sriov_numvfs", text,
                    count ? "make virtual functions" : "delete the virtual functions");
    snprintf(text, sizeof(text), "%u", before);
    change_undo(entry, 0, vr_pci_path(path, dev->addr, "sriov_numvfs"), text);
    snprintf(text, sizeof(text), "%u", count);
    vr_plan_add(plan, VIREO_STEP_CHECK_TEXT, dev->addr, "sriov_numvfs", text, "they are as wanted");
}

static int change_sriov_may(const struct vireo_pci *pci, const struct vireo_pci_device *dev,
                            unsigned count, bool used, struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE], vf[VIREO_PCI_ADDR_SIZE];
    vireo_pci_addr_format(dev->addr, name);
    if (dev->is_vf) {
        return vr_err(err, -ENOTSUP, "%s is a virtual function itself, of %s", name,
                      vireo_pci_addr_format(dev->physfn, vf));
    }
    if (dev->sriov_total == 0) {
        return vr_err(err, -ENOTSUP,
                      "%s has no SR-IOV, or the firmware's setup has switched it off", name);
    }
    if (count > dev->sriov_total) {
        return vr_err(err, -ERANGE, "%s can have %u virtual functions, not %u", name,
                      dev->sriov_total, count);
    }
    if (!*dev->driver && count) {
        return vr_err(err, -ENOTSUP,
                      "%s has no driver, which makes the virtual functions: load its driver", name);
    }
    for (size_t i = 0; !used && i < pci->count; i++) {
        const struct vireo_pci_device *d = &pci->devices[i];
        if (d->is_vf && vireo_pci_addr_compare(d->physfn, dev->addr) == 0 &&
            vr_pci_is_vfio_driver(d->driver)) {
            return vr_err(
                err, -EBUSY,
                "virtual function %s is bound to %s and may be in a guest: unbind it first",
                vireo_pci_addr_format(d->addr, vf), d->driver);
        }
    }
    return 0;
}

/* @used: also when functions are bound to VFIO. */
static int change_sriov(const struct vireo_pci *pci, struct vireo_pci_addr addr, unsigned count,
                        bool used, struct vireo_plan **ret_plan, struct vr_error *err)
{
    const struct vireo_pci_device *dev;
    struct vireo_plan *plan;
    int r = change_find(pci, addr, &dev, err);
    r = r < 0 ? r : change_sriov_may(pci, dev, count, used, err);
    r = r < 0 ? r : vr_plan_create(&pci->fs, &plan, err);
    if (r < 0) {
        return r;
    }
    if (count != dev->sriov_count) {
        change_same_device(plan, dev);
        if (dev->sriov_count) {
            change_numvfs(plan, dev, dev->sriov_count, 0);
        }
        if (count) {
            change_numvfs(plan, dev, 0, count);
        }
    }
    return vr_plan_finish(plan, 0, ret_plan, err);
}

int vireo_plan_sriov_set(const struct vireo_pci *pci, struct vireo_pci_addr addr, unsigned count,
                         struct vireo_plan **ret_plan, struct vr_error *err)
{
    return change_sriov(pci, addr, count, false, ret_plan, err);
}

int vireo_plan_sriov_delete_used(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                 struct vireo_plan **ret_plan, struct vr_error *err)
{
    return change_sriov(pci, addr, 0, true, ret_plan, err);
}

int vireo_plan_sriov_create(const struct vireo_pci *pci, struct vireo_pci_addr addr, unsigned count,
                            struct vireo_plan **ret_plan, struct vr_error *err)
{
    const struct vireo_pci_device *dev;
    char name[VIREO_PCI_ADDR_SIZE];
    int r = change_find(pci, addr, &dev, err);
    if (r < 0) {
        return r;
    }
    vireo_pci_addr_format(addr, name);
    if (count == 0) {
        return vr_err(err, -ERANGE, "%s: how many virtual functions? 1 to %u", name,
                      dev->sriov_total);
    }
    if (dev->sriov_count) {
        return vr_err(err, -EBUSY,
                      "%s has %u virtual functions; the kernel cannot add to them: delete them "
                      "first, or set the number, which does both",
                      name, dev->sriov_count);
    }
    return vireo_plan_sriov_set(pci, addr, count, ret_plan, err);
}

int vireo_plan_sriov_delete(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                            struct vireo_plan **ret_plan, struct vr_error *err)
{
    return vireo_plan_sriov_set(pci, addr, 0, ret_plan, err);
}

/* ---- VFIO ---- */

static void change_bind(struct vireo_plan *plan, const struct vireo_pci_device *dev)
{
    char name[VIREO_PCI_ADDR_SIZE], path[VR_SYSFS_PATH];
    vireo_pci_addr_format(dev->addr, name);
    change_same_device(plan, dev);
    struct vr_plan_entry *entry = vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, "driver_override",
                                              "vfio-pci", "let no driver but vfio-pci bind");
    change_undo(entry, 0, vr_pci_path(path, dev->addr, "driver_override"), dev->driver_override);
    if (*dev->driver) {
        /* Only when its driver may have been taken away is there one to bind again. */
        change_undo(entry, 1, change_probe_path, name);
        vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, "driver/unbind", name,
                    "take it from the host's driver");
    }
    entry = vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, change_probe_path, name,
                        "have vfio-pci bind");
    change_undo(entry, 0, vr_pci_path(path, dev->addr, "driver/unbind"), name);
    vr_plan_add(plan, VIREO_STEP_CHECK_DRIVER, dev->addr, "driver", "vfio-pci", "vfio-pci has it");
}

static void change_unbind(struct vireo_plan *plan, const struct vireo_pci_device *dev)
{
    char name[VIREO_PCI_ADDR_SIZE], path[VR_SYSFS_PATH];
    vireo_pci_addr_format(dev->addr, name);
    change_same_device(plan, dev);
    if (dev->iommu_group >= 0) {
        char file[32];
        snprintf(file, sizeof(file), "dev/vfio/%d", dev->iommu_group);
        vr_plan_add(plan, VIREO_STEP_CHECK_FREE, dev->addr, file, "", "no guest uses its group");
    }
    struct vr_plan_entry *entry = vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, "driver_override",
                                              "", "let any driver bind");
    change_undo(entry, 0, vr_pci_path(path, dev->addr, "driver_override"), dev->driver_override);
    change_undo(entry, 1, change_probe_path, name);
    vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, "driver/unbind", name, "take it from VFIO");
    vr_plan_add(plan, VIREO_STEP_WRITE, dev->addr, change_probe_path, name,
                "have the host's driver bind");
    vr_plan_add(plan, VIREO_STEP_CHECK_DRIVER, dev->addr, "driver", "", "VFIO has let go of it");
}

/* May @dev be bound to VFIO? */
static int change_bind_may(const struct vireo_pci *pci, const struct vireo_pci_device *dev,
                           struct vr_error *err)
{
    const struct vireo_iommu_group *group = vireo_iommu_group_find(pci, dev->iommu_group);
    char name[VIREO_PCI_ADDR_SIZE];
    vireo_pci_addr_format(dev->addr, name);
    if (dev->kind == VIREO_PCI_BRIDGE) {
        return vr_err(err, -ENOTSUP, "%s is a bridge: pass the devices behind it", name);
    }
    if (!group) {
        return vr_err(err, -ENOTSUP,
                      "%s is in no IOMMU group: switch the IOMMU on (firmware's setup, and "
                      "intel_iommu=on where that is needed)",
                      name);
    }
    if (group->firmware_mapped) {
        return vr_err(err, -ENOTSUP,
                      "%s: the firmware keeps memory of the host mapped for IOMMU group %d: VFIO "
                      "refuses it",
                      name, group->number);
    }
    if (dev->sriov_count) {
        return vr_err(err, -EBUSY, "%s has %u virtual functions: delete them first", name,
                      dev->sriov_count);
    }
    if (!vr_sysfs_exists(&pci->fs, "sys/bus/pci/drivers/vfio-pci")) {
        return vr_err(err, -ENODEV, "the host's driver vfio-pci is not loaded: modprobe vfio-pci");
    }
    return 0;
}

static bool change_wanted(const struct vireo_pci_device *dev, const struct vireo_pci_device *d,
                          bool whole_group)
{
    return d == dev || (whole_group && dev->iommu_group >= 0 &&
                        d->iommu_group == dev->iommu_group && d->kind != VIREO_PCI_BRIDGE);
}

static int change_vfio(const struct vireo_pci *pci, struct vireo_pci_addr addr, bool whole_group,
                       bool bind, struct vireo_plan **ret_plan, struct vr_error *err)
{
    const struct vireo_pci_device *dev;
    struct vireo_plan *plan;
    int r = change_find(pci, addr, &dev, err);
    r = r < 0 ? r : vr_plan_create(&pci->fs, &plan, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < pci->count; i++) {
        const struct vireo_pci_device *d = &pci->devices[i];
        if (!change_wanted(dev, d, whole_group) || vr_pci_is_vfio_driver(d->driver) == bind) {
            continue;
        }
        r = bind ? change_bind_may(pci, d, err) : 0;
        if (r == 0 && bind) {
            change_bind(plan, d);
        } else if (r == 0) {
            change_unbind(plan, d);
        }
    }
    return vr_plan_finish(plan, r, ret_plan, err);
}

int vireo_plan_vfio_bind(const struct vireo_pci *pci, struct vireo_pci_addr addr, bool whole_group,
                         struct vireo_plan **ret_plan, struct vr_error *err)
{
    return change_vfio(pci, addr, whole_group, true, ret_plan, err);
}

int vireo_plan_vfio_unbind(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                           bool whole_group, struct vireo_plan **ret_plan, struct vr_error *err)
{
    return change_vfio(pci, addr, whole_group, false, ret_plan, err);
}
