/*
 * Why a call failed, for a human.
 *
 * Functions that can fail return a negative errno value (-EINVAL, -ENOENT, ...) and take a
 * `struct vr_error *` as last argument; NULL means "not interested". On success the struct is
 * untouched. The message says what failed, why, and what to do, in one line without a newline.
 */
#ifndef VIREO_ERROR_H
#define VIREO_ERROR_H

/* A result that must be looked at. */
#define VIREO_MUST __attribute__((warn_unused_result))

/* Lives on the caller's stack and owns nothing. */
struct vr_error {
    int code;      /* the negative errno that the failed function returned */
    char msg[252]; /* always terminated */
};

#endif
