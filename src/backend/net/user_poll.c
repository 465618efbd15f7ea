/*
 * Where the user-mode stack waits: for its sockets, members of one pollset, and for time.
 *
 * Time: asked how long it can wait, the stack never says more than a second, even when nothing is
 * due. So "a second" is taken twice more after the last activity (answers that wait for a link
 * address expire in one) and then as "for ever". Half a second is due while there is any TCP
 * socket, a forwarded port's too; after two minutes without a frame or an event that is stretched.
 */
#include "backend/net/user_impl.h"
#include "base/alloc.h"
#include "platform/stream.h"
#include "vireo/host_time.h"

#include <string.h>

enum {
    POLL_READY = 64,     /* sockets looked at in one go */
    POLL_IDLE_MS = 1000, /* the longest that the stack asks for */
    POLL_IDLE_TICKS = 2,
    POLL_SILENT_MS = 30 * 1000, /* between ticks when nothing has happened for long */
};
#define POLL_SILENT_AFTER_NS (UINT64_C(120) * 1000000000)

static void poll_on_prepare(uv_prepare_t *prepare);

/* The stack has run, or is about to: ask it again what it waits for before the loop sleeps. */
void vr_slirp_dirty(struct vr_slirp *u)
{
    if (!u->closing) {
        uv_prepare_start(u->prepare, poll_on_prepare);
    }
}

void vr_slirp_active(struct vr_slirp *u)
{
    u->active_ns = vireo_monotonic_ns();
    u->idle_ticks = POLL_IDLE_TICKS;
    vr_slirp_dirty(u);
}

/* Room in the table for @fd; false: no memory. */
static bool poll_room(struct vr_slirp *u, int fd)
{
    if (fd >= u->fds_count) {
        int count = fd + 64;
        struct vr_slirp_fd *fds = realloc(u->fds, (size_t)count * sizeof(*fds));
        if (!fds) {
            return false;
        }
        memset(fds + u->fds_count, 0, (size_t)(count - u->fds_count) * sizeof(*fds));
        u->fds = fds;
        u->fds_count = count;
    }
    if (u->member_count == u->member_cap) {
        unsigned cap = u->member_cap + 64;
        int *members = realloc(u->members, cap * sizeof(*members));
        if (!members) {
            return false;
        }
        u->members = members;
        u->member_cap = cap;
    }
    return true;
}

/* The stack wants @events of @fd. Ours and its bits for them are the same. */
static int poll_add(int fd, int events, void *opaque)
{
    struct vr_slirp *u = opaque;
    if (fd < 0 || !poll_room(u, fd)) {
        return -1;
    }
    struct vr_slirp_fd *e = &u->fds[fd];
    if (e->want != (unsigned)events && vr_pollset_add(u->set, fd, (unsigned)events) < 0) {
        return -1; /* the stack then waits in vain, and its timers end the connection */
    }
    if (e->want == 0) {
        e->since = u->round;
        u->members[u->member_count++] = fd;
    }
    e->want = (unsigned)events;
    e->round = u->round;
    return fd;
}

static int poll_get_revents(int index, void *opaque)
{
    struct vr_slirp *u = opaque;
    return index >= 0 && index < u->fds_count ? (int)u->fds[index].got : 0;
}

static void poll_on_timer(uv_timer_t *timer);

/* Ask the stack what it waits for, and wait for that. */
void vr_slirp_rearm(struct vr_slirp *u)
{
    uint32_t wait_ms = UINT32_MAX;
    u->round++;
    slirp_pollfds_fill(u->slirp, &wait_ms, poll_add, u);
    unsigned kept = 0;
    for (unsigned i = 0; i < u->member_count; i++) {
        int fd = u->members[i];
        struct vr_slirp_fd *e = &u->fds[fd];
        if (e->want && e->round == u->round) {
            u->members[kept++] = fd;
        } else if (e->want) {
            vr_pollset_remove(u->set, fd);
            e->want = 0;
        }
    }
    u->member_count = kept;
    if (wait_ms >= POLL_IDLE_MS && u->idle_ticks == 0) {
        uv_timer_stop(u->timer);
        return;
    }
    if (vireo_monotonic_ns() - u->active_ns >= POLL_SILENT_AFTER_NS) {
        wait_ms = POLL_SILENT_MS;
    }
    uv_timer_start(u->timer, poll_on_timer, wait_ms < POLL_SILENT_MS ? wait_ms : POLL_SILENT_MS, 0);
}

static void poll_on_prepare(uv_prepare_t *prepare)
{
    struct vr_slirp *u = prepare->data;
    uv_prepare_stop(prepare);
    vr_slirp_rearm(u);
}

