/* Threads by _beginthreadex (MSDN: a thread that uses the C library is started so, not by
 * CreateThread), SetThreadDescription, GetThreadTimes. */
#include "base/alloc.h"
#include "platform/windows/win.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <process.h>
#include <stdio.h>
#include <string.h>

enum { THREAD_NAME = 64, FILETIME_NS = 100 };

struct vireo_thread {
    HANDLE handle;
    unsigned id;
    char name[THREAD_NAME];
    void (*fn)(void *);
    void *arg;
};

/* Since Windows 10 1607. */
static void thread_set_name(const char *name)
{
    typedef HRESULT(WINAPI * describe_fn)(HANDLE, PCWSTR);
    describe_fn describe = (describe_fn)vr_win_proc(L"kernelbase.dll", "SetThreadDescription");
    wchar_t *wide;
    if (describe && vr_win_wide(name, &wide) == 0) {
        describe(GetCurrentThread(), wide);
        free(wide);
    }
}

static unsigned __stdcall thread_main(void *opaque)
{
    struct vireo_thread *t = opaque;
    thread_set_name(t->name);
    t->fn(t->arg);
    return 0;
}

int vireo_thread_create(const char *name, void (*fn)(void *), void *arg,
                        struct vireo_thread **ret_thread, struct vr_error *err)
{
    struct vireo_thread *t = vr_zalloc(sizeof(*t));
    if (!t) {
        return vr_err(err, -ENOMEM, "thread '%s': no memory", name);
    }
    snprintf(t->name, sizeof(t->name), "%s", name);
    t->fn = fn;
    t->arg = arg;
    uintptr_t handle = _beginthreadex(NULL, 0, thread_main, t, 0, &t->id);
    if (handle == 0) {
        int r = errno == EINVAL ? -ENOMEM : -EAGAIN; /* EINVAL: no room for its stack */
        free(t);
        return vr_err(err, r, "thread '%s': %s", name, strerror(-r));
    }
    t->handle = (HANDLE)handle;
    *ret_thread = t;
    return 0;
}

uint64_t vireo_thread_host_id(void)
{
    return GetCurrentThreadId();
}

void vireo_thread_be_punctual(void)
{
    /* Timed waits use high-resolution timers, all of them: see lock.c. */
}

void vireo_thread_join(struct vireo_thread *thread)
{
    if (thread) {
        vr_assert(WaitForSingleObject(thread->handle, INFINITE) == WAIT_OBJECT_0);
        CloseHandle(thread->handle);
        free(thread);
    }
}

void vireo_thread_yield(void)
{
    SwitchToThread();
}

bool vireo_thread_is_current(const struct vireo_thread *thread)
{
    return thread->id == GetCurrentThreadId();
}

uint64_t vireo_thread_cpu_ns(const struct vireo_thread *thread)
{
    FILETIME start, end, kernel, user;
    if (!GetThreadTimes(thread->handle, &start, &end, &kernel, &user)) {
        return UINT64_MAX;
    }
    uint64_t units = ((uint64_t)kernel.dwHighDateTime << 32 | kernel.dwLowDateTime) +
                     ((uint64_t)user.dwHighDateTime << 32 | user.dwLowDateTime);
    return units * FILETIME_NS;
}
