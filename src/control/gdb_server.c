/*
 * Where a debugger connects to: a socket, and a loop of its own with a thread of its own, on which
 * all of it happens but what is said to be elsewhere.
 *
 * There is one debugger at a time; others are sent away. What one sends while it does not read what
 * it is answered waits in the host's queue.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "control/gdb.h"
#include "control/rundir.h"
#include "control/vm_priv.h"
#include "core/accept.h"
#include "core/vcpu.h"
#include "platform/lock.h"
#include "platform/unixsock.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

enum {
    GDB_QUEUE = 8,
    GDB_RESET_MS = 10000,
    GDB_IN = 16 << 10,
    GDB_OUT_PAUSE = 64 << 10,
    GDB_EARLY_MS = 10
};

struct gdb_address {
    bool tcp;
    uint16_t port;
    const char *path; /* NULL: beside the control sockets */
};

struct gdb_client {
    struct vr_gdb *gdb;
    struct vr_gdb_session *session; /* NULL: it waits for the machine to begin */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
        uv_pipe_t pipe;
    } uv;
    size_t unsent;
    bool paused; /* nothing is read */
    char in[GDB_IN];
};

struct vr_gdb {
    struct vireo_vm *vm;
    struct vr_loop *loop;
    struct vr_unix sock; /* fd -1: TCP */
    union {
        uv_handle_t handle;
        uv_stream_t stream;
        uv_tcp_t tcp;
    } listener;
    bool listens;             /* the listener does */
    struct vr_accept *accept; /* of sock */
    struct gdb_client *client;
    uv_timer_t early;           /* while it waits */
    atomic_bool posted;         /* news of the machine is on its way to the loop */
    struct vr_events_hear hear; /* the machine's I/O thread */
    struct vr_mutex lock;       /* of what follows */
    struct vr_cond changed;
    uint64_t resets;
    bool ended;
    char target[VR_GDB_ADDRESS_MAX];
};

/* ---- Addresses ---- */

static int gdb_parse(const char *text, struct gdb_address *ret_address, struct vr_error *err)
{
    static const char local[] = "127.0.0.1:";
    struct gdb_address a = {.tcp = strncmp(text, "tcp:", 4) == 0};
    uint64_t port;
    if (strcmp(text, "auto") == 0) {
        *ret_address = a;
        return 0;
    }
    if (strncmp(text, "unix:", 5) == 0 && text[5]) {
        a.path = text + 5;
        *ret_address = a;
        return 0;
    }
    if (!a.tcp) {
        return vr_err(err, -EINVAL, "expected auto, unix:PATH or tcp:127.0.0.1:PORT");
    }
    const char *at = text + 4;
    at += strncmp(at, local, sizeof(local) - 1) == 0 ? sizeof(local) - 1 : 0;
    if (strchr(at, ':')) {
        return vr_err(err, -EINVAL,
                      "a debugger may do everything and has no password: it may listen at "
                      "127.0.0.1 only; from elsewhere use ssh -L");
    }
    if (vr_parse_u64(at, &port) < 0 || port > UINT16_MAX) {
        return vr_err(err, -EINVAL, "expected tcp:127.0.0.1:PORT, PORT 0 to 65535");
    }
    a.port = (uint16_t)port;
    *ret_address = a;
    return 0;
}

int vr_gdb_check(const char *address, struct vr_error *err)
{
    struct gdb_address a = {0};
    return gdb_parse(address, &a, err);
}

const char *vr_gdb_target(const struct vr_gdb *gdb)
{
    return gdb->target;
}

/* ---- A client ---- */

static void client_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void client_end(struct gdb_client *c)
{
    struct vr_gdb *gdb = c->gdb;
    if (gdb->client == c) {
        gdb->client = NULL;
        vr_gdb_close(c->session);
        c->session = NULL;
        uv_close(&c->uv.handle, client_closed);
    }
}

struct client_write {
    uv_write_t req;
    struct gdb_client *client;
    size_t len;
    char buf[];
};

static void client_read(struct gdb_client *c);

static void client_written(uv_write_t *req, int status)
{
    struct client_write *w = req->data;
    struct gdb_client *c = w->client;
    c->unsent -= w->len;
    free(w);
    if (status == 0 && c->paused && c->unsent < GDB_OUT_PAUSE && c->gdb->client == c) {
        client_read(c);
    }
}

