/* What the command knows of a machine beyond the public interface (vireo/vm.h). */
#ifndef VR_CONTROL_VM_H
#define VR_CONTROL_VM_H

#include "control/config.h"

struct vr_machine;
struct vr_virt;

/* A machine that is only looked at: consoles lead nowhere, networks are not plugged in, nothing is
 * written to; it must not be started. Otherwise vireo_vm_create. */
int vr_vm_create_idle(const struct vireo_config *config, struct vireo_vm **ret_vm,
                      struct vr_error *err) VR_MUST;
/* Put a raw terminal back as it was found; async-signal-safe. Only vireo_vm_destroy may follow. */
void vr_vm_restore_tty(struct vireo_vm *vm);
/* Its process has crashed: write down what is known, for whoever asks why (crash.c).
 * Async-signal-safe. */
struct vireo_fault;
void vr_vm_crashed(struct vireo_vm *vm, const struct vireo_fault *fault);
/* The file that machine @name left in process @pid; false: none. */
bool vr_vm_crash_file(const char *name, uint64_t pid, char *ret_path, size_t size);
/* Is a console on the terminal, listening for Ctrl-A keys? */
bool vr_vm_has_keys(const struct vireo_vm *vm);
/* What it is called; differs from the configuration's name when machines are numbered. */
const char *vr_vm_name(struct vireo_vm *vm);
/* Its UUID; lives as long as the machine. */
const char *vr_vm_uuid(struct vireo_vm *vm);
/* vireo_vm_stop for @reason, static: a ShutdownCause of QMP, "host-signal". */
void vr_vm_stop_as(struct vireo_vm *vm, unsigned code, const char *reason);
struct vr_machine *vr_vm_machine(struct vireo_vm *vm);
struct vr_virt *vr_vm_virt(struct vireo_vm *vm);
/* The device tree as the guest gets it; lives as long as the machine. */
void vr_vm_fdt(struct vireo_vm *vm, const void **ret_blob, size_t *ret_len);
/* One line for people about what runs: "riscv64 virt, 2 harts, 512 MiB, own engine (interp); KVM:
 * not used: ..." */
void vr_vm_banner(struct vireo_vm *vm, char *ret_text, size_t size);
/* One line about what the JIT did. */
void vr_vm_jit_text(struct vireo_vm *vm, char *ret_text, size_t size);

#endif
