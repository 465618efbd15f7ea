/* The option table of machines: one row an option, and what the simple ones do. The others are in
 * the files beside (config_console.c, config_devices.c, ...). */
#include "base/bits.h"
#include "base/text.h"
#include "control/config.h"
#include "control/gdb.h"
#include "control/rundir.h"
#include "platform/file.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

static int opts_append(void *target, const struct vr_opt *opt, const char *text,
                       struct vr_error *err)
{
    (void)opt;
    return vr_config_join(&((struct vireo_config *)target)->append, " ", text, err);
}

/* Only the setting itself counts (migrate_consent.c). */
static int opts_incoming_files(void *target, const struct vr_opt *opt, const char *text,
                               struct vr_error *err)
{
    struct vr_file_info info;
    (void)target;
    (void)opt;
    int r = vr_file_stat(text, &info);
    return r < 0 || info.kind != VR_FILE_DIR ? vr_err(err, r < 0 ? r : -ENOTDIR, "it is no folder")
                                             : 0;
}

static int opts_memory(void *target, const struct vr_opt *opt, const char *text,
                       struct vr_error *err)
{
    struct vireo_config *c = target;
    uint64_t bytes;
    (void)opt;
    int r = vr_parse_size(text, &bytes);
    if (r < 0) {
        return r == -ERANGE ? vr_err(err, r, "more than any host has")
                            : vr_err(err, r, "expected a size such as 512M or 2G");
    }
    if (bytes < VR_VIRT_RAM_MIN) {
        bool bare = text[strspn(text, "0123456789")] == 0;
        return vr_err(err, -ERANGE, "too little: a machine needs at least %" PRIu64 "M%s%s%s",
                      VR_VIRT_RAM_MIN >> 20, bare ? "; did you mean " : "", bare ? text : "",
                      bare ? "M?" : "");
    }
    if (!vr_is_aligned(bytes, 4096)) {
        return vr_err(err, -ERANGE, "expected a multiple of 4K");
    }
    c->memory_bytes = bytes;
    return 0;
}

static int opts_name(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    (void)opt;
    if (!vr_name_good(text, VR_NAME_MAX)) {
        return vr_err(
            err, -EINVAL,
            "expected up to %d letters, digits, '.', '_' and '-', a letter or digit first",
            VR_NAME_MAX);
    }
    return vr_config_put(&((struct vireo_config *)target)->name, text, err);
}

static int opts_control(void *target, const struct vr_opt *opt, const char *text,
                        struct vr_error *err)
{
    (void)opt;
    if (strcmp(text, "auto") != 0 && strcmp(text, "none") != 0 &&
        (strncmp(text, "unix:", 5) != 0 || !text[5])) {
        return vr_err(err, -EINVAL, "expected auto, none or unix:PATH");
    }
    return vr_config_put(&((struct vireo_config *)target)->control, text, err);
}

static int opts_gdb(void *target, const struct vr_opt *opt, const char *text, struct vr_error *err)
{
    int r = vr_gdb_check(text, err);
    (void)opt;
    return r < 0 ? r : vr_config_put(&((struct vireo_config *)target)->gdb, text, err);
}

#define OPTS_MACHINE "Machine"
#define OPTS_START   "What to start"
#define OPTS_DEVICES "Disks and networks"
#define OPTS_CONSOLE "Consoles"
#define OPTS_AT(m)   .offset = offsetof(struct vireo_config, m)

