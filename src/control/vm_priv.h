/* What the files that run a machine share; for nobody else. */
#ifndef VR_CONTROL_VM_PRIV_H
#define VR_CONTROL_VM_PRIV_H

#include "board/virt_riscv.h"
#include "control/events.h"
#include "control/jobs.h"
#include "control/migrate.h"
#include "control/rundir.h"
#include "control/snapshot.h"
#include "control/vm.h"

struct vireo_fork;
struct vr_fork_lease;

struct vm_listener {
    void (*fn)(void *opaque, const void *buf, size_t len);
    void *opaque;
};

struct vireo_vm {
    struct vr_virt *virt;
    struct vr_machine *machine;
    struct vireo_config *config;           /* what it was made from; a copy of our own */
    struct vr_snapshot *snapshot;          /* to be continued at the start; NULL: none */
    bool snapshot_viewed;                  /* RAM is a view of it */
    bool snapshot_late;                    /* which is checked while it runs: */
    struct snapshot_late *snapshot_checks; /* of a start that failed, until another; or NULL */
    struct vr_snapshot_since since;
    struct vr_log log;
    void (*log_fn)(void *opaque, enum vireo_log_level level, const char *who, const char *line);
    void *log_opaque;
    FILE *trace_insn, *jit_perf, *jit_dump;
    unsigned cpus;
    uint64_t memory_bytes;
    bool idle;            /* only looked at */
    atomic_bool incoming; /* another process still has it */
    bool any_name;        /* its name may be numbered */
    struct vr_migrate *migrate;
    struct vireo_migrate_opts migrate_opts;      /* of the control socket; I/O thread */
    bool mem[VIREO_CONSOLES];                    /* the console's host end is memory */
    struct vm_listener listener[VIREO_CONSOLES]; /* I/O thread */
    struct vr_chr *stdio;                        /* the console that is, or NULL */
    struct vr_events *events;
    struct vr_events_hear on_event; /* I/O thread; fn NULL: nobody listens */
    struct vr_hotplug *hotplug;     /* NULL: idle */
    struct vr_server *server;       /* NULL: no control socket */
    struct vr_gdb *gdb;   /* slow commands, and before and after them; NULL: no debugger may come */
    bool begun;           /* it was to be started */
    bool paused;          /* it starts so */
    struct vr_jobs *jobs; /* NULL: idle */
    struct vr_qmp_own *own_commands; /* of the program's, noted before the start; or NULL */
    struct vr_fork_lease *leases;    /* of forks that somebody has; I/O thread */
    const struct vireo_fork *fork;   /* of a clone, while it is made */
    const char *fork_dir;            /* the same */
    int lease;                       /* of a clone, of what it was made from; -1 */
    char uuid[37];
    char crash_path[VR_RUNDIR_PATH_MAX], crash_head[256]; /* path "": nowhere */
    uint64_t created_ns;                                  /* wall clock */
    uint64_t begun_ns, made_ns;                           /* host time: its making */
    _Atomic uint64_t starting_ns, started_ns;             /* its first start; 0: not yet */
    char console_kind[VIREO_CONSOLES][8];
};

/* What the board is told of a device; borrowed from @d. */
void vr_vm_device(struct vireo_vm *vm, const struct vr_config_device *d,
                  struct vr_virt_device *ret_device);
/* What vr_vm_crashed will need (crash.c). */
void vr_vm_crash_prepare(struct vireo_vm *vm);
/* vireo_vm_create for a machine that is to come from another process, which still has its disks;
 * @any_name: its name may be numbered if it is taken here. */
int vr_vm_create_incoming(const struct vireo_config *config, bool any_name,
                          struct vireo_vm **ret_vm, struct vr_error *err) VR_MUST;
/* vireo_vm_create for a clone, whose state comes later. */
int vr_vm_create_clone(const struct vireo_config *config, const struct vireo_fork *fork,
                       const char *dir, struct vireo_vm **ret_vm, struct vr_error *err) VR_MUST;
/* The machine's files, opened (trace_insn, jit_perf, jit_dump), */
int vr_vm_open_trace(struct vireo_vm *vm, const struct vireo_config *config,
                     struct vr_error *err) VR_MUST;
int vr_vm_open_tales(struct vireo_vm *vm, const struct vireo_config *config,
                     struct vr_error *err) VR_MUST;
/* and the machine, built (vm_build.c). @own: the copy of @config that the machine keeps, where a
 * snapshot may have moved disks. */
int vr_vm_build(struct vireo_vm *vm, const struct vireo_config *config,
                const struct vireo_config *own, const char *name, struct vr_error *err) VR_MUST;
/* Console @console's host end, or NULL. */
struct vr_chr *vr_vm_console(struct vireo_vm *vm, unsigned console);
/* How a host end at @spec is opened; */
struct vr_chr_opts vr_vm_chr_opts(struct vireo_vm *vm, const char *spec);
/* note what console @i is, apart from its path (vm_console.c). */
void vr_vm_note_console(struct vireo_vm *vm, unsigned i, const char *spec);

#endif
