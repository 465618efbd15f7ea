/* Terminals: raw mode with a way back that a signal handler may take, sizes, and pseudo terminals.
 */
#ifndef VR_PLATFORM_TTY_H
#define VR_PLATFORM_TTY_H

#include "base/err.h"
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <termios.h>

struct vr_tty {
    int fd;                    /* not ours to close */
    volatile sig_atomic_t raw; /* `saved` is to be put back */
    struct termios saved;
};

/* Remember @fd's modes and make it raw: every key reaches us, none makes a signal, nothing is
 * echoed; output processing stays, so that log lines still begin at the left edge. In the
 * background the host stops the process here until it is in the foreground, as it does for any
 * program. */
int vr_tty_raw(struct vr_tty *tty, int fd, struct vr_error *err) VR_MUST;
/* Raw once more, after somebody else changed the modes. */
void vr_tty_raw_again(struct vr_tty *tty);
/* Put the modes back, once. Safe in a signal handler; safe on a zeroed struct. */
void vr_tty_restore(struct vr_tty *tty);
/* Has somebody else taken the terminal: are we in its background? */
bool vr_tty_in_background(int fd);
/* -ENOTTY; -ENODATA: it does not know. */
int vr_tty_size(int fd, uint16_t *ret_cols, uint16_t *ret_rows) VR_MUST;

/* A pseudo terminal, raw, whose other end (@path) programs open and close as they like. */
struct vr_pty {
    int fd;        /* our end, non-blocking */
    int notice_fd; /* readable when somebody opened or closed the other end */
    char path[64];
};
int vr_pty_open(struct vr_pty *ret_pty, struct vr_error *err) VR_MUST;
void vr_pty_close(struct vr_pty *pty);
/* Take the notices; is the other end open, or are there bytes from it still? */
bool vr_pty_is_open(struct vr_pty *pty);

#endif
