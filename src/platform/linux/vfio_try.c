/* Everything that VFIO does with a device, done once on a real one: registers of its configuration
 * as in the PCI Local Bus Specification 3.0, 6.1; eventfd(2). */
#include "base/bits.h"
#include "platform/linux/vfio_priv.h"
#include "platform/pci.h"

#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/eventfd.h>

struct
try {
    struct vireo_vfio_space *space;
    struct vireo_vfio *dev;
    struct vireo_pci_addr addr;
    void (*tell)(void *opaque, const char *line);
    void *opaque;
};

static VR_PRINTF(2, 3) void try_tell(const struct try *t, const char *fmt, ...)
{
    char line[200];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(line, sizeof(line), fmt, ap);
    va_end(ap);
    if (t->tell) {
        t->tell(t->opaque, line);
    }
}

static void try_list(const struct try *t)
{
    for (unsigned i = 0; i < vireo_vfio_region_count(t->dev); i++) {
        const struct vireo_vfio_region *r = vireo_vfio_region(t->dev, i);
        if (r->len_bytes) {
            uint64_t mapped = 0;
            for (size_t w = 0; w < r->window_count; w++) {
                mapped += r->windows[w].len;
            }
            try_tell(t, "region %u, %s: %" PRIu64 " bytes%s%s, %" PRIu64 " can be mapped", i,
                     vireo_vfio_region_name(i), r->len_bytes, r->readable ? ", read" : "",
                     r->writable ? ", write" : "", mapped);
        }
    }
    for (unsigned k = 0; k < VIREO_VFIO_IRQ_KINDS; k++) {
        const struct vireo_vfio_irq *irq = &t->dev->irqs[k];
        if (irq->count) {
            try_tell(t, "interrupts, %s: %u%s%s", vireo_vfio_irq_name((enum vireo_vfio_irq_kind)k),
                     irq->count, irq->maskable ? ", maskable" : "",
                     irq->automasked ? ", mask themselves" : "");
        }
    }
}

/* Vendor and device of its configuration are those that sysfs has. */
static int try_ids(const struct try *t, const char *when, struct vr_error *err)
{
    char path[VR_SYSFS_PATH];
    uint64_t ids, vendor, device;
    int r = vireo_vfio_read(t->dev, VIREO_VFIO_CONFIG, 0, 4, &ids, err);
    if (r < 0) {
        return r;
    }
    if (vr_sysfs_u64(&t->space->fs, vr_pci_path(path, t->addr, "vendor"), UINT16_MAX, &vendor) <
            0 ||
        vr_sysfs_u64(&t->space->fs, vr_pci_path(path, t->addr, "device"), UINT16_MAX, &device) <
            0) {
        return vr_err(err, -ENODEV, "%s has gone from sysfs", t->dev->name);
    }
    if (ids != (vendor | device << 16)) {
        return vr_err(err, -EIO, "%s: its configuration says %04x:%04x%s, sysfs %04x:%04x",
                      t->dev->name, (unsigned)(ids & 0xffff), (unsigned)(ids >> 16), when,
                      (unsigned)vendor, (unsigned)device);
    }
    try_tell(t, "configuration: ids %04x:%04x%s", (unsigned)vendor, (unsigned)device, when);
    return 0;
}

/* An option ROM begins with 55 aa (PCI Firmware Specification 3.0, 5.1). Reading one may well give
 * nothing: some show theirs to the firmware only. */
static int try_rom(const struct try *t, struct vr_error *err)
{
    const struct vireo_vfio_region *rom = vireo_vfio_region(t->dev, VIREO_VFIO_ROM);
    uint8_t head[2] = {0};
    size_t got;
    if (!rom->len_bytes || !rom->readable) {
        return 0;
    }
    int r = vireo_vfio_read_bytes(t->dev, VIREO_VFIO_ROM, 0, head, sizeof(head), &got, err);
    if (r == 0) {
        bool good = got == sizeof(head) && head[0] == 0x55 && head[1] == 0xaa;
        try_tell(t, "option ROM: %s",
                 good ? "read, it begins as one does" : "does not read as one");
    }
    return r;
}

static int try_map(const struct try *t, struct vr_error *err)
{
    enum { COMMAND = 4, COMMAND_MEMORY = 2 };
    const struct vireo_vfio_region *bar = NULL;
    for (unsigned i = VIREO_VFIO_BAR0; !bar && i <= VIREO_VFIO_BAR5; i++) {
        const struct vireo_vfio_region *r = vireo_vfio_region(t->dev, i);
        bar = r->window_count && r->readable ? r : NULL;
    }
    if (!bar) {
        try_tell(t, "no BAR can be mapped");
        return 0;
    }
    void *hva;
    uint64_t command, word;
    uint64_t len = bar->windows[0].len;
    int r = vireo_vfio_map(t->dev, bar->index, bar->windows[0].off, len, false, &hva, err);
    r = r < 0 ? r : vireo_vfio_read(t->dev, VIREO_VFIO_CONFIG, COMMAND, 2, &command, err);
    /* Without memory decoding the first access would be a SIGBUS. */
    r = r < 0 ? r
              : vireo_vfio_write(t->dev, VIREO_VFIO_CONFIG, COMMAND, 2, command | COMMAND_MEMORY,
                                 err);
    r = r < 0 ? r : vireo_vfio_read(t->dev, bar->index, bar->windows[0].off, 4, &word, err);
    if (r < 0) {
        return r;
    }
    uint32_t mapped = *(volatile const uint32_t *)hva;
    try_tell(t, "%s: %" PRIu64 " bytes mapped, first word 0x%08x (0x%08x when read)",
             vireo_vfio_region_name(bar->index), len, mapped, (unsigned)word);
    vireo_vfio_unmap(t->dev, hva);
    return vireo_vfio_write(t->dev, VIREO_VFIO_CONFIG, COMMAND, 2, command, err);
}

