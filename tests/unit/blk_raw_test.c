/* Raw images: every operation against a model in memory, holes that are really there, locks, and
 * each way in which opening fails. */
#include "test.h"

#include "backend/block/block.h"
#include "base/bits.h"
#include "core/det.h"
#include "core/machine.h"
#include "platform/file.h"
#include "vireo/host_thread.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DISK = 4 << 20, SECTOR = 512 };

struct fixture {
    struct vr_loop *loop;
    char dir[64], path[96];
};

static void make_file(const char *path, const void *head, size_t head_len, off_t size)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, head, head_len), head_len);
    assert_int_equal(ftruncate(fd, size), 0);
    close(fd);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->dir, sizeof(f->dir), "blk_raw_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/disk", f->dir);
    make_file(f->path, "", 0, DISK);
    assert_int_equal(vr_loop_create(&f->loop, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vr_loop_destroy(f->loop);
    (void)chmod(f->path, 0600);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(f->dir), 0);
    free(f);
    return 0;
}

static struct vr_blk *open_disk(struct fixture *f, bool read_only)
{
    struct vr_blk *blk = NULL;
    struct vr_error err = {0};
    if (vr_blk_open_raw(f->path, read_only, f->loop, &blk, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return blk;
}

struct request {
    struct vr_blk_req req;
    struct iovec iov[8];
    unsigned done;
    int result;
};

static void request_done(struct vr_blk_req *req, int result)
{
    struct request *r = req->opaque;
    r->done++;
    r->result = result;
}

static int run(struct vr_blk *blk, struct request *r)
{
    r->req.iov = r->iov;
    r->req.opaque = r;
    r->req.done = request_done;
    r->done = 0;
    vr_blk_submit(blk, &r->req);
    assert_int_equal(r->done, 0); /* never from inside submit */
    vr_blk_drain(blk);
    assert_int_equal(r->done, 1);
    return r->result;
}

static int run_simple(struct vr_blk *blk, enum vr_blk_op op, void *buf, uint64_t off, uint64_t len)
{
    struct request r = {.req = {.op = op, .off_bytes = off, .len_bytes = len}};
    if (buf) {
        r.iov[0] = (struct iovec){.iov_base = buf, .iov_len = len};
        r.req.iov_count = 1;
    }
    return run(blk, &r);
}

static void geometry_is_the_files(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    assert_int_equal(blk->size_bytes, DISK);
    assert_int_equal(blk->sector_bytes, SECTOR);
    assert_string_equal(blk->path, f->path);
    assert_string_equal(blk->ops->name, "raw");
    assert_false(blk->read_only);
    vr_blk_close(blk);
    vr_blk_close(NULL);
}

/* The same requests to the disk and to memory; everything is compared as it goes and at the end. */
static void random_requests_match_a_model(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    uint8_t *model = calloc(1, DISK), *buf = malloc(1 << 20);
    uint32_t seed = 12345;
    bool *undefined = calloc(DISK / SECTOR, sizeof(bool)); /* discarded: contents may be any */
#define RANDOM() (seed = seed * 1664525 + 1013904223, seed >> 8)
    for (unsigned i = 0; i < 3000; i++) {
        uint64_t off = RANDOM() % (DISK / SECTOR) * SECTOR;
        uint64_t max = DISK - off < 256 * 1024 ? DISK - off : 256 * 1024;
        uint64_t len = RANDOM() % (max / SECTOR + 1) * SECTOR;
        struct request r = {.req = {.op = RANDOM() % 5, .off_bytes = off, .len_bytes = len}};
        r.req.may_unmap = RANDOM() & 1;
        if (r.req.op == VR_BLK_WRITE) {
            for (uint64_t k = 0; k < len; k++) {
                buf[k] = (uint8_t)(i + k);
            }
        }
        if (r.req.op <= VR_BLK_WRITE) {
            /* Up to 8 pieces, at odd lengths, some empty. */
            uint64_t at = 0;
            unsigned pieces = RANDOM() % 8 + 1;
            for (unsigned k = 0; k < pieces; k++) {
                uint64_t n = k + 1 == pieces ? len - at : RANDOM() % (len - at + 1);
                r.iov[k] = (struct iovec){.iov_base = buf + at, .iov_len = n};
                at += n;
            }
            r.req.iov_count = pieces;
        }
        int result = run(blk, &r);
        if (r.req.op == VR_BLK_DISCARD && !blk->discard) {
            assert_int_equal(result, -EOPNOTSUPP);
            continue;
        }
        assert_int_equal(result, 0);
        for (uint64_t s = off / SECTOR; r.req.op != VR_BLK_FLUSH && s < (off + len) / SECTOR; s++) {
            if (r.req.op == VR_BLK_READ) {
                if (!undefined[s]) {
                    assert_memory_equal(buf + (s * SECTOR - off), model + s * SECTOR, SECTOR);
                }
            } else {
                undefined[s] = r.req.op == VR_BLK_DISCARD;
            }
        }
        if (r.req.op == VR_BLK_WRITE) {
            memcpy(model + off, buf, len);
        } else if (r.req.op == VR_BLK_WRITE_ZEROES) {
            memset(model + off, 0, len);
        }
    }
    vr_blk_close(blk);
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    for (unsigned s = 0; s < DISK / SECTOR; s++) {
        assert_int_equal(pread(fd, buf, SECTOR, (off_t)s * SECTOR), SECTOR);
        if (!undefined[s]) {
            assert_memory_equal(buf, model + s * SECTOR, SECTOR);
        }
    }
    close(fd);
    free(undefined);
    free(model);
    free(buf);
}

/* 256 requests at a time, submitted by two threads, while the loop has its own. */
struct submitter {
    struct vr_blk *blk;
    struct request requests[256];
    uint8_t buf[256][SECTOR];
    unsigned base;
};

static void submit_all(void *arg)
{
    struct submitter *s = arg;
    for (unsigned i = 0; i < 256; i++) {
        struct request *r = &s->requests[i];
        memset(s->buf[i], (int)(i ^ s->base), SECTOR);
        r->iov[0] = (struct iovec){.iov_base = s->buf[i], .iov_len = SECTOR};
        r->req = (struct vr_blk_req){.op = VR_BLK_WRITE,
                                     .off_bytes = (s->base + i) * (uint64_t)SECTOR,
                                     .len_bytes = SECTOR,
                                     .iov = r->iov,
                                     .iov_count = 1,
                                     .done = request_done,
                                     .opaque = r};
        vr_blk_submit(s->blk, &r->req);
    }
}

static void many_at_a_time_from_many_threads(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(vr_loop_start(f->loop, NULL), 0);
    struct vr_blk *blk = open_disk(f, false);
    struct submitter *s = calloc(2, sizeof(*s));
    struct vireo_thread *threads[2];
    for (unsigned i = 0; i < 2; i++) {
        s[i].blk = blk;
        s[i].base = i * 256;
        assert_int_equal(vireo_thread_create("submit", submit_all, &s[i], &threads[i], NULL), 0);
    }
    for (unsigned i = 0; i < 2; i++) {
        vireo_thread_join(threads[i]);
    }
    vr_blk_close(blk); /* waits for all of them */
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    for (unsigned i = 0; i < 512; i++) {
        uint8_t got[SECTOR];
        assert_int_equal(s[i / 256].requests[i % 256].done, 1);
        assert_int_equal(s[i / 256].requests[i % 256].result, 0);
        assert_int_equal(pread(fd, got, SECTOR, (off_t)i * SECTOR), SECTOR);
        assert_memory_equal(got, s[i / 256].buf[i % 256], SECTOR);
    }
    close(fd);
    free(s);
}

/* A request completes at the next turn, on the turning thread, without a drain. */
static void completion_comes_by_the_loop(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    uint8_t buf[SECTOR];
    struct request r = {
        .req = {.op = VR_BLK_READ, .len_bytes = SECTOR, .iov_count = 1, .done = request_done}};
    r.iov[0] = (struct iovec){.iov_base = buf, .iov_len = SECTOR};
    r.req.iov = r.iov;
    r.req.opaque = &r;
    vr_blk_submit(blk, &r.req);
    uint64_t end_ns = vireo_monotonic_ns() + UINT64_C(5000000000);
    while (!r.done) {
        assert_true(vireo_monotonic_ns() < end_ns);
        vr_loop_turn(f->loop, 1000);
    }
    assert_int_equal(r.result, 0);
    vr_blk_close(blk);
}

static int try_one(struct vr_blk *blk, enum vr_blk_op op, void *buf, uint64_t off, uint64_t len)
{
    struct iovec iov[] = {{.iov_base = buf, .iov_len = (size_t)len / 2},
                          {.iov_base = (char *)buf + len / 2, .iov_len = (size_t)(len - len / 2)}};
    struct vr_blk_req req = {
        .op = op, .off_bytes = off, .len_bytes = len, .iov = iov, .iov_count = buf ? 2 : 0};
    return vr_blk_try(blk, &req);
}

/* What was just written lies in the host's memory, and is had without waiting where the host can
 * tell. On a file system in memory everything is. */
static void what_takes_no_waiting_is_had_at_once(void **state)
{
    struct fixture *f = *state;
    uint8_t in[4096], out[4096];
    const char *const dirs[] = {f->dir, "/dev/shm"};
    for (unsigned i = 0; i < 2; i++) {
        char path[128];
        bool in_memory = i == 1 && access(dirs[i], W_OK) == 0;
        snprintf(path, sizeof(path), "%s/vireo-try-%d", in_memory ? dirs[i] : f->dir, getpid());
        make_file(path, "", 0, DISK);
        struct vr_blk *blk = NULL;
        assert_int_equal(vr_blk_open_raw(path, false, f->loop, &blk, NULL), 0);
        memset(out, (int)i + 1, sizeof(out));
        assert_int_equal(run_simple(blk, VR_BLK_WRITE, out, 8192, sizeof(out)), 0);
        int r = try_one(blk, VR_BLK_READ, in, 8192, sizeof(in));
        assert_true(r == 0 || (r == -EAGAIN && !in_memory));
        if (r == 0) {
            assert_memory_equal(in, out, sizeof(in));
        }
        struct vr_blk_count counts[VR_BLK_OPS];
        vr_blk_stats(blk, counts);
        assert_int_equal(counts[VR_BLK_READ].count, r == 0);
        assert_int_equal(counts[VR_BLK_READ].bytes, r == 0 ? sizeof(in) : 0);
        memset(out, 9, sizeof(out));
        if (in_memory) {
            assert_int_equal(try_one(blk, VR_BLK_WRITE, out, 512, sizeof(out)), 0);
            assert_int_equal(try_one(blk, VR_BLK_FLUSH, NULL, 0, 0), 0);
            assert_int_equal(run_simple(blk, VR_BLK_READ, in, 512, sizeof(in)), 0);
            assert_memory_equal(in, out, sizeof(in));
        } else if (i == 0) { /* unless this test itself runs in memory, these may wait for a disk */
            r = try_one(blk, VR_BLK_WRITE, out, 512, sizeof(out));
            assert_true(r == -EAGAIN || r == 0);
            assert_int_equal(try_one(blk, VR_BLK_FLUSH, NULL, 0, 0), r);
        }
        /* Never: what is wrong (submit says how), large, or changes the file's holes. */
        assert_int_equal(try_one(blk, VR_BLK_READ, in, DISK, sizeof(in)), -EAGAIN);
        assert_int_equal(try_one(blk, VR_BLK_READ, in, 100, sizeof(in)), -EAGAIN);
        assert_int_equal(try_one(blk, VR_BLK_DISCARD, NULL, 0, 4096), -EAGAIN);
        assert_int_equal(try_one(blk, VR_BLK_WRITE_ZEROES, NULL, 0, 4096), -EAGAIN);
        void *large = calloc(1, 1 << 20);
        assert_int_equal(try_one(blk, VR_BLK_READ, large, 0, 1 << 20), -EAGAIN);
        free(large);
        vr_blk_close(blk);
        assert_int_equal(vr_blk_open_raw(path, true, f->loop, &blk, NULL), 0);
        assert_int_equal(try_one(blk, VR_BLK_WRITE, out, 512, sizeof(out)), -EAGAIN);
        vr_blk_close(blk);
        assert_int_equal(unlink(path), 0);
    }
}

static uint64_t blocks_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (uint64_t)st.st_blocks;
}

static void holes_are_really_punched(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    if (!blk->discard) {
        vr_blk_close(blk);
        skip_because("this file system has no holes");
    }
    uint8_t *buf = malloc(DISK / 2);
    memset(buf, 0xA5, DISK / 2);
    assert_int_equal(run_simple(blk, VR_BLK_WRITE, buf, 0, DISK / 2), 0);
    assert_int_equal(run_simple(blk, VR_BLK_FLUSH, NULL, 0, 0), 0);
    uint64_t full = blocks_of(f->path);
    assert_true(full >= DISK / 2 / 512);
    assert_int_equal(run_simple(blk, VR_BLK_DISCARD, NULL, 0, 1 << 20), 0);
    uint64_t discarded = blocks_of(f->path);
    assert_true(discarded <= full - (1 << 20) / 512 + 64);
    struct request zero = {.req = {.op = VR_BLK_WRITE_ZEROES,
                                   .may_unmap = true,
                                   .off_bytes = 1 << 20,
                                   .len_bytes = 1 << 20}};
    assert_int_equal(run(blk, &zero), 0);
    assert_true(blocks_of(f->path) <= 64);
    /* Without may_unmap the space stays reserved. */
    assert_int_equal(run_simple(blk, VR_BLK_WRITE, buf, 0, DISK / 2), 0);
    assert_int_equal(run_simple(blk, VR_BLK_WRITE_ZEROES, NULL, 0, 1 << 20), 0);
    assert_int_equal(run_simple(blk, VR_BLK_FLUSH, NULL, 0, 0), 0);
    assert_true(blocks_of(f->path) >= DISK / 2 / 512);
    assert_int_equal(run_simple(blk, VR_BLK_READ, buf, 0, 1 << 20), 0);
    for (unsigned i = 0; i < 1 << 20; i++) {
        assert_int_equal(buf[i], 0);
    }
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_size, DISK);
    free(buf);
    vr_blk_close(blk);
}

