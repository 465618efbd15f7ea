/* vireo platform sriov show|set: virtual functions one by one. */
#include "cli/cli.h"
#include "control/pci.h"
#include "vireo/host_sriov.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void sriov_function_text(const struct vireo_vf *vf)
{
    char addr[VIREO_PCI_ADDR_SIZE], text[VIREO_VF_SETTING_SIZE];
    printf("%s  function %u, ", vireo_pci_addr_format(vf->addr, addr), vf->index);
    switch (vf->owner) {
    case VIREO_VF_FREE:
        printf("free: no driver has it\n");
        break;
    case VIREO_VF_HOST:
        printf("the host's, driver %s\n", vf->driver);
        break;
    case VIREO_VF_VFIO:
        printf("bound to %s, in no guest\n", vf->driver);
        break;
    case VIREO_VF_GUEST:
        printf("bound to %s, in use by a guest\n", vf->driver);
        break;
    }
    if (vf->settings.known) {
        printf("   ");
        for (unsigned bit = VIREO_VF_MAC; bit <= VIREO_VF_LINK; bit <<= 1) {
            if (vf->settings.known & bit) {
                printf(" %s", vireo_vf_setting_format(&vf->settings, bit, text));
            }
        }
        putchar('\n');
    }
    if (vf->has_stats) {
        printf(
            "    received %llu packets, %llu bytes, %llu dropped; sent %llu packets, %llu bytes, "
            "%llu dropped\n",
            (unsigned long long)vf->stats.rx_packets, (unsigned long long)vf->stats.rx_bytes,
            (unsigned long long)vf->stats.rx_dropped, (unsigned long long)vf->stats.tx_packets,
            (unsigned long long)vf->stats.tx_bytes, (unsigned long long)vf->stats.tx_dropped);
    }
}

int cli_sriov_show(struct cli *cli, const struct vireo_pci *pci, struct vireo_pci_addr addr)
{
    const struct vireo_pci_device *dev = vireo_pci_find(pci, addr);
    struct vireo_vf *list = NULL;
    struct vr_error err = {0};
    char name[VIREO_PCI_ADDR_SIZE];
    size_t count;
    struct vireo_pci_addr pf = dev && dev->is_vf ? dev->physfn : addr;
    if (vr_query_vfs(pci, pf, &list, &count, &err) < 0) {
        return cli_fail(&err);
    }
    if (cli->json) {
        json_t *all = json_pack("{s:o}", "vfs", vr_query_vfs_json(list, count));
        json_dumpf(all, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
        putchar('\n');
        json_decref(all);
    }
    for (size_t i = 0; !cli->json && i < count; i++) {
        if (!dev->is_vf || vireo_pci_addr_compare(list[i].addr, addr) == 0) {
            sriov_function_text(&list[i]);
        }
    }
    if (!cli->json && count == 0) {
        printf("%s has no virtual functions; it can have %u\n", vireo_pci_addr_format(addr, name),
               dev->sriov_total);
    }
    free(list);
    return cli_flush();
}

int cli_sriov_plan(const struct cli *cli, const struct vireo_pci *pci, struct vireo_pci_addr addr,
                   struct vireo_plan **ret_plan, struct vr_error *err)
{
    struct vireo_vf_settings settings = {0};
    for (unsigned i = 3; i < cli->arg_count; i++) {
        int r = vireo_vf_setting_parse(&settings, cli->args[i], err);
        if (r < 0) {
            return r;
        }
    }
    return vireo_plan_vf_set(pci, addr, &settings, ret_plan, err);
}
