/* A virtio driver for tests. Specification: VIRTIO 1.3, sections 2.7, 2.8, 3.1 and 4.2. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/class.h"
#include <stdlib.h>

#define PACKED VR_VIRTIO_F_RING_PACKED
const struct vd_mode vd_modes[8] = {
    {"plain", 0},
    {"indirect", VR_VIRTIO_F_INDIRECT_DESC},
    {"event index", VR_VIRTIO_F_EVENT_IDX},
    {"indirect, event index", VR_VIRTIO_F_INDIRECT_DESC | VR_VIRTIO_F_EVENT_IDX},
    {"packed", PACKED},
    {"packed, indirect", PACKED | VR_VIRTIO_F_INDIRECT_DESC},
    {"packed, event index", PACKED | VR_VIRTIO_F_EVENT_IDX},
    {"packed, indirect, event index", PACKED | VR_VIRTIO_F_INDIRECT_DESC | VR_VIRTIO_F_EVENT_IDX},
};

uint64_t vd_ring(unsigned i)
{
    static const uint64_t bits[] = {VR_VIRTIO_F_RING_PACKED,       VR_VIRTIO_F_INDIRECT_DESC,
                                    VR_VIRTIO_F_EVENT_IDX,         VR_VIRTIO_F_IN_ORDER,
                                    VR_VIRTIO_F_NOTIFICATION_DATA, VR_VIRTIO_F_RING_RESET};
    uint64_t features = 0;
    for (unsigned k = 0; k < VR_COUNT(bits); k++) {
        features |= i >> k & 1 ? bits[k] : 0;
    }
    return features;
}

bool vd_over_pci(void)
{
    const char *transport = getenv("VD_TRANSPORT");
    return transport && strcmp(transport, "pci") == 0;
}

void vd_init(struct vd *d, struct rig *rig, struct vr_dev *dev)
{
    *d = (struct vd){.rig = rig, .heap = RIG_RAM_GPA};
    vd_replace(d, dev);
}

void vd_replace(struct vd *d, struct vr_dev *dev)
{
    d->dev = dev;
    if (dev->cls->pci) {
        vr_irq_connect(&vr_pci_of(dev)->host.irq, sink_set, &d->irq, 0);
    } else {
        vr_irq_connect(vr_virtio_mmio_irq(dev), sink_set, &d->irq, 0);
    }
}

/* Where PCI has what MMIO calls @reg; VIRTIO 1.3, 4.1.4.3. */
static const struct vd_pci_reg {
    unsigned reg, off, width;
} vd_pci_regs[] = {
    {VD_DEVICE_FEATURES_SEL, 0x00, 4},
    {VD_DEVICE_FEATURES, 0x04, 4},
    {VD_DRIVER_FEATURES_SEL, 0x08, 4},
    {VD_DRIVER_FEATURES, 0x0c, 4},
    {VD_STATUS, 0x14, 1},
    {VD_GENERATION, 0x15, 1},
    {VD_QUEUE_SEL, 0x16, 2},
    {VD_QUEUE_SIZE, 0x18, 2},
    {VD_QUEUE_SIZE_MAX, 0x18, 2},
    {VD_QUEUE_READY, 0x1c, 2},
    {VD_DESC, 0x20, 4},
    {VD_DESC + 4, 0x24, 4},
    {VD_DRIVER, 0x28, 4},
    {VD_DRIVER + 4, 0x2c, 4},
    {VD_DEVICE, 0x30, 4},
    {VD_DEVICE + 4, 0x34, 4},
    {VD_QUEUE_RESET, 0x3a, 2},
    {VD_ISR, VR_VIRTIO_PCI_ISR, 1},
};

static const struct vd_pci_reg *vd_pci_find(unsigned reg)
{
    for (unsigned i = 0; i < VR_COUNT(vd_pci_regs); i++) {
        if (vd_pci_regs[i].reg == reg) {
            return &vd_pci_regs[i];
        }
    }
    fail_msg("PCI has no register 0x%x", reg);
    return NULL;
}

uint32_t vd_get(struct vd *d, unsigned reg)
{
    if (d->dev->cls->pci && reg == VD_DEVICE_ID) {
        return (uint32_t)vr_dev_read(d->dev, VR_PCI_WINDOW, VR_PCI_DEVICE, 2) - 0x1040;
    }
    if (d->dev->cls->pci) {
        const struct vd_pci_reg *r = vd_pci_find(reg);
        return (uint32_t)vr_dev_read(d->dev, VR_VIRTIO_PCI_REGS, r->off, r->width);
    }
    return (uint32_t)vr_dev_read(d->dev, 0, reg, 4);
}

