/* Where a user's files belong on Apple's systems: "File System Programming Guide" (Apple's
 * developer documentation), "macOS Library Directory Details"; the runtime folder is the user's own
 * temporary one, confstr(3). In an app's sandbox HOME is the app's container. */
#include "base/bits.h"
#include "base/err.h"
#include "vireo/platform.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const paths_below_home[] = {
    [VIREO_PATH_CONFIG] = "/Library/Preferences/vireo",
    [VIREO_PATH_DATA] = "/Library/Application Support/vireo",
    [VIREO_PATH_CACHE] = "/Library/Caches/vireo",
    [VIREO_PATH_RUNTIME] = NULL,
};

static int paths_join(char *ret_path, size_t size, const char *a, const char *b,
                      struct vr_error *err)
{
    int n = snprintf(NULL, 0, "%s%s", a, b);
    if (n < 0 || (size_t)n >= size) {
        return vr_err(err, -ENAMETOOLONG, "paths: '%.100s...' is too long", a);
    }
    snprintf(ret_path, size, "%s%s", a, b);
    return 0;
}

int vireo_platform_path(enum vireo_path path, char *ret_path, size_t size, struct vr_error *err)
{
    char buf[4096];
    struct passwd pw, *found = NULL;
    if ((unsigned)path >= VR_COUNT(paths_below_home)) {
        return vr_err(err, -EINVAL, "paths: no such path");
    }
    if (path == VIREO_PATH_RUNTIME) {
        size_t len = confstr(_CS_DARWIN_USER_TEMP_DIR, buf, sizeof(buf));
        if (len < 2 || len > sizeof(buf) || buf[0] != '/') {
            return vr_err(err, -ENOENT, "paths: this user has no temporary directory");
        }
        return paths_join(ret_path, size, buf, buf[len - 2] == '/' ? "vireo" : "/vireo", err);
    }
    const char *home = getenv("HOME");
    if ((!home || home[0] != '/') && getpwuid_r(getuid(), &pw, buf, sizeof(buf), &found) == 0 &&
        found) {
        home = found->pw_dir;
    }
    if (!home || home[0] != '/') {
        return vr_err(err, -ENOENT, "paths: this user has no home directory; set HOME");
    }
    return paths_join(ret_path, size, home, paths_below_home[path], err);
}
