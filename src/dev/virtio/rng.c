/*
 * Virtio entropy device: fills the driver's buffers from the host's generator.
 *
 * One request gets at most REQUEST_BYTES, written straight into guest RAM; asking for less than a
 * whole buffer is the specification's freedom (5.4.6.2), and bounds the time spent here.
 *
 * Specification: VIRTIO 1.2, section 5.4.
 */
#include "dev/virtio/rng.h"

#include "dev/virtio/class.h"
#include "platform/random.h"

enum { QUEUE_SIZE = 64, REQUEST_BYTES = 16384, ID = 4 };

struct rng {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[1];
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define RNG(d) ((struct rng *)(d))

/* Fill the chain's beginning; returns how many bytes. */
static uint32_t rng_fill(struct rng *s, const struct vr_chain *chain)
{
    const struct iovec *iov = vr_chain_writable(chain);
    struct vr_error err;
    uint32_t done = 0;
    for (unsigned i = 0; i < chain->write_count && done < REQUEST_BYTES; i++) {
        size_t left = REQUEST_BYTES - done;
        size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (vr_random_bytes(iov[i].iov_base, len, &err) < 0) {
            vr_log(s->dev.env->log, VR_WARN, s->dev.id, "%s", err.msg);
            break;
        }
        done += (uint32_t)len;
    }
    vr_chain_wrote(&s->vq[0], chain, done);
    return done;
}

static void rng_handle(struct vr_dev *d, unsigned queue)
{
    struct rng *s = RNG(d);
    struct vr_virtq *q = &s->vq[queue];
    struct vr_chain *chain = s->v.host.chain;
    while (vr_virtq_pop(q, chain)) {
        if (chain->write_bytes == 0) {
            vr_tally(&q->host.stats.errors, 1);
            vr_virtio_break(&s->v, "request without a writable buffer"); /* 5.4.6.1 */
            return;
        }
        vr_virtq_push(q, chain->tag, rng_fill(s, chain));
    }
    vr_virtq_notify(q);
}

static const uint16_t rng_queue_sizes[] = {QUEUE_SIZE};

static const struct vr_virtio_class rng_class = {
    .name = "rng",
    .device_id = ID,
    .queue_count = 1,
    .queue_sizes = rng_queue_sizes,
    .handle = rng_handle,
};

static int rng_init(struct vr_dev *d, struct vr_error *err)
{
    return vr_virtio_init(d, &rng_class, vr_virtio_transport_of(d), RNG(d)->vq, err);
}

#define VR_SELF  struct rng
#define RNG_ROWS VR_VIRTIO_FIELDS(vq)

VR_VIRTIO_CLASSES(rng, "virtio entropy source", 1, RNG_ROWS, .init = rng_init,
                  .reset = vr_virtio_reset, .loaded = vr_virtio_loaded,
                  .quiesce = vr_virtio_quiesce, .fini = vr_virtio_fini, .counts = vr_virtio_counts);