/* A regular file is no block device: the host cannot zero it as one, and the zeroes are written. */
static void zeroes_are_written_where_the_host_cannot(void **state)
{
    struct fixture *f = *state;
    enum { AT = 5 * SECTOR + 1, LEN = 200 * 1024 + 3, SPAN = 256 * 1024 };
    struct vr_file_info info;
    int fd;
    assert_int_equal(vr_file_open(f->path, false, &fd, &info), 0);
    uint8_t *buf = malloc(SPAN), *want = malloc(SPAN);
    memset(buf, 0xA5, SPAN);
    memcpy(want, buf, SPAN);
    memset(want + AT, 0, LEN);
    assert_int_equal(vr_file_write(fd, buf, SPAN, 0), 0);
    assert_int_equal(vr_file_zero(fd, VR_FILE_BLOCK, AT, LEN, true), -EOPNOTSUPP);
    assert_int_equal(vr_file_write_zeroes(fd, VR_FILE_BLOCK, AT, LEN, true), 0);
    assert_int_equal(vr_file_read(fd, buf, SPAN, 0), 0);
    assert_memory_equal(buf, want, SPAN);
    free(buf);
    free(want);
    vr_file_close(fd);
}

/* THREATS 4: lengths and offsets at the edges, and where their sum wraps. */
static void bad_requests_never_reach_the_file(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    uint8_t buf[2 * SECTOR];
    static const struct {
        uint64_t off, len;
    } bad[] = {
        {DISK, SECTOR},
        {DISK - SECTOR, 2 * SECTOR},
        {UINT64_MAX - SECTOR + 1, SECTOR},
        {UINT64_MAX - SECTOR + 1, 2 * SECTOR},
        {SECTOR, UINT64_MAX - SECTOR + 1},
        {0, UINT64_MAX - SECTOR + 1},
        {1, SECTOR},
        {0, SECTOR - 1},
        {0, SECTOR + 1},
    };
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        for (enum vr_blk_op op = VR_BLK_READ; op <= VR_BLK_WRITE_ZEROES; op++) {
            struct request r = {
                .req = {.op = op, .off_bytes = bad[i].off, .len_bytes = bad[i].len}};
            r.iov[0] = (struct iovec){.iov_base = buf, .iov_len = bad[i].len};
            r.req.iov_count = 1;
            if (op != VR_BLK_FLUSH) {
                assert_int_equal(run(blk, &r), -EINVAL);
            }
        }
    }
    /* Vectors that do not add up to the length; that wrap. */
    struct request r = {.req = {.op = VR_BLK_WRITE, .len_bytes = 2 * SECTOR, .iov_count = 1}};
    r.iov[0] = (struct iovec){.iov_base = buf, .iov_len = SECTOR};
    assert_int_equal(run(blk, &r), -EINVAL);
    r.req.iov_count = 3;
    r.iov[1] = r.iov[2] = (struct iovec){.iov_base = buf, .iov_len = SIZE_MAX / 2 + 1 + SECTOR / 2};
    assert_int_equal(run(blk, &r), -EINVAL);
    assert_int_equal(run_simple(blk, VR_BLK_READ, NULL, DISK, 0), 0); /* nothing, at the end */
    vr_blk_close(blk);
    assert_true(blocks_of(f->path) <= 8);
}

