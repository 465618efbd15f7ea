/* `vireo console`: a terminal, or a pipe, on a console of a machine that runs. */
#include "cli/cli.h"
#include "control/client.h"
#include "platform/tty.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { CONSOLE_CTRL_A = 1 };

struct console {
    const char *name;
    struct vr_stream in, out, *machine;
    struct vr_tty tty;
    bool terminal, after_ctrl_a, leave;
};

/* All of it, however long that takes. */
static int console_put(struct vr_stream *to, const uint8_t *buf, size_t len)
{
    while (len) {
        ssize_t n = vr_stream_write(to, buf, len);
        if (n == -EAGAIN) {
            (void)!vr_stream_wait_writable(to, -1);
            continue;
        }
        if (n < 0) {
            return (int)n;
        }
        buf += n;
        len -= (size_t)n;
    }
    return 0;
}

static void console_say(struct console *c, const char *text)
{
    (void)console_put(&c->out, (const uint8_t *)text, strlen(text));
}

/* Take Ctrl-A and what follows it out of @buf; returns what is left for the guest. */
static size_t console_filter(struct console *c, uint8_t *buf, size_t len)
{
    size_t kept = 0;
    for (size_t i = 0; i < len && !c->leave; i++) {
        if (!c->after_ctrl_a) {
            c->after_ctrl_a = buf[i] == CONSOLE_CTRL_A;
            if (!c->after_ctrl_a) {
                buf[kept++] = buf[i];
            }
            continue;
        }
        c->after_ctrl_a = false;
        if (buf[i] == CONSOLE_CTRL_A) {
            buf[kept++] = buf[i];
        } else if (buf[i] == 'd') {
            c->leave = true;
        } else {
            console_say(c, "\r\nCtrl-A d       leave; the machine goes on\r\n"
                           "Ctrl-A Ctrl-A  send Ctrl-A to the guest\r\n");
        }
    }
    return kept;
}

/* Move bytes until one side ends. 0: we left, or our input ended and so did the machine's output.
 * -EPIPE: the machine hung up. */
static int console_relay(struct console *c)
{
    uint8_t buf[4096];
    const struct vr_stream *streams[2] = {c->machine, &c->in};
    unsigned count = 2;
    while (!c->leave) {
        unsigned ready = vr_stream_wait_readable(streams, count, -1);
        if (ready & 1) {
            ssize_t n = vr_stream_read(c->machine, buf, sizeof(buf));
            if (n == 0 || (n < 0 && n != -EAGAIN)) {
                return -EPIPE;
            }
            int r = n > 0 ? console_put(&c->out, buf, (size_t)n) : 0;
            if (r < 0) {
                return r == -EPIPE ? 0 : r;
            }
        }
        if (ready & 2) {
            ssize_t n = vr_stream_read(&c->in, buf, sizeof(buf));
            if (n == 0 || (n < 0 && n != -EAGAIN)) {
                if (c->terminal) {
                    return 0;
                }
                count = 1; /* a pipe: what the guest says still counts */
                continue;
            }
            size_t len = n > 0 ? (size_t)n : 0;
            len = c->terminal ? console_filter(c, buf, len) : len;
            if (console_put(c->machine, buf, len) < 0) {
                return -EPIPE;
            }
        }
    }
    return 0;
}

/* Ended by a signal, the terminal is put back all the same. */
static void console_on_signal(void *opaque, int signum)
{
    struct console *c = opaque;
    vr_tty_restore(&c->tty);
    vireo_endsig_die(signum);
}

static int console_join(struct console *c, const char *first, size_t first_len,
                        struct vr_error *err)
{
    struct vireo_endsig *sig = NULL;
    int r = 0;
    vr_stream_open_std(0, false, &c->in);
    vr_stream_open_std(1, true, &c->out);
    c->terminal = c->in.kind == VR_STREAM_TTY;
    if (c->terminal) {
        cli_say("console of %s; Ctrl-A d leaves, Ctrl-A h helps", c->name);
        r = vireo_endsig_start(console_on_signal, c, &sig, err);
        r = r < 0 ? r : vr_tty_raw(&c->tty, c->in.fd, err);
    }
    if (r == 0) {
        r = console_put(&c->out, (const uint8_t *)first, first_len);
        r = r < 0 ? r : console_relay(c);
        vr_tty_restore(&c->tty);
        if (r < 0 && r != -EPIPE) {
            (void)vr_err(err, r, "standard output: %s", strerror(-r));
        }
    }
    vireo_endsig_stop(sig);
    vr_stream_close(&c->in);
    vr_stream_close(&c->out);
    return r;
}

int cli_console(struct cli *cli)
{
    struct vr_error err = {0};
    struct vr_client *client;
    struct console c = {.leave = false};
    const char *first;
    size_t first_len;
    int r = vr_client_open(cli->arg_count ? cli->args[0] : NULL, VR_CLIENT_MS, &client, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    c.name = vr_client_name(client);
    r = vr_client_become(client, "x-vireo-console", json_pack("{s:i}", "index", (int)cli->console),
                         &c.machine, &first, &first_len, &err);
    bool joined = r == 0;
    r = r < 0 ? r : console_join(&c, first, first_len, &err);
    if (joined && r == -EPIPE) {
        cli_say("%s%s: the machine has ended", c.terminal ? "\r\n" : "", c.name);
        r = 0;
    } else if (joined && r == 0 && c.terminal) {
        cli_say("left %s, which goes on", c.name);
    }
    vr_client_close(client);
    return r < 0 ? cli_fail(&err) : CLI_OK;
}
