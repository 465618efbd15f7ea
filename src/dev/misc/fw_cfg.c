/*
 * fw_cfg: how a machine hands tables, kernels and settings to its firmware, with the register
 * layout for memory-mapped machines.
 *
 *     +0x00  data      each read takes the next bytes of the selected item, 1 to 8 at a time, in
 *                      memory order; zeros after its end. Writes do nothing.
 *     +0x08  selector  16 bits, big-endian: select an item and go to its start
 *     +0x10  DMA       64 bits, big-endian, or two halves: the address of a request in guest
 * memory; the low half starts it. Reads as "QEMU CFG".
 *
 * A request is { be32 control, be32 length, be64 address }. It is done before the write to the low
 * half returns, and control is then 0, or has only the error bit. Reads beyond an item's end give
 * zeros, as the specification says. No item is writable: write requests get the error bit.
 *
 * Specification: QEMU, docs/specs/fw_cfg.rst.
 */
#include "dev/misc/fw_cfg.h"

#include "base/alloc.h"
#include "base/bits.h"
#include <errno.h>
#include <inttypes.h>
#include <string.h>

enum { KEY_SIGNATURE = 0, KEY_FEATURES = 1, KEY_DIRECTORY = VR_FW_CFG_KEYS, KEY_FILES = 0x20 };
enum { KEY_WRITE = 0x4000 }; /* once meant that data would be written; ignored */
enum { FEATURE_BASE = 1, FEATURE_DMA = 2 };
enum { DATA_LEN = 8, SELECTOR = 8, DMA = 0x10, DMA_LOW = 0x14 };
enum { CTL_ERROR = 1, CTL_READ = 2, CTL_SKIP = 4, CTL_SELECT = 8, CTL_WRITE = 16 };
enum { ITEMS = KEY_FILES + VR_FW_CFG_FILES, DIRENT_LEN = 64, REQUEST_LEN = 16 };

static const char fw_signature[] = "QEMU CFG"; /* its first half is item 0 */

struct fw_item {
    const uint8_t *data; /* NULL: there is no such item */
    void *owned;         /* data, where we copied it */
    uint32_t len;
};

struct fw_cfg {
    struct vr_dev dev;
    struct fw_item item[ITEMS];
    uint8_t directory[4 + VR_FW_CFG_FILES * DIRENT_LEN];
    uint64_t files;
    uint32_t dma_high; /* state, from here on */
    uint32_t offset;
    uint16_t selector;
};
#define FW(d) ((struct fw_cfg *)(d))

static int fw_put(struct fw_cfg *s, unsigned key, const void *data, size_t len, bool copy,
                  struct vr_error *err)
{
    void *owned = NULL;
    if ((uint64_t)len > UINT32_MAX) {
        return vr_err(err, -EFBIG, "fw_cfg item 0x%x: 4 GiB or more; the format ends there", key);
    }
    if (copy || len == 0) {
        owned = vr_zalloc(len);
        if (!owned) {
            return vr_err(err, -ENOMEM, "fw_cfg item 0x%x: no memory for %zu bytes", key, len);
        }
        if (len) {
            memcpy(owned, data, len);
        }
        data = owned;
    }
    vr_dev_lock(&s->dev);
    free(s->item[key].owned);
    s->item[key] = (struct fw_item){.data = data, .owned = owned, .len = (uint32_t)len};
    vr_dev_unlock(&s->dev);
    return 0;
}

static int fw_add(struct vr_dev *dev, const char *name, const void *data, size_t len, bool copy,
                  struct vr_error *err)
{
    struct fw_cfg *s = FW(dev);
    size_t name_len = strlen(name);
    if (name_len == 0 || name_len > VR_FW_CFG_NAME_LEN) {
        return vr_err(err, -EINVAL, "fw_cfg file '%s': a name has 1 to %d bytes", name,
                      VR_FW_CFG_NAME_LEN);
    }
    for (unsigned i = 0; i < s->files; i++) {
        if (strcmp((const char *)&s->directory[4 + i * DIRENT_LEN + 8], name) == 0) {
            return vr_err(err, -EEXIST, "fw_cfg file '%s' is there already", name);
        }
    }
    if (s->files == VR_FW_CFG_FILES) {
        return vr_err(err, -ENOSPC, "fw_cfg file '%s': there are %d files already", name,
                      VR_FW_CFG_FILES);
    }
    unsigned key = KEY_FILES + (unsigned)s->files;
    int r = fw_put(s, key, data, len, copy, err);
    if (r < 0) {
        return r;
    }
    vr_dev_lock(dev);
    uint8_t *entry = &s->directory[4 + s->files++ * DIRENT_LEN];
    vr_store_be32(entry, (uint32_t)len);
    vr_store_be16(entry + 4, (uint16_t)key);
    memcpy(entry + 8, name, name_len);
    vr_store_be32(s->directory, (uint32_t)s->files);
    s->item[KEY_DIRECTORY].len = 4 + (uint32_t)s->files * DIRENT_LEN;
    vr_dev_unlock(dev);
    return 0;
}

