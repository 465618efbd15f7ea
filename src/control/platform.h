/* The host as JSON values, a part at a time; docs/platform-json.md says what is in them. */
#ifndef VR_CONTROL_PLATFORM_H
#define VR_CONTROL_PLATFORM_H

#include "base/err.h"
#include <jansson.h>

/* Name of part @i of the host, static; NULL past the end. */
const char *vr_query_platform_part(unsigned i);
/* An object with one member for each part, or for @part alone (NULL: all). With @root not of this
 * host but of a copy of another one's files below that directory: then without what is of the
 * running host only. -EINVAL: no such part, the message names the nearest, or none of a copy;
 * -ENOMEM; what looking up the host's facts gives. The caller owns the result. */
int vr_query_platform(const char *root, const char *part, json_t **ret_json,
                      struct vr_error *err) VR_MUST;

#endif
