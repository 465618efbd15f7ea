/* The part of a virtqueue that does not depend on the ring's format: chains of pieces of RAM, the
 * account, and the rules of starting and stopping. */
#include "dev/virtio/virtq.h"

#include "base/alloc.h"
#include "core/iov.h"
#include "dev/virtio/virtio.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>

/* Pointers into guest RAM, good for the present map; false: the ring is not in RAM. */
static bool virtq_map(struct vr_virtq *q)
{
    struct vr_space *mem = q->host.v->host.dev->env->mem;
    if (!mem) {
        return false;
    }
    uint64_t gen = vr_space_gen(mem);
    if (!q->host.mapped || q->host.map_gen != gen) {
        q->host.mapped = q->host.format->map(q);
        q->host.map_gen = gen;
    }
    return q->host.mapped;
}

static bool virtq_usable(struct vr_virtq *q)
{
    if (!q->ready || !vr_virtio_running(q->host.v)) {
        return false;
    }
    if (VR_UNLIKELY(!virtq_map(q))) {
        vr_tally(&q->host.stats.errors, 1);
        vr_virtio_break(q->host.v, "queue %u: the ring is not in RAM any more", q->host.index);
        return false;
    }
    return true;
}

/* --- IN_ORDER (2.7.9, 2.8.9): what was given back too early --- */

/* An entry: le32 bytes written, le16 id, le16 descriptors with bit 15 set. */
enum { EARLY_BYTES = 8, EARLY_DONE = 1 << 15 };

static bool virtq_in_order(const struct vr_virtq *q)
{
    return vr_virtio_has(q->host.v, VR_VIRTIO_F_IN_ORDER);
}

/* Entries kept: a power of two, so that numbers of 16 bits find theirs across the wrap. */
static unsigned virtq_early_count(const struct vr_virtq *q)
{
    unsigned count = 1;
    while (count < q->size) {
        count *= 2;
    }
    return count;
}

static uint8_t *virtq_early_at(struct vr_virtq *q, uint16_t seq)
{
    return q->early + (size_t)(seq & (virtq_early_count(q) - 1)) * EARLY_BYTES;
}

static void virtq_early_free(struct vr_virtq *q)
{
    free(q->early);
    q->early = NULL;
    q->early_len = 0;
}

static bool virtq_early_init(struct vr_virtq *q)
{
    virtq_early_free(q);
    q->next_seq = q->oldest_seq = 0;
    if (virtq_in_order(q)) {
        q->early_len = virtq_early_count(q) * EARLY_BYTES;
        q->early = vr_zalloc(q->early_len);
    }
    return q->early || !virtq_in_order(q);
}

static void virtq_stage(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written)
{
    q->host.format->stage(q, tag, written);
    q->host.staged++;
}

/* Note that @tag is done, and stage all whose turn has come. */
static void virtq_stage_in_order(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written)
{
    uint8_t *at = virtq_early_at(q, tag.seq);
    vr_store_le32(at, written);
    vr_store_le16(at + 4, tag.id);
    vr_store_le16(at + 6, (uint16_t)(tag.desc_count | EARLY_DONE));
    while (q->oldest_seq != q->next_seq) {
        at = virtq_early_at(q, q->oldest_seq);
        uint16_t word = vr_load_le16(at + 6);
        if (!(word & EARLY_DONE)) {
            break;
        }
        vr_store_le16(at + 6, 0);
        struct vr_virtq_tag next = {.id = vr_load_le16(at + 4),
                                    .desc_count = word & (EARLY_DONE - 1),
                                    .seq = q->oldest_seq};
        virtq_stage(q, next, vr_load_le32(at));
        q->oldest_seq++;
    }
}

bool vr_virtq_sound(const struct vr_virtq *q)
{
    if (q->size > q->host.size_max || (q->size && !q->host.format->size_ok(q->size))) {
        return false;
    }
    if (!q->ready) {
        return true;
    }
    bool in_order = virtq_in_order(q);
    return q->size && q->host.format->placed(q) && q->host.format->sound(q) &&
           q->early_len == (in_order ? virtq_early_count(q) * EARLY_BYTES : 0) &&
           (!in_order || (uint16_t)(q->next_seq - q->oldest_seq) <= q->size);
}

