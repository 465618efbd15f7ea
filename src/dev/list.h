/* Every device class, in the order `vireo devices` prints them: define VR_DEV(name), then include.
 * The class of VR_DEV(name) is vr_name_class. */
VR_DEV(clint)
VR_DEV(aclint_sswi)
VR_DEV(plic)
VR_DEV(aplic)
VR_DEV(imsic)
VR_DEV(uart16550)
VR_DEV(goldfish_rtc)
VR_DEV(htif)
VR_DEV(sifive_test)
VR_DEV(fw_cfg)
VR_DEV(pflash_cfi)
VR_DEV(pci_host)
VR_DEV(pci_root_port)
VR_DEV(virtio_blk_mmio)
VR_DEV(virtio_net_mmio)
VR_DEV(virtio_console_mmio)
VR_DEV(virtio_rng_mmio)
VR_DEV(virtio_balloon_mmio)
VR_DEV(virtio_fs_mmio)

#undef VR_DEV
