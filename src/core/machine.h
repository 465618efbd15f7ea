/*
 * A machine: spaces, devices, vCPUs, clock, loop and run state. No globals: many live in one
 * process.
 *
 * Run states: stopped (never started, or ended) -> running <-> paused; a guest request ends or
 * resets it. Requests come from any thread (a device under its lock, a signal-safe embedder
 * thread): they are noted and carried out by the machine's control thread, which stops the vCPUs
 * first.
 */
#ifndef VR_CORE_MACHINE_H
#define VR_CORE_MACHINE_H

#include "core/dev.h"
#include "core/request.h"
#include "core/vcpu.h"
#include "vireo/host_use.h"

struct vr_machine;

enum vr_state { VR_STATE_STOPPED, VR_STATE_RUNNING, VR_STATE_PAUSED };

enum { VR_MAX_VCPUS = 64, VR_MAX_IO_THREADS = 16 };

/* Why a machine ended. */
struct vr_exit {
    enum vr_request why; /* VR_REQ_POWEROFF, VR_REQ_FAIL, VR_REQ_PANIC, VR_REQ_QUIT, VR_REQ_RESET */
    unsigned code;       /* VR_REQ_FAIL: the guest's code; VR_REQ_QUIT: the caller's */
    const char *reason; /* who wanted it: a ShutdownCause of QMP, "guest-shutdown", "host-signal" */
};

/* @log may be NULL. The clock is of @clock kind; the loop's thread is started by vr_machine_start
 * or vr_machine_load when @own_loop_thread, else the embedder turns it. */
int vr_machine_create(const char *name, enum vr_clock_kind clock, bool own_loop_thread,
                      struct vr_log *log, struct vr_machine **ret_machine,
                      struct vr_error *err) VR_MUST;
/* Stops first; destroys devices in reverse, then vCPUs, then what vr_machine_own was given, in
 * reverse. Not from one of the machine's own threads. NULL is fine. */
void vr_machine_destroy(struct vr_machine *m);

const char *vr_machine_name(const struct vr_machine *m);
struct vr_env *vr_machine_env(struct vr_machine *m);
struct vr_space *vr_machine_mem(struct vr_machine *m);
struct vr_clock *vr_machine_clock(struct vr_machine *m);
struct vr_loop *vr_machine_loop(struct vr_machine *m);
/* Have @count I/O loops, each with a thread: the machine's, where consoles and control are, and
 * more for host ends that shall not wait for those or for each other. Once, before host ends are
 * opened. */
int vr_machine_use_io_threads(struct vr_machine *m, unsigned count, struct vr_error *err) VR_MUST;
struct vr_loop *vr_machine_io_loop(struct vr_machine *m, unsigned i); /* NULL past the end */

/* vCPUs join before start; devices too, or at any time between vr_machine_change_begin and _end.
 * The machine owns them from then on, but for a call that failed. -EEXIST: the id is taken. */
int vr_machine_add_dev(struct vr_machine *m, struct vr_dev *dev, struct vr_error *err) VR_MUST;
/* @dev leaves; it is the caller's again, who destroys it. When it may be added, too. */
void vr_machine_remove_dev(struct vr_machine *m, struct vr_dev *dev);
/* Nothing is started, paused, reset, saved or loaded between the two, so a device may be added or
 * removed. They may wait: not on the loop's thread nor one of the machine's, no locks held. */
void vr_machine_change_begin(struct vr_machine *m);
void vr_machine_change_end(struct vr_machine *m);
/* No device leaves between the two, so that they can be looked at while the machine runs. Any
 * thread; nothing may wait, and the locks of devices are taken after this one. */
void vr_machine_hold_devs(struct vr_machine *m);
void vr_machine_release_devs(struct vr_machine *m);
struct vr_dev *vr_machine_find_dev(struct vr_machine *m, const char *id);
struct vr_dev *vr_machine_dev(struct vr_machine *m, unsigned i); /* NULL past the end */
int vr_machine_add_vcpu(struct vr_machine *m, struct vr_vcpu *vcpu, struct vr_error *err) VR_MUST;
struct vr_vcpu *vr_machine_vcpu(struct vr_machine *m, unsigned i); /* NULL past the end */
/* What vCPU @i has used of the host's processors, ns; 0: there is none, or it was not started yet;
 * UINT64_MAX: the host cannot tell. Any thread. */