/* --- Running --- */

/* Time costs more than a small request does: it is read at the first pop after a notify, and when
 * chains are shown to the driver or other ones are pushed, and counts for all in between. */
static uint64_t virtq_now_ns(const struct vr_virtq *q)
{
    uint64_t ns = vr_clock_now(q->host.v->host.dev->env->clock);
    return ns ? ns : 1;
}

static void virtq_take_time(struct vr_virtq *q)
{
    if (q->host.batch_count && q->host.batch_ns) {
        uint64_t now = virtq_now_ns(q);
        vr_hist_add(&q->host.stats.latency, now > q->host.batch_ns ? now - q->host.batch_ns : 0,
                    q->host.batch_count);
    }
    q->host.batch_count = 0;
}

static void virtq_count_push(struct vr_virtq *q, struct vr_virtq_tag tag)
{
    if (q->host.batch_count && q->host.batch_ns != tag.popped_ns) {
        virtq_take_time(q);
    }
    q->host.batch_ns = tag.popped_ns;
    q->host.batch_count++;
}

static bool virtq_refuse(struct vr_virtq *q, const char *why)
{
    vr_tally(&q->host.stats.errors, 1);
    vr_virtio_break(q->host.v, "queue %u: %s", q->host.index, why);
    return false;
}

bool vr_virtq_start(struct vr_virtq *q)
{
    q->host.staged = q->host.staged_descs = 0;
    q->host.mapped = false;
    if (!q->size || !q->host.format->size_ok(q->size) || !q->host.format->placed(q)) {
        return virtq_refuse(q, "bad size or alignment");
    }
    if (!virtq_map(q)) {
        return virtq_refuse(q, "the ring is not in RAM");
    }
    if (!virtq_early_init(q)) {
        return virtq_refuse(q, "no memory");
    }
    q->host.format->start(q);
    q->ready = true;
    return true;
}

void vr_virtq_stop(struct vr_virtq *q)
{
    q->ready = false;
    q->host.staged = q->host.staged_descs = 0;
    q->host.mapped = false;
    q->host.epoch++;
    q->host.pop_ns = q->host.batch_count = 0;
    virtq_early_free(q);
}

void vr_virtq_fini(struct vr_virtq *q)
{
    virtq_early_free(q);
}

bool vr_virtq_pop(struct vr_virtq *q, struct vr_chain *chain)
{
    if (!virtq_usable(q)) {
        return false;
    }
    if (VR_UNLIKELY(q->host.budget == 0)) {
        q->host.v->deferred |= UINT64_C(1) << q->host.index;
        return false;
    }
    chain->read_count = chain->write_count = 0;
    chain->read_bytes = chain->write_bytes = 0;
    int r = q->host.format->fetch(q, chain);
    if (r < 0) {
        vr_tally(&q->host.stats.errors, 1);
    }
    if (r <= 0) {
        return false;
    }
    if (q->host.pop_ns == 0) {
        q->host.pop_ns = virtq_now_ns(q);
    }
    chain->tag.popped_ns = q->host.pop_ns;
    chain->tag.seq = q->next_seq++;
    if (q->host.budget != UINT32_MAX) {
        q->host.budget--;
    }
    vr_tally(&q->host.stats.chains, 1);
    vr_tally(&q->host.stats.bytes, chain->read_bytes + chain->write_bytes);
    return true;
}

void vr_virtq_unpop(struct vr_virtq *q, struct vr_virtq_tag tag)
{
    /* Between a pop and its unpop the ring may have been found broken; then it does not matter. */
    q->next_seq--;
    q->host.pop_ns = 0;
    q->host.format->unfetch(q, tag);
}

void vr_virtq_push(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written)
{
    if (!virtq_usable(q)) {
        return;
    }
    virtq_count_push(q, tag);
    if (virtq_in_order(q)) {
        virtq_stage_in_order(q, tag, written);
    } else {
        virtq_stage(q, tag, written);
    }
}

