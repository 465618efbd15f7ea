/* Ending by signal, with sigwait() on a thread (POSIX.1-2017). */
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "vireo/host_fault.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct vireo_endsig {
    struct vireo_thread *thread;
    sigset_t set;
    atomic_bool stopping;
    void (*fn)(void *opaque, int signum);
    void *opaque;
};

static const int endsig_all[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT};

static void endsig_main(void *opaque)
{
    struct vireo_endsig *s = opaque;
    while (!atomic_load(&s->stopping)) {
        int signum;
        if (sigwait(&s->set, &signum) == 0 && !atomic_load(&s->stopping)) {
            s->fn(s->opaque, signum);
        }
    }
}

int vireo_endsig_start(void (*fn)(void *opaque, int signum), void *opaque,
                       struct vireo_endsig **ret_sig, struct vr_error *err)
{
    struct vireo_endsig *s = vr_zalloc(sizeof(*s));
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

void vireo_endsig_stop(struct vireo_endsig *s)
{
    if (!s) {
        return;
    }
    atomic_store(&s->stopping, true);
    kill(getpid(), SIGTERM);
    vireo_thread_join(s->thread);
    free(s);
}

void vireo_endsig_die(int signum)
{
    sigset_t set;
    signal(signum, SIG_DFL);
    sigemptyset(&set);
    sigaddset(&set, signum);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    raise(signum);
    _exit(128 + signum);
}
