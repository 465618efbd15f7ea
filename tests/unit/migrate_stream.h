/* Migration streams in memory, and the machine that they are of, for tests: one memory, and a clock
 * that a snapshot carries. */
#ifndef VR_TEST_MIGRATE_STREAM_H
#define VR_TEST_MIGRATE_STREAM_H

#include "base/bits.h"
#include "control/migrate_rx.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { STREAM_PAGES = 8, STREAM_RAM = STREAM_PAGES * VR_PAGE_SIZE };
#define STREAM_BASE UINT64_C(0x80000000)

static inline int stream_machine(struct vr_machine **ret_m, struct vr_ram **ret_ram)
{
    struct vr_machine *m;
    int r = vr_machine_create("moved", VR_CLOCK_STEPPED, false, NULL, &m, NULL);
    if (r == 0) {
        r = vr_machine_add_ram(m, "ram", STREAM_BASE, STREAM_RAM, VR_REGION_RAM, ret_ram, NULL);
        *ret_m = m;
    }
    return r;
}

/* A vr_mig_make_fn; @opaque: where the machine goes. The configuration is one letter. */
static inline int stream_make(void *opaque, const char *config, size_t len,
                              struct vr_machine **ret_m, struct vr_error *err)
{
    struct vr_machine **at = opaque;
    struct vr_ram *ram;
    if (len != 1 || *config != 'c') {
        return vr_err(err, -EPROTO, "another configuration");
    }
    int r = stream_machine(at, &ram);
    *ret_m = *at;
    return r;
}

struct stream {
    uint8_t *buf;
    size_t len, cap;
    uint32_t number;
    size_t frame[64]; /* where each begins */
};

static inline void stream_put(struct stream *s, enum vr_mig_type type, const void *a,
                              uint32_t a_len, const void *b, uint32_t b_len)
{
    size_t need = s->len + VR_MIG_HEAD + a_len + b_len;
    if (need > s->cap) {
        s->cap = need * 2;
        s->buf = realloc(s->buf, s->cap);
        vr_assert(s->buf != NULL);
    }
    s->frame[s->number % 64] = s->len;
    vr_mig_put_head(s->buf + s->len, type, s->number++, a, a_len, b, b_len);
    if (a_len) {
        memcpy(s->buf + s->len + VR_MIG_HEAD, a, a_len);
    }
    if (b_len) {
        memcpy(s->buf + s->len + VR_MIG_HEAD + a_len, b, b_len);
    }
    s->len = need;
}

static inline void stream_put_pages(struct stream *s, uint64_t page, const void *data, unsigned n)
{
    uint8_t head[24] = {0};
    vr_store_le64(head + 8, page);
    vr_store_le64(head + 16, n);
    stream_put(s, data ? VR_MIG_PAGES : VR_MIG_ZEROS, head, data ? 16 : 24, data,
               data ? n * VR_PAGE_SIZE : 0);
}

static inline void stream_put_hello(struct stream *s)
{
    uint8_t head[12];
    vr_store_le32(head, 1);
    vr_store_le64(head + 4, STREAM_RAM);
    stream_put(s, VR_MIG_HELLO, head, sizeof(head), "c", 1);
}

/* The state of @m, and what follows it. */
static inline void stream_put_end(struct stream *s, struct vr_machine *m)
{
    struct vr_snap snap;
    uint8_t done[16];
    vr_snap_init(&snap);
    int r = vr_machine_save_state(m, &snap, NULL, NULL, NULL);
    vr_assert(r == 0);
    stream_put(s, VR_MIG_STATE, NULL, 0, snap.buf, (uint32_t)snap.len / 2);
    stream_put(s, VR_MIG_STATE, NULL, 0, snap.buf + snap.len / 2,
               (uint32_t)(snap.len - snap.len / 2));
    vr_store_le64(done, snap.len);
    vr_store_le64(done + 8, 1);
    stream_put(s, VR_MIG_DONE, done, 16, NULL, 0);
    vr_snap_fini(&snap);
}

/* Feed bytes as a socket would give them. 0: all were taken; -ENODATA: the last frame is cut. */
static inline int stream_feed(struct vr_mig_rx *rx, const uint8_t *buf, size_t len,
                              struct vr_error *err)
{
    uint32_t number = 0, body;
    int r = 0;
    for (size_t at = 0; r == 0 && at < len; at += VR_MIG_HEAD + body) {
        struct vr_mig_frame f;
        enum vr_mig_type answer;
        uint64_t round;
        body = 0;
        r = len - at < VR_MIG_HEAD ? vr_err(err, -ENODATA, "cut")
                                   : vr_mig_check_head(buf + at, number++, &body, err);
        if (r == 0 && len - at - VR_MIG_HEAD < body) {
            r = vr_err(err, -ENODATA, "cut");
        }
        r = r < 0 ? r : vr_mig_check(buf + at, buf + at + VR_MIG_HEAD, &f, err);
        r = r < 0 ? r : vr_mig_rx_frame(rx, &f, &answer, &round, err);
    }
    return r;
}

#endif
