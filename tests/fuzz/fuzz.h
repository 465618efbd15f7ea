/*
 * A fuzz target is one file, NAME_fuzz.c, with these two functions. It is built twice: with
 * replay.c into a test that any compiler can run (seeds, and a fixed number of mutations of them),
 * and with -Dfuzz=true and clang into a libFuzzer program (`make fuzz`).
 */
#ifndef VR_TESTS_FUZZ_H
#define VR_TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

/* What has to hold whatever the input is. */
#define KEEPS(c) ((c) ? (void)0 : fuzz_broken(__FILE__, __LINE__, #c))

static inline void fuzz_broken(const char *file, int line, const char *what)
{
    (void)fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, what);
    abort();
}

/* Feed @len bytes to what is tested; must not crash, leak, or run away. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Write the @n-th example of good input to @buf; returns its length, at most @cap, or 0 after the
 * last one. The better the examples, the deeper the fuzzer gets. */
size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap);

/* What is left of an input. */
struct fuzz_reader {
    const uint8_t *buf;
    size_t len;
};

/* The next @width bytes, least first; as if zeroes came behind the last one. */
static inline uint64_t fuzz_take(struct fuzz_reader *r, unsigned width)
{
    uint64_t val = 0;
    for (unsigned i = 0; i < width && r->len; i++) {
        val |= (uint64_t)*r->buf++ << (8 * i);
        r->len--;
    }
    return val;
}

/* Where examples are written; what has no room left is not. */
struct fuzz_writer {
    uint8_t *buf;
    size_t len, cap;
};

/* The low @width bytes of @val, least first. */
static inline void fuzz_put(struct fuzz_writer *w, uint64_t val, unsigned width)
{
    for (unsigned i = 0; i < width && w->len < w->cap; i++) {
        w->buf[w->len++] = (uint8_t)(val >> (8 * i));
    }
}

#endif
