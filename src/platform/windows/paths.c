/* Where a user's files belong on Windows: settings roam (%APPDATA%), the rest stays on the machine
 * (%LOCALAPPDATA%). MSDN "KNOWNFOLDERID", FOLDERID_RoamingAppData, FOLDERID_LocalAppData, which
 * give these variables their values when a user logs on. */
#include "base/bits.h"
#include "platform/windows/win.h"
#include "vireo/platform.h"

#include <errno.h>
#include <stdio.h>

enum { PATHS_WIDE = 4096, PATHS_TEXT = 3 * PATHS_WIDE };

static const struct {
    const wchar_t *variable;
    const char *name, *below_profile, *end;
} paths[] = {
    [VIREO_PATH_CONFIG] = {L"APPDATA", "APPDATA", "\\AppData\\Roaming", "\\vireo"},
    [VIREO_PATH_DATA] = {L"LOCALAPPDATA", "LOCALAPPDATA", "\\AppData\\Local", "\\vireo\\data"},
    [VIREO_PATH_CACHE] = {L"LOCALAPPDATA", "LOCALAPPDATA", "\\AppData\\Local", "\\vireo\\cache"},
    [VIREO_PATH_RUNTIME] = {L"LOCALAPPDATA", "LOCALAPPDATA", "\\AppData\\Local", "\\vireo\\run"},
};

/* An absolute path (a drive's or a server's) in the environment. */
static bool paths_env(const wchar_t *variable, char ret_text[PATHS_TEXT])
{
    wchar_t wide[PATHS_WIDE];
    DWORD n = GetEnvironmentVariableW(variable, wide, VR_COUNT(wide));
    bool drive = n >= 3 && wide[1] == L':' && (wide[2] == L'\\' || wide[2] == L'/');
    if (n >= VR_COUNT(wide) || !(drive || (n >= 3 && wide[0] == L'\\' && wide[1] == L'\\'))) {
        return false;
    }
    while (n > 3 && (wide[n - 1] == L'\\' || wide[n - 1] == L'/')) {
        wide[--n] = 0;
    }
    vr_win_utf8(wide, ret_text, PATHS_TEXT);
    return true;
}

int vireo_platform_path(enum vireo_path path, char *ret_path, size_t size, struct vr_error *err)
{
    char base[PATHS_TEXT];
    const char *middle = "";
    if ((unsigned)path >= VR_COUNT(paths)) {
        return vr_err(err, -EINVAL, "paths: no such path");
    }
    if (!paths_env(paths[path].variable, base)) {
        if (!paths_env(L"USERPROFILE", base)) {
            return vr_err(err, -ENOENT, "paths: this user has no profile folder; set %s",
                          paths[path].name);
        }
        middle = paths[path].below_profile;
    }
    int n = snprintf(NULL, 0, "%s%s%s", base, middle, paths[path].end);
    if (n < 0 || (size_t)n >= size) {
        return vr_err(err, -ENAMETOOLONG, "paths: '%.100s...' is too long", base);
    }
    snprintf(ret_path, size, "%s%s%s", base, middle, paths[path].end);
    return 0;
}
