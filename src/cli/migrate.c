/* `vireo migrate`: ask a machine to move, and watch it. */
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"
#include "control/migrate_wire.h"
#include "control/snapshot.h"
#include "vireo/host_fault.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { MIGRATE_LOOK_MS = 200 };

struct migrate {
    struct cli *cli;
    struct vr_client *client;
    bool progress; /* is on the terminal's last line */
    atomic_int signum;
    bool called_off;
};

static void migrate_on_signal(void *opaque, int signum)
{
    struct migrate *mg = opaque;
    if (atomic_exchange(&mg->signum, signum)) {
        vireo_endsig_die(signum); /* the second time: the machine does as it likes */
    }
}

static json_int_t ram_int(const json_t *info, const char *key)
{
    return cli_json_int(json_object_get(info, "ram"), key);
}

static void migrate_show(struct migrate *mg, const json_t *info)
{
    json_int_t total = ram_int(info, "total"), left = ram_int(info, "remaining");
    json_int_t throttle = cli_json_int(info, "cpu-throttle-percentage");
    double mbps = json_number_value(json_object_get(json_object_get(info, "ram"), "mbps"));
    const json_t *expected = json_object_get(info, "expected-downtime");
    char until[40] = "", slow[40] = "";
    if (!cli_shows_progress(mg->cli) || total == 0) {
        return;
    }
    if (expected) {
        snprintf(until, sizeof(until), ", downtime now %lld ms",
                 (long long)json_integer_value(expected));
    }
    if (throttle) {
        snprintf(slow, sizeof(slow), ", guest slowed by %lld %%", (long long)throttle);
    }
    fprintf(stderr, "\r%s: %3lld %%, %.0f MB/s, %lld MiB left%s%s\033[K",
            cli_json_str(info, "status"), (long long)(100 - left * 100 / total), mbps / 8,
            (long long)(left >> 20), until, slow);
    mg->progress = true;
}

/* Until the machine says how it went. */
static int migrate_watch(struct migrate *mg, json_t **ret_info, struct vr_error *err)
{
    for (;;) {
        json_t *info = NULL, *event = NULL;
        int r = vr_client_ask(mg->client, "query-migrate", NULL, VR_CLIENT_MS, &info, err);
        if (r < 0) {
            return r;
        }
        const char *status = cli_json_str(info, "status");
        if (strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0 ||
            strcmp(status, "cancelled") == 0) {
            *ret_info = info;
            return 0;
        }
        migrate_show(mg, info);
        json_decref(info);
        if (atomic_load(&mg->signum) && !mg->called_off) {
            mg->called_off = true;
            r = vr_client_ask(mg->client, "migrate_cancel", NULL, VR_CLIENT_MS, NULL, err);
            if (r < 0) {
                return r;
            }
        }
        r = vr_client_event(mg->client, MIGRATE_LOOK_MS, &event, err); /* any: look again */
        json_decref(event);
        if (r < 0 && r != -ETIMEDOUT) {
            return r;
        }
    }
}

static void migrate_text(const json_t *info)
{
    long long rounds = (long long)ram_int(info, "dirty-sync-count");
    printf("moved in %lld ms, stood still for %lld ms; %lld MiB sent in %lld round%s\n",
           (long long)cli_json_int(info, "total-time"), (long long)cli_json_int(info, "downtime"),
           (long long)(ram_int(info, "transferred") >> 20), rounds, rounds == 1 ? "" : "s");
    if (ram_int(info, "x-vireo-hinted")) {
        printf("%lld MiB were not sent: the guest does not use them\n",
               (long long)ram_int(info, "x-vireo-hinted") * 4 / 1024);
    }
}

static int migrate_set(struct migrate *mg, struct vr_error *err)
{
    json_t *args = json_object();
    if (mg->cli->downtime_ms) {
        json_object_set_new(args, "downtime-limit", json_integer(mg->cli->downtime_ms));
    }
    if (mg->cli->bandwidth) {
        json_object_set_new(args, "max-bandwidth", json_integer((json_int_t)mg->cli->bandwidth));
    }
    if (json_object_size(args) == 0) {
        json_decref(args);
        return 0;
    }
    return vr_client_ask(mg->client, "migrate-set-parameters", args, VR_CLIENT_MS, NULL, err);
}

static int migrate_ended(struct migrate *mg, json_t *info)
{
    const char *status = cli_json_str(info, "status");
    int code = CLI_OK;
    if (strcmp(status, "completed") == 0) {
        /* It would end by itself, a little later. */
        (void)!vr_client_ask(mg->client, "quit", NULL, VR_CLIENT_MS, NULL, NULL);
        return cli_json_print(mg->cli, info, migrate_text);
    }
    if (strcmp(status, "cancelled") == 0) {
        cli_say("%s: the migration was called off; the machine goes on", mg->cli->args[0]);
        code = CLI_IO;
    } else {
        cli_say("%s: %s%s", mg->cli->args[0], cli_json_str(info, "error-desc"),
                json_is_true(json_object_get(info, "x-vireo-unknown"))
                    ? ""
                    : "; the machine goes on here");
        code = CLI_IO;
    }
    if (mg->cli->json) {
        (void)cli_json_print(mg->cli, json_incref(info), migrate_text);
    }
    json_decref(info);
    return code;
}

/* ADDRESS, with a path as it is from here: the machine was started elsewhere. */
static int migrate_address(const char *address, char *ret_uri, size_t size, struct vr_error *err)
{
    int r = vr_mig_check_uri(address, err);
    if (r < 0) {
        return r;
    }
    if (!vr_mig_is_unix(address)) {
        r = (size_t)snprintf(ret_uri, size, "%s", address) < size ? 0 : -ENAMETOOLONG;
    } else if (!address[5]) {
        return vr_err(err, -EINVAL, "'unix:': expected unix:PATH");
    } else {
        memcpy(ret_uri, "unix:", 5);
        r = vr_snapshot_absolute(address + 5, ret_uri + 5, size - 5);
    }
    return r < 0 ? vr_err(err, r, "'%.80s': %s", address, strerror(-r)) : 0;
}

int cli_migrate(struct cli *cli)
{
    struct migrate mg = {.cli = cli};
    struct vr_error err = {0};
    struct vireo_endsig *sig = NULL;
    json_t *info = NULL;
    char uri[4096 + 5];
    if (migrate_address(cli->args[1], uri, sizeof(uri), &err) < 0) {
        cli_say("migrate: %s", err.msg);
        return CLI_USAGE;
    }
    int r = vr_client_open(cli->args[0], VR_CLIENT_MS, &mg.client, &err);
    r = r < 0 ? r : migrate_set(&mg, &err);
    r = r < 0 ? r : vireo_endsig_start(migrate_on_signal, &mg, &sig, &err);
    r = r < 0 ? r
              : vr_client_ask(mg.client, "migrate",
                              json_pack("{s:s, s:b}", "uri", uri, "x-vireo-end", true),
                              VR_CLIENT_MS, NULL, &err);
    r = r < 0 ? r : migrate_watch(&mg, &info, &err);
    if (mg.progress) {
        cli_end_progress();
    }
    int code = r < 0 ? cli_fail(&err) : migrate_ended(&mg, info);
    vireo_endsig_stop(sig);
    vr_client_close(mg.client);
    return code;
}
