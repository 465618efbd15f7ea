/*
 * Forks: clones of a running machine, copy on write, many at once.
 *
 *     struct vireo_fork *fork;
 *     struct vireo_config *config;
 *     struct vireo_vm *clone;
 *     if (vireo_vm_fork(vm, NULL, &fork, &err) < 0 || // or vireo_fork_request("vm", ...)
 *         vireo_fork_config(fork, &config, &err) < 0 ||
 *         vireo_fork_clone(fork, config, NULL, &clone, &err) < 0 ||
 *         vireo_vm_resume(clone, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.msg);
 *     }
 *
 * A fork is a machine as it was at a moment. Clones are made from it, now or later, in this process
 * or in others, as many as memory allows: each begins as that machine, and shares with it what
 * neither of them changes, of memory and of disks. Parent, fork and clones do not need each other
 * to live on.
 *
 * What is a clone's own: name, UUID, control socket, consoles, the generation ID that tells the
 * guest (Linux then makes its random numbers anew), the hardware addresses of its network cards (a
 * running driver goes on with those it read when it started), its user networks (connections that
 * were open are reset), and disks: what it writes lies in a nameless file that goes with it. What a
 * guest still has of the parent's host names it may share with the parent: directories (shares).
 *
 * The parent goes on writing its images; clones read them as they were. As long as a clone reads an
 * image, nobody else can open it for writing, even when the parent has ended.
 *
 * Hosts: Linux. Elsewhere vireo_vm_fork gives -ENOTSUP.
 */
#ifndef VIREO_FORK_H
#define VIREO_FORK_H

#include "vireo/vm.h"

#ifdef __cplusplus
extern "C" {
#endif

/* A machine as it was at a moment. Owned by who made it; one thread at a time. */
struct vireo_fork;

/*
 * Fork @vm, which runs on (or stays paused) after a moment; its CPUs stand while what it wrote
 * since the last fork is put aside. Files that hold what disks were go to folder @dir (NULL:
 * $TMPDIR, else /var/tmp). Free it with vireo_fork_destroy, as soon as the last clone was made: as
 * long as a fork or one of its clones lives, the parent keeps what it changes on its disks.
 *
 * Like everything of vireo/vm.h from any thread but a callback. -EINVAL: it is stopped. -ENOTSUP: a
 * machine with memory in huge pages, with flash for variables alone, or a host that cannot.
 * -E2BIG: clones of clones of clones ... end at 31. -ENOSPC, -ENOMEM, -EACCES (@dir), ...
 */
VIREO_API int vireo_vm_fork(struct vireo_vm *vm, const char *dir, struct vireo_fork **ret_fork,
                            struct vr_error *err);
/* The same for another process's machine: by its name (NULL: the only one that runs), or the path
 * of its control socket. -ENOENT: there is none; -EREMOTEIO: it refused, and why; -ETIMEDOUT,
 * -EPIPE. */
VIREO_API int vireo_fork_request(const char *machine, const char *dir, struct vireo_fork **ret_fork,
                                 struct vr_error *err);
VIREO_API void vireo_fork_destroy(struct vireo_fork *fork); /* NULL is fine */

struct vireo_fork_info {
    const char *name;      /* the parent's; lives as long as the fork */
    uint64_t pause_ns;     /* how long its CPUs stood at most */
    uint64_t copied_bytes; /* of memory, that it had written since it was forked before */
};
VIREO_API void vireo_fork_info(const struct vireo_fork *fork, struct vireo_fork_info *ret_info);

/* The configuration of a clone, the caller's: the parent's, but for the name (the parent's with a
 * number), consoles (stdio, pty, file and unix lead nowhere: `vireo console` shows them; mem
 * stays), published ports (none), new hardware addresses, a control socket at a path (none), and
 * what is written to files (flash-vars, trace-insn, jit=dump, jit=perf: left out). Change name,
 * control, publish, console as you like; CPUs, memory and devices must stay. -ENOMEM. */
VIREO_API int vireo_fork_config(const struct vireo_fork *fork, struct vireo_config **ret_config,
                                struct vr_error *err);
/* A clone made of @config, paused: vireo_vm_resume lets it go on. What it writes to disks goes to
 * files in folder @dir (as above). Errors: as vireo_vm_create; -EPROTO: @config is another machine.
 */
VIREO_API int vireo_fork_clone(const struct vireo_fork *fork, const struct vireo_config *config,
                               const char *dir, struct vireo_vm **ret_vm, struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif
