/*
 * The packed ring: one ring of descriptors that both sides write.
 *
 *     descriptor          le64 addr, le32 len, le16 id, le16 flags     16-byte aligned
 *     event suppression   le16 offset and wrap, le16 flags              4-byte aligned, one a side
 *
 * A place in the ring is an offset (bits 0 to 14) and a wrap counter (bit 15) that changes with
 * each lap, here as in the event structures; both sides begin at offset 0, wrap 1. A descriptor is
 * available when its AVAIL bit is as the wrap counter and its USED bit is not; it is used when both
 * are. We write one used descriptor a chain, and skip as many places as the chain had descriptors.
 *
 *     take       read the first descriptor's flags (acquire), then the chain
 *     give       write used descriptors; then, last, the flags of the first one (release), so that
 *                all of them are seen at once; full fence; read the driver's event suppression
 *     go idle    write our event suppression; full fence; read the next flags again
 *
 * From next_used to next_avail lies what the driver cannot use yet: a chain that does not fit into
 * the rest is one that loops or lies. Each descriptor of a chain must be marked available (2.8.6).
 *
 * Specification: VIRTIO 1.3, section 2.8.
 */
#include "dev/virtio/virtio.h"

#include <stdatomic.h>

enum { WRAP = 1 << 15, OFF_MASK = WRAP - 1, EVENT_BYTES = 4, EVENT_FLAGS = 2 };
enum { EVENT_ENABLE = 0, EVENT_DISABLE = 1, EVENT_DESC = 2, EVENT_MASK = 3 };

static bool packed_event_idx(const struct vr_virtq *q)
{
    return vr_virtio_has(q->host.v, VR_VIRTIO_F_EVENT_IDX);
}

static uint16_t packed_add(const struct vr_virtq *q, uint16_t place, unsigned count)
{
    unsigned off = (place & OFF_MASK) + count;
    unsigned laps = off / q->size;
    return (uint16_t)((off % q->size) | ((place & WRAP) ^ (laps & 1 ? WRAP : 0)));
}

/* How many steps forward from @from to @to; places repeat after two laps. */
static unsigned packed_distance(const struct vr_virtq *q, uint16_t from, uint16_t to)
{
    unsigned a = (from & OFF_MASK) + (from & WRAP ? 0u : q->size);
    unsigned b = (to & OFF_MASK) + (to & WRAP ? 0u : q->size);
    return (b + 2u * q->size - a) % (2u * q->size);
}

static bool packed_size_ok(uint32_t size)
{
    return size > 0;
}

static bool packed_placed(const struct vr_virtq *q)
{
    return vr_is_aligned(q->desc_gpa, 16) && vr_is_aligned(q->driver_gpa, 4) &&
           vr_is_aligned(q->device_gpa, 4);
}

static bool packed_sound(const struct vr_virtq *q)
{
    return (q->next_avail & OFF_MASK) < q->size && (q->next_used & OFF_MASK) < q->size &&
           packed_distance(q, q->next_used, q->next_avail) <= q->size;
}

static bool packed_map(struct vr_virtq *q)
{
    struct vr_dev *dev = q->host.v->host.dev;
    struct vr_space *mem = dev->env->mem;
    q->host.desc = vr_dma_ptr(mem, &dev->dma, q->desc_gpa, (uint64_t)VR_DESC_BYTES * q->size, true);
    q->host.driver = vr_dma_ptr(mem, &dev->dma, q->driver_gpa, EVENT_BYTES, false);
    q->host.device = vr_dma_ptr(mem, &dev->dma, q->device_gpa, EVENT_BYTES, true);
    return q->host.desc && q->host.driver && q->host.device;
}

static void packed_tell_events(struct vr_virtq *q, uint16_t place, uint16_t flags)
{
    struct vr_dev *dev = q->host.v->host.dev;
    vr_ring_store(q->host.device, place);
    atomic_thread_fence(memory_order_release);
    vr_ring_store(q->host.device + EVENT_FLAGS, flags);
    vr_dma_wrote(dev->env->mem, &dev->dma, q->device_gpa, EVENT_BYTES);
}

static void packed_start(struct vr_virtq *q)
{
    q->next_avail = q->next_used = WRAP;
    packed_tell_events(q, 0, EVENT_ENABLE); /* nobody is bound to have cleared it */
}

static uint8_t *packed_at(const struct vr_virtq *q, uint16_t place)
{
    return q->host.desc + (size_t)VR_DESC_BYTES * (place & OFF_MASK);
}

static bool packed_is_available(uint16_t place, uint16_t flags)
{
    bool wrap = place & WRAP;
    return !!(flags & VR_DESC_AVAIL) == wrap && !!(flags & VR_DESC_USED) != wrap;
}

/* Is a chain there? *ret_flags are its first descriptor's, read once. */
static bool packed_peek(const struct vr_virtq *q, uint16_t *ret_flags)
{
    *ret_flags = vr_ring_load(packed_at(q, q->next_avail) + 14);
    atomic_thread_fence(memory_order_acquire);
    return packed_is_available(q->next_avail, *ret_flags);
}

/* Nothing is there: ask to be told, then look once more. Without EVENT_IDX the driver always
 * notifies. */
static bool packed_idle(struct vr_virtq *q, uint16_t *ret_flags)
{
    if (!packed_event_idx(q)) {
        return false;
    }
    packed_tell_events(q, q->next_avail, EVENT_DESC);
    atomic_thread_fence(memory_order_seq_cst);
    return packed_peek(q, ret_flags);
}

