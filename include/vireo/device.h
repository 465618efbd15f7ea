/*
 * Devices of your own: a PCI Express function that your program is behind.
 *
 *     static uint64_t lamp_read(struct vireo_function *f, uint64_t off, unsigned width)
 *     {
 *         struct lamp *s = vireo_function_state(f);
 *         return off == 0 ? s->on : 0;
 *     }
 *     static const struct vireo_function_class lamp = {
 *         .size = sizeof(lamp), .name = "lamp", .help = "a lamp", .version = 1,
 *         .vendor = 0x1234, .device = 1, .pci_class = 0xff0000, .window_bytes = 4096,
 *         .state_bytes = sizeof(struct lamp), .read = lamp_read, .write = lamp_write,
 *     };
 *     if (vireo_config_device_class(config, &lamp, NULL, &err) < 0 ||
 *         vireo_config_set(config, "device", "lamp,id=lamp0,bus=port0", &err) < 0) { ... }
 *
 * From then on it is a device like any other: it goes where `bus` says, comes and goes while the
 * machine runs (vireo_vm_device_add, vireo_vm_device_del), is listed, saved and restored.
 *
 * What the guest sees: BAR 0 has the device's registers (@window_bytes of memory); BAR 1, when it
 * has messages, the table of MSI-X. It has capabilities for power management, PCI Express, error
 * reporting and function-level reset, all served by Vireo.
 *
 * Threads: hooks run under the device's lock, one at a time: on a CPU's thread, on the clock's, or
 * on that of whoever resets or restores the machine. (create and destroy alone run without it.) A
 * hook must be quick, must not wait, and calls nothing of this library but the functions below. A
 * thread of your own takes the lock by vireo_function_lock before it calls any of these, and must
 * have ended, or know that the device has gone, when destroy returns. In deterministic mode a
 * device does nothing but in hooks, or a replay differs.
 */
#ifndef VIREO_DEVICE_H
#define VIREO_DEVICE_H

#include "vireo/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* One device of such a class, in one machine. */
struct vireo_function;

/* What kind of device. Hooks may be NULL where nothing is said. */
struct vireo_function_class {
    size_t size;      /* sizeof(struct vireo_function_class): later versions have more members */
    const char *name; /* "lamp": 1 to 31 lower-case letters, digits and '-', a letter first; not
                         virtio-*, scsi-*, pci-*, *-cpu, nor what `vireo devices` lists */
    const char *help; /* a line about it */
    uint16_t version; /* of its state, from 1: a snapshot of a later one is refused */
    uint16_t vendor, device; /* PCI ids; vendor not 0xffff */
    uint32_t pci_class;      /* base class, sub-class, interface: 24 bits */
    uint32_t window_bytes;   /* of BAR 0: a power of two from 4 KiB to 64 MiB */
    uint32_t messages;       /* MSI-X vectors, at most 64; 0: it has its pin (INTA) alone */
    uint32_t state_bytes;    /* at most 1 MiB */

    /* The device is made; its state is zero. *ret_host, NULL before, is what vireo_function_host
     * gives from then on. 0, or a negative errno value and a message in @err: then there is no
     * device, and no other hook is called. */
    int (*create)(struct vireo_function *f, void *opaque, void **ret_host, struct vr_error *err);
    /* It has gone from its machine: no hook runs or will run. */
    void (*destroy)(struct vireo_function *f, void *host);
    /* Power-on, reset of the machine, of its bus, or of the function by the guest: the state is
     * zero, no timer is set, the pin is low. */
    void (*reset)(struct vireo_function *f);
    /* The guest reads or writes @width bytes (1, 2, 4 or 8, aligned) at @off of BAR 0; values are
     * little-endian. Bits above @width bytes do not count. */
    uint64_t (*read)(struct vireo_function *f, uint64_t off, unsigned width);
    void (*write)(struct vireo_function *f, uint64_t off, unsigned width, uint64_t val);
    /* The time of vireo_function_timer has come. */
    void (*timer)(struct vireo_function *f);
    /* The state came from a snapshot, which may come from anywhere: check all of it (0, or a
     * negative errno value and a message: the device is as after a reset then, and the snapshot is
     * refused), and bring what follows from it (the pin, what the host shows) in line. */
    int (*restored)(struct vireo_function *f, struct vr_error *err);
};

/*
 * Machines made from @config may have devices of class @cls: its name is one for the key "device"
 * and for vireo_vm_device_add. @cls is copied, texts included; its hooks, and @opaque, which create
 * gets, must stay until @config and every machine and configuration made from it are gone. A saved
 * configuration (vireo_config_save) holds no classes: register them again in the one that is loaded
 * before a machine is made from it; so for snapshots, for clones, and in the changes that
 * vireo_vm_receive is given.
 *
 * -EINVAL: @cls breaks one of the rules above (the message says which); -EEXIST: there is such a
 * class; -ENOSPC: a configuration has at most 16; -ENOMEM.
 */
VIREO_API int vireo_config_device_class(struct vireo_config *config,
                                        const struct vireo_function_class *cls, void *opaque,
                                        struct vr_error *err);

/* ---- For hooks, and for threads that hold the lock ------------------------------------------- */

/* What is saved, @state_bytes of it, aligned for any type: plain data, no pointers. Valid from
 * create to destroy. */
VIREO_API void *vireo_function_state(struct vireo_function *f);
VIREO_API void *vireo_function_host(struct vireo_function *f); /* what create gave */
VIREO_API const char *vireo_function_id(const struct vireo_function *f);
/* The text behind "options=" of the setting, at most 127 bytes; "": none was given. */
VIREO_API const char *vireo_function_options(const struct vireo_function *f);

/* Drive the pin (INTA), which a guest that uses MSI-X does not look at. */
VIREO_API void vireo_function_set_pin(struct vireo_function *f, bool level);
/* Send message @message (from 0), or note it while it is masked. False: the guest does not use
 * MSI-X, or there is no such message: nothing was sent. */
VIREO_API bool vireo_function_send(struct vireo_function *f, unsigned message);

/* Copy @len bytes from or to guest memory at guest-physical address @gpa. -EPERM: the guest's
 * driver has not allowed it (bus mastering); -EFAULT: not all of it is memory (registers of devices
 * are none). Nothing is copied then. Guest memory changes at any time: copy once, check the copy.
 */
VIREO_API int vireo_function_read_memory(struct vireo_function *f, uint64_t gpa, void *buf,
                                         size_t len);
VIREO_API int vireo_function_write_memory(struct vireo_function *f, uint64_t gpa, const void *buf,
                                          size_t len);

/* Guest time, nanoseconds since power-on; and have the hook `timer` called at @at_ns of it (in the
 * past: soon), once; UINT64_MAX: not at all. It is part of the state. */
VIREO_API uint64_t vireo_function_time_ns(const struct vireo_function *f);
VIREO_API void vireo_function_timer(struct vireo_function *f, uint64_t at_ns);

/* The guest did what a driver must not do: counted (statistics: guest_errors), the first few are
 * logged. @what is a line. */
VIREO_API void vireo_function_guest_error(struct vireo_function *f, const char *what);

/* For threads of your own; never in a hook. */
VIREO_API void vireo_function_lock(struct vireo_function *f);
VIREO_API void vireo_function_unlock(struct vireo_function *f);

#ifdef __cplusplus
}
#endif

#endif
