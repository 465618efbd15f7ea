/*
 * CPU, memory and system micro benchmarks for guests (and for the host: the same source is compiled
 * natively).
 *
 *   bench [-t SECONDS] NAME...     names of benchmarks or groups (int fp mem sys smp), or "all"
 *
 * Prints, for each benchmark: "#BEGIN name", then "#END name operations wall_seconds cpu_seconds".
 * The lines let the runner on the host charge the CPU time that the monitor used in between, which
 * is what to compare on a machine that others share.
 */
#include "bench.h"
#include "io.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static volatile uint64_t sink;

static double cpu_of(int who)
{
    struct rusage u;
    if (getrusage(who, &u)) {
        return 0;
    }
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           1e-6 * (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec);
}

static double cpu_now(void)
{
    return cpu_of(RUSAGE_SELF) + cpu_of(RUSAGE_CHILDREN);
}

static void measure(const struct bench *b, double seconds)
{
    uint64_t n = b->start;
    double t;
    sink += b->fn(n); /* set up, warm up */
    for (;;) {        /* find a count worth about a fifth of the time wanted */
        double t0 = io_now();
        sink += b->fn(n);
        t = io_now() - t0;
        if (t > seconds / 8) {
            break;
        }
        n = t < seconds / 400 ? n * 16 : n * 3;
    }
    n = (uint64_t)((double)n * seconds / 4 / t) + 1;
    uint64_t ops = 0;
    double t0 = io_begin(b->name), c0 = cpu_now();
    do {
        sink += b->fn(n);
        ops += n;
        t = io_now() - t0;
    } while (t < seconds);
    io_end(b->name, (double)ops, t, cpu_now() - c0);
}

/* Each runs in a process of its own, so that all start from the same small one. */
static void measure_apart(const struct bench *b, double seconds)
{
    pid_t child = fork();
    if (child == 0) {
        measure(b, seconds);
        exit(0);
    }
    int status = -1;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) {
        printf("#FAIL %s status %d\n", b->name, status);
    }
}

int main(int argc, char **argv)
{
    static const struct bench *const tables[] = {bench_int, bench_fp, bench_mem, bench_sys};
    double seconds = 1.5;
    int first = 1;
    if (argc > 1 && strcmp(argv[1], "--nop") == 0) {
        return 0; /* what the forkexec benchmark runs */
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (argc > 2 && strcmp(argv[1], "-t") == 0) {
        seconds = atof(argv[2]);
        first = 3;
    }
    for (int a = first; a < argc; a++) {
        bool found = false;
        for (size_t i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
            for (const struct bench *b = tables[i]; b->name; b++) {
                if (strcmp(argv[a], "all") == 0 || strcmp(argv[a], b->name) == 0 ||
                    strcmp(argv[a], b->group) == 0) {
                    measure_apart(b, seconds);
                    found = true;
                }
            }
        }
        if (!found) {
            printf("#FAIL %s no such benchmark\n", argv[a]);
        }
    }
    return 0;
}
