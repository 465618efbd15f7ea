/* vireo snapshot: machines in files. Those that run are asked by their control socket to save and
 * restore; the rest is done here. */
#include "control/snapshot.h"
#include "base/text.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"
#include "control/rundir.h"
#include "vireo/host_time.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { SNAPSHOT_PATH = 4096, SNAPSHOT_LOOK_MS = 200 };

/* ---- Telling ---- */

static void snapshot_size(uint64_t bytes, char *text, size_t size)
{
    if (bytes < UINT64_C(10) << 20) {
        snprintf(text, size, "%" PRIu64 " KiB", (bytes + 1023) >> 10);
    } else {
        snprintf(text, size, "%" PRIu64 " MiB", bytes >> 20);
    }
}

static void snapshot_when(json_int_t ns, char *text, size_t size)
{
    time_t s = (time_t)(ns / 1000000000);
    struct tm tm;
    text[0] = 0;
    if (localtime_r(&s, &tm)) {
        strftime(text, size, "%Y-%m-%d %H:%M:%S", &tm);
    }
}

static void snapshot_list_text(const json_t *list)
{
    size_t i;
    json_t *s;
    if (json_array_size(list) == 0) {
        return;
    }
    printf("%-16s %-20s %-19s %10s %10s  %s\n", "MACHINE", "TAG", "MADE", "MEMORY", "FILE", "");
    json_array_foreach((json_t *)list, i, s)
    {
        char when[32], memory[32], file[32];
        const char *damaged = cli_json_str(s, "damaged");
        if (*damaged) {
            printf("%s\n", damaged);
            continue;
        }
        snapshot_when(cli_json_int(s, "created_ns"), when, sizeof(when));
        snapshot_size((uint64_t)cli_json_int(s, "memory_bytes"), memory, sizeof(memory));
        snapshot_size((uint64_t)cli_json_int(s, "file_bytes"), file, sizeof(file));
        printf("%-16s %-20s %-19s %10s %10s  %s%s\n", cli_json_str(s, "machine"),
               cli_json_str(s, "tag"), when, memory, file,
               json_is_true(json_object_get(s, "compressed")) ? "compressed " : "",
               json_object_get(s, "parent") ? "incremental" : "");
    }
}

static void snapshot_info_text(const json_t *s)
{
    char when[32], size[32];
    const json_t *parent = json_object_get(s, "parent");
    size_t i;
    json_t *disk;
    snapshot_when(cli_json_int(s, "created_ns"), when, sizeof(when));
    printf("%s\n", cli_json_str(s, "file"));
    printf("  machine   %s, %lld CPU%s, %lld MiB, engine %s, of Vireo %s\n",
           cli_json_str(s, "machine"), (long long)cli_json_int(s, "cpus"),
           cli_json_int(s, "cpus") == 1 ? "" : "s",
           (long long)(cli_json_int(s, "memory_bytes") >> 20), cli_json_str(s, "engine"),
           cli_json_str(s, "vireo"));
    printf("  made      %s, %s, guest time %.3f s\n", when,
           json_is_true(json_object_get(s, "running")) ? "running" : "paused",
           (double)cli_json_int(s, "guest_ns") / 1e9);
    printf("  number    %s\n", cli_json_str(s, "id"));
    snapshot_size((uint64_t)cli_json_int(s, "file_bytes"), size, sizeof(size));
    printf("  size      %s%s\n", size,
           json_is_true(json_object_get(s, "compressed")) ? ", packed with zstd" : "");
    if (parent) {
        printf("  since     %s\n", cli_json_str(parent, "path"));
    }
    json_array_foreach(json_object_get(s, "disks"), i, disk)
    {
        snapshot_size((uint64_t)cli_json_int(disk, "size_bytes"), size, sizeof(size));
        printf("  disk %zu    %s, %s%s\n", i,
               *cli_json_str(disk, "path") ? cli_json_str(disk, "path") : "no disc", size,
               json_is_true(json_object_get(disk, "contents"))    ? ", with its contents"
               : json_is_true(json_object_get(disk, "read_only")) ? ", read-only"
                                                                  : ", without its contents");
    }
}

/* ---- A running machine ---- */

static void snapshot_progress(uint64_t begin_ns, const json_t *job)
{
    double s = (double)(vireo_monotonic_ns() - begin_ns) / 1e9;
    double done = (double)cli_json_int(job, "current-progress");
    double total = (double)cli_json_int(job, "total-progress");
    if (total > 0 && done > 0 && s > 0) {
        fprintf(stderr, "\r%3.0f %%  %.0f MiB/s, %.1f s left ", 100 * done / total,
                done / s / 1048576, s * (total - done) / done);
    }
}

