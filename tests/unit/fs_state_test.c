/* What a share keeps: owners and modes that the host's user cannot give, locks, and a session that
 * is saved and restored. */
#include "fuse_client.h"

#include "base/bits.h"
#include "vireo/host_time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
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

static void restart(struct fc *c, struct vr_fs_dir_opts opts)
{
    fc_unshare(c);
    fc_share(c, opts);
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
}

/* user.vireo.stat on the host, or "" */
static const char *kept(struct fc *c, const char *name)
{
    static char text[100];
    ssize_t len = lgetxattr(fc_path(c, name), "user.vireo.stat", text, sizeof(text) - 1);
    text[len < 0 ? 0 : len] = '\0';
    return text;
}

static void needs_xattrs(struct fc *c)
{
    fc_file(c, "probe", "");
    if (setxattr(fc_path(c, "probe"), "user.probe", "1", 1, 0) < 0) {
        skip_because("this file system keeps no user attributes");
    }
    assert_int_equal(unlink(fc_path(c, "probe")), 0);
}

static mode_t host_mode(struct fc *c, const char *name)
{
    struct stat st;
    assert_int_equal(lstat(fc_path(c, name), &st), 0);
    assert_int_equal(st.st_uid, geteuid());
    return st.st_mode;
}

static void owners_and_modes_are_kept(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    struct fuse_attr a;
    uint64_t fh;
    needs_xattrs(c);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "root", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(host_mode(c, "root"), S_IFREG | 0644);
    assert_string_equal(kept(c, "root"), ""); /* nothing to keep */
    c->uid = 1000;
    c->gid = 100;
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "user", O_RDWR, 0666, &e, &fh), 0);
    assert_true(e.attr.uid == 1000 && e.attr.gid == 100 && e.attr.mode == (S_IFREG | 0666));
    assert_int_equal(host_mode(c, "user"), S_IFREG | 0644); /* others may not write on the host */
    assert_string_equal(kept(c, "user"), "1000 100 100666 0");
    c->uid = c->gid = 0;
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 04711};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 04711);
    assert_int_equal(host_mode(c, "user"), S_IFREG | 0711); /* and nobody becomes us by it */
    in = (struct fuse_setattr_in){.valid = FATTR_UID, .uid = 7};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_true(a.uid == 7 && a.gid == 100 && a.mode == (S_IFREG | 0711)); /* chown takes the bit */
    in = (struct fuse_setattr_in){.valid = FATTR_MODE, .mode = 0};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.mode, S_IFREG);
    assert_int_equal(host_mode(c, "user"), S_IFREG | 0600); /* we go on working with it */
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "x"), 1);
    in = (struct fuse_setattr_in){.valid = FATTR_MODE | FATTR_UID | FATTR_GID, .mode = 0600};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_string_equal(kept(c, "user"), "");
    /* Another session, another guest: the same. */
    c->uid = 33;
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "dir", 01777, &e), 0);
    assert_int_equal(host_mode(c, "dir"), S_IFDIR | 0755);
    restart(c, (struct vr_fs_dir_opts){.path = NULL});
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "dir", &e), 0);
    assert_true(e.attr.uid == 33 && e.attr.mode == (S_IFDIR | 01777));
    c->uid = 0;
}

