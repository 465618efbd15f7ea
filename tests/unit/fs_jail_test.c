/*
 * A guest that wants out of its share, and guests that lie: names, links, numbers, lengths, other
 * programs that move things about while it tries, and numbers of files and handles without end.
 * Whatever they do, a file beside the share is neither seen nor changed.
 */
#include "fuse_client.h"

#include "base/bits.h"
#include "platform/jail.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECRET "beside the share"

static void secret_file(struct fc *c, const char *name)
{
    char path[128];
    snprintf(path, sizeof(path), "%s/%s", c->dir, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, SECRET, sizeof(SECRET) - 1), sizeof(SECRET) - 1);
    close(fd);
}

static int setup(void **state)
{
    static struct fc c;
    fc_start(&c, (struct vr_fs_dir_opts){.path = NULL});
    secret_file(&c, "secret");
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    struct fc *c = *state;
    char text[64] = "", path[128];
    snprintf(path, sizeof(path), "%s/secret", c->dir);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(read(fd, text, sizeof(text)), sizeof(SECRET) - 1);
    assert_string_equal(text, SECRET); /* nobody got at it */
    close(fd);
    fc_fini(c);
    return 0;
}

/* --- Row 13 --- */

static const char *const bad_names[] = {"..",        ".",           "",     "/",      "a/b",
                                        "../secret", "/etc/passwd", "dir/", "./file", "//"};

/* Every operation that takes a name, with every name that is none. */
static void row_13_names_that_lead_out(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    uint64_t fh;
    char path[256], longer[300];
    fc_file(c, "file", "in the share");
    uint64_t file = fc_node(c, "file");
    for (unsigned i = 0; i < VR_COUNT(bad_names); i++) {
        const char *bad = bad_names[i];
        struct fuse_link_in link = {.oldnodeid = file};
        assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, bad, &e), -EINVAL);
        assert_int_equal(fc_create(c, FUSE_ROOT_ID, bad, O_RDWR | O_CREAT, 0644, &e, &fh), -EINVAL);
        assert_int_equal(fc_mknod(c, FUSE_ROOT_ID, bad, S_IFREG | 0644, 0, &e), -EINVAL);
        assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, bad, 0755, &e), -EINVAL);
        assert_int_equal(fc_symlink(c, FUSE_ROOT_ID, bad, "file", &e), -EINVAL);
        assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, bad, false), -EINVAL);
        assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, bad, true), -EINVAL);
        assert_int_equal(fc_rename(c, FUSE_ROOT_ID, bad, FUSE_ROOT_ID, "x", 0), -EINVAL);
        assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "file", FUSE_ROOT_ID, bad, 0), -EINVAL);
        assert_int_equal(
            fc_call(c, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link), bad, strlen(bad) + 1),
            -EINVAL);
    }
    memset(longer, 'n', sizeof(longer));
    longer[256] = '\0';
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, longer, &e), -ENAMETOOLONG);
    longer[255] = '\0';
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, longer, &e), -ENOENT);
    /* Without an end, or with one in the middle: the rest is another field, or nothing. */
    assert_int_equal(fc_call(c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "file", 4), -EINVAL);
    assert_int_equal(fc_call(c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, NULL, 0), -EINVAL);
    struct fuse_rename_in rename = {.newdir = FUSE_ROOT_ID};
    assert_int_equal(fc_call(c, FUSE_RENAME, FUSE_ROOT_ID, &rename, sizeof(rename), "file\0x", 6),
                     -EINVAL);
    assert_int_equal(fc_call(c, FUSE_SYMLINK, FUSE_ROOT_ID, NULL, 0, "l\0t", 3), -EINVAL);
    assert_int_equal(fc_call(c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, "file\0/../secret", 16),
                     sizeof(e));
    snprintf(path, sizeof(path), "%s/x", c->dir);
    assert_int_equal(access(path, F_OK), -1);
}

