/*
 * What a file system has to do, tried in the guest on a shared directory:
 *
 *   share data FILE SEED OPS    random writes, reads, truncations, holes, mappings and copies of
 *                               one file, against a model in memory
 *   share tree DIR TWIN SEED OPS  random operations on names, owners and modes, by root and by two
 *                               users, in DIR and on another file system in TWIN: the same results,
 *                               and the same trees in the end
 *   share list DIR OUT ROUNDS   listings of DIR between which the host changes it, into files
 *   share locks FILE            fcntl and flock locks between processes, and waiting for them
 *   share hold FILE             the same between this guest and the host
 *   share mmap FILE             shared mappings of several processes
 *   share xattr FILE            extended attributes
 *   share speed DIR             how fast it is, for people
 *
 * Exit code 0: all well; 1: not, and a line says what.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/fsuid.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#define FAIL(...) (printf(__VA_ARGS__), printf("\n"), exit(1))
#define MUST(c)                                                              \
    do {                                                                     \
        if (!(c)) {                                                          \
            FAIL("line %d: not so: %s (%s)", __LINE__, #c, strerror(errno)); \
        }                                                                    \
    } while (0)

static uint64_t seed = 1;

static uint64_t rnd(uint64_t below)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return (seed >> 11) % below;
}

/* --- data --- */

enum { DATA_MAX = 300000 };
static uint8_t model[DATA_MAX], data[DATA_MAX];
static size_t model_len;

static void data_extend(size_t end)
{
    if (end > model_len) {
        memset(model + model_len, 0, end - model_len);
        model_len = end;
    }
}

static void data_write(int fd, size_t off, size_t len, int mapped)
{
    for (size_t i = 0; i < len; i++) {
        data[i] = (uint8_t)rnd(256);
    }
    if (mapped) {
        if (off + len > model_len) {
            return;
        }
        uint8_t *map = mmap(NULL, model_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        MUST(map != MAP_FAILED);
        memcpy(map + off, data, len);
        MUST(rnd(2) || msync(map, model_len, MS_SYNC) == 0);
        MUST(munmap(map, model_len) == 0);
    } else {
        MUST(pwrite(fd, data, len, (off_t)off) == (ssize_t)len);
    }
    data_extend(off + len);
    memcpy(model + off, data, len);
}

static void data_check(int fd, size_t off, size_t len, int mapped)
{
    size_t have = off >= model_len ? 0 : model_len - off < len ? model_len - off : len;
    if (mapped && have) {
        uint8_t *map = mmap(NULL, model_len, PROT_READ, MAP_SHARED, fd, 0);
        MUST(map != MAP_FAILED);
        memcpy(data, map + off, have);
        MUST(munmap(map, model_len) == 0);
    } else {
        MUST(pread(fd, data, len, (off_t)off) == (ssize_t)have);
    }
    if (memcmp(data, model + off, have) != 0) {
        FAIL("%zu bytes at %zu differ (%s)", have, off, mapped ? "mapped" : "read");
    }
}

static int data_run(const char *path, unsigned ops)
{
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    MUST(fd >= 0);
    for (unsigned i = 0; i < ops; i++) {
        size_t off = rnd(DATA_MAX / 2), len = 1 + rnd(rnd(2) ? 200 : 40000), to = rnd(DATA_MAX / 2);
        struct stat st;
        switch (rnd(12)) {
        case 0:
        case 1:
            data_write(fd, off, len, 0);
            break;
        case 2:
            data_write(fd, off, len, 1);
            break;
        case 3:
        case 4:
            data_check(fd, off, len, 0);
            break;
        case 5:
            data_check(fd, off, len, 1);
            break;
        case 6:
            MUST(ftruncate(fd, (off_t)off) == 0);
            data_extend(off);
            model_len = off;
            break;
        case 7:
            if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)off, (off_t)len) ==
                0) {
                size_t end = off + len < model_len ? off + len : model_len;
                memset(model + off, 0, end > off ? end - off : 0);
            } else {
                MUST(errno == EOPNOTSUPP);
            }
            break;
        case 8: {
            loff_t from = (loff_t)off, dest = (loff_t)to;
            if (off + len <= model_len && (off + len <= to || to + len <= off)) {
                ssize_t n = copy_file_range(fd, &from, fd, &dest, len, 0);
                MUST(n > 0);
                data_extend(to + (size_t)n);
                memmove(model + to, model + off, (size_t)n);
            }
            break;
        }
        case 9: {
            int app = open(path, O_WRONLY | O_APPEND);
            MUST(app >= 0 && write(app, "appended", 8) == 8 && close(app) == 0);
            size_t old = model_len;
            data_extend(old + 8);
            memcpy(model + old, "appended", 8);
            break;
        }
        case 10:
            MUST(rnd(2) ? fsync(fd) == 0 : fdatasync(fd) == 0);
            break;
        default:
            MUST(close(fd) == 0);
            fd = open(path, O_RDWR);
            MUST(fd >= 0);
        }
        if (model_len > DATA_MAX - 50000) {
            MUST(ftruncate(fd, 1000) == 0);
            model_len = 1000;
        }
        MUST(fstat(fd, &st) == 0);
        if ((size_t)st.st_size != model_len) {
            FAIL("operation %u: %lld bytes long, not %zu", i, (long long)st.st_size, model_len);
        }
    }
    data_check(fd, 0, model_len, 0);
    MUST(close(fd) == 0);
    printf("data: %u operations, %zu bytes\n", ops, model_len);
    return 0;
}

