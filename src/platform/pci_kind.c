/*
 * What a PCI device is, from its numbers: class codes as in the PCI Code and ID Assignment
 * Specification 1.16, section 1.
 */
#include "platform/pci.h"

#include "base/bits.h"
#include "base/text.h"

static enum vireo_pci_kind kind_of(const struct vireo_pci_device *dev)
{
    static const char *const npus[] = {"intel_vpu", "amdxdna", "habanalabs", "qaic", "apex"};
    switch (dev->class_code >> 16) {
    case 0x01:
        return VIREO_PCI_STORAGE;
    case 0x02:
        return VIREO_PCI_NETWORK;
    case 0x03:
        return VIREO_PCI_GPU;
    case 0x04:
        /* 0400 is video capture and 0402 telephony. */
        return dev->class_code >> 8 == 0x0401 || dev->class_code >> 8 == 0x0403 ? VIREO_PCI_AUDIO
                                                                                : VIREO_PCI_OTHER;
    case 0x06:
        return VIREO_PCI_BRIDGE;
    case 0x0c:
        return dev->class_code >> 8 == 0x0c03 ? VIREO_PCI_USB : VIREO_PCI_OTHER;
    case 0x0d:
        return VIREO_PCI_NETWORK; /* wireless */
    case 0x12:
        /* SDXI copies memory. GPUs without display ports are of this class too, at AMD. */
        return dev->class_code >> 8 == 0x1201 ? VIREO_PCI_OTHER
               : dev->vendor_id == 0x1002     ? VIREO_PCI_GPU
                                              : VIREO_PCI_NPU;
    default:
        return vr_word(dev->driver, npus, VR_COUNT(npus)) >= 0 ? VIREO_PCI_NPU : VIREO_PCI_OTHER;
    }
}

static enum vireo_gpu_maker kind_maker(const struct vireo_pci_device *dev)
{
    static const struct {
        uint16_t vendor;
        enum vireo_gpu_maker maker;
    } makers[] = {
        {0x10de, VIREO_GPU_MAKER_NVIDIA},  {0x1002, VIREO_GPU_MAKER_AMD},
        {0x8086, VIREO_GPU_MAKER_INTEL},   {0x17cb, VIREO_GPU_MAKER_MOBILE},
        {0x13b5, VIREO_GPU_MAKER_MOBILE},  {0x1010, VIREO_GPU_MAKER_MOBILE},
        {0x1234, VIREO_GPU_MAKER_VIRTUAL}, /* QEMU's standard VGA, bochs */
        {0x1af4, VIREO_GPU_MAKER_VIRTUAL}, /* virtio */
        {0x1b36, VIREO_GPU_MAKER_VIRTUAL}, /* QXL */
        {0x15ad, VIREO_GPU_MAKER_VIRTUAL}, /* VMware */
        {0x80ee, VIREO_GPU_MAKER_VIRTUAL}, /* VirtualBox */
        {0x1414, VIREO_GPU_MAKER_VIRTUAL}, /* Hyper-V */
        {0x1ab8, VIREO_GPU_MAKER_VIRTUAL}, /* Parallels */
    };
    for (size_t i = 0; i < VR_COUNT(makers); i++) {
        if (makers[i].vendor == dev->vendor_id) {
            return makers[i].maker;
        }
    }
    /* A real chip of 1995, but QEMU's in any host that still has one. */
    if (dev->vendor_id == 0x1013 && dev->subsystem_vendor_id == 0x1af4) {
        return VIREO_GPU_MAKER_VIRTUAL;
    }
    return VIREO_GPU_MAKER_OTHER;
}

void vr_pci_classify(struct vireo_pci_device *dev)
{
    dev->kind = kind_of(dev);
    if (dev->kind != VIREO_PCI_GPU) {
        return;
    }
    dev->gpu_maker = kind_maker(dev);
    for (unsigned i = 0; i < VIREO_PCI_BARS; i++) {
        const struct vireo_pci_bar *bar = &dev->bars[i];
        if (bar->kind >= VIREO_BAR_MEM32 && bar->len_bytes > dev->gpu_aperture_bytes) {
            dev->gpu_aperture_bytes = bar->len_bytes;
        }
    }
}

static bool kind_same_slot(struct vireo_pci_addr a, struct vireo_pci_addr b)
{
    return a.domain == b.domain && a.bus == b.bus && a.device == b.device;
}

static enum vireo_gpu_type kind_gpu_type(const struct vireo_pci_device *gpu,
                                         const struct vireo_pci_device *devices, size_t count)
{
    switch (gpu->gpu_maker) {
    case VIREO_GPU_MAKER_VIRTUAL:
        return VIREO_GPU_VIRTUAL;
    case VIREO_GPU_MAKER_NVIDIA:
        return VIREO_GPU_DISCRETE;
    case VIREO_GPU_MAKER_INTEL:
        /* Those of processors have always been 00:02.0; cards sit behind a port. */
        return gpu->addr.bus == 0 && gpu->addr.device == 2 ? VIREO_GPU_INTEGRATED
                                                           : VIREO_GPU_DISCRETE;
    case VIREO_GPU_MAKER_AMD:
        /* In a processor's slot there are also its security processor and USB, vendor 1022. */
        for (size_t i = 0; i < count; i++) {
            if (kind_same_slot(devices[i].addr, gpu->addr) && devices[i].vendor_id == 0x1022) {
                return VIREO_GPU_INTEGRATED;
            }
        }
        return VIREO_GPU_DISCRETE;
    default:
        /* The displays of servers' management controllers: ASPEED, Matrox. */
        return gpu->vendor_id == 0x1a03 || gpu->vendor_id == 0x102b ? VIREO_GPU_INTEGRATED
                                                                    : VIREO_GPU_UNKNOWN;
    }
}

void vr_pci_classify_gpus(struct vireo_pci_device *devices, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (devices[i].kind == VIREO_PCI_GPU) {
            devices[i].gpu_type = kind_gpu_type(&devices[i], devices, count);
        }
    }
}

const char *vireo_pci_kind_name(enum vireo_pci_kind kind)
{
    static const char *const names[] = {"other",   "gpu",   "npu", "network",
                                        "storage", "audio", "usb", "bridge"};
    return (unsigned)kind < VR_COUNT(names) ? names[kind] : "other";
}

const char *vireo_gpu_maker_name(enum vireo_gpu_maker maker)
{
    static const char *const names[] = {"other", "nvidia", "amd", "intel", "mobile", "virtual"};
    return (unsigned)maker < VR_COUNT(names) ? names[maker] : "other";
}

const char *vireo_gpu_type_name(enum vireo_gpu_type type)
{
    static const char *const names[] = {"unknown", "integrated", "discrete", "virtual"};
    return (unsigned)type < VR_COUNT(names) ? names[type] : "unknown";
}

const char *vireo_iommu_kind_name(enum vireo_iommu_kind kind)
{
    static const char *const names[] = {"none",       "Intel VT-d",   "AMD-Vi",       "Arm SMMU",
                                        "Arm SMMUv3", "RISC-V IOMMU", "virtio IOMMU", "other"};
    return (unsigned)kind < VR_COUNT(names) ? names[kind] : "other";
}
