/*
 * What every virtio device is: status, features, queues and configuration space. A transport (MMIO
 * here, in mmio.h; others alike) shows it to the driver; a device (blk.c, net.c, ...) gives it a
 * meaning. The three know each other only by the structs below.
 *
 * A device's struct starts with struct vr_dev, struct vr_virtio (that is, struct vr_virtio_dev) and
 * its queues; its field table starts with VR_VIRTIO_FIELDS; its vr_dev_class names the transport's
 * window and the hooks vr_virtio_reset and vr_virtio_loaded. Everything runs under dev->lock.
 *
 * Specification: VIRTIO 1.3, chapters 2 (facilities), 3 (initialization) and 6 (reserved features).
 */
#ifndef VR_DEV_VIRTIO_VIRTIO_H
#define VR_DEV_VIRTIO_VIRTIO_H

#include "core/dev.h"
#include "dev/virtio/virtq.h"

enum {
    VR_VIRTIO_ACKNOWLEDGE = 1,
    VR_VIRTIO_DRIVER = 2,
    VR_VIRTIO_DRIVER_OK = 4,
    VR_VIRTIO_FEATURES_OK = 8,
    VR_VIRTIO_NEEDS_RESET = 64,
    VR_VIRTIO_FAILED = 128,
};

enum { VR_VIRTIO_ISR_USED = 1, VR_VIRTIO_ISR_CONFIG = 2 };
enum { VR_VIRTIO_CONFIG_MAX = 256, VR_VIRTIO_QUEUES_MAX = 64 };
enum { VR_VIRTIO_NO_VECTOR = 0xffff };

#define VR_VIRTIO_F_INDIRECT_DESC     (UINT64_C(1) << 28)
#define VR_VIRTIO_F_EVENT_IDX         (UINT64_C(1) << 29)
#define VR_VIRTIO_F_VERSION_1         (UINT64_C(1) << 32)
#define VR_VIRTIO_F_RING_PACKED       (UINT64_C(1) << 34)
#define VR_VIRTIO_F_IN_ORDER          (UINT64_C(1) << 35)
#define VR_VIRTIO_F_SR_IOV            (UINT64_C(1) << 37)
#define VR_VIRTIO_F_NOTIFICATION_DATA (UINT64_C(1) << 38)
#define VR_VIRTIO_F_RING_RESET        (UINT64_C(1) << 40)

/* A kind of device. */
struct vr_virtio_class {
    const char *name; /* "blk" */
    uint16_t device_id;
    uint16_t queue_count;
    const uint16_t *queue_sizes; /* the most entries of each queue */
    uint32_t config_len;         /* bytes, at most VR_VIRTIO_CONFIG_MAX */
    /* The device's own features that it offers now. May be NULL: none. */
    uint64_t (*features)(struct vr_dev *dev);
    /* The driver chose @features, all of them offered; false: not together. May be NULL. */
    bool (*negotiated)(struct vr_dev *dev, uint64_t features);
    /* Write config_len bytes, zeroed before, little-endian. NULL when config_len is 0. */
    void (*config_read)(struct vr_dev *dev, uint8_t *config);
    /* false: nothing there may be written. May be NULL. */
    bool (*config_write)(struct vr_dev *dev, uint32_t off, unsigned width, uint64_t val);
    void (*ready)(struct vr_dev *dev); /* DRIVER_OK was set. May be NULL */
    /* The driver may have put buffers in @queue (running). */
    void (*handle)(struct vr_dev *dev, unsigned queue);
    void (*queue_stopped)(struct vr_dev *dev, unsigned queue); /* by the driver. May be NULL */
    /* Are requests of @queue in flight that may still touch the driver's memory? A queue's reset
     * takes as long as that, and the device's. May be NULL: never. */
    bool (*queue_busy)(struct vr_dev *dev, unsigned queue);
    void (*reset)(struct vr_dev *dev); /* STATE fields are at their defaults. May be NULL */
};

/* How notifications reach the driver. */
struct vr_virtio_transport {
    const char *name;
    uint64_t features; /* that it can carry: NOTIFICATION_DATA, RING_RESET */
    /* Its own state, a row of the device's table, which a reset by the driver leaves alone; and
     * what the device's hooks do for it. NULL: it has none. */
    const struct vr_field *fields;
    void (*init)(struct vr_dev *dev);
    void (*reset)(struct vr_dev *dev);
    int (*loaded)(struct vr_dev *dev, struct vr_error *err);
    void (*fini)(struct vr_dev *dev);
    void (*used)(struct vr_dev *dev, unsigned queue);
    void (*config_changed)(struct vr_dev *dev);
    void (*sync)(struct vr_dev *dev); /* after reset or load: drive the wires as the state says */
};

struct vr_virtio_host {
    struct vr_dev *dev;
    const struct vr_virtio_class *cls;
    const struct vr_virtio_transport *transport;
    struct vr_virtq *vq;
    uint64_t features;      /* that its place on its transport adds */
    unsigned queue_count;   /* that this one has: the class's, or fewer if its init says so */
    struct vr_chain *chain; /* scratch for the device's handlers, owned */
    struct vr_irq irq;      /* for transports with one wire */
    struct vr_timer later;  /* goes on with deferred queues */
    bool paused;            /* since vr_virtio_quiesce */
    bool no_dma;            /* the transport may not reach memory now */
    struct vr_timer resume; /* ends that, when time runs again */
};

/* Options that every virtio device has. */
struct vr_virtio_opts {
    bool packed, in_order;
};

struct vr_virtio {
    uint64_t driver_features;
    uint64_t deferred; /* queues (bits) whose handling was cut short to let others run */
    uint32_t device_features_sel, driver_features_sel, queue_sel;
    uint32_t config_gen;
    uint16_t config_vector; /* message of a transport that has them */
    uint8_t status, isr;
    struct vr_virtio_host host;
    struct vr_virtio_opts opt; /* config */
};
extern const struct vr_field vr_virtio_fields[];

