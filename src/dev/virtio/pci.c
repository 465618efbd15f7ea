/*
 * Virtio over PCI, modern.
 *
 * BAR 4 (64-bit, prefetchable) has four 4 KiB pages: common configuration, ISR status, device
 * configuration, and notification, where each queue has 4 bytes of its own. BAR 1 has the MSI-X
 * table, with a message for each queue and one for configuration changes. Registers take
 * accesses of their own width; 64-bit ones take their halves, or both at once.
 *
 * DMA and messages need the bus master bit; without it queues stand still.
 *
 * SR-IOV (option vfs): the function is a PF, offers SR_IOV, and can have as many VFs, which are
 * devices of the same class.
 *
 * Specification: VIRTIO 1.3, sections 4.1 and 6.
 */
#include "dev/virtio/pci.h"

#include "base/bits.h"
#include "dev/pci/caps.h"

enum { PCI_VENDOR = 0x1af4, PCI_DEVICE = 0x1040, PCI_SUBDEVICE = 0x1100, REVISION = 1 };
enum { BAR_MSIX = 1, BAR_REGS = 4 };
/* VFs follow their PF, as functions of its device or, behind a port, by ARI. */
enum { VF_OFFSET = 1, VF_STRIDE = 1 };
enum { ID_VENDOR_SPECIFIC = 0x09 };

/* virtio_pci_common_cfg (4.1.4.3) */
enum {
    DEVICE_FEATURE_SELECT = 0x00,
    DEVICE_FEATURE = 0x04,
    DRIVER_FEATURE_SELECT = 0x08,
    DRIVER_FEATURE = 0x0c,
    CONFIG_VECTOR = 0x10,
    NUM_QUEUES = 0x12,
    DEVICE_STATUS = 0x14,
    CONFIG_GENERATION = 0x15,
    QUEUE_SELECT = 0x16,
    QUEUE_SIZE = 0x18,
    QUEUE_VECTOR = 0x1a,
    QUEUE_ENABLE = 0x1c,
    QUEUE_NOTIFY_OFF = 0x1e,
    QUEUE_DESC = 0x20,
    QUEUE_DRIVER = 0x28,
    QUEUE_DEVICE = 0x30,
    QUEUE_RESET = 0x3a,
};

static struct vr_virtio_pci *vpci_of(struct vr_dev *d)
{
    return (struct vr_virtio_pci *)(void *)vr_pci_of(d); /* its first member */
}

/* --- Interrupts --- */

static void vpci_sync(struct vr_dev *d)
{
    struct vr_virtio *v = vr_virtio_of(d);
    v->host.no_dma = !vr_pci_is_master(vr_pci_of(d));
    vr_pci_set_intx(vr_pci_of(d), v->isr != 0);
}

static void vpci_used(struct vr_dev *d, unsigned queue)
{
    struct vr_virtio *v = vr_virtio_of(d);
    if (vr_msix_enabled(vr_pci_of(d))) {
        vr_msix_notify(&vpci_of(d)->msix, v->host.vq[queue].vector);
    } else {
        v->isr |= VR_VIRTIO_ISR_USED;
        vr_pci_set_intx(vr_pci_of(d), true);
    }
}

static void vpci_config_changed(struct vr_dev *d)
{
    struct vr_virtio *v = vr_virtio_of(d);
    v->isr |= VR_VIRTIO_ISR_CONFIG;
    vr_pci_set_intx(vr_pci_of(d), true);
    if (vr_msix_enabled(vr_pci_of(d))) {
        vr_msix_notify(&vpci_of(d)->msix, v->config_vector);
    }
}

/* A vector, or none where there is no such (4.1.5.1.2.1). */
static uint16_t vpci_vector(struct vr_dev *d, uint64_t val)
{
    return val < vpci_of(d)->msix.host.count ? (uint16_t)val : VR_VIRTIO_NO_VECTOR;
}

/* --- Registers --- */

static uint64_t vpci_device_sel(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->device_features_sel;
}

