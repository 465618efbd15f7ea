/* What the platform layer says of the host that it runs in, a fact a line, for lab hosts whose
 * `vireo` is not built. */
#include "vireo/host_pci.h"
#include "vireo/platform.h"

#include <stdio.h>

static void ability(const char *name, const struct vireo_ability *a)
{
    printf("%s %d %d %s\n", name, a->present, a->works, a->detail);
}

int main(void)
{
    const struct vireo_platform *host;
    const struct vireo_caps *caps = vireo_platform_caps();
    struct vireo_pci *pci;
    struct vr_error err;
    if (vireo_platform_get(&host, &err) < 0 || vireo_pci_scan(NULL, &pci, &err) < 0) {
        fprintf(stderr, "facts: %s\n", err.msg);
        return 1;
    }
    printf("arch %s\n", host->cpu.arch_name);
    printf("virt %s %d\n", host->cpu.virt_name, host->cpu.virt == VIREO_YES);
    printf("iommu %s\n", vireo_iommu_kind_name(vireo_iommu_kind(pci)));
    for (uint32_t i = 0; i < host->cpu.count; i++) {
        const struct vireo_cpu *c = &host->cpu.list[i];
        printf("cpu %u %u %u %u\n", c->id, c->package, c->core, c->node);
    }
    for (uint32_t i = 0; i < host->node_count; i++) {
        printf("node %u %llu\n", host->nodes[i].id,
               (unsigned long long)host->nodes[i].total_bytes >> 20);
    }
    ability("kvm", &caps->kvm);
    ability("io_uring", &caps->io_uring);
    ability("jit", &caps->jit);
    for (size_t i = 0; i < vireo_pci_count(pci); i++) {
        const struct vireo_pci_device *d = vireo_pci_at(pci, i);
        char addr[VIREO_PCI_ADDR_SIZE];
        printf("pci %s %x %x %x %d %s\n", vireo_pci_addr_format(d->addr, addr), d->vendor_id,
               d->device_id, d->class_code >> 8, d->iommu_group, d->driver);
    }
    vireo_pci_destroy(pci);
    return 0;
}