bool vr_virtq_show(struct vr_virtq *q)
{
    bool wanted = false;
    q->host.pop_ns = 0;
    virtq_take_time(q);
    if (q->host.staged && virtq_usable(q)) {
        wanted = q->host.format->publish(q);
    }
    q->host.staged = q->host.staged_descs = 0;
    return wanted;
}

void vr_virtq_interrupt(struct vr_virtq *q)
{
    vr_tally(&q->host.stats.interrupts, 1);
    q->host.v->host.transport->used(q->host.v->host.dev, q->host.index);
}

void vr_virtq_notify(struct vr_virtq *q)
{
    if (vr_virtq_show(q)) {
        vr_virtq_interrupt(q);
    }
}

/* --- Descriptors and chains --- */

int vr_virtq_broken(struct vr_virtq *q, const char *why, uint64_t val)
{
    vr_virtio_break(q->host.v, "queue %u: %s (%" PRIu64 ")", q->host.index, why, val);
    return -1;
}

bool vr_desc_fetch(struct vr_virtq *q, const struct vr_desc_table *t, unsigned i,
                   struct vr_virtq_desc *ret_desc)
{
    struct vr_dev *dev = q->host.v->host.dev;
    uint8_t raw[VR_DESC_BYTES];
    uint64_t off = (uint64_t)i * VR_DESC_BYTES;
    if (VR_LIKELY(t->hva != NULL)) {
        memcpy(raw, t->hva + off, sizeof(raw));
    } else if (vr_dma_read(dev->env->mem, &dev->dma, t->gpa + off, raw, sizeof(raw)) < 0) {
        (void)vr_virtq_broken(q, "indirect table is not in RAM", t->gpa);
        return false;
    }
    atomic_signal_fence(memory_order_seq_cst);
    *ret_desc = (struct vr_virtq_desc){
        .gpa = vr_load_le64(raw),
        .len = vr_load_le32(raw + 8),
        .flags = vr_load_le16(raw + (t->packed ? 14 : 12)),
        .link = vr_load_le16(raw + (t->packed ? 12 : 14)),
    };
    return true;
}

int vr_desc_enter(struct vr_virtq *q, const struct vr_virtq_desc *d, struct vr_desc_table *t)
{
    struct vr_dev *dev = q->host.v->host.dev;
    uint64_t end;
    if (!vr_virtio_has(q->host.v, VR_VIRTIO_F_INDIRECT_DESC)) {
        return vr_virtq_broken(q, "indirect descriptor without the feature", d->flags);
    }
    if (d->flags & VR_DESC_NEXT) {
        return vr_virtq_broken(q, "indirect descriptor with a next one", d->link);
    }
    if (d->len == 0 || d->len % VR_DESC_BYTES || d->len / VR_DESC_BYTES > VR_CHAIN_SEGS_MAX) {
        return vr_virtq_broken(q, "indirect table of a bad length", d->len);
    }
    if (!vr_add_ok(d->gpa, d->len, &end)) {
        return vr_virtq_broken(q, "indirect table at the end of memory", d->gpa);
    }
    t->hva = vr_dma_ptr(dev->env->mem, &dev->dma, d->gpa, d->len, false);
    t->gpa = d->gpa;
    t->count = d->len / VR_DESC_BYTES;
    return 0;
}

static bool chain_refuse(struct vr_virtq *q, const char *why, uint64_t gpa, uint32_t len)
{
    vr_virtio_break(q->host.v, "queue %u: descriptor of %u bytes at 0x%" PRIx64 ": %s",
                    q->host.index, len, gpa, why);
    return false;
}

