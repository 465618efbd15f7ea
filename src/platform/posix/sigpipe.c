/* SIGPIPE kept off one thread for a while: a signal's disposition belongs to the whole process, and
 * so to the embedder; the mask is ours. */
#include "platform/stream.h"

#include <pthread.h>
#include <time.h>

static bool sigpipe_is_pending(void)
{
    sigset_t pending;
    return sigpending(&pending) == 0 && sigismember(&pending, SIGPIPE) == 1;
}

void vr_sigpipe_hold(struct vr_sigpipe *hold)
{
    sigset_t pipe;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    hold->was_pending = sigpipe_is_pending();
    pthread_sigmask(SIG_BLOCK, &pipe, &hold->old);
}

void vr_sigpipe_release(const struct vr_sigpipe *hold)
{
    if (!hold->was_pending && sigpipe_is_pending()) {
        sigset_t pipe;
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        const struct timespec now = {0};
        (void)sigtimedwait(&pipe, NULL, &now);
    }
    pthread_sigmask(SIG_SETMASK, &hold->old, NULL);
}