static void client_send(void *opaque, const char *buf, size_t len)
{
    struct gdb_client *c = opaque;
    uv_buf_t out = uv_buf_init((char *)buf, (unsigned)len);
    int n = c->unsent ? 0 : uv_try_write(&c->uv.stream, &out, 1);
    n = n < 0 ? 0 : n; /* a connection that is broken says so when it is read */
    if ((size_t)n == len) {
        return;
    }
    struct client_write *w = vr_zalloc(sizeof(*w) + len - (size_t)n);
    if (!w) {
        return; /* it will ask again, or give up */
    }
    w->client = c;
    w->len = len - (size_t)n;
    w->req.data = w;
    memcpy(w->buf, buf + n, w->len);
    out = uv_buf_init(w->buf, (unsigned)w->len);
    c->unsent += w->len;
    if (uv_write(&w->req, &c->uv.stream, &out, 1, client_written) < 0) {
        c->unsent -= w->len;
        free(w);
    }
}

static void client_alloc(uv_handle_t *handle, size_t want, uv_buf_t *ret_buf)
{
    struct gdb_client *c = handle->data;
    (void)want;
    *ret_buf = uv_buf_init(c->in, sizeof(c->in));
}

static void client_got(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct gdb_client *c = stream->data;
    if (n < 0 || !vr_gdb_input(c->session, buf->base, (size_t)n)) {
        client_end(c);
    } else if (c->unsent >= GDB_OUT_PAUSE) {
        c->paused = true;
        (void)uv_read_stop(stream);
    }
}

static void client_read(struct gdb_client *c)
{
    c->paused = false;
    (void)uv_read_start(&c->uv.stream, client_alloc, client_got);
}

/* ---- News of the machine ---- */

/* It was made, and has not begun: there is nothing to stop yet. Who connects is heard when there
 * is, as if it came then. */
static bool gdb_is_early(const struct vr_gdb *gdb)
{
    struct vr_exit why;
    return vr_machine_state(gdb->vm->machine) == VR_STATE_STOPPED &&
           !vr_machine_wait(gdb->vm->machine, 0, &why);
}

static void client_open(struct gdb_client *c);

static void gdb_news(void *arg)
{
    struct vr_gdb *gdb = arg;
    atomic_store(&gdb->posted, false);
    if (gdb->client && gdb->client->session) {
        vr_gdb_stopped(gdb->client->session);
    }
}

/* A machine that begins paused tells nobody, so it is looked at while somebody waits for it. */
static void gdb_on_early(uv_timer_t *timer)
{
    struct vr_gdb *gdb = timer->data;
    if (!gdb->client || gdb->client->session) {
        (void)uv_timer_stop(timer);
    } else if (!gdb_is_early(gdb)) {
        (void)uv_timer_stop(timer);
        client_open(gdb->client);
    }
}

/* Any thread. */
static void gdb_post(struct vr_gdb *gdb)
{
    if (!atomic_exchange(&gdb->posted, true)) {
        vr_loop_post(gdb->loop, gdb_news, gdb);
    }
}

static void client_hit(void *opaque)
{
    struct gdb_client *c = opaque;
    gdb_post(c->gdb);
}

/* The machine's I/O thread. */
static void gdb_on_event(void *opaque, const struct vireo_event *event)
{
    struct vr_gdb *gdb = opaque;
    bool reset = strcmp(event->name, "RESET") == 0, end = strcmp(event->name, "SHUTDOWN") == 0;
    vr_mutex_lock(&gdb->lock);
    gdb->resets += reset;
    gdb->ended = gdb->ended || end;
    vr_cond_broadcast(&gdb->changed);
    vr_mutex_unlock(&gdb->lock);
    if (end || strcmp(event->name, "STOP") == 0) {
        gdb_post(gdb);
    }
}

static bool client_reset(void *opaque)
{
    struct vr_gdb *gdb = ((struct gdb_client *)opaque)->gdb;
    uint64_t deadline = vireo_monotonic_ns() + GDB_RESET_MS * UINT64_C(1000000);
    vr_mutex_lock(&gdb->lock);
    uint64_t before = gdb->resets;
    vr_mutex_unlock(&gdb->lock);
    vr_machine_request_as(gdb->vm->machine, VR_REQ_RESET, 0, "host-ui");
    vr_mutex_lock(&gdb->lock);
    while (gdb->resets == before && !gdb->ended &&
           vr_cond_wait_until(&gdb->changed, &gdb->lock, deadline)) {
    }
    bool done = gdb->resets != before;
    vr_mutex_unlock(&gdb->lock);
    return done;
}

