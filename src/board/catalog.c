/* Machines and device classes as lists. */
#include "board/catalog.h"
#include "base/bits.h"
#include "board/virt_riscv.h"
#include "board/virt_riscv_priv.h"
#include "cpu/jit/jit.h"
#include "dev/pci/own.h"

#include <errno.h>
#include <string.h>

#define VR_DEV(name) extern const struct vr_dev_class vr_##name##_class;
#include "dev/list.h"

#define VR_DEV(name) &vr_##name##_class,
static const struct vr_dev_class *const catalog_classes[] = {
#include "dev/list.h"
};

static const struct vr_catalog_machine catalog_machines[] = {
    {.name = "virt",
     .arch = "riscv64",
     .help =
         "RISC-V virt: the memory map of QEMU's machine of that name, so that stock kernels and "
         "firmware run unmodified",
     .cpus_max = VR_MAX_VCPUS,
     .disks_max = VR_VIRT_DISKS,
     .nets_max = VR_VIRT_NETS,
     .slots = VR_VIRT_MMIO_SLOTS,
     .ram_min_bytes = VR_VIRT_RAM_MIN,
     .ram_gpa = VIRT_RAM},
};

const struct vr_dev_class *vr_catalog_class(unsigned i)
{
    return i < VR_COUNT(catalog_classes) ? catalog_classes[i] : NULL;
}

const struct vr_dev_class *vr_catalog_find_class(const char *name)
{
    for (unsigned i = 0; i < VR_COUNT(catalog_classes); i++) {
        if (strcmp(catalog_classes[i]->name, name) == 0) {
            return catalog_classes[i];
        }
    }
    return NULL;
}

int vr_catalog_own_create(const struct vireo_function_class *given, void *opaque,
                          struct vr_own_class **ret_own, struct vr_error *err)
{
    if (given->name && vr_catalog_find_class(given->name)) {
        return vr_err(err, -EEXIST, "device class '%s': Vireo has one of this name", given->name);
    }
    return vr_own_class_create(given, opaque, ret_own, err);
}

void vr_catalog_own_hold(struct vr_own_class *own)
{
    vr_own_class_hold(own);
}

void vr_catalog_own_release(struct vr_own_class *own)
{
    vr_own_class_release(own);
}

const char *vr_catalog_own_name(const struct vr_own_class *own)
{
    return vr_own_class_of(own)->name;
}

int vr_catalog_jit(struct vr_error *err)
{
    return vr_jit_available(err);
}

const struct vr_catalog_machine *vr_catalog_machine(unsigned i)
{
    return i < VR_COUNT(catalog_machines) ? &catalog_machines[i] : NULL;
}
