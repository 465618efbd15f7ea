/* Asking a running machine. */
#include "control/client.h"
#include "base/alloc.h"
#include "base/text.h"
#include "control/rundir.h"
#include "control/vm.h"
#include "platform/file.h"
#include "platform/unixsock.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { CLIENT_LINE_MAX = 64 << 20, CLIENT_EVENTS = 4096, CLIENT_FDS = 1500 };

struct vr_client {
    char name[VR_RUNDIR_PATH_MAX];
    struct vr_stream stream;
    uint64_t pid;
    json_t *events;      /* that came while an answer was waited for */
    bool said_goodbye;   /* a SHUTDOWN event came */
    uint64_t id;         /* of the last command */
    char *buf;           /* owned */
    size_t len, cap;     /* of what came */
    size_t line;         /* of the line that was taken out last; it goes with the next read */
    int fds[CLIENT_FDS]; /* that came and nobody took; owned */
    unsigned fd_count;
    size_t looked; /* where there is no end of a line before */
};

static int client_nobody(const char *name, struct vr_error *err)
{
    char **names;
    size_t count;
    int r = vr_rundir_list(&names, &count, err);
    if (r < 0) {
        return r;
    }
    const char *near = vr_nearest(name, (const char *const *)names, count);
    r = near ? vr_err(err, -ENOENT, "no machine '%s' runs: did you mean '%s'?", name, near)
        : count == 0
            ? vr_err(err, -ENOENT, "no machine '%s' runs: none does", name)
            : vr_err(err, -ENOENT, "no machine '%s' runs; 'vireo ps' lists those that do", name);
    vr_rundir_free(names, count);
    return r;
}

/* The only machine there is. */
static int client_only(char *ret_name, size_t size, struct vr_error *err)
{
    char **names;
    size_t count;
    int r = vr_rundir_list(&names, &count, err);
    if (r < 0) {
        return r;
    }
    if (count == 1) {
        snprintf(ret_name, size, "%s", names[0]);
    } else if (count == 0) {
        r = vr_err(err, -ENOENT, "no machine runs");
    } else {
        r = vr_err(err, -EINVAL, "%zu machines run: which one? %s, %s%s", count, names[0], names[1],
                   count > 2 ? ", ..." : "");
    }
    vr_rundir_free(names, count);
    return r;
}

static int client_connect(const char *name, int *ret_fd, uint64_t *ret_pid, struct vr_error *err)
{
    char path[VR_RUNDIR_PATH_MAX];
    bool is_path = strchr(name, '/') != NULL;
    if (is_path) {
        return vr_unix_connect(name, ret_fd, ret_pid, err);
    }
    if (!vr_name_good(name, VR_NAME_MAX)) {
        return client_nobody(name, err);
    }
    int r = vr_rundir_path(name, path, sizeof(path), err);
    r = r < 0 ? r : vr_unix_connect(path, ret_fd, ret_pid, err);
    if (r == -EAGAIN) {
        return vr_err(err, -ETIMEDOUT, "machine '%s' does not answer", name);
    }
    return r == -ENOENT || r == -ECONNREFUSED ? client_nobody(name, err) : r;
}

int vr_client_process(const char *name, uint64_t *ret_pid, struct vr_error *err)
{
    int fd;
    uint64_t pid = 0;
    int r = client_connect(name, &fd, &pid, err);
    if (r < 0) {
        return r;
    }
    struct vr_stream s;
    vr_stream_adopt(fd, &s);
    vr_stream_close(&s);
    if (pid == 0) {
        return vr_err(err, -ENOTSUP, "this host does not tell whose process a socket is");
    }
    *ret_pid = pid;
    return 0;
}

const char *vr_client_name(const struct vr_client *c)
{
    return c->name;
}

static int client_silent(const struct vr_client *c, struct vr_error *err)
{
    return vr_err(err, -ETIMEDOUT,
                  "machine '%s' does not answer: its process, %" PRIu64
                  ", may be stopped or overloaded ('vireo kill' ends it)",
                  c->name, c->pid);
}

