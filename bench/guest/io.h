/* What the guests' input and output benchmarks share: the clock, and the two lines of a
 * measurement. */
#ifndef VR_BENCH_IO_H
#define VR_BENCH_IO_H

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static inline double io_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The runner on the host takes the CPU time of the monitor between these two lines. */
static inline double io_begin(const char *group, const char *name)
{
    printf("#BEGIN %s_%s\n", group, name);
    return io_now();
}

static inline void io_end(const char *group, const char *name, double operations, double began)
{
    printf("#END %s_%s %.3f %.6f 0\n", group, name, operations, io_now() - began);
}

_Noreturn static inline void io_die(const char *what)
{
    perror(what);
    printf("#FAIL %s\n", what);
    exit(1);
}

#endif
