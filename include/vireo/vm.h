/*
 * Virtual machines: describe one, create it, run it, talk to its consoles, wait for its end.
 *
 *     struct vireo_config *config;
 *     struct vireo_vm *vm;
 *     struct vr_error err;
 *     if (vireo_config_create(&config, &err) < 0 ||
 *         vireo_config_set(config, "kernel", "Image", &err) < 0 ||
 *         vireo_config_set(config, "memory", "512M", &err) < 0 ||
 *         vireo_vm_create(config, &vm, &err) < 0 || vireo_vm_start(vm, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.msg);
 *     }
 *
 * Many machines live in one process; the library keeps no state of its own, never ends the process,
 * prints nothing and changes no signal's disposition. (One exception, which you ask for: a machine
 * whose console is `stdio` on a terminal listens for SIGWINCH and SIGCONT.) Its threads block all
 * signals. SIGPIPE: sockets of the user-mode network can raise it in threads where it is blocked,
 * so it never arrives.
 *
 * Errors: functions that can fail return 0 or a negative errno value and fill @err (NULL: not
 * wanted) with one line that says what, why, and what to do. What they would have returned is then
 * left untouched.
 *
 * Binary compatibility: the structs are opaque and configuration is text, so a program goes on
 * working with later libraries of the same soname. Enumerations may grow at their end.
 */
#ifndef VIREO_VM_H
#define VIREO_VM_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- What machine ------------------------------------------------------------------------- */

/* A machine to be. Owned by who created it; one thread at a time. */
struct vireo_config;

/* An empty machine: 1 CPU, 512 MiB, no disks, no network, its first console in memory ("mem"); see
 * vireo_config_set. Free it with vireo_config_destroy. -ENOMEM. */
VIREO_API int vireo_config_create(struct vireo_config **ret_config, struct vr_error *err);
VIREO_API void vireo_config_destroy(struct vireo_config *config); /* NULL is fine */

/*
 * Set @key to @value; both are copied. The keys are the long options of `vireo run` and take the
 * same values (`vireo help run` lists them): kernel, initrd, append, firmware, flash, flash-vars,
 * memory, cpus, disk, net, publish, console, virtio-console, name, engine, balloon, ... Flags take
 * on or off. Setting a key again replaces its value, but for those that repeat (disk, net, publish,
 * virtio-console: one more each time; append: one more word). Defaults are the library's: console
 * mem, net none (the command's are stdio and user).
 *
 * Files are opened by vireo_vm_create, not here. -EINVAL: no such key (the message names the
 * nearest), or not such a value; -ERANGE: out of range; -ENOMEM.
 */
VIREO_API int vireo_config_set(struct vireo_config *config, const char *key, const char *value,
                               struct vr_error *err);

/* Use the host so (vireo/host_use.h): the keys huge-pages, numa-node and pin at once. What the host
 * cannot do is said by vireo_vm_create. -EINVAL, -ENOMEM. */
struct vireo_host_use;
VIREO_API int vireo_config_use_host(struct vireo_config *config, const struct vireo_host_use *use,
                                    struct vr_error *err);

/*
 * A configuration as text, for a file or another process; reading it makes the same configuration
 * again, but for what vireo_config_on_log said. Names of files are made absolute.
 *
 * vireo_config_save: *ret_text is zero-terminated UTF-8 as far as the settings were; free it with
 * vireo_config_text_free (NULL is fine). -ENOMEM; -ENOENT: the current folder was removed.
 * vireo_config_load: @text, @len bytes, may come from anywhere. -EPROTO: it is no configuration, or
 * one of a newer Vireo; -EINVAL, -ERANGE, ...: as vireo_config_set; the message names the line.
 */
VIREO_API int vireo_config_save(const struct vireo_config *config, char **ret_text,
                                struct vr_error *err);
VIREO_API void vireo_config_text_free(char *text);
VIREO_API int vireo_config_load(const char *text, size_t len, struct vireo_config **ret_config,
                                struct vr_error *err);

enum vireo_log_level { VIREO_LOG_ERROR, VIREO_LOG_WARN, VIREO_LOG_INFO, VIREO_LOG_DEBUG };

