/* A guest's side of FUSE for tests. */
#include "fuse_client.h"

#include "base/bits.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void fc_init(struct fc *c)
{
    memset(c, 0, sizeof(*c));
    c->room = FC_ROOM;
    snprintf(c->dir, sizeof(c->dir), "share_XXXXXX");
    assert_non_null(mkdtemp(c->dir));
    snprintf(c->share, sizeof(c->share), "%s/share", c->dir);
    assert_int_equal(mkdir(c->share, 0755), 0);
    assert_int_equal(vr_loop_create(&c->loop, NULL), 0);
}

void fc_share(struct fc *c, struct vr_fs_dir_opts opts)
{
    struct vr_error err = {0};
    opts.path = opts.path ? opts.path : c->share;
    c->opts = opts;
    if (vr_fs_open_dir(&opts, c->loop, &c->fs, &err) < 0) {
        fail_msg("%s", err.msg);
    }
}

void fc_unshare(struct fc *c)
{
    vr_fs_close(c->fs);
    c->fs = NULL;
}

void fc_start(struct fc *c, struct vr_fs_dir_opts opts)
{
    fc_init(c);
    fc_share(c, opts);
    assert_true(fc_init_session(c, FUSE_MINOR, UINT32_MAX) > 0);
}

static int fc_remove(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    (void)st;
    (void)what;
    (void)ftw;
    return remove(path);
}

void fc_fini(struct fc *c)
{
    fc_unshare(c);
    vr_loop_destroy(c->loop);
    assert_int_equal(nftw(c->dir, fc_remove, 16, FTW_DEPTH | FTW_PHYS), 0);
}

const char *fc_path(struct fc *c, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s", c->share, name);
    return path;
}

