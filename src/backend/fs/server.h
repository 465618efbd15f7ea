/*
 * Inside the file server for directories: what its files share; for nobody else.
 *
 *   dir.c      opening, sessions, the threads
 *   serve.c    a request: taken apart, given to its operation, answered
 *   node.c     files that the guest knows (nodes) and their descriptors
 *   handle.c   files that the guest has opened
 *   owner.c    owners and modes as the guest has them
 *   op_*.c     the operations
 *   link.c     symbolic links of other owners
 *   saved.c    sessions as bytes
 *
 * A node stands for a file that the guest has looked up and not forgotten. It has a descriptor
 * (O_PATH), which is closed when others are needed more and found again by the node's path: the
 * name under its parent. So the guest may know many more files than this process may have open.
 * What has no name any more keeps its descriptor.
 *
 * One lock, dir_fs.lock, guards sessions, nodes and handles; it is never held over a system call
 * that may wait for a medium, except that descriptors are closed under it.
 */
#ifndef VR_BACKEND_FS_SERVER_H
#define VR_BACKEND_FS_SERVER_H

#include "backend/fs/fs.h"
#include "backend/fs/wire.h"
#include "base/log.h"
#include "platform/jail.h"
#include "platform/lock.h"
#include "vireo/host_time.h"

enum {
    FS_NODES = 1 << 19,      /* the default of nodes_max */
    FS_FDS_MAX = 1 << 16,    /* more are not needed for speed */
    FS_FDS_MIN = 32,         /* with fewer it is refused: every thread needs some */
    FS_THREADS = 4,          /* requests that run at a time */
    FS_HANDLES = FS_FDS_MAX, /* numbers of handles */
    FS_DEPTH = 4096,         /* folders in folders */
    FS_HELD = 4,             /* nodes that one request uses */
    FS_WAITERS = 256,        /* requests that wait for a lock */
    FS_WRITE_MAX = 1 << 20,  /* data of one request */
    FS_EXTRA_MAX = 68 << 10, /* names and values of one request */
    FS_AHEADS = 64,          /* listings under way with entries that were read ahead */
    FS_AHEAD_BYTES = 32 << 10,
    FS_AHEAD_UNIT = 8, /* no entry takes less */
    FS_LATER = 1,      /* the operation's result: the reply comes later */
};

struct dir_fs;
struct fs_session;

/* Things by number. A number is never given twice: its upper half counts the uses of its place. */
struct fs_ids {
    struct fs_id {
        void *thing; /* NULL: free */
        uint32_t uses, next_free;
    } * slot;
    uint32_t count, room, free; /* free: a slot's index + 1; 0: none */
};
uint64_t fs_ids_add(struct fs_ids *ids, void *thing); /* 0: no memory */
/* At a number that was given before, in a session that is saved; false: taken, or no memory. */
bool fs_ids_put(struct fs_ids *ids, uint64_t id, void *thing, uint32_t max);
void *fs_ids_get(const struct fs_ids *ids, uint64_t id); /* NULL: none */
void fs_ids_remove(struct fs_ids *ids, uint64_t id);
void fs_ids_fini(struct fs_ids *ids);

/* A descriptor that holds locks of one owner on one file. */
struct fs_lock {
    struct fs_lock *next;
    uint64_t owner;
    bool flock;
    int fd;
    uint32_t pid;  /* of the guest's process that locked last */
    unsigned uses; /* requests at work with it */
    bool gone;     /* to be closed by the last of them */
};

struct fs_node {
    uint64_t id;
    dev_t dev;
    ino_t ino;
    mode_t type;            /* S_IFMT, on the host */
    uint64_t lookups;       /* that the guest has not taken back */
    unsigned refs;          /* children, handles, requests */
    unsigned pins;          /* requests that use fd */
    int fd;                 /* -1: closed; the root's is the jail's */
    bool lost;              /* has no name that we know: fd stays */
    bool hashed, idle;      /* in the hash; in the list of those whose fd may be closed */
    struct fs_node *parent; /* NULL: the root, or lost */
    char *name;
    struct fs_node *hash_next, *newer, *older;
    struct fs_lock *locks;
};

