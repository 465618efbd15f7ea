/*
 * CFI parallel NOR flash, Intel command set (0x0001): 32 MiB, as two x16 chips of 16 MiB side by
 * side on a 32-bit bus, 128 sectors of 256 KiB.
 *
 * Reads give the array, the status register, the identifier codes or the CFI table, by mode; writes
 * are commands:
 *
 *     0xff read array    0x70 read status    0x50 clear status    0x90 read identifiers
 *     0x98 CFI query     0x40 (0x10) program: the next write is the data
 *     0x20 erase: 0xd0 confirms              0x60 lock: 0x01, 0xd0, 0x2f; sectors have no locks
 *     0xe8 buffered program: word count - 1, then the data, then 0xd0 confirms
 *
 * Both chips move in step: a command is taken from the low byte of a write of any width, and
 * whatever is not the array answers on both halves of the bus. Programming only clears bits.
 * Everything is done before the write returns, so status is always ready. An unknown or broken
 * command sequence sets both error bits; a read-only device answers as if every sector were locked.
 *
 * While the option `exec` is set and the chips are in read-array mode, the contents lie over the
 * window as ROM: code runs from it, and reads do not come here.
 *
 * Specifications: JEDEC JEP137 and JESD68.01 (CFI); Intel StrataFlash J3 and P30 data sheets,
 * chapters on commands, status register and the CFI table.
 */
#include "dev/misc/pflash_cfi.h"

#include "base/alloc.h"
#include "base/bits.h"
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { SECTOR = VR_PFLASH_SECTOR_LEN, SECTORS = VR_PFLASH_SECTORS, BUS = 4, BUFFER = 2048 };
enum flash_mode { MODE_ARRAY, MODE_STATUS, MODE_ID, MODE_QUERY };
enum flash_step {
    STEP_READY,
    STEP_PROGRAM, /* wants the data of a single program */
    STEP_ERASE,   /* wants the confirmation */
    STEP_LOCK,    /* wants what to do to the lock */
    STEP_COUNT,   /* buffered program: wants the count */
    STEP_DATA,    /* wants data */
    STEP_CONFIRM, /* wants the confirmation */
};
enum { SR_LOCKED = 2, SR_NO_POWER = 8, SR_PROGRAM = 0x10, SR_ERASE = 0x20, SR_READY = 0x80 };
enum { SR_SEQUENCE = SR_PROGRAM | SR_ERASE };
enum { CONFIRM = 0xd0 };
enum { SECTOR_ONES, SECTOR_ZEROS, SECTOR_RAW }; /* in a snapshot */

struct flash {
    struct vr_dev dev;
    struct vr_ram *ram; /* the contents; NULL: there are none */
    uint64_t ram_off;
    void (*on_change)(void *opaque);
    void *opaque;
    bool changed[SECTORS]; /* since the board took them last */
    bool mapped, laid, told;
    bool exec, readonly; /* config */
    uint8_t mode, step;  /* state, from here on */
    uint8_t status;
    uint32_t buffer_off; /* where the buffer's first byte goes */
    uint32_t expect;     /* bytes that still have to come */
    uint8_t buffer[BUFFER];
    /* The contents, made by quiesce for a snapshot; otherwise empty. */
    bool has_image;
    uint8_t sector[SECTORS];
    uint32_t image_len;
    uint8_t *image; /* the raw sectors */
};
#define FLASH(d) ((struct flash *)(d))

/* One chip's CFI table from address 0x10 on. */
enum { QUERY_FIRST = 0x10 };
static const uint8_t flash_query[] = {
    'Q',  'R',  'Y',  0x01, 0x00, /* 0x13: Intel command set */
    0x31, 0x00,                   /* 0x15: its own table */
    0x00, 0x00, 0x00, 0x00,       /* 0x17: no other command set */
    0x27, 0x36, 0x00, 0x00,       /* 0x1b: 2.7 to 3.6 V, no programming voltage */
    0x06, 0x06, 0x0a, 0x00, /* 0x1f: typical times: 64 us program, buffer; 1 s erase; no chip erase
                             */
    0x02, 0x02, 0x02, 0x00, /* 0x23: greatest times: 4 times as long */
    24,                     /* 0x27: 16 MiB */
    0x01, 0x00,             /* 0x28: x16 */
    0x0a, 0x00,             /* 0x2a: 1 KiB of buffer */
    0x01,                   /* 0x2c: one region of equal sectors: */
    0x7f, 0x00, 0x00, 0x02, /* 0x2d: 128 of 128 KiB */
    'P',  'R',  'I',  '1',  '0', /* 0x31 */
    0x00, 0x00, 0x00, 0x00,      /* 0x36: no suspend, no locks, nothing optional */
    0x00, 0x00, 0x00,            /* 0x3a: nothing while suspended, no block status */
    0x33, 0x00,                  /* 0x3d: 3.3 V */
    0x00,                        /* 0x3f: no protection registers */
};

