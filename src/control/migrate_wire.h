/*
 * What two Vireos say to each other when a machine moves (docs/migration.md): frames, each with a
 * head of 20 bytes and at most VR_MIG_PAYLOAD bytes behind it.
 *
 *     le32 magic "VRmv"   le16 version   le16 type   le32 length   le32 number   le32 checksum
 *
 * Frames are numbered from 0 in each direction. The checksum is the CRC-32 of zlib over the head's
 * first 16 bytes and the payload: a frame with any byte changed, left out, or sent twice is
 * refused.
 *
 * A link is used by one thread at a time.
 */
#ifndef VR_CONTROL_MIGRATE_WIRE_H
#define VR_CONTROL_MIGRATE_WIRE_H

#include "platform/stream.h"
#include <stdatomic.h>

enum {
    VR_MIG_VERSION = 1,
    VR_MIG_HEAD = 20,
    VR_MIG_PAYLOAD = (1 << 20) + 4096, /* a configuration is at most 1 MiB */
    VR_MIG_RAMS = 8,
    VR_MIG_RUN = 64, /* pages a frame */
};

enum vr_mig_type {
    /* From the source. */
    VR_MIG_HELLO = 1, /* le32 memories, le64 bytes of each; then the configuration's text */
    VR_MIG_PAGES,     /* le32 memory, le32 0, le64 first page; the pages */
    VR_MIG_ZEROS,     /* le32 memory, le32 0, le64 first page, le64 how many */
    VR_MIG_ROUND,     /* le64 number: answer when all before it is in place */
    VR_MIG_STATE,     /* the next bytes of vCPUs and devices */
    VR_MIG_DONE,      /* le64 bytes of state, le64 1 if it runs: it is the target's from here on */
    VR_MIG_ABORT,     /* why, as text */
    /* From the target. */
    VR_MIG_READY = 33, /* there is a machine for the pages */
    VR_MIG_ROUND_OK,   /* le64 number */
    VR_MIG_RUNNING,    /* it has everything, and goes on */
    VR_MIG_FAILED,     /* why, as text: it is the source's still, or again */
};

struct vr_mig_link {
    struct vr_stream stream;
    uint32_t out_number, in_number;
    const atomic_bool *cancel; /* set: give up waiting, -ECANCELED; NULL: never */
    bool torn;                 /* part of a frame was sent: no other can be understood */
    uint64_t sent_bytes;
    uint8_t *buf; /* of the frame that was read last: VR_MIG_PAYLOAD bytes */
};

struct vr_mig_frame {
    enum vr_mig_type type;
    const uint8_t *data; /* the link's, until the next one is read */
    uint32_t len;
};

/* Take over @fd. -ENOMEM (then it is closed). */
int vr_mig_link_init(struct vr_mig_link *link, int fd, const atomic_bool *cancel,
                     struct vr_error *err) VR_MUST;
void vr_mig_link_fini(struct vr_mig_link *link); /* fine on a zeroed one */

/* Send a frame whose payload is @head and then @data. -EPIPE, -ECONNRESET: the other side is gone;
 * -ETIMEDOUT: it took nothing for @timeout_ms; -ECANCELED. */
int vr_mig_send(struct vr_mig_link *link, enum vr_mig_type type, const void *head,
                uint32_t head_len, const void *data, uint32_t len, int timeout_ms,
                struct vr_error *err) VR_MUST;
/* The next frame. -EPIPE: the other side hung up between two frames; -ENODATA: inside one;
 * -ETIMEDOUT: nothing for @timeout_ms (-1: for ever); -EPROTO: it is damaged; -ECANCELED. */
int vr_mig_recv(struct vr_mig_link *link, int timeout_ms, struct vr_mig_frame *ret_frame,
                struct vr_error *err) VR_MUST;

/* The parts of it, without a connection. @head: VR_MIG_HEAD bytes. -EPROTO. */
void vr_mig_put_head(uint8_t *head, enum vr_mig_type type, uint32_t number, const void *a,
                     uint32_t a_len, const void *b, uint32_t b_len);
int vr_mig_check_head(const uint8_t *head, uint32_t number, uint32_t *ret_len,
                      struct vr_error *err) VR_MUST;
int vr_mig_check(const uint8_t *head, const uint8_t *payload, struct vr_mig_frame *ret_frame,
                 struct vr_error *err) VR_MUST;

/* @text is the other side's, or quotes it, and will be shown on a terminal: only plain ASCII stays.
 */
void vr_mig_plain(char *text);

/* A socket by "unix:PATH" or "tcp:HOST:PORT". -EINVAL: neither, which can be asked before. */
int vr_mig_check_uri(const char *uri, struct vr_error *err) VR_MUST;
bool vr_mig_is_unix(const char *uri);
int vr_mig_connect(const char *uri, int timeout_ms, int *ret_fd, struct vr_error *err) VR_MUST;
/* Wait there for one who connects, for as long as it takes. @told is called once somebody can
 * connect. */
int vr_mig_accept(const char *uri, void (*told)(void *opaque), void *opaque, int *ret_fd,
                  struct vr_error *err) VR_MUST;

#endif
