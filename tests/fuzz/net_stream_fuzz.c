/*
 * A hostile switch at the other end of `--net stream` (src/backend/net/stream.c): frames cut
 * anywhere, lengths that no frame has, a device that is full now and then, a side that stops
 * reading or hangs up. Input: operations (enum op).
 *
 * What the device is given is compared with what a plain reading of the bytes gives.
 */
#include "fuzz.h"

#include "backend/net/net.h"
#include "base/bits.h"
#include "platform/unixsock.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum op {
    OP_BYTES,  /* u8 length, bytes: from the other side, as they are */
    OP_FRAME,  /* u16 length: the head of a frame and as many bytes */
    OP_FULL,   /* u8: the device takes nothing, or goes on */
    OP_SEND,   /* u16 length: a frame of the guest's */
    OP_READ,   /* u16: the other side reads as much */
    OP_TURN,   /* the loop turns */
    OP_HANGUP, /* the last one */
    OP_COUNT,
};
enum { STREAM_MAX = 1 << 18, FRAME_MIN = 14, HEAD = 4, TURNS = 200 };

struct fuzz {
    struct fuzz_reader in;
    struct vr_loop *loop;
    struct vr_unix sock;
    struct vr_net *net;
    int peer;
    bool full, down;
    uint8_t sent[STREAM_MAX]; /* by the other side, and taken by its socket */
    size_t sent_len, at;      /* at: how far the device got */
};

static uint64_t take(struct fuzz *f, unsigned width)
{
    return fuzz_take(&f->in, width);
}

/* The next frame of the bytes sent that is one; what is too short is passed over. */
static bool on_frame(void *opaque, const uint8_t *frame, size_t len)
{
    struct fuzz *f = opaque;
    KEEPS(len >= FRAME_MIN && len <= VR_NET_FRAME_MAX);
    if (f->full) {
        return false;
    }
    while (vr_load_be32(f->sent + f->at) < FRAME_MIN) {
        f->at += HEAD + vr_load_be32(f->sent + f->at);
        KEEPS(f->at + HEAD <= f->sent_len);
    }
    KEEPS(vr_load_be32(f->sent + f->at) == len && f->sent_len - f->at - HEAD >= len);
    KEEPS(memcmp(f->sent + f->at + HEAD, frame, len) == 0);
    f->at += HEAD + len;
    return true;
}

static void on_link(void *opaque, bool up)
{
    struct fuzz *f = opaque;
    f->down |= !up;
}

static void put(struct fuzz *f, const uint8_t *bytes, size_t len)
{
    len = len < sizeof(f->sent) - f->sent_len ? len : sizeof(f->sent) - f->sent_len;
    ssize_t n = f->down ? 0 : send(f->peer, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n > 0) {
        memcpy(f->sent + f->sent_len, bytes, (size_t)n);
        f->sent_len += (size_t)n;
    }
}

static void op_bytes(struct fuzz *f)
{
    uint8_t bytes[256];
    size_t len = take(f, 1);
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)take(f, 1);
    }
    put(f, bytes, len);
}

static void op_frame(struct fuzz *f)
{
    static uint8_t frame[HEAD + UINT16_MAX];
    size_t len = take(f, 2);
    vr_store_be32(frame, (uint32_t)len);
    for (size_t i = 0; i < len; i += 97) {
        frame[HEAD + i] = (uint8_t)(len + i);
    }
    put(f, frame, HEAD + len);
}

static void op_send(struct fuzz *f)
{
    static uint8_t frame[UINT16_MAX];
    size_t len = FRAME_MIN + take(f, 2) % (sizeof(frame) - FRAME_MIN);
    const struct iovec iov[] = {{.iov_base = frame, .iov_len = len / 2},
                                {.iov_base = frame + len / 2, .iov_len = len - len / 2}};
    vr_net_send(f->net, iov, 2, len);
}

static void op_read(struct fuzz *f)
{
    static uint8_t back[UINT16_MAX];
    ssize_t n = recv(f->peer, back, take(f, 2), MSG_DONTWAIT);
    KEEPS(n >= 0 || errno == EAGAIN || f->down);
}

static void op_full(struct fuzz *f)
{
    f->full = take(f, 1) & 1;
    if (!f->full) {
        vr_net_resume(f->net);
    }
}

