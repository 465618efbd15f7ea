/* Cutting a stream into JSON messages (RFC 8259, section 2: structural characters; section 7:
 * strings). */
#include "control/qmp_frame.h"

#include <stdlib.h>
#include <string.h>

enum { FRAME_KEEP = 64 << 10 }; /* a larger buffer is not kept for the next message */

static bool frame_put(struct vr_qmp_frame *f, char c)
{
    if (f->len == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 256;
        char *buf = realloc(f->buf, cap);
        if (!buf) {
            return false;
        }
        f->buf = buf;
        f->cap = cap;
    }
    f->buf[f->len++] = c;
    return true;
}

static bool frame_is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* Look at a byte of a message. True: it was the last one. */
static bool frame_byte(struct vr_qmp_frame *f, char c)
{
    if (f->in_string) {
        if (f->escaped) {
            f->escaped = false;
        } else if (c == '\\') {
            f->escaped = true;
        } else if (c == '"') {
            f->in_string = false;
        }
        return false;
    }
    if (c == '"') {
        f->in_string = true;
    } else if (c == '{' || c == '[') {
        f->depth++;
    } else if (c == '}' || c == ']') {
        return --f->depth == 0;
    }
    return false;
}

static enum vr_qmp_framed frame_bad(struct vr_qmp_frame *f, char c, const char *why,
                                    const char **ret_why)
{
    f->skipping = c != '\n';
    *ret_why = why;
    return VR_QMP_BAD;
}

enum vr_qmp_framed vr_qmp_frame_feed(struct vr_qmp_frame *f, const char *buf, size_t len,
                                     size_t *ret_used, const char **ret_why)
{
    for (size_t i = 0; i < len; i++) {
        char c = buf[i];
        *ret_used = i + 1;
        if (f->skipping) {
            f->skipping = c != '\n';
            continue;
        }
        if (f->depth == 0 && frame_is_blank(c)) {
            continue;
        }
        if (f->depth == 0 && c != '{' && c != '[') {
            return frame_bad(f, c, "JSON parse error, expected an object", ret_why);
        }
        if (f->len == VR_QMP_MESSAGE_MAX || f->depth == VR_QMP_DEPTH_MAX) {
            return frame_bad(f, c,
                             f->depth == VR_QMP_DEPTH_MAX
                                 ? "JSON parse error, more than 64 brackets in each other"
                                 : "message is longer than 1 MiB",
                             ret_why);
        }
        if (!frame_put(f, c)) {
            return frame_bad(f, c, "no memory for the message", ret_why);
        }
        if (frame_byte(f, c)) {
            return VR_QMP_MESSAGE;
        }
    }
    *ret_used = len;
    return VR_QMP_MORE;
}

void vr_qmp_frame_next(struct vr_qmp_frame *f)
{
    f->len = 0;
    f->depth = 0;
    f->in_string = f->escaped = false;
    if (f->cap > FRAME_KEEP) {
        free(f->buf);
        f->buf = NULL;
        f->cap = 0;
    }
}

void vr_qmp_frame_fini(struct vr_qmp_frame *f)
{
    free(f->buf);
    *f = (struct vr_qmp_frame){.buf = NULL};
}
