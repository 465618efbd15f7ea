/* The host's PCI devices as JSON, from a scan of vireo/host_pci.h. */
#include "control/pci.h"
#include "base/alloc.h"
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

int vr_query_vfs(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                 struct vireo_vf **ret_list, size_t *ret_count, struct vr_error *err)
{
    size_t count, cap;
    int r = vireo_sriov_list(pci, addr, NULL, 0, &cap, err);
    if (r < 0) {
        return r;
    }
    struct vireo_vf *list = vr_zalloc_array(cap, sizeof(*list));
    if (!list) {
        return vr_err(err, -ENOMEM, "no memory for %zu virtual functions", cap);
    }
    r = vireo_sriov_list(pci, addr, list, cap, &count, err);
    if (r < 0) {
        free(list);
        return r;
    }
    *ret_list = list;
    *ret_count = count < cap ? count : cap; /* some may have come meanwhile */
    return 0;
}

static json_t *pci_vf_settings(const struct vireo_vf_settings *s)
{
    char text[VIREO_VF_SETTING_SIZE];
    json_t *o = json_object();
    if (s->known & VIREO_VF_MAC) {
        vireo_vf_setting_format(s, VIREO_VF_MAC, text);
        json_object_set_new(o, "mac", json_string(text + strlen("mac=")));
    }
    if (s->known & VIREO_VF_VLAN) {
        json_object_set_new(o, "vlan", json_integer(s->vlan));
        json_object_set_new(o, "qos", json_integer(s->qos));
    }
    if (s->known & VIREO_VF_RATE) {
        json_object_set_new(o, "min_mbps", json_integer(s->min_mbps));
        json_object_set_new(o, "max_mbps", json_integer(s->max_mbps));
    }
    if (s->known & VIREO_VF_TRUST) {
        json_object_set_new(o, "trusted", json_boolean(s->trusted));
    }
    if (s->known & VIREO_VF_SPOOF_CHECK) {
        json_object_set_new(o, "spoof_check", json_boolean(s->spoof_check));
    }
    if (s->known & VIREO_VF_LINK) {
        json_object_set_new(o, "link", json_string(vireo_vf_link_name(s->link)));
    }
    return o;
}

static json_t *pci_vf_stats(const struct vireo_vf *vf)
{
    const struct vireo_vf_stats *s = &vf->stats;
    return !vf->has_stats
               ? json_null()
               : json_pack("{s:I, s:I, s:I, s:I, s:I, s:I, s:I, s:I}", "rx_packets",
                           (json_int_t)s->rx_packets, "tx_packets", (json_int_t)s->tx_packets,
                           "rx_bytes", (json_int_t)s->rx_bytes, "tx_bytes", (json_int_t)s->tx_bytes,
                           "rx_broadcast", (json_int_t)s->broadcast, "rx_multicast",
                           (json_int_t)s->multicast, "rx_dropped", (json_int_t)s->rx_dropped,
                           "tx_dropped", (json_int_t)s->tx_dropped);
}

json_t *vr_query_vfs_json(const struct vireo_vf *list, size_t count)
{
    json_t *all = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct vireo_vf *vf = &list[i];
        json_array_append_new(
            all, json_pack("{s:i, s:o, s:s, s:o, s:o, s:o}", "index", (int)vf->index, "address",
                           pci_addr(vf->addr), "owner", vireo_vf_owner_name(vf->owner), "driver",
                           pci_name(vf->driver), "settings", pci_vf_settings(&vf->settings),
                           "stats", pci_vf_stats(vf)));
    }
    return all;
}

static json_t *pci_sriov(const struct vireo_pci *pci, const struct vireo_pci_device *dev)
{
    struct vireo_vf *list = NULL;
    size_t count = 0;
    json_t *vfs = dev->sriov_total && vr_query_vfs(pci, dev->addr, &list, &count, NULL) == 0
                      ? vr_query_vfs_json(list, count)
                      : json_array();
    free(list);
    return json_pack("{s:i, s:i, s:b, s:o, s:o}", "total", (int)dev->sriov_total, "count",
                     (int)dev->sriov_count, "autoprobe", (int)dev->sriov_autoprobe, "physfn",
                     dev->is_vf ? pci_addr(dev->physfn) : json_null(), "vfs", vfs);
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
                     "rom_bytes", (json_int_t)dev->rom_bytes, "sriov", pci_sriov(pci, dev), "gpu",
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