static void vpci_set_device_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->device_features_sel = (uint32_t)val;
}

static uint64_t vpci_device_features(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_features_read(vr_virtio_of(d));
}

static uint64_t vpci_driver_sel(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->driver_features_sel;
}

static void vpci_set_driver_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->driver_features_sel = (uint32_t)val;
}

static uint64_t vpci_driver_features(struct vr_dev *d, unsigned index)
{
    const struct vr_virtio *v = vr_virtio_of(d);
    (void)index;
    return v->driver_features_sel < 2
               ? (uint32_t)(v->driver_features >> (32 * v->driver_features_sel))
               : 0;
}

static void vpci_set_driver_features(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_features_write(vr_virtio_of(d), (uint32_t)val);
}

static uint64_t vpci_config_vector(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->config_vector;
}

static void vpci_set_config_vector(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->config_vector = vpci_vector(d, val);
}

static uint64_t vpci_num_queues(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->host.queue_count;
}

static uint64_t vpci_status(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_status_read(vr_virtio_of(d));
}

static void vpci_set_status(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_status_write(vr_virtio_of(d), (uint8_t)val);
}

static uint64_t vpci_generation(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->config_gen & UINT8_MAX;
}

static uint64_t vpci_queue_sel(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->queue_sel;
}

static void vpci_set_queue_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->queue_sel = (uint32_t)val;
}

static struct vr_virtq *vpci_queue(struct vr_dev *d, bool write)
{
    return vr_virtio_selected(vr_virtio_of(d), write);
}

static uint64_t vpci_queue_size(struct vr_dev *d, unsigned index)
{
    (void)index;
    const struct vr_virtq *q = vpci_queue(d, false);
    return q ? q->size : 0;
}

static void vpci_set_queue_size(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_queue_size_write(vr_virtio_of(d), (uint32_t)val);
}

static uint64_t vpci_queue_vector(struct vr_dev *d, unsigned index)
{
    (void)index;
    const struct vr_virtq *q = vpci_queue(d, false);
    return q ? q->vector : VR_VIRTIO_NO_VECTOR;
}

static void vpci_set_queue_vector(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    struct vr_virtq *q = vpci_queue(d, true);
    if (q) {
        q->vector = vpci_vector(d, val);
    }
}

static uint64_t vpci_queue_enable(struct vr_dev *d, unsigned index)
{
    (void)index;
    const struct vr_virtq *q = vpci_queue(d, false);
    return q && q->ready;
}

static void vpci_set_queue_enable(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    if (val != 1) { /* 4.1.4.3.2; it is reset that stops a queue */
        vr_guest_error(d, "queue enable is %u", (unsigned)val);
    } else {
        vr_virtio_queue_ready_write(vr_virtio_of(d), 1);
    }
}

static uint64_t vpci_notify_off(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vpci_queue(d, false) ? vr_virtio_of(d)->queue_sel : 0;
}

static uint64_t vpci_half(uint64_t gpa, unsigned high)
{
    return (uint32_t)(gpa >> (32 * high));
}

static uint64_t vpci_desc(struct vr_dev *d, unsigned high)
{
    const struct vr_virtq *q = vpci_queue(d, false);
    return q ? vpci_half(q->desc_gpa, high) : 0;
}

static uint64_t vpci_driver(struct vr_dev *d, unsigned high)
{
    const struct vr_virtq *q = vpci_queue(d, false);
    return q ? vpci_half(q->driver_gpa, high) : 0;
}

static uint64_t vpci_device(struct vr_dev *d, unsigned high)
{
    const struct vr_virtq *q = vpci_queue(d, false);
    return q ? vpci_half(q->device_gpa, high) : 0;
}

static void vpci_set_desc(struct vr_dev *d, unsigned high, uint64_t val)
{
    vr_virtio_queue_addr_write(vr_virtio_of(d), VR_VIRTQ_DESC, high, (uint32_t)val);
}

