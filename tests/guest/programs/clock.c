/* Time in the guest: a second of sleep is a second on every clock, and the time CSR counts 10
 * million in it. */
#include <stdint.h>
#include <stdio.h>
#include <sys/time.h>
#include <time.h>

static double seconds(clockid_t id)
{
    struct timespec ts;
    clock_gettime(id, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec * 1e-9;
}

static uint64_t ticks(void)
{
    uint64_t t;
    __asm__ volatile("rdtime %0" : "=r"(t));
    return t;
}

int main(void)
{
    static const struct timespec second = {1, 0}, tenth = {0, 100000000};
    double mono = seconds(CLOCK_MONOTONIC), raw = seconds(CLOCK_MONOTONIC_RAW),
           real = seconds(CLOCK_REALTIME);
    double used = seconds(CLOCK_PROCESS_CPUTIME_ID);
    uint64_t t = ticks();
    clock_nanosleep(CLOCK_MONOTONIC, 0, &second, NULL);
    uint64_t dt = ticks() - t;
    printf("slept %.4f %.4f %.4f cpu %.4f ticks %.4f\n", seconds(CLOCK_MONOTONIC) - mono,
           seconds(CLOCK_MONOTONIC_RAW) - raw, seconds(CLOCK_REALTIME) - real,
           seconds(CLOCK_PROCESS_CPUTIME_ID) - used, (double)dt / 1e7);
    double least = 9;
    for (int i = 0; i < 10; i++) { /* the shortest of some: the host may be busy */
        double start = seconds(CLOCK_MONOTONIC);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &tenth, NULL);
        double took = seconds(CLOCK_MONOTONIC) - start;
        least = took < least ? took : least;
    }
    printf("tenth %.4f\n", least);
    return 0;
}
