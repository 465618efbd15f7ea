/* The virtio balloon: pages that really go back, statistics, reports, targets, page poison. VIRTIO
 * 1.3, section 5.5. */
#include "virtq_driver.h"

#include "base/bits.h"
#include "dev/virtio/balloon.h"
#include "vireo/host_thread.h"

#include <errno.h>

enum { INFLATE, DEFLATE, STATS, REPORT_OLD, REPORT };
enum { F_STATS = 1 << 1, F_OOM = 1 << 2, F_HINT = 1 << 3, F_POISON = 1 << 4, F_REPORT = 1 << 5 };
enum { PAGE = 4096, FIRST = 128, PAGES = 64 }; /* pages that tests give away */

static int setup(void **state)
{
    return vd_setup(state, VD_CLASS(balloon), VD_OPTS);
}

static struct vireo_balloon info(struct vd_fixture *f)
{
    struct vireo_balloon b;
    vr_virtio_balloon_info(f->dev, &b);
    return b;
}

static uint8_t *page(struct vd_fixture *f, unsigned i)
{
    return f->rig.ram->hva + (FIRST + i) * PAGE;
}

/* The pages hold something. */
static void fill(struct vd_fixture *f)
{
    memset(page(f, 0), 0xa5, PAGES * PAGE);
}

static bool gone(struct vd_fixture *f, unsigned i)
{
    uint64_t off = (uint64_t)(FIRST + i) * PAGE;
    return vireo_shmem_next_data(&f->rig.ram->mem, off) != off;
}

/* A request of page numbers, relative to FIRST. */
static void give(struct vd_fixture *f, unsigned queue, const uint32_t *pages, unsigned count)
{
    uint8_t pfns[PAGES * 4];
    struct vd_buf bufs[64];
    for (unsigned i = 0; i < count; i++) {
        vr_store_le32(pfns + 4 * i, (uint32_t)(RIG_RAM_GPA / PAGE) + FIRST + pages[i]);
    }
    assert_int_equal(
        vd_do(&f->d, queue, bufs, vd_split(vd_out(&f->d, pfns, 4 * count), 7, bufs, 64)), 0);
}

static void inflated_pages_go_back(void **state)
{
    static const uint32_t pages[] = {5, 3, 4, 3, 40, 63, 0, 62, 6};
    struct vd_fixture *f = *state;
    assert_int_equal(vd_get(&f->d, VD_DEVICE_ID), 5);
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(&f->d, vd_modes[m].features, 64);
        fill(f);
        uint64_t before = info(f).given_bytes;
        give(f, INFLATE, pages, VR_COUNT(pages));
        assert_int_equal(info(f).given_bytes - before, 8 * PAGE);
        for (unsigned i = 0; i < PAGES; i++) {
            bool given = i == 0 || (i >= 3 && i <= 6) || i == 40 || i >= 62;
            assert_int_equal(gone(f, i), given);
            assert_int_equal(page(f, i)[i], given ? 0 : 0xa5);
        }
        *page(f, 3) = 1; /* and they come back by being used */
        give(f, DEFLATE, pages, VR_COUNT(pages));
        assert_int_equal(*page(f, 3), 1);
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

static void pages_that_are_no_memory(void **state)
{
    struct vd_fixture *f = *state;
    static const uint32_t bad[] = {0, 1, 0x80100, 0x7ffff, UINT32_MAX, UINT32_MAX - 1, 0x800ff};
    uint8_t pfns[4 * VR_COUNT(bad)];
    struct vd *d = &f->d;
    vd_start(d, 0, 64);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        vr_store_le32(pfns + 4 * i, bad[i]);
    }
    struct vd_buf out = vd_out(d, pfns, sizeof(pfns));
    vd_do(d, INFLATE, &out, 1);
    /* 0x800ff is the last page of RAM, but it is not given away together with its neighbour. */
    assert_int_equal(f->dev->guest_errors, 4);
    assert_int_equal(info(f).given_bytes, 0);
    out.len = 6; /* a page number and a half */
    vd_do(d, INFLATE, &out, 1);
    assert_int_equal(f->dev->guest_errors, 6);
    assert_false(vd_needs_reset(d));
    struct vd_buf in = vd_in(d, 64);
    vd_add(d, INFLATE, &in, 1); /* nothing to read */
    vd_kick(d, INFLATE);
    assert_true(vd_needs_reset(d));
}

