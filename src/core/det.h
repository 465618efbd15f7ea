/*
 * Deterministic mode: one thread drives all vCPUs, timers, devices and the I/O loop of a machine,
 * in an order that nothing but the guest and its inputs decides. docs/deterministic.md is for
 * users.
 *
 * Time. A step is an instruction that retired, or an exception. Guest time is a nanosecond a step,
 * all vCPUs' steps together; while no vCPU has anything to do it jumps to the next timer.
 *
 * Order. A beat: each vCPU in turn runs a slice, which ends early where a timer falls due; then the
 * next beat begins, and at its beginning what came from outside meanwhile reaches the guest. So
 * beats number the moments at which inputs enter, and a tape (core/tape.h) that holds each input
 * with its beat is enough to run the same life again. What a device asks of a disk is done behind
 * the instruction that asked, and takes DET_IO_NS.
 *
 * An input is what a source (a console's, a network's, a disk's host end) gives: bytes of a kind. A
 * source is asked at each beat, and says vr_det_input; at a replay the tape says it instead.
 *
 * Threads: the driver's (the I/O loop's), but what is marked "any thread".
 */
#ifndef VR_CORE_DET_H
#define VR_CORE_DET_H

#include "base/err.h"
#include "core/debug.h"
#include "core/request.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct vr_clock;
struct vr_det;
struct vr_env;
struct vr_exit;
struct vr_loop;
struct vr_machine;

/* Codes of VR_REQ_QUIT: a replay differs from its recording; a recording cannot be written. */
enum { VR_DET_DIFFERS = 6, VR_DET_UNWRITTEN = 5 };

struct vr_det_opts {
    bool on;
    uint64_t seed;       /* of the guest's entropy */
    uint64_t epoch_ns;   /* wall time at power-on */
    uint64_t hash_steps; /* steps between two state hashes; 0: as many as is usual */
    bool paced;          /* idle time passes as fast as the host's; else it is skipped */
    const char *record;  /* file that the inputs go to; NULL: nowhere */
    const char *replay;  /* file that they come from; the three numbers are its own then */
    bool hold;           /* the end of a replay is a pause */
    const char *about;   /* of the machine, for the head of a recording */
};

/* Before vCPUs and devices are added. The machine's clock is stepped, its loop has a thread of its
 * own. Errors: the user's, about the files. */
int vr_machine_set_det(struct vr_machine *m, const struct vr_det_opts *opts,
                       struct vr_error *err) VR_MUST;
struct vr_det *vr_machine_det(const struct vr_machine *m); /* NULL: not deterministic */
uint64_t vr_det_epoch_ns(const struct vr_det *det);

/* How a run goes, and a name for the state it has come to. */
struct vr_det_status {
    uint64_t steps, beats, time_ns; /* since power-on */
    bool recording, replaying;
    uint64_t tape_bytes; /* recorded; or of the file that is replayed */
    uint64_t hashes_ok;  /* replaying: hashes that were compared */
    uint64_t end_steps;  /* replaying: where the recording ends */
    bool at_end;         /* replaying: it is there */
    unsigned marks;      /* replaying: moments that can be gone back to directly */
    uint64_t mark_bytes;
};
/* Any thread but the driver's; a running machine is stopped for it. */
void vr_det_status(struct vr_machine *m, struct vr_det_status *ret_status);
/* A hash of all state (registers, CSRs, RAM, devices; not of the host), taken with the vCPUs
 * stopped: of any machine. Any thread but the machine's own. */
int vr_machine_hash(struct vr_machine *m, uint64_t *ret_hash, struct vr_error *err) VR_MUST;

uint64_t vr_det_steps(const struct vr_det *det); /* since power-on; while the machine stands */
/* Is its life on a tape, which somebody writes or reads? NULL: no. */
bool vr_det_taped(const struct vr_det *det);

/* --- Ways back, of a replay --- */
/* Not on the machine's threads; the machine is paused afterwards. -ENOTSUP: it does not replay;
 * -EINVAL: it has ended; -EIO: it came to an end on the way. On other failures too, it stands
 * somewhere else than it did.
 *
 * To the moment after step @steps. -ERANGE: not in the recording. */
int vr_det_goto(struct vr_machine *m, uint64_t steps, struct vr_error *err) VR_MUST;
/* To the moment before the last step of @vcpu; *ret_begin: it had made none, this is the begin. */
int vr_det_back_step(struct vr_machine *m, unsigned vcpu, bool *ret_begin,
                     struct vr_error *err) VR_MUST;
struct vr_det_found {
    bool begin; /* no point was met: this is the beginning of the recording; else: */
    struct vr_debug_stop stop;
    unsigned vcpu;
};
/* To the last moment before this one at which a debugger's point was met: before the instruction at
 * a breakpoint, behind an access that is watched (one step back undoes it). */
int vr_det_back_continue(struct vr_machine *m, struct vr_det_found *ret_found,
                         struct vr_error *err) VR_MUST;

