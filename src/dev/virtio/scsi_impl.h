/* What scsi.c (queues, requests, units) and scsi_tasks.c (task management, events) share. */
#ifndef VR_DEV_VIRTIO_SCSI_IMPL_H
#define VR_DEV_VIRTIO_SCSI_IMPL_H

#include "dev/virtio/pci.h"
#include "dev/virtio/scsi.h"

enum {
    SCSI_REQUEST_QUEUES = 8,
    SCSI_QUEUES = 2 + SCSI_REQUEST_QUEUES,
    SCSI_QUEUE_SIZE = 256,
    SCSI_LUN_BYTES = 8,
};
enum { SCSI_Q_CONTROL, SCSI_Q_EVENT, SCSI_Q_REQUEST };
enum { SCSI_F_HOTPLUG = 1 << 1 };

/* Responses (5.6.6.1, 5.6.6.2). */
enum {
    SCSI_S_OK = 0,
    SCSI_S_OVERRUN = 1,
    SCSI_S_ABORTED = 2,
    SCSI_S_BAD_TARGET = 3,
    SCSI_S_RESET = 4,
    SCSI_S_BUSY = 5,
    SCSI_S_FUNCTION_SUCCEEDED = 10,
    SCSI_S_FUNCTION_REJECTED = 11,
    SCSI_S_INCORRECT_LUN = 12,
};

struct scsi;

/* A task management request that waits for requests to end. */
struct scsi_tmf {
    struct vr_virtq_tag tag;
    uint32_t epoch;
    unsigned waits;
    uint8_t *response; /* in guest RAM */
    uint64_t response_gpa;
};

/* A request in flight. */
struct scsi_cmd {
    struct vr_scsi_req req; /* first */
    struct scsi *s;
    struct scsi_cmd *next, **link; /* of s->cmds */
    unsigned queue, unit;
    struct vr_virtq_tag tag;
    uint32_t epoch;
    uint64_t id;
    uint8_t response;     /* other than OK: it was aborted, and ends with the step under way */
    struct scsi_tmf *tmf; /* who waits for that */
    unsigned read_count, write_count;
    struct iovec *iov; /* the chain's pieces, readable first; of this allocation */
    uint64_t *gpa;
};

struct scsi_unit {
    uint8_t target;
    uint16_t lun;
    bool leaving; /* it is taken out, and requests are still in flight */
};

struct scsi {
    struct vr_dev dev;
    struct vr_virtio v;
    struct vr_virtq vq[SCSI_QUEUES];
    uint16_t queues;               /* config */
    uint32_t sense_size, cdb_size; /* state */
    bool events_missed;
    struct vr_scsi_lun lun[VR_VIRTIO_SCSI_UNITS];
    struct scsi_unit unit[VR_VIRTIO_SCSI_UNITS]; /* host, from here on */
    struct scsi_cmd *cmds;
    uint16_t in_flight[SCSI_QUEUES];
    bool stalled[SCSI_QUEUES];
    struct vr_virtio_pci pci; /* of the PCI class only */
};
#define SCSI(d) ((struct scsi *)(d))

/* The target and unit that @bytes name; false: none could have this address. */
bool scsi_decode_lun(const uint8_t *bytes, unsigned *ret_target, unsigned *ret_lun);
/* Index of the unit there; -1: none. *ret_target (may be NULL): its target has one at least. */
int scsi_find(const struct scsi *s, unsigned target, unsigned lun, bool *ret_target);
/* scsi_tasks.c */
void scsi_control(struct scsi *s);
void scsi_task_ended(struct scsi *s, struct scsi_tmf *tmf);
void scsi_event_missed(struct scsi *s); /* the driver put buffers there: tell it, if so */
void scsi_tell_plugged(struct scsi *s, unsigned unit, bool here);

#endif
