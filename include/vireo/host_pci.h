/*
 * The PCI devices of this host: what they are, which IOMMU group each is in, what stands between a
 * device and a guest, and how to get it there (SR-IOV, VFIO).
 *
 *     struct vireo_pci *pci;
 *     struct vr_error err;
 *     if (vireo_pci_scan(NULL, &pci, &err) < 0) {
 *         fprintf(stderr, "%s\n", err.msg);
 *     }
 *     for (size_t i = 0; i < vireo_pci_count(pci); i++) {
 *         const struct vireo_pci_device *dev = vireo_pci_at(pci, i);
 *         char addr[VIREO_PCI_ADDR_SIZE];
 *         printf("%s %s\n", vireo_pci_addr_format(dev->addr, addr), dev->device_name);
 *     }
 *     vireo_pci_destroy(pci);
 *
 * A scan is a picture of one moment. It never changes, so any number of threads may read it; every
 * pointer taken from it lives until vireo_pci_destroy. Devices that come or go later are seen by
 * the next scan.
 *
 * Looking needs no privileges, vireo_plan_run does. What an unprivileged user may not see is told
 * as unknown.
 *
 * Errors: as in vireo/vm.h. Structs are filled by the library only, and grow at their end.
 */
#ifndef VIREO_HOST_PCI_H
#define VIREO_HOST_PCI_H

#include "vireo/error.h"
#include "vireo/version.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Addresses ---------------------------------------------------------------------------- */

/* Where a function sits. Linux numbers some domains (Intel VMD) beyond 16 bits. */
struct vireo_pci_addr {
    uint32_t domain;
    uint8_t bus;
    uint8_t device;   /* 0..31 */
    uint8_t function; /* 0..7 */
};

enum { VIREO_PCI_ADDR_SIZE = 17 }; /* "10000:e1:1f.7" and its NUL fit, and 8 digits of domain */

/*
 * Read an address: DOMAIN:BUS:DEVICE.FUNCTION in hexadecimal, digits of either case, leading zeros
 * as you like (at most 8, 2, 2, 1 digits). Without DOMAIN: it is 0, without .FUNCTION it is 0:
 * "0000:03:00.1", "3:0.1", "03:00". -EINVAL: not an address; -ERANGE: device above 1f, function
 * above 7.
 */
VIREO_API int vireo_pci_addr_parse(const char *text, struct vireo_pci_addr *ret_addr,
                                   struct vr_error *err);
/* The full form, "0000:03:00.1", into @buf. Returns @buf. Fields out of range are cut to size. */
VIREO_API const char *vireo_pci_addr_format(struct vireo_pci_addr addr,
                                            char buf[VIREO_PCI_ADDR_SIZE]);
/* <0, 0, >0: @a comes before, is, comes after @b. */
VIREO_API int vireo_pci_addr_compare(struct vireo_pci_addr a, struct vireo_pci_addr b);

/* ---- Devices ------------------------------------------------------------------------------ */

enum vireo_pci_kind {
    VIREO_PCI_OTHER,
    VIREO_PCI_GPU,
    VIREO_PCI_NPU,
    VIREO_PCI_NETWORK,
    VIREO_PCI_STORAGE,
    VIREO_PCI_AUDIO,
    VIREO_PCI_USB,
    VIREO_PCI_BRIDGE, /* host bridges and bridges between buses */
};
/* "gpu", "network", ...: static storage. */
VIREO_API const char *vireo_pci_kind_name(enum vireo_pci_kind kind);

enum vireo_gpu_maker {
    VIREO_GPU_MAKER_OTHER,
    VIREO_GPU_MAKER_NVIDIA,
    VIREO_GPU_MAKER_AMD,
    VIREO_GPU_MAKER_INTEL,
    VIREO_GPU_MAKER_MOBILE,  /* Qualcomm, Arm, Imagination */
    VIREO_GPU_MAKER_VIRTUAL, /* a hypervisor: this host is a guest itself */
};
VIREO_API const char *vireo_gpu_maker_name(enum vireo_gpu_maker maker);

