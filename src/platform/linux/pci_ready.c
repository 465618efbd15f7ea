/*
 * What stands between a device and a guest: the conditions of Documentation/driver-api/vfio.rst of
 * Linux (a group is viable when none of its devices has a host driver), and what experience adds.
 */
#include "platform/pci_ready.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void vr_ready_add(struct vr_ready *c, enum vireo_ready weight, const char *todo, const char *fmt,
                  ...)
{
    struct vireo_readiness *out = c->out;
    if (weight > out->verdict) {
        out->verdict = weight;
    }
    if (out->reason_count < VIREO_READY_REASONS) {
        struct vireo_ready_reason *reason = &out->reasons[out->reason_count++];
        va_list ap;
        reason->weight = weight;
        va_start(ap, fmt);
        vsnprintf(reason->what, sizeof(reason->what), fmt, ap);
        va_end(ap);
        snprintf(reason->todo, sizeof(reason->todo), "%s", todo);
    }
}

bool vr_pci_is_vfio_driver(const char *driver)
{
    /* vfio-pci, and its relatives for one vendor: mlx5_vfio_pci, nvgrace-gpu-vfio-pci, ... */
    size_t len = strlen(driver), tail = strlen("vfio-pci");
    return len >= tail && (strcmp(driver + len - tail, "vfio-pci") == 0 ||
                           strcmp(driver + len - tail, "vfio_pci") == 0);
}

static void ready_iommu(struct vr_ready *c)
{
    if (!c->group && c->pci->group_count == 0) {
        vr_ready_add(c, VIREO_READY_NOT,
                     "switch it on in the firmware's setup (VT-d, AMD-Vi, SMMU) and boot with "
                     "intel_iommu=on where that is needed; in a guest: give it a virtual IOMMU",
                     "this host has no IOMMU, or it is not switched on");
    } else if (!c->group) {
        vr_ready_add(c, VIREO_READY_NOT, "another slot may be behind one",
                     "the device is in no IOMMU group: no IOMMU watches over its slot");
    } else if (c->group->no_iommu) {
        vr_ready_add(
            c, VIREO_READY_NOT, "switch a real IOMMU on",
            "group %d is VFIO's unsafe mode: the guest could reach all of the host's memory",
            c->group->number);
    } else if (c->group->firmware_mapped) {
        vr_ready_add(c, VIREO_READY_NOT,
                     "look for a firmware setting that frees the device, or update",
                     "the firmware keeps memory of the host mapped for group %d: VFIO refuses it",
                     c->group->number);
    }
}

static void ready_neighbours(struct vr_ready *c)
{
    char name[VIREO_PCI_ADDR_SIZE];
    for (size_t i = 0; c->group && i < c->group->device_count; i++) {
        struct vireo_pci_addr addr = c->group->devices[i];
        const struct vireo_pci_device *other = vireo_pci_find(c->pci, addr);
        vireo_pci_addr_format(addr, name);
        if (other == c->dev) {
            continue;
        }
        if (!other) {
            vr_ready_add(c, VIREO_READY_AFTER, "scan again; the scan's problems may name it",
                         "%s, of the same IOMMU group %d, could not be read", name,
                         c->group->number);
        } else if (other->kind != VIREO_PCI_BRIDGE && *other->driver &&
                   !vr_pci_is_vfio_driver(other->driver) &&
                   strcmp(other->driver, "pci-stub") != 0) {
            vr_ready_add(
                c, VIREO_READY_AFTER,
                "bind that one to vfio-pci as well, or unbind its driver; or use another slot",
                "%s shares IOMMU group %d and is used by the host's driver %s", name,
                c->group->number, other->driver);
        }
    }
    if (c->group && c->group->other_count) {
        vr_ready_add(c, VIREO_READY_AFTER, "unbind their drivers",
                     "%zu devices that are not PCI share IOMMU group %d", c->group->other_count,
                     c->group->number);
    }
}

/* Where the tree shows modules at all; type 1 has parameters, so it is there also when built in. */
static void ready_mappings(struct vr_ready *c)
{
    if (vr_sysfs_exists(&c->pci->fs, "sys/module/vfio_pci") &&
        !vr_sysfs_exists(&c->pci->fs, "sys/module/vfio_iommu_type1") &&
        !vr_sysfs_exists(&c->pci->fs, "dev/iommu")) {
        vr_ready_add(c, VIREO_READY_AFTER, "modprobe vfio_iommu_type1",
                     "nothing makes DMA mappings for VFIO: neither vfio_iommu_type1 nor iommufd is "
                     "loaded");
    }
}