static void set_group_id_folders_pass_it_on(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out dir, e;
    uint64_t fh;
    needs_xattrs(c);
    c->gid = 50;
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "staff", 02775, &dir), 0);
    c->gid = 0;
    assert_int_equal(dir.attr.mode, S_IFDIR | 02775);
    assert_int_equal(fc_create(c, dir.nodeid, "file", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(e.attr.gid, 50);
    assert_int_equal(fc_mkdir(c, dir.nodeid, "sub", 0755, &e), 0);
    assert_true(e.attr.gid == 50 && e.attr.mode == (S_IFDIR | 02755));
}

static void writes_take_set_user_id_away(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    struct fuse_attr a;
    uint64_t fh;
    needs_xattrs(c);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "s", O_RDWR, 06775, &e, &fh), 0);
    assert_int_equal(e.attr.mode, S_IFREG | 06775);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "by root"), 7);
    assert_int_equal(fc_getattr(c, e.nodeid, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 06775);
    struct fuse_write_in w = {.fh = fh, .size = 1, .write_flags = FUSE_WRITE_KILL_SUIDGID};
    assert_true(fc_call(c, FUSE_WRITE, e.nodeid, &w, sizeof(w), "u", 1) > 0);
    assert_int_equal(fc_getattr(c, e.nodeid, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 0775);
    struct fuse_setattr_in in = {.valid = FATTR_MODE, .mode = 04755};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    in = (struct fuse_setattr_in){.valid = FATTR_SIZE | FATTR_KILL_SUIDGID};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(a.mode, S_IFREG | 0755);
}

static uint32_t listed_type(struct fc *c, const char *name)
{
    uint64_t fh, off = 0;
    uint32_t type = 99;
    struct fc_entry entries[64];
    assert_int_equal(fc_opendir(c, FUSE_ROOT_ID, &fh), 0);
    for (unsigned i = fc_list(c, FUSE_ROOT_ID, fh, false, 4096, &off, entries, 64); i-- > 0;) {
        type = strcmp(entries[i].name, name) == 0 ? entries[i].type : type;
    }
    assert_int_equal(fc_release(c, FUSE_ROOT_ID, fh, true), 0);
    return type;
}

static void symbolic_links_have_owners(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e, again;
    struct fuse_attr a;
    needs_xattrs(c);
    c->uid = 1000;
    assert_int_equal(fc_symlink(c, FUSE_ROOT_ID, "users", "/some/where", &e), 0);
    c->uid = 0;
    assert_true(e.attr.mode == (S_IFLNK | 0777) && e.attr.uid == 1000 && e.attr.size == 11);
    assert_int_equal(host_mode(c, "users"), S_IFREG | 0600);
    assert_int_equal(listed_type(c, "users"), DT_LNK);
    assert_int_equal(fc_call(c, FUSE_READLINK, e.nodeid, NULL, 0, NULL, 0), 11);
    assert_memory_equal(fc_body(c), "/some/where", 11);
    /* One of root's is a link on the host, until it is given away. */
    assert_int_equal(fc_symlink(c, FUSE_ROOT_ID, "roots", "else/where", &e), 0);
    assert_int_equal(host_mode(c, "roots"), S_IFLNK | 0777);
    struct fuse_setattr_in in = {.valid = FATTR_UID | FATTR_GID, .uid = 0, .gid = 0};
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_int_equal(host_mode(c, "roots"), S_IFLNK | 0777);
    in.uid = 1000;
    assert_int_equal(fc_setattr(c, e.nodeid, &in, &a), 0);
    assert_true(a.uid == 1000 && a.gid == 0 && a.mode == (S_IFLNK | 0777));
    assert_int_equal(host_mode(c, "roots"), S_IFREG | 0600);
    assert_int_equal(fc_call(c, FUSE_READLINK, e.nodeid, NULL, 0, NULL, 0), 10);
    assert_memory_equal(fc_body(c), "else/where", 10);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "roots", &again), 0);
    assert_int_equal(again.nodeid, e.nodeid);
    assert_int_equal(listed_type(c, "roots"), DT_LNK);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "roots", false), 0);
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "users", false), 0);
    assert_int_equal(rmdir(fc_path(c, "")), 0); /* and nothing was left behind */
    assert_int_equal(mkdir(fc_path(c, ""), 0755), 0);
}

