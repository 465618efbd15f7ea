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
/* Steps between two hashes of registers and devices, if nothing else is asked for, and how many of
 * these there are to one of everything. */
#define DET_HASH_STEPS UINT64_C(50000000)
enum { DET_HASH_FULL = 40 };

struct det_mark; /* det_back.c */

struct vr_det {
    struct vr_machine *m;
    struct vr_clock *clock;
    struct vr_loop *loop;
    bool paced, hold;
    uint64_t seed, epoch_ns, random; /* random: blocks of entropy given so far */
    /* How far it is. */
    uint64_t steps, beat;
    bool mid;           /* it stands in the middle of a beat: a debugger had it stop */
    unsigned at;        /* whose slice it is; between beats of no meaning */
    uint64_t slice;     /* steps left of it; 0: it has not begun */
    uint64_t begin_ns;  /* guest time when run_steps was entered */
    uint64_t done;      /* steps of it that are over, as far as the engine has told */
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
    uint64_t tape_at;    /* replaying: the next record */
    uint64_t hash_steps; /* between two hashes */
    uint64_t hash_at;    /* steps at which the next hash is due */
    unsigned hash_nr;
    uint64_t hashes_ok;
    bool woken;    /* a source has something, while nobody runs */
    bool diverged; /* told already */
    bool over;     /* the tape came to its end */
    bool begun;    /* a beat has begun since the machine was made */
    /* Standing, and ways back (det_back.c). */
    uint64_t stop_at;                /* steps to stand at; UINT64_MAX: none. The machine's lock */
    uint64_t last_end[VR_MAX_VCPUS]; /* steps when the last step of each was over */
    uint64_t said; /* steps up to which the guest was heard: what it says before is muted */
    struct det_mark *marks;          /* oldest first */
    uint64_t mark_first, mark_every; /* steps between two: at first, now */
    uint64_t mark_bytes;
    unsigned mark_count;
    bool searching, found; /* points are noted and passed; one was: */
    uint64_t found_at;
    struct vr_debug_stop found_stop;
    unsigned found_vcpu;
};

/* Hashes, halted or on the driver's thread (det_hash.c). */
int det_hash_state(struct vr_machine *m, uint64_t *ret_hash, struct vr_error *err) VR_MUST;
void det_hash_all(struct vr_machine *m, uint64_t state, uint64_t *ret_hash);

/* Would it run? */
bool det_has_work(const struct vr_vcpu *vcpu);

/* Snapshots (det_snap.c), halted or on the driver's thread. What decides about the schedule, as
 * the last sections; a machine that is not deterministic reads over them. */
int det_put(struct vr_det *det, struct vr_snap *snap, struct vr_error *err) VR_MUST;
int det_get(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err) VR_MUST;

/* Inputs (det_in.c): all that is due at the beginning of a beat. */
void det_in_beat(struct vr_det *det);
/* Nothing has anything to do, until @next_ns (UINT64_MAX: for ever). */
void det_in_idle(struct vr_det *det, uint64_t next_ns);
/* Replaying: does the tape end with this beat? Then the machine is told to end. */
void det_in_end(struct vr_det *det);
void det_in_close(struct vr_det *det, const struct vr_exit *why);

/* Standing and ways back (det_back.c); on the driver's thread. */
void det_back_init(struct vr_det *det);
void det_back_fini(struct vr_det *det);
/* A beat begins: keep it, if it is time. */
void det_back_beat(struct vr_det *det);
/* Is it to stand here, in the middle of a beat? */
bool det_back_stands(const struct vr_det *det);
/* Of @limit steps that @vcpu could make, how many it may until somebody wants to look. */
uint64_t det_back_limit(const struct vr_det *det, const struct vr_vcpu *vcpu, uint64_t limit);
/* It made @done. True: it met a debugger's point. */
bool det_back_ran(struct vr_det *det, struct vr_vcpu *vcpu, uint64_t done);

#endif
