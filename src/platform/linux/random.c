/* Random bytes by getrandom(2). */
#include "platform/random.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

int vr_random_bytes(void *buf, size_t len, struct vr_error *err)
{
    uint8_t *p = buf;
    while (len) {
        ssize_t n = getrandom(p, len, 0);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            int r = -errno;
            return vr_err(err, r, "the host gives no random bytes: %s", strerror(-r));
        }
        p += n;
        len -= (size_t)n;
    }
    return 0;
}
