/* `vireo run`: one machine, from power-on to its end. */
#include "cli/cli.h"
#include "control/snapshot.h"
#include "control/vm.h"
#include "platform/limits.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the signal thread and the main thread share. */
struct run {
    struct vireo_vm *vm;
    atomic_int signum; /* the signal that ends us; 0: none */
};

/* Whoever looks after a crash wants a terminal that echoes, and to know what happened. */
static bool run_on_crash(void *opaque, struct vireo_fault *fault)
{
    struct run *run = opaque;
    if (run->vm) {
        vr_vm_restore_tty(run->vm);
        vr_vm_crashed(run->vm, fault);
    }
    return false;
}

static void run_on_signal(void *opaque, int signum)
{
    struct run *run = opaque;
    if (atomic_exchange(&run->signum, signum)) {
        /* The second one: whoever sends it does not want to wait. */
        vr_vm_restore_tty(run->vm);
        vireo_endsig_die(signum);
    }
    vr_vm_stop_as(run->vm, 0, "host-signal");
}

static void run_on_log(void *opaque, enum vireo_log_level level, const char *who, const char *line)
{
    (void)opaque;
    fprintf(stderr, "vireo: %s%s%s\n", who, *who ? ": " : "", line);
    (void)level;
}

/* Take the positional for what it is. */
static int run_positional(struct cli *cli)
{
    struct vr_error err = {0};
    const char *path = cli->args[0], *key, *what;
    char snapshot[4096];
    /* MACHINE/TAG, where no such file is. */
    if (vr_snapshot_path(NULL, path, snapshot, sizeof(snapshot), NULL) == 0 &&
        vr_snapshot_is(snapshot)) {
        path = snapshot;
    }
    int r = vr_config_identify(path, &key, &what, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    const struct vr_opt *opt = vr_opt_find(vr_config_opts, key);
    if (!opt->repeat && vr_config_given(cli->config, key)) {
        cli_say("%s: is %s, but --%s was given too: leave one of them out", path, what, key);
        return CLI_USAGE;
    }
    r = vr_config_apply(cli->config, opt, path, &err);
    if (r < 0) {
        return cli_fail_opt(&err, opt, path);
    }
    if (!cli->quiet) {
        cli_say("%s: %s: taken as --%s", path, what, key);
    }
    return CLI_OK;
}

/* The machine in the snapshot, with what else was said. */
static int run_snapshot(struct cli *cli, struct vr_error *err)
{
    struct vireo_config *saved, *both;
    int r = vireo_snapshot_config(cli->config->snapshot, &saved, err);
    if (r < 0) {
        return r;
    }
    r = vr_config_override(saved, cli->config, &both, err);
    vireo_config_destroy(saved);
    if (r == 0) {
        vireo_config_destroy(cli->config);
        cli->config = both;
    }
    return r;
}

static int run_ended(const char *name, enum vireo_end end, unsigned code)
{
    switch (end) {
    case VIREO_END_FAIL:
        cli_say("%s: the guest failed, with code %u", name, code);
        return CLI_GUEST;
    case VIREO_END_PANIC:
        cli_say("%s: the guest's kernel panicked; its console says why", name);
        return CLI_GUEST;
    case VIREO_END_STOP:
        return (int)code;
    case VIREO_END_POWEROFF:
    case VIREO_END_RESET:
        break;
    }
    return CLI_OK;
}

static void run_banner(const struct cli *cli, struct vireo_vm *vm)
{
    char text[256];
    if (cli->quiet) {
        return;
    }
    vr_vm_banner(vm, text, sizeof(text));
    cli_say("%s", text);
    if (strcmp(vr_vm_name(vm), cli->config->name) != 0) {
        cli_say("this is machine %s", vr_vm_name(vm));
    }
    for (unsigned i = 0; i < VIREO_CONSOLES; i++) {
        const char *path = vireo_vm_console_path(vm, i);
        if (path && *path) {
            char name[32] = "console";
            if (i) {
                snprintf(name, sizeof(name), "virtio console %u", i - 1);
            }
            cli_say("%s: %s", name, path);
        }
    }
    if (vr_vm_has_keys(vm)) {
        cli_say("Ctrl-A x quits, Ctrl-A h helps");
    }
}

static void run_listening(void *opaque)
{
    const struct cli *cli = opaque;
    if (!cli->quiet) {
        cli_say("a machine may come to %s", cli->incoming);
    }
}

static int run_machine(struct cli *cli)
{
    struct run run = {.vm = NULL};
    struct vireo_endsig *sig = NULL;
    struct vr_error err = {0};
    enum vireo_end end = VIREO_END_STOP;
    unsigned code = 0;
    char name[64];
    int crash;
    struct vr_det_opts det;
    vr_config_det_opts(cli->config, &det); /* such a life says where it ended */
    vireo_config_on_log(cli->config,
                        cli->quiet ? VIREO_LOG_ERROR
                        : det.on   ? VIREO_LOG_INFO
                                   : VIREO_LOG_WARN,
                        run_on_log, NULL);
    if (cli->config->share_count || cli->config->root.path) {
        vr_descriptor_limit_raise(); /* a guest knows thousands of files */
    }
    /* First, so that it is asked last: to the machine's engine faults are daily business. */
    int r = vireo_fault_add(run_on_crash, &run, &crash, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    r = cli->incoming
            ? vireo_vm_receive(cli->config, cli->incoming, run_listening, cli, &run.vm, &err)
            : vireo_vm_create(cli->config, &run.vm, &err);
    if (r < 0) {
        vireo_fault_remove(crash);
        /* Of a snapshot, disks may have been written. */
        return cli->config->snapshot ? cli_fail_file(&err) : cli_fail(&err);
    }
    snprintf(name, sizeof(name), "%s", vr_vm_name(run.vm));
    r = vireo_endsig_start(run_on_signal, &run, &sig, &err);
    if (r == 0) {
        run_banner(cli, run.vm);
        r = cli->incoming ? 0 : vireo_vm_start(run.vm, &err);
    }
    if (r == 0) {
        vireo_vm_wait(run.vm, UINT64_MAX, &end, &code);
    }
    if (r == 0 && cli->config->jit_stats) {
        char text[512];
        vr_vm_jit_text(run.vm, text, sizeof(text));
        cli_say("%s", text);
    }
    struct vireo_migration moved;
    vireo_vm_migration(run.vm, &moved);
    if (r == 0 && moved.status == VIREO_MIGRATE_COMPLETED && !cli->quiet) {
        cli_say("%s: goes on elsewhere", name);
    }
    vireo_endsig_stop(sig);
    vireo_fault_remove(crash);
    vireo_vm_destroy(run.vm);
    if (atomic_load(&run.signum)) {
        vireo_endsig_die(atomic_load(&run.signum));
    }
    return r < 0 ? cli_fail(&err) : run_ended(name, end, code);
}

int cli_run(struct cli *cli)
{
    struct vr_error err = {0};
    if (cli->json && !cli->explain) {
        cli_say("run: --json goes with --explain");
        return CLI_USAGE;
    }
    if (cli->incoming && (cli->arg_count || cli->explain || cli->dump_dtb)) {
        cli_say("run: with --incoming the machine is what comes: no FILE, and nothing to explain");
        return CLI_USAGE;
    }
    if (cli->incoming) {
        return vr_config_command_defaults(cli->config, true, &err) < 0 ? cli_fail(&err)
                                                                       : run_machine(cli);
    }
    int code = cli->arg_count ? run_positional(cli) : CLI_OK;
    if (code != CLI_OK) {
        return code;
    }
    int r = cli->config->snapshot ? run_snapshot(cli, &err) : 0;
    r = r < 0 ? r : vr_config_command_defaults(cli->config, false, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    return cli->explain || cli->dump_dtb ? cli_explain(cli) : run_machine(cli);
}
