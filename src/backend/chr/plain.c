/* The plain kinds: nothing ("null"), a file that output goes to ("file:PATH"), and the embedder's
 * memory ("mem"). */
#include "backend/chr/chr_impl.h"
#include "backend/chr/watch.h"
#include "platform/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

static ssize_t plain_read(struct vr_chr *chr, uint8_t *buf, size_t len)
{
    (void)chr;
    (void)buf;
    (void)len;
    return 0; /* never any */
}

static ssize_t null_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    (void)chr;
    (void)buf;
    return (ssize_t)len;
}

static void null_close(struct vr_chr *chr)
{
    (void)chr;
}

static const struct vr_chr_kind null_kind = {
    .read = plain_read,
    .write = null_write,
    .close = null_close,
};

int vr_chr_open_null(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                     struct vr_chr **ret_chr, struct vr_error *err)
{
    (void)arg;
    struct vr_chr *chr = vr_chr_new(sizeof(*chr), &null_kind, opts, loop);
    if (!chr) {
        return vr_err(err, -ENOMEM, "console: no memory");
    }
    chr->open = true;
    *ret_chr = chr;
    return 0;
}

struct file_chr {
    struct vr_chr chr;
    struct vr_stream out;
    struct vr_watch out_watch;
};

static void file_writable(void *arg)
{
    vr_chr_output(arg);
}

static ssize_t file_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    struct file_chr *f = (struct file_chr *)chr;
    if (!chr->open) {
        return -EPIPE;
    }
    ssize_t n = vr_stream_write(&f->out, buf, len);
    if (n == -EAGAIN && vr_watch_arm(&f->out_watch, f->out.fd, VR_POLL_OUT) == 0) {
        return 0;
    }
    if (n < 0) {
        vr_chr_set_open(chr, false); /* a full disk does not come back by trying at every byte */
    }
    return n;
}

static bool file_wait_writable(struct vr_chr *chr, int timeout_ms)
{
    return vr_stream_wait_writable(&((struct file_chr *)chr)->out, timeout_ms);
}

static void file_close(struct vr_chr *chr)
{
    struct file_chr *f = (struct file_chr *)chr;
    vr_watch_fini(&f->out_watch);
    vr_stream_close(&f->out);
}

static const struct vr_chr_kind file_kind = {
    .read = plain_read,
    .write = file_write,
    .wait_writable = file_wait_writable,
    .close = file_close,
};

int vr_chr_open_file(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                     struct vr_chr **ret_chr, struct vr_error *err)
{
    /* O_NONBLOCK: a FIFO that nobody reads fails at once. */
    int fd = open(arg, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0666);
    if (fd < 0) {
        int r = -errno;
        return r == -ENXIO
                   ? vr_err(err, r,
                            "console file:%s: nobody reads this pipe; start its "
                            "reader first",
                            arg)
                   : vr_err(err, r, "console file:%s: cannot write there: %s", arg, strerror(-r));
    }
    struct file_chr *f = vr_chr_new(sizeof(*f), &file_kind, opts, loop);
    char *path = strdup(arg);
    if (!f || !path) {
        close(fd);
        free(path);
        if (f) {
            vr_chr_discard(&f->chr);
        }
        return vr_err(err, -ENOMEM, "console file:%s: no memory", arg);
    }
    f->chr.path = path;
    f->chr.open = true;
    vr_stream_adopt(fd, &f->out);
    int r = vr_watch_init(&f->out_watch, loop, file_writable, f, err);
    if (r < 0) {
        vr_stream_close(&f->out);
        vr_chr_discard(&f->chr);
        return vr_err_in(err, r, "console file:%s", arg);
    }
    *ret_chr = &f->chr;
    return 0;
}

enum { MEM_IN_MAX = 64 * 1024 };

struct mem_chr {
    struct vr_chr chr;
    struct vr_ring feed; /* under chr.lock, as are these: */
    void (*on_output)(void *opaque, const uint8_t *buf, size_t len);
    void *opaque;
    uint16_t cols, rows; /* 0: none */
};

static ssize_t mem_read(struct vr_chr *chr, uint8_t *buf, size_t len)
{
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    len = vr_ring_peek(&m->feed, buf, len);
    vr_ring_drop(&m->feed, len);
    vr_mutex_unlock(&chr->lock);
    return (ssize_t)len;
}

static ssize_t mem_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    void (*on_output)(void *opaque, const uint8_t *p, size_t n) = m->on_output;
    void *opaque = m->opaque;
    vr_mutex_unlock(&chr->lock);
    if (on_output) {
        on_output(opaque, buf, len);
    }
    return (ssize_t)len;
}

static bool mem_size(struct vr_chr *chr, uint16_t *ret_cols, uint16_t *ret_rows)
{
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    *ret_cols = m->cols;
    *ret_rows = m->rows;
    vr_mutex_unlock(&chr->lock);
    return *ret_cols && *ret_rows;
}

static void mem_close(struct vr_chr *chr)
{
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    vr_ring_fini(&m->feed);
    vr_mutex_unlock(&chr->lock);
}

const struct vr_chr_kind vr_chr_kind_mem = {
    .read = mem_read,
    .write = mem_write,
    .size = mem_size,
    .close = mem_close,
};

int vr_chr_open_mem(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                    struct vr_chr **ret_chr, struct vr_error *err)
{
    (void)arg;
    struct mem_chr *m = vr_chr_new(sizeof(*m), &vr_chr_kind_mem, opts, loop);
    if (!m) {
        return vr_err(err, -ENOMEM, "console: no memory");
    }
    vr_ring_init(&m->feed, MEM_IN_MAX);
    m->chr.open = true;
    *ret_chr = &m->chr;
    return 0;
}

size_t vr_chr_mem_feed(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    vr_assert(chr->kind == &vr_chr_kind_mem);
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    len = vr_ring_put(&m->feed, buf, len);
    vr_mutex_unlock(&chr->lock);
    if (len) {
        vr_chr_input_later(chr);
    }
    return len;
}

void vr_chr_mem_resize(struct vr_chr *chr, uint16_t cols, uint16_t rows)
{
    vr_assert(chr->kind == &vr_chr_kind_mem);
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    m->cols = cols;
    m->rows = rows;
    vr_mutex_unlock(&chr->lock);
    vr_chr_state_later(chr);
}

void vr_chr_mem_on_output(struct vr_chr *chr,
                          void (*fn)(void *opaque, const uint8_t *buf, size_t len), void *opaque)
{
    vr_assert(chr->kind == &vr_chr_kind_mem);
    struct mem_chr *m = (struct mem_chr *)chr;
    vr_mutex_lock(&chr->lock);
    m->on_output = fn;
    m->opaque = opaque;
    vr_mutex_unlock(&chr->lock);
}
