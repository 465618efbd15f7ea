/*
 * The split ring: a table of descriptors, the ring of available chains that the driver writes, and
 * the ring of used ones that we write.
 *
 *     descriptor   le64 addr, le32 len, le16 flags, le16 next             16-byte aligned
 *     available    le16 flags, le16 idx, le16 ring[size], le16 used_event   2-byte aligned
 *     used         le16 flags, le16 idx, {le32 id, le32 len}[size], le16 avail_event   4-byte
 * aligned
 *
 * The indexes run freely through 16 bits. Either side asks to be left alone until the other's index
 * passes a point (EVENT_IDX: used_event, avail_event), or by a flag. The order of accesses:
 *
 *     take       read avail.idx (acquire), then its ring entry and descriptors
 *     give       write used.ring, then used.idx (release); full fence; read used_event or
 * avail.flags go idle    write avail_event; full fence; read avail.idx again
 *
 * Chains longer than the queue are refused as loops. A table of indirect descriptors may be longer
 * than the queue (2.7.5.3.1 forbids it to drivers, but stock ones do it) up to VR_CHAIN_SEGS_MAX.
 *
 * Specification: VIRTIO 1.3, section 2.7.
 */
#include "base/bits.h"
#include "dev/virtio/virtio.h"

#include <stdatomic.h>

enum { AVAIL_NO_INTERRUPT = 1 };

static uint64_t split_driver_len(const struct vr_virtq *q)
{
    return 6 + 2 * (uint64_t)q->size;
}

static uint64_t split_device_len(const struct vr_virtq *q)
{
    return 6 + 8 * (uint64_t)q->size;
}

static bool split_event_idx(const struct vr_virtq *q)
{
    return vr_virtio_has(q->host.v, VR_VIRTIO_F_EVENT_IDX);
}

static bool split_size_ok(uint32_t size)
{
    return vr_is_pow2(size);
}

static bool split_placed(const struct vr_virtq *q)
{
    return vr_is_aligned(q->desc_gpa, 16) && vr_is_aligned(q->driver_gpa, 2) &&
           vr_is_aligned(q->device_gpa, 4);
}

/* Any two indexes can be: the ring is looked at with both before anything is taken. */
static bool split_sound(const struct vr_virtq *q)
{
    (void)q;
    return true;
}

static void split_start(struct vr_virtq *q)
{
    q->next_avail = q->next_used = 0;
}

static bool split_map(struct vr_virtq *q)
{
    struct vr_dev *dev = q->host.v->host.dev;
    struct vr_space *mem = dev->env->mem;
    q->host.desc =
        vr_dma_ptr(mem, &dev->dma, q->desc_gpa, (uint64_t)VR_DESC_BYTES * q->size, false);
    q->host.driver = vr_dma_ptr(mem, &dev->dma, q->driver_gpa, split_driver_len(q), false);
    q->host.device = vr_dma_ptr(mem, &dev->dma, q->device_gpa, split_device_len(q), true);
    return q->host.desc && q->host.driver && q->host.device;
}

static uint16_t split_avail_idx(const struct vr_virtq *q)
{
    uint16_t idx = vr_ring_load(q->host.driver + 2);
    atomic_thread_fence(memory_order_acquire);
    return idx;
}

/* Nothing is there: ask to be told, then look once more. */
static uint16_t split_idle(struct vr_virtq *q)
{
    if (!split_event_idx(q)) {
        return q->next_avail; /* the driver always notifies: we never set NO_NOTIFY */
    }
    struct vr_dev *dev = q->host.v->host.dev;
    uint64_t off = 4 + 8 * (uint64_t)q->size;
    vr_ring_store(q->host.device + off, q->next_avail);
    vr_dma_wrote(dev->env->mem, &dev->dma, q->device_gpa + off, 2);
    atomic_thread_fence(memory_order_seq_cst);
    return split_avail_idx(q);
}

