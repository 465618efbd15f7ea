/* The system calls under VFIO, and reading answers whose length the kernel chooses: ioctl(2),
 * pread(2), and the capability chains of linux/vfio.h (struct vfio_info_cap_header). */
#include "base/alloc.h"
#include "base/bits.h"
#include "platform/linux/vfio_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int sys_open(void *opaque, int dir_fd, const char *path, int flags)
{
    (void)opaque;
    int fd = openat(dir_fd, path, flags | O_CLOEXEC);
    return fd < 0 ? -errno : fd;
}

static void sys_close(void *opaque, int fd)
{
    (void)opaque;
    close(fd);
}

static int sys_ioctl(void *opaque, int fd, unsigned long request, void *arg)
{
    (void)opaque;
    int r = ioctl(fd, request, arg);
    return r < 0 ? -errno : r;
}

static int sys_ioctl_value(void *opaque, int fd, unsigned long request, unsigned long value)
{
    (void)opaque;
    int r = ioctl(fd, request, value);
    return r < 0 ? -errno : r;
}

static ssize_t sys_read(void *opaque, int fd, void *buf, size_t len, uint64_t off)
{
    (void)opaque;
    ssize_t got = pread(fd, buf, len, (off_t)off);
    return got < 0 ? -errno : got;
}

static ssize_t sys_write(void *opaque, int fd, const void *buf, size_t len, uint64_t off)
{
    (void)opaque;
    ssize_t put = pwrite(fd, buf, len, (off_t)off);
    return put < 0 ? -errno : put;
}

static int sys_map(void *opaque, int fd, uint64_t off, size_t len, unsigned prot,
                   struct vireo_map *ret_map, struct vr_error *err)
{
    struct vireo_map_opts o = {.prot = prot,
                               .flags = VIREO_MAP_SHARED,
                               .fd = fd,
                               .file = true,
                               .file_off = off,
                               .node = VIREO_NODE_ANY};
    (void)opaque;
    return vireo_map_create(len, &o, ret_map, err);
}

struct vr_vfio_sys vr_vfio_sys_host(void)
{
    return (struct vr_vfio_sys){
        .open = sys_open,
        .close = sys_close,
        .ioctl = sys_ioctl,
        .ioctl_value = sys_ioctl_value,
        .read = sys_read,
        .write = sys_write,
        .map = sys_map,
    };
}

int vr_vfio_ask(const struct vr_vfio_sys *sys, int fd, unsigned long request, const void *head,
                size_t fixed, void **ret_answer, size_t *ret_len)
{
    size_t size = fixed;
    /* The need may grow between two tries; one that always grows is no honest kernel. */
    for (unsigned tries = 0; tries < 4; tries++) {
        uint32_t told, argsz = (uint32_t)size;
        void *answer = vr_zalloc(size);
        if (!answer) {
            return -ENOMEM;
        }
        memcpy(answer, head, fixed);
        memcpy(answer, &argsz, sizeof(argsz));
        int r = sys->ioctl(sys->opaque, fd, request, answer);
        memcpy(&told, answer, sizeof(told));
        if (r >= 0 && told >= fixed && told <= size) {
            *ret_answer = answer;
            *ret_len = size;
            return 0;
        }
        free(answer);
        if (r < 0) {
            return r;
        }
        if (told <= size || told > VR_VFIO_INFO_MAX) {
            return -EPROTO;
        }
        size = told;
    }
    return -EPROTO;
}

int vr_vfio_capability(const void *answer, size_t len, size_t fixed, uint32_t first, uint16_t id,
                       size_t *ret_off, size_t *ret_len)
{
    struct vfio_info_cap_header header;
    size_t off = first;
    /* Headers do not overlap: more steps than that are a loop. */
    for (size_t steps = len / sizeof(header); off; steps--) {
        if (steps == 0 || off < fixed || !vr_in_range(off, sizeof(header), len)) {
            return -EPROTO;
        }
        memcpy(&header, (const uint8_t *)answer + off, sizeof(header));
        if (header.id == id) {
            *ret_off = off;
            *ret_len = len - off;
            return 0;
        }
        off = header.next;
    }
    return -ENOENT;
}