static void vpci_set_driver(struct vr_dev *d, unsigned high, uint64_t val)
{
    vr_virtio_queue_addr_write(vr_virtio_of(d), VR_VIRTQ_DRIVER, high, (uint32_t)val);
}

static void vpci_set_device(struct vr_dev *d, unsigned high, uint64_t val)
{
    vr_virtio_queue_addr_write(vr_virtio_of(d), VR_VIRTQ_DEVICE, high, (uint32_t)val);
}

static uint64_t vpci_queue_reset(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_queue_reset_read(vr_virtio_of(d));
}

static void vpci_set_queue_reset(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_queue_reset_write(vr_virtio_of(d), (uint32_t)val);
}

/* Reading clears it, and lets the pin go (4.1.4.5). */
static uint64_t vpci_isr(struct vr_dev *d, unsigned index)
{
    struct vr_virtio *v = vr_virtio_of(d);
    (void)index;
    uint8_t isr = v->isr;
    v->isr = 0;
    vr_pci_set_intx(vr_pci_of(d), false);
    return isr;
}

/* The queue is told by the place; what is written there says it once more. */
static void vpci_notify(struct vr_dev *d, unsigned queue, uint64_t val)
{
    (void)val;
    vr_virtio_kick(vr_virtio_of(d), queue);
}

bool vr_virtio_pci_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val)
{
    return off >= VR_VIRTIO_PCI_DEVICE && off < VR_VIRTIO_PCI_NOTIFY &&
           vr_virtio_config_read(vr_virtio_of(dev), off - VR_VIRTIO_PCI_DEVICE, width, ret_val);
}

bool vr_virtio_pci_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val)
{
    return off >= VR_VIRTIO_PCI_DEVICE && off < VR_VIRTIO_PCI_NOTIFY &&
           vr_virtio_config_write(vr_virtio_of(dev), off - VR_VIRTIO_PCI_DEVICE, width, val);
}

const struct vr_reg vr_virtio_pci_regs[] = {
    VR_REG(DEVICE_FEATURE_SELECT, 4, "device_feature_select", "which word", .read = vpci_device_sel,
           .write = vpci_set_device_sel),
    VR_REG(DEVICE_FEATURE, 4, "device_feature", "a word of the features offered",
           .read = vpci_device_features),
    VR_REG(DRIVER_FEATURE_SELECT, 4, "driver_feature_select", "which word", .read = vpci_driver_sel,
           .write = vpci_set_driver_sel),
    VR_REG(DRIVER_FEATURE, 4, "driver_feature", "a word of the features accepted",
           .read = vpci_driver_features, .write = vpci_set_driver_features),
    VR_REG(CONFIG_VECTOR, 2, "config_msix_vector", "message for configuration changes",
           .read = vpci_config_vector, .write = vpci_set_config_vector),
    VR_REG(NUM_QUEUES, 2, "num_queues", "queues", .read = vpci_num_queues),
    VR_REG(DEVICE_STATUS, 1, "device_status", "the driver's progress; 0 resets",
           .read = vpci_status, .write = vpci_set_status),
    VR_REG(CONFIG_GENERATION, 1, "config_generation", "version of the device configuration",
           .read = vpci_generation),
    VR_REG(QUEUE_SELECT, 2, "queue_select", "which queue the next registers mean",
           .read = vpci_queue_sel, .write = vpci_set_queue_sel),
    VR_REG(QUEUE_SIZE, 2, "queue_size", "entries: the most, or those that the driver uses",
           .read = vpci_queue_size, .write = vpci_set_queue_size),
    VR_REG(QUEUE_VECTOR, 2, "queue_msix_vector", "message for used buffers",
           .read = vpci_queue_vector, .write = vpci_set_queue_vector),
    VR_REG(QUEUE_ENABLE, 2, "queue_enable", "1: enabled", .read = vpci_queue_enable,
           .write = vpci_set_queue_enable),
    VR_REG(QUEUE_NOTIFY_OFF, 2, "queue_notify_off", "where to notify, in steps",
           .read = vpci_notify_off),
    VR_REG(QUEUE_DESC, 4, "queue_desc", "descriptor area, low and high", .flex = true, .count = 2,
           .stride = 4, .read = vpci_desc, .write = vpci_set_desc),
    VR_REG(QUEUE_DRIVER, 4, "queue_driver", "driver area, low and high", .flex = true, .count = 2,
           .stride = 4, .read = vpci_driver, .write = vpci_set_driver),
    VR_REG(QUEUE_DEVICE, 4, "queue_device", "device area, low and high", .flex = true, .count = 2,
           .stride = 4, .read = vpci_device, .write = vpci_set_device),
    VR_REG(QUEUE_RESET, 2, "queue_reset", "1: reset this queue; reads 1 until it is done",
           .read = vpci_queue_reset, .write = vpci_set_queue_reset),
    VR_REG(VR_VIRTIO_PCI_ISR, 1, "isr", "1: used buffers, 2: configuration; reading clears",
           .read = vpci_isr),
    VR_REG(VR_VIRTIO_PCI_NOTIFY, 4, "notify", "this queue has new buffers", .flex = true,
           .count = VR_VIRTIO_QUEUES_MAX, .stride = VR_VIRTIO_PCI_NOTIFY_STEP,
           .write = vpci_notify),
    VR_REG_END,
};

