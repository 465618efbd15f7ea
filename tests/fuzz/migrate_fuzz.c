/*
 * The stream of a migration, as its target takes it. If the first byte is odd, the rest is the
 * bytes of the connection; else a list of frames (type, le16 length, payload) that get good heads,
 * so that what is inside is reached.
 */
#include "fuzz.h"

#include "unit/migrate_stream.h"

static void fuzz_frames(struct vr_mig_rx *rx, const uint8_t *data, size_t len, struct vr_error *err)
{
    int r = 0;
    for (size_t at = 0; r == 0 && len - at >= 3 && !rx->complete;) {
        size_t body = vr_load_le16(data + at + 1);
        body = body < len - at - 3 ? body : len - at - 3;
        struct vr_mig_frame f = {
            .type = (enum vr_mig_type)data[at], .data = data + at + 3, .len = (uint32_t)body};
        enum vr_mig_type answer;
        uint64_t number;
        r = vr_mig_rx_frame(rx, &f, &answer, &number, err);
        KEEPS(r == 0 || err->msg[0]);
        at += 3 + body;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
    struct vr_machine *m = NULL;
    struct vr_mig_rx rx;
    struct vr_error err = {0};
    vr_mig_rx_init(&rx, stream_make, &m);
    if (len && data[0] & 1) {
        KEEPS(stream_feed(&rx, data + 1, len - 1, &err) == 0 || err.msg[0]);
    } else if (len) {
        fuzz_frames(&rx, data + 1, len - 1, &err);
    }
    if (rx.complete) {
        KEEPS(vr_mig_rx_load(&rx, &err) == 0 || err.msg[0]);
    }
    vr_mig_rx_fini(&rx);
    vr_machine_destroy(m);
    return 0;
}

size_t fuzz_seed(unsigned n, uint8_t *buf, size_t cap)
{
    struct stream s = {0};
    struct vr_machine *m;
    struct vr_ram *ram;
    size_t len = 1;
    if (n > 1) {
        return 0;
    }
    KEEPS(stream_machine(&m, &ram) == 0);
    memset(ram->hva, 0x55, 2 * VR_PAGE_SIZE);
    stream_put_hello(&s);
    stream_put_pages(&s, 0, ram->hva, 2);
    stream_put_pages(&s, 1, NULL, 1);
    stream_put(&s, VR_MIG_ROUND, "12345678", 8, NULL, 0);
    stream_put_end(&s, m);
    vr_machine_destroy(m);
    buf[0] = (uint8_t)n;
    if (n == 1) {
        KEEPS(s.len < cap);
        memcpy(buf + 1, s.buf, s.len);
        len += s.len;
    }
    for (uint32_t i = 0; n == 0 && i < s.number; i++) {
        const uint8_t *head = s.buf + s.frame[i];
        uint32_t body = vr_load_le32(head + 8);
        KEEPS(len + 3 + body < cap);
        buf[len] = head[6];
        vr_store_le16(buf + len + 1, (uint16_t)body);
        memcpy(buf + len + 3, head + VR_MIG_HEAD, body);
        len += 3 + body;
    }
    free(s.buf);
    return len;
}