bool vr_chain_add(struct vr_virtq *q, struct vr_chain *chain, uint64_t gpa, uint32_t len,
                  bool writable)
{
    struct vr_dev *dev = q->host.v->host.dev;
    unsigned count = chain->read_count + chain->write_count;
    if (!writable && chain->write_count) {
        return chain_refuse(q, "readable after writable", gpa, len); /* 2.7.4.2 */
    }
    if (chain->read_bytes + chain->write_bytes + len > UINT32_MAX) {
        return chain_refuse(q, "the chain is longer than 4 GiB", gpa, len); /* 2.7.5.2 */
    }
    if (len == 0) {
        return true; /* legal, and nothing to do */
    }
    int n = vr_dma_map(dev->env->mem, &dev->dma, gpa, len, writable, chain->iov + count,
                       VR_CHAIN_SEGS_MAX - count);
    if (n < 0) {
        return chain_refuse(q, n == -E2BIG ? "too many pieces" : "not RAM", gpa, len);
    }
    for (int i = 0; i < n; i++) {
        chain->gpa[count + (unsigned)i] = gpa;
        gpa += chain->iov[count + (unsigned)i].iov_len;
    }
    if (writable) {
        chain->write_count += (unsigned)n;
        chain->write_bytes += len;
    } else {
        chain->read_count += (unsigned)n;
        chain->read_bytes += len;
    }
    return true;
}

size_t vr_chain_read(struct vr_virtq *q, const struct vr_chain *chain, uint64_t off, void *buf,
                     size_t len)
{
    size_t n = vr_iov_get(chain->iov, chain->read_count, off, buf, len);
    vr_tally(&q->host.stats.copied, n);
    return n;
}

/* Tell of the writable bytes [off, off + len). */
static void chain_wrote(struct vr_virtq *q, const struct vr_chain *chain, uint64_t off,
                        uint64_t len)
{
    struct vr_dev *dev = q->host.v->host.dev;
    for (unsigned i = chain->read_count; i < chain->read_count + chain->write_count && len; i++) {
        uint64_t piece = chain->iov[i].iov_len;
        if (off >= piece) {
            off -= piece;
            continue;
        }
        uint64_t n = piece - off < len ? piece - off : len;
        vr_dma_wrote(dev->env->mem, &dev->dma, chain->gpa[i] + off, n);
        len -= n;
        off = 0;
    }
}

size_t vr_chain_write(struct vr_virtq *q, const struct vr_chain *chain, uint64_t off,
                      const void *buf, size_t len)
{
    size_t n = vr_iov_put(vr_chain_writable(chain), chain->write_count, off, buf, len);
    chain_wrote(q, chain, off, n);
    vr_tally(&q->host.stats.copied, n);
    return n;
}

void vr_chain_wrote(struct vr_virtq *q, const struct vr_chain *chain, uint64_t len)
{
    chain_wrote(q, chain, 0, len);
}

#define VR_SELF struct vr_virtq
const struct vr_field vr_virtq_fields[] = {
    VR_STATE(desc_gpa, "descriptor area"),
    VR_STATE(driver_gpa, "driver area (available ring)"),
    VR_STATE(device_gpa, "device area (used ring)"),
    VR_STATE(size, "entries", .max = VR_VIRTQ_SIZE_MAX),
    VR_STATE(next_avail, "place of the next chain to take"),
    VR_STATE(next_used, "place of the next chain to give back"),
    VR_STATE(next_seq, "number of the next chain to take"),
    VR_STATE(oldest_seq, "number of the oldest chain that is not given back, when in order"),
    VR_STATE(early_len, "bytes of `early`", .max = VR_VIRTQ_SIZE_MAX * EARLY_BYTES),
    VR_STATE_BUF(early, early_len, "chains done before their turn, when in order",
                 .max = VR_VIRTQ_SIZE_MAX * EARLY_BYTES),
    VR_STATE(vector, "message for used buffers; 0xffff: none", .def = VR_VIRTIO_NO_VECTOR),
    VR_STATE(ready, "the driver enabled it"),
    VR_STATE(resetting, "the driver has reset it, and requests are still in flight"),
    VR_HOST(host, "pointers, found again at the next use, and counters"),
    VR_FIELD_END,
};
#undef VR_SELF

#define VR_SELF struct vr_virtq_tag
const struct vr_field vr_virtq_tag_fields[] = {
    VR_STATE(id, "its name in the ring"),
    VR_STATE(desc_count, "descriptors"),
    VR_STATE(seq, "number of its pop"),
    VR_HOST(popped_ns, "when: for statistics of this host"),
    VR_FIELD_END,
};
