/*
 * What the host ends of character devices share: the bounded output queue, flow control of input,
 * and who is called when.
 *
 * Each kind embeds struct vr_chr first and gives it five functions, all called on the loop's
 * thread. The kind calls vr_chr_input when its host end may have bytes, and vr_chr_output when it
 * may take some.
 */
#ifndef VR_BACKEND_CHR_IMPL_H
#define VR_BACKEND_CHR_IMPL_H

#include "backend/chr/chr.h"
#include "backend/chr/ring.h"
#include "core/det.h"
#include "platform/lock.h"

#include <stdatomic.h>
#include <sys/types.h>

enum { VR_CHR_IN_LEN = 4096 };

struct vr_chr_kind {
    /* > 0: bytes read; 0: none now, vr_chr_input follows when there are; < 0: it ended for good. */
    ssize_t (*read)(struct vr_chr *chr, uint8_t *buf, size_t len);
    /* > 0: bytes taken; 0: none now, vr_chr_output follows when it can; < 0: nobody is there, the
     * queue is thrown away. */
    ssize_t (*write)(struct vr_chr *chr, const uint8_t *buf, size_t len);
    /* Wait until write may take something; false: it did not within the time. NULL: never waits. */
    bool (*wait_writable)(struct vr_chr *chr, int timeout_ms);
    /* Size of the screen; false: none. NULL: none. */
    bool (*size)(struct vr_chr *chr, uint16_t *ret_cols, uint16_t *ret_rows);
    /* Let go of everything but the struct itself. */
    void (*close)(struct vr_chr *chr);
};

struct vr_chr {
    const struct vr_chr_kind *kind;
    struct vr_loop *loop;
    struct vr_chr_opts opts; /* spec is not kept */
    char *path;
    struct vr_chr_user user;
    void (*tap)(void *opaque, const uint8_t *buf, size_t len);
    void *tap_opaque;

    struct vr_det_src src; /* deterministic mode: the device hears everything through it */

    /* Loop's thread only. */
    bool input_due, state_due, polling; /* there: something may have come; the source is asked */
    bool open;                          /* somebody is at the host end */
    bool ended;                         /* no input will ever come any more */
    bool ended_told;
    bool blocked; /* the device took less than was offered */
    bool closed;
    size_t in_pos, in_len;
    uint8_t in[VR_CHR_IN_LEN];
    struct vr_chr_side *sides;
    struct vr_ring side_in; /* from them */

    struct vr_mutex lock; /* of what follows */
    struct vr_ring out;
    uint64_t first_ns; /* host time of the first byte; 0: there was none */
    bool starved;      /* a write was cut short; on_writable is due */
    bool out_waiting;  /* the host end takes nothing now; the kind will call */
    bool out_posted, in_posted;
    bool state_posted;
    unsigned refs; /* the owner, and each post under way */
};

/* @size of the kind's struct, zeroed but for what is here; NULL: no memory. */
void *vr_chr_new(size_t size, const struct vr_chr_kind *kind, const struct vr_chr_opts *opts,
                 struct vr_loop *loop);
/* Free a struct that vr_chr_open has not returned yet; the kind has let go of everything. */
void vr_chr_discard(struct vr_chr *chr);
void vr_chr_input(struct vr_chr *chr);       /* loop's thread */
void vr_chr_input_later(struct vr_chr *chr); /* any thread: vr_chr_input on the loop's, coalesced */
void vr_chr_output(struct vr_chr *chr);      /* loop's thread */
void vr_chr_set_open(struct vr_chr *chr, bool open); /* loop's thread; tells the device */
void vr_chr_resized(struct vr_chr *chr);             /* loop's thread; tells the device */
void vr_chr_state_later(struct vr_chr *chr); /* any thread: tell the device both, coalesced */

/* The kinds. @arg: what follows the colon of the spec. On the loop's thread. */
int vr_chr_open_null(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                     struct vr_chr **ret_chr, struct vr_error *err) VR_MUST;
int vr_chr_open_mem(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                    struct vr_chr **ret_chr, struct vr_error *err) VR_MUST;
int vr_chr_open_file(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                     struct vr_chr **ret_chr, struct vr_error *err) VR_MUST;
int vr_chr_open_stdio(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                      struct vr_chr **ret_chr, struct vr_error *err) VR_MUST;
int vr_chr_open_pty(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                    struct vr_chr **ret_chr, struct vr_error *err) VR_MUST;
int vr_chr_open_unix(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                     struct vr_chr **ret_chr, struct vr_error *err) VR_MUST;
void vr_chr_stdio_restore_tty(struct vr_chr *chr); /* async-signal-safe */
extern const struct vr_chr_kind vr_chr_kind_stdio, vr_chr_kind_mem;

#endif
