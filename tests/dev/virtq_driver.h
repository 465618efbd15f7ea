/*
 * A virtio driver for tests: negotiates over the MMIO registers, builds split rings in the rig's
 * RAM, and can do everything wrong on request, because nothing here is hidden from the test.
 */
#ifndef VR_TEST_VIRTQ_DRIVER_H
#define VR_TEST_VIRTQ_DRIVER_H

#include "rig.h"

#include "dev/virtio/virtio.h"

enum { VD_QUEUES = 8, VD_SIZE_MAX = 1024 };

/* Registers of the MMIO transport. */
enum {
    VD_MAGIC = 0x00,
    VD_VERSION = 0x04,
    VD_DEVICE_ID = 0x08,
    VD_DEVICE_FEATURES = 0x10,
    VD_DEVICE_FEATURES_SEL = 0x14,
    VD_DRIVER_FEATURES = 0x20,
    VD_DRIVER_FEATURES_SEL = 0x24,
    VD_QUEUE_SEL = 0x30,
    VD_QUEUE_SIZE_MAX = 0x34,
    VD_QUEUE_SIZE = 0x38,
    VD_QUEUE_READY = 0x44,
    VD_QUEUE_NOTIFY = 0x50,
    VD_ISR = 0x60,
    VD_ACK = 0x64,
    VD_STATUS = 0x70,
    VD_DESC = 0x80,
    VD_DRIVER = 0x90,
    VD_DEVICE = 0xa0,
    VD_SHM_LEN = 0xb0,
    VD_GENERATION = 0xfc,
    VD_CONFIG = 0x100,
};

enum { VD_NEXT = 1, VD_WRITE = 2, VD_INDIRECT = 4 };

/* One piece of a buffer. */
struct vd_buf {
    uint64_t gpa;
    uint32_t len;
    bool write; /* by the device */
};

struct vd_queue {
    unsigned index, size;
    uint64_t desc, avail, used;
    uint16_t avail_idx, used_idx;   /* what we published, what we have seen */
    uint16_t kicked;                /* avail_idx at the last kick */
    uint16_t next_free;             /* descriptors are handed out in a circle */
    unsigned kicks, kicks_withheld; /* that the device asked us to withhold */
};

struct vd {
    struct rig *rig;
    struct vr_dev *dev;
    struct sink irq;
    uint64_t heap; /* next free address in RAM */
    uint64_t features;
    bool indirect; /* put chains of two and more into tables */
    struct vd_queue q[VD_QUEUES];
};

/* Ways to run each test: indirect descriptors and event indexes, off and on. */
struct vd_mode {
    const char *name;
    uint64_t features;
};
extern const struct vd_mode vd_modes[4];

void vd_init(struct vd *d, struct rig *rig, struct vr_dev *dev);
uint32_t vd_get(struct vd *d, unsigned reg);
void vd_set(struct vd *d, unsigned reg, uint32_t val);
uint64_t vd_config(struct vd *d, unsigned off, unsigned width);
uint64_t vd_offered(struct vd *d);
/* Reset, and go on to FEATURES_OK with @features and VERSION_1; false: the device refused them. */
bool vd_negotiate(struct vd *d, uint64_t features);
void vd_queue(struct vd *d, unsigned queue, unsigned size); /* set up and enable */
void vd_driver_ok(struct vd *d);
/* All of it, with every queue at @size or its maximum. */
void vd_start(struct vd *d, uint64_t features, unsigned size);
bool vd_needs_reset(struct vd *d);

/* Memory. */
uint64_t vd_alloc(struct vd *d, uint64_t len, uint64_t align);
uint8_t *vd_hva(struct vd *d, uint64_t gpa);
struct vd_buf vd_out(struct vd *d, const void *bytes, uint32_t len); /* allocates, fills */
struct vd_buf vd_in(struct vd *d, uint32_t len);                     /* allocates */
/* @buf as pieces of at most @piece bytes; returns how many. */
unsigned vd_split(struct vd_buf buf, uint32_t piece, struct vd_buf *ret_bufs, unsigned max);

/* Rings. */
void vd_desc(struct vd *d, unsigned queue, unsigned i, uint64_t gpa, uint32_t len, uint16_t flags,
             uint16_t next);
void vd_desc_at(struct vd *d, uint64_t table, unsigned i, uint64_t gpa, uint32_t len,
                uint16_t flags, uint16_t next);
/* Make the chain that starts at @head available; no kick. */
void vd_publish(struct vd *d, unsigned queue, uint16_t head);
/* Descriptors for @bufs, published; returns the head. */
uint16_t vd_add(struct vd *d, unsigned queue, const struct vd_buf *bufs, unsigned count);
/* Notify, unless the device asked not to. */
void vd_kick(struct vd *d, unsigned queue);
/* The next used chain, if any. */
bool vd_used(struct vd *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len);
/* add, kick, and the chain comes back at once; returns the used length. */
uint32_t vd_do(struct vd *d, unsigned queue, const struct vd_buf *bufs, unsigned count);
/* Ask for the next used chain's interrupt (or, off, for none). */
void vd_want_irq(struct vd *d, unsigned queue, bool on);
/* Interrupt status, acknowledged. */
uint32_t vd_isr(struct vd *d);

const struct vr_virtq_stats *vd_stats(struct vd *d, unsigned queue);

#endif