void vd_set(struct vd *d, unsigned reg, uint32_t val)
{
    if (!d->dev->cls->pci) {
        vr_dev_write(d->dev, 0, reg, 4, val);
    } else if (reg == VD_QUEUE_NOTIFY) {
        uint64_t off = (uint64_t)(val & UINT16_MAX) * VR_VIRTIO_PCI_NOTIFY_STEP;
        vr_dev_write(d->dev, VR_VIRTIO_PCI_REGS, VR_VIRTIO_PCI_NOTIFY + off % 0x1000, 4, val);
    } else if (reg != VD_ACK) { /* reading has acknowledged it */
        const struct vd_pci_reg *r = vd_pci_find(reg);
        vr_dev_write(d->dev, VR_VIRTIO_PCI_REGS, r->off, r->width, val);
    }
}

uint64_t vd_config(struct vd *d, unsigned off, unsigned width)
{
    return d->dev->cls->pci
               ? vr_dev_read(d->dev, VR_VIRTIO_PCI_REGS, VR_VIRTIO_PCI_DEVICE + off, width)
               : vr_dev_read(d->dev, 0, VD_CONFIG + off, width);
}

void vd_config_set(struct vd *d, unsigned off, unsigned width, uint64_t val)
{
    if (d->dev->cls->pci) {
        vr_dev_write(d->dev, VR_VIRTIO_PCI_REGS, VR_VIRTIO_PCI_DEVICE + off, width, val);
    } else {
        vr_dev_write(d->dev, 0, VD_CONFIG + off, width, val);
    }
}

uint64_t vd_offered(struct vd *d)
{
    vd_set(d, VD_DEVICE_FEATURES_SEL, 0);
    uint64_t low = vd_get(d, VD_DEVICE_FEATURES);
    vd_set(d, VD_DEVICE_FEATURES_SEL, 1);
    return low | (uint64_t)vd_get(d, VD_DEVICE_FEATURES) << 32;
}

bool vd_negotiate(struct vd *d, uint64_t features)
{
    d->features = features | VR_VIRTIO_F_VERSION_1;
    d->indirect = features & VR_VIRTIO_F_INDIRECT_DESC;
    d->packed = features & VR_VIRTIO_F_RING_PACKED;
    if (d->dev->cls->pci) { /* may reach memory */
        vr_dev_write(d->dev, VR_PCI_WINDOW, VR_PCI_COMMAND, 2, VR_PCI_CMD_MEM | VR_PCI_CMD_MASTER);
    }
    vd_set(d, VD_STATUS, 0);
    vd_set(d, VD_STATUS, VR_VIRTIO_ACKNOWLEDGE);
    vd_set(d, VD_STATUS, VR_VIRTIO_ACKNOWLEDGE | VR_VIRTIO_DRIVER);
    for (unsigned i = 0; i < 2; i++) {
        vd_set(d, VD_DRIVER_FEATURES_SEL, i);
        vd_set(d, VD_DRIVER_FEATURES, (uint32_t)(d->features >> (32 * i)));
    }
    vd_set(d, VD_STATUS, VR_VIRTIO_ACKNOWLEDGE | VR_VIRTIO_DRIVER | VR_VIRTIO_FEATURES_OK);
    return vd_get(d, VD_STATUS) & VR_VIRTIO_FEATURES_OK;
}

enum { VD_WRAP = 1 << 15, VD_OFF = VD_WRAP - 1, VD_AVAIL = 1 << 7, VD_USED = 1 << 15 };

uint16_t vd_place_add(const struct vd_queue *q, uint16_t place, unsigned count)
{
    unsigned off = place & VD_OFF, wrap = place & VD_WRAP;
    for (; count; count--) {
        if (++off == q->size) {
            off = 0;
            wrap ^= VD_WRAP;
        }
    }
    return (uint16_t)(off | wrap);
}

/* Counted in steps, unlike the device does it: what the one gets wrong the other shows. */
unsigned vd_place_distance(const struct vd_queue *q, uint16_t from, uint16_t to)
{
    unsigned n = 0;
    while (from != to && n < 2 * q->size) {
        from = vd_place_add(q, from, 1);
        n++;
    }
    return n;
}

static void vd_set_gpa(struct vd *d, unsigned reg, uint64_t gpa)
{
    vd_set(d, reg, (uint32_t)gpa);
    vd_set(d, reg + 4, (uint32_t)(gpa >> 32));
}

