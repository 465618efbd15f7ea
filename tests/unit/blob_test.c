/* Files that a machine starts from, as bad as files can be. Format of gzip: RFC 1952. */
#include "test.h"

#include "base/bits.h"
#include "boot/blob.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

enum { SOME = 100000 };

static char dir[] = "/tmp/vireo-blob-XXXXXX";
static char path[sizeof(dir) + 8];

static int make_dir(void **state)
{
    (void)state;
    if (!mkdtemp(dir)) {
        return -1;
    }
    (void)snprintf(path, sizeof(path), "%s/file", dir);
    return 0;
}

static int remove_dir(void **state)
{
    (void)state;
    (void)unlink(path);
    return rmdir(dir);
}

static void write_file(const void *data, size_t len)
{
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(data, 1, len, f), len);
    assert_int_equal(fclose(f), 0);
}

/* A time stamp of its own, whatever the host's clock has for a tick. */
static void stamp(time_t s)
{
    const struct timespec times[] = {{.tv_sec = s}, {.tv_sec = s}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

static unsigned open_files(void)
{
    unsigned n = 0;
    for (int fd = 0; fd < 256; fd++) {
        n += fcntl(fd, F_GETFD) >= 0;
    }
    return n;
}

static int read_it(size_t max_bytes, struct vr_blob *b)
{
    struct vr_error err = {0};
    struct vr_blob before;
    unsigned files = open_files();
    memset(b, 0xa5, sizeof(*b));
    before = *b;
    int r = vr_blob_read("kernel", path, max_bytes, b, &err);
    if (r < 0) {
        assert_int_equal(err.code, r);
        assert_non_null(strstr(err.msg, "kernel"));
        assert_non_null(strstr(err.msg, path));
        assert_memory_equal(b, &before, sizeof(*b));
        assert_int_equal(open_files(), files);
    }
    return r;
}

static uint8_t *noise(size_t len)
{
    uint8_t *d = malloc(len);
    uint64_t x = 88172645463325252u;
    assert_non_null(d);
    for (size_t i = 0; i < len; i++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        d[i] = (uint8_t)(x >> 60); /* compresses, but not to nothing */
    }
    return d;
}

/* One member with @data; appended to @out. */
static size_t gzip(const uint8_t *data, size_t len, uint8_t *out, size_t cap)
{
    z_stream z = {.next_in = (uint8_t *)(uintptr_t)data,
                  .avail_in = (uInt)len,
                  .next_out = out,
                  .avail_out = (uInt)cap};
    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    size_t n = z.total_out;
    deflateEnd(&z);
    return n;
}

/* --- Reading --- */

static void what_is_no_file_is_refused(void **state)
{
    struct vr_blob b;
    (void)state;
    (void)unlink(path);
    assert_int_equal(read_it(SOME, &b), -ENOENT);
    write_file("", 0);
    assert_int_equal(read_it(SOME, &b), -EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(read_it(SOME, &b), -EISDIR);
    assert_int_equal(rmdir(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody writes: this must not wait */
    assert_int_equal(read_it(SOME, &b), -EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(read_it(SOME, &b), -EINVAL);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("file", path), 0);
    assert_int_equal(read_it(SOME, &b), -ELOOP);
    assert_int_equal(unlink(path), 0);
    if (geteuid() != 0) {
        write_file("x", 1);
        assert_int_equal(chmod(path, 0), 0);
        assert_int_equal(read_it(SOME, &b), -EACCES);
    }
}

static void a_file_is_read_whole_up_to_the_limit(void **state)
{
    uint8_t *d = noise(SOME);
    struct vr_blob b;
    (void)state;
    (void)unlink(path);
    write_file(d, SOME);
    assert_int_equal(read_it(SOME, &b), 0);
    assert_int_equal(b.len, SOME);
    assert_memory_equal(b.data, d, SOME);
    assert_string_equal(b.path, path);
    vr_blob_fini(&b);
    vr_blob_fini(&b); /* and again is harmless */
    assert_int_equal(read_it(SOME - 1, &b), -EFBIG);
    assert_int_equal(read_it(0, &b), -EFBIG);
    assert_int_equal(truncate(path, (off_t)1 << 40), 0); /* a terabyte of hole */
    assert_int_equal(read_it(SOME, &b), -EFBIG);
    free(d);
}

/* --- gzip --- */

/* Read @gz as a file, and decompress it to at most @max_bytes. */
static int unpack(const uint8_t *gz, size_t len, size_t max_bytes, struct vr_blob *b)
{
    struct vr_error err = {0};
    write_file(gz, len);
    assert_int_equal(read_it(max_bytes > len ? max_bytes : len, b), 0);
    b->max_bytes = max_bytes;
    int r = vr_blob_gunzip("kernel", b, &err);
    if (r < 0) {
        assert_non_null(strstr(err.msg, path));
        assert_int_equal(b->len, len); /* as it was */
        assert_memory_equal(b->data, gz, len);
    }
    return r;
}

static void gzip_comes_out_as_it_went_in(void **state)
{
    static const size_t lens[] = {0, 1, 100, SOME, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, 9 << 20};
    struct vr_blob b;
    (void)state;
    (void)unlink(path);
    for (unsigned i = 0; i < VR_COUNT(lens); i++) {
        uint8_t *d = noise(lens[i] + 1), *gz = malloc((10 << 20) + 100);
        assert_non_null(gz);
        size_t n = gzip(d, lens[i], gz, (10 << 20) + 100);
        /* What it holds may be as long as the limit, and no longer. */
        assert_int_equal(unpack(gz, n, lens[i], &b), 0);
        assert_int_equal(b.len, lens[i]);
        assert_memory_equal(b.data, d, lens[i]);
        vr_blob_fini(&b);
        if (lens[i]) {
            assert_int_equal(unpack(gz, n, lens[i] - 1, &b), -EFBIG);
            vr_blob_fini(&b);
        }
        free(d);
        free(gz);
    }
}

static void a_file_of_several_members_is_all_of_them(void **state)
{
    uint8_t *d = noise(2 * SOME), *gz = malloc(4 * SOME);
    struct vr_blob b;
    (void)state;
    assert_non_null(gz);
    size_t n = gzip(d, SOME, gz, 2 * SOME);
    n += gzip(d + SOME, SOME, gz + n, 2 * SOME);
    assert_int_equal(unpack(gz, n, 2 * SOME, &b), 0);
    assert_int_equal(b.len, 2 * SOME);
    assert_memory_equal(b.data, d, 2 * SOME);
    vr_blob_fini(&b);
    assert_int_equal(unpack(gz, n, 2 * SOME - 1, &b), -EFBIG);
    vr_blob_fini(&b);
    assert_int_equal(unpack(gz, n - 1, 2 * SOME, &b), -EINVAL); /* the second one is cut off */
    vr_blob_fini(&b);
    memset(gz + n, 0, 512); /* what is no member behind them is padding, as for gzip itself */
    assert_int_equal(unpack(gz, n + 512, 2 * SOME, &b), 0);
    assert_int_equal(b.len, 2 * SOME);
    vr_blob_fini(&b);
    free(d);
    free(gz);
}

static void other_files_stay_as_they_are(void **state)
{
    uint8_t d[64] = {0x1f, 0x8c};
    struct vr_blob b;
    (void)state;
    assert_int_equal(unpack(d, sizeof(d), SOME, &b), 0);
    assert_int_equal(b.len, sizeof(d));
    assert_memory_equal(b.data, d, sizeof(d));
    vr_blob_fini(&b);
    assert_int_equal(unpack((const uint8_t *)"\x1f\x8b", 2, SOME, &b), 0); /* too short to be one */
    assert_int_equal(b.len, 2);
    vr_blob_fini(&b);
}

/* Each byte, each bit of it: refused, or of no effect on what comes out (names, times). */
static void damage_anywhere_is_seen_or_harmless(void **state)
{
    enum { LEN = 600 };
    uint8_t *d = noise(LEN), gz[2 * LEN];
    struct vr_blob b;
    unsigned refused = 0;
    (void)state;
    size_t n = gzip(d, LEN, gz, sizeof(gz));
    for (size_t i = 2; i < n; i++) { /* without the magic it is no gzip */
        for (unsigned bit = 0; bit < 8; bit++) {
            gz[i] ^= (uint8_t)(1u << bit);
            int r = unpack(gz, n, LEN, &b);
            assert_true(r == 0 || r == -EINVAL || r == -EFBIG);
            if (r == 0) {
                assert_int_equal(b.len, LEN);
                assert_memory_equal(b.data, d, LEN);
            }
            refused += r < 0;
            vr_blob_fini(&b);
            gz[i] ^= (uint8_t)(1u << bit);
        }
    }
    assert_true(refused > 8 * (n - 12));
    for (size_t len = 18; len < n; len++) { /* every truncation */
        assert_int_equal(unpack(gz, len, LEN, &b), -EINVAL);
        vr_blob_fini(&b);
    }
    free(d);
}

static void a_bomb_is_stopped_at_the_limit(void **state)
{
    enum { BOMB = 64 << 20, LIMIT = 1 << 20 };
    uint8_t *d = calloc(1, BOMB), *gz = malloc(1 << 20);
    struct vr_blob b;
    (void)state;
    assert_true(d && gz);
    size_t n = gzip(d, BOMB, gz, 1 << 20);
    assert_true(n < BOMB / 900);
    assert_int_equal(unpack(gz, n, LIMIT, &b), -EFBIG);
    vr_blob_fini(&b);
    free(d);
    free(gz);
}

/* --- Reading again --- */

static void a_dropped_file_is_read_again(void **state)
{
    uint8_t *d = noise(SOME), *gz = malloc(2 * SOME);
    struct vr_blob b;
    struct vr_error err = {0};
    (void)state;
    assert_non_null(gz);
    size_t n = gzip(d, SOME, gz, 2 * SOME);
    assert_int_equal(unpack(gz, n, SOME, &b), 0);
    assert_int_equal(vr_blob_reload("kernel", &b, &err), 0); /* not dropped: nothing happens */
    for (unsigned i = 0; i < 3; i++) {
        vr_blob_drop(&b);
        assert_null(b.data);
        assert_int_equal(vr_blob_reload("kernel", &b, &err), 0);
        assert_int_equal(b.len, SOME);
        assert_memory_equal(b.data, d, SOME);
    }
    vr_blob_drop(&b);
    assert_int_equal(unlink(path), 0); /* what was opened counts, not what has the name now */
    write_file("other", 5);
    assert_int_equal(vr_blob_reload("kernel", &b, &err), 0);
    assert_memory_equal(b.data, d, SOME);
    vr_blob_fini(&b);
    free(d);
    free(gz);
}

/* An initramfs is handed on as it is, compressed or not. */
static void what_was_not_decompressed_is_not_when_read_again(void **state)
{
    uint8_t *d = noise(SOME), *gz = malloc(2 * SOME);
    struct vr_blob b;
    struct vr_error err = {0};
    (void)state;
    assert_non_null(gz);
    size_t n = gzip(d, SOME, gz, 2 * SOME);
    write_file(gz, n);
    assert_int_equal(read_it(2 * SOME, &b), 0);
    vr_blob_drop(&b);
    assert_int_equal(vr_blob_reload("initrd", &b, &err), 0);
    assert_int_equal(b.len, n);
    assert_memory_equal(b.data, gz, n);
    vr_blob_fini(&b);
    free(d);
    free(gz);
}

/* Change the file, try twice (the second time must not take what the first left for good). */
static void reload_fails(struct vr_blob *b, int want)
{
    size_t len = b->len;
    for (unsigned i = 0; i < 2; i++) {
        struct vr_error err = {0};
        int r = vr_blob_reload("kernel", b, &err);
        assert_true(want ? r == want : r < 0);
        assert_non_null(strstr(err.msg, path));
        assert_null(b->data);
        assert_int_equal(b->len, len);
    }
}

static void a_file_that_changed_is_stale(void **state)
{
    uint8_t *d = noise(SOME), *gz = malloc(2 * SOME);
    struct vr_blob b;
    (void)state;
    assert_non_null(gz);
    size_t n = gzip(d, SOME, gz, 2 * SOME), other = gzip(d, SOME - 1, gz + n, 2 * SOME - n);

    (void)unlink(path);
    write_file(d, SOME);
    stamp(1000);
    assert_int_equal(read_it(SOME, &b), 0);
    vr_blob_drop(&b);
    write_file(d, SOME - 1); /* shorter */
    reload_fails(&b, -ESTALE);
    write_file(d + 1, SOME - 1); /* as long as before, but written since */
    assert_int_equal(truncate(path, SOME), 0);
    reload_fails(&b, -ESTALE);
    write_file("", 0);
    reload_fails(&b, 0);
    write_file(d, SOME); /* restored, time stamp and all */
    stamp(1000);
    struct vr_error err = {0};
    assert_int_equal(vr_blob_reload("kernel", &b, &err), 0);
    assert_memory_equal(b.data, d, SOME);
    vr_blob_fini(&b);

    write_file(gz, n); /* compressed: what comes out counts, and damage */
    stamp(1000);
    assert_int_equal(read_it(SOME, &b), 0);
    assert_int_equal(vr_blob_gunzip("kernel", &b, &err), 0);
    vr_blob_drop(&b);
    write_file(gz + n, other);
    stamp(1000);
    reload_fails(&b, -ESTALE);
    write_file(gz, n - 1);
    stamp(1000);
    reload_fails(&b, 0);
    vr_blob_fini(&b);
    free(d);
    free(gz);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_file_is_refused),
        cmocka_unit_test(a_file_is_read_whole_up_to_the_limit),
        cmocka_unit_test(gzip_comes_out_as_it_went_in),
        cmocka_unit_test(a_file_of_several_members_is_all_of_them),
        cmocka_unit_test(other_files_stay_as_they_are),
        cmocka_unit_test(damage_anywhere_is_seen_or_harmless),
        cmocka_unit_test(a_bomb_is_stopped_at_the_limit),
        cmocka_unit_test(a_dropped_file_is_read_again),
        cmocka_unit_test(what_was_not_decompressed_is_not_when_read_again),
        cmocka_unit_test(a_file_that_changed_is_stale),
    };
    return cmocka_run_group_tests_name("blob", tests, make_dir, remove_dir);
}
