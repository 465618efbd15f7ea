/* What every virtio device is: the handshake, the queues' set-up, configuration space, and the end
 * of patience with a driver. */
#include "dev/virtio/virtio.h"

#include "base/alloc.h"
#include "base/bits.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

enum {
    STATUS_KNOWN = VR_VIRTIO_ACKNOWLEDGE | VR_VIRTIO_DRIVER | VR_VIRTIO_DRIVER_OK |
                   VR_VIRTIO_FEATURES_OK | VR_VIRTIO_FAILED,
    /* How long a queue that was cut short lets others run. */
    LATER_NS = 20000,
};

bool vr_virtio_running(const struct vr_virtio *v)
{
    return (v->status & (VR_VIRTIO_DRIVER_OK | VR_VIRTIO_NEEDS_RESET)) == VR_VIRTIO_DRIVER_OK &&
           !v->host.paused && !v->host.no_dma;
}

uint64_t vr_virtio_offered(struct vr_virtio *v)
{
    const struct vr_virtio_class *cls = v->host.cls;
    return VR_VIRTIO_F_VERSION_1 | VR_VIRTIO_F_INDIRECT_DESC | VR_VIRTIO_F_EVENT_IDX |
           (v->opt.packed ? VR_VIRTIO_F_RING_PACKED : 0) |
           (v->opt.in_order ? VR_VIRTIO_F_IN_ORDER : 0) | v->host.transport->features |
           v->host.features | (cls->features ? cls->features(v->host.dev) : 0);
}

void vr_virtio_config_changed(struct vr_virtio *v)
{
    v->config_gen++;
    if (v->status & VR_VIRTIO_DRIVER_OK) {
        v->host.transport->config_changed(v->host.dev);
    }
}

void vr_virtio_break(struct vr_virtio *v, const char *fmt, ...)
{
    char why[160];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(why, sizeof(why), fmt, ap);
    va_end(ap);
    vr_guest_error(v->host.dev, "needs reset: %s", why);
    if (!(v->status & VR_VIRTIO_NEEDS_RESET)) {
        v->status |= VR_VIRTIO_NEEDS_RESET;
        if (v->status & VR_VIRTIO_DRIVER_OK) {
            v->host.transport->config_changed(v->host.dev);
        }
    }
}

void vr_virtio_handle(struct vr_virtio *v, unsigned queue)
{
    struct vr_virtq *q = &v->host.vq[queue];
    if (!q->ready || !vr_virtio_running(v)) {
        return;
    }
    v->deferred &= ~(UINT64_C(1) << queue);
    q->host.budget = q->size;
    v->host.cls->handle(v->host.dev, queue);
    q->host.budget = UINT32_MAX;
    if (v->deferred) {
        vr_timer_arm(&v->host.later, vr_clock_now(v->host.dev->env->clock) + LATER_NS);
    }
}

static void virtio_later(void *arg)
{
    struct vr_virtio *v = vr_virtio_of(arg);
    uint64_t todo = v->deferred;
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        if (todo >> i & 1) {
            vr_virtio_handle(v, i);
        }
    }
}

void vr_virtio_quiesce(struct vr_dev *dev)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    vr_dev_lock(dev);
    v->host.paused = true;
    vr_timer_arm(&v->host.resume, 0); /* due already: as soon as the clock runs */
    vr_dev_unlock(dev);
}

/* The machine runs: look at whatever was passed over. */
static void virtio_resume(void *arg)
{
    struct vr_virtio *v = vr_virtio_of(arg);
    v->host.paused = false;
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        vr_virtio_handle(v, i);
    }
}

void vr_virtio_kick(struct vr_virtio *v, uint32_t val)
{
    uint32_t queue = vr_virtio_has(v, VR_VIRTIO_F_NOTIFICATION_DATA) ? val & UINT16_MAX : val;
    if (queue >= v->host.queue_count) {
        vr_guest_error(v->host.dev, "notification of queue %u of %u", queue, v->host.queue_count);
        return;
    }
    struct vr_virtq *q = &v->host.vq[queue];
    vr_tally(&q->host.stats.kicks, 1);
    if (!(v->status & VR_VIRTIO_DRIVER_OK)) {
        vr_guest_error(v->host.dev, "queue %u notified before DRIVER_OK", queue);
    } else if (!q->ready) {
        vr_guest_error(v->host.dev, "queue %u notified, but not enabled", queue);
    } else {
        vr_virtio_handle(v, queue);
    }
}

uint32_t vr_virtio_features_read(struct vr_virtio *v)
{
    return v->device_features_sel < 2
               ? (uint32_t)(vr_virtio_offered(v) >> (32 * v->device_features_sel))
               : 0;
}