/* Links of the host's and of the guest's, as a name, as a folder in a path, and to be opened. */
static void row_13_symbolic_links_are_not_followed(void **state)
{
    struct fc *c = *state;
    char cwd[2048], absolute[2200];
    struct fuse_entry_out e, in;
    uint64_t fh;
    assert_non_null(getcwd(cwd, sizeof(cwd)));
    snprintf(absolute, sizeof(absolute), "%s/%s", cwd, c->dir);
    const char *const targets[] = {"..", "../secret", absolute, "/", "/etc", "/proc/self/fd"};
    for (unsigned i = 0; i < VR_COUNT(targets); i++) {
        char name[16];
        snprintf(name, sizeof(name), "link%u", i);
        if (i % 2) {
            assert_int_equal(symlink(targets[i], fc_path(c, name)), 0);
            assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, name, &e), 0);
        } else {
            assert_int_equal(fc_symlink(c, FUSE_ROOT_ID, name, targets[i], &e), 0);
        }
        assert_int_equal(e.attr.mode & S_IFMT, S_IFLNK);
        assert_int_equal(fc_lookup(c, e.nodeid, "secret", &in), -ENOTDIR);
        assert_int_equal(fc_lookup(c, e.nodeid, "passwd", &in), -ENOTDIR);
        assert_int_equal(fc_create(c, e.nodeid, "new", O_RDWR, 0644, &in, &fh), -ENOTDIR);
        assert_int_equal(fc_create(c, FUSE_ROOT_ID, name, O_RDWR | O_TRUNC, 0644, &in, &fh),
                         -ELOOP);
        assert_int_equal(fc_open(c, e.nodeid, O_RDWR | O_TRUNC, &fh), -ELOOP);
        assert_int_equal(fc_opendir(c, e.nodeid, &fh), -ENOTDIR);
        struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 0};
        assert_true(fc_setattr(c, e.nodeid, &size, NULL) < 0);
        struct fuse_setattr_in mode = {.valid = FATTR_MODE, .mode = 0777};
        (void)fc_setattr(c, e.nodeid, &mode, NULL);
        struct fuse_setattr_in times = {.valid = FATTR_MTIME, .mtime = 1};
        assert_int_equal(fc_setattr(c, e.nodeid, &times, NULL), 0); /* of the link itself */
        struct fuse_link_in link = {.oldnodeid = e.nodeid};
        char more[24];
        snprintf(more, sizeof(more), "hard%u", i);
        assert_int_equal(
            fc_call(c, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link), more, strlen(more) + 1),
            sizeof(e));
        memcpy(&in, fc_body(c), sizeof(in));
        assert_int_equal(in.attr.mode & S_IFMT, S_IFLNK); /* a link to the link */
    }
    struct stat st;
    snprintf(absolute, sizeof(absolute), "%s/secret", c->dir);
    assert_int_equal(stat(absolute, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    assert_true(st.st_mtime > 1);
}

/* Devices, FIFOs and sockets of the host are seen, and never opened: opening some has effects, or
 * waits for ever. What the guest makes is none on the host. */
static void row_13_special_files_are_not_opened(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    struct stat st;
    uint64_t fh;
    assert_int_equal(mkfifo(fc_path(c, "fifo"), 0666), 0);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "fifo", &e), 0);
    assert_int_equal(e.attr.mode & S_IFMT, S_IFIFO);
    assert_int_equal(fc_open(c, e.nodeid, O_RDONLY, &fh), -ENXIO);
    assert_int_equal(fc_open(c, e.nodeid, O_WRONLY, &fh), -ENXIO);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "fifo", O_RDWR, 0666, &e, &fh), -ENXIO);
    struct fuse_setattr_in size = {.valid = FATTR_SIZE, .size = 0};
    assert_int_equal(fc_setattr(c, e.nodeid, &size, NULL), -ENXIO);
    if (fc_mknod(c, FUSE_ROOT_ID, "disk", S_IFBLK | 0666, 0x800, &e) == -EPERM) {
        skip_because("this file system keeps no user attributes");
    }
    assert_int_equal(e.attr.mode, S_IFBLK | 0666);
    assert_int_equal(e.attr.rdev, 0x800);
    assert_int_equal(lstat(fc_path(c, "disk"), &st), 0);
    assert_true(S_ISREG(st.st_mode) && st.st_size == 0);
    assert_int_equal(fc_open(c, e.nodeid, O_RDWR, &fh), -ENXIO);
    assert_int_equal(fc_mknod(c, FUSE_ROOT_ID, "dir", S_IFDIR | 0755, 0, &e), -EINVAL);
    assert_int_equal(fc_mknod(c, FUSE_ROOT_ID, "link", S_IFLNK | 0777, 0, &e), -EINVAL);
    assert_int_equal(fc_mknod(c, FUSE_ROOT_ID, "what", 0, 0, &e), -EINVAL);
}