/* Entries of a directory as the host gave them, of which the guest got those before @pos. */
struct fs_ahead {
    uint64_t off; /* of the entry at @pos, as the guest will ask for it */
    size_t pos, len;
    /* Entries before @looked were looked at while the guest was busy, from @looked_ns on; what they
     * are is under their position, FS_AHEAD_UNIT bytes a number. */
    size_t looked;
    uint64_t looked_ns;
    uint8_t buf[FS_AHEAD_BYTES];
    uint8_t type[FS_AHEAD_BYTES / FS_AHEAD_UNIT];
};

struct fs_handle {
    uint64_t id;
    struct fs_node *node;
    int fd;
    uint32_t flags; /* the guest's */
    bool dir;
    unsigned refs;          /* the table, requests */
    struct vr_mutex lock;   /* directories: the position, and what is ahead of the guest */
    struct fs_ahead *ahead; /* NULL: nothing */
};

struct fs_session {
    struct dir_fs *d;
    unsigned refs; /* being the current one, requests */
    bool ready;    /* INIT was heard */
    uint32_t minor, flags;
    struct fs_ids nodes, handles;
    struct fs_node *root, *newest, *oldest; /* idle ones */
    struct fs_node **hash;
    size_t hash_size;
    uint32_t node_count;
};

/* A request at work. */
struct fs_call {
    struct dir_fs *d;
    struct fs_session *s;
    struct vr_fs_req *req;
    struct fuse_in_header h;
    union {
        uint64_t align;
        uint8_t arg[88]; /* the operation's struct */
    };
    uint64_t in_bytes, out_bytes;
    uint8_t *extra; /* what follows it; a zero byte behind it */
    size_t extra_len, extra_pos;
    size_t reply_len; /* behind the header */
    struct fs_node *held[FS_HELD];
    struct fs_handle *handle[2];
    unsigned held_count, handle_count;
    struct fs_call *next; /* waiting for a lock */
    unsigned data_off;    /* of a WRITE's data, in the request */
    struct vr_job *after; /* a task for when the reply is out; NULL: none */
};

struct dir_fs {
    struct vr_fs fs;
    struct vr_jail *jail;
    struct fs_owners *owners;      /* owner.c: what it knows already; NULL: it always looks */
    struct vr_pool *pool, *urgent; /* the second one for what must not wait for the first */
    struct vr_log *log;
    char *path;
    enum vr_fs_cache cache;
    bool read_only, host_locks, root_user;
    dev_t dev;
    uint32_t user_uid, user_gid, uid, gid; /* of the host's user, and in the guest */
    uint32_t fds_max, nodes_max;
    struct vr_mutex lock; /* of the rest */
    struct fs_session *session;
    uint32_t fds, nodes, aheads;
    bool draining;
    /* Locks */
    struct vireo_timers *timers;
    struct vireo_timer *retry;
    bool retrying;
    struct fs_call *waiting;
    unsigned waiting_count;
};

/* dir.c */
struct fs_session *fs_session_create(struct dir_fs *d);
void fs_session_unref_locked(struct fs_session *s);
void fs_new_session(struct dir_fs *d); /* the old one goes with its last request */
/* Run it on a thread of the pool; false: no memory. */
bool fs_task(struct dir_fs *d, void (*run)(struct dir_fs *d, void *arg), void *arg);
/* The same in two steps, for a thread of the pool that goes on when its request is answered. */
struct vr_job *fs_task_begin(struct dir_fs *d, void (*run)(struct dir_fs *d, void *arg), void *arg);
void fs_task_run(struct dir_fs *d, struct vr_job *job); /* may end the flight, and @d with it */

/* serve.c */
void fs_serve(struct dir_fs *d, struct vr_fs_req *req);
/* Answer a call that was FS_LATER. */
void fs_finish(struct fs_call *c, int result);
int fs_reply(struct fs_call *c, const void *buf, size_t len) VR_MUST; /* what fits is checked */
/* The next string of the request. A name: one that may be in a directory. */
int fs_text(struct fs_call *c, const char **ret_text) VR_MUST;
int fs_name(struct fs_call *c, const char **ret_name) VR_MUST;

