/* `vireo set`: what may be changed of a machine that runs. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "control/client.h"

#include <errno.h>
#include <string.h>

struct set_key {
    const char *name, *word, *expected, *command;
    json_t *(*args)(const struct set_key *key, const char *value); /* NULL: not such a value */
    const char *arg;    /* what the value is called in the command */
    const char *device; /* "DEVICE.name=": the argument that is the device; NULL: of the machine */
};

static json_t *set_text(const struct set_key *key, const char *value)
{
    return *value ? json_pack("{s:s}", key->arg, value) : NULL;
}

static json_t *set_link(const struct set_key *key, const char *value)
{
    bool up = strcmp(value, "up") == 0 || strcmp(value, "on") == 0;
    bool down = strcmp(value, "down") == 0 || strcmp(value, "off") == 0;
    return up || down ? json_pack("{s:b}", key->arg, up) : NULL;
}

static json_t *set_number(const struct set_key *key, const char *value)
{
    uint64_t n;
    bool good = vr_parse_u64(value, &n) == 0 && n <= INT64_MAX;
    return good ? json_pack("{s:I}", key->arg, (json_int_t)n) : NULL;
}

static json_t *set_size(const struct set_key *key, const char *value)
{
    uint64_t bytes;
    bool good = vr_parse_size(value, &bytes) == 0 && bytes <= INT64_MAX;
    return good ? json_pack("{s:I}", key->arg, (json_int_t)bytes) : NULL;
}

static json_t *set_some(const struct set_key *key, const char *value)
{
    uint64_t bytes;
    return vr_parse_size(value, &bytes) == 0 && bytes ? set_size(key, value) : NULL;
}

#define SET_LIMIT(key, fn, what)                                                            \
    {                                                                                       \
        .name = #key, .word = "disk0." #key "=", .expected = what " a second; 0: no limit", \
        .command = "x-vireo-limits", .args = fn, .arg = #key, .device = "device"            \
    }

static const struct set_key set_keys[] = {
    {"balloon", "balloon=", "a size, such as 512M", "balloon", set_some, "value", NULL},
    {"log", "log=", "error, warn, info or debug", "x-vireo-set", set_text, "log-level", NULL},
    {"link", "net0.link=", "up or down", "set_link", set_link, "up", "name"},
    SET_LIMIT(bps, set_size, "bytes"),
    SET_LIMIT(bps_rd, set_size, "bytes"),
    SET_LIMIT(bps_wr, set_size, "bytes"),
    SET_LIMIT(iops, set_number, "requests"),
    SET_LIMIT(iops_rd, set_number, "requests"),
    SET_LIMIT(iops_wr, set_number, "requests"),
};

const char *cli_set_word(unsigned i)
{
    return i < VR_COUNT(set_keys) ? set_keys[i].word : NULL;
}

static const char *set_expected(bool device)
{
    return device ? "expected DEVICE.link=up|down, or DEVICE.bps=SIZE or .iops=N (also _rd, _wr)"
                  : "expected balloon=SIZE, log=LEVEL or DEVICE.KEY=VALUE";
}

/* "KEY=VALUE" or "DEVICE.KEY=VALUE" as a command; an exit code. */
static int set_parse(const char *text, const char **ret_command, json_t **ret_args)
{
    const char *names[VR_COUNT(set_keys)];
    size_t len = strcspn(text, "="), at = len;
    char key[32], device[64];
    while (at > 0 && text[at - 1] != '.') {
        at--;
    }
    snprintf(device, sizeof(device), "%.*s", at ? (int)at - 1 : 0, text);
    unsigned count = 0;
    for (unsigned i = 0; i < VR_COUNT(set_keys); i++) {
        if (!set_keys[i].device != !at) {
            continue;
        }
        names[count++] = set_keys[i].name;
        if (text[len] != '=' || strlen(set_keys[i].name) != len - at ||
            strncmp(text + at, set_keys[i].name, len - at) != 0) {
            continue;
        }
        *ret_args = set_keys[i].args(&set_keys[i], text + len + 1);
        *ret_command = set_keys[i].command;
        if (!*ret_args) {
            cli_say("set: %s: expected %s", text, set_keys[i].expected);
        } else if (set_keys[i].device) {
            (void)json_object_set_new(*ret_args, set_keys[i].device, json_string(device));
        }
        return *ret_args ? CLI_OK : CLI_USAGE;
    }
    snprintf(key, sizeof(key), "%.*s", (int)(len - at), text + at);
    const char *near = vr_nearest(key, names, count);
    cli_say("set: '%.60s': %s%s%s%s%s", text, near ? "did you mean " : set_expected(at > 0),
            near && at ? device : "", near && at ? "." : "", near ? near : "", near ? "=...?" : "");
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
