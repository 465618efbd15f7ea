/*
 * The snapshot stream: named sections of named, typed, little-endian records.
 *
 * A reader treats the stream as hostile: each length is checked, unknown or missing names are
 * errors that name the section and field, and an object is changed only when its whole section is
 * good.
 */
#ifndef VR_CORE_SNAP_H
#define VR_CORE_SNAP_H

#include "base/err.h"
#include "base/field.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_ram;
struct vr_space;

struct vr_snap {
    uint8_t *buf; /* owned */
    size_t len, cap, pos;
};

void vr_snap_init(struct vr_snap *s);
void vr_snap_fini(struct vr_snap *s);

/* Append a section for @obj: its STATE fields. -ENOMEM. */
int vr_snap_save(struct vr_snap *s, const char *section, uint16_t version, const void *obj,
                 const struct vr_field *table, struct vr_error *err) VR_MUST;
/* Read the next section, which must be called @section and be of at most @version, into @obj. All
 * or nothing. -ENODATA (truncated), -EPROTO (names, types, versions), -ERANGE (values), -ENOMEM. */
int vr_snap_load(struct vr_snap *s, const char *section, uint16_t version, void *obj,
                 const struct vr_field *table, struct vr_error *err) VR_MUST;

/* The same for the contents of guest RAM; zero pages take no room. Loading goes by @space's
 * code-written listeners. Nobody else may be writing the memory. */
int vr_snap_save_ram(struct vr_snap *s, const char *section, const struct vr_ram *ram,
                     struct vr_error *err) VR_MUST;
int vr_snap_load_ram(struct vr_snap *s, const char *section, struct vr_space *space,
                     struct vr_ram *ram, struct vr_error *err) VR_MUST;

/* Is the next section called so? False as well at the end of the stream, and for nonsense. */
bool vr_snap_next_is(const struct vr_snap *s, const char *section);

#endif
