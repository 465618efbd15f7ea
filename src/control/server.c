/*
 * The control socket.
 *
 * A client has an input buffer of a fixed size, which is not filled again before it is empty, and
 * an output buffer that grows: replies and events go into it, and out when the turn ends. Input is
 * left in the host's queue while a slow command runs, while the client does not read, and while it
 * has used up its rate.
 */
#include "control/server.h"
#include "base/alloc.h"
#include "control/qmp.h"
#include "control/vm_priv.h"
#include "core/accept.h"
#include "platform/file.h"
#include "platform/stream.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

enum {
    SERVER_IN_LEN = 16 << 10,
    SERVER_TURN = 64,        /* messages of a client before others on the loop have their turn */
    SERVER_TYPE_MS = 5,      /* before a console is offered again what it did not take */
    SERVER_GOODBYE_MS = 300, /* what the end waits for clients that do not read */
};

/* Descriptors that go with what is at @at of a client's output. */
struct server_fds {
    struct server_fds *next;
    size_t at;
    unsigned count, sent;
    int *fds; /* owned */
};

struct server_client {
    struct vr_server *server; /* NULL: it has left, and only waits for the loop to let go */
    struct server_client *next;
    struct vr_stream stream;
    struct vr_qmp_session *session;
    uv_poll_t poll;
    uv_timer_t later; /* goes on when the turn or the rate was used up */
    unsigned handles; /* of these two that are open */
    int waits_for;    /* what poll was started with; 0: it is stopped */
    bool broken;
    struct vr_chr *console; /* the connection is this one's stream; NULL: it speaks QMP */
    struct vr_chr_side side;
    size_t lost; /* bytes of its output that the client did not take in time */
    size_t in_pos, in_len;
    char in[SERVER_IN_LEN];
    char *out; /* from out_pos to out_len; owned */
    size_t out_pos, out_len, out_cap;
    struct server_fds *fds, **last_fds; /* that go with parts of it, in order */
    uint64_t tokens, token_ns;          /* messages it may send now, and when that was so */
};

struct vr_server {
    struct vireo_vm *vm;
    struct vr_loop *loop;
    struct vr_unix sock;
    struct vr_qmp *qmp;
    struct vr_events_hear hear;
    struct vr_accept *accept; /* NULL: nobody is taken in */
    struct server_client *clients;
    unsigned client_count;
    bool ending;
};

static void client_serve(struct server_client *c);
static void client_serve_later(struct server_client *c);

/* ---- A client's end ---- */

static void client_drop_fds(struct server_client *c)
{
    struct server_fds *f = c->fds;
    c->fds = f->next;
    c->last_fds = c->fds ? c->last_fds : &c->fds;
    for (unsigned i = 0; i < f->count; i++) {
        vr_file_close(f->fds[i]);
    }
    free(f->fds);
    free(f);
}

static void client_handle_closed(uv_handle_t *handle)
{
    struct server_client *c = handle->data;
    if (--c->handles == 0) {
        vr_stream_close(&c->stream);
        while (c->fds) {
            client_drop_fds(c);
        }
        free(c->out);
        free(c);
    }
}

static void client_end(struct server_client *c)
{
    struct vr_server *s = c->server;
    struct server_client **at = &s->clients;
    while (*at != c) {
        at = &(*at)->next;
    }
    *at = c->next;
    s->client_count--;
    c->server = NULL;
    if (c->console) {
        vr_chr_side_remove(c->console, &c->side);
    }
    vr_qmp_close(c->session);
    c->session = NULL;
    uv_close((uv_handle_t *)&c->poll, client_handle_closed);
    uv_close((uv_handle_t *)&c->later, client_handle_closed);
}

/* ---- Output ---- */

static void client_send(void *opaque, const char *text, size_t len)
{
    struct server_client *c = opaque;
    if (c->out_pos) {
        memmove(c->out, c->out + c->out_pos, c->out_len - c->out_pos);
        c->out_len -= c->out_pos;
        for (struct server_fds *f = c->fds; f; f = f->next) {
            f->at -= c->out_pos;
        }
        c->out_pos = 0;
    }
    if (len > VR_SERVER_OUT_MAX - c->out_len) {
        c->broken = true;
        return;
    }
    if (c->out_len + len > c->out_cap) {
        size_t cap = c->out_cap ? c->out_cap : 4096;
        while (cap < c->out_len + len) {
            cap *= 2;
        }
        char *out = realloc(c->out, cap);
        if (!out) {
            c->broken = true;
            return;
        }
        c->out = out;
        c->out_cap = cap;
    }
    memcpy(c->out + c->out_len, text, len);
    c->out_len += len;
}

