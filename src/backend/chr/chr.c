/* The part of a character device's host end that does not depend on what the host end is. */
#include "backend/chr/chr_impl.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "base/err.h"
#include "base/text.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

enum {
    CHR_TURNS = 16, /* reads or writes in a row before others on the loop have their turn */
    CHR_OUT_LEN = 16 * 1024, /* bytes a write */
    CHR_FLUSH_MS = 1000,     /* what closing waits for a slow host end */
    CHR_SIDE_MAX = 64 << 10, /* bytes from second host ends that wait for the device */
};

void *vr_chr_new(size_t size, const struct vr_chr_kind *kind, const struct vr_chr_opts *opts,
                 struct vr_loop *loop)
{
    struct vr_chr *chr = vr_zalloc(size);
    if (!chr) {
        return NULL;
    }
    chr->kind = kind;
    chr->loop = loop;
    chr->opts = *opts;
    chr->opts.spec = NULL;
    chr->refs = 1;
    vr_mutex_init(&chr->lock);
    vr_ring_init(&chr->out, VR_CHR_OUT_MAX);
    vr_ring_init(&chr->side_in, CHR_SIDE_MAX);
    return chr;
}

void vr_chr_discard(struct vr_chr *chr)
{
    vr_ring_fini(&chr->out);
    vr_ring_fini(&chr->side_in);
    vr_mutex_fini(&chr->lock);
    free(chr->path);
    free(chr);
}

static void chr_unref(struct vr_chr *chr)
{
    vr_mutex_lock(&chr->lock);
    bool last = --chr->refs == 0;
    vr_mutex_unlock(&chr->lock);
    if (last) {
        vr_chr_discard(chr);
    }
}

/* With the lock held: is a post due? It takes a reference, which fn gives back. */
static bool chr_claim_post_locked(struct vr_chr *chr, bool *posted)
{
    if (*posted) {
        return false;
    }
    *posted = true;
    chr->refs++;
    return true;
}

/* In fn: the post has arrived. False: the owner has closed meanwhile. */
static bool chr_post_arrived(struct vr_chr *chr, bool *posted)
{
    vr_mutex_lock(&chr->lock);
    *posted = false;
    vr_mutex_unlock(&chr->lock);
    return !chr->closed;
}

static void chr_posted_input(void *arg)
{
    struct vr_chr *chr = arg;
    if (chr_post_arrived(chr, &chr->in_posted)) {
        chr->blocked = false;
        vr_chr_input(chr);
    }
    chr_unref(chr);
}

static void chr_posted_output(void *arg)
{
    struct vr_chr *chr = arg;
    if (chr_post_arrived(chr, &chr->out_posted)) {
        vr_chr_output(chr);
    }
    chr_unref(chr);
}

/* Deterministic mode: what there is to tell waits until the source is asked. */
static bool chr_puts_off(struct vr_chr *chr, bool *due)
{
    if (chr->src.det && !chr->polling) {
        *due = true;
        vr_det_woke(&chr->src);
        return true;
    }
    return false;
}

static void chr_tell_open(struct vr_chr *chr)
{
    bool open = chr->open || chr->sides;
    if (!chr_puts_off(chr, &chr->state_due) && chr->user.on_open) {
        chr->user.on_open(chr->user.opaque, open);
    }
}

static void chr_posted_state(void *arg)
{
    struct vr_chr *chr = arg;
    if (chr_post_arrived(chr, &chr->state_posted)) {
        chr_tell_open(chr);
        vr_chr_resized(chr);
    }
    chr_unref(chr);
}

void vr_chr_input_later(struct vr_chr *chr)
{
    vr_mutex_lock(&chr->lock);
    bool post = chr_claim_post_locked(chr, &chr->in_posted);
    vr_mutex_unlock(&chr->lock);
    if (post) {
        vr_loop_post(chr->loop, chr_posted_input, chr);
    }
}

void vr_chr_resume(struct vr_chr *chr)
{
    if (chr && chr->src.det) {
        vr_det_resume(&chr->src);
    } else if (chr) {
        vr_chr_input_later(chr);
    }
}

/* The device takes input; in deterministic mode what it leaves is the source's. */
static size_t chr_give(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    if (!chr->src.det) {
        return chr->user.on_input(chr->user.opaque, buf, len);
    }
    if (!vr_det_replaying(chr->src.det)) {
        vr_det_input(&chr->src, VR_DET_DATA, buf, len);
    }
    return len;
}