void vd_queue(struct vd *d, unsigned queue, unsigned size)
{
    struct vd_queue *q = &d->q[queue];
    *q = (struct vd_queue){.index = queue, .size = size};
    q->place = q->used_place = q->kicked = d->packed ? VD_WRAP : 0;
    q->desc = vd_alloc(d, 16 * (uint64_t)size, 16);
    q->avail = d->packed ? vd_alloc(d, 4, 4) : vd_alloc(d, 6 + 2 * (uint64_t)size, 2);
    q->used = vd_alloc(d, d->packed ? 4 : 6 + 8 * (uint64_t)size, 4);
    memset(vd_hva(d, q->desc), 0, (size_t)(d->heap - q->desc));
    vd_set(d, VD_QUEUE_SEL, queue);
    assert_int_equal(vd_get(d, VD_QUEUE_READY), 0);
    vd_set(d, VD_QUEUE_SIZE, size);
    vd_set_gpa(d, VD_DESC, q->desc);
    vd_set_gpa(d, VD_DRIVER, q->avail);
    vd_set_gpa(d, VD_DEVICE, q->used);
    vd_set(d, VD_QUEUE_READY, 1);
}

void vd_driver_ok(struct vd *d)
{
    vd_set(d, VD_STATUS, vd_get(d, VD_STATUS) | VR_VIRTIO_DRIVER_OK);
}

void vd_start(struct vd *d, uint64_t features, unsigned size)
{
    d->heap = RIG_RAM_GPA;
    assert_true(vd_negotiate(d, features));
    for (unsigned i = 0; i < VD_QUEUES; i++) {
        vd_set(d, VD_QUEUE_SEL, i);
        uint32_t max = vd_get(d, VD_QUEUE_SIZE_MAX);
        if (max) {
            vd_queue(d, i, size && size < max ? size : max);
            assert_int_equal(vd_get(d, VD_QUEUE_READY), 1);
        }
    }
    vd_driver_ok(d);
    assert_false(vd_needs_reset(d));
}

bool vd_needs_reset(struct vd *d)
{
    return vd_get(d, VD_STATUS) & VR_VIRTIO_NEEDS_RESET;
}

uint64_t vd_alloc(struct vd *d, uint64_t len, uint64_t align)
{
    uint64_t gpa = vr_align_up(d->heap, align);
    d->heap = gpa + len;
    assert_true(d->heap <= RIG_RAM_GPA + RIG_RAM_LEN);
    return gpa;
}

uint8_t *vd_hva(struct vd *d, uint64_t gpa)
{
    return d->rig->ram->hva + (gpa - RIG_RAM_GPA);
}

struct vd_buf vd_out(struct vd *d, const void *bytes, uint32_t len)
{
    struct vd_buf buf = {.gpa = vd_alloc(d, len, 1), .len = len};
    memcpy(vd_hva(d, buf.gpa), bytes, len);
    return buf;
}

struct vd_buf vd_in(struct vd *d, uint32_t len)
{
    struct vd_buf buf = {.gpa = vd_alloc(d, len, 1), .len = len, .write = true};
    memset(vd_hva(d, buf.gpa), 0xee, len);
    return buf;
}

unsigned vd_split(struct vd_buf buf, uint32_t piece, struct vd_buf *ret_bufs, unsigned max)
{
    unsigned n = 0;
    for (uint32_t off = 0; off < buf.len; off += piece) {
        assert_true(n < max);
        uint32_t len = buf.len - off < piece ? buf.len - off : piece;
        ret_bufs[n++] = (struct vd_buf){.gpa = buf.gpa + off, .len = len, .write = buf.write};
    }
    return n;
}

void vd_desc_at(struct vd *d, uint64_t table, unsigned i, uint64_t gpa, uint32_t len,
                uint16_t flags, uint16_t next)
{
    uint8_t *p = vd_hva(d, table + 16 * (uint64_t)i);
    vr_store_le64(p, gpa);
    vr_store_le32(p + 8, len);
    vr_store_le16(p + 12, flags);
    vr_store_le16(p + 14, next);
}

void vd_desc(struct vd *d, unsigned queue, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
             uint16_t next)
{
    vd_desc_at(d, d->q[queue].desc, i, gpa, len, flags, next);
}

void vd_publish(struct vd *d, unsigned queue, uint16_t head)
{
    struct vd_queue *q = &d->q[queue];
    uint8_t *avail = vd_hva(d, q->avail);
    vr_store_le16(avail + 4 + 2 * (q->avail_idx % q->size), head);
    q->avail_idx++;
    __atomic_store_n((uint16_t *)(void *)(avail + 2), VR_LE_(16, q->avail_idx), __ATOMIC_RELEASE);
}

/* The flags that make a descriptor at @place available. */
static uint16_t vd_avail_flags(uint16_t place)
{
    return place & VD_WRAP ? VD_AVAIL : VD_USED;
}