static void read_only_refuses_writes(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(chmod(f->path, 0400), 0);
    struct vr_blk *blk = open_disk(f, true);
    uint8_t buf[SECTOR] = {1};
    assert_true(blk->read_only);
    assert_false(blk->discard);
    assert_int_equal(run_simple(blk, VR_BLK_WRITE, buf, 0, SECTOR), -EROFS);
    assert_int_equal(run_simple(blk, VR_BLK_WRITE_ZEROES, NULL, 0, SECTOR), -EROFS);
    assert_int_equal(run_simple(blk, VR_BLK_DISCARD, NULL, 0, SECTOR), -EROFS);
    assert_int_equal(run_simple(blk, VR_BLK_FLUSH, NULL, 0, 0), 0);
    assert_int_equal(run_simple(blk, VR_BLK_READ, buf, 0, SECTOR), 0);
    assert_int_equal(buf[0], 0);
    vr_blk_close(blk);
}

/* Opening must fail with @code and a message that has @word in it and names the disk. */
static void refuse(struct fixture *f, const char *path, bool read_only, int code, const char *word)
{
    struct vr_blk *blk = NULL;
    struct vr_error err = {0};
    assert_int_equal(vr_blk_open_raw(path, read_only, f->loop, &blk, &err), code);
    assert_null(blk);
    assert_int_equal(err.code, code);
    assert_non_null(strstr(err.msg, path));
    if (!strstr(err.msg, word)) {
        fail_msg("'%s' is not in: %s", word, err.msg);
    }
    assert_null(strchr(err.msg, '\n'));
}

