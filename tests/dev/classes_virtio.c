/* A virtio driver that sets everything up, and then does not always behave. */
#include "classes.h"

#include "backend/block/block_impl.h"
#include "backend/net/net.h"
#include "base/bits.h"
#include "dev/virtio/balloon.h"
#include "dev/virtio/blk.h"
#include "dev/virtio/console.h"
#include "dev/virtio/mmio.h"
#include "dev/virtio/net.h"
#include "dev/virtio/pci.h"
#include "dev/virtio/rng.h"
#include <stdlib.h>

enum { /* VIRTIO 1.2, 4.2.2 */
       M_FEATURES = 0x10,
       M_FEATURES_SEL = 0x14,
       M_DRIVER = 0x20,
       M_DRIVER_SEL = 0x24,
       M_QUEUE = 0x30,
       M_QUEUE_MAX = 0x34,
       M_QUEUE_SIZE = 0x38,
       M_READY = 0x44,
       M_NOTIFY = 0x50,
       M_STATUS = 0x70,
       M_DESC = 0x80,
       M_AVAIL = 0x90,
       M_USED = 0xa0,
};
enum { VQ_SIZE = 8, VQ_AT = 0x40000, VQ_STEP = 0x4000, VQ_AVAIL = 0x1000, VQ_USED = 0x2000 };
enum { DISK_SECTORS = 64 };

static void virtio_setup_mmio(struct dut *dut)
{
    struct vr_dev *d = dut->dev;
    vr_dev_write(d, 0, M_STATUS, 4, 0);
    vr_dev_write(d, 0, M_STATUS, 4, 3);
    for (unsigned i = 0; i < 2; i++) {
        vr_dev_write(d, 0, M_FEATURES_SEL, 4, i);
        vr_dev_write(d, 0, M_DRIVER_SEL, 4, i);
        vr_dev_write(d, 0, M_DRIVER, 4, vr_dev_read(d, 0, M_FEATURES, 4));
    }
    vr_dev_write(d, 0, M_STATUS, 4, 11);
    for (unsigned q = 0; q < 8; q++) {
        uint64_t gpa = RIG_RAM_GPA + VQ_AT + q * VQ_STEP;
        vr_dev_write(d, 0, M_QUEUE, 4, q);
        if (vr_dev_read(d, 0, M_QUEUE_MAX, 4) == 0) {
            break;
        }
        memset(dut->rig.ram->hva + VQ_AT + q * VQ_STEP, 0, VQ_STEP);
        vr_dev_write(d, 0, M_QUEUE_SIZE, 4, VQ_SIZE);
        vr_dev_write(d, 0, M_DESC, 4, (uint32_t)gpa);
        vr_dev_write(d, 0, M_DESC + 4, 4, gpa >> 32);
        vr_dev_write(d, 0, M_AVAIL, 4, (uint32_t)(gpa + VQ_AVAIL));
        vr_dev_write(d, 0, M_AVAIL + 4, 4, (gpa + VQ_AVAIL) >> 32);
        vr_dev_write(d, 0, M_USED, 4, (uint32_t)(gpa + VQ_USED));
        vr_dev_write(d, 0, M_USED + 4, 4, (gpa + VQ_USED) >> 32);
        vr_dev_write(d, 0, M_READY, 4, 1);
    }
    vr_dev_write(d, 0, M_STATUS, 4, 15);
}

/* The same by VIRTIO 1.3, 4.1.4.3; first it has to be allowed to master the bus. */
static void virtio_setup_pci(struct dut *dut)
{
    enum { W = VR_VIRTIO_PCI_REGS };
    struct vr_dev *d = dut->dev;
    vr_dev_write(d, VR_PCI_WINDOW, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM | VR_PCI_CMD_MASTER);
    vr_dev_write(d, W, 0x14, 1, 0);
    vr_dev_write(d, W, 0x14, 1, 3);
    for (unsigned i = 0; i < 2; i++) {
        vr_dev_write(d, W, 0x00, 4, i);
        vr_dev_write(d, W, 0x08, 4, i);
        vr_dev_write(d, W, 0x0c, 4, vr_dev_read(d, W, 0x04, 4));
    }
    vr_dev_write(d, W, 0x14, 1, 11);
    unsigned queues = (unsigned)vr_dev_read(d, W, 0x12, 2);
    for (unsigned q = 0; q < queues && q < 8; q++) {
        uint64_t gpa = RIG_RAM_GPA + VQ_AT + q * VQ_STEP;
        memset(dut->rig.ram->hva + VQ_AT + q * VQ_STEP, 0, VQ_STEP);
        vr_dev_write(d, W, 0x16, 2, q);
        vr_dev_write(d, W, 0x18, 2, VQ_SIZE);
        vr_dev_write(d, W, 0x1a, 2, q);
        vr_dev_write(d, W, 0x20, 8, gpa);
        vr_dev_write(d, W, 0x28, 8, gpa + VQ_AVAIL);
        vr_dev_write(d, W, 0x30, 8, gpa + VQ_USED);
        vr_dev_write(d, W, 0x1c, 2, 1);
    }
    vr_dev_write(d, W, 0x14, 1, 15);
}

