/* Sections made of a field table: STATE fields as named, typed records. */
#include "base/alloc.h"
#include "base/bits.h"
#include "core/snap_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { SNAP_TABLE_MAX = 128 }; /* fields of one table */

static unsigned snap_width(enum vr_type type)
{
    switch (type) {
    case VR_BOOL:
    case VR_U8:
        return 1;
    case VR_U16:
        return 2;
    case VR_U32:
        return 4;
    default:
        vr_assert(type == VR_U64);
        return 8;
    }
}

static bool snap_is_state(const struct vr_field *f)
{
    return f->role & VR_ROLE_STATE;
}

static uint32_t snap_buf_len(const void *obj, const struct vr_field *f)
{
    uint32_t len;
    memcpy(&len, (const char *)obj + f->len_offset, sizeof(len));
    return len;
}

static void *snap_buf(const void *obj, const struct vr_field *f)
{
    void *buf;
    memcpy(&buf, (const char *)obj + f->offset, sizeof(buf));
    return buf;
}

static int snap_put_body(struct vr_snap *s, const void *obj, const struct vr_field *table);

static int snap_put_record(struct vr_snap *s, const void *obj, const struct vr_field *f)
{
    size_t name_len = strlen(f->name);
    uint32_t count = f->type == VR_BUF ? snap_buf_len(obj, f) : f->count;
    vr_assert(name_len > 0 && name_len <= VR_SNAP_NAME_MAX);
    vr_assert(f->type != VR_BUF || count <= f->max);
    int r = vr_snap_put_le(s, 1, name_len);
    r = r < 0 ? r : vr_snap_put(s, f->name, name_len);
    r = r < 0 ? r : vr_snap_put_le(s, 1, f->type);
    r = r < 0 ? r : vr_snap_put_le(s, 4, count);
    if (r < 0) {
        return r;
    }
    if (f->type == VR_BUF) {
        return vr_snap_put(s, snap_buf(obj, f), count);
    }
    if (f->type == VR_U8 && f->elem_size == 1) {
        return vr_snap_put(s, (const char *)obj + f->offset, count);
    }
    for (uint32_t i = 0; r == 0 && i < count; i++) {
        if (f->type == VR_STRUCT) {
            const char *elem = (const char *)obj + f->offset + (size_t)i * f->elem_size;
            r = snap_put_body(s, elem, f->sub);
        } else {
            r = vr_snap_put_le(s, snap_width((enum vr_type)f->type), vr_field_get(obj, f, i));
        }
    }
    return r;
}

static int snap_put_body(struct vr_snap *s, const void *obj, const struct vr_field *table)
{
    for (const struct vr_field *f = table; f && f->name; f++) {
        if (snap_is_state(f)) {
            int r = snap_put_record(s, obj, f);
            if (r < 0) {
                return r;
            }
        }
    }
    return vr_snap_put_le(s, 1, 0);
}

int vr_snap_save(struct vr_snap *s, const char *section, uint16_t version, const void *obj,
                 const struct vr_field *table, struct vr_error *err)
{
    size_t mark, start = s->len;
    int r = vr_snap_begin(s, section, VR_SNAP_FIELDS, version, &mark);
    if (r == 0) {
        r = snap_put_body(s, obj, table);
    }
    if (r < 0) {
        s->len = start;
        return vr_err(err, r, "saving '%s': no memory", section);
    }
    vr_snap_end(s, mark);
    return 0;
}

/* A section being read. */
struct snap_in {
    struct vr_snap body;
    uint16_t version;
    struct vr_error *err;
};

static int snap_short(struct snap_in *in, const char *field)
{
    return vr_err(in->err, -ENODATA, "section ends inside field '%.64s'", field);
}

static int snap_get_body(struct snap_in *in, void *obj, const struct vr_field *table);

static int snap_get_buf(struct snap_in *in, void *obj, const struct vr_field *f, uint32_t count)
{
    if (count > f->max) {
        return vr_err(in->err, -ERANGE, "field '%s' has %u bytes, at most %" PRIu64, f->name, count,
                      f->max);
    }
    if (count > in->body.len - in->body.pos) {
        return snap_short(in, f->name);
    }
    if (count) {
        void *buf = vr_zalloc(count);
        if (!buf) {
            return vr_err(in->err, -ENOMEM, "field '%s': no memory", f->name);
        }
        memcpy((char *)obj + f->offset, &buf, sizeof(buf)); /* obj owns it, also on failure */
        return vr_snap_get(&in->body, buf, count);
    }
    return 0;
}

static int snap_get_values(struct snap_in *in, void *obj, const struct vr_field *f)
{
    for (uint32_t i = 0; i < f->count; i++) {
        uint64_t v;
        if (f->type == VR_STRUCT) {
            int r = snap_get_body(in, (char *)obj + f->offset + (size_t)i * f->elem_size, f->sub);
            if (r < 0) {
                return vr_err_in(in->err, r, "%s[%u]", f->name, i);
            }
            continue;
        }
        if (vr_snap_get_le(&in->body, snap_width((enum vr_type)f->type), &v) < 0) {
            return snap_short(in, f->name);
        }
        if (!vr_field_ok(f, v)) {
            return vr_err(in->err, -ERANGE, "field '%s' (element %u) is %" PRIu64 ": out of range",
                          f->name, i, v);
        }
        vr_field_set(obj, f, i, v);
    }
    return 0;
}

