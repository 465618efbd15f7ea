/*
 * New files by rename(2), durable by fsync(2) of file and folder, as the Linux man page of fsync
 * asks.
 *
 * A temporary file is called .NAME.XXXXXX.vireo-new and is locked (flock(2)) while its writer
 * lives, so what nobody locks was left by a dead one.
 */
#include "platform/newfile.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static const char newfile_end[] = ".vireo-new";

/* Where the last name of @path begins. */
static size_t newfile_name_at(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? (size_t)(slash + 1 - path) : 0;
}

static char *newfile_folder(const char *path)
{
    size_t len = newfile_name_at(path);
    return len ? strndup(path, len) : strdup(".");
}

static int newfile_open_folder(const char *path)
{
    char *folder = newfile_folder(path);
    int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
    int r = fd >= 0 ? fd : folder ? -errno : -ENOMEM;
    free(folder);
    return r;
}

static int newfile_sync_folder(const char *path)
{
    int fd = newfile_open_folder(path), r;
    if (fd < 0) {
        return fd;
    }
    r = fsync(fd) < 0 && errno != EINVAL && errno != EROFS ? -errno : 0;
    close(fd);
    return r;
}

/* Remove what dead writers left in the folder of @path. */
static void newfile_sweep(const char *path)
{
    int fd = newfile_open_folder(path);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
    struct dirent *entry;
    if (!dir && fd >= 0) {
        close(fd);
    }
    while (dir && (entry = readdir(dir))) {
        size_t len = strlen(entry->d_name), end = sizeof(newfile_end) - 1;
        if (entry->d_name[0] != '.' || len <= end ||
            strcmp(entry->d_name + len - end, newfile_end) != 0) {
            continue;
        }
        int old = openat(fd, entry->d_name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        struct stat st;
        if (old >= 0 && fstat(old, &st) == 0 && S_ISREG(st.st_mode) && st.st_uid == geteuid() &&
            flock(old, LOCK_EX | LOCK_NB) == 0) {
            (void)unlinkat(fd, entry->d_name, 0);
        }
        if (old >= 0) {
            close(old);
        }
    }
    if (dir) {
        closedir(dir);
    }
}

/* A new file at f->temp, whose six last letters before the end are chosen. Between its creation and
 * the lock a sweep may take it away, so it is looked at once more. */
static int newfile_make(struct vr_newfile *f)
{
    enum { TRIES = 100 };
    size_t end = sizeof(newfile_end) - 1;
    char *letters = f->temp + strlen(f->temp) - end - 6;
    for (unsigned i = 0; i < TRIES; i++) {
        struct stat here, there;
        memset(letters, 'X', 6);
        f->fd = mkstemps(f->temp, (int)end);
        if (f->fd < 0) {
            return -errno;
        }
        if (fcntl(f->fd, F_SETFD, FD_CLOEXEC) == 0 && flock(f->fd, LOCK_EX | LOCK_NB) == 0 &&
            fstat(f->fd, &here) == 0 && stat(f->temp, &there) == 0 && here.st_ino == there.st_ino) {
            return 0;
        }
        close(f->fd);
        f->fd = -1;
    }
    return -EAGAIN;
}

int vr_newfile_create(const char *path, struct vr_newfile *ret_file)
{
    struct stat st;
    bool there = stat(path, &st) == 0;
    char *real = there ? realpath(path, NULL) : strdup(path);
    if (!real) {
        return there ? -errno : -ENOMEM;
    }
    path = real;
    struct vr_newfile f = {.fd = -1, .path = real};
    size_t at = newfile_name_at(path), size = strlen(path) + sizeof(newfile_end) + 16;
    int r = 0;
    f.temp = malloc(size);
    if (!f.temp) {
        r = -ENOMEM;
    } else if (!path[at] || (there && S_ISDIR(st.st_mode))) {
        r = -EISDIR;
    } else if (there && !S_ISREG(st.st_mode)) {
        r = -EINVAL;
    } else {
        snprintf(f.temp, size, "%.*s.%s.XXXXXX%s", (int)at, path, path + at, newfile_end);
        newfile_sweep(path);
        r = newfile_make(&f);
    }
    if (r < 0) {
        free(f.path);
        free(f.temp);
        return r;
    }
    *ret_file = f;
    return 0;
}

int vr_newfile_rights(struct vr_newfile *f, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    /* Another owner takes privileges; without them the new one is whoever made the file. */
    if ((st.st_uid != geteuid() || st.st_gid != getegid()) &&
        fchown(f->fd, st.st_uid, st.st_gid) < 0 && errno != EPERM) {
        return -errno;
    }
    return fchmod(f->fd, st.st_mode & 0777) < 0 ? -errno : 0;
}

void vr_newfile_drop(struct vr_newfile *f)
{
    if (f->temp) {
        (void)unlink(f->temp);
        close(f->fd);
        free(f->temp);
        free(f->path);
    }
    *f = (struct vr_newfile){.fd = -1};
}

int vr_newfile_commit(struct vr_newfile *f, int *ret_fd)
{
    int r = fsync(f->fd) < 0 ? -errno : 0;
    if (r == 0 && rename(f->temp, f->path) < 0) {
        r = -errno;
    }
    if (r < 0) {
        vr_newfile_drop(f);
        return r;
    }
    r = newfile_sync_folder(f->path); /* it is there, but may be gone after a crash of the host */
    (void)flock(f->fd, LOCK_UN);
    if (ret_fd && r == 0) {
        *ret_fd = f->fd;
    } else {
        close(f->fd);
    }
    free(f->temp);
    free(f->path);
    *f = (struct vr_newfile){.fd = -1};
    return r;
}

int vr_newfile_remove(const char *path)
{
    return unlink(path) < 0 ? -errno : newfile_sync_folder(path);
}

int vr_newfile_identify(const char *path, struct vr_file_identity *ret_id)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return -errno;
    }
    *ret_id = (struct vr_file_identity){
        .size_bytes = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0,
        .mtime_ns = (uint64_t)st.st_mtim.tv_sec * 1000000000u + (uint64_t)st.st_mtim.tv_nsec};
    return 0;
}
