/* --engine, --mirror, --mmu and --jit: how guest code runs. */
#include "base/bits.h"
#include "base/text.h"
#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

const struct vr_opt_key vr_config_jit_keys[] = {
    {"hot", "COUNT", "compile what was entered this often; 1: everything"},
    {"code", "SIZE", "memory for code, for each hart; when it is full, all is compiled anew"},
    {"dump", "FROM-TO",
     "what is compiled of code at these guest addresses, in /tmp/vireo-jit-PID.s, for as(1)"},
    {"perf", NULL, "tell perf(1) the names of compiled code, in /tmp/perf-PID.map"},
    {"stats", NULL, "one line in the end: what was compiled, and how often it was dropped"},
    {NULL, NULL, NULL},
};

int vr_config_engine(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    static const char *const names[] = {[VR_VIRT_ENGINE_AUTO] = "auto",
                                        [VR_VIRT_ENGINE_INTERP] = "interp",
                                        [VR_VIRT_ENGINE_JIT] = "jit",
                                        [VR_VIRT_ENGINE_LOCKSTEP] = "lockstep"};
    int i = vr_word(text, names, VR_COUNT(names));
    (void)opt;
    if (i < 0) {
        return vr_err(err, -EINVAL,
                      "expected auto, jit, interp or lockstep, the engines that this version has");
    }
    ((struct vireo_config *)target)->engine = (enum vr_virt_engine)i;
    return 0;
}

int vr_config_mirror(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    static const char *const names[] = {[VR_JIT_MIRROR_OFF] = "off",
                                        [VR_JIT_MIRROR_AUTO] = "auto",
                                        [VR_JIT_MIRROR_ALWAYS] = "always"};
    int i = vr_word(text, names, VR_COUNT(names));
    (void)opt;
    if (i < 0) {
        return vr_err(err, -EINVAL, "expected auto, off or always");
    }
    ((struct vireo_config *)target)->jit.mirror = (enum vr_jit_mirror)i;
    return 0;
}

int vr_config_mmu(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    static const char *const names[] = {[VR_VIRT_MMU_AUTO] = "auto",
                                        [VR_VIRT_MMU_SV39] = "sv39",
                                        [VR_VIRT_MMU_SV48] = "sv48",
                                        [VR_VIRT_MMU_SV57] = "sv57"};
    int i = vr_word(text, names, VR_COUNT(names));
    (void)opt;
    if (i < 0) {
        return vr_err(err, -EINVAL, "expected auto, sv39, sv48 or sv57");
    }
    ((struct vireo_config *)target)->mmu = (enum vr_virt_mmu)i;
    return 0;
}

/* ---- --jit hot=N,code=SIZE,perf,stats ---- */

static int engine_jit_dump(struct vireo_config *c, const char *value, struct vr_error *err)
{
    const char *dash = value ? strchr(value, '-') : NULL;
    char from[32] = "";
    uint64_t begin, end;
    if (dash && (size_t)(dash - value) < sizeof(from)) {
        memcpy(from, value, (size_t)(dash - value));
    }
    if (!dash || vr_parse_u64(from, &begin) < 0 || vr_parse_u64(dash + 1, &end) < 0 ||
        begin >= end) {
        return vr_err(err, -EINVAL, "dump=%s: expected FROM-TO, as in 0x80000000-0x80001000",
                      value ? value : "");
    }
    c->jit_dump_begin = begin;
    c->jit_dump_end = end;
    return 0;
}

static int engine_jit_key(struct vireo_config *c, const struct vr_opt *opt, const char *key,
                          const char *value, struct vr_error *err)
{
    uint64_t n;
    if (strcmp(key, "perf") == 0) {
        return vr_config_bool(key, value, &c->jit_perf, err);
    }
    if (strcmp(key, "stats") == 0) {
        return vr_config_bool(key, value, &c->jit_stats, err);
    }
    if (strcmp(key, "dump") == 0) {
        return engine_jit_dump(c, value, err);
    }
    if (strcmp(key, "hot") == 0) {
        if (!value || vr_parse_u64(value, &n) < 0 || n < 1 || n > VR_JIT_HOT_MAX) {
            return vr_err(err, -EINVAL, "hot=%s: expected 1 to %d", value ? value : "",
                          VR_JIT_HOT_MAX);
        }
        c->jit.hot = (uint32_t)n;
        return 0;
    }
    if (strcmp(key, "code") == 0) {
        if (!value || vr_parse_size(value, &n) < 0 || n < VR_JIT_CODE_MIN || n > VR_JIT_CODE_MAX) {
            return vr_err(err, -EINVAL, "code=%s: expected %dK to %dM", value ? value : "",
                          VR_JIT_CODE_MIN >> 10, VR_JIT_CODE_MAX >> 20);
        }
        c->jit.code_bytes = (uint32_t)n;
        return 0;
    }
    return vr_config_unknown_key(opt, key, err);
}

int vr_config_jit(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    char *key, *value;
    int r;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        r = engine_jit_key(target, opt, key, value, err);
        free(key);
        if (r < 0) {
            break;
        }
    }
    return r;
}