static void client_send_fds(void *opaque, int *fds, unsigned count)
{
    struct server_client *c = opaque;
    struct server_fds *f = vr_zalloc(sizeof(*f));
    if (!f) {
        for (unsigned i = 0; i < count; i++) {
            vr_file_close(fds[i]);
        }
        free(fds);
        c->broken = true;
        return;
    }
    *f = (struct server_fds){.at = c->out_len, .count = count, .fds = fds};
    *c->last_fds = f;
    c->last_fds = &f->next;
}

/* As much of its output as goes at once; more descriptors than one call takes go with a byte each
 * time. */
static ssize_t client_write(struct server_client *c)
{
    const uint8_t *out = (const uint8_t *)c->out + c->out_pos;
    struct server_fds *f = c->fds;
    if (!f) {
        return vr_stream_write(&c->stream, out, c->out_len - c->out_pos);
    }
    if (c->out_pos < f->at) {
        return vr_stream_write(&c->stream, out, f->at - c->out_pos);
    }
    unsigned count = f->count - f->sent < VR_UNIX_FDS ? f->count - f->sent : VR_UNIX_FDS;
    ssize_t n = vr_unix_send(c->stream.fd, out, 1, f->fds + f->sent, count);
    if (n > 0) {
        f->sent += count;
        f->at += (size_t)n;
        if (f->sent == f->count) {
            client_drop_fds(c);
        }
    }
    return n;
}

static void client_broken(void *opaque)
{
    struct server_client *c = opaque;
    c->broken = true;
}

/* Write as much as it takes now. False: it has left. */
static bool client_flush(struct server_client *c)
{
    while (c->out_pos < c->out_len) {
        ssize_t n = client_write(c);
        if (n < 0) {
            return n == -EAGAIN;
        }
        c->out_pos += (size_t)n;
    }
    c->out_pos = c->out_len = 0;
    if (c->out_cap > VR_SERVER_OUT_PAUSE) {
        free(c->out);
        c->out = NULL;
        c->out_cap = 0;
    }
    return true;
}

/* ---- Input ---- */

/* May it send another message now? If not: *ret_ms until it may. */
static bool client_spend(struct server_client *c, uint64_t *ret_ms)
{
    if (c->tokens == 0) {
        uint64_t now_ns = vireo_monotonic_ns();
        uint64_t earned = (now_ns - c->token_ns) / (1000000000u / VR_SERVER_RATE);
        if (earned == 0) {
            *ret_ms = 1;
            return false;
        }
        c->tokens = earned < VR_SERVER_BURST ? earned : VR_SERVER_BURST;
        c->token_ns = now_ns;
    }
    c->tokens--;
    return true;
}

/* False: it has left. */
static bool client_fill(struct server_client *c)
{
    ssize_t n = vr_stream_read(&c->stream, (uint8_t *)c->in, sizeof(c->in));
    if (n <= 0) {
        return n == -EAGAIN;
    }
    c->in_pos = 0;
    c->in_len = (size_t)n;
    return true;
}

/* A console's stream: give the device what it takes. False: not all, *ret_ms until the rest. */
static bool client_type(struct server_client *c, uint64_t *ret_ms)
{
    if (!c->console) {
        return true;
    }
    c->in_pos +=
        vr_chr_side_input(c->console, (const uint8_t *)c->in + c->in_pos, c->in_len - c->in_pos);
    *ret_ms = SERVER_TYPE_MS;
    return c->in_pos == c->in_len;
}