int vr_fw_cfg_add(struct vr_dev *dev, const char *name, const void *data, size_t len,
                  struct vr_error *err)
{
    return fw_add(dev, name, data, len, true, err);
}

int vr_fw_cfg_add_ref(struct vr_dev *dev, const char *name, const void *data, size_t len,
                      struct vr_error *err)
{
    return fw_add(dev, name, data, len, false, err);
}

static int fw_set(struct vr_dev *dev, unsigned key, const void *data, size_t len, bool copy,
                  struct vr_error *err)
{
    if (key <= KEY_FEATURES || key >= VR_FW_CFG_KEYS) {
        return vr_err(err, -EINVAL, "fw_cfg item 0x%x is not for setting; 0x2 to 0x%x are", key,
                      VR_FW_CFG_KEYS - 1);
    }
    return fw_put(FW(dev), key, data, len, copy, err);
}

int vr_fw_cfg_set(struct vr_dev *dev, unsigned key, const void *data, size_t len,
                  struct vr_error *err)
{
    return fw_set(dev, key, data, len, true, err);
}

int vr_fw_cfg_set_ref(struct vr_dev *dev, unsigned key, const void *data, size_t len,
                      struct vr_error *err)
{
    return fw_set(dev, key, data, len, false, err);
}

int vr_fw_cfg_set_u32(struct vr_dev *dev, unsigned key, uint32_t val, struct vr_error *err)
{
    uint8_t bytes[4];
    vr_store_le32(bytes, val);
    return fw_set(dev, key, bytes, sizeof(bytes), true, err);
}

static void fw_select(struct fw_cfg *s, uint16_t key)
{
    s->selector = key;
    s->offset = 0;
}

/* What is left of the selected item; returns how many bytes, at most @len. */
static uint32_t fw_rest(struct fw_cfg *s, const uint8_t **ret_data, uint32_t len)
{
    unsigned key = s->selector & ~KEY_WRITE;
    const struct fw_item *item = key < ITEMS ? &s->item[key] : NULL;
    if (!item || !item->data || s->offset >= item->len) {
        return 0;
    }
    *ret_data = item->data + s->offset;
    return item->len - s->offset < len ? item->len - s->offset : len;
}

/* The offset stops at the end of the number range, far behind every item. */
static void fw_advance(struct fw_cfg *s, uint32_t len)
{
    s->offset = len > UINT32_MAX - s->offset ? UINT32_MAX : s->offset + len;
}

static bool fw_read(struct vr_dev *d, uint64_t off, unsigned width, uint64_t *ret_val)
{
    struct fw_cfg *s = FW(d);
    const uint8_t *data;
    if (off >= DATA_LEN || width > DATA_LEN - off) {
        return false;
    }
    uint8_t bytes[8] = {0};
    uint32_t len = fw_rest(s, &data, width);
    if (len) {
        memcpy(bytes, data, len);
    }
    fw_advance(s, len);
    *ret_val = vr_load_le64(bytes);
    return true;
}

/* Selector, as the guest stores it: the value's bytes are big-endian in memory. */
static uint64_t fw_read_selector(struct vr_dev *d, unsigned index)
{
    (void)index;
    return __builtin_bswap16(FW(d)->selector);
}

static void fw_write_selector(struct vr_dev *d, unsigned index, uint64_t val)
{
    (void)index;
    fw_select(FW(d), __builtin_bswap16((uint16_t)val));
}

/* Copy the item's next @len bytes to the guest, zeros after its end. */
static int fw_dma_read(struct fw_cfg *s, uint64_t gpa, uint32_t len)
{
    static const uint8_t zeros[4096];
    const uint8_t *data;
    struct vr_dev *d = &s->dev;
    uint32_t done = fw_rest(s, &data, len);
    int r = done ? vr_dma_write(d->env->mem, &d->dma, gpa, data, done) : 0;
    fw_advance(s, len);
    while (r == 0 && done < len) {
        uint32_t chunk = len - done < sizeof(zeros) ? len - done : (uint32_t)sizeof(zeros);
        if (gpa > UINT64_MAX - done) {
            return -EFAULT;
        }
        r = vr_dma_write(d->env->mem, &d->dma, gpa + done, zeros, chunk);
        done += chunk;
    }
    return r;
}