/* All descriptors of the indirect table that @d names, in order; of their flags only WRITE counts
 * (2.8.8). */
static int packed_indirect(struct vr_virtq *q, struct vr_chain *chain,
                           const struct vr_virtq_desc *d)
{
    struct vr_desc_table t = {.packed = true};
    if (vr_desc_enter(q, d, &t) < 0) {
        return -1;
    }
    for (unsigned i = 0; i < t.count; i++) {
        struct vr_virtq_desc e;
        if (!vr_desc_fetch(q, &t, i, &e) ||
            !vr_chain_add(q, chain, e.gpa, e.len, e.flags & VR_DESC_WRITE)) {
            return -1;
        }
    }
    return 0;
}

/* The chain whose first descriptor has @flags. */
static int packed_walk(struct vr_virtq *q, uint16_t flags, struct vr_chain *chain)
{
    const struct vr_desc_table t = {
        .hva = q->host.desc, .gpa = q->desc_gpa, .count = q->size, .packed = true};
    unsigned room = q->size - packed_distance(q, q->next_used, q->next_avail), count = 0;
    uint16_t place = q->next_avail;
    for (;;) {
        struct vr_virtq_desc d;
        if (count == room) {
            return vr_virtq_broken(q, "more descriptors than the ring has free", count);
        }
        if (!vr_desc_fetch(q, &t, place & OFF_MASK, &d)) {
            return -1;
        }
        if (count == 0) {
            d.flags = flags; /* as they were when we decided that it is there */
        } else if (!packed_is_available(place, d.flags)) {
            return vr_virtq_broken(q, "chained descriptor is not marked available", place);
        }
        count++;
        chain->tag.id = d.link;
        if (d.flags & VR_DESC_INDIRECT) {
            if (count > 1) {
                return vr_virtq_broken(q, "indirect descriptor in a chain", place);
            }
            if (packed_indirect(q, chain, &d) < 0) {
                return -1;
            }
            break;
        }
        if (!vr_chain_add(q, chain, d.gpa, d.len, d.flags & VR_DESC_WRITE)) {
            return -1;
        }
        if (!(d.flags & VR_DESC_NEXT)) {
            break;
        }
        place = packed_add(q, place, 1);
    }
    chain->tag.desc_count = (uint16_t)count;
    return 1;
}

static int packed_fetch(struct vr_virtq *q, struct vr_chain *chain)
{
    uint16_t flags;
    if (!packed_peek(q, &flags) && !packed_idle(q, &flags)) {
        return 0;
    }
    int r = packed_walk(q, flags, chain);
    if (r > 0) {
        q->next_avail = packed_add(q, q->next_avail, chain->tag.desc_count);
    }
    return r;
}

static void packed_unfetch(struct vr_virtq *q, struct vr_virtq_tag tag)
{
    /* Back by n is forward by two laps less n. */
    q->next_avail = packed_add(q, q->next_avail, 2u * q->size - tag.desc_count % (2u * q->size));
}

static void packed_stage(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written)
{
    uint16_t place = packed_add(q, q->next_used, q->host.staged_descs);
    uint16_t flags = (uint16_t)((place & WRAP ? VR_DESC_AVAIL | VR_DESC_USED : 0) |
                                (written ? VR_DESC_WRITE : 0));
    uint8_t *at = packed_at(q, place);
    uint8_t raw[6];
    vr_store_le32(raw, written);
    vr_store_le16(raw + 4, tag.id);
    memcpy(at + 8, raw, sizeof(raw));
    if (q->host.staged == 0) {
        q->host.staged_flags = flags;
    } else {
        vr_ring_store(at + 14, flags);
    }
    q->host.staged_descs = (uint16_t)(q->host.staged_descs + tag.desc_count);
}

/* Does the driver want to hear that places [old, next_used) were used? */
static bool packed_wants(const struct vr_virtq *q, uint16_t old)
{
    /* Both halves at once, so that the place belongs to the flags. */
    uint32_t word = VR_LE_(
        32, __atomic_load_n((const uint32_t *)(const void *)q->host.driver, __ATOMIC_RELAXED));
    unsigned flags = word >> 16 & EVENT_MASK;
    if (flags == EVENT_DESC && packed_event_idx(q)) {
        return packed_distance(q, old, (uint16_t)word) < packed_distance(q, old, q->next_used);
    }
    return flags != EVENT_DISABLE;
}

static bool packed_publish(struct vr_virtq *q)
{
    struct vr_dev *dev = q->host.v->host.dev;
    uint16_t old = q->next_used;
    q->next_used = packed_add(q, old, q->host.staged_descs);
    atomic_thread_fence(memory_order_release);
    vr_ring_store(packed_at(q, old) + 14, q->host.staged_flags);
    vr_dma_wrote(dev->env->mem, &dev->dma, q->desc_gpa, (uint64_t)VR_DESC_BYTES * q->size);
    atomic_thread_fence(memory_order_seq_cst);
    return packed_wants(q, old);
}

const struct vr_virtq_format vr_virtq_packed = {
    .name = "packed",
    .size_ok = packed_size_ok,
    .placed = packed_placed,
    .sound = packed_sound,
    .start = packed_start,
    .map = packed_map,
    .fetch = packed_fetch,
    .unfetch = packed_unfetch,
    .stage = packed_stage,
    .publish = packed_publish,
};
