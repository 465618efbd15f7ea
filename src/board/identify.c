/* What a file is to `vireo run FILE`: by its contents, never by its name. */
#include "board/catalog.h"
#include "boot/kernel.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { IDENTIFY_MIN = 64 };     /* a kernel's header alone is longer */
enum { IDENTIFY_INNER = 4096 }; /* bytes of a gzip file's content that are looked at */

/* The first bytes of what @gz, the beginning of a gzip file, holds. */
static size_t identify_inner(uint8_t *gz, size_t len, uint8_t *ret_inner, size_t room)
{
    z_stream z = {
        .next_in = gz, .avail_in = (uInt)len, .next_out = ret_inner, .avail_out = (uInt)room};
    if (inflateInit2(&z, 15 + 16) != Z_OK) { /* 16: gzip's wrapper */
        return 0;
    }
    int r = inflate(&z, Z_SYNC_FLUSH);
    size_t got = r == Z_OK || r == Z_STREAM_END || r == Z_BUF_ERROR ? room - z.avail_out : 0;
    inflateEnd(&z);
    return got;
}

static int identify_head(const char *path, uint8_t *head, size_t len, enum vr_catalog_use *ret_use,
                         const char **ret_what, struct vr_error *err)
{
    enum vr_file_kind kind = vr_file_kind(head, len);
    const char *what = vr_file_kind_name(kind);
    if (len < IDENTIFY_MIN) {
        return vr_err(err, -EINVAL, "%s: has %zu bytes, too few for a kernel or a disk: cut off?",
                      path, len);
    }
    switch (kind) {
    case VR_FILE_RISCV_IMAGE:
    case VR_FILE_RISCV_ELF:
        *ret_use = VR_USE_KERNEL;
        *ret_what = what;
        return 0;
    case VR_FILE_GZIP: {
        uint8_t inner[IDENTIFY_INNER];
        kind = vr_file_kind(inner, identify_inner(head, len, inner, sizeof(inner)));
        if (kind == VR_FILE_RISCV_IMAGE || kind == VR_FILE_RISCV_ELF) {
            *ret_use = VR_USE_KERNEL;
            *ret_what = kind == VR_FILE_RISCV_ELF ? "a gzipped RISC-V ELF file"
                                                  : "a gzipped RISC-V Linux Image";
            return 0;
        }
        return vr_err(err, -EINVAL,
                      "%s: is a gzip file, but with no RISC-V kernel in it; an initramfs goes to "
                      "--initrd, a disk has to be unpacked",
                      path);
    }
    case VR_FILE_RAW_DISK:
        *ret_use = VR_USE_DISK;
        *ret_what = what;
        return 0;
    case VR_FILE_OTHER_ELF:
    case VR_FILE_OTHER_KERNEL:
        return vr_err(err, -ENOTSUP, "%s: is %s; the machines here are riscv64 (vireo machines)",
                      path, what);
    case VR_FILE_QCOW2:
        return vr_err(err, -ENOTSUP,
                      "%s: is %s; disks are raw images in this version: qemu-img convert -O raw "
                      "makes one of it",
                      path, what);
    case VR_FILE_ISO:
        return vr_err(err, -ENOTSUP,
                      "%s: is %s, which this version cannot start from; --disk %s,ro gives it to a "
                      "guest that a --kernel starts",
                      path, what, path);
    default:
        return vr_err(err, -EINVAL,
                      "%s: is %s, neither kernel nor disk; say what it is: --kernel, --initrd, "
                      "--firmware, or --disk",
                      path, kind == VR_FILE_UNKNOWN ? "of no kind known here" : what);
    }
}

int vr_catalog_identify(const char *path, enum vr_catalog_use *ret_use, const char **ret_what,
                        struct vr_error *err)
{
    struct stat st;
    if (stat(path, &st) < 0) {
        return vr_err(err, -errno, "%s: %s", path, strerror(errno));
    }
    if (S_ISDIR(st.st_mode)) {
        *ret_use = VR_USE_ROOT;
        *ret_what = "a directory";
        return 0;
    }
    if (S_ISREG(st.st_mode) && st.st_size == 0) {
        return vr_err(err, -EINVAL, "%s: is empty: expected a kernel or a disk image", path);
    }
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) {
        return vr_err(err, -errno, "%s: %s", path, strerror(errno));
    }
    uint8_t *head = calloc(1, VR_FILE_PROBE_LEN);
    ssize_t len = head ? pread(fd, head, VR_FILE_PROBE_LEN, 0) : -1;
    int r = head ? -errno : -ENOMEM;
    close(fd);
    if (len < 0) {
        r = vr_err(err, r, "%s: cannot read it: %s", path, strerror(-r));
    } else {
        r = identify_head(path, head, (size_t)len, ret_use, ret_what, err);
    }
    free(head);
    return r;
}