void vr_virtio_features_write(struct vr_virtio *v, uint32_t val)
{
    if (v->status & VR_VIRTIO_FEATURES_OK) {
        vr_guest_error(v->host.dev, "features changed after FEATURES_OK");
        return;
    }
    if (v->driver_features_sel >= 2) {
        if (val) {
            vr_guest_error(v->host.dev, "features 0x%x in word %u accepted, none offered", val,
                           v->driver_features_sel);
        }
        return;
    }
    unsigned shift = 32 * v->driver_features_sel;
    v->driver_features = (v->driver_features & ~(UINT64_C(0xffffffff) << shift)) | (uint64_t)val
                                                                                       << shift;
}

/* 2.2.2 and 6.2: what the driver accepted was offered, and says that the driver is a modern one. */
static bool virtio_features_ok(struct vr_virtio *v)
{
    uint64_t f = v->driver_features;
    if (f & ~vr_virtio_offered(v)) {
        vr_guest_error(v->host.dev, "features 0x%" PRIx64 " accepted, but not offered",
                       f & ~vr_virtio_offered(v));
        return false;
    }
    if (!(f & VR_VIRTIO_F_VERSION_1)) {
        vr_guest_error(v->host.dev, "VERSION_1 not accepted: no legacy drivers here");
        return false;
    }
    const struct vr_virtio_class *cls = v->host.cls;
    if (cls->negotiated && !cls->negotiated(v->host.dev, f)) {
        vr_guest_error(v->host.dev, "features 0x%" PRIx64 " do not go together", f);
        return false;
    }
    return true;
}

static void virtio_pick_format(struct vr_virtio *v)
{
    bool packed = (v->status & VR_VIRTIO_FEATURES_OK) && vr_virtio_has(v, VR_VIRTIO_F_RING_PACKED);
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        v->host.vq[i].host.format = packed ? &vr_virtq_packed : &vr_virtq_split;
    }
}

static void virtio_driver_ok(struct vr_virtio *v)
{
    const struct vr_virtio_class *cls = v->host.cls;
    v->status |= VR_VIRTIO_DRIVER_OK;
    if (cls->ready) {
        cls->ready(v->host.dev);
    }
    /* Buffers may wait already, some drivers even notified us of them. */
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        vr_virtio_handle(v, i);
    }
}

static void virtio_reset(struct vr_virtio *v)
{
    vr_timer_cancel(&v->host.later);
    vr_timer_cancel(&v->host.resume);
    v->host.paused = false;
    for (unsigned i = 0; i < v->host.cls->queue_count; i++) { /* those it lacks, too */
        vr_virtq_stop(&v->host.vq[i]);
        v->host.vq[i].size = v->host.vq[i].host.size_max;
    }
    virtio_pick_format(v);
    if (v->host.cls->reset) {
        v->host.cls->reset(v->host.dev);
    }
    v->host.transport->sync(v->host.dev);
}

/* The driver resets the device, not what it stands on. */
static void virtio_restart(struct vr_virtio *v)
{
    struct vr_dev *dev = v->host.dev;
    for (const struct vr_field *f = dev->cls->fields; f->name; f++) {
        if (f->role == VR_ROLE_STATE && (!f->sub || f->sub != v->host.transport->fields)) {
            vr_field_reset(dev, f, VR_ROLE_STATE);
        }
    }
    virtio_reset(v);
}

static bool virtio_busy(const struct vr_virtio *v, unsigned queue)
{
    return v->host.cls->queue_busy && v->host.cls->queue_busy(v->host.dev, queue);
}

uint8_t vr_virtio_status_read(const struct vr_virtio *v)
{
    for (unsigned i = 0; v->status == 0 && i < v->host.queue_count; i++) {
        if (virtio_busy(v, i)) {
            return VR_VIRTIO_NEEDS_RESET;
        }
    }
    return v->status;
}

