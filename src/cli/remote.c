/* Verbs about machines that run: each asks one by its control socket. */
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"
#include "control/rundir.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

enum { REMOTE_LIST_MS = 2000, REMOTE_END_MS = 30000, REMOTE_HASH_MS = 60000 };

static void remote_time(uint64_t ns, char *text, size_t size)
{
    uint64_t s = ns / 1000000000u;
    if (s < 60) {
        snprintf(text, size, "%" PRIu64 ".%" PRIu64 "s", s, ns / 100000000u % 10);
    } else if (s < 3600) {
        snprintf(text, size, "%" PRIu64 "m%02" PRIu64 "s", s / 60, s % 60);
    } else if (s < 86400) {
        snprintf(text, size, "%" PRIu64 "h%02" PRIu64 "m", s / 3600, s / 60 % 60);
    } else {
        snprintf(text, size, "%" PRIu64 "d%02" PRIu64 "h", s / 86400, s / 3600 % 24);
    }
}

/* Memory that is used, of how much. */
static void remote_memory(const json_t *m, char *text, size_t size)
{
    json_int_t all = cli_json_int(m, "memory-bytes") >> 20;
    const json_t *used = json_object_get(m, "memory-used-bytes");
    if (used) {
        snprintf(text, size, "%lld/%lld MiB", (long long)(json_integer_value(used) >> 20),
                 (long long)all);
    } else {
        snprintf(text, size, "%lld MiB", (long long)all);
    }
}

/* ---- ps ---- */

static void remote_ps_text(const json_t *list)
{
    size_t i;
    json_t *m;
    if (json_array_size(list) == 0) {
        return;
    }
    printf("%-16s %8s %-14s %8s %4s %-15s %s\n", "NAME", "PID", "STATE", "UPTIME", "CPUS", "MEMORY",
           "ENGINE");
    json_array_foreach((json_t *)list, i, m)
    {
        char uptime[32] = "", memory[48] = "", cpus[16] = "";
        if (json_object_get(m, "cpus")) {
            remote_time((uint64_t)cli_json_int(m, "uptime-ns"), uptime, sizeof(uptime));
            remote_memory(m, memory, sizeof(memory));
            snprintf(cpus, sizeof(cpus), "%lld", (long long)cli_json_int(m, "cpus"));
        }
        printf("%-16s %8lld %-14s %8s %4s %-15s %s\n", cli_json_str(m, "name"),
               (long long)cli_json_int(m, "pid"), cli_json_str(m, "status"), uptime, cpus, memory,
               cli_json_str(m, "engine"));
    }
}

/* What machine @name is; NULL: it has ended meanwhile. */
static json_t *remote_look(const char *name)
{
    struct vr_client *c;
    json_t *info = NULL;
    uint64_t pid = 0;
    int r = vr_client_open(name, REMOTE_LIST_MS, &c, NULL);
    if (r == 0) {
        r = vr_client_ask(c, "x-vireo-machine", NULL, REMOTE_LIST_MS, &info, NULL);
        vr_client_close(c);
    }
    if (r == -ETIMEDOUT) {
        (void)!vr_client_process(name, &pid, NULL);
        info = json_pack("{s:s, s:I, s:s}", "name", name, "pid", (json_int_t)pid, "status",
                         "not answering");
    }
    return info;
}

