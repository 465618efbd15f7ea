/* Block device benchmark with O_DIRECT: blk DEV SECONDS [test...]
 * seqread seqwrite (MB/s, 1 MiB requests, depth 1), seqread4 (4 threads),
 * rread1 rwrite1 (4 KiB IOPS, depth 1), rread16 (16 threads), sync (4 KiB write + fdatasync per
 * second) */
#include <fcntl.h>
#include <linux/fs.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}
static int fd;
static uint64_t size;
static double secs, stop;
struct job {
    size_t bs;
    int wr, rnd, sync;
    uint64_t n, off;
    pthread_t t;
    unsigned seed;
};
static void *work(void *p)
{
    struct job *j = p;
    void *b;
    if (posix_memalign(&b, 4096, j->bs)) {
        exit(1);
    }
    memset(b, 0x5a, j->bs);
    uint64_t off = j->off, s = j->seed * 0x9e3779b97f4a7c15ull + 1;
    while (now() < stop) {
        if (j->rnd) {
            s ^= s << 13;
            s ^= s >> 7;
            s ^= s << 17;
            off = s % (size / j->bs) * j->bs;
        } else if (off + j->bs > size) {
            off = 0;
        }
        ssize_t r = j->wr ? pwrite(fd, b, j->bs, (off_t)off) : pread(fd, b, j->bs, (off_t)off);
        if (r != (ssize_t)j->bs) {
            perror("io");
            exit(1);
        }
        if (j->sync && fdatasync(fd)) {
            perror("fdatasync");
            exit(1);
        }
        off += j->bs;
        j->n++;
    }
    free(b);
    return NULL;
}
static const struct {
    const char *name;
    size_t bs;
    int thr, wr, rnd, sync;
} tab[] = {
    {"seqwrite", 1 << 20, 1, 1, 0, 0}, {"seqread", 1 << 20, 1, 0, 0, 0},
    {"seqread4", 1 << 20, 4, 0, 0, 0}, {"rread1", 4096, 1, 0, 1, 0},
    {"rread16", 4096, 16, 0, 1, 0},    {"rwrite1", 4096, 1, 1, 1, 0},
    {"sync", 4096, 1, 1, 1, 1},
};
int main(int argc, char **argv)
{
    if (argc < 3) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    fd = open(argv[1], O_RDWR | O_DIRECT);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    if (ioctl(fd, BLKGETSIZE64, &size)) {
        size = (uint64_t)lseek(fd, 0, SEEK_END);
    }
    secs = atof(argv[2]);
    for (size_t i = 0; i < sizeof tab / sizeof *tab; i++) {
        int want = argc == 3;
        for (int a = 3; a < argc; a++) {
            want |= !strcmp(argv[a], tab[i].name);
        }
        if (!want) {
            continue;
        }
        struct job j[16];
        printf("#BEGIN blk_%s\n", tab[i].name);
        double t0 = now();
        stop = t0 + secs;
        for (int k = 0; k < tab[i].thr; k++) {
            j[k] = (struct job){.bs = tab[i].bs,
                                .wr = tab[i].wr,
                                .rnd = tab[i].rnd,
                                .sync = tab[i].sync,
                                .seed = (unsigned)k + 1,
                                .off = size / 4096 / (unsigned)tab[i].thr * (unsigned)k * 4096};
            pthread_create(&j[k].t, NULL, work, &j[k]);
        }
        uint64_t n = 0;
        for (int k = 0; k < tab[i].thr; k++) {
            pthread_join(j[k].t, NULL);
            n += j[k].n;
        }
        double t = now() - t0,
               r = tab[i].bs > 4096 ? (double)n * (double)tab[i].bs / 1e6 : (double)n;
        printf("#END blk_%s %.0f %.6f 0\n", tab[i].name, r, t);
    }
    return 0;
}