/* Files of a procfs reach into this process. Sharing one is refused, and so are those that are
 * mounted in what is shared. */
static void row_13_no_way_into_this_process(void **state)
{
    struct fc *c = *state;
    struct vr_error err = {0};
    struct vr_fs *fs;
    struct fuse_entry_out e;
    struct vr_fs_dir_opts proc = {.path = "/proc/self"};
    assert_int_equal(vr_fs_open_dir(&proc, c->loop, &fs, &err), -EPERM);
    assert_non_null(strstr(err.msg, "procfs"));
    fc_unshare(c);
    fc_share(c, (struct vr_fs_dir_opts){.path = "/", .read_only = true});
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "proc", &e), -EACCES);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "etc", &e), 0);
}

/* A program of the host that exchanges a folder with a link to the outside, again and again. */
struct racer {
    struct fc *c;
    char dir[2][96];
    atomic_bool stop;
};

static void race_swap(void *arg)
{
    struct racer *r = arg;
    while (!atomic_load(&r->stop)) {
        (void)renameat2(AT_FDCWD, r->dir[0], AT_FDCWD, r->dir[1], RENAME_EXCHANGE);
    }
}

static void row_13_rename_races(void **state)
{
    struct fc *c = *state;
    struct racer r = {.c = c};
    struct vireo_thread *thread;
    unsigned found = 0, missed = 0;
    snprintf(r.dir[0], sizeof(r.dir[0]), "%s/dir", c->share);
    snprintf(r.dir[1], sizeof(r.dir[1]), "%s/link", c->share);
    assert_int_equal(mkdir(r.dir[0], 0755), 0);
    assert_int_equal(symlink("../../", r.dir[1]), 0);
    fc_file(c, "dir/secret", "in the share");
    assert_int_equal(vireo_thread_create("racer", race_swap, &r, &thread, NULL), 0);
    for (unsigned i = 0; i < 3000; i++) {
        struct fuse_entry_out e, in;
        uint64_t fh;
        if (fc_lookup(c, FUSE_ROOT_ID, i % 2 ? "dir" : "link", &e) < 0) {
            missed++;
            continue;
        }
        int res = fc_lookup(c, e.nodeid, "secret", &in);
        if (res == 0 && fc_open(c, in.nodeid, O_RDWR, &fh) == 0) {
            int len = fc_read(c, in.nodeid, fh, 0, 100);
            assert_true(len == 12 && memcmp(fc_body(c), "in the share", 12) == 0);
            assert_int_equal(fc_write(c, in.nodeid, fh, 0, "in the"), 6);
            assert_int_equal(fc_release(c, in.nodeid, fh, false), 0);
            found++;
        }
        fc_forget(c, e.nodeid, 1);
        if (res == 0) {
            fc_forget(c, in.nodeid, 1);
        }
    }
    atomic_store(&r.stop, true);
    vireo_thread_join(thread);
    assert_true(found > 100);
    assert_true(missed < 3000);
}

/* The same when descriptors are short, so that files are found again by their paths. */
static void row_13_rename_races_without_descriptors(void **state)
{
    struct fc *c = *state;
    fc_unshare(c);
    fc_share(c, (struct vr_fs_dir_opts){.fds_max = 32});
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    for (unsigned i = 0; i < 40; i++) { /* what is older than these has none */
        char name[16];
        snprintf(name, sizeof(name), "more%u", i);
        fc_file(c, name, "");
        (void)fc_node(c, name);
    }
    row_13_rename_races(state);
}

