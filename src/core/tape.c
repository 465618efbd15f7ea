/* Tapes, written and read. See tape.h. */
#include "core/tape.h"
#include "base/alloc.h"
#include "base/bits.h"
#include "core/hash.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char tape_magic[8] = {'V', 'I', 'R', 'E', 'O', 'T', 'A', 'P'};

enum {
    TAPE_HEAD = 48, /* magic, version, length of about, seed, epoch, hashes, checksum; about */
    TAPE_REC = 24,  /* length, kind, source, beat, steps; then data; then a checksum */
    TAPE_SUM = 8,
};
#define TAPE_FILE_MAX (UINT64_C(64) << 30)

struct vr_tape {
    FILE *file; /* writing */
    int failed; /* the first errno */
    uint64_t bytes;
    uint8_t *all; /* reading: the file */
    uint64_t *at; /* where records begin */
    uint64_t count, room;
    struct vr_tape_head head;
    char *about;
};

static struct vr_tape *tape_new(const struct vr_tape_head *head, size_t about_len)
{
    struct vr_tape *t = vr_zalloc(sizeof(*t));
    char *about = t ? vr_zalloc(about_len + 1) : NULL;
    if (!about) {
        free(t);
        return NULL;
    }
    memcpy(about, head->about, about_len);
    t->about = about;
    t->head = *head;
    t->head.about = about;
    return t;
}

void vr_tape_close(struct vr_tape *t)
{
    if (t) {
        if (t->file) {
            (void)fclose(t->file);
        }
        free(t->all);
        free(t->at);
        free(t->about);
        free(t);
    }
}

/* --- Writing --- */

static void tape_write(struct vr_tape *t, const void *data, size_t len)
{
    if (!t->failed && len && fwrite(data, 1, len, t->file) != len) {
        t->failed = errno ? -errno : -EIO;
    }
    t->bytes += len;
}

int vr_tape_create(const char *path, const struct vr_tape_head *head, struct vr_tape **ret_tape,
                   struct vr_error *err)
{
    size_t len = strnlen(head->about, VR_TAPE_ABOUT_MAX);
    struct vr_tape *t = tape_new(head, len);
    if (!t) {
        return vr_err(err, -ENOMEM, "recording %s: no memory", path);
    }
    t->file = fopen(path, "we");
    if (!t->file) {
        int r = -errno;
        vr_tape_close(t);
        return vr_err(err, r, "recording %s: cannot write there: %s", path, strerror(-r));
    }
    uint8_t h[TAPE_HEAD];
    memcpy(h, tape_magic, sizeof(tape_magic));
    vr_store_le32(h + 8, VR_TAPE_VERSION);
    vr_store_le32(h + 12, (uint32_t)len);
    vr_store_le64(h + 16, head->seed);
    vr_store_le64(h + 24, head->epoch_ns);
    vr_store_le64(h + 32, head->hash_steps);
    vr_store_le64(h + 40, vr_hash64(t->about, len, vr_hash64(h, 40, 0)));
    tape_write(t, h, sizeof(h));
    tape_write(t, t->about, len);
    *ret_tape = t;
    return 0;
}

void vr_tape_put(struct vr_tape *t, const struct vr_tape_rec *rec, const void *more,
                 size_t more_len)
{
    uint8_t h[TAPE_REC], sum[TAPE_SUM];
    struct vr_hash hash;
    vr_assert(rec->len + more_len <= VR_TAPE_DATA_MAX);
    vr_store_le32(h, (uint32_t)(rec->len + more_len));
    vr_store_le16(h + 4, rec->kind);
    vr_store_le16(h + 6, rec->src);
    vr_store_le64(h + 8, rec->beat);
    vr_store_le64(h + 16, rec->steps);
    vr_hash_init(&hash, t->bytes); /* so that a record counts only where it was written */
    vr_hash_add(&hash, h, sizeof(h));
    if (rec->len) {
        vr_hash_add(&hash, rec->data, rec->len);
    }
    if (more_len) {
        vr_hash_add(&hash, more, more_len);
    }
    vr_store_le64(sum, vr_hash_end(&hash));
    tape_write(t, h, sizeof(h));
    tape_write(t, rec->data, rec->len);
    tape_write(t, more, more_len);
    tape_write(t, sum, sizeof(sum));
}

int vr_tape_flush(struct vr_tape *t)
{
    if (!t->failed && fflush(t->file) != 0) {
        t->failed = errno ? -errno : -EIO;
    }
    return t->failed;
}

uint64_t vr_tape_bytes(const struct vr_tape *t)
{
    return t->bytes;
}

/* --- Reading --- */

static void tape_rec(const uint8_t *p, struct vr_tape_rec *ret_rec)
{
    *ret_rec = (struct vr_tape_rec){
        .kind = vr_load_le16(p + 4),
        .src = vr_load_le16(p + 6),
        .beat = vr_load_le64(p + 8),
        .steps = vr_load_le64(p + 16),
        .data = p + TAPE_REC,
        .len = vr_load_le32(p),
    };
}

static int tape_note(struct vr_tape *t, uint64_t off)
{
    if (t->count == t->room) {
        uint64_t room = t->room ? t->room * 2 : 1024;
        uint64_t *at = realloc(t->at, room * sizeof(*at));
        if (!at) {
            return -ENOMEM;
        }
        t->at = at;
        t->room = room;
    }
    t->at[t->count++] = off;
    return 0;
}