static void client_on_output(void *opaque, const uint8_t *buf, size_t len)
{
    struct server_client *c = opaque;
    if (c->out_len - c->out_pos > VR_SERVER_OUT_MAX / 4) {
        c->lost += len;
        return;
    }
    if (c->lost) {
        char text[80];
        int n =
            snprintf(text, sizeof(text),
                     "\r\n[vireo: %zu bytes of output came too fast and are lost]\r\n", c->lost);
        client_send(c, text, (size_t)n);
        c->lost = 0;
    }
    client_send(c, (const char *)buf, len);
    client_serve_later(c);
}

static int client_become_console(void *opaque, unsigned console, struct vr_error *err)
{
    struct server_client *c = opaque;
    struct vr_chr *chr = vr_vm_console(c->server->vm, console);
    if (!chr) {
        return vr_err(err, -ENODEV, "there is no console %u", console);
    }
    c->console = chr;
    c->side = (struct vr_chr_side){.on_output = client_on_output, .opaque = c};
    vr_chr_side_add(chr, &c->side);
    return 0;
}

static bool client_may_go_on(const struct server_client *c)
{
    if (c->console) {
        return !c->broken;
    }
    return !c->broken && vr_qmp_takes(c->session) && c->out_len - c->out_pos < VR_SERVER_OUT_PAUSE;
}

static void client_on_later(uv_timer_t *timer)
{
    client_serve(timer->data);
}

/* Do what can be done of its input. False: it has left. */
static bool client_work(struct server_client *c)
{
    for (unsigned turn = 0; client_may_go_on(c); turn++) {
        uint64_t ms = 0;
        if (c->in_pos == c->in_len) {
            if (!client_fill(c)) {
                return false;
            }
            if (c->in_pos == c->in_len) {
                return true;
            }
        }
        if (turn == SERVER_TURN || (!c->console && !client_spend(c, &ms)) || !client_type(c, &ms)) {
            uv_timer_start(&c->later, client_on_later, ms, 0);
            return true;
        }
        if (c->console) {
            continue;
        }
        c->in_pos += vr_qmp_input(c->session, c->in + c->in_pos, c->in_len - c->in_pos);
    }
    return !c->broken;
}

static void client_on_poll(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct server_client *c = poll->data;
    if (status < 0) {
        client_end(c);
    } else {
        client_serve(c);
    }
}

/* Do what can be done now, then wait for what is missing. */
static void client_serve(struct server_client *c)
{
    bool here = true, more = true;
    if (c->server->ending) {
        return;
    }
    while (here && more) {
        size_t in_before = c->in_pos;
        here = client_work(c) && client_flush(c);
        /* Its input stood still for its output, which is gone now. */
        more = here && c->in_pos != in_before && client_may_go_on(c) &&
               !uv_is_active((uv_handle_t *)&c->later) && c->in_pos < c->in_len;
    }
    if (!here || c->broken) {
        client_end(c);
        return;
    }
    int wait = c->out_len ? UV_WRITABLE : 0;
    if (client_may_go_on(c) && !uv_is_active((uv_handle_t *)&c->later)) {
        wait |= UV_READABLE;
    }
    /* Nothing to wait for: a slow command or the timer goes on here. */
    if (wait != c->waits_for) {
        c->waits_for = wait;
        if (wait) {
            uv_poll_start(&c->poll, wait, client_on_poll);
        } else {
            uv_poll_stop(&c->poll);
        }
    }
}

/* Not from here: whoever calls may be in the middle of a list of clients. */
static void client_serve_later(struct server_client *c)
{
    if (!c->server->ending) {
        uv_timer_start(&c->later, client_on_later, 0, 0);
    }
}

static void client_ready(void *opaque)
{
    client_serve(opaque);
}

/* ---- Clients come ---- */

static void server_refuse(struct vr_stream *stream)
{
    static const char text[] = "{\"error\": {\"class\": \"GenericError\", \"desc\": "
                               "\"too many clients are connected to this machine\"}}\r\n";
    (void)!vr_stream_write(stream, (const uint8_t *)text, sizeof(text) - 1);
    vr_stream_close(stream);
}

