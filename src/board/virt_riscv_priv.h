/* What the files of the virt machine share; for nobody else. */
#ifndef VR_BOARD_VIRT_RISCV_PRIV_H
#define VR_BOARD_VIRT_RISCV_PRIV_H

#include "backend/block/block.h"
#include "backend/net/net.h"
#include "board/panic_watch.h"
#include "board/virt_riscv.h"
#include "boot/blob.h"
#include "boot/kernel.h"
#include "boot/sbi.h"
#include "core/fdt.h"
#include "cpu/riscv/hart.h"
#include "dev/virtio/scsi.h"

/* The memory map (CONTRACT: the RISC-V virt machine). */
#define VIRT_ROM           UINT64_C(0x1000)
#define VIRT_ROM_LEN       UINT64_C(0xf000)
#define VIRT_TEST          UINT64_C(0x100000)
#define VIRT_RTC           UINT64_C(0x101000)
#define VIRT_GENID         UINT64_C(0x102000)
#define VIRT_CLINT         UINT64_C(0x2000000)
#define VIRT_SSWI          UINT64_C(0x2f00000)
#define VIRT_PLIC          UINT64_C(0xc000000)
#define VIRT_APLIC_M       UINT64_C(0xc000000)
#define VIRT_APLIC_S       UINT64_C(0xd000000)
#define VIRT_UART          UINT64_C(0x10000000)
#define VIRT_MMIO          UINT64_C(0x10001000)
#define VIRT_FW_CFG        UINT64_C(0x10100000)
#define VIRT_PCI_IO        UINT64_C(0x3000000)
#define VIRT_PCI_ECAM      UINT64_C(0x30000000)
#define VIRT_PCI_MEM32     UINT64_C(0x40000000)
#define VIRT_PCI_MEM64_LEN UINT64_C(0x400000000)
#define VIRT_FLASH         UINT64_C(0x20000000) /* code; the variables follow */
#define VIRT_IMSIC_M       UINT64_C(0x24000000)
#define VIRT_IMSIC_S       UINT64_C(0x28000000)
#define VIRT_RAM           UINT64_C(0x80000000)
#define VIRT_RAM_MAX       (UINT64_C(1) << 46) /* page tables reach 2^56; nobody has as much */

enum {
    VIRT_IRQ_MMIO = 1,
    VIRT_IRQ_UART = 10,
    VIRT_IRQ_RTC = 11,
    VIRT_IRQ_GENID = 12,
    VIRT_IRQ_PCI = 32
};
enum { VIRT_DEVS = 32, VIRT_ID_LEN = VR_VIRT_ID_LEN };
enum { VIRT_FDT_ROOM = 2 << 20 }; /* bytes kept free for the device tree */

/* A device and where it stands. */
struct virt_dev {
    struct vr_dev *dev;
    struct vr_fdt_at at;
    bool in_other; /* another device's node describes it */
};

/* A host end. The list is changed with devices held. */
struct virt_end {
    struct virt_end *next;
    enum vr_virt_end_kind kind;
    char name[VR_VIRT_ID_LEN]; /* "": it came with its device and goes with it */
    char user[VR_VIRT_ID_LEN]; /* the device that has it; "": nobody */
    union {
        struct vr_blk *blk;
        struct vr_net *net;
        struct vr_fs *fs;
        struct vr_chr *chr;
    } host;
};

struct vr_pci;
struct vr_pci_bus;

/* A place on PCI. */
struct virt_pci_at {
    struct vr_pci_bus *bus; /* NULL: the root bus */
    unsigned addr;          /* 1 + its device number; 0: the first that is free */
};

/* A device that the user named by its class. The list is changed with devices held. */
struct virt_plug {
    struct virt_plug *next;
    char id[VR_VIRT_ID_LEN];
    struct vr_dev *dev;    /* NULL: a unit of */
    struct vr_dev *scsi;   /* this controller, */
    unsigned target;       /* at this target */
    bool cdrom;            /* a drive */
    struct vr_dev *port;   /* in whose slot it is; NULL: in none, but */
    struct virt_pci_at at; /* there, if on PCI */
    struct virt_end *end;  /* NULL: none */
    bool asked;            /* to leave; with the machine's `change` held */
};

struct vr_flash_file;