/* node.c; nodes got for a call are let go when it ends. */
int fs_node_get(struct fs_call *c, uint64_t id, struct fs_node **ret_node) VR_MUST; /* open */
/* The entry @name of @dir, held; made known if it was not. */
int fs_node_find(struct fs_call *c, struct fs_node *dir, const char *name,
                 struct fs_node **ret_node, struct stat *ret_stat) VR_MUST;
void fs_node_hold(struct fs_call *c, struct fs_node *n); /* for a call as well; the lock held */
void fs_node_release(struct fs_call *c, unsigned keep);  /* all that it held but the first @keep */
void fs_node_looked_up(struct fs_call *c, struct fs_node *n); /* the guest will know it */
void fs_node_forget(struct fs_session *s, uint64_t id, uint64_t count);
void fs_node_removed(struct fs_call *c, struct fs_node *n, struct fs_node *dir, const char *name);
void fs_node_moved(struct fs_call *c, struct fs_node *n, struct fs_node *dir, const char *name);
void fs_node_ref_locked(struct fs_node *n);
void fs_node_unref_locked(struct fs_session *s, struct fs_node *n);
/* Room for one more descriptor; another one may be closed for it. -ENFILE: there is none. */
int fs_fd_take(struct fs_session *s) VR_MUST;
int fs_fd_take_locked(struct fs_session *s) VR_MUST;
void fs_fd_give(struct dir_fs *d);
int fs_nodes_init(struct fs_session *s) VR_MUST; /* with the root */
void fs_nodes_fini(struct fs_session *s);        /* the lock held; handles are gone */
/* The folder that @n was last found in, held and open, and its name there, the caller's. -ESTALE:
 * none that we know. */
int fs_node_where(struct fs_call *c, struct fs_node *n, struct fs_node **ret_dir,
                  char **ret_name) VR_MUST;
/* @n, which is held, is another file of the host from now on, in the same place: that which @handle
 * (the caller's) is. */
int fs_node_replace(struct fs_call *c, struct fs_node *n, int handle) VR_MUST;
/* For saved.c: a node without a descriptor. */
struct fs_node *fs_node_add_locked(struct fs_session *s, uint64_t id, const char *name);
int fs_node_settle(struct fs_session *s, struct fs_node *n) VR_MUST; /* find it by its path */

/* handle.c */
int fs_handle_open(struct fs_call *c, struct fs_node *n, int fd, uint32_t flags, bool dir,
                   uint64_t *ret_id) VR_MUST; /* takes @fd, also on failure */
/* For saved.c: at its old number; @fd -1: its file is gone. */
int fs_handle_put(struct fs_session *s, uint64_t id, struct fs_node *n, int fd, uint32_t flags,
                  bool dir) VR_MUST;
int fs_handle_get(struct fs_call *c, uint64_t id, bool dir, struct fs_handle **ret_handle) VR_MUST;
int fs_handle_get_of(struct fs_call *c, uint64_t id, uint64_t nodeid, bool dir,
                     struct fs_handle **ret_handle) VR_MUST;
void fs_handle_release(struct fs_call *c); /* all that it used */
void fs_handle_unref_locked(struct fs_session *s, struct fs_handle *h);
void fs_handle_remove(struct fs_session *s, uint64_t id);
void fs_handles_fini(struct fs_session *s); /* the lock held */

/* owner.c */
struct fs_owner {
    uint32_t uid, gid, mode, rdev; /* mode with the type */
};
/* Owners that were looked up before; without memory, or where ctimes tell nothing, there are none.
 */
struct fs_owners *fs_owners_create(const struct vr_jail *jail);
void fs_owners_destroy(struct fs_owners *owners); /* NULL is fine */
/* What the guest sees of the file that @handle is. */
void fs_owner_get(const struct dir_fs *d, int handle, const struct stat *st,
                  struct fs_owner *ret_owner);
/* Make it so. @fresh: the file was just made for the guest: what cannot be kept may be lost. */
int fs_owner_set(const struct dir_fs *d, int handle, const struct fs_owner *want,
                 bool fresh) VR_MUST;