enum vireo_gpu_type {
    VIREO_GPU_UNKNOWN,
    VIREO_GPU_INTEGRATED, /* part of the processor, chipset or board controller */
    VIREO_GPU_DISCRETE,
    VIREO_GPU_VIRTUAL,
};
VIREO_API const char *vireo_gpu_type_name(enum vireo_gpu_type type);

enum vireo_pci_bar_kind { VIREO_BAR_NONE, VIREO_BAR_IO, VIREO_BAR_MEM32, VIREO_BAR_MEM64 };

struct vireo_pci_bar {
    enum vireo_pci_bar_kind kind;
    bool prefetchable;
    uint64_t start;     /* host bus address; 0 when the host gave it none, or hides it */
    uint64_t len_bytes; /* 0 exactly when kind is VIREO_BAR_NONE */
};

enum { VIREO_PCI_BARS = 6, VIREO_PCI_NAME_SIZE = 128, VIREO_PCI_DRIVER_SIZE = 64 };

struct vireo_pci_device {
    struct vireo_pci_addr addr;
    uint16_t vendor_id, device_id;
    uint16_t subsystem_vendor_id, subsystem_id; /* 0: none */
    uint32_t class_code; /* 24 bits: class, subclass, programming interface */
    uint8_t revision;
    enum vireo_pci_kind kind;

    /* From the host's pci.ids; "" when that has no name. UTF-8. */
    char vendor_name[VIREO_PCI_NAME_SIZE];
    char device_name[VIREO_PCI_NAME_SIZE];
    char subsystem_name[VIREO_PCI_NAME_SIZE];
    char class_name[VIREO_PCI_NAME_SIZE];

    char driver[VIREO_PCI_DRIVER_SIZE];          /* bound to it; "": none */
    char driver_override[VIREO_PCI_DRIVER_SIZE]; /* the only driver that may bind; "": any */
    int numa_node;                               /* -1: none or unknown */
    int iommu_group;                             /* -1: none */
    char iommu[VIREO_PCI_DRIVER_SIZE];           /* the host's name of its IOMMU, "": none */
    bool boot_vga;                               /* the firmware's display */
    bool can_reset;                              /* the host knows a way to reset just this */
    struct vireo_pci_bar bars[VIREO_PCI_BARS];
    uint64_t rom_bytes; /* size of its option ROM; 0: none */

    /* SR-IOV. A physical function has sriov_total > 0, a virtual one is_vf. */
    unsigned sriov_total; /* virtual functions that it can have */
    unsigned sriov_count; /* that it has */
    bool sriov_autoprobe; /* the host binds drivers to new ones */
    bool is_vf;
    struct vireo_pci_addr physfn; /* is_vf: whose */

    /* kind VIREO_PCI_GPU */
    enum vireo_gpu_maker gpu_maker;
    enum vireo_gpu_type gpu_type;
    uint64_t gpu_aperture_bytes; /* its largest memory BAR */
    uint64_t gpu_memory_bytes;   /* its own memory as its driver tells; 0: unknown */
};

/* Where to look. Zero what you do not need. */
struct vireo_pci_options {
    /* The directory that holds sys/ and dev/; NULL: "/". Another one is a recorded or made-up host.
     */
    const char *root;
    /* A pci.ids file; NULL: found where hosts have it (names stay empty without); "": no names. */
    const char *ids_path;
};

/* A picture of the host's PCI devices. */
struct vireo_pci;

/*
 * Look at the host. A device that vanishes meanwhile is left out; one whose data make no sense is
 * left out and told by vireo_pci_problem. Free the result with vireo_pci_destroy.
 *
 * -ENOTSUP: not on this host (Windows); -ENOENT: it has no PCI, or there is no such root; -EACCES;
 * -ENOMEM; -EINVAL, -ENOENT, ...: the pci.ids file that was named.
 */
