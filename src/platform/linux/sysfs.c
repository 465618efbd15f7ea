/* Attribute files through openat(2) on a root; nothing that is read is believed. */
#include "platform/sysfs.h"

#include "base/alloc.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SYSFS_NAMES_MAX = 1 << 17 };

int vr_sysfs_open(const char *root, struct vr_sysfs *ret_fs, struct vr_error *err)
{
    const char *path = root && *root ? root : "/";
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        int code = -errno;
        return vr_err(err, code, "%s: %s: the root has to be a directory that holds sys/", path,
                      strerror(-code));
    }
    *ret_fs = (struct vr_sysfs){.root_fd = fd, .replaced = root && *root};
    return 0;
}

void vr_sysfs_close(struct vr_sysfs *fs)
{
    if (fs->root_fd >= 0) {
        close(fs->root_fd);
    }
    fs->root_fd = -1;
}

const char *vr_sysfs_path(char buf[VR_SYSFS_PATH], const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(buf, VR_SYSFS_PATH, fmt, ap);
    va_end(ap);
    if (n < 0 || n >= VR_SYSFS_PATH) {
        buf[0] = 0;
    }
    return buf;
}

/* O_NONBLOCK: a made-up tree may hold a FIFO, which would wait for ever. */
static int sysfs_open_file(const struct vr_sysfs *fs, const char *path, int flags)
{
    struct stat st;
    int fd = openat(fs->root_fd, path, flags | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return -errno;
    }
    int r = fstat(fd, &st) < 0    ? -errno
            : S_ISREG(st.st_mode) ? 0
            : S_ISDIR(st.st_mode) ? -EISDIR
                                  : -EINVAL;
    if (r < 0) {
        close(fd);
        return r;
    }
    return fd;
}

/* Up to @size bytes; a short count means the end of the file. */
static ssize_t sysfs_read(int fd, char *buf, size_t size)
{
    size_t len = 0;
    while (len < size) {
        ssize_t got = read(fd, buf + len, size - len);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return -errno;
        }
        if (got == 0) {
            break;
        }
        len += (size_t)got;
    }
    return (ssize_t)len;
}

int vr_sysfs_text(const struct vr_sysfs *fs, const char *path, char *ret_text, size_t size)
{
    char buf[VR_SYSFS_TEXT + 1];
    int fd = sysfs_open_file(fs, path, O_RDONLY);
    if (fd < 0) {
        return fd;
    }
    ssize_t got = sysfs_read(fd, buf, sizeof(buf));
    close(fd);
    if (got < 0) {
        return (int)got;
    }
    if (got > VR_SYSFS_TEXT) {
        return -EFBIG;
    }
    size_t len = (size_t)got;
    while (len && (buf[len - 1] == '\n' || buf[len - 1] == ' ')) {
        len--;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)buf[i];
        if ((c < ' ' && c != '\n' && c != '\t') || c == 0x7f) {
            return -EILSEQ;
        }
    }
    if (len >= size) {
        return -EFBIG;
    }
    memcpy(ret_text, buf, len);
    ret_text[len] = 0;
    return 0;
}

int vr_sysfs_u64(const struct vr_sysfs *fs, const char *path, uint64_t max, uint64_t *ret_val)
{
    char text[64];
    uint64_t v;
    int r = vr_sysfs_text(fs, path, text, sizeof(text));
    r = r < 0 ? r : vr_parse_u64(text, &v);
    if (r < 0) {
        return r;
    }
    if (v > max) {
        return -ERANGE;
    }
    *ret_val = v;
    return 0;
}

int vr_sysfs_cpus(const struct vr_sysfs *fs, const char *path, struct vireo_cpuset *ret_set)
{
    char text[VR_SYSFS_TEXT];
    int r = vr_sysfs_text(fs, path, text, sizeof(text));
    return r < 0 ? r : vireo_cpuset_parse(text, ret_set);
}

int vr_sysfs_link(const struct vr_sysfs *fs, const char *path, char *ret_name, size_t size)
{
    char target[VR_SYSFS_TEXT];
    ssize_t len = readlinkat(fs->root_fd, path, target, sizeof(target) - 1);
    if (len < 0) {
        return -errno;
    }
    if ((size_t)len == sizeof(target) - 1) {
        return -ENAMETOOLONG;
    }
    target[len] = 0;
    const char *slash = strrchr(target, '/'), *name = slash ? slash + 1 : target;
    if (!*name) {
        return -EINVAL;
    }
    for (const char *c = name; *c; c++) {
        if ((unsigned char)*c < ' ' || *c == 0x7f) {
            return -EILSEQ;
        }
    }
    if (strlen(name) >= size) {
        return -ENAMETOOLONG;
    }
    memcpy(ret_name, name, strlen(name) + 1);
    return 0;
}

bool vr_sysfs_exists(const struct vr_sysfs *fs, const char *path)
{
    return faccessat(fs->root_fd, path, F_OK, 0) == 0;
}

int vr_sysfs_access(const struct vr_sysfs *fs, const char *path)
{
    return faccessat(fs->root_fd, path, R_OK | W_OK, AT_EACCESS) < 0 ? -errno : 0;
}

static int sysfs_by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static int sysfs_add(struct vr_sysfs_list *list, size_t *room, const char *name)
{
    if (list->count == SYSFS_NAMES_MAX) {
        return -E2BIG;
    }
    if (list->count == *room) {
        size_t more = *room ? *room * 2 : 32;
        char **names = realloc(list->names, more * sizeof(*names));
        if (!names) {
            return -ENOMEM;
        }
        list->names = names;
        *room = more;
    }
    char *copy = strdup(name);
    if (!copy) {
        return -ENOMEM;
    }
    list->names[list->count++] = copy;
    return 0;
}

int vr_sysfs_list(const struct vr_sysfs *fs, const char *path, struct vr_sysfs_list *ret_list)
{
    struct vr_sysfs_list list = {0};
    size_t room = 0;
    int fd = openat(fs->root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return -errno;
    }
    DIR *dir = fdopendir(fd);
    if (!dir) {
        int code = -errno;
        close(fd);
        return code;
    }
    int r = 0;
    while (r == 0) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (!entry) {
            r = -errno;
            break;
        }
        if (entry->d_name[0] != '.') {
            r = sysfs_add(&list, &room, entry->d_name);
        }
    }
    closedir(dir);
    if (r < 0) {
        vr_sysfs_list_free(&list);
        return r;
    }
    if (list.count) {
        qsort(list.names, list.count, sizeof(*list.names), sysfs_by_name);
    }
    *ret_list = list;
    return 0;
}

void vr_sysfs_list_free(struct vr_sysfs_list *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free(list->names[i]);
    }
    free(list->names);
    *list = (struct vr_sysfs_list){0};
}

int vr_sysfs_write(const struct vr_sysfs *fs, const char *path, const char *text)
{
    int fd = sysfs_open_file(fs, path, O_WRONLY | O_TRUNC);
    if (fd < 0) {
        return fd;
    }
    ssize_t len = (ssize_t)strlen(text), done;
    do {
        done = write(fd, text, (size_t)len);
    } while (done < 0 && errno == EINTR);
    int r = done < 0 ? -errno : done < len ? -EIO : 0;
    close(fd);
    return r;
}