int cli_ps(struct cli *cli)
{
    struct vr_error err = {0};
    char **names;
    size_t count;
    int r = vr_rundir_list(&names, &count, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    json_t *list = json_array();
    for (size_t i = 0; i < count; i++) {
        if (cli->quiet) {
            printf("%s\n", names[i]);
            continue;
        }
        json_t *info = remote_look(names[i]);
        if (info) {
            (void)json_array_append_new(list, info);
        }
    }
    vr_rundir_free(names, count);
    if (cli->quiet) {
        json_decref(list);
        return cli_flush();
    }
    return cli_json_print(cli, list, remote_ps_text);
}

/* ---- status ---- */

static void remote_status_text(const json_t *m)
{
    char uptime[32], memory[48];
    size_t i;
    json_t *console;
    remote_time((uint64_t)cli_json_int(m, "uptime-ns"), uptime, sizeof(uptime));
    remote_memory(m, memory, sizeof(memory));
    printf("%s: %s, up %s\n", cli_json_str(m, "name"), cli_json_str(m, "status"), uptime);
    printf("  machine   %s %s, %lld CPU%s, %s\n", cli_json_str(m, "arch"),
           cli_json_str(m, "machine"), (long long)cli_json_int(m, "cpus"),
           cli_json_int(m, "cpus") == 1 ? "" : "s", memory);
    printf("  engine    %s, of Vireo %s\n", cli_json_str(m, "engine"), cli_json_str(m, "version"));
    printf("  process   %lld\n", (long long)cli_json_int(m, "pid"));
    printf("  UUID      %s\n", cli_json_str(m, "uuid"));
    if (json_object_get(m, "hash")) {
        printf("  state     %s\n", cli_json_str(m, "hash"));
    }
    json_array_foreach(json_object_get(m, "consoles"), i, console)
    {
        printf("  console %lld %s%s%s\n", (long long)cli_json_int(console, "index"),
               cli_json_str(console, "kind"), *cli_json_str(console, "path") ? ":" : "",
               cli_json_str(console, "path"));
    }
}

int cli_status(struct cli *cli)
{
    struct vr_error err = {0};
    struct vr_client *c;
    json_t *info = NULL;
    int r = vr_client_open(cli->arg_count ? cli->args[0] : NULL, VR_CLIENT_MS, &c, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    r = vr_client_ask(c, "x-vireo-machine", NULL, VR_CLIENT_MS, &info, &err);
    if (r == 0 && cli->hash) {
        json_t *hash = NULL;
        r = vr_client_ask(c, "x-vireo-hash", NULL, REMOTE_HASH_MS, &hash, &err);
        (void)json_object_update(info, hash);
        json_decref(hash);
    }
    vr_client_close(c);
    return r < 0 ? cli_fail(&err) : cli_json_print(cli, info, remote_status_text);
}

/* ---- pause, resume, reset, stop, kill ---- */

/* Do @one to each machine that is named; the exit code of the first that failed. */
static int remote_each(struct cli *cli, int (*one)(const char *name, struct vr_error *err))
{
    int code = CLI_OK;
    for (unsigned i = 0; i < cli->arg_count; i++) {
        struct vr_error err = {0};
        if (one(cli->args[i], &err) < 0) {
            int failed = cli_fail(&err);
            code = code == CLI_OK ? failed : code;
        }
    }
    return code;
}

static int remote_ask(const char *name, const char *command, struct vr_error *err)
{
    struct vr_client *c;
    int r = vr_client_open(name, VR_CLIENT_MS, &c, err);
    if (r == 0) {
        r = vr_client_ask(c, command, NULL, VR_CLIENT_MS, NULL, err);
        vr_client_close(c);
    }
    return r;
}

static int remote_pause(const char *name, struct vr_error *err)
{
    return remote_ask(name, "stop", err);
}

static int remote_resume(const char *name, struct vr_error *err)
{
    return remote_ask(name, "cont", err);
}

static int remote_reset(const char *name, struct vr_error *err)
{
    return remote_ask(name, "system_reset", err);
}

int cli_pause(struct cli *cli)
{
    return remote_each(cli, remote_pause);
}

int cli_resume(struct cli *cli)
{
    return remote_each(cli, remote_resume);
}

int cli_reset(struct cli *cli)
{
    return remote_each(cli, remote_reset);
}

/* Wait until the machine hangs up. */
static int remote_wait_end(struct vr_client *c, int timeout_ms, struct vr_error *err)
{
    json_t *event;
    int r;
    while ((r = vr_client_event(c, timeout_ms, &event, err)) == 0) {
        json_decref(event);
    }
    return r == -EPIPE ? 0 : r;
}

static int remote_ask_end(const char *name, const char *command, int timeout_ms,
                          struct vr_error *err)
{
    struct vr_client *c;
    int r = vr_client_open(name, VR_CLIENT_MS, &c, err);
    if (r == 0) {
        r = vr_client_ask(c, command, NULL, VR_CLIENT_MS, NULL, err);
        r = r < 0 ? r : remote_wait_end(c, timeout_ms, err);
        vr_client_close(c);
    }
    return r;
}

static int remote_stop(const char *name, struct vr_error *err)
{
    return remote_ask_end(name, "quit", REMOTE_END_MS, err);
}

static int remote_shutdown(const char *name, struct vr_error *err)
{
    return remote_ask(name, "system_powerdown", err);
}

static int remote_shutdown_wait(const char *name, struct vr_error *err)
{
    return remote_ask_end(name, "system_powerdown", -1, err);
}

int cli_shutdown(struct cli *cli)
{
    return remote_each(cli, cli->wait ? remote_shutdown_wait : remote_shutdown);
}

int cli_stop(struct cli *cli)
{
    return remote_each(cli, remote_stop);
}

/* Its socket may still be in the folder; whoever lists next removes it. */
static int remote_kill(const char *name, struct vr_error *err)
{
    uint64_t pid;
    int r = vr_client_process(name, &pid, err);
    if (r == 0) {
        r = uv_kill((int)pid, SIGKILL);
        r = r == UV_ESRCH ? 0 : r; /* it has ended by itself */
    }
    if (r < 0 && !err->code) {
        return vr_err(err, r, "machine '%s': cannot kill process %" PRIu64 ": %s", name, pid,
                      uv_strerror(r));
    }
    return r;
}

int cli_kill(struct cli *cli)
{
    return remote_each(cli, remote_kill);
}

/* ---- qmp ---- */

static void remote_qmp_text(const json_t *json)
{
    json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER | JSON_ENCODE_ANY);
    putchar('\n');
}

int cli_qmp(struct cli *cli)
{
    struct vr_error err = {0};
    struct vr_client *c;
    json_t *args = NULL, *ret = NULL;
    if (cli->arg_count > 2) {
        json_error_t bad;
        args = json_loads(cli->args[2], JSON_REJECT_DUPLICATES, &bad);
        if (!json_is_object(args)) {
            cli_say("qmp: '%.60s': expected a JSON object%s%s", cli->args[2], args ? "" : ": ",
                    args ? "" : bad.text);
            json_decref(args);
            return CLI_USAGE;
        }
    }
    int r = vr_client_open(cli->args[0], VR_CLIENT_MS, &c, &err);
    if (r < 0) {
        json_decref(args);
        return cli_fail(&err);
    }
    r = vr_client_ask(c, cli->args[1], args, VR_CLIENT_MS, &ret, &err);
    vr_client_close(c);
    return r < 0 ? cli_fail(&err) : cli_json_print(cli, ret, remote_qmp_text);
}