uint64_t vr_machine_cpu_ns(struct vr_machine *m, unsigned i);
/* Bytes of guest RAM (ROM is not counted), how many of them the host has found memory for
 * (vireo_shmem_used), and of these how many are shared with others: with clones, or pages of a
 * snapshot that was mapped. *ret_used UINT64_MAX: the host cannot tell. Any thread, once RAM was
 * added. */
void vr_machine_ram_bytes(struct vr_machine *m, uint64_t *ret_len, uint64_t *ret_used,
                          uint64_t *ret_shared);
/* From which pages of the host guest RAM comes, and where vCPU threads run: before RAM is added. */
void vr_machine_use_host(struct vr_machine *m, const struct vireo_host_use *use);
/* Guest RAM begins as the bytes of @fd (which may be closed when vr_machine_add_ram has returned)
 * from @off on, copied on write: struct vireo_shmem_opts, file. Before RAM is added, of which there
 * is one piece then. */
void vr_machine_ram_view(struct vr_machine *m, int fd, uint64_t off);
/* Guest RAM, owned by the machine from then on: created, and mapped at @gpa. */
int vr_machine_add_ram(struct vr_machine *m, const char *name, uint64_t gpa, uint64_t len,
                       enum vr_region_kind kind, struct vr_ram **ret_ram,
                       struct vr_error *err) VR_MUST;

/* Call fn(opaque) when the machine is destroyed and its devices are gone, while its loop still is
 * there: for the backends that the board opened. */
int vr_machine_own(struct vr_machine *m, void (*fn)(void *opaque), void *opaque,
                   struct vr_error *err) VR_MUST;

/* Called at each reset, after devices and vCPUs took their reset values, with all vCPUs stopped:
 * the board loads kernel, firmware and device tree into RAM and sets the boot vCPU's registers
 * here. A failure ends the machine (VR_REQ_FAIL), or is what vr_machine_start returns. */
void vr_machine_on_reset(struct vr_machine *m, int (*fn)(void *opaque, struct vr_error *err),
                         void *opaque);

/* Run states. None of these from the machine's own threads (but request), nor with a device's lock
 * held. */

/* Resets, then runs. -EBUSY: it runs or is paused. A machine that ended can start again. */
int vr_machine_start(struct vr_machine *m, struct vr_error *err) VR_MUST;
/* The same, but it is paused before its first instruction. */
int vr_machine_start_paused(struct vr_machine *m, struct vr_error *err) VR_MUST;
/* Returns with every vCPU and the clock standing still; backends may still work. -EINVAL: stopped.
 */
int vr_machine_pause(struct vr_machine *m);
int vr_machine_resume(struct vr_machine *m); /* -EINVAL: stopped */
/* Call fn(arg) on this thread with every vCPU and the clock standing still, whatever the state is,
 * and then go on in that state. @fn must not change it. */
void vr_machine_still(struct vr_machine *m, void (*fn)(void *arg), void *arg);
enum vr_state vr_machine_state(struct vr_machine *m);
/* Ask for something; returns at once; carried out soon. Any thread, any lock held. Before the first
 * start it waits for that; after the end it is dropped. */
void vr_machine_request(struct vr_machine *m, enum vr_request what, unsigned code);
/* The same from outside the guest, for @reason (static, see struct vr_exit): a reset is the user's
 * button then, which also revives a guest that panicked. */
void vr_machine_request_as(struct vr_machine *m, enum vr_request what, unsigned code,
                           const char *reason);
/* The guest's kernel said that it panicked: when it asks for a reset next, that ends the machine
 * with VR_REQ_PANIC. Any thread, any lock held. */
void vr_machine_panicked(struct vr_machine *m);
/* How to press the machine's power button; @fn runs on whatever thread wants it, perhaps with locks
 * of devices held: it notes it. Set before the machine starts. */
void vr_machine_on_button(struct vr_machine *m, void (*fn)(void *opaque), void *opaque);
/* Hear what happens: RESUME (starts count), STOP, RESET, SHUTDOWN, GUEST_PANICKED, WATCHDOG, and
 * what devices tell. @fn runs on whatever thread it happens on, perhaps with locks of devices or of
 * the machine held: it notes it, and calls nothing of the machine but its clock. Set before the
 * machine starts.
 */
