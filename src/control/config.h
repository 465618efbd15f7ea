/* What a machine to be is made of, and the table of options that set it. */
#ifndef VR_CONTROL_CONFIG_H
#define VR_CONTROL_CONFIG_H

#include "board/virt_riscv.h"
#include "control/options.h"
#include "vireo/host_use.h"
#include "vireo/vm.h"

struct vr_config_disk {
    char *path, *opts; /* path NULL: a drive without a disc */
    bool read_only, raw, scsi, cdrom;
    unsigned io_thread; /* 1 + its number; 0: any */
};

struct vr_config_net {
    char *backend, *opts;
    unsigned io_thread; /* 1 + its number; 0: any */
};

#define VR_CONFIG_ROOT_TAG "root" /* of the share that --root makes */

#define VR_CONFIG_INCOMING_FILES "incoming-files" /* see migrate_consent.c */

/* A setting as it was made. */
struct vr_config_said {
    const struct vr_opt *opt;
    char *value;
    const char *why; /* the reason of a default, static; NULL: the user's */
};

struct vr_config_device {
    char *cls, *opts, *id, *bus; /* opts, bus: NULL, none */
    bool named;                  /* the id was given */
    unsigned addr;               /* on a PCI bus: 1 + its device number; 0: any */
    int target;                  /* of a SCSI unit; -1: any */
    char *end_name;              /* a host end that is there already; or its own, of kind `end`: */
    enum vr_virt_end_kind end;
    struct vr_config_disk disk;
    struct vr_config_net net;
    struct vr_virt_share share;
    char *chr;
};
enum { VR_CONFIG_CLASSES = 128, VR_CONFIG_OWN = 16 };

struct vireo_config {
    char *name, *control, *kernel, *initrd, *append, *firmware, *flash, *flash_vars;
    char *console, *port[VR_VIRT_PORTS], *port_name[VR_VIRT_PORTS], *trace_insn;
    enum vr_virt_engine engine;
    enum vr_virt_mmu mmu;
    enum vr_virt_aia aia;
    bool virtio_mmio;
    unsigned slots; /* empty ones */
    struct vr_config_device device[VR_VIRT_DEVICES];
    unsigned device_count;
    struct vr_own_class *own_class[VR_CONFIG_OWN]; /* of the program's own: held */
    unsigned own_class_count;
    bool loading; /* from text, which names classes that may be registered later */
    struct vr_jit_opts jit;
    bool jit_perf, jit_stats;
    uint64_t jit_dump_begin, jit_dump_end; /* 0, 0: none */
    unsigned io_threads;
    unsigned cpus, port_count, disk_count, net_count;
    uint64_t memory_bytes;
    struct vr_config_disk disk[VR_VIRT_DISKS];
    struct vr_config_net net[VR_VIRT_NETS];
    struct vr_virt_share share[VR_VIRT_SHARES], root; /* root: no path, no such share */
    unsigned share_count;
    struct vireo_host_use use;
    char *publish;          /* ",hostfwd=...,hostfwd=..." or NULL */
    struct vr_det_opts det; /* of --deterministic: but for the files, */
    bool det_idle_given;
    char *record, *replay; /* which are these */
    bool no_reboot, paused, no_rng, balloon, power_button;
    char *gdb;          /* where a debugger connects to; NULL: nowhere */
    char *rng_opts;     /* of the device class, or NULL */
    char *balloon_opts; /* of the device class, or NULL */
    uint64_t balloon_bytes;
    char *snapshot, *snapshot_disks; /* to continue, or NULL; "check", "revert", "keep", a folder */
    bool snapshot_copy;              /* its memory is read, not mapped */
    bool snapshot_verify;            /* all of it is checked before it runs */
    uint64_t given;                  /* bit i: row i of vr_config_opts was set */
    struct vr_config_said *said;
    unsigned said_count;
    enum vireo_log_level log_level;
    void (*log_fn)(void *opaque, enum vireo_log_level level, const char *who, const char *line);
    void *log_opaque;
};

