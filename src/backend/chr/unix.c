/* A UNIX domain socket that one client at a time may be connected to. Others are told so and sent
 * away; while there is none, output is swallowed. */
#include "backend/chr/chr_impl.h"
#include "backend/chr/watch.h"
#include "base/alloc.h"
#include "core/accept.h"
#include "platform/stream.h"
#include "platform/unixsock.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

struct unix_chr {
    struct vr_chr chr;
    struct vr_unix sock;
    struct vr_stream client; /* fd -1: none */
    struct vr_watch in_watch, out_watch;
    struct vr_accept *accept;
};

static void unix_send_away(struct unix_chr *u)
{
    vr_watch_disarm(&u->in_watch);
    vr_watch_disarm(&u->out_watch);
    vr_stream_close(&u->client);
    vr_chr_set_open(&u->chr, false);
}

static ssize_t unix_read(struct vr_chr *chr, uint8_t *buf, size_t len)
{
    struct unix_chr *u = (struct unix_chr *)chr;
    if (u->client.fd < 0) {
        return 0;
    }
    ssize_t n = vr_stream_read(&u->client, buf, len);
    if (n > 0 || (n == -EAGAIN && vr_watch_arm(&u->in_watch, u->client.fd, VR_POLL_IN) == 0)) {
        return n > 0 ? n : 0;
    }
    unix_send_away(u); /* it left, or is broken */
    return 0;
}

static ssize_t unix_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    struct unix_chr *u = (struct unix_chr *)chr;
    if (u->client.fd < 0) {
        return -EPIPE;
    }
    ssize_t n = vr_stream_write(&u->client, buf, len);
    if (n == -EAGAIN && vr_watch_arm(&u->out_watch, u->client.fd, VR_POLL_OUT) == 0) {
        return 0;
    }
    return n; /* what it sent before it left is still read */
}

static void unix_readable(void *arg)
{
    vr_chr_input(arg);
}

static void unix_writable(void *arg)
{
    vr_chr_output(arg);
}

/* A client that has left is only noticed by reading, which a device that takes nothing prevents. */
static bool unix_client_left(const struct unix_chr *u)
{
    struct pollfd p = {.fd = u->client.fd};
    return poll(&p, 1, 0) > 0 && (p.revents & (POLLHUP | POLLERR));
}

static void unix_welcome(void *opaque, int fd)
{
    struct unix_chr *u = opaque;
    if (u->client.fd >= 0 && u->chr.blocked && unix_client_left(u)) {
        unix_send_away(u);
    }
    struct vr_stream stream;
    vr_stream_adopt(fd, &stream);
    if (u->client.fd >= 0) {
        static const char busy[] = "vireo: somebody else is connected to this console\r\n";
        (void)!vr_stream_write(&stream, (const uint8_t *)busy, sizeof(busy) - 1);
        vr_stream_close(&stream);
        return;
    }
    u->client = stream;
    vr_chr_set_open(&u->chr, true);
    vr_chr_input(&u->chr);
}

static bool unix_wait_writable(struct vr_chr *chr, int timeout_ms)
{
    struct unix_chr *u = (struct unix_chr *)chr;
    return u->client.fd < 0 || vr_stream_wait_writable(&u->client, timeout_ms);
}

static void unix_close(struct vr_chr *chr)
{
    struct unix_chr *u = (struct unix_chr *)chr;
    vr_watch_fini(&u->in_watch);
    vr_watch_fini(&u->out_watch);
    vr_accept_close(u->accept);
    vr_stream_close(&u->client);
    vr_unix_close(&u->sock);
}

static const struct vr_chr_kind unix_kind = {
    .read = unix_read,
    .write = unix_write,
    .wait_writable = unix_wait_writable,
    .close = unix_close,
};

static int unix_start(struct unix_chr *u, struct vr_error *err)
{
    struct vr_loop *loop = u->chr.loop;
    u->chr.path = strdup(u->sock.path);
    if (!u->chr.path) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    int r = vr_watch_init(&u->in_watch, loop, unix_readable, u, err);
    if (r == 0) {
        r = vr_watch_init(&u->out_watch, loop, unix_writable, u, err);
    }
    return r < 0 ? r : vr_accept_open(loop, &u->sock, unix_welcome, u, &u->accept, err);
}

int vr_chr_open_unix(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                     struct vr_chr **ret_chr, struct vr_error *err)
{
    struct unix_chr *u = vr_chr_new(sizeof(*u), &unix_kind, opts, loop);
    if (!u) {
        return vr_err(err, -ENOMEM, "console unix: no memory");
    }
    u->client.fd = -1;
    int r = vr_unix_listen(arg, &u->sock, err);
    if (r < 0) {
        vr_chr_discard(&u->chr);
        return vr_err_in(err, r, "console");
    }
    r = unix_start(u, err);
    if (r < 0) {
        unix_close(&u->chr);
        vr_chr_discard(&u->chr);
        return vr_err_in(err, r, "console unix:%s", arg);
    }
    *ret_chr = &u->chr;
    return 0;
}
