/* `vireo events`: what happened to a machine, and with --follow what happens. */
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void events_print(const struct cli *cli, const json_t *event)
{
    if (cli->json) {
        json_dumpf(event, stdout, JSON_PRESERVE_ORDER);
        putchar('\n');
        return;
    }
    const json_t *stamp = json_object_get(event, "timestamp");
    time_t seconds = (time_t)cli_json_int(stamp, "seconds");
    json_int_t guest_ns = cli_json_int(event, "guest-ns");
    char when[32] = "";
    struct tm local;
    if (localtime_r(&seconds, &local)) {
        (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &local);
    }
    const json_t *data = json_object_get(event, "data");
    char *text = data ? json_dumps(data, JSON_PRESERVE_ORDER) : NULL;
    printf("%s.%06lld  %10lld.%06lld s  %s%s%s\n", when,
           (long long)cli_json_int(stamp, "microseconds"), (long long)(guest_ns / 1000000000),
           (long long)(guest_ns / 1000 % 1000000), cli_json_str(event, "event"), text ? "  " : "",
           text ? text : "");
    free(text);
}

static bool events_is_end(const json_t *event)
{
    return strcmp(cli_json_str(event, "event"), "SHUTDOWN") == 0;
}

struct events_seen {
    json_int_t last; /* number of the last one that was printed */
    bool end;        /* it was the machine's end */
};

/* Print what happened since. */
static int events_since(const struct cli *cli, struct vr_client *c, struct events_seen *seen,
                        struct vr_error *err)
{
    json_t *list = NULL, *event;
    size_t i;
    int r = vr_client_ask(c, "x-vireo-events", json_pack("{s:I}", "after", seen->last),
                          VR_CLIENT_MS, &list, err);
    json_array_foreach(list, i, event)
    {
        events_print(cli, event);
        seen->last = cli_json_int(event, "seq");
        seen->end = events_is_end(event);
    }
    json_decref(list);
    return r;
}

/* An event from the wire has no number and no guest time: the record has. When the machine ends,
 * nobody can be asked any more. */
static int events_follow(const struct cli *cli, struct vr_client *c, struct events_seen *seen,
                         struct vr_error *err)
{
    json_t *event = NULL;
    int r = 0;
    while (r == 0 && fflush(stdout) == 0) {
        r = vr_client_event(c, -1, &event, err);
        if (r < 0) {
            break;
        }
        struct vr_error gone = {0};
        if (events_since(cli, c, seen, &gone) < 0 && events_is_end(event) && !seen->end) {
            events_print(cli, event);
            seen->end = true;
        }
        json_decref(event);
    }
    return seen->end && r == -EPIPE ? 0 : r;
}

int cli_events(struct cli *cli)
{
    struct vr_error err = {0};
    struct vr_client *c;
    struct events_seen seen = {.last = 0};
    int r = vr_client_open(cli->arg_count ? cli->args[0] : NULL, VR_CLIENT_MS, &c, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    r = events_since(cli, c, &seen, &err);
    if (r == 0 && cli->follow) {
        r = events_follow(cli, c, &seen, &err);
    }
    vr_client_close(c);
    if (r < 0) {
        (void)fflush(stdout);
        return cli_fail(&err);
    }
    return cli_flush();
}