static void a_second_writer_is_kept_out(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    refuse(f, f->path, false, -EBUSY, "in use");
    refuse(f, f->path, true, -EBUSY, ",ro");
    /* Another process, too. */
    pid_t pid = fork();
    if (pid == 0) {
        struct vr_blk *other = NULL;
        _exit(vr_blk_open_raw(f->path, false, f->loop, &other, NULL) == -EBUSY ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    vr_blk_close(blk);
    /* Readers share; a writer has to wait for both. */
    struct vr_blk *a = open_disk(f, true), *b = open_disk(f, true);
    refuse(f, f->path, false, -EBUSY, "in use");
    vr_blk_close(a);
    refuse(f, f->path, false, -EBUSY, "in use");
    vr_blk_close(b);
    vr_blk_close(open_disk(f, false));
}

static void odd_files_are_refused(void **state)
{
    struct fixture *f = *state;
    char missing[128], fifo[128];
    snprintf(missing, sizeof(missing), "%s/missing", f->dir);
    refuse(f, missing, false, -ENOENT, "truncate -s");
    refuse(f, f->dir, false, -EISDIR, "directory");
    refuse(f, f->dir, true, -EISDIR, "directory");
    refuse(f, "/dev/null", false, -EINVAL, "neither");
    snprintf(fifo, sizeof(fifo), "%s/fifo", f->dir);
    assert_int_equal(mkfifo(fifo, 0600), 0);
    refuse(f, fifo, false, -EINVAL, "neither");
    refuse(f, fifo, true, -EINVAL, "neither"); /* and does not wait for its other end */
    assert_int_equal(unlink(fifo), 0);
    make_file(f->path, "", 0, 0);
    refuse(f, f->path, false, -EINVAL, "empty");
    make_file(f->path, "", 0, DISK + 1);
    refuse(f, f->path, false, -EINVAL, "multiple of 512");
    make_file(f->path, "", 0, 100);
    refuse(f, f->path, true, -EINVAL, "multiple of 512");
    make_file(f->path, "", 0, DISK);
    if (geteuid() != 0) { /* root may write anything */
        assert_int_equal(chmod(f->path, 0400), 0);
        refuse(f, f->path, false, -EACCES, ",ro");
        assert_int_equal(chmod(f->path, 0000), 0);
        refuse(f, f->path, true, -EACCES, "owner");
    }
}

static void other_formats_are_recognised(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *head, *word;
        size_t len;
    } heads[] = {
        {"QFI\xfb\0\0\0\3", "qcow2", 8}, {"KDMV\1\0\0\0", "VMDK", 8}, {"vhdxfile", "VHDX", 8},
        {"LUKS\xba\xbe\0\2", "LUKS", 8}, {"\xfd\x37zXZ\0", "xz", 6},  {"\x1f\x8b\x08", "gzip", 3},
    };
    for (unsigned i = 0; i < VR_COUNT(heads); i++) {
        make_file(f->path, heads[i].head, heads[i].len, DISK);
        refuse(f, f->path, false, -ENOTSUP, heads[i].word);
        refuse(f, f->path, false, -ENOTSUP, "format=raw");
        struct vr_blk *blk = NULL;
        const struct vr_blk_opts raw = {.path = f->path, .format = "raw"};
        assert_int_equal(vr_blk_open(&raw, f->loop, &blk, NULL), 0);
        vr_blk_close(blk);
    }
    uint8_t vdi[68] = {0};
    vr_store_le32(vdi + 64, 0xBEDA107F);
    make_file(f->path, vdi, sizeof(vdi), DISK);
    refuse(f, f->path, false, -ENOTSUP, "VDI");
    struct vr_error err = {0};
    struct vr_blk *blk = NULL;
    const struct vr_blk_opts qcow2 = {.path = f->path, .format = "qcow2"};
    assert_int_equal(vr_blk_open(&qcow2, f->loop, &blk, &err), -ENOTSUP);
    assert_non_null(strstr(err.msg, "qcow2"));
}

static void a_file_that_shrinks_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f, false);
    uint8_t buf[2 * SECTOR];
    assert_int_equal(truncate(f->path, DISK - SECTOR), 0);
    assert_int_equal(run_simple(blk, VR_BLK_READ, buf, DISK - 2 * SECTOR, 2 * SECTOR), -EIO);
    assert_int_equal(run_simple(blk, VR_BLK_READ, buf, 0, SECTOR), 0);
    vr_blk_close(blk);
}

