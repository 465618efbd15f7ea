/* TCP sockets (tcp(7), getaddrinfo(3)). */
#include "platform/tcpsock.h"
#include "platform/unixsock.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { TCP_HOST = 256, TCP_PORT = 16 };

static int tcp_split(const char *where, char host[TCP_HOST], char port[TCP_PORT])
{
    const char *colon = strrchr(where, ':'), *from = where;
    if (!colon) {
        return -EINVAL;
    }
    size_t len = (size_t)(colon - where), port_len = strlen(colon + 1);
    if (len >= 2 && where[0] == '[' && colon[-1] == ']') {
        from++;
        len -= 2;
    } else if (memchr(where, ':', len)) {
        return -EINVAL; /* a bare IPv6 address: which colon is the port's? */
    }
    if (len == 0 || len >= TCP_HOST || port_len == 0 || port_len >= TCP_PORT ||
        strspn(colon + 1, "0123456789") != port_len) {
        return -EINVAL;
    }
    memcpy(host, from, len);
    host[len] = 0;
    memcpy(port, colon + 1, port_len + 1);
    return 0;
}

static int tcp_resolve(const char *where, bool passive, struct addrinfo **ret_list,
                       struct vr_error *err)
{
    char host[TCP_HOST], port[TCP_PORT];
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                                   .ai_flags = passive ? AI_PASSIVE : 0};
    if (tcp_split(where, host, port) < 0) {
        return vr_err(err, -EINVAL,
                      "tcp:%.80s: expected tcp:HOST:PORT, as in tcp:10.0.0.2:4444; an IPv6 address "
                      "stands in brackets",
                      where);
    }
    int r = getaddrinfo(host, port, &hints, ret_list);
    return r ? vr_err(err, -ENOENT, "tcp:%s: %s", where, gai_strerror(r)) : 0;
}

static int tcp_try_listen(const struct addrinfo *a)
{
    const int on = 1;
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) < 0 || listen(fd, 1) < 0) {
        int r = -errno;
        close(fd);
        return r;
    }
    return fd;
}

static void tcp_set_up(int fd)
{
    const int on = 1;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    (void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
}

static int tcp_try_connect(const struct addrinfo *a, int timeout_ms)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0;
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
        struct pollfd p = {.fd = fd, .events = POLLOUT};
        socklen_t len = sizeof(r);
        r = errno == EINPROGRESS ? 0 : -errno;
        if (r == 0 && poll(&p, 1, timeout_ms) <= 0) {
            r = -ETIMEDOUT;
        }
        if (r == 0 && getsockopt(fd, SOL_SOCKET, SO_ERROR, &r, &len) == 0) {
            r = -r;
        }
    }
    if (r < 0) {
        close(fd);
        return r;
    }
    tcp_set_up(fd);
    return fd;
}

int vr_tcp_listen(const char *where, int *ret_fd, struct vr_error *err)
{
    struct addrinfo *list;
    int r = tcp_resolve(where, true, &list, err), fd = -ENOENT;
    if (r < 0) {
        return r;
    }
    for (const struct addrinfo *a = list; fd < 0 && a; a = a->ai_next) {
        fd = tcp_try_listen(a);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        return vr_err(err, fd, "tcp:%s: cannot listen: %s", where, strerror(-fd));
    }
    *ret_fd = fd;
    return 0;
}

int vr_tcp_connect(const char *where, int timeout_ms, int *ret_fd, struct vr_error *err)
{
    struct addrinfo *list;
    int r = tcp_resolve(where, false, &list, err), fd = -ENOENT;
    if (r < 0) {
        return r;
    }
    for (const struct addrinfo *a = list; fd < 0 && a; a = a->ai_next) {
        fd = tcp_try_connect(a, timeout_ms);
    }
    freeaddrinfo(list);
    if (fd < 0) {
        return vr_err(err, fd, "tcp:%s: cannot connect: %s", where, strerror(-fd));
    }
    *ret_fd = fd;
    return 0;
}

int vr_tcp_accept(int fd)
{
    const struct vr_unix any = {.fd = fd}; /* accepting is the same of all sockets */
    int got = vr_unix_accept(&any);
    if (got >= 0) {
        tcp_set_up(got);
    }
    return got;
}
