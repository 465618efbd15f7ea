/*
 * Finds the values in a saved section, so that a test can compare and damage them. It trusts the
 * bytes: they were just saved.
 */
#ifndef VR_TEST_SNAP_WALK_H
#define VR_TEST_SNAP_WALK_H

#include "base/field.h"
#include "core/snap.h"

enum { WALK_DEPTH = 4 };

struct snap_walk {
    const struct vr_snap *snap;
    /* The value that snap_walk_next found. */
    const struct vr_field *field;
    size_t at; /* in snap->buf */
    unsigned width, index, count;
    /* Where it is. */
    size_t pos;
    unsigned depth;
    struct {
        const struct vr_field *table;
        unsigned left; /* elements of this struct still to come */
    } level[WALK_DEPTH];
};

void snap_walk_begin(struct snap_walk *w, const struct vr_snap *snap, const struct vr_field *table);
/* The next value (the bytes of buffers are passed over); false: that was all. */
bool snap_walk_next(struct snap_walk *w);

#endif