static uint8_t *flash_at(struct flash *s, uint64_t off)
{
    return s->ram->hva + s->ram_off + off;
}

/* Lay the contents over the window, or take them away, as the mode wants. */
static void flash_lay(struct flash *s)
{
    bool want = s->exec && s->ram && s->mapped && s->mode == MODE_ARRAY;
    if (want && !s->laid) {
        /* Without memory for it, reads come here: slow, and no code runs, but right. */
        s->laid = vr_dev_overlay(&s->dev, 0, s->ram, s->ram_off, NULL) == 0;
    } else if (!want && s->laid) {
        vr_dev_unlay(&s->dev, 0);
        s->laid = false;
    }
}

static void flash_fail(struct flash *s, uint8_t bits, const char *what, uint64_t off)
{
    s->status |= bits;
    vr_guest_error(&s->dev, "%s at 0x%" PRIx64, what, off);
}

/* May the contents be changed? If not, @bit and the reason stand in the status. */
static bool flash_writable(struct flash *s, uint8_t bit)
{
    if (!s->ram) {
        s->status |= bit | SR_NO_POWER;
    } else if (s->readonly) {
        s->status |= bit | SR_LOCKED;
    }
    return s->ram && !s->readonly;
}

/* Sector @i is about to change; who keeps the contents hears it once. */
static void flash_mark(struct flash *s, uint64_t i)
{
    s->changed[i] = true;
    if (!s->told && s->on_change) {
        s->told = true;
        s->on_change(s->opaque);
    }
}

/* The contents are about to change in the sector at @off: an image of them is out of date. */
static void flash_touch(struct flash *s, uint64_t off)
{
    flash_mark(s, off / SECTOR);
    s->has_image = false;
    s->image_len = 0;
    free(s->image);
    s->image = NULL;
}

static void flash_program(struct flash *s, uint64_t off, const uint8_t *data, unsigned len)
{
    if (flash_writable(s, SR_PROGRAM)) {
        uint8_t *p = flash_at(s, off);
        flash_touch(s, off);
        for (unsigned i = 0; i < len; i++) {
            p[i] &= data[i];
        }
    }
}

static void flash_erase(struct flash *s, uint64_t off)
{
    if (flash_writable(s, SR_ERASE)) {
        flash_touch(s, off);
        memset(flash_at(s, off & ~(uint64_t)(SECTOR - 1)), 0xff, SECTOR);
    }
}

static void flash_command(struct flash *s, uint64_t off, uint8_t command)
{
    s->mode = MODE_STATUS;
    switch (command) {
    case 0xff:
        s->mode = MODE_ARRAY;
        break;
    case 0x90:
        s->mode = MODE_ID;
        break;
    case 0x98:
        s->mode = MODE_QUERY;
        break;
    case 0x70:
        break;
    case 0x50:
        s->status = SR_READY;
        break;
    case 0x10:
    case 0x40:
        s->step = STEP_PROGRAM;
        break;
    case 0x20:
        s->step = STEP_ERASE;
        break;
    case 0x60:
        s->step = STEP_LOCK;
        break;
    case 0xe8:
        s->step = STEP_COUNT;
        break;
    default:
        flash_fail(s, SR_SEQUENCE, "unknown command", off);
        break;
    }
}

/* A buffered program's count of bus words, less one. */
static void flash_count(struct flash *s, uint64_t off, uint32_t val)
{
    uint32_t bytes = ((val & 0xffff) + 1) * BUS;
    if (bytes > BUFFER) {
        s->step = STEP_READY;
        flash_fail(s, SR_SEQUENCE, "buffered program longer than the buffer", off);
        return;
    }
    s->step = STEP_DATA;
    s->expect = bytes;
    s->buffer_off = UINT32_MAX; /* the first data says */
    memset(s->buffer, 0xff, sizeof(s->buffer));
}