static void fw_dma(struct fw_cfg *s, uint64_t request_gpa)
{
    struct vr_dev *d = &s->dev;
    uint8_t request[REQUEST_LEN], result[4];
    if (!d->env->mem ||
        vr_dma_read(d->env->mem, &d->dma, request_gpa, request, sizeof(request)) < 0) {
        vr_guest_error(d, "request at 0x%" PRIx64 " is not in memory", request_gpa);
        return;
    }
    uint32_t control = vr_load_be32(request), len = vr_load_be32(request + 4);
    uint64_t gpa = vr_load_be64(request + 8);
    int r = 0;
    if (control & CTL_SELECT) {
        fw_select(s, (uint16_t)(control >> 16));
    }
    if (control & CTL_READ) {
        r = fw_dma_read(s, gpa, len);
    } else if (control & CTL_WRITE) {
        r = -EACCES;
    } else if (control & CTL_SKIP) {
        fw_advance(s, len);
    }
    if (r < 0) {
        vr_guest_error(d, "request 0x%x of %u bytes at 0x%" PRIx64 " is refused", (unsigned)control,
                       (unsigned)len, gpa);
    }
    vr_store_be32(result, r < 0 ? CTL_ERROR : 0);
    if (vr_dma_write(d->env->mem, &d->dma, request_gpa, result, sizeof(result)) < 0) {
        vr_guest_error(d, "request at 0x%" PRIx64 " is in read-only memory", request_gpa);
    }
}

/* The DMA register reads as the signature, and takes its halves apart or together. */
static bool fw_read_any(struct vr_dev *d, uint64_t off, unsigned width, uint64_t *ret_val)
{
    if (off >= DMA && off - DMA < 8 && width <= 8 - (off - DMA)) {
        uint8_t bytes[8] = {0};
        memcpy(bytes, fw_signature + (off - DMA), width);
        *ret_val = vr_load_le64(bytes);
        return true;
    }
    return fw_read(d, off, width, ret_val);
}

static bool fw_write_any(struct vr_dev *d, uint64_t off, unsigned width, uint64_t val)
{
    struct fw_cfg *s = FW(d);
    uint64_t gpa;
    if (off == DMA && width == 4) {
        s->dma_high = __builtin_bswap32((uint32_t)val);
        return true;
    }
    if (off == DMA && width == 8) {
        gpa = __builtin_bswap64(val);
    } else if (off == DMA_LOW && width == 4) {
        gpa = (uint64_t)s->dma_high << 32 | __builtin_bswap32((uint32_t)val);
    } else {
        return false;
    }
    s->dma_high = 0;
    fw_dma(s, gpa);
    return true;
}

static int fw_init(struct vr_dev *d, struct vr_error *err)
{
    static const uint8_t features[4] = {FEATURE_BASE | FEATURE_DMA};
    struct fw_cfg *s = FW(d);
    (void)err;
    s->item[KEY_SIGNATURE] = (struct fw_item){.data = (const uint8_t *)fw_signature, .len = 4};
    s->item[KEY_FEATURES] = (struct fw_item){.data = features, .len = sizeof(features)};
    s->item[KEY_DIRECTORY] = (struct fw_item){.data = s->directory, .len = 4};
    return 0;
}

static void fw_fini(struct vr_dev *d)
{
    for (unsigned i = 0; i < ITEMS; i++) {
        free(FW(d)->item[i].owned);
    }
}

static int fw_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "fw-cfg@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "qemu,fw-cfg-mmio");
    vr_fdt_reg(fdt, at);
    vr_fdt_empty(fdt, "dma-coherent");
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct fw_cfg
static const struct vr_field fw_fields[] = {
    VR_HOST(item, "configuration: the board adds the same at each start"),
    VR_HOST(directory, "of the items"),
    VR_HOST(files, "how many entries the directory has"),
    VR_STATE(dma_high, "high half of the next request's address"),
    VR_STATE(offset, "where the next byte of the selected item is"),
    VR_STATE(selector, "the selected item's key"),
    VR_FIELD_END,
};
static const struct vr_reg fw_regs[] = {
    VR_REG(SELECTOR, 2, "selector", "select an item (big-endian)", .read = fw_read_selector,
           .write = fw_write_selector),
    VR_REG_END,
};

const struct vr_dev_class vr_fw_cfg_class = {
    .name = "fw-cfg",
    .help = "configuration for firmware",
    .size = sizeof(struct fw_cfg),
    .version = 1,
    .fields = fw_fields,
    .windows = {{.name = "fw-cfg",
                 .len = 0x18,
                 .regs = fw_regs,
                 .read = fw_read_any,
                 .write = fw_write_any}},
    .init = fw_init,
    .fini = fw_fini,
    .describe = fw_describe,
};
