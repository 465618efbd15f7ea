/* --deterministic, --record and --replay. */
#include "base/text.h"
#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* 2026-01-01: any moment would do, as long as it is the same. */
#define DET_EPOCH_S UINT64_C(1767225600)

enum { DET_HASHES_MIN = 100000 }; /* more of them, and nothing else is done */

const struct vr_opt_key vr_config_det_keys[] = {
    {"seed", "N", "where the guest's entropy comes from; 0, if none is given"},
    {"epoch", "SECONDS",
     "the wall clock's time at power-on, since 1970; 2026-01-01 if none is given"},
    {"hashes", "STEPS",
     "steps between two state hashes, which are also moments that a replay can go back to; "
     "50000000 if none is given"},
    {"idle", "skip|wait",
     "while the guest waits, guest time jumps to its next timer, or passes as the host's does; "
     "wait "
     "with --record, else skip"},
    {"hold", NULL, "stay, paused, at the end of a replay, to look at it"},
    {NULL, NULL, NULL},
};

static int det_key(struct vireo_config *c, const struct vr_opt *opt, const char *key,
                   const char *value, struct vr_error *err)
{
    uint64_t n;
    if (strcmp(key, "hold") == 0) {
        return vr_config_bool(key, value, &c->det.hold, err);
    }
    if (strcmp(key, "idle") == 0) {
        bool wait = value && strcmp(value, "wait") == 0;
        if (!wait && (!value || strcmp(value, "skip") != 0)) {
            return vr_err(err, -EINVAL, "idle=%s: expected skip or wait", value ? value : "");
        }
        c->det.paced = wait;
        c->det_idle_given = true;
        return 0;
    }
    bool seed = strcmp(key, "seed") == 0, hashes = strcmp(key, "hashes") == 0;
    if (!seed && !hashes && strcmp(key, "epoch") != 0) {
        return vr_config_unknown_key(opt, key, err);
    }
    if (!value || vr_parse_u64(value, &n) < 0 || (hashes && n < DET_HASHES_MIN) ||
        (!seed && n > UINT64_MAX / 1000000000)) {
        return vr_err(err, -EINVAL, "%s=%s: expected a number%s", key, value ? value : "",
                      hashes ? ", at least 100000" : "");
    }
    if (hashes) {
        c->det.hash_steps = n;
    } else if (seed) {
        c->det.seed = n;
    } else {
        c->det.epoch_ns = n * 1000000000;
    }
    return 0;
}

int vr_config_det(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    const struct vr_det_opts was = c->det;
    char *key, *value;
    uint64_t n;
    int r;
    c->det = (struct vr_det_opts){.on = true, .epoch_ns = DET_EPOCH_S * 1000000000};
    c->det_idle_given = false;
    if (strcmp(text, "on") == 0 || strcmp(text, "off") == 0) {
        c->det.on = text[1] == 'n';
        return 0;
    }
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        r = !value && vr_parse_u64(key, &n) == 0 ? det_key(c, opt, "seed", key, err)
                                                 : det_key(c, opt, key, value, err);
        free(key);
        if (r < 0) {
            c->det = was;
            return r;
        }
    }
    return r;
}

void vr_config_det_opts(const struct vireo_config *c, struct vr_det_opts *ret_opts)
{
    *ret_opts = c->det;
    ret_opts->record = c->record;
    ret_opts->replay = c->replay;
    ret_opts->on = c->det.on || c->record || c->replay;
    if (!c->det.epoch_ns) {
        ret_opts->epoch_ns = DET_EPOCH_S * 1000000000;
    }
    if (c->record && !c->det_idle_given) {
        ret_opts->paced = true;
    }
}
