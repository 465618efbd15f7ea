/*
 * A network over a UNIX stream socket: each frame behind its length (32 bits, most significant byte
 * first), as `-netdev stream` of QEMU (docs/system/devices/net.rst) and passt(1) have it. Who
 * listens there is the switch, the other machine, or the stack.
 *
 * Frames are sent by whoever has them, at once where the socket takes them; what it does not take
 * waits in a bounded queue for the loop. What comes is read only as far as the device takes it, so
 * the other side's sending waits for a guest that is slow.
 *
 * When the other side hangs up, the link is down, and every second somebody is looked for there.
 */
#include "platform/stream.h"
#include "backend/chr/watch.h"
#include "backend/net/net_impl.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/iov.h"
#include "platform/unixsock.h"

#include <errno.h>
#include <string.h>
#include <uv.h>

enum {
    STREAM_HEAD = 4,
    STREAM_FRAME_MIN = 14, /* an Ethernet header */
    STREAM_QUEUE_MAX = 1 << 20,
    STREAM_IN = 2 * (STREAM_HEAD + VR_NET_FRAME_MAX),
    STREAM_READS = 32, /* in one turn of the loop */
    STREAM_AGAIN_MS = 1000,
};

struct net_stream {
    struct vr_net net;
    char *path;

    /* Loop's thread only. */
    struct vr_watch in_watch, out_watch;
    uv_timer_t *timer; /* to look for somebody */
    bool full, closing;
    size_t in_len;
    uint8_t in[STREAM_IN]; /* what was read; less than a frame, unless the device is full */

    struct vr_mutex lock;    /* of what follows */
    struct vr_stream stream; /* of kind NONE: nobody is there */
    struct vr_frameq out;
    size_t out_sent; /* of the first of them */
    bool broken;     /* part of a frame was sent, and there was no memory for the rest */
    bool out_posted, resume_posted;
    unsigned refs; /* the owner, each post under way, the timer */
    uint8_t frame[STREAM_HEAD + VR_NET_FRAME_MAX];
};

static void stream_unref(struct net_stream *s)
{
    vr_mutex_lock(&s->lock);
    bool last = --s->refs == 0;
    vr_mutex_unlock(&s->lock);
    if (last) {
        vr_frameq_fini(&s->out);
        vr_mutex_fini(&s->lock);
        vr_net_fini(&s->net);
        free(s->path);
        free(s);
    }
}

static bool stream_there_locked(const struct net_stream *s)
{
    return s->stream.kind != VR_STREAM_NONE;
}

static void stream_tell_link(struct net_stream *s, bool up)
{
    if (s->net.user.on_link) {
        s->net.user.on_link(s->net.user.opaque, up);
    }
}

/* Nobody is there any more. */
static void stream_drop(struct net_stream *s)
{
    vr_watch_disarm(&s->in_watch);
    vr_watch_disarm(&s->out_watch);
    vr_mutex_lock(&s->lock);
    unsigned lost = s->out.count;
    while (s->out.count) {
        vr_frameq_pop(&s->out);
    }
    s->out_sent = 0;
    s->broken = false;
    if (stream_there_locked(s)) {
        vr_stream_close(&s->stream);
    }
    vr_mutex_unlock(&s->lock);
    vr_net_count_tx(&s->net, 0, 0, lost);
    s->in_len = 0;
}

/* ---- Host to guest ---- */

/* Give the device what is whole. False: what came is no stream of frames. */
static bool stream_give(struct net_stream *s)
{
    size_t at = 0;
    bool good = true;
    s->full = false;
    while (s->in_len - at >= STREAM_HEAD) {
        size_t len = vr_load_be32(s->in + at);
        good = len > 0 && len <= VR_NET_FRAME_MAX;
        if (!good || s->in_len - at - STREAM_HEAD < len) {
            break;
        }
        const struct vr_net_user *user = &s->net.user;
        if (!user->on_frame || len < STREAM_FRAME_MIN) {
            vr_net_count_rx(&s->net, 0, 0, 1);
        } else if (!user->on_frame(user->opaque, s->in + at + STREAM_HEAD, len)) {
            s->full = true;
            break;
        }
        at += STREAM_HEAD + len;
    }
    s->in_len -= at;
    memmove(s->in, s->in + at, s->in_len);
    return good;
}

static void stream_lost(struct net_stream *s);

