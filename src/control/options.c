/* Finding and storing options: see options.h. */
#include "control/options.h"
#include "base/alloc.h"
#include "base/text.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

const struct vr_opt *vr_opt_find(const struct vr_opt *table, const char *name)
{
    for (const struct vr_opt *o = table; o && o->name; o++) {
        if (strcmp(o->name, name) == 0) {
            return o;
        }
    }
    return NULL;
}

const struct vr_opt *vr_opt_letter(const struct vr_opt *table, char letter)
{
    for (const struct vr_opt *o = table; o && o->name; o++) {
        if (letter && o->letter == letter) {
            return o;
        }
    }
    return NULL;
}

static int opt_number(const struct vr_opt *o, void *at, const char *value, struct vr_error *err)
{
    uint64_t v, max = o->max ? o->max : o->kind == VR_OPT_NUMBER ? UINT32_MAX : UINT64_MAX;
    bool size = o->kind == VR_OPT_SIZE;
    int r = size ? vr_parse_size(value, &v) : vr_parse_u64(value, &v);
    if (r == -EINVAL) {
        return vr_err(err, r, "expected a %s", size ? "size such as 512M or 2G" : "number");
    }
    if (r < 0 || v < o->min || v > max) {
        return o->max || r == 0
                   ? vr_err(err, -ERANGE, "expected %" PRIu64 " to %" PRIu64, o->min, max)
                   : vr_err(err, -ERANGE, "larger than any number here");
    }
    if (size) {
        memcpy(at, &v, sizeof(v));
    } else {
        unsigned u = (unsigned)v;
        memcpy(at, &u, sizeof(u));
    }
    return 0;
}

int vr_opt_apply(const struct vr_opt *o, void *target, const char *value, struct vr_error *err)
{
    void *at = (char *)target + o->offset;
    bool on = true;
    char *copy;
    if (o->apply) {
        return o->apply(target, o, value, err);
    }
    switch (o->kind) {
    case VR_OPT_FLAG:
        if (vr_parse_bool(value, &on) < 0) {
            return vr_err(err, -EINVAL, "expected on or off");
        }
        memcpy(at, &on, sizeof(on));
        return 0;
    case VR_OPT_TEXT:
    case VR_OPT_FILE:
        if (!*value && o->kind == VR_OPT_FILE) {
            return vr_err(err, -EINVAL, "expected a path, got nothing");
        }
        copy = strdup(value);
        if (!copy) {
            return vr_err(err, -ENOMEM, "no memory");
        }
        char *old;
        memcpy(&old, at, sizeof(old));
        free(old);
        memcpy(at, &copy, sizeof(copy));
        return 0;
    case VR_OPT_NUMBER:
    case VR_OPT_SIZE:
        break;
    }
    return opt_number(o, at, value, err);
}

void vr_opt_free(const struct vr_opt *table, void *target)
{
    for (const struct vr_opt *o = table; o && o->name; o++) {
        if (!o->apply && (o->kind == VR_OPT_TEXT || o->kind == VR_OPT_FILE)) {
            char *text, *none = NULL;
            void *at = (char *)target + o->offset;
            memcpy(&text, at, sizeof(text));
            free(text);
            memcpy(at, &none, sizeof(none));
        }
    }
}

int vr_opt_piece(const char **text, char **ret_key, char **ret_value, struct vr_error *err)
{
    const char *p = *text;
    if (!p || !*p) {
        return 0;
    }
    char *piece = vr_zalloc(strlen(p) + 1), *to = piece, *value = NULL;
    if (!piece) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    while (*p && (*p != ',' || p[1] == ',')) {
        p += *p == ',';
        if (*p == '=' && !value) {
            *to++ = 0;
            value = to;
        } else {
            *to++ = *p;
        }
        p++;
    }
    *text = *p ? p + 1 : p;
    *ret_key = piece;
    *ret_value = value;
    return 1;
}