void vr_machine_on_event(struct vr_machine *m,
                         void (*fn)(void *opaque, const struct vr_event *event), void *opaque);
/* Wait until the machine ended; says why. @timeout_ns UINT64_MAX: for ever; false: still running.
 */
bool vr_machine_wait(struct vr_machine *m, uint64_t timeout_ns, struct vr_exit *ret_exit);
/* What a guest-requested reset does: true (default) resets and runs on; false ends with
 * VR_REQ_RESET. */
void vr_machine_reboots(struct vr_machine *m, bool reboots);

/* State of the board itself, for the snapshot: @table describes @state, which stays. @saving is
 * called before it is taken, @loaded when all of a machine was read; either may be NULL. */
void vr_machine_on_save(struct vr_machine *m, void *state, const struct vr_field *table,
                        void (*saving)(void *opaque), void (*loaded)(void *opaque), void *opaque);
/* What was set of its host ends, which is no state of the guest's: no part of its hash. @put
 * appends sections, or none; @get reads those, if they are next, and has host ends be as they say,
 * before vCPUs and devices are loaded. */
void vr_machine_on_save_ends(struct vr_machine *m,
                             int (*put)(void *opaque, struct vr_snap *snap, struct vr_error *err),
                             int (*get)(void *opaque, struct vr_snap *snap, struct vr_error *err),
                             void *opaque);
/* Whole machine state: vCPUs, clock, devices, contents of RAM and ROM. The machine is stopped,
 * paused, or is paused for the time of the call. */
int vr_machine_save(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err) VR_MUST;
/* Into a machine built with the same devices, vCPUs and RAM, which may never have been started. It
 * is paused afterwards: vr_machine_resume runs it. After a failure it is stopped and only
 * vr_machine_start or a good load revives it. */
int vr_machine_load(struct vr_machine *m, struct vr_snap *snap, struct vr_error *err) VR_MUST;

/*
 * The same without the contents of RAM, which travel otherwise. @ram is called while nothing moves
 * (vCPUs, clock, requests in flight): at a save last, to take the RAM (and, say, disks) of the very
 * moment that is in @snap; at a load once the machine is known to be of the same kind and before
 * anything looks at RAM, to fill it. What it writes goes by vr_ram_wrote. NULL: not called, the RAM
 * is or will be there.
 *
 * A load with @ram into a machine that runs or is paused first sees whether the machine takes all
 * of
 * @snap: if not, the machine goes on (or stays paused) as if nothing was, and @ram was not called.
 * -EINVAL: it was given away (vr_machine_hand_over).
 */
typedef int (*vr_machine_ram_fn)(void *opaque, struct vr_error *err);
int vr_machine_save_state(struct vr_machine *m, struct vr_snap *snap, vr_machine_ram_fn ram,
                          void *opaque, struct vr_error *err) VR_MUST;
int vr_machine_load_state(struct vr_machine *m, struct vr_snap *snap, vr_machine_ram_fn ram,
                          void *opaque, struct vr_error *err) VR_MUST;
/* RAM as it is, shared copy on write from now on (core/ram_fork.h). While nothing moves: from a
 * vr_machine_ram_fn. -ENOTSUP: not of this machine, or not on this host. */
struct vr_ram_frozen;
int vr_machine_freeze_ram(struct vr_machine *m, struct vr_ram_frozen **ret_frozen,
                          struct vr_error *err) VR_MUST;
/* RAM number @i (not ROM), in the order it was added; NULL past the end. @ret_name may be
 * NULL. */
struct vr_ram *vr_machine_ram(struct vr_machine *m, unsigned i, const char **ret_name);

/* Give the machine to another process: it stands still, with nothing in flight, its state without
 * RAM is put into @snap, and then @give hands it over. 0: it goes on there, and is PAUSED for good
 * here. -EINPROGRESS, from @give: nobody knows; it is PAUSED. Anything else: it goes on here as
 * before; -EAGAIN: something else is about to be done with it, try again. */
int vr_machine_hand_over(struct vr_machine *m, struct vr_snap *snap, vr_machine_ram_fn give,
                         void *opaque, struct vr_error *err) VR_MUST;
bool vr_machine_moved(struct vr_machine *m); /* it was given away */

#endif