static void row_13_numbers_that_are_not_there(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e, f;
    uint64_t fh, dir;
    fc_file(c, "a", "aaaa");
    fc_file(c, "b", "bbbb");
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "a", &e), 0);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "b", &f), 0);
    assert_int_equal(fc_open(c, e.nodeid, O_RDWR, &fh), 0);
    assert_int_equal(fc_opendir(c, FUSE_ROOT_ID, &dir), 0);
    const uint64_t bad[] = {0,
                            4,
                            1000,
                            UINT32_MAX,
                            UINT64_MAX,
                            e.nodeid + (UINT64_C(1) << 32),
                            FUSE_ROOT_ID | UINT64_C(1) << 63};
    for (unsigned op = 1; op < FUSE_OPS; op++) {
        uint64_t arg[11];
        if (op == FUSE_INIT || op == FUSE_DESTROY || op == FUSE_SYNCFS) {
            continue;
        }
        for (unsigned i = 0; i < VR_COUNT(bad); i++) {
            memset(arg, 0, sizeof(arg));
            arg[0] = bad[i];
            /* Structs of every length: one of them is right. */
            for (unsigned words = 0; words <= 11; words++) {
                int r = fc_call(c, op, bad[i], arg, words * 8, "a\0b", 4);
                bool silent = op == FUSE_FORGET || op == FUSE_BATCH_FORGET;
                assert_true(r < 0);
                assert_true(silent == (r == -EBADMSG));
            }
        }
    }
    /* A handle of one file is none of another, a file's no directory's, and gone is gone. */
    assert_int_equal(fc_read(c, f.nodeid, fh, 0, 4), -EBADF);
    assert_int_equal(fc_read(c, FUSE_ROOT_ID, dir, 0, 4), -EBADF);
    assert_int_equal(fc_release(c, e.nodeid, fh, true), -EBADF);
    assert_int_equal(fc_release(c, f.nodeid, fh, false), -EBADF);
    assert_int_equal(fc_read(c, e.nodeid, fh, 0, 4), 4);
    assert_int_equal(fc_release(c, e.nodeid, fh, false), 0);
    uint64_t next;
    assert_int_equal(fc_open(c, f.nodeid, O_RDONLY, &next), 0);
    assert_int_not_equal(next, fh);
    assert_int_equal(fc_read(c, f.nodeid, fh, 0, 4), -EBADF);
    /* More is taken back than was given: the root stays, others go once. */
    fc_forget(c, FUSE_ROOT_ID, UINT64_MAX);
    fc_forget(c, e.nodeid, UINT64_MAX);
    fc_forget(c, e.nodeid, UINT64_MAX);
    assert_int_equal(fc_getattr(c, FUSE_ROOT_ID, NULL), 0);
    assert_int_equal(fc_getattr(c, e.nodeid, NULL), -ESTALE);
}

static void row_13_wild_offsets_in_directories(void **state)
{
    struct fc *c = *state;
    uint64_t fh;
    for (unsigned i = 0; i < 100; i++) {
        char name[16];
        snprintf(name, sizeof(name), "f%u", i);
        fc_file(c, name, "");
    }
    assert_int_equal(fc_opendir(c, FUSE_ROOT_ID, &fh), 0);
    for (unsigned op = 0; op < 2; op++) {
        for (unsigned bit = 0; bit < 65; bit++) {
            uint64_t off = bit == 64 ? UINT64_MAX : (UINT64_C(1) << bit) + bit * 977;
            struct fuse_read_in in = {.fh = fh, .offset = off, .size = 4096};
            int r = fc_call(c, op ? FUSE_READDIRPLUS : FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in),
                            NULL, 0);
            assert_true(r <= 4096 && r != -EBADMSG);
        }
        static const uint32_t sizes[] = {0, 1, 23, 24, 31, 151, 152, UINT32_MAX};
        for (unsigned i = 0; i < VR_COUNT(sizes); i++) {
            struct fuse_read_in in = {.fh = fh, .size = sizes[i]};
            int r = fc_call(c, op ? FUSE_READDIRPLUS : FUSE_READDIR, FUSE_ROOT_ID, &in, sizeof(in),
                            NULL, 0);
            assert_true(r >= 0 && (uint64_t)r <= sizes[i]);
        }
    }
}