/* --- Capabilities (4.1.4) --- */

enum { CAP_COMMON = 1, CAP_NOTIFY = 2, CAP_ISR = 3, CAP_DEVICE = 4, CAP_CFG = 5 };
enum { CAP_BAR = 4, CAP_OFFSET = 8, CAP_LENGTH = 12, CAP_MULTIPLIER = 16, CAP_DATA = 16 };

#define VPCI_CAP_REGS                                                \
    VR_PCI_REG(2, 1, "VIRTIO_CAP_LEN", "bytes"),                     \
        VR_PCI_REG(3, 1, "VIRTIO_CAP_TYPE", "what it leads to"),     \
        VR_PCI_REG(4, 1, "VIRTIO_CAP_BAR", "in which base address"), \
        VR_PCI_REG(8, 4, "VIRTIO_CAP_OFFSET", "where in it"),        \
        VR_PCI_REG(12, 4, "VIRTIO_CAP_LENGTH", "bytes there")

static const struct vr_pci_reg vpci_cap_regs[] = {VPCI_CAP_REGS, VR_PCI_REG_END};
static const struct vr_pci_cap vpci_cap = {
    .name = "virtio", .id = ID_VENDOR_SPECIFIC, .len = 16, .regs = vpci_cap_regs};

static const struct vr_pci_reg vpci_notify_regs[] = {
    VPCI_CAP_REGS,
    VR_PCI_REG(16, 4, "VIRTIO_CAP_MULTIPLIER", "bytes of a queue",
               .def = VR_VIRTIO_PCI_NOTIFY_STEP),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap vpci_notify_cap = {
    .name = "virtio-notify", .id = ID_VENDOR_SPECIFIC, .len = 20, .regs = vpci_notify_regs};

/* The window into BAR 4, for who cannot reach it (4.1.4.9). */
struct vpci_cfg {
    unsigned at; /* the capability */
    uint32_t off, len;
};

static bool vpci_cfg_target(struct vr_pci *pci, unsigned off, unsigned width, struct vpci_cfg *c)
{
    if (off + width <= CAP_DATA) {
        return false;
    }
    for (unsigned i = 0; i < pci->host.cap_count; i++) {
        const struct vr_pci_cap_at *at = &pci->host.cap[i];
        if (at->cap->reading) {
            c->at = at->off;
        }
    }
    c->off = vr_pci_get(pci, c->at + CAP_OFFSET, 4);
    c->len = vr_pci_get(pci, c->at + CAP_LENGTH, 4);
    if (pci->config[c->at + CAP_BAR] != BAR_REGS || (c->len != 1 && c->len != 2 && c->len != 4) ||
        !vr_is_aligned(c->off, c->len) || !vr_in_range(c->off, c->len, VR_VIRTIO_PCI_LEN)) {
        vr_guest_error(pci->host.dev, "configuration access: %u bytes at 0x%x of base address %u",
                       c->len, c->off, pci->config[c->at + CAP_BAR]);
        return false;
    }
    return true;
}

static void vpci_cfg_reading(struct vr_pci *pci, unsigned off, unsigned width)
{
    struct vpci_cfg c = {0};
    if (vpci_cfg_target(pci, off, width, &c)) {
        uint64_t v = vr_dev_read_locked(pci->host.dev, VR_VIRTIO_PCI_REGS, c.off, c.len);
        vr_pci_put(pci, c.at + CAP_DATA, 4, (uint32_t)v);
    }
}

static void vpci_cfg_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    struct vpci_cfg c = {0};
    if (vpci_cfg_target(pci, off, width, &c)) {
        vr_dev_write_locked(pci->host.dev, VR_VIRTIO_PCI_REGS, c.off, c.len,
                            vr_pci_get(pci, c.at + CAP_DATA, 4));
    }
}