static int try_dma(const struct try *t, struct vr_error *err)
{
    struct vireo_map_opts o = {.prot = VIREO_PROT_READ | VIREO_PROT_WRITE, .node = VIREO_NODE_ANY};
    uint64_t align = vireo_vfio_iova_align(t->space), iova = 0;
    uint64_t len = align > vr_vfio_page() ? align : vr_vfio_page();
    struct vireo_iova_range range;
    struct vireo_map map;
    bool found = false;
    for (size_t i = 0; !found && vireo_vfio_iova_range(t->space, i, &range); i++) {
        found = vr_align_up_ok(range.first, len, &iova) && iova <= range.last &&
                range.last - iova >= len - 1;
    }
    if (!found || len > 1 << 30) {
        return vr_err(err, -ERANGE, "%s: no room for DMA", t->dev->name);
    }
    o.align_bytes = len;
    int r = vireo_map_create((size_t)len, &o, &map, err);
    if (r < 0) {
        return r;
    }
    r = vireo_vfio_dma_map(t->space, iova, map.hva, len, true, err);
    r = r < 0 ? r : vireo_vfio_dma_unmap(t->space, iova, len, err);
    vireo_map_destroy(&map);
    if (r == 0) {
        try_tell(t, "DMA: %" PRIu64 " bytes mapped at 0x%" PRIx64 " and unmapped", len, iova);
    }
    return r;
}

static int try_irq(const struct try *t, struct vr_error *err)
{
    static const enum vireo_vfio_irq_kind kinds[] = {VIREO_VFIO_MSIX, VIREO_VFIO_MSI,
                                                     VIREO_VFIO_INTX};
    for (unsigned i = 0; i < VR_COUNT(kinds); i++) {
        if (t->dev->irqs[kinds[i]].count == 0) {
            continue;
        }
        uint64_t count = 0;
        int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
            int code = -errno;
            return vr_err(err, code, "eventfd: %s", strerror(-code));
        }
        int r = vireo_vfio_irq_enable(t->dev, kinds[i], 0, &fd, 1, err);
        r = r < 0 ? r : vireo_vfio_irq_trigger(t->dev, kinds[i], 0, err);
        struct pollfd wait = {.fd = fd, .events = POLLIN};
        if (r == 0 && (poll(&wait, 1, 1000) != 1 || read(fd, &count, 8) != 8)) {
            r = vr_err(err, -EIO, "%s: no %s interrupt within a second of being raised",
                       t->dev->name, vireo_vfio_irq_name(kinds[i]));
        }
        r = r < 0 ? r : vireo_vfio_irq_disable(t->dev, kinds[i], err);
        close(fd);
        if (r == 0) {
            try_tell(t, "%s: raised, and its eventfd was written", vireo_vfio_irq_name(kinds[i]));
        }
        return r;
    }
    try_tell(t, "no interrupts");
    return 0;
}

static int try_reset(const struct try *t, struct vr_error *err)
{
    struct vireo_vfio_dependent list[VIREO_VFIO_DEPENDENTS];
    struct vr_error why;
    size_t count;
    int r = vireo_vfio_hot_reset_info(t->dev, list, VR_COUNT(list), &count, &why);
    bool ours = r == 0;
    for (size_t i = 0; ours && i < count; i++) {
        ours = list[i].ours;
    }
    if (r == 0) {
        try_tell(t, "a reset of its slot or bus takes %zu device%s%s", count, count == 1 ? "" : "s",
                 ours ? ", all ours" : "");
    } else if (r == -ENOTSUP) {
        try_tell(t, "no reset of its slot or bus");
    } else {
        return vr_err(err, r, "%s", why.msg);
    }
    if (!vireo_vfio_can_reset(t->dev)) {
        try_tell(t, "no reset of the device alone");
        r = ours ? vireo_vfio_hot_reset(t->dev, err) : 0;
        return r < 0 || !ours ? r : try_ids(t, " after a reset of its bus", err);
    }
    r = vireo_vfio_reset(t->dev, err);
    return r < 0 ? r : try_ids(t, " after its reset", err);
}

int vireo_vfio_try(struct vireo_vfio_space *space, struct vireo_pci_addr addr,
                   void (*tell)(void *opaque, const char *line), void *opaque, struct vr_error *err)
{
    struct try t = {.space = space, .addr = addr, .tell = tell, .opaque = opaque};
    int r = vireo_vfio_open(space, addr, &t.dev, err);
    if (r < 0) {
        return r;
    }
    try_tell(&t, "opened by the way '%s'", vireo_vfio_way_name(vireo_vfio_space_way(space)));
    try_list(&t);
    r = try_ids(&t, "", err);
    r = r < 0 ? r : try_rom(&t, err);
    r = r < 0 ? r : try_map(&t, err);
    r = r < 0 ? r : try_dma(&t, err);
    r = r < 0 ? r : try_irq(&t, err);
    r = r < 0 ? r : try_reset(&t, err);
    vireo_vfio_close(t.dev);
    if (r == 0) {
        try_tell(&t, "closed");
    }
    return r;
}
