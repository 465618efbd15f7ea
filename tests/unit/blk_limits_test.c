/* Limits of disks: token buckets by themselves, and a disk's requests in time of a clock that the
 * test steps. The image is a fake that does a request when it comes. */
#include "backend/block/block_impl.h"
#include "backend/throttle.h"
#include "base/bits.h"
#include "core/clock.h"
#include "core/loop.h"
#include "core/machine.h"
#include "test.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MS  UINT64_C(1000000)
#define SEC UINT64_C(1000000000)
enum { DISK = 1 << 20, REQS = 600, SECTOR = 512 };

/* --- Buckets --- */

static void a_bucket_keeps_its_rate(void **state)
{
    static const uint64_t rates[] = {1, 7, 100, 4096, 100000000, UINT64_MAX};
    (void)state;
    for (unsigned i = 0; i < VR_COUNT(rates); i++) {
        struct vr_throttle t = {.rate = rates[i]};
        uint64_t now = 5 * SEC, taken = 0, amount = rates[i] / 50 + 1;
        while (now < 15 * SEC) {
            uint64_t wait = vr_throttle_wait(&t, now);
            if (wait) {
                assert_int_not_equal(vr_throttle_wait(&t, now + wait - 1), 0);
                now += wait;
            }
            assert_int_equal(vr_throttle_wait(&t, now), 0);
            vr_throttle_take(&t, now, amount);
            taken += amount;
            now += rates[i] == UINT64_MAX ? SEC : 0; /* one that never has to wait */
        }
        if (rates[i] != UINT64_MAX) { /* a tenth of a second's worth more, and the last one */
            assert_in_range(taken, 10 * rates[i] - 1, 10 * rates[i] + rates[i] / 10 + 2 * amount);
        }
    }
    struct vr_throttle none = {.rate = 0}, huge = {.rate = 1};
    vr_throttle_take(&none, 0, UINT64_MAX);
    assert_int_equal(vr_throttle_wait(&none, 0), 0);
    vr_throttle_take(&huge, 0, UINT64_MAX); /* a life long */
    assert_true(vr_throttle_wait(&huge, 0) > 500 * SEC);
    vr_throttle_take(&huge, UINT64_MAX, UINT64_MAX);
    assert_int_equal(vr_throttle_wait(&huge, UINT64_MAX), 0);
}

/* --- A disk --- */

struct fake {
    struct vr_blk blk;
    struct vr_clock *clock;
    struct vr_loop *loop;
    struct vr_blk_req req[REQS];
    struct iovec iov[REQS];
    uint8_t buf[64 << 10];
    unsigned begun[VR_BLK_OPS], done, next;
};

static void fake_submit(struct vr_blk *blk, struct vr_blk_req *req)
{
    ((struct fake *)blk)->begun[req->op]++;
    vr_blk_complete(blk, req, 0);
}

static void fake_done(struct vr_blk_req *req, int result)
{
    assert_int_equal(result, 0);
    ((struct fake *)req->opaque)->done++;
}

static int setup(void **state)
{
    static const struct vr_blk_ops ops = {.name = "fake", .submit = fake_submit};
    struct fake *f = calloc(1, sizeof(*f));
    assert_int_equal(vr_clock_create(VR_CLOCK_STEPPED, &f->clock, NULL), 0);
    assert_int_equal(vr_loop_create(&f->loop, NULL), 0);
    assert_int_equal(vr_blk_init(&f->blk, &ops, "fake", f->loop, NULL), 0);
    f->blk.size_bytes = DISK;
    f->blk.sector_bytes = SECTOR;
    f->blk.discard = true;
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fake *f = *state;
    vr_blk_drain(&f->blk);
    vr_blk_fini(&f->blk);
    vr_loop_destroy(f->loop);
    vr_clock_destroy(f->clock);
    free(f);
    return 0;
}

static void limit(struct fake *f, const struct vr_blk_limits *limits)
{
    struct vr_blk_limits are;
    struct vr_error err;
    assert_int_equal(vr_blk_set_limits(&f->blk, f->clock, limits, &err), 0);
    vr_blk_get_limits(&f->blk, &are);
    assert_memory_equal(&are, limits, sizeof(are));
}

static void ask(struct fake *f, enum vr_blk_op op, unsigned count, size_t len)
{
    for (unsigned i = 0; i < count; i++) {
        assert_true(f->next < REQS);
        struct vr_blk_req *req = &f->req[f->next];
        struct iovec *iov = &f->iov[f->next++];
        *iov = (struct iovec){.iov_base = f->buf, .iov_len = len};
        *req = (struct vr_blk_req){.op = op,
                                   .len_bytes = op == VR_BLK_FLUSH ? 0 : len,
                                   .iov = iov,
                                   .iov_count = 1,
                                   .done = fake_done,
                                   .opaque = f};
        vr_blk_submit(&f->blk, req);
    }
}