void vr_chr_input(struct vr_chr *chr)
{
    unsigned turns = CHR_TURNS;
    if (chr_puts_off(chr, &chr->input_due)) {
        return;
    }
    while (chr->user.on_input && !chr->blocked && !chr->closed && !chr->src.held) {
        if (chr->in_pos == chr->in_len) {
            if (chr->side_in.len) {
                chr->in_pos = 0;
                chr->in_len = vr_ring_peek(&chr->side_in, chr->in, sizeof(chr->in));
                vr_ring_drop(&chr->side_in, chr->in_len);
                continue;
            }
            if (chr->ended) {
                if (!chr->ended_told && chr->opts.on_eof) {
                    chr->ended_told = true;
                    chr->opts.on_eof(chr->opts.opaque);
                }
                return;
            }
            if (turns-- == 0) {
                vr_chr_input_later(chr);
                return;
            }
            ssize_t n = chr->kind->read(chr, chr->in, sizeof(chr->in));
            if (n == 0) {
                return;
            }
            chr->ended = n < 0;
            chr->in_pos = 0;
            chr->in_len = n < 0 ? 0 : (size_t)n;
            continue;
        }
        size_t len = chr->in_len - chr->in_pos;
        size_t took = chr_give(chr, chr->in + chr->in_pos, len);
        vr_assert(took <= len);
        chr->in_pos += took;
        chr->blocked = took < len;
    }
}

static bool chr_output_once(struct vr_chr *chr);

/* Deterministic mode: the guest never sees that a host end is slow. This is the loop's thread. */
static void chr_make_room(struct vr_chr *chr, size_t len)
{
    while (VR_CHR_OUT_MAX - chr->out.len < len) {
        if (!chr_output_once(chr) && chr->out_waiting &&
            !(chr->kind->wait_writable && chr->kind->wait_writable(chr, CHR_FLUSH_MS))) {
            vr_mutex_lock(&chr->lock);
            vr_ring_drop(&chr->out, chr->out.len); /* nobody reads */
            vr_mutex_unlock(&chr->lock);
        }
    }
}

size_t vr_chr_write(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    if (!chr || (chr->src.det && vr_det_muted(chr->src.det))) {
        return len;
    }
    if (chr->src.det) {
        chr_make_room(chr, len);
    }
    vr_mutex_lock(&chr->lock);
    size_t took = vr_ring_put(&chr->out, buf, len);
    if (!chr->first_ns && took) {
        chr->first_ns = vireo_monotonic_ns();
    }
    chr->starved |= took < len;
    bool post = chr->out.len && !chr->out_waiting && chr_claim_post_locked(chr, &chr->out_posted);
    vr_mutex_unlock(&chr->lock);
    if (post) {
        vr_loop_post(chr->loop, chr_posted_output, chr);
    }
    if (chr->tap && took) {
        chr->tap(chr->tap_opaque, buf, took);
    }
    return took;
}

uint64_t vr_chr_first_ns(struct vr_chr *chr)
{
    vr_mutex_lock(&chr->lock);
    uint64_t ns = chr->first_ns;
    vr_mutex_unlock(&chr->lock);
    return ns;
}

void vr_chr_tap(struct vr_chr *chr, void (*fn)(void *opaque, const uint8_t *buf, size_t len),
                void *opaque)
{
    chr->tap = fn;
    chr->tap_opaque = opaque;
}

static void chr_tell_sides(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    for (struct vr_chr_side *s = chr->sides, *next; s; s = next) {
        next = s->next;
        s->on_output(s->opaque, buf, len);
    }
}

/* One write to the host end. True: there is more, and it may go on. */
static bool chr_output_once(struct vr_chr *chr)
{
    uint8_t buf[CHR_OUT_LEN];
    vr_mutex_lock(&chr->lock);
    size_t len = vr_ring_peek(&chr->out, buf, sizeof(buf));
    chr->out_waiting = false;
    vr_mutex_unlock(&chr->lock);
    ssize_t n = len ? chr->kind->write(chr, buf, len) : 0;
    if (n != 0) {
        chr_tell_sides(chr, buf, n < 0 ? len : (size_t)n);
    }
    vr_mutex_lock(&chr->lock);
    /* Where nobody is, what is queued goes nowhere. */
    vr_ring_drop(&chr->out, n < 0 ? chr->out.len : (size_t)n);
    chr->out_waiting = len && n == 0;
    bool more = chr->out.len && n != 0;
    /* Half a queue of room, so that the device is not woken for every byte. */
    bool tell = chr->starved && chr->out.len <= VR_CHR_OUT_MAX / 2;
    chr->starved &= !tell;
    vr_mutex_unlock(&chr->lock);
    if (tell && chr->user.on_writable) {
        chr->user.on_writable(chr->user.opaque);
    }
    return more;
}

