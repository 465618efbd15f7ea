/* What a migration's target does with the stream: a good one, and every way to damage it. */
#include "migrate_stream.h"
#include "test.h"

struct fixture {
    struct vr_machine *m, *to;
    struct vr_ram *ram;
    struct vr_mig_rx rx;
    struct stream s;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    assert_int_equal(stream_machine(&f->m, &f->ram), 0);
    for (unsigned i = 0; i < 3 * VR_PAGE_SIZE; i++) {
        f->ram->hva[2 * VR_PAGE_SIZE + i] = (uint8_t)(i * 7 + i / 256);
    }
    vr_clock_step(vr_machine_clock(f->m), 12345);
    vr_mig_rx_init(&f->rx, stream_make, &f->to);
    *state = f;
    return 0;
}

/* Ready for another stream. */
static void again(struct fixture *f)
{
    vr_mig_rx_fini(&f->rx);
    vr_machine_destroy(f->to);
    f->to = NULL;
    vr_mig_rx_init(&f->rx, stream_make, &f->to);
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    again(f);
    vr_mig_rx_fini(&f->rx);
    vr_machine_destroy(f->m);
    free(f->s.buf);
    free(f);
    return 0;
}

static void good_stream(struct fixture *f)
{
    uint8_t junk[VR_PAGE_SIZE], number[8] = {7};
    memset(junk, 0xaa, sizeof(junk));
    stream_put_hello(&f->s);
    stream_put_pages(&f->s, 7, junk, 1);
    stream_put_pages(&f->s, 2, f->ram->hva + 2 * VR_PAGE_SIZE, 2);
    stream_put(&f->s, VR_MIG_ROUND, number, 8, NULL, 0);
    stream_put_pages(&f->s, 4, f->ram->hva + 4 * VR_PAGE_SIZE, 1);
    stream_put_pages(&f->s, 5, NULL, 3);
    stream_put_end(&f->s, f->m);
}

static void a_good_one_is_the_machine(void **state)
{
    struct fixture *f = *state;
    const char *name;
    good_stream(f);
    assert_int_equal(stream_feed(&f->rx, f->s.buf, f->s.len, NULL), 0);
    assert_true(f->rx.complete && f->rx.runs);
    assert_int_equal(vr_mig_rx_load(&f->rx, NULL), 0);
    const struct vr_ram *ram = vr_machine_ram(f->to, 0, &name);
    /* Zeroes take no memory where there was none: page 7 alone was something before. */
    uint64_t next = vireo_shmem_next_data(&ram->mem, 5 * VR_PAGE_SIZE);
    assert_int_equal(next, vr_align_down(7 * VR_PAGE_SIZE, ram->mem.map.page_bytes));
    assert_memory_equal(ram->hva, f->ram->hva, STREAM_RAM);
    assert_int_equal(vr_clock_now(vr_machine_clock(f->to)), 12345);
}

static void any_byte_changed_is_refused(void **state)
{
    struct fixture *f = *state;
    good_stream(f);
    for (size_t at = 0; at < f->s.len; at++) {
        struct vr_error err = {0};
        uint8_t was = f->s.buf[at];
        f->s.buf[at] ^= (uint8_t)(1 + at * 131 % 255);
        int r = stream_feed(&f->rx, f->s.buf, f->s.len, &err);
        assert_true(r < 0 && err.msg[0]);
        assert_false(f->rx.complete);
        f->s.buf[at] = was;
        again(f);
    }
}

static void what_is_cut_left_out_or_doubled_is_refused(void **state)
{
    struct fixture *f = *state;
    good_stream(f);
    for (size_t len = 0; len < f->s.len; len += len % 97 ? 1 : 13) {
        (void)!stream_feed(&f->rx, f->s.buf, len, NULL);
        assert_false(f->rx.complete);
        again(f);
    }
    size_t all = f->s.len;
    uint8_t *buf = malloc(all * 2);
    assert_non_null(buf);
    for (uint32_t i = 0; i + 1 < f->s.number; i++) {
        size_t at = f->s.frame[i], end = f->s.frame[i + 1];
        memcpy(buf, f->s.buf, at);
        memcpy(buf + at, f->s.buf + end, all - end);
        assert_true(stream_feed(&f->rx, buf, all - (end - at), NULL) < 0);
        again(f);
        memcpy(buf, f->s.buf, end);
        memcpy(buf + end, f->s.buf + at, all - at);
        assert_true(stream_feed(&f->rx, buf, all + (end - at), NULL) < 0);
        again(f);
    }
    free(buf);
}

/* Well-formed frames that make no sense; each after a good hello, but for the first. */
static void nonsense_is_refused(void **state)
{
    struct fixture *f = *state;
    uint8_t page[VR_PAGE_SIZE] = {1};
    static const struct {
        uint32_t ram, zero;
        uint64_t page, count;
    } bad[] = {
        {1, 0, 0, 1},          {0, 1, 0, 1},          {0, 0, STREAM_PAGES, 1}, {0, 0, 7, 2},
        {0, 0, UINT64_MAX, 1}, {0, 0, 1, UINT64_MAX}, {UINT32_MAX, 0, 0, 1},   {0, 0, 0, 0},
    };
    stream_put_pages(&f->s, 0, page, 1);
    assert_true(stream_feed(&f->rx, f->s.buf, f->s.len, NULL) < 0); /* no hello */
    for (unsigned i = 0; i < 2 * VR_COUNT(bad); i++) {
        uint8_t head[24];
        again(f);
        f->s.len = f->s.number = 0;
        stream_put_hello(&f->s);
        vr_store_le32(head, bad[i / 2].ram);
        vr_store_le32(head + 4, bad[i / 2].zero);
        vr_store_le64(head + 8, bad[i / 2].page);
        vr_store_le64(head + 16, bad[i / 2].count);
        if (i % 2 == 0) {
            stream_put(&f->s, VR_MIG_ZEROS, head, 24, NULL, 0);
        } else if (bad[i / 2].count == 1) {
            stream_put(&f->s, VR_MIG_PAGES, head, 16, page, sizeof(page));
        } else {
            stream_put(&f->s, VR_MIG_PAGES, head, 16, page, i == 1 ? 0 : 100);
        }
        assert_int_equal(stream_feed(&f->rx, f->s.buf, f->s.len, NULL), -EPROTO);
    }
    for (unsigned type = 0; type < 70; type++) { /* nothing in them, or at the wrong time */
        again(f);
        f->s.len = f->s.number = 0;
        stream_put_hello(&f->s);
        stream_put(&f->s, (enum vr_mig_type)type, NULL, 0, NULL, 0);
        int r = stream_feed(&f->rx, f->s.buf, f->s.len, NULL);
        assert_true(type == VR_MIG_STATE || r < 0);
    }
    /* A state of another machine. */
    again(f);
    f->s.len = f->s.number = 0;
    stream_put_hello(&f->s);
    uint8_t done[16] = {4};
    stream_put(&f->s, VR_MIG_STATE, NULL, 0, "junk", 4);
    stream_put(&f->s, VR_MIG_DONE, done, 16, NULL, 0);
    struct vr_error err = {0};
    assert_int_equal(stream_feed(&f->rx, f->s.buf, f->s.len, NULL), 0);
    assert_true(vr_mig_rx_load(&f->rx, &err) < 0 && err.msg[0]);
}

#define MIGRATE_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        MIGRATE_TEST(a_good_one_is_the_machine),
        MIGRATE_TEST(any_byte_changed_is_refused),
        MIGRATE_TEST(what_is_cut_left_out_or_doubled_is_refused),
        MIGRATE_TEST(nonsense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
