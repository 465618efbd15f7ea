/*
 * The PCI ID database: https://pci-ids.ucw.cz/ ("Syntax" in the file itself). One name a line; tabs
 * say what it belongs to:
 *
 *     8086  Intel Corporation            vendor
 *     <tab>10c9  82576 Gigabit           its device
 *     <tab><tab>8086 a01c  Quad Port     that device's subsystem: vendor, device
 *     C 02  Network controller           class
 *     <tab>00  Ethernet controller       its subclass (two tabs: programming interface)
 */
#include "platform/pci_ids.h"

#include "base/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum ids_level { IDS_VENDOR, IDS_DEVICE, IDS_SUBSYSTEM, IDS_CLASS, IDS_SUBCLASS };

struct ids_entry {
    uint64_t key; /* the numbers, the outer ones higher */
    const char *name;
    enum ids_level level;
};

struct vr_pci_ids {
    char *text;
    struct ids_entry *entries; /* sorted by level, then key */
    size_t count, room, skipped;
};

enum { IDS_FILE_MAX = 32 << 20 };

static int ids_compare(const void *a, const void *b)
{
    const struct ids_entry *x = a, *y = b;
    if (x->level != y->level) {
        return x->level < y->level ? -1 : 1;
    }
    return x->key < y->key ? -1 : x->key > y->key;
}

/* Exactly @digits hexadecimal digits and a blank behind them. */
static bool ids_number(const char **line, unsigned digits, uint64_t *ret_val)
{
    uint64_t v = 0;
    const char *at = *line;
    for (unsigned i = 0; i < digits; i++, at++) {
        unsigned digit = *at >= '0' && *at <= '9'   ? (unsigned)(*at - '0')
                         : *at >= 'a' && *at <= 'f' ? (unsigned)(*at - 'a') + 10
                         : *at >= 'A' && *at <= 'F' ? (unsigned)(*at - 'A') + 10
                                                    : 16;
        if (digit == 16) {
            return false;
        }
        v = v << 4 | digit;
    }
    if (*at != ' ') {
        return false;
    }
    while (*at == ' ') {
        at++;
    }
    *line = at;
    *ret_val = v;
    return true;
}

/* What the lines so far belong to. */
struct ids_place {
    bool in_class, have_outer, have_inner;
    uint64_t outer, inner;
};

/* The entry that @line (behind @tabs tabs) is; false: none of ours. */
static bool ids_line(struct ids_place *p, unsigned tabs, const char *line, struct ids_entry *ret)
{
    uint64_t a, b;
    if (tabs == 0) {
        *p = (struct ids_place){0};
        if (line[0] == 'C' && line[1] == ' ') {
            line += 2;
            p->in_class = true;
        }
        p->have_outer = ids_number(&line, p->in_class ? 2 : 4, &p->outer);
        *ret = (struct ids_entry){p->outer, line, p->in_class ? IDS_CLASS : IDS_VENDOR};
        return p->have_outer && *line;
    }
    if (tabs == 1 && p->have_outer) {
        p->have_inner = ids_number(&line, p->in_class ? 2 : 4, &p->inner);
        *ret = (struct ids_entry){p->outer << (p->in_class ? 8 : 16) | p->inner, line,
                                  p->in_class ? IDS_SUBCLASS : IDS_DEVICE};
        return p->have_inner && *line;
    }
    if (tabs == 2 && p->have_inner && !p->in_class && ids_number(&line, 4, &a) &&
        ids_number(&line, 4, &b)) {
        *ret =
            (struct ids_entry){p->outer << 48 | p->inner << 32 | a << 16 | b, line, IDS_SUBSYSTEM};
        return *line;
    }
    return false;
}

/* Other lists of the same file (languages, HID usages), and programming interfaces, are no damage.
 */
static bool ids_is_other(const struct ids_place *p, unsigned tabs)
{
    return tabs == 2 && p->in_class && p->have_inner;
}

static int ids_add(struct vr_pci_ids *ids, struct ids_entry entry)
{
    if (ids->count == ids->room) {
        size_t room = ids->room ? ids->room * 2 : 1024;
        struct ids_entry *entries = realloc(ids->entries, room * sizeof(*entries));
        if (!entries) {
            return -ENOMEM;
        }
        ids->entries = entries;
        ids->room = room;
    }
    ids->entries[ids->count++] = entry;
    return 0;
}

static int ids_index(struct vr_pci_ids *ids, size_t len)
{
    struct ids_place place = {0};
    char *line = ids->text, *end = ids->text + len;
    while (line < end) {
        struct ids_entry entry;
        char *stop = memchr(line, '\n', (size_t)(end - line)), *next;
        stop = stop ? stop : end;
        next = stop + 1;
        while (stop > line && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t')) {
            stop--;
        }
        *stop = 0;
        for (char *c = line; c < stop; c++) {
            if ((unsigned char)*c < ' ' && *c != '\t') {
                *c = '?'; /* NUL too: it would cut the line */
            }
        }
        unsigned tabs = 0;
        while (*line == '\t') {
            line++;
            tabs++;
        }
        if (*line && *line != '#') {
            if (ids_line(&place, tabs, line, &entry)) {
                int r = ids_add(ids, entry);
                if (r < 0) {
                    return r;
                }
            } else if (!ids_is_other(&place, tabs)) {
                ids->skipped++;
            }
        }
        line = next;
    }
    if (ids->count) {
        qsort(ids->entries, ids->count, sizeof(*ids->entries), ids_compare);
    }
    return 0;
}

