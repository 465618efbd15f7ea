/*
 * Counters, and a histogram of times, that one thread (or whoever holds one lock) writes and any
 * thread reads without a lock. Each number is right; numbers read one after the other are not of
 * one moment.
 *
 * The histogram has four buckets for each doubling, from 128 ns to half a minute, so a quantile is
 * at most a quarter off.
 */
#ifndef VR_BASE_HIST_H
#define VR_BASE_HIST_H

#include <stdint.h>

static inline uint64_t vr_tally_get(const uint64_t *counter)
{
    return __atomic_load_n(counter, __ATOMIC_RELAXED);
}

static inline void vr_tally(uint64_t *counter, uint64_t n)
{
    __atomic_store_n(counter, *counter + n, __ATOMIC_RELAXED);
}

enum { VR_HIST_BUCKETS = 1 + 28 * 4 + 1 };

struct vr_hist {
    uint64_t sum_ns;
    uint64_t bucket[VR_HIST_BUCKETS];
};

/* @n times @ns. */
void vr_hist_add(struct vr_hist *h, uint64_t ns, uint64_t n);
uint64_t vr_hist_count(const struct vr_hist *h);
/* The time, rounded up to the end of its bucket, that @permille of all took at most; 0: there are
 * none. */
uint64_t vr_hist_quantile_ns(const struct vr_hist *h, unsigned permille);

#endif
