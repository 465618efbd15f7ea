/* Finds the values in a saved section; the format is described in core/snap.h. */
#include "snap_walk.h"

#include "base/bits.h"
#include "base/err.h"

void snap_walk_begin(struct snap_walk *w, const struct vr_snap *snap, const struct vr_field *table)
{
    *w = (struct snap_walk){.snap = snap};
    w->level[0].table = table;
    w->pos = 1u + snap->buf[0] + 1 + 2 + 8;
}

/* At a record: enter its struct, pass over its buffer, or make it the current array of values. */
static void walk_record(struct snap_walk *w)
{
    const uint8_t *p = w->snap->buf + w->pos;
    char name[256] = "";
    memcpy(name, p + 1, p[0]);
    uint32_t count = vr_load_le32(p + 1 + p[0] + 1);
    w->pos += 1u + p[0] + 1 + 4;
    const struct vr_field *f = vr_field_find(w->level[w->depth].table, name);
    vr_assert(f != NULL);
    if (f->type == VR_STRUCT) {
        w->depth++;
        vr_assert(w->depth < WALK_DEPTH);
        w->level[w->depth].table = f->sub;
        w->level[w->depth].left = count - 1;
    } else if (f->type == VR_BUF) {
        w->pos += count;
    } else {
        w->field = f;
        w->width = f->type == VR_BOOL ? 1 : f->elem_size;
        w->count = count;
        w->index = 0;
        w->at = w->pos;
        w->pos += (size_t)count * w->width;
    }
}

bool snap_walk_next(struct snap_walk *w)
{
    if (w->field && w->index + 1 < w->count) {
        w->index++;
        w->at += w->width;
        return true;
    }
    w->field = NULL;
    while (!w->field) {
        if (w->snap->buf[w->pos] != 0) {
            walk_record(w);
            continue;
        }
        w->pos++; /* the end of a body */
        if (w->depth == 0) {
            return false;
        }
        if (w->level[w->depth].left) {
            w->level[w->depth].left--;
        } else {
            w->depth--;
        }
    }
    return true;
}
