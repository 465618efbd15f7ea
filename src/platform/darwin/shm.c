/* shm_open(2) under a name that nobody can guess, removed at once: Darwin's memfd_create. Its size
 * can be set once. */
#include "platform/darwin/shm.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int vr_shm_open(const char *what, uint64_t len, int *ret_fd, struct vr_error *err)
{
    char name[24]; /* PSHMNAMLEN is 31 */
    int fd, r;
    if (len > INT64_MAX) {
        return vr_err(err, -ENOMEM, "memory '%s': %" PRIu64 " bytes are more than any host has",
                      what, len);
    }
    do {
        uint64_t random;
        arc4random_buf(&random, sizeof(random));
        snprintf(name, sizeof(name), "/vr%016" PRIx64, random);
        fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    } while (fd < 0 && errno == EEXIST);
    if (fd < 0) {
        r = -errno;
        return vr_err(err, r, "memory '%s': shm_open: %s", what, strerror(-r));
    }
    shm_unlink(name);
    /* Descriptors of shm_open are close-on-exec already. */
    if (ftruncate(fd, (off_t)len) < 0) {
        r = errno == EFBIG || errno == EINVAL ? -ENOMEM : -errno;
        close(fd);
        return vr_err(err, r, "memory '%s': %" PRIu64 " MiB do not fit: %s", what, len >> 20,
                      strerror(-r));
    }
    *ret_fd = fd;
    return 0;
}