/* Hear what machines made from @config have to say, up to @level: @who is a device or part, @line
 * one line without newline, both valid during the call only. Called from any thread, with locks of
 * the machine held: it must be quick and call nothing of this library. NULL: nothing is heard
 * (default). */
VIREO_API void vireo_config_on_log(struct vireo_config *config, enum vireo_log_level level,
                                   void (*fn)(void *opaque, enum vireo_log_level level,
                                              const char *who, const char *line),
                                   void *opaque);

/* ---- Running it --------------------------------------------------------------------------- */

/*
 * A machine. Owned by who created it.
 *
 * Threads: vireo_vm_stop, _shutdown, _reset, _state, _time_ns, _feed may be called from any thread,
 * callbacks included. Everything else from any thread but a callback, and destroy only when no
 * other call is under way.
 */
struct vireo_vm;

enum vireo_state { VIREO_STOPPED, VIREO_RUNNING, VIREO_PAUSED };

/* Why a machine ended. */
enum vireo_end {
    VIREO_END_POWEROFF = 1, /* the guest powered off */
    VIREO_END_RESET,        /* the guest asked for a reset, and the machine is one that ends then */
    VIREO_END_FAIL,         /* the guest reported a failure, with its code */
    VIREO_END_PANIC,        /* the guest's kernel panicked */
    VIREO_END_STOP,         /* vireo_vm_stop, with the caller's code */
};

/*
 * Build the machine that @config describes; it does not run yet. Reads kernel, initrd and firmware,
 * opens and locks disks, opens consoles and host ports. @config may be changed or destroyed
 * afterwards, or used for another machine. Free it with vireo_vm_destroy.
 *
 * -ENOENT, -EACCES, -EISDIR, -EBUSY (a disk that is in use), ...: a file; -EINVAL, -ENOEXEC: it, or
 * a combination of settings, makes no sense; -ENOMEM: more than the host has; -EADDRINUSE: a host
 * port is taken. With the key "snapshot" also -EPROTO, -ESTALE (vireo/snapshot.h).
 */
VIREO_API int vireo_vm_create(const struct vireo_config *config, struct vireo_vm **ret_vm,
                              struct vr_error *err);
/* What @vm was made from, a copy with absolute names of files: for another machine of the same
 * parts. Free it with vireo_config_destroy. -ENOMEM. Any thread. */
VIREO_API int vireo_vm_config(struct vireo_vm *vm, struct vireo_config **ret_config,
                              struct vr_error *err);
/* Stops it at once as if its power were cut, closes everything. NULL is fine. */
VIREO_API void vireo_vm_destroy(struct vireo_vm *vm);

/* Power it on: everything takes its reset state, the guest begins; or, the first time, of a machine
 * with the key "snapshot" (vireo/snapshot.h): it goes on where it stood. One that has ended can be
 * started again. -EBUSY: it runs or is paused; -EAGAIN: the host has no more threads. */
VIREO_API int vireo_vm_start(struct vireo_vm *vm, struct vr_error *err);
/* Halt CPUs and guest time; returns when they stand. Pausing a paused machine, and resuming a
 * running one, is fine. -EINVAL: it is stopped. */
VIREO_API int vireo_vm_pause(struct vireo_vm *vm, struct vr_error *err);
VIREO_API int vireo_vm_resume(struct vireo_vm *vm, struct vr_error *err);
/* The reset button: soon, the guest begins anew, in the state (running, paused) that the machine is
 * in. Nothing happens when it is stopped; one with "no-reboot" ends with VIREO_END_RESET. */
VIREO_API void vireo_vm_reset(struct vireo_vm *vm);
/* The power button: ask the guest to end. Returns at once; the guest does it when it likes, if it
 * does. -ENODEV: the machine has none ("power-button"), or the guest does not listen to it;
 * -EINVAL: it is stopped. */
VIREO_API int vireo_vm_shutdown(struct vireo_vm *vm, struct vr_error *err);
/* Cut the power, soon; vireo_vm_wait then says VIREO_END_STOP and @code, unless the guest ended it
 * first. Returns at once. Before the first start it waits for that, after the end it does nothing.
 */
