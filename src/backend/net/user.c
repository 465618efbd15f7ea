/*
 * User-mode network through libslirp 4.7: a TCP/IP stack in this process whose connections are
 * ordinary sockets of ours.
 *
 * The stack owns no thread, no clock and no poll loop; all of it runs on our loop's thread. Its
 * sockets are members of one pollset, which is one handle of the loop. What the stack wants to wait
 * for can only change when it has run, so it is asked then and not at every turn of the loop.
 */
#include "backend/net/user_impl.h"
#include "base/alloc.h"
#include "base/err.h"
#include "platform/limits.h"
#include "platform/stream.h"
#include "vireo/host_time.h"

#include <arpa/inet.h>
#include <errno.h>

enum {
    USER_QUEUE_MAX = 1 << 20, /* bytes of frames each way */
    USER_FLOWS_MIN = 64,
    USER_FLOWS_MAX = 8192,
};

static void user_unref(struct vr_slirp *u)
{
    vr_mutex_lock(&u->lock);
    bool last = --u->refs == 0;
    vr_mutex_unlock(&u->lock);
    if (last) {
        vr_frameq_fini(&u->rx);
        vr_frameq_fini(&u->work);
        vr_frameq_fini(&u->tx);
        vr_net_filter_fini(&u->filter);
        vr_pollset_destroy(u->set);
        vr_mutex_fini(&u->lock);
        vr_net_fini(&u->net);
        free(u->fds);
        free(u->members);
        free(u);
    }
}

/* With the lock held: is a post due? It takes a reference. */
static bool user_claim_post_locked(struct vr_slirp *u, bool *posted)
{
    bool claim = !*posted;
    *posted = true;
    u->refs += claim;
    return claim;
}

/* What the stack calls. */

static ssize_t user_send_packet(const void *buf, size_t len, void *opaque)
{
    struct vr_slirp *u = opaque;
    const struct vr_net_user *user = &u->net.user;
    vr_net_filter_out(&u->filter, buf, len);
    if (u->closing) {
        return (ssize_t)len;
    }
    u->active_ns = vireo_monotonic_ns();
    if (user->on_frame && u->rx.count == 0 && user->on_frame(user->opaque, buf, len)) {
        return (ssize_t)len;
    }
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    if (!user->on_frame || !vr_frameq_push(&u->rx, &iov, 1, len)) {
        vr_net_count_rx(&u->net, 0, 0, 1);
        return (ssize_t)len; /* as on a wire: whoever cares sends again */
    }
    vr_slirp_set_polling(u, false);
    return (ssize_t)len;
}

static void user_guest_error(const char *msg, void *opaque)
{
    struct vr_slirp *u = opaque;
    (void)msg;
    vr_net_count_tx(&u->net, 0, 0, 1);
}

static const SlirpCb user_callbacks = {
    .send_packet = user_send_packet,
    .guest_error = user_guest_error,
    .clock_get_ns = vr_slirp_clock_ns,
    .timer_new = vr_slirp_timer_new,
    .timer_free = vr_slirp_timer_free,
    .timer_mod = vr_slirp_timer_mod,
    .register_poll_fd = vr_slirp_register_fd,
    .unregister_poll_fd = vr_slirp_unregister_fd,
    .notify = vr_slirp_notify,
};

/* From the guest. */

static void user_input(void *arg)
{
    struct vr_slirp *u = arg;
    vr_mutex_lock(&u->lock);
    u->tx_posted = false;
    struct vr_frameq swap = u->work;
    u->work = u->tx;
    u->tx = swap;
    vr_mutex_unlock(&u->lock);
    uint64_t frames = 0, bytes = 0, refused = 0, now_ns = vireo_monotonic_ns();
    const uint8_t *frame;
    size_t len;
    struct vr_sigpipe hold;
    vr_sigpipe_hold(&hold);
    while ((frame = vr_frameq_front(&u->work, &len))) {
        if (!u->closing) {
            const uint8_t *pass = frame;
            size_t pass_len = len;
            enum vr_net_verdict v =
                vr_net_filter_in(&u->filter, &pass, &pass_len, now_ns, u->flows);
            if (v == VR_NET_PASS) {
                slirp_input(u->slirp, pass, (int)pass_len);
            }
            frames += v != VR_NET_REFUSE;
            bytes += v != VR_NET_REFUSE ? len : 0;
            refused += v == VR_NET_REFUSE;
        }
        vr_frameq_pop(&u->work);
    }
    vr_sigpipe_release(&hold);
    vr_net_count_tx(&u->net, frames, bytes, refused);
    vr_slirp_active(u);
    user_unref(u);
}

