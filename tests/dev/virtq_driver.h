/*
 * A virtio driver for tests: negotiates over the MMIO registers or PCI's (which it calls by their
 * MMIO names), builds split or packed rings in the rig's RAM, and can do everything wrong on
 * request, because nothing here is hidden from the test.
 */
#ifndef VR_TEST_VIRTQ_DRIVER_H
#define VR_TEST_VIRTQ_DRIVER_H

#include "rig.h"

#include "dev/virtio/virtio.h"

enum { VD_QUEUES = 20, VD_SIZE_MAX = 1024 };

/* The class of a device over the transport that this run is about: PCI when the environment has
 * VD_TRANSPORT=pci. */
#define VD_CLASS(name) \
    (vd_over_pci() ? &vr_virtio_##name##_pci_class : &vr_virtio_##name##_mmio_class)
bool vd_over_pci(void);

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
    VD_QUEUE_RESET = 0xc0,
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
    uint64_t desc, avail, used;     /* packed: the ring, the driver's and the device's events */
    uint16_t avail_idx, used_idx;   /* split: what we published, what we have seen */
    uint16_t place, used_place;     /* packed: the same, as offset and wrap counter (bit 15) */
    uint16_t kicked;                /* avail_idx or place at the last kick */
    uint16_t next_free;             /* split: descriptors, packed: ids are handed out in a circle */
    uint16_t descs[VD_SIZE_MAX];    /* packed: of each id */
    uint16_t order[VD_SIZE_MAX];    /* ids in the order in which they were added */
    uint16_t added, seen;           /* how many, and how many of them came back */
    unsigned kicks, kicks_withheld; /* that the device asked us to withhold */
};

struct vd {
    struct rig *rig;
    struct vr_dev *dev;
    struct sink irq;
    uint64_t heap; /* next free address in RAM */
    uint64_t features;
    bool indirect; /* put chains of two and more into tables */
    bool packed;
    struct vd_queue q[VD_QUEUES];
};

/* Ways to run each test: packed rings, indirect descriptors and event indexes, off and on. The
 * device must have been made with VD_OPTS. */
struct vd_mode {
    const char *name;
    uint64_t features;
};
extern const struct vd_mode vd_modes[8];
#define VD_OPTS "packed=on,in_order=on"
/* All that a driver may choose about rings: VD_RINGS combinations. */
enum { VD_RINGS = 64 };
uint64_t vd_ring(unsigned i);

void vd_init(struct vd *d, struct rig *rig, struct vr_dev *dev);
/* Go on with @dev, into which the old device's state was loaded. */
void vd_replace(struct vd *d, struct vr_dev *dev);
uint32_t vd_get(struct vd *d, unsigned reg);
void vd_set(struct vd *d, unsigned reg, uint32_t val);
uint64_t vd_config(struct vd *d, unsigned off, unsigned width);
void vd_config_set(struct vd *d, unsigned off, unsigned width, uint64_t val);
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
/* Split: make the chain that starts at @head available; no kick. */
void vd_publish(struct vd *d, unsigned queue, uint16_t head);
/* Packed: write the descriptor at the next place, marked available; no kick. */
void vd_packed_put(struct vd *d, unsigned queue, uint64_t gpa, uint32_t len, uint16_t flags,
                   uint16_t id);
uint16_t vd_place_add(const struct vd_queue *q, uint16_t place, unsigned count);
unsigned vd_place_distance(const struct vd_queue *q, uint16_t from, uint16_t to);
/* Descriptors for @bufs, published; returns the head (packed: the id). */
uint16_t vd_add(struct vd *d, unsigned queue, const struct vd_buf *bufs, unsigned count);
/* Notify, unless the device asked not to. */
void vd_kick(struct vd *d, unsigned queue);
/* The next used chain, if any. With IN_ORDER it must be the oldest. */
bool vd_used(struct vd *d, unsigned queue, uint16_t *ret_head, uint32_t *ret_len);
/* add, kick, and the chain comes back at once; returns the used length. */
uint32_t vd_do(struct vd *d, unsigned queue, const struct vd_buf *bufs, unsigned count);
/* Ask for the next used chain's interrupt (or, off, for none). */
void vd_want_irq(struct vd *d, unsigned queue, bool on);
/* Interrupt status, acknowledged. */
uint32_t vd_isr(struct vd *d);

const struct vr_virtq_stats *vd_stats(struct vd *d, unsigned queue);

/* What a test of one virtio device stands on: a rig, the device, its driver. Setup: of class @cls
 * with options @opts; state of one test at a time. */
struct vd_fixture {
    struct rig rig;
    struct vr_dev *dev;
    struct vd d;
};
int vd_setup(void **state, const struct vr_dev_class *cls, const char *opts);
int vd_teardown(void **state);

#endif
