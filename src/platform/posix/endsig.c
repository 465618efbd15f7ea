/* Ending by signal, with sigwait() on a thread (POSIX.1-2017). */
#include "platform/endsig.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct vr_endsig {
    struct vireo_thread *thread;
    sigset_t set;
    atomic_bool stopping;
    void (*fn)(void *opaque, int signum);
    void *opaque;
};

static const int endsig_all[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void endsig_main(void *opaque)
{
    struct vr_endsig *s = opaque;
    while (!atomic_load(&s->stopping)) {
        int signum;
        if (sigwait(&s->set, &signum) == 0 && !atomic_load(&s->stopping)) {
            s->fn(s->opaque, signum);
        }
    }
}

int vr_endsig_start(void (*fn)(void *opaque, int signum), void *opaque, struct vr_endsig **ret_sig,
                    struct vr_error *err)
{
    struct vr_endsig *s = vr_zalloc(sizeof(*s));
    if (!s) {
        return vr_err(err, -ENOMEM, "signals: no memory");
    }
    s->fn = fn;
    s->opaque = opaque;
    sigemptyset(&s->set);
    for (unsigned i = 0; i < VR_COUNT(endsig_all); i++) {
        struct sigaction old;
        if (sigaction(endsig_all[i], NULL, &old) < 0 || old.sa_handler != SIG_IGN) {
            sigaddset(&s->set, endsig_all[i]);
        }
    }
    /* What stop wakes the thread with: it must be in the set even under nohup. */
    sigaddset(&s->set, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &s->set, NULL);
    signal(SIGPIPE, SIG_IGN);
    int r = vireo_thread_create("vr-signals", endsig_main, s, &s->thread, err);
    if (r < 0) {
        free(s);
        return r;
    }
    *ret_sig = s;
    return 0;
}

void vr_endsig_stop(struct vr_endsig *s)
{
    if (!s) {
        return;
    }
    atomic_store(&s->stopping, true);
    kill(getpid(), SIGTERM);
    vireo_thread_join(s->thread);
    free(s);
}

_Noreturn void vr_endsig_die(int signum)
{
    sigset_t set;
    signal(signum, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signum);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signum);
    _exit(128 + signum);
}

/* A signal's handler gets no argument of ours: the one place where state belongs to the process. */
static struct {
    void (*fn)(void *opaque);
    void *opaque;
} endsig_crash;

static void endsig_on_crash(int signum)
{
    void (*fn)(void *) = endsig_crash.fn;
    endsig_crash.fn = NULL;
    if (fn) {
        fn(endsig_crash.opaque);
    }
    signal(signum, SIG_DFL);
    raise(signum); /* again when the handler returns, and then for good */
}

void vr_endsig_on_crash(void (*fn)(void *opaque), void *opaque)
{
    static const int crashes[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
    endsig_crash.opaque = opaque;
    endsig_crash.fn = fn;
    for (unsigned i = 0; i < VR_COUNT(crashes); i++) {
        struct sigaction old, ours = {.sa_handler = endsig_on_crash};
        /* A sanitizer's handler says more than ours, and stays. */
        if (fn && sigaction(crashes[i], NULL, &old) == 0 && old.sa_handler == SIG_DFL) {
            sigaction(crashes[i], &ours, NULL);
        }
    }
}