VIREO_API void vireo_vm_stop(struct vireo_vm *vm, unsigned code);

/* Wait at most @timeout_ns nanoseconds (UINT64_MAX: for ever) for the machine to end. True: it
 * ended; *ret_end (if not NULL) says why, *ret_code (if not NULL) is the guest's code of
 * VIREO_END_FAIL, the caller's of VIREO_END_STOP, else 0. False: not yet. A machine that was never
 * started has not ended. */
VIREO_API bool vireo_vm_wait(struct vireo_vm *vm, uint64_t timeout_ns, enum vireo_end *ret_end,
                             unsigned *ret_code);
VIREO_API enum vireo_state vireo_vm_state(struct vireo_vm *vm);
/* Guest time since power-on, nanoseconds; stands still while paused. */
VIREO_API uint64_t vireo_vm_time_ns(struct vireo_vm *vm);

/* ---- What happens, and what is counted ---------------------------------------------------- */

/*
 * Something that happened to a machine. Names and data are those of QMP (QEMU's qapi/) where it has
 * such an event:
 *   RESUME           it was started, or goes on
 *   STOP             it was paused
 *   RESET            it began anew; data: guest (whether it asked for it), reason
 *   SHUTDOWN         it ended; data: guest, reason, and x-vireo-code when there is one
 *   POWERDOWN        the power button was pressed
 *   GUEST_PANICKED   the guest's kernel said so; data: action
 *   BALLOON_CHANGE   the balloon leaves the guest more or less memory than before,
 *                    told once a second at most; data: actual, bytes
 *   WATCHDOG         the guest let its watchdog run out; data: action
 *   x-vireo-DEVICE_ADDED       a device was added; data: device, driver, bus
 *   DEVICE_DELETED             it has gone, and its host end is closed; data: device, path
 *   DEVICE_UNPLUG_GUEST_ERROR  the guest does not let it go; data: device, path
 * Others follow in later versions.
 */
struct vireo_event {
    uint64_t seq;      /* 1, 2, 3, ... as they happened */
    uint64_t real_ns;  /* when, since 1970-01-01 UTC */
    uint64_t time_ns;  /* when, in guest time (vireo_vm_time_ns) */
    const char *name;  /* "RESET" */
    const char *cause; /* the reason among the data: guest-shutdown, guest-reset, guest-panic,
                          host-signal, host-ui, host-qmp-quit, host-qmp-system-reset, host-error;
                          "": none */
    const char *data;  /* a JSON object, or "" */
};

/* Hear each event from now on, in order: on the machine's I/O thread, no locks held, soon after it
 * happened; @event is valid during the call only. One listener; NULL: nobody. After return the old
 * one is not called any more, unless this is called from it. */
VIREO_API void vireo_vm_on_event(struct vireo_vm *vm,
                                 void (*fn)(void *opaque, const struct vireo_event *event),
                                 void *opaque);
/* Call @fn, on this thread, for each event above number @after (0: all) that is still kept (the
 * last 256 are), in order. Returns the number of the newest event, 0 before the first. Any thread.
 */
VIREO_API uint64_t vireo_vm_events(struct vireo_vm *vm, uint64_t after,
                                   void (*fn)(void *opaque, const struct vireo_event *event),
                                   void *opaque);

/*
 * A command of the program's own on the machine's control socket (docs/control.md), beside those of
 * QEMU and Vireo: it is found by query-commands and query-qmp-schema, and takes any arguments.
 *
 * @name: "x-" and up to 61 small letters, digits, '-', '_', but not "x-vireo-"; @help: a line; both
 * are copied. @fn is called on a thread of the machine's own, one command at a time, with
 * @arguments, a JSON object; what it writes to @ret_answer, @size bytes (VIREO_ANSWER_SIZE, zeroes)
 * as a text of JSON, is the answer; nothing: an empty object. It may call whatever does not destroy
 * the machine. When it returns a negative errno the client is told @err's message: -ENODEV as class
 * DeviceNotFound, -ENOSYS as CommandNotFound, others as GenericError.
 *
 * Before vireo_vm_start. -EINVAL: the name; -EEXIST: there is one of it; -EBUSY: the machine was
 * started; -E2BIG: 64 are the most.
 */
