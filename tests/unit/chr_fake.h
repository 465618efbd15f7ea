/* A device as the host ends of character devices see one, for their tests. */
#ifndef VR_TESTS_CHR_FAKE_H
#define VR_TESTS_CHR_FAKE_H

#include "test.h"

#include "backend/chr/chr.h"
#include "vireo/host_time.h"

#include <stdlib.h>
#include <string.h>

struct fake {
    struct vr_loop *loop;
    struct vr_chr *chr;
    uint8_t *got; /* input that was taken */
    size_t len, cap;
    size_t take; /* bytes it takes a call; 0: none */
    bool open, eof;
    size_t eof_at; /* len when it came */
    unsigned writable, opened, closed, resized;
    uint16_t cols, rows;
    char keys[16];
};

static inline size_t fake_input(void *opaque, const uint8_t *buf, size_t len)
{
    struct fake *f = opaque;
    len = len < f->take ? len : f->take;
    if (f->len + len > f->cap) {
        f->cap = (f->len + len) * 2;
        f->got = realloc(f->got, f->cap);
        assert_non_null(f->got);
    }
    if (len) {
        memcpy(f->got + f->len, buf, len);
    }
    f->len += len;
    return len;
}

static inline void fake_writable(void *opaque)
{
    struct fake *f = opaque;
    f->writable++;
}

static inline void fake_open(void *opaque, bool open)
{
    struct fake *f = opaque;
    f->opened += open && !f->open;
    f->closed += !open && f->open;
    f->open = open;
}

static inline void fake_resize(void *opaque, uint16_t cols, uint16_t rows)
{
    struct fake *f = opaque;
    f->resized++;
    f->cols = cols;
    f->rows = rows;
}

static inline void fake_escape(void *opaque, char key)
{
    struct fake *f = opaque;
    size_t n = strlen(f->keys);
    assert_true(n + 1 < sizeof(f->keys));
    f->keys[n] = key;
}

static inline void fake_eof(void *opaque)
{
    struct fake *f = opaque;
    assert_false(f->eof); /* once */
    f->eof = true;
    f->eof_at = f->len;
}

/* Open @spec and attach. */
static inline void fake_start(struct fake *f, const char *spec, const char *keys)
{
    struct vr_error err = {0};
    const struct vr_chr_opts opts = {.spec = spec,
                                     .escape_keys = keys,
                                     .on_escape = fake_escape,
                                     .on_eof = fake_eof,
                                     .opaque = f};
    const struct vr_chr_user user = {.on_input = fake_input,
                                     .on_writable = fake_writable,
                                     .on_open = fake_open,
                                     .on_resize = fake_resize,
                                     .opaque = f};
    f->take = f->take ? f->take : SIZE_MAX;
    assert_int_equal(vr_loop_create(&f->loop, &err), 0);
    if (vr_chr_open(&opts, f->loop, &f->chr, &err) < 0) {
        fail_msg("%s", err.msg);
    }
    vr_chr_attach(f->chr, &user);
}

static inline void fake_stop(struct fake *f)
{
    vr_chr_close(f->chr);
    vr_loop_destroy(f->loop);
    free(f->got);
    *f = (struct fake){0};
}

/* Turn the loop until @cond; what takes more than ten seconds fails. */
#define TURN_UNTIL(f, cond)                                              \
    do {                                                                 \
        uint64_t end_ns_ = vireo_monotonic_ns() + UINT64_C(10000000000); \
        while (!(cond)) {                                                \
            assert_true(vireo_monotonic_ns() < end_ns_);                 \
            vr_loop_turn((f)->loop, 20);                                 \
        }                                                                \
    } while (0)
/* Everything that is ready now has been dealt with. */
#define TURN_ALL(f)                       \
    do {                                  \
        for (int i_ = 0; i_ < 20; i_++) { \
            vr_loop_turn((f)->loop, 0);   \
        }                                 \
    } while (0)

static inline void fake_say(struct fake *f, const char *text)
{
    assert_int_equal(vr_chr_write(f->chr, (const uint8_t *)text, strlen(text)), strlen(text));
}

#endif
