/* vireo: the command. Finds the verb, parses, runs it. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "platform/stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CLI_AT(m) .offset = offsetof(struct cli, m)

static const struct vr_opt run_opts[] = {
    {.name = "quiet",
     .letter = 'q',
     .kind = VR_OPT_FLAG,
     .group = "This command",
     CLI_AT(quiet),
     .help = "say nothing but what went wrong"},
    {.name = "help",
     .letter = 'h',
     .kind = VR_OPT_FLAG,
     .group = "This command",
     CLI_AT(help),
     .help = "this help"},
    VR_OPT_END,
};

const struct cli_verb cli_verbs[] = {
    {.name = "run",
     .args = "[FILE]",
     .max_args = 1,
     .config = true,
     .opts = run_opts,
     .run = cli_run,
     .files = true,
     .help = "start a machine and stay with it until it ends"},
    {.name = NULL},
};

static int main_unknown_verb(const char *word)
{
    const char *names[32];
    size_t count = 0;
    for (const struct cli_verb *v = cli_verbs; v->name && count < VR_COUNT(names); v++) {
        names[count++] = v->name;
    }
    const char *near = vr_nearest(word, names, count);
    if (near) {
        cli_say("unknown command '%s': did you mean '%s'?", word, near);
    } else {
        cli_say("unknown command '%s'; 'vireo help' lists them", word);
    }
    return CLI_USAGE;
}

static int main_verb(const struct cli_verb *verb, int argc, char **argv)
{
    struct cli cli = {.verb = verb};
    struct vr_error err;
    int code = CLI_OK;
    if (verb->config && vireo_config_create(&cli.config, &err) < 0) {
        return cli_fail(&err);
    }
    code = cli_parse(&cli, argc, argv);
    if (code == CLI_OK) {
        code = verb->run(&cli);
    }
    vireo_config_destroy(cli.config);
    free(cli.dump_dtb);
    return code;
}

int main(int argc, char **argv)
{
    if (vr_stream_reserve_std() < 0) {
        return CLI_HOST;
    }
    if (argc < 2) {
        cli_say("what to do? 'vireo help' lists the commands; 'vireo run FILE' starts a machine");
        return CLI_USAGE;
    }
    const struct cli_verb *verb = cli_find_verb(argv[1]);
    return verb ? main_verb(verb, argc - 2, argv + 2) : main_unknown_verb(argv[1]);
}
