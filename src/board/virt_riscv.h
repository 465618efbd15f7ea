/*
 * The RISC-V `virt` machine: addresses and wiring. The memory map is the one that QEMU's virt
 * machine made a convention of, so stock firmware and kernels run unmodified.
 */
#ifndef VR_BOARD_VIRT_RISCV_H
#define VR_BOARD_VIRT_RISCV_H

#include "backend/chr/chr.h"
#include "backend/fs/fs.h"
#include "core/det.h"
#include "core/machine.h"
#include "cpu/jit/jit_opts.h"
#include "vireo/vm.h"
#include <stdio.h>

enum {
    VR_VIRT_MMIO_SLOTS = 8,
    VR_VIRT_DEVICES = 32,
    VR_VIRT_DISKS = 8,
    VR_VIRT_NETS = 8,
    VR_VIRT_PORTS = 8,
    VR_VIRT_SHARES = 8,
    VR_VIRT_SLOTS = 8,      /* empty slots of a machine that was not asked for another number; */
    VR_VIRT_SLOTS_MAX = 16, /* that can be asked for */
};

struct vr_blk;
struct vr_net;
struct vr_frozen;

struct vr_virt_disk {
    const char *path;
    bool read_only;
    bool force_raw;   /* take it as raw even if it looks like another format */
    bool scsi, cdrom; /* at the SCSI controller; there, as a drive (path NULL: without a disc) */
    const char *opts; /* options of the virtio-blk class; SCSI: "serial=..."; or NULL */
    const struct vr_frozen *under; /* a clone's: this, and what it writes in a nameless file, */
    const char *dir;               /* in this folder (vr_blk_open_overlay); NULL: @path */
    unsigned io_thread;            /* as net_io_thread of struct vr_virt_end */
};

struct vr_virt_net {
    const char *backend; /* "user" and its options, e.g. "hostfwd=tcp::2222-:22" ; NULL: none */
    const char *opts;    /* options of the virtio-net class, or NULL */
    unsigned io_thread;  /* as net_io_thread of struct vr_virt_end */
};

enum { VR_VIRT_TAG_MAX = 36 }; /* of a share's tag */

struct vr_virt_share {
    char *path, *tag;
    bool read_only, host_locks;
    enum vr_fs_cache cache;
    uint32_t uid, gid;  /* in the guest, of what belongs to our user */
    unsigned io_thread; /* as net_io_thread of struct vr_virt_end */
};

/* What a device has at its other end. */
enum vr_virt_end_kind {
    VR_VIRT_END_NONE,
    VR_VIRT_END_DISK,
    VR_VIRT_END_NET,
    VR_VIRT_END_SHARE,
    VR_VIRT_END_CHR,
};
struct vr_virt_end {
    enum vr_virt_end_kind kind;
    struct vr_virt_disk disk; /* path, read_only, force_raw; */
    const char *net;          /* "user" and its options, or "stream,path=" and it; */
    unsigned net_io_thread;   /* which I/O thread serves it: 1 + its number; 0: the next in turn */
    struct vr_virt_share share;
    struct vr_chr_opts chr;
};

/* A device by its class. */
struct vr_virt_device {
    const char *cls;  /* "virtio-rng-pci", or a unit of a SCSI controller: "scsi-hd", "scsi-cd" */
    const char *opts; /* of the class; of a unit: "serial=..."; or NULL */
    const char *id;   /* NULL: dev0, dev1, ..., the first that is free */
    const char *bus;  /* the id of a port or bridge, or, for a unit, of a controller; NULL: one that
                         is free, and, before the machine runs, the root bus */
    unsigned addr;    /* on a PCI bus: 1 + its device number; 0: the first that is free */
    int target;       /* of a unit; -1: the first that is free */
    const char *end_name;   /* what vr_virt_end_add opened; or NULL: */
    struct vr_virt_end end; /* its own; kind NONE: it has none */
};

/* How guest code runs. AUTO: compiled where this host can, else interpreted. LOCKSTEP: both,
 * compared; when they differ the log says how, and the machine ends with VR_REQ_QUIT,
 * VR_VIRT_DIFFERS. */
enum vr_virt_engine {
    VR_VIRT_ENGINE_AUTO,
    VR_VIRT_ENGINE_INTERP,
    VR_VIRT_ENGINE_JIT,
    VR_VIRT_ENGINE_LOCKSTEP,
};
enum { VR_VIRT_DIFFERS = 6 };

