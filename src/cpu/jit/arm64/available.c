/* Which arm64 processors the back end writes code for: all of them, Armv8.0 is enough. */
#include "cpu/jit/jit.h"

const bool vr_jit_has_direct = false;

int vr_jit_available(struct vr_error *err)
{
    (void)err;
    return 0;
}