static void read_only_means_that(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e, n;
    uint64_t fh;
    fc_file(c, "file", "text");
    assert_int_equal(mkdir(fc_path(c, "dir"), 0755), 0);
    fc_unshare(c);
    fc_share(c, (struct vr_fs_dir_opts){.read_only = true});
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "file", &e), 0);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "new", O_RDWR, 0644, &n, &fh), -EROFS);
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "new", 0755, &n), -EROFS);
    assert_int_equal(fc_mknod(c, FUSE_ROOT_ID, "new", S_IFREG | 0644, 0, &n), -EROFS);
    assert_int_equal(fc_symlink(c, FUSE_ROOT_ID, "new", "file", &n), -EROFS);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "file", false), -EROFS);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "dir", true), -EROFS);
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "file", FUSE_ROOT_ID, "new", 0), -EROFS);
    struct fuse_link_in link = {.oldnodeid = e.nodeid};
    assert_int_equal(fc_call(c, FUSE_LINK, FUSE_ROOT_ID, &link, sizeof(link), "new", 4), -EROFS);
    assert_int_equal(fc_open(c, e.nodeid, O_WRONLY, &fh), -EROFS);
    assert_int_equal(fc_open(c, e.nodeid, O_RDWR, &fh), -EROFS);
    assert_int_equal(fc_open(c, e.nodeid, O_RDONLY | O_TRUNC, &fh), -EROFS);
    for (unsigned bit = 0; bit < 9; bit++) {
        struct fuse_setattr_in in = {.valid = 1u << bit, .mode = 0777, .size = 0};
        if (in.valid != FATTR_FH) {
            assert_int_equal(fc_setattr(c, e.nodeid, &in, NULL), -EROFS);
        }
    }
    struct fuse_setxattr_in x = {.size = 1};
    assert_int_equal(fc_call(c, FUSE_SETXATTR, e.nodeid, &x, sizeof(x), "user.a\0v", 8), -EROFS);
    assert_int_equal(fc_call(c, FUSE_REMOVEXATTR, e.nodeid, NULL, 0, "user.a", 7), -EROFS);
    assert_int_equal(fc_open(c, e.nodeid, O_RDONLY, &fh), 0);
    assert_int_equal(fc_read(c, e.nodeid, fh, 0, 10), 4);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "x"), -EBADF);
    struct fuse_fallocate_in more = {.fh = fh, .length = 100};
    assert_int_equal(fc_call(c, FUSE_FALLOCATE, e.nodeid, &more, sizeof(more), NULL, 0), -EBADF);
    assert_string_equal(fc_text(c, "file"), "text");
}

/* --- Row 4: lengths --- */

/* Every operation with a struct that is cut off or too long, and a header that lies. */
static void row_4_share_lengths(void **state)
{
    struct fc *c = *state;
    uint8_t msg[512];
    fc_file(c, "file", "text");
    for (unsigned op = 0; op <= FUSE_OPS; op++) {
        bool silent = op == FUSE_FORGET || op == FUSE_BATCH_FORGET;
        for (unsigned len = 0; len < 200; len++) {
            struct fuse_in_header h = {.len = len, .opcode = op, .unique = 9, .nodeid = 2};
            memset(msg, 0xff, sizeof(msg));
            memcpy(msg, &h, sizeof(h));
            int r = fc_raw(c, msg, len);
            if (len < sizeof(h) || silent) {
                assert_int_equal(r, -EBADMSG);
            } else if (op != FUSE_SYNCFS && op != FUSE_DESTROY && op != FUSE_INIT) {
                assert_true(r < 0 && r != -EBADMSG);
            }
            if (op == FUSE_DESTROY) {
                fc_init_session(c, FUSE_MINOR, UINT32_MAX);
            }
        }
        static const uint32_t lies[] = {0, 1, 39, 41, 1000, UINT32_MAX};
        for (unsigned i = 0; i < VR_COUNT(lies); i++) {
            struct fuse_in_header h = {.len = lies[i], .opcode = op, .unique = 9, .nodeid = 1};
            assert_int_equal(fc_raw(c, &h, sizeof(h)), silent ? -EBADMSG : -EINVAL);
        }
    }
    assert_int_equal(fc_getattr(c, FUSE_ROOT_ID, NULL), 0);
}

