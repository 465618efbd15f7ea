/* vireo platform pci|gpu|iommu|sriov|vfio: the host's PCI devices, and what is done to them. */
#include "base/bits.h"
#include "base/text.h"
#include "cli/cli.h"
#include "control/pci.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void pci_size_text(uint64_t bytes, char *text, size_t size)
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    unsigned u = 0;
    for (; bytes >= 1024 && bytes % 1024 == 0 && u < 4; u++) {
        bytes /= 1024;
    }
    snprintf(text, size, "%llu %s", (unsigned long long)bytes, units[u]);
}

static void pci_device_text(const struct vireo_pci_device *dev)
{
    char addr[VIREO_PCI_ADDR_SIZE], size[32];
    printf("%s  ", vireo_pci_addr_format(dev->addr, addr));
    printf("%s: ", *dev->class_name ? dev->class_name : vireo_pci_kind_name(dev->kind));
    if (*dev->device_name) {
        printf("%s %s\n", dev->vendor_name, dev->device_name);
    } else {
        printf("%s %04x:%04x\n", *dev->vendor_name ? dev->vendor_name : "device", dev->vendor_id,
               dev->device_id);
    }
    printf("    driver %s", *dev->driver ? dev->driver : "none");
    if (dev->iommu_group >= 0) {
        printf(", IOMMU group %d", dev->iommu_group);
    }
    if (dev->numa_node >= 0) {
        printf(", NUMA node %d", dev->numa_node);
    }
    if (dev->sriov_total) {
        printf(", %u of %u virtual functions", dev->sriov_count, dev->sriov_total);
    }
    if (dev->is_vf) {
        printf(", virtual function of %s", vireo_pci_addr_format(dev->physfn, addr));
    }
    if (dev->kind == VIREO_PCI_GPU) {
        pci_size_text(dev->gpu_aperture_bytes, size, sizeof(size));
        printf(", %s GPU, memory BAR of %s", vireo_gpu_type_name(dev->gpu_type), size);
    }
    putchar('\n');
}

static void pci_ready_text(const struct vireo_pci *pci, const struct vireo_pci_device *dev)
{
    static const char *const verdicts[] = {"ready for a guest", "can go to a guest after",
                                           "cannot go to a guest"};
    struct vireo_readiness ready;
    if (dev->kind == VIREO_PCI_BRIDGE || vireo_pci_readiness(pci, dev->addr, &ready, NULL) < 0) {
        return;
    }
    printf("    %s\n", verdicts[ready.verdict]);
    for (size_t i = 0; i < ready.reason_count; i++) {
        char text[400];
        snprintf(text, sizeof(text), "%s%s%s", ready.reasons[i].what,
                 *ready.reasons[i].todo ? ": " : "", ready.reasons[i].todo);
        printf("      - ");
        cli_wrap(stdout, text, 8, 8, 100);
    }
}

static void pci_iommu_text(const struct vireo_pci *pci)
{
    char addr[VIREO_PCI_ADDR_SIZE];
    printf("IOMMU: %s\n", vireo_iommu_kind_name(vireo_iommu_kind(pci)));
    for (size_t i = 0; i < vireo_iommu_group_count(pci); i++) {
        const struct vireo_iommu_group *g = vireo_iommu_group_at(pci, i);
        printf("group %d%s%s\n", g->number, g->no_iommu ? ", isolates nothing" : "",
               g->firmware_mapped ? ", held by the firmware" : "");
        for (size_t k = 0; k < g->device_count; k++) {
            const struct vireo_pci_device *dev = vireo_pci_find(pci, g->devices[k]);
            printf("    %s  %s\n", vireo_pci_addr_format(g->devices[k], addr),
                   !dev                ? "could not be read"
                   : *dev->device_name ? dev->device_name
                                       : vireo_pci_kind_name(dev->kind));
        }
    }
}

static int pci_show(struct cli *cli, const struct vireo_pci *pci)
{
    const char *view = cli->args[0];
    struct vr_error err = {0};
    if (cli->json) {
        json_t *all;
        if (vr_query_pci(pci, view, &all, &err) < 0) {
            return cli_fail(&err);
        }
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(all);
        return cli_flush();
    }
    if (strcmp(view, "iommu") == 0) {
        pci_iommu_text(pci);
    }
    for (size_t i = 0; strcmp(view, "iommu") != 0 && i < vireo_pci_count(pci); i++) {
        const struct vireo_pci_device *dev = vireo_pci_at(pci, i);
        bool gpu = strcmp(view, "gpu") == 0, sriov = strcmp(view, "sriov") == 0;
        if ((gpu && dev->kind != VIREO_PCI_GPU) || (sriov && !dev->sriov_total && !dev->is_vf)) {
            continue;
        }
        pci_device_text(dev);
        if (!sriov) {
            pci_ready_text(pci, dev);
        }
    }
    for (size_t i = 0; vireo_pci_problem(pci, i); i++) {
        cli_say("%s", vireo_pci_problem(pci, i));
    }
    return cli_flush();
}

