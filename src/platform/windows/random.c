/* Random bytes by BCryptGenRandom (MSDN), from the system's preferred generator. */
#include "platform/random.h"

#include "platform/windows/win.h"

#include <bcrypt.h>
#include <errno.h>

int vr_random_bytes(void *buf, size_t len, struct vr_error *err)
{
    uint8_t *p = buf;
    while (len) {
        ULONG n = len < 1 << 20 ? (ULONG)len : 1 << 20;
        NTSTATUS status = BCryptGenRandom(NULL, p, n, BCRYPT_USE_SYSTEM_PREFERRED_RNG);
        if (status != 0) {
            return vr_err(err, -EIO, "the host gives no random bytes: BCryptGenRandom: 0x%lx",
                          (unsigned long)status);
        }
        p += n;
        len -= n;
    }
    return 0;
}
