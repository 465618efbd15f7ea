/* IOMMUs and their groups: Documentation/ABI/testing/sysfs-kernel-iommu_groups of Linux. */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "platform/pci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define GROUPS "sys/kernel/iommu_groups"

static int groups_by_number(const void *a, const void *b)
{
    const struct vireo_iommu_group *x = a, *y = b;
    return x->number < y->number ? -1 : x->number > y->number;
}

static int groups_by_addr(const void *a, const void *b)
{
    const struct vireo_pci_addr *x = a, *y = b;
    return vireo_pci_addr_compare(*x, *y);
}

static int groups_members(const struct vr_sysfs *fs, struct vireo_iommu_group *group)
{
    char path[VR_SYSFS_PATH];
    struct vr_sysfs_list names;
    snprintf(path, sizeof(path), GROUPS "/%d/devices", group->number);
    int r = vr_sysfs_list(fs, path, &names);
    if (r < 0) {
        return r;
    }
    struct vireo_pci_addr *devices = vr_zalloc_array(names.count, sizeof(*devices));
    for (size_t i = 0; devices && i < names.count; i++) {
        if (vireo_pci_addr_parse(names.names[i], &devices[group->device_count], NULL) == 0) {
            group->device_count++;
        } else {
            group->other_count++;
        }
    }
    vr_sysfs_list_free(&names);
    if (!devices) {
        return -ENOMEM;
    }
    if (group->device_count) {
        qsort(devices, group->device_count, sizeof(*devices), groups_by_addr);
    }
    group->devices = devices;
    return 0;
}

/* Lines "0x... 0x... TYPE"; of type direct are those that must stay mapped. */
static bool groups_have_direct(const char *text)
{
    for (const char *at = text; (at = strstr(at, " direct")); at++) {
        char behind = at[strlen(" direct")];
        if (behind == 0 || behind == '\n') {
            return true;
        }
    }
    return false;
}

static int groups_one(const struct vr_sysfs *fs, struct vireo_iommu_group *group)
{
    char path[VR_SYSFS_PATH], text[VR_SYSFS_TEXT];
    int r = groups_members(fs, group);
    if (r < 0) {
        return r;
    }
    snprintf(path, sizeof(path), GROUPS "/%d/type", group->number);
    if (vr_sysfs_text(fs, path, group->type, sizeof(group->type)) < 0) {
        group->type[0] = 0;
    }
    snprintf(path, sizeof(path), GROUPS "/%d/name", group->number);
    group->no_iommu =
        vr_sysfs_text(fs, path, text, sizeof(text)) == 0 && strcmp(text, "vfio-noiommu") == 0;
    snprintf(path, sizeof(path), GROUPS "/%d/reserved_regions", group->number);
    group->firmware_mapped =
        vr_sysfs_text(fs, path, text, sizeof(text)) == 0 && groups_have_direct(text);
    return 0;
}

static enum vireo_iommu_kind groups_kind(const struct vr_sysfs *fs)
{
    static const struct {
        const char *prefix;
        enum vireo_iommu_kind kind;
    } kinds[] = {
        {"dmar", VIREO_IOMMU_INTEL},        {"ivhd", VIREO_IOMMU_AMD},
        {"smmu3", VIREO_IOMMU_ARM_SMMU_V3}, {"smmu", VIREO_IOMMU_ARM_SMMU},
        {"riscv-iommu", VIREO_IOMMU_RISCV}, {"virtio", VIREO_IOMMU_VIRTIO},
    };
    struct vr_sysfs_list names;
    enum vireo_iommu_kind kind = VIREO_IOMMU_NONE;
    if (vr_sysfs_list(fs, "sys/class/iommu", &names) < 0) {
        return kind;
    }
    if (names.count) {
        kind = VIREO_IOMMU_OTHER;
        for (size_t i = 0; i < VR_COUNT(kinds); i++) {
            if (strncmp(names.names[0], kinds[i].prefix, strlen(kinds[i].prefix)) == 0) {
                kind = kinds[i].kind;
                break;
            }
        }
    }
    vr_sysfs_list_free(&names);
    return kind;
}

int vr_pci_scan_groups(struct vireo_pci *pci, struct vr_error *err)
{
    struct vr_sysfs_list names;
    pci->iommu_kind = groups_kind(&pci->fs);
    int r = vr_sysfs_list(&pci->fs, GROUPS, &names);
    if (r == -ENOENT) {
        return 0; /* a kernel without IOMMUs */
    }
    if (r < 0) {
        return vr_err(err, r, GROUPS ": %s", strerror(-r));
    }
    pci->groups = vr_zalloc_array(names.count, sizeof(*pci->groups));
    r = pci->groups ? 0 : -ENOMEM;
    for (size_t i = 0; r == 0 && i < names.count; i++) {
        struct vireo_iommu_group *group = &pci->groups[pci->group_count];
        uint64_t number;
        if (vr_parse_u64(names.names[i], &number) < 0 || number > INT32_MAX) {
            continue;
        }
        *group = (struct vireo_iommu_group){.number = (int)number};
        r = groups_one(&pci->fs, group);
        if (r == 0) {
            pci->group_count++;
        } else if (r != -ENOMEM) {
            r = 0; /* gone with its last device, or none of the kernel's making */
        }
    }
    vr_sysfs_list_free(&names);
    if (r < 0) {
        return vr_err(err, r, "no memory for the IOMMU groups");
    }
    if (pci->group_count) {
        qsort(pci->groups, pci->group_count, sizeof(*pci->groups), groups_by_number);
    }
    return 0;
}

void vr_pci_free_groups(struct vireo_pci *pci)
{
    for (size_t i = 0; i < pci->group_count; i++) {
        free((void *)(uintptr_t)pci->groups[i].devices);
    }
    free(pci->groups);
}

size_t vireo_iommu_group_count(const struct vireo_pci *pci)
{
    return pci->group_count;
}

const struct vireo_iommu_group *vireo_iommu_group_at(const struct vireo_pci *pci, size_t i)
{
    return i < pci->group_count ? &pci->groups[i] : NULL;
}

const struct vireo_iommu_group *vireo_iommu_group_find(const struct vireo_pci *pci, int number)
{
    struct vireo_iommu_group want = {.number = number};
    return pci->group_count
               ? bsearch(&want, pci->groups, pci->group_count, sizeof(want), groups_by_number)
               : NULL;
}

enum vireo_iommu_kind vireo_iommu_kind(const struct vireo_pci *pci)
{
    return pci->iommu_kind;
}
