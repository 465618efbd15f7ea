/* Processes of our own. */
#ifndef VR_PLATFORM_PROCESS_H
#define VR_PLATFORM_PROCESS_H

#include "base/err.h"
#include <stdint.h>

/* Run main(opaque) in a copy of this process, which has one thread: in a session of its own, away
 * from the terminal, with standard input, output and errors that lead nowhere. It ends with what
 * main returns as its exit code. -EAGAIN, -ENOMEM: the host has no room for it. */
int vr_process_fork(int (*main)(void *opaque), void *opaque, uint64_t *ret_pid,
                    struct vr_error *err) VR_MUST;

#endif
