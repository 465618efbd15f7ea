/* query-pci (QEMU, qapi/pci.json): the PCI functions, with those behind a bridge as parts of it. */
#include "control/qmp_commands.h"
#include "control/vm_priv.h"

static json_t *pci_regions(const struct vr_virt_pci *row)
{
    json_t *list = json_array();
    for (unsigned b = 0; b < VR_VIRT_PCI_BARS; b++) {
        const struct vr_virt_pci_bar *bar = &row->bar[b];
        if (bar->len == 0) {
            continue;
        }
        json_t *region =
            json_pack("{s:i, s:s, s:I, s:I}", "bar", (int)b, "type", bar->io ? "io" : "memory",
                      "address", (json_int_t)bar->gpa, "size", (json_int_t)bar->len);
        if (!bar->io) {
            (void)json_object_set_new(region, "prefetch", json_boolean(bar->prefetch));
            (void)json_object_set_new(region, "mem_type_64", json_boolean(bar->wide));
        }
        (void)json_array_append_new(list, region);
    }
    return list;
}

static json_t *pci_range(const struct vr_virt_pci_window *w)
{
    return json_pack("{s:I, s:I}", "base", (json_int_t)w->first, "limit", (json_int_t)w->last);
}

static json_t *pci_functions(struct vr_virt *virt, const struct vr_dev *above);

static json_t *pci_bridge(struct vr_virt *virt, const struct vr_virt_pci *row)
{
    json_t *bus = json_pack("{s:i, s:i, s:i, s:o, s:o, s:o}", "number", (int)row->bus, "secondary",
                            (int)row->secondary, "subordinate", (int)row->subordinate, "io_range",
                            pci_range(&row->io), "memory_range", pci_range(&row->mem),
                            "prefetchable_range", pci_range(&row->prefetch));
    return json_pack("{s:o, s:o}", "bus", bus, "devices", pci_functions(virt, row->dev));
}

static json_t *pci_function(struct vr_virt *virt, const struct vr_virt_pci *row)
{
    json_t *id = json_pack("{s:i, s:i}", "device", row->device, "vendor", row->vendor);
    if (!row->bridge) {
        (void)json_object_set_new(id, "subsystem", json_integer(row->subdevice));
        (void)json_object_set_new(id, "subsystem-vendor", json_integer(row->subvendor));
    }
    json_t *function =
        json_pack("{s:i, s:i, s:i, s:{s:i}, s:o, s:i, s:s, s:o}", "bus", (int)row->bus, "slot",
                  (int)row->slot, "function", (int)row->function, "class_info", "class",
                  (int)(row->class_code >> 8), "id", id, "irq_pin", (int)row->irq_pin, "qdev_id",
                  row->dev->id, "regions", pci_regions(row));
    if (row->bridge) {
        (void)json_object_set_new(function, "pci_bridge", pci_bridge(virt, row));
    }
    return function;
}

/* What is behind @above (NULL: on the root bus), with everything behind that. */
static json_t *pci_functions(struct vr_virt *virt, const struct vr_dev *above)
{
    struct vr_virt_pci row;
    json_t *list = json_array();
    for (unsigned i = 0; list && vr_virt_pci_row(virt, i, &row); i++) {
        if (row.above == above) {
            (void)json_array_append_new(list, pci_function(virt, &row));
        }
    }
    return list;
}

int vr_qmp_query_pci(struct vr_qmp_call *call, struct vr_error *err)
{
    vr_machine_hold_devs(call->vm->machine);
    json_t *list =
        json_pack("[{s:i, s:o}]", "bus", 0, "devices", pci_functions(call->vm->virt, NULL));
    vr_machine_release_devs(call->vm->machine);
    return vr_qmp_done(call, list, err);
}
