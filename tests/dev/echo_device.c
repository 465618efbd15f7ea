/* The smallest virtio device. */
#include "echo_device.h"

#include "base/bits.h"

static void echo_back(struct echo *s, struct vr_virtq *q, const struct vr_chain *chain)
{
    uint8_t buf[256];
    uint32_t done = 0;
    for (;;) {
        size_t n = vr_chain_read(q, chain, done, buf, sizeof(buf));
        n = n ? vr_chain_write(q, chain, done, buf, n) : 0;
        done += (uint32_t)n;
        if (n == 0) {
            break;
        }
    }
    s->last = *chain;
    vr_virtq_push(q, chain->tag, done);
}

static void echo_handle(struct vr_dev *d, unsigned queue)
{
    struct echo *s = ECHO(d);
    struct vr_virtq *q = &s->vq[queue];
    while (vr_virtq_pop(q, s->v.host.chain)) {
        if (s->unpop) {
            s->unpop--;
            vr_virtq_unpop(q, s->v.host.chain->tag);
            break;
        }
        if (queue == 0) {
            echo_back(s, q, s->v.host.chain);
        } else {
            vr_assert(s->kept_count < ECHO_KEPT);
            s->kept[s->kept_count++] = s->v.host.chain->tag;
        }
    }
    vr_virtq_notify(q);
}

void echo_release(struct vr_dev *dev, bool backwards)
{
    struct echo *s = ECHO(dev);
    vr_dev_lock(dev);
    for (unsigned i = 0; i < s->kept_count; i++) {
        vr_virtq_push(&s->vq[1], s->kept[backwards ? s->kept_count - 1 - i : i], 0);
    }
    s->kept_count = 0;
    vr_virtq_notify(&s->vq[1]);
    vr_dev_unlock(dev);
}

static uint64_t echo_features(struct vr_dev *d)
{
    (void)d;
    return ECHO_FEATURE | ECHO_NEEDS_FEATURE;
}

static bool echo_negotiated(struct vr_dev *d, uint64_t features)
{
    (void)d;
    return !(features & ECHO_NEEDS_FEATURE) || (features & ECHO_FEATURE);
}

static void echo_config_read(struct vr_dev *d, uint8_t *config)
{
    vr_store_le32(config, ECHO(d)->word);
    vr_store_le64(config + 8, UINT64_C(0x8877665544332211));
}

static bool echo_config_write(struct vr_dev *d, uint32_t off, unsigned width, uint64_t val)
{
    if (off != 0 || width != 4) {
        return false;
    }
    ECHO(d)->word = (uint32_t)val;
    return true;
}

static void echo_ready(struct vr_dev *d)
{
    ECHO(d)->readies++;
}

static void echo_reset(struct vr_dev *d)
{
    ECHO(d)->resets++;
    ECHO(d)->kept_count = 0;
}

static void echo_stopped(struct vr_dev *d, unsigned queue)
{
    (void)queue;
    ECHO(d)->stops++;
}

static bool echo_busy(struct vr_dev *d, unsigned queue)
{
    return queue == 1 && ECHO(d)->kept_count;
}

static const uint16_t echo_sizes[] = {ECHO_SIZE, ECHO_SIZE};
static const struct vr_virtio_class echo_virtio = {
    .name = "echo",
    .device_id = 42,
    .queue_count = 2,
    .queue_sizes = echo_sizes,
    .config_len = 16,
    .features = echo_features,
    .negotiated = echo_negotiated,
    .config_read = echo_config_read,
    .config_write = echo_config_write,
    .ready = echo_ready,
    .handle = echo_handle,
    .queue_stopped = echo_stopped,
    .queue_busy = echo_busy,
    .reset = echo_reset,
};

static int echo_init(struct vr_dev *d, struct vr_error *err)
{
    return vr_virtio_init(d, &echo_virtio, vr_virtio_transport_of(d), ECHO(d)->vq, err);
}

#define VR_SELF struct echo
#define ECHO_ROWS                                                                      \
    VR_VIRTIO_FIELDS(vq), VR_STATE(word, "a word"), VR_HOST(kept, "chains in flight"), \
        VR_HOST(kept_count, "how many"), VR_HOST(readies, "calls of ready"),           \
        VR_HOST(resets, "calls of reset"), VR_HOST(stops, "calls of queue_stopped"),   \
        VR_HOST(last, "for the test"), VR_HOST(unpop, "for the test")

VR_VIRTIO_CLASSES(echo, "writes back what it reads", 1, ECHO_ROWS, .init = echo_init,
                  .reset = vr_virtio_reset, .loaded = vr_virtio_loaded,
                  .quiesce = vr_virtio_quiesce, .fini = vr_virtio_fini, .counts = vr_virtio_counts);
