/* Taking in clients; see accept.h. */
#include "core/accept.h"
#include "base/alloc.h"

#include <errno.h>
#include <uv.h>

enum {
    ACCEPT_TURN = 16,         /* clients in a row before others on the loop have their turn */
    ACCEPT_PATIENCE_MS = 200, /* before asking again when the host has no descriptor left */
};

struct vr_accept {
    uv_poll_t poll;
    uv_timer_t patience;
    unsigned handles; /* of these two that are open */
    bool closed;
    const struct vr_unix *sock;
    void (*fn)(void *opaque, int fd);
    void *opaque;
};

static void accept_some(uv_poll_t *poll, int status, int events);

static void accept_again(uv_timer_t *timer)
{
    struct vr_accept *a = timer->data;
    if (uv_poll_start(&a->poll, UV_READABLE, accept_some) < 0) {
        uv_timer_start(timer, accept_again, ACCEPT_PATIENCE_MS, 0);
    }
}

static void accept_some(uv_poll_t *poll, int status, int events)
{
    struct vr_accept *a = poll->data;
    (void)status;
    (void)events;
    for (unsigned i = 0; i < ACCEPT_TURN && !a->closed; i++) {
        int fd = vr_unix_accept(a->sock);
        if (fd == -EAGAIN) {
            return;
        }
        if (fd < 0) {
            uv_poll_stop(&a->poll);
            uv_timer_start(&a->patience, accept_again, ACCEPT_PATIENCE_MS, 0);
            return;
        }
        a->fn(a->opaque, fd);
    }
}

static void accept_handle_closed(uv_handle_t *handle)
{
    struct vr_accept *a = handle->data;
    if (--a->handles == 0) {
        free(a);
    }
}

int vr_accept_open(struct vr_loop *loop, const struct vr_unix *sock,
                   void (*fn)(void *opaque, int fd), void *opaque, struct vr_accept **ret_accept,
                   struct vr_error *err)
{
    struct vr_accept *a = vr_zalloc(sizeof(*a));
    int r = a ? uv_poll_init(vr_loop_uv(loop), &a->poll, sock->fd) : -ENOMEM;
    if (r < 0) {
        free(a);
        return vr_err(err, r, "cannot wait for clients: %s", uv_strerror(r));
    }
    uv_timer_init(vr_loop_uv(loop), &a->patience);
    a->poll.data = a->patience.data = a;
    a->handles = 2;
    a->sock = sock;
    a->fn = fn;
    a->opaque = opaque;
    r = uv_poll_start(&a->poll, UV_READABLE, accept_some);
    if (r < 0) {
        vr_accept_close(a);
        return vr_err(err, r, "cannot wait for clients: %s", uv_strerror(r));
    }
    *ret_accept = a;
    return 0;
}

void vr_accept_close(struct vr_accept *a)
{
    if (a && !a->closed) {
        a->closed = true;
        uv_close((uv_handle_t *)&a->poll, accept_handle_closed);
        uv_close((uv_handle_t *)&a->patience, accept_handle_closed);
    }
}