/* --- tree --- */

static const uint32_t users[] = {0, 1000, 1001};

static void tree_name(char *buf, size_t size, uint64_t pick)
{
    unsigned depth = (unsigned)(pick % 3);
    size_t len = 0;
    for (unsigned i = 0; i <= depth; i++) {
        len += (size_t)snprintf(buf + len, size - len, "%s%c%u", i ? "/" : "",
                                i < depth ? 'd' : "dfl"[(pick >> 16) % 3],
                                (unsigned)(pick >> (8 * i + 20) & 3));
    }
}

/* One operation below the working directory, as @uid: 0 or the error. */
static int tree_do(unsigned op, const char *a, const char *b, uint32_t mode, uint32_t uid,
                   uint32_t to)
{
    int r = 0, fd;
    setfsgid(uid);
    setfsuid(uid);
    errno = 0;
    switch (op) {
    case 0:
    case 1:
        r = fd = open(a, O_RDWR | O_CREAT | O_NONBLOCK | (op ? O_EXCL : 0), mode & 0777);
        if (fd >= 0) {
            r = write(fd, a, strlen(a)) < 0 ? -1 : 0;
            close(fd);
        }
        break;
    case 2:
    case 3:
        r = mkdir(a, (mode & 01777) | 0500);
        break;
    case 4:
        r = unlink(a);
        break;
    case 5:
        r = rmdir(a);
        break;
    case 6:
    case 7:
        r = rename(a, b);
        break;
    case 8:
        r = link(a, b);
        break;
    case 9:
        r = symlink(b, a);
        break;
    case 10:
    case 11:
        r = chmod(a, mode & 07777);
        break;
    case 12:
        r = lchown(a, to, mode & 1 ? to : (uint32_t)-1);
        break;
    case 13:
        r = truncate(a, mode % 5000);
        break;
    case 14:
        r = fd = open(a, O_NONBLOCK | (mode & 1 ? O_RDONLY : O_WRONLY));
        if (fd >= 0) {
            close(fd);
            r = 0;
        }
        break;
    case 15:
        r = mknod(a, (mode & 1 ? S_IFIFO : uid ? S_IFREG : S_IFCHR) | (mode & 0777), 0x103);
        break;
    case 16:
        r = renameat2(AT_FDCWD, a, AT_FDCWD, b, mode & 1 ? RENAME_NOREPLACE : RENAME_EXCHANGE);
        break;
    default: {
        struct stat st;
        r = mode & 1 ? lstat(a, &st) : access(a, (int)(mode >> 1 & 7));
    }
    }
    int code = r < 0 ? errno : 0;
    setfsuid(0);
    setfsgid(0);
    return code;
}

