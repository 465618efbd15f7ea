/* The manual page, in the man macros of roff, from the tables of verbs and options. */
#include "cli/cli.h"
#include "vireo/version.h"

#include <stdio.h>
#include <string.h>

/* Running text: what roff would take for itself is escaped; a line never starts with a control
 * character. */
static void man_text(const char *text)
{
    bool line_start = true;
    for (; *text; text++) {
        if (line_start && (*text == '.' || *text == '\'')) {
            fputs("\\&", stdout);
        }
        line_start = *text == '\n';
        if (*text == '\\') {
            fputs("\\e", stdout);
        } else if (*text == '-') {
            fputs("\\-", stdout);
        } else {
            putchar(*text);
        }
    }
}

static void man_line(const char *text)
{
    man_text(text);
    putchar('\n');
}

static void man_bold(const char *text)
{
    fputs("\\fB", stdout);
    man_text(text);
    fputs("\\fR", stdout);
}

static void man_italic(const char *text)
{
    fputs("\\fI", stdout);
    man_text(text);
    fputs("\\fR", stdout);
}

static void man_opt(const struct vr_opt *o)
{
    const char *def = o->cmd_def ? o->cmd_def : o->def;
    char name[64];
    struct vr_opt_key key;
    fputs(".TP\n", stdout);
    if (o->letter) {
        snprintf(name, sizeof(name), "-%c", o->letter);
        man_bold(name);
        fputs(", ", stdout);
    }
    snprintf(name, sizeof(name), "--%s", o->name);
    man_bold(name);
    if (o->value) {
        fputs(o->bare ? "[=" : " ", stdout);
        man_italic(o->value);
        fputs(o->bare ? "]" : "", stdout);
    }
    putchar('\n');
    man_text(o->help);
    fputs(".\n", stdout);
    if (def) {
        fputs("Default: ", stdout);
        man_bold(def);
        if (o->why) {
            fputs(" (", stdout);
            man_text(o->why);
            putchar(')');
        }
        fputs(".\n", stdout);
    }
    if (o->repeat) {
        fputs("May be repeated.\n", stdout);
    }
    if (!vr_config_key(o, 0, &key)) {
        return;
    }
    fputs(".RS\n", stdout);
    for (unsigned i = 0; vr_config_key(o, i, &key); i++) {
        fputs(".TP\n", stdout);
        man_bold(key.name);
        if (key.value) {
            putchar('=');
            man_italic(key.value);
        }
        putchar('\n');
        man_line(key.help);
    }
    fputs(".RE\n", stdout);
}

static void man_verb(const struct cli_verb *verb)
{
    const struct vr_opt *o;
    fputs(".SS vireo ", stdout);
    man_text(verb->name);
    printf(" [OPTION...]%s", verb->args ? " " : "");
    man_line(verb->args ? verb->args : "");
    printf("%c", verb->help[0] - 'a' + 'A');
    man_text(verb->help + 1);
    fputs(".\n", stdout);
    for (const char *p = verb->about; p && *p;) {
        char line[1024];
        size_t len = strcspn(p, "\n");
        snprintf(line, sizeof(line), "%.*s", (int)len, p);
        fputs(".PP\n", stdout);
        man_line(line);
        p += len + (p[len] == '\n');
    }
    for (unsigned i = 0; (o = cli_opt(verb, i)); i++) {
        man_opt(o);
    }
}

/* Paragraphs with a tag each: NULL ends. */
static void man_tagged(const char *const (*rows)[2])
{
    for (; (*rows)[0]; rows++) {
        fputs(".TP\n", stdout);
        man_bold((*rows)[0]);
        putchar('\n');
        man_line((*rows)[1]);
    }
}

int cli_man(struct cli *cli)
{
    static const char *const keys[][2] = {
        {"Ctrl-A x", "Quit: end the machine at once."},
        {"Ctrl-A r", "Press the reset button."},
        {"Ctrl-A c", "One line about the machine: its state, how long it is up, its size."},
        {"Ctrl-A h", "List these keys."},
        {"Ctrl-A Ctrl-A", "Send one Ctrl-A to the guest."},
        {NULL, NULL},
    };
    static const char *const codes[][2] = {
        {"0", "The guest powered off, or the user quit; the question is answered."},
        {"2", "Usage: an unknown option, a value or a file that makes no sense."},
        {"3", "The host lacks something, such as memory."},
        {"4", "The guest panicked, or reported a failure."},
        {"5", "A file, a disk or a port: it cannot be read or written, is in use, or is damaged."},
        {"6", "With --engine lockstep: the engines differ. With --replay: it differs from the "
              "recording."},
        {NULL, NULL},
    };
    static const char *const examples[][2] = {
        {"vireo run Image --initrd initramfs.cpio -m 1G -c 4",
         "Boot a Linux kernel with its first file system in memory, on four harts."},
        {"vireo run --kernel Image --disk root.img -a root=/dev/vda -p 2222:22",
         "A disk as root file system; the host's port 2222 leads to the guest's SSH server."},
        {"vireo run --firmware fw_dynamic.bin --kernel u-boot.bin",
         "Firmware of your own starts a boot loader."},
        {"vireo run --firmware none test.elf",
         "A bare-metal program for M-mode; its verdict is the exit code."},
        {"vireo run Image -m 4G --explain --json", "What would run, for a program."},
        {"vireo platform pci",
         "The host's PCI devices, and for each what it takes to give it to a guest."},
        {"vireo platform vfio bind 01:00.0 --group --dry-run",
         "Which steps take that device and its neighbours from the host's drivers."},
        {"vireo platform vfio test 01:00.0", "Open a bound device and use each part of it once."},
        {"vireo platform sriov create 01:00.0 4", "Four virtual functions, listed when made."},
        {"vireo platform sriov set 01:10.0 mac=52:54:00:12:34:56 vlan=7 qos=3 rate=100",
         "What one of them may do on the network."},
        {NULL, NULL},
    };
    (void)cli;
    printf(".TH VIREO 1 \"\" \"vireo %s\" \"User Commands\"\n", vireo_version());
    fputs(".SH NAME\nvireo \\- virtual machines without privileges\n"
          ".SH SYNOPSIS\n.B vireo\n.I COMMAND\n[\\fIOPTION\\fR...]\n.SH DESCRIPTION\n",
          stdout);
    man_line("Vireo runs unmodified operating systems in virtual machines, on its own CPU engine, "
             "so that neither privileges nor hardware support are needed.");
    man_line("Messages go to standard error; answers, and what the guest says, to standard "
             "output.");
    fputs(".SH COMMANDS\n", stdout);
    for (const struct cli_verb *v = cli_verbs; v->name; v++) {
        man_verb(v);
    }
    fputs(".SH CONSOLE KEYS\nWhen the guest's console is a terminal:\n", stdout);
    man_tagged(keys);
    fputs(".SH EXIT STATUS\n", stdout);
    man_tagged(codes);
    man_line("Ended by a signal, vireo puts the terminal back and dies of that signal.");
    fputs(".SH EXAMPLES\n", stdout);
    man_tagged(examples);
    return cli_flush();
}
