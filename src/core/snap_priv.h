/* The byte stream under the snapshot format, for the files that write sections. */
#ifndef VR_CORE_SNAP_PRIV_H
#define VR_CORE_SNAP_PRIV_H

#include "core/snap.h"

enum { VR_SNAP_NAME_MAX = 255, VR_SNAP_FIELDS = 'T', VR_SNAP_RAM = 'R' };

/* Raw bytes. Put: -ENOMEM. Get: -ENODATA, nothing consumed. */
int vr_snap_put(struct vr_snap *s, const void *data, size_t len) VR_MUST;
int vr_snap_get(struct vr_snap *s, void *data, size_t len) VR_MUST;
/* @width bytes, little-endian. */
int vr_snap_put_le(struct vr_snap *s, unsigned width, uint64_t val) VR_MUST;
int vr_snap_get_le(struct vr_snap *s, unsigned width, uint64_t *ret_val) VR_MUST;

/* Open a section; *ret_mark is for vr_snap_end, which fills in the length. */
int vr_snap_begin(struct vr_snap *s, const char *section, char kind, uint16_t version,
                  size_t *ret_mark) VR_MUST;
void vr_snap_end(struct vr_snap *s, size_t mark);
/* Read a section's head and check it; *ret_body covers the body alone and owns nothing. Behind the
 * section is
 * @s->pos + what *ret_skip says; @s does not move. */
int vr_snap_enter(struct vr_snap *s, const char *section, char kind, uint16_t version,
                  struct vr_snap *ret_body, uint16_t *ret_version, size_t *ret_skip,
                  struct vr_error *err) VR_MUST;

#endif