enum { VIREO_ANSWER_SIZE = 65536 };
VIREO_API int vireo_vm_on_command(struct vireo_vm *vm, const char *name, const char *help,
                                  int (*fn)(void *opaque, const char *arguments, char *ret_answer,
                                            size_t size, struct vr_error *err),
                                  void *opaque, struct vr_error *err);

enum vireo_stat_kind {
    VIREO_STAT_TOTAL, /* only grows, from the machine's creation on */
    VIREO_STAT_NOW,   /* goes up and down */
};

/* A number that a machine counts. */
struct vireo_stat {
    const char *group; /* "machine", "boot", "cpu", "device", "queue", "disk", "jit", ... */
    const char *id;   /* which of the group: "0", "uart0", "disk0"; "disk0.1": a device's queue; "":
                         there is one */
    const char *name; /* "reads", "read_bytes", "time_ns": the unit is the end of it */
    const char *help; /* a line about it */
    enum vireo_stat_kind kind;
    uint64_t value;
};

/* Call @fn, on this thread, for each number that is counted, those of a group and id in a row;
 * @stat is valid during the call only, and @fn calls nothing of this library. Each is right, but
 * they are not of one moment: the machine runs on. Groups and names are only added by later
 * versions. Any thread, no callback. */
VIREO_API void vireo_vm_stats(struct vireo_vm *vm,
                              void (*fn)(void *opaque, const struct vireo_stat *stat),
                              void *opaque);

/* ---- Consoles ----------------------------------------------------------------------------- */

/* Console 0 is the serial port ("console"); 1 to 8 are the ports of the virtio console
 * ("virtio-console", in the order they were set). */
enum { VIREO_CONSOLES = 9 };

/* Type @len bytes on a console whose host end is "mem". Returns how many fitted into its queue (64
 * KiB); the rest is to be offered again when the guest has read. 0 when there is no such console or
 * its host end is something else. */
VIREO_API size_t vireo_vm_feed(struct vireo_vm *vm, unsigned console, const void *buf, size_t len);
/* Hear what the guest writes to a console whose host end is "mem": @buf is valid during the call
 * only and may be cut anywhere. Called on the machine's I/O thread, no locks held; while it does
 * not return, this machine's disks, networks and consoles wait. Set it before vireo_vm_start, or
 * any time later; NULL: output is dropped (default). After return the old function is not called
 * any more, unless this is called from it. -EINVAL: no such console, or not "mem". */
VIREO_API int vireo_vm_on_output(struct vireo_vm *vm, unsigned console,
                                 void (*fn)(void *opaque, const void *buf, size_t len),
                                 void *opaque, struct vr_error *err);
/* The screen at a virtio console whose host end is "mem" has @cols by @rows characters: the guest
 * is told (Linux sends SIGWINCH). -EINVAL: no such console, not "mem", or a 0; the serial port has
 * no way to say it. Any thread, callbacks included. */
VIREO_API int vireo_vm_resize(struct vireo_vm *vm, unsigned console, uint16_t cols, uint16_t rows,
                              struct vr_error *err);
/* Where to connect to a console of kind "pty", "unix:..." or "file:...": its path, valid while the
 * machine lives; "" for other kinds, NULL if there is no such console. */
VIREO_API const char *vireo_vm_console_path(struct vireo_vm *vm, unsigned console);

/* ---- Disks that come and go ---------------------------------------------------------------- */

/*
 * At the SCSI controller that a machine has with a disk on bus=scsi or a CD-ROM drive. Units have
 * targets: 0, 1, ... in the order of the keys "disk" and "cdrom". Before or while it runs; the
 * guest's driver hears of it. -ENODEV: the machine has no such controller.
 *
 * vireo_vm_scsi_add: @disk as the value of the key "disk"; *ret_target is where it is. -ENOSPC: 16
 * units are there; else as vireo_vm_create. vireo_vm_scsi_remove: after return the image is closed;
 * what the guest had not flushed is as after a power cut. -ENOENT: none there.
 * vireo_vm_cdrom_change: another disc, or (@path NULL) none, in the drive. -ENOENT: no drive there.
 */
