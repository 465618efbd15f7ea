/* Pseudo terminals. The host tells our end that the other was closed, but never that it was opened;
 * inotify(7) on its node does. */
#include "platform/tty.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

static int pty_make_raw(const char *path)
{
    int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);
    struct termios t;
    if (fd < 0) {
        return -errno;
    }
    int r = 0;
    if (tcgetattr(fd, &t) < 0) {
        r = -errno;
    } else {
        cfmakeraw(&t);
        r = tcsetattr(fd, TCSANOW, &t) < 0 ? -errno : 0;
    }
    close(fd);
    return r;
}

int vr_pty_open(struct vr_pty *ret_pty, struct vr_error *err)
{
    struct vr_pty pty = {.notice_fd = -1};
    int r = 0;
    const char *what = "open";
    pty.fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (pty.fd < 0 || grantpt(pty.fd) < 0 || unlockpt(pty.fd) < 0 ||
        fcntl(pty.fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0) {
        r = -errno;
    } else {
        r = -ptsname_r(pty.fd, pty.path, sizeof(pty.path));
    }
    if (r == 0) {
        what = "make raw";
        r = pty_make_raw(pty.path);
    }
    if (r == 0) {
        what = "watch";
        pty.notice_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
        if (pty.notice_fd < 0 ||
            inotify_add_watch(pty.notice_fd, pty.path, IN_OPEN | IN_CLOSE) < 0) {
            r = -errno;
        }
    }
    if (r < 0) {
        vr_pty_close(&pty);
        return vr_err(err, r, "pseudo terminal: cannot %s one: %s", what, strerror(-r));
    }
    *ret_pty = pty;
    return 0;
}

void vr_pty_close(struct vr_pty *pty)
{
    if (pty->fd >= 0) {
        close(pty->fd);
    }
    if (pty->notice_fd >= 0) {
        close(pty->notice_fd);
    }
    pty->fd = pty->notice_fd = -1;
}

bool vr_pty_is_open(struct vr_pty *pty)
{
    char notices[4096];
    while (read(pty->notice_fd, notices, sizeof(notices)) > 0) {
    }
    struct pollfd p = {.fd = pty->fd, .events = POLLIN};
    return poll(&p, 1, 0) >= 0 && ((p.revents & POLLIN) || !(p.revents & POLLHUP));
}
