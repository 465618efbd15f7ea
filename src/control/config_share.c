/* --share and --root: directories of the host for the guest. */
#include "base/bits.h"
#include "base/text.h"
#include "control/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SHARE_EXPECTED "expected DIR[:TAG][,ro][,cache=auto|always|never][,locks][,uid=N][,gid=N]"

const struct vr_opt_key vr_config_share_keys[] = {
    {"path", "DIR[:TAG]", "the directory; the key may be left out when it comes first"},
    {"tag", "TAG", "the name that the guest mounts it by: mount -t virtiofs TAG /mnt"},
    {"ro", NULL, "the guest cannot change it"},
    {"cache", "auto|always|never",
     "how long the guest may go by what it knows: a second; for ever, when nobody else changes "
     "files there (fastest); not at all"},
    {"locks", NULL, "the guest's file locks are the host's, seen by its programs and other guests"},
    {"uid", "NUMBER", "the guest's user that your files belong to (0, root)"},
    {"gid", "NUMBER", "the same for the group"},
    {"iothread", "NUMBER", "the I/O thread that serves it, from 0 (--io-threads)"},
    {NULL, NULL, NULL},
};

void vr_config_share_fini(struct vr_virt_share *s)
{
    free(s->path);
    free(s->tag);
}

static int share_text(char **to, const char *text, size_t len, struct vr_error *err)
{
    free(*to);
    *to = strndup(text, len);
    return *to ? 0 : vr_err(err, -ENOMEM, "no memory");
}

static int share_tag(struct vr_virt_share *s, const char *tag, struct vr_error *err)
{
    size_t len = strlen(tag);
    if (len == 0 || len > VR_VIRT_TAG_MAX || strchr(tag, ',')) {
        return vr_err(err, -EINVAL, "tag '%s': expected 1 to %d characters, no commas", tag,
                      VR_VIRT_TAG_MAX);
    }
    return share_text(&s->tag, tag, len, err);
}

/* DIR[:TAG]: what follows the last colon is a tag if it could not be a path. */
static int share_path(struct vr_virt_share *s, const char *text, bool tagged, struct vr_error *err)
{
    const char *colon = tagged ? strrchr(text, ':') : NULL;
    size_t len = strlen(text);
    int r = 0;
    if (colon && colon > text && !strchr(colon, '/')) {
        len = (size_t)(colon - text);
        r = share_tag(s, colon + 1, err);
    }
    if (r == 0 && len == 0) {
        r = vr_err(err, -EINVAL, SHARE_EXPECTED);
    }
    return r < 0 ? r : share_text(&s->path, text, len, err);
}

static int share_cache(struct vr_virt_share *s, const char *value, struct vr_error *err)
{
    static const char *const names[] = {[VR_FS_CACHE_AUTO] = "auto",
                                        [VR_FS_CACHE_ALWAYS] = "always",
                                        [VR_FS_CACHE_NEVER] = "never"};
    int i = value ? vr_word(value, names, VR_COUNT(names)) : -1;
    if (i < 0) {
        return vr_err(err, -EINVAL, "cache=%s: expected auto, always or never", value ? value : "");
    }
    s->cache = (enum vr_fs_cache)i;
    return 0;
}

static int share_number(const char *key, const char *value, uint32_t *ret, struct vr_error *err)
{
    uint64_t n;
    if (!value || vr_parse_u64(value, &n) < 0 || n >= UINT32_MAX) {
        return vr_err(err, -EINVAL, "%s=%s: expected a number", key, value ? value : "");
    }
    *ret = (uint32_t)n;
    return 0;
}

static int share_key(struct vr_virt_share *s, const struct vr_opt *opt, const char *key,
                     const char *value, struct vr_error *err)
{
    if (strcmp(key, "ro") == 0) {
        return vr_config_bool(key, value, &s->read_only, err);
    }
    if (strcmp(key, "locks") == 0) {
        return vr_config_bool(key, value, &s->host_locks, err);
    }
    if (strcmp(key, "iothread") == 0) {
        return vr_config_io_thread(value, &s->io_thread, err);
    }
    if (strcmp(key, "cache") == 0) {
        return share_cache(s, value, err);
    }
    if (strcmp(key, "uid") == 0) {
        return share_number(key, value, &s->uid, err);
    }
    if (strcmp(key, "gid") == 0) {
        return share_number(key, value, &s->gid, err);
    }
    if (strcmp(key, "tag") == 0) {
        return share_tag(s, value ? value : "", err);
    }
    return vr_config_unknown_key(opt, key, err);
}

static int share_parse(const struct vr_opt *opt, const char *text, bool tagged,
                       struct vr_virt_share *s, struct vr_error *err)
{
    char *key, *value;
    int r;
    while ((r = vr_opt_piece(&text, &key, &value, err)) == 1) {
        if (s->path) {
            r = share_key(s, opt, key, value, err);
        } else if (value && strcmp(key, "path") == 0) {
            r = share_path(s, value, tagged, err);
        } else {
            if (value) {
                value[-1] = '='; /* a path with this sign in it */
            }
            r = share_path(s, key, tagged, err);
        }
        free(key);
        if (r < 0) {
            return r;
        }
    }
    return r < 0 || s->path ? r : vr_err(err, -EINVAL, SHARE_EXPECTED);
}

int vr_config_share_parse(const struct vr_opt *opt, const char *text, const char *tag,
                          struct vr_virt_share *ret_share, struct vr_error *err)
{
    struct vr_virt_share s = {.path = NULL};
    int r = share_parse(opt, text, true, &s, err);
    r = r == 0 && !s.tag ? share_tag(&s, tag, err) : r;
    if (r < 0) {
        vr_config_share_fini(&s);
        return r;
    }
    *ret_share = s;
    return 0;
}

int vr_config_share(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    struct vr_virt_share s;
    char tag[16];
    if (c->share_count == VR_VIRT_SHARES) {
        return vr_err(err, -ERANGE, "at most %d shares", VR_VIRT_SHARES);
    }
    snprintf(tag, sizeof(tag), c->share_count ? "share%u" : "share", c->share_count);
    int r = vr_config_share_parse(opt, text, tag, &s, err);
    if (r < 0) {
        return r;
    }
    bool taken = strcmp(s.tag, VR_CONFIG_ROOT_TAG) == 0;
    for (unsigned i = 0; i < c->share_count; i++) {
        taken |= strcmp(c->share[i].tag, s.tag) == 0;
    }
    if (taken) {
        r = vr_err(err, -EINVAL, "tag '%s' is taken: name another one, DIR:TAG", s.tag);
        vr_config_share_fini(&s);
        return r;
    }
    c->share[c->share_count++] = s;
    return 0;
}

int vr_config_root(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    struct vireo_config *c = target;
    struct vr_virt_share s = {.path = NULL};
    int r = share_parse(opt, text, false, &s, err);
    r = r < 0 ? r : share_tag(&s, VR_CONFIG_ROOT_TAG, err);
    if (r < 0) {
        vr_config_share_fini(&s);
        return r;
    }
    vr_config_share_fini(&c->root);
    c->root = s;
    return 0;
}