VIREO_API int vireo_vm_scsi_add(struct vireo_vm *vm, const char *disk, unsigned *ret_target,
                                struct vr_error *err);
VIREO_API int vireo_vm_scsi_remove(struct vireo_vm *vm, unsigned target, struct vr_error *err);
VIREO_API int vireo_vm_cdrom_change(struct vireo_vm *vm, unsigned target, const char *path,
                                    struct vr_error *err);

/* ---- Devices that come and go --------------------------------------------------------------- */

/*
 * A machine has empty slots on PCI Express (key "machine": virt,slots=4), root ports called port0,
 * port1, ...; what is in one of them, from the start or since later, can leave again.
 *
 * vireo_vm_device_add: @device is written as the value of the key "device":
 * CLASS[,id=NAME][,bus=PORT][,addr=DEV],KEY=VALUE,... with the options of the class and of its host
 * end (bus: a port or a bridge; addr: the device's number on that bus, hexadecimal; docs/pci.md):
 *   virtio-blk-pci,path=FILE[,ro]...   as "disk"; virtio-net-pci[,hostfwd=...]: as "net", user;
 *   virtio-fs-pci,path=DIR,tag=TAG     as "share"; virtio-console-pci,path=SPEC: as "console";
 *   scsi-hd,path=FILE, scsi-cd[,path=FILE]   at a SCSI controller (bus=its id);
 *   virtio-scsi-pci, virtio-rng-pci, virtio-balloon-pci, virtio-input-pci, i6300esb, ...
 * What it is called is written to @ret_id (@size bytes, 32 are enough; NULL: not asked for). Before
 * or while the machine runs; a guest with a driver for slots (Linux: pciehp) finds it by itself,
 * another one when it is told to look (echo 1 > /sys/bus/pci/rescan). When this fails nothing is
 * left behind. -ENOSPC: no slot is free; -EBUSY: that one is not, or a file is in use; -EEXIST: the
 * id is taken; -ENODEV: no such port or controller; -ENOTSUP: not while it runs; -EINVAL; and as
 * vireo_vm_create.
 *
 * vireo_vm_device_del: VIREO_DEL_ASK asks the guest, by the slot's button, and waits for it to let
 * go, at most @timeout_ns of guest time; 0: does not wait, the event DEVICE_DELETED tells.
 * -ETIMEDOUT: it has not answered; it may still, and a machine's reset is an answer; -EPERM: it
 * refused; both are events DEVICE_UNPLUG_GUEST_ERROR, too. VIREO_DEL_FORCE takes the device out at
 * once, like a hand that pulls it: what the guest had not flushed is as after a power cut. After
 * success its host end is closed. -ENODEV: there is none; -ENOTSUP: it is in no slot; -EBUSY: the
 * guest is being asked already.
 *
 * Both may wait: not from a callback.
 */
enum vireo_del { VIREO_DEL_ASK, VIREO_DEL_FORCE };
enum vireo_device_state {
    VIREO_DEVICE_ATTACHED, /* the guest can find it */
    VIREO_DEVICE_IN_USE,   /* a driver lets it reach memory (bus mastering) */
    VIREO_DEVICE_LEAVING,  /* the guest has been asked to let it go */
    VIREO_DEVICE_DETACHED, /* the guest has taken its power away */
};
struct vireo_device {
    const char *id, *cls;
    const char *bus;   /* the port or controller that it is at; "pci": the root bus; "": none */
    const char *place; /* there: "port0/00.0" or, of a SCSI unit, "0:0"; "" */
    const char *end;   /* path or kind of its host end; "": none */
    enum vireo_device_state state;
    bool removable;
};
VIREO_API int vireo_vm_device_add(struct vireo_vm *vm, const char *device, char *ret_id,
                                  size_t size, struct vr_error *err);