/* A guest can make a request as long as it likes; time spent in it is bounded all the same. */
static void a_request_without_end(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vd_start(d, 0, 128);
    uint64_t gpa = vd_alloc(d, 64 * PAGE, PAGE);
    struct vd_buf bufs[100];
    for (unsigned i = 0; i < VR_COUNT(bufs); i++) {
        bufs[i] = (struct vd_buf){.gpa = gpa, .len = 64 * PAGE};
    }
    memset(vd_hva(d, gpa), 0, 64 * PAGE);
    vd_do(d, INFLATE, bufs, VR_COUNT(bufs));
    assert_int_equal(vd_stats(d, INFLATE)->copied, 4 << 18);
    assert_false(vd_needs_reset(d));
}

static void free_pages_that_are_reported(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    for (unsigned m = 0; m < 2 * VR_COUNT(vd_modes); m++) {
        vd_start(d, F_REPORT | vd_modes[m / 2].features, 64);
        fill(f);
        uint64_t before = info(f).reported_bytes;
        struct vd_buf bufs[] = {
            {.gpa = RIG_RAM_GPA + (FIRST + 8) * PAGE, .len = 16 * PAGE, .write = true},
            {.gpa = RIG_RAM_GPA + (FIRST + 40) * PAGE + 1, .len = 3 * PAGE, .write = true},
        };
        assert_int_equal(vd_do(d, m % 2 ? REPORT : REPORT_OLD, bufs, 2), 0);
        assert_int_equal(info(f).reported_bytes - before, 18 * PAGE);
        for (unsigned i = 0; i < PAGES; i++) {
            assert_int_equal(gone(f, i), (i >= 8 && i < 24) || i == 41 || i == 42);
        }
    }
    assert_int_equal(f->dev->guest_errors, 0);
}

static void poisoned_pages_stay_as_they_are(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    struct vd_buf buf = {.gpa = RIG_RAM_GPA + FIRST * PAGE, .len = PAGE, .write = true};
    for (unsigned poison = 0; poison < 2; poison++) {
        assert_true(vd_negotiate(d, F_REPORT | F_POISON));
        vd_config_set(&f->d, 12, 4, poison * 0xaaaaaaaa);
        assert_int_equal(vd_config(d, 12, 4), poison * 0xaaaaaaaa);
        vd_queue(d, REPORT, 16);
        vd_driver_ok(d);
        fill(f);
        vd_do(d, REPORT, &buf, 1);
        assert_int_equal(gone(f, 0), !poison);
        assert_int_equal(page(f, 0)[9], poison ? 0xa5 : 0);
        assert_int_equal(f->dev->guest_errors, poison);
        vd_config_set(&f->d, 12, 4, 1); /* too late */
        assert_int_equal(vd_config(d, 12, 4), poison * 0xaaaaaaaa);
    }
    assert_true(vd_negotiate(d, F_REPORT));
    vd_config_set(&f->d, 12, 4, 1); /* not without the feature */
    assert_int_equal(vd_config(d, 12, 4), 0);
}