static void stream_input(struct net_stream *s)
{
    bool good = stream_give(s);
    for (unsigned i = 0; good && !s->full && i < STREAM_READS; i++) {
        /* The loop alone closes it. */
        ssize_t n = vr_stream_read(&s->stream, s->in + s->in_len, STREAM_IN - s->in_len);
        if (n == -EAGAIN) {
            break;
        }
        s->in_len += n > 0 ? (size_t)n : 0;
        good = n > 0 && stream_give(s);
    }
    if (!good || (!s->full && vr_watch_arm(&s->in_watch, s->stream.fd, VR_POLL_IN) < 0)) {
        stream_lost(s);
    }
}

static void stream_readable(void *arg)
{
    stream_input(arg);
}

/* ---- Looking for somebody ---- */

static int stream_connect(struct net_stream *s, struct vr_error *err)
{
    int fd, r = vr_unix_connect_now(s->path, &fd, err);
    if (r == 0) {
        vr_mutex_lock(&s->lock);
        vr_stream_adopt(fd, &s->stream);
        vr_mutex_unlock(&s->lock);
        r = vr_watch_arm(&s->in_watch, fd, VR_POLL_IN);
        if (r < 0) {
            stream_drop(s);
            return vr_err(err, r, "socket %s: cannot wait for it", s->path);
        }
    }
    return r;
}

static void stream_look(uv_timer_t *timer)
{
    struct net_stream *s = timer->data;
    if (stream_connect(s, NULL) == 0) {
        uv_timer_stop(timer);
        stream_tell_link(s, true);
    }
}

static void stream_lost(struct net_stream *s)
{
    stream_drop(s);
    s->full = false;
    stream_tell_link(s, false);
    (void)uv_timer_start(s->timer, stream_look, STREAM_AGAIN_MS, STREAM_AGAIN_MS);
}

/* ---- Guest to host ---- */

/* What waits, as far as it goes; true: the rest has to wait on. */
static bool stream_flush_locked(struct net_stream *s, uint64_t *frames, uint64_t *bytes)
{
    const uint8_t *frame;
    size_t len;
    while ((frame = vr_frameq_front(&s->out, &len))) {
        ssize_t n = vr_stream_write(&s->stream, frame + s->out_sent, len - s->out_sent);
        if (n < 0) { /* if it is broken, reading says so, too */
            return n == -EAGAIN;
        }
        s->out_sent += (size_t)n;
        if (s->out_sent == len) {
            (*frames)++;
            *bytes += len - STREAM_HEAD;
            s->out_sent = 0;
            vr_frameq_pop(&s->out);
        }
    }
    return false;
}

static void stream_writable(void *arg)
{
    struct net_stream *s = arg;
    uint64_t frames = 0, bytes = 0;
    vr_mutex_lock(&s->lock);
    bool more = stream_there_locked(s) && stream_flush_locked(s, &frames, &bytes);
    vr_mutex_unlock(&s->lock);
    vr_net_count_tx(&s->net, frames, bytes, 0);
    if (more && vr_watch_arm(&s->out_watch, s->stream.fd, VR_POLL_OUT) < 0) {
        stream_lost(s);
    }
}

static void stream_output(void *arg)
{
    struct net_stream *s = arg;
    vr_mutex_lock(&s->lock);
    bool broken = s->broken;
    s->out_posted = false;
    vr_mutex_unlock(&s->lock);
    if (!s->closing && broken) {
        stream_lost(s);
    } else if (!s->closing) {
        stream_writable(s);
    }
    stream_unref(s);
}

/* The frame behind its length, in one piece. */
static size_t stream_frame_locked(struct net_stream *s, const struct iovec *iov, unsigned count,
                                  size_t len)
{
    vr_store_be32(s->frame, (uint32_t)len);
    size_t got = vr_iov_get(iov, count, 0, s->frame + STREAM_HEAD, len);
    vr_assert(got == len);
    return STREAM_HEAD + len;
}

