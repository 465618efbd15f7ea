/* The command: verbs, their options, and what one invocation asks for. */
#ifndef VR_CLI_CLI_H
#define VR_CLI_CLI_H

#include "control/config.h"
#include "control/options.h"
#include "vireo/host_pci.h"
#include <stdio.h>

/* Exit codes. */
enum {
    CLI_OK = 0,    /* the guest powered off; the question is answered */
    CLI_USAGE = 2, /* what was asked for makes no sense */
    CLI_HOST = 3,  /* the host lacks something */
    CLI_GUEST = 4, /* the guest panicked or failed */
    CLI_IO = 5,    /* a file, a disk, a port */
};

enum { CLI_ARGS = 12 };

struct cli;

struct cli_verb {
    const char *name;
    const char *args;          /* its positionals, for help: "[FILE]"; NULL: none */
    const char *help;          /* one line */
    const char *about;         /* more, paragraphs apart by newlines; or NULL */
    const struct vr_opt *opts; /* apply to struct cli */
    bool config;               /* vr_config_opts as well */
    bool files;                /* positionals are files */
    bool machines;             /* the first positional, or all, are names of running machines; */
    unsigned machines_at;      /* or this one is, counted from 0; 0: none */
    unsigned min_args, max_args;
    int (*run)(struct cli *cli); /* an exit code */
    /* Word @i that completion offers as positional number @arg; NULL past the end. May be NULL. */
    const char *(*word)(unsigned arg, unsigned i);
};

/* Until a NULL name. */
extern const struct cli_verb cli_verbs[];

/* One invocation. */
struct cli {
    const struct cli_verb *verb;
    struct vireo_config *config; /* verbs with config */
    bool json, quiet, explain, help;
    bool dry_run, whole_group, force;
    bool follow, prometheus, wait, address, hash;
    unsigned console, timeout_s, downtime_ms, count;
    uint64_t bandwidth;
    bool no_disks;
    char *prefix, *overlays, *publish;
    char *dump_dtb, *root, *way, *incoming;
    char *to, *compress, *parent;
    const char *args[CLI_ARGS];
    unsigned arg_count;
};

const struct cli_verb *cli_find_verb(const char *name);
/* Parse what follows the verb. Returns an exit code; the message is printed. */
int cli_parse(struct cli *cli, int argc, char **argv);

/* "vireo: ...\n" on standard error. */
void cli_say(const char *fmt, ...) VR_PRINTF(1, 2);
/* May progress be told on the last line of a terminal? */
bool cli_shows_progress(const struct cli *cli);
void cli_end_progress(void); /* that line is empty again */
/* Print @err, return the exit code that fits it. */
int cli_fail(const struct vr_error *err);
/* The same where -ENOSPC and -EEXIST are of a file's: a full disk is nobody's misuse. */
int cli_fail_file(const struct vr_error *err);
/* The same for an option: "--memory 12X: ..." */
int cli_fail_opt(const struct vr_error *err, const struct vr_opt *opt, const char *value);

/* Option @i that @verb takes, from all its tables; NULL past the end. */
const struct vr_opt *cli_opt(const struct cli_verb *verb, unsigned i);
/* @text from column @col on, broken at blanks before column @width, new lines indented by @indent.
 * Ends the line. */
void cli_wrap(FILE *to, const char *text, unsigned col, unsigned indent, unsigned width);
void cli_help_verb(const struct cli_verb *verb);
/* Standard output, done: an exit code that says whether it could be written. */
int cli_flush(void);

/* Verbs. */
int cli_run(struct cli *cli);
int cli_explain(struct cli *cli);
int cli_devices(struct cli *cli);
int cli_device(struct cli *cli);
const char *cli_device_word(unsigned i); /* what can be done: "help"; NULL past the end */
int cli_device_help(struct cli *cli);
int cli_machines(struct cli *cli);
int cli_doctor(struct cli *cli);
int cli_platform(struct cli *cli);
/* Is it about PCI devices? Then cli_platform_pci does it. */
bool cli_is_platform_pci(const struct cli *cli);
int cli_platform_pci(struct cli *cli);
int cli_platform_mdev(struct cli *cli);
const char *cli_mdev_verb(unsigned i);
/* What may be done to devices, "create": for completion; NULL past the end. */
const char *cli_pci_verb(unsigned i);
/* vireo platform sriov show: the functions of @addr, or that one. */
int cli_sriov_show(struct cli *cli, const struct vireo_pci *pci, struct vireo_pci_addr addr);
/* The plan for sriov set ADDRESS SETTING... */
int cli_sriov_plan(const struct cli *cli, const struct vireo_pci *pci, struct vireo_pci_addr addr,
                   struct vireo_plan **ret_plan, struct vr_error *err) VR_MUST;
/* vireo platform vfio test, hold. */
int cli_vfio_test(struct cli *cli, struct vireo_pci_addr addr);
int cli_vfio_hold(struct cli *cli, struct vireo_pci_addr addr);
/* Tell a step of a plan; @opaque is the struct cli. */
void cli_pci_step(void *opaque, size_t i, const struct vireo_step *step);
int cli_ps(struct cli *cli);
int cli_status(struct cli *cli);
int cli_console(struct cli *cli);
int cli_pause(struct cli *cli);
int cli_resume(struct cli *cli);
int cli_reset(struct cli *cli);
int cli_shutdown(struct cli *cli);
int cli_stop(struct cli *cli);
int cli_kill(struct cli *cli);
int cli_snapshot(struct cli *cli);
/* What may be done with snapshots, "save": for completion; NULL past the end. */
const char *cli_snapshot_verb(unsigned i);
int cli_stats(struct cli *cli);
/* What there are statistics of, for completion; NULL past the end. */
const char *cli_stats_word(unsigned i);
int cli_events(struct cli *cli);
int cli_fork(struct cli *cli);
int cli_qmp(struct cli *cli);
int cli_gdb(struct cli *cli);
int cli_set(struct cli *cli);
/* What can be set, for completion; NULL past the end. */
const char *cli_set_word(unsigned i);
int cli_migrate(struct cli *cli);
int cli_version(struct cli *cli);
int cli_completion(struct cli *cli);
int cli_man(struct cli *cli);
int cli_help(struct cli *cli);

#endif
