/* Where a user's files belong: XDG Base Directory Specification 0.8. */
#include "base/bits.h"
#include "vireo/platform.h"

#include "base/err.h"
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct {
    const char *variable, *below_home, *end;
} paths[] = {
    [VIREO_PATH_CONFIG] = {"XDG_CONFIG_HOME", "/.config", "/vireo"},
    [VIREO_PATH_DATA] = {"XDG_DATA_HOME", "/.local/share", "/vireo"},
    [VIREO_PATH_CACHE] = {"XDG_CACHE_HOME", "/.cache", "/vireo"},
    [VIREO_PATH_RUNTIME] = {"XDG_RUNTIME_DIR", NULL, "/vireo"},
};

/* An absolute path in the environment, or NULL. */
static const char *paths_env(const char *variable)
{
    const char *value = getenv(variable);
    return value && value[0] == '/' ? value : NULL;
}

static int paths_join(char *ret_path, size_t size, const char *a, const char *b, const char *c,
                      const char *d, struct vr_error *err)
{
    int n = snprintf(NULL, 0, "%s%s%s%s", a, b, c, d);
    if (n < 0 || (size_t)n >= size) {
        return vr_err(err, -ENAMETOOLONG, "paths: '%.100s...' is too long", a);
    }
    snprintf(ret_path, size, "%s%s%s%s", a, b, c, d);
    return 0;
}

int vireo_platform_path(enum vireo_path path, char *ret_path, size_t size, struct vr_error *err)
{
    if ((unsigned)path >= VR_COUNT(paths)) {
        return vr_err(err, -EINVAL, "paths: no such path");
    }
    const char *base = paths_env(paths[path].variable), *last = "";
    if (base) {
        return paths_join(ret_path, size, base, paths[path].end, "", "", err);
    }
    if (path == VIREO_PATH_RUNTIME) {
        path = VIREO_PATH_CACHE;
        last = "/run";
        base = paths_env(paths[path].variable);
        if (base) {
            return paths_join(ret_path, size, base, paths[path].end, last, "", err);
        }
    }
    const char *home = paths_env("HOME");
    char buf[4096];
    struct passwd pw, *found = NULL;
    if (!home && getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 && found &&
        found->pw_dir && found->pw_dir[0] == '/') {
        home = found->pw_dir;
    }
    if (!home) {
        return vr_err(err, -ENOENT, "paths: this user has no home directory; set HOME or %s",
                      paths[path].variable);
    }
    return paths_join(ret_path, size, home, paths[path].below_home, paths[path].end, last, err);
}
