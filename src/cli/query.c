/* Questions: the answer is a JSON value, printed as it is or as text for people. */
#include "control/query.h"
#include "cli/cli.h"
#include "cli/json.h"
#include "control/vm.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int cli_flush(void)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        cli_say("standard output: %s", strerror(errno));
        return CLI_IO;
    }
    return CLI_OK;
}

int cli_json_print(const struct cli *cli, json_t *json, void (*text)(const json_t *json))
{
    if (!json) {
        cli_say("no memory");
        return CLI_HOST;
    }
    if (cli->json) {
        json_dumpf(json, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
    } else {
        text(json);
    }
    json_decref(json);
    return cli_flush();
}

const char *cli_json_str(const json_t *object, const char *key)
{
    const char *s = json_string_value(json_object_get(object, key));
    return s ? s : "";
}

json_int_t cli_json_int(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

/* "512 MiB" */
static const char *query_size(json_int_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
    unsigned u = 0;
    while (bytes && bytes % 1024 == 0 && u < 5) {
        bytes /= 1024;
        u++;
    }
    snprintf(text, size, "%lld %s", (long long)bytes, units[u]);
    return text;
}

static void query_devices_text(const json_t *list)
{
    size_t i;
    json_t *d;
    json_array_foreach(list, i, d)
    {
        printf("%-20s", cli_json_str(d, "name"));
        cli_wrap(stdout, cli_json_str(d, "help"), 20, 20, 100);
    }
}

int cli_devices(struct cli *cli)
{
    return cli_json_print(cli, vr_query_devices(), query_devices_text);
}

static void query_windows_text(const json_t *windows)
{
    size_t i, k;
    json_t *w, *reg;
    char size[32];
    json_array_foreach(windows, i, w)
    {
        printf("\nwindow %s, %s:\n", cli_json_str(w, "name"),
               query_size(cli_json_int(w, "len_bytes"), size, sizeof(size)));
        json_array_foreach(json_object_get(w, "registers"), k, reg)
        {
            char name[64];
            json_int_t count = cli_json_int(reg, "count");
            snprintf(name, sizeof(name), "%s", cli_json_str(reg, "name"));
            if (count > 1) {
                snprintf(name, sizeof(name), "%s[%lld]", cli_json_str(reg, "name"),
                         (long long)count);
            }
            printf("  0x%06llx %lld %s  %-18s ", (long long)cli_json_int(reg, "offset"),
                   (long long)cli_json_int(reg, "width_bytes"), cli_json_str(reg, "access"), name);
            cli_wrap(stdout, cli_json_str(reg, "help"), 35, 35, 110);
        }
    }
}

static void query_device_text(const json_t *d)
{
    size_t i;
    json_t *f;
    printf("%s: %s\n", cli_json_str(d, "name"), cli_json_str(d, "help"));
    if (json_array_size(json_object_get(d, "options"))) {
        printf("\noptions:\n");
    }
    json_array_foreach(json_object_get(d, "options"), i, f)
    {
        char *def = json_dumps(json_object_get(f, "default"), JSON_ENCODE_ANY);
        printf("  %-16s %-5s ", cli_json_str(f, "name"), cli_json_str(f, "type"));
        cli_wrap(stdout, cli_json_str(f, "help"), 25, 25, 100);
        printf("%25sdefault %s\n", "", def ? def : "");
        free(def);
    }
    query_windows_text(json_object_get(d, "windows"));
    if (json_array_size(json_object_get(d, "state"))) {
        printf("\nstate:\n");
    }
    json_array_foreach(json_object_get(d, "state"), i, f)
    {
        char name[64];
        json_int_t count = cli_json_int(f, "count");
        snprintf(name, sizeof(name), "%s", cli_json_str(f, "name"));
        if (count > 1) {
            snprintf(name, sizeof(name), "%s[%lld]", cli_json_str(f, "name"), (long long)count);
        }
        printf("  %-20s %-6s ", name, cli_json_str(f, "type"));
        cli_wrap(stdout, cli_json_str(f, "help"), 30, 30, 110);
    }
}

int cli_device_help(struct cli *cli)
{
    struct vr_error err = {0};
    json_t *json;
    int r = vr_query_device(cli->args[1], &json, &err);
    return r < 0 ? cli_fail(&err) : cli_json_print(cli, json, query_device_text);
}

static void query_machines_text(const json_t *list)
{
    size_t i;
    json_t *m;
    char size[32];
    json_array_foreach(list, i, m)
    {
        printf("%s %s\n    ", cli_json_str(m, "arch"), cli_json_str(m, "name"));
        cli_wrap(stdout, cli_json_str(m, "help"), 4, 4, 100);
        printf(
            "    1 to %lld harts, memory from %s at 0x%llx, %lld virtio slots (up to %lld disks, "
            "%lld network cards)\n",
            (long long)cli_json_int(m, "cpus_max"),
            query_size(cli_json_int(m, "memory_min_bytes"), size, sizeof(size)),
            (long long)cli_json_int(m, "memory_gpa"), (long long)cli_json_int(m, "virtio_slots"),
            (long long)cli_json_int(m, "disks_max"), (long long)cli_json_int(m, "nets_max"));
    }
}

int cli_machines(struct cli *cli)
{
    return cli_json_print(cli, vr_query_machines(), query_machines_text);
}

static void query_host_text(const json_t *host)
{
    size_t i;
    json_t *check;
    json_array_foreach(json_object_get(host, "checks"), i, check)
    {
        printf("%-8s %-15s ", cli_json_str(check, "status"), cli_json_str(check, "name"));
        cli_wrap(stdout, cli_json_str(check, "detail"), 25, 25, 100);
    }
    printf(json_is_true(json_object_get(host, "usable"))
               ? "\nMachines run on this host.\n"
               : "\nNo machine runs on this host: see what is missing above.\n");
}

int cli_doctor(struct cli *cli)
{
    json_t *host = vr_query_host();
    bool usable = json_is_true(json_object_get(host, "usable"));
    int code = cli_json_print(cli, host, query_host_text);
    return code == CLI_OK && !usable ? CLI_HOST : code;
}

static void query_version_text(const json_t *v)
{
    size_t i;
    json_t *one;
    const char *feature;
    printf("vireo %s\nengines:", cli_json_str(v, "version"));
    json_array_foreach(json_object_get(v, "engines"), i, one)
    {
        printf(" %s", json_string_value(one));
    }
    printf("\nmachines:");
    json_array_foreach(json_object_get(v, "machines"), i, one)
    {
        printf("%s %s", i ? "," : "", json_string_value(one));
    }
    printf("\n");
    json_object_foreach(json_object_get(v, "features"), feature, one)
    {
        printf("%s: %s\n", feature, json_is_true(one) ? "yes" : "no");
    }
}

int cli_version(struct cli *cli)
{
    return cli_json_print(cli, vr_query_version(), query_version_text);
}

static void query_explain_text(const json_t *e)
{
    const json_t *machine = json_object_get(e, "machine");
    size_t i;
    json_t *row;
    char size[32];
    printf("machine   %s %s, called %s\nengine    %s, Vireo's own CPU; KVM not used: %s\n"
           "harts     %lld\nmemory    %s\nfirmware  %s\n\nsettings:\n",
           cli_json_str(machine, "arch"), cli_json_str(machine, "name"), cli_json_str(e, "name"),
           cli_json_str(e, "engine"), cli_json_str(e, "kvm_not_used_because"),
           (long long)cli_json_int(e, "harts"),
           query_size(cli_json_int(e, "memory_bytes"), size, sizeof(size)),
           cli_json_str(e, "firmware"));
    json_array_foreach(json_object_get(e, "settings"), i, row)
    {
        bool given = json_is_true(json_object_get(row, "given"));
        printf("  --%s %s%s%s%s\n", cli_json_str(row, "key"), cli_json_str(row, "value"),
               given ? "" : "  (default: ", cli_json_str(row, "why"), given ? "" : ")");
    }
    printf("\nmemory map:\n");
    json_array_foreach(json_object_get(e, "map"), i, row)
    {
        char irq[16] = "";
        if (cli_json_int(row, "irq")) {
            snprintf(irq, sizeof(irq), "irq %lld", (long long)cli_json_int(row, "irq"));
        }
        printf("  0x%09llx  %9s  %-6s  %-8s", (long long)cli_json_int(row, "gpa"),
               query_size(cli_json_int(row, "len_bytes"), size, sizeof(size)), irq,
               cli_json_str(row, "name"));
        const char *cls = cli_json_str(row, "class");
        printf("%s%s\n", *cls ? "  " : "", cls);
    }
    printf("\nPCI Express:\n");
    json_array_foreach(json_object_get(e, "pci"), i, row)
    {
        printf("  %-12s  %-8s  %s\n", cli_json_str(row, "place"), cli_json_str(row, "name"),
               cli_json_str(row, "class"));
    }
}

static int query_write_dtb(const struct cli *cli, struct vireo_vm *vm)
{
    const void *blob;
    size_t len;
    vr_vm_fdt(vm, &blob, &len);
    bool out = strcmp(cli->dump_dtb, "-") == 0;
    FILE *f = out ? stdout : fopen(cli->dump_dtb, "wbe");
    bool ok = f && fwrite(blob, 1, len, f) == len && fflush(f) == 0;
    int error = errno;
    if (f && !out) {
        ok &= fclose(f) == 0;
    }
    if (!ok) {
        cli_say("device tree %s: cannot write there: %s", cli->dump_dtb, strerror(error));
        return CLI_IO;
    }
    return CLI_OK;
}

int cli_explain(struct cli *cli)
{
    struct vr_error err = {0};
    struct vireo_vm *vm;
    int r = vr_vm_create_idle(cli->config, &vm, &err);
    if (r < 0) {
        return cli_fail(&err);
    }
    int code = cli->dump_dtb ? query_write_dtb(cli, vm) : CLI_OK;
    if (code == CLI_OK && cli->explain) {
        code = cli_json_print(cli, vr_query_explain(cli->config, vm), query_explain_text);
    }
    vireo_vm_destroy(vm);
    return code;
}