void vr_chr_output(struct vr_chr *chr)
{
    for (unsigned turns = CHR_TURNS; chr_output_once(chr); turns--) {
        if (turns == 0) {
            vr_mutex_lock(&chr->lock);
            bool post = chr_claim_post_locked(chr, &chr->out_posted);
            vr_mutex_unlock(&chr->lock);
            if (post) {
                vr_loop_post(chr->loop, chr_posted_output, chr);
            }
            return;
        }
    }
}

void vr_chr_set_open(struct vr_chr *chr, bool open)
{
    if (chr->open != open) {
        chr->open = open;
        if (!chr->sides) {
            chr_tell_open(chr);
        }
    }
}

/* The first one came, or the last one left: is somebody there now who was not before? */
static void chr_sides_changed(struct vr_chr *chr)
{
    if (!chr->open) {
        chr_tell_open(chr);
    }
}

void vr_chr_side_add(struct vr_chr *chr, struct vr_chr_side *side)
{
    side->next = chr->sides;
    chr->sides = side;
    if (!side->next) {
        chr_sides_changed(chr);
    }
}

void vr_chr_side_remove(struct vr_chr *chr, struct vr_chr_side *side)
{
    struct vr_chr_side **at = &chr->sides;
    while (*at != side) {
        at = &(*at)->next;
    }
    *at = side->next;
    if (!chr->sides) {
        chr_sides_changed(chr);
    }
}

size_t vr_chr_side_input(struct vr_chr *chr, const uint8_t *buf, size_t len)
{
    size_t took = vr_ring_put(&chr->side_in, buf, len);
    vr_chr_input(chr);
    return took;
}

void vr_chr_resized(struct vr_chr *chr)
{
    uint16_t cols, rows;
    if (chr_puts_off(chr, &chr->state_due)) {
        return;
    }
    if (chr->user.on_resize && chr->kind->size && chr->kind->size(chr, &cols, &rows)) {
        chr->user.on_resize(chr->user.opaque, cols, rows);
    }
}

void vr_chr_state_later(struct vr_chr *chr)
{
    vr_mutex_lock(&chr->lock);
    bool post = chr_claim_post_locked(chr, &chr->state_posted);
    vr_mutex_unlock(&chr->lock);
    if (post) {
        vr_loop_post(chr->loop, chr_posted_state, chr);
    }
}

void vr_chr_attach(struct vr_chr *chr, const struct vr_chr_user *user)
{
    chr->user = user ? *user : (struct vr_chr_user){0};
    if (user) {
        vr_chr_state_later(chr);
        vr_chr_input_later(chr);
    }
}

const char *vr_chr_path(const struct vr_chr *chr)
{
    return chr->path ? chr->path : "";
}

static void chr_close_here(void *arg)
{
    struct vr_chr *chr = arg;
    chr->user = (struct vr_chr_user){0};
    vr_det_remove(&chr->src);
    uint64_t end_ns = vireo_monotonic_ns() + CHR_FLUSH_MS * UINT64_C(1000000);
    for (;;) {
        while (chr_output_once(chr)) {
        }
        uint64_t now_ns = vireo_monotonic_ns();
        if (!chr->out_waiting || now_ns >= end_ns || !chr->kind->wait_writable ||
            !chr->kind->wait_writable(chr, (int)((end_ns - now_ns) / 1000000 + 1))) {
            break;
        }
    }
    chr->closed = true;
    chr->kind->close(chr);
}

void vr_chr_close(struct vr_chr *chr)
{
    if (chr) {
        vr_loop_call(chr->loop, chr_close_here, chr);
        chr_unref(chr);
    }
}

void vr_chr_restore_tty(struct vr_chr *chr)
{
    if (chr && chr->kind == &vr_chr_kind_stdio) {
        vr_chr_stdio_restore_tty(chr);
    }
}

/* --- Deterministic mode (core/det.h) --- */

