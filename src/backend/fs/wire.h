/*
 * The FUSE protocol as it goes over the wire of virtio-fs: a request is a header, the operation's
 * struct, then names or data; a reply a header, then what the operation answers. All little-endian,
 * as every host of ours is.
 *
 * Specification: the comments of Linux's include/uapi/linux/fuse.h (protocol 7.38), fuse(4), and
 * VIRTIO 1.2, section 5.11.
 */
#ifndef VR_BACKEND_FS_WIRE_H
#define VR_BACKEND_FS_WIRE_H

#include <assert.h>
#include <stdint.h>

enum { FUSE_MAJOR = 7, FUSE_MINOR = 38, FUSE_MINOR_MIN = 31, FUSE_ROOT_ID = 1 };

enum fuse_op {
    FUSE_LOOKUP = 1,
    FUSE_FORGET = 2, /* no reply */
    FUSE_GETATTR = 3,
    FUSE_SETATTR = 4,
    FUSE_READLINK = 5,
    FUSE_SYMLINK = 6,
    FUSE_MKNOD = 8,
    FUSE_MKDIR = 9,
    FUSE_UNLINK = 10,
    FUSE_RMDIR = 11,
    FUSE_RENAME = 12,
    FUSE_LINK = 13,
    FUSE_OPEN = 14,
    FUSE_READ = 15,
    FUSE_WRITE = 16,
    FUSE_STATFS = 17,
    FUSE_RELEASE = 18,
    FUSE_FSYNC = 20,
    FUSE_SETXATTR = 21,
    FUSE_GETXATTR = 22,
    FUSE_LISTXATTR = 23,
    FUSE_REMOVEXATTR = 24,
    FUSE_FLUSH = 25,
    FUSE_INIT = 26,
    FUSE_OPENDIR = 27,
    FUSE_READDIR = 28,
    FUSE_RELEASEDIR = 29,
    FUSE_FSYNCDIR = 30,
    FUSE_GETLK = 31,
    FUSE_SETLK = 32,
    FUSE_SETLKW = 33,
    FUSE_ACCESS = 34,
    FUSE_CREATE = 35,
    FUSE_INTERRUPT = 36,
    FUSE_DESTROY = 38,
    FUSE_BATCH_FORGET = 42, /* no reply */
    FUSE_FALLOCATE = 43,
    FUSE_READDIRPLUS = 44,
    FUSE_RENAME2 = 45,
    FUSE_LSEEK = 46,
    FUSE_COPY_FILE_RANGE = 47,
    FUSE_SYNCFS = 50,
    FUSE_OPS = 64,
};

/* What INIT negotiates; the upper half of the bits needs INIT_EXT. */
enum {
    FUSE_ASYNC_READ = 1 << 0,
    FUSE_POSIX_LOCKS = 1 << 1,
    FUSE_ATOMIC_O_TRUNC = 1 << 3,
    FUSE_BIG_WRITES = 1 << 5,
    FUSE_FLOCK_LOCKS = 1 << 10,
    FUSE_AUTO_INVAL_DATA = 1 << 12,
    FUSE_DO_READDIRPLUS = 1 << 13,
    FUSE_READDIRPLUS_AUTO = 1 << 14,
    FUSE_ASYNC_DIO = 1 << 15,
    FUSE_WRITEBACK_CACHE = 1 << 16,
    FUSE_PARALLEL_DIROPS = 1 << 18,
    FUSE_MAX_PAGES = 1 << 22,
    FUSE_CACHE_SYMLINKS = 1 << 23,
    FUSE_HANDLE_KILLPRIV_V2 = 1 << 28,
};

struct fuse_in_header {
    uint32_t len, opcode;
    uint64_t unique, nodeid;
    uint32_t uid, gid, pid;
    uint16_t extlen, padding;
};

struct fuse_out_header {
    uint32_t len;
    int32_t error;
    uint64_t unique;
};

struct fuse_attr {
    uint64_t ino, size, blocks, atime, mtime, ctime;
    uint32_t atimensec, mtimensec, ctimensec;
    uint32_t mode, nlink, uid, gid, rdev, blksize, flags;
};

struct fuse_entry_out {
    uint64_t nodeid, generation, entry_valid, attr_valid;
    uint32_t entry_valid_nsec, attr_valid_nsec;
    struct fuse_attr attr;
};

struct fuse_attr_out {
    uint64_t attr_valid;
    uint32_t attr_valid_nsec, dummy;
    struct fuse_attr attr;
};

struct fuse_init_in {
    uint32_t major, minor, max_readahead, flags, flags2, unused[11];
};

struct fuse_init_out {
    uint32_t major, minor, max_readahead, flags;
    uint16_t max_background, congestion_threshold;
    uint32_t max_write, time_gran;
    uint16_t max_pages, map_alignment;
    uint32_t flags2, unused[7];
};

struct fuse_forget_in {
    uint64_t nlookup;
};

struct fuse_batch_forget_in {
    uint32_t count, dummy;
};

struct fuse_forget_one {
    uint64_t nodeid, nlookup;
};

enum { FUSE_GETATTR_FH = 1 };
struct fuse_getattr_in {
    uint32_t flags, dummy;
    uint64_t fh;
};