static int split_walk(struct vr_virtq *q, unsigned head, struct vr_chain *chain)
{
    struct vr_desc_table t = {.hva = q->host.desc, .gpa = q->desc_gpa, .count = q->size};
    unsigned i = head, seen = 0; /* seen: descriptors of this table */
    bool indirect = false;
    for (;;) {
        struct vr_virtq_desc d;
        if (seen++ == t.count) {
            return vr_virtq_broken(q, "descriptors chained in a loop", head);
        }
        if (!vr_desc_fetch(q, &t, i, &d)) {
            return -1;
        }
        if (d.flags & VR_DESC_INDIRECT) {
            if (indirect) {
                return vr_virtq_broken(q, "indirect descriptor in an indirect table", i);
            }
            if (vr_desc_enter(q, &d, &t) < 0) {
                return -1;
            }
            chain->tag.desc_count = (uint16_t)seen;
            indirect = true;
            i = seen = 0;
            continue;
        }
        if (!vr_chain_add(q, chain, d.gpa, d.len, d.flags & VR_DESC_WRITE)) {
            return -1;
        }
        if (!(d.flags & VR_DESC_NEXT)) {
            break;
        }
        i = d.link;
        if (i >= t.count) {
            return vr_virtq_broken(q, "next descriptor beyond the table", i);
        }
    }
    if (!indirect) {
        chain->tag.desc_count = (uint16_t)seen;
    }
    return 1;
}

static int split_fetch(struct vr_virtq *q, struct vr_chain *chain)
{
    uint16_t idx = split_avail_idx(q);
    if (idx == q->next_avail) {
        idx = split_idle(q);
        if (idx == q->next_avail) {
            return 0;
        }
    }
    /* A chain needs a descriptor of the table until it is used: no more than size are out there.
     * This also bounds what the device has in flight. */
    uint16_t out = (uint16_t)(idx - q->next_used - q->host.staged);
    uint16_t taken = (uint16_t)(q->next_avail - q->next_used - q->host.staged);
    if (out > q->size || taken > out) {
        return vr_virtq_broken(q, "available index jumps", idx);
    }
    unsigned slot = q->next_avail & (q->size - 1u);
    unsigned head = vr_ring_load(q->host.driver + 4 + 2 * slot);
    if (head >= q->size) {
        return vr_virtq_broken(q, "head descriptor beyond the table", head);
    }
    chain->tag.id = (uint16_t)head;
    chain->read_count = chain->write_count = 0;
    chain->read_bytes = chain->write_bytes = 0;
    if (split_walk(q, head, chain) < 0) {
        return -1;
    }
    q->next_avail++;
    return 1;
}

static void split_unfetch(struct vr_virtq *q, struct vr_virtq_tag tag)
{
    (void)tag;
    q->next_avail--;
}

static void split_stage(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written)
{
    unsigned slot = (uint16_t)(q->next_used + q->host.staged) & (q->size - 1u);
    uint8_t elem[8];
    vr_store_le32(elem, tag.id);
    vr_store_le32(elem + 4, written);
    memcpy(q->host.device + 4 + 8 * slot, elem, sizeof(elem));
}

static bool split_publish(struct vr_virtq *q)
{
    struct vr_dev *dev = q->host.v->host.dev;
    uint16_t old = q->next_used;
    q->next_used = (uint16_t)(old + q->host.staged);
    atomic_thread_fence(memory_order_release);
    vr_ring_store(q->host.device + 2, q->next_used);
    vr_dma_wrote(dev->env->mem, &dev->dma, q->device_gpa, split_device_len(q));
    atomic_thread_fence(memory_order_seq_cst);
    if (split_event_idx(q)) {
        uint16_t event = vr_ring_load(q->host.driver + 4 + 2 * q->size);
        return (uint16_t)(q->next_used - event - 1) < (uint16_t)(q->next_used - old); /* 2.7.7.2 */
    }
    return !(vr_ring_load(q->host.driver) & AVAIL_NO_INTERRUPT);
}

const struct vr_virtq_format vr_virtq_split = {
    .name = "split",
    .size_ok = split_size_ok,
    .placed = split_placed,
    .sound = split_sound,
    .start = split_start,
    .map = split_map,
    .fetch = split_fetch,
    .unfetch = split_unfetch,
    .stage = split_stage,
    .publish = split_publish,
};
