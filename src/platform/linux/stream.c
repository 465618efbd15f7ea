/*
 * Byte streams. O_NONBLOCK belongs to an opening ("open file description"), which standard input
 * and output share with the shell and its other children; so a terminal or a pipe is opened anew
 * through /proc, and where that is refused (another user's terminal) readiness is asked for before
 * each call.
 */
#include "platform/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static enum vr_stream_kind stream_kind(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return VR_STREAM_NONE;
    }
    switch (st.st_mode & S_IFMT) {
    case S_IFREG:
    case S_IFBLK:
        return VR_STREAM_FILE;
    case S_IFIFO:
        return VR_STREAM_PIPE;
    case S_IFSOCK:
        return VR_STREAM_SOCKET;
    case S_IFCHR:
        return isatty(fd) ? VR_STREAM_TTY : VR_STREAM_DEVICE;
    default:
        return VR_STREAM_NONE;
    }
}

int vr_stream_reserve_std(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        /* The lowest free one is taken, which is @fd. */
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR) < 0) {
            return -errno;
        }
    }
    return 0;
}

void vr_stream_open_std(int fd, bool write, struct vr_stream *ret_stream)
{
    struct vr_stream s = {.fd = -1, .kind = stream_kind(fd)};
    int mode = fcntl(fd, F_GETFL);
    if (mode < 0 || (mode & O_PATH) || (mode & O_ACCMODE) == (write ? O_RDONLY : O_WRONLY)) {
        s.kind = VR_STREAM_NONE;
    }
    if (s.kind == VR_STREAM_TTY || s.kind == VR_STREAM_PIPE) {
        char name[32];
        snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
        s.fd = open(name, (write ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    }
    if (s.kind != VR_STREAM_NONE && s.fd < 0) {
        s.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        s.shared = true;
        if (s.fd < 0) {
            s.kind = VR_STREAM_NONE;
        }
    }
    *ret_stream = s;
}

void vr_stream_adopt(int fd, struct vr_stream *ret_stream)
{
    int flags = fcntl(fd, F_GETFL);
    *ret_stream = (struct vr_stream){.fd = fd, .kind = stream_kind(fd)};
    ret_stream->shared = flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0;
}

void vr_stream_close(struct vr_stream *s)
{
    if (s->fd >= 0) {
        close(s->fd);
    }
    *s = (struct vr_stream){.fd = -1};
}

static bool stream_ready(const struct vr_stream *s, short what, int timeout_ms)
{
    struct pollfd p = {.fd = s->fd, .events = what};
    return poll(&p, 1, timeout_ms) > 0;
}

bool vr_stream_wait_writable(const struct vr_stream *s, int timeout_ms)
{
    return s->kind == VR_STREAM_NONE || stream_ready(s, POLLOUT, timeout_ms);
}

unsigned vr_stream_wait_readable(const struct vr_stream *const *streams, unsigned count,
                                 int timeout_ms)
{
    struct pollfd p[8];
    unsigned ready = 0;
    vr_assert(count <= sizeof(p) / sizeof(p[0]));
    for (unsigned i = 0; i < count; i++) {
        p[i] = (struct pollfd){.fd = streams[i]->fd, .events = POLLIN};
    }
    int n = poll(p, count, timeout_ms);
    for (unsigned i = 0; n > 0 && i < count; i++) {
        ready |= p[i].revents ? 1u << i : 0;
    }
    return ready;
}

static bool stream_must_ask(const struct vr_stream *s)
{
    return s->shared && (s->kind == VR_STREAM_TTY || s->kind == VR_STREAM_PIPE);
}

ssize_t vr_stream_read(struct vr_stream *s, uint8_t *buf, size_t len)
{
    if (s->kind == VR_STREAM_NONE) {
        return 0;
    }
    if (stream_must_ask(s) && !stream_ready(s, POLLIN, 0)) {
        return -EAGAIN;
    }
    ssize_t n;
    do {
        n = s->kind == VR_STREAM_SOCKET ? recv(s->fd, buf, len, MSG_DONTWAIT)
                                        : read(s->fd, buf, len);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

ssize_t vr_stream_write(struct vr_stream *s, const uint8_t *buf, size_t len)
{
    if (s->kind == VR_STREAM_NONE || len == 0) {
        return (ssize_t)len;
    }
    if (stream_must_ask(s)) {
        if (!stream_ready(s, POLLOUT, 0)) {
            return -EAGAIN;
        }
        /* What is sure to fit once the host says "ready". */
        size_t sure = s->kind == VR_STREAM_PIPE ? PIPE_BUF : 1;
        len = len < sure ? len : sure;
    }
    struct vr_sigpipe hold;
    if (s->kind == VR_STREAM_PIPE) {
        vr_sigpipe_hold(&hold);
    }
    ssize_t n;
    int error;
    do {
        n = s->kind == VR_STREAM_SOCKET ? send(s->fd, buf, len, MSG_DONTWAIT | MSG_NOSIGNAL)
                                        : write(s->fd, buf, len);
        error = errno;
    } while (n < 0 && error == EINTR);
    if (s->kind == VR_STREAM_PIPE) {
        vr_sigpipe_release(&hold);
    }
    return n >= 0 ? n : error == EWOULDBLOCK ? -EAGAIN : -error;
}