/* Its guest's requests wait for their turn; the host's own access (a snapshot's) does not. */
static void the_host_has_a_deterministic_machines_disk_at_once(void **state)
{
    struct fixture *f = *state;
    struct vr_machine *m;
    struct vr_blk *blk;
    struct vr_error err = {0};
    uint8_t out[2 * SECTOR], in[2 * SECTOR] = {0}, file[2 * SECTOR] = {0};
    assert_int_equal(vr_machine_create("det", VR_CLOCK_STEPPED, true, NULL, &m, &err), 0);
    assert_int_equal(vr_machine_set_det(m, &(struct vr_det_opts){.on = true}, &err), 0);
    assert_int_equal(vr_blk_open_raw(f->path, false, vr_machine_loop(m), &blk, &err), 0);
    memset(out, 0x5a, sizeof(out));
    assert_int_equal(vr_blk_do(blk, VR_BLK_WRITE, SECTOR, out, sizeof(out)), 0);
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, file, sizeof(file), SECTOR), sizeof(file));
    close(fd);
    assert_memory_equal(file, out, sizeof(out));
    assert_int_equal(vr_blk_do(blk, VR_BLK_READ, SECTOR, in, sizeof(in)), 0);
    assert_memory_equal(in, out, sizeof(out));
    assert_int_equal(vr_blk_do(blk, VR_BLK_READ, DISK, in, sizeof(in)), -EINVAL);
    vr_blk_close(blk);
    vr_machine_destroy(m);
}

int main(void)
{
#define BLK_TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
    const struct CMUnitTest tests[] = {
        BLK_TEST(geometry_is_the_files),
        BLK_TEST(random_requests_match_a_model),
        BLK_TEST(many_at_a_time_from_many_threads),
        BLK_TEST(what_takes_no_waiting_is_had_at_once),
        BLK_TEST(completion_comes_by_the_loop),
        BLK_TEST(holes_are_really_punched),
        BLK_TEST(zeroes_are_written_where_the_host_cannot),
        BLK_TEST(bad_requests_never_reach_the_file),
        BLK_TEST(read_only_refuses_writes),
        BLK_TEST(a_second_writer_is_kept_out),
        BLK_TEST(odd_files_are_refused),
        BLK_TEST(other_formats_are_recognised),
        BLK_TEST(a_file_that_shrinks_is_an_error),
        BLK_TEST(the_host_has_a_deterministic_machines_disk_at_once),
    };
    return cmocka_run_group_tests_name("blk_raw", tests, NULL, NULL);
}