/* Fill @buf with the guest's entropy: of the host, or in deterministic mode of the seed. */
int vr_env_random(struct vr_env *env, void *buf, size_t len, struct vr_error *err) VR_MUST;

/* --- Engines --- */
/* The instruction that runs, alone, is step @done of its slice: the clock shows that. */
void vr_det_at(struct vr_det *det, uint64_t done);
/* @done steps of the slice are over, an instruction that ran alone was the last: how many of the
 * @left others still belong to it. */
uint64_t vr_det_more(struct vr_det *det, uint64_t done, uint64_t left);

/* Has more than one vCPU something to do? */
bool vr_det_crowded(const struct vr_det *det);

/* --- Sources --- */
enum vr_det_kind {                  /* on tapes: numbers stay */
                   VR_DET_DATA = 1, /* bytes typed; a frame */
                   VR_DET_OPEN = 2, /* somebody is at the host end; a link is up: 1 byte */
                   VR_DET_SIZE = 3, /* of a screen: columns, rows, 16 bits each */
                   VR_DET_DISK = 4, /* a request is done: result, 32 bits; what was read */
                   /* No source's: */
                   VR_DET_SOURCES = 16, /* their names */
                   VR_DET_HASH = 17,    /* of registers and devices; of everything: 64 bits each */
                   VR_DET_IDLE = 18,    /* so long nothing ran: 64 bits of ns */
                   VR_DET_REQUEST = 19, /* enum vr_request, code: 32 bits each */
                   VR_DET_END = 20,     /* the same; of the end */
};

struct vr_det_src {
    char name[32];
    /* Take what is offered, or the first bytes of it; the rest is offered again after
     * vr_det_resume.
     */
    size_t (*take)(void *opaque, enum vr_det_kind kind, const uint8_t *buf, size_t len);
    /* Say vr_det_input for what there is from the host; not called while something is held. May be
     * NULL. */
    void (*poll)(void *opaque);
    void *opaque;
    struct vr_det *det; /* NULL: not deterministic, and nothing below is used */
    unsigned id;
    uint8_t *held; /* offered, and not taken; vr_det's, from here on */
    size_t held_len;
    enum vr_det_kind held_kind;
    bool again;
    struct vr_det_src *next;
};
/* If @loop's machine is deterministic, join its sources, with everything down to opaque set. Before
 * it starts; in the same order each time. */
void vr_det_add(struct vr_loop *loop, struct vr_det_src *src);
void vr_det_remove(struct vr_det_src *src); /* fine if it did not join; from the driver's thread, or
                                               with the machine stopped */
/* From poll: what there is now goes to the guest, and on the tape. */
void vr_det_input(struct vr_det_src *src, enum vr_det_kind kind, const void *buf, size_t len);
/* The host end has something: nobody need wait any longer. */
void vr_det_woke(struct vr_det_src *src);
/* The device can take more. */
void vr_det_resume(struct vr_det_src *src);
/* NULL: no. A replay needs no host ends: what they say is not heard, what is sent to them goes
 * nowhere. */
bool vr_det_replaying(const struct vr_det *det);
/* What the guest says now was said before: the machine went back. */
bool vr_det_muted(const struct vr_det *det);

/* Work that is done behind the instruction that asked for it, in the order it was asked for, with
 * no locks held. */
struct vr_det_op {
    void (*run)(struct vr_det_op *op);
    struct vr_det_op *next;
};
void vr_det_soon(struct vr_det *det, struct vr_det_op *op);
/* From such work. What it came to goes on the tape; @data (or NULL) follows @head. */
void vr_det_note(struct vr_det_src *src, enum vr_det_kind kind, const void *head, size_t head_len,
                 const void *data, size_t data_len);
/* At a replay: what it came to. NULL: the tape holds something else, and the machine was told to
 * end. The bytes live until the machine goes on. */
const uint8_t *vr_det_told(struct vr_det_src *src, enum vr_det_kind kind, size_t *ret_len);

/* --- The machine (run.c) --- */
int vr_det_spawn(struct vr_det *det, struct vr_error *err) VR_MUST; /* the driver's thread */
void vr_det_go(struct vr_det *det);         /* m->go was set; with the machine's lock held */
void vr_det_wake(struct vr_det *det);       /* any thread; m->go was cleared */
bool vr_det_here(const struct vr_det *det); /* is this the driver's thread? */
/* A request was accepted on the driver's thread: nothing runs after this instruction. */
void vr_det_stop(struct vr_det *det);
/* Another thread asks: from the next beat on. With the machine's lock held. False: it need not
 * wait. */
bool vr_det_ask(struct vr_det *det, enum vr_request what, unsigned code, const char *reason);
/* Is this end of the guest's a pause, as the replay's is to be looked at? (The user's is none.) */
bool vr_det_holds(const struct vr_det *det, enum vr_request what);
void vr_det_ended(struct vr_det *det, const struct vr_exit *why); /* halted */
void vr_det_destroy(struct vr_det *det);                          /* NULL is fine */

#endif
