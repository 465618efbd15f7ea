/*
 * The host end of a character device: standard input and output, a pseudo terminal, a file, a
 * socket, a memory pipe for embedders, or nothing.
 *
 * Guest to host: vr_chr_write from any thread; never blocks; the backend buffers a bounded amount
 * (VR_CHR_OUT_MAX) and takes no more: the number of bytes accepted is returned. When room comes
 * back, on_writable is called. Host to guest: the backend calls on_input(bytes) on the loop's
 * thread with no locks held; the device returns how many it took; the backend keeps the rest, stops
 * reading the host end, and offers it again after vr_chr_resume. So no side can flood the other
 * (THREATS 17).
 */
#ifndef VR_BACKEND_CHR_H
#define VR_BACKEND_CHR_H

#include "base/err.h"
#include "core/loop.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_chr;

enum { VR_CHR_OUT_MAX = 1 << 20 };

struct vr_chr_user {
    size_t (*on_input)(void *opaque, const uint8_t *buf, size_t len);
    void (*on_writable)(void *opaque);        /* may be NULL */
    void (*on_open)(void *opaque, bool open); /* host end came or went; may be NULL */
    void (*on_resize)(void *opaque, uint16_t cols, uint16_t rows); /* may be NULL */
    void *opaque;
};

/* @spec: "null", "stdio" (raw terminal with Ctrl-A escapes when it is one; plain when a pipe or
 * file; at most one a process: -EBUSY), "pty" (vr_chr_path says where), "file:PATH" (output only),
 * "unix:PATH" (listens; one client at a time, others are sent away), "mem" (see vr_chr_mem_*).
 * While a pty or a socket has nobody at its other end, output is swallowed. */
struct vr_chr_opts {
    const char *spec;
    bool no_escape; /* stdio: pass Ctrl-A through */
    /* stdio on a terminal: which keys after Ctrl-A reach on_escape, in the order of the help text
     * that Ctrl-A h prints; NULL: "x". x quit, c the state of the machine, r reset, p pause or go
     * on, s snapshot. Ctrl-A Ctrl-A sends one Ctrl-A to the guest. */
    const char *escape_keys;
    void (*on_escape)(void *opaque, char key); /* loop thread */
    /* stdin ended and the device has taken all that it held; loop thread, once. */
    void (*on_eof)(void *opaque);
    void *opaque;
};
/* -EINVAL: no such spec; -EBUSY; -EADDRINUSE, -EACCES, ...: the host end is not to be had. */
int vr_chr_open(const struct vr_chr_opts *opts, struct vr_loop *loop, struct vr_chr **ret_chr,
                struct vr_error *err) VR_MUST;
/* Restores the terminal. Flushes what is buffered as far as the host end takes it within ~1 s. Not
 * from one of its own callbacks. NULL is fine. */
void vr_chr_close(struct vr_chr *chr);
/* Put a raw terminal back as it was found; async-signal-safe, for handlers of fatal signals. The
 * chr must not be used after but to close it. */
void vr_chr_restore_tty(struct vr_chr *chr);
const char *
vr_chr_path(const struct vr_chr *chr); /* where to connect: of a pty, a socket, a file; or "" */
/* Attach the device (or detach: NULL). With the loop's thread quiet or from it. on_open and
 * on_resize (when there is a size) tell the state soon after. */
void vr_chr_attach(struct vr_chr *chr, const struct vr_chr_user *user);
size_t vr_chr_write(struct vr_chr *chr, const uint8_t *buf,
                    size_t len); /* NULL chr: all is swallowed */
/* Host time of the first byte that the device gave; 0: none came. Any thread. */
uint64_t vr_chr_first_ns(struct vr_chr *chr);
/* Let @fn hear what the guest writes, as it is accepted: on the writer's thread, with the device's
 * lock held. One listener; set before the machine runs. */
void vr_chr_tap(struct vr_chr *chr, void (*fn)(void *opaque, const uint8_t *buf, size_t len),
                void *opaque);
/* The device can take input again (it took less than offered before); any thread. */
void vr_chr_resume(struct vr_chr *chr);

/* A second host end, whatever the first one is: it gets what the first one was given (or threw
 * away) and may send input. For who joins a console that somebody else has. All on the loop's
 * thread. */
struct vr_chr_side {
    void (*on_output)(void *opaque, const uint8_t *buf, size_t len);
    void *opaque;
    struct vr_chr_side *next; /* the chr's */
};
void vr_chr_side_add(struct vr_chr *chr, struct vr_chr_side *side);
void vr_chr_side_remove(struct vr_chr *chr, struct vr_chr_side *side);
/* How many of @len bytes fitted into its queue; the device takes them as it takes any input. */
size_t vr_chr_side_input(struct vr_chr *chr, const uint8_t *buf, size_t len);

/* "mem": the embedder's end. Any thread. feed returns what fitted in a bounded queue; on_output
 * runs on the loop's thread; with none set, output is swallowed. */
size_t vr_chr_mem_feed(struct vr_chr *chr, const uint8_t *buf, size_t len);
void vr_chr_mem_resize(struct vr_chr *chr, uint16_t cols, uint16_t rows);
void vr_chr_mem_on_output(struct vr_chr *chr,
                          void (*fn)(void *opaque, const uint8_t *buf, size_t len), void *opaque);

#endif