static void ready_driver(struct vr_ready *c)
{
    if (vr_pci_is_vfio_driver(c->dev->driver)) {
        return;
    }
    if (*c->dev->driver) {
        vr_ready_add(c, VIREO_READY_AFTER, "bind it to vfio-pci", "the host's driver %s uses it",
                     c->dev->driver);
    } else {
        vr_ready_add(c, VIREO_READY_AFTER, "bind it to vfio-pci", "no driver is bound to it");
    }
    if (!vr_sysfs_exists(&c->pci->fs, "sys/bus/pci/drivers/vfio-pci")) {
        vr_ready_add(c, VIREO_READY_AFTER, "modprobe vfio-pci",
                     "the host's driver vfio-pci is not loaded");
    }
}

/* Interfaces in folder @attr of the device that are up. */
static void ready_links_in(struct vr_ready *c, const char *attr)
{
    char path[VR_SYSFS_PATH], text[32];
    struct vr_sysfs_list names;
    if (vr_sysfs_list(&c->pci->fs, vr_pci_path(path, c->dev->addr, attr), &names) < 0) {
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        char file[VR_SYSFS_PATH];
        int len = snprintf(file, sizeof(file), "%s/%.64s/operstate", attr, names.names[i]);
        if (len < (int)sizeof(file) - 64 &&
            vr_sysfs_text(&c->pci->fs, vr_pci_path(path, c->dev->addr, file), text, sizeof(text)) ==
                0 &&
            strcmp(text, "up") == 0) {
            vr_ready_add(c, VIREO_READY, "make sure that the host does not need it",
                         "its network interface %.64s is up: the host loses it", names.names[i]);
        }
    }
    vr_sysfs_list_free(&names);
}

static void ready_use(struct vr_ready *c)
{
    char path[VR_SYSFS_PATH], file[VR_SYSFS_PATH];
    struct vr_sysfs_list names;
    ready_links_in(c, "net");
    if (vr_sysfs_list(&c->pci->fs, vr_pci_path(path, c->dev->addr, "."), &names) == 0) {
        for (size_t i = 0; i < names.count; i++) {
            if (strncmp(names.names[i], "virtio", 6) == 0 && strlen(names.names[i]) < 32) {
                snprintf(file, sizeof(file), "%s/net", names.names[i]);
                ready_links_in(c, file);
            }
        }
        vr_sysfs_list_free(&names);
    }
    if (c->dev->sriov_count) {
        vr_ready_add(c, VIREO_READY_AFTER, "delete them, or give those to guests instead",
                     "it has %u virtual functions, which would go with it", c->dev->sriov_count);
    }
    if (c->dev->boot_vga) {
        vr_ready_add(c, VIREO_READY, "log in by network or a serial line",
                     "it is the display that the host started on: the host's console goes dark");
    }
    if (!c->dev->can_reset) {
        vr_ready_add(c, VIREO_READY,
                     "after a guest that used it, power the host off and on if need be",
                     "the host knows no way to reset it alone");
    }
}

static void ready_rights(struct vr_ready *c)
{
    char path[64];
    if (c->out->verdict != VIREO_READY || !vr_sysfs_exists(&c->pci->fs, "dev/vfio")) {
        return;
    }
    snprintf(path, sizeof(path), "dev/vfio/%d", c->dev->iommu_group);
    int r = vr_sysfs_access(&c->pci->fs, path);
    if (r == -ENOENT) {
        vr_ready_add(c, VIREO_READY_AFTER, "in a container: have it passed in; else look at udev",
                     "/%s is not there", path);
    } else if (r < 0) {
        vr_ready_add(c, VIREO_READY_AFTER, "have its owner or group changed to yours (chown, udev)",
                     "you may not open /%s: %s", path, strerror(-r));
    }
}

int vireo_pci_readiness(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                        struct vireo_readiness *ret_readiness, struct vr_error *err)
{
    struct vr_ready c = {.pci = pci, .dev = vireo_pci_find(pci, addr), .out = ret_readiness};
    char name[VIREO_PCI_ADDR_SIZE];
    if (!c.dev) {
        return vr_err(err, -ENODEV, "%s: this host has no such PCI device",
                      vireo_pci_addr_format(addr, name));
    }
    *ret_readiness = (struct vireo_readiness){.verdict = VIREO_READY};
    if (c.dev->kind == VIREO_PCI_BRIDGE) {
        vr_ready_add(&c, VIREO_READY_NOT, "pass the devices behind it",
                     "it is a bridge: the host cannot do without it");
        return 0;
    }
    c.group = c.dev->iommu_group < 0 ? NULL : vireo_iommu_group_find(pci, c.dev->iommu_group);
    ready_iommu(&c);
    ready_neighbours(&c);
    ready_driver(&c);
    ready_mappings(&c);
    ready_use(&c);
    vr_ready_gpu(&c);
    ready_rights(&c);
    return 0;
}
