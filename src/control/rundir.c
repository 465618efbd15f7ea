/* The folder of control sockets. It is held while a socket is made or a dead one removed, so that
 * of two who do so at once neither removes the other's. */
#include "control/rundir.h"
#include "base/alloc.h"
#include "base/text.h"
#include "platform/file.h"
#include "vireo/platform.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum { RUNDIR_NUMBERS = 1000 };

static const char rundir_end[] = ".sock";

int vr_rundir_file(const char *name, const char *end, char *ret_path, size_t size,
                   struct vr_error *err)
{
    char folder[VR_RUNDIR_PATH_MAX];
    int r = vireo_platform_path(VIREO_PATH_RUNTIME, folder, sizeof(folder), err);
    if (r < 0) {
        return r;
    }
    if ((size_t)snprintf(ret_path, size, "%s/%s%s", folder, name, end) >= size) {
        return vr_err(err, -ENAMETOOLONG, "runtime folder %.100s...: the path is too long", folder);
    }
    return 0;
}

int vr_rundir_path(const char *name, char *ret_path, size_t size, struct vr_error *err)
{
    return vr_rundir_file(name, rundir_end, ret_path, size, err);
}

int vr_rundir_make(struct vr_error *err)
{
    char folder[VR_RUNDIR_PATH_MAX];
    int r = vireo_platform_path(VIREO_PATH_RUNTIME, folder, sizeof(folder), err);
    return r < 0 ? r : vr_unix_folder_make(folder, err);
}

/* With the folder held. */
static int rundir_listen_held(const char *name, bool may_number, struct vr_unix *ret_sock,
                              char *ret_name, struct vr_error *err)
{
    char path[VR_RUNDIR_PATH_MAX], numbered[VR_NAME_MAX + 1];
    for (unsigned i = 1;; i++) {
        int len = i == 1 ? snprintf(numbered, sizeof(numbered), "%s", name)
                         : snprintf(numbered, sizeof(numbered), "%s%u", name, i);
        if (len < 0 || len > VR_NAME_MAX) {
            return vr_err(err, -ENAMETOOLONG, "name '%s': at most %d characters", name,
                          VR_NAME_MAX);
        }
        int r = vr_rundir_path(numbered, path, sizeof(path), err);
        r = r < 0 ? r : vr_unix_listen(path, ret_sock, err);
        if (r == -EADDRINUSE && may_number && i < RUNDIR_NUMBERS) {
            continue;
        }
        if (r == -EADDRINUSE) {
            return vr_err(err, r,
                          "a machine called '%s' runs already ('vireo ps' lists them): choose "
                          "another --name",
                          numbered);
        }
        if (r == 0) {
            memcpy(ret_name, numbered, (size_t)len + 1);
        }
        return r;
    }
}

int vr_rundir_listen(const char *name, bool may_number, struct vr_unix *ret_sock, char *ret_name,
                     struct vr_error *err)
{
    char folder[VR_RUNDIR_PATH_MAX];
    int fd;
    int r = vireo_platform_path(VIREO_PATH_RUNTIME, folder, sizeof(folder), err);
    r = r < 0 ? r : vr_unix_folder_make(folder, err);
    if (r < 0) {
        return r;
    }
    r = vr_unix_folder_hold(folder, &fd);
    if (r < 0) {
        return vr_err(err, r, "folder %s: cannot lock it: %s", folder, strerror(-r));
    }
    r = rundir_listen_held(name, may_number, ret_sock, ret_name, err);
    vr_file_close(fd);
    return r;
}

struct rundir_names {
    const char *folder;
    char **names;
    size_t count;
};

static int rundir_note(void *opaque, const char *file)
{
    struct rundir_names *n = opaque;
    char path[VR_RUNDIR_PATH_MAX], name[VR_NAME_MAX + 1];
    size_t len = strlen(file), end = sizeof(rundir_end) - 1;
    if (len <= end || len - end > VR_NAME_MAX || strcmp(file + len - end, rundir_end) != 0) {
        return 0;
    }
    snprintf(name, sizeof(name), "%.*s", (int)(len - end), file);
    if (!vr_name_good(name, VR_NAME_MAX) ||
        (size_t)snprintf(path, sizeof(path), "%s/%s", n->folder, file) >= sizeof(path) ||
        vr_unix_sweep(path)) {
        return 0;
    }
    char **names = realloc(n->names, (n->count + 1) * sizeof(*names));
    if (!names) {
        return -ENOMEM;
    }
    n->names = names;
    n->names[n->count] = strdup(name);
    if (!n->names[n->count]) {
        return -ENOMEM;
    }
    n->count++;
    return 0;
}

static int rundir_compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

int vr_rundir_list(char ***ret_names, size_t *ret_count, struct vr_error *err)
{
    char folder[VR_RUNDIR_PATH_MAX];
    struct rundir_names n = {.folder = folder};
    int fd = -1;
    int r = vireo_platform_path(VIREO_PATH_RUNTIME, folder, sizeof(folder), err);
    if (r < 0) {
        return r;
    }
    r = vr_unix_folder_hold(folder, &fd);
    if (r == 0) {
        r = vr_unix_folder_each(folder, rundir_note, &n);
        vr_file_close(fd);
    }
    if (r < 0 && r != -ENOENT) { /* no machine ever ran */
        vr_rundir_free(n.names, n.count);
        return vr_err(err, r, "folder %s: cannot list it: %s", folder, strerror(-r));
    }
    if (n.count) {
        qsort(n.names, n.count, sizeof(*n.names), rundir_compare);
    }
    *ret_names = n.names;
    *ret_count = n.count;
    return 0;
}

void vr_rundir_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(names[i]);
    }
    free(names);
}
