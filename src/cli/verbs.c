/* The verbs and their own options. A verb appears here when it works. */
#include "base/bits.h"
#include "cli/cli.h"
#include "control/config.h"
#include "control/pci.h"
#include "control/platform.h"
#include "control/query.h"
#include "vireo/host_sriov.h"

#define CLI_AT(m) .offset = offsetof(struct cli, m)
#define CLI_GROUP .group = "This command"

#define CLI_HELP                                                                     \
    {                                                                                \
        .name = "help", .letter = 'h', .kind = VR_OPT_FLAG, CLI_GROUP, CLI_AT(help), \
        .help = "say what there is to say about this command"                        \
    }
#define CLI_JSON(what)                                                             \
    {                                                                              \
        .name = "json", .kind = VR_OPT_FLAG, CLI_GROUP, CLI_AT(json), .help = what \
    }

static const struct vr_opt run_opts[] = {
    {.name = "explain",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(explain),
     .help = "show the machine that would run, its memory map and why each setting is as it is; "
             "run nothing"},
    CLI_JSON("with --explain: as JSON"),
    {.name = "dump-dtb",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     CLI_GROUP,
     CLI_AT(dump_dtb),
     .help = "write the device tree that the guest would get (-: to standard output); run nothing"},
    {.name = "incoming",
     .kind = VR_OPT_TEXT,
     .value = "ADDRESS",
     CLI_GROUP,
     CLI_AT(incoming),
     .help = "wait at unix:PATH or tcp:HOST:PORT for a machine that 'vireo migrate' sends, and go "
             "on with it; other options change what comes with it. Whoever can connect decides "
             "what runs: tcp only on trusted networks, and with --incoming-files"},
    {.name = "quiet",
     .letter = 'q',
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(quiet),
     .help = "say nothing but what went wrong"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt query_opts[] = {
    CLI_JSON("as JSON, for programs"),
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt status_opts[] = {
    CLI_JSON("as JSON, for programs"),
    {.name = "hash",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(hash),
     .help = "a hash of the guest's state as well: registers, memory and devices (it stands still "
             "meanwhile)"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt platform_opts[] = {
    CLI_JSON("as JSON, for programs"),
    {.name = "dry-run",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(dry_run),
     .help = "sriov, vfio: show each step; change nothing"},
    {.name = "group",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(whole_group),
     .help = "vfio: all devices of its IOMMU group"},
    {.name = "root",
     .kind = VR_OPT_FILE,
     .value = "DIR",
     CLI_GROUP,
     CLI_AT(root),
     .help = "the host whose sys/, proc/ and dev/ are in DIR, say a recorded one"},
    {.name = "force",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(force),
     .help = "sriov delete: also functions that are bound to VFIO; guests lose them"},
    {.name = "way",
     .kind = VR_OPT_TEXT,
     .value = "WAY",
     CLI_GROUP,
     CLI_AT(way),
     .help = "vfio test: group, iommufd, or auto: what the host has"},
    {.name = "quiet",
     .letter = 'q',
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(quiet),
     .help = "sriov, vfio: do not tell each step"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt plain_opts[] = {
    CLI_HELP,
    VR_OPT_END,
};

static const struct vr_opt ps_opts[] = {
    CLI_JSON("as JSON, for programs"),
    {.name = "quiet",
     .letter = 'q',
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(quiet),
     .help = "only the names"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt stats_opts[] = {
    CLI_JSON("as JSON, for programs"),
    {.name = "prometheus",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(prometheus),
     .help = "in Prometheus' text format; without NAME, of all machines"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt events_opts[] = {
    {.name = "follow",
     .letter = 'f',
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(follow),
     .help = "go on as they happen, until the machine ends"},
    CLI_JSON("as JSON, an object a line"),
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt shutdown_opts[] = {
    {.name = "wait",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(wait),
     .help = "return when it has ended"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt device_opts[] = {
    {.name = "force",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(force),
     .help = "del: take it out at once, whatever the guest does with it"},
    {.name = "timeout",
     .kind = VR_OPT_NUMBER,
     .value = "SECONDS",
     .max = 86400,
     CLI_GROUP,
     CLI_AT(timeout_s),
     .help = "del: how long the guest may take to let it go (60)"},
    CLI_JSON("as JSON, for programs"),
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt console_opts[] = {
    {.name = "index",
     .letter = 'i',
     .kind = VR_OPT_NUMBER,
     .value = "N",
     CLI_GROUP,
     CLI_AT(console),
     .help = "which console: 0, the serial port; 1 and on, those of --virtio-console"},
    CLI_HELP,
    VR_OPT_END,
};

static const struct vr_opt fork_opts[] = {
    {.name = "count",
     .letter = 'n',
     .kind = VR_OPT_NUMBER,
     .value = "COUNT",
     .min = 1,
     .max = 1000,
     CLI_GROUP,
     CLI_AT(count),
     .help = "how many clones to make, all of one moment"},
    {.name = "name",
     .kind = VR_OPT_TEXT,
     .value = "NAME",
     CLI_GROUP,
     CLI_AT(prefix),
     .help = "the clone's name; of several, what their names begin with (otherwise NAME-)"},
    {.name = "overlays",
     .kind = VR_OPT_FILE,
     .value = "DIR",
     CLI_GROUP,
     CLI_AT(overlays),
     .help = "the folder for what clones write to disks, and for what the machine overwrites "
             "($TMPDIR, otherwise /var/tmp): nameless files that go with the machines"},
    {.name = "publish",
     .letter = 'p',
     .kind = VR_OPT_TEXT,
     .value = "[ADDR:]HOST:GUEST[/udp]",
     CLI_GROUP,
     CLI_AT(publish),
     .help = "forward a port of the host to the clone; those of the machine stay its own"},
    CLI_JSON("as JSON, for programs"),
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt gdb_opts[] = {
    {.name = "address",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(address),
     .help = "start nothing, print where to attach: for GDB's 'target remote'"},
    CLI_HELP,
    VR_OPT_END,
};
static const struct vr_opt migrate_opts[] = {
    {.name = "downtime",
     .kind = VR_OPT_NUMBER,
     .value = "MS",
     .min = 1,
     .max = 2000000,
     CLI_GROUP,
     CLI_AT(downtime_ms),
     .help = "how long the guest may stand still, about (default 300)"},
    {.name = "bandwidth",
     .kind = VR_OPT_SIZE,
     .value = "BYTES",
     .min = 65536,
     CLI_GROUP,
     CLI_AT(bandwidth),
     .help = "copy at most so much a second while the guest runs, as in 100M (default: all there "
             "is)"},
    CLI_JSON("as JSON: how it went"),
    {.name = "quiet",
     .letter = 'q',
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(quiet),
     .help = "show no progress"},
    CLI_HELP,
    VR_OPT_END,
};

static const struct vr_opt snapshot_opts[] = {
    {.name = "to",
     .kind = VR_OPT_FILE,
     .value = "FILE|TAG",
     CLI_GROUP,
     CLI_AT(to),
     .help =
         "save: the file, or a name in the user's folder (by the time, unless given); merge: the "
         "file (the same one)"},
    {.name = "compress",
     .kind = VR_OPT_TEXT,
     .value = "none|zstd",
     CLI_GROUP,
     CLI_AT(compress),
     .words = "none zstd",
     .help = "save, merge: make it smaller; it is continued slower then"},
    {.name = "no-disks",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(no_disks),
     .help = "save: without what is on the disks, which must not change until it is continued"},
    {.name = "parent",
     .kind = VR_OPT_FILE,
     .value = "SNAP",
     CLI_GROUP,
     CLI_AT(parent),
     .help =
         "save: only what changed since this snapshot, which has to stay where it is, or beside "
         "the new one"},
    {.name = "force",
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(force),
     .help = "delete: also what others were made of, which are lost then"},
    CLI_JSON("save, list, info, verify, merge: as JSON, for programs"),
    {.name = "quiet",
     .letter = 'q',
     .kind = VR_OPT_FLAG,
     CLI_GROUP,
     CLI_AT(quiet),
     .help = "say nothing but what went wrong"},
    CLI_HELP,
    VR_OPT_END,
};

static const char *const verb_shells[] = {"bash", "zsh", "fish"};

static const char *verb_word_shell(unsigned arg, unsigned i)
{
    return arg == 0 && i < VR_COUNT(verb_shells) ? verb_shells[i] : NULL;
}

static const char *verb_word_verb(unsigned arg, unsigned i)
{
    return arg == 0 ? cli_verbs[i].name : NULL;
}

static const char *verb_word_part(unsigned arg, unsigned i)
{
    if (arg > 0) {
        unsigned verbs = 0;
        while (cli_pci_verb(verbs)) {
            verbs++;
        }
        return arg == 1  ? (i < verbs ? cli_pci_verb(i) : cli_mdev_verb(i - verbs))
               : arg > 2 ? vireo_vf_setting_name(i)
                         : NULL;
    }
    unsigned parts = 0, views = 0;
    while (vr_query_platform_part(parts)) {
        parts++;
    }
    while (vr_query_pci_view(views)) {
        views++;
    }
    return i < parts                ? vr_query_platform_part(i)
           : i < parts + views      ? vr_query_pci_view(i - parts)
           : i == parts + views     ? "vfio"
           : i == parts + views + 1 ? "mdev"
                                    : NULL;
}

static const char *verb_word_snapshot(unsigned arg, unsigned i)
{
    return arg == 0 ? cli_snapshot_verb(i) : NULL;
}

static const char *verb_word_stats(unsigned arg, unsigned i)
{
    return arg == 1 ? cli_stats_word(i) : NULL;
}

static const char *verb_word_set(unsigned arg, unsigned i)
{
    return arg > 0 ? cli_set_word(i) : NULL;
}

static const char *verb_word_device(unsigned arg, unsigned i)
{
    if (arg == 0) {
        return cli_device_word(i);
    }
    return arg == 1 ? vr_query_device_name(i) : arg == 2 ? vr_config_device_class(i) : NULL;
}

const struct cli_verb cli_verbs[] = {
    {.name = "run",
     .args = "[FILE]",
     .max_args = 1,
     .config = true,
     .files = true,
     .opts = run_opts,
     .run = cli_run,
     .help = "start a machine and stay with it until it ends",
     .about =
         "FILE is a RISC-V kernel (a Linux Image, which may be gzipped, or an ELF file), a root "
         "directory, a raw "
         "disk image, or a snapshot (also as MACHINE/TAG); which one is found out from its "
         "contents, "
         "and said.\n"
         "The guest's serial port is your terminal: Ctrl-A x quits, Ctrl-A h lists the other keys. "
         "With standard input from a pipe the guest reads that, and goes on until it powers off.\n"
         "A kernel needs no firmware: the machine has a Supervisor Binary Interface built in."},
    {.name = "ps",
     .opts = ps_opts,
     .run = cli_ps,
     .help = "list the machines that run",
     .about = "Those of this user whose --control is auto, which it is unless something else was "
              "said."},
    {.name = "status",
     .args = "[NAME]",
     .max_args = 1,
     .machines = true,
     .opts = status_opts,
     .run = cli_status,
     .help = "say what a machine is and does",
     .about = "Without NAME: the machine, if only one runs. This holds for console, stats and "
              "events, too."},
    {.name = "console",
     .args = "[NAME]",
     .max_args = 1,
     .machines = true,
     .opts = console_opts,
     .run = cli_console,
     .help = "join a console of a machine",
     .about = "Whoever has the console keeps it: both see its output, and both can type. Ctrl-A d "
              "leaves; the machine goes on."},
    {.name = "pause",
     .args = "NAME...",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = plain_opts,
     .run = cli_pause,
     .help = "halt a machine's CPUs and time"},
    {.name = "resume",
     .args = "NAME...",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = plain_opts,
     .run = cli_resume,
     .help = "let a paused machine go on"},
    {.name = "reset",
     .args = "NAME...",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = plain_opts,
     .run = cli_reset,
     .help = "press a machine's reset button"},
    {.name = "shutdown",
     .args = "NAME...",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = shutdown_opts,
     .run = cli_shutdown,
     .help = "press a machine's power button: ask the guest to end",
     .about = "The machine needs a button (vireo run --power-button), and the guest a driver for "
              "it, virtio_input, and somebody who listens, as systemd does."},
    {.name = "stop",
     .args = "NAME...",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = plain_opts,
     .run = cli_stop,
     .help = "end a machine as if its power were cut",
     .about = "The guest is not asked. Returns when the machine has ended."},
    {.name = "kill",
     .args = "NAME...",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = plain_opts,
     .run = cli_kill,
     .help = "kill the process of a machine that does not answer"},
    {.name = "snapshot",
     .args = "ACTION [NAME] [SNAP...]",
     .min_args = 1,
     .max_args = CLI_ARGS,
     .machines_at = 1,
     .files = true,
     .opts = snapshot_opts,
     .run = cli_snapshot,
     .word = verb_word_snapshot,
     .help = "keep a machine in a file, and take it back there",
     .about = "ACTION is save, restore, list, info, verify, merge or delete.\n"
              "vireo snapshot save NAME: memory, devices and disks of a running machine, at any "
              "moment; it runs on. restore NAME SNAP: take a running machine back. vireo run SNAP: "
              "continue it in a new process. list [NAME]; info SNAP; verify SNAP...: check every "
              "byte; merge SNAP: one file of a chain of --parent; delete SNAP...\n"
              "SNAP is a file, or MACHINE/TAG in the user's folder of snapshots; where the machine "
              "is named, TAG."},
    {.name = "fork",
     .args = "[NAME]",
     .max_args = 1,
     .machines = true,
     .opts = fork_opts,
     .run = cli_fork,
     .help = "clone a running machine, copy on write",
     .about =
         "Prints the clones' names. A clone begins as the machine is now, with a UUID, hardware "
         "addresses and random numbers of its own, and shares memory and disks that neither of "
         "them changes; what it writes to disks is gone when it ends. Its consoles lead nowhere "
         "('vireo console' joins them); network connections that were open are reset."},
    {.name = "stats",
     .args = "[NAME] [machine|boot|cpus|devices|disks|...]",
     .max_args = 2,
     .machines = true,
     .opts = stats_opts,
     .run = cli_stats,
     .word = verb_word_stats,
     .help = "show what a machine counts"},
    {.name = "events",
     .args = "[NAME]",
     .max_args = 1,
     .machines = true,
     .opts = events_opts,
     .run = cli_events,
     .help = "show what happened to a machine"},
    {.name = "set",
     .args = "NAME KEY=VALUE...",
     .min_args = 2,
     .max_args = CLI_ARGS,
     .machines = true,
     .opts = plain_opts,
     .run = cli_set,
     .word = verb_word_set,
     .help = "change a machine while it runs",
     .about =
         "balloon=SIZE: leave the guest SIZE of memory, as its driver can; log=error|warn|info|"
         "debug: what the machine says on standard error; net0.link=up|down: the cable of a "
         "network "
         "card; disk0.bps=SIZE, disk0.iops=N: what a disk may do in a second, 0: as it likes, also "
         "bps_rd, bps_wr, iops_rd, iops_wr. Links and limits are the machine's from then on, in "
         "snapshots, clones and migrations as well."},
    {.name = "gdb",
     .args = "NAME [PROGRAM]",
     .min_args = 1,
     .max_args = 2,
     .machines = true,
     .opts = gdb_opts,
     .run = cli_gdb,
     .help = "debug a machine",
     .about = "Starts GDB, attached to the machine, which stops for it; PROGRAM is a file with "
              "symbols, as a kernel's vmlinux. Where no GDB for RISC-V is installed, or with "
              "--address, where to attach one is printed. When GDB ends, the machine goes on."},
    {.name = "migrate",
     .args = "NAME ADDRESS",
     .min_args = 2,
     .max_args = 2,
     .machines = true,
     .opts = migrate_opts,
     .run = cli_migrate,
     .help = "move a running machine to another Vireo",
     .about =
         "On the other side, 'vireo run --incoming ADDRESS' waits for it: unix:PATH on this host, "
         "or "
         "tcp:HOST:PORT. Disks, shared folders and kernels are not copied: both sides reach them "
         "by "
         "the same names. If anything fails, the machine goes on here. It is the machine that does "
         "the work: it goes on if this command is ended; Ctrl-C calls it off."},
    {.name = "qmp",
     .args = "NAME COMMAND [ARGUMENTS]",
     .min_args = 2,
     .max_args = 3,
     .machines = true,
     .opts = query_opts,
     .run = cli_qmp,
     .help = "send a machine a command of its control socket",
     .about = "ARGUMENTS is a JSON object. 'vireo qmp NAME query-commands' lists the commands."},
    {.name = "devices",
     .opts = query_opts,
     .run = cli_devices,
     .help = "list the devices that machines are made of"},
    {.name = "device",
     .args = "help CLASS | list|add|del NAME [CLASS|ID...]",
     .min_args = 2,
     .max_args = CLI_ARGS,
     .machines_at = 1,
     .opts = device_opts,
     .run = cli_device,
     .word = verb_word_device,
     .help = "describe a class of devices; list, add and remove those of a machine that runs",
     .about =
         "device list NAME: what machine NAME has. device add NAME CLASS,KEY=VALUE,... plugs a "
         "device into a slot of it, written "
         "as for 'vireo run --device': virtio-blk-pci,path=x.img,id=data; virtio-net-pci; "
         "virtio-fs-pci,path=DIR,tag=TAG; scsi-hd,path=x.img at a SCSI controller.\n"
         "device del NAME ID... asks the guest to let it go, and waits for that. A guest without a "
         "driver for slots does not hear it: free the device there first (Linux: echo 1 > "
         "/sys/bus/pci/devices/ADDRESS/remove), then --force. Such a guest finds what was added "
         "with echo 1 > /sys/bus/pci/rescan."},
    {.name = "machines", .opts = query_opts, .run = cli_machines, .help = "list the machines"},
    {.name = "doctor",
     .opts = query_opts,
     .run = cli_doctor,
     .help = "say what works on this host, and why the rest does not",
     .about = "The exit code is 3 if something is missing that every machine needs."},
    {.name = "platform",
     .args = "[PART]",
     .max_args = CLI_ARGS,
     .opts = platform_opts,
     .run = cli_platform,
     .word = verb_word_part,
     .help = "say what this host is: system, processors, memory, and what works",
     .about =
         "PART is os, cpu, memory, caps, devices or paths; without it all are shown. What can be "
         "tried is "
         "tried: KVM counts as working when a guest ran in it.\n"
         "PART pci, gpu, iommu, sriov: the host's PCI devices, and what it takes to give one to a "
         "guest.\n"
         "vireo platform sriov create ADDRESS COUNT, sriov set ADDRESS COUNT, sriov delete "
         "ADDRESS: make and delete virtual functions. sriov show ADDRESS: whose each is, its "
         "settings and counters. sriov set ADDRESS SETTING...: mac=52:54:00:12:34:56, vlan=7 "
         "qos=3, rate=MAX or rate=MIN:MAX (Mbit/s), trust=on, spoofcheck=off, link=auto|on|off of "
         "the virtual function at ADDRESS. vireo platform vfio bind ADDRESS, vfio unbind "
         "ADDRESS: "
         "take a device from the host's driver, and give it back. vireo platform vfio test "
         "ADDRESS: "
         "open a bound device, use each part of it once, and say what worked; vfio hold ADDRESS: "
         "bind and open "
         "it, and give it back when the host wants it (hot-unplug). vireo platform mdev: "
         "mediated devices and their types; mdev create PARENT TYPE [UUID], mdev destroy UUID. An "
         "ADDRESS is as in "
         "03:00.0. "
         "When "
         "a step fails, those before it are undone."},
    {.name = "version",
     .opts = query_opts,
     .run = cli_version,
     .help = "say which version this is and what it was built with"},
    {.name = "completion",
     .args = "bash|zsh|fish",
     .min_args = 1,
     .max_args = 1,
     .opts = plain_opts,
     .run = cli_completion,
     .word = verb_word_shell,
     .help = "print a completion script for a shell",
     .about = "For the running shell: eval \"$(vireo completion bash)\"; the same with zsh; "
              "vireo completion fish | source"},
    {.name = "man",
     .opts = plain_opts,
     .run = cli_man,
     .help = "print the manual page: vireo man | man -l -"},
    {.name = "help",
     .args = "[COMMAND]",
     .max_args = 1,
     .opts = plain_opts,
     .run = cli_help,
     .word = verb_word_verb,
     .help = "list the commands, or explain one"},
    {.name = NULL},
};