void vr_virtio_status_write(struct vr_virtio *v, uint8_t val)
{
    struct vr_dev *dev = v->host.dev;
    if (val == 0) {
        virtio_restart(v);
        return;
    }
    uint8_t now = v->status & STATUS_KNOWN, add = val & ~now;
    if (now & ~val) {
        vr_guest_error(dev, "status 0x%02x clears bits of 0x%02x", val, now);
        return;
    }
    if (add & ~(STATUS_KNOWN | VR_VIRTIO_NEEDS_RESET)) {
        vr_guest_error(dev, "status 0x%02x has unknown bits", val);
    }
    if ((add & VR_VIRTIO_FEATURES_OK) && !virtio_features_ok(v)) {
        add &= (uint8_t) ~(VR_VIRTIO_FEATURES_OK | VR_VIRTIO_DRIVER_OK);
    }
    v->status |= add & STATUS_KNOWN & ~VR_VIRTIO_DRIVER_OK;
    if (add & VR_VIRTIO_FEATURES_OK) {
        virtio_pick_format(v);
    }
    if (add & VR_VIRTIO_DRIVER_OK) {
        if (v->status & VR_VIRTIO_FEATURES_OK) {
            virtio_driver_ok(v);
        } else {
            vr_guest_error(dev, "DRIVER_OK without FEATURES_OK");
        }
    }
}

struct vr_virtq *vr_virtio_selected(struct vr_virtio *v, bool write)
{
    if (v->queue_sel < v->host.queue_count) {
        return &v->host.vq[v->queue_sel];
    }
    if (write) {
        vr_guest_error(v->host.dev, "set-up of queue %u of %u", v->queue_sel, v->host.queue_count);
    }
    return NULL;
}

/* The selected queue, if its properties may change now. */
static struct vr_virtq *virtio_changeable(struct vr_virtio *v)
{
    struct vr_virtq *q = vr_virtio_selected(v, true);
    if (q && q->ready) {
        vr_guest_error(v->host.dev, "queue %u is changed while enabled", v->queue_sel);
        return NULL;
    }
    return q;
}

void vr_virtio_queue_size_write(struct vr_virtio *v, uint32_t val)
{
    struct vr_virtq *q = virtio_changeable(v);
    if (q) {
        bool good = val && val <= q->host.size_max && q->host.format->size_ok(val);
        if (!good) {
            vr_guest_error(v->host.dev, "queue %u: size %u: not one of a %s ring of up to %u",
                           v->queue_sel, val, q->host.format->name, q->host.size_max);
        }
        q->size = good ? (uint16_t)val : 0; /* 0 cannot be enabled */
    }
}

void vr_virtio_queue_addr_write(struct vr_virtio *v, enum vr_virtq_area area, bool high,
                                uint32_t val)
{
    struct vr_virtq *q = virtio_changeable(v);
    if (q) {
        uint64_t *gpa = area == VR_VIRTQ_DESC     ? &q->desc_gpa
                        : area == VR_VIRTQ_DRIVER ? &q->driver_gpa
                                                  : &q->device_gpa;
        *gpa =
            high ? (*gpa & UINT32_MAX) | (uint64_t)val << 32 : (*gpa & ~(uint64_t)UINT32_MAX) | val;
    }
}

static void virtio_stop_queue(struct vr_virtio *v, unsigned queue)
{
    vr_virtq_stop(&v->host.vq[queue]);
    v->deferred &= ~(UINT64_C(1) << queue);
    if (v->host.cls->queue_stopped) {
        v->host.cls->queue_stopped(v->host.dev, queue);
    }
}

/* Is a reset of @queue under way? */
static bool virtio_resetting(struct vr_virtio *v, unsigned queue)
{
    struct vr_virtq *q = &v->host.vq[queue];
    if (q->resetting && !virtio_busy(v, queue)) {
        q->resetting = false;
    }
    return q->resetting;
}

void vr_virtio_queue_ready_write(struct vr_virtio *v, uint32_t val)
{
    struct vr_virtq *q = vr_virtio_selected(v, true);
    if (!q) {
        return;
    }
    if (val > 1) {
        vr_guest_error(v->host.dev, "queue %u: ready is %u", v->queue_sel, val);
    } else if (val == 0 && q->ready) {
        virtio_stop_queue(v, v->queue_sel);
    } else if (val == 1 && !q->ready) {
        if (!(v->status & VR_VIRTIO_FEATURES_OK)) {
            vr_guest_error(v->host.dev, "queue %u enabled before FEATURES_OK", v->queue_sel);
        } else if (virtio_resetting(v, v->queue_sel)) {
            vr_guest_error(v->host.dev, "queue %u enabled while it is being reset", v->queue_sel);
        } else if (vr_virtq_start(q)) {
            vr_virtio_handle(v, v->queue_sel); /* enabled anew, behind DRIVER_OK */
        }
    }
}

