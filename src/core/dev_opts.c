/* "key=value,key,key=value": the options of a device, as its field table declares them. */
#include "base/alloc.h"
#include "base/text.h"
#include "core/dev_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { OPT_MAX = 32, OPT_TEXT = 256 }; /* names offered in a message; bytes of one key=value */

static int opt_unknown(const struct vr_dev *dev, const char *key, struct vr_error *err)
{
    const char *names[OPT_MAX];
    char all[160] = "";
    size_t count = 0, len = 0;
    for (const struct vr_field *f = dev->cls->fields; f && f->name && count < OPT_MAX; f++) {
        if (f->role == VR_ROLE_CONFIG) {
            names[count++] = f->name;
            if (len < sizeof(all)) {
                len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "",
                                        f->name);
            }
        }
    }
    if (count == 0) {
        return vr_err(err, -EINVAL, "unknown option '%s': %s takes no options", key,
                      dev->cls->name);
    }
    const char *near = vr_nearest(key, names, count);
    if (near) {
        return vr_err(err, -EINVAL, "unknown option '%s': did you mean '%s'?", key, near);
    }
    return vr_err(err, -EINVAL, "unknown option '%s': %s takes %s", key, dev->cls->name, all);
}

static int opt_number(struct vr_dev *dev, const struct vr_field *f, const char *val,
                      struct vr_error *err)
{
    uint64_t v;
    int r = vr_parse_size(val, &v);
    if (r == -EINVAL) {
        return vr_err(err, r, "%s=%s: expected a number (%s)", f->name, val, f->help);
    }
    if (r < 0 || !vr_field_ok(f, v)) {
        unsigned bits = 8 * f->elem_size;
        uint64_t top = bits >= 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
        return vr_err(err, -ERANGE, "%s=%s: expected %" PRIu64 "..%" PRIu64 " (%s)", f->name, val,
                      f->min, f->max ? f->max : top, f->help);
    }
    vr_field_set(dev, f, 0, v);
    return 0;
}

/* One option; @val NULL: a bare key. */
static int opt_set(struct vr_dev *dev, const struct vr_field *f, const char *val,
                   struct vr_error *err)
{
    if (f->type == VR_BOOL) {
        bool v = true;
        if (val && vr_parse_bool(val, &v) < 0) {
            return vr_err(err, -EINVAL, "%s=%s: expected on or off (%s)", f->name, val, f->help);
        }
        vr_field_set(dev, f, 0, v);
        return 0;
    }
    if (!val) {
        return vr_err(err, -EINVAL, "option '%s' needs a value: %s=... (%s)", f->name, f->name,
                      f->help);
    }
    if (f->type == VR_STR) {
        size_t len = strlen(val);
        if (len >= f->count) {
            return vr_err(err, -ERANGE, "%s=%s: longer than %u characters", f->name, val,
                          f->count - 1);
        }
        memset((char *)dev + f->offset, 0, f->count);
        memcpy((char *)dev + f->offset, val, len);
        return 0;
    }
    return opt_number(dev, f, val, err);
}

int vr_dev_parse_opts(struct vr_dev *dev, const char *opts, struct vr_error *err)
{
    while (opts && *opts) {
        char text[OPT_TEXT];
        size_t len = strcspn(opts, ",");
        if (len >= sizeof(text)) {
            return vr_err(err, -EINVAL, "option '%.40s...' is too long", opts);
        }
        memcpy(text, opts, len);
        text[len] = 0;
        opts += len + (opts[len] == ',');
        if (len == 0) {
            return vr_err(err, -EINVAL, "empty option: expected key=value,key=value");
        }
        char *val = strchr(text, '=');
        if (val) {
            *val++ = 0;
        }
        const struct vr_field *f = vr_field_find(dev->cls->fields, text);
        if (!f || f->role != VR_ROLE_CONFIG) {
            return opt_unknown(dev, text, err);
        }
        int r = opt_set(dev, f, val, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}
