/*
 * Threads of this host: started, named, placed on processors, ranked by priority.
 *
 *     struct vireo_cpuset big;
 *     struct vr_error err;
 *     if (vireo_place_of_kind(VIREO_CORE_BIG, &big, &err) == 0) {
 *         if (vireo_place_self(&big, &err) < 0) {
 *             fprintf(stderr, "%s\n", err.msg);
 *         }
 *         vireo_cpuset_fini(&big);
 *     }
 *
 * Functions may be called from any thread; a set is the caller's, who orders its changes.
 *
 * Sources: POSIX.1-2017 threads; sched_setaffinity(2), sched_setscheduler(2), setpriority(2),
 * prctl(2); Linux Documentation/admin-guide/kernel-parameters.rst, "cpu lists".
 */
#ifndef VIREO_HOST_THREAD_H
#define VIREO_HOST_THREAD_H

#include "vireo/error.h"
#include "vireo/platform.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Threads ------------------------------------------------------------------------------- */

struct vireo_thread;

/* Start fn(arg) on a new thread named @name (cut to what the host shows). All signals are blocked
 * in it but for synchronous faults. -EAGAIN: the host has no more threads; -ENOMEM. Free by
 * vireo_thread_join. */
VIREO_API int vireo_thread_create(const char *name, void (*fn)(void *), void *arg,
                                  struct vireo_thread **ret_thread,
                                  struct vr_error *err) VIREO_MUST;
/* Ask the host to end the calling thread's timed waits on time, not tens of microseconds later. */
VIREO_API void vireo_thread_be_punctual(void);
/* The calling thread's number as the host's tools show it (Linux: its TID). */
VIREO_API uint64_t vireo_thread_host_id(void);
VIREO_API void vireo_thread_join(struct vireo_thread *thread); /* waits, frees; NULL is fine */
VIREO_API void vireo_thread_yield(void); /* let another thread have the host CPU, if one wants it */
VIREO_API bool vireo_thread_is_current(const struct vireo_thread *thread);
/* CPU time that @thread has used, ns; UINT64_MAX if the host cannot tell. */
VIREO_API uint64_t vireo_thread_cpu_ns(const struct vireo_thread *thread);

/* ---- Sets of processors -------------------------------------------------------------------- */

enum { VIREO_CPU_MAX = 65536 }; /* numbers below this; more than any kernel is built for */

/* An all-zero struct is the empty set. Free what a set holds with fini. */
struct vireo_cpuset {
    uint64_t *bits; /* NULL: empty */
    uint32_t words;
};

VIREO_API void vireo_cpuset_fini(struct vireo_cpuset *set);
VIREO_API bool vireo_cpuset_has(const struct vireo_cpuset *set, uint32_t cpu);
/* -ERANGE: @cpu is beyond VIREO_CPU_MAX; -ENOMEM. */
VIREO_API int vireo_cpuset_add(struct vireo_cpuset *set, uint32_t cpu) VIREO_MUST;
VIREO_API uint32_t vireo_cpuset_count(const struct vireo_cpuset *set);
/* The first member at or after @from; UINT32_MAX: none. */
VIREO_API uint32_t vireo_cpuset_next(const struct vireo_cpuset *set, uint32_t from);
/* Parse a list as Linux writes them, "0-3,8,10-11"; blanks only at its end. The empty list is the
 * empty set. Strides ("0-8:2/4") are understood. -EINVAL: no list; -ERANGE: numbers beyond
 * VIREO_CPU_MAX; -ENOMEM. */
VIREO_API int vireo_cpuset_parse(const char *text, struct vireo_cpuset *ret_set) VIREO_MUST;
/* Write the list, as short as it gets, cut to @size with its NUL. Returns the whole length. */
VIREO_API size_t vireo_cpuset_format(const struct vireo_cpuset *set, char *text, size_t size);

/* ---- Where the calling thread runs --------------------------------------------------------- */

/* Run the calling thread on processors of @set only, numbers of any size. -EINVAL: none of them is
 * online and allowed to this process. -ENOTSUP: fewer than all of them, on a host that lets no
 * thread choose (macOS, iOS). */
VIREO_API int vireo_place_self(const struct vireo_cpuset *set, struct vr_error *err) VIREO_MUST;
VIREO_API int vireo_place_self_on(uint32_t cpu, struct vr_error *err) VIREO_MUST;
/* Processors that the calling thread may run on. -ENOMEM and what the host says. */
VIREO_API int vireo_place_get(struct vireo_cpuset *ret_set, struct vr_error *err) VIREO_MUST;
/* The usable processors of one kind; of hosts whose processors are alike: all for any kind.
 * -ENODEV: none; -ENOMEM. */
VIREO_API int vireo_place_of_kind(enum vireo_core_kind kind, struct vireo_cpuset *ret_set,
                                  struct vr_error *err) VIREO_MUST;

/* How threads share the host's processors. */
enum vireo_place_policy {
    VIREO_PLACE_NONE,    /* wherever the host likes */
    VIREO_PLACE_LOCAL,   /* all on one NUMA node, the one with most usable processors */
    VIREO_PLACE_SPREAD,  /* one on each core, packages in turn, before cores are shared */
    VIREO_PLACE_COMPACT, /* neighbours: fill a core's threads, then its package */
};
/* The processors for thread @index of @count under @policy; more threads than processors share.
 * From @host's usable processors. -EINVAL: @index; -ENOMEM. */
VIREO_API int vireo_place_plan(const struct vireo_platform *host, enum vireo_place_policy policy,
                               uint32_t index, uint32_t count, struct vireo_cpuset *ret_set,
                               struct vr_error *err) VIREO_MUST;

enum vireo_priority {
    VIREO_PRIORITY_LOW,
    VIREO_PRIORITY_NORMAL,
    VIREO_PRIORITY_HIGH,
    VIREO_PRIORITY_REALTIME,
};
/* Of the calling thread. High and realtime need a right: -EPERM, -EACCES, and the message says
 * which; the thread then stays as it was. */
VIREO_API int vireo_priority_self(enum vireo_priority priority, struct vr_error *err) VIREO_MUST;

#ifdef __cplusplus
}
#endif

#endif