/* Every key of vireo_config_set; rows apply to a struct vireo_config. */
extern const struct vr_opt vr_config_opts[];

/* Where nothing was set, set the defaults, the command's where they differ; each is among @said
 * then, with its reason. @host: of rows that are of the host alone. */
int vr_config_command_defaults(struct vireo_config *config, bool host,
                               struct vr_error *err) VR_MUST;
/* The same as vireo_config_set for a row of the table; the message does not name the option. */
int vr_config_apply(struct vireo_config *config, const struct vr_opt *opt, const char *value,
                    struct vr_error *err) VR_MUST;
/* The same for a value that nobody chose; @why, static, is the reason. */
int vr_config_apply_default(struct vireo_config *config, const struct vr_opt *opt,
                            const char *value, const char *why, struct vr_error *err) VR_MUST;
/* The same settings and classes, with absolute names of files; it logs nowhere. */
int vr_config_copy(const struct vireo_config *config, struct vireo_config **ret_config,
                   struct vr_error *err) VR_MUST;
/* The settings of @base, but of each option that @over has those; logs as @over. */
int vr_config_override(const struct vireo_config *base, const struct vireo_config *over,
                       struct vireo_config **ret_config, struct vr_error *err) VR_MUST;
/* The settings of @base that a host has nothing to do with (vr_opt.host), and of @here, chosen or
 * not, the others; logs nowhere. */
int vr_config_host_of(const struct vireo_config *base, const struct vireo_config *here,
                      struct vireo_config **ret_config, struct vr_error *err) VR_MUST;
/* Disk @disk, which has a path, is at @path now. */
int vr_config_disk_move(struct vireo_config *config, unsigned disk, const char *path,
                        struct vr_error *err) VR_MUST;
bool vr_config_given(const struct vireo_config *config, const char *key);
/* Free what a disk or network setting owns. */
void vr_config_disk_fini(struct vr_config_disk *disk);
/* What the value of "disk" says; the caller's. */
int vr_config_disk_parse(const struct vr_opt *opt, const char *text,
                         struct vr_config_disk *ret_disk, struct vr_error *err) VR_MUST;
void vr_config_net_fini(struct vr_config_net *net);
/* The same for "net", but for "none". */
int vr_config_net_parse(const struct vr_opt *opt, const char *text, struct vr_config_net *ret_net,
                        struct vr_error *err) VR_MUST;
/* And for "share"; @tag: unless it names one. */
int vr_config_share_parse(const struct vr_opt *opt, const char *text, const char *tag,
                          struct vr_virt_share *ret_share, struct vr_error *err) VR_MUST;
/* Is @spec one of a console's host end? */
int vr_config_chr_check(const char *spec, struct vr_error *err) VR_MUST;
void vr_config_share_fini(struct vr_virt_share *share);
/* For the files of the table: the values of --share and --root, */
extern const struct vr_opt_key vr_config_share_keys[];
int vr_config_share(void *config, const struct vr_opt *opt, const char *text,
                    struct vr_error *err) VR_MUST;
int vr_config_root(void *config, const struct vr_opt *opt, const char *text,
                   struct vr_error *err) VR_MUST;
/* a key that may have a value on or off, and the message about one that there is not. */
int vr_config_bool(const char *key, const char *value, bool *ret_val, struct vr_error *err) VR_MUST;
/* iothread=N: *ret_io_thread is 1 + N. */
int vr_config_io_thread(const char *value, unsigned *ret_io_thread, struct vr_error *err) VR_MUST;
int vr_config_unknown_key(const struct vr_opt *opt, const char *key, struct vr_error *err) VR_MUST;
/* *text, which is owned, becomes a copy of @value. */
int vr_config_put(char **text, const char *value, struct vr_error *err) VR_MUST;
/* Put @sep and @more behind *text, which is owned. */
int vr_config_join(char **text, const char *sep, const char *more, struct vr_error *err) VR_MUST;
/* Put ",key=value" behind *list, with commas in them doubled; @value NULL: none. */
int vr_config_join_piece(char **list, const char *key, const char *value,
                         struct vr_error *err) VR_MUST;