static void tree_same_text(const char *path, const char *twin, const struct stat *st)
{
    static char a[5000], b[5000];
    ssize_t n = 0, m = 0;
    memset(a, 0, sizeof(a));
    memset(b, 0, sizeof(b));
    if (S_ISLNK(st->st_mode)) {
        n = readlink(path, a, sizeof(a));
        m = readlink(twin, b, sizeof(b));
    } else if (S_ISREG(st->st_mode)) {
        int f = open(path, O_RDONLY), g = open(twin, O_RDONLY);
        n = read(f, a, sizeof(a));
        m = read(g, b, sizeof(b));
        close(f);
        close(g);
    }
    if (n != m || memcmp(a, b, sizeof(a)) != 0) {
        FAIL("%s and %s hold other things (%zd and %zd bytes)", path, twin, n, m);
    }
}

static unsigned tree_compare(const char *path, const char *twin)
{
    struct stat a, b;
    unsigned count = 1;
    MUST(lstat(path, &a) == 0 && lstat(twin, &b) == 0);
    if (a.st_mode != b.st_mode || a.st_uid != b.st_uid || a.st_gid != b.st_gid ||
        (!S_ISDIR(a.st_mode) && (a.st_nlink != b.st_nlink || a.st_size != b.st_size)) ||
        a.st_rdev != b.st_rdev) {
        FAIL("%s: mode %o owner %u:%u links %u size %lld; twin %o %u:%u %u %lld", path, a.st_mode,
             a.st_uid, a.st_gid, (unsigned)a.st_nlink, (long long)a.st_size, b.st_mode, b.st_uid,
             b.st_gid, (unsigned)b.st_nlink, (long long)b.st_size);
    }
    if (!S_ISDIR(a.st_mode)) {
        tree_same_text(path, twin, &a);
        return count;
    }
    DIR *d = opendir(path), *t = opendir(twin);
    MUST(d && t);
    struct dirent *e;
    unsigned here = 0, there = 0;
    while ((e = readdir(d))) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            char p[600], q[600];
            struct stat st;
            snprintf(p, sizeof(p), "%s/%s", path, e->d_name);
            snprintf(q, sizeof(q), "%s/%s", twin, e->d_name);
            MUST(lstat(p, &st) == 0);
            MUST(e->d_type == DT_UNKNOWN || e->d_type == IFTODT(st.st_mode));
            count += tree_compare(p, q);
            here++;
        }
    }
    while ((e = readdir(t))) {
        there += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    }
    MUST(here == there);
    closedir(d);
    closedir(t);
    return count;
}

static int tree_run(const char *dir, const char *twin, unsigned ops)
{
    int fd[2] = {open(dir, O_RDONLY | O_DIRECTORY), open(twin, O_RDONLY | O_DIRECTORY)};
    unsigned worked = 0;
    MUST(fd[0] >= 0 && fd[1] >= 0);
    umask(022);
    MUST(chmod(dir, 01777) == 0 && chmod(twin, 01777) == 0);
    for (unsigned i = 0; i < ops; i++) {
        char a[64], b[64];
        unsigned op = (unsigned)rnd(18);
        uint32_t mode = (uint32_t)rnd(010000), uid = rnd(2) ? 0 : users[rnd(3)];
        uint32_t to = users[rnd(3)];
        tree_name(a, sizeof(a), rnd(UINT64_C(1) << 40));
        tree_name(b, sizeof(b), rnd(UINT64_C(1) << 40));
        int code[2];
        for (unsigned side = 0; side < 2; side++) {
            MUST(fchdir(fd[side]) == 0);
            code[side] = tree_do(op, a, b, mode, uid, to);
        }
        if (code[0] != code[1]) {
            FAIL("operation %u: %u (%s, %s, %o) by %u: %s, in the twin %s", i, op, a, b, mode, uid,
                 strerror(code[0]), strerror(code[1]));
        }
        worked += code[0] == 0;
        if (i % 200 == 199) {
            MUST(chdir("/") == 0);
            tree_compare(dir, twin);
        }
    }
    MUST(chdir("/") == 0);
    unsigned count = tree_compare(dir, twin);
    printf("tree: %u operations, %u worked, %u files\n", ops, worked, count);
    MUST(worked > ops / 10);
    return 0;
}

