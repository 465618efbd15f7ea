/* Comparing a snapshot file with its checksums: all of it, by several threads, or an image stretch
 * by stretch. */
#include "base/alloc.h"
#include "base/bits.h"
#include "control/snapfile_priv.h"
#include "platform/newfile.h"
#include "vireo/host_thread.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

enum { CHECK_THREADS = 4, CHECK_CHUNK = 256 << 10 };

/* Stretches of the file that are to have a hash, or to be zero; threads share them. */
struct check_stretch {
    uint64_t off, len, hash;
    bool zero;
    char what[VR_SNAPFILE_NAME];
};

struct check_work {
    struct vr_snapfile *f;
    struct check_stretch *stretch;
    size_t count, cap, chunk; /* chunk: bytes that are read at a time */
    atomic_size_t next;
    atomic_int result;
    struct vr_error *err;
    atomic_flag told;
};

static int check_add(struct check_work *w, const char *what, uint64_t off, uint64_t len, bool zero,
                     uint64_t hash, struct vr_error *err)
{
    if (len == 0) {
        return 0;
    }
    if (w->count == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 256;
        struct check_stretch *s = realloc(w->stretch, cap * sizeof(*s));
        if (!s) {
            return vr_err(err, -ENOMEM, "snapshot %s: no memory to check it", w->f->path);
        }
        w->stretch = s;
        w->cap = cap;
    }
    struct check_stretch *s = &w->stretch[w->count++];
    size_t chunk = len < CHECK_CHUNK ? (size_t)len : CHECK_CHUNK;
    w->chunk = chunk > w->chunk ? chunk : w->chunk;
    *s = (struct check_stretch){.off = off, .len = len, .hash = hash, .zero = zero};
    snprintf(s->what, sizeof(s->what), "%s", what);
    return 0;
}

/* -EPROTO: it is not what it was. */
static int check_hash(const struct vr_snapfile *f, const struct check_stretch *s, uint8_t *buf,
                      XXH3_state_t *state, struct vr_error *err)
{
    int r = 0;
    (void)XXH3_64bits_reset(state);
    for (uint64_t at = 0; r == 0 && at < s->len; at += CHECK_CHUNK) {
        size_t len = s->len - at < CHECK_CHUNK ? (size_t)(s->len - at) : CHECK_CHUNK;
        r = vr_snapfile_read_at(f, buf, len, s->off + at, err);
        if (r == 0 && len == s->len) {
            return XXH3_64bits(buf, len) == s->hash ? 0 : -EPROTO;
        }
        (void)XXH3_64bits_update(state, buf, len);
    }
    return r < 0 ? r : XXH3_64bits_digest(state) == s->hash ? 0 : -EPROTO;
}

static int check_zero(const struct vr_snapfile *f, const struct check_stretch *s, uint8_t *buf,
                      struct vr_error *err)
{
    uint64_t end = s->off + s->len;
    for (uint64_t at = s->off; (at = vr_newfile_next_data(f->fd, at, end)) < end;) {
        size_t len = end - at < CHECK_CHUNK ? (size_t)(end - at) : CHECK_CHUNK;
        int r = vr_snapfile_read_at(f, buf, len, at, err);
        if (r < 0) {
            return r;
        }
        if (!vr_is_zero(buf, len)) {
            return -EPROTO;
        }
        at += len;
    }
    return 0;
}

/* What checking needs: a buffer, and a hash in the making. */
struct check_tools {
    uint8_t *buf;
    XXH3_state_t *state;
};

static int check_begin(const struct check_work *w, struct check_tools *c, struct vr_error *err)
{
    c->buf = malloc(w->chunk + 1);
    c->state = XXH3_createState();
    return c->buf && c->state
               ? 0
               : vr_err(err, -ENOMEM, "snapshot %s: no memory to check it", w->f->path);
}

static void check_end(struct check_tools *c)
{
    (void)XXH3_freeState(c->state);
    free(c->buf);
}

static int check_one(const struct check_work *w, size_t i, const struct check_tools *c,
                     struct vr_error *err)
{
    const struct check_stretch *s = &w->stretch[i];
    int r = s->zero ? check_zero(w->f, s, c->buf, err) : check_hash(w->f, s, c->buf, c->state, err);
    return r != -EPROTO
               ? r
               : vr_err(err, r, "snapshot %s: damaged: '%s', in the %" PRIu64 " bytes at %" PRIu64,
                        w->f->path, s->what, s->len, s->off);
}

