/* query-pci (QEMU, qapi/pci.json): the PCI functions, bus by bus. */
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

static json_t *pci_function(const struct vr_virt_pci *row)
{
    json_t *id = json_pack("{s:i, s:i}", "device", row->device, "vendor", row->vendor);
    if (!row->bridge) {
        (void)json_object_set_new(id, "subsystem", json_integer(row->subdevice));
        (void)json_object_set_new(id, "subsystem-vendor", json_integer(row->subvendor));
    }
    return json_pack("{s:i, s:i, s:i, s:{s:i}, s:o, s:i, s:s, s:o}", "bus", (int)row->bus, "slot",
                     (int)row->slot, "function", (int)row->function, "class_info", "class",
                     (int)(row->class_code >> 8), "id", id, "irq_pin", (int)row->irq_pin, "qdev_id",
                     row->dev->id, "regions", pci_regions(row));
}

/* The devices of bus @number in @list, which is added if need be. */
static json_t *pci_bus(json_t *list, unsigned number)
{
    size_t i;
    json_t *bus;
    json_array_foreach(list, i, bus)
    {
        if (json_integer_value(json_object_get(bus, "bus")) == (json_int_t)number) {
            return json_object_get(bus, "devices");
        }
    }
    bus = json_pack("{s:i, s:[]}", "bus", (int)number, "devices");
    (void)json_array_append_new(list, bus);
    return json_object_get(bus, "devices");
}

int vr_qmp_query_pci(struct vr_qmp_call *call, struct vr_error *err)
{
    struct vr_virt_pci row;
    json_t *list = json_array();
    vr_machine_hold_devs(call->vm->machine);
    for (unsigned i = 0; list && vr_virt_pci_row(call->vm->virt, i, &row); i++) {
        (void)json_array_append_new(pci_bus(list, row.bus), pci_function(&row));
    }
    vr_machine_release_devs(call->vm->machine);
    return vr_qmp_done(call, list, err);
}
