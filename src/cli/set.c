/* `vireo set`: what may be changed of a machine that runs. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "control/client.h"

#include <errno.h>
#include <string.h>

static json_t *set_balloon(const char *value)
{
    uint64_t bytes;
    bool good = vr_parse_size(value, &bytes) == 0 && bytes && bytes <= INT64_MAX;
    return good ? json_pack("{s:I}", "value", (json_int_t)bytes) : NULL;
}

static json_t *set_log(const char *value)
{
    return *value ? json_pack("{s:s}", "log-level", value) : NULL;
}

static const struct {
    const char *name, *word, *expected, *command;
    json_t *(*args)(const char *value); /* NULL: not such a value */
} set_keys[] = {
    {"balloon", "balloon=", "a size, such as 512M", "balloon", set_balloon},
    {"log", "log=", "error, warn, info or debug", "x-vireo-set", set_log},
};

const char *cli_set_word(unsigned i)
{
    return i < VR_COUNT(set_keys) ? set_keys[i].word : NULL;
}

/* "KEY=VALUE" as a command; an exit code. */
static int set_parse(const char *text, const char **ret_command, json_t **ret_args)
{
    const char *names[VR_COUNT(set_keys)];
    size_t len = strcspn(text, "=");
    char key[32];
    for (unsigned i = 0; i < VR_COUNT(set_keys); i++) {
        names[i] = set_keys[i].name;
        if (text[len] != '=' || strlen(names[i]) != len || strncmp(text, names[i], len) != 0) {
            continue;
        }
        *ret_args = set_keys[i].args(text + len + 1);
        *ret_command = set_keys[i].command;
        if (!*ret_args) {
            cli_say("set: %s: expected %s", text, set_keys[i].expected);
        }
        return *ret_args ? CLI_OK : CLI_USAGE;
    }
    snprintf(key, sizeof(key), "%.*s", (int)len, text);
    const char *near = vr_nearest(key, names, VR_COUNT(names));
    cli_say("set: '%.60s': %s%s%s", text,
            near ? "did you mean " : "expected balloon=SIZE or log=LEVEL", near ? near : "",
            near ? "=...?" : "");
    return CLI_USAGE;
}

int cli_set(struct cli *cli)
{
    struct vr_error err = {0};
    struct vr_client *c = NULL;
    const char *command[CLI_ARGS];
    json_t *args[CLI_ARGS] = {NULL};
    int code = CLI_OK, r = 0;
    for (unsigned i = 1; code == CLI_OK && i < cli->arg_count; i++) {
        code = set_parse(cli->args[i], &command[i], &args[i]);
    }
    if (code == CLI_OK) {
        r = vr_client_open(cli->args[0], VR_CLIENT_MS, &c, &err);
    }
    for (unsigned i = 1; i < cli->arg_count; i++) {
        if (code == CLI_OK && r == 0) {
            r = vr_client_ask(c, command[i], json_incref(args[i]), VR_CLIENT_MS, NULL, &err);
        }
        json_decref(args[i]);
    }
    vr_client_close(c);
    return r < 0 ? cli_fail(&err) : code;
}
