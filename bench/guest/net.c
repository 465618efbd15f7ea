/* TCP benchmark. Host: net server PORT   Guest: net client IP PORT SECONDS
 * up: client to server MB/s, down: server to client MB/s, rr: one-byte round trips/s, conn:
 * connections/s */
#include "io.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static char buf[1 << 18];
static void serve(int s)
{
    char c;
    int one = 1;
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (read(s, &c, 1) != 1) {
        return;
    }
    if (c == 'U') {
        while (read(s, buf, sizeof buf) > 0) {
            ;
        }
    } else if (c == 'D') {
        while (send(s, buf, sizeof buf, MSG_NOSIGNAL) > 0) {
            ;
        }
    } else {
        while (read(s, &c, 1) == 1) {
            if (send(s, &c, 1, MSG_NOSIGNAL) != 1) {
                break;
            }
        }
    }
}
static struct sockaddr_in sa;
static int dial(char c)
{
    int s = socket(AF_INET, SOCK_STREAM, 0), one = 1;
    if (connect(s, (struct sockaddr *)&sa, sizeof sa)) {
        perror("connect");
        exit(1);
    }
    setsockopt(s, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (write(s, &c, 1) != 1) {
        exit(1);
    }
    return s;
}
int main(int argc, char **argv)
{
    setvbuf(stdout, NULL, _IOLBF, 0);
    sa.sin_family = AF_INET;
    if (argc >= 3 && !strcmp(argv[1], "server")) {
        int l = socket(AF_INET, SOCK_STREAM, 0), one = 1;
        setsockopt(l, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
        sa.sin_port = htons((uint16_t)atoi(argv[2]));
        sa.sin_addr.s_addr = htonl(argc > 3 ? INADDR_ANY : INADDR_LOOPBACK);
        if (bind(l, (struct sockaddr *)&sa, sizeof sa) || listen(l, 64)) {
            perror("bind");
            return 1;
        }
        signal(SIGCHLD, SIG_IGN);
        for (;;) {
            int s = accept(l, NULL, NULL);
            if (s < 0) {
                continue;
            }
            if (fork() == 0) {
                close(l);
                serve(s);
                _exit(0);
            }
            close(s);
        }
    }
    if (argc < 5) {
        return 2;
    }
    sa.sin_port = htons((uint16_t)atoi(argv[3]));
    inet_pton(AF_INET, argv[2], &sa.sin_addr);
    double secs = atof(argv[4]);
    for (int m = 0; m < 4; m++) {
        static const char *const names[] = {"up", "down", "rr", "conn"};
        char c = 'x';
        int s = m == 3 ? -1 : dial("UDP"[m]);
        double began = io_begin_of("net", names[m]), n = 0;
        do {
            if (m == 0) {
                ssize_t r = write(s, buf, sizeof buf);
                if (r <= 0) {
                    break;
                }
                n += (double)r / 1e6;
            } else if (m == 1) {
                ssize_t r = read(s, buf, sizeof buf);
                if (r <= 0) {
                    break;
                }
                n += (double)r / 1e6;
            } else if (m == 2) {
                if (write(s, &c, 1) != 1 || read(s, &c, 1) != 1) {
                    break;
                }
                n++;
            } else {
                s = dial('P');
                if (write(s, &c, 1) != 1 || read(s, &c, 1) != 1) {
                    break;
                }
                close(s);
                n++;
            }
        } while (io_now() < began + secs);
        if (m != 3) {
            close(s);
        }
        io_end_of("net", names[m], n, began);
    }
    return 0;
}
