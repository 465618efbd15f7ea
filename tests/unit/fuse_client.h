/* A guest's side of FUSE for tests: a share in a folder of its own, and messages to it, sound or
 * not. */
#ifndef VR_TEST_FUSE_CLIENT_H
#define VR_TEST_FUSE_CLIENT_H

#include "test.h"

#include "backend/fs/fs.h"
#include "backend/fs/wire.h"

enum { FC_ROOM = 192 << 10 };

struct fc {
    struct vr_loop *loop;
    struct vr_fs *fs;
    char dir[64]; /* the folder that everything is in; "dir/share" is shared */
    char share[80];
    struct vr_fs_dir_opts opts;
    uint64_t unique;
    uint32_t uid, gid; /* of who asks */
    size_t room;       /* for replies; FC_ROOM at first */
    uint8_t out[FC_ROOM];
};

/* An entry of a listing. */
struct fc_entry {
    char name[32];
    uint32_t type;   /* DT_REG, ... */
    uint64_t nodeid; /* 0: not looked up */
};

/* A message under way. */
struct fc_req {
    struct vr_fs_req io;
    struct iovec in[3], out[1];
    struct fuse_in_header h;
    unsigned done;
    uint32_t len;
};

void fc_init(struct fc *c);                              /* the folder */
void fc_share(struct fc *c, struct vr_fs_dir_opts opts); /* without a session */
void fc_unshare(struct fc *c);
void fc_start(struct fc *c, struct vr_fs_dir_opts opts); /* with one */
void fc_fini(struct fc *c);                              /* removes it all */
/* A path below the share, on the host; valid until the next call. */
const char *fc_path(struct fc *c, const char *name);
void fc_file(struct fc *c, const char *name, const char *text); /* made on the host */
const char *fc_text(struct fc *c, const char *name);            /* read on the host */

/* Send @op with @arg and @more behind it; the length of the reply's body, which is in c->out behind
 * the header, or the error. -EBADMSG: no reply came. */
int fc_call(struct fc *c, unsigned op, uint64_t node, const void *arg, size_t arg_len,
            const void *more, size_t more_len);
/* The message as it is, header and all. */
int fc_raw(struct fc *c, const void *message, size_t len);
const void *fc_body(const struct fc *c);
/* The same without waiting. @r and what it points to must stay. */
void fc_send(struct fc *c, struct fc_req *r, void *out, unsigned op, uint64_t node, const void *arg,
             size_t arg_len);
void fc_wait(struct fc *c, struct fc_req *r);
void fc_resend(struct fc *c, struct fc_req *r); /* r->io, which the test has filled; waits */

int fc_init_session(struct fc *c, uint32_t minor, uint32_t flags);
/* Each returns 0 or an error. */
int fc_lookup(struct fc *c, uint64_t dir, const char *name, struct fuse_entry_out *ret);
uint64_t fc_node(struct fc *c, const char *path); /* looked up step by step; must be there */
int fc_getattr(struct fc *c, uint64_t node, struct fuse_attr *ret);
int fc_mknod(struct fc *c, uint64_t dir, const char *name, uint32_t mode, uint32_t rdev,
             struct fuse_entry_out *ret);
int fc_mkdir(struct fc *c, uint64_t dir, const char *name, uint32_t mode,
             struct fuse_entry_out *ret);
int fc_symlink(struct fc *c, uint64_t dir, const char *name, const char *target,
               struct fuse_entry_out *ret);
int fc_create(struct fc *c, uint64_t dir, const char *name, uint32_t flags, uint32_t mode,
              struct fuse_entry_out *ret, uint64_t *ret_fh);
int fc_unlink(struct fc *c, uint64_t dir, const char *name, bool is_dir);
int fc_rename(struct fc *c, uint64_t dir, const char *name, uint64_t to_dir, const char *to,
              uint32_t flags);
int fc_open(struct fc *c, uint64_t node, uint32_t flags, uint64_t *ret_fh);
int fc_opendir(struct fc *c, uint64_t node, uint64_t *ret_fh);
/* One reply of @size bytes at most to READDIR or READDIRPLUS (@plus) from *@off on, which moves on;
 * how many entries of @max it gave, 0 at the end. */
unsigned fc_list(struct fc *c, uint64_t node, uint64_t fh, bool plus, uint32_t size, uint64_t *off,
                 struct fc_entry *ret, unsigned max);
int fc_release(struct fc *c, uint64_t node, uint64_t fh, bool dir);
int fc_read(struct fc *c, uint64_t node, uint64_t fh, uint64_t off, uint32_t size); /* length */
int fc_write(struct fc *c, uint64_t node, uint64_t fh, uint64_t off, const char *text);
int fc_setattr(struct fc *c, uint64_t node, const struct fuse_setattr_in *in,
               struct fuse_attr *ret);
void fc_forget(struct fc *c, uint64_t node, uint64_t count);

#endif