void vd_packed_put(struct vd *d, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags,
                   uint16_t id)
{
    struct vd_queue *q = &d->q[queue];
    vd_desc(d, queue, q->place & VD_OFF, gpa, len, id,
            (uint16_t)(flags | vd_avail_flags(q->place)));
    q->place = vd_place_add(q, q->place, 1);
}

static uint16_t vd_packed_add(struct vd *d, unsigned queue, const struct vd_buf *bufs,
                              unsigned count)
{
    struct vd_queue *q = &d->q[queue];
    uint16_t id = q->next_free, first_flags = 0, place = q->place;
    uint8_t *first = vd_hva(d, q->desc) + 16 * (place & VD_OFF) + 14;
    unsigned descs = d->indirect && count > 1 ? 1 : count;
    assert_true(descs <= q->size);
    if (d->indirect && count > 1) {
        uint64_t table = vd_alloc(d, 16 * (uint64_t)count, 16);
        for (unsigned i = 0; i < count; i++) {
            vd_desc_at(d, table, i, bufs[i].gpa, bufs[i].len, 0, bufs[i].write ? VD_WRITE : 0);
        }
        first_flags = VD_INDIRECT | vd_avail_flags(place);
        vd_desc(d, queue, place & VD_OFF, table, 16 * count, id, vr_load_le16(first));
        q->place = vd_place_add(q, place, 1);
    }
    for (unsigned i = 0; i < count && !(first_flags & VD_INDIRECT); i++) {
        uint16_t flags = (uint16_t)((bufs[i].write ? VD_WRITE : 0) | (i + 1 < count ? VD_NEXT : 0) |
                                    vd_avail_flags(q->place));
        if (i == 0) {
            first_flags = flags;
            flags = vr_load_le16(first);
        }
        vd_desc(d, queue, q->place & VD_OFF, bufs[i].gpa, bufs[i].len, i + 1 < count ? 0xdead : id,
                flags);
        q->place = vd_place_add(q, q->place, 1);
    }
    q->descs[id] = (uint16_t)descs;
    q->next_free = (uint16_t)((id + 1u) % q->size);
    __atomic_store_n((uint16_t *)(void *)first, VR_LE_(16, first_flags), __ATOMIC_RELEASE);
    return id;
}

static void vd_chain(struct vd *d, uint64_t table, unsigned first, unsigned size,
                     const struct vd_buf *bufs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        unsigned flags = (bufs[i].write ? VD_WRITE : 0) | (i + 1 < count ? VD_NEXT : 0);
        vd_desc_at(d, table, (first + i) % size, bufs[i].gpa, bufs[i].len, (uint16_t)flags,
                   i + 1 < count ? (uint16_t)((first + i + 1) % size) : 0);
    }
}

uint16_t vd_add(struct vd *d, unsigned queue, const struct vd_buf *bufs, unsigned count)
{
    struct vd_queue *q = &d->q[queue];
    uint16_t head = q->next_free;
    q->order[q->added++ % VD_SIZE_MAX] = head;
    if (d->packed) {
        return vd_packed_add(d, queue, bufs, count);
    }
    if (d->indirect && count > 1) {
        uint64_t table = vd_alloc(d, 16 * (uint64_t)count, 16);
        vd_chain(d, table, 0, count, bufs, count);
        vd_desc(d, queue, head, table, 16 * count, VD_INDIRECT, 0);
        q->next_free = (uint16_t)((head + 1u) % q->size);
    } else {
        assert_true(count <= q->size);
        vd_chain(d, q->desc, head, q->size, bufs, count);
        q->next_free = (uint16_t)((head + count) % q->size);
    }
    vd_publish(d, queue, head);
    return head;
}

static bool vd_packed_wanted(struct vd *d, struct vd_queue *q)
{
    const uint8_t *event = vd_hva(d, q->used);
    uint16_t flags = vr_load_le16(event + 2) & 3;
    if (flags == 2) {
        assert_true(d->features & VR_VIRTIO_F_EVENT_IDX);
        return vd_place_distance(q, q->kicked, vr_load_le16(event)) <
               vd_place_distance(q, q->kicked, q->place);
    }
    return flags == 0;
}