static void flash_data(struct flash *s, uint64_t off, unsigned width, uint64_t val)
{
    uint32_t page = (uint32_t)off & ~(uint32_t)(BUFFER - 1);
    if (s->buffer_off == UINT32_MAX) {
        s->buffer_off = page;
    }
    if (s->buffer_off != page || width > s->expect) {
        s->step = STEP_READY;
        flash_fail(s, SR_SEQUENCE, "buffered data outside of the buffer", off);
        return;
    }
    vr_store_le(&s->buffer[off - page], width, val);
    s->expect -= width;
    if (s->expect == 0) {
        s->step = STEP_CONFIRM;
    }
}

/* One write of at most the bus width. */
static void flash_bus_write(struct flash *s, uint64_t off, unsigned width, uint32_t val)
{
    enum flash_step step = (enum flash_step)s->step;
    uint8_t command = (uint8_t)val, data[BUS];
    s->step = STEP_READY;
    switch (step) {
    case STEP_READY:
        flash_command(s, off, command);
        break;
    case STEP_PROGRAM:
        vr_store_le32(data, val);
        flash_program(s, off, data, width);
        break;
    case STEP_ERASE:
        if (command == CONFIRM) {
            flash_erase(s, off);
        } else {
            flash_fail(s, SR_SEQUENCE, "erase without confirmation", off);
        }
        break;
    case STEP_LOCK:
        if (command != 0x01 && command != CONFIRM && command != 0x2f) {
            flash_fail(s, SR_SEQUENCE, "unknown lock command", off);
        }
        break;
    case STEP_COUNT:
        flash_count(s, off, val);
        break;
    case STEP_DATA:
        s->step = STEP_DATA;
        flash_data(s, off, width, val);
        break;
    case STEP_CONFIRM:
        if (command == CONFIRM) {
            flash_program(s, s->buffer_off, s->buffer, BUFFER);
        } else {
            flash_fail(s, SR_SEQUENCE, "buffered program without confirmation", off);
        }
        break;
    }
}

static bool flash_write(struct vr_dev *d, uint64_t off, unsigned width, uint64_t val)
{
    if (off % width) {
        return false;
    }
    for (unsigned i = 0; i < width; i += BUS) {
        flash_bus_write(FLASH(d), off + i, width < BUS ? width : BUS, (uint32_t)(val >> 8 * i));
    }
    flash_lay(FLASH(d));
    return true;
}

/* What one chip shows at bus word @word in modes other than read array. */
static uint16_t flash_chip(const struct flash *s, uint64_t word)
{
    static const uint8_t id[2] = {0x89, 0x18}; /* Intel, 128 Mbit; then: not locked */
    uint64_t in_sector = word % (SECTOR / BUS);
    switch (s->mode) {
    case MODE_ID:
        return in_sector < 2 ? id[in_sector] : 0;
    case MODE_QUERY:
        return word >= QUERY_FIRST && word - QUERY_FIRST < sizeof(flash_query)
                   ? flash_query[word - QUERY_FIRST]
                   : 0;
    default:
        return s->status;
    }
}

static bool flash_read(struct vr_dev *d, uint64_t off, unsigned width, uint64_t *ret_val)
{
    struct flash *s = FLASH(d);
    uint8_t bytes[8] = {0};
    if (s->mode == MODE_ARRAY) { /* at any alignment, as where it is laid over the window */
        *ret_val = s->ram ? vr_load_le(flash_at(s, off), width) : UINT64_MAX;
        return true;
    }
    if (off % width) {
        return false;
    }
    for (unsigned i = 0; i < width; i++) {
        uint16_t chip = flash_chip(s, (off + i) / BUS);
        bytes[i] = (uint8_t)((off + i) % 2 ? chip >> 8 : chip);
    }
    *ret_val = vr_load_le64(bytes);
    return true;
}

static bool flash_all(const uint8_t *p, uint8_t val)
{
    return p[0] == val && memcmp(p, p + 1, SECTOR - 1) == 0;
}

/* Before a snapshot: put the contents where it is saved from. Read-only contents are the board's.
 * Runs without the device's lock. */
