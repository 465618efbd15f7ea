/* `vireo device`: what a class is, and the devices of a machine that runs: list, add, del. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"
#include "control/config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICE_TIMEOUT_S = 60, DEVICE_GRACE_MS = 10000 };

static void device_row(const json_t *d)
{
    printf("%-16s %-20s %-8s %-12s %-9s %s\n", cli_json_str(d, "id"), cli_json_str(d, "class"),
           cli_json_str(d, "bus"), cli_json_str(d, "place"), cli_json_str(d, "state"),
           cli_json_str(d, "host-end"));
}

static void device_list_text(const json_t *list)
{
    size_t i;
    json_t *d;
    printf("%-16s %-20s %-8s %-12s %-9s %s\n", "ID", "CLASS", "BUS", "PLACE", "STATE", "HOST END");
    json_array_foreach(list, i, d)
    {
        device_row(d);
    }
}

static void device_added_text(const json_t *d)
{
    if (json_object_size(d)) {
        printf("%s: %s, at %s\n", cli_json_str(d, "id"), cli_json_str(d, "class"),
               cli_json_str(d, "place"));
    }
}

static int device_list(struct cli *cli, struct vr_client *c, struct vr_error *err)
{
    json_t *list = NULL;
    int r = vr_client_ask(c, "x-vireo-devices", NULL, VR_CLIENT_MS, &list, err);
    return r < 0 ? r : cli_json_print(cli, list, device_list_text);
}

static int device_add(struct cli *cli, struct vr_client *c, struct vr_error *err)
{
    json_t *added = NULL;
    for (unsigned i = 2; i < cli->arg_count; i++) {
        char *text = NULL; /* files are called as they are from here */
        int r = vr_config_absolute(vr_opt_find(vr_config_opts, "device"), cli->args[i], &text, err);
        r = r < 0 ? r
                  : vr_client_ask(c, "x-vireo-device-add", json_pack("{s:s}", "device", text),
                                  VR_CLIENT_MS, &added, err);
        free(text);
        r = r < 0 ? r : cli_json_print(cli, added, device_added_text);
        if (r != 0) {
            return r;
        }
    }
    return 0;
}

/* The event that says what became of @id. */
static int device_wait(struct vr_client *c, const char *id, int timeout_ms, struct vr_error *err)
{
    json_t *event = NULL;
    int r;
    while ((r = vr_client_event(c, timeout_ms, &event, err)) == 0) {
        bool mine = strcmp(cli_json_str(json_object_get(event, "data"), "device"), id) == 0;
        bool gone = strcmp(cli_json_str(event, "event"), "DEVICE_DELETED") == 0;
        bool stays = strcmp(cli_json_str(event, "event"), "DEVICE_UNPLUG_GUEST_ERROR") == 0;
        json_decref(event);
        if (mine && gone) {
            return 0;
        }
        if (mine && stays) {
            return vr_err(err, -EREMOTEIO,
                          "%s: the guest has not let it go: it refused, or has no driver for its "
                          "slot (vireo help device)",
                          id);
        }
    }
    return r;
}

static int device_del(struct cli *cli, struct vr_client *c, struct vr_error *err)
{
    int ms = (int)(cli->timeout_s ? cli->timeout_s : DEVICE_TIMEOUT_S) * 1000;
    for (unsigned i = 2; i < cli->arg_count; i++) {
        const char *id = cli->args[i];
        json_t *args = json_pack("{s:s, s:b, s:i}", "id", id, "x-vireo-force", cli->force,
                                 "x-vireo-timeout-ms", ms);
        int r = vr_client_ask(c, "device_del", args, VR_CLIENT_MS, NULL, err);
        /* The machine counts its own time, so it says so first unless it stands still. */
        r = r < 0 ? r : device_wait(c, id, ms + DEVICE_GRACE_MS, err);
        if (r < 0) {
            return r;
        }
    }
    return 0;
}

static const struct {
    const char *word;
    unsigned min_args, max_args;
    int (*run)(struct cli *cli, struct vr_client *c, struct vr_error *err); /* NULL: help */
} device_words[] = {
    {"help", 2, 2, NULL},
    {"list", 2, 2, device_list},
    {"add", 3, CLI_ARGS, device_add},
    {"del", 3, CLI_ARGS, device_del},
};

const char *cli_device_word(unsigned i)
{
    return i < VR_COUNT(device_words) ? device_words[i].word : NULL;
}

static int device_on(struct cli *cli,
                     int (*run)(struct cli *cli, struct vr_client *c, struct vr_error *err))
{
    struct vr_error err = {0};
    struct vr_client *c;
    int r = vr_client_open(cli->args[1], VR_CLIENT_MS, &c, &err);
    if (r == 0) {
        r = run(cli, c, &err);
        vr_client_close(c);
    }
    return r < 0 ? cli_fail(&err) : r;
}

int cli_device(struct cli *cli)
{
    const char *words[VR_COUNT(device_words)];
    for (unsigned i = 0; i < VR_COUNT(device_words); i++) {
        words[i] = device_words[i].word;
        if (strcmp(cli->args[0], words[i]) != 0) {
            continue;
        }
        if (cli->arg_count < device_words[i].min_args ||
            cli->arg_count > device_words[i].max_args) {
            cli_say("device %s: %s (vireo help device)", words[i],
                    cli->arg_count < device_words[i].min_args ? "something is missing"
                                                              : "too many words");
            return CLI_USAGE;
        }
        return device_words[i].run ? device_on(cli, device_words[i].run) : cli_device_help(cli);
    }
    const char *near = vr_nearest(cli->args[0], words, VR_COUNT(words));
    cli_say("device: unknown word '%s': %s%s%s", cli->args[0],
            near ? "did you mean '" : "expected help, list, add or del", near ? near : "",
            near ? "'?" : "");
    return CLI_USAGE;
}