void vd_kick(struct vd *d, unsigned queue)
{
    struct vd_queue *q = &d->q[queue];
    const uint8_t *used = vd_hva(d, q->used);
    uint16_t now = d->packed ? q->place : q->avail_idx;
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    bool wanted;
    if (d->packed) {
        wanted = vd_packed_wanted(d, q);
    } else if (d->features & VR_VIRTIO_F_EVENT_IDX) {
        uint16_t event = vr_load_le16(used + 4 + 8 * q->size);
        wanted = (uint16_t)(now - event - 1) < (uint16_t)(now - q->kicked);
    } else {
        wanted = !(vr_load_le16(used) & 1);
    }
    q->kicked = now;
    if (wanted) {
        q->kicks++;
        bool data = d->features & VR_VIRTIO_F_NOTIFICATION_DATA;
        vd_set(d, VD_QUEUE_NOTIFY, queue | (data ? (uint32_t)now << 16 : 0));
    } else {
        q->kicks_withheld++;
    }
}

static bool vd_packed_used(struct vd *d, struct vd_queue *q, uint16_t *ret_id, uint32_t *ret_len)
{
    const uint8_t *desc = vd_hva(d, q->desc) + 16 * (q->used_place & VD_OFF);
    uint16_t flags =
        VR_LE_(16, __atomic_load_n((const uint16_t *)(const void *)(desc + 14), __ATOMIC_ACQUIRE));
    bool wrap = q->used_place & VD_WRAP;
    if (!!(flags & VD_AVAIL) != wrap || !!(flags & VD_USED) != wrap) {
        return false;
    }
    *ret_id = vr_load_le16(desc + 12);
    *ret_len = flags & VD_WRITE ? vr_load_le32(desc + 8) : 0;
    q->used_place = vd_place_add(q, q->used_place, *ret_id < q->size ? q->descs[*ret_id] : 1);
    return true;
}

static bool vd_split_used(struct vd *d, struct vd_queue *q, uint16_t *ret_head, uint32_t *ret_len)
{
    const uint8_t *used = vd_hva(d, q->used);
    uint16_t idx =
        VR_LE_(16, __atomic_load_n((const uint16_t *)(const void *)(used + 2), __ATOMIC_ACQUIRE));
    if (idx == q->used_idx) {
        return false;
    }
    const uint8_t *elem = used + 4 + 8 * (q->used_idx % q->size);
    *ret_head = (uint16_t)vr_load_le32(elem);
    *ret_len = vr_load_le32(elem + 4);
    q->used_idx++;
    return true;
}

bool vd_used(struct vd *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len)
{
    struct vd_queue *q = &d->q[queue];
    uint16_t head;
    uint32_t len;
    if (!(d->packed ? vd_packed_used : vd_split_used)(d, q, &head, &len)) {
        return false;
    }
    if (d->features & VR_VIRTIO_F_IN_ORDER) {
        assert_int_equal(head, q->order[q->seen % VD_SIZE_MAX]);
    }
    q->seen++;
    if (ret_head) {
        *ret_head = head;
    }
    if (ret_len) {
        *ret_len = len;
    }
    return true;
}

uint32_t vd_do(struct vd *d, unsigned queue, const struct vd_buf *bufs, unsigned count)
{
    uint16_t head = vd_add(d, queue, bufs, count), got = UINT16_MAX;
    uint32_t len = UINT32_MAX;
    vd_kick(d, queue);
    assert_true(vd_used(d, queue, &got, &len));
    assert_int_equal(got, head);
    return len;
}

void vd_want_irq(struct vd *d, unsigned queue, bool on)
{
    struct vd_queue *q = &d->q[queue];
    uint8_t *avail = vd_hva(d, q->avail);
    if (d->packed) {
        bool event = d->features & VR_VIRTIO_F_EVENT_IDX;
        vr_store_le16(avail, q->used_place);
        vr_store_le16(avail + 2, !on ? 1 : event ? 2 : 0);
        return;
    }
    vr_store_le16(avail, on ? 0 : 1);
    vr_store_le16(avail + 4 + 2 * q->size, on ? q->used_idx : (uint16_t)(q->used_idx - 1));
}

uint32_t vd_isr(struct vd *d)
{
    uint32_t isr = vd_get(d, VD_ISR);
    vd_set(d, VD_ACK, isr);
    return isr;
}

const struct vr_virtq_stats *vd_stats(struct vd *d, unsigned queue)
{
    return &vr_virtio_of(d->dev)->host.vq[queue].host.stats;
}

int vd_setup(void **state, const struct vr_dev_class *cls, const char *opts)
{
    static struct vd_fixture f;
    rig_init(&f.rig);
    f.dev = rig_dev(&f.rig, cls, opts);
    vd_init(&f.d, &f.rig, f.dev);
    *state = &f;
    return 0;
}

int vd_teardown(void **state)
{
    struct vd_fixture *f = *state;
    vr_dev_destroy(f->dev);
    rig_fini(&f->rig);
    return 0;
}
