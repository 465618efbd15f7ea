/* A guest of a few instructions, by which one sees whether a hypervisor of this processor works. */
#ifndef VR_PLATFORM_X86_TRIAL_H
#define VR_PLATFORM_X86_TRIAL_H

#include <stddef.h>
#include <stdint.h>

enum {
    VR_TRIAL_AT = 0x1000,  /* where it is in guest memory, and starts with all segments at 0 */
    VR_TRIAL_PORT = 0x10,  /* it writes its result here, one byte, */
    VR_TRIAL_CELL = 0x800, /* and to VR_TRIAL_AT + this; then it halts */
    VR_TRIAL_SUM = 55,
};

/* Its code, static, of *ret_len bytes. */
const uint8_t *vr_x86_trial(size_t *ret_len);

#endif