enum vr_virt_mmu { VR_VIRT_MMU_AUTO, VR_VIRT_MMU_SV39, VR_VIRT_MMU_SV48, VR_VIRT_MMU_SV57 };
/* The interrupt controllers of the RISC-V Advanced Interrupt Architecture, which take the PLIC's
 * place: APLIC, wires to every hart; APLIC_IMSIC, messages to every hart, from the APLIC for wires.
 */
enum vr_virt_aia { VR_VIRT_AIA_NONE, VR_VIRT_AIA_APLIC, VR_VIRT_AIA_APLIC_IMSIC };

/* What to build. Strings are read during create only. */
struct vr_virt_opts {
    const char *name;
    unsigned cpus; /* 1..VR_MAX_VCPUS */
    enum vr_virt_engine engine;
    struct vr_jit_opts jit;
    enum vr_virt_mmu mmu; /* the largest address spaces; AUTO: Sv39, with much memory Sv48 */
    enum vr_virt_aia aia;
    uint64_t ram_bytes; /* a multiple of 4 KiB, at least VR_VIRT_RAM_MIN */
    bool ram_view;      /* RAM begins as the bytes of a file, copied on write: */
    int ram_fd;         /* of this one, which may be closed after create, */
    uint64_t ram_off;   /* from here on; whole pages */
    bool late_files;    /* it will not begin with a reset: kernel, initrd and firmware are read when
                           there is one, where that is possible */
    const char *kernel; /* Linux Image (may be gzip) or ELF; NULL: firmware or flash alone */
    const char *initrd; /* or NULL */
    const char *append; /* kernel command line, or NULL */
    /* NULL: the built-in SBI; "none": the kernel is a bare-metal program for M-mode; else a file.
     */
    const char *firmware;
    /* Two banks of flash, if there is a file for one of them: code that firmware, or else the
     * built-in SBI, starts, with kernel, initrd and append in fw_cfg; and variables, which are
     * written back. Without the latter file they last as long as the machine. */
    const char *flash, *flash_vars;
    bool flash_vars_read_only; /* the guest cannot change them, and other machines may read them */
    struct vr_virt_disk disk[VR_VIRT_DISKS];
    unsigned disk_count;
    bool disks_unheld; /* another Vireo still has them: vr_virt_hold_disks comes before the start */
    struct vr_virt_net net[VR_VIRT_NETS];
    unsigned net_count;
    struct vr_virt_share share[VR_VIRT_SHARES + 1]; /* and the root */
    unsigned share_count;
    struct vr_chr_opts serial; /* the 16550's host end; spec NULL: nothing plugged in */
    struct vr_chr_opts port[VR_VIRT_PORTS]; /* virtio-console ports; */
    const char *port_name[VR_VIRT_PORTS];   /* NULL: a console */
    unsigned port_count;
    unsigned io_threads;              /* that serve host ends, 1 to VR_MAX_IO_THREADS; 0: one */
    const struct vireo_host_use *use; /* of the host; NULL: nothing special */
    bool no_rng;                      /* leave virtio-rng out; */
    const char *rng_opts;             /* options of its class, or NULL */
    bool virtio_mmio;                 /* virtio devices on MMIO, not on PCI */
    struct vr_virt_device device[VR_VIRT_DEVICES];
    unsigned device_count;
    /* Classes of the program's own, which outlive the machine. */
    struct vr_own_class *const *own_class;
    unsigned own_class_count;
    unsigned slot_count;      /* root ports with an empty slot: port0, port1, ... */
    bool power_button;        /* a virtio-input with one */
    bool balloon;             /* a virtio-balloon; */
    const char *balloon_opts; /* options of its class, or NULL */
    uint64_t balloon_bytes;   /* to take from the guest at the start */
    uint64_t epoch_ns;        /* wall time at power-on; 0: the host's now */
    struct vr_det_opts det;   /* deterministic mode, recording and replay */
    FILE *trace_insn;         /* instruction trace; borrowed; NULL: off */
    bool end_on_reset;        /* a reset by the guest ends the machine */
    enum vr_clock_kind clock;
    bool own_loop_thread;
    struct vr_log *log;
};

#define VR_VIRT_RAM_MIN (UINT64_C(16) << 20)
enum { VR_VIRT_ID_LEN = 32 }; /* of devices and host ends, with its zero */

struct vr_virt;

/* Build the machine, stopped. Errors are the user's: files, sizes, options, each with one clear
 * line. */
int vr_virt_create(const struct vr_virt_opts *opts, struct vr_virt **ret_virt,
                   struct vr_error *err) VR_MUST;