VIREO_API int vireo_vm_device_del(struct vireo_vm *vm, const char *id, enum vireo_del how,
                                  uint64_t timeout_ns, struct vr_error *err);
/* Call @fn, on this thread, for each device there is; @device is valid during the call only, and
 * @fn calls nothing of this library. Any thread. */
VIREO_API void vireo_vm_devices(struct vireo_vm *vm,
                                void (*fn)(void *opaque, const struct vireo_device *device),
                                void *opaque);

/* ---- Memory that the guest can do without --------------------------------------------------- */

/* What a guest tells of its memory, in the order of the specification's tags (VIRTIO 1.3, 5.5.6.4,
 * and Linux's linux/virtio_balloon.h). Bytes, or how often something happened since it booted. */
enum vireo_balloon_stat {
    VIREO_BALLOON_SWAP_IN_BYTES,
    VIREO_BALLOON_SWAP_OUT_BYTES,
    VIREO_BALLOON_MAJOR_FAULTS,
    VIREO_BALLOON_MINOR_FAULTS,
    VIREO_BALLOON_FREE_BYTES,
    VIREO_BALLOON_TOTAL_BYTES,
    VIREO_BALLOON_AVAILABLE_BYTES, /* for new programs, without swapping */
    VIREO_BALLOON_CACHE_BYTES,     /* that it can drop at once */
    VIREO_BALLOON_HUGE_ALLOCS,
    VIREO_BALLOON_HUGE_FAILURES,
    VIREO_BALLOON_OOM_KILLS,
    VIREO_BALLOON_ALLOC_STALLS,
    VIREO_BALLOON_ASYNC_SCANS,
    VIREO_BALLOON_DIRECT_SCANS,
    VIREO_BALLOON_ASYNC_RECLAIMS,
    VIREO_BALLOON_DIRECT_RECLAIMS,
    VIREO_BALLOON_STATS,
};

struct vireo_balloon {
    uint64_t target_bytes;   /* what the guest shall keep in the balloon */
    uint64_t actual_bytes;   /* what its driver says it does */
    uint64_t given_bytes;    /* that this host got back so far: out of the balloon, */
    uint64_t reported_bytes; /* and as free pages that the driver reported */
    uint64_t stats_ns;       /* guest time of the statistics; 0: there were none yet */
    uint32_t stats_known;    /* which of them the guest gave: bits 1 << enum vireo_balloon_stat */
    uint64_t stat[32];       /* by enum vireo_balloon_stat */
};

/*
 * The memory balloon (key "balloon"): the guest's driver puts pages into it and does without them,
 * and this host has their memory back at once. Free page reporting gives back what the guest frees
 * without anybody asking.
 *
 * vireo_vm_balloon_set: the guest shall keep @bytes in the balloon, whole pages of 4096; it does so
 * as it can, soon; vireo_vm_balloon_get tells how far it is. Holds until it is set again, across
 * resets too. vireo_vm_balloon_ask has the guest give new statistics and waits for them, at most
 * @timeout_ns. -ENODEV: the machine has no balloon; -ERANGE: more than its memory; -ETIMEDOUT: no
 * statistics came (no driver yet, or the machine is paused).
 */
VIREO_API int vireo_vm_balloon_set(struct vireo_vm *vm, uint64_t bytes, struct vr_error *err);
VIREO_API int vireo_vm_balloon_get(struct vireo_vm *vm, struct vireo_balloon *ret_balloon,
                                   struct vr_error *err);
VIREO_API int vireo_vm_balloon_ask(struct vireo_vm *vm, uint64_t timeout_ns, struct vr_error *err);

/* ---- Moving it to another host ------------------------------------------------------------ */

/*
 * Live migration: the machine goes on in another process, perhaps on another host of the same
 * architecture, which called vireo_vm_receive before. Memory is copied while the guest runs, what
 * it writes meanwhile is copied again, and so on; when the rest takes no longer than
 * opts->downtime_ns, the guest stands still for it. A guest that writes faster than can be copied
 * is slowed down, and at last given up. Disks, shared folders and kernels are not copied: both
 * sides reach them by the same names. docs/migration.md has the rest.
 *
 * Whatever fails, on either side, one of the two goes on, and only one. -EINVAL, -ERANGE: @uri or
 * @opts make no sense; -EBUSY: one is under way; -ENOTSUP: this machine has something that cannot
 * move, which is named. What comes later is told by vireo_vm_migration.
 */
