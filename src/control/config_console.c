/* --console and --virtio-console. */
#include "base/bits.h"
#include "base/text.h"
#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct vr_opt_key vr_config_port_keys[] = {
    {"name", "NAME", "a port of this name for programs in the guest, not a console"},
    {NULL, NULL, NULL},
};

int vr_config_chr_check(const char *spec, struct vr_error *err)
{
    static const char *const plain[] = {"stdio", "null", "pty", "mem", "file:PATH", "unix:PATH"};
    if (vr_word(spec, plain, 4) >= 0) {
        return 0;
    }
    if ((strncmp(spec, "file:", 5) == 0 || strncmp(spec, "unix:", 5) == 0) && spec[5]) {
        return 0;
    }
    const char *near = vr_nearest(spec, plain, VR_COUNT(plain));
    return vr_err(err, -EINVAL, "expected stdio, null, pty, mem, file:PATH or unix:PATH%s%s%s",
                  near ? ": did you mean " : "", near ? near : "", near ? "?" : "");
}

int vr_config_console(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err)
{
    struct vireo_config *c = target;
    (void)opt;
    int r = vr_config_chr_check(text, err);
    return r < 0 ? r : vr_config_put(&c->console, text, err);
}

/* ---- --virtio-console SPEC[,name=NAME] ---- */

static int console_port_name(const struct vireo_config *c, const char *name, struct vr_error *err)
{
    enum { NAME_MAX_LEN = 31 };
    if (!name || !*name || strlen(name) > NAME_MAX_LEN || strpbrk(name, "/,")) {
        return vr_err(err, -EINVAL, "name=%s: expected up to %d characters, no / and no comma",
                      name ? name : "", NAME_MAX_LEN);
    }
    for (unsigned i = 0; i < c->port_count; i++) {
        if (c->port_name[i] && strcmp(c->port_name[i], name) == 0) {
            return vr_err(err, -EEXIST, "name=%s: another port has this name", name);
        }
    }
    return 0;
}

int vr_config_port(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    char *spec = NULL, *name = NULL, *key, *value;
    int r;
    if (c->port_count == VR_VIRT_PORTS) {
        return vr_err(err, -ERANGE, "at most %d ports", VR_VIRT_PORTS);
    }
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        if (!spec) {
            if (value) {
                value[-1] = '='; /* a path with this sign in it */
            }
            r = vr_config_chr_check(key, err);
            spec = r < 0 ? NULL : strdup(key);
            r = r < 0 || spec ? r : vr_err(err, -ENOMEM, "no memory");
        } else if (strcmp(key, "name") == 0) {
            free(name);
            r = console_port_name(c, value, err);
            name = r < 0 ? NULL : strdup(value);
            r = r < 0 || name ? r : vr_err(err, -ENOMEM, "no memory");
        } else {
            r = vr_config_unknown_key(opt, key, err);
        }
        free(key);
        if (r < 0) {
            break;
        }
    }
    if (r == 0 && !spec) {
        r = vr_config_chr_check("", err);
    }
    if (r < 0) {
        free(spec);
        free(name);
        return r;
    }
    c->port[c->port_count] = spec;
    c->port_name[c->port_count++] = name;
    return 0;
}
