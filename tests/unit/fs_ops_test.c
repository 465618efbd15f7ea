/* The file server for directories: each operation does on the host what a guest asks for. */
#include "fuse_client.h"

#include "base/bits.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int setup(void **state)
{
    static struct fc c;
    fc_start(&c, (struct vr_fs_dir_opts){.path = NULL});
    *state = &c;
    return 0;
}

static int teardown(void **state)
{
    fc_fini(*state);
    return 0;
}

static void init_negotiates(void **state)
{
    struct fc *c = *state;
    struct fuse_init_out out;
    struct fuse_init_in old = {.major = 7, .minor = 12}, new = {.major = 8, .minor = 1};
    assert_int_equal(fc_init_session(c, 41, UINT32_MAX), sizeof(out));
    memcpy(&out, fc_body(c), sizeof(out));
    assert_int_equal(out.major, 7);
    assert_int_equal(out.minor, FUSE_MINOR);
    assert_int_equal(out.max_write, 1 << 20);
    assert_true(out.flags & FUSE_DO_READDIRPLUS);
    assert_false(out.flags & (FUSE_POSIX_LOCKS | FUSE_WRITEBACK_CACHE));
    assert_int_equal(fc_init_session(c, 33, FUSE_BIG_WRITES), sizeof(out));
    memcpy(&out, fc_body(c), sizeof(out));
    assert_int_equal(out.minor, 33);
    assert_int_equal(out.flags, FUSE_BIG_WRITES); /* nothing that was not offered */
    assert_int_equal(fc_call(c, FUSE_INIT, 0, &old, sizeof(old), NULL, 0), -EPROTO);
    assert_int_equal(fc_call(c, FUSE_INIT, 0, &new, sizeof(new), NULL, 0), sizeof(out));
    memcpy(&out, fc_body(c), sizeof(out));
    assert_int_equal(out.major, 7); /* it may try that */
}

static void names_are_looked_up(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e, again;
    fc_file(c, "hello", "hello, guest");
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "hello", &e), 0);
    assert_int_equal(e.attr.size, 12);
    assert_int_equal(e.attr.mode, S_IFREG | 0644);
    assert_int_equal(e.attr.uid, 0);
    assert_int_equal(e.attr.gid, 0);
    assert_int_equal(e.entry_valid, 1);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "hello", &again), 0);
    assert_int_equal(again.nodeid, e.nodeid);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "hell", &again), -ENOENT);
    fc_forget(c, e.nodeid, 1);
    assert_int_equal(fc_getattr(c, e.nodeid, NULL), 0);
    fc_forget(c, e.nodeid, 1);
    assert_int_equal(fc_getattr(c, e.nodeid, NULL), -ESTALE);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "hello", &again), 0);
    assert_int_not_equal(again.nodeid, e.nodeid); /* numbers are not used twice */
}

static void files_are_made_written_and_read(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e, same;
    uint64_t fh, fh2;
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "new", O_RDWR | O_CREAT, 0640, &e, &fh), 0);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "0123456789"), 10);
    assert_int_equal(fc_write(c, e.nodeid, fh, 5, "abc"), 3);
    assert_string_equal(fc_text(c, "new"), "01234abc89");
    assert_int_equal(fc_read(c, e.nodeid, fh, 4, 100), 6);
    assert_memory_equal(fc_body(c), "4abc89", 6);
    assert_int_equal(fc_read(c, e.nodeid, fh, 10, 100), 0);
    assert_int_equal(
        fc_create(c, FUSE_ROOT_ID, "new", O_RDWR | O_CREAT | O_EXCL, 0640, &same, &fh2), -EEXIST);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "new", O_RDONLY | O_CREAT, 0640, &same, &fh2), 0);
    assert_int_equal(same.nodeid, e.nodeid);
    assert_int_equal(fc_write(c, e.nodeid, fh2, 0, "x"), -EBADF); /* opened for reading */
    assert_int_equal(fc_release(c, e.nodeid, fh2, false), 0);
    assert_int_equal(fc_read(c, e.nodeid, fh2, 0, 1), -EBADF);
    assert_int_equal(fc_open(c, e.nodeid, O_WRONLY | O_TRUNC, &fh2), 0);
    assert_string_equal(fc_text(c, "new"), "");
    /* Appending goes to the end of the file, wherever the guest thinks that is. */
    fc_file(c, "new", "host");
    struct fuse_write_in in = {.fh = fh2, .size = 6, .flags = O_APPEND};
    assert_int_equal(fc_call(c, FUSE_WRITE, e.nodeid, &in, sizeof(in), " guest", 6),
                     sizeof(struct fuse_write_out));
    assert_string_equal(fc_text(c, "new"), "host guest");
    struct fuse_fsync_in sync = {.fh = fh, .flags = FUSE_FSYNC_FDATASYNC};
    assert_int_equal(fc_call(c, FUSE_FSYNC, e.nodeid, &sync, sizeof(sync), NULL, 0), 0);
    struct fuse_flush_in flush = {.fh = fh};
    assert_int_equal(fc_call(c, FUSE_FLUSH, e.nodeid, &flush, sizeof(flush), NULL, 0), 0);
    struct fuse_syncfs_in syncfs = {.padding = 0};
    assert_int_equal(fc_call(c, FUSE_SYNCFS, FUSE_ROOT_ID, &syncfs, sizeof(syncfs), NULL, 0), 0);
    assert_int_equal(fc_release(c, e.nodeid, fh, false), 0);
    assert_int_equal(fc_release(c, e.nodeid, fh, false), -EBADF);
}