static int client_gone(const struct vr_client *c, struct vr_error *err)
{
    char path[VR_RUNDIR_PATH_MAX];
    if (c->said_goodbye) {
        return vr_err(err, -EPIPE, "machine '%s' has ended", c->name);
    }
    if (vr_vm_crash_file(c->name, c->pid, path, sizeof(path))) {
        return vr_err(err, -EPIPE, "machine '%s' crashed, process %" PRIu64 "; what it knew: %s",
                      c->name, c->pid, path);
    }
    return vr_err(err, -EPIPE,
                  "machine '%s' is gone without a word: its process, %" PRIu64
                  ", crashed or was killed",
                  c->name, c->pid);
}

/* More bytes into the buffer. */
static int client_fill(struct vr_client *c, int timeout_ms, struct vr_error *err)
{
    if (c->len == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 4096;
        char *buf = cap <= CLIENT_LINE_MAX ? realloc(c->buf, cap) : NULL;
        if (!buf) {
            return vr_err(err, -ENOMEM, "machine '%s': its answer is too long", c->name);
        }
        c->buf = buf;
        c->cap = cap;
    }
    const struct vr_stream *streams[] = {&c->stream};
    if (!vr_stream_wait_readable(streams, 1, timeout_ms)) {
        return client_silent(c, err);
    }
    int fds[VR_UNIX_FDS];
    unsigned count;
    ssize_t n = vr_unix_recv(c->stream.fd, c->buf + c->len, c->cap - c->len, fds, &count);
    for (unsigned i = 0; i < count; i++) {
        if (c->fd_count < CLIENT_FDS) {
            c->fds[c->fd_count++] = fds[i];
        } else {
            vr_file_close(fds[i]);
        }
    }
    if (n == -EAGAIN) {
        return 0;
    }
    if (n <= 0) {
        return client_gone(c, err);
    }
    c->len += (size_t)n;
    return 0;
}

/* The next message; the caller's. */
static int client_hear(struct vr_client *c, int timeout_ms, json_t **ret_json, struct vr_error *err)
{
    uint64_t end_ns = vireo_monotonic_ns() + (uint64_t)timeout_ms * 1000000;
    if (c->line) {
        memmove(c->buf, c->buf + c->line, c->len - c->line);
    }
    c->len -= c->line;
    c->line = c->looked = 0;
    for (;;) {
        char *end =
            c->len > c->looked ? memchr(c->buf + c->looked, '\n', c->len - c->looked) : NULL;
        if (end) {
            c->line = (size_t)(end - c->buf) + 1;
            break;
        }
        c->looked = c->len;
        uint64_t now_ns = vireo_monotonic_ns();
        int left_ms = timeout_ms < 0     ? -1
                      : now_ns >= end_ns ? 0
                                         : (int)((end_ns - now_ns) / 1000000 + 1);
        int r = client_fill(c, left_ms, err);
        if (r < 0) {
            return r;
        }
    }
    json_t *json = json_loadb(c->buf, c->line, 0, NULL);
    if (!json_is_object(json)) {
        json_decref(json);
        return vr_err(err, -EPROTO, "machine '%s': what it says is no QMP: %.40s", c->name, c->buf);
    }
    const char *event = json_string_value(json_object_get(json, "event"));
    c->said_goodbye = c->said_goodbye || (event && strcmp(event, "SHUTDOWN") == 0);
    *ret_json = json;
    return 0;
}

static int client_send(struct vr_client *c, const char *command, json_t *args, struct vr_error *err)
{
    json_t *message = json_pack("{s:s, s:I}", "execute", command, "id", (json_int_t)++c->id);
    if (args && json_object_set_new(message, "arguments", args) < 0) {
        json_decref(message);
        message = NULL;
    }
    char *text = message ? json_dumps(message, 0) : NULL;
    json_decref(message);
    if (!text) {
        return vr_err(err, -ENOMEM, "no memory for a question");
    }
    int r = 0;
    for (size_t at = 0, len = strlen(text); r == 0 && at < len;) {
        ssize_t n = vr_stream_write(&c->stream, (const uint8_t *)text + at, len - at);
        if (n > 0) {
            at += (size_t)n;
        } else if (n == -EAGAIN) {
            r = vr_stream_wait_writable(&c->stream, VR_CLIENT_MS) ? 0 : client_silent(c, err);
        } else {
            r = client_gone(c, err);
        }
    }
    free(text);
    return r;
}