struct vr_virt {
    struct vr_machine *machine;
    struct vr_log *log;
    const struct vr_virt_opts *wanted; /* during create */
    struct rv_hart *hart[VR_MAX_VCPUS];
    struct rv_config config;
    unsigned cpus;
    char no_jit[sizeof(((struct vr_error *)NULL)->msg)];
    struct vr_ram *ram, *rom;
    uint64_t ram_bytes;
    bool disks_unheld;
    struct virt_dev dev[VIRT_DEVS];
    unsigned dev_count;
    enum vr_virt_aia aia;
    struct vr_dev *irqchip; /* where the devices' wires end: PLIC or APLIC */
    struct vr_dev *imsic_m, *imsic_s;
    struct vr_dev *clint, *uart, *test, *genid;
    struct vr_dev *pci;                            /* host bridge */
    bool virtio_mmio;                              /* virtio devices are not on PCI */
    unsigned mmio_slots;                           /* taken */
    struct vr_dev *balloon;                        /* NULL: none */
    struct vr_dev *button;                         /* the same */
    struct vr_timer press;                         /* of it, by a watchdog */
    struct vr_dev *scsi;                           /* the same */
    struct vr_blk *scsi_blk[VR_VIRTIO_SCSI_UNITS]; /* by target */
    bool scsi_drive[VR_VIRTIO_SCSI_UNITS];         /* a CD-ROM drive */
    struct vr_chr *serial, *port[VR_VIRT_PORTS];
    struct virt_end *ends;
    unsigned io_next; /* I/O thread of the next end that names none */
    struct virt_plug *plugs;
    struct vr_own_class *const *own_class; /* the program's */
    unsigned own_class_count;
    void (*on_answer)(void *opaque, const char *id, bool agrees); /* of guests asked to let go */
    void *on_answer_opaque;
    struct vr_flash_file *flash_vars; /* NULL: no such bank */
    bool flash_kept;                  /* it is written back */
    /* What is started */
    struct vr_blob kernel_file, firmware_file, initrd_file;
    struct vr_blob flash_kernel, flash_initrd; /* for code in flash, which reads them by fw_cfg */
    struct vr_kernel kernel, firmware;
    bool has_kernel, has_firmware, has_flash, bare;
    uint64_t initrd_gpa, fdt_gpa;
    char *append;
    uint8_t rng_seed[32];
    struct vr_fdt *fdt;
    const void *fdt_blob;
    size_t fdt_len;
    struct vr_sbi_host sbi;
    struct vr_mutex hear_lock; /* the 16550 and every hart's SBI write to one console */
    struct vr_panic_watch panic;
    uint64_t reset_ns; /* the clock at the last reset */
    struct vr_dev *rtc;
    bool rtc_follows;  /* the host's wall clock, also over a snapshot */
    uint64_t saved_ns; /* wall time of the snapshot that it was loaded from, or is saved to */
    /* Files that are read at the first reset */
    bool late;
    char *late_kernel, *late_initrd, *late_firmware;
};

/* Host ends (virt_riscv_ends.c): before the first one; */
int virt_ends_init(struct vr_virt *v, struct vr_error *err) VR_MUST;
/* open one, which the machine closes in the end; @name NULL: it goes when its device does; */
int virt_end_open(struct vr_virt *v, const struct vr_virt_end *opts, const char *name,
                  struct virt_end **ret_end, struct vr_error *err) VR_MUST;
void virt_end_attach(struct vr_virt *v, struct virt_end *end, struct vr_dev *dev);
void virt_end_use(struct vr_virt *v, struct virt_end *end, const char *id); /* "": nobody */
void virt_end_leave(struct vr_virt *v,
                    struct virt_end *end); /* its device has gone; NULL is fine */
struct virt_end *virt_end_find(struct vr_virt *v, const char *name);
/* What was set of them while the machine ran (virt_riscv_ends_snap.c), for
 * vr_machine_on_save_ends. */
int virt_ends_put(void *virt, struct vr_snap *snap, struct vr_error *err) VR_MUST;
int virt_ends_get(void *virt, struct vr_snap *snap, struct vr_error *err) VR_MUST;
/* Open what @disk says, at the machine's loop (virt_riscv_ends.c). */
int virt_open_disk(struct vr_virt *v, const struct vr_virt_disk *disk, struct vr_blk **ret_blk,
                   struct vr_error *err) VR_MUST;
/* Places (virt_riscv_pci.c). Create a device and hand it to the machine; */
int virt_new(struct vr_virt *v, const struct vr_dev_class *cls, const char *id, const char *opts,
             struct vr_dev **ret_dev, struct vr_error *err) VR_MUST;
/* the host bridge; */
int virt_add_pci(struct vr_virt *v, struct vr_error *err) VR_MUST;
/* a device on MMIO, in the next free slot; */
int virt_add_mmio(struct vr_virt *v, const struct vr_dev_class *cls, const char *id,
                  const char *opts, struct vr_dev **ret_dev, struct vr_error *err) VR_MUST;
/* a device on a PCI bus (@at NULL: in the next free place of the root bus); */
int virt_add_to_pci(struct vr_virt *v, const struct virt_pci_at *at, const struct vr_dev_class *cls,
                    const char *id, const char *opts, struct vr_dev **ret_dev,
                    struct vr_error *err) VR_MUST;
/* take a device out of the machine again, and destroy it; */
void virt_discard(struct vr_virt *v, struct vr_dev *dev);
/* a new device stays, as *ret_dev, or is discarded: @r, which is returned, is what plugging it in
 * came to; */