static const struct vr_pci_reg vpci_cfg_regs[] = {
    VR_PCI_REG(2, 1, "VIRTIO_CAP_LEN", "bytes"),
    VR_PCI_REG(3, 1, "VIRTIO_CAP_TYPE", "what it leads to"),
    VR_PCI_REG(4, 1, "VIRTIO_CFG_BAR", "in which base address", .wmask = 0xff),
    VR_PCI_REG(8, 4, "VIRTIO_CFG_OFFSET", "where in it", .wmask = UINT32_MAX),
    VR_PCI_REG(12, 4, "VIRTIO_CFG_LENGTH", "1, 2 or 4", .wmask = UINT32_MAX),
    VR_PCI_REG(16, 4, "VIRTIO_CFG_DATA", "what is read or written there", .wmask = UINT32_MAX),
    VR_PCI_REG_END,
};
static const struct vr_pci_cap vpci_cfg_cap = {
    .name = "virtio-cfg",
    .id = ID_VENDOR_SPECIFIC,
    .len = 20,
    .regs = vpci_cfg_regs,
    .reading = vpci_cfg_reading,
    .written = vpci_cfg_written,
};

static void vpci_add_cap(struct vr_pci *pci, const struct vr_pci_cap *cap, unsigned type,
                         uint32_t off, uint32_t len)
{
    unsigned at = vr_pci_add_cap(pci, cap);
    vr_pci_set_def(pci, at + 2, 1, cap->len);
    vr_pci_set_def(pci, at + 3, 1, type);
    if (type != CAP_CFG) {
        vr_pci_set_def(pci, at + CAP_BAR, 1, BAR_REGS);
        vr_pci_set_def(pci, at + CAP_OFFSET, 4, off);
        vr_pci_set_def(pci, at + CAP_LENGTH, 4, len);
    }
}

/* --- The function --- */

/* Mastering begins: buffers may wait. */
static void vpci_written(struct vr_pci *pci, unsigned off, unsigned width)
{
    struct vr_virtio *v = vr_virtio_of(pci->host.dev);
    (void)off;
    (void)width;
    bool was = v->host.no_dma;
    v->host.no_dma = !vr_pci_is_master(pci);
    for (unsigned i = 0; was && !v->host.no_dma && i < v->host.queue_count; i++) {
        vr_virtio_handle(v, i);
    }
}

static const struct vr_pci_class vpci_pci = {
    .vendor = PCI_VENDOR,
    .device = PCI_DEVICE, /* and the kind of device */
    .subvendor = PCI_VENDOR,
    .subdevice = PCI_SUBDEVICE,
    .class_code = 0x00ff00, /* unclassified, other */
    .revision = REVISION,
    .intx = true,
    .written = vpci_written,
    .bar = {[BAR_MSIX] = {VR_PCI_BAR_MEM32, VR_VIRTIO_PCI_MSIX},
            [BAR_REGS] = {VR_PCI_BAR_MEM64_PREFETCH, VR_VIRTIO_PCI_REGS}},
};