void vr_virt_destroy(struct vr_virt *virt); /* stops it first; NULL is fine */
struct vr_machine *vr_virt_machine(struct vr_virt *virt);
struct vr_chr *vr_virt_serial(struct vr_virt *virt);              /* NULL: none */
struct vr_chr *vr_virt_port(struct vr_virt *virt, unsigned port); /* NULL: none */
/* The image of disk @disk, and the id of its device; NULL past the end. Devices are held. */
struct vr_blk *vr_virt_disk(struct vr_virt *virt, unsigned disk, const char **ret_id);
/* An open image, whether a device has it or not. */
struct vr_virt_node {
    struct vr_blk *blk;
    char name[VR_VIRT_ID_LEN + 1]; /* "#" and @id where it has none of its own */
    char id[VR_VIRT_ID_LEN];       /* the device, "scsi0.TARGET" where that has none; "": nobody */
    bool removable;                /* a disc in a drive */
};
/* Image @i; false past the end. Devices are held. */
bool vr_virt_node(struct vr_virt *virt, unsigned i, struct vr_virt_node *ret_node);
/* The image of the disk whose device is @id, as vr_virt_node has it; NULL: none. Devices are held.
 */
struct vr_blk *vr_virt_find_disk(struct vr_virt *virt, const char *id);
/* The network that @name is, or that a device called so has; NULL: none. Devices are held. */
struct vr_net *vr_virt_net(struct vr_virt *virt, const char *name);
struct vr_blk *vr_virt_scsi_disk(struct vr_virt *virt, unsigned target); /* NULL: none */
/* vr_blk_hold for all disks; on failure none is held any more than before. The machine stands
 * still, with nothing in flight. */
int vr_virt_hold_disks(struct vr_virt *virt, bool hold, struct vr_error *err) VR_MUST;
/* Can this machine go on in another process? Says why not. */
int vr_virt_can_move(struct vr_virt *virt, struct vr_error *err) VR_MUST;
/* What vireo_vm_scsi_* and vireo_vm_cdrom_change do (vireo/vm.h). */
int vr_virt_scsi_add(struct vr_virt *virt, const struct vr_virt_disk *disk, unsigned *ret_target,
                     struct vr_error *err) VR_MUST;
int vr_virt_scsi_remove(struct vr_virt *virt, unsigned target, struct vr_error *err) VR_MUST;
int vr_virt_cdrom_change(struct vr_virt *virt, unsigned target, const char *path,
                         struct vr_error *err) VR_MUST;
/* Press the power button. -ENODEV: the machine has none, or the guest does not listen. */
int vr_virt_power_button(struct vr_virt *virt, struct vr_error *err) VR_MUST;
/* Ask the guest to announce its network addresses, where its driver can. @moved: as
 * vr_virtio_net_announce has it. */
void vr_virt_announce(struct vr_virt *virt, bool moved);
/* The guest goes on from a state from which it, or another, may have gone on before (a fork, a
 * snapshot that was restored; not a migration): give it a new generation ID, at which it makes its
 * random numbers anew. Once the state was loaded, before it runs. */
int vr_virt_new_generation(struct vr_virt *virt, struct vr_error *err) VR_MUST;
/* What vireo_vm_balloon_* do (vireo/vm.h). */
int vr_virt_balloon_set(struct vr_virt *virt, uint64_t bytes, struct vr_error *err) VR_MUST;
int vr_virt_balloon_get(struct vr_virt *virt, struct vireo_balloon *ret_balloon,
                        struct vr_error *err) VR_MUST;
int vr_virt_balloon_ask(struct vr_virt *virt, uint64_t timeout_ns, struct vr_error *err) VR_MUST;
/* What memory the guest does not use, as vr_virtio_balloon_hints_begin and _end have it
 * (dev/virtio/balloon.h). False: nobody here can tell. */
bool vr_virt_hints_begin(struct vr_virt *virt,
                         void (*hint)(void *opaque, const void *hva, uint64_t len), void *opaque);
void vr_virt_hints_end(struct vr_virt *virt, bool done);
/* Why code is interpreted, though AUTO asks for the JIT; "": it is compiled, or not asked for. */
const char *vr_virt_no_jit(const struct vr_virt *virt);
/* Guest time of the first instruction in supervisor mode, or in user mode, on any hart since the
 * machine was made; UINT64_MAX: none yet. Any thread. */
