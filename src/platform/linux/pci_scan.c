/*
 * The PCI devices that sysfs shows: Documentation/ABI/testing/sysfs-bus-pci of Linux, and
 * Documentation/PCI/sysfs-pci.rst for the resource file.
 */
#include "base/alloc.h"
#include "base/text.h"
#include "platform/pci.h"
#include "platform/pci_ids.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Resource flags, include/linux/ioport.h: they are what the resource file's third column holds. */
enum {
    RES_IO = 0x100,
    RES_MEM = 0x200,
    RES_PREFETCH = 0x2000,
    RES_MEM_64 = 0x100000,
    RES_UNSET = 0x20000000,
};

const char *vr_pci_path(char buf[VR_SYSFS_PATH], struct vireo_pci_addr addr, const char *attr)
{
    char name[VIREO_PCI_ADDR_SIZE];
    snprintf(buf, VR_SYSFS_PATH, VR_PCI_DEVICES "/%s/%s", vireo_pci_addr_format(addr, name), attr);
    return buf;
}

/* One device being read: the first failure stays, and says of which attribute. */
struct scan {
    const struct vr_sysfs *fs;
    struct vireo_pci_addr addr;
    int code;
    const char *attr;
};

static bool scan_fail(struct scan *s, int code, const char *attr)
{
    if (s->code == 0) {
        s->code = code;
        s->attr = attr;
    }
    return false;
}

/* Attributes that older kernels, or other kinds of device, do not have, or that are not for us. */
static bool scan_is_absent(int code)
{
    return code == -ENOENT || code == -EACCES || code == -EPERM;
}

static uint64_t scan_number(struct scan *s, const char *attr, uint64_t max)
{
    char path[VR_SYSFS_PATH];
    uint64_t v = 0;
    int r = vr_sysfs_u64(s->fs, vr_pci_path(path, s->addr, attr), max, &v);
    if (r < 0) {
        scan_fail(s, r, attr);
    }
    return v;
}

static uint64_t scan_number_or(struct scan *s, const char *attr, uint64_t max, uint64_t otherwise)
{
    char path[VR_SYSFS_PATH];
    uint64_t v = otherwise;
    int r = vr_sysfs_u64(s->fs, vr_pci_path(path, s->addr, attr), max, &v);
    if (r < 0 && !scan_is_absent(r)) {
        scan_fail(s, r, attr);
    }
    return v;
}

/* The last component of a link, or "". */
static bool scan_link(struct scan *s, const char *attr, char *ret_name, size_t size)
{
    char path[VR_SYSFS_PATH];
    int r = vr_sysfs_link(s->fs, vr_pci_path(path, s->addr, attr), ret_name, size);
    if (r < 0 && !scan_is_absent(r)) {
        scan_fail(s, r, attr);
    }
    return r == 0;
}

/* The next number of a resource line; *at moves behind it. */
static bool scan_res_number(const char **at, uint64_t *ret_val)
{
    char word[20];
    size_t len = strcspn(*at, " \n");
    if (len == 0 || len >= sizeof(word)) {
        return false;
    }
    memcpy(word, *at, len);
    word[len] = 0;
    *at += len;
    if (**at) {
        (*at)++;
    }
    return vr_parse_u64(word, ret_val) == 0;
}

/* Line @i of the resource file: 0 to 5 are BARs, 6 is the option ROM. */
static bool scan_bar(struct vireo_pci_device *dev, unsigned i, const char **at)
{
    uint64_t start, end, flags;
    if (!scan_res_number(at, &start) || !scan_res_number(at, &end) ||
        !scan_res_number(at, &flags)) {
        return false;
    }
    if (!(flags & (RES_IO | RES_MEM))) {
        return true;
    }
    if (end < start || end - start == UINT64_MAX) {
        return false;
    }
    if (start == 0 && end == 0) {
        return true; /* decoded, but of no size: the kernel gave it up */
    }
    if (i == VIREO_PCI_BARS) {
        dev->rom_bytes = end - start + 1;
        return true;
    }
    dev->bars[i] = (struct vireo_pci_bar){
        .kind = flags & RES_IO       ? VIREO_BAR_IO
                : flags & RES_MEM_64 ? VIREO_BAR_MEM64
                                     : VIREO_BAR_MEM32,
        .prefetchable = flags & RES_PREFETCH,
        .start = flags & RES_UNSET ? 0 : start,
        .len_bytes = end - start + 1,
    };
    return true;
}

static void scan_bars(struct scan *s, struct vireo_pci_device *dev)
{
    char path[VR_SYSFS_PATH], text[VR_SYSFS_TEXT];
    const char *at = text;
    int r = vr_sysfs_text(s->fs, vr_pci_path(path, s->addr, "resource"), text, sizeof(text));
    if (r < 0) {
        if (!scan_is_absent(r)) {
            scan_fail(s, r, "resource");
        }
        return;
    }
    for (unsigned i = 0; i <= VIREO_PCI_BARS; i++) {
        if (!scan_bar(dev, i, &at)) {
            scan_fail(s, -EINVAL, "resource");
            return;
        }
    }
}

