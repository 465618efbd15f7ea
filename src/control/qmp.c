/*
 * Sessions of the control protocol: greeting, negotiation, commands in their order, errors, events.
 *
 * Commands of a session are carried out one after the other. A slow one keeps those behind it
 * waiting, while the I/O thread goes on; with the capability "oob", exec-oob overtakes them.
 */
#include "control/qmp.h"
#include "backend/work.h"
#include "base/alloc.h"
#include "control/qmp_frame.h"
#include "control/vm_priv.h"
#include "platform/file.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { QMP_QUEUE = 8 }; /* commands that wait, with oob (QEMU has the same number) */

struct vr_qmp {
    struct vireo_vm *vm;
    struct vr_flight *flight;
    struct vr_pool *pool; /* of one thread, so that slow commands have an order */
};

struct vr_qmp_session {
    struct vr_qmp *qmp;
    struct vr_qmp_io io;
    struct vr_qmp_frame frame;
    bool negotiated, oob;
    bool over;   /* it is a console's stream now */
    bool busy;   /* a slow command is under way */
    bool closed; /* and keeps this struct alive */
    json_t *queue[QMP_QUEUE];
    unsigned queued;
};

/* A slow command. */
struct qmp_job {
    struct vr_job job;
    struct vr_qmp_session *session;
    const struct vr_qmp_command *command;
    struct vr_qmp_call call;
    json_t *message; /* holds args and id */
    struct vr_error err;
};

/* ---- Going out ---- */

static void qmp_send(struct vr_qmp_session *s, const json_t *json)
{
    char *text = json ? json_dumps(json, JSON_PRESERVE_ORDER) : NULL;
    size_t len = text ? strlen(text) : 0;
    char *line = text ? realloc(text, len + 3) : NULL;
    if (!line) {
        free(text);
        s->io.broken(s->io.opaque);
        return;
    }
    memcpy(line + len, "\r\n", 3);
    s->io.send(s->io.opaque, line, len + 2);
    free(line);
}

/* With the id of @message, which may be NULL. @reply is taken. */
static void qmp_reply(struct vr_qmp_session *s, const json_t *message, json_t *reply)
{
    json_t *id = json_object_get(message, "id");
    if (id && json_object_set(reply, "id", id) < 0) {
        json_decref(reply);
        reply = NULL;
    }
    qmp_send(s, reply);
    json_decref(reply);
}

static void qmp_reply_error(struct vr_qmp_session *s, const json_t *message, int code,
                            const char *desc)
{
    const char *cls = code == -ENODEV   ? "DeviceNotFound"
                      : code == -ENOSYS ? "CommandNotFound"
                                        : "GenericError";
    /* Names that the user gave may be no UTF-8; what is said about them must be. */
    json_t *reply = json_pack("{s:{s:s, s:s}}", "error", "class", cls, "desc", desc);
    if (!reply) {
        char plain[sizeof(((struct vr_error *)NULL)->msg)];
        size_t len = 0;
        for (; desc[len] && len < sizeof(plain) - 1; len++) {
            plain[len] = desc[len] >= ' ' && desc[len] < 127 ? desc[len] : '?';
        }
        plain[len] = '\0';
        reply = json_pack("{s:{s:s, s:s}}", "error", "class", cls, "desc", plain);
    }
    qmp_reply(s, message, reply);
}

static void qmp_drop_fds(struct vr_qmp_call *call)
{
    for (unsigned i = 0; i < call->fd_count; i++) {
        vr_file_close(call->fds[i]);
    }
    free(call->fds);
    call->fds = NULL;
    call->fd_count = 0;
}

static void qmp_reply_result(struct vr_qmp_session *s, const json_t *message,
                             struct vr_qmp_call *call, int result, const struct vr_error *err)
{
    if (result < 0) {
        json_decref(call->ret);
        qmp_reply_error(s, message, result, err->msg);
        return;
    }
    json_t *ret = call->ret ? call->ret : json_object();
    if (call->fd_count && s->io.send_fds) {
        s->io.send_fds(s->io.opaque, call->fds, call->fd_count);
        call->fds = NULL;
        call->fd_count = 0;
    }
    qmp_drop_fds(call);
    qmp_reply(s, message, json_pack("{s:o}", "return", ret));
}

void vr_qmp_event(struct vr_qmp_session *s, const struct vireo_event *event)
{
    char text[1280]; /* names and data are bounded: events.c */
    if (!s->negotiated || s->over) {
        return;
    }
    int len = snprintf(text, sizeof(text),
                       "{\"timestamp\": {\"seconds\": %" PRIu64 ", \"microseconds\": %" PRIu64
                       "}, \"event\": \"%s\"%s%s}\r\n",
                       event->real_ns / 1000000000u, event->real_ns / 1000 % 1000000, event->name,
                       *event->data ? ", \"data\": " : "", event->data);
    vr_assert(len > 0 && (size_t)len < sizeof(text));
    s->io.send(s->io.opaque, text, (size_t)len);
}

/* ---- Carrying out ---- */

