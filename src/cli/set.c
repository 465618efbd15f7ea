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

static json_t *set_link(const char *value)
{
    bool up = strcmp(value, "up") == 0 || strcmp(value, "on") == 0;
    bool down = strcmp(value, "down") == 0 || strcmp(value, "off") == 0;
    return up || down ? json_pack("{s:b}", "up", up) : NULL;
}

static json_t *set_size(const char *key, const char *value)
{
    uint64_t n;
    bool none = strcmp(value, "0") == 0;
    bool good = none || (vr_parse_size(value, &n) == 0 && n <= INT64_MAX);
    return good ? json_pack("{s:I}", key, (json_int_t)(none ? 0 : n)) : NULL;
}

static json_t *set_bps(const char *value)
{
    return set_size("bps", value);
}

static json_t *set_bps_rd(const char *value)
{
    return set_size("bps_rd", value);
}

static json_t *set_bps_wr(const char *value)
{
    return set_size("bps_wr", value);
}

static json_t *set_number(const char *key, const char *value)
{
    uint64_t n;
    bool good = vr_parse_u64(value, &n) == 0 && n <= INT64_MAX;
    return good ? json_pack("{s:I}", key, (json_int_t)n) : NULL;
}

static json_t *set_iops(const char *value)
{
    return set_number("iops", value);
}

static json_t *set_iops_rd(const char *value)
{
    return set_number("iops_rd", value);
}

static json_t *set_iops_wr(const char *value)
{
    return set_number("iops_wr", value);
}

static const struct {
    const char *name, *word, *expected, *command;
    json_t *(*args)(const char *value); /* NULL: not such a value */
    const char *device; /* "DEVICE.name=": the argument that is the device; NULL: of the machine */
} set_keys[] = {
    {"balloon", "balloon=", "a size, such as 512M", "balloon", set_balloon, NULL},
    {"log", "log=", "error, warn, info or debug", "x-vireo-set", set_log, NULL},
    {"link", "net0.link=", "up or down", "set_link", set_link, "name"},
    {"bps", "disk0.bps=", "bytes a second; 0: no limit", "x-vireo-limits", set_bps, "device"},
    {"bps_rd", "disk0.bps_rd=", "bytes a second; 0: no limit", "x-vireo-limits", set_bps_rd,
     "device"},
    {"bps_wr", "disk0.bps_wr=", "bytes a second; 0: no limit", "x-vireo-limits", set_bps_wr,
     "device"},
    {"iops", "disk0.iops=", "requests a second; 0: no limit", "x-vireo-limits", set_iops, "device"},
    {"iops_rd", "disk0.iops_rd=", "requests a second; 0: no limit", "x-vireo-limits", set_iops_rd,
     "device"},
    {"iops_wr", "disk0.iops_wr=", "requests a second; 0: no limit", "x-vireo-limits", set_iops_wr,
     "device"},
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
        *ret_args = set_keys[i].args(text + len + 1);
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
