/* UNIX domain stream sockets (unix(7)). */
#include "platform/unixsock.h"
#include "platform/unixsock_peer.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

enum { UNIX_PATIENCE_S = 3 }; /* for room in the queue of a listener that does not accept */

static int unix_name(const char *path, struct sockaddr_un *name)
{
    *name = (struct sockaddr_un){.sun_family = AF_UNIX};
    size_t len = strlen(path);
    if (len == 0) {
        return -EINVAL;
    }
    if (len >= sizeof(name->sun_path)) {
        return -ENAMETOOLONG;
    }
    memcpy(name->sun_path, path, len + 1);
    return 0;
}

/* 0: nothing is at the path now (any more). */
static int unix_make_way(const char *path, const struct sockaddr_un *name)
{
    struct stat st;
    if (lstat(path, &st) < 0) {
        return errno == ENOENT ? 0 : -errno;
    }
    if (!S_ISSOCK(st.st_mode)) {
        return -EEXIST;
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        return -errno;
    }
    int r = connect(fd, (const struct sockaddr *)name, sizeof(*name)) < 0 ? -errno : 0;
    close(fd);
    if (r != -ECONNREFUSED) {
        return r == 0 || r == -EAGAIN ? -EADDRINUSE : r;
    }
    return unlink(path) < 0 && errno != ENOENT ? -errno : 0;
}

int vr_unix_listen(const char *path, struct vr_unix *ret_sock, struct vr_error *err)
{
    struct sockaddr_un name;
    struct vr_unix s = {.fd = -1};
    int r = unix_name(path, &name);
    if (r == 0) {
        r = unix_make_way(path, &name);
    }
    if (r == 0) {
        s.path = strdup(path);
        s.fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        struct stat st;
        /* The mode is set before there is a node, so that nobody slips in between. */
        if (!s.path) {
            r = -ENOMEM;
        } else if (s.fd < 0 || fchmod(s.fd, 0600) < 0 ||
                   bind(s.fd, (struct sockaddr *)&name, sizeof(name)) < 0) {
            r = -errno;
        } else if (lstat(path, &st) < 0 || listen(s.fd, 64) < 0) {
            r = -errno;
            unlink(path);
        } else {
            s.dev = (uint64_t)st.st_dev;
            s.ino = (uint64_t)st.st_ino;
        }
    }
    if (r == 0) {
        *ret_sock = s;
        return 0;
    }
    if (s.fd >= 0) {
        close(s.fd);
    }
    free(s.path);
    switch (r) {
    case -ENAMETOOLONG:
        return vr_err(err, r, "socket %.60s...: the host allows %zu characters; use a shorter path",
                      path, sizeof(name.sun_path) - 1);
    case -EINVAL:
        return vr_err(err, r, "socket '%s': a path is needed, as in unix:/tmp/vm.sock", path);
    case -EEXIST:
        return vr_err(err, r,
                      "socket %s: something else has this name; choose another or remove it", path);
    case -EADDRINUSE:
        return vr_err(err, r, "socket %s: another process listens there; choose another path",
                      path);
    default:
        return vr_err(err, r, "socket %s: cannot listen: %s", path, strerror(-r));
    }
}

void vr_unix_close(struct vr_unix *s)
{
    struct stat st;
    /* Only what is still ours: somebody may have put their own in its place. */
    if (s->path && lstat(s->path, &st) == 0 && (uint64_t)st.st_dev == s->dev &&
        (uint64_t)st.st_ino == s->ino) {
        unlink(s->path);
    }
    if (s->fd >= 0) {
        close(s->fd);
    }
    free(s->path);
    *s = (struct vr_unix){.fd = -1};
}