static size_t chr_take(void *opaque, enum vr_det_kind kind, const uint8_t *buf, size_t len)
{
    struct vr_chr *chr = opaque;
    if (kind == VR_DET_DATA) {
        return chr->user.on_input ? chr->user.on_input(chr->user.opaque, buf, len) : len;
    }
    if (kind == VR_DET_OPEN && chr->user.on_open) {
        chr->user.on_open(chr->user.opaque, buf[0] != 0);
    } else if (kind == VR_DET_SIZE && len == 4 && chr->user.on_resize) {
        chr->user.on_resize(chr->user.opaque, vr_load_le16(buf), vr_load_le16(buf + 2));
    }
    return len;
}

/* A replay reads, too, for the keys that are not the guest's. */
static void chr_poll(void *opaque)
{
    struct vr_chr *chr = opaque;
    bool state = chr->state_due && !vr_det_replaying(chr->src.det), input = chr->input_due;
    uint16_t cols, rows;
    chr->state_due = chr->input_due = false;
    chr->polling = true;
    if (state) {
        const uint8_t open = chr->open || chr->sides;
        vr_det_input(&chr->src, VR_DET_OPEN, &open, 1);
    }
    if (state && chr->user.on_resize && chr->kind->size && chr->kind->size(chr, &cols, &rows)) {
        uint8_t size[4];
        vr_store_le16(size, cols);
        vr_store_le16(size + 2, rows);
        vr_det_input(&chr->src, VR_DET_SIZE, size, sizeof(size));
    }
    if (input) {
        vr_chr_input(chr);
        chr->input_due = chr->src.held != NULL;
    }
    chr->polling = false;
}

/* Opening happens on the loop's thread, where handles live. */
struct chr_opening {
    const struct vr_chr_opts *opts;
    struct vr_loop *loop;
    struct vr_chr **ret_chr;
    struct vr_error *err;
    int result;
};

static const struct {
    const char *name;
    bool takes_arg;
    int (*open)(const struct vr_chr_opts *opts, const char *arg, struct vr_loop *loop,
                struct vr_chr **ret_chr, struct vr_error *err);
} chr_kinds[] = {
    {"stdio", false, vr_chr_open_stdio}, {"null", false, vr_chr_open_null},
    {"pty", false, vr_chr_open_pty},     {"file", true, vr_chr_open_file},
    {"unix", true, vr_chr_open_unix},    {"mem", false, vr_chr_open_mem},
};

static int chr_open_spec(const struct chr_opening *o)
{
    const char *spec = o->opts->spec, *colon = strchr(spec, ':');
    size_t len = colon ? (size_t)(colon - spec) : strlen(spec);
    const char *names[VR_COUNT(chr_kinds)];
    for (unsigned i = 0; i < VR_COUNT(chr_kinds); i++) {
        names[i] = chr_kinds[i].name;
        if (strlen(names[i]) != len || memcmp(names[i], spec, len) != 0) {
            continue;
        }
        if (chr_kinds[i].takes_arg && (!colon || !colon[1])) {
            return vr_err(o->err, -EINVAL, "console '%s': a path is needed: %s:PATH", spec,
                          names[i]);
        }
        if (!chr_kinds[i].takes_arg && colon) {
            return vr_err(o->err, -EINVAL, "console '%s': '%s' takes nothing after it", spec,
                          names[i]);
        }
        return chr_kinds[i].open(o->opts, colon ? colon + 1 : "", o->loop, o->ret_chr, o->err);
    }
    char word[16];
    snprintf(word, sizeof(word), "%.*s", (int)(len < 15 ? len : 15), spec);
    const char *near = vr_nearest(word, names, VR_COUNT(names));
    return vr_err(o->err, -EINVAL,
                  "console '%s': unknown%s%s%s; there are: stdio, null, pty, "
                  "file:PATH, unix:PATH",
                  spec, near ? "; did you mean '" : "", near ? near : "", near ? "'?" : "");
}

static void chr_open_here(void *arg)
{
    struct chr_opening *o = arg;
    o->result = chr_open_spec(o);
    if (o->result == 0) {
        (*o->ret_chr)->src = (struct vr_det_src){
            .name = "console", .take = chr_take, .poll = chr_poll, .opaque = *o->ret_chr};
        vr_det_add(o->loop, &(*o->ret_chr)->src);
    }
}

int vr_chr_open(const struct vr_chr_opts *opts, struct vr_loop *loop, struct vr_chr **ret_chr,
                struct vr_error *err)
{
    struct chr_opening o = {.opts = opts, .loop = loop, .ret_chr = ret_chr, .err = err};
    vr_loop_call(loop, chr_open_here, &o);
    return o.result;
}
