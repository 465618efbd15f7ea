/* For tests/guest/offload.py: sends datagrams that the kernel hands on as one large packet
 * (UDP_SEGMENT, udp(7)).
 *
 *     segments ADDRESS%INTERFACE PORT SIZE TOTAL
 *
 * sends TOTAL bytes to PORT in datagrams of SIZE bytes (0: one datagram, not segmented). Byte i is
 * (i * 7 + i / 251) & 0xff. */
#include <arpa/inet.h>
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/udp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#ifndef UDP_SEGMENT
#define UDP_SEGMENT 103
#endif

static int fail(const char *what)
{
    perror(what);
    return 1;
}

enum { FEATURES = 256 };

static int turn_on(const char *interface, const char *feature)
{
    static struct {
        struct ethtool_gstrings head;
        char name[FEATURES][ETH_GSTRING_LEN];
    } names = {.head = {.cmd = ETHTOOL_GSTRINGS, .string_set = ETH_SS_FEATURES}};
    static struct {
        struct ethtool_sset_info head;
        __u32 count;
    } sets = {.head = {.cmd = ETHTOOL_GSSET_INFO, .sset_mask = 1 << ETH_SS_FEATURES}};
    static struct {
        struct ethtool_sfeatures head;
        struct ethtool_set_features_block block[FEATURES / 32];
    } set = {.head = {.cmd = ETHTOOL_SFEATURES, .size = 0}};
    struct ifreq req = {.ifr_data = (char *)&sets};
    int s = socket(AF_INET, SOCK_DGRAM, 0);
    strncpy(req.ifr_name, interface, IFNAMSIZ - 1);
    if (ioctl(s, SIOCETHTOOL, &req) < 0 || sets.count > FEATURES) {
        return fail("ETHTOOL_GSSET_INFO");
    }
    names.head.len = sets.count; /* another length gives none */
    req.ifr_data = (char *)&names;
    if (ioctl(s, SIOCETHTOOL, &req) < 0) {
        return fail("ETHTOOL_GSTRINGS");
    }
    set.head.size = (names.head.len + 31) / 32;
    for (unsigned i = 0; i < names.head.len; i++) {
        if (strcmp(names.name[i], feature) == 0) {
            set.block[i / 32].valid = set.block[i / 32].requested = 1u << i % 32;
            req.ifr_data = (char *)&set;
            return ioctl(s, SIOCETHTOOL, &req) ? fail("ETHTOOL_SFEATURES") : 0;
        }
    }
    fprintf(stderr, "no feature %s\n", feature);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc == 3) {
        return turn_on(argv[1], argv[2]);
    }
    static unsigned char data[1 << 16];
    struct addrinfo *to,
        want = {.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV, .ai_socktype = SOCK_DGRAM};
    if (argc != 5 || getaddrinfo(argv[1], argv[2], &want, &to)) {
        return 2;
    }
    int size = atoi(argv[3]), on = 1, s = socket(to->ai_family, SOCK_DGRAM, 0);
    size_t total = (size_t)atoi(argv[4]);
    for (size_t i = 0; i < sizeof(data); i++) {
        data[i] = (unsigned char)(i * 7 + i / 251);
    }
    if (s < 0 || setsockopt(s, SOL_SOCKET, SO_BROADCAST, &on, sizeof(on)) < 0) {
        return fail("socket");
    }
    if (size && setsockopt(s, SOL_UDP, UDP_SEGMENT, &size, sizeof(size)) < 0) {
        return fail("UDP_SEGMENT");
    }
    if (sendto(s, data, total, 0, to->ai_addr, to->ai_addrlen) != (ssize_t)total) {
        return fail("sendto");
    }
    printf("sent %zu by %d\n", total, size);
    return 0;
}
