/* What the files of the machine share; for nobody else. */
#ifndef VR_CORE_MACHINE_PRIV_H
#define VR_CORE_MACHINE_PRIV_H

#include "core/machine.h"

struct vr_machine_ram {
    char name[32];
    struct vr_ram *ram;
    struct vr_region region;
    struct vr_machine_ram *next;
};

struct vr_machine_owned {
    void (*fn)(void *opaque);
    void *opaque;
    struct vr_machine_owned *next;
};

struct vr_dirty;

struct vr_machine {
    char name[32];
    struct vr_env env;
    bool own_loop_thread, loop_started;
    struct vr_loop *io[VR_MAX_IO_THREADS]; /* the first is env.loop */
    unsigned io_count;
    struct vr_dev **devs; /* changed with `change` and devs_lock held, read with either */
    unsigned dev_count, dev_cap;
    struct vr_mutex devs_lock;
    struct vr_vcpu *vcpus[VR_MAX_VCPUS];
    unsigned vcpu_count;
    struct vireo_host_use use; /* of the host; before RAM is added */
    bool ram_view;             /* RAM is a view of a file: */
    int ram_fd;
    uint64_t ram_off;
    struct vr_machine_ram *rams;    /* newest first */
    struct vr_machine_owned *owned; /* newest first */
    struct vr_debug *debug;         /* changes while it stands still; NULL: no debugger */
    int (*on_reset)(void *opaque, struct vr_error *err);
    void *on_reset_opaque;
    void *board_state; /* saved and loaded, NULL: none */
    const struct vr_field *board_fields;
    void (*board_saving)(void *opaque);
    void (*board_loaded)(void *opaque);
    void *board_opaque;
    int (*ends_put)(void *opaque, struct vr_snap *snap, struct vr_error *err); /* NULL: none */
    int (*ends_get)(void *opaque, struct vr_snap *snap, struct vr_error *err);
    void *ends_opaque;
    void (*on_event)(void *opaque, const struct vr_event *event);
    void *on_event_opaque;
    void (*on_button)(void *opaque);
    void *on_button_opaque;

    struct vr_mutex dirty_lock; /* guards who counts written pages; nothing is taken under it */
    struct vr_dirty *dirty;     /* all who do */

    struct vr_mutex change; /* one change of run state at a time; taken before everything else */
    struct vireo_thread *control;

    struct vr_mutex lock;    /* guards what follows; only vcpu->lock is taken under it */
    struct vr_cond asked;    /* control thread: a request, or dying */
    struct vr_cond go_cond;  /* vCPU threads: go or dying */
    struct vr_cond out_cond; /* in_run fell to 0 */
    struct vr_cond end_cond; /* ended */
    enum vr_state state;
    bool moved;                  /* it goes on in another process: never here */
    bool go;                     /* vCPU threads may enter run() */
    bool dying;                  /* threads return */
    unsigned in_run;             /* vCPU threads inside run() */
    unsigned protecting;         /* who wait in vr_machine_protect, for out_cond */
    unsigned placing;            /* vCPU threads that are on their way to their processors */
    struct vr_error place_error; /* code 0: all got there */
    struct vr_exit pending;
    bool reboots, ended;
    uint64_t watchdog_ns; /* when it was last told that the watchdog ran out, host time */
    bool panicked;        /* the guest's kernel said so: its next reset is an end */
    struct vr_exit exit;
};

/* Tell whoever listens; not with m->lock held. */
void vr_machine_tell(struct vr_machine *m, const struct vr_event *event);
/* All RAM may be used from then on: see ram_due.h. -EPROTO. No vCPU is waited for. */
int vr_machine_due_all(struct vr_machine *m, struct vr_error *err) VR_MUST;
/* Start the threads that are not there yet. */
int vr_machine_spawn(struct vr_machine *m, struct vr_error *err) VR_MUST;
/* All state but RAM into @snap, or with it. Halted, or on the driver's thread of deterministic
 * mode. */
int vr_machine_put(struct vr_machine *m, struct vr_snap *snap, bool whole,
                   struct vr_error *err) VR_MUST;
/* The guest's state alone, without RAM: what is hashed. */
int vr_machine_put_guest(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err) VR_MUST;
/* The state in @snap, and @fill (or NULL) as vr_machine_load_state's; with @m->change held, halted.
 */
int vr_machine_get(struct vr_machine *m, struct vr_snap *snap, bool whole, vr_machine_ram_fn fill,
                   void *opaque, struct vr_error *err) VR_MUST;
/* Stop vCPUs and clock; with @m->change held. */
void vr_machine_halt(struct vr_machine *m);
/* Let them go, as RUNNING; with @m->change held. */
void vr_machine_go(struct vr_machine *m);
/* Every vCPU forgets which memory it may write without telling: what it writes after this returned,
 * it tells of. Not from the machine's own threads, nor from its loop's. */
void vr_machine_protect(struct vr_machine *m);
/* Nothing in flight in any device; with @m->change held, halted. */
void vr_machine_quiesce(struct vr_machine *m);
/* STOPPED for good, unless started again; with @m->change held, halted. */
void vr_machine_end(struct vr_machine *m, struct vr_exit why);
void vr_machine_set_state(struct vr_machine *m, enum vr_state state);
/* End and join all threads. */
void vr_machine_kill(struct vr_machine *m);

#endif
