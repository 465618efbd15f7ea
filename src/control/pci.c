/* The host's PCI devices as JSON, from a scan of vireo/host_pci.h. */
#include "control/pci.h"
#include "base/bits.h"

#include <errno.h>
#include <string.h>

/* A name of pci.ids: null when there is none, or it is no UTF-8. */
static json_t *pci_name(const char *name)
{
    json_t *s = *name ? json_string(name) : NULL;
    return s ? s : json_null();
}

static json_t *pci_addr(struct vireo_pci_addr addr)
{
    char text[VIREO_PCI_ADDR_SIZE];
    return json_string(vireo_pci_addr_format(addr, text));
}

static json_t *pci_bars(const struct vireo_pci_device *dev)
{
    static const char *const kinds[] = {"none", "io", "mem32", "mem64"};
    json_t *list = json_array();
    for (unsigned i = 0; i < VIREO_PCI_BARS; i++) {
        const struct vireo_pci_bar *bar = &dev->bars[i];
        if (bar->kind != VIREO_BAR_NONE) {
            json_array_append_new(
                list, json_pack("{s:i, s:s, s:b, s:I, s:I}", "bar", (int)i, "kind",
                                kinds[bar->kind], "prefetchable", (int)bar->prefetchable, "start",
                                (json_int_t)bar->start, "size_bytes", (json_int_t)bar->len_bytes));
        }
    }
    return list;
}

static json_t *pci_ready(const struct vireo_pci *pci, const struct vireo_pci_device *dev)
{
    static const char *const verdicts[] = {"ready", "after", "not"};
    struct vireo_readiness ready;
    json_t *list = json_array();
    if (vireo_pci_readiness(pci, dev->addr, &ready, NULL) < 0) {
        ready = (struct vireo_readiness){.verdict = VIREO_READY_NOT};
    }
    for (size_t i = 0; i < ready.reason_count; i++) {
        const struct vireo_ready_reason *reason = &ready.reasons[i];
        json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "weight", verdicts[reason->weight],
                                              "what", reason->what, "todo", reason->todo));
    }
    return json_pack("{s:s, s:o}", "verdict", verdicts[ready.verdict], "reasons", list);
}

static json_t *pci_gpu(const struct vireo_pci_device *dev)
{
    if (dev->kind != VIREO_PCI_GPU) {
        return json_null();
    }
    return json_pack("{s:s, s:s, s:I, s:I}", "maker", vireo_gpu_maker_name(dev->gpu_maker), "type",
                     vireo_gpu_type_name(dev->gpu_type), "aperture_bytes",
                     (json_int_t)dev->gpu_aperture_bytes, "memory_bytes",
                     (json_int_t)dev->gpu_memory_bytes);
}

static json_t *pci_sriov(const struct vireo_pci_device *dev)
{
    return json_pack("{s:i, s:i, s:b, s:o}", "total", (int)dev->sriov_total, "count",
                     (int)dev->sriov_count, "autoprobe", (int)dev->sriov_autoprobe, "physfn",
                     dev->is_vf ? pci_addr(dev->physfn) : json_null());
}

static json_t *pci_device(const struct vireo_pci *pci, const struct vireo_pci_device *dev)
{
    json_t *names = json_pack("{s:o, s:o, s:o, s:o}", "vendor", pci_name(dev->vendor_name),
                              "device", pci_name(dev->device_name), "subsystem",
                              pci_name(dev->subsystem_name), "class", pci_name(dev->class_name));
    json_t *ids = json_pack("{s:i, s:i, s:i, s:i, s:i, s:i}", "vendor", (int)dev->vendor_id,
                            "device", (int)dev->device_id, "subsystem_vendor",
                            (int)dev->subsystem_vendor_id, "subsystem", (int)dev->subsystem_id,
                            "class", (int)dev->class_code, "revision", (int)dev->revision);
    return json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:i, s:i, s:o, s:b, s:b, s:o, s:I, s:o, s:o, "
                     "s:o}",
                     "address", pci_addr(dev->addr), "kind", vireo_pci_kind_name(dev->kind), "ids",
                     ids, "names", names, "driver", pci_name(dev->driver), "driver_override",
                     pci_name(dev->driver_override), "numa_node", dev->numa_node, "iommu_group",
                     dev->iommu_group, "iommu", pci_name(dev->iommu), "boot_vga",
                     (int)dev->boot_vga, "can_reset", (int)dev->can_reset, "bars", pci_bars(dev),
                     "rom_bytes", (json_int_t)dev->rom_bytes, "sriov", pci_sriov(dev), "gpu",
                     pci_gpu(dev), "passthrough", pci_ready(pci, dev));
}

static bool pci_any(const struct vireo_pci_device *dev)
{
    (void)dev;
    return true;
}

static bool pci_is_gpu(const struct vireo_pci_device *dev)
{
    return dev->kind == VIREO_PCI_GPU;
}

static bool pci_has_sriov(const struct vireo_pci_device *dev)
{
    return dev->sriov_total > 0 || dev->is_vf;
}

static json_t *pci_list(const struct vireo_pci *pci,
                        bool (*wanted)(const struct vireo_pci_device *dev))
{
    json_t *list = json_array();
    for (size_t i = 0; i < vireo_pci_count(pci); i++) {
        const struct vireo_pci_device *dev = vireo_pci_at(pci, i);
        if (wanted(dev)) {
            json_array_append_new(list, pci_device(pci, dev));
        }
    }
    return list;
}

static json_t *pci_iommu(const struct vireo_pci *pci)
{
    json_t *groups = json_array();
    for (size_t i = 0; i < vireo_iommu_group_count(pci); i++) {
        const struct vireo_iommu_group *g = vireo_iommu_group_at(pci, i);
        json_t *devices = json_array();
        for (size_t k = 0; k < g->device_count; k++) {
            json_array_append_new(devices, pci_addr(g->devices[k]));
        }
        json_array_append_new(groups,
                              json_pack("{s:i, s:o, s:b, s:b, s:o, s:i}", "group", g->number,
                                        "type", pci_name(g->type), "no_iommu", (int)g->no_iommu,
                                        "firmware_mapped", (int)g->firmware_mapped, "devices",
                                        devices, "other_count", (int)g->other_count));
    }
    return json_pack("{s:s, s:o}", "kind", vireo_iommu_kind_name(vireo_iommu_kind(pci)), "groups",
                     groups);
}

static const struct {
    const char *name;
    bool (*wanted)(const struct vireo_pci_device *dev); /* NULL: not a list of devices */
} pci_views[] = {{"pci", pci_any}, {"gpu", pci_is_gpu}, {"iommu", NULL}, {"sriov", pci_has_sriov}};

const char *vr_query_pci_view(unsigned i)
{
    return i < VR_COUNT(pci_views) ? pci_views[i].name : NULL;
}

int vr_query_pci(const struct vireo_pci *pci, const char *view, json_t **ret_json,
                 struct vr_error *err)
{
    for (unsigned i = 0; i < VR_COUNT(pci_views); i++) {
        if (strcmp(view, pci_views[i].name) == 0) {
            json_t *value =
                pci_views[i].wanted ? pci_list(pci, pci_views[i].wanted) : pci_iommu(pci);
            json_t *all = json_pack("{s:o}", view, value);
            if (!all) {
                return vr_err(err, -ENOMEM, "no memory to describe the PCI devices");
            }
            *ret_json = all;
            return 0;
        }
    }
    return vr_err(err, -EINVAL, "no view '%s' of the PCI devices", view);
}