VIREO_API int vireo_pci_scan(const struct vireo_pci_options *options, struct vireo_pci **ret_pci,
                             struct vr_error *err);
VIREO_API void vireo_pci_destroy(struct vireo_pci *pci); /* NULL is fine */

/* How many devices; device @i in order of address, NULL past the end. */
VIREO_API size_t vireo_pci_count(const struct vireo_pci *pci);
VIREO_API const struct vireo_pci_device *vireo_pci_at(const struct vireo_pci *pci, size_t i);
/* The device at @addr, NULL: none. */
VIREO_API const struct vireo_pci_device *vireo_pci_find(const struct vireo_pci *pci,
                                                        struct vireo_pci_addr addr);
/* One line about device @i that could not be read whole; NULL past the end. At most 16 are kept. */
VIREO_API const char *vireo_pci_problem(const struct vireo_pci *pci, size_t i);

/* ---- IOMMU -------------------------------------------------------------------------------- */

enum vireo_iommu_kind {
    VIREO_IOMMU_NONE, /* not there, or not switched on */
    VIREO_IOMMU_INTEL,
    VIREO_IOMMU_AMD,
    VIREO_IOMMU_ARM_SMMU, /* versions 1 and 2 */
    VIREO_IOMMU_ARM_SMMU_V3,
    VIREO_IOMMU_RISCV,
    VIREO_IOMMU_VIRTIO,
    VIREO_IOMMU_OTHER,
};
/* "Intel VT-d", "AMD-Vi", ...; "none". Static storage. */
VIREO_API const char *vireo_iommu_kind_name(enum vireo_iommu_kind kind);
/* The host's IOMMU; where there are several, they are of one kind. */
VIREO_API enum vireo_iommu_kind vireo_iommu_kind(const struct vireo_pci *pci);

/* Devices that the IOMMU cannot tell apart, or that reach each other past it: they go to a guest
 * together or not at all. */
struct vireo_iommu_group {
    int number;
    char type[32]; /* the host's own use of it: "DMA", "DMA-FQ", "identity", ...; "" unknown */
    bool no_iommu; /* made by VFIO's unsafe mode: nothing is isolated */
    bool firmware_mapped; /* the firmware needs memory of the host mapped in it: VFIO refuses it */
    size_t device_count;
    const struct vireo_pci_addr *devices; /* sorted */
    size_t other_count;                   /* members that are not PCI */
};

VIREO_API size_t vireo_iommu_group_count(const struct vireo_pci *pci);
/* Group @i by number; NULL past the end. */
VIREO_API const struct vireo_iommu_group *vireo_iommu_group_at(const struct vireo_pci *pci,
                                                               size_t i);
/* The group with that number; NULL: none. */
VIREO_API const struct vireo_iommu_group *vireo_iommu_group_find(const struct vireo_pci *pci,
                                                                 int number);

/* ---- Passthrough -------------------------------------------------------------------------- */

enum vireo_ready {
    VIREO_READY,       /* a guest can have it now */
    VIREO_READY_AFTER, /* after what can be done on the running host */
    VIREO_READY_NOT,   /* not on this host as it was booted, or never */
};

struct vireo_ready_reason {
    enum vireo_ready weight; /* how far this alone is in the way; VIREO_READY: good to know */
    char what[160];
    char todo[200]; /* "": nothing can be done */
};

enum { VIREO_READY_REASONS = 16 };

struct vireo_readiness {
    enum vireo_ready verdict; /* the gravest of all reasons, also of those that did not fit */
    size_t reason_count;
    struct vireo_ready_reason reasons[VIREO_READY_REASONS];
};

/* Can the device at @addr go to a guest, and if not, why and what is to be done? Looks at the host
 * again for what changes often (links that are up, rights). -ENODEV: @pci has no such device. */