static void what_the_host_says_about_owners_is_checked(void **state)
{
    static const char *const bad[] = {"",
                                      "1",
                                      "1 2 100644",
                                      "1 2 100644 0 ",
                                      "1 2 100644 0x",
                                      "-1 2 100644 0",
                                      "1 2 100648 0",
                                      "a b c d",
                                      "1 2 40755 0"};
    struct fc *c = *state;
    struct fuse_attr a;
    needs_xattrs(c);
    fc_file(c, "f", "");
    uint64_t n = fc_node(c, "f");
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(setxattr(fc_path(c, "f"), "user.vireo.stat", bad[i], strlen(bad[i]), 0),
                         0);
        assert_int_equal(fc_getattr(c, n, &a), 0);
        assert_true(a.uid == 0 && a.gid == 0 && a.mode == (S_IFREG | 0644));
    }
    char longest[300];
    memset(longest, '1', sizeof(longest));
    assert_int_equal(setxattr(fc_path(c, "f"), "user.vireo.stat", longest, sizeof(longest), 0), 0);
    assert_int_equal(fc_getattr(c, n, &a), 0);
    assert_int_equal(a.uid, 0);
}

/* Looked at again and again, until the server may know it by heart; true: the group was @gid
 * always. */
static bool stays(struct fc *c, uint32_t gid)
{
    struct fuse_entry_out e;
    uint64_t until = vireo_monotonic_ns() + UINT64_C(150000000);
    do {
        if (fc_lookup(c, FUSE_ROOT_ID, "f", &e) != 0 || e.attr.gid != gid) {
            return false;
        }
    } while (vireo_monotonic_ns() < until);
    return true;
}

/* The server keeps what it knows of owners: a change on the host is seen at once all the same. */
static void changes_of_owners_on_the_host_are_seen(void **state)
{
    struct fc *c = *state;
    needs_xattrs(c);
    fc_file(c, "f", "");
    assert_true(stays(c, 0));
    for (unsigned i = 1; i < 4; i++) {
        const char text[] = {'7', ' ', (char)('0' + i), ' ', '1', '0', '0', '6', '0', '0',
                             ' ', '0'};
        assert_int_equal(setxattr(fc_path(c, "f"), "user.vireo.stat", text, sizeof(text), 0), 0);
        assert_true(stays(c, i));
    }
    assert_int_equal(removexattr(fc_path(c, "f"), "user.vireo.stat"), 0);
    assert_true(stays(c, 0));
    assert_int_equal(setxattr(fc_path(c, "f"), "user.vireo.stat", "7 8 100600 0", 12, 0), 0);
    assert_true(stays(c, 8));
    assert_int_equal(unlink(fc_path(c, "f")), 0); /* another one, perhaps in its place on disk */
    fc_file(c, "f", "");
    assert_true(stays(c, 0));
}

static void our_user_may_be_another_in_the_guest(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    uint64_t fh;
    fc_file(c, "f", "");
    restart(c, (struct vr_fs_dir_opts){.uid = 1000, .gid = 1001});
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "f", &e), 0);
    assert_true(e.attr.uid == 1000 && e.attr.gid == 1001);
    c->uid = 1000;
    c->gid = 1001;
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "mine", O_RDWR, 0644, &e, &fh), 0);
    assert_string_equal(kept(c, "mine"), "");
    c->uid = c->gid = 0;
}

/* An ordinary user: files that their own modes keep from them, as packages have some. */
static void ordinary_user(struct fc *c)
{
    struct fuse_entry_out dir, e;
    struct fuse_attr a;
    uint64_t fh;
    needs_xattrs(c);
    fc_file(c, "shadow", "secret");
    assert_int_equal(chmod(fc_path(c, "shadow"), 0), 0);
    assert_int_equal(mkdir(fc_path(c, "dir"), 0755), 0);
    fc_file(c, "dir/old", "");
    assert_int_equal(chmod(fc_path(c, "dir"), 0555), 0);
    fc_share(c, (struct vr_fs_dir_opts){.path = NULL});
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "shadow", &e), 0);
    assert_true(e.attr.uid == 0 && e.attr.mode == S_IFREG);
    assert_int_equal(fc_open(c, e.nodeid, O_RDWR, &fh), 0);
    assert_int_equal(fc_read(c, e.nodeid, fh, 0, 10), 6);
    assert_int_equal(fc_getattr(c, e.nodeid, &a), 0);
    assert_int_equal(a.mode, S_IFREG); /* to the guest it is what it was */
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "dir", &dir), 0);
    assert_int_equal(fc_create(c, dir.nodeid, "new", O_RDWR, 0400, &e, &fh), 0);
    assert_int_equal(e.attr.mode, S_IFREG | 0400);
    assert_int_equal(fc_unlink(c, dir.nodeid, "old", false), 0);
    assert_int_equal(fc_getattr(c, dir.nodeid, &a), 0);
    assert_int_equal(a.mode, S_IFDIR | 0555);
    c->uid = 5;
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "five", 0700, &e), 0);
    assert_int_equal(e.attr.uid, 5);
    c->uid = 0;
    fc_unshare(c);
}

