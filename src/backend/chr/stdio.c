/*
 * Standard input and output. On a terminal: raw mode, Ctrl-A escapes, the window's size. On pipes
 * and files: bytes as they are, until the input ends.
 *
 * A guest that reads nothing must not keep its user from Ctrl-A x: what is typed goes to a queue of
 * 64 KiB, and once that is full and nothing has been taken for a second, keys are read and dropped
 * but for escapes.
 */
#include "backend/chr/chr_impl.h"
#include "backend/chr/watch.h"
#include "base/alloc.h"
#include "platform/stream.h"
#include "platform/tty.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    STDIO_TYPED_MAX = 64 * 1024,
    STDIO_STUCK_MS = 1000,
    STDIO_CTRL_A = 1,
};

struct stdio_chr {
    struct vr_chr chr;
    struct vr_stream in, out;
    struct vr_watch in_watch, out_watch;
    bool terminal; /* standard input is one */
    struct vr_tty tty;
    struct vr_ring typed; /* terminal: read and not yet taken */
    bool after_ctrl_a;
    bool hung_up;  /* the terminal has gone away */
    bool dropping; /* the guest is stuck: what does not fit is dropped */
    uv_signal_t *resized, *continued;
    uv_timer_t *stuck;
};

/* Standard input is one for the whole process, and so is this. */
static atomic_flag stdio_taken = ATOMIC_FLAG_INIT;

static const struct {
    char key;
    const char *help;
} stdio_keys[] = {
    {'x', "quit: end the machine at once"},
    {'c', "say how the machine is"},
    {'r', "reset the machine"},
    {'p', "pause, and go on"},
    {'s', "take a snapshot"},
};

static void stdio_say(struct stdio_chr *s, const char *text)
{
    (void)vr_chr_write(&s->chr, (const uint8_t *)text, strlen(text));
}

static const char *stdio_escape_keys(const struct stdio_chr *s)
{
    return s->chr.opts.escape_keys ? s->chr.opts.escape_keys : "x";
}

static void stdio_help(struct stdio_chr *s)
{
    stdio_say(s, "\r\n");
    for (const char *key = stdio_escape_keys(s); *key; key++) {
        for (unsigned i = 0; i < sizeof(stdio_keys) / sizeof(stdio_keys[0]); i++) {
            if (stdio_keys[i].key == *key) {
                char line[80];
                snprintf(line, sizeof(line), "Ctrl-A %c       %s\r\n", *key, stdio_keys[i].help);
                stdio_say(s, line);
            }
        }
    }
    stdio_say(s, "Ctrl-A h       this help\r\nCtrl-A Ctrl-A  send Ctrl-A to the guest\r\n");
}

static void stdio_escape(struct stdio_chr *s, char key)
{
    if (key == 'h' || key == '?') {
        stdio_help(s);
    } else if (key && strchr(stdio_escape_keys(s), key)) {
        if (s->chr.opts.on_escape) {
            s->chr.opts.on_escape(s->chr.opts.opaque, key);
        }
    } else {
        stdio_say(s, "\r\nvireo: no such key; Ctrl-A h shows those there are\r\n");
    }
}

/* Take the escapes out of @buf, in place; returns what is left for the guest. */
static size_t stdio_filter(struct stdio_chr *s, uint8_t *buf, size_t len)
{
    if (s->chr.opts.no_escape) {
        return len;
    }
    size_t kept = 0;
    for (size_t i = 0; i < len; i++) {
        if (s->after_ctrl_a) {
            s->after_ctrl_a = false;
            if (buf[i] == STDIO_CTRL_A) {
                buf[kept++] = STDIO_CTRL_A;
            } else {
                stdio_escape(s, (char)buf[i]);
            }
        } else if (buf[i] == STDIO_CTRL_A) {
            s->after_ctrl_a = true;
        } else {
            buf[kept++] = buf[i];
        }
    }
    return kept;
}

static void stdio_stuck(uv_timer_t *timer);