/* ---- Listening ---- */

/* Has it hung up, and the loop not come to it yet? Then what it said before is heard, and its place
 * is free for who waits. */
static void client_hear_out(struct gdb_client *c)
{
    struct pollfd p = {.fd = -1};
    ssize_t n;
    (void)uv_fileno(&c->uv.handle, &p.fd);
    if (poll(&p, 1, 0) <= 0 || !(p.revents & (POLLHUP | POLLERR))) {
        return;
    }
    do {
        n = c->session ? read(p.fd, c->in, sizeof(c->in)) : 0;
    } while (n > 0 && vr_gdb_input(c->session, c->in, (size_t)n));
    client_end(c);
}

/* The one client, whom nobody heard yet. */
static void client_open(struct gdb_client *c)
{
    const struct vr_gdb_io io = {
        .send = client_send, .hit = client_hit, .reset = client_reset, .opaque = c};
    if (vr_gdb_open(c->gdb->vm, &io, &c->session, NULL) < 0) {
        client_end(c);
    } else {
        client_read(c);
    }
}

/* @c's stream is connected. */
static void gdb_welcome(struct vr_gdb *gdb, struct gdb_client *c)
{
    if (gdb->client) {
        client_hear_out(gdb->client);
    }
    if (gdb->client) {
        uv_close(&c->uv.handle, client_closed);
        return;
    }
    gdb->client = c;
    if (!gdb_is_early(gdb)) {
        client_open(c);
    } else {
        (void)uv_timer_start(&gdb->early, gdb_on_early, GDB_EARLY_MS, GDB_EARLY_MS);
    }
}

static struct gdb_client *gdb_new_client(struct vr_gdb *gdb)
{
    struct gdb_client *c = vr_zalloc(sizeof(*c));
    if (c) {
        c->gdb = gdb;
        bool ok = gdb->sock.fd >= 0 ? uv_pipe_init(vr_loop_uv(gdb->loop), &c->uv.pipe, 0) == 0
                                    : uv_tcp_init(vr_loop_uv(gdb->loop), &c->uv.tcp) == 0;
        c->uv.handle.data = c;
        if (!ok) {
            free(c);
            c = NULL;
        }
    }
    return c;
}

static void gdb_on_unix(void *opaque, int fd)
{
    struct vr_gdb *gdb = opaque;
    struct gdb_client *c = gdb_new_client(gdb);
    if (!c) {
        close(fd);
    } else if (uv_pipe_open(&c->uv.pipe, fd) < 0) {
        close(fd);
        uv_close(&c->uv.handle, client_closed);
    } else {
        gdb_welcome(gdb, c);
    }
}

static void gdb_on_tcp(uv_stream_t *listener, int status)
{
    struct vr_gdb *gdb = listener->data;
    struct gdb_client *c = status < 0 ? NULL : gdb_new_client(gdb);
    if (!c) {
        return;
    }
    if (uv_accept(listener, &c->uv.stream) < 0) {
        uv_close(&c->uv.handle, client_closed);
        return;
    }
    (void)uv_tcp_nodelay(&c->uv.tcp, 1);
    gdb_welcome(gdb, c);
}

static int gdb_listen_tcp(struct vr_gdb *gdb, uint16_t port, struct vr_error *err)
{
    struct sockaddr_in at;
    int size = sizeof(at);
    int r = uv_tcp_init(vr_loop_uv(gdb->loop), &gdb->listener.tcp);
    gdb->listener.handle.data = gdb;
    gdb->listens = r == 0;
    r = r < 0 ? r : uv_ip4_addr("127.0.0.1", port, &at);
    r = r < 0 ? r : uv_tcp_bind(&gdb->listener.tcp, (const struct sockaddr *)&at, 0);
    r = r < 0 ? r : uv_listen(&gdb->listener.stream, GDB_QUEUE, gdb_on_tcp);
    r = r < 0 ? r : uv_tcp_getsockname(&gdb->listener.tcp, (struct sockaddr *)&at, &size);
    if (r < 0) {
        return vr_err(err, r, "debugger: cannot listen at 127.0.0.1:%u: %s", port, uv_strerror(r));
    }
    snprintf(gdb->target, sizeof(gdb->target), "127.0.0.1:%u", ntohs(at.sin_port));
    return 0;
}

