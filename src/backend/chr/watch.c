#include "backend/chr/watch.h"

#include "base/alloc.h"

#include <errno.h>
#include <uv.h>

static void watch_fired(uv_poll_t *poll, int status, int events)
{
    struct vr_watch *w = poll->data;
    (void)status;
    (void)events;
    if (w->fd >= 0) {
        vr_watch_disarm(w);
        w->fn(w->arg);
    }
}

static void watch_closed(uv_handle_t *handle)
{
    vr_pollset_destroy(handle->data);
    free(handle);
}

int vr_watch_init(struct vr_watch *w, struct vr_loop *loop, void (*fn)(void *arg), void *arg,
                  struct vr_error *err)
{
    *w = (struct vr_watch){.fn = fn, .arg = arg, .fd = -1};
    int r = vr_pollset_create(&w->set, err);
    if (r < 0) {
        return r;
    }
    w->poll = vr_zalloc(sizeof(*w->poll));
    r = w->poll ? uv_poll_init(vr_loop_uv(loop), w->poll, vr_pollset_fd(w->set)) : -ENOMEM;
    if (r < 0) {
        vr_pollset_destroy(w->set);
        free(w->poll);
        *w = (struct vr_watch){.fd = -1};
        return vr_err(err, r, "cannot wait for a descriptor: %s", uv_strerror(r));
    }
    w->poll->data = w;
    r = uv_poll_start(w->poll, UV_READABLE, watch_fired);
    if (r < 0) {
        vr_watch_fini(w);
        return vr_err(err, r, "cannot wait for a descriptor: %s", uv_strerror(r));
    }
    return 0;
}

int vr_watch_arm(struct vr_watch *w, int fd, unsigned events)
{
    if (w->fd >= 0 && w->fd != fd) {
        vr_watch_disarm(w);
    }
    int r = vr_pollset_add(w->set, fd, events);
    w->fd = r < 0 ? -1 : fd;
    return r;
}

void vr_watch_disarm(struct vr_watch *w)
{
    if (w->fd >= 0) {
        vr_pollset_remove(w->set, w->fd);
        w->fd = -1;
    }
}

void vr_watch_fini(struct vr_watch *w)
{
    if (w->poll) {
        vr_watch_disarm(w);
        w->poll->data = w->set; /* the set lives until libuv has let go of its descriptor */
        uv_close((uv_handle_t *)w->poll, watch_closed);
        *w = (struct vr_watch){.fd = -1};
    }
}