static void stream_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    struct net_stream *s = (struct net_stream *)net;
    bool sent = false, queued = false, post = false;
    vr_mutex_lock(&s->lock);
    if (stream_there_locked(s) && !s->broken && len <= VR_NET_FRAME_MAX) {
        size_t all = stream_frame_locked(s, iov, count, len);
        ssize_t n = s->out.count ? 0 : vr_stream_write(&s->stream, s->frame, all);
        const struct iovec whole = {.iov_base = s->frame, .iov_len = all};
        sent = n == (ssize_t)all;
        queued = !sent && (n >= 0 || n == -EAGAIN) && vr_frameq_push(&s->out, &whole, 1, all);
        if (n > 0 && !sent) {
            s->out_sent = (size_t)n;
            s->broken = !queued;
        }
        post = (queued || s->broken) && !s->out_posted;
        s->out_posted |= post;
        s->refs += post;
    }
    vr_mutex_unlock(&s->lock);
    if (!queued) {
        vr_net_count_tx(net, sent, sent ? len : 0, !sent);
    }
    if (post) {
        vr_loop_post(net->loop, stream_output, s);
    }
}

/* The device has room again. */
static void stream_resumed(void *arg)
{
    struct net_stream *s = arg;
    vr_mutex_lock(&s->lock);
    s->resume_posted = false;
    vr_mutex_unlock(&s->lock);
    if (!s->closing && s->stream.kind == VR_STREAM_NONE) {
        stream_tell_link(s, false);      /* who has just been attached thinks otherwise */
    } else if (!s->closing && s->full) { /* else what comes is waited for already */
        stream_input(s);
    }
    stream_unref(s);
}

static void stream_resume(struct vr_net *net)
{
    struct net_stream *s = (struct net_stream *)net;
    vr_mutex_lock(&s->lock);
    bool post = !s->resume_posted;
    s->resume_posted = true;
    s->refs += post;
    vr_mutex_unlock(&s->lock);
    if (post) {
        vr_loop_post(net->loop, stream_resumed, s);
    }
}

/* ---- Its life ---- */

static void stream_timer_closed(uv_handle_t *handle)
{
    stream_unref(handle->data);
    free(handle);
}

static void stream_close_here(void *arg)
{
    struct net_stream *s = arg;
    s->closing = true;
    s->net.user = (struct vr_net_user){0};
    stream_drop(s);
    vr_watch_fini(&s->in_watch);
    vr_watch_fini(&s->out_watch);
    if (s->timer) {
        uv_close((uv_handle_t *)s->timer, stream_timer_closed);
        s->timer = NULL;
    }
}

static void stream_close(struct vr_net *net)
{
    struct net_stream *s = (struct net_stream *)net;
    vr_loop_call(net->loop, stream_close_here, s);
    stream_unref(s);
}

static const struct vr_net_ops stream_ops = {
    .name = "stream",
    .send = stream_send,
    .resume = stream_resume,
    .close = stream_close,
};

struct stream_opening {
    struct net_stream *s;
    struct vr_error *err;
    int result;
};

static int stream_open(struct net_stream *s, struct vr_error *err)
{
    struct vr_loop *loop = s->net.loop;
    uv_timer_t *timer = vr_zalloc(sizeof(*timer));
    if (!timer) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    uv_timer_init(vr_loop_uv(loop), timer);
    timer->data = s;
    s->timer = timer;
    s->refs++;
    int r = vr_watch_init(&s->in_watch, loop, stream_readable, s, err);
    r = r < 0 ? r : vr_watch_init(&s->out_watch, loop, stream_writable, s, err);
    return r < 0 ? r : stream_connect(s, err);
}

static void stream_open_here(void *arg)
{
    struct stream_opening *o = arg;
    o->result = stream_open(o->s, o->err);
    if (o->result < 0) {
        stream_close_here(o->s);
    }
}

int vr_net_open_stream(const char *path, struct vr_loop *loop, struct vr_net **ret_net,
                       struct vr_error *err)
{
    struct net_stream *s = vr_zalloc(sizeof(*s));
    char *copy = s ? strdup(path) : NULL;
    if (!copy) {
        free(s);
        return vr_err(err, -ENOMEM, "network stream: no memory");
    }
    vr_net_init(&s->net, &stream_ops, loop);
    s->path = copy;
    s->stream.fd = -1;
    s->in_watch.fd = s->out_watch.fd = -1;
    vr_mutex_init(&s->lock);
    vr_frameq_init(&s->out, STREAM_QUEUE_MAX);
    s->refs = 1;
    struct stream_opening o = {.s = s, .err = err};
    vr_loop_call(loop, stream_open_here, &o);
    if (o.result < 0) {
        stream_unref(s);
        return vr_err_in(err, o.result, "network stream");
    }
    *ret_net = &s->net;
    return 0;
}