static void an_ordinary_user_shares(void **state)
{
    (void)state;
    struct fc c;
    int status;
    fc_init(&c);
    if (geteuid() != 0) {
        ordinary_user(&c);
        fc_fini(&c);
        return;
    }
    assert_int_equal(chown(c.share, 65534, 65534), 0);
    assert_int_equal(chmod(c.dir, 0755), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        if (setgroups(0, NULL) < 0 || setresgid(65534, 65534, 65534) < 0 ||
            setresuid(65534, 65534, 65534) < 0) {
            _exit(2);
        }
        ordinary_user(&c); /* a failure ends it, with another code */
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    fc_fini(&c);
}

/* --- Locks --- */

static struct fuse_lk_in lock_of(uint64_t fh, uint64_t owner, uint32_t type, uint64_t start,
                                 uint64_t end)
{
    return (struct fuse_lk_in){
        .fh = fh, .owner = owner, .lk = {.start = start, .end = end, .type = type, .pid = 42}};
}

static int set_lock(struct fc *c, uint64_t node, struct fuse_lk_in in)
{
    return fc_call(c, FUSE_SETLK, node, &in, sizeof(in), NULL, 0);
}

static void locks_are_the_hosts(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    uint64_t fh;
    restart(c, (struct vr_fs_dir_opts){.host_locks = true});
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "f", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_WRLCK, 10, 19)), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 2, F_WRLCK, 15, 15)), -EAGAIN);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 2, F_WRLCK, 20, UINT64_MAX)), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_WRLCK, 12, 14)), 0); /* its own */
    struct fuse_lk_in get = lock_of(fh, 2, F_RDLCK, 0, INT64_MAX);
    struct fuse_file_lock got;
    assert_int_equal(fc_call(c, FUSE_GETLK, e.nodeid, &get, sizeof(get), NULL, 0), sizeof(got));
    memcpy(&got, fc_body(c), sizeof(got));
    assert_true(got.type == F_WRLCK && got.start == 10 && got.end == 19 && got.pid == 42);
    /* The host's programs see them, and are seen. */
    int fd = open(fc_path(c, "f"), O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 12, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), -1);
    lock.l_start = 0;
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_RDLCK, 0, 5)), -EAGAIN);
    /* Closing any descriptor of the file ends its owner's locks (fcntl(2)). */
    struct fuse_flush_in flush = {.fh = fh, .lock_owner = 1};
    assert_int_equal(fc_call(c, FUSE_FLUSH, e.nodeid, &flush, sizeof(flush), NULL, 0), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 3, F_WRLCK, 12, 14)), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 3, F_UNLCK, 0, INT64_MAX)), 0);
    /* flock(2) is another matter. */
    struct fuse_lk_in whole = lock_of(fh, 7, F_WRLCK, 0, INT64_MAX);
    whole.flags = FUSE_LK_FLOCK;
    assert_int_equal(set_lock(c, e.nodeid, whole), 0);
    assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), -1);
    struct fuse_release_in release = {
        .fh = fh, .release_flags = FUSE_RELEASE_FLOCK_UNLOCK, .lock_owner = 7};
    assert_int_equal(fc_call(c, FUSE_RELEASE, e.nodeid, &release, sizeof(release), NULL, 0), 0);
    assert_int_equal(flock(fd, LOCK_SH | LOCK_NB), 0);
    close(fd);
    static const struct {
        uint32_t type;
        uint64_t start, end;
    } bad[] = {{3, 0, 1}, {UINT32_MAX, 0, 1}, {F_WRLCK, 5, 4}, {F_WRLCK, UINT64_MAX, UINT64_MAX}};
    assert_int_equal(fc_open(c, e.nodeid, O_RDWR, &fh), 0);
    for (unsigned i = 0; i < VR_COUNT(bad); i++) {
        assert_int_equal(
            set_lock(c, e.nodeid, lock_of(fh, 9, bad[i].type, bad[i].start, bad[i].end)), -EINVAL);
    }
}

