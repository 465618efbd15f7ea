/*
 * Virtio entropy device: fills the driver's buffers from the host's generator.
 *
 * One request gets at most REQUEST_BYTES, written straight into guest RAM; asking for less than a
 * whole buffer is the specification's freedom (5.4.6.2), and bounds the time spent here. With a
 * rate, requests wait in the ring until there is credit: that of one second at most, which neither
 * a reset nor a snapshot renews.
 *
 * Habit of a driver: Linux 6.12's hangs for good once its reader, who asks for 64 bytes at a time,
 * leaves a part of an answer over (seen with QEMU 10, too: virtio-rng-pci,max-bytes=7,period=7;
 * answers of 1 or 16 bytes are fine). So answers shorter than that divide it.
 *
 * Specification: VIRTIO 1.2, section 5.4.
 */
#include "dev/virtio/rng.h"

#include "core/det.h"
#include "dev/virtio/class.h"

enum { QUEUE_SIZE = 64, REQUEST_BYTES = 16384, ID = 4 };
enum { LEAST_BYTES = 64 }; /* worth waiting for; a power of two */
#define RATE_MAX  (UINT64_C(1) << 30)
#define SECOND_NS UINT64_C(1000000000)

struct rng {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[1];
    uint64_t rate;            /* config */
    uint64_t credit;          /* host, from here on: bytes that may be given now */
    uint64_t credit_ns;       /* when that was so */
    struct vr_timer refill;   /* then there is enough again */
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define RNG(d) ((struct rng *)(d))

/* How many bytes the rate allows now. */
static uint64_t rng_credit(struct rng *s)
{
    uint64_t now = vr_clock_now(s->dev.env->clock), passed = now - s->credit_ns;
    if (s->rate == 0) {
        return REQUEST_BYTES;
    }
    if (passed >= SECOND_NS) {
        s->credit = s->rate;
        s->credit_ns = now;
        return s->credit;
    }
    uint64_t more = passed * s->rate / SECOND_NS;
    if (more) { /* what is left of a byte counts later */
        s->credit = s->credit + more < s->rate ? s->credit + more : s->rate;
        s->credit_ns += more * SECOND_NS / s->rate;
    }
    return s->credit;
}

/* What a request of @len bytes gets at least: LEAST_BYTES, or what divides them and may be had. */
static uint64_t rng_least(const struct rng *s, uint64_t len)
{
    uint64_t least = LEAST_BYTES;
    while (s->rate && least > s->rate) {
        least /= 2;
    }
    return len < least ? len : least;
}

/* Come back when there is as much as that. */
static void rng_wait(struct rng *s, uint64_t least)
{
    uint64_t missing = least - s->credit;
    vr_timer_arm(&s->refill, s->credit_ns + (missing * SECOND_NS + s->rate - 1) / s->rate);
}

static void rng_refilled(void *arg)
{
    vr_virtio_handle(&RNG(arg)->v, 0);
}

/* Fill the chain's beginning, at most @most bytes; returns how many. */
static uint32_t rng_fill(struct rng *s, const struct vr_chain *chain, uint64_t most)
{
    const struct iovec *iov = vr_chain_writable(chain);
    struct vr_error err;
    uint32_t done = 0;
    for (unsigned i = 0; i < chain->write_count && done < most; i++) {
        size_t left = (size_t)most - done;
        size_t len = iov[i].iov_len < left ? iov[i].iov_len : left;
        if (vr_env_random(s->dev.env, iov[i].iov_base, len, &err) < 0) {
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
        uint64_t credit = rng_credit(s), least = rng_least(s, chain->write_bytes);
        if (s->rate && credit < least) {
            vr_virtq_unpop(q, chain->tag);
            rng_wait(s, least);
            break;
        }
        if (s->rate && credit < LEAST_BYTES) {
            credit = least;
        }
        uint32_t done = rng_fill(s, chain, credit < REQUEST_BYTES ? credit : REQUEST_BYTES);
        s->credit -= s->rate ? done : 0;
        vr_virtq_push(q, chain->tag, done);
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
    struct rng *s = RNG(d);
    int r = vr_virtio_init(d, &rng_class, vr_virtio_transport_of(d), s->vq, err);
    if (r == 0) {
        s->credit_ns = vr_clock_now(d->env->clock);
        vr_timer_init(&s->refill, d->env->clock, &d->lock, rng_refilled, d);
    }
    return r;
}

static int rng_loaded(struct vr_dev *d, struct vr_error *err)
{
    RNG(d)->credit = 0;
    RNG(d)->credit_ns = vr_clock_now(d->env->clock);
    return vr_virtio_loaded(d, err);
}

static void rng_fini(struct vr_dev *d)
{
    vr_virtio_halt(d);
    vr_timer_fini(&RNG(d)->refill);
    vr_virtio_fini(d);
}

#define VR_SELF struct rng
#define RNG_ROWS                                                                         \
    VR_VIRTIO_FIELDS(vq),                                                                \
        VR_CONFIG(rate, "bytes a second that the guest gets; 0: as many as it asks for", \
                  .max = RATE_MAX),                                                      \
        VR_HOST(credit, "neither a reset nor a snapshot renews it"),                     \
        VR_HOST(credit_ns, "the same"), VR_HOST(refill, "armed when a request finds no credit")

VR_VIRTIO_CLASSES(rng, "virtio entropy source", 1, RNG_ROWS, .init = rng_init,
                  .reset = vr_virtio_reset, .loaded = rng_loaded, .quiesce = vr_virtio_quiesce,
                  .fini = rng_fini, .counts = vr_virtio_counts);