VIREO_API int vireo_pci_readiness(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                  struct vireo_readiness *ret_readiness, struct vr_error *err);

/* ---- Changing the host -------------------------------------------------------------------- */

/*
 * What is to be done, step by step: made from a scan, shown (that is a dry run), and carried out by
 * vireo_plan_run. Making one changes nothing. It does not need the scan any more. One thread at a
 * time.
 */
struct vireo_plan;

enum vireo_step_kind {
    VIREO_STEP_WRITE,        /* write @text to the file @path */
    VIREO_STEP_CHECK_TEXT,   /* @path has to hold @text */
    VIREO_STEP_CHECK_DRIVER, /* @path, a driver's link, has to name @text; "": none of VFIO */
    VIREO_STEP_CHECK_FREE,   /* @path, a VFIO group's file, may not be in use */
    VIREO_STEP_VF,           /* set @text ("vlan=7 qos=3") of the virtual function @path names */
};

struct vireo_step {
    enum vireo_step_kind kind;
    char path[160]; /* below the root, without the first slash */
    char text[64];  /* without newline; writing "" clears what was there */
    char why[96];   /* one line */
};

/*
 * Make @count virtual functions of the physical function at @addr, which has none; make it have
 * @count of them, whatever it has (the kernel takes all away first); delete all that it has.
 * Nothing to be done is a plan without steps.
 *
 * -ENODEV: no such device; -ENOTSUP: it has no SR-IOV, or no driver; -ERANGE: more than it can
 * have, or none; -EBUSY: it has some already (create), or one of them is bound to VFIO and may be
 * in a guest; -ENOMEM.
 */
VIREO_API int vireo_plan_sriov_create(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                      unsigned count, struct vireo_plan **ret_plan,
                                      struct vr_error *err);
VIREO_API int vireo_plan_sriov_set(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                   unsigned count, struct vireo_plan **ret_plan,
                                   struct vr_error *err);
VIREO_API int vireo_plan_sriov_delete(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                      struct vireo_plan **ret_plan, struct vr_error *err);

/*
 * Take the device at @addr, or with @whole_group all of its IOMMU group but bridges, from the
 * host's drivers and give it to vfio-pci, which hands it to guests. What is bound to it already
 * stays. -ENODEV: no such device, or vfio-pci is not loaded; -ENOTSUP: a bridge, or its IOMMU group
 * (or the lack of one) forbids it; -EBUSY: it has virtual functions; -ENOMEM.
 */
VIREO_API int vireo_plan_vfio_bind(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                   bool whole_group, struct vireo_plan **ret_plan,
                                   struct vr_error *err);
/* Back to the driver that the host would choose; what VFIO does not have stays as it is. -ENODEV:
 * no such device; -ENOMEM. */
VIREO_API int vireo_plan_vfio_unbind(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                     bool whole_group, struct vireo_plan **ret_plan,
                                     struct vr_error *err);

VIREO_API size_t vireo_plan_count(const struct vireo_plan *plan);
/* Step @i; NULL past the end. */
VIREO_API const struct vireo_step *vireo_plan_step(const struct vireo_plan *plan, size_t i);

/*
 * Carry the steps out in order. @done (NULL: nobody wants to know) is called after each that
 * succeeded. When one fails, those before it are undone, as far as that is possible; the message
 * says whether it was. -EACCES, -EPERM: root's rights are needed; -ENODEV, -ENOENT: the device has
 * gone; -EBUSY: a guest uses it; -EIO: the kernel said yes, but did not do it; and what else the
 * kernel answers. Binding and virtual functions can take seconds.
 */
VIREO_API int vireo_plan_run(struct vireo_plan *plan,
                             void (*done)(void *opaque, size_t i, const struct vireo_step *step),
                             void *opaque, struct vr_error *err);
VIREO_API void vireo_plan_destroy(struct vireo_plan *plan); /* NULL is fine */

#ifdef __cplusplus
}
#endif

#endif