struct waiter {
    struct fc_req req;
    struct fuse_lk_in in;
    uint8_t out[256];
};

static void wait_for_lock(struct fc *c, struct waiter *w, uint64_t node, struct fuse_lk_in in)
{
    w->in = in;
    fc_send(c, &w->req, w->out, FUSE_SETLKW, node, &w->in, sizeof(w->in));
}

static int waited(struct fc *c, struct waiter *w)
{
    struct fuse_out_header h;
    fc_wait(c, &w->req);
    memcpy(&h, w->out, sizeof(h));
    assert_int_equal(w->req.len, sizeof(h));
    return h.error;
}

static void waiting_for_a_lock_takes_no_thread(void **state)
{
    enum { WAITERS = 20 }; /* more than there are threads */
    struct fc *c = *state;
    struct fuse_entry_out e;
    static struct waiter w[WAITERS];
    uint64_t fh;
    restart(c, (struct vr_fs_dir_opts){.host_locks = true});
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "f", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_WRLCK, 0, 9)), 0);
    for (unsigned i = 0; i < WAITERS; i++) {
        wait_for_lock(c, &w[i], e.nodeid, lock_of(fh, 2 + i, F_RDLCK, 0, 9));
    }
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "meanwhile"), 9);
    /* One is interrupted. */
    struct fuse_interrupt_in stop = {.unique = w[3].req.h.unique};
    int stopped;
    do { /* as long as it is on its way */
        stopped = fc_call(c, FUSE_INTERRUPT, 0, &stop, sizeof(stop), NULL, 0);
    } while (stopped == -EAGAIN);
    assert_int_equal(stopped, 0);
    assert_int_equal(waited(c, &w[3]), -EINTR);
    assert_int_equal(fc_call(c, FUSE_INTERRUPT, 0, &stop, sizeof(stop), NULL, 0), -EAGAIN);
    /* The others get it, together. */
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_UNLCK, 0, 9)), 0);
    for (unsigned i = 0; i < WAITERS; i++) {
        assert_int_equal(i == 3 ? 0 : waited(c, &w[i]), 0);
    }
    /* A program of the host lets go without telling us. */
    int fd = open(fc_path(c, "f"), O_RDWR | O_CLOEXEC);
    struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 50, .l_len = 1};
    assert_int_equal(fcntl(fd, F_OFD_SETLK, &lock), 0);
    wait_for_lock(c, &w[0], e.nodeid, lock_of(fh, 100, F_WRLCK, 50, 50));
    assert_int_equal(fc_getattr(c, e.nodeid, NULL), 0);
    close(fd);
    assert_int_equal(waited(c, &w[0]), 0);
    /* The session ends, and with it the waiting; then the server does. */
    wait_for_lock(c, &w[1], e.nodeid, lock_of(fh, 101, F_WRLCK, 50, 50));
    vr_fs_reset(c->fs);
    assert_int_equal(waited(c, &w[1]), -EINTR);
    vr_fs_drain(c->fs); /* and what it held is let go on a thread of its own */
    fc_init_session(c, FUSE_MINOR, UINT32_MAX);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "f", &e), 0);
    assert_int_equal(fc_open(c, e.nodeid, O_RDWR, &fh), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_WRLCK, 0, 60)), 0); /* all gone */
    wait_for_lock(c, &w[2], e.nodeid, lock_of(fh, 2, F_WRLCK, 0, 9));
    vr_fs_drain(c->fs);
    assert_int_equal(waited(c, &w[2]), -EINTR);
}

/* --- Sessions --- */

