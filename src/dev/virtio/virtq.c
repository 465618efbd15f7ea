/* The part of a virtqueue that does not depend on the ring's format: chains of pieces of RAM, the
 * account, and the rules of starting and stopping. */
#include "dev/virtio/virtq.h"

#include "core/iov.h"
#include "dev/virtio/virtio.h"

#include <errno.h>
#include <inttypes.h>

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
        q->host.stats.errors++;
        vr_virtio_break(q->host.v, "queue %u: the ring is not in RAM any more", q->host.index);
        return false;
    }
    return true;
}

bool vr_virtq_start(struct vr_virtq *q)
{
    q->next_avail = q->next_used = 0;
    q->host.staged = 0;
    q->host.mapped = false;
    if (!q->host.format->placed(q)) {
        q->host.stats.errors++;
        vr_virtio_break(q->host.v, "queue %u: bad size or alignment", q->host.index);
        return false;
    }
    if (!virtq_map(q)) {
        q->host.stats.errors++;
        vr_virtio_break(q->host.v, "queue %u: the ring is not in RAM", q->host.index);
        return false;
    }
    q->ready = true;
    return true;
}

void vr_virtq_stop(struct vr_virtq *q)
{
    q->ready = false;
    q->host.staged = 0;
    q->host.mapped = false;
    q->host.epoch++;
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
    int r = q->host.format->fetch(q, chain);
    if (r < 0) {
        q->host.stats.errors++;
    }
    if (r <= 0) {
        return false;
    }
    if (q->host.budget != UINT32_MAX) {
        q->host.budget--;
    }
    q->host.stats.chains++;
    q->host.stats.bytes += chain->read_bytes + chain->write_bytes;
    return true;
}

void vr_virtq_unpop(struct vr_virtq *q, unsigned count)
{
    /* Between a pop and its unpop the ring may have been found broken; then it does not matter. */
    q->host.format->unfetch(q, count);
}

void vr_virtq_push(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written)
{
    if (virtq_usable(q)) {
        q->host.format->stage(q, tag, written);
        q->host.staged++;
    }
}

void vr_virtq_notify(struct vr_virtq *q)
{
    if (q->host.staged == 0 || !virtq_usable(q)) {
        q->host.staged = 0;
        return;
    }
    bool wanted = q->host.format->publish(q);
    q->host.staged = 0;
    if (wanted) {
        q->host.stats.interrupts++;
        q->host.v->host.transport->used(q->host.v->host.dev, q->host.index);
    }
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
    q->host.stats.copied += n;
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
    q->host.stats.copied += n;
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
    VR_STATE(next_avail, "index of the next chain to take"),
    VR_STATE(next_used, "index of the next chain to give back"),
    VR_STATE(ready, "the driver enabled it"),
    VR_HOST(host, "pointers, found again at the next use, and counters"),
    VR_FIELD_END,
};
