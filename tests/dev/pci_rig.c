/* A small PCI Express machine for tests. */
#include "pci_rig.h"

#include "base/bits.h"
#include "dev/pci/caps.h"

/* --- Who takes messages --- */

struct msi_sink {
    struct vr_dev dev;
    uint32_t count, last;
};

static uint64_t sink_read(struct vr_dev *d, unsigned index)
{
    (void)index;
    return ((struct msi_sink *)d)->count;
}

static void sink_write(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    ((struct msi_sink *)d)->count++;
    ((struct msi_sink *)d)->last = (uint32_t)val;
}

#define VR_SELF struct msi_sink
static const struct vr_field sink_fields[] = {
    VR_STATE(count, "messages"),
    VR_STATE(last, "the last one"),
    VR_FIELD_END,
};
static const struct vr_reg sink_regs[] = {
    VR_REG(0, 4, "SINK", "messages", .count = 1024, .stride = 4, .read = sink_read,
           .write = sink_write),
    VR_REG_END,
};
static const struct vr_dev_class sink_class = {
    .name = "msi-sink",
    .help = "takes messages",
    .size = sizeof(struct msi_sink),
    .version = 1,
    .fields = sink_fields,
    .windows = {{.name = "msi", .len = 0x1000, .msi = true, .regs = sink_regs}},
};
#undef VR_SELF

unsigned pci_messages(struct pci_rig *r, uint32_t *ret_last)
{
    const struct msi_sink *s = (struct msi_sink *)r->sink;
    if (ret_last) {
        *ret_last = s->last;
    }
    return s->count;
}

/* --- The toy --- */

#define VR_SELF struct pci_toy
static uint64_t toy_pin(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_pci_of(d)->config[VR_PCI_STATUS] >> 3 & 1;
}

static void toy_set_pin(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_pci_set_intx(vr_pci_of(d), val & 1);
}

static void toy_interrupt(struct vr_dev *d, unsigned index, uint64_t val)
{
    struct vr_pci *pci = vr_pci_of(d);
    (void)index;
    if (vr_msix_enabled(pci)) {
        vr_msix_notify(pci->host.msix, (unsigned)val);
    } else if (vr_pci_msi_enabled(pci)) {
        vr_pci_msi_notify(pci, (unsigned)val);
    }
}

static const struct vr_reg toy_mem_regs[] = {
    VR_REG_OF(0, 4, "REG", reg, "storage", .wmask = UINT32_MAX),
    VR_REG(8, 4, "PIN", "INTx", .read = toy_pin, .write = toy_set_pin),
    VR_REG(12, 4, "NOTIFY", "a message", .write = toy_interrupt),
    VR_REG_END,
};
static const struct vr_reg toy_port_regs[] = {
    VR_REG_OF(0, 4, "PORT", port_reg, "storage", .wmask = UINT32_MAX),
    VR_REG_END,
};
static const struct vr_reg toy_big_regs[] = {
    VR_REG_OF(0, 8, "BIG", big, "storage", .flex = true, .wmask = UINT64_MAX),
    VR_REG_END,
};

static const struct vr_field toy_fields[] = {
    VR_PCI_FIELDS(pci),
    VR_MSIX_FIELDS(msix),
    VR_STATE(reg, "storage"),
    VR_STATE(port_reg, "storage"),
    VR_STATE(big, "storage"),
    VR_CONFIG(vfs, "of a PF"),
    VR_CONFIG(offset, "of the first VF", .def = 1),
    VR_CONFIG(stride, "of the others", .def = 1),
    VR_CONFIG(vf, "is it one"),
    VR_HOST(sriov, "VFs"),
    VR_FIELD_END,
};

static const struct vr_pci_class toy_pci = {
    .vendor = 0x1234,
    .device = 0x5678,
    .subvendor = 0x9abc,
    .subdevice = 0xdef0,
    .class_code = 0xff0102,
    .revision = 3,
    .intx = true,
    .bar = {[0] = {VR_PCI_BAR_MEM32, 1},
            [1] = {VR_PCI_BAR_IO, 2},
            [2] = {VR_PCI_BAR_MEM64_PREFETCH, 3},
            [4] = {VR_PCI_BAR_MEM64, 4}},
};

static int toy_init(struct vr_dev *d, struct vr_error *err)
{
    struct pci_toy *s = (struct pci_toy *)d;
    (void)err;
    if (s->vf) {
        vr_pci_init_vf(d, &toy_pci);
        vr_pci_add_express(&s->pci, VR_PCI_ENDPOINT);
        vr_msix_init(&s->pci, &s->msix, 8, 4);
        vr_pci_add_ari(&s->pci);
        return 0;
    }
    vr_pci_init(d, &toy_pci);
    vr_pci_add_power(&s->pci);
    vr_pci_add_express(&s->pci, VR_PCI_ENDPOINT);
    vr_pci_add_msi(&s->pci, 4);
    vr_msix_init(&s->pci, &s->msix, 8, 4);
    vr_pci_add_aer(&s->pci, false);
    if (s->vfs) {
        vr_pci_add_ari(&s->pci);
        vr_pci_add_sriov(&s->pci, &s->sriov, s->vfs, 0x5679, s->offset, s->stride);
    }
    return 0;
}