static void virtio_setup(struct dut *dut)
{
    if (dut->dev->cls->pci) {
        virtio_setup_pci(dut);
    } else {
        virtio_setup_mmio(dut);
    }
}

static void virtio_notify(struct vr_dev *d, unsigned queue)
{
    if (d->cls->pci) {
        vr_dev_write(d, VR_VIRTIO_PCI_REGS, VR_VIRTIO_PCI_NOTIFY + queue * 4, 2, queue);
    } else {
        vr_dev_write(d, 0, M_NOTIFY, 4, queue);
    }
}

/* Make the chain at @head available, and say so. */
static void virtio_offer(struct dut *dut, unsigned queue, uint16_t head)
{
    uint8_t *avail = dut->rig.ram->hva + VQ_AT + queue * VQ_STEP + VQ_AVAIL;
    uint16_t index = vr_load_le16(avail + 2);
    vr_store_le16(avail + 4 + index % VQ_SIZE * 2, head);
    vr_store_le16(avail + 2, (uint16_t)(index + 1));
    virtio_notify(dut->dev, queue);
}

/* One chain of up to four descriptors in a queue, mostly sound, and a notification. */
static void virtio_chain(struct dut *dut, uint64_t *seed)
{
    unsigned queues = vr_virtio_of(dut->dev)->host.queue_count;
    unsigned queue = rig_random(seed) % (queues < 8 ? queues : 8), len = 1 + rig_random(seed) % 4;
    uint8_t *at = dut->rig.ram->hva + VQ_AT + queue * VQ_STEP;
    unsigned head = rig_random(seed) % VQ_SIZE, readable = rig_random(seed) % (len + 1);
    bool wild = rig_random(seed) % 16 == 0;
    for (unsigned i = 0; i < len; i++) {
        uint8_t *desc = at + (head + i) % VQ_SIZE * 16;
        uint64_t gpa = RIG_RAM_GPA + rig_random(seed) % (VQ_AT - 0x3000);
        vr_store_le64(desc, wild ? rig_random(seed) : gpa);
        vr_store_le32(desc + 8, (uint32_t)(wild ? rig_random(seed) : rig_random(seed) % 0x1800));
        vr_store_le16(desc + 12, (uint16_t)((i + 1 < len) | (i >= readable) << 1));
        vr_store_le16(desc + 14, (uint16_t)(wild ? rig_random(seed) : (head + i + 1) % VQ_SIZE));
    }
    virtio_offer(dut, queue, (uint16_t)head);
}

/* A disk request as a driver makes it: a header, whole sectors, a status byte. */
static void virtio_blk_chain(struct dut *dut, uint64_t *seed)
{
    static const uint32_t types[] = {0, 1, 0, 1, 4, 8, 11, 13};
    uint8_t *ram = dut->rig.ram->hva, *at = ram + VQ_AT;
    unsigned head = rig_random(seed) % VQ_SIZE;
    uint32_t type = types[rig_random(seed) % VR_COUNT(types)];
    uint64_t header = rig_random(seed) % 64 * 16, data = 0x10000 + rig_random(seed) % 64 * 512;
    bool to_guest = type == 0 || type == 8;
    const struct {
        uint64_t off;
        uint32_t len;
        uint16_t flags;
    } desc[] = {
        {header, 16, 1},
        {data, type == 11 || type == 13 ? 16 : (uint32_t)(1 + rig_random(seed) % 8) * 512,
         to_guest ? 3 : 1},
        {0x2000 + rig_random(seed) % 64, 1, 2},
    };
    vr_store_le32(ram + header, type);
    vr_store_le64(ram + header + 8, rig_random(seed) % (DISK_SECTORS + 2));
    if (type == 11 || type == 13) {
        vr_store_le64(ram + data, rig_random(seed) % DISK_SECTORS);
        vr_store_le32(ram + data + 8, (uint32_t)(rig_random(seed) % 9));
        vr_store_le32(ram + data + 12, (uint32_t)(rig_random(seed) % 2));
    }
    for (unsigned i = 0; i < VR_COUNT(desc); i++) {
        uint8_t *d = at + (head + i) % VQ_SIZE * 16;
        vr_store_le64(d, RIG_RAM_GPA + desc[i].off);
        vr_store_le32(d + 8, desc[i].len);
        vr_store_le16(d + 12, desc[i].flags);
        vr_store_le16(d + 14, (uint16_t)((head + i + 1) % VQ_SIZE));
    }
    virtio_offer(dut, 0, (uint16_t)head);
}

