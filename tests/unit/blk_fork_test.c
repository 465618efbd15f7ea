/* Disks that are read as they were while they are written: before images, frozen disks and overlays
 * against a model in memory, under writers that race, with owners that are killed, and with an
 * index that lies. */
#include "test.h"

#include "backend/block/block.h"
#include "backend/block/frozen.h"
#include "base/bits.h"
#include "platform/file.h"
#include "vireo/host_memory.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { UNIT = VR_PAST_UNIT, DISK = 20 * UNIT + 3 * 512, SECTOR = 512, SECTORS = DISK / SECTOR };

struct fixture {
    struct vr_loop *loop;
    char dir[64], path[96];
    uint32_t seed;
};

static uint32_t next_random(struct fixture *f)
{
    f->seed = f->seed * 1664525 + 1013904223;
    return f->seed >> 8;
}

static void make_disk(const char *path, const void *data, size_t len)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, data, len, 0), len);
    close(fd);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    assert_non_null(f);
    snprintf(f->dir, sizeof(f->dir), "blk_fork_XXXXXX");
    assert_non_null(mkdtemp(f->dir));
    snprintf(f->path, sizeof(f->path), "%s/disk", f->dir);
    f->seed = 4711;
    uint8_t *data = malloc(DISK);
    for (unsigned i = 0; i < DISK; i++) {
        data[i] = i / UNIT % 5 == 0 ? 0 : (uint8_t)next_random(f);
    }
    make_disk(f->path, data, DISK);
    free(data);
    assert_int_equal(vr_loop_create(&f->loop, NULL), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    vr_loop_destroy(f->loop);
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(rmdir(f->dir), 0); /* no file of ours has a name */
    free(f);
    return 0;
}

