/*
 * Files behind flash. A thread of its own writes, so that neither a hart that programs the flash
 * nor the I/O loop waits for a disk. It sleeps until the device says that something changed, lets
 * FILE_DELAY_NS pass, so that a burst of programming is one write, and then writes the sectors that
 * changed, all as they were at one moment: what firmware does to survive a power failure in the
 * middle of an update also covers the end of this process.
 */
#include "board/flash_file.h"
#include "base/err.h"

#include "base/alloc.h"
#include "dev/misc/pflash_cfi.h"
#include "platform/file.h"
#include "platform/lock.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define FILE_DELAY_NS UINT64_C(50000000)
#define FILE_RETRY_NS UINT64_C(1000000000)

enum { SECTOR = VR_PFLASH_SECTOR_LEN };

struct vr_flash_file {
    char *path;
    int fd;
    uint64_t len; /* under `writing`, from keep on */
    struct vr_log *log;
    struct vr_dev *dev; /* NULL: nothing is kept */
    struct vireo_thread *thread;
    struct vr_mutex writing; /* held over taking and writing: an older sector never comes later */
    bool failed;             /* the last write; under `writing` */
    struct vr_mutex lock;    /* lock order: writing, device, lock */
    struct vr_cond wake;
    bool changed, dying;
};

static int file_error(int r, const char *what, const char *path, const char *hint,
                      struct vr_error *err)
{
    const char *why = r == -EISDIR   ? "is a directory, not a file"
                      : r == -EINVAL ? "is not a regular file"
                      : r == -EBUSY  ? "in use by another Vireo; stop that one, or give each "
                                       "machine a copy of its own"
                                     : strerror(-r);
    return vr_err(err, r, "%s %s: %s%s", what, path, why, hint);
}

/* Open and check; *ret_len: how long it is. */
static int file_open(const char *what, const char *path, bool read_only, bool may_be_empty,
                     int *ret_fd, uint64_t *ret_len, struct vr_error *err)
{
    struct vr_file_info info;
    int fd, r = vr_file_open(path, read_only, &fd, &info);
    if (r < 0) {
        return file_error(r, what, path,
                          !may_be_empty  ? ""
                          : r == -ENOENT ? "; copy the firmware's template of variables there, or "
                                           "'touch' makes erased flash"
                          : r == -EACCES || r == -EPERM || r == -EROFS
                              ? "; the guest keeps its variables there, so it must be writable"
                              : "",
                          err);
    }
    if (info.kind != VR_FILE_REGULAR) {
        r = file_error(-EINVAL, what, path, "", err);
    } else if (info.size_bytes > VR_PFLASH_LEN) {
        r = vr_err(err, -EFBIG, "%s %s: %" PRIu64 " bytes; the flash has %d (32 MiB)", what, path,
                   info.size_bytes, VR_PFLASH_LEN);
    } else if (info.size_bytes == 0 && !may_be_empty) {
        r = vr_err(err, -EINVAL, "%s %s: is empty", what, path);
    }
    if (r < 0) {
        vr_file_close(fd);
        return r;
    }
    *ret_fd = fd;
    *ret_len = info.size_bytes;
    return 0;
}

static int file_fill(const char *what, const char *path, int fd, uint64_t len, uint8_t *hva,
                     struct vr_error *err)
{
    int r = len ? vr_file_read(fd, hva, (size_t)len, 0) : 0;
    memset(hva + len, 0xff, VR_PFLASH_LEN - (size_t)len);
    return r < 0 ? file_error(r, what, path, "", err) : 0;
}

int vr_flash_file_read(const char *path, uint8_t *hva, struct vr_error *err)
{
    uint64_t len = 0;
    int fd = -1, r = file_open("flash", path, true, false, &fd, &len, err);
    if (r < 0) {
        return r;
    }
    r = file_fill("flash", path, fd, len, hva, err);
    vr_file_close(fd);
    return r;
}

int vr_flash_file_open(const char *path, bool read_only, struct vr_log *log, uint8_t *hva,
                       struct vr_flash_file **ret_file, struct vr_error *err)
{
    static const char what[] = "flash variables";
    struct vr_flash_file *f = vr_zalloc(sizeof(*f));
    char *copy = strdup(path);
    if (!f || !copy) {
        free(f);
        free(copy);
        return vr_err(err, -ENOMEM, "%s %s: no memory", what, path);
    }
    *f = (struct vr_flash_file){.path = copy, .log = log};
    int r = file_open(what, path, read_only, true, &f->fd, &f->len, err);
    if (r < 0) {
        free(f);
        free(copy);
        return r;
    }
    vr_mutex_init(&f->writing);
    vr_mutex_init(&f->lock);
    vr_cond_init(&f->wake);
    r = vr_file_lock(f->fd, read_only);
    if (r < 0 && (r == -EBUSY || !read_only)) {
        r = file_error(r, what, path, r == -EBUSY ? "" : "; move it to a local file system", err);
    } else {
        r = file_fill(what, path, f->fd, f->len, hva, err);
    }
    if (r < 0) {
        vr_flash_file_close(f);
        return r;
    }
    *ret_file = f;
    return 0;
}

