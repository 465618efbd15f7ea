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
 * The ring's format stands behind struct vr_virtq_format: devices do not know it. Everything here
 * runs under the device's lock.
 *
 * Specification: Virtual I/O Device (VIRTIO) 1.2, section 2.6 (virtqueues).
 */
#ifndef VR_DEV_VIRTIO_VIRTQ_H
#define VR_DEV_VIRTIO_VIRTQ_H

#include "base/field.h"
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

/* What the ring needs to know to give a chain back. */
struct vr_virtq_tag {
    uint16_t id;         /* split ring: the head descriptor */
    uint16_t desc_count; /* descriptors in the ring (packed rings count them) */
};

/* One buffer of the driver's: @read_count pieces we may read, then @write_count we may write. */
struct vr_chain {
    struct vr_virtq_tag tag;
    unsigned read_count, write_count;
    uint64_t read_bytes, write_bytes; /* their sum is below 2^32 */
    struct iovec iov[VR_CHAIN_SEGS_MAX];
    uint64_t gpa[VR_CHAIN_SEGS_MAX]; /* where each piece is in guest memory */
};

struct vr_virtq_stats {
    uint64_t chains;     /* popped */
    uint64_t bytes;      /* that the driver offered in them, or that a device says it moved */
    uint64_t copied;     /* of these, copied by the device itself; the rest is zero-copy */
    uint64_t kicks;      /* notifications by the driver */
    uint64_t interrupts; /* notifications to the driver */
    uint64_t errors;     /* broken rings and requests */
};

/* A ring format: how descriptors are fetched and given back. */
struct vr_virtq_format {
    const char *name;
    /* Is the ring placed as it must be (alignment, size)? */
    bool (*placed)(const struct vr_virtq *q);
    /* Find the ring in host memory; false: it is not RAM. */
    bool (*map)(struct vr_virtq *q);
    /* The next chain: 1; none: 0, and the driver was told to notify of the next one; -1: broken. */
    int (*fetch)(struct vr_virtq *q, struct vr_chain *chain);
    void (*unfetch)(struct vr_virtq *q, unsigned count);
    void (*stage)(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written);
    /* Show the driver what was staged; true: it wants an interrupt. */
    bool (*publish)(struct vr_virtq *q);
};
extern const struct vr_virtq_format vr_virtq_split;

/* Host-side half of a queue. */
struct vr_virtq_host {
    struct vr_virtio *v;
    const struct vr_virtq_format *format;
    uint16_t index, size_max;
    uint16_t staged; /* pushed, not shown to the driver yet */
    bool mapped;     /* the pointers below are good for map generation map_gen */
    unsigned budget; /* chains it may still pop before others get their turn */
    uint32_t epoch;  /* grows when the queue stops: what was in flight is orphaned */
    uint64_t map_gen;
    uint8_t *desc, *driver, *device; /* split ring: descriptor table, available and used ring */
    struct vr_virtq_stats stats;
};

struct vr_virtq {
    uint64_t desc_gpa, driver_gpa, device_gpa;
    uint16_t size;       /* entries, a power of two; 0: the driver chose a bad one */
    uint16_t next_avail; /* the next chain to pop */
    uint16_t next_used;  /* the next one the driver will see */
    bool ready;
    struct vr_virtq_host host;
};
extern const struct vr_field vr_virtq_fields[];

/* Take the next chain; false: there is none, the queue is not running, or the ring is broken. */
bool vr_virtq_pop(struct vr_virtq *q, struct vr_chain *chain);
/* Take back the last @count pops, none of which was pushed. */
void vr_virtq_unpop(struct vr_virtq *q, unsigned count);
/* Give a chain back with its first @written bytes of device-writable memory written. The driver
 * sees it after vr_virtq_notify. Chains may come back in any order. */
void vr_virtq_push(struct vr_virtq *q, struct vr_virtq_tag tag, uint32_t written);
/* Show the driver all pushed chains, and interrupt it if it wants that. */
void vr_virtq_notify(struct vr_virtq *q);

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

/* For ring formats: add [gpa, gpa + len) to @chain; false: the rules are broken, and said so. */
bool vr_chain_add(struct vr_virtq *q, struct vr_chain *chain, uint64_t gpa, uint32_t len,
                  bool writable);

/* For the virtio core. */
bool vr_virtq_start(struct vr_virtq *q); /* the driver enables it; false: refused, device broken */
void vr_virtq_stop(struct vr_virtq *q);  /* reset, or disabled by the driver */

#endif
