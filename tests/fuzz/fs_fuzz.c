/*
 * A hostile guest at a shared directory, through the ring of a virtio-fs device: the input is a
 * program of FUSE messages, sound or not, with numbers of files and handles that replies gave or
 * that nobody did, resets, snapshots, and programs of the host that move things about (enum op).
 *
 * Beyond what the sanitizers see: a file beside the directory is never read or changed (what it
 * holds is looked for in every reply), every reply is well formed and lies in its buffer, nothing
 * is left open, and at the end the device serves a new session.
 */
#include "fuzz.h"

#include "backend/fs/fs.h"
#include "backend/fs/wire.h"
#include "base/bits.h"
#include "core/snap.h"
#include "dev/virtio/fs.h"
#include "dev/virtio/virtio.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    RAM_LEN = 1 << 18,
    RING = 0x1000,
    IN = 0x8000,
    IN_LEN = 0x8000,
    OUT = 0x10000,
    OUT_LEN = 0x10000,
    SLOTS = 4,
    RING_SIZE = 16
};
#define RAM_GPA UINT64_C(0x80000000)
#define SECRET  "0123-beside-the-share-4567"

enum op {
    OP_MESSAGE, /* see op_message */
    OP_BURST,   /* the next messages are not waited for */
    OP_WAIT,
    OP_RESET,
    OP_SNAPSHOT,
    OP_HOST, /* u8: something happens on the host */
    OP_COUNT,
};
/* How a message is. */
enum { M_NODE_WILD = 1, M_FH = 2, M_LIE = 4, M_SMALL = 8, M_HIPRIO = 16, M_TWO = 32, M_CUT = 64 };

struct fuzz {
    struct fuzz_reader in;
    struct vr_env env;
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_fs *fs;
    struct vr_dev *dev;
    uint16_t avail[2];
    unsigned slot, burst;
    uint64_t unique[SLOTS], node[8], fh[8];
    unsigned opcode[SLOTS], nodes, fhs;
};

static const char *const names[] = {
    "a", "b",   "d",           "d",         "link", "host", "..",     ".",
    "",  "a/b", "/etc/passwd", "../secret", "e",    "f",    "user.x", "security.capability"};

static char base[32]; /* the folder that holds share and secret, for all inputs of a process */

static uint64_t take(struct fuzz *f, unsigned width)
{
    return fuzz_take(&f->in, width);
}

/* --- The host's side --- */

static void in_base(char *path, size_t size, const char *name)
{
    snprintf(path, size, "%s/%s", base, name);
}

static void put_file(const char *name, const char *text)
{
    char path[128];
    in_base(path, sizeof(path), name);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd >= 0) {
        (void)!write(fd, text, strlen(text));
        close(fd);
    }
}

static int remove_one(const char *path, const struct stat *st, int what, struct FTW *ftw)
{
    (void)st;
    (void)what;
    (void)ftw;
    (void)chmod(path, 0700);
    return remove(path);
}