static int file_write(struct vr_flash_file *f, const uint8_t *data, size_t len, uint64_t off)
{
    int r = vr_file_write(f->fd, data, len, off);
    if (r == 0 && off + len > f->len) {
        f->len = off + len;
    }
    return r;
}

/* What lies between the end of a short file and @off is erased flash. */
static int file_grow(struct vr_flash_file *f, uint64_t off)
{
    uint8_t ones[4096];
    int r = 0;
    memset(ones, 0xff, sizeof(ones));
    while (r == 0 && f->len < off) {
        uint64_t len = off - f->len;
        r = file_write(f, ones, len < sizeof(ones) ? (size_t)len : sizeof(ones), f->len);
    }
    return r;
}

bool vr_flash_file_flush(struct vr_flash_file *f)
{
    struct vr_pflash_changes c = {0};
    vr_mutex_lock(&f->writing);
    int r = vr_pflash_take(f->dev, &c);
    for (unsigned i = 0; r == 0 && i < c.count; i++) {
        uint64_t off = (uint64_t)c.sector[i] * SECTOR;
        r = file_grow(f, off);
        r = r < 0 ? r : file_write(f, c.data + (size_t)i * SECTOR, SECTOR, off);
    }
    r = r == 0 && c.count ? vr_file_sync(f->fd) : r;
    if (r < 0) {
        vr_pflash_untake(f->dev, &c);
        if (!f->failed) {
            vr_log(f->log, VR_ERROR, "flash",
                   "variables %s: cannot be written: %s; what the guest changed is kept in memory, "
                   "and writing is tried again",
                   f->path, strerror(-r));
        }
    } else if (f->failed) {
        vr_log(f->log, VR_WARN, "flash", "variables %s: written at last", f->path);
    }
    f->failed = r < 0;
    vr_mutex_unlock(&f->writing);
    free(c.data);
    return r == 0;
}

/* The device changed; under its lock. */
static void file_on_change(void *file)
{
    struct vr_flash_file *f = file;
    vr_mutex_lock(&f->lock);
    f->changed = true;
    vr_cond_signal(&f->wake);
    vr_mutex_unlock(&f->lock);
}

static void file_main(void *file)
{
    struct vr_flash_file *f = file;
    uint64_t delay_ns = FILE_DELAY_NS;
    vr_mutex_lock(&f->lock);
    while (!f->dying) {
        if (!f->changed) {
            vr_cond_wait(&f->wake, &f->lock);
            continue;
        }
        uint64_t until_ns = vireo_monotonic_ns() + delay_ns;
        while (!f->dying && vr_cond_wait_until(&f->wake, &f->lock, until_ns)) {
        }
        f->changed = false;
        vr_mutex_unlock(&f->lock);
        bool written = vr_flash_file_flush(f);
        delay_ns = written ? FILE_DELAY_NS : FILE_RETRY_NS;
        vr_mutex_lock(&f->lock);
        f->changed = f->changed || !written;
    }
    vr_mutex_unlock(&f->lock);
}

int vr_flash_file_keep(struct vr_flash_file *f, struct vr_dev *dev, struct vr_error *err)
{
    int r = vireo_thread_create("vr-flash", file_main, f, &f->thread, err);
    if (r == 0) {
        f->dev = dev; /* the thread looks at it after the first change */
        vr_pflash_on_change(dev, file_on_change, f);
    }
    return r;
}

void vr_flash_file_close(struct vr_flash_file *f)
{
    if (!f) {
        return;
    }
    if (f->thread) {
        vr_pflash_on_change(f->dev, NULL, NULL);
        vr_mutex_lock(&f->lock);
        f->dying = true;
        vr_cond_signal(&f->wake);
        vr_mutex_unlock(&f->lock);
        vireo_thread_join(f->thread);
        if (!vr_flash_file_flush(f)) {
            vr_log(f->log, VR_ERROR, "flash", "variables %s: the guest's last changes are lost",
                   f->path);
        }
    }
    vr_file_close(f->fd);
    vr_cond_fini(&f->wake);
    vr_mutex_fini(&f->lock);
    vr_mutex_fini(&f->writing);
    free(f->path);
    free(f);
}