/* The mode that a file has on the host. */
mode_t fs_owner_host_mode(uint32_t mode);
/* Would a new file of the user's look like @want? */
bool fs_owner_plain(const struct dir_fs *d, const struct fs_owner *want);
/* Who asks is neither root nor of this group: they make no program run with it (chmod(2)). Of the
 * groups that a process is in, a message tells only the first. */
bool fs_owner_stranger(const struct fs_call *c, uint32_t gid);
/* A write or a change of owner takes away set-user-ID bits (and the former, capabilities). */
void fs_owner_drop_priv(const struct fs_call *c, struct fs_owner *owner);
int fs_owner_kill_priv(const struct fs_call *c, int handle) VR_MUST;
/* The type (DT_REG, ...) of the entry @name of @dir, a regular file on the host, as the guest has
 * it. -ENOENT: it is gone; -EACCES, ... */
int fs_owner_type_at(const struct dir_fs *d, int dir, const char *name, uint32_t *ret_type) VR_MUST;
void fs_attr_fill(const struct dir_fs *d, int handle, const struct stat *st,
                  struct fuse_attr *ret_attr);
/* The guest's kernel has decided that something may be done with @n; ours refused, because it looks
 * at another mode. A file of our user's gets one that lets us work, and keeps the old one for the
 * guest; true: try again. */
bool fs_lift(struct fs_call *c, struct fs_node *n);
/* Open what @n is, lifted if need be. */
int fs_open(struct fs_call *c, struct fs_node *n, int flags, int *ret_fd) VR_MUST;
/* The name of a guest's attribute on the host. -EOPNOTSUPP: no such kind. */
enum { FS_XATTR_NAME = 256 };
int fs_xattr_name(const char *guest, char host[FS_XATTR_NAME]) VR_MUST;
/* The guest's name, or NULL for what is not the guest's. */
const char *fs_xattr_guest(const char *host);

/* Operations: 0, FS_LATER, or a negative errno. */
typedef int fs_op(struct fs_call *c);
fs_op op_lookup, op_getattr, op_setattr, op_readlink, op_symlink, op_mknod, op_mkdir, op_unlink,
    op_rmdir, op_rename, op_rename2, op_link, op_statfs, op_access, op_syncfs;
fs_op op_open, op_create, op_read, op_write, op_release, op_flush, op_fsync, op_fallocate, op_lseek,
    op_copy;
fs_op op_opendir, op_readdir, op_readdirplus, op_releasedir, op_fsyncdir;
fs_op op_getxattr, op_setxattr, op_listxattr, op_removexattr;
fs_op op_getlk, op_setlk, op_interrupt;
fs_op op_init, op_destroy, op_forget, op_batch_forget;

/* op_name.c */
int fs_open_flags(const struct fs_session *s, uint32_t flags); /* of open(2), of a guest's */
void fs_entry_out(struct fs_call *c, struct fs_node *n, const struct stat *st,
                  struct fuse_entry_out *ret_out);
void fs_valid(const struct dir_fs *d, uint64_t *ret_s, uint32_t *ret_ns); /* how long it may know */

/* link.c */
int fs_link_write(int fd, const char *target) VR_MUST; /* into a file that stands for a link */
/* @n is a symbolic link on the host, which can only be our user's: make it a file that stands for
 * one, of @owner. */
int fs_link_give(struct fs_call *c, struct fs_node *n, const struct fs_owner *owner) VR_MUST;

/* op_lock.c */
int fs_locks_init(struct dir_fs *d, struct vr_error *err) VR_MUST;
void fs_locks_fini(struct dir_fs *d);
/* End the waiting of @s's requests (NULL: of all). */
void fs_locks_interrupt(struct dir_fs *d, const struct fs_session *s);
/* @owner closed a file (@flock: the opening that its lock was of). */
void fs_locks_drop(struct fs_call *c, struct fs_node *n, uint64_t owner, bool flock);
void fs_locks_free_locked(struct dir_fs *d, struct fs_node *n);

/* saved.c */
int fs_session_save(struct vr_fs *fs, uint8_t **ret_buf, uint32_t *ret_len,
                    struct vr_error *err) VR_MUST;
int fs_session_load(struct vr_fs *fs, const uint8_t *buf, uint32_t len,
                    struct vr_error *err) VR_MUST;

#endif