/* A write and a read through many small pieces, as rings give them. */
static void data_goes_in_pieces(void **state)
{
    enum { LEN = 70000, PIECE = 1777, PIECES = (LEN + PIECE - 1) / PIECE };
    struct fc *c = *state;
    struct fuse_entry_out e;
    uint64_t fh;
    static uint8_t data[LEN], back[LEN];
    struct iovec in[PIECES + 1], out[PIECES + 1];
    for (unsigned i = 0; i < LEN; i++) {
        data[i] = (uint8_t)(i * 7 + i / 256);
    }
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "pieces", O_RDWR | O_CREAT, 0644, &e, &fh), 0);
    struct {
        struct fuse_in_header h;
        union {
            struct fuse_write_in w;
            struct fuse_read_in r;
        } u;
    } msg = {.h = {.len = sizeof(msg) + LEN, .opcode = FUSE_WRITE, .nodeid = e.nodeid},
             .u.w = {.fh = fh, .offset = 3, .size = LEN}};
    in[0] = (struct iovec){.iov_base = &msg, .iov_len = sizeof(msg)};
    for (unsigned i = 0; i < PIECES; i++) {
        size_t len = LEN - i * PIECE < PIECE ? LEN - i * PIECE : PIECE;
        in[i + 1] = (struct iovec){.iov_base = data + i * PIECE, .iov_len = len};
        out[i + 1] = (struct iovec){.iov_base = back + i * PIECE, .iov_len = len};
    }
    struct fuse_out_header head;
    out[0] = (struct iovec){.iov_base = &head, .iov_len = sizeof(head)};
    struct iovec answer = {.iov_base = c->out, .iov_len = 64};
    struct vr_fs_req req = {.in = in, .in_count = PIECES + 1, .out = &answer, .out_count = 1};
    struct fc_req wait = {.io = req};
    fc_resend(c, &wait);
    assert_int_equal(wait.len, sizeof(head) + sizeof(struct fuse_write_out));
    msg.h.opcode = FUSE_READ;
    msg.h.len = sizeof(msg);
    msg.u.r = (struct fuse_read_in){.fh = fh, .offset = 3, .size = LEN};
    wait.io = (struct vr_fs_req){.in = in, .in_count = 1, .out = out, .out_count = PIECES + 1};
    fc_resend(c, &wait);
    assert_int_equal(wait.len, sizeof(head) + LEN);
    assert_int_equal(head.error, 0);
    assert_memory_equal(back, data, LEN);
    struct stat st;
    assert_int_equal(stat(fc_path(c, "pieces"), &st), 0);
    assert_int_equal(st.st_size, LEN + 3);
}