static void server_welcome(void *opaque, int fd)
{
    struct vr_server *s = opaque;
    struct vr_stream stream;
    struct server_client *c = NULL;
    vr_stream_adopt(fd, &stream);
    if (s->client_count < VR_SERVER_CLIENTS) {
        c = vr_zalloc(sizeof(*c));
    }
    if (!c || uv_poll_init(vr_loop_uv(s->loop), &c->poll, fd) < 0) {
        server_refuse(&stream);
        free(c);
        return;
    }
    uv_timer_init(vr_loop_uv(s->loop), &c->later);
    c->poll.data = c->later.data = c;
    c->last_fds = &c->fds;
    c->handles = 2;
    c->server = s;
    c->stream = stream;
    c->tokens = VR_SERVER_BURST;
    c->token_ns = vireo_monotonic_ns();
    c->next = s->clients;
    s->clients = c;
    s->client_count++;
    const struct vr_qmp_io io = {.send = client_send,
                                 .send_fds = client_send_fds,
                                 .ready = client_ready,
                                 .broken = client_broken,
                                 .become_console = client_become_console,
                                 .opaque = c};
    if (vr_qmp_open(s->qmp, &io, &c->session, NULL) < 0) {
        client_end(c);
    } else {
        client_serve(c);
    }
}

static void server_on_event(void *opaque, const struct vireo_event *event)
{
    struct vr_server *s = opaque;
    for (struct server_client *c = s->clients, *next; c; c = next) {
        next = c->next;
        vr_qmp_event(c->session, event);
        client_serve(c);
    }
}

/* ---- The server ---- */

struct server_opening {
    struct vr_server *server;
    struct vr_error *err;
    int result;
};

static void server_open_here(void *arg)
{
    struct server_opening *o = arg;
    struct vr_server *s = o->server;
    o->result = vr_accept_open(s->loop, &s->sock, server_welcome, s, &s->accept, o->err);
    if (o->result < 0) {
        vr_err_in(o->err, o->result, "control socket");
        return;
    }
    s->hear = (struct vr_events_hear){.fn = server_on_event, .opaque = s};
    vr_events_listen(s->vm->events, &s->hear);
}

int vr_server_create(struct vireo_vm *vm, struct vr_unix *sock, struct vr_server **ret_server,
                     struct vr_error *err)
{
    struct vr_server *s = vr_zalloc(sizeof(*s));
    if (!s) {
        vr_unix_close(sock);
        return vr_err(err, -ENOMEM, "control socket: no memory");
    }
    s->vm = vm;
    s->loop = vr_machine_loop(vm->machine);
    s->sock = *sock;
    *sock = (struct vr_unix){.fd = -1};
    struct server_opening opening = {.server = s, .err = err};
    int r = vr_qmp_create(vm, &s->qmp, err);
    if (r == 0) {
        vr_loop_call(s->loop, server_open_here, &opening);
        r = opening.result;
    }
    if (r < 0) {
        vr_server_destroy(s);
        return r;
    }
    *ret_server = s;
    return 0;
}

/* No new clients, no new commands. */
static void server_stop_here(void *arg)
{
    struct vr_server *s = arg;
    s->ending = true;
    vr_accept_close(s->accept);
    s->accept = NULL;
    for (struct server_client *c = s->clients; c; c = c->next) {
        uv_poll_stop(&c->poll);
        uv_timer_stop(&c->later);
    }
}

static void server_end_here(void *arg)
{
    struct vr_server *s = arg;
    uint64_t end_ns = vireo_monotonic_ns() + SERVER_GOODBYE_MS * UINT64_C(1000000);
    if (s->hear.fn) {
        vr_events_unlisten(s->vm->events, &s->hear);
    }
    while (s->clients) {
        struct server_client *c = s->clients;
        while (client_flush(c) && c->out_len) {
            uint64_t now_ns = vireo_monotonic_ns();
            if (now_ns >= end_ns ||
                !vr_stream_wait_writable(&c->stream, (int)((end_ns - now_ns) / 1000000 + 1))) {
                break;
            }
        }
        client_end(c);
    }
    vr_unix_close(&s->sock);
}

void vr_server_destroy(struct vr_server *s)
{
    if (!s) {
        return;
    }
    vr_loop_call(s->loop, server_stop_here, s);
    if (s->qmp) {
        vr_qmp_drain(s->qmp);
    }
    vr_loop_call(s->loop, server_end_here, s);
    vr_qmp_destroy(s->qmp);
    free(s);
}