static void qmp_free(struct vr_qmp_session *s)
{
    while (s->queued) {
        json_decref(s->queue[--s->queued]);
    }
    vr_qmp_frame_fini(&s->frame);
    free(s);
}

static void qmp_turn(struct vr_qmp_session *s);

static void qmp_slow_done(struct vr_job *job, int result)
{
    struct qmp_job *j = (struct qmp_job *)job;
    struct vr_qmp_session *s = j->session;
    bool closed = s->closed;
    s->busy = false;
    if (closed) {
        json_decref(j->call.ret);
        qmp_drop_fds(&j->call);
        qmp_free(s);
    } else {
        qmp_reply_result(s, j->message, &j->call, result, &j->err);
        qmp_turn(s);
    }
    json_decref(j->message);
    free(j);
    if (!closed) {
        s->io.ready(s->io.opaque); /* last: it may close the session */
    }
}

static void qmp_slow_run(void *opaque, struct vr_job *job)
{
    struct vr_qmp *qmp = opaque;
    struct qmp_job *j = (struct qmp_job *)job;
    vr_flight_complete(qmp->flight, job, j->command->run(&j->call, &j->err));
}

static void qmp_slow(struct vr_qmp_session *s, const struct vr_qmp_command *command,
                     struct vr_qmp_call *call, json_t *message)
{
    struct qmp_job *j = vr_zalloc(sizeof(*j));
    if (!j) {
        s->io.broken(s->io.opaque);
        return;
    }
    *j = (struct qmp_job){
        .session = s, .command = command, .call = *call, .message = json_incref(message)};
    j->job.done = qmp_slow_done;
    s->busy = true;
    vr_flight_begin(s->qmp->flight);
    vr_pool_submit(s->qmp->pool, &j->job);
}

static int qmp_refuse_early(const struct vr_qmp_session *s, const char *name,
                            const struct vr_qmp_command *command, struct vr_error *err)
{
    bool early = command && (command->flags & VR_QMP_EARLY);
    if (!s->negotiated && !early) {
        return vr_err(err, -ENOSYS, "Expecting capabilities negotiation with 'qmp_capabilities'");
    }
    if (!command) {
        const char *why = vr_qmp_why_absent(name);
        return vr_err(err, -ENOSYS, "The command %.80s has not been found%s%s", name,
                      *why ? ": " : "", why);
    }
    if (s->negotiated && early) {
        return vr_err(err, -ENOSYS,
                      "Capabilities negotiation is already complete, command '%s' ignored", name);
    }
    return 0;
}

/* Carry out @message, which has a good shape. */
static void qmp_carry_out(struct vr_qmp_session *s, json_t *message, bool overtakes)
{
    struct vr_error err = {0};
    const char *name =
        json_string_value(json_object_get(message, overtakes ? "exec-oob" : "execute"));
    const struct vr_qmp_command *command = vr_qmp_find_for(s->qmp->vm, name);
    struct vr_qmp_call call = {.vm = s->qmp->vm,
                               .command = command,
                               .args = json_object_get(message, "arguments"),
                               .session = s};
    int r = qmp_refuse_early(s, name, command, &err);
    if (r == 0 && overtakes && !(command->flags & VR_QMP_OOB)) {
        r = vr_err(&err, -EINVAL, "The command %s does not support OOB", name);
    }
    r = r < 0 ? r : vr_qmp_check(command->args, call.args, &err);
    if (r == 0 && (command->flags & VR_QMP_SLOW)) {
        qmp_slow(s, command, &call, message);
        return;
    }
    r = r < 0 ? r : command->run(&call, &err);
    qmp_reply_result(s, message, &call, r, &err);
}

static void qmp_turn(struct vr_qmp_session *s)
{
    while (s->queued && !s->busy) {
        json_t *message = s->queue[0];
        memmove(s->queue, s->queue + 1, --s->queued * sizeof(json_t *));
        qmp_carry_out(s, message, false);
        json_decref(message);
    }
}

/* ---- Coming in ---- */

bool vr_qmp_takes(const struct vr_qmp_session *s)
{
    return s->over ? false : s->oob ? s->queued < QMP_QUEUE : !s->busy;
}

static int qmp_check_shape(const struct vr_qmp_session *s, const json_t *message,
                           bool *ret_overtakes, struct vr_error *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(message)) {
        return vr_err(err, -EINVAL, "QMP input must be a JSON object");
    }
    const json_t *execute = json_object_get(message, "execute");
    const json_t *oob = s->oob ? json_object_get(message, "exec-oob") : NULL;
    json_object_foreach((json_t *)message, key, value)
    {
        if (strcmp(key, "execute") != 0 && strcmp(key, "id") != 0 &&
            strcmp(key, "arguments") != 0 && !(oob && strcmp(key, "exec-oob") == 0)) {
            return vr_err(err, -EINVAL, "QMP input member '%.80s' is unexpected", key);
        }
    }
    if (!execute && !oob) {
        return vr_err(err, -EINVAL, "QMP input lacks member 'execute'");
    }
    if (execute && oob) {
        return vr_err(err, -EINVAL, "QMP input has both 'execute' and 'exec-oob'");
    }
    if (!json_is_string(oob ? oob : execute)) {
        return vr_err(err, -EINVAL, "QMP input member '%s' must be a string",
                      oob ? "exec-oob" : "execute");
    }
    const json_t *args = json_object_get(message, "arguments");
    if (args && !json_is_object(args)) {
        return vr_err(err, -EINVAL, "QMP input member 'arguments' must be an object");
    }
    *ret_overtakes = oob != NULL;
    return 0;
}