/* If @key is an option of the row's class, add "key=value" to *opts. 1: it is, 0: it is not. */
int vr_config_of_class(const struct vr_opt *opt, const char *key, const char *value, char **opts,
                       struct vr_error *err) VR_MUST;
/* Key @i that a compound value of @opt may have, its device class's options included; false past
 * the end. */
bool vr_config_key(const struct vr_opt *opt, unsigned i, struct vr_opt_key *ret_key);
/* A value of @opt with the name of its file, if it has one, as it is called from anywhere; the
 * caller's. */
int vr_config_absolute(const struct vr_opt *opt, const char *value, char **ret_value,
                       struct vr_error *err) VR_MUST;
/* Look at @path's contents: *ret_key is the key that it is a value for ("kernel", "disk"),
 * *ret_what says what it is; both static. Errors: vr_catalog_identify's. */
int vr_config_identify(const char *path, const char **ret_key, const char **ret_what,
                       struct vr_error *err) VR_MUST;

/* --device (config_device.c). */
void vr_config_device_fini(struct vr_config_device *d);
/* What a value of it says, for a machine with the classes of @config; the caller's. */
int vr_config_device_parse(const struct vireo_config *config, const char *text,
                           struct vr_config_device *ret_device, struct vr_error *err) VR_MUST;
/* The classes of @from are @to's, too. */
void vr_config_share_classes(const struct vireo_config *from, struct vireo_config *to);
void vr_config_drop_classes(struct vireo_config *config);
/* What may stand first in it: @i, NULL past the end. */
const char *vr_config_device_class(unsigned i);
/* Device @id has left: it is not among the settings any more. Nobody called so is fine. */
int vr_config_device_drop(struct vireo_config *config, const char *id,
                          struct vr_error *err) VR_MUST;
int vr_config_device(void *target, const struct vr_opt *opt, const char *text,
                     struct vr_error *err);
/* --machine, --watchdog, --balloon, --rng (config_machine.c). */
int vr_config_watchdog(void *target, const struct vr_opt *opt, const char *text,
                       struct vr_error *err);
extern const struct vr_opt_key vr_config_machine_keys[], vr_config_balloon_keys[];
int vr_config_machine(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err);
int vr_config_balloon(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err);
int vr_config_rng(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
/* --huge-pages, --numa-node, --pin (config_host.c). */
int vr_config_huge(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
int vr_config_node(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
int vr_config_pin(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
/* --console, --virtio-console (config_console.c). */
extern const struct vr_opt_key vr_config_port_keys[];
int vr_config_console(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err);
int vr_config_port(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);

/* --engine, --mirror, --mmu, --jit (config_engine.c). */
int vr_config_engine(void *target, const struct vr_opt *opt, const char *text,
                     struct vr_error *err);
int vr_config_mirror(void *target, const struct vr_opt *opt, const char *text,
                     struct vr_error *err);
int vr_config_mmu(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
extern const struct vr_opt_key vr_config_jit_keys[];
int vr_config_jit(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);

/* --deterministic, --record, --replay (config_det.c); what all three come to, borrowed of @config.
 */
extern const struct vr_opt_key vr_config_det_keys[];
int vr_config_det(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
void vr_config_det_opts(const struct vireo_config *config, struct vr_det_opts *ret_opts);

/* --disk, --cdrom, --net, --publish (config_devices.c). */
extern const struct vr_opt_key vr_config_disk_keys[], vr_config_net_keys[];
int vr_config_disk(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
int vr_config_cdrom(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
int vr_config_net(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err);
int vr_config_publish(void *target, const struct vr_opt *opt, const char *text,
                      struct vr_error *err);

#endif