/* What every virtio device's struct starts with. */
struct vr_virtio_dev {
    struct vr_dev dev;
    struct vr_virtio v;
};

/* The first rows of a device's table; @queues is its array of queues. The options stand at the end
 * of struct vr_virtio, behind what is state. */
#define VR_VIRTIO_FIELDS(queues)                                                          \
    {.name = "virtio",                                                                    \
     .offset = offsetof(VR_SELF, v),                                                      \
     .count = 1,                                                                          \
     .elem_size = offsetof(struct vr_virtio, opt),                                        \
     .type = VR_STRUCT,                                                                   \
     .role = VR_ROLE_STATE,                                                               \
     .sub = vr_virtio_fields,                                                             \
     .help = "what every virtio device has"},                                             \
        VR_VIRTIO_OPT_(packed, "offer packed rings"),                                     \
        VR_VIRTIO_OPT_(in_order,                                                          \
                       "offer to use buffers in order (what is slow holds up the rest)"), \
        VR_STATE_STRUCTS(queues, vr_virtq_fields, "virtqueues")
#define VR_VIRTIO_OPT_(m, h)                                                          \
    {                                                                                 \
        .name = #m, .offset = offsetof(VR_SELF, v.opt.m), .count = 1, .elem_size = 1, \
        .type = VR_BOOL, .role = VR_ROLE_CONFIG, .help = h                            \
    }

static inline struct vr_virtio *vr_virtio_of(struct vr_dev *dev)
{
    return &((struct vr_virtio_dev *)dev)->v;
}

/* For a device's init: @vq holds cls->queue_count queues. -ENOMEM. */
int vr_virtio_init(struct vr_dev *dev, const struct vr_virtio_class *cls,
                   const struct vr_virtio_transport *transport, struct vr_virtq *vq,
                   struct vr_error *err) VR_MUST;
void vr_virtio_fini(struct vr_dev *dev);
/* First in a device's fini: it touches no ring and no wire any more, whatever its host ends still
 * do. */
void vr_virtio_halt(struct vr_dev *dev);
/* Hooks of the device class; a device's own ones call them. From quiesce until time runs again the
 * rings are left alone: memory and devices are saved one after the other, and no input may come
 * between. */
void vr_virtio_quiesce(struct vr_dev *dev);
void vr_virtio_reset(struct vr_dev *dev);
int vr_virtio_loaded(struct vr_dev *dev, struct vr_error *err);
void vr_virtio_counts(struct vr_dev *dev, struct vr_counts *to); /* each queue's */

/* For devices. */
bool vr_virtio_running(const struct vr_virtio *v); /* DRIVER_OK, not broken, not paused */
static inline bool vr_virtio_has(const struct vr_virtio *v, uint64_t features)
{
    return (v->driver_features & features) == features;
}
/* Let the device look at @queue, if it is running. It gets as many chains as the queue has entries,
 * and the rest a little later: a driver that adds while we take (from another CPU) must not keep
 * this thread in here for ever. */
void vr_virtio_handle(struct vr_virtio *v, unsigned queue);
/* The configuration space reads differently from now on. */
void vr_virtio_config_changed(struct vr_virtio *v);
/* The driver broke a rule that makes going on impossible: DEVICE_NEEDS_RESET (2.1.2), counted. */
void vr_virtio_break(struct vr_virtio *v, const char *fmt, ...) VR_PRINTF(2, 3);

/* Run fn(arg) where a host end lives, and wait for it: on the thread of its @loop (NULL: here), so
 * that none of its callbacks is under way. No device lock held. */
void vr_virtio_on_loop(struct vr_loop *loop, void (*fn)(void *arg), void *arg);

/* For transports. */
uint64_t vr_virtio_offered(struct vr_virtio *v);
uint32_t
vr_virtio_features_read(struct vr_virtio *v); /* the word that device_features_sel selects */
void vr_virtio_features_write(struct vr_virtio *v, uint32_t val);
void vr_virtio_status_write(struct vr_virtio *v, uint8_t val);
/* After a reset: 0 when no request is left that may touch the driver's memory (2.4.2: until then,
 * it is not complete). */
uint8_t vr_virtio_status_read(const struct vr_virtio *v);
/* The queue that queue_sel selects, or NULL where there is none (counted if @write). */
struct vr_virtq *vr_virtio_selected(struct vr_virtio *v, bool write);
void vr_virtio_queue_size_write(struct vr_virtio *v, uint32_t val);
/* Which of a queue's three addresses. */
enum vr_virtq_area { VR_VIRTQ_DESC, VR_VIRTQ_DRIVER, VR_VIRTQ_DEVICE };
void vr_virtio_queue_addr_write(struct vr_virtio *v, enum vr_virtq_area area, bool high,
                                uint32_t val);
void vr_virtio_queue_ready_write(struct vr_virtio *v, uint32_t val);
/* Virtqueue reset (2.6.1), of the selected queue: 1 begins it, and reads back until it is done. */
void vr_virtio_queue_reset_write(struct vr_virtio *v, uint32_t val);
uint32_t vr_virtio_queue_reset_read(struct vr_virtio *v);
/* What the driver wrote to notify: the queue, and with NOTIFICATION_DATA where it stands in the
 * upper half, which nobody needs: the ring tells. */
void vr_virtio_kick(struct vr_virtio *v, uint32_t val);
bool vr_virtio_config_read(struct vr_virtio *v, uint64_t off, unsigned width, uint64_t *ret_val);
bool vr_virtio_config_write(struct vr_virtio *v, uint64_t off, unsigned width, uint64_t val);

#endif
