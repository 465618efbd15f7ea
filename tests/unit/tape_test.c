/* Tapes of deterministic machines: what is written is read, and what is damaged is refused. */
#include "test.h"

#include "core/det.h"
#include "core/hash.h"
#include "core/tape.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char tape_path[64];

/* A tape of @count records; its bytes are the caller's. */
static uint8_t *make_tape(unsigned count, size_t *ret_len)
{
    static const struct vr_tape_head head = {
        .seed = 7, .epoch_ns = 8, .hash_steps = 9, .about = "a machine"};
    struct vr_error err = {0};
    struct vr_tape *tape;
    snprintf(tape_path, sizeof(tape_path), "/tmp/vireo-tape.%d", (int)getpid());
    assert_int_equal(vr_tape_create(tape_path, &head, &tape, &err), 0);
    for (unsigned i = 0; i < count; i++) {
        const struct vr_tape_rec rec = {.kind = VR_DET_DATA,
                                        .src = 3,
                                        .beat = 10u * i,
                                        .steps = 1000u * i,
                                        .data = (const uint8_t *)"abc",
                                        .len = 3};
        vr_tape_put(tape, &rec, "defg", i % 4);
    }
    assert_int_equal(vr_tape_flush(tape), 0);
    size_t len = (size_t)vr_tape_bytes(tape);
    vr_tape_close(tape);
    uint8_t *bytes = malloc(len);
    FILE *f = fopen(tape_path, "rb");
    assert_non_null(f);
    assert_int_equal(fread(bytes, 1, len, f), len);
    assert_int_equal(fgetc(f), EOF);
    fclose(f);
    *ret_len = len;
    return bytes;
}

static void test_round_trip(void **state)
{
    (void)state;
    struct vr_error err = {0};
    struct vr_tape *tape;
    struct vr_tape_head head;
    struct vr_tape_rec rec;
    size_t len;
    free(make_tape(9, &len));
    assert_int_equal(vr_tape_open(tape_path, &tape, &err), 0);
    vr_tape_head(tape, &head);
    assert_int_equal(head.seed, 7);
    assert_int_equal(head.epoch_ns, 8);
    assert_int_equal(head.hash_steps, 9);
    assert_string_equal(head.about, "a machine");
    assert_int_equal(vr_tape_count(tape), 9);
    for (unsigned i = 0; i < 9; i++) {
        assert_true(vr_tape_get(tape, i, &rec));
        assert_int_equal(rec.kind, VR_DET_DATA);
        assert_int_equal(rec.src, 3);
        assert_int_equal(rec.beat, 10 * i);
        assert_int_equal(rec.steps, 1000 * i);
        assert_int_equal(rec.len, 3 + i % 4);
        assert_memory_equal(rec.data, "abcdefg", rec.len);
    }
    assert_false(vr_tape_get(tape, 9, &rec));
    vr_tape_close(tape);
    unlink(tape_path);
}

static void test_damage(void **state)
{
    (void)state;
    struct vr_tape *tape;
    size_t len;
    uint8_t *bytes = make_tape(5, &len);
    for (size_t at = 0; at < len; at++) {
        struct vr_error err = {0};
        bytes[at] ^= 0x10;
        int r = vr_tape_open_bytes("x", bytes, len, &tape, &err);
        bytes[at] ^= 0x10;
        if (r == 0) { /* a length that grew: as if it had been cut there */
            assert_true(vr_tape_count(tape) < 5);
            vr_tape_close(tape);
            continue;
        }
        assert_true(r == -EBADMSG || r == -EPROTO);
        assert_non_null(strstr(err.msg, "x"));
    }
    free(bytes);
    unlink(tape_path);
}

/* Cut anywhere, it is what was whole, or no tape. */
static void test_cut(void **state)
{
    (void)state;
    struct vr_tape *tape;
    size_t len;
    uint64_t whole = 0;
    uint8_t *bytes = make_tape(5, &len);
    for (size_t cut = 0; cut < len; cut++) {
        struct vr_error err = {0};
        int r = vr_tape_open_bytes("x", bytes, cut, &tape, &err);
        if (r < 0) {
            assert_true(r == -EBADMSG || r == -EPROTO);
            continue;
        }
        uint64_t count = vr_tape_count(tape);
        assert_true(count == whole || count == whole + 1);
        whole = count;
        vr_tape_close(tape);
    }
    assert_int_equal(whole, 4); /* each but the last, which no cut leaves whole */
    free(bytes);
    unlink(tape_path);
}

static void test_disorder(void **state)
{
    (void)state;
    static const struct vr_tape_head head = {.about = ""};
    struct vr_error err = {0};
    struct vr_tape *tape;
    (void)snprintf(tape_path, sizeof(tape_path), "/tmp/vireo-tape.%d", (int)getpid());
    assert_int_equal(vr_tape_create(tape_path, &head, &tape, &err), 0);
    vr_tape_put(tape, &(struct vr_tape_rec){.beat = 2}, NULL, 0);
    vr_tape_put(tape, &(struct vr_tape_rec){.beat = 1}, NULL, 0);
    assert_int_equal(vr_tape_flush(tape), 0);
    vr_tape_close(tape);
    assert_int_equal(vr_tape_open(tape_path, &tape, &err), -EBADMSG);
    unlink(tape_path);
    assert_int_equal(vr_tape_open(tape_path, &tape, &err), -ENOENT);
    assert_int_equal(vr_tape_create("/no/such/folder/x", &head, &tape, &err), -ENOENT);
}

/* Results as xxHash's own programs and its ports to other languages publish them. */
static void test_hash(void **state)
{
    (void)state;
    uint8_t long_one[101];
    struct vr_hash h;
    assert_int_equal(vr_hash64("", 0, 0), UINT64_C(0xef46db3751d8e999));
    assert_int_equal(vr_hash64("a", 1, 0), UINT64_C(0xd24ec4f1a98c6e5b));
    assert_int_equal(vr_hash64("abc", 3, 0), UINT64_C(0x44bc2cf5ad770999));
    for (unsigned i = 0; i < sizeof(long_one); i++) {
        long_one[i] = (uint8_t)i;
    }
    uint64_t all = vr_hash64(long_one, sizeof(long_one), 5);
    for (unsigned step = 1; step < 40; step++) { /* in pieces it is the same */
        vr_hash_init(&h, 5);
        for (unsigned at = 0; at < sizeof(long_one); at += step) {
            unsigned left = (unsigned)sizeof(long_one) - at;
            vr_hash_add(&h, long_one + at, left < step ? left : step);
        }
        assert_int_equal(vr_hash_end(&h), all);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damage),
        cmocka_unit_test(test_cut),        cmocka_unit_test(test_disorder),
        cmocka_unit_test(test_hash),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