void cli_pci_step(void *opaque, size_t i, const struct vireo_step *step)
{
    const struct cli *cli = opaque;
    static const char *const dry[] = {"write", "check that there is", "check the driver",
                                      "check that nobody uses", "set"};
    (void)i;
    if (cli->quiet) {
        return;
    }
    if (step->kind != VIREO_STEP_CHECK_DRIVER && step->kind != VIREO_STEP_CHECK_FREE) {
        printf("%s '%s' %s /%s (%s)\n", dry[step->kind], step->text,
               step->kind == VIREO_STEP_WRITE        ? "to"
               : step->kind == VIREO_STEP_CHECK_TEXT ? "in"
                                                     : "of",
               step->path, step->why);
    } else {
        printf("%s /%s (%s)\n", dry[step->kind], step->path, step->why);
    }
}

static int pci_run_plan(struct cli *cli, struct vireo_plan *plan)
{
    struct vr_error err = {0};
    int code = CLI_OK;
    if (vireo_plan_count(plan) == 0) {
        printf("nothing to do\n");
    }
    for (size_t i = 0; cli->dry_run && i < vireo_plan_count(plan); i++) {
        cli_pci_step(cli, i, vireo_plan_step(plan, i));
    }
    if (!cli->dry_run && vireo_plan_run(plan, cli_pci_step, cli, &err) < 0) {
        code = cli_fail(&err);
    }
    int flushed = cli_flush();
    return code == CLI_OK ? flushed : code;
}

enum pci_verb {
    PCI_CREATE,
    PCI_SET,
    PCI_DELETE,
    PCI_SHOW,
    PCI_BIND,
    PCI_UNBIND,
    PCI_TEST,
    PCI_HOLD
};

enum { PCI_DRY = 1, PCI_GROUP = 2, PCI_WAY = 4, PCI_FORCE = 8, PCI_JSON = 16 };

static const struct {
    const char *part, *name;
    enum pci_verb verb;
    unsigned min_args, max_args; /* behind the name */
    unsigned options;            /* that it takes */
} pci_verbs[] = {
    {"sriov", "create", PCI_CREATE, 2, 2, PCI_DRY},
    {"sriov", "set", PCI_SET, 2, CLI_ARGS - 2, PCI_DRY},
    {"sriov", "delete", PCI_DELETE, 1, 1, PCI_DRY | PCI_FORCE},
    {"sriov", "show", PCI_SHOW, 1, 1, PCI_JSON},
    {"vfio", "bind", PCI_BIND, 1, 1, PCI_DRY | PCI_GROUP},
    {"vfio", "unbind", PCI_UNBIND, 1, 1, PCI_DRY | PCI_GROUP},
    {"vfio", "test", PCI_TEST, 1, 1, PCI_WAY},
    {"vfio", "hold", PCI_HOLD, 1, 1, PCI_WAY | PCI_GROUP},
};

/* The options that were given and are not in @allowed: the first one's name, or NULL. */
static const char *pci_option_not_in(const struct cli *cli, unsigned allowed)
{
    return cli->dry_run && !(allowed & PCI_DRY)         ? "--dry-run"
           : cli->whole_group && !(allowed & PCI_GROUP) ? "--group"
           : cli->way && !(allowed & PCI_WAY)           ? "--way"
           : cli->force && !(allowed & PCI_FORCE)       ? "--force"
           : cli->json && !(allowed & PCI_JSON)         ? "--json"
                                                        : NULL;
}

static int pci_plan(const struct cli *cli, const struct vireo_pci *pci, enum pci_verb verb,
                    struct vireo_pci_addr addr, struct vireo_plan **ret_plan, struct vr_error *err)
{
    uint64_t count = 0;
    bool settings = verb == PCI_SET && strchr(cli->args[3], '=');
    if (cli->arg_count > 3 && !settings &&
        (cli->arg_count > 4 || vr_parse_u64(cli->args[3], &count) < 0 || count > UINT16_MAX)) {
        return vr_err(err, -EINVAL, "'%.40s': how many virtual functions? A number%s", cli->args[3],
                      verb == PCI_SET ? "; or settings, as in vlan=7" : "");
    }
    switch (verb) {
    case PCI_CREATE:
        return vireo_plan_sriov_create(pci, addr, (unsigned)count, ret_plan, err);
    case PCI_SET:
        return settings ? cli_sriov_plan(cli, pci, addr, ret_plan, err)
                        : vireo_plan_sriov_set(pci, addr, (unsigned)count, ret_plan, err);
    case PCI_DELETE:
        return cli->force ? vireo_plan_sriov_delete_used(pci, addr, ret_plan, err)
                          : vireo_plan_sriov_delete(pci, addr, ret_plan, err);
    case PCI_BIND:
        return vireo_plan_vfio_bind(pci, addr, cli->whole_group, ret_plan, err);
    default:
        return vireo_plan_vfio_unbind(pci, addr, cli->whole_group, ret_plan, err);
    }
}

