/* A pseudo terminal: programs open and close its other end as they like; while nobody has, output
 * is swallowed, as on a serial line without a plug. */
#include "backend/chr/chr_impl.h"
#include "backend/chr/watch.h"
#include "platform/stream.h"
#include "platform/tty.h"

#include <errno.h>
#include <string.h>

struct pty_chr {
    struct vr_chr chr;
    struct vr_pty pty;
    struct vr_stream stream; /* pty.fd */
    struct vr_watch in_watch, out_watch, notice_watch;
};

static void pty_look(struct pty_chr *p)
{
    bool open = vr_pty_is_open(&p->pty);
    if (!open) {
        vr_watch_disarm(&p->in_watch);
        vr_watch_disarm(&p->out_watch);
    }
    vr_chr_set_open(&p->chr, open);
}

static ssize_t pty_read(struct vr_chr *chr, uint8_t *buf, size_t len)
{
    struct pty_chr *p = (struct pty_chr *)chr;
    if (!chr->open) {
        return 0;
    }
    ssize_t n = vr_stream_read(&p->stream, buf, len);
    if (n > 0) {
        return n;
    }
    if (n != -EAGAIN || vr_watch_arm(&p->in_watch, p->stream.fd, VR_POLL_IN) < 0) {
        pty_look(p); /* closed, unless somebody opened it again just now */
        if (chr->open) {
            vr_chr_input_later(chr);
        }
    }
    return 0;
}

static ssize_t pty_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    struct pty_chr *p = (struct pty_chr *)chr;
    if (!chr->open) {
        return -EPIPE;
    }
    ssize_t n = vr_stream_write(&p->stream, buf, len);
    if (n == -EAGAIN && vr_watch_arm(&p->out_watch, p->stream.fd, VR_POLL_OUT) == 0) {
        return 0;
    }
    return n;
}

static void pty_readable(void *arg)
{
    vr_chr_input(arg);
}

static void pty_writable(void *arg)
{
    struct pty_chr *p = arg;
    pty_look(p);
    vr_chr_output(&p->chr);
}

static void pty_noticed(void *arg)
{
    struct pty_chr *p = arg;
    pty_look(p);
    /* Cannot fail: it was a member a moment ago; if it does, the pty stays as it is now. */
    (void)!vr_watch_arm(&p->notice_watch, p->pty.notice_fd, VR_POLL_IN);
    vr_chr_input(&p->chr);
    vr_chr_output(&p->chr);
}

static bool pty_wait_writable(struct vr_chr *chr, int timeout_ms)
{
    struct pty_chr *p = (struct pty_chr *)chr;
    bool writable = vr_stream_wait_writable(&p->stream, timeout_ms);
    pty_look(p);
    return writable;
}

static bool pty_size(struct vr_chr *chr, uint16_t *ret_cols, uint16_t *ret_rows)
{
    return vr_tty_size(((struct pty_chr *)chr)->pty.fd, ret_cols, ret_rows) == 0;
}

static void pty_close(struct vr_chr *chr)
{
    struct pty_chr *p = (struct pty_chr *)chr;
    vr_watch_fini(&p->in_watch);
    vr_watch_fini(&p->out_watch);
    vr_watch_fini(&p->notice_watch);
    vr_pty_close(&p->pty);
}

static const struct vr_chr_kind pty_kind = {
    .read = pty_read,
    .write = pty_write,
    .wait_writable = pty_wait_writable,
    .size = pty_size,
    .close = pty_close,
};

int vr_chr_open_pty(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                    struct vr_chr **ret_chr, struct vr_error *err)
{
    (void)arg;
    struct pty_chr *p = vr_chr_new(sizeof(*p), &pty_kind, opts, loop);
    if (!p) {
        return vr_err(err, -ENOMEM, "console pty: no memory");
    }
    int r = vr_pty_open(&p->pty, err);
    if (r < 0) {
        vr_chr_discard(&p->chr);
        return vr_err_in(err, r, "console");
    }
    vr_stream_adopt(p->pty.fd, &p->stream);
    p->chr.path = strdup(p->pty.path);
    r = p->chr.path ? 0 : vr_err(err, -ENOMEM, "no memory");
    if (r == 0) {
        r = vr_watch_init(&p->in_watch, loop, pty_readable, p, err);
    }
    if (r == 0) {
        r = vr_watch_init(&p->out_watch, loop, pty_writable, p, err);
    }
    if (r == 0) {
        r = vr_watch_init(&p->notice_watch, loop, pty_noticed, p, err);
    }
    if (r == 0) {
        r = vr_watch_arm(&p->notice_watch, p->pty.notice_fd, VR_POLL_IN);
        if (r < 0) {
            vr_err(err, r, "cannot wait for its users: %s", strerror(-r));
        }
    }
    if (r < 0) {
        pty_close(&p->chr);
        vr_chr_discard(&p->chr);
        return vr_err_in(err, r, "console pty");
    }
    *ret_chr = &p->chr;
    return 0;
}
