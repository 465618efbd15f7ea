/*
 * What a machine that comes may open here. Its settings come with it, so whoever connects to a
 * waiting Vireo names the files that it opens: disks, folders that the guest may then write to,
 * files for a console's output. That takes the word of who waits: files named by options of its
 * own are fine, as are those under the folders of --incoming-files. A unix: socket is this user's
 * alone, who may open them anyway, so there the word is needed only when folders were given.
 *
 * Looked at is what the parser made of the settings, never their text, which could be read in two
 * ways; with every link followed.
 */
#include "control/migrate_rx.h"

#include "base/text.h"
#include "control/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

struct consent {
    const struct vireo_config *mine; /* what this side was told */
    struct vr_error *err;
};

/* Is @path, which is real, @folder or in it? */
static bool consent_in(const char *path, const char *folder)
{
    size_t len = strlen(folder);
    len -= len > 0 && folder[len - 1] == '/';
    return strncmp(path, folder, len) == 0 && (path[len] == '/' || path[len] == 0);
}

/* The real name of @path, the caller's; NULL: there is no such thing. */
static char *consent_real(const char *path)
{
    uv_fs_t req;
    char *real = uv_fs_realpath(NULL, &req, path, NULL) == 0 ? strdup(req.ptr) : NULL;
    uv_fs_req_cleanup(&req);
    return real;
}

/* The same for something that may have to be made: then its folder is what is real. */
static char *consent_real_or_new(const char *path)
{
    char *real = consent_real(path);
    const char *last = strrchr(path, '/');
    if (real || !last || !last[1] || strcmp(last, "/..") == 0 || strcmp(last, "/.") == 0) {
        return real;
    }
    char *folder = strndup(path, last == path ? 1 : (size_t)(last - path));
    char *at = folder ? consent_real(folder) : NULL;
    size_t size = at ? strlen(at) + strlen(last) + 1 : 0;
    real = at ? malloc(size) : NULL;
    if (real) {
        memcpy(real, at, strlen(at));
        memcpy(real + strlen(at), last, strlen(last) + 1);
    }
    free(at);
    free(folder);
    return real;
}

static bool consent_given(const struct consent *k, const char *path)
{
    char *real = consent_real_or_new(path);
    bool in = false;
    for (unsigned i = 0; real && !in && i < k->mine->said_count; i++) {
        const struct vr_config_said *s = &k->mine->said[i];
        char *folder =
            strcmp(s->opt->name, VR_CONFIG_INCOMING_FILES) == 0 ? consent_real(s->value) : NULL;
        in = folder && consent_in(real, folder);
        free(folder);
    }
    free(real);
    return in;
}

/* @path of option @name, if there is one. */
static int consent_file(struct consent *k, const char *name, const char *path)
{
    if (!path || vr_config_given(k->mine, name) || consent_given(k, path)) {
        return 0;
    }
    return vr_err(
        k->err, -EACCES,
        "%s %s: the other side names it, and this one may not open it for that: allow its "
        "folder (--" VR_CONFIG_INCOMING_FILES " DIR), or name one here (--%s)",
        name, path, name);
}

/* One that may say where a file or a socket is: file:PATH, unix:PATH. */
static int consent_spec(struct consent *k, const char *name, const char *spec)
{
    bool path = spec && (strncmp(spec, "file:", 5) == 0 || strncmp(spec, "unix:", 5) == 0);
    return path ? consent_file(k, name, spec + 5) : 0;
}

static int consent_net(struct consent *k, const char *name, const char *backend)
{
    static const char head[] = "stream,path=";
    bool stream = backend && strncmp(backend, head, strlen(head)) == 0;
    return stream ? consent_file(k, name, backend + strlen(head)) : 0;
}

static int consent_device(struct consent *k, const struct vr_config_device *d)
{
    static const char name[] = "device";
    switch (d->end) {
    case VR_VIRT_END_DISK:
        return consent_file(k, name, d->disk.path);
    case VR_VIRT_END_NET:
        return consent_net(k, name, d->net.backend);
    case VR_VIRT_END_SHARE:
        return consent_file(k, name, d->share.path);
    case VR_VIRT_END_CHR:
        return consent_spec(k, name, d->chr);
    case VR_VIRT_END_NONE:
        break;
    }
    return 0;
}

/* Options whose value is the name of a file, and no more. */
static int consent_plain(struct consent *k, const struct vireo_config *c)
{
    int r = 0;
    for (const struct vr_opt *o = vr_config_opts; r == 0 && o->name; o++) {
        char *path;
        if (o->kind == VR_OPT_FILE && !o->apply) {
            memcpy(&path, (const char *)c + o->offset, sizeof(path));
            r = path && vr_word_of(path, o->words, ' ') ? 0 : consent_file(k, o->name, path);
        }
    }
    return r;
}

int vr_mig_consent(const struct vireo_config *c, const struct vireo_config *mine, bool unix_socket,
                   struct vr_error *err)
{
    struct consent k = {.mine = mine, .err = err};
    if (unix_socket && !vr_config_given(mine, VR_CONFIG_INCOMING_FILES)) {
        return 0;
    }
    int r = consent_plain(&k, c);
    r = r < 0 ? r : consent_file(&k, "root", c->root.path);
    r = r < 0 ? r : consent_spec(&k, "console", c->console);
    r = r < 0 ? r : consent_spec(&k, "control", c->control);
    r = r < 0 ? r : consent_spec(&k, "gdb", c->gdb);
    for (unsigned i = 0; r == 0 && i < c->port_count; i++) {
        r = consent_spec(&k, "virtio-console", c->port[i]);
    }
    for (unsigned i = 0; r == 0 && i < c->disk_count; i++) {
        r = consent_file(&k, c->disk[i].cdrom ? "cdrom" : "disk", c->disk[i].path);
    }
    for (unsigned i = 0; r == 0 && i < c->share_count; i++) {
        r = consent_file(&k, "share", c->share[i].path);
    }
    for (unsigned i = 0; r == 0 && i < c->net_count; i++) {
        r = consent_net(&k, "net", c->net[i].backend);
    }
    for (unsigned i = 0; r == 0 && i < c->device_count; i++) {
        r = consent_device(&k, &c->device[i]);
    }
    return r;
}
