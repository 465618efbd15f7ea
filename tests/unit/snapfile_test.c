/* Snapshot files: what was written comes back, in chains too, and any changed byte is refused. */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/snapfile_priv.h"
#include "platform/file.h"
#include "snapfile_mend.h"
#include "test.h"
#include "vr_config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { IMAGE = 3 << 20, GRAIN = 4096 };

/* A folder, and the image that is written and what comes back of it. */
struct place {
    char dir[40], path[4][80];
    uint8_t *image, *back;
    int fd; /* to clone from, or -1 */
};

static int place_setup(void **state)
{
    struct place *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    /* In memory where that can be: fsync on a busy disk takes its time. */
    snprintf(p->dir, sizeof(p->dir), "%s/vireo-snapfile.XXXXXX",
             access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
    assert_non_null(mkdtemp(p->dir));
    for (unsigned i = 0; i < 4; i++) {
        snprintf(p->path[i], sizeof(p->path[i]), "%s/snap%u", p->dir, i);
    }
    p->image = calloc(1, IMAGE);
    p->back = calloc(1, IMAGE);
    assert_true(p->image && p->back);
    p->fd = -1;
    *state = p;
    return 0;
}

/* Nothing is left behind in the folder. */
static int place_teardown(void **state)
{
    struct place *p = *state;
    for (unsigned i = 0; i < 4; i++) {
        unlink(p->path[i]);
    }
    assert_int_equal(rmdir(p->dir), 0);
    free(p->image);
    free(p->back);
    free(p);
    return 0;
}

static uint64_t image_next(void *opaque, uint64_t off)
{
    struct place *p = opaque;
    while (off < IMAGE && !p->image[off]) {
        off++;
    }
    return off;
}

static const uint8_t *image_read(void *opaque, uint64_t off, size_t len, struct vr_error *err)
{
    (void)err;
    assert_true(off + len <= IMAGE);
    return ((struct place *)opaque)->image + off;
}

static int back_write(void *opaque, uint64_t off, const void *data, size_t len,
                      struct vr_error *err)
{
    struct place *p = opaque;
    (void)err;
    assert_true(off + len <= IMAGE);
    memcpy(p->back + off, data, len);
    return 0;
}

static int back_zero(void *opaque, uint64_t off, uint64_t len, struct vr_error *err)
{
    struct place *p = opaque;
    (void)err;
    assert_true(off + len <= IMAGE);
    memset(p->back + off, 0, len);
    return 0;
}

static struct vr_snapfile_source image_source(struct place *p, uint64_t len)
{
    return (struct vr_snapfile_source){.len_bytes = len,
                                       .grain_bytes = GRAIN,
                                       .next = image_next,
                                       .read = image_read,
                                       .clone_fd = -1,
                                       .opaque = p};
}

static void write_file(struct place *p, unsigned to, enum vr_snapfile_pack pack,
                       const struct vr_snapfile_source *s)
{
    struct vr_snapfile_writer *w;
    struct vr_error err = {0};
    assert_int_equal(vr_snapfile_create(p->path[to], pack, &w, &err), 0);
    assert_int_equal(vr_snapfile_put(w, "note", "twelve bytes", 12, &err), 0);
    assert_int_equal(vr_snapfile_put_image(w, "ram", s, NULL, NULL, &err), 0);
    assert_int_equal(vr_snapfile_put(w, "empty", "", 0, &err), 0);
    assert_int_equal(vr_snapfile_commit(w, &err), 0);
}

static struct vr_snapfile *open_file(const char *path)
{
    struct vr_snapfile *f;
    struct vr_error err = {0};
    if (vr_snapfile_open(path, &f, &err) < 0 || vr_snapfile_verify(f, NULL, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return f;
}

/* So it is in a file of its own. */
static void assert_file(struct place *p, struct vr_snapfile *f, uint64_t len)
{
    char path[80];
    struct stat st;
    struct vr_error err = {0};
    snprintf(path, sizeof(path), "%s/image", p->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(vr_snapfile_give_file(f, "ram", fd, &err), 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_size, len);
    memset(p->back, 0xee, IMAGE);
    assert_int_equal(vr_file_read(fd, p->back, len, 0), 0);
    assert_memory_equal(p->back, p->image, len);
    assert_int_equal(vr_snapfile_give_file(f, "nothing", fd, &err), -ENOENT);
    close(fd);
}

/* @path's image is as p->image, of @len bytes. */
static void assert_back(struct place *p, struct vr_snapfile *f, uint64_t len)
{
    struct vr_snapfile_sink sink = {.write = back_write, .zero = back_zero, .opaque = p};
    struct vr_error err = {0};
    uint64_t got, *hashes;
    uint32_t grain;
    assert_int_equal(vr_snapfile_image(f, "ram", &got, &grain, &err), 0);
    assert_int_equal(got, len);
    assert_int_equal(grain, GRAIN);
    memset(p->back, 0xee, IMAGE);
    assert_int_equal(vr_snapfile_give(f, "ram", NULL, &sink, &err), 0);
    assert_memory_equal(p->back, p->image, len);
    assert_file(p, f, len);
    assert_int_equal(vr_snapfile_hashes(f, "ram", &hashes, &err), 0);
    for (uint64_t at = 0; at < len; at += GRAIN) {
        size_t part = len - at < GRAIN ? len - at : GRAIN;
        bool zero = vr_is_zero(p->image + at, part);
        assert_int_equal(hashes[at / GRAIN], zero ? 0 : snapfile_grain_hash(p->image + at, part));
    }
    free(hashes);
}

static void fill(struct place *p, unsigned seed)
{
    uint32_t x = seed * 2654435761u + 1;
    memset(p->image, 0, IMAGE);
    for (uint64_t at = 0; at < IMAGE; at += GRAIN) {
        x = x * 1664525 + 1013904223;
        unsigned kind = x >> 29;
        for (unsigned i = 0; kind < 3 && i < GRAIN; i++) {
            x = kind ? x * 1664525 + 1013904223 : x;
            p->image[at + i] = (uint8_t)(x >> 24);
        }
    }
    p->image[GRAIN * 2] = 7; /* a byte at each end of a grain */
    p->image[IMAGE - 1] = 9;
}

static void test_round(void **state)
{
    struct place *p = *state;
    struct vr_error err = {0};
    for (unsigned k = 0; k < 6; k++) {
        const void *data;
        size_t len;
        bool flat = k & 1, packed = k >= 4;
        uint64_t image = k < 2 ? IMAGE : IMAGE - 512 * k;
        struct vr_snapfile_source s = image_source(p, image);
        s.flat = flat;
        if (packed && !VR_HAVE_ZSTD) {
            continue;
        }
        fill(p, k);
        write_file(p, 0, packed ? VR_SNAPFILE_ZSTD : VR_SNAPFILE_PLAIN, &s);
        struct vr_snapfile *f = open_file(p->path[0]);
        assert_back(p, f, image);
        assert_int_equal(vr_snapfile_packed(f), packed);
        assert_int_equal(vr_snapfile_bytes(f, "note", &data, &len, &err), 0);
        assert_int_equal(len, 12);
        assert_memory_equal(data, "twelve bytes", 12);
        assert_int_equal(vr_snapfile_bytes(f, "empty", &data, &len, &err), 0);
        assert_int_equal(len, 0);
        assert_int_equal(vr_snapfile_bytes(f, "none", &data, &len, &err), -ENOENT);
        int fd;
        uint64_t off;
        assert_int_equal(vr_snapfile_flat(f, "ram", &fd, &off) == f, flat);
        if (flat) {
            assert_int_equal(pread(fd, p->back, image, (off_t)off), image);
            assert_memory_equal(p->back, p->image, image);
        }
        vr_snapfile_close(f);
    }
    vr_snapfile_close(NULL);
    vr_snapfile_abort(NULL);
}

static void test_chain(void **state)
{
    struct place *p = *state;
    struct vr_snapfile_sink sink = {.write = back_write, .zero = back_zero, .opaque = p};
    struct vr_error err = {0};
    struct vr_snapfile *f = NULL;
    struct stat st[4];
    fill(p, 1);
    for (unsigned k = 0; k < 4; k++) {
        struct vr_snapfile_source s = image_source(p, IMAGE - 512);
        uint64_t *base = NULL;
        s.flat = k == 0;
        if (k) {
            assert_int_equal(vr_snapfile_hashes(f, "ram", &base, &err), 0);
            s.base = base;
            p->image[k * GRAIN * 5 + 3] ^= 0x55;         /* changed */
            memset(p->image + k * GRAIN * 7, 0, GRAIN);  /* gone */
            memset(p->image + k * GRAIN * 11, 5, GRAIN); /* new, or changed */
        }
        write_file(p, k, k == 3 && VR_HAVE_ZSTD ? VR_SNAPFILE_ZSTD : VR_SNAPFILE_PLAIN, &s);
        free(base);
        struct vr_snapfile *next = open_file(p->path[k]);
        if (f) {
            assert_int_equal(vr_snapfile_give(next, "ram", NULL, &sink, &err), -EPROTO);
            vr_snapfile_set_parent(next, f);
        }
        f = next;
        assert_back(p, f, IMAGE - 512);
        assert_int_equal(stat(p->path[k], &st[k]), 0);
        assert_true(k == 0 || st[k].st_blocks * 4 < st[0].st_blocks);
    }
    /* The first one is mapped, the others put on top. */
    int fd;
    uint64_t off;
    const struct vr_snapfile *have = vr_snapfile_flat(f, "ram", &fd, &off);
    assert_string_equal(vr_snapfile_path(have), p->path[0]);
    assert_int_equal(pread(fd, p->back, IMAGE - 512, (off_t)off), IMAGE - 512);
    assert_int_equal(vr_snapfile_give(f, "ram", have, &sink, &err), 0);
    assert_memory_equal(p->back, p->image, IMAGE - 512);
    vr_snapfile_close(f);
}

/* Open and check @path: what it says. */
static int look(const char *path, struct vr_error *err)
{
    struct vr_snapfile *f;
    int r = vr_snapfile_open(path, &f, err);
    if (r == 0) {
        r = vr_snapfile_verify(f, NULL, err);
        vr_snapfile_close(f);
    }
    return r;
}

static void refuse(struct place *p, size_t at)
{
    struct vr_error err = {0};
    if (look(p->path[0], &err) != -EPROTO) {
        fail_msg("byte %zu was changed, and nobody minds: %s", at, err.msg);
    }
    assert_non_null(strstr(err.msg, p->path[0]));
}

/* Every byte of a small file: each is changed, in one bit or in all; of the same in the other
 * layout every fifth. */
static void test_every_byte(void **state)
{
    struct place *p = *state;
    struct stat st;
    struct vr_error err;
    for (unsigned flat = 0; flat < 2; flat++) {
        struct vr_snapfile_source s = image_source(p, 5 * GRAIN - 512);
        memset(p->image, 0, IMAGE);
        memset(p->image + GRAIN, 1, GRAIN);
        p->image[3 * GRAIN + 5] = 1;
        s.flat = flat;
        write_file(p, 0, flat || !VR_HAVE_ZSTD ? VR_SNAPFILE_PLAIN : VR_SNAPFILE_ZSTD, &s);
        int fd = open(p->path[0], O_RDWR | O_CLOEXEC);
        assert_true(fd >= 0 && fstat(fd, &st) == 0);
        for (off_t at = 0; at < st.st_size; at += flat ? 5 : 1) {
            uint8_t was, now;
            assert_int_equal(pread(fd, &was, 1, at), 1);
            now = at & 1 ? was ^ 0xff : was ^ (uint8_t)(1 << at / 2 % 8);
            assert_int_equal(pwrite(fd, &now, 1, at), 1);
            refuse(p, (size_t)at);
            assert_int_equal(pwrite(fd, &was, 1, at), 1);
        }
        assert_int_equal(look(p->path[0], &err), 0);
        for (off_t len = st.st_size - 1; len > 0; len -= 1 + len / 50) {
            assert_int_equal(ftruncate(fd, len), 0); /* what comes back is zero: also refused */
            refuse(p, (size_t)len);
        }
        assert_int_equal(ftruncate(fd, st.st_size), 0);
        refuse(p, 0);
        close(fd);
    }
}

/* A file whose checksums are right and whose numbers are not. */
static void test_hostile(void **state)
{
    struct place *p = *state;
    struct vr_error err;
    uint8_t buf[64 << 10];
    uint32_t x = 12345;
    unsigned good = 0, bad = 0;
    struct vr_snapfile_source s = image_source(p, 8 * GRAIN);
    struct vr_snapfile_sink sink = {.write = back_write, .zero = back_zero, .opaque = p};
    memset(p->image, 0, IMAGE);
    memset(p->image + GRAIN, 1, GRAIN);
    memset(p->image + 4 * GRAIN, 2, 2 * GRAIN);
    s.flat = false;
    write_file(p, 0, VR_SNAPFILE_PLAIN, &s);
    int fd = open(p->path[0], O_RDWR | O_CLOEXEC);
    ssize_t len = pread(fd, buf, sizeof(buf), 0);
    assert_true(len > SNAPFILE_BLOCK && len < (ssize_t)sizeof(buf));
    for (unsigned n = 0; n < 4000; n++) {
        uint8_t b[sizeof(buf)];
        memcpy(b, buf, (size_t)len);
        uint64_t dir = vr_load_le64(b + HEAD_DIR), dir_len = vr_load_le64(b + HEAD_DIR_LEN);
        for (unsigned k = 0; k < 1 + n % 3; k++) {
            static const uint8_t odd[] = {0, 1, 2, 0x7f, 0x80, 0xff, 0x10, 0x40};
            x = x * 1664525 + 1013904223;
            uint64_t off = n & 1 ? dir + x % dir_len : 0; /* directory, or an index's bytes */
            if (!(n & 1)) {
                const uint8_t *d = b + dir + 2 * DIR_ENTRY; /* ram.pieces */
                off = vr_load_le64(d + DIR_OFF) + x % vr_load_le64(d + DIR_LEN);
            }
            b[off] = odd[x >> 28 & 7];
        }
        snapfile_mend(b, (size_t)len);
        assert_int_equal(pwrite(fd, b, (size_t)len, 0), len);
        struct vr_snapfile *f;
        uint64_t *hashes;
        if (vr_snapfile_open(p->path[0], &f, &err) < 0) {
            bad++;
            continue;
        }
        int r = vr_snapfile_verify(f, NULL, &err);
        uint64_t size = 0;
        uint32_t grain;
        if (vr_snapfile_image(f, "ram", &size, &grain, &err) == 0 && size <= IMAGE) {
            (void)!vr_snapfile_give(f, "ram", NULL, &sink, &err); /* also unverified: harmless */
            if (vr_snapfile_hashes(f, "ram", &hashes, &err) == 0) {
                free(hashes);
            }
        } else if (size > UINT64_C(1) << 48) { /* no memory is asked for */
            assert_int_equal(vr_snapfile_hashes(f, "ram", &hashes, &err), -EPROTO);
        }
        good += r == 0;
        bad += r < 0;
        vr_snapfile_close(f);
    }
    assert_true(good > 0 && bad > 2000);
    close(fd);
}

static unsigned names_in(const char *dir)
{
    unsigned count = 0;
    DIR *d = opendir(dir);
    assert_non_null(d);
    while (readdir(d)) {
        count++;
    }
    closedir(d);
    return count - 2;
}

/* A writer that is killed at any time leaves the old file whole, and the next one cleans up. */
static void test_killed(void **state)
{
    struct place *p = *state;
    struct vr_snapfile_source s = image_source(p, IMAGE);
    struct vr_error err;
    fill(p, 1);
    write_file(p, 0, VR_SNAPFILE_PLAIN, &s);
    struct vr_snapfile *f = open_file(p->path[0]);
    uint64_t check = vr_snapfile_check(f);
    vr_snapfile_close(f);
    int pipes[2];
    assert_int_equal(pipe(pipes), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct vr_snapfile_writer *w;
        char byte = 1;
        if (vr_snapfile_create(p->path[0], VR_SNAPFILE_PLAIN, &w, &err) == 0 &&
            vr_snapfile_put_image(w, "ram", &s, NULL, NULL, &err) == 0 &&
            write(pipes[1], &byte, 1) == 1) {
            pause();
        }
        _exit(1);
    }
    char byte;
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(names_in(p->dir), 2);
    /* While it lives its file stays. */
    write_file(p, 1, VR_SNAPFILE_PLAIN, &s);
    assert_int_equal(names_in(p->dir), 3);
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    f = open_file(p->path[0]);
    assert_int_equal(vr_snapfile_check(f), check);
    vr_snapfile_close(f);
    write_file(p, 1, VR_SNAPFILE_PLAIN, &s);
    assert_int_equal(names_in(p->dir), 2);
    close(pipes[0]);
    close(pipes[1]);
    /* One that gives up leaves nothing. */
    struct vr_snapfile_writer *w;
    assert_int_equal(vr_snapfile_create(p->path[2], VR_SNAPFILE_PLAIN, &w, &err), 0);
    assert_int_equal(names_in(p->dir), 3);
    vr_snapfile_abort(w);
    assert_int_equal(names_in(p->dir), 2);
    assert_int_equal(vr_snapfile_create(p->dir, VR_SNAPFILE_PLAIN, &w, &err), -EISDIR);
    assert_int_equal(vr_snapfile_create("/no/such/folder/x", VR_SNAPFILE_PLAIN, &w, &err), -ENOENT);
    assert_non_null(strstr(err.msg, "/no/such/folder/x"));
}

static void test_not_one(void **state)
{
    struct place *p = *state;
    struct vr_snapfile *f = NULL;
    struct vr_error err;
    assert_int_equal(vr_snapfile_open(p->path[0], &f, &err), -ENOENT);
    assert_int_equal(vr_snapfile_open(p->dir, &f, &err), -EISDIR);
    int fd = open(p->path[0], O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(vr_snapfile_open(p->path[0], &f, &err), -EPROTO);
    assert_int_equal(ftruncate(fd, 100000), 0);
    assert_int_equal(vr_snapfile_open(p->path[0], &f, &err), -EPROTO);
    assert_non_null(strstr(err.msg, "it is none"));
    assert_null(f);
    close(fd);
}

int main(void)
{
#define IN_PLACE(t) cmocka_unit_test_setup_teardown(t, place_setup, place_teardown)
    const struct CMUnitTest tests[] = {
        IN_PLACE(test_round),   IN_PLACE(test_chain),  IN_PLACE(test_every_byte),
        IN_PLACE(test_hostile), IN_PLACE(test_killed), IN_PLACE(test_not_one),
    };
    return cmocka_run_group_tests_name("snapfile", tests, NULL, NULL);
}
