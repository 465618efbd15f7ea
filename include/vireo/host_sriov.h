/*
 * Virtual functions of this host's SR-IOV devices, each by itself: whose it is, and what its
 * physical function's driver lets it do on the network. Making and deleting them is in
 * vireo/host_pci.h.
 *
 *     struct vireo_vf_settings s = {0};
 *     struct vireo_plan *plan;
 *     if (vireo_vf_setting_parse(&s, "mac=52:54:00:12:34:56", &err) == 0 &&
 *         vireo_vf_setting_parse(&s, "vlan=7", &err) == 0 &&
 *         vireo_plan_vf_set(pci, addr, &s, &plan, &err) == 0) {
 *         vireo_plan_run(plan, NULL, NULL, &err);
 *         vireo_plan_destroy(plan);
 *     }
 *
 * Settings live in the kernel (rtnetlink), not in files: they are of the host that runs this, and
 * unknown when the scan was of another root. Changing them takes CAP_NET_ADMIN.
 *
 * Errors and threads: as in vireo/host_pci.h.
 */
#ifndef VIREO_HOST_SRIOV_H
#define VIREO_HOST_SRIOV_H

#include "vireo/host_pci.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Bits: which members of the settings count. */
enum {
    VIREO_VF_MAC = 1 << 0,
    VIREO_VF_VLAN = 1 << 1,
    VIREO_VF_RATE = 1 << 2,
    VIREO_VF_TRUST = 1 << 3,
    VIREO_VF_SPOOF_CHECK = 1 << 4,
    VIREO_VF_LINK = 1 << 5,
};

enum vireo_vf_link {
    VIREO_VF_LINK_AUTO, /* as the physical link is */
    VIREO_VF_LINK_ON,   /* always up, also while the physical one is down */
    VIREO_VF_LINK_OFF,
};
/* "auto", "on", "off": static storage. */
VIREO_API const char *vireo_vf_link_name(enum vireo_vf_link link);

struct vireo_vf_settings {
    unsigned known; /* VIREO_VF_*: read: what the driver tells; set: what is to be changed */
    uint8_t mac[6]; /* all zero: the driver of the function chooses */
    unsigned vlan;  /* put around its frames: 1 to 4094; 0: none */
    unsigned qos;   /* priority in that tag: 0 to 7 */
    unsigned min_mbps, max_mbps; /* what it may send, in Mbit/s: guaranteed, limit; 0: none */
    bool trusted;                /* may turn on promiscuous mode and choose its MAC */
    bool spoof_check;            /* what it sends from another MAC is dropped */
    enum vireo_vf_link link;
};

/*
 * Add a setting as people type it to @settings: mac=52:54:00:12:34:56, vlan=0..4094, qos=0..7
 * (with vlan), rate=MAX or rate=MIN:MAX, trust=on|off, spoofcheck=on|off, link=auto|on|off.
 * -EINVAL: unknown, malformed, a multicast MAC, MIN above MAX; -ERANGE; -EEXIST: twice.
 */
VIREO_API int vireo_vf_setting_parse(struct vireo_vf_settings *settings, const char *text,
                                     struct vr_error *err);
/* Setting @i that vireo_vf_setting_parse knows, "mac=": static storage; NULL past the end. */
VIREO_API const char *vireo_vf_setting_name(unsigned i);
/* Setting @bit (one of VIREO_VF_*) of @settings in that form, "vlan=7 qos=3", into @buf; @buf. */
enum { VIREO_VF_SETTING_SIZE = 48 };
VIREO_API const char *vireo_vf_setting_format(const struct vireo_vf_settings *settings,
                                              unsigned bit, char buf[VIREO_VF_SETTING_SIZE]);

/* Since the function was made, as seen from the physical side. */
struct vireo_vf_stats {
    uint64_t rx_packets, tx_packets, rx_bytes, tx_bytes;
    uint64_t broadcast, multicast; /* received */
    uint64_t rx_dropped, tx_dropped;
};

/* Who has a function. */
enum vireo_vf_owner {
    VIREO_VF_FREE,  /* no driver */
    VIREO_VF_HOST,  /* a driver of the host */
    VIREO_VF_VFIO,  /* VFIO has it, and nobody uses it */
    VIREO_VF_GUEST, /* a process uses it through VFIO */
};
/* "free", "host", "vfio", "guest": static storage. */
VIREO_API const char *vireo_vf_owner_name(enum vireo_vf_owner owner);

struct vireo_vf {
    unsigned index; /* among those of its physical function */
    struct vireo_pci_addr addr;
    enum vireo_vf_owner owner;
    char driver[VIREO_PCI_DRIVER_SIZE];
    struct vireo_vf_settings settings; /* known 0: not a network device, or not this host */
    bool has_stats;
    struct vireo_vf_stats stats;
};

/*
 * The virtual functions of the physical function at @addr, by index, at most @cap to @ret_list;
 * how many there are to *ret_count. Looks at the host again for owners and settings. -ENODEV: no
 * such device; -ENOTSUP: it has no SR-IOV; what rtnetlink answers.
 */
VIREO_API int vireo_sriov_list(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                               struct vireo_vf *ret_list, size_t cap, size_t *ret_count,
                               struct vr_error *err);

/*
 * Change settings of the virtual function at @addr: one step each, and when one fails those before
 * are put back. Each is read back after it was set. -ENODEV: no such device; -ENOTSUP: no virtual
 * function, its physical function is no network device with a driver, or not of this host.
 */
VIREO_API int vireo_plan_vf_set(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                const struct vireo_vf_settings *settings,
                                struct vireo_plan **ret_plan, struct vr_error *err);

/*
 * Delete all virtual functions as vireo_plan_sriov_delete does, also those that are bound to VFIO:
 * guests lose them. The kernel waits for a guest to let go when it was asked to (vireo/host_vfio.h,
 * VIREO_VFIO_IRQ_REQ).
 */
VIREO_API int vireo_plan_sriov_delete_used(const struct vireo_pci *pci, struct vireo_pci_addr addr,
                                           struct vireo_plan **ret_plan, struct vr_error *err);

#ifdef __cplusplus
}
#endif

#endif