static int tape_index(struct vr_tape *t, const char *name, size_t off, struct vr_error *err)
{
    uint64_t beat = 0;
    while (off < t->bytes) {
        uint64_t left = t->bytes - off;
        uint64_t len = left >= TAPE_REC ? vr_load_le32(t->all + off) : 0;
        if (left >= TAPE_REC && len > VR_TAPE_DATA_MAX) {
            return vr_err(err, -EBADMSG,
                          "recording %s: a record at byte %zu has %" PRIu64
                          " bytes, more than there can be: damaged",
                          name, off, len);
        }
        if (left < TAPE_REC + len + TAPE_SUM) {
            return 0; /* it was cut there: what was whole counts */
        }
        const uint8_t *p = t->all + off;
        if (vr_hash64(p, TAPE_REC + (size_t)len, off) != vr_load_le64(p + TAPE_REC + len)) {
            return vr_err(err, -EBADMSG,
                          "recording %s: the record at byte %zu has a wrong checksum: damaged",
                          name, off);
        }
        struct vr_tape_rec rec;
        tape_rec(p, &rec);
        if (rec.beat < beat) {
            return vr_err(err, -EBADMSG, "recording %s: the record at byte %zu is out of order",
                          name, off);
        }
        beat = rec.beat;
        if (tape_note(t, off) < 0) {
            return vr_err(err, -ENOMEM, "recording %s: no memory", name);
        }
        off += TAPE_REC + (size_t)len + TAPE_SUM;
    }
    return 0;
}

/* @bytes is the tape's from now on, whatever becomes of it. */
static int tape_take(const char *name, uint8_t *bytes, size_t len, struct vr_tape **ret_tape,
                     struct vr_error *err)
{
    uint64_t about = len >= TAPE_HEAD ? vr_load_le32(bytes + 12) : 0;
    if (len < TAPE_HEAD || memcmp(bytes, tape_magic, sizeof(tape_magic)) != 0) {
        free(bytes);
        return vr_err(err, -EPROTO, "%s: not a recording of Vireo's", name);
    }
    if (vr_load_le32(bytes + 8) != VR_TAPE_VERSION) {
        unsigned version = vr_load_le32(bytes + 8);
        free(bytes);
        return vr_err(err, -EPROTO,
                      "recording %s: version %u; this Vireo reads %d: record it again", name,
                      version, VR_TAPE_VERSION);
    }
    if (about > VR_TAPE_ABOUT_MAX || about > len - TAPE_HEAD ||
        vr_hash64(bytes + TAPE_HEAD, (size_t)about, vr_hash64(bytes, 40, 0)) !=
            vr_load_le64(bytes + 40)) {
        free(bytes);
        return vr_err(err, -EBADMSG, "recording %s: its head is damaged", name);
    }
    struct vr_tape_head head = {.seed = vr_load_le64(bytes + 16),
                                .epoch_ns = vr_load_le64(bytes + 24),
                                .hash_steps = vr_load_le64(bytes + 32),
                                .about = (const char *)bytes + TAPE_HEAD};
    struct vr_tape *t = tape_new(&head, (size_t)about);
    if (!t) {
        free(bytes);
        return vr_err(err, -ENOMEM, "recording %s: no memory", name);
    }
    t->all = bytes;
    t->bytes = len;
    int r = tape_index(t, name, TAPE_HEAD + (size_t)about, err);
    if (r < 0) {
        vr_tape_close(t);
        return r;
    }
    *ret_tape = t;
    return 0;
}

int vr_tape_open_bytes(const char *name, const void *bytes, size_t len, struct vr_tape **ret_tape,
                       struct vr_error *err)
{
    uint8_t *copy = vr_zalloc(len + 1);
    if (!copy) {
        return vr_err(err, -ENOMEM, "recording %s: no memory", name);
    }
    if (len) {
        memcpy(copy, bytes, len);
    }
    return tape_take(name, copy, len, ret_tape, err);
}

/* All of @file, whose length is not believed. */
static int tape_read(FILE *file, uint8_t **ret_bytes, size_t *ret_len)
{
    size_t len = 0, room = 1 << 20;
    uint8_t *bytes = malloc(room);
    while (bytes) {
        size_t n = fread(bytes + len, 1, room - len, file);
        len += n;
        if (n == 0) {
            break;
        }
        if (len == room) {
            if (room > TAPE_FILE_MAX / 2) {
                free(bytes);
                return -EFBIG;
            }
            uint8_t *more = realloc(bytes, room *= 2);
            if (!more) {
                free(bytes);
            }
            bytes = more;
        }
    }
    if (!bytes || ferror(file)) {
        free(bytes);
        return bytes ? -EIO : -ENOMEM;
    }
    *ret_bytes = bytes;
    *ret_len = len;
    return 0;
}

int vr_tape_open(const char *path, struct vr_tape **ret_tape, struct vr_error *err)
{
    uint8_t *bytes = NULL;
    size_t len = 0;
    FILE *file = fopen(path, "re");
    int r = file ? tape_read(file, &bytes, &len) : -errno;
    if (file) {
        (void)fclose(file);
    }
    return r < 0 ? vr_err(err, r, "recording %s: cannot read it: %s", path, strerror(-r))
                 : tape_take(path, bytes, len, ret_tape, err);
}

void vr_tape_head(const struct vr_tape *t, struct vr_tape_head *ret_head)
{
    *ret_head = t->head;
}

bool vr_tape_get(const struct vr_tape *t, uint64_t i, struct vr_tape_rec *ret_rec)
{
    if (i >= t->count) {
        return false;
    }
    tape_rec(t->all + t->at[i], ret_rec);
    return true;
}

uint64_t vr_tape_count(const struct vr_tape *t)
{
    return t->count;
}
