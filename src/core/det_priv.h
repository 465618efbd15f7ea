/* What the files of deterministic mode share; for nobody else. */
#ifndef VR_CORE_DET_PRIV_H
#define VR_CORE_DET_PRIV_H

#include "core/det.h"
#include "core/machine_priv.h"
#include "core/tape.h"
#include <stdatomic.h>

enum {
    DET_SLICE = 20000,        /* steps of a vCPU among others */
    DET_SLICE_ALONE = 200000, /* and of the only one that has something to do */
    DET_IO_NS = 20000,        /* guest time that requests to disks take */
    DET_POLL_NS = 1000000,    /* host time after which the I/O loop has its turn */
};
/* Steps between two hashes of registers and devices, and how many of these there are to one of
 * everything. */
#define DET_HASH_STEPS UINT64_C(50000000)
enum { DET_HASH_FULL = 40 };

struct vr_det {
    struct vr_machine *m;
    struct vr_clock *clock;
    struct vr_loop *loop;
    bool paced, hold;
    uint64_t seed, epoch_ns, random; /* random: blocks of entropy given so far */
    /* How far it is. */
    uint64_t steps, beat;
    unsigned at;        /* whose slice it is; between beats of no meaning */
    uint64_t slice;     /* steps left of it */
    uint64_t begin_ns;  /* guest time when run_steps was entered */
    bool ran;           /* anybody did, this beat */
    bool stop;          /* nothing runs until vr_det_go */
    uint64_t polled_ns; /* host time of the loop's last turn */
    struct vr_det_op *ops, **ops_last;
    struct vr_det_src *srcs;
    unsigned src_count;
    struct vr_exit asked; /* by other threads; under the machine's lock */
    /* The tape. */
    struct vr_tape *tape;
    bool recording, replaying;
    uint64_t tape_at; /* replaying: the next record */
    uint64_t hash_at; /* steps at which the next hash is due */
    unsigned hash_nr;
    uint64_t hashes_ok;
    bool woken;    /* a source has something, while nobody runs */
    bool diverged; /* told already */
    bool over;     /* the tape came to its end */
};

/* Hashes, halted or on the driver's thread (det_hash.c). */
int det_hash_state(struct vr_machine *m, uint64_t *ret_hash, struct vr_error *err) VR_MUST;
void det_hash_all(struct vr_machine *m, uint64_t state, uint64_t *ret_hash);

/* Inputs (det_in.c): all that is due at the beginning of a beat. */
void det_in_beat(struct vr_det *det);
/* Nothing has anything to do, until @next_ns (UINT64_MAX: for ever). */
void det_in_idle(struct vr_det *det, uint64_t next_ns);
/* Replaying: does the tape end with this beat? Then the machine is told to end. */
void det_in_end(struct vr_det *det);
void det_in_close(struct vr_det *det, const struct vr_exit *why);

#endif
