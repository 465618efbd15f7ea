/* Ports of this host that lead to the guest. */
#include "backend/net/user_impl.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FWD_BACKLOG = 128 };

static struct sockaddr_in fwd_sockaddr(uint32_t ip, uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(ip)};
}

/* Could this port be had? The stack does not say why not, and shares a UDP port with anybody. */
static int fwd_try(const struct vr_net_forward *f)
{
    int fd = socket(AF_INET, (f->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    int one = 1;
    struct sockaddr_in at = fwd_sockaddr(f->host_ip, f->host_port);
    int r = 0;
    if ((!f->udp && setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0) ||
        bind(fd, (struct sockaddr *)&at, sizeof(at)) < 0 || (!f->udp && listen(fd, 1) < 0)) {
        r = -errno;
    }
    close(fd);
    return r;
}

static uint16_t fwd_port_of(int fd)
{
    struct sockaddr_in at = {0};
    socklen_t len = sizeof(at);
    return getsockname(fd, (struct sockaddr *)&at, &len) == 0 && at.sin_family == AF_INET
               ? ntohs(at.sin_port)
               : 0;
}

int vr_slirp_forward(struct vr_slirp *u, const struct vr_net_forward *f, uint16_t *ret_port,
                     struct vr_error *err)
{
    struct in_addr host = {.s_addr = htonl(f->host_ip)}, guest = {.s_addr = htonl(f->guest_ip)};
    char ip[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, &host, ip, sizeof(ip));
    const char *proto = f->udp ? "UDP" : "TCP";
    int r = fwd_try(f);
    vr_slirp_rearm(u); /* so that the members are known without the new one */
    uint64_t before = u->round;
    if (r == 0 &&
        slirp_add_hostfwd(u->slirp, f->udp, host, f->host_port, guest, f->guest_port) < 0) {
        r = errno ? -errno : -EIO;
    }
    switch (r) {
    case 0:
        break;
    case -EADDRINUSE:
        return vr_err(err, r, "%s port %u of %s is already in use on this host; choose another",
                      proto, f->host_port, ip);
    case -EACCES:
        return vr_err(err, r, "%s port %u needs privileges on this host; choose one from 1024 up",
                      proto, f->host_port);
    case -EADDRNOTAVAIL:
        return vr_err(err, r, "%s is not an address of this host; leave it out or say 0.0.0.0", ip);
    default:
        return vr_err(err, r, "cannot forward %s port %u of %s: %s", proto, f->host_port, ip,
                      strerror(-r));
    }
    vr_slirp_active(u);
    vr_slirp_rearm(u);
    uint16_t port = f->host_port;
    for (unsigned i = 0; i < u->member_count; i++) {
        int fd = u->members[i];
        if (u->fds[fd].since > before) {
            port = port ? port : fwd_port_of(fd);
            /* libslirp lets one client wait; of many that come at a time, the others would be
             * reset. */
            if (!f->udp) {
                (void)listen(fd, FWD_BACKLOG);
            }
        }
    }
    if (ret_port) {
        *ret_port = port;
    }
    return 0;
}
