/* The kernel that a distribution's root directory brings. */
#include "board/rootdir.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What distributions call it; the version follows. Debian's is vmlinux on riscv64. */
static const char *const rootdir_names[] = {"vmlinux-", "vmlinuz-", "Image-"};

static const char *rootdir_version(const char *name)
{
    for (size_t i = 0; i < sizeof(rootdir_names) / sizeof(rootdir_names[0]); i++) {
        size_t len = strlen(rootdir_names[i]);
        if (strncmp(name, rootdir_names[i], len) == 0 && name[len]) {
            return name + len;
        }
    }
    return NULL;
}

/* A regular file there: what the directory holds may be a guest's work, so no link is followed. */
static bool rootdir_is(const char *path, mode_t type)
{
    struct stat st;
    return lstat(path, &st) == 0 && (st.st_mode & S_IFMT) == type;
}

int vr_rootdir_kernel(const char *dir, char **ret_path, struct vr_error *err)
{
    size_t room = strlen(dir) + sizeof("/boot/") + NAME_MAX + 1;
    char *path = malloc(room), *best = NULL;
    if (!path) {
        return vr_err(err, -ENOMEM, "no memory");
    }
    snprintf(path, room, "%s/boot", dir);
    DIR *boot = rootdir_is(path, S_IFDIR) ? opendir(path) : NULL;
    struct dirent *entry;
    while (boot && (entry = readdir(boot))) {
        const char *version = rootdir_version(entry->d_name);
        snprintf(path, room, "%s/boot/%s", dir, entry->d_name);
        if (version && rootdir_is(path, S_IFREG) &&
            (!best || strverscmp(version, rootdir_version(strrchr(best, '/') + 1)) > 0)) {
            free(best);
            best = strdup(path);
        }
    }
    if (boot) {
        closedir(boot);
    }
    free(path);
    if (!best) {
        return vr_err(err, -ENOENT,
                      "root %s: has no kernel (boot/vmlinux-*, boot/vmlinuz-*): install one there, "
                      "such as Debian's linux-image-riscv64, or give one with --kernel",
                      dir);
    }
    *ret_path = best;
    return 0;
}