static void row_4_share_offsets_and_sizes(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    uint64_t fh;
    static const uint64_t edge[] = {
        0, 1, 4096, INT64_MAX - 1, INT64_MAX, UINT64_C(1) << 63, UINT64_MAX - 1, UINT64_MAX};
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "file", O_RDWR, 0644, &e, &fh), 0);
    for (unsigned i = 0; i < VR_COUNT(edge); i++) {
        int r = fc_read(c, e.nodeid, fh, edge[i], 1000);
        assert_true(edge[i] > INT64_MAX ? r == -EINVAL : r >= 0 || r == -EINVAL);
        r = fc_write(c, e.nodeid, fh, edge[i], "xx");
        assert_true(edge[i] > INT64_MAX ? r == -EINVAL : r == 2 || r == -EFBIG || r == -EINVAL);
        for (unsigned k = 0; k < VR_COUNT(edge); k++) {
            struct fuse_fallocate_in more = {
                .fh = fh, .offset = edge[i], .length = edge[k], .mode = 1};
            if (edge[i] > 4096 || edge[k] > 4096) { /* or it would fill the disk */
                assert_true(fc_call(c, FUSE_FALLOCATE, e.nodeid, &more, sizeof(more), NULL, 0) < 0);
            }
            struct fuse_copy_in copy = {.fh_in = fh,
                                        .off_in = edge[i],
                                        .nodeid_out = e.nodeid,
                                        .fh_out = fh,
                                        .off_out = edge[k],
                                        .len = UINT64_MAX};
            (void)fc_call(c, FUSE_COPY_FILE_RANGE, e.nodeid, &copy, sizeof(copy), NULL, 0);
        }
        struct fuse_lseek_in seek = {.fh = fh, .offset = edge[i], .whence = SEEK_HOLE};
        (void)fc_call(c, FUSE_LSEEK, e.nodeid, &seek, sizeof(seek), NULL, 0);
    }
    /* Sizes that the message does not bear out, and replies that do not fit. */
    struct fuse_write_in w = {.fh = fh, .size = 5};
    assert_int_equal(fc_call(c, FUSE_WRITE, e.nodeid, &w, sizeof(w), "four", 4), -EINVAL);
    w.size = UINT32_MAX;
    assert_int_equal(fc_call(c, FUSE_WRITE, e.nodeid, &w, sizeof(w), "four", 4), -EINVAL);
    assert_int_equal(fc_read(c, e.nodeid, fh, 0, UINT32_MAX), -ERANGE);
    struct fuse_setxattr_in x = {.size = UINT32_MAX};
    assert_int_equal(fc_call(c, FUSE_SETXATTR, e.nodeid, &x, sizeof(x), "user.a\0v", 8), -EINVAL);
    struct fuse_batch_forget_in forget = {.count = UINT32_MAX};
    assert_int_equal(fc_call(c, FUSE_BATCH_FORGET, 0, &forget, sizeof(forget), "", 1), -EBADMSG);
    static uint8_t huge[80 << 10];
    assert_int_equal(fc_call(c, FUSE_LOOKUP, FUSE_ROOT_ID, NULL, 0, huge, sizeof(huge)), -E2BIG);
    for (unsigned room = 0; room < 200; room += 7) { /* what is not told is not done, nor counted */
        c->room = room;
        struct fuse_entry_out n;
        char name[16];
        uint64_t nfh;
        snprintf(name, sizeof(name), "r%u", room);
        int r = fc_create(c, FUSE_ROOT_ID, name, O_RDWR, 0644, &n, &nfh);
        assert_int_equal(r, room < 16 ? -EBADMSG : room < 160 ? -ERANGE : 0);
        c->room = FC_ROOM;
        assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, name, &n), room < 160 ? -ENOENT : 0);
    }
}

/* --- Row 17: without bound --- */

