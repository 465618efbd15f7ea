/* Frames of a migration, and the sockets they go through. See migrate_wire.h. */
#include "control/migrate_wire.h"

#include "base/alloc.h"
#include "base/bits.h"
#include "platform/file.h"
#include "platform/tcpsock.h"
#include "platform/unixsock.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <zlib.h>

static const uint32_t wire_magic = 0x766d5256; /* "VRmv" */

enum {
    WIRE_SUMMED = 16,      /* bytes of the head that are under the checksum */
    WIRE_TICK_MS = 100,    /* how often a wait looks whether it is called off */
    WIRE_FINISH_MS = 1000, /* then, for the rest of a frame */
};

/* ---- Frames ---- */

static uint32_t wire_sum(const uint8_t *head, const void *a, uint32_t a_len, const void *b,
                         uint32_t b_len)
{
    uLong sum = crc32(0, head, WIRE_SUMMED);
    sum = a_len ? crc32(sum, a, a_len) : sum;
    return (uint32_t)(b_len ? crc32(sum, b, b_len) : sum);
}

void vr_mig_put_head(uint8_t *head, enum vr_mig_type type, uint32_t number, const void *a,
                     uint32_t a_len, const void *b, uint32_t b_len)
{
    vr_store_le32(head, wire_magic);
    vr_store_le16(head + 4, VR_MIG_VERSION);
    vr_store_le16(head + 6, (uint16_t)type);
    vr_store_le32(head + 8, a_len + b_len);
    vr_store_le32(head + 12, number);
    vr_store_le32(head + 16, wire_sum(head, a, a_len, b, b_len));
}

int vr_mig_check_head(const uint8_t *head, uint32_t number, uint32_t *ret_len, struct vr_error *err)
{
    uint32_t len = vr_load_le32(head + 8), got = vr_load_le32(head + 12);
    unsigned version = vr_load_le16(head + 4);
    if (vr_load_le32(head) != wire_magic) {
        return vr_err(err, -EPROTO, "that is no Vireo migrating a machine");
    }
    if (version != VR_MIG_VERSION) {
        return vr_err(err, -EPROTO,
                      "it speaks version %u of the protocol, here is %d: use the same "
                      "Vireo on both sides",
                      version, VR_MIG_VERSION);
    }
    if (len > VR_MIG_PAYLOAD || got != number) {
        return vr_err(err, -EPROTO, "frame %" PRIu32 " is damaged", number);
    }
    *ret_len = len;
    return 0;
}

int vr_mig_check(const uint8_t *head, const uint8_t *payload, struct vr_mig_frame *ret_frame,
                 struct vr_error *err)
{
    uint32_t len = vr_load_le32(head + 8);
    if (wire_sum(head, payload, len, NULL, 0) != vr_load_le32(head + 16)) {
        return vr_err(err, -EPROTO, "frame %" PRIu32 " is damaged: its checksum does not fit",
                      vr_load_le32(head + 12));
    }
    *ret_frame = (struct vr_mig_frame){
        .type = (enum vr_mig_type)vr_load_le16(head + 6), .data = payload, .len = len};
    return 0;
}

void vr_mig_plain(char *text)
{
    for (; *text; text++) {
        *text = *text >= 0x20 && *text < 0x7f ? *text : '?';
    }
}

/* ---- Links ---- */

int vr_mig_link_init(struct vr_mig_link *link, int fd, const atomic_bool *cancel,
                     struct vr_error *err)
{
    *link = (struct vr_mig_link){.cancel = cancel};
    vr_stream_adopt(fd, &link->stream);
    link->buf = vr_zalloc(VR_MIG_PAYLOAD);
    if (!link->buf) {
        vr_mig_link_fini(link);
        return vr_err(err, -ENOMEM, "no memory for a migration");
    }
    return 0;
}

void vr_mig_link_fini(struct vr_mig_link *link)
{
    if (link->stream.kind != VR_STREAM_NONE) {
        vr_stream_close(&link->stream);
    }
    free(link->buf);
    *link = (struct vr_mig_link){.stream.fd = -1};
}

/* Wait until the stream is ready. What was begun is finished even if it is called off, if that does
 * not take long: the other side is told why then. */
static int link_wait(struct vr_mig_link *link, bool write, int timeout_ms, struct vr_error *err)
{
    const struct vr_stream *one = &link->stream;
    for (int64_t left = timeout_ms < 0 ? INT64_MAX : timeout_ms; left > 0; left -= WIRE_TICK_MS) {
        int ms = left < WIRE_TICK_MS ? (int)left : WIRE_TICK_MS;
        bool off = link->cancel && atomic_load(link->cancel);
        if (off && !(write && link->torn)) {
            return vr_err(err, -ECANCELED, "called off");
        }
        left = off && left > WIRE_FINISH_MS ? WIRE_FINISH_MS : left;
        if (write ? vr_stream_wait_writable(one, ms) : vr_stream_wait_readable(&one, 1, ms) != 0) {
            return 0;
        }
    }
    return vr_err(err, -ETIMEDOUT, "the other side does not answer");
}

