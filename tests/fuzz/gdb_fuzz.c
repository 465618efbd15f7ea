/* Bytes from a debugger: any stream is answered with packets that are well-formed, and changes
 * nothing but what a debugger may: the machine's registers and memory. */
#include "fuzz.h"

#include "control/gdb.h"
#include "fuzz_vm.h"

#include <string.h>

static void fuzz_send(void *opaque, const char *buf, size_t len)
{
    uint8_t sum = 0;
    (void)opaque;
    if (len == 1) {
        KEEPS(*buf == '+' || *buf == '-');
        return;
    }
    KEEPS(len >= 4 && len <= VR_GDB_PACKET + 4 && buf[0] == '$' && buf[len - 3] == '#');
    for (size_t i = 1; i < len - 3; i++) {
        KEEPS(buf[i] != '#' && buf[i] != '$');
        sum = (uint8_t)(sum + (uint8_t)buf[i]);
    }
    static const char digits[] = "0123456789abcdef";
    KEEPS(buf[len - 2] == digits[sum >> 4] && buf[len - 1] == digits[sum & 15]);
}

static void fuzz_hit(void *opaque)
{
    (void)opaque;
}

static bool fuzz_reset(void *opaque)
{
    (void)opaque;
    return false;
}

/* A line is a packet, whose checksum is put behind it; bytes before the first newline are taken as
 * they are. */
static bool fuzz_packet(struct vr_gdb_session *session, const char *text, size_t len)
{
    uint8_t sum = 0;
    char tail[4];
    for (size_t i = 0; i < len; i++) {
        sum = (uint8_t)(sum + (uint8_t)text[i]);
    }
    snprintf(tail, sizeof(tail), "#%02x", sum);
    return vr_gdb_input(session, "$", 1) && vr_gdb_input(session, text, len) &&
           vr_gdb_input(session, tail, 3);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    const struct vr_gdb_io io = {.send = fuzz_send, .hit = fuzz_hit, .reset = fuzz_reset};
    struct vr_gdb_session *session;
    const char *at = (const char *)data, *end = at + len;
    bool raw = true, more = true;
    KEEPS(vr_gdb_open(fuzz_vm(), &io, &session, NULL) == 0);
    while (more && at < end) {
        const char *line = memchr(at, '\n', (size_t)(end - at));
        size_t n = (size_t)((line ? line : end) - at);
        more = raw ? vr_gdb_input(session, at, n) : fuzz_packet(session, at, n);
        raw = false;
        at += n + (line != NULL);
    }
    vr_gdb_close(session);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    static const char *const seeds[] = {
        "+$g#67$m80000000,10#5f\x03--$\nqSupported:multiprocess+\nqXfer:features:read:target.xml:0,"
        "800",
        "\nHg1\ng\np20\np5041\nP20=0000008000000000\nP45=ffffffffffffffff\nP1041=03\np1041",
        "\nM80000000,4:13000000\nX80000010,4:}\x03"
        "abc\nm80000000,20\nm10000000,4\n"
        "qRcmd,64657669636573206f6e\nm10000005,1\nM10000000,1:41",
        "\nZ0,80000000,4\nZ1,80000004,2\nZ2,80001000,8\nZ3,80001000,8\nZ4,fffffffffffffff0,10\n"
        "z0,80000000,4\nz2,80001000,8\nvCont;s:1;c\nvCont;r80000000,80000010:1",
        "\nQStartNoAckMode\nqfThreadInfo\nqsThreadInfo\nqThreadExtraInfo,1\nT1\nqC\n?"
        "\nc80000000\nS05",
        "\nqRcmd,737461747573\nqRcmd,7472616e736c6174652030783830303030303030\nqRcmd,6d6170\n"
        "qRcmd,726567697374657273\nqRcmd,7265736574\nqRcmd,68656c70",
        "\nQqemu.PhyMemMode:1\nm80000000,4\nqqemu.sstep\nQqemu.sstep=0x1\nqXfer:threads:read::0,"
        "fff\n"
        "qXfer:memory-map:read::10,20\nvMustReplyEmpty\nD",
        "\nG00000000000000000100000000000000\nPc5=0900000000000080\nP1c1="
        "0000000000000000\nm80000000,4\nvKill;1",
    };
    if (n >= VR_COUNT(seeds) || strlen(seeds[n]) > cap) {
        return 0;
    }
    memcpy(buf, seeds[n], strlen(seeds[n]));
    return strlen(seeds[n]);
}
