/* A histogram of times; see hist.h. */
#include "base/hist.h"

enum { FIRST_SHIFT = 7 }; /* bucket 0: below 2^7 ns */

/* The bucket of @ns: which doubling, and which quarter of it. */
static unsigned hist_bucket(uint64_t ns)
{
    if (ns < UINT64_C(1) << FIRST_SHIFT) {
        return 0;
    }
    unsigned log2 = 63u - (unsigned)__builtin_clzll(ns);
    unsigned i = 1 + (log2 - FIRST_SHIFT) * 4 + (unsigned)(ns >> (log2 - 2) & 3);
    return i < VR_HIST_BUCKETS ? i : VR_HIST_BUCKETS - 1;
}

/* The first time that is above bucket @i. */
static uint64_t hist_end(unsigned i)
{
    return i == 0 ? UINT64_C(1) << FIRST_SHIFT
                  : (UINT64_C(5) + (i - 1) % 4) << (FIRST_SHIFT + (i - 1) / 4 - 2);
}

void vr_hist_add(struct vr_hist *h, uint64_t ns, uint64_t n)
{
    vr_tally(&h->sum_ns, ns * n);
    vr_tally(&h->bucket[hist_bucket(ns)], n);
}

uint64_t vr_hist_count(const struct vr_hist *h)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < VR_HIST_BUCKETS; i++) {
        count += vr_tally_get(&h->bucket[i]);
    }
    return count;
}

uint64_t vr_hist_quantile_ns(const struct vr_hist *h, unsigned permille)
{
    uint64_t total = vr_hist_count(h), seen = 0;
    for (unsigned i = 0; i < VR_HIST_BUCKETS && total; i++) {
        seen += vr_tally_get(&h->bucket[i]);
        if (seen >=
            total - total / 1000 * (1000 - permille) - total % 1000 * (1000 - permille) / 1000) {
            return hist_end(i);
        }
    }
    return total ? hist_end(VR_HIST_BUCKETS - 1) : 0;
}
