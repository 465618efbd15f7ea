/*
 * What is special about giving a graphics card to a guest: the picture that the firmware left on
 * it (drivers/firmware/sysfb.c of Linux, Documentation/fb/), VGA's legacy addresses
 * (Documentation/gpu/vgaarbiter.rst), the option ROM (Documentation/PCI/sysfs-pci.rst), the other
 * functions of its slot, and resets (reset_method in Documentation/ABI/testing/sysfs-bus-pci).
 * Which AMD cards do not come back from a reset is what the project vendor-reset lists.
 */
#include "base/bits.h"
#include "platform/pci_ready.h"

#include <stdio.h>
#include <string.h>

enum { GPU_VENDOR_AMD = 0x1002, GPU_VENDOR_INTEL = 0x8086, GPU_CLASS_VGA = 0x0300 };

static bool gpu_is_vga(const struct vireo_pci_device *dev)
{
    return dev->class_code >> 8 == GPU_CLASS_VGA;
}

/* ---- The host's own picture ---- */

/* The firmware's frame buffer, as long as no real driver took it over: drivers of the platform bus
 * that have a device then. */
static void gpu_firmware_picture(struct vr_ready *c)
{
    static const char *const drivers[] = {"simple-framebuffer", "efi-framebuffer",
                                          "vesa-framebuffer"};
    for (unsigned i = 0; i < VR_COUNT(drivers); i++) {
        char path[VR_SYSFS_PATH], todo[200];
        struct vr_sysfs_list names;
        snprintf(path, sizeof(path), "sys/bus/platform/drivers/%s", drivers[i]);
        if (vr_sysfs_list(&c->pci->fs, path, &names) < 0) {
            continue;
        }
        for (size_t k = 0; k < names.count; k++) {
            size_t len = strlen(drivers[i]);
            if (strncmp(names.names[k], drivers[i], len) == 0 && names.names[k][len] == '.') {
                snprintf(todo, sizeof(todo),
                         "echo %.32s > /%.60s/unbind; or boot with initcall_blacklist=sysfb_init",
                         names.names[k], path);
                vr_ready_add(
                    c, VIREO_READY_AFTER, todo,
                    "the host still draws in its memory, as the firmware set it up (%.32s)",
                    names.names[k]);
            }
        }
        vr_sysfs_list_free(&names);
    }
}

static void gpu_console(struct vr_ready *c)
{
    struct vr_sysfs_list names;
    if (vr_sysfs_list(&c->pci->fs, "sys/class/vtconsole", &names) < 0) {
        return;
    }
    for (size_t i = 0; i < names.count; i++) {
        char path[VR_SYSFS_PATH], text[64], todo[200];
        uint64_t bound;
        snprintf(path, sizeof(path), "sys/class/vtconsole/%.32s/name", names.names[i]);
        if (vr_sysfs_text(&c->pci->fs, path, text, sizeof(text)) < 0 ||
            !strstr(text, "frame buffer")) {
            continue;
        }
        snprintf(path, sizeof(path), "sys/class/vtconsole/%.32s/bind", names.names[i]);
        if (vr_sysfs_u64(&c->pci->fs, path, 1, &bound) == 0 && bound) {
            snprintf(todo, sizeof(todo),
                     "echo 0 > /%.80s before it is bound to vfio-pci; log in by network", path);
            vr_ready_add(c, VIREO_READY, todo,
                         "the host's text console is drawn on a graphics "
                         "card, this one it may be");
        }
    }
    vr_sysfs_list_free(&names);
}

/* Legacy addresses can be decoded by one card at a time. */
static void gpu_vga(struct vr_ready *c)
{
    unsigned count = 0;
    for (size_t i = 0; i < c->pci->count; i++) {
        count += gpu_is_vga(&c->pci->devices[i]);
    }
    if (gpu_is_vga(c->dev) && count > 1) {
        vr_ready_add(c, VIREO_READY, "start the guest by UEFI: then nobody needs those addresses",
                     "it is one of %u VGA cards, which take turns at the legacy addresses", count);
    }
}

static void gpu_rom(struct vr_ready *c)
{
    char name[VIREO_PCI_ADDR_SIZE], todo[200];
    vireo_pci_addr_format(c->dev->addr, name);
    if (c->dev->rom_bytes == 0) {
        vr_ready_add(c, VIREO_READY,
                     "the guest shows nothing before its driver runs; give it a ROM from a file, "
                     "dumped where the card has one",
                     "it has no option ROM that the host can see");
    } else if (c->dev->boot_vga) {
        snprintf(todo, sizeof(todo),
                 "start the host on another display, then: cd /sys/bus/pci/devices/%s; echo 1 > "
                 "rom; cat rom > FILE; echo 0 > rom",
                 name);
        vr_ready_add(c, VIREO_READY, todo,
                     "its option ROM, since the host started on it, reads as the copy that the "
                     "firmware changed");
    }
}

/* ---- The rest of the card ---- */

static const char *gpu_companion(const struct vireo_pci_device *dev)
{
    switch (dev->class_code >> 8) {
    case 0x0401:
    case 0x0403:
        return "its sound (HDMI, DisplayPort)";
    case 0x0c03:
        return "its USB-C controller";
    case 0x0c80:
        return "its USB-C power control";
    default:
        return NULL;
    }
}