static void qmp_message(struct vr_qmp_session *s)
{
    struct vr_error err = {0};
    json_error_t bad;
    bool overtakes = false;
    json_t *message = json_loadb(s->frame.buf, s->frame.len, JSON_REJECT_DUPLICATES, &bad);
    int r = message ? qmp_check_shape(s, message, &overtakes, &err)
                    : vr_err(&err, -EINVAL, "JSON parse error, %s", bad.text);
    if (r < 0) {
        qmp_reply_error(s, json_is_object(message) ? message : NULL, r, err.msg);
    } else if (overtakes) {
        qmp_carry_out(s, message, true);
    } else {
        vr_assert(s->queued < QMP_QUEUE);
        s->queue[s->queued++] = json_incref(message);
        qmp_turn(s);
    }
    json_decref(message);
}

size_t vr_qmp_input(struct vr_qmp_session *s, const char *buf, size_t len)
{
    const char *why = "";
    size_t used = 0;
    vr_assert(vr_qmp_takes(s));
    enum vr_qmp_framed what = vr_qmp_frame_feed(&s->frame, buf, len, &used, &why);
    if (what == VR_QMP_MESSAGE) {
        qmp_message(s);
    } else if (what == VR_QMP_BAD) {
        qmp_reply_error(s, NULL, -EINVAL, why);
    }
    if (what != VR_QMP_MORE) {
        vr_qmp_frame_next(&s->frame);
    }
    return used;
}

/* ---- Beginning and end ---- */

int vr_qmp_negotiate(struct vr_qmp_session *s, const json_t *enable, struct vr_error *err)
{
    bool oob = false;
    for (size_t i = 0; i < json_array_size(enable); i++) {
        const char *name = json_string_value(json_array_get(enable, i));
        if (!name || strcmp(name, "oob") != 0) {
            return vr_err(err, -EINVAL,
                          "Parameter 'enable' does not accept value '%.40s'; there is: oob",
                          name ? name : "");
        }
        oob = true;
    }
    s->negotiated = true;
    s->oob = oob;
    return 0;
}

int vr_qmp_become_console(struct vr_qmp_session *s, unsigned console, struct vr_error *err)
{
    if (!s->io.become_console || s->oob) {
        return vr_err(err, -EINVAL, "not on this connection");
    }
    int r = s->io.become_console(s->io.opaque, console, err);
    s->over = r == 0;
    return r;
}

int vr_qmp_open(struct vr_qmp *qmp, const struct vr_qmp_io *io, struct vr_qmp_session **ret_session,
                struct vr_error *err)
{
    struct vr_qmp_call call = {.vm = qmp->vm};
    struct vr_qmp_session *s = vr_zalloc(sizeof(*s));
    int r = s ? vr_qmp_find("query-version")->run(&call, err)
              : vr_err(err, -ENOMEM, "control socket: no memory for a client");
    if (r < 0) {
        free(s);
        return r;
    }
    s->qmp = qmp;
    s->io = *io;
    *ret_session = s;
    json_t *greeting =
        json_pack("{s:{s:o, s:[s]}}", "QMP", "version", call.ret, "capabilities", "oob");
    qmp_send(s, greeting);
    json_decref(greeting);
    return 0;
}

void vr_qmp_close(struct vr_qmp_session *s)
{
    if (!s) {
        return;
    }
    s->closed = true;
    if (!s->busy) {
        qmp_free(s);
    }
}

int vr_qmp_create(struct vireo_vm *vm, struct vr_qmp **ret_qmp, struct vr_error *err)
{
    struct vr_qmp *qmp = vr_zalloc(sizeof(*qmp));
    if (!qmp) {
        return vr_err(err, -ENOMEM, "control socket: no memory");
    }
    qmp->vm = vm;
    int r = vr_flight_create(vr_machine_loop(vm->machine), &qmp->flight, err);
    r = r < 0 ? r : vr_pool_create("vr-commands", 1, qmp_slow_run, qmp, &qmp->pool, err);
    if (r < 0) {
        vr_qmp_destroy(qmp);
        return vr_err_in(err, r, "control socket");
    }
    *ret_qmp = qmp;
    return 0;
}

void vr_qmp_drain(struct vr_qmp *qmp)
{
    vr_flight_drain(qmp->flight);
}

void vr_qmp_destroy(struct vr_qmp *qmp)
{
    if (qmp) {
        vr_pool_destroy(qmp->pool);
        vr_flight_destroy(qmp->flight);
        free(qmp);
    }
}
