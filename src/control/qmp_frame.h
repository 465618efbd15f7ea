/*
 * Where one JSON message ends and the next begins, in a stream that may be cut anywhere, from a
 * peer who may be hostile. Only brackets and strings are looked at; whether it is JSON is for the
 * parser.
 */
#ifndef VR_CONTROL_QMP_FRAME_H
#define VR_CONTROL_QMP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

enum { VR_QMP_MESSAGE_MAX = 1 << 20, VR_QMP_DEPTH_MAX = 64 };

struct vr_qmp_frame {
    char *buf; /* the message so far; owned */
    size_t len, cap;
    unsigned depth;
    bool in_string, escaped;
    bool skipping; /* to the end of the line: what comes has no meaning */
};

enum vr_qmp_framed {
    VR_QMP_MORE,    /* everything was taken, no message is whole yet */
    VR_QMP_MESSAGE, /* buf and len are one: an object or array, as far as brackets tell */
    VR_QMP_BAD,     /* what came can be no message; the rest of its line is left out */
};

/* Take bytes, up to the end of a message at most; *ret_used says how many. After MESSAGE or BAD
 * vr_qmp_frame_next comes first. *ret_why: of BAD, static. */
enum vr_qmp_framed vr_qmp_frame_feed(struct vr_qmp_frame *frame, const char *buf, size_t len,
                                     size_t *ret_used, const char **ret_why);
void vr_qmp_frame_next(struct vr_qmp_frame *frame);
void vr_qmp_frame_fini(struct vr_qmp_frame *frame);

#endif