int vr_unix_accept(const struct vr_unix *s)
{
    int fd;
    do {
        fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    } while (fd < 0 && (errno == EINTR || errno == ECONNABORTED));
    return fd >= 0 ? fd : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

static int unix_connect(const char *path, int flags, int *ret_fd, struct vr_error *err)
{
    struct sockaddr_un name;
    int fd = -1, r = unix_name(path, &name);
    if (r == 0) {
        const struct timeval patience = {.tv_sec = UNIX_PATIENCE_S};
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
        r = fd < 0 || connect(fd, (const struct sockaddr *)&name, sizeof(name)) < 0 ? -errno : 0;
    }
    if (r < 0) {
        if (fd >= 0) {
            close(fd);
        }
        return vr_err(err, r, "socket %s: cannot connect: %s", path, strerror(-r));
    }
    *ret_fd = fd;
    return 0;
}

int vr_unix_connect(const char *path, int *ret_fd, uint64_t *ret_pid, struct vr_error *err)
{
    int r = unix_connect(path, 0, ret_fd, err);
    if (r == 0) {
        *ret_pid = vr_unix_peer(*ret_fd);
    }
    return r;
}

int vr_unix_connect_now(const char *path, int *ret_fd, struct vr_error *err)
{
    return unix_connect(path, SOCK_NONBLOCK, ret_fd, err);
}

static int unix_make_folder(const char *path)
{
    struct stat st;
    if (mkdir(path, 0700) < 0 && errno != EEXIST) {
        return -errno;
    }
    if (stat(path, &st) < 0) {
        return -errno;
    }
    return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
}

int vr_unix_folder_make(const char *path, struct vr_error *err)
{
    struct stat st;
    char *copy = strdup(path);
    int r = copy ? 0 : -ENOMEM;
    for (char *p = copy; r == 0 && (p = strchr(p + 1, '/'));) {
        *p = '\0';
        r = unix_make_folder(copy);
        *p = '/';
    }
    r = r < 0 ? r : unix_make_folder(path);
    free(copy);
    bool known = r == 0 && stat(path, &st) == 0;
    if (known && st.st_uid != geteuid()) {
        return vr_err(err, -EPERM, "folder %s: it is not this user's", path);
    }
    if (known && (st.st_mode & S_IWOTH)) {
        return vr_err(err, -EPERM, "folder %s: others may write to it: chmod o-w", path);
    }
    return r < 0 ? vr_err(err, r, "folder %s: cannot make it: %s", path, strerror(-r)) : 0;
}

int vr_unix_folder_hold(const char *path, int *ret_fd)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC), r;
    if (fd < 0) {
        return -errno;
    }
    do {
        r = flock(fd, LOCK_EX) < 0 ? -errno : 0;
    } while (r == -EINTR);
    if (r < 0) {
        close(fd);
        return r;
    }
    *ret_fd = fd;
    return 0;
}

int vr_unix_folder_each(const char *path, int (*fn)(void *opaque, const char *name), void *opaque)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    int r = 0;
    if (!dir) {
        return -errno;
    }
    while (r == 0 && (entry = readdir(dir))) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            r = fn(opaque, entry->d_name);
        }
    }
    closedir(dir);
    return r;
}

bool vr_unix_sweep(const char *path)
{
    struct sockaddr_un name;
    return unix_name(path, &name) == 0 && unix_make_way(path, &name) == 0;
}

union unix_control {
    char bytes[CMSG_SPACE(VR_UNIX_FDS * sizeof(int))];
    struct cmsghdr align;
};

ssize_t vr_unix_send(int fd, const void *buf, size_t len, const int *fds, unsigned count)
{
    union unix_control control = {.bytes = {0}};
    /* sendmsg takes no const; it does not write here. */
    struct iovec iov = {.iov_base = (void *)(uintptr_t)buf, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
    ssize_t n;
    if (count > VR_UNIX_FDS) {
        return -EINVAL;
    }
    if (count) {
        msg.msg_control = control.bytes;
        msg.msg_controllen = CMSG_SPACE(count * sizeof(int));
        struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
        c->cmsg_level = SOL_SOCKET;
        c->cmsg_type = SCM_RIGHTS;
        c->cmsg_len = CMSG_LEN(count * sizeof(int));
        memcpy(CMSG_DATA(c), fds, count * sizeof(int));
    }
    do {
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
    } while (n < 0 && errno == EINTR);
    return n >= 0 ? n : errno == EWOULDBLOCK ? -EAGAIN : -errno;
}

ssize_t vr_unix_recv(int fd, void *buf, size_t len, int *ret_fds, unsigned *ret_count)
{
    union unix_control control;
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct msghdr msg = {.msg_iov = &iov,
                         .msg_iovlen = 1,
                         .msg_control = control.bytes,
                         .msg_controllen = sizeof(control.bytes)};
    ssize_t n;
    *ret_count = 0;
    do {
        n = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    } while (n < 0 && errno == EINTR);
    if (n < 0) {
        return errno == EWOULDBLOCK ? -EAGAIN : -errno;
    }
    /* Descriptors are all that comes beside bytes here, in one message (unix(7)). */
    const struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS) {
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int one;
            memcpy(&one, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
            if (*ret_count < VR_UNIX_FDS) {
                ret_fds[(*ret_count)++] = one;
            } else {
                close(one);
            }
        }
    }
    return n;
}