static void virtio_outside(struct dut *dut, uint64_t seed)
{
    if (rig_random(&seed) % 4 == 0) {
        virtio_setup(dut); /* random accesses have reset or broken it */
    }
    for (unsigned i = 0; i < 4; i++) {
        virtio_chain(dut, &seed);
    }
}

static void virtio_blk_outside(struct dut *dut, uint64_t seed)
{
    if (rig_random(&seed) % 4 == 0) {
        virtio_setup(dut);
    }
    if (rig_random(&seed) % 4) {
        virtio_blk_chain(dut, &seed);
    } else {
        virtio_chain(dut, &seed);
    }
}

/* A frame comes in; the card may have no room for it. */
static void virtio_net_outside(struct dut *dut, uint64_t seed)
{
    struct vr_net *net = dut->host;
    uint8_t frame[256];
    if (!net) {
        virtio_outside(dut, seed);
        return;
    }
    for (unsigned i = 0; i < sizeof(frame); i++) {
        frame[i] = (uint8_t)(i < 6 ? 0xff : rig_random(&seed));
    }
    virtio_outside(dut, seed);
    (void)net->user.on_frame(net->user.opaque, frame, 60 + seed % 190);
}

/* Page numbers, free pages, statistics: what they say is random, but memory. */
static void virtio_balloon_outside(struct dut *dut, uint64_t seed)
{
    uint8_t *ram = dut->rig.ram->hva;
    if (rig_random(&seed) % 4 == 0) {
        virtio_setup(dut);
    }
    for (unsigned i = 0; i < 3; i++) {
        unsigned queue = rig_random(&seed) % 5, head = rig_random(&seed) % VQ_SIZE;
        uint64_t at = 0x1000 + rig_random(&seed) % 0x1000;
        uint8_t *desc = ram + VQ_AT + queue * VQ_STEP + head * 16;
        for (unsigned k = 0; k < 8; k++) { /* pages beside the rings */
            vr_store_le32(ram + at + 4 * k,
                          (uint32_t)(RIG_RAM_GPA >> 12) + 4 + rig_random(&seed) % 16);
        }
        vr_store_le64(desc, RIG_RAM_GPA + (queue < 3 ? at : 0x4000 + at));
        vr_store_le32(desc + 8, queue == 2 ? 30 : queue < 2 ? 32 : 0x3000);
        vr_store_le16(desc + 12, queue < 3 ? 0 : 2);
        virtio_offer(dut, queue, (uint16_t)head);
    }
}

static unsigned virtio_wires(struct vr_dev *dev, struct vr_irq **ret_wires)
{
    ret_wires[0] = dev->cls->pci ? &vr_pci_of(dev)->host.irq : vr_virtio_mmio_irq(dev);
    return 1;
}

static uint64_t virtio_work(struct vr_dev *dev)
{
    const struct vr_virtio *v = vr_virtio_of(dev);
    uint64_t chains = 0;
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        chains += v->host.vq[i].host.stats.chains;
    }
    return chains;
}

/* --- A disk in memory --- */

struct disk {
    struct vr_blk blk;
    uint8_t data[DISK_SECTORS * 512];
};

static void disk_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    uint8_t *at = ((struct disk *)blk)->data + req->off_bytes;
    for (unsigned i = 0; i < req->iov_count && req->op <= VR_BLK_WRITE; i++) {
        void *to = req->op == VR_BLK_READ ? req->iov[i].iov_base : at;
        void *from = req->op == VR_BLK_READ ? at : req->iov[i].iov_base;
        memcpy(to, from, req->iov[i].iov_len);
        at += req->iov[i].iov_len;
    }
    if (req->op == VR_BLK_DISCARD || req->op == VR_BLK_WRITE_ZEROES) {
        memset(at, 0, (size_t)req->len_bytes);
    }
    vr_blk_complete(blk, req, 0);
}

static void disk_close(struct vr_blk *blk)
{
    vr_blk_fini(blk);
    free(blk);
}

static const struct vr_blk_ops disk_ops = {
    .name = "memory", .submit = disk_submit, .close = disk_close};

static void disk_plug(struct dut *dut)
{
    struct disk *disk = calloc(1, sizeof(*disk));
    assert_non_null(disk);
    assert_int_equal(vr_blk_init(&disk->blk, &disk_ops, "memory", dut->loop, NULL), 0);
    disk->blk.size_bytes = sizeof(disk->data);
    disk->blk.sector_bytes = 512;
    disk->blk.discard = true;
    dut->host = disk;
    vr_virtio_blk_attach(dut->dev, &disk->blk);
}