static void scan_sriov(struct scan *s, struct vireo_pci_device *dev)
{
    char name[VIREO_PCI_DRIVER_SIZE];
    dev->sriov_total = (unsigned)scan_number_or(s, "sriov_totalvfs", UINT16_MAX, 0);
    dev->sriov_count = (unsigned)scan_number_or(s, "sriov_numvfs", UINT16_MAX, 0);
    dev->sriov_autoprobe = scan_number_or(s, "sriov_drivers_autoprobe", 1, 0) == 1;
    if (scan_link(s, "physfn", name, sizeof(name))) {
        dev->is_vf = true;
        if (vireo_pci_addr_parse(name, &dev->physfn, NULL) < 0) {
            scan_fail(s, -EINVAL, "physfn");
        }
    }
}

static void scan_group(struct scan *s, struct vireo_pci_device *dev)
{
    char name[VIREO_PCI_DRIVER_SIZE];
    uint64_t group;
    dev->iommu_group = -1;
    if (scan_link(s, "iommu_group", name, sizeof(name))) {
        if (vr_parse_u64(name, &group) < 0 || group > INT32_MAX) {
            scan_fail(s, -EINVAL, "iommu_group");
        } else {
            dev->iommu_group = (int)group;
        }
    }
    scan_link(s, "iommu", dev->iommu, sizeof(dev->iommu));
}

static void scan_texts(struct scan *s, struct vireo_pci_device *dev)
{
    char path[VR_SYSFS_PATH], text[64];
    int r = vr_sysfs_text(s->fs, vr_pci_path(path, s->addr, "numa_node"), text, sizeof(text));
    uint64_t node;
    dev->numa_node = -1;
    if (r == 0 && strcmp(text, "-1") != 0) {
        if (vr_parse_u64(text, &node) < 0 || node > INT16_MAX) {
            scan_fail(s, -EINVAL, "numa_node");
        } else {
            dev->numa_node = (int)node;
        }
    } else if (r < 0 && !scan_is_absent(r)) {
        scan_fail(s, r, "numa_node");
    }
    r = vr_sysfs_text(s->fs, vr_pci_path(path, s->addr, "driver_override"), dev->driver_override,
                      sizeof(dev->driver_override));
    if (r < 0 && !scan_is_absent(r)) {
        scan_fail(s, r, "driver_override");
    } else if (strcmp(dev->driver_override, "(null)") == 0) {
        dev->driver_override[0] = 0;
    }
}

static void scan_device(struct scan *s, struct vireo_pci_device *dev)
{
    char path[VR_SYSFS_PATH];
    *dev = (struct vireo_pci_device){.addr = s->addr};
    dev->vendor_id = (uint16_t)scan_number(s, "vendor", UINT16_MAX);
    dev->device_id = (uint16_t)scan_number(s, "device", UINT16_MAX);
    dev->class_code = (uint32_t)scan_number(s, "class", 0xffffff);
    dev->subsystem_vendor_id = (uint16_t)scan_number_or(s, "subsystem_vendor", UINT16_MAX, 0);
    dev->subsystem_id = (uint16_t)scan_number_or(s, "subsystem_device", UINT16_MAX, 0);
    dev->revision = (uint8_t)scan_number_or(s, "revision", UINT8_MAX, 0);
    dev->boot_vga = scan_number_or(s, "boot_vga", 1, 0) == 1;
    dev->gpu_memory_bytes = scan_number_or(s, "mem_info_vram_total", UINT64_MAX, 0);
    dev->can_reset = vr_sysfs_exists(s->fs, vr_pci_path(path, s->addr, "reset"));
    scan_link(s, "driver", dev->driver, sizeof(dev->driver));
    scan_texts(s, dev);
    scan_group(s, dev);
    scan_sriov(s, dev);
    scan_bars(s, dev);
    vr_pci_classify(dev);
}

static VR_PRINTF(2, 3) void scan_problem(struct vireo_pci *pci, const char *fmt, ...)
{
    if (pci->problem_count < VR_PCI_PROBLEMS) {
        va_list ap;
        va_start(ap, fmt);
        vsnprintf(pci->problems[pci->problem_count++], VR_PCI_PROBLEM_SIZE, fmt, ap);
        va_end(ap);
    }
}

static void scan_copy(char ret_name[VIREO_PCI_NAME_SIZE], const char *name)
{
    size_t len = name ? strlen(name) : 0;
    if (len >= VIREO_PCI_NAME_SIZE) {
        /* Not in the middle of a UTF-8 character. */
        for (len = VIREO_PCI_NAME_SIZE - 1; len && ((unsigned char)name[len] & 0xc0) == 0x80;) {
            len--;
        }
    }
    if (len) {
        memcpy(ret_name, name, len);
    }
    ret_name[len] = 0;
}

static void scan_names(struct vireo_pci_device *dev, const struct vr_pci_ids *ids)
{
    const char *sub = vr_pci_ids_subsystem(ids, dev->vendor_id, dev->device_id,
                                           dev->subsystem_vendor_id, dev->subsystem_id);
    scan_copy(dev->vendor_name, vr_pci_ids_vendor(ids, dev->vendor_id));
    scan_copy(dev->device_name, vr_pci_ids_device(ids, dev->vendor_id, dev->device_id));
    scan_copy(dev->subsystem_name, sub);
    scan_copy(dev->class_name, vr_pci_ids_class(ids, dev->class_code));
}