/* --- list --- */

/* Have the host do something. */
static void host_does(const char *what, unsigned round)
{
    int console = open("/dev/console", O_RDWR | O_NOCTTY);
    char c;
    MUST(console >= 0);
    dprintf(console, "host: %s %u\n", what, round);
    MUST(read(console, &c, 1) == 1);
    MUST(close(console) == 0);
}

/* Names that @dir gives, @most at most, into @to. */
static void list_names(DIR *dir, FILE *to, unsigned most)
{
    struct dirent *e;
    while (most-- && (e = readdir(dir))) {
        MUST(fprintf(to, "%s\n", e->d_name) > 0);
    }
}

static void list_into(DIR *dir, const char *out, unsigned round, const char *what)
{
    char name[256];
    snprintf(name, sizeof(name), "%s/%u.%s", out, round, what);
    FILE *to = fopen(name, "w");
    MUST(to);
    if (strcmp(what, "rest") == 0) {
        list_names(dir, to, 10);
        host_does("within", round);
    }
    list_names(dir, to, (unsigned)-1);
    MUST(fclose(to) == 0);
}

static int list_run(const char *path, const char *out, unsigned rounds)
{
    char own[256];
    snprintf(own, sizeof(own), "%s/guests", path);
    for (unsigned i = 0; i < rounds; i++) {
        if (i % 3 == 1) { /* what the guest's kernel knows changes as well */
            MUST(mkdir(own, 0755) == 0);
        } else if (i % 3 == 2) {
            MUST(rmdir(own) == 0);
        }
        host_does("between", i);
        DIR *dir = opendir(path);
        MUST(dir);
        list_into(dir, out, i, "new");
        host_does("rewound", i);
        rewinddir(dir);
        list_into(dir, out, i, "again");
        rewinddir(dir);
        list_into(dir, out, i, "rest");
        DIR *second = opendir(path);
        MUST(second);
        list_into(second, out, i, "second");
        MUST(closedir(dir) == 0 && closedir(second) == 0);
    }
    printf("list: %u rounds\n", rounds);
    return 0;
}

/* --- locks --- */

static int locked(int fd, int command, short type, off_t start, off_t len)
{
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = start, .l_len = len};
    return fcntl(fd, command, &lock) < 0 ? errno : 0;
}

