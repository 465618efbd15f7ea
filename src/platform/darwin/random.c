/* Random bytes by arc4random_buf(3), which cannot fail: it is seeded by the kernel. */
#include "platform/random.h"

#include <stdlib.h>

int vr_random_bytes(void *buf, size_t len, struct vr_error *err)
{
    (void)err;
    arc4random_buf(buf, len);
    return 0;
}