static unsigned open_files(void)
{
    unsigned count = 0;
    for (int fd = 0; fd < 4096; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void row_17_share_descriptors_and_nodes(void **state)
{
    enum { FDS = 40, NODES = 500, FILES = 800 };
    struct fc *c = *state;
    struct fuse_entry_out e, dir;
    static uint64_t node[FILES], fh[FILES];
    fc_unshare(c);
    unsigned before = open_files(), known = 0, opened = 0;
    fc_share(c, (struct vr_fs_dir_opts){.fds_max = FDS, .nodes_max = NODES});
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "dir", 0755, &dir), 0);
    for (unsigned i = 0; i < FILES; i++) {
        char name[32], text[16];
        snprintf(name, sizeof(name), "dir/f%u", i);
        snprintf(text, sizeof(text), "%u", i);
        fc_file(c, name, text);
        int r = fc_lookup(c, dir.nodeid, name + 4, &e);
        if (r == 0) {
            node[known++] = e.nodeid;
        } else {
            assert_int_equal(r, -ENOMEM);
        }
        assert_true(open_files() <= before + FDS + 8);
    }
    assert_int_equal(known, NODES - 2); /* with the root and "dir" */
    /* All of them still work, one after the other, in any order. */
    for (unsigned i = 0; i < known; i++) {
        struct fuse_attr a;
        unsigned n = i * 37 % known;
        char text[16];
        uint64_t h;
        snprintf(text, sizeof(text), "%u", n);
        assert_int_equal(fc_getattr(c, node[n], &a), 0);
        assert_int_equal(a.size, strlen(text));
        assert_int_equal(fc_open(c, node[n], O_RDONLY, &h), 0);
        assert_int_equal(fc_read(c, node[n], h, 0, 16), strlen(text));
        assert_memory_equal(fc_body(c), text, strlen(text));
        assert_int_equal(fc_release(c, node[n], h, false), 0);
    }
    for (opened = 0; opened < known; opened++) {
        int r = fc_open(c, node[opened], O_RDONLY, &fh[opened]);
        if (r < 0) {
            assert_int_equal(r, -ENFILE);
            break;
        }
    }
    assert_true(opened >= FDS / 2 && opened <= FDS);
    for (unsigned i = 0; i < opened; i++) {
        assert_int_equal(fc_release(c, node[i], fh[i], false), 0);
    }
    assert_int_equal(fc_open(c, node[known - 1], O_RDONLY, &fh[0]), 0);
    fc_forget(c, node[0], 1);
    assert_int_equal(fc_lookup(c, dir.nodeid, "f799", &e), 0);
    fc_unshare(c);
    assert_int_equal(open_files(), before);
}

/* Folders in folders beyond every path; names are found again from the top. */
static void row_17_share_depth(void **state)
{
    enum { DEPTH = 600 };
    struct fc *c = *state;
    struct fuse_entry_out e;
    uint64_t node[DEPTH + 1] = {FUSE_ROOT_ID}, fh;
    fc_unshare(c);
    fc_share(c, (struct vr_fs_dir_opts){.fds_max = 32});
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    for (unsigned i = 0; i < DEPTH; i++) {
        assert_int_equal(fc_mkdir(c, node[i], "d", 0755, &e), 0);
        node[i + 1] = e.nodeid;
    }
    assert_int_equal(fc_create(c, node[DEPTH], "file", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "deep"), 4);
    for (unsigned i = 0; i <= DEPTH; i += 50) {
        assert_int_equal(fc_getattr(c, node[DEPTH - i], NULL), 0);
        assert_int_equal(fc_getattr(c, node[i], NULL), 0);
    }
    /* Moved near the top with all that is in it. */
    assert_int_equal(fc_rename(c, node[DEPTH / 2], "d", FUSE_ROOT_ID, "half", 0), 0);
    assert_int_equal(fc_read(c, e.nodeid, fh, 0, 10), 4);
    assert_int_equal(fc_lookup(c, node[DEPTH], "file", &e), 0);
    assert_int_equal(fc_unlink(c, node[DEPTH], "file", false), 0);
    fc_forget(c, e.nodeid, 2); /* what is deleted and known keeps its descriptor */
    assert_int_equal(fc_release(c, e.nodeid, fh, false), 0);
    for (unsigned i = DEPTH; i > 0; i--) {
        bool top = i - 1 == DEPTH / 2;
        assert_int_equal(fc_unlink(c, top ? FUSE_ROOT_ID : node[i - 1], top ? "half" : "d", true),
                         0);
        fc_forget(c, node[i], 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(row_13_names_that_lead_out, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_symbolic_links_are_not_followed, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_special_files_are_not_opened, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_no_way_into_this_process, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_rename_races, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_rename_races_without_descriptors, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_numbers_that_are_not_there, setup, teardown),
        cmocka_unit_test_setup_teardown(row_13_wild_offsets_in_directories, setup, teardown),
        cmocka_unit_test_setup_teardown(read_only_means_that, setup, teardown),
        cmocka_unit_test_setup_teardown(row_4_share_lengths, setup, teardown),
        cmocka_unit_test_setup_teardown(row_4_share_offsets_and_sizes, setup, teardown),
        cmocka_unit_test_setup_teardown(row_17_share_descriptors_and_nodes, setup, teardown),
        cmocka_unit_test_setup_teardown(row_17_share_depth, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