static void flash_quiesce(struct vr_dev *d)
{
    struct flash *s = FLASH(d);
    uint32_t raw = 0;
    vr_dev_lock(d);
    if (!s->ram || s->readonly || s->has_image) {
        vr_dev_unlock(d);
        return;
    }
    for (unsigned i = 0; i < SECTORS; i++) {
        const uint8_t *p = flash_at(s, (uint64_t)i * SECTOR);
        s->sector[i] = flash_all(p, 0xff) ? SECTOR_ONES
                       : flash_all(p, 0)  ? SECTOR_ZEROS
                                          : SECTOR_RAW;
        raw += s->sector[i] == SECTOR_RAW;
    }
    /* Without the memory the image stays away, and loading the snapshot says so. */
    s->image = raw ? vr_zalloc_array(raw, SECTOR) : NULL;
    if (s->image || !raw) {
        s->has_image = true;
        for (unsigned i = 0; i < SECTORS; i++) {
            if (s->sector[i] == SECTOR_RAW) {
                memcpy(s->image + s->image_len, flash_at(s, (uint64_t)i * SECTOR), SECTOR);
                s->image_len += SECTOR;
            }
        }
    }
    vr_dev_unlock(d);
}

/* Sector @i as a snapshot has it: a copy of @raw. */
static void flash_restore(struct flash *s, unsigned i, const uint8_t *raw)
{
    uint8_t *p = flash_at(s, (uint64_t)i * SECTOR), fill = s->sector[i] == SECTOR_ONES ? 0xff : 0;
    if (s->sector[i] == SECTOR_RAW ? memcmp(p, raw, SECTOR) == 0 : flash_all(p, fill)) {
        return;
    }
    flash_mark(s, i);
    if (s->sector[i] == SECTOR_RAW) {
        memcpy(p, raw, SECTOR);
    } else {
        memset(p, fill, SECTOR);
    }
}

static int flash_loaded(struct vr_dev *d, struct vr_error *err)
{
    struct flash *s = FLASH(d);
    uint32_t raw = 0;
    if (s->has_image != (s->ram && !s->readonly)) {
        return vr_err(err, -EINVAL, "the snapshot %s the flash's contents, and this flash %s",
                      s->has_image ? "has" : "lacks",
                      s->has_image ? "is read-only or has none" : "needs them");
    }
    for (unsigned i = 0; i < SECTORS; i++) {
        raw += s->sector[i] == SECTOR_RAW;
    }
    if (s->image_len != raw * SECTOR ||
        (s->buffer_off != UINT32_MAX &&
         (s->buffer_off % BUFFER || s->buffer_off >= VR_PFLASH_LEN))) {
        return vr_err(err, -ERANGE, "lengths that do not fit the flash");
    }
    if (s->step == STEP_CONFIRM && s->buffer_off == UINT32_MAX) {
        return vr_err(err, -ERANGE, "a buffered program without an address");
    }
    if (s->laid) { /* taken away while they change, so that no CPU keeps code from before */
        vr_dev_unlay(d, 0);
        s->laid = false;
    }
    uint32_t at = 0;
    for (unsigned i = 0; s->has_image && i < SECTORS; i++) {
        flash_restore(s, i, s->image + at);
        at += s->sector[i] == SECTOR_RAW ? SECTOR : 0;
    }
    flash_lay(s);
    return 0;
}

static void flash_reset(struct vr_dev *d)
{
    flash_lay(FLASH(d));
}

static void flash_fini(struct vr_dev *d)
{
    free(FLASH(d)->image);
}

void vr_pflash_attach(struct vr_dev *dev, struct vr_ram *ram, uint64_t off)
{
    struct flash *s = FLASH(dev);
    vr_assert(!s->mapped && vr_is_aligned(off, VR_PAGE_SIZE));
    vr_assert(vr_in_range(off, VR_PFLASH_LEN, ram->len));
    vr_dev_lock(dev);
    s->ram = ram;
    s->ram_off = off;
    vr_dev_unlock(dev);
}

int vr_pflash_map(struct vr_dev *dev, struct vr_space *space, uint64_t gpa, struct vr_error *err)
{
    int r = vr_dev_map(dev, 0, space, gpa, err);
    if (r == 0) {
        vr_dev_lock(dev);
        FLASH(dev)->mapped = true;
        flash_lay(FLASH(dev));
        vr_dev_unlock(dev);
    }
    return r;
}

