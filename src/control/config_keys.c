/* What the parsers of compound values share: texts that are joined, and the keys that there are. */
#include "base/text.h"
#include "board/catalog.h"
#include "control/config.h"
#include "core/dev.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int vr_config_put(char **text, const char *value, struct vr_error *err)
{
    char *copy = strdup(value);
    if (!copy) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    free(*text);
    *text = copy;
    return 0;
}

int vr_config_join(char **text, const char *sep, const char *more, struct vr_error *err)
{
    size_t old = *text ? strlen(*text) : 0;
    char *both = realloc(*text, old + strlen(sep) + strlen(more) + 1);
    if (!both) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    sprintf(both + old, "%s%s", old || *sep != ' ' ? sep : "", more);
    *text = both;
    return 0;
}

bool vr_config_key(const struct vr_opt *opt, unsigned i, struct vr_opt_key *ret_key)
{
    const struct vr_dev_class *cls = opt->cls ? vr_catalog_find_class(opt->cls) : NULL;
    for (const struct vr_opt_key *k = opt->keys; k && k->name; k++) {
        if (i-- == 0) {
            *ret_key = *k;
            return true;
        }
    }
    for (const struct vr_field *f = cls ? cls->fields : NULL; f && f->name; f++) {
        if (f->role == VR_ROLE_CONFIG && i-- == 0) {
            *ret_key = (struct vr_opt_key){.name = f->name,
                                           .value = f->type == VR_BOOL  ? NULL
                                                    : f->type == VR_STR ? "TEXT"
                                                                        : "NUMBER",
                                           .help = f->help};
            return true;
        }
    }
    return false;
}

/* "unknown key 'x'": with the nearest of those there are. */
int vr_config_unknown_key(const struct vr_opt *opt, const char *key, struct vr_error *err)
{
    enum { KEYS = 48 };
    struct vr_opt_key k;
    const char *names[KEYS];
    char all[160] = "";
    size_t count = 0, len = 0;
    while (count < KEYS && vr_config_key(opt, (unsigned)count, &k)) {
        names[count++] = k.name;
        if (len < sizeof(all)) {
            len += (size_t)snprintf(all + len, sizeof(all) - len, "%s%s", len ? ", " : "", k.name);
        }
    }
    const char *near = vr_nearest(key, names, count);
    return near ? vr_err(err, -EINVAL, "unknown key '%s': did you mean '%s'?", key, near)
                : vr_err(err, -EINVAL, "unknown key '%s': there are %s", key, all);
}

int vr_config_of_class(const struct vr_opt *opt, const char *key, const char *value, char **opts,
                       struct vr_error *err)
{
    const struct vr_dev_class *cls = opt->cls ? vr_catalog_find_class(opt->cls) : NULL;
    const struct vr_field *f = cls ? vr_field_find(cls->fields, key) : NULL;
    if (!f || f->role != VR_ROLE_CONFIG) {
        return 0;
    }
    if (value && strchr(value, ',')) {
        return vr_err(err, -EINVAL, "%s: no commas here", key);
    }
    int r = vr_config_join(opts, *opts ? "," : "", key, err);
    if (r == 0 && value) {
        r = vr_config_join(opts, "=", value, err);
    }
    return r < 0 ? r : 1;
}

int vr_config_bool(const char *key, const char *value, bool *ret_val, struct vr_error *err)
{
    *ret_val = true;
    if (value && vr_parse_bool(value, ret_val) < 0) {
        return vr_err(err, -EINVAL, "%s=%s: expected on or off", key, value);
    }
    return 0;
}