static int gdb_listen_unix(struct vr_gdb *gdb, const char *path, struct vr_error *err)
{
    char own[VR_RUNDIR_PATH_MAX];
    int r = 0;
    if (!path) {
        r = vr_rundir_make(err);
        r = r < 0
                ? r
                : vr_rundir_file(vr_machine_name(gdb->vm->machine), ".gdb", own, sizeof(own), err);
        path = own;
    }
    if (r == 0 && strlen(path) >= sizeof(gdb->target)) {
        r = vr_err(err, -ENAMETOOLONG, "debugger: the socket's path is too long");
    }
    r = r < 0 ? r : vr_unix_listen(path, &gdb->sock, err);
    if (r < 0) {
        return vr_err_in(err, r, "debugger");
    }
    memcpy(gdb->target, path, strlen(path) + 1);
    r = vr_accept_open(gdb->loop, &gdb->sock, gdb_on_unix, gdb, &gdb->accept, err);
    return r < 0 ? vr_err_in(err, r, "debugger") : 0;
}

/* On the machine's I/O thread. */
static void gdb_listen_to_machine(void *arg)
{
    struct vr_gdb *gdb = arg;
    gdb->hear = (struct vr_events_hear){.fn = gdb_on_event, .opaque = gdb};
    vr_events_listen(gdb->vm->events, &gdb->hear);
}

static void gdb_unlisten_to_machine(void *arg)
{
    struct vr_gdb *gdb = arg;
    vr_events_unlisten(gdb->vm->events, &gdb->hear);
}

int vr_gdb_create(struct vireo_vm *vm, const char *address, struct vr_gdb **ret_gdb,
                  struct vr_error *err)
{
    struct gdb_address a = {0};
    const struct vr_vcpu *vcpu = vr_machine_vcpu(vm->machine, 0);
    int r = gdb_parse(address, &a, err);
    if (r < 0) {
        return r;
    }
    if (!vcpu->ops->debug) {
        return vr_err(err, -ENOTSUP, "a debugger and --engine %s do not go together",
                      vcpu->ops->engine);
    }
    struct vr_gdb *gdb = vr_zalloc(sizeof(*gdb));
    if (!gdb) {
        return vr_err(err, -ENOMEM, "no memory for a debugger");
    }
    gdb->vm = vm;
    gdb->sock.fd = -1;
    vr_mutex_init(&gdb->lock);
    vr_cond_init(&gdb->changed);
    r = vr_loop_create(&gdb->loop, err);
    if (r == 0) { /* on the loop, which has no thread yet */
        uv_timer_init(vr_loop_uv(gdb->loop), &gdb->early);
        gdb->early.data = gdb;
        r = a.tcp ? gdb_listen_tcp(gdb, a.port, err) : gdb_listen_unix(gdb, a.path, err);
    }
    if (r == 0) {
        vr_loop_call(vr_machine_loop(vm->machine), gdb_listen_to_machine, gdb);
        r = vr_loop_start(gdb->loop, err);
    }
    if (r < 0) {
        vr_gdb_destroy(gdb);
        return r;
    }
    *ret_gdb = gdb;
    return 0;
}

static void gdb_end_here(void *arg)
{
    struct vr_gdb *gdb = arg;
    if (gdb->client) {
        client_end(gdb->client);
    }
    vr_accept_close(gdb->accept);
    uv_close((uv_handle_t *)&gdb->early, NULL);
    if (gdb->listens) {
        uv_close(&gdb->listener.handle, NULL);
    }
}

void vr_gdb_destroy(struct vr_gdb *gdb)
{
    if (!gdb) {
        return;
    }
    if (gdb->hear.fn) {
        vr_loop_call(vr_machine_loop(gdb->vm->machine), gdb_unlisten_to_machine, gdb);
    }
    if (gdb->loop) {
        vr_loop_call(gdb->loop, gdb_end_here, gdb);
        vr_loop_destroy(gdb->loop);
    }
    if (gdb->sock.fd >= 0) {
        vr_unix_close(&gdb->sock);
    }
    vr_cond_fini(&gdb->changed);
    vr_mutex_fini(&gdb->lock);
    free(gdb);
}