/* Where PCI has a class for the kind of device. */
static const struct {
    uint16_t device_id, class_code;
} vpci_codes[] = {
    {1, 0x0200},  /* network: Ethernet */
    {2, 0x0100},  /* storage: SCSI, as everybody says */
    {3, 0x0780},  /* communication, other */
    {8, 0x0100},  /* storage: SCSI */
    {9, 0x0002},  /* 9p: unclassified */
    {26, 0x0180}, /* file system: storage, other */
};

static void vpci_init(struct vr_dev *d)
{
    struct vr_virtio_pci *s = vpci_of(d);
    struct vr_virtio *v = vr_virtio_of(d);
    bool vf = s->sriov_pf[0];
    uint16_t device = (uint16_t)(PCI_DEVICE + v->host.cls->device_id);
    if (vf) {
        vr_pci_init_vf(d, &vpci_pci);
    } else {
        vr_pci_init(d, &vpci_pci);
        vr_pci_set_def(&s->pci, VR_PCI_DEVICE, 2, device);
    }
    for (unsigned i = 0; i < VR_COUNT(vpci_codes); i++) {
        if (vpci_codes[i].device_id == v->host.cls->device_id) {
            vr_pci_set_def(&s->pci, VR_PCI_CLASS + 1, 2, vpci_codes[i].class_code);
        }
    }
    vr_msix_init(&s->pci, &s->msix, v->host.cls->queue_count + 1u, BAR_MSIX);
    vpci_add_cap(&s->pci, &vpci_cap, CAP_COMMON, 0, 0x1000);
    vpci_add_cap(&s->pci, &vpci_cap, CAP_ISR, VR_VIRTIO_PCI_ISR, 0x1000);
    vpci_add_cap(&s->pci, &vpci_cap, CAP_DEVICE, VR_VIRTIO_PCI_DEVICE, 0x1000);
    vpci_add_cap(&s->pci, &vpci_notify_cap, CAP_NOTIFY, VR_VIRTIO_PCI_NOTIFY, 0x1000);
    vpci_add_cap(&s->pci, &vpci_cfg_cap, CAP_CFG, 0, 0);
    if (!vf) {
        vr_pci_add_power(&s->pci);
    }
    vr_pci_add_express(&s->pci, VR_PCI_ENDPOINT);
    if (!vf) {
        vr_pci_add_aer(&s->pci, false);
    }
    if (vf || s->vfs) {
        vr_pci_add_ari(&s->pci);
    }
    if (!vf && s->vfs) {
        vr_pci_add_sriov(&s->pci, &s->sriov, s->vfs, device, VF_OFFSET, VF_STRIDE);
        v->host.features = VR_VIRTIO_F_SR_IOV;
    }
    v->host.no_dma = true;
}

static int vpci_loaded(struct vr_dev *d, struct vr_error *err)
{
    int r = vr_msix_loaded(&vpci_of(d)->msix, err);
    return r < 0 ? r : vr_pci_loaded(d, err);
}

const struct vr_virtio_transport vr_virtio_pci = {
    .name = "pci",
    .features = VR_VIRTIO_F_NOTIFICATION_DATA | VR_VIRTIO_F_RING_RESET,
    .fields = vr_virtio_pci_fields,
    .init = vpci_init,
    .reset = vr_pci_reset,
    .loaded = vpci_loaded,
    .fini = vr_pci_fini,
    .used = vpci_used,
    .config_changed = vpci_config_changed,
    .sync = vpci_sync,
};

#define VR_SELF struct vr_virtio_pci
const struct vr_field vr_virtio_pci_fields[] = {
    VR_PCI_FIELDS(pci),
    VR_MSIX_FIELDS(msix),
    VR_HOST(sriov, "VFs, attached by the board; their state is in configuration space"),
    VR_FIELD_END,
};