/* Run the stack: time has passed, or sockets are ready (in `got`). */
static void poll_run(struct vr_slirp *u)
{
    struct vr_sigpipe hold;
    vr_sigpipe_hold(&hold);
    slirp_pollfds_poll(u->slirp, 0, poll_get_revents, u);
    vr_sigpipe_release(&hold);
    vr_slirp_dirty(u);
}

static void poll_on_timer(uv_timer_t *timer)
{
    struct vr_slirp *u = timer->data;
    u->idle_ticks -= u->idle_ticks > 0;
    poll_run(u);
}

static void poll_on_ready(uv_poll_t *poll, int status, int events)
{
    struct vr_slirp *u = poll->data;
    (void)status;
    (void)events;
    struct vr_pollset_event ready[POLL_READY];
    unsigned count = vr_pollset_ready(u->set, ready, POLL_READY);
    for (unsigned i = 0; i < count; i++) {
        if (ready[i].fd < u->fds_count) {
            u->fds[ready[i].fd].got = ready[i].events;
        }
    }
    if (count) {
        vr_slirp_active(u);
        poll_run(u);
    }
    for (unsigned i = 0; i < count; i++) {
        if (ready[i].fd < u->fds_count) {
            u->fds[ready[i].fd].got = 0;
        }
    }
}

void vr_slirp_stop(struct vr_slirp *u)
{
    /* slirp_cleanup forgets packets that wait for a link address; so their second passes first. */
    for (unsigned i = 0; i < 2; i++) {
        u->skew_ns += UINT64_C(2000000000);
        slirp_pollfds_poll(u->slirp, 1, poll_get_revents, u);
    }
    slirp_cleanup(u->slirp);
    u->slirp = NULL;
}

/* While the device has no room, what arrives waits in the host's sockets. */
void vr_slirp_set_polling(struct vr_slirp *u, bool on)
{
    if (u->polling != on) {
        u->polling = on;
        if (on) {
            uv_poll_start(u->poll, UV_READABLE, poll_on_ready);
        } else {
            uv_poll_stop(u->poll);
        }
    }
}

int64_t vr_slirp_clock_ns(void *opaque)
{
    struct vr_slirp *u = opaque;
    return (int64_t)(vireo_monotonic_ns() + u->skew_ns);
}

struct poll_timer {
    uv_timer_t uv; /* first: freed through it */
    SlirpTimerCb fn;
    void *arg;
    struct vr_slirp *u;
};

static void poll_handle_closed(uv_handle_t *handle)
{
    free(handle);
}

static void poll_timer_fired(uv_timer_t *timer)
{
    struct poll_timer *t = timer->data;
    t->fn(t->arg);
    vr_slirp_active(t->u);
}

void *vr_slirp_timer_new(SlirpTimerCb fn, void *arg, void *opaque)
{
    struct vr_slirp *u = opaque;
    struct poll_timer *t = vr_zalloc(sizeof(*t));
    if (!t) {
        return NULL; /* its only timer repeats router advertisements */
    }
    uv_timer_init(vr_loop_uv(u->net.loop), &t->uv);
    t->uv.data = t;
    t->fn = fn;
    t->arg = arg;
    t->u = u;
    return t;
}

void vr_slirp_timer_free(void *timer, void *opaque)
{
    struct poll_timer *t = timer;
    (void)opaque;
    if (t) {
        uv_close((uv_handle_t *)&t->uv, poll_handle_closed);
    }
}

void vr_slirp_timer_mod(void *timer, int64_t expire_ms, void *opaque)
{
    struct poll_timer *t = timer;
    (void)opaque;
    if (t) {
        int64_t now_ms = (int64_t)(vireo_monotonic_ns() / 1000000);
        uv_timer_start(&t->uv, poll_timer_fired,
                       expire_ms > now_ms ? (uint64_t)(expire_ms - now_ms) : 0, 0);
    }
}

void vr_slirp_register_fd(int fd, void *opaque)
{
    struct vr_slirp *u = opaque;
    u->flows += fd >= 0;
}

/* About to be closed: the next descriptor may get its number. */
void vr_slirp_unregister_fd(int fd, void *opaque)
{
    struct vr_slirp *u = opaque;
    if (fd < 0) {
        return;
    }
    u->flows -= u->flows > 0;
    if (fd < u->fds_count) {
        if (u->fds[fd].want) {
            vr_pollset_remove(u->set, fd);
            for (unsigned i = 0; i < u->member_count; i++) {
                if (u->members[i] == fd) {
                    u->members[i] = u->members[--u->member_count];
                    break;
                }
            }
        }
        u->fds[fd] = (struct vr_slirp_fd){0};
    }
}

void vr_slirp_notify(void *opaque)
{
    vr_slirp_dirty(opaque);
}
