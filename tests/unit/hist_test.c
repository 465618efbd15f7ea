/* Histograms of times: quantiles are what sorting all the times would give, at most a quarter off.
 */
#include "test.h"

#include "base/bits.h"
#include "base/hist.h"
#include <stdlib.h>

static void an_empty_one_knows_nothing(void **state)
{
    (void)state;
    static struct vr_hist h;
    assert_int_equal(vr_hist_count(&h), 0);
    assert_int_equal(vr_hist_quantile_ns(&h, 990), 0);
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void quantiles_are_those_of_a_sorted_list(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t all[COUNT];
    static struct vr_hist h;
    uint64_t seed = 5, sum = 0;
    for (unsigned i = 0; i < COUNT; i++) {
        seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
        all[i] = (seed >> 33) >> (seed >> 20 & 15); /* 0 to 2 s, of all magnitudes */
        sum += all[i];
        vr_hist_add(&h, all[i], 1);
    }
    qsort(all, COUNT, sizeof(all[0]), compare);
    assert_int_equal(vr_hist_count(&h), COUNT);
    assert_int_equal(h.sum_ns, sum);
    static const unsigned permilles[] = {1, 10, 250, 500, 900, 990, 999, 1000};
    for (unsigned i = 0; i < VR_COUNT(permilles); i++) {
        uint64_t exact = all[COUNT / 1000 * permilles[i] - 1];
        uint64_t got = vr_hist_quantile_ns(&h, permilles[i]);
        assert_true(got > exact);
        assert_true(got <= exact + exact / 4 + 128);
    }
}

static void ends_of_buckets(void **state)
{
    (void)state;
    for (unsigned log2 = 7; log2 < 35; log2++) {
        for (unsigned quarter = 0; quarter < 4; quarter++) {
            struct vr_hist h = {0};
            uint64_t from = (UINT64_C(4) + quarter) << (log2 - 2);
            uint64_t to = (UINT64_C(5) + quarter) << (log2 - 2);
            vr_hist_add(&h, from, 3);
            vr_hist_add(&h, to - 1, 4);
            assert_int_equal(vr_hist_count(&h), 7);
            assert_int_equal(vr_hist_quantile_ns(&h, 1), to);
            assert_int_equal(vr_hist_quantile_ns(&h, 1000), to);
        }
    }
    struct vr_hist h = {0};
    vr_hist_add(&h, 127, 1);
    assert_int_equal(vr_hist_quantile_ns(&h, 500), 128);
    vr_hist_add(&h, UINT64_MAX, 1); /* the last bucket has no end */
    assert_true(vr_hist_quantile_ns(&h, 1000) > UINT64_C(1) << 34);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_one_knows_nothing),
        cmocka_unit_test(quantiles_are_those_of_a_sorted_list),
        cmocka_unit_test(ends_of_buckets),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
