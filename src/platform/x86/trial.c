/* In real mode (Intel SDM volume 3A, chapter 21): it adds in a loop, stores to memory, writes its
 * result to a port and halts. Running it takes a CPU that computes, memory that holds, and exits
 * that come out: what a broken hypervisor lacks. */
#include "platform/x86/trial.h"

static const uint8_t trial_code[] = {
    0x31, 0xc0, /* xor ax, ax */
    0xb9, 10,
    0,          /* mov cx, 10 */
    0x01, 0xc8, /* add ax, cx */
    0xe2, 0xfc, /* loop -4 */
    0xa3, 0x00,
    0x18, /* mov [0x1800], ax */
    0x8a, 0x1e,
    0x00, 0x18,          /* mov bl, [0x1800] */
    0x88, 0xd8,          /* mov al, bl */
    0xe6, VR_TRIAL_PORT, /* out 0x10, al */
    0xf4,                /* hlt */
};

const uint8_t *vr_x86_trial(size_t *ret_len)
{
    *ret_len = sizeof(trial_code);
    return trial_code;
}
