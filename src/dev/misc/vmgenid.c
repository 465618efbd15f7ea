/*
 * Virtual machine generation ID: 128 bits that are others whenever a guest goes on from a state
 * that it, or a copy of it, may have gone on from before: after a fork, after a snapshot was
 * restored. They stay as they are while the machine is paused, reset or migrated. The interrupt
 * tells of a change, by one pulse; there is nothing to acknowledge. Linux (drivers/virt/vmgenid.c)
 * makes its random numbers anew then.
 *
 * Specification: Microsoft, "Virtual Machine Generation ID" (2012), which wants ACPI; device trees:
 * Linux, Documentation/devicetree/bindings/rng/microsoft,vmgenid.yaml.
 */
#include "dev/misc/vmgenid.h"

#include "platform/random.h"

#include <inttypes.h>

struct genid {
    struct vr_dev dev;
    struct vr_irq irq;
    uint64_t low, high; /* config */
    uint64_t id[2];     /* state */
    uint64_t keep[2];   /* host: the same, for a reset, which does not change it */
};
#define GENID(d) ((struct genid *)(d))

static int genid_init(struct vr_dev *d, struct vr_error *err)
{
    struct genid *s = GENID(d);
    (void)err;
    s->id[0] = s->keep[0] = s->low;
    s->id[1] = s->keep[1] = s->high;
    return 0;
}

static void genid_reset(struct vr_dev *d)
{
    GENID(d)->id[0] = GENID(d)->keep[0];
    GENID(d)->id[1] = GENID(d)->keep[1];
}

static int genid_loaded(struct vr_dev *d, struct vr_error *err)
{
    (void)err;
    GENID(d)->keep[0] = GENID(d)->id[0];
    GENID(d)->keep[1] = GENID(d)->id[1];
    return 0;
}

int vr_vmgenid_renew(struct vr_dev *dev, struct vr_error *err)
{
    struct genid *s = GENID(dev);
    uint64_t id[2];
    int r = vr_random_bytes(id, sizeof(id), err);
    if (r == 0) {
        vr_dev_lock(dev);
        s->id[0] = s->keep[0] = id[0];
        s->id[1] = s->keep[1] = id[1];
        vr_irq_set(&s->irq, true);
        vr_irq_set(&s->irq, false);
        vr_dev_unlock(dev);
    }
    return r;
}

struct vr_irq *vr_vmgenid_irq(struct vr_dev *dev)
{
    return &GENID(dev)->irq;
}

static int genid_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "rng@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "microsoft,vmgenid");
    vr_fdt_reg(fdt, at);
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct genid
static const struct vr_field genid_fields[] = {
    VR_HOST(irq, "a wire, low but for the moment of a pulse"),
    VR_CONFIG(low, "low half of the generation to begin with"),
    VR_CONFIG(high, "high half of it"),
    VR_STATE_ARRAY(id, "the generation, low half first"),
    VR_HOST(keep, "a copy of the generation"),
    VR_FIELD_END,
};
static const struct vr_reg genid_regs[] = {
    VR_REG_ARRAY_OF(0, 8, "generation", id, 2, 8, "the generation, read at any width",
                    .flex = true),
    VR_REG_END,
};

const struct vr_dev_class vr_vmgenid_class = {
    .name = "vmgenid",
    .help = "virtual machine generation ID",
    .size = sizeof(struct genid),
    .version = 1,
    .fields = genid_fields,
    .windows = {{.name = "vmgenid", .len = 0x1000, .regs = genid_regs}},
    .init = genid_init,
    .reset = genid_reset,
    .loaded = genid_loaded,
    .describe = genid_describe,
};