/* What was met of a table's fields. */
struct snap_seen {
    bool seen[SNAP_TABLE_MAX];
    uint32_t count[SNAP_TABLE_MAX];
};

static int snap_get_record(struct snap_in *in, void *obj, const struct vr_field *table,
                           uint64_t name_len, struct snap_seen *seen)
{
    char name[VR_SNAP_NAME_MAX + 1] = "";
    uint64_t type, count;
    if (vr_snap_get(&in->body, name, name_len) < 0 || vr_snap_get_le(&in->body, 1, &type) < 0 ||
        vr_snap_get_le(&in->body, 4, &count) < 0) {
        return snap_short(in, name);
    }
    const struct vr_field *f = strlen(name) == name_len ? vr_field_find(table, name) : NULL;
    if (!f || !snap_is_state(f)) {
        return vr_err(in->err, -EPROTO, "unknown field '%.64s'", name);
    }
    if (f->type != type || (f->type != VR_BUF && f->count != count)) {
        return vr_err(in->err, -EPROTO, "field '%s' has another type or count than here", name);
    }
    if (f->since > in->version) {
        return vr_err(in->err, -EPROTO, "field '%s' is newer than the section's version, %u", name,
                      in->version);
    }
    size_t at = (size_t)(f - table);
    vr_assert(at < SNAP_TABLE_MAX);
    if (seen->seen[at]) {
        return vr_err(in->err, -EPROTO, "field '%s' comes twice", name);
    }
    seen->seen[at] = true;
    seen->count[at] = (uint32_t)count;
    return f->type == VR_BUF ? snap_get_buf(in, obj, f, (uint32_t)count)
                             : snap_get_values(in, obj, f);
}

static int snap_get_body(struct snap_in *in, void *obj, const struct vr_field *table)
{
    struct snap_seen seen = {0};
    for (;;) {
        uint64_t name_len;
        if (vr_snap_get_le(&in->body, 1, &name_len) < 0) {
            return vr_err(in->err, -ENODATA, "section ends without an end mark");
        }
        if (name_len == 0) {
            break;
        }
        int r = snap_get_record(in, obj, table, name_len, &seen);
        if (r < 0) {
            return r;
        }
    }
    for (const struct vr_field *f = table; f && f->name; f++) {
        size_t at = (size_t)(f - table);
        if (snap_is_state(f) && !seen.seen[at] && f->since <= in->version) {
            return vr_err(in->err, -EPROTO, "field '%s' is missing", f->name);
        }
        if (f->type == VR_BUF && snap_buf_len(obj, f) != seen.count[at]) {
            return vr_err(in->err, -ERANGE, "field '%s' has %u bytes, but its length says %u",
                          f->name, seen.count[at], snap_buf_len(obj, f));
        }
    }
    return 0;
}

static size_t snap_extent(const struct vr_field *table)
{
    size_t extent = 0;
    for (const struct vr_field *f = table; f && f->name; f++) {
        size_t end = f->offset + (size_t)f->elem_size * f->count;
        extent = end > extent ? end : extent;
        if (f->type == VR_BUF && f->len_offset + sizeof(uint32_t) > extent) {
            extent = f->len_offset + sizeof(uint32_t);
        }
    }
    return extent;
}

/* Move STATE fields from @from, which keeps no buffer, to @to, whose old buffers go. */
static void snap_move(void *to, void *from, const struct vr_field *table)
{
    for (const struct vr_field *f = table; f && f->name; f++) {
        char *dst = (char *)to + f->offset, *src = (char *)from + f->offset;
        if (!snap_is_state(f)) {
            continue;
        }
        if (f->type == VR_STRUCT) {
            for (uint32_t i = 0; i < f->count; i++) {
                snap_move(dst + (size_t)i * f->elem_size, src + (size_t)i * f->elem_size, f->sub);
            }
        } else if (f->type == VR_BUF) {
            uint32_t len = snap_buf_len(from, f);
            free(snap_buf(to, f));
            memcpy(dst, src, sizeof(void *));
            memset(src, 0, sizeof(void *));
            memcpy((char *)to + f->len_offset, &len, sizeof(len));
        } else {
            memcpy(dst, src, (size_t)f->elem_size * f->count);
        }
    }
}

int vr_snap_load(struct vr_snap *s, const char *section, uint16_t version, void *obj,
                 const struct vr_field *table, struct vr_error *err)
{
    struct snap_in in = {.err = err};
    size_t skip;
    int r = vr_snap_enter(s, section, VR_SNAP_FIELDS, version, &in.body, &in.version, &skip, err);
    if (r < 0) {
        return r;
    }
    void *tmp = vr_zalloc(snap_extent(table));
    if (!tmp) {
        return vr_err(err, -ENOMEM, "restoring '%s': no memory", section);
    }
    vr_fields_reset(tmp, table, VR_ROLE_STATE);
    r = snap_get_body(&in, tmp, table);
    if (r == 0 && in.body.pos != in.body.len) {
        r = vr_err(err, -EPROTO, "bytes follow the end mark");
    }
    if (r == 0) {
        snap_move(obj, tmp, table);
        s->pos += skip;
    }
    vr_fields_reset(tmp, table, VR_ROLE_STATE); /* frees the buffers of a failed load */
    free(tmp);
    return r < 0 ? vr_err_in(err, r, "restoring '%s'", section) : 0;
}