static int link_put(struct vr_mig_link *link, const uint8_t *buf, size_t len, int timeout_ms,
                    struct vr_error *err)
{
    while (len) {
        ssize_t n = vr_stream_write(&link->stream, buf, len);
        if (n == -EAGAIN) {
            int r = link_wait(link, true, timeout_ms, err);
            if (r < 0) {
                return r;
            }
        } else if (n < 0) {
            return vr_err(err, (int)n, "the connection broke: %s", strerror((int)-n));
        } else {
            buf += n;
            len -= (size_t)n;
            link->sent_bytes += (uint64_t)n;
            link->torn = true;
        }
    }
    return 0;
}

int vr_mig_send(struct vr_mig_link *link, enum vr_mig_type type, const void *head,
                uint32_t head_len, const void *data, uint32_t len, int timeout_ms,
                struct vr_error *err)
{
    uint8_t front[VR_MIG_HEAD + 64];
    vr_assert(head_len <= 64 && head_len + len <= VR_MIG_PAYLOAD);
    if (link->torn) {
        return vr_err(err, -EPIPE, "a message was left unfinished");
    }
    vr_mig_put_head(front, type, link->out_number++, head, head_len, data, len);
    if (head_len) {
        memcpy(front + VR_MIG_HEAD, head, head_len);
    }
    int r = link_put(link, front, VR_MIG_HEAD + head_len, timeout_ms, err);
    r = r < 0 ? r : link_put(link, data, len, timeout_ms, err);
    link->torn = link->torn && r < 0;
    return r;
}

static int link_get(struct vr_mig_link *link, uint8_t *buf, size_t len, int timeout_ms, bool first,
                    struct vr_error *err)
{
    for (size_t got = 0; got < len;) {
        ssize_t n = vr_stream_read(&link->stream, buf + got, len - got);
        if (n == -EAGAIN) {
            int r = link_wait(link, false, timeout_ms, err);
            if (r < 0) {
                return r;
            }
        } else if (n == 0) {
            return vr_err(err, first && got == 0 ? -EPIPE : -ENODATA, "the other side hung up");
        } else if (n < 0) {
            return vr_err(err, (int)n, "the connection broke: %s", strerror((int)-n));
        } else {
            got += (size_t)n;
        }
    }
    return 0;
}

int vr_mig_recv(struct vr_mig_link *link, int timeout_ms, struct vr_mig_frame *ret_frame,
                struct vr_error *err)
{
    uint8_t head[VR_MIG_HEAD];
    uint32_t len = 0;
    int r = link_get(link, head, sizeof(head), timeout_ms, true, err);
    r = r < 0 ? r : vr_mig_check_head(head, link->in_number++, &len, err);
    r = r < 0 ? r : link_get(link, link->buf, len, timeout_ms, false, err);
    return r < 0 ? r : vr_mig_check(head, link->buf, ret_frame, err);
}

/* ---- Sockets ---- */

bool vr_mig_is_unix(const char *uri)
{
    return strncmp(uri, "unix:", 5) == 0;
}

int vr_mig_check_uri(const char *uri, struct vr_error *err)
{
    return vr_mig_is_unix(uri) || strncmp(uri, "tcp:", 4) == 0
               ? 0
               : vr_err(err, -EINVAL, "'%.80s': expected unix:PATH or tcp:HOST:PORT", uri);
}

int vr_mig_connect(const char *uri, int timeout_ms, int *ret_fd, struct vr_error *err)
{
    uint64_t pid;
    int r = vr_mig_check_uri(uri, err);
    return r < 0                 ? r
           : vr_mig_is_unix(uri) ? vr_unix_connect(uri + 5, ret_fd, &pid, err)
                                 : vr_tcp_connect(uri + 4, timeout_ms, ret_fd, err);
}

int vr_mig_accept(const char *uri, void (*told)(void *opaque), void *opaque, int *ret_fd,
                  struct vr_error *err)
{
    struct vr_unix sock = {.fd = -1};
    bool is_unix = vr_mig_is_unix(uri);
    int fd = -1, got = -EAGAIN, r = vr_mig_check_uri(uri, err);
    r = r < 0     ? r
        : is_unix ? vr_unix_listen(uri + 5, &sock, err)
                  : vr_tcp_listen(uri + 4, &fd, err);
    if (r < 0) {
        return r;
    }
    told(opaque);
    const struct vr_stream s = {.fd = is_unix ? sock.fd : fd, .kind = VR_STREAM_SOCKET}, *one = &s;
    while (got == -EAGAIN) {
        (void)!vr_stream_wait_readable(&one, 1, -1); /* a signal, perhaps */
        got = is_unix ? vr_unix_accept(&sock) : vr_tcp_accept(fd);
    }
    vr_unix_close(&sock);
    vr_file_close(fd);
    if (got < 0) {
        return vr_err(err, got, "%s: cannot accept: %s", uri, strerror(-got));
    }
    *ret_fd = got;
    return 0;
}
