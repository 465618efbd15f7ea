/*
 * Mutexes by slim reader/writer locks (MSDN "Slim Reader/Writer (SRW) Locks"); conditions by an
 * event a waiting thread.
 *
 * Windows' own condition variables end timed waits at its clock's tick, up to 16 ms late. Ours wait
 * for the event or a high-resolution timer (CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, since Windows 10
 * 1803; before that, to the tick). A condition keeps the events of past waits for the next ones.
 */
#include "platform/lock.h"
#include "base/alloc.h"
#include "platform/windows/win.h"
#include "vireo/host_time.h"

#ifndef CREATE_WAITABLE_TIMER_HIGH_RESOLUTION
#define CREATE_WAITABLE_TIMER_HIGH_RESOLUTION 0x2
#endif

enum { LOCK_UNIT_NS = 100 }; /* what timers count in */

struct vr_cond_waiter {
    HANDLE event; /* auto reset */
    HANDLE timer; /* NULL until one is needed */
    struct vr_cond_waiter *next;
    bool waits; /* it is in the list: not signalled yet */
};

static PSRWLOCK lock_of(void **lock)
{
    _Static_assert(sizeof(SRWLOCK) == sizeof(void *),
                   "as documented, and as platform/lock.h has it");
    return (PSRWLOCK)lock;
}

void vr_mutex_init(struct vr_mutex *mutex)
{
    InitializeSRWLock(lock_of(&mutex->lock));
}

void vr_mutex_fini(struct vr_mutex *mutex)
{
    vr_assert(mutex->lock == NULL); /* nobody holds it; nothing to free */
}

void vr_mutex_lock(struct vr_mutex *mutex)
{
    AcquireSRWLockExclusive(lock_of(&mutex->lock));
}

bool vr_mutex_trylock(struct vr_mutex *mutex)
{
    return TryAcquireSRWLockExclusive(lock_of(&mutex->lock));
}

void vr_mutex_unlock(struct vr_mutex *mutex)
{
    ReleaseSRWLockExclusive(lock_of(&mutex->lock));
}

void vr_cond_init(struct vr_cond *cond)
{
    *cond = (struct vr_cond){.lock = NULL};
}

void vr_cond_fini(struct vr_cond *cond)
{
    vr_assert(!cond->first);
    while (cond->spare) {
        struct vr_cond_waiter *w = cond->spare;
        cond->spare = w->next;
        CloseHandle(w->event);
        if (w->timer) {
            CloseHandle(w->timer);
        }
        free(w);
    }
}

/* A waiter at the list's end, for the calling thread. */
static struct vr_cond_waiter *cond_enter(struct vr_cond *cond)
{
    AcquireSRWLockExclusive(lock_of(&cond->lock));
    struct vr_cond_waiter *w = cond->spare;
    if (w) {
        cond->spare = w->next;
    } else {
        w = vr_zalloc(sizeof(*w));
        vr_assert(w);
        w->event = CreateEventW(NULL, FALSE, FALSE, NULL);
        vr_assert(w->event);
    }
    w->waits = true;
    w->next = NULL;
    *(cond->first ? &cond->last->next : &cond->first) = w;
    cond->last = w;
    ReleaseSRWLockExclusive(lock_of(&cond->lock));
    return w;
}

/* The first waiter leaves the list; the condition's lock is held. */
static void cond_pop_locked(struct vr_cond *cond)
{
    struct vr_cond_waiter *w = cond->first;
    cond->first = w->next;
    w->waits = false;
    SetEvent(w->event);
}

/* The wait is over, and the event was consumed if @consumed. True: it was signalled. */
static bool cond_leave(struct vr_cond *cond, struct vr_cond_waiter *w, bool consumed)
{
    AcquireSRWLockExclusive(lock_of(&cond->lock));
    bool signalled = !w->waits;
    if (!signalled) {
        struct vr_cond_waiter *before = NULL, *at = cond->first;
        while (at != w) {
            before = at;
            at = at->next;
        }
        *(before ? &before->next : &cond->first) = w->next;
        cond->last = cond->last == w ? before : cond->last;
        w->waits = false;
    } else if (!consumed) {
        WaitForSingleObject(w->event, INFINITE); /* the signal came with the end of the time */
    }
    w->next = cond->spare;
    cond->spare = w;
    ReleaseSRWLockExclusive(lock_of(&cond->lock));
    return signalled;
}