static void user_send(struct vr_net *net, const struct iovec *iov, unsigned count, size_t len)
{
    struct vr_slirp *u = (struct vr_slirp *)net;
    vr_mutex_lock(&u->lock);
    bool queued = len <= VR_NET_FRAME_MAX && vr_frameq_push(&u->tx, iov, count, len);
    bool post = queued && user_claim_post_locked(u, &u->tx_posted);
    vr_mutex_unlock(&u->lock);
    if (!queued) {
        vr_net_count_tx(net, 0, 0, 1);
    }
    if (post) {
        vr_loop_post(net->loop, user_input, u);
    }
}

/* The device has room again. */
static void user_resumed(void *arg)
{
    struct vr_slirp *u = arg;
    vr_mutex_lock(&u->lock);
    u->resume_posted = false;
    vr_mutex_unlock(&u->lock);
    const uint8_t *frame;
    size_t len;
    while (!u->closing && u->net.user.on_frame && (frame = vr_frameq_front(&u->rx, &len)) &&
           u->net.user.on_frame(u->net.user.opaque, frame, len)) {
        vr_frameq_pop(&u->rx);
    }
    if (!u->closing && u->rx.count == 0) {
        vr_slirp_set_polling(u, true);
    }
    user_unref(u);
}

static void user_resume(struct vr_net *net)
{
    struct vr_slirp *u = (struct vr_slirp *)net;
    vr_mutex_lock(&u->lock);
    bool post = user_claim_post_locked(u, &u->resume_posted);
    vr_mutex_unlock(&u->lock);
    if (post) {
        vr_loop_post(net->loop, user_resumed, u);
    }
}

/* Handles reference the network while libuv knows them. */
static void user_own_handle_closed(uv_handle_t *handle)
{
    user_unref(handle->data);
    free(handle);
}

static void user_drop_handle(void *handle)
{
    if (handle) {
        uv_close(handle, user_own_handle_closed);
    }
}

static void user_close_here(void *arg)
{
    struct vr_slirp *u = arg;
    u->closing = true;
    u->net.user = (struct vr_net_user){0};
    if (u->slirp) {
        vr_slirp_stop(u);
    }
    user_drop_handle(u->poll);
    user_drop_handle(u->timer);
    user_drop_handle(u->prepare);
}

static void user_close(struct vr_net *net)
{
    struct vr_slirp *u = (struct vr_slirp *)net;
    vr_loop_call(net->loop, user_close_here, u);
    user_unref(u);
}

static const struct vr_net_ops user_ops = {
    .name = "user",
    .send = user_send,
    .resume = user_resume,
    .close = user_close,
};

static void *user_new_handle(struct vr_slirp *u, size_t size)
{
    uv_handle_t *handle = vr_zalloc(size);
    if (handle) {
        handle->data = u;
    }
    return handle;
}

static int user_open_handles(struct vr_slirp *u, struct vr_error *err)
{
    uv_loop_t *loop = vr_loop_uv(u->net.loop);
    int r = vr_pollset_create(&u->set, err);
    if (r < 0) {
        return r;
    }
    uv_poll_t *poll = user_new_handle(u, sizeof(*poll));
    uv_timer_t *timer = user_new_handle(u, sizeof(*timer));
    uv_prepare_t *prepare = user_new_handle(u, sizeof(*prepare));
    r = poll && timer && prepare ? uv_poll_init(loop, poll, vr_pollset_fd(u->set)) : UV_ENOMEM;
    if (r < 0) {
        free(poll);
        free(timer);
        free(prepare);
        return vr_err(err, r, "%s", uv_strerror(r));
    }
    uv_timer_init(loop, timer);
    uv_prepare_init(loop, prepare);
    u->poll = poll;
    u->timer = timer;
    u->prepare = prepare;
    u->refs += 3;
    return 0;
}

static void user_stations(struct vr_slirp *u, const SlirpConfig *cfg)
{
    vr_net_filter_station(&u->filter, (const uint8_t *)&cfg->vhost, false);
    vr_net_filter_station(&u->filter, (const uint8_t *)&cfg->vnameserver, false);
    const struct in6_addr *const v6[] = {&cfg->vhost6, &cfg->vnameserver6};
    for (unsigned i = 0; i < 2; i++) {
        struct in6_addr local = *v6[i];
        vr_net_filter_station(&u->filter, local.s6_addr, true);
        local.s6_addr[0] = 0xFE; /* the same host part on the link itself */
        local.s6_addr[1] = 0x80;
        vr_net_filter_station(&u->filter, local.s6_addr, true);
    }
}