static void requests_before_init_fail(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out e;
    fc_file(c, "f", "");
    uint64_t n = fc_node(c, "f");
    vr_fs_reset(c->fs);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "f", &e), -EIO);
    assert_true(fc_init_session(c, FUSE_MINOR, UINT32_MAX) > 0);
    assert_int_equal(fc_getattr(c, n, NULL), -ESTALE);
    n = fc_node(c, "f");
    assert_true(fc_init_session(c, FUSE_MINOR, UINT32_MAX) > 0); /* again: from the start */
    assert_int_equal(fc_getattr(c, n, NULL), -ESTALE);
    assert_int_equal(fc_call(c, FUSE_DESTROY, 0, NULL, 0, NULL, 0), 0);
    assert_int_equal(fc_lookup(c, FUSE_ROOT_ID, "f", &e), -EIO);
}

/* What @c's session is, as bytes; its server closed and opened again with it. */
static int reload(struct fc *c, const uint8_t *buf, uint32_t len)
{
    struct vr_error err = {0};
    fc_unshare(c);
    fc_share(c, (struct vr_fs_dir_opts){.path = NULL});
    int r = vr_fs_load(c->fs, buf, len, &err);
    assert_true(r == 0 || r == -EINVAL);
    assert_int_equal(r < 0, err.msg[0] != '\0');
    return r;
}

