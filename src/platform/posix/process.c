/* Processes: fork(2), setsid(2). */
#include "platform/process.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int vr_process_fork(int (*main)(void *opaque), void *opaque, uint64_t *ret_pid,
                    struct vr_error *err)
{
    (void)fflush(NULL); /* else both would write what is buffered */
    pid_t pid = fork();
    if (pid < 0) {
        int r = -errno;
        return vr_err(err, r, "another process: %s", strerror(-r));
    }
    if (pid == 0) {
        int null = open("/dev/null", O_RDWR | O_CLOEXEC);
        (void)setsid();
        for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
            if (null < 0 || dup2(null, fd) < 0) {
                _exit(125);
            }
        }
        close(null);
        int code = main(opaque);
        (void)fflush(NULL);
        _exit(code);
    }
    *ret_pid = (uint64_t)pid;
    return 0;
}
