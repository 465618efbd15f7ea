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
 * Specification: VIRTIO 1.2, section 2.7.
 */
#include "base/bits.h"
#include "dev/virtio/virtio.h"

#include <inttypes.h>
#include <stdatomic.h>

enum { DESC_BYTES = 16, DESC_NEXT = 1, DESC_WRITE = 2, DESC_INDIRECT = 4 };
enum { AVAIL_NO_INTERRUPT = 1 };

struct split_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, next;
};

/* Ring words are aligned (split_placed) and shared with running CPUs. */
static uint16_t split_load(const uint8_t *p)
{
    return VR_LE_(16, __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_RELAXED));
}

static void split_store(uint8_t *p, uint16_t val)
{
    __atomic_store_n((uint16_t *)(void *)p, VR_LE_(16, val), __ATOMIC_RELAXED);
}

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

static bool split_placed(const struct vr_virtq *q)
{
    return vr_is_pow2(q->size) && q->size <= q->host.size_max && vr_is_aligned(q->desc_gpa, 16) &&
           vr_is_aligned(q->driver_gpa, 2) && vr_is_aligned(q->device_gpa, 4);
}

static bool split_map(struct vr_virtq *q)
{
    struct vr_dev *dev = q->host.v->host.dev;
    struct vr_space *mem = dev->env->mem;
    q->host.desc = vr_dma_ptr(mem, &dev->dma, q->desc_gpa, (uint64_t)DESC_BYTES * q->size, false);
    q->host.driver = vr_dma_ptr(mem, &dev->dma, q->driver_gpa, split_driver_len(q), false);
    q->host.device = vr_dma_ptr(mem, &dev->dma, q->device_gpa, split_device_len(q), true);
    return q->host.desc && q->host.driver && q->host.device;
}

static uint16_t split_avail_idx(const struct vr_virtq *q)
{
    uint16_t idx = split_load(q->host.driver + 2);
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
    split_store(q->host.device + off, q->next_avail);
    vr_dma_wrote(dev->env->mem, &dev->dma, q->device_gpa + off, 2);
    atomic_thread_fence(memory_order_seq_cst);
    return split_avail_idx(q);
}

static int split_broken(struct vr_virtq *q, const char *why, uint64_t val)
{
    vr_virtio_break(q->host.v, "queue %u: %s (%" PRIu64 ")", q->host.index, why, val);
    return -1;
}

/* Where descriptors are read from: the ring's table, or an indirect one. */
struct split_table {
    const uint8_t *hva; /* NULL: not contiguous for us, read by address */
    uint64_t gpa;
    unsigned count;
};

/* One copy; everything is decided on it (THREATS 7). */
static bool split_fetch_desc(struct vr_virtq *q, const struct split_table *t, unsigned i,
                             struct split_desc *ret_desc)
{
    struct vr_dev *dev = q->host.v->host.dev;
    uint8_t raw[DESC_BYTES];
    uint64_t off = (uint64_t)i * DESC_BYTES;
    if (VR_LIKELY(t->hva != NULL)) {
        memcpy(raw, t->hva + off, sizeof(raw));
    } else if (vr_dma_read(dev->env->mem, &dev->dma, t->gpa + off, raw, sizeof(raw)) < 0) {
        return false;
    }
    atomic_signal_fence(memory_order_seq_cst);
    *ret_desc = (struct split_desc){
        .gpa = vr_load_le64(raw),
        .len = vr_load_le32(raw + 8),
        .flags = vr_load_le16(raw + 12),
        .next = vr_load_le16(raw + 14),
    };
    return true;
}

/* Go on in the indirect table that @d names (2.7.5.3); -1: it must not be one. */
static int split_enter(struct vr_virtq *q, const struct split_desc *d, struct split_table *t)
{
    struct vr_dev *dev = q->host.v->host.dev;
    uint64_t end;
    if (!vr_virtio_has(q->host.v, VR_VIRTIO_F_INDIRECT_DESC)) {
        return split_broken(q, "indirect descriptor without the feature", d->flags);
    }
    if (d->flags & DESC_NEXT) {
        return split_broken(q, "indirect descriptor with a next one", d->next);
    }
    if (d->len == 0 || d->len % DESC_BYTES || d->len / DESC_BYTES > VR_CHAIN_SEGS_MAX) {
        return split_broken(q, "indirect table of a bad length", d->len);
    }
    if (!vr_add_ok(d->gpa, d->len, &end)) {
        return split_broken(q, "indirect table at the end of memory", d->gpa);
    }
    t->hva = vr_dma_ptr(dev->env->mem, &dev->dma, d->gpa, d->len, false);
    t->gpa = d->gpa;
    t->count = d->len / DESC_BYTES;
    return 0;
}

static int split_walk(struct vr_virtq *q, unsigned head, struct vr_chain *chain)
{
    struct split_table t = {.hva = q->host.desc, .gpa = q->desc_gpa, .count = q->size};
    unsigned i = head, seen = 0; /* seen: descriptors of this table */
    bool indirect = false;
    for (;;) {
        struct split_desc d;
        if (seen++ == t.count) {
            return split_broken(q, "descriptors chained in a loop", head);
        }
        if (!split_fetch_desc(q, &t, i, &d)) {
            return split_broken(q, "indirect table is not in RAM", t.gpa);
        }
        if (d.flags & DESC_INDIRECT) {
            if (indirect) {
                return split_broken(q, "indirect descriptor in an indirect table", i);
            }
            if (split_enter(q, &d, &t) < 0) {
                return -1;
            }
            chain->tag.desc_count = (uint16_t)seen;
            indirect = true;
            i = seen = 0;
            continue;
        }
        if (!vr_chain_add(q, chain, d.gpa, d.len, d.flags & DESC_WRITE)) {
            return -1;
        }
        if (!(d.flags & DESC_NEXT)) {
            break;
        }
        i = d.next;
        if (i >= t.count) {
            return split_broken(q, "next descriptor beyond the table", i);
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
        return split_broken(q, "available index jumps", idx);
    }
    unsigned slot = q->next_avail & (q->size - 1u);
    unsigned head = split_load(q->host.driver + 4 + 2 * slot);
    if (head >= q->size) {
        return split_broken(q, "head descriptor beyond the table", head);
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

static void split_unfetch(struct vr_virtq *q, unsigned count)
{
    q->next_avail = (uint16_t)(q->next_avail - count);
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
    split_store(q->host.device + 2, q->next_used);
    vr_dma_wrote(dev->env->mem, &dev->dma, q->device_gpa, split_device_len(q));
    atomic_thread_fence(memory_order_seq_cst);
    if (split_event_idx(q)) {
        uint16_t event = split_load(q->host.driver + 4 + 2 * q->size);
        return (uint16_t)(q->next_used - event - 1) < (uint16_t)(q->next_used - old); /* 2.7.7.2 */
    }
    return !(split_load(q->host.driver) & AVAIL_NO_INTERRUPT);
}

const struct vr_virtq_format vr_virtq_split = {
    .name = "split",
    .placed = split_placed,
    .map = split_map,
    .fetch = split_fetch,
    .unfetch = split_unfetch,
    .stage = split_stage,
    .publish = split_publish,
};
