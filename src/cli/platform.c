/* What this host is: the answer of vr_query_platform, as JSON or laid out for people. */
#include "control/platform.h"
#include "base/bits.h"
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

enum { PLATFORM_COL = 14, PLATFORM_WIDTH = 100 };

static const char *platform_str(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

static long long platform_int(const json_t *object, const char *key)
{
    return (long long)json_integer_value(json_object_get(object, key));
}

static bool platform_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

/* "name          text": a row of the report. */
static void platform_row(const char *name, const char *text)
{
    printf("%-*s", PLATFORM_COL, name);
    cli_wrap(stdout, text, PLATFORM_COL, PLATFORM_COL, PLATFORM_WIDTH);
}

/* "23.5 GiB": as much as people want to know. */
static const char *platform_size(long long bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    double v = (double)bytes;
    unsigned u = 0;
    for (; v >= 1024 && u < 5; u++) {
        v /= 1024;
    }
    snprintf(text, size, v == (double)(long long)v ? "%.0f %s" : "%.1f %s", v, units[u]);
    return text;
}

static const char *platform_plural(long long count, const char *one, const char *many)
{
    return count == 1 ? one : many;
}

static void platform_os_text(const json_t *os)
{
    char text[400];
    snprintf(text, sizeof(text), "%.96s (%.20s, kernel %.96s)", platform_str(os, "name"),
             platform_str(os, "kind"), platform_str(os, "kernel"));
    platform_row("system", text);
}

static void platform_caches_text(const json_t *caches)
{
    size_t i;
    json_t *c;
    json_array_foreach(caches, i, c)
    {
        char size[32], text[200], name[32];
        const char *kind = platform_str(c, "kind");
        snprintf(name, sizeof(name), "  L%lld%s", platform_int(c, "level"),
                 strcmp(kind, "data") == 0   ? " data"
                 : strcmp(kind, "code") == 0 ? " code"
                                             : "");
        snprintf(text, sizeof(text), "%lld x %s, lines of %lld bytes, %lld %s on each",
                 platform_int(c, "count"),
                 platform_size(platform_int(c, "size_bytes"), size, sizeof(size)),
                 platform_int(c, "line_bytes"), platform_int(c, "shared_by"),
                 platform_plural(platform_int(c, "shared_by"), "processor", "processors"));
        platform_row(name, text);
    }
}

static void platform_virt_text(const json_t *cpu)
{
    const json_t *v = json_object_get(cpu, "virtualization");
    const json_t *nested = json_object_get(v, "nested_paging");
    char text[200];
    if (!*platform_str(v, "name")) {
        return; /* a copy of another host does not tell */
    }
    snprintf(text, sizeof(text), "%s: %s%s%s", platform_str(v, "name"),
             json_is_null(json_object_get(v, "present")) ? "programs are not told"
             : platform_true(v, "present")               ? "yes"
                                                         : "no",
             json_is_true(nested) ? ", nested paging" : "",
             platform_true(cpu, "protection_keys") ? "; protection keys" : "");
    platform_row("  hardware", text);
}

/* "big 0-3, little 4-7" is what the list in JSON is for; here: how many. */
static void platform_kinds_text(const json_t *list)
{
    unsigned big = 0, little = 0;
    size_t i;
    json_t *c;
    char text[100];
    json_array_foreach(list, i, c)
    {
        big += strcmp(platform_str(c, "kind"), "big") == 0;
        little += strcmp(platform_str(c, "kind"), "little") == 0;
    }
    if (big || little) {
        snprintf(text, sizeof(text), "%u big, %u little", big, little);
        platform_row("  kinds", text);
    }
}

static void platform_cpu_text(const json_t *cpu)
{
    char text[512];
    size_t i;
    json_t *f;
    const char *model = platform_str(cpu, "model"), *vendor = platform_str(cpu, "vendor");
    snprintf(text, sizeof(text), "%s%s%s", platform_str(cpu, "arch"), *model || *vendor ? ", " : "",
             *model ? model : vendor);
    platform_row("processor", *text ? text : "unknown");
    int n = snprintf(text, sizeof(text),
                     "%lld for this process of %lld (%lld %s, %lld %s, at most %lld %s a core)",
                     platform_int(cpu, "usable_count"), platform_int(cpu, "count"),
                     platform_int(cpu, "packages"),
                     platform_plural(platform_int(cpu, "packages"), "package", "packages"),
                     platform_int(cpu, "cores"),
                     platform_plural(platform_int(cpu, "cores"), "core", "cores"),
                     platform_int(cpu, "threads_per_core"),
                     platform_plural(platform_int(cpu, "threads_per_core"), "thread", "threads"));
    if (platform_int(cpu, "quota_milli") && n > 0 && (size_t)n < sizeof(text)) {
        snprintf(text + n, sizeof(text) - (size_t)n, "; a cgroup grants the time of %.2f",
                 (double)platform_int(cpu, "quota_milli") / 1000);
    }
    platform_row("  count", text);
    platform_kinds_text(json_object_get(cpu, "list"));
    platform_caches_text(json_object_get(cpu, "caches"));
    platform_virt_text(cpu);
    char *all = NULL;
    size_t size = 0;
    FILE *to =
        json_array_size(json_object_get(cpu, "features")) ? open_memstream(&all, &size) : NULL;
    if (!to) {
        return;
    }
    json_array_foreach(json_object_get(cpu, "features"), i, f)
    {
        fprintf(to, "%s%s", i ? " " : "", json_string_value(f));
    }
    (void)fclose(to);
    platform_row("  features", all ? all : "");
    free(all);
}

static void platform_memory_text(const json_t *m)
{
    char a[32], b[32], text[300];
    size_t i;
    json_t *row;
    int n = snprintf(text, sizeof(text), "%s, %s can be had",
                     platform_size(platform_int(m, "total_bytes"), a, sizeof(a)),
                     platform_size(platform_int(m, "available_bytes"), b, sizeof(b)));
    if (platform_int(m, "page_bytes") && n > 0 && (size_t)n < sizeof(text)) {
        snprintf(text + n, sizeof(text) - (size_t)n, "; pages of %lld bytes%s",
                 platform_int(m, "page_bytes"),
                 platform_true(m, "transparent_huge") ? ", joined to huge ones by the host" : "");
    }
    platform_row("memory", text);
    if (json_is_integer(json_object_get(m, "limit_bytes"))) {
        snprintf(text, sizeof(text), "%s by a cgroup, %s of it used",
                 platform_size(platform_int(m, "limit_bytes"), a, sizeof(a)),
                 platform_size(platform_int(m, "limit_used_bytes"), b, sizeof(b)));
        platform_row("  limit", text);
    }
    json_array_foreach(json_object_get(m, "huge_pages"), i, row)
    {
        snprintf(text, sizeof(text), "%s: %lld set aside, %lld free",
                 platform_size(platform_int(row, "page_bytes"), a, sizeof(a)),
                 platform_int(row, "total"), platform_int(row, "free"));
        platform_row(i ? "" : "  huge pages", text);
    }
    json_array_foreach(json_object_get(m, "nodes"), i, row)
    {
        snprintf(text, sizeof(text), "%lld: %s, %lld %s", platform_int(row, "id"),
                 platform_size(platform_int(row, "total_bytes"), a, sizeof(a)),
                 platform_int(row, "cpu_count"),
                 platform_plural(platform_int(row, "cpu_count"), "processor", "processors"));
        platform_row(i ? "" : "  nodes", text);
    }
}

static void platform_caps_text(const json_t *caps)
{
    const char *name;
    json_t *a;
    json_object_foreach((json_t *)(uintptr_t)caps, name, a)
    {
        char text[300], left[32];
        if (!json_is_object(a)) {
            continue;
        }
        snprintf(text, sizeof(text), "%s: %s",
                 platform_true(a, "works")     ? "works"
                 : platform_true(a, "present") ? "does not work"
                                               : "not here",
                 platform_str(a, "detail"));
        snprintf(left, sizeof(left), "%.12s",
                 strcmp(name, "protection_keys") == 0 ? "memory keys" : name);
        platform_row(left, text);
    }
}

static void platform_paths_text(const json_t *paths)
{
    const char *name;
    json_t *path;
    json_object_foreach((json_t *)(uintptr_t)paths, name, path)
    {
        const char *text = json_string_value(path);
        platform_row(name, text ? text : "unknown: this user has no home directory");
    }
}

static void platform_devices_text(const json_t *devices)
{
    char text[640];
    long long physical = platform_int(devices, "sriov_functions");
    snprintf(text, sizeof(text), "%lld on PCI, %lld %s", platform_int(devices, "pci"),
             platform_int(devices, "gpus"),
             platform_plural(platform_int(devices, "gpus"), "GPU", "GPUs"));
    platform_row("devices", text);
    snprintf(text, sizeof(text), "%.40s, %lld %s", platform_str(devices, "iommu"),
             platform_int(devices, "iommu_groups"),
             platform_plural(platform_int(devices, "iommu_groups"), "group", "groups"));
    platform_row("  IOMMU", text);
    snprintf(text, sizeof(text), "%lld %s, %lld virtual", physical,
             platform_plural(physical, "device has it", "devices have it"),
             platform_int(devices, "virtual_functions"));
    platform_row("  SR-IOV", text);
    const char *todo = platform_str(devices, "todo");
    snprintf(text, sizeof(text), "%lld ready%s%.500s", platform_int(devices, "passthrough_ready"),
             *todo ? "; for others, first of all: " : "", todo);
    platform_row("  to guests", text);
    platform_row("", "more: vireo platform pci, gpu, iommu, sriov");
}

static const struct {
    const char *name;
    void (*text)(const json_t *part);
} platform_texts[] = {
    {"os", platform_os_text},           {"cpu", platform_cpu_text},
    {"memory", platform_memory_text},   {"caps", platform_caps_text},
    {"devices", platform_devices_text}, {"paths", platform_paths_text},
};

int cli_platform(struct cli *cli)
{
    struct vr_error err = {0};
    json_t *all;
    if (cli->arg_count && strcmp(cli->args[0], "mdev") == 0) {
        return cli_platform_mdev(cli);
    }
    if (cli_is_platform_pci(cli)) {
        return cli_platform_pci(cli);
    }
    if (cli->arg_count > 1 || cli->dry_run || cli->whole_group || cli->way || cli->force) {
        cli_say("platform: further words, --dry-run, --group, --way and --force are for pci, gpu, "
                "iommu, sriov, vfio and mdev");
        return CLI_USAGE;
    }
    int r = vr_query_platform(cli->root, cli->arg_count ? cli->args[0] : NULL, &all, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    if (cli->json) {
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    }
    for (unsigned i = 0, shown = 0; !cli->json && i < VR_COUNT(platform_texts); i++) {
        const json_t *part = json_object_get(all, platform_texts[i].name);
        if (part) {
            printf("%s", shown++ ? "\n" : "");
            platform_texts[i].text(part);
        }
    }
    json_decref(all);
    return cli_flush();
}