void fc_file(struct fc *c, const char *name, const char *text)
{
    int fd = open(fc_path(c, name), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

const char *fc_text(struct fc *c, const char *name)
{
    static char text[4096];
    int fd = open(fc_path(c, name), O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    ssize_t len = read(fd, text, sizeof(text) - 1);
    assert_true(len >= 0);
    text[len] = '\0';
    close(fd);
    return text;
}

static void fc_done(struct vr_fs_req *io, uint32_t len)
{
    struct fc_req *r = io->opaque;
    r->done++;
    r->len = len;
}

static void fc_submit(struct fc *c, struct fc_req *r, unsigned in_count, unsigned out_count)
{
    unsigned count = 0;
    for (unsigned i = 0; i < in_count; i++) {
        if (r->in[i].iov_len) { /* rings give none without a length */
            r->in[count++] = r->in[i];
        }
    }
    r->done = 0;
    r->io = (struct vr_fs_req){.in = r->in,
                               .in_count = count,
                               .out = r->out,
                               .out_count = out_count,
                               .done = fc_done,
                               .opaque = r};
    vr_fs_submit(c->fs, &r->io);
}

void fc_wait(struct fc *c, struct fc_req *r)
{
    while (!r->done) {
        vr_loop_turn(c->loop, -1);
    }
    assert_int_equal(r->done, 1);
}

void fc_resend(struct fc *c, struct fc_req *r)
{
    r->done = 0;
    r->io.done = fc_done;
    r->io.opaque = r;
    vr_fs_submit(c->fs, &r->io);
    fc_wait(c, r);
}

static struct fuse_in_header fc_header(struct fc *c, unsigned op, uint64_t node, size_t len)
{
    return (struct fuse_in_header){
        .len = (uint32_t)(sizeof(struct fuse_in_header) + len),
        .opcode = op,
        .unique = ++c->unique,
        .nodeid = node,
        .uid = c->uid,
        .gid = c->gid,
        .pid = 17,
    };
}

/* What the reply says. */
static int fc_result(struct fc *c, const struct fc_req *r, uint64_t unique)
{
    struct fuse_out_header h;
    if (r->len < sizeof(h)) {
        assert_int_equal(r->len, 0);
        return -EBADMSG;
    }
    memcpy(&h, c->out, sizeof(h));
    assert_int_equal(h.len, r->len);
    assert_true(r->len <= c->room);
    assert_int_equal(h.unique, unique);
    assert_true(h.error <= 0 && h.error > -512);
    if (h.error) {
        assert_int_equal(h.len, sizeof(h));
    }
    return h.error ? h.error : (int)(h.len - sizeof(h));
}

int fc_call(struct fc *c, unsigned op, uint64_t node, const void *arg, size_t arg_len,
            const void *more, size_t more_len)
{
    struct fc_req r = {.h = fc_header(c, op, node, arg_len + more_len)};
    r.in[0] = (struct iovec){.iov_base = &r.h, .iov_len = sizeof(r.h)};
    r.in[1] = (struct iovec){.iov_base = (void *)(uintptr_t)arg, .iov_len = arg_len};
    r.in[2] = (struct iovec){.iov_base = (void *)(uintptr_t)more, .iov_len = more_len};
    r.out[0] = (struct iovec){.iov_base = c->out, .iov_len = c->room};
    fc_submit(c, &r, 3, c->room ? 1 : 0);
    fc_wait(c, &r);
    return fc_result(c, &r, r.h.unique);
}

int fc_raw(struct fc *c, const void *message, size_t len)
{
    struct fc_req r = {.done = 0};
    struct fuse_in_header h = {.unique = 0};
    r.in[0] = (struct iovec){.iov_base = (void *)(uintptr_t)message, .iov_len = len};
    r.out[0] = (struct iovec){.iov_base = c->out, .iov_len = c->room};
    memcpy(&h, message, len < sizeof(h) ? len : sizeof(h));
    fc_submit(c, &r, 1, 1);
    fc_wait(c, &r);
    return fc_result(c, &r, h.unique);
}

const void *fc_body(const struct fc *c)
{
    return c->out + sizeof(struct fuse_out_header);
}

void fc_send(struct fc *c, struct fc_req *r, void *out, unsigned op, uint64_t node, const void *arg,
             size_t arg_len)
{
    r->h = fc_header(c, op, node, arg_len);
    r->in[0] = (struct iovec){.iov_base = &r->h, .iov_len = sizeof(r->h)};
    r->in[1] = (struct iovec){.iov_base = (void *)(uintptr_t)arg, .iov_len = arg_len};
    r->out[0] = (struct iovec){.iov_base = out, .iov_len = 256};
    fc_submit(c, r, 2, 1);
}

int fc_init_session(struct fc *c, uint32_t minor, uint32_t flags)
{
    struct fuse_init_in in = {
        .major = FUSE_MAJOR, .minor = minor, .max_readahead = 1 << 17, .flags = flags};
    return fc_call(c, FUSE_INIT, 0, &in, sizeof(in), NULL, 0);
}

/* The result of a call that answers a struct of @len bytes, which goes to @ret. */
static int fc_struct(struct fc *c, int result, void *ret, size_t len)
{
    if (result < 0) {
        return result;
    }
    assert_int_equal(result, len);
    if (ret) {
        memcpy(ret, fc_body(c), len);
    }
    return 0;
}

int fc_lookup(struct fc *c, uint64_t dir, const char *name, struct fuse_entry_out *ret)
{
    return fc_struct(c, fc_call(c, FUSE_LOOKUP, dir, NULL, 0, name, strlen(name) + 1), ret,
                     sizeof(*ret));
}

uint64_t fc_node(struct fc *c, const char *path)
{
    struct fuse_entry_out e = {.nodeid = FUSE_ROOT_ID};
    char copy[4096], *rest = copy, *name;
    snprintf(copy, sizeof(copy), "%s", path);
    while ((name = strsep(&rest, "/"))) {
        if (fc_lookup(c, e.nodeid, name, &e) < 0) {
            fail_msg("%s: no %s", path, name);
        }
    }
    return e.nodeid;
}

int fc_getattr(struct fc *c, uint64_t node, struct fuse_attr *ret)
{
    struct fuse_getattr_in in = {.flags = 0};
    struct fuse_attr_out out;
    int r =
        fc_struct(c, fc_call(c, FUSE_GETATTR, node, &in, sizeof(in), NULL, 0), &out, sizeof(out));
    if (r == 0 && ret) {
        *ret = out.attr;
    }
    return r;
}

int fc_mknod(struct fc *c, uint64_t dir, const char *name, uint32_t mode, uint32_t rdev,
             struct fuse_entry_out *ret)
{
    struct fuse_mknod_in in = {.mode = mode, .rdev = rdev};
    return fc_struct(c, fc_call(c, FUSE_MKNOD, dir, &in, sizeof(in), name, strlen(name) + 1), ret,
                     sizeof(*ret));
}

int fc_mkdir(struct fc *c, uint64_t dir, const char *name, uint32_t mode,
             struct fuse_entry_out *ret)
{
    struct fuse_mkdir_in in = {.mode = mode};
    return fc_struct(c, fc_call(c, FUSE_MKDIR, dir, &in, sizeof(in), name, strlen(name) + 1), ret,
                     sizeof(*ret));
}

/* Two strings, each with its zero. */
static int fc_call_two(struct fc *c, unsigned op, uint64_t node, const void *arg, size_t arg_len,
                       const char *a, const char *b)
{
    char both[8300];
    size_t len = strlen(a) + 1;
    assert_true(len + strlen(b) + 1 <= sizeof(both));
    memcpy(both, a, len);
    memcpy(both + len, b, strlen(b) + 1);
    return fc_call(c, op, node, arg, arg_len, both, len + strlen(b) + 1);
}

int fc_symlink(struct fc *c, uint64_t dir, const char *name, const char *target,
               struct fuse_entry_out *ret)
{
    return fc_struct(c, fc_call_two(c, FUSE_SYMLINK, dir, NULL, 0, name, target), ret,
                     sizeof(*ret));
}

int fc_create(struct fc *c, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
              struct fuse_entry_out *ret, uint64_t *ret_fh)
{
    struct fuse_create_in in = {.flags = flags, .mode = mode};
    struct {
        struct fuse_entry_out entry;
        struct fuse_open_out open;
    } out;
    int r = fc_struct(c, fc_call(c, FUSE_CREATE, dir, &in, sizeof(in), name, strlen(name) + 1),
                      &out, sizeof(out));
    if (r == 0) {
        *ret = out.entry;
        *ret_fh = out.open.fh;
    }
    return r;
}

int fc_unlink(struct fc *c, uint64_t dir, const char *name, bool is_dir)
{
    return fc_call(c, is_dir ? FUSE_RMDIR : FUSE_UNLINK, dir, NULL, 0, name, strlen(name) + 1);
}

int fc_rename(struct fc *c, uint64_t dir, const char *name, uint64_t to_dir, const char *to,
              uint32_t flags)
{
    struct fuse_rename2_in in = {.newdir = to_dir, .flags = flags};
    return fc_call_two(c, FUSE_RENAME2, dir, &in, sizeof(in), name, to);
}

static int fc_open_by(struct fc *c, unsigned op, uint64_t node, uint32_t flags, uint64_t *ret_fh)
{
    struct fuse_open_in in = {.flags = flags};
    struct fuse_open_out out;
    int r = fc_struct(c, fc_call(c, op, node, &in, sizeof(in), NULL, 0), &out, sizeof(out));
    if (r == 0) {
        *ret_fh = out.fh;
    }
    return r;
}

int fc_open(struct fc *c, uint64_t node, uint32_t flags, uint64_t *ret_fh)
{
    return fc_open_by(c, FUSE_OPEN, node, flags, ret_fh);
}

int fc_opendir(struct fc *c, uint64_t node, uint64_t *ret_fh)
{
    return fc_open_by(c, FUSE_OPENDIR, node, 0, ret_fh);
}

unsigned fc_list(struct fc *c, uint64_t node, uint64_t fh, bool plus, uint32_t size, uint64_t *off,
                 struct fc_entry *ret, unsigned max)
{
    struct fuse_read_in in = {.fh = fh, .offset = *off, .size = size};
    int len = fc_call(c, plus ? FUSE_READDIRPLUS : FUSE_READDIR, node, &in, sizeof(in), NULL, 0);
    unsigned count = 0;
    assert_true(len >= 0 && len <= (int)size);
    for (int at = 0; at < len; count++) {
        const uint8_t *p = (const uint8_t *)fc_body(c) + at;
        struct fuse_entry_out entry = {.nodeid = 0};
        struct fuse_dirent d;
        if (plus) {
            memcpy(&entry, p, sizeof(entry));
            p += sizeof(entry);
        }
        memcpy(&d, p, sizeof(d));
        assert_true(count < max && d.namelen < sizeof(ret->name));
        memcpy(ret[count].name, p + sizeof(d), d.namelen);
        ret[count].name[d.namelen] = '\0';
        ret[count].type = d.type;
        ret[count].nodeid = entry.nodeid;
        bool dots = strcmp(ret[count].name, ".") == 0 || strcmp(ret[count].name, "..") == 0;
        assert_int_equal(entry.nodeid != 0, plus && !dots);
        *off = d.off;
        at += (int)vr_align_up((plus ? sizeof(entry) : 0) + sizeof(d) + d.namelen, 8);
    }
    return count;
}

int fc_release(struct fc *c, uint64_t node, uint64_t fh, bool dir)
{
    struct fuse_release_in in = {.fh = fh};
    return fc_call(c, dir ? FUSE_RELEASEDIR : FUSE_RELEASE, node, &in, sizeof(in), NULL, 0);
}

int fc_read(struct fc *c, uint64_t node, uint64_t fh, uint64_t off, uint32_t size)
{
    struct fuse_read_in in = {.fh = fh, .offset = off, .size = size};
    return fc_call(c, FUSE_READ, node, &in, sizeof(in), NULL, 0);
}

int fc_write(struct fc *c, uint64_t node, uint64_t fh, uint64_t off, const char *text)
{
    struct fuse_write_in in = {.fh = fh, .offset = off, .size = (uint32_t)strlen(text)};
    struct fuse_write_out out;
    int r = fc_struct(c, fc_call(c, FUSE_WRITE, node, &in, sizeof(in), text, strlen(text)), &out,
                      sizeof(out));
    return r < 0 ? r : (int)out.size;
}

int fc_setattr(struct fc *c, uint64_t node, const struct fuse_setattr_in *in, struct fuse_attr *ret)
{
    struct fuse_attr_out out;
    int r =
        fc_struct(c, fc_call(c, FUSE_SETATTR, node, in, sizeof(*in), NULL, 0), &out, sizeof(out));
    if (r == 0 && ret) {
        *ret = out.attr;
    }
    return r;
}

void fc_forget(struct fc *c, uint64_t node, uint64_t count)
{
    struct fuse_forget_in in = {.nlookup = count};
    assert_int_equal(fc_call(c, FUSE_FORGET, node, &in, sizeof(in), NULL, 0), -EBADMSG);
}
