/* What the guests' benchmarks share: the clock, and the two lines of a measurement. */
#ifndef VR_BENCH_IO_H
#define VR_BENCH_IO_H

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static inline double io_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* With $BENCH_WAIT the runner on the host answers each mark by a line, once it has looked how much
 * CPU time the monitor used: however late it gets to that, the guest has not run on. A mark that
 * was lost on the way has no answer. */
static inline void io_await(void)
{
    struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
    char c = 0;
    if (getenv("BENCH_WAIT") == NULL) {
        return;
    }
    while (c != '\n' && poll(&p, 1, 20000) > 0 && read(STDIN_FILENO, &c, 1) == 1) {
    }
}

static inline double io_begin(const char *name)
{
    printf("#BEGIN %s\n", name);
    io_await();
    return io_now();
}

/* @seconds and @cpu_seconds as the program itself sees them. */
static inline void io_end(const char *name, double operations, double seconds, double cpu_seconds)
{
    printf("#END %s %.3f %.6f %.6f\n", name, operations, seconds, cpu_seconds);
    io_await();
}

/* The same for tests whose CPU time tells nothing, named after their group. */
static inline double io_begin_of(const char *group, const char *name)
{
    char whole[64];
    snprintf(whole, sizeof(whole), "%s_%s", group, name);
    return io_begin(whole);
}

static inline void io_end_of(const char *group, const char *name, double operations, double began)
{
    char whole[64];
    double seconds = io_now() - began;
    snprintf(whole, sizeof(whole), "%s_%s", group, name);
    io_end(whole, operations, seconds, 0);
}

_Noreturn static inline void io_die(const char *what)
{
    perror(what);
    printf("#FAIL %s\n", what);
    exit(1);
}

#endif