static void sessions_are_saved_and_restored(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out dir, e, gone, link;
    struct fuse_attr a;
    uint64_t fh, dh, gone_fh;
    uint8_t *buf;
    uint32_t len, len2;
    uint8_t *buf2;
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "dir", 0755, &dir), 0);
    assert_int_equal(fc_create(c, dir.nodeid, "file", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(fc_write(c, e.nodeid, fh, 0, "0123456789"), 10);
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "gone", O_RDWR, 0644, &gone, &gone_fh), 0);
    assert_int_equal(fc_symlink(c, dir.nodeid, "link", "file", &link), 0);
    assert_int_equal(fc_opendir(c, dir.nodeid, &dh), 0);
    assert_int_equal(fc_rename(c, dir.nodeid, "file", FUSE_ROOT_ID, "moved", 0), 0);
    assert_int_equal(vr_fs_save(c->fs, &buf, &len, NULL), 0);
    fc_unshare(c);
    assert_int_equal(unlink(fc_path(c, "gone")), 0);
    assert_int_equal(reload(c, buf, len), 0);
    assert_int_equal(fc_read(c, e.nodeid, fh, 5, 10), 5);
    assert_memory_equal(fc_body(c), "56789", 5);
    assert_int_equal(fc_write(c, e.nodeid, fh, 10, "more"), 4);
    assert_string_equal(fc_text(c, "moved"), "0123456789more");
    assert_int_equal(fc_getattr(c, dir.nodeid, &a), 0);
    assert_int_equal(a.mode, S_IFDIR | 0755);
    assert_int_equal(fc_call(c, FUSE_READLINK, link.nodeid, NULL, 0, NULL, 0), 4);
    struct fuse_read_in list = {.fh = dh, .size = 4096};
    assert_true(fc_call(c, FUSE_READDIR, dir.nodeid, &list, sizeof(list), NULL, 0) > 0);
    assert_int_equal(fc_node(c, "moved"), e.nodeid);
    /* What is not there any more says so, and can be closed and forgotten. */
    assert_int_equal(fc_getattr(c, gone.nodeid, &a), -ESTALE);
    assert_int_equal(fc_read(c, gone.nodeid, gone_fh, 0, 10), -ESTALE);
    assert_int_equal(fc_release(c, gone.nodeid, gone_fh, false), 0);
    fc_forget(c, gone.nodeid, 1);
    /* Saved at once again, it is the same, but for what ended. */
    assert_int_equal(vr_fs_save(c->fs, &buf2, &len2, NULL), 0);
    assert_true(len2 < len);
    free(buf2);
    /* Deleted files that are open, and locks, are not in paths: refused, and why. */
    struct vr_error err = {0};
    assert_int_equal(fc_unlink(c, FUSE_ROOT_ID, "moved", false), 0);
    assert_int_equal(vr_fs_save(c->fs, &buf2, &len2, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "deleted"));
    assert_int_equal(fc_release(c, e.nodeid, fh, false), 0);
    assert_int_equal(vr_fs_save(c->fs, &buf2, &len2, &err), 0);
    free(buf2);
    restart(c, (struct vr_fs_dir_opts){.host_locks = true});
    assert_int_equal(fc_create(c, FUSE_ROOT_ID, "l", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(set_lock(c, e.nodeid, lock_of(fh, 1, F_WRLCK, 0, 9)), 0);
    assert_int_equal(vr_fs_save(c->fs, &buf2, &len2, &err), -EBUSY);
    assert_non_null(strstr(err.msg, "locks"));
    free(buf);
}

static void row_9_share_sessions_that_never_were(void **state)
{
    struct fc *c = *state;
    struct fuse_entry_out dir, e;
    uint64_t fh, seed = 88172645463325252u;
    uint8_t *buf, *copy;
    uint32_t len;
    assert_int_equal(fc_mkdir(c, FUSE_ROOT_ID, "dir", 0755, &dir), 0);
    assert_int_equal(fc_mkdir(c, dir.nodeid, "dir", 0755, &e), 0);
    assert_int_equal(fc_create(c, e.nodeid, "file", O_RDWR, 0644, &e, &fh), 0);
    assert_int_equal(fc_opendir(c, dir.nodeid, &fh), 0);
    assert_int_equal(vr_fs_save(c->fs, &buf, &len, NULL), 0);
    copy = malloc(len);
    assert_non_null(copy);
    for (uint32_t cut = 0; cut < len; cut++) { /* an allocation of that size, for the sanitizer */
        uint8_t *part = malloc(cut ? cut : 1);
        assert_non_null(part);
        memcpy(part, buf, cut);
        assert_int_equal(vr_fs_load(c->fs, part, cut, NULL), -EINVAL);
        free(part);
    }
    for (unsigned i = 0; i < 4000; i++) {
        memcpy(copy, buf, len);
        for (unsigned k = 0; k <= i % 3; k++) {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            unsigned flip = 1u << (seed >> 60 & 7);
            copy[seed % len] = (uint8_t)(i % 2 ? seed >> 32 : copy[seed % len] ^ flip);
        }
        int r = vr_fs_load(c->fs, copy, len, NULL);
        assert_true(r == 0 || r == -EINVAL);
        if (r == 0 && i % 8 == 0) { /* whatever it is, it is safe to use */
            (void)fc_getattr(c, dir.nodeid, NULL);
            (void)fc_getattr(c, e.nodeid, NULL);
            (void)fc_lookup(c, dir.nodeid, "dir", &e);
        }
    }
    assert_int_equal(reload(c, buf, len), 0);
    assert_int_equal(fc_getattr(c, dir.nodeid, NULL), 0);
    free(copy);
    free(buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(owners_and_modes_are_kept, setup, teardown),
        cmocka_unit_test_setup_teardown(set_group_id_folders_pass_it_on, setup, teardown),
        cmocka_unit_test_setup_teardown(writes_take_set_user_id_away, setup, teardown),
        cmocka_unit_test_setup_teardown(symbolic_links_have_owners, setup, teardown),
        cmocka_unit_test_setup_teardown(what_the_host_says_about_owners_is_checked, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(changes_of_owners_on_the_host_are_seen, setup, teardown),
        cmocka_unit_test_setup_teardown(our_user_may_be_another_in_the_guest, setup, teardown),
        cmocka_unit_test(an_ordinary_user_shares),
        cmocka_unit_test_setup_teardown(locks_are_the_hosts, setup, teardown),
        cmocka_unit_test_setup_teardown(waiting_for_a_lock_takes_no_thread, setup, teardown),
        cmocka_unit_test_setup_teardown(requests_before_init_fail, setup, teardown),
        cmocka_unit_test_setup_teardown(sessions_are_saved_and_restored, setup, teardown),
        cmocka_unit_test_setup_teardown(row_9_share_sessions_that_never_were, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