struct vireo_migrate_opts {
    uint64_t bandwidth_bytes;  /* a second, while the guest runs; 0: as much as there is */
    uint64_t downtime_ns;      /* at most about so long the guest may stand still; 0: 300 ms */
    unsigned throttle_initial; /* percent to slow the guest down by at first, 1 to 99; 0: 20 */
    unsigned throttle_step;    /* and more each time that is not enough; 0: 10 */
    unsigned throttle_max;     /* up to this; 0: 99 */
    bool end;                  /* afterwards this machine ends (VIREO_END_STOP, code 0) */
};

enum vireo_migrate_status {
    VIREO_MIGRATE_NONE,      /* never tried */
    VIREO_MIGRATE_SETUP,     /* the other side builds the machine */
    VIREO_MIGRATE_ACTIVE,    /* memory is copied */
    VIREO_MIGRATE_DEVICE,    /* the guest stands still, and the rest is copied */
    VIREO_MIGRATE_COMPLETED, /* it goes on there */
    VIREO_MIGRATE_FAILED,    /* it goes on here; @error says why */
    VIREO_MIGRATE_CANCELLED, /* it goes on here */
    VIREO_MIGRATE_UNKNOWN,   /* it was given, and nobody answers: it is paused here, and @error says
                                what to do */
};

struct vireo_migration {
    enum vireo_migrate_status status;
    char error[252];
    uint64_t total_ns, setup_ns; /* so far; of which the other side needed to build it */
    uint64_t downtime_ns;        /* completed: how long the guest stood still */
    uint64_t expected_ns;        /* how long it would now; 0: not known yet */
    uint64_t memory_bytes;       /* guest RAM */
    uint64_t left_bytes;         /* of it, to be copied still */
    uint64_t sent_bytes;         /* over the connection */
    uint64_t still_bytes;        /* of them, while the guest stood still */
    uint64_t pages, zero_pages;  /* copied; told of as holding nothing */
    uint64_t hinted_pages;       /* not copied: the guest said that it does not use them */
    uint64_t rounds;             /* how often it was asked what the guest had written */
    uint64_t dirty_rate;         /* pages that it writes a second */
    uint64_t rate_bytes;         /* copied a second */
    unsigned throttle;           /* percent by which the guest is slowed down */
};

struct vireo_config;

/* @uri: "unix:PATH" or "tcp:HOST:PORT"; @opts NULL: all as it is by default. Returns at once.
 * _cancel: call it off, soon; too late once the machine was given. Any thread. */
VIREO_API int vireo_vm_migrate(struct vireo_vm *vm, const char *uri,
                               const struct vireo_migrate_opts *opts, struct vr_error *err);
VIREO_API void vireo_vm_migrate_cancel(struct vireo_vm *vm);
VIREO_API void vireo_vm_migration(struct vireo_vm *vm, struct vireo_migration *ret_migration);
/*
 * The other side: wait at @uri for a machine to come; *ret_vm runs then (or is paused, if it was).
 * Its configuration comes with it; what was set in @changes (not what is default there) counts
 * instead. listening(opaque) is called when somebody can connect. tcp is neither encrypted nor
 * checked: whoever can connect gives the machine, so it belongs on networks that are trusted. What
 * comes by tcp may open files only if @changes names them, or they are in a folder that it gives
 * (key "incoming-files", may repeat; given, it counts for unix as well): -EACCES. -EPROTO: what
 * came was damaged, or is no Vireo; else as vireo_vm_create, and sockets' errors. On failure the
 * machine, if there was one, goes on where it was.
 */
VIREO_API int vireo_vm_receive(const struct vireo_config *changes, const char *uri,
                               void (*listening)(void *opaque), void *opaque,
                               struct vireo_vm **ret_vm, struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif
