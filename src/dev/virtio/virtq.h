/*
 * A virtqueue, seen by a device.
 *
 *     while (vr_virtq_pop(q, chain)) {
 *         ... chain->iov: what the driver lets us read, then what it lets us write ...
 *         vr_virtq_push(q, chain->tag, bytes_written);
 *     }
 *     vr_virtq_notify(q);
 *
 * pop copies each descriptor once and checks the copy: after it returned true the chain is sound,
 * lies in RAM, and does not change any more, whatever the driver writes. A driver that breaks the
 * rules gets DEVICE_NEEDS_RESET (vr_virtio_break), and pop finds nothing until it resets the
 * device. Nothing is copied but descriptors: iovecs point into guest RAM.
 *
 * The ring's format (split or packed) stands behind struct vr_virtq_format: devices do not know it.
 * Everything here runs under the device's lock.
 *
 * With IN_ORDER negotiated, chains that devices give back out of order are held here until their
 * turn has come, so devices do not know that either.
 *
 * Specification: Virtual I/O Device (VIRTIO) 1.3, sections 2.6 (virtqueues) to 2.8.
 */
#ifndef VR_DEV_VIRTIO_VIRTQ_H
#define VR_DEV_VIRTIO_VIRTQ_H

#include "base/bits.h"
#include "base/field.h"
#include "base/hist.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

struct vr_virtio;
struct vr_virtq;

enum {
    VR_VIRTQ_SIZE_MAX = 1024, /* entries; no queue here is larger */
    VR_CHAIN_SEGS_MAX = 1024, /* descriptors, and pieces of RAM, of one chain */
};

/* What the ring needs to know to give a chain back. A device that keeps chains across a snapshot
 * saves their tags: VR_STATE_STRUCTS(..., vr_virtq_tag_fields, ...). */
struct vr_virtq_tag {
    uint16_t id;         /* split ring: the head descriptor; packed: the buffer id */
    uint16_t desc_count; /* descriptors in the ring (packed rings count them) */
    uint16_t seq;        /* counts pops, for IN_ORDER */
    uint64_t popped_ns;  /* when, in guest time; 0: not known */
};
extern const struct vr_field vr_virtq_tag_fields[];

/* One buffer of the driver's: @read_count pieces we may read, then @write_count we may write. */
struct vr_chain {
    struct vr_virtq_tag tag;
    unsigned read_count, write_count;
    uint64_t read_bytes, write_bytes; /* their sum is below 2^32 */
    struct iovec iov[VR_CHAIN_SEGS_MAX];
    uint64_t gpa[VR_CHAIN_SEGS_MAX]; /* where each piece is in guest memory */
};

/* Written under the device's lock by vr_tally, read by anyone with vr_tally_get (base/hist.h). */
struct vr_virtq_stats {
    uint64_t chains;        /* popped */
    uint64_t bytes;         /* that the driver offered in them, or that a device says it moved */
    uint64_t copied;        /* of these, copied by the device itself; the rest is zero-copy */
    uint64_t kicks;         /* notifications by the driver */
    uint64_t interrupts;    /* notifications to the driver */
    uint64_t errors;        /* broken rings and requests */
    struct vr_hist latency; /* from pop to push, or to the notify behind it */
};

/* A ring format: how descriptors are fetched and given back. */
struct vr_virtq_format {
    const char *name;
    bool (*size_ok)(uint32_t size); /* 1 to VR_VIRTQ_SIZE_MAX is checked elsewhere */
    /* Is the ring placed as it must be (alignment)? */
    bool (*placed)(const struct vr_virtq *q);
    /* Are next_avail and next_used such as can be? For snapshots. */
    bool (*sound)(const struct vr_virtq *q);
    /* The driver enabled the (mapped) ring: begin at its beginning. */
    void (*start)(struct vr_virtq *q);
    /* Find the ring in host memory; false: it is not RAM. */
    bool (*map)(struct vr_virtq *q);
    /* The next chain: 1; none: 0, and the driver was told to notify of the next one; -1: broken. */
    int (*fetch)(struct vr_virtq *q, struct vr_chain *chain);
    void (*unfetch)(struct vr_virtq *q, struct vr_virtq_tag tag);
    void (*stage)(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written);
    /* Show the driver what was staged; true: it wants an interrupt. */
    bool (*publish)(struct vr_virtq *q);
};
extern const struct vr_virtq_format vr_virtq_split, vr_virtq_packed;

/* Host-side half of a queue. */
struct vr_virtq_host {
    struct vr_virtio *v;
    const struct vr_virtq_format *format;
    uint16_t index, size_max;
    uint16_t staged;       /* pushed, not shown to the driver yet */
    uint16_t staged_descs; /* packed ring: their descriptors */
    uint16_t staged_flags; /* packed ring: what makes the first of them visible */
    bool mapped;           /* the pointers below are good for map generation map_gen */
    unsigned budget;       /* chains it may still pop before others get their turn */
    uint32_t epoch;        /* grows when the queue stops: what was in flight is orphaned */
    uint64_t map_gen;
    /* Split ring: descriptor table, available and used ring. Packed: the ring, and the driver's and
     * our event suppression. */
    uint8_t *desc, *driver, *device;
    uint64_t pop_ns;      /* when the pops since the last notify were; 0: no pop yet */
    uint64_t batch_ns;    /* when the pushed chains below were popped */
    uint64_t batch_count; /* pushed, and their time not taken yet */
    struct vr_virtq_stats stats;
};

struct vr_virtq {
    uint64_t desc_gpa, driver_gpa, device_gpa;
    uint16_t size; /* entries; 0: the driver chose a bad number */
    /* The next chain to pop, and the next one the driver will see: as the format counts. */
    uint16_t next_avail, next_used;
    /* IN_ORDER: numbers of the next pop and of the oldest chain that is not given back, and what
     * was given back too early. */
    uint16_t next_seq, oldest_seq;
    uint32_t early_len;
    uint8_t *early;
    uint16_t vector; /* message of a transport that has them */
    bool ready;
    bool resetting; /* by the driver, and not done yet */
    struct vr_virtq_host host;
};
extern const struct vr_field vr_virtq_fields[];

/* Take the next chain; false: there is none, the queue is not running, or the ring is broken. */
bool vr_virtq_pop(struct vr_virtq *q, struct vr_chain *chain);
/* Take back the last pop, which gave @tag and was not pushed; then, if you like, the one before. */
void vr_virtq_unpop(struct vr_virtq *q, struct vr_virtq_tag tag);
/* Give a chain back with its first @written bytes of device-writable memory written. The driver
 * sees it after vr_virtq_notify. Chains may come back in any order. */
void vr_virtq_push(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written);
/* Show the driver all pushed chains, and interrupt it if it wants that. */
void vr_virtq_notify(struct vr_virtq *q);

/* The two halves of that, for devices that collect interrupts: show, and say whether the driver
 * wants to hear of it; and interrupt it. */
bool vr_virtq_show(struct vr_virtq *q);
void vr_virtq_interrupt(struct vr_virtq *q);

/* Copy from the readable part (to the writable part) at @off; returns how many bytes were there. */
size_t vr_chain_read(struct vr_virtq *q, const struct vr_chain *chain, uint64_t off, void *buf,
                     size_t len);
size_t vr_chain_write(struct vr_virtq *q, const struct vr_chain *chain, uint64_t off,
                      const void *buf, size_t len);
/* The device (or a backend) wrote the first @len bytes of the writable part through the iovecs. */
void vr_chain_wrote(struct vr_virtq *q, const struct vr_chain *chain, uint64_t len);
/* The device-writable iovecs. */
static inline const struct iovec *vr_chain_writable(const struct vr_chain *chain)
{
    return chain->iov + chain->read_count;
}

/* For ring formats. */
/* A descriptor of either format; @link is `next` (split) or the buffer id (packed). */
struct vr_virtq_desc {
    uint64_t gpa;
    uint32_t len;
    uint16_t flags, link;
};
enum {
    VR_DESC_BYTES = 16,
    VR_DESC_NEXT = 1,
    VR_DESC_WRITE = 2,
    VR_DESC_INDIRECT = 4,
    VR_DESC_AVAIL = 1 << 7, /* packed */
    VR_DESC_USED = 1 << 15, /* packed */
};
/* Where descriptors are read from: the ring's table, or an indirect one. */
struct vr_desc_table {
    const uint8_t *hva; /* NULL: not contiguous for us, read by address */
    uint64_t gpa;
    unsigned count;
    bool packed; /* the order of the last two words differs */
};
/* One copy of descriptor @i; everything is decided on it. False: it is not in RAM, and said so. */
bool vr_desc_fetch(struct vr_virtq *q, const struct vr_desc_table *table, unsigned i,
                   struct vr_virtq_desc *ret_desc);
/* Go on in the indirect table that @d names; -1: it must not be one, and that was said. */
int vr_desc_enter(struct vr_virtq *q, const struct vr_virtq_desc *d, struct vr_desc_table *table);
/* The ring is broken: says so, returns -1. */
int vr_virtq_broken(struct vr_virtq *q, const char *why, uint64_t val);
/* Add [gpa, gpa + len) to @chain; false: the rules are broken, and said so. */
bool vr_chain_add(struct vr_virtq *q, struct vr_chain *chain, uint64_t gpa, uint32_t len,
                  bool writable);
/* Words of a ring that a running CPU shares, aligned. */
static inline uint16_t vr_ring_load(const uint8_t *p)
{
    return VR_LE_(16, __atomic_load_n((const uint16_t *)(const void *)p, __ATOMIC_RELAXED));
}
static inline void vr_ring_store(uint8_t *p, uint16_t val)
{
    __atomic_store_n((uint16_t *)(void *)p, VR_LE_(16, val), __ATOMIC_RELAXED);
}

/* For the virtio core. */
bool vr_virtq_start(struct vr_virtq *q); /* the driver enables it; false: refused, device broken */
void vr_virtq_stop(struct vr_virtq *q);  /* reset, or disabled by the driver */
void vr_virtq_fini(struct vr_virtq *q);
/* The state came from a snapshot: is it one that can be? */
bool vr_virtq_sound(const struct vr_virtq *q);

#endif