void vr_pflash_on_change(struct vr_dev *dev, void (*fn)(void *opaque), void *opaque)
{
    vr_dev_lock(dev);
    FLASH(dev)->on_change = fn;
    FLASH(dev)->opaque = opaque;
    vr_dev_unlock(dev);
}

int vr_pflash_take(struct vr_dev *dev, struct vr_pflash_changes *ret_changes)
{
    struct flash *s = FLASH(dev);
    struct vr_pflash_changes c = {0};
    vr_dev_lock(dev);
    for (unsigned i = 0; i < SECTORS; i++) {
        if (s->changed[i]) {
            c.sector[c.count++] = (uint16_t)i;
        }
    }
    c.data = c.count ? vr_zalloc_array(c.count, SECTOR) : NULL;
    if (c.count && !c.data) {
        vr_dev_unlock(dev);
        return -ENOMEM;
    }
    for (unsigned i = 0; i < c.count; i++) {
        memcpy(c.data + (size_t)i * SECTOR, flash_at(s, (uint64_t)c.sector[i] * SECTOR), SECTOR);
    }
    memset(s->changed, 0, sizeof(s->changed));
    s->told = false;
    vr_dev_unlock(dev);
    *ret_changes = c;
    return 0;
}

void vr_pflash_untake(struct vr_dev *dev, const struct vr_pflash_changes *changes)
{
    vr_dev_lock(dev);
    for (unsigned i = 0; i < changes->count; i++) {
        FLASH(dev)->changed[changes->sector[i]] = true;
    }
    vr_dev_unlock(dev);
}

static int flash_describe(struct vr_dev *d, struct vr_fdt *fdt, const struct vr_fdt_at *at)
{
    (void)d;
    vr_fdt_begin(fdt, "flash@%" PRIx64, at->gpa[0]);
    vr_fdt_str(fdt, "compatible", "cfi-flash");
    vr_fdt_reg(fdt, at);
    vr_fdt_u32(fdt, "bank-width", BUS);
    vr_fdt_end(fdt);
    return 0;
}

#define VR_SELF struct flash
static const struct vr_field flash_fields[] = {
    VR_HOST(ram, "the contents are attached by the board"),
    VR_HOST(ram_off, "where they start in ram"),
    VR_HOST(on_change, "the board's hook"),
    VR_HOST(opaque, "what its hook wants"),
    VR_HOST(changed, "for the board, which keeps the contents"),
    VR_HOST(mapped, "the board's affair"),
    VR_HOST(laid, "flash_lay() finds out"),
    VR_HOST(told, "the board knows that there are changes"),
    VR_CONFIG(exec, "code runs from it: lay the contents over the window as ROM"),
    VR_CONFIG(readonly, "refuse to program and erase"),
    VR_STATE(mode, "what reads give: array, status, identifiers, CFI table", .max = MODE_QUERY),
    VR_STATE(step, "what the next write means", .max = STEP_CONFIRM),
    VR_STATE(status, "status register", .def = SR_READY),
    VR_STATE(buffer_off, "where the write buffer goes; all ones: not known yet", .def = UINT32_MAX),
    VR_STATE(expect, "bytes of buffered data that still have to come", .max = BUFFER),
    VR_STATE_ARRAY(buffer, "write buffer"),
    VR_STATE(has_image, "the contents follow"),
    VR_STATE_ARRAY(sector, "each sector: all ones, all zeros, or in image", .max = SECTOR_RAW),
    VR_STATE(image_len, "bytes in image", .max = VR_PFLASH_LEN),
    VR_STATE_BUF(image, image_len, "sectors that are neither all ones nor all zeros",
                 .max = VR_PFLASH_LEN),
    VR_FIELD_END,
};

const struct vr_dev_class vr_pflash_cfi_class = {
    .name = "pflash-cfi",
    .help = "32 MiB of parallel NOR flash for firmware and its variables",
    .size = sizeof(struct flash),
    .version = 1,
    .fields = flash_fields,
    .windows = {{.name = "flash", .len = VR_PFLASH_LEN, .read = flash_read, .write = flash_write}},
    .reset = flash_reset,
    .loaded = flash_loaded,
    .quiesce = flash_quiesce,
    .fini = flash_fini,
    .describe = flash_describe,
};