static void requests_a_second(void **state)
{
    struct fake *f = *state;
    vr_clock_step(f->clock, 3 * SEC);
    limit(f, &(struct vr_blk_limits){.requests_s = {100, 0, 0}});
    ask(f, VR_BLK_READ, 250, 4096);
    ask(f, VR_BLK_WRITE, 250, 512);
    unsigned first = f->begun[VR_BLK_READ] + f->begun[VR_BLK_WRITE];
    assert_in_range(first, 10, 11); /* what a rest is worth */
    for (unsigned ms = 1; ms <= 2000; ms++) {
        vr_clock_step(f->clock, MS);
        unsigned all = f->begun[VR_BLK_READ] + f->begun[VR_BLK_WRITE];
        assert_in_range(all, first + ms / 10 - 1, first + ms / 10 + 1);
    }
    assert_true(f->begun[VR_BLK_READ] && f->begun[VR_BLK_WRITE]);
}

static void bytes_a_second(void **state)
{
    struct fake *f = *state;
    limit(f, &(struct vr_blk_limits){.bytes_s = {0, 1 << 20, 0}});
    ask(f, VR_BLK_READ, 40, 64 << 10); /* 16 a second */
    ask(f, VR_BLK_WRITE, 100, 64 << 10);
    assert_int_equal(f->begun[VR_BLK_WRITE], 100); /* no limit of theirs */
    unsigned first = f->begun[VR_BLK_READ];
    assert_in_range(first, 1, 3);
    vr_clock_step(f->clock, SEC);
    assert_in_range(f->begun[VR_BLK_READ], first + 15, first + 16);
    vr_clock_step(f->clock, 2 * SEC);
    assert_int_equal(f->begun[VR_BLK_READ], 40);
}

static void flushes_wait_for_nothing(void **state)
{
    struct fake *f = *state;
    limit(f, &(struct vr_blk_limits){.requests_s = {0, 0, 1}});
    ask(f, VR_BLK_DISCARD, 5, 4096);
    ask(f, VR_BLK_FLUSH, 5, 0);
    ask(f, VR_BLK_READ, 5, 4096);
    assert_int_equal(f->begun[VR_BLK_FLUSH], 5);
    assert_int_equal(f->begun[VR_BLK_READ], 5);
    assert_int_equal(f->begun[VR_BLK_DISCARD], 1);
    vr_clock_step(f->clock, 2 * SEC);
    assert_int_equal(f->begun[VR_BLK_DISCARD], 3);
}

static void nobody_waits_for_limits_for_ever(void **state)
{
    struct fake *f = *state;
    limit(f, &(struct vr_blk_limits){.requests_s = {1, 0, 0}});
    ask(f, VR_BLK_WRITE, 50, 512);
    assert_int_equal(f->begun[VR_BLK_WRITE], 1);
    vr_blk_drain(&f->blk); /* time stands still */
    assert_int_equal(f->done, 50);
    /* They are to be paid for all the same. */
    ask(f, VR_BLK_WRITE, 1, 512);
    vr_clock_step(f->clock, 40 * SEC);
    assert_int_equal(f->begun[VR_BLK_WRITE], 50);
    limit(f, &(struct vr_blk_limits){.requests_s = {0, 0, 0}});
    assert_int_equal(f->begun[VR_BLK_WRITE], 51);
    ask(f, VR_BLK_WRITE, 50, 512);
    assert_int_equal(f->begun[VR_BLK_WRITE], 101);
    /* A bad request is refused in its turn, as any other. */
    assert_int_equal(vr_blk_do(&f->blk, VR_BLK_READ, DISK, f->buf, 512), -EINVAL);
}

static void not_in_deterministic_mode(void **state)
{
    struct fake *f = *state;
    struct vr_error err;
    struct vr_machine *m;
    assert_int_equal(vr_machine_create("det", VR_CLOCK_STEPPED, true, NULL, &m, &err), 0);
    assert_int_equal(vr_machine_set_det(m, &(struct vr_det_opts){.on = true}, &err), 0);
    f->blk.src.det = vr_machine_det(m);
    assert_int_equal(vr_blk_set_limits(&f->blk, f->clock, &(struct vr_blk_limits){0}, &err),
                     -ENOTSUP);
    f->blk.src.det = NULL;
    vr_machine_destroy(m);
}

int main(void)
{
#define LIMITS_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_bucket_keeps_its_rate),
        LIMITS_TEST(requests_a_second),
        LIMITS_TEST(bytes_a_second),
        LIMITS_TEST(flushes_wait_for_nothing),
        LIMITS_TEST(nobody_waits_for_limits_for_ever),
        LIMITS_TEST(not_in_deterministic_mode),
    };
    return cmocka_run_group_tests_name("blk_limits", tests, NULL, NULL);
}