int virt_settle(struct vr_virt *v, struct vr_dev *dev, int r, struct vr_dev **ret_dev) VR_MUST;
/* where a function is, for people: "port0/00.0"; the host bridge's lock is held; */
void virt_pci_place(const struct vr_pci *pci, char *ret_place, size_t size);
/* a virtio device ("blk", "net", ...) on PCI or MMIO, as the machine has it. */
int virt_add_virtio(struct vr_virt *v, const char *kind, const char *id, const char *opts,
                    struct vr_dev **ret_dev, struct vr_error *err) VR_MUST;
/* Empty slots, and what the user named by class (virt_riscv_plug.c). */
int virt_add_slots(struct vr_virt *v, unsigned count, struct vr_error *err) VR_MUST;
/* The machine is reset: whoever was asked to leave does. */
void virt_plugs_reset(struct vr_virt *v);
void virt_plugs_fini(struct vr_virt *v); /* after the machine */
int virt_add_devices(struct vr_virt *v, const struct vr_virt_opts *opts,
                     struct vr_error *err) VR_MUST;
/* The SCSI controller with its units (virt_riscv_scsi.c). */
int virt_add_scsi(struct vr_virt *v, const struct vr_virt_opts *opts, struct vr_error *err) VR_MUST;
/* A unit at @target (-1: the first that is free) of controller @dev; @blk NULL: a drive without a
 * disc; @opts "serial=..." or NULL. -EEXIST, -ENOSPC, -EINVAL. */
int virt_scsi_plug(struct vr_dev *dev, bool cdrom, struct vr_blk *blk, const char *opts, int target,
                   unsigned *ret_target, struct vr_error *err) VR_MUST;
/* SR-IOV (virt_riscv_sriov.c). Do @opts make a device a virtual function, and of whom? */
bool virt_vf_of(const char *opts, char ret_pf[VIRT_ID_LEN]);
/* Such a device; what its PF is called. */
int virt_add_vf(struct vr_virt *v, const struct vr_dev_class *cls, const char *id, const char *opts,
                const char *pf_id, struct vr_dev **ret_dev, struct vr_error *err) VR_MUST;
/* The options of a device that others want to be virtual functions of; "": nobody does. */
int virt_pf_opts(const struct vr_virt *v, const struct vr_dev_class *cls, const char *id,
                 const char *opts, char *ret_opts, size_t size, struct vr_error *err) VR_MUST;
/* The virtio console (virt_riscv_ports.c). */
int virt_add_ports(struct vr_virt *v, const struct vr_virt_opts *opts,
                   struct vr_error *err) VR_MUST;
/* Create a device, hand it to the machine, map its first window, and connect its wire to input @irq
 * of the interrupt controller (0: none). */
int virt_add(struct vr_virt *v, const struct vr_dev_class *cls, const char *id, const char *opts,
             uint64_t gpa, uint64_t len, struct vr_irq *(*wire)(struct vr_dev *), unsigned irq,
             struct vr_dev **ret_dev, struct vr_error *err) VR_MUST;
/* Map another window of the device that was added last. */
int virt_add_window(struct vr_virt *v, unsigned window, uint64_t gpa, uint64_t len,
                    struct vr_error *err) VR_MUST;
/* Harts, interrupt controllers, and who interrupts whom (virt_riscv_irq.c). */
int virt_add_cpus(struct vr_virt *v, const struct vr_virt_opts *opts, struct vr_error *err) VR_MUST;
/* A device's wire ends at input @irq of the interrupt controller. */
void virt_connect(struct vr_virt *v, struct vr_irq *wire, unsigned irq);
/* What M-mode firmware would do with them: at a reset, where the built-in SBI is in its place. */
void virt_irq_reset(struct vr_virt *v);
/* Read and place kernel, initrd, firmware; no guest memory is touched yet (virt_riscv_boot.c). */
int virt_plan(struct vr_virt *v, const struct vr_virt_opts *opts, struct vr_error *err) VR_MUST;
void virt_late_fini(struct vr_virt *v);
/* At each reset: fill RAM and ROM, start the harts. */
int virt_on_reset(void *virt, struct vr_error *err);
/* Flash (virt_riscv_flash.c): the devices; */
int virt_add_flash(struct vr_virt *v, const struct vr_virt_opts *opts,
                   struct vr_error *err) VR_MUST;
/* kernel and initrd for code in flash, read and then told to it; */
int virt_flash_kernel(struct vr_virt *v, const struct vr_virt_opts *opts,
                      struct vr_error *err) VR_MUST;
int virt_flash_tell(struct vr_virt *v, struct vr_dev *fw_cfg, struct vr_error *err) VR_MUST;
void virt_flash_reset(struct vr_virt *v); /* with the harts halted: keep the variables now; */
void virt_flash_close(struct vr_virt *v); /* before the machine is destroyed; */
void virt_flash_fini(struct vr_virt *v);  /* and after. */
/* The device tree (virt_riscv_fdt.c). */
int virt_make_fdt(struct vr_virt *v, struct vr_error *err) VR_MUST;
/* Machine side of the built-in SBI (virt_riscv_sbi.c). */
void virt_sbi_init(struct vr_virt *v);

#endif