static int scan_by_addr(const void *a, const void *b)
{
    const struct vireo_pci_device *x = a, *y = b;
    return vireo_pci_addr_compare(x->addr, y->addr);
}

/* One name in the devices directory. */
static void scan_one(struct vireo_pci *pci, const char *name, const struct vr_pci_ids *ids)
{
    struct scan s = {.fs = &pci->fs};
    struct vireo_pci_device *dev = &pci->devices[pci->count];
    char canonical[VIREO_PCI_ADDR_SIZE], path[VR_SYSFS_PATH];
    if (vireo_pci_addr_parse(name, &s.addr, NULL) < 0 ||
        strcmp(vireo_pci_addr_format(s.addr, canonical), name) != 0) {
        scan_problem(pci, "%.40s: not a PCI address, in " VR_PCI_DEVICES, name);
        return;
    }
    scan_device(&s, dev);
    if (s.code == 0) {
        scan_names(dev, ids);
        pci->count++;
        return;
    }
    /* One that has gone is no problem, and neither is what its half looked like. */
    snprintf(path, sizeof(path), VR_PCI_DEVICES "/%s", canonical);
    if (s.code == -ENODEV || !vr_sysfs_exists(&pci->fs, path)) {
        return;
    }
    scan_problem(pci, "%s: left out, its attribute '%s' cannot be used: %s", canonical, s.attr,
                 strerror(-s.code));
}

static int scan_all(struct vireo_pci *pci, const struct vr_pci_ids *ids, const char *root,
                    struct vr_error *err)
{
    struct vr_sysfs_list names;
    int r = vr_sysfs_list(&pci->fs, VR_PCI_DEVICES, &names);
    if (r == -ENOENT) {
        return vr_err(err, r, "%s has no %s: no PCI on this host, or sysfs is not mounted",
                      root ? root : "/", VR_PCI_DEVICES);
    }
    if (r < 0) {
        return vr_err(err, r, "%s: %s", VR_PCI_DEVICES, strerror(-r));
    }
    pci->devices = vr_zalloc_array(names.count, sizeof(*pci->devices));
    if (!pci->devices) {
        vr_sysfs_list_free(&names);
        return vr_err(err, -ENOMEM, "no memory for %zu PCI devices", names.count);
    }
    for (size_t i = 0; i < names.count; i++) {
        scan_one(pci, names.names[i], ids);
    }
    vr_sysfs_list_free(&names);
    if (pci->count) {
        qsort(pci->devices, pci->count, sizeof(*pci->devices), scan_by_addr);
    }
    vr_pci_classify_gpus(pci->devices, pci->count);
    return 0;
}

int vireo_pci_scan(const struct vireo_pci_options *options, struct vireo_pci **ret_pci,
                   struct vr_error *err)
{
    static const struct vireo_pci_options plain = {0};
    const struct vireo_pci_options *o = options ? options : &plain;
    struct vr_pci_ids *ids = NULL;
    struct vireo_pci *pci = vr_zalloc(sizeof(*pci));
    if (!pci) {
        return vr_err(err, -ENOMEM, "no memory to look at PCI devices");
    }
    pci->fs.root_fd = -1;
    int r = 0;
    if (!o->ids_path || *o->ids_path) {
        r = vr_pci_ids_load(o->ids_path, &ids, err);
    }
    r = r < 0 ? r : vr_sysfs_open(o->root, &pci->fs, err);
    if (!o->root || strcmp(o->root, "/") == 0) {
        pci->rtnl = vr_rtnl_host();
    }
    r = r < 0 ? r : scan_all(pci, ids, o->root, err);
    r = r < 0 ? r : vr_pci_scan_groups(pci, err);
    vr_pci_ids_free(ids);
    if (r < 0) {
        vireo_pci_destroy(pci);
        return r;
    }
    *ret_pci = pci;
    return 0;
}

void vireo_pci_destroy(struct vireo_pci *pci)
{
    if (pci) {
        vr_sysfs_close(&pci->fs);
        vr_pci_free_groups(pci);
        free(pci->devices);
        free(pci);
    }
}

size_t vireo_pci_count(const struct vireo_pci *pci)
{
    return pci->count;
}

const struct vireo_pci_device *vireo_pci_at(const struct vireo_pci *pci, size_t i)
{
    return i < pci->count ? &pci->devices[i] : NULL;
}

const struct vireo_pci_device *vireo_pci_find(const struct vireo_pci *pci,
                                              struct vireo_pci_addr addr)
{
    struct vireo_pci_device want = {.addr = addr};
    return pci->count ? bsearch(&want, pci->devices, pci->count, sizeof(want), scan_by_addr) : NULL;
}

const char *vireo_pci_problem(const struct vireo_pci *pci, size_t i)
{
    return i < pci->problem_count ? pci->problems[i] : NULL;
}