static int user_open(struct vr_slirp *u, const struct vr_net_user_opts *o, struct vr_error *err)
{
    int r = user_open_handles(u, err);
    if (r < 0) {
        return r;
    }
    SlirpConfig cfg = {
        .version = 1,
        .restricted = o->restricted,
        .in_enabled = true,
        .vnetwork.s_addr = htonl(o->net),
        .vnetmask.s_addr = htonl(o->mask),
        .vhost.s_addr = htonl(o->host),
        .vnameserver.s_addr = htonl(o->dns),
        .vdhcp_start.s_addr = htonl(o->dhcp_start),
        .in6_enabled = o->ipv6,
        .vprefix_len = 64,
        .vhostname = o->hostname[0] ? o->hostname : NULL,
    };
    inet_pton(AF_INET6, "fec0::", &cfg.vprefix_addr6);
    inet_pton(AF_INET6, "fec0::2", &cfg.vhost6);
    inet_pton(AF_INET6, "fec0::3", &cfg.vnameserver6);
    uint64_t half = vr_descriptor_limit() / 2;
    vr_net_filter_init(&u->filter, half < USER_FLOWS_MIN   ? USER_FLOWS_MIN
                                   : half > USER_FLOWS_MAX ? USER_FLOWS_MAX
                                                           : (unsigned)half);
    user_stations(u, &cfg);
    u->slirp = slirp_new(&cfg, &user_callbacks, u);
    if (!u->slirp) {
        return vr_err(err, -ENOMEM, "libslirp does not start");
    }
    vr_slirp_active(u);
    vr_slirp_set_polling(u, true);
    for (unsigned i = 0; i < o->forward_count && r == 0; i++) {
        r = vr_slirp_forward(u, &o->forwards[i], NULL, err);
    }
    return r;
}

/* Opening and forwarding happen on the loop's thread. */
struct user_call {
    struct vr_slirp *u;
    const struct vr_net_user_opts *opts;
    const struct vr_net_forward *forward;
    uint16_t *ret_port;
    struct vr_error *err;
    int result;
};

static void user_forward_here(void *arg)
{
    struct user_call *c = arg;
    c->result = vr_slirp_forward(c->u, c->forward, c->ret_port, c->err);
}

int vr_net_user_add_forward(struct vr_net *net, const char *spec, uint16_t *ret_port,
                            struct vr_error *err)
{
    struct vr_net_forward f;
    vr_assert(net->ops == &user_ops);
    int r = vr_net_forward_parse(spec, &f, err);
    if (r == 0) {
        struct user_call c = {
            .u = (struct vr_slirp *)net, .forward = &f, .ret_port = ret_port, .err = err};
        vr_loop_call(net->loop, user_forward_here, &c);
        r = c.result;
    }
    return r;
}

static void user_open_here(void *arg)
{
    struct user_call *c = arg;
    c->result = user_open(c->u, c->opts, c->err);
    if (c->result < 0) {
        user_close_here(c->u);
    }
}

int vr_net_open_user(const char *opts, struct vr_loop *loop, struct vr_net **ret_net,
                     struct vr_error *err)
{
    struct vr_net_user_opts o;
    int r = vr_net_user_opts_parse(opts, &o, err);
    if (r < 0) {
        return r;
    }
    struct vr_slirp *u = vr_zalloc(sizeof(*u));
    if (!u) {
        vr_net_user_opts_free(&o);
        return vr_err(err, -ENOMEM, "network user: no memory");
    }
    vr_net_init(&u->net, &user_ops, loop);
    u->net.takes_large = true; /* libslirp ends connections here: a segment may have any size */
    vr_mutex_init(&u->lock);
    vr_frameq_init(&u->tx, USER_QUEUE_MAX);
    vr_frameq_init(&u->work, USER_QUEUE_MAX);
    vr_frameq_init(&u->rx, USER_QUEUE_MAX);
    u->refs = 1;
    struct user_call c = {.u = u, .opts = &o, .err = err};
    vr_loop_call(loop, user_open_here, &c);
    vr_net_user_opts_free(&o);
    if (c.result < 0) {
        user_unref(u);
        return vr_err_in(err, c.result, "network user");
    }
    *ret_net = &u->net;
    return 0;
}