static void run(struct fuzz *f)
{
    for (unsigned steps = 0; f->in.len && steps < 300; steps++) {
        switch (take(f, 1) % OP_COUNT) {
        case OP_BYTES:
            op_bytes(f);
            break;
        case OP_FRAME:
            op_frame(f);
            break;
        case OP_FULL:
            op_full(f);
            break;
        case OP_SEND:
            op_send(f);
            break;
        case OP_READ:
            op_read(f);
            break;
        case OP_TURN:
            vr_loop_turn(f->loop, 0);
            break;
        default:
            f->in.len = 0;
            break;
        }
    }
}

/* How many bytes a plain reader goes through: whole frames, up to a length that no frame has. */
static size_t plain(const struct fuzz *f, bool *ret_broken)
{
    size_t at = 0, end = 0;
    *ret_broken = false;
    while (f->sent_len - at >= HEAD) {
        size_t len = vr_load_be32(f->sent + at);
        *ret_broken = len == 0 || len > VR_NET_FRAME_MAX;
        if (*ret_broken || f->sent_len - at - HEAD < len) {
            break;
        }
        at += HEAD + len;
        end = len >= FRAME_MIN ? at : end;
    }
    return end;
}

/* All that came whole has been given to a device that takes it, and the line is down when it has to
 * be. */
static void settle(struct fuzz *f)
{
    bool broken;
    size_t want = plain(f, &broken);
    f->full = false;
    vr_net_resume(f->net);
    for (unsigned i = 0; i < TURNS && (f->at < want || f->down != broken); i++) {
        vr_loop_turn(f->loop, i < 4 ? 0 : 1);
    }
    KEEPS(f->at == want && f->down == broken);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    static struct fuzz fuzz;
    struct fuzz *f = &fuzz;
    char dir[] = "/tmp/vireo-fuzz.XXXXXX", path[48];
    f->in = (struct fuzz_reader){.buf = data, .len = len};
    f->full = f->down = false;
    f->sent_len = f->at = 0;
    const struct vr_net_user user = {.on_frame = on_frame, .on_link = on_link, .opaque = f};
    KEEPS(mkdtemp(dir) != NULL);
    snprintf(path, sizeof(path), "%s/s", dir);
    KEEPS(vr_loop_create(&f->loop, NULL) == 0);
    KEEPS(vr_unix_listen(path, &f->sock, NULL) == 0);
    KEEPS(vr_net_open_stream(path, f->loop, &f->net, NULL) == 0);
    do {
        vr_loop_turn(f->loop, 0);
        f->peer = vr_unix_accept(&f->sock);
    } while (f->peer < 0);
    vr_net_attach(f->net, &user);
    run(f);
    settle(f);
    close(f->peer);
    vr_loop_turn(f->loop, 0); /* it hung up, perhaps with much on its way */
    vr_net_close(f->net);
    vr_loop_destroy(f->loop);
    vr_unix_close(&f->sock);
    KEEPS(rmdir(dir) == 0);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    struct fuzz_writer w = {.buf = buf, .cap = cap};
    static const uint32_t lens[] = {0, 1, 13, 14, 60, 1514, 65535, 65550, UINT32_MAX};
    if (n >= 3 + VR_COUNT(lens)) {
        return 0;
    }
    for (unsigned i = 0; i < 6; i++) {
        fuzz_put(&w, OP_FRAME, 1);
        fuzz_put(&w, 60 + 700 * i, 2);
        fuzz_put(&w, n == 1 ? OP_FULL : OP_TURN, 1);
        if (n == 1) { /* full every other time */
            fuzz_put(&w, ~i & 1, 1);
        }
        if (n == 2) {
            fuzz_put(&w, OP_SEND, 1);
            fuzz_put(&w, 60000, 2);
        }
    }
    if (n == 2) {
        fuzz_put(&w, OP_TURN, 1);
        fuzz_put(&w, OP_READ, 1);
        fuzz_put(&w, 50000, 2);
    }
    if (n >= 3) { /* a length, byte by byte */
        for (unsigned i = 0; i < HEAD; i++) {
            fuzz_put(&w, OP_BYTES, 1);
            fuzz_put(&w, 1, 1);
            fuzz_put(&w, lens[n - 3] >> (8 * (3 - i)), 1);
            fuzz_put(&w, OP_TURN, 1);
        }
        fuzz_put(&w, OP_FRAME, 1);
        fuzz_put(&w, 100, 2);
        fuzz_put(&w, OP_TURN, 1);
    }
    return w.len;
}
