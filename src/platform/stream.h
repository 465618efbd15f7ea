/*
 * Byte streams of the host: terminals, pipes, sockets, files, and the standard ones that other
 * processes share with us. Reading and writing never wait and never raise SIGPIPE.
 */
#ifndef VR_PLATFORM_STREAM_H
#define VR_PLATFORM_STREAM_H

#include "base/err.h"
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum vr_stream_kind {
    VR_STREAM_NONE, /* closed, or nothing that bytes can be moved through */
    VR_STREAM_FILE, /* always ready */
    VR_STREAM_TTY,
    VR_STREAM_PIPE,
    VR_STREAM_SOCKET,
    VR_STREAM_DEVICE, /* /dev/null and its kin */
};

struct vr_stream {
    int fd; /* ours to close; -1: none */
    enum vr_stream_kind kind;
    bool shared; /* our opening is somebody else's too: it must not be made non-blocking */
};

/* Standard descriptor @fd, for reading or writing, by an opening of our own where the host gives us
 * one. A closed descriptor gives VR_STREAM_NONE. */
void vr_stream_open_std(int fd, bool write, struct vr_stream *ret_stream);
/* Put /dev/null where descriptor 0, 1 or 2 is closed, so that nothing else is opened there and
 * taken for standard input or output. For a program's first lines; descriptors belong to the
 * process. */
int vr_stream_reserve_std(void) VR_MUST;
/* Take over @fd, which is ours alone; it is made non-blocking. */
void vr_stream_adopt(int fd, struct vr_stream *ret_stream);
void vr_stream_close(struct vr_stream *stream);

/* Bytes moved; 0 from read: the end; -EAGAIN: not now; other negative errno: broken. A stream of
 * kind NONE is at its end, and takes all that is written. */
ssize_t vr_stream_read(struct vr_stream *stream, uint8_t *buf, size_t len);
ssize_t vr_stream_write(struct vr_stream *stream, const uint8_t *buf, size_t len);
/* Wait until it takes bytes; false: it did not within @timeout_ms. */
bool vr_stream_wait_writable(const struct vr_stream *stream, int timeout_ms);
/* Wait until one of @count streams, at most 8, has bytes or is at its end: bit i for streams[i]. 0:
 * none within @timeout_ms (-1: for ever), or a signal came. */
unsigned vr_stream_wait_readable(const struct vr_stream *const *streams, unsigned count,
                                 int timeout_ms) VR_MUST;

/* Keep SIGPIPE off this thread between hold and release, whatever the process does with it. */
struct vr_sigpipe {
    sigset_t old;
    bool was_pending;
};
void vr_sigpipe_hold(struct vr_sigpipe *hold);
void vr_sigpipe_release(const struct vr_sigpipe *hold);

#endif
