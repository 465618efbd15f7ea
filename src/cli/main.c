/* vireo: the command. Finds the verb, parses, runs it. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "platform/file.h"
#include "platform/stream.h"

#include <string.h>

static int main_unknown_verb(const char *word)
{
    const char *names[48];
    size_t count = 0;
    struct vr_file_info info;
    for (const struct cli_verb *v = cli_verbs; v->name && count < VR_COUNT(names); v++) {
        names[count++] = v->name;
    }
    const char *near = vr_nearest(word, names, count);
    if (word[0] == '-') {
        cli_say("unknown option %s; options come after the command: vireo run %s; 'vireo help' "
                "lists the commands",
                word, word);
    } else if (near) {
        cli_say("unknown command '%s': did you mean '%s'?", word, near);
    } else if (vr_file_stat(word, &info) == 0) {
        cli_say("unknown command '%s', but a file of that name: did you mean 'vireo run %s'?", word,
                word);
    } else {
        cli_say("unknown command '%s'; 'vireo help' lists them", word);
    }
    return CLI_USAGE;
}

static int main_verb(const struct cli_verb *verb, int argc, char **argv)
{
    struct cli cli = {.verb = verb};
    struct vr_error err = {0};
    int code = CLI_OK;
    if (verb->config && vireo_config_create(&cli.config, &err) < 0) {
        return cli_fail(&err);
    }
    code = cli_parse(&cli, argc, argv);
    if (code == CLI_OK && cli.help) {
        cli_help_verb(verb);
        code = cli_flush();
    } else if (code == CLI_OK) {
        code = verb->run(&cli);
    }
    vireo_config_destroy(cli.config);
    vr_opt_free(verb->opts, &cli);
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
    const char *name = argv[1];
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        name = "help";
    } else if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0) {
        name = "version";
    }
    const struct cli_verb *verb = cli_find_verb(name);
    return verb ? main_verb(verb, argc - 2, argv + 2) : main_unknown_verb(name);
}
