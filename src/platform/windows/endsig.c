/*
 * Ending by the console or the system (MSDN SetConsoleCtrlHandler, HandlerRoutine): Ctrl-C comes as
 * SIGINT, Ctrl-Break as SIGBREAK, a closed console, a log-off and a shutdown as SIGTERM. After
 * those three Windows ends the process when the handler returns, so it does not: the process has
 * some seconds to end by itself.
 */
#include "base/alloc.h"
#include "platform/windows/win.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <signal.h>

struct vireo_endsig {
    void (*fn)(void *opaque, int signum);
    void *opaque;
};

/* A handler gets no argument of ours: the one place where state belongs to the process. */
static struct {
    SRWLOCK lock; /* shared: fn runs; exclusive: start, stop */
    struct vireo_endsig *current;
} endsig_state = {.lock = SRWLOCK_INIT};

static BOOL WINAPI endsig_handler(DWORD type)
{
    int signum = type == CTRL_C_EVENT ? SIGINT : type == CTRL_BREAK_EVENT ? SIGBREAK : SIGTERM;
    AcquireSRWLockShared(&endsig_state.lock);
    struct vireo_endsig *s = endsig_state.current;
    if (s) {
        s->fn(s->opaque, signum);
    }
    ReleaseSRWLockShared(&endsig_state.lock);
    if (s && signum == SIGTERM) {
        Sleep(INFINITE);
    }
    return s != NULL;
}

int vireo_endsig_start(void (*fn)(void *opaque, int signum), void *opaque,
                       struct vireo_endsig **ret_sig, struct vr_error *err)
{
    struct vireo_endsig *s = vr_zalloc(sizeof(*s));
    if (!s) {
        return vr_err(err, -ENOMEM, "signals: no memory");
    }
    *s = (struct vireo_endsig){.fn = fn, .opaque = opaque};
    AcquireSRWLockExclusive(&endsig_state.lock);
    endsig_state.current = s;
    ReleaseSRWLockExclusive(&endsig_state.lock);
    if (!SetConsoleCtrlHandler(endsig_handler, TRUE)) {
        DWORD error = GetLastError();
        vireo_endsig_stop(s);
        return vr_win_err(err, error, "signals: the console");
    }
    *ret_sig = s;
    return 0;
}

void vireo_endsig_stop(struct vireo_endsig *s)
{
    if (!s) {
        return;
    }
    SetConsoleCtrlHandler(endsig_handler, FALSE);
    AcquireSRWLockExclusive(&endsig_state.lock);
    endsig_state.current = NULL;
    ReleaseSRWLockExclusive(&endsig_state.lock);
    free(s);
}

void vireo_endsig_die(int signum)
{
    (void)signum; /* Windows has one code for all of them */
    ExitProcess((UINT)STATUS_CONTROL_C_EXIT);
}