void vr_virtio_queue_reset_write(struct vr_virtio *v, uint32_t val)
{
    struct vr_virtq *q = vr_virtio_selected(v, true);
    if (!q) {
        return;
    }
    if (!vr_virtio_has(v, VR_VIRTIO_F_RING_RESET) || val != 1 || !q->ready) {
        vr_guest_error(v->host.dev, "queue %u: reset (%u) %s", v->queue_sel, val,
                       vr_virtio_has(v, VR_VIRTIO_F_RING_RESET) ? "of a queue that is not enabled"
                                                                : "without the feature");
        return;
    }
    virtio_stop_queue(v, v->queue_sel);
    q->size = q->host.size_max;
    q->desc_gpa = q->driver_gpa = q->device_gpa = 0;
    q->next_avail = q->next_used = 0;
    q->resetting = true;
}

uint32_t vr_virtio_queue_reset_read(struct vr_virtio *v)
{
    return vr_virtio_selected(v, false) && virtio_resetting(v, v->queue_sel);
}

static bool virtio_config_at(const struct vr_virtio *v, uint64_t off, unsigned width)
{
    return vr_in_range(off, width, v->host.cls->config_len) && vr_is_aligned(off, width);
}

bool vr_virtio_config_read(struct vr_virtio *v, uint64_t off, unsigned width, uint64_t *ret_val)
{
    uint8_t config[VR_VIRTIO_CONFIG_MAX] = {0};
    if (!virtio_config_at(v, off, width)) {
        return false;
    }
    v->host.cls->config_read(v->host.dev, config);
    *ret_val = vr_load_le(config + off, width);
    return true;
}

bool vr_virtio_config_write(struct vr_virtio *v, uint64_t off, unsigned width, uint64_t val)
{
    const struct vr_virtio_class *cls = v->host.cls;
    return virtio_config_at(v, off, width) && cls->config_write &&
           cls->config_write(v->host.dev, (uint32_t)off, width, val);
}

void vr_virtio_on_loop(struct vr_loop *loop, void (*fn)(void *arg), void *arg)
{
    if (loop) {
        vr_loop_call(loop, fn, arg);
    } else {
        fn(arg);
    }
}

int vr_virtio_init(struct vr_dev *dev, const struct vr_virtio_class *cls,
                   const struct vr_virtio_transport *transport, struct vr_virtq *vq,
                   struct vr_error *err)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    vr_assert(cls->config_len <= VR_VIRTIO_CONFIG_MAX && (!cls->config_len || cls->config_read));
    vr_assert(cls->queue_count <= VR_VIRTIO_QUEUES_MAX);
    v->host = (struct vr_virtio_host){
        .dev = dev, .cls = cls, .transport = transport, .vq = vq, .queue_count = cls->queue_count};
    v->host.chain = vr_zalloc(sizeof(*v->host.chain));
    if (!v->host.chain) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    for (unsigned i = 0; i < cls->queue_count; i++) {
        vr_assert(cls->queue_sizes[i] <= VR_VIRTQ_SIZE_MAX);
        vq[i].size = cls->queue_sizes[i];
        vq[i].host = (struct vr_virtq_host){
            .v = v,
            .format = &vr_virtq_split,
            .index = (uint16_t)i,
            .size_max = cls->queue_sizes[i],
            .budget = UINT32_MAX,
        };
    }
    vr_timer_init(&v->host.later, dev->env->clock, &dev->lock, virtio_later, dev);
    vr_timer_init(&v->host.resume, dev->env->clock, &dev->lock, virtio_resume, dev);
    if (transport->init) {
        transport->init(dev);
    }
    return 0;
}

void vr_virtio_halt(struct vr_dev *dev)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    vr_dev_lock(dev);
    v->status = 0; /* so that no queue runs */
    v->isr = 0;
    v->host.transport->sync(dev);
    vr_irq_connect(&v->host.irq, NULL, NULL, 0);
    vr_dev_unlock(dev);
}

void vr_virtio_fini(struct vr_dev *dev)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    vr_virtio_halt(dev);
    if (v->host.transport->fini) {
        v->host.transport->fini(dev);
    }
    vr_timer_fini(&v->host.later);
    vr_timer_fini(&v->host.resume);
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        vr_virtq_fini(&v->host.vq[i]);
    }
    free(v->host.chain);
    v->host.chain = NULL;
}

void vr_virtio_reset(struct vr_dev *dev)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    if (v->host.transport->reset) {
        v->host.transport->reset(dev);
    }
    virtio_reset(v);
}