static void gpu_companions(struct vr_ready *c)
{
    const struct vireo_pci_addr *at = &c->dev->addr;
    for (size_t i = 0; i < c->pci->count; i++) {
        const struct vireo_pci_device *other = &c->pci->devices[i];
        const char *what = gpu_companion(other);
        char name[VIREO_PCI_ADDR_SIZE];
        if (!what || other->addr.domain != at->domain || other->addr.bus != at->bus ||
            other->addr.device != at->device || other == c->dev) {
            continue;
        }
        vireo_pci_addr_format(other->addr, name);
        if (*other->driver && !vr_pci_is_vfio_driver(other->driver)) {
            vr_ready_add(c, VIREO_READY_AFTER,
                         "bind it to vfio-pci as well, and give both to the guest as functions of "
                         "one slot",
                         "%s is %s, and the host's driver %s uses it", name, what, other->driver);
        } else {
            vr_ready_add(c, VIREO_READY, "give both to the guest as functions of one slot",
                         "%s is %s and goes along", name, what);
        }
    }
}

/* ---- Resets ---- */

/* AMD: Polaris, Vega and Navi 1x, by device id. */
static bool gpu_amd_stuck(uint16_t id)
{
    static const struct {
        uint16_t first, last;
        const char *name;
    } ranges[] = {
        {0x67c0, 0x67ff, "Polaris 10, 11"}, {0x6980, 0x699f, "Polaris 12"},
        {0x6860, 0x687f, "Vega 10"},        {0x66a0, 0x66af, "Vega 20"},
        {0x7310, 0x731f, "Navi 10"},        {0x7340, 0x734f, "Navi 14"},
        {0x7360, 0x7362, "Navi 12"},        {0x15d8, 0x15dd, "Raven"},
    };
    for (unsigned i = 0; i < VR_COUNT(ranges); i++) {
        if (id >= ranges[i].first && id <= ranges[i].last) {
            return true;
        }
    }
    return false;
}

static bool gpu_has_word(const char *text, const char *word)
{
    size_t len = strlen(word);
    for (const char *at = text; (at = strstr(at, word)); at += len) {
        if ((at == text || at[-1] == ' ') && (at[len] == 0 || at[len] == ' ')) {
            return true;
        }
    }
    return false;
}

static void gpu_reset(struct vr_ready *c)
{
    char path[VR_SYSFS_PATH], name[VIREO_PCI_ADDR_SIZE], todo[200], ways[128];
    bool stuck = c->dev->vendor_id == GPU_VENDOR_AMD && gpu_amd_stuck(c->dev->device_id);
    bool told = vr_sysfs_text(&c->pci->fs, vr_pci_path(path, c->dev->addr, "reset_method"), ways,
                              sizeof(ways)) == 0;
    vireo_pci_addr_format(c->dev->addr, name);
    if (stuck && !vr_sysfs_exists(&c->pci->fs, "sys/module/vendor_reset")) {
        vr_ready_add(c, VIREO_READY,
                     "load the module vendor-reset (github.com/gnif/vendor-reset), or power the "
                     "host off and on after each guest",
                     "AMD cards of this kind do not come back from a reset: the second guest finds "
                     "it dead");
    } else if (stuck && told && strncmp(ways, "device_specific", 15) != 0) {
        snprintf(todo, sizeof(todo), "echo device_specific > /sys/bus/pci/devices/%s/reset_method",
                 name);
        vr_ready_add(c, VIREO_READY, todo,
                     "vendor-reset is loaded, but the host would reset it by '%.60s'", ways);
    } else if (!stuck && told && *ways && !gpu_has_word(ways, "flr") &&
               !gpu_has_word(ways, "device_specific")) {
        vr_ready_add(c, VIREO_READY,
                     "give all functions of its slot to one guest, so that they are reset together",
                     "it has no function-level reset, only '%.60s'", ways);
    }
}

/* ---- Makers ---- */

static void gpu_maker(struct vr_ready *c)
{
    const struct vireo_pci_device *dev = c->dev;
    if (strcmp(dev->driver, "nvidia") == 0) {
        vr_ready_add(c, VIREO_READY_AFTER,
                     "stop what uses it (display server, nvidia-persistenced, CUDA programs)",
                     "the driver nvidia lets go of a card only when no program uses it");
    } else if (strcmp(dev->driver, "amdgpu") == 0 && dev->boot_vga) {
        vr_ready_add(
            c, VIREO_READY,
            "keep amdgpu from it: boot with vfio-pci.ids=VENDOR:DEVICE, or driver_override",
            "amdgpu has set it up, and may not get it into a state that a guest can start "
            "from");
    }
    if (dev->vendor_id == GPU_VENDOR_INTEL && dev->gpu_type == VIREO_GPU_INTEGRATED &&
        gpu_is_vga(dev)) {
        vr_ready_add(c, VIREO_READY,
                     "put it at 00:02.0 of the guest, and have a kernel with CONFIG_VFIO_PCI_IGD; "
                     "or give the guest a mediated or virtual function of it",
                     "Intel's integrated graphics need the firmware's OpRegion in the guest, or "
                     "their outputs stay dark");
        char text[8];
        if (vr_sysfs_text(&c->pci->fs, "sys/module/vfio_pci/parameters/disable_vga", text,
                          sizeof(text)) == 0 &&
            text[0] == 'Y') {
            vr_ready_add(c, VIREO_READY, "load vfio-pci with disable_vga=0",
                         "vfio-pci was told to keep VGA, which its start by BIOS needs");
        }
    }
}

void vr_ready_gpu(struct vr_ready *c)
{
    if (c->dev->kind != VIREO_PCI_GPU || c->dev->is_vf) {
        return;
    }
    if (c->dev->boot_vga) {
        gpu_firmware_picture(c);
    }
    if (!vr_pci_is_vfio_driver(c->dev->driver) && *c->dev->driver) {
        gpu_console(c);
    }
    gpu_maker(c);
    gpu_companions(c);
    gpu_vga(c);
    gpu_rom(c);
    gpu_reset(c);
}