static void the_target(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    vr_virtio_balloon_target(f->dev, 10 * PAGE + 5);
    vd_start(d, 0, 16);
    assert_int_equal(vd_isr(d), 0);
    assert_int_equal(vd_config(d, 0, 4), 10);
    vr_virtio_balloon_target(f->dev, 100 * PAGE);
    assert_int_equal(vd_isr(d), VR_VIRTIO_ISR_CONFIG);
    assert_int_equal(vd_config(d, 0, 4), 100);
    vr_virtio_balloon_target(f->dev, 100 * PAGE);
    assert_int_equal(vd_isr(d), 0); /* nothing new */
    vd_config_set(&f->d, 4, 4, 77);
    assert_int_equal(info(f).actual_bytes, 77 * PAGE);
    assert_int_equal(info(f).target_bytes, 100 * PAGE);
    vr_dev_reset(f->dev); /* a new guest: nothing is in it, and the host's wish stands */
    assert_int_equal(info(f).actual_bytes, 0);
    assert_int_equal(vd_config(d, 0, 4), 100);
    assert_int_equal(f->dev->guest_errors, 0);
    vd_config_set(&f->d, 0, 4, 1); /* is the host's */
    vd_config_set(&f->d, 4, 2, 1);
    vd_config_set(&f->d, 8, 4, 1);
    assert_int_equal(f->dev->guest_errors, 3);
    assert_int_equal(vd_config(d, 0, 4), 100);
}

static void options(void **state)
{
    struct vd_fixture *f = *state;
    assert_int_equal(vd_offered(&f->d) & 0x3f, F_STATS | F_OOM | F_HINT | F_POISON | F_REPORT);
    struct vr_dev *other =
        rig_dev(&f->rig, VD_CLASS(balloon), "reporting=off,deflate_on_oom=off,hinting=off");
    struct vd d;
    vd_init(&d, &f->rig, other);
    assert_int_equal(vd_offered(&d) & 0x3f, F_STATS | F_POISON);
    vr_dev_destroy(other);
}

static struct vd_buf stats_buf(struct vd *d, const uint64_t (*stats)[2], unsigned count)
{
    uint8_t raw[200];
    for (unsigned i = 0; i < count; i++) {
        vr_store_le16(raw + 10 * i, (uint16_t)stats[i][0]);
        vr_store_le64(raw + 10 * i + 2, stats[i][1]);
    }
    return vd_out(d, raw, 10 * count);
}

struct asker {
    struct vd_fixture *f;
    int result;
};

static void ask(void *arg)
{
    struct asker *a = arg;
    a->result = vr_virtio_balloon_ask(a->f->dev, UINT64_C(60000000000), NULL);
}

static void statistics(void **state)
{
    static const uint64_t first[][2] = {{4, 1000}, {5, 2000}},
                          next[][2] = {{15, 9}, {4, 3000}, {99, 7}, {0xffff, 1}, {0, UINT64_MAX}};
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    struct vr_error err;
    assert_int_equal(vr_virtio_balloon_ask(f->dev, 0, &err), -ETIMEDOUT); /* nobody there */
    assert_non_null(strstr(err.msg, "driver"));
    for (unsigned m = 0; m < VR_COUNT(vd_modes); m++) {
        vd_start(d, F_STATS | vd_modes[m].features, 16);
        vr_clock_step(f->rig.env.clock, 1000);
        struct vd_buf out = stats_buf(d, first, 2);
        vd_add(d, STATS, &out, 1);
        vd_kick(d, STATS);
        struct vireo_balloon b = info(f);
        assert_int_equal(b.stats_known,
                         1 << VIREO_BALLOON_FREE_BYTES | 1 << VIREO_BALLOON_TOTAL_BYTES);
        assert_int_equal(b.stat[VIREO_BALLOON_FREE_BYTES], 1000);
        assert_int_equal(b.stats_ns, vr_clock_now(f->rig.env.clock));
        assert_false(vd_used(d, STATS, NULL, NULL)); /* kept until new ones are wanted */
        for (unsigned round = 0; round < 3; round++) {
            /* Both orders of asking and answering come up; either way the answer arrives. */
            struct asker a = {.f = f};
            struct vireo_thread *thread;
            assert_int_equal(vireo_thread_create("ask", ask, &a, &thread, NULL), 0);
            while (!vd_used(d, STATS, NULL, NULL)) {
            }
            out = stats_buf(d, next, 5);
            vd_add(d, STATS, &out, 1);
            vd_kick(d, STATS);
            vireo_thread_join(thread);
            assert_int_equal(a.result, 0);
        }
        b = info(f);
        assert_int_equal(b.stats_known, 1 << 15 | 1 << 4 | 1);
        assert_int_equal(b.stat[4], 3000);
        assert_int_equal(b.stat[15], 9);
        assert_int_equal(b.stat[0], UINT64_MAX);
    }
    assert_int_equal(f->dev->guest_errors, 0);
    assert_int_equal(vd_stats(d, STATS)->errors, 0);
}

