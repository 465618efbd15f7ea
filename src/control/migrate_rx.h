/*
 * The receiving side of a migration as far as it knows no sockets: frames come in, answers go out,
 * memory fills. What comes is not believed: each length, number and order is checked.
 */
#ifndef VR_CONTROL_MIGRATE_RX_H
#define VR_CONTROL_MIGRATE_RX_H

#include "control/migrate_wire.h"
#include "core/machine.h"
#include "core/snap.h"

/* Make the machine that @config, which is not zero-terminated, describes; it is stopped. */
typedef int (*vr_mig_make_fn)(void *opaque, const char *config, size_t len,
                              struct vr_machine **ret_machine, struct vr_error *err);

struct vr_mig_rx {
    vr_mig_make_fn make;
    void *opaque;
    struct vr_machine *m; /* the maker's */
    struct vr_ram *ram[VR_MIG_RAMS];
    unsigned ram_count;
    struct vr_snap state;
    bool state_began, complete;
    bool runs; /* complete: it ran */
};

void vr_mig_rx_init(struct vr_mig_rx *rx, vr_mig_make_fn make, void *opaque);
void vr_mig_rx_fini(struct vr_mig_rx *rx);
/* One frame. *ret_answer: what to send, VR_MIG_READY or VR_MIG_ROUND_OK (with *ret_number); 0:
 * nothing. After VR_MIG_DONE rx->complete is set: nothing more may come. -EPROTO and the maker's
 * errors; -ECONNABORTED: the source gave up, and said why. */
int vr_mig_rx_frame(struct vr_mig_rx *rx, const struct vr_mig_frame *frame,
                    enum vr_mig_type *ret_answer, uint64_t *ret_number,
                    struct vr_error *err) VR_MUST;
/* May a machine with the settings @config, which came, be made by a side that was told @mine, some
 * of which replaced what came? @unix_socket: it came from this very user. -EACCES. */
struct vireo_config;
int vr_mig_consent(const struct vireo_config *config, const struct vireo_config *mine,
                   bool unix_socket, struct vr_error *err) VR_MUST;
/* All is there: give the machine its state; it is paused then. */
int vr_mig_rx_load(struct vr_mig_rx *rx, struct vr_error *err) VR_MUST;

#endif
