/* POSIX hosts; the list of pages is Linux's. */
#include "os.h"
#include "test.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

size_t os_page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

const char *os_perms_at(const void *hva, char perms[4])
{
    char line[512];
    FILE *f = fopen("/proc/self/maps", "re");
    assert_non_null(f);
    perms[0] = 0;
    while (fgets(line, sizeof(line), f)) {
        unsigned long from, to;
        char p[5];
        assert_int_equal(sscanf(line, "%lx-%lx %4s", &from, &to, p), 3);
        if ((uintptr_t)hva >= from && (uintptr_t)hva < to) {
            p[3] = 0;
            memcpy(perms, p, 4);
        }
    }
    assert_int_equal(fclose(f), 0);
    return perms;
}

unsigned os_count_written_and_run(void)
{
    char line[512], perms[5];
    unsigned count = 0, bad = 0;
    FILE *f = fopen("/proc/self/maps", "re");
    assert_non_null(f);
    while (fgets(line, sizeof(line), f)) {
        assert_int_equal(sscanf(line, "%*s %4s", perms), 1);
        bad += strchr(perms, 'w') && strchr(perms, 'x');
        count++;
    }
    assert_true(count > 5);
    assert_int_equal(fclose(f), 0);
    return bad;
}

bool os_touch_faults(uint8_t *at, bool write)
{
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        signal(SIGSEGV, SIG_DFL);
        signal(SIGBUS, SIG_DFL);
        if (write) {
            *(volatile uint8_t *)at = 1;
        } else {
            (void)*(volatile uint8_t *)at;
        }
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGSEGV;
}

int os_file_make(uint64_t len)
{
    char path[] = "/tmp/vireo-os.XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(ftruncate(fd, (off_t)len), 0);
    return fd;
}

void os_file_read(int fd, void *buf, size_t len, uint64_t off)
{
    assert_int_equal(pread(fd, buf, len, (off_t)off), len);
}

void os_file_close(int fd)
{
    assert_int_equal(close(fd), 0);
}