static void disk_unplug(struct dut *dut)
{
    vr_blk_close(dut->host);
}

static void disk_copy(struct dut *from, struct dut *to)
{
    memcpy(((struct disk *)to->host)->data, ((struct disk *)from->host)->data, DISK_SECTORS * 512);
}

static void disk_same(struct dut *a, struct dut *b)
{
    assert_memory_equal(((struct disk *)a->host)->data, ((struct disk *)b->host)->data,
                        DISK_SECTORS * 512);
}

/* --- A cable that leads nowhere --- */

static void cable_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    size_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        sum += iov[i].iov_len;
    }
    assert_int_equal(sum, len);
    net->stats.tx_frames++;
}

static void cable_resume(struct vr_net *net)
{
    net->stats.rx_dropped++;
}

static void cable_close(struct vr_net *net)
{
    vr_mutex_fini(&net->stats_lock);
    free(net);
}

static const struct vr_net_ops cable_ops = {
    .name = "nowhere", .send = cable_send, .resume = cable_resume, .close = cable_close};

static void cable_plug(struct dut *dut)
{
    struct vr_net *net = calloc(1, sizeof(*net));
    assert_non_null(net);
    *net = (struct vr_net){.ops = &cable_ops, .loop = dut->loop};
    vr_mutex_init(&net->stats_lock);
    dut->host = net;
    vr_virtio_net_attach(dut->dev, net);
}

static void cable_unplug(struct dut *dut)
{
    vr_net_close(dut->host);
}

static const struct class_hooks hooks[] = {
    {
        .cls = &vr_virtio_blk_mmio_class,
        .opts = "serial=123456",
        .plug = disk_plug,
        .unplug = disk_unplug,
        .copy_host = disk_copy,
        .same_host = disk_same,
        .setup = virtio_setup,
        .outside = virtio_blk_outside,
        .wires = virtio_wires,
        .work = virtio_work,
    },
    {
        .cls = &vr_virtio_net_mmio_class,
        .plug = cable_plug,
        .unplug = cable_unplug,
        .setup = virtio_setup,
        .outside = virtio_net_outside,
        .wires = virtio_wires,
        .work = virtio_work,
    },
    {
        .cls = &vr_virtio_balloon_mmio_class,
        .opts = "reporting=on",
        .setup = virtio_setup,
        .outside = virtio_balloon_outside,
        .wires = virtio_wires,
        .work = virtio_work,
    },
    {
        .cls = &vr_virtio_console_mmio_class,
        .opts = "ports=/x/",
        .setup = virtio_setup,
        .outside = virtio_outside,
        .wires = virtio_wires,
        .work = virtio_work,
    },
    {
        .cls = &vr_virtio_rng_mmio_class,
        .setup = virtio_setup,
        .outside = virtio_outside,
        .wires = virtio_wires,
        .work = virtio_work,
        .random = true,
    },
};
/* A PF, and a VF. */
static const struct class_hooks physical = {
    .cls = &vr_virtio_rng_pci_class,
    .opts = "vfs=9",
    .setup = virtio_setup,
    .outside = virtio_outside,
    .wires = virtio_wires,
    .work = virtio_work,
    .random = true,
};
static const struct class_hooks virtual = {
    .cls = &vr_virtio_balloon_pci_class,
    .opts = "reporting=on,sriov_pf=net0",
    .setup = virtio_setup,
    .outside = virtio_balloon_outside,
    .wires = virtio_wires,
    .work = virtio_work,
};
static const struct class_hooks others = {
    .setup = virtio_setup,
    .outside = virtio_outside,
    .wires = virtio_wires,
    .work = virtio_work,
};

/* What holds for the one transport holds for the other. */
static const struct vr_dev_class *const twins[][2] = {
    {&vr_virtio_blk_pci_class, &vr_virtio_blk_mmio_class},
    {&vr_virtio_net_pci_class, &vr_virtio_net_mmio_class},
};

const struct class_hooks *virtio_hooks(const struct vr_dev_class *cls)
{
    bool is_virtio = cls->windows[0].read == vr_virtio_mmio_read ||
                     cls->windows[VR_VIRTIO_PCI_REGS].read == vr_virtio_pci_read;
    if (cls == physical.cls || cls == virtual.cls) {
        return cls == physical.cls ? &physical : &virtual;
    }
    for (unsigned i = 0; i < VR_COUNT(twins); i++) {
        cls = twins[i][0] == cls ? twins[i][1] : cls;
    }
    for (unsigned i = 0; i < VR_COUNT(hooks); i++) {
        if (hooks[i].cls == cls) {
            return &hooks[i];
        }
    }
    return is_virtio ? &others : NULL;
}
