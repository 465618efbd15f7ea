/* vireo platform vfio test and hold: a device of the host in this process's hands, for a moment, or
 * until the host wants it back. */
#include "cli/cli.h"
#include "vireo/host_manager.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static void vfio_tell(void *opaque, const char *line)
{
    const struct cli *cli = opaque;
    if (!cli->quiet) {
        printf("  %s\n", line);
    }
}

static int vfio_way(const char *text, enum vireo_vfio_way *ret_way, struct vr_error *err)
{
    for (int way = VIREO_VFIO_AUTO; way <= VIREO_VFIO_IOMMUFD; way++) {
        if (!text || strcmp(text, vireo_vfio_way_name((enum vireo_vfio_way)way)) == 0) {
            *ret_way = (enum vireo_vfio_way)way;
            return 0;
        }
    }
    return vr_err(err, -EINVAL, "--way %.40s: auto, group or iommufd", text);
}

int cli_vfio_test(struct cli *cli, struct vireo_pci_addr addr)
{
    struct vireo_vfio_options options = {.root = cli->root};
    struct vireo_vfio_space *space;
    struct vr_error err = {0};
    char name[VIREO_PCI_ADDR_SIZE];
    if (vfio_way(cli->way, &options.way, &err) < 0 ||
        vireo_vfio_space_create(&options, &space, &err) < 0) {
        return cli_fail(&err);
    }
    if (!cli->quiet) {
        printf("%s\n", vireo_pci_addr_format(addr, name));
    }
    int r = vireo_vfio_try(space, addr, vfio_tell, cli, &err);
    vireo_vfio_space_destroy(space);
    if (r == 0 && !cli->quiet) {
        printf("everything worked\n");
    }
    int flushed = cli_flush();
    return r < 0 ? cli_fail(&err) : flushed;
}

/* Wait until the host wants it back, and say so. */
static int vfio_wait(struct cli *cli, struct vireo_manager *m, struct vireo_pci_addr addr,
                     struct vr_error *err)
{
    char name[VIREO_PCI_ADDR_SIZE];
    vireo_pci_addr_format(addr, name);
    if (!cli->quiet) {
        printf("%s is %s; held until the host wants it back\n", name,
               vireo_manager_state_name(vireo_manager_state(m, addr)));
        fflush(stdout);
    }
    int r = vireo_manager_wait(m, addr, -1, err);
    if (r > 0 && !cli->quiet) {
        printf("%s is wanted back\n", name);
    }
    return r < 0 ? r : 0;
}

int cli_vfio_hold(struct cli *cli, struct vireo_pci_addr addr)
{
    struct vireo_manager_options options = {
        .pci = {.root = cli->root, .ids_path = ""}, .step = cli_pci_step, .opaque = cli};
    struct vireo_manager *m;
    struct vireo_vfio *dev;
    struct vr_error err = {0};
    char name[VIREO_PCI_ADDR_SIZE];
    if (vfio_way(cli->way, &options.way, &err) < 0 ||
        vireo_manager_create(&options, &m, &err) < 0) {
        return cli_fail(&err);
    }
    int r = vireo_manager_attach(m, addr, cli->whole_group, &dev, &err);
    if (r == 0) {
        struct vr_error back = {0};
        r = vfio_wait(cli, m, addr, &err);
        int d = vireo_manager_detach(m, addr, &back);
        if (r == 0 && d < 0) {
            r = d;
            err = back;
        }
    }
    if (r == 0 && !cli->quiet) {
        printf("%s is %s\n", vireo_pci_addr_format(addr, name),
               vireo_manager_state_name(vireo_manager_state(m, addr)));
    }
    vireo_manager_destroy(m);
    int flushed = cli_flush();
    return r < 0 ? cli_fail(&err) : flushed;
}