static void attributes_change(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    struct fuse_attr a;
    struct stat st;
    uint64_t fh;
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "attr", O_RDWR | O_CREAT, 0644, &e, &fh), 0);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "0123456789"), 10);
    struct fuse_setattr_in in = {.valid = FATTR_SIZE | FATTR_FH, .fh = fh, .size = 4};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.size, 4);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = 8192};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.size, 8192);
    in = (struct fuse_setattr_in){.valid = FATTR_ATIME | FATTR_MTIME,
                                  .atime = 1000000,
                                  .atimensec = 5,
                                  .mtime = 1234567890,
                                  .mtimensec = 999999999};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.atime, 1000000);
    assert_int_equal(stat(fc_path(c, "attr"), &st), 0);
    assert_int_equal(st.st_mtim.tv_sec, 1234567890);
    assert_int_equal(st.st_mtim.tv_nsec, 999999999);
    in = (struct fuse_setattr_in){.valid = FATTR_MTIME | FATTR_MTIME_NOW};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_true(a.mtime > 1700000000);
    assert_int_equal(a.atime, 1000000);
    in = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0711};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 0711);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE, .size = UINT64_MAX};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), -EFBIG);
    struct fuse_access_in access = {.mask = 1};
    c->uid = 1000;
    assert_int_equal(fc_call(c, FUSE_ACCESS, e.nodeid, &access, sizeof(access), NULL, 0), 0);
    access.mask = 2;
    assert_int_equal(fc_call(c, FUSE_ACCESS, e.nodeid, &access, sizeof(access), NULL, 0), -EACCES);
    c->uid = 0;
    assert_int_equal(fc_call(c, FUSE_ACCESS, e.nodeid, &access, sizeof(access), NULL, 0), 0);
    struct fuse_statfs_out space;
    assert_int_equal(fc_call(c, FUSE_STATFS, FUSE_ROOT_ID, NULL, 0, NULL, 0), sizeof(space));
    memcpy(&space, fc_body(c), sizeof(space));
    assert_true(space.blocks > 0 && space.bsize >= 512 && space.namelen == 255);
}

static void names_move_and_go(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out dir, e, two;
    uint64_t fh;
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "dir", 0755, &dir), 0);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "a", O_RDWR | O_CREAT, 0644, &e, &fh), 0);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "a"), 1);
    struct fuse_link_in link = {.oldnodeid = e.nodeid};
    assert_int_equal(fc_call(c, FUSE_LINK, dir.nodeid, &link, sizeof(link), "hard", 5), sizeof(e));
    memcpy(&two, fc_body(c), sizeof(two));
    assert_int_equal(two.nodeid, e.nodeid);
    assert_int_equal(two.attr.nlink, 2);
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "a", dir.nodeid, "b", 0), 0);
    assert_string_equal(fc_text(c, "dir/b"), "a");
    fc_file(c, "c", "c");
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "c", dir.nodeid, "b", 1), -EEXIST); /* NOREPLACE */
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "c", dir.nodeid, "b", 2), 0);       /* EXCHANGE */
    assert_string_equal(fc_text(c, "dir/b"), "c");
    assert_string_equal(fc_text(c, "c"), "a");
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "c", dir.nodeid, "b", 4), -EINVAL); /* WHITEOUT */
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "c", dir.nodeid, "b", 0), 0);
    struct fuse_rename_in old = {.newdir = FUSE_ROOT_ID};
    assert_int_equal(fc_call(c, FUSE_RENAME, dir.nodeid, &old, sizeof(old), "b\0z", 4), 0);
    assert_string_equal(fc_text(c, "z"), "a");
    assert_int_equal(fc_rename(c, FUSE_ROOT_ID, "dir", dir.nodeid, "in-itself", 0), -EINVAL);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "dir", false), -EISDIR);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "dir", true), -ENOTEMPTY);
    assert_int_equal(fc_unlink(c, dir.nodeid, "hard", false), 0);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "dir", true), 0);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "dir", true), -ENOENT);
    /* Deleted, it lives on while it is known. */
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "z", false), 0);
    struct fuse_attr a;
    assert_int_equal(fc_getattr(c, e.nodeid, &a), 0);
    assert_int_equal(a.nlink, 0);
    assert_int_equal(fc_read(c, e.nodeid, fh, 0, 10), 1);
    assert_int_equal(fc_getattr(c, dir.nodeid, &a), 0);
    assert_int_equal(fc_mkdir(c, dir.nodeid, "lost", 0755, &two), -ENOENT);
}

