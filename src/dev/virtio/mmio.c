/*
 * Virtio over MMIO, version 2.
 *
 * Registers are 32 bits wide and take no other access; the configuration space takes aligned
 * accesses of 1 to 8 bytes. Write-only registers are not readable and the other way round; all of
 * this counts as guest errors. There are no shared memory regions, so their length and base read as
 * all ones.
 *
 * Specification: VIRTIO 1.3, section 4.2.
 */
#include "dev/virtio/mmio.h"

#include <inttypes.h>

enum {
    MAGIC_VALUE = 0x000,
    VERSION = 0x004,
    DEVICE_ID = 0x008,
    VENDOR_ID = 0x00c,
    DEVICE_FEATURES = 0x010,
    DEVICE_FEATURES_SEL = 0x014,
    DRIVER_FEATURES = 0x020,
    DRIVER_FEATURES_SEL = 0x024,
    QUEUE_SEL = 0x030,
    QUEUE_SIZE_MAX = 0x034,
    QUEUE_SIZE = 0x038,
    QUEUE_READY = 0x044,
    QUEUE_NOTIFY = 0x050,
    INTERRUPT_STATUS = 0x060,
    INTERRUPT_ACK = 0x064,
    STATUS = 0x070,
    QUEUE_DESC = 0x080,
    QUEUE_DRIVER = 0x090,
    QUEUE_DEVICE = 0x0a0,
    SHM_SEL = 0x0ac,
    SHM_LEN = 0x0b0,
    SHM_BASE = 0x0b8,
    QUEUE_RESET = 0x0c0,
    CONFIG_GENERATION = 0x0fc,
    CONFIG = 0x100,
};

/* "virt", and "Vire": vendor ids are not registered anywhere. */
enum { MMIO_MAGIC = 0x74726976, MMIO_VENDOR = 0x65726956 };

struct vr_irq *vr_virtio_mmio_irq(struct vr_dev *dev)
{
    return &vr_virtio_of(dev)->host.irq;
}

static void mmio_sync(struct vr_dev *d)
{
    struct vr_virtio *v = vr_virtio_of(d);
    vr_irq_set(&v->host.irq, v->isr != 0);
}

static void mmio_used(struct vr_dev *d, unsigned queue)
{
    (void)queue;
    vr_virtio_of(d)->isr |= VR_VIRTIO_ISR_USED;
    mmio_sync(d);
}

static void mmio_config_changed(struct vr_dev *d)
{
    vr_virtio_of(d)->isr |= VR_VIRTIO_ISR_CONFIG;
    mmio_sync(d);
}

const struct vr_virtio_transport vr_virtio_mmio = {
    .name = "mmio",
    .features = VR_VIRTIO_F_NOTIFICATION_DATA | VR_VIRTIO_F_RING_RESET,
    .used = mmio_used,
    .config_changed = mmio_config_changed,
    .sync = mmio_sync,
};

static uint64_t mmio_magic(struct vr_dev *d, unsigned index)
{
    (void)d;
    (void)index;
    return MMIO_MAGIC;
}

static uint64_t mmio_version(struct vr_dev *d, unsigned index)
{
    (void)d;
    (void)index;
    return 2;
}

static uint64_t mmio_device_id(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->host.cls->device_id;
}

static uint64_t mmio_vendor_id(struct vr_dev *d, unsigned index)
{
    (void)d;
    (void)index;
    return MMIO_VENDOR;
}

static uint64_t mmio_features(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_features_read(vr_virtio_of(d));
}

static void mmio_features_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->device_features_sel = (uint32_t)val;
}

static void mmio_driver_features(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_features_write(vr_virtio_of(d), (uint32_t)val);
}

static void mmio_driver_features_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->driver_features_sel = (uint32_t)val;
}

static void mmio_queue_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->queue_sel = (uint32_t)val;
}

static uint64_t mmio_queue_size_max(struct vr_dev *d, unsigned index)
{
    (void)index;
    struct vr_virtq *q = vr_virtio_selected(vr_virtio_of(d), false);
    return q ? q->host.size_max : 0;
}

static void mmio_queue_size(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_queue_size_write(vr_virtio_of(d), (uint32_t)val);
}

static uint64_t mmio_queue_ready(struct vr_dev *d, unsigned index)
{
    (void)index;
    struct vr_virtq *q = vr_virtio_selected(vr_virtio_of(d), false);
    return q && q->ready;
}

static void mmio_set_queue_ready(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_queue_ready_write(vr_virtio_of(d), (uint32_t)val);
}

static void mmio_notify(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_kick(vr_virtio_of(d), (uint32_t)val);
}

static uint64_t mmio_isr(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->isr;
}

static void mmio_ack(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_of(d)->isr &= (uint8_t)~val;
    mmio_sync(d);
}

static uint64_t mmio_status(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_status_read(vr_virtio_of(d));
}

static void mmio_set_status(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    if (val > UINT8_MAX) {
        vr_guest_error(d, "status 0x%" PRIx64 " has unknown bits", val);
    } else {
        vr_virtio_status_write(vr_virtio_of(d), (uint8_t)val);
    }
}

/* Index 0 is the low half, 1 the high one. */
static void mmio_desc(struct vr_dev *d, unsigned index, uint64_t val)
{
    vr_virtio_queue_addr_write(vr_virtio_of(d), VR_VIRTQ_DESC, index, (uint32_t)val);
}

