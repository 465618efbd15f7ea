/* What a fork is (vireo/fork.h), for the files that make it, hand it on and make clones of it. */
#ifndef VR_CONTROL_FORK_H
#define VR_CONTROL_FORK_H

#include "backend/block/frozen.h"
#include "board/virt_riscv.h"
#include "core/ram_fork.h"
#include "core/snap.h"
#include "vireo/fork.h"
#include <jansson.h>

struct vireo_fork {
    char *name;
    struct vireo_config *config; /* the parent's */
    struct vr_snap state;        /* without RAM */
    struct vr_ram_frozen *ram;
    struct vr_frozen
        *disk[VR_VIRT_DISKS]; /* by the configuration's index; NULL: a drive's, empty */
    int lease; /* one end of a pipe; when nobody has it open, the parent need keep nothing more */
    struct vireo_fork_info info;
};

/* On the parent's side: end all leases, before the machine goes. Not on the I/O thread. */
void vr_fork_end_leases(struct vireo_vm *vm);

/* Board options of a clone (for vm.c). */
void vr_fork_options(const struct vireo_fork *fork, const char *dir, struct vr_virt_opts *o);

/* Hand it on: a JSON object and descriptors, which are copies and the caller's, and read them in
 * another process; descriptors are taken over, also on failure. -EPROTO: it makes no sense. */
int vr_fork_pack(const struct vireo_fork *fork, json_t **ret_json, int **ret_fds,
                 unsigned *ret_count, struct vr_error *err) VR_MUST;
int vr_fork_unpack(const json_t *json, int *fds, unsigned count, struct vireo_fork **ret_fork,
                   struct vr_error *err) VR_MUST;

#endif