static int locks_run(const char *path)
{
    int fd = open(path, O_RDWR | O_CREAT, 0644), up[2], down[2], status;
    char c;
    MUST(fd >= 0 && pipe(up) == 0 && pipe(down) == 0);
    MUST(locked(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    pid_t child = fork();
    if (child == 0) {
        int mine = open(path, O_RDWR);
        struct flock lock = {.l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 0, .l_len = 20};
        MUST(mine >= 0 && fcntl(mine, F_GETLK, &lock) == 0);
        MUST(lock.l_type == F_WRLCK && lock.l_start == 0 && lock.l_len == 10);
        MUST(lock.l_pid == getppid());
        MUST(locked(mine, F_SETLK, F_RDLCK, 5, 1) == EAGAIN);
        MUST(locked(mine, F_SETLK, F_WRLCK, 10, 0) == 0);
        MUST(flock(mine, LOCK_EX | LOCK_NB) == 0);
        MUST(write(up[1], "1", 1) == 1 && read(down[0], &c, 1) == 1);
        MUST(locked(mine, F_SETLKW, F_WRLCK, 0, 5) == 0); /* until the parent lets go */
        MUST(write(up[1], "2", 1) == 1 && read(down[0], &c, 1) == 1);
        exit(0);
    }
    MUST(read(up[0], &c, 1) == 1);
    MUST(locked(fd, F_SETLK, F_WRLCK, 10, 1) == EAGAIN);
    MUST(flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK);
    MUST(write(down[1], "1", 1) == 1);
    usleep(50000); /* so that the child rather waits; right or not does not depend on it */
    MUST(locked(fd, F_SETLK, F_UNLCK, 0, 10) == 0);
    MUST(read(up[0], &c, 1) == 1 && c == '2');
    MUST(locked(fd, F_SETLK, F_RDLCK, 0, 1) == EAGAIN);
    MUST(write(down[1], "2", 1) == 1);
    MUST(waitpid(child, &status, 0) == child && status == 0);
    MUST(locked(fd, F_SETLK, F_WRLCK, 0, 0) == 0); /* all gone with the process */
    MUST(flock(fd, LOCK_EX | LOCK_NB) == 0);
    printf("locks: fine\n");
    return 0;
}

/* What the host has to say about locks of this guest, and of its own. */
static int hold_run(const char *path)
{
    int fd = open(path, O_RDWR), console = open("/dev/console", O_RDWR | O_NOCTTY);
    MUST(fd >= 0 && console >= 0);
    MUST(locked(fd, F_SETLK, F_WRLCK, 0, 10) == 0);
    host_does("locked", 0);
    MUST(locked(fd, F_SETLK, F_RDLCK, 105, 1) == EAGAIN);
    dprintf(console, "host: waiting\n");
    MUST(locked(fd, F_SETLKW, F_WRLCK, 100, 10) == 0);
    printf("hold: fine\n");
    return 0;
}

/* --- mmap --- */

static int mmap_run(const char *path)
{
    enum { LEN = 65536, PROCESSES = 4, ROUNDS = 2000 };
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644), status;
    MUST(fd >= 0 && ftruncate(fd, LEN) == 0);
    for (unsigned p = 0; p < PROCESSES; p++) {
        if (fork() == 0) {
            uint32_t *map = mmap(NULL, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
            MUST(map != MAP_FAILED);
            for (unsigned i = 0; i < ROUNDS; i++) {
                __atomic_fetch_add(&map[i % (LEN / 4)], 1, __ATOMIC_SEQ_CST);
            }
            exit(0);
        }
    }
    for (unsigned p = 0; p < PROCESSES; p++) {
        MUST(wait(&status) > 0 && status == 0);
    }
    MUST(fsync(fd) == 0);
    static uint32_t back[LEN / 4];
    MUST(pread(fd, back, LEN, 0) == LEN);
    for (unsigned i = 0; i < LEN / 4; i++) {
        MUST(back[i] == (i < ROUNDS ? PROCESSES : 0));
    }
    MUST(pwrite(fd, "\7\0\0", 4, 4) == 4);
    uint32_t *map = mmap(NULL, LEN, PROT_READ, MAP_PRIVATE, fd, 0);
    MUST(map != MAP_FAILED && map[1] == 7);
    printf("mmap: fine\n");
    return 0;
}

/* --- xattr --- */

static int xattr_run(const char *path)
{
    char buf[4000], list[1000];
    int fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0644);
    MUST(fd >= 0);
    MUST(fsetxattr(fd, "user.one", "first", 5, XATTR_CREATE) == 0);
    MUST(fsetxattr(fd, "user.one", "first", 5, XATTR_CREATE) < 0 && errno == EEXIST);
    memset(buf, 'x', sizeof(buf));
    MUST(setxattr(path, "user.large", buf, 2000, 0) == 0);
    MUST(setxattr(path, "trusted.two", "root's", 6, 0) == 0);
    MUST(setxattr(path, "security.three", "", 0, 0) == 0);
    MUST(setxattr(path, "user.vireo.stat", "1 1 104755 0", 12, 0) < 0 && errno == EPERM);
    MUST(getxattr(path, "user.large", buf, sizeof(buf)) == 2000);
    MUST(getxattr(path, "trusted.two", buf, sizeof(buf)) == 6 && memcmp(buf, "root's", 6) == 0);
    MUST(getxattr(path, "user.none", buf, 10) < 0 && errno == ENODATA);
    ssize_t len = listxattr(path, list, sizeof(list));
    unsigned count = 0;
    for (char *p = list; p < list + len; p += strlen(p) + 1) {
        count++;
        MUST(strncmp(p, "user.vireo", 10) != 0);
    }
    MUST(count == 4);
    MUST(removexattr(path, "user.one") == 0 && getxattr(path, "user.one", buf, 10) < 0);
    printf("xattr: fine\n");
    return 0;
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int speed_run(const char *dir)
{
    enum { FILES = 1000, MIB = 64 };
    static char block[1 << 20];
    char name[64];
    struct stat st;
    MUST(chdir(dir) == 0);
    double t = now();
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0644);
        MUST(fd >= 0 && write(fd, name, 5) == 5 && close(fd) == 0);
    }
    printf("create %.0f/s", FILES / (now() - t));
    t = now();
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        MUST(stat(name, &st) == 0);
    }
    printf(", stat %.0f/s", FILES / (now() - t));
    t = now();
    for (unsigned i = 0; i < FILES; i++) {
        snprintf(name, sizeof(name), "s%u", i);
        MUST(unlink(name) == 0);
    }
    printf(", unlink %.0f/s", FILES / (now() - t));
    int fd = open("large", O_RDWR | O_CREAT, 0644);
    t = now();
    for (unsigned i = 0; i < MIB; i++) {
        MUST(write(fd, block, sizeof(block)) == sizeof(block));
    }
    printf(", write %.0f MiB/s", MIB / (now() - t));
    posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    MUST(lseek(fd, 0, SEEK_SET) == 0);
    t = now();
    for (unsigned i = 0; i < MIB; i++) {
        MUST(read(fd, block, sizeof(block)) == sizeof(block));
    }
    printf(", read %.0f MiB/s\n", MIB / (now() - t));
    return unlink("large");
}

int main(int argc, char **argv)
{
    const char *what = argc > 2 ? argv[1] : "";
    if (strcmp(what, "data") == 0 && argc == 5) {
        seed = strtoull(argv[3], NULL, 0);
        return data_run(argv[2], (unsigned)atoi(argv[4]));
    }
    if (strcmp(what, "tree") == 0 && argc == 6) {
        seed = strtoull(argv[4], NULL, 0);
        return tree_run(argv[2], argv[3], (unsigned)atoi(argv[5]));
    }
    if (strcmp(what, "list") == 0 && argc == 5) {
        return list_run(argv[2], argv[3], (unsigned)atoi(argv[4]));
    }
    if (strcmp(what, "locks") == 0) {
        return locks_run(argv[2]);
    }
    if (strcmp(what, "hold") == 0) {
        return hold_run(argv[2]);
    }
    if (strcmp(what, "mmap") == 0) {
        return mmap_run(argv[2]);
    }
    if (strcmp(what, "xattr") == 0) {
        return xattr_run(argv[2]);
    }
    if (strcmp(what, "speed") == 0) {
        return speed_run(argv[2]);
    }
    printf("share: what?\n");
    return 2;
}