/* The job @id; the caller's. NULL: there is none. */
static json_t *snapshot_job(struct vr_client *c, const char *id, struct vr_error *err)
{
    json_t *jobs = NULL, *job, *found = NULL;
    size_t i;
    if (vr_client_ask(c, "query-jobs", NULL, VR_CLIENT_MS, &jobs, err) < 0) {
        return NULL;
    }
    json_array_foreach(jobs, i, job)
    {
        if (strcmp(cli_json_str(job, "id"), id) == 0) {
            found = json_incref(job);
        }
    }
    json_decref(jobs);
    if (!found) {
        (void)vr_err(err, -EPROTO, "machine '%s': it lost the job", vr_client_name(c));
    }
    return found;
}

/* Wait for the job that @command started, to its end. */
static int snapshot_wait(struct cli *cli, struct vr_client *c, const char *id, struct vr_error *err)
{
    uint64_t begin = vireo_monotonic_ns();
    bool shows = cli_shows_progress(cli);
    for (;;) {
        json_t *event = NULL, *job;
        int r = vr_client_event(c, shows ? SNAPSHOT_LOOK_MS : -1, &event, err);
        json_decref(event);
        if (r < 0 && r != -ETIMEDOUT) {
            return r;
        }
        *err = (struct vr_error){0};
        job = snapshot_job(c, id, err);
        if (!job) {
            return err->code;
        }
        if (shows) {
            snapshot_progress(begin, job);
        }
        bool over = strcmp(cli_json_str(job, "status"), "concluded") == 0;
        const char *why = cli_json_str(job, "error");
        r = over && *why ? vr_err(err, -EREMOTEIO, "%s", why) : 0;
        json_decref(job);
        if (over) {
            if (shows) {
                cli_end_progress();
            }
            return r;
        }
    }
}

static int snapshot_ask(struct cli *cli, const char *name, const char *command, json_t *args,
                        struct vr_error *err)
{
    struct vr_client *c;
    char id[64];
    int r = vr_client_open(name, VR_CLIENT_MS, &c, err);
    if (r < 0) {
        json_decref(args);
        return r;
    }
    snprintf(id, sizeof(id), "cli-%ld-%" PRIu64, (long)getpid(), vireo_monotonic_ns());
    json_object_set_new(args, "job-id", json_string(id));
    r = vr_client_ask(c, command, args, VR_CLIENT_MS, NULL, err);
    if (r == 0) {
        r = snapshot_wait(cli, c, id, err);
        (void)!vr_client_ask(c, "job-dismiss", json_pack("{s:s}", "id", id), VR_CLIENT_MS, NULL,
                             NULL);
    }
    vr_client_close(c);
    return r;
}

/* The file that @text means, absolute, and what goes for its tag. */
static int snapshot_file(const char *machine, const char *text, char *ret_path, char *ret_tag,
                         struct vr_error *err)
{
    char path[SNAPSHOT_PATH];
    int r = vr_snapshot_path(machine, text, path, sizeof(path), err);
    if (r == 0 && (r = vr_snapshot_absolute(path, ret_path, SNAPSHOT_PATH)) < 0) {
        r = vr_err(err, r, "%s: the path is too long", path);
    }
    vr_snapshot_tag(r < 0 ? "" : ret_path, ret_tag, VR_NAME_MAX + 1);
    if (!vr_name_good(ret_tag, VR_NAME_MAX)) {
        strcpy(ret_tag, "snapshot"); /* of a file whose name is none */
    }
    return r;
}

/* Whose folder of the user's snapshots @path is in; "": it is elsewhere. */
static void snapshot_whose(const char *path, char *ret_machine, size_t size)
{
    char folder[SNAPSHOT_PATH];
    *ret_machine = '\0';
    if (vr_snapshot_folder(NULL, false, folder, sizeof(folder), NULL) == 0) {
        size_t len = strlen(folder);
        const char *of = path + len + 1;
        if (strncmp(path, folder, len) == 0 && path[len] == '/' && strchr(of, '/') &&
            (size_t)(strchr(of, '/') - of) < size) {
            snprintf(ret_machine, size, "%.*s", (int)(strchr(of, '/') - of), of);
        }
    }
}

/* The file that --to, or @to without it, means, its tag, and the folder where names lead: there may
 * be none yet. */
static int snapshot_target(const char *machine, const char *to, char *ret_path, char *ret_tag,
                           struct vr_error *err)
{
    char whose[VR_NAME_MAX + 1], folder[SNAPSHOT_PATH];
    int r = snapshot_file(machine, to, ret_path, ret_tag, err);
    snapshot_whose(r < 0 ? "" : ret_path, whose, sizeof(whose));
    return r == 0 && vr_name_good(whose, VR_NAME_MAX)
               ? vr_snapshot_folder(whose, true, folder, sizeof(folder), err)
               : r;
}