const struct vr_opt vr_config_opts[] = {
    {.name = "kernel",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .group = OPTS_START,
     OPTS_AT(kernel),
     .help = "RISC-V Linux Image (may be gzipped) or ELF file to start"},
    {.name = "initrd",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .group = OPTS_START,
     OPTS_AT(initrd),
     .help = "initial RAM disk for the kernel"},
    {.name = "append",
     .letter = 'a',
     .kind = VR_OPT_TEXT,
     .value = "TEXT",
     .group = OPTS_START,
     .repeat = true,
     .apply = opts_append,
     .help = "kernel command line; several are joined with blanks"},
    {.name = "root",
     .kind = VR_OPT_FILE,
     .value = "DIR[,ro][,KEY=VALUE...]",
     .group = OPTS_START,
     .apply = vr_config_root,
     .keys = vr_config_share_keys,
     .help = "a directory as the guest's root file system (virtio-fs), started with the newest "
             "kernel in its boot folder unless there is --kernel"},
    {.name = "firmware",
     .kind = VR_OPT_FILE,
     .value = "FILE|none",
     .group = OPTS_START,
     OPTS_AT(firmware),
     .words = "none",
     .why = "the built-in SBI, which starts a kernel directly",
     .help = "M-mode firmware (OpenSBI's fw_dynamic, ...) that starts the kernel; none: the kernel "
             "is a bare-metal ELF file for M-mode, whose verdict becomes the exit code"},
    {.name = "flash",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .group = OPTS_START,
     OPTS_AT(flash),
     .help =
         "firmware in flash, up to 32 MiB, such as UEFI's RISCV_VIRT_CODE.fd: started in S-mode "
         "by --firmware or the built-in SBI; it finds kernel, initrd and command line in "
         "fw_cfg"},
    {.name = "flash-vars",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .group = OPTS_START,
     OPTS_AT(flash_vars),
     .help =
         "flash, up to 32 MiB, where firmware keeps variables: a copy of RISCV_VIRT_VARS.fd, or "
         "an empty file; what the guest changes is written back at once; without, it is lost in "
         "the end"},
    {.name = "snapshot",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .once = true,
     .group = OPTS_START,
     OPTS_AT(snapshot),
     .help = "continue the machine in this snapshot; its own settings count where none are given "
             "here, and of options that repeat, those given here replace all of its"},
    {.name = "snapshot-disks",
     .kind = VR_OPT_FILE,
     .value = "check|revert|keep|DIR",
     .def = "check",
     .once = true,
     .group = OPTS_START,
     OPTS_AT(snapshot_disks),
     .words = "check revert keep",
     .why = "a disk that changed since would not fit the memory in the snapshot",
     .help =
         "disks of the machine in a snapshot: check, they have to be as they were; revert, "
         "contents that are in the snapshot are written over those that differ; keep, take them "
         "as they are; DIR, contents go into new files in DIR"},
    {.name = "snapshot-copy",
     .kind = VR_OPT_FLAG,
     .once = true,
     .group = OPTS_START,
     OPTS_AT(snapshot_copy),
     .help =
         "read all memory of the machine in a snapshot at the start, instead of mapping the file: "
         "slower to begin, faster later (mirrors), and the file may change meanwhile"},
    {.name = "snapshot-verify",
     .kind = VR_OPT_FLAG,
     .once = true,
     .group = OPTS_START,
     OPTS_AT(snapshot_verify),
     .help = "check all memory of the machine in a snapshot before it starts, instead of each part "
             "before it is used, and the rest meanwhile"},
    {.name = VR_CONFIG_INCOMING_FILES,
     .kind = VR_OPT_FILE,
     .value = "DIR",
     .repeat = true,
     .once = true,
     .group = OPTS_START,
     .apply = opts_incoming_files,
     .help = "what --incoming tcp: brings may open the files in DIR, such as its disks; /: any. "
             "Others have to be named by options here"},
    {.name = "machine",
     .kind = VR_OPT_TEXT,
     .value = "NAME[,KEY=VALUE...]",
     .def = "virt",
     .group = OPTS_MACHINE,
     .apply = vr_config_machine,
     .keys = vr_config_machine_keys,
     .words = "virt virt,aia=aplic virt,aia=aplic-imsic virt,virtio=mmio virt,slots=8",
     .why = "the one that stock kernels and firmware run on, with a PLIC",
     .help = "kind of machine (vireo machines lists them), and variants of it"},
    {.name = "memory",
     .letter = 'm',
     .kind = VR_OPT_SIZE,
     .value = "SIZE",
     .def = "512M",
     .group = OPTS_MACHINE,
     .apply = opts_memory,
     .words = "256M 512M 1G 2G 4G",
     .why = "enough for a small Debian; taken from the host only as the guest touches it",
     .help = "guest memory: 512M, 2G"},
    {.name = "cpus",
     .letter = 'c',
     .kind = VR_OPT_NUMBER,
     .value = "COUNT",
     .def = "1",
     .group = OPTS_MACHINE,
     OPTS_AT(cpus),
     .min = 1,
     .max = VR_MAX_VCPUS,
     .words = "1 2 4 8",
     .why = "every hart is a thread of the host",
     .help = "harts (CPUs) of the guest"},
    {.name = "io-threads",
     .kind = VR_OPT_NUMBER,
     .value = "COUNT",
     .def = "1",
     .group = OPTS_MACHINE,
     OPTS_AT(io_threads),
     .min = 1,
     .max = VR_MAX_IO_THREADS,
     .words = "1 2 4",
     .why = "enough for one network; disks and shares have worker threads of their own",
     .help = "threads that serve the host ends of devices, dealt out in turn or as iothread= of a "
             "device says; number 0 also has the consoles and the control socket"},
    {.name = "huge-pages",
     .kind = VR_OPT_TEXT,
     .value = "SIZE|off",
     .def = "off",
     .host = true,
     .group = OPTS_MACHINE,
     .apply = vr_config_huge,
     .words = "off 2M 1G",
     .why = "the host has to set them aside first",
     .help = "take guest memory from the host's huge pages of this size, all of it at the start"},
    {.name = "numa-node",
     .kind = VR_OPT_TEXT,
     .value = "NODE|any",
     .def = "any",
     .host = true,
     .group = OPTS_MACHINE,
     .apply = vr_config_node,
     .words = "any 0 1",
     .why = "the host places memory near who touches it",
     .help = "take guest memory from this NUMA node of the host only"},
    {.name = "pin",
     .kind = VR_OPT_TEXT,
     .value = "POLICY",
     .def = "none",
     .host = true,
     .group = OPTS_MACHINE,
     .apply = vr_config_pin,
     .words = "none local spread compact",
     .why = "the host moves threads to where there is room",
     .help = "which processors of the host harts run on: none, as the host likes; local, those of "
             "one NUMA node (of --numa-node, if that is given); spread, a core each; compact, "
             "neighbours"},
    {.name = "mmu",
     .kind = VR_OPT_TEXT,
     .value = "MODE",
     .def = "auto",
     .group = OPTS_MACHINE,
     .apply = vr_config_mmu,
     .words = "auto sv39 sv48 sv57",
     .why = "sv39 runs fastest, and is what most RISC-V hardware has",
     .help = "the largest address spaces that the guest can use: sv39, 512 GiB; sv48, 256 TiB; "
             "sv57, 128 PiB; auto, sv39, with more than 64 GiB of memory sv48"},
    {.name = "engine",
     .kind = VR_OPT_TEXT,
     .value = "NAME",
     .def = "auto",
     .group = OPTS_MACHINE,
     .apply = vr_config_engine,
     .words = "auto jit interp lockstep",
     .why = "compiled where Vireo makes code for the host's processor, else interpreted",
     .help = "how Vireo's own CPU runs guest code: jit, compiled; interp, interpreted; lockstep, "
             "both, compared, to find faults of the JIT; auto"},
    {.name = "mirror",
     .kind = VR_OPT_TEXT,
     .value = "WHEN",
     .def = "off",
     .cmd_def = "auto",
     .host = true,
     .group = OPTS_MACHINE,
     .apply = vr_config_mirror,
     .words = "auto off always",
     .why = "memory accesses of busy programs are then as fast as the host's own",
     .help = "engine jit, guests in sv39: let the host's MMU translate the addresses of user "
             "programs: auto, of those that run long; off; always, for tests; needs a handler of "
             "SIGSEGV in the process, so programs that embed Vireo have to ask for it"},
    {.name = "jit",
     .kind = VR_OPT_TEXT,
     .value = "KEY[=VALUE],...",
     .host = true,
     .group = OPTS_MACHINE,
     .keys = vr_config_jit_keys,
     .repeat = true,
     .apply = vr_config_jit,
     .help = "fine points of the engine jit: to look into it, and to test it"},
    {.name = "name",
     .kind = VR_OPT_TEXT,
     .value = "NAME",
     .def = "vm",
     .why = "the first of vm, vm2, vm3, ... that no machine has",
     .alone = true,
     .group = OPTS_MACHINE,
     .apply = opts_name,
     .help = "what to call the machine, in messages and to 'vireo ps', 'vireo stop' and others"},
    {.name = "control",
     .kind = VR_OPT_TEXT,
     .value = "auto|none|unix:PATH",
     .def = "none",
     .cmd_def = "auto",
     .why = "by its name in the user's runtime folder, for this user alone",
     .group = OPTS_MACHINE,
     .apply = opts_control,
     .words = "auto none unix:",
     .help = "the socket by which programs (in QMP) and 'vireo ps' and others reach the machine"},
    {.name = "no-reboot",
     .kind = VR_OPT_FLAG,
     .group = OPTS_MACHINE,
     OPTS_AT(no_reboot),
     .help = "end when the guest asks for a reset"},
    {.name = "paused",
     .kind = VR_OPT_FLAG,
     .group = OPTS_MACHINE,
     .once = true,
     OPTS_AT(paused),
     .help =
         "be paused before the first instruction, until 'vireo resume' or a debugger lets it go "
         "on"},
    {.name = "gdb",
     .kind = VR_OPT_TEXT,
     .value = "auto|unix:PATH|tcp:127.0.0.1:PORT",
     .group = OPTS_MACHINE,
     .once = true,
     .apply = opts_gdb,
     .words = "auto unix: tcp:127.0.0.1:1234",
     .help = "let a debugger connect there (GDB's remote protocol); auto: NAME.gdb beside the "
             "control socket. 'vireo gdb NAME' does so for a machine that runs"},
    {.name = "rng",
     .kind = VR_OPT_TEXT,
     .value = "on|off|KEY=VALUE,...",
     .def = "on",
     .group = OPTS_MACHINE,
     .apply = vr_config_rng,
     .cls = "virtio-rng-pci",
     .words = "on off rate=64K",
     .why = "a guest without it waits for randomness when it starts",
     .help = "the host's random numbers for the guest (virtio-rng), at most rate=SIZE a second"},
    {.name = "power-button",
     .kind = VR_OPT_FLAG,
     .group = OPTS_MACHINE,
     OPTS_AT(power_button),
     .help = "a power button (virtio-input), which 'vireo shutdown' presses"},
    {.name = "balloon",
     .kind = VR_OPT_TEXT,
     .value = "on|off|KEY[=VALUE],...",
     .group = OPTS_MACHINE,
     .apply = vr_config_balloon,
     .keys = vr_config_balloon_keys,
     .cls = "virtio-balloon-pci",
     .words = "on off",
     .help = "a memory balloon (virtio-balloon): what the guest frees goes back to the host, and "
             "it can be asked to do with less"},
    {.name = "deterministic",
     .kind = VR_OPT_TEXT,
     .value = "on|off|SEED|KEY[=VALUE],...",
     .bare = "on",
     .group = OPTS_MACHINE,
     .apply = vr_config_det,
     .keys = vr_config_det_keys,
     .words = "on off",
     .help =
         "the same life each time: one thread drives all harts and devices, guest time is counted "
         "in instructions, entropy comes from a seed"},
    {.name = "record",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .group = OPTS_MACHINE,
     .once = true,
     OPTS_AT(record),
     .help = "write down all that reaches the guest from outside (consoles, networks, disks), to "
             "--replay it; implies --deterministic"},
    {.name = "replay",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .group = OPTS_MACHINE,
     .once = true,
     OPTS_AT(replay),
     .help = "live again what --record wrote down, with the same other options, and compare"},
    {.name = "trace-insn",
     .kind = VR_OPT_FILE,
     .value = "FILE",
     .alone = true,
     .host = true,
     .group = OPTS_MACHINE,
     OPTS_AT(trace_insn),
     .help = "write one line for each instruction that the guest retires: hart, privilege, pc, "
             "instruction, and what it changed (slow, large)"},
    {.name = "device",
     .kind = VR_OPT_TEXT,
     .value = "CLASS[,id=NAME][,bus=PORT][,addr=DEV][,KEY=VALUE...]",
     .repeat = true,
     .group = OPTS_DEVICES,
     .apply = vr_config_device,
     .help = "one more device, by its class (vireo devices lists them; scsi-hd and scsi-cd are at "
             "a SCSI controller) and with its options and those of its host end: "
             "virtio-rng-pci; virtio-blk-pci,bus=port0,path=x.img; in the slot of a port it can "
             "leave again ('vireo device'); pci-bridge,id=br, then CLASS,bus=br,addr=3: device 3 "
             "behind a bridge (docs/pci.md)"},
    {.name = "watchdog",
     .kind = VR_OPT_TEXT,
     .value = "i6300esb[,action=ACTION]",
     .group = OPTS_MACHINE,
     .apply = vr_config_watchdog,
     .cls = "i6300esb",
     .words = "i6300esb i6300esb,action=shutdown i6300esb,action=poweroff i6300esb,action=pause "
              "i6300esb,action=none",
     .help = "a watchdog on PCI Express, and what it does when the guest lets it run out: reset "
             "(the default), shutdown (presses the power button, see --power-button), poweroff, "
             "pause, none (nmi is not here: no RISC-V kernel hears of one)"},
    {.name = "disk",
     .kind = VR_OPT_FILE,
     .value = "PATH[,ro][,KEY=VALUE...]",
     .repeat = true,
     .group = OPTS_DEVICES,
     .apply = vr_config_disk,
     .keys = vr_config_disk_keys,
     .cls = "virtio-blk-pci",
     .help = "disk image (raw) or block device of the host, as a virtio disk; a comma in its path "
             "is written twice"},
    {.name = "cdrom",
     .kind = VR_OPT_FILE,
     .value = "PATH|none",
     .repeat = true,
     .group = OPTS_DEVICES,
     .apply = vr_config_cdrom,
     .words = "none",
     .help =
         "ISO image or block device as a disc in a SCSI CD-ROM drive; none: the drive is empty"},
    {.name = "net",
     .kind = VR_OPT_TEXT,
     .value = "user|stream[,KEY=VALUE...]|none",
     .repeat = true,
     .group = OPTS_DEVICES,
     .apply = vr_config_net,
     .keys = vr_config_net_keys,
     .cls = "virtio-net-pci",
     .def = "none",
     .cmd_def = "user",
     .words = "user stream none",
     .why = "reaches what the host reaches, without privileges",
     .help = "network card: user, a network of the guest's own behind the host's; "
             "stream,path=PATH, frames through a UNIX socket, as QEMU and passt speak there; none"},
    {.name = "share",
     .kind = VR_OPT_FILE,
     .value = "DIR[:TAG][,ro][,KEY=VALUE...]",
     .repeat = true,
     .group = OPTS_DEVICES,
     .apply = vr_config_share,
     .keys = vr_config_share_keys,
     .help = "share a directory of the host with the guest (virtio-fs), which mounts it by its "
             "tag (share, share1, ...)"},
    {.name = "publish",
     .letter = 'p',
     .kind = VR_OPT_TEXT,
     .value = "[ADDR:]HOST:GUEST[/udp]",
     .repeat = true,
     .alone = true,
     .group = OPTS_DEVICES,
     .apply = vr_config_publish,
     .help = "forward the host's port HOST (at 127.0.0.1 unless ADDR says otherwise) to the "
             "guest's port GUEST, through the first user network, made if there is none"},
    {.name = "console",
     .kind = VR_OPT_TEXT,
     .value = "SPEC",
     .def = "mem",
     .cmd_def = "stdio",
     .group = OPTS_CONSOLE,
     .apply = vr_config_console,
     .words = "stdio null pty file: unix:",
     .why = "the terminal, or the pipe, that vireo was started with",
     .help = "where the serial port leads: stdio, null, pty, file:PATH, unix:PATH"},
    {.name = "virtio-console",
     .kind = VR_OPT_TEXT,
     .value = "SPEC[,name=NAME]",
     .repeat = true,
     .group = OPTS_CONSOLE,
     .apply = vr_config_port,
     .keys = vr_config_port_keys,
     .words = "stdio null pty file: unix:",
     .help = "a virtio console as well (hvc0, hvc1, ...), or, with a name, a port for programs "
             "(/dev/virtio-ports/NAME); SPEC as for --console, a comma in its path is written "
             "twice"},
    VR_OPT_END,
};