void vr_cond_wait(struct vr_cond *cond, struct vr_mutex *mutex)
{
    struct vr_cond_waiter *w = cond_enter(cond);
    vr_mutex_unlock(mutex);
    vr_assert(WaitForSingleObject(w->event, INFINITE) == WAIT_OBJECT_0);
    (void)cond_leave(cond, w, true);
    vr_mutex_lock(mutex);
}

static HANDLE cond_timer(void)
{
    HANDLE timer =
        CreateWaitableTimerExW(NULL, NULL, CREATE_WAITABLE_TIMER_HIGH_RESOLUTION, TIMER_ALL_ACCESS);
    timer = timer ? timer : CreateWaitableTimerExW(NULL, NULL, 0, TIMER_ALL_ACCESS);
    vr_assert(timer);
    return timer;
}

/* Wait for the event or for @ns nanoseconds. True: the event came. */
static bool cond_wait_ns(struct vr_cond_waiter *w, uint64_t ns)
{
    w->timer = w->timer ? w->timer : cond_timer();
    uint64_t units = ns / LOCK_UNIT_NS + (ns % LOCK_UNIT_NS != 0);
    LARGE_INTEGER due = {.QuadPart = -(LONGLONG)(units < INT64_MAX ? units : INT64_MAX)};
    const HANDLE both[] = {w->event, w->timer};
    vr_assert(SetWaitableTimer(w->timer, &due, 0, NULL, NULL, FALSE));
    DWORD which = WaitForMultipleObjects(2, both, FALSE, INFINITE);
    vr_assert(which == WAIT_OBJECT_0 || which == WAIT_OBJECT_0 + 1);
    if (which == WAIT_OBJECT_0) {
        CancelWaitableTimer(w->timer);
    }
    return which == WAIT_OBJECT_0;
}

bool vr_cond_wait_until(struct vr_cond *cond, struct vr_mutex *mutex, uint64_t until_ns)
{
    uint64_t now = vireo_monotonic_ns();
    if (until_ns <= now) {
        return false;
    }
    struct vr_cond_waiter *w = cond_enter(cond);
    vr_mutex_unlock(mutex);
    bool came = false;
    /* A timer may end early: it runs by another clock. */
    for (; !came && now < until_ns; now = vireo_monotonic_ns()) {
        came = cond_wait_ns(w, until_ns - now);
    }
    bool signalled = cond_leave(cond, w, came);
    vr_mutex_lock(mutex);
    return signalled;
}

void vr_cond_signal(struct vr_cond *cond)
{
    AcquireSRWLockExclusive(lock_of(&cond->lock));
    if (cond->first) {
        cond_pop_locked(cond);
    }
    ReleaseSRWLockExclusive(lock_of(&cond->lock));
}

void vr_cond_broadcast(struct vr_cond *cond)
{
    AcquireSRWLockExclusive(lock_of(&cond->lock));
    while (cond->first) {
        cond_pop_locked(cond);
    }
    ReleaseSRWLockExclusive(lock_of(&cond->lock));
}

static BOOL CALLBACK once_call(PINIT_ONCE once, PVOID fn, PVOID *context)
{
    (void)once;
    (void)context;
    (*(void (**)(void))fn)();
    return TRUE;
}

void vr_once(struct vr_once *once, void (*fn)(void))
{
    _Static_assert(sizeof(INIT_ONCE) == sizeof(once->once), "as platform/lock.h has it");
    vr_assert(InitOnceExecuteOnce((PINIT_ONCE)&once->once, once_call, &fn, NULL));
}