static void symbolic_links_are_text(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    char target[64];
    assert_int_equal(fc_symlink(c, FUSE_ROOT_ID, "link", "../../etc/passwd", &e), 0);
    assert_int_equal(e.attr.mode, S_IFLNK | 0777);
    assert_int_equal(fc_call(c, FUSE_READLINK, e.nodeid, NULL, 0, NULL, 0), 16);
    assert_memory_equal(fc_body(c), "../../etc/passwd", 16);
    assert_int_equal(readlink(fc_path(c, "link"), target, sizeof(target)), 16);
    uint64_t fh;
    assert_int_equal(fc_open(c, e.nodeid, O_RDONLY, &fh), -ELOOP);
    fc_file(c, "plain", "");
    assert_int_equal(fc_call(c, FUSE_READLINK, fc_node(c, "plain"), NULL, 0, NULL, 0), -EINVAL);
}

static void holes_and_copies(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out a, b;
    struct stat st;
    uint64_t fa, fb;
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "from", O_RDWR | O_CREAT, 0644, &a, &fa), 0);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "to", O_RDWR | O_CREAT, 0644, &b, &fb), 0);
    struct fuse_fallocate_in more = {.fh = fa, .offset = 0, .length = 1 << 20};
    assert_int_equal(fc_call(c, FUSE_FALLOCATE, a.nodeid, &more, sizeof(more), NULL, 0), 0);
    assert_int_equal(stat(fc_path(c, "from"), &st), 0);
    assert_int_equal(st.st_size, 1 << 20);
    more.mode = 3; /* PUNCH_HOLE, KEEP_SIZE */
    int r = fc_call(c, FUSE_FALLOCATE, a.nodeid, &more, sizeof(more), NULL, 0);
    assert_true(r == 0 || r == -EOPNOTSUPP);
    more.mode = 8; /* COLLAPSE_RANGE: not offered */
    assert_int_equal(fc_call(c, FUSE_FALLOCATE, a.nodeid, &more, sizeof(more), NULL, 0),
                     -EOPNOTSUPP);
    assert_int_equal(fc_write(c, a.nodeid, fa, 512 << 10, "in the middle"), 13);
    struct fuse_lseek_in seek = {.fh = fa, .offset = 0, .whence = SEEK_DATA};
    struct fuse_lseek_out at;
    assert_int_equal(fc_call(c, FUSE_LSEEK, a.nodeid, &seek, sizeof(seek), NULL, 0), sizeof(at));
    memcpy(&at, fc_body(c), sizeof(at));
    assert_true(at.offset <= 512 << 10);
    seek.whence = SEEK_SET;
    assert_int_equal(fc_call(c, FUSE_LSEEK, a.nodeid, &seek, sizeof(seek), NULL, 0), -EINVAL);
    struct fuse_copy_in copy = {.fh_in = fa,
                                .off_in = 512 << 10,
                                .nodeid_out = b.nodeid,
                                .fh_out = fb,
                                .off_out = 2,
                                .len = 6};
    assert_int_equal(fc_call(c, FUSE_COPY_FILE_RANGE, a.nodeid, &copy, sizeof(copy), NULL, 0),
                     sizeof(struct fuse_write_out));
    assert_int_equal(fc_read(c, b.nodeid, fb, 0, 100), 8);
    assert_memory_equal(fc_body(c), "\0\0in the", 8);
}

static int set_xattr(struct fc *c, uint64_t node, const char *name, const char *value,
                     uint32_t flags)
{
    struct fuse_setxattr_in in = {.size = (uint32_t)strlen(value), .flags = flags};
    char more[512];
    size_t len = strlen(name) + 1;
    memcpy(more, name, len);
    memcpy(more + len, value, in.size);
    return fc_call(c, FUSE_SETXATTR, node, &in, sizeof(in), more, len + in.size);
}

static int get_xattr(struct fc *c, uint64_t node, const char *name, uint32_t size)
{
    struct fuse_getxattr_in in = {.size = size};
    return fc_call(c, FUSE_GETXATTR, node, &in, sizeof(in), name, strlen(name) + 1);
}