/* Takes @text, which has room for a NUL behind @len bytes, also on failure. */
static int ids_create(char *text, size_t len, struct vr_pci_ids **ret_ids)
{
    struct vr_pci_ids *ids = vr_zalloc(sizeof(*ids));
    if (!ids) {
        free(text);
        return -ENOMEM;
    }
    ids->text = text;
    text[len] = 0;
    int r = ids_index(ids, len);
    if (r < 0) {
        vr_pci_ids_free(ids);
        return r;
    }
    *ret_ids = ids;
    return 0;
}

int vr_pci_ids_parse(const void *text, size_t len, struct vr_pci_ids **ret_ids)
{
    char *copy = len < SIZE_MAX ? vr_zalloc(len + 1) : NULL;
    if (!copy) {
        return -ENOMEM;
    }
    if (len) {
        memcpy(copy, text, len);
    }
    return ids_create(copy, len, ret_ids);
}

static int ids_read(const char *path, struct vr_pci_ids **ret_ids)
{
    struct stat st;
    char *text = NULL;
    size_t len = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r = 0;
    if (fd < 0) {
        return -errno;
    }
    if (fstat(fd, &st) < 0) {
        r = -errno;
    } else if (!S_ISREG(st.st_mode)) {
        r = -EINVAL;
    } else if (st.st_size > IDS_FILE_MAX) {
        r = -EFBIG;
    } else if (!(text = vr_zalloc((size_t)st.st_size + 1))) {
        r = -ENOMEM;
    }
    while (r == 0 && len < (size_t)st.st_size) {
        ssize_t got = read(fd, text + len, (size_t)st.st_size - len);
        if (got < 0 && errno != EINTR) {
            r = -errno;
        } else if (got == 0) {
            break;
        } else if (got > 0) {
            len += (size_t)got;
        }
    }
    close(fd);
    if (r < 0) {
        free(text);
        return r;
    }
    return ids_create(text, len, ret_ids);
}

int vr_pci_ids_load(const char *path, struct vr_pci_ids **ret_ids, struct vr_error *err)
{
    static const char *const places[] = {"/usr/share/misc/pci.ids", "/usr/share/hwdata/pci.ids",
                                         "/var/lib/pciutils/pci.ids", "/usr/share/pci.ids",
                                         "/usr/local/share/pci.ids"};
    struct vr_pci_ids *ids;
    if (!path) {
        for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++) {
            if (ids_read(places[i], ret_ids) == 0) {
                return 0;
            }
        }
        *ret_ids = NULL;
        return 0;
    }
    int r = ids_read(path, &ids);
    if (r < 0) {
        return vr_err(err, r, "%s: %s: a pci.ids file was to be read", path, strerror(-r));
    }
    if (ids->count == 0) {
        vr_pci_ids_free(ids);
        return vr_err(err, -EINVAL, "%s: holds no name of a PCI device: not a pci.ids file?", path);
    }
    *ret_ids = ids;
    return 0;
}

void vr_pci_ids_free(struct vr_pci_ids *ids)
{
    if (ids) {
        free(ids->entries);
        free(ids->text);
        free(ids);
    }
}

size_t vr_pci_ids_count(const struct vr_pci_ids *ids)
{
    return ids ? ids->count : 0;
}

size_t vr_pci_ids_skipped(const struct vr_pci_ids *ids)
{
    return ids ? ids->skipped : 0;
}

static const char *ids_find(const struct vr_pci_ids *ids, enum ids_level level, uint64_t key)
{
    struct ids_entry want = {.key = key, .level = level};
    if (!ids || !ids->count) {
        return NULL;
    }
    const struct ids_entry *found =
        bsearch(&want, ids->entries, ids->count, sizeof(want), ids_compare);
    return found ? found->name : NULL;
}

const char *vr_pci_ids_vendor(const struct vr_pci_ids *ids, uint16_t vendor)
{
    return ids_find(ids, IDS_VENDOR, vendor);
}

const char *vr_pci_ids_device(const struct vr_pci_ids *ids, uint16_t vendor, uint16_t device)
{
    return ids_find(ids, IDS_DEVICE, (uint64_t)vendor << 16 | device);
}

const char *vr_pci_ids_subsystem(const struct vr_pci_ids *ids, uint16_t vendor, uint16_t device,
                                 uint16_t sub_vendor, uint16_t sub_device)
{
    return ids_find(ids, IDS_SUBSYSTEM,
                    (uint64_t)vendor << 48 | (uint64_t)device << 32 | (uint64_t)sub_vendor << 16 |
                        sub_device);
}

const char *vr_pci_ids_class(const struct vr_pci_ids *ids, uint32_t class_code)
{
    const char *name = ids_find(ids, IDS_SUBCLASS, class_code >> 8 & 0xffff);
    return name ? name : ids_find(ids, IDS_CLASS, class_code >> 16 & 0xff);
}
