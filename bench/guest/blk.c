/*
 * Block device benchmark with O_DIRECT: blk DEV SECONDS GROUP [test...]
 *
 *   seqread seqwrite     MB/s, 1 MiB requests one after another; seqread4: four at a time
 *   rread1 rwrite1       4 KiB requests a second, anywhere, one after another
 *   rread32 rwrite32     the same, 32 at a time
 *   sync                 4 KiB write and fdatasync a second
 *
 * Several at a time are one thread's asynchronous requests (io_submit(2)), so that the guest's
 * scheduler is not what is measured. Lines begin with GROUP: blk where the image is a file on a
 * disk, blkmem where it is in memory.
 */
#include "io.h"

#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/fs.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define DEPTH_MAX 32

struct test {
    const char *name;
    size_t len;
    unsigned depth;
    bool is_write, is_random, is_synced;
};

static const struct test tests[] = {
    {"seqwrite", 1 << 20, 1, true, false, false},  {"seqread", 1 << 20, 1, false, false, false},
    {"seqread4", 1 << 20, 4, false, false, false}, {"rread1", 4096, 1, false, true, false},
    {"rread32", 4096, 32, false, true, false},     {"rwrite1", 4096, 1, true, true, false},
    {"rwrite32", 4096, 32, true, true, false},     {"sync", 4096, 1, true, true, true},
};

struct place {
    uint64_t seed, next, size;
};

static off_t place_of(struct place *p, const struct test *t)
{
    if (t->is_random) {
        p->seed ^= p->seed << 13;
        p->seed ^= p->seed >> 7;
        p->seed ^= p->seed << 17;
        return (off_t)(p->seed % (p->size / t->len) * t->len);
    }
    if (p->next + t->len > p->size) {
        p->next = 0;
    }
    p->next += t->len;
    return (off_t)(p->next - t->len);
}

static uint64_t one_at_a_time(int fd, const struct test *t, struct place *p, char *buffer,
                              double stop)
{
    uint64_t count = 0;
    for (; io_now() < stop; count++) {
        off_t at = place_of(p, t);
        ssize_t got = t->is_write ? pwrite(fd, buffer, t->len, at) : pread(fd, buffer, t->len, at);
        if (got != (ssize_t)t->len || (t->is_synced && fdatasync(fd))) {
            io_die(t->name);
        }
    }
    return count;
}

static void submit(aio_context_t context, struct iocb *request)
{
    if (syscall(SYS_io_submit, context, 1L, &request) != 1) {
        io_die("io_submit");
    }
}

static uint64_t many_at_a_time(int fd, const struct test *t, struct place *p, char *buffer,
                               double stop)
{
    aio_context_t context = 0;
    struct iocb requests[DEPTH_MAX];
    struct io_event events[DEPTH_MAX];
    if (syscall(SYS_io_setup, t->depth, &context)) {
        io_die("io_setup");
    }
    for (unsigned i = 0; i < t->depth; i++) {
        requests[i] =
            (struct iocb){.aio_fildes = (uint32_t)fd,
                          .aio_lio_opcode = t->is_write ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
                          .aio_buf = (uintptr_t)(buffer + i * t->len),
                          .aio_nbytes = t->len,
                          .aio_offset = place_of(p, t),
                          .aio_data = i};
        submit(context, &requests[i]);
    }
    uint64_t count = 0;
    for (unsigned busy = t->depth; busy > 0;) {
        long got = syscall(SYS_io_getevents, context, 1L, (long)t->depth, events, NULL);
        if (got < 1) {
            io_die("io_getevents");
        }
        for (long i = 0; i < got; i++) {
            if (events[i].res != (int64_t)t->len) {
                io_die(t->name);
            }
            count++;
            if (io_now() < stop) {
                struct iocb *request = &requests[events[i].data];
                request->aio_offset = place_of(p, t);
                submit(context, request);
            } else {
                busy--;
            }
        }
    }
    syscall(SYS_io_destroy, context);
    return count;
}

int main(int argc, char **argv)
{
    if (argc < 4) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    int fd = open(argv[1], O_RDWR | O_DIRECT);
    if (fd < 0) {
        io_die(argv[1]);
    }
    uint64_t size = 0;
    if (ioctl(fd, BLKGETSIZE64, &size)) {
        size = (uint64_t)lseek(fd, 0, SEEK_END);
    }
    void *buffer = NULL;
    if (posix_memalign(&buffer, 4096, 4 << 20)) {
        io_die("posix_memalign");
    }
    memset(buffer, 0x5a, 4 << 20);
    for (size_t i = 0; i < sizeof(tests) / sizeof(tests[0]); i++) {
        const struct test *t = &tests[i];
        bool is_wanted = argc == 4;
        for (int a = 4; a < argc; a++) {
            is_wanted = is_wanted || strcmp(argv[a], t->name) == 0;
        }
        if (!is_wanted) {
            continue;
        }
        struct place place = {.seed = 0x9e3779b97f4a7c15u, .size = size};
        double began = io_begin_of(argv[3], t->name), stop = began + atof(argv[2]);
        uint64_t count = t->depth == 1 ? one_at_a_time(fd, t, &place, buffer, stop)
                                       : many_at_a_time(fd, t, &place, buffer, stop);
        io_end_of(argv[3], t->name, t->is_random ? (double)count : (double)(count * t->len) / 1e6,
                  began);
    }
    free(buffer);
    close(fd);
    return 0;
}
