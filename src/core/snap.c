/* The snapshot stream: bytes and section heads. Fields are in snap_fields.c, memory in snap_ram.c.
 */
#include "core/snap.h"

#include "base/bits.h"
#include "core/snap_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

void vr_snap_init(struct vr_snap *s)
{
    *s = (struct vr_snap){0};
}

void vr_snap_fini(struct vr_snap *s)
{
    free(s->buf);
    *s = (struct vr_snap){0};
}

int vr_snap_put(struct vr_snap *s, const void *data, size_t len)
{
    if (len > s->cap - s->len) {
        uint64_t cap;
        if (!vr_add_ok(s->len, len, &cap) || !vr_mul_ok(cap, 2, &cap) || cap > SIZE_MAX) {
            return -ENOMEM;
        }
        uint8_t *buf = realloc(s->buf, (size_t)cap);
        if (!buf) {
            return -ENOMEM;
        }
        s->buf = buf;
        s->cap = (size_t)cap;
    }
    if (len) {
        memcpy(s->buf + s->len, data, len);
    }
    s->len += len;
    return 0;
}

int vr_snap_get(struct vr_snap *s, void *data, size_t len)
{
    if (len > s->len - s->pos) {
        return -ENODATA;
    }
    if (len) {
        memcpy(data, s->buf + s->pos, len);
    }
    s->pos += len;
    return 0;
}

int vr_snap_put_le(struct vr_snap *s, unsigned width, uint64_t val)
{
    uint8_t bytes[8];
    vr_store_le(bytes, width, val);
    return vr_snap_put(s, bytes, width);
}

int vr_snap_get_le(struct vr_snap *s, unsigned width, uint64_t *ret_val)
{
    uint8_t bytes[8];
    int r = vr_snap_get(s, bytes, width);
    if (r == 0) {
        *ret_val = vr_load_le(bytes, width);
    }
    return r;
}

int vr_snap_begin(struct vr_snap *s, const char *section, char kind, uint16_t version,
                  size_t *ret_mark)
{
    size_t len = strlen(section), start = s->len;
    vr_assert(len > 0 && len <= VR_SNAP_NAME_MAX);
    if (vr_snap_put_le(s, 1, len) < 0 || vr_snap_put(s, section, len) < 0 ||
        vr_snap_put(s, &kind, 1) < 0 || vr_snap_put_le(s, 2, version) < 0 ||
        vr_snap_put_le(s, 8, 0) < 0) {
        s->len = start;
        return -ENOMEM;
    }
    *ret_mark = s->len;
    return 0;
}

void vr_snap_end(struct vr_snap *s, size_t mark)
{
    vr_store_le64(s->buf + mark - 8, s->len - mark);
}

int vr_snap_enter(struct vr_snap *s, const char *section, char kind, uint16_t version,
                  struct vr_snap *ret_body, uint16_t *ret_version, size_t *ret_skip,
                  struct vr_error *err)
{
    struct vr_snap in = *s; /* a cursor of its own; @s stays where it is */
    char name[VR_SNAP_NAME_MAX + 1] = "", is;
    uint64_t name_len, got, body_len;
    if (vr_snap_get_le(&in, 1, &name_len) < 0 || vr_snap_get(&in, name, name_len) < 0 ||
        vr_snap_get(&in, &is, 1) < 0 || vr_snap_get_le(&in, 2, &got) < 0 ||
        vr_snap_get_le(&in, 8, &body_len) < 0 || body_len > in.len - in.pos) {
        return vr_err(err, -ENODATA, "snapshot ends where section '%s' should be", section);
    }
    if (strlen(name) != name_len || strcmp(name, section) != 0) {
        return vr_err(err, -EPROTO,
                      "snapshot has section '%.64s' where '%s' should be: made by a machine with "
                      "other devices?",
                      name, section);
    }
    if (is != kind) {
        return vr_err(err, -EPROTO, "snapshot section '%s' is of another kind", section);
    }
    if (got > version) {
        return vr_err(err, -EPROTO,
                      "snapshot section '%s' has version %u, newer than %u, the latest known here",
                      section, (unsigned)got, version);
    }
    *ret_body = (struct vr_snap){.buf = in.buf + in.pos, .len = (size_t)body_len};
    *ret_version = (uint16_t)got;
    *ret_skip = in.pos + (size_t)body_len - s->pos;
    return 0;
}

bool vr_snap_next_is(const struct vr_snap *s, const char *section)
{
    size_t len = strlen(section);
    return s->pos < s->len && s->len - s->pos > len && s->buf[s->pos] == len &&
           memcmp(s->buf + s->pos + 1, section, len) == 0;
}
