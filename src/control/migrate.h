/* Live migration of a machine to another Vireo: the source's side. See docs/migration.md, and
 * vireo/vm.h for what vireo_vm_migrate promises. */
#ifndef VR_CONTROL_MIGRATE_H
#define VR_CONTROL_MIGRATE_H

#include "base/err.h"
#include "vireo/vm.h"

struct vr_migrate;

/* What there is of it in a machine: at most one at a time, and how the last one went. */
int vr_migrate_create(struct vireo_vm *vm, struct vr_migrate **ret_migrate,
                      struct vr_error *err) VR_MUST;
/* Calls it off, and waits for that. NULL is fine. Not on the I/O thread. */
void vr_migrate_destroy(struct vr_migrate *mg);
/* What is 0 in @o becomes the default that vireo/vm.h tells. */
void vr_migrate_defaults(struct vireo_migrate_opts *o);
/* For the one that is under way, if one is: what it may use from here on; opts->end does not count.
 */
void vr_migrate_tune(struct vr_migrate *mg, const struct vireo_migrate_opts *opts);
/* The name of a status as QMP has it. */
const char *vr_migrate_status(enum vireo_migrate_status status);

#endif