static int snapshot_print_info(struct cli *cli, const char *path, void (*text)(const json_t *))
{
    struct vr_error err = {0};
    char *info;
    if (vireo_snapshot_info(path, &info, &err) < 0) {
        return cli_fail(&err);
    }
    json_t *json = json_loads(info, 0, NULL);
    vireo_config_text_free(info);
    return cli_json_print(cli, json, text);
}

static void snapshot_saved_text(const json_t *s)
{
    printf("%s\n", cli_json_str(s, "file"));
}

static int snapshot_save(struct cli *cli)
{
    const char *machine = cli->args[1];
    char path[SNAPSHOT_PATH], tag[VR_NAME_MAX + 1], parent[SNAPSHOT_PATH], none[VR_NAME_MAX + 1];
    struct vr_error err = {0};
    bool zstd = cli->compress && strcmp(cli->compress, "zstd") == 0;
    if (cli->compress && !zstd && strcmp(cli->compress, "none") != 0) {
        cli_say("--compress %s: expected none or zstd", cli->compress);
        return CLI_USAGE;
    }
    char now[VR_NAME_MAX + 1];
    time_t s = time(NULL);
    struct tm tm;
    strftime(now, sizeof(now), "%Y%m%d-%H%M%S", localtime_r(&s, &tm));
    int r = snapshot_target(machine, cli->to ? cli->to : now, path, tag, &err);
    if (r == 0 && cli->parent) {
        r = snapshot_file(machine, cli->parent, parent, none, &err);
    }
    if (r < 0) {
        return cli_fail(&err);
    }
    json_t *args = json_pack("{s:s, s:s, s:b, s:b}", "tag", tag, "x-vireo-path", path,
                             "x-vireo-compress", zstd, "x-vireo-disks", !cli->no_disks);
    if (args && cli->parent) {
        json_object_set_new(args, "x-vireo-parent", json_string(parent));
    }
    if (!args) {
        cli_say("snapshot: %s: not UTF-8", path);
        return CLI_USAGE;
    }
    r = snapshot_ask(cli, machine, "snapshot-save", args, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    return cli->quiet ? CLI_OK : snapshot_print_info(cli, path, snapshot_saved_text);
}

static int snapshot_restore(struct cli *cli)
{
    const char *machine = cli->args[1];
    char path[SNAPSHOT_PATH], tag[VR_NAME_MAX + 1];
    struct vr_error err = {0};
    int r = snapshot_file(machine, cli->args[2], path, tag, &err);
    r = r < 0 ? r
              : snapshot_ask(cli, machine, "snapshot-load",
                             json_pack("{s:s, s:s}", "tag", tag, "x-vireo-path", path), &err);
    return r < 0 ? cli_fail(&err) : CLI_OK;
}

/* ---- Files ---- */

static int snapshot_list(struct cli *cli)
{
    struct vr_error err = {0};
    json_t *list;
    int r = vr_snapshot_list(cli->arg_count > 1 ? cli->args[1] : NULL, &list, &err);
    return r < 0 ? cli_fail(&err) : cli_json_print(cli, list, snapshot_list_text);
}

static int snapshot_info(struct cli *cli)
{
    char path[SNAPSHOT_PATH];
    struct vr_error err = {0};
    if (vr_snapshot_path(NULL, cli->args[1], path, sizeof(path), &err) < 0) {
        return cli_fail(&err);
    }
    return snapshot_print_info(cli, path, snapshot_info_text);
}

static void snapshot_verified_text(const json_t *s)
{
    printf("%s: whole\n", cli_json_str(s, "file"));
}

static int snapshot_verify(struct cli *cli)
{
    char path[SNAPSHOT_PATH];
    struct vr_error err = {0};
    int code = CLI_OK;
    for (unsigned i = 1; i < cli->arg_count; i++) {
        int r = vr_snapshot_path(NULL, cli->args[i], path, sizeof(path), &err);
        r = r < 0 ? r : vireo_snapshot_verify(path, &err);
        int one = r < 0 ? cli_fail(&err)
                  : cli->quiet
                      ? CLI_OK
                      : cli_json_print(cli, json_pack("{s:s, s:b}", "file", path, "whole", 1),
                                       snapshot_verified_text);
        code = code == CLI_OK ? one : code;
    }
    return code;
}

static int snapshot_delete(struct cli *cli)
{
    char path[SNAPSHOT_PATH];
    struct vr_error err = {0};
    int code = CLI_OK;
    for (unsigned i = 1; i < cli->arg_count; i++) {
        int r = vr_snapshot_path(NULL, cli->args[i], path, sizeof(path), &err);
        r = r < 0 ? r : vireo_snapshot_delete(path, cli->force, &err);
        int one = r < 0 ? cli_fail(&err) : CLI_OK;
        code = code == CLI_OK ? one : code;
    }
    return code;
}

static int snapshot_merge(struct cli *cli)
{
    char path[SNAPSHOT_PATH], to[SNAPSHOT_PATH], tag[VR_NAME_MAX + 1], whose[VR_NAME_MAX + 1];
    struct vr_error err = {0};
    bool zstd = cli->compress && strcmp(cli->compress, "zstd") == 0;
    if (cli->compress && !zstd && strcmp(cli->compress, "none") != 0) {
        cli_say("--compress %s: expected none or zstd", cli->compress);
        return CLI_USAGE;
    }
    int r = vr_snapshot_path(NULL, cli->args[1], path, sizeof(path), &err);
    snapshot_whose(r < 0 ? "" : path, whose, sizeof(whose)); /* a TAG is one of the same machine */
    r = r < 0 ? r : snapshot_target(*whose ? whose : NULL, cli->to ? cli->to : path, to, tag, &err);
    r = r < 0 ? r : vireo_snapshot_merge(path, to, zstd, &err);
    if (r < 0) {
        return cli_fail_file(&err);
    }
    return cli->quiet ? CLI_OK : snapshot_print_info(cli, to, snapshot_saved_text);
}

/* ---- The verb ---- */

static const struct {
    const char *name;
    int (*run)(struct cli *cli);
    unsigned min, max; /* arguments behind it */
    const char *args;
    const char *takes; /* options, a blank behind each */
} snapshot_verbs[] = {
    {"save", snapshot_save, 1, 1, "NAME", "to compress no-disks parent json quiet "},
    {"restore", snapshot_restore, 2, 2, "NAME SNAP", "quiet "},
    {"list", snapshot_list, 0, 1, "[NAME]", "json "},
    {"info", snapshot_info, 1, 1, "SNAP", "json "},
    {"verify", snapshot_verify, 1, CLI_ARGS - 1, "SNAP...", "json quiet "},
    {"merge", snapshot_merge, 1, 1, "SNAP", "to compress json quiet "},
    {"delete", snapshot_delete, 1, CLI_ARGS - 1, "SNAP...", "force quiet "},
};
enum { SNAPSHOT_VERBS = sizeof(snapshot_verbs) / sizeof(snapshot_verbs[0]) };

const char *cli_snapshot_verb(unsigned i)
{
    return i < SNAPSHOT_VERBS ? snapshot_verbs[i].name : NULL;
}

/* An option that was given and means nothing to it; NULL: none. */
static const char *snapshot_stray(const struct cli *cli, const char *takes)
{
    const struct {
        const char *name;
        bool given;
    } opts[] = {
        {"to ", cli->to},         {"compress ", cli->compress}, {"no-disks ", cli->no_disks},
        {"parent ", cli->parent}, {"force ", cli->force},       {"json ", cli->json},
        {"quiet ", cli->quiet}};
    for (unsigned i = 0; i < sizeof(opts) / sizeof(opts[0]); i++) {
        if (opts[i].given && !strstr(takes, opts[i].name)) {
            return opts[i].name;
        }
    }
    return NULL;
}

int cli_snapshot(struct cli *cli)
{
    const char *names[SNAPSHOT_VERBS];
    for (unsigned i = 0; i < SNAPSHOT_VERBS; i++) {
        names[i] = snapshot_verbs[i].name;
    }
    int i = vr_word(cli->args[0], names, SNAPSHOT_VERBS);
    if (i < 0) {
        const char *near = vr_nearest(cli->args[0], names, SNAPSHOT_VERBS);
        cli_say("snapshot %s: %s%s%s", cli->args[0],
                near ? "did you mean '"
                     : "expected save, restore, list, info, verify, merge or delete",
                near ? near : "", near ? "'?" : "");
        return CLI_USAGE;
    }
    unsigned count = cli->arg_count - 1;
    if (count < snapshot_verbs[i].min || count > snapshot_verbs[i].max) {
        cli_say("snapshot %s: expected %s", names[i], snapshot_verbs[i].args);
        return CLI_USAGE;
    }
    const char *stray = snapshot_stray(cli, snapshot_verbs[i].takes);
    if (stray) {
        cli_say("snapshot %s: --%.*s says nothing to it; 'vireo help snapshot' tells what does",
                names[i], (int)strcspn(stray, " "), stray);
        return CLI_USAGE;
    }
    return snapshot_verbs[i].run(cli);
}