static void remove_base(void)
{
    (void)nftw(base, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void make_base(void)
{
    if (!base[0]) {
        /* Nobody's disk is filled by a guest that asks for a terabyte. */
        const struct rlimit limit = {.rlim_cur = 1 << 20, .rlim_max = RLIM_INFINITY};
        signal(SIGXFSZ, SIG_IGN);
        vr_assert(setrlimit(RLIMIT_FSIZE, &limit) == 0);
        strcpy(base, "fs_fuzz_XXXXXX");
        vr_assert(mkdtemp(base));
        atexit(remove_base);
    }
    char path[128];
    in_base(path, sizeof(path), "share");
    vr_assert(mkdir(path, 0755) == 0);
    put_file("secret", SECRET);
    put_file("share/host", "from the host");
}

static void clear_base(void)
{
    char path[128], text[64] = "";
    in_base(path, sizeof(path), "secret");
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    vr_assert(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0 && strcmp(text, SECRET) == 0);
    close(fd);
    in_base(path, sizeof(path), "share");
    (void)nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void op_host(struct fuzz *f)
{
    char a[128], b[128];
    in_base(a, sizeof(a), "share/a");
    in_base(b, sizeof(b), "share/d");
    switch (take(f, 1) % 6) {
    case 0:
        (void)!symlink("../secret", a);
        break;
    case 1:
        (void)renameat2(AT_FDCWD, a, AT_FDCWD, b, RENAME_EXCHANGE);
        break;
    case 2:
        (void)remove(a);
        break;
    case 3:
        (void)!symlink("..", b);
        break;
    case 4:
        (void)mkfifo(a, 0666);
        break;
    default:
        put_file("share/a", "another");
        break;
    }
}

/* --- The driver --- */

static void set(struct fuzz *f, unsigned reg, uint64_t val)
{
    vr_dev_write(f->dev, 0, reg, 4, val);
}

static uint64_t queue_gpa(unsigned queue)
{
    return RAM_GPA + RING + queue * UINT64_C(0x1000);
}

static void start(struct fuzz *f)
{
    set(f, 0x70, 0);
    set(f, 0x70, 3);
    for (unsigned i = 0; i < 2; i++) {
        set(f, 0x24, i);
        set(f, 0x20, i); /* VERSION_1 */
    }
    set(f, 0x70, 11);
    for (unsigned q = 0; q < 2; q++) {
        uint64_t gpa = queue_gpa(q);
        memset(f->ram->hva + (gpa - RAM_GPA), 0, 0x1000);
        set(f, 0x30, q);
        set(f, 0x38, RING_SIZE);
        for (unsigned i = 0; i < 3; i++) { /* 0x400 apart */
            set(f, 0x80 + 16 * i, (uint32_t)(gpa + 0x400 * i));
            set(f, 0x84 + 16 * i, (gpa + 0x400 * i) >> 32);
        }
        set(f, 0x44, 1);
        f->avail[q] = 0;
    }
    set(f, 0x70, 15);
}

static uint8_t *slot_in(struct fuzz *f, unsigned slot)
{
    return f->ram->hva + IN + slot * (IN_LEN / SLOTS);
}

static uint8_t *slot_out(struct fuzz *f, unsigned slot)
{
    return f->ram->hva + OUT + slot * (OUT_LEN / SLOTS);
}

static void desc(struct fuzz *f, unsigned queue, unsigned i, const uint8_t *at, uint32_t len,
                 unsigned flags)
{
    uint8_t *p = f->ram->hva + (queue_gpa(queue) - RAM_GPA) + i * 16;
    vr_store_le64(p, RAM_GPA + (uint64_t)(at - f->ram->hva));
    vr_store_le32(p + 8, len);
    vr_store_le16(p + 12, (uint16_t)flags);
    vr_store_le16(p + 14, (uint16_t)(i + 1));
}

/* The message of @len bytes in @slot, with room for @room bytes of reply. */
static void send(struct fuzz *f, unsigned queue, unsigned slot, uint32_t len, uint32_t room)
{
    uint8_t *avail = f->ram->hva + (queue_gpa(queue) - RAM_GPA) + 0x400;
    unsigned head = slot * 2;
    memset(slot_out(f, slot), 0xaa, sizeof(struct fuse_out_header));
    desc(f, queue, head, slot_in(f, slot), len, room ? 1 : 0);
    desc(f, queue, head + 1, slot_out(f, slot), room, 2);
    vr_store_le16(avail + 4 + f->avail[queue] % RING_SIZE * 2, (uint16_t)head);
    vr_store_le16(avail + 2, ++f->avail[queue]);
    set(f, 0x50, queue);
}

/* What a reply says: numbers to go on with. */
static void harvest(struct fuzz *f, unsigned slot)
{
    struct fuse_out_header h;
    struct fuse_entry_out entry;
    struct fuse_open_out opened;
    const uint8_t *out = slot_out(f, slot), *body = out + sizeof(h);
    unsigned op = f->opcode[slot];
    memcpy(&h, out, sizeof(h));
    if (h.unique != f->unique[slot]) {
        return; /* none came */
    }
    vr_assert(h.len >= sizeof(h) && h.len <= OUT_LEN / SLOTS && h.error <= 0 && h.error > -512);
    vr_assert(h.error == 0 || h.len == sizeof(h));
    vr_assert(!memmem(body, h.len - sizeof(h), SECRET, sizeof(SECRET) - 1));
    if (h.error) {
        return;
    }
    bool makes = op == FUSE_LOOKUP || op == FUSE_SYMLINK || op == FUSE_MKNOD || op == FUSE_MKDIR ||
                 op == FUSE_LINK || op == FUSE_CREATE;
    if (makes) {
        memcpy(&entry, body, sizeof(entry));
        f->node[f->nodes++ % 8] = entry.nodeid;
    }
    if (op == FUSE_OPEN || op == FUSE_OPENDIR || op == FUSE_CREATE) {
        memcpy(&opened, body + (op == FUSE_CREATE ? sizeof(entry) : 0), sizeof(opened));
        f->fh[f->fhs++ % 8] = opened.fh;
    }
}

static void wait_all(struct fuzz *f)
{
    vr_fs_drain(f->fs);
    for (unsigned i = 0; i < f->slot; i++) {
        harvest(f, i);
    }
    f->slot = 0;
}

/* u8 opcode, u8 how, u8 node, u8 name, u8 length of the struct, its bytes. */
static void op_message(struct fuzz *f)
{
    unsigned slot = f->slot, op = (unsigned)take(f, 1) % FUSE_OPS, how = (unsigned)take(f, 1);
    unsigned node = (unsigned)take(f, 1), name = (unsigned)take(f, 1);
    uint32_t arg_len = (uint32_t)take(f, 1) % 120, len = sizeof(struct fuse_in_header);
    uint8_t *msg = slot_in(f, slot);
    struct fuse_in_header h = {
        .opcode = op,
        .unique = 0x1000 + slot,
        .nodeid = how & M_NODE_WILD ? node * UINT64_C(0x100000001)
                  : node % 9 == 8   ? FUSE_ROOT_ID
                                    : f->node[node % 8],
        .uid = node & 0x80 ? 1000 : 0,
    };
    memset(msg, 0, IN_LEN / SLOTS);
    for (uint32_t i = 0; i < arg_len; i++) {
        msg[len + i] = (uint8_t)take(f, 1);
    }
    if ((how & M_FH) && arg_len >= 8) {
        vr_store_le64(msg + len, f->fh[name % 8]);
    }
    len += arg_len;
    for (unsigned i = 0; i < (how & M_TWO ? 2 : 1); i++) {
        const char *text = names[(name + i * 7) % VR_COUNT(names)];
        if (op == FUSE_WRITE || op == FUSE_READ || (how & M_CUT)) {
            break;
        }
        memcpy(msg + len, text, strlen(text) + 1);
        len += (uint32_t)strlen(text) + 1;
    }
    h.len = how & M_LIE ? len + name : len;
    memcpy(msg, &h, sizeof(h));
    f->unique[slot] = h.unique;
    f->opcode[slot] = op;
    f->slot++;
    send(f, how & M_HIPRIO ? 0 : 1, slot, len, how & M_SMALL ? name : OUT_LEN / SLOTS);
    f->burst -= f->burst > 0;
    if (f->slot == SLOTS || !f->burst) {
        wait_all(f);
    }
}

static void init_session(struct fuzz *f)
{
    struct {
        struct fuse_in_header h;
        struct fuse_init_in in;
    } msg = {.h = {.len = sizeof(msg), .opcode = FUSE_INIT, .unique = 0x1000},
             .in = {.major = FUSE_MAJOR, .minor = FUSE_MINOR, .flags = UINT32_MAX}};
    memcpy(slot_in(f, 0), &msg, sizeof(msg));
    f->unique[0] = 0x1000;
    f->opcode[0] = FUSE_INIT;
    f->slot = 1;
    send(f, 1, 0, sizeof(msg), OUT_LEN / SLOTS);
    wait_all(f);
    for (unsigned i = 0; i < 8; i++) {
        f->node[i] = FUSE_ROOT_ID;
    }
}

static void op_reset(struct fuzz *f)
{
    start(f); /* with what is in flight */
    vr_fs_drain(f->fs);
    f->slot = 0;
    init_session(f);
}

static void op_snapshot(struct fuzz *f)
{
    struct vr_snap snap;
    wait_all(f);
    vr_dev_quiesce(f->dev);
    vr_snap_init(&snap);
    int r = vr_dev_save(f->dev, &snap, NULL);
    vr_assert(r == 0 || r == -EBUSY); /* deleted files, or locks */
    if (r == 0) {
        vr_assert(vr_dev_load(f->dev, &snap, NULL) == 0); /* what we save we can load */
    }
    vr_snap_fini(&snap);
    vr_clock_step(f->env.clock, 1000000); /* time runs again */
}

static void run(struct fuzz *f)
{
    for (unsigned steps = 0; f->in.len && steps < 100; steps++) {
        switch (take(f, 1) % OP_COUNT) {
        case OP_MESSAGE:
            op_message(f);
            break;
        case OP_BURST:
            f->burst = SLOTS;
            break;
        case OP_WAIT:
            wait_all(f);
            break;
        case OP_RESET:
            op_reset(f);
            break;
        case OP_SNAPSHOT:
            op_snapshot(f);
            break;
        default:
            op_host(f);
            break;
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct fuzz f = {.in = {.buf = data, .len = len}};
    char share[128];
    uint8_t how = (uint8_t)take(&f, 1);
    make_base();
    in_base(share, sizeof(share), "share");
    const struct vr_fs_dir_opts opts = {.path = share,
                                        .read_only = how & 1,
                                        .host_locks = how & 2,
                                        .cache = (enum vr_fs_cache)(how >> 2 & 3) % 3,
                                        .fds_max = 40,
                                        .nodes_max = 60};
    vr_assert(vr_clock_create(VR_CLOCK_STEPPED, &f.env.clock, NULL) == 0);
    vr_assert(vr_space_create("mem", UINT64_MAX >> 8, &f.env.mem, NULL) == 0);
    vr_assert(vr_loop_create(&f.env.loop, NULL) == 0);
    vr_assert(vr_ram_create("ram", RAM_LEN, &f.ram, NULL) == 0);
    f.region = (struct vr_region){
        .name = "ram", .kind = VR_REGION_RAM, .gpa = RAM_GPA, .len = RAM_LEN, .ram = f.ram};
    vr_assert(vr_space_add(f.env.mem, &f.region, NULL) == 0);
    vr_assert(vr_dev_create(&vr_virtio_fs_mmio_class, "v", NULL, &f.env, &f.dev, NULL) == 0);
    vr_assert(vr_fs_open_dir(&opts, f.env.loop, &f.fs, NULL) == 0);
    vr_virtio_fs_attach(f.dev, f.fs);
    start(&f);
    init_session(&f);
    run(&f);
    wait_all(&f);
    op_reset(&f);
    vr_assert(vr_dev_read(f.dev, 0, 0x70, 4) == 15);
    struct fuse_out_header last;
    memcpy(&last, slot_out(&f, 0), sizeof(last));
    vr_assert(last.error == 0 && last.len > sizeof(last)); /* INIT was answered */
    vr_dev_destroy(f.dev);
    vr_fs_close(f.fs); /* asserts that nothing is open */
    vr_loop_destroy(f.env.loop);
    vr_space_remove(f.env.mem, &f.region);
    vr_space_destroy(f.env.mem);
    vr_ram_destroy(f.ram);
    vr_clock_destroy(f.env.clock);
    clear_base();
    return 0;
}

/* --- Examples --- */

/* Nodes are asked for by their turn (8: the root), names by their place above. */
static void message(struct fuzz_writer *w, unsigned op, unsigned how, unsigned node, unsigned name,
                    const void *arg, size_t arg_len)
{
    fuzz_put(w, OP_MESSAGE, 1);
    fuzz_put(w, op, 1);
    fuzz_put(w, how, 1);
    fuzz_put(w, node, 1);
    fuzz_put(w, name, 1);
    fuzz_put(w, arg_len, 1);
    for (size_t i = 0; i < arg_len; i++) {
        fuzz_put(w, ((const uint8_t *)arg)[i], 1);
    }
}

static void seed_files(struct fuzz_writer *w)
{
    const struct fuse_create_in create = {.flags = O_RDWR | O_CREAT, .mode = 0644};
    const struct fuse_setattr_in attr = {.valid = 0x77, .size = 3000, .mode = 04755, .uid = 5};
    const struct fuse_read_in read = {.size = 64};
    const struct fuse_fallocate_in more = {.length = 8000};
    const struct fuse_lseek_in seek = {.whence = SEEK_DATA};
    const struct fuse_release_in release = {.flags = 0};
    uint8_t data[sizeof(struct fuse_write_in) + 20] = {0};
    data[16] = 20;
    message(w, FUSE_CREATE, 0, 8, 0, &create, sizeof(create));
    message(w, FUSE_WRITE, M_FH, 0, 0, data, sizeof(data));
    message(w, FUSE_READ, M_FH, 0, 0, &read, sizeof(read));
    message(w, FUSE_SETATTR, M_CUT, 0, 0, &attr, sizeof(attr));
    message(w, FUSE_FALLOCATE, M_FH | M_CUT, 0, 0, &more, sizeof(more));
    message(w, FUSE_LSEEK, M_FH | M_CUT, 0, 0, &seek, sizeof(seek));
    fuzz_put(w, OP_SNAPSHOT, 1);
    message(w, FUSE_READ, M_FH, 0, 0, &read, sizeof(read));
    message(w, FUSE_RELEASE, M_FH | M_CUT, 0, 0, &release, sizeof(release));
}

static void seed_names(struct fuzz_writer *w)
{
    const uint32_t mode[4] = {0755};
    const uint64_t root = FUSE_ROOT_ID;
    const struct fuse_rename2_in rename = {.newdir = FUSE_ROOT_ID};
    const struct fuse_forget_in forget = {.nlookup = 1};
    message(w, FUSE_MKDIR, 0, 8, 2, mode, 8);       /* d */
    message(w, FUSE_SYMLINK, M_TWO, 0, 0, NULL, 0); /* d/a */
    message(w, FUSE_READLINK, M_CUT, 1, 0, NULL, 0);
    message(w, FUSE_LOOKUP, 0, 8, 5, NULL, 0); /* host */
    message(w, FUSE_LINK, 0, 0, 1, &root, 8);
    message(w, FUSE_RENAME2, M_TWO, 0, 0, &rename, sizeof(rename));
    fuzz_put(w, OP_HOST, 1);
    fuzz_put(w, 1, 1);
    message(w, FUSE_LOOKUP, 0, 8, 0, NULL, 0);
    message(w, FUSE_UNLINK, 0, 8, 7, NULL, 0);
    message(w, FUSE_RMDIR, 0, 8, 2, NULL, 0);
    fuzz_put(w, OP_BURST, 1);
    message(w, FUSE_FORGET, M_HIPRIO | M_CUT, 0, 0, &forget, sizeof(forget));
    message(w, FUSE_GETATTR, M_CUT, 0, 0, mode, 16);
}

static void seed_folders(struct fuzz_writer *w)
{
    const struct fuse_open_in open = {.flags = 0};
    const struct fuse_read_in read = {.size = 4096};
    message(w, FUSE_OPENDIR, M_CUT, 8, 0, &open, sizeof(open));
    message(w, FUSE_READDIR, M_FH, 8, 0, &read, sizeof(read));
    message(w, FUSE_READDIRPLUS, M_FH | M_CUT, 8, 0, &read, sizeof(read));
    fuzz_put(w, OP_RESET, 1);
    message(w, FUSE_STATFS, M_CUT, 8, 0, NULL, 0);
}

static void seed_rest(struct fuzz_writer *w)
{
    const struct fuse_setxattr_in set = {.size = 2};
    const struct fuse_getxattr_in get = {.size = 100};
    const struct fuse_open_in open = {.flags = O_RDWR};
    const struct fuse_lk_in lock = {.owner = 1, .lk = {.end = 10, .type = 1}};
    const struct fuse_copy_in copy = {.nodeid_out = 2, .len = 5};
    message(w, FUSE_LOOKUP, 0, 8, 5, NULL, 0);
    message(w, FUSE_SETXATTR, M_TWO, 0, 14, &set, sizeof(set));
    message(w, FUSE_GETXATTR, 0, 0, 14, &get, sizeof(get));
    message(w, FUSE_LISTXATTR, M_CUT, 0, 0, &get, sizeof(get));
    message(w, FUSE_REMOVEXATTR, 0, 0, 14, NULL, 0);
    message(w, FUSE_OPEN, M_CUT, 0, 0, &open, sizeof(open));
    message(w, FUSE_SETLK, M_FH | M_CUT, 0, 0, &lock, sizeof(lock));
    message(w, FUSE_SETLKW, M_FH | M_CUT, 0, 0, &lock, sizeof(lock));
    message(w, FUSE_GETLK, M_FH | M_CUT, 0, 0, &lock, sizeof(lock));
    message(w, FUSE_COPY_FILE_RANGE, M_FH | M_CUT, 0, 0, &copy, sizeof(copy));
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static void (*const seeds[])(struct fuzz_writer * w) = {seed_files, seed_names, seed_folders,
                                                            seed_rest};
    struct fuzz_writer w = {.buf = buf, .cap = cap};
    if (n / 4 >= VR_COUNT(seeds)) {
        return 0;
    }
    fuzz_put(&w, n % 4 == 3 ? 3 : n % 4 << 1, 1);
    seeds[n / 4](&w);
    return w.len;
}
