/* One benchmark: fn(n) does n operations and returns something that depends on all of them. */
#ifndef VR_BENCH_H
#define VR_BENCH_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_NOINLINE __attribute__((noinline))

struct bench {
    const char *name, *group;
    uint64_t (*fn)(uint64_t n);
    uint64_t start; /* operations of the first, calibrating call */
};

/* Each ends with a row without name. */
extern const struct bench bench_int[], bench_fp[], bench_mem[], bench_sys[];

#endif
