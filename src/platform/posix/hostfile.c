/* Small files that describe the host, by open(2) and read(2). */
#include "platform/hostfile.h"
#include "base/text.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int hostfile_read_fd(int fd, char *buf, size_t size)
{
    struct stat st;
    size_t len = 0;
    if (fstat(fd, &st) < 0) {
        return -errno;
    }
    if (!S_ISREG(st.st_mode)) {
        return -EINVAL;
    }
    for (;;) {
        ssize_t n = read(fd, buf + len, size - len);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            return -errno;
        }
        len += (size_t)n;
        if (n == 0) {
            break;
        }
        if (len == size) {
            return -EFBIG; /* room for the NUL is needed, too */
        }
    }
    while (len && (buf[len - 1] == '\n' || buf[len - 1] == '\r')) {
        len--;
    }
    if (len == 0) {
        return -ENODATA;
    }
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)buf[i];
        if (c < ' ' && c != '\n' && c != '\t') {
            return -EILSEQ;
        }
    }
    buf[len] = 0;
    return (int)len;
}

static int hostfile_read(char *buf, size_t size, const char *root, const char *fmt, va_list ap)
{
    char path[VR_HOSTFILE_PATH];
    int n = snprintf(path, sizeof(path), "%s", root);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return -ENAMETOOLONG;
    }
    int more = vsnprintf(path + n, sizeof(path) - (size_t)n, fmt, ap);
    if (more < 0 || (size_t)more >= sizeof(path) - (size_t)n) {
        return -ENAMETOOLONG;
    }
    /* O_NONBLOCK: a FIFO in a recorded tree must not make us wait. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    if (fd < 0) {
        return -errno;
    }
    int r = hostfile_read_fd(fd, buf, size);
    close(fd);
    return r;
}

int vr_hostfile_text(char *buf, size_t size, const char *root, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int r = hostfile_read(buf, size, root, fmt, ap);
    va_end(ap);
    return r;
}

int vr_hostfile_u64(uint64_t *ret_val, const char *root, const char *fmt, ...)
{
    char text[64];
    va_list ap;
    va_start(ap, fmt);
    int r = hostfile_read(text, sizeof(text), root, fmt, ap);
    va_end(ap);
    return r < 0 ? r : vr_parse_u64(text, ret_val);
}

int vr_hostfile_cpus(struct vireo_cpuset *ret_set, const char *root, const char *fmt, ...)
{
    char text[16384];
    va_list ap;
    va_start(ap, fmt);
    int r = hostfile_read(text, sizeof(text), root, fmt, ap);
    va_end(ap);
    if (r == -ENODATA) {
        *ret_set = (struct vireo_cpuset){.bits = NULL};
        return 0;
    }
    return r < 0 ? r : vireo_cpuset_parse(text, ret_set);
}