static struct vr_blk *open_disk(struct fixture *f)
{
    struct vr_blk *blk = NULL;
    struct vr_error err = {0};
    const struct vr_blk_opts opts = {.path = f->path, .format = "raw"};
    if (vr_blk_open(&opts, f->loop, &blk, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return blk;
}

static struct vr_frozen *freeze(struct fixture *f, struct vr_blk *blk)
{
    struct vr_frozen *frozen = NULL;
    struct vr_error err = {0};
    if (vr_blk_freeze(blk, f->dir, &frozen, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return frozen;
}

static struct vr_blk *overlay(struct fixture *f, const struct vr_frozen *under, bool read_only)
{
    struct vr_blk *blk = NULL;
    struct vr_error err = {0};
    if (vr_blk_open_overlay("clone", under, f->dir, read_only, f->loop, &blk, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    return blk;
}

/* A request on this thread. */
static int now(struct vr_blk *blk, enum vr_blk_op op, void *buf, uint64_t off, uint64_t len)
{
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct vr_blk_req req = {.op = op,
                             .off_bytes = off,
                             .len_bytes = len,
                             .iov = &iov,
                             .iov_count = 1,
                             .may_unmap = true};
    return blk->ops->run(blk, &req);
}

/* ---- Against a model ---- */

enum { MODEL_DISKS = 12 };

struct model {
    struct vr_blk *blk;
    uint8_t *data;
    struct vr_frozen *from; /* what it was made from */
    unsigned parent;
};

static void model_compare(const struct model *m, uint8_t *buf, uint64_t off, uint64_t len)
{
    assert_int_equal(now(m->blk, VR_BLK_READ, buf, off, len), 0);
    assert_memory_equal(buf, m->data + off, len);
}

static void model_step(struct fixture *f, struct model *m, uint8_t *buf, unsigned step)
{
    uint64_t off = next_random(f) % SECTORS * SECTOR;
    uint64_t max = DISK - off < 4 * UNIT ? DISK - off : 4 * UNIT;
    uint64_t len = next_random(f) % (max / SECTOR + 1) * SECTOR;
    enum vr_blk_op op = next_random(f) % 5;
    if (next_random(f) % 3 == 0) { /* whole units, too */
        off = vr_align_down(off, UNIT);
        len = DISK - off < UNIT ? DISK - off : UNIT;
    }
    switch (op) {
    case VR_BLK_READ:
        model_compare(m, buf, off, len);
        break;
    case VR_BLK_WRITE:
        for (uint64_t k = 0; k < len; k++) {
            m->data[off + k] = buf[k] = (uint8_t)(step + k * 7);
        }
        assert_int_equal(now(m->blk, op, buf, off, len), 0);
        break;
    case VR_BLK_WRITE_ZEROES:
        memset(m->data + off, 0, len);
        assert_int_equal(now(m->blk, op, NULL, off, len), 0);
        break;
    case VR_BLK_DISCARD:
        if (m->blk->discard) {
            assert_int_equal(now(m->blk, op, NULL, off, len), 0);
            if (len) { /* now it may be anything, but stays what it is */
                assert_int_equal(now(m->blk, VR_BLK_READ, m->data + off, off, len), 0);
            }
        }
        break;
    case VR_BLK_FLUSH:
        assert_int_equal(now(m->blk, op, NULL, 0, 0), 0);
        break;
    }
}

/* An image and its clones, clones of clones, forked again and again, all written on: each has
 * exactly what it wrote over what it was forked from. */
static void every_clone_matches_its_model(void **state)
{
    struct fixture *f = *state;
    struct model m[MODEL_DISKS] = {{.blk = open_disk(f), .data = calloc(1, DISK)}};
    uint8_t *buf = malloc(DISK);
    unsigned count = 1;
    assert_int_equal(now(m[0].blk, VR_BLK_READ, m[0].data, 0, DISK), 0);
    for (unsigned step = 0; step < 6000; step++) {
        if (step % 200 == 50 && count < MODEL_DISKS) {
            struct model *new = &m[count];
            new->parent = next_random(f) % count;
            new->from = freeze(f, m[new->parent].blk);
            new->blk = overlay(f, new->from, false);
            new->data = malloc(DISK);
            memcpy(new->data, m[new->parent].data, DISK);
            count++;
        }
        model_step(f, &m[next_random(f) % count], buf, step);
    }
    for (unsigned i = 0; i < count; i++) {
        model_compare(&m[i], buf, 0, DISK);
    }
    /* Those who are left read on when their parents are gone, and the locks stay theirs. */
    vr_blk_close(m[0].blk);
    m[0].blk = NULL;
    struct vr_blk *second;
    struct vr_error err = {0};
    const struct vr_blk_opts opts = {.path = f->path, .format = "raw"};
    assert_int_equal(vr_blk_open(&opts, f->loop, &second, &err), -EBUSY);
    for (unsigned i = 1; i < count; i++) {
        model_compare(&m[i], buf, 0, DISK);
        vr_blk_close(m[i].blk);
        vr_frozen_destroy(m[i].from);
    }
    assert_int_equal(vr_blk_open(&opts, f->loop, &second, &err), 0);
    vr_blk_close(second);
    for (unsigned i = 0; i < count; i++) {
        free(m[i].data);
    }
    free(buf);
}

/* Through the front door: requests on threads, and a disk that is only read. */
static void finish(struct vr_blk_req *req, int result)
{
    *(int *)req->opaque = result;
}

static int submit(struct vr_blk *blk, enum vr_blk_op op, void *buf, uint64_t off, uint64_t len)
{
    int result = 1;
    struct iovec iov = {.iov_base = buf, .iov_len = len};
    struct vr_blk_req req = {.op = op,
                             .off_bytes = off,
                             .len_bytes = len,
                             .iov = &iov,
                             .iov_count = 1,
                             .done = finish,
                             .opaque = &result};
    vr_blk_submit(blk, &req);
    vr_blk_drain(blk);
    return result;
}

static void a_disk_that_is_only_read(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f), *clone, *grandchild;
    uint8_t *was = malloc(DISK), *buf = malloc(DISK);
    assert_int_equal(submit(blk, VR_BLK_READ, was, 0, DISK), 0);
    struct vr_frozen *frozen = freeze(f, blk);
    clone = overlay(f, frozen, true);
    struct vr_frozen *again = freeze(f, clone);
    grandchild = overlay(f, again, false);
    memset(buf, 0x5a, DISK);
    assert_int_equal(submit(blk, VR_BLK_WRITE, buf, 0, DISK), 0);
    assert_int_equal(submit(clone, VR_BLK_WRITE, buf, 0, SECTOR), -EROFS);
    assert_int_equal(submit(clone, VR_BLK_READ, buf, 0, DISK), 0);
    assert_memory_equal(buf, was, DISK);
    assert_int_equal(submit(grandchild, VR_BLK_READ, buf, 0, DISK), 0);
    assert_memory_equal(buf, was, DISK);
    assert_int_equal(submit(grandchild, VR_BLK_FLUSH, NULL, 0, 0), 0);
    assert_string_equal(clone->ops->name, "overlay");
    vr_blk_close(grandchild);
    vr_blk_close(clone);
    vr_blk_close(blk);
    vr_frozen_destroy(frozen);
    vr_frozen_destroy(again);
    vr_frozen_destroy(NULL);
    free(was);
    free(buf);
}

static void what_nobody_reads_is_not_kept(void **state)
{
    struct fixture *f = *state;
    struct vr_past *past;
    struct vr_error err = {0};
    uint64_t kept, lost;
    struct vr_blk *blk = open_disk(f);
    uint8_t buf[SECTOR] = {1};
    struct vr_frozen *frozen[40];
    for (unsigned i = 0; i < VR_COUNT(frozen); i++) {
        frozen[i] = freeze(f, blk);
        assert_int_equal(frozen[i]->layer[0].moment, i + 1);
        assert_int_equal(now(blk, VR_BLK_WRITE, buf, 0, SECTOR), 0);
    }
    uint64_t before, after;
    int fd = frozen[0]->layer[0].kept;
    assert_int_equal(vr_file_len(fd, &before), 0);
    assert_true(before >= VR_COUNT(frozen) * (uint64_t)UNIT - UNIT); /* once it was zeroes */
    struct vr_thaw thaw[VR_COUNT(frozen)];
    for (unsigned i = 0; i < VR_COUNT(frozen); i++) {
        vr_frozen_take_thaw(frozen[i], &thaw[i]);
        assert_int_equal(vr_file_len(fd, &before), 0);
        assert_true(before > 0);
        vr_frozen_thaw(&thaw[i]);
    }
    assert_int_equal(vr_file_len(fd, &after), 0);
    assert_int_equal(after, 0);
    assert_int_equal(now(blk, VR_BLK_WRITE, buf, UNIT, SECTOR), 0);
    assert_int_equal(vr_file_len(fd, &after), 0);
    assert_int_equal(after, 0);
    for (unsigned i = 0; i < VR_COUNT(frozen); i++) {
        vr_frozen_destroy(frozen[i]);
    }
    vr_blk_close(blk);

    /* An index of another disk, or of none. */
    uint32_t moment;
    struct vr_past_view *view;
    int index, file;
    assert_int_equal(vr_past_create(UNIT, f->dir, &past, &err), 0);
    assert_int_equal(vr_past_mark(past, &moment, &err), 0);
    vr_past_fds(past, &index, &file);
    assert_int_equal(vr_past_open(index, UNIT, moment, &view, &err), 0);
    assert_int_equal(vr_past_open(index, 2 * UNIT, moment, &view, &err), -EINVAL);
    assert_int_equal(vr_past_open(file, UNIT, moment, &view, &err), -EINVAL);
    vr_past_count(past, &kept, &lost);
    assert_int_equal(kept + lost, 0);
    vr_past_close(view);
    vr_past_put(past);
}

static int was_pattern(void *opaque, uint64_t off, uint8_t *buf, uint32_t len)
{
    (void)off;
    memset(buf, *(uint8_t *)opaque, len);
    return VR_PAST_KEPT;
}

static int was_nothing(void *opaque, uint64_t off, uint8_t *buf, uint32_t len)
{
    (void)opaque;
    (void)off;
    (void)buf;
    (void)len;
    return VR_PAST_NOTHING;
}

static int was_unreadable(void *opaque, uint64_t off, uint8_t *buf, uint32_t len)
{
    (void)was_nothing(opaque, off, buf, len);
    return -EIO;
}

/* What cannot be kept is an error for readers, of that unit alone; the owner goes on. */
static void what_is_lost_is_an_error(void **state)
{
    struct fixture *f = *state;
    struct vr_past *past;
    struct vr_past_view *view;
    struct vr_error err = {0};
    uint64_t kept, lost, off;
    uint32_t moment, first = 0;
    int index, file;
    uint8_t byte = 1;
    assert_int_equal(vr_past_create(3 * UNIT, f->dir, &past, &err), 0);
    vr_past_fds(past, &index, &file);
    /* The first unit changes in more moments than the index has room for. */
    for (unsigned i = 0; i < 3 * 32 + 1024 + 10; i++) {
        assert_int_equal(vr_past_mark(past, &moment, &err), 0);
        first = first ? first : moment;
        if (i == 0) {
            vr_past_keep(past, UNIT, 1, was_nothing, NULL);
            vr_past_keep(past, 3 * UNIT - 1, 1, was_unreadable, NULL);
        }
        vr_past_keep(past, 0, 1, was_pattern, &byte);
        byte = (uint8_t)(byte * 2 + 1);
    }
    vr_past_count(past, &kept, &lost);
    assert_int_equal(kept, 3 * 32 + 1024);
    assert_int_equal(lost, 2); /* once is enough */
    assert_int_equal(vr_past_open(index, 3 * UNIT, first, &view, &err), 0);
    assert_int_equal(vr_past_look(view, 0, &off), -EIO);
    assert_int_equal(vr_past_look(view, UNIT, &off), VR_PAST_NOTHING);
    assert_int_equal(vr_past_look(view, 2 * UNIT, &off), -EIO);
    assert_int_equal(vr_past_look(view, 3 * UNIT, &off), -EIO);
    vr_past_close(view);
    vr_past_put(past);
}

/* ---- Races ---- */

enum {
    RACE_UNITS = 24,
    RACE_DISK = RACE_UNITS * UNIT,
    RACE_SECTORS = RACE_DISK / SECTOR,
    RACE_MARKS = 60,
    RACE_ROUNDS = 10,
    RACE_READERS = 3,
};

struct race {
    struct vr_blk *blk;
    struct vr_blk *clone[RACE_MARKS];
    uint32_t *was[RACE_MARKS]; /* a sector's stamp: who wrote it last */
    _Atomic unsigned marks;    /* made so far */
    atomic_bool stop;
    _Atomic unsigned wrong, read;
};

static void stamp(uint8_t *buf, uint64_t sectors, uint32_t step)
{
    for (uint64_t k = 0; k < sectors * SECTOR; k += sizeof(step)) {
        memcpy(buf + k, &step, sizeof(step));
    }
}

static bool is_stamped(const uint8_t *buf, uint32_t step)
{
    return memcmp(buf, &step, sizeof(step)) == 0 && memcmp(buf, buf + 4, SECTOR - 4) == 0;
}

/* Whoever reads a clone finds its disk as it was, to the byte, whatever the writer does. */
static void race_read(void *opaque)
{
    struct race *race = opaque;
    uint32_t seed = 99;
    uint8_t *buf = malloc(2 * UNIT);
    while (!atomic_load(&race->stop)) {
        unsigned marks = atomic_load(&race->marks);
        seed = seed * 1664525 + 1013904223;
        uint32_t first = (seed >> 8) % RACE_SECTORS, count = RACE_SECTORS - first;
        count = count < 2 * UNIT / SECTOR ? count : 2 * UNIT / SECTOR;
        if (marks) {
            int r = now(race->clone[marks - 1], VR_BLK_READ, buf, (uint64_t)first * SECTOR,
                        (uint64_t)count * SECTOR);
            bool good = r == 0;
            for (uint32_t i = 0; good && i < count; i++) {
                good = is_stamped(buf + (size_t)i * SECTOR, race->was[marks - 1][first + i]);
            }
            atomic_fetch_add(&race->wrong, !good);
            atomic_fetch_add(&race->read, 1);
        }
    }
    free(buf);
}

/* Each mark is followed by a write to every unit, which is when readers could go wrong. */
static void race_round(struct fixture *f, struct race *race, uint32_t *step)
{
    struct vireo_thread *thread[RACE_READERS];
    struct vr_frozen *frozen[RACE_MARKS];
    uint32_t *model = calloc(RACE_SECTORS, sizeof(*model));
    uint8_t *buf = calloc(1, UNIT);
    make_disk(f->path, buf, UNIT);
    assert_int_equal(truncate(f->path, 0), 0);
    assert_int_equal(truncate(f->path, RACE_DISK), 0);
    race->blk = open_disk(f);
    atomic_store(&race->marks, 0);
    atomic_store(&race->stop, false);
    for (unsigned i = 0; i < RACE_READERS; i++) {
        assert_int_equal(vireo_thread_create("reader", race_read, race, &thread[i], NULL), 0);
    }
    for (unsigned i = 0; i < RACE_MARKS; i++) {
        frozen[i] = freeze(f, race->blk);
        race->clone[i] = overlay(f, frozen[i], true);
        race->was[i] = malloc(RACE_SECTORS * sizeof(*model));
        memcpy(race->was[i], model, RACE_SECTORS * sizeof(*model));
        atomic_store(&race->marks, i + 1);
        for (unsigned k = 0; k < RACE_UNITS; k++) {
            uint32_t unit = next_random(f) % RACE_UNITS, sectors = UNIT / SECTOR;
            uint32_t first = next_random(f) % sectors, count = sectors - first;
            stamp(buf, count, ++*step);
            for (uint32_t n = 0; n < count; n++) {
                model[unit * sectors + first + n] = *step;
            }
            assert_int_equal(now(race->blk, VR_BLK_WRITE, buf,
                                 (uint64_t)unit * UNIT + (uint64_t)first * SECTOR,
                                 (uint64_t)count * SECTOR),
                             0);
        }
    }
    atomic_store(&race->stop, true);
    for (unsigned i = 0; i < RACE_READERS; i++) {
        vireo_thread_join(thread[i]);
    }
    for (unsigned i = 0; i < RACE_MARKS; i++) {
        vr_blk_close(race->clone[i]);
        vr_frozen_destroy(frozen[i]);
        free(race->was[i]);
    }
    vr_blk_close(race->blk);
    free(model);
    free(buf);
}

static void a_clone_never_sees_what_came_later(void **state)
{
    struct race race = {0};
    uint32_t step = 0;
    for (unsigned i = 0; i < RACE_ROUNDS; i++) {
        race_round(*state, &race, &step);
    }
    assert_int_equal(atomic_load(&race.wrong), 0);
    assert_true(atomic_load(&race.read) > RACE_ROUNDS);
}

/* Several of the guest's requests on one unit of an overlay at a time. */
static void race_write(void *opaque)
{
    static _Atomic unsigned turn;
    struct race *race = opaque;
    unsigned mine = atomic_fetch_add(&turn, 1) % RACE_READERS;
    uint8_t buf[SECTOR];
    memset(buf, (int)mine + 1, sizeof(buf));
    for (unsigned i = mine; i < SECTORS; i += RACE_READERS) {
        atomic_fetch_add(&race->wrong,
                         now(race->clone[0], VR_BLK_WRITE, buf, (uint64_t)i * SECTOR, SECTOR) < 0);
    }
}

static void writes_into_one_unit_lose_nothing(void **state)
{
    struct fixture *f = *state;
    struct race race = {.blk = open_disk(f)};
    struct vireo_thread *thread[RACE_READERS];
    struct vr_frozen *frozen = freeze(f, race.blk);
    uint8_t buf[SECTOR];
    race.clone[0] = overlay(f, frozen, false);
    for (unsigned i = 0; i < RACE_READERS; i++) {
        assert_int_equal(vireo_thread_create("writer", race_write, &race, &thread[i], NULL), 0);
    }
    for (unsigned i = 0; i < RACE_READERS; i++) {
        vireo_thread_join(thread[i]);
    }
    assert_int_equal(atomic_load(&race.wrong), 0);
    unsigned first[RACE_READERS] = {0};
    for (unsigned i = 0; i < SECTORS; i++) {
        assert_int_equal(now(race.clone[0], VR_BLK_READ, buf, (uint64_t)i * SECTOR, SECTOR), 0);
        first[i % RACE_READERS] = i < RACE_READERS ? buf[0] : first[i % RACE_READERS];
        assert_int_equal(buf[0], first[i % RACE_READERS]);
        assert_int_equal(buf[SECTOR - 1], buf[0]);
    }
    vr_blk_close(race.clone[0]);
    vr_frozen_destroy(frozen);
    vr_blk_close(race.blk);
}

/* ---- An owner that is killed ---- */

static void an_owner_that_is_killed_harms_no_clone(void **state)
{
    struct fixture *f = *state;
    uint8_t *was = malloc(DISK), *buf = malloc(DISK);
    for (unsigned round = 0; round < 25; round++) {
        int go[2];
        char byte;
        assert_int_equal(pipe(go), 0);
        struct vr_blk *blk = open_disk(f);
        assert_int_equal(now(blk, VR_BLK_READ, was, 0, DISK), 0);
        struct vr_frozen *frozen = freeze(f, blk);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            for (unsigned i = 0;; i++) {
                uint64_t off = next_random(f) % SECTORS * SECTOR;
                uint64_t len = DISK - off < 2 * UNIT ? DISK - off : 2 * UNIT;
                memset(buf, (int)(i + round), len);
                (void)now(blk, VR_BLK_WRITE, buf, off, len);
                (void)!write(go[1], "", 1); /* full and blocking: a rhythm, then it is killed */
            }
        }
        close(go[1]);
        for (unsigned i = 0; i < round; i++) { /* now it is somewhere in the middle */
            assert_int_equal(read(go[0], &byte, 1), 1);
        }
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
        struct vr_blk *clone = overlay(f, frozen, false);
        assert_int_equal(now(clone, VR_BLK_READ, buf, 0, DISK), 0);
        assert_memory_equal(buf, was, DISK);
        vr_blk_close(clone);
        vr_frozen_destroy(frozen);
        vr_blk_close(blk);
        close(go[0]);
    }
    free(was);
    free(buf);
}

/* ---- Lies ---- */

/* An index full of anything leads to bytes of the files or to errors. */
static void a_damaged_index_is_harmless(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk = open_disk(f);
    struct vr_frozen *frozen = freeze(f, blk);
    uint8_t *buf = calloc(1, DISK);
    struct vr_past *past;
    struct vr_error err = {0};
    uint32_t moment;
    int index, kept;
    /* A writable index of the same shape. */
    assert_int_equal(vr_past_create(DISK, f->dir, &past, &err), 0);
    assert_int_equal(vr_past_mark(past, &moment, &err), 0);
    vr_past_fds(past, &index, &kept);
    char path[64];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", index);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    struct vr_frozen_layer *layer = &frozen->layer[0];
    close(layer->index);
    layer->index = fd;
    layer->moment = 3;
    struct vr_blk *clone = overlay(f, frozen, false);
    unsigned good = 0, refused = 0;
    for (unsigned round = 0; round < 4000; round++) {
        for (unsigned i = 0; i < 16; i++) {
            uint32_t word = next_random(f) % 3 ? next_random(f) % 64 : next_random(f) << 8;
            off_t at = next_random(f) % 2 ? 4096 + next_random(f) % 21 * 4
                                          : 8192 + next_random(f) % 1024 * 4;
            assert_int_equal(pwrite(fd, &word, 4, at), 4);
        }
        uint64_t off = next_random(f) % SECTORS * SECTOR;
        uint64_t len = DISK - off < 3 * UNIT ? DISK - off : 3 * UNIT;
        int r = now(clone, next_random(f) % 4 ? VR_BLK_READ : VR_BLK_WRITE, buf, off, len);
        assert_true(r == 0 || r == -EIO);
        good += r == 0;
        refused += r == -EIO;
    }
    assert_true(good > 10 && refused > 10);
    vr_blk_close(clone);
    /* Cut short, or with a wrong head, it is not opened. */
    uint64_t wrong = 1;
    struct vr_frozen_view *view;
    assert_int_equal(pwrite(fd, &wrong, 8, 0), 8);
    assert_int_equal(vr_frozen_open(frozen, &view, &err), -EINVAL);
    vr_past_put(past);
    layer->index = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_int_equal(vr_frozen_open(frozen, &view, &err), -EINVAL);
    close(fd);
    /* A map that is too short. */
    close(layer->index);
    layer->index = -1;
    layer->some = true;
    assert_int_equal(vireo_memfd_create("short", 512, 0, &layer->map, &err), 0);
    assert_int_equal(vr_frozen_open(frozen, &view, &err), -EINVAL);
    vr_frozen_destroy(frozen);
    vr_blk_close(blk);
    free(buf);
}

static void too_many_generations_are_refused(void **state)
{
    struct fixture *f = *state;
    struct vr_blk *blk[VR_FROZEN_LAYERS] = {open_disk(f)};
    struct vr_frozen *frozen[VR_FROZEN_LAYERS] = {NULL}, *last = NULL;
    struct vr_error err = {0};
    uint8_t buf[SECTOR];
    memset(buf, 7, sizeof(buf));
    for (unsigned i = 1; i < VR_FROZEN_LAYERS; i++) {
        frozen[i] = freeze(f, blk[i - 1]);
        blk[i] = overlay(f, frozen[i], false);
        assert_int_equal(now(blk[i], VR_BLK_WRITE, buf, (uint64_t)i * SECTOR, SECTOR), 0);
    }
    assert_int_equal(vr_blk_freeze(blk[VR_FROZEN_LAYERS - 1], f->dir, &last, &err), 0);
    struct vr_blk *deepest = overlay(f, last, false);
    struct vr_frozen *none = NULL;
    assert_int_equal(vr_blk_freeze(deepest, f->dir, &none, &err), -E2BIG);
    assert_null(none);
    for (unsigned i = 1; i < VR_FROZEN_LAYERS; i++) {
        assert_int_equal(now(deepest, VR_BLK_READ, buf, (uint64_t)i * SECTOR, SECTOR), 0);
        assert_int_equal(buf[SECTOR - 1], 7);
    }
    vr_blk_close(deepest);
    vr_frozen_destroy(last);
    for (unsigned i = 0; i < VR_FROZEN_LAYERS; i++) {
        vr_blk_close(blk[i]);
        vr_frozen_destroy(frozen[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        T(every_clone_matches_its_model),          T(a_disk_that_is_only_read),
        T(what_nobody_reads_is_not_kept),          T(what_is_lost_is_an_error),
        T(a_clone_never_sees_what_came_later),     T(writes_into_one_unit_lose_nothing),
        T(an_owner_that_is_killed_harms_no_clone), T(a_damaged_index_is_harmless),
        T(too_many_generations_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
