/* Sets of descriptors by epoll(7): an epoll descriptor can be waited for like any other. */
#include "platform/pollset.h"

#include "base/alloc.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

struct vr_pollset {
    int fd;
};

int vr_pollset_create(struct vr_pollset **ret_set, struct vr_error *err)
{
    struct vr_pollset *set = vr_zalloc(sizeof(*set));
    if (!set) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    set->fd = epoll_create1(EPOLL_CLOEXEC);
    if (set->fd < 0) {
        int r = -errno;
        free(set);
        return vr_err(err, r, "epoll: %s", strerror(-r));
    }
    *ret_set = set;
    return 0;
}

void vr_pollset_destroy(struct vr_pollset *set)
{
    if (set) {
        close(set->fd);
        free(set);
    }
}

int vr_pollset_fd(const struct vr_pollset *set)
{
    return set->fd;
}

static const struct {
    unsigned ours, host;
} pollset_bits[] = {
    {VR_POLL_IN, EPOLLIN},   {VR_POLL_OUT, EPOLLOUT}, {VR_POLL_PRI, EPOLLPRI},
    {VR_POLL_ERR, EPOLLERR}, {VR_POLL_HUP, EPOLLHUP},
};
enum { POLLSET_BITS = sizeof(pollset_bits) / sizeof(pollset_bits[0]) };

int vr_pollset_add(struct vr_pollset *set, int fd, unsigned events)
{
    struct epoll_event ev = {.data.fd = fd};
    for (unsigned i = 0; i < POLLSET_BITS; i++) {
        ev.events |= events & pollset_bits[i].ours ? pollset_bits[i].host : 0;
    }
    if (epoll_ctl(set->fd, EPOLL_CTL_ADD, fd, &ev) == 0 ||
        (errno == EEXIST && epoll_ctl(set->fd, EPOLL_CTL_MOD, fd, &ev) == 0)) {
        return 0;
    }
    return -errno;
}

void vr_pollset_remove(struct vr_pollset *set, int fd)
{
    struct epoll_event ev = {0};
    /* ENOENT and EBADF say what we wanted. */
    (void)epoll_ctl(set->fd, EPOLL_CTL_DEL, fd, &ev);
}

unsigned vr_pollset_ready(struct vr_pollset *set, struct vr_pollset_event *ret_events, unsigned max)
{
    struct epoll_event evs[64];
    unsigned limit = sizeof(evs) / sizeof(evs[0]);
    int n = epoll_wait(set->fd, evs, (int)(max < limit ? max : limit), 0);
    for (int k = 0; k < n; k++) {
        ret_events[k] = (struct vr_pollset_event){.fd = evs[k].data.fd};
        for (unsigned i = 0; i < POLLSET_BITS; i++) {
            ret_events[k].events |= evs[k].events & pollset_bits[i].host ? pollset_bits[i].ours : 0;
        }
    }
    return n > 0 ? (unsigned)n : 0;
}
