/*
 * Shared folder benchmark: fs DIR SECONDS
 *
 *   create      files a second, each made, 4 KiB written, closed
 *   stat open   of files met at random: stat(2); open, read 4 KiB, close
 *   list        entries a second that readdir(3) gives
 *   rename unlink   of those files, a second
 *   write read  MB/s of one large file in requests of 1 MiB, fsync(2) included, the guest's cache
 * dropped before reading
 *
 * create, rename and unlink do the same number of files, so the last two have no time of their own
 * to reach.
 */
#include "io.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES_PER_FOLDER 500

static char buffer[1 << 20];
static uint64_t files;

static void name_of(char *to, size_t room, uint64_t file, char kind)
{
    snprintf(to, room, "d%u/%c%u", (unsigned)(file / FILES_PER_FOLDER), kind, (unsigned)file);
}

static void drop_caches(void)
{
    sync();
    int fd = open("/proc/sys/vm/drop_caches", O_WRONLY);
    if (fd < 0 || write(fd, "3\n", 2) != 2) {
        io_die("drop_caches");
    }
    close(fd);
}

static void create(double seconds)
{
    char name[64];
    double began = io_begin_of("fs", "create");
    for (; io_now() < began + seconds; files++) {
        if (files % FILES_PER_FOLDER == 0) {
            snprintf(name, sizeof(name), "d%u", (unsigned)(files / FILES_PER_FOLDER));
            if (mkdir(name, 0755)) {
                io_die("mkdir");
            }
        }
        name_of(name, sizeof(name), files, 'f');
        int fd = open(name, O_CREAT | O_EXCL | O_WRONLY, 0644);
        if (fd < 0 || write(fd, buffer, 4096) != 4096 || close(fd)) {
            io_die("create");
        }
    }
    io_end_of("fs", "create", (double)files, began);
}

static void meet(const char *what, double seconds, int (*visit)(const char *))
{
    char name[64];
    uint64_t count = 0, seed = 88172645463325252u;
    drop_caches();
    double began = io_begin_of("fs", what);
    for (; io_now() < began + seconds; count++) {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        name_of(name, sizeof(name), seed % files, 'f');
        if (visit(name)) {
            io_die(what);
        }
    }
    io_end_of("fs", what, (double)count, began);
}

static int visit_stat(const char *name)
{
    struct stat st;
    return stat(name, &st) || st.st_size != 4096;
}

static int visit_open(const char *name)
{
    int fd = open(name, O_RDONLY);
    return fd < 0 || read(fd, buffer, 4096) != 4096 || close(fd);
}

static void list(double seconds)
{
    uint64_t count = 0, folders = (files + FILES_PER_FOLDER - 1) / FILES_PER_FOLDER;
    char name[64];
    drop_caches();
    double began = io_begin_of("fs", "list");
    for (uint64_t i = 0; io_now() < began + seconds; i++) {
        snprintf(name, sizeof(name), "d%u", (unsigned)(i % folders));
        DIR *folder = opendir(name);
        if (folder == NULL) {
            io_die("opendir");
        }
        while (readdir(folder) != NULL) {
            count++;
        }
        closedir(folder);
    }
    io_end_of("fs", "list", (double)count, began);
}

static void each_file(const char *what, int (*act)(const char *, const char *))
{
    char from[64], to[64];
    double began = io_begin_of("fs", what);
    for (uint64_t i = 0; i < files; i++) {
        name_of(from, sizeof(from), i, 'f');
        name_of(to, sizeof(to), i, 'g');
        if (act(from, to)) {
            io_die(what);
        }
    }
    io_end_of("fs", what, (double)files, began);
}

static int act_unlink(const char *from, const char *to)
{
    (void)from;
    return unlink(to);
}

static void large(double seconds)
{
    int fd = open("large", O_CREAT | O_TRUNC | O_RDWR, 0644);
    if (fd < 0) {
        io_die("large");
    }
    uint64_t len = 0;
    double began = io_begin_of("fs", "write");
    for (; io_now() < began + seconds && len < 256u << 20; len += sizeof(buffer)) {
        if (write(fd, buffer, sizeof(buffer)) != (ssize_t)sizeof(buffer)) {
            io_die("write");
        }
    }
    if (fsync(fd)) {
        io_die("fsync");
    }
    io_end_of("fs", "write", (double)len / 1e6, began);
    drop_caches();
    uint64_t got = 0;
    began = io_begin_of("fs", "read");
    while (io_now() < began + seconds && got < len) {
        ssize_t n = pread(fd, buffer, sizeof(buffer), (off_t)got);
        if (n != (ssize_t)sizeof(buffer)) {
            io_die("read");
        }
        got += (uint64_t)n;
    }
    io_end_of("fs", "read", (double)got / 1e6, began);
    close(fd);
    unlink("large");
}

int main(int argc, char **argv)
{
    if (argc != 3 || chdir(argv[1])) {
        return 2;
    }
    setvbuf(stdout, NULL, _IOLBF, 0);
    memset(buffer, 0x5a, sizeof(buffer));
    double seconds = atof(argv[2]);
    create(seconds);
    meet("stat", seconds, visit_stat);
    meet("open", seconds, visit_open);
    list(seconds);
    each_file("rename", rename);
    each_file("unlink", act_unlink);
    for (uint64_t i = 0; i * FILES_PER_FOLDER < files; i++) {
        char name[64];
        snprintf(name, sizeof(name), "d%u", (unsigned)i);
        if (rmdir(name)) {
            io_die("rmdir");
        }
    }
    large(seconds);
    return 0;
}