static int client_answer(struct vr_client *c, json_t *json, json_t **ret_json, struct vr_error *err)
{
    json_t *ret = json_object_get(json, "return");
    const json_t *error = json_object_get(json, "error");
    if (!ret) {
        const char *desc = json_string_value(json_object_get(error, "desc"));
        return vr_err(err, -EREMOTEIO, "machine '%s': %.200s", c->name, desc ? desc : "no reason");
    }
    if (ret_json) {
        *ret_json = json_incref(ret);
    }
    return 0;
}

int vr_client_ask(struct vr_client *c, const char *command, json_t *args, int timeout_ms,
                  json_t **ret_json, struct vr_error *err)
{
    json_t *json;
    int r = client_send(c, command, args, err);
    while (r == 0) {
        r = client_hear(c, timeout_ms, &json, err);
        if (r < 0) {
            break;
        }
        if (json_object_get(json, "event")) {
            /* Nobody may ask for them; then the last ones do not matter. */
            if (json_array_size(c->events) < CLIENT_EVENTS) {
                (void)json_array_append(c->events, json);
            }
            json_decref(json);
            continue;
        }
        r = client_answer(c, json, ret_json, err);
        json_decref(json);
        break;
    }
    return r;
}

unsigned vr_client_take_fds(struct vr_client *c, int *ret_fds, unsigned max)
{
    unsigned count = c->fd_count < max ? c->fd_count : max;
    memcpy(ret_fds, c->fds, count * sizeof(*ret_fds));
    c->fd_count -= count;
    memmove(c->fds, c->fds + count, c->fd_count * sizeof(*c->fds));
    return count;
}

int vr_client_event(struct vr_client *c, int timeout_ms, json_t **ret_event, struct vr_error *err)
{
    json_t *json = json_incref(json_array_get(c->events, 0));
    if (json) {
        (void)json_array_remove(c->events, 0);
        *ret_event = json;
        return 0;
    }
    for (;;) {
        int r = client_hear(c, timeout_ms, &json, err);
        if (r < 0) {
            return r;
        }
        if (json_object_get(json, "event")) {
            *ret_event = json;
            return 0;
        }
        json_decref(json);
    }
}

int vr_client_become(struct vr_client *c, const char *command, json_t *args,
                     struct vr_stream **ret_stream, const char **ret_buf, size_t *ret_len,
                     struct vr_error *err)
{
    int r = vr_client_ask(c, command, args, VR_CLIENT_MS, NULL, err);
    if (r == 0) {
        *ret_stream = &c->stream;
        *ret_buf = c->buf + c->line;
        *ret_len = c->len - c->line;
    }
    return r;
}

int vr_client_open(const char *name, int timeout_ms, struct vr_client **ret_client,
                   struct vr_error *err)
{
    struct vr_client *c = vr_zalloc(sizeof(*c));
    json_t *greeting;
    int fd;
    if (!c) {
        return vr_err(err, -ENOMEM, "no memory for a client");
    }
    c->stream.fd = -1;
    c->events = json_array();
    snprintf(c->name, sizeof(c->name), "%s", name ? name : "");
    int r = name ? 0 : client_only(c->name, sizeof(c->name), err);
    r = r < 0 ? r : client_connect(c->name, &fd, &c->pid, err);
    if (r == 0) {
        vr_stream_adopt(fd, &c->stream);
        r = client_hear(c, timeout_ms, &greeting, err);
    }
    if (r == 0) {
        r = json_object_get(greeting, "QMP") ? 0 : client_answer(c, greeting, NULL, err);
        json_decref(greeting);
    }
    r = r < 0 ? r : vr_client_ask(c, "qmp_capabilities", NULL, timeout_ms, NULL, err);
    if (r < 0) {
        vr_client_close(c);
        return r;
    }
    *ret_client = c;
    return 0;
}

void vr_client_close(struct vr_client *c)
{
    if (c) {
        vr_stream_close(&c->stream);
        while (c->fd_count) {
            vr_file_close(c->fds[--c->fd_count]);
        }
        json_decref(c->events);
        free(c->buf);
        free(c);
    }
}