/* Read what was typed into the queue. */
static void stdio_type(struct stdio_chr *s)
{
    uint8_t buf[1024];
    for (;;) {
        size_t room = STDIO_TYPED_MAX - s->typed.len;
        if (room == 0 && !s->dropping) {
            uv_timer_start(s->stuck, stdio_stuck, STDIO_STUCK_MS, 0);
            return;
        }
        size_t want = s->dropping || room > sizeof(buf) ? sizeof(buf) : room;
        ssize_t n = vr_stream_read(&s->in, buf, want);
        if (n == -EAGAIN) {
            s->hung_up = vr_watch_arm(&s->in_watch, s->in.fd, VR_POLL_IN) < 0;
            return;
        }
        if (n == -EIO && vr_tty_in_background(s->in.fd)) {
            return; /* stdio_continued goes on */
        }
        if (n <= 0) {
            s->hung_up = true;
            return;
        }
        (void)vr_ring_put(&s->typed, buf, stdio_filter(s, buf, (size_t)n));
    }
}

static void stdio_stuck(uv_timer_t *timer)
{
    struct stdio_chr *s = timer->data;
    s->dropping = true;
    stdio_type(s);
    vr_chr_input(&s->chr);
}

static ssize_t stdio_read(struct vr_chr *chr, uint8_t *buf, size_t len)
{
    struct stdio_chr *s = (struct stdio_chr *)chr;
    if (s->terminal) {
        bool held_back = s->typed.len == STDIO_TYPED_MAX && !s->dropping;
        len = vr_ring_peek(&s->typed, buf, len);
        vr_ring_drop(&s->typed, len);
        s->dropping &= len == 0; /* it reads again */
        if (held_back && len) {
            uv_timer_stop(s->stuck);
            stdio_type(s);
        }
        return len ? (ssize_t)len : s->hung_up ? -EIO : 0;
    }
    ssize_t n = vr_stream_read(&s->in, buf, len);
    if (n == -EAGAIN && vr_watch_arm(&s->in_watch, s->in.fd, VR_POLL_IN) == 0) {
        return 0;
    }
    return n > 0 ? n : -EIO;
}

static void stdio_readable(void *arg)
{
    struct stdio_chr *s = arg;
    if (s->terminal) {
        stdio_type(s);
    }
    vr_chr_input(&s->chr);
}

static void stdio_writable(void *arg)
{
    vr_chr_output(arg);
}

static ssize_t stdio_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    struct stdio_chr *s = (struct stdio_chr *)chr;
    ssize_t n = vr_stream_write(&s->out, buf, len);
    if (n == -EAGAIN && vr_watch_arm(&s->out_watch, s->out.fd, VR_POLL_OUT) == 0) {
        return 0;
    }
    if (n < 0) {
        vr_stream_close(&s->out); /* its reader has gone; from now on it takes all */
    }
    return n;
}

static bool stdio_wait_writable(struct vr_chr *chr, int timeout_ms)
{
    return vr_stream_wait_writable(&((struct stdio_chr *)chr)->out, timeout_ms);
}

static bool stdio_size(struct vr_chr *chr, uint16_t *ret_cols, uint16_t *ret_rows)
{
    struct stdio_chr *s = (struct stdio_chr *)chr;
    return (s->out.kind == VR_STREAM_TTY && vr_tty_size(s->out.fd, ret_cols, ret_rows) == 0) ||
           (s->terminal && vr_tty_size(s->in.fd, ret_cols, ret_rows) == 0);
}

static void stdio_on_resized(uv_signal_t *handle, int signum)
{
    struct stdio_chr *s = handle->data;
    (void)signum;
    vr_chr_resized(&s->chr);
}

/* Stopped and back in the foreground: the shell has put its own modes in place. */
static void stdio_on_continued(uv_signal_t *handle, int signum)
{
    struct stdio_chr *s = handle->data;
    (void)signum;
    if (!vr_tty_in_background(s->in.fd)) {
        vr_tty_raw_again(&s->tty);
        stdio_type(s);
        vr_chr_input(&s->chr);
    }
}

static void stdio_handle_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stdio_drop_handle(void *handle)
{
    if (handle) {
        uv_close(handle, stdio_handle_closed);
    }
}