static int toy_loaded(struct vr_dev *d, struct vr_error *err)
{
    int r = vr_msix_loaded(&((struct pci_toy *)d)->msix, err);
    return r < 0 ? r : vr_pci_loaded(d, err);
}

const struct vr_dev_class pci_toy_class = {
    .name = "pci-toy",
    .help = "a toy",
    .size = sizeof(struct pci_toy),
    .pci = offsetof(struct pci_toy, pci),
    .version = 1,
    .fields = toy_fields,
    .windows = {VR_PCI_CONFIG_WINDOW,
                {.name = "mem", .len = 0x1000, .regs = toy_mem_regs},
                {.name = "ports", .len = 0x100, .regs = toy_port_regs},
                {.name = "big", .len = 0x10000, .regs = toy_big_regs},
                VR_MSIX_WINDOW},
    .init = toy_init,
    .reset = vr_pci_reset,
    .loaded = toy_loaded,
    .fini = vr_pci_fini,
};

/* --- The machine --- */

static struct vr_dev *rig_make(struct pci_rig *r, const struct vr_dev_class *cls, const char *id,
                               const char *opts)
{
    struct vr_dev *dev = NULL;
    struct vr_error err = {0};
    if (vr_dev_create(cls, id, opts, &r->rig.env, &dev, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return dev;
}

void pci_rig_init(struct pci_rig *r)
{
    memset(r, 0, sizeof(*r));
    rig_init(&r->rig);
    r->sink = rig_make(r, &sink_class, "sink", NULL);
    assert_int_equal(vr_dev_map(r->sink, 0, r->rig.env.mem, PCI_MSI, NULL), 0);
    r->host = rig_make(r, &vr_pci_host_class, "pci", NULL);
    assert_int_equal(vr_dev_map(r->host, VR_PCI_HOST_ECAM, r->rig.env.mem, PCI_ECAM, NULL), 0);
    for (unsigned i = 0; i < VR_PCI_INTX; i++) {
        vr_irq_connect(vr_pci_host_intx(r->host, i), sink_set, &r->line[i], i);
    }
}

void pci_rig_fini(struct pci_rig *r)
{
    vr_dev_destroy(r->host);
    vr_dev_destroy(r->sink);
    vr_view_cache_drop(r->rig.env.mem, &r->cache);
    rig_fini(&r->rig);
}

struct vr_dev *pci_rig_add(struct pci_rig *r, const struct vr_dev_class *cls, const char *id,
                           const char *opts, struct vr_pci_bus *bus, unsigned devfn)
{
    struct vr_dev *dev = rig_make(r, cls, id, opts);
    struct vr_error err = {0};
    vr_dev_lock(r->host);
    int res = vr_pci_plug(bus, devfn, vr_pci_of(dev), &err);
    vr_dev_unlock(r->host);
    if (res < 0) {
        fail_msg("%s", err.msg);
    }
    return dev;
}

static uint64_t cfg_gpa(unsigned bus, unsigned devfn, unsigned off)
{
    return PCI_ECAM + ((uint64_t)bus << 20 | devfn << 12 | off);
}

uint32_t pci_cfg(struct pci_rig *r, unsigned bus, unsigned devfn, unsigned off, unsigned width)
{
    return (uint32_t)pci_peek(r, cfg_gpa(bus, devfn, off), width);
}

void pci_cfg_set(struct pci_rig *r, unsigned bus, unsigned devfn, unsigned off, unsigned width,
                 uint32_t val)
{
    assert_true(pci_poke(r, cfg_gpa(bus, devfn, off), width, val));
}

unsigned pci_cap(struct pci_rig *r, unsigned bus, unsigned devfn, unsigned id, bool extended)
{
    unsigned at = extended ? VR_PCI_EXT : pci_cfg(r, bus, devfn, VR_PCI_CAP_PTR, 1);
    for (unsigned steps = 0; at && steps < 64; steps++) {
        uint32_t head = pci_cfg(r, bus, devfn, at, 4);
        if ((head & (extended ? 0xffff : 0xff)) == id) {
            return at;
        }
        at = extended ? head >> 20 : head >> 8 & 0xff;
        assert_int_equal(at & 3, 0);
    }
    assert_int_equal(at, 0);
    return 0;
}

uint64_t pci_peek(struct pci_rig *r, uint64_t gpa, unsigned width)
{
    uint64_t v;
    return vr_space_read(r->rig.env.mem, &r->cache, gpa, width, &v) < 0 ? UINT64_MAX : v;
}

bool pci_poke(struct pci_rig *r, uint64_t gpa, unsigned width, uint64_t val)
{
    return vr_space_write(r->rig.env.mem, &r->cache, gpa, width, val) == 0;
}
