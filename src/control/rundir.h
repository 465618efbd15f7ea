/*
 * Where the control sockets of this user's machines are: NAME.sock in the runtime folder
 * (VIREO_PATH_RUNTIME), which nobody else may look into.
 */
#ifndef VR_CONTROL_RUNDIR_H
#define VR_CONTROL_RUNDIR_H

#include "platform/unixsock.h"
#include <stdbool.h>
#include <stddef.h>

enum { VR_NAME_MAX = 31, VR_RUNDIR_PATH_MAX = 4096 };

/* Listen as machine @name, or if @may_number as the first of NAME, NAME2, NAME3, ... that is free.
 * What dead machines left is removed. *ret_name: VR_NAME_MAX + 1 characters. -EADDRINUSE: a machine
 * of that name runs. */
int vr_rundir_listen(const char *name, bool may_number, struct vr_unix *ret_sock, char *ret_name,
                     struct vr_error *err) VR_MUST;
/* The socket of machine @name; whether there is one is not looked at. */
int vr_rundir_path(const char *name, char *ret_path, size_t size, struct vr_error *err) VR_MUST;
/* Another file of its, NAME and @end (".gdb"). Make the folder that all of these are in. */
int vr_rundir_file(const char *name, const char *end, char *ret_path, size_t size,
                   struct vr_error *err) VR_MUST;
int vr_rundir_make(struct vr_error *err) VR_MUST;
/* Names of machines, in order of the alphabet; the array and its strings are the caller's
 * (vr_rundir_free). Sockets of dead machines are removed on the way. */
int vr_rundir_list(char ***ret_names, size_t *ret_count, struct vr_error *err) VR_MUST;
void vr_rundir_free(char **names, size_t count);

#endif