static void stdio_close(struct vr_chr *chr)
{
    struct stdio_chr *s = (struct stdio_chr *)chr;
    vr_tty_restore(&s->tty);
    stdio_drop_handle(s->resized);
    stdio_drop_handle(s->continued);
    stdio_drop_handle(s->stuck);
    vr_watch_fini(&s->in_watch);
    vr_watch_fini(&s->out_watch);
    vr_stream_close(&s->in);
    vr_stream_close(&s->out);
    vr_ring_fini(&s->typed);
    atomic_flag_clear(&stdio_taken);
}

const struct vr_chr_kind vr_chr_kind_stdio = {
    .read = stdio_read,
    .write = stdio_write,
    .wait_writable = stdio_wait_writable,
    .size = stdio_size,
    .close = stdio_close,
};

void vr_chr_stdio_restore_tty(struct vr_chr *chr)
{
    vr_tty_restore(&((struct stdio_chr *)chr)->tty);
}

static int stdio_on_signal(struct stdio_chr *s, uv_signal_t **ret_handle, int signum,
                           uv_signal_cb fn)
{
    uv_signal_t *handle = vr_zalloc(sizeof(*handle));
    if (!handle) {
        return -ENOMEM;
    }
    int r = uv_signal_init(vr_loop_uv(s->chr.loop), handle);
    if (r < 0) {
        free(handle);
        return r;
    }
    handle->data = s;
    *ret_handle = handle;
    return uv_signal_start(handle, fn, signum);
}

/* What only a terminal needs. */
static int stdio_open_terminal(struct stdio_chr *s, struct vr_error *err)
{
    vr_ring_init(&s->typed, STDIO_TYPED_MAX);
    s->stuck = vr_zalloc(sizeof(*s->stuck));
    if (!s->stuck) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    uv_timer_init(vr_loop_uv(s->chr.loop), s->stuck);
    s->stuck->data = s;
    int r = stdio_on_signal(s, &s->continued, SIGCONT, stdio_on_continued);
    if (r < 0) {
        return vr_err(err, r, "signals: %s", uv_strerror(r));
    }
    r = vr_tty_raw(&s->tty, s->in.fd, err);
    if (r < 0) {
        return r;
    }
    r = vr_watch_arm(&s->in_watch, s->in.fd, VR_POLL_IN);
    return r < 0 ? vr_err(err, r, "cannot wait for keys: %s", strerror(-r)) : 0;
}

int vr_chr_open_stdio(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                      struct vr_chr **ret_chr, struct vr_error *err)
{
    (void)arg;
    if (atomic_flag_test_and_set(&stdio_taken)) {
        return vr_err(err, -EBUSY,
                      "console stdio: already used by another device of this process; "
                      "give this one pty or unix:PATH");
    }
    struct stdio_chr *s = vr_chr_new(sizeof(*s), &vr_chr_kind_stdio, opts, loop);
    if (!s) {
        atomic_flag_clear(&stdio_taken);
        return vr_err(err, -ENOMEM, "console stdio: no memory");
    }
    s->chr.open = true;
    vr_stream_open_std(STDIN_FILENO, false, &s->in);
    vr_stream_open_std(STDOUT_FILENO, true, &s->out);
    s->terminal = s->in.kind == VR_STREAM_TTY;
    int r = vr_watch_init(&s->in_watch, loop, stdio_readable, s, err);
    if (r == 0) {
        r = vr_watch_init(&s->out_watch, loop, stdio_writable, s, err);
    }
    if (r == 0 && (s->terminal || s->out.kind == VR_STREAM_TTY)) {
        r = stdio_on_signal(s, &s->resized, SIGWINCH, stdio_on_resized);
        if (r < 0) {
            vr_err(err, r, "signals: %s", uv_strerror(r));
        }
    }
    if (r == 0 && s->terminal) {
        r = stdio_open_terminal(s, err);
    }
    if (r < 0) {
        stdio_close(&s->chr);
        vr_chr_discard(&s->chr);
        return vr_err_in(err, r, "console stdio");
    }
    *ret_chr = &s->chr;
    return 0;
}
