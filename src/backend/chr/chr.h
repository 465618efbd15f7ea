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
 * file; at most one a process), "pty" (path is logged and readable by vr_chr_path), "file:PATH"
 * (output only), "unix:PATH" (listens; one client at a time), "mem" (see vr_chr_mem_*). */
struct vr_chr_opts {
    const char *spec;
    bool no_escape; /* stdio: pass Ctrl-A through */
    /* stdio terminal escapes: 'x' quit, 'h' help (printed by the backend), 'c' monitor, ... Loop
     * thread. */
    void (*on_escape)(void *opaque, char key);
    void (*on_eof)(void *opaque); /* stdin ended (a pipe); loop thread */
    void *opaque;
};
int vr_chr_open(const struct vr_chr_opts *opts, struct vr_loop *loop, struct vr_chr **ret_chr,
                struct vr_error *err) VR_MUST;
/* Restores the terminal. Flushes what is buffered as far as the host end takes it within ~1 s. */
void vr_chr_close(struct vr_chr *chr);
const char *vr_chr_path(const struct vr_chr *chr);
/* Attach the device (or detach: NULL). With the loop's thread quiet or from it. */
void vr_chr_attach(struct vr_chr *chr, const struct vr_chr_user *user);
size_t vr_chr_write(struct vr_chr *chr, const uint8_t *buf,
                    size_t len);        /* NULL chr: all is swallowed */
void vr_chr_resume(struct vr_chr *chr); /* the device can take input again; any thread */

/* "mem": the embedder's end. Any thread. feed returns what fitted in a bounded queue; on_output
 * runs on the loop's thread. */
size_t vr_chr_mem_feed(struct vr_chr *chr, const uint8_t *buf, size_t len);
void vr_chr_mem_on_output(struct vr_chr *chr,
                          void (*fn)(void *opaque, const uint8_t *buf, size_t len), void *opaque);

#endif