static void mmio_driver(struct vr_dev *d, unsigned index, uint64_t val)
{
    vr_virtio_queue_addr_write(vr_virtio_of(d), VR_VIRTQ_DRIVER, index, (uint32_t)val);
}

static void mmio_device(struct vr_dev *d, unsigned index, uint64_t val)
{
    vr_virtio_queue_addr_write(vr_virtio_of(d), VR_VIRTQ_DEVICE, index, (uint32_t)val);
}

static void mmio_shm_sel(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)d;
    (void)index;
    (void)val; /* no region exists, whichever is selected */
}

static uint64_t mmio_shm(struct vr_dev *d, unsigned index)
{
    (void)d;
    (void)index;
    return UINT32_MAX;
}

static uint64_t mmio_queue_reset(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_queue_reset_read(vr_virtio_of(d));
}

static void mmio_set_queue_reset(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    vr_virtio_queue_reset_write(vr_virtio_of(d), (uint32_t)val);
}

static uint64_t mmio_generation(struct vr_dev *d, unsigned index)
{
    (void)index;
    return vr_virtio_of(d)->config_gen;
}

bool vr_virtio_mmio_read(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t *ret_val)
{
    return off >= CONFIG && vr_virtio_config_read(vr_virtio_of(dev), off - CONFIG, width, ret_val);
}

bool vr_virtio_mmio_write(struct vr_dev *dev, uint64_t off, unsigned width, uint64_t val)
{
    return off >= CONFIG && vr_virtio_config_write(vr_virtio_of(dev), off - CONFIG, width, val);
}

int vr_virtio_mmio_describe(struct vr_dev *dev, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)dev;
    vr_fdt_begin(fdt, "virtio_mmio@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "virtio,mmio");
    vr_fdt_reg(fdt, at);
    vr_fdt_empty(fdt, "dma-coherent");
    vr_fdt_end(fdt);
    return 0;
}

const struct vr_reg vr_virtio_mmio_regs[] = {
    VR_REG(MAGIC_VALUE, 4, "MagicValue", "\"virt\"", .read = mmio_magic),
    VR_REG(VERSION, 4, "Version", "2: not legacy", .read = mmio_version),
    VR_REG(DEVICE_ID, 4, "DeviceID", "kind of device", .read = mmio_device_id),
    VR_REG(VENDOR_ID, 4, "VendorID", "who made it", .read = mmio_vendor_id),
    VR_REG(DEVICE_FEATURES, 4, "DeviceFeatures", "a word of the features offered",
           .read = mmio_features),
    VR_REG(DEVICE_FEATURES_SEL, 4, "DeviceFeaturesSel", "which word", .write = mmio_features_sel),
    VR_REG(DRIVER_FEATURES, 4, "DriverFeatures", "a word of the features accepted",
           .write = mmio_driver_features),
    VR_REG(DRIVER_FEATURES_SEL, 4, "DriverFeaturesSel", "which word",
           .write = mmio_driver_features_sel),
    VR_REG(QUEUE_SEL, 4, "QueueSel", "which queue the next registers mean",
           .write = mmio_queue_sel),
    VR_REG(QUEUE_SIZE_MAX, 4, "QueueSizeMax", "most entries; 0: no such queue",
           .read = mmio_queue_size_max),
    VR_REG(QUEUE_SIZE, 4, "QueueSize", "entries that the driver uses", .write = mmio_queue_size),
    VR_REG(QUEUE_READY, 4, "QueueReady", "1: enabled", .read = mmio_queue_ready,
           .write = mmio_set_queue_ready),
    VR_REG(QUEUE_NOTIFY, 4, "QueueNotify", "this queue has new buffers", .write = mmio_notify),
    VR_REG(INTERRUPT_STATUS, 4, "InterruptStatus", "1: used buffers, 2: configuration changed",
           .read = mmio_isr),
    VR_REG(INTERRUPT_ACK, 4, "InterruptACK", "clears bits of InterruptStatus", .write = mmio_ack),
    VR_REG(STATUS, 4, "Status", "the driver's progress; 0 resets", .read = mmio_status,
           .write = mmio_set_status),
    VR_REG(QUEUE_DESC, 4, "QueueDesc", "descriptor area, low and high", .count = 2, .stride = 4,
           .write = mmio_desc),
    VR_REG(QUEUE_DRIVER, 4, "QueueDriver", "driver area, low and high", .count = 2, .stride = 4,
           .write = mmio_driver),
    VR_REG(QUEUE_DEVICE, 4, "QueueDevice", "device area, low and high", .count = 2, .stride = 4,
           .write = mmio_device),
    VR_REG(SHM_SEL, 4, "SHMSel", "which shared memory region", .write = mmio_shm_sel),
    VR_REG(SHM_LEN, 4, "SHMLen", "its length, low and high", .count = 2, .stride = 4,
           .read = mmio_shm),
    VR_REG(SHM_BASE, 4, "SHMBase", "its address, low and high", .count = 2, .stride = 4,
           .read = mmio_shm),
    VR_REG(QUEUE_RESET, 4, "QueueReset", "1: reset this queue; reads 1 until it is done",
           .read = mmio_queue_reset, .write = mmio_set_queue_reset),
    VR_REG(CONFIG_GENERATION, 4, "ConfigGeneration", "version of the configuration space",
           .read = mmio_generation),
    VR_REG_END,
};
