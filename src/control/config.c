/* Configurations: made, set, completed with the command's defaults. What each option does:
 * config_opts.c. */
#include "control/config.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/text.h"
#include "board/catalog.h"
#include "control/snapshot.h"
#include "vr_config.h"

#include <errno.h>
#include <string.h>

int vireo_config_create(struct vireo_config **ret_config, struct vr_error *err)
{
    struct vireo_config *c = vr_zalloc(sizeof(*c));
    if (!c) {
        return vr_err(err, -ENOMEM, "no memory for a configuration");
    }
    int r = 0;
    for (const struct vr_opt *o = vr_config_opts; r == 0 && o->name; o++) {
        if (o->def) {
            r = vr_opt_apply(o, c, o->def, err);
        }
    }
    if (r < 0) {
        vireo_config_destroy(c);
        return r;
    }
    *ret_config = c;
    return 0;
}

void vireo_config_destroy(struct vireo_config *c)
{
    if (!c) {
        return;
    }
    for (unsigned i = 0; i < c->disk_count; i++) {
        vr_config_disk_fini(&c->disk[i]);
    }
    for (unsigned i = 0; i < c->device_count; i++) {
        vr_config_device_fini(&c->device[i]);
    }
    vr_config_drop_classes(c);
    for (unsigned i = 0; i < c->net_count; i++) {
        vr_config_net_fini(&c->net[i]);
    }
    for (unsigned i = 0; i < c->share_count; i++) {
        vr_config_share_fini(&c->share[i]);
    }
    vr_config_share_fini(&c->root);
    for (unsigned i = 0; i < c->port_count; i++) {
        free(c->port[i]);
        free(c->port_name[i]);
    }
    for (unsigned i = 0; i < c->said_count; i++) {
        free(c->said[i].value);
    }
    free(c->said);
    vr_opt_free(vr_config_opts, c);
    free(c->name);
    free(c->control);
    free(c->append);
    free(c->console);
    free(c->gdb);
    free(c->publish);
    free(c->balloon_opts);
    free(c->rng_opts);
    free(c);
}

/* Note a setting that was made. */
static int config_say(struct vireo_config *c, const struct vr_opt *opt, const char *value,
                      const char *why, struct vr_error *err)
{
    struct vr_config_said *said = realloc(c->said, (c->said_count + 1) * sizeof(*said));
    char *copy = strdup(value);
    c->said = said ? said : c->said;
    if (!said || !copy) {
        free(copy);
        return vr_err(err, -ENOMEM, "no memory");
    }
    said[c->said_count++] = (struct vr_config_said){.opt = opt, .value = copy, .why = why};
    return 0;
}

int vr_config_apply(struct vireo_config *c, const struct vr_opt *opt, const char *value,
                    struct vr_error *err)
{
    int r = vr_opt_apply(opt, c, value, err);
    if (r == 0) {
        c->given |= UINT64_C(1) << (opt - vr_config_opts);
        r = config_say(c, opt, value, NULL, err);
    }
    return r;
}

int vr_config_apply_default(struct vireo_config *c, const struct vr_opt *opt, const char *value,
                            const char *why, struct vr_error *err)
{
    int r = vr_opt_apply(opt, c, value, err);
    return r < 0 ? r : config_say(c, opt, value, why, err);
}

bool vr_config_given(const struct vireo_config *c, const char *key)
{
    const struct vr_opt *o = vr_opt_find(vr_config_opts, key);
    return o && (c->given >> (o - vr_config_opts) & 1);
}

/* Defaults that follow from other settings. */
static void config_default(const struct vireo_config *c, const struct vr_opt *o,
                           const char **ret_value, const char **ret_why)
{
    *ret_value = o->cmd_def ? o->cmd_def : o->def;
    *ret_why = o->why ? o->why : "nothing else was asked for";
    if (strcmp(o->name, "net") == 0) {
        if (!VR_HAVE_SLIRP) {
            *ret_value = "none";
            *ret_why = "this vireo was built without the user-mode network";
        } else if (c->firmware && strcmp(c->firmware, "none") == 0 && !c->publish) {
            *ret_value = "none";
            *ret_why = "a bare-metal program was given";
        } else if (c->det.on && !c->record && !c->replay && !c->publish) {
            *ret_value = "none";
            *ret_why =
                "deterministic: a network answers when it likes; --record keeps what it says";
        }
    }
    for (unsigned i = 0; strcmp(o->name, "console") == 0 && i < c->port_count; i++) {
        if (strcmp(c->port[i], "stdio") == 0) {
            *ret_value = "null";
            *ret_why = "a virtio console has stdio";
        }
    }
}

/* By the user, or as the default of who saved it. */
static bool config_is_said(const struct vireo_config *c, const struct vr_opt *opt)
{
    for (unsigned i = 0; i < c->said_count; i++) {
        if (c->said[i].opt == opt) {
            return true;
        }
    }
    return false;
}

int vr_config_command_defaults(struct vireo_config *c, bool host, struct vr_error *err)
{
    int r = 0;
    for (const struct vr_opt *o = vr_config_opts; r == 0 && o->name; o++) {
        const char *value, *why;
        config_default(c, o, &value, &why);
        if (value && !config_is_said(c, o) && (o->host || !host)) {
            r = vr_config_apply_default(c, o, value, why, err);
        }
    }
    return r;
}

int vireo_config_set(struct vireo_config *c, const char *key, const char *value,
                     struct vr_error *err)
{
    const struct vr_opt *opt = vr_opt_find(vr_config_opts, key);
    if (!opt) {
        const char *names[64];
        size_t count = 0;
        for (const struct vr_opt *o = vr_config_opts; o->name && count < VR_COUNT(names); o++) {
            names[count++] = o->name;
        }
        const char *near = vr_nearest(key, names, count);
        return vr_err(err, -EINVAL, "no setting '%s'%s%s%s", key, near ? ": did you mean '" : "",
                      near ? near : "", near ? "'?" : "; 'vireo help run' lists them");
    }
    if (!value) {
        return vr_err(err, -EINVAL, "%s: no value given", key);
    }
    int r = vr_config_apply(c, opt, value, err);
    return r < 0 ? vr_err_in(err, r, "%s=%s", key, value) : 0;
}

void vireo_config_on_log(struct vireo_config *c, enum vireo_log_level level,
                         void (*fn)(void *opaque, enum vireo_log_level level, const char *who,
                                    const char *line),
                         void *opaque)
{
    c->log_level = level;
    c->log_fn = fn;
    c->log_opaque = opaque;
}

int vr_config_identify(const char *path, const char **ret_key, const char **ret_what,
                       struct vr_error *err)
{
    enum vr_catalog_use use;
    if (vr_snapshot_is(path)) {
        *ret_key = "snapshot";
        *ret_what = "a snapshot of a machine";
        return 0;
    }
    int r = vr_catalog_identify(path, &use, ret_what, err);
    if (r == 0) {
        *ret_key = use == VR_USE_KERNEL ? "kernel" : use == VR_USE_ROOT ? "root" : "disk";
    }
    return r;
}
