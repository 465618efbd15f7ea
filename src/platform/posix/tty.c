/* Terminal modes by termios (POSIX.1-2017 chapter 11). */
#include "platform/tty.h"

#include <errno.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int tty_set_raw(struct vr_tty *tty)
{
    struct termios t = tty->saved;
    t.c_iflag &= ~(tcflag_t)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    t.c_lflag &= ~(tcflag_t)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    t.c_cflag &= ~(tcflag_t)(CSIZE | PARENB);
    t.c_cflag |= CS8;
    t.c_cc[VMIN] = 1;
    t.c_cc[VTIME] = 0;
    return tcsetattr(tty->fd, TCSANOW, &t) < 0 ? -errno : 0;
}

int vr_tty_raw(struct vr_tty *tty, int fd, struct vr_error *err)
{
    *tty = (struct vr_tty){.fd = fd};
    if (tcgetattr(fd, &tty->saved) < 0) {
        int r = -errno;
        return vr_err(err, r, "terminal: cannot read its modes: %s", strerror(-r));
    }
    tty->raw = 1; /* first: a signal may come between */
    int r = tty_set_raw(tty);
    if (r < 0) {
        tty->raw = 0;
        return vr_err(err, r, "terminal: cannot make it raw: %s", strerror(-r));
    }
    return 0;
}

void vr_tty_raw_again(struct vr_tty *tty)
{
    if (tty->raw) {
        (void)tty_set_raw(tty); /* a terminal that has gone away says so on reading */
    }
}

void vr_tty_restore(struct vr_tty *tty)
{
    if (tty->raw) {
        tty->raw = 0;
        int error = errno;
        (void)tcsetattr(tty->fd, TCSANOW, &tty->saved);
        errno = error;
    }
}

bool vr_tty_in_background(int fd)
{
    pid_t front = tcgetpgrp(fd);
    return front >= 0 && front != getpgrp();
}

int vr_tty_size(int fd, uint16_t *ret_cols, uint16_t *ret_rows)
{
    struct winsize size;
    if (ioctl(fd, TIOCGWINSZ, &size) < 0) {
        return -errno;
    }
    if (size.ws_col == 0 || size.ws_row == 0) {
        return -ENODATA;
    }
    *ret_cols = size.ws_col;
    *ret_rows = size.ws_row;
    return 0;
}