static void check_main(void *opaque)
{
    struct check_work *w = opaque;
    struct vr_error err = {0};
    struct check_tools tools;
    size_t i = 0;
    int r = check_begin(w, &tools, &err);
    while (r == 0 && atomic_load(&w->result) == 0 &&
           (i = atomic_fetch_add(&w->next, 1)) < w->count) {
        r = check_one(w, i, &tools, &err);
    }
    if (r < 0 && !atomic_flag_test_and_set(&w->told)) {
        if (w->err) {
            *w->err = err;
        }
        atomic_store(&w->result, r);
    }
    check_end(&tools);
}

static int check_add_image(struct check_work *w, const char *name, struct vr_error *err)
{
    struct snapfile_index x;
    int r = vr_snapfile_index(w->f, name, &x, err);
    uint64_t end = 0;
    for (size_t i = 0; r == 0 && i < x.count; i++) {
        struct snapfile_piece p = snapfile_piece(&x, i);
        if (p.kind != PIECE_ZEROES) {
            r = check_add(w, name, x.data->off + end, p.off - end, true, 0, err);
            r = r < 0 ? r : check_add(w, name, x.data->off + p.off, p.stored, false, p.hash, err);
            end = p.off + p.stored;
        }
    }
    return r < 0 ? r : check_add(w, name, x.data->off + end, x.data->len - end, true, 0, err);
}

static int check_plan(struct check_work *w, const char *but, struct vr_error *err)
{
    struct vr_snapfile *f = w->f;
    uint64_t end = SNAPFILE_BLOCK;
    int r = 0;
    for (unsigned i = 0; r == 0 && i < f->count; i++) {
        struct snapfile_section *s = &f->section[i];
        r = check_add(w, "padding", end, s->off - end, true, 0, err);
        if (r == 0 && !(but && s->kind == SNAPFILE_DATA && strcmp(s->name, but) == 0)) {
            r = s->kind == SNAPFILE_DATA ? check_add_image(w, s->name, err)
                                         : vr_snapfile_load(f, s, err);
        }
        end = s->off + s->len;
    }
    return r < 0 ? r : check_add(w, "padding", end, f->dir_off - end, true, 0, err);
}

int vr_snapfile_verify(struct vr_snapfile *f, const char *but, struct vr_error *err)
{
    struct check_work w = {.f = f, .err = err, .told = ATOMIC_FLAG_INIT};
    struct vireo_thread *thread[CHECK_THREADS - 1] = {NULL};
    int r = check_plan(&w, but, err);
    if (r == 0) {
        /* Where no thread can be had, this one does it all. */
        for (unsigned i = 0; i < CHECK_THREADS - 1 && w.count > 16; i++) {
            if (vireo_thread_create("vr-verify", check_main, &w, &thread[i], NULL) < 0) {
                thread[i] = NULL;
            }
        }
        check_main(&w);
        for (unsigned i = 0; i < CHECK_THREADS - 1; i++) {
            vireo_thread_join(thread[i]);
        }
        r = atomic_load(&w.result);
    }
    free(w.stretch);
    return r;
}

struct vr_snapfile_checks {
    struct check_work work;
    uint64_t off; /* where the image's data begins */
};

int vr_snapfile_checks(struct vr_snapfile *f, const char *name,
                       struct vr_snapfile_checks **ret_checks, struct vr_error *err)
{
    struct vr_snapfile_checks *c = vr_zalloc(sizeof(*c));
    struct snapfile_index x;
    if (!c) {
        return vr_err(err, -ENOMEM, "snapshot %s: no memory to check it", f->path);
    }
    c->work.f = f;
    int r = vr_snapfile_index(f, name, &x, err);
    r = r < 0 ? r : check_add_image(&c->work, name, err);
    if (r < 0) {
        vr_snapfile_checks_free(c);
        return r;
    }
    vr_assert(x.flags & INDEX_FLAT);
    c->off = x.data->off;
    *ret_checks = c;
    return 0;
}

void vr_snapfile_checks_free(struct vr_snapfile_checks *c)
{
    if (c) {
        free(c->work.stretch);
        free(c);
    }
}

size_t vr_snapfile_checks_count(const struct vr_snapfile_checks *c)
{
    return c->work.count;
}

uint64_t vr_snapfile_checks_end(const struct vr_snapfile_checks *c, size_t i)
{
    const struct check_stretch *s = &c->work.stretch[i];
    return s->off + s->len - c->off;
}

int vr_snapfile_checks_do(const struct vr_snapfile_checks *c, size_t i, struct vr_error *err)
{
    struct check_tools tools;
    int r = check_begin(&c->work, &tools, err);
    r = r < 0 ? r : check_one(&c->work, i, &tools, err);
    check_end(&tools);
    return r;
}
