/*
 * Which devices of this host can a program have, and one of them in its hands.
 *
 *     give_device                 lists what can go to a guest, and what is in the way
 *     give_device 0000:03:00.0    takes that one from the host, looks at it, and gives it back
 *
 * By the public headers alone: <vireo/host_manager.h>, and what it includes.
 */
#include <vireo/host_manager.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEVICES_MAX = 256 };

static int failed(const struct vr_error *err)
{
    (void)fprintf(stderr, "give_device: %s\n", err->msg);
    return EXIT_FAILURE;
}

static void list(struct vireo_manager *m)
{
    static const struct vireo_manager_filter able = {.with = VIREO_FILTER_READY,
                                                     .at_most = VIREO_READY_AFTER};
    struct vireo_pci_addr addrs[DEVICES_MAX];
    char text[VIREO_PCI_ADDR_SIZE];
    size_t count = vireo_manager_list(m, &able, addrs, DEVICES_MAX);
    for (size_t i = 0; i < count && i < DEVICES_MAX; i++) {
        const struct vireo_pci_device *dev = vireo_pci_find(vireo_manager_pci(m), addrs[i]);
        struct vireo_readiness ready;
        printf("%s %s %s (%s)\n", vireo_pci_addr_format(addrs[i], text),
               vireo_pci_kind_name(dev->kind), dev->device_name,
               vireo_manager_state_name(vireo_manager_state(m, addrs[i])));
        if (vireo_pci_readiness(vireo_manager_pci(m), addrs[i], &ready, NULL) == 0) {
            for (size_t k = 0; k < ready.reason_count; k++) {
                printf("    %s: %s\n", ready.reasons[k].what, ready.reasons[k].todo);
            }
        }
    }
    printf("%zu of %zu devices\n", count, vireo_manager_list(m, NULL, NULL, 0));
}

static int have(struct vireo_manager *m, struct vireo_pci_addr addr)
{
    struct vireo_vfio *dev;
    struct vr_error err;
    uint64_t ids;
    if (vireo_manager_attach(m, addr, true, &dev, &err) < 0) {
        return failed(&err);
    }
    for (unsigned i = 0; i < vireo_vfio_region_count(dev); i++) {
        const struct vireo_vfio_region *region = vireo_vfio_region(dev, i);
        if (region->len_bytes) {
            printf("%s: %" PRIu64 " bytes\n", vireo_vfio_region_name(i), region->len_bytes);
        }
    }
    int code = EXIT_SUCCESS;
    if (vireo_vfio_read(dev, VIREO_VFIO_CONFIG, 0, 4, &ids, &err) < 0) {
        code = failed(&err);
    } else {
        printf("ids %04x:%04x\n", (unsigned)(ids & 0xffff), (unsigned)(ids >> 16));
    }
    if (vireo_manager_detach(m, addr, &err) < 0) {
        code = failed(&err);
    }
    return code;
}

int main(int argc, char **argv)
{
    struct vireo_manager *m;
    struct vireo_pci_addr addr;
    struct vr_error err;
    int code = EXIT_SUCCESS;
    if (argc > 2 || (argc == 2 && vireo_pci_addr_parse(argv[1], &addr, &err) < 0)) {
        (void)fprintf(stderr, "usage: give_device [ADDRESS, as in 0000:03:00.0]\n");
        return EXIT_FAILURE;
    }
    if (vireo_manager_create(NULL, &m, &err) < 0) {
        return failed(&err);
    }
    if (argc == 2) {
        code = have(m, addr);
    } else {
        list(m);
    }
    vireo_manager_destroy(m);
    return code;
}
