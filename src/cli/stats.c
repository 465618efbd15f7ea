/* `vireo stats`: what machines count, for people, as JSON, or in Prometheus' text format
 * (prometheus.io/docs/instrumenting/exposition_formats). */
#include "cli/cli.h"
#include "cli/json.h"
#include "control/client.h"
#include "control/rundir.h"

#include <stdio.h>
#include <string.h>

static const char *const stats_groups[] = {"machine", "boot", "cpu",   "iothread",
                                           "device",  "disk", "queue", "jit"};
enum { STATS_GROUPS = sizeof(stats_groups) / sizeof(stats_groups[0]) };

const char *cli_stats_word(unsigned i)
{
    return i < STATS_GROUPS ? stats_groups[i] : NULL;
}

/* The group that @word means, "devices" too; NULL: none. */
static const char *stats_group(const char *word)
{
    for (unsigned i = 0; i < STATS_GROUPS; i++) {
        size_t len = strlen(stats_groups[i]);
        if (strncmp(word, stats_groups[i], len) == 0 &&
            (word[len] == '\0' || strcmp(word + len, "s") == 0)) {
            return stats_groups[i];
        }
    }
    return NULL;
}

static bool stats_ends(const char *name, const char *end)
{
    size_t len = strlen(name), end_len = strlen(end);
    return len > end_len && strcmp(name + len - end_len, end) == 0;
}

/* ---- For people ---- */

static void stats_value(const char *name, json_int_t value, char *text, size_t size)
{
    static const char *const times[] = {"ns", "us", "ms", "s"};
    static const char *const sizes[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    bool time = stats_ends(name, "_ns"), bytes = stats_ends(name, "_bytes");
    double v = (double)value;
    unsigned unit = 0;
    if (!time && !bytes) {
        snprintf(text, size, "%lld", (long long)value);
        return;
    }
    while (v >= (time ? 1000 : 1024) && unit < (time ? 3u : 4u)) {
        v /= time ? 1000 : 1024;
        unit++;
    }
    snprintf(text, size, "%.*f %s", unit ? 2 : 0, v, time ? times[unit] : sizes[unit]);
}

static void stats_text(const json_t *list)
{
    const char *group = "", *id = "";
    size_t i;
    json_t *s;
    json_array_foreach((json_t *)list, i, s)
    {
        char value[64], name[64];
        if (strcmp(group, cli_json_str(s, "group")) != 0 ||
            strcmp(id, cli_json_str(s, "id")) != 0) {
            group = cli_json_str(s, "group");
            id = cli_json_str(s, "id");
            printf("%s%s%s\n", group, *id ? " " : "", id);
        }
        stats_value(cli_json_str(s, "name"), cli_json_int(s, "value"), value, sizeof(value));
        snprintf(name, sizeof(name), "%s", cli_json_str(s, "name"));
        if (stats_ends(name, "_ns")) {
            name[strlen(name) - 3] = '\0';
        }
        printf("  %-20s %14s  %s\n", name, value, cli_json_str(s, "help"));
    }
}

/* ---- Prometheus ---- */

/* "vireo_disk_read_seconds_total" */
static void stats_metric(const json_t *s, char *text, size_t size)
{
    char name[64];
    snprintf(name, sizeof(name), "%s", cli_json_str(s, "name"));
    bool time = stats_ends(name, "_ns");
    if (time) {
        name[strlen(name) - 3] = '\0';
    }
    snprintf(text, size, "vireo_%s_%s%s%s", cli_json_str(s, "group"), name, time ? "_seconds" : "",
             strcmp(cli_json_str(s, "kind"), "total") == 0 ? "_total" : "");
}

static void stats_sample(const json_t *s, const char *metric)
{
    const char *id = cli_json_str(s, "id");
    json_int_t value = cli_json_int(s, "value");
    printf("%s{machine=\"%s\"%s%s%s} ", metric, cli_json_str(s, "machine"), *id ? ",id=\"" : "", id,
           *id ? "\"" : "");
    if (stats_ends(cli_json_str(s, "name"), "_ns")) {
        printf("%lld.%09lld\n", (long long)(value / 1000000000), (long long)(value % 1000000000));
    } else {
        printf("%lld\n", (long long)value);
    }
}

/* All samples of a metric stand together. */
static void stats_prometheus(const json_t *list)
{
    size_t count = json_array_size(list);
    json_t *done = json_object();
    for (size_t i = 0; i < count; i++) {
        char metric[128], other[128];
        const json_t *s = json_array_get(list, i);
        stats_metric(s, metric, sizeof(metric));
        if (json_object_get(done, metric)) {
            continue;
        }
        (void)json_object_set_new(done, metric, json_true());
        printf("# HELP %s %s\n# TYPE %s %s\n", metric, cli_json_str(s, "help"), metric,
               strcmp(cli_json_str(s, "kind"), "total") == 0 ? "counter" : "gauge");
        for (size_t k = i; k < count; k++) {
            stats_metric(json_array_get(list, k), other, sizeof(other));
            if (strcmp(other, metric) == 0) {
                stats_sample(json_array_get(list, k), metric);
            }
        }
    }
    json_decref(done);
}

/* ---- Asking ---- */

/* Add what machine @name counts to @list. */
static int stats_of(const char *name, const char *group, json_t *list, struct vr_error *err)
{
    struct vr_client *c;
    json_t *stats = NULL, *s;
    size_t i;
    int r = vr_client_open(name, VR_CLIENT_MS, &c, err);
    if (r < 0) {
        return r;
    }
    r = vr_client_ask(c, "x-vireo-stats", group ? json_pack("{s:s}", "group", group) : NULL,
                      VR_CLIENT_MS, &stats, err);
    json_array_foreach(stats, i, s)
    {
        (void)json_object_set_new(s, "machine", json_string(vr_client_name(c)));
    }
    vr_client_close(c);
    (void)json_array_extend(list, stats);
    json_decref(stats);
    return r;
}

static int stats_of_all(const char *group, json_t *list, struct vr_error *err)
{
    char **names;
    size_t count;
    int r = vr_rundir_list(&names, &count, err);
    if (r < 0) {
        return r;
    }
    for (size_t i = 0; r == 0 && i < count; i++) {
        /* One that ended meanwhile, or does not answer, does not hide the others. */
        (void)!stats_of(names[i], group, list, NULL);
    }
    vr_rundir_free(names, count);
    return r;
}

int cli_stats(struct cli *cli)
{
    struct vr_error err = {0};
    const char *name = cli->arg_count ? cli->args[0] : NULL, *group = NULL;
    if (cli->arg_count) {
        group = stats_group(cli->args[cli->arg_count - 1]);
        if (cli->arg_count == 2 && !group) {
            cli_say("stats: nothing is called '%s'; there are machine, boot, cpus, iothreads, "
                    "devices, disks, queues and jit",
                    cli->args[1]);
            return CLI_USAGE;
        }
        name = group && cli->arg_count == 1 ? NULL : name;
    }
    json_t *list = json_array();
    int r = !name && cli->prometheus ? stats_of_all(group, list, &err)
                                     : stats_of(name, group, list, &err);
    if (r < 0) {
        json_decref(list);
        return cli_fail(&err);
    }
    if (cli->prometheus) {
        stats_prometheus(list);
        json_decref(list);
        return cli_flush();
    }
    return cli_json_print(cli, list, stats_text);
}