/* The functions that are there now. */
static int pci_show_made(struct cli *cli, struct vireo_pci_addr addr)
{
    struct vireo_pci_options options = {.root = cli->root, .ids_path = ""};
    struct vireo_pci *pci;
    struct vr_error err = {0};
    if (vireo_pci_scan(&options, &pci, &err) < 0) {
        return cli_fail(&err);
    }
    int code = cli_sriov_show(cli, pci, addr);
    vireo_pci_destroy(pci);
    return code;
}

static int pci_do(struct cli *cli, const struct vireo_pci *pci, enum pci_verb verb)
{
    struct vireo_pci_addr addr;
    struct vr_error err = {0};
    struct vireo_plan *plan;
    if (vireo_pci_addr_parse(cli->args[2], &addr, &err) < 0) {
        return cli_fail(&err);
    }
    if (verb == PCI_TEST || verb == PCI_HOLD) {
        return verb == PCI_TEST ? cli_vfio_test(cli, addr) : cli_vfio_hold(cli, addr);
    }
    if (verb == PCI_SHOW) {
        return cli_sriov_show(cli, pci, addr);
    }
    if (pci_plan(cli, pci, verb, addr, &plan, &err) < 0) {
        return cli_fail(&err);
    }
    int code = pci_run_plan(cli, plan);
    vireo_plan_destroy(plan);
    bool made = verb == PCI_CREATE && !cli->dry_run && !cli->quiet;
    return code == CLI_OK && made ? pci_show_made(cli, addr) : code;
}

static int pci_change(struct cli *cli, const struct vireo_pci *pci)
{
    for (unsigned i = 0; cli->arg_count > 1 && i < VR_COUNT(pci_verbs); i++) {
        unsigned args = cli->arg_count - 2;
        if (strcmp(cli->args[0], pci_verbs[i].part) == 0 &&
            strcmp(cli->args[1], pci_verbs[i].name) == 0 && args >= pci_verbs[i].min_args &&
            args <= pci_verbs[i].max_args) {
            const char *option = pci_option_not_in(cli, pci_verbs[i].options);
            if (option) {
                cli_say("platform %s %s: takes no %s", cli->args[0], cli->args[1], option);
                return CLI_USAGE;
            }
            return pci_do(cli, pci, pci_verbs[i].verb);
        }
    }
    cli_say(
        "platform %s: %s", cli->args[0],
        strcmp(cli->args[0], "sriov") == 0
            ? "create ADDRESS COUNT, set ADDRESS COUNT, set ADDRESS SETTING..., delete ADDRESS, "
              "or show ADDRESS"
        : strcmp(cli->args[0], "vfio") == 0
            ? "bind ADDRESS, unbind ADDRESS, test ADDRESS or hold ADDRESS"
            : "nothing may follow it");
    return CLI_USAGE;
}

const char *cli_pci_verb(unsigned i)
{
    return i < VR_COUNT(pci_verbs) ? pci_verbs[i].name : NULL;
}

bool cli_is_platform_pci(const struct cli *cli)
{
    bool is = cli->arg_count && strcmp(cli->args[0], "vfio") == 0;
    for (unsigned i = 0; cli->arg_count && vr_query_pci_view(i); i++) {
        is = is || strcmp(cli->args[0], vr_query_pci_view(i)) == 0;
    }
    return is;
}

int cli_platform_pci(struct cli *cli)
{
    struct vireo_pci_options options = {.root = cli->root};
    struct vireo_pci *pci;
    struct vr_error err = {0};
    bool change = cli->arg_count > 1 || strcmp(cli->args[0], "vfio") == 0;
    const char *option = change ? NULL : pci_option_not_in(cli, PCI_JSON);
    if (option) {
        cli_say("platform %s: takes no %s", cli->args[0], option);
        return CLI_USAGE;
    }
    if (vireo_pci_scan(&options, &pci, &err) < 0) {
        return cli_fail(&err);
    }
    int code = change ? pci_change(cli, pci) : pci_show(cli, pci);
    vireo_pci_destroy(pci);
    return code;
}