enum {
    FATTR_MODE = 1 << 0,
    FATTR_UID = 1 << 1,
    FATTR_GID = 1 << 2,
    FATTR_SIZE = 1 << 3,
    FATTR_ATIME = 1 << 4,
    FATTR_MTIME = 1 << 5,
    FATTR_FH = 1 << 6,
    FATTR_ATIME_NOW = 1 << 7,
    FATTR_MTIME_NOW = 1 << 8,
    FATTR_KILL_SUIDGID = 1 << 11,
};
struct fuse_setattr_in {
    uint32_t valid, padding;
    uint64_t fh, size, lock_owner, atime, mtime, ctime;
    uint32_t atimensec, mtimensec, ctimensec, mode, unused4, uid, gid, unused5;
};

struct fuse_mknod_in {
    uint32_t mode, rdev, umask, padding;
};

struct fuse_mkdir_in {
    uint32_t mode, umask;
};

struct fuse_rename_in {
    uint64_t newdir;
};

struct fuse_rename2_in {
    uint64_t newdir;
    uint32_t flags, padding;
};

struct fuse_link_in {
    uint64_t oldnodeid;
};

enum { FUSE_OPEN_KILL_SUIDGID = 1 };
enum {
    FOPEN_KEEP_CACHE = 1 << 1,
    FOPEN_CACHE_DIR = 1 << 3,
    FOPEN_NOFLUSH = 1 << 5,
    FOPEN_PARALLEL_DIRECT_WRITES = 1 << 6,
};
struct fuse_open_in {
    uint32_t flags, open_flags;
};

struct fuse_create_in {
    uint32_t flags, mode, umask, open_flags;
};

struct fuse_open_out {
    uint64_t fh;
    uint32_t open_flags, padding;
};

enum { FUSE_RELEASE_FLUSH = 1, FUSE_RELEASE_FLOCK_UNLOCK = 2 };
struct fuse_release_in {
    uint64_t fh;
    uint32_t flags, release_flags;
    uint64_t lock_owner;
};

struct fuse_flush_in {
    uint64_t fh;
    uint32_t unused, padding;
    uint64_t lock_owner;
};

struct fuse_read_in { /* READ, READDIR, READDIRPLUS */
    uint64_t fh, offset;
    uint32_t size, read_flags;
    uint64_t lock_owner;
    uint32_t flags, padding;
};

enum { FUSE_WRITE_CACHE = 1, FUSE_WRITE_KILL_SUIDGID = 4 };
struct fuse_write_in {
    uint64_t fh, offset;
    uint32_t size, write_flags;
    uint64_t lock_owner;
    uint32_t flags, padding;
};

struct fuse_write_out {
    uint32_t size, padding;
};

struct fuse_statfs_out {
    uint64_t blocks, bfree, bavail, files, ffree;
    uint32_t bsize, namelen, frsize, padding, spare[6];
};

enum { FUSE_FSYNC_FDATASYNC = 1 };
struct fuse_fsync_in {
    uint64_t fh;
    uint32_t flags, padding;
};

struct fuse_setxattr_in {
    uint32_t size, flags;
};

struct fuse_getxattr_in {
    uint32_t size, padding;
};

struct fuse_getxattr_out {
    uint32_t size, padding;
};

struct fuse_file_lock {
    uint64_t start, end;
    uint32_t type, pid; /* fcntl(2)'s F_RDLCK 0, F_WRLCK 1, F_UNLCK 2 */
};

enum { FUSE_LK_FLOCK = 1 };
struct fuse_lk_in {
    uint64_t fh, owner;
    struct fuse_file_lock lk;
    uint32_t flags, padding;
};

struct fuse_access_in {
    uint32_t mask, padding;
};

struct fuse_interrupt_in {
    uint64_t unique;
};

struct fuse_fallocate_in {
    uint64_t fh, offset, length;
    uint32_t mode, padding;
};

struct fuse_lseek_in {
    uint64_t fh, offset;
    uint32_t whence, padding;
};

struct fuse_lseek_out {
    uint64_t offset;
};

struct fuse_copy_in {
    uint64_t fh_in, off_in, nodeid_out, fh_out, off_out, len, flags;
};

struct fuse_syncfs_in {
    uint64_t padding;
};

struct fuse_dirent { /* then the name, and padding to 8 bytes */
    uint64_t ino, off;
    uint32_t namelen, type;
};

static_assert(sizeof(struct fuse_in_header) == 40, "as on the wire");
static_assert(sizeof(struct fuse_out_header) == 16, "as on the wire");
static_assert(sizeof(struct fuse_attr) == 88, "as on the wire");
static_assert(sizeof(struct fuse_entry_out) == 128, "as on the wire");
static_assert(sizeof(struct fuse_attr_out) == 104, "as on the wire");
static_assert(sizeof(struct fuse_init_in) == 64, "as on the wire");
static_assert(sizeof(struct fuse_init_out) == 64, "as on the wire");
static_assert(sizeof(struct fuse_setattr_in) == 88, "as on the wire");
static_assert(sizeof(struct fuse_write_in) == 40, "as on the wire");
static_assert(sizeof(struct fuse_statfs_out) == 80, "as on the wire");
static_assert(sizeof(struct fuse_lk_in) == 48, "as on the wire");
static_assert(sizeof(struct fuse_copy_in) == 56, "as on the wire");

#endif