static void statistics_that_make_no_sense(void **state)
{
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    static uint8_t many[10 * 1000];
    vd_start(d, F_STATS, 16);
    memset(many, 0xff, sizeof(many));
    vr_store_le16(many + 10 * 64, 4); /* beyond what is looked at */
    vr_store_le16(many + 10 * 63, 5);
    struct vd_buf bufs[] = {vd_out(d, many, 9), vd_in(d, 100), vd_out(d, many, sizeof(many))};
    for (unsigned i = 0; i < VR_COUNT(bufs); i++) { /* and more than one at a time */
        vd_add(d, STATS, &bufs[i], 1);
        vd_kick(d, STATS);
        assert_int_equal(info(f).stats_known, i == 2 ? 1 << 5 : 0);
        assert_int_equal(vr_virtio_balloon_ask(f->dev, 0, NULL), -ETIMEDOUT);
    }
    for (unsigned i = 0; i < 2;
         i++) { /* a driver may have one; the next one is an answer at once */
        vd_add(d, STATS, &bufs[2 * i], 1);
    }
    vd_kick(d, STATS);
    assert_int_equal(info(f).stats_known, 0);
    assert_int_equal(vr_virtio_balloon_ask(f->dev, 0, NULL), 0);
    assert_int_equal(info(f).stats_known, 1 << 5);
    assert_false(vd_needs_reset(d));
}

static void a_restored_balloon_goes_on(void **state)
{
    static const uint64_t stats[][2] = {{4, 1000}};
    struct vd_fixture *f = *state;
    struct vd *d = &f->d;
    struct vr_dev *other = rig_dev(&f->rig, VD_CLASS(balloon), VD_OPTS);
    vr_virtio_balloon_target(f->dev, 50 * PAGE);
    vd_start(d, F_STATS, 16);
    struct vd_buf out = stats_buf(d, stats, 1);
    vd_add(d, STATS, &out, 1);
    vd_kick(d, STATS);
    assert_int_equal(rig_copy(f->dev, other), 0);
    struct vireo_balloon b;
    vr_virtio_balloon_info(other, &b);
    assert_int_equal(b.target_bytes, 50 * PAGE);
    assert_int_equal(b.stat[4], 1000);
    vd_used(d, STATS, NULL, NULL);
    assert_int_equal(vr_virtio_balloon_ask(other, 0, NULL), -ETIMEDOUT);
    assert_true(vd_used(d, STATS, NULL, NULL)); /* it gave back the buffer that the first one had */
    vr_dev_reset(other);
    vr_virtio_balloon_info(other, &b);
    assert_int_equal(b.target_bytes, 50 * PAGE);
    vr_dev_destroy(other);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, setup, vd_teardown)
    const struct CMUnitTest tests[] = {
        T(inflated_pages_go_back),
        T(pages_that_are_no_memory),
        T(a_request_without_end),
        T(free_pages_that_are_reported),
        T(poisoned_pages_stay_as_they_are),
        T(the_target),
        T(options),
        T(statistics),
        T(statistics_that_make_no_sense),
        T(a_restored_balloon_goes_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
