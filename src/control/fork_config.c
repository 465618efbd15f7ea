/* The configuration of a clone: the parent's settings, one by one, but for what two machines cannot
 * both have. */
#include "base/bits.h"
#include "control/config.h"
#include "control/fork.h"
#include "platform/random.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* @value without the pieces called by one of @drop; *ret_text is the caller's, NULL: nothing is
 * left. */
static int clone_without(const char *value, const char *const *drop, unsigned drops,
                         char **ret_text, struct vr_error *err)
{
    char *text = NULL, *key, *val;
    int r;
    while ((r = vr_opt_piece(&value, &key, &val, err)) == 1) {
        bool keep = true;
        for (unsigned i = 0; i < drops; i++) {
            keep = keep && strcmp(key, drop[i]) != 0;
        }
        r = keep ? vr_config_join_piece(&text, key, val, err) : 0;
        free(key);
        if (r < 0) {
            break;
        }
    }
    if (r < 0) {
        free(text);
        return r;
    }
    *ret_text = text;
    return 0;
}

/* A card of its own: a local address (its second lowest bit) that nobody else has. */
static int clone_net(struct vireo_config *c, const char *value, struct vr_error *err)
{
    static const char *const drop[] = {"hostfwd", "mac"};
    uint8_t b[4];
    char mac[24], *text = NULL;
    if (strcmp(value, "none") == 0) {
        return vireo_config_set(c, "net", value, err);
    }
    int r = clone_without(value, drop, VR_COUNT(drop), &text, err);
    r = r < 0 ? r : vr_random_bytes(b, sizeof(b), err);
    if (r == 0) {
        snprintf(mac, sizeof(mac), "52:56:%02x:%02x:%02x:%02x", b[0], b[1], b[2], b[3]);
        r = vr_config_join_piece(&text, "mac", mac, err);
    }
    r = r < 0 ? r : vireo_config_set(c, "net", text, err);
    free(text);
    return r;
}

static int clone_port(struct vireo_config *c, const char *value, struct vr_error *err)
{
    char *text = NULL, *key, *val;
    int r = vr_opt_piece(&value, &key, &val, err);
    if (r == 1) {
        r = vr_config_join_piece(&text, strcmp(key, "mem") == 0 && !val ? "mem" : "null", NULL,
                                 err);
        free(key);
    }
    if (r == 0 && value && *value) { /* its name */
        r = vr_config_join(&text, ",", value, err);
    }
    r = r < 0 ? r : vireo_config_set(c, "virtio-console", text, err);
    free(text);
    return r;
}

static int clone_jit(struct vireo_config *c, const char *value, struct vr_error *err)
{
    static const char *const drop[] = {"dump", "perf"};
    char *text;
    int r = clone_without(value, drop, VR_COUNT(drop), &text, err);
    r = r < 0 || !text ? r : vireo_config_set(c, "jit", text, err);
    free(r < 0 ? NULL : text);
    return r;
}

static int clone_setting(struct vireo_config *c, const struct vr_config_said *said,
                         struct vr_error *err)
{
    const char *name = said->opt->name, *value = said->value;
    if (said->opt->once || said->opt->alone) {
        return 0;
    }
    if (strcmp(name, "net") == 0) {
        return clone_net(c, value, err);
    }
    if (strcmp(name, "virtio-console") == 0) {
        return clone_port(c, value, err);
    }
    if (strcmp(name, "jit") == 0) {
        return clone_jit(c, value, err);
    }
    if (strcmp(name, "console") == 0 && strcmp(value, "mem") != 0) {
        value = "null";
    }
    if (strcmp(name, "control") == 0 && strncmp(value, "unix:", 5) == 0) {
        value = "none";
    }
    return said->why ? vr_config_apply_default(c, said->opt, value, said->why, err)
                     : vr_config_apply(c, said->opt, value, err);
}

int vireo_fork_config(const struct vireo_fork *fork, struct vireo_config **ret_config,
                      struct vr_error *err)
{
    const struct vireo_config *from = fork->config;
    struct vireo_config *c;
    int r = vireo_config_create(&c, err);
    if (r < 0) {
        return r;
    }
    c->loading = true;
    for (unsigned i = 0; r == 0 && i < from->said_count; i++) {
        r = clone_setting(c, &from->said[i], err);
    }
    c->loading = false;
    if (r == 0 && from->publish && from->net_count == 0) { /* the network that it implied */
        r = clone_net(c, "user", err);
    }
    if (r == 0) { /* as a default: the first of NAME, NAME2, ... that is free */
        r = vr_config_apply_default(c, vr_opt_find(vr_config_opts, "name"), fork->name,
                                    "a clone's name is its parent's, with a number", err);
    }
    if (r < 0) {
        vireo_config_destroy(c);
        return vr_err_in(err, r, "a clone's configuration");
    }
    *ret_config = c;
    return 0;
}