/* Rules between fields that a snapshot must keep. */
static int virtio_check(struct vr_virtio *v, struct vr_error *err)
{
    if (v->status & ~(STATUS_KNOWN | VR_VIRTIO_NEEDS_RESET)) {
        return vr_err(err, -ERANGE, "device status 0x%02x has unknown bits", v->status);
    }
    if (v->status & VR_VIRTIO_FEATURES_OK) {
        uint64_t f = v->driver_features;
        if ((f & ~vr_virtio_offered(v)) || !(f & VR_VIRTIO_F_VERSION_1)) {
            return vr_err(err, -ERANGE,
                          "the guest uses features 0x%" PRIx64 ", here are 0x%" PRIx64, f,
                          vr_virtio_offered(v));
        }
    } else if (v->status & VR_VIRTIO_DRIVER_OK) {
        return vr_err(err, -ERANGE, "DRIVER_OK without FEATURES_OK");
    }
    if (v->host.queue_count < 64 && v->deferred >> v->host.queue_count) {
        return vr_err(err, -ERANGE, "deferred queues beyond %u", v->host.queue_count);
    }
    for (unsigned i = v->host.queue_count; i < v->host.cls->queue_count; i++) {
        if (v->host.vq[i].ready) {
            return vr_err(err, -ERANGE, "queue %u is enabled, here are %u", i, v->host.queue_count);
        }
    }
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        struct vr_virtq *q = &v->host.vq[i];
        if (!vr_virtq_sound(q) || (q->ready && !(v->status & VR_VIRTIO_FEATURES_OK))) {
            return vr_err(err, -ERANGE, "queue %u (%s, %u entries) is not as it may be", i,
                          q->host.format->name, q->size);
        }
    }
    return 0;
}

int vr_virtio_loaded(struct vr_dev *dev, struct vr_error *err)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    virtio_pick_format(v);
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        v->host.vq[i].host.staged = v->host.vq[i].host.staged_descs = 0;
        v->host.vq[i].host.mapped = false;
        v->host.vq[i].host.epoch++;
    }
    int r = virtio_check(v, err);
    if (r == 0 && v->host.transport->loaded) {
        r = v->host.transport->loaded(dev, err);
    }
    if (r < 0) {
        return r;
    }
    vr_timer_cancel(&v->host.later);
    if (v->deferred) {
        vr_timer_arm(&v->host.later, vr_clock_now(dev->env->clock) + LATER_NS);
    }
    v->host.transport->sync(dev);
    return 0;
}

void vr_virtio_counts(struct vr_dev *dev, struct vr_counts *to)
{
    struct vr_virtio *v = vr_virtio_of(dev);
    for (unsigned i = 0; i < v->host.queue_count; i++) {
        const struct vr_virtq_stats *s = &v->host.vq[i].host.stats;
        const struct {
            const char *name, *help;
            const uint64_t *val;
        } totals[] = {
            {"chains", "buffers that the device took", &s->chains},
            {"bytes", "bytes of them", &s->bytes},
            {"copied_bytes", "bytes that the device copied itself; the rest is zero-copy",
             &s->copied},
            {"kicks", "notifications by the driver", &s->kicks},
            {"interrupts", "notifications to the driver", &s->interrupts},
            {"errors", "broken rings and requests", &s->errors},
            {"latency_ns", "time from taking a buffer to giving it back, summed up",
             &s->latency.sum_ns},
        };
        for (unsigned k = 0; k < VR_COUNT(totals); k++) {
            to->put(to, (int)i, totals[k].name, true, vr_tally_get(totals[k].val), totals[k].help);
        }
        to->put(to, (int)i, "latency_p50_ns", false, vr_hist_quantile_ns(&s->latency, 500),
                "half of the buffers took at most as long, up to a quarter less");
        to->put(to, (int)i, "latency_p99_ns", false, vr_hist_quantile_ns(&s->latency, 990),
                "all but one in a hundred took at most as long, up to a quarter less");
    }
}

#define VR_SELF struct vr_virtio
const struct vr_field vr_virtio_fields[] = {
    VR_STATE(driver_features, "features that the driver accepted"),
    VR_STATE(deferred, "queues, a bit each, to be handled soon"),
    VR_STATE(device_features_sel, "word of offered features shown"),
    VR_STATE(driver_features_sel, "word of accepted features written"),
    VR_STATE(queue_sel, "queue being set up"),
    VR_STATE(config_gen, "version of the configuration space"),
    VR_STATE(config_vector, "message for configuration changes; 0xffff: none",
             .def = VR_VIRTIO_NO_VECTOR),
    VR_STATE(status, "device status", .max = STATUS_KNOWN | VR_VIRTIO_NEEDS_RESET),
    VR_STATE(isr, "interrupt status", .max = VR_VIRTIO_ISR_USED | VR_VIRTIO_ISR_CONFIG),
    VR_HOST(host, "class, transport, wire and timer, set by init"),
    VR_FIELD_END, /* opt: see VR_VIRTIO_FIELDS */
};