uint64_t vr_virt_first_ns(struct vr_virt *v, bool user);
/* The JITs of all harts together; false: there are none. Any thread. */
bool vr_virt_jit_stats(struct vr_virt *virt, struct vr_jit_stats *ret_stats);
/* The device tree as the guest gets it; valid while the machine lives. */
void vr_virt_fdt(struct vr_virt *virt, const void **ret_blob, size_t *ret_len);
/* The memory map, for people: row @i, false past the end. */
bool vr_virt_map_row(struct vr_virt *virt, unsigned i, const char **ret_name, uint64_t *ret_gpa,
                     uint64_t *ret_len, unsigned *ret_irq);

/*
 * Devices and host ends that come and go. One of these at a time, none from the loop's thread or
 * one of the machine's, but for the row.
 *
 * vr_virt_plug: *ret_id (32 bytes) is what it is called. On a running machine it gets into the slot
 * of a root port, and the guest is told. vr_virt_unplug: takes it out, whatever the guest thinks of
 * it. vr_virt_unplug_ask: asks the guest, whose answer comes through vr_virt_on_answer; 1: there is
 * nobody to ask, vr_virt_unplug is all there is. -ENOENT, -ENODEV, -ENOTSUP: it cannot be
 * unplugged; -ENOSPC: no slot is free; -EBUSY: this one is not; -EEXIST, -EINVAL; and what opening
 * a host end may say.
 */
int vr_virt_plug(struct vr_virt *virt, const struct vr_virt_device *device,
                 char ret_id[VR_VIRT_ID_LEN], struct vr_error *err) VR_MUST;
int vr_virt_unplug_ask(struct vr_virt *virt, const char *id, struct vr_error *err) VR_MUST;
int vr_virt_unplug(struct vr_virt *virt, const char *id, struct vr_error *err) VR_MUST;
/* @fn is called with locks held, so it only notes. The machine's reset is an answer, too: yes. */
void vr_virt_on_answer(struct vr_virt *virt, void (*fn)(void *opaque, const char *id, bool agrees),
                       void *opaque);
/* A host end for devices to come: -EEXIST. And away: -EBUSY, -ENOENT. */
int vr_virt_end_add(struct vr_virt *virt, const struct vr_virt_end *end, const char *name,
                    struct vr_error *err) VR_MUST;
/* Where the console's end @name is to be reached (vr_chr_path); NULL: there is none. Devices are
 * held. */
const char *vr_virt_end_chr_path(struct vr_virt *virt, const char *name);
int vr_virt_end_del(struct vr_virt *virt, enum vr_virt_end_kind kind, const char *name,
                    struct vr_error *err) VR_MUST;
/* Which kind of host end devices of a class have. */
enum vr_virt_end_kind vr_virt_end_of(const char *cls);

/* Device @i, false past the end. Any thread, devices held; texts live as long as those are. */
struct vr_virt_row {
    const char *id, *cls;
    const char *bus; /* the id of the port or controller it is at; "pci": the root bus; "": none */
    char place[48];  /* on PCI, as in struct vr_virt_pci; at a controller, its target; "" */
    const char *end; /* path or kind of its host end; "" */
    enum vireo_device_state state;
    bool removable;
};
bool vr_virt_row(struct vr_virt *virt, unsigned i, struct vr_virt_row *ret_row);

enum { VR_VIRT_PCI_BARS = 6 };

/* A base address register; len 0: there is none. */
struct vr_virt_pci_bar {
    uint64_t gpa, len; /* gpa UINT64_MAX: the guest has not given it an address */
    bool io, wide, prefetch;
};

struct vr_virt_pci_window {
    uint64_t first, last; /* first > last: none */
};

/* A PCI function: function @i, false past the end. Any thread, devices held. */
struct vr_virt_pci {
    struct vr_dev *dev, *above; /* above: the bridge that it is behind; NULL: on the root bus */
    char place[48]; /* "01.0": device and function on the root bus; "port0/00.0": behind a port */
    unsigned bus, slot, function; /* bus: the guest's number of it, 0 for all until it gave some */
    uint16_t vendor, device, subvendor, subdevice;
    uint32_t class_code; /* base class, sub-class, interface */
    unsigned irq_pin;    /* 1: INTA; 0: none */
    bool bridge;         /* with these buses behind it, to which it lets this through: */
    unsigned secondary, subordinate;
    struct vr_virt_pci_window io, mem, prefetch;
    struct vr_virt_pci_bar bar[VR_VIRT_PCI_BARS];
};
bool vr_virt_pci_row(struct vr_virt *virt, unsigned i, struct vr_virt_pci *ret_row);

#endif
