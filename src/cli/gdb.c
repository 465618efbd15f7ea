/* `vireo gdb`: GDB at a machine that runs. */
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Those that know RISC-V, as distributions call them. */
static const char *const gdb_names[] = {"gdb-multiarch", "riscv64-unknown-linux-gnu-gdb",
                                        "riscv64-linux-gnu-gdb", "riscv64-unknown-elf-gdb"};

/* Become GDB; returns if there is none. */
static void gdb_become(const char *target, const char *program)
{
    char command[600];
    snprintf(command, sizeof(command), "target remote %s", target);
    for (unsigned i = 0; i < sizeof(gdb_names) / sizeof(gdb_names[0]); i++) {
        const char *argv[] = {gdb_names[i], "-q",    "-iex", "set architecture riscv:rv64",
                              "-ex",        command, NULL,   NULL};
        argv[6] = program;
        (void)execvp(gdb_names[i], (char *const *)argv);
    }
}

int cli_gdb(struct cli *cli)
{
    struct vr_error err = {0};
    struct vr_client *c;
    json_t *ret = NULL;
    int r = vr_client_open(cli->args[0], VR_CLIENT_MS, &c, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    r = vr_client_ask(c, "x-vireo-gdb-start", NULL, VR_CLIENT_MS, &ret, &err);
    vr_client_close(c);
    if (r < 0) {
        return cli_fail(&err);
    }
    const char *target = cli_json_str(ret, "target");
    if (!cli->address) {
        gdb_become(target, cli->arg_count > 1 ? cli->args[1] : NULL);
        cli_say("no GDB for RISC-V is installed here (Debian: gdb-multiarch); one attaches with: "
                "target remote");
    }
    printf("%s\n", target);
    json_decref(ret);
    return cli_flush();
}
