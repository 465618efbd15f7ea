/* The verbs and their own options. A verb appears here when it works. */
#include "base/bits.h"
#include "cli/cli.h"
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

static const char *verb_word_device(unsigned arg, unsigned i)
{
    if (arg == 0) {
        return i == 0 ? "help" : NULL;
    }
    return arg == 1 ? vr_query_device_name(i) : NULL;
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
         "FILE is a RISC-V kernel (a Linux Image, which may be gzipped, or an ELF file) or a raw "
         "disk image; which one is found out from its contents, and said.\n"
         "The guest's serial port is your terminal: Ctrl-A x quits, Ctrl-A h lists the other keys. "
         "With standard input from a pipe the guest reads that, and goes on until it powers off.\n"
         "A kernel needs no firmware: the machine has a Supervisor Binary Interface built in."},
    {.name = "devices",
     .opts = query_opts,
     .run = cli_devices,
     .help = "list the devices that machines are made of"},
    {.name = "device",
     .args = "help CLASS",
     .min_args = 2,
     .max_args = 2,
     .opts = query_opts,
     .run = cli_device,
     .word = verb_word_device,
     .help = "describe a device: its options and its registers"},
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