static void extended_attributes(void **state)
{
    struct fc *c = *state;
    struct fuse_getxattr_in all = {.size = 1000};
    fc_file(c, "x", "");
    uint64_t n = fc_node(c, "x");
    int r = set_xattr(c, n, "user.a", "value", 0);
    if (r == -EOPNOTSUPP) {
        skip_because("this file system keeps no user attributes");
    }
    assert_int_equal(r, 0);
    assert_int_equal(set_xattr(c, n, "user.a", "other", XATTR_CREATE), -EEXIST);
    assert_int_equal(set_xattr(c, n, "user.b", "other", XATTR_REPLACE), -ENODATA);
    assert_int_equal(get_xattr(c, n, "user.a", 100), 5);
    assert_memory_equal(fc_body(c), "value", 5);
    assert_int_equal(get_xattr(c, n, "user.a", 0), sizeof(struct fuse_getxattr_out));
    assert_int_equal(*(const uint32_t *)fc_body(c), 5);
    assert_int_equal(get_xattr(c, n, "user.a", 4), -ERANGE);
    assert_int_equal(get_xattr(c, n, "user.none", 100), -ENODATA);
    /* What only root may set is kept for the guest, and means nothing to the host. */
    assert_int_equal(set_xattr(c, n, "security.capability", "caps", 0), 0);
    assert_int_equal(get_xattr(c, n, "security.capability", 100), 4);
    assert_true(getxattr(fc_path(c, "x"), "security.capability", NULL, 0) < 0);
    assert_int_equal(set_xattr(c, n, "system.posix_acl_access", "acl", 0), -EOPNOTSUPP);
    /* Ours are not the guest's to read or write. */
    assert_int_equal(setxattr(fc_path(c, "x"), "user.vireo.stat", "7 8 100600 0", 12, 0), 0);
    assert_int_equal(set_xattr(c, n, "user.vireo.stat", "0 0 104755 0", 0), -EPERM);
    assert_int_equal(set_xattr(c, n, "user.vireo.x.security.capability", "c", 0), -EPERM);
    assert_int_equal(get_xattr(c, n, "user.vireo.stat", 100), -ENODATA);
    int len = fc_call(c, FUSE_LISTXATTR, n, &all, sizeof(all), NULL, 0);
    assert_int_equal(len, sizeof("user.a") + sizeof("security.capability"));
    const char *first = fc_body(c), *second = first + strlen(first) + 1;
    assert_true(strcmp(first, "user.a") == 0 || strcmp(second, "user.a") == 0);
    all.size = 3;
    assert_int_equal(fc_call(c, FUSE_LISTXATTR, n, &all, sizeof(all), NULL, 0), -ERANGE);
    assert_int_equal(fc_call(c, FUSE_REMOVEXATTR, n, NULL, 0, "user.a", 7), 0);
    assert_int_equal(fc_call(c, FUSE_REMOVEXATTR, n, NULL, 0, "user.a", 7), -ENODATA);
    assert_int_equal(fc_call(c, FUSE_REMOVEXATTR, n, NULL, 0, "user.vireo.stat", 16), -EPERM);
}

static void what_is_not_there_is_said(void **state)
{
    struct fc *c = *state;
    static const unsigned unknown[] = {0,  19, 37, 39, 40, 41,   48,
                                       49, 51, 52, 63, 64, 4096, UINT32_MAX};
    uint64_t arg[20] = {0};
    for (unsigned i = 0; i < VR_COUNT(unknown); i++) {
        assert_int_equal(fc_call(c, unknown[i], FUSE_ROOT_ID, arg, sizeof(arg), NULL, 0), -ENOSYS);
    }
    struct fuse_lk_in lk = {.fh = 1}; /* the guest's kernel keeps its own locks */
    assert_int_equal(fc_call(c, FUSE_SETLK, FUSE_ROOT_ID, &lk, sizeof(lk), NULL, 0), -ENOSYS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(init_negotiates, setup, teardown),
        cmocka_unit_test_setup_teardown(names_are_looked_up, setup, teardown),
        cmocka_unit_test_setup_teardown(files_are_made_written_and_read, setup, teardown),
        cmocka_unit_test_setup_teardown(data_goes_in_pieces, setup, teardown),
        cmocka_unit_test_setup_teardown(attributes_change, setup, teardown),
        cmocka_unit_test_setup_teardown(names_move_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(symbolic_links_are_text, setup, teardown),
        cmocka_unit_test_setup_teardown(holes_and_copies, setup, teardown),
        cmocka_unit_test_setup_teardown(extended_attributes, setup, teardown),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_said, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
