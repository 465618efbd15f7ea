/*
 * The signals by which a user, a terminal or a service manager ends a program: SIGINT, SIGTERM,
 * SIGHUP, SIGQUIT. For programs, not for the library: dispositions belong to the process.
 */
#ifndef VR_PLATFORM_ENDSIG_H
#define VR_PLATFORM_ENDSIG_H

#include "base/err.h"

struct vr_endsig;

/* Block these signals in the calling thread (and so in those it creates later; call it before any
 * other thread is there) and call fn(opaque, signum) for each that arrives, on a thread of its own.
 * Those that the process was told to ignore (nohup) stay ignored. SIGPIPE is ignored from now on.
 */
int vr_endsig_start(void (*fn)(void *opaque, int signum), void *opaque, struct vr_endsig **ret_sig,
                    struct vr_error *err) VR_MUST;
/* fn is not called any more; the signals stay blocked. NULL is fine. Not from fn. */
void vr_endsig_stop(struct vr_endsig *sig);
/* Die of @signum, so that whoever waits for us sees it. */
_Noreturn void vr_endsig_die(int signum);
/* Call fn(opaque) first when the process dies of a fault or of an abort of its own; fn must be
 * async-signal-safe. NULL: no more. One a process. */
void vr_endsig_on_crash(void (*fn)(void *opaque), void *opaque);

#endif
