/* The other side of a control socket: asking a running machine. One thread. */
#ifndef VR_CONTROL_CLIENT_H
#define VR_CONTROL_CLIENT_H

#include "base/err.h"
#include "platform/stream.h"
#include <jansson.h>

struct vr_client;

enum { VR_CLIENT_MS = 10000 }; /* how long an answer may take */

/* Connect to machine @name, or to the socket at a path (with a '/'); NULL: the only machine that
 * runs. -ENOENT: there is none, the message names the nearest; -EINVAL: NULL, and several run;
 * -ETIMEDOUT: it does not answer within @timeout_ms. */
int vr_client_open(const char *name, int timeout_ms, struct vr_client **ret_client,
                   struct vr_error *err) VR_MUST;
void vr_client_close(struct vr_client *client); /* NULL is fine */
const char *vr_client_name(const struct vr_client *client);

/* Carry out @command with @args (taken; NULL: none); *ret_json (if not NULL) is what it returned,
 * the caller's. Errors of the machine: -EREMOTEIO and its words. -ETIMEDOUT: no answer within
 * @timeout_ms; -EPIPE: it has gone. */
int vr_client_ask(struct vr_client *client, const char *command, json_t *args, int timeout_ms,
                  json_t **ret_json, struct vr_error *err) VR_MUST;
/* Descriptors that came with answers, at most @max; the caller's. Returns how many. */
unsigned vr_client_take_fds(struct vr_client *client, int *ret_fds, unsigned max);
/* The next event, which may have come during an ask; the caller's. -EPIPE: the machine has gone;
 * -ETIMEDOUT. */
int vr_client_event(struct vr_client *client, int timeout_ms, json_t **ret_event,
                    struct vr_error *err) VR_MUST;
/* After @command, whose answer is the last line, the connection is a stream of bytes: *ret_stream,
 * the client's. What of it came already is in *ret_buf, *ret_len. */
int vr_client_become(struct vr_client *client, const char *command, json_t *args,
                     struct vr_stream **ret_stream, const char **ret_buf, size_t *ret_len,
                     struct vr_error *err) VR_MUST;

/* The process that machine @name runs in, without asking it. -ENOENT. */
int vr_client_process(const char *name, uint64_t *ret_pid, struct vr_error *err) VR_MUST;

#endif
